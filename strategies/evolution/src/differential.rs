//! Differential evolution, one child at a time: each member in turn is the target of a child, which takes its place if it is
//! not worse.
//!
//! Source: Tanabe and Fukunaga 2014 (L-SHADE), with current-to-pbest/1 and the archive of Zhang and Sanderson 2009 (JADE), eq.
//! 7, and binomial crossover. There a generation ends for all at once; here a child hears at once of what those before it
//! found, so that nothing waits for a late trial.

use crate::genome::{Gene, Genome};
use crate::merit::{ExcessUnits, Merit};
use crate::population::{Newcomer, Population, Recognised};
use crate::success_history::{Rates, SuccessHistory};
use ansatz_core::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The least population: a child needs a target and two others.
pub(crate) const POPULATION_SIZE_MIN: usize = 4;
/// The least number of members that count as best.
const BEST_COUNT_MIN: usize = 2;

/// Where a child came from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Descent {
    /// The place of its target.
    pub(crate) slot: u64,
    /// How it was made.
    pub(crate) rates: Rates,
}

/// What differential evolution knows beside the population.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Differential {
    history: SuccessHistory,
    /// Rows of members that were replaced.
    archive: Vec<Vec<f64>>,
    /// Whose turn it is to be a target: who is at this place or the next one.
    turn: u64,
    /// Children that came back since rates were remembered.
    returned_count: usize,
}

impl Differential {
    /// A child of the next target, with a population of `POPULATION_SIZE_MIN` or more.
    pub(crate) fn child(
        &mut self,
        genome: &Genome,
        population: &Population,
        units: &ExcessUnits,
        best_share: f64,
        rng: &mut Rng,
    ) -> (Vec<f64>, Descent) {
        let members = population.members();
        let target = (0..members.len())
            .min_by_key(|&index| members[index].slot.wrapping_sub(self.turn))
            .unwrap_or_default();
        self.turn = members[target].slot + 1;
        let rates = self.history.draw(rng);
        let order = population.order(units);
        let best_count = ((best_share * members.len() as f64).round() as usize).max(BEST_COUNT_MIN);
        let best = order[rng.random_range(0..best_count.min(order.len()))];
        let other = loop {
            let index = population.any(rng);
            if index != target {
                break index;
            }
        };
        let base = loop {
            let index = rng.random_range(0..members.len() + self.archive.len());
            if index != target && index != other {
                break index;
            }
        };
        let base = match base.checked_sub(members.len()) {
            Some(index) => &self.archive[index],
            None => &members[base].row,
        };
        let (target_row, best_row, other_row) =
            (&members[target].row, &members[best].row, &members[other].row);
        let mut row = target_row.clone();
        let free = genome.free();
        let certain = if free.is_empty() { 0 } else { free[rng.random_range(0..free.len())] };
        for &index in free {
            if index != certain && rng.random::<f64>() >= rates.crossover {
                continue;
            }
            row[index] = match genome.genes()[index] {
                Gene::Choice(count) => {
                    let from = [target_row[index], best_row[index], other_row[index], base[index]];
                    choice(genome, index, from, rates.scale, count, rng)
                }
                _ => number(
                    target_row[index],
                    rates.scale * (best_row[index] - target_row[index] + other_row[index] - base[index]),
                ),
            };
        }
        (row, Descent { slot: members[target].slot, rates })
    }

    /// Takes in a result; `descent` if it is that of a child.
    pub(crate) fn tell(
        &mut self,
        genome: &Genome,
        population: &mut Population,
        units: &ExcessUnits,
        newcomer: Newcomer,
        descent: Option<Descent>,
        capacity: usize,
    ) {
        let target = descent.and_then(|descent| Some((population.at(descent.slot)?, descent.rates)));
        if let Some((target, rates)) = target {
            self.returned_count = self.returned_count.saturating_add(1);
            let before = &population.members()[target].merit;
            match newcomer.merit.compare(before, units) {
                Ordering::Less => {
                    self.history.succeed(rates, fall(before, &newcomer.merit));
                    let replaced = population.replace(target, newcomer);
                    self.archive.push(replaced.row);
                }
                Ordering::Equal => {
                    population.replace(target, newcomer);
                }
                Ordering::Greater => {}
            }
        } else if population.recognise(&newcomer, units) == Recognised::Stranger {
            if population.len() < capacity {
                population.push(newcomer);
            } else {
                // who has no loss gives way first. Then the nearest: the worst would be replaced by one after the other of
                // somebody who comes closer and closer to one point
                let worst = population.worst(units);
                let lossless = worst.filter(|worst| population.members()[*worst].merit.losses().is_none());
                if let Some(place) = lossless.or_else(|| population.nearest(genome, &newcomer.row))
                    && newcomer.merit.compare(&population.members()[place].merit, units).is_lt()
                {
                    population.replace(place, newcomer);
                }
            }
        }
    }

    /// Shrinks population and archive to what they may be, and remembers rates once as many children came back as there are
    /// members. Whether that was so.
    pub(crate) fn settle(
        &mut self,
        population: &mut Population,
        units: &ExcessUnits,
        capacity: usize,
        archive_share: f64,
        rng: &mut Rng,
    ) -> bool {
        while population.len() > capacity.max(POPULATION_SIZE_MIN) {
            let Some(worst) = population.worst(units) else { break };
            population.remove(worst);
        }
        let archive_length_max = (archive_share * population.len() as f64).round() as usize;
        while self.archive.len() > archive_length_max {
            self.archive.swap_remove(rng.random_range(0..self.archive.len()));
        }
        let is_generation = self.returned_count >= population.len();
        if is_generation {
            self.returned_count = 0;
            self.history.remember();
        }
        is_generation
    }

    /// Whether a state that was read is of this space.
    pub(crate) fn is_sound(&self, genome: &Genome) -> bool {
        self.history.is_sound() && self.archive.iter().all(|row| genome.is_sound(row))
    }
}

/// By how much the first loss fell, if both have one.
fn fall(before: &Merit, after: &Merit) -> Option<f64> {
    let (before, after) = (before.losses()?.first()?, after.losses()?.first()?);
    Some(before - after)
}

/// The gene moved; beyond an edge half of the way there.
fn number(target: f64, step: f64) -> f64 {
    let moved = target + step;
    if moved < 0.0 {
        0.5 * target
    } else if moved > 1.0 {
        0.5 * (target + 1.0)
    } else {
        moved
    }
}

/// What a difference is to choices: with the chance `scale` that of the best; where two others differ, with the same chance that
/// of the first; and in one of as many children as there are parameters, any other than this.
fn choice(
    genome: &Genome,
    index: usize,
    [target, best, other, base]: [f64; 4],
    scale: f64,
    count: u64,
    rng: &mut Rng,
) -> f64 {
    let mut gene = target;
    if rng.random::<f64>() < scale {
        gene = best;
    }
    if !genome.is_same(index, other, base) && rng.random::<f64>() < scale {
        gene = other;
    }
    if rng.random::<f64>() < 1.0 / genome.free().len().max(2) as f64 {
        gene = genome.other_choice(index, gene, count, rng);
    }
    gene
}
