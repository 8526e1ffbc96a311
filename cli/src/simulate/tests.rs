//! Virtual workers: what is started ends once, and how long it all takes is what arithmetic says.

use super::slots::VirtualSlots;
use super::*;
use crate::executor::Event;
use crate::run::Slots;
use ansatz_core::rng::Streams;
use ansatz_core::{Assignment, Failure, Measurement, Outcome, Point, Reporter, TrialId};
use ansatz_plugin_host::EvaluationFault;
use std::collections::BTreeMap;

struct Always(f64);

impl Evaluate for Always {
    fn evaluate(
        &self,
        _: &Point,
        assignment: &Assignment,
        _: &mut dyn Reporter,
    ) -> Result<Measurement, EvaluationFault> {
        assert_eq!(assignment.output_folder, None, "what a real trial has written stays as it is");
        Ok(Measurement::new().with("loss", self.0))
    }
}

/// Every trial takes a second, asking takes no time, and nobody dies.
const CALM: Conditions = Conditions {
    median: 1.0,
    spread: 0.0,
    straggler_share: 0.0,
    straggler_factor: 10.0,
    crash_share: 0.0,
    lease: 5.0,
    recovery: 20.0,
    ask_time: AskTime::Each(0.0),
    turn_time: 0.0,
};

fn assignment(trial: u64, attempt: u32) -> Assignment {
    let seed = Streams::new(7).trial_seed(trial);
    Assignment {
        trial: TrialId(trial),
        attempt,
        seed,
        fidelity: None,
        time_limit: None,
        output_folder: Some("trial-0".into()),
        continued: None,
    }
}

/// Runs so many trials, as the loop does; how each ended, and how often each was begun.
fn run(conditions: Conditions, workers: usize, trial_count: u64) -> (Tally, BTreeMap<u64, u32>) {
    let mut slots = VirtualSlots::new(Arc::new(Always(1.0)), conditions, workers);
    let (mut next, mut ended, mut begun) = (0, Vec::new(), BTreeMap::<u64, u32>::new());
    let mut again: Vec<u64> = Vec::new();
    while (ended.len() as u64) < trial_count {
        while slots.free_slot_count() > 0 {
            let trial = match again.pop() {
                Some(trial) => trial,
                None if next < trial_count => {
                    next += 1;
                    next - 1
                }
                None => break,
            };
            let attempt = begun.entry(trial).or_default();
            *attempt += 1;
            slots.start(Point::new([]), assignment(trial, *attempt)).unwrap();
        }
        let events = slots.wait(Duration::ZERO, Duration::ZERO).unwrap();
        let is_stuck = events.is_empty() && slots.free_slot_count() == 0;
        assert!(!is_stuck, "{} of {trial_count} ended, and nothing happens any more", ended.len());
        for event in events {
            match event {
                Event::Ended { trial, outcome: Outcome::Completed { .. }, .. } => ended.push(trial.0),
                Event::Ended { trial, outcome: Outcome::Failed { failure: Failure::Lost, .. }, .. } => {
                    again.push(trial.0);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, (0..trial_count).collect::<Vec<_>>(), "each ends once");
    assert_eq!(slots.running_count(), 0);
    (slots.tally.clone(), begun)
}

fn is_close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

#[test]
fn workers_that_never_wait_need_trials_over_workers() {
    for (workers, trials, seconds) in [(1, 50, 50.0), (10, 50, 5.0), (100, 250, 3.0)] {
        let (tally, _) = run(CALM, workers, trials);
        let end = tally.ends.last().unwrap().0;
        assert!(is_close(end, seconds), "{workers} workers: {end}");
        assert!(is_close(tally.busy, trials as f64));
    }
}

#[test]
fn an_asker_that_is_slow_is_the_limit() {
    // with 0.1 s an ask, ten workers of one second are all that it can serve
    let slow = Conditions { ask_time: AskTime::Each(0.1), ..CALM };
    // all end together, wait until as many are asked for, and begin; of a hundred, five trials are put up ahead
    for (workers, rate, asking) in [(2, 2.0 / 1.2, 0.2 / 1.2), (100, 105.0 / 11.1, 10.5 / 11.1)] {
        let (tally, _) = run(slow, workers, 2_000);
        let end = tally.ends.last().unwrap().0;
        assert!((2_000.0 / end / rate - 1.0).abs() < 0.02, "{workers} workers: {} a second", 2_000.0 / end);
        assert!((tally.asking / end / asking - 1.0).abs() < 0.02, "{workers}: {}", tally.asking / end);
    }
    let (tally, _) = run(Conditions { turn_time: 1.0, ..CALM }, 3, 30);
    assert!(tally.found_max == 3, "what ends while the asker is busy waits for it together");
}

#[test]
fn what_dies_with_its_worker_is_run_again_after_the_lease() {
    let deadly = Conditions { crash_share: 0.2, spread: 0.5, ..CALM };
    let (tally, begun) = run(deadly, 20, 1_000);
    let attempts: u32 = begun.values().sum();
    assert_eq!(u64::from(attempts), 1_000 + tally.lost_count, "each lost attempt was made up for");
    // of ten thousand trials of median length a fifth would meet it
    let share = tally.lost_count as f64 / f64::from(attempts);
    assert!((0.12..0.3).contains(&share), "{share}");
    let (calm, _) = run(Conditions { crash_share: 0.0, ..deadly }, 20, 1_000);
    assert!(tally.ends.last().unwrap().0 > calm.ends.last().unwrap().0);
    // one worker that dies is gone until another takes its place: at least the recovery for each death
    let (alone, _) = run(Conditions { spread: 0.0, ..deadly }, 1, 100);
    let least = 100.0 + 20.0 * alone.lost_count as f64;
    assert!(alone.lost_count > 5 && alone.ends.last().unwrap().0 >= least);
}

#[test]
fn times_are_log_normal_and_the_same_for_whoever_runs_the_trial() {
    let uneven = Conditions { spread: 0.8, straggler_share: 0.0, ..CALM };
    let durations = |workers: usize, conditions: Conditions| {
        let mut slots = VirtualSlots::new(Arc::new(Always(1.0)), conditions, workers);
        let mut found = BTreeMap::new();
        let mut next = 0;
        while found.len() < 2_000 {
            while slots.free_slot_count() > 0 && next < 2_000 {
                slots.start(Point::new([]), assignment(next, 1)).unwrap();
                next += 1;
            }
            for event in slots.wait(Duration::ZERO, Duration::ZERO).unwrap() {
                let Event::Ended { trial, duration, .. } = event else { panic!() };
                found.insert(trial, duration);
            }
        }
        found
    };
    let few = durations(3, uneven);
    assert_eq!(few, durations(700, uneven));
    let mut logs: Vec<f64> = few.values().map(|duration| duration.as_secs_f64().ln()).collect();
    logs.sort_by(f64::total_cmp);
    let mean = logs.iter().sum::<f64>() / 2_000.0;
    let deviation = (logs.iter().map(|log| (log - mean) * (log - mean)).sum::<f64>() / 2_000.0).sqrt();
    assert!(logs[1_000].abs() < 0.08 && (deviation - 0.8).abs() < 0.05, "{} {deviation}", logs[1_000]);
    let longer = durations(3, Conditions { straggler_share: 0.1, straggler_factor: 50.0, ..uneven });
    let slow =
        longer.iter().filter(|(trial, duration)| duration.as_secs_f64() > 40.0 * few[trial].as_secs_f64());
    assert!((140..260).contains(&slow.count()));
}

#[test]
fn the_same_conditions_give_the_same_bits() {
    let all = Conditions {
        spread: 0.7,
        crash_share: 0.1,
        straggler_share: 0.1,
        ask_time: AskTime::Each(0.003),
        turn_time: 0.002,
        ..CALM
    };
    assert_eq!(run(all, 50, 3_000), run(all, 50, 3_000));
}
