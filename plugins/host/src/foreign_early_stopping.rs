//! An early-stopping rule behind the boundary, in domain types.

use crate::PluginFault;
use ansatz_core::abi::abi_stable::std_types::{ROption, RResult};
use ansatz_core::abi::{BoxEarlyStopping, Fault};
use ansatz_core::glue::convert::{self, LentObservation, LentReport};
use ansatz_core::{Observation, Promotion, Report, Ruling, TrialId};

/// An early-stopping rule that lives in a library, or in a process of its own.
pub struct ForeignEarlyStopping {
    name: String,
    raw: BoxEarlyStopping,
}

impl ForeignEarlyStopping {
    pub(crate) fn new(name: String, raw: BoxEarlyStopping) -> Self {
        Self { name, raw }
    }

    /// The component's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says of a report. Its reason is in its own words.
    pub fn reported(&mut self, report: &Report) -> Result<Ruling, PluginFault> {
        match self.raw.reported(LentReport::new(report).to_abi()) {
            RResult::ROk(ROption::RNone) => Ok(Ruling::Continue),
            RResult::ROk(ROption::RSome(reason)) => Ok(Ruling::Stop(reason.into())),
            RResult::RErr(fault) => Err(self.fault("reported", &fault)),
        }
    }

    /// Tells how a trial ended. Telling it twice does nothing.
    pub fn finished(&mut self, observation: &Observation) -> Result<(), PluginFault> {
        let result = self.raw.finished(LentObservation::new(observation).to_abi()).into_result();
        result.map_err(|fault| self.fault("finished", &fault))
    }

    /// Which stopped trial it would have go on, if any. A library of before 1.3 has none.
    pub fn promotable(&mut self) -> Result<Option<Promotion>, PluginFault> {
        match self.raw.promotable().into_result() {
            Ok(promotion) => Ok(promotion.into_option().map(convert::promotion_from_abi)),
            Err(fault) => Err(self.fault("promotable", &fault)),
        }
    }

    /// Tells that a stopped trial goes on as another one.
    pub fn promoted(&mut self, continued: TrialId, trial: TrialId) -> Result<(), PluginFault> {
        let result = self.raw.promoted(continued.0, trial.0).into_result();
        result.map_err(|fault| self.fault("promoted", &fault))
    }

    fn fault(&self, call: &'static str, fault: &Fault) -> PluginFault {
        PluginFault::new(&self.name, call, fault)
    }
}
