//! A strategy that is driven by a case: every answer is judged, trials are numbered, results are made up.

use crate::case::{Ending, failed};
use crate::problems;
use ansatz_core::{Curve, Losses, Observation, ObservedResult, Pending, Point, Problem, Suggestion, TrialId};
use ansatz_plugin_host::{Asked, ForeignStrategy, PluginFault};

/// A suggestion that became a trial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trial {
    pub number: u64,
    pub suggestion: Suggestion,
}

/// What the host knows of a study: which trials there are, and which have no result yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    trial_count: u64,
    pending: Vec<Trial>,
    suggestions: Vec<Suggestion>,
}

/// A strategy with the host's side of its study.
pub(crate) struct Driven {
    strategy: ForeignStrategy,
    pub problem: Problem,
    pub book: Book,
    /// Whether it said that there will never be more.
    pub is_exhausted: bool,
}

impl Driven {
    pub fn new(strategy: ForeignStrategy, problem: Problem) -> Self {
        Self { strategy, problem, book: Book::default(), is_exhausted: false }
    }

    /// Asks, and judges the answer: not more than asked for, each in the space. None at all where it waits for
    /// results or is exhausted.
    pub fn ask(&mut self, count: usize) -> Result<Vec<Trial>, Ending> {
        let numbers: Vec<u64> = self.book.pending.iter().map(|trial| trial.number).collect();
        let flat: Vec<f64> =
            self.book.pending.iter().flat_map(|trial| trial.suggestion.point.flat()).copied().collect();
        let asked = self.strategy.ask(count, &Pending::new(&numbers, &flat))?;
        let suggestions = match asked {
            Asked::Suggestions(suggestions) => suggestions,
            Asked::Exhausted => {
                self.is_exhausted = true;
                return Ok(Vec::new());
            }
        };
        if suggestions.len() > count {
            return failed(format!("asked for {count}, it gave {}", suggestions.len()));
        }
        let mut trials = Vec::with_capacity(suggestions.len());
        for suggestion in suggestions {
            self.judge(&suggestion)?;
            // what was predicted need not repeat
            let suggestion = Suggestion { prediction: None, ..suggestion };
            trials.push(Trial { number: self.book.trial_count, suggestion: suggestion.clone() });
            self.book.trial_count += 1;
            self.book.suggestions.push(suggestion);
        }
        self.book.pending.extend(trials.iter().cloned());
        Ok(trials)
    }

    fn judge(&self, suggestion: &Suggestion) -> Result<(), Ending> {
        let (space, number) = (&self.problem.space, self.book.trial_count);
        if let Err(reason) = space.check(&suggestion.point) {
            return failed(format!("suggestion {number} is not in the space: {reason}"));
        }
        match (suggestion.fidelity, &self.problem.fidelity) {
            (None, _) => Ok(()),
            (Some(fidelity), None) => {
                failed(format!("suggestion {number} has fidelity {fidelity}, and the problem has none"))
            }
            (Some(fidelity), Some(range)) if !(range.lower..=range.upper).contains(&fidelity) => {
                let (lower, upper) = (range.lower, range.upper);
                failed(format!(
                    "suggestion {number} has fidelity {fidelity}, not one from {lower} to {upper}"
                ))
            }
            _ => Ok(()),
        }
    }

    /// The trial with the result that its point has.
    pub fn completed(&self, trial: &Trial) -> Observation {
        self.observation(trial, ObservedResult::Completed(self.losses(&trial.suggestion.point, trial.number)))
    }

    /// The trial with this result.
    pub fn observation(&self, trial: &Trial, result: ObservedResult) -> Observation {
        let full = self.problem.fidelity.as_ref().map(|range| range.upper);
        Observation {
            trial: TrialId(trial.number),
            tag: Some(trial.suggestion.tag),
            point: trial.suggestion.point.clone(),
            fidelity: full.map(|full| trial.suggestion.fidelity.unwrap_or(full)),
            curve: Curve::default(),
            result,
        }
    }

    /// The losses of a point: a function of point and trial number alone.
    pub fn losses(&self, point: &Point, number: u64) -> Losses {
        problems::losses(&self.problem, point, number)
    }

    /// The trial with its result, as a strategy hears of it that did not propose it.
    pub fn foreign(&self, number: u64, point: Point) -> Observation {
        let trial = Trial { number, suggestion: Suggestion::new(point) };
        Observation { tag: None, ..self.completed(&trial) }
    }

    /// Tells results, as the host would: what was told is no longer pending.
    pub fn tell(&mut self, observations: &[Observation]) -> Result<(), Ending> {
        Ok(self.try_tell(observations)?)
    }

    /// The same where a fault may be right.
    pub fn try_tell(&mut self, observations: &[Observation]) -> Result<(), PluginFault> {
        self.strategy.tell(observations)?;
        self.book.pending.retain(|trial| observations.iter().all(|told| told.trial.0 != trial.number));
        Ok(())
    }

    /// Asks, and tells the results of what came, all in one go.
    pub fn step(&mut self, count: usize) -> Result<Vec<Trial>, Ending> {
        let trials = self.ask(count)?;
        let observations: Vec<Observation> = trials.iter().map(|trial| self.completed(trial)).collect();
        if !observations.is_empty() {
            self.tell(&observations)?;
        }
        Ok(trials)
    }

    /// Several steps; ends where it is exhausted or gives nothing.
    pub fn run(&mut self, counts: &[usize]) -> Result<(), Ending> {
        for count in counts {
            if self.step(*count)?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// What it recommends, judged: each in the space. How many there are.
    pub fn recommend(&mut self) -> Result<usize, Ending> {
        let recommended = self.strategy.recommend()?;
        for (index, recommendation) in recommended.iter().enumerate() {
            if let Err(reason) = self.problem.space.check(&recommendation.point) {
                return failed(format!("recommendation {index} is not in the space: {reason}"));
            }
        }
        Ok(recommended.len())
    }

    /// The state, if it gives one.
    pub fn snapshot(&mut self) -> Result<Option<Vec<u8>>, Ending> {
        Ok(self.strategy.snapshot()?)
    }

    /// Takes over a state that `snapshot` gave.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), PluginFault> {
        self.strategy.restore(state)
    }

    /// Every suggestion so far.
    pub fn suggestions(&self) -> &[Suggestion] {
        &self.book.suggestions
    }

    /// The same, at the end.
    pub fn into_suggestions(self) -> Vec<Suggestion> {
        self.book.suggestions
    }
}

impl Book {
    /// Trials without a result, oldest first.
    pub fn pending(&self) -> &[Trial] {
        &self.pending
    }

    /// A pending trial is measured at another point than the one suggested.
    pub fn replace(&mut self, number: u64, point: Point) {
        for trial in self.pending.iter_mut().filter(|trial| trial.number == number) {
            trial.suggestion.point = point.clone();
        }
    }

    /// Numbers the trials that come from here on, or further where it already is.
    pub fn count_from(&mut self, number: u64) {
        self.trial_count = self.trial_count.max(number);
    }
}
