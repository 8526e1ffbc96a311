//! Points of people for a study that may be running, here or elsewhere.

use super::{print, print_json};
use crate::Clock;
use crate::args::EnqueueArgs;
use crate::error::{Error, Exit};
use crate::journal::{self, Queued};
use crate::session;
use ansatz_core::rng::Rng;
use ansatz_core::study::{EnqueuedPoint, StudyRules};
use ansatz_core::{Point, Space, Study, Value};
use rand::RngExt;
use serde_json::json;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Puts points into the queue of a study, or prints those that wait there.
pub fn execute(arguments: &EnqueueArgs) -> Result<Exit, Error> {
    let location = arguments.journal.location()?;
    journal::bring_up_to_date(&location)?;
    let store = session::open_existing(&location)?;
    let name = session::choose(&location, store.as_ref(), Some(&arguments.study))?;
    let journal = store.read(&name)?;
    let mut plan = journal.header().plan.clone();
    plan.journal.move_to(&location);
    let space = &plan.rules.problem.space;
    if arguments.values.is_empty() && arguments.file.is_none() {
        let waiting = journal.queue()?;
        let points = waiting.iter().filter_map(|waiting| waiting.point.as_ref().ok());
        let points: Vec<_> = points.map(|queued| space.point_to_json(&queued.point)).collect();
        if arguments.json {
            return print_json(&json!({ "study": name, "waiting": points }));
        }
        let lines: String = points.iter().map(|point| format!("{point}\n")).collect();
        return print(&if points.is_empty() { format!("no point waits in study {name}\n") } else { lines });
    }
    let points = match &arguments.file {
        Some(path) => of_file(path, space)?,
        None => vec![of_values(&arguments.values, space).map_err(Error::Usage)?],
    };
    // unlike those of a manifest they are no part of what the study's seed decides
    let mut dice = rand::rng();
    let mut rng = Rng::new(dice.random());
    let filled: Result<Vec<Point>, String> =
        points.iter().map(|point| space.filled(point, &mut rng)).collect();
    let filled =
        filled.map_err(|reason| Error::Usage(format!("this point cannot be evaluated: {reason}")))?;
    // who left something out learns what it has become
    let drawn: String = (points.iter().zip(&filled))
        .filter(|(given, filled)| given != filled)
        .map(|(_, filled)| format!("  with what was drawn: {}\n", space.point_to_json(filled)))
        .collect();
    let fidelity = arguments.fidelity;
    let points: Vec<EnqueuedPoint> =
        filled.into_iter().map(|point| EnqueuedPoint { point, fidelity }).collect();
    if let (Some(_), None) = (fidelity, &plan.rules.problem.fidelity) {
        return Err(Error::Usage(format!("study {name} has no fidelity: leave --fidelity out")));
    }
    check(&plan.rules, &points)?;
    // unique in the study for all times, and exact where numbers are floating-point ones
    let ticket = |point| Queued { ticket: dice.random_range(0..1 << 52), point };
    let queued: Vec<Queued> = points.into_iter().map(ticket).collect();
    let now = Clock::start(Duration::ZERO).unix_seconds();
    drop(journal);
    journal::open(&plan.journal)?.enqueue(&name, now, &queued)?;
    let is_closed = store.studies()?.into_iter().any(|study| study.name == name && study.is_closed);
    if arguments.json {
        return print_json(&json!({ "study": name, "enqueued": queued.len(), "closed": is_closed }));
    }
    let what = if queued.len() == 1 { "1 point".to_owned() } else { format!("{} points", queued.len()) };
    let when = match is_closed {
        true => format!(
            "ansatz resume {name} evaluates what waits, with --set budget.trials=... where the budget is used up"
        ),
        false => format!(
            "evaluated as soon as a slot is free, before anything else is; should nobody run the study any more, by ansatz \
             resume {name}"
        ),
    };
    print(&format!("enqueued for study {name}: {what}; {when}\n{drawn}"))
}

/// Refuses what could never become a trial.
fn check(rules: &StudyRules, points: &[EnqueuedPoint]) -> Result<(), Error> {
    let study = Study::new(rules.clone());
    for point in points {
        let checked = study.take_enqueued(0, point);
        checked.map_err(|reason| Error::Usage(format!("this point cannot be evaluated: {reason}")))?;
    }
    Ok(())
}

fn of_values(values: &[(String, String)], space: &Space) -> Result<Point, String> {
    let mut known = Vec::new();
    for (name, text) in values {
        // what looks like a number may be a text that does
        let readings = [serde_json::from_str(text).ok(), Some(Value::Text(text.clone()))];
        let mut refusal = String::new();
        let value = readings.into_iter().flatten().find(|value: &Value| {
            space
                .point_from_values([(name.as_str(), value.clone())])
                .map_err(|reason| {
                    if refusal.is_empty() {
                        refusal = reason;
                    }
                })
                .is_ok()
        });
        known.push((name.as_str(), value.ok_or(refusal)?));
    }
    space.point_from_values(known)
}

fn of_file(path: &Path, space: &Space) -> Result<Vec<Point>, Error> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().lock().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(path).map(|content| text = content),
    };
    read.map_err(|error| Error::Io { path: path.to_owned(), error })?;
    let mut points = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let object: Result<serde_json::Value, String> =
            serde_json::from_str(line).map_err(|error| format!("it is no JSON: {error}"));
        let point = object.and_then(|object| space.point_from_json(&object));
        points.push(
            point.map_err(|reason| Error::Usage(format!("{}, line {number}: {reason}", path.display())))?,
        );
    }
    match points.is_empty() {
        true => Err(Error::Usage(format!("{} has no point: one JSON object to a line", path.display()))),
        false => Ok(points),
    }
}
