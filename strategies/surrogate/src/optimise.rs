//! Projected L-BFGS: a smooth function of tens of variables, minimised on a box.
//!
//! Used by the fit of hyperparameters and by acquisition maximisers. Constraints other than bounds, global search and
//! restarts are left to the caller.

/// Pairs of steps and gradient changes remembered.
const MEMORY: usize = 8;

/// Sufficient decrease of the Armijo rule.
const SUFFICIENT_DECREASE: f64 = 1e-4;

/// Trial steps of one line search.
const LINE_SEARCH_STEP_COUNT_MAX: usize = 20;

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimiseOptions {
    /// Upper bound of the iterations; each takes one evaluation, more when a step is too long.
    pub iteration_count_max: usize,
    /// Stop when no entry of the projected gradient is larger.
    pub gradient_tolerance: f64,
    /// Stop when an iteration lowers the value by less than this times (1 + |value|).
    pub value_tolerance: f64,
    /// Largest coordinate change of the very first step, which has no curvature to go by.
    pub first_step_max: f64,
}

impl Default for OptimiseOptions {
    fn default() -> Self {
        Self { iteration_count_max: 60, gradient_tolerance: 1e-4, value_tolerance: 1e-9, first_step_max: 0.3 }
    }
}

/// Where the search ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The best point, inside the box.
    pub point: Vec<f64>,
    /// The value there. Infinite or NaN only if the start already was.
    pub value: f64,
    /// Number of evaluations spent.
    pub evaluation_count: usize,
}

/// One remembered pair of the quasi-Newton model.
#[derive(Debug)]
struct Pair {
    step: Vec<f64>,
    gradient_change: Vec<f64>,
}

/// Minimises `objective` on the box from `start` (which is clamped into it). Never returns a worse point.
///
/// `objective` takes a point, writes the gradient (same length) and returns the value; an infinite or NaN value
/// tells that the point cannot be evaluated and shortens the step. `lower[i] <= upper[i]`; equal bounds fix a variable.
/// The method is that of [`Descent`].
pub fn minimise(
    mut objective: impl FnMut(&[f64], &mut [f64]) -> f64,
    start: &[f64],
    lower: &[f64],
    upper: &[f64],
    options: &OptimiseOptions,
) -> Minimum {
    let mut descent = Descent::new(start, lower, upper, options);
    let mut gradient = vec![0.0; start.len()];
    while let Some(point) = descent.wanted() {
        let value = objective(point, &mut gradient);
        descent.tell(value, &gradient);
    }
    descent.into_minimum()
}

/// What a [`Descent`] waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    Start,
    Trial,
    Nothing,
}

/// The search of [`minimise`] turned round: it says where it wants the value and the gradient, so that several searches
/// can be evaluated side by side.
///
/// Source: Nocedal and Wright 2006, algorithm 7.4 (two-loop recursion) on the variables that are not held at a bound,
/// with Bertsekas 1982's projected Armijo rule.
#[derive(Debug)]
pub struct Descent {
    lower: Vec<f64>,
    upper: Vec<f64>,
    options: OptimiseOptions,
    point: Vec<f64>,
    gradient: Vec<f64>,
    value: f64,
    pairs: Vec<Pair>,
    iteration: usize,
    evaluation_count: usize,
    /// The line search: where it goes, the derivative of the value along it, its present step.
    direction: Vec<f64>,
    slope: f64,
    length: f64,
    step_count: usize,
    trial: Vec<f64>,
    /// Change of the value at `trial` by the gradient alone.
    predicted: f64,
    wanted: Wanted,
}

impl Descent {
    /// From `start`, which is clamped into the box. `lower[i] <= upper[i]`; equal bounds fix a variable.
    pub fn new(start: &[f64], lower: &[f64], upper: &[f64], options: &OptimiseOptions) -> Self {
        let size = start.len();
        debug_assert!(lower.len() == size && upper.len() == size);
        Self {
            lower: lower.to_vec(),
            upper: upper.to_vec(),
            options: *options,
            point: (0..size).map(|i| start[i].max(lower[i]).min(upper[i])).collect(),
            gradient: vec![0.0; size],
            value: f64::INFINITY,
            pairs: Vec::with_capacity(MEMORY),
            iteration: 0,
            evaluation_count: 0,
            direction: vec![0.0; size],
            slope: 0.0,
            length: 1.0,
            step_count: 0,
            trial: vec![0.0; size],
            predicted: 0.0,
            wanted: Wanted::Start,
        }
    }

    /// Where to evaluate next; `None` at the end.
    pub fn wanted(&self) -> Option<&[f64]> {
        match self.wanted {
            Wanted::Start => Some(&self.point),
            Wanted::Trial => Some(&self.trial),
            Wanted::Nothing => None,
        }
    }

    /// The value at the wanted point and its gradient, which counts only where the value is finite.
    pub fn tell(&mut self, value: f64, gradient: &[f64]) {
        match self.wanted {
            Wanted::Nothing => {}
            Wanted::Start => {
                self.evaluation_count += 1;
                self.value = value;
                self.gradient.copy_from_slice(gradient);
                self.begin_iteration();
            }
            Wanted::Trial => {
                self.evaluation_count += 1;
                if value.is_finite() && value <= self.value + SUFFICIENT_DECREASE * self.predicted {
                    self.accept(value, gradient);
                } else {
                    self.shorten(value);
                }
            }
        }
    }

    /// Where the search is.
    pub fn into_minimum(self) -> Minimum {
        Minimum { point: self.point, value: self.value, evaluation_count: self.evaluation_count }
    }

    fn begin_iteration(&mut self) {
        self.wanted = Wanted::Nothing;
        if self.iteration >= self.options.iteration_count_max || !self.value.is_finite() {
            return;
        }
        self.iteration += 1;
        let size = self.point.len();
        let free: Vec<bool> = (0..size)
            .map(|i| {
                let held = (self.point[i] <= self.lower[i] && self.gradient[i] >= 0.0)
                    || (self.point[i] >= self.upper[i] && self.gradient[i] <= 0.0);
                !held
            })
            .collect();
        let gradient_max = (0..size).filter(|&i| free[i]).map(|i| self.gradient[i].abs()).fold(0.0, f64::max);
        if !(gradient_max > self.options.gradient_tolerance && gradient_max.is_finite()) {
            return;
        }
        self.direction = quasi_newton_direction(&self.gradient, &free, &self.pairs);
        self.slope = sum_over(&free, &self.gradient, &self.direction);
        if self.pairs.is_empty() || self.slope >= 0.0 {
            self.pairs.clear();
            let scale = (self.options.first_step_max / gradient_max).min(1.0);
            self.direction =
                (0..size).map(|i| if free[i] { -scale * self.gradient[i] } else { 0.0 }).collect();
            self.slope = sum_over(&free, &self.gradient, &self.direction);
        }
        self.length = 1.0;
        self.step_count = 0;
        self.wanted = Wanted::Trial;
        self.place_trial();
    }

    fn place_trial(&mut self) {
        self.predicted = 0.0;
        for i in 0..self.point.len() {
            let moved = self.point[i] + self.length * self.direction[i];
            self.trial[i] = moved.max(self.lower[i]).min(self.upper[i]);
            self.predicted += self.gradient[i] * (self.trial[i] - self.point[i]);
        }
    }

    /// A trial was not good enough.
    fn shorten(&mut self, value: f64) {
        self.step_count += 1;
        if self.step_count == LINE_SEARCH_STEP_COUNT_MAX {
            if self.pairs.is_empty() {
                self.wanted = Wanted::Nothing;
            } else {
                // The model misleads: once more along the gradient.
                self.pairs.clear();
                self.begin_iteration();
            }
            return;
        }
        // Minimum of the parabola through the value, the slope and the trial value.
        let curvature = 2.0 * (value - self.value - self.length * self.slope);
        let shrink =
            if value.is_finite() && curvature > 0.0 { -self.slope * self.length / curvature } else { 0.2 };
        self.length *= shrink.clamp(0.1, 0.5);
        self.place_trial();
    }

    fn accept(&mut self, value: f64, gradient: &[f64]) {
        let step: Vec<f64> = self.trial.iter().zip(&self.point).map(|(to, from)| to - from).collect();
        let gradient_change: Vec<f64> =
            gradient.iter().zip(&self.gradient).map(|(to, from)| to - from).collect();
        let norms = (sum_of_squares(&step) * sum_of_squares(&gradient_change)).sqrt();
        if step.iter().zip(&gradient_change).map(|(s, y)| s * y).sum::<f64>() > 1e-10 * norms {
            if self.pairs.len() == MEMORY {
                self.pairs.remove(0);
            }
            self.pairs.push(Pair { step, gradient_change });
        }
        let decrease = self.value - value;
        std::mem::swap(&mut self.point, &mut self.trial);
        self.gradient.copy_from_slice(gradient);
        self.value = value;
        // The first steps are short by design and say nothing about convergence.
        if self.iteration > 2 && decrease <= self.options.value_tolerance * (1.0 + value.abs()) {
            self.wanted = Wanted::Nothing;
            return;
        }
        self.begin_iteration();
    }
}

fn sum_of_squares(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum()
}

fn sum_over(free: &[bool], a: &[f64], b: &[f64]) -> f64 {
    free.iter().zip(a.iter().zip(b)).filter(|(free, _)| **free).map(|(_, (x, y))| x * y).sum()
}

/// Descent direction on the free variables, zero elsewhere.
fn quasi_newton_direction(gradient: &[f64], free: &[bool], pairs: &[Pair]) -> Vec<f64> {
    let size = gradient.len();
    let mut direction: Vec<f64> = (0..size).map(|i| if free[i] { -gradient[i] } else { 0.0 }).collect();
    // Curvature of a pair as the free variables see it; pairs that lost it are passed over.
    let curvature: Vec<f64> =
        pairs.iter().map(|pair| sum_over(free, &pair.step, &pair.gradient_change)).collect();
    let usable = |index: usize| curvature[index] > 1e-12 * sum_of_squares(&pairs[index].step);
    let mut weights = vec![0.0; pairs.len()];
    for (index, pair) in pairs.iter().enumerate().rev().filter(|(index, _)| usable(*index)) {
        weights[index] = sum_over(free, &pair.step, &direction) / curvature[index];
        for i in 0..size {
            if free[i] {
                direction[i] -= weights[index] * pair.gradient_change[i];
            }
        }
    }
    if let Some(index) = (0..pairs.len()).rev().find(|index| usable(*index)) {
        let change = &pairs[index].gradient_change;
        let scale = curvature[index] / sum_over(free, change, change);
        direction.iter_mut().for_each(|value| *value *= scale);
    }
    for (index, pair) in pairs.iter().enumerate().filter(|(index, _)| usable(*index)) {
        let correction =
            weights[index] - sum_over(free, &pair.gradient_change, &direction) / curvature[index];
        for i in 0..size {
            if free[i] {
                direction[i] += correction * pair.step[i];
            }
        }
    }
    direction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    const PRECISE: OptimiseOptions = OptimiseOptions {
        iteration_count_max: 500,
        gradient_tolerance: 1e-8,
        value_tolerance: 0.0,
        first_step_max: 0.3,
    };

    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut value = 0.0;
        for i in 0..x.len() - 1 {
            let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            value += 100.0 * a * a + b * b;
            gradient[i] += -400.0 * a * x[i] - 2.0 * b;
            gradient[i + 1] += 200.0 * a;
        }
        value
    }

    #[test]
    fn finds_the_minimum_of_a_curved_valley() {
        let found = minimise(rosenbrock, &[-1.2, 1.0, -0.5, 2.0], &[-5.0; 4], &[5.0; 4], &PRECISE);
        for x in &found.point {
            assert!((x - 1.0).abs() < 1e-6, "{found:?}");
        }
        assert!(found.evaluation_count < 200, "{found:?}");
    }

    #[test]
    fn stops_on_the_bound_that_cuts_the_valley() {
        // With x[1] <= 0.25 the minimum is near (0.5, 0.25), where 200 a x is balanced by 1 - x.
        let found = minimise(rosenbrock, &[-1.0, -1.0], &[-5.0, -5.0], &[5.0, 0.25], &PRECISE);
        assert_eq!(found.point[1], 0.25);
        let mut gradient = [0.0; 2];
        rosenbrock(&found.point, &mut gradient);
        assert!(gradient[0].abs() < 1e-6 && gradient[1] < 0.0, "{found:?} {gradient:?}");
    }

    #[test]
    fn convex_quadratics_satisfy_the_conditions_of_optimality() {
        let mut generator = Generator::new(4);
        for _ in 0..50 {
            let size = 1 + generator.below(8);
            let centre: Vec<f64> = (0..size).map(|_| generator.between(-2.0, 2.0)).collect();
            let rows: Vec<Vec<f64>> =
                (0..size + 2).map(|_| (0..size).map(|_| generator.normal()).collect()).collect();
            let quadratic = |x: &[f64], gradient: &mut [f64]| {
                gradient.fill(0.0);
                let mut value = 0.0;
                for row in &rows {
                    let t: f64 = (0..size).map(|i| row[i] * (x[i] - centre[i])).sum();
                    value += t * t;
                    (0..size).for_each(|i| gradient[i] += 2.0 * t * row[i]);
                }
                value
            };
            let start: Vec<f64> = (0..size).map(|_| generator.between(-3.0, 3.0)).collect();
            let (lower, upper) = (vec![-1.0; size], vec![1.0; size]);
            let found = minimise(quadratic, &start, &lower, &upper, &PRECISE);
            let mut gradient = vec![0.0; size];
            quadratic(&found.point, &mut gradient);
            for i in 0..size {
                let x = found.point[i];
                assert!((-1.0..=1.0).contains(&x));
                let fine = gradient[i].abs() < 1e-5
                    || (x == -1.0 && gradient[i] > 0.0)
                    || (x == 1.0 && gradient[i] < 0.0);
                assert!(fine, "{found:?} {gradient:?}");
            }
        }
    }

    #[test]
    fn survives_places_without_a_value() {
        // ln x below zero is NaN; the minimum of x - ln x is at 1.
        let objective = |x: &[f64], gradient: &mut [f64]| {
            gradient[0] = 1.0 - 1.0 / x[0];
            if x[0] > 0.0 { x[0] - x[0].ln() } else { f64::NAN }
        };
        let options = OptimiseOptions { first_step_max: 100.0, ..PRECISE };
        let found = minimise(objective, &[0.01], &[-10.0], &[10.0], &options);
        assert!((found.point[0] - 1.0).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn equal_bounds_fix_a_variable() {
        let found = minimise(rosenbrock, &[0.0, 0.0], &[-5.0, 0.5], &[5.0, 0.5], &PRECISE);
        assert_eq!(found.point[1], 0.5);
    }
}
