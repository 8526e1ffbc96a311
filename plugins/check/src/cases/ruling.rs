//! What an early-stopping rule makes of reports.

use crate::bench::{Bench, refusal_kind};
use crate::case::{Ending, Finding, Passed, failed, passed, passed_with};
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
        Ruling::Stop(reason) => {
            failed(format!("it stops the first trial of a study at its first report: {reason}"))
        }
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
