//! What an ask looks for where there are several metrics: by turns, because none of it finds a whole front.
//!
//! Measured from just beyond the front, hypervolume fills the gaps of the front that is known, and does not see a part of it
//! that lies past its ends, as the next piece of a front in pieces does. Measured from beyond all that is known it looks
//! there, and would leave the gaps. Of three metrics and four both see little but the edges of the front while the trials are
//! few, so that every fourth ask takes a loss made of all metrics with random weights (ParEGO, Knowles 2006). Beyond four the
//! boxes of what no trial dominates are too many, and that loss is all there is.

use crate::acquisition::Reference;

/// From so many metrics on some asks are for one loss made of all of them.
pub(crate) const WEIGHTED_COUNT_MIN: usize = 3;
/// With more metrics all of them are.
pub(crate) const FRONT_COUNT_MAX: usize = 4;

/// What an ask looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// A larger hypervolume; of one metric, a better value.
    Front(Reference),
    /// A better value of one loss made of all metrics, with weights that nobody had before.
    Weighted,
}

impl Aim {
    /// The aim after so many asks of its own. Trials of other strategies do not count: where two take turns, every second
    /// trial would always be the same turn.
    pub(crate) fn of_turn(metric_count: usize, turn: u64) -> Self {
        const NEAR: Aim = Aim::Front(Reference::Near);
        const OUTER: Aim = Aim::Front(Reference::Outer);
        let turns: &[Aim] = match metric_count {
            1 => &[NEAR],
            ..WEIGHTED_COUNT_MIN => &[NEAR, OUTER],
            WEIGHTED_COUNT_MIN..=FRONT_COUNT_MAX => &[NEAR, NEAR, OUTER, Aim::Weighted],
            _ => &[Aim::Weighted],
        };
        turns[(turn % turns.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_come_by_turns_as_many_as_the_metrics_need() {
        let turns = |metric_count: usize| [0, 1, 2, 3, 4, 5].map(|turn| Aim::of_turn(metric_count, turn));
        let (near, outer) = (Aim::Front(Reference::Near), Aim::Front(Reference::Outer));
        assert_eq!(turns(1), [near; 6]);
        assert_eq!(turns(2), [near, outer, near, outer, near, outer]);
        for metric_count in [3, 4] {
            assert_eq!(turns(metric_count), [near, near, outer, Aim::Weighted, near, near]);
        }
        assert_eq!(turns(5), [Aim::Weighted; 6]);
    }
}
