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

/// Trials that the model proposes at most: more of them take it longer than most objectives that are run so often.
const MODEL_COUNT_MAX: u64 = 200;
/// So many trials without a better one are a standstill.
const IDLE_COUNT: u64 = 25;

/// For a problem of so many metrics.
pub fn mixture(metric_count: usize) -> Mixture {
    let model = Member { trial_count_max: Some(MODEL_COUNT_MAX), ..Member::new("bayesian") };
    let explorer = Member::new("tpe");
    let members = match metric_count {
        1 => vec![
            model,
            Member { after_count: MODEL_COUNT_MAX, ..Member::new("cmaes") },
            Member { idle_count: IDLE_COUNT, ..explorer },
        ],
        _ => vec![model, Member { after_count: MODEL_COUNT_MAX, ..explorer }],
    };
    let choices = members.iter().map(|member| PluginChoice::new(&member.label)).collect();
    Mixture { mix: Mix::Adaptive, members, choices }
}
