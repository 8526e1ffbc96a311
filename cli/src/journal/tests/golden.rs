//! Journals as released versions wrote them are read by every later one.

use super::*;

/// Three trials of two steps each, as a host of schema version 3 wrote them.
const VERSION_3: &str = include_str!("../../../../tests/golden/journal-3.sql");

#[test]
fn a_journal_of_version_3_is_brought_forward_and_goes_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ansatz.db");
    Connection::open(&path).unwrap().execute_batch(VERSION_3).unwrap();
    let error = reader_at(&path).err().unwrap();
    assert!(error.message.contains("version 3"), "{error}");

    let store = store_at(&path);
    let mut journal = store.open("golden").unwrap();
    assert_eq!(store.integrity_check().unwrap(), [] as [String; 0]);
    let plan = journal.header().plan.clone();
    assert_eq!((plan.early_stopping, plan.rules.early_stopping.clone()), (None, None));
    let mut study = Study::new(plan.rules);
    let entries = all(&*journal);
    let mut reports = 0;
    for stored in &entries {
        let Entry::Study(record) = &stored.entry else { continue };
        if let Record::Reported { stop, .. } = record {
            assert_eq!(*stop, None);
            reports += 1;
        }
        study.apply(record).unwrap();
    }
    assert_eq!((reports, study.trials().len(), study.finished_count()), (6, 3, 3));
    assert!(study.trials().iter().all(|trial| trial.last_step == Some(2) && trial.early_stop.is_none()));

    // what only the new version has can be added
    let broke =
        Record::EarlyStoppingBroke { remedy: Remedy::Renew, reason: "it is new".into(), when_asked: false };
    let new = Stamped { at: 2e9, entry: Entry::Study(broke.clone()) };
    journal.append(&[new]).unwrap();
    drop(journal);
    let again = reader_at(&path).unwrap().read("golden").unwrap();
    assert_eq!(all(&*again).last().map(|stored| stored.entry.clone()), Some(Entry::Study(broke)));
    let stock = Connection::open(&path).unwrap();
    let stops: i64 = stock.query_row("SELECT count(stop) FROM report", [], |row| row.get(0)).unwrap();
    assert_eq!(stops, 0, "the views are those of the new version");
}

/// Five trials of two steps, three of which a rule ended early, as a host of schema version 4 wrote them.
const VERSION_4: &str = include_str!("../../../../tests/golden/journal-4.sql");

#[test]
fn a_journal_of_version_4_is_brought_forward_and_may_keep_a_digest() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ansatz.db");
    Connection::open(&path).unwrap().execute_batch(VERSION_4).unwrap();
    assert!(reader_at(&path).err().unwrap().message.contains("version 4"));

    let store = store_at(&path);
    let mut journal = store.open("golden").unwrap();
    assert_eq!(store.integrity_check().unwrap(), [] as [String; 0]);
    let study = crate::session::read_one(&store, "golden", |_, _| {}).unwrap().study;
    let stopped = study.trials().iter().filter(|trial| trial.early_stop.is_some()).count();
    assert_eq!((study.trials().len(), study.finished_count(), stopped), (5, 5, 3));

    assert_eq!(journal.digest().unwrap(), None);
    journal.keep_digest(2e9, "in short").unwrap();
    let kept = reader_at(&path).unwrap().read("golden").unwrap().digest().unwrap().unwrap();
    assert_eq!((kept.entry_count, kept.body.as_str()), (journal.entry_count().unwrap(), "in short"));
}

/// Six trials of two strategies, as a host of schema version 5 wrote them.
const VERSION_5: &str = include_str!("../../../../tests/golden/journal-5.sql");

#[test]
fn a_journal_of_version_5_is_brought_forward_and_has_a_queue() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ansatz.db");
    Connection::open(&path).unwrap().execute_batch(VERSION_5).unwrap();
    assert!(reader_at(&path).err().unwrap().message.contains("version 5"));

    let store = store_at(&path);
    assert_eq!(store.integrity_check().unwrap(), [] as [String; 0]);
    let read = crate::session::read_one(&store, "golden", |_, _| {}).unwrap();
    let StudyRules { enqueued, problem, .. } = &read.plan.rules;
    assert_eq!((enqueued.len(), read.plan.transfers.len(), read.study.sources()), (0, 0, &[][..]));
    let proposers: Vec<_> = read.study.trials().iter().map(|trial| trial.member).collect();
    assert_eq!(proposers, [0, 1, 0, 1, 0, 1].map(Some));

    let mut journal = store.open("golden").unwrap();
    assert_eq!(journal.queue().unwrap(), []);
    let point = EnqueuedPoint { point: problem.space.sample(&mut Rng::new(0)).unwrap(), fidelity: None };
    let queued = Queued { ticket: 77, point };
    store.enqueue("golden", 2e9, std::slice::from_ref(&queued)).unwrap();
    assert_eq!(journal.queue().unwrap(), [waiting(&queued)]);
    let taken = read.study.take_enqueued(77, &queued.point).unwrap().unwrap();
    journal.append(&[Stamped { at: 2e9, entry: Entry::Study(taken) }]).unwrap();
    journal.dequeue(&[77]).unwrap();
    assert_eq!(journal.queue().unwrap(), []);
    let stock = Connection::open(&path).unwrap();
    let last = "SELECT strategy FROM trial ORDER BY trial DESC LIMIT 1";
    let strategy: String = stock.query_row(last, [], |row| row.get(0)).unwrap();
    assert_eq!(strategy, "enqueued");
}

/// Five trials, one of them enqueued and three of which a rule ended early, as a host of schema version 6 wrote them.
pub(super) const VERSION_6: &str = include_str!("../../../../tests/golden/journal-6.sql");

#[test]
fn a_journal_of_version_6_is_brought_forward_and_stopped_trials_may_go_on() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ansatz.db");
    Connection::open(&path).unwrap().execute_batch(VERSION_6).unwrap();
    assert!(reader_at(&path).err().unwrap().message.contains("version 6"));

    let store = store_at(&path);
    let mut journal = store.open("golden").unwrap();
    assert_eq!(store.integrity_check().unwrap(), [] as [String; 0]);
    let study = crate::session::read_one(&store, "golden", |_, _| {}).unwrap().study;
    assert!(study.trials().iter().all(|trial| trial.continuation.is_none() && trial.continued_by.is_none()));
    assert_eq!((study.point_count(), study.enqueued_count(), study.has_promotable()), (5, 1, true));

    let stopped = study.trials().iter().find(|trial| trial.early_stop.is_some()).unwrap().id;
    let promotion = Promotion { continued: stopped, reason: "it is better than it seemed".into() };
    let record = study.promote("halving", &promotion).unwrap();
    journal.append(&[Stamped { at: 2e9, entry: Entry::Study(record) }]).unwrap();
    let again = crate::session::read_one(&reader_at(&path).unwrap(), "golden", |_, _| {}).unwrap().study;
    assert_eq!((again.trials().len(), again.point_count()), (6, 5));
    let stock = Connection::open(&path).unwrap();
    let last = "SELECT continued, strategy, state FROM trial ORDER BY trial DESC LIMIT 1";
    let row: (i64, String, String) =
        stock.query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert_eq!(row, (stopped.0 as i64, again.proposer(&again.trials()[5]), "pending".to_owned()));
}
