//! What an entry looks like in store: a kind and a JSON object.
//!
//! These types are the format. They mirror the domain's types by hand, so that those can change while
//! what is stored stays readable; fields that a reader does not know are passed over. A new optional
//! field is no new version; a new kind, or a new word where one of several is expected, is.

use super::{Entry, JournalError, JournalErrorKind, Opened, PluginStamp, Queued};
use crate::plan::StudyPlan;
use ansatz_core::study::{AskedTrial, EnqueuedPoint, Record, Remedy, TransferredTrial};
use ansatz_core::{Failure, Measurement, Outcome, Point, Prediction, Space, TrialId, Value};
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Which of the bodies below an entry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Opened,
    Transferred,
    Enqueued,
    Asked,
    Broke,
    EarlyStoppingBroke,
    Reported,
    Promoted,
    Retried,
    Arrived,
    Finished,
    Closed,
}

impl Kind {
    pub const ALL: [Kind; 12] = [
        Kind::Opened,
        Kind::Transferred,
        Kind::Enqueued,
        Kind::Asked,
        Kind::Broke,
        Kind::EarlyStoppingBroke,
        Kind::Reported,
        Kind::Promoted,
        Kind::Retried,
        Kind::Arrived,
        Kind::Finished,
        Kind::Closed,
    ];

    /// The word in store.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Opened => "opened",
            Kind::Transferred => "transferred",
            Kind::Enqueued => "enqueued",
            Kind::Asked => "asked",
            Kind::Broke => "broke",
            Kind::EarlyStoppingBroke => "early-stopping-broke",
            Kind::Reported => "reported",
            Kind::Promoted => "promoted",
            Kind::Retried => "retried",
            Kind::Arrived => "arrived",
            Kind::Finished => "finished",
            Kind::Closed => "closed",
        }
    }

    /// The kind of a word.
    pub fn of(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Writes the body of an entry at the end of the buffer. The kind, and the trial that it is about if that
/// is exactly one; or why it cannot be stored.
pub fn encode(entry: &Entry, space: &Space, body: &mut Vec<u8>) -> Result<(Kind, Option<u64>), String> {
    fn write(body: &mut Vec<u8>, wire: &impl Serialize) -> Result<(), String> {
        serde_json::to_writer(body, wire).map_err(|error| error.to_string())
    }
    match entry {
        Entry::Opened(opened) => {
            opened.plan.as_deref().map_or(Ok(()), |plan| plan_text(plan).map(drop))?;
            write(body, &OpenedBody::of(opened))?;
            Ok((Kind::Opened, None))
        }
        Entry::Closed { reason, elapsed } => {
            write(body, &ClosedBody { reason: reason.into(), elapsed_ns: nanoseconds(*elapsed) })?;
            Ok((Kind::Closed, None))
        }
        Entry::Study(Record::Transferred { source, trials }) => {
            let trials = trials.iter().map(|trial| WrittenTransfer::of(trial, space)).collect();
            write(body, &TransferredBody { source: source.into(), trials })?;
            Ok((Kind::Transferred, None))
        }
        Entry::Study(Record::Enqueued { ticket, trials }) => {
            let trials = trials.iter().map(|asked| WrittenTrial::of(asked, space)).collect();
            write(body, &EnqueuedBody { ticket: *ticket, trials })?;
            Ok((Kind::Enqueued, None))
        }
        Entry::Study(Record::Asked { member, count, trials, is_exhausted }) => {
            let trials = trials.iter().map(|asked| WrittenTrial::of(asked, space)).collect();
            write(body, &AskedBody { member: *member, count: *count, trials, exhausted: *is_exhausted })?;
            Ok((Kind::Asked, None))
        }
        Entry::Study(Record::Broke { member, remedy, reason }) => {
            write(body, &BrokeBody { member: *member, remedy: (*remedy).into(), reason: reason.into() })?;
            Ok((Kind::Broke, None))
        }
        Entry::Study(Record::EarlyStoppingBroke { remedy, reason, when_asked }) => {
            let (remedy, reason, when_asked) = ((*remedy).into(), reason.into(), *when_asked);
            write(body, &EarlyStoppingBrokeBody { remedy, reason, when_asked })?;
            Ok((Kind::EarlyStoppingBroke, None))
        }
        Entry::Study(Record::Reported { trial, step, measurement, stop }) => {
            let measurement = Readings(Cow::Borrowed(measurement));
            let stop = stop.as_ref().map(Cow::from);
            write(body, &ReportedBody { trial: trial.0, step: *step, measurement, stop })?;
            Ok((Kind::Reported, Some(trial.0)))
        }
        Entry::Study(Record::Promoted { member, trial, continued, reason }) => {
            let trials = [WrittenTrial::of(trial, space)];
            let (member, continued) = (*member, continued.0);
            write(body, &PromotedBody { member, continued, reason: reason.into(), trials })?;
            Ok((Kind::Promoted, None))
        }
        Entry::Study(Record::Retried { trial, attempt, failure, reason }) => {
            let (failure, reason) = ((*failure).into(), reason.into());
            write(body, &RetriedBody { trial: trial.0, attempt: *attempt, failure, reason })?;
            Ok((Kind::Retried, Some(trial.0)))
        }
        Entry::Study(Record::Arrived { trial, outcome, duration, reused }) => {
            write(body, &FinishedBody::of(*trial, outcome, *duration, *reused))?;
            Ok((Kind::Arrived, Some(trial.0)))
        }
        Entry::Study(Record::Finished { trial, outcome, duration, reused }) => {
            write(body, &FinishedBody::of(*trial, outcome, *duration, *reused))?;
            Ok((Kind::Finished, Some(trial.0)))
        }
    }
}

/// The trial that an entry is about, if that is exactly one: what `encode` gives with the kind.
pub fn trial_of(entry: &Entry) -> Option<u64> {
    match entry {
        Entry::Study(
            Record::Reported { trial, .. }
            | Record::Retried { trial, .. }
            | Record::Arrived { trial, .. }
            | Record::Finished { trial, .. },
        ) => Some(trial.0),
        Entry::Study(
            Record::Transferred { .. }
            | Record::Enqueued { .. }
            | Record::Asked { .. }
            | Record::Promoted { .. }
            | Record::Broke { .. }
            | Record::EarlyStoppingBroke { .. },
        )
        | Entry::Opened(_)
        | Entry::Closed { .. } => None,
    }
}

/// A plan as text; or why it cannot be stored. What JSON has no word for, such as an infinite limit, would
/// otherwise be missed only when the study is resumed.
pub fn plan_text(plan: &StudyPlan) -> Result<String, String> {
    let text = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    match serde_json::from_str::<StudyPlan>(&text) {
        Ok(again) if again == *plan => Ok(text),
        Ok(_) => Err("its plan does not survive being written down".into()),
        Err(error) => Err(format!("its plan could not be read again: {error}")),
    }
}

/// The entry of a kind and a body; or what is wrong with the body.
pub fn decode(kind: Kind, body: &str, space: &Space) -> Result<Entry, String> {
    fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, String> {
        serde_json::from_str(body).map_err(|error| error.to_string())
    }
    Ok(match kind {
        Kind::Opened => Entry::Opened(read::<OpenedBody<'_>>(body)?.into_domain()),
        Kind::Closed => {
            let body: ClosedBody<'_> = read(body)?;
            let elapsed = Duration::from_nanos(body.elapsed_ns);
            Entry::Closed { reason: body.reason.into_owned(), elapsed }
        }
        Kind::Transferred => {
            let TransferredBody { source, trials } = read::<TransferredBody<'_, ReadTransfer<'_>>>(body)?;
            let trials = trials.into_iter().map(|trial| trial.into_domain(space));
            Entry::Study(Record::Transferred {
                source: source.into_owned(),
                trials: trials.collect::<Result<_, _>>()?,
            })
        }
        Kind::Enqueued => {
            let EnqueuedBody { ticket, trials } = read::<EnqueuedBody<ReadTrial<'_>>>(body)?;
            let trials = trials.into_iter().map(|trial| trial.into_domain(space));
            Entry::Study(Record::Enqueued { ticket, trials: trials.collect::<Result<_, _>>()? })
        }
        Kind::Asked => {
            let body: AskedBody<ReadTrial<'_>> = read(body)?;
            if body.count == 0 {
                // how version 1 said that a strategy broke
                let (member, remedy) = (body.member, Remedy::LeaveOut);
                return Ok(Entry::Study(Record::Broke { member, remedy, reason: String::new() }));
            }
            let trials = body.trials.into_iter().map(|trial| trial.into_domain(space));
            Entry::Study(Record::Asked {
                member: body.member,
                count: body.count,
                trials: trials.collect::<Result<_, _>>()?,
                is_exhausted: body.exhausted,
            })
        }
        Kind::Broke => {
            let BrokeBody { member, remedy, reason } = read(body)?;
            let (remedy, reason) = (remedy.into(), reason.into_owned());
            Entry::Study(Record::Broke { member, remedy, reason })
        }
        Kind::EarlyStoppingBroke => {
            let EarlyStoppingBrokeBody { remedy, reason, when_asked } = read(body)?;
            let (remedy, reason) = (remedy.into(), reason.into_owned());
            Entry::Study(Record::EarlyStoppingBroke { remedy, reason, when_asked })
        }
        Kind::Reported => {
            let ReportedBody { trial, step, measurement, stop } = read(body)?;
            let (measurement, stop) = (measurement.0.into_owned(), stop.map(Cow::into_owned));
            Entry::Study(Record::Reported { trial: TrialId(trial), step, measurement, stop })
        }
        Kind::Promoted => {
            let PromotedBody { member, continued, reason, trials: [trial] } =
                read::<PromotedBody<'_, ReadTrial<'_>>>(body)?;
            let (trial, continued) = (trial.into_domain(space)?, TrialId(continued));
            Entry::Study(Record::Promoted { member, trial, continued, reason: reason.into_owned() })
        }
        Kind::Retried => {
            let RetriedBody { trial, attempt, failure, reason } = read(body)?;
            let (failure, reason) = (failure.into(), reason.into_owned());
            Entry::Study(Record::Retried { trial: TrialId(trial), attempt, failure, reason })
        }
        Kind::Arrived => {
            let Ended { trial, outcome, duration, reused } = read::<FinishedBody<'_>>(body)?.into_domain()?;
            Entry::Study(Record::Arrived { trial, outcome, duration, reused })
        }
        Kind::Finished => {
            let Ended { trial, outcome, duration, reused } = read::<FinishedBody<'_>>(body)?.into_domain()?;
            Entry::Study(Record::Finished { trial, outcome, duration, reused })
        }
    })
}

#[derive(Serialize)]
struct WrittenEnqueued<'a> {
    point: NamedValues<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fidelity: Option<Number>,
}

#[derive(Deserialize)]
struct ReadEnqueued<'a> {
    #[serde(borrow)]
    point: ReadPoint<'a>,
    #[serde(default)]
    fidelity: Option<Number>,
}

/// Points for the queue as texts; or why one cannot be stored.
pub fn enqueued_texts(points: &[Queued], space: &Space) -> Result<Vec<String>, JournalError> {
    let text = |queued: &Queued| {
        let EnqueuedPoint { point, fidelity } = &queued.point;
        let written = WrittenEnqueued { point: NamedValues { space, point }, fidelity: fidelity.map(Number) };
        serde_json::to_string(&written)
    };
    let texts: Result<Vec<String>, _> = points.iter().map(text).collect();
    texts.map_err(|error| JournalError::new(JournalErrorKind::Invalid, error.to_string()))
}

/// A point in the queue from its text; or what is wrong with it.
pub fn enqueued(text: &str, space: &Space) -> Result<EnqueuedPoint, String> {
    let read: ReadEnqueued<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let fidelity = read.fidelity.map(|number| number.0);
    Ok(EnqueuedPoint { point: read.point.into_domain(space)?, fidelity })
}

/// At most 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Serialize, Deserialize)]
struct OpenedBody<'a> {
    host_version: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process_id: Option<u32>,
    elapsed_before_ns: u64,
    #[serde(default)]
    plugins: Vec<PluginBody<'a>>,
    /// As in the study's header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Cow<'a, StudyPlan>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct PluginBody<'a> {
    component: Cow<'a, str>,
    role: Cow<'a, str>,
    path: Cow<'a, str>,
    package: Cow<'a, str>,
    version: Cow<'a, str>,
    abi: Cow<'a, str>,
    sha256: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct ClosedBody<'a> {
    reason: Cow<'a, str>,
    elapsed_ns: u64,
}

#[derive(Serialize, Deserialize)]
struct AskedBody<T> {
    member: usize,
    count: usize,
    trials: Vec<T>,
    #[serde(default, skip_serializing_if = "is_false")]
    exhausted: bool,
}

#[derive(Serialize, Deserialize)]
struct EnqueuedBody<T> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ticket: Option<u64>,
    trials: Vec<T>,
}

#[derive(Serialize, Deserialize)]
struct PromotedBody<'a, T> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<usize>,
    continued: u64,
    reason: Cow<'a, str>,
    /// The one that goes on, in the form of those that were asked: whoever lists trials finds them in one way.
    trials: [T; 1],
}

#[derive(Serialize, Deserialize)]
struct TransferredBody<'a, T> {
    source: Cow<'a, str>,
    trials: Vec<T>,
}

#[derive(Serialize)]
struct WrittenTransfer<'a> {
    point: NamedValues<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fidelity: Option<Number>,
    /// As it ended there, with its number there.
    ended: FinishedBody<'a>,
}

#[derive(Deserialize)]
struct ReadTransfer<'a> {
    #[serde(borrow)]
    point: ReadPoint<'a>,
    #[serde(default)]
    fidelity: Option<Number>,
    #[serde(borrow)]
    ended: FinishedBody<'a>,
}

fn is_false(truth: &bool) -> bool {
    !truth
}

#[derive(Serialize)]
struct WrittenTrial<'a> {
    trial: u64,
    point: NamedValues<'a>,
    tag: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fidelity: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction: Option<PredictionBody>,
}

#[derive(Deserialize)]
struct ReadTrial<'a> {
    trial: u64,
    #[serde(borrow)]
    point: ReadPoint<'a>,
    #[serde(default)]
    tag: u64,
    #[serde(default)]
    fidelity: Option<Number>,
    #[serde(default)]
    prediction: Option<PredictionBody>,
}

/// In losses, as strategies speak of them.
#[derive(Serialize, Deserialize)]
struct PredictionBody {
    mean: Number,
    deviation: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acquisition: Option<Number>,
}

#[derive(Serialize, Deserialize)]
struct BrokeBody<'a> {
    member: usize,
    remedy: RemedyWord,
    reason: Cow<'a, str>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum RemedyWord {
    #[serde(rename = "restart")]
    Restart,
    #[serde(rename = "renew")]
    Renew,
    #[serde(rename = "fallback")]
    Fallback,
    #[serde(rename = "leave-out")]
    LeaveOut,
}

impl From<Remedy> for RemedyWord {
    fn from(remedy: Remedy) -> Self {
        match remedy {
            Remedy::Restart => RemedyWord::Restart,
            Remedy::Renew => RemedyWord::Renew,
            Remedy::Fallback => RemedyWord::Fallback,
            Remedy::LeaveOut => RemedyWord::LeaveOut,
        }
    }
}

impl From<RemedyWord> for Remedy {
    fn from(word: RemedyWord) -> Self {
        match word {
            RemedyWord::Restart => Remedy::Restart,
            RemedyWord::Renew => Remedy::Renew,
            RemedyWord::Fallback => Remedy::Fallback,
            RemedyWord::LeaveOut => Remedy::LeaveOut,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ReportedBody<'a> {
    trial: u64,
    step: u64,
    measurement: Readings<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stop: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct EarlyStoppingBrokeBody<'a> {
    remedy: RemedyWord,
    reason: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_false")]
    when_asked: bool,
}

#[derive(Serialize, Deserialize)]
struct RetriedBody<'a> {
    trial: u64,
    attempt: u32,
    failure: FailureWord,
    reason: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct FinishedBody<'a> {
    trial: u64,
    outcome: OutcomeWord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measurement: Option<Readings<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<FailureWord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    duration_ns: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reused: Option<u64>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum OutcomeWord {
    #[serde(rename = "completed")]
    Completed,
    #[serde(rename = "infeasible")]
    Infeasible,
    #[serde(rename = "failed")]
    Failed,
    #[serde(rename = "stopped")]
    Stopped,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum FailureWord {
    #[serde(rename = "objective")]
    Objective,
    #[serde(rename = "measurement")]
    Measurement,
    #[serde(rename = "timeout")]
    Timeout,
    #[serde(rename = "panic")]
    Panic,
    #[serde(rename = "crash")]
    Crash,
    #[serde(rename = "lost")]
    Lost,
}

impl From<Failure> for FailureWord {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Objective => FailureWord::Objective,
            Failure::Measurement => FailureWord::Measurement,
            Failure::Timeout => FailureWord::Timeout,
            Failure::Panic => FailureWord::Panic,
            Failure::Crash => FailureWord::Crash,
            Failure::Lost => FailureWord::Lost,
        }
    }
}

impl From<FailureWord> for Failure {
    fn from(word: FailureWord) -> Self {
        match word {
            FailureWord::Objective => Failure::Objective,
            FailureWord::Measurement => Failure::Measurement,
            FailureWord::Timeout => Failure::Timeout,
            FailureWord::Panic => Failure::Panic,
            FailureWord::Crash => Failure::Crash,
            FailureWord::Lost => Failure::Lost,
        }
    }
}

impl<'a> OpenedBody<'a> {
    fn of(opened: &'a Opened) -> Self {
        let plugin = |stamp: &'a PluginStamp| PluginBody {
            component: Cow::from(&stamp.component),
            role: Cow::from(&stamp.role),
            path: stamp.path.to_string_lossy(),
            package: Cow::from(&stamp.package),
            version: Cow::from(&stamp.version),
            abi: Cow::from(&stamp.abi),
            sha256: Cow::from(&stamp.sha256),
        };
        Self {
            host_version: Cow::from(&opened.host_version),
            process_id: opened.process_id,
            elapsed_before_ns: nanoseconds(opened.elapsed_before),
            plugins: opened.plugins.iter().map(plugin).collect(),
            plan: opened.plan.as_deref().map(Cow::Borrowed),
            manifest: opened.manifest.as_deref().map(Cow::from),
        }
    }

    fn into_domain(self) -> Opened {
        let stamp = |plugin: PluginBody<'_>| PluginStamp {
            component: plugin.component.into_owned(),
            role: plugin.role.into_owned(),
            path: PathBuf::from(plugin.path.into_owned()),
            package: plugin.package.into_owned(),
            version: plugin.version.into_owned(),
            abi: plugin.abi.into_owned(),
            sha256: plugin.sha256.into_owned(),
        };
        Opened {
            host_version: self.host_version.into_owned(),
            process_id: self.process_id,
            elapsed_before: Duration::from_nanos(self.elapsed_before_ns),
            plugins: self.plugins.into_iter().map(stamp).collect(),
            plan: self.plan.map(|plan| Box::new(plan.into_owned())),
            manifest: self.manifest.map(Cow::into_owned),
        }
    }
}

impl<'a> WrittenTransfer<'a> {
    fn of(trial: &'a TransferredTrial, space: &'a Space) -> Self {
        Self {
            point: NamedValues { space, point: &trial.point },
            fidelity: trial.fidelity.map(Number),
            ended: FinishedBody::of(trial.original, &trial.outcome, Duration::ZERO, None),
        }
    }
}

impl ReadTransfer<'_> {
    fn into_domain(self, space: &Space) -> Result<TransferredTrial, String> {
        let Ended { trial, outcome, .. } = self.ended.into_domain()?;
        let point = self
            .point
            .into_domain(space)
            .map_err(|reason| format!("the point of transferred trial {trial} does not fit: {reason}"))?;
        Ok(TransferredTrial {
            original: trial,
            point,
            fidelity: self.fidelity.map(|number| number.0),
            outcome,
        })
    }
}

impl<'a> WrittenTrial<'a> {
    fn of(asked: &'a AskedTrial, space: &'a Space) -> Self {
        Self {
            trial: asked.trial.0,
            point: NamedValues { space, point: &asked.point },
            tag: asked.tag,
            fidelity: asked.fidelity.map(Number),
            prediction: asked.prediction.map(|prediction| PredictionBody {
                mean: Number(prediction.mean),
                deviation: Number(prediction.deviation),
                acquisition: prediction.acquisition.map(Number),
            }),
        }
    }
}

impl ReadTrial<'_> {
    fn into_domain(self, space: &Space) -> Result<AskedTrial, String> {
        Ok(AskedTrial {
            trial: TrialId(self.trial),
            point: self
                .point
                .into_domain(space)
                .map_err(|reason| format!("the point of trial {} does not fit: {reason}", self.trial))?,
            tag: self.tag,
            fidelity: self.fidelity.map(|number| number.0),
            prediction: self.prediction.map(|body| Prediction {
                mean: body.mean.0,
                deviation: body.deviation.0,
                acquisition: body.acquisition.map(|number| number.0),
            }),
        })
    }
}

/// What a finished body says.
struct Ended {
    trial: TrialId,
    outcome: Outcome,
    duration: Duration,
    reused: Option<TrialId>,
}

impl<'a> FinishedBody<'a> {
    fn of(trial: TrialId, outcome: &'a Outcome, duration: Duration, reused: Option<TrialId>) -> Self {
        let (word, measurement, failure) = match outcome {
            Outcome::Completed { measurement } => (OutcomeWord::Completed, Some(measurement), None),
            Outcome::Infeasible { .. } => (OutcomeWord::Infeasible, None, None),
            Outcome::Failed { failure, .. } => (OutcomeWord::Failed, None, Some((*failure).into())),
            Outcome::Stopped { measurement, .. } => (OutcomeWord::Stopped, measurement.as_ref(), None),
        };
        Self {
            trial: trial.0,
            outcome: word,
            measurement: measurement.map(|measurement| Readings(Cow::Borrowed(measurement))),
            failure,
            reason: outcome.reason().map(Cow::from),
            duration_ns: nanoseconds(duration),
            reused: reused.map(|trial| trial.0),
        }
    }

    fn into_domain(self) -> Result<Ended, String> {
        let measurement = self.measurement.map(|readings| readings.0.into_owned());
        let reason = self.reason.map(Cow::into_owned).unwrap_or_default();
        let outcome = match self.outcome {
            OutcomeWord::Completed => Outcome::Completed {
                measurement: measurement.ok_or("a completed trial needs a measurement")?,
            },
            OutcomeWord::Infeasible => Outcome::Infeasible { reason },
            OutcomeWord::Failed => Outcome::Failed {
                failure: self.failure.ok_or("a failed trial needs a failure")?.into(),
                reason,
            },
            OutcomeWord::Stopped => Outcome::Stopped { reason, measurement },
        };
        Ok(Ended {
            trial: TrialId(self.trial),
            outcome,
            duration: Duration::from_nanos(self.duration_ns),
            reused: self.reused.map(TrialId),
        })
    }
}

/// A point as an object of names and values, as `Space::point_to_json` has it but in the space's order.
/// A point that could not be read back is an error.
struct NamedValues<'a> {
    space: &'a Space,
    point: &'a Point,
}

impl Serialize for NamedValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.point.parameter_count() != self.space.parameter_count() {
            return Err(S::Error::custom(
                "the point has not as many coordinates as the space has parameters",
            ));
        }
        for (parameter, coordinate) in self.space.parameters().iter().zip(self.point.coordinates()) {
            if let Some(coordinate) = coordinate.filter(|coordinate| !parameter.domain.contains(*coordinate))
            {
                let message =
                    format!("the point has {} = {coordinate}, which is not in its domain", parameter.name);
                return Err(S::Error::custom(message));
            }
        }
        serializer.collect_map(self.space.values(self.point))
    }
}

/// The same as it is read, straight from the text: there may be millions.
struct ReadPoint<'a>(Vec<(Cow<'a, str>, Value)>);

impl ReadPoint<'_> {
    fn into_domain(self, space: &Space) -> Result<Point, String> {
        let (names, values): (Vec<Cow<'_, str>>, Vec<Value>) = self.0.into_iter().unzip();
        space.point_from_values(names.iter().map(|name| &**name).zip(values))
    }
}

/// A name that is borrowed from the text, unless something in it is escaped.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// `Value`, without trying one kind after the other.
struct BareValue(Value);

impl<'de: 'a, 'a> Deserialize<'de> for ReadPoint<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PointVisitor;
        impl<'de> Visitor<'de> for PointVisitor {
            type Value = ReadPoint<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a point: an object of names and values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadPoint<'de>, A::Error> {
                let mut values = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some((Name(name), BareValue(value))) = map.next_entry()? {
                    values.push((name, value));
                }
                Ok(ReadPoint(values))
            }
        }
        deserializer.deserialize_map(PointVisitor)
    }
}

impl<'de> Deserialize<'de> for BareValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl Visitor<'_> for ValueVisitor {
            type Value = BareValue;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number, a text or a bool")
            }
            fn visit_bool<E>(self, value: bool) -> Result<BareValue, E> {
                Ok(BareValue(Value::Bool(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<BareValue, E> {
                Ok(BareValue(Value::Int(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<BareValue, E> {
                Ok(BareValue(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int)))
            }
            fn visit_f64<E>(self, value: f64) -> Result<BareValue, E> {
                Ok(BareValue(Value::Float(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<BareValue, E> {
                Ok(BareValue(Value::Text(value.to_owned())))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// A measurement as an object: a number by name, or value and standard error where that is known.
struct Readings<'a>(Cow<'a, Measurement>);

impl Serialize for Readings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let readings = self.0.readings();
        let mut map = serializer.serialize_map(Some(readings.len()))?;
        for reading in readings {
            let value = Number(reading.value);
            match reading.standard_error.map(Number) {
                None => map.serialize_entry(&reading.metric, &value)?,
                error => {
                    map.serialize_entry(&reading.metric, &ReadingBody { value, standard_error: error })?;
                }
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Readings<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReadingsVisitor;
        impl<'de> Visitor<'de> for ReadingsVisitor {
            type Value = Measurement;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of metrics and their values")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Measurement, A::Error> {
                let mut measurement = Measurement::new();
                while let Some((metric, Reading(body))) = map.next_entry::<String, Reading>()? {
                    measurement.set(metric, body.value.0, body.standard_error.map(|error| error.0));
                }
                Ok(measurement)
            }
        }
        deserializer.deserialize_map(ReadingsVisitor).map(|measurement| Readings(Cow::Owned(measurement)))
    }
}

#[derive(Serialize, Deserialize)]
struct ReadingBody {
    value: Number,
    #[serde(default)]
    standard_error: Option<Number>,
}

/// One value of a measurement, in either form.
struct Reading(ReadingBody);

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor { or_object: true }).map(Reading)
    }
}

/// A number that keeps its bits: JSON has no word for NaN and the infinities, so they are texts.
#[derive(Clone, Copy)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            finite if finite.is_finite() => serializer.serialize_f64(finite),
            f64::INFINITY => serializer.serialize_str("Infinity"),
            f64::NEG_INFINITY => serializer.serialize_str("-Infinity"),
            _ => serializer.serialize_str("NaN"),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor { or_object: false }).map(|body| body.value)
    }
}

struct NumberVisitor {
    or_object: bool,
}

impl NumberVisitor {
    fn bare(value: f64) -> ReadingBody {
        ReadingBody { value: Number(value), standard_error: None }
    }
}

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = ReadingBody;
    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, or one of the texts NaN, Infinity and -Infinity")
    }
    fn visit_f64<E>(self, value: f64) -> Result<ReadingBody, E> {
        Ok(Self::bare(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<ReadingBody, E> {
        Ok(Self::bare(value as f64))
    }
    fn visit_i64<E>(self, value: i64) -> Result<ReadingBody, E> {
        Ok(Self::bare(value as f64))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ReadingBody, E> {
        match text {
            "NaN" => Ok(Self::bare(f64::NAN)),
            "Infinity" => Ok(Self::bare(f64::INFINITY)),
            "-Infinity" => Ok(Self::bare(f64::NEG_INFINITY)),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ReadingBody, A::Error> {
        if self.or_object {
            ReadingBody::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        } else {
            Err(A::Error::custom("expected a number, found an object"))
        }
    }
}

#[cfg(test)]
mod tests;
