//! `ansatz bench` from a file to a report: what is done is kept, what breaks is recorded, and results depend on seeds
//! alone.

use crate::scenario;
use ansatz_tests::scenario::PATIENCE;
use ansatz_tests::{Running, Scenario};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Two problems: one with instances, and one whose space has conditions and whose trials must keep a bound.
const PROBLEMS: &str = r#"
[problems.levy]
metric = "regret"
optimum = 0.0
instances = true
family = "moved"
[problems.levy.study.objective]
plugin = "synthetic"
options = { function = "levy", rotate = true }
[problems.levy.study.metrics]
value = "minimise"
[problems.levy.study.space]
x1 = { float = [-10.0, 10.0] }
x2 = { float = [-10.0, 10.0] }

[problems.bounded]
[problems.bounded.study.objective]
plugin = "synthetic"
options = { function = "branin" }
[problems.bounded.study.metrics]
value = "minimise"
regret = { at_most = 100 }
[problems.bounded.study.space]
x1 = { float = [-5.0, 10.0] }
x2 = { float = [0.0, 15.0] }
"#;

const STRATEGIES: &str =
    "[strategies.random]\n[strategies.sobol]\n[strategies.annealing]\noptions = { chains = 2 }\n";

fn arena(head: &str, strategies: &str) -> String {
    format!("budgets = [5, 12]\nseeds = 3\n{head}\n{strategies}\n{PROBLEMS}")
}

/// Every line of the results, by strategy, problem and seed, without what time decides.
fn results(scenario: &Scenario, folder: &str) -> Vec<Value> {
    let path = scenario.path("work").join(folder).join("results.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        for key in ["ask_seconds", "tell_seconds", "ask_cpu_means", "evaluation_seconds", "date"] {
            assert!(line.as_object_mut().unwrap().remove(key).is_some(), "no {key}: {line}");
        }
    }
    lines.sort_by_key(|line| format!("{} {} {}", line["problem"], line["seed"], line["strategy"]));
    lines
}

#[test]
fn results_depend_on_the_seeds_and_not_on_the_jobs() {
    let scenario = scenario();
    scenario.write("arena.toml", &arena("", STRATEGIES));
    for (jobs, folder) in [("1", "one"), ("3", "three")] {
        scenario.ansatz(&["bench", "arena.toml", "--jobs", jobs, "--output", folder]).expect(0);
    }
    let one = results(&scenario, "one");
    assert_eq!(one.len(), 3 * 2 * 3);
    assert_eq!(one, results(&scenario, "three"));
    // instances differ, and each has its optimum within reach
    let first: Vec<&Value> =
        one.iter().filter(|line| line["problem"] == "levy").map(|line| &line["trace"][0]).collect();
    assert!(first.iter().any(|value| *value != first[0]));
    let page = std::fs::read_to_string(scenario.path("work/one/report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("http"), "the page needs nothing else");
}

#[test]
fn with_several_slots_strategies_do_not_know_what_the_latest_trials_came_to() {
    let scenario = scenario();
    let strategies = STRATEGIES.to_owned() + "[strategies.tpe]\noptions = { initial_count = 2 }\n";
    scenario.write("arena.toml", &arena("", &strategies));
    let bench = |more: &[&str]| {
        let fixed = ["bench", "arena.toml", "--problems", "levy", "--seeds", "2"];
        let output: &[&str] = if more.contains(&"--output") { &[] } else { &["--output", "out"] };
        scenario.ansatz(&[&fixed[..], output, more].concat()).expect(0)
    };
    let json = bench(&["--json"]).json();
    assert_eq!(json["slots"], 1);
    let one = results(&scenario, "out");
    assert!(one.iter().all(|line| line.get("slots").is_none()), "as before there were several");
    // whatever the jobs
    let four = bench(&["--slots", "4", "--jobs", "2"]);
    assert!(four.stdout.contains("8 runs, 4 trials at a time\n"), "{four}");
    let page = std::fs::read_to_string(scenario.path("work/out/report.html")).unwrap();
    assert!(page.contains("8 runs, 4 trials at a time. Ansatz"));
    let both = results(&scenario, "out");
    assert_eq!((one.len(), both.len()), (8, 16), "runs with other slots are other runs");
    let traces = |strategy: &str, slots: Option<u64>| -> Vec<&Value> {
        let own = both.iter().filter(|line| line["strategy"] == strategy);
        own.filter(|line| line.get("slots").and_then(Value::as_u64) == slots)
            .map(|line| &line["trace"])
            .collect()
    };
    for (strategy, learns) in [("random", false), ("sobol", false), ("tpe", true), ("annealing", true)] {
        let (alone, at_once) = (traces(strategy, None), traces(strategy, Some(4)));
        assert_eq!((alone.len(), at_once.len()), (2, 2));
        assert_eq!(alone != at_once, learns, "{strategy}");
        // two chains wait for their results with two more slots free
        assert!(at_once.iter().all(|trace| trace.as_array().unwrap().len() == 12), "{strategy}");
    }
    bench(&["--slots", "4"]);
    assert_eq!(both, results(&scenario, "out"), "nothing was run");
    bench(&["--slots", "4", "--output", "again"]);
    let again = results(&scenario, "again");
    assert!(again.iter().all(|line| both.contains(line)), "they depend on nothing but seeds and slots");
    // the file says so as well
    scenario.write("arena.toml", &arena("slots = 4", &strategies));
    bench(&[]);
    assert_eq!(both, results(&scenario, "out"), "nothing was run");
}

#[test]
fn what_is_done_is_kept_and_a_torn_line_is_run_again() {
    let scenario = scenario();
    scenario.write("arena.toml", &arena("", STRATEGIES));
    let bench = |more: &[&str]| {
        let arguments = [&["bench", "arena.toml", "--output", "out"], more].concat();
        scenario.ansatz(&arguments).expect(0)
    };
    bench(&["--problems", "moved", "--seeds", "2"]);
    let before = results(&scenario, "out");
    assert_eq!(before.len(), 3 * 2);
    let path = scenario.path("work/out/results.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 40]).unwrap();
    let ended = bench(&["--problems", "levy"]);
    assert!(ended.stderr.contains("torn"), "{ended}");
    let after = results(&scenario, "out");
    assert_eq!(after.len(), 3 * 3);
    assert!(before.iter().all(|line| after.contains(line)));
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.starts_with(&text[..text.len() / 2]), "what was done was not touched");
    let json = bench(&["--problems", "levy", "--json"]).json();
    assert_eq!(kept, std::fs::read_to_string(&path).unwrap(), "nothing was run");
    assert_eq!(json["run_count"], 9);
    assert_eq!(json["strategies"][0]["by_budget"][1]["budget"], 12);
}

#[test]
fn what_cannot_or_breaks_is_recorded_and_takes_nothing_down() {
    let scenario = scenario().with("ansatz-fault-misbehaving");
    let faulty = |name: &str, options: &str| {
        format!(
            "[strategies.{name}]\nplugin = \"com.example.misbehaving-strategy\"\noptions = {{ {options} }}\n"
        )
    };
    let strategies = STRATEGIES.to_owned()
        + &faulty("panics", "misdeed = \"panic-in-ask\", after = 4")
        + &faulty("aborts", "misdeed = \"abort\", after = 6")
        + &faulty("lies", "misdeed = \"outside\"")
        + &faulty("refuses", "misdeed = \"panic-in-new\"")
        + &faulty("waits", "misdeed = \"waits\"");
    scenario.write("arena.toml", &arena("jobs = 2", &strategies));
    let json = scenario.ansatz(&["bench", "arena.toml", "--seeds", "1", "--json"]).expect(0).json();
    let lines = results(&scenario, "bench/arena");
    assert_eq!(lines.len(), 8 * 2);
    let of = |strategy: &str, problem: &str| {
        lines.iter().find(|line| line["strategy"] == strategy && line["problem"] == problem).unwrap()
    };
    let cases = [
        ("random", "bounded", None, 12, ""),
        ("annealing", "levy", None, 12, ""),
        ("annealing", "bounded", Some("unsupported"), 0, "outcome"),
        ("panics", "levy", Some("broke"), 4, "panic"),
        ("aborts", "levy", Some("broke"), 6, "signal"),
        ("lies", "levy", Some("broke"), 0, ""),
        ("refuses", "levy", Some("broke"), 0, "panic"),
        ("waits", "levy", None, 0, ""),
    ];
    for (strategy, problem, failing, trial_count, said) in cases {
        let line = of(strategy, problem);
        assert_eq!(line["failing"].as_str(), failing, "{line}");
        assert_eq!(line["failed"], failing.is_some(), "{line}");
        assert_eq!(line["trial_count"], trial_count, "{line}");
        assert!(line["error"].as_str().unwrap_or_default().contains(said), "{line}");
    }
    // what could not take part is not compared, what broke is
    let bounded = &json["problems"][1]["strategies"];
    assert_eq!((&bounded[2]["run_count"], &bounded[3]["run_count"]), (&0.into(), &1.into()));
    assert!(json["failures"].as_array().unwrap().iter().any(|failure| failure["strategy"] == "annealing"));
}

#[test]
fn interrupted_it_keeps_what_is_done_and_goes_on() {
    let scenario = scenario();
    let slow = PROBLEMS.replace("rotate = true", "delay_ms = 20");
    scenario.write("arena.toml", &format!("budgets = [12]\nseeds = 20\n{STRATEGIES}\n{slow}"));
    let arguments = ["bench", "arena.toml", "--output", "out", "--problems", "levy"];
    let mut child = Running::start(&mut scenario.command(&arguments));
    let started = Instant::now();
    let path = scenario.path("work/out/results.jsonl");
    while std::fs::read_to_string(&path).map_or(0, |text| text.lines().count()) < 2 {
        assert!(started.elapsed() < PATIENCE, "nothing happened");
        child = match child.wait(Duration::from_millis(20)) {
            Ok(ended) => panic!("it ended too early: {ended}"),
            Err(running) => running,
        };
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let Ok(ended) = child.wait(PATIENCE) else { panic!("it does not end") };
    assert!(ended.expect(130).stdout.contains("to go"));
    let before = results(&scenario, "out");
    assert!(before.len() < 60);
    scenario.ansatz(&[&arguments[..], &["--seeds", "2"]].concat()).expect(0);
    assert!(before.iter().all(|line| results(&scenario, "out").contains(line)));
}

#[test]
fn a_bad_arena_is_told_where_and_what_is_allowed() {
    let scenario = scenario();
    let check = |text: &str, code: i32, parts: &[&str]| {
        scenario.write("arena.toml", text);
        scenario.ansatz(&["bench", "arena.toml"]).expect(code).expect_message(parts);
    };
    let good = arena("", STRATEGIES);
    check(
        &good.replace("seeds = 3", "seed_s = 3"),
        3,
        &["no section \"seed_s\"", "did you mean \"seeds\"", "arena.toml:2:1"],
    );
    check(&good.replace("[5, 12]", "[]"), 3, &["budgets is empty", "arena.toml:1:11"]);
    check(
        &good.replace("chains", "chians"),
        3,
        &["strategies.annealing.options", "did you mean \"chains\"", "arena.toml:7:"],
    );
    check(
        &good.replace("[strategies.sobol]", "[strategies.sobbol]"),
        4,
        &["\"sobbol\"", "sobol", "arena.toml:5:"],
    );
    check(
        &good.replace("\"levy\", rotate", "\"levi\", rotate"),
        3,
        &["problem levy", "\"levi\"", "arena.toml:17:"],
    );
    check(
        &good.replace("x2 = { float = [0.0,", "x2 = { float = [99.0,"),
        3,
        &["parameter x2", "arena.toml:33:"],
    );
    check(
        &good.replace("regret = {", "regret = \"minimise\" #"),
        3,
        &["several metrics", "arena.toml:", "add reference = { value = 1.0, regret = 1.0 }"],
    );
    check(
        &good.replace("[problems.bounded]", "[problems.bounded]\nreference = { value = 9 }"),
        3,
        &["problems.bounded.reference has no effect: the study improves value alone"],
    );
    let file = "seeds = 1\n[problems.branin]\nstudy = \"nowhere.toml\"\n";
    check(file, 3, &["there is no file", "nowhere.toml", "arena.toml:3:9"]);
    scenario
        .ansatz(&["bench", "--problems", "brannin"])
        .expect(2)
        .expect_message(&["did you mean \"branin\""]);
}

#[test]
fn the_arena_that_ships_is_right_and_may_be_narrowed() {
    let scenario = scenario();
    let arguments = ["bench", "--strategies", "random,grid", "--seeds", "1", "--budget", "3", "--json"];
    let json = scenario.ansatz(&arguments).expect(0).json();
    assert_eq!(json["failures"], Value::Array(Vec::new()));
    assert_eq!(json["budgets"], serde_json::json!([3]));
    assert!(json["problems"].as_array().unwrap().len() >= 30);
    let arguments =
        ["bench", "several", "--strategies", "random,sobol", "--seeds", "1", "--budget", "3", "--json"];
    let several = scenario.ansatz(&arguments).expect(0).json();
    assert_eq!((&several["name"], &several["run_count"]), (&"several".into(), &10.into()));
}

/// Two metrics, with the front f2 = 1 - sqrt(f1).
const SEVERAL: &str = r#"
budgets = [12]
seeds = 2
[strategies.random]
[strategies.tpe]
[strategies.cmaes]
[strategies.auto]
[problems.front]
reference = { f1 = 1.1, f2 = 2 }
optimum = 1.8666667
[problems.front.study.objective]
plugin = "synthetic"
options = { function = "zdt1" }
[problems.front.study.metrics]
f1 = "minimise"
f2 = "minimise"
[problems.front.study.space]
x1 = { float = [0.0, 1.0] }
x2 = { float = [0.0, 0.2] }
"#;

#[test]
fn several_metrics_are_compared_by_the_hypervolume_of_their_front() {
    let scenario = scenario();
    scenario.write("arena.toml", SEVERAL);
    let json = scenario.ansatz(&["bench", "arena.toml", "--output", "out", "--json"]).expect(0).json();
    let lines = results(&scenario, "out");
    assert_eq!(lines.len(), 4 * 2);
    for line in &lines {
        let trace: Vec<f64> = line["trace"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert_eq!(line["metric"], "hypervolume");
        if line["strategy"] == "cmaes" {
            assert_eq!((&line["failing"], trace.len()), (&"unsupported".into(), 0));
            continue;
        }
        // never less than before, and never more than there is: 2.2 below (1.1, 2) but for what lies under the front
        assert_eq!(trace.len(), 12);
        assert!(trace.is_sorted() && trace[0] >= 0.0 && trace[11] > 0.8, "{trace:?}");
        assert!(trace[11] <= 2.2 - 1.0 / 3.0, "{trace:?}");
    }
    let of = |strategy: &str| lines.iter().find(|line| line["strategy"] == strategy).unwrap();
    assert_eq!(of("auto")["plugin"], "bayesian+tpe", "who is automatic depends on the metrics");
    let shown = json["strategies"].as_array().unwrap().iter().find(|line| line["name"] == "auto").unwrap();
    assert_eq!(shown["plugin"], "bayesian+tpe");
    let both = SEVERAL.to_owned() + PROBLEMS;
    scenario.write("both.toml", &both);
    let arguments = ["bench", "both.toml", "--strategies", "auto", "--seeds", "1", "--json"];
    let both = scenario.ansatz(&arguments).expect(0).json();
    assert_eq!(both["strategies"][0]["plugin"], "bayesian+local+cmaes+tpe or bayesian+tpe");
    let problem = &json["problems"][0];
    let best = problem["strategies"].as_array().unwrap().iter();
    let regrets: Vec<f64> = best.filter_map(|line| line["by_budget"][0]["median"].as_f64()).collect();
    assert!(regrets.iter().all(|regret| *regret < 1.1 && *regret > 0.0), "{regrets:?}");

    let check = |from: &str, to: &str, expected: &[&str]| {
        assert!(SEVERAL.contains(from));
        scenario.write("wrong.toml", &SEVERAL.replace(from, to));
        scenario.ansatz(&["bench", "wrong.toml"]).expect(3).expect_message(expected);
    };
    check("f2 = 2", "g2 = 2", &["reference has g2", "did you mean \"f2\"?", "it improves f1, f2"]);
    check("optimum = 1.8666667", "metric = \"f1\"", &["problems.front.metric does not go with .reference"]);
    check(", f2 = 2", "", &["problems.front.reference lacks f2", "add reference = { f1 = 1.0, f2 = 1.0 }"]);
    check(
        "f2 = \"minimise\"",
        "f2 = \"minimise\"\nf3 = \"minimise\"\nf4 = \"minimise\"\nf5 = \"minimise\"",
        &["problems.front improves 5 metrics", "up to 4"],
    );
    check("f2 = 2", "f2 = inf", &["infinity is not allowed"]);
}

#[test]
fn the_arena_of_the_documentation_runs() {
    let scenario = scenario();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/bench.md")).unwrap();
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    scenario.write("family.toml", block);
    std::fs::create_dir_all(scenario.path("work/problems")).unwrap();
    let study = std::fs::read_to_string(root.join("plugins/synthetic/examples/branin.toml")).unwrap();
    scenario.write("problems/branin.toml", &study);
    let json = scenario
        .ansatz(&["bench", "family.toml", "--seeds", "1", "--budget", "8", "--json"])
        .expect(0)
        .json();
    assert_eq!(json["failures"], Value::Array(Vec::new()));
    assert_eq!((&json["name"], &json["run_count"]), (&"family".into(), &3.into()));
}
