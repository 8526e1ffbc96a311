//! How far what strategies predicted was to be trusted: each prediction beside the outcome, and shares over a study.
//!
//! A prediction counts as a Gaussian for the value of the first metric. Only trials that were measured in full and for
//! themselves say anything: not those that failed or were stopped, nor outcomes taken over from an earlier trial.

use ansatz_core::study::{Study, Trial};
use ansatz_core::{Goal, Outcome, Prediction};

/// The central intervals that are looked at: per cent of the outcomes, and half their width in deviations.
pub const INTERVALS: [(u32, f64); 2] = [(50, 0.674_489_750_196_081_7), (90, 1.644_853_626_951_472_2)];

/// What was predicted of a trial, in the first metric's own unit and direction.
pub fn in_own_units(study: &Study, trial: &Trial) -> Option<Prediction> {
    let goal = study.rules().problem.metrics.first()?.goal;
    let prediction = trial.prediction?;
    Some(Prediction { mean: goal.loss(prediction.mean), ..prediction })
}

/// A prediction beside what came of it, in the first metric's own unit and direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// What was expected.
    pub prediction: Prediction,
    /// What was measured.
    pub value: f64,
    goal: Goal,
}

impl Comparison {
    /// `None` where nothing was predicted, or nothing came of it that could be compared.
    pub fn of(study: &Study, trial: &Trial) -> Option<Self> {
        let metric = study.rules().problem.metrics.first()?;
        let prediction = in_own_units(study, trial)?;
        let value = trial.outcome.as_ref().and_then(Outcome::completed)?.value(&metric.name)?;
        trial.reused.is_none().then_some(Self { prediction, value, goal: metric.goal })
    }

    /// How many deviations the value lies above the mean; `None` where the model was certain.
    pub fn residual(&self) -> Option<f64> {
        let residual = (self.value - self.prediction.mean) / self.prediction.deviation;
        residual.is_finite().then_some(residual)
    }

    /// Whether the value is better than the mean.
    pub fn is_better(&self) -> bool {
        self.goal.loss(self.value) < self.goal.loss(self.prediction.mean)
    }

    /// Whether the value lies within so many deviations of the mean.
    pub fn is_within(&self, deviations: f64) -> bool {
        (self.value - self.prediction.mean).abs() <= deviations * self.prediction.deviation
    }

    /// Natural logarithm of the predicted density at the value; `None` where the model was certain.
    pub fn log_density(&self) -> Option<f64> {
        let residual = self.residual()?;
        let density =
            -0.5 * (std::f64::consts::TAU.ln() + residual * residual) - self.prediction.deviation.ln();
        density.is_finite().then_some(density)
    }
}

/// What became of all predictions of one strategy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// Predictions with an outcome to compare; at least 1.
    pub outcome_count: usize,
    /// Outcomes inside each of `INTERVALS`.
    pub inside_count: [usize; INTERVALS.len()],
    /// Mean natural logarithm of the predicted density at the outcomes, over those where the model was not certain.
    /// Larger is better; it depends on the metric's unit.
    pub log_density_mean: Option<f64>,
}

impl Calibration {
    /// Of one member; `None` if nothing that it predicted has come out yet. Trials that a fallback proposed in its
    /// place are not its own.
    pub fn of(study: &Study, member: usize) -> Option<Self> {
        let own = study.trials().iter().filter(|trial| trial.member == Some(member) && !trial.is_by_fallback);
        let compared: Vec<Comparison> = own.filter_map(|trial| Comparison::of(study, trial)).collect();
        let within = |deviations| compared.iter().filter(|one| one.is_within(deviations)).count();
        let densities: Vec<f64> = compared.iter().filter_map(Comparison::log_density).collect();
        (!compared.is_empty()).then(|| Self {
            outcome_count: compared.len(),
            inside_count: INTERVALS.map(|(_, deviations)| within(deviations)),
            log_density_mean: (!densities.is_empty())
                .then(|| densities.iter().sum::<f64>() / densities.len() as f64),
        })
    }

    /// The share of outcomes inside each of `INTERVALS`, from 0 to 1.
    pub fn shares(&self) -> [f64; INTERVALS.len()] {
        self.inside_count.map(|count| count as f64 / self.outcome_count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{completed, study_of};
    use super::*;
    use ansatz_core::study::Record;
    use ansatz_core::{Failure, TrialId};

    #[test]
    fn predictions_are_compared_in_the_metric_s_own_direction() {
        let predicted = Some(Prediction::new(-0.5, 0.1));
        let study = study_of(Goal::Maximise, &[(0.2, predicted, completed(0.6))]);
        let compared = Comparison::of(&study, &study.trials()[0]).unwrap();
        assert_eq!((compared.prediction.mean, compared.value), (0.5, 0.6));
        assert!((compared.residual().unwrap() - 1.0).abs() < 1e-12);
        assert!(
            compared.is_better() && !compared.is_within(INTERVALS[0].1) && compared.is_within(INTERVALS[1].1)
        );
        // log N(0.6; 0.5, 0.1) from an independent computation: scipy.stats.norm.logpdf
        assert!((compared.log_density().unwrap() - 0.883_646_559_789_373_5).abs() < 1e-12);
    }

    #[test]
    fn shares_count_what_came_out_and_nothing_else() {
        let predicted = |mean| Some(Prediction::new(mean, 1.0));
        let failed = Outcome::Failed { failure: Failure::Objective, reason: "no".into() };
        let study = study_of(
            Goal::Minimise,
            &[
                (0.1, predicted(0.0), completed(0.5)),
                (0.2, predicted(0.0), completed(-1.5)),
                (0.3, predicted(0.0), completed(2.0)),
                (0.4, None, completed(0.0)),
                (0.5, predicted(0.0), failed),
                (0.6, Some(Prediction::new(1.0, 0.0)), completed(1.0)),
            ],
        );
        let calibration = Calibration::of(&study, 0).unwrap();
        assert_eq!((calibration.outcome_count, calibration.inside_count), (4, [2, 3]));
        assert_eq!(calibration.shares(), [0.5, 0.75]);
        // the certain one has no density
        let expected = -0.5 * std::f64::consts::TAU.ln() - (0.25 + 2.25 + 4.0) / 6.0;
        assert!((calibration.log_density_mean.unwrap() - expected).abs() < 1e-12);
        let silent = study_of(Goal::Minimise, &[(0.1, None, completed(0.5))]);
        assert_eq!(Calibration::of(&silent, 0), None);
    }

    #[test]
    fn an_outcome_that_was_taken_over_says_nothing_anew() {
        let predicted = Some(Prediction::new(0.0, 1.0));
        let mut study = study_of(Goal::Minimise, &[(0.1, predicted, completed(0.5))]);
        let again =
            ansatz_core::Suggestion { prediction: predicted, ..study.trials()[0].point.clone().into() };
        let trials = study.admit(1, vec![again]).unwrap();
        study.apply(&Record::Asked { member: 0, count: 1, trials, is_exhausted: false }).unwrap();
        let reused = Record::Finished {
            trial: TrialId(1),
            outcome: completed(0.5),
            duration: Default::default(),
            reused: Some(TrialId(0)),
        };
        study.apply(&reused).unwrap();
        assert_eq!(Calibration::of(&study, 0).unwrap().outcome_count, 1);
    }
}
