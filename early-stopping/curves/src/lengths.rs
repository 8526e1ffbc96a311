//! How many steps a whole trial takes, as far as trials have shown. To stop one at its last step saves nothing and
//! costs its result.

use ansatz_core::{Observation, ObservedResult, Report};
use std::collections::HashMap;

/// The last steps of running trials, and of completed ones by their fidelity.
#[derive(Clone, Debug, Default)]
pub struct Lengths {
    running: HashMap<u64, u64>,
    /// By the bits of the fidelity.
    whole: HashMap<Option<u64>, u64>,
}

impl Lengths {
    /// Takes a report.
    pub fn heard(&mut self, report: &Report) {
        self.running.insert(report.trial.0, report.step);
    }

    /// Takes the end of a trial.
    pub fn ended(&mut self, observation: &Observation) {
        let last = self.running.remove(&observation.trial.0);
        if let (ObservedResult::Completed(_), Some(last)) = (&observation.result, last) {
            let whole = self.whole.entry(observation.fidelity.map(f64::to_bits)).or_default();
            *whole = last.max(*whole);
        }
    }

    /// The last step of a whole trial of this fidelity; `None` before one completed.
    pub fn whole(&self, fidelity: Option<f64>) -> Option<u64> {
        self.whole.get(&fidelity.map(f64::to_bits)).copied()
    }

    /// Whether a report is probably the last of its trial.
    pub fn is_last(&self, report: &Report) -> bool {
        self.whole(report.fidelity).is_some_and(|whole| report.step >= whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::{Curve, Losses, Point, TrialId};

    #[test]
    fn whole_trials_are_known_once_one_completed() {
        let report = |trial, step, fidelity| Report {
            trial: TrialId(trial),
            step,
            losses: vec![Some(1.0)],
            excesses: Vec::new(),
            fidelity,
        };
        let losses = Losses { values: vec![1.0], standard_errors: Vec::new(), excesses: Vec::new() };
        let ended = |trial, fidelity, result| Observation {
            trial: TrialId(trial),
            tag: None,
            point: Point::new([Some(0.0)]),
            fidelity,
            curve: Curve::default(),
            result,
        };
        let mut lengths = Lengths::default();
        for step in 1..=9 {
            lengths.heard(&report(0, step, None));
            lengths.heard(&report(1, 3 * step, None));
        }
        assert!(!lengths.is_last(&report(2, 99, None)));
        lengths.ended(&ended(1, None, ObservedResult::Stopped(Some(losses.clone()))));
        assert_eq!(lengths.whole(None), None, "a stopped trial is no whole one");
        lengths.ended(&ended(0, None, ObservedResult::Completed(losses.clone())));
        assert!(lengths.is_last(&report(2, 9, None)) && !lengths.is_last(&report(2, 8, None)));
        lengths.heard(&report(3, 4, Some(0.5)));
        lengths.ended(&ended(3, Some(0.5), ObservedResult::Completed(losses)));
        assert!(lengths.is_last(&report(4, 4, Some(0.5))) && !lengths.is_last(&report(4, 4, None)));
    }
}
