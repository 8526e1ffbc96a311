//! What an arena reads of a study after each trial.

use crate::report::front;
use ansatz_core::TrialId;
use ansatz_core::study::Study;

/// More metrics than this have no hypervolume here: what it costs grows with the front's size to their number.
pub(super) const HYPERVOLUME_METRIC_COUNT_MAX: usize = 4;

/// The name of the hypervolume, where metrics have names.
pub(super) const HYPERVOLUME: &str = "hypervolume";

/// What is read.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A metric, at the trial that was observed to be best.
    Metric(String),
    /// The volume that the observed front dominates, up to a point with these losses, one for each metric.
    Hypervolume(Vec<f64>),
}

impl Reading {
    /// As it is shown and kept.
    pub fn name(&self) -> &str {
        match self {
            Self::Metric(name) => name,
            Self::Hypervolume(_) => HYPERVOLUME,
        }
    }
}

/// Reads a study that goes on.
pub(super) struct Reader<'a> {
    reading: &'a Reading,
    /// The trials whose hypervolume is known.
    front: Vec<TrialId>,
    hypervolume: f64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(reading: &'a Reading) -> Self {
        Self { reading, front: Vec::new(), hypervolume: 0.0 }
    }

    /// `None` while there is nothing.
    ///
    /// # Errors
    /// The objective does not report the metric.
    pub(super) fn read(&mut self, study: &Study) -> Result<Option<f64>, String> {
        match self.reading {
            Reading::Metric(metric) => at_the_best(study, metric),
            Reading::Hypervolume(reference) => {
                let incumbent = study.incumbent();
                if !incumbent.trials().eq(self.front.iter().copied()) {
                    self.front = incumbent.trials().collect();
                    let losses: Vec<&[f64]> = incumbent.losses().collect();
                    self.hypervolume = front::hypervolume(&losses, reference);
                }
                Ok(Some(self.hypervolume).filter(|volume| !self.front.is_empty() && volume.is_finite()))
            }
        }
    }
}

/// The metric at the trial that the study holds for its best, if there is one by now.
fn at_the_best(study: &Study, metric: &str) -> Result<Option<f64>, String> {
    let best = study.incumbent().first().and_then(|best| study.trial(best)?.outcome.as_ref()?.completed());
    let Some(measurement) = best else { return Ok(None) };
    if let Some(value) = measurement.value(metric) {
        return Ok(Some(value).filter(|value| value.is_finite()));
    }
    let names = measurement.readings().iter().map(|reading| reading.metric.as_str());
    let hint = ansatz_core::nearest::did_you_mean(metric, names.clone());
    let reported: Vec<&str> = names.collect();
    Err(format!(
        "metric {metric} is to be read, and the objective does not report it{hint}; it reports {}",
        reported.join(", ")
    ))
}
