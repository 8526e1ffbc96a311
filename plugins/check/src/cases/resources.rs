//! What a plugin takes from the process that it shares: standard output, threads, memory.

use super::measuring::{Bed, judge};
use crate::bench::Bench;
use crate::case::{Ending, Finding, failed, passed, passed_with, skipped, warning};
use crate::process_facts::{mebibytes, resident_bytes, thread_count};
use std::time::{Duration, Instant};

/// Only what shares our process can take something from it.
fn only_in_process(bench: &Bench<'_>) -> Result<(), Ending> {
    match bench.target.is_in_process {
        true => Ok(()),
        false => skipped("it has a process of its own"),
    }
}

/// A small study.
fn use_strategy(bench: &Bench<'_>) -> Result<(), Ending> {
    let mut driven = bench.strategy(&bench.usual_problem()?)?;
    driven.run(&[2, 4, 4, 1, 2])?;
    driven.snapshot()?;
    Ok(())
}

/// A few evaluations.
fn use_objective(bench: &Bench<'_>) -> Result<(), Ending> {
    let bed = Bed::new(bench, 2)?;
    for index in 0..2 {
        judge(bed.evaluate(index, 1))?.ok();
    }
    Ok(())
}

pub(super) fn strategy_output(bench: &Bench<'_>) -> Finding {
    output(bench, use_strategy)
}

pub(super) fn objective_output(bench: &Bench<'_>) -> Finding {
    output(bench, use_objective)
}

/// Whatever is written to standard output meanwhile lands in a file.
#[cfg(unix)]
fn output(bench: &Bench<'_>, used: fn(&Bench<'_>) -> Result<(), Ending>) -> Finding {
    use std::io::{Read, Seek};
    only_in_process(bench)?;
    let no_file =
        |error: std::io::Error| Ending::Skipped(format!("standard output cannot be caught: {error}"));
    let mut file = tempfile::tempfile().map_err(no_file)?;
    rustix::stdio::dup2_stdout(&file).map_err(|error| no_file(error.into()))?;
    let end = used(bench);
    // the file stays where it is if this fails, and nothing is lost
    let _ = rustix::stdio::dup2_stdout(std::io::stderr());
    end?;
    let mut written = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut written)).map_err(no_file)?;
    if written.is_empty() {
        return passed();
    }
    let text = String::from_utf8_lossy(&written);
    let first: String = text.lines().next().unwrap_or_default().chars().take(100).collect();
    failed(format!("it prints {} bytes, beginning with {first:?}", written.len()))
}

#[cfg(not(unix))]
fn output(_: &Bench<'_>, _: fn(&Bench<'_>) -> Result<(), Ending>) -> Finding {
    skipped("standard output cannot be caught on this platform")
}

pub(super) fn strategy_threads(bench: &Bench<'_>) -> Finding {
    threads(bench, use_strategy)
}

pub(super) fn objective_threads(bench: &Bench<'_>) -> Finding {
    threads(bench, use_objective)
}

/// How long threads may take to end.
const THREADS_GRACE: Duration = Duration::from_secs(2);

/// A pool that the first one starts and all others share is no leak; a thread for each is one.
fn threads(bench: &Bench<'_>, used: fn(&Bench<'_>) -> Result<(), Ending>) -> Finding {
    only_in_process(bench)?;
    let Some(before) = thread_count() else { return skipped("this platform does not count threads") };
    used(bench)?;
    let pool = settled(before);
    for _ in 0..2 {
        used(bench)?;
    }
    let after = settled(pool);
    if after > pool {
        return failed(format!("{pool} threads after the first was dropped, {after} after two more"));
    }
    if pool > before {
        return warning(format!("{} threads stay for as long as the process lives", pool - before));
    }
    passed()
}

/// The number of threads, when it has come down to `expected` or the grace is over.
fn settled(expected: usize) -> usize {
    let until = Instant::now() + THREADS_GRACE;
    loop {
        let count = thread_count().unwrap_or(expected);
        if count <= expected || Instant::now() > until {
            return count;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// How often it is made and dropped, if there is time.
const TIMES: usize = 1000;
/// How many of them come before memory is looked at: allocators keep some.
const WARM_UP: usize = 100;
/// How much more memory there may be afterwards: 4 KiB for each.
const GROWTH_MAX: u64 = 4 << 20;

pub(super) fn strategy_memory(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    memory(bench, || bench.strategy(&problem)?.run(&[2]))
}

pub(super) fn objective_memory(bench: &Bench<'_>) -> Finding {
    // the folder and the points of a bed are ours
    memory(bench, || bench.objective().map(|_| ()))
}

fn memory(bench: &Bench<'_>, mut used: impl FnMut() -> Result<(), Ending>) -> Finding {
    only_in_process(bench)?;
    let began = Instant::now();
    let time = Duration::from_secs(10).min(bench.time_left() / 2);
    let mut before = None;
    let mut count = 0;
    while count < WARM_UP + TIMES && (count <= WARM_UP || began.elapsed() < time) {
        if count == WARM_UP {
            before = resident_bytes();
        }
        used()?;
        count += 1;
    }
    let (Some(before), Some(after)) = (before, resident_bytes()) else {
        return skipped("this platform does not say how much memory is in use");
    };
    let times = count - WARM_UP;
    let growth = after.saturating_sub(before);
    if growth > GROWTH_MAX {
        return failed(format!("made and dropped {times} times, it keeps {} more", mebibytes(growth)));
    }
    passed_with(format!("{times} times, {} more", mebibytes(growth)))
}
