//! Processor time of an ask with its tell, by method, population and number of parameters. Prints, asserts nothing.
//!
//! `cargo bench -p ansatz-strategy-evolution`
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
use ansatz_strategy_evolution::{Evolution, Options};

/// Seconds of processor time of this thread so far.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// The squared distance from a place of each metric's own.
fn losses(point: &Point, metric_count: usize) -> Vec<f64> {
    let loss = |metric: usize| {
        let place = (metric as f64 + 0.5) / metric_count as f64;
        point.coordinates().flatten().map(|x| (x - place) * (x - place)).sum()
    };
    (0..metric_count).map(loss).collect()
}

fn main() {
    println!("microseconds of processor time: mean of an ask, mean of a tell, largest tell");
    for (metric_count, population_size, parameter_count) in
        [(1, 100, 10), (1, 200, 100), (2, 100, 10), (2, 100, 100), (3, 100, 10), (5, 100, 10), (10, 275, 20)]
    {
        let parameters = (0..parameter_count).map(|k| Parameter::float(format!("x{k}"), 0.0, 1.0));
        let space = Space::of(parameters.collect()).expect("a space");
        let metric = |k: usize| Metric { name: format!("f{k}"), goal: Goal::Minimise };
        let problem = Problem::new(space, (0..metric_count).map(metric).collect());
        let options = Options { population_size: Some(population_size), ..Options::default() };
        let mut strategy = Evolution::new(&problem, options, Rng::new(7)).expect("a strategy");
        let trial_count = 5000;
        let (mut asking, mut telling, mut longest) = (0.0, 0.0, 0.0_f64);
        for trial in 0..trial_count {
            let start = processor_seconds();
            let suggestion = strategy.ask(1, &Pending::NONE).expect("it asks").remove(0);
            asking += processor_seconds() - start;
            let values = losses(&suggestion.point, metric_count);
            let observation = Observation {
                trial: TrialId(trial),
                tag: Some(suggestion.tag),
                point: suggestion.point,
                fidelity: None,
                curve: Curve::default(),
                result: ObservedResult::Completed(Losses {
                    values,
                    standard_errors: vec![],
                    excesses: vec![],
                }),
            };
            let start = processor_seconds();
            strategy.tell(&[observation]).expect("it listens");
            let told = processor_seconds() - start;
            telling += told;
            longest = longest.max(told);
        }
        let mean = |seconds: f64| 1e6 * seconds / trial_count as f64;
        println!(
            "{metric_count:2} metrics, {population_size:3} members, {parameter_count:3} parameters: {:8.1} {:8.1} {:8.0}",
            mean(asking),
            mean(telling),
            1e6 * longest
        );
    }
}
