use super::*;
use std::sync::Barrier;

/// What a trial does is chosen by its number.
struct Scripted<F>(F);

impl<F> Evaluate for Scripted<F>
where
    F: Fn(&Assignment, &mut dyn Reporter) -> Result<Measurement, EvaluationFault> + Send + Sync + 'static,
{
    fn evaluate(
        &self,
        _: &Point,
        assignment: &Assignment,
        reporter: &mut dyn Reporter,
    ) -> Result<Measurement, EvaluationFault> {
        (self.0)(assignment, reporter)
    }
}

fn assignment(trial: u64, time_limit: Option<Duration>) -> Assignment {
    Assignment {
        trial: TrialId(trial),
        attempt: 1,
        seed: 0,
        fidelity: None,
        time_limit,
        output_folder: None,
        continued: None,
    }
}

fn measured() -> Result<Measurement, EvaluationFault> {
    Ok(Measurement::new().with("loss", 1.0))
}

fn ended(executor: &mut Executor) -> Vec<(u64, Outcome)> {
    let mut ended: Vec<(u64, Outcome)> = Vec::new();
    while executor.running().len() > 0 {
        for event in executor.wait(Duration::from_secs(10), Duration::ZERO) {
            if let Event::Ended { trial, outcome, .. } = event {
                ended.push((trial.0, outcome));
            }
        }
    }
    ended.sort_by_key(|(trial, _)| *trial);
    ended
}

#[test]
fn slots_run_at_the_same_time_and_are_free_again() {
    let barrier = Barrier::new(4);
    let objective = Scripted(move |_: &Assignment, _: &mut dyn Reporter| {
        barrier.wait(); // passes only if all four are inside
        measured()
    });
    let mut executor = Executor::new(Arc::new(objective), 4, GRACE).unwrap();
    for round in 0..3 {
        assert_eq!(executor.free_slot_count(), 4);
        for trial in 0..4 {
            executor.start(Point::new([]), assignment(4 * round + trial, None));
        }
        assert_eq!(executor.free_slot_count(), 0);
        assert_eq!(ended(&mut executor).len(), 4);
    }
}

#[test]
fn panics_stay_in_the_slot() {
    let objective = Scripted(|assignment: &Assignment, _: &mut dyn Reporter| match assignment.trial.0 {
        0 => panic!("boom"),
        _ => measured(),
    });
    let mut executor = Executor::new(Arc::new(objective), 1, GRACE).unwrap();
    executor.start(Point::new([]), assignment(0, None));
    let first = ended(&mut executor);
    assert!(matches!(first[0].1, Outcome::Failed { failure: Failure::Panic, .. }), "{first:?}");
    executor.start(Point::new([]), assignment(1, None));
    assert!(matches!(ended(&mut executor)[0].1, Outcome::Completed { .. }));
}

#[test]
fn who_obeys_is_stopped_and_who_does_not_is_given_up() {
    let (hold, held) = channel::<()>();
    let held = std::sync::Mutex::new(held);
    let objective =
        Scripted(move |assignment: &Assignment, reporter: &mut dyn Reporter| match assignment.trial.0 {
            0 => loop {
                if reporter.report(1, &Measurement::new().with("loss", 0.5)) == Verdict::Stop {
                    return Err(EvaluationFault::Objective(EvaluationError::Stopped));
                }
                thread::yield_now();
            },
            1 => {
                let _ = held.lock().unwrap().recv(); // until the test ends
                measured()
            }
            _ => measured(),
        });
    let limit = Some(Duration::from_millis(30));
    let mut executor = Executor::new(Arc::new(objective), 2, Duration::from_millis(50)).unwrap();
    executor.start(Point::new([]), assignment(0, limit));
    executor.start(Point::new([]), assignment(1, limit));
    for (trial, outcome) in ended(&mut executor) {
        let Outcome::Failed { failure: Failure::Timeout, reason } = outcome else {
            panic!("trial {trial}: {outcome:?}")
        };
        assert_eq!(reason.contains("given up"), trial == 1, "{reason}");
    }
    assert_eq!(executor.free_slot_count(), 2, "the slot has a new thread");
    executor.start(Point::new([]), assignment(2, None));
    executor.start(Point::new([]), assignment(3, None));
    assert!(ended(&mut executor).iter().all(|(_, outcome)| matches!(outcome, Outcome::Completed { .. })));
    drop(hold);
}

#[test]
fn a_stopped_trial_keeps_what_it_reported_last() {
    let objective = Scripted(|_: &Assignment, reporter: &mut dyn Reporter| {
        for step in 0.. {
            if reporter.report(step, &Measurement::new().with("loss", step as f64)) == Verdict::Stop {
                break;
            }
        }
        Err(EvaluationFault::Objective(EvaluationError::Stopped))
    });
    let mut executor = Executor::new(Arc::new(objective), 1, GRACE).unwrap();
    executor.start(Point::new([]), assignment(0, None));
    let mut last = None;
    while last.is_none() {
        for event in executor.wait(Duration::from_secs(10), Duration::ZERO) {
            if let Event::Reported { measurement, .. } = event {
                last = measurement.value("loss");
            }
        }
    }
    executor.stop_all();
    let Outcome::Stopped { measurement: Some(measurement), .. } = ended(&mut executor).remove(0).1 else {
        panic!()
    };
    assert!(measurement.value("loss") >= last);
}

#[test]
fn a_waker_ends_the_wait() {
    let objective = Scripted(|_: &Assignment, _: &mut dyn Reporter| measured());
    let mut executor = Executor::new(Arc::new(objective), 1, GRACE).unwrap();
    executor.waker().wake();
    assert!(executor.wait(Duration::from_secs(60), Duration::ZERO).is_empty());
}

/// Reports four steps, unless it is told to stop.
fn judged() -> Executor {
    let objective = Scripted(|_: &Assignment, reporter: &mut dyn Reporter| {
        for step in 1..=4 {
            if reporter.report(step, &Measurement::new().with("loss", step as f64)) == Verdict::Stop {
                return Err(EvaluationFault::Objective(EvaluationError::Stopped));
            }
        }
        measured()
    });
    let mut executor = Executor::new(Arc::new(objective), 2, GRACE).unwrap();
    executor.judge_reports();
    executor
}

#[test]
fn a_report_waits_for_its_answer() {
    let mut executor = judged();
    executor.start(Point::new([]), assignment(0, None));
    executor.start(Point::new([]), assignment(1, None));
    let mut reports = Vec::new();
    let mut outcomes = Vec::new();
    while executor.running().len() > 0 {
        for event in executor.wait(Duration::from_secs(10), Duration::ZERO) {
            match event {
                Event::Reported { trial, step, .. } => {
                    reports.push((trial.0, step));
                    let is_last = (trial.0, step) == (1, 2);
                    executor.answer(trial, if is_last { Verdict::Stop } else { Verdict::Continue });
                }
                Event::Ended { trial, outcome, .. } => outcomes.push((trial.0, outcome.kind())),
            }
        }
    }
    reports.sort_unstable();
    outcomes.sort_unstable();
    assert_eq!(reports, [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (1, 2)]);
    assert_eq!(outcomes, [(0, "completed"), (1, "stopped")]);
}

#[test]
fn a_report_that_nobody_answers_ends_with_the_time_or_the_study() {
    let mut executor = judged();
    executor.start(Point::new([]), assignment(0, Some(Duration::from_millis(50))));
    let Outcome::Failed { failure: Failure::Timeout, .. } = ended(&mut executor).remove(0).1 else {
        panic!()
    };
    executor.start(Point::new([]), assignment(1, None));
    while executor.wait(Duration::from_secs(10), Duration::ZERO).is_empty() {}
    executor.stop_all();
    assert_eq!(ended(&mut executor).remove(0).1.kind(), "stopped");
    // the verdict on a trial that is not there is for nobody
    executor.answer(TrialId(9), Verdict::Stop);
}

#[test]
fn nobody_sleeps_through_what_is_handed_over() {
    // some are done at once, some give up the processor, some take a while
    let objective = Scripted(|assignment: &Assignment, reporter: &mut dyn Reporter| {
        match assignment.trial.0 % 7 {
            0 => thread::sleep(Duration::from_micros(assignment.trial.0 % 300)),
            1 | 2 => thread::yield_now(),
            3 => drop(reporter.report(1, &Measurement::new().with("loss", 1.0))),
            _ => {}
        }
        measured()
    });
    let mut executor = Executor::new(Arc::new(objective), 8, GRACE).unwrap();
    let patience = Duration::from_secs(20);
    let (mut started, mut ended) = (0, Vec::new());
    while ended.len() < 4000 {
        // as many as are free, or all but some of them
        let count = executor.free_slot_count().saturating_sub(started as usize % 3);
        for _ in 0..count {
            executor.start(Point::new([]), assignment(started, None));
            started += 1;
        }
        let linger = Duration::from_micros(started % 5 * 100);
        if executor.running().len() == 0 {
            continue;
        }
        let before = Instant::now();
        for event in executor.wait(patience, linger) {
            if let Event::Ended { trial, .. } = event {
                ended.push(trial.0);
            }
        }
        assert!(before.elapsed() < patience, "nobody woke for {count} of {started}");
    }
    ended.extend(self::ended(&mut executor).into_iter().map(|(trial, _)| trial));
    ended.sort_unstable();
    assert_eq!(ended, (0..started).collect::<Vec<_>>(), "each ends once");
    assert_eq!(executor.free_slot_count(), 8);
}

#[test]
fn the_objective_is_gone_with_the_executor_unless_an_attempt_has_it() {
    let objective = Arc::new(Scripted(|assignment: &Assignment, reporter: &mut dyn Reporter| {
        while assignment.trial.0 == 1 && !reporter.is_stopped() {
            thread::yield_now();
        }
        measured()
    }));
    let shared: Arc<dyn Evaluate> = objective.clone();
    let mut executor = Executor::new(Arc::clone(&shared), 4, GRACE).unwrap();
    executor.start(Point::new([]), assignment(0, None));
    assert_eq!(ended(&mut executor).len(), 1);
    drop(executor);
    assert_eq!(Arc::strong_count(&objective), 2, "ours, twice");

    let mut executor = Executor::new(Arc::clone(&shared), 4, GRACE).unwrap();
    executor.start(Point::new([]), assignment(1, None));
    assert!(executor.wait(Duration::from_millis(20), Duration::ZERO).is_empty());
    let stop = Arc::clone(&executor.running[0].stop);
    drop(executor);
    assert!(Arc::strong_count(&objective) <= 3, "the three that were idle are gone");
    stop.store(true, Ordering::Relaxed);
    while Arc::strong_count(&objective) > 2 {
        thread::yield_now();
    }
}

#[test]
fn what_ended_just_before_it_was_given_up_has_ended() {
    let objective = Scripted(|_: &Assignment, _: &mut dyn Reporter| measured());
    let mut executor = Executor::new(Arc::new(objective), 1, Duration::ZERO).unwrap();
    executor.start(Point::new([]), assignment(0, None));
    assert!(executor.wait(Duration::ZERO, Duration::ZERO).is_empty(), "it was handed over");
    executor.stop_all();
    // its message is there, and has not been taken
    while !executor.exchange.has_messages() {
        thread::yield_now();
    }
    let mut events = Vec::new();
    executor.enforce_deadlines(&mut events);
    assert!(events.is_empty() && executor.running.len() == 1);
    assert!(matches!(ended(&mut executor)[..], [(0, Outcome::Completed { .. })]));
    assert_eq!((executor.free_slot_count(), executor.threads.len()), (1, 1));
}
