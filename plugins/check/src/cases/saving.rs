//! Snapshots of strategies that claim them.

use crate::bench::{Bench, USUAL_ASKS, difference};
use crate::case::{Ending, Finding, failed, passed, passed_with};
use crate::driven::Driven;
use ansatz_core::{Observation, Problem};
use ansatz_plugin_host::FaultClass;
use rand::Rng as _;

/// How many asks come before the snapshot.
const BEFORE: usize = 5;

fn save(driven: &mut Driven) -> Result<Vec<u8>, Ending> {
    match driven.snapshot()? {
        Some(state) => Ok(state),
        None => failed("it claims snapshot and gives none"),
    }
}

pub(super) fn snapshot(bench: &Bench<'_>) -> Finding {
    compare(bench, false)
}

pub(super) fn while_pending(bench: &Bench<'_>) -> Finding {
    compare(bench, true)
}

/// A run with a snapshot in its middle, and one that goes on from there.
fn compare(bench: &Bench<'_>, is_pending: bool) -> Finding {
    let problem = bench.usual_problem()?;
    let undisturbed = bench.repeatable_run(&problem)?;
    let mut saved = bench.strategy(&problem)?;
    saved.run(&USUAL_ASKS[..BEFORE])?;
    if is_pending {
        saved.ask(USUAL_ASKS[BEFORE])?;
    }
    let state = save(&mut saved)?;
    let book = saved.book.clone();
    go_on(&mut saved, is_pending)?;
    if let Some(difference) = difference(&problem, &undisturbed, saved.suggestions()) {
        return failed(format!("taking a snapshot changes what comes: without and with it, {difference}"));
    }
    let mut restored = bench.strategy(&problem)?;
    restored.restore(&state)?;
    restored.book = book;
    go_on(&mut restored, is_pending)?;
    match difference(&problem, &undisturbed, restored.suggestions()) {
        Some(difference) => failed(format!("without a break and restored, {difference}")),
        None => passed_with(format!(
            "{} bytes after {} suggestions",
            state.len(),
            BEFORE + usize::from(is_pending)
        )),
    }
}

fn go_on(driven: &mut Driven, is_pending: bool) -> Result<(), Ending> {
    if is_pending {
        let results: Vec<Observation> =
            driven.book.pending().iter().map(|trial| driven.completed(trial)).collect();
        driven.tell(&results)?;
    }
    driven.run(&USUAL_ASKS[BEFORE + usize::from(is_pending)..])
}

pub(super) fn wrong(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let mut driven = bench.strategy(&problem)?;
    driven.run(&USUAL_ASKS[..BEFORE])?;
    let state = save(&mut driven)?;
    let mut noise = vec![0; 256];
    bench.rng("noise").fill_bytes(&mut noise);
    let cut_off = &state[..state.len() / 2];
    for (what, wrong) in [
        ("an empty state", &[][..]),
        ("a text", b"this is no state"),
        ("random bytes", &noise),
        ("a state that is cut off", cut_off),
    ] {
        if restore(bench, &problem, wrong)? {
            return failed(format!("it takes {what} for a state"));
        }
    }
    // a damaged state may look like a good one, but nothing may break
    let stride = (state.len() / 64).max(1);
    for at in (0..state.len()).step_by(stride) {
        let mut damaged = state.clone();
        damaged[at] ^= 0x55;
        restore(bench, &problem, &damaged)?;
    }
    passed()
}

/// Whether a new strategy takes the state; a fault that is no refusal is a failure.
fn restore(bench: &Bench<'_>, problem: &Problem, state: &[u8]) -> Result<bool, Ending> {
    match bench.strategy(problem)?.restore(state) {
        Ok(()) => Ok(true),
        Err(fault) if fault.kind == FaultClass::Panic => failed(fault.to_string()),
        Err(_) => Ok(false),
    }
}
