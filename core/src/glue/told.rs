//! Which trials a strategy was told, so that telling twice does nothing.

use serde::{Deserialize, Serialize};

/// A set of trial numbers as sorted, disjoint, half-open ranges: trials end almost in order, so there are few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialSet {
    ranges: Vec<(u64, u64)>,
}

impl TrialSet {
    /// Adds a number; false if it was there. `u64::MAX` is never a trial and counts as there.
    pub fn insert(&mut self, trial: u64) -> bool {
        let Some(end) = trial.checked_add(1) else { return false };
        // the first range that ends at or after the number
        let at = self.ranges.partition_point(|range| range.1 < trial);
        match self.ranges.get(at).copied() {
            Some((start, stop)) if (start..stop).contains(&trial) => return false,
            Some((_, stop)) if stop == trial => {
                self.ranges[at].1 = end;
                if self.ranges.get(at + 1).is_some_and(|next| next.0 == end) {
                    self.ranges[at].1 = self.ranges.remove(at + 1).1;
                }
            }
            Some((start, _)) if start == end => self.ranges[at].0 = trial,
            _ => self.ranges.insert(at, (trial, end)),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use rand::RngExt;
    use std::collections::HashSet;

    #[test]
    fn it_is_a_set_whatever_the_order() {
        let mut rng = Rng::new(5);
        for _ in 0..200 {
            let (mut set, mut reference) = (TrialSet::default(), HashSet::new());
            for _ in 0..60 {
                let trial = rng.random_range(0..40);
                assert_eq!(set.insert(trial), reference.insert(trial), "{trial} into {set:?}");
            }
            assert!(set.ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "not merged: {set:?}");
        }
        assert!(!TrialSet::default().insert(u64::MAX));
    }
}
