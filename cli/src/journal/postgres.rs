//! Journals in a database of a PostgreSQL server: for studies that several machines have to do with.
//!
//! Who has a study open for writing holds an advisory lock in the session by which it writes, so that the server
//! gives it up with the connection; and has an epoch, which every batch is compared with: whoever was put out and
//! does not know it yet writes nothing. A batch is one statement. Tables and durability: docs/journal.md.

use super::location::ServerUrl;
use super::pages::{PAGE_ROWS, Page, PageSource, Pages};
use super::password::{self, Login};
use super::postgres_schema::{self as schema, Content};
use super::schema::{APPLICATION_ID, SCHEMA_VERSION};
use super::wire::{self, Kind};
use super::{
    Entries, Entry, Journal, JournalError, JournalErrorKind, KeptDigest, Queued, Stamped, Store, Stored,
    StudyEntry, StudyHeader, Waiting,
};
use crate::plan::{StudyPlan, Sync};
use ansatz_core::Goal;
use ansatz_core::nearest::did_you_mean;
use ansatz_core::study::Study;
use postgres::config::Host;
use postgres::error::SqlState;
use postgres::{Client, Config, GenericClient, NoTls};
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How long to wait for a server to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long, and how often, the lock of a study is asked for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_DISTANCE: Duration = Duration::from_millis(20);
/// A peer that is gone is noticed after this time of silence, and so many unanswered questions after it.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// What was sent and not acknowledged for this long ends a connection, which keepalives do not watch over meanwhile.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(25);

/// Journals in a database of a PostgreSQL server.
pub struct PostgresStore {
    url: ServerUrl,
    sync: Sync,
    is_read_only: bool,
    client: RefCell<Client>,
}

/// The journal of one study there.
pub struct PostgresJournal {
    url: ServerUrl,
    client: RefCell<Client>,
    study_id: i64,
    header: StudyHeader,
    writing: Option<Writing>,
}

struct Writing {
    next_number: u64,
    /// Of whoever opened the study last: if it is not ours, we were put out.
    epoch: i64,
}

impl PostgresStore {
    /// The store in a database, for writing. Its tables are made if they are not there, and older ones are brought up
    /// to date.
    ///
    /// Errors: no such server or database, no permission, a newer schema, tables of another program.
    pub fn open(url: &ServerUrl, sync: Sync) -> Result<Self, JournalError> {
        let failed = |error| explain(url, "be opened", &error);
        let mut client = connect(url, sync, false)?;
        let content = schema::content(&mut client).map_err(failed)?;
        check_content(url, content)?;
        if content != Content::Journals(SCHEMA_VERSION) {
            schema::migrate(&mut client, APPLICATION_ID).map_err(failed)?;
            // somebody else may have been quicker
            check_content(url, schema::content(&mut client).map_err(failed)?)?;
        }
        Ok(Self { url: url.clone(), sync, is_read_only: false, client: RefCell::new(client) })
    }

    /// The store in an existing database, only for reading.
    pub fn open_read_only(url: &ServerUrl) -> Result<Self, JournalError> {
        let mut client = connect(url, Sync::Off, true)?;
        match schema::content(&mut client).map_err(|error| explain(url, "be read", &error))? {
            Content::Empty => Err(JournalError::new(
                JournalErrorKind::Missing,
                format!("the database {url} holds no journal: no study was ever begun in it"),
            )),
            Content::Journals(version) if version < SCHEMA_VERSION => Err(JournalError::new(
                JournalErrorKind::Older,
                format!(
                    "the journal {url} has version {version} of the schema, this host reads version {SCHEMA_VERSION}; \
                     ansatz resume, run and enqueue bring it up to date; or use an older ansatz"
                ),
            )),
            other => check_content(url, other),
        }?;
        Ok(Self { url: url.clone(), sync: Sync::Off, is_read_only: true, client: RefCell::new(client) })
    }

    fn find(&self, name: &str) -> Result<(i64, StudyHeader), JournalError> {
        let sql = "SELECT study_id, created_at, plan, manifest FROM ansatz.study WHERE name = $1";
        let found = self.client.borrow_mut().query_opt(sql, &[&name]);
        let Some(row) = found.map_err(|error| explain(&self.url, "be read", &error))? else {
            let studies = self.studies()?;
            let names = studies.iter().map(|study| study.name.as_str());
            let list: Vec<&str> = names.clone().collect();
            return Err(JournalError::new(
                JournalErrorKind::Missing,
                format!(
                    "the journal {} has no study {name}{}; it has {}",
                    self.url,
                    did_you_mean(name, names),
                    if list.is_empty() { "none at all".to_owned() } else { list.join(", ") }
                ),
            ));
        };
        let plan = serde_json::from_str(row.get(2)).map_err(|error| {
            damaged(&self.url, &format!("the plan of study {name} cannot be understood ({error})"))
        })?;
        Ok((row.get(0), StudyHeader { plan, created_at: row.get(1), manifest: row.get(3) }))
    }

    fn connect_to_write(&self) -> Result<Client, JournalError> {
        match self.is_read_only {
            false => connect(&self.url, self.sync, false),
            true => Err(only_for_reading(&self.url)),
        }
    }

    fn journal(
        &self,
        client: Client,
        study_id: i64,
        header: StudyHeader,
        epoch: Option<i64>,
    ) -> Result<PostgresJournal, JournalError> {
        let (url, client) = (self.url.clone(), RefCell::new(client));
        let mut journal = PostgresJournal { url, client, study_id, header, writing: None };
        if let Some(epoch) = epoch {
            journal.writing = Some(Writing { next_number: journal.entry_count()?, epoch });
        }
        Ok(journal)
    }

    /// What is wrong with one study.
    fn check_study(&self, name: &str, problems: &mut Vec<String>) -> Result<(), JournalError> {
        let (study_id, header) = self.find(name)?;
        let mut study = Study::new(header.plan.rules.clone());
        let journal = self.journal(connect(&self.url, Sync::Off, true)?, study_id, header, None)?;
        for stored in journal.entries(0) {
            let stored = stored?;
            if let Entry::Study(record) = &stored.entry
                && let Err(error) = study.apply(record)
            {
                problems.push(format!("study {name}, entry {}: {error}", stored.number));
                break;
            }
        }
        let sql = "SELECT number FROM ansatz.record WHERE study_id = $1
                   AND trial IS DISTINCT FROM (ansatz.object(body) ->> 'trial')::bigint ORDER BY number LIMIT 1";
        let found = self.client.borrow_mut().query_opt(sql, &[&study_id]);
        if let Some(row) = found.map_err(|error| explain(&self.url, "be read", &error))? {
            let number: i64 = row.get(0);
            problems.push(format!(
                "study {name}, entry {number}: the column trial does not say what the body says"
            ));
        }
        Ok(())
    }
}

impl Store for PostgresStore {
    fn studies(&self) -> Result<Vec<StudyEntry>, JournalError> {
        let sql = "
            SELECT study.name, study.seed, study.created_at, study.schema_version, last.number, last.at, last.kind
            FROM ansatz.study LEFT JOIN LATERAL (
                SELECT number, at, kind FROM ansatz.record WHERE record.study_id = study.study_id
                ORDER BY number DESC LIMIT 1
            ) AS last ON true ORDER BY study.study_id";
        let rows = self.client.borrow_mut().query(sql, &[]);
        let rows = rows.map_err(|error| explain(&self.url, "be read", &error))?;
        let entry = |row: &postgres::Row| StudyEntry {
            name: row.get(0),
            seed: row.get::<_, &str>(1).parse().unwrap_or_default(),
            created_at: row.get(2),
            schema_version: u32::try_from(row.get::<_, i64>(3)).unwrap_or_default(),
            entry_count: row.get::<_, Option<i64>>(4).map_or(0, |number| number as u64 + 1),
            last_at: row.get(5),
            is_closed: row.get::<_, Option<&str>>(6).is_some_and(|kind| kind == Kind::Closed.word()),
        };
        Ok(rows.iter().map(entry).collect())
    }

    fn create(&self, header: StudyHeader) -> Result<Box<dyn Journal>, JournalError> {
        let name = &header.plan.name;
        let invalid = |reason: String| {
            JournalError::new(
                JournalErrorKind::Invalid,
                format!("study {name} cannot be stored: {reason}; this is a bug"),
            )
        };
        if name.is_empty() {
            return Err(invalid("it has no name".into()));
        }
        if !header.created_at.is_finite() {
            return Err(invalid(format!("it was created at {}", header.created_at)));
        }
        let plan = wire::plan_text(&header.plan).map_err(invalid)?;
        let mut client = self.connect_to_write()?;
        let (study_id, epoch) = insert_study(&mut client, &header, &plan).map_err(|error| {
            if error.code() != Some(&SqlState::UNIQUE_VIOLATION) {
                return explain(&self.url, "be written", &error);
            }
            JournalError::new(
                JournalErrorKind::Exists,
                format!(
                    "the journal {} has a study {name} already; resume it, or give the new one another name",
                    self.url
                ),
            )
        })?;
        Ok(Box::new(self.journal(client, study_id, header, Some(epoch))?))
    }

    fn open(&self, name: &str) -> Result<Box<dyn Journal>, JournalError> {
        let mut client = self.connect_to_write()?;
        let (study_id, header) = self.find(name)?;
        let asked_at = Instant::now();
        let epoch = loop {
            let epoch = take_over(&mut client, study_id);
            let epoch = epoch.map_err(|error| explain(&self.url, "be opened", &error))?;
            if epoch.is_some() || asked_at.elapsed() >= LOCK_PATIENCE {
                break epoch;
            }
            // a host that has just ended is noticed by the server a moment later
            std::thread::sleep(LOCK_DISTANCE);
        };
        let Some(epoch) = epoch else {
            let holder = holder(&mut client, study_id);
            return Err(JournalError::new(
                JournalErrorKind::Locked,
                format!(
                    "study {name} in {} is being run by another process{holder}; wait for it or end it. To look at \
                     the study meanwhile, only read it",
                    self.url
                ),
            ));
        };
        Ok(Box::new(self.journal(client, study_id, header, Some(epoch))?))
    }

    fn read(&self, name: &str) -> Result<Box<dyn Journal>, JournalError> {
        let (study_id, header) = self.find(name)?;
        Ok(Box::new(self.journal(connect(&self.url, self.sync, true)?, study_id, header, None)?))
    }

    fn enqueue(&self, study: &str, at: f64, points: &[Queued]) -> Result<(), JournalError> {
        let (study_id, header) = self.find(study)?;
        let texts = wire::enqueued_texts(points, &header.plan.rules.problem.space)?;
        let tickets: Vec<i64> = points.iter().map(|queued| queued.ticket as i64).collect();
        let sql = "INSERT INTO ansatz.enqueued (study_id, ticket, at, body)
            SELECT $1, each.ticket, $2, each.body FROM unnest($3::bigint[], $4::text[]) WITH ORDINALITY
                AS each (ticket, body, place) ORDER BY each.place";
        let done = self.connect_to_write()?.execute(sql, &[&study_id, &at, &tickets, &texts]);
        done.map(drop).map_err(|error| explain(&self.url, "be written", &error))
    }

    fn integrity_check(&self) -> Result<Vec<String>, JournalError> {
        let mut problems = Vec::new();
        for study in self.studies()? {
            match self.check_study(&study.name, &mut problems) {
                Err(error) if error.kind == JournalErrorKind::Damaged => problems.push(error.message),
                other => other?,
            }
        }
        Ok(problems)
    }
}

impl Journal for PostgresJournal {
    fn header(&self) -> &StudyHeader {
        &self.header
    }

    fn entry_count(&self) -> Result<u64, JournalError> {
        let count = entry_count(&mut *self.client.borrow_mut(), self.study_id);
        count.map_err(|error| explain(&self.url, "be read", &error))
    }

    fn entries(&self, from: u64) -> Entries<'_> {
        Box::new(Pages::new(self, from))
    }

    fn append(&mut self, entries: &[Stamped]) -> Result<(), JournalError> {
        let Self { url, client, study_id, header, writing } = self;
        let writing = writing.as_mut().ok_or_else(|| only_for_reading(url))?;
        if entries.is_empty() {
            return Ok(());
        }
        let batch = Batch::encode(entries, writing.next_number, header)?;
        let name = &header.plan.name;
        let sql = "
            WITH fence AS (SELECT study_id FROM ansatz.study WHERE study_id = $1 AND epoch = $2 FOR SHARE)
            INSERT INTO ansatz.record (study_id, number, at, kind, trial, body)
            SELECT $1, batch.number, batch.at, batch.kind, batch.trial, batch.body
            FROM fence, unnest($4::bigint[], $5::double precision[], $6::text[], $7::bigint[], $8::text[])
                AS batch (number, at, kind, trial, body)
            WHERE (SELECT coalesce(max(number) + 1, 0) FROM ansatz.record WHERE study_id = $1) = $3";
        let next = writing.next_number as i64;
        let Batch { numbers, times, kinds, trials, bodies } = &batch;
        let client = client.get_mut();
        let inserted =
            client.execute(sql, &[&*study_id, &writing.epoch, &next, numbers, times, kinds, trials, bodies]);
        match inserted {
            Ok(count) if count as usize == entries.len() => {
                writing.next_number += count;
                Ok(())
            }
            Ok(_) => {
                let (epoch, found) =
                    standing(client, *study_id).map_err(|error| explain(url, "be written", &error))?;
                Err(match epoch == Some(writing.epoch) {
                    true => conflict(url, name, writing.next_number, Some(found)),
                    false => put_out(url, name),
                })
            }
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                Err(conflict(url, name, writing.next_number, None))
            }
            Err(error) => Err(explain(url, "be written", &error)),
        }
    }

    fn delete(mut self: Box<Self>) -> Result<(), JournalError> {
        if self.writing.is_none() {
            return Err(only_for_reading(&self.url));
        }
        let sql = "DELETE FROM ansatz.study WHERE study_id = $1";
        let deleted = self.client.get_mut().execute(sql, &[&self.study_id]);
        deleted.map(drop).map_err(|error| explain(&self.url, "be written", &error))
    }

    fn keep_digest(&mut self, at: f64, body: &str) -> Result<(), JournalError> {
        let writing = self.writing.as_ref().ok_or_else(|| only_for_reading(&self.url))?;
        let entry_count = writing.next_number as i64;
        let sql = "INSERT INTO ansatz.digest (study_id, entry_count, at, body) VALUES ($1, $2, $3, $4)
            ON CONFLICT (study_id) DO UPDATE SET entry_count = $2, at = $3, body = $4";
        let kept = self.client.get_mut().execute(sql, &[&self.study_id, &entry_count, &at, &body]);
        kept.map(drop).map_err(|error| explain(&self.url, "be written", &error))
    }

    fn digest(&self) -> Result<Option<KeptDigest>, JournalError> {
        let sql = "SELECT entry_count, at, body FROM ansatz.digest WHERE study_id = $1";
        let found = self.client.borrow_mut().query_opt(sql, &[&self.study_id]);
        let row = found.map_err(|error| explain(&self.url, "be read", &error))?;
        let kept = |row: postgres::Row| KeptDigest {
            entry_count: row.get::<_, i64>(0) as u64,
            at: row.get(1),
            body: row.get(2),
        };
        Ok(row.map(kept))
    }

    fn queue(&self) -> Result<Vec<Waiting>, JournalError> {
        let sql = "SELECT ticket, body FROM ansatz.enqueued WHERE study_id = $1 ORDER BY number";
        let rows = self.client.borrow_mut().query(sql, &[&self.study_id]);
        let rows = rows.map_err(|error| explain(&self.url, "be read", &error))?;
        let space = &self.header.plan.rules.problem.space;
        let waiting = |row: postgres::Row| Waiting {
            ticket: row.get::<_, i64>(0) as u64,
            point: wire::enqueued(row.get(1), space),
        };
        Ok(rows.into_iter().map(waiting).collect())
    }

    fn dequeue(&mut self, tickets: &[u64]) -> Result<(), JournalError> {
        if self.writing.is_none() {
            return Err(only_for_reading(&self.url));
        }
        let tickets: Vec<i64> = tickets.iter().map(|ticket| *ticket as i64).collect();
        let sql = "DELETE FROM ansatz.enqueued WHERE study_id = $1 AND ticket = ANY($2)";
        let done = self.client.get_mut().execute(sql, &[&self.study_id, &tickets]);
        done.map(drop).map_err(|error| explain(&self.url, "be written", &error))
    }

    fn close(self: Box<Self>) -> Result<(), JournalError> {
        let Self { url, client, study_id, writing, .. } = *self;
        let mut client = client.into_inner();
        let failed = |error| explain(&url, "be closed", &error);
        if writing.is_some() {
            // at once, and not when the server gets to end the session
            client
                .execute("SELECT pg_advisory_unlock($1, $2)", &[&APPLICATION_ID, &lock_number(study_id)])
                .map_err(failed)?;
        }
        client.close().map_err(failed)
    }
}

/// What a batch writes, column by column.
#[derive(Default)]
struct Batch {
    numbers: Vec<i64>,
    times: Vec<f64>,
    kinds: Vec<&'static str>,
    trials: Vec<Option<i64>>,
    bodies: Vec<String>,
}

impl Batch {
    fn encode(entries: &[Stamped], from: u64, header: &StudyHeader) -> Result<Self, JournalError> {
        let mut batch = Self::default();
        for (index, stamped) in entries.iter().enumerate() {
            let number = from + index as u64;
            let invalid = |reason: String| {
                JournalError::new(
                    JournalErrorKind::Invalid,
                    format!(
                        "entry {number} of study {} cannot be stored: {reason}; this is a bug, and nothing of the \
                         batch was written",
                        header.plan.name
                    ),
                )
            };
            if !stamped.at.is_finite() {
                return Err(invalid(format!("its time is {}", stamped.at)));
            }
            let mut body = Vec::new();
            let (kind, trial) =
                wire::encode(&stamped.entry, &header.plan.rules.problem.space, &mut body).map_err(invalid)?;
            let trial =
                trial.map(i64::try_from).transpose().map_err(|_| invalid("its trial is too large".into()))?;
            batch.numbers.push(number as i64);
            batch.times.push(stamped.at);
            batch.kinds.push(kind.word());
            batch.trials.push(trial);
            batch.bodies.push(String::from_utf8(body).map_err(|error| invalid(error.to_string()))?);
        }
        Ok(batch)
    }
}

impl PageSource for PostgresJournal {
    fn read_page(&self, from: u64, page: &mut Page) -> Result<(), JournalError> {
        let PostgresJournal { url, client, study_id, header, .. } = self;
        let study = &header.plan.name;
        let sql = "SELECT number, at, kind, body FROM ansatz.record WHERE study_id = $1 AND number >= $2
                   ORDER BY number LIMIT $3";
        // beyond what a number can be, there is nothing
        let (mut expected, from) = (from, i64::try_from(from).unwrap_or(i64::MAX));
        let rows = client.borrow_mut().query(sql, &[study_id, &from, &PAGE_ROWS]);
        for row in rows.map_err(|error| explain(url, "be read", &error))? {
            if u64::try_from(row.get::<_, i64>(0)) != Ok(expected) {
                return Err(damaged(url, &format!("study {study} lacks entry {expected}")));
            }
            let unreadable = |reason: String| {
                damaged(url, &format!("entry {expected} of study {study} makes no sense ({reason})"))
            };
            let word: &str = row.get(2);
            let kind = Kind::of(word).ok_or_else(|| unreadable(format!("no entry has the kind {word:?}")))?;
            let entry =
                wire::decode(kind, row.get(3), &header.plan.rules.problem.space).map_err(unreadable)?;
            page.push_back(Ok(Stored { number: expected, at: row.get(1), entry }));
            expected += 1;
        }
        Ok(())
    }
}

/// A connection, with the password of the environment.
pub(crate) fn connect(url: &ServerUrl, sync: Sync, is_read_only: bool) -> Result<Client, JournalError> {
    let unusable = |message: String| JournalError::new(JournalErrorKind::Access, message);
    let mut config = url.config().map_err(unusable)?;
    let login = login(&config);
    let login = Login { host: &login.0, port: login.1, database: &login.2, user: &login.3 };
    if let Some(password) = password::find(&login).map_err(unusable)? {
        config.password(password);
    }
    config
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX);
    if config.get_application_name().is_none() {
        // what `holder` shows
        config.application_name(&format!("ansatz, process {}", std::process::id()));
    }
    let failed = |error| explain(url, "be opened", &error);
    let mut client = config.connect(NoTls).map_err(failed)?;
    let commit = match sync {
        Sync::Full => "on",
        Sync::Off => "off",
    };
    let read_only = if is_read_only { "on" } else { "off" };
    // the server has to notice, too, when a machine is cut off: until then its session keeps the lock of a study
    let settings = format!(
        "SET synchronous_commit = {commit}; SET default_transaction_read_only = {read_only}; \
         SET client_min_messages = warning; SET tcp_keepalives_idle = {}; SET tcp_keepalives_interval = {}; \
         SET tcp_keepalives_count = {KEEPALIVE_RETRIES}; SET tcp_user_timeout = '{}s'",
        KEEPALIVE_IDLE.as_secs(),
        KEEPALIVE_INTERVAL.as_secs(),
        UNACKNOWLEDGED_MAX.as_secs()
    );
    client.batch_execute(&settings).map_err(failed)?;
    Ok(client)
}

/// Host, port, database and user that a connection is about, with the defaults of PostgreSQL.
fn login(config: &Config) -> (String, u16, String, String) {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    let user = config.get_user().map_or_else(|| std::env::var("USER").unwrap_or_default(), str::to_owned);
    let database = config.get_dbname().unwrap_or(&user).to_owned();
    (host, config.get_ports().first().copied().unwrap_or(5432), database, user)
}

fn insert_study(
    client: &mut Client,
    header: &StudyHeader,
    plan: &str,
) -> Result<(i64, i64), postgres::Error> {
    let StudyPlan { name, rules, strategies, .. } = &header.plan;
    let mut transaction = client.transaction()?;
    let row = transaction.query_one(
        "INSERT INTO ansatz.study (name, seed, created_at, schema_version, plan, manifest, epoch)
         VALUES ($1, $2, $3, $4, $5, $6, 1) RETURNING study_id, epoch",
        &[
            name,
            &rules.seed.to_string(),
            &header.created_at,
            &i64::from(SCHEMA_VERSION),
            &plan,
            &header.manifest,
        ],
    )?;
    let (study_id, epoch): (i64, i64) = (row.get(0), row.get(1));
    for (number, member) in rules.members.iter().enumerate() {
        let plugin = strategies.get(number).map(|choice| &choice.plugin);
        transaction.execute(
            "INSERT INTO ansatz.member (study_id, number, label, plugin) VALUES ($1, $2, $3, $4)",
            &[&study_id, &(number as i64), &member.label, &plugin],
        )?;
    }
    for (number, metric) in rules.problem.metrics.iter().enumerate() {
        let goal = match metric.goal {
            Goal::Minimise => "minimise",
            Goal::Maximise => "maximise",
        };
        transaction.execute(
            "INSERT INTO ansatz.metric (study_id, number, name, goal) VALUES ($1, $2, $3, $4)",
            &[&study_id, &(number as i64), &metric.name, &goal],
        )?;
    }
    // nobody else can see the study yet, so the lock is free
    transaction.execute("SELECT pg_advisory_lock($1, $2)", &[&APPLICATION_ID, &lock_number(study_id)])?;
    transaction.commit()?;
    Ok((study_id, epoch))
}

/// Locks a study for this session, and puts everybody out who had it before. The new epoch; `None` if somebody has it.
fn take_over(client: &mut Client, study_id: i64) -> Result<Option<i64>, postgres::Error> {
    let lock = "SELECT pg_try_advisory_lock($1, $2)";
    let is_ours: bool = client.query_one(lock, &[&APPLICATION_ID, &lock_number(study_id)])?.get(0);
    if !is_ours {
        return Ok(None);
    }
    let raise = "UPDATE ansatz.study SET epoch = epoch + 1 WHERE study_id = $1 RETURNING epoch";
    Ok(Some(client.query_one(raise, &[&study_id])?.get(0)))
}

/// An advisory lock has 32 bits for this: beyond four billion studies two might share one, and only wait for another.
fn lock_number(study_id: i64) -> i32 {
    study_id as i32
}

/// Who holds the lock of a study, for a message.
fn holder(client: &mut Client, study_id: i64) -> String {
    let sql = "SELECT application_name, coalesce(host(client_addr), '') FROM pg_locks JOIN pg_stat_activity USING (pid)
               WHERE locktype = 'advisory' AND classid::bigint = $1 AND objid::bigint = $2 AND objsubid = 2 AND granted
                   AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let keys = [i64::from(APPLICATION_ID), i64::from(lock_number(study_id) as u32)];
    match client.query_opt(sql, &[&keys[0], &keys[1]]) {
        Ok(Some(row)) => {
            let (name, host): (String, String) = (row.get(0), row.get(1));
            let host = if host.is_empty() { String::new() } else { format!(" on {host}") };
            format!(" ({name}{host})")
        }
        _ => String::new(),
    }
}

fn entry_count(client: &mut impl GenericClient, study_id: i64) -> Result<u64, postgres::Error> {
    let sql = "SELECT max(number) FROM ansatz.record WHERE study_id = $1";
    let last: Option<i64> = client.query_one(sql, &[&study_id])?.get(0);
    Ok(last.map_or(0, |number| number as u64 + 1))
}

/// The epoch of a study, if it is still there, and how many entries it has.
fn standing(client: &mut Client, study_id: i64) -> Result<(Option<i64>, u64), postgres::Error> {
    let sql = "SELECT epoch FROM ansatz.study WHERE study_id = $1";
    let epoch = client.query_opt(sql, &[&study_id])?.map(|row| row.get(0));
    Ok((epoch, entry_count(client, study_id)?))
}

fn check_content(url: &ServerUrl, content: Content) -> Result<(), JournalError> {
    match content {
        Content::Empty => Ok(()),
        Content::Journals(version) if version <= SCHEMA_VERSION => Ok(()),
        Content::Journals(version) => Err(JournalError::new(
            JournalErrorKind::Newer,
            format!(
                "the journal {url} was written by a newer ansatz (version {version} of the schema, this one knows \
                 {SCHEMA_VERSION}); use that one, or another database"
            ),
        )),
        Content::Foreign => Err(JournalError::new(
            JournalErrorKind::Foreign,
            format!(
                "the database {url} has a schema ansatz of another program; give the journal another database"
            ),
        )),
    }
}

fn only_for_reading(url: &ServerUrl) -> JournalError {
    JournalError::new(
        JournalErrorKind::Access,
        format!("the journal {url} was opened only for reading; this is a bug"),
    )
}

fn damaged(url: &ServerUrl, what: &str) -> JournalError {
    JournalError::new(
        JournalErrorKind::Damaged,
        format!(
            "the journal {url} is damaged: {what}; end everything that writes to it, and keep a copy: pg_dump --schema \
             ansatz {url}"
        ),
    )
}

fn put_out(url: &ServerUrl, study: &str) -> JournalError {
    JournalError::new(
        JournalErrorKind::Conflict,
        format!(
            "study {study} in {url} was taken over by another process, or is gone; nothing of this batch was written. \
             To see how it goes, only read it"
        ),
    )
}

fn conflict(url: &ServerUrl, study: &str, next_number: u64, found: Option<u64>) -> JournalError {
    let found = match found {
        Some(found) => format!("has {found} entries where this host left {next_number}"),
        None => format!("got an entry of number {next_number} or later from somebody else"),
    };
    JournalError::new(
        JournalErrorKind::Conflict,
        format!(
            "study {study} in {url} {found}: another program writes to it in spite of the lock. Nothing was \
             overwritten, and nothing of this batch was written; end all of them, then resume the study once"
        ),
    )
}

const DOWN_ADVICE: &str = "is the server up, and does it listen there? Whether the last batch was kept shows when it is opened again";
const PASSWORD_ADVICE: &str =
    "the password comes from PGPASSWORD, from the file that PGPASSFILE names, or from ~/.pgpass";

/// Whether the server is gone: it closed the connection, or what carries it says so (reset, timed out, unreachable).
fn is_cut_off(error: &postgres::Error) -> bool {
    error.is_closed() || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

/// What the server says, or why it says nothing, as what happened, where, and what to do.
pub(crate) fn explain(url: &ServerUrl, doing: &str, error: &postgres::Error) -> JournalError {
    let said = match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => {
            std::error::Error::source(error).map_or(error.to_string(), |source| format!("{error}: {source}"))
        }
    };
    let class = error.code().map_or("", |code| code.code());
    let (kind, advice) = match class {
        "" if said.contains("password missing") => (JournalErrorKind::Access, PASSWORD_ADVICE),
        "" if is_cut_off(error) || doing == "be opened" => (JournalErrorKind::Io, DOWN_ADVICE),
        // it is shutting down, was killed, or is starting
        class if class.starts_with("57P") => (JournalErrorKind::Io, DOWN_ADVICE),
        "28P01" | "28000" => (JournalErrorKind::Access, PASSWORD_ADVICE),
        "3D000" => (JournalErrorKind::Missing, "make the database first, with createdb"),
        "42501" | "25006" => (
            JournalErrorKind::Access,
            "the user needs the right to make a schema in the database, or to use and change the schema ansatz",
        ),
        "53100" => (
            JournalErrorKind::Full,
            "nothing of this batch was written and nothing before it is lost: free some space on the server, then resume",
        ),
        "53300" => (
            JournalErrorKind::Locked,
            "every host and worker needs a connection or two: raise max_connections of the server, or use fewer workers",
        ),
        _ if class.starts_with("XX") || class == "58030" => return damaged(url, &said),
        _ => (JournalErrorKind::Io, "whether the last batch was kept shows when it is opened again"),
    };
    JournalError::new(kind, format!("the journal {url} could not {doing}: {said}; {advice}"))
}
