//! Hosts, plugins' processes and objectives' programs are killed, at every operation of the journal and at random. No outcome
//! that was told is lost, none counts twice, budgets are kept, nobody is left behind, and a deterministic study
//! ends as one that nobody disturbed.
//!
//! How many kills: 12, or 100 with `ANSATZ_SLOW_TESTS=1`, or what `ANSATZ_TEST_KILLS` says.

use crate::scenario;
use ansatz_cli::journal::{self, Stored};
use ansatz_core::rng::Rng;
use ansatz_core::study::Record;
use ansatz_tests::process::kill;
use ansatz_tests::scenario::Victim;
use ansatz_tests::scenario::finish;
use ansatz_tests::{Ended, Running, Scenario, StoredStudy, kill_count, slow_tests_run};
use rand::RngExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TRIAL_COUNT: u64 = 120;
/// A program may be killed so often in one trial, and the trial is still run again.
const RETRIES: u32 = 100;
/// A plugin's process that ends twice in one call is at fault: so long it is left alone.
const WORKER_DISTANCE: Duration = Duration::from_secs(3);

/// One strategy in the host and one in a process of its own, an objective that is a program, four slots.
fn stormy(name: &str, sleep: &str) -> String {
    let program = format!(r#"{sleep}echo \"{{\\\"value\\\": $ANSATZ_PARAM_X1}}\""#);
    format!(
        r#"
study = {{ name = "{name}", seed = 9 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "command", options = {{ shell = "{program}" }} }}
strategy = [{{ plugin = "sobol" }}, {{ plugin = "annealing", isolation = "process" }}]
budget = {{ trials = {TRIAL_COUNT} }}
run = {{ slots = 4, deterministic = 4, retries = {RETRIES} }}
"#
    )
}

/// What the storm has hit.
#[derive(Debug, Default)]
struct Hits {
    hosts: usize,
    workers: usize,
    programs: usize,
}

impl Hits {
    fn all(&self) -> usize {
        self.hosts + self.workers + self.programs
    }
}

fn is_begun(journal: &Path, study: &str) -> bool {
    let store = journal.exists().then(|| journal::open_read_only(journal));
    let studies = store.and_then(Result::ok).and_then(|store| store.studies().ok());
    studies.is_some_and(|studies| studies.iter().any(|entry| entry.name == study))
}

fn entries(journal: &Path, study: &str) -> Vec<Stored> {
    if !is_begun(journal, study) {
        return Vec::new();
    }
    StoredStudy::read(journal, Some(study)).entries
}

/// What the host said of trials that ended is on record.
#[track_caller]
fn expect_told_is_kept(ended: &Ended, kept: &[Stored]) {
    let finished: Vec<u64> = kept
        .iter()
        .filter_map(|stored| match &stored.entry {
            journal::Entry::Study(Record::Finished { trial, .. }) => Some(trial.0),
            _ => None,
        })
        .collect();
    for line in ended.stderr.lines() {
        let Some(rest) = line.trim_start_matches(['*', ' ']).strip_prefix("trial ") else { continue };
        let Some(trial) = rest.split(' ').next().and_then(|number| number.parse().ok()) else { continue };
        assert!(
            finished.contains(&trial),
            "trial {trial} was told to have ended, and is not on record: {line}"
        );
    }
}

/// Nobody is left that the scenario started.
#[track_caller]
fn expect_nobody_left(scenario: &Scenario) {
    let begun = Instant::now();
    loop {
        let left = scenario.processes(0);
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_storm_of_kills_changes_nothing() {
    let calm = scenario();
    calm.run(&stormy("calm", "")).expect(0);
    let expected = calm.ansatz(&["export", "--repeatable"]).expect(0).stdout;
    assert_eq!(expected.lines().count() as u64, 1 + TRIAL_COUNT);

    let scenario = scenario();
    let journal = scenario.journal();
    let (wanted, mut hits) = (kill_count(12, 100) as usize, Hits::default());
    let mut rng = Rng::new(77);
    let mut last_worker = Instant::now();
    for number in 1.. {
        let study = format!("stormy-{number}");
        scenario.write("study.toml", &stormy(&study, "sleep 0.05; "));
        let mut before = Vec::new();
        while hits.all() < wanted {
            let mut command = match is_begun(&journal, &study) {
                true => scenario.command(&["resume", &study]),
                false => scenario.command(&["run", "study.toml"]),
            };
            let mut child = Running::start(&mut command);
            let host = child.id();
            // while it lives its plugins and programs are hit, and in the end it is
            let ended = loop {
                let delay = Duration::from_millis(rng.random_range(0..150));
                child = match child.wait(delay) {
                    Ok(ended) => break ended,
                    Err(running) => running,
                };
                let others = scenario.processes(host);
                let may_hit_worker = last_worker.elapsed() > WORKER_DISTANCE;
                let others: Vec<_> = others
                    .into_iter()
                    .filter(|(_, victim)| *victim == Victim::Program || may_hit_worker)
                    .collect();
                if rng.random_range(0..6) == 0 || hits.all() >= wanted {
                    hits.hosts += 1;
                    break child.kill();
                }
                if others.is_empty() {
                    continue;
                }
                let (process, victim) = others[rng.random_range(0..others.len())];
                kill(process);
                match victim {
                    Victim::Worker => {
                        last_worker = Instant::now();
                        hits.workers += 1;
                    }
                    Victim::Program => hits.programs += 1,
                }
            };
            let now = entries(&journal, &study);
            assert!(now.starts_with(&before), "what was on record is not any more");
            expect_told_is_kept(&ended, &now);
            before = now;
            if !ended.was_killed() {
                ended.expect(0);
                break;
            }
        }
        let mut command = match is_begun(&journal, &study) {
            true => scenario.command(&["resume", &study]),
            false => scenario.command(&["run", "study.toml"]),
        };
        finish(Running::start(&mut command)).expect(0);
        let stored = StoredStudy::read(&journal, Some(&study));
        stored.expect_each_trial_once(TRIAL_COUNT);
        let broke = stored.records().iter().any(|record| matches!(record, Record::Broke { .. }));
        assert!(!broke, "a strategy was at fault, and none was");
        let export = scenario.ansatz(&["export", &study, "--repeatable"]).expect(0).stdout;
        assert_eq!(export, expected, "{hits:?}");
        if hits.all() >= wanted {
            break;
        }
    }
    expect_nobody_left(&scenario);
    println!("{hits:?}");
    assert!(hits.hosts > 0 && hits.programs > 0, "{hits:?}");
}

/// A study without delays, so that most of it is its journal.
fn quick(slots: u32) -> String {
    format!(
        r#"
study = {{ name = "quick", seed = 6 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "noisy_branin" }} }}
strategy = [{{ plugin = "sobol" }}, {{ plugin = "annealing" }}]
budget = {{ trials = 16 }}
run = {{ slots = {slots}, deterministic = 2 }}
"#
    )
}

/// Runs `study.toml` on a disk where something happens at an operation; and its journal afterwards goes to the same end.
/// Whether it happened.
#[track_caller]
fn happens_at(mishap: &str, at: usize, expected: &str) -> bool {
    let scenario = scenario();
    scenario.write("study.toml", &quick(2));
    let said = format!("{}:{mishap}:{at}", scenario.path("work").canonicalize().unwrap().display());
    let mut command = scenario.command(&["run", "study.toml", "--quiet"]);
    let ended = finish(Running::start(command.env("ANSATZ_TEST_DISK", said)));
    let has_happened = ended.code() != Some(0);
    match (mishap, ended.code()) {
        (_, Some(0)) => {}
        ("kill", None) => assert!(ended.was_killed(), "{ended}"),
        (_, Some(5)) => ended.clone().expect(5).expect_message(&["ansatz.db"]),
        _ => panic!("{mishap} at {at}: {ended}"),
    }
    let journal = scenario.journal();
    let again = match is_begun(&journal, "quick") {
        true => scenario.ansatz(&["resume", "--quiet"]),
        false => scenario.ansatz(&["run", "study.toml", "--quiet"]),
    };
    let again = again.expect(0);
    assert_eq!(again.stderr, "", "{mishap} at {at}: a strategy was replayed and answered differently");
    StoredStudy::read(&journal, None).expect_each_trial_once(16);
    let export = scenario.ansatz(&["export", "--repeatable"]).expect(0).stdout;
    assert_eq!(export, expected, "{mishap} at {at}");
    has_happened
}

#[test]
fn a_host_whose_disk_fails_or_that_is_killed_at_each_operation_of_its_journal_goes_on() {
    let calm = scenario();
    calm.run(&quick(1)).expect(0);
    let expected = calm.ansatz(&["export", "--repeatable"]).expect(0).stdout;
    let stride = if slow_tests_run() { 5 } else { 41 };
    for mishap in ["kill", "full", "broken"] {
        let mut happened = 0;
        // the first operations are those that make the store; then those of the study
        for at in (3..).step_by(stride) {
            if !happens_at(mishap, at, &expected) && at > 150 {
                break;
            }
            happened += 1;
        }
        println!("{mishap}: {happened} times");
        assert!(happened > 3, "{mishap}: {happened}");
    }
}

#[test]
fn a_clock_that_jumps_costs_no_budget_and_no_order() {
    let scenario = scenario();
    let limited = |trials: u32| {
        quick(2)
            .replace("noisy_branin\"", "noisy_branin\", delay_ms = 25")
            .replace("trials = 16", &format!("trials = {trials}, wall_time = \"1h\""))
    };
    scenario.write("study.toml", &limited(40));
    let journal = scenario.journal();
    let jumping = |arguments: &[&str]| {
        let mut command = scenario.command(arguments);
        command.env("ANSATZ_TEST_CLOCK", "jumps");
        Running::start(&mut command)
    };
    let mut child = jumping(&["run", "study.toml", "--quiet"]);
    for _ in 0..3 {
        let before = entries(&journal, "quick").len();
        let begun = Instant::now();
        while entries(&journal, "quick").len() < before + 8 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing happens");
            child = child.wait(Duration::from_millis(5)).err().unwrap();
        }
        // it dies without a word: how long it ran is known from its records alone
        child.kill();
        child = jumping(&["resume", "--quiet"]);
    }
    let ended = finish(child).expect(0);
    assert!(ended.stdout.contains("all trials of the budget are done"), "{ended}");
    StoredStudy::read(&journal, None).expect_each_trial_once(40);
    let mut last = f64::NEG_INFINITY;
    let mut sessions = 0;
    for stored in entries(&journal, "quick") {
        let is_begin = matches!(stored.entry, journal::Entry::Opened(_));
        sessions += u32::from(is_begin);
        assert!(is_begin || stored.at >= last, "time goes backwards within a session");
        last = stored.at;
    }
    assert_eq!(sessions, 4);
    let read = ansatz_cli::session::read(&journal, None).unwrap();
    assert!(read.elapsed < Duration::from_secs(120), "it ran for {:?}", read.elapsed);
}

/// Root may write anywhere: then the host runs as nobody.
fn as_nobody(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    let probe = Command::new("id").arg("-u").output().unwrap();
    match probe.stdout.starts_with(b"0\n") {
        true => command.uid(65_534).gid(65_534),
        false => command,
    }
}

#[test]
fn in_a_folder_that_nobody_may_write_to_studies_are_read_and_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let scenario = scenario();
    scenario.run(&quick(1)).expect(0);
    let work = scenario.path("work");
    let allow =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(&work, 0o555);
    allow(&work.join("ansatz.db"), 0o444);
    allow(work.parent().unwrap(), 0o755);
    let run = |arguments: &[&str]| finish(Running::start(as_nobody(&mut scenario.command(arguments))));
    let shown = run(&["show"]);
    // where nobody may not even enter the folders above, there is nothing to see
    if !shown.stderr.contains("Permission denied") && shown.code().is_some() {
        shown.expect(0);
        run(&["fsck"]).expect(0);
        run(&["list"]).expect(0);
        let more = ["resume", "--quiet", "--set", "budget.trials=20"];
        run(&more).expect(5).expect_message(&["ansatz.db", "the right to write"]);
        run(&["run", "study.toml", "--quiet", "--set", "study.name=other"])
            .expect(5)
            .expect_message(&["ansatz.db", "the right to write"]);
        run(&["repair", "--close-orphans"]).expect(0);
        run(&["backup", "copy.db"]).expect(5).expect_message(&["copy.db"]);
    }
    allow(&work, 0o755);
    allow(&work.join("ansatz.db"), 0o644);
    scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=20"]).expect(0);
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(20);
}

#[test]
fn with_a_log_that_is_torn_anywhere_the_host_goes_on_to_the_same_end() {
    let calm = scenario();
    calm.run(&quick(1)).expect(0);
    let expected = calm.ansatz(&["export", "--repeatable"]).expect(0).stdout;
    // a host that dies leaves its log, of which nothing is in the file yet
    let died = scenario();
    died.write("study.toml", &quick(2).replace("noisy_branin\"", "noisy_branin\", delay_ms = 40"));
    let child = Running::start(&mut died.command(&["run", "study.toml", "--quiet"]));
    let begun = Instant::now();
    while entries(&died.journal(), "quick").len() < 14 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing happens");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.kill().was_killed());
    let log = std::fs::read(died.path("work/ansatz.db-wal")).unwrap();
    let file = std::fs::read(died.journal()).unwrap();
    let whole = entries(&died.journal(), "quick").len();
    let mut rng = Rng::new(5);
    let mut shorter = 0;
    for round in 0..if slow_tests_run() { 60 } else { 6 } {
        let scenario = scenario();
        scenario.write("study.toml", &quick(2));
        let mut torn = log.clone();
        match round % 2 {
            0 => torn.truncate(rng.random_range(0..log.len())),
            _ => {
                let start = rng.random_range(0..log.len() - 512);
                torn[start..start + 512].fill(0);
            }
        }
        std::fs::write(scenario.journal(), &file).unwrap();
        std::fs::write(scenario.path("work/ansatz.db-wal"), torn).unwrap();
        shorter += usize::from(entries(&scenario.journal(), "quick").len() < whole);
        let command = match is_begun(&scenario.journal(), "quick") {
            true => scenario.ansatz(&["resume", "--quiet"]),
            false => scenario.ansatz(&["run", "study.toml", "--quiet"]),
        };
        assert_eq!(command.expect(0).stderr, "");
        let export = scenario.ansatz(&["export", "--repeatable"]).expect(0).stdout;
        assert_eq!(export, expected, "round {round}");
    }
    assert!(shorter > 0, "nothing was torn off");
}
