use super::*;
use crate::normal;
use ansatz_core::rng::Rng;
use rand::RngExt;

fn felt(direction: Vec<f64>, weight: f64) -> Step {
    Step { is_felt: vec![true; direction.len()], direction, weight }
}

/// Ranked steps of a fixed pattern.
fn pattern(generation: usize, rates: &Rates, n: usize) -> Vec<Step> {
    let part = |i: usize, j: usize| ((generation * 31 + i * 17 + j * 7 + i * i * j) % 13) as f64 / 6.0 - 1.0;
    let direction = |i: usize| (0..n).map(|j| part(i, j)).collect();
    rates.weights.iter().enumerate().map(|(i, weight)| felt(direction(i), *weight)).collect()
}

/// Four generations by another implementation, the package cmaes 0.13.1 with the tutorial's weights and learning rates
/// (it has mu_eff - 2 + 1 / mu_eff in c_mu), on the same ranked steps.
#[test]
fn updates_are_those_of_another_implementation() {
    let rates = Rates::new(3, 7);
    let mut gaussian = Gaussian::round(vec![0.3, 0.5, 0.6], 0.2);
    #[rustfmt::skip]
    let expected = [
        ([0.1714516311634116, 0.578086014201302, 0.5040510780078451], 0.1820992021204908,
         [0.9546350521881859, 0.05076398470954615, 0.10329162249154933, 0.7439098586729435, -0.00021937230587705525, 1.038039917795381]),
        ([0.1582078145264844, 0.6853997215428785, 0.568439302412791], 0.1714143182134911,
         [0.8173787695760955, 0.02683090865123415, 0.13287255216161487, 0.8754985387808567, -0.014548208324350734, 0.7824797693759246]),
        ([0.17983273981462194, 0.6666178668677588, 0.6180042874758059], 0.14551153972756029,
         [0.7622511796994265, 0.03298306260218036, 0.159993842740688, 0.6527759717945544, 0.11070391602829795, 0.7538676880037335]),
        ([0.13481023099608389, 0.679614162951051, 0.5966997571802691], 0.12368781095780661,
         [0.6468997510181904, 0.012210696695887886, 0.1936887053074626, 0.5916549929404142, 0.15659049789020274, 0.7003605123733907]),
    ];
    assert_eq!(rates.decomposition_interval, 1);
    for (generation, (mean, step, covariance)) in expected.into_iter().enumerate() {
        gaussian.update(&rates, &pattern(generation, &rates, 3)).unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{generation}: {a} {b}");
        mean.iter().zip(&gaussian.mean).for_each(|(a, b)| near(*a, *b));
        near(step, gaussian.step);
        let upper = [0, 1, 2, 4, 5, 8].map(|at| gaussian.covariance[at]);
        covariance.iter().zip(upper).for_each(|(a, b)| near(*a, b));
    }
}

#[test]
fn samples_have_the_covariance() {
    let covariance = vec![0.04, 0.03, 0.0, 0.03, 0.09, -0.02, 0.0, -0.02, 0.01];
    let gaussian = Gaussian::of_covariance(vec![0.5; 3], covariance.clone()).unwrap();
    let mut rng = Rng::new(2);
    let count = 40_000;
    let mut found = [0.0; 9];
    for _ in 0..count {
        let step = gaussian.along(&normal::draw(gaussian.dimension_count(), &mut rng));
        for (at, sum) in found.iter_mut().enumerate() {
            *sum += gaussian.step * gaussian.step * step[at / 3] * step[at % 3] / f64::from(count);
        }
    }
    for (found, expected) in found.iter().zip(&covariance) {
        // five standard errors of the largest entry
        assert!(
            (found - expected).abs() < 5.0 * 0.09 * (2.0 / f64::from(count)).sqrt(),
            "{found} {expected}"
        );
    }
    assert!(gaussian.deviations().iter().zip([0.2, 0.3, 0.1]).all(|(a, b)| (a - b).abs() < 1e-12));
    assert_eq!(Gaussian::of_covariance(vec![0.5; 2], vec![1.0, 2.0, 2.0, 1.0]), None, "not positive");
}

#[test]
fn a_step_from_elsewhere_is_no_longer_than_usual_ones() {
    let gaussian = Gaussian::of_covariance(vec![0.5; 2], vec![0.04, 0.0, 0.0, 0.0001]).unwrap();
    let near = vec![0.1 / gaussian.step, 0.0];
    assert_eq!(gaussian.shortened(near.clone()), near);
    for direction in [vec![0.3, 0.4], vec![0.0, 0.2], vec![-5.0, 1e6]] {
        let direction: Vec<f64> = direction.iter().map(|part| part / gaussian.step).collect();
        let found = gaussian.shortened(direction.clone());
        // sqrt(2) + 4 / 4, in units of the deviations
        let length =
            ((found[0] * gaussian.step / 0.2).powi(2) + (found[1] * gaussian.step / 0.01).powi(2)).sqrt();
        assert!((length - 2_f64.sqrt() - 1.0).abs() < 1e-9, "{length}");
        assert!((found[0] * direction[1] - found[1] * direction[0]).abs() <= 1e-9 * direction[1].abs());
    }
}

#[test]
fn the_mirrored_distribution_does_what_the_mirrored_samples_say() {
    let rates = Rates::new(3, 7);
    let mut straight = Gaussian::round(vec![0.3, 0.5, 0.6], 0.2);
    straight.update(&rates, &pattern(0, &rates, 3)).unwrap();
    let mut turned = straight.clone();
    turned.mirror(1, -straight.mean[1]);
    for generation in 1..4 {
        let steps = pattern(generation, &rates, 3);
        let mut images = steps.clone();
        images.iter_mut().for_each(|step| step.direction[1] = -step.direction[1]);
        straight.update(&rates, &steps).unwrap();
        turned.update(&rates, &images).unwrap();
        let mut image = straight.clone();
        image.mirror(1, -straight.mean[1]);
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near(&image.mean, &turned.mean) && near(&image.covariance, &turned.covariance));
        assert!((image.step - turned.step).abs() < 1e-12);
    }
}

#[test]
fn a_coordinate_that_is_not_felt_leaves_the_mean_where_it_is() {
    let rates = Rates::new(3, 7);
    let mut gaussian = Gaussian::round(vec![0.3, 0.5, 0.6], 0.2);
    let mut steps = pattern(0, &rates, 3);
    steps.iter_mut().for_each(|step| step.is_felt[1] = false);
    gaussian.update(&rates, &steps).unwrap();
    assert!(gaussian.mean[0] != 0.3 && gaussian.mean[1] == 0.5);
}

#[test]
fn no_deviation_stays_above_the_limit_and_correlations_stay() {
    let mut gaussian = Gaussian::of_covariance(vec![0.5; 2], vec![1.0, 0.4, 0.4, 0.25]).unwrap();
    gaussian.limit_deviations(0.6).unwrap();
    let deviations = gaussian.deviations();
    assert!((deviations[0] - 0.6).abs() < 1e-12 && (deviations[1] - 0.5).abs() < 1e-12);
    let correlation =
        gaussian.step * gaussian.step * gaussian.covariance[1] / (deviations[0] * deviations[1]);
    assert!((correlation - 0.8).abs() < 1e-12);
}

/// Whatever is ranked, for as long as one likes: the covariance stays one.
#[test]
fn random_ranks_never_break_the_covariance() {
    for (n, population_size) in [(1, 4), (2, 6), (5, 8), (12, 11)] {
        let rates = Rates::new(n, population_size);
        let mut rng = Rng::new(n as u64);
        let mut gaussian = Gaussian::round(vec![0.5; n], 0.2);
        for generation in 0..2000 {
            let mut steps: Vec<Step> = rates
                .weights
                .iter()
                .map(|weight| {
                    felt(gaussian.along(&normal::draw(gaussian.dimension_count(), &mut rng)), *weight)
                })
                .collect();
            if generation % 3 == 0 {
                // all on one line, and far away
                steps.iter_mut().for_each(|step| step.direction = gaussian.shortened(vec![1e9; n]));
            }
            if rng.random_bool(0.1) {
                steps.iter_mut().for_each(|step| step.weight = step.weight.min(0.0));
            }
            gaussian.update(&rates, &steps).unwrap();
            gaussian.limit_deviations(1.0 / 3.0).unwrap();
            assert!(gaussian.is_sound(n), "{n}, {generation}: {gaussian:?}");
        }
    }
}
