//! Workers that Ray starts: a private Ray of two nodes on this machine, one of which is killed in the middle. A longer job, which
//! runs only where `ANSATZ_TEST_RAY` names the `ray` of an environment that tests/ray/setup.sh has made.

use crate::scenario;
use ansatz_tests::{Nodes, Running, postgres_server};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Ray takes its time to start anything.
const PATIENCE: Duration = Duration::from_secs(400);
const TRIAL_COUNT: u64 = 200;

const MANIFEST: &str = r#"
study = { name = "rayed", seed = 5 }
metrics = { value = "minimise" }
space = { x1 = { float = [-5.0, 10.0] }, x2 = { float = [0.0, 15.0] } }
objective = { plugin = "synthetic", options = { function = "branin", delay_ms = 1500 } }
strategy = [{ plugin = "random" }]
budget = { trials = 200 }
"#;

/// All processes with the one that started each, and the words of each.
fn processes() -> HashMap<u32, (u32, String)> {
    let mut found = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        let after_name = stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1);
        let Some(parent) = after_name.and_then(|parent| parent.parse().ok()) else { continue };
        found.insert(process, (parent, String::from_utf8_lossy(&read("cmdline")).replace('\0', " ")));
    }
    found
}

/// What runs on a node: its head, and whatever that has started.
fn processes_of(address: &str) -> Vec<String> {
    let all = processes();
    let is_head = |words: &str| words.contains("raylet") && words.contains(&format!("address={address}"));
    let is_of = |process: u32| {
        let mut next = process;
        while let Some((parent, words)) = all.get(&next) {
            if is_head(words) {
                return true;
            }
            next = *parent;
        }
        false
    };
    all.keys().filter(|process| is_of(**process)).map(u32::to_string).collect()
}

#[test]
fn a_node_that_dies_costs_nothing_but_time() {
    let Some(ray) = std::env::var_os("ANSATZ_TEST_RAY") else {
        println!("skipped: ANSATZ_TEST_RAY names no ray");
        return;
    };
    let Some(server) = postgres_server::shared() else { return };
    let (scenario, address) = (scenario(), server.database());
    let folder = tempfile::Builder::new().prefix("ray-").tempdir().unwrap();
    let port = 20_000 + 2 * (std::process::id() % 10_000);
    let mut cluster = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("ray/loopback.sh"))
        .arg(&ray)
        .arg(folder.path())
        .args(["2", "5", &port.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(cluster.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let nodes = Nodes::of(server, &address, PATIENCE);
    scenario.write("study.toml", MANIFEST);
    let run = ["run", "study.toml", "--store", &address, "--on", "ray", "-n", "6", "--lease", "6"];
    let path = format!(
        "{}:{}",
        Path::new(&ray).parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = scenario.command(&run);
    command.env("PATH", path).env("RAY_ADDRESS", format!("http://127.0.0.2:{port}"));
    let asker = Running::start(&mut command);
    nodes.wait_for_workers(6);
    let scaled = scenario.ansatz(&["scale", "rayed", "10", "--store", &address]).expect(0).stdout;
    assert!(scaled.contains("Ray starts the others"), "{scaled}");
    nodes.wait_for_workers(10);
    nodes.wait_for_work(8);
    let victims = processes_of("127.0.0.4");
    assert!(victims.len() > 5, "{victims:?}");
    let _ = Command::new("kill").arg("-KILL").args(&victims).stderr(Stdio::null()).status();
    let ended = asker.wait(PATIENCE).ok().expect("it ends").expect(0);
    assert!(ended.stderr.contains("no sign of life"), "{ended}");
    nodes.expect_each_trial_once(TRIAL_COUNT);
    nodes.wait_for("the end of all workers", || {
        processes().values().all(|(_, words)| !words.contains("--study=rayed"))
    });
    drop(cluster.stdin.take());
    let _ = cluster.wait();
}
