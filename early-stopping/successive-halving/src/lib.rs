//! The early-stopping rule `successive-halving`: at rungs, whose distance grows by a factor, only the best part of the
//! trials that came so far goes on.
//!
//! Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning" (ASHA), in two variants. Stopping: a
//! trial goes on at a rung at once or ends, so no trial has to be continued from a state, and none waits for others.
//! Promotion (algorithm 2): it waits there until it is among the best part, and others begin meanwhile. Several
//! brackets, which begin at rungs of different height, make Hyperband (Li et al. 2018). Which trial is in which bracket
//! depends on its number alone, among those that continue no other. README.md is the user's side.
#![forbid(unsafe_code)]

mod brackets;
mod rung;

use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, EarlyStopping, EarlyStoppingError, Goal, Observation, ObservedResult, Problem,
    Promotion, Report, Ruling, TrialId,
};
use ansatz_curves::{Lengths, short};
use brackets::Brackets;
use rung::{Arrival, Rung};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Rungs of a bracket at most; a factor of 2 from step 1 on needs 64 for every step that there is.
const RUNG_COUNT_MAX: usize = 64;

/// Options of the rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// One in so many goes on at each rung, and each rung is so many times as high as the one below.
    #[schemars(range(min = 2.0, max = 16.0))]
    pub reduction_factor: f64,
    /// The step of the lowest rung: the grace period. No trial ends before it.
    #[schemars(range(min = 1))]
    pub steps_min: u64,
    /// The steps of a whole trial: there is no rung there or above. Left out, it is learnt from the first trial that
    /// completes; with promotion it has to be given.
    #[schemars(range(min = 2))]
    pub steps_max: Option<u64>,
    /// How many brackets, the next with its lowest rung where this one has its second, and so on. 1 is successive
    /// halving, more is Hyperband.
    #[schemars(range(min = 1, max = 8))]
    pub brackets: u32,
    /// What becomes of a trial that is not among the best part of those that came to a rung.
    pub variant: Variant,
}

/// What becomes of a trial that is not among the best part of those that came to a rung.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// It ends, and the best so far always goes on.
    #[default]
    Stopping,
    /// It waits, and goes on once it is among the best part of all that came by then.
    Promotion,
}

impl Default for Options {
    fn default() -> Self {
        Self { reduction_factor: 3.0, steps_min: 1, steps_max: None, brackets: 1, variant: Variant::Stopping }
    }
}

/// Successive halving.
#[derive(Debug)]
pub struct SuccessiveHalving {
    options: Options,
    /// Of the metric, where there is only one: for its values in words.
    goal: Option<Goal>,
    metric_count: usize,
    brackets: Brackets,
    /// By bracket and rung.
    rungs: Vec<Vec<Rung>>,
    /// How far running trials have come, and those that were stopped: others may continue them.
    climbs: HashMap<u64, Climb>,
    /// The numbers of trials that continue others, ascending.
    continuing: Vec<u64>,
    lengths: Lengths,
}

/// How far a trial has come.
#[derive(Clone, Debug)]
struct Climb {
    bracket: usize,
    /// How many rungs it has come to.
    rung_count: usize,
    /// How it came to the rung at which it was to stop.
    stopped: Option<Arrival>,
}

impl EarlyStopping for SuccessiveHalving {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "successive-halving",
        summary: "lets the best part of the trials pass each rung (ASHA, Li et al. 2020; Hyperband by brackets)",
        capabilities: &[Capability::MultiObjective],
    };
    type Options = Options;

    fn new(problem: &Problem, options: Options, _: Rng) -> Result<Self, EarlyStoppingError> {
        let Options { reduction_factor, steps_min, steps_max, brackets, variant } = options;
        if !(2.0..=16.0).contains(&reduction_factor) {
            return Err(format!("reduction_factor must be from 2 to 16, found {reduction_factor}").into());
        }
        if steps_min == 0 {
            return Err("steps_min must be at least 1: steps are counted from 1".into());
        }
        if let Some(steps_max) = steps_max.filter(|most| *most <= steps_min) {
            let message = format!(
                "steps_max must be above steps_min: with {steps_max} and {steps_min} there is no rung"
            );
            return Err(message.into());
        }
        if variant == Variant::Promotion && steps_max.is_none() {
            let message = "with variant = \"promotion\" there must be steps_max, the steps of a whole trial: none would \
                           come to its end to show it";
            return Err(message.into());
        }
        if !(1..=8).contains(&brackets) {
            return Err(format!("brackets must be from 1 to 8, found {brackets}").into());
        }
        Ok(Self {
            brackets: Brackets::new(brackets as usize, reduction_factor),
            goal: (problem.metrics.len() == 1).then(|| problem.metrics[0].goal),
            metric_count: problem.metrics.len(),
            rungs: vec![Vec::new(); brackets as usize],
            climbs: HashMap::new(),
            continuing: Vec::new(),
            lengths: Lengths::default(),
            options,
        })
    }

    fn reported(&mut self, report: &Report) -> Ruling {
        self.lengths.heard(report);
        let trial = report.trial.0;
        let Climb { bracket, mut rung_count, .. } = self.climb(trial);
        let top = self.options.steps_max.or_else(|| self.lengths.whole(report.fidelity)).unwrap_or(u64::MAX);
        // what could not be measured is worse than anything
        let losses = report.losses.iter().map(|loss| loss.unwrap_or(f64::INFINITY)).collect();
        let excess = report.excesses.iter().flatten().filter(|excess| **excess > 0.0).sum();
        let arrival = Arrival { trial, step: report.step, losses, excess };
        // a trial that reports seldom may pass several at once
        while rung_count < RUNG_COUNT_MAX {
            let height = self.height(bracket, rung_count);
            if report.step < height || height >= top {
                break;
            }
            rung_count += 1;
            let ruling = self.judge(&arrival, bracket, rung_count - 1, height);
            let stopped = Some(arrival.clone()).filter(|_| ruling.is_stop());
            self.climbs.insert(trial, Climb { bracket, rung_count, stopped });
            self.lift();
            if ruling.is_stop() {
                return ruling;
            }
        }
        Ruling::Continue
    }

    fn finished(&mut self, observation: &Observation) {
        self.lengths.ended(observation);
        let trial = observation.trial.0;
        let is_stopped = matches!(observation.result, ObservedResult::Stopped(_));
        if !is_stopped || self.options.variant == Variant::Stopping {
            self.climbs.remove(&trial);
        } else if let Some(climb) = self.climbs.get_mut(&trial)
            && let Some(arrival) = climb.stopped.take()
        {
            self.rungs[climb.bracket][climb.rung_count - 1].wait(arrival);
            self.lift();
        }
    }

    /// From the highest rung down, the best of those that wait there, if it is among the best part of all that came.
    fn promotable(&mut self) -> Option<Promotion> {
        if self.options.variant == Variant::Stopping {
            return None;
        }
        let mut places: Vec<(u64, usize, usize)> = Vec::new();
        for (bracket, rungs) in self.rungs.iter().enumerate() {
            places.extend((0..rungs.len()).map(|rung| (self.height(bracket, rung), bracket, rung)));
        }
        places.sort_by_key(|(height, bracket, _)| (std::cmp::Reverse(*height), *bracket));
        for (height, bracket, rung) in places {
            let count = self.rungs[bracket][rung].len();
            let passing = self.passing(count);
            if let Some((arrival, better)) = self.rungs[bracket][rung].promotable(passing) {
                let arrival = arrival.clone();
                let standing = self.standing(&arrival, better, count, height, bracket);
                let reason = format!("{standing}, {}", going_on(passing));
                return Some(Promotion { continued: TrialId(arrival.trial), reason });
            }
        }
        None
    }

    fn promoted(&mut self, continued: TrialId, trial: TrialId) {
        let climb = self.climbs.remove(&continued.0).unwrap_or_else(|| self.climb(continued.0));
        if let Some(rung) =
            climb.rung_count.checked_sub(1).and_then(|rung| self.rungs[climb.bracket].get_mut(rung))
        {
            rung.leave(continued.0);
        }
        self.climbs.insert(trial.0, Climb { stopped: None, ..climb });
        self.continuing.push(trial.0);
    }
}

impl SuccessiveHalving {
    /// The step of a rung.
    fn height(&self, bracket: usize, rung: usize) -> u64 {
        let exponent = (bracket + rung) as i32;
        // the cast saturates
        (self.options.steps_min as f64 * self.options.reduction_factor.powi(exponent)).round() as u64
    }

    /// How far a trial has come; one that has not reported yet is below its first rung.
    fn climb(&self, trial: u64) -> Climb {
        let below = || {
            // those that continue others have the bracket of these, and no place in the cycle
            let others = self.continuing.partition_point(|other| *other < trial);
            let bracket = self.brackets.of(trial - others as u64);
            Climb { bracket, rung_count: 0, stopped: None }
        };
        self.climbs.get(&trial).cloned().unwrap_or_else(below)
    }

    /// Who reports seldom may have passed the next rung too where it waits. Once it may go on from here, it is compared there,
    /// by the same report: nobody has to run to show what is known.
    fn lift(&mut self) {
        if self.options.variant == Variant::Stopping {
            return;
        }
        let top = self.options.steps_max.unwrap_or(u64::MAX);
        for bracket in 0..self.rungs.len() {
            let mut rung = 0;
            while rung < self.rungs[bracket].len() && rung + 1 < RUNG_COUNT_MAX {
                let next = self.height(bracket, rung + 1);
                let passing = self.passing(self.rungs[bracket][rung].len());
                let lifted = match next < top {
                    true => self.rungs[bracket][rung].take_promotable_from(next, passing),
                    false => None,
                };
                let Some(arrival) = lifted else {
                    rung += 1;
                    continue;
                };
                self.rung(bracket, rung + 1).place(&arrival);
                if let Some(climb) = self.climbs.get_mut(&arrival.trial) {
                    climb.rung_count = rung + 2;
                }
                self.rung(bracket, rung + 1).wait(arrival);
            }
        }
    }

    fn rung(&mut self, bracket: usize, rung: usize) -> &mut Rung {
        let metric_count = self.metric_count;
        let rungs = &mut self.rungs[bracket];
        while rungs.len() <= rung {
            rungs.push(Rung::new(metric_count));
        }
        &mut rungs[rung]
    }

    /// How many of those that came to a rung go on.
    fn passing(&self, count: usize) -> usize {
        let passing = (count as f64 / self.options.reduction_factor) as usize;
        match self.options.variant {
            // somebody has to, or nobody would ever
            Variant::Stopping => passing.max(1),
            Variant::Promotion => passing,
        }
    }

    /// A trial comes to a rung: it passes if it is among the best part of those that came so far, itself included.
    fn judge(&mut self, arrival: &Arrival, bracket: usize, rung: usize, height: u64) -> Ruling {
        let rung = self.rung(bracket, rung);
        let better = rung.place(arrival);
        let count = rung.len();
        let passing = self.passing(count);
        // by promotion nobody goes on for want of others, and who has nothing to show does not either
        let has_value = self.options.variant == Variant::Stopping || arrival.has_value();
        if better < passing && has_value {
            return Ruling::Continue;
        }
        let standing = self.standing(arrival, better, count, height, bracket);
        let waits = if self.options.variant == Variant::Promotion { ": it waits" } else { "" };
        Ruling::Stop(format!("{standing}, {}{waits}", going_on(passing)))
    }

    /// Where a trial stands at a rung, in words.
    fn standing(
        &self,
        arrival: &Arrival,
        better: usize,
        count: usize,
        height: u64,
        bracket: usize,
    ) -> String {
        let value = match (self.goal, arrival.losses.first()) {
            _ if arrival.excess > 0.0 => ", which breaks a constraint,".to_owned(),
            (Some(goal), Some(loss)) if loss.is_finite() => format!(" with {}", short(goal.loss(*loss))),
            (Some(_), _) => " without a value".to_owned(),
            (None, _) => String::new(),
        };
        let of_bracket = match self.options.brackets {
            1 => String::new(),
            _ => format!(" of bracket {bracket}"),
        };
        let trials = if count == 1 { "trial" } else { "trials" };
        format!("it is number {}{value} of {count} {trials} at rung {height}{of_bracket}", better + 1)
    }
}

/// How many go on, in words.
fn going_on(passing: usize) -> String {
    match passing {
        0 => "too few for one to go on".to_owned(),
        _ => format!("the best {passing} go on"),
    }
}

ansatz_core::export_plugin! { early_stopping: [SuccessiveHalving] }

#[cfg(test)]
mod tests;
