//! What the model-based strategy is for: with the same number of trials it comes much closer to the optimum
//! than random search. Seeds are fixed, so these numbers repeat; they are medians over several studies.

use ansatz_tests::closed_loop::{Function, median, regret};

/// Trials of each study.
const TRIAL_COUNT: u64 = 60;

fn regrets(strategy: &str, function: &Function, study_count: u64) -> Vec<f64> {
    let values: Vec<f64> =
        (0..study_count).map(|seed| regret(strategy, function, TRIAL_COUNT, seed)).collect();
    println!("{} {strategy}: {values:?}", function.name);
    values
}

/// Checks that the median regret of random search is at least 20 times that of the model.
#[track_caller]
fn beats_random(function: &Function, study_count: u64) {
    // random studies take milliseconds: many of them, so that chance is in their median no more
    let random = median(regrets("random", function, 41));
    let model = median(regrets("bayesian", function, study_count));
    assert!(
        random >= 20.0 * model,
        "{}: median regret {model:.2e}, of random search {random:.2e}",
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
    if std::env::var_os("ANSATZ_SLOW_TESTS").is_some_and(|value| value == "1") {
        beats_random(&hartmann6(), 11);
    }
}
