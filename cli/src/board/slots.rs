//! The asker's side of the board, in the place of local slots: what is started is put up, and what workers bring back
//! becomes events.
//!
//! Everything that changes the board is gathered and carried out by the next `wait`: by then all that came of the
//! events of the one before is in the journal, and so may leave the board. Should we die before, whoever takes over
//! finds it there.

use super::control::{Control, Starter};
use super::driver::{Cell, Driver, Durability, Rows, Statements};
use super::{IS_EXPIRED, Side, Whom, posting, senseless};
use crate::error::Error;
use crate::executor::{Event, Waker};
use crate::journal::{JournalError, JournalErrorKind, Location, record_text};
use crate::run::Slots;
use ansatz_core::study::{Record, Study};
use ansatz_core::{Assignment, Failure, Outcome, Point, Space, TrialId, Verdict};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// For every so many slots of workers, one trial is put up ahead of them: what is asked later knows more.
pub(crate) const SLOTS_PER_TRIAL_AHEAD: usize = 20;

/// What holds at a board while somebody asks.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long a worker may give no sign of life.
    pub lease: Duration,
    /// Whether each report is answered.
    pub is_judging: bool,
    /// Who starts workers.
    pub starter: Starter,
}

/// The slots of all workers of a study.
pub struct BoardSlots {
    driver: Box<dyn Driver>,
    study: String,
    space: Space,
    epoch: i64,
    lease: Duration,
    is_judging: bool,
    control: Control,
    /// What is put up or claimed, by trial.
    posted: BTreeMap<TrialId, Posted>,
    changes: Vec<Change>,
    /// Slots of workers whose lease runs.
    slot_count: usize,
    worker_count: usize,
    /// Reports that were given as events and are still on the board.
    seen: HashSet<ReportKey>,
    looked_at: Option<Instant>,
    notices: Vec<String>,
}

/// An attempt that is put up or claimed.
struct Posted {
    attempt: u32,
    since: Instant,
    /// Its reports that wait for an answer, oldest first.
    reports: VecDeque<ReportKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ReportKey {
    trial: TrialId,
    attempt: u32,
    worker: i64,
    number: i64,
}

enum Change {
    Post {
        trial: TrialId,
        attempt: u32,
        body: String,
    },
    /// It has ended, and that is on record.
    Remove {
        trial: TrialId,
        attempt: u32,
    },
    /// A report is on record, and nobody waits for an answer.
    Forget(ReportKey),
    Answer {
        report: ReportKey,
        is_stop: bool,
    },
    Stop(TrialId),
    /// Whatever nobody has claimed is taken down.
    Withdraw,
}

/// What one look at the board found.
#[derive(Default)]
struct Found {
    outcomes: Rows,
    reports: Rows,
    lost: Rows,
    gone: Rows,
    withdrawn: Rows,
    slots: (usize, usize),
    wanted: Option<u32>,
    cancelled: usize,
    /// Workers are to hear that they are too many, or not any more.
    is_retiring: bool,
}

impl BoardSlots {
    /// Takes the board of a study. The caller has the study open for writing, so that nobody else asks. `study` is as
    /// its journal left it: what runs for it goes on, what the board has beyond that is taken down. Gives also the
    /// trials that have to be started.
    pub fn take(
        location: &Location,
        name: &str,
        study: &Study,
        running: &[TrialId],
        terms: Terms,
        control: Control,
    ) -> Result<(Self, Vec<TrialId>), JournalError> {
        let Terms { lease, is_judging, starter } = terms;
        let mut driver = super::connect(location)?;
        let (mut epoch, mut rows, mut reports) = (0, Rows::new(), Rows::new());
        driver.transact(Durability::Firm, &mut |board| {
            let sql = "
                INSERT INTO board (study, epoch, worker_count, lease, is_judging, asked_at, closed, starter, wanted,
                    cancelled)
                VALUES ($1, 1, 0, $2, $3, NOW(), NULL, $4, NULL, 0)
                ON CONFLICT (study) DO UPDATE SET epoch = board.epoch + 1, lease = $2, is_judging = $3,
                    asked_at = NOW(), closed = NULL, starter = $4, wanted = NULL, cancelled = 0
                RETURNING epoch";
            let judging = Cell::Int(i64::from(is_judging));
            let parameters = [name.into(), Cell::Real(lease.as_secs_f64()), judging, starter.word().into()];
            epoch = board.rows(sql, &parameters)?.first().map_or(0, |row| row[0].int());
            // nobody could renew it while nobody asked, perhaps because the store was down
            let sql = "UPDATE board_worker SET lease_until = NOW() + $2, is_retired = 0 WHERE study = $1";
            board.change(sql, &[name.into(), Cell::Real(lease.as_secs_f64())])?;
            let sql = "SELECT trial, attempt, is_stopped, outcome FROM board_assignment WHERE study = $1";
            rows = board.rows(sql, &[name.into()])?;
            let sql = "SELECT trial, attempt, worker, number, body FROM board_report WHERE study = $1";
            reports = board.rows(sql, &[name.into()])?;
            Ok(())
        })?;
        driver.listen(Side::News)?;
        // the lease may have changed
        driver.tell(Side::Work, &Whom::All.message(name))?;
        let mut slots = Self {
            driver,
            study: name.to_owned(),
            space: study.rules().problem.space.clone(),
            epoch,
            lease,
            is_judging,
            control,
            posted: BTreeMap::new(),
            changes: Vec::new(),
            slot_count: 0,
            worker_count: 0,
            seen: HashSet::new(),
            looked_at: None,
            notices: Vec::new(),
        };
        let mut again: Vec<TrialId> = running.to_vec();
        for row in rows {
            let (trial, attempt) = (TrialId(row[0].int() as u64), row[1].int() as u32);
            let is_meant = study.trial(trial).is_some_and(|known| known.attempt == attempt);
            // one that was told to stop by a user has not had its chance, unless it was done all the same
            let has_had_chance = row[2].int() == 0 || slots.is_completed(&row[3]);
            if is_meant && has_had_chance && again.contains(&trial) {
                again.retain(|other| *other != trial);
                slots.posted.insert(trial, Posted::now(attempt));
            } else {
                slots.changes.push(Change::Remove { trial, attempt });
            }
        }
        for row in reports {
            let report = slots.report_key(&row)?;
            let Record::Reported { step, .. } = slots.read_reported(&row[4])? else { continue };
            let last = study.trial(report.trial).and_then(|known| known.last_step);
            if last.is_some_and(|last| step <= last) {
                // it is on record: only its answer was lost
                slots.conclude_report(report, false);
                slots.seen.insert(report);
            }
        }
        Ok((slots, again))
    }

    fn is_completed(&self, outcome: &Cell) -> bool {
        let read = (!outcome.is_null()).then(|| record_text::read_finished(outcome.text(), &self.space));
        matches!(read, Some(Ok(Record::Finished { outcome: Outcome::Completed { .. }, .. })))
    }

    /// Takes the board down: workers end once they know. Without a reason it stays, for whoever asks next.
    pub fn close(mut self, reason: Option<&str>) -> Result<(), JournalError> {
        self.turn()?;
        let Some(reason) = reason else { return Ok(()) };
        let (study, epoch) = (self.study.clone(), self.epoch);
        self.driver.transact(Durability::Firm, &mut |board| {
            let sql = "UPDATE board SET closed = $3 WHERE study = $1 AND epoch = $2";
            if board.change(sql, &[study.as_str().into(), Cell::Int(epoch), reason.into()])? > 0 {
                board.change("DELETE FROM board_assignment WHERE study = $1", &[study.as_str().into()])?;
                board.change("DELETE FROM board_report WHERE study = $1", &[study.as_str().into()])?;
            }
            Ok(())
        })?;
        self.driver.tell(Side::Work, &Whom::All.message(&self.study))
    }

    fn report_key(&self, row: &[Cell]) -> Result<ReportKey, JournalError> {
        let attempt = u32::try_from(row[1].int())
            .map_err(|_| senseless(&self.study, "a report", "the number of its attempt"))?;
        Ok(ReportKey {
            trial: TrialId(row[0].int() as u64),
            attempt,
            worker: row[2].int(),
            number: row[3].int(),
        })
    }

    fn read_reported(&self, body: &Cell) -> Result<Record, JournalError> {
        record_text::read_reported(body.text(), &self.space)
            .map_err(|reason| senseless(&self.study, "a report", &reason))
    }

    fn conclude_report(&mut self, report: ReportKey, is_stop: bool) {
        self.changes.push(match self.is_judging {
            true => Change::Answer { report, is_stop },
            false => Change::Forget(report),
        });
    }

    /// Carries out what was gathered, and sees what there is, in one transaction.
    fn turn(&mut self) -> Result<Vec<Event>, JournalError> {
        let changes = std::mem::take(&mut self.changes);
        let (study, epoch, lease) = (self.study.clone(), self.epoch, self.lease.as_secs_f64());
        let mut found = Found::default();
        self.driver.transact(Durability::Light, &mut |board| {
            let key = || Cell::from(study.as_str());
            let sql = "UPDATE board SET asked_at = NOW() WHERE study = $1 AND epoch = $2
                       RETURNING wanted, cancelled";
            let Some(row) = board.rows(sql, &[key(), Cell::Int(epoch)])?.pop() else {
                return Err(JournalError::new(
                    JournalErrorKind::Conflict,
                    format!(
                        "the board of study {study} was taken over by another process; this one asks no more"
                    ),
                ));
            };
            found = Found {
                wanted: (!row[0].is_null()).then(|| u32::try_from(row[0].int()).unwrap_or(u32::MAX)),
                cancelled: row[1].int() as usize,
                ..Found::default()
            };
            // workers before assignments, as everybody locks them
            let sql =
                format!("DELETE FROM board_worker WHERE study = $1 AND {IS_EXPIRED} RETURNING worker, place");
            found.gone = board.rows(&sql, &[key(), Cell::Real(lease)])?;
            if let Some(wanted) = found.wanted {
                // the oldest know the study best; but who has given no sign of life for half a lease may be dead, and is
                // neither counted nor sent away
                let lives = "lease_until >= NOW() + CAST($3 AS DOUBLE PRECISION)";
                let first = format!(
                    "(SELECT worker FROM board_worker WHERE board_worker.study = $1 AND {lives} ORDER BY worker LIMIT $2)"
                );
                let cells = [key(), u64::from(wanted).into(), Cell::Real(0.5 * lease)];
                for (retired, which) in [(1, "NOT IN"), (0, "IN")] {
                    let sql = format!(
                        "UPDATE board_worker SET is_retired = {retired} WHERE study = $1 AND is_retired <> {retired}
                         AND {lives} AND worker {which} {first}"
                    );
                    found.is_retiring |= board.change(&sql, &cells)? > 0;
                }
            }
            for change in &changes {
                change.carry_out(board, &study, &mut found)?;
            }
            let sql = "
                DELETE FROM board_assignment WHERE study = $1 AND worker IS NOT NULL AND outcome IS NULL
                    AND worker NOT IN (SELECT worker FROM board_worker WHERE board_worker.study = $1)
                RETURNING trial, attempt, worker";
            found.lost = board.rows(sql, &[key()])?;
            // outcomes first: what was reported before an outcome is there once the outcome is
            let sql = "SELECT trial, attempt, outcome FROM board_assignment
                       WHERE study = $1 AND outcome IS NOT NULL ORDER BY trial";
            found.outcomes = board.rows(sql, &[key()])?;
            let sql = "SELECT trial, attempt, worker, number, body FROM board_report
                       WHERE study = $1 AND is_stop IS NULL ORDER BY trial, attempt, worker, number";
            found.reports = board.rows(sql, &[key()])?;
            // what was reported of an attempt that is lost is heard once more, and leaves with it
            let sql = "DELETE FROM board_report WHERE study = $1 AND trial = $2 AND attempt = $3";
            for row in &found.lost {
                board.change(sql, &[key(), row[0].clone(), row[1].clone()])?;
            }
            let sql = "SELECT CAST(coalesce(sum(slot_count), 0) AS BIGINT), count(*) FROM board_worker
                       WHERE study = $1 AND is_retired = 0";
            let row = board.rows(sql, &[key()])?.pop().unwrap_or_default();
            let count = |index: usize| row.get(index).map_or(0, |cell: &Cell| cell.int() as usize);
            found.slots = (count(0), count(1));
            Ok(())
        })?;
        self.looked_at = Some(Instant::now());
        self.tell_workers(&changes, found.is_retiring)?;
        self.control.heed(found.wanted, found.slots.1, found.cancelled);
        self.events(found)
    }

    /// Wakes those whom changes concern.
    fn tell_workers(&mut self, changes: &[Change], is_retiring: bool) -> Result<(), JournalError> {
        let is_for_all = is_retiring || changes.iter().any(|change| matches!(change, Change::Stop(_)));
        if is_for_all {
            return self.driver.tell(Side::Work, &Whom::All.message(&self.study));
        }
        let answered = changes.iter().filter_map(|change| match change {
            Change::Answer { report, .. } => u64::try_from(report.worker).ok(),
            _ => None,
        });
        for worker in answered.collect::<BTreeSet<u64>>() {
            self.driver.tell(Side::Work, &Whom::Worker(worker).message(&self.study))?;
        }
        if changes.iter().any(|change| matches!(change, Change::Post { .. })) {
            self.driver.tell(Side::Work, &Whom::Free.message(&self.study))?;
        }
        Ok(())
    }

    fn events(&mut self, found: Found) -> Result<Vec<Event>, JournalError> {
        let mut events = Vec::new();
        (self.slot_count, self.worker_count) = found.slots;
        let mut on_board = HashSet::new();
        for row in &found.reports {
            let report = self.report_key(row)?;
            on_board.insert(report);
            let Some(posted) =
                self.posted.get_mut(&report.trial).filter(|posted| posted.attempt == report.attempt)
            else {
                continue;
            };
            if !self.seen.insert(report) {
                continue;
            }
            posted.reports.push_back(report);
            if let Record::Reported { trial, step, measurement, .. } = self.read_reported(&row[4])? {
                events.push(Event::Reported { trial, step, measurement });
            }
        }
        // what has left the board is not seen again
        self.seen.retain(|report| on_board.contains(report));
        for row in &found.outcomes {
            let (trial, attempt) = (TrialId(row[0].int() as u64), row[1].int() as u32);
            let is_posted = self.posted.get(&trial).is_some_and(|posted| posted.attempt == attempt);
            if !is_posted {
                continue;
            }
            let record = record_text::read_finished(row[2].text(), &self.space)
                .map_err(|reason| senseless(&self.study, "an outcome", &reason))?;
            if let Record::Finished { outcome, duration, .. } = record {
                self.posted.remove(&trial);
                self.changes.push(Change::Remove { trial, attempt });
                events.push(Event::Ended { trial, outcome, duration });
            }
        }
        for row in &found.gone {
            self.notices.push(format!(
                "worker {} ({}) has given no sign of life for {:?}: what it was running is run elsewhere",
                row[0].int(),
                row[1].text(),
                self.lease
            ));
        }
        for row in &found.lost {
            let (trial, attempt) = (TrialId(row[0].int() as u64), row[1].int() as u32);
            let Some(posted) = self.posted.get(&trial).filter(|posted| posted.attempt == attempt) else {
                continue;
            };
            let duration = posted.since.elapsed();
            self.posted.remove(&trial);
            let reason = format!("worker {} gave no sign of life for {:?}", row[2].int(), self.lease);
            events.push(Event::Ended {
                trial,
                outcome: Outcome::Failed { failure: Failure::Lost, reason },
                duration,
            });
        }
        for row in &found.withdrawn {
            self.posted.remove(&TrialId(row[0].int() as u64));
        }
        Ok(events)
    }
}

impl Posted {
    fn now(attempt: u32) -> Self {
        Self { attempt, since: Instant::now(), reports: VecDeque::new() }
    }
}

impl Change {
    fn carry_out(
        &self,
        board: &mut dyn Statements,
        study: &str,
        found: &mut Found,
    ) -> Result<(), JournalError> {
        let report_cells = |report: &ReportKey| {
            [
                study.into(),
                report.trial.0.into(),
                u64::from(report.attempt).into(),
                Cell::Int(report.worker),
                Cell::Int(report.number),
            ]
        };
        let of_report = "study = $1 AND trial = $2 AND attempt = $3 AND worker = $4 AND number = $5";
        match self {
            Change::Post { trial, attempt, body } => {
                let sql = "
                    INSERT INTO board_assignment (study, trial, attempt, body, worker, is_stopped, outcome)
                    VALUES ($1, $2, $3, $4, NULL, 0, NULL)";
                let cells = [study.into(), trial.0.into(), u64::from(*attempt).into(), body.as_str().into()];
                board.change(sql, &cells)?;
            }
            Change::Remove { trial, attempt } => {
                let cells = [study.into(), trial.0.into(), u64::from(*attempt).into()];
                let of_attempt = "WHERE study = $1 AND trial = $2 AND attempt = $3";
                board.change(&format!("DELETE FROM board_assignment {of_attempt}"), &cells)?;
                board.change(&format!("DELETE FROM board_report {of_attempt}"), &cells)?;
            }
            Change::Forget(report) => {
                board
                    .change(&format!("DELETE FROM board_report WHERE {of_report}"), &report_cells(report))?;
            }
            Change::Answer { report, is_stop } => {
                let [a, b, c, d, e] = report_cells(report);
                let sql = format!("UPDATE board_report SET is_stop = $6 WHERE {of_report}");
                board.change(&sql, &[a, b, c, d, e, Cell::Int(i64::from(*is_stop))])?;
            }
            Change::Stop(trial) => {
                let sql = "UPDATE board_assignment SET is_stopped = 1 WHERE study = $1 AND trial = $2";
                board.change(sql, &[study.into(), trial.0.into()])?;
            }
            Change::Withdraw => {
                let sql =
                    "DELETE FROM board_assignment WHERE study = $1 AND worker IS NULL AND outcome IS NULL
                           RETURNING trial";
                found.withdrawn.extend(board.rows(sql, &[study.into()])?);
            }
        }
        Ok(())
    }
}

impl Slots for BoardSlots {
    fn free_slot_count(&self) -> usize {
        let ahead = self.slot_count / SLOTS_PER_TRIAL_AHEAD;
        (self.slot_count + ahead).saturating_sub(self.posted.len())
    }

    fn running_count(&self) -> usize {
        self.posted.len()
    }

    fn start(&mut self, point: Point, assignment: Assignment) -> Result<(), Error> {
        let Assignment { trial, attempt, .. } = assignment;
        let body = posting::write(point, &assignment, &self.space)
            .map_err(|reason| senseless(&self.study, "an assignment", &reason))?;
        self.posted.insert(trial, Posted::now(attempt));
        self.changes.push(Change::Post { trial, attempt, body });
        Ok(())
    }

    fn answer(&mut self, trial: TrialId, verdict: Verdict) -> Result<(), Error> {
        let is_stop = verdict == Verdict::Stop;
        if let Some(report) = self.posted.get_mut(&trial).and_then(|posted| posted.reports.pop_front()) {
            self.conclude_report(report, is_stop);
        }
        if is_stop {
            self.changes.push(Change::Stop(trial));
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Error> {
        // each time: what a worker has handed back meanwhile is to be taken down, too
        self.changes.push(Change::Withdraw);
        Ok(())
    }

    fn stop_all(&mut self) -> Result<(), Error> {
        self.changes.push(Change::Withdraw);
        let running: Vec<TrialId> = self.posted.keys().copied().collect();
        self.changes.extend(running.into_iter().map(Change::Stop));
        Ok(())
    }

    fn wait(&mut self, patience: Duration, _linger: Duration) -> Result<Vec<Event>, Error> {
        let until = Instant::now() + patience;
        let mut is_time = !self.changes.is_empty() || self.looked_at.is_none();
        loop {
            if is_time {
                let before = (self.slot_count, self.posted.len());
                let events = self.turn()?;
                if !events.is_empty() || before != (self.slot_count, self.posted.len()) {
                    return Ok(events);
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Vec::new());
            }
            let all = Whom::All.message(&self.study);
            is_time = self.driver.wait(&|message| message == all, left)?;
            // the lease of somebody may have run out
            is_time |= self.looked_at.is_none_or(|looked| looked.elapsed() >= self.lease / 3);
        }
    }

    fn waker(&self) -> Option<Waker> {
        None
    }

    fn abandon(&mut self) {
        // workers go on with what they have; whoever asks next finds it
    }

    fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}
