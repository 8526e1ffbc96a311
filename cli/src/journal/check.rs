//! What is wrong with a store: the file, its tables, and every study, replayed record by record. Only reads.

use super::backup::beside;
use super::lock::holder_of;
use super::pages::PAGE_ROWS;
use super::schema::{self, MIGRATIONS, SCHEMA_VERSION};
use super::sqlite::{SqliteStore, explain, read_row, read_value, uri};
use super::wire::Kind;
use super::{Entry, JournalError, JournalErrorKind, wire};
use crate::plan::{OnInterrupt, StudyPlan};
use ansatz_core::study::Study;
use ansatz_core::{Goal, TrialId};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// The table of what a repair took out of a journal. Only stores that needed one have it.
pub(super) const QUARANTINE: &str = "quarantine";

/// Less than any number of an entry, whatever is in its place: a table does not insist on its types.
pub(super) const BEFORE_ALL: Value = Value::Real(f64::NEG_INFINITY);

/// What was found in a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkup {
    /// The version of its schema.
    pub schema_version: u32,
    /// What is wrong with the store as a whole, in words.
    pub problems: Vec<String>,
    /// How many entries repairs have taken out of its journals, and kept.
    pub quarantined_count: u64,
    /// What was found in each study, in the order of creation. Nothing where the file itself is damaged.
    pub studies: Vec<StudyCheckup>,
}

/// What was found in a study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyCheckup {
    /// Its name.
    pub name: String,
    /// How many entries its journal has.
    pub entry_count: u64,
    /// How many trials it has, as far as its records can be applied.
    pub trial_count: u64,
    /// How many of them have ended.
    pub finished_count: u64,
    /// What is wrong with it, the first first. What follows a record that cannot be applied is not looked at.
    pub problems: Vec<Problem>,
    /// Who runs it, if anybody does.
    pub runner: Option<String>,
    /// Trials that were asked for and have not ended, while nobody runs the study: nobody works on them.
    pub orphans: Vec<u64>,
    /// Whether what came of them may be on the board, where a resume over the board finds it.
    pub is_on_board: bool,
    /// What becomes of them when the study is resumed.
    pub on_interrupt: Option<OnInterrupt>,
}

/// Something that is wrong with a study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Problem {
    /// The number of the entry, if it is one.
    pub entry: Option<u64>,
    /// What is wrong, in words, with the name of the study.
    pub message: String,
}

impl Checkup {
    /// Everything that is wrong, in words.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        let of_studies = self.studies.iter().flat_map(|study| &study.problems);
        self.problems.iter().cloned().chain(of_studies.map(|problem| problem.message.clone()))
    }

    /// Whether nothing is wrong. Trials that nobody works on are not wrong: a host died, and resuming goes on.
    pub fn is_sound(&self) -> bool {
        self.problems().next().is_none()
    }
}

impl SqliteStore {
    /// Looks for everything that may be wrong. Reads all of it, and keeps nobody from writing.
    pub fn check(&self) -> Result<Checkup, JournalError> {
        let failed = |error| explain(&self.path, "be checked", error);
        let version =
            self.connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        let mut checkup = Checkup {
            schema_version: version,
            problems: file_problems(&self.connection).map_err(failed)?,
            quarantined_count: 0,
            studies: Vec::new(),
        };
        if !checkup.problems.is_empty() {
            return Ok(checkup);
        }
        checkup.problems = schema_problems(&self.connection, version).map_err(failed)?;
        // without its tables there is nothing to look at
        if checkup.problems.iter().any(|problem| problem.starts_with("the table")) {
            return Ok(checkup);
        }
        checkup.quarantined_count = quarantined_count(&self.connection).map_err(failed)?;
        for study_id in strays(&self.connection).map_err(failed)? {
            checkup.problems.push(format!("there are entries of a study {study_id}, which does not exist"));
        }
        let ids = study_ids(&self.connection).map_err(failed)?;
        for study_id in ids {
            match self.check_study(study_id) {
                Ok(study) => checkup.studies.push(study),
                Err(error) if error.kind == JournalErrorKind::Damaged => checkup.problems.push(error.message),
                Err(error) => return Err(error),
            }
        }
        Ok(checkup)
    }

    fn check_study(&self, study_id: i64) -> Result<StudyCheckup, JournalError> {
        let failed = |error| explain(&self.path, "be checked", error);
        let header = read_header(&self.connection, study_id).map_err(failed)?;
        // before and after: whoever has it at either end may be at work on what looks left alone
        let runner = holder_of(&self.path, &header.name);
        let mut found = StudyCheckup {
            name: header.name.clone(),
            entry_count: 0,
            trial_count: 0,
            finished_count: 0,
            problems: Vec::new(),
            runner,
            orphans: Vec::new(),
            is_on_board: false,
            on_interrupt: None,
        };
        let plan = match header.plan {
            Ok(plan) => plan,
            Err(reason) => {
                let count = "SELECT count(*) FROM record WHERE study_id = ?1";
                let count: i64 =
                    self.connection.query_row(count, [study_id], |row| row.get(0)).map_err(failed)?;
                found.entry_count = count as u64;
                found
                    .note(None, format!("the plan of study {} cannot be understood ({reason})", header.name));
                return Ok(found);
            }
        };
        for problem in list_problems(&self.connection, study_id, &plan).map_err(failed)? {
            found.note(None, problem);
        }
        let plan = latest_plan(&self.connection, study_id, plan).map_err(failed)?;
        let mut reading = Reading::new(&plan);
        while reading.read_page(&self.connection, study_id, &mut found).map_err(failed)? {}
        found.trial_count = reading.study.trials().len() as u64;
        found.finished_count = reading.study.finished_count() as u64;
        found.on_interrupt = Some(plan.run.on_interrupt);
        found.runner = found.runner.take().or_else(|| holder_of(&self.path, &header.name));
        if found.runner.is_none() && !reading.is_broken {
            found.orphans = orphans(&reading.study).into_iter().map(|trial| trial.0).collect();
            found.is_on_board = !found.orphans.is_empty() && is_on_board(&self.path, &header.name);
        }
        Ok(found)
    }
}

impl StudyCheckup {
    fn note(&mut self, entry: Option<u64>, message: String) {
        self.problems.push(Problem { entry, message });
    }
}

/// A study as it is read back, as far as that goes.
struct Reading {
    study: Study,
    space: ansatz_core::Space,
    last_seen: Value,
    next_number: i64,
    /// An entry is missing, cannot be read or does not fit: what follows is counted only.
    is_broken: bool,
    has_column_problem: bool,
}

impl Reading {
    fn new(plan: &StudyPlan) -> Self {
        Self {
            study: Study::new(plan.rules.clone()),
            space: plan.rules.problem.space.clone(),
            last_seen: BEFORE_ALL,
            next_number: 0,
            is_broken: false,
            has_column_problem: false,
        }
    }

    /// Reads some entries more, in a short transaction. Whether there may be others.
    fn read_page(
        &mut self,
        connection: &Connection,
        study_id: i64,
        found: &mut StudyCheckup,
    ) -> rusqlite::Result<bool> {
        let sql = "SELECT number, at, kind, body, trial FROM record WHERE study_id = ?1 AND number > ?2 \
                   ORDER BY number LIMIT ?3";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![study_id, self.last_seen, PAGE_ROWS])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            self.last_seen = read_value(row, 0)?;
            found.entry_count += 1;
            count += 1;
            if self.is_broken {
                continue;
            }
            let (name, expected) = (found.name.clone(), self.next_number);
            let number = match self.last_seen {
                Value::Integer(number) if number == expected => number,
                Value::Integer(number) if number > expected => {
                    self.is_broken = true;
                    found.note(Some(expected as u64), format!("study {name} lacks entry {expected}"));
                    continue;
                }
                _ => {
                    self.is_broken = true;
                    found.note(None, format!("an entry of study {name} has a number that is none"));
                    continue;
                }
            };
            self.next_number += 1;
            match self.take(row) {
                Err(reason) => {
                    self.is_broken = true;
                    found.note(Some(number as u64), format!("entry {number} of study {name} {reason}"));
                }
                Ok(trial) if read_value(row, 4)? != column_of(trial) && !self.has_column_problem => {
                    self.has_column_problem = true;
                    let what = "the column trial does not say what the body says";
                    found.note(Some(number as u64), format!("entry {number} of study {name}: {what}"));
                }
                Ok(_) => {}
            }
        }
        Ok(count == PAGE_ROWS)
    }

    /// Takes an entry in, and gives the trial that it is about.
    fn take(&mut self, row: &rusqlite::Row<'_>) -> Result<Option<u64>, String> {
        let (_, entry) = read_row(row, &self.space).map_err(|reason| format!("makes no sense ({reason})"))?;
        let trial = wire::trial_of(&entry);
        match entry {
            Entry::Study(record) => {
                self.study
                    .apply(&record)
                    .map_err(|error| format!("does not fit what came before: {error}"))?;
            }
            Entry::Opened(_) | Entry::Closed { .. } => {}
        }
        Ok(trial)
    }
}

/// What belongs into the column `trial`.
pub(super) fn column_of(trial: Option<u64>) -> Value {
    trial.map_or(Value::Null, |trial| Value::Integer(trial as i64))
}

/// Trials that were asked for and have neither ended nor wait for their turn to count.
pub(super) fn orphans(study: &Study) -> Vec<TrialId> {
    let pending = study.pending().iter().map(|(trial, _)| trial);
    pending.filter(|trial| study.arrived(*trial).is_none()).collect()
}

/// Whether the board beside a store (`crate::board`) has something of a study. One that cannot be read may have anything.
pub(super) fn is_on_board(store: &Path, study: &str) -> bool {
    let board = crate::board::file_of(store);
    board.exists() && has_assignments(&board, study).unwrap_or(true)
}

fn has_assignments(board: &Path, study: &str) -> rusqlite::Result<bool> {
    // without a log nobody has it open, and reading it is to leave nothing behind
    let access = if beside(board, "-wal").exists() { "mode=ro" } else { "immutable=1" };
    let flags =
        OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(board, access), flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    let exists =
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'board_assignment')";
    let some = "SELECT EXISTS (SELECT 1 FROM board_assignment WHERE study = ?1)";
    Ok(connection.query_row(exists, [], |row| row.get(0))?
        && connection.query_row(some, [study], |row| row.get(0))?)
}

/// Every study, in the order of creation.
pub(super) fn study_ids(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare("SELECT study_id FROM study ORDER BY study_id")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// A study's row.
pub(super) struct Header {
    pub name: String,
    /// Or why it cannot be understood.
    pub plan: Result<StudyPlan, String>,
}

pub(super) fn read_header(connection: &Connection, study_id: i64) -> rusqlite::Result<Header> {
    let sql = "SELECT name, plan FROM study WHERE study_id = ?1";
    let (name, plan) =
        connection.query_row(sql, [study_id], |row| Ok((read_value(row, 0)?, read_value(row, 1)?)))?;
    let name = match name {
        Value::Text(name) => name,
        Value::Blob(bytes) => {
            let name = String::from_utf8_lossy(&bytes).into_owned();
            return Ok(Header { name, plan: Err("the name of the study is not UTF-8".to_owned()) });
        }
        other => {
            let plan = Err("the name of the study is no text".to_owned());
            return Ok(Header { name: format!("{other:?}"), plan });
        }
    };
    let plan = match plan {
        Value::Text(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
        _ => Err("it is no text".to_owned()),
    };
    Ok(Header { name, plan })
}

/// The plan by which a study is resumed: that of the last session that came with one, else the `first`.
pub(super) fn latest_plan(
    connection: &Connection,
    study_id: i64,
    first: StudyPlan,
) -> rusqlite::Result<StudyPlan> {
    let sql =
        "SELECT number, at, kind, body FROM record WHERE study_id = ?1 AND kind = ?2 ORDER BY number DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![study_id, Kind::Opened.word()])?;
    while let Some(row) = rows.next()? {
        if let Ok((_, Entry::Opened(opened))) = read_row(row, &first.rules.problem.space)
            && let Some(plan) = opened.plan
        {
            return Ok(*plan);
        }
    }
    Ok(first)
}

/// What SQLite itself says of the file.
pub(super) fn file_problems(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut problems = Vec::new();
    let is_damage =
        |error: &rusqlite::Error| error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt);
    let mut statement = match connection.prepare("PRAGMA integrity_check") {
        Err(error) if is_damage(&error) => return Ok(vec![error.to_string()]),
        other => other?,
    };
    let mut rows = statement.query([])?;
    loop {
        match rows.next() {
            Ok(Some(row)) => {
                let text: String = row.get(0)?;
                if text != "ok" {
                    problems.push(text);
                }
            }
            Ok(None) => return Ok(problems),
            Err(error) if is_damage(&error) => {
                problems.push(error.to_string());
                return Ok(problems);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Where tables, triggers and views are not those of the version. What somebody added is theirs.
pub(super) fn schema_problems(connection: &Connection, version: u32) -> rusqlite::Result<Vec<String>> {
    let mut model = Connection::open_in_memory()?;
    let until = (version as usize).min(MIGRATIONS.len());
    schema::migrate(&mut model, &MIGRATIONS[..until])?;
    let sql = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL";
    let mut expected = model.prepare(sql)?;
    let mut rows = expected.query([])?;
    let mut problems = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, name, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // the views of an older version are replaced when it is brought up to date
        if kind == "view" && version != SCHEMA_VERSION {
            continue;
        }
        let found: Option<String> = connection
            .query_row("SELECT sql FROM sqlite_schema WHERE type = ?1 AND name = ?2", [&kind, &name], |row| {
                row.get(0)
            })
            .optional()?;
        match found {
            None => problems.push(format!("the {kind} {name} is missing")),
            Some(found) if found != sql => problems.push(format!("the {kind} {name} is not as it was made")),
            Some(_) => {}
        }
    }
    Ok(problems)
}

fn quarantined_count(connection: &Connection) -> rusqlite::Result<u64> {
    let exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    if connection.query_row(exists, [QUARANTINE], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(0);
    }
    let count: i64 =
        connection.query_row(&format!("SELECT count(*) FROM {QUARANTINE}"), [], |row| row.get(0))?;
    Ok(count as u64)
}

/// Studies that have entries and do not exist.
pub(super) fn strays(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    // from one study to the next, without going through their entries
    let sql = "
        WITH RECURSIVE each (id) AS (
            SELECT min(study_id) FROM record
            UNION ALL
            SELECT (SELECT min(study_id) FROM record WHERE study_id > id) FROM each WHERE id IS NOT NULL
        ) SELECT id FROM each WHERE id IS NOT NULL AND id NOT IN (SELECT study_id FROM study)";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Rows of `member` and `metric` as a plan has them.
pub(super) struct Lists {
    /// Label and plugin.
    pub members: Vec<(String, Option<String>)>,
    /// Name and goal.
    pub metrics: Vec<(String, &'static str)>,
}

pub(super) fn lists_of(plan: &StudyPlan) -> Lists {
    let plugin = |number: usize| plan.strategies.get(number).map(|choice| choice.plugin.clone());
    let members = plan.rules.members.iter().enumerate();
    let goal = |goal| match goal {
        Goal::Minimise => "minimise",
        Goal::Maximise => "maximise",
    };
    let metrics = plan.rules.problem.metrics.iter();
    Lists {
        members: members.map(|(number, member)| (member.label.clone(), plugin(number))).collect(),
        metrics: metrics.map(|metric| (metric.name.clone(), goal(metric.goal))).collect(),
    }
}

pub(super) fn list_problems(
    connection: &Connection,
    study_id: i64,
    plan: &StudyPlan,
) -> rusqlite::Result<Vec<String>> {
    let expected = lists_of(plan);
    let mut problems = Vec::new();
    let mut compare = |table: &str, columns: &str, expected: Vec<[Value; 3]>| -> rusqlite::Result<()> {
        let sql = format!("SELECT number, {columns} FROM {table} WHERE study_id = ?1 ORDER BY number");
        let mut statement = connection.prepare(&sql)?;
        let row =
            |row: &rusqlite::Row<'_>| Ok([read_value(row, 0)?, read_value(row, 1)?, read_value(row, 2)?]);
        let found: Vec<[Value; 3]> = statement.query_map([study_id], row)?.collect::<Result<_, _>>()?;
        if found != expected {
            let name = &plan.name;
            problems.push(format!("the table {table} does not have what the plan of study {name} says"));
        }
        Ok(())
    };
    let text = |text: String| Value::Text(text);
    let members = expected.members.into_iter().zip(0..);
    let members = members
        .map(|((label, plugin), number)| [number.into(), text(label), plugin.map_or(Value::Null, text)]);
    compare("member", "label, plugin", members.collect())?;
    let metrics = expected.metrics.into_iter().zip(0..);
    let metrics = metrics.map(|((name, goal), number)| [number.into(), text(name), text(goal.to_owned())]);
    compare("metric", "name, goal", metrics.collect())?;
    Ok(problems)
}
