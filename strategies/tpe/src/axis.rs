//! What one column of the encoding is to an estimator: a number, a few levels in order, or choices without one.

use ansatz_core::space::{Column, ColumnKind, Domain, Parameter, Scale};

/// Numbers with more levels than this are taken as continuous: their cells are narrower than any kernel.
pub(crate) const LEVEL_COUNT_MAX: u64 = 32;

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Axis {
    /// Any place in [0, 1].
    Continuous {
        /// Of how many values it is an approximation, if of any.
        level_count: Option<u64>,
    },
    /// Ordered cells that fill [0, 1]; a place is a level.
    Levels {
        /// Ends of the cells, ascending from 0 to 1: one more than there are levels.
        edges: Vec<f64>,
        /// Where each level's value lies in its cell.
        centres: Vec<f64>,
    },
    /// Cells of equal width that have nothing in common.
    Choices {
        /// How many.
        count: usize,
    },
}

impl Axis {
    /// `None` where there is one value only: it says nothing.
    pub(crate) fn new(column: Column, parameter: &Parameter) -> Option<Self> {
        match column.kind {
            ColumnKind::Discrete { level_count: 0..=1 } | ColumnKind::Index { choice_count: 0..=1 } => None,
            ColumnKind::Discrete { level_count } if level_count <= LEVEL_COUNT_MAX => {
                let centres: Vec<f64> = (0..level_count)
                    .map(|level| parameter.domain.to_unit(parameter.domain.nth(level)))
                    .collect();
                Some(Self::Levels { edges: edges(&parameter.domain, &centres), centres })
            }
            ColumnKind::Discrete { level_count } => Some(Self::Continuous { level_count: Some(level_count) }),
            ColumnKind::Continuous => Some(Self::Continuous { level_count: None }),
            ColumnKind::Index { choice_count } => Some(Self::Choices { count: choice_count as usize }),
            ColumnKind::Indicator { .. } => Some(Self::Choices { count: 2 }),
        }
    }

    /// The cell of a place in [0, 1]; 0 on a continuous axis.
    pub(crate) fn cell(&self, place: f64) -> usize {
        match self {
            Self::Continuous { .. } => 0,
            Self::Levels { edges, .. } => {
                edges[1..edges.len() - 1].iter().take_while(|edge| **edge <= place).count()
            }
            Self::Choices { count } => ((place * *count as f64) as usize).min(count - 1),
        }
    }
}

/// Where cells meet. On a log scale that is the logarithm of the middle between two values, as the encoding rounds.
fn edges(domain: &Domain, centres: &[f64]) -> Vec<f64> {
    let count = centres.len();
    let is_log =
        matches!(domain, Domain::Float { scale: Scale::Log, .. } | Domain::Int { scale: Scale::Log, .. });
    let inner = |upper_level: usize| {
        if !is_log {
            return upper_level as f64 / count as f64;
        }
        let [below, above] = [upper_level - 1, upper_level].map(|level| domain.nth(level as u64));
        // Between two values the place is a straight line of the logarithm.
        let share =
            (libm::log(0.5 * (below + above)) - libm::log(below)) / (libm::log(above) - libm::log(below));
        centres[upper_level - 1] + share * (centres[upper_level] - centres[upper_level - 1])
    };
    std::iter::once(0.0).chain((1..count).map(inner)).chain(std::iter::once(1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Space;
    use ansatz_core::space::{CategoricalForm, Encoding};

    fn axis(parameter: Parameter) -> (Option<Axis>, Domain) {
        let space = Space::of(vec![parameter]).unwrap();
        let encoding = Encoding::new(&space, CategoricalForm::Index);
        let parameter = &space.parameters()[0];
        (Axis::new(encoding.columns()[0], parameter), parameter.domain.clone())
    }

    fn stepped(lower: f64, upper: f64, step: f64, scale: Scale) -> Domain {
        Domain::Float { lower, upper, scale, step: Some(step) }
    }

    /// Whatever place is drawn, its cell is that of the value which the encoding makes of it.
    #[test]
    fn cells_are_those_of_the_encoding() {
        let parameters = [
            Parameter::int("linear", 3, 9),
            Parameter::int("log", 1, 16).log(),
            Parameter::int("wide", 10, 40).log(),
            Parameter::new("stepped", stepped(0.0, 1.0, 0.125, Scale::Linear)),
            Parameter::new("stepped log", stepped(0.5, 8.0, 0.5, Scale::Log)),
            Parameter::ordinal("ordinal", [1_i64, 10, 100]),
            Parameter::categorical("choice", ["a", "b", "c", "d", "e"]),
            Parameter::bool("bool"),
        ];
        for parameter in parameters {
            let name = parameter.name.clone();
            let (axis, domain) = axis(parameter);
            let axis = axis.unwrap();
            let count = domain.value_count().unwrap();
            if let Axis::Levels { edges, centres } = &axis {
                assert_eq!((edges.len() as u64, centres.len() as u64), (count + 1, count));
                assert!(edges.is_sorted_by(|a, b| a < b), "{name}: {edges:?}");
            }
            for step in 0..=10_000 {
                let place = f64::from(step) / 10_000.0;
                let value = domain.from_unit(place);
                assert_eq!(domain.nth(axis.cell(place) as u64), value, "{name} at {place}");
                assert_eq!(axis.cell(domain.to_unit(value)), axis.cell(place), "{name} at {place}");
            }
        }
    }

    #[test]
    fn long_ranges_are_continuous_and_single_values_nothing() {
        assert_eq!(axis(Parameter::int("n", 1, 100)).0, Some(Axis::Continuous { level_count: Some(100) }));
        assert_eq!(axis(Parameter::float("x", 0.0, 2.0)).0, Some(Axis::Continuous { level_count: None }));
        assert_eq!(axis(Parameter::int("n", 7, 7)).0, None);
        assert_eq!(axis(Parameter::categorical("c", ["only"])).0, None);
    }
}
