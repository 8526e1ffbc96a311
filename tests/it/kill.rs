//! The host is killed by SIGKILL at random moments, again and again. Nothing may be lost, nothing may be
//! recorded twice, and nothing may happen before it is recorded.

use crate::scenario;
use ansatz_cli::journal::{self, Entry};
use ansatz_cli::run::trial_output_folder;
use ansatz_core::rng::Rng;
use ansatz_core::study::Record;
use ansatz_tests::scenario::{PATIENCE, finish};
use ansatz_tests::{Running, Scenario, StoredStudy};
use rand::RngExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Kills that hit a host that was running trials.
const KILL_COUNT: usize = 50;
const TRIAL_COUNT: u64 = 700;
/// A kill comes at most so long after the moment at which the host probably runs trials.
const DELAY_MS_MAX: f64 = 120.0;

/// Four slots, an objective that takes 20 ms and leaves a mark for every trial that ran, and a strategy that depends on everything it was told.
fn manifest(name: &str, seed: usize) -> String {
    format!(
        r#"
study = {{ name = "{name}", seed = {seed} }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "com.example.misbehaving-objective", options = {{ misdeed = "leaves-a-mark" }} }}
strategy = [{{ plugin = "annealing" }}, {{ plugin = "random" }}]
budget = {{ trials = {TRIAL_COUNT} }}
run = {{ slots = 4 }}
"#
    )
}

/// What the kills so far have hit.
#[derive(Debug, Default)]
struct Kills {
    /// A host that was running trials.
    running: usize,
    /// A host that was still starting, or reading its journal.
    starting: usize,
}

fn is_begun(journal: &Path, study: &str) -> bool {
    journal.exists()
        && journal::open_read_only(journal)
            .and_then(|store| store.studies())
            .is_ok_and(|studies| studies.iter().any(|entry| entry.name == study))
}

/// Whether the process with this number got as far as to open the study.
fn has_opened(journal: &Path, study: &str, process_id: u32) -> bool {
    is_begun(journal, study)
        && StoredStudy::read(journal, Some(study)).entries.iter().rev().any(
            |stored| matches!(&stored.entry, Entry::Opened(opened) if opened.process_id == Some(process_id)),
        )
}

fn command(scenario: &Scenario, study: &str) -> std::process::Command {
    match is_begun(&scenario.journal(), study) {
        true => scenario.command(&["resume", study, "--quiet"]),
        false => scenario.command(&["run", "study.toml", "--quiet"]),
    }
}

#[test]
fn killed_fifty_times_a_study_loses_nothing_and_repeats_nothing() {
    let scenario = scenario().with("ansatz-fault-misbehaving");
    let journal = scenario.journal();
    let mut rng = Rng::new(50);
    let mut kills = Kills::default();
    // how long the host takes until it runs trials: a guess that learns
    scenario.write("study.toml", &manifest("measured", 0));
    let started = Instant::now();
    scenario.ansatz(&["check", "study.toml"]).expect(0);
    let mut startup = started.elapsed();

    // one study takes all the kills, unless this machine is so fast that it ends before
    for number in 1.. {
        let study = format!("killed-{number}");
        scenario.write("study.toml", &manifest(&study, number));
        while kills.running < KILL_COUNT {
            let child = Running::start(&mut command(&scenario, &study));
            let process_id = child.id();
            let delay = Duration::from_secs_f64(rng.random_range(0.0..DELAY_MS_MAX) / 1000.0);
            let ended = match child.wait(startup + delay) {
                Ok(ended) => ended,
                Err(running) => running.kill(),
            };
            if !ended.was_killed() {
                ended.expect(0);
                break;
            }
            assert_eq!(ended.stderr, "", "a strategy was replayed and answered differently");
            check_marks(&journal, &study);
            if has_opened(&journal, &study, process_id) {
                kills.running += 1;
                startup = startup.mul_f64(0.97);
            } else {
                kills.starting += 1;
                startup = startup.mul_f64(1.1) + Duration::from_millis(1);
            }
            assert!(kills.starting < 20 * KILL_COUNT, "the host never gets to run anything: {kills:?}");
        }
        let ended = finish(Running::start(&mut command(&scenario, &study))).expect(0);
        assert_eq!(ended.stderr, "", "a strategy was replayed and answered differently");
        check(&scenario, &study);
        if kills.running >= KILL_COUNT {
            break;
        }
    }
    assert!(kills.running >= KILL_COUNT, "{kills:?}");
    println!("{kills:?}");
}

/// Checks that every trial that ran is in the journal: it was recorded before it began.
#[track_caller]
fn check_marks(journal: &Path, study: &str) {
    let Ok(folders) = std::fs::read_dir(trial_output_folder(journal, study)) else { return };
    // before the study began there may be the log of a plugin's process, and nothing else
    let recorded = match is_begun(journal, study) {
        true => StoredStudy::read(journal, Some(study)).study.trials().len(),
        false => 0,
    };
    for folder in folders {
        let name = folder.unwrap().file_name().into_string().unwrap();
        // beside the trials' folders there may be what a plugin's process wrote
        let Some(number) = name.strip_prefix("trial-") else { continue };
        let number: usize = number.parse().unwrap();
        assert!(number < recorded, "trial {number} ran, and the journal knows {recorded} trials");
    }
}

#[track_caller]
fn check(scenario: &Scenario, study: &str) {
    let stored = StoredStudy::read(&scenario.journal(), Some(study));
    stored.expect_each_trial_once(TRIAL_COUNT);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
    // what was lost with a host was run again, and only that
    let mut last_attempt_ended = 0;
    for record in stored.records() {
        if let Record::Retried { attempt, failure, .. } = record {
            assert_eq!(failure, ansatz_core::Failure::Lost);
            assert!(attempt > 1, "every attempt has a number of its own");
            last_attempt_ended += 1;
        }
    }
    assert!(last_attempt_ended > 0, "no kill hit a running trial");

    // a finished study stays as it is; its strategies, told everything anew, still answer as recorded
    let ended = scenario.ansatz(&["resume", study, "--quiet"]).expect(0);
    assert_eq!(ended.stderr, "");
    let again = StoredStudy::read(&scenario.journal(), Some(study));
    assert_eq!(again.records(), stored.records());
}

/// The number that a program has written, once it has.
fn number_in(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.ends_with('\n').then(|| text.trim().to_owned())
}

/// Whether a process runs; one that has ended and was not waited for does not.
fn is_running(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

#[test]
fn a_program_that_outlived_its_host_is_ended_before_it_is_started_again() {
    let scenario = scenario();
    // silent, so that it does not notice that nobody listens; and with a child
    scenario.write(
        "train.sh",
        "if [ \"$ANSATZ_ATTEMPT\" = 1 ]; then sleep 600 & echo $! > child; echo $$ > first; wait; fi\n\
         echo '{\"loss\": 1}'\n",
    );
    scenario.write(
        "study.toml",
        "metrics = { loss = \"minimise\" }\nspace = { x = { float = [0.0, 1.0] } }\n\
         objective = { plugin = \"command\", options = { command = [\"sh\", \"train.sh\"] } }\n\
         strategy = [{ plugin = \"random\" }]\nbudget = { trials = 1 }\n",
    );
    let host = Running::start(&mut scenario.command(&["run", "study.toml", "--quiet"]));
    let work = scenario.path("work");
    let first = work.join("first");
    let begun = Instant::now();
    while number_in(&first).is_none() {
        assert!(begun.elapsed() < PATIENCE, "the program never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(host.kill().was_killed());
    let left = ["first", "child"].map(|name| number_in(&work.join(name)).unwrap());
    assert!(left.iter().all(|process| is_running(process)), "nobody has ended them yet");
    finish(Running::start(&mut scenario.command(&["resume", "--quiet"]))).expect(0);
    assert!(!left.iter().any(|process| is_running(process)), "they would run beside the next attempt");
    let journal = scenario.journal();
    let stored = StoredStudy::read(&journal, None);
    assert_eq!((stored.study.trials()[0].attempt, stored.study.finished_count()), (2, 1));
    let folder = trial_output_folder(&journal, "study").join("trial-0");
    let log = std::fs::read_to_string(folder.join("stderr.log")).unwrap();
    assert!(log.contains("ended before attempt 2 began"), "{log}");
    let note = ".ansatz-process.json";
    assert!(!folder.join(note).exists() && !folder.join("attempt-2").join(note).exists());
}
