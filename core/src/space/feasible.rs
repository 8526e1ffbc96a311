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

impl Space {
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

    /// A feasible point near `point` (which must lie in the domains): the point itself if it is feasible,
    /// else with as few coordinates moved as chance finds. `None` if that did not succeed.
    ///
    /// A violated linear relation is mended by moving its parameters, in random order, just as far as
    /// needed; a forbidden combination by giving one of its parameters another value.
    pub fn repair(&self, point: &Point, rng: &mut Rng) -> Option<Point> {
        if self.is_feasible(point) {
            return Some(point.clone());
        }
        // a change may activate what was inactive, so everything needs a value
        let mut coordinates = self.draw_coordinates(rng);
        for (coordinate, known) in coordinates.iter_mut().zip(point.coordinates()) {
            *coordinate = known.unwrap_or(*coordinate);
        }
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
            for edge in [domain.snap(lower.next_down()), domain.snap(upper.next_up())] {
                if !condition.holds(Some(edge)) {
                    coordinates[condition.parameter_index] = edge;
                }
            }
        }
    }
}
