//! Studies whose trials run at workers, over the board beside a file and on a server: what is asked does not depend on
//! who works, and whoever is killed costs nothing but time.
//!
//! How many are killed on each kind of store: 10, or 30 with `ANSATZ_SLOW_TESTS=1`, or what `ANSATZ_TEST_KILLS` says.

use crate::scenario;
use ansatz_cli::journal::{Location, ServerUrl};
use ansatz_core::Failure;
use ansatz_core::rng::Rng;
use ansatz_core::study::Record;
use ansatz_tests::process::kill;
use ansatz_tests::scenario::{PATIENCE, Victim, finish};
use ansatz_tests::{PostgresServer, Running, Scenario, StoredStudy, kill_count, postgres_server};
use rand::RngExt;
use std::time::{Duration, Instant};

const STUDY: &str = "shared";

/// Eight asked ahead; some trials take ten times as long as others.
fn manifest(trial_count: u64, delay_ms: u32) -> String {
    format!(
        r#"
study = {{ name = "{STUDY}", seed = 2024 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "noisy_branin", delay_ms = {delay_ms}, delay_spread = 1.0 }} }}
strategy = [{{ plugin = "sobol" }}, {{ plugin = "annealing" }}, {{ plugin = "cmaes" }}]
budget = {{ trials = {trial_count} }}
run = {{ deterministic = 8 }}
"#
    )
}

/// Where a study is kept: a fresh file, or a fresh database.
struct Place {
    scenario: Scenario,
    address: String,
}

impl Place {
    fn file() -> Self {
        let scenario = scenario();
        let address = scenario.journal().display().to_string();
        Self { scenario, address }
    }

    fn on(server: &PostgresServer) -> Self {
        Self { scenario: scenario(), address: server.database() }
    }

    /// One of each kind that there is.
    fn each() -> Vec<Self> {
        std::iter::once(Self::file()).chain(postgres_server::shared().map(Self::on)).collect()
    }

    fn location(&self) -> Location {
        self.address.parse().unwrap()
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let store = ["--store", &self.address];
        Running::start(&mut self.scenario.command(&[arguments, &store].concat()))
    }

    fn ansatz(&self, arguments: &[&str]) -> ansatz_tests::Ended {
        finish(self.start(arguments))
    }

    fn export(&self) -> String {
        self.ansatz(&["export", "--repeatable"]).expect(0).stdout
    }

    fn stored(&self) -> StoredStudy {
        StoredStudy::read(self.location(), None)
    }

    /// How many records there are; none before the study has begun.
    fn record_count(&self) -> usize {
        let is_begun = ansatz_cli::session::has_study(&self.location(), STUDY).is_ok_and(|begun| begun);
        if is_begun { self.stored().records().len() } else { 0 }
    }

    /// Waits until there are so many records.
    #[track_caller]
    fn wait_for_records(&self, count: usize) {
        let started = Instant::now();
        while self.record_count() < count {
            assert!(started.elapsed() < PATIENCE, "{} of {count} records", self.record_count());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn asker(&self, lease: &str) -> Running {
        let on_board = ["--quiet", "--on", "board", "--lease", lease];
        match self.record_count() {
            0 => self.start(&[&["run", "study.toml"][..], &on_board].concat()),
            _ => self.start(&[&["resume", STUDY, "--standby"][..], &on_board].concat()),
        }
    }

    fn worker(&self, slots: &str) -> Running {
        self.start(&["worker", "--study", STUDY, "--slots", slots, "--patience", "60"])
    }
}

/// What the study comes to in one process.
fn alone(manifest: &str) -> String {
    let scenario = scenario();
    scenario.run(manifest).expect(0);
    scenario.ansatz(&["export", "--repeatable"]).expect(0).stdout
}

#[test]
fn a_deterministic_study_is_the_same_on_any_number_of_slots() {
    let manifest = manifest(40, 4);
    let expected = alone(&manifest);
    for workers in ["1", "2", "8"] {
        for place in Place::each() {
            place.scenario.write("study.toml", &manifest);
            let run = ["run", "study.toml", "--quiet", "--on", "local", "-n", workers];
            assert_eq!(place.ansatz(&run).expect(0).stderr, "");
            place.stored().expect_each_trial_once(40);
            assert_eq!(place.export(), expected, "{workers} workers, {}", place.address);
            assert_eq!(place.ansatz(&["replay", "--json"]).expect(0).json()["same"], true);
        }
    }
    // one worker with many slots is no other thing
    let place = Place::file();
    place.scenario.write("study.toml", &manifest);
    place.ansatz(&["run", "study.toml", "--quiet", "--on", "local", "--worker-slots", "8"]).expect(0);
    assert_eq!(place.export(), expected);
}

/// What was killed.
#[derive(Clone, Copy, Debug, Default)]
struct Hits {
    askers: u32,
    workers: u32,
    programs: u32,
}

impl Hits {
    fn all(self) -> u32 {
        self.askers + self.workers + self.programs
    }
}

/// A study whose trials are programs, each of which takes this many seconds.
fn manifest_of_programs(trial_count: u64, seconds: f64) -> String {
    let program = format!(r#"sleep {seconds}; echo \"{{\\\"value\\\": $ANSATZ_PARAM_X1}}\""#);
    let objective = format!(r#"objective = {{ plugin = "command", options = {{ shell = "{program}" }} }}"#);
    let synthetic = manifest(trial_count, 0);
    let begin = synthetic.find("objective").unwrap();
    let end = begin + synthetic[begin..].find('\n').unwrap();
    // a program that is killed has failed, and only programs that are killed fail here
    format!("{}{objective}{}", &synthetic[..begin], &synthetic[end..])
        .replace("deterministic = 8", "deterministic = 8, retries = 100")
}

/// Kills workers, askers and programs at random moments until the study is over, or as many were.
fn storm(place: &Place, manifest: &str, kill_count: u32, seed: u64) -> Hits {
    place.scenario.write("study.toml", manifest);
    let mut rng = Rng::new(seed);
    let mut asker = Some(place.asker("1"));
    let mut workers: Vec<Running> = (0..4).map(|_| place.worker("2")).collect();
    let started = Instant::now();
    let mut hits = Hits::default();
    while hits.all() < kill_count && started.elapsed() < PATIENCE {
        let pause = Duration::from_millis(rng.random_range(150..450));
        let Some(running) = asker.take() else { break };
        match running.wait(pause) {
            // it is over before all are killed
            Ok(ended) => drop(ended.expect(0)),
            Err(running) => asker = Some(running),
        }
        // what is asked comes first: by then trials have ended, so workers are at work
        if place.record_count() < 20 {
            continue;
        }
        // each kind of victim has its turn in a short storm, too
        let victim = if hits.askers == 0 && hits.all() > 2 { 0 } else { rng.random_range(0..6) };
        match victim {
            0 => {
                // another one stands by already
                let next = place.asker("1");
                if asker.take().is_some_and(|asker| asker.kill().was_killed()) {
                    hits.askers += 1;
                }
                asker = Some(next);
            }
            1 | 2 => {
                let mut others = place.scenario.processes(0);
                others.retain(|(_, victim)| *victim == Victim::Program);
                if others.is_empty() {
                    continue;
                }
                kill(others[rng.random_range(0..others.len())].0);
                hits.programs += 1;
            }
            _ => {
                // the oldest: on a busy machine others may not have begun
                let killed = workers.remove(0);
                workers.push(place.worker("2"));
                killed.kill();
                hits.workers += 1;
            }
        }
    }
    if let Some(asker) = asker {
        finish(asker).expect(0);
    }
    for worker in workers {
        finish(worker).expect(0);
    }
    hits
}

/// Whatever was killed, each trial ended once, and well; what was retried was lost, or a program that was killed.
fn check_storm(place: &Place, trial_count: u64) {
    let stored = place.stored();
    stored.expect_each_trial_once(trial_count);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
    for record in stored.records() {
        if let Record::Retried { failure, reason, .. } = record {
            let is_killed = failure == Failure::Objective && reason.contains("SIGKILL");
            assert!(failure == Failure::Lost || is_killed, "{failure:?}: {reason}");
        }
    }
}

#[test]
fn workers_askers_and_programs_may_be_killed_at_any_time() {
    let manifest = manifest_of_programs(60, 0.15);
    let expected = alone(&manifest);
    let wanted = kill_count(10, 30);
    for kind in 0..Place::each().len() {
        let (mut hits, mut lost_count) = (Hits::default(), 0);
        for round in 1.. {
            let Some(place) = Place::each().into_iter().nth(kind) else { return };
            let more = storm(&place, &manifest, wanted - hits.all(), 10 + round);
            check_storm(&place, 60);
            assert_eq!(place.export(), expected, "round {round} on {}: {more:?}", place.address);
            let is_lost = |record: &&Record| matches!(record, Record::Retried { failure: Failure::Lost, .. });
            lost_count += place.stored().records().iter().filter(is_lost).count();
            hits.askers += more.askers;
            hits.workers += more.workers;
            hits.programs += more.programs;
            if hits.all() >= wanted {
                println!("{}: {hits:?} in {round} studies, {lost_count} attempts run again", place.address);
                break;
            }
        }
        assert!(hits.askers > 0, "no asker was killed while it ran");
        assert!(lost_count > 0, "no kill hit a running trial");
    }
}

#[test]
fn a_server_that_is_killed_under_load_costs_nothing_but_time() {
    let Some(server) = PostgresServer::start() else { return };
    let place = Place::on(&server);
    let manifest = manifest(80, 15);
    let expected = alone(&manifest);
    place.scenario.write("study.toml", &manifest);
    let mut asker = place.asker("3");
    let workers: Vec<Running> = (0..3).map(|_| place.worker("2")).collect();
    let mut acknowledged: Vec<Record> = Vec::new();
    for round in 1..=3 {
        place.wait_for_records(40 * round);
        let records = place.stored().records();
        server.kill();
        // the asker says what happened, and ends
        let ended = finish(asker);
        if round == 1 {
            ended.expect(5).expect_message(&["is the server up"]);
        }
        server.restart();
        let after = place.stored().records();
        assert_eq!(after[..records.len()], records, "something was lost that others have seen");
        assert_eq!(after[..acknowledged.len()], acknowledged);
        acknowledged = records;
        asker = place.start(&["resume", STUDY, "--quiet", "--on", "board", "--lease", "3"]);
    }
    finish(asker).expect(0);
    for worker in workers {
        finish(worker).expect(0);
    }
    check_storm(&place, 80);
    assert_eq!(place.export(), expected);
}

#[test]
fn a_worker_that_is_told_to_end_hands_everything_back() {
    for place in Place::each() {
        place.scenario.write("study.toml", &manifest(12, 150));
        let asker = place.asker("60");
        let first = place.worker("4");
        let started = Instant::now();
        place.wait_for_records(4);
        // twice: what runs is stopped, and belongs to nobody until somebody claims it
        for _ in 0..2 {
            let id = first.id().to_string();
            assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
            std::thread::sleep(Duration::from_millis(30));
        }
        let ended = finish(first).expect(0);
        assert!(ended.stderr.contains("handed back"), "{ended}");
        // long before the lease of the first would have run out
        finish(place.worker("4")).expect(0);
        finish(asker).expect(0);
        let stored = place.stored();
        stored.expect_each_trial_once(12);
        assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
        assert!(started.elapsed() < Duration::from_secs(50), "somebody waited for a lease");
    }
}

#[test]
fn a_worker_with_another_build_of_the_objective_is_refused() {
    let place = Place::file();
    place.scenario.write("study.toml", &manifest(4, 5));
    let asker = place.asker("30");
    let started = Instant::now();
    while place.record_count() == 0 && started.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // a machine on which somebody has built it anew: the same library, and a byte more
    let other = scenario();
    let library = ansatz_tests::libraries::file_name("ansatz-objective-synthetic");
    let own = other.path("bin/plugins").join(&library);
    let mut bytes = std::fs::read(&own).unwrap();
    std::fs::remove_file(&own).unwrap();
    bytes.push(0);
    std::fs::write(&own, bytes).unwrap();
    let arguments = ["worker", "--study", STUDY, "--store", &place.address, "--patience", "20"];
    other.ansatz(&arguments).expect(4).expect_message(&["another build", "synthetic", "sha256"]);
    finish(place.worker("2")).expect(0);
    finish(asker).expect(0);
    place.stored().expect_each_trial_once(4);
}

#[test]
fn early_stopping_reaches_workers() {
    for place in Place::each() {
        place.scenario.write(
            "study.toml",
            r#"
study = { name = "shared", seed = 3 }
metrics = { validation_accuracy = "maximise" }
objective = { plugin = "digits", options = { epochs = 6 } }
strategy = [{ plugin = "random" }]
early_stopping = { plugin = "median", options = { trials_min = 3, warm_up_steps = 1 } }
budget = { trials = 16 }
space = { learning_rate = { float = [1e-5, 1.0], scale = "log" } }
"#,
        );
        place.ansatz(&["run", "study.toml", "--quiet", "--on", "local", "-n", "2"]).expect(0);
        let stored = place.stored();
        stored.expect_each_trial_once(16);
        let stopped = stored.outcomes().iter().filter(|(kind, _)| *kind == "stopped").count();
        assert!(stopped > 0, "{:?}", stored.outcomes());
        for trial in stored.study.trials().iter().filter(|trial| trial.early_stop.is_none()) {
            assert_eq!(trial.last_step, Some(6), "every report of a trial that went on is on record");
        }
        assert_eq!(place.ansatz(&["replay", "--json"]).expect(0).json()["same"], true);
    }
}

/// A trial that continues a stopped one finds what that left, whichever worker ran it.
#[test]
fn promotions_reach_workers() {
    for place in Place::each() {
        place.scenario.write(
            "study.toml",
            r#"
study = { name = "shared", seed = 3 }
metrics = { validation_accuracy = "maximise" }
objective = { plugin = "digits", options = { epochs = 9, checkpoints = true } }
strategy = [{ plugin = "random" }]
early_stopping = { plugin = "successive-halving", options = { variant = "promotion", steps_max = 9 } }
budget = { trials = 18 }
space = { learning_rate = { float = [1e-5, 1.0], scale = "log" } }
"#,
        );
        place.ansatz(&["run", "study.toml", "--quiet", "--on", "local", "-n", "3"]).expect(0);
        let stored = place.stored();
        let study = &stored.study;
        assert_eq!(study.point_count(), 18);
        stored.expect_each_trial_once(study.trials().len() as u64);
        let mut count = 0;
        for trial in study.trials() {
            let Some(continuation) = &trial.continuation else { continue };
            let from = study.early_stop(continuation.continued).unwrap().step;
            let first = stored.records().into_iter().find_map(|record| match record {
                Record::Reported { trial: of, step, .. } if of == trial.id => Some(step),
                _ => None,
            });
            assert_eq!(
                first,
                Some(from + 1),
                "trial {} goes on where trial {} ended",
                trial.id,
                continuation.continued
            );
            count += 1;
        }
        assert!(count > 0, "{:?}", stored.outcomes());
        assert_eq!(place.ansatz(&["replay", "--json"]).expect(0).json()["same"], true);
    }
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_written() {
    let place = Place::file();
    place.scenario.write("study.toml", &manifest(4, 5));
    let slurm = ["run", "study.toml", "--on", "slurm", "-n", "4"];
    place.ansatz(&slurm).expect(2).expect_message(&["cannot share the file", "postgres://"]);
    assert!(!place.scenario.journal().exists());
    let nobody = place.ansatz(&["worker", "--study", "other", "--patience", "1"]).expect(7);
    nobody.expect_message(&["no journal"]);
    let url = ServerUrl::try_from("postgres://eva@%2Fnonexistent/tuning".to_owned()).unwrap();
    let arguments = ["worker", "--study", "other", "--patience", "1", "--store", &url.to_string()];
    place.scenario.ansatz(&arguments).expect(5).expect_message(&["is the server up"]);
}

#[test]
fn more_workers_and_fewer_are_had_while_a_study_runs_and_it_is_cancelled_from_elsewhere() {
    for place in Place::each() {
        place.scenario.write("study.toml", &manifest(2000, 60));
        let worker_count = || place.scenario.processes(0).len();
        let asker =
            place.start(&["run", "study.toml", "--quiet", "--on", "local", "-n", "1", "--lease", "20"]);
        let started = Instant::now();
        // hosts count, too: the one who asks is one
        let expect = |count: usize| {
            while worker_count() != count {
                assert!(started.elapsed() < PATIENCE, "{} instead of {count}", worker_count());
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        // more than are asked for before there is a worker
        place.wait_for_records(20);
        let said = place.ansatz(&["scale", STUDY, "3"]).expect(0).stdout;
        assert!(said.contains("wanted 3 workers, present 1; the others are started"), "{said}");
        expect(4);
        let before = place.record_count();
        let said = place.ansatz(&["scale", STUDY, "1"]).expect(0).stdout;
        assert!(said.contains("the newest end"), "{said}");
        expect(2);
        place.ansatz(&["scale", "other", "2"]).expect(7);
        // a paused study is asked for all the same
        place.ansatz(&["scale", STUDY, "0"]).expect(0);
        expect(1);
        place.ansatz(&["scale", STUDY, "2"]).expect(0);
        expect(3);
        let said = place.ansatz(&["cancel", STUDY]).expect(0).stdout;
        assert!(said.contains("--now"), "{said}");
        finish(asker).expect(130);
        expect(0);
        let stored = place.stored();
        assert!(stored.records().len() > before);
        let pending = stored.study.trials().iter().filter(|trial| trial.outcome.is_none()).count();
        let retried =
            stored.records().iter().filter(|record| matches!(record, Record::Retried { .. })).count();
        assert_eq!(retried, 0, "nothing was lost by any of that");
        place.ansatz(&["cancel", STUDY]).expect(2).expect_message(&["is not run any more: cancelled"]);
        place.ansatz(&["scale", STUDY, "2"]).expect(2).expect_message(&["is not run any more"]);
        // it goes on with a smaller budget than what is done
        let resumed = place.stored().study.trials().len().to_string();
        let set = format!("budget.trials={resumed}");
        place.ansatz(&["resume", STUDY, "--quiet", "--on", "local", "-n", "2", "--set", &set]).expect(0);
        place.stored().expect_each_trial_once(resumed.parse().unwrap());
        println!("{}: {pending} trials were taken back, and run later", place.address);
    }
}

#[test]
fn a_worker_that_stays_hears_of_another_plan_and_begins_anew_with_it() {
    let place = Place::file();
    // longer than the limit that comes later
    place
        .scenario
        .write("study.toml", &manifest(12, 400).replace("delay_spread = 1.0", "delay_spread = 0.0"));
    let asker = place.asker("60");
    let worker = place.worker("2");
    // eight asks, and one trial that has ended
    place.wait_for_records(9);
    let id = asker.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    finish(asker).expect(130);
    let set = ["--set", "run.trial_timeout=\"100ms\"", "--set", "run.retries=0"];
    place.ansatz(&[&["resume", STUDY, "--quiet", "--on", "board", "--lease", "60"][..], &set].concat());
    let said = finish(worker).expect(0).stderr;
    assert!(said.contains("beginning anew") && said.matches("joined").count() == 2, "{said}");
    let stored = place.stored();
    stored.expect_each_trial_once(12);
    let failed = stored.outcomes().iter().filter(|(kind, _)| *kind == "failed").count();
    assert!(failed > 0, "the new limit holds: {:?}", stored.outcomes());
}

#[test]
fn who_stands_by_does_not_go_on_with_a_study_that_is_cancelled() {
    for place in Place::each() {
        place.scenario.write("study.toml", &manifest(400, 30));
        let asker = place.asker("20");
        let worker = place.worker("2");
        place.wait_for_records(6);
        // it says when it has seen that somebody else runs the study
        let said = place.scenario.path("work/standby.txt");
        let words =
            ["resume", STUDY, "--standby", "--on", "board", "--lease", "20", "--store", &place.address];
        let mut standby = place.scenario.command(&words);
        let mut standby = standby.stderr(std::fs::File::create(&said).unwrap()).spawn().unwrap();
        let has_said = |what: &str| std::fs::read_to_string(&said).unwrap().contains(what);
        let started = Instant::now();
        while !has_said("standing by: ") {
            assert!(started.elapsed() < PATIENCE, "it does not stand by");
            std::thread::sleep(Duration::from_millis(10));
        }
        place.ansatz(&["cancel", STUDY]).expect(0);
        finish(asker).expect(130);
        finish(worker).expect(0);
        assert_eq!(standby.wait().unwrap().code(), Some(130));
        assert!(has_said("the study was cancelled"));
        let count = place.record_count();
        // who says so afterwards means it
        let set = format!("budget.trials={}", place.stored().study.trials().len() + 2);
        let resume = ["resume", STUDY, "--standby", "--quiet", "--on", "local", "--set", &set];
        place.ansatz(&resume).expect(0);
        assert!(place.record_count() > count);
    }
}
