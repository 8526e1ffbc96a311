//! The surrogate: Gaussian processes of what was told, over the features of points.
//!
//! There is one for each warp of a single loss, or one for each of several losses, and one for each outcome constraint.
//! All of them hold the same believed points. What is worth asking by them is for `acquisition.rs` to say.

use std::borrow::Cow;

use ansatz_core::Point;
use ansatz_surrogate::{
    Design, FitOptions, GaussianProcess, Hyperparameters, Start, SurrogateError, Targets, Warp,
    augmented_chebyshev, non_dominated,
};

use crate::fits::{Fits, Place, Refit, Shape};
use crate::history::{Divergence, Lesson, Told, select};
use crate::options::{LossWarp, Options};
use crate::projection::projected;
use crate::representation::Representation;

/// Observations from which hyperparameters are fitted at most; more would cost time and change them little.
const FIT_COUNT_MAX: usize = 200;

/// Observations beyond which smaller models of so many do the first part of a search for the best point to ask.
const ROUGH_COUNT_MAX: usize = 256;

/// Of so many observations are the models that take a search to its end, those nearest to where it is.
const NEAR_COUNT: usize = 512;

/// Up to so many the models of all do so: those of the nearest would take as long.
const NEAR_ABOVE_COUNT: usize = 1000;

/// Smallest noise variance of the standardised targets.
const NOISE_MIN: f64 = 1e-8;

/// Posteriors are widened where noise is no more than this share of noise and amplitude together.
const WIDENING_NOISE_SHARE_MAX: f64 = 0.05;

/// A constraint whose fitted noise, in the variance of its targets, is less holds where it was measured to hold; one with
/// more, where its posterior mean says so.
const EXACT_NOISE_MAX: f64 = 1e-4;

/// Known noise of a target at most, in its variance: more teaches nothing either.
const VARIANCE_MAX: f64 = 100.0;

/// A model of a loss.
#[derive(Clone, Debug)]
pub(crate) struct LossModel {
    pub(crate) process: GaussianProcess,
    /// Posterior mean at each point when it was taken in, shape (point,).
    pub(crate) means: Vec<f64>,
}

impl LossModel {
    /// What a posterior standard deviation is multiplied with where there are so many observations: `√(1 + p/n)` for `p`
    /// hyperparameters and `n` observations, as many as a fit has at most.
    ///
    /// The posterior takes hyperparameters for known and is too narrow (den Hertog, Kleijnen and Siem 2006). A linear model
    /// with `p` parameters corrects the variance of what it leaves unexplained by `n/(n - p)`; `1 + p/n` is nearly that
    /// where `n` is large, and finite everywhere. Where the fit found noise it is 1: wider posteriors make such a search
    /// no better.
    pub(crate) fn widening(&self, observation_count: usize) -> f64 {
        let Hyperparameters { log_length_scales, log_amplitude, log_noise } = self.process.hyperparameters();
        let noise = libm::exp(*log_noise);
        if noise > WIDENING_NOISE_SHARE_MAX * (noise + libm::exp(*log_amplitude)) {
            return 1.0;
        }
        let hyperparameter_count = log_length_scales.len() + 2;
        let observation_count = observation_count.clamp(1, FIT_COUNT_MAX);
        (1.0 + hyperparameter_count as f64 / observation_count as f64).sqrt()
    }
}

/// A model of something that must not exceed a bound, in the unit of its targets.
#[derive(Clone, Debug)]
pub(crate) struct BoundModel {
    pub(crate) process: GaussianProcess,
    pub(crate) bound: f64,
}

/// All models.
#[derive(Clone, Debug)]
pub(crate) struct Models {
    losses: Vec<LossModel>,
    bounds: Vec<BoundModel>,
    /// Whether some constraint was broken by every trial, equally, which leaves nothing to model.
    is_hopeless: bool,
    metric_count: usize,
    /// Points that the models of losses are conditioned on, in the order of their rows: evaluated ones, then believed ones.
    points: Vec<Point>,
    evaluated_count: usize,
    features: Vec<Vec<f64>>,
    /// For each point, whether it may be the best: measured or pending, and no constraint broken.
    eligible: Vec<bool>,
    /// Which model is of the first metric as it is, and how that was standardised for it.
    scale: Option<(usize, Scale)>,
    /// The same models of fewer observations, if there are many and of one loss without constraints.
    rough: Option<Box<Self>>,
}

/// How losses were standardised: `loss = centre + unit * target`.
#[derive(Clone, Copy, Debug)]
struct Scale {
    centre: f64,
    unit: f64,
    /// Variance of a target by the standard errors that came with what was measured, the median.
    known_noise: f64,
}

impl Scale {
    /// From losses and what became of them. `None` if they are too large for a difference.
    fn between(losses: &[f64], targets: &[f64], known_noise: f64) -> Option<Self> {
        let pairs = || losses.iter().zip(targets).map(|(loss, target)| (*loss, *target));
        let low = pairs().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let high = pairs().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let unit = (high.0 - low.0) / (high.1 - low.1);
        let centre = low.0 - unit * low.1;
        (unit.is_finite() && centre.is_finite()).then_some(Self { centre, unit, known_noise })
    }
}

/// What is expected of the first metric's loss at a point, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forecast {
    pub(crate) mean: f64,
    /// Standard deviation of the loss without noise.
    pub(crate) deviation: f64,
    /// The same with the noise of a measurement.
    pub(crate) noisy_deviation: f64,
}

impl Models {
    /// Models of what was told. `fits` is used as it stands, or, where `refit` says so, as a warm start and then replaced.
    /// `weights`, shape (metric,): the metrics are made one loss with them. `None` if there is nothing to model: no loss
    /// of which there are two different values.
    pub(crate) fn fit(
        representation: &Representation,
        told: &[Told],
        shape: Shape,
        weights: Option<&[f64]>,
        options: &Options,
        fits: &mut Fits,
        refit: Refit,
    ) -> Result<Option<Self>, SurrogateError> {
        Self::continued(None, representation, told, shape, weights, options, fits, refit)
    }

    /// [`Models::fit`] with the same bits, in less time where `former` has models of the first of the same observations
    /// with the same hyperparameters.
    #[expect(clippy::too_many_arguments, reason = "those of a fit and one more")]
    pub(crate) fn continued(
        former: Option<Self>,
        representation: &Representation,
        told: &[Told],
        shape: Shape,
        weights: Option<&[f64]>,
        options: &Options,
        fits: &mut Fits,
        refit: Refit,
    ) -> Result<Option<Self>, SurrogateError> {
        let (former_losses, former_bounds) =
            former.map(|former| (former.losses, former.bounds)).unwrap_or_default();
        // What has diverged says nothing of where others would have gone, and they may go there themselves.
        let divergence = Divergence::of(told, shape.metric_count);
        let selected = select(told, options.observation_count_max).into_iter();
        let selected: Vec<Cow<'_, Told>> = selected.map(|index| divergence.seen(&told[index])).collect();
        let selected: Vec<&Told> = selected.iter().map(AsRef::as_ref).collect();
        let selected = projected(&selected, shape.metric_count);
        let selected: Vec<Cow<'_, Told>> = selected.iter().map(|told| divergence.seen(told)).collect();
        let selected: Vec<&Told> = selected.iter().map(AsRef::as_ref).collect();
        let observed: Vec<&Told> =
            selected.iter().copied().filter(|told| told.lesson != Lesson::Unfinished).collect();
        let points: Vec<Point> = observed.iter().map(|told| told.point.clone()).collect();
        let features: Vec<Vec<f64>> = points.iter().map(|point| representation.features(point)).collect();
        let fitter =
            Fitter { representation, noise_max: if options.deterministic { NOISE_MIN } else { 1.0 }, refit };
        let everything = Rows::new(representation, observed.clone(), features.clone())?;
        let columns = loss_columns(&observed, shape.metric_count, weights);
        // With one loss a model for each warp, with several each has one.
        let plans: Vec<(usize, LossWarp)> = match columns.len() {
            1 => options.warps.iter().map(|warp| (0, *warp)).collect(),
            count => (0..count).map(|column| (column, options.warp_of_several())).collect(),
        };
        // One of several losses may be all equal so far: that is no preference, and its place must not be left empty.
        if columns.len() > 1 && columns.iter().all(|column| Warp::Identity.apply(&column.losses).is_none()) {
            return Ok(None);
        }
        // Former models stand in the same places only if none of them is missing.
        let mut former_losses: Vec<Option<LossModel>> = former_losses.into_iter().map(Some).collect();
        former_losses.resize_with(plans.len(), || None);
        let rough_rows = match columns.len() == 1 && shape.constraint_count == 0 {
            true => everything.thinned(representation, ROUGH_COUNT_MAX)?,
            false => None,
        };
        let (offset, total) = (plans.len(), plans.len() + shape.constraint_count);
        let mut losses = Vec::new();
        let mut rough_losses = Vec::new();
        let mut scale = None;
        for (index, ((column, warp), stored)) in plans.iter().zip(&mut fits.losses).enumerate() {
            let warped = match warp.warp().apply(&columns[*column].losses) {
                Some(warped) => warped,
                None if columns.len() > 1 => vec![0.0; columns[*column].losses.len()],
                None => continue,
            };
            // Bad points count as the worst loss, in the warped scale: they never define the spread of the others.
            let worst = warped.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let variances = columns[*column].variances(&warped);
            let mut rest = warped.iter().zip(variances);
            let (values, mut variances): (Vec<f64>, Vec<f64>) = observed
                .iter()
                .map(|told| match told.lesson {
                    Lesson::Measured { .. } | Lesson::Projected { .. } => {
                        rest.next().map_or((worst, 0.0), |(target, variance)| (*target, variance))
                    }
                    Lesson::Bad | Lesson::Diverged { .. } | Lesson::Unfinished => (worst, 0.0),
                })
                .unzip();
            let measured = observed.iter().zip(&variances).filter(|(told, _)| told.losses().is_some());
            let mut measured: Vec<f64> = measured.map(|(_, variance)| *variance).collect();
            measured.sort_by(f64::total_cmp);
            let known_noise = measured.get(measured.len() / 2).copied().unwrap_or(0.0);
            if variances.iter().all(|variance| *variance == 0.0) {
                variances.clear();
            }
            let targets = Targets { values, variances };
            let former = former_losses[index].take().map(|model| model.process);
            let place = Place { index, count: plans.len(), offset: 0, total };
            let process = fitter.fit(&everything, former, targets.clone(), stored, place)?;
            if let Some((subset, rows)) = &rough_rows {
                let some_targets = some(&targets, subset);
                let known = process.hyperparameters().clone();
                let process =
                    GaussianProcess::with_hyperparameters(rows.design.clone(), some_targets, known)?;
                rough_losses.push(LossModel { process, means: Vec::new() });
            }
            if *warp == LossWarp::Identity && *column == 0 && weights.is_none() {
                let found = Scale::between(&columns[0].losses, &warped, known_noise);
                scale = found.map(|scale| (losses.len(), scale));
            }
            let means = process.observed_means();
            losses.push(LossModel { process, means });
        }
        if losses.is_empty() {
            return Ok(None);
        }
        let mut bounds = Vec::new();
        let mut is_hopeless = false;
        if shape.constraint_count > 0 {
            let (measured, measured_features): (Vec<&Told>, Vec<Vec<f64>>) = observed
                .iter()
                .zip(&features)
                .filter(|(told, _)| told.excesses().is_some())
                .map(|(told, row)| (*told, row.clone()))
                .unzip();
            let rows = Rows::new(representation, measured, measured_features)?;
            let mut former_bounds: Vec<Option<BoundModel>> = former_bounds.into_iter().map(Some).collect();
            former_bounds.resize_with(shape.constraint_count, || None);
            for (index, stored) in fits.constraints.iter_mut().enumerate() {
                let excesses: Vec<f64> =
                    rows.told.iter().filter_map(|told| told.excesses()?.get(index).copied()).collect();
                match bounded(&excesses) {
                    Some((targets, bound)) => {
                        let former = former_bounds[index].take().map(|model| model.process);
                        let place = Place { index, count: shape.constraint_count, offset, total };
                        let process = fitter.fit(&rows, former, targets.into(), stored, place)?;
                        bounds.push(BoundModel { process, bound });
                    }
                    None => is_hopeless |= excesses.first().is_some_and(|excess| *excess > 0.0),
                }
            }
        }
        let metric_count = if weights.is_some() { 1 } else { shape.metric_count };
        let mut models = Self {
            losses,
            bounds,
            is_hopeless,
            metric_count,
            evaluated_count: points.len(),
            points,
            features,
            eligible: Vec::new(),
            scale,
            rough: None,
        };
        if !rough_losses.is_empty() {
            models.rough = Some(Box::new(models.with_losses(rough_losses)));
        }
        models.eligible =
            observed.iter().zip(&models.features).map(|(told, row)| models.is_eligible(told, row)).collect();
        let unfinished = selected.iter().filter(|told| told.lesson == Lesson::Unfinished);
        let unfinished: Vec<Point> = unfinished.map(|told| told.point.clone()).collect();
        models.believe(representation, &unfinished)?;
        // explored, but nobody measured these, and nobody will
        models.eligible[models.evaluated_count..].fill(false);
        Ok(Some(models))
    }

    /// Whether a told point may be the best.
    fn is_eligible(&self, told: &Told, features: &[f64]) -> bool {
        let is_noisy =
            |model: &&BoundModel| libm::exp(model.process.hyperparameters().log_noise) > EXACT_NOISE_MAX;
        match self.bounds.iter().find(is_noisy) {
            _ if told.losses().is_none() => false,
            None => told.is_allowed(),
            Some(_) => self.is_believed_allowed(features),
        }
    }

    /// Whether every constraint is expected to hold at a row of features.
    fn is_believed_allowed(&self, features: &[f64]) -> bool {
        let holds = |model: &BoundModel| model.process.predict_mean(features) <= model.bound;
        !self.is_hopeless && self.bounds.iter().all(holds)
    }

    /// Takes points without a result as if they had been observed at their posterior means (Kriging believer, Ginsbourger
    /// et al. 2010). These stay what they are as one point after the other is taken, so that all can be taken at once.
    pub(crate) fn believe(
        &mut self,
        representation: &Representation,
        points: &[Point],
    ) -> Result<(), SurrogateError> {
        if points.is_empty() {
            return Ok(());
        }
        if let Some(rough) = &mut self.rough {
            rough.believe(representation, points)?;
        }
        let rows: Vec<Vec<f64>> = points.iter().map(|point| representation.features(point)).collect();
        let allowed: Vec<bool> = rows.iter().map(|row| self.is_believed_allowed(row)).collect();
        self.eligible.extend(allowed);
        for model in &mut self.losses {
            let means = model.process.predict_means(&rows);
            model.process.append_all(&rows, &means)?;
            model.means.extend(means);
        }
        for model in &mut self.bounds {
            let means = model.process.predict_means(&rows);
            model.process.append_all(&rows, &means)?;
        }
        self.points.extend_from_slice(points);
        self.features.extend(rows);
        Ok(())
    }

    /// Models of fewer observations that are good enough to find the places that are worth a second look; `None` if
    /// these are small enough.
    pub(crate) fn rough(&self) -> Option<&Self> {
        self.rough.as_deref()
    }

    /// The same models of one loss without constraints, of only the observations that are nearest to the rows of features,
    /// as many to each, in length scales of the first model: what they predict there depends on little else. `None` if
    /// these are small enough.
    pub(crate) fn near(&self, rows: &[&[f64]]) -> Option<Self> {
        self.rough.as_ref()?;
        if self.features.len() <= NEAR_ABOVE_COUNT {
            return None;
        }
        let kernel = self.losses.first()?.process.kernel();
        // Each row has its turn: one that is far from all others needs its neighbours too.
        let orders = rows.iter().map(|row| {
            let distances = self.features.iter().map(|features| kernel.squared_distance(row, features));
            let mut order: Vec<(f64, usize)> = distances.enumerate().map(|(row, d)| (d, row)).collect();
            let nearer = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            order.select_nth_unstable_by(NEAR_COUNT, nearer);
            order.truncate(NEAR_COUNT);
            order.sort_unstable_by(nearer);
            order
        });
        let orders: Vec<Vec<(f64, usize)>> = orders.collect();
        let mut is_near = vec![false; self.features.len()];
        let mut left = NEAR_COUNT;
        for (_, row) in (0..NEAR_COUNT).flat_map(|rank| orders.iter().map(move |order| order[rank])) {
            if left > 0 && !is_near[row] {
                is_near[row] = true;
                left -= 1;
            }
        }
        let nearest: Vec<usize> = (0..is_near.len()).filter(|row| is_near[*row]).collect();
        let smaller = |model: &LossModel| {
            let process = model.process.of_rows(&nearest).ok()?;
            Some(LossModel { process, means: Vec::new() })
        };
        let losses: Option<Vec<LossModel>> = self.losses.iter().map(smaller).collect();
        Some(self.with_losses(losses?))
    }

    /// Models for a part of a search: of one loss without constraints, and without anything but the processes.
    fn with_losses(&self, losses: Vec<LossModel>) -> Self {
        Self {
            losses,
            bounds: Vec::new(),
            is_hopeless: self.is_hopeless,
            metric_count: self.metric_count,
            points: Vec::new(),
            evaluated_count: self.evaluated_count,
            features: Vec::new(),
            eligible: Vec::new(),
            scale: None,
            rough: None,
        }
    }

    /// How many losses are weighed against each other: with one, all models of losses are of it.
    pub(crate) fn metric_count(&self) -> usize {
        self.metric_count
    }

    /// How many of the points were evaluated and not believed.
    pub(crate) fn evaluated_count(&self) -> usize {
        self.evaluated_count
    }

    /// Models of one loss under each warp, or of each loss.
    pub(crate) fn losses(&self) -> &[LossModel] {
        &self.losses
    }

    /// Models of what must not exceed a bound.
    pub(crate) fn bounds(&self) -> &[BoundModel] {
        &self.bounds
    }

    /// Points that the models of losses are conditioned on, with their features.
    pub(crate) fn points(&self) -> (&[Point], &[Vec<f64>]) {
        (&self.points, &self.features)
    }

    /// For each of the points, whether it may be the best: measured or pending, and no constraint broken.
    pub(crate) fn eligible(&self) -> &[bool] {
        &self.eligible
    }

    /// What the model of the first metric as it is expects at a row of features; `None` without such a model.
    pub(crate) fn forecast(&self, features: &[f64]) -> Option<Forecast> {
        let (index, scale) = self.scale?;
        let process = &self.losses.get(index)?.process;
        let posterior = process.predict(features);
        let noise = libm::exp(process.hyperparameters().log_noise);
        Some(Forecast {
            mean: scale.centre + scale.unit * posterior.mean,
            deviation: scale.unit * posterior.deviation(),
            noisy_deviation: scale.unit * (posterior.variance + noise + scale.known_noise).sqrt(),
        })
    }

    /// Whether one of two evaluated points beats the other as they were measured, and the models do not know better: by them
    /// it is worse nowhere by more than they are sure of. Where there is no noise posterior means are the measured losses
    /// but for a millionth, and of two points that are equal in one metric the worse would stay for that.
    fn beats_as_measured(&self, row: usize, other: usize) -> bool {
        let targets =
            || self.losses.iter().map(|model| model.process.targets()).map(|all| (all[row], all[other]));
        let is_sure = |model: &LossModel| {
            let deviation = model.process.predict(&self.features[other]).deviation();
            model.means[row] > model.means[other] + deviation
        };
        targets().all(|(own, its)| own <= its)
            && targets().any(|(own, its)| own < its)
            && !self.losses.iter().any(is_sure)
    }

    /// Evaluated points that may be the best and that no other such point beats by its posterior means, with what is
    /// expected of the first metric: the one of least mean, or the front in the order of that mean.
    pub(crate) fn incumbents(&self) -> Vec<(&Point, Forecast)> {
        let candidates: Vec<usize> = (0..self.evaluated_count).filter(|&row| self.eligible[row]).collect();
        let forecast = |row: usize| Some((&self.points[row], self.forecast(&self.features[row])?));
        let mut found: Vec<(&Point, Forecast)> = if self.metric_count == 1 {
            let all = candidates.into_iter().filter_map(forecast);
            all.min_by(|a, b| a.1.mean.total_cmp(&b.1.mean)).into_iter().collect()
        } else {
            let rows: Vec<Vec<f64>> = candidates
                .iter()
                .map(|&row| self.losses.iter().map(|model| model.means[row]).collect())
                .collect();
            let front: Vec<usize> = non_dominated(&rows).into_iter().map(|place| candidates[place]).collect();
            let is_beaten = |row: &usize| front.iter().any(|other| self.beats_as_measured(*other, *row));
            front.iter().filter(|row| !is_beaten(row)).filter_map(|row| forecast(*row)).collect()
        };
        found.sort_by(|a, b| a.1.mean.total_cmp(&b.1.mean));
        found
    }
}

/// Rows that some models share.
struct Rows<'a> {
    told: Vec<&'a Told>,
    features: Vec<Vec<f64>>,
    design: Design,
}

impl<'a> Rows<'a> {
    fn new(
        representation: &Representation,
        told: Vec<&'a Told>,
        features: Vec<Vec<f64>>,
    ) -> Result<Self, SurrogateError> {
        let design = Design::from_rows(representation.columns(), &features)?;
        Ok(Self { told, features, design })
    }

    /// The rows of the best and the latest, with their places among all; `None` if they are no more than so many.
    fn thinned(
        &self,
        representation: &Representation,
        count_max: usize,
    ) -> Result<Option<(Vec<usize>, Self)>, SurrogateError> {
        if self.told.len() <= count_max {
            return Ok(None);
        }
        let subset = select(&self.told, count_max);
        let told = subset.iter().map(|row| self.told[*row]).collect();
        let features = subset.iter().map(|row| self.features[*row].clone()).collect();
        let rows = Self::new(representation, told, features)?;
        Ok(Some((subset, rows)))
    }
}

/// How the models of one ask are fitted.
struct Fitter<'a> {
    representation: &'a Representation,
    noise_max: f64,
    refit: Refit,
}

impl Fitter<'_> {
    /// A process for the targets. `former` is of the first of the rows, perhaps.
    fn fit(
        &self,
        rows: &Rows<'_>,
        former: Option<GaussianProcess>,
        targets: Targets,
        stored: &mut Option<Hyperparameters>,
        place: Place,
    ) -> Result<GaussianProcess, SurrogateError> {
        let starts = self.refit.starts(place);
        let options = FitOptions {
            noise_min: NOISE_MIN,
            noise_max: self.noise_max,
            starts: starts.unwrap_or(&[Start::Usual]),
            ..FitOptions::default()
        };
        let design = rows.design.clone();
        let process = match stored {
            Some(known) if starts.is_none() => {
                GaussianProcess::continued(former, design, targets, known.clone())?
            }
            _ if rows.told.len() <= FIT_COUNT_MAX => {
                GaussianProcess::fit(design, targets, stored.as_ref(), &options)?
            }
            _ => {
                let found = match rows.thinned(self.representation, FIT_COUNT_MAX)? {
                    Some((subset, fewer)) => {
                        let some_targets = some(&targets, &subset);
                        GaussianProcess::fit(fewer.design, some_targets, stored.as_ref(), &options)?
                    }
                    None => GaussianProcess::fit(design.clone(), targets.clone(), stored.as_ref(), &options)?,
                };
                let found = found.hyperparameters().clone();
                GaussianProcess::continued(former, design, targets, found)?
            }
        };
        *stored = Some(process.hyperparameters().clone());
        Ok(process)
    }
}

/// The targets of some rows.
fn some(targets: &Targets, rows: &[usize]) -> Targets {
    let of = |numbers: &[f64]| rows.iter().filter_map(|row| numbers.get(*row)).copied().collect();
    Targets { values: of(&targets.values), variances: of(&targets.variances) }
}

/// One loss of each trial that has been measured or projected, in their order.
#[derive(Clone, Debug, PartialEq)]
struct LossColumn {
    losses: Vec<f64>,
    /// Standard deviation of each; 0 where it was measured and no standard error is known.
    deviations: Vec<f64>,
}

impl LossColumn {
    /// The deviations as variances in the unit of the targets that became of the losses: over the broken line through both,
    /// from a deviation below to one above.
    fn variances(&self, targets: &[f64]) -> Vec<f64> {
        if self.deviations.iter().all(|deviation| *deviation == 0.0) {
            return vec![0.0; targets.len()];
        }
        let mut knots: Vec<(f64, f64)> = self.losses.iter().copied().zip(targets.iter().copied()).collect();
        knots.sort_by(|a, b| a.0.total_cmp(&b.0));
        knots.dedup_by(|a, b| a.0 == b.0);
        let target = |loss: f64| {
            // beyond the ends as between the last two
            let after = knots.partition_point(|knot| knot.0 < loss).clamp(1, knots.len().max(2) - 1);
            let (a, b) = (knots[after - 1], knots[after]);
            a.1 + (b.1 - a.1) * ((loss - a.0) / (b.0 - a.0))
        };
        let variance = |(loss, deviation): (&f64, &f64)| match deviation {
            0.0 => 0.0,
            _ if knots.len() < 2 => 0.0,
            _ => {
                let half = 0.5 * (target(loss + deviation) - target(loss - deviation));
                Some(half * half)
                    .filter(|variance| variance.is_finite())
                    .unwrap_or(VARIANCE_MAX)
                    .min(VARIANCE_MAX)
            }
        };
        self.losses.iter().zip(&self.deviations).map(variance).collect()
    }
}

/// The losses of trials that have been measured or projected: one column for each metric, or a single one of weighted sums
/// and maxima.
fn loss_columns(observed: &[&Told], metric_count: usize, weights: Option<&[f64]>) -> Vec<LossColumn> {
    let believed: Vec<Vec<(f64, f64)>> =
        observed.iter().filter_map(|told| told.believed_losses().map(Iterator::collect)).collect();
    let value = |row: &[(f64, f64)], metric: usize| row.get(metric).copied().unwrap_or((f64::NAN, 0.0));
    let column = |metric: usize| {
        let (losses, deviations) = believed.iter().map(|row| value(row, metric)).unzip();
        LossColumn { losses, deviations }
    };
    let Some(weights) = weights else { return (0..metric_count).map(column).collect() };
    // Over the range of the front; what breaks a constraint is not on it.
    let measured: Vec<&Told> = observed.iter().copied().filter(|told| told.losses().is_some()).collect();
    let allowed: Vec<&[f64]> =
        measured.iter().filter(|told| told.is_allowed()).filter_map(|told| told.losses()).collect();
    let all: Vec<&[f64]> = measured.iter().filter_map(|told| told.losses()).collect();
    let basis = if allowed.is_empty() { all } else { allowed };
    let front: Vec<&[f64]> = non_dominated(&basis).into_iter().map(|place| basis[place]).collect();
    let ranges: Vec<(f64, f64)> = (0..metric_count)
        .map(|metric| {
            let extreme = |rows: &[&[f64]], fold: fn(f64, f64) -> f64| {
                rows.iter().map(|row| row[metric]).reduce(fold).unwrap_or(0.0)
            };
            let range = |rows: &[&[f64]]| (extreme(rows, f64::min), extreme(rows, f64::max));
            let (low, high) = range(&front);
            if high > low { (low, high) } else { range(&basis) }
        })
        .collect();
    let scalar = |row: &[(f64, f64)], deviation_count: f64| {
        let scaled: Vec<f64> = ranges
            .iter()
            .enumerate()
            .map(|(metric, (low, high))| {
                let (loss, deviation) = value(row, metric);
                let loss = loss + deviation_count * deviation;
                // Halved, lest a difference overflow.
                let width = 0.5 * high - 0.5 * low;
                if width > 0.0 { (0.5 * loss - 0.5 * low) / width } else { 0.0 }
            })
            .collect();
        augmented_chebyshev(&scaled, weights)
    };
    let (losses, deviations) = believed
        .iter()
        .map(|row| match row.iter().all(|(_, deviation)| *deviation == 0.0) {
            true => (scalar(row, 0.0), 0.0),
            false => (scalar(row, 0.0), 0.5 * (scalar(row, 1.0) - scalar(row, -1.0))),
        })
        .unzip();
    vec![LossColumn { losses, deviations }]
}

/// Excesses as targets of a model, and the bound below which they hold: `sign(c) ln(1 + |c|)` of the excess in its own
/// standard deviations, standardised. What is far on either side is compressed, and the boundary, where precision counts,
/// is not. `None` if all are equal. Source: Eriksson and Poloczek 2021 (SCBO).
fn bounded(excesses: &[f64]) -> Option<(Vec<f64>, f64)> {
    let magnitude = excesses.iter().fold(0.0_f64, |largest, excess| largest.max(excess.abs()));
    if magnitude == 0.0 || !magnitude.is_finite() {
        return None;
    }
    let scaled: Vec<f64> = excesses.iter().map(|excess| excess / magnitude).collect();
    let unit = mean_and_deviation(&scaled).1;
    if unit <= 8.0 * f64::EPSILON {
        return None;
    }
    let bilog: Vec<f64> =
        scaled.iter().map(|excess| libm::copysign(libm::log1p((excess / unit).abs()), *excess)).collect();
    let (mean, deviation) = mean_and_deviation(&bilog);
    let standard = |value: f64| (value - mean) / deviation;
    let targets: Vec<f64> = bilog.iter().map(|value| standard(*value)).collect();
    targets.iter().all(|target| target.is_finite()).then(|| (targets, standard(0.0)))
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ansatz_core::rng::Rng;
    use ansatz_core::space::{Condition, Parameter};
    use ansatz_core::{Curve, Space};
    use ansatz_surrogate::Column;

    pub(crate) fn space() -> Space {
        Space::of(vec![
            Parameter::float("x", 0.0, 1.0),
            Parameter::categorical("kind", ["a", "b", "c"]),
            Parameter::float("y", -1.0, 1.0).when(Condition::equals("kind", "b")),
            Parameter::int("one", 3, 3),
        ])
        .unwrap()
    }

    /// Trials of which some are bad and some unfinished. Losses are bowls with different centres; an excess is broken in a
    /// part of the space that differs too.
    pub(crate) fn told(space: &Space, count: usize, shape: Shape) -> Vec<Told> {
        let mut rng = Rng::new(1);
        (0..count)
            .map(|index| {
                let point = space.sample(&mut rng).unwrap();
                let x = point.get(0).unwrap();
                // Else a bowl without noise leaves nearly nothing unknown.
                let uneven = 1e-3 * (index % 5) as f64;
                let loss = |metric: usize| {
                    (x - 0.3 - 0.2 * metric as f64).powi(2)
                        + point.get(2).map_or(0.5, |y| (y - 0.1 * metric as f64).powi(2))
                };
                let lesson = match index % 7 {
                    5 => Lesson::Bad,
                    6 => Lesson::Unfinished,
                    _ => Lesson::measured(
                        (0..shape.metric_count).map(loss).collect(),
                        (0..shape.constraint_count).map(|c| 0.4 + 0.1 * c as f64 - x + uneven).collect(),
                    ),
                };
                Told { point, curve: Curve::default(), lesson }
            })
            .collect()
    }

    pub(crate) fn fit(
        representation: &Representation,
        told: &[Told],
        shape: Shape,
        fits: &mut Fits,
        refit: bool,
    ) -> Option<Models> {
        let refit = if refit { Refit::All { turn: told.len() } } else { Refit::None };
        Models::fit(representation, told, shape, None, &Options::default(), fits, refit).unwrap()
    }

    #[test]
    fn stored_hyperparameters_give_the_fitted_models_again() {
        let space = space();
        let representation = Representation::new(&space);
        let shape = Shape { metric_count: 1, constraint_count: 2 };
        let told = told(&space, 30, shape);
        let mut stored = Fits::none(shape, &Options::default(), false);
        let fitted = fit(&representation, &told, shape, &mut stored, true).unwrap();
        let before = stored.clone();
        let again = fit(&representation, &told, shape, &mut stored, false).unwrap();
        assert_eq!(stored, before);
        let row = representation.features(&told[3].point);
        for (a, b) in fitted.losses().iter().zip(again.losses()) {
            assert_eq!(a.process.predict(&row).mean.to_bits(), b.process.predict(&row).mean.to_bits());
        }
        for (a, b) in fitted.bounds().iter().zip(again.bounds()) {
            assert_eq!(
                a.process.predict(&row).variance.to_bits(),
                b.process.predict(&row).variance.to_bits()
            );
        }
    }

    #[test]
    fn what_nobody_measured_is_not_the_best_and_what_is_pending_may_be() {
        let space = space();
        let representation = Representation::new(&space);
        for constraint_count in [0, 2] {
            let shape = Shape { metric_count: 1, constraint_count };
            let told = told(&space, 30, shape);
            let mut stored = Fits::none(shape, &Options::default(), false);
            let mut models = fit(&representation, &told, shape, &mut stored, true).unwrap();
            let allowed: Vec<&Told> = told.iter().filter(|told| told.is_allowed()).collect();
            let is_allowed = |point: &Point| allowed.iter().any(|told| told.point == *point);
            let may_be: Vec<bool> = models.points().0.iter().map(is_allowed).collect();
            assert_eq!((models.eligible(), may_be.len()), (&may_be[..], 30));
            assert!(may_be.contains(&true));
            models.believe(&representation, std::slice::from_ref(&allowed[0].point)).unwrap();
            assert_eq!(models.eligible().last(), Some(&true));
        }
    }

    #[test]
    fn nothing_to_model_without_two_different_losses() {
        let space = space();
        let representation = Representation::new(&space);
        for metric_count in [1, 2] {
            let shape = Shape { metric_count, constraint_count: 1 };
            let mut told = told(&space, 10, shape);
            for told in &mut told {
                if let Lesson::Measured { losses, .. } = &mut told.lesson {
                    losses.fill(2.5);
                }
            }
            for count in [0, 1, 10] {
                let mut fits = Fits::none(shape, &Options::default(), false);
                assert!(fit(&representation, &told[..count], shape, &mut fits, true).is_none());
            }
        }
    }

    #[test]
    fn bounds_are_where_excesses_are_zero() {
        for scale in [1e-300, 1e-6, 1.0, 1e300] {
            let excesses = [3.0, -0.5, 0.25, -2.0, 0.1, -0.01].map(|excess| excess * scale);
            let (targets, bound) = bounded(&excesses).unwrap();
            for (excess, target) in excesses.iter().zip(&targets) {
                assert_eq!(*excess <= 0.0, *target <= bound, "{excess} {target} {bound}");
            }
            let (mean, deviation) = mean_and_deviation(&targets);
            assert!(mean.abs() < 1e-12 && (deviation - 1.0).abs() < 1e-12);
        }
        for equal in [&[][..], &[2.0], &[-1.0, -1.0], &[0.0, 0.0, 0.0]] {
            assert_eq!(bounded(equal), None);
        }
        // Kept or broken, and nothing between: what is kept is on the bound.
        let (targets, bound) = bounded(&[0.0, 1.0, 0.0]).unwrap();
        assert_eq!([targets[0], targets[2]], [bound; 2]);
        assert!(targets[1] > bound);
    }

    #[test]
    fn weighted_losses_are_over_the_range_of_the_allowed_front() {
        let told = [([0.0, 8.0], -1.0), ([4.0, 0.0], 0.0), ([-100.0, -100.0], 1.0), ([4.0, 8.0], -1.0)].map(
            |(losses, excess)| Told {
                point: Point::from_flat(&[0.0]),
                curve: Curve::default(),
                lesson: Lesson::measured(losses.to_vec(), vec![excess]),
            },
        );
        let told: Vec<&Told> = told.iter().collect();
        let columns = loss_columns(&told, 2, Some(&[0.25, 0.75]));
        let expected = |a: f64, b: f64| augmented_chebyshev(&[a, b], &[0.25, 0.75]);
        assert_eq!(
            columns[0].losses,
            [expected(0.0, 1.0), expected(1.0, 0.0), expected(-25.0, -12.5), expected(1.0, 1.0)]
        );
        assert_eq!(loss_columns(&told, 2, None)[1].losses, [8.0, 0.0, -100.0, 8.0]);
    }

    #[test]
    fn of_points_that_are_equal_in_one_metric_the_best_in_the_other_is_an_incumbent() {
        let space =
            Space::of(vec![Parameter::float("x", 0.0, 1.0), Parameter::float("y", 0.0, 1.0)]).unwrap();
        let representation = Representation::new(&space);
        let shape = Shape { metric_count: 2, constraint_count: 0 };
        let told: Vec<Told> = (0..40)
            .map(|index| {
                let (x, y) = (f64::from(index / 8) / 5.0, f64::from(index % 8) / 7.0);
                Told {
                    point: Point::from_flat(&[x, y]),
                    curve: Curve::default(),
                    lesson: Lesson::measured(vec![x, 1.0 - x.sqrt() + 9.0 * y * y], vec![]),
                }
            })
            .collect();
        let mut fits = Fits::none(shape, &Options::default(), false);
        let models = fit(&representation, &told, shape, &mut fits, true).unwrap();
        let found: Vec<f64> = models.incumbents().iter().map(|(point, _)| point.get(1).unwrap()).collect();
        assert_eq!(found, [0.0; 5]);
    }

    #[test]
    fn only_what_keeps_the_constraints_is_an_incumbent() {
        let space = space();
        let representation = Representation::new(&space);
        for metric_count in [1, 2, 3] {
            let shape = Shape { metric_count, constraint_count: 1 };
            let told = told(&space, 40, shape);
            let mut fits = Fits::none(shape, &Options::default(), false);
            let models = fit(&representation, &told, shape, &mut fits, true).unwrap();
            let found = models.incumbents();
            assert!(found.len() >= metric_count, "{found:?}");
            for (point, _) in &found {
                let known = told.iter().find(|told| told.point == **point).unwrap();
                assert!(known.is_allowed(), "{known:?}");
                let losses = known.losses().unwrap();
                let beaten = told.iter().filter(|other| other.is_allowed()).any(|other| {
                    other.losses().unwrap().iter().zip(losses).all(|(other, own)| *other < own - 1e-3)
                });
                assert!(!beaten, "{known:?}");
            }
        }
    }

    #[test]
    fn deviations_become_variances_of_targets_where_their_losses_are() {
        let column = |losses: &[f64], deviations: &[f64]| LossColumn {
            losses: losses.to_vec(),
            deviations: deviations.to_vec(),
        };
        let measured = column(&[3.0, 1.0, 2.0], &[0.0; 3]);
        assert_eq!(measured.variances(&[9.0, 1.0, 4.0]), [0.0; 3]);
        // the line through both sides, and beyond the ends as within
        let some = column(&[3.0, 1.0, 2.0], &[0.0, 0.5, 1.0]);
        assert_eq!(some.variances(&[9.0, 1.0, 4.0]), [0.0, 1.5 * 1.5, 4.0 * 4.0]);
        // by a straight line they are the squares, in its unit
        assert_eq!(some.variances(&[30.0, 10.0, 20.0]), [0.0, 25.0, 100.0]);
        // equal losses say nothing of the unit; and what is beyond numbers is as good as unknown
        assert_eq!(column(&[2.0, 2.0], &[0.0, 1.0]).variances(&[0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(column(&[0.0, 1e-300], &[0.0, 1e10]).variances(&[0.0, 1.0]), [0.0, VARIANCE_MAX]);
    }

    #[test]
    fn a_projected_trial_teaches_its_surroundings_and_is_never_an_incumbent() {
        let space = Space::of(vec![Parameter::float("x", 0.0, 1.0)]).unwrap();
        let representation = Representation::new(&space);
        let shape = Shape { metric_count: 1, constraint_count: 0 };
        let at = |x: f64, loss: f64, steps: u64| {
            let mut curve = Curve::default();
            curve.push(3, vec![Some(loss + 1.0)]);
            let lesson = match steps {
                3 => Lesson::Unfinished,
                _ => {
                    curve.push(steps, vec![Some(loss)]);
                    Lesson::measured(vec![loss], Vec::new())
                }
            };
            Told { point: Point::from_flat(&[x]), curve, lesson }
        };
        let measured: Vec<Told> =
            (0..7).map(|i| at(0.05 * f64::from(i), 1.0 - 0.1 * f64::from(i), 27)).collect();
        // far from all that finished: a good one in the eyes of the model, and bad ones
        let stopped = [at(0.6, 0.1, 3), at(0.8, 2.0, 3), at(1.0, 2.2, 3)];
        let all: Vec<Told> = measured.iter().cloned().chain(stopped).collect();
        let mut fits = Fits::none(shape, &Options::default(), false);
        let models = fit(&representation, &all, shape, &mut fits, true).unwrap();
        let incumbents: Vec<f64> =
            models.incumbents().iter().map(|(point, _)| point.get(0).unwrap()).collect();
        assert!((incumbents[0] - 0.3).abs() < 1e-9, "{incumbents:?}");
        let mean_at =
            |x: f64| models.forecast(&representation.features(&Point::from_flat(&[x]))).unwrap().mean;
        let means = [0.6, 0.3, 0.8, 1.0].map(mean_at);
        assert!(means[0] < 0.6 && means[0] < means[2] && means[2] < means[3], "{means:?}");
        assert!((means[3] - 2.2).abs() < 0.5, "{means:?}");
        // they were stopped before anybody went on: nothing is known of them
        let mut fits = Fits::none(shape, &Options::default(), false);
        let strangers: Vec<Told> = all
            .iter()
            .map(|told| match told.lesson {
                Lesson::Measured { .. } => Told { curve: Curve::default(), ..told.clone() },
                _ => told.clone(),
            })
            .collect();
        assert!(fit(&Representation::new(&space), &strangers, shape, &mut fits, true).is_some());
    }

    #[test]
    fn posteriors_are_widened_by_what_a_fit_cannot_know_unless_there_is_noise() {
        let columns = [Column::Continuous, Column::Categorical, Column::Activity];
        let rows: Vec<[f64; 3]> = (0..9).map(|k| [f64::from(k) / 8.0, f64::from(k % 2), 1.0]).collect();
        let targets: Vec<f64> = rows.iter().map(|row| row[0] - 0.5).collect();
        // two length scales, amplitude and noise
        for (noise_share, expected) in [(0.0499, (1.0_f64 + 4.0 / 9.0).sqrt()), (0.0501, 1.0)] {
            let hyperparameters = Hyperparameters {
                log_length_scales: vec![0.0; 2],
                log_amplitude: libm::log(2.0 * (1.0 - noise_share)),
                log_noise: libm::log(2.0 * noise_share),
            };
            let design = Design::from_rows(&columns, &rows).unwrap();
            let process =
                GaussianProcess::with_hyperparameters(design, targets.clone(), hyperparameters).unwrap();
            let model = LossModel { process, means: Vec::new() };
            assert_eq!(model.widening(9), expected);
            assert_eq!(model.widening(100_000) > 1.0, expected > 1.0);
            assert_eq!(model.widening(100_000), model.widening(FIT_COUNT_MAX));
        }
    }
}
