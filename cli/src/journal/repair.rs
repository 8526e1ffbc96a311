//! Mends a store as far as that goes: what does not make sense is taken out of the journals and kept in a table of
//! its own, and nothing is deleted that is not kept. Whatever is done, a copy of the store is made first.
//!
//! A record that is missing or makes no sense takes with it what does not fit without it, and no more: what still fits
//! moves up, so that as many outcomes as possible survive. All of it is one transaction.

mod salvage;

use super::backup::{Existing, beside};
use super::check::{
    BEFORE_ALL, Checkup, QUARANTINE, column_of, file_problems, is_on_board, latest_plan, orphans,
    read_header, schema_problems, strays, study_ids,
};
use super::lock::StudyLock;
use super::pages::PAGE_ROWS;
use super::schema::{self, MIGRATIONS, SCHEMA_VERSION};
use super::sqlite::{SqliteStore, explain, insert_lists, read_row, read_value};
use super::wire::Kind;
use super::{Entry, JournalError, JournalErrorKind, NetworkFolder, StudyCheckup, wire};
use crate::plan::{OnInterrupt, StudyPlan, Sync};
use ansatz_core::study::{Record, Study};
use ansatz_core::{Failure, Outcome, TrialId};
use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use std::collections::{BTreeMap, btree_map};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a repair is to do.
#[derive(Clone, Debug, Default)]
pub struct RepairRules {
    /// Where the copy goes; by default beside the store.
    pub backup: Option<PathBuf>,
    /// Trials that nobody works on are ended as lost also where the study would run them again.
    pub close_orphans: bool,
    /// The time, in seconds since 1970.
    pub now: f64,
}

/// What a repair did.
#[derive(Clone, Debug, PartialEq)]
pub struct Repairs {
    /// The copy of the store as it was; `None` if there was nothing to do.
    pub backup: Option<PathBuf>,
    /// What was done, in words.
    pub done: Vec<String>,
    /// The store afterwards, with what could not be mended.
    pub after: Checkup,
}

/// Looks for what is wrong with a store, and mends it.
///
/// Errors: a study of it is being run, it was written by a newer version, it cannot be opened or copied.
pub fn repair(path: &Path, rules: &RepairRules, network: NetworkFolder) -> Result<Repairs, JournalError> {
    let (store, version) = SqliteStore::open_to_check(path, network)?;
    let before = store.check()?;
    if rules.close_orphans
        && let Some(study) = before.studies.iter().find(|study| study.is_on_board)
    {
        return Err(still_on_board(&store.path, &study.name));
    }
    let is_current = version == SCHEMA_VERSION;
    if before.is_sound() && before.studies.iter().all(|study| !is_to_close(study, rules)) {
        return Ok(Repairs { backup: None, done: Vec::new(), after: before });
    }
    let place = store.path.clone();
    let mut locks = Locks::new();
    lock_all(&place, &store.connection, &mut locks)?;
    let backup = match &rules.backup {
        Some(backup) => backup.clone(),
        None => free_name(&place),
    };
    let backup = store.backup(&backup, Existing::Keep)?.path;
    drop(store);

    let mut done = Vec::new();
    salvage::mend_file(&place, &mut locks, &mut done).map_err(|error| with_backup(error, &backup))?;
    if !is_current {
        done.push(format!("brought the schema up to version {SCHEMA_VERSION}"));
    }
    let mended =
        mend(&place, rules, network, &mut locks, &mut done).map_err(|error| with_backup(error, &backup));
    drop(locks);
    mended?;
    let (store, _) = SqliteStore::open_to_check(&place, network)?;
    Ok(Repairs { backup: Some(backup), done, after: store.check()? })
}

/// Whether trials of the study that nobody works on are to be ended.
fn is_to_close(study: &StudyCheckup, rules: &RepairRules) -> bool {
    !study.orphans.is_empty()
        && !study.is_on_board
        && (rules.close_orphans || study.on_interrupt == Some(OnInterrupt::Fail))
}

fn still_on_board(path: &Path, study: &str) -> JournalError {
    let path = path.display();
    let message = format!(
        "the orphans of study {study} are not ended, since what came of them may be on the board: run ansatz resume \
         {study} --journal {path} --on board first, which takes it over; or, if that is not wanted, remove {path}.board \
         while nobody uses it"
    );
    JournalError::new(JournalErrorKind::Locked, message)
}

fn with_backup(error: JournalError, backup: &Path) -> JournalError {
    let message = format!("{}; the store as it was is in {}", error.message, backup.display());
    JournalError::new(error.kind, message)
}

/// `<store>.before-repair-1`, or with the first number that is free.
fn free_name(store: &Path) -> PathBuf {
    let name = |number| beside(store, &format!(".before-repair-{number}"));
    (1..).map(name).find(|path| path.symlink_metadata().is_err()).unwrap_or_else(|| name(1))
}

/// The studies that hosts are kept from, by name.
pub(super) type Locks = BTreeMap<String, StudyLock>;

/// Keeps hosts from every study whose name can be read; one that is being run is an error.
fn lock_all(path: &Path, connection: &Connection, locks: &mut Locks) -> Result<(), JournalError> {
    for name in readable_names(connection) {
        // a second one would wait for ourselves
        if let btree_map::Entry::Vacant(place) = locks.entry(name) {
            let lock = StudyLock::take(path, place.key())?;
            place.insert(lock);
        }
    }
    Ok(())
}

fn readable_names(connection: &Connection) -> Vec<String> {
    let Ok(mut statement) = connection.prepare("SELECT name FROM study") else { return Vec::new() };
    let Ok(names) = statement.query_map([], |row| row.get(0)) else { return Vec::new() };
    names.filter_map(Result::ok).collect()
}

/// `locks`: of the studies there were when the store was checked.
pub(super) fn mend(
    path: &Path,
    rules: &RepairRules,
    network: NetworkFolder,
    locks: &mut Locks,
    done: &mut Vec<String>,
) -> Result<(), JournalError> {
    let failed = |error| explain(path, "be mended", error);
    let mut store = SqliteStore::open(path, Sync::Full, network)?;
    // nobody else is to begin a study meanwhile
    let transaction =
        Transaction::new(&mut store.connection, TransactionBehavior::Immediate).map_err(failed)?;
    // those that began since the store was checked
    lock_all(path, &transaction, locks)?;
    let mut mending = Mending { path, connection: &transaction, rules, done };
    mending.mend_schema().and_then(|()| mending.move_strays()).map_err(failed)?;
    for study_id in study_ids(&transaction).map_err(failed)? {
        mending.mend_study(study_id).map_err(failed)?;
    }
    if !mending.done.is_empty() {
        // they may be of what there is no more
        transaction.execute("DELETE FROM digest", []).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// A repair, within its transaction.
struct Mending<'a> {
    path: &'a Path,
    connection: &'a Connection,
    rules: &'a RepairRules,
    done: &'a mut Vec<String>,
}

impl Mending<'_> {
    /// Makes triggers, views and lists anew that are missing or not as they were made.
    fn mend_schema(&mut self) -> rusqlite::Result<()> {
        if schema_problems(self.connection, SCHEMA_VERSION)?.is_empty() {
            return Ok(());
        }
        let mut model = Connection::open_in_memory()?;
        schema::migrate(&mut model, MIGRATIONS)?;
        let mut parts = model.prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
        let mut parts = parts.query([])?;
        while let Some(part) = parts.next()? {
            let (kind, name, sql): (String, String, String) = (part.get(0)?, part.get(1)?, part.get(2)?);
            let found = "SELECT count(*) FROM sqlite_schema WHERE type = ?1 AND name = ?2 AND sql = ?3";
            let exists = "SELECT count(*) FROM sqlite_schema WHERE type = ?1 AND name = ?2";
            let count = |sql, values: &[&String]| {
                self.connection.query_row(sql, rusqlite::params_from_iter(values), |row| row.get::<_, i64>(0))
            };
            // a table with other columns has something in it: that is for people
            let is_there = count(exists, &[&kind, &name])? > 0;
            if count(found, &[&kind, &name, &sql])? > 0 || (kind == "table" && is_there) {
                continue;
            }
            if is_there {
                self.connection.execute_batch(&format!("DROP {kind} {name}"))?;
            }
            self.connection.execute_batch(&sql)?;
            self.done.push(format!("made the {kind} {name} anew"));
        }
        Ok(())
    }

    /// Entries of studies that do not exist.
    fn move_strays(&mut self) -> rusqlite::Result<()> {
        for study_id in strays(self.connection)? {
            make_quarantine(self.connection)?;
            let sql = format!(
                "INSERT INTO {QUARANTINE} SELECT NULL, study_id, number, at, kind, trial, body, ?2, ?3 FROM record \
                 WHERE study_id = ?1"
            );
            let reason = "its study does not exist";
            let count = self.connection.execute(&sql, params![study_id, reason, self.rules.now])?;
            self.connection.execute("DELETE FROM record WHERE study_id = ?1", [study_id])?;
            self.done.push(format!(
                "took {count} entries of a study {study_id}, which does not exist, into the table {QUARANTINE}"
            ));
        }
        Ok(())
    }

    fn mend_study(&mut self, study_id: i64) -> rusqlite::Result<()> {
        let header = read_header(self.connection, study_id)?;
        // nothing is known without its plan: all stays as it is
        let Ok(plan) = header.plan else { return Ok(()) };
        self.mend_lists(study_id, &header.name, &plan)?;
        let plan = latest_plan(self.connection, study_id, plan)?;
        let mut sieve = Sieve::new(study_id, &header.name, &plan);
        while self.sift_page(&mut sieve)? {}
        if sieve.quarantined > 0 {
            self.done.push(format!(
                "study {}: took {} of its {} entries into the table {QUARANTINE}, beginning with entry {}: {}",
                header.name, sieve.quarantined, sieve.row_count, sieve.first_bad.0, sieve.first_bad.1
            ));
        }
        if sieve.moved > 0 {
            self.done.push(format!(
                "study {}: {} entries that still fit have moved up, so that their numbers have no gaps",
                header.name, sieve.moved
            ));
        }
        if sieve.corrected > 0 {
            self.done.push(format!(
                "study {}: set the column trial of {} entries to what their bodies say",
                header.name, sieve.corrected
            ));
        }
        self.close_orphans(&mut sieve)
    }

    fn mend_lists(&mut self, study_id: i64, name: &str, plan: &StudyPlan) -> rusqlite::Result<()> {
        if super::check::list_problems(self.connection, study_id, plan)?.is_empty() {
            return Ok(());
        }
        self.connection.execute("DELETE FROM member WHERE study_id = ?1", [study_id])?;
        self.connection.execute("DELETE FROM metric WHERE study_id = ?1", [study_id])?;
        insert_lists(self.connection, study_id, plan)?;
        self.done
            .push(format!("study {name}: wrote its lists of strategies and metrics anew, from its plan"));
        Ok(())
    }

    /// Sifts some entries. Whether there may be others.
    fn sift_page(&mut self, sieve: &mut Sieve) -> rusqlite::Result<bool> {
        let page = sieve.read_page(self.connection)?;
        let is_last = page.len() < PAGE_ROWS as usize;
        for row in page {
            sieve.row_count += 1;
            sieve.last_seen = row.number.clone();
            match row.reason {
                Some(reason) => self.quarantine(sieve, &row.number, reason)?,
                None => self.keep(sieve, &row)?,
            }
        }
        Ok(!is_last)
    }

    fn quarantine(&mut self, sieve: &mut Sieve, number: &Value, reason: String) -> rusqlite::Result<()> {
        make_quarantine(self.connection)?;
        let sql = format!(
            "INSERT INTO {QUARANTINE} SELECT ?3, study_id, number, at, kind, trial, body, ?4, ?5 FROM record \
             WHERE study_id = ?1 AND number IS ?2"
        );
        self.connection.execute(&sql, params![sieve.study_id, number, sieve.name, reason, self.rules.now])?;
        self.connection.execute(
            "DELETE FROM record WHERE study_id = ?1 AND number IS ?2",
            params![sieve.study_id, number],
        )?;
        if sieve.quarantined == 0 {
            let number = match number {
                Value::Integer(number) => number.to_string(),
                other => format!("{other:?}"),
            };
            sieve.first_bad = (number, reason);
        }
        sieve.quarantined += 1;
        Ok(())
    }

    fn keep(&mut self, sieve: &mut Sieve, row: &Sifted) -> rusqlite::Result<()> {
        let next = Value::Integer(sieve.next_number);
        sieve.next_number += 1;
        let (is_moved, is_corrected) = (row.number != next, row.trial != row.column);
        if is_moved || is_corrected {
            // a trigger forbids to change an entry
            let place = params![sieve.study_id, row.number];
            let (at, kind, body): (Value, Value, Value) = self.connection.query_row(
                "SELECT at, kind, body FROM record WHERE study_id = ?1 AND number IS ?2",
                place,
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            self.connection.execute("DELETE FROM record WHERE study_id = ?1 AND number IS ?2", place)?;
            self.connection.execute(
                "INSERT INTO record (study_id, number, at, kind, trial, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![sieve.study_id, next, at, kind, row.trial, body],
            )?;
        }
        sieve.moved += u64::from(is_moved);
        sieve.corrected += u64::from(is_corrected);
        Ok(())
    }

    /// Ends what nobody works on, where the study says so or somebody asked for it.
    fn close_orphans(&mut self, sieve: &mut Sieve) -> rusqlite::Result<()> {
        let orphans = orphans(&sieve.study);
        if orphans.is_empty() || !(self.rules.close_orphans || sieve.on_interrupt == OnInterrupt::Fail) {
            return Ok(());
        }
        if is_on_board(self.path, &sieve.name) {
            self.done.push(still_on_board(self.path, &sieve.name).message);
            return Ok(());
        }
        let mut ended = Vec::new();
        for trial in orphans {
            let reason = match self.was_taken_out(sieve, trial)? {
                true => "its outcome was taken out by a repair",
                false => "the host ended while it ran, and nobody ran it again",
            };
            let records = lost(&mut sieve.study, trial, reason);
            // the first of them is its own
            if !records.is_empty() {
                ended.push(trial);
            }
            for record in records {
                self.append(sieve, Entry::Study(record))?;
            }
        }
        if ended.is_empty() {
            return Ok(());
        }
        self.done.push(format!(
            "study {}: ended {} that nobody worked on, as lost: {}",
            sieve.name,
            if ended.len() == 1 { "1 trial".to_owned() } else { format!("{} trials", ended.len()) },
            ended.iter().map(TrialId::to_string).collect::<Vec<_>>().join(", ")
        ));
        Ok(())
    }

    /// Whether this repair took an outcome of the trial.
    fn was_taken_out(&self, sieve: &Sieve, trial: TrialId) -> rusqlite::Result<bool> {
        if sieve.quarantined == 0 {
            return Ok(false);
        }
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {QUARANTINE} WHERE study_id = ?1 AND trial = ?2 AND quarantined_at = ?3 \
             AND kind IN (?4, ?5))"
        );
        let outcomes = [Kind::Finished.word(), Kind::Arrived.word()];
        let values =
            params![sieve.study_id, column_of(Some(trial.0)), self.rules.now, outcomes[0], outcomes[1]];
        self.connection.query_row(&sql, values, |row| row.get(0))
    }

    fn append(&mut self, sieve: &mut Sieve, entry: Entry) -> rusqlite::Result<()> {
        let mut body = Vec::new();
        let (kind, trial) = wire::encode(&entry, &sieve.space, &mut body)
            .map_err(|reason| rusqlite::Error::ToSqlConversionFailure(reason.into()))?;
        let body = String::from_utf8_lossy(&body);
        self.connection.execute(
            "INSERT INTO record (study_id, number, at, kind, trial, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![sieve.study_id, sieve.next_number, sieve.last_at, kind.word(), column_of(trial), body],
        )?;
        sieve.next_number += 1;
        Ok(())
    }
}

fn make_quarantine(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {QUARANTINE} (study TEXT, study_id INTEGER, number INTEGER, at REAL, kind TEXT, \
         trial INTEGER, body TEXT, reason TEXT NOT NULL, quarantined_at REAL NOT NULL)"
    ))
}

/// The records by which a trial ends that was lost with its host; they are applied. With a window it may have to wait,
/// and others may count that waited for it.
fn lost(study: &mut Study, trial: TrialId, reason: &str) -> Vec<Record> {
    let outcome = Outcome::Failed { failure: Failure::Lost, reason: reason.to_owned() };
    // one that had been told to stop has ended, whatever became of its host
    let ended = match study.early_stop(trial).is_some() {
        true => study.conclude(trial, outcome, Duration::ZERO),
        false => Record::Finished { trial, outcome, duration: Duration::ZERO, reused: None },
    };
    let mut records = Vec::new();
    let mut next = Some(match ended {
        Record::Finished { trial, outcome, duration, reused } if study.has_to_wait(trial, Duration::ZERO) => {
            Record::Arrived { trial, outcome, duration, reused }
        }
        other => other,
    });
    while let Some(record) = next {
        let is_counted = matches!(record, Record::Finished { .. });
        if study.apply(&record).is_err() {
            break;
        }
        records.push(record);
        next = match study.due() {
            Some(due @ Record::Finished { trial, .. })
                if is_counted && !study.has_to_wait(*trial, Duration::ZERO) =>
            {
                Some(due.clone())
            }
            _ => None,
        };
    }
    records
}

/// The entries of a study, of which those that fit are kept.
struct Sieve {
    study_id: i64,
    name: String,
    space: ansatz_core::Space,
    study: Study,
    on_interrupt: OnInterrupt,
    last_seen: Value,
    /// The time of the last entry that stays: what is added has it too, since a session runs until its last entry.
    last_at: f64,
    next_number: i64,
    row_count: u64,
    quarantined: u64,
    /// Number and reason.
    first_bad: (String, String),
    moved: u64,
    corrected: u64,
}

/// An entry, and what is to become of it.
struct Sifted {
    number: Value,
    column: Value,
    trial: Value,
    /// Why it cannot stay.
    reason: Option<String>,
}

impl Sieve {
    fn new(study_id: i64, name: &str, plan: &StudyPlan) -> Self {
        Self {
            study_id,
            name: name.to_owned(),
            space: plan.rules.problem.space.clone(),
            study: Study::new(plan.rules.clone()),
            on_interrupt: plan.run.on_interrupt,
            last_seen: BEFORE_ALL,
            last_at: 0.0,
            next_number: 0,
            row_count: 0,
            quarantined: 0,
            first_bad: (String::new(), String::new()),
            moved: 0,
            corrected: 0,
        }
    }

    fn read_page(&mut self, connection: &Connection) -> rusqlite::Result<Vec<Sifted>> {
        // numbers may be anything: a table does not insist on its types
        let sql = "SELECT number, at, kind, body, trial FROM record WHERE study_id = ?1 \
                   AND number > ?2 ORDER BY number LIMIT ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![self.study_id, self.last_seen, PAGE_ROWS])?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            let (number, column) = (read_value(row, 0)?, read_value(row, 4)?);
            let judged = match number {
                Value::Integer(number) if number >= 0 => self.judge(row),
                _ => Err("its number is none".to_owned()),
            };
            page.push(match judged {
                Ok(trial) => Sifted { number, column, trial: column_of(trial), reason: None },
                Err(reason) => Sifted { number, column, trial: Value::Null, reason: Some(reason) },
            });
        }
        Ok(page)
    }

    /// Takes an entry into the study, and gives the trial that it is about; or why it cannot stay.
    fn judge(&mut self, row: &rusqlite::Row<'_>) -> Result<Option<u64>, String> {
        let (at, entry) =
            read_row(row, &self.space).map_err(|reason| format!("it makes no sense ({reason})"))?;
        match &entry {
            Entry::Study(record) => {
                self.study.apply(record).map_err(|error| format!("it does not fit what is left: {error}"))?;
            }
            Entry::Opened(_) | Entry::Closed { .. } => {}
        }
        self.last_at = at;
        Ok(wire::trial_of(&entry))
    }
}

/// For messages: the store could not be mended where it is.
fn beyond_repair(path: &Path, salvaged: Option<&Path>, why: &str) -> JournalError {
    let rest = salvaged.map_or(String::new(), |salvaged| {
        format!(
            "; what could be read is in {}: end everything that uses the store, and put it in its place, without the \
             -wal and -shm files that were beside it",
            salvaged.display()
        )
    });
    let message = format!("the store {} cannot be mended where it is: {why}{rest}", path.display());
    JournalError::new(JournalErrorKind::Damaged, message)
}

/// What SQLite finds wrong with the file, if it can be opened at all.
fn is_file_sound(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(file_problems(connection)?.is_empty())
}
