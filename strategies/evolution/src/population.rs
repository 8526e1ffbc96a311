//! Who is in the population.

use crate::genome::{Gene, Genome};
use crate::merit::{ExcessUnits, Merit};
use ansatz_core::Point;
use ansatz_core::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A trial that survives so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// The place that it has; whoever replaces it has the same.
    pub(crate) slot: u64,
    /// What was evaluated.
    pub(crate) point: Point,
    /// Its genes, shape (parameter_count,).
    pub(crate) row: Vec<f64>,
    /// What came of it.
    pub(crate) merit: Merit,
}

/// The members, in no order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Population {
    members: Vec<Member>,
    slot_next: u64,
}

/// A finished trial that is not yet a member.
#[derive(Clone, Debug)]
pub(crate) struct Newcomer {
    /// What was evaluated.
    pub(crate) point: Point,
    /// Its genes.
    pub(crate) row: Vec<f64>,
    /// What came of it.
    pub(crate) merit: Merit,
}

/// Whether the point of a newcomer is that of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recognised {
    /// It is nobody's.
    Stranger,
    /// A member has it, and stays as it is.
    Known,
    /// A member has it whose trial had been stopped early, and has more to show for it now.
    Further,
}

impl Population {
    /// The members.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether the point of a newcomer is that of a member. One whose trial was stopped early has from here on what came of
    /// the same point in a trial that went further, as one does that continues it.
    pub(crate) fn recognise(&mut self, newcomer: &Newcomer, units: &ExcessUnits) -> Recognised {
        let Some(known) = self.members.iter_mut().find(|member| member.point == newcomer.point) else {
            return Recognised::Stranger;
        };
        if known.merit.is_partial() && newcomer.merit.compare(&known.merit, units).is_lt() {
            known.merit = newcomer.merit.clone();
            return Recognised::Further;
        }
        Recognised::Known
    }

    /// One more, at a place of its own.
    pub(crate) fn push(&mut self, newcomer: Newcomer) {
        let Newcomer { point, row, merit } = newcomer;
        self.members.push(Member { slot: self.slot_next, point, row, merit });
        self.slot_next += 1;
    }

    /// Puts somebody in the place of a member, who is returned.
    pub(crate) fn replace(&mut self, index: usize, newcomer: Newcomer) -> Member {
        let Newcomer { point, row, merit } = newcomer;
        let slot = self.members[index].slot;
        std::mem::replace(&mut self.members[index], Member { slot, point, row, merit })
    }

    /// Takes a member out.
    pub(crate) fn remove(&mut self, index: usize) {
        self.members.remove(index);
    }

    /// Takes all out. Places are not given again.
    pub(crate) fn clear(&mut self) {
        self.members.clear();
    }

    /// The member at a place.
    pub(crate) fn at(&self, slot: u64) -> Option<usize> {
        self.members.iter().position(|member| member.slot == slot)
    }

    /// Indices by the first loss, best first; of equal ones the longer in place.
    pub(crate) fn order(&self, units: &ExcessUnits) -> Vec<usize> {
        let compare = |a: &usize, b: &usize| -> Ordering {
            let (a, b) = (&self.members[*a], &self.members[*b]);
            a.merit.compare(&b.merit, units).then(a.slot.cmp(&b.slot))
        };
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_by(compare);
        order
    }

    /// The last of `order`.
    pub(crate) fn worst(&self, units: &ExcessUnits) -> Option<usize> {
        self.order(units).pop()
    }

    /// The member whose genes are nearest to these: by the sum of squares, where two choices are 1 apart.
    pub(crate) fn nearest(&self, genome: &Genome, row: &[f64]) -> Option<usize> {
        let distance = |member: &Member| -> f64 {
            let gene = |&index: &usize| {
                let (a, b) = (member.row[index], row[index]);
                match genome.genes()[index] {
                    Gene::Choice(_) => f64::from(u8::from(!genome.is_same(index, a, b))),
                    _ => (a - b) * (a - b),
                }
            };
            genome.free().iter().map(gene).sum()
        };
        let distances = self.members.iter().map(distance).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
    }

    /// Whether all members differ by less than `tolerance` in every gene that can differ.
    pub(crate) fn is_within(&self, genome: &Genome, tolerance: f64) -> bool {
        genome.free().iter().all(|&index| {
            let genes = self.members.iter().map(|member| member.row[index]);
            let (low, high) = genes.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), gene| {
                (low.min(gene), high.max(gene))
            });
            high - low < tolerance
        })
    }

    /// The index of a member, each as likely; there has to be one.
    pub(crate) fn any(&self, rng: &mut Rng) -> usize {
        rng.random_range(0..self.members.len().max(1))
    }

    /// Whether a state that was read is of this problem.
    pub(crate) fn is_sound(&self, genome: &Genome, metric_count: usize) -> bool {
        // no place is ever reached by counting beyond half of all numbers
        self.slot_next < u64::MAX / 2
            && self.members.iter().all(|member| {
                member.point.parameter_count() == genome.len()
                    && genome.is_sound(&member.row)
                    && member.merit.is_sound(metric_count)
                    && member.slot < self.slot_next
            })
    }
}
