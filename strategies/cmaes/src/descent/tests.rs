use super::*;
use crate::generation::Standing;
use crate::layout::Activity;
use ansatz_core::Space;
use ansatz_core::space::Parameter;

fn layout() -> Layout {
    Layout::new(
        &Space::of(vec![
            Parameter::float("x", 0.0, 1.0),
            Parameter::float("y", 0.0, 1.0),
            Parameter::int("n", 0, 9),
            Parameter::bool("flag"),
        ])
        .unwrap(),
    )
}

fn descent(layout: &Layout, mean: f64, step: f64) -> Descent {
    let gaussian = Gaussian::round(vec![mean; 3], step);
    Descent::new(layout, 6, None, gaussian, Choices::uniform(layout))
}

fn told(place: Place, standing: Standing, order: u64) -> Told {
    let activity = Activity { numbers: vec![true; 3], choices: vec![true] };
    Told { place, activity, standing, is_drawn: true, order }
}

/// A generation in which each sample stands as `standing` says.
fn generation(
    descent: &mut Descent,
    layout: &Layout,
    rng: &mut Rng,
    standing: impl Fn(&Place, u64) -> Standing,
) -> Option<End> {
    let rates = descent.rates();
    let mut end = None;
    for order in 0..descent.population_size as u64 {
        assert_eq!(end, None);
        let place = descent.draw(rng);
        let standing = standing(&place, order);
        end = descent.tell(layout, &rates, 1e-9, told(place, standing, order), &mut Vec::new());
    }
    end
}

#[test]
fn a_mean_that_goes_over_the_edge_comes_back_as_its_image() {
    let layout = layout();
    let mut rng = Rng::new(1);
    let mut descent = descent(&layout, 0.1, 0.1);
    for _ in 0..60 {
        // ever further to the left, as if there were no bound
        generation(&mut descent, &layout, &mut rng, |place, _| Standing::Loss(place.numbers[0]));
        assert!((0.0..=1.0).contains(&descent.gaussian.mean[0]), "{:?}", descent.gaussian.mean);
        assert!(descent.gaussian.deviations().iter().all(|found| *found <= DEVIATION_MAX * (1.0 + 1e-12)));
        assert!(descent.is_sound(&layout));
    }
}

#[test]
fn a_generation_without_a_measurement_changes_nothing_and_the_third_is_the_last() {
    let layout = layout();
    let mut rng = Rng::new(1);
    let mut descent = descent(&layout, 0.5, 0.2);
    let before = descent.gaussian.clone();
    let failed = |_: &Place, order: u64| {
        if order.is_multiple_of(2) { Standing::Unmeasured } else { Standing::Stopped }
    };
    assert_eq!(generation(&mut descent, &layout, &mut rng, failed), None);
    assert_eq!(generation(&mut descent, &layout, &mut rng, failed), None);
    assert_eq!(descent.gaussian, before);
    assert_eq!(generation(&mut descent, &layout, &mut rng, failed), Some(End::NothingMeasured));
}

/// One trial of six was measured: the mean goes towards it by its weight, and not towards those that were stopped.
#[test]
fn nothing_is_pulled_towards_what_was_not_measured() {
    let layout = layout();
    let mut rng = Rng::new(3);
    let mut descent = descent(&layout, 0.5, 0.2);
    let mut places = Vec::new();
    let rates = descent.rates();
    for order in 0..6 {
        let place = descent.draw(&mut rng);
        places.push(place.clone());
        let standing = if order == 4 { Standing::Loss(9.0) } else { Standing::Stopped };
        descent.tell(&layout, &rates, 1e-9, told(place, standing, order), &mut Vec::new());
    }
    for j in 0..2 {
        let expected = 0.5 + rates.weights[0] * (places[4].numbers[j] - 0.5);
        assert!((descent.gaussian.mean[j] - expected).abs() < 1e-12);
    }
}

/// Stopped trials stand before those that break a constraint, and take nothing from them.
#[test]
fn stopped_trials_do_not_hide_what_breaks_a_constraint() {
    let layout = layout();
    let mut rng = Rng::new(3);
    let mut descent = descent(&layout, 0.5, 0.2);
    let rates = descent.rates();
    let mut places = Vec::new();
    for order in 0..6 {
        let place = descent.draw(&mut rng);
        places.push(place.clone());
        let standing = match order {
            2 => Standing::Broken(0.5),
            4 => Standing::Broken(0.25),
            _ => Standing::Stopped,
        };
        descent.tell(&layout, &rates, 1e-9, told(place, standing, order), &mut Vec::new());
    }
    for j in 0..2 {
        let part = |rank: usize, order: usize| rates.weights[rank] * (places[order].numbers[j] - 0.5);
        let expected = 0.5 + part(0, 4) + part(1, 2);
        assert!((descent.gaussian.mean[j] - expected).abs() < 1e-12);
    }
    // nor is the descent over
    for _ in 0..5 {
        let one_stopped = |place: &Place, order| match order {
            3 => Standing::Stopped,
            _ => Standing::Broken(1.0 + place.numbers[0]),
        };
        assert_eq!(generation(&mut descent, &layout, &mut rng, one_stopped), None);
    }
    assert!(descent.gaussian.mean[0] < 0.4, "{:?}", descent.gaussian.mean);
}

/// A late sample, and one that was repaired, count as from elsewhere: no longer than usual ones.
#[test]
fn a_sample_from_far_away_moves_the_mean_by_a_usual_step() {
    let layout = layout();
    let mut rng = Rng::new(3);
    let mut descent = descent(&layout, 0.2, 0.01);
    let rates = descent.rates();
    for order in 0..6 {
        let place = match order {
            0 => Place { numbers: vec![0.9, 0.9, 0.95], choices: vec![0] },
            _ => descent.draw(&mut rng),
        };
        let told = Told { is_drawn: order != 0, ..told(place, Standing::Loss(order as f64), order) };
        descent.tell(&layout, &rates, 1e-9, told, &mut Vec::new());
    }
    let moved: f64 = descent.gaussian.mean[..2].iter().map(|mean| (mean - 0.2) * (mean - 0.2)).sum::<f64>();
    let longest = 0.01 * (3.0_f64.sqrt() + 6.0 / 5.0 + 3.0);
    assert!(moved.sqrt() > 0.005 && moved.sqrt() < longest, "{moved}");
}

#[test]
fn a_small_descent_ends_when_its_trials_are_spent() {
    let layout = layout();
    let mut rng = Rng::new(1);
    let gaussian = Gaussian::round(vec![0.5; 3], 0.2);
    let mut descent = Descent::new(&layout, 6, Some(15), gaussian, Choices::uniform(&layout));
    let slope = |place: &Place, _: u64| Standing::Loss(place.numbers[0]);
    assert_eq!(generation(&mut descent, &layout, &mut rng, slope), None);
    assert_eq!(generation(&mut descent, &layout, &mut rng, slope), None);
    assert_eq!(generation(&mut descent, &layout, &mut rng, slope), Some(End::Budget));
    assert_eq!(descent.trial_count, 18);
}
