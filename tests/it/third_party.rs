//! Somebody else's strategy: built elsewhere, put into a folder, used by a host that was built before.

use crate::{SCRATCH, scenario};
use ansatz_tests::StoredStudy;
use ansatz_tests::libraries::file_name;
use ansatz_tests::stranger::{Profile, Stranger, repository};
use std::path::{Path, PathBuf};

/// The built library of `third-party/dice`.
pub fn dice() -> PathBuf {
    let source = repository().join("tests/third-party/dice");
    Stranger::of("dice", &source).library(Path::new(SCRATCH), "acme-dice", Profile::Debug)
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
    std::fs::copy(dice(), folder.join(file_name("acme-dice"))).unwrap();
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
