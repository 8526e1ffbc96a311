//! What the model-based strategies are for: with the same number of trials it comes much closer to the optimum
//! than random search. Seeds are fixed, so these numbers repeat; they are medians over several studies.

use crate::scenario;
use ansatz_tests::closed_loop::{Function, median, regret};
use ansatz_tests::slow_tests_run;
use serde_json::Value;
use std::fmt::Write as _;

/// Trials of each study.
const TRIAL_COUNT: u64 = 60;

fn regrets(strategy: &str, function: &Function, study_count: u64) -> Vec<f64> {
    let values: Vec<f64> =
        (0..study_count).map(|seed| regret(strategy, function, TRIAL_COUNT, seed)).collect();
    println!("{} {strategy}: {values:?}", function.name);
    values
}

/// Checks that the median regret of random search is at least 20 times that of `bayesian`.
#[track_caller]
fn beats_random(function: &Function, study_count: u64) {
    beats_random_by(20.0, "bayesian", function, study_count);
}

/// Checks that the median regret of random search is at least so many times that of a strategy.
#[track_caller]
fn beats_random_by(factor: f64, strategy: &str, function: &Function, study_count: u64) {
    // random studies take milliseconds: many of them, so that chance is in their median no more
    let random = median(regrets("random", function, 41));
    let model = median(regrets(strategy, function, study_count));
    assert!(
        random >= factor * model,
        "{}: median regret of {strategy} {model:.2e}, of random search {random:.2e}",
        function.name
    );
}

fn branin() -> Function {
    Function { name: "branin", bounds: vec![(-5.0, 10.0), (0.0, 15.0)] }
}

fn hartmann6() -> Function {
    Function { name: "hartmann6", bounds: vec![(0.0, 1.0); 6] }
}

#[test]
fn the_model_comes_closer_than_random_search_on_branin() {
    beats_random(&branin(), 7);
}

/// Hartmann's function has a second minimum 0.1192 above the first, which catches about one study in three.
/// One of the two is what every study finds; random search is still 1.4 away.
#[test]
fn the_model_finds_one_of_the_two_best_minima_of_hartmann6() {
    let values = regrets("bayesian", &hartmann6(), 3);
    assert!(values.iter().all(|regret| *regret < 0.12), "{values:?}");
}

#[test]
fn the_model_comes_closer_than_random_search_on_hartmann6() {
    if slow_tests_run() {
        beats_random(&hartmann6(), 11);
    }
}

/// Where trials are many no model is needed: medians of 21 seeds after so many trials, against random search.
#[track_caller]
fn beats_random_without_a_model(strategy: &str, trial_count: u64, cases: [(Function, f64); 3]) {
    for (function, factor) in cases {
        let median_of =
            |strategy| median((0..21).map(|seed| regret(strategy, &function, trial_count, seed)).collect());
        let (found, chance) = (median_of(strategy), median_of("random"));
        println!("{} {strategy}: {found:.2e}, random search {chance:.2e}", function.name);
        assert!(factor * found <= chance, "{}: {found:.2e}, random search {chance:.2e}", function.name);
    }
}

#[test]
fn the_adapted_distribution_comes_closer_than_random_search() {
    if slow_tests_run() {
        let valley = Function { name: "rosenbrock", bounds: vec![(-5.0, 10.0); 4] };
        beats_random_without_a_model("cmaes", 300, [(branin(), 1e4), (hartmann6(), 5.0), (valley, 20.0)]);
    }
}

#[test]
fn a_population_comes_closer_than_random_search() {
    let waves = Function { name: "rastrigin", bounds: vec![(-4.0, 5.12); 4] };
    beats_random_without_a_model("evolution", 600, [(branin(), 1e4), (hartmann6(), 5.0), (waves, 5.0)]);
}

#[test]
fn a_region_that_closes_in_comes_closer_than_random_search() {
    let valley = Function { name: "rosenbrock", bounds: vec![(-5.0, 10.0); 4] };
    beats_random_without_a_model("local", 300, [(branin(), 1e6), (hartmann6(), 5.0), (valley, 1e3)]);
}

#[test]
fn densities_come_closer_than_random_search() {
    beats_random_by(8.0, "tpe", &branin(), 11);
    beats_random_by(3.0, "tpe", &hartmann6(), 11);
}

/// A function, the same bounds for each of so many parameters, and what the median regret after 60 trials must be at
/// most: where the function is as published, and where each seed moves it and adds a constant. A recipe that profits
/// from a minimum of 0 or in the middle of the space fails the second.
struct Target {
    function: &'static str,
    parameter_count: usize,
    bounds: (f64, f64),
    regret_max: f64,
    seed_count: usize,
}

const fn target(
    function: &'static str,
    parameter_count: usize,
    bounds: (f64, f64),
    regret_max: f64,
) -> Target {
    Target { function, parameter_count, bounds, regret_max, seed_count: 10 }
}

impl Target {
    /// Where ten seeds say little: their median is twice what that of ten others is. The best minima of Rastrigin's
    /// function have values near whole numbers, and medians of forty seeds still go from 6 to 10.5.
    const fn of_seeds(self, seed_count: usize) -> Self {
        Self { seed_count, ..self }
    }
}

const TARGETS: [Target; 9] = [
    target("branin", 2, (f64::NAN, f64::NAN), 1e-6),
    target("hartmann6", 6, (0.0, 1.0), 1e-4),
    target("ackley", 5, (-5.0, 10.0), 1.0),
    target("ackley", 10, (-5.0, 10.0), 3.5).of_seeds(40),
    target("levy", 4, (-10.0, 10.0), 0.2),
    target("rosenbrock", 4, (-5.0, 10.0), 4.0),
    target("rastrigin", 4, (-4.0, 5.12), 8.0).of_seeds(160),
    target("styblinski_tang", 6, (-5.0, 5.0), 29.0).of_seeds(40),
    target("noisy_hartmann6", 6, (0.0, 1.0), 0.3),
];

/// Seeds from 1 on both variants.
fn arena(target: &Target) -> String {
    let seed_count = target.seed_count;
    let mut text = format!("budgets = [60]\nseeds = {seed_count}\njobs = 2\n[strategies.bayesian]\n");
    for (name, instances) in [("plain", ""), ("moved", "instances = true\n")] {
        let Target { function, parameter_count, bounds, .. } = target;
        let mut space = String::new();
        for number in 1..=*parameter_count {
            let (low, high) = match (*function, number) {
                ("branin", 1) => (-5.0, 10.0),
                ("branin", _) => (0.0, 15.0),
                _ => *bounds,
            };
            let _ = writeln!(space, "x{number} = {{ float = [{low:?}, {high:?}] }}");
        }
        let _ = writeln!(
            text,
            "[problems.{name}]\nmetric = \"regret\"\noptimum = 0.0\n{instances}\
             [problems.{name}.study.objective]\nplugin = \"synthetic\"\noptions = {{ function = \"{function}\" }}\n\
             [problems.{name}.study.metrics]\nvalue = \"minimise\"\n[problems.{name}.study.space]\n{space}"
        );
    }
    text
}

#[test]
fn regrets_reach_their_targets_where_the_optimum_has_moved_too() {
    if !slow_tests_run() {
        return;
    }
    let mut missed = String::new();
    for (index, target) in TARGETS.iter().enumerate() {
        let scenario = scenario();
        scenario.write("arena.toml", &arena(target));
        // by parts: a machine that does other things would take too long over all
        for seed_count in (0..target.seed_count).step_by(40) {
            let seed_count = (seed_count + 40).min(target.seed_count).to_string();
            scenario.ansatz(&["bench", "arena.toml", "--seeds", &seed_count, "--output", "out"]).expect(0);
        }
        let results = std::fs::read_to_string(scenario.path("work/out/results.jsonl")).unwrap();
        let results: Vec<Value> = results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for problem in ["plain", "moved"] {
            let regrets: Vec<f64> = results
                .iter()
                .filter(|result| result["problem"] == problem)
                .map(|result| result["trace"][59].as_f64().unwrap())
                .collect();
            assert_eq!(regrets.len(), target.seed_count);
            let found = median(regrets);
            let line = format!(
                "{} of {} parameters, {problem}: {found:.2e}, target {:e}",
                target.function, target.parameter_count, target.regret_max
            );
            println!("{line}");
            if found > target.regret_max {
                let _ = writeln!(missed, "{index}: {line}");
            }
        }
    }
    assert!(missed.is_empty(), "median regrets after 60 trials:\n{missed}");
}
