//! What a user gets wrong: one clear message at the right place, the documented exit code, and where a
//! study has begun, a failed trial with its reason in a sound journal. Never a panic.

use crate::scenario;
use ansatz_tests::{Ended, Scenario, StoredStudy};

/// A study that works, to be broken.
const GOOD: &str = r#"
[study]
seed = 1

[metrics]
value = "minimise"

[space]
x1 = { float = [-5.0, 10.0] }
x2 = { float = [0.0, 15.0] }

[objective]
plugin = "synthetic"
options = { function = "branin" }

[[strategy]]
plugin = "random"

[budget]
trials = 3
"#;

/// GOOD with something else in the place of `from`, and where that is: `study.toml:line:column`.
#[track_caller]
fn broken(from: &str, to: &str, marked: &str) -> (String, String) {
    assert!(GOOD.contains(from), "{from:?} is not in the good manifest");
    let text = GOOD.replacen(from, to, 1);
    let at = text.find(marked).unwrap_or_else(|| panic!("{marked:?} is not in it"));
    let line = text[..at].matches('\n').count() + 1;
    let column = at - text[..at].rfind('\n').map_or(0, |newline| newline + 1) + 1;
    (text, format!("study.toml:{line}:{column}"))
}

/// Runs a manifest that must be refused before anything happens.
#[track_caller]
fn refused(scenario: &Scenario, manifest: &str, code: i32) -> Ended {
    let checked = {
        scenario.write("study.toml", manifest);
        scenario.ansatz(&["check", "study.toml"]).expect(code)
    };
    let ended = scenario.run(manifest).expect(code);
    assert_eq!(ended.stderr, checked.stderr, "check and run say the same");
    assert_eq!(ended.stdout, "");
    assert!(!scenario.journal().exists(), "a study has begun: {ended}");
    ended
}

#[track_caller]
fn refused_at(from: &str, to: &str, marked: &str, code: i32, parts: &[&str]) {
    let (manifest, place) = broken(from, to, marked);
    let ended = refused(&scenario(), &manifest, code);
    ended.expect_message(parts);
    ended.expect_message(&[&place]);
}

#[test]
fn the_good_manifest_is_good() {
    let scenario = scenario();
    scenario.run(GOOD).expect(0);
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(3);
    // and its study is there: a second one of this name is not begun
    let again = scenario.run(GOOD).expect(2);
    again.expect_message(&["ansatz resume study", "--set study.name"]);
}

#[test]
fn an_unknown_key_or_section() {
    refused_at(
        "trials = 3",
        "trails = 3",
        "trails",
        3,
        &["budget has no key \"trails\"", "did you mean \"trials\""],
    );
    let sections = "[budgets]\ntrials = 4\n[budget]";
    refused_at("[budget]", sections, "budgets", 3, &["no section \"budgets\"", "did you mean \"budget\""]);
    let options = "delay = 1, function = \"branin\"";
    refused_at("function = \"branin\"", options, "delay", 3, &["no key \"delay\"", "delay_ms"]);
}

#[test]
fn a_value_of_the_wrong_type() {
    refused_at(
        "trials = 3",
        "trials = \"3\"",
        "\"3\"",
        3,
        &["budget.trials", "whole number", "without quotes"],
    );
    refused_at("seed = 1", "seed = 1.5", "1.5", 3, &["study.seed", "whole number"]);
    refused_at(
        "function = \"branin\"",
        "function = 3",
        "3 }",
        3,
        &["objective.options.function", "must be a text"],
    );
}

#[test]
fn a_missing_section_no_toml_and_no_file() {
    let scenario = scenario();
    let ended = refused(&scenario, &GOOD.replace("[budget]\ntrials = 3", ""), 3);
    ended.expect_message(&["no limit", "trials = 50", "study.toml"]);
    let (manifest, place) = broken("seed = 1", "seed = \"1", "\"1");
    let line = place.rsplit_once(':').unwrap().0;
    refused(&scenario, &manifest, 3).expect_message(&["invalid TOML", line]);
    let ended = scenario.ansatz(&["run", "nothing.toml"]).expect(3);
    ended.expect_message(&["nothing.toml", "cannot be read"]);
}

#[test]
fn every_mistake_is_said_at_once() {
    let manifest = GOOD.replace("trials = 3", "trails = 3").replace("[-5.0, 10.0]", "[10.0, -5.0]");
    let ended = refused(&scenario(), &manifest.replace("seed = 1", "seed = -1"), 3);
    for part in ["trails", "the range is empty", "study.seed"] {
        assert!(ended.stderr.contains(part), "nothing about {part:?}\n{ended}");
    }
}

#[test]
fn a_log_scale_from_zero() {
    let to = "float = [0.0, 10.0], scale = \"log\"";
    refused_at("float = [-5.0, 10.0]", to, "0.0, 10.0", 3, &["parameter x1", "above 0, found 0", "1e-6"]);
}

#[test]
fn an_empty_range() {
    let to = "float = [10.0, -5.0]";
    refused_at("float = [-5.0, 10.0]", to, "[10.0", 3, &["parameter x1", "10 is above -5", "swap"]);
    let to = "float = [2.0, 2.0]";
    let (manifest, _) = broken("float = [-5.0, 10.0]", to, "[2.0");
    // a single value is no range to search, or it is: but it is not a crash
    let scenario = scenario();
    let ended = scenario.run(&manifest);
    assert!([Some(0), Some(3)].contains(&ended.code()), "{ended}");
}

/// Allowed, and hardly meant.
#[test]
fn a_range_whose_steps_pass_over_its_end_is_warned_of() {
    let scenario = scenario();
    let ranges = "x1 = { int = [1, 10], step = 4 }\nx2 = { float = [0.0, 15.0], step = 4.0 }\n\
                  x3 = { float = [0.0, 0.3], step = 0.1 }\nx4 = { int = [1, 9], step = 4 }\nx5 = { int = [1, 9] }";
    scenario.write(
        "steps.toml",
        &format!(
            "metrics = {{ value = \"minimise\" }}\nbudget = {{ trials = 2 }}\nstrategy = [{{ plugin = \"random\" }}]\n\
             objective = {{ plugin = \"synthetic\", options = {{ function = \"griewank\" }} }}\n[space]\n{ranges}\n"
        ),
    );
    for command in ["check", "run"] {
        let ended = scenario.ansatz(&[command, "steps.toml"]).expect(0);
        let warnings: Vec<&str> =
            ended.stderr.lines().filter(|line| line.contains("is never tried")).collect();
        let expected = [
            "parameter x1: by steps of 4 from 1 the last value is 9; 10 is never tried",
            "parameter x2: by steps of 4 from 0 the last value is 12; 15 is never tried",
        ];
        assert_eq!(warnings.len(), 2, "{ended}");
        assert!(warnings.iter().zip(expected).all(|(warning, text)| warning.ends_with(text)), "{ended}");
    }
}

#[test]
fn conditions_that_go_in_a_circle() {
    let space = "x1 = { float = [-5.0, 10.0] }\nx2 = { float = [0.0, 15.0] }";
    let circle = "x1 = { float = [-5.0, 10.0], when = { x2 = { min = 1.0 } } }\n\
                  x2 = { float = [0.0, 15.0], when = { x1 = { min = 2.0 } } }";
    refused_at(space, circle, "{ min = 1.0", 3, &["go in a circle: x1 -> x2 -> x1"]);
    let to = "x2 = { float = [0.0, 15.0], when = { x3 = true } }";
    refused_at("x2 = { float = [0.0, 15.0] }", to, "x3", 3, &["no parameter \"x3\"", "did you mean \"x"]);
}

#[test]
fn a_plugin_that_is_not_there() {
    refused_at(
        "\"random\"",
        "\"randon\"",
        "\"randon\"",
        4,
        &["\"randon\"", "did you mean \"random\"", "searched"],
    );
    refused_at(
        "\"synthetic\"",
        "\"syntetic\"",
        "\"syntetic\"",
        4,
        &["objective", "did you mean \"synthetic\""],
    );
    refused_at("\"synthetic\"", "\"random\"", "\"random\"", 4, &["no objective plugin is called \"random\""]);
    refused_at(
        "\"random\"",
        "\"com.acme.cma\"",
        "\"com.acme.cma\"",
        4,
        &["no strategy plugin", "there are annealing"],
    );
}

#[test]
fn libraries_that_are_no_plugins_or_not_for_this_host_are_named_with_the_reason() {
    let scenario = scenario().with("ansatz-fault-not-a-plugin").with("ansatz-fault-old-abi");
    let (manifest, place) = broken("\"random\"", "\"com.acme.cma\"", "\"com.acme.cma\"");
    refused(&scenario, &manifest, 4).expect_message(&[
        &place,
        "not an Ansatz plugin",
        "libansatz_fault_old_abi",
        "built for plugin ABI 2",
    ]);
    // they do not get in the way of others
    scenario.run(GOOD).expect(0);
    let listed = scenario.ansatz(&["plugins", "list", "--json"]).expect(0).json();
    assert_eq!(listed["passed_over"].as_array().unwrap().len(), 2, "{listed}");
}

#[test]
fn a_plugin_whose_types_differ_is_refused_by_name() {
    let scenario = scenario().with("ansatz-fault-other-layout");
    let listed = scenario.ansatz(&["plugins", "list"]).expect(0);
    assert!(listed.stdout.contains("its types differ from those of this host"), "{listed}");
    assert!(listed.stdout.contains("annealing"), "{listed}");
    scenario.run(GOOD).expect(0);
}

#[test]
fn a_study_that_the_objective_cannot_serve() {
    refused_at("\"branin\"", "\"brannin\"", "options", 3, &["did you mean \"branin\"", "hartmann6"]);
    refused_at(
        "\nx2 =",
        "\nx3 = { float = [0.0, 1.0] }\nx2 =",
        "options",
        3,
        &["branin takes exactly 2", "has 3"],
    );
    refused_at("value =", "valeu =", "options", 3, &["no metric \"valeu\"", "did you mean \"value\""]);
}

#[test]
fn a_command_line_that_makes_no_sense() {
    let scenario = scenario();
    scenario.write("study.toml", GOOD);
    scenario.ansatz(&["runn", "study.toml"]).expect(2);
    scenario.ansatz(&["run"]).expect(2);
    let ended = scenario.ansatz(&["run", "study.toml", "--set", "budget.trials"]).expect(3);
    ended.expect_message(&["command line", "equals sign"]);
    let ended = scenario.ansatz(&["run", "study.toml", "--set", "budget.trails=5"]).expect(3);
    ended.expect_message(&["command line:1:", "did you mean \"trials\""]);
    scenario.ansatz(&["resume"]).expect(7).expect_message(&["no journal", "ansatz.db"]);
    scenario.run(GOOD).expect(0);
    scenario.ansatz(&["resume", "studdy"]).expect(7).expect_message(&["did you mean \"study\""]);
    let ended = scenario.ansatz(&["resume", "--set", "study.seed=2"]).expect(2);
    ended.expect_message(&["the seed differ", "another name"]);
    follow(&scenario, &ended, "another name: ", " (a [[transfer]]").expect(0);
    let ended = scenario.ansatz(&["resume", "study", "--set", "study.name=study-3"]).expect(2);
    ended.expect_message(&["keeps its name"]);
    follow(&scenario, &ended, "another one: ", "\n").expect(0);
    let seed = |name: &str| StoredStudy::read(&scenario.journal(), Some(name)).study.rules().seed;
    assert_eq!(["study", "study-2", "study-3"].map(seed), [1, 2, 1]);
}

/// Runs the command that a message gives between two of its parts.
#[track_caller]
fn follow(scenario: &Scenario, ended: &Ended, before: &str, after: &str) -> Ended {
    let (_, rest) = ended.stderr.split_once(before).unwrap_or_else(|| panic!("no {before:?}: {ended}"));
    let (command, _) = rest.split_once(after).unwrap_or_else(|| panic!("no {after:?}: {ended}"));
    // also where blanks are within quotes
    let script = format!("printf '%s\\n' {command}");
    let words = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    let words: Vec<&str> = words.lines().collect();
    assert_eq!(words[..2], ["ansatz", "run"], "{command}");
    scenario.ansatz(&words[1..])
}

#[test]
fn a_study_that_its_manifest_does_not_fit_any_more_says_what_differs() {
    let scenario = scenario();
    scenario.run(GOOD).expect(0);
    let resume = || scenario.ansatz(&["resume", "study"]).expect(0);
    let is_silent = |ended: &Ended| !ended.stderr.contains("has changed since");
    assert!(is_silent(&resume()));
    scenario.write("study.toml", &format!("# a comment\n\n{GOOD}"));
    assert!(is_silent(&resume()));
    let changes: [(&str, &str, &str); 4] = [
        ("15.0]", "14.0]", "parameter x2 has changed"),
        ("x2 =", "y =", "parameter x2 is gone, parameter y is new"),
        ("x2 =", "z = { float = [0.0, 1.0] }\nx2 =", "parameter z is new"),
        ("\"minimise\"", "\"maximise\"", "the metrics differ"),
    ];
    for (from, to, what) in changes {
        assert!(GOOD.contains(from), "{from}");
        scenario.write("study.toml", &GOOD.replace(from, to));
        let ended = scenario.ansatz(&["run", "study.toml", "--resume"]).expect(2);
        ended.expect_message(&["study study is in the journal already", "only budget, run, journal", what]);
        // it goes on as it was, and says so
        let ended = resume();
        assert!(!is_silent(&ended) && ended.stderr.contains(what), "{ended}");
    }
    scenario.write("study.toml", &GOOD.replace("trials = 3", "trials = 5"));
    let trials = || StoredStudy::read(&scenario.journal(), Some("study")).study.trials().len();
    let ended = resume();
    assert_eq!(trials(), 3);
    follow(&scenario, &ended, "to go on as it says now: ", "\n").expect(0);
    assert_eq!(trials(), 5);
    assert!(is_silent(&resume()));
}

#[test]
fn a_journal_that_is_none() {
    let scenario = scenario();
    scenario.write("ansatz.db", "these are my notes, and no database\n");
    scenario.run(GOOD).expect(5).expect_message(&["ansatz.db"]);
    let notes = std::fs::read_to_string(scenario.journal()).unwrap();
    assert_eq!(notes, "these are my notes, and no database\n", "somebody's file was written to");
}

/// A study of two trials whose objective is this line of shell; both must fail, and the reasons say this.
#[cfg(unix)]
#[track_caller]
fn program_fails(line: &str, parts: &[&str]) {
    let objective = format!("plugin = \"command\"\noptions = {{ shell = '{line}', grace_seconds = 0 }}");
    let manifest = GOOD
        .replace("plugin = \"synthetic\"\noptions = { function = \"branin\" }", &objective)
        .replace("trials = 3", "trials = 2\n[run]\ntrial_timeout = \"1s\"\nslots = 2");
    let scenario = scenario();
    let ended = scenario.run(&manifest).expect(6);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(2);
    for (kind, reason) in stored.outcomes() {
        assert_eq!(kind, "failed", "{ended}");
        for part in parts {
            assert!(reason.contains(part), "nothing about {part:?} in the reason: {reason}");
        }
        assert!(reason.lines().count() < 15, "{reason}");
    }
    scenario.ansatz(&["best"]).expect(6);
}

#[cfg(unix)]
#[test]
fn programs_that_do_not_measure_fail_their_trials_with_the_reason() {
    program_fails("echo hello", &["value"]);
    program_fails("echo \"{\\\"value\\\": oops\"", &["value"]);
    program_fails("echo out of cheese >&2; exit 3", &["3", "out of cheese"]);
    program_fails("kill -KILL $$", &["SIGKILL"]);
    program_fails("echo \"{\\\"value\\\": NaN}\"", &["value", "NaN"]);
    program_fails("echo \"{\\\"valeu\\\": 1}\"", &["value", "valeu"]);
    program_fails("exec tail -f /dev/null", &["1s"]);
}

/// The end of a short export is written when the program ends: that it could not be is no success either.
#[cfg(target_os = "linux")]
#[test]
fn an_export_that_cannot_be_written_to_its_end_is_no_success() {
    let scenario = scenario();
    let study = "study = { name = \"short\" }\nmetrics = { value = \"minimise\" }\nspace = { x1 = { float = [0.0, 1.0] } }\n\
                 objective = { plugin = \"synthetic\", options = { function = \"griewank\" } }\n\
                 strategy = [{ plugin = \"random\" }]\nbudget = { trials = 3 }\n";
    scenario.run(study).expect(0);
    for format in ["csv", "json"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut export = scenario.command(&["export", "--format", format]);
        let status = export.stdout(full).stderr(std::process::Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{format}");
    }
}
