//! What only a server has: sessions that end, hosts that are put out, passwords, and other people's tables.

use super::server::{self, PostgresServer};
use super::*;
use crate::journal::{PostgresStore, ServerUrl};

fn database(server: &PostgresServer) -> ServerUrl {
    ServerUrl::try_from(server.database()).unwrap()
}

fn store(url: &ServerUrl) -> PostgresStore {
    PostgresStore::open(url, Sync::Full).unwrap()
}

#[test]
fn a_host_whose_session_ended_is_put_out() {
    let Some(server) = server::shared() else { return };
    let url = database(server);
    let mut old = store(&url).create(header("a")).unwrap();
    old.append(&[note(0)]).unwrap();
    // what happens to a machine that loses its network
    server.sql(
        &url.to_string(),
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    let started = std::time::Instant::now();
    let mut new = loop {
        match store(&url).open("a") {
            Ok(journal) => break journal,
            Err(error) => assert_eq!(error.kind, JournalErrorKind::Locked, "{error}"),
        }
        assert!(started.elapsed() < Duration::from_secs(30));
    };
    new.append(&[note(1)]).unwrap();
    let error = old.append(&[note(2)]).unwrap_err();
    assert_eq!(error.kind, JournalErrorKind::Io, "{error}");
    assert_eq!(all(&*new).len(), 2);
}

#[test]
fn a_host_of_an_earlier_epoch_writes_nothing() {
    let Some(server) = server::shared() else { return };
    let url = database(server);
    let mut old = store(&url).create(header("a")).unwrap();
    old.append(&[note(0)]).unwrap();
    // as where a proxy keeps sessions open whose owners are long gone: the lock says nothing then
    server.sql(&url.to_string(), "UPDATE ansatz.study SET epoch = epoch + 1");
    let error = old.append(&[note(1)]).unwrap_err();
    assert_eq!(error.kind, JournalErrorKind::Conflict, "{error}");
    assert!(error.message.contains("taken over"), "{error}");
    assert_eq!(all(&*store(&url).read("a").unwrap()).len(), 1);
}

#[test]
fn a_schema_of_somebody_else_is_refused() {
    let Some(server) = server::shared() else { return };
    for sql in [
        "CREATE SCHEMA ansatz; CREATE TABLE ansatz.theirs (x int)",
        "CREATE SCHEMA ansatz; CREATE TABLE ansatz.store (x int)",
    ] {
        let url = database(server);
        server.sql(&url.to_string(), sql);
        for result in [PostgresStore::open(&url, Sync::Full), PostgresStore::open_read_only(&url)] {
            assert_eq!(kind_of(result), JournalErrorKind::Foreign);
        }
    }
    // other tables are none of our business
    let url = database(server);
    server.sql(&url.to_string(), "CREATE TABLE study (x int)");
    assert_eq!(store(&url).studies().unwrap(), []);
}

#[test]
fn records_are_never_changed() {
    let Some(server) = server::shared() else { return };
    let url = database(server);
    store(&url).create(header("a")).unwrap().append(&[note(0)]).unwrap();
    let refused = "DO $$ BEGIN UPDATE ansatz.record SET at = 0; EXCEPTION WHEN raise_exception THEN
                   RAISE NOTICE '%', SQLERRM; RETURN; END $$; SELECT at FROM ansatz.record";
    server.sql(&url.to_string(), "UPDATE ansatz.study SET created_at = 1");
    assert_eq!(server.sql(&url.to_string(), refused), "0");
    store(&url).open("a").unwrap().append(&[note(5)]).unwrap();
    let kept =
        "DO $$ BEGIN UPDATE ansatz.record SET at = 9; EXCEPTION WHEN raise_exception THEN RETURN; END $$;
                SELECT max(at) FROM ansatz.record";
    assert_eq!(server.sql(&url.to_string(), kept), "5");
}

#[test]
fn views_say_what_the_study_says() {
    let Some(server) = server::shared() else { return };
    let url = database(server);
    let mut journal = store(&url).create(header("kept")).unwrap();
    let (batches, study) = life(21, 60);
    for batch in &batches {
        journal.append(batch).unwrap();
    }
    assert!(format!("{batches:?}").contains("\\0"), "a text that a view cannot show as it is");
    let count = server.sql(&url.to_string(), "SELECT count(*), count(distinct trial) FROM ansatz.trial");
    assert_eq!(count, format!("{0}|{0}", study.trials().len()));
    let points = server.sql(&url.to_string(), "SELECT point ->> 'units' FROM ansatz.trial ORDER BY trial");
    assert_eq!(points.lines().count(), study.trials().len());
    let attempts = server.sql(&url.to_string(), "SELECT sum(attempts) FROM ansatz.trial");
    let expected: u64 = study.trials().iter().map(|trial| u64::from(trial.attempt)).sum();
    assert_eq!(attempts, expected.to_string());
}

#[test]
fn what_cannot_be_reached_is_told_with_what_to_do() {
    let url = |text: &str| ServerUrl::try_from(text.to_owned()).unwrap();
    let nobody = url("postgres://eva@%2Fnonexistent/tuning");
    let error = PostgresStore::open(&nobody, Sync::Full).err().unwrap();
    assert_eq!(error.kind, JournalErrorKind::Io);
    assert!(error.message.contains("is the server up"), "{error}");
    let Some(server) = server::shared() else { return };
    let address = server.database();
    let missing = url(&format!("{address}_missing"));
    let error = PostgresStore::open_read_only(&missing).err().unwrap();
    assert_eq!(error.kind, JournalErrorKind::Missing, "{error}");
    assert!(error.message.contains("createdb"), "{error}");
    // somebody who may read, and no more
    server.sql(&address, "CREATE ROLE reader LOGIN");
    drop(store(&url(&address)).create(header("a")).unwrap());
    let reader = url(&address.replace("//tests@", "//reader@"));
    assert_eq!(kind_of(PostgresStore::open_read_only(&reader)), JournalErrorKind::Access);
    server.sql(
        &address,
        "GRANT USAGE ON SCHEMA ansatz TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA ansatz TO reader",
    );
    assert_eq!(PostgresStore::open_read_only(&reader).unwrap().studies().unwrap().len(), 1);
    let error = PostgresStore::open(&reader, Sync::Full).unwrap().create(header("b")).err().unwrap();
    assert_eq!(error.kind, JournalErrorKind::Access, "{error}");
}

#[test]
fn a_server_that_was_killed_has_all_that_was_acknowledged() {
    let Some(server) = PostgresServer::start() else { return };
    let url = database(&server);
    let (acknowledged, is_begun) = (AtomicU64::new(0), AtomicBool::new(false));
    for round in 0..3 {
        let name = format!("study {round}");
        acknowledged.store(0, Ordering::SeqCst);
        is_begun.store(false, Ordering::SeqCst);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut journal = store(&url).create(header(&name)).unwrap();
                for number in 0.. {
                    match journal.append(&[note(2 * number), note(2 * number + 1)]) {
                        Ok(()) => acknowledged.store(2 * number + 2, Ordering::SeqCst),
                        Err(error) => {
                            assert_eq!(error.kind, JournalErrorKind::Io, "{error}");
                            break;
                        }
                    }
                    is_begun.store(true, Ordering::SeqCst);
                }
            });
            while !is_begun.load(Ordering::SeqCst) || acknowledged.load(Ordering::SeqCst) < 20 + 10 * round {
                std::thread::yield_now();
            }
            server.kill();
        });
        server.restart();
        let mut journal = store(&url).open(&name).unwrap();
        let found = all(&*journal);
        // a batch may have been kept whose acknowledgement was cut off; half a batch may not
        let acknowledged = acknowledged.load(Ordering::SeqCst);
        assert!(
            [acknowledged, acknowledged + 2].contains(&(found.len() as u64)),
            "{acknowledged}, {}",
            found.len()
        );
        for (number, stored) in (0..).zip(&found) {
            assert_eq!(stored.entry, note(number).entry);
        }
        journal.append(&[note(0)]).unwrap();
        assert_eq!(store(&url).integrity_check().unwrap(), Vec::<String>::new());
    }
}

/// A server that is killed may leave its connections closed, or reset in the middle of an answer.
#[test]
fn a_connection_that_is_reset_is_told_like_a_server_that_is_down() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("postgres://eva@{}/tuning?sslmode=disable", server.local_addr().unwrap());
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut read = [0; 1024];
        std::io::Read::read(&mut stream, &mut read).unwrap();
        // AuthenticationOk and ReadyForQuery
        std::io::Write::write_all(&mut stream, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I").unwrap();
        // what is closed with something unread is reset
        stream.peek(&mut read).unwrap();
    });
    let mut client = ::postgres::Client::connect(&address, ::postgres::NoTls).unwrap();
    let error = client.batch_execute("SELECT 1").unwrap_err();
    answers.join().unwrap();
    assert!(!error.is_closed(), "{error}");
    let url = ServerUrl::try_from(address).unwrap();
    let error = crate::journal::postgres::explain(&url, "be written", &error);
    assert_eq!(error.kind, JournalErrorKind::Io);
    assert!(error.message.contains("is the server up"), "{error}");
}
