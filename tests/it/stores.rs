//! Looking after stores: `fsck`, `repair` and `backup`, and hosts that want the same store at once.

use crate::scenario;
use ansatz_core::{Failure, Outcome};
use ansatz_tests::scenario::finish;
use ansatz_tests::{Running, Scenario, StoredStudy};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TRIAL_COUNT: u64 = 40;

fn manifest(name: &str, more: &str) -> String {
    format!(
        r#"
study = {{ name = "{name}", seed = 5 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin", delay_ms = 20 }} }}
strategy = [{{ plugin = "annealing" }}]
budget = {{ trials = {TRIAL_COUNT} }}
run = {{ slots = 2{more} }}
"#
    )
}

/// Starts `study.toml`, and gives the host once some trials have ended.
fn started(scenario: &Scenario, ended_count: usize) -> Running {
    let mut child = Running::start(&mut scenario.command(&["run", "study.toml", "--quiet"]));
    let begun = Instant::now();
    while ansatz_cli::session::read(&scenario.journal(), None).map_or(0, |read| read.study.finished_count())
        < ended_count
    {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing ends");
        child = match child.wait(Duration::from_millis(2)) {
            Err(running) => running,
            Ok(ended) => panic!("it ended too early: {ended}"),
        };
    }
    child
}

/// Changes bytes of a store behind everybody's back.
fn overwrite(path: &Path, from: &[u8], to: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let place = bytes.windows(from.len()).rposition(|window| window == from).expect("it is in the file");
    bytes[place..place + to.len()].copy_from_slice(to);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_host_that_was_killed_leaves_orphans_that_fsck_names_and_resume_or_repair_ends() {
    let scenario = scenario();
    scenario.write("study.toml", &manifest("orphaned", ""));
    let child = started(&scenario, 3);
    let seen = scenario.ansatz(&["fsck"]).expect(0).stdout;
    assert!(seen.contains("it is being run (process ") && !seen.contains("nobody"), "{seen}");
    child.kill();
    // reading it changes nothing, not even the log
    let files = || -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let files = std::fs::read_dir(scenario.path("work")).unwrap().flatten();
        let files = files.filter(|file| file.file_type().is_ok_and(|kind| kind.is_file()));
        // the shared memory beside a log is rebuilt by whoever comes
        let files = files.filter(|file| !file.file_name().to_string_lossy().ends_with("-shm"));
        let mut files: Vec<_> =
            files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect();
        files.sort();
        files
    };
    let before = files();
    let found = scenario.ansatz(&["fsck", "--json", "--store", "ansatz.db"]).expect(0).json();
    assert_eq!(files(), before);
    assert_eq!(found["sound"], true);
    let orphans = found["studies"][0]["orphans"].as_array().unwrap().clone();
    assert!(!orphans.is_empty(), "{found}");
    let text = scenario.ansatz(&["fsck"]).expect(0).stdout;
    assert!(text.contains("nobody works on trial") && text.contains("ansatz resume orphaned"), "{text}");
    assert!(text.ends_with("sound\n"), "{text}");

    // what the study would run again is ended only by who says so
    let nothing = scenario.ansatz(&["repair"]).expect(0).stdout;
    assert!(nothing.contains("there is nothing to mend"), "{nothing}");
    let closed = scenario.ansatz(&["repair", "--close-orphans"]).expect(0).stdout;
    assert!(closed.contains("ended") && closed.contains("before-repair-1"), "{closed}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    for trial in orphans {
        let outcome = stored.study.trials()[trial.as_u64().unwrap() as usize].outcome.clone();
        assert!(matches!(outcome, Some(Outcome::Failed { failure: Failure::Lost, .. })), "{outcome:?}");
    }
    scenario.ansatz(&["resume", "--quiet"]).expect(0);
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(TRIAL_COUNT);
    // the copy is a store as well, of which all trials are still wanted
    let copy = ["resume", "--quiet", "--journal", "ansatz.db.before-repair-1"];
    scenario.ansatz(&copy).expect(0);
    let copied = StoredStudy::read(&scenario.path("work/ansatz.db.before-repair-1"), None);
    copied.expect_each_trial_once(TRIAL_COUNT);
    assert!(copied.outcomes().iter().all(|(kind, _)| *kind == "completed"));
}

#[test]
fn a_record_that_makes_no_sense_is_named_and_mended_and_the_study_goes_on() {
    let scenario = scenario();
    scenario.run(&manifest("torn", "")).expect(0);
    let whole = StoredStudy::read(&scenario.journal(), None);
    // the last outcome, in the middle of its words
    overwrite(&scenario.journal(), b"\"outcome\":\"completed\"", b"\"outcome\":\"complet\0\0\"");
    let found = scenario.ansatz(&["fsck", "--json"]).expect(5).json();
    let entry = found["studies"][0]["problems"][0]["entry"].as_u64().unwrap();
    assert!(entry as usize > whole.entries.len() / 2, "{found}");
    let text = scenario.ansatz(&["fsck"]).expect(5).stdout;
    assert!(text.contains(&format!("damaged: entry {entry} of study torn")), "{text}");
    assert!(text.contains("ansatz repair"), "{text}");
    let refused = scenario.ansatz(&["resume", "--quiet"]).expect(5);
    refused.expect_message(&["is damaged", &format!("entry {entry}"), "ansatz repair"]);

    let repaired = scenario.ansatz(&["repair", "--backup", "copy.db"]).expect(0).stdout;
    assert!(repaired.contains("copy.db") && repaired.contains("quarantine"), "{repaired}");
    assert!(repaired.ends_with("sound\n"), "{repaired}");
    scenario.ansatz(&["fsck", "--store", "copy.db"]).expect(5);
    let after = scenario.ansatz(&["fsck"]).expect(0).stdout;
    assert!(after.contains("taken 1 entry out"), "{after}");
    // its trial is run again, and no other
    scenario.ansatz(&["resume", "--quiet"]).expect(0);
    let mended = StoredStudy::read(&scenario.journal(), None);
    mended.expect_each_trial_once(TRIAL_COUNT);
}

#[test]
fn commands_that_look_after_stores_say_what_they_cannot_do() {
    let scenario = scenario();
    for command in [&["fsck"][..], &["repair"], &["backup", "copy.db"]] {
        scenario.ansatz(command).expect(7).expect_message(&["there is no store ansatz.db", "--store"]);
    }
    scenario.write("ansatz.db", "this is not a database, and long enough for SQLite to see that it is none");
    for command in [&["fsck"][..], &["repair"], &["backup", "copy.db"]] {
        scenario.ansatz(command).expect(5).expect_message(&["not a journal of ansatz"]);
    }
}

#[test]
fn a_running_study_is_copied_and_the_copy_can_go_on() {
    let scenario = scenario();
    scenario.write("study.toml", &manifest("copied", ""));
    let child = started(&scenario, 3);
    let copied = scenario.ansatz(&["backup", "copy.db"]).expect(0).stdout;
    assert!(copied.contains("copied ansatz.db to") && copied.contains("copy.db"), "{copied}");
    let refused = scenario.ansatz(&["backup", "copy.db"]).expect(2);
    refused.expect_message(&["exists already", "--overwrite"]);
    scenario.ansatz(&["backup", "copy.db", "--overwrite"]).expect(0);
    scenario.ansatz(&["repair"]).expect(0);
    finish(child).expect(0);
    scenario.ansatz(&["fsck", "--store", "copy.db"]).expect(0);
    let at_the_copy = StoredStudy::read(&scenario.path("work/copy.db"), None).entries;
    let at_the_end = StoredStudy::read(&scenario.journal(), None).entries;
    assert!(at_the_copy.len() >= 4 && at_the_end.starts_with(&at_the_copy));
    scenario.ansatz(&["resume", "--quiet", "--journal", "copy.db"]).expect(0);
    StoredStudy::read(&scenario.path("work/copy.db"), None).expect_each_trial_once(TRIAL_COUNT);
}

#[test]
fn two_hosts_that_want_one_study_do_not_both_get_it() {
    let scenario = scenario();
    // still running when the others come, also on a busy machine
    scenario.write("study.toml", &manifest("wanted", "").replace("delay_ms = 20", "delay_ms = 200"));
    let child = started(&scenario, 1);
    let process = format!("process {}", child.id());
    let refused = scenario.ansatz(&["resume", "--quiet"]).expect(5);
    refused.expect_message(&["is being run by another process", &process]);
    // whether it runs still is a matter of how busy the machine is
    let begun_again = scenario.ansatz(&["run", "study.toml", "--quiet"]);
    let message = match begun_again.code() {
        Some(5) => "is being run by another process",
        _ => "has a study wanted already",
    };
    assert!(matches!(begun_again.code(), Some(2 | 5)), "{begun_again}");
    begun_again.expect_message(&[message]);
    // a copy of the manifest under another name in the same store is another study
    scenario.write("other.toml", &manifest("other", ""));
    let other = Running::start(&mut scenario.command(&["run", "other.toml", "--quiet"]));
    finish(child).expect(0);
    finish(other).expect(0);
    let ended = scenario.ansatz(&["run", "study.toml", "--quiet"]).expect(2);
    ended.expect_message(&["has a study wanted already"]);
    for name in ["wanted", "other"] {
        StoredStudy::read(&scenario.journal(), Some(name)).expect_each_trial_once(TRIAL_COUNT);
    }
}

#[test]
fn hosts_that_begin_at_the_same_moment_make_one_study() {
    for round in 0..3 {
        let scenario = scenario();
        scenario.write("study.toml", &manifest("raced", ""));
        let commands: Vec<Command> =
            (0..4).map(|_| scenario.command(&["run", "study.toml", "--quiet"])).collect();
        let children: Vec<Running> =
            commands.into_iter().map(|mut command| Running::start(&mut command)).collect();
        let codes: Vec<Option<i32>> =
            children.into_iter().map(|child| finish(child)).map(|ended| ended.code()).collect();
        assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "round {round}: {codes:?}");
        // the study exists already, or is being run
        assert!(codes.iter().all(|code| [Some(0), Some(2), Some(5)].contains(code)), "{codes:?}");
        StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(TRIAL_COUNT);
        // and then all want to go on at once, with more to do
        let resume = ["resume", "--quiet", "--set", "budget.trials=60"];
        let children: Vec<Running> = (0..4).map(|_| Running::start(&mut scenario.command(&resume))).collect();
        let codes: Vec<Option<i32>> =
            children.into_iter().map(|child| finish(child)).map(|ended| ended.code()).collect();
        assert!(codes.contains(&Some(0)), "{codes:?}");
        assert!(codes.iter().all(|code| [Some(0), Some(5)].contains(code)), "{codes:?}");
        StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(60);
    }
}

#[test]
fn a_long_study_is_shown_as_it_would_be_read() {
    let scenario = scenario();
    let manifest = manifest("long", "")
        .replace(", delay_ms = 20", "")
        .replace("annealing", "random")
        .replace(&format!("trials = {TRIAL_COUNT}"), "trials = 10_000")
        + "journal = { sync = \"off\" }\n";
    scenario.run(&manifest).expect(0);
    let digest_count = || {
        let store = ansatz_cli::journal::open_read_only(&*scenario.journal()).unwrap();
        usize::from(store.read("long").unwrap().digest().unwrap().is_some())
    };
    assert_eq!(digest_count(), 1);
    for command in [&["show"][..], &["list"], &["list", "--json"]] {
        let quick = scenario.ansatz(command).expect(0).stdout;
        let exact = scenario.ansatz(&[command, &["--exact"]].concat()).expect(0).stdout;
        assert!(quick.contains("10000"), "{quick}");
        assert_eq!(quick, exact);
    }
    // what was taken out of a journal may be in its digest
    overwrite(&scenario.journal(), b"\"outcome\":\"completed\"", b"\"outcome\":\"completes\"");
    scenario.ansatz(&["repair"]).expect(0);
    assert_eq!(digest_count(), 0);
    assert!(scenario.ansatz(&["show"]).expect(0).stdout.contains("9999 completed, 1 pending"));
}

/// A program in the manifest's folder, and the journal beside them.
#[test]
fn a_study_goes_on_after_its_folder_was_moved_with_all_in_it() {
    let scenario = scenario();
    let folder = |name: &str| scenario.path("work").join(name);
    std::fs::create_dir(folder("here")).unwrap();
    let manifest = r#"
study = { name = "moves", seed = 5 }
metrics = { value = "minimise" }
space = { x = { float = [0.0, 1.0] } }
objective = { plugin = "command", options = { command = ["./measure.sh"] } }
strategy = [{ plugin = "random" }]
budget = { trials = 3 }
"#;
    scenario.write("here/study.toml", manifest);
    scenario.write_program("here/measure.sh", "#!/bin/sh\necho \"{\\\"value\\\": $ANSATZ_PARAM_X}\"\n");
    scenario.ansatz(&["run", "here/study.toml", "--journal", "here/ansatz.db"]).expect(0);
    std::fs::rename(folder("here"), folder("there")).unwrap();
    let resume = ["resume", "moves", "--journal", "there/ansatz.db"];
    scenario.ansatz(&[&resume[..], &["--set", "budget.trials=5"]].concat()).expect(0);
    // that it is there now is on record
    std::fs::rename(folder("there"), folder("elsewhere")).unwrap();
    let found = StoredStudy::read(&folder("elsewhere/ansatz.db"), None);
    found.expect_each_trial_once(5);
    assert!(found.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", found.outcomes());
    // without the manifest beside it nobody knows where the program is
    std::fs::rename(folder("elsewhere/study.toml"), folder("other.toml")).unwrap();
    let resume = ["resume", "moves", "--journal", "elsewhere/ansatz.db"];
    let lost = scenario.ansatz(&resume).expect(7);
    lost.expect_message(&["there/study.toml", "that folder is gone", "ansatz run study.toml --resume"]);
}

#[test]
fn a_study_is_deleted_when_that_is_meant_and_nobody_runs_it() {
    let scenario = scenario();
    scenario.write("study.toml", &manifest("running", ""));
    let child = started(&scenario, 1);
    let refused = scenario.ansatz(&["delete", "running", "--yes"]).expect(5);
    refused.expect_message(&["being run by another process"]);
    child.kill();
    scenario
        .ansatz(&["run", "study.toml", "--quiet", "--set", "study.name=other", "--set", "budget.trials=2"])
        .expect(0);
    scenario.ansatz(&["delete", "runing"]).expect(7).expect_message(&["did you mean \"running\""]);
    let asked = scenario.ansatz(&["delete", "running"]).expect(2);
    asked.expect_message(&["would delete study running", "trials: ", "--yes"]);
    assert_eq!(scenario.ansatz(&["list", "--json"]).expect(0).json().as_array().unwrap().len(), 2);
    let deleted = scenario.ansatz(&["delete", "running", "--yes"]).expect(0).stdout;
    assert!(deleted.starts_with("deleted study running in "), "{deleted}");
    let left = scenario.ansatz(&["list", "--json"]).expect(0).json();
    assert_eq!((left.as_array().unwrap().len(), &left[0]["study"]), (1, &"other".into()));
    assert!(scenario.ansatz(&["fsck"]).expect(0).stdout.contains("other"));
    // the name is free again
    scenario.ansatz(&["run", "study.toml", "--quiet", "--set", "budget.trials=2"]).expect(0);
}
