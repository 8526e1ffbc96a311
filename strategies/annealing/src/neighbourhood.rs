//! A point near another, in any space: what a move is for each kind of parameter.

use ansatz_core::rng::Rng;
use ansatz_core::space::{Domain, Parameter};
use ansatz_core::{Point, Space};
use rand::RngExt;

/// Moves that are tried before looking anywhere in the space.
const TRY_MAX: usize = 50;
/// Draws from the whole space that are tried after that.
const DRAW_MAX: usize = 20;

/// A feasible point near `point` and different from it: one active parameter moves, with
/// `further_move_chance` one more, and so on. Where constraints turn every move back, a point from
/// anywhere; `point` itself if no other was found.
///
/// `width`, above 0 and up to 1: the longest step of a number or rank in the unit cube. Numbers step
/// uniformly in both directions, ranks and grid values by at least one level, and the ends reflect;
/// categorical and bool parameters take another choice, all equally likely. What becomes active is drawn
/// uniformly. Broken constraints are repaired.
pub(crate) fn neighbour(
    space: &Space,
    point: &Point,
    width: f64,
    further_move_chance: f64,
    rng: &mut Rng,
) -> Point {
    let parameters = space.parameters();
    let can_move =
        |index: &usize| point.is_active(*index) && parameters[*index].domain.value_count() != Some(1);
    let movable: Vec<usize> = (0..parameters.len()).filter(can_move).collect();
    if movable.is_empty() {
        return point.clone();
    }
    for _ in 0..TRY_MAX {
        let moved = space.assemble(move_some(parameters, point, &movable, width, further_move_chance, rng));
        if let Some(found) = space.repair(&moved, rng)
            && found != *point
        {
            return found;
        }
    }
    (0..DRAW_MAX)
        .filter_map(|_| space.sample(rng))
        .find(|found| found != point)
        .unwrap_or_else(|| point.clone())
}

/// Coordinates for every parameter, active or not, after one move.
fn move_some(
    parameters: &[Parameter],
    point: &Point,
    movable: &[usize],
    width: f64,
    further_move_chance: f64,
    rng: &mut Rng,
) -> Vec<f64> {
    let mut coordinates: Vec<f64> = (parameters.iter().zip(point.coordinates()))
        .map(|(parameter, known)| known.unwrap_or_else(|| parameter.domain.from_unit(rng.random())))
        .collect();
    let mut left = movable.to_vec();
    loop {
        let index = left.swap_remove(rng.random_range(0..left.len()));
        coordinates[index] = step(&parameters[index].domain, coordinates[index], width, rng);
        if left.is_empty() || rng.random::<f64>() >= further_move_chance {
            return coordinates;
        }
    }
}

/// Another coordinate of a domain that has more than one (for a float, one that is almost surely another).
fn step(domain: &Domain, coordinate: f64, width: f64, rng: &mut Rng) -> f64 {
    match (domain, domain.value_count()) {
        (Domain::Categorical { .. } | Domain::Bool, Some(count)) => {
            let other = rng.random_range(0..count - 1);
            domain.nth(if (other as f64) < coordinate { other } else { other + 1 })
        }
        (_, count) => {
            let length = width * (2.0 * rng.random::<f64>() - 1.0);
            let moved = domain.from_unit(reflect(domain.to_unit(coordinate) + length));
            match count {
                Some(count) if moved == coordinate => next_level(domain, count, coordinate, length),
                _ => moved,
            }
        }
    }
}

/// The next level in the direction of `length`, or in the other where there is none.
fn next_level(domain: &Domain, count: u64, coordinate: f64, length: f64) -> f64 {
    let level_distance = (domain.upper() - domain.lower()) / (count - 1) as f64;
    let towards = level_distance.copysign(length);
    let next = domain.snap(coordinate + towards);
    if next == coordinate { domain.snap(coordinate - towards) } else { next }
}

/// The place in `[0, 1]` where a step that leaves it by at most 1 is thrown back to.
fn reflect(place: f64) -> f64 {
    if place < 0.0 {
        -place
    } else if place > 1.0 {
        2.0 - place
    } else {
        place
    }
}

#[cfg(test)]
mod tests;
