//! `fsck`, `repair` and `backup` on stores that were damaged on purpose.

use super::super::backup::beside;
use super::super::repair::{Locks, mend};
use super::*;

fn check_at(path: &Path) -> Checkup {
    SqliteStore::open_to_check(path, NetworkFolder::Allow).unwrap().0.check().unwrap()
}

fn repair_at(path: &Path) -> Repairs {
    repair(path, &RepairRules { now: 2e9, ..RepairRules::default() }, NetworkFolder::Allow).unwrap()
}

fn sql(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The bodies of a table, in order.
fn bodies(path: &Path, table: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let sql = format!("SELECT hex(body) FROM {table} ORDER BY study_id, number");
    let mut statement = connection.prepare(&sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_sound_store_is_sound_and_a_repair_leaves_it_alone() {
    let (folder, path, batches, study) = kept(20, 40);
    let checkup = check_at(&path);
    assert!(checkup.is_sound(), "{checkup:?}");
    let found = &checkup.studies[0];
    assert_eq!(found.entry_count, stored(&batches).len() as u64);
    assert_eq!((found.trial_count, found.finished_count), {
        (study.trials().len() as u64, study.finished_count() as u64)
    });
    let pending: Vec<u64> = study.pending().iter().map(|(trial, _)| trial.0).collect();
    assert!(!pending.is_empty(), "the test wants some");
    assert_eq!(found.orphans, pending, "nobody runs it, so nobody works on them");
    let before = fs::read(&path).unwrap();
    let repairs = repair_at(&path);
    assert_eq!((repairs.backup, repairs.done), (None, Vec::new()));
    assert_eq!(fs::read(&path).unwrap(), before);
    drop(folder);
}

#[test]
fn while_a_host_runs_a_study_its_trials_are_no_orphans_and_nothing_is_mended() {
    let (_folder, path, ..) = kept(20, 40);
    let store = store_at(&path);
    let journal = store.open_journal("kept").unwrap();
    let checkup = check_at(&path);
    let runner = checkup.studies[0].runner.as_deref();
    assert_eq!(runner, Some(format!("process {}", std::process::id()).as_str()));
    assert_eq!(checkup.studies[0].orphans, [0; 0]);
    sql(&path, "DROP TRIGGER record_is_never_changed");
    let refused = repair(&path, &RepairRules::default(), NetworkFolder::Allow);
    assert_eq!(kind_of(refused), JournalErrorKind::Locked);
    assert!(!beside(&path, ".before-repair-1").exists(), "and there is no copy of what nobody touched");
    drop(journal);
    assert_eq!(check_at(&path).studies[0].runner, None);
    assert_eq!(repair_at(&path).done, ["made the trigger record_is_never_changed anew"]);
}

#[test]
fn a_study_that_began_after_the_check_is_not_mended_while_it_is_run() {
    let (_folder, path, ..) = kept(20, 40);
    let store = store_at(&path);
    let journal = store.open_journal("kept").unwrap();
    let close = RepairRules { close_orphans: true, now: 2e9, ..RepairRules::default() };
    let mend_with = |locks: &mut Locks| mend(&path, &close, NetworkFolder::Allow, locks, &mut Vec::new());
    let before = bodies(&path, "record");
    assert_eq!(kind_of(mend_with(&mut Locks::new())), JournalErrorKind::Locked);
    assert_eq!(bodies(&path, "record"), before);
    drop(journal);
    let mut locks = Locks::new();
    mend_with(&mut locks).unwrap();
    mend_with(&mut locks).unwrap();
}

/// What can be wrong, the entry that is named, and a word of what the repair says.
const DAMAGES: &[(&str, Option<u64>, &str)] = &[
    ("DELETE FROM record WHERE number = 4", Some(4), "moved up"),
    ("DELETE FROM record WHERE number = 0", Some(0), "moved up"),
    ("INSERT OR REPLACE INTO record VALUES (1, 3, 0, 'dreamt', NULL, '{}')", Some(3), "entry 3"),
    ("INSERT OR REPLACE INTO record VALUES (1, 3, 0, 'finished', 0, '{\"trial\":0')", Some(3), "entry 3"),
    ("INSERT OR REPLACE INTO record VALUES (1, 3, 0, 'finished', 0, x'ff')", Some(3), "entry 3"),
    (
        "INSERT OR REPLACE INTO record SELECT 1, number, 'noon', kind, trial, body FROM record WHERE number = 5",
        Some(5),
        "entry 5",
    ),
    (
        "INSERT INTO record SELECT study_id, (SELECT max(number) + 1 FROM record), at, kind, trial, body
         FROM record WHERE kind = 'finished' LIMIT 1",
        None,
        "has ended already",
    ),
    (
        "INSERT OR REPLACE INTO record SELECT study_id, number, at, kind, trial + 1, body
         FROM record WHERE kind = 'finished' LIMIT 1",
        None,
        "the column trial",
    ),
    ("INSERT INTO record VALUES (77, 0, 0, 'closed', NULL, '{\"reason\":\"\"}')", None, "a study 77"),
    ("INSERT INTO record VALUES (1, -2, 0, 'closed', NULL, '{}')", None, "entry -2"),
    ("INSERT INTO record VALUES (1, 'two', 0, 'closed', NULL, '{}')", None, "its number is none"),
    ("DROP TRIGGER study_takes_all_with_it", None, "the trigger study_takes_all_with_it"),
    ("DROP VIEW trial; CREATE VIEW trial AS SELECT 1 AS one", None, "the view trial"),
    ("DELETE FROM member WHERE number = 1", None, "its lists"),
    ("UPDATE metric SET goal = 'maximise'", None, "its lists"),
];

#[test]
fn what_can_be_mended_is_mended_and_nothing_is_lost_without_a_trace() {
    for (damage, entry, word) in DAMAGES {
        let (_folder, path, ..) = kept(21, 60);
        sql(&path, damage);
        let checkup = check_at(&path);
        assert!(!checkup.is_sound(), "{damage}");
        if let Some(entry) = entry {
            let problem = checkup.studies[0].problems.first().expect(damage);
            assert_eq!(problem.entry, Some(*entry), "{damage}: {problem:?}");
            assert!(problem.message.contains(&format!("entry {entry}")), "{problem:?}");
        }
        let before = bodies(&path, "record");
        let repairs = repair_at(&path);
        assert!(repairs.after.is_sound(), "{damage}: {repairs:?}");
        assert!(repairs.done.iter().any(|line| line.contains(word)), "{damage}: {:?}", repairs.done);
        // what was there is here, or there
        let mut now = bodies(&path, "record");
        if repairs.after.quarantined_count > 0 {
            now.extend(bodies(&path, "quarantine"));
        }
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts
        };
        assert_eq!(sorted(now), sorted(before.clone()), "{damage}");
        assert_eq!(bodies(repairs.backup.as_ref().unwrap(), "record"), before, "the copy is as it was");
        // and it goes on
        let mut journal = store_at(&path).open_journal("kept").unwrap();
        journal.append(&[note(1)]).unwrap();
        assert!(check_at(&path).is_sound(), "{damage}");
        assert_eq!(repair_at_rest(journal, &path), 0, "{damage}: a second time there is nothing to do");
    }
}

fn repair_at_rest(journal: SqliteJournal, path: &Path) -> usize {
    drop(journal);
    repair_at(path).done.len()
}

#[test]
fn a_record_takes_with_it_what_does_not_fit_without_it_and_no_more() {
    let finished_of = |path: &Path| check_at(path).studies[0].finished_count;
    let (_folder, path, ..) = kept(22, 80);
    let whole = finished_of(&path);
    // the outcome of one trial: only that trial is open again
    let place = number(&path, "SELECT number FROM record WHERE kind = 'finished' LIMIT 1 OFFSET 3");
    sql(&path, &format!("INSERT OR REPLACE INTO record VALUES (1, {place}, 0, 'finished', 0, '')"));
    assert_eq!(repair_at(&path).after.quarantined_count, 1);
    assert_eq!(finished_of(&path), whole - 1);
    // the question for a trial: it, what came of it, and all later trials, whose numbers no longer follow
    let (_folder, path, ..) = kept(22, 80);
    let place = number(&path, "SELECT number FROM record WHERE kind = 'asked' LIMIT 1 OFFSET 4");
    sql(&path, &format!("DELETE FROM record WHERE number = {place}"));
    let repairs = repair_at(&path);
    assert!(repairs.after.is_sound(), "{repairs:?}");
    assert!(finished_of(&path) > 0 && finished_of(&path) < whole, "{repairs:?}");
}

#[test]
fn a_plan_that_makes_no_sense_is_beyond_repair_and_keeps_its_entries() {
    let (_folder, path, batches, _) = kept(23, 30);
    sql(&path, "UPDATE study SET plan = '{}'");
    let repairs = repair_at(&path);
    assert!(!repairs.after.is_sound());
    assert!(repairs.after.studies[0].problems[0].message.contains("the plan of study kept"));
    assert_eq!(repairs.after.studies[0].entry_count, stored(&batches).len() as u64);
}

#[test]
fn a_study_whose_name_is_no_text_stays_as_it_is_and_others_are_mended() {
    let (_folder, path, ..) = kept(23, 30);
    drop(store_at(&path).create(header("other")).unwrap());
    sql(&path, "UPDATE study SET name = CAST(x'6bff' AS TEXT) WHERE name = 'kept'");
    sql(&path, "UPDATE metric SET goal = 'maximise'");
    let repairs = repair_at(&path);
    assert!(repairs.done[0].contains("study other: wrote its lists"), "{repairs:?}");
    let [nameless, other] = &repairs.after.studies[..] else { panic!("{repairs:?}") };
    assert!(
        nameless.problems[0].message.contains("is not UTF-8") && nameless.entry_count > 0,
        "{nameless:?}"
    );
    assert_eq!(other.problems, []);
}

#[test]
fn a_newer_store_is_left_alone() {
    let (_folder, path, ..) = kept(24, 10);
    sql(&path, &format!("PRAGMA user_version = {}", SCHEMA_VERSION + 1));
    assert_eq!(
        kind_of(repair(&path, &RepairRules::default(), NetworkFolder::Allow)),
        JournalErrorKind::Newer
    );
}

#[test]
fn orphans_are_ended_as_lost_where_the_study_or_the_user_says_so() {
    let close = RepairRules { close_orphans: true, now: 2e9, ..RepairRules::default() };
    let failing = "UPDATE study SET plan = json_set(plan, '$.run.on_interrupt', 'fail')";
    for (statement, rules) in [("", close.clone()), (failing, RepairRules::default())] {
        let (_folder, path, _, study) = kept(20, 40);
        sql(&path, statement);
        let orphans = check_at(&path).studies[0].orphans.clone();
        let repairs = repair(&path, &rules, NetworkFolder::Allow).unwrap();
        assert_eq!(repairs.after.studies[0].orphans, [0; 0]);
        assert!(repairs.done[0].contains("ended"), "{repairs:?}");
        let entries = all(&*store_at(&path).read("kept").unwrap());
        // a session runs until its last entry: mending it years later must not make it run for years
        assert!(entries.iter().all(|stored| stored.at < 1.9e9), "{:?}", entries.last());
        let after = replay(&entries);
        assert_eq!(after.finished_count(), study.trials().len(), "every trial has ended, once");
        for trial in orphans {
            let outcome = after.trial(TrialId(trial)).unwrap().outcome.clone().unwrap();
            assert!(matches!(outcome, Outcome::Failed { failure: Failure::Lost, .. }), "{outcome:?}");
        }
    }
}

#[test]
fn a_trial_whose_outcome_was_taken_out_is_lost_for_that_reason() {
    let (_folder, path, ..) = kept(20, 40);
    let orphan = check_at(&path).studies[0].orphans[0];
    let place = number(&path, "SELECT number FROM record WHERE kind = 'finished' LIMIT 1");
    let trial = number(&path, "SELECT trial FROM record WHERE kind = 'finished' LIMIT 1");
    sql(&path, &format!("INSERT OR REPLACE INTO record VALUES (1, {place}, 0, 'finished', {trial}, '')"));
    let close = RepairRules { close_orphans: true, now: 2e9, ..RepairRules::default() };
    repair(&path, &close, NetworkFolder::Allow).unwrap();
    let after = replay(&all(&*store_at(&path).read("kept").unwrap()));
    for (trial, word) in [(trial as u64, "taken out by a repair"), (orphan, "the host ended")] {
        let outcome = after.trial(TrialId(trial)).unwrap().outcome.clone();
        let Some(Outcome::Failed { reason, .. }) = &outcome else { panic!("{outcome:?}") };
        assert!(reason.contains(word), "{trial}: {reason}");
    }
}

#[test]
fn orphans_stay_while_what_came_of_them_may_be_on_the_board() {
    let (_folder, path, ..) = kept(20, 40);
    let board = beside(&path, ".board");
    sql(&board, "CREATE TABLE board_assignment (study TEXT); INSERT INTO board_assignment VALUES ('kept')");
    let before = check_at(&path).studies.remove(0);
    assert!(before.is_on_board && !before.orphans.is_empty(), "{before:?}");
    let close = RepairRules { close_orphans: true, now: 2e9, ..RepairRules::default() };
    let refused = repair(&path, &close, NetworkFolder::Allow).unwrap_err();
    assert!(refused.message.contains("--on board") && refused.message.contains("kept"), "{refused}");
    assert!(!beside(&path, ".before-repair-1").exists());
    sql(&path, "UPDATE study SET plan = json_set(plan, '$.run.on_interrupt', 'fail')");
    assert_eq!(repair_at(&path).backup, None);
    sql(&path, "DROP TRIGGER record_is_never_changed");
    let repairs = repair_at(&path);
    assert!(repairs.done.iter().any(|line| line.contains("--on board")), "{repairs:?}");
    assert_eq!(repairs.after.studies[0].orphans, before.orphans);
    // of another study
    sql(&board, "UPDATE board_assignment SET study = 'other'");
    assert_eq!(repair(&path, &close, NetworkFolder::Allow).unwrap().after.studies[0].orphans, [0; 0]);
}

#[test]
fn with_a_window_orphans_are_ended_in_turn() {
    // where the budget has grown, another trial is asked for before the second one counts
    for (trial_count, finished_count) in [(4, 4), (8, 1)] {
        end_in_turn(trial_count, finished_count);
    }
}

fn end_in_turn(trial_count: u64, finished_count: u64) {
    let (_folder, path) = fresh();
    let mut header = header("kept");
    header.plan.rules.window = Some(4);
    header.plan.rules.budget.trial_count = Some(4);
    let mut plan = header.plan.clone();
    plan.rules.budget.trial_count = Some(trial_count);
    let mut study = Study::new(header.plan.rules.clone());
    let mut rng = Rng::new(1);
    let suggestions = (0..4).map(|_| Suggestion {
        point: study.rules().problem.space.sample(&mut rng).unwrap(),
        tag: 0,
        fidelity: Some(1.0),
        prediction: None,
    });
    let trials = study.admit(4, suggestions.collect()).unwrap();
    let mut records = vec![Record::Asked { member: 0, count: 4, trials, is_exhausted: false }];
    study.apply(&records[0]).unwrap();
    let outcome = Outcome::Completed { measurement: Measurement::new().with("loss", 0.5) };
    // 2 has ended and waits for 0 and 1, which were lost, as was 3
    records.push(Record::Arrived { trial: TrialId(2), outcome, duration: Duration::ZERO, reused: None });
    let mut journal = store_at(&path).create(header).unwrap();
    let stamp = |record| Stamped { at: 1.0, entry: Entry::Study(record) };
    journal.append(&records.into_iter().map(stamp).collect::<Vec<_>>()).unwrap();
    let opened = Opened {
        host_version: String::new(),
        process_id: None,
        elapsed_before: Duration::ZERO,
        plugins: Vec::new(),
        plan: Some(Box::new(plan)),
        manifest: None,
    };
    journal.append(&[Stamped { at: 2.0, entry: Entry::Opened(opened) }]).unwrap();
    drop(journal);
    assert_eq!(check_at(&path).studies[0].orphans, [0, 1, 3]);
    let close = RepairRules { close_orphans: true, now: 2.0, ..RepairRules::default() };
    let after = repair(&path, &close, NetworkFolder::Allow).unwrap().after;
    assert!(after.is_sound(), "{after:?}");
    assert_eq!(after.studies[0].orphans, [0; 0]);
    assert_eq!(after.studies[0].finished_count, finished_count);
}

#[test]
fn a_file_that_cannot_be_read_everywhere_is_saved_as_far_as_it_can_be() {
    let (folder, path, batches, _) = kept(25, 1200);
    let whole = fs::read(&path).unwrap();
    let all_bodies = bodies(&path, "record");
    let broken = folder.path().join("broken.db");
    let mut dice = Dice(3);
    let (mut mended, mut saved) = (0, 0);
    for round in 0..20 {
        let mut bytes = whole.clone();
        if round % 4 == 0 {
            bytes.truncate(bytes.len() - dice.below(whole.len() as u64 / 2) as usize);
        } else {
            // not the first pages, which hold the schema: without it a database is none
            let first = 12 * 4096;
            let start = first + dice.below((whole.len() - first) as u64 - 5000) as usize;
            bytes[start..start + 5000].fill(dice.bits() as u8);
        }
        fs::write(&broken, &bytes).unwrap();
        let rules = RepairRules { now: 2e9, ..RepairRules::default() };
        if let Ok(repairs) = repair(&broken, &rules, NetworkFolder::Allow) {
            mended += usize::from(repairs.after.is_sound());
            let kept = bodies(&broken, "record");
            saved += usize::from(kept.len() > batches.len() / 10);
            assert!(
                kept.iter().all(|body| all_bodies.contains(body)) || round % 4 != 0,
                "nothing is made up"
            );
        }
        for file in fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap().path();
            if file.file_name().unwrap().to_string_lossy().starts_with("broken.db") {
                fs::remove_file(file).unwrap();
            }
        }
    }
    assert!(mended >= 15, "{mended} of 20");
    assert!(saved >= 10, "{saved} of 20");
}

#[test]
fn what_an_earlier_repair_took_out_is_saved_as_well_and_what_is_enqueued() {
    let (_folder, path, ..) = kept(25, 1200);
    let point = plan("any").rules.problem.space.sample(&mut Rng::new(0)).unwrap();
    let queued =
        [3, 1].map(|ticket| Queued { ticket, point: EnqueuedPoint { point: point.clone(), fidelity: None } });
    store_at(&path).enqueue("kept", 1e9, &queued).unwrap();
    sql(
        &path,
        "INSERT OR REPLACE INTO record
         SELECT study_id, number, at, kind, trial, 'torn' FROM record WHERE kind = 'reported' LIMIT 1",
    );
    assert_eq!(repair_at(&path).after.quarantined_count, 1);
    let torn = bodies(&path, "quarantine");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 5000].fill(7);
    fs::write(&path, bytes).unwrap();
    let repairs = repair_at(&path);
    assert!(repairs.done[0].starts_with("saved 1 studies"), "{repairs:?}");
    assert!(repairs.done[0].contains("tables that are not of ansatz"), "{repairs:?}");
    assert_eq!(bodies(&path, "quarantine").iter().filter(|body| **body == torn[0]).count(), 1);
    assert_eq!(
        reader_at(&path).unwrap().read("kept").unwrap().queue().unwrap(),
        queued.each_ref().map(waiting)
    );
}

#[test]
fn a_copy_of_a_store_that_is_being_written_holds_whole_batches() {
    let (folder, path) = fresh();
    let store = store_at(&path);
    let mut journal = store.create_journal(header("written")).unwrap();
    let written = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                journal.append(&(number..number + 7).map(note).collect::<Vec<_>>()).unwrap();
                number += 7;
                written.store(number, Ordering::Release);
            }
        });
        let reader = reader_at(&path).unwrap();
        for round in 0..20 {
            while written.load(Ordering::Acquire) < 7 * (round + 1) {
                std::thread::yield_now();
            }
            let acknowledged = written.load(Ordering::Acquire);
            let to = folder.path().join(format!("copy-{round}.db"));
            let copied = reader.backup(&to, Existing::Keep).unwrap();
            assert!(copied.is_sound && copied.path == to);
            let copy = reader_at(&to).unwrap();
            let count = copy.read("written").unwrap().entry_count().unwrap();
            assert!(count >= acknowledged && count.is_multiple_of(7), "{count} entries of {acknowledged}");
            assert_eq!(copy.integrity_check(), Ok(Vec::new()));
        }
        done.store(true, Ordering::Relaxed);
    });
    let partials = fs::read_dir(folder.path()).unwrap();
    assert!(partials.flatten().all(|file| !file.file_name().to_string_lossy().contains("partial")));
}

#[test]
fn a_copy_overwrites_nothing_unless_it_is_told_to() {
    let (folder, path, ..) = kept(26, 20);
    let store = reader_at(&path).unwrap();
    let to = folder.path().join("taken");
    fs::write(&to, "precious").unwrap();
    assert_eq!(kind_of(store.backup(&to, Existing::Keep)), JournalErrorKind::Exists);
    assert_eq!(fs::read(&to).unwrap(), b"precious");
    let (_folder, damaged, ..) = kept(26, 20);
    sql(&damaged, "DROP TRIGGER record_is_never_changed");
    let refused = crate::commands::store::repair(&damaged, Some(to.clone()), false).unwrap_err();
    assert!(
        matches!(&refused, crate::error::Error::Usage(message) if !message.contains("--overwrite")),
        "{refused:?}"
    );
    assert_eq!(kind_of(store.backup(&path, Existing::Keep)), JournalErrorKind::Exists);
    store.backup(&to, Existing::Replace).unwrap();
    assert!(check_at(&to).is_sound());
    // a log that lies there would be applied to the copy
    let beside_log = folder.path().join("logged");
    fs::write(folder.path().join("logged-wal"), "").unwrap();
    for existing in [Existing::Keep, Existing::Replace] {
        assert_eq!(kind_of(store.backup(&beside_log, existing)), JournalErrorKind::Exists);
    }
    let nowhere = folder.path().join("no/such/folder/copy.db");
    assert_eq!(kind_of(store.backup(&nowhere, Existing::Keep)), JournalErrorKind::Access);
}

/// Of a trial that was stopped and goes on, the stop is lost; the one that continues it, and all after it, are kept.
#[test]
fn a_trial_that_goes_on_is_kept_where_nobody_knows_how_the_one_before_ended() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ansatz.db");
    Connection::open(&path).unwrap().execute_batch(golden::VERSION_6).unwrap();
    let store = store_at(&path);
    let mut journal = store.open("golden").unwrap();
    let mut study = crate::session::read_one(&store, "golden", |_, _| {}).unwrap().study;
    let stopped = study.trials().iter().find(|trial| trial.early_stop.is_some()).unwrap().id;
    let promotion = Promotion { continued: stopped, reason: "it is better than it seemed".into() };
    let outcome =
        study.trials().iter().find_map(|trial| trial.outcome.clone().filter(|o| o.completed().is_some()));
    let end = |trial| Record::Finished {
        trial,
        outcome: outcome.clone().unwrap(),
        duration: Duration::ZERO,
        reused: None,
    };
    let goes_on = study.promote("halving", &promotion).unwrap();
    let mut take = |record: Record| {
        study.apply(&record).unwrap();
        journal.append(&[Stamped { at: 2e9, entry: Entry::Study(record) }]).unwrap();
        study.clone()
    };
    take(goes_on);
    let study = take(end(TrialId(5)));
    let suggestion = Suggestion::new(study.trials()[0].point.clone());
    let trials = study.admit(1, vec![suggestion]).unwrap();
    take(Record::Asked { member: 0, count: 1, trials, is_exhausted: false });
    let whole = take(end(TrialId(6)));
    drop(journal);
    let spoil = format!("UPDATE record SET body = '{{' WHERE kind = 'finished' AND trial = {}", stopped.0);
    sql(&path, &format!("DROP TRIGGER record_is_never_changed; {spoil}"));
    let repairs = repair_at(&path);
    let kept = crate::session::read_one(&store_at(&path), "golden", |_, _| {}).unwrap().study;
    assert_eq!((kept.trials().len(), kept.point_count()), (7, 6), "{repairs:?}");
    for (kept, before) in kept.trials().iter().zip(whole.trials()) {
        if kept.id == stopped {
            assert_eq!((kept.outcome.as_ref(), kept.continued_by), (None, Some(TrialId(5))));
        } else {
            assert_eq!((&kept.outcome, &kept.continuation), (&before.outcome, &before.continuation));
        }
    }
}
