//! Bayesian optimisation with Gaussian processes, for one loss or several over mixed, conditional and constrained spaces.
//!
//! Scrambled Sobol points come first. Then each ask fits models of the losses and the outcome constraints (`models`), and
//! looks for the point (`maximise`) of the largest expected improvement (`acquisition`). Trials without a result yet are
//! believed at their posterior mean, so parallel asks spread. The mathematics is in `ansatz-surrogate`; the README has
//! sources and options.
#![forbid(unsafe_code)]

mod acquisition;
mod aim;
mod fits;
mod history;
mod maximise;
mod models;
mod options;
mod projection;
mod representation;
#[cfg(test)]
mod tests;

pub use options::{LossWarp, Options};

use std::borrow::Cow;

use ansatz_core::rng::Rng;
use ansatz_core::strategy::{decode_state, encode_state};
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Point, Prediction, Problem, Recommendation, Strategy,
    StrategyError, Suggestion,
};
use ansatz_sampling::Sobol;
use ansatz_surrogate::simplex_weights;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use acquisition::{AcquisitionFunction, AllowedImprovement, Reference};
use aim::{Aim, FRONT_COUNT_MAX, WEIGHTED_COUNT_MIN};
use fits::{Fits, Refit, Shape};
use history::Told;
use maximise::{Maximiser, Seen};
use models::Models;
use representation::Representation;

/// Losses needed for a model, measured or projected, however many trials are pending. One must be measured.
const LOSS_COUNT_MIN: usize = 3;

/// The strategy `bayesian`.
#[derive(Debug)]
pub struct Bayesian {
    representation: Representation,
    options: Options,
    shape: Shape,
    /// Fidelities from here on are full evaluations.
    full_fidelity: Option<f64>,
    state: State,
    /// Models of everything told, without pending trials; rebuilt when needed.
    models: Option<Models>,
    /// Models of less than what was told: the next ones need not begin anew.
    former: Option<Models>,
    /// Models of one loss made of all metrics, with the weights of their last ask.
    weighted_models: Option<Models>,
}

/// What a snapshot holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    rng: Rng,
    /// Scramble of the initial design.
    design_seed: u64,
    /// Its next row.
    design_next: u64,
    told: Vec<Told>,
    /// Latest fit of each model of a metric, of each warp of a single one, and of each outcome constraint.
    fits: Fits,
    /// Latest fit of each model of one loss made of all metrics, and of its outcome constraints; empty with fewer than three
    /// metrics.
    weighted_fits: Fits,
    /// How many asks came after the initial design: with several metrics each looks for something else.
    turn: u64,
}

impl Bayesian {
    /// The next new feasible row of the initial design, or anything new.
    fn design_point(&mut self, seen: &Seen) -> Option<Point> {
        let encoding = self.representation.encoding();
        let sequence = Sobol::new(encoding.column_count(), self.state.design_seed);
        let new = |row: &[f64]| {
            let point = Some(encoding.decode(row));
            point.filter(|point| encoding.space().is_feasible(point) && !seen.contains(point))
        };
        let found = sequence.first_of(&mut self.state.design_next, new);
        found.or_else(|| encoding.space().sample_unseen(|point| seen.contains(point), &mut self.state.rng))
    }

    /// Brings the models of the metrics up to date with what was told. A fit that fails leaves none, and the design goes on.
    fn update_models(&mut self) {
        if self.models.is_some() {
            return;
        }
        let refit = self.state.fits.next_refit(self.state.told.len(), false);
        self.models = Models::continued(
            self.former.take(),
            &self.representation,
            &self.state.told,
            self.shape,
            None,
            &self.options,
            &mut self.state.fits,
            refit,
        )
        .ok()
        .flatten();
    }

    /// The same for models of one loss made of all metrics, with new weights.
    fn update_weighted_models(&mut self) {
        let uniforms: Vec<f64> = (1..self.shape.metric_count).map(|_| self.state.rng.random()).collect();
        let refit = self.state.weighted_fits.next_refit(self.state.told.len(), true);
        self.weighted_models = Models::continued(
            self.weighted_models.take(),
            &self.representation,
            &self.state.told,
            self.shape,
            Some(&simplex_weights(&uniforms)),
            &self.options,
            &mut self.state.weighted_fits,
            refit,
        )
        .ok()
        .flatten();
    }

    /// One new point, given those that have no result yet, with what the models expect there.
    fn next_suggestion(
        &mut self,
        seen: &Seen,
        unfinished: &[Point],
    ) -> Result<Option<Suggestion>, StrategyError> {
        let measured = self.state.told.iter().filter(|told| told.losses().is_some()).count();
        let informative = measured + self.state.told.iter().filter(|told| told.is_projectable()).count();
        let initial_count = self.options.initial_count(self.representation.space(), self.shape.metric_count);
        if self.state.told.len() + unfinished.len() < initial_count
            || measured == 0
            || informative < LOSS_COUNT_MIN
        {
            return Ok(self.design_point(seen).map(Suggestion::new));
        }
        let aim = Aim::of_turn(self.shape.metric_count, self.state.turn);
        // also where no model comes of it: the next ask may do better with another aim
        self.state.turn += 1;
        if self.shape.metric_count <= FRONT_COUNT_MAX {
            self.update_models();
        }
        if aim == Aim::Weighted {
            self.update_weighted_models();
        }
        let (told_only, reference) = match aim {
            Aim::Front(reference) => (&self.models, reference),
            // of one loss, which has none
            Aim::Weighted => (&self.weighted_models, Reference::Near),
        };
        let Some(told_only) = told_only else {
            return Ok(self.design_point(seen).map(Suggestion::new));
        };
        let mut models = Cow::Borrowed(told_only);
        if !unfinished.is_empty() {
            models.to_mut().believe(&self.representation, unfinished).map_err(|error| {
                StrategyError::Other(format!("pending points do not fit the models: {error}"))
            })?;
        }
        let Ok(acquisition) = AllowedImprovement::new(&models, reference) else {
            return Ok(self.design_point(seen).map(Suggestion::new));
        };
        // the ends of a front often lie at bounds, so that not all turns expect it inside
        let acquisition = match aim {
            Aim::Front(Reference::Near) => {
                acquisition.inside(self.options.inside_weight / self.state.told.len().max(1) as f64)
            }
            Aim::Front(Reference::Outer) | Aim::Weighted => acquisition,
        };
        let maximiser = Maximiser {
            representation: &self.representation,
            acquisition: &acquisition,
            options: &self.options,
            seen,
            rng: &mut self.state.rng,
        };
        let found = maximiser.propose();
        let space = self.representation.space();
        let rng = &mut self.state.rng;
        let unseen = || {
            let point = space.sample_unseen(|point| seen.contains(point), rng)?;
            let value = acquisition.acquisition(&self.representation.features(&point));
            Some((point, value))
        };
        let Some((point, value)) = found.or_else(unseen) else { return Ok(None) };
        let features = self.representation.features(&point);
        let suggestion = Suggestion::new(point);
        // what is made of all metrics is no metric: its models forecast none
        let of_metrics = if aim == Aim::Weighted { self.models.as_ref() } else { Some(models.as_ref()) };
        let Some(forecast) = of_metrics.and_then(|models| models.forecast(&features)) else {
            return Ok(Some(suggestion));
        };
        let prediction = Prediction::new(forecast.mean, forecast.noisy_deviation);
        // and what is expected of it is in a unit of its own
        let is_comparable = aim != Aim::Weighted;
        let prediction = if is_comparable { prediction.with_acquisition(value) } else { prediction };
        Ok(Some(suggestion.with_prediction(prediction)))
    }
}

impl Strategy for Bayesian {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "bayesian",
        summary: "Gaussian processes; log expected improvement of one loss under three warps, or of the hypervolume of \
                  several; modelled outcome constraints (Ament et al. 2023, Hvarfner et al. 2024)",
        capabilities: &[
            Capability::Float,
            Capability::Int,
            Capability::Categorical,
            Capability::Ordinal,
            Capability::Conditional,
            Capability::Constraints,
            Capability::MultiObjective,
            Capability::OutcomeConstraints,
            Capability::Pending,
            Capability::Snapshot,
        ],
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, mut rng: Rng) -> Result<Self, StrategyError> {
        options.check()?;
        let shape = Shape {
            metric_count: problem.metrics.len(),
            constraint_count: problem.outcome_constraints.len(),
        };
        let state = State {
            design_seed: rng.random(),
            design_next: 0,
            told: Vec::new(),
            fits: Fits::none(shape, &options, false),
            weighted_fits: match shape.metric_count {
                WEIGHTED_COUNT_MIN.. => Fits::none(shape, &options, true),
                _ => Fits::default(),
            },
            turn: 0,
            rng,
        };
        Ok(Self {
            representation: Representation::new(&problem.space),
            full_fidelity: problem.fidelity.as_ref().map(|fidelity| fidelity.upper),
            options,
            shape,
            state,
            models: None,
            former: None,
            weighted_models: None,
        })
    }

    fn ask(&mut self, count: usize, pending: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let mut unfinished: Vec<Point> = pending.iter().map(|(_, point)| point).collect();
        let mut seen = Seen::default();
        for point in self.state.told.iter().map(|told| &told.point).chain(&unfinished) {
            seen.insert(&self.representation, point);
        }
        let mut suggestions = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(suggestion) = self.next_suggestion(&seen, &unfinished)? else { break };
            seen.insert(&self.representation, &suggestion.point);
            unfinished.push(suggestion.point.clone());
            suggestions.push(suggestion);
        }
        if suggestions.is_empty() && count > 0 {
            if self.state.told.is_empty() && pending.is_empty() {
                return Err(StrategyError::no_feasible_point());
            }
            return Err(StrategyError::Exhausted);
        }
        Ok(suggestions)
    }

    fn tell(&mut self, observations: &[Observation]) -> Result<(), StrategyError> {
        if observations.is_empty() {
            return Ok(());
        }
        for observation in observations {
            let told = Told::new(observation, self.full_fidelity);
            self.state.told.iter_mut().for_each(|before| before.give_way(&told));
            self.state.told.push(told);
        }
        self.former = self.models.take().or(self.former.take());
        Ok(())
    }

    /// The evaluated point of least posterior mean, which under noise is more to be trusted than the least loss; with
    /// several metrics those that no other one beats by its means, in the order of the first metric. Only points that keep
    /// all outcome constraints.
    fn recommend(&mut self) -> Result<Vec<Recommendation>, StrategyError> {
        // Of a copy: a fit moves where the next one begins, and whoever only looks must change nothing.
        let mut fits = self.state.fits.clone();
        let fitted = Models::fit(
            &self.representation,
            &self.state.told,
            self.shape,
            None,
            &self.options,
            &mut fits,
            Refit::All { turn: self.state.told.len() },
        );
        let Some(models) = fitted.ok().flatten() else { return Ok(Vec::new()) };
        let incumbents = models.incumbents().into_iter();
        Ok(incumbents
            .map(|(point, forecast)| Recommendation::new(point.clone(), forecast.mean, forecast.deviation))
            .collect())
    }

    fn snapshot(&self) -> Result<Option<Vec<u8>>, StrategyError> {
        encode_state(&self.state).map(Some)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), StrategyError> {
        let state: State = decode_state(state)?;
        let matches = |fits: fn(&State) -> &Fits| fits(&state).matches(fits(&self.state));
        if !matches(|state| &state.fits) || !matches(|state| &state.weighted_fits) {
            return Err(StrategyError::Invalid(
                "the state was saved with other warps in the options, or of another problem".into(),
            ));
        }
        self.state = state;
        self.models = None;
        self.former = None;
        self.weighted_models = None;
        Ok(())
    }
}

ansatz_core::export_plugin! { strategies: [Bayesian] }
