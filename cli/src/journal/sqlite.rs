//! Journals in one SQLite database: many readers, one writing host for each study, one file to copy.
//!
//! Every transaction that may write begins as a writing one, so nobody ever waits in vain for a lock to be
//! raised. Reading goes by pages in short transactions, so nobody holds up the writer's housekeeping.
//! Tables and durability: docs/journal.md.

use super::check::{Lists, lists_of};
use super::file_system::{NetworkFolder, refuse_network};
use super::lock::StudyLock;
use super::pages::{PAGE_ROWS, Page, PageSource, Pages};
use super::schema::{self, Content, MIGRATIONS, SCHEMA_VERSION};
use super::wire::{self, Kind};
use super::{
    Entries, Entry, Journal, JournalError, JournalErrorKind, KeptDigest, Queued, Stamped, Store, Stored,
    StudyEntry, StudyHeader, Waiting,
};
use crate::plan::{StudyPlan, Sync};
use ansatz_core::Space;
use ansatz_core::nearest::did_you_mean;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// A write-ahead log that grew beyond this, because of a slow reader, is cut back, in bytes.
const LOG_BYTES_MAX: i64 = 64 << 20;

/// Journals in one SQLite database.
pub struct SqliteStore {
    /// Absolute and without symbolic links, so that all who use it agree on the names of its lock files.
    pub(super) path: PathBuf,
    sync: Sync,
    access: Access,
    pub(super) connection: Connection,
}

/// The journal of one study in a SQLite database.
pub struct SqliteJournal {
    path: PathBuf,
    // before the lock: fields are dropped in order
    pub(super) connection: Connection,
    study_id: i64,
    header: StudyHeader,
    writing: Option<Writing>,
}

struct Writing {
    next_number: u64,
    /// The bodies of a batch, one after the other, and what else is in their rows. Kept to be used again.
    bodies: Vec<u8>,
    rows: Vec<Row>,
    _lock: StudyLock,
}

struct Row {
    at: f64,
    kind: Kind,
    trial: Option<i64>,
    body_end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Write,
    Read,
    /// As it lies on the disk, without any file beside it: for folders that nobody may write to.
    ReadImmutable,
}

impl SqliteStore {
    /// The store in a database, for writing. The file and its folder are made if they do not exist, and an
    /// older schema is brought up to date.
    ///
    /// Errors: a network file system, a newer schema, a file that is something else, no permission.
    pub fn open(path: &Path, sync: Sync, network: NetworkFolder) -> Result<Self, JournalError> {
        let path = absolute(path)?;
        refuse_folder(&path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(folder).map_err(|error| {
            let advice = "make it by hand, or choose another path for the journal";
            io_error(&format!("the folder {} cannot be made: {error}; {advice}", folder.display()), &error)
        })?;
        if network == NetworkFolder::Refuse {
            // a file that exists may be a link to somewhere else
            refuse_network(if path.exists() { &path } else { folder })?;
        }
        let failed = |error| explain(&path, "be opened", error);
        let mut connection = connect(&path, Access::Write, sync).map_err(failed)?;
        check_content(&path, schema::content(&connection).map_err(failed)?)?;
        use_write_ahead_log(&path, &connection)?;
        schema::migrate(&mut connection, MIGRATIONS).map_err(failed)?;
        // somebody else may have been quicker
        check_content(&path, schema::content(&connection).map_err(failed)?)?;
        let path =
            path.canonicalize().map_err(|error| io_error(&format!("{}: {error}", path.display()), &error))?;
        Ok(Self { path, sync, access: Access::Write, connection })
    }

    /// The store in an existing database, only for reading.
    ///
    /// Errors: no such file, a network file system, an older or a newer schema, a file that is something else.
    pub fn open_read_only(path: &Path, network: NetworkFolder) -> Result<Self, JournalError> {
        let (store, version) = Self::open_to_check(path, network)?;
        if version < SCHEMA_VERSION {
            return Err(JournalError::new(
                JournalErrorKind::Older,
                format!(
                    "the journal {} has version {version} of the schema, this host reads version {SCHEMA_VERSION}; \
                     ansatz resume, run and enqueue bring it up to date; or use an older ansatz",
                    store.path.display()
                ),
            ));
        }
        Ok(store)
    }

    /// The same, also if its schema is an older one; and the version of its schema.
    pub fn open_to_check(path: &Path, network: NetworkFolder) -> Result<(Self, u32), JournalError> {
        let path = absolute(path)?;
        refuse_folder(&path)?;
        let path = path.canonicalize().map_err(|error| {
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => format!("there is no journal at {}", path.display()),
                _ => format!("the journal {} cannot be read: {error}", path.display()),
            };
            io_error(&message, &error)
        })?;
        if network == NetworkFolder::Refuse {
            refuse_network(&path)?;
        }
        let open = |access| {
            let connection = connect(&path, access, Sync::Off)?;
            let content = schema::content(&connection)?;
            rusqlite::Result::Ok((access, connection, content))
        };
        let opened = match open(Access::Read) {
            // where no file can be made beside it, and nothing waits in a log, the file alone is all there is
            Err(error) if is_kept_from_files(&error) && !has_log(&path) => open(Access::ReadImmutable),
            other => other,
        };
        let (access, connection, content) = opened.map_err(|error| explain(&path, "be read", error))?;
        check_content(&path, content)?;
        let Content::Journals(version) = content else {
            return Err(JournalError::new(
                JournalErrorKind::Missing,
                format!("the journal {} is empty: no study was ever begun in it", path.display()),
            ));
        };
        Ok((Self { path, sync: Sync::Off, access, connection }, version))
    }

    /// As `Store::create`, without hiding what it is.
    pub fn create_journal(&self, header: StudyHeader) -> Result<SqliteJournal, JournalError> {
        let invalid = |reason: String| {
            JournalError::new(
                JournalErrorKind::Invalid,
                format!("study {} cannot be stored: {reason}; this is a bug", header.plan.name),
            )
        };
        let name = &header.plan.name;
        if name.is_empty() {
            return Err(invalid("it has no name".into()));
        }
        if !header.created_at.is_finite() {
            return Err(invalid(format!("it was created at {}", header.created_at)));
        }
        let plan = wire::plan_text(&header.plan).map_err(invalid)?;
        let lock = self.lock(name)?;
        let failed = |error| explain(&self.path, "be written", error);
        let mut connection = connect(&self.path, Access::Write, self.sync).map_err(failed)?;
        let study_id = insert_study(&mut connection, &header, &plan).map_err(|error| {
            if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
                return failed(error);
            }
            JournalError::new(
                JournalErrorKind::Exists,
                format!(
                    "the journal {} has a study {name} already; resume it, or give the new one another name",
                    self.path.display()
                ),
            )
        })?;
        SqliteJournal::new(self.path.clone(), connection, study_id, header, Some(lock))
    }

    /// As `Store::open`, without hiding what it is.
    pub fn open_journal(&self, name: &str) -> Result<SqliteJournal, JournalError> {
        // first, so that a name that does not exist leaves nothing behind
        let (study_id, header) = self.find(name)?;
        let lock = self.lock(name)?;
        let connection = connect(&self.path, Access::Write, self.sync)
            .map_err(|error| explain(&self.path, "be opened", error))?;
        SqliteJournal::new(self.path.clone(), connection, study_id, header, Some(lock))
    }

    /// As `Store::read`, without hiding what it is.
    pub fn read_journal(&self, name: &str) -> Result<SqliteJournal, JournalError> {
        let (study_id, header) = self.find(name)?;
        let access = if self.access == Access::ReadImmutable { self.access } else { Access::Read };
        let connection =
            connect(&self.path, access, self.sync).map_err(|error| explain(&self.path, "be read", error))?;
        SqliteJournal::new(self.path.clone(), connection, study_id, header, None)
    }

    fn lock(&self, study: &str) -> Result<StudyLock, JournalError> {
        match self.access {
            Access::Write => StudyLock::take(&self.path, study),
            _ => Err(only_for_reading(&self.path)),
        }
    }

    fn find(&self, name: &str) -> Result<(i64, StudyHeader), JournalError> {
        let failed = |error| explain(&self.path, "be read", error);
        let found = self
            .connection
            .prepare_cached("SELECT study_id, created_at, plan, manifest FROM study WHERE name = ?1")
            .and_then(|mut statement| {
                let row = statement.query_row([name], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get(3)?))
                });
                row.optional()
            });
        let Some((study_id, created_at, plan, manifest)) = found.map_err(failed)? else {
            let studies = self.studies()?;
            let names = studies.iter().map(|study| study.name.as_str());
            let list: Vec<&str> = names.clone().collect();
            return Err(JournalError::new(
                JournalErrorKind::Missing,
                format!(
                    "the journal {} has no study {name}{}; it has {}",
                    self.path.display(),
                    did_you_mean(name, names),
                    if list.is_empty() { "none at all".to_owned() } else { list.join(", ") }
                ),
            ));
        };
        let plan = serde_json::from_str(&plan).map_err(|error| {
            damaged(&self.path, &format!("the plan of study {name} cannot be understood ({error})"))
        })?;
        Ok((study_id, StudyHeader { plan, manifest, created_at }))
    }
}

impl Store for SqliteStore {
    fn studies(&self) -> Result<Vec<StudyEntry>, JournalError> {
        let sql = "
            SELECT study.name, study.seed, study.created_at, study.schema_version, last.number, last.at, last.kind
            FROM study LEFT JOIN record AS last ON last.study_id = study.study_id AND last.number = (
                SELECT max(number) FROM record WHERE record.study_id = study.study_id
            ) ORDER BY study.study_id";
        let failed = |error| explain(&self.path, "be read", error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        let mut studies = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let study = || {
                Ok(StudyEntry {
                    name: row.get(0)?,
                    seed: row.get::<_, String>(1)?.parse().unwrap_or_default(),
                    created_at: row.get(2)?,
                    schema_version: row.get(3)?,
                    entry_count: row.get::<_, Option<i64>>(4)?.map_or(0, |number| number as u64 + 1),
                    last_at: row.get(5)?,
                    is_closed: row
                        .get::<_, Option<String>>(6)?
                        .is_some_and(|kind| kind == Kind::Closed.word()),
                })
            };
            studies.push(study().map_err(failed)?);
        }
        Ok(studies)
    }

    fn create(&self, header: StudyHeader) -> Result<Box<dyn Journal>, JournalError> {
        self.create_journal(header).map(|journal| Box::new(journal) as Box<dyn Journal>)
    }

    fn open(&self, name: &str) -> Result<Box<dyn Journal>, JournalError> {
        self.open_journal(name).map(|journal| Box::new(journal) as Box<dyn Journal>)
    }

    fn read(&self, name: &str) -> Result<Box<dyn Journal>, JournalError> {
        self.read_journal(name).map(|journal| Box::new(journal) as Box<dyn Journal>)
    }

    fn enqueue(&self, study: &str, at: f64, points: &[Queued]) -> Result<(), JournalError> {
        if self.access != Access::Write {
            return Err(only_for_reading(&self.path));
        }
        let (study_id, header) = self.find(study)?;
        let texts = wire::enqueued_texts(points, &header.plan.rules.problem.space)?;
        let insert = || {
            let transaction = self.connection.unchecked_transaction()?;
            let sql = "INSERT INTO enqueued (study_id, ticket, at, body) VALUES (?1, ?2, ?3, ?4)";
            for (queued, text) in points.iter().zip(&texts) {
                transaction.execute(sql, params![study_id, queued.ticket as i64, at, text])?;
            }
            transaction.commit()
        };
        insert().map_err(|error| explain(&self.path, "be written", error))
    }

    fn integrity_check(&self) -> Result<Vec<String>, JournalError> {
        Ok(self.check()?.problems().collect())
    }
}

impl SqliteJournal {
    fn new(
        path: PathBuf,
        connection: Connection,
        study_id: i64,
        header: StudyHeader,
        lock: Option<StudyLock>,
    ) -> Result<Self, JournalError> {
        let mut journal = Self { path, connection, study_id, header, writing: None };
        if let Some(lock) = lock {
            let next_number = journal.entry_count()?;
            journal.writing =
                Some(Writing { next_number, bodies: Vec::new(), rows: Vec::new(), _lock: lock });
        }
        Ok(journal)
    }
}

impl Journal for SqliteJournal {
    fn header(&self) -> &StudyHeader {
        &self.header
    }

    fn entry_count(&self) -> Result<u64, JournalError> {
        entry_count(&self.connection, self.study_id).map_err(|error| explain(&self.path, "be read", error))
    }

    fn entries(&self, from: u64) -> Entries<'_> {
        Box::new(Pages::new(self, from))
    }

    fn append(&mut self, entries: &[Stamped]) -> Result<(), JournalError> {
        let writing = self.writing.as_mut().ok_or_else(|| only_for_reading(&self.path))?;
        if entries.is_empty() {
            return Ok(());
        }
        // everything that needs no database comes before the transaction
        writing.encode(entries, &self.header.plan.rules.problem.space, &self.header.plan.name)?;
        match writing.insert(&mut self.connection, self.study_id) {
            Ok(None) => Ok(()),
            Ok(Some(found)) => {
                Err(conflict(&self.path, &self.header.plan.name, writing.next_number, Some(found)))
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(conflict(&self.path, &self.header.plan.name, writing.next_number, None))
            }
            Err(error) => Err(explain(&self.path, "be written", error)),
        }
    }

    fn keep_digest(&mut self, at: f64, body: &str) -> Result<(), JournalError> {
        let entry_count = self.writing.as_ref().ok_or_else(|| only_for_reading(&self.path))?.next_number;
        let sql = "INSERT OR REPLACE INTO digest (study_id, entry_count, at, body) VALUES (?1, ?2, ?3, ?4)";
        let kept = self.connection.execute(sql, params![self.study_id, entry_count as i64, at, body]);
        kept.map(drop).map_err(|error| explain(&self.path, "be written", error))
    }

    fn delete(self: Box<Self>) -> Result<(), JournalError> {
        if self.writing.is_none() {
            return Err(only_for_reading(&self.path));
        }
        let deleted = self.connection.execute("DELETE FROM study WHERE study_id = ?1", [self.study_id]);
        deleted.map(drop).map_err(|error| explain(&self.path, "be written", error))
    }

    fn digest(&self) -> Result<Option<KeptDigest>, JournalError> {
        let sql = "SELECT entry_count, at, body FROM digest WHERE study_id = ?1";
        let found = self.connection.query_row(sql, [self.study_id], |row| {
            let entry_count = row.get::<_, i64>(0)? as u64;
            Ok(KeptDigest { entry_count, at: row.get(1)?, body: row.get(2)? })
        });
        found.optional().map_err(|error| explain(&self.path, "be read", error))
    }

    fn queue(&self) -> Result<Vec<Waiting>, JournalError> {
        let read = || {
            let sql = "SELECT ticket, body FROM enqueued WHERE study_id = ?1 ORDER BY number";
            let mut statement = self.connection.prepare_cached(sql)?;
            let rows = statement.query_map([self.study_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(i64, String)>>>()
        };
        let rows = read().map_err(|error| explain(&self.path, "be read", error))?;
        let space = &self.header.plan.rules.problem.space;
        let waiting = |(ticket, text): (i64, String)| Waiting {
            ticket: ticket as u64,
            point: wire::enqueued(&text, space),
        };
        Ok(rows.into_iter().map(waiting).collect())
    }

    fn dequeue(&mut self, tickets: &[u64]) -> Result<(), JournalError> {
        if self.writing.is_none() {
            return Err(only_for_reading(&self.path));
        }
        let delete = || {
            let transaction = self.connection.unchecked_transaction()?;
            let sql = "DELETE FROM enqueued WHERE study_id = ?1 AND ticket = ?2";
            for ticket in tickets {
                transaction.execute(sql, params![self.study_id, *ticket as i64])?;
            }
            transaction.commit()
        };
        delete().map_err(|error| explain(&self.path, "be written", error))
    }

    fn close(self: Box<Self>) -> Result<(), JournalError> {
        let Self { path, connection, writing, .. } = *self;
        let closed = connection.close().map_err(|(_, error)| explain(&path, "be closed", error));
        drop(writing);
        closed
    }
}

impl Writing {
    /// Fills `bodies` and `rows`.
    fn encode(&mut self, entries: &[Stamped], space: &Space, study: &str) -> Result<(), JournalError> {
        self.bodies.clear();
        self.rows.clear();
        for (index, stamped) in entries.iter().enumerate() {
            let invalid = |reason: String| {
                JournalError::new(
                    JournalErrorKind::Invalid,
                    format!(
                        "entry {} of study {study} cannot be stored: {reason}; this is a bug, and nothing of the \
                         batch was written",
                        self.next_number + index as u64
                    ),
                )
            };
            if !stamped.at.is_finite() {
                return Err(invalid(format!("its time is {}", stamped.at)));
            }
            let (kind, trial) = wire::encode(&stamped.entry, space, &mut self.bodies).map_err(invalid)?;
            let trial =
                trial.map(i64::try_from).transpose().map_err(|_| invalid("its trial is too large".into()))?;
            self.rows.push(Row { at: stamped.at, kind, trial, body_end: self.bodies.len() });
        }
        Ok(())
    }

    /// Writes `rows` in one transaction. How many entries there are, if that is not what it should be:
    /// then nothing was written.
    fn insert(&mut self, connection: &mut Connection, study_id: i64) -> rusqlite::Result<Option<u64>> {
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
        let found = entry_count(&transaction, study_id)?;
        if found != self.next_number {
            return Ok(Some(found));
        }
        let mut number = found;
        {
            let mut statement = transaction.prepare_cached(
                "INSERT INTO record (study_id, number, at, kind, trial, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let mut body_start = 0;
            for row in &self.rows {
                // JSON as serde_json writes it is UTF-8
                let body = ToSqlOutput::Borrowed(ValueRef::Text(&self.bodies[body_start..row.body_end]));
                statement.execute(params![
                    study_id,
                    number as i64,
                    row.at,
                    row.kind.word(),
                    row.trial,
                    body
                ])?;
                number += 1;
                body_start = row.body_end;
            }
        }
        transaction.commit()?;
        self.next_number = number;
        Ok(None)
    }
}

impl PageSource for SqliteJournal {
    fn read_page(&self, from: u64, page: &mut Page) -> Result<(), JournalError> {
        let SqliteJournal { path, connection, study_id, header, .. } = self;
        let failed = |error| explain(path, "be read", error);
        let study = &header.plan.name;
        let sql = "SELECT number, at, kind, body FROM record WHERE study_id = ?1 AND number >= ?2 \
                   ORDER BY number LIMIT ?3";
        let mut statement = connection.prepare_cached(sql).map_err(failed)?;
        // beyond what a number can be, there is nothing
        let (mut expected, from) = (from, i64::try_from(from).unwrap_or(i64::MAX));
        let mut rows = statement.query(params![study_id, from, PAGE_ROWS]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let number: i64 = row.get(0).map_err(failed)?;
            if u64::try_from(number) != Ok(expected) {
                return Err(damaged(path, &format!("study {study} lacks entry {expected}")));
            }
            let (at, entry) = read_row(row, &header.plan.rules.problem.space).map_err(|reason| {
                damaged(path, &format!("entry {expected} of study {study} makes no sense ({reason})"))
            })?;
            page.push_back(Ok(Stored { number: expected, at, entry }));
            expected += 1;
        }
        Ok(())
    }
}

/// What is in a column, whatever it is: a text that is none is given as its bytes.
pub(super) fn read_value(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) => String::from_utf8(bytes.to_owned())
            .map_or_else(|error| Value::Blob(error.into_bytes()), Value::Text),
        _ => row.get(column)?,
    })
}

/// What a row says whose columns 1 to 3 are `at`, `kind` and `body`; or why it says nothing.
pub(super) fn read_row(row: &rusqlite::Row<'_>, space: &Space) -> Result<(f64, Entry), String> {
    let text = |column| {
        let value = row.get_ref(column).map_err(|error| error.to_string())?;
        value.as_str().map_err(|error| error.to_string())
    };
    let word = text(2)?;
    let kind = Kind::of(word).ok_or_else(|| format!("no entry has the kind {word:?}"))?;
    let entry = wire::decode(kind, text(3)?, space)?;
    let at = row.get(1).map_err(|error| error.to_string())?;
    Ok((at, entry))
}

fn entry_count(connection: &Connection, study_id: i64) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached("SELECT max(number) FROM record WHERE study_id = ?1")?;
    let last: Option<i64> = statement.query_row([study_id], |row| row.get(0))?;
    Ok(last.map_or(0, |number| number as u64 + 1))
}

fn insert_study(connection: &mut Connection, header: &StudyHeader, plan: &str) -> rusqlite::Result<i64> {
    let StudyPlan { name, rules, .. } = &header.plan;
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT INTO study (name, seed, created_at, schema_version, plan, manifest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![name, rules.seed.to_string(), header.created_at, SCHEMA_VERSION, plan, header.manifest],
    )?;
    let study_id = transaction.last_insert_rowid();
    insert_lists(&transaction, study_id, &header.plan)?;
    transaction.commit()?;
    Ok(study_id)
}

/// The rows that say for people what is in the plan.
pub(super) fn insert_lists(connection: &Connection, study_id: i64, plan: &StudyPlan) -> rusqlite::Result<()> {
    let Lists { members, metrics } = lists_of(plan);
    for (number, (label, plugin)) in members.into_iter().enumerate() {
        connection.execute(
            "INSERT INTO member (study_id, number, label, plugin) VALUES (?1, ?2, ?3, ?4)",
            params![study_id, number as i64, label, plugin],
        )?;
    }
    for (number, (name, goal)) in metrics.into_iter().enumerate() {
        connection.execute(
            "INSERT INTO metric (study_id, number, name, goal) VALUES (?1, ?2, ?3, ?4)",
            params![study_id, number as i64, name, goal],
        )?;
    }
    Ok(())
}

fn connect(path: &Path, access: Access, sync: Sync) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match access {
        Access::Write => Connection::open_with_flags(
            path,
            flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        ),
        Access::Read => Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_READ_ONLY),
        Access::ReadImmutable => Connection::open_with_flags(
            uri(path, "immutable=1"),
            flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI,
        ),
    }?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // the file may come from anywhere, and none of our views needs more
    connection.pragma_update(None, "trusted_schema", false)?;
    if access == Access::Write {
        connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
        match sync {
            Sync::Full => {
                connection.pragma_update(None, "synchronous", "FULL")?;
                // where fsync alone leaves data in the disk's cache (macOS); elsewhere without effect
                connection.pragma_update(None, "fullfsync", true)?;
                connection.pragma_update(None, "checkpoint_fullfsync", true)?;
            }
            // not OFF: a power cut may cost the last batches, but never the database
            Sync::Off => connection.pragma_update(None, "synchronous", "NORMAL")?,
        }
    }
    Ok(connection)
}

fn use_write_ahead_log(path: &Path, connection: &Connection) -> Result<(), JournalError> {
    let mode: rusqlite::Result<String> =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
    let mode = mode.map_err(|error| explain(path, "be opened", error))?;
    if mode == "wal" {
        return Ok(());
    }
    Err(JournalError::new(
        JournalErrorKind::Io,
        format!(
            "SQLite cannot keep a write-ahead log for the journal {} (it stays with {mode}); choose a path on a \
             local disk",
            path.display()
        ),
    ))
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf, JournalError> {
    std::path::absolute(path).map_err(|error| {
        io_error(
            &format!("{:?} cannot be the path of a journal: {error}", path.display().to_string()),
            &error,
        )
    })
}

/// The file itself is never opened but by SQLite: closing any other handle of it would drop the locks that
/// SQLite has on it in this process.
pub(super) fn refuse_folder(path: &Path) -> Result<(), JournalError> {
    if path.is_dir() {
        return Err(JournalError::new(
            JournalErrorKind::Foreign,
            format!("{0} is a folder; give the journal a file, for example {0}/ansatz.db", path.display()),
        ));
    }
    Ok(())
}

pub(super) fn check_content(path: &Path, content: Content) -> Result<(), JournalError> {
    match content {
        Content::Empty => Ok(()),
        Content::Journals(version) if version <= SCHEMA_VERSION => Ok(()),
        Content::Journals(version) => Err(JournalError::new(
            JournalErrorKind::Newer,
            format!(
                "the journal {} was written by a newer ansatz (version {version} of the schema, this one knows \
                 {SCHEMA_VERSION}); use that one, or another path for the journal",
                path.display()
            ),
        )),
        Content::Foreign => Err(foreign(path, "is a SQLite database of another program")),
    }
}

/// Whether a host left something in the log that the file alone does not have.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > 0)
}

fn is_kept_from_files(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// A database by a URI, with a parameter.
pub(super) fn uri(path: &Path, parameter: &str) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02x}"));
        }
    }
    uri + "?" + parameter
}

fn foreign(path: &Path, what: &str) -> JournalError {
    JournalError::new(
        JournalErrorKind::Foreign,
        format!("{} {what}, not a journal of ansatz; choose another path for the journal", path.display()),
    )
}

fn only_for_reading(path: &Path) -> JournalError {
    JournalError::new(
        JournalErrorKind::Access,
        format!("the journal {} was opened only for reading; this is a bug", path.display()),
    )
}

pub(super) fn damaged(path: &Path, what: &str) -> JournalError {
    JournalError::new(
        JournalErrorKind::Damaged,
        format!(
            "the journal {0} is damaged: {what}; end everything that writes to it, then ansatz fsck --store {0} says \
             all that is wrong, and ansatz repair --store {0} makes a copy and mends what can be mended",
            path.display()
        ),
    )
}

fn conflict(path: &Path, study: &str, next_number: u64, found: Option<u64>) -> JournalError {
    let found = match found {
        Some(found) => format!("has {found} entries where this host left {next_number}"),
        None => format!("got an entry of number {next_number} or later from somebody else"),
    };
    JournalError::new(
        JournalErrorKind::Conflict,
        format!(
            "study {study} in {} {found}: another program writes to it in spite of the lock. Nothing was \
             overwritten, and nothing of this batch was written; end all of them, then resume the study once",
            path.display()
        ),
    )
}

pub(super) fn io_error(message: &str, error: &std::io::Error) -> JournalError {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound => JournalErrorKind::Missing,
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            JournalErrorKind::Access
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => JournalErrorKind::Full,
        _ => JournalErrorKind::Io,
    };
    JournalError::new(kind, message)
}

/// The same for a file that is no journal of a running study: a disk that is full costs nothing but the attempt.
pub(super) fn explain_copy(path: &Path, doing: &str, error: rusqlite::Error) -> JournalError {
    let said = error.to_string();
    let explained = explain(path, doing, error);
    let (place, kind) = (path.display(), explained.kind);
    let message = match kind {
        JournalErrorKind::Full => format!("no space is left for {place}: free some, or name another place"),
        JournalErrorKind::Io => format!("{place} could not {doing}: {said}; name another place"),
        _ => explained.message,
    };
    JournalError::new(kind, message)
}

/// What SQLite says, as what happened, where, and what to do.
pub(super) fn explain(path: &Path, doing: &str, error: rusqlite::Error) -> JournalError {
    let said = error.to_string();
    let place = path.display();
    let (kind, message) = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => return foreign(path, "is not a SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => return damaged(path, &said),
        // it gave us something, and not what belongs there
        None => return damaged(path, &said),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => (
            JournalErrorKind::Locked,
            format!(
                "the journal {place} could not {doing}: another process has kept it locked for {} seconds{}; end \
                 whatever holds it (fuser {place} says which process), such as an open transaction in sqlite3, then \
                 resume",
                BUSY_TIMEOUT.as_secs(),
                writers(path)
            ),
        ),
        Some(ErrorCode::DiskFull) => (
            JournalErrorKind::Full,
            format!(
                "no space is left for the journal {place}; nothing of this batch was written and nothing before it \
                 is lost: free some space, then resume"
            ),
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            JournalErrorKind::Access,
            format!(
                "the journal {place} could not {doing}: {said}; this user needs the right to write the file and to \
                 make files beside it in {}, and the disk needs space for them",
                path.parent().unwrap_or(path).display()
            ),
        ),
        // it is about the memory that is shared by means of a file: the batch may be in the log already
        _ if is_about_shared_memory(&error) => (
            JournalErrorKind::Io,
            format!(
                "the journal {place} could not {doing}: {said} in {place}-shm, perhaps because the disk is full; whether \
                 the last batch was kept shows when it is opened again"
            ),
        ),
        _ => (
            JournalErrorKind::Io,
            format!(
                "the journal {place} could not {doing}: {said}; whether the last batch was kept shows when it is \
                 opened again"
            ),
        ),
    };
    JournalError::new(kind, message)
}

fn is_about_shared_memory(error: &rusqlite::Error) -> bool {
    let codes = [
        rusqlite::ffi::SQLITE_IOERR_SHMOPEN,
        rusqlite::ffi::SQLITE_IOERR_SHMSIZE,
        rusqlite::ffi::SQLITE_IOERR_SHMMAP,
    ];
    error.sqlite_error().is_some_and(|error| codes.contains(&error.extended_code))
}

/// The studies in a store that are being run, for a message: as the lock files beside it have it.
fn writers(path: &Path) -> String {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return String::new() };
    let prefix = format!("{}.", name.to_string_lossy());
    let mut list = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(study) = file.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".lock")) {
            let holder = std::fs::read_to_string(entry.path()).unwrap_or_default();
            list.push(format!("study {study}: {}", holder.trim()));
        }
    }
    list.sort();
    if list.is_empty() { String::new() } else { format!(" ({})", list.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, kept, stored};
    use super::*;

    #[test]
    fn a_file_can_be_read_as_it_lies() {
        // its folder has a name that needs care in a URI
        let (_folder, path, batches, _) = kept(15, 20);
        let connection = connect(&path, Access::ReadImmutable, Sync::Off).unwrap();
        let store = SqliteStore { path, sync: Sync::Off, access: Access::ReadImmutable, connection };
        let files = || std::fs::read_dir(store.path.parent().unwrap()).unwrap().count();
        assert_eq!(files(), 1);
        let journal = store.read("kept").unwrap();
        assert_eq!(all(&*journal), stored(&batches));
        assert_eq!(files(), 1);
    }

    #[test]
    fn a_locked_store_names_who_is_writing() {
        let (_folder, path, ..) = kept(16, 20);
        let store = SqliteStore::open(&path, Sync::Off, NetworkFolder::Allow).unwrap();
        let _journal = store.open_journal("kept").unwrap();
        let busy =
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None);
        let error = explain(&store.path, "be written", busy);
        assert_eq!(error.kind, JournalErrorKind::Locked);
        assert!(error.message.contains(&format!("study kept: process {}", std::process::id())), "{error}");
    }
}
