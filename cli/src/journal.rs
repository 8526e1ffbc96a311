//! The journal: every fact of a study, numbered from 0, only ever added to.
//!
//! Whoever runs a study appends; whoever wants to know reads from a number on. A store keeps the journals
//! of many studies and is known here by two narrow traits, without a word of how it stores: SQLite is in
//! `sqlite`, PostgreSQL in `postgres`, what an entry looks like in store is in `wire`. The journal reads no clock: it is
//! told the time. docs/journal.md describes what is stored.

mod backup;
mod check;
mod file_system;
mod location;
mod lock;
mod nowhere;
mod pages;
mod password;
mod postgres;
mod postgres_schema;
pub(crate) mod record_text;
mod repair;
mod schema;
mod sqlite;
mod wire;

pub use backup::{Copied, Existing};
pub use check::{Checkup, Problem, StudyCheckup};
pub use file_system::NetworkFolder;
pub use location::{Location, STORE_VARIABLE, ServerUrl};
pub use nowhere::NoJournal;
pub use postgres::PostgresStore;
pub(crate) use postgres::{connect as connect_server, explain as explain_server};
pub use repair::{RepairRules, Repairs, repair};
pub use schema::SCHEMA_VERSION;
pub use sqlite::SqliteStore;

use crate::plan::{JournalChoice, StudyPlan, Sync};
use ansatz_core::study::{EnqueuedPoint, Record, RecordError};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The store of a plan, for writing; a file is made, with its folder, if it does not exist.
pub fn open(choice: &JournalChoice) -> Result<Box<dyn Store>, JournalError> {
    Ok(match &choice.server {
        Some(url) => Box::new(PostgresStore::open(url, choice.sync)?),
        None => Box::new(SqliteStore::open(&choice.path, choice.sync, NetworkFolder::Refuse)?),
    })
}

/// Brings an existing store up to date whose schema is an older one; does nothing where there is none, or to one that is not.
pub fn bring_up_to_date(location: &Location) -> Result<(), JournalError> {
    if location.is_missing() {
        return Ok(());
    }
    match (open_read_only(location), location) {
        (Err(error), Location::Server(url)) if error.kind == JournalErrorKind::Older => {
            PostgresStore::open(url, Sync::Full).map(drop)
        }
        (Err(error), Location::File(path)) if error.kind == JournalErrorKind::Older => {
            SqliteStore::open(path, Sync::Full, NetworkFolder::Refuse).map(drop)
        }
        // whatever else is wrong is for the next one to say
        _ => Ok(()),
    }
}

/// An existing store, only to read from. Works while another process writes.
pub fn open_read_only(location: impl Into<Location>) -> Result<Box<dyn Store>, JournalError> {
    Ok(match location.into() {
        Location::Server(url) => Box::new(PostgresStore::open_read_only(&url)?),
        Location::File(path) => Box::new(SqliteStore::open_read_only(&path, NetworkFolder::Refuse)?),
    })
}

/// Where the journals of many studies are kept.
pub trait Store: Send {
    /// What there is, in the order of creation.
    fn studies(&self) -> Result<Vec<StudyEntry>, JournalError>;

    /// A new study, open for writing. Another study of this name is an error (`Exists`).
    fn create(&self, header: StudyHeader) -> Result<Box<dyn Journal>, JournalError>;

    /// A study, open for writing. Only one process at a time can have that (`Locked`).
    fn open(&self, name: &str) -> Result<Box<dyn Journal>, JournalError>;

    /// A study, only to read. Needs no lock and takes none; `append` is an error (`Access`).
    fn read(&self, name: &str) -> Result<Box<dyn Journal>, JournalError>;

    /// Puts points into the queue of a study, in order; whoever runs it, now or later, makes trials of them. Needs no lock
    /// of the study.
    fn enqueue(&self, study: &str, at: f64, points: &[Queued]) -> Result<(), JournalError>;

    /// Everything that is wrong with the store, in words; nothing if it is sound. Reads all of it.
    fn integrity_check(&self) -> Result<Vec<String>, JournalError>;
}

/// The journal of one study.
pub trait Journal: Send {
    /// What was fixed when the study was created.
    fn header(&self) -> &StudyHeader;

    /// How many entries there are: the number that the next one gets.
    fn entry_count(&self) -> Result<u64, JournalError>;

    /// The entries from a number on, in order, in bounded memory. What is appended meanwhile may or may
    /// not be among them; there is never a gap. Ends after the first error.
    fn entries(&self, from: u64) -> Entries<'_>;

    /// Adds entries, in order: all of them or, after an error, none. When it returns they are as durable
    /// as the plan says. After an `Io` error nobody knows whether they were kept: open the study anew.
    fn append(&mut self, entries: &[Stamped]) -> Result<(), JournalError>;

    /// Takes the study out of its store, with its points that wait and its digest. What repairs took out of it stays.
    fn delete(self: Box<Self>) -> Result<(), JournalError>;

    /// Keeps a digest of all entries there are, in the place of an earlier one. It is no fact, and a journal need not
    /// have a place for it.
    fn keep_digest(&mut self, _at: f64, _body: &str) -> Result<(), JournalError> {
        Ok(())
    }

    /// The digest that was kept last.
    fn digest(&self) -> Result<Option<KeptDigest>, JournalError> {
        Ok(None)
    }

    /// The points in the queue of the study, in order; a journal need not have one.
    fn queue(&self) -> Result<Vec<Waiting>, JournalError> {
        Ok(Vec::new())
    }

    /// Takes points out of the queue: they are trials now, as records say.
    fn dequeue(&mut self, _tickets: &[u64]) -> Result<(), JournalError> {
        Ok(())
    }

    /// Ends writing. Dropping does the same, but cannot tell of an error.
    fn close(self: Box<Self>) -> Result<(), JournalError>;
}

/// Entries of a journal, as they are read.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<Stored, JournalError>> + 'a>;

/// A point in the queue of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Queued {
    /// By which records speak of it: unique in the study for all times; below 2^53.
    pub ticket: u64,
    /// What is to be evaluated.
    pub point: EnqueuedPoint,
}

/// The same as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// As it was put there.
    pub ticket: u64,
    /// What is to be evaluated; or why what is there makes no sense.
    pub point: Result<EnqueuedPoint, String>,
}

/// What a long journal comes to in short, as somebody kept it so that it need not be read to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptDigest {
    /// Of so many entries it is.
    pub entry_count: u64,
    /// When it was made, in seconds since 1970.
    pub at: f64,
    /// The digest, for whoever made it.
    pub body: String,
}

/// What is fixed when a study is created. Its name and its seed are the plan's.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyHeader {
    /// What the study is run from.
    pub plan: StudyPlan,
    /// The manifest as it was read, for people.
    pub manifest: String,
    /// Seconds since 1970.
    pub created_at: f64,
}

/// A study in the list of a store.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyEntry {
    /// Unique in the store.
    pub name: String,
    /// From which all its randomness comes.
    pub seed: u64,
    /// Seconds since 1970.
    pub created_at: f64,
    /// The version of the schema it was created with.
    pub schema_version: u32,
    /// How many entries its journal has.
    pub entry_count: u64,
    /// When the last of them was written, in seconds since 1970; `None` without entries.
    pub last_at: Option<f64>,
    /// Whether the last of them is `Closed`: if not, a host is running it, or died.
    pub is_closed: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A host begins, or goes on with, the study.
    Opened(Opened),
    /// A fact of the study itself.
    Study(Record),
    /// The host left on purpose.
    Closed {
        /// Why, in words.
        reason: String,
        /// How long the study has been running, over all sessions; to the nanosecond, at most 584 years.
        elapsed: Duration,
    },
}

/// What a host is made of when it begins a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opened {
    /// Of the host.
    pub host_version: String,
    /// Of the host, on its machine.
    pub process_id: Option<u32>,
    /// How long the study ran in earlier sessions; to the nanosecond, at most 584 years.
    pub elapsed_before: Duration,
    /// The plugins of the session: what could explain that it goes differently than the last one.
    pub plugins: Vec<PluginStamp>,
    /// The plan from here on, where it differs from before: another budget, more slots.
    pub plan: Option<Box<StudyPlan>>,
    /// The text of the manifest that the plan is from, where it is another than before.
    pub manifest: Option<String>,
}

/// Exactly which plugin was loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginStamp {
    /// Its name.
    pub component: String,
    /// `strategy` or `objective`.
    pub role: String,
    /// The library; kept as text, so what is not Unicode in it is lost.
    pub path: PathBuf,
    /// The package that built it.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// The ABI version it was built for.
    pub abi: String,
    /// SHA-256 of the library, in hexadecimal.
    pub sha256: String,
}

/// An entry to be written, with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped {
    /// Seconds since 1970.
    pub at: f64,
    /// What happened.
    pub entry: Entry,
}

/// An entry as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its place in the journal, from 0.
    pub number: u64,
    /// Seconds since 1970.
    pub at: f64,
    /// What happened.
    pub entry: Entry,
}

/// What went wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalError {
    /// What the host can do about it.
    pub kind: JournalErrorKind,
    /// What happened, where, and what to do.
    pub message: String,
}

/// What the host can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JournalErrorKind {
    /// There is no such store or study: name another one, or create it.
    Missing,
    /// A study of this name exists: resume it, or take another name.
    Exists,
    /// Another process has it: wait, or end that one.
    Locked,
    /// Somebody else appended to this study in spite of the lock: stop at once.
    Conflict,
    /// Written by a later version: use a newer host.
    Newer,
    /// Written by an earlier version, and opened only for reading: open it for writing.
    Older,
    /// The file belongs to something else: choose another path.
    Foreign,
    /// The folder is on a network: choose a local one.
    Network,
    /// Permissions, or opened only for reading: nothing is written.
    Access,
    /// No space: nothing of the batch was written; free some, then resume.
    Full,
    /// What is stored makes no sense: stop, keep a copy.
    Damaged,
    /// The entry or header cannot be stored: a bug of the host.
    Invalid,
    /// The operating system failed otherwise: open it anew to see what was kept.
    Io,
}

impl JournalError {
    pub(crate) fn new(kind: JournalErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}
impl std::error::Error for JournalError {}

/// A record that does not fit those before it.
impl From<RecordError> for JournalError {
    fn from(error: RecordError) -> Self {
        Self::new(JournalErrorKind::Damaged, format!("the journal does not fit together: {error}"))
    }
}

#[cfg(test)]
pub(crate) mod tests;
