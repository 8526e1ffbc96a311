//! What a large store costs: `cargo bench -p ansatz-cli --bench store -- [TRIALS] [FILE]`. Writes a study of so many trials (by
//! default a million) without running any, and measures how long it takes to list, read and check it, and how much memory that
//! needs. Prints figures and asserts none. docs/benchmarks.md has figures of a real run.

use ansatz_cli::digest::{self, Digest, Freshness};
use ansatz_cli::journal::{Entry, Location, NetworkFolder, Opened, SqliteStore, Stamped, Store, StudyHeader};
use ansatz_cli::manifest::Manifest;
use ansatz_cli::plan::Sync;
use ansatz_cli::session;
use ansatz_core::rng::Rng;
use ansatz_core::study::{Record, Study};
use ansatz_core::{Measurement, Outcome, Suggestion, TrialId};
use rand::RngExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MANIFEST: &str = r#"
study = { name = "large", seed = 1 }
metrics = { loss = "minimise" }
strategy = [{ plugin = "random" }]
objective = { plugin = "synthetic", options = { function = "sphere" } }
budget = { trials = 100_000_000 }
[space]
x0 = { float = [0.0, 1.0] }
x1 = { float = [0.0, 1.0] }
x2 = { float = [0.0, 1.0] }
x3 = { float = [0.0, 1.0] }
x4 = { float = [0.0, 1.0] }
"#;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let trial_count: u64 =
        arguments.next().map_or(1_000_000, |count| count.parse().expect("a number of trials"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = arguments.next().map_or_else(|| folder.path().join("large.db"), PathBuf::from);
    if !path.exists() {
        let (time, ()) = timed(|| write(&path, trial_count));
        let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        println!(
            "{trial_count} trials written in {:.1} s: {:.0} MB, {:.0} bytes a trial",
            time.as_secs_f64(),
            size as f64 / 1e6,
            size as f64 / trial_count as f64
        );
    }
    let before = memory_bytes();
    let (time, read) = timed(|| session::read(&path, None).expect("it can be read"));
    let count = read.study.trials().len() as f64;
    println!(
        "read into a study in {:.2} s ({:.2} us a trial)",
        time.as_secs_f64(),
        time.as_secs_f64() * 1e6 / count
    );
    let grown = memory_bytes().saturating_sub(before) as f64;
    println!(
        "memory of the study: {:.1} MB, {:.1} MB for 100,000 trials",
        grown / 1e6,
        grown / 1e6 / count * 1e5
    );
    let (time, digest) = timed(|| Digest::of("large", &read.study, read.elapsed));
    println!("digest made in {:.3} s", time.as_secs_f64());
    let body = serde_json::to_string(&digest).expect("it is JSON");
    drop(read);
    let list =
        |freshness| digest::list(&Location::from(path.as_path()), freshness).expect("it can be listed");
    println!("list --exact: {:.3} s", timed(|| list(Freshness::Exact)).0.as_secs_f64());
    let store = SqliteStore::open(&path, Sync::Off, NetworkFolder::Refuse).expect("a store");
    let mut journal = store.open("large").expect("nobody else has it");
    journal.keep_digest(f64::from(u32::MAX), &body).expect("it can be kept");
    journal.close().expect("it closes");
    println!("list: {:.4} s", timed(|| list(Freshness::Recent)).0.as_secs_f64());
    let store = SqliteStore::open_read_only(&path, NetworkFolder::Refuse).expect("it can be opened");
    let (time, checkup) = timed(|| store.check().expect("it can be checked"));
    println!("fsck: {:.2} s, sound: {}", time.as_secs_f64(), checkup.is_sound());
    let (time, copied) =
        timed(|| store.backup(&folder.path().join("copy.db"), Default::default()).expect("a copy"));
    println!("backup: {:.2} s, sound: {}", time.as_secs_f64(), copied.is_sound);
}

fn timed<T>(what: impl FnOnce() -> T) -> (Duration, T) {
    let started = Instant::now();
    let done = what();
    (started.elapsed(), done)
}

/// The resident size of this process.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Asks and outcomes as a host with eight slots writes them: each outcome, and one trial that follows.
fn write(path: &Path, trial_count: u64) {
    let plan = Manifest::parse(MANIFEST.to_owned(), Path::new("study.toml"), &[])
        .and_then(|manifest| manifest.plan());
    let plan = plan.map_err(|error| error.render(false)).expect("the manifest is right");
    let store = SqliteStore::open(path, Sync::Off, NetworkFolder::Refuse).expect("a store");
    let space = plan.rules.problem.space.clone();
    let mut study = Study::new(plan.rules.clone());
    let mut journal =
        store.create(StudyHeader { plan, manifest: MANIFEST.to_owned(), created_at: 0.0 }).expect("a study");
    let mut rng = Rng::new(1);
    let mut batch = vec![Stamped { at: 0.0, entry: Entry::Opened(Opened::default()) }];
    let take = |study: &mut Study, batch: &mut Vec<Stamped>, record: Record| {
        study.apply(&record).expect("it fits");
        batch.push(Stamped { at: study.trials().len() as f64, entry: Entry::Study(record) });
    };
    for number in 0..trial_count {
        let suggestion = Suggestion {
            point: space.sample(&mut rng).expect("a box"),
            tag: number,
            fidelity: None,
            prediction: None,
        };
        let trials = study.admit(1, vec![suggestion]).expect("it is in the box");
        take(&mut study, &mut batch, Record::Asked { member: 0, count: 1, trials, is_exhausted: false });
        if number >= 8 {
            let measurement = Measurement::new().with("loss", rng.random::<f64>());
            let (trial, duration) =
                (TrialId(number - 8), Duration::from_micros(rng.random_range(1..1_000_000)));
            take(
                &mut study,
                &mut batch,
                Record::Finished {
                    trial,
                    outcome: Outcome::Completed { measurement },
                    duration,
                    reused: None,
                },
            );
        }
        if batch.len() > 2_000 {
            journal.append(&batch).expect("space");
            batch.clear();
        }
    }
    journal.append(&batch).expect("space");
    journal.close().expect("it closes");
}
