//! A file that SQLite cannot read everywhere: what it can read goes into a new one, whose pages then replace those of
//! the damaged one.

use super::super::backup::beside;
use super::super::sqlite::{SqliteStore, explain, read_value};
use super::super::{JournalError, JournalErrorKind, NetworkFolder};
use super::{Locks, QUARANTINE, beyond_repair, is_file_sound, lock_all, make_quarantine};
use crate::plan::Sync;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// How many numbers are tried one by one between what can be read from the one end and from the other.
const TRIED_MAX: i64 = 1_000_000;
/// After so many numbers in a row without an entry, there are none left.
const MISSED_MAX: i64 = 10_000;

/// Makes a file readable throughout: with new indexes if that is enough, else with what can be read of it.
pub fn mend_file(path: &Path, locks: &mut Locks, done: &mut Vec<String>) -> Result<(), JournalError> {
    let failed = |error| explain(path, "be mended", error);
    let damaged = open(path).map_err(failed)?;
    if is_file_sound(&damaged).map_err(failed)? {
        return Ok(());
    }
    // what it says to that does not matter: the check does
    let _ = damaged.execute_batch("REINDEX");
    if is_file_sound(&damaged).map_err(failed)? {
        done.push("made the indexes anew".to_owned());
        return Ok(());
    }
    let version = data_version(&damaged).map_err(failed)?;
    // those that began since the store was checked
    lock_all(path, &damaged, locks)?;
    let salvaged_path = beside(path, ".salvaged");
    remove(&salvaged_path);
    let mut salvaged = SqliteStore::open(&salvaged_path, Sync::Off, NetworkFolder::Allow)?;
    let count = salvage(&damaged, &mut salvaged.connection)
        .map_err(|error| explain(&salvaged_path, "be written", error))?;
    if data_version(&damaged).map_err(failed)? != version {
        drop(salvaged);
        remove(&salvaged_path);
        let message = format!(
            "somebody wrote to the store {} while it was read, and that would be lost: end everything that uses it, and \
             run ansatz repair again",
            path.display()
        );
        return Err(JournalError::new(JournalErrorKind::Locked, message));
    }
    drop(damaged);
    put_back(&salvaged.connection, path)
        .map_err(|error| beyond_repair(path, Some(&salvaged_path), &error.to_string()))?;
    drop(salvaged);
    let mended = open(path).and_then(|connection| is_file_sound(&connection));
    if !mended.is_ok_and(|is_sound| is_sound) {
        return Err(beyond_repair(
            path,
            Some(&salvaged_path),
            "it is damaged even after its pages were replaced",
        ));
    }
    remove(&salvaged_path);
    let quarantined = match count.quarantined {
        0 => String::new(),
        count => format!(", and {count} that earlier repairs had taken out,"),
    };
    done.push(format!(
        "saved {} studies with {} entries{quarantined} from a file that SQLite cannot read everywhere; what it could not \
         read, and tables that are not of ansatz, are in the copy only",
        count.studies, count.entries
    ));
    Ok(())
}

/// What could be read.
#[derive(Default)]
struct Count {
    studies: usize,
    entries: usize,
    quarantined: usize,
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Another number than before if another connection has written since.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA data_version", [], |row| row.get(0))
}

fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(beside(path, suffix));
    }
}

/// Errors are those of the new file only.
fn salvage(damaged: &Connection, new: &mut Connection) -> rusqlite::Result<Count> {
    let transaction = new.transaction()?;
    let mut studies: Vec<i64> = Vec::new();
    for order in ["", "DESC"] {
        let sql = format!(
            "SELECT study_id, name, seed, created_at, schema_version, plan, manifest FROM study ORDER BY study_id {order}"
        );
        let insert = "INSERT OR IGNORE INTO study (study_id, name, seed, created_at, schema_version, plan, manifest) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        for values in readable(damaged, &sql, &[], 7).0 {
            transaction.execute(insert, rusqlite::params_from_iter(&values))?;
            if let Value::Integer(study_id) = values[0] {
                studies.push(study_id);
            }
        }
    }
    // also of studies whose row cannot be read: the check says so, and the entries are kept
    studies.extend(study_ids(damaged));
    studies.sort_unstable();
    studies.dedup();
    let mut count =
        Count { studies: studies.len(), entries: 0, quarantined: salvage_quarantine(damaged, &transaction)? };
    salvage_queues(damaged, &transaction)?;
    for study_id in studies {
        count.entries += salvage_entries(damaged, &transaction, study_id)?;
    }
    transaction.commit()?;
    Ok(count)
}

/// The studies that have entries, as far as they can be found.
fn study_ids(damaged: &Connection) -> Vec<i64> {
    let mut found = Vec::new();
    let next = |after: i64| -> rusqlite::Result<Option<i64>> {
        damaged.query_row("SELECT min(study_id) FROM record WHERE study_id > ?1", [after], |row| row.get(0))
    };
    while let Ok(Some(study_id)) = next(found.last().copied().unwrap_or(i64::MIN)) {
        found.push(study_id);
    }
    found
}

/// What earlier repairs took out, from the front and from the back.
fn salvage_quarantine(damaged: &Connection, new: &Connection) -> rusqlite::Result<usize> {
    let columns = "rowid, study, study_id, number, at, kind, trial, body, reason, quarantined_at";
    let mut count = 0;
    for order in ["", "DESC"] {
        let sql = format!("SELECT {columns} FROM {QUARANTINE} ORDER BY rowid {order}");
        let (rows, is_whole) = readable(damaged, &sql, &[], 10);
        if !rows.is_empty() {
            make_quarantine(new)?;
        }
        let insert = format!(
            "INSERT OR IGNORE INTO {QUARANTINE} ({columns}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        );
        for values in rows {
            count += new.execute(&insert, rusqlite::params_from_iter(&values))?;
        }
        if is_whole {
            break;
        }
    }
    Ok(count)
}

/// Points that people have enqueued, from the front and from the back.
fn salvage_queues(damaged: &Connection, new: &Connection) -> rusqlite::Result<()> {
    for order in ["", "DESC"] {
        let sql = format!("SELECT number, study_id, ticket, at, body FROM enqueued ORDER BY number {order}");
        let insert =
            "INSERT OR IGNORE INTO enqueued (number, study_id, ticket, at, body) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (rows, is_whole) = readable(damaged, &sql, &[], 5);
        for values in rows {
            new.execute(insert, rusqlite::params_from_iter(&values))?;
        }
        if is_whole {
            break;
        }
    }
    Ok(())
}

const COLUMNS: &str = "study_id, number, at, kind, trial, body";

/// From the front, from the back, and one by one what is between.
fn salvage_entries(damaged: &Connection, new: &Connection, study_id: i64) -> rusqlite::Result<usize> {
    let mut count = 0;
    let mut put = |rows: Vec<Vec<Value>>| -> rusqlite::Result<Option<i64>> {
        let insert = format!("INSERT OR IGNORE INTO record ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
        let mut insert = new.prepare_cached(&insert)?;
        let mut last = None;
        for values in rows {
            count += insert.execute(rusqlite::params_from_iter(&values))?;
            last = match values[1] {
                Value::Integer(number) => Some(number),
                _ => last,
            };
        }
        Ok(last)
    };
    let all = |order| format!("SELECT {COLUMNS} FROM record WHERE study_id = ?1 ORDER BY number {order}");
    let (rows, is_whole) = readable(damaged, &all(""), &[study_id], 6);
    let front = put(rows)?;
    if is_whole {
        return Ok(count);
    }
    let from = front.map_or(0, |number| number.saturating_add(1));
    let back =
        format!("SELECT {COLUMNS} FROM record WHERE study_id = ?1 AND number >= ?2 ORDER BY number DESC");
    let until = put(readable(damaged, &back, &[study_id, from], 6).0)?;
    let one = format!("SELECT {COLUMNS} FROM record WHERE study_id = ?1 AND number = ?2");
    let mut missed = 0;
    for number in (from..until.unwrap_or(i64::MAX)).take(TRIED_MAX as usize) {
        let rows = readable(damaged, &one, &[study_id, number], 6).0;
        missed = if rows.is_empty() { missed + 1 } else { 0 };
        put(rows)?;
        if until.is_none() && missed > MISSED_MAX {
            break;
        }
    }
    Ok(count)
}

/// The rows of a query until the first that cannot be read; and whether there is none such.
fn readable(damaged: &Connection, sql: &str, values: &[i64], width: usize) -> (Vec<Vec<Value>>, bool) {
    let mut found = Vec::new();
    let Ok(mut statement) = damaged.prepare_cached(sql) else { return (found, false) };
    let Ok(mut rows) = statement.query(rusqlite::params_from_iter(values)) else { return (found, false) };
    loop {
        match rows.next() {
            Ok(None) => return (found, true),
            Err(_) => return (found, false),
            Ok(Some(row)) => match (0..width).map(|column| read_value(row, column)).collect() {
                Ok(values) => found.push(values),
                Err(_) => return (found, false),
            },
        }
    }
}

/// Replaces every page of a database, in one transaction.
fn put_back(new: &Connection, path: &Path) -> rusqlite::Result<()> {
    let mut target = open(path)?;
    let copy = Backup::new(new, &mut target)?;
    match copy.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("another process uses it".to_owned()),
        )),
    }
}
