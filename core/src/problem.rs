//! What is to be solved: the space, what is measured, and how much of it one trial may use.

use crate::capability::Capability;
use crate::metric::{Measurement, Metric, OutcomeConstraint};
use crate::space::{Domain, Space};
use serde::{Deserialize, Serialize};

/// What strategies and objectives are told about a study before it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Where to search.
    pub space: Space,
    /// What to improve, at least one; losses are in this order.
    pub metrics: Vec<Metric>,
    /// Bounds that a good trial keeps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcome_constraints: Vec<OutcomeConstraint>,
    /// How much of a full evaluation a trial may use, if the objective can be cut short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<FidelityRange>,
    /// How many trials the study will have, if that is known: a hint for the end-game.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_count: Option<u64>,
}

/// The range of a fidelity, such as 1 to 30 epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FidelityRange {
    /// What is counted: "epochs", "samples".
    pub name: String,
    /// The least that tells anything; above 0.
    pub lower: f64,
    /// A full evaluation; the default of every trial.
    pub upper: f64,
}

impl Problem {
    /// A problem with one or more metrics and nothing else.
    pub fn new(space: Space, metrics: Vec<Metric>) -> Self {
        Self { space, metrics, outcome_constraints: Vec::new(), fidelity: None, trial_count: None }
    }

    /// What a strategy must be able to do to be of use here.
    pub fn requirements(&self) -> Vec<Capability> {
        let parameters = self.space.parameters();
        let any = |test: fn(&Domain) -> bool| parameters.iter().any(|p| test(&p.domain));
        let needs = [
            (Capability::Float, any(|d| matches!(d, Domain::Float { .. }))),
            (Capability::Int, any(|d| matches!(d, Domain::Int { .. }))),
            (Capability::Ordinal, any(|d| matches!(d, Domain::Ordinal { .. }))),
            (Capability::Categorical, any(|d| matches!(d, Domain::Categorical { .. } | Domain::Bool))),
            (Capability::Conditional, self.space.is_conditional()),
            (Capability::Constraints, !self.space.constraints().is_empty()),
            (Capability::MultiObjective, self.metrics.len() > 1),
            (Capability::OutcomeConstraints, !self.outcome_constraints.is_empty()),
        ];
        needs.into_iter().filter(|(_, needed)| *needed).map(|(capability, _)| capability).collect()
    }

    /// Whether the measurement can be used as the result of a trial; otherwise the reason why not:
    /// a goal or constraint that was not measured, or a number that is not finite.
    pub fn check_measurement(&self, measurement: &Measurement) -> Result<(), String> {
        for reading in measurement.readings() {
            let name = &reading.metric;
            if reading.value.is_nan() {
                return Err(format!("metric {name} is NaN"));
            }
            if reading.value.is_infinite() {
                return Err(format!("metric {name} is infinite"));
            }
            if reading.standard_error.is_some_and(|error| !(error.is_finite() && error >= 0.0)) {
                return Err(format!("the standard error of metric {name} is not a number of at least 0"));
            }
        }
        let wanted = (self.metrics.iter().map(|metric| &metric.name))
            .chain(self.outcome_constraints.iter().map(|constraint| &constraint.metric));
        for name in wanted {
            if measurement.get(name).is_none() {
                let found = measurement.readings().iter().map(|reading| reading.metric.as_str());
                let list: Vec<&str> = found.clone().collect();
                return Err(format!(
                    "metric {name} was not reported{}; reported: {}",
                    crate::nearest::did_you_mean(name, found),
                    if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
                ));
            }
        }
        Ok(())
    }

    /// The losses of a checked measurement, in the order of the metrics; always minimised.
    pub fn losses(&self, measurement: &Measurement) -> Vec<f64> {
        let loss = |metric: &Metric| metric.goal.loss(measurement.value(&metric.name).unwrap_or(f64::NAN));
        self.metrics.iter().map(loss).collect()
    }

    /// By how much a checked measurement breaks each outcome constraint; at or below 0 is kept.
    pub fn excesses(&self, measurement: &Measurement) -> Vec<f64> {
        let excess = |constraint: &OutcomeConstraint| {
            constraint.excess(measurement.value(&constraint.metric).unwrap_or(f64::NAN))
        };
        self.outcome_constraints.iter().map(excess).collect()
    }
}
