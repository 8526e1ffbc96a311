//! The place where a case works: the plugin, the seed, the time that is left, and how things are made there.

use crate::case::{Ending, failed, skipped};
use crate::driven::Driven;
use crate::target::{Given, Target};
use crate::{options, problems};
use ansatz_core::rng::{Rng, Streams};
use ansatz_core::{Problem, Suggestion};
use ansatz_plugin_host::{FaultClass, ForeignEarlyStopping, ForeignObjective, HostError, Role};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a case works with.
pub(crate) struct Bench<'a> {
    pub target: &'a Target,
    pub given: &'a Given,
    /// Every random number of the cases comes from it.
    pub seed: u64,
    /// When the process that runs the case is ended.
    pub until: Instant,
}

impl Bench<'_> {
    /// The options that everything is made with, unless a case is about options.
    pub fn options(&self) -> Value {
        self.given.options.clone().unwrap_or_else(|| json!({}))
    }

    /// A generator for one purpose of a case.
    pub fn rng(&self, purpose: &str) -> Rng {
        Streams::new(self.seed).stream(purpose)
    }

    /// The seed that strategies get.
    pub fn strategy_seed(&self) -> u64 {
        Streams::new(self.seed).seed("strategy")
    }

    /// What is left of the time, with a margin for the end of the case.
    pub fn time_left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now()).mul_f64(0.8)
    }

    /// One parameter or two of every kind that the strategy claims, and one metric.
    pub fn usual_problem(&self) -> Result<Problem, Ending> {
        match problems::usual(&self.target.about.capabilities) {
            Some(space) => Ok(problems::with_one_metric(space)),
            None => skipped("it claims no kind of parameter"),
        }
    }

    /// A strategy for a problem that needs nothing beyond what it claims: a refusal is a failure.
    pub fn strategy(&self, problem: &Problem) -> Result<Driven, Ending> {
        let made = self.target.create_strategy(problem, &self.options(), self.strategy_seed());
        let strategy = made.map_err(|error| self.judge_refusal(error))?;
        Ok(Driven::new(strategy, problem.clone()))
    }

    /// A refusal says little where the plugin needs options and nobody gave them.
    fn judge_refusal(&self, error: HostError) -> Ending {
        let required = options::required(&self.target.about.options_schema);
        let is_polite = refusal_kind(&error).is_some();
        if is_polite && self.given.options.is_none() && !required.is_empty() {
            let list = required.join(", ");
            return Ending::Skipped(format!("it needs options ({list}): name a manifest with --problem"));
        }
        error.into()
    }

    /// Suggestions and results of one study of a strategy that nobody disturbs.
    pub fn run(&self, problem: &Problem) -> Result<Vec<Suggestion>, Ending> {
        let mut driven = self.strategy(problem)?;
        driven.run(&USUAL_ASKS)?;
        Ok(driven.into_suggestions())
    }

    /// The suggestions of a strategy on its usual problem, if two of them with the same seed agree. Otherwise cases
    /// that compare have nothing to say: there is one for this alone.
    pub fn repeatable_run(&self, problem: &Problem) -> Result<Vec<Suggestion>, Ending> {
        let first = self.run(problem)?;
        if first == self.run(problem)? {
            Ok(first)
        } else {
            skipped("equal seeds give different suggestions: see same-seed")
        }
    }

    /// An objective with a problem that it accepts.
    pub fn objective(&self) -> Result<(ForeignObjective, Problem), Ending> {
        let make = |problem: &Problem| {
            self.target.create_objective(problem, &self.options(), &self.given.surroundings)
        };
        if let Some(problem) = &self.given.problem {
            return Ok((make(problem)?, problem.clone()));
        }
        let mut last = String::new();
        for problem in problems::for_objectives() {
            match make(&problem) {
                Ok(objective) => return Ok((objective, problem)),
                Err(error) if refusal_kind(&error).is_some() => last = error.to_string(),
                Err(error) => return failed(error.to_string()),
            }
        }
        skipped(format!(
            "it refuses the problems that are tried (the last: {last}): name a manifest with --problem"
        ))
    }

    /// An early-stopping rule for a problem.
    pub fn rule(&self, problem: &Problem) -> Result<ForeignEarlyStopping, Ending> {
        let made = self.target.create_early_stopping(problem, &self.options(), self.strategy_seed());
        made.map_err(|error| self.judge_refusal(error))
    }

    /// Makes the component in whatever role it has, and drops it.
    pub fn make(&self, problem: &Problem, options: &Value) -> Result<(), HostError> {
        match self.target.about.role {
            Role::Strategy => self.target.create_strategy(problem, options, self.strategy_seed()).map(|_| ()),
            Role::Objective => {
                self.target.create_objective(problem, options, &self.given.surroundings).map(|_| ())
            }
            Role::EarlyStopping => {
                self.target.create_early_stopping(problem, options, self.strategy_seed()).map(|_| ())
            }
        }
    }
}

/// How many suggestions are asked for at a time where nothing else matters: some at once, most alone.
pub(crate) const USUAL_ASKS: [usize; 9] = [1, 2, 4, 1, 3, 1, 2, 1, 1];

/// The kind of a refusal that tells what does not fit; `None` for a panic, or whatever else is no answer.
pub(crate) fn refusal_kind(error: &HostError) -> Option<FaultClass> {
    match error {
        HostError::Unfit(fault) => {
            Some(fault.kind).filter(|kind| matches!(kind, FaultClass::Invalid | FaultClass::Unsupported))
        }
        _ => None,
    }
}

/// Where two lists of suggestions part, in words.
pub(crate) fn difference(problem: &Problem, left: &[Suggestion], right: &[Suggestion]) -> Option<String> {
    let show = |suggestion: Option<&Suggestion>| match suggestion {
        None => "nothing".to_owned(),
        Some(suggestion) => {
            let mut text = problem.space.point_to_json(&suggestion.point).to_string();
            if suggestion.tag != 0 {
                text.push_str(&format!(" with tag {}", suggestion.tag));
            }
            if let Some(fidelity) = suggestion.fidelity {
                text.push_str(&format!(" at fidelity {fidelity}"));
            }
            text
        }
    };
    let count = left.len().max(right.len());
    let index = (0..count).find(|index| left.get(*index) != right.get(*index))?;
    Some(format!("suggestion {index} is {} and {}", show(left.get(index)), show(right.get(index))))
}
