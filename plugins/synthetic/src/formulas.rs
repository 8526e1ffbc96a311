//! The formulas alone: numbers in, numbers out, minimised. Bounds, optima and sources are data beside
//! them, in `functions.rs`; the mixed function is in `pipeline.rs`.
//!
//! Special functions come from `libm` and powers are written as products, so that a value has the same
//! bits on every platform and a journal replays anywhere. Letters are those of the sources.

use std::f64::consts::{E, PI};

fn square(value: f64) -> f64 {
    value * value
}

/// Branin. `x`: two values.
pub(crate) fn branin(x: &[f64]) -> f64 {
    let b = 5.1 / (4.0 * PI * PI);
    let c = 5.0 / PI;
    let t = 1.0 / (8.0 * PI);
    square(x[1] - b * square(x[0]) + c * x[0] - 6.0) + 10.0 * (1.0 - t) * libm::cos(x[0]) + 10.0
}

const HARTMANN_WEIGHTS: [f64; 4] = [1.0, 1.2, 3.0, 3.2];

/// Hartmann in `N` dimensions; `centres` in units of 1e-4.
fn hartmann<const N: usize>(x: &[f64], steepness: &[[f64; N]; 4], centres: &[[f64; N]; 4]) -> f64 {
    let mut total = 0.0;
    for i in 0..4 {
        let mut exponent = 0.0;
        for j in 0..N {
            exponent += steepness[i][j] * square(x[j] - 1e-4 * centres[i][j]);
        }
        total -= HARTMANN_WEIGHTS[i] * libm::exp(-exponent);
    }
    total
}

/// Hartmann with three parameters.
pub(crate) fn hartmann3(x: &[f64]) -> f64 {
    const STEEPNESS: [[f64; 3]; 4] =
        [[3.0, 10.0, 30.0], [0.1, 10.0, 35.0], [3.0, 10.0, 30.0], [0.1, 10.0, 35.0]];
    const CENTRES: [[f64; 3]; 4] = [
        [3689.0, 1170.0, 2673.0],
        [4699.0, 4387.0, 7470.0],
        [1091.0, 8732.0, 5547.0],
        [381.0, 5743.0, 8828.0],
    ];
    hartmann(x, &STEEPNESS, &CENTRES)
}

/// Hartmann with six parameters.
pub(crate) fn hartmann6(x: &[f64]) -> f64 {
    const STEEPNESS: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const CENTRES: [[f64; 6]; 4] = [
        [1312.0, 1696.0, 5569.0, 124.0, 8283.0, 5886.0],
        [2329.0, 4135.0, 8307.0, 3736.0, 1004.0, 9991.0],
        [2348.0, 1451.0, 3522.0, 2883.0, 3047.0, 6650.0],
        [4047.0, 8828.0, 8732.0, 5743.0, 1091.0, 381.0],
    ];
    hartmann(x, &STEEPNESS, &CENTRES)
}

/// Ackley with a = 20, b = 0.2, c = 2 pi.
pub(crate) fn ackley(x: &[f64]) -> f64 {
    let d = x.len() as f64;
    let mean_square = x.iter().map(|&v| square(v)).sum::<f64>() / d;
    let mean_cosine = x.iter().map(|&v| libm::cos(2.0 * PI * v)).sum::<f64>() / d;
    -20.0 * libm::exp(-0.2 * mean_square.sqrt()) - libm::exp(mean_cosine) + 20.0 + E
}

/// Levy, in the form with w = 1 + (x - 1) / 4.
pub(crate) fn levy(x: &[f64]) -> f64 {
    let w = |i: usize| 1.0 + (x[i] - 1.0) / 4.0;
    let last = x.len() - 1;
    let mut total = square(libm::sin(PI * w(0)));
    for i in 0..last {
        total += square(w(i) - 1.0) * (1.0 + 10.0 * square(libm::sin(PI * w(i) + 1.0)));
    }
    total + square(w(last) - 1.0) * (1.0 + square(libm::sin(2.0 * PI * w(last))))
}

/// Rosenbrock's valley, chained over neighbours.
pub(crate) fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2).map(|pair| 100.0 * square(pair[1] - square(pair[0])) + square(1.0 - pair[0])).sum()
}

/// Rastrigin with A = 10.
pub(crate) fn rastrigin(x: &[f64]) -> f64 {
    10.0 * x.len() as f64 + x.iter().map(|&v| square(v) - 10.0 * libm::cos(2.0 * PI * v)).sum::<f64>()
}

/// Styblinski-Tang.
pub(crate) fn styblinski_tang(x: &[f64]) -> f64 {
    x.iter().map(|&v| square(square(v)) - 16.0 * square(v) + 5.0 * v).sum::<f64>() / 2.0
}

/// Griewank.
pub(crate) fn griewank(x: &[f64]) -> f64 {
    let sum = x.iter().map(|&v| square(v)).sum::<f64>() / 4000.0;
    let product = (1..).zip(x).map(|(i, &v)| libm::cos(v / f64::from(i).sqrt())).product::<f64>();
    sum - product + 1.0
}

/// Michalewicz with steepness m = 10.
pub(crate) fn michalewicz(x: &[f64]) -> f64 {
    let mut total = 0.0;
    for (i, &v) in (1..).zip(x) {
        let s2 = square(libm::sin(f64::from(i) * square(v) / PI));
        let s4 = square(s2);
        let s20 = square(square(s4)) * s4;
        total -= libm::sin(v) * s20;
    }
    total
}

/// Ten to the power of `exponent` times i / (d - 1), for the i-th of d parameters counted from 0.
fn conditioning(exponent: f64, i: usize, d: usize) -> f64 {
    libm::pow(10.0, exponent * i as f64 / (d - 1) as f64)
}

/// The ellipsoid of condition number 1e6.
pub(crate) fn ellipsoid(x: &[f64]) -> f64 {
    let d = x.len();
    (0..d).map(|i| conditioning(6.0, i, d) * square(x[i])).sum()
}

/// The step ellipsoid: rounded to whole numbers, near the optimum to tenths.
pub(crate) fn step_ellipsoid(x: &[f64]) -> f64 {
    let d = x.len();
    let scaled: Vec<f64> = (0..d).map(|i| conditioning(0.5, i, d) * x[i]).collect();
    let step = |v: f64| if v.abs() > 0.5 { (0.5 + v).floor() } else { (0.5 + 10.0 * v).floor() / 10.0 };
    let total = (0..d).map(|i| conditioning(2.0, i, d) * square(step(scaled[i]))).sum::<f64>();
    0.1 * total.max(scaled[0].abs() / 1e4)
}

/// Schwefel's function number 2.26, with the constant to double precision.
pub(crate) fn schwefel(x: &[f64]) -> f64 {
    x.iter().map(|&v| SCHWEFEL - v * libm::sin(v.abs().sqrt())).sum()
}

/// The largest value of v sin(sqrt(|v|)) between -500 and 500.
const SCHWEFEL: f64 = 418.982_887_272_433_7;

/// The distance function g shared by ZDT1 to ZDT3, equation 6: 1 on the front, at most 10.
fn zdt_distance(x: &[f64]) -> f64 {
    1.0 + 9.0 * x[1..].iter().sum::<f64>() / (x.len() - 1) as f64
}

/// ZDT1: convex front f2 = 1 - sqrt(f1).
pub(crate) fn zdt1(x: &[f64], _metric_count: usize) -> Vec<f64> {
    let g = zdt_distance(x);
    vec![x[0], g * (1.0 - (x[0] / g).sqrt())]
}

/// ZDT2: concave front f2 = 1 - f1^2.
pub(crate) fn zdt2(x: &[f64], _metric_count: usize) -> Vec<f64> {
    let g = zdt_distance(x);
    vec![x[0], g * (1.0 - square(x[0] / g))]
}

/// ZDT3: front in five pieces, f2 = 1 - sqrt(f1) - f1 sin(10 pi f1).
pub(crate) fn zdt3(x: &[f64], _metric_count: usize) -> Vec<f64> {
    let g = zdt_distance(x);
    let ratio = x[0] / g;
    vec![x[0], g * (1.0 - ratio.sqrt() - ratio * libm::sin(10.0 * PI * x[0]))]
}

/// DTLZ2: the front is the unit sphere's positive part.
pub(crate) fn dtlz2(x: &[f64], metric_count: usize) -> Vec<f64> {
    let (position, distance) = x.split_at(metric_count - 1);
    let radius = 1.0 + distance.iter().map(|&v| square(v - 0.5)).sum::<f64>();
    // Metric i is the product of the cosines before the last i angles, times one sine for all but the first.
    (0..metric_count)
        .map(|i| {
            let cosine_count = metric_count - 1 - i;
            let cosines = position[..cosine_count].iter().map(|&v| libm::cos(v * PI / 2.0)).product::<f64>();
            let sine = if i == 0 { 1.0 } else { libm::sin(position[cosine_count] * PI / 2.0) };
            radius * cosines * sine
        })
        .collect()
}
