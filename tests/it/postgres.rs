//! Studies on a PostgreSQL server, through the program itself.

use crate::scenario;
use ansatz_cli::journal::{Location, ServerUrl};
use ansatz_core::study::Record;
use ansatz_tests::scenario::finish;
use ansatz_tests::{PostgresServer, Running, Scenario, StoredStudy, postgres_server};
use std::time::Duration;

fn manifest(trial_count: u64) -> String {
    format!(
        r#"
study = {{ name = "served", seed = 7 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "noisy_branin", delay_ms = 3 }} }}
strategy = [{{ plugin = "annealing" }}, {{ plugin = "cmaes" }}]
budget = {{ trials = {trial_count} }}
"#
    )
}

fn location(address: &str) -> Location {
    Location::Server(ServerUrl::try_from(address.to_owned()).unwrap())
}

/// What a study on a file comes to.
fn on_a_file(trial_count: u64) -> (Scenario, String) {
    let scenario = scenario();
    scenario.run(&manifest(trial_count)).expect(0);
    let table = scenario.ansatz(&["export", "--repeatable"]).expect(0).stdout;
    (scenario, table)
}

#[test]
fn a_study_on_a_server_equals_one_in_a_file() {
    let Some(server) = postgres_server::shared() else { return };
    let (_, expected) = on_a_file(40);
    let (scenario, address) = (scenario(), server.database());
    scenario.write("study.toml", &manifest(25));
    scenario.ansatz(&["run", "study.toml", "--quiet", "--store", &address]).expect(0);
    // the rest with the store named by the environment, and again without a word of it in the manifest
    let here = |arguments: &[&str]| {
        let mut command = scenario.command(arguments);
        finish(Running::start(command.env("ANSATZ_STORE", &address)))
    };
    let ended = here(&["resume", "--quiet", "--set", "budget.trials=40"]).expect(0);
    assert_eq!(ended.stderr, "");
    assert_eq!(here(&["export", "--repeatable"]).expect(0).stdout, expected);
    assert_eq!(here(&["replay", "--json"]).expect(0).json()["same"], true);
    assert!(here(&["list"]).expect(0).stdout.contains("served"));
    assert!(!scenario.journal().exists(), "a file was made all the same");
    StoredStudy::read(location(&address), None).expect_each_trial_once(40);
    // what mends files is not for servers, and says what is
    let refused = scenario.ansatz(&["fsck", "--store", &address]).expect(2);
    assert!(refused.stderr.contains("pg_dump"), "{refused}");
    // the manifest may name it, too; and a study that exists is told so with where it is
    scenario.write("study.toml", &format!("{}journal = {{ store = \"{address}\" }}\n", manifest(25)));
    scenario
        .ansatz(&["run", "study.toml", "--quiet"])
        .expect(2)
        .expect_message(&["served", &address, "resume"]);
}

#[test]
fn a_host_that_is_killed_on_a_server_goes_on_where_it_was() {
    let Some(server) = postgres_server::shared() else { return };
    let (_, expected) = on_a_file(60);
    let (scenario, address) = (scenario(), server.database());
    scenario.write("study.toml", &manifest(60));
    let place = location(&address);
    let record_count = || {
        let is_begun = ansatz_cli::session::has_study(&place, "served").is_ok_and(|begun| begun);
        if is_begun { StoredStudy::read(&place, None).records().len() } else { 0 }
    };
    for round in 0..4 {
        let (before, enough) = (record_count(), record_count() + 7 + 5 * round);
        let run = ["run", "study.toml", "--quiet", "--store", &address];
        let resume = ["resume", "--quiet", "--store", &address];
        let mut child = Running::start(&mut scenario.command(if before == 0 { &run } else { &resume }));
        let ended = loop {
            match child.wait(Duration::from_millis(1)) {
                Ok(ended) => break ended,
                Err(running) => child = running,
            }
            if record_count() >= enough {
                break child.kill();
            }
        };
        if !ended.was_killed() {
            // on a busy machine it may be done before we look
            drop(ended.expect(0));
            break;
        }
    }
    scenario.ansatz(&["resume", "--quiet", "--store", &address]).expect(0);
    let stored = StoredStudy::read(&place, None);
    stored.expect_each_trial_once(60);
    assert!(stored.records().iter().any(|record| matches!(record, Record::Retried { .. })));
    let table = scenario.ansatz(&["export", "--repeatable", "--store", &address]).expect(0).stdout;
    assert_eq!(table, expected);
    scenario.ansatz(&["delete", "served", "--yes", "--store", &address]).expect(0);
    let left = server.sql(&address, "SELECT count(*) FROM ansatz.study; SELECT count(*) FROM ansatz.record");
    assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["0", "0"]);
}

#[test]
fn a_password_is_read_from_where_it_belongs_and_kept_nowhere() {
    let Some(server) = PostgresServer::start() else { return };
    let address = server.database();
    server.sql(
        &address,
        "CREATE ROLE eva LOGIN PASSWORD 'hunter2:secret'; GRANT CREATE ON DATABASE tests_0 TO eva",
    );
    server.require_password("eva");
    let address = address.replace("//tests@", "//eva@");
    let scenario = scenario();
    scenario.write("study.toml", &manifest(5));
    let run = ["run", "study.toml", "--quiet", "--store", &address];
    scenario.ansatz(&run).expect(5).expect_message(&["password", "PGPASSFILE"]);
    let secret = scenario.write("secret", "localhost:*:tests_0:eva:hunter2\\:secret\n");
    let with_file = |arguments: &[&str]| {
        let mut command = scenario.command(arguments);
        finish(Running::start(command.env("PGPASSFILE", &secret)))
    };
    let allow = |mode: &str| {
        assert!(std::process::Command::new("chmod").arg(mode).arg(&secret).status().unwrap().success());
    };
    allow("644");
    with_file(&run).expect(5).expect_message(&["chmod 600"]);
    allow("600");
    with_file(&run).expect(0);
    let shown = with_file(&["show", "--json", "--store", &address]).expect(0).stdout;
    let stored = server.sql("tests_0", "SELECT * FROM ansatz.study; SELECT * FROM ansatz.record");
    assert!(stored.contains("eva@") && !stored.contains("hunter2") && !shown.contains("hunter2"));
    // in an address it would be kept
    let told = address.replace("//eva@", "//eva:hunter2@");
    let refused = scenario.ansatz(&["list", "--store", &told]).expect(2);
    assert!(refused.stderr.contains("PGPASSFILE") && !refused.stderr.contains("hunter2"), "{refused}");
    for command in ["fsck", "run study.toml", "worker --study served"] {
        let words: Vec<&str> = command.split(' ').chain(["--store", &told]).collect();
        let refused = scenario.ansatz(&words).expect(2);
        assert!(refused.stderr.contains("PGPASSFILE") && !refused.stderr.contains("hunter2"), "{refused}");
    }
    scenario.write("study.toml", &format!("{}journal = {{ store = \"{told}\" }}\n", manifest(5)));
    let refused = scenario.ansatz(&["check", "study.toml"]).expect(3);
    assert!(refused.stderr.contains("PGPASSFILE") && !refused.stderr.contains("hunter2"), "{refused}");
}
