//! Processor time of an ask and of a tell, by number of results and parameters. Prints, asserts nothing.
//!
//! `cargo bench -p ansatz-strategy-bayesian [-- D [N ...]]`
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
use ansatz_strategy_bayesian::{Bayesian, Options};
use rand::RngExt;

/// Seconds of processor time of this thread so far.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// A curved valley with ripples (Levy 1985) on the unit cube.
fn loss(point: &Point) -> f64 {
    let w: Vec<f64> =
        point.coordinates().map(|x| 1.0 + (20.0 * (x.expect("all are active") - 0.43) - 1.0) / 4.0).collect();
    let pi = std::f64::consts::PI;
    let last = w[w.len() - 1];
    let inner = |w: &f64| (w - 1.0).powi(2) * (1.0 + 10.0 * (pi * w + 1.0).sin().powi(2));
    (pi * w[0]).sin().powi(2)
        + w[..w.len() - 1].iter().map(inner).sum::<f64>()
        + (last - 1.0).powi(2) * (1.0 + (2.0 * pi * last).sin().powi(2))
}

fn observation(trial: u64, point: &Point) -> Observation {
    let losses = Losses { values: vec![loss(point)], standard_errors: vec![], excesses: vec![] };
    Observation {
        trial: TrialId(trial),
        tag: Some(0),
        point: point.clone(),
        fidelity: None,
        curve: Curve::default(),
        result: ObservedResult::Completed(losses),
    }
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (dimension_count, counts) = match numbers.split_first() {
        Some((first, rest)) if !rest.is_empty() => (*first, rest.to_vec()),
        Some((first, _)) => (*first, vec![50, 100, 200, 500, 1000, 2000]),
        None => (10, vec![50, 100, 200, 500, 1000, 2000]),
    };
    println!(
        "{dimension_count} parameters; milliseconds of processor time: median and largest of asks but the first, which \
         fits all models; mean of tells"
    );
    // No model is thinned here: what is measured are models of so many.
    let options = Options { observation_count_max: 100_000, ..Options::default() };
    for count in counts {
        let space =
            Space::of((0..dimension_count).map(|k| Parameter::float(format!("x{k}"), 0.0, 1.0)).collect())
                .expect("a space");
        let problem = Problem::new(space.clone(), vec![Metric { name: "loss".into(), goal: Goal::Minimise }]);
        let mut strategy = Bayesian::new(&problem, options.clone(), Rng::new(7)).expect("a strategy");
        let mut rng = Rng::new(8);
        // Half of the points anywhere, half around the optimum, as in a study under way.
        let told: Vec<Observation> = (0..count as u64)
            .map(|trial| {
                let width = if trial % 2 == 0 { 1.0 } else { 0.2 };
                let x: Vec<f64> = (0..dimension_count)
                    .map(|_| (0.43 + width * (rng.random::<f64>() - 0.5)).clamp(0.0, 1.0))
                    .collect();
                observation(trial, &Point::from_flat(&x))
            })
            .collect();
        strategy.tell(&told).expect("told");
        let (mut asks, mut tells) = (Vec::new(), 0.0);
        // until each of three models has been fitted anew
        let round_count = 25 + count / 50;
        for round in 0..round_count {
            let start = processor_seconds();
            let asked = strategy.ask(1, &Pending::NONE).expect("asked");
            asks.push(1e3 * (processor_seconds() - start));
            let news = observation((count + round) as u64, &asked[0].point);
            let start = processor_seconds();
            strategy.tell(&[news]).expect("told");
            tells += 1e3 * (processor_seconds() - start) / round_count as f64;
        }
        let first = asks.remove(0);
        asks.sort_by(f64::total_cmp);
        println!(
            "n {count:5}: ask {:8.2} {:8.2} (first {first:8.2}), tell {tells:6.3}",
            asks[asks.len() / 2],
            asks[asks.len() - 1]
        );
    }
}
