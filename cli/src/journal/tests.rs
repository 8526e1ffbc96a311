mod conformance;
mod golden;
mod mending;
mod postgres;
#[expect(dead_code, reason = "some of it is for the tests of the whole")]
#[path = "../../../tests/src/postgres_server.rs"]
pub(crate) mod server;

use super::schema::{self, Content};
use super::sqlite::SqliteJournal;
use super::*;
use crate::plan::{FaultRules, OnInterrupt, PluginChoice, RunRules, Sync};
use ansatz_core::rng::Rng;
use ansatz_core::space::{Condition, Domain, Parameter, Scale};
use ansatz_core::study::{AskedTrial, Budget, Duplicates, Member, Mix, Remedy, Study, StudyRules};
use ansatz_core::{
    Failure, FidelityRange, Goal, Measurement, Metric, Outcome, Point, Problem, Space, Suggestion, TrialId,
    Value,
};
use ansatz_core::{Prediction, Promotion};
use rusqlite::Connection;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tempfile::TempDir;

/// SplitMix64 (Steele, Lea and Flood 2014): enough for test cases.
pub(super) struct Dice(pub u64);

impl Dice {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// Every second one finite and of any size, the others as people have them.
    pub fn float(&mut self) -> f64 {
        if self.below(2) == 0 {
            return self.below(2001) as f64 / 100.0 - 10.0;
        }
        let any = f64::from_bits(self.bits());
        if any.is_finite() { any } else { f64::MIN_POSITIVE / 3.0 }
    }

    pub fn text(&mut self) -> String {
        let letters =
            ['a', 'Z', '0', ' ', '"', '\\', '\'', '\n', '\0', '\u{1f}', 'é', '日', '🙂', '{', '%', '/'];
        (0..self.below(12)).map(|_| letters[self.below(letters.len() as u64) as usize]).collect()
    }

    pub fn duration(&mut self) -> Duration {
        Duration::from_nanos(self.bits() >> self.below(64))
    }

    pub fn measurement(&mut self) -> Measurement {
        let mut measurement = Measurement::new().with("loss", self.float());
        for _ in 0..self.below(3) {
            let error = (self.below(2) == 0).then(|| self.float().abs());
            measurement.set(format!("m{}", self.text()), self.float(), error);
        }
        measurement
    }
}

/// Every domain, a condition, and names that a careless format would trip over.
pub(super) fn space() -> Space {
    let parameters = vec![
        Parameter::float("rate \"log\"", 1e-6, 1.0).log(),
        Parameter::new(
            "x.step",
            Domain::Float { lower: -1.0, upper: 1.0, scale: Scale::Linear, step: Some(0.1) },
        ),
        Parameter::int("units", -(1 << 52), 1 << 52),
        Parameter::categorical("optimiser", ["sgd", "adam", "l'été"]),
        Parameter::ordinal(
            "size",
            [Value::Float(0.1), Value::Int(1), Value::Text("1".into()), Value::Bool(true)],
        ),
        Parameter::bool("nesterov").when(Condition::equals("optimiser", "sgd")),
        Parameter::float("beta", 0.0, 1.0).when(Condition::equals("optimiser", "adam")),
    ];
    Space::of(parameters).unwrap()
}

pub(super) fn plan(name: &str) -> StudyPlan {
    let mut problem = Problem::new(space(), vec![Metric { name: "loss".into(), goal: Goal::Minimise }]);
    problem.fidelity = Some(FidelityRange { name: "epochs".into(), lower: 0.1, upper: 27.0 });
    let member = |label: &str| Member::new(label);
    let choice =
        |plugin: &str| PluginChoice { options: serde_json::json!({"a": 0.1}), ..PluginChoice::new(plugin) };
    StudyPlan {
        name: name.into(),
        rules: StudyRules {
            problem,
            seed: u64::MAX - 1,
            members: vec![member("first"), member("se'cond")],
            mix: Mix::InTurn,
            budget: Budget {
                wall_time: Some(Duration::new(3, 1)),
                target: Some(0.1 + 0.2),
                ..Budget::default()
            },
            attempts_max: 2,
            duplicates: Duplicates::Replicate,
            consecutive_failures_max: None,
            window: None,
            early_stopping: Some("median".into()),
            enqueued: Vec::new(),
        },
        objective: Some(choice("digits")),
        strategies: vec![choice("random"), choice("com.acme.cma")],
        is_automatic: false,
        early_stopping: Some(choice("median")),
        transfers: Vec::new(),
        repeated_count: 0,
        run: RunRules { slot_count: 4, trial_timeout: None, on_interrupt: OnInterrupt::Requeue },
        journal: JournalChoice { path: "ansatz.db".into(), server: None, sync: Sync::Off },
        plugin_folders: Vec::new(),
        faults: FaultRules::default(),
        manifest_folder: "/home/eva/study".into(),
        manifest_name: "study.toml".into(),
        overrides: vec!["run.slots=4".into()],
    }
}

pub(crate) fn header(name: &str) -> StudyHeader {
    StudyHeader { plan: plan(name), manifest: "name = \"été\"\n".into(), created_at: 1.7e9 + 0.1 }
}

pub(super) fn opened(dice: &mut Dice) -> Entry {
    let stamp = PluginStamp {
        component: dice.text(),
        role: "strategy".into(),
        path: PathBuf::from(dice.text()),
        package: dice.text(),
        version: "0.1.0".into(),
        abi: "1.0.0".into(),
        sha256: "00ff".into(),
    };
    Entry::Opened(Opened {
        host_version: dice.text(),
        process_id: (dice.below(2) == 0).then(|| dice.bits() as u32),
        elapsed_before: dice.duration(),
        plugins: vec![stamp; dice.below(3) as usize],
        plan: (dice.below(2) == 0).then(|| Box::new(plan("changed"))),
        manifest: (dice.below(2) == 0).then(|| dice.text()),
    })
}

/// What a study might live through: batches of entries, and the study that they make.
pub(super) fn life(seed: u64, step_count: usize) -> (Vec<Vec<Stamped>>, Study) {
    let mut dice = Dice(seed);
    let mut rng = Rng::new(seed);
    let mut study = Study::new(plan("any").rules);
    let mut batches = vec![vec![opened(&mut dice)]];
    for _ in 0..step_count {
        let pending: Vec<TrialId> = study.pending().iter().map(|(trial, _)| trial).collect();
        let mut batch = Vec::new();
        if pending.len() < 2 || dice.below(4) == 0 {
            let count = 1 + dice.below(4) as usize;
            let suggestion = |_| Suggestion {
                point: study.rules().problem.space.sample(&mut rng).unwrap(),
                tag: dice.bits(),
                fidelity: (dice.below(2) == 0).then(|| 0.1 + dice.below(26) as f64),
                prediction: (dice.below(2) == 0).then(|| {
                    let prediction = Prediction::new(dice.below(9) as f64 / 7.0, dice.below(9) as f64 / 3.0);
                    if dice.below(2) == 0 { prediction } else { prediction.with_acquisition(-0.1) }
                }),
            };
            let suggestions = (0..count).map(suggestion).collect();
            let trials = study.admit(count, suggestions).unwrap();
            if dice.below(4) == 0 {
                let point = EnqueuedPoint { point: trials[0].point.clone(), fidelity: trials[0].fidelity };
                batch.extend(study.take_enqueued(dice.bits() >> 12, &point).unwrap());
                batches.push(batch.iter().cloned().map(Entry::Study).collect());
                study.apply(&batch[0]).unwrap();
                continue;
            }
            let member = dice.below(2) as usize;
            batch.push(Record::Asked {
                member,
                count: count + dice.below(2) as usize,
                trials,
                is_exhausted: false,
            });
        } else {
            let trial = pending[dice.below(pending.len() as u64) as usize];
            for step in 0..dice.below(3) {
                batch.push(Record::Reported { trial, step, measurement: dice.measurement(), stop: None });
            }
            let outcome = match dice.below(8) {
                0 => Outcome::Infeasible { reason: dice.text() },
                1 => Outcome::Failed { failure: Failure::Timeout, reason: dice.text() },
                2 => Outcome::Failed { failure: Failure::Lost, reason: dice.text() },
                3 => Outcome::Stopped { reason: dice.text(), measurement: None },
                4 => Outcome::Stopped { reason: dice.text(), measurement: Some(dice.measurement()) },
                _ => Outcome::Completed { measurement: dice.measurement() },
            };
            batch.push(match study.conclude(trial, outcome, dice.duration()) {
                Record::Finished { trial, outcome, duration, .. } => {
                    let reused = (trial.0 > 0 && dice.below(4) == 0).then(|| TrialId(dice.below(trial.0)));
                    Record::Finished { trial, outcome, duration, reused }
                }
                other => other,
            });
        }
        for record in &batch {
            study.apply(record).unwrap();
        }
        batches.push(batch.into_iter().map(Entry::Study).collect());
    }
    batches.push(vec![Entry::Closed { reason: dice.text(), elapsed: dice.duration() }]);
    let stamp = |entry| Stamped { at: 1.7e9 + dice.below(1 << 20) as f64 / 7.0, entry };
    let mut stamp = stamp;
    (batches.into_iter().map(|batch| batch.into_iter().map(&mut stamp).collect()).collect(), study)
}

pub(super) fn stored(batches: &[Vec<Stamped>]) -> Vec<Stored> {
    let entries = batches.iter().flatten().cloned().enumerate();
    entries.map(|(number, Stamped { at, entry })| Stored { number: number as u64, at, entry }).collect()
}

pub(super) fn all(journal: &dyn Journal) -> Vec<Stored> {
    journal.entries(0).collect::<Result<_, _>>().unwrap()
}

/// As it is read again.
pub(super) fn waiting(queued: &Queued) -> Waiting {
    Waiting { ticket: queued.ticket, point: Ok(queued.point.clone()) }
}

fn replay(entries: &[Stored]) -> Study {
    let mut study = Study::new(plan("any").rules);
    for stored in entries {
        if let Entry::Study(record) = &stored.entry {
            study.apply(record).unwrap();
        }
    }
    study
}

fn store_at(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Sync::Off, NetworkFolder::Allow).unwrap()
}

fn reader_at(path: &Path) -> Result<SqliteStore, JournalError> {
    SqliteStore::open_read_only(path, NetworkFolder::Allow)
}

fn fresh() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deep/in/a folder%41?#/ansatz.db");
    (folder, path)
}

/// A store with one closed study.
pub(super) fn kept(seed: u64, step_count: usize) -> (TempDir, PathBuf, Vec<Vec<Stamped>>, Study) {
    let (folder, path) = fresh();
    let (batches, study) = life(seed, step_count);
    let mut journal = store_at(&path).create(header("kept")).unwrap();
    for batch in &batches {
        journal.append(batch).unwrap();
    }
    journal.close().unwrap();
    (folder, path, batches, study)
}

fn note(number: u64) -> Stamped {
    Stamped {
        at: number as f64,
        entry: Entry::Closed { reason: format!("note {number}"), elapsed: Duration::from_nanos(number) },
    }
}

fn kind_of<T>(result: Result<T, JournalError>) -> JournalErrorKind {
    result.err().expect("an error was expected").kind
}

#[test]
fn names_that_are_refused_leave_no_lock() {
    let (_folder, path) = fresh();
    let store = store_at(&path);
    drop(store.create(header("digits")).unwrap());
    assert_eq!(kind_of(store.create(header("digits"))), JournalErrorKind::Exists);
    assert_eq!(kind_of(store.open("digit")), JournalErrorKind::Missing);
    assert_eq!(kind_of(reader_at(&path.with_file_name("none.db"))), JournalErrorKind::Missing);
    assert!(!lock::lock_path(&path, "digits").exists() && !lock::lock_path(&path, "digit").exists());
}

#[test]
fn nothing_stored_can_be_changed_and_a_study_goes_as_a_whole() {
    let (_folder, path, ..) = kept(6, 20);
    drop(store_at(&path).create(header("other")).unwrap());
    let stock = Connection::open(&path).unwrap();
    let error = stock.execute("UPDATE record SET at = 0", []).unwrap_err();
    assert!(error.to_string().contains("only ever added to"), "{error}");
    stock.pragma_update(None, "foreign_keys", false).unwrap();
    stock.execute("DELETE FROM study WHERE name = 'kept'", []).unwrap();
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table} WHERE study_id NOT IN (SELECT study_id FROM study)");
        stock.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(["record", "member", "metric"].map(count), [0, 0, 0]);
    assert_eq!(store_at(&path).studies().unwrap().len(), 1);
}

/// The heart of it: whatever part of the log reached the disk, what is there is a prefix of the batches.
#[test]
fn a_torn_log_holds_whole_batches() {
    let (folder, path, ..) = kept(7, 5);
    let (batches, _) = life(8, 25);
    let mut journal = store_at(&path).create(header("torn")).unwrap();
    let file_before = fs::read(&path).unwrap();
    for batch in &batches {
        journal.append(batch).unwrap();
    }
    let log_path = |path: &Path| PathBuf::from(format!("{}-wal", path.display()));
    let log = fs::read(log_path(&path)).unwrap();
    // nothing was moved into the file meanwhile: the log is all there is of the batches
    assert_eq!(fs::read(&path).unwrap(), file_before);
    let mut sums = vec![0];
    for batch in &batches {
        sums.push(sums[sums.len() - 1] + batch.len());
    }
    let expected = stored(&batches);
    let torn = folder.path().join("torn.db");
    let shared = PathBuf::from(format!("{}-shm", torn.display()));
    let mut seen = std::collections::BTreeSet::new();
    let mut check = |log: &[u8]| {
        fs::write(&torn, &file_before).unwrap();
        fs::write(log_path(&torn), log).unwrap();
        let _ = fs::remove_file(&shared);
        let store = store_at(&torn);
        let count = match store.open("torn") {
            // the study itself is in the log, too
            Err(error) => {
                assert_eq!(error.kind, JournalErrorKind::Missing);
                assert_eq!(store.studies().unwrap().len(), 1);
                return None;
            }
            Ok(mut journal) => {
                let found = all(&*journal);
                assert!(sums.contains(&found.len()), "a broken batch: {} entries", found.len());
                assert_eq!(found, expected[..found.len()]);
                // and it goes on from there
                journal.append(&[note(0)]).unwrap();
                found.len()
            }
        };
        seen.insert(count);
        Some(count)
    };
    // 32 bytes of header, then frames of 24 bytes and a page
    let page = u16::from_be_bytes([file_before[16], file_before[17]]) as usize;
    let frame_starts: Vec<usize> =
        (0..).map(|k| 32 + k * (24 + page)).take_while(|o| *o <= log.len()).collect();
    let mut offsets: Vec<usize> =
        frame_starts.iter().flat_map(|o| [o.saturating_sub(1), *o, *o + 1, *o + 24]).collect();
    let mut dice = Dice(1);
    offsets.extend((0..40).map(|_| dice.below(log.len() as u64) as usize));
    offsets.extend(0..34);
    offsets.push(log.len());
    offsets.sort_unstable();
    let mut before = None;
    for offset in offsets.into_iter().filter(|offset| *offset <= log.len()) {
        let count = check(&log[..offset]);
        assert!(count >= before, "less from a longer log");
        before = count;
    }
    assert_eq!(before, Some(expected.len()));
    // a sector that was not written, in the middle: what follows it is gone with it
    for _ in 0..30 {
        let mut log = log.clone();
        let start = dice.below(log.len() as u64) as usize / 512 * 512;
        let end = (start + 512).min(log.len());
        log[start..end].fill(0);
        check(&log);
    }
    assert_eq!(seen.len(), sums.len(), "every batch was the last one once");
}

#[test]
fn one_host_runs_a_study_and_others_may_look() {
    let (_folder, path) = fresh();
    let store = store_at(&path);
    let mut running = store.create(header("a/b")).unwrap();
    running.append(&[note(0)]).unwrap();
    let file = path.with_file_name("ansatz.db.a%2fb.lock");
    assert!(file.exists());
    for error in [store.open("a/b").err().unwrap(), store.create(header("a/b")).err().unwrap()] {
        assert_eq!(error.kind, JournalErrorKind::Locked);
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
    }
    // reading needs no lock, and another study has its own
    assert_eq!(all(&*store.read("a/b").unwrap()).len(), 1);
    assert_eq!(all(&*reader_at(&path).unwrap().read("a/b").unwrap()).len(), 1);
    let mut other = store.create(header("a")).unwrap();
    other.append(&[note(0)]).unwrap();
    // the first is none the worse for it
    running.append(&[note(1)]).unwrap();
    running.close().unwrap();
    assert!(!file.exists());
    // what a dead host leaves behind locks nobody out
    fs::write(&file, "process 1\n").unwrap();
    let again = store.open("a/b").unwrap();
    assert_eq!(again.entry_count().unwrap(), 2);
    drop(again);
    assert!(!file.exists());
}

#[test]
fn lock_files_have_names_of_their_own() {
    let long = |last: char| "é".repeat(300) + &last.to_string();
    let names = ["a", "A", "a b", "a/b", "a%2fb", "..", "日", &long('x'), &long('y')];
    let paths: Vec<PathBuf> = names.iter().map(|name| lock::lock_path(Path::new("/x/s.db"), name)).collect();
    for (index, path) in paths.iter().enumerate() {
        assert!(!paths[..index].contains(path), "{}", path.display());
        assert_eq!(path.parent(), Some(Path::new("/x")));
        assert!(path.file_name().unwrap().len() < 200);
    }
}

/// The file is removed while others are waiting to lock it: nobody may hold a lock on a removed file.
#[test]
fn a_lock_has_one_holder_however_many_want_it() {
    let folder = TempDir::new().unwrap();
    let store = folder.path().join("s.db");
    let (is_held, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut mine = 0;
                while mine < 50 {
                    let Ok(lock) = lock::StudyLock::take(&store, "x") else { continue };
                    assert!(!is_held.swap(true, Ordering::SeqCst), "two holders");
                    std::thread::yield_now();
                    is_held.store(false, Ordering::SeqCst);
                    drop(lock);
                    mine += 1;
                }
                taken.fetch_add(mine, Ordering::SeqCst);
            });
        }
    });
    assert_eq!(taken.into_inner(), 200);
}

#[test]
fn a_journal_to_read_is_not_written() {
    let (_folder, path, ..) = kept(9, 10);
    let before = fs::read(&path).unwrap();
    let store = reader_at(&path).unwrap();
    assert_eq!(kind_of(store.create(header("new"))), JournalErrorKind::Access);
    assert_eq!(kind_of(store.open("kept")), JournalErrorKind::Access);
    assert_eq!(kind_of(store.read("kept").unwrap().append(&[note(0)])), JournalErrorKind::Access);
    assert_eq!(kind_of(store_at(&path).read("kept").unwrap().append(&[note(0)])), JournalErrorKind::Access);
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (_folder, path, ..) = kept(10, 10);
    let stock = Connection::open(&path).unwrap();
    stock.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    drop(stock);
    let before = fs::read(&path).unwrap();
    for error in [
        SqliteStore::open(&path, Sync::Full, NetworkFolder::Allow).err().unwrap(),
        reader_at(&path).err().unwrap(),
    ] {
        assert_eq!(error.kind, JournalErrorKind::Newer);
        let version = format!("version {}", SCHEMA_VERSION + 1);
        assert!(error.message.contains("newer ansatz") && error.message.contains(&version), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn an_older_schema_is_brought_forward() {
    let (_folder, path, batches, _) = kept(11, 30);
    let mut stock = Connection::open(&path).unwrap();
    let mut later = schema::MIGRATIONS.to_vec();
    later.push("ALTER TABLE study ADD COLUMN remark TEXT");
    later.push("UPDATE study SET remark = 'moved'");
    schema::migrate(&mut stock, &later).unwrap();
    assert_eq!(schema::content(&stock).unwrap(), Content::Journals(SCHEMA_VERSION + 2));
    let remark: String = stock.query_row("SELECT remark FROM study", [], |row| row.get(0)).unwrap();
    assert_eq!(remark, "moved");
    let count: i64 = stock.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).unwrap();
    assert_eq!(count as usize, stored(&batches).len());
    // a migration that breaks leaves everything as it was
    later.push("CREATE TABLE half (x)");
    later.push("this is no SQL");
    assert!(schema::migrate(&mut stock, &later).is_err());
    assert_eq!(schema::content(&stock).unwrap(), Content::Journals(SCHEMA_VERSION + 2));
    assert!(stock.prepare("SELECT x FROM half").is_err());
    // and an older host does nothing to it
    schema::migrate(&mut stock, schema::MIGRATIONS).unwrap();
    assert_eq!(schema::content(&stock).unwrap(), Content::Journals(SCHEMA_VERSION + 2));
}

#[test]
fn files_of_others_are_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let marked = folder.path().join("marked.db");
    Connection::open(&marked).unwrap().pragma_update(None, "application_id", 7).unwrap();
    let text = folder.path().join("study.toml");
    fs::write(&text, "name = \"digits\"\n".repeat(500)).unwrap();
    for path in [&other, &marked, &text] {
        let before = fs::read(path).unwrap();
        for result in [SqliteStore::open(path, Sync::Full, NetworkFolder::Allow), reader_at(path)] {
            let error = result.err().unwrap();
            assert_eq!(error.kind, JournalErrorKind::Foreign, "{error}");
            assert!(error.message.contains(&path.display().to_string()), "{error}");
        }
        assert_eq!(fs::read(path).unwrap(), before);
    }
    for result in
        [SqliteStore::open(folder.path(), Sync::Full, NetworkFolder::Allow), reader_at(folder.path())]
    {
        let error = result.err().unwrap();
        assert_eq!(error.kind, JournalErrorKind::Foreign);
        assert!(error.message.contains("is a folder"), "{error}");
    }
    // an empty file is what a host leaves that died while it began
    let empty = folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    assert_eq!(kind_of(reader_at(&empty)), JournalErrorKind::Missing);
    assert_eq!(store_at(&empty).studies().unwrap(), []);
    // and a file where a folder should be
    let below = text.join("ansatz.db");
    assert!(SqliteStore::open(&below, Sync::Full, NetworkFolder::Allow).is_err());
}

#[test]
fn a_full_disk_costs_the_batch_and_nothing_else() {
    let (_folder, path) = fresh();
    let mut journal = store_at(&path).create_journal(header("a")).unwrap();
    journal.append(&[note(0)]).unwrap();
    let pages: i64 = journal.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let limit = |journal: &SqliteJournal, pages: i64| {
        journal.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(&journal, pages + 1);
    let batch: Vec<Stamped> = (1..500).map(note).collect();
    let error = journal.append(&batch).err().unwrap();
    assert_eq!(error.kind, JournalErrorKind::Full);
    assert!(error.message.contains("no space"), "{error}");
    assert_eq!(all(&journal).len(), 1);
    limit(&journal, pages + 1000);
    journal.append(&batch).unwrap();
    assert_eq!(all(&journal).len(), 500);
}

#[test]
fn damage_is_told_with_its_place() {
    let damage = |sql: &str| {
        let (folder, path, ..) = kept(12, 30);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let store = store_at(&path);
        let error =
            store.read("kept").and_then(|journal| journal.entries(0).try_for_each(|entry| entry.map(drop)));
        let problems = store.integrity_check().unwrap();
        drop(folder);
        (error.err().map(|error| (error.kind, error.message)), problems.join("; "))
    };
    for (sql, place) in [
        ("DELETE FROM record WHERE number = 4", "lacks entry 4"),
        ("DELETE FROM record WHERE number = 0", "lacks entry 0"),
        ("INSERT OR REPLACE INTO record VALUES (1, 3, 0, 'dreamt', NULL, '{}')", "entry 3 of study kept"),
        (
            "INSERT OR REPLACE INTO record VALUES (1, 3, 0, 'finished', 0, '{\"trial\":0')",
            "entry 3 of study kept",
        ),
        ("INSERT OR REPLACE INTO record VALUES (1, 3, 0, 'finished', 0, x'ff')", "entry 3 of study kept"),
        ("UPDATE study SET plan = '{}'", "the plan of study kept"),
    ] {
        let (error, problems) = damage(sql);
        let (kind, message) = error.expect(sql);
        assert_eq!(kind, JournalErrorKind::Damaged, "{message}");
        assert!(message.contains(place) && message.contains("ansatz repair"), "{message}");
        assert!(problems.contains(place), "{problems}");
    }
    // what can be read but does not fit is for the study, and for the check
    let twice =
        "INSERT INTO record SELECT study_id, (SELECT max(number) + 1 FROM record), at, kind, trial, body
                 FROM record WHERE kind = 'finished' LIMIT 1";
    let (error, problems) = damage(twice);
    assert_eq!(error, None);
    assert!(problems.contains("has ended already"), "{problems}");
    let column = "INSERT OR REPLACE INTO record SELECT study_id, number, at, kind, trial + 1, body
                  FROM record WHERE kind = 'finished' LIMIT 1";
    let (error, problems) = damage(column);
    assert_eq!(error, None);
    assert!(problems.contains("the column trial"), "{problems}");
}

#[test]
fn a_broken_file_is_told_without_a_panic() {
    let (folder, path, ..) = kept(13, 60);
    let whole = fs::read(&path).unwrap();
    let broken = folder.path().join("broken.db");
    let mut dice = Dice(2);
    let mut noticed = 0;
    for round in 0..60 {
        let mut bytes = whole.clone();
        if round % 2 == 0 {
            bytes.truncate(dice.below(whole.len() as u64) as usize);
        } else {
            let start = dice.below(whole.len() as u64 - 600) as usize;
            bytes[start..start + 600].fill(dice.bits() as u8);
        }
        fs::write(&broken, bytes).unwrap();
        let result = reader_at(&broken).and_then(|store| {
            let problems = store.integrity_check()?;
            let journal = store.read("kept")?;
            journal.entries(0).try_for_each(|entry| entry.map(drop))?;
            Ok(problems)
        });
        noticed += usize::from(result.is_err() || result.is_ok_and(|problems| !problems.is_empty()));
    }
    assert!(noticed > 40, "{noticed} of 60");
}

#[test]
fn the_plan_says_how_durable() {
    let (_folder, path) = fresh();
    for (sync, level) in [(Sync::Full, 2), (Sync::Off, 1)] {
        let store = SqliteStore::open(&path, sync, NetworkFolder::Allow).unwrap();
        let journal = store.create_journal(header(&format!("{sync:?}"))).unwrap();
        let pragma = |name: &str| -> i64 {
            journal.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(pragma("synchronous"), level);
        assert_eq!(pragma("fullfsync"), i64::from(sync == Sync::Full));
        assert_eq!(pragma("busy_timeout"), 60_000);
        let mode: String = journal.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }
}

/// Root may write anywhere, so for root there is nothing to see here.
#[cfg(unix)]
#[test]
fn a_folder_that_nobody_may_write_to_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path, batches, _) = kept(14, 20);
    let folder = path.parent().unwrap();
    let allow = |mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o555);
    let is_root = fs::write(folder.join("probe"), "").is_ok();
    if !is_root {
        assert_eq!(all(&*reader_at(&path).unwrap().read("kept").unwrap()), stored(&batches));
        assert_eq!(kind_of(store_result(&path)), JournalErrorKind::Access);
        assert_eq!(kind_of(store_result(&folder.join("deeper/new.db"))), JournalErrorKind::Access);
        assert_eq!(kind_of(store_result(&folder.join("new.db"))), JournalErrorKind::Access);
    }
    allow(0o755);
}

#[cfg(unix)]
fn store_result(path: &Path) -> Result<Box<dyn Journal>, JournalError> {
    SqliteStore::open(path, Sync::Off, NetworkFolder::Allow)?.open("kept")
}

#[derive(Debug, PartialEq)]
struct TrialRow {
    strategy: String,
    state: String,
    point: serde_json::Value,
    measurement: Option<serde_json::Value>,
    attempts: i64,
    failure: Option<String>,
    reason: Option<String>,
    reused: Option<i64>,
}

/// Trial, metric, value, standard error.
type ValueRow = (i64, String, f64, Option<f64>);

/// SQLite reads decimal numbers to within a unit or two in the last place.
fn is_close(found: f64, expected: f64) -> bool {
    found == expected || (found - expected).abs() <= 1e-14 * expected.abs() || expected.abs() < 1e-290
}

#[test]
fn views_say_what_the_study_says() {
    for seed in 20..30 {
        let (_folder, path, batches, study) = kept(seed, 120);
        drop(store_at(&path).create(header("empty")).unwrap());
        let stock = Connection::open(&path).unwrap();
        let sql =
            "SELECT trial, strategy, state, point, measurement, attempts, failure, reason, reused, duration,
                   fidelity, asked_at, finished_at FROM trial WHERE study = 'kept' ORDER BY trial";
        let mut statement = stock.prepare(sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut times: HashMap<(u64, bool), f64> = HashMap::new();
        for stamped in batches.iter().flatten() {
            match &stamped.entry {
                Entry::Study(Record::Asked { trials, .. } | Record::Enqueued { trials, .. }) => {
                    times.extend(trials.iter().map(|asked| ((asked.trial.0, false), stamped.at)));
                }
                Entry::Study(Record::Finished { trial, .. }) => {
                    times.insert((trial.0, true), stamped.at);
                }
                _ => {}
            }
        }
        for trial in study.trials() {
            let row = rows.next().unwrap().unwrap();
            assert_eq!(row.get::<_, i64>(0).unwrap() as u64, trial.id.0);
            let json = |column| {
                let text: Option<String> = row.get(column).unwrap();
                text.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap())
            };
            let found = TrialRow {
                strategy: row.get(1).unwrap(),
                state: row.get(2).unwrap(),
                point: json(3).unwrap(),
                measurement: json(4),
                attempts: row.get(5).unwrap(),
                failure: row.get(6).unwrap(),
                reason: row.get(7).unwrap(),
                reused: row.get(8).unwrap(),
            };
            let (outcome, problem) = (trial.outcome.as_ref(), &study.rules().problem);
            let measurement = match outcome {
                Some(Outcome::Stopped { measurement, .. }) => measurement.as_ref(),
                other => other.and_then(Outcome::completed),
            };
            let expected = TrialRow {
                strategy: study.proposer(trial),
                state: outcome.map_or("pending", Outcome::kind).into(),
                point: problem.space.point_to_json(&trial.point),
                measurement: measurement.map(|measurement| {
                    let entry = |reading: &ansatz_core::Reading| {
                        let value = match reading.standard_error {
                            None => serde_json::json!(reading.value),
                            Some(error) => {
                                serde_json::json!({"value": reading.value, "standard_error": error})
                            }
                        };
                        (reading.metric.clone(), value)
                    };
                    serde_json::Value::Object(measurement.readings().iter().map(entry).collect())
                }),
                attempts: i64::from(trial.attempt),
                failure: match outcome {
                    Some(Outcome::Failed { failure, .. }) => Some(format!("{failure:?}").to_lowercase()),
                    _ => None,
                },
                reason: outcome.and_then(Outcome::reason).map(str::to_owned),
                reused: trial.reused.map(|trial| trial.0 as i64),
            };
            assert_eq!(found, expected);
            let duration: Option<f64> = row.get(9).unwrap();
            assert_eq!(duration.is_some(), outcome.is_some());
            assert!(is_close(duration.unwrap_or(0.0), trial.duration.as_secs_f64()));
            assert_eq!(row.get::<_, Option<f64>>(10).unwrap(), trial.fidelity);
            assert_eq!(row.get::<_, Option<f64>>(11).unwrap(), times.get(&(trial.id.0, false)).copied());
            assert_eq!(row.get::<_, Option<f64>>(12).unwrap(), times.get(&(trial.id.0, true)).copied());
        }
        assert!(rows.next().unwrap().is_none());

        let values = |view: &str| {
            let sql = format!("SELECT trial, metric, value, standard_error FROM {view} WHERE study = 'kept'");
            let mut statement = stock.prepare(&sql).unwrap();
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
            let rows: rusqlite::Result<Vec<ValueRow>> = rows.unwrap().collect();
            rows.unwrap()
        };
        let mut expected: HashMap<&str, Vec<ValueRow>> = HashMap::new();
        for stamped in batches.iter().flatten() {
            let (view, trial, measurement) = match &stamped.entry {
                Entry::Study(Record::Reported { trial, measurement, .. }) => {
                    ("report", trial, Some(measurement))
                }
                Entry::Study(Record::Finished { trial, outcome, .. }) => {
                    let measurement = match outcome {
                        Outcome::Stopped { measurement, .. } => measurement.as_ref(),
                        other => other.completed(),
                    };
                    ("measurement_value", trial, measurement)
                }
                _ => continue,
            };
            for reading in measurement.into_iter().flat_map(Measurement::readings) {
                let row = (trial.0 as i64, reading.metric.clone(), reading.value, reading.standard_error);
                expected.entry(view).or_default().push(row);
            }
        }
        for (view, mut expected) in expected {
            let mut found = values(view);
            assert_eq!(found.len(), expected.len());
            for rows in [&mut found, &mut expected] {
                rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)).then(a.2.total_cmp(&b.2)));
            }
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!((found.0, &found.1), (expected.0, &expected.1));
                assert!(is_close(found.2, expected.2), "{found:?} {expected:?}");
                assert!(
                    is_close(found.3.unwrap_or(-1.0), expected.3.unwrap_or(-1.0)),
                    "{found:?} {expected:?}"
                );
            }
        }

        let count = |kind: &str| {
            study.trials().iter().filter(|t| t.outcome.as_ref().is_some_and(|o| o.kind() == kind)).count()
        };
        let expected = [
            stored(&batches).len(),
            1,
            study.trials().len(),
            study.trials().len() - study.finished_count(),
            count("completed"),
            count("infeasible"),
            count("failed"),
            count("stopped"),
        ];
        let summary = |name: &str| {
            let sql = "SELECT entries, sessions, trials, pending, completed, infeasible, failed, stopped
                       FROM study_summary WHERE study = ?1";
            let row = stock.query_row(sql, [name], |row| {
                Ok(std::array::from_fn::<usize, 8, _>(|column| row.get::<_, i64>(column).unwrap() as usize))
            });
            row.unwrap()
        };
        assert_eq!(summary("kept"), expected);
        assert_eq!(summary("empty"), [0; 8]);
    }
}

/// Searching the records anew for each trial would take minutes where there are many.
#[test]
fn views_go_through_the_records_a_fixed_number_of_times() {
    let (_folder, path, ..) = kept(31, 30);
    let stock = Connection::open(&path).unwrap();
    for view in ["trial", "measurement_value", "report", "study_summary"] {
        let mut statement = stock.prepare(&format!("EXPLAIN QUERY PLAN SELECT * FROM {view}")).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = rows.collect::<Result<_, _>>().unwrap();
        assert!(steps.iter().any(|step| step.contains("SCAN")), "{view}: {steps:?}");
        assert!(!steps.iter().any(|step| step.contains("SEARCH record")), "{view}: {steps:?}");
    }
}

#[test]
fn sessions_are_paired_with_their_end() {
    let (_folder, path) = fresh();
    let mut journal = store_at(&path).create(header("a")).unwrap();
    let begin = |at| Stamped {
        at,
        entry: Entry::Opened(Opened { host_version: "0.1.0".into(), ..Opened::default() }),
    };
    let end = |at, seconds| Stamped {
        at,
        entry: Entry::Closed { reason: "interrupted".into(), elapsed: Duration::from_secs(seconds) },
    };
    // the second host died
    journal.append(&[begin(1.0), end(2.0, 1), begin(3.0), begin(5.0), end(9.0, 5), begin(10.0)]).unwrap();
    let stock = Connection::open(&path).unwrap();
    let mut statement =
        stock.prepare("SELECT opened_at, closed_at, elapsed FROM session ORDER BY opened_at").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let found: Vec<(f64, Option<f64>, Option<f64>)> = rows.collect::<Result<_, _>>().unwrap();
    let expected =
        [(1.0, Some(2.0), Some(1.0)), (3.0, None, None), (5.0, Some(9.0), Some(5.0)), (10.0, None, None)];
    assert_eq!(found, expected);
}

/// A plan as version 1 has it. Changing this text is a compatibility decision.
#[test]
fn a_stored_plan_stays_readable() {
    let text = serde_json::to_string(&plan("kept")).unwrap();
    assert_eq!(serde_json::from_str::<StudyPlan>(&text).unwrap(), plan("kept"));
}
