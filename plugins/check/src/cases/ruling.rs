//! What an early-stopping rule makes of reports.

use crate::bench::{Bench, refusal_kind};
use crate::case::{Ending, Finding, Passed, failed, passed, passed_with, skipped, warning};
use crate::problems;
use ansatz_core::rng::Rng;
use ansatz_core::space::Scale;
use ansatz_core::{
    Capability, Curve, Losses, Observation, ObservedResult, Point, Problem, Report, Ruling, TrialId,
};
use ansatz_plugin_host::ForeignEarlyStopping;
use rand::RngExt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

/// Trials of a study, how many of them run at once, and the steps of a whole one.
const TRIAL_COUNT: u64 = 60;
const SLOT_COUNT: u64 = 4;
const STEP_COUNT: u64 = 27;

/// One parameter and a metric, or two.
pub(super) fn problem(metric_count: usize) -> Result<Problem, Ending> {
    let parameter = problems::float("x", 0.0, 1.0, Scale::Linear, None);
    let Some(space) = problems::space(vec![parameter]) else { return failed("there is no problem") };
    let problem = problems::with_one_metric(space);
    Ok(if metric_count > 1 { problems::with_two_metrics(problem) } else { problem })
}

/// What a trial reports at a step: curves that fall to different ends, and cross.
fn report(problem: &Problem, trial: u64, step: u64, rng: &mut Rng) -> Report {
    let end = (trial as f64 * 0.618).fract();
    let loss = |index: usize| {
        let slope = ((trial + index as u64) as f64 * 0.755).fract();
        Some(end + (1.0 + slope) / step as f64 + 0.01 * rng.random::<f64>())
    };
    Report {
        trial: TrialId(trial),
        step,
        losses: (0..problem.metrics.len()).map(loss).collect(),
        excesses: vec![None; problem.outcome_constraints.len()],
        fidelity: None,
    }
}

fn ended(trial: u64, result: ObservedResult) -> Observation {
    Observation {
        trial: TrialId(trial),
        tag: None,
        point: Point::new([Some(0.5)]),
        fidelity: None,
        curve: Curve::default(),
        result,
    }
}

fn losses(report: &Report) -> Losses {
    let values = report.losses.iter().map(|loss| loss.unwrap_or(0.0)).collect();
    Losses { values, standard_errors: Vec::new(), excesses: Vec::new() }
}

/// A verdict of a study: trial, step, and whether it was to end there.
type Verdict = (u64, u64, bool);

/// A whole study, a few trials at once and in turn. Stopped trials make room for the next.
fn study(rule: &mut ForeignEarlyStopping, problem: &Problem, rng: &mut Rng) -> Result<Vec<Verdict>, Ending> {
    let mut verdicts = Vec::new();
    let mut running: Vec<(u64, u64)> = Vec::new();
    let mut next = 0;
    loop {
        while (running.len() as u64) < SLOT_COUNT && next < TRIAL_COUNT {
            running.push((next, 0));
            next += 1;
        }
        if running.is_empty() {
            return Ok(verdicts);
        }
        let mut index = 0;
        while index < running.len() {
            running[index].1 += 1;
            let (trial, step) = running[index];
            let report = report(problem, trial, step, rng);
            let is_stop = rule.reported(&report)?.is_stop();
            verdicts.push((trial, step, is_stop));
            if is_stop {
                rule.finished(&ended(trial, ObservedResult::Stopped(Some(losses(&report)))))?;
            } else if step == STEP_COUNT {
                rule.finished(&ended(trial, ObservedResult::Completed(losses(&report))))?;
            } else {
                index += 1;
                continue;
            }
            running.remove(index);
        }
    }
}

/// How a trial is doing in a study whose stopped trials may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// The rule stopped it, and its objective has not heard of that yet.
    Stopping,
    /// The rule stopped it, it has ended, and no other continues it.
    Stopped,
    /// Another one continues it.
    Continued,
    /// It ended otherwise.
    Ended,
}

/// A trial of such a study.
struct Entry {
    /// The trial that had its point first: itself, or what it continues after all.
    origin: u64,
    /// The step at which the one that it continues was stopped, or 0.
    from: u64,
    /// Its last step.
    step: u64,
    losses: Option<Losses>,
    stage: Stage,
}

/// What a rule said in such a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Said {
    Ruling(Verdict),
    /// Which stopped trial is to go on, if any.
    Promotion(Option<u64>),
}

/// A study in which a stopped trial goes on, as another one, where the rule says so. Each advances by a step at least or
/// ends, and none is continued twice, so the study ends.
struct PromotingStudy<'a> {
    rule: &'a mut ForeignEarlyStopping,
    problem: &'a Problem,
    rng: Rng,
    entries: Vec<Entry>,
    said: Vec<Said>,
    /// Whether the rule is asked which trial goes on more often than anybody needs to know.
    is_curious: bool,
}

impl PromotingStudy<'_> {
    fn run(mut self) -> Result<Vec<Said>, Ending> {
        let mut running: Vec<usize> = Vec::new();
        let mut point_count = 0;
        loop {
            while (running.len() as u64) < SLOT_COUNT {
                let trial = self.entries.len() as u64;
                let (origin, from) = match self.promotion()? {
                    Some(continued) => {
                        self.rule.promoted(TrialId(continued), TrialId(trial))?;
                        let stopped = &mut self.entries[continued as usize];
                        stopped.stage = Stage::Continued;
                        (stopped.origin, stopped.step)
                    }
                    None if point_count < TRIAL_COUNT => {
                        point_count += 1;
                        (trial, 0)
                    }
                    None => break,
                };
                running.push(self.entries.len());
                let stage = Stage::Running;
                self.entries.push(Entry { origin, from, step: from, losses: None, stage });
            }
            if running.is_empty() {
                return Ok(self.said);
            }
            for index in std::mem::take(&mut running) {
                self.advance(index)?;
                if matches!(self.entries[index].stage, Stage::Running | Stage::Stopping) {
                    running.push(index);
                }
                if self.is_curious {
                    self.promotable()?;
                }
            }
        }
    }

    /// A trial takes a step, or ends.
    fn advance(&mut self, index: usize) -> Result<(), Ending> {
        let entry = &mut self.entries[index];
        let trial = index as u64;
        // not every trial that ends early does so because the rule said it
        let (own_steps, others) = (entry.step - entry.from, trial % 12);
        let (stage, result) = match entry.stage {
            Stage::Stopping => (Stage::Stopped, ObservedResult::Stopped(entry.losses.clone())),
            _ if (others, own_steps) == (5, 0) || (others, own_steps) == (11, 4) => {
                (Stage::Ended, ObservedResult::Failed)
            }
            _ if (others, own_steps) == (9, 0) || (others, own_steps) == (3, 4) => {
                (Stage::Ended, ObservedResult::Stopped(entry.losses.clone()))
            }
            _ if entry.step < STEP_COUNT => {
                entry.step += 1;
                let report = report(self.problem, entry.origin, entry.step, &mut self.rng);
                let report = Report { trial: TrialId(trial), ..report };
                entry.losses = Some(losses(&report));
                let is_stop = self.rule.reported(&report)?.is_stop();
                if is_stop {
                    entry.stage = Stage::Stopping;
                }
                self.said.push(Said::Ruling((trial, entry.step, is_stop)));
                return Ok(());
            }
            // one that continues a trial which was stopped at its last step has nothing to report
            _ => {
                let losses = entry.losses.clone().unwrap_or_else(|| {
                    losses(&report(self.problem, entry.origin, entry.step, &mut self.rng))
                });
                (Stage::Ended, ObservedResult::Completed(losses))
            }
        };
        entry.stage = stage;
        Ok(self.rule.finished(&ended(trial, result))?)
    }

    /// The stopped trial that goes on in a slot that is free.
    fn promotion(&mut self) -> Result<Option<u64>, Ending> {
        let promotion = self.promotable()?;
        self.said.push(Said::Promotion(promotion));
        Ok(promotion)
    }

    /// What the rule says when it is asked which trial is to go on.
    fn promotable(&mut self) -> Result<Option<u64>, Ending> {
        // as in a study, where nobody asks while nothing waits
        if !self.entries.iter().any(|entry| entry.stage == Stage::Stopped) {
            return Ok(None);
        }
        let promotion = self.ask()?;
        if self.is_curious {
            let again = self.ask()?;
            if again != promotion {
                let shown = |trial: Option<u64>| trial.map_or("none".to_owned(), |trial| format!("{trial}"));
                let (one, other) = (shown(promotion), shown(again));
                return failed(format!(
                    "asked twice in a row which trial is to go on, it says {one}, then {other}"
                ));
            }
        }
        Ok(promotion)
    }

    /// A trial that may go on, or none.
    fn ask(&mut self) -> Result<Option<u64>, Ending> {
        let Some(promotion) = self.rule.promotable()? else { return Ok(None) };
        let trial = promotion.continued.0;
        let entry = usize::try_from(trial).ok().and_then(|index| self.entries.get(index));
        let wrong = match entry.map(|entry| entry.stage) {
            Some(Stage::Stopped) => return Ok(Some(trial)),
            Some(Stage::Running) => "which runs",
            Some(Stage::Stopping) => "which has not ended yet",
            Some(Stage::Continued) => "which another one continues already",
            Some(Stage::Ended) => "which it did not stop",
            None => "which there is not",
        };
        failed(format!("it would have trial {trial} go on, {wrong}"))
    }
}

fn promoting_study(bench: &Bench<'_>, problem: &Problem, is_curious: bool) -> Result<Vec<Said>, Ending> {
    let rule = &mut bench.rule(problem)?;
    let (entries, said) = (Vec::new(), Vec::new());
    PromotingStudy { rule, problem, rng: bench.rng("curves"), entries, said, is_curious }.run()
}

fn promotion_count(said: &[Said]) -> usize {
    said.iter().filter(|said| matches!(said, Said::Promotion(Some(_)))).count()
}

pub(super) fn promotions(bench: &Bench<'_>) -> Finding {
    let problem = problem(1)?;
    let verdicts = || study(&mut bench.rule(&problem)?, &problem, &mut bench.rng("curves"));
    if verdicts()? != verdicts()? {
        return skipped("equal seeds give different verdicts: see rule-repeats");
    }
    let run = |is_curious: bool| promoting_study(bench, &problem, is_curious);
    let said = run(false)?;
    for (is_curious, what) in [
        (false, "with the same seed and the same reports"),
        (true, "asked more often which trial is to go on, which should change nothing,"),
    ] {
        let again = run(is_curious)?;
        let count = said.len().max(again.len());
        if let Some(index) = (0..count).find(|index| said.get(*index) != again.get(*index)) {
            let shown = |said: Option<&Said>| match said {
                Some(Said::Ruling((trial, step, true))) => format!("stops trial {trial} at step {step}"),
                Some(Said::Ruling((trial, step, false))) => format!("lets trial {trial} pass step {step}"),
                Some(Said::Promotion(Some(trial))) => format!("has stopped trial {trial} go on"),
                Some(Said::Promotion(None)) => "has no stopped trial go on".to_owned(),
                None => "says nothing".to_owned(),
            };
            let (one, other) = (shown(said.get(index)), shown(again.get(index)));
            return failed(format!("{what} it {other} where it {one}"));
        }
    }
    let mut hasher = DefaultHasher::new();
    said.hash(&mut hasher);
    let stopped = said.iter().filter(|said| matches!(said, Said::Ruling((_, _, true)))).count();
    let text = match promotion_count(&said) {
        0 => format!("it has none of {stopped} stopped trials go on"),
        promoted => format!("{promoted} of {stopped} stopped trials went on, from {TRIAL_COUNT} points"),
    };
    Ok(Passed { text, digest: Some(hasher.finish()), ..Passed::default() })
}

pub(super) fn repeats(bench: &Bench<'_>) -> Finding {
    let problem = problem(1)?;
    let once = || study(&mut bench.rule(&problem)?, &problem, &mut bench.rng("curves"));
    let (first, again) = (once()?, once()?);
    if let Some(index) =
        (0..first.len().max(again.len())).find(|index| first.get(*index) != again.get(*index))
    {
        let shown = |verdict: Option<&Verdict>| match verdict {
            Some((trial, step, true)) => format!("stops trial {trial} at step {step}"),
            Some((trial, step, false)) => format!("lets trial {trial} go on at step {step}"),
            None => "says nothing".to_owned(),
        };
        let (one, other) = (shown(first.get(index)), shown(again.get(index)));
        return failed(format!("with the same seed and the same reports it {one}, and {other}"));
    }
    let mut hasher = DefaultHasher::new();
    first.hash(&mut hasher);
    let stopped = first.iter().filter(|verdict| verdict.2).count();
    let text = format!("{stopped} of {TRIAL_COUNT} trials stopped, {} reports", first.len());
    Ok(Passed { text, digest: Some(hasher.finish()), ..Passed::default() })
}

pub(super) fn answers(bench: &Bench<'_>) -> Finding {
    let problem = problem(1)?;
    let mut rule = bench.rule(&problem)?;
    let mut rng = bench.rng("curves");
    for trial in 0..20 {
        for step in 1..=10 {
            let mut report = report(&problem, trial, step, &mut rng);
            // a boundary carries all of these
            let strange = [None, Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(1e300)];
            if (trial + step) % 3 == 0 {
                report.losses = vec![strange[(trial + step) as usize % strange.len()]];
            }
            if rule.reported(&report)?.is_stop() {
                break;
            }
        }
        rule.finished(&ended(trial, ObservedResult::Stopped(None)))?;
    }
    passed()
}

pub(super) fn evidence(bench: &Bench<'_>) -> Finding {
    let problem = problem(1)?;
    let first = report(&problem, 0, 1, &mut bench.rng("curves"));
    match bench.rule(&problem)?.reported(&first)? {
        Ruling::Continue => passed(),
        // it waits until there is something
        Ruling::Stop(_) if promotion_count(&promoting_study(bench, &problem, false)?) > 0 => {
            passed_with("it stops the first trial at its first report, and has stopped trials go on")
        }
        Ruling::Stop(reason) => {
            failed(format!("it stops the first trial of a study at its first report: {reason}"))
        }
    }
}

pub(super) fn completes(bench: &Bench<'_>) -> Finding {
    let problem = problem(1)?;
    let verdicts = study(&mut bench.rule(&problem)?, &problem, &mut bench.rng("curves"))?;
    let completed = verdicts.iter().filter(|(_, step, is_stop)| *step == STEP_COUNT && !is_stop).count();
    if completed > 0 {
        return passed_with(format!("{completed} of {TRIAL_COUNT} trials run to their end"));
    }
    match promotion_count(&promoting_study(bench, &problem, false)?) {
        0 => warning(format!(
            "it stops all of {TRIAL_COUNT} trials, the best of them too, and has none go on: a study would end without a best trial"
        )),
        promoted => passed_with(format!("none of {TRIAL_COUNT} trials runs through, and {promoted} go on")),
    }
}

pub(super) fn ends(bench: &Bench<'_>) -> Finding {
    let problem = problem(1)?;
    let mut rule = bench.rule(&problem)?;
    let mut rng = bench.rng("curves");
    let results = [
        ObservedResult::Completed(losses(&report(&problem, 0, 9, &mut rng))),
        ObservedResult::Infeasible,
        ObservedResult::Failed,
        ObservedResult::Stopped(None),
    ];
    // trials that never reported, far apart and out of order, and each once more
    for (index, result) in results.iter().enumerate() {
        let trial = [7, 3, u64::MAX - 1, 1 << 40][index];
        for _ in 0..2 {
            rule.finished(&ended(trial, result.clone()))?;
        }
    }
    for trial in [9, 2, u64::MAX - 2] {
        for step in [1, 5, 1 << 50] {
            if rule.reported(&report(&problem, trial, step, &mut rng))?.is_stop() {
                break;
            }
        }
        rule.finished(&ended(trial, ObservedResult::Failed))?;
    }
    passed()
}

pub(super) fn several_metrics(bench: &Bench<'_>) -> Finding {
    let problem = problem(2)?;
    let claims = bench.target.about.can(&[Capability::MultiObjective]);
    let made = bench.target.create_early_stopping(&problem, &bench.options(), bench.strategy_seed());
    match made {
        Ok(mut rule) if claims => {
            let verdicts = study(&mut rule, &problem, &mut bench.rng("curves"))?;
            let stopped = verdicts.iter().filter(|verdict| verdict.2).count();
            passed_with(format!("{stopped} of {TRIAL_COUNT} trials stopped"))
        }
        Ok(_) => failed("it does not claim multi-objective, and takes two metrics all the same"),
        Err(error) if claims => Err(error.into()),
        Err(error) if refusal_kind(&error).is_none() => failed(error.to_string()),
        Err(_) => passed(),
    }
}

/// How many reports are many.
const REPORT_COUNT: u64 = 20_000;

pub(super) fn many_reports(bench: &Bench<'_>) -> Finding {
    let problem = problem(1)?;
    let mut rule = bench.rule(&problem)?;
    let mut rng = bench.rng("curves");
    let began = Instant::now();
    let (mut reports, mut trial) = (0, 0);
    while reports < REPORT_COUNT {
        let mut result = ObservedResult::Stopped(None);
        for step in 1..=STEP_COUNT {
            let report = report(&problem, trial, step, &mut rng);
            reports += 1;
            if rule.reported(&report)?.is_stop() {
                break;
            }
            if step == STEP_COUNT {
                result = ObservedResult::Completed(losses(&report));
            }
        }
        rule.finished(&ended(trial, result))?;
        trial += 1;
        if bench.time_left().is_zero() {
            return failed(format!("it answered {reports} reports of {trial} trials in the time"));
        }
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / reports as f64;
    passed_with(format!("{each:.1} µs for each of {reports} reports of {trial} trials"))
}
