//! Instances of a function: the same difficulty with its optimum elsewhere, so that no strategy profits from a place
//! that it happens to try, such as the centre of the space.
//!
//! With o the function's (first) optimiser, t a translation, R an orthogonal matrix and c a constant, the instance is
//! g(x) = f(o + R (x - o - t)) + c, and its optimum f(o) + c is reached at o + t. Two things must hold for that to be
//! the least value of the space: o + t lies in it, for which t is drawn so; and f has nothing below f(o) where its
//! argument may now come to lie, which is outside of f's own bounds. [`Beyond`] says for each function why that holds.

use crate::functions::{Beyond, Function, Single};
use ansatz_core::rng::{Rng, Streams};
use ansatz_core::space::Domain;
use rand::RngExt;

/// How near to the edge of the space an optimum may come to lie, in widths of a parameter's range.
const MARGIN: f64 = 0.1;
/// The constant that is added lies between these, with either sign.
const CONSTANT: (f64, f64) = (1.0, 100.0);

/// Where an instance has its function. See the module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placement {
    /// o, shape (d,).
    centre: Vec<f64>,
    /// t, shape (d,).
    translation: Vec<f64>,
    /// R, shape (d, d), row by row; `None` for the unit matrix.
    rotation: Option<Vec<f64>>,
    /// Added to the value, not to the regret.
    pub constant: f64,
    /// Where an argument is reflected at the bounds of the function: those.
    reflection: Option<Vec<(f64, f64)>>,
}

impl Placement {
    /// The placement of an instance; `None` where the function stays as it is. `domains` are those of the arguments.
    /// The error says why the function has no such instance.
    pub fn new(
        function: &Function,
        single: &Single,
        domains: &[&Domain],
        instance: Option<u64>,
        is_rotated: bool,
    ) -> Result<Option<Self>, String> {
        if instance.is_none() && !is_rotated {
            return Ok(None);
        }
        let name = function.name;
        if is_rotated && single.beyond != Beyond::Greater {
            return Err(format!(
                "{name} cannot be rotated: outside of its bounds it has lower values, or none; drop rotate"
            ));
        }
        if is_rotated && domains.iter().any(|domain| !matches!(domain, Domain::Float { step: None, .. })) {
            return Err(format!("{name} is rotated for float parameters without a step only; drop rotate"));
        }
        let d = domains.len();
        let centre =
            single.optimisers(d).into_iter().next().ok_or("the place of the optimum is not known")?;
        let streams = Streams::new(instance.unwrap_or(0));
        let stream = |purpose: &str| streams.stream(&format!("synthetic/{name}/{purpose}"));
        let constant = instance.map_or(0.0, |instance| constant(name, instance));
        let mut translation = vec![0.0; d];
        if instance.is_some() {
            let mut rng = stream("translation");
            for (index, domain) in domains.iter().enumerate() {
                translation[index] = shift(domain, centre[index], &mut rng);
            }
        }
        let reflection = (single.beyond == Beyond::Undefined)
            .then(|| (0..d).map_while(|index| single.bounds.of(index)).collect());
        let rotation = is_rotated.then(|| orthogonal(d, &mut stream("rotation")));
        Ok(Some(Self { centre, translation, rotation, constant, reflection }))
    }

    /// Where the function is evaluated for a point `x`, shape (d,).
    pub fn argument(&self, x: &[f64]) -> Vec<f64> {
        let d = self.centre.len();
        let away: Vec<f64> = (0..d).map(|i| x[i] - (self.centre[i] + self.translation[i])).collect();
        let away = match &self.rotation {
            Some(matrix) => matrix
                .chunks_exact(d)
                .map(|row| row.iter().zip(&away).map(|(r, a)| r * a).sum::<f64>())
                .collect(),
            None => away,
        };
        let mut argument: Vec<f64> = self.centre.iter().zip(away).map(|(c, a)| c + a).collect();
        if let Some(bounds) = &self.reflection {
            for (value, (lower, upper)) in argument.iter_mut().zip(bounds) {
                *value = reflect(*value, *lower, *upper);
            }
        }
        argument
    }

    /// Where the optimum is reached, shape (d,).
    #[cfg(test)]
    pub fn optimiser(&self) -> Vec<f64> {
        self.centre.iter().zip(&self.translation).map(|(c, t)| c + t).collect()
    }
}

/// What an instance adds to the value.
pub(crate) fn constant(function: &str, instance: u64) -> f64 {
    let mut rng = Streams::new(instance).stream(&format!("synthetic/{function}/constant"));
    let size = CONSTANT.0 + (CONSTANT.1 - CONSTANT.0) * rng.random::<f64>();
    if rng.random::<bool>() { size } else { -size }
}

/// A translation along one parameter: the optimum comes to lie within the range, `MARGIN` away from its ends. Whole
/// for whole numbers, a multiple of the step for steps: an optimum that was one of the values stays one.
fn shift(domain: &Domain, centre: f64, rng: &mut Rng) -> f64 {
    let (lower, upper) = (domain.lower(), domain.upper());
    let share = MARGIN + (1.0 - 2.0 * MARGIN) * rng.random::<f64>();
    let wanted = lower + share * (upper - lower) - centre;
    let step = match domain {
        Domain::Float { step: Some(step), .. } => *step,
        Domain::Int { step, .. } => *step as f64,
        _ => return wanted,
    };
    let (least, most) = (((lower - centre) / step).ceil() * step, ((upper - centre) / step).floor() * step);
    if least > most { 0.0 } else { ((wanted / step).round() * step).clamp(least, most) }
}

/// A value folded back into the bounds, as a ball comes back from walls.
fn reflect(value: f64, lower: f64, upper: f64) -> f64 {
    let width = upper - lower;
    if (lower..=upper).contains(&value) || width <= 0.0 {
        return value.clamp(lower, upper);
    }
    let folded = (value - lower).rem_euclid(2.0 * width);
    lower + if folded > width { 2.0 * width - folded } else { folded }
}

/// An orthogonal matrix of shape (d, d), row by row, uniformly distributed: normal rows, made orthonormal one after the
/// other (Gram-Schmidt, each twice for precision).
fn orthogonal(d: usize, rng: &mut Rng) -> Vec<f64> {
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(d);
    while rows.len() < d {
        let mut row: Vec<f64> = (0..d).map(|_| standard_normal(rng)).collect();
        for _ in 0..2 {
            for known in &rows {
                let along: f64 = row.iter().zip(known).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(known).for_each(|(a, b)| *a -= along * b);
            }
        }
        let length = row.iter().map(|a| a * a).sum::<f64>().sqrt();
        // a row that is nearly within the span of the others is drawn again
        if length > 1e-6 {
            rows.push(row.into_iter().map(|a| a / length).collect());
        }
    }
    rows.concat()
}

/// Box and Muller 1958, the cosine branch. The logarithm's argument lies in (0, 1].
pub(crate) fn standard_normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - rng.random::<f64>())).sqrt();
    radius * libm::cos(2.0 * std::f64::consts::PI * rng.random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::{FUNCTIONS, Kind};

    /// Every single function with a dimension, and the domains of its bounds.
    fn functions() -> impl Iterator<Item = (&'static Function, Single, Vec<Domain>)> {
        FUNCTIONS.iter().flat_map(|function| {
            let Kind::Single(single) = function.kind else { return Vec::new() };
            let fitting = [2, 3, 5, 6, 9].into_iter().filter(|d| single.dimension.allows(*d));
            let cases = fitting.map(|d| {
                let domain = |i| {
                    let (lower, upper) = single.bounds.of(i).unwrap();
                    Domain::Float { lower, upper, scale: Default::default(), step: None }
                };
                (function, single, (0..d).map(domain).collect())
            });
            cases.collect()
        })
    }

    #[test]
    fn an_instance_has_its_optimum_where_it_says_and_nothing_below() {
        let mut rng = Rng::new(5);
        for (function, single, domains) in functions() {
            let d = domains.len();
            let domains: Vec<&Domain> = domains.iter().collect();
            let optimum = single.optimum(d).unwrap();
            for (instance, is_rotated) in [(1, false), (2, true), (3, false), (40, true)] {
                let placement = Placement::new(function, &single, &domains, Some(instance), is_rotated);
                let placement = match placement {
                    Ok(placement) => placement.unwrap(),
                    Err(_) => {
                        assert!(is_rotated && single.beyond != Beyond::Greater, "{}", function.name);
                        continue;
                    }
                };
                let regret = |x: &[f64]| single.value(&placement.argument(x)).unwrap() - optimum;
                let best = placement.optimiser();
                for (value, domain) in best.iter().zip(&domains) {
                    let margin = 0.099 * (domain.upper() - domain.lower());
                    assert!(*value >= domain.lower() + margin && *value <= domain.upper() - margin);
                }
                let scale = 1e-9 * (1.0 + optimum.abs());
                assert!(regret(&best).abs() < scale, "{} {d}: {}", function.name, regret(&best));
                for round in 0..3_000 {
                    let near = if round % 3 == 0 { 1.0 } else { 0.01 };
                    let x: Vec<f64> = (0..d)
                        .map(|i| {
                            let (lower, upper) = (domains[i].lower(), domains[i].upper());
                            let anywhere = lower + (upper - lower) * rng.random::<f64>();
                            (best[i] + near * (anywhere - best[i])).clamp(lower, upper)
                        })
                        .collect();
                    assert!(regret(&x) > -scale, "{} {d} {x:?}: {}", function.name, regret(&x));
                }
            }
        }
    }

    #[test]
    fn instances_differ_and_repeat() {
        let (function, single, domains) = functions().next().unwrap();
        let domains: Vec<&Domain> = domains.iter().collect();
        let placement = |instance| Placement::new(function, &single, &domains, instance, true).unwrap();
        assert_eq!(placement(Some(1)), placement(Some(1)));
        assert_ne!(placement(Some(1)), placement(Some(2)));
        let still = placement(None).unwrap();
        assert_eq!((still.constant, still.optimiser()), (0.0, still.centre.clone()));
        assert_eq!(Placement::new(function, &single, &domains, None, false), Ok(None));
    }

    #[test]
    fn a_rotation_keeps_lengths_and_angles() {
        for d in [1, 2, 5, 20] {
            let matrix = orthogonal(d, &mut Rng::new(d as u64));
            for i in 0..d {
                for j in 0..d {
                    let product: f64 = (0..d).map(|k| matrix[i * d + k] * matrix[j * d + k]).sum();
                    let expected = if i == j { 1.0 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn whole_numbers_are_moved_by_whole_numbers() {
        let domain = Domain::Int { lower: -5, upper: 5, scale: Default::default(), step: 2 };
        for seed in 0..50 {
            let moved = shift(&domain, -1.0, &mut Rng::new(seed));
            assert_eq!(moved % 2.0, 0.0);
            assert!((-5.0..=5.0).contains(&(-1.0 + moved)));
        }
    }

    #[test]
    fn reflection_comes_back_from_both_walls() {
        let cases = [(0.5, 0.5), (1.25, 0.75), (-0.25, 0.25), (2.5, 0.5), (3.25, 0.75), (1.0, 1.0)];
        for (value, expected) in cases {
            assert_eq!(reflect(value, 0.0, 1.0), expected);
        }
    }
}
