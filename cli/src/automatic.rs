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

/// For a problem of so many metrics.
pub fn mixture(metric_count: usize) -> Mixture {
    let model = Member { trial_count_max: Some(MODEL_COUNT), ..Member::new("bayesian") };
    let others: &[&str] = if metric_count == 1 { &["cmaes", "tpe"] } else { &["tpe"] };
    let later = others.iter().map(|name| Member { after_count: MODEL_COUNT, ..Member::new(*name) });
    let members: Vec<Member> = std::iter::once(model).chain(later).collect();
    let choices = members.iter().map(|member| PluginChoice::new(&member.label)).collect();
    Mixture { mix: Mix::Adaptive, members, choices }
}
