//! The early-stopping rule `patience`: a trial ends that has not improved on itself for so many steps.
//!
//! One that is better than every completed trial goes on all the same: a stopped trial is no result, and a study whose
//! best trials all end early would be left without one.
//!
//! Source: early stopping by validation loss as practised with neural networks; Prechelt 1998, "Early Stopping - But
//! When?", class UP. With several metrics, an improvement is what no earlier report of the trial beats or equals.
//! README.md is the user's side.
#![forbid(unsafe_code)]

use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, EarlyStopping, EarlyStoppingError, Observation, ObservedResult, Problem, Report,
    Ruling,
};
use ansatz_curves::Lengths;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Options of the rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// A trial ends once so many steps have passed since it improved.
    #[schemars(range(min = 1))]
    pub steps: u64,
    /// By how much a loss must fall to count as an improvement, in the metric's unit.
    #[schemars(range(min = 0.0))]
    pub min_delta: f64,
    /// No trial is stopped at a step up to this one.
    pub warm_up_steps: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { steps: 10, min_delta: 0.0, warm_up_steps: 0 }
    }
}

/// A trial so far.
#[derive(Debug)]
struct Progress {
    improved_at: u64,
    /// What it had when it improved, but for what a later improvement beats: for one metric the last alone.
    front: Vec<Vec<f64>>,
    /// What none of its other reports beats, by however little: for one metric the best loss alone.
    best: Vec<Vec<f64>>,
}

/// Patience with each trial by itself.
#[derive(Debug)]
pub struct Patience {
    options: Options,
    running: HashMap<u64, Progress>,
    /// The losses of completed trials that keep the outcome constraints and that no other such one beats.
    completed: Vec<Vec<f64>>,
    /// Whether one of these has reported losses: only then does it say something of a trial that it reports none.
    is_reported: bool,
    lengths: Lengths,
}

/// Whether a row of losses is at least as good in every metric.
fn is_as_good(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

/// Adds a row that none of a front beats or equals; what it is as good as falls out.
fn add(front: &mut Vec<Vec<f64>>, losses: Vec<f64>) {
    front.retain(|known| !is_as_good(&losses, known));
    front.push(losses);
}

impl EarlyStopping for Patience {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "patience",
        summary: "ends what has not improved on itself for so many steps, but for the best (Prechelt 1998)",
        capabilities: &[Capability::MultiObjective],
    };
    type Options = Options;

    fn new(_: &Problem, options: Options, _: Rng) -> Result<Self, EarlyStoppingError> {
        if options.steps == 0 {
            return Err("steps must be at least 1: with 0 every trial would end at its first report".into());
        }
        if !(options.min_delta >= 0.0 && options.min_delta.is_finite()) {
            return Err(
                format!("min_delta must be a number of at least 0, found {}", options.min_delta).into()
            );
        }
        Ok(Self {
            options,
            running: HashMap::new(),
            completed: Vec::new(),
            is_reported: false,
            lengths: Lengths::default(),
        })
    }

    fn reported(&mut self, report: &Report) -> Ruling {
        self.lengths.heard(report);
        // the first report is where patience begins, whatever it says
        let fresh = Progress { improved_at: report.step, front: Vec::new(), best: Vec::new() };
        let progress = self.running.entry(report.trial.0).or_insert(fresh);
        if let Some(losses) = report.known_losses() {
            let delta = self.options.min_delta;
            // strictly better than each of the front in some metric
            let is_better =
                |known: &Vec<f64>| losses.iter().zip(known).any(|(loss, known)| *loss < known - delta);
            if progress.front.iter().all(is_better) {
                add(&mut progress.front, losses.clone());
                progress.improved_at = report.step;
            }
            if !progress.best.iter().any(|known| is_as_good(known, &losses)) {
                add(&mut progress.best, losses);
            }
        }
        let waited = report.step.saturating_sub(progress.improved_at);
        if waited < self.options.steps
            || report.step <= self.options.warm_up_steps
            || self.lengths.is_last(report)
        {
            return Ruling::Continue;
        }
        let is_beaten = |own: &Vec<f64>| self.completed.iter().any(|other| is_as_good(other, own));
        let is_behind = match progress.best.is_empty() {
            true => self.is_reported,
            false => progress.best.iter().all(is_beaten),
        };
        if !is_behind {
            return Ruling::Continue;
        }
        Ruling::Stop(format!("it has not improved for {waited} steps, since step {}", progress.improved_at))
    }

    fn finished(&mut self, observation: &Observation) {
        self.lengths.ended(observation);
        let progress = self.running.remove(&observation.trial.0);
        let ObservedResult::Completed(losses) = &observation.result else { return };
        // what breaks a constraint is better than nothing that keeps it
        if observation.loss().is_none() {
            return;
        }
        self.is_reported |= progress.is_some_and(|progress| !progress.best.is_empty());
        if !self.completed.iter().any(|other| is_as_good(other, &losses.values)) {
            add(&mut self.completed, losses.values.clone());
        }
    }
}

ansatz_core::export_plugin! { early_stopping: [Patience] }

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::space::Parameter;
    use ansatz_core::{Curve, Goal, Losses, Metric, Point, Space, TrialId};

    /// A rule that has seen a trial complete that is better than all that follow.
    fn rule(options: Options) -> Result<Patience, EarlyStoppingError> {
        let mut rule = fresh(options)?;
        rule.reported(&report(1_000, 1_000, &[-1e9, -1e9]));
        complete(&mut rule, 1_000, &[-1e9, -1e9]);
        Ok(rule)
    }

    fn complete(rule: &mut Patience, trial: u64, losses: &[f64]) {
        complete_with(rule, trial, losses, Vec::new());
    }

    fn complete_with(rule: &mut Patience, trial: u64, losses: &[f64], excesses: Vec<f64>) {
        let losses = Losses { values: losses.to_vec(), standard_errors: Vec::new(), excesses };
        end(rule, trial, ObservedResult::Completed(losses));
    }

    fn end(rule: &mut Patience, trial: u64, result: ObservedResult) {
        let (trial, point) = (TrialId(trial), Point::new([Some(0.5)]));
        rule.finished(&Observation {
            trial,
            tag: None,
            point,
            fidelity: None,
            curve: Curve::default(),
            result,
        });
    }

    fn fresh(options: Options) -> Result<Patience, EarlyStoppingError> {
        let metric = Metric { name: "loss".to_owned(), goal: Goal::Minimise };
        let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
        Patience::new(&Problem::new(space, vec![metric]), options, Rng::new(0))
    }

    fn report(trial: u64, step: u64, losses: &[f64]) -> Report {
        let losses = losses.iter().map(|loss| Some(*loss).filter(|loss| loss.is_finite())).collect();
        Report { trial: TrialId(trial), step, losses, excesses: Vec::new(), fidelity: None }
    }

    /// The step at which a curve is stopped, with one report a step from 1 on.
    fn stopped_at(options: Options, curve: &[f64]) -> Option<u64> {
        let mut rule = rule(options).unwrap();
        (1..)
            .zip(curve)
            .find(|(step, loss)| rule.reported(&report(0, *step, &[**loss])).is_stop())
            .map(|(step, _)| step)
    }

    #[test]
    fn a_trial_ends_so_many_steps_after_its_last_improvement() {
        let options = Options { steps: 3, ..Options::default() };
        let with = || options.clone();
        assert_eq!(stopped_at(with(), &[5.0, 4.0, 4.5, 4.4, 4.3, 1.0]), Some(5));
        assert_eq!(stopped_at(with(), &[5.0, 4.0, 4.5, 4.4, 3.9, 4.0, 4.0, 3.8]), None);
        assert_eq!(stopped_at(with(), &[5.0, 5.0, 5.0, 5.0]), Some(4), "equal is no improvement");
        assert_eq!(stopped_at(Options { warm_up_steps: 6, ..with() }, &[1.0; 9]), Some(7));
        let slowly: Vec<f64> = (0..20).map(|step| 5.0 - 0.125 * f64::from(step)).collect();
        assert_eq!(stopped_at(with(), &slowly), None);
        assert_eq!(stopped_at(Options { min_delta: 0.125, ..with() }, &slowly), None, "0.25 after two steps");
        assert_eq!(stopped_at(Options { min_delta: 0.5, ..with() }, &slowly), Some(4));
        assert_eq!(stopped_at(with(), &[f64::NAN; 9]), Some(4));
    }

    #[test]
    fn steps_are_counted_as_the_trial_counts_them() {
        let mut rule = rule(Options::default()).unwrap();
        assert!(!rule.reported(&report(0, 100, &[1.0])).is_stop());
        assert!(!rule.reported(&report(0, 109, &[2.0])).is_stop());
        let Ruling::Stop(reason) = rule.reported(&report(0, 120, &[2.0])) else { panic!("it goes on") };
        assert_eq!(reason, "it has not improved for 20 steps, since step 100");
        // another trial has its own patience, and so has one of the same number after its end
        assert!(!rule.reported(&report(1, 120, &[2.0])).is_stop());
        end(&mut rule, 0, ObservedResult::Failed);
        assert!(!rule.reported(&report(0, 121, &[9.0])).is_stop());
    }

    #[test]
    fn of_several_metrics_one_that_improves_is_enough() {
        let mut rule = rule(Options { steps: 2, ..Options::default() }).unwrap();
        let curve = [[3.0, 3.0], [2.0, 4.0], [9.0, 2.0], [2.5, 3.5], [1.0, 9.0], [3.0, 3.0], [2.0, 4.0]];
        let stops: Vec<bool> = (1..)
            .zip(curve)
            .map(|(step, losses)| rule.reported(&report(0, step, &losses)).is_stop())
            .collect();
        // [2.5, 3.5] lies between the first two and is beaten by neither; the repeats are no improvement
        assert_eq!(stops, [false, false, false, false, false, false, true]);
    }

    #[test]
    fn the_leader_goes_on() {
        let mut rule = fresh(Options { steps: 2, ..Options::default() }).unwrap();
        for step in 1..9 {
            assert!(!rule.reported(&report(0, step, &[1.0])).is_stop(), "no trial has completed yet");
        }
        complete(&mut rule, 0, &[1.0]);
        for (trial, loss, expected) in [(1, 1.5, true), (2, 0.5, false), (3, 1.0, true)] {
            let stops = (1..5).any(|step| rule.reported(&report(trial, step, &[loss])).is_stop());
            assert_eq!(stops, expected, "trial {trial}");
        }
        complete(&mut rule, 2, &[0.5]);
        assert!((1..5).any(|step| rule.reported(&report(4, step, &[0.75])).is_stop()));
    }

    #[test]
    fn a_best_loss_counts_by_however_little_it_is_better() {
        let mut rule = fresh(Options { steps: 2, min_delta: 0.5, ..Options::default() }).unwrap();
        complete(&mut rule, 0, &[0.8]);
        let curve = [1.0, 0.9, 0.75, 0.7, 0.65, 0.6];
        let stops = |rule: &mut Patience, trial, curve: &[f64]| {
            (1..).zip(curve).any(|(step, loss)| rule.reported(&report(trial, step, &[*loss])).is_stop())
        };
        assert!(!stops(&mut rule, 1, &curve), "better than the completed one at step 3");
        assert!(stops(&mut rule, 2, &[1.0, 0.9, 0.85, 0.81]));
    }

    #[test]
    fn what_breaks_a_constraint_stops_nobody() {
        let mut rule = fresh(Options { steps: 2, ..Options::default() }).unwrap();
        let stops = |rule: &mut Patience, trial, loss| {
            (1..5).any(|step| rule.reported(&report(trial, step, &[loss])).is_stop())
        };
        complete_with(&mut rule, 0, &[-9.0], vec![-1.0, 0.5]);
        assert!(!stops(&mut rule, 1, 1.0) && !stops(&mut rule, 2, f64::NAN));
        complete_with(&mut rule, 1, &[1.0], vec![-1.0, 0.0]);
        assert!(stops(&mut rule, 3, 1.5) && stops(&mut rule, 4, f64::NAN) && !stops(&mut rule, 5, 0.5));
    }

    #[test]
    fn where_nobody_reports_losses_none_is_stopped() {
        let mut rule = fresh(Options { steps: 2, ..Options::default() }).unwrap();
        let mut stops = |trial, loss| {
            let stops = (1..9).any(|step| rule.reported(&report(trial, step, &[loss])).is_stop());
            (10..20).for_each(|step| drop(rule.reported(&report(trial, step, &[loss]))));
            complete(&mut rule, trial, &[1.0]);
            stops
        };
        assert_eq!([0, 1, 2].map(|trial| stops(trial, f64::NAN)), [false; 3]);
        // once one does, it says something of a trial that it reports none
        assert_eq!([stops(3, 0.5), stops(4, f64::NAN)], [false, true]);
    }

    #[test]
    fn at_its_last_step_there_is_nothing_to_save() {
        let mut rule = fresh(Options { steps: 4, ..Options::default() }).unwrap();
        for step in 1..=9 {
            assert!(!rule.reported(&report(0, step, &[1.0])).is_stop());
        }
        complete(&mut rule, 0, &[1.0]);
        let mut stopped_at = |trial, improved_at| {
            let loss = |step| if step < improved_at { 3.0 } else { 2.0 };
            (1..=9).find(|step| rule.reported(&report(trial, *step, &[loss(*step)])).is_stop())
        };
        assert_eq!([stopped_at(1, 4), stopped_at(2, 5)], [Some(8), None]);
    }

    #[test]
    fn options_out_of_range_are_refused() {
        for options in [
            Options { steps: 0, ..Options::default() },
            Options { min_delta: -1.0, ..Options::default() },
            Options { min_delta: f64::NAN, ..Options::default() },
        ] {
            assert!(rule(options.clone()).is_err(), "{options:?}");
        }
    }
}
