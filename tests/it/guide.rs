//! docs/plugin-guide.md, typed from top to bottom by somebody who has just built Ansatz.
//!
//! The newcomer has no network here: the cargo that they find takes the versions of our Cargo.lock, and builds into a
//! folder that is kept from one run of this test to the next.

use crate::{SCRATCH, scenario};
use ansatz_tests::guide::{Action, Block, Terminal, blocks, difference, excerpt_difference};
use ansatz_tests::stranger::repository;
use ansatz_tests::{Ended, Running, Scenario};
use std::path::Path;
use std::time::Duration;

/// Longer than a build takes on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Before the real cargo: the crate gets our Cargo.lock and a target folder that is shared.
const CARGO: &str = r#"#!/bin/sh
folder=.
before=
for word; do
    if [ "$before" = --manifest-path ]; then folder=$(dirname "$word"); fi
    before=$word
done
[ -e "$folder/Cargo.lock" ] || cp "$GUIDE_LOCK" "$folder/Cargo.lock"
[ -e "$folder/target" ] || ln -s "$GUIDE_TARGET" "$folder/target"
PATH=$GUIDE_PATH exec cargo "$@"
"#;

fn guide() -> Vec<Block> {
    let path = repository().join("docs/plugin-guide.md");
    blocks(&std::fs::read_to_string(&path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Does what the blocks say, in a fresh installation.
fn follow(blocks: &[Block]) {
    let scenario = scenario();
    let mut terminal = terminal(&scenario);
    let work = scenario.path("work");
    for block in blocks {
        let place = format!("docs/plugin-guide.md:{} ({})", block.line, block.section);
        match &block.action {
            Action::Script(script) => {
                let ended = run(&mut terminal, script);
                assert!(ended.status.success(), "{place}\n{script}\n{ended}");
            }
            Action::Console(exchanges) => {
                for exchange in exchanges {
                    let ended = run(&mut terminal, &exchange.command);
                    let command = &exchange.command;
                    assert_eq!(ended.status.success(), !exchange.fails(), "{place}\n$ {command}\n{ended}");
                    if let Some(missing) = difference(&exchange.shown, &ended.stdout) {
                        panic!("{place}\n$ {command}\nis not shown as it is:\n{missing}\n{ended}");
                    }
                }
            }
            Action::Write(path, text) => {
                let path = work.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, text).unwrap();
            }
            Action::Excerpt(path, shown) => {
                let file = std::fs::read_to_string(work.join(path))
                    .unwrap_or_else(|error| panic!("{place}: {}: {error}", path.display()));
                if let Some(missing) = excerpt_difference(shown, &file) {
                    panic!("{place}: not in {}:\n{missing}\n--- it has\n{file}", path.display());
                }
            }
        }
    }
}

fn run(terminal: &mut Terminal, script: &str) -> Ended {
    let ended = Running::start(&mut terminal.command(script)).wait(PATIENCE).unwrap_or_else(|running| {
        panic!("it did not end within {PATIENCE:?}:\n{script}\n{}", running.kill())
    });
    terminal.follow();
    ended
}

/// A newcomer's: `ansatz` is on the PATH, and nothing of this machine's user is seen but the Rust toolchain.
fn terminal(scenario: &Scenario) -> Terminal {
    let tools = scenario.path("tools");
    std::fs::create_dir(&tools).unwrap();
    scenario.write_program("../tools/cargo", CARGO);
    // crates are formatted as they are outside of this repository
    scenario.write("rustfmt.toml", "");
    let target = Path::new(SCRATCH).join("guide");
    std::fs::create_dir_all(&target).unwrap();

    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap();
    let with_ansatz = format!("{}:{path}", text(&scenario.path("bin")));
    let home = std::env::home_dir().unwrap();
    let of_toolchain =
        |name: &str, folder: &str| std::env::var(name).unwrap_or_else(|_| text(&home.join(folder)));
    Terminal::new(&scenario.path("work"), &scenario.path("folder"))
        .env("PATH", format!("{}:{with_ansatz}", text(&tools)))
        .env("GUIDE_PATH", with_ansatz)
        .env("GUIDE_LOCK", text(&repository().join("Cargo.lock")))
        .env("GUIDE_TARGET", text(&target))
        .env("HOME", text(&scenario.path("home")))
        .env("CARGO_HOME", of_toolchain("CARGO_HOME", ".cargo"))
        .env("RUSTUP_HOME", of_toolchain("RUSTUP_HOME", ".rustup"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_INCREMENTAL", "0")
        .env("NO_COLOR", "1")
        // cargo says these to the tests that it runs
        .without("CARGO")
        .without("CARGO_TARGET_DIR")
        .without("ANSATZ_PLUGIN_PATH")
        .without("XDG_DATA_HOME")
        .without("XDG_CACHE_HOME")
        .without("RUST_BACKTRACE")
}

#[test]
fn the_part_on_python_works_as_written() {
    let mut part = guide();
    part.retain(|block| block.section.contains("Python"));
    assert!(part.len() > 5, "where is the part on Python? {part:?}");
    // the conformance suite starts some hundred interpreters
    if ansatz_tests::slow_tests_run() {
        follow(&part);
    }
}

#[test]
fn all_of_it_works_as_written() {
    let guide = guide();
    if !ansatz_tests::slow_tests_run() {
        println!("skipped: set ANSATZ_SLOW_TESTS=1 to build the guide's crates and run all of it");
        return;
    }
    follow(&guide);
}
