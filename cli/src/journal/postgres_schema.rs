//! The tables and views of the PostgreSQL store, and how an older database becomes a current one. They are in a
//! schema of their own, `ansatz`, so that a database may hold other things too.

use super::schema::SCHEMA_VERSION;
use postgres::error::SqlState;
use postgres::{Client, GenericClient};

/// The version that the first of the migrations makes: before it there was no PostgreSQL store. The number is that of
/// the SQLite store, since what is in a record is the same.
const FIRST_VERSION: u32 = 4;

/// What makes version `FIRST_VERSION + index`. Those that were released never change.
const MIGRATIONS: &[&str] = &[
    "
CREATE SCHEMA IF NOT EXISTS ansatz;
CREATE TABLE ansatz.store (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
);
CREATE TABLE ansatz.study (
    study_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text NOT NULL UNIQUE,
    seed           text NOT NULL,
    created_at     double precision NOT NULL,
    schema_version bigint NOT NULL,
    plan           text NOT NULL,
    manifest       text NOT NULL,
    epoch          bigint NOT NULL DEFAULT 0
);
CREATE TABLE ansatz.member (
    study_id bigint NOT NULL REFERENCES ansatz.study ON DELETE CASCADE,
    number   bigint NOT NULL,
    label    text NOT NULL,
    plugin   text,
    PRIMARY KEY (study_id, number)
);
CREATE TABLE ansatz.metric (
    study_id bigint NOT NULL REFERENCES ansatz.study ON DELETE CASCADE,
    number   bigint NOT NULL,
    name     text NOT NULL,
    goal     text NOT NULL,
    PRIMARY KEY (study_id, number)
);
CREATE TABLE ansatz.record (
    study_id bigint NOT NULL REFERENCES ansatz.study ON DELETE CASCADE,
    number   bigint NOT NULL,
    at       double precision NOT NULL,
    kind     text NOT NULL,
    trial    bigint,
    body     text NOT NULL,
    PRIMARY KEY (study_id, number)
);
CREATE FUNCTION ansatz.object(body text) RETURNS json IMMUTABLE LANGUAGE sql AS $$
    -- a zero byte cannot be shown
    SELECT replace(body, '\\u0000', '\\ufffd')::json
$$;
CREATE FUNCTION ansatz.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a journal is only ever added to';
END $$;
CREATE TRIGGER record_is_never_changed BEFORE UPDATE ON ansatz.record
    FOR EACH ROW EXECUTE FUNCTION ansatz.refuse_change();
",
    // version 5: digests, which are no facts
    "
CREATE TABLE ansatz.digest (
    study_id    bigint PRIMARY KEY REFERENCES ansatz.study ON DELETE CASCADE,
    entry_count bigint NOT NULL,
    at          double precision NOT NULL,
    body        text NOT NULL
);
",
    // version 6: points that people enqueue, and the kinds `enqueued` and `transferred`
    "
CREATE TABLE ansatz.enqueued (
    number   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    study_id bigint NOT NULL REFERENCES ansatz.study ON DELETE CASCADE,
    ticket   bigint NOT NULL,
    at       double precision NOT NULL,
    body     text NOT NULL,
    UNIQUE (study_id, ticket)
);
",
    // version 7: the kind `promoted`; the tables are the same
    "",
];

const _: () = assert!(
    FIRST_VERSION as usize + MIGRATIONS.len() - 1 == SCHEMA_VERSION as usize,
    "both stores have the same version: a new one needs a migration in each, if only an empty one"
);

/// Made anew after every migration. They are for people: the host reads none of them.
const VIEWS: &str = "
DROP VIEW IF EXISTS ansatz.trial;
CREATE VIEW ansatz.trial AS
SELECT
    study.name                                        AS study,
    asked.trial                                       AS trial,
    coalesce(member.label, 'enqueued')                AS strategy,
    coalesce(ended.body ->> 'outcome', 'pending')     AS state,
    asked.point                                       AS point,
    ended.body -> 'measurement'                       AS measurement,
    (ended.body ->> 'duration_ns')::numeric / 1e9     AS duration,
    coalesce(retried.attempt, 1)                      AS attempts,
    asked.at                                          AS asked_at,
    ended.at                                          AS finished_at,
    ended.body ->> 'failure'                          AS failure,
    ended.body ->> 'reason'                           AS reason,
    (asked.fidelity)::double precision                AS fidelity,
    (ended.body ->> 'reused')::bigint                 AS reused,
    asked.continued                                   AS continued
FROM (
    SELECT record.study_id, record.at,
        (ansatz.object(record.body) ->> 'member')::bigint AS member,
        (each.value ->> 'trial')::bigint AS trial,
        each.value -> 'point' AS point,
        each.value ->> 'fidelity' AS fidelity,
        (ansatz.object(record.body) ->> 'continued')::bigint AS continued
    FROM ansatz.record, json_array_elements(ansatz.object(record.body) -> 'trials') AS each
    WHERE record.kind IN ('asked', 'enqueued', 'promoted')
) AS asked
JOIN ansatz.study ON study.study_id = asked.study_id
LEFT JOIN ansatz.member ON member.study_id = asked.study_id AND member.number = asked.member
LEFT JOIN (
    SELECT study_id, trial, at, ansatz.object(body) AS body FROM ansatz.record WHERE kind = 'finished'
) AS ended ON ended.study_id = asked.study_id AND ended.trial = asked.trial
LEFT JOIN (
    SELECT study_id, trial, max((ansatz.object(body) ->> 'attempt')::bigint) AS attempt
    FROM ansatz.record WHERE kind = 'retried' GROUP BY study_id, trial
) AS retried ON retried.study_id = asked.study_id AND retried.trial = asked.trial;

DROP VIEW IF EXISTS ansatz.measurement_value;
CREATE VIEW ansatz.measurement_value AS
SELECT study.name AS study, record.trial AS trial, each.key AS metric,
    CASE json_typeof(each.value) WHEN 'object' THEN each.value ->> 'value' ELSE each.value #>> '{}' END
        ::double precision AS value,
    CASE json_typeof(each.value) WHEN 'object' THEN (each.value ->> 'standard_error')::double precision END
        AS standard_error
FROM ansatz.record JOIN ansatz.study ON study.study_id = record.study_id,
    json_each(ansatz.object(record.body) -> 'measurement') AS each
WHERE record.kind = 'finished';
";

/// What a database is, by its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing of ours in it.
    Empty,
    /// A store of journals, with its version.
    Journals(u32),
    /// A schema of our name that is not ours.
    Foreign,
}

/// What the database is.
pub fn content(client: &mut impl GenericClient) -> Result<Content, postgres::Error> {
    let sql = "SELECT to_regclass('ansatz.store') IS NOT NULL, EXISTS (
        SELECT 1 FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = 'ansatz')";
    let row = client.query_one(sql, &[])?;
    let (is_ours, is_used): (bool, bool) = (row.get(0), row.get(1));
    if !is_ours {
        return Ok(if is_used { Content::Foreign } else { Content::Empty });
    }
    match client.query_opt("SELECT version FROM ansatz.store", &[]) {
        Ok(row) => {
            let version = row.and_then(|row| u32::try_from(row.get::<_, i64>(0)).ok());
            Ok(version.map_or(Content::Foreign, Content::Journals))
        }
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => Ok(Content::Foreign),
        Err(error) => Err(error),
    }
}

/// Takes the database as far as the migrations go, in one transaction; does nothing where it is there already, or
/// further, or foreign. `key` is what migrations are locked by.
pub fn migrate(client: &mut Client, key: i32) -> Result<(), postgres::Error> {
    let mut transaction = client.transaction()?;
    transaction.execute("SELECT pg_advisory_xact_lock($1, 0)", &[&key])?;
    let done = match content(&mut transaction)? {
        Content::Empty => 0,
        Content::Journals(version) => (version + 1).saturating_sub(FIRST_VERSION) as usize,
        Content::Foreign => return Ok(()),
    };
    if done >= MIGRATIONS.len() {
        return Ok(());
    }
    for migration in &MIGRATIONS[done..] {
        transaction.batch_execute(migration)?;
    }
    transaction.batch_execute(VIEWS)?;
    let sql =
        "INSERT INTO ansatz.store (version) VALUES ($1) ON CONFLICT (is_only) DO UPDATE SET version = $1";
    transaction.execute(sql, &[&i64::from(SCHEMA_VERSION)])?;
    transaction.commit()
}
