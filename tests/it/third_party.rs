//! Somebody else's strategy: built elsewhere, put into a folder, used by a host that was built before.

use crate::scenario;
use ansatz_tests::StoredStudy;
use ansatz_tests::libraries::file_name;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The built library of `third-party/dice`. A copy of its source is built in a workspace of its own, with
/// the versions of our Cargo.lock, so that nothing has to be fetched and nothing is written to the source.
fn build() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (source, copy) =
        (tests.join("third-party/dice"), Path::new(env!("CARGO_TARGET_TMPDIR")).join("dice"));
    std::fs::create_dir_all(copy.join("src")).unwrap();
    let core = tests.join("../core").canonicalize().unwrap();
    let manifest = std::fs::read_to_string(source.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("../../../core"));
    std::fs::write(copy.join("Cargo.toml"), manifest.replace("../../../core", &core.to_string_lossy()))
        .unwrap();
    std::fs::copy(source.join("src/lib.rs"), copy.join("src/lib.rs")).unwrap();
    std::fs::copy(tests.join("../Cargo.lock"), copy.join("Cargo.lock")).unwrap();
    let target = copy.join("target");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--offline", "--quiet", "--manifest-path"])
        .arg(copy.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug").join(file_name("acme-dice"))
}

#[test]
fn a_strategy_built_elsewhere_works_with_a_host_that_knows_nothing_of_it() {
    let scenario = scenario();
    let state = || {
        (std::fs::read(scenario.binary()).unwrap(), scenario.binary().metadata().unwrap().modified().unwrap())
    };
    let before = state();
    let manifest = r#"
study = { name = "rolled", seed = 6 }
metrics = { value = "minimise" }
space = { x1 = { float = [-5.0, 10.0] }, x2 = { float = [0.0, 15.0] } }
objective = { plugin = "synthetic", options = { function = "branin" } }
strategy = [{ plugin = "com.acme.dice" }]
budget = { trials = 12 }
plugins = { path = ["ours"] }
"#;
    scenario.run(manifest).expect(4).expect_message(&["com.acme.dice"]);

    let folder = scenario.path("work/ours");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(build(), folder.join(file_name("acme-dice"))).unwrap();
    let library = folder.join(file_name("acme-dice"));
    scenario.ansatz(&["plugins", "check", library.to_str().unwrap()]).expect(0);
    scenario.run(manifest).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(12);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"));

    let listed = scenario.ansatz(&["plugins", "list", "--path", "ours", "--json"]).expect(0).json();
    let dice = listed["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .find(|plugin| plugin["name"] == "com.acme.dice")
        .unwrap();
    assert_eq!(dice["role"], "strategy");
    assert_eq!((&dice["package"], &dice["version"]), (&"acme-dice".into(), &"0.3.1".into()));
    assert!(dice["path"].as_str().unwrap().ends_with(&file_name("acme-dice")), "{dice}");
    let shown = scenario.ansatz(&["plugins", "inspect", "com.acme.dice", "--path", "ours"]).expect(0);
    assert!(shown.stdout.contains("every value as likely as any other"), "{shown}");

    assert!(state() == before, "the host was built anew");
}
