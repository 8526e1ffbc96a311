//! Studies and trials as text for people.

use super::calibration::{Calibration, in_own_units};
use super::front;
use super::plot;
use super::savings::{self, Savings};
use crate::run::SessionEnd;
use ansatz_core::study::{ENQUEUED, Mix, Study, Trial};
use ansatz_core::{Goal, Measurement, Outcome, Reading, TrialId};
use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

/// A time span in the two units that matter: `450 ms`, `12.3 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    let (minutes, hours, days) = (span.as_secs() / 60, span.as_secs() / 3600, span.as_secs() / 86_400);
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{minutes} min {} s", span.as_secs() % 60),
        s if s < 86_400.0 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// A number to five significant digits, without trailing zeros.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..7).contains(&magnitude) {
        let text = format!("{value:.4e}");
        return match text.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", without_zeros(digits)),
            None => text,
        };
    }
    let decimals = (4 - magnitude).max(0) as usize;
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

/// What was measured, with its standard error where that is known.
pub fn reading(reading: &Reading) -> String {
    match reading.standard_error {
        Some(error) => format!("{} ± {}", number(reading.value), number(error)),
        None => number(reading.value),
    }
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// The best value of a study in a few words; `None` before the first completed trial.
pub fn incumbent_in_short(study: &Study) -> Option<String> {
    let first = study.trial(study.incumbent().first()?)?;
    if study.rules().problem.metrics.len() > 1 {
        let count = study.incumbent().trials().len();
        return Some(format!("{count} trial{} on the Pareto front", if count == 1 { "" } else { "s" }));
    }
    let metric = &study.rules().problem.metrics.first()?.name;
    let value = first.outcome.as_ref()?.completed()?.value(metric)?;
    Some(format!("{metric} {} (trial {})", number(value), first.id))
}

/// One trial in one line: number, strategy, what came of it, how long it took.
pub fn trial_in_short(study: &Study, trial: &Trial) -> String {
    let label = study.proposer(trial);
    let width = proposer_width(study);
    let result = match &trial.outcome {
        None => match &trial.last_report {
            Some((step, measurement)) => format!("pending, step {step}: {}", measured(study, measurement)),
            None => "pending".to_owned(),
        },
        Some(Outcome::Completed { measurement }) => measured(study, measurement),
        Some(Outcome::Stopped { reason, measurement }) => {
            let measurement = measurement.as_ref().map(|m| measured(study, m)).unwrap_or_default();
            format!("stopped: {reason}  {measurement}")
        }
        Some(outcome) => format!("{}: {}", outcome.kind(), outcome.reason().unwrap_or_default()),
    };
    let time = match trial.reused {
        Some(earlier) => format!("  (as trial {earlier})"),
        // whoever tells need not say how long it took
        None if trial.duration.is_zero() => String::new(),
        None => format!("  {}", duration(trial.duration)),
    };
    let continued = trial.continuation.as_ref();
    let continued = continued.map(|continuation| format!("  (continues {})", continuation.continued));
    format!("trial {:<3} {label:width$}  {result}{}{time}", trial.id, continued.unwrap_or_default())
}

/// The goals and constraints of a measurement.
fn measured(study: &Study, measurement: &Measurement) -> String {
    let problem = &study.rules().problem;
    let names = (problem.metrics.iter().map(|metric| metric.name.as_str()))
        .chain(problem.outcome_constraints.iter().map(|constraint| constraint.metric.as_str()));
    let mut parts: Vec<String> = Vec::new();
    for name in names {
        let Some(value) = measurement.value(name) else { continue };
        let part = format!("{name} {}", number(value));
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if problem.excesses(measurement).iter().any(|excess| *excess > 0.0) {
        parts.push("(out of bounds)".to_owned());
    }
    parts.join("  ")
}

/// Everything about one trial, in lines.
pub fn trial_in_full(study: &Study, trial: &Trial) -> String {
    let problem = &study.rules().problem;
    let mut text = format!("trial {} by {}", trial.id, study.proposer(trial));
    let state = trial.outcome.as_ref().map_or("pending", Outcome::kind);
    let attempt = if trial.attempt > 1 { format!(", attempt {}", trial.attempt) } else { String::new() };
    let time = match trial.duration {
        Duration::ZERO => String::new(),
        span => format!(", {}", duration(span)),
    };
    let _ = writeln!(text, ": {state}{attempt}{time}");
    if let Some(reason) = trial.outcome.as_ref().and_then(Outcome::reason) {
        let _ = writeln!(text, "  reason: {reason}");
    }
    text.push_str(&savings::of_trial(study, trial));
    let mut rows: Vec<(String, String)> = Vec::new();
    let measurement = match &trial.outcome {
        Some(Outcome::Completed { measurement }) => Some(measurement),
        Some(Outcome::Stopped { measurement, .. }) => measurement.as_ref(),
        _ => None,
    };
    // what the study is about comes first, in its order
    let mut readings: Vec<&Reading> =
        measurement.map(Measurement::readings).unwrap_or_default().iter().collect();
    let metrics = problem.metrics.iter().map(|metric| &metric.name);
    let names: Vec<&String> =
        metrics.chain(problem.outcome_constraints.iter().map(|constraint| &constraint.metric)).collect();
    readings
        .sort_by_key(|reading| names.iter().position(|name| **name == reading.metric).unwrap_or(names.len()));
    for reading in readings {
        let goal = problem.metrics.iter().find(|metric| metric.name == reading.metric).map(|m| m.goal);
        let mut value = self::reading(reading);
        match goal {
            Some(Goal::Minimise) => value.push_str("  (minimised)"),
            Some(Goal::Maximise) => value.push_str("  (maximised)"),
            None => {}
        }
        rows.push((reading.metric.clone(), value));
    }
    text.push_str(&table(&rows, "  "));
    let mut rows: Vec<(String, String)> = Vec::new();
    for (name, value) in problem.space.values(&trial.point) {
        rows.push((name.to_owned(), shown(&value)));
    }
    if let (Some(range), Some(fidelity)) = (&problem.fidelity, trial.fidelity) {
        rows.push((range.name.clone(), number(fidelity)));
    }
    text.push_str("  at\n");
    text.push_str(&table(&rows, "    "));
    text
}

/// The same with what was predicted and the seed that its objective got.
pub fn trial_with_seed(study: &Study, trial: &Trial) -> String {
    let (full, predicted) = (trial_in_full(study, trial), prediction(study, trial));
    format!("{full}{predicted}  seed  {}\n", study.trial_seed(trial.id))
}

/// Every line moved to the right.
pub fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{line}\n")).collect()
}

/// A value of a parameter.
pub fn shown(value: &ansatz_core::Value) -> String {
    match value {
        ansatz_core::Value::Float(float) => number(*float),
        other => other.to_string(),
    }
}

/// A point in lines: each active parameter with its value.
pub fn point(study: &Study, point: &ansatz_core::Point, indent: &str) -> String {
    let values = study.rules().problem.space.values(point);
    let rows: Vec<(String, String)> = values.map(|(name, value)| (name.to_owned(), shown(&value))).collect();
    table(&rows, indent)
}

/// Names and values in two columns.
fn table(rows: &[(String, String)], indent: &str) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{indent}{name:width$}  {value}\n")).collect()
}

/// How many trials ended in which way: `40 trials: 38 completed, 2 failed`.
pub fn counts(study: &Study) -> String {
    let count = |kind: &str| {
        let of_kind = |trial: &&Trial| trial.outcome.as_ref().map_or("pending", Outcome::kind) == kind;
        study.trials().iter().filter(of_kind).count()
    };
    let parts: Vec<String> = ["completed", "failed", "infeasible", "stopped", "pending"]
        .into_iter()
        .map(|kind| (count(kind), kind))
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{count} {kind}"))
        .collect();
    match study.trials().len() {
        0 => "no trials yet".to_owned(),
        1 => format!("1 trial: {}", parts.join(", ")),
        all => format!("{all} trials: {}", parts.join(", ")),
    }
}

/// Why trials failed, the most frequent reasons first, each with its first trial; empty where none did. Reasons that differ in
/// numbers only, hexadecimal ones too, are one.
fn failures(study: &Study) -> String {
    let mut reasons: Vec<(usize, TrialId, &str)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for trial in study.trials() {
        let Some(Outcome::Failed { reason, .. }) = &trial.outcome else { continue };
        let kind = reason.replace(|letter: char| letter.is_ascii_hexdigit(), "");
        let place = *places.entry(kind).or_insert_with(|| {
            reasons.push((0, trial.id, reason));
            reasons.len() - 1
        });
        reasons[place].0 += 1;
    }
    // sorting keeps the order of equals
    reasons.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    let mut text = String::new();
    for (count, first, reason) in reasons.iter().take(SHOWN_REASONS_MAX) {
        let many = if *count == 1 { String::new() } else { format!("{count} trials, the first of them ") };
        let _ = writeln!(text, "failed: {many}trial {first}: {}", in_one_line(reason));
    }
    match reasons.len().saturating_sub(SHOWN_REASONS_MAX) {
        0 => {}
        1 => text.push_str("failed: and for another reason (ansatz export has all)\n"),
        more => {
            let _ = writeln!(text, "failed: and for {more} other reasons (ansatz export has all)");
        }
    }
    text
}

/// What somebody said in several lines.
pub fn in_one_line(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The best trial, or the Pareto front, a line for each of its trials.
pub fn best(study: &Study) -> String {
    let hint = "  (ansatz best prints where they are)\n";
    incumbents(study, |_| String::new(), hint)
}

/// The best trial, or the Pareto front with the point of each trial.
pub fn best_with_points(study: &Study) -> String {
    incumbents(study, |trial| point_in_short(study, trial, "      "), "")
}

/// A point in as few lines as it takes: `learning_rate 0.01, layers 3`.
fn point_in_short(study: &Study, trial: &Trial, indent: &str) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for (name, value) in study.rules().problem.space.values(&trial.point) {
        let part = format!("{name} {}", shown(&value));
        if !line.is_empty() && line.len() + part.len() > LINE_LENGTH {
            let _ = writeln!(lines, "{indent}{line},");
            line.clear();
        }
        let separator = if line.is_empty() { "" } else { ", " };
        let _ = write!(line, "{separator}{part}");
    }
    format!("{lines}{indent}{line}\n")
}

fn incumbents(study: &Study, below: impl Fn(&Trial) -> String, hint: &str) -> String {
    let incumbents: Vec<&Trial> = study.incumbent().trials().filter_map(|id| study.trial(id)).collect();
    match incumbents[..] {
        [] if study.finished_count() == 0 => "no trial has ended yet\n".to_owned(),
        [] => {
            let problem = &study.rules().problem;
            let constrained = !problem.outcome_constraints.is_empty();
            let hint = if constrained { ", or none that keeps every bound on the metrics" } else { "" };
            let part =
                problem.fidelity.as_ref().map_or(String::new(), |range| format!(" with all {}", range.name));
            format!("no best point: no trial completed{part}{hint}\n")
        }
        [trial] => format!("best: {}", trial_in_full(study, trial)),
        _ => {
            let mut text = format!("Pareto front of {} trials", incumbents.len());
            if let Some(share) = front::coverage(study).last() {
                let _ =
                    write!(text, "; it covers {:.1} % between the best and the worst values", 100.0 * share);
            }
            text.push('\n');
            for trial in incumbents {
                let _ = writeln!(text, "  {}", trial_in_short(study, trial));
                text.push_str(&below(trial));
            }
            if let Some(knee) = front::knee(study) {
                let _ = writeln!(
                    text,
                    "  trial {knee} is the knee: the least sum of losses over their ranges on the front"
                );
            }
            text.push_str(hint);
            text
        }
    }
}

/// The longest name that a proposer may have, as far as is known.
fn proposer_width(study: &Study) -> usize {
    let members = study.rules().members.iter().zip(study.members());
    let width = members.map(|(member, state)| {
        member.label.len() + if state.fallback_since.is_some() { "/fallback".len() } else { 0 }
    });
    let enqueued = (study.enqueued_count() > 0).then_some(ENQUEUED.len());
    width.chain(enqueued).max().unwrap_or(0)
}

/// What each strategy contributed.
pub fn contributions(study: &Study) -> String {
    let problem = &study.rules().problem;
    let single = (problem.metrics.len() == 1).then(|| &problem.metrics[0]);
    let shares = (study.rules().mix == Mix::Adaptive).then(|| study.shares());
    let head = ["strategy", "trials", "improved", "failed", "best"];
    let mut rows = vec![
        head.into_iter().chain(shares.as_ref().map(|_| "next share")).map(str::to_owned).collect::<Vec<_>>(),
    ];
    let mut add = |label: String, proposer: Option<usize>, counts: [String; 2], share: String| {
        let own = || study.trials().iter().filter(move |trial| trial.member == proposer);
        let failed = own().filter(|trial| matches!(trial.outcome, Some(Outcome::Failed { .. }))).count();
        let best = single.and_then(|metric| {
            // as the best of the study: whole, and within all bounds
            let losses = own().filter_map(|trial| study.counted_losses(trial)?.first().copied());
            losses.reduce(f64::min).map(|loss| number(metric.goal.loss(loss)))
        });
        let [trials, improved] = counts;
        let mut row = vec![label, trials, improved, failed.to_string(), best.unwrap_or_else(|| "-".into())];
        row.extend(shares.as_ref().map(|_| share));
        rows.push(row);
    };
    for (index, (member, state)) in study.rules().members.iter().zip(study.members()).enumerate() {
        // who comes later has nothing to show yet
        if state.trial_count == 0 && (study.point_count() as u64) < member.after_count {
            continue;
        }
        let counts = [state.trial_count, state.improvement_count].map(|count| count.to_string());
        let share =
            shares.as_ref().map_or_else(String::new, |shares| format!("{:.0} %", 100.0 * shares[index]));
        add(member.label.clone(), Some(index), counts, share);
    }
    if study.enqueued_count() > 0 {
        let counts = [study.enqueued_count().to_string(), String::new()];
        add(format!("({ENQUEUED})"), None, counts, String::new());
    }
    let mut text = columns(&rows);
    for (source, count) in study.sources() {
        let _ = writeln!(text, "they have heard {count} results of {source}");
    }
    for (member, state) in study.rules().members.iter().zip(study.members()) {
        let (label, count) = (&member.label, state.fault_count);
        let faults = if count == 1 { "1 fault".to_owned() } else { format!("{count} faults") };
        let _ = match state.fallback_since {
            Some(since) => {
                writeln!(
                    text,
                    "  {label}: the fallback proposes in its place since trial {since}, after {faults}"
                )
            }
            None if state.is_broken => writeln!(text, "  {label}: asked no more, after {faults}"),
            None if count > 0 => writeln!(text, "  {label}: {faults}, and made anew"),
            None => Ok(()),
        };
        if !state.last_fault.is_empty() {
            let last = if count == 1 { "it was" } else { "the last was" };
            let _ = writeln!(text, "    {last}: {}", in_one_line(&state.last_fault));
        }
    }
    text
}

/// How far what each strategy predicted was to be trusted; empty where none predicted anything.
pub fn calibrations(study: &Study) -> String {
    let Some(metric) = study.rules().problem.metrics.first() else { return String::new() };
    let mut rows =
        vec![["strategy", "outcomes", "inside 50 %", "inside 90 %", "log density"].map(str::to_owned)];
    for (index, member) in study.rules().members.iter().enumerate() {
        let Some(calibration) = Calibration::of(study, index) else { continue };
        let [half, most] = calibration.shares().map(|share| format!("{:.0} %", 100.0 * share));
        let density = calibration.log_density_mean.map_or_else(|| "-".to_owned(), number);
        rows.push([member.label.clone(), calibration.outcome_count.to_string(), half, most, density]);
    }
    match rows.len() {
        1 => String::new(),
        _ => format!(
            "predictions of {}, and how many outcomes were inside their intervals\n{}",
            metric.name,
            columns(&rows)
        ),
    }
}

/// What was predicted of a trial, in a line; empty where nothing was.
fn prediction(study: &Study, trial: &Trial) -> String {
    let (Some(prediction), Some(metric)) =
        (in_own_units(study, trial), study.rules().problem.metrics.first())
    else {
        return String::new();
    };
    let (mean, deviation) = (number(prediction.mean), number(prediction.deviation));
    format!("  predicted: {} {mean} ± {deviation}\n", metric.name)
}

/// Rows in columns: the first to the left, the others to the right.
pub fn columns<R: AsRef<[String]>>(rows: &[R]) -> String {
    let width =
        |column: usize| rows.iter().map(|row| row.as_ref()[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, |row| row.as_ref().len())).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.as_ref().iter().enumerate() {
            let width = widths[column];
            line.push_str(&if column == 0 {
                format!("  {cell:width$}")
            } else {
                format!("  {cell:>width$}")
            });
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The best value over the finished trials in the order of their numbers; with several metrics, what the front covers.
pub fn convergence(study: &Study) -> String {
    let problem = &study.rules().problem;
    let [metric] = &problem.metrics[..] else {
        let shares: Vec<Option<f64>> = front::coverage(study).into_iter().map(Some).collect();
        let plot = plot::convergence(&[], &shares);
        let title =
            "share of what lies between the best and the worst values that the front covers, by trial";
        return if plot.is_empty() { plot } else { format!("{title}\n{plot}") };
    };
    let (mut values, mut best): (Vec<Option<f64>>, Vec<Option<f64>>) = (Vec::new(), Vec::new());
    let mut least: Option<f64> = None;
    for trial in study.trials() {
        let Some(outcome) = &trial.outcome else { continue };
        let value = outcome.completed().and_then(|measurement| measurement.value(&metric.name));
        if let Some(&[loss]) = study.counted_losses(trial).as_deref() {
            least = Some(least.map_or(loss, |least| least.min(loss)));
        }
        values.push(value);
        best.push(least.map(|loss| metric.goal.loss(loss)));
    }
    let plot = plot::convergence(&values, &best);
    if plot.is_empty() { plot } else { format!("best {} by trial\n{plot}", metric.name) }
}

/// What is printed when a session ends.
pub fn summary(name: &str, study: &Study, end: SessionEnd, elapsed: Duration) -> String {
    let reason = match end {
        SessionEnd::Done(reason) => reason.to_string(),
        SessionEnd::Interrupted => "interrupted".to_owned(),
    };
    format!("\nstudy {name}: {reason}\n{}", findings(study, elapsed))
}

/// How many trials, the best, what each strategy contributed, and the convergence plot.
fn findings(study: &Study, elapsed: Duration) -> String {
    let mut text = format!("{}, {}\n\n", counts(study), duration(elapsed));
    text.push_str(&best(study));
    text.push('\n');
    let failures = failures(study);
    if !failures.is_empty() {
        text.push_str(&failures);
        text.push('\n');
    }
    text.push_str(&contributions(study));
    text.push_str(&Savings::text(study));
    let calibrations = calibrations(study);
    if !calibrations.is_empty() {
        text.push('\n');
        text.push_str(&calibrations);
    }
    let plot = convergence(study);
    if !plot.is_empty() {
        text.push('\n');
        text.push_str(&plot);
    }
    text
}

/// A study's overview with its trials, the newest last.
pub fn study_in_full(name: &str, study: &Study, elapsed: Duration) -> String {
    let mut text = format!("study {name}\n{}", findings(study, elapsed));
    text.push('\n');
    let hidden = study.trials().len().saturating_sub(SHOWN_TRIALS_MAX);
    if hidden > 0 {
        let _ = writeln!(text, "({hidden} earlier trials are left out; `ansatz export` has them all)");
    }
    let best: Vec<TrialId> = study.incumbent().trials().collect();
    for trial in &study.trials()[hidden..] {
        let mark = if best.contains(&trial.id) { "*" } else { " " };
        let _ = writeln!(text, "{mark} {}", trial_in_short(study, trial));
    }
    text
}

/// The options of a plugin from their JSON Schema: name, type, default, documentation.
pub fn options(schema: &serde_json::Value) -> String {
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty())
    else {
        return "options       none\n".to_owned();
    };
    let mut text = String::from("options\n");
    for (name, property) in properties {
        let mut head = format!("  {name}: {}", type_of(property, schema));
        if let Some(default) = property.get("default") {
            let _ = write!(head, " = {default}");
        } else if schema["required"].as_array().is_some_and(|required| required.iter().any(|key| key == name))
        {
            head.push_str(" (required)");
        }
        let _ = writeln!(text, "{head}");
        for line in property["description"].as_str().unwrap_or_default().lines() {
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}

/// The type of an option in words.
fn type_of(property: &serde_json::Value, schema: &serde_json::Value) -> String {
    if let Some(name) = property["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
        return type_of(&schema["$defs"][name], schema);
    }
    let variants = property["oneOf"].as_array().or(property["anyOf"].as_array());
    if let Some(variants) = variants {
        let names: Vec<String> = variants.iter().map(|variant| type_of(variant, schema)).collect();
        return names.join(" | ");
    }
    if let Some(values) = property["enum"].as_array() {
        return values.iter().map(|value| value.to_string()).collect::<Vec<_>>().join(" | ");
    }
    if let Some(constant) = property.get("const") {
        return constant.to_string();
    }
    let mut range = match (property.get("minimum"), property.get("maximum")) {
        (Some(low), Some(high)) => format!(" from {low} to {high}"),
        (Some(low), None) => format!(" of at least {low}"),
        (None, Some(high)) => format!(" of at most {high}"),
        (None, None) => String::new(),
    };
    for (key, word) in [("exclusiveMinimum", "above"), ("exclusiveMaximum", "below")] {
        if let Some(bound) = property.get(key) {
            let _ = write!(range, " {word} {bound}");
        }
    }
    let name = match &property["type"] {
        serde_json::Value::String(name) => name.clone(),
        serde_json::Value::Array(names) => {
            names.iter().filter_map(|name| name.as_str()).collect::<Vec<_>>().join(" | ")
        }
        _ => "any".to_owned(),
    };
    format!("{name}{range}")
}

const SHOWN_TRIALS_MAX: usize = 100;
const SHOWN_REASONS_MAX: usize = 3;
/// Where a line of several values ends.
const LINE_LENGTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_an_option_is_shown() {
        let shown = |range: serde_json::Value| options(&serde_json::json!({"properties": {"step": range}}));
        let step =
            shown(serde_json::json!({"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.1}));
        assert_eq!(step, "options\n  step: number of at most 1 above 0 = 0.1\n");
        let count = shown(serde_json::json!({"type": "integer", "minimum": 1}));
        assert_eq!(count, "options\n  step: integer of at least 1\n");
    }

    #[test]
    fn numbers_and_spans_are_short() {
        let numbers = [0.0, 1.0, 0.1 + 0.2, 123456.7, -0.000123456, 1e-9, 12345678.9, 99999.99];
        let texts = ["0", "1", "0.3", "123457", "-0.00012346", "1e-9", "1.2346e7", "100000"];
        assert_eq!(numbers.map(number), texts);
        let spans = [0.0001, 0.45, 12.34, 200.0, 7500.0, 180_000.0];
        let texts = ["100 µs", "450 ms", "12.3 s", "3 min 20 s", "2 h 5 min", "2 d 2 h"];
        assert_eq!(spans.map(|s| duration(Duration::from_secs_f64(s))), texts);
    }
}
