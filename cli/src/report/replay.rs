//! Whether strategies propose again what is on record.

use super::text;
use crate::engine::Difference;
use ansatz_core::Point;
use ansatz_core::study::Study;
use serde_json::{Value, json};
use std::fmt::Write;

/// For people: how much came again, and where each strategy first did something else.
pub fn text(study: &Study, differences: &[Difference]) -> String {
    let mut text = String::new();
    for (member, rules) in study.rules().members.iter().enumerate() {
        let label = &rules.label;
        let count = study.members()[member].trial_count;
        let Some(found) = differences.iter().find(|difference| difference.member == member) else {
            let _ = writeln!(text, "{label} proposes all of its {count} trials again, bit for bit");
            continue;
        };
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
    text
}

fn points(study: &Study, points: &[Point]) -> String {
    if points.is_empty() {
        return "    no point\n".to_owned();
    }
    let shown: Vec<String> = points.iter().map(|point| text::point(study, point, "    ")).collect();
    shown.join("    --\n")
}

/// The same for programs.
pub fn json(name: &str, study: &Study, differences: &[Difference]) -> Value {
    let space = &study.rules().problem.space;
    let points = |points: &[Point]| points.iter().map(|point| space.point_to_json(point)).collect::<Vec<_>>();
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
    json!({
        "study": name,
        "trials": study.trials().len(),
        "same": differences.is_empty(),
        "differences": differences.iter().map(found).collect::<Vec<_>>(),
    })
}
