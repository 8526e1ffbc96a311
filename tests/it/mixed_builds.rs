//! Plugins that were built otherwise than the host: other profiles, another allocator, other versions of the
//! dependencies. Nothing but the boundary is shared, so nothing of this may matter.

use crate::evolution::{put, run_in_turn};
use crate::{SCRATCH, scenario};
use ansatz_core::{Goal, Metric, Problem, Space, space::Parameter};
use ansatz_plugin_host::{HostError, Library, Role};
use ansatz_tests::stranger::{Profile, Stranger, repository};
use ansatz_tests::{StoredStudy, slow_tests_run};
use serde_json::json;
use std::path::Path;

/// A box of so many floats.
fn problem(parameter_count: usize) -> Problem {
    let parameters = (0..parameter_count).map(|index| Parameter::float(format!("x{index}"), 0.0, 1.0));
    let metric = Metric { name: "value".to_owned(), goal: Goal::Minimise };
    Problem::new(Space::of(parameters.collect()).unwrap(), vec![metric])
}

#[test]
fn a_small_release_build_that_aborts_on_panic_runs_a_study() {
    if !slow_tests_run() {
        return;
    }
    let mut stranger = Stranger::of("small", &repository().join("tests/third-party/dice"));
    stranger.replace("Cargo.toml", "acme-dice", "acme-small-dice");
    stranger.replace("src/lib.rs", "com.acme.dice", "com.acme.small-dice");
    stranger.append_line(
        "Cargo.toml",
        "\n[profile.release]\nopt-level = \"s\"\nlto = true\ncodegen-units = 1\npanic = \"abort\"",
    );
    let library = stranger.library(Path::new(SCRATCH), "acme-small-dice", Profile::Release);
    let loaded = Library::load(&library).unwrap();
    assert!(loaded.metadata().aborts_on_panic(), "the host has to know: {}", loaded.build);
    // ours are built so that a panic can be caught
    let ours = Library::load(&ansatz_tests::libraries::library("ansatz-strategy-random")).unwrap();
    assert!(!ours.metadata().aborts_on_panic(), "{}", ours.build);

    let scenario = scenario();
    put(&scenario, &library);
    run_in_turn(&scenario, &["com.acme.small-dice", "random"]);
}

#[test]
fn memory_goes_back_to_the_allocator_that_it_came_from() {
    if !slow_tests_run() {
        return;
    }
    let source = repository().join("tests/evolution/own-allocator");
    let library = Stranger::of("own-allocator", &source).library(
        Path::new(SCRATCH),
        "acme-own-allocator",
        Profile::Debug,
    );

    // everything that a study does not ask for
    let loaded = Library::load(&library).unwrap();
    let component = loaded.component(Role::Strategy, "com.acme.shuffle").unwrap();
    let mut strategy = component.create_strategy(&problem(2), &json!({}), 1).unwrap();
    let state = strategy.snapshot().unwrap().unwrap();
    assert_eq!(strategy.restore(&state), Ok(()));
    assert!(strategy.restore(b"no state").is_err());
    drop(strategy);
    match component.create_strategy(&problem(3), &json!({}), 1).map(|strategy| strategy.name().to_owned()) {
        Err(HostError::Unfit(fault)) => assert!(fault.message.contains("too many"), "{fault}"),
        other => panic!("{other:?}"),
    }

    // and a study with every way in which a trial can end
    let scenario = scenario();
    put(&scenario, &library);
    let manifest = r#"
study = { name = "shifted", seed = 2 }
metrics = { value = "minimise" }
space = { x1 = { float = [-5.0, 10.0] }, x2 = { float = [0.0, 15.0] } }
objective = { plugin = "com.acme.sum", options = { every = 5 } }
strategy = [{ plugin = "com.acme.shuffle" }, { plugin = "random" }]
budget = { trials = 40 }
run = { slots = 2, retries = 1 }
"#;
    let ended = scenario.run(manifest).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(40);
    for kind in ["completed", "failed", "infeasible"] {
        let count = stored.outcomes().iter().filter(|(found, _)| *found == kind).count();
        assert!(count >= 8, "{count} {kind}: {ended}");
    }
}

/// Its dependencies are in no Cargo.lock of ours, so they have to be fetched: where there is no registry and
/// they are not on this machine either, this shows nothing, and says so.
#[test]
fn older_dependencies_in_a_plugin_do_not_matter() {
    if !slow_tests_run() {
        return;
    }
    let source = repository().join("tests/evolution/older-dependencies");
    let stranger = Stranger::of("older-dependencies", &source);
    if let Err(reason) = stranger.fetch(Path::new(SCRATCH)) {
        eprintln!("not shown, for its dependencies cannot be fetched: {reason}");
        return;
    }
    let library = stranger.library(Path::new(SCRATCH), "acme-older-dependencies", Profile::Debug);
    let loaded = Library::load(&library).unwrap();
    let component = loaded.component(Role::Strategy, "com.acme.vintage").unwrap();
    let mut strategy = component.create_strategy(&problem(2), &json!({ "share": 0.5 }), 1).unwrap();
    let state = strategy.snapshot().unwrap().unwrap();
    assert_eq!(strategy.restore(&state), Ok(()));

    let scenario = scenario();
    put(&scenario, &library);
    run_in_turn(&scenario, &["com.acme.vintage", "random"]);
}
