//! Whether strategies propose again what is on record, and an early-stopping rule judges as it did.

use super::text;
use crate::engine::{Difference, VerdictDifference};
use ansatz_core::study::Study;
use ansatz_core::{Point, TrialId};
use serde_json::{Value, json};
use std::fmt::Write;

/// A study that was read back into its plugins.
pub struct Relived<'a> {
    /// As recorded.
    pub study: &'a Study,
    /// Where strategies proposed something else.
    pub differences: &'a [Difference],
    /// The name of the early-stopping rule, if there is one.
    pub rule: Option<&'a str>,
    /// Where it first judged otherwise.
    pub verdict: Option<&'a VerdictDifference>,
}

impl Relived<'_> {
    /// Whether all of it came again.
    pub fn is_same(&self) -> bool {
        self.differences.is_empty() && self.verdict.is_none()
    }

    /// For people: how much came again, and where each plugin first did something else.
    pub fn text(&self) -> String {
        let (study, mut text) = (self.study, String::new());
        for (member, rules) in study.rules().members.iter().enumerate() {
            let label = &rules.label;
            let count = study.members()[member].trial_count;
            let Some(found) = self.differences.iter().find(|difference| difference.member == member) else {
                let _ = writeln!(text, "{label} proposes all of its {count} trials again, bit for bit");
                continue;
            };
            if let ([], Err(broke)) = (&found.recorded[..], &found.now) {
                let _ = writeln!(
                    text,
                    "{label} breaks before trial {}, where on record it did not: {broke}",
                    found.trial
                );
                continue;
            }
            let _ = writeln!(text, "{label} differs first at trial {}", found.trial);
            text.push_str("  on record\n");
            text.push_str(&points(study, &found.recorded));
            text.push_str("  now\n");
            match &found.now {
                Ok(now) => text.push_str(&points(study, now)),
                Err(broke) => {
                    let _ = writeln!(text, "    nothing: {broke}");
                }
            }
        }
        let Some(rule) = self.rule else { return text };
        let Some(found) = self.verdict else {
            let stopped = study.trials().iter().filter(|trial| trial.early_stop.is_some()).count();
            let _ = write!(text, "{rule} comes to all of its verdicts again, with {stopped} trials stopped");
            let gone_on = study.trials().len() - study.point_count();
            let _ = match gone_on {
                0 => writeln!(text),
                _ => writeln!(text, ", {gone_on} of which went on"),
            };
            return text;
        };
        let (place, recorded, now) = shown(found);
        let _ =
            writeln!(text, "{rule} differs first at {place}\n  on record  {recorded}\n  now        {now}");
        text
    }

    /// The same for programs.
    pub fn json(&self, name: &str) -> Value {
        let study = self.study;
        let space = &study.rules().problem.space;
        let points =
            |points: &[Point]| points.iter().map(|point| space.point_to_json(point)).collect::<Vec<_>>();
        let found = |difference: &Difference| {
            let mut object = json!({
                "strategy": study.rules().members[difference.member].label,
                "trial": difference.trial,
                "recorded": points(&difference.recorded),
            });
            match &difference.now {
                Ok(now) => object["now"] = points(now).into(),
                Err(broke) => object["broke"] = broke.as_str().into(),
            }
            object
        };
        let mut object = json!({
            "study": name,
            "trials": study.trials().len(),
            "same": self.is_same(),
            "differences": self.differences.iter().map(found).collect::<Vec<_>>(),
        });
        let with_now = |mut verdict: Value, now: Result<Value, &String>| {
            match now {
                Ok(now) => verdict["now"] = now,
                Err(broke) => verdict["broke"] = broke.as_str().into(),
            }
            verdict
        };
        match self.verdict {
            Some(VerdictDifference::Ruling { trial, step, recorded, now }) => {
                let verdict = json!({"trial": trial, "step": step, "recorded": recorded});
                object["verdict"] = with_now(verdict, now.as_ref().map(|now| json!(now)));
            }
            Some(VerdictDifference::Promotion { trial, recorded, now }) => {
                let verdict = json!({"trial": trial, "recorded": recorded});
                object["promotion"] = with_now(verdict, now.as_ref().map(|now| json!(now)));
            }
            None => {}
        }
        object
    }
}

/// Where a rule judged otherwise, what is on record, and what it says now.
fn shown(found: &VerdictDifference) -> (String, String, String) {
    let or_nothing = |now: Result<String, &String>| now.unwrap_or_else(|broke| format!("nothing: {broke}"));
    match found {
        VerdictDifference::Ruling { trial, step, recorded, now } => {
            let ruling = |stop: &Option<String>| match stop {
                Some(reason) => format!("stopped: {reason}"),
                None => "goes on".to_owned(),
            };
            let now = or_nothing(now.as_ref().map(ruling));
            (format!("step {step} of trial {trial}"), ruling(recorded), now)
        }
        VerdictDifference::Promotion { trial, recorded, now } => {
            let promotion = |continued: &Option<TrialId>| match continued {
                Some(continued) => format!("trial {continued} goes on"),
                None => "no stopped trial goes on".to_owned(),
            };
            let now = or_nothing(now.as_ref().map(promotion));
            (format!("trial {trial}"), promotion(recorded), now)
        }
    }
}

fn points(study: &Study, points: &[Point]) -> String {
    if points.is_empty() {
        return "    no point\n".to_owned();
    }
    let shown: Vec<String> = points.iter().map(|point| text::point(study, point, "    ")).collect();
    shown.join("    --\n")
}
