//! What is measured, in which direction it is good, and what was measured.

use serde::{Deserialize, Serialize};

/// Which direction is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Smaller is better.
    #[serde(alias = "minimize", alias = "min")]
    Minimise,
    /// Larger is better.
    #[serde(alias = "maximize", alias = "max")]
    Maximise,
}

impl Goal {
    /// The loss of a value: always minimised. Its own inverse.
    pub fn loss(self, value: f64) -> f64 {
        match self {
            Goal::Minimise => value,
            Goal::Maximise => -value,
        }
    }
}

/// One objective of a study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// As the objective reports it.
    pub name: String,
    /// Which direction is better.
    pub goal: Goal,
}

/// A bound on a metric that a good trial must keep. It is learnt by measuring, unlike a `Constraint`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutcomeConstraint {
    /// As the objective reports it.
    pub metric: String,
    /// Which side of the bound is allowed.
    pub side: Side,
    /// In the metric's unit; equality is allowed.
    pub bound: f64,
}

/// Which side of a bound is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// `metric <= bound`.
    AtMost,
    /// `metric >= bound`.
    AtLeast,
}

impl OutcomeConstraint {
    /// How far a value lies on the wrong side, in the metric's unit; at or below 0 is allowed. Of finite values it is finite:
    /// what is farther counts as the largest number.
    pub fn excess(&self, value: f64) -> f64 {
        let excess = match self.side {
            Side::AtMost => value - self.bound,
            Side::AtLeast => self.bound - value,
        };
        excess.clamp(f64::MIN, f64::MAX)
    }
}

/// One measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The metric's name.
    pub metric: String,
    /// In the metric's own unit and direction.
    pub value: f64,
    /// Standard error of the value, if the objective knows it; at least 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
}

/// What an objective measured: goals, constraints, and whatever else it reports (test accuracy, cost).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Measurement {
    readings: Vec<Reading>,
}

impl Measurement {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The measurement with one value more; a value of the same name is replaced.
    pub fn with(mut self, metric: impl Into<String>, value: f64) -> Self {
        self.set(metric, value, None);
        self
    }

    /// The measurement with one value and its standard error more.
    pub fn with_error(mut self, metric: impl Into<String>, value: f64, standard_error: f64) -> Self {
        self.set(metric, value, Some(standard_error));
        self
    }

    /// Sets one value; a value of the same name is replaced.
    pub fn set(&mut self, metric: impl Into<String>, value: f64, standard_error: Option<f64>) {
        let reading = Reading { metric: metric.into(), value, standard_error };
        match self.readings.iter_mut().find(|known| known.metric == reading.metric) {
            Some(known) => *known = reading,
            None => self.readings.push(reading),
        }
    }

    /// One value by name.
    pub fn get(&self, metric: &str) -> Option<&Reading> {
        self.readings.iter().find(|reading| reading.metric == metric)
    }

    /// One value by name, without its error.
    pub fn value(&self, metric: &str) -> Option<f64> {
        self.get(metric).map(|reading| reading.value)
    }

    /// All values, in the order reported.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// What can be used of it: without values that are no finite numbers, and without errors that are none of at least 0.
    /// `None` if that is nothing.
    pub fn finite(mut self) -> Option<Self> {
        self.readings.retain(|reading| reading.value.is_finite());
        for reading in &mut self.readings {
            reading.standard_error =
                reading.standard_error.filter(|error| error.is_finite() && *error >= 0.0);
        }
        (!self.is_empty()).then_some(self)
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty()
    }
}

impl<S: Into<String>> FromIterator<(S, f64)> for Measurement {
    fn from_iter<I: IntoIterator<Item = (S, f64)>>(values: I) -> Self {
        let mut measurement = Self::new();
        for (metric, value) in values {
            measurement.set(metric, value, None);
        }
        measurement
    }
}
