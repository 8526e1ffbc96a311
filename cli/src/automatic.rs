//! Who proposes in a study whose manifest names no strategy. docs/manifest.md says the same for readers.

use crate::plan::PluginChoice;
use ansatz_core::study::{Member, Mix};

/// The name under which it competes in an arena.
pub const AUTOMATIC: &str = "auto";

/// Strategies that share a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// How they take turns.
    pub mix: Mix,
    /// At least one.
    pub members: Vec<Member>,
    /// In the same order.
    pub choices: Vec<PluginChoice>,
}

/// Trials that the model proposes, before anybody else: nothing else finds as much in so few, and more of them take it
/// longer than most objectives that are run so often.
const MODEL_COUNT: u64 = 200;

/// From here on a local search has its turns beside it: models of the whole space are too coarse for the last digits.
const LOCAL_AFTER: u64 = 100;

/// Studies of so many trials have time for a population.
const POPULATION_TRIAL_COUNT_MIN: u64 = 3000;

/// For a problem of so many metrics, and so many trials, if that is known.
pub fn mixture(metric_count: usize, trial_count: Option<u64>) -> Mixture {
    let is_long = trial_count.is_some_and(|count| count >= POPULATION_TRIAL_COUNT_MIN);
    let others: &[(&str, u64)] = match (is_long, metric_count) {
        (true, 1) => &[("local", LOCAL_AFTER), ("evolution", MODEL_COUNT)],
        (true, _) => &[("evolution", MODEL_COUNT)],
        (false, 1) => &[("local", LOCAL_AFTER), ("cmaes", MODEL_COUNT), ("tpe", MODEL_COUNT)],
        (false, _) => &[("tpe", MODEL_COUNT)],
    };
    let model = Member { trial_count_max: Some(MODEL_COUNT), ..Member::new("bayesian") };
    let later = others.iter().map(|(name, after)| Member { after_count: *after, ..Member::new(*name) });
    let members: Vec<Member> = std::iter::once(model).chain(later).collect();
    let choices = members.iter().map(|member| PluginChoice::new(&member.label)).collect();
    Mixture { mix: Mix::Adaptive, members, choices }
}
