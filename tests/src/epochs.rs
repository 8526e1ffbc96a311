//! What early stopping is worth on `digits`: the accuracy of studies by the epochs that they have trained, with and
//! without it. The table in docs/benchmarks.md is what the test that uses this prints.

use crate::process::Running;
use crate::scenario::Scenario;
use crate::stored::StoredStudy;
use ansatz_core::study::Record;
use std::time::Duration;

/// Epochs of a whole trial.
pub const EPOCHS: u64 = 27;
/// Trials of a study without early stopping.
pub const TRIAL_COUNT: u64 = 40;
/// Longer than one of the studies takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(1200);
const METRIC: &str = "validation_accuracy";

/// The best accuracy of completed trials after so many epochs in all; one entry for each trial that completed.
pub type Course = Vec<(u64, f64)>;

/// A study with and one without early stopping, with the same seed.
pub struct Pair {
    /// All trials trained to their end.
    pub whole: Course,
    /// Trials stopped by the rule.
    pub stopped: Course,
    /// Epochs of the study without early stopping.
    pub epochs: u64,
}

impl Pair {
    /// Runs both; the one with early stopping has so many trials.
    pub fn run(scenario: &Scenario, strategy: &str, rule: &str, trial_count: u64, seed: u64) -> Self {
        let (whole, epochs) = course(scenario, strategy, None, TRIAL_COUNT, seed);
        let (stopped, _) = course(scenario, strategy, Some(rule), trial_count, seed);
        Self { whole, stopped, epochs }
    }

    /// The accuracy that the study without early stopping came to.
    pub fn goal(&self) -> f64 {
        self.whole.last().map_or(0.0, |(_, best)| *best)
    }

    /// What the other one had after this share of the epochs.
    pub fn after(&self, share: f64) -> f64 {
        best_after(&self.stopped, self.epochs as f64 * share)
    }

    /// What the one without early stopping had after that share of its own epochs.
    pub fn whole_after(&self, share: f64) -> f64 {
        best_after(&self.whole, self.epochs as f64 * share)
    }

    /// After which share of the epochs the study with early stopping was as accurate; `None` if it never was.
    pub fn share(&self) -> Option<f64> {
        let reached = self.stopped.iter().find(|(_, best)| *best >= self.goal())?;
        Some(reached.0 as f64 / self.epochs as f64)
    }
}

fn best_after(course: &Course, epochs: f64) -> f64 {
    course.iter().take_while(|(spent, _)| *spent as f64 <= epochs).last().map_or(0.0, |(_, best)| *best)
}

fn course(
    scenario: &Scenario,
    strategy: &str,
    rule: Option<&str>,
    trial_count: u64,
    seed: u64,
) -> (Course, u64) {
    let name = format!("{strategy}-{}-{seed}", rule.unwrap_or("whole"));
    let early_stopping =
        rule.map_or(String::new(), |rule| format!("early_stopping = {{ plugin = \"{rule}\" }}\n"));
    let manifest = format!(
        r#"
study = {{ name = "{name}", seed = {seed} }}
objective = {{ plugin = "digits", options = {{ epochs = {EPOCHS} }} }}
strategy = [{{ plugin = "{strategy}" }}]
{early_stopping}budget = {{ trials = {trial_count} }}
journal = {{ path = "ansatz.db", sync = "off" }}

[metrics]
{METRIC} = "maximise"

[space]
learning_rate = {{ float = [1e-4, 1.0], scale = "log" }}
batch_size = {{ int = [16, 256], scale = "log" }}
optimizer = {{ categorical = ["sgd", "adam"] }}
momentum = {{ float = [0.0, 0.98], when = {{ optimizer = "sgd" }} }}
weight_decay = {{ float = [1e-6, 1e-1], scale = "log" }}
hidden_units = {{ int = [8, 128], scale = "log" }}
hidden_layers = {{ int = [1, 3] }}
activation = {{ categorical = ["relu", "tanh"] }}
dropout = {{ float = [0.0, 0.6] }}
"#
    );
    scenario.write("study.toml", &manifest);
    let running = Running::start(&mut scenario.command(&["run", "study.toml", "--quiet"]));
    match running.wait(PATIENCE) {
        Ok(ended) => drop(ended.expect(0)),
        Err(running) => panic!("it did not end within {PATIENCE:?}:\n{}", running.kill()),
    }
    let stored = StoredStudy::read(&scenario.journal(), Some(&name));
    let (mut epochs, mut best, mut course) = (0, f64::NEG_INFINITY, Vec::new());
    for record in stored.records() {
        match record {
            // digits reports once an epoch
            Record::Reported { .. } => epochs += 1,
            Record::Finished { outcome, .. } => {
                let value = outcome.completed().and_then(|measurement| measurement.value(METRIC));
                if let Some(value) = value {
                    best = value.max(best);
                    course.push((epochs, best));
                }
            }
            _ => {}
        }
    }
    (course, epochs)
}
