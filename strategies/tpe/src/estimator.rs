//! A density over the rows of one group of columns: a mixture of product kernels, one around each observed row, and a
//! uniform one, the prior.
//!
//! Numbers have normal kernels that are cut off at the ends, levels the mass that such a kernel puts into their cells,
//! choices a kernel that is the same for all other choices. All kernels have the same widths, which `bandwidth` chooses.
//!
//! Sources: Bergstra, Bardenet, Bengio and Kégl 2011 (the estimator); Falkner, Klein and Hutter 2018 (product kernels);
//! Watanabe 2023, arXiv:2304.11127 (what each part of it is good for).

use ansatz_core::rng::Rng;
use rand::RngExt;
use std::f64::consts::FRAC_1_SQRT_2;

use crate::axis::Axis;
use crate::exponential::log_sum_exp;
use crate::kernel::{Kernel, LOG_SQRT_2_PI};

/// How much the prior counts, in observations of weight 1.
const PRIOR_WEIGHT: f64 = 1.0;
/// A choice counts as observed this often in addition, divided by the number of observations and 1.
const SMOOTHING: f64 = 1.0;

/// The part of the kernels that belongs to one column.
#[derive(Clone, Debug)]
enum Part {
    /// `scaled`: centres in units of width √2.
    Normal { centres: Vec<f64>, width: f64, scaled: Vec<f64> },
    /// `logs`: shape (cell, cell of the kernel), row by row. `prior_logs`: of each cell.
    Cells { cells: Vec<u32>, centres: Vec<f64>, width: f64, logs: Vec<f64>, prior_logs: Vec<f64> },
    /// `same`, `other`: what a kernel puts on its own choice and on each other one.
    Choices { cells: Vec<u32>, count: usize, same: f64, other: f64, logs: [f64; 2], prior_log: f64 },
}

/// The mixture.
#[derive(Clone, Debug)]
pub(crate) struct Estimator {
    parts: Vec<Part>,
    /// Of each kernel: the logarithms of its weight and of its highest density in the columns that are continuous. The
    /// prior comes last.
    base_logs: Vec<f64>,
    /// Cumulated weights without the prior's, which is what is left of 1.
    cumulated_weights: Vec<f64>,
}

impl Estimator {
    /// `axes`, `widths`: one for each place of a row. `rows`, `weights`: one for each kernel, with places in [0, 1] and for
    /// how many observations it stands, above 0.
    pub(crate) fn new(axes: &[Axis], rows: &[Vec<f64>], weights: &[f64], widths: &[f64]) -> Self {
        let observed = weights.iter().sum::<f64>();
        let total = observed + PRIOR_WEIGHT;
        let mut masses = vec![1.0; rows.len()];
        let mut log_widths = 0.0;
        let mut parts = Vec::with_capacity(axes.len());
        for (column, (axis, width)) in axes.iter().zip(widths).enumerate() {
            let places = || rows.iter().map(move |row| row[column]);
            let cells = || places().map(|place| axis.cell(place) as u32).collect::<Vec<u32>>();
            match axis {
                Axis::Continuous { .. } => {
                    for (mass, centre) in masses.iter_mut().zip(places()) {
                        *mass *= Kernel { centre, width: *width }.mass();
                    }
                    log_widths += libm::log(*width) + LOG_SQRT_2_PI;
                    let scale = FRAC_1_SQRT_2 / width;
                    let scaled = places().map(|place| place * scale).collect();
                    parts.push(Part::Normal { centres: places().collect(), width: *width, scaled });
                }
                Axis::Levels { edges, centres } => {
                    parts.push(Part::levels(cells(), edges, centres, *width));
                }
                Axis::Choices { count } => {
                    let extra = SMOOTHING / (observed + 1.0);
                    let all = 1.0 + extra * *count as f64;
                    let (same, other) = ((1.0 + extra) / all, extra / all);
                    parts.push(Part::Choices {
                        cells: cells(),
                        count: *count,
                        same,
                        other,
                        logs: [libm::log(same), libm::log(other)],
                        prior_log: -libm::log(*count as f64),
                    });
                }
            }
        }
        let mut base_logs: Vec<f64> = weights
            .iter()
            .zip(&masses)
            .map(|(weight, mass)| libm::log(weight / (total * mass)) - log_widths)
            .collect();
        base_logs.push(libm::log(PRIOR_WEIGHT / total));
        let cumulated_weights = weights
            .iter()
            .scan(0.0, |sum, weight| {
                *sum += weight / total;
                Some(*sum)
            })
            .collect();
        Self { parts, base_logs, cumulated_weights }
    }

    /// Natural logarithm of the density at a row of places in [0, 1]; of what has cells, of the cell's mass.
    /// `scratch` may hold anything.
    pub(crate) fn log_density(&self, axes: &[Axis], row: &[f64], scratch: &mut Vec<f64>) -> f64 {
        scratch.clear();
        scratch.extend_from_slice(&self.base_logs);
        let Some((prior, logs)) = scratch.split_last_mut() else { return f64::NEG_INFINITY };
        for ((part, axis), place) in self.parts.iter().zip(axes).zip(row) {
            match part {
                Part::Normal { width, scaled, .. } => {
                    let place = place * (FRAC_1_SQRT_2 / width);
                    for (log, centre) in logs.iter_mut().zip(scaled) {
                        let z = place - centre;
                        *log -= z * z;
                    }
                }
                Part::Cells { cells, logs: table, prior_logs, .. } => {
                    let cell = axis.cell(*place);
                    let line = &table[cell * prior_logs.len()..][..prior_logs.len()];
                    for (log, own) in logs.iter_mut().zip(cells) {
                        *log += line[*own as usize];
                    }
                    *prior += prior_logs[cell];
                }
                Part::Choices { cells, logs: [same, other], prior_log, .. } => {
                    let cell = axis.cell(*place) as u32;
                    for (log, own) in logs.iter_mut().zip(cells) {
                        *log += if *own == cell { *same } else { *other };
                    }
                    *prior += prior_log;
                }
            }
        }
        log_sum_exp(scratch)
    }

    /// Draws a row, one place for each axis. `together`: all from one kernel, so that the rows have the mixture's density;
    /// otherwise each place from a kernel of its own, so that they have the product of its marginal densities.
    pub(crate) fn draw(&self, together: bool, rng: &mut Rng) -> Vec<f64> {
        let mut kernel = self.draw_kernel(rng);
        let mut row = Vec::with_capacity(self.parts.len());
        for (column, part) in self.parts.iter().enumerate() {
            if !together && column > 0 {
                kernel = self.draw_kernel(rng);
            }
            row.push(match (kernel, part) {
                (None, _) => rng.random::<f64>(),
                (Some(kernel), Part::Normal { centres, width, .. }) => {
                    Kernel { centre: centres[kernel], width: *width }.draw(rng)
                }
                (Some(kernel), Part::Cells { cells, centres, width, .. }) => {
                    Kernel { centre: centres[cells[kernel] as usize], width: *width }.draw(rng)
                }
                (Some(kernel), Part::Choices { cells, count, same, other, .. }) => {
                    if rng.random::<f64>() < same - other {
                        (f64::from(cells[kernel]) + 0.5) / *count as f64
                    } else {
                        rng.random::<f64>()
                    }
                }
            });
        }
        row
    }

    /// A kernel by its weight; `None` is the prior.
    fn draw_kernel(&self, rng: &mut Rng) -> Option<usize> {
        let share = rng.random::<f64>();
        let kernel = self.cumulated_weights.partition_point(|end| *end <= share);
        (kernel < self.cumulated_weights.len()).then_some(kernel)
    }
}

impl Part {
    /// `cells`: of each kernel. The table has columns for the levels that occur.
    fn levels(cells: Vec<u32>, edges: &[f64], centres: &[f64], width: f64) -> Self {
        let count = centres.len();
        let mut occurs = vec![false; count];
        cells.iter().for_each(|cell| occurs[*cell as usize] = true);
        let mut logs = vec![0.0; count * count];
        for (own, centre) in centres.iter().enumerate().filter(|(own, _)| occurs[*own]) {
            for (cell, log) in (Kernel { centre: *centre, width }).log_masses(edges).enumerate() {
                logs[cell * count + own] = log;
            }
        }
        let prior_logs = edges.windows(2).map(|pair| libm::log(pair[1] - pair[0])).collect();
        Self::Cells { cells, centres: centres.to_vec(), width, logs, prior_logs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes() -> Vec<Axis> {
        let edges = vec![0.0, 0.5, 0.75, 1.0];
        vec![
            Axis::Continuous { level_count: None },
            Axis::Levels { edges, centres: vec![0.25, 0.6, 0.9] },
            Axis::Choices { count: 4 },
        ]
    }

    fn estimator(weights: &[f64]) -> Estimator {
        let rows = [vec![0.1, 0.6, 0.1], vec![0.15, 0.9, 0.1], vec![0.8, 0.25, 0.9]];
        Estimator::new(&axes(), &rows[..weights.len()], weights, &[0.2, 0.3, 1.0])
    }

    /// Place of each cell's middle on the second and third axis.
    const LEVELS: [f64; 3] = [0.25, 0.6, 0.9];
    const CHOICES: [f64; 4] = [0.125, 0.375, 0.625, 0.875];

    #[test]
    fn densities_integrate_to_one() {
        let axes = axes();
        for weights in [&[][..], &[1.0], &[1.0, 0.5, 3.0]] {
            let estimator = estimator(weights);
            let mut total = 0.0;
            for (level, choice) in LEVELS.iter().flat_map(|level| CHOICES.map(|choice| (*level, choice))) {
                for step in 0..2000 {
                    let row = [(f64::from(step) + 0.5) / 2000.0, level, choice];
                    total += estimator.log_density(&axes, &row, &mut Vec::new()).exp() / 2000.0;
                }
            }
            assert!((total - 1.0).abs() < 1e-6, "{weights:?}: {total}");
        }
    }

    /// Chi-square with 23 degrees of freedom: 99.99 % are below 56.6.
    #[test]
    fn draws_have_the_density() {
        let axes = axes();
        let estimator = estimator(&[1.0, 0.5, 3.0]);
        let mut rng = Rng::new(4);
        let cell = |row: &[f64]| {
            let half = usize::from(row[0] >= 0.5);
            (half * 3 + axes[1].cell(row[1])) * 4 + axes[2].cell(row[2])
        };
        let mut counts = [0.0; 24];
        for _ in 0..20_000 {
            counts[cell(&estimator.draw(true, &mut rng))] += 1.0;
        }
        let mut expected = [0.0; 24];
        for (level, choice) in LEVELS.iter().flat_map(|level| CHOICES.map(|choice| (*level, choice))) {
            for step in 0..2000 {
                let row = [(f64::from(step) + 0.5) / 2000.0, level, choice];
                expected[cell(&row)] += estimator.log_density(&axes, &row, &mut Vec::new()).exp() * 10.0;
            }
        }
        let chi_square: f64 =
            counts.iter().zip(&expected).map(|(count, mean)| (count - mean) * (count - mean) / mean).sum();
        assert!(chi_square < 56.6, "{chi_square}: {counts:?} {expected:?}");
    }

    /// Drawn apart, columns keep their densities and lose what binds them together.
    #[test]
    fn columns_drawn_apart_are_independent() {
        let axes = vec![Axis::Continuous { level_count: None }; 2];
        let rows = [vec![0.2, 0.2], vec![0.8, 0.8]];
        let estimator = Estimator::new(&axes, &rows, &[50.0; 2], &[0.05; 2]);
        let mut rng = Rng::new(5);
        for (together, agreeing) in [(true, 0.995), (false, 0.5)] {
            let draws: Vec<Vec<f64>> = (0..4000).map(|_| estimator.draw(together, &mut rng)).collect();
            let share =
                |is: &dyn Fn(&Vec<f64>) -> bool| draws.iter().filter(|row| is(row)).count() as f64 / 4000.0;
            // Four standard errors of a half.
            assert!((share(&|row| row[0] < 0.5) - 0.5).abs() < 0.032);
            assert!((share(&|row| (row[0] < 0.5) == (row[1] < 0.5)) - agreeing).abs() < 0.032, "{together}");
        }
    }

    #[test]
    fn a_weight_is_a_number_of_equal_kernels() {
        let axes = axes();
        let row = vec![0.3, 0.6, 0.4];
        let twice = Estimator::new(&axes, &[row.clone(), row.clone()], &[1.0, 1.0], &[0.1; 3]);
        let once = Estimator::new(&axes, &[row], &[2.0], &[0.1; 3]);
        for place in [0.0, 0.31, 1.0] {
            let at =
                |estimator: &Estimator| estimator.log_density(&axes, &[place, 0.9, 0.4], &mut Vec::new());
            assert!((at(&twice) - at(&once)).abs() < 1e-12);
        }
    }
}
