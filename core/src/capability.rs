//! What a strategy can do, and what a problem needs. Requirements minus capabilities must be empty.

use serde::{Deserialize, Serialize};

/// One thing that a strategy can or cannot do. Bits and names are part of the plugin boundary: they are
/// never given a new meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Capability {
    /// Float parameters.
    Float = 0,
    /// Int parameters.
    Int = 1,
    /// Categorical and bool parameters.
    Categorical = 2,
    /// Ordinal parameters.
    Ordinal = 3,
    /// Conditional parameters.
    Conditional = 4,
    /// Constraints between parameters.
    Constraints = 5,
    /// More than one metric.
    MultiObjective = 6,
    /// Bounds on metrics.
    OutcomeConstraints = 7,
    /// Chooses the fidelity of its suggestions.
    Fidelity = 8,
    /// Sensible suggestions while earlier ones are pending.
    Pending = 9,
    /// Can be saved and restored without replaying its history.
    Snapshot = 10,
}

impl Capability {
    /// Every capability this release knows, in the order of its bits.
    pub const ALL: [Capability; 11] = [
        Capability::Float,
        Capability::Int,
        Capability::Categorical,
        Capability::Ordinal,
        Capability::Conditional,
        Capability::Constraints,
        Capability::MultiObjective,
        Capability::OutcomeConstraints,
        Capability::Fidelity,
        Capability::Pending,
        Capability::Snapshot,
    ];

    /// Every kind of parameter, conditions and constraints: what the shared encoding and the feasible
    /// service give any strategy that uses them.
    pub const ANY_SPACE: [Capability; 6] = [
        Capability::Float,
        Capability::Int,
        Capability::Categorical,
        Capability::Ordinal,
        Capability::Conditional,
        Capability::Constraints,
    ];

    /// The set as bits, as it crosses the boundary.
    pub const fn bits(set: &[Capability]) -> u64 {
        let (mut bits, mut index) = (0, 0);
        while index < set.len() {
            bits |= 1 << set[index] as u8;
            index += 1;
        }
        bits
    }

    /// The set of these bits; bits of a later release are ignored.
    pub fn from_bits(bits: u64) -> Vec<Capability> {
        Self::ALL.into_iter().filter(|capability| bits & (1 << *capability as u8) != 0).collect()
    }

    /// The name in manifests and listings.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Float => "float",
            Capability::Int => "int",
            Capability::Categorical => "categorical",
            Capability::Ordinal => "ordinal",
            Capability::Conditional => "conditional",
            Capability::Constraints => "constraints",
            Capability::MultiObjective => "multi-objective",
            Capability::OutcomeConstraints => "outcome-constraints",
            Capability::Fidelity => "fidelity",
            Capability::Pending => "pending",
            Capability::Snapshot => "snapshot",
        }
    }
}
