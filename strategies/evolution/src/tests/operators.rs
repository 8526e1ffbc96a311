//! The parts against what their definitions say, written down once more and slowly.

use super::*;
use crate::genome::{Gene, Genome};
use crate::reference_points::{Layers, Scale, das_dennis, das_dennis_count, intercepts, nearest};
use crate::sorting::{crowding, dominates, ranks};
use crate::variation::{Variation, crossed, mutated};

/// Random losses of few values, so that many are equal.
fn random_losses(metric_count: usize, count: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    (0..count).map(|_| (0..metric_count).map(|_| f64::from(rng.random_range(-3..6))).collect()).collect()
}

fn views(losses: &[Vec<f64>]) -> Vec<&[f64]> {
    losses.iter().map(Vec::as_slice).collect()
}

#[test]
fn fronts_are_what_is_left_when_those_before_are_taken_away() {
    let mut rng = Rng::new(5);
    for metric_count in 1..6 {
        for count in [0, 1, 2, 60] {
            let losses = random_losses(metric_count, count, &mut rng);
            let mut expected = vec![usize::MAX; count];
            for front in 0..count {
                let left: Vec<usize> = (0..count).filter(|i| expected[*i] >= front).collect();
                for &i in &left {
                    if !left.iter().any(|&j| dominates(&losses[j], &losses[i])) {
                        expected[i] = front;
                    }
                }
            }
            assert_eq!(ranks(&views(&losses)), expected, "{losses:?}");
        }
    }
}

#[test]
fn one_dominates_another_if_it_is_nowhere_larger_and_somewhere_smaller() {
    assert!(dominates(&[1.0, 2.0], &[1.0, 3.0]));
    assert!(!dominates(&[1.0, 2.0], &[1.0, 2.0]));
    assert!(!dominates(&[0.0, 3.0], &[1.0, 2.0]));
}

/// For each metric the next larger and the next smaller value of the others, where all values differ.
#[test]
fn room_is_the_distance_of_the_neighbours() {
    let mut rng = Rng::new(6);
    for metric_count in 1..5 {
        for count in [1, 2, 3, 40] {
            let losses: Vec<Vec<f64>> =
                (0..count).map(|_| (0..metric_count).map(|_| rng.random()).collect()).collect();
            let found = crowding(&views(&losses));
            for (i, found) in found.iter().enumerate() {
                let mut expected = 0.0;
                for metric in 0..metric_count {
                    let at = losses[i][metric];
                    let others = || losses.iter().map(|other| other[metric]);
                    let above = others().filter(|value| *value > at).fold(f64::INFINITY, f64::min);
                    let below = others().filter(|value| *value < at).fold(f64::NEG_INFINITY, f64::max);
                    let range =
                        others().fold(f64::NEG_INFINITY, f64::max) - others().fold(f64::INFINITY, f64::min);
                    expected += if range > 0.0 { (above - below) / range } else { f64::INFINITY };
                }
                assert!(*found == expected || (found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
    }
    // one of two that are equal has no room, and what does not fit into a number is no trouble
    assert_eq!(crowding(&[&[0.0, 1.0], &[0.5, 0.5], &[0.5, 0.5], &[0.5, 0.5], &[1.0, 0.0]])[2], 0.0);
    assert_eq!(crowding(&[&[-f64::MAX], &[0.0], &[f64::MAX]])[1], 1.0);
}

#[test]
fn reference_points_are_all_and_as_many_as_the_papers_have() {
    for metric_count in 1..6 {
        for division_count in 1..7 {
            let points = das_dennis(metric_count, division_count);
            assert_eq!(Some(points.len()), das_dennis_count(metric_count, division_count));
            for (index, point) in points.iter().enumerate() {
                assert!((point.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!(point.iter().all(|part| (part * division_count as f64).fract().abs() < 1e-9));
                assert!(!points[..index].contains(point));
            }
        }
    }
    // Deb and Jain 2014, table I: metrics, outer and inner divisions, points
    for (metrics, outer, inner, count) in
        [(3, 12, 0, 91), (5, 6, 0, 210), (8, 3, 2, 156), (10, 3, 2, 275), (15, 2, 1, 135)]
    {
        let layers = Layers { outer, inner };
        assert_eq!(layers.count(metrics), Some(count));
        assert_eq!(Layers::of(metrics, outer), layers);
        let points = layers.points(metrics);
        assert_eq!(points.len(), count);
        assert!(points.iter().all(|point| (point.iter().sum::<f64>() - 1.0).abs() < 1e-12));
    }
    assert_eq!(Layers::within(3, 100), Layers { outer: 12, inner: 0 });
    assert_eq!(Layers::within(30, 4), Layers { outer: 1, inner: 0 });
    assert_eq!(das_dennis_count(100, 100), None);
}

#[test]
fn the_plane_through_the_extremes_meets_the_axes() {
    // 2x + y + 4z = 4
    let found = intercepts(vec![vec![2.0, 0.0, 0.0], vec![0.5, 3.0, 0.0], vec![0.5, 1.0, 0.5]]).unwrap();
    for (found, expected) in found.iter().zip([2.0, 4.0, 1.0]) {
        assert!((found - expected).abs() < 1e-12, "{found}");
    }
    assert_eq!(intercepts(vec![vec![1.0, 1.0], vec![1.0, 1.0]]), None);
    // it meets the second axis below the ideal
    assert_eq!(intercepts(vec![vec![1.0, 0.0], vec![2.0, 1.0]]), None);
}

#[test]
fn losses_are_measured_from_the_ideal_to_the_plane_or_the_worst() {
    let front: [&[f64]; 3] = [&[10.0, 100.0], &[11.0, 50.0], &[14.0, 0.0]];
    let mut scale = Scale::default();
    front.iter().for_each(|losses| scale.see(losses));
    assert_eq!(scale.ideal, [10.0, 0.0]);
    let ranges = scale.ranges(&front, &front);
    assert!((ranges[0] - 4.0).abs() < 1e-9 && (ranges[1] - 100.0).abs() < 1e-9, "{ranges:?}");
    // a single one has no range of its own
    let mut scale = Scale::default();
    scale.see(&[3.0, 4.0]);
    assert_eq!(scale.ranges(&[&[3.0, 4.0]], &[&[3.0, 4.0]]), [1.0, 1.0]);
}

#[test]
fn the_nearest_ray_is_that_of_least_angle() {
    let mut rng = Rng::new(2);
    let points = Layers::of(4, 3).points(4);
    for _ in 0..200 {
        let losses: Vec<f64> = (0..4).map(|_| rng.random()).collect();
        let (index, distance) = nearest(&losses, &points);
        let off = |point: &[f64]| {
            // the least over the ray, by small steps
            let steps = (0..=20_000).map(|k| f64::from(k) * 1e-3);
            steps
                .map(|t| point.iter().zip(&losses).map(|(p, l)| (t * p - l) * (t * p - l)).sum::<f64>())
                .fold(f64::INFINITY, f64::min)
                .sqrt()
        };
        assert!((off(&points[index]) - distance).abs() < 2e-3);
        if rng.random::<f64>() < 0.1 {
            assert!(points.iter().all(|point| off(point) > distance - 2e-3));
        }
    }
}

#[test]
fn crossover_stays_in_the_cube_and_about_the_parents() {
    let mut rng = Rng::new(3);
    for index in [0.0, 2.0, 15.0, 30.0, 200.0] {
        for _ in 0..2000 {
            let (a, b): (f64, f64) = (rng.random(), rng.random());
            let (a, b) = if rng.random::<f64>() < 0.1 { (a.round(), b) } else { (a, b) };
            let (low, high) = crossed(a, b, index, rng.random());
            assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high) && low <= high);
        }
        // far from the edges their mean is that of the parents
        let (low, high) = crossed(0.501, 0.499, index + 10.0, rng.random());
        assert!((low + high - 1.0).abs() < 1e-6);
    }
    // half of all children lie between the parents, whatever the index (section 2 of the source)
    let inside = (0..10_000)
        .filter(|_| {
            let (low, high) = crossed(0.4999, 0.5001, 15.0, rng.random());
            low >= 0.4999 && high <= 0.5001
        })
        .count();
    assert!((4800..5200).contains(&inside), "{inside}");
    assert_eq!(crossed(0.3, 0.3, 15.0, 0.7), (0.3, 0.3));
}

#[test]
fn mutation_stays_in_the_cube_and_is_smaller_the_larger_its_index() {
    let mut rng = Rng::new(4);
    let mut mean_of = |index: f64| {
        let steps = (0..4000).map(|_| {
            let gene: f64 =
                if rng.random::<f64>() < 0.2 { rng.random::<f64>().round() } else { rng.random() };
            let moved = mutated(gene, index, rng.random());
            assert!((0.0..=1.0).contains(&moved));
            (moved - gene).abs()
        });
        steps.sum::<f64>() / 4000.0
    };
    let (far, near) = (mean_of(5.0), mean_of(20.0));
    assert!(near < 0.5 * far && near > 0.01, "{near} {far}");
    assert!((mutated(0.3, 20.0, 0.5) - 0.3).abs() < 1e-12);
    assert_eq!((mutated(0.3, 20.0, 0.0), mutated(0.0, 20.0, 0.1)), (0.0, 0.0));
}

#[test]
fn a_mutation_gives_levels_and_choices_another_value() {
    let problem = mixed(2);
    let genome = Genome::new(&problem.space);
    let variation = Variation {
        crossover_probability: 0.9,
        crossover_index: 15.0,
        mutation_probability: 1.0,
        mutation_index: 20.0,
    };
    let mut rng = Rng::new(1);
    for _ in 0..500 {
        let row: Vec<f64> = (0..genome.len()).map(|_| rng.random()).collect();
        let mut mutant = row.clone();
        variation.mutate(&genome, &mut mutant, 1.0, &mut rng);
        assert!(genome.is_sound(&mutant));
        for &index in genome.free() {
            let is_same = genome.is_same(index, row[index], mutant[index]);
            assert!(!is_same || genome.genes()[index] == Gene::Number);
        }
        // the point of a row is adopted as the row, whatever is active
        let point = genome.decode(&row);
        assert_eq!(genome.adopt(&point, row.clone()), row);
        let of_point = genome.row_of(&point, &mut rng);
        assert_eq!(genome.decode(&of_point).flat().len(), genome.len());
        assert!(genome.is_sound(&of_point));
        for (index, coordinate) in point.coordinates().enumerate() {
            if coordinate.is_some() && genome.genes()[index] != Gene::Number {
                assert!(genome.is_same(index, row[index], of_point[index]));
            }
        }
        let children = variation.children(&genome, &row, &mutant, &mut rng);
        assert!(children.iter().all(|child| genome.is_sound(child)));
        // without mutation nothing of the parents is lost, and numbers keep their mean but where an edge is near
        let plain = Variation { mutation_probability: 0.0, crossover_probability: 1.0, ..variation };
        let [first, second] = plain.children(&genome, &row, &mutant, &mut rng);
        for &index in genome.free() {
            if matches!(genome.genes()[index], Gene::Choice(_)) {
                let of_parents = [row[index], mutant[index]];
                assert!(
                    of_parents == [first[index], second[index]]
                        || of_parents == [second[index], first[index]]
                );
            }
        }
    }
}
