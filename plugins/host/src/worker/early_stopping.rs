//! An early-stopping rule in a process of its own, behind the same boundary as one in ours.
//!
//! A process that ends is not replaced here: the study makes the rule anew and lets it hear everything again, as it
//! does for one in our own process.

use super::process::{Process, Served, line_of, unexpected};
use super::protocol::{self, Creation, FinishedTrial, Reply, ReportedLosses, Request};
use super::{Launch, crashed};
use ansatz_core::abi::abi_stable::std_types::{ROption, RResult, RString};
use ansatz_core::abi::{self, Fault, FaultKind, RawEarlyStopping};
use ansatz_core::glue::TrialSet;
use ansatz_core::glue::convert::{self, Expected};
use ansatz_core::{Promotion, TrialId};

/// An early-stopping rule in a process of its own.
pub struct RemoteEarlyStopping {
    /// `None` once it ended or broke the protocol.
    process: Option<Process>,
    /// Whether the plugin knows of promotions.
    promotes: bool,
    /// What the glue refuses and drops for a library's author, we do for a program's.
    finished: TrialSet,
    expected: Expected,
}

impl RemoteEarlyStopping {
    /// Starts a process and makes the rule in it.
    pub fn new(
        launch: &Launch,
        served: &Served,
        creation: &Creation,
        expected: Expected,
    ) -> Result<Self, Fault> {
        let creation =
            line_of(&Request::Create(creation.clone())).map_err(|broken| crashed(&broken, None))?;
        let (process, introduction) = Process::make(launch, served, &creation)?;
        let promotes = introduction.features.iter().any(|feature| feature == protocol::PROMOTE);
        Ok(Self { process: Some(process), promotes, finished: TrialSet::default(), expected })
    }

    /// A request and its answer; after a failure nothing more is asked of the process.
    fn exchange(&mut self, call: &str, request: &Request, fits: fn(&Reply) -> bool) -> Result<Reply, Fault> {
        let Some(mut process) = self.process.take() else {
            let message = RString::from("its process ended");
            let (location, detail) = (RString::new(), RString::new());
            return Err(Fault { kind: FaultKind::POISONED, message, location, detail });
        };
        let answered = line_of(request).and_then(|line| process.call_line(&line));
        match answered {
            Ok(Reply::Fault(fault)) => {
                self.process = Some(process);
                Err(fault.into())
            }
            Ok(reply) if fits(&reply) => {
                self.process = Some(process);
                Ok(reply)
            }
            Ok(other) => Err(crashed(&unexpected(call, &other), process.log())),
            Err(broken) => Err(crashed(&broken, process.log())),
        }
    }
}

impl RawEarlyStopping for RemoteEarlyStopping {
    fn reported(&mut self, report: abi::Report<'_>) -> RResult<ROption<RString>, Fault> {
        if let Err(fault) = convert::report_from_abi(&report, &self.expected) {
            return RResult::RErr(fault);
        }
        let request = Request::Reported(ReportedLosses::from(&report));
        match self.exchange("reported", &request, |reply| matches!(reply, Reply::Ruling { .. })) {
            Ok(Reply::Ruling { stop }) => {
                RResult::ROk(stop.map(|reason| protocol::presentable(&reason).into()).into())
            }
            Ok(_) => RResult::ROk(ROption::RNone),
            Err(fault) => RResult::RErr(fault),
        }
    }

    fn finished(&mut self, observation: abi::Observation<'_>) -> RResult<(), Fault> {
        if let Err(fault) = convert::observation_from_abi(&observation, &self.expected) {
            return RResult::RErr(fault);
        }
        if !self.finished.insert(observation.trial) {
            return RResult::ROk(());
        }
        let request = Request::Finished(FinishedTrial::from(&observation));
        self.exchange("finished", &request, |reply| matches!(reply, Reply::Ok {})).map(|_| ()).into()
    }

    fn promotable(&mut self) -> RResult<ROption<abi::Promotion>, Fault> {
        if !self.promotes {
            return RResult::ROk(ROption::RNone);
        }
        let fits: fn(&Reply) -> bool = |reply| matches!(reply, Reply::Promotion { .. });
        match self.exchange("promotable", &Request::Promotable {}, fits) {
            Ok(Reply::Promotion { continued: Some(continued), reason }) => {
                let (continued, reason) = (TrialId(continued), protocol::presentable(&reason));
                RResult::ROk(ROption::RSome(convert::promotion_to_abi(Promotion { continued, reason })))
            }
            Ok(_) => RResult::ROk(ROption::RNone),
            Err(fault) => RResult::RErr(fault),
        }
    }

    fn promoted(&mut self, continued: u64, trial: u64) -> RResult<(), Fault> {
        if !self.promotes {
            return RResult::ROk(());
        }
        let request = Request::Promoted { continued, trial };
        self.exchange("promoted", &request, |reply| matches!(reply, Reply::Ok {})).map(|_| ()).into()
    }
}
