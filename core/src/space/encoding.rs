//! The one mapping between points and rows of the unit cube, in both directions.
//!
//! Every strategy sees the same cube: a log scale is straightened, a discrete parameter with `n` values
//! fills `n` cells whose centres stand for them (for a log scale the cells are log-spaced), ordinals go
//! by rank, categoricals and bools by index or one-hot, as the strategy asks. Logarithms come from `libm`,
//! so that the same seed gives the same bits on every platform.

use super::Space;
use super::parameter::{Domain, Scale};
use super::point::Point;
use crate::rng::Rng;
use rand::RngExt;

/// How a categorical or bool parameter becomes columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CategoricalForm {
    /// One column; the cell centre `(index + 0.5) / n`.
    Index,
    /// One column per choice: 1 for the chosen, 0 for the others. Decoded by the largest, first of equals.
    OneHot,
}

/// What a column of an encoded row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// A number without gaps.
    Continuous,
    /// A number or rank with this many levels; nearby cells are similar.
    Discrete {
        /// How many cells the column has.
        level_count: u64,
    },
    /// The index of a categorical or bool; nearby cells have nothing in common.
    Index {
        /// How many cells the column has.
        choice_count: u64,
    },
    /// One choice of a one-hot categorical.
    Indicator {
        /// Which choice.
        choice: u64,
    },
}

/// One column of an encoded row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The parameter it belongs to.
    pub parameter_index: usize,
    /// What it stands for.
    pub kind: ColumnKind,
}

/// The mapping for one space. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Encoding {
    space: Space,
    columns: Vec<Column>,
    /// First column of each parameter.
    starts: Vec<usize>,
}

/// The column value of an inactive parameter: the middle, so that it is equally far from everything.
pub const INACTIVE: f64 = 0.5;

impl Encoding {
    /// The mapping of `space` with categoricals in the form asked for.
    pub fn new(space: &Space, form: CategoricalForm) -> Self {
        let (mut columns, mut starts) = (Vec::new(), Vec::new());
        for (parameter_index, parameter) in space.parameters().iter().enumerate() {
            starts.push(columns.len());
            let count = parameter.domain.value_count();
            let unordered = matches!(parameter.domain, Domain::Categorical { .. } | Domain::Bool);
            match (unordered, form, count) {
                (true, CategoricalForm::OneHot, Some(count)) => columns.extend(
                    (0..count)
                        .map(|choice| Column { parameter_index, kind: ColumnKind::Indicator { choice } }),
                ),
                (true, _, Some(choice_count)) => {
                    columns.push(Column { parameter_index, kind: ColumnKind::Index { choice_count } });
                }
                (_, _, Some(level_count)) => {
                    columns.push(Column { parameter_index, kind: ColumnKind::Discrete { level_count } });
                }
                (_, _, None) => columns.push(Column { parameter_index, kind: ColumnKind::Continuous }),
            }
        }
        Self { space: space.clone(), columns, starts }
    }

    /// The space that is encoded.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The columns, in the order of a row. Columns of one parameter are neighbours.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Length of a row.
    pub fn column_count(&self) -> usize {
        self.columns.len()
    }

    /// The row of a point, shape `(column_count,)`, in `[0, 1]`; inactive parameters sit at 0.5.
    pub fn encode(&self, point: &Point) -> Vec<f64> {
        self.columns
            .iter()
            .map(|column| {
                let Some(coordinate) = point.get(column.parameter_index) else { return INACTIVE };
                match column.kind {
                    ColumnKind::Indicator { choice } => f64::from(u8::from(coordinate == choice as f64)),
                    _ => self.space.parameters()[column.parameter_index].domain.to_unit(coordinate),
                }
            })
            .collect()
    }

    /// Which columns belong to an active parameter, shape `(column_count,)`.
    pub fn activity(&self, point: &Point) -> Vec<bool> {
        self.columns.iter().map(|column| point.is_active(column.parameter_index)).collect()
    }

    /// The point of a row of length `column_count`: inside its domains whatever the numbers (they are
    /// clamped to `[0, 1]`), inactive parameters dropped. Constraints are not looked at: see `Space::repair`.
    pub fn decode(&self, row: &[f64]) -> Point {
        let coordinates = (self.space.parameters().iter().enumerate())
            .map(|(index, parameter)| {
                let start = self.starts[index];
                match self.columns[start].kind {
                    ColumnKind::Indicator { .. } => {
                        let end = self.starts.get(index + 1).copied().unwrap_or(self.columns.len());
                        let mut best = start;
                        for column in start..end {
                            if row[column] > row[best] {
                                best = column;
                            }
                        }
                        (best - start) as f64
                    }
                    _ => parameter.domain.from_unit(row[start]),
                }
            })
            .collect();
        self.space.assemble(coordinates)
    }
}

impl Domain {
    /// Where a coordinate lies in `[0, 1]`. Discrete values lie at the centre of their cell.
    pub fn to_unit(&self, coordinate: f64) -> f64 {
        if let Some(count) = self.value_count() {
            if count <= 1 {
                return 0.5;
            }
            if self.scale() == Scale::Linear {
                return ((coordinate - self.lower()) / self.level_distance() + 0.5) / count as f64;
            }
        }
        let (lower, upper) = self.log_or_plain_edges();
        let position = if self.scale() == Scale::Log { libm::log(coordinate) } else { coordinate };
        let share = match upper - lower {
            width if width.is_finite() => (position - lower) / width,
            // from -1e308 to 1e308
            _ => (0.5 * position - 0.5 * lower) / (0.5 * upper - 0.5 * lower),
        };
        share.clamp(0.0, 1.0)
    }

    /// The coordinate at a place in `[0, 1]`; places outside are clamped.
    pub fn from_unit(&self, unit: f64) -> f64 {
        let unit = if unit.is_nan() { 0.5 } else { unit.clamp(0.0, 1.0) };
        if let Some(count) = self.value_count() {
            if count <= 1 {
                return self.lower();
            }
            if self.scale() == Scale::Linear {
                return self.nth((unit * count as f64).floor() as u64);
            }
        }
        let (lower, upper) = self.log_or_plain_edges();
        // as a convex sum: both ends are met exactly, and a range of 1e308 does not overflow
        let position = lower * (1.0 - unit) + upper * unit;
        self.snap(if self.scale() == Scale::Log { libm::exp(position) } else { position })
    }

    /// Another coordinate, at most `reach` (0 to 1) of the unit interval away where it has an order, and at least the next
    /// value; any other value where it has none. The same where there is only one.
    pub(super) fn moved(&self, coordinate: f64, reach: f64, rng: &mut Rng) -> f64 {
        let is_ordered = !matches!(self, Domain::Categorical { .. } | Domain::Bool);
        let Some(count) = self.value_count() else {
            return self.from_unit(self.to_unit(coordinate) + reach * rng.random_range(-1.0..=1.0));
        };
        if count <= 1 {
            return coordinate;
        }
        let level = self.level(coordinate);
        if !is_ordered {
            let other = rng.random_range(0..count - 1);
            return self.nth(if other >= level { other + 1 } else { other });
        }
        let far = ((reach * count as f64) as u64).clamp(1, count - 1);
        let distance = rng.random_range(1..=far);
        let (down, up) = (level.checked_sub(distance), level.checked_add(distance).filter(|to| *to < count));
        let is_up = rng.random::<bool>();
        self.nth(if is_up { up.or(down) } else { down.or(up) }.unwrap_or(level))
    }

    /// Which of a finite number of values it is, from 0: the reverse of `nth`.
    pub fn level(&self, coordinate: f64) -> u64 {
        ((coordinate - self.lower()) / self.level_distance()).round().max(0.0) as u64
    }

    /// Where a level lies in `[0, 1]`, counted as in `nth`: the centre of its cell on a linear scale, as `to_unit` has it
    /// on a logarithmic one.
    pub fn level_to_unit(&self, level: u64) -> f64 {
        match (self.scale(), self.value_count()) {
            (Scale::Linear, Some(count)) => (level as f64 + 0.5) / count as f64,
            _ => self.to_unit(self.nth(level)),
        }
    }

    /// How wide the cell of a discrete coordinate is in `[0, 1]`. On a logarithmic scale low ones are wider.
    pub fn cell_width(&self, coordinate: f64) -> f64 {
        let Some(count) = self.value_count() else { return 0.0 };
        if self.scale() == Scale::Linear {
            return 1.0 / count as f64;
        }
        let (lower, upper) = self.log_or_plain_edges();
        let half = 0.5 * self.level_distance();
        // the lowest cell may reach below 0, where there is no logarithm: `max` takes the lower end then
        let [below, above] =
            [coordinate - half, coordinate + half].map(|edge| libm::log(edge).max(lower).min(upper));
        (above - below) / (upper - lower)
    }

    fn scale(&self) -> Scale {
        match self {
            Domain::Float { scale, .. } | Domain::Int { scale, .. } => *scale,
            _ => Scale::Linear,
        }
    }

    /// Distance of neighbouring coordinates of a discrete domain.
    fn level_distance(&self) -> f64 {
        match self {
            Domain::Float { step, .. } => step.unwrap_or(1.0),
            Domain::Int { step, .. } => *step as f64,
            _ => 1.0,
        }
    }

    /// Both ends of the unit interval, logarithmic on a log scale. Discrete log domains reach half a step
    /// beyond their bounds, so that the first and last value have cells like the others.
    fn log_or_plain_edges(&self) -> (f64, f64) {
        let (lower, upper) = (self.lower(), self.upper());
        if self.scale() == Scale::Linear {
            return (lower, upper);
        }
        if self.value_count().is_none() {
            return (libm::log(lower), libm::log(upper));
        }
        let half = 0.5 * self.level_distance();
        (libm::log((lower - half).max(0.5 * lower)), libm::log(upper + half))
    }
}
