//! Plugins that do what no `catch_unwind` survives, in processes of their own: the study always finishes, nothing is
//! lost, and each message says what happened.

use crate::scenario;
use ansatz_core::study::{Record, Remedy};
use ansatz_core::{Failure, Outcome};
use ansatz_tests::{Ended, Scenario, StoredStudy};

const MISBEHAVING: &str = "ansatz-fault-misbehaving";
const STRATEGY: &str = "com.example.misbehaving-strategy";

/// A strategy that did not ship with the host, and so has a process of its own.
fn strategy(label: &str, options: &str, more: &str) -> String {
    format!("{{ plugin = \"{STRATEGY}\", label = \"{label}\", options = {{ {options} }}{more} }}")
}

fn manifest(strategies: &[String], trials: u64, slots: u64, more: &str) -> String {
    format!(
        r#"
study = {{ name = "isolated", seed = 12 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin" }} }}
strategy = [{}]
budget = {{ trials = {trials} }}
run = {{ slots = {slots} }}
{more}
"#,
        strategies.join(", ")
    )
}

fn run(manifest: &str) -> (Scenario, Ended) {
    let scenario = scenario().with(MISBEHAVING);
    let ended = scenario.run(manifest);
    (scenario, ended)
}

fn remedies(stored: &StoredStudy, of: usize) -> Vec<Remedy> {
    let remedy = |record| match record {
        Record::Broke { member, remedy, .. } if member == of => Some(remedy),
        _ => None,
    };
    stored.records().into_iter().filter_map(remedy).collect()
}

/// A study of 4 trials with one strategy, which breaks at its third call; it is made anew once, and then replaced.
#[track_caller]
fn survives(options: &str, more: &str, parts: &[&str]) {
    let strategy = strategy("only", &format!("{options}, after = 2"), more);
    let (scenario, ended) = run(&manifest(&[strategy], 6, 1, "plugins = { restarts = 1 }"));
    let ended = ended.expect(0);
    for part in parts {
        assert!(ended.stderr.contains(part), "nothing about {part:?}\n{ended}");
    }
    assert!(ended.stderr.contains("made anew (1 of 1)"), "{ended}");
    assert!(ended.stderr.contains("random proposes in its place from trial 4 on"), "{ended}");
    // what happened can be read later too
    let shown = scenario.ansatz(&["show"]).expect(0).stdout;
    let said = shown.lines().find(|line| line.trim_start().starts_with("the last was: "));
    let said = said.unwrap_or_else(|| panic!("nothing about the fault\n{shown}"));
    assert!(parts.iter().all(|part| *part == STRATEGY || said.contains(part)), "{said}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(6);
    assert_eq!(remedies(&stored, 0), [Remedy::Restart, Remedy::Fallback]);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"));
}

#[test]
fn what_ends_a_process_is_told_by_its_signal_or_code() {
    survives("misdeed = \"segfault\"", "", &[STRATEGY, "in ask", "signal 11 (SIGSEGV)"]);
    survives("misdeed = \"abort\"", "", &["in ask", "signal 6 (SIGABRT)"]);
    survives("misdeed = \"exit\"", "", &["in ask", "ended with exit code 0"]);
    survives(
        "misdeed = \"overflow-stack\"",
        "",
        &["signal 6 (SIGABRT)", "plugin-only.log", "stack overflow, aborting"],
    );
    survives(
        "misdeed = \"eat-memory\"",
        ", memory = \"400MiB\"",
        &["in ask", "signal 6 (SIGABRT)", "memory allocation of"],
    );
}

#[test]
fn an_endless_loop_is_ended_at_the_deadline_of_the_call() {
    let hang = ", call_timeout = \"300ms\"";
    survives("misdeed = \"hang\"", hang, &["in ask", "did not answer within 300ms, and was killed"]);
    let strategy = strategy("only", "misdeed = \"hang-in-tell\", after = 1", hang);
    let (scenario, ended) = run(&manifest(&[strategy], 6, 1, "plugins = { restarts = 1 }"));
    let ended = ended.expect(0);
    assert!(ended.stderr.contains("in tell: did not answer within 300ms"), "{ended}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(6);
    // who resumes is not made to wait for what hung
    let started = std::time::Instant::now();
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=7"]).expect(0);
    assert_eq!(ended.stderr, "", "after {:?}", started.elapsed());
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(7);
}

#[test]
fn what_a_strategy_prints_is_no_answer() {
    let strategy = strategy("only", "misdeed = \"prints\"", "");
    let (scenario, ended) = run(&manifest(&[strategy], 6, 1, ""));
    assert_eq!(ended.expect(0).stderr, "");
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(6);
    let log = scenario.path("work/ansatz.db.d/isolated/plugin-only.log");
    assert!(std::fs::read_to_string(log).unwrap().contains("suggestions"), "what it printed is in its log");
}

#[test]
fn a_process_that_dies_once_is_replaced_and_nothing_changes() {
    let with = |options: &str| {
        let scenario = scenario().with(MISBEHAVING);
        let memory = scenario.path("work/remembered");
        let options = format!("{options}, after = 3, memory = \"{}\"", memory.display());
        let ended = scenario.run(&manifest(&[strategy("only", &options, "")], 8, 1, "")).expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.expect_each_trial_once(8);
        assert_eq!(remedies(&stored, 0), []);
        let points: Vec<_> = stored.study.trials().iter().map(|trial| trial.point.clone()).collect();
        (points, ended)
    };
    let (undisturbed, ended) = with("misdeed = \"none\"");
    assert_eq!(ended.stderr, "");
    let (points, ended) = with("misdeed = \"segfault-once\"");
    assert!(
        ended.stderr.contains("signal 11") && ended.stderr.contains("its process is replaced"),
        "{ended}"
    );
    assert_eq!(points, undisturbed);
}

#[test]
fn two_hundred_trials_with_eight_slots_and_four_of_five_strategies_misbehaving() {
    for isolation in ["", ", isolation = \"none\""] {
        let broken = if isolation.is_empty() {
            // each of them in turn: after some good calls, again and again
            vec![
                strategy("panics", "misdeed = \"panic-in-ask\", after = 3", ""),
                strategy("segfaults", "misdeed = \"segfault\", after = 5", ""),
                strategy("loops", "misdeed = \"hang\", after = 4", ", call_timeout = \"200ms\""),
                strategy("lies", "misdeed = \"outside\", after = 2", ""),
            ]
        } else {
            vec![strategy("panics", "misdeed = \"panic-in-ask\", after = 3", isolation)]
        };
        let mut strategies = vec!["{ plugin = \"sobol\" }".to_owned()];
        strategies.extend(broken);
        let (scenario, ended) = run(&manifest(&strategies, 200, 8, ""));
        let ended = ended.expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.expect_each_trial_once(200);
        assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "all are told");
        let expected = [Remedy::Restart, Remedy::Restart, Remedy::Restart, Remedy::Fallback];
        assert_eq!(remedies(&stored, 0), []);
        for member in 1..strategies.len() {
            assert_eq!(remedies(&stored, member), expected, "strategy {member}\n{ended}");
            let of_member = stored.study.trials().iter().filter(|trial| trial.member == Some(member)).count();
            assert_eq!(of_member, 200 / strategies.len(), "each keeps its share");
        }
        // and all of it again, from the journal
        let ended = scenario.ansatz(&["resume", "--quiet"]).expect(0);
        assert_eq!(ended.stderr, "");
    }
}

#[test]
fn an_objective_that_dies_costs_its_attempt_and_not_the_study() {
    for (misdeed, part) in [("abort", "signal 6 (SIGABRT)"), ("hang", "time limit of 300ms")] {
        let manifest = format!(
            r#"
study = {{ name = "isolated", seed = 12 }}
metrics = {{ value = "minimise" }}
space = {{ x = {{ float = [-5.0, 10.0] }} }}
objective = {{ plugin = "com.example.misbehaving-objective", options = {{ misdeed = "{misdeed}", every = 3 }} }}
strategy = [{{ plugin = "random" }}]
budget = {{ trials = 8 }}
run = {{ slots = 3, trial_timeout = "300ms" }}
"#
        );
        let (scenario, ended) = run(&manifest);
        ended.expect(0);
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.expect_each_trial_once(8);
        for trial in stored.study.trials() {
            match trial.outcome.as_ref().unwrap() {
                Outcome::Failed { failure, reason } => {
                    assert!(trial.id.0.is_multiple_of(3) && reason.contains(part), "{}: {reason}", trial.id);
                    let expected = if misdeed == "hang" { Failure::Timeout } else { Failure::Crash };
                    assert_eq!(*failure, expected);
                }
                other => assert!(!trial.id.0.is_multiple_of(3), "trial {} is {}", trial.id, other.kind()),
            }
        }
    }
}

#[test]
fn isolated_or_not_a_study_is_the_same_bit_for_bit() {
    let with = |isolation: &str| {
        let strategies: Vec<String> =
            ["bayesian", "annealing", "cmaes", "evolution", "sobol", "tpe", "local"]
                .map(|name| format!("{{ plugin = \"{name}\", isolation = \"{isolation}\" }}"))
                .to_vec();
        let (scenario, ended) = run(&manifest(&strategies, 54, 1, ""));
        assert_eq!(ended.expect(0).stderr, "");
        let stored = StoredStudy::read(&scenario.journal(), None);
        stored.study.trials().iter().map(|trial| trial.point.clone()).collect::<Vec<_>>()
    };
    assert_eq!(with("none"), with("process"));
}

/// The folder of a program that answers by hand, so that it can do so wrongly.
fn program(scenario: &Scenario, folder: &str, kind: &str, name: &str, script: &str) {
    let path = scenario.path("work").join(folder);
    std::fs::create_dir_all(&path).unwrap();
    let manifest = format!(
        "name = \"{name}\"\nkind = \"{kind}\"\nversion = \"0.1.0\"\nprotocol = 1\ncommand = [\"python3\", \"plugin.py\"]\n"
    );
    std::fs::write(path.join("plugin.toml"), manifest).unwrap();
    let prelude = format!(
        r#"import json, os, signal, subprocess, sys, time

def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

OFFER = {{"role": "{kind}", "name": "{name}", "summary": "by hand", "capabilities": ["float"], "options": {{"type": "object"}}}}
HELLO = json.dumps({{"hello": {{"protocol": 1, "package": "by-hand", "version": "0.1.0", "components": [OFFER]}}}})

def requests():
    for line in sys.stdin:
        message = json.loads(line)
        if "hello" in message:
            say(HELLO)
        elif "create" in message or "tell" in message:
            say('{{"ok": {{}}}}')
        else:
            yield message
"#
    );
    std::fs::write(path.join("plugin.py"), format!("{prelude}\n{script}")).unwrap();
}

fn with_objective(trials: u64, run: &str) -> String {
    format!(
        r#"
study = {{ name = "by-hand", seed = 12 }}
metrics = {{ value = "minimise" }}
space = {{ x = {{ float = [0.0, 1.0] }} }}
objective = {{ plugin = "com.example.by-hand" }}
strategy = [{{ plugin = "sobol" }}]
budget = {{ trials = {trials} }}
run = {{ {run} }}
plugins = {{ path = ["objective"] }}
"#
    )
}

/// Runs a study with an objective by hand; each trial that completed has its own x as its value.
#[track_caller]
fn by_hand(trials: u64, run: &str, script: &str) -> (Scenario, StoredStudy, Ended) {
    let scenario = scenario();
    program(&scenario, "objective", "objective", "com.example.by-hand", script);
    let ended = scenario.run(&with_objective(trials, run)).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(trials);
    for trial in stored.study.trials() {
        if let Some(measurement) = trial.outcome.as_ref().unwrap().completed() {
            assert_eq!(
                measurement.value("value"),
                trial.point.get(0),
                "trial {} has another's value",
                trial.id
            );
        }
    }
    (scenario, stored, ended)
}

const ANSWER: &str = r#"say(json.dumps({"measurement": {"trial": message["evaluate"]["trial"], "metrics": {"value": message["evaluate"]["x"][0]}}}))"#;

#[test]
fn an_answer_too_many_is_not_taken_for_the_next_one() {
    let script = format!("for message in requests():\n    {ANSWER}\n    {ANSWER}\n");
    let (_, stored, _) = by_hand(6, "slots = 1", &script);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
}

#[test]
fn a_process_that_ends_after_its_answer_costs_nobody_a_trial() {
    let script = format!("for message in requests():\n    {ANSWER}\n    os._exit(0)\n");
    let (_, stored, _) = by_hand(6, "slots = 2", &script);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
}

#[test]
fn reports_without_an_ear_for_verdicts_end_at_the_time_limit() {
    let script = r#"for message in requests():
    for step in range(1, 200000):
        say('{"report": {"step": %d, "metrics": {"value": 0.5}}}' % step)
"#;
    let started = std::time::Instant::now();
    let scenario = scenario();
    program(&scenario, "objective", "objective", "com.example.by-hand", script);
    scenario.run(&with_objective(1, "trial_timeout = \"500ms\"")).expect(6);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(1);
    assert!(started.elapsed() < std::time::Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn what_a_plugin_started_ends_with_the_study() {
    let script = format!(
        r#"child = subprocess.Popen(["sleep", "7319"])
open("child", "w").write(str(child.pid))
for message in requests():
    {ANSWER}
"#
    );
    let (scenario, ..) = by_hand(2, "slots = 1", &script);
    let child = std::fs::read_to_string(scenario.path("work/objective/child")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    // one that ended and that nobody has reaped yet is gone as well
    assert!(stat.is_empty() || stat.contains(") Z "), "it is still there: {stat}");
    let logs = std::fs::read_dir(scenario.path("work/ansatz.db.d")).map(Iterator::count).unwrap_or(0);
    assert_eq!(logs, 0, "an empty log was left behind");
}

/// A strategy by hand beside random search; it breaks for good at its third ask.
#[track_caller]
fn breaks_by_hand(script: &str, part: &str) {
    let scenario = scenario();
    let script = format!(
        "asked = 0\nfor message in requests():\n    asked += 1\n    if asked <= 2:\n        say('{{\"suggestions\": [{{\"x\": [0.5, 0.25]}}]}}')\n        continue\n{script}"
    );
    program(&scenario, "strategy", "strategy", "com.example.by-hand", &script);
    let strategy = "{ plugin = \"com.example.by-hand\", call_timeout = \"1s\" }".to_owned();
    let more = "plugins = { path = [\"strategy\"], restarts = 0 }";
    let started = std::time::Instant::now();
    let ended = scenario.run(&manifest(&[strategy], 4, 1, more)).expect(0);
    assert!(ended.stderr.contains(part), "nothing about {part:?}\n{ended}");
    assert!(ended.stderr.lines().count() < 8, "{ended}");
    assert!(started.elapsed() < std::time::Duration::from_secs(40), "{:?}", started.elapsed());
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(4);
    assert_eq!(remedies(&stored, 0), [Remedy::Fallback]);
}

#[test]
fn answers_that_are_none_are_told_in_a_few_words() {
    breaks_by_hand("    say('this is no JSON')\n", "is no answer");
    breaks_by_hand("    say('{\"ok\": {}}')\n", "is no answer to ask");
    breaks_by_hand(
        "    sys.stdout.write('{\"suggestions\": ')\n    sys.stdout.flush()\n    os._exit(3)\n",
        "exit code 3",
    );
    breaks_by_hand(
        "    sys.stdout.buffer.write(bytes([255, 254, 10]))\n    sys.stdout.flush()\n",
        "is no answer",
    );
    breaks_by_hand("    say('{\"suggestions\": [{\"x\": [0.5]}]}')\n", "a point of 1 coordinates");
    breaks_by_hand("    say('{\"suggestions\": [{\"x\": [NaN, 0.5]}]}')\n", "not in the space");
    // a flood of logs is no answer either
    breaks_by_hand(
        "    while True: say('{\"log\": {\"level\": \"debug\", \"message\": \"on and on\"}}')\n",
        "did not answer within 1s",
    );
    // it leaves its group, and is killed all the same
    breaks_by_hand(
        "    os.setpgid(0, os.getpgid(os.getppid()))\n    time.sleep(600)\n",
        "did not answer within 1s",
    );
    // a terminal obeys nothing of what it says, and no line of it looks like ours
    breaks_by_hand(
        "    say(json.dumps({'fault': {'kind': 'other', 'message': 'one\\n\\x1b[2Jerror: two'}}))\n",
        "one\n  [2Jerror: two",
    );
}

#[test]
fn a_name_is_no_path() {
    let scenario = scenario();
    let kept = scenario.path("work/victim/kept");
    std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
    std::fs::write(&kept, "kept").unwrap();
    for name in ["../../victim", "", ".", "/tmp/absolute", "walk", "com.acme/walk"] {
        program(&scenario, "evil", "strategy", name, "");
        let ended = scenario.ansatz(&["plugins", "install", "evil", "--to", "a/b"]).expect(4);
        ended.expect_message(&["is no plugin name"]);
    }
    // a folder that is no plugin is not replaced
    program(&scenario, "evil", "strategy", "com.acme.walk", "for message in requests(): pass\n");
    std::fs::create_dir_all(scenario.path("work/to/com.acme.walk")).unwrap();
    scenario
        .ansatz(&["plugins", "install", "evil", "--to", "to"])
        .expect(4)
        .expect_message(&["no plugin; remove it"]);
    assert!(kept.is_file());
}

#[test]
fn a_file_that_anyone_may_write_to_is_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let scenario = scenario();
    program(&scenario, "open", "strategy", "com.acme.open", "for message in requests(): pass\n");
    let script = scenario.path("work/open/plugin.py");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o666)).unwrap();
    let ended = scenario.ansatz(&["plugins", "check", "open"]).expect(4);
    assert!(ended.stdout.contains("anyone may write to it"), "{ended}");
}
