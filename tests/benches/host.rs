//! What the host itself costs: `cargo bench --bench host`, or one part of it: `-- throughput`. Prints figures and asserts none: a machine that
//! is busy with something else must not make a build fail. docs/benchmarks.md has figures of a real run.

use ansatz_cli::engine::Engine;
use ansatz_cli::executor::Evaluate;
use ansatz_cli::interrupt::Interrupt;
use ansatz_cli::journal::{Entry, Opened, StudyHeader};
use ansatz_cli::plan::{FaultRules, JournalChoice, OnInterrupt, PluginChoice, RunRules, StudyPlan, Sync};
use ansatz_cli::plugins::{Locking, PluginSet, PluginUse, WORKER_SUBCOMMAND};
use ansatz_cli::run::run;
use ansatz_cli::watch::{Detail, Watch};
use ansatz_cli::{Clock, journal};
use ansatz_core::space::Parameter;
use ansatz_core::study::{Budget, Duplicates, Member, Mix, Study, StudyRules};
use ansatz_core::{
    Assignment, Curve, Goal, Losses, Measurement, Metric, Observation, ObservedResult, Pending, Point,
    Problem, Reporter, Space, Suggestion, TrialId,
};
use ansatz_plugin_host::{Asked, EvaluationFault, ForeignStrategy, Housing, Launch, Role};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An objective that costs nothing, so that only the host is left.
struct Nothing;

impl Evaluate for Nothing {
    fn evaluate(
        &self,
        point: &Point,
        _: &Assignment,
        _: &mut dyn Reporter,
    ) -> Result<Measurement, EvaluationFault> {
        Ok(Measurement::new().with("loss", point.get(0).unwrap_or(0.0)))
    }
}

fn problem(dimension_count: usize) -> Problem {
    let parameters =
        (0..dimension_count).map(|index| Parameter::float(format!("x{index}"), 0.0, 1.0)).collect();
    let space = Space::of(parameters).expect("a box");
    Problem::new(space, vec![Metric { name: "loss".into(), goal: Goal::Minimise }])
}

fn plan(
    folder: &Path,
    name: &str,
    strategy: &str,
    trial_count: u64,
    slot_count: usize,
    sync: Sync,
) -> StudyPlan {
    let member = Member::new(strategy);
    StudyPlan {
        name: name.to_owned(),
        rules: StudyRules {
            problem: problem(5),
            seed: 1,
            members: vec![member],
            mix: Mix::InTurn,
            budget: Budget { trial_count: Some(trial_count), ..Budget::default() },
            attempts_max: 1,
            duplicates: Duplicates::Replicate,
            consecutive_failures_max: None,
            window: None,
            early_stopping: None,
            enqueued: Vec::new(),
        },
        objective: None,
        strategies: vec![PluginChoice::new(strategy)],
        is_automatic: false,
        early_stopping: None,
        transfers: Vec::new(),
        repeated_count: 0,
        run: RunRules { slot_count, trial_timeout: None, on_interrupt: OnInterrupt::Requeue },
        journal: JournalChoice { path: folder.join(format!("{name}.db")), server: None, sync },
        plugin_folders: Vec::new(),
        faults: FaultRules::default(),
        manifest_folder: folder.to_owned(),
        manifest_name: String::new(),
        overrides: Vec::new(),
    }
}

/// Runs a study from an empty journal; wall and processor time.
fn run_study(plan: &StudyPlan) -> (Duration, Duration) {
    let plugins = PluginSet::load(plan, None, Locking::Warn, PluginUse::Check).expect("random is built");
    let store = journal::open(&plan.journal).expect("a new journal");
    let header = StudyHeader { plan: plan.clone(), manifest: String::new(), created_at: 0.0 };
    let journal = store.create(header).expect("a new study");
    let clock = Clock::start(Duration::ZERO);
    let mut engine = Engine::new(Study::new(plan.rules.clone()), plugins.strategies, None, 0, journal, clock)
        .expect("a strategy");
    engine.note(Entry::Opened(Opened::default()));
    let mut watch = Watch::new(Detail::Quiet, engine.study());
    let (started, processor) = (Instant::now(), processor_time());
    run(&mut engine, Arc::new(Nothing), plan, Vec::new(), &Interrupt::default(), &mut watch)
        .expect("it runs");
    assert_eq!(engine.study().finished_count() as u64, plan.rules.budget.trial_count.unwrap_or(0));
    (started.elapsed(), processor_time() - processor)
}

/// User and system time of this process, from /proc (ticks of 10 ms).
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 =
        fields.get(11..13).map_or(0, |both| both.iter().filter_map(|t| t.parse::<u64>().ok()).sum());
    Duration::from_millis(10 * ticks)
}

/// The largest resident size of this process so far, in bytes.
fn memory_max_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// How many times a second this disk can make 4 KiB durable.
fn flushes_per_second(folder: &Path) -> f64 {
    let mut file = std::fs::File::create(folder.join("flush")).expect("a file");
    let (block, count, started) = ([0u8; 4096], 300, Instant::now());
    for _ in 0..count {
        file.write_all(&block).and_then(|()| file.sync_data()).expect("a flush");
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

fn throughput(folder: &Path) {
    println!("host overhead, objective that does nothing, random, 5 parameters");
    for slot_count in [1, 8] {
        let count = 50_000;
        let plan = plan(folder, &format!("fast-{slot_count}"), "random", count, slot_count, Sync::Off);
        let (wall, processor) = run_study(&plan);
        println!(
            "  no sync, {slot_count} slots: {:.0} trials/s, {:.1} us of processor time each",
            count as f64 / wall.as_secs_f64(),
            processor.as_secs_f64() * 1e6 / count as f64
        );
    }
    // what a disk does changes from one second to the next: both by turns
    for slot_count in [1, 8, 64] {
        let count = 1_000 + 500 * slot_count.min(8) as u64;
        let mut rounds: Vec<(f64, f64)> = (0..9)
            .map(|round| {
                let name = format!("durable-{slot_count}-{round}");
                let plan = plan(folder, &name, "random", count, slot_count, Sync::Full);
                let before = flushes_per_second(folder);
                let (wall, _) = run_study(&plan);
                let flushes = 0.5 * (before + flushes_per_second(folder));
                (count as f64 / wall.as_secs_f64(), flushes)
            })
            .collect();
        rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
        let (rate, flushes) = rounds[rounds.len() / 2];
        let ratio = |round: usize| rounds[round].0 / rounds[round].1;
        println!(
            "  durable, {slot_count} slots: {rate:.0} trials/s; the disk alone {flushes:.0} flushes/s; ratio {:.1} \
             (median of {}, {:.1} to {:.1})",
            ratio(rounds.len() / 2),
            rounds.len(),
            ratio(0),
            ratio(rounds.len() - 1)
        );
    }
}

fn ask_one(plugin: &mut ForeignStrategy) -> Suggestion {
    match plugin.ask(1, &Pending::NONE) {
        Ok(Asked::Suggestions(mut suggestions)) => suggestions.pop(),
        _ => None,
    }
    .expect("a suggestion")
}

fn ask_and_tell() {
    let search = ansatz_cli::plugins::search_path(&[]);
    let apart = Housing::Process(Launch {
        executable: env!("CARGO_BIN_EXE_ansatz-under-test").into(),
        subcommand: WORKER_SUBCOMMAND,
        call_timeout: Duration::from_secs(60),
        memory_bytes_max: None,
        log: None,
    });
    let cases = [
        ("random", &Housing::Host, 60_000u64),
        ("sobol", &Housing::Host, 60_000),
        ("random", &apart, 20_000),
        ("sobol", &apart, 20_000),
    ];
    for (strategy, housing, count) in cases {
        let found = search.find(Role::Strategy, strategy).expect("it is built");
        let (problem, options) = (problem(20), serde_json::json!({}));
        let made = found.plugin.create_strategy(strategy, &problem, &options, 1, housing);
        let mut plugin = made.expect("it fits");
        let started = Instant::now();
        for trial in 0..count {
            let suggestion = ask_one(&mut plugin);
            let losses = Losses { values: vec![0.5], standard_errors: Vec::new(), excesses: Vec::new() };
            let observation = Observation {
                trial: TrialId(trial),
                tag: Some(suggestion.tag),
                point: suggestion.point,
                fidelity: None,
                curve: Curve::default(),
                result: ObservedResult::Completed(losses),
            };
            plugin.tell(&[observation]).expect("it listens");
        }
        let each = started.elapsed().as_secs_f64() / count as f64;
        let place = match housing {
            Housing::Host => "through the boundary",
            Housing::Process(_) => "in a process of its own",
        };
        println!("ask + tell {place}, {strategy}, 20 parameters: {:.0} ns", each * 1e9);
    }
}

/// What two processes need to pass a line of this length there and back, whatever they do with it.
fn pipe_round_trip() {
    use std::io::Read;
    let mut echo = Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("there is cat");
    let (mut to, mut from) = (echo.stdin.take().expect("piped"), echo.stdout.take().expect("piped"));
    let (mut line, count) = ([b'x'; 400], 20_000);
    let started = Instant::now();
    for _ in 0..count {
        to.write_all(&line).expect("cat reads");
        from.read_exact(&mut line).expect("cat writes");
    }
    let each = started.elapsed().as_secs_f64() / f64::from(count);
    println!("a line of 400 bytes through a pipe to another process and back: {:.0} ns", each * 1e9);
    drop(to);
    let _ = echo.wait();
}

fn bayesian_ask() {
    let search = ansatz_cli::plugins::search_path(&[]);
    let Ok(found) = search.find(Role::Strategy, "bayesian") else { return };
    for dimension_count in [2, 6, 20] {
        let problem = problem(dimension_count);
        let options = serde_json::json!({});
        let made = found.plugin.create_strategy("bayesian", &problem, &options, 1, &Housing::Host);
        let mut plugin = made.expect("it fits");
        let mut asked = Duration::ZERO;
        for trial in 0..100u64 {
            let started = Instant::now();
            let suggestion = ask_one(&mut plugin);
            if trial >= 50 {
                asked += started.elapsed();
            }
            let loss = suggestion.point.coordinates().flatten().map(|x| (x - 0.3) * (x - 0.3)).sum();
            let losses = Losses { values: vec![loss], standard_errors: Vec::new(), excesses: Vec::new() };
            let observation = Observation {
                trial: TrialId(trial),
                tag: Some(suggestion.tag),
                point: suggestion.point,
                fidelity: None,
                curve: Curve::default(),
                result: ObservedResult::Completed(losses),
            };
            plugin.tell(&[observation]).expect("it listens");
        }
        println!(
            "bayesian, {dimension_count} parameters, 50 to 100 results: {:.1} ms an ask",
            asked.as_secs_f64() * 20.0
        );
    }
}

/// From the start of the process to its end, with one trial in between: an upper bound for the time to
/// the first trial.
fn start_up(folder: &Path) {
    let manifest = folder.join("start.toml");
    let text = "[metrics]\nvalue = \"minimise\"\n[space]\nx1 = { float = [-5.0, 10.0] }\nx2 = { float = [0.0, 15.0] }\n\
                [objective]\nplugin = \"synthetic\"\noptions = { function = \"branin\" }\n\
                [[strategy]]\nplugin = \"random\"\n[budget]\ntrials = 1\n";
    std::fs::write(&manifest, text).expect("a manifest");
    let deps =
        std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    let mut times: Vec<Duration> = (0..15)
        .map(|round| {
            let started = Instant::now();
            let status = Command::new(env!("CARGO_BIN_EXE_ansatz-under-test"))
                .args(["run", "--quiet", "--journal"])
                .arg(folder.join(format!("start-{round}.db")))
                .arg(&manifest)
                .env("ANSATZ_PLUGIN_PATH", &deps)
                .output();
            assert!(status.is_ok_and(|output| output.status.success()), "the run failed");
            started.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "`ansatz run` with one trial, process start to end: median {:.1} ms, fastest {:.1} ms",
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[0].as_secs_f64() * 1e3
    );
}

fn memory(folder: &Path) {
    let before = memory_max_bytes();
    let plan = plan(folder, "memory", "random", 100_000, 8, Sync::Off);
    run_study(&plan);
    println!(
        "memory at 100,000 trials: {:.0} MB largest resident size of the whole process ({:.0} MB before)",
        memory_max_bytes() as f64 / 1e6,
        before as f64 / 1e6
    );
}

fn main() {
    // on a real disk: a flush of a file system in memory would say nothing
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let parts: [(&str, &dyn Fn()); 6] = [
        ("memory", &|| memory(&folder)),
        ("throughput", &|| throughput(&folder)),
        ("ask-and-tell", &ask_and_tell),
        ("pipe", &pipe_round_trip),
        ("bayesian", &bayesian_ask),
        ("start-up", &|| start_up(&folder)),
    ];
    // cargo says --bench, too
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            part();
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}
