//! Processor time of the parts of an ask, and how near they come to what the machine can do. Prints, asserts nothing.
//!
//! `cargo bench -p ansatz-surrogate --bench parts [-- N ...]`
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops when something is wrong"
)]

use std::hint::black_box;

use ansatz_surrogate::gaussian_process::NegativeLogPosterior;
use ansatz_surrogate::linear_algebra::{Cholesky, InverseFactor, LowerTriangle};
use ansatz_surrogate::{Column, Design, GaussianProcess, Hyperparameters};

const COLUMN_COUNT: usize = 10;

/// Seconds of processor time of this thread so far.
fn processor_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// Least seconds of one call.
fn seconds(mut work: impl FnMut()) -> f64 {
    work();
    let mut least = f64::INFINITY;
    let begin = processor_seconds();
    let mut calls = 1;
    while processor_seconds() - begin < 0.4 {
        let start = processor_seconds();
        (0..calls).for_each(|_| work());
        let each = (processor_seconds() - start) / f64::from(calls);
        least = least.min(each);
        calls = ((1e-3 / each) as i32).clamp(1, 10_000);
    }
    least
}

/// Fractions of multiples of irrational numbers: rows spread over the cube (Weyl 1916).
fn row(index: usize) -> Vec<f64> {
    (1..=COLUMN_COUNT).map(|k| (index as f64 * (7.0 + 13.0 * k as f64).sqrt()).fract()).collect()
}

/// Operations per second of twelve independent sums of products in registers. `$step` makes the next sum of the last one and
/// two factors; the second of them changes, so that no product can be taken out of the loop.
#[cfg(target_arch = "x86_64")]
macro_rules! peak {
    ($simd:ty, $lane_count:literal, $splat:ident, $add:ident, |$lanes:ident, $sum:ident, $a:ident, $b:ident| $step:expr) => {{
        struct Sums($simd, [f64; 2]);
        const ROUNDS: usize = 1 << 16;
        impl pulp::NullaryFnOnce for Sums {
            type Output = f64;
            #[inline(always)]
            fn call(self) -> f64 {
                let Self($lanes, factors) = self;
                let factors = factors.map(|factor| $lanes.$splat(factor));
                let mut sums = [$lanes.$splat(1.0); 12];
                for round in 0..ROUNDS {
                    for sum in &mut sums {
                        let ($sum, $a, $b) = (*sum, factors[0], factors[round & 1]);
                        *sum = $step;
                    }
                }
                let mut total = sums[0];
                for sum in &sums[1..] {
                    total = $lanes.$add(total, *sum);
                }
                let parts: [f64; $lane_count] = pulp::cast(total);
                parts.iter().sum()
            }
        }
        <$simd>::try_new().map_or(f64::NAN, |lanes| {
            let work = || {
                black_box(lanes.vectorize(Sums(lanes, black_box([0.999, 0.001]))));
            };
            (ROUNDS * 12 * $lane_count * 2) as f64 / seconds(work)
        })
    }};
}

/// In vectors of 256 bits, the same fused, and fused in vectors of 512 bits.
#[cfg(target_arch = "x86_64")]
fn peaks() -> [f64; 3] {
    use pulp::x86::{V3, V4};
    [
        peak!(V3, 4, splat_f64x4, add_f64x4, |v, sum, a, b| v.add_f64x4(v.mul_f64x4(sum, a), b)),
        peak!(V3, 4, splat_f64x4, add_f64x4, |v, sum, a, b| v.mul_add_f64x4(sum, a, b)),
        peak!(V4, 8, splat_f64x8, add_f64x8, |v, sum, a, b| v.mul_add_f64x8(sum, a, b)),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn peaks() -> [f64; 3] {
    [f64::NAN; 3]
}

fn main() {
    let mut sizes: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![50, 100, 200, 500];
    }
    let [plain, fused, wide] = peaks().map(|peak| 1e-9 * peak);
    println!(
        "chains of products and sums in registers: {plain:.1} GFLOP/s, fused {fused:.1}, in 512-bit vectors {wide:.1}"
    );
    println!("n      part                              us   Mflop  GFLOP/s");
    for size in sizes {
        let columns = [Column::Continuous; COLUMN_COUNT];
        let rows: Vec<Vec<f64>> = (0..size).map(row).collect();
        let targets: Vec<f64> = rows.iter().map(|row| row.iter().map(|x| (x - 0.4).powi(2)).sum()).collect();
        let design = Design::from_rows(&columns, &rows).expect("rows");
        let hyperparameters = Hyperparameters::initial(&columns);
        let process =
            GaussianProcess::with_hyperparameters(design.clone(), targets.clone(), hyperparameters.clone())
                .expect("positive definite");
        let n = size as f64;
        let report = |name: &str, operations: f64, work: &mut dyn FnMut()| {
            let time = seconds(work);
            println!(
                "{size:5}  {name:30} {:8.1} {:7.3} {:8.1}",
                1e6 * time,
                1e-6 * operations,
                1e-9 * operations / time
            );
        };
        let mut matrix = LowerTriangle::identity(size);
        for i in 0..size {
            for j in 0..=i {
                let entry = process.kernel().covariance(&rows[i], &rows[j]);
                matrix.set(i, j, entry + if i == j { 1e-4 } else { 0.0 });
            }
        }
        let factor = Cholesky::of(matrix.clone()).expect("positive definite");
        report("factor", n.powi(3) / 3.0, &mut || {
            black_box(Cholesky::of(matrix.clone()));
        });
        let mut inverse = InverseFactor::default();
        report("inverse of the factor", n.powi(3) / 3.0, &mut || inverse.invert(&factor));
        let mut b = vec![[1.0; 8]; 4 * size.div_ceil(8) * 8];
        report("solve, 32 sides", 32.0 * n * n, &mut || factor.solve(&mut b));
        report("transposed solve, 32 sides", 32.0 * n * n, &mut || factor.solve_transposed(&mut b));
        let targets = targets.into();
        let mut posterior = NegativeLogPosterior::new(&design, &targets).expect("targets");
        let mut vector = hyperparameters.log_length_scales.clone();
        vector.extend([hyperparameters.log_amplitude, hyperparameters.log_noise]);
        let mut gradient = vec![0.0; vector.len()];
        // Distances, covariances (about 40 each) and their part of the gradient, for half of all pairs.
        let pairs = n * n / 2.0 * (7.0 * COLUMN_COUNT as f64 + 40.0);
        report("likelihood with gradient", n.powi(3) + pairs, &mut || {
            black_box(posterior.evaluate(&vector, &mut gradient));
        });
        let asked: Vec<Vec<f64>> = (0..32).map(|index| row(10_000 + index)).collect();
        let per_row = n * (3.0 * COLUMN_COUNT as f64 + 40.0);
        report("means, 32 rows", 32.0 * per_row, &mut || {
            for row in asked.chunks(8) {
                black_box(process.predict_mean(&row[0]));
            }
        });
        report("posterior, 32 rows", 32.0 * (n * n + per_row), &mut || {
            black_box(process.predict_batch(&asked));
        });
        let mut gradients = vec![vec![0.0; 32 * COLUMN_COUNT]; 2];
        let [mean, variance] = &mut gradients[..] else { return };
        let operations = 32.0 * (2.0 * n * n + per_row + n * 5.0 * COLUMN_COUNT as f64);
        report("posterior and gradient, 32 rows", operations, &mut || {
            black_box(process.predict_with_gradients(&asked, mean, variance));
        });
    }
}
