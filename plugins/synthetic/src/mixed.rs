//! The function `mixed`: floats, whole numbers and choices without conditions, in which the choices decide where the best
//! numbers are. Our own definition; its optimum is known because the value is a sum of terms that are never negative and
//! all vanish at one point.
//!
//! | parameter | type | best |
//! |---|---|---|
//! | `x1`, `x2` | float, -5 to 5 | 1.25, -2.5 |
//! | `count` | int, 0 to 100 | 37 |
//! | `level` | int, -10 to 10 | 4 |
//! | `shape` | categorical `round`, `sharp`, `wavy`, `flat` | `wavy` |
//! | `side` | categorical `left`, `middle`, `right` | `left` |
//!
//! An instance has another best point, for choices too.

use ansatz_core::rng::Streams;
use ansatz_core::space::Parameter;
use rand::RngExt;
use std::f64::consts::PI;

/// Values of `shape`, in order.
pub const SHAPES: [&str; 4] = ["round", "sharp", "wavy", "flat"];
/// Values of `side`, in order.
pub const SIDES: [&str; 3] = ["left", "middle", "right"];
/// Bounds of `x1` and `x2`.
pub const X: (f64, f64) = (-5.0, 5.0);
/// Bounds of `count`.
pub const COUNT: (i64, i64) = (0, 100);
/// Bounds of `level`.
pub const LEVEL: (i64, i64) = (-10, 10);

/// The least value.
pub const OPTIMUM: f64 = 0.0;
/// The only point where it is reached.
pub const OPTIMISER: Mixed = Mixed { x: [1.25, -2.5], count: 37, level: 4, shape: 2, side: 0 };

/// What a choice costs by itself, by its distance from the best one.
const SHAPE_COSTS: [f64; 4] = [0.0, 0.3, 0.1, 0.5];
const SIDE_COSTS: [f64; 3] = [0.0, 0.2, 0.05];
/// How far the best numbers move with the shape, in widths of their ranges.
const SHAPE_SHIFTS: [f64; 4] = [0.0, 0.3, -0.25, 0.15];
/// How steep the numbers are, by shape.
const STEEPNESS: [f64; 4] = [4.0, 8.0, 2.0, 1.0];

/// One point of the function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixed {
    /// `x1` and `x2`.
    pub x: [f64; 2],
    /// `count`.
    pub count: i64,
    /// `level`.
    pub level: i64,
    /// Index into [`SHAPES`].
    pub shape: usize,
    /// Index into [`SIDES`].
    pub side: usize,
}

/// The parameters, in the order of the table above.
pub fn parameters() -> Vec<Parameter> {
    vec![
        Parameter::float("x1", X.0, X.1),
        Parameter::float("x2", X.0, X.1),
        Parameter::int("count", COUNT.0, COUNT.1),
        Parameter::int("level", LEVEL.0, LEVEL.1),
        Parameter::categorical("shape", SHAPES.map(str::to_owned)),
        Parameter::categorical("side", SIDES.map(str::to_owned)),
    ]
}

/// The best point of an instance: numbers in the middle four fifths of their ranges, any choice.
pub fn optimiser(instance: Option<u64>) -> Mixed {
    let Some(instance) = instance else { return OPTIMISER };
    let mut rng = Streams::new(instance).stream("synthetic/mixed/optimiser");
    let mut x = [0.0; 2];
    for value in &mut x {
        *value = X.0 + (0.1 + 0.8 * rng.random::<f64>()) * (X.1 - X.0);
    }
    Mixed {
        x,
        count: rng.random_range(COUNT.0 + 10..=COUNT.1 - 10),
        level: rng.random_range(LEVEL.0 + 2..=LEVEL.1 - 2),
        shape: rng.random_range(0..SHAPES.len()),
        side: rng.random_range(0..SIDES.len()),
    }
}

/// The value at `point` where `best` is the best one: 0 there and more everywhere else.
pub fn value(point: &Mixed, best: &Mixed) -> f64 {
    let shape = (point.shape + SHAPES.len() - best.shape) % SHAPES.len();
    let side = (point.side + SIDES.len() - best.side) % SIDES.len();
    // widths of the ranges
    let u = [0, 1].map(|i| (point.x[i] - best.x[i]) / (X.1 - X.0) - SHAPE_SHIFTS[shape]);
    let count = (point.count - best.count) as f64 / (COUNT.1 - COUNT.0) as f64;
    let level = (point.level - best.level) as f64 / (LEVEL.1 - LEVEL.0) as f64;
    // the two numbers are coupled, by which depends on the side; more count makes up for less level
    let coupling = [0.8, -0.8, 0.0][side];
    let bowl = u[0] * u[0] + u[1] * u[1] + coupling * u[0] * u[1];
    let ripple = 0.02 * (2.0 - libm::cos(6.0 * PI * u[0]) - libm::cos(6.0 * PI * u[1]));
    let trade = count + 0.7 * level;
    SHAPE_COSTS[shape]
        + SIDE_COSTS[side]
        + STEEPNESS[shape] * bowl
        + ripple
        + 3.0 * trade * trade
        + 0.3 * level * level
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::rng::Rng;

    fn random_point(rng: &mut Rng) -> Mixed {
        Mixed {
            x: [rng.random_range(X.0..=X.1), rng.random_range(X.0..=X.1)],
            count: rng.random_range(COUNT.0..=COUNT.1),
            level: rng.random_range(LEVEL.0..=LEVEL.1),
            shape: rng.random_range(0..SHAPES.len()),
            side: rng.random_range(0..SIDES.len()),
        }
    }

    #[test]
    fn the_best_point_is_the_only_one_without_cost() {
        let mut rng = Rng::new(3);
        for instance in [None, Some(0), Some(1), Some(77)] {
            let best = optimiser(instance);
            assert_eq!(value(&best, &best), OPTIMUM);
            for round in 0..5_000 {
                let mut point = random_point(&mut rng);
                if round % 2 == 0 {
                    // one thing differs
                    let other = point;
                    point = best;
                    match round % 6 {
                        0 => point.x = other.x,
                        2 => (point.count, point.level) = (other.count, other.level),
                        _ => (point.shape, point.side) = (other.shape, other.side),
                    }
                }
                assert!(point == best || value(&point, &best) > OPTIMUM, "{point:?} of {best:?}");
            }
        }
        assert_ne!(optimiser(Some(1)), optimiser(Some(2)));
    }

    /// By hand: another shape costs 0.3, and moves the best x by 0.3 of the range; count alone costs 3 times its square.
    #[test]
    fn values_are_those_of_the_definition() {
        let flat = Mixed { shape: 3, x: [4.25, 0.5], ..OPTIMISER };
        assert!((value(&flat, &OPTIMISER) - 0.3).abs() < 1e-12);
        let counted = Mixed { count: 87, ..OPTIMISER };
        assert!((value(&counted, &OPTIMISER) - 0.75).abs() < 1e-12);
        let right = Mixed { side: 2, ..OPTIMISER };
        assert!((value(&right, &OPTIMISER) - 0.05).abs() < 1e-12);
    }
}
