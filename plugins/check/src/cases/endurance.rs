//! Many observations, and studies that nobody thought of.

use crate::bench::Bench;
use crate::case::{Ending, Finding, failed, passed_with, skipped, warning};
use crate::driven::Trial;
use crate::problems;
use crate::process_facts::{mebibytes, resident_bytes};
use ansatz_core::rng::{Rng, Streams};
use ansatz_core::{Observation, ObservedResult, Problem};
use rand::RngExt;
use std::time::{Duration, Instant};

/// How many observations there are when it is asked.
const SIZES: [usize; 5] = [100, 300, 1000, 3000, 10_000];
/// How many are told in one call.
const BATCH: usize = 500;
/// An ask that takes longer is worth a warning.
const SLOW: Duration = Duration::from_secs(1);

pub(super) fn many_observations(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let mut driven = bench.strategy(&problem)?;
    let mut rng = bench.rng("many-observations");
    let (mut told, mut before) = (0, Duration::ZERO);
    let mut facts = String::new();
    for (index, size) in SIZES.into_iter().enumerate() {
        let began = Instant::now();
        while told < size {
            let mut observations = Vec::with_capacity(BATCH);
            while observations.len() < BATCH && told < size {
                let Some(point) = problem.space.sample(&mut rng) else { return skipped("there is no point") };
                observations.push(driven.foreign(told as u64, point));
                told += 1;
            }
            driven.tell(&observations)?;
        }
        // the trials of asks come after those of the history
        driven.book.count_from(1_000_000);
        let asked = Instant::now();
        driven.ask(1)?;
        let (ask, all) = (asked.elapsed(), began.elapsed());
        facts = format!("{:.1} ms for an ask after {told} observations{}", 1e3 * ask.as_secs_f64(), memory());
        // the next is three times as large: as much slower as this one was, and then some
        let growth = all.as_secs_f64() / before.as_secs_f64().max(1e-3);
        let expected = all.mul_f64(growth.clamp(4.0, 40.0));
        if index + 1 < SIZES.len() && expected > bench.time_left() {
            return warning(format!("{facts}: too slow for {}", SIZES[index + 1]));
        }
        before = all;
        if index + 1 == SIZES.len() && ask > SLOW {
            return warning(facts);
        }
    }
    passed_with(facts)
}

fn memory() -> String {
    resident_bytes().map(|bytes| format!(", {} resident", mebibytes(bytes))).unwrap_or_default()
}

/// How many random studies there are, if there is time for all of them.
const STUDIES: u64 = 40;
/// How long new ones are begun.
const STUDIES_TIME: Duration = Duration::from_secs(4);

pub(super) fn random_studies(bench: &Bench<'_>) -> Finding {
    let began = Instant::now();
    let time = STUDIES_TIME.min(bench.time_left() / 2);
    let mut count = 0;
    for study in 0..STUDIES {
        if began.elapsed() > time {
            break;
        }
        let mut rng = Streams::new(bench.seed).stream(&format!("random-study-{study}"));
        let Some(problem) = problems::random(&bench.target.about.capabilities, &mut rng) else { continue };
        count += 1;
        match random_study(bench, &problem, &mut rng) {
            Err(Ending::Failed(reason)) => {
                let at = format!("random study {study} of seed {}", bench.seed);
                return failed(format!("{at}: {reason}; its problem is {}", in_short(&problem)));
            }
            other => other?,
        }
    }
    if count == 0 {
        return skipped("it claims no kind of parameter");
    }
    passed_with(format!("{count} studies"))
}

/// A study of random asks with random results, some of them late.
fn random_study(bench: &Bench<'_>, problem: &Problem, rng: &mut Rng) -> Result<(), Ending> {
    let mut driven = bench.strategy(problem)?;
    let mut foreign = 1_000;
    let is_wild = rng.random_bool(0.3);
    for _ in 0..rng.random_range(4..=9) {
        driven.ask(rng.random_range(1..=6))?;
        let mut news = Vec::new();
        for trial in driven.book.pending().to_vec() {
            if rng.random_bool(0.7) {
                news.push(random_observation(&driven, &trial, is_wild, rng));
            }
        }
        if rng.random_bool(0.2)
            && let Some(point) = problem.space.sample(rng)
        {
            news.push(driven.foreign(foreign, point));
            foreign += 1;
        }
        if !news.is_empty() {
            let swap = rng.random_range(0..news.len());
            news.swap(0, swap);
            driven.tell(&news)?;
        }
        if driven.is_exhausted {
            break;
        }
    }
    driven.ask(1)?;
    Ok(())
}

fn random_observation(
    driven: &crate::driven::Driven,
    trial: &Trial,
    is_wild: bool,
    rng: &mut Rng,
) -> Observation {
    let mut losses = driven.losses(&trial.suggestion.point, trial.number);
    if is_wild {
        for value in losses.values.iter_mut().chain(&mut losses.excesses) {
            *value = match rng.random_range(0..6) {
                0 => 0.0,
                1 => -1e300,
                2 => 1e300,
                3 => rng.random_range(-1e9..1e9),
                4 => 1e-300,
                _ => *value,
            };
        }
    }
    if rng.random_bool(0.2) {
        losses.standard_errors =
            losses.values.iter().map(|_| rng.random_bool(0.8).then(|| rng.random())).collect();
    }
    let result = match rng.random_range(0..12) {
        0 => ObservedResult::Failed,
        1 => ObservedResult::Infeasible,
        2 => ObservedResult::Stopped(Some(losses)),
        3 => ObservedResult::Stopped(None),
        _ => ObservedResult::Completed(losses),
    };
    driven.observation(trial, result)
}

/// The problem as JSON, cut where nobody reads on.
fn in_short(problem: &Problem) -> String {
    let json = serde_json::to_string(problem).unwrap_or_default();
    if json.chars().count() <= 1500 {
        return json;
    }
    let mut short: String = json.chars().take(1500).collect();
    short.push_str(" ...");
    short
}
