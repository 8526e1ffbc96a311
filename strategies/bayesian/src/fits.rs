//! Where the fits of the models begin, and when: hyperparameters of the last ones, and whose turn it is.

use ansatz_surrogate::{Hyperparameters, Start};
use serde::{Deserialize, Serialize};

use crate::options::Options;

/// Up to this many observations the hyperparameters of all models are fitted after each; beyond, those of each model when a
/// fiftieth has come in, one model after the other, lest all of the work be in the same ask. After many results at once several
/// are.
const REFIT_ALWAYS_COUNT_MAX: usize = 100;
const REFIT_SHARE: usize = 50;

/// How many metrics and outcome constraints a problem has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) metric_count: usize,
    pub(crate) constraint_count: usize,
}

/// Hyperparameters of the last fits of some models, where the next ones begin, and when these are due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fits {
    /// In the order of the models of losses.
    pub(crate) losses: Vec<Option<Hyperparameters>>,
    /// In the order of the outcome constraints.
    pub(crate) constraints: Vec<Option<Hyperparameters>>,
    /// How much was told when it was last seen which of them are to be fitted.
    seen_count: usize,
    /// The number of the next fit; 0 before the first.
    turn: usize,
    /// How many fits of one model what was told since is worth.
    due: f64,
}

impl Fits {
    /// None yet. `is_weighted`: the metrics are made one loss.
    pub(crate) fn none(shape: Shape, options: &Options, is_weighted: bool) -> Self {
        let one_loss = is_weighted || shape.metric_count == 1;
        let loss_count = if one_loss { options.warps.len() } else { shape.metric_count };
        Self {
            losses: vec![None; loss_count],
            constraints: vec![None; shape.constraint_count],
            ..Self::default()
        }
    }

    /// Which models are fitted anew now that `count` trials were told, and what is due is paid. `is_another_loss`: theirs is
    /// not the one that they were fitted to.
    pub(crate) fn next_refit(&mut self, count: usize, is_another_loss: bool) -> Refit {
        let news = count - self.seen_count.min(count);
        self.seen_count = count;
        let turn = if self.turn == 0 { count } else { self.turn };
        if count <= REFIT_ALWAYS_COUNT_MAX {
            if news == 0 && !is_another_loss {
                return Refit::None;
            }
            self.turn = turn + 1;
            return Refit::All { turn };
        }
        let total = self.losses.len() + self.constraints.len();
        self.due += (news * REFIT_SHARE * total) as f64 / count as f64;
        let due = (self.due as usize).min(total);
        if due == 0 {
            return Refit::None;
        }
        // what is more than all of them is done with that
        self.due = if due == total { 0.0 } else { self.due - due as f64 };
        self.turn = turn + due;
        Refit::Some { turn, count: due }
    }

    /// All of them, losses before constraints.
    #[cfg(test)]
    pub(crate) fn all(&self) -> Vec<Option<Hyperparameters>> {
        self.losses.iter().chain(&self.constraints).cloned().collect()
    }

    /// Whether they are of the same number of models.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.losses.len() == other.losses.len() && self.constraints.len() == other.constraints.len()
    }
}

/// Which models are fitted anew; the others use the hyperparameters of their last fit. One that has never been fitted is.
///
/// A fit begins where the last one ended. Now and then it begins elsewhere as well, lest a model stay in a bad mode, but by
/// turns: where one model is stuck the others are not. The usual start and the noisy one alternate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refit {
    None,
    /// All of them. `turn`: says which one begins elsewhere as well, of the losses and of the constraints.
    All {
        turn: usize,
    },
    /// So many of them, from the one whose turn it is on, losses before constraints; in some turns from elsewhere as well.
    Some {
        turn: usize,
        count: usize,
    },
}

impl Refit {
    /// Where the fit of a model begins besides its last one; `None` if it is not fitted. `index` of `count` models of its
    /// kind, `offset` of them all before those of its kind, `total` in all.
    pub(crate) fn starts(self, place: Place) -> Option<&'static [Start]> {
        let Place { index, count, offset, total } = place;
        let (count, total) = (count.max(1), total.max(1));
        // how often it was this model's turn to begin elsewhere
        let (is_turn, turns) = match self {
            Self::None => return None,
            Self::All { turn } => (index == turn % count, turn / count),
            Self::Some { turn, count: due } => {
                let of_it = (turn..turn + due).find(|turn| offset + index == turn % total)?;
                let round = of_it / total + index;
                (round.is_multiple_of(count), round / count)
            }
        };
        Some(match (is_turn, turns % 2) {
            (false, _) => &[],
            (true, 0) => &[Start::Usual],
            (true, _) => &[Start::Noisy],
        })
    }
}

/// Where a model stands among the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Among the `count` models of losses, or of constraints.
    pub(crate) index: usize,
    pub(crate) count: usize,
    /// How many models of another kind come before.
    pub(crate) offset: usize,
    /// How many there are of all kinds.
    pub(crate) total: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitted_one_by_one_every_model_has_its_turn_and_its_other_starts() {
        let places = |index, count, offset| Place { index, count, offset, total: 5 };
        let places: Vec<Place> =
            (0..3).map(|i| places(i, 3, 0)).chain((0..2).map(|i| places(i, 2, 3))).collect();
        let mut fits = [0; 5];
        let mut starts: [Vec<Start>; 5] = Default::default();
        for turn in 0..60 {
            let refit = Refit::Some { turn, count: 1 };
            let begun: Vec<Option<&[Start]>> = places.iter().map(|place| refit.starts(*place)).collect();
            assert_eq!(begun.iter().flatten().count(), 1, "{begun:?}");
            for (model, begun) in begun.into_iter().enumerate() {
                fits[model] += usize::from(begun.is_some());
                starts[model].extend(begun.unwrap_or(&[]));
            }
        }
        assert_eq!(fits, [12; 5]);
        let (usual, noisy) = (Start::Usual, Start::Noisy);
        assert_eq!(starts[0], [usual, noisy, usual, noisy]);
        assert_eq!(starts[1], [noisy, usual, noisy, usual]);
        assert_eq!(starts[3], [usual, noisy, usual, noisy, usual, noisy]);
        let fitted = |turn, count| -> Vec<bool> {
            let refit = Refit::Some { turn, count };
            places.iter().map(|place| refit.starts(*place).is_some()).collect()
        };
        assert_eq!(fitted(3, 3), [true, false, false, true, true]);
        assert_eq!(fitted(7, 5), [true; 5]);
        // and all at once one begins elsewhere
        for turn in 0..6 {
            let begun = places[..3].iter().flat_map(|place| Refit::All { turn }.starts(*place).unwrap());
            assert_eq!(begun.collect::<Vec<_>>(), [if turn < 3 { &usual } else { &noisy }]);
        }
    }
}
