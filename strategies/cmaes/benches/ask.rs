//! Processor time of an ask with its tell, by number of parameters. Prints, asserts nothing.
//!
//! `cargo bench -p ansatz-strategy-cmaes [-- D ...]`
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops when something is wrong"
)]

use ansatz_core::rng::Rng;
use ansatz_core::space::Parameter;
use ansatz_core::{
    Curve, Goal, Losses, Metric, Observation, ObservedResult, Pending, Point, Problem, Space, Strategy,
    TrialId,
};
use ansatz_strategy_cmaes::{Cmaes, Options};

/// Seconds of processor time of this thread so far.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// A long ellipsoid.
fn loss(point: &Point) -> f64 {
    let part = |(k, x): (i32, f64)| f64::from(1 + k) * f64::from(1 + k) * (x - 0.43) * (x - 0.43);
    (0..).zip(point.coordinates().flatten()).map(part).sum()
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let dimension_counts = if numbers.is_empty() { vec![2, 10, 20, 50, 100, 200] } else { numbers };
    println!("microseconds of processor time: mean of an ask, mean of a tell, largest tell");
    for dimension_count in dimension_counts {
        let parameters = (0..dimension_count).map(|k| Parameter::float(format!("x{k}"), 0.0, 1.0));
        let space = Space::of(parameters.collect()).expect("a space");
        let problem = Problem::new(space, vec![Metric { name: "loss".into(), goal: Goal::Minimise }]);
        let mut strategy = Cmaes::new(&problem, Options::default(), Rng::new(7)).expect("a strategy");
        let trial_count = (200_000 / dimension_count).clamp(2_000, 20_000) as u64;
        let (mut asking, mut telling, mut longest) = (0.0, 0.0, 0.0_f64);
        for trial in 0..trial_count {
            let start = processor_seconds();
            let suggestion = strategy.ask(1, &Pending::NONE).expect("it asks").remove(0);
            let asked = processor_seconds();
            let losses =
                Losses { values: vec![loss(&suggestion.point)], standard_errors: vec![], excesses: vec![] };
            let observation = Observation {
                trial: TrialId(trial),
                tag: Some(suggestion.tag),
                point: suggestion.point,
                fidelity: None,
                curve: Curve::default(),
                result: ObservedResult::Completed(losses),
            };
            let start_tell = processor_seconds();
            strategy.tell(&[observation]).expect("it listens");
            let told = processor_seconds() - start_tell;
            asking += asked - start;
            telling += told;
            longest = longest.max(told);
        }
        let mean = |seconds: f64| 1e6 * seconds / trial_count as f64;
        println!(
            "{dimension_count:4} parameters: {:8.1} {:8.1} {:8.0}",
            mean(asking),
            mean(telling),
            1e6 * longest
        );
    }
}
