//! What every store does, whatever it stores in: the same tests on SQLite and on PostgreSQL.

use super::server;
use super::*;
use crate::journal::{PostgresStore, ServerUrl};

/// A store of one kind, fresh for one test.
enum Kept {
    Sqlite { _folder: TempDir, path: PathBuf },
    Postgres { server: &'static server::PostgresServer, url: ServerUrl },
}

impl Kept {
    fn store(&self) -> Box<dyn Store> {
        match self {
            Kept::Sqlite { path, .. } => Box::new(store_at(path)),
            Kept::Postgres { url, .. } => Box::new(PostgresStore::open(url, Sync::Full).unwrap()),
        }
    }

    fn reader(&self) -> Result<Box<dyn Store>, JournalError> {
        Ok(match self {
            Kept::Sqlite { path, .. } => Box::new(reader_at(path)?),
            Kept::Postgres { url, .. } => Box::new(PostgresStore::open_read_only(url)?),
        })
    }

    /// A statement by somebody else; what it says of errors.
    fn sql(&self, sql: &str) {
        match self {
            Kept::Sqlite { path, .. } => Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            Kept::Postgres { server, url } => {
                server.sql(&url.to_string(), &format!("SET search_path = ansatz; {sql}"));
            }
        }
    }

    fn is_server(&self) -> bool {
        matches!(self, Kept::Postgres { .. })
    }

    /// A closed study.
    fn with_study(&self, name: &str, seed: u64, step_count: usize) -> (Vec<Vec<Stamped>>, Study) {
        let (batches, study) = life(seed, step_count);
        let mut journal = self.store().create(header(name)).unwrap();
        for batch in &batches {
            journal.append(batch).unwrap();
        }
        journal.close().unwrap();
        (batches, study)
    }
}

/// Runs a test on each kind of store.
fn on_each_store(test: impl Fn(&Kept)) {
    let (folder, path) = fresh();
    test(&Kept::Sqlite { _folder: folder, path });
    if let Some(server) = server::shared() {
        let url = ServerUrl::try_from(server.database()).unwrap();
        test(&Kept::Postgres { server, url });
    }
}

#[test]
fn what_was_appended_is_read_back() {
    on_each_store(|kept| {
        for seed in 0..20 {
            let name = format!("study {seed}");
            let (batches, study) = kept.with_study(&name, seed, 60);
            let expected = stored(&batches);
            for journal in [kept.store().open(&name).unwrap(), kept.reader().unwrap().read(&name).unwrap()] {
                assert_eq!(journal.header(), &header(&name));
                assert_eq!(journal.entry_count().unwrap(), expected.len() as u64);
                let found = all(&*journal);
                assert_eq!(found, expected);
                let again = replay(&found);
                assert_eq!(again.trials(), study.trials());
                assert_eq!(again.members(), study.members());
            }
        }
        assert_eq!(kept.store().integrity_check().unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_journal_goes_on_where_it_ended() {
    on_each_store(|kept| {
        let (batches, _) = kept.with_study("kept", 3, 40);
        let before = stored(&batches);
        let mut journal = kept.store().open("kept").unwrap();
        journal.append(&[]).unwrap();
        journal.append(&[note(1), note(2)]).unwrap();
        journal.append(&[note(3)]).unwrap();
        let found = all(&*journal);
        assert_eq!(found[..before.len()], before);
        let numbers: Vec<u64> = found.iter().map(|stored| stored.number).collect();
        assert_eq!(numbers, (0..before.len() as u64 + 3).collect::<Vec<_>>());
        assert_eq!(found.last().unwrap().entry, note(3).entry);
    });
}

#[test]
fn reading_may_begin_anywhere() {
    on_each_store(|kept| {
        let mut journal = kept.store().create(header("long")).unwrap();
        let notes: Vec<Stamped> = (0..1000).map(note).collect();
        journal.append(&notes).unwrap();
        for from in [0, 1, 255, 256, 257, 511, 512, 744, 999, 1000, 1001, u64::MAX] {
            let numbers: Vec<u64> = journal.entries(from).map(|stored| stored.unwrap().number).collect();
            assert_eq!(numbers, (from..1000).collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_store_lists_its_studies() {
    on_each_store(|kept| {
        let store = kept.store();
        assert_eq!(store.studies().unwrap(), []);
        let mut first = store.create(header("b")).unwrap();
        let second = store.create(header("a")).unwrap();
        first.append(&[note(7), note(8)]).unwrap();
        let entry = |name: &str, entry_count, last_at, is_closed| StudyEntry {
            name: name.into(),
            seed: u64::MAX - 1,
            created_at: 1.7e9 + 0.1,
            schema_version: SCHEMA_VERSION,
            entry_count,
            last_at,
            is_closed,
        };
        assert_eq!(store.studies().unwrap(), [entry("b", 2, Some(8.0), true), entry("a", 0, None, false)]);
        first.append(&[Stamped { at: 9.0, entry: Entry::Opened(Opened::default()) }]).unwrap();
        assert_eq!(store.studies().unwrap()[0], entry("b", 3, Some(9.0), false));
        drop(second);
    });
}

#[test]
fn names_are_unique_and_found() {
    on_each_store(|kept| {
        assert_eq!(kind_of(kept.reader()), JournalErrorKind::Missing, "before anything was written");
        let store = kept.store();
        drop(store.create(header("digits")).unwrap());
        let error = store.create(header("digits")).err().unwrap();
        assert_eq!(error.kind, JournalErrorKind::Exists);
        assert!(error.message.contains("digits"), "{error}");
        let error = store.open("digit").err().unwrap();
        assert_eq!(error.kind, JournalErrorKind::Missing);
        assert!(error.message.contains("did you mean") && error.message.contains("digits"), "{error}");
        assert_eq!(kind_of(store.read("other")), JournalErrorKind::Missing);
        // none of this left anything behind
        assert_eq!(store.studies().unwrap().len(), 1);
    });
}

#[test]
fn a_header_that_cannot_be_kept_is_refused() {
    on_each_store(|kept| {
        let store = kept.store();
        assert_eq!(kind_of(store.create(header(""))), JournalErrorKind::Invalid);
        let mut endless = header("a");
        endless.plan.rules.budget.target = Some(f64::INFINITY);
        assert_eq!(kind_of(store.create(endless)), JournalErrorKind::Invalid);
        let timeless = StudyHeader { created_at: f64::NAN, ..header("a") };
        assert_eq!(kind_of(store.create(timeless)), JournalErrorKind::Invalid);
        assert_eq!(store.studies().unwrap(), []);
    });
}

#[test]
fn a_batch_with_a_bad_entry_is_refused_as_a_whole() {
    on_each_store(|kept| {
        let mut journal = kept.store().create(header("a")).unwrap();
        let timeless = Stamped { at: f64::NAN, ..note(1) };
        let asked = |point| AskedTrial { trial: TrialId(0), point, tag: 0, fidelity: None, prediction: None };
        let record =
            |point| Record::Asked { member: 0, count: 1, trials: vec![asked(point)], is_exhausted: false };
        let stamped = |point| Stamped { at: 0.0, entry: Entry::Study(record(point)) };
        let mut flat = vec![1e-3, 0.0, 1.0, 2.0, 0.0, f64::NAN, f64::NAN];
        let fine = stamped(Point::from_flat(&flat));
        flat[0] = f64::INFINITY;
        let far = stamped(Point::from_flat(&flat));
        flat[0] = 2.0;
        let outside = stamped(Point::from_flat(&flat));
        let short = stamped(Point::from_flat(&[0.5]));
        let mut endless = Box::new(plan("a"));
        endless.rules.budget.target = Some(f64::INFINITY);
        let session = Opened { plan: Some(endless), ..Opened::default() };
        let replanned = Stamped { at: 0.0, entry: Entry::Opened(session) };
        for bad in [timeless, far, outside, short, replanned] {
            assert_eq!(kind_of(journal.append(&[note(0), bad])), JournalErrorKind::Invalid);
            assert_eq!(all(&*journal), []);
        }
        journal.append(&[fine]).unwrap();
        assert_eq!(all(&*journal).len(), 1);
    });
}

#[test]
fn a_stale_writer_is_told_and_overwrites_nothing() {
    on_each_store(|kept| {
        let (batches, _) = kept.with_study("kept", 5, 20);
        let mut journal = kept.store().open("kept").unwrap();
        let count = journal.entry_count().unwrap();
        kept.sql(
            "INSERT INTO record SELECT study_id, number + 1, at, kind, trial, body FROM record
             ORDER BY number DESC LIMIT 1",
        );
        let before = all(&*journal);
        let error = journal.append(&[note(0), note(1)]).err().unwrap();
        assert_eq!(error.kind, JournalErrorKind::Conflict);
        assert!(
            error.message.contains(&format!("has {} entries where this host left {count}", count + 1)),
            "{error}"
        );
        assert_eq!(kind_of(journal.append(&[note(0)])), JournalErrorKind::Conflict);
        assert_eq!(all(&*journal), before);
        assert_eq!(before.len(), stored(&batches).len() + 1);
        // the other way round: somebody took entries away
        kept.sql("DELETE FROM record WHERE number >= 3");
        assert_eq!(kind_of(journal.append(&[note(0)])), JournalErrorKind::Conflict);
        assert_eq!(all(&*journal).len(), 3);
    });
}

#[test]
fn a_digest_is_of_the_entries_there_were_and_goes_with_its_study() {
    on_each_store(|kept| {
        kept.with_study("long", 3, 40);
        let mut journal = kept.store().open("long").unwrap();
        let read = || kept.reader().unwrap().read("long").unwrap();
        assert_eq!(read().digest().unwrap(), None);
        let count = journal.entry_count().unwrap();
        for (at, body) in [(5.0, "first"), (6.0, "second \u{1f600} 'quoted'")] {
            journal.keep_digest(at, body).unwrap();
            let expected = KeptDigest { entry_count: count, at, body: body.into() };
            assert_eq!(read().digest().unwrap(), Some(expected));
        }
        journal.append(&[note(0)]).unwrap();
        assert_eq!(read().digest().unwrap().unwrap().entry_count, count, "it is none of what followed");
        assert_eq!(all(&*journal).len() as u64, count + 1, "and no entry itself");
        assert_eq!(kind_of(read().keep_digest(7.0, "mine")), JournalErrorKind::Access);
        journal.close().unwrap();
        kept.sql("DELETE FROM study WHERE name = 'long'");
        kept.with_study("long", 4, 10);
        assert_eq!(read().digest().unwrap(), None);
    });
}

#[test]
fn a_study_goes_as_a_whole() {
    on_each_store(|kept| {
        kept.with_study("kept", 6, 20);
        drop(kept.store().create(header("other")).unwrap());
        kept.sql("DELETE FROM study WHERE name = 'kept'");
        let store = kept.store();
        assert_eq!(store.studies().unwrap().len(), 1);
        // nothing of it is found in one that takes its name
        assert_eq!(store.create(header("kept")).unwrap().entry_count().unwrap(), 0);
        assert_eq!(store.integrity_check().unwrap(), Vec::<String>::new());
    });
}

#[test]
fn one_host_runs_a_study_and_others_may_look() {
    on_each_store(|kept| {
        let store = kept.store();
        let mut running = store.create(header("a/b")).unwrap();
        running.append(&[note(0)]).unwrap();
        let error = store.open("a/b").err().unwrap();
        assert_eq!(error.kind, JournalErrorKind::Locked);
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(store.create(header("a/b")).is_err());
        // reading needs no lock, and another study has its own
        assert_eq!(all(&*store.read("a/b").unwrap()).len(), 1);
        assert_eq!(all(&*kept.reader().unwrap().read("a/b").unwrap()).len(), 1);
        let mut other = store.create(header("a")).unwrap();
        other.append(&[note(0)]).unwrap();
        // the first is none the worse for it
        running.append(&[note(1)]).unwrap();
        running.close().unwrap();
        let again = store.open("a/b").unwrap();
        assert_eq!(again.entry_count().unwrap(), 2);
    });
}

#[test]
fn many_hosts_begin_at_once_in_one_store() {
    on_each_store(|kept| {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    let mut journal = kept.store().create(header(&format!("study {thread}"))).unwrap();
                    for number in 0..20 {
                        journal.append(&[note(number), note(number)]).unwrap();
                    }
                    journal.close().unwrap();
                });
            }
        });
        let studies = kept.store().studies().unwrap();
        assert_eq!(studies.iter().map(|study| study.entry_count).collect::<Vec<_>>(), [40; 8]);
        assert_eq!(kept.store().integrity_check().unwrap(), Vec::<String>::new());
    });
}

#[test]
fn readers_see_a_growing_prefix_while_a_host_writes() {
    on_each_store(|kept| {
        let mut journal = kept.store().create(header("a")).unwrap();
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..300 {
                    journal.append(&[note(3 * number), note(3 * number + 1), note(3 * number + 2)]).unwrap();
                }
                is_done.store(true, Ordering::SeqCst);
            });
            let reader = kept.reader().unwrap();
            let followed = reader.read("a").unwrap();
            let mut next = 0;
            loop {
                let was_done = is_done.load(Ordering::SeqCst);
                for stored in followed.entries(next) {
                    let stored = stored.unwrap();
                    assert_eq!((stored.number, stored.entry), (next, note(next).entry));
                    next += 1;
                }
                assert!(followed.entry_count().unwrap() >= next);
                if was_done {
                    break;
                }
            }
            assert_eq!(next, 900);
        });
    });
}

#[test]
fn a_reader_in_the_middle_goes_on_with_what_was_appended_since() {
    on_each_store(|kept| {
        let mut journal = kept.store().create(header("a")).unwrap();
        journal.append(&(0..400).map(note).collect::<Vec<_>>()).unwrap();
        let reader = kept.reader().unwrap().read("a").unwrap();
        let mut entries = reader.entries(0);
        for number in 0..300 {
            assert_eq!(entries.next().unwrap().unwrap().number, number);
        }
        journal.append(&(400..800).map(note).collect::<Vec<_>>()).unwrap();
        let numbers: Vec<u64> = entries.map(|stored| stored.unwrap().number).collect();
        assert_eq!(numbers, (300..300 + numbers.len() as u64).collect::<Vec<_>>());
        assert!(numbers.len() >= 100);
    });
}

#[test]
fn a_journal_to_read_is_not_written() {
    on_each_store(|kept| {
        let (batches, _) = kept.with_study("kept", 9, 10);
        let store = kept.reader().unwrap();
        assert_eq!(kind_of(store.create(header("new"))), JournalErrorKind::Access);
        assert_eq!(kind_of(store.open("kept")), JournalErrorKind::Access);
        assert_eq!(kind_of(store.read("kept").unwrap().append(&[note(0)])), JournalErrorKind::Access);
        assert_eq!(kind_of(kept.store().read("kept").unwrap().append(&[note(0)])), JournalErrorKind::Access);
        assert_eq!(all(&*kept.store().read("kept").unwrap()), stored(&batches));
    });
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    on_each_store(|kept| {
        kept.with_study("kept", 10, 10);
        let newer = SCHEMA_VERSION + 1;
        match kept {
            Kept::Sqlite { .. } => kept.sql(&format!("PRAGMA user_version = {newer}")),
            Kept::Postgres { .. } => kept.sql(&format!("UPDATE store SET version = {newer}")),
        }
        let to_write = match kept {
            Kept::Sqlite { path, .. } => SqliteStore::open(path, Sync::Full, NetworkFolder::Allow).err(),
            Kept::Postgres { url, .. } => PostgresStore::open(url, Sync::Full).err(),
        };
        for error in [to_write.unwrap(), kept.reader().err().unwrap()] {
            assert_eq!(error.kind, JournalErrorKind::Newer);
            let version = format!("version {newer}");
            assert!(error.message.contains("newer ansatz") && error.message.contains(&version), "{error}");
        }
    });
}

#[test]
fn damage_is_told_with_its_place() {
    for (sql, place) in [
        ("DELETE FROM record WHERE number = 4", "lacks entry 4"),
        ("DELETE FROM record WHERE number = 0", "lacks entry 0"),
        (
            "DELETE FROM record WHERE number = 3; INSERT INTO record VALUES (1, 3, 0, 'dreamt', NULL, '{}')",
            "entry 3 of study kept",
        ),
        (
            "DELETE FROM record WHERE number = 3; INSERT INTO record VALUES (1, 3, 0, 'finished', 0, '{\"trial\":0')",
            "entry 3 of study kept",
        ),
        ("UPDATE study SET plan = '{}'", "the plan of study kept"),
    ] {
        on_each_store(|kept| {
            kept.with_study("kept", 12, 30);
            kept.sql(sql);
            let store = kept.store();
            let read = store
                .read("kept")
                .and_then(|journal| journal.entries(0).try_for_each(|entry| entry.map(drop)));
            let error = read.expect_err(sql);
            assert_eq!(error.kind, JournalErrorKind::Damaged, "{error}");
            let advice = if kept.is_server() { "pg_dump" } else { "ansatz repair" };
            assert!(error.message.contains(place) && error.message.contains(advice), "{error}");
            let problems = store.integrity_check().unwrap().join("; ");
            assert!(problems.contains(place), "{problems}");
        });
    }
}

#[test]
fn what_does_not_fit_together_is_found_by_the_check() {
    for (sql, found) in [
        (
            "INSERT INTO record SELECT study_id, (SELECT max(number) + 1 FROM record), at, kind, trial, body
             FROM record WHERE kind = 'finished' LIMIT 1",
            "has ended already",
        ),
        (
            "INSERT INTO record SELECT study_id, (SELECT max(number) + 1 FROM record), at, kind, 7, body
             FROM record WHERE kind = 'closed' LIMIT 1",
            "the column trial",
        ),
    ] {
        on_each_store(|kept| {
            kept.with_study("kept", 12, 30);
            kept.sql(sql);
            assert!(kept.store().read("kept").unwrap().entries(0).all(|entry| entry.is_ok()));
            let problems = kept.store().integrity_check().unwrap().join("; ");
            assert!(problems.contains(found), "{problems}");
        });
    }
}

#[test]
fn a_queue_keeps_its_order_and_is_seen_by_whoever_runs_the_study() {
    on_each_store(|kept| {
        kept.with_study("kept", 5, 20);
        kept.with_study("other", 6, 20);
        let space = plan("any").rules.problem.space;
        let mut rng = Rng::new(1);
        let mut queued = |ticket, fidelity| {
            let point = EnqueuedPoint { point: space.sample(&mut rng).unwrap(), fidelity };
            Queued { ticket, point }
        };
        // tickets are no order
        let first = [queued(9, None), queued(3, Some(2.5)), queued((1 << 53) - 1, None)];
        let later = [queued(1, None)];
        let mut journal = kept.store().open("kept").unwrap();
        assert_eq!(journal.queue().unwrap(), []);
        kept.store().enqueue("kept", 1e9, &first).unwrap();
        kept.store().enqueue("kept", 2e9, &later).unwrap();
        kept.store().enqueue("other", 2e9, &first[..1]).unwrap();
        let expected: Vec<Waiting> = first.iter().chain(&later).map(waiting).collect();
        assert_eq!(journal.queue().unwrap(), expected);
        let reading = kept.reader().unwrap().read("kept").unwrap();
        assert_eq!(reading.queue().unwrap(), expected);
        journal.dequeue(&[9, 1, 4711]).unwrap();
        assert_eq!(journal.queue().unwrap(), expected[1..3]);
        assert_eq!(kept.reader().unwrap().read("other").unwrap().queue().unwrap(), expected[..1]);

        // all of a request or nothing
        let twice = [queued(2, None), queued(3, None)];
        kept.store().enqueue("kept", 3e9, &twice).unwrap_err();
        assert_eq!(journal.queue().unwrap(), expected[1..3]);
        let kind = |result: Result<(), JournalError>| result.unwrap_err().kind;
        let mut reading = kept.reader().unwrap().read("kept").unwrap();
        assert_eq!(kind(reading.dequeue(&[3])), JournalErrorKind::Access);
        assert_eq!(kind(kept.reader().unwrap().enqueue("kept", 0.0, &first)), JournalErrorKind::Access);
        assert_eq!(kind(kept.store().enqueue("missing", 0.0, &first)), JournalErrorKind::Missing);
        kept.sql("UPDATE enqueued SET body = '{\"point\":{\"nobody\":1}}'");
        assert!(journal.queue().unwrap().iter().all(|waiting| waiting.point.is_err()));
        drop((journal, reading));
        kept.sql("DELETE FROM study WHERE name = 'kept'");
        assert_eq!(kept.reader().unwrap().read("other").unwrap().queue().unwrap().len(), 1);
    });
}
