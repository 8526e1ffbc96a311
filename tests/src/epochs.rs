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
/// Of images that no study chooses by.
const UNBIASED: &str = "test_accuracy";

/// The best completed trial after so many epochs in all.
#[derive(Clone, Copy, Debug)]
pub struct Best {
    /// Of all trials so far, stopped ones as well.
    pub epochs: u64,
    /// The accuracy that it is the best by. The more trials a study has, the more of it is luck.
    pub accuracy: f64,
    /// Its accuracy on images that nothing was chosen by.
    pub test_accuracy: f64,
}

/// One entry for each trial that completed.
pub type Course = Vec<Best>;

/// How trials are stopped.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// In the names of studies.
    pub name: &'static str,
    /// The section `early_stopping`.
    pub section: &'static str,
    /// Whether a trial that continues another one begins where that ended.
    pub continues: bool,
}

/// `successive-halving` with its defaults.
pub const STOPPING: Rule =
    Rule { name: "stopping", section: r#"{ plugin = "successive-halving" }"#, continues: false };

/// The same by promotion.
pub const PROMOTION: Rule = Rule {
    name: "promotion",
    section: r#"{ plugin = "successive-halving", options = { variant = "promotion", steps_max = 27 } }"#,
    continues: true,
};

/// The same with rungs of which the better half goes on.
pub const PROMOTION_OF_HALVES: Rule = Rule {
    name: "halves",
    section: r#"{ plugin = "successive-halving", options = { variant = "promotion", steps_max = 27, reduction_factor = 2 } }"#,
    continues: true,
};

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
    /// Runs a study without early stopping, and one with each of the rules, which has so many points.
    pub fn run<const N: usize>(
        scenario: &Scenario,
        strategy: &str,
        rules: [(Rule, u64); N],
        seed: u64,
    ) -> [Self; N] {
        let (whole, epochs) = course(scenario, strategy, None, TRIAL_COUNT, seed);
        rules.map(|(rule, trial_count)| {
            let (stopped, _) = course(scenario, strategy, Some(rule), trial_count, seed);
            Self { whole: whole.clone(), stopped, epochs }
        })
    }

    /// What the study without early stopping came to.
    pub fn goal(&self) -> Best {
        self.whole_after(1.0)
    }

    /// What the other one had after this share of the epochs.
    pub fn after(&self, share: f64) -> Best {
        best_after(&self.stopped, self.epochs as f64 * share)
    }

    /// What the one without early stopping had after that share of its own epochs.
    pub fn whole_after(&self, share: f64) -> Best {
        best_after(&self.whole, self.epochs as f64 * share)
    }

    /// After which share of the epochs the study with early stopping was as accurate; `None` if it never was.
    pub fn share(&self) -> Option<f64> {
        let reached = self.stopped.iter().find(|best| best.accuracy >= self.goal().accuracy)?;
        Some(reached.epochs as f64 / self.epochs as f64)
    }
}

fn best_after(course: &Course, epochs: f64) -> Best {
    let none = Best { epochs: 0, accuracy: 0.0, test_accuracy: 0.0 };
    course.iter().take_while(|best| best.epochs as f64 <= epochs).last().copied().unwrap_or(none)
}

fn course(
    scenario: &Scenario,
    strategy: &str,
    rule: Option<Rule>,
    trial_count: u64,
    seed: u64,
) -> (Course, u64) {
    let name = format!("{strategy}-{}-{seed}", rule.map_or("whole", |rule| rule.name));
    let early_stopping = rule.map_or(String::new(), |rule| format!("early_stopping = {}\n", rule.section));
    let checkpoints = rule.is_some_and(|rule| rule.continues);
    let manifest = format!(
        r#"
study = {{ name = "{name}", seed = {seed} }}
objective = {{ plugin = "digits", options = {{ epochs = {EPOCHS}, checkpoints = {checkpoints} }} }}
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
    let (mut epochs, mut course) = (0, Course::new());
    for record in stored.records() {
        match record {
            // digits reports once an epoch
            Record::Reported { .. } => epochs += 1,
            Record::Finished { outcome, .. } => {
                let Some(measured) = outcome.completed() else { continue };
                let value = |name| measured.value(name).expect("every trial of digits measures it");
                let found = Best { epochs, accuracy: value(METRIC), test_accuracy: value(UNBIASED) };
                let best = course.last().filter(|best| best.accuracy >= found.accuracy);
                course.push(Best { epochs, ..*best.unwrap_or(&found) });
            }
            _ => {}
        }
    }
    (course, epochs)
}
