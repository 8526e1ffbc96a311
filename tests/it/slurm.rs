//! Workers that Slurm starts: a private Slurm of two nodes on this machine, one of which is killed in the middle.

use crate::scenario;
use ansatz_tests::scenario::{PATIENCE, finish};
use ansatz_tests::{Nodes, Running, postgres_server};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TRIAL_COUNT: u64 = 600;
const WORKER_COUNT: usize = 100;

const MANIFEST: &str = r#"
study = { name = "arrayed", seed = 5 }
metrics = { value = "minimise" }
space = { x1 = { float = [-5.0, 10.0] }, x2 = { float = [0.0, 15.0] } }
objective = { plugin = "synthetic", options = { function = "branin", delay_ms = 1500 } }
strategy = [{ plugin = "random" }]
budget = { trials = 600 }
"#;

/// Slurm in a folder; gone when this is.
struct Slurm(Child);

impl Slurm {
    /// `None`, with the reason printed, where there is no Slurm.
    fn start(folder: &Path) -> Option<Self> {
        let is_there = |program: &str| {
            let mut command = Command::new(program);
            command.arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        };
        if !["slurmctld", "slurmd", "sbatch"].into_iter().all(is_there) {
            println!("skipped: Slurm is not installed (slurmctld, slurmd or sbatch was not found)");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("slurm/loopback.sh");
        let port = 20_000 + std::process::id() % 20_000;
        let mut slurm = Command::new(script)
            .arg(folder)
            .args(["2", "50", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(slurm.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(Self(slurm))
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The processes that Slurm started on a node.
fn processes_of(node: &str) -> Vec<String> {
    let mark = format!("SLURMD_NODENAME={node}");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            found.extend(entry.file_name().into_string());
        }
    }
    found
}

#[test]
fn a_node_that_dies_costs_nothing_but_time() {
    let Some(server) = postgres_server::shared() else { return };
    let (scenario, address) = (scenario(), server.database());
    let folder = tempfile::tempdir().unwrap();
    let Some(_slurm) = Slurm::start(folder.path()) else { return };
    scenario.write("study.toml", MANIFEST);
    let run = ["run", "study.toml", "--store", &address, "--on", "slurm", "-n", "30", "--lease", "6"];
    let mut command = scenario.command(&run);
    let nodes = Nodes::of(server, &address, PATIENCE);
    let asker = Running::start(command.env("SLURM_CONF", folder.path().join("slurm.conf")));
    nodes.wait_for_workers(30);
    let more = WORKER_COUNT.to_string();
    let scaled = scenario.ansatz(&["scale", "arrayed", &more, "--store", &address]).expect(0).stdout;
    assert!(scaled.contains("submitted to Slurm"), "{scaled}");
    nodes.wait_for_workers(WORKER_COUNT);
    nodes.wait_for_work(WORKER_COUNT * 4 / 5);
    let slurmd = std::fs::read_to_string(folder.path().join("slurmd.node2.process")).unwrap();
    let mut victims = processes_of("node2");
    assert!(victims.len() >= WORKER_COUNT / 2, "{victims:?}");
    victims.push(slurmd.trim().to_owned());
    let _ = Command::new("kill").arg("-KILL").args(&victims).stderr(Stdio::null()).status();
    let ended = finish(asker).expect(0);
    assert!(ended.stderr.contains("submitted 30 workers: job "), "{ended}");
    assert!(ended.stderr.contains("no sign of life"), "{ended}");
    nodes.expect_each_trial_once(TRIAL_COUNT);
    // workers know that it is over
    nodes.wait_for("the end of all workers", || processes_of("node1").is_empty());
}
