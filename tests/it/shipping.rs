//! A plugin on its way to a study: written by `plugins new`, built, checked, installed, pinned and used, by a host that
//! was built before; and what happens when the file is another one than was pinned.

use crate::{SCRATCH, scenario};
use ansatz_tests::libraries::{file_name, library};
use ansatz_tests::scenario::finish;
use ansatz_tests::stranger::repository;
use ansatz_tests::{Ended, Running, Scenario, StoredStudy};
use std::path::Path;
use std::process::Command;

const MANIFEST: &str = r#"
study = { name = "shipped", seed = 3 }
metrics = { value = "minimise" }
space = { x1 = { float = [-5.0, 10.0] }, x2 = { float = [0.0, 15.0] } }
objective = { plugin = "synthetic", options = { function = "branin" } }
strategy = [{ plugin = "com.acme.walk" }, { plugin = "bayesian" }]
budget = { trials = 30 }
run = { slots = 2 }
"#;

/// So that cargo fetches nothing, and builds what plugins have in common once.
fn offline(command: &mut Command) -> &mut Command {
    command
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TARGET_DIR", Path::new(SCRATCH).join("shipped"))
        .env("CARGO_INCREMENTAL", "0")
}

/// What `plugins new` can write, with a name for each.
const KINDS: [(&str, &str); 3] =
    [("strategy", "com.acme.walk"), ("objective", "com.acme.bowl"), ("early-stopping", "com.acme.margin")];

fn ansatz(scenario: &Scenario, arguments: &[&str]) -> Ended {
    let mut command = scenario.command(arguments);
    let output = offline(&mut command).output().unwrap();
    Ended {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn from_plugins_new_to_a_mixed_study() {
    if !ansatz_tests::slow_tests_run() {
        println!("skipped: set ANSATZ_SLOW_TESTS=1 to build a crate and run this");
        return;
    }
    let scenario = scenario();
    let before = std::fs::read(scenario.binary()).unwrap();
    let core = repository().join("core");
    for (kind, name) in KINDS {
        let folder = name.rsplit('.').next().unwrap();
        let arguments = ["plugins", "new", name, "--kind", kind, "--core", core.to_str().unwrap()];
        scenario.ansatz(&arguments).expect(0);
        // a second time nothing is overwritten
        scenario.ansatz(&arguments).expect(2).expect_message(&["not overwritten"]);
        let crate_folder = scenario.path("work").join(folder);
        std::fs::copy(repository().join("Cargo.lock"), crate_folder.join("Cargo.lock")).unwrap();
        // its own test runs the conformance suite on what cargo built
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["test", "--release", "--quiet"])
            .current_dir(&crate_folder)
            .env("ANSATZ", scenario.binary());
        let output = offline(&mut cargo).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("1 passed"), "{said}");
        let installed = ansatz(&scenario, &["plugins", "install", folder]).expect(0);
        assert!(installed.stdout.starts_with(&format!("installed {kind} {name} 0.1.0 as ")), "{installed}");
        let again = ansatz(&scenario, &["plugins", "install", folder]).expect(0);
        assert!(again.stdout.starts_with("updated "), "{again}");
    }
    let installed = scenario.path("home/.local/share/ansatz/plugins").join(file_name("acme-walk"));
    ansatz(&scenario, &["plugins", "check", installed.to_str().unwrap(), "--isolated"]).expect(0);

    scenario.write("study.toml", MANIFEST);
    scenario.ansatz(&["run", "study.toml", "--locked"]).expect(4).expect_message(&["no ansatz.lock"]);
    scenario.ansatz(&["plugins", "lock", "study.toml"]).expect(0);
    assert_eq!(scenario.ansatz(&["run", "study.toml", "--locked", "--quiet"]).expect(0).stderr, "");
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(30);
    assert!(stored.study.members().iter().all(|member| member.trial_count == 15));

    // another build is warned of, and refused where that is asked for
    let mut bytes = std::fs::read(&installed).unwrap();
    bytes.push(0);
    std::fs::write(&installed, bytes).unwrap();
    let changed = ["another build of version 0.1.0 than ansatz.lock says", "com.acme.walk"];
    let ended = scenario.ansatz(&["resume", "--locked"]).expect(4);
    ended.expect_message(&changed);
    let ended = scenario.ansatz(&["resume", "--quiet"]).expect(0);
    assert!(changed.iter().all(|part| ended.stderr.contains(part)), "{ended}");
    // the host is what it was
    assert_eq!(std::fs::read(scenario.binary()).unwrap(), before);
}

#[test]
fn what_python_plugins_new_writes_is_checked_installed_and_used() {
    let scenario = scenario();
    for (kind, name) in KINDS {
        let arguments = ["plugins", "new", name, "--kind", kind, "--language", "python"];
        scenario.ansatz(&arguments).expect(0);
        let folder = name.rsplit('.').next().unwrap();
        // it starts some hundred interpreters
        if ansatz_tests::slow_tests_run() {
            scenario.ansatz(&["plugins", "check", folder]).expect(0);
        }
        scenario.ansatz(&["plugins", "install", folder]).expect(0);
    }
    let manifest = MANIFEST.replace("options = { function = \"branin\" }", "");
    let manifest = manifest.replace("\"synthetic\", ", "\"com.acme.bowl\"").replace("value =", "loss =");
    let rule = "early_stopping = { plugin = \"com.acme.margin\", options = { margin = 0.0 } }";
    scenario.run(&format!("{rule}\n{manifest}")).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(30);
    assert!(stored.study.trials().iter().any(|trial| trial.early_stop.is_some()), "{:?}", stored.outcomes());
}

#[test]
fn what_is_no_plugin_is_not_installed() {
    let scenario = scenario();
    let real = std::fs::read(library("ansatz-fault-misbehaving")).unwrap();
    let mut cut = real.clone();
    cut.truncate(real.len() / 2);
    let mut foreign = real.clone();
    foreign[18] = if real[18] == 183 { 62 } else { 183 }; // the machine of the ELF header
    let other = |package| std::fs::read(library(package)).unwrap();
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("cut", cut, &["the file ends after"]),
        ("foreign", foreign, &["aarch64"]),
        ("no-symbol", other("ansatz-fault-not-a-plugin"), &["not an Ansatz plugin"]),
        ("other-major", other("ansatz-fault-old-abi"), &["built for plugin ABI 2"]),
        ("other-layout", other("ansatz-fault-other-layout"), &["version"]),
        ("empty", Vec::new(), &["the file is empty"]),
    ];
    for (name, bytes, parts) in cases {
        let path = scenario.path("work").join(file_name(name));
        std::fs::write(&path, bytes).unwrap();
        let ended = scenario.ansatz(&["plugins", "install", path.to_str().unwrap()]).expect(4);
        ended.expect_message(parts);
    }
    assert!(!scenario.path("home/.local/share/ansatz/plugins").exists(), "something was installed");
    scenario
        .ansatz(&["plugins", "install", "nowhere"])
        .expect(4)
        .expect_message(&["nowhere", "no such file"]);
    scenario
        .ansatz(&["plugins", "install", "."])
        .expect(4)
        .expect_message(&["neither a crate", "nor a program"]);
}

/// A copy lacks what begins with a dot, such as a virtual environment.
#[cfg(unix)]
#[test]
fn a_program_whose_copy_does_not_start_leaves_the_installed_one_alone() {
    let scenario = scenario();
    scenario
        .ansatz(&["plugins", "new", "com.acme.bowl", "--kind", "objective", "--language", "python"])
        .expect(0);
    scenario.ansatz(&["plugins", "install", "bowl"]).expect(0);
    let installed = scenario.path("home/.local/share/ansatz/plugins");
    let names = || {
        let entries = std::fs::read_dir(&installed).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let before = (names(), std::fs::read(installed.join("com.acme.bowl/plugin.toml")).unwrap());
    let folder = scenario.path("work/bowl");
    let python = String::from_utf8(
        std::process::Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .unwrap()
            .stdout,
    )
    .unwrap();
    std::fs::create_dir_all(folder.join(".venv/bin")).unwrap();
    std::os::unix::fs::symlink(python.trim(), folder.join(".venv/bin/python")).unwrap();
    let described = std::fs::read_to_string(folder.join("plugin.toml")).unwrap();
    assert!(described.contains("\"python3\""), "{described}");
    std::fs::write(folder.join("plugin.toml"), described.replace("\"python3\"", "\".venv/bin/python\""))
        .unwrap();
    scenario.ansatz(&["plugins", "inspect", "bowl"]).expect(0);
    let ended = scenario.ansatz(&["plugins", "install", "bowl"]).expect(4);
    ended.expect_message(&["works where it is", "nothing was installed or replaced", ".venv"]);
    assert_eq!((names(), std::fs::read(installed.join("com.acme.bowl/plugin.toml")).unwrap()), before);
    // what an installation that was cut off left behind is no second build
    let left = installed.join(".com.acme.bowl.new-1");
    std::fs::create_dir(&left).unwrap();
    for file in std::fs::read_dir(installed.join("com.acme.bowl")).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), left.join(file.file_name())).unwrap();
    }
    let toml = std::fs::read_to_string(left.join("plugin.toml")).unwrap();
    std::fs::write(left.join("plugin.toml"), format!("# another build\n{toml}")).unwrap();
    scenario.ansatz(&["plugins", "inspect", "com.acme.bowl"]).expect(0);
    std::fs::write(folder.join("plugin.toml"), described).unwrap();
    scenario.ansatz(&["plugins", "install", "bowl"]).expect(0);
}

#[test]
fn what_is_no_plugin_yet_or_has_another_name_is_said_so() {
    let scenario = scenario().with("ansatz-fault-misbehaving");
    let core = repository().join("core");
    scenario.ansatz(&["plugins", "new", "com.acme.walk", "--core", core.to_str().unwrap()]).expect(0);
    let checked = scenario.ansatz(&["plugins", "check", "walk"]).expect(4);
    assert!(checked.stdout.contains("build it and name the library"), "{checked}");
    scenario.ansatz(&["plugins", "inspect", "walk/src"]).expect(4).expect_message(&["plugin.toml"]);
    // what was seen before is known by name
    scenario.ansatz(&["plugins", "list"]).expect(0);
    let misspelt = ["plugins", "inspect", "com.example.misbehaving-strategi"];
    scenario
        .ansatz(&misspelt)
        .expect(4)
        .expect_message(&["did you mean \"com.example.misbehaving-strategy\""]);
}

#[test]
fn two_plugins_of_one_name_are_not_installed_beside_each_other() {
    let scenario = scenario();
    let real = library("ansatz-fault-misbehaving");
    scenario.ansatz(&["plugins", "install", real.to_str().unwrap()]).expect(0);
    // the same component from a package of another name
    let mut bytes = std::fs::read(&real).unwrap();
    let (from, to) = (b"ansatz-fault-misbehaving", b"ansatz-fault-misbehavinG");
    let places: Vec<usize> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    let twin = scenario.path("work").join(file_name("twin"));
    std::fs::write(&twin, bytes).unwrap();
    let ended = scenario.ansatz(&["plugins", "install", twin.to_str().unwrap()]).expect(4);
    ended.expect_message(&["com.example.misbehaving-", "already"]);
}

/// A colleague has another build installed: a study that says which one it means runs all the same.
#[test]
fn of_two_builds_the_one_that_the_lock_pins_is_taken() {
    let scenario = scenario();
    let real = library("ansatz-fault-predicting");
    let own = scenario.path("work/plugins");
    std::fs::create_dir(&own).unwrap();
    let own = own.join(file_name("ansatz-fault-predicting"));
    std::fs::copy(&real, &own).unwrap();
    let manifest = MANIFEST.replace("com.acme.walk", "com.example.predicting");
    assert_ne!(manifest, MANIFEST);
    scenario.write("study.toml", &format!("plugins = {{ path = [\"plugins\"] }}\n{manifest}"));
    scenario.ansatz(&["plugins", "lock", "study.toml"]).expect(0);

    let mut bytes = std::fs::read(&real).unwrap();
    bytes.push(0);
    let other = scenario.path("work").join(file_name("other"));
    std::fs::write(&other, bytes).unwrap();
    scenario.ansatz(&["plugins", "install", other.to_str().unwrap()]).expect(0);
    let run = ["run", "study.toml", "--locked", "--quiet"];
    let ended = scenario.ansatz(&run).expect(0);
    let notice = ["several builds of the strategy com.example.predicting", "which is taken"];
    assert!(notice.iter().all(|part| ended.stderr.contains(part)), "{ended}");
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(30);
    // who is about to pin one says which, and so does who has no lock
    scenario.ansatz(&["plugins", "lock", "study.toml"]).expect(4).expect_message(&["remove all but one"]);
    std::fs::remove_file(scenario.path("work/ansatz.lock")).unwrap();
    scenario.ansatz(&["check", "study.toml"]).expect(4).expect_message(&["several libraries", "ansatz.lock"]);
    // a lock that means neither helps nobody
    std::fs::remove_file(&own).unwrap();
    scenario.ansatz(&["plugins", "lock", "study.toml"]).expect(0);
    let mut bytes = std::fs::read(&real).unwrap();
    bytes.extend([0; 2]);
    std::fs::write(&own, bytes).unwrap();
    let installed =
        scenario.path("home/.local/share/ansatz/plugins").join(file_name("ansatz-fault-predicting"));
    std::fs::copy(&real, installed).unwrap();
    scenario.ansatz(&["check", "study.toml"]).expect(4).expect_message(&["several libraries"]);
}

/// Somebody installs another build while a study rests: it goes on with what it has run with, for whatever command.
#[test]
fn of_two_builds_a_resumed_study_takes_the_one_that_it_has_run_with() {
    let scenario = scenario();
    let real = library("ansatz-fault-predicting");
    let own = scenario.path("work/plugins");
    std::fs::create_dir(&own).unwrap();
    let own = own.join(file_name("ansatz-fault-predicting"));
    std::fs::copy(&real, &own).unwrap();
    let manifest = MANIFEST.replace("com.acme.walk", "com.example.predicting");
    scenario.write("study.toml", &format!("plugins = {{ path = [\"plugins\"] }}\n{manifest}"));
    scenario.ansatz(&["run", "study.toml", "--quiet"]).expect(0);

    let mut bytes = std::fs::read(&real).unwrap();
    bytes.push(0);
    let other = scenario.path("work").join(file_name("other"));
    std::fs::write(&other, bytes).unwrap();
    scenario.ansatz(&["plugins", "install", other.to_str().unwrap()]).expect(0);
    let notice = ["the study's last session had", own.to_str().unwrap(), "which is taken"];
    let more = ["resume", "--quiet", "--set", "budget.trials=40"];
    for arguments in [&more[..], &["replay"], &["recommend"]] {
        let ended = scenario.ansatz(arguments).expect(0);
        assert!(notice.iter().all(|part| ended.stderr.contains(part)), "{arguments:?}: {ended}");
        assert!(!ended.stderr.contains("another build"), "{arguments:?}: {ended}");
    }
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(40);
    // a new study has run with neither
    let again = ["run", "study.toml", "--set", "study.name=second"];
    scenario.ansatz(&again).expect(4).expect_message(&["several libraries"]);
    // a lock counts more than what the study ran with
    std::fs::remove_file(&own).unwrap();
    scenario.ansatz(&["plugins", "lock", "study.toml"]).expect(0);
    std::fs::copy(&real, &own).unwrap();
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=42"]).expect(0);
    assert!(
        ["ansatz.lock pins", "another build than in the last session"]
            .iter()
            .all(|part| ended.stderr.contains(part)),
        "{ended}"
    );
    // now it has run with the other one
    std::fs::remove_file(scenario.path("work/ansatz.lock")).unwrap();
    let ended = scenario.ansatz(&["resume", "--quiet", "--set", "budget.trials=43"]).expect(0);
    assert!(
        ended.stderr.contains("the study's last session had") && !ended.stderr.contains("another build"),
        "{ended}"
    );
}

#[test]
fn what_was_installed_can_be_taken_away_and_nothing_else() {
    let scenario = scenario().with("ansatz-fault-predicting");
    let real = library("ansatz-fault-misbehaving");
    scenario.ansatz(&["plugins", "install", real.to_str().unwrap()]).expect(0);
    let (strategy, objective) = ("com.example.misbehaving-strategy", "com.example.misbehaving-objective");
    let uninstall = |name: &str| scenario.ansatz(&["plugins", "uninstall", name]);
    // what came with the host, or lies elsewhere, stays
    uninstall("random").expect(7).expect_message(&["random is not in", "--from"]);
    uninstall("com.example.predicting").expect(7).expect_message(&["is not in", "--from"]);
    uninstall("com.example.nothing").expect(7).expect_message(&["has no plugin com.example.nothing"]);
    let removed = uninstall(strategy).expect(0).stdout;
    assert!(removed.contains(strategy) && removed.contains(objective), "all that it offered: {removed}");
    let listed = scenario.ansatz(&["plugins", "list"]).expect(0).stdout;
    assert!(!listed.contains("misbehaving") && listed.contains("random"), "{listed}");
    uninstall(strategy).expect(7);
    // what was built here by hand is its author's: only what install can have written goes
    let source = scenario.path("work/cake");
    let new = ["plugins", "new", "com.example.cake", "--language", "python"];
    scenario.ansatz(&new).expect(0);
    std::fs::create_dir(source.join(".git")).unwrap();
    let by_hand = ["plugins", "uninstall", "com.example.cake", "--from", "."];
    scenario.ansatz(&by_hand).expect(4).expect_message(&[".git", "by hand"]);
    scenario.ansatz(&["plugins", "install", "cake"]).expect(0);
    let installed = scenario.path("home/.local/share/ansatz/plugins/com.example.cake");
    assert!(installed.is_dir());
    uninstall("com.example.cake").expect(0);
    assert!(!installed.exists() && source.join("plugin.toml").exists());
    let from = scenario.strangers();
    let predicting = ["plugins", "uninstall", "com.example.predicting", "--from", from.to_str().unwrap()];
    scenario.ansatz(&predicting).expect(0);
    assert_eq!(std::fs::read_dir(&from).unwrap().count(), 0);
}

#[test]
fn what_is_known_of_plugins_is_kept_and_a_look_runs_nothing_in_the_host() {
    let scenario = scenario().with("ansatz-fault-misbehaving");
    let list = || scenario.ansatz(&["plugins", "list"]).expect(0).stdout;
    let first = list();
    assert!(first.contains("com.example.misbehaving-strategy"), "{first}");
    let cache = scenario.path("home/.cache/ansatz/plugins.json");
    assert!(std::fs::read_to_string(&cache).unwrap().contains("com.example.misbehaving-strategy"));
    assert_eq!(list(), first);
    // it may be deleted, or be nonsense
    std::fs::write(&cache, "nonsense").unwrap();
    assert_eq!(list(), first);
    std::fs::remove_file(&cache).unwrap();
    assert_eq!(list(), first);
    let mut command = scenario.command(&["plugins", "inspect", "com.example.misbehaving-strategy"]);
    let shown = finish(Running::start(&mut command)).expect(0).stdout;
    assert!(shown.contains("in a process of its own") && shown.contains("misdeed"), "{shown}");
}

#[test]
fn the_protocols_schema_is_the_one_in_the_documentation() {
    let scenario = scenario();
    let printed = scenario.ansatz(&["schema", "--protocol"]).expect(0).stdout;
    let path = repository().join("docs/plugin-protocol.schema.json");
    let documented = std::fs::read_to_string(path).unwrap();
    assert!(
        printed == documented,
        "write it anew: ansatz schema --protocol > docs/plugin-protocol.schema.json"
    );
}
