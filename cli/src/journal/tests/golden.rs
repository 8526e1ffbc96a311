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
    let broke = Record::EarlyStoppingBroke { remedy: Remedy::Renew, reason: "it is new".into() };
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
