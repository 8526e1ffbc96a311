//! An objective behind the boundary, in domain types.

use crate::PluginFault;
use ansatz_core::abi::abi_stable::sabi_trait::TD_Opaque;
use ansatz_core::abi::abi_stable::sabi_types::RMut;
use ansatz_core::abi::abi_stable::std_types::{RResult, RSlice, RStr};
use ansatz_core::abi::{self, BoxObjective, FaultKind, RawContext, RawContext_TO};
use ansatz_core::glue::convert;
use ansatz_core::{Assignment, EvaluationError, Measurement, Point, Reporter, Verdict};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An objective that lives in a library. Several threads may evaluate at once.
pub struct ForeignObjective {
    name: String,
    raw: BoxObjective,
}

/// Why an evaluation gave no measurement.
#[derive(Clone, Debug, PartialEq)]
pub enum EvaluationFault {
    /// The objective said so.
    Objective(EvaluationError),
    /// The plugin broke.
    Plugin(PluginFault),
}

impl ForeignObjective {
    pub(crate) fn new(name: String, raw: BoxObjective) -> Self {
        Self { name, raw }
    }

    /// The component's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Evaluates a point of the space. Blocks until the objective returns.
    pub fn evaluate(
        &self,
        point: &Point,
        assignment: &Assignment,
        reporter: &mut dyn Reporter,
    ) -> Result<Measurement, EvaluationFault> {
        let folder =
            assignment.output_folder.as_deref().map(|path| path.to_string_lossy()).unwrap_or_default();
        let ext = convert::assignment_ext(assignment.continued.as_ref());
        let raw = abi::Assignment {
            trial: assignment.trial.0,
            attempt: assignment.attempt,
            seed: assignment.seed,
            x: RSlice::from_slice(point.flat()),
            fidelity: convert::flat(assignment.fidelity),
            time_limit_s: assignment.time_limit.map_or(f64::INFINITY, |limit| limit.as_secs_f64()),
            output_folder: RStr::from(folder.as_ref()),
            ext: RStr::from(ext.as_str()),
        };
        let mut context = HostContext { reporter };
        let context = RawContext_TO::from_ptr(RMut::new(&mut context), TD_Opaque);
        match self.raw.evaluate(raw, context) {
            RResult::ROk(readings) => Ok(convert::measurement_from_abi(&readings)),
            RResult::RErr(fault) => {
                let message = fault.message.to_string();
                Err(match fault.kind {
                    FaultKind::INFEASIBLE => EvaluationFault::Objective(EvaluationError::Infeasible(message)),
                    FaultKind::FAILED => EvaluationFault::Objective(EvaluationError::Failed(message)),
                    FaultKind::STOPPED => EvaluationFault::Objective(EvaluationError::Stopped),
                    _ => EvaluationFault::Plugin(PluginFault::new(&self.name, "evaluate", &fault)),
                })
            }
        }
    }
}

/// What the plugin calls while it evaluates. Nothing may unwind into it.
struct HostContext<'a> {
    reporter: &'a mut dyn Reporter,
}

impl RawContext for HostContext<'_> {
    fn report(&mut self, step: u64, readings: RSlice<'_, abi::Reading<'_>>) -> bool {
        let measurement = convert::measurement_from_lent(readings.as_slice());
        let verdict = catch_unwind(AssertUnwindSafe(|| self.reporter.report(step, &measurement)));
        verdict.unwrap_or(Verdict::Stop) == Verdict::Stop
    }

    fn is_stopped(&self) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.reporter.is_stopped())).unwrap_or(true)
    }
}
