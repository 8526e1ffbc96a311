//! A study driven by any program: requests as JSON lines in, one answer per line out.
//!
//! `docs/ask-tell.md` is the protocol. A request that makes no sense is answered with an error, and the
//! session goes on; everything acknowledged is in the journal before the answer is written.

use crate::digest::Keeper;
use crate::engine::{Ending, Engine};
use crate::error::Error;
use crate::journal::Entry;
use crate::report::json;
use ansatz_core::rng::Streams;
use ansatz_core::study::Step;
use ansatz_core::study::{EarlyStop, EnqueuedPoint};
use ansatz_core::{Failure, Measurement, Outcome, TrialId, Verdict};
use ansatz_plugin_host::worker::with_null_for_nan;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::time::Duration;

/// Suggestions that one request gives at most.
const ASKED_MAX: usize = 1000;

/// One request; exactly one of its verbs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Anything; comes back with the answer.
    #[serde(default)]
    id: Option<Value>,
    #[serde(default)]
    ask: Option<usize>,
    #[serde(default)]
    tell: Option<Told>,
    #[serde(default)]
    report: Option<Reported>,
    #[serde(default)]
    enqueue: Option<Value>,
    #[serde(default)]
    best: Option<bool>,
    #[serde(default)]
    status: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    trial: u64,
    /// Which attempt is told of, to recognise what was told before; the current one if left out.
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(default)]
    metrics: Option<BTreeMap<String, Option<f64>>>,
    #[serde(default)]
    standard_errors: BTreeMap<String, f64>,
    #[serde(default)]
    infeasible: Option<String>,
    #[serde(default)]
    failed: Option<String>,
    #[serde(default)]
    stopped: Option<String>,
    #[serde(default)]
    duration_s: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reported {
    trial: u64,
    step: u64,
    metrics: BTreeMap<String, Option<f64>>,
}

/// Answers requests until the input ends. `again` are trials of a resumed study that nobody is working
/// on any more: they are given out first.
pub fn serve(
    name: &str,
    engine: &mut Engine,
    mut again: Vec<TrialId>,
    mut input: impl BufRead,
    mut output: impl Write,
) -> Result<(), Error> {
    engine.commit()?;
    let io = |error| Error::Io { path: "standard input or output".into(), error };
    let mut digests = Keeper::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(io)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let request = match std::str::from_utf8(&line) {
            Ok(text) => serde_json::from_str::<Request>(&with_null_for_nan(text)).map_err(|e| e.to_string()),
            Err(error) => Err(format!("it is not UTF-8: {error}")),
        };
        let mut answer = match request {
            Err(error) => json!({"error": format!("this is no request: {error}")}),
            Ok(request) => {
                let id = request.id.clone();
                let mut answer = match respond(name, engine, &mut again, request) {
                    Ok(answer) => answer,
                    Err(Refusal::Request(message)) => json!({"error": message}),
                    Err(Refusal::Study(error)) => return Err(*error),
                };
                if let Some(id) = id {
                    answer["id"] = id;
                }
                answer
            }
        };
        engine.commit()?; // before anybody learns of it
        digests.look(name, engine);
        let notices = engine.take_notices();
        if !notices.is_empty() {
            answer["warnings"] = notices.into();
        }
        match writeln!(output, "{answer}").and_then(|()| output.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
            other => other.map_err(io)?,
        }
    }
    let elapsed = engine.elapsed();
    engine.note(Entry::Closed { reason: "the program that asks and tells has left".into(), elapsed });
    engine.commit()?;
    digests.end(name, engine, elapsed);
    Ok(())
}

/// What a request wants.
enum Verb {
    Ask(usize),
    Tell(Told),
    Report(Reported),
    Enqueue(Value),
    Best,
    Status,
}

impl Request {
    /// `None` where it has none, or several.
    fn verb(self) -> Option<Verb> {
        let Self { id: _, ask, tell, report, enqueue, best, status } = self;
        let verbs = [
            ask.map(Verb::Ask),
            tell.map(Verb::Tell),
            report.map(Verb::Report),
            enqueue.map(Verb::Enqueue),
            best.map(|_| Verb::Best),
            status.map(|_| Verb::Status),
        ];
        let mut verbs = verbs.into_iter().flatten();
        verbs.next().filter(|_| verbs.next().is_none())
    }
}

enum Refusal {
    /// The request makes no sense; the session goes on.
    Request(String),
    /// The session is over.
    Study(Box<Error>),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Study(Box::new(error))
    }
}

fn respond(
    name: &str,
    engine: &mut Engine,
    again: &mut Vec<TrialId>,
    request: Request,
) -> Result<Value, Refusal> {
    match request.verb() {
        None => Err(Refusal::Request(
            "a request has exactly one of ask, tell, report, enqueue, best and status".into(),
        )),
        Some(Verb::Ask(count)) => ask(engine, again, count),
        Some(Verb::Tell(told)) => tell(engine, again, told),
        Some(Verb::Report(reported)) => {
            let trial = TrialId(reported.trial);
            known_pending(engine, trial)?;
            let verdict = engine.report(
                trial,
                reported.step,
                reported
                    .metrics
                    .into_iter()
                    .map(|(metric, value)| (metric, value.unwrap_or(f64::NAN)))
                    .collect(),
            )?;
            let mut answer = json!({"ok": true, "verdict": "continue"});
            if verdict == Verdict::Stop {
                answer["verdict"] = "stop".into();
                answer["reason"] =
                    engine.study().early_stop(trial).map(|EarlyStop { reason, .. }| reason.as_str()).into();
            }
            Ok(answer)
        }
        Some(Verb::Best) => Ok(json!({"best": json::best(engine.study())})),
        Some(Verb::Status) => Ok(json!({"status": json::overview(name, engine.study(), engine.elapsed())})),
        Some(Verb::Enqueue(point)) => {
            let study = engine.study();
            let space = &study.rules().problem.space;
            let mut rng = Streams::new(study.rules().seed).filling(study.trials().len() as u64);
            let point = space.point_from_json(&point).and_then(|point| space.filled(&point, &mut rng));
            let trial = match point {
                Ok(point) => engine.enqueue_now(&EnqueuedPoint { point, fidelity: None })?,
                Err(reason) => Err(reason),
            };
            let trial = trial.map_err(Refusal::Request)?;
            let mut answer = json!({"ok": true, "trial": trial});
            match outcome_of(engine, trial) {
                // another trial's, where duplicates are reused
                Some(outcome) => answer["outcome"] = outcome.kind().into(),
                None => again.insert(0, trial),
            }
            Ok(answer)
        }
    }
}

fn ask(engine: &mut Engine, again: &mut Vec<TrialId>, count: usize) -> Result<Value, Refusal> {
    if count == 0 {
        return Err(Refusal::Request("ask for at least 1".into()));
    }
    let count = count.min(ASKED_MAX);
    let mut trials: Vec<TrialId> = again.drain(..again.len().min(count)).collect();
    let mut answer = json!({"state": "running"});
    if trials.len() < count {
        let (fresh, step) = engine.fill(count - trials.len())?;
        trials.extend(fresh);
        // with a window more may have been asked ahead
        let early = trials.split_off(trials.len().min(count));
        again.extend(early);
        match step {
            Step::Stop(reason) if trials.is_empty() => {
                answer = json!({"state": "done", "reason": reason.to_string()});
            }
            _ if trials.is_empty() => answer["state"] = "waiting".into(),
            _ => {}
        }
    }
    let study = engine.study();
    let list = trials.iter().filter_map(|id| study.trial(*id)).map(|trial| {
        let mut object = json!({
            "trial": trial.id,
            "attempt": trial.attempt,
            "seed": study.trial_seed(trial.id),
            "strategy": study.proposer(trial),
            "parameters": study.rules().problem.space.point_to_json(&trial.point),
        });
        if let Some(fidelity) = trial.fidelity {
            object["fidelity"] = fidelity.into();
        }
        if let Some(continuation) = &trial.continuation {
            let stopped = study.early_stop(continuation.continued);
            object["continues"] =
                json!({"trial": continuation.continued, "step": stopped.map(|stopped| stopped.step)});
        }
        object
    });
    answer["trials"] = list.collect();
    Ok(answer)
}

fn tell(engine: &mut Engine, again: &mut Vec<TrialId>, told: Told) -> Result<Value, Refusal> {
    let trial = TrialId(told.trial);
    let ended = outcome_of(engine, trial).map(Outcome::kind);
    if let Some(kind) = ended {
        // who did not get the answer tells again: that is no mistake
        return Ok(json!({"ok": true, "trial": trial, "outcome": kind, "repeated": true}));
    }
    known_pending(engine, trial)?;
    let current = engine.study().trial(trial).map_or(1, |trial| trial.attempt);
    // a failure of an earlier attempt was answered by this one; a result of an attempt that was lost with its host is a result
    if told.failed.is_some() && told.attempt.is_some_and(|attempt| attempt < current) {
        return Ok(json!({"ok": true, "trial": trial, "outcome": "retry", "repeated": true}));
    }
    for (metric, error) in &told.standard_errors {
        if !told.metrics.as_ref().is_some_and(|metrics| metrics.contains_key(metric)) {
            return Err(Refusal::Request(format!("standard_errors: {metric} is none of the metrics told")));
        }
        if !(error.is_finite() && *error >= 0.0) {
            return Err(Refusal::Request(format!(
                "standard_errors: {metric} must be at least 0, not {error}"
            )));
        }
    }
    let measurement = told.metrics.map(|metrics| {
        let mut measurement = Measurement::new();
        for (metric, value) in metrics {
            let error = told.standard_errors.get(&metric).copied();
            measurement.set(metric, value.unwrap_or(f64::NAN), error);
        }
        measurement
    });
    let outcome = match (measurement, told.infeasible, told.failed, told.stopped) {
        (Some(measurement), None, None, None) => Outcome::Completed { measurement },
        (None, Some(reason), None, None) => Outcome::Infeasible { reason },
        (None, None, Some(reason), None) => Outcome::Failed { failure: Failure::Objective, reason },
        (measurement, None, None, Some(reason)) => Outcome::Stopped { reason, measurement },
        _ => {
            return Err(Refusal::Request(
                "tell one of metrics, infeasible, failed and stopped (stopped may have metrics too)".into(),
            ));
        }
    };
    again.retain(|waiting| *waiting != trial); // somebody worked on it after all
    let duration = told.duration_s.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default();
    if engine.finish(trial, outcome, duration)? == Ending::Retry {
        again.push(trial);
        return Ok(json!({"ok": true, "trial": trial, "outcome": "retry"}));
    }
    let outcome = outcome_of(engine, trial);
    let mut answer = json!({"ok": true, "trial": told.trial, "outcome": outcome.map(Outcome::kind)});
    if let Some(reason) = outcome.and_then(Outcome::reason) {
        answer["reason"] = reason.into();
    }
    Ok(answer)
}

/// How a trial ended, whether it counts already or waits for its turn.
fn outcome_of(engine: &Engine, trial: TrialId) -> Option<&Outcome> {
    let study = engine.study();
    study.trial(trial)?.outcome.as_ref().or_else(|| study.arrived(trial))
}

fn known_pending(engine: &Engine, trial: TrialId) -> Result<(), Refusal> {
    match engine.study().trial(trial) {
        Some(_) if outcome_of(engine, trial).is_none() => Ok(()),
        Some(_) => Err(Refusal::Request(format!("trial {trial} has ended already"))),
        None => Err(Refusal::Request(format!("trial {trial} was never asked for"))),
    }
}
