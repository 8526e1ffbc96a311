//! What a strategy answers when it is asked, and what it refuses to be asked.

use crate::bench::{Bench, refusal_kind};
use crate::case::{Finding, failed, passed, passed_with, skipped};
use crate::problems::{self, with_one_metric};
use ansatz_core::{Capability, Problem};

pub(super) fn unclaimed(bench: &Bench<'_>) -> Finding {
    let claimed = &bench.target.about.capabilities;
    let mut refused = Vec::new();
    for capability in Capability::ALL.into_iter().filter(|capability| !claimed.contains(capability)) {
        let Some(problem) = problems::that_needs(capability, claimed) else { continue };
        match bench.make(&problem, &bench.options()) {
            Ok(()) => {
                return failed(format!(
                    "it accepts a problem that needs {}, which it does not claim",
                    capability.name()
                ));
            }
            Err(error) if refusal_kind(&error).is_none() => {
                return failed(format!(
                    "{} is not refused as unsupported or invalid: {error}",
                    capability.name()
                ));
            }
            Err(_) => refused.push(capability.name()),
        }
    }
    if refused.is_empty() {
        return skipped("it claims everything that a problem may need");
    }
    passed_with(format!("refused: {}", refused.join(", ")))
}

pub(super) fn counts(bench: &Bench<'_>) -> Finding {
    bench.strategy(&bench.usual_problem()?)?.run(&[1, 7, 64, 1])?;
    passed()
}

pub(super) fn waiting(bench: &Bench<'_>) -> Finding {
    let mut driven = bench.strategy(&bench.usual_problem()?)?;
    for count in [1, 3, 1, 4, 2, 1, 2, 1, 1, 1] {
        if driven.step(count)?.is_empty() && !driven.is_exhausted {
            return failed(format!(
                "after {} results it gives nothing while nothing is pending: the study would wait for ever",
                driven.suggestions().len()
            ));
        }
    }
    passed()
}

pub(super) fn pending(bench: &Bench<'_>) -> Finding {
    let mut driven = bench.strategy(&bench.usual_problem()?)?;
    driven.run(&[1; 10])?;
    for _ in 0..128 {
        if driven.book.pending().len() >= 64 || driven.ask(1)?.is_empty() {
            break;
        }
    }
    let count = driven.book.pending().len();
    driven.ask(4)?;
    if count < 64 {
        return passed_with(format!("with {count} trials pending it waits for results"));
    }
    // one result after the other, with new trials in between
    for trial in driven.book.pending().to_vec().iter().take(4) {
        driven.tell(&[driven.completed(trial)])?;
        driven.ask(1)?;
    }
    passed()
}

fn finite_problem(bench: &Bench<'_>, count: u32) -> Option<Problem> {
    problems::finite(&bench.target.about.capabilities, count).map(with_one_metric)
}

pub(super) fn finite(bench: &Bench<'_>) -> Finding {
    let Some(problem) = finite_problem(bench, 6) else { return skipped("it claims no kind of parameter") };
    let mut driven = bench.strategy(&problem)?;
    driven.run(&[1, 2, 1, 3, 1, 1, 2, 4, 1, 1])?;
    let count = driven.suggestions().len();
    passed_with(match driven.is_exhausted {
        true => format!("exhausted after {count}"),
        false => format!("it repeats points: {count} suggestions"),
    })
}

pub(super) fn exhaustion(bench: &Bench<'_>) -> Finding {
    let Some(problem) = finite_problem(bench, 2) else { return skipped("it claims no kind of parameter") };
    let mut driven = bench.strategy(&problem)?;
    let mut trials = Vec::new();
    for _ in 0..12 {
        if driven.is_exhausted {
            break;
        }
        let asked = driven.ask(1)?;
        trials.extend(asked.iter().cloned());
        for trial in asked {
            driven.tell(&[driven.completed(&trial)])?;
        }
    }
    if !driven.is_exhausted {
        return skipped("it is not exhausted by a space of two points");
    }
    // news of others do not change it either
    if let Some(first) = trials.first() {
        let foreign = driven.foreign(1000, first.suggestion.point.clone());
        driven.tell(&[foreign])?;
    }
    for count in [1, 5, 1] {
        driven.is_exhausted = false;
        let again = driven.ask(count)?;
        if !driven.is_exhausted {
            let how_many = again.len();
            return failed(format!("it was exhausted, and then asked for {count} it gave {how_many}"));
        }
    }
    passed()
}
