//! The tables and views of the SQLite store, and how an older database becomes a current one.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The version of the schema that this host reads and writes: the database's `user_version`.
pub const SCHEMA_VERSION: u32 = MIGRATIONS.len() as u32;

/// Marks a database as a store of journals: "Ansz" in ASCII.
pub const APPLICATION_ID: i32 = 0x416e_737a;

/// What takes a database from version `index` to `index + 1`. Those that were released never change.
pub const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE study (
    study_id       INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    seed           TEXT NOT NULL,
    created_at     REAL NOT NULL,
    schema_version INTEGER NOT NULL,
    plan           TEXT NOT NULL,
    manifest       TEXT NOT NULL
);
CREATE TABLE member (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    label    TEXT NOT NULL,
    plugin   TEXT,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
CREATE TABLE metric (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    goal     TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
CREATE TABLE record (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    at       REAL NOT NULL,
    kind     TEXT NOT NULL,
    trial    INTEGER,
    body     TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
CREATE TRIGGER record_is_never_changed BEFORE UPDATE ON record BEGIN
    SELECT RAISE(ABORT, 'a journal is only ever added to');
END;
CREATE TRIGGER study_takes_all_with_it AFTER DELETE ON study BEGIN
    DELETE FROM record WHERE study_id = OLD.study_id;
    DELETE FROM member WHERE study_id = OLD.study_id;
    DELETE FROM metric WHERE study_id = OLD.study_id;
END;
",
    // version 2: the kind `broke`, and the word `crash` for a failure; the tables are the same
    "",
    // version 3: the kind `arrived`; the tables are the same
    "",
    // version 4: verdicts in `reported`, the kind `early-stopping-broke`; the tables are the same
    "",
    // version 5: digests, which are no facts
    "
CREATE TABLE digest (
    study_id    INTEGER PRIMARY KEY,
    entry_count INTEGER NOT NULL,
    at          REAL NOT NULL,
    body        TEXT NOT NULL
);
CREATE TRIGGER study_takes_its_digest_with_it AFTER DELETE ON study BEGIN
    DELETE FROM digest WHERE study_id = OLD.study_id;
END;
",
    // version 6: points that people enqueue, and the kinds `enqueued` and `transferred`
    "
CREATE TABLE enqueued (
    number   INTEGER PRIMARY KEY,
    study_id INTEGER NOT NULL,
    ticket   INTEGER NOT NULL,
    at       REAL NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (study_id, ticket)
);
CREATE TRIGGER study_takes_its_queue_with_it AFTER DELETE ON study BEGIN
    DELETE FROM enqueued WHERE study_id = OLD.study_id;
END;
",
    // version 7: the kind `promoted`; the tables are the same
    "",
];

/// Made anew after every migration. They are for people: the host reads none of them. What belongs to a
/// trial is grouped before it is joined: SQLite then sorts it once, where it would else search for each.
const VIEWS: &str = "
DROP VIEW IF EXISTS trial;
CREATE VIEW trial AS
SELECT
    study.name                                       AS study,
    asked.trial                                      AS trial,
    coalesce(member.label, 'enqueued')               AS strategy,
    coalesce(json_extract(ended.body, '$.outcome'), 'pending') AS state,
    asked.point                                      AS point,
    json_extract(ended.body, '$.measurement')        AS measurement,
    json_extract(ended.body, '$.duration_ns') / 1e9  AS duration,
    coalesce(ended.attempt, 1)                       AS attempts,
    asked.at                                         AS asked_at,
    ended.at                                         AS finished_at,
    json_extract(ended.body, '$.failure')            AS failure,
    json_extract(ended.body, '$.reason')             AS reason,
    asked.fidelity                                   AS fidelity,
    json_extract(ended.body, '$.reused')             AS reused,
    asked.continued                                  AS continued
FROM (
    SELECT record.study_id, record.at,
        json_extract(record.body, '$.member')  AS member,
        json_extract(each.value, '$.trial')    AS trial,
        json_extract(each.value, '$.point')    AS point,
        json_extract(each.value, '$.fidelity') AS fidelity,
        json_extract(record.body, '$.continued') AS continued
    FROM record, json_each(record.body, '$.trials') AS each
    WHERE record.kind IN ('asked', 'enqueued', 'promoted')
) AS asked
JOIN study ON study.study_id = asked.study_id
LEFT JOIN member ON member.study_id = asked.study_id AND member.number = asked.member
LEFT JOIN (
    SELECT study_id, trial,
        max(CASE kind WHEN 'retried' THEN json_extract(body, '$.attempt') END) AS attempt,
        max(CASE kind WHEN 'finished' THEN at END)   AS at,
        max(CASE kind WHEN 'finished' THEN body END) AS body
    FROM record WHERE kind IN ('retried', 'finished') GROUP BY study_id, trial
) AS ended ON ended.study_id = asked.study_id AND ended.trial = asked.trial;

DROP VIEW IF EXISTS measurement_value;
CREATE VIEW measurement_value AS
SELECT study.name AS study, record.trial AS trial, each.key AS metric,
    CASE each.type WHEN 'object' THEN json_extract(each.value, '$.value') ELSE each.value END AS value,
    CASE each.type WHEN 'object' THEN json_extract(each.value, '$.standard_error') END AS standard_error
FROM record JOIN study ON study.study_id = record.study_id, json_each(record.body, '$.measurement') AS each
WHERE record.kind = 'finished';

DROP VIEW IF EXISTS report;
CREATE VIEW report AS
SELECT study.name AS study, record.trial AS trial, json_extract(record.body, '$.step') AS step,
    each.key AS metric,
    CASE each.type WHEN 'object' THEN json_extract(each.value, '$.value') ELSE each.value END AS value,
    CASE each.type WHEN 'object' THEN json_extract(each.value, '$.standard_error') END AS standard_error,
    record.at AS at, json_extract(record.body, '$.stop') AS stop
FROM record JOIN study ON study.study_id = record.study_id, json_each(record.body, '$.measurement') AS each
WHERE record.kind = 'reported';

DROP VIEW IF EXISTS session;
CREATE VIEW session AS
SELECT study.name AS study, opened.number AS opened_number, opened.at AS opened_at,
    closed.at                                                AS closed_at,
    json_extract(closed.body, '$.reason')                    AS reason,
    json_extract(opened.body, '$.elapsed_before_ns') / 1e9   AS elapsed_before,
    json_extract(closed.body, '$.elapsed_ns') / 1e9          AS elapsed,
    json_extract(opened.body, '$.host_version')              AS host_version,
    json_extract(opened.body, '$.process_id')                AS process_id,
    json_extract(opened.body, '$.plugins')                   AS plugins
FROM record AS opened
JOIN study ON study.study_id = opened.study_id
LEFT JOIN record AS closed ON closed.study_id = opened.study_id AND closed.kind = 'closed'
    AND closed.number = (
        SELECT min(later.number) FROM record AS later
        WHERE later.study_id = opened.study_id AND later.number > opened.number
            AND later.kind IN ('opened', 'closed')
    )
WHERE opened.kind = 'opened';

DROP VIEW IF EXISTS study_summary;
CREATE VIEW study_summary AS
SELECT study.name AS study, study.created_at AS created_at, study.seed AS seed,
    coalesce(counted.entries, 0)    AS entries,
    coalesce(counted.sessions, 0)   AS sessions,
    coalesce(counted.trials, 0)     AS trials,
    coalesce(counted.trials - counted.ended, 0) AS pending,
    coalesce(counted.completed, 0)  AS completed,
    coalesce(counted.infeasible, 0) AS infeasible,
    coalesce(counted.failed, 0)     AS failed,
    coalesce(counted.stopped, 0)    AS stopped,
    coalesce(counted.retries, 0)    AS retries,
    coalesce(counted.reports, 0)    AS reports,
    counted.last_at                 AS last_at
FROM study LEFT JOIN (
    SELECT study_id, count(*) AS entries, max(at) AS last_at,
        sum(kind = 'opened')   AS sessions,
        sum(CASE WHEN kind IN ('asked', 'enqueued', 'promoted') THEN json_array_length(body, '$.trials') ELSE 0 END) AS trials,
        sum(kind = 'finished') AS ended,
        sum(kind = 'finished' AND json_extract(body, '$.outcome') = 'completed')  AS completed,
        sum(kind = 'finished' AND json_extract(body, '$.outcome') = 'infeasible') AS infeasible,
        sum(kind = 'finished' AND json_extract(body, '$.outcome') = 'failed')     AS failed,
        sum(kind = 'finished' AND json_extract(body, '$.outcome') = 'stopped')    AS stopped,
        sum(kind = 'retried')  AS retries,
        sum(kind = 'reported') AS reports
    FROM record GROUP BY study_id
) AS counted ON counted.study_id = study.study_id;
";

/// What a database is, by its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing in it yet.
    Empty,
    /// A store of journals, with its version.
    Journals(u32),
    /// Somebody else's tables.
    Foreign,
}

/// What the database is. Also the first look at the file, so errors of reading it come from here.
pub fn content(connection: &Connection) -> rusqlite::Result<Content> {
    let number = |pragma| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    // in this order: whoever has made the tables since the first was read has set both
    let marks = || {
        let application = number("PRAGMA application_id")?;
        Ok::<_, rusqlite::Error>((number("PRAGMA user_version")?, application))
    };
    let ours = |version| u32::try_from(version).map_or(Content::Foreign, Content::Journals);
    let (version, application) = marks()?;
    if application == i64::from(APPLICATION_ID) {
        return Ok(ours(version));
    }
    if application == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(Content::Empty);
    }
    // another host may have made the tables since the marks were read, with their marks in one transaction
    let (version, application) = marks()?;
    Ok(if application == i64::from(APPLICATION_ID) { ours(version) } else { Content::Foreign })
}

/// Takes the database as far as the migrations go, in one transaction; does nothing where it is there
/// already, or further, or foreign. Whatever it was on entry, afterwards `content` tells.
pub fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let version = match content(&transaction)? {
        Content::Empty => 0,
        Content::Journals(version) => version as usize,
        Content::Foreign => return Ok(()),
    };
    if version >= migrations.len() {
        return Ok(());
    }
    for migration in &migrations[version..] {
        transaction.execute_batch(migration)?;
    }
    transaction.execute_batch(VIEWS)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", migrations.len() as i64)?;
    transaction.commit()
}
