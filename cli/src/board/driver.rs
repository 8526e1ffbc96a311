//! How statements of the board are carried out. Parameters are `$1`, `$2`, and so on; whole numbers, numbers and texts
//! are all there is.

use super::Side;
use crate::journal::{JournalError, JournalErrorKind, ServerUrl, connect_server, explain_server};
use crate::plan::Sync;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::ToSql;
use rusqlite::types::{Value as SqliteValue, ValueRef};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a statement waits for others.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// A file tells nobody that it has changed: it is looked at this often.
const POLL: Duration = Duration::from_millis(10);
/// A server tells, and is looked at this often all the same: what it told may be lost with a connection.
const FALLBACK: Duration = Duration::from_secs(1);

/// A value of a row, or of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Int(i64),
    Real(f64),
    Text(String),
    Null,
}

impl Cell {
    /// A whole number; 0 where it is none, which no statement of ours gives.
    pub fn int(&self) -> i64 {
        match self {
            Cell::Int(value) => *value,
            _ => 0,
        }
    }

    pub fn real(&self) -> f64 {
        match self {
            Cell::Real(value) => *value,
            Cell::Int(value) => *value as f64,
            _ => 0.0,
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Cell::Text(text) => text,
            _ => "",
        }
    }

    pub fn is_null(&self) -> bool {
        *self == Cell::Null
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Cell::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.to_owned())
    }
}

pub(super) type Rows = Vec<Vec<Cell>>;

/// What a transaction may do.
pub(super) trait Statements {
    /// Carries a statement out: the rows that it gives, if it gives any.
    fn rows(&mut self, sql: &str, parameters: &[Cell]) -> Result<Rows, JournalError>;
    /// Carries a statement out: how many rows it changed.
    fn change(&mut self, sql: &str, parameters: &[Cell]) -> Result<u64, JournalError>;
}

/// Whether what a transaction wrote has to survive the store's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// It is done again if it is lost.
    Light,
    /// Somebody relies on it.
    Firm,
}

type Work<'a> = &'a mut dyn FnMut(&mut dyn Statements) -> Result<(), JournalError>;

/// A connection to a board.
pub(super) trait Driver: Send {
    /// Makes the tables, if they are not there.
    fn make(&mut self, tables: &str, layout: i64) -> Result<(), JournalError>;
    /// Rows of one statement that changes nothing.
    fn read(&mut self, sql: &str, parameters: &[Cell]) -> Result<Rows, JournalError>;
    /// Does work in one transaction: all of it or, after an error, nothing.
    fn transact(&mut self, durability: Durability, work: Work<'_>) -> Result<(), JournalError>;
    /// Tells a side that something has changed. May be lost.
    fn tell(&mut self, side: Side, message: &str) -> Result<(), JournalError>;
    /// Wants to be told from here on.
    fn listen(&mut self, side: Side) -> Result<(), JournalError>;
    /// Waits until something has changed that is for us, or may have, at most so long. Whether it is time to look.
    fn wait(&mut self, is_for_us: &dyn Fn(&str) -> bool, patience: Duration) -> Result<bool, JournalError>;
}

/// A file beside the journal, so that neither ever waits for the other.
pub(super) struct SqliteDriver {
    path: PathBuf,
    connection: Connection,
    looked_at: Instant,
}

impl SqliteDriver {
    pub fn open(journal: &Path) -> Result<Self, JournalError> {
        let path = super::file_of(journal);
        let connect = || {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
            // who could read it after a power cut is gone with it
            connection.pragma_update(None, "synchronous", "OFF")?;
            rusqlite::Result::Ok(connection)
        };
        let connection = connect().map_err(|error| explain(&path, &error))?;
        Ok(Self { path, connection, looked_at: Instant::now() })
    }
}

/// Seconds of a clock that all processes of this machine share and that nobody sets; it begins anew with the machine.
/// It stands still while the machine is suspended, as workers do: no lease runs out meanwhile.
#[cfg(target_os = "linux")]
fn machine_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(not(target_os = "linux"))]
fn machine_seconds() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

fn explain(path: &Path, error: &rusqlite::Error) -> JournalError {
    JournalError::new(
        JournalErrorKind::Io,
        format!(
            "the board {0} cannot be used: {error}; nothing of the journal is affected: end the asker and all workers, \
             delete {0}, and run ansatz resume",
            path.display()
        ),
    )
}

struct SqliteStatements<'a> {
    path: &'a Path,
    connection: &'a Connection,
}

impl SqliteStatements<'_> {
    fn run(&self, sql: &str, parameters: &[Cell]) -> rusqlite::Result<(Rows, u64)> {
        let mut statement = self.connection.prepare_cached(&sql.replace("NOW()", ":now"))?;
        for (index, cell) in parameters.iter().enumerate() {
            let Some(place) = statement.parameter_index(&format!("${}", index + 1))? else { continue };
            statement.raw_bind_parameter(
                place,
                match cell {
                    Cell::Int(value) => SqliteValue::Integer(*value),
                    Cell::Real(value) => SqliteValue::Real(*value),
                    Cell::Text(text) => SqliteValue::Text(text.clone()),
                    Cell::Null => SqliteValue::Null,
                },
            )?;
        }
        if let Some(place) = statement.parameter_index(":now")? {
            statement.raw_bind_parameter(place, machine_seconds())?;
        }
        if statement.column_count() == 0 {
            return Ok((Rows::new(), statement.raw_execute()? as u64));
        }
        let column_count = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Rows::new();
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(column_count);
            for column in 0..column_count {
                cells.push(match row.get_ref(column)? {
                    ValueRef::Integer(value) => Cell::Int(value),
                    ValueRef::Real(value) => Cell::Real(value),
                    ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Null | ValueRef::Blob(_) => Cell::Null,
                });
            }
            found.push(cells);
        }
        let count = found.len() as u64;
        Ok((found, count))
    }
}

impl Statements for SqliteStatements<'_> {
    fn rows(&mut self, sql: &str, parameters: &[Cell]) -> Result<Rows, JournalError> {
        // one writer at a time: there is nothing to skip
        let sql = sql.replace("FOR UPDATE SKIP LOCKED", "").replace("FOR UPDATE", "");
        self.run(&sql, parameters).map(|(rows, _)| rows).map_err(|error| explain(self.path, &error))
    }

    fn change(&mut self, sql: &str, parameters: &[Cell]) -> Result<u64, JournalError> {
        self.run(sql, parameters).map(|(_, count)| count).map_err(|error| explain(self.path, &error))
    }
}

impl Driver for SqliteDriver {
    fn make(&mut self, tables: &str, layout: i64) -> Result<(), JournalError> {
        let Self { path, connection, .. } = self;
        let mut make = || {
            let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
            transaction.execute_batch(tables)?;
            let sql = "INSERT INTO board_layout SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM board_layout)";
            transaction.execute(sql, [layout])?;
            transaction.commit()
        };
        make().map_err(|error: rusqlite::Error| explain(path, &error))
    }

    fn read(&mut self, sql: &str, parameters: &[Cell]) -> Result<Rows, JournalError> {
        SqliteStatements { path: &self.path, connection: &self.connection }.rows(sql, parameters)
    }

    fn transact(&mut self, _: Durability, work: Work<'_>) -> Result<(), JournalError> {
        let Self { path, connection, .. } = self;
        let failed = |error: rusqlite::Error| explain(path, &error);
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate).map_err(failed)?;
        work(&mut SqliteStatements { path, connection: &transaction })?;
        transaction.commit().map_err(failed)
    }

    fn tell(&mut self, _: Side, _: &str) -> Result<(), JournalError> {
        Ok(())
    }

    fn listen(&mut self, _: Side) -> Result<(), JournalError> {
        Ok(())
    }

    fn wait(&mut self, _: &dyn Fn(&str) -> bool, patience: Duration) -> Result<bool, JournalError> {
        let left = POLL.saturating_sub(self.looked_at.elapsed());
        std::thread::sleep(left.min(patience));
        let is_time = self.looked_at.elapsed() >= POLL;
        if is_time {
            self.looked_at = Instant::now();
        }
        Ok(is_time)
    }
}

/// Tables of the schema `ansatz`, beside the journal's.
pub(super) struct PostgresDriver {
    url: ServerUrl,
    client: postgres::Client,
    prepared: HashMap<String, postgres::Statement>,
    looked_at: Instant,
}

impl PostgresDriver {
    pub fn open(url: &ServerUrl) -> Result<Self, JournalError> {
        let mut client = connect_server(url, Sync::Full, false)?;
        client
            .batch_execute("SET search_path = ansatz")
            .map_err(|error| explain_server(url, "be opened", &error))?;
        Ok(Self { url: url.clone(), client, prepared: HashMap::new(), looked_at: Instant::now() })
    }
}

fn channel(side: Side) -> &'static str {
    match side {
        Side::Work => "ansatz_work",
        Side::News => "ansatz_news",
    }
}

fn dialect(sql: &str) -> String {
    sql.replace("NOW()", "extract(epoch FROM clock_timestamp())::double precision")
}

struct PostgresStatements<'a, C> {
    url: &'a ServerUrl,
    client: &'a mut C,
    prepared: &'a mut HashMap<String, postgres::Statement>,
}

impl<C: postgres::GenericClient> PostgresStatements<'_, C> {
    fn run(&mut self, sql: &str, parameters: &[Cell]) -> Result<(Rows, u64), postgres::Error> {
        if !self.prepared.contains_key(sql) {
            let statement = self.client.prepare(&dialect(sql))?;
            self.prepared.insert(sql.to_owned(), statement);
        }
        let statement = &self.prepared[sql];
        let values: Vec<&(dyn ToSql + std::marker::Sync)> = parameters
            .iter()
            .map(|cell| match cell {
                Cell::Int(value) => value as &(dyn ToSql + std::marker::Sync),
                Cell::Real(value) => value,
                Cell::Text(text) => text,
                Cell::Null => &None::<i64>,
            })
            .collect();
        if statement.columns().is_empty() {
            return self.client.execute(statement, &values).map(|count| (Rows::new(), count));
        }
        let rows = self.client.query(statement, &values)?;
        let cells = |row: &postgres::Row| {
            let cell = |(index, column): (usize, &postgres::Column)| {
                let cell = match *column.type_() {
                    postgres::types::Type::FLOAT8 => row.try_get::<_, Option<f64>>(index)?.map(Cell::Real),
                    postgres::types::Type::TEXT => row.try_get::<_, Option<String>>(index)?.map(Cell::Text),
                    _ => row.try_get::<_, Option<i64>>(index)?.map(Cell::Int),
                };
                Ok(cell.unwrap_or(Cell::Null))
            };
            row.columns().iter().enumerate().map(cell).collect::<Result<Vec<_>, postgres::Error>>()
        };
        let found: Rows = rows.iter().map(cells).collect::<Result<_, _>>()?;
        let count = found.len() as u64;
        Ok((found, count))
    }
}

impl<C: postgres::GenericClient> Statements for PostgresStatements<'_, C> {
    fn rows(&mut self, sql: &str, parameters: &[Cell]) -> Result<Rows, JournalError> {
        let url = self.url;
        self.run(sql, parameters)
            .map(|(rows, _)| rows)
            .map_err(|error| explain_server(url, "be used", &error))
    }

    fn change(&mut self, sql: &str, parameters: &[Cell]) -> Result<u64, JournalError> {
        let url = self.url;
        self.run(sql, parameters)
            .map(|(_, count)| count)
            .map_err(|error| explain_server(url, "be used", &error))
    }
}

impl Driver for PostgresDriver {
    fn make(&mut self, tables: &str, layout: i64) -> Result<(), JournalError> {
        let Self { url, client, .. } = self;
        let mut make = || {
            let mut transaction = client.transaction()?;
            // two that make the same tables at once would be in each other's way
            transaction.batch_execute("SELECT pg_advisory_xact_lock(hashtext('ansatz board'))")?;
            transaction.batch_execute(tables)?;
            transaction.execute(
                "INSERT INTO board_layout SELECT $1::bigint WHERE NOT EXISTS (SELECT 1 FROM board_layout)",
                &[&layout],
            )?;
            transaction.commit()
        };
        make().map_err(|error: postgres::Error| explain_server(url, "be opened", &error))
    }

    fn read(&mut self, sql: &str, parameters: &[Cell]) -> Result<Rows, JournalError> {
        let Self { url, client, prepared, .. } = self;
        PostgresStatements { url, client, prepared }.rows(sql, parameters)
    }

    fn transact(&mut self, durability: Durability, work: Work<'_>) -> Result<(), JournalError> {
        let Self { url, client, prepared, .. } = self;
        let failed = |error: postgres::Error| explain_server(url, "be used", &error);
        let mut transaction = client.transaction().map_err(failed)?;
        if durability == Durability::Light {
            transaction.batch_execute("SET LOCAL synchronous_commit = off").map_err(failed)?;
        }
        work(&mut PostgresStatements { url, client: &mut transaction, prepared })?;
        transaction.commit().map_err(failed)
    }

    fn tell(&mut self, side: Side, message: &str) -> Result<(), JournalError> {
        // by itself: within a transaction that writes, it would make all who tell wait for each other's disk
        let told = self.client.execute("SELECT pg_notify($1, $2)", &[&channel(side), &message]);
        told.map(drop).map_err(|error| explain_server(&self.url, "be used", &error))
    }

    fn listen(&mut self, side: Side) -> Result<(), JournalError> {
        let listening = self.client.batch_execute(&format!("LISTEN {}", channel(side)));
        listening.map_err(|error| explain_server(&self.url, "be used", &error))
    }

    fn wait(&mut self, is_for_us: &dyn Fn(&str) -> bool, patience: Duration) -> Result<bool, JournalError> {
        let Self { url, client, looked_at, .. } = self;
        let failed = |error: postgres::Error| explain_server(url, "be used", &error);
        let mut is_told = false;
        let mut notifications = client.notifications();
        // all studies share a channel, and every notification begins the delay of an iterator anew
        let until = Instant::now() + FALLBACK.saturating_sub(looked_at.elapsed()).min(patience);
        while !is_told {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match notifications.timeout_iter(left).next().map_err(failed)? {
                Some(notification) => is_told = is_for_us(notification.payload()),
                None => break,
            }
        }
        // one look answers them all
        let mut more = notifications.iter();
        while let Some(notification) = more.next().map_err(failed)? {
            is_told |= is_for_us(notification.payload());
        }
        drop(more);
        let is_time = is_told || looked_at.elapsed() >= FALLBACK;
        if is_time {
            *looked_at = Instant::now();
        }
        Ok(is_time)
    }
}
