//! What a manifest may say about the strategy.

use ansatz_core::StrategyError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest population.
pub(crate) const POPULATION_SIZE_MAX: usize = 10_000;
/// The most divisions of an axis of the reference points.
const DIVISION_COUNT_MAX: usize = 100;

/// Options of the strategy `evolution`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How children are made and who survives.
    pub method: Method,
    /// Members of the population, 4 to 10,000. If left out it follows from the number of parameters, metrics and trials;
    /// the README says how.
    #[schemars(range(min = 4, max = 10_000))]
    pub population_size: Option<usize>,
    /// `de`: whether the population shrinks to 4 until the study's trials are used up. Without a budget of trials it does
    /// not.
    pub shrink: bool,
    /// `de`: the share of the population that counts as its best, towards which children go.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub best_share: f64,
    /// `de`: how many members that were replaced are kept to take differences from, as a share of the population.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub archive_share: f64,
    /// `de`: a population whose members differ by less than this share of each parameter's range begins anew. 0: never.
    #[schemars(range(min = 0.0, max = 0.1))]
    pub tolerance: f64,
    /// `nsga2`, `nsga3`: the chance that a child has two parents.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub crossover_probability: f64,
    /// `nsga2`, `nsga3`: the larger, the nearer a child is to one of its parents, 0 to 200. If left out: 15, and 30 for
    /// `nsga3`.
    #[schemars(range(min = 0.0, max = 200.0))]
    pub crossover_index: Option<f64>,
    /// `nsga2`, `nsga3`: the chance that a parameter mutates. If left out: one divided by the number of parameters.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub mutation_probability: Option<f64>,
    /// `nsga2`, `nsga3`: the larger, the smaller mutations are.
    #[schemars(range(min = 0.0, max = 200.0))]
    pub mutation_index: f64,
    /// `nsga3`: into how many parts the reference points divide each axis, 1 to 100. If left out: as many as the population
    /// has members for.
    #[schemars(range(min = 1, max = 100))]
    pub divisions: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            method: Method::Auto,
            population_size: None,
            shrink: true,
            best_share: 0.11,
            archive_share: 1.0,
            tolerance: 1e-9,
            crossover_probability: 0.9,
            crossover_index: None,
            mutation_probability: None,
            mutation_index: 20.0,
            divisions: None,
        }
    }
}

/// How children are made and who survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// `de` for one metric, `nsga2` for two or three, `nsga3` for more.
    Auto,
    /// Differential evolution with adapted scale and crossover; for one metric.
    De,
    /// Ranks by domination, then by distance to neighbours.
    Nsga2,
    /// Ranks by domination, then by distance to reference points; for two metrics or more.
    Nsga3,
}

impl Options {
    /// Checks what the types cannot.
    pub(crate) fn check(&self, metric_count: usize) -> Result<(), StrategyError> {
        let invalid = |message: String| Err(StrategyError::Invalid(message));
        if let Some(found) = self.population_size
            && !(4..=POPULATION_SIZE_MAX).contains(&found)
        {
            return invalid(format!("population_size must be 4 to {POPULATION_SIZE_MAX}, found {found}"));
        }
        if let Some(found) = self.divisions
            && !(1..=DIVISION_COUNT_MAX).contains(&found)
        {
            return invalid(format!("divisions must be 1 to {DIVISION_COUNT_MAX}, found {found}"));
        }
        let numbers = [
            ("best_share", Some(self.best_share), 0.01, 1.0),
            ("archive_share", Some(self.archive_share), 0.0, 10.0),
            ("tolerance", Some(self.tolerance), 0.0, 0.1),
            ("crossover_probability", Some(self.crossover_probability), 0.0, 1.0),
            ("crossover_index", self.crossover_index, 0.0, 200.0),
            ("mutation_probability", self.mutation_probability, 0.0, 1.0),
            ("mutation_index", Some(self.mutation_index), 0.0, 200.0),
        ];
        for (name, found, lower, upper) in numbers {
            if let Some(found) = found
                && !(lower..=upper).contains(&found)
            {
                return invalid(format!("{name} must be {lower} to {upper}, found {found}"));
            }
        }
        match self.method {
            Method::De if metric_count > 1 => invalid(format!(
                "method = \"de\" improves one metric and this study has {metric_count}: use \"auto\", or keep one metric \
                 and bound the others by at_most or at_least"
            )),
            Method::Nsga3 if metric_count < 2 => invalid(
                "method = \"nsga3\" needs two metrics or more and this study has 1: use \"auto\"".into(),
            ),
            _ => Ok(()),
        }
    }

    /// The method that `auto` stands for.
    pub(crate) fn method(&self, metric_count: usize) -> Method {
        match (self.method, metric_count) {
            (Method::Auto, 0 | 1) => Method::De,
            (Method::Auto, 2 | 3) => Method::Nsga2,
            (Method::Auto, _) => Method::Nsga3,
            (method, _) => method,
        }
    }
}
