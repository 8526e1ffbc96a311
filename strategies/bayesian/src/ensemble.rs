//! The models: one Gaussian process per warp of the losses, combined by the product of their expected improvements.
//!
//! The product is the mean of the logarithms, and does not care about the scale of each warp. Best so far is, for each
//! model, the least posterior mean at an observed point and not the least loss, which under noise is a lucky draw.

use ansatz_core::Point;
use ansatz_surrogate::{
    Design, FitOptions, GaussianProcess, Hyperparameters, SurrogateError, log_expected_improvement,
};

use crate::history::{Lesson, Told, select};
use crate::options::{LossWarp, Options};
use crate::representation::Representation;

/// Observations from which hyperparameters are fitted at most; more would cost time and change them little.
const FIT_COUNT_MAX: usize = 200;

/// Observations beyond which a smaller ensemble of so many does the first part of a search for the best point to ask.
const ROUGH_COUNT_MAX: usize = 256;

/// Rows that all models look at, at least.
const QUARTER_COUNT_MIN: usize = 64;

/// Smallest noise variance of the standardised losses.
const NOISE_MIN: f64 = 1e-8;

/// One model.
#[derive(Clone, Debug)]
struct Member {
    process: GaussianProcess,
    /// Least posterior mean at a point of the design.
    best: f64,
}

/// All models, conditioned on the same points.
#[derive(Clone, Debug)]
pub(crate) struct Ensemble {
    members: Vec<Member>,
    /// Points of the design, in its order.
    points: Vec<Point>,
    features: Vec<Vec<f64>>,
    /// Which member models the losses as they are, and how they were standardised for it.
    scale: Option<(usize, Scale)>,
    /// The same models of fewer observations, if there are many.
    rough: Option<Box<Self>>,
}

/// How losses were standardised: `loss = centre + unit * target`.
#[derive(Clone, Copy, Debug)]
struct Scale {
    centre: f64,
    unit: f64,
}

impl Scale {
    /// From losses and what became of them. `None` if they are too large for a difference.
    fn between(losses: &[f64], targets: &[f64]) -> Option<Self> {
        let pairs = || losses.iter().zip(targets).map(|(loss, target)| (*loss, *target));
        let low = pairs().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let high = pairs().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let unit = (high.0 - low.0) / (high.1 - low.1);
        let centre = low.0 - unit * low.1;
        (unit.is_finite() && centre.is_finite()).then_some(Self { centre, unit })
    }
}

/// What is expected of the loss at a point, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forecast {
    pub(crate) mean: f64,
    /// Standard deviation of the loss without noise.
    pub(crate) deviation: f64,
    /// The same with the noise of a measurement.
    pub(crate) noisy_deviation: f64,
}

impl Ensemble {
    /// Models of what was told. `hyperparameters` has one entry per warp of the options: it is used as it stands, or, if
    /// `refit`, as a warm start and then replaced. `None` if there is nothing to model: fewer than two different losses.
    pub(crate) fn fit(
        representation: &Representation,
        told: &[Told],
        options: &Options,
        hyperparameters: &mut [Option<Hyperparameters>],
        refit: bool,
    ) -> Result<Option<Self>, SurrogateError> {
        Self::continued(None, representation, told, options, hyperparameters, refit)
    }

    /// [`Ensemble::fit`] with the same bits, in less time where `former` has models of the first of the same observations
    /// with the same hyperparameters.
    pub(crate) fn continued(
        former: Option<Self>,
        representation: &Representation,
        told: &[Told],
        options: &Options,
        hyperparameters: &mut [Option<Hyperparameters>],
        refit: bool,
    ) -> Result<Option<Self>, SurrogateError> {
        let mut former = former
            .filter(|former| former.members.len() == options.warps.len())
            .map(|former| former.members.into_iter());
        let selected: Vec<&Told> =
            select(told, options.observation_count_max).into_iter().map(|index| &told[index]).collect();
        let losses: Vec<f64> = selected.iter().filter_map(|told| loss(told)).collect();
        let observed: Vec<&Told> =
            selected.iter().copied().filter(|told| told.lesson != Lesson::Unfinished).collect();
        let points: Vec<Point> = observed.iter().map(|told| told.point.clone()).collect();
        let features: Vec<Vec<f64>> = points.iter().map(|point| representation.features(point)).collect();
        let design = Design::from_rows(representation.columns(), &features)?;
        let noise_max = if options.deterministic { NOISE_MIN } else { 1.0 };
        // A fit begins where the last one ended. The usual start is tried too, lest a model stay in a bad mode, but by
        // turns: where one model is stuck the others are not.
        let turn = told.len() % options.warps.len().max(1);
        let owned = |count_max: usize| -> Vec<usize> {
            let owned: Vec<Told> = observed.iter().map(|told| (*told).clone()).collect();
            select(&owned, count_max)
        };
        let subset = if refit && observed.len() > FIT_COUNT_MAX { owned(FIT_COUNT_MAX) } else { Vec::new() };
        let rough_subset = if observed.len() > ROUGH_COUNT_MAX { owned(ROUGH_COUNT_MAX) } else { Vec::new() };
        let part = |subset: &[usize], targets: &[f64]| -> Result<(Design, Vec<f64>), SurrogateError> {
            let rows: Vec<&Vec<f64>> = subset.iter().map(|index| &features[*index]).collect();
            let targets = subset.iter().map(|index| targets[*index]).collect();
            Ok((Design::from_rows(representation.columns(), &rows)?, targets))
        };
        let mut members = Vec::new();
        let mut rough_members = Vec::new();
        let mut scale = None;
        for (index, (warp, stored)) in options.warps.iter().zip(hyperparameters).enumerate() {
            let start_count = usize::from(index == turn);
            let former = former.as_mut().and_then(Iterator::next).map(|member| member.process);
            let fit_options =
                FitOptions { noise_min: NOISE_MIN, noise_max, start_count, ..FitOptions::default() };
            let Some(warped) = warp.warp().apply(&losses) else { continue };
            // Bad points count as the worst loss, in the warped scale: they never define the spread of the others.
            let worst = warped.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut rest = warped.iter();
            let targets: Vec<f64> = observed
                .iter()
                .map(|told| match told.lesson {
                    Lesson::Loss(_) => rest.next().copied().unwrap_or(worst),
                    Lesson::Bad | Lesson::Unfinished => worst,
                })
                .collect();
            let process = match stored {
                Some(known) if !refit => {
                    GaussianProcess::continued(former, design.clone(), targets.clone(), known.clone())?
                }
                _ if observed.len() <= FIT_COUNT_MAX => {
                    GaussianProcess::fit(design.clone(), targets.clone(), stored.as_ref(), &fit_options)?
                }
                _ => {
                    let (some, some_targets) = part(&subset, &targets)?;
                    let fitted = GaussianProcess::fit(some, some_targets, stored.as_ref(), &fit_options)?;
                    let found = fitted.hyperparameters().clone();
                    GaussianProcess::continued(former, design.clone(), targets.clone(), found)?
                }
            };
            if !rough_subset.is_empty() {
                let (some, some_targets) = part(&rough_subset, &targets)?;
                let known = process.hyperparameters().clone();
                let process = GaussianProcess::with_hyperparameters(some, some_targets, known)?;
                rough_members.push(Member { process, best: f64::INFINITY });
            }
            *stored = Some(process.hyperparameters().clone());
            if *warp == LossWarp::Identity {
                scale = Scale::between(&losses, &warped).map(|scale| (members.len(), scale));
            }
            members.push(Member { process, best: f64::INFINITY });
        }
        if members.is_empty() {
            return Ok(None);
        }
        let rough = (!rough_members.is_empty()).then(|| {
            Box::new(Self {
                members: rough_members,
                points: Vec::new(),
                features: Vec::new(),
                scale: None,
                rough: None,
            })
        });
        let mut ensemble = Self { members, points, features, scale, rough };
        ensemble.update_best();
        for told in selected.iter().filter(|told| told.lesson == Lesson::Unfinished) {
            ensemble.believe(representation, &told.point)?;
        }
        Ok(Some(ensemble))
    }

    fn update_best(&mut self) {
        for member in &mut self.members {
            member.best = member.process.observed_means().into_iter().fold(f64::INFINITY, f64::min);
        }
        if let Some(rough) = &mut self.rough {
            for (member, full) in rough.members.iter_mut().zip(&self.members) {
                member.best = full.best;
            }
        }
    }

    /// Models that are good enough to find the places that are worth a second look: those of fewer observations if there
    /// are many, else these.
    pub(crate) fn rough(&self) -> &Self {
        self.rough.as_deref().unwrap_or(self)
    }

    /// Takes a point without a result as if it had been observed at its posterior mean (Kriging believer, Ginsbourger
    /// et al. 2010).
    pub(crate) fn believe(
        &mut self,
        representation: &Representation,
        point: &Point,
    ) -> Result<(), SurrogateError> {
        if let Some(rough) = &mut self.rough {
            rough.believe(representation, point)?;
        }
        let features = representation.features(point);
        for member in &mut self.members {
            let mean = member.process.predict_mean(&features);
            member.process.append(&features, mean)?;
            member.best = member.best.min(mean);
        }
        self.points.push(point.clone());
        self.features.push(features);
        Ok(())
    }

    /// What the model of the losses as they are expects at a row of features; `None` without such a model.
    pub(crate) fn forecast(&self, features: &[f64]) -> Option<Forecast> {
        let (index, scale) = self.scale?;
        let process = &self.members.get(index)?.process;
        let posterior = process.predict(features);
        let noise = libm::exp(process.hyperparameters().log_noise);
        Some(Forecast {
            mean: scale.centre + scale.unit * posterior.mean,
            deviation: scale.unit * posterior.deviation(),
            noisy_deviation: scale.unit * (posterior.variance + noise).sqrt(),
        })
    }

    /// Up to `count` points of the design, least posterior mean of the first model first.
    pub(crate) fn best_points(&self, count: usize) -> Vec<&Point> {
        let Some(first) = self.members.first() else { return Vec::new() };
        let means = first.process.observed_means().into_iter();
        let mut order: Vec<(f64, usize)> = means.zip(0..).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        order.iter().take(count).map(|(_, index)| &self.points[*index]).collect()
    }

    /// Squared distance of two rows of features in the length scales of the first model.
    pub(crate) fn squared_distance(&self, a: &[f64], b: &[f64]) -> f64 {
        self.members.first().map_or(0.0, |member| member.process.kernel().squared_distance(a, b))
    }

    /// Length scale of each feature in the first model.
    pub(crate) fn length_scales(&self) -> Vec<f64> {
        let weights = self.members.first().map_or(&[][..], |member| member.process.kernel().weights());
        weights.iter().map(|weight| 1.0 / weight.sqrt()).collect()
    }

    /// Whether these models are their own rough ones.
    pub(crate) fn is_rough(&self) -> bool {
        self.rough.is_none()
    }

    /// Log acquisition of many rows of features.
    pub(crate) fn acquisition_batch<R: AsRef<[f64]>>(&self, rows: &[R]) -> Vec<f64> {
        let weight = 1.0 / self.members.len() as f64;
        let mut values = vec![0.0; rows.len()];
        for member in &self.members {
            for (value, posterior) in values.iter_mut().zip(member.process.predict_batch(rows)) {
                *value += weight
                    * log_expected_improvement(posterior.mean, posterior.deviation(), member.best).value;
            }
        }
        values
    }

    /// The best of many rows of features: indices of a quarter of them, best first, and the log acquisition of each.
    ///
    /// One model chooses the quarter, another one after each observation; a row that is good for their product is hardly
    /// ever beyond that for one of them.
    pub(crate) fn best_rows<R: AsRef<[f64]>>(&self, rows: &[R]) -> Vec<(usize, f64)> {
        let turn =
            self.members.first().map_or(0, |member| member.process.targets().len()) % self.members.len();
        let member = &self.members[turn];
        let mut order: Vec<(usize, f64)> = member
            .process
            .predict_batch(rows)
            .into_iter()
            .map(|posterior| {
                log_expected_improvement(posterior.mean, posterior.deviation(), member.best).value
            })
            .enumerate()
            .collect();
        let by_value = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        order.sort_by(by_value);
        order.truncate(rows.len().div_ceil(4).max(QUARTER_COUNT_MIN));
        let weight = 1.0 / self.members.len() as f64;
        order.iter_mut().for_each(|(_, value)| *value *= weight);
        let chosen: Vec<&[f64]> = order.iter().map(|(index, _)| rows[*index].as_ref()).collect();
        for (_, member) in self.members.iter().enumerate().filter(|(index, _)| *index != turn) {
            for ((_, value), posterior) in order.iter_mut().zip(member.process.predict_batch(&chosen)) {
                *value += weight
                    * log_expected_improvement(posterior.mean, posterior.deviation(), member.best).value;
            }
        }
        order.sort_by(by_value);
        order
    }

    /// Log acquisition of one row of features.
    pub(crate) fn acquisition(&self, features: &[f64]) -> f64 {
        self.acquisition_batch(&[features])[0]
    }

    /// Log acquisition of many rows of features. `gradients` becomes their gradients, shape (rows, feature_count), row
    /// after row.
    pub(crate) fn acquisition_with_gradients(&self, rows: &[&[f64]], gradients: &mut Vec<f64>) -> Vec<f64> {
        let weight = 1.0 / self.members.len() as f64;
        let feature_count = rows.first().map_or(1, |row| row.len());
        gradients.clear();
        gradients.resize(rows.len() * feature_count, 0.0);
        let mut mean_gradients = vec![0.0; gradients.len()];
        let mut variance_gradients = vec![0.0; gradients.len()];
        let mut values = vec![0.0; rows.len()];
        for member in &self.members {
            let posteriors =
                member.process.predict_with_gradients(rows, &mut mean_gradients, &mut variance_gradients);
            let parts = mean_gradients.chunks(feature_count).zip(variance_gradients.chunks(feature_count));
            let totals = values.iter_mut().zip(gradients.chunks_mut(feature_count));
            for (((value, gradient), posterior), (mean, variance)) in totals.zip(posteriors).zip(parts) {
                let deviation = posterior.deviation();
                let acquisition = log_expected_improvement(posterior.mean, deviation, member.best);
                acquisition.add_gradient(weight, deviation, mean, variance, gradient);
                *value += weight * acquisition.value;
            }
        }
        values
    }
}

fn loss(told: &Told) -> Option<f64> {
    match told.lesson {
        Lesson::Loss(loss) => Some(loss),
        Lesson::Bad | Lesson::Unfinished => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::Space;
    use ansatz_core::rng::Rng;
    use ansatz_core::space::{Condition, Parameter};

    fn told(space: &Space, count: usize) -> Vec<Told> {
        let mut rng = Rng::new(1);
        (0..count)
            .map(|index| {
                let point = space.sample(&mut rng).unwrap();
                let x = point.get(0).unwrap();
                let loss = (x - 0.3).powi(2) + point.get(2).map_or(0.5, |y| y * y);
                let lesson = match index % 7 {
                    5 => Lesson::Bad,
                    6 => Lesson::Unfinished,
                    _ => Lesson::Loss(loss),
                };
                Told { point, lesson }
            })
            .collect()
    }

    fn space() -> Space {
        Space::of(vec![
            Parameter::float("x", 0.0, 1.0),
            Parameter::categorical("kind", ["a", "b", "c"]),
            Parameter::float("y", -1.0, 1.0).when(Condition::equals("kind", "b")),
            Parameter::int("one", 3, 3),
        ])
        .unwrap()
    }

    #[test]
    fn gradient_and_batch_agree_with_single_values() {
        let space = space();
        let representation = Representation::new(&space);
        let told = told(&space, 30);
        let mut stored = vec![None; 3];
        let ensemble =
            Ensemble::fit(&representation, &told, &Options::default(), &mut stored, true).unwrap().unwrap();
        let mut rng = Rng::new(2);
        let rows: Vec<Vec<f64>> =
            (0..20).map(|_| representation.features(&space.sample(&mut rng).unwrap())).collect();
        for (row, batched) in rows.iter().zip(ensemble.acquisition_batch(&rows)) {
            let mut gradient = Vec::new();
            let value = ensemble.acquisition_with_gradients(&[row], &mut gradient)[0];
            assert!((value - batched).abs() < 1e-6 * (1.0 + value.abs()), "{value} {batched}");
            assert!((value - ensemble.acquisition(row)).abs() < 1e-9 * (1.0 + value.abs()));
            for feature in 0..row.len() {
                if representation.columns()[feature] != ansatz_surrogate::Column::Continuous {
                    assert_eq!(gradient[feature], 0.0);
                    continue;
                }
                let moved = |step: f64| {
                    let mut row = row.clone();
                    row[feature] += step;
                    ensemble.acquisition(&row)
                };
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let found = gradient[feature];
                assert!((found - expected).abs() < 1e-3 * (1.0 + expected.abs()), "{found} {expected}");
            }
        }
    }

    #[test]
    fn stored_hyperparameters_give_the_fitted_models_again() {
        let space = space();
        let representation = Representation::new(&space);
        let told = told(&space, 30);
        let mut stored = vec![None; 3];
        let options = Options::default();
        let fitted = Ensemble::fit(&representation, &told, &options, &mut stored, true).unwrap().unwrap();
        let before = stored.clone();
        let again = Ensemble::fit(&representation, &told, &options, &mut stored, false).unwrap().unwrap();
        assert_eq!(stored, before);
        let row = representation.features(&told[3].point);
        assert_eq!(fitted.acquisition(&row).to_bits(), again.acquisition(&row).to_bits());
    }

    #[test]
    fn models_that_go_on_have_the_bits_of_new_ones() {
        let space = space();
        let representation = Representation::new(&space);
        let told = told(&space, 420);
        let options = Options { observation_count_max: 320, ..Options::default() };
        let mut stored = vec![None; 3];
        let mut former = Ensemble::fit(&representation, &told[..330], &options, &mut stored, true).unwrap();
        assert!(former.as_ref().is_some_and(|former| !former.is_rough()));
        let rows: Vec<Vec<f64>> =
            told[..20].iter().map(|told| representation.features(&told.point)).collect();
        for count in [331, 333, 360, 420] {
            let told = &told[..count];
            let new = Ensemble::fit(&representation, told, &options, &mut stored, false).unwrap().unwrap();
            former =
                Ensemble::continued(former, &representation, told, &options, &mut stored, false).unwrap();
            let continued = former.as_ref().unwrap();
            assert_eq!(new.acquisition_batch(&rows), continued.acquisition_batch(&rows));
            assert_eq!(new.rough().acquisition_batch(&rows), continued.rough().acquisition_batch(&rows));
        }
    }

    #[test]
    fn the_best_rows_are_those_of_all_models() {
        let space = space();
        let representation = Representation::new(&space);
        let told = told(&space, 40);
        let ensemble = Ensemble::fit(&representation, &told, &Options::default(), &mut vec![None; 3], true)
            .unwrap()
            .unwrap();
        let mut rng = Rng::new(3);
        let rows: Vec<Vec<f64>> =
            (0..500).map(|_| representation.features(&space.sample(&mut rng).unwrap())).collect();
        let values = ensemble.acquisition_batch(&rows);
        let best = ensemble.best_rows(&rows);
        assert_eq!(best.len(), 125);
        assert!(
            best.iter().all(|(index, value)| (values[*index] - value).abs() < 1e-9 * (1.0 + value.abs()))
        );
        assert!(best.is_sorted_by(|a, b| a.1 >= b.1));
        let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!((best[0].1 - top).abs() < 1e-9 * (1.0 + top.abs()), "{best:?} {top}");
    }

    #[test]
    fn nothing_to_model_without_two_different_losses() {
        let space = space();
        let representation = Representation::new(&space);
        let mut told = told(&space, 10);
        told.iter_mut().for_each(|told| {
            if let Lesson::Loss(loss) = &mut told.lesson {
                *loss = 2.5;
            }
        });
        for count in [0, 1, 10] {
            let found =
                Ensemble::fit(&representation, &told[..count], &Options::default(), &mut vec![None; 3], true);
            assert!(found.unwrap().is_none());
        }
    }
}
