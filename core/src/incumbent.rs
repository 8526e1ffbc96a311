//! The best trials so far: one for a single metric, a Pareto set for several.

use crate::trial::TrialId;

/// Trials that no other one beats, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Incumbent {
    members: Vec<(TrialId, Vec<f64>)>,
}

impl Incumbent {
    /// Looks at one more trial with its losses (all finite, one per metric). True if it joins the set:
    /// then those that it beats have left. Of trials with equal losses the first stays alone.
    pub fn consider(&mut self, trial: TrialId, losses: &[f64]) -> bool {
        let not_worse = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a <= b);
        if self.members.iter().any(|(_, member)| not_worse(member, losses)) {
            return false;
        }
        self.members.retain(|(_, member)| !not_worse(losses, member));
        self.members.push((trial, losses.to_vec()));
        true
    }

    /// The trials of the set, oldest first.
    pub fn trials(&self) -> impl ExactSizeIterator<Item = TrialId> + '_ {
        self.members.iter().map(|(trial, _)| *trial)
    }

    /// One loss for each metric of each trial of the set, in the order of [`Incumbent::trials`].
    pub fn losses(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.members.iter().map(|(_, losses)| losses.as_slice())
    }

    /// The best trial of a single metric; the oldest of a Pareto set.
    pub fn first(&self) -> Option<TrialId> {
        self.members.first().map(|(trial, _)| *trial)
    }

    /// The smallest value that the set has for one loss.
    pub fn least(&self, metric_index: usize) -> Option<f64> {
        self.members.iter().filter_map(|(_, losses)| losses.get(metric_index).copied()).reduce(f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use rand::RngExt;

    #[test]
    fn it_is_the_set_of_undominated_trials() {
        let mut rng = Rng::new(21);
        for metric_count in 1..4 {
            let trials: Vec<Vec<f64>> = (0..80)
                .map(|_| (0..metric_count).map(|_| f64::from(rng.random_range(0..12))).collect())
                .collect();
            let mut incumbent = Incumbent::default();
            for (id, losses) in trials.iter().enumerate() {
                incumbent.consider(TrialId(id as u64), losses);
            }
            let dominated = |a: usize| {
                (0..trials.len()).any(|b| {
                    let not_worse = trials[b].iter().zip(&trials[a]).all(|(b, a)| b <= a);
                    not_worse && (trials[b] != trials[a] || b < a)
                })
            };
            let expected: Vec<TrialId> =
                (0..trials.len()).filter(|a| !dominated(*a)).map(|id| TrialId(id as u64)).collect();
            assert_eq!(incumbent.trials().collect::<Vec<_>>(), expected);
        }
    }
}
