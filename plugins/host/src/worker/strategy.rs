//! A strategy in a process of its own, behind the same boundary as one in ours.
//!
//! What it was asked and told is kept, so that a process that dies can be replaced: the new one is made from the
//! same problem and seed, hears the same calls, and must answer them as before. Only if it dies in the same call
//! again, or answers differently, does the study hear of it.

use super::process::{Broken, Process, Served, line_of, unexpected};
use super::protocol::{
    self, Creation, FinishedTrial, PendingTrial, Question, Reply, Request, SuggestedPoint,
};
use super::{Launch, crashed};
use ansatz_core::abi::abi_stable::std_types::{RNone, ROption, RResult, RSlice, RSome, RString, RVec};
use ansatz_core::abi::{self, Fault, FaultKind, RawStrategy};
use ansatz_core::glue::TrialSet;
use ansatz_core::glue::convert::{self, Expected};
use ansatz_core::{Capability, Prediction};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is kept for a replay before the strategy is asked for a snapshot instead.
const KEPT_BYTES: usize = 1 << 20;
/// What is kept of a strategy without snapshots; one that heard more cannot be replaced, and is made anew by the study.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// A strategy in a process of its own.
pub struct RemoteStrategy {
    launch: Launch,
    served: Served,
    name: String,
    /// The line that makes it.
    creation: String,
    process: Option<Process>,
    /// The number of the newest process, for whoever measures it.
    process_id: Arc<AtomicU32>,
    past: Past,
    has_snapshots: bool,
    /// It knows what `recommend` means.
    has_recommendations: bool,
    /// What the glue does for a library's author, the host does for a program's.
    gate: Option<Gate>,
}

/// What a new process has to relive.
#[derive(Default)]
struct Past {
    /// Base64.
    snapshot: Option<String>,
    calls: Vec<PastCall>,
    bytes: usize,
    /// It was too much to keep.
    is_lost: bool,
}

struct PastCall {
    line: String,
    answer: PastAnswer,
}

/// What came of a call, and must come of it again.
enum PastAnswer {
    Done,
    Suggestions(Vec<SuggestedPoint>),
    Exhausted,
}

impl PastAnswer {
    fn is_repeated_by(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (PastAnswer::Done, Reply::Ok {}) => true,
            (PastAnswer::Suggestions(before), Reply::Suggestions(now)) => {
                before.len() == now.len()
                    && before.iter().zip(now).all(|(before, now)| before.is_same_as(now))
            }
            (PastAnswer::Exhausted, Reply::Fault(fault)) => fault.kind == "exhausted",
            _ => false,
        }
    }
}

/// Refuses what a strategy must never see, and what it was told before.
struct Gate {
    told: TrialSet,
    expected: Expected,
}

/// A snapshot of a program, with what the host knows.
#[derive(Serialize, Deserialize)]
struct Saved {
    told: TrialSet,
    state: String,
}

impl RemoteStrategy {
    /// Starts a process and makes a strategy in it.
    pub fn new(
        launch: Launch,
        served: Served,
        creation: &Creation,
        capabilities: &[Capability],
        expected: Expected,
    ) -> Result<Self, Fault> {
        let is_program = matches!(served, Served::Program(_));
        let mut strategy = Self {
            launch,
            served,
            name: creation.name.clone(),
            creation: line_of(&Request::Create(creation.clone())).map_err(|broken| crashed(&broken, None))?,
            process: None,
            process_id: Arc::default(),
            past: Past::default(),
            has_snapshots: capabilities.contains(&Capability::Snapshot),
            has_recommendations: false,
            gate: is_program.then(|| Gate { told: TrialSet::default(), expected }),
        };
        let (process, features) = strategy.start()?;
        strategy.has_recommendations = features.iter().any(|feature| feature == protocol::RECOMMEND);
        strategy.process = Some(process);
        Ok(strategy)
    }

    /// The number of its process, as it changes.
    pub fn process_id(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.process_id)
    }

    /// A process with the strategy as it was made, and the features of the plugin.
    fn start(&self) -> Result<(Process, Vec<String>), Fault> {
        let (process, introduction) = Process::make(&self.launch, &self.served, &self.creation)?;
        self.process_id.store(process.id(), Ordering::Relaxed);
        Ok((process, introduction.features))
    }

    /// A process with the strategy as it is now.
    fn revive(&self) -> Result<Process, Fault> {
        let (mut process, _) = self.start()?;
        let state = self.past.snapshot.as_ref().map(|state| Request::Restore { state: state.clone() });
        let restore = state.map(|request| line_of(&request)).transpose();
        let restore = restore.map_err(|broken| crashed(&broken, None))?;
        let again = restore.iter().map(|line| (line, &PastAnswer::Done));
        let again = again.chain(self.past.calls.iter().map(|call| (&call.line, &call.answer)));
        for (line, answer) in again {
            let reply = process.call_line(line).map_err(|broken| {
                let mut fault = crashed(&broken, process.log());
                fault.message = format!("{} while it heard its history again", fault.message).into();
                fault
            })?;
            if !answer.is_repeated_by(&reply) {
                let said = match reply {
                    Reply::Fault(fault) => format!(" ({})", Fault::from(fault).message),
                    _ => String::new(),
                };
                let message = format!(
                    "it ended, and the process that replaced it answered the same calls differently{said}: \
                     the same seed and the same calls must give the same answers"
                );
                return Err(fault(FaultKind::OTHER, &message));
            }
        }
        Ok(process)
    }

    /// A request and its answer. A process that ends in it is replaced once.
    fn exchange(&mut self, call: &'static str, line: &str) -> Result<Reply, Fault> {
        for is_last in [false, true] {
            let mut process = match self.process.take() {
                Some(process) => process,
                None if self.past.is_lost => return Err(fault(FaultKind::POISONED, "its process ended")),
                None => self.revive()?,
            };
            let broken = match process.call_line(line) {
                Ok(reply) => {
                    self.process = Some(process);
                    return Ok(reply);
                }
                Err(broken) => broken,
            };
            let fault = crashed(&broken, process.log());
            // a loop or a garbled answer would only come again
            if is_last || self.past.is_lost || !matches!(broken, Broken::Ended(_)) {
                return Err(fault);
            }
            let notice = format!("{} in {call}: {}; its process is replaced", self.name, fault.message);
            crate::say("warning", &notice);
        }
        Err(fault(FaultKind::OTHER, "it was not asked"))
    }

    /// Notes a call that changed the strategy.
    fn remember(&mut self, line: String, answer: PastAnswer) {
        if self.past.is_lost {
            return;
        }
        let answer_bytes = match &answer {
            PastAnswer::Suggestions(suggestions) => suggestions.iter().map(|s| 16 * s.x.len() + 32).sum(),
            PastAnswer::Done | PastAnswer::Exhausted => 0,
        };
        self.past.bytes += line.len() + answer_bytes;
        self.past.calls.push(PastCall { line, answer });
        let snapshot_bytes = self.past.snapshot.as_ref().map_or(0, String::len);
        if self.has_snapshots && self.past.bytes > KEPT_BYTES.max(2 * snapshot_bytes) {
            match self.call(&Request::Snapshot {}, "snapshot") {
                Ok(Reply::Snapshot { state: Some(state) }) => {
                    self.past = Past { snapshot: Some(state), ..Past::default() };
                    return;
                }
                // without one the history does
                _ => self.has_snapshots = false,
            }
        }
        if self.past.bytes > KEPT_BYTES_MAX {
            self.past = Past { is_lost: true, ..Past::default() };
        }
    }

    fn call(&mut self, request: &Request, call: &'static str) -> Result<Reply, Fault> {
        let line = line_of(request).map_err(|broken| crashed(&broken, None))?;
        self.exchange(call, &line)
    }

    fn expect_ok(&mut self, call: &'static str, line: &str) -> Result<(), Fault> {
        match self.exchange(call, line)? {
            Reply::Ok {} => Ok(()),
            other => Err(self.misfit(call, other)),
        }
    }

    /// The fault that was answered, or that the answer is.
    fn misfit(&mut self, call: &'static str, reply: Reply) -> Fault {
        match reply {
            Reply::Fault(fault) => fault.into(),
            other => {
                let process = self.process.take();
                crashed(&unexpected(call, &other), process.as_ref().and_then(Process::log))
            }
        }
    }

    fn ask_process(&mut self, count: u32, pending: abi::Pending<'_>) -> Result<RVec<abi::Suggestion>, Fault> {
        let width = pending.x.len().checked_div(pending.trials.len()).unwrap_or(0);
        let pending = pending.trials.iter().enumerate().map(|(row, trial)| PendingTrial {
            trial: *trial,
            x: protocol::numbers(&pending.x[row * width..(row + 1) * width]),
        });
        let request = Request::Ask(Question { count, pending: pending.collect() });
        let line = line_of(&request).map_err(|broken| crashed(&broken, None))?;
        match self.exchange("ask", &line)? {
            Reply::Suggestions(suggestions) => {
                let given = suggestions.iter().map(|suggestion| abi::Suggestion {
                    tag: suggestion.tag,
                    x: protocol::flat(&suggestion.x).into(),
                    fidelity: suggestion.fidelity.unwrap_or(f64::NAN),
                    ext: convert::suggestion_ext(suggestion.prediction.as_ref().map(Prediction::from)),
                });
                let given = given.collect();
                // a new process must propose the same, and may expect something else of it
                let kept = suggestions.into_iter().map(|s| SuggestedPoint { prediction: None, ..s });
                self.remember(line, PastAnswer::Suggestions(kept.collect()));
                Ok(given)
            }
            Reply::Fault(fault) => {
                if fault.kind == "exhausted" {
                    self.remember(line, PastAnswer::Exhausted);
                }
                Err(fault.into())
            }
            other => Err(self.misfit("ask", other)),
        }
    }

    fn tell_process(&mut self, observations: &[abi::Observation<'_>]) -> Result<(), Fault> {
        let mut after = self.gate.as_ref().map(|gate| gate.told.clone());
        let mut told = Vec::with_capacity(observations.len());
        for raw in observations {
            if let (Some(gate), Some(after)) = (&self.gate, &mut after) {
                convert::observation_from_abi(raw, &gate.expected)?;
                if !after.insert(raw.trial) {
                    continue;
                }
            }
            told.push(FinishedTrial::from(raw));
        }
        if told.is_empty() {
            return Ok(());
        }
        let request = Request::Tell(protocol::News { observations: told });
        let line = line_of(&request).map_err(|broken| crashed(&broken, None))?;
        self.expect_ok("tell", &line)?;
        if let (Some(gate), Some(after)) = (&mut self.gate, after) {
            gate.told = after;
        }
        self.remember(line, PastAnswer::Done);
        Ok(())
    }

    fn take_snapshot(&mut self) -> Result<ROption<RVec<u8>>, Fault> {
        let state = match self.call(&Request::Snapshot {}, "snapshot")? {
            Reply::Snapshot { state: Some(state) } => state,
            Reply::Snapshot { state: None } => return Ok(RNone),
            other => return Err(self.misfit("snapshot", other)),
        };
        let bytes = match &self.gate {
            Some(gate) => serde_json::to_vec(&Saved { told: gate.told.clone(), state })
                .map_err(|error| fault(FaultKind::OTHER, &error.to_string()))?,
            None => BASE64
                .decode(&state)
                .map_err(|error| fault(FaultKind::OTHER, &format!("its snapshot is no base64: {error}")))?,
        };
        Ok(RSome(bytes.into()))
    }

    fn recommended(&mut self) -> Result<RString, Fault> {
        if !self.has_recommendations {
            return Ok(RString::from("[]"));
        }
        let list = match self.call(&Request::Recommend {}, "recommend")? {
            Reply::Recommendations(list) => list,
            other => return Err(self.misfit("recommend", other)),
        };
        // what is no number is no recommendation
        let finite: Vec<_> =
            list.into_iter().filter(|r| r.mean.0.is_finite() && r.deviation.0.is_finite()).collect();
        let text = serde_json::to_string(&finite);
        text.map(RString::from).map_err(|error| fault(FaultKind::OTHER, &error.to_string()))
    }

    fn take_over(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let (told, state) = match &self.gate {
            Some(_) => {
                let saved: Saved = serde_json::from_slice(bytes)
                    .map_err(|error| fault(FaultKind::INVALID, &format!("reading the state: {error}")))?;
                (saved.told, saved.state)
            }
            None => (TrialSet::default(), BASE64.encode(bytes)),
        };
        let request = Request::Restore { state: state.clone() };
        let line = line_of(&request).map_err(|broken| crashed(&broken, None))?;
        self.expect_ok("restore", &line)?;
        self.past = Past { snapshot: Some(state), ..Past::default() };
        if let Some(gate) = &mut self.gate {
            gate.told = told;
        }
        Ok(())
    }
}

impl RawStrategy for RemoteStrategy {
    fn ask(&mut self, count: u32, pending: abi::Pending<'_>) -> RResult<RVec<abi::Suggestion>, Fault> {
        self.ask_process(count, pending).into()
    }

    fn tell(&mut self, observations: RSlice<'_, abi::Observation<'_>>) -> RResult<(), Fault> {
        self.tell_process(observations.as_slice()).into()
    }

    fn snapshot(&mut self) -> RResult<ROption<RVec<u8>>, Fault> {
        self.take_snapshot().into()
    }

    fn restore(&mut self, state: RSlice<'_, u8>) -> RResult<(), Fault> {
        self.take_over(state.as_slice()).into()
    }

    fn recommend(&mut self) -> RResult<RString, Fault> {
        self.recommended().into()
    }
}

fn fault(kind: FaultKind, message: &str) -> Fault {
    Fault { kind, message: message.into(), location: RString::new(), detail: RString::new() }
}
