//! A disk that fails under the journal at each of its operations, one after the other: what was acknowledged is there
//! afterwards, a batch is there as a whole or not at all, and the study goes on to the same end.

use ansatz_cli::journal::{
    Entry, Journal, JournalError, JournalErrorKind, NetworkFolder, SqliteStore, Stamped, Store, StudyHeader,
};
use ansatz_cli::manifest::Manifest;
use ansatz_cli::plan::Sync;
use ansatz_core::rng::Rng;
use ansatz_core::study::{Record, Study};
use ansatz_core::{Measurement, Outcome, Suggestion};
use ansatz_fault_failing_disk::{Disk, Mishap, Operation};
use ansatz_tests::slow_tests_run;
use rand::RngExt;
use std::path::Path;
use std::time::Duration;

const MANIFEST: &str = r#"
study = { name = "written", seed = 3 }
metrics = { value = "minimise" }
space = { x = { float = [-5.0, 10.0] }, y = { int = [0, 15] } }
strategy = [{ plugin = "random" }]
budget = { trials = 1000 }
"#;

/// After so many batches the journal is closed, and opened again for the others.
const FIRST_BATCHES: usize = 4;

fn header() -> StudyHeader {
    let plan = Manifest::parse(MANIFEST.to_owned(), Path::new("study.toml"), &[]).unwrap().plan().unwrap();
    StudyHeader { plan, manifest: MANIFEST.to_owned(), created_at: 1.7e9 }
}

/// Batches that make sense one after the other, some of them larger than a page.
fn batches() -> Vec<Vec<Stamped>> {
    let mut study = Study::new(header().plan.rules);
    let mut rng = Rng::new(8);
    let mut batches = Vec::new();
    for number in 0..7 {
        let suggestions = (0..2).map(|_| Suggestion {
            point: study.rules().problem.space.sample(&mut rng).unwrap(),
            tag: 0,
            fidelity: None,
            prediction: None,
        });
        let trials = study.admit(2, suggestions.collect()).unwrap();
        let ids: Vec<_> = trials.iter().map(|trial| trial.trial).collect();
        let mut records = vec![Record::Asked { member: 0, count: 2, trials, is_exhausted: false }];
        for trial in ids {
            let outcome = if number % 3 == 1 {
                Outcome::Infeasible { reason: "much too long ".repeat(900) }
            } else {
                Outcome::Completed { measurement: Measurement::new().with("value", trial.0 as f64) }
            };
            records.push(Record::Finished {
                trial,
                outcome,
                duration: Duration::from_nanos(7),
                reused: None,
            });
        }
        for record in &records {
            study.apply(record).unwrap();
        }
        let stamp = |record| Stamped { at: 1.7e9 + f64::from(number), entry: Entry::Study(record) };
        batches.push(records.into_iter().map(stamp).collect());
    }
    batches
}

/// How far the journal got.
#[derive(Debug, Default)]
struct Progress {
    is_created: bool,
    acknowledged: usize,
}

fn write(
    path: &Path,
    sync: Sync,
    batches: &[Vec<Stamped>],
    progress: &mut Progress,
) -> Result<(), JournalError> {
    let store = SqliteStore::open(path, sync, NetworkFolder::Allow)?;
    let mut journal = store.create(header())?;
    progress.is_created = true;
    for batch in &batches[..FIRST_BATCHES] {
        journal.append(batch)?;
        progress.acknowledged += 1;
    }
    journal.close()?;
    drop(store);
    let store = SqliteStore::open(path, sync, NetworkFolder::Allow)?;
    let mut journal = store.open("written")?;
    for batch in &batches[FIRST_BATCHES..] {
        journal.append(batch)?;
        progress.acknowledged += 1;
    }
    journal.close()
}

/// Checks what is left, and goes on to the end. Gives how many batches were there.
#[track_caller]
fn go_on(path: &Path, batches: &[Vec<Stamped>], case: &str) -> usize {
    let store = SqliteStore::open(path, Sync::Off, NetworkFolder::Allow)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    let problems = store.integrity_check().unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(problems, Vec::<String>::new(), "{case}");
    let mut journal = match store.open("written") {
        Err(error) if error.kind == JournalErrorKind::Missing => store.create(header()),
        other => other,
    }
    .unwrap_or_else(|error| panic!("{case}: {error}"));
    let entries = |journal: &dyn Journal| -> Vec<Stamped> {
        let entries = journal.entries(0).map(|stored| stored.unwrap());
        entries.map(|stored| Stamped { at: stored.at, entry: stored.entry }).collect()
    };
    let found = entries(&*journal);
    let sizes = batches.iter().scan(0, |size, batch| {
        *size += batch.len();
        Some(*size)
    });
    let sizes: Vec<usize> = std::iter::once(0).chain(sizes).collect();
    let count = sizes.iter().position(|size| *size == found.len());
    let count = count.unwrap_or_else(|| panic!("{case}: {} entries are no whole batches", found.len()));
    assert_eq!(found, batches[..count].concat(), "{case}");
    for batch in &batches[count..] {
        journal.append(batch).unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    assert_eq!(entries(&*journal), batches.concat(), "{case}");
    journal.close().unwrap();
    count
}

/// Lets each operation in turn go wrong: in the fast tests one of so many. Gives what was hit.
fn at_each_operation(mishap: Mishap, sync: Sync, stride: usize) -> Vec<(Operation, JournalErrorKind)> {
    let batches = batches();
    let stride = if slow_tests_run() { 1 } else { stride };
    let mut hits = Vec::new();
    let mut rng = Rng::new(11);
    for at in (0..).step_by(stride) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ansatz.db");
        let disk = Disk::watch(folder.path(), mishap, at);
        let mut progress = Progress::default();
        let result = write(&path, sync, &batches, &mut progress);
        let hit = disk.hit();
        if mishap == Mishap::PowerCut {
            disk.lose_what_was_not_flushed(|limit| rng.random_range(0..limit)).unwrap();
            // memory, of which a power cut leaves nothing
            let _ = std::fs::remove_file(folder.path().join("ansatz.db-shm"));
        }
        drop(disk);
        let case = format!("{mishap:?} at operation {at} ({hit:?}), {sync:?}: {progress:?}, {result:?}");
        match (&result, hit) {
            (Ok(()), None) => break,
            (Err(error), None) => panic!("{case}: nothing was hit, and yet {error}"),
            // a mishap that does no harm, such as to the log when everything is in the file already
            (Ok(()), Some(_)) => {}
            (Err(error), Some(operation)) => {
                hits.push((operation, error.kind));
                assert!(error.message.contains("ansatz.db"), "{case}: where?");
            }
        }
        let count = go_on(&path, &batches, &case);
        assert!(sync == Sync::Off || count >= progress.acknowledged, "what was acknowledged is lost: {case}");
        assert!(count <= progress.acknowledged + 1, "{case}: {count}");
        // what is said of a full disk is that nothing of the batch was written
        if let Err(JournalError { kind: JournalErrorKind::Full, .. }) = result {
            assert_eq!(count, progress.acknowledged, "{case}");
        }
        println!("{case}: {count} batches are left");
    }
    hits
}

/// Checks what the errors were called.
#[track_caller]
fn expect_kinds(hits: &[(Operation, JournalErrorKind)], kinds: &[JournalErrorKind]) {
    assert!(!hits.is_empty());
    for (operation, kind) in hits {
        assert!(kinds.contains(kind), "{operation:?}: {kind:?}");
    }
}

#[test]
fn a_full_disk_at_each_operation() {
    use JournalErrorKind::{Access, Full, Io};
    let hits = at_each_operation(Mishap::Full, Sync::Full, 3);
    expect_kinds(&hits, &[Full, Io, Access]);
    let full = hits.iter().filter(|(operation, kind)| (*operation, *kind) == (Operation::Write, Full));
    assert!(full.count() > 5, "{hits:?}");
}

#[test]
fn half_of_a_write_at_each_operation() {
    use JournalErrorKind::{Access, Full, Io};
    expect_kinds(&at_each_operation(Mishap::ShortWrite, Sync::Full, 3), &[Full, Io, Access]);
}

#[test]
fn an_error_at_each_operation() {
    use JournalErrorKind::{Access, Io};
    expect_kinds(&at_each_operation(Mishap::Error, Sync::Full, 3), &[Io, Access]);
}

#[test]
fn a_disk_that_breaks_at_each_operation() {
    use JournalErrorKind::{Access, Io};
    expect_kinds(&at_each_operation(Mishap::Broken, Sync::Full, 3), &[Io, Access]);
}

#[test]
fn a_disk_that_becomes_read_only_at_each_operation() {
    use JournalErrorKind::{Access, Io};
    expect_kinds(&at_each_operation(Mishap::ReadOnly, Sync::Full, 3), &[Io, Access]);
}

#[test]
fn a_power_cut_at_each_operation() {
    for sync in [Sync::Full, Sync::Off] {
        let hits = at_each_operation(Mishap::PowerCut, sync, 2);
        assert!(hits.iter().any(|(operation, _)| *operation == Operation::Write), "{hits:?}");
    }
}
