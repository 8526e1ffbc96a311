//! The board: where trials that are to be run are put up, for workers on any machine that reaches the store.
//!
//! One process asks (`BoardSlots`, in the place of local slots); workers (`Membership`) claim what it put up, as long as
//! their lease runs, and bring back what came of it. The board is beside the journal and never part of it: it may be
//! thrown away while nobody runs the study, and nothing is lost but work in progress. Facts are records of the journal,
//! which the asker alone writes; what it has not written yet is still on the board when another one takes its place.
//!
//! Time is the store's own, so that clocks of machines need not agree. A worker is told apart by a number that is never
//! given twice, and an attempt by its own: what a worker says of an attempt that is not its own any more is dropped.
//! The statements are the same for both kinds of stores; how they are carried out is in `driver`. docs/cluster.md.

mod cluster;
mod control;
mod crew;
mod driver;
mod kubernetes;
mod membership;
mod posting;
mod slots;
mod worker;

pub use cluster::{Cluster, Submitted};
pub use control::{Asking, CANCELLED, Control, Scaled, Standing, Starter, cancel, clear, scale, standing};
pub use crew::Crew;
pub use kubernetes::Deployment;
pub use membership::{Claim, Look, Membership, Offer};
pub(crate) use slots::SLOTS_PER_TRIAL_AHEAD;
pub use slots::{BoardSlots, Terms};
pub use worker::{Orders, WorkerEnd, work};

use crate::journal::{JournalError, JournalErrorKind, Location};
use crew::worker_arguments;
use driver::Driver;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a worker is waited for that says nothing, unless somebody says otherwise.
pub const LEASE: Duration = Duration::from_secs(30);

/// The version of the tables below. They are short-lived: other versions are refused, and nothing is migrated.
const LAYOUT: i64 = 2;

/// `NOW()` is the store's clock, in seconds. What is true is 1.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS board_layout (version BIGINT NOT NULL PRIMARY KEY);
CREATE TABLE IF NOT EXISTS board (
    study        TEXT NOT NULL PRIMARY KEY,
    epoch        BIGINT NOT NULL,
    worker_count BIGINT NOT NULL,
    lease        DOUBLE PRECISION NOT NULL,
    is_judging   BIGINT NOT NULL,
    asked_at     DOUBLE PRECISION NOT NULL,
    closed       TEXT,
    starter      TEXT NOT NULL,
    wanted       BIGINT,
    cancelled    BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS board_worker (
    study        TEXT NOT NULL,
    worker       BIGINT NOT NULL,
    place        TEXT NOT NULL,
    slot_count   BIGINT NOT NULL,
    lease_until  DOUBLE PRECISION NOT NULL,
    is_retired   BIGINT NOT NULL,
    PRIMARY KEY (study, worker)
);
CREATE TABLE IF NOT EXISTS board_assignment (
    study        TEXT NOT NULL,
    trial        BIGINT NOT NULL,
    attempt      BIGINT NOT NULL,
    body         TEXT NOT NULL,
    worker       BIGINT,
    is_stopped   BIGINT NOT NULL,
    outcome      TEXT,
    PRIMARY KEY (study, trial)
);
CREATE TABLE IF NOT EXISTS board_report (
    study        TEXT NOT NULL,
    trial        BIGINT NOT NULL,
    attempt      BIGINT NOT NULL,
    worker       BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    body         TEXT NOT NULL,
    is_stop      BIGINT,
    PRIMARY KEY (study, trial, attempt, worker, number)
);
";

/// A worker whose lease has run out, or whose lease lies so far ahead that the clock must have been turned back.
const IS_EXPIRED: &str = "(lease_until < NOW() OR lease_until > NOW() + 2 * CAST($2 AS DOUBLE PRECISION))";

/// What the asker and workers wake each other by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The asker has put something up, or answered.
    Work,
    /// A worker has brought something.
    News,
}

/// Whom something concerns, of those who listen on a side. Everybody hears of everything that is told on a server, so that it
/// has to be known without a look at the board whether one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    All,
    /// Workers with a free slot.
    Free,
    Worker(u64),
}

impl Whom {
    /// What is told, of a study.
    fn message(self, study: &str) -> String {
        match self {
            Whom::All => format!("* {study}"),
            Whom::Free => format!("? {study}"),
            Whom::Worker(worker) => format!("{worker} {study}"),
        }
    }
}

/// The board's file beside the file of a journal.
pub(crate) fn file_of(journal: &Path) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push(".board");
    path.into()
}

/// A connection to the board of a store. The tables are made if they are not there.
fn connect(location: &Location) -> Result<Box<dyn Driver>, JournalError> {
    let mut driver: Box<dyn Driver> = match location {
        Location::File(path) => Box::new(driver::SqliteDriver::open(path)?),
        Location::Server(url) => Box::new(driver::PostgresDriver::open(url)?),
    };
    driver.make(TABLES, LAYOUT)?;
    let rows = driver.read("SELECT version FROM board_layout", &[])?;
    match rows.first().map(|row| row.first().map(driver::Cell::int)) {
        Some(Some(LAYOUT)) => Ok(driver),
        other => Err(JournalError::new(
            JournalErrorKind::Newer,
            format!(
                "the board of {location} has layout {}, this ansatz knows {LAYOUT}: let the asker and all workers be of \
                 one version, or end all of them and {}; nothing of the journal is affected",
                other.flatten().map_or_else(|| "none".to_owned(), |version| version.to_string()),
                match location {
                    Location::File(path) => format!("delete the file {}.board", path.display()),
                    Location::Server(_) => "drop the tables ansatz.board, board_assignment, board_layout, \
                                            board_report and board_worker"
                        .to_owned(),
                }
            ),
        )),
    }
}

/// What is on the board and cannot be understood: written by hand, or by a bug.
fn senseless(study: &str, what: &str, reason: &str) -> JournalError {
    JournalError::new(
        JournalErrorKind::Damaged,
        format!(
            "the board of study {study} has {what} that makes no sense ({reason}); nothing of the journal is affected: \
             end the asker and all workers, and run ansatz resume"
        ),
    )
}

#[cfg(test)]
mod tests;
