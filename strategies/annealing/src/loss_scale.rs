//! How large differences between losses are, from the first losses of a study.

use crate::options::LossScaling;
use serde::{Deserialize, Serialize};

/// Losses that are looked at.
pub(crate) const LOSS_COUNT: usize = 10;
/// Losses after which equal ones are taken for the whole truth.
const LOSS_COUNT_MAX: usize = 4 * LOSS_COUNT;

/// What losses are divided by. Once known it stays: a chain's costs must remain comparable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum LossScale {
    /// The losses so far.
    Measuring(Vec<f64>),
    /// The scale, above 0.
    Known(f64),
}

impl LossScale {
    pub(crate) fn new(scaling: LossScaling) -> Self {
        match scaling {
            LossScaling::Adaptive => Self::Measuring(Vec::new()),
            LossScaling::None => Self::Known(1.0),
        }
    }

    pub(crate) fn get(&self) -> Option<f64> {
        match self {
            Self::Measuring(_) => None,
            Self::Known(scale) => Some(*scale),
        }
    }

    /// Another finite loss. Where all are equal, more are awaited before 1 is taken.
    pub(crate) fn observe(&mut self, loss: f64) {
        let Self::Measuring(losses) = self else { return };
        losses.push(loss);
        if losses.len() < LOSS_COUNT {
            return;
        }
        if let Some(spread) = spread(losses) {
            *self = Self::Known(spread);
        } else if losses.len() >= LOSS_COUNT_MAX {
            *self = Self::Known(1.0);
        }
    }
}

/// The interquartile range, which a few awful losses do not move; the whole range where half of the
/// losses are equal. `None` where all are.
fn spread(losses: &[f64]) -> Option<f64> {
    let mut sorted = losses.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let quartiles = sorted[last - last / 4] - sorted[last / 4];
    let range = sorted[last] - sorted[0];
    [quartiles, range].into_iter().find(|spread| spread.is_finite() && *spread > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(losses: impl IntoIterator<Item = f64>) -> LossScale {
        let mut scale = LossScale::new(LossScaling::Adaptive);
        losses.into_iter().for_each(|loss| scale.observe(loss));
        scale
    }

    #[test]
    fn outliers_do_not_move_it() {
        let plain = measured((0..10).map(f64::from));
        assert_eq!(plain.get(), Some(5.0));
        assert_eq!(measured((0..9).map(f64::from).chain([1e300])), plain);
        assert_eq!(measured((0..9).map(f64::from)).get(), None);
    }

    #[test]
    fn it_scales_with_the_losses_and_ignores_their_level() {
        let losses = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, -6.0, 5.0, 3.5];
        let scale = measured(losses).get().unwrap();
        assert_eq!(measured(losses.map(|loss| 8.0 * loss)).get(), Some(8.0 * scale));
        assert_eq!(measured(losses.map(|loss| loss + 32.0)).get(), Some(scale));
    }

    #[test]
    fn it_stays_once_it_is_known() {
        let mut scale = measured((0..10).map(f64::from));
        let before = scale.clone();
        (0..100).for_each(|loss| scale.observe(1e6 * f64::from(loss)));
        assert_eq!(scale, before);
    }

    #[test]
    fn equal_losses_are_not_divided_by_zero() {
        assert_eq!(measured([2.0; 39]).get(), None);
        assert_eq!(measured([2.0; 40]).get(), Some(1.0));
        assert_eq!(measured([2.0; 12].into_iter().chain([2.5])).get(), Some(0.5));
    }
}
