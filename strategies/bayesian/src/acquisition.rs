//! What a point is worth asking: the boundary between the models and the maximiser, and the acquisition functions.
//!
//! One loss: the product over its models of their expected improvements. Several: the expected improvement of the
//! hypervolume. Either is multiplied by the probability that every outcome constraint holds, and while no point is known
//! where they hold that probability is all there is. That of a loss, and of a front, may be multiplied by a power of a prior of
//! where the best points lie as well. All of it is in logarithms.
//!
//! The maximiser sees the trait only, and the models know nothing of either: each of the three can be replaced alone.

use std::borrow::Cow;

use ansatz_core::Point;
use ansatz_surrogate::acquisition::{Acquisition, log_expected_improvement, log_probability_below};
use ansatz_surrogate::{
    Column, ExpectedHypervolume, Posterior, SurrogateError, non_dominated, outer_reference_point,
    reference_point,
};

use crate::models::{BoundModel, LossModel, Models};

/// Points of one loss whose neighbourhood is searched.
const CENTRE_COUNT: usize = 5;

/// Rows that all models of one loss look at, at least.
const QUARTER_COUNT_MIN: usize = 64;

/// How far from the middle of its range the best value of a number is expected, as a standard deviation in the unit cube.
const INSIDE_DEVIATION: f64 = 0.25;

/// What the maximiser needs to know. Values are natural logarithms; larger is better.
pub(crate) trait AcquisitionFunction {
    /// Of many rows of features.
    fn acquisition_batch(&self, rows: &[&[f64]]) -> Vec<f64>;

    /// Of one row of features, shape (feature_count,).
    fn acquisition(&self, features: &[f64]) -> f64 {
        self.acquisition_batch(&[features])[0]
    }

    /// Of many rows of features. `gradients` becomes their gradients, shape (rows, feature_count), row after row.
    fn acquisition_with_gradients(&self, rows: &[&[f64]], gradients: &mut Vec<f64>) -> Vec<f64>;

    /// The best of many rows of features, and their values: indices of all or of part of them, best first.
    fn best_rows(&self, rows: &[&[f64]]) -> Vec<(usize, f64)> {
        best_first(self.acquisition_batch(rows).into_iter().enumerate().collect())
    }

    /// A function that is good enough to find the places that are worth a second look, and faster; `None` if this one
    /// is fast enough.
    fn rough(&self) -> Option<&dyn AcquisitionFunction> {
        None
    }

    /// A function that is nearly the same close to some of the rows of features, and faster; `None` if this one is fast
    /// enough. Farther away it is wrong.
    fn near(&self, _rows: &[&[f64]]) -> Option<Box<dyn AcquisitionFunction + '_>> {
        None
    }

    /// Points, evaluated or believed, near which better ones are likely, the best first.
    fn centres(&self) -> Vec<&Point>;

    /// How far apart two rows of features are, in length scales, squared.
    fn squared_distance(&self, a: &[f64], b: &[f64]) -> f64;

    /// Over which distance along each feature the function changes, shape (feature_count,).
    fn length_scales(&self) -> Vec<f64>;
}

/// The improvement that is expected of a point, times the probability that it is allowed.
#[derive(Clone, Debug)]
pub(crate) struct AllowedImprovement<'a> {
    models: Cow<'a, Models>,
    improvement: Improvement,
    /// Rows of the models' points, the best first.
    centres: Vec<usize>,
    /// Where the best point is expected before anything is known; `None` where that makes no difference.
    inside: Option<Inside>,
    /// The same by models of fewer observations.
    rough: Option<Box<Self>>,
}

/// A prior density of where the best point lies, to a power that falls with the number of results: a normal density
/// about the middle of each range, for numbers that are active (the others sit in the middle and lose nothing).
///
/// A space of many parameters is nearly all corners, models are least sure of these, and so that is where they expect improvements.
/// Source: Hvarfner et al. 2022 (πBO), eq. 6, `α(x) π(x)^(β/n)`.
#[derive(Clone, Debug)]
struct Inside {
    /// What the squared distances from the middle are multiplied with.
    factor: f64,
    /// Which features are numbers.
    is_number: Vec<bool>,
}

impl Inside {
    /// The logarithm, relative to that of the middle.
    fn log_density(&self, row: &[f64]) -> f64 {
        let numbers = row.iter().zip(&self.is_number).filter(|(_, is_number)| **is_number);
        -self.factor * numbers.map(|(x, _)| (x - 0.5) * (x - 0.5)).sum::<f64>()
    }

    fn add_gradient(&self, row: &[f64], gradient: &mut [f64]) {
        for ((slope, x), is_number) in gradient.iter_mut().zip(row).zip(&self.is_number) {
            *slope -= if *is_number { 2.0 * self.factor * (x - 0.5) } else { 0.0 };
        }
    }
}

/// Where the hypervolume of several losses is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// Just beyond the front: what counts are the gaps between its points, and its ends.
    Near,
    /// Beyond all that is known: what counts most is what lies past the ends of the front.
    Outer,
}

/// Over what a point has to improve.
#[derive(Clone, Debug)]
enum Improvement {
    /// Nothing that is allowed is known: only whether the point is.
    Anything,
    /// For each model of the loss the least posterior mean of a point that may be the best, and what its deviations are
    /// multiplied with ([`LossModel::widening`]).
    Loss { best: Vec<f64>, widening: Vec<f64> },
    /// A front of several losses.
    Front(Box<ExpectedHypervolume>),
}

impl<'a> AllowedImprovement<'a> {
    /// Of the models as they are, believed points included. `reference` is for several losses.
    pub(crate) fn new(models: &'a Models, reference: Reference) -> Result<Self, SurrogateError> {
        let eligible = models.eligible();
        let rows: Vec<usize> = (0..eligible.len()).filter(|row| eligible[*row]).collect();
        if models.metric_count() == 1 || rows.is_empty() {
            let least =
                |model: &LossModel| rows.iter().map(|row| model.means[*row]).fold(f64::INFINITY, f64::min);
            let improvement = match rows.is_empty() {
                true => Improvement::Anything,
                false => Improvement::Loss {
                    best: models.losses().iter().map(least).collect(),
                    widening: (models.losses().iter())
                        .map(|model| model.widening(models.evaluated_count()))
                        .collect(),
                },
            };
            let mut centres = order_by_mean(models);
            centres.truncate(CENTRE_COUNT);
            let rough = models.rough().map(|models| {
                let improvement = improvement.clone();
                Box::new(Self {
                    models: Cow::Borrowed(models),
                    improvement,
                    centres: Vec::new(),
                    inside: None,
                    rough: None,
                })
            });
            return Ok(Self { models: Cow::Borrowed(models), improvement, centres, inside: None, rough });
        }
        let row = |row: usize| models.losses().iter().map(|model| model.means[row]).collect();
        let all: Vec<Vec<f64>> = (0..eligible.len()).map(row).collect();
        let means: Vec<Vec<f64>> = rows.iter().map(|row| all[*row].clone()).collect();
        let on_front = non_dominated(&means);
        let front: Vec<&[f64]> = on_front.iter().map(|place| &means[*place][..]).collect();
        let reference = match reference {
            Reference::Near => reference_point(&means, &all),
            Reference::Outer => outer_reference_point(&all),
        };
        let reference = reference.ok_or(SurrogateError::Empty)?;
        let improvement = Improvement::Front(Box::new(ExpectedHypervolume::new(&front, &reference)?));
        // All of the front: it can grow at every place.
        let centres = by_crowding(&front).into_iter().map(|place| rows[on_front[place]]).collect();
        Ok(Self { models: Cow::Borrowed(models), improvement, centres, inside: None, rough: None })
    }

    /// The same where the best point, or the front, is more likely inside the ranges than at their bounds. `power`: of the prior,
    /// from 0, for no prior.
    pub(crate) fn inside(mut self, power: f64) -> Self {
        let is_of_losses = !matches!(self.improvement, Improvement::Anything);
        let process = self.models.losses().first().map(|model| &model.process);
        if let Some(process) = process.filter(|_| is_of_losses && power > 0.0) {
            let columns = process.design().columns().iter();
            let inside = Inside {
                factor: power / (2.0 * INSIDE_DEVIATION * INSIDE_DEVIATION),
                is_number: columns.map(|column| *column == Column::Continuous).collect(),
            };
            if let Some(rough) = &mut self.rough {
                rough.inside = Some(inside.clone());
            }
            self.inside = Some(inside);
        }
        self
    }

    /// What the prior of the best point adds to the value of a row.
    fn log_density(&self, row: &[f64]) -> f64 {
        self.inside.as_ref().map_or(0.0, |inside| inside.log_density(row))
    }

    /// The common value and what each model of a loss contributes to its slopes, with the weight of these.
    /// `posteriors`: one for each model of a loss.
    fn improvement(&self, posteriors: &[Posterior]) -> (f64, f64, Vec<Acquisition>) {
        let means = || posteriors.iter().map(|posterior| posterior.mean);
        let deviations = || posteriors.iter().map(|posterior| posterior.deviation());
        match &self.improvement {
            Improvement::Anything => (0.0, 0.0, Vec::new()),
            Improvement::Loss { best, widening } => {
                let weight = 1.0 / best.len() as f64;
                let terms: Vec<Acquisition> = (means().zip(deviations()).zip(best.iter().zip(widening)))
                    .map(|((mean, deviation), (best, factor))| {
                        let term = log_expected_improvement(mean, factor * deviation, *best);
                        // by the deviation itself
                        Acquisition { deviation_slope: factor * term.deviation_slope, ..term }
                    })
                    .collect();
                (terms.iter().fold(0.0, |value, term| value + weight * term.value), weight, terms)
            }
            Improvement::Front(front) => {
                let (means, deviations) = means_and_deviations(posteriors);
                let terms = front.evaluate(&means, &deviations);
                (terms[0].value, 1.0, terms)
            }
        }
    }
}

impl AcquisitionFunction for AllowedImprovement<'_> {
    fn acquisition_batch(&self, rows: &[&[f64]]) -> Vec<f64> {
        let losses: Vec<Vec<Posterior>> =
            self.models.losses().iter().map(|model| model.process.predict_batch(rows)).collect();
        let mut values: Vec<f64> = (0..rows.len())
            .map(|row| {
                let posteriors: Vec<Posterior> = losses.iter().map(|column| column[row]).collect();
                match &self.improvement {
                    Improvement::Front(front) => {
                        let (means, deviations) = means_and_deviations(&posteriors);
                        front.log_value(&means, &deviations)
                    }
                    _ => self.improvement(&posteriors).0,
                }
            })
            .collect();
        for bound in self.models.bounds() {
            for (value, posterior) in values.iter_mut().zip(bound.process.predict_batch(rows)) {
                *value += log_probability(bound, posterior).value;
            }
        }
        values.iter_mut().zip(rows).for_each(|(value, row)| *value += self.log_density(row));
        values
    }

    fn acquisition_with_gradients(&self, rows: &[&[f64]], gradients: &mut Vec<f64>) -> Vec<f64> {
        let width = rows.first().map_or(1, |row| row.len());
        let size = rows.len() * width;
        gradients.clear();
        gradients.resize(size, 0.0);
        // Slopes of all means by the features, then of all variances, for each model.
        let mut slopes = vec![0.0; 2 * size * self.models.losses().len().max(1)];
        let mut losses: Vec<Vec<Posterior>> = Vec::with_capacity(self.models.losses().len());
        for (model, slopes) in self.models.losses().iter().zip(slopes.chunks_exact_mut(2 * size)) {
            let (mean, variance) = slopes.split_at_mut(size);
            losses.push(model.process.predict_with_gradients(rows, mean, variance));
        }
        let mut values = Vec::with_capacity(rows.len());
        for (row, gradient) in gradients.chunks_exact_mut(width).enumerate() {
            let posteriors: Vec<Posterior> = losses.iter().map(|column| column[row]).collect();
            let (value, weight, terms) = self.improvement(&posteriors);
            let of_row = row * width..(row + 1) * width;
            for ((term, posterior), slopes) in
                terms.iter().zip(&posteriors).zip(slopes.chunks_exact(2 * size))
            {
                let (mean, variance) = slopes.split_at(size);
                let (mean, variance) = (&mean[of_row.clone()], &variance[of_row.clone()]);
                term.add_gradient(weight, posterior.deviation(), mean, variance, gradient);
            }
            values.push(value);
        }
        let (mean, variance) = slopes[..2 * size].split_at_mut(size);
        for bound in self.models.bounds() {
            let posteriors = bound.process.predict_with_gradients(rows, mean, variance);
            let parts = mean.chunks_exact(width).zip(variance.chunks_exact(width));
            let totals = values.iter_mut().zip(gradients.chunks_exact_mut(width));
            for (((value, gradient), posterior), (mean, variance)) in totals.zip(posteriors).zip(parts) {
                let term = log_probability(bound, posterior);
                term.add_gradient(1.0, posterior.deviation(), mean, variance, gradient);
                *value += term.value;
            }
        }
        if let Some(inside) = &self.inside {
            let totals = values.iter_mut().zip(gradients.chunks_exact_mut(width));
            for ((value, gradient), row) in totals.zip(rows) {
                *value += inside.log_density(row);
                inside.add_gradient(row, gradient);
            }
        }
        values
    }

    /// Of one loss without constraints a quarter: one model chooses it, another one after each observation. A row that is
    /// good for the product of several is hardly ever beyond that for one of them.
    fn best_rows(&self, rows: &[&[f64]]) -> Vec<(usize, f64)> {
        let losses = self.models.losses();
        let (Improvement::Loss { best, widening }, true) =
            (&self.improvement, self.models.bounds().is_empty())
        else {
            return best_first(self.acquisition_batch(rows).into_iter().enumerate().collect());
        };
        let weight = 1.0 / best.len() as f64;
        let values = |model: usize, rows: &[&[f64]]| -> Vec<f64> {
            let posteriors = losses[model].process.predict_batch(rows).into_iter();
            let term = |posterior: Posterior| {
                let deviation = widening[model] * posterior.deviation();
                log_expected_improvement(posterior.mean, deviation, best[model])
            };
            posteriors.map(|posterior| weight * term(posterior).value).collect()
        };
        let turn = losses.first().map_or(0, |model| model.process.targets().len()) % losses.len();
        let of_one =
            values(turn, rows).into_iter().zip(rows).map(|(value, row)| value + self.log_density(row));
        let mut order = best_first(of_one.enumerate().collect());
        order.truncate(rows.len().div_ceil(4).max(QUARTER_COUNT_MIN));
        let chosen: Vec<&[f64]> = order.iter().map(|(index, _)| rows[*index]).collect();
        for model in (0..losses.len()).filter(|model| *model != turn) {
            order.iter_mut().zip(values(model, &chosen)).for_each(|((_, total), value)| *total += value);
        }
        best_first(order)
    }

    fn rough(&self) -> Option<&dyn AcquisitionFunction> {
        self.rough.as_deref().map(|rough| rough as &dyn AcquisitionFunction)
    }

    fn near(&self, rows: &[&[f64]]) -> Option<Box<dyn AcquisitionFunction + '_>> {
        let models = Cow::Owned(self.models.near(rows)?);
        let improvement = self.improvement.clone();
        let inside = self.inside.clone();
        Some(Box::new(Self { models, improvement, centres: Vec::new(), inside, rough: None }))
    }

    fn centres(&self) -> Vec<&Point> {
        self.centres.iter().map(|row| &self.models.points().0[*row]).collect()
    }

    /// That of one loss is by its first model; several are as far apart as the one says in which they are farthest.
    fn squared_distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let distances = self.scales().iter().map(|model| model.process.kernel().squared_distance(a, b));
        distances.fold(0.0, f64::max)
    }

    /// Those of one loss are of its first model; of several the geometric mean.
    fn length_scales(&self) -> Vec<f64> {
        match self.scales() {
            [] => Vec::new(),
            [one] => one.process.kernel().weights().iter().map(|weight| 1.0 / weight.sqrt()).collect(),
            several => {
                let log_mean = |feature: usize| {
                    let logs =
                        several.iter().map(|model| libm::log(model.process.kernel().weights()[feature]));
                    logs.sum::<f64>() / several.len() as f64
                };
                let count = several[0].process.kernel().weights().len();
                (0..count).map(|feature| libm::exp(-0.5 * log_mean(feature))).collect()
            }
        }
    }
}

impl AllowedImprovement<'_> {
    /// The models whose length scales count.
    fn scales(&self) -> &[LossModel] {
        let losses = self.models.losses();
        if self.models.metric_count() == 1 { &losses[..losses.len().min(1)] } else { losses }
    }
}

fn means_and_deviations(posteriors: &[Posterior]) -> (Vec<f64>, Vec<f64>) {
    posteriors.iter().map(|posterior| (posterior.mean, posterior.deviation())).unzip()
}

/// Rows with their values, the best first.
fn best_first(mut rows: Vec<(usize, f64)>) -> Vec<(usize, f64)> {
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    rows
}

/// The log probability that a bound is kept.
fn log_probability(model: &BoundModel, posterior: Posterior) -> Acquisition {
    log_probability_below(posterior.mean, posterior.deviation(), model.bound)
}

/// Rows in the order of the first model's posterior mean: those that may be the best first. While there are none, those
/// first of which the constraints are expected to be broken least.
fn order_by_mean(models: &Models) -> Vec<usize> {
    let (_, features) = models.points();
    let eligible = models.eligible();
    let by_loss = eligible.contains(&true) || models.bounds().is_empty();
    let means = models.losses().first().filter(|_| by_loss).map(|model| model.process.observed_means());
    let key = |row: usize| {
        if let Some(means) = &means {
            return means[row];
        }
        let features = &features[row];
        let excess = |model: &BoundModel| (model.process.predict_mean(features) - model.bound).max(0.0);
        models.bounds().iter().map(excess).sum()
    };
    let mut order: Vec<(bool, f64, usize)> =
        (0..features.len()).map(|row| (!eligible[row], key(row), row)).collect();
    order.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    order.into_iter().map(|(_, _, row)| row).collect()
}

/// Places of the points of a front, those first around which it has the largest gaps: the ends, then by crowding distance.
/// `front`: shape (count, objective). Source: Deb, Pratap, Agarwal and Meyarivan 2002 (NSGA-II), section III.B.
fn by_crowding(front: &[&[f64]]) -> Vec<usize> {
    let mut distances = vec![0.0; front.len()];
    let objective_count = front.first().map_or(0, |point| point.len());
    for objective in 0..objective_count {
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|&a, &b| front[a][objective].total_cmp(&front[b][objective]).then(a.cmp(&b)));
        let loss = |place: usize| front[order[place]][objective];
        let range = loss(order.len() - 1) - loss(0);
        distances[order[0]] = f64::INFINITY;
        distances[order[order.len() - 1]] = f64::INFINITY;
        if range > 0.0 {
            for place in 1..order.len() - 1 {
                distances[order[place]] += (loss(place + 1) - loss(place - 1)) / range;
            }
        }
    }
    let mut order: Vec<usize> = (0..front.len()).collect();
    order.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::{Fits, Refit, Shape};
    use crate::models::tests::{fit, space, told};
    use crate::options::Options;
    use crate::representation::Representation;
    use ansatz_core::rng::Rng;

    fn shape(metric_count: usize, constraint_count: usize) -> Shape {
        Shape { metric_count, constraint_count }
    }

    #[test]
    fn gradients_and_batches_agree_with_single_values() {
        let space = space();
        let representation = Representation::new(&space);
        let shapes = [(1, 0), (1, 1), (1, 3), (2, 0), (2, 2), (3, 0), (3, 1), (4, 0)];
        // With excesses raised so far that nothing is allowed, the probability is all there is.
        let cases = shapes
            .map(|(m, c)| (shape(m, c), 0.0))
            .into_iter()
            .chain([(shape(1, 2), 2.0), (shape(2, 1), 2.0)]);
        for (shape, raise) in cases {
            let mut told = told(&space, 30, shape);
            for told in &mut told {
                if let crate::history::Lesson::Measured { excesses, .. } = &mut told.lesson {
                    excesses.iter_mut().for_each(|excess| *excess += raise);
                }
            }
            let mut fits = Fits::none(shape, &Options::default(), false);
            let models = fit(&representation, &told, shape, &mut fits, true).unwrap();
            let function = AllowedImprovement::new(&models, Reference::Near).unwrap().inside(0.1);
            assert_eq!(matches!(function.improvement, Improvement::Anything), raise > 0.0);
            let mut rng = Rng::new(2);
            let rows: Vec<Vec<f64>> =
                (0..20).map(|_| representation.features(&space.sample(&mut rng).unwrap())).collect();
            let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            let mut gradients = Vec::new();
            let values = function.acquisition_with_gradients(&rows, &mut gradients);
            let batch = function.acquisition_batch(&rows);
            for (((row, batched), value), gradient) in
                rows.iter().zip(batch).zip(values).zip(gradients.chunks(rows[0].len()))
            {
                assert!((value - batched).abs() < 1e-6 * (1.0 + value.abs()), "{shape:?}: {value} {batched}");
                assert!((value - function.acquisition(row)).abs() < 1e-9 * (1.0 + value.abs()));
                for feature in 0..row.len() {
                    if representation.columns()[feature] != Column::Continuous {
                        assert_eq!(gradient[feature], 0.0);
                        continue;
                    }
                    let moved = |step: f64| {
                        let mut row = row.to_vec();
                        row[feature] += step;
                        function.acquisition(&row)
                    };
                    // Tails of probabilities bend more than improvements: Richardson's extrapolation.
                    let slope = |step: f64| (moved(step) - moved(-step)) / (2.0 * step);
                    let expected = (4.0 * slope(1e-5) - slope(2e-5)) / 3.0;
                    let found = gradient[feature];
                    // Far in a tail the rounding of a small variance is magnified.
                    let tolerance = if value > -30.0 { 1e-3 } else { 1e-2 };
                    assert!(
                        (found - expected).abs() < tolerance * (1.0 + expected.abs()),
                        "{shape:?}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn improvements_are_expected_of_widened_posteriors() {
        let space = space();
        let representation = Representation::new(&space);
        let one = shape(1, 0);
        let scale_count = representation.columns().iter().filter(|column| column.has_length_scale()).count();
        let mut slope_count = 0;
        for (count, observations_of_a_fit) in [(20, 20.0), (250, 200.0)] {
            let mut history = told(&space, 2 * count, one);
            // what counts as bad looks like noise
            history.retain(|told| told.losses().is_some());
            history.truncate(count);
            let mut fits = Fits::none(one, &Options::default(), false);
            let mut models = fit(&representation, &history, one, &mut fits, true).unwrap();
            // what is believed teaches no hyperparameter
            models.believe(&representation, &[told(&space, count + 1, one)[count].point.clone()]).unwrap();
            let function = AllowedImprovement::new(&models, Reference::Near).unwrap();
            let eligible = models.eligible();
            let factor = (1.0 + (scale_count + 2) as f64 / observations_of_a_fit).sqrt();
            let of_model = |model: &LossModel| model.widening(models.evaluated_count());
            assert!(models.losses().iter().any(|model| of_model(model) == factor));
            let mut rng = Rng::new(3);
            let rows: Vec<Vec<f64>> =
                (0..200).map(|_| representation.features(&space.sample(&mut rng).unwrap())).collect();
            let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            let mut gradients = Vec::new();
            function.acquisition_with_gradients(&rows, &mut gradients);
            for (index, row) in rows.iter().enumerate() {
                let expected: f64 = (models.losses().iter())
                    .map(|model| {
                        let means = model.means.iter().zip(eligible).filter(|(_, eligible)| **eligible);
                        let best = means.map(|(mean, _)| *mean).fold(f64::INFINITY, f64::min);
                        let posterior = model.process.predict(row);
                        let deviation = of_model(model) * posterior.deviation();
                        log_expected_improvement(posterior.mean, deviation, best).value
                    })
                    .sum::<f64>()
                    / models.losses().len() as f64;
                let found = function.acquisition(row);
                assert!((found - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{found} {expected}");
                // far in a tail slopes change too fast for differences
                let is_smooth =
                    |k: &usize| expected > -20.0 && representation.columns()[*k] == Column::Continuous;
                for feature in (0..row.len()).filter(is_smooth) {
                    slope_count += 1;
                    let moved = |step: f64| {
                        let mut row = row.to_vec();
                        row[feature] += step;
                        function.acquisition(&row)
                    };
                    let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                    let found = gradients[index * row.len() + feature];
                    assert!((found - slope).abs() < 1e-3 * (1.0 + slope.abs()), "{found} {slope}");
                }
            }
            for (index, value) in function.best_rows(&rows) {
                let expected = function.acquisition(rows[index]);
                assert!((value - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{value} {expected}");
            }
        }
        assert!(slope_count > 20, "{slope_count}");
    }

    #[test]
    fn the_best_points_are_expected_inside_the_ranges() {
        let space = space();
        let representation = Representation::new(&space);
        let columns = representation.columns();
        assert!([Column::Categorical, Column::Activity].iter().all(|kind| columns.contains(kind)));
        // of enough points for models of fewer, and for models of the nearest
        for (shape, count) in [(shape(1, 0), 1100), (shape(1, 1), 30), (shape(2, 0), 30), (shape(3, 1), 30)] {
            let history = told(&space, count, shape);
            let mut fits = Fits::none(shape, &Options::default(), false);
            let models = fit(&representation, &history, shape, &mut fits, true).unwrap();
            let plain = AllowedImprovement::new(&models, Reference::Near).unwrap();
            let inside = plain.clone().inside(0.2);
            let mut rng = Rng::new(5);
            let rows: Vec<Vec<f64>> =
                (0..50).map(|_| representation.features(&space.sample(&mut rng).unwrap())).collect();
            let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            let expected: Vec<f64> = (rows.iter())
                .map(|row| {
                    let is_number = |(_, column): &(&f64, &Column)| **column == Column::Continuous;
                    let numbers = row.iter().zip(columns).filter(is_number);
                    let squared: f64 = numbers.map(|(x, _)| ((x - 0.5) / 0.25).powi(2)).sum();
                    -0.5 * squared * 0.2
                })
                .collect();
            let differ = |with: &dyn AcquisitionFunction, without: &dyn AcquisitionFunction| {
                let values = with.acquisition_batch(&rows).into_iter().zip(without.acquisition_batch(&rows));
                for ((with, without), expected) in values.zip(&expected) {
                    let tolerance = 1e-12 * (1.0 + without.abs());
                    assert!((with - without - expected).abs() < tolerance, "{with} {without} {expected}");
                }
            };
            differ(&inside, &plain);
            assert_eq!(inside.rough().is_some(), count == 1100);
            if let (Some(with), Some(without)) = (inside.rough(), plain.rough()) {
                differ(with, without);
            }
            assert_eq!(inside.near(&rows).is_some(), count == 1100);
            if let (Some(with), Some(without)) = (inside.near(&rows), plain.near(&rows)) {
                differ(&*with, &*without);
            }
        }
    }

    #[test]
    fn models_that_go_on_have_the_bits_of_new_ones() {
        let space = space();
        let representation = Representation::new(&space);
        let options = Options { observation_count_max: 400, ..Options::default() };
        for (shape, has_rough) in [(shape(1, 0), true), (shape(1, 2), false), (shape(2, 0), false)] {
            let told = told(&space, 520, shape);
            let mut fits = Fits::none(shape, &options, false);
            let mut continued = |former, count, refit: bool| {
                let told = &told[..count];
                let refit = if refit { Refit::All { turn: count } } else { Refit::None };
                Models::continued(former, &representation, told, shape, None, &options, &mut fits, refit)
            };
            let mut former = continued(None, 410, true).unwrap();
            assert_eq!(former.as_ref().is_some_and(|former| former.rough().is_some()), has_rough);
            let rows: Vec<Vec<f64>> =
                told[..20].iter().map(|told| representation.features(&told.point)).collect();
            let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            for count in [411, 413, 440, 520] {
                let new = continued(None, count, false).unwrap().unwrap();
                former = continued(former, count, false).unwrap();
                let new = AllowedImprovement::new(&new, Reference::Near).unwrap();
                let gone_on = AllowedImprovement::new(former.as_ref().unwrap(), Reference::Near).unwrap();
                assert_eq!(new.acquisition_batch(&rows), gone_on.acquisition_batch(&rows));
                let rough = |function: &AllowedImprovement<'_>| {
                    function.rough().map(|rough| rough.acquisition_batch(&rows))
                };
                assert_eq!(rough(&new), rough(&gone_on));
            }
        }
    }

    #[test]
    fn models_of_the_nearest_know_a_little_less_and_nearly_the_same() {
        let space = space();
        let representation = Representation::new(&space);
        let one = shape(1, 0);
        let history = told(&space, 1100, one);
        let mut fits = Fits::none(one, &Options::default(), false);
        let few = fit(&representation, &history[..1000], one, &mut fits, true).unwrap();
        let rows: Vec<Vec<f64>> =
            history[1090..].iter().map(|told| representation.features(&told.point)).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        assert!(few.near(&rows).is_none());
        let models = fit(&representation, &history, one, &mut fits, false).unwrap();
        let near = models.near(&rows).unwrap();
        let function = AllowedImprovement::new(&models, Reference::Near).unwrap();
        assert!(function.near(&rows).is_some());
        for (all, some) in models.losses().iter().zip(near.losses()) {
            let (all, some) = (&all.process, &some.process);
            assert_eq!(some.targets().len(), 512);
            for (all, some) in all.predict_batch(&rows).into_iter().zip(some.predict_batch(&rows)) {
                assert!(some.variance >= 0.999 * all.variance, "{all:?} {some:?}");
                assert!(some.variance < 2.0 * all.variance, "{all:?} {some:?}");
                assert!((some.mean - all.mean).abs() < 3.0 * all.deviation(), "{all:?} {some:?}");
            }
        }
        // with constraints the search takes the models of all
        let bound = shape(1, 1);
        let mut fits = Fits::none(bound, &Options::default(), false);
        let history = told(&space, 1100, bound);
        let models = fit(&representation, &history, bound, &mut fits, true).unwrap();
        assert!(models.near(&rows).is_none());
    }

    #[test]
    fn the_best_rows_are_those_of_all_models() {
        let space = space();
        let representation = Representation::new(&space);
        for (shape, count) in [(shape(1, 0), 125), (shape(1, 1), 500), (shape(2, 0), 500)] {
            let told = told(&space, 40, shape);
            let mut fits = Fits::none(shape, &Options::default(), false);
            let models = fit(&representation, &told, shape, &mut fits, true).unwrap();
            let function = AllowedImprovement::new(&models, Reference::Near).unwrap().inside(0.1);
            let mut rng = Rng::new(3);
            let rows: Vec<Vec<f64>> =
                (0..500).map(|_| representation.features(&space.sample(&mut rng).unwrap())).collect();
            let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            let values = function.acquisition_batch(&rows);
            let best = function.best_rows(&rows);
            assert_eq!(best.len(), count);
            let agrees =
                |(index, value): &(usize, f64)| (values[*index] - value).abs() < 1e-9 * (1.0 + value.abs());
            assert!(best.iter().all(agrees));
            assert!(best.is_sorted_by(|a, b| a.1 >= b.1));
            let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert!((best[0].1 - top).abs() < 1e-9 * (1.0 + top.abs()), "{best:?} {top}");
        }
    }

    #[test]
    fn the_order_of_the_objectives_does_not_matter() {
        let space = space();
        let representation = Representation::new(&space);
        for (metric_count, swap) in [(2, [1, 0, 0]), (3, [2, 0, 1])] {
            let shape = shape(metric_count, 0);
            let straight = told(&space, 25, shape);
            let mut turned = straight.clone();
            for told in &mut turned {
                if let crate::history::Lesson::Measured { losses, .. } = &mut told.lesson {
                    *losses = (0..metric_count).map(|metric| losses[swap[metric]]).collect();
                }
            }
            // The same models: which one tries the usual start depends on its place.
            let mut fits = Fits::none(shape, &Options::default(), false);
            let models = fit(&representation, &straight, shape, &mut fits, true).unwrap();
            let mut fits = Fits::none(shape, &Options::default(), false);
            let turned_models = fit(&representation, &turned, shape, &mut fits, true).unwrap();
            let (a, b) = (
                AllowedImprovement::new(&models, Reference::Near).unwrap(),
                AllowedImprovement::new(&turned_models, Reference::Near).unwrap(),
            );
            let mut rng = Rng::new(4);
            for _ in 0..30 {
                let row = representation.features(&space.sample(&mut rng).unwrap());
                let (a, b) = (a.acquisition(&row), b.acquisition(&row));
                assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_likely_to_break_a_constraint_is_worth_less() {
        let space = space();
        let representation = Representation::new(&space);
        let shape = shape(1, 1);
        let told = told(&space, 30, shape);
        let mut fits = Fits::none(shape, &Options::default(), false);
        let models = fit(&representation, &told, shape, &mut fits, true).unwrap();
        let bound = &models.bounds()[0];
        for (x, is_allowed) in [(0.1, false), (0.2, false), (0.6, true), (0.9, true)] {
            let mut row = representation.features(&told[0].point);
            row[0] = x;
            let posterior = bound.process.predict(&row);
            let log_probability = log_probability(bound, posterior).value;
            assert_eq!(log_probability > -0.1, is_allowed, "{x}: {log_probability}");
            assert_eq!(log_probability < -3.0, !is_allowed, "{x}: {log_probability}");
        }
    }

    #[test]
    fn the_ends_of_a_front_come_first_and_then_the_gaps() {
        let front = [[0.0, 4.0], [1.0, 1.0], [1.1, 0.9], [3.0, 0.5], [4.0, 0.0]];
        let front: Vec<&[f64]> = front.iter().map(|point| &point[..]).collect();
        assert_eq!(by_crowding(&front), [0, 4, 1, 3, 2]);
        assert_eq!(by_crowding(&front[..1]), [0]);
        assert_eq!(by_crowding(&[]), [0; 0]);
    }
}
