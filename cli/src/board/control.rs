//! What a study on the board is told from elsewhere while it runs: to have more or fewer workers, and to end.
//!
//! Whoever wants something writes it on the board; the asker, which looks there all the time, is the only one to act on it.
//! Workers that are too many are retired by the board rather than killed, whoever started them: they finish what they run.

use super::driver::{Cell, Driver, Durability};
use super::{Side, Whom, connect};
use crate::interrupt::Interrupt;
use crate::journal::{JournalError, Location};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

/// Who starts the workers of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starter {
    /// The asker, as processes of its machine.
    Local,
    /// Slurm, for the asker.
    Slurm,
    /// Ray, for the asker.
    Ray,
    /// Somebody else.
    Hand,
}

impl Starter {
    const ALL: [Starter; 4] = [Starter::Local, Starter::Slurm, Starter::Ray, Starter::Hand];

    /// As the board has it.
    pub fn word(self) -> &'static str {
        match self {
            Starter::Local => "local",
            Starter::Slurm => "slurm",
            Starter::Ray => "ray",
            Starter::Hand => "board",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|starter| starter.word() == word)
    }
}

/// What was said on the board, for those of this process whom it concerns.
#[derive(Clone)]
pub struct Control {
    interrupt: Interrupt,
    /// How many workers are wanted; negative: nobody said.
    wanted: Arc<AtomicI64>,
    /// How many there are.
    present: Arc<AtomicUsize>,
    /// How often somebody said that the study is to end.
    cancelled: Arc<AtomicUsize>,
}

impl Control {
    /// Who cancels the study interrupts it.
    pub fn new(interrupt: &Interrupt) -> Self {
        Self {
            interrupt: interrupt.clone(),
            wanted: Arc::new(AtomicI64::new(-1)),
            present: Arc::default(),
            cancelled: Arc::default(),
        }
    }

    /// Takes what the board says.
    pub(super) fn heed(&self, wanted: Option<u32>, present: usize, cancelled: usize) {
        self.wanted.store(wanted.map_or(-1, i64::from), Ordering::SeqCst);
        self.present.store(present, Ordering::SeqCst);
        let before = self.cancelled.swap(cancelled, Ordering::SeqCst);
        (before..cancelled).for_each(|_| self.interrupt.interrupt());
    }

    /// How many workers somebody wants.
    pub fn wanted(&self) -> Option<u32> {
        u32::try_from(self.wanted.load(Ordering::SeqCst)).ok()
    }

    /// How many workers there are that claim trials.
    pub fn present(&self) -> usize {
        self.present.load(Ordering::SeqCst)
    }

    /// Whether somebody said that the study is to end.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst) > 0
    }
}

/// Whether somebody asks for the trials of a study, as its board says.
#[derive(Clone, Debug, PartialEq)]
pub enum Asking {
    /// It has no board: it was never run over one, or all was taken down.
    NoBoard,
    /// It has ended, and why.
    Closed(String),
    /// Nobody has for so long.
    Silent(Duration),
    /// Somebody does.
    Running,
}

/// What came of a wish for another number of workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaled {
    /// Who starts them.
    pub starter: Starter,
    /// How many there were.
    pub present: u64,
}

/// Wants so many workers of a study.
pub fn scale(location: &Location, study: &str, wanted: u32) -> Result<Result<Scaled, Asking>, JournalError> {
    let Some(mut driver) = existing(location)? else { return Ok(Err(Asking::NoBoard)) };
    let (mut asking, mut scaled) = (Asking::NoBoard, None);
    driver.transact(Durability::Firm, &mut |board| {
        let sql = "SELECT closed, NOW() - asked_at, lease, starter,
                (SELECT count(*) FROM board_worker WHERE board_worker.study = $1 AND is_retired = 0)
            FROM board WHERE study = $1";
        let row = board.rows(sql, &[study.into()])?.pop();
        asking = asking_of(row.as_deref());
        let (Asking::Running, Some(row)) = (&asking, row) else { return Ok(()) };
        let sql = "UPDATE board SET wanted = $2 WHERE study = $1";
        board.change(sql, &[study.into(), u64::from(wanted).into()])?;
        let starter = Starter::of(row[3].text()).unwrap_or(Starter::Hand);
        scaled = Some(Scaled { starter, present: row[4].int() as u64 });
        Ok(())
    })?;
    driver.tell(Side::News, &Whom::All.message(study))?;
    Ok(scaled.ok_or(asking))
}

/// Says that a study is to end. `is_now`: without waiting for what runs. Where nobody asks any more, workers that wait for
/// somebody are told that it is over. How things stood.
pub fn cancel(location: &Location, study: &str, is_now: bool) -> Result<Asking, JournalError> {
    let Some(mut driver) = existing(location)? else { return Ok(Asking::NoBoard) };
    let mut asking = Asking::NoBoard;
    driver.transact(Durability::Firm, &mut |board| {
        let sql = "SELECT closed, NOW() - asked_at, lease FROM board WHERE study = $1";
        asking = asking_of(board.rows(sql, &[study.into()])?.pop().as_deref());
        let often = Cell::Int(if is_now { 2 } else { 1 });
        match asking {
            Asking::Running => {
                let sql = "UPDATE board SET cancelled = CASE WHEN cancelled < $2 THEN $2 ELSE cancelled END
                    WHERE study = $1";
                board.change(sql, &[study.into(), often])?;
            }
            // it may only be slow: then it hears of it, too
            Asking::Silent(_) => {
                let sql = "UPDATE board SET closed = $2, cancelled = $3 WHERE study = $1";
                board.change(sql, &[study.into(), CANCELLED.into(), often])?;
            }
            Asking::NoBoard | Asking::Closed(_) => {}
        }
        Ok(())
    })?;
    driver.tell(Side::News, &Whom::All.message(study))?;
    driver.tell(Side::Work, &Whom::All.message(study))?;
    Ok(asking)
}

/// Takes a study off its board for good, unless workers have it still, which may bring something: then it stays, and this is
/// how many there are. Nobody may ask for its trials meanwhile: whoever calls holds its journal.
pub fn clear(location: &Location, study: &str) -> Result<u64, JournalError> {
    let Some(mut driver) = existing(location)? else { return Ok(0) };
    let mut present = 0;
    driver.transact(Durability::Firm, &mut |board| {
        let lease = board.rows("SELECT lease FROM board WHERE study = $1", &[study.into()])?.pop();
        let lease = lease.map_or(Cell::Real(super::LEASE.as_secs_f64()), |mut row| row.remove(0));
        let sql = format!("SELECT count(*) FROM board_worker WHERE study = $1 AND NOT {}", super::IS_EXPIRED);
        present = board.rows(&sql, &[study.into(), lease])?.pop().map_or(0, |row| row[0].int() as u64);
        if present == 0 {
            for table in ["board_report", "board_assignment", "board_worker", "board"] {
                board.change(&format!("DELETE FROM {table} WHERE study = $1"), &[study.into()])?;
            }
        }
        Ok(())
    })?;
    driver.tell(Side::Work, &Whom::All.message(study))?;
    Ok(present)
}

/// How a study stands on its board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of its asker: another one has another.
    pub epoch: i64,
    /// Somebody has cancelled it, whether it has ended yet or not.
    pub is_cancelled: bool,
}

/// How a study stands on its board; `None`: it has none.
pub fn standing(location: &Location, study: &str) -> Result<Option<Standing>, JournalError> {
    let Some(mut driver) = existing(location)? else { return Ok(None) };
    // whoever takes it over counts from 0
    let row = driver.read("SELECT epoch, cancelled FROM board WHERE study = $1", &[study.into()])?.pop();
    Ok(row.map(|row| Standing { epoch: row[0].int(), is_cancelled: row[1].int() > 0 }))
}

/// Why the board of a study is closed that somebody has cancelled.
pub const CANCELLED: &str = "cancelled";

/// Of `closed`, the time since somebody asked, and the lease.
fn asking_of(row: Option<&[Cell]>) -> Asking {
    let Some(row) = row else { return Asking::NoBoard };
    if !row[0].is_null() {
        return Asking::Closed(row[0].text().to_owned());
    }
    let span = |seconds: f64| Duration::try_from_secs_f64(seconds.abs()).unwrap_or_default();
    match span(row[1].real()) {
        silence if silence > span(row[2].real()) => Asking::Silent(silence),
        _ => Asking::Running,
    }
}

/// The board of a store, unless there is none.
fn existing(location: &Location) -> Result<Option<Box<dyn Driver>>, JournalError> {
    match location {
        Location::File(path) if !super::file_of(path).exists() => Ok(None),
        _ => connect(location).map(Some),
    }
}
