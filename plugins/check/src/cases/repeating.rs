//! That a strategy is a function of problem, options, seed and what it was told, and of nothing else.

use crate::bench::{Bench, USUAL_ASKS, difference};
use crate::case::{Ending, Finding, Passed, failed, passed, passed_with};
use crate::driven::Driven;
use ansatz_core::Suggestion;

pub(super) fn same_seed(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let (first, again) = (bench.run(&problem)?, bench.run(&problem)?);
    match difference(&problem, &first, &again) {
        Some(difference) => failed(difference),
        None => passed(),
    }
}

pub(super) fn nothing_shared(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let alone = bench.repeatable_run(&problem)?;
    let mut pair = [bench.strategy(&problem)?, bench.strategy(&problem)?];
    for count in USUAL_ASKS {
        for driven in &mut pair {
            driven.step(count)?;
        }
    }
    for driven in &pair {
        if let Some(difference) = difference(&problem, &alone, driven.suggestions()) {
            return failed(format!("alone and beside another, {difference}"));
        }
    }
    passed()
}

pub(super) fn every_process(bench: &Bench<'_>) -> Finding {
    let suggestions = bench.repeatable_run(&bench.usual_problem()?)?;
    Ok(Passed { digest: Some(digest(&suggestions)), ..Passed::default() })
}

/// FNV-1a, 64 bits, over everything that a suggestion holds.
fn digest(suggestions: &[Suggestion]) -> u64 {
    let words = suggestions.iter().flat_map(|suggestion| {
        let fidelity = suggestion.fidelity.map_or(u64::MAX, f64::to_bits);
        let point = suggestion.point.coordinates().map(|c| c.map_or(u64::MAX, f64::to_bits));
        [suggestion.tag, fidelity].into_iter().chain(point).collect::<Vec<_>>()
    });
    words.flat_map(u64::to_le_bytes).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

pub(super) fn replay(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let recorded = bench.repeatable_run(&problem)?;
    let mut anew = bench.strategy(&problem)?;
    for count in USUAL_ASKS {
        let trials = anew.ask(count)?;
        if trials.is_empty() {
            break;
        }
        for trial in trials {
            anew.tell(&[anew.completed(&trial)])?;
        }
    }
    match difference(&problem, &recorded, anew.suggestions()) {
        Some(difference) => failed(format!("told in batches and one by one, {difference}")),
        None => passed(),
    }
}

pub(super) fn other_threads(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let here = bench.repeatable_run(&problem)?;
    let mut driven = bench.strategy(&problem)?;
    for count in USUAL_ASKS {
        let trials = elsewhere(&mut driven, |driven| driven.ask(count))?;
        if trials.is_empty() {
            break;
        }
        let observations: Vec<_> = trials.iter().map(|trial| driven.completed(trial)).collect();
        elsewhere(&mut driven, |driven| driven.tell(&observations))?;
    }
    if let Some(difference) = difference(&problem, &here, driven.suggestions()) {
        return failed(format!("in one thread and in several, {difference}"));
    }
    // and dropped in a thread of its own
    std::thread::scope(|scope| scope.spawn(move || drop(driven)).join())
        .map_err(|_| Ending::Failed("it panics when it is dropped in another thread".into()))?;
    passed()
}

/// A call in a thread of its own.
fn elsewhere<T: Send>(
    driven: &mut Driven,
    call: impl FnOnce(&mut Driven) -> Result<T, Ending> + Send,
) -> Result<T, Ending> {
    let joined = std::thread::scope(|scope| scope.spawn(|| call(driven)).join());
    joined.unwrap_or_else(|_| failed("the thread of the call panicked"))
}

pub(super) fn recommendations(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let undisturbed = bench.repeatable_run(&problem)?;
    let mut asked = bench.strategy(&problem)?;
    // before it knows anything, after every step, and at the end
    let mut count = asked.recommend()?;
    for step in USUAL_ASKS {
        let is_over = asked.step(step)?.is_empty();
        count += asked.recommend()?;
        if is_over {
            break;
        }
    }
    match difference(&problem, &undisturbed, asked.suggestions()) {
        Some(difference) => failed(format!("without and with being asked what it recommends, {difference}")),
        None if count == 0 => passed_with("it recommends nothing".to_owned()),
        None => passed(),
    }
}
