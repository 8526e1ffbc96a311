//! A worker's side of the board: it claims, keeps its lease, reports, and brings outcomes.

use super::driver::{Cell, Driver, Durability, Rows};
use super::posting::{self, Posting};
use super::{Side, Whom, senseless};
use crate::journal::{JournalError, Location, record_text};
use ansatz_core::study::Record;
use ansatz_core::{Measurement, Outcome, Space, TrialId, Verdict};
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// What a board has for somebody who wants to work.
pub enum Offer {
    /// A place.
    Place(Box<Membership>),
    /// Nobody has asked for anything yet.
    NotYet,
    /// There is nothing left to do, and why.
    Closed(String),
}

/// A worker's place at the board of one study, as long as its lease runs.
pub struct Membership {
    driver: Box<dyn Driver>,
    study: String,
    space: Space,
    worker: u64,
    /// Of the asker.
    epoch: i64,
    lease: Duration,
    is_judging: bool,
    held: HashMap<TrialId, Held>,
}

/// An attempt that is ours.
struct Held {
    attempt: u32,
    report_count: u64,
}

/// An attempt that was claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Which trial.
    pub trial: TrialId,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// What is to be evaluated.
    pub posting: Posting,
}

/// How things stand on the board.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Our lease ran out and somebody noticed: what we run is not ours any more.
    pub is_put_out: bool,
    /// We are one too many: what we run is finished, and nothing more is claimed.
    pub is_retired: bool,
    /// Another one asks than at the last look, perhaps with other plugins.
    pub is_new_asker: bool,
    /// Why there is nothing left to do, once that is so.
    pub closed: Option<String>,
    /// How long nobody has asked for anything.
    pub silence: Duration,
    /// Something can be claimed.
    pub has_work: bool,
    /// Attempts of ours that are to end now.
    pub stops: Vec<TrialId>,
    /// Answers to reports of ours.
    pub verdicts: Vec<(TrialId, Verdict)>,
}

impl Membership {
    /// Asks for a place. `place` says to people where the worker is.
    pub fn join(
        location: &Location,
        study: &str,
        space: &Space,
        slot_count: usize,
        place: &str,
    ) -> Result<Offer, JournalError> {
        let mut driver = super::connect(location)?;
        let (mut given, mut closed) = (None, None);
        driver.transact(Durability::Firm, &mut |board| {
            let sql = "UPDATE board SET worker_count = worker_count + 1 WHERE study = $1 AND closed IS NULL
                       RETURNING worker_count, lease, is_judging, epoch";
            let Some(row) = board.rows(sql, &[study.into()])?.pop() else {
                let sql = "SELECT closed FROM board WHERE study = $1";
                closed = board.rows(sql, &[study.into()])?.pop().map(|row| row[0].text().to_owned());
                return Ok(());
            };
            let sql = "INSERT INTO board_worker (study, worker, place, slot_count, lease_until, is_retired)
                       VALUES ($1, $2, $3, $4, NOW() + $5, 0)";
            let slots = Cell::from(slot_count as u64);
            board.change(sql, &[study.into(), row[0].clone(), place.into(), slots, row[1].clone()])?;
            given = Some(row);
            Ok(())
        })?;
        let Some(row) = given else {
            return Ok(closed.map_or(Offer::NotYet, Offer::Closed));
        };
        driver.listen(Side::Work)?;
        driver.tell(Side::News, &Whom::All.message(study))?;
        Ok(Offer::Place(Box::new(Self {
            driver,
            study: study.to_owned(),
            space: space.clone(),
            worker: row[0].int() as u64,
            lease: Duration::try_from_secs_f64(row[1].real()).unwrap_or(super::LEASE),
            is_judging: row[2].int() != 0,
            epoch: row[3].int(),
            held: HashMap::new(),
        })))
    }

    /// Connects anew; the place stays the same, if it is still ours.
    pub fn reconnect(&mut self, location: &Location) -> Result<(), JournalError> {
        let mut driver = super::connect(location)?;
        driver.listen(Side::Work)?;
        self.driver = driver;
        Ok(())
    }

    /// The number of the worker: never given twice at one board.
    pub fn worker(&self) -> u64 {
        self.worker
    }

    /// How long the asker waits for a sign of life. Whoever gives one three times as often is safe.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// Whether each report is answered.
    pub fn is_judging(&self) -> bool {
        self.is_judging
    }

    /// Whether an attempt is ours, as far as we know.
    pub fn holds(&self, trial: TrialId) -> bool {
        self.held.contains_key(&trial)
    }

    fn keys(&self) -> [Cell; 2] {
        [self.study.as_str().into(), self.worker.into()]
    }

    /// How things stand. Changes nothing, but that an answer is given once, and that what the board takes for ours and
    /// we know nothing of is handed back.
    pub fn look(&mut self) -> Result<Look, JournalError> {
        let sql = "
            SELECT closed, NOW() - asked_at,
                CAST(CASE WHEN EXISTS (SELECT 1 FROM board_assignment WHERE board_assignment.study = $1
                    AND worker IS NULL) THEN 1 ELSE 0 END AS BIGINT),
                (SELECT is_retired FROM board_worker WHERE board_worker.study = $1 AND worker = $2),
                lease, epoch
            FROM board WHERE study = $1";
        let keys = self.keys();
        let Some(row) = self.driver.read(sql, &keys)?.pop() else {
            return Ok(Look { is_put_out: true, ..Look::default() });
        };
        let mut look = Look {
            closed: (!row[0].is_null()).then(|| row[0].text().to_owned()),
            // a machine that was started anew has a clock that was, too
            silence: Duration::try_from_secs_f64(row[1].real().abs()).unwrap_or_default(),
            has_work: row[2].int() != 0,
            is_put_out: row[3].is_null(),
            is_retired: row[3].int() != 0,
            is_new_asker: row[5].int() != self.epoch,
            ..Look::default()
        };
        self.lease = Duration::try_from_secs_f64(row[4].real()).unwrap_or(self.lease);
        self.epoch = row[5].int();
        let sql = "SELECT trial, attempt, is_stopped FROM board_assignment
                   WHERE study = $1 AND worker = $2 AND outcome IS NULL";
        let mut unknown = Rows::new();
        // what the asker has taken down meanwhile is nobody's: it would wait for an answer for ever
        let mut gone: BTreeSet<TrialId> = self.held.keys().copied().collect();
        for row in self.driver.read(sql, &keys)? {
            let trial = TrialId(row[0].int() as u64);
            match self.held.get(&trial) {
                Some(held) if i64::from(held.attempt) == row[1].int() => {
                    gone.remove(&trial);
                    if row[2].int() != 0 {
                        look.stops.push(trial);
                    }
                }
                _ => unknown.push(row),
            }
        }
        look.stops.extend(gone);
        if !unknown.is_empty() {
            self.hand_back(&unknown)?;
            self.tell(Side::Work, Whom::Free);
            look.has_work = true;
        }
        if self.is_judging && !self.held.is_empty() {
            look.verdicts = self.verdicts(&keys)?;
        }
        Ok(look)
    }

    /// Hands back what we were given by a claim whose answer was lost with the connection.
    fn hand_back(&mut self, rows: &Rows) -> Result<(), JournalError> {
        let keys = self.keys();
        self.driver.transact(Durability::Light, &mut |board| {
            let sql = "UPDATE board_assignment SET worker = NULL
                       WHERE study = $1 AND worker = $2 AND trial = $3 AND attempt = $4 AND outcome IS NULL";
            for row in rows {
                let [study, worker] = keys.clone();
                board.change(sql, &[study, worker, row[0].clone(), row[1].clone()])?;
            }
            Ok(())
        })
    }

    /// Wakes the other side, or does not: it looks once in a while all the same, and whether the connection still
    /// stands shows by the next statement. What was done before is done.
    fn tell(&mut self, side: Side, whom: Whom) {
        let _ = self.driver.tell(side, &whom.message(&self.study));
    }

    fn verdicts(&mut self, keys: &[Cell; 2]) -> Result<Vec<(TrialId, Verdict)>, JournalError> {
        let sql = "
            SELECT trial, attempt, number, is_stop
            FROM board_report WHERE study = $1 AND worker = $2 AND is_stop IS NOT NULL ORDER BY trial, number";
        let rows = self.driver.read(sql, keys)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        self.driver.transact(Durability::Light, &mut |board| {
            let sql = "DELETE FROM board_report
                       WHERE study = $1 AND worker = $2 AND trial = $3 AND attempt = $4 AND number = $5";
            for row in &rows {
                let [study, worker] = keys.clone();
                board.change(sql, &[study, worker, row[0].clone(), row[1].clone(), row[2].clone()])?;
            }
            Ok(())
        })?;
        let verdict = |row: &Vec<Cell>| {
            let verdict = if row[3].int() == 0 { Verdict::Continue } else { Verdict::Stop };
            (TrialId(row[0].int() as u64), verdict)
        };
        Ok(rows.iter().map(verdict).collect())
    }

    /// Renews the lease; `false`: too late.
    pub fn renew(&mut self) -> Result<bool, JournalError> {
        let (mut is_ours, keys) = (false, self.keys());
        self.driver.transact(Durability::Light, &mut |board| {
            is_ours = board.change(RENEW, &keys)? > 0;
            Ok(())
        })?;
        Ok(is_ours)
    }

    /// Claims up to so many attempts, oldest first, and renews the lease. `None`: the place is not ours any more.
    pub fn claim(&mut self, count: usize) -> Result<Option<Vec<Claim>>, JournalError> {
        let (mut rows, mut is_ours) = (Vec::new(), false);
        let keys = self.keys();
        // a claim that the store forgets in a crash is put up again
        self.driver.transact(Durability::Light, &mut |board| {
            let [study, worker] = keys.clone();
            is_ours = board.change(RENEW, &keys)? > 0;
            if is_ours {
                let sql = "
                    WITH picked AS MATERIALIZED (
                        SELECT trial FROM board_assignment WHERE study = $1 AND worker IS NULL
                        ORDER BY trial LIMIT $3 FOR UPDATE SKIP LOCKED)
                    UPDATE board_assignment SET worker = $2
                    WHERE study = $1 AND trial IN (SELECT trial FROM picked)
                    RETURNING trial, attempt, body";
                rows = board.rows(sql, &[study, worker, Cell::from(count as u64)])?;
            }
            Ok(())
        })?;
        if !is_ours {
            return Ok(None);
        }
        // one whose last attempt still runs here, although it was taken down: that one has to end first
        let is_running = |row: &Vec<Cell>| self.held.contains_key(&TrialId(row[0].int() as u64));
        let (running, rows): (Rows, Rows) = rows.into_iter().partition(is_running);
        if !running.is_empty() {
            self.hand_back(&running)?;
        }
        let mut claims = Vec::new();
        for row in rows {
            let senseless = |reason: &str| senseless(&self.study, "an assignment", reason);
            let (trial, attempt) = (TrialId(row[0].int() as u64), row[1].int());
            let attempt = u32::try_from(attempt).map_err(|_| senseless("the number of its attempt"))?;
            let posting = posting::read(row[2].text(), trial, &self.space);
            let posting = posting.map_err(|reason| senseless(&reason))?;
            self.held.insert(trial, Held { attempt, report_count: 0 });
            claims.push(Claim { trial, attempt, posting });
        }
        claims.sort_by_key(|claim| claim.trial);
        Ok(Some(claims))
    }

    /// Puts up a report. `false`: the attempt is not ours any more. It may be said again after an error.
    pub fn report(
        &mut self,
        trial: TrialId,
        step: u64,
        measurement: &Measurement,
    ) -> Result<bool, JournalError> {
        let Some(held) = self.held.get(&trial) else { return Ok(false) };
        let record = Record::Reported { trial, step, measurement: measurement.clone(), stop: None };
        let body = record_text::write(record, &self.space)
            .map_err(|reason| senseless(&self.study, "a report", &reason))?;
        let [study, worker] = self.keys();
        let parameters = [
            study,
            worker,
            trial.0.into(),
            u64::from(held.attempt).into(),
            held.report_count.into(),
            body.as_str().into(),
        ];
        let mut count = 0;
        self.driver.transact(Durability::Light, &mut |board| {
            let sql = "
                INSERT INTO board_report (study, trial, attempt, worker, number, body, is_stop)
                SELECT study, trial, attempt, worker, CAST($5 AS BIGINT), CAST($6 AS TEXT), NULL FROM board_assignment
                WHERE study = $1 AND trial = $3 AND attempt = $4 AND worker = $2 AND outcome IS NULL
                ON CONFLICT (study, trial, attempt, worker, number) DO UPDATE SET body = EXCLUDED.body";
            count = board.change(sql, &parameters)?;
            Ok(())
        })?;
        if let Some(held) = self.held.get_mut(&trial) {
            held.report_count += 1;
        }
        self.tell(Side::News, Whom::All);
        Ok(count > 0)
    }

    /// Brings an outcome. `false`: it came too late, and somebody else has the trial; nothing was changed. It may be
    /// said again after an error.
    pub fn finish(
        &mut self,
        trial: TrialId,
        outcome: &Outcome,
        duration: Duration,
    ) -> Result<bool, JournalError> {
        let Some(held) = self.held.get(&trial) else { return Ok(false) };
        let record = Record::Finished { trial, outcome: outcome.clone(), duration, reused: None };
        let body = record_text::write(record, &self.space)
            .map_err(|reason| senseless(&self.study, "an outcome", &reason))?;
        let [study, worker] = self.keys();
        let parameters =
            [study, worker, trial.0.into(), u64::from(held.attempt).into(), body.as_str().into()];
        let mut is_taken = false;
        self.driver.transact(Durability::Firm, &mut |board| {
            let sql = "UPDATE board_assignment SET outcome = $5
                       WHERE study = $1 AND trial = $3 AND attempt = $4 AND worker = $2 AND outcome IS NULL";
            is_taken = board.change(sql, &parameters)? > 0;
            if !is_taken {
                // said before, by a connection that ended before it was answered
                let sql =
                    "SELECT trial FROM board_assignment WHERE study = $1 AND trial = $3 AND attempt = $4
                           AND worker = $2 AND outcome = $5";
                is_taken = !board.rows(sql, &parameters)?.is_empty();
            }
            Ok(())
        })?;
        self.held.remove(&trial);
        self.tell(Side::News, Whom::All);
        Ok(is_taken)
    }

    /// Hands everything back that has no outcome, for others to claim, and gives up the place.
    pub fn leave(&mut self) -> Result<(), JournalError> {
        let keys = self.keys();
        self.held.clear();
        self.driver.transact(Durability::Firm, &mut |board| {
            // workers before assignments, as everybody locks them
            board.change("DELETE FROM board_worker WHERE study = $1 AND worker = $2", &keys)?;
            let sql = "UPDATE board_assignment SET worker = NULL
                       WHERE study = $1 AND worker = $2 AND outcome IS NULL";
            board.change(sql, &keys)?;
            Ok(())
        })?;
        self.tell(Side::News, Whom::All);
        self.tell(Side::Work, Whom::Free);
        Ok(())
    }

    /// Waits until it is time to look, at most so long; whether it is. `is_free`: something could be claimed.
    pub fn wait(&mut self, patience: Duration, is_free: bool) -> Result<bool, JournalError> {
        let (all, free) = (Whom::All.message(&self.study), Whom::Free.message(&self.study));
        let own = Whom::Worker(self.worker).message(&self.study);
        let is_for_us = |message: &str| message == all || message == own || (is_free && message == free);
        self.driver.wait(&is_for_us, patience)
    }
}

/// By the lease of whoever asks now: it may have changed since we joined.
const RENEW: &str = "
    UPDATE board_worker SET lease_until = NOW() + (SELECT lease FROM board WHERE board.study = $1)
    WHERE study = $1 AND worker = $2";
