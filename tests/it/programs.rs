//! Plugins that are programs: plain Python, C, an objective on scikit-learn and a bridge to Optuna, in studies of the
//! built host.

use crate::scenario;
use ansatz_tests::{Scenario, StoredStudy};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of `plugins/`.
fn plugins(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(relative).canonicalize().unwrap()
}

/// A study on Branin; `strategies` as in a manifest.
fn manifest(strategies: &str, trials: u64, slots: u64) -> String {
    format!(
        r#"
study = {{ name = "mixed", seed = 5 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin" }} }}
strategy = [{strategies}]
budget = {{ trials = {trials} }}
run = {{ slots = {slots} }}
"#
    )
}

#[track_caller]
fn expect_completed(scenario: &Scenario, count: u64) -> StoredStudy {
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(count);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
    let broken =
        stored.records().iter().any(|record| matches!(record, ansatz_core::study::Record::Broke { .. }));
    assert!(!broken, "a strategy broke: {:?}", stored.records());
    stored
}

/// The suite starts some hundred interpreters: it waits for the slow tests.
#[track_caller]
fn passes_the_suite(scenario: &Scenario, folder: &Path) {
    if !ansatz_tests::slow_tests_run() {
        return;
    }
    scenario.ansatz(&["plugins", "check", folder.to_str().unwrap()]).expect(0);
}

/// A folder with the packages of Python that the examples need, made once. `None` where they cannot be had.
fn python_packages() -> Option<PathBuf> {
    static MADE: std::sync::OnceLock<Option<PathBuf>> = std::sync::OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-packages");
        let python = folder.join("bin/python3");
        let has_all = |python: &Path| {
            let status = Command::new(python).args(["-c", "import optuna, sklearn"]).status();
            status.is_ok_and(|status| status.success())
        };
        if !has_all(&python) {
            let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).status();
            let install = ["-m", "pip", "install", "--quiet", "optuna>=4", "scikit-learn>=1.4"];
            let installed = Command::new(&python).args(install).status();
            let is_done =
                [made, installed].into_iter().all(|status| status.is_ok_and(|status| status.success()));
            if !is_done || !has_all(&python) {
                return None;
            }
        }
        Some(folder.join("bin"))
    })
    .clone()
}

/// The PATH with these packages first.
fn path_with(packages: &Path) -> String {
    format!("{}:{}", packages.display(), std::env::var("PATH").unwrap_or_default())
}

/// Whether tests that need packages from a registry run; says so where they do not.
fn packages_or_reason() -> Option<PathBuf> {
    if !ansatz_tests::slow_tests_run() {
        println!("skipped: set ANSATZ_SLOW_TESTS=1 to install optuna and scikit-learn and run this");
        return None;
    }
    let packages = python_packages();
    assert!(packages.is_some(), "optuna and scikit-learn could not be installed from the registry");
    packages
}

#[test]
fn a_strategy_in_python_and_one_in_c_are_checked_and_run_in_a_mixed_study() {
    let scenario = scenario();
    let c = scenario.path("work/coordinate");
    std::fs::create_dir(&c).unwrap();
    for file in ["coordinate.c", "plugin.toml"] {
        std::fs::copy(plugins("examples/coordinate-c").join(file), c.join(file)).unwrap();
    }
    let built =
        Command::new("cc").args(["-O2", "-o", "coordinate", "coordinate.c", "-lm"]).current_dir(&c).status();
    assert!(built.unwrap().success());
    passes_the_suite(&scenario, &c);
    // what is installed stands alone: the helper is a link where it comes from
    let hill_climb = plugins("examples/hill-climb-python");
    for source in [&c, &hill_climb] {
        let installed = scenario.ansatz(&["plugins", "install", source.to_str().unwrap()]).expect(0);
        assert!(installed.stdout.starts_with("installed strategy com.example."), "{installed}");
    }
    let installed = scenario.path("home/.local/share/ansatz/plugins/com.example.hill-climb");
    assert!(installed.join("ansatz_plugin.py").symlink_metadata().unwrap().is_file());
    passes_the_suite(&scenario, &installed);
    let strategies = r#"{ plugin = "bayesian" }, { plugin = "com.example.hill-climb", options = { step = 0.3 } },
        { plugin = "com.example.coordinate" }"#;
    scenario.run(&manifest(strategies, 45, 3)).expect(0);
    let stored = expect_completed(&scenario, 45);
    assert!((0..3).all(|member| stored.study.members()[member].trial_count == 15));
    // everything answers as recorded, in processes that never heard of the study
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=48"]).expect(0);
    assert_eq!(ended.stderr, "");
    expect_completed(&scenario, 48);
    // and options are judged as the host's own keys are
    let wrong = manifest(r#"{ plugin = "com.example.hill-climb", options = { stepp = 0.3 } }"#, 5, 1);
    scenario
        .run(&wrong.replace("mixed", "wrong"))
        .expect(3)
        .expect_message(&["stepp", "did you mean \"step\"?"]);
}

#[test]
fn the_tests_of_the_python_helper_pass() {
    let mut command = Command::new("python3");
    command.args(["-m", "unittest", "discover", "-s"]).arg(plugins("python/tests"));
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("Ran ") && !text.contains("Ran 0 tests"), "{text}");
}

#[test]
fn optunas_tpe_runs_in_a_mixed_study() {
    let Some(packages) = packages_or_reason() else { return };
    let scenario = scenario();
    scenario.write(
        "study.toml",
        &format!(
            "{}plugins = {{ path = [\"{}\"] }}\n",
            manifest(
                r#"{ plugin = "com.example.optuna", options = { sampler = "TPESampler" } },
                { plugin = "com.example.hill-climb" }, { plugin = "bayesian" }"#,
                60,
                2
            ),
            plugins("examples").display()
        ),
    );
    let mut command = scenario.command(&["run", "study.toml", "--quiet"]);
    command.env("PATH", path_with(&packages));
    ansatz_tests::scenario::finish(ansatz_tests::Running::start(&mut command)).expect(0);
    let stored = expect_completed(&scenario, 60);
    let best = stored.study.incumbent().first().and_then(|id| stored.study.trial(id)).unwrap();
    assert!(best.outcome.as_ref().unwrap().completed().unwrap().value("value").unwrap() < 1.0);
    assert_eq!(stored.study.members()[0].trial_count, 20);
}

#[test]
fn an_objective_on_scikit_learn_stays_alive_over_its_trials() {
    let Some(packages) = packages_or_reason() else { return };
    let scenario = scenario();
    let folder = plugins("examples/sklearn-python");
    let study = std::fs::read_to_string(folder.join("study.toml")).unwrap();
    let path = scenario
        .write("study.toml", &study.replace("path = [\".\"]", &format!("path = [\"{}\"]", folder.display())));
    let mut command = scenario.command(&["run"]);
    command.arg(path).args(["--quiet", "--set", "budget.trials=10", "--set", "run.slots=2"]);
    command.args(["--set", "journal.path=ansatz.db"]).env("PATH", path_with(&packages));
    ansatz_tests::scenario::finish(ansatz_tests::Running::start(&mut command)).expect(0);
    expect_completed(&scenario, 10);
}
