//! From densities to a point: candidates drawn from the good ones, and of these the one with the best ratio.

use std::collections::HashSet;

use ansatz_core::rng::Rng;
use ansatz_core::space::Encoding;
use ansatz_core::{Point, Space};
use rand::RngExt;

use crate::groups::Group;
use crate::model::Densities;

/// So many rounds of candidates are drawn before infeasible ones are repaired, and one more before the search ends.
const ROUND_COUNT_MAX: usize = 4;
/// Share of the candidates in which each column is drawn by itself.
const APART_SHARE: f64 = 2.0 / 3.0;

/// Points that must not be proposed again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// Of trials that have ended.
    pub(crate) told: &'a HashSet<Point>,
    /// Of trials under way.
    pub(crate) unfinished: &'a HashSet<Point>,
}

impl Seen<'_> {
    fn contains(&self, point: &Point) -> bool {
        self.told.contains(point) || self.unfinished.contains(point)
    }

    /// Anything else, without a model; `None` if a finite space is used up.
    pub(crate) fn draw(&self, space: &Space, rng: &mut Rng) -> Option<Point> {
        space.sample_unseen(|point| self.contains(point), rng)
    }

    /// Whether the point may be proposed.
    pub(crate) fn leaves(&self, encoding: &Encoding, point: &Point) -> bool {
        encoding.space().is_feasible(point) && !self.contains(point)
    }
}

/// What a search looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    pub(crate) encoding: &'a Encoding,
    /// Each after those that decide whether it is active.
    pub(crate) groups: &'a [Group],
    /// One for each group.
    pub(crate) densities: &'a [Densities],
    pub(crate) seen: Seen<'a>,
    /// How many candidates are compared, at least 1.
    pub(crate) candidate_count: usize,
}

impl Search<'_> {
    /// The best of the candidates that are feasible and were not seen. Where there are none, the best of some drawn without
    /// a model; `None` if there is nothing left.
    pub(crate) fn propose(&self, rng: &mut Rng) -> Option<Point> {
        let candidates = self.candidates(rng);
        self.best(candidates).or_else(|| {
            let space = self.encoding.space();
            let drawn = (0..self.candidate_count).filter_map(|_| space.sample(rng));
            let drawn: Vec<Point> = drawn.filter(|point| !self.seen.contains(point)).collect();
            self.best(drawn).or_else(|| self.seen.draw(self.encoding.space(), rng))
        })
    }

    /// Feasible points drawn from the good densities, none of them seen.
    fn candidates(&self, rng: &mut Rng) -> Vec<Point> {
        let space = self.encoding.space();
        let mut candidates = Vec::with_capacity(self.candidate_count);
        for attempt in 0..(ROUND_COUNT_MAX + 1) * self.candidate_count {
            if candidates.len() == self.candidate_count {
                break;
            }
            let mut point = self.draw(rng);
            if attempt >= ROUND_COUNT_MAX * self.candidate_count {
                // Where constraints leave little room: what chance did not find is repaired.
                let Some(repaired) = space.repair(&point, rng) else { continue };
                point = repaired;
            }
            if self.seen.leaves(self.encoding, &point) {
                candidates.push(point);
            }
        }
        candidates
    }

    /// A point, feasible or not: group after group, from trials in which the group was active.
    fn draw(&self, rng: &mut Rng) -> Point {
        let mut row = vec![0.5; self.encoding.column_count()];
        let mut point = None;
        let together = rng.random::<f64>() >= APART_SHARE;
        for (group, densities) in self.groups.iter().zip(self.densities) {
            let so_far = point.get_or_insert_with(|| self.encoding.decode(&row));
            if !so_far.is_active(group.parameters[0]) || group.columns.is_empty() {
                continue;
            }
            let places = densities.good().draw(together, rng);
            for (column, place) in group.columns.iter().zip(places) {
                row[*column] = place;
            }
            point = None;
        }
        point.unwrap_or_else(|| self.encoding.decode(&row))
    }

    /// The one of the largest ratio of densities, the first of equals.
    fn best(&self, points: Vec<Point>) -> Option<Point> {
        let mut scratch = Vec::new();
        let mut best: Option<(f64, Point)> = None;
        for point in points {
            let ratio = self.log_ratio(&point, &mut scratch);
            if best.as_ref().is_none_or(|(other, _)| ratio > *other) {
                best = Some((ratio, point));
            }
        }
        best.map(|(_, point)| point)
    }

    /// Of all groups that are active in a point, added up.
    fn log_ratio(&self, point: &Point, scratch: &mut Vec<f64>) -> f64 {
        let row = self.encoding.encode(point);
        self.groups
            .iter()
            .zip(self.densities)
            .filter(|(group, _)| point.is_active(group.parameters[0]) && !group.columns.is_empty())
            .map(|(group, densities)| {
                let places: Vec<f64> = group.columns.iter().map(|column| row[*column]).collect();
                densities.log_ratio(group, &places, scratch)
            })
            .sum()
    }
}
