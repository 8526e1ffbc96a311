//! A strategy behind the boundary, in domain types.

use crate::PluginFault;
use ansatz_core::abi::abi_stable::std_types::{ROption, RResult, RSlice};
use ansatz_core::abi::{self, BoxStrategy, Fault, FaultKind};
use ansatz_core::glue::convert::{self, LentObservation};
use ansatz_core::{Observation, Pending, Recommendation, Suggestion};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a strategy answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// As many as were asked for, or fewer; none means that it waits for results.
    Suggestions(Vec<Suggestion>),
    /// There will never be more.
    Exhausted,
}

/// A strategy that lives in a library.
pub struct ForeignStrategy {
    name: String,
    parameter_count: usize,
    raw: BoxStrategy,
    /// 0 while there is none.
    process: Option<Arc<AtomicU32>>,
}

impl ForeignStrategy {
    pub(crate) fn new(name: String, parameter_count: usize, raw: BoxStrategy) -> Self {
        Self { name, parameter_count, raw, process: None }
    }

    /// The same, with the place where its process is noted.
    pub(crate) fn in_process(self, process: Arc<AtomicU32>) -> Self {
        Self { process: Some(process), ..self }
    }

    /// The process that it lives in, if that is not ours: whoever measures what a call costs looks there.
    pub fn process_id(&self) -> Option<u32> {
        let id = self.process.as_ref()?.load(Ordering::Relaxed);
        (id != 0).then_some(id)
    }

    /// The component's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Up to `count` suggestions. They are not judged here: `Study::admit` does.
    pub fn ask(&mut self, count: usize, pending: &Pending<'_>) -> Result<Asked, PluginFault> {
        let (trials, flat) = pending.parts();
        let pending = abi::Pending { trials: RSlice::from_slice(trials), x: RSlice::from_slice(flat) };
        match self.raw.ask(u32::try_from(count).unwrap_or(u32::MAX), pending) {
            RResult::ROk(suggestions) => {
                // a point of another length would be a bug of the plugin that later code trips over
                if let Some(wrong) = suggestions.iter().find(|s| s.x.len() != self.parameter_count) {
                    return Err(PluginFault {
                        component: self.name.clone(),
                        call: "ask",
                        kind: crate::FaultClass::Other,
                        message: format!(
                            "it gave a point of {} coordinates, the space has {} parameters",
                            wrong.x.len(),
                            self.parameter_count
                        ),
                        location: String::new(),
                    });
                }
                Ok(Asked::Suggestions(suggestions.iter().map(convert::suggestion_from_abi).collect()))
            }
            RResult::RErr(fault) if fault.kind == FaultKind::EXHAUSTED => Ok(Asked::Exhausted),
            RResult::RErr(fault) => Err(self.fault("ask", &fault)),
        }
    }

    /// Tells what became of trials. Telling one twice does nothing.
    pub fn tell(&mut self, observations: &[Observation]) -> Result<(), PluginFault> {
        // one is the common case, and needs no list
        if let [observation] = observations {
            let lent = LentObservation::new(observation);
            let raw = [lent.to_abi()];
            return self.tell_raw(&raw);
        }
        let lent: Vec<LentObservation<'_>> = observations.iter().map(LentObservation::new).collect();
        let raw: Vec<abi::Observation<'_>> = lent.iter().map(LentObservation::to_abi).collect();
        self.tell_raw(&raw)
    }

    fn tell_raw(&mut self, raw: &[abi::Observation<'_>]) -> Result<(), PluginFault> {
        let result = self.raw.tell(RSlice::from_slice(raw)).into_result();
        result.map_err(|fault| self.fault("tell", &fault))
    }

    /// The state as bytes; `None` where the strategy has no snapshots.
    pub fn snapshot(&mut self) -> Result<Option<Vec<u8>>, PluginFault> {
        match self.raw.snapshot() {
            RResult::ROk(ROption::RSome(state)) => Ok(Some(state.to_vec())),
            RResult::ROk(ROption::RNone) => Ok(None),
            RResult::RErr(fault) => Err(self.fault("snapshot", &fault)),
        }
    }

    /// Takes over a state that `snapshot` gave.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), PluginFault> {
        let result = self.raw.restore(RSlice::from_slice(state)).into_result();
        result.map_err(|fault| self.fault("restore", &fault))
    }

    /// The points that it would choose for good, best first; none where it has no model, or is older than that call.
    /// They are not judged here.
    pub fn recommend(&mut self) -> Result<Vec<Recommendation>, PluginFault> {
        let recommended = self.raw.recommend().into_result();
        let text = recommended.map_err(|fault| self.fault("recommend", &fault))?;
        convert::recommendations_from_abi(&text, self.parameter_count).map_err(|message| PluginFault {
            component: self.name.clone(),
            call: "recommend",
            kind: crate::FaultClass::Other,
            message,
            location: String::new(),
        })
    }

    fn fault(&self, call: &'static str, fault: &Fault) -> PluginFault {
        PluginFault::new(&self.name, call, fault)
    }
}
