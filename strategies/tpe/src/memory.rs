//! What follows from what was told, kept up to date with each result instead of made anew by each ask.

use std::collections::HashSet;

use ansatz_core::Point;
use ansatz_core::space::Encoding;

use crate::groups::Group;
use crate::history::Told;
use crate::ranking::{ExcessUnits, Ranking};

/// A function of the list of everything told; a snapshot does without it.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Rows of the encoding, one for each trial told.
    pub(crate) rows: Vec<Vec<f64>>,
    /// Points of all of them. Asked whether it holds one, never gone through: its order is chance.
    pub(crate) points: HashSet<Point>,
    /// One for each group, of the trials in which it was active.
    pub(crate) rankings: Vec<Ranking>,
    units: ExcessUnits,
}

impl Memory {
    /// Of nothing.
    pub(crate) fn new(group_count: usize) -> Self {
        Self {
            rows: Vec::new(),
            points: HashSet::new(),
            rankings: vec![Ranking::default(); group_count],
            units: ExcessUnits::default(),
        }
    }

    /// Takes in what was added to the list.
    pub(crate) fn learn(&mut self, encoding: &Encoding, groups: &[Group], told: &[Told]) {
        for index in self.rows.len()..told.len() {
            let Told { point, lesson } = &told[index];
            self.rows.push(encoding.encode(point));
            self.points.insert(point.clone());
            let units_changed = self.units.widen(lesson);
            for (group, ranking) in groups.iter().zip(&mut self.rankings) {
                if units_changed {
                    ranking.rebuild(told, &self.units);
                }
                if point.is_active(group.parameters[0]) {
                    ranking.insert(told, index, &self.units);
                }
            }
        }
    }
}
