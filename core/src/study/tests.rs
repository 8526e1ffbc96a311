use super::*;
use crate::early_stopping::Promotion;
use crate::metric::{Goal, Metric, OutcomeConstraint, Side};
use crate::rng::Rng;
use crate::space::{Parameter, Space};
use rand::RngExt;

fn rules(members: usize, mix: Mix, trial_count: u64) -> StudyRules {
    let space = Space::of(vec![Parameter::int("x", 0, 99)]).unwrap();
    let metric = Metric { name: "accuracy".into(), goal: Goal::Maximise };
    let member = |index| Member { weight: 1.0 + index as f64, ..Member::new(format!("m{index}")) };
    StudyRules {
        problem: Problem::new(space, vec![metric]),
        seed: 1,
        members: (0..members).map(member).collect(),
        mix,
        budget: Budget { trial_count: Some(trial_count), ..Budget::default() },
        attempts_max: 2,
        duplicates: Duplicates::Replicate,
        consecutive_failures_max: None,
        window: None,
        early_stopping: None,
        enqueued: Vec::new(),
    }
}

fn point(x: f64) -> Point {
    Point::new([Some(x)])
}

fn completed(value: f64) -> Outcome {
    Outcome::Completed { measurement: Measurement::new().with("accuracy", value) }
}

fn ask(study: &mut Study, member: usize, count: usize, xs: &[f64]) -> Vec<TrialId> {
    let suggestions = xs.iter().map(|x| Suggestion::new(point(*x))).collect();
    let trials = study.admit(count, suggestions).unwrap();
    let ids = trials.iter().map(|trial| trial.trial).collect();
    study.apply(&Record::Asked { member, count, trials, is_exhausted: false }).unwrap();
    ids
}

fn finish(study: &mut Study, trial: TrialId, outcome: Outcome) {
    let record = study.conclude(trial, outcome, Duration::from_secs(1));
    study.apply(&record).unwrap();
}

/// Runs to the end with suggestions at random and results in random order; who was asked, one by one.
fn drive(mut study: Study, slots: usize) -> (Study, Vec<usize>, StopReason) {
    let mut rng = Rng::new(3);
    let mut asked = Vec::new();
    loop {
        let pending: Vec<TrialId> = study.pending().iter().map(|(trial, _)| trial).collect();
        match study.next(slots - pending.len(), Duration::ZERO) {
            Step::Ask { member, count } => {
                let xs: Vec<f64> = (0..count).map(|_| f64::from(rng.random_range(0..100))).collect();
                ask(&mut study, member, count, &xs);
                asked.extend(vec![member; count]);
            }
            Step::Enqueue { .. } => panic!("nothing was enqueued"),
            Step::Wait => {
                let trial = pending[rng.random_range(0..pending.len())];
                finish(&mut study, trial, completed(rng.random()));
            }
            Step::Stop(reason) => return (study, asked, reason),
        }
    }
}

#[test]
fn the_budget_is_met_exactly_for_any_number_of_slots() {
    for (slots, mix) in [(1, Mix::InTurn), (3, Mix::Weighted), (8, Mix::Phases), (50, Mix::InTurn)] {
        let (study, asked, reason) = drive(Study::new(rules(3, mix, 37)), slots);
        assert_eq!((study.trials().len(), study.finished_count(), asked.len()), (37, 37, 37));
        assert_eq!(reason, StopReason::TrialCount);
    }
}

#[test]
fn members_take_turns_as_the_mix_says() {
    let (_, asked, _) = drive(Study::new(rules(3, Mix::InTurn, 9)), 1);
    assert_eq!(asked, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    let (_, asked, _) = drive(Study::new(rules(3, Mix::Weighted, 60)), 4);
    let count = |member| asked.iter().filter(|m| **m == member).count();
    assert_eq!([count(0), count(1), count(2)], [10, 20, 30]);
    let mut phases = rules(2, Mix::Phases, 9);
    phases.members[0].trial_count_max = Some(5);
    let (_, asked, _) = drive(Study::new(phases), 3);
    assert_eq!(asked, [0, 0, 0, 0, 0, 1, 1, 1, 1]);
}

/// An adaptive study of three members in which member 1 draws better outcomes; with the members' turns.
fn drive_adaptive(slots: usize, budget: u64) -> (Study, Vec<Record>, Vec<usize>) {
    let mut study = Study::new(rules(3, Mix::Adaptive, budget));
    let mut rng = Rng::new(8);
    let (mut records, mut turns) = (Vec::new(), Vec::new());
    loop {
        let free = slots - study.pending().iter().count();
        match study.next(free, Duration::ZERO) {
            Step::Ask { member, count } => {
                turns.push(member);
                let suggestions = vec![Suggestion::new(point(f64::from(rng.random_range(0..100)))); count];
                let trials = study.admit(count, suggestions).unwrap();
                let record = Record::Asked { member, count, trials, is_exhausted: false };
                study.apply(&record).unwrap();
                records.push(record);
            }
            Step::Enqueue { .. } => panic!("nothing was enqueued"),
            Step::Wait => {
                let (trial, _) = study.pending().iter().next().unwrap();
                let least = if study.trial(trial).unwrap().member == Some(1) { 0.5 } else { 0.0 };
                let outcome = completed(rng.random_range(least..1.0));
                let record = study.conclude(trial, outcome, Duration::ZERO);
                study.apply(&record).unwrap();
                records.push(record);
            }
            Step::Stop(_) => return (study, records, turns),
        }
    }
}

#[test]
fn an_adaptive_mix_prefers_who_is_better_and_replays() {
    for slots in [1, 4] {
        let (study, records, turns) = drive_adaptive(slots, 150);
        let count = |member| turns.iter().filter(|turn| **turn == member).count();
        assert_eq!(turns.len(), 150);
        assert!(count(1) > 75 && count(0).min(count(2)) >= 8, "{turns:?}");
        assert!(study.shares()[1] > 0.4, "{:?}", study.shares());
        // From its records alone it comes to the same turns.
        let mut again = Study::new(study.rules().clone());
        for record in &records {
            if let Record::Asked { member, .. } = record {
                let next = again.next(1, Duration::ZERO);
                assert_eq!(next, Step::Ask { member: *member, count: 1 });
            }
            again.apply(record).unwrap();
        }
        assert_eq!(again.shares(), study.shares());
    }
}

#[test]
fn who_comes_later_has_no_turn_before() {
    let mut rules = rules(3, Mix::Adaptive, 60);
    rules.members[2].after_count = 20;
    let (study, asked, _) = drive(Study::new(rules.clone()), 3);
    assert_eq!(asked.len(), 60);
    // of forty turns at least its part of the tenth that is shared out equally
    assert!(
        !asked[..20].contains(&2) && asked[20..].iter().filter(|member| **member == 2).count() >= 2,
        "{asked:?}"
    );
    assert_eq!(study.shares().iter().filter(|share| **share > 0.0).count(), 3);
    assert_eq!(Study::new(rules.clone()).shares(), [0.5, 0.5, 0.0]);
    // nobody else is left, for good or for now
    rules.members[0].trial_count_max = Some(4);
    rules.members[1].trial_count_max = Some(6);
    let (_, asked, _) = drive(Study::new(rules.clone()), 1);
    assert_eq!(asked.len(), 60);
    assert!(!asked[..10].contains(&2) && asked[10..].iter().all(|member| *member == 2), "{asked:?}");
    let mut study = Study::new(rules);
    for member in [0, 1] {
        assert_eq!(study.next(1, Duration::ZERO), Step::Ask { member, count: 1 });
        ask(&mut study, member, 1, &[]);
    }
    assert_eq!(study.next(1, Duration::ZERO), Step::Ask { member: 2, count: 1 });
}

#[test]
fn what_was_taken_over_from_an_earlier_trial_earns_nothing() {
    let mut study = Study::new(rules(2, Mix::Adaptive, 100));
    for round in 0..30 {
        for member in 0..2 {
            let trial = ask(&mut study, member, 1, &[f64::from(round)])[0];
            let reused = (member == 1 && round > 0).then_some(TrialId(0));
            let outcome = completed(f64::from(round));
            study.apply(&Record::Finished { trial, outcome, duration: Duration::ZERO, reused }).unwrap();
        }
    }
    assert!(study.shares()[0] > 0.8, "{:?}", study.shares());
}

#[test]
fn a_waiting_member_is_passed_over_until_something_ends() {
    let mut study = Study::new(rules(2, Mix::InTurn, 100));
    let trials = ask(&mut study, 0, 1, &[1.0]);
    assert_eq!(study.next(5, Duration::ZERO), Step::Ask { member: 1, count: 1 });
    ask(&mut study, 1, 1, &[]);
    assert_eq!(study.next(5, Duration::ZERO), Step::Ask { member: 0, count: 1 });
    ask(&mut study, 0, 1, &[]);
    assert_eq!(study.next(5, Duration::ZERO), Step::Wait);
    finish(&mut study, trials[0], completed(0.5));
    assert_eq!(study.next(5, Duration::ZERO), Step::Ask { member: 1, count: 1 });
    ask(&mut study, 1, 1, &[]);
    ask(&mut study, 0, 1, &[]);
    assert_eq!(study.next(5, Duration::ZERO), Step::Stop(StopReason::Exhausted), "waiting for nothing");
}

#[test]
fn exhausted_members_leave_the_others_going() {
    let mut study = Study::new(rules(2, Mix::Phases, 100));
    study.apply(&Record::Asked { member: 0, count: 1, trials: vec![], is_exhausted: true }).unwrap();
    assert_eq!(study.next(1, Duration::ZERO), Step::Ask { member: 1, count: 1 });
    study.apply(&Record::Asked { member: 1, count: 1, trials: vec![], is_exhausted: true }).unwrap();
    assert_eq!(study.next(1, Duration::ZERO), Step::Stop(StopReason::Exhausted));
}

#[test]
fn a_broken_member_is_left_out_until_the_study_is_resumed() {
    let mut study = Study::new(rules(2, Mix::Phases, 100));
    study
        .apply(&Record::Broke { member: 0, remedy: Remedy::LeaveOut, reason: "it panicked".into() })
        .unwrap();
    assert_eq!(study.next(1, Duration::ZERO), Step::Ask { member: 1, count: 1 });
    study.forgive_failures();
    assert_eq!(study.next(1, Duration::ZERO), Step::Ask { member: 0, count: 1 });
}

#[test]
fn every_limit_drains_and_then_stops() {
    let stops = |change: fn(&mut StudyRules), elapsed: u64, value: f64, expected| {
        let mut rules = rules(1, Mix::InTurn, 100);
        change(&mut rules);
        let mut study = Study::new(rules);
        let trials = ask(&mut study, 0, 2, &[1.0, 2.0]);
        finish(&mut study, trials[0], completed(value));
        let elapsed = Duration::from_secs(elapsed);
        assert_eq!(study.next(1, elapsed), Step::Wait, "{expected:?}: one is still running");
        finish(&mut study, trials[1], completed(0.1));
        assert_eq!(study.next(1, elapsed), Step::Stop(expected));
    };
    stops(|rules| rules.budget.target = Some(0.9), 0, 0.9, StopReason::Target);
    stops(|rules| rules.budget.wall_time = Some(Duration::from_secs(9)), 9, 0.5, StopReason::WallTime);
    let cost = |rules: &mut StudyRules| {
        rules.budget.cost = Some(CostLimit { metric: "accuracy".into(), limit: 0.5 })
    };
    stops(cost, 0, 0.6, StopReason::Cost);
}

#[test]
fn a_trial_that_does_not_say_what_it_cost_has_failed() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.budget.cost = Some(CostLimit { metric: "seconds".into(), limit: 5.0 });
    let mut study = Study::new(rules);
    let trial = ask(&mut study, 0, 1, &[1.0])[0];
    finish(&mut study, trial, completed(0.5));
    let outcome = study.trial(trial).unwrap().outcome.clone().unwrap();
    assert!(outcome.reason().unwrap().contains("seconds"), "{outcome:?}");
}

#[test]
fn a_stopped_trial_keeps_what_its_last_report_had_and_costs_it() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.budget.cost = Some(CostLimit { metric: "seconds".into(), limit: 5.0 });
    let mut study = Study::new(rules);
    let stopped =
        |measurement: Measurement| Outcome::Stopped { reason: "no".into(), measurement: Some(measurement) };
    let mut end = |measurement: Measurement| {
        let trial = ask(&mut study, 0, 1, &[1.0])[0];
        finish(&mut study, trial, stopped(measurement));
        let kept = match &study.trial(trial).unwrap().outcome {
            Some(Outcome::Stopped { measurement, .. }) => measurement.clone(),
            other => panic!("{other:?}"),
        };
        (kept, study.observation(trial).unwrap().result, study.next(1, Duration::ZERO))
    };
    let go_on = Step::Ask { member: 0, count: 1 };
    // the goal without the cost, the cost without the goal, neither
    let goal = Measurement::new().with("accuracy", 0.5);
    let (kept, result, step) = end(goal.clone().with("loss", f64::NAN));
    assert_eq!((kept, step), (Some(goal), go_on.clone()));
    assert!(matches!(result, ObservedResult::Stopped(Some(losses)) if losses.values == [-0.5]));
    let cost = Measurement::new().with("seconds", 4.0);
    let (kept, result, step) = end(cost.clone());
    assert_eq!((kept, result, step), (Some(cost.clone()), ObservedResult::Stopped(None), go_on.clone()));
    let (kept, result, step) = end(Measurement::new().with("accuracy", f64::INFINITY));
    assert_eq!((kept, result, step), (None, ObservedResult::Stopped(None), go_on));
    assert_eq!(end(cost).2, Step::Stop(StopReason::Cost));
}

#[test]
fn trials_that_are_lost_with_their_hosts_are_no_failures_in_a_row() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.attempts_max = 1;
    rules.consecutive_failures_max = Some(2);
    let mut study = Study::new(rules);
    let mut end = |failure: Failure| {
        let trial = ask(&mut study, 0, 1, &[1.0])[0];
        let outcome = Outcome::Failed { failure, reason: "no".into() };
        study.apply(&Record::Finished { trial, outcome, duration: Duration::ZERO, reused: None }).unwrap();
        study.next(1, Duration::ZERO)
    };
    let go_on = Step::Ask { member: 0, count: 1 };
    for failure in [Failure::Lost, Failure::Lost, Failure::Lost, Failure::Objective, Failure::Lost] {
        assert_eq!(end(failure), go_on);
    }
    assert!(matches!(end(Failure::Crash), Step::Stop(_)), "the second that failed by itself");
}

#[test]
fn a_plateau_ends_a_study() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.attempts_max = 1;
    rules.budget = Budget {
        plateau: Some(Plateau { trial_count: 3, min_delta: 0.1 }),
        completed_count: Some(12),
        ..Budget::default()
    };
    let mut study = Study::new(rules.clone());
    let mut end = |outcome: Outcome| {
        let trial = ask(&mut study, 0, 1, &[1.0])[0];
        finish(&mut study, trial, outcome);
        study.next(1, Duration::ZERO)
    };
    let go_on = Step::Ask { member: 0, count: 1 };
    let failed = || Outcome::Failed { failure: Failure::Objective, reason: "no".into() };
    // nothing is a plateau before there is anything; what fails is none either
    for _ in 0..5 {
        assert_eq!(end(failed()), go_on);
    }
    // 0.55 is better than 0.5 by too little, 0.61 by enough although 0.55 was in between
    for value in [0.5, 0.55, 0.2, 0.61, 0.1, 0.7] {
        assert_eq!(end(completed(value)), go_on, "{value}");
    }
    assert_eq!(end(failed()), go_on);
    assert_eq!(end(completed(0.3)), Step::Stop(StopReason::Plateau));
    // enough completed ones
    rules.budget.plateau = None;
    let (study, asked, reason) = drive(Study::new(rules), 5);
    assert_eq!((reason, study.pending().iter().count()), (StopReason::CompletedCount, 0));
    assert!((12..17).contains(&asked.len()), "{}", asked.len());
}

#[test]
fn failures_in_a_row_stop_a_broken_study_and_can_be_forgiven() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.consecutive_failures_max = Some(2);
    rules.attempts_max = 1;
    let mut study = Study::new(rules);
    let failed = || Outcome::Failed { failure: Failure::Objective, reason: "no".into() };
    for _ in 0..2 {
        let trial = ask(&mut study, 0, 1, &[1.0])[0];
        finish(&mut study, trial, failed());
    }
    assert_eq!(study.next(1, Duration::ZERO), Step::Stop(StopReason::Failures));
    study.forgive_failures();
    assert!(matches!(study.next(1, Duration::ZERO), Step::Ask { .. }));
}

#[test]
fn attempts_are_counted_and_a_lost_one_is_free() {
    let mut study = Study::new(rules(1, Mix::InTurn, 100));
    let trial = ask(&mut study, 0, 1, &[1.0])[0];
    let fail = |failure| Outcome::Failed { failure, reason: "no".into() };
    for lost in 1..=5 {
        finish(&mut study, trial, fail(Failure::Lost));
        assert_eq!(study.trial(trial).unwrap().attempt, 1 + lost, "every attempt has a number of its own");
    }
    finish(&mut study, trial, fail(Failure::Timeout));
    assert_eq!((study.trial(trial).unwrap().attempt, study.finished_count()), (7, 0));
    finish(&mut study, trial, fail(Failure::Timeout));
    assert_eq!(study.finished_count(), 1);
    let cursed = ask(&mut study, 0, 1, &[2.0])[0];
    while study.trial(cursed).unwrap().outcome.is_none() {
        finish(&mut study, cursed, fail(Failure::Lost));
        assert!(study.trial(cursed).unwrap().lost_count <= 20, "it kills one host after the other");
    }
    let trial = ask(&mut study, 0, 1, &[1.0])[0];
    finish(&mut study, trial, completed(f64::NAN));
    let outcome = study.trial(trial).unwrap().outcome.clone().unwrap();
    assert_eq!(outcome.reason(), Some("metric accuracy is NaN"), "not tried again: it would be NaN again");
}

#[test]
fn losses_are_minimised_and_the_incumbent_keeps_the_constraints() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.problem.outcome_constraints =
        vec![OutcomeConstraint { metric: "latency".into(), side: Side::AtMost, bound: 10.0 }];
    let mut study = Study::new(rules);
    for (accuracy, latency) in [(0.5, 9.0), (0.9, 11.0), (0.7, 10.0), (0.6, 1.0)] {
        let trial = ask(&mut study, 0, 1, &[1.0])[0];
        let measurement = Measurement::new().with("accuracy", accuracy).with_error("latency", latency, 0.5);
        finish(&mut study, trial, Outcome::Completed { measurement });
    }
    assert_eq!(study.incumbent().first(), Some(TrialId(2)));
    assert_eq!(study.members()[0].improvement_count, 2);
    let ObservedResult::Completed(losses) = study.observation(TrialId(1)).unwrap().result else { panic!() };
    assert_eq!((losses.values, losses.excesses), (vec![-0.9], vec![1.0]));
}

#[test]
fn records_that_do_not_fit_are_refused_and_change_nothing() {
    let mut study = Study::new(rules(1, Mix::InTurn, 100));
    let trial = ask(&mut study, 0, 1, &[1.0])[0];
    finish(&mut study, trial, completed(0.5));
    let again = Record::Finished { trial, outcome: completed(0.9), duration: Duration::ZERO, reused: None };
    assert!(study.apply(&again).unwrap_err().0.contains("has ended already"));
    let unknown =
        Record::Reported { trial: TrialId(7), step: 1, measurement: Measurement::new(), stop: None };
    assert!(study.apply(&unknown).unwrap_err().0.contains("never asked"));
    let asked = AskedTrial { trial: TrialId(5), point: point(1.0), tag: 0, fidelity: None, prediction: None };
    let gap = Record::Asked { member: 0, count: 1, trials: vec![asked], is_exhausted: false };
    assert!(study.apply(&gap).is_err());
    assert_eq!((study.trials().len(), study.incumbent().least(0)), (1, Some(-0.5)));
    let outside = study.admit(1, vec![Suggestion::new(point(0.5))]).unwrap_err();
    assert!(outside.contains("x = 0.5"), "{outside}");
}

#[test]
fn duplicates_are_found_where_they_are_reused() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.duplicates = Duplicates::Reuse;
    let mut study = Study::new(rules);
    let trials = ask(&mut study, 0, 2, &[1.0, 2.0]);
    let again = ask(&mut study, 0, 2, &[1.0, 2.0]);
    let earlier =
        |study: &Study, trial: TrialId| study.earlier(study.trial(trial).unwrap()).map(|trial| trial.id);
    assert_eq!(earlier(&study, again[0]), None, "pending is not evaluated");
    finish(&mut study, trials[0], completed(0.5));
    finish(&mut study, trials[1], Outcome::Failed { failure: Failure::Measurement, reason: "no".into() });
    assert_eq!(earlier(&study, again[0]), Some(trials[0]));
    assert_eq!(earlier(&study, again[1]), None, "a failure is no evaluation");
}

#[test]
fn points_that_are_all_known_do_not_go_round_for_ever() {
    let mut rules = rules(1, Mix::InTurn, 1);
    rules.budget = Budget { target: Some(2.0), ..Budget::default() };
    rules.duplicates = Duplicates::Reuse;
    let mut study = Study::new(rules);
    let first = ask(&mut study, 0, 1, &[1.0])[0];
    finish(&mut study, first, completed(0.5));
    for _ in 0..REUSED_IN_A_ROW_MAX {
        assert!(matches!(study.next(1, Duration::ZERO), Step::Ask { .. }));
        let trial = ask(&mut study, 0, 1, &[1.0])[0];
        let record = Record::Finished {
            trial,
            outcome: completed(0.5),
            duration: Duration::ZERO,
            reused: Some(first),
        };
        study.apply(&record).unwrap();
    }
    assert_eq!(study.next(1, Duration::ZERO), Step::Stop(StopReason::Exhausted));
}

#[test]
fn a_short_evaluation_is_no_incumbent_and_stands_for_no_full_one() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.problem.fidelity = Some(crate::FidelityRange { name: "epochs".into(), lower: 1.0, upper: 9.0 });
    rules.duplicates = Duplicates::Reuse;
    let mut study = Study::new(rules);
    for (fidelity, value) in [(Some(1.0), 0.9), (None, 0.5)] {
        let suggestion = Suggestion { fidelity, ..Suggestion::new(point(1.0)) };
        let trials = study.admit(1, vec![suggestion]).unwrap();
        let trial = trials[0].trial;
        study.apply(&Record::Asked { member: 0, count: 1, trials, is_exhausted: false }).unwrap();
        assert_eq!(study.earlier(study.trial(trial).unwrap()), None);
        finish(&mut study, trial, completed(value));
    }
    assert_eq!(study.incumbent().first(), Some(TrialId(1)));
}

#[test]
fn what_was_predicted_is_kept_and_makes_no_other_trial() {
    let mut study = Study::new(rules(1, Mix::InTurn, 100));
    let prediction = Prediction::new(0.5, 0.1).with_acquisition(f64::NEG_INFINITY);
    let broken = Prediction::new(f64::NAN, 0.1);
    let suggestions = [prediction, broken].map(|said| Suggestion::new(point(1.0)).with_prediction(said));
    let trials = study.admit(2, suggestions.to_vec()).unwrap();
    assert_eq!(trials[0].prediction, Some(Prediction::new(0.5, 0.1)));
    assert_eq!(trials[1].prediction, None);
    let other = AskedTrial { prediction: None, ..trials[0].clone() };
    assert!(other != trials[0] && other.is_same_as(&trials[0]));
    assert!(!AskedTrial { tag: 1, ..other.clone() }.is_same_as(&other));
    assert!(!AskedTrial { point: point(2.0), ..other.clone() }.is_same_as(&other));
    let record = Record::Asked { member: 0, count: 2, trials, is_exhausted: false };
    study.apply(&record).unwrap();
    assert_eq!(study.trials()[0].prediction, Some(Prediction::new(0.5, 0.1)));
}

fn windowed(window: u64) -> Study {
    let mut rules = rules(2, Mix::InTurn, 60);
    rules.window = Some(window);
    rules.duplicates = Duplicates::Reuse;
    Study::new(rules)
}

/// Asks and counts, in their order, of a study whose trials end in the order that the dice like, on so many slots.
fn events(window: u64, slots: usize, seed: u64) -> Vec<(&'static str, u64)> {
    let mut dice = Rng::new(seed);
    let mut study = Study::new(StudyRules {
        enqueued: (0..8).map(|x| enqueued(f64::from(x))).collect(),
        ..windowed(window).rules().clone()
    });
    let mut events = Vec::new();
    let end = |study: &mut Study, events: &mut Vec<(&'static str, u64)>, record: Record| {
        let Record::Finished { trial, outcome, duration, reused } = record else { panic!("no end") };
        if study.has_to_wait(trial, Duration::ZERO) {
            return study.apply(&Record::Arrived { trial, outcome, duration, reused }).unwrap();
        }
        study.apply(&Record::Finished { trial, outcome, duration, reused }).unwrap();
        events.push(("counts", trial.0));
    };
    loop {
        match study.next(slots, Duration::ZERO) {
            Step::Ask { member, count } => {
                // as a strategy would: from what it knows
                let x = (31 * study.finished_count() + 7 * study.trials().len()) % 50;
                for trial in ask(&mut study, member, count, &vec![x as f64; count]) {
                    events.push(("asked", trial.0));
                }
            }
            Step::Enqueue { count } => {
                let record = study.begin(count).unwrap();
                let Record::Enqueued { trials, .. } = &record else { panic!("{record:?}") };
                events.extend(trials.iter().map(|asked| ("asked", asked.trial.0)));
                study.apply(&record).unwrap();
            }
            Step::Wait => match study.due().cloned() {
                Some(record) => end(&mut study, &mut events, record),
                None => {
                    let running = study.pending().iter().map(|(trial, _)| trial);
                    let running = running.filter(|trial| study.arrived(*trial).is_none());
                    let running: Vec<TrialId> = running.take(slots).collect();
                    let trial = running[dice.random_range(0..running.len())];
                    let record = study.conclude(trial, completed(trial.0 as f64), Duration::ZERO);
                    end(&mut study, &mut events, record);
                }
            },
            Step::Stop(reason) => {
                assert_eq!(reason, StopReason::TrialCount);
                return events;
            }
        }
    }
}

#[test]
fn with_a_window_neither_the_order_of_arrival_nor_the_number_of_slots_matters() {
    let expected = events(6, 1, 0);
    assert_eq!(expected.len(), 120);
    for seed in 0..30 {
        for slots in [1, 2, 5, 6, 9] {
            assert_eq!(events(6, slots, seed), expected, "{slots} slots, seed {seed}");
        }
    }
    assert_ne!(events(5, 5, 0), expected, "another window is another study");
    let counted: Vec<u64> =
        expected.iter().filter(|(what, _)| *what == "counts").map(|(_, id)| *id).collect();
    assert_eq!(counted, (0..60).collect::<Vec<_>>());
}

#[test]
fn what_arrived_is_pending_until_it_counts() {
    let mut study = windowed(3);
    assert_eq!(study.next(1, Duration::ZERO), Step::Ask { member: 0, count: 1 });
    let trials: Vec<TrialId> = (0..3).map(|_| ask(&mut study, 0, 1, &[1.0])[0]).collect();
    assert_eq!(study.next(9, Duration::ZERO), Step::Wait, "the window is full");
    let (duration, reused) = (Duration::ZERO, None);
    let arrived = |trial, value| Record::Arrived { trial, outcome: completed(value), duration, reused };
    let useless = Outcome::Completed { measurement: Measurement::new() };
    let unmeasured = Record::Arrived { trial: trials[1], outcome: useless, duration, reused };
    assert!(study.apply(&unmeasured).is_err());
    study.apply(&arrived(trials[1], 0.5)).unwrap();
    assert_eq!(study.arrived(trials[1]), Some(&completed(0.5)));
    assert_eq!((study.finished_count(), study.incumbent().first(), study.due()), (0, None, None));
    assert_eq!(study.observation(trials[1]), None);
    assert!(study.apply(&arrived(trials[1], 0.6)).unwrap_err().0.contains("has arrived already"));
    let report = Record::Reported { trial: trials[1], step: 1, measurement: Measurement::new(), stop: None };
    assert!(study.apply(&report).is_err());
    finish(&mut study, trials[0], completed(0.1));
    let due = study.due().cloned().unwrap();
    assert!(study.has_to_wait(trials[1], Duration::ZERO), "an ask comes before it");
    ask(&mut study, 0, 1, &[2.0]);
    assert!(!study.has_to_wait(trials[1], Duration::ZERO));
    study.apply(&due).unwrap();
    assert_eq!((study.incumbent().first(), study.arrived(trials[1])), (Some(trials[1]), None));

    let mut other = Study::new(rules(1, Mix::InTurn, 9));
    let trial = ask(&mut other, 0, 1, &[1.0])[0];
    assert!(other.apply(&arrived(trial, 0.5)).unwrap_err().0.contains("without a window"));
}

#[test]
fn a_verdict_is_binding_and_outlives_the_attempt() {
    let mut study = Study::new(rules(1, Mix::InTurn, 10));
    let trials = ask(&mut study, 0, 2, &[1.0, 2.0]);
    let report = |trial, step, value: f64, stop: Option<&str>| Record::Reported {
        trial,
        step,
        measurement: Measurement::new().with("accuracy", value),
        stop: stop.map(str::to_owned),
    };
    study.apply(&report(trials[0], 1, 0.1, None)).unwrap();
    // another attempt goes over the same step again
    let lost = Outcome::Failed { failure: Failure::Lost, reason: "the host died".into() };
    finish(&mut study, trials[0], lost.clone());
    assert!(!study.is_news(trials[0], 1) && study.is_news(trials[0], 2));
    assert!(study.apply(&report(trials[0], 1, 0.1, Some("late"))).is_err());
    study.apply(&report(trials[0], 1, 0.1, None)).unwrap();
    study.apply(&report(trials[0], 2, 0.2, Some("rule at step 2: too bad"))).unwrap();
    assert_eq!(study.early_stop(trials[0]).map(|stop| stop.step), Some(2));
    assert!(study.apply(&report(trials[0], 3, 0.9, None)).is_err(), "it has been stopped");
    let wrong = Record::Finished {
        trial: trials[0],
        outcome: completed(0.99),
        duration: Duration::ZERO,
        reused: None,
    };
    assert!(study.apply(&wrong).is_err());
    // whatever comes of the attempt
    for outcome in [completed(0.99), lost, Outcome::Infeasible { reason: "no".into() }] {
        let record = study.conclude(trials[0], outcome, Duration::ZERO);
        let Record::Finished { outcome: Outcome::Stopped { reason, measurement }, .. } = &record else {
            panic!("{record:?}");
        };
        assert_eq!(reason, "rule at step 2: too bad");
        assert_eq!(measurement.as_ref().and_then(|m| m.value("accuracy")), Some(0.2));
    }
    finish(&mut study, trials[0], completed(0.99));
    assert_eq!(study.incumbent().first(), None, "a stopped trial is never the best");
    let observed = study.observation(trials[0]).unwrap();
    let ObservedResult::Stopped(Some(losses)) = observed.result else { panic!("{observed:?}") };
    assert_eq!(losses.values, [-0.2]);
    finish(&mut study, trials[1], completed(0.1));
    assert_eq!(study.incumbent().first(), Some(trials[1]));
}

#[test]
fn a_rule_hears_losses_and_nothing_that_is_not_finite() {
    let mut two = rules(1, Mix::InTurn, 10);
    two.problem.metrics.push(Metric { name: "loss".into(), goal: Goal::Minimise });
    two.problem.outcome_constraints =
        vec![OutcomeConstraint { metric: "time".into(), side: Side::AtMost, bound: 5.0 }];
    let mut study = Study::new(two);
    let trial = ask(&mut study, 0, 1, &[1.0])[0];
    let measurement = Measurement::new().with("loss", f64::NAN).with("accuracy", 0.75).with("time", 7.0);
    let report = study.report(trial, 4, &measurement);
    assert_eq!((report.losses, report.excesses), (vec![Some(-0.75), None], vec![Some(2.0)]));
    let report = study.report(trial, 4, &Measurement::new());
    assert_eq!((report.losses, report.excesses), (vec![None, None], vec![None]));
}

#[test]
fn a_rule_that_breaks_is_counted_and_has_no_fallback() {
    let mut study = Study::new(rules(1, Mix::InTurn, 10));
    let broke =
        |remedy| Record::EarlyStoppingBroke { remedy, reason: "it panicked".into(), when_asked: false };
    study.apply(&broke(Remedy::Restart)).unwrap();
    study.apply(&broke(Remedy::LeaveOut)).unwrap();
    let state = study.early_stopping();
    assert_eq!((state.fault_count, state.renewal_count, state.is_left_out), (2, 1, true));
    assert!(study.apply(&broke(Remedy::Fallback)).is_err());
    study.apply(&broke(Remedy::Renew)).unwrap();
    let state = study.early_stopping();
    assert_eq!((state.fault_count, state.renewal_count, state.is_left_out), (0, 2, false));
}

fn enqueued(x: f64) -> EnqueuedPoint {
    EnqueuedPoint { point: point(x), fidelity: None }
}

fn xs(study: &Study) -> Vec<f64> {
    study.trials().iter().map(|trial| trial.point.get(0).unwrap()).collect()
}

#[test]
fn a_study_begins_with_the_points_that_people_want() {
    for window in [None, Some(2)] {
        let mut rules = rules(1, Mix::InTurn, 5);
        (rules.window, rules.enqueued) = (window, vec![enqueued(7.0), enqueued(3.0), enqueued(5.0)]);
        let mut study = Study::new(rules);
        assert_eq!(study.next(2, Duration::ZERO), Step::Enqueue { count: 2 });
        study.apply(&study.begin(2).unwrap()).unwrap();
        assert_eq!(study.next(0, Duration::ZERO), Step::Wait);
        if window.is_some() {
            // what comes next does not depend on whether this one counts
            assert!(!study.has_to_wait(TrialId(0), Duration::ZERO));
        }
        finish(&mut study, TrialId(0), completed(0.5));
        assert_eq!(study.next(1, Duration::ZERO), Step::Enqueue { count: 1 });
        if window.is_some() {
            assert!(study.has_to_wait(TrialId(1), Duration::ZERO), "an ask comes first");
        }
        study.apply(&study.begin(9).unwrap()).unwrap();
        finish(&mut study, TrialId(1), completed(0.25));
        finish(&mut study, TrialId(2), completed(0.75));
        assert_eq!(study.next(9, Duration::ZERO), Step::Ask { member: 0, count: 2 });
        assert_eq!((xs(&study), study.enqueued_count()), (vec![7.0, 3.0, 5.0], 3));
        assert_eq!(study.incumbent().first(), Some(TrialId(2)));
        assert_eq!(study.members()[0].improvement_count, 0);
        assert_eq!(study.proposer(&study.trials()[2]), ENQUEUED);
        let surplus = Record::Enqueued { ticket: None, trials: vec![asked_trial(3, 1.0)] };
        assert!(study.apply(&surplus).unwrap_err().0.contains("begins with 3 points"));
    }
}

fn asked_trial(number: u64, x: f64) -> AskedTrial {
    AskedTrial { trial: TrialId(number), point: point(x), tag: 0, fidelity: None, prediction: None }
}

#[test]
fn a_request_is_taken_once_and_only_as_far_as_the_budget_goes() {
    let mut study = Study::new(rules(1, Mix::Adaptive, 3));
    ask(&mut study, 0, 1, &[1.0]);
    let record = study.take_enqueued(8, &enqueued(2.0)).unwrap().unwrap();
    study.apply(&record).unwrap();
    assert_eq!(study.take_enqueued(8, &enqueued(2.0)), Ok(None));
    let again = Record::Enqueued { ticket: Some(8), trials: vec![asked_trial(2, 2.0)] };
    assert!(study.apply(&again).unwrap_err().0.contains("taken twice"));
    assert_eq!(study.room_for_more(9, Duration::ZERO), 1);
    let record = study.take_enqueued(9, &enqueued(3.0)).unwrap().unwrap();
    study.apply(&record).unwrap();
    assert_eq!(study.room_for_more(9, Duration::ZERO), 0);
    for trial in [2, 1, 0] {
        finish(&mut study, TrialId(trial), completed(0.5));
    }
    assert_eq!(study.next(9, Duration::ZERO), Step::Stop(StopReason::TrialCount));
    let tags: Vec<_> = study.trials().iter().map(|trial| trial.member).collect();
    assert_eq!(tags, [Some(0), None, None]);
    assert!(study.take_enqueued(10, &enqueued(0.5)).unwrap_err().contains("x = 0.5"));
}

/// In a small space as well as in an endless one: nothing is asked for twice, and a used up space is used up.
#[test]
fn a_study_that_resamples_asks_for_no_point_twice() {
    let spaces = [
        Space::of(vec![Parameter::int("a", 0, 3), Parameter::categorical("b", ["x", "y", "z"])]).unwrap(),
        Space::of(vec![Parameter::float("a", 0.0, 1.0)]).unwrap(),
    ];
    for (space, count) in spaces.into_iter().zip([12, 200]) {
        let mut rules = rules(1, Mix::InTurn, 1000);
        rules.problem.space = space.clone();
        rules.duplicates = Duplicates::Resample;
        let mut study = Study::new(rules);
        let stubborn = space.sample(&mut Rng::new(3)).unwrap();
        let mut distances = Vec::new();
        while study.trials().len() < count {
            let suggestions = vec![Suggestion::new(stubborn.clone()); 2];
            let trials = study.admit(2, suggestions).unwrap();
            assert_eq!(
                study.admit(2, vec![Suggestion::new(stubborn.clone()); 2]),
                Ok(trials.clone()),
                "repeats"
            );
            assert_eq!(trials.len(), 2);
            distances.extend(trials.iter().map(|asked| {
                let moved = asked.point.coordinates().zip(stubborn.coordinates()).filter(|(a, b)| a != b);
                moved.count()
            }));
            study.apply(&Record::Asked { member: 0, count: 2, trials, is_exhausted: false }).unwrap();
        }
        let points: HashSet<_> = study.trials().iter().map(|trial| trial.point.clone()).collect();
        assert_eq!(points.len(), count);
        assert_eq!(distances[..3], [0, 1, 1], "near the one that was suggested");
        if count == 12 {
            assert_eq!(study.admit(2, vec![Suggestion::new(stubborn.clone())]), Ok(Vec::new()));
        }
    }
}

#[test]
fn transferred_results_are_heard_and_nothing_else() {
    let mut study = Study::new(rules(1, Mix::InTurn, 5));
    let trial = |number, x, outcome| TransferredTrial {
        original: TrialId(number),
        point: point(x),
        fidelity: None,
        outcome,
    };
    let infeasible = || Outcome::Infeasible { reason: "no".into() };
    let record = |trials| Record::Transferred { source: "old".into(), trials };
    study.apply(&record(vec![trial(4, 1.0, completed(0.9)), trial(6, 2.0, infeasible())])).unwrap();
    let heard: Vec<Observation> = study.transferred_observations().collect();
    assert_eq!(heard.iter().map(|one| one.loss()).collect::<Vec<_>>(), [Some(-0.9), None]);
    assert_eq!(heard[1].result, ObservedResult::Infeasible);
    assert!(heard[0].trial < heard[1].trial && heard.iter().all(|one| one.trial.is_transferred()));
    assert_eq!(heard[0].trial.0 as f64 as u64, heard[0].trial.0);
    assert!(heard.iter().all(|one| one.tag.is_none()));
    assert_eq!((study.trials().len(), study.incumbent().first()), (0, None));
    assert_eq!(study.sources(), [("old".to_owned(), 2)]);
    for wrong in [trial(1, 0.5, completed(0.1)), trial(1, 5.0, completed(f64::NAN))] {
        study.apply(&record(vec![wrong])).unwrap_err();
    }
    for (number, x, value, expected) in
        [(0, 1.0, 0.9, None), (1, 1.0, 0.5, Some((0.9, 0.5))), (2, 7.0, 0.5, None)]
    {
        let mut again = study.clone();
        again.apply(&record(vec![trial(7, 3.0, completed(0.5)), trial(8, 4.0, completed(0.1))])).unwrap();
        again.apply(&again.take_enqueued(number, &enqueued(x)).unwrap().unwrap()).unwrap();
        finish(&mut again, TrialId(0), completed(value));
        assert_eq!(again.changed_since_transfer(TrialId(0)), expected, "{x} {value}");
    }
    let failed = Outcome::Failed { failure: Failure::Objective, reason: String::new() };
    assert!(study.apply(&record(vec![trial(1, 5.0, failed)])).unwrap_err().0.contains("failed"));
    ask(&mut study, 0, 1, &[1.0]);
    assert!(study.apply(&record(vec![])).unwrap_err().0.contains("begun"));
}

#[test]
fn a_study_ends_when_little_is_expected_of_it() {
    let mut rules = rules(1, Mix::InTurn, 100);
    rules.budget.expected_improvement = Some(LittleExpected { below: 0.01, trial_count: 2 });
    let mut study = Study::new(rules);
    let mut next = |mean: Option<f64>| {
        let prediction = mean.map(|mean| Prediction::new(mean, 0.001));
        let suggestion = Suggestion { prediction, ..Suggestion::new(point(1.0)) };
        let trials = study.admit(1, vec![suggestion]).unwrap();
        let trial = trials[0].trial;
        study.apply(&Record::Asked { member: 0, count: 1, trials, is_exhausted: false }).unwrap();
        finish(&mut study, trial, completed(0.5));
        study.next(1, Duration::ZERO)
    };
    // the loss of 0.5 is -0.5
    for mean in [Some(-0.4), None, Some(-0.4), Some(-0.6), Some(-0.4), None] {
        assert!(matches!(next(mean), Step::Ask { .. }), "{mean:?}");
    }
    assert_eq!(next(Some(-0.505)), Step::Stop(StopReason::ExpectedImprovement));
}

#[test]
fn a_stopped_trial_goes_on_as_another_one_of_the_same_point() {
    let mut rules = rules(2, Mix::InTurn, 3);
    rules.early_stopping = Some("halving".into());
    rules.budget.plateau = Some(Plateau { trial_count: 3, min_delta: 0.0 });
    let mut study = Study::new(rules);
    let report = |study: &mut Study, trial, step, value: f64, stop: Option<&str>| {
        let measurement = Measurement::new().with("accuracy", value);
        let stop = stop.map(str::to_owned);
        study.apply(&Record::Reported { trial, step, measurement, stop }).unwrap();
    };
    let first = ask(&mut study, 1, 1, &[7.0])[0];
    let promotion = |trial| Promotion { continued: trial, reason: "number 1 of 3".into() };
    assert!(study.promote("halving", &promotion(first)).unwrap_err().contains("has not been stopped"));
    report(&mut study, first, 1, 0.5, None);
    report(&mut study, first, 3, 0.6, Some("it waits"));
    assert!(!study.has_promotable());
    assert!(study.promote("halving", &promotion(first)).is_err(), "it has not ended");
    finish(&mut study, first, completed(0.6));
    assert_eq!(study.observation(first).unwrap().tag, Some(0));
    assert!(study.has_promotable());
    assert!(study.promote("halving", &promotion(TrialId(5))).unwrap_err().contains("never asked for"));

    let record = study.promote("halving", &promotion(first)).unwrap();
    let Record::Promoted { trial: AskedTrial { trial: second, .. }, .. } = record else {
        panic!("{record:?}")
    };
    // what does not fit changes nothing
    let other = |change: fn(&mut AskedTrial)| {
        let mut record = record.clone();
        if let Record::Promoted { trial, .. } = &mut record {
            change(trial);
        }
        record
    };
    for wrong in [other(|trial| trial.trial.0 += 1), other(|trial| trial.point = point(8.0))] {
        let before = format!("{study:?}");
        assert!(study.apply(&wrong).is_err());
        assert_eq!(format!("{study:?}"), before);
    }
    study.apply(&record).unwrap();
    assert_eq!(
        (second, study.trials().len(), study.point_count(), study.has_promotable()),
        (TrialId(1), 2, 1, false)
    );
    let reason = study.promote("halving", &promotion(first)).unwrap_err();
    assert_eq!(reason, "trial 0 is to go on, and trial 1 does that already");
    let trial = study.trial(second).unwrap().clone();
    assert_eq!((trial.member, &trial.point, trial.attempt, trial.outcome), (Some(1), &point(7.0), 1, None));
    let continuation = Continuation { continued: first, reason: "halving: number 1 of 3".into() };
    assert_eq!(trial.continuation, Some(continuation));
    assert_eq!(study.trial(first).unwrap().continued_by, Some(second));
    assert_eq!(study.pending().iter().map(|(trial, _)| trial).collect::<Vec<_>>(), [second]);
    assert_eq!(study.trial_seed(second), study.trial_seed(first));

    // it may go over the first steps again, which says nothing new
    assert!(!study.is_news(second, 3) && study.is_news(second, 4));
    report(&mut study, second, 2, 0.1, None);
    report(&mut study, second, 5, 0.7, None);
    report(&mut study, second, 9, 0.8, Some("it waits"));
    finish(&mut study, second, completed(0.8));
    let steps = |study: &Study, trial| -> Vec<u64> {
        study.trial(trial).unwrap().curve.points().iter().map(|point| point.step).collect()
    };
    assert_eq!((steps(&study, first), steps(&study, second)), (vec![1, 3], vec![1, 3, 5, 9]));

    // and once more: it is nobody's answer, and counts as a result of the one that proposed the point
    let record = study.promote("halving", &promotion(second)).unwrap();
    study.apply(&record).unwrap();
    let third = TrialId(2);
    assert_eq!((study.origin(third), study.trial_seed(third)), (first, study.trial_seed(first)));
    finish(&mut study, third, completed(0.9));
    let observation = study.observation(third).unwrap();
    assert_eq!((observation.tag, observation.trial), (None, third));
    assert_eq!(study.incumbent().trials().collect::<Vec<_>>(), [third]);
    assert_eq!(study.members()[1].improvement_count, 1);
    assert_eq!(study.members()[1].trial_count, 1, "it proposed one");

    // the budget is one of points; when it is used up, those that were stopped may still go on, but not beyond other limits
    for trial in ask(&mut study, 0, 2, &[1.0, 2.0]) {
        report(&mut study, trial, 1, 0.1, Some("it waits"));
        finish(&mut study, trial, completed(0.1));
    }
    assert_eq!(study.next(4, Duration::ZERO), Step::Stop(StopReason::TrialCount));
    assert_eq!(
        (study.room_for_more(4, Duration::ZERO), study.room_for_promotions(4, Duration::ZERO)),
        (0, 4)
    );
    let record = study.promote("halving", &promotion(TrialId(4))).unwrap();
    study.apply(&record).unwrap();
    assert_eq!(study.next(3, Duration::ZERO), Step::Wait);
    report(&mut study, TrialId(5), 3, 0.1, Some("it waits"));
    finish(&mut study, TrialId(5), completed(0.1));
    let record = study.promote("halving", &promotion(TrialId(3))).unwrap();
    study.apply(&record).unwrap();
    finish(&mut study, TrialId(6), completed(0.2));
    assert_eq!(
        study.room_for_promotions(4, Duration::ZERO),
        4,
        "two points brought nothing, and a plateau has three"
    );
    assert_eq!((study.point_count(), study.finished_point_count(), study.has_promotable()), (3, 3, true));
    study.rules.budget.target = Some(0.9);
    assert_eq!(study.room_for_promotions(4, Duration::ZERO), 0);
}

/// A repair takes out what cannot be read: a trial goes on whose stop is not on record any more.
#[test]
fn a_trial_goes_on_also_where_nobody_knows_what_became_of_the_one_before() {
    let mut study = Study::new(rules(1, Mix::InTurn, 2));
    let first = ask(&mut study, 0, 1, &[7.0])[0];
    let trial = AskedTrial { trial: TrialId(1), point: point(7.0), tag: 0, fidelity: None, prediction: None };
    let reason = "halving: number 1 of 3".to_owned();
    study.apply(&Record::Promoted { member: Some(0), trial, continued: first, reason }).unwrap();
    assert_eq!(
        (study.pending().iter().count(), study.point_count(), study.finished_point_count()),
        (2, 1, 0)
    );
    assert!(!study.has_promotable());
    finish(&mut study, TrialId(1), completed(0.5));
    finish(&mut study, first, Outcome::Failed { failure: Failure::Lost, reason: "it is gone".into() });
    ask(&mut study, 0, 1, &[8.0]);
    assert_eq!(study.trials().len(), 3);
}
