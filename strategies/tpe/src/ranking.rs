//! The order of the trials of one group, from best to worst, kept up to date with each result.
//!
//! Full evaluations that keep all outcome constraints come first: by their loss, or with several by the number of trials
//! that dominate them (Fonseca and Fleming 1993). Then what was stopped, by how far it came and then by its loss; then what
//! breaks outcome constraints, by how much; last what is infeasible or failed.

use std::cmp::Ordering;

use crate::history::{Lesson, Told};

/// Ranks of what is no full, allowed evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    class: u8,
    keys: [f64; 2],
}

const ALLOWED: u8 = 0;
const PARTIAL: u8 = 1;
const BROKEN: u8 = 2;
const BAD: u8 = 3;

/// Units in which the excesses of several outcome constraints are added: the largest that were measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExcessUnits(Vec<f64>);

impl ExcessUnits {
    /// Takes a lesson into account; whether it changed a unit.
    pub(crate) fn widen(&mut self, lesson: &Lesson) -> bool {
        let Lesson::Measured { excesses, .. } = lesson else { return false };
        self.0.resize(self.0.len().max(excesses.len()), f64::MIN_POSITIVE);
        let mut is_wider = false;
        for (unit, excess) in self.0.iter_mut().zip(excesses) {
            if *excess > *unit {
                *unit = *excess;
                is_wider = true;
            }
        }
        is_wider
    }

    fn violation(&self, excesses: &[f64]) -> f64 {
        excesses.iter().zip(&self.0).map(|(excess, unit)| excess.max(0.0) / unit).sum()
    }
}

impl Standing {
    fn new(lesson: &Lesson, units: &ExcessUnits) -> Self {
        let (class, keys) = match lesson {
            Lesson::Measured { losses, excesses } => {
                let first = losses.first().copied().unwrap_or(0.0);
                match units.violation(excesses) {
                    violation if violation > 0.0 => (BROKEN, [violation, first]),
                    _ if losses.len() == 1 => (ALLOWED, [first, 0.0]),
                    _ => (ALLOWED, [0.0; 2]),
                }
            }
            Lesson::Partial { fidelity, loss } => (PARTIAL, [-fidelity, loss.unwrap_or(f64::INFINITY)]),
            Lesson::Bad => (BAD, [0.0; 2]),
        };
        Self { class, keys }
    }

    fn compare(&self, other: &Self) -> Ordering {
        (self.class.cmp(&other.class))
            .then(self.keys[0].total_cmp(&other.keys[0]))
            .then(self.keys[1].total_cmp(&other.keys[1]))
    }
}

/// The trials of one group. Indices are those of the list of everything told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranking {
    /// Sorted by standing, equal ones in the order told.
    order: Vec<(Standing, u32)>,
    /// How many of them are full and allowed.
    allowed_count: usize,
    /// With several metrics: how many dominate each trial; by index in the list of everything told.
    dominator_counts: Vec<u32>,
}

impl Ranking {
    /// How many trials there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Adds the latest trial.
    pub(crate) fn insert(&mut self, told: &[Told], index: usize, units: &ExcessUnits) {
        let standing = Standing::new(&told[index].lesson, units);
        if let Lesson::Measured { losses, .. } = &told[index].lesson
            && standing.class == ALLOWED
            && losses.len() > 1
        {
            self.count_dominators(told, index, losses);
        }
        let place = self.order.partition_point(|(other, _)| other.compare(&standing) != Ordering::Greater);
        self.order.insert(place, (standing, index as u32));
        if standing.class == ALLOWED {
            self.allowed_count += 1;
        }
    }

    fn count_dominators(&mut self, told: &[Told], index: usize, losses: &[f64]) {
        self.dominator_counts.resize(index + 1, 0);
        for (_, other) in &self.order[..self.allowed_count] {
            let other = *other as usize;
            let Lesson::Measured { losses: others, .. } = &told[other].lesson else { continue };
            match domination(others, losses) {
                Some(Ordering::Less) => self.dominator_counts[index] += 1,
                Some(Ordering::Greater) => self.dominator_counts[other] += 1,
                _ => {}
            }
        }
    }

    /// The order of all trials after one of them changed its standing.
    pub(crate) fn rebuild(&mut self, told: &[Told], units: &ExcessUnits) {
        let mut indices: Vec<u32> = self.order.iter().map(|(_, index)| *index).collect();
        indices.sort_unstable();
        *self = Self::default();
        for index in indices {
            self.insert(told, index as usize, units);
        }
    }

    /// Indices of up to `count` good trials, best first; infeasible and failed ones are never good. And all others: the first
    /// `near_count` of them are the next in order, the rest have an order by which every so many-th is a fair sample.
    pub(crate) fn split(&self, told: &[Told], count: usize, near_count: usize) -> (Vec<usize>, Vec<usize>) {
        let mut indices: Vec<usize> = self.order.iter().map(|(_, index)| *index as usize).collect();
        let never_good = self.order.iter().rev().take_while(|(standing, _)| standing.class == BAD).count();
        let count = count.min(self.len() - never_good);
        if !self.dominator_counts.is_empty() {
            self.select_of_several(told, &mut indices, count, near_count);
        }
        let others = indices.split_off(count);
        (indices, others)
    }

    /// Brings the best `count` of the full and allowed to the front, and then the next `near_count`.
    fn select_of_several(&self, told: &[Told], indices: &mut [usize], count: usize, near_count: usize) {
        let allowed = &mut indices[..self.allowed_count];
        let rank = |index: &usize| (self.dominator_counts[*index], *index);
        let near_end = count + near_count;
        if near_end < allowed.len() {
            allowed.select_nth_unstable_by_key(near_end, rank);
        }
        let near = near_end.min(allowed.len());
        allowed[..near].sort_unstable_by_key(rank);
        allowed[near..].sort_unstable();
        let Some(last) = count.checked_sub(1).filter(|_| count < near).map(|last| allowed[last]) else {
            return;
        };
        // All that rank as the last one does are candidates for the places that are left.
        let tied = self.dominator_counts[last];
        let first = allowed[..near].partition_point(|index| self.dominator_counts[*index] < tied);
        let mut ties: Vec<usize> =
            allowed[first..].iter().copied().filter(|index| self.dominator_counts[*index] == tied).collect();
        crate::spread::select(told, &mut ties, count - first);
        let chosen = &ties[..count - first];
        let mut rest: Vec<usize> = allowed[first..].iter().copied().filter(|i| !chosen.contains(i)).collect();
        allowed[first..count].copy_from_slice(chosen);
        allowed[count..].swap_with_slice(&mut rest);
    }
}

/// `Less` if `a` dominates `b`: nowhere larger and somewhere smaller. `None` if neither dominates.
fn domination(a: &[f64], b: &[f64]) -> Option<Ordering> {
    let (mut less, mut greater) = (false, false);
    for (a, b) in a.iter().zip(b) {
        less |= a < b;
        greater |= a > b;
    }
    match (less, greater) {
        (true, false) => Some(Ordering::Less),
        (false, true) => Some(Ordering::Greater),
        (false, false) => Some(Ordering::Equal),
        (true, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Point;

    fn measured(losses: &[f64], excesses: &[f64]) -> Lesson {
        Lesson::Measured { losses: losses.to_vec(), excesses: excesses.to_vec() }
    }

    fn ranking(lessons: &[Lesson]) -> (Vec<Told>, Ranking) {
        let told: Vec<Told> = lessons
            .iter()
            .map(|lesson| Told { point: Point::from_flat(&[0.0]), lesson: lesson.clone() })
            .collect();
        let (mut ranking, mut units) = (Ranking::default(), ExcessUnits::default());
        for index in 0..told.len() {
            if units.widen(&told[index].lesson) {
                ranking.rebuild(&told, &units);
            }
            ranking.insert(&told, index, &units);
        }
        (told, ranking)
    }

    #[test]
    fn what_is_not_finished_or_not_allowed_comes_after_what_is() {
        let lessons = [
            Lesson::Bad,
            Lesson::Partial { fidelity: 3.0, loss: Some(0.0) },
            measured(&[-9.0], &[2.0, 0.0]),
            measured(&[5.0], &[0.0, -1.0]),
            Lesson::Partial { fidelity: 7.0, loss: None },
            measured(&[-8.0], &[1.0, 0.0]),
            Lesson::Partial { fidelity: 7.0, loss: Some(9.0) },
            measured(&[4.0], &[-1.0, -1.0]),
            // Half of the largest excess of its constraint, as trial 5: the loss decides.
            measured(&[-9.0], &[0.0, 50.0]),
            measured(&[-9.0], &[0.0, 100.0]),
        ];
        let (told, ranking) = ranking(&lessons);
        let (good, others) = ranking.split(&told, 4, 100);
        assert_eq!([good, others].concat(), [7, 3, 6, 4, 1, 8, 5, 2, 9, 0]);
        // However many are wanted, one that failed is never good.
        assert_eq!(ranking.split(&told, 10, 100).1, [0]);
    }

    #[test]
    fn one_loss_is_sorted_and_the_first_of_equals_comes_first() {
        let losses = [3.0, 1.0, 2.0, 1.0, -4.0];
        let (told, ranking) = ranking(&losses.map(|loss| measured(&[loss], &[])));
        assert_eq!(ranking.split(&told, 2, 9), (vec![4, 1], vec![3, 2, 0]));
        assert_eq!(ranking.split(&told, 0, 1).0, Vec::<usize>::new());
    }

    /// Against counting from scratch, and every split is a partition in which no other dominates a good one unless it is
    /// good too.
    #[test]
    fn several_losses_are_ranked_by_how_many_dominate_them() {
        let losses: Vec<Vec<f64>> =
            (0..60_u32).map(|i| vec![f64::from(i * 37 % 61 % 20), f64::from(i * 53 % 61 % 20)]).collect();
        let lessons: Vec<Lesson> = losses.iter().map(|row| measured(row, &[])).collect();
        let (told, ranking) = ranking(&lessons);
        let dominators = |index: usize| {
            (0..60)
                .filter(|other| domination(&losses[*other], &losses[index]) == Some(Ordering::Less))
                .count()
        };
        for (count, near_count) in [(0, 5), (3, 10), (10, 0), (25, 20), (60, 3)] {
            let (good, others) = ranking.split(&told, count, near_count);
            assert_eq!(good.len(), count);
            let mut all = [good.clone(), others.clone()].concat();
            let ranks: Vec<usize> = all.iter().map(|index| dominators(*index)).collect();
            assert!(ranks[..(count + near_count).min(60)].is_sorted(), "{count}: {ranks:?}");
            let worst = ranks[..count].iter().max();
            assert!(worst.is_none_or(|worst| ranks[count..].iter().all(|rank| rank >= worst)));
            all.sort_unstable();
            assert_eq!(all, (0..60).collect::<Vec<_>>());
        }
    }
}
