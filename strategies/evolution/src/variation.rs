//! Children of two parents in the unit cube: simulated binary crossover and polynomial mutation, with counterparts for levels
//! and choices.
//!
//! Source: Deb and Agrawal 1995 (crossover), Deb and Goyal 1996 (mutation), both with the bounds of Deb's published NSGA-II
//! code: no child lies outside of the cube, and none is cut off at its edge.

use crate::genome::{Gene, Genome};
use ansatz_core::rng::Rng;
use rand::RngExt;

/// Genes nearer than this are the same to the crossover.
const SAME_DISTANCE: f64 = 1e-14;
/// The chance that a gene is crossed in a child that is.
const GENE_CROSSOVER_PROBABILITY: f64 = 0.5;

/// How far children are from their parents.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variation {
    /// The chance that a child has two parents.
    pub(crate) crossover_probability: f64,
    /// The larger, the nearer to a parent.
    pub(crate) crossover_index: f64,
    /// The chance that a gene mutates.
    pub(crate) mutation_probability: f64,
    /// The larger, the smaller mutations are.
    pub(crate) mutation_index: f64,
}

impl Variation {
    /// The two children of `a` and `b`: what one has of a parent, the other has of the other one, before they mutate.
    pub(crate) fn children(&self, genome: &Genome, a: &[f64], b: &[f64], rng: &mut Rng) -> [Vec<f64>; 2] {
        let mut rows = [a.to_vec(), b.to_vec()];
        if rng.random::<f64>() < self.crossover_probability {
            for &index in genome.free() {
                if rng.random::<f64>() >= GENE_CROSSOVER_PROBABILITY {
                    continue;
                }
                let (mut first, mut second) = match genome.genes()[index] {
                    Gene::Choice(_) => (b[index], a[index]),
                    _ => crossed(a[index], b[index], self.crossover_index, rng.random()),
                };
                if rng.random() {
                    std::mem::swap(&mut first, &mut second);
                }
                (rows[0][index], rows[1][index]) = (first, second);
            }
        }
        rows.iter_mut().for_each(|row| self.mutate(genome, row, self.mutation_probability, rng));
        rows
    }

    /// Mutates each gene with this chance. Levels and choices become others; numbers move a little.
    pub(crate) fn mutate(&self, genome: &Genome, row: &mut [f64], probability: f64, rng: &mut Rng) {
        for &index in genome.free() {
            if rng.random::<f64>() >= probability {
                continue;
            }
            let gene = row[index];
            row[index] = match genome.genes()[index] {
                Gene::Choice(count) => genome.other_choice(index, gene, count, rng),
                Gene::Level(count) => {
                    let moved = mutated(gene, self.mutation_index, rng.random());
                    if genome.is_same(index, gene, moved) {
                        genome.next_level(index, gene, count, rng)
                    } else {
                        moved
                    }
                }
                Gene::Number | Gene::Fixed => mutated(gene, self.mutation_index, rng.random()),
            };
        }
    }
}

/// Two children of the genes `a` and `b`, the lower one first; `u` from [0, 1). Their mean is that of the parents but where
/// an edge is near.
pub(crate) fn crossed(a: f64, b: f64, index: f64, u: f64) -> (f64, f64) {
    let (low, high) = (a.min(b), a.max(b));
    let distance = high - low;
    if distance <= SAME_DISTANCE {
        return (low, high);
    }
    let power = 1.0 / (index + 1.0);
    let spread = |room: f64| {
        let beta = 1.0 + 2.0 * room / distance;
        let alpha = 2.0 - libm::pow(beta, -(index + 1.0));
        if u * alpha <= 1.0 { libm::pow(u * alpha, power) } else { libm::pow(1.0 / (2.0 - u * alpha), power) }
    };
    let near_low = 0.5 * (low + high - spread(low) * distance);
    let near_high = 0.5 * (low + high + spread(1.0 - high) * distance);
    (near_low.clamp(0.0, 1.0), near_high.clamp(0.0, 1.0))
}

/// A gene near `gene`; `u` from [0, 1), one half leaves it where it is.
pub(crate) fn mutated(gene: f64, index: f64, u: f64) -> f64 {
    let power = 1.0 / (index + 1.0);
    let step = if u < 0.5 {
        let room = libm::pow(1.0 - gene, index + 1.0);
        libm::pow(2.0 * u + (1.0 - 2.0 * u) * room, power) - 1.0
    } else {
        let room = libm::pow(gene, index + 1.0);
        1.0 - libm::pow(2.0 * (1.0 - u) + 2.0 * (u - 0.5) * room, power)
    };
    (gene + step).clamp(0.0, 1.0)
}
