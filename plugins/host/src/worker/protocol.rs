//! The messages between the host and a plugin in a process of its own: one JSON object per line.
//!
//! These are wire types: `docs/plugin-protocol.md` says what they mean, and its JSON Schema is made from them.
//! Keys may be added, with defaults; nothing may change its meaning within a major.

use ansatz_core::abi::abi_stable::std_types::RString;
use ansatz_core::abi::{self, Fault, FaultKind, Status};
use ansatz_core::glue::convert;
use ansatz_core::{Continued, Curve, CurvePoint, Prediction, TrialId};
use schemars::JsonSchema;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::PathBuf;

/// The major of the protocol that this host speaks.
pub const PROTOCOL: u32 = 1;

/// The feature of a plugin whose strategies may be asked what they recommend.
pub const RECOMMEND: &str = "recommend";

/// The feature of a plugin whose early-stopping rules may have stopped trials go on.
pub const PROMOTE: &str = "promote";

/// What the host sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// The first line of a process.
    Hello(Greeting),
    /// Makes a strategy, an objective or an early-stopping rule; what was made before is dropped.
    Create(Creation),
    /// Asks a strategy.
    Ask(Question),
    /// Tells a strategy.
    Tell(News),
    /// Asks a strategy for its state.
    Snapshot {},
    /// Gives a new strategy a state.
    Restore {
        /// Base64.
        state: String,
    },
    /// Asks a strategy what it would choose for good.
    Recommend {},
    /// Tells an early-stopping rule what a running trial reported.
    Reported(ReportedLosses),
    /// Tells an early-stopping rule how a trial ended.
    Finished(FinishedTrial),
    /// Asks an early-stopping rule which stopped trial is to go on.
    Promotable {},
    /// Tells an early-stopping rule that a stopped trial goes on, as another one.
    Promoted {
        /// The one that was stopped.
        continued: u64,
        /// The one that goes on.
        trial: u64,
    },
    /// Has an objective evaluate a point.
    Evaluate(Evaluation),
    /// Ends the evaluation that is under way. It has no answer.
    Stop {},
}

/// What a plugin sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// To hello.
    Hello(Introduction),
    /// To create, tell, restore, finished and promoted.
    Ok {},
    /// To ask.
    Suggestions(Vec<SuggestedPoint>),
    /// To snapshot.
    Snapshot {
        /// Base64; `null` where there are no snapshots.
        state: Option<String>,
    },
    /// To recommend: best first.
    Recommendations(Vec<RecommendedPoint>),
    /// To reported.
    Ruling {
        /// Why the trial is to end, in words; without it, the trial goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stop: Option<String>,
    },
    /// To promotable: without a trial, none.
    Promotion {
        /// The stopped trial that is to go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        continued: Option<u64>,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// To evaluate.
    Measurement(Metrics),
    /// To anything.
    Fault(WireFault),
    /// At any time: something for a person.
    Log {
        /// `error`, `warning`, `info` or `debug`.
        #[serde(default)]
        level: String,
        /// One line.
        message: String,
    },
    /// While it evaluates: what was measured so far. Answered by a verdict.
    Report {
        /// Epoch, iteration; increasing.
        step: u64,
        /// What was measured.
        #[serde(flatten)]
        metrics: Metrics,
    },
}

/// The host's answer to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Whether to go on.
    Verdict(Word),
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Go on.
    Continue,
    /// End now, with a fault of kind `stopped`.
    Stop,
}

/// Who the host is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Greeting {
    /// The major of the protocol.
    pub protocol: u32,
    /// Name and version.
    pub host: String,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Introduction {
    /// The major of the protocol that it speaks.
    pub protocol: u32,
    /// The package it belongs to.
    #[serde(default)]
    pub package: String,
    /// That package's version.
    #[serde(default)]
    pub version: String,
    /// How it was built, or what runs it.
    #[serde(default)]
    pub build: String,
    /// The version of the library boundary that it was built for; libraries only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub abi: String,
    /// What it offers. What has a role that the reader does not know is passed over.
    #[serde(deserialize_with = "read_offers")]
    pub components: Vec<Offer>,
    /// What else it can do: `stop`, `recommend`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// One strategy, objective or early-stopping rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// What it does.
    pub role: crate::Role,
    /// `vendor.name`.
    pub name: String,
    /// One line: method and source.
    #[serde(default)]
    pub summary: String,
    /// Names of capabilities; those that the reader does not know are passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// A JSON Schema.
    #[serde(default)]
    pub options: serde_json::Value,
}

/// What a component is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Creation {
    /// What to make.
    pub role: crate::Role,
    /// Its name.
    pub name: String,
    /// Space, metrics, outcome constraints, fidelity.
    pub problem: serde_json::Value,
    /// The options of the manifest.
    pub options: serde_json::Value,
    /// Manifest folder and study name.
    #[serde(default)]
    pub surroundings: serde_json::Value,
    /// For the strategy's own randomness.
    pub seed: u64,
}

/// An ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// Suggestions wanted, at least 1.
    pub count: u32,
    /// Trials that were asked for and have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<PendingTrial>,
}

/// A trial without a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingTrial {
    /// Its number.
    pub trial: u64,
    /// Its point.
    pub x: Vec<Number>,
}

/// A proposed point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SuggestedPoint {
    /// One number per parameter.
    pub x: Vec<Number>,
    /// The strategy's own.
    #[serde(default)]
    pub tag: u64,
    /// How much of a full evaluation to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
    /// What its model expects there. One that makes no sense counts as none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "read_prediction")]
    pub prediction: Option<PredictedValue>,
}

impl SuggestedPoint {
    /// Whether it is the same suggestion. What was predicted is beside the point.
    pub fn is_same_as(&self, other: &Self) -> bool {
        (&self.x, self.tag, self.fidelity) == (&other.x, other.tag, other.fidelity)
    }
}

/// What a strategy's model expects of the first metric at a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PredictedValue {
    /// Of the loss: minimised, whatever the metric's goal.
    pub mean: f64,
    /// Standard deviation of the value that will be observed, at least 0.
    pub deviation: f64,
    /// Natural logarithm of the acquisition value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquisition: Option<f64>,
}

impl From<Prediction> for PredictedValue {
    fn from(prediction: Prediction) -> Self {
        let Prediction { mean, deviation, acquisition } = prediction;
        Self { mean, deviation, acquisition }
    }
}

impl From<&PredictedValue> for Prediction {
    fn from(said: &PredictedValue) -> Self {
        Self { mean: said.mean, deviation: said.deviation, acquisition: said.acquisition }
    }
}

/// A point that a strategy would choose for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecommendedPoint {
    /// One number per parameter.
    pub x: Vec<Number>,
    /// What the model expects there, of the loss of the first metric.
    pub mean: Number,
    /// Standard deviation of that loss, without the noise of a measurement.
    pub deviation: Number,
}

/// A plugin of tomorrow may offer what this host has no use for.
fn read_offers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Offer>, D::Error> {
    let said = Vec::<serde_json::Value>::deserialize(deserializer)?;
    let is_known = |offer: &serde_json::Value| {
        offer
            .get("role")
            .and_then(serde_json::Value::as_str)
            .is_none_or(|role| crate::Role::ALL.iter().any(|known| known.to_string() == role))
    };
    let known = said.into_iter().filter(is_known);
    known.map(|offer| serde_json::from_value(offer).map_err(D::Error::custom)).collect()
}

/// No suggestion is lost for what was said beside it.
fn read_prediction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PredictedValue>, D::Error> {
    let said = serde_json::Value::deserialize(deserializer)?;
    Ok(Prediction::from_json(&said).map(PredictedValue::from))
}

/// A tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct News {
    /// Trials that ended, in order.
    pub observations: Vec<FinishedTrial>,
}

/// What a running trial reported, for an early-stopping rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedLosses {
    /// The trial's number.
    pub trial: u64,
    /// Epoch, iteration; increasing.
    pub step: u64,
    /// One per metric, minimised; null where it was not measured or is not finite.
    pub losses: Vec<Number>,
    /// One per outcome constraint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excesses: Vec<Number>,
    /// How much of a full evaluation the trial uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
}

impl From<&abi::Report<'_>> for ReportedLosses {
    fn from(report: &abi::Report<'_>) -> Self {
        Self {
            trial: report.trial,
            step: report.step,
            losses: numbers(&report.losses),
            excesses: numbers(&report.excesses),
            fidelity: Some(report.fidelity).filter(|fidelity| !fidelity.is_nan()),
        }
    }
}

impl From<&abi::Observation<'_>> for FinishedTrial {
    fn from(raw: &abi::Observation<'_>) -> Self {
        Self {
            trial: raw.trial,
            own: raw.own,
            tag: raw.tag,
            status: status_word(raw.status).to_owned(),
            x: numbers(&raw.x),
            losses: numbers(&raw.losses),
            standard_errors: numbers(&raw.standard_errors),
            excesses: numbers(&raw.excesses),
            fidelity: Some(raw.fidelity).filter(|fidelity| !fidelity.is_nan()),
            curve: convert::curve_in_ext(&raw.ext).points().iter().map(CurveEntry::from).collect(),
        }
    }
}

/// A trial that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FinishedTrial {
    /// Its number.
    pub trial: u64,
    /// Whether the strategy that is told proposed it.
    #[serde(default)]
    pub own: bool,
    /// The suggestion's tag, if it is its own.
    #[serde(default)]
    pub tag: u64,
    /// `completed`, `infeasible`, `failed` or `stopped`.
    pub status: String,
    /// Its point.
    pub x: Vec<Number>,
    /// One per metric, minimised; empty if nothing was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Number>,
    /// Empty, or one per metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standard_errors: Vec<Number>,
    /// One per outcome constraint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excesses: Vec<Number>,
    /// How much of a full evaluation was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
    /// What it reported on its way, in a study that ends trials early: steps, increasing, each with one loss per metric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurveEntry>,
}

/// A step, and one loss per metric; null where it was not measured or is not finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurveEntry(pub u64, pub Vec<Number>);

impl From<&CurvePoint> for CurveEntry {
    fn from(point: &CurvePoint) -> Self {
        Self(point.step, point.losses.iter().map(|loss| Number(convert::flat(*loss))).collect())
    }
}

impl From<&CurveEntry> for CurvePoint {
    fn from(CurveEntry(step, losses): &CurveEntry) -> Self {
        Self::from((*step, losses.iter().map(|loss| convert::optional(loss.0)).collect()))
    }
}

/// An attempt at a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// The trial's number.
    pub trial: u64,
    /// 1 for the first.
    #[serde(default = "one")]
    pub attempt: u32,
    /// For the objective's own randomness.
    pub seed: u64,
    /// The point.
    pub x: Vec<Number>,
    /// The active parameters by name; only for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<serde_json::Value>,
    /// How much of a full evaluation to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit_s: Option<f64>,
    /// A folder for its output; may not exist.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output_folder: String,
    /// The stopped trial that this one continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued: Option<ContinuedTrial>,
}

/// A trial of the same point and seed that was stopped, and that another one continues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContinuedTrial {
    /// Its number.
    pub trial: u64,
    /// Its last attempt.
    #[serde(default = "one")]
    pub attempt: u32,
    /// The step at which it was stopped.
    pub step: u64,
    /// The folder that it had for its output.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output_folder: String,
}

impl From<Continued> for ContinuedTrial {
    fn from(continued: Continued) -> Self {
        let Continued { trial, attempt, step, output_folder } = continued;
        let output_folder = output_folder.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        Self { trial: trial.0, attempt, step, output_folder }
    }
}

impl From<ContinuedTrial> for Continued {
    fn from(continued: ContinuedTrial) -> Self {
        let ContinuedTrial { trial, attempt, step, output_folder } = continued;
        let output_folder = Some(PathBuf::from(output_folder)).filter(|path| !path.as_os_str().is_empty());
        Self { trial: TrialId(trial), attempt, step, output_folder }
    }
}

fn one() -> u32 {
    1
}

/// Measured values by metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// The values.
    pub metrics: ByMetric,
    /// Standard errors of those that have one.
    #[serde(default, skip_serializing_if = "ByMetric::is_empty")]
    pub standard_errors: ByMetric,
    /// Of which trial; what is about another one is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<u64>,
}

/// An object of metrics and numbers, in the order in which it was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ByMetric(pub Vec<(String, Number)>);

impl ByMetric {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of a metric.
    pub fn get(&self, metric: &str) -> Option<f64> {
        self.0.iter().find(|(name, _)| name == metric).map(|(_, number)| number.0)
    }
}

impl Serialize for ByMetric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(metric, number)| (metric, number)))
    }
}

impl<'de> Deserialize<'de> for ByMetric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetricsVisitor;
        impl<'de> Visitor<'de> for MetricsVisitor {
            type Value = ByMetric;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of metrics and numbers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByMetric, A::Error> {
                let mut metrics = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    metrics.push(entry);
                }
                Ok(ByMetric(metrics))
            }
        }
        deserializer.deserialize_map(MetricsVisitor)
    }
}

impl JsonSchema for ByMetric {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByMetric".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let number = generator.subschema_for::<Number>();
        schemars::json_schema!({ "type": "object", "additionalProperties": number })
    }
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WireFault {
    /// What kind of fault.
    #[serde(default)]
    pub kind: String,
    /// What happened and what to do.
    #[serde(default)]
    pub message: String,
    /// Where in the plugin's source.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub location: String,
    /// Of which trial, while it evaluates; what is about another one is passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<u64>,
}

impl Reply {
    /// Of which trial it says to be.
    pub fn trial(&self) -> Option<u64> {
        match self {
            Reply::Measurement(metrics) | Reply::Report { metrics, .. } => metrics.trial,
            Reply::Fault(fault) => fault.trial,
            _ => None,
        }
    }
}

/// A number that keeps its bits: NaN, which stands for what is not there, is `null`, and the infinities are texts.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (self.0.is_nan() && other.0.is_nan())
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            f64::INFINITY => serializer.serialize_str("inf"),
            f64::NEG_INFINITY => serializer.serialize_str("-inf"),
            number if number.is_nan() => serializer.serialize_unit(),
            number => serializer.serialize_f64(number),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number, null, \"inf\" or \"-inf\"")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(f64::NAN))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                match text {
                    "inf" => Ok(Number(f64::INFINITY)),
                    "-inf" => Ok(Number(f64::NEG_INFINITY)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Number".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": ["number", "null"] }, { "enum": ["inf", "-inf"] }] })
    }
}

/// A point as it is written.
pub fn numbers(flat: &[f64]) -> Vec<Number> {
    flat.iter().copied().map(Number).collect()
}

/// A curve as it was read; nothing if its steps do not increase.
pub fn curve(entries: &[CurveEntry]) -> Curve {
    Curve::from_points(entries.iter().map(CurvePoint::from).collect()).unwrap_or_default()
}

/// A point as it was read.
pub fn flat(numbers: &[Number]) -> Vec<f64> {
    numbers.iter().map(|number| number.0).collect()
}

const FAULT_WORDS: [(FaultKind, &str); 9] = [
    (FaultKind::OTHER, "other"),
    (FaultKind::INVALID, "invalid"),
    (FaultKind::UNSUPPORTED, "unsupported"),
    (FaultKind::EXHAUSTED, "exhausted"),
    (FaultKind::PANIC, "panic"),
    (FaultKind::POISONED, "poisoned"),
    (FaultKind::INFEASIBLE, "infeasible"),
    (FaultKind::FAILED, "failed"),
    (FaultKind::STOPPED, "stopped"),
];

impl From<Fault> for WireFault {
    fn from(fault: Fault) -> Self {
        let word = FAULT_WORDS.iter().find(|(kind, _)| *kind == fault.kind).map_or("other", |(_, word)| word);
        Self {
            kind: word.to_owned(),
            message: fault.message.into(),
            location: fault.location.into(),
            trial: None,
        }
    }
}

impl From<WireFault> for Fault {
    fn from(fault: WireFault) -> Self {
        let kind = FAULT_WORDS.iter().find(|(_, word)| *word == fault.kind);
        Self {
            kind: kind.map_or(FaultKind::OTHER, |(kind, _)| *kind),
            message: presentable(&fault.message).into(),
            location: presentable(&fault.location).into(),
            detail: RString::new(),
        }
    }
}

/// How much of a plugin's message is kept: it goes to a terminal and into the journal.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// A plugin's words without what a terminal would obey, later lines set in so that none looks like one of ours.
pub fn presentable(message: &str) -> String {
    let mut shown = String::new();
    for (count, letter) in message.trim_end().chars().enumerate() {
        match letter {
            _ if count >= MESSAGE_CHARS_MAX => {
                shown.push_str(" ...");
                break;
            }
            '\n' => shown.push_str("\n  "),
            '\t' => shown.push(' '),
            letter if letter.is_control() => {}
            letter => shown.push(letter),
        }
    }
    shown
}

const STATUS_WORDS: [(Status, &str); 4] = [
    (Status::COMPLETED, "completed"),
    (Status::INFEASIBLE, "infeasible"),
    (Status::FAILED, "failed"),
    (Status::STOPPED, "stopped"),
];

/// The word of a status; one that is not known counts as failed.
pub fn status_word(status: Status) -> &'static str {
    STATUS_WORDS.iter().find(|(known, _)| *known == status).map_or("failed", |(_, word)| word)
}

/// The status of a word; one that is not known counts as failed.
pub fn status_of(word: &str) -> Status {
    STATUS_WORDS.iter().find(|(_, known)| *known == word).map_or(Status::FAILED, |(status, _)| *status)
}

impl Metrics {
    /// As the boundary lends them.
    pub fn from_lent(readings: &[abi::Reading<'_>]) -> Self {
        Self::new(readings.iter().map(|r| (r.metric.as_str(), r.value, r.standard_error)))
    }

    /// As the boundary gives them away.
    pub fn from_owned(readings: &[abi::OwnedReading]) -> Self {
        Self::new(readings.iter().map(|r| (r.metric.as_str(), r.value, r.standard_error)))
    }

    fn new<'a>(readings: impl Iterator<Item = (&'a str, f64, f64)>) -> Self {
        let mut metrics = Self::default();
        for (metric, value, standard_error) in readings {
            metrics.metrics.0.push((metric.to_owned(), Number(value)));
            if !standard_error.is_nan() {
                metrics.standard_errors.0.push((metric.to_owned(), Number(standard_error)));
            }
        }
        metrics
    }

    /// Metric, value and standard error (NaN where unknown), by name.
    pub fn readings(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.metrics.0.iter().map(|(metric, value)| {
            (metric.as_str(), value.0, self.standard_errors.get(metric).unwrap_or(f64::NAN))
        })
    }
}

/// Reads a line. What Python's json writes for NaN and the infinities, which is no JSON, counts as null.
pub fn read<T: serde::de::DeserializeOwned>(line: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(line).or_else(|error| {
        let has = |word: &str| memchr::memmem::find(line, word.as_bytes()).is_some();
        match std::str::from_utf8(line) {
            Ok(text) if has("NaN") || has("Infinity") => serde_json::from_str(&with_null_for_nan(text)),
            _ => Err(error),
        }
    })
}

/// A line with `null` for the bare words `NaN`, `Infinity` and `-Infinity`, which Python's json writes.
pub fn with_null_for_nan(line: &str) -> String {
    let mut result = String::with_capacity(line.len());
    let (mut in_text, mut is_escaped) = (false, false);
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let token =
            ["NaN", "Infinity", "-Infinity"].into_iter().find(|token| !in_text && rest.starts_with(token));
        if let Some(token) = token {
            result.push_str("null");
            rest = &rest[token.len()..];
            continue;
        }
        in_text ^= next == '"' && !is_escaped;
        is_escaped = in_text && next == '\\' && !is_escaped;
        result.push(next);
        rest = &rest[next.len_utf8()..];
    }
    result
}

/// The JSON Schema of every message.
pub fn json_schema() -> serde_json::Value {
    let mut generator = schemars::SchemaGenerator::default();
    let (request, reply, answer) = (
        generator.subschema_for::<Request>(),
        generator.subschema_for::<Reply>(),
        generator.subschema_for::<Answer>(),
    );
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ansatz plugin protocol 1",
        "description": "One of these per line: requests and answers of the host, replies of the plugin.",
        "anyOf": [request, answer, reply],
        "$defs": generator.take_definitions(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_bits_and_what_is_not_there() {
        for number in [0.1, -0.0, 1e-300, f64::MAX, f64::INFINITY, f64::NEG_INFINITY] {
            let text = serde_json::to_string(&Number(number)).unwrap();
            let again: Number = serde_json::from_str(&text).unwrap();
            assert_eq!(again.0.to_bits(), number.to_bits(), "{text}");
        }
        assert_eq!(serde_json::to_string(&Number(f64::NAN)).unwrap(), "null");
        assert!(serde_json::from_str::<Number>("null").unwrap().0.is_nan());
    }

    #[test]
    fn messages_look_as_the_document_says() {
        let ask = Request::Ask(Question { count: 2, pending: Vec::new() });
        assert_eq!(serde_json::to_string(&ask).unwrap(), r#"{"ask":{"count":2}}"#);
        assert_eq!(serde_json::to_string(&Request::Snapshot {}).unwrap(), r#"{"snapshot":{}}"#);
        assert_eq!(serde_json::to_string(&Reply::Ok {}).unwrap(), r#"{"ok":{}}"#);
        assert_eq!(
            serde_json::to_string(&Answer::Verdict(Word::Continue)).unwrap(),
            r#"{"verdict":"continue"}"#
        );
        let report: Reply = read(br#"{"report": {"step": 3, "metrics": {"loss": NaN}, "more": 1}}"#).unwrap();
        let Reply::Report { step: 3, metrics } = report else { panic!("{report:?}") };
        assert!(metrics.metrics.get("loss").unwrap().is_nan());
    }

    #[test]
    fn a_prediction_is_read_or_passed_over() {
        let read = |prediction: &str| {
            let line = format!(r#"{{"suggestions":[{{"x":[1],"prediction":{prediction}}}]}}"#);
            let reply: Reply = read(line.as_bytes()).unwrap();
            let Reply::Suggestions(suggestions) = reply else { panic!("{reply:?}") };
            suggestions[0].prediction.as_ref().map(Prediction::from)
        };
        assert_eq!(read(r#"{"mean":1,"deviation":0.5,"later":[]}"#), Some(Prediction::new(1.0, 0.5)));
        let with_acquisition = Prediction::new(1.0, 0.5).with_acquisition(-3.0);
        assert_eq!(read(r#"{"mean":1,"deviation":0.5,"acquisition":-3}"#), Some(with_acquisition));
        assert_eq!(
            read(r#"{"mean":1,"deviation":0.5,"acquisition":"-inf"}"#),
            Some(Prediction::new(1.0, 0.5))
        );
        for nonsense in ["null", "3", "[]", r#"{"mean":NaN,"deviation":1}"#, r#"{"mean":1,"deviation":-1}"#] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_python_writes_for_nan_is_read_and_texts_are_left_alone() {
        let line = r#"{"a": NaN, "b": [-Infinity, Infinity], "NaN": "say \"NaN\" \\", "c": NaN}"#;
        let expected = r#"{"a": null, "b": [null, null], "NaN": "say \"NaN\" \\", "c": null}"#;
        assert_eq!(with_null_for_nan(line), expected);
    }
}
