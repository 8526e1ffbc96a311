//! Finding points that satisfy the constraints: sampling and repair, so that no strategy writes them again.

use super::condition::{Resolved, ResolvedTest};
use super::{Point, Rule, Space};
use crate::rng::Rng;
use rand::RngExt;

/// Fresh draws before `sample` turns to repair.
const REJECTION_MAX: usize = 100;
/// Draws that `sample` tries to repair before it gives up.
const REPAIR_START_MAX: usize = 50;
/// Violated rules that one repair mends before it gives up.
const REPAIR_ROUND_MAX: usize = 200;
/// Points near another one that `sample_unseen_near` tries.
const NEAR_COUNT_MAX: usize = 100;
/// Draws before `sample_unseen` walks through a finite space.
const DRAW_COUNT_MAX: usize = 200;
/// Draws of what a point leaves out before `filled` gives up.
const FILL_COUNT_MAX: usize = 1000;
/// Combinations of the largest space that it walks through.
const WALK_COUNT_MAX: u64 = 1 << 20;

impl Space {
    /// How many combinations of values there are, inactive ones counted; `None` if the space is not finite or the number
    /// does not fit.
    pub fn combination_count(&self) -> Option<u64> {
        let counts = self.parameters().iter().map(|parameter| parameter.domain.value_count());
        counts.into_iter().try_fold(1_u64, |product, count| product.checked_mul(count?))
    }

    /// The point of a combination of a finite space, by an index below their number; not always feasible. Where parameters
    /// are inactive several combinations give the same point.
    pub fn combination(&self, mut index: u64) -> Point {
        let coordinates = self.parameters().iter().map(|parameter| {
            let count = parameter.domain.value_count().unwrap_or(1).max(1);
            let level = index % count;
            index /= count;
            parameter.domain.nth(level)
        });
        self.assemble(coordinates.collect())
    }

    /// A feasible point that was not seen. Where chance finds none, a finite space of up to a million combinations is
    /// walked through; `None` if it is used up.
    pub fn sample_unseen(&self, is_seen: impl Fn(&Point) -> bool, rng: &mut Rng) -> Option<Point> {
        for _ in 0..DRAW_COUNT_MAX {
            if let Some(point) = self.sample(rng).filter(|point| !is_seen(point)) {
                return Some(point);
            }
        }
        let count = self.combination_count().filter(|count| *count <= WALK_COUNT_MAX)?;
        let first = rng.random_range(0..count.max(1));
        (0..count)
            .map(|offset| self.combination((first + offset) % count))
            .find(|point| self.is_feasible(point) && !is_seen(point))
    }

    /// A feasible point that was not seen, near another one of the space: one parameter of it is moved, then more and
    /// further. Where chance finds none it is any point that was not seen; `None` if the space is used up.
    pub fn sample_unseen_near(
        &self,
        point: &Point,
        is_seen: impl Fn(&Point) -> bool,
        rng: &mut Rng,
    ) -> Option<Point> {
        let active: Vec<usize> = (0..self.parameter_count()).filter(|i| point.is_active(*i)).collect();
        for round in 1..=NEAR_COUNT_MAX {
            let mut coordinates = self.completed(point, rng);
            let reach = round as f64 / NEAR_COUNT_MAX as f64;
            for _ in 0..1 + round * 3 / NEAR_COUNT_MAX {
                let Some(index) = active.get(rng.random_range(0..active.len().max(1))) else { break };
                coordinates[*index] = self.parameters()[*index].domain.moved(coordinates[*index], reach, rng);
            }
            let found = self.repair(&self.assemble(coordinates), rng);
            if let Some(found) = found.filter(|found| !is_seen(found)) {
                return Some(found);
            }
        }
        self.sample_unseen(is_seen, rng)
    }

    /// A feasible point, uniform in the unit cube where that is possible: by rejection first, and where
    /// the constraints leave little room by repairing draws (no longer exactly uniform). `None` if no
    /// feasible point was found: the constraints probably contradict each other.
    pub fn sample(&self, rng: &mut Rng) -> Option<Point> {
        for _ in 0..REJECTION_MAX {
            let point = self.draw(rng);
            if self.is_feasible(&point) {
                return Some(point);
            }
        }
        (0..REPAIR_START_MAX).find_map(|_| {
            let point = self.draw(rng);
            self.repair(&point, rng)
        })
    }

    /// A point that is uniform in the unit cube; constraints are not looked at.
    pub fn draw(&self, rng: &mut Rng) -> Point {
        self.assemble(self.draw_coordinates(rng))
    }

    fn draw_coordinates(&self, rng: &mut Rng) -> Vec<f64> {
        self.parameters().iter().map(|parameter| parameter.domain.from_unit(rng.random())).collect()
    }

    /// A coordinate for every parameter: the point's, and drawn ones where it has none, since a change may activate them.
    fn completed(&self, point: &Point, rng: &mut Rng) -> Vec<f64> {
        let drawn = self.draw_coordinates(rng);
        point.coordinates().zip(drawn).map(|(known, drawn)| known.unwrap_or(drawn)).collect()
    }

    /// A feasible point that has every coordinate of `point`, and drawn ones where that has none: itself if nothing is left
    /// out.
    ///
    /// # Errors
    /// None was found: why the point itself is none, or the last one that was tried.
    pub fn filled(&self, point: &Point, rng: &mut Rng) -> Result<Point, String> {
        let mut reason = match self.check(point) {
            Ok(()) => return Ok(point.clone()),
            Err(reason) => reason,
        };
        if (0..self.parameter_count()).all(|index| point.is_active(index)) {
            return Err(reason);
        }
        for _ in 0..FILL_COUNT_MAX {
            let found = self.assemble(self.completed(point, rng));
            let is_new = |index: usize| found.is_active(index) && !point.is_active(index);
            let lost = (0..self.parameter_count()).find(|i| point.is_active(*i) && !found.is_active(*i));
            if lost.is_none() && !(0..self.parameter_count()).any(is_new) {
                // nothing was left out
                return Err(reason);
            }
            if let Some(lost) = lost {
                reason = format!("{} would be inactive", self.parameters()[lost].name);
                continue;
            }
            match self.check(&found) {
                Ok(()) => return Ok(found),
                Err(broken) => reason = broken,
            }
        }
        Err(format!("no values for the others were found: {reason}"))
    }

    /// A feasible point near `point` (which must lie in the domains): the point itself if it is feasible,
    /// else with as few coordinates moved as chance finds. `None` if that did not succeed.
    ///
    /// A violated linear relation is mended by moving its parameters, in random order, just as far as
    /// needed; a forbidden combination by giving one of its parameters another value.
    pub fn repair(&self, point: &Point, rng: &mut Rng) -> Option<Point> {
        if self.is_feasible(point) {
            return Some(point.clone());
        }
        let mut coordinates = self.completed(point, rng);
        for _ in 0..REPAIR_ROUND_MAX {
            let candidate = self.assemble(coordinates.clone());
            let Some(rule) = self.inner.rules.iter().find(|rule| !rule.is_satisfied(&candidate)) else {
                return Some(candidate);
            };
            match rule {
                Rule::Linear { terms, relation } => {
                    self.mend_linear(terms, relation.bound, relation.strict, &mut coordinates, rng);
                }
                Rule::Forbidden(conditions) => self.mend_forbidden(conditions, &mut coordinates, rng),
            }
        }
        None
    }

    fn mend_linear(
        &self,
        terms: &[(usize, f64)],
        bound: f64,
        strict: bool,
        coordinates: &mut [f64],
        rng: &mut Rng,
    ) {
        let magnitude: f64 = terms.iter().map(|(index, c)| (c * coordinates[*index]).abs()).sum();
        let margin = if strict { 1e-9 * (magnitude + bound.abs() + 1e-300) } else { 0.0 };
        let mut terms = terms.to_vec();
        let mut excess = terms.iter().map(|(index, c)| c * coordinates[*index]).sum::<f64>() - bound + margin;
        // only a part of the way for all but the last, so that repaired points do not crowd the corners
        while !terms.is_empty() && excess > 0.0 {
            let (index, coefficient) = terms.swap_remove(rng.random_range(0..terms.len()));
            let share = if terms.is_empty() { 1.0 } else { rng.random::<f64>() };
            let domain = &self.parameters()[index].domain;
            let before = coordinates[index];
            let target = before - share * excess / coefficient;
            let mut after = domain.snap(target);
            // snapping may fall short: then one level further
            let short = coefficient * (after - target) > 0.0;
            if let (true, Some(count)) = (short, domain.value_count()) {
                let level_distance =
                    if count > 1 { (domain.upper() - domain.lower()) / (count - 1) as f64 } else { 0.0 };
                after = domain.snap(after - coefficient.signum() * level_distance);
            }
            coordinates[index] = after;
            excess += coefficient * (after - before);
        }
    }

    fn mend_forbidden(&self, conditions: &[Resolved], coordinates: &mut [f64], rng: &mut Rng) {
        if conditions.is_empty() {
            return;
        }
        let condition = &conditions[rng.random_range(0..conditions.len())];
        let domain = &self.parameters()[condition.parameter_index].domain;
        for _ in 0..32 {
            let other = domain.from_unit(rng.random());
            if !condition.holds(Some(other)) {
                coordinates[condition.parameter_index] = other;
                return;
            }
        }
        // a wide range may leave only a sliver outside: take its edges
        if let ResolvedTest::Within(lower, upper) = condition.test {
            let edges = match domain.value_count() {
                None => [domain.snap(lower.next_down()), domain.snap(upper.next_up())],
                // the nearest value may lie within: then the next one does not
                Some(_) => {
                    let [below, above] = [lower, upper].map(|end| domain.level(end));
                    let below = if domain.nth(below) < lower { below } else { below.saturating_sub(1) };
                    let above = if domain.nth(above) > upper { above } else { above.saturating_add(1) };
                    [domain.nth(below), domain.nth(above)]
                }
            };
            for edge in edges {
                if !condition.holds(Some(edge)) {
                    coordinates[condition.parameter_index] = edge;
                }
            }
        }
    }
}
