//! What `export_plugin!` writes for an early-stopping rule.

use super::convert::{self, Expected};
use super::export::{options_schema, parse};
use super::guard::{Guarded, fault, guard};
use super::told::TrialSet;
use crate::capability::Capability;
use crate::early_stopping::{EarlyStopping, Ruling};
use crate::problem::Problem;
use crate::rng::Rng;
use crate::trial::TrialId;
use ansatz_abi as abi;
use ansatz_abi::abi_stable::prefix_type::PrefixTypeTrait;
use ansatz_abi::abi_stable::sabi_trait::TD_Opaque;
use ansatz_abi::abi_stable::std_types::{RNone, ROption, RResult, RSome, RStr, RString};
use ansatz_abi::{
    BoxEarlyStopping, Component, ComponentRef, Create, Fault, FaultKind, Kind, RawEarlyStopping,
    RawEarlyStopping_TO,
};

/// A rule behind the boundary.
struct RuleObject<R> {
    rule: Guarded<R>,
    finished: TrialSet,
    expected: Expected,
}

impl<R: EarlyStopping> RawEarlyStopping for RuleObject<R> {
    fn reported(&mut self, report: abi::Report<'_>) -> RResult<ROption<RString>, Fault> {
        let expected = self.expected;
        self.rule.call(|rule| {
            Ok(match rule.reported(&convert::report_from_abi(&report, &expected)?) {
                Ruling::Continue => RNone,
                Ruling::Stop(reason) => RSome(reason.into()),
            })
        })
    }

    fn finished(&mut self, observation: abi::Observation<'_>) -> RResult<(), Fault> {
        let (finished, expected) = (&mut self.finished, self.expected);
        self.rule.call(|rule| {
            let mut heard = convert::observation_from_abi(&observation, &expected)?;
            heard.tag = None;
            if finished.insert(observation.trial) {
                rule.finished(&heard);
            }
            Ok(())
        })
    }

    fn promotable(&mut self) -> RResult<ROption<abi::Promotion>, Fault> {
        self.rule.call(|rule| Ok(rule.promotable().map(convert::promotion_to_abi).into()))
    }

    fn promoted(&mut self, continued: u64, trial: u64) -> RResult<(), Fault> {
        self.rule.call(|rule| {
            rule.promoted(TrialId(continued), TrialId(trial));
            Ok(())
        })
    }
}

extern "C" fn create<R: EarlyStopping>(create: Create<'_>) -> RResult<BoxEarlyStopping, Fault> {
    guard(|| {
        let problem: Problem = parse("problem", create.problem)?;
        let options: R::Options = parse("options", create.options)?;
        if problem.metrics.len() > 1 && !R::DESCRIPTOR.capabilities.contains(&Capability::MultiObjective) {
            let message = "it cannot do what this study needs: multi-objective";
            return Err(fault(FaultKind::UNSUPPORTED, message));
        }
        let rule = R::new(&problem, options, Rng::new(create.seed))
            .map_err(|error| fault(FaultKind::INVALID, error.to_string()))?;
        let object = RuleObject {
            rule: Guarded::new(rule),
            finished: TrialSet::default(),
            expected: Expected::of(&problem),
        };
        Ok(RawEarlyStopping_TO::from_value(object, TD_Opaque))
    })
}

pub fn early_stopping<R: EarlyStopping>() -> ComponentRef {
    Component {
        kind: Kind::EARLY_STOPPING,
        name: RStr::from_str(R::DESCRIPTOR.name),
        summary: RStr::from_str(R::DESCRIPTOR.summary),
        capabilities: Capability::bits(R::DESCRIPTOR.capabilities),
        options_schema: options_schema::<R::Options>,
        create_strategy: RNone,
        create_objective: RNone,
        create_early_stopping: RSome(create::<R>),
    }
    .leak_into_prefix()
}
