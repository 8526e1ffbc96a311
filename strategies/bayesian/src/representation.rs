//! Points as the surrogate sees them.
//!
//! The shared encoding gives one column per parameter, with inactive parameters at their mid-point. Columns of a single
//! level carry nothing and are left out; each group of parameters that share their conditions adds a column that says
//! whether the group is active.

use ansatz_core::space::{CategoricalForm, ColumnKind, Encoding};
use ansatz_core::{Point, Space};
use ansatz_surrogate::Column;

/// How one column of the encoding is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// Along the gradient.
    Gradient,
    /// Along the gradient as if it were continuous, rounded, then neighbouring levels of this many.
    RoundedGradient(u64),
    /// All levels or choices of this many.
    Levels(u64),
    /// Not at all: there is one level.
    Fixed,
}

impl Search {
    /// Whether there are steps from level to level.
    pub(crate) fn has_levels(&self) -> bool {
        matches!(self, Self::Levels(_) | Self::RoundedGradient(_))
    }
}

/// Discrete columns with more levels than this are searched along the gradient first.
const LEVEL_COUNT_ENUMERATED_MAX: u64 = 17;

/// The mapping from points to rows of a design.
#[derive(Debug)]
pub(crate) struct Representation {
    encoding: Encoding,
    /// Kinds of the columns of a row of features.
    columns: Vec<Column>,
    /// Column of the encoding behind each of the first features.
    sources: Vec<usize>,
    /// One parameter of each conditional group; the last features.
    group_parameters: Vec<usize>,
    /// Feature of each column of the encoding, if it has one.
    feature_of: Vec<Option<usize>>,
    searches: Vec<Search>,
    /// How many combinations of values there are, if that is a small finite number (inactive ones counted).
    combination_count: Option<u64>,
}

impl Representation {
    pub(crate) fn new(space: &Space) -> Self {
        let encoding = Encoding::new(space, CategoricalForm::Index);
        let (mut columns, mut sources, mut searches) = (Vec::new(), Vec::new(), Vec::new());
        let mut feature_of = Vec::new();
        for (index, column) in encoding.columns().iter().enumerate() {
            let (kind, search) = match column.kind {
                ColumnKind::Continuous => (Column::Continuous, Search::Gradient),
                ColumnKind::Discrete { level_count: 0..=1 } | ColumnKind::Index { choice_count: 0..=1 } => {
                    (Column::Continuous, Search::Fixed)
                }
                ColumnKind::Discrete { level_count } if level_count > LEVEL_COUNT_ENUMERATED_MAX => {
                    (Column::Continuous, Search::RoundedGradient(level_count))
                }
                ColumnKind::Discrete { level_count } => (Column::Continuous, Search::Levels(level_count)),
                ColumnKind::Index { choice_count } => (Column::Categorical, Search::Levels(choice_count)),
                ColumnKind::Indicator { .. } => (Column::Categorical, Search::Levels(2)),
            };
            searches.push(search);
            if search == Search::Fixed {
                feature_of.push(None);
            } else {
                feature_of.push(Some(columns.len()));
                columns.push(kind);
                sources.push(index);
            }
        }
        let parameters = space.parameters();
        let group_parameters: Vec<usize> = (0..parameters.len())
            .filter(|index| {
                let conditions = &parameters[*index].conditions;
                !conditions.is_empty()
                    && parameters[..*index].iter().all(|other| other.conditions != *conditions)
            })
            .collect();
        columns.extend(group_parameters.iter().map(|_| Column::Activity));
        let combination_count = space.combination_count();
        Self { encoding, columns, sources, group_parameters, feature_of, searches, combination_count }
    }

    pub(crate) fn space(&self) -> &Space {
        self.encoding.space()
    }

    pub(crate) fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// Kinds of the features, for the design.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// How each column of the encoding is searched.
    pub(crate) fn searches(&self) -> &[Search] {
        &self.searches
    }

    /// Position among the features of a column of the encoding.
    pub(crate) fn feature_of(&self, encoding_column: usize) -> Option<usize> {
        self.feature_of[encoding_column]
    }

    /// Features of a point, shape (feature_count,).
    pub(crate) fn features(&self, point: &Point) -> Vec<f64> {
        let row = self.encoding.encode(point);
        let active = |parameter: &usize| if point.is_active(*parameter) { 1.0 } else { 0.0 };
        self.sources
            .iter()
            .map(|source| row[*source])
            .chain(self.group_parameters.iter().map(active))
            .collect()
    }

    /// Number of combinations of values if the space is finite and that number fits.
    pub(crate) fn combination_count(&self) -> Option<u64> {
        self.combination_count
    }
}
