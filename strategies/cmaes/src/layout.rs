//! Which coordinates the search has, and the way between them and points.
//!
//! Numbers and ranks with three values or more are coordinates of a normal distribution in the unit cube of the core's
//! encoding: a discrete one has cells there, one for each value. Everything else (choices, bools, and what has two values)
//! is a choice with probabilities. Parameters with one value are left out.
//!
//! At the ends of a number's range the cube is folded: beyond the bound stands the mirror image of what is before it. So
//! a distribution may reach over the edge, its samples stay as they were drawn, and what is learned is not cut off.

use ansatz_core::space::{CategoricalForm, ColumnKind, Domain, Encoding};
use ansatz_core::{Point, Space};

/// Values from which on a discrete parameter is a number rather than a choice.
const LEVEL_COUNT_MIN: u64 = 3;

/// The mapping for one space.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    encoding: Encoding,
    /// Coordinates of the normal distribution.
    pub(crate) numbers: Vec<Number>,
    /// Coordinates with a probability for each choice.
    pub(crate) choices: Vec<Choice>,
}

/// One coordinate of the normal distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    column: usize,
    parameter_index: usize,
    /// How many cells it has; `None` without gaps.
    pub(crate) level_count: Option<u64>,
}

/// One choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    column: usize,
    parameter_index: usize,
    /// At least 2.
    pub(crate) choice_count: usize,
}

/// The cell of a discrete value in the unit interval. The first reaches down to minus infinity, the last up to infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cell {
    /// Where its value stands.
    pub(crate) centre: f64,
    /// Its lower edge, `None` for the first.
    pub(crate) lower: Option<f64>,
    /// Its upper edge, `None` for the last.
    pub(crate) upper: Option<f64>,
}

/// Where a point lies in the coordinates of the search.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    /// One for each number. As drawn it may lie outside of the unit interval.
    pub(crate) numbers: Vec<f64>,
    /// One for each choice.
    pub(crate) choices: Vec<usize>,
}

/// Which coordinates of a point are active.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Activity {
    /// One for each number.
    pub(crate) numbers: Vec<bool>,
    /// One for each choice.
    pub(crate) choices: Vec<bool>,
}

impl Place {
    /// Whether a state that was read is one of this layout.
    pub(crate) fn is_sound(&self, layout: &Layout) -> bool {
        self.numbers.len() == layout.numbers.len()
            && self.numbers.iter().all(|value| value.is_finite())
            && self.choices.len() == layout.choices.len()
            && self.choices.iter().zip(&layout.choices).all(|(chosen, choice)| *chosen < choice.choice_count)
    }
}

impl Activity {
    /// The same.
    pub(crate) fn is_sound(&self, layout: &Layout) -> bool {
        self.numbers.len() == layout.numbers.len() && self.choices.len() == layout.choices.len()
    }
}

impl Layout {
    pub(crate) fn new(space: &Space) -> Self {
        let encoding = Encoding::new(space, CategoricalForm::Index);
        let (mut numbers, mut choices) = (Vec::new(), Vec::new());
        for (column, about) in encoding.columns().iter().enumerate() {
            let parameter_index = about.parameter_index;
            match about.kind {
                ColumnKind::Continuous => numbers.push(Number { column, parameter_index, level_count: None }),
                ColumnKind::Discrete { level_count } if level_count >= LEVEL_COUNT_MIN => {
                    numbers.push(Number { column, parameter_index, level_count: Some(level_count) });
                }
                ColumnKind::Discrete { level_count: count } | ColumnKind::Index { choice_count: count } => {
                    if let Ok(choice_count) = usize::try_from(count)
                        && choice_count > 1
                    {
                        choices.push(Choice { column, parameter_index, choice_count });
                    }
                }
                // not in this form
                ColumnKind::Indicator { .. } => {}
            }
        }
        Self { encoding, numbers, choices }
    }

    pub(crate) fn space(&self) -> &Space {
        self.encoding.space()
    }

    /// How many coordinates there are of both kinds.
    pub(crate) fn dimension_count(&self) -> usize {
        self.numbers.len() + self.choices.len()
    }

    /// How many of them have a margin: discrete numbers and choices.
    pub(crate) fn margin_count(&self) -> usize {
        self.choices.len() + self.numbers.iter().filter(|number| number.level_count.is_some()).count()
    }

    fn domain(&self, parameter_index: usize) -> &Domain {
        &self.space().parameters()[parameter_index].domain
    }

    /// The point of a place. Constraints are not looked at.
    pub(crate) fn point(&self, place: &Place) -> Point {
        let mut row = vec![0.5; self.encoding.column_count()];
        for (number, value) in self.numbers.iter().zip(&place.numbers) {
            row[number.column] = if number.level_count.is_none() { folded(*value).0 } else { *value };
        }
        for (choice, chosen) in self.choices.iter().zip(&place.choices) {
            let domain = self.domain(choice.parameter_index);
            row[choice.column] = domain.to_unit(domain.nth(*chosen as u64));
        }
        self.encoding.decode(&row)
    }

    /// The place of a point inside the cube, discrete values at the centres of their cells. Inactive numbers are at 0.5,
    /// inactive choices at the first.
    pub(crate) fn place(&self, point: &Point) -> Place {
        let row = self.encoding.encode(point);
        let numbers = self.numbers.iter().map(|number| row[number.column]).collect();
        let chosen = |choice: &Choice| {
            let domain = self.domain(choice.parameter_index);
            point.get(choice.parameter_index).map_or(0, |coordinate| index_of(domain, coordinate))
        };
        let choices = self.choices.iter().map(|choice| chosen(choice).min(choice.choice_count - 1)).collect();
        Place { numbers, choices }
    }

    /// Moves a place so that it is of this point, and leaves the coordinates that are as they should be. Inactive ones
    /// stay.
    pub(crate) fn move_to(&self, place: &mut Place, point: &Point) {
        let (before, after) = (self.point(place), self.place(point));
        let is_another =
            |index: usize| point.get(index).is_some_and(|value| before.get(index) != Some(value));
        for (j, number) in self.numbers.iter().enumerate() {
            if is_another(number.parameter_index) {
                place.numbers[j] = after.numbers[j];
            }
        }
        for (j, choice) in self.choices.iter().enumerate() {
            if is_another(choice.parameter_index) {
                place.choices[j] = after.choices[j];
            }
        }
    }

    /// Which coordinates of a point are active.
    pub(crate) fn activity(&self, point: &Point) -> Activity {
        Activity {
            numbers: self.numbers.iter().map(|number| point.is_active(number.parameter_index)).collect(),
            choices: self.choices.iter().map(|choice| point.is_active(choice.parameter_index)).collect(),
        }
    }

    /// The cell of the discrete number `j` in which `value` lies; `None` for a number without gaps.
    pub(crate) fn cell(&self, j: usize, value: f64) -> Option<Cell> {
        let number = &self.numbers[j];
        let last = number.level_count?.saturating_sub(1);
        let domain = self.domain(number.parameter_index);
        let index = index_of(domain, domain.from_unit(value)) as u64;
        let edge = |index: u64| domain.to_unit(0.5 * (domain.nth(index) + domain.nth(index + 1)));
        Some(Cell {
            centre: domain.to_unit(domain.nth(index)),
            lower: (index > 0).then(|| edge(index - 1)),
            upper: (index < last).then(|| edge(index)),
        })
    }
}

/// The number of a discrete coordinate, counted from the lowest.
fn index_of(domain: &Domain, coordinate: f64) -> usize {
    let distance = domain.nth(1) - domain.nth(0);
    let index = ((coordinate - domain.nth(0)) / distance).round();
    // saturates, and NaN is 0
    index as usize
}

/// The image of a value in the unit interval whose ends are mirrors, and whether it is seen the wrong way round.
pub(crate) fn folded(value: f64) -> (f64, bool) {
    let turn = value.rem_euclid(2.0);
    if turn > 1.0 { (2.0 - turn, true) } else { (turn, false) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::rng::Rng;
    use ansatz_core::space::{Condition, Parameter, Scale};
    use rand::RngExt;

    fn layout() -> Layout {
        let step = |lower, upper, scale| Domain::Float { lower, upper, scale, step: Some(0.5) };
        Layout::new(
            &Space::of(vec![
                Parameter::float("float", -5.0, 10.0),
                Parameter::float("rate", 1e-6, 1.0).log(),
                Parameter::int("count", -3, 17),
                Parameter::int("width", 1, 4096).log(),
                Parameter::new("step", step(0.25, 9.75, Scale::Linear)),
                Parameter::new("log_step", step(0.5, 64.0, Scale::Log)),
                Parameter::ordinal("rank", [16, 32, 64, 128]),
                Parameter::ordinal("two", ["few", "many"]),
                Parameter::int("one", 4, 4),
                Parameter::categorical("kind", ["a", "b", "c"]),
                Parameter::bool("flag"),
                Parameter::float("only_a", 0.0, 1.0).when(Condition::equals("kind", "a".to_owned())),
            ])
            .unwrap(),
        )
    }

    #[test]
    fn a_point_has_a_place_and_a_place_its_point() {
        let layout = layout();
        assert_eq!((layout.numbers.len(), layout.choices.len(), layout.margin_count()), (8, 3, 8));
        let mut rng = Rng::new(3);
        for _ in 0..300 {
            let point = layout.space().draw(&mut rng);
            let place = layout.place(&point);
            let again = layout.point(&place);
            for (index, parameter) in layout.space().parameters().iter().enumerate() {
                let (before, after) = (point.get(index), again.get(index));
                let is_near = match (before, after) {
                    (Some(a), Some(b)) if parameter.domain.value_count().is_none() => {
                        (a - b).abs() <= 1e-9 * (1.0 + a.abs())
                    }
                    _ => before == after,
                };
                assert!(is_near, "{}: {before:?} {after:?}", parameter.name);
            }
            let mut elsewhere = layout.place(&layout.space().draw(&mut rng));
            elsewhere.numbers.iter_mut().for_each(|value| *value += 0.3 * (rng.random::<f64>() - 0.5));
            layout.move_to(&mut elsewhere, &point);
            assert_eq!(layout.activity(&layout.point(&elsewhere)), layout.activity(&point));
            assert_eq!(layout.place(&layout.point(&elsewhere)).choices, place.choices);
        }
    }

    #[test]
    fn cells_lie_side_by_side_around_their_values() {
        let layout = layout();
        for (j, number) in layout.numbers.iter().enumerate() {
            let Some(count) = number.level_count else {
                assert_eq!(layout.cell(j, 0.5), None);
                continue;
            };
            let mut cell = layout.cell(j, -0.2).unwrap();
            assert_eq!(cell.lower, None);
            for _ in 1..count {
                let upper = cell.upper.unwrap();
                assert!(cell.centre < upper);
                let next = layout.cell(j, upper + 1e-9).unwrap();
                assert!((next.lower.unwrap() - upper).abs() < 1e-12, "{j}: {cell:?} {next:?}");
                assert!(next.centre > upper);
                let domain = layout.domain(number.parameter_index);
                assert!(domain.from_unit(upper - 1e-9) < domain.from_unit(upper + 1e-9));
                cell = next;
            }
            assert_eq!(cell.upper, None);
            assert_eq!(layout.cell(j, 1.7), Some(cell));
        }
    }

    #[test]
    fn beyond_a_bound_stands_the_mirror_image() {
        let images = [
            (0.25, 0.25, false),
            (-0.25, 0.25, true),
            (1.25, 0.75, true),
            (2.25, 0.25, false),
            (1.0, 1.0, false),
        ];
        for (value, image, is_turned) in images {
            assert_eq!(folded(value), (image, is_turned), "{value}");
        }
    }
}
