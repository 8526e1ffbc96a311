//! The early-stopping rule.

use crate::strategy::{die_of_signal, hang};
use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, EarlyStopping, EarlyStoppingError, Observation, ObservedResult, Problem,
    Promotion, Report, Ruling, TrialId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of the rule.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What it does wrong.
    pub misdeed: Misdeed,
    /// Only at reports (or ends, if that is where the misdeed is) of trials from this one on.
    pub from: u64,
    /// What `panic-at-end-later` and `promotes-later` wait for.
    pub memory: std::path::PathBuf,
    /// Of two trials that it stopped, the earlier goes on.
    pub promotes: bool,
}

/// What it does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Misdeed {
    /// Nothing.
    #[default]
    None,
    /// Panics while it is made.
    PanicInNew,
    /// Panics at a report.
    PanicAtReport,
    /// Panics at the end of a trial.
    PanicAtEnd,
    /// Panics at the end of a trial, once there is a file: as another build might.
    PanicAtEndLater,
    /// Dies of a signal at a report.
    Segfault,
    /// Never answers a report.
    Hang,
    /// Panics when it is asked which stopped trial goes on.
    PanicInPromotable,
    /// Panics when it is told that one does.
    PanicInPromoted,
    /// Has a trial go on that was never stopped.
    PromotesAnyone,
    /// Has none go on before there is a file: as another build might.
    PromotesLater,
}

/// Lets every trial whose number is odd end at its third step, and misbehaves.
pub struct MisbehavingRule {
    options: Options,
    /// Trials that it stopped and that do not go on yet.
    waiting: Vec<u64>,
    /// Those that continue others run to their end.
    promoted: Vec<u64>,
}

impl EarlyStopping for MisbehavingRule {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.example.misbehaving-rule",
        summary: "does what early-stopping rules should not, chosen by option",
        capabilities: &[Capability::MultiObjective],
    };
    type Options = Options;

    fn new(_: &Problem, options: Options, _: Rng) -> Result<Self, EarlyStoppingError> {
        if options.misdeed == Misdeed::PanicInNew {
            panic!("in new, as asked for");
        }
        Ok(Self { options, waiting: Vec::new(), promoted: Vec::new() })
    }

    fn reported(&mut self, report: &Report) -> Ruling {
        match self.options.misdeed {
            _ if report.trial.0 < self.options.from => {}
            Misdeed::PanicAtReport => panic!("at a report, as asked for"),
            Misdeed::Segfault => die_of_signal(),
            Misdeed::Hang => hang(),
            _ => {}
        }
        let is_free = self.promoted.contains(&report.trial.0);
        match report.trial.0 % 2 == 1 && report.step >= 3 && !is_free {
            true => Ruling::Stop("its number is odd".to_owned()),
            false => Ruling::Continue,
        }
    }

    fn finished(&mut self, observation: &Observation) {
        let panics = match self.options.misdeed {
            Misdeed::PanicAtEnd => true,
            Misdeed::PanicAtEndLater => self.options.memory.exists(),
            _ => false,
        };
        if panics && observation.trial.0 >= self.options.from {
            panic!("at an end, as asked for");
        }
        if self.options.promotes && matches!(observation.result, ObservedResult::Stopped(_)) {
            self.waiting.push(observation.trial.0);
        }
    }

    fn promotable(&mut self) -> Option<Promotion> {
        let latest = self.waiting.last()?;
        match self.options.misdeed {
            _ if *latest < self.options.from => {}
            Misdeed::PromotesLater if !self.options.memory.exists() => return None,
            Misdeed::PanicInPromotable => panic!("in promotable, as asked for"),
            Misdeed::PromotesAnyone => {
                return Some(Promotion { continued: TrialId(latest - 1), reason: "as asked for".to_owned() });
            }
            _ => {}
        }
        let first = self.waiting.first().filter(|_| self.waiting.len() > 1)?;
        Some(Promotion { continued: TrialId(*first), reason: "two wait".to_owned() })
    }

    fn promoted(&mut self, continued: TrialId, trial: TrialId) {
        if self.options.misdeed == Misdeed::PanicInPromoted && trial.0 >= self.options.from {
            panic!("in promoted, as asked for");
        }
        self.waiting.retain(|waiting| *waiting != continued.0);
        self.promoted.push(trial.0);
    }
}
