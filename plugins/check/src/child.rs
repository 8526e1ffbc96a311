//! The child: one case in this process, and its result as a line for the parent.

use crate::bench::Bench;
use crate::case::{Ending, Passed, Verdict};
use crate::cases;
use crate::target::{About, Given, Place, Target};
use ansatz_plugin_host::{Role, worker};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// One component of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What it does in a study.
    pub role: Role,
    /// Its name.
    pub name: String,
}

/// What a child is to do.
#[derive(Clone, Debug)]
pub struct CaseSetup {
    /// The plugin, and where its code runs.
    pub place: Place,
    /// Which component; `None` for the plugin as a whole.
    pub subject: Option<Subject>,
    /// Which case.
    pub case: String,
    /// Every random number of the case comes from it.
    pub seed: u64,
    /// How long the parent waits.
    pub time_limit: Duration,
    /// What the person who checks says of the plugin.
    pub given: Given,
}

/// What a child tells its parent, on one line of standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What the case came to; never `Crashed`, which is for the parent to see.
    pub verdict: Verdict,
    /// What went wrong, why it was skipped, or figures worth knowing; may be empty.
    pub text: String,
    /// What has to be the same in every process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<u64>,
    /// What the plugin offers, if that was the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<About>,
}

impl Told {
    fn new(verdict: Verdict, text: impl Into<String>) -> Self {
        Self { verdict, text: text.into(), digest: None, components: Vec::new() }
    }
}

/// Carries one case out in this process. The plugin may do anything meanwhile, end the process included.
pub fn run_case(setup: &CaseSetup) -> Told {
    let until = Instant::now() + setup.time_limit;
    // without it, a child whose parent is killed ends when its case does
    let _ = worker::confine(None);
    let Some(subject) = &setup.subject else { return load(setup) };
    let Some(case) = cases::find(&setup.case) else {
        return Told::new(Verdict::Failed, format!("there is no case {:?}", setup.case));
    };
    let target = match Target::new(&setup.place, subject.role, &subject.name) {
        Ok(target) => target,
        Err(error) => return Told::new(Verdict::Failed, error.to_string()),
    };
    let bench = Bench { target: &target, given: &setup.given, seed: setup.seed, until };
    match (case.run)(&bench) {
        Ok(Passed { text, is_warning, digest }) => {
            let verdict = if is_warning { Verdict::Warning } else { Verdict::Passed };
            Told { digest, ..Told::new(verdict, text) }
        }
        Err(Ending::Failed(text)) => Told::new(Verdict::Failed, text),
        Err(Ending::Skipped(text)) => Told::new(Verdict::Skipped, text),
    }
}

fn load(setup: &CaseSetup) -> Told {
    match Target::list(&setup.place) {
        Err(error) => Told::new(Verdict::Failed, error.to_string()),
        Ok(components) if components.is_empty() => Told::new(
            Verdict::Failed,
            "it offers neither a strategy, an objective nor an early-stopping rule",
        ),
        Ok(components) => {
            let twice = components.iter().enumerate().find_map(|(index, about)| {
                let is_same = |other: &About| other.role == about.role && other.name == about.name;
                components[..index].iter().any(is_same).then(|| format!("it offers {} twice", about.name))
            });
            match twice {
                Some(text) => Told::new(Verdict::Failed, text),
                None => Told { components, ..Told::new(Verdict::Passed, "") },
            }
        }
    }
}
