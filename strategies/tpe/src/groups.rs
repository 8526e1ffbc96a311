//! Groups of parameters that are always active together. Each has estimators of its own, made of the trials in which it
//! was active.

use ansatz_core::Space;
use ansatz_core::space::Encoding;

use crate::axis::Axis;

/// Parameters under the same conditions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// Their indices in the space, ascending, at least one.
    pub(crate) parameters: Vec<usize>,
    /// Columns of the encoding that have more than one value.
    pub(crate) columns: Vec<usize>,
    /// What each of these columns is.
    pub(crate) axes: Vec<Axis>,
}

/// The groups of a space, each after those that its conditions look at.
pub(crate) fn groups(encoding: &Encoding) -> Vec<Group> {
    let space: &Space = encoding.space();
    let parameters = space.parameters();
    let mut groups: Vec<Group> = Vec::new();
    // Whatever a parameter's conditions look at comes before it, and so does the group that this is in.
    for &index in space.parents_first() {
        let conditions = &parameters[index].conditions;
        match groups.iter_mut().find(|group| parameters[group.parameters[0]].conditions == *conditions) {
            Some(group) => group.parameters.push(index),
            None => {
                groups.push(Group { parameters: vec![index], columns: Vec::new(), axes: Vec::new() });
            }
        }
    }
    for group in &mut groups {
        group.parameters.sort_unstable();
        for (index, column) in encoding.columns().iter().enumerate() {
            if group.parameters.contains(&column.parameter_index)
                && let Some(axis) = Axis::new(*column, &parameters[column.parameter_index])
            {
                group.columns.push(index);
                group.axes.push(axis);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::space::{CategoricalForm, Condition, Parameter};

    #[test]
    fn parameters_under_the_same_conditions_are_one_group_after_their_parents() {
        let network = || Condition::equals("model", "network");
        let space = Space::of(vec![
            Parameter::float("dropout", 0.0, 0.9).when(Condition::equals("regularise", true)),
            Parameter::float("rate", 1e-5, 1.0).log().when(network()),
            Parameter::int("only", 7, 7).when(network()),
            Parameter::float("a", 0.0, 1.0),
            Parameter::bool("regularise").when(network()),
            Parameter::categorical("model", ["linear", "network"]),
        ])
        .unwrap();
        let groups = groups(&Encoding::new(&space, CategoricalForm::Index));
        let parameters: Vec<&[usize]> = groups.iter().map(|group| group.parameters.as_slice()).collect();
        let place = |wanted: &[usize]| parameters.iter().position(|found| *found == wanted).unwrap();
        let (root, network, dropout) = (place(&[3, 5]), place(&[1, 2, 4]), place(&[0]));
        assert!(groups.len() == 3 && root < network && network < dropout, "{parameters:?}");
        assert_eq!(groups[network].columns, [1, 4], "what has one value only has no column");
        assert_eq!(groups[root].axes, [Axis::Continuous { level_count: None }, Axis::Choices { count: 2 }]);
    }
}
