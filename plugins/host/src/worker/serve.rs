//! Inside a worker: the host's own executable that serves one library, or becomes one program.
//!
//! What a plugin prints must not get between our lines, so standard input and output are taken away before it
//! is loaded. The worker asks to die with the host, and ends when its input is closed.

use super::protocol::{self, Answer, Creation, Introduction, Metrics, Offer, Question, Reply, Request, Word};
use crate::HostError;
use crate::library::{Library, LibraryFile, Made};
use crate::program::Program;
use ansatz_core::Promotion;
use ansatz_core::abi::abi_stable::sabi_trait::TD_Opaque;
use ansatz_core::abi::abi_stable::sabi_types::RMut;
use ansatz_core::abi::abi_stable::std_types::{ROption, RResult, RSlice, RStr, RString};
use ansatz_core::abi::{self, Fault, FaultKind, RawContext, RawContext_TO};
use ansatz_core::glue::convert;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Where our lines go, once standard output was taken away from the plugin.
static OUTPUT: OnceLock<Mutex<File>> = OnceLock::new();

/// Limits the memory of this process, and has it end with the host. Where it crashes it leaves no image of its
/// memory behind: a plugin that crashes a thousand times would fill the disk.
pub fn confine(memory_bytes_max: Option<u64>) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let no_image = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // where it is refused, an image is left
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, no_image);
    if let Some(bytes) = memory_bytes_max {
        let limit = rustix::process::Rlimit { current: Some(bytes), maximum: Some(bytes) };
        rustix::process::setrlimit(rustix::process::Resource::As, limit)?;
    }
    Ok(())
}

/// Becomes the program of a folder; returns only if that fails.
pub fn become_program(folder: &Path) -> String {
    match Program::read(folder) {
        Ok(program) => {
            let error = program.command().exec();
            format!("{}: {error}", program.command().get_program().display())
        }
        Err(error) => error.to_string(),
    }
}

/// Serves a library until standard input is closed.
pub fn serve_library(path: &Path) -> std::io::Result<()> {
    let input = take_standard_streams()?;
    let mut worker = Worker { loaded: None, made: None, lines: Lines::Direct(BufReader::new(input)) };
    while let Some(line) = worker.lines.next() {
        let reply = match protocol::read::<Request>(line.as_bytes()) {
            Ok(Request::Stop {}) => continue, // it crossed the answer to what it meant to stop
            Ok(request) => worker.answer(path, request),
            Err(error) => Reply::Fault(invalid(format!("that is no request: {error}")).into()),
        };
        say(&reply)?;
        if matches!(worker.made, Some(Made::Objective(_))) {
            worker.lines.move_to_thread()?;
        }
    }
    Ok(())
}

/// Standard input for us, and nothing for the plugin; standard output for us, and standard error in its place.
fn take_standard_streams() -> std::io::Result<File> {
    let input = File::from(rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3)?);
    let output = File::from(rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3)?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(std::io::stderr())?;
    let _ = OUTPUT.set(Mutex::new(output));
    Ok(input)
}

/// Writes a line, in one piece.
fn say(reply: &Reply) -> std::io::Result<()> {
    let Some(output) = OUTPUT.get() else { return Ok(()) };
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    output.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
}

/// Sends a line for a person to the host; false if this process is no worker.
pub(crate) fn log(level: &str, message: &str) -> bool {
    let is_worker = OUTPUT.get().is_some();
    if is_worker {
        let _ = say(&Reply::Log { level: level.to_owned(), message: message.to_owned() });
    }
    is_worker
}

/// The host's lines: read by whoever wants the next, or by a thread that hears a stop at any time.
enum Lines {
    Direct(BufReader<File>),
    Threaded {
        lines: Receiver<String>,
        stop: Arc<AtomicBool>,
    },
    /// While it moves.
    None,
}

impl Lines {
    fn next(&mut self) -> Option<String> {
        match self {
            Lines::Direct(input) => {
                let mut line = String::new();
                input.read_line(&mut line).ok().filter(|length| *length > 0).map(|_| line)
            }
            Lines::Threaded { lines, .. } => lines.recv().ok(),
            Lines::None => None,
        }
    }

    /// From here on a thread reads. When the host goes away it ends the process, whatever the plugin is doing.
    fn move_to_thread(&mut self) -> std::io::Result<()> {
        if !matches!(self, Lines::Direct(_)) {
            return Ok(());
        }
        let Lines::Direct(mut input) = std::mem::replace(self, Lines::None) else { return Ok(()) };
        let (sender, lines) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&stop);
        std::thread::Builder::new().name("host".into()).spawn(move || {
            loop {
                let mut line = String::new();
                match input.read_line(&mut line) {
                    Ok(length) if length > 0 => {}
                    _ => std::process::exit(0),
                }
                if line.starts_with("{\"evaluate\"") {
                    // here rather than where it is evaluated: the stop that follows may be read before that
                    heard.store(false, Ordering::Relaxed);
                }
                if line.starts_with("{\"stop\"") {
                    heard.store(true, Ordering::Relaxed);
                } else if sender.send(line).is_err() {
                    return;
                }
            }
        })?;
        *self = Lines::Threaded { lines, stop };
        Ok(())
    }
}

struct Worker {
    loaded: Option<Arc<Library>>,
    made: Option<Made>,
    lines: Lines,
}

impl Worker {
    fn answer(&mut self, path: &Path, request: Request) -> Reply {
        let answer = match request {
            Request::Hello(_) => self.hello(path),
            Request::Create(creation) => self.create(&creation),
            Request::Ask(question) => self.ask(&question),
            Request::Tell(news) => self.tell(&news.observations),
            Request::Snapshot {} => self.snapshot(),
            Request::Restore { state } => self.restore(&state),
            Request::Recommend {} => self.recommend(),
            Request::Reported(report) => self.reported(&report),
            Request::Finished(trial) => self.finished(&trial),
            Request::Promotable {} => self.promotable(),
            Request::Promoted { continued, trial } => self.promoted(continued, trial),
            Request::Evaluate(evaluation) => self.evaluate(&evaluation),
            Request::Stop {} => Ok(Reply::Ok {}),
        };
        answer.unwrap_or_else(|fault| Reply::Fault(fault.into()))
    }

    fn hello(&mut self, path: &Path) -> Result<Reply, Fault> {
        let reason = |error| match error {
            HostError::Refused { reason, .. } => invalid(reason),
            other => invalid(other.to_string()),
        };
        let library =
            LibraryFile::read(path).and_then(|file| file.load_without_hash(String::new())).map_err(reason)?;
        let offers = library.components.iter().map(|component| Offer {
            role: component.role,
            name: component.name.clone(),
            summary: component.summary.clone(),
            capabilities: component.capabilities.iter().map(|c| c.name().to_owned()).collect(),
            options: component.options_schema.clone(),
        });
        let introduction = Introduction {
            protocol: protocol::PROTOCOL,
            package: library.package.clone(),
            version: library.version.clone(),
            build: library.build.clone(),
            abi: library.abi.clone(),
            components: offers.collect(),
            features: ["stop", protocol::RECOMMEND, protocol::PROMOTE].map(str::to_owned).to_vec(),
        };
        self.loaded = Some(library);
        Ok(Reply::Hello(introduction))
    }

    fn create(&mut self, creation: &Creation) -> Result<Reply, Fault> {
        let library = self.loaded.as_ref().ok_or_else(|| invalid("hello comes first".into()))?;
        let component = library
            .component(creation.role, &creation.name)
            .ok_or_else(|| invalid(format!("it offers no {} called {}", creation.role, creation.name)))?;
        let text = |value: &serde_json::Value| value.to_string();
        self.made = None;
        let (problem, options, surroundings) =
            (text(&creation.problem), text(&creation.options), text(&creation.surroundings));
        self.made = Some(component.make(&problem, &options, &surroundings, creation.seed)?);
        Ok(Reply::Ok {})
    }

    fn strategy(&mut self) -> Result<&mut abi::BoxStrategy, Fault> {
        match &mut self.made {
            Some(Made::Strategy(strategy)) => Ok(strategy),
            _ => Err(invalid("create a strategy first".into())),
        }
    }

    fn ask(&mut self, question: &Question) -> Result<Reply, Fault> {
        let trials: Vec<u64> = question.pending.iter().map(|pending| pending.trial).collect();
        let x: Vec<f64> =
            question.pending.iter().flat_map(|pending| pending.x.iter().map(|number| number.0)).collect();
        let pending = abi::Pending { trials: RSlice::from_slice(&trials), x: RSlice::from_slice(&x) };
        let suggestions = self.strategy()?.ask(question.count, pending).into_result()?;
        let written = suggestions.iter().map(|suggestion| protocol::SuggestedPoint {
            x: protocol::numbers(&suggestion.x),
            tag: suggestion.tag,
            fidelity: Some(suggestion.fidelity).filter(|fidelity| !fidelity.is_nan()),
            prediction: convert::prediction_in_ext(&suggestion.ext).map(Into::into),
        });
        Ok(Reply::Suggestions(written.collect()))
    }

    fn tell(&mut self, observations: &[protocol::FinishedTrial]) -> Result<Reply, Fault> {
        let lists: Vec<Lists<'_>> = observations.iter().map(Lists::of).collect();
        let raw: Vec<abi::Observation<'_>> = lists.iter().map(Lists::to_abi).collect();
        self.strategy()?.tell(RSlice::from_slice(&raw)).into_result()?;
        Ok(Reply::Ok {})
    }

    fn rule(&mut self) -> Result<&mut abi::BoxEarlyStopping, Fault> {
        match &mut self.made {
            Some(Made::EarlyStopping(rule)) => Ok(rule),
            _ => Err(invalid("create an early-stopping rule first".into())),
        }
    }

    fn reported(&mut self, report: &protocol::ReportedLosses) -> Result<Reply, Fault> {
        let (losses, excesses) = (protocol::flat(&report.losses), protocol::flat(&report.excesses));
        let raw = abi::Report {
            trial: report.trial,
            step: report.step,
            losses: RSlice::from_slice(&losses),
            excesses: RSlice::from_slice(&excesses),
            fidelity: report.fidelity.unwrap_or(f64::NAN),
            ext: RStr::empty(),
        };
        let stop = self.rule()?.reported(raw).into_result()?;
        Ok(Reply::Ruling { stop: stop.into_option().map(String::from) })
    }

    fn finished(&mut self, trial: &protocol::FinishedTrial) -> Result<Reply, Fault> {
        self.rule()?.finished(Lists::of(trial).to_abi()).into_result()?;
        Ok(Reply::Ok {})
    }

    fn promotable(&mut self) -> Result<Reply, Fault> {
        let promotion = self.rule()?.promotable().into_result()?.into_option();
        Ok(match promotion.map(convert::promotion_from_abi) {
            Some(Promotion { continued, reason }) => {
                Reply::Promotion { continued: Some(continued.0), reason }
            }
            None => Reply::Promotion { continued: None, reason: String::new() },
        })
    }

    fn promoted(&mut self, continued: u64, trial: u64) -> Result<Reply, Fault> {
        self.rule()?.promoted(continued, trial).into_result()?;
        Ok(Reply::Ok {})
    }

    fn snapshot(&mut self) -> Result<Reply, Fault> {
        Ok(Reply::Snapshot {
            state: match self.strategy()?.snapshot().into_result()? {
                ROption::RSome(state) => Some(BASE64.encode(state.as_slice())),
                ROption::RNone => None,
            },
        })
    }

    fn restore(&mut self, state: &str) -> Result<Reply, Fault> {
        let state =
            BASE64.decode(state).map_err(|error| invalid(format!("the state is no base64: {error}")))?;
        self.strategy()?.restore(RSlice::from_slice(&state)).into_result()?;
        Ok(Reply::Ok {})
    }

    fn recommend(&mut self) -> Result<Reply, Fault> {
        let text = self.strategy()?.recommend().into_result()?;
        let list: Vec<protocol::RecommendedPoint> = serde_json::from_str(&text)
            .map_err(|error| invalid(format!("its recommendations are not what they should be: {error}")))?;
        Ok(Reply::Recommendations(list))
    }

    fn evaluate(&mut self, evaluation: &protocol::Evaluation) -> Result<Reply, Fault> {
        let Some(Made::Objective(objective)) = &self.made else {
            return Err(invalid("create an objective first".into()));
        };
        let Lines::Threaded { lines, stop } = &self.lines else {
            return Err(invalid("nobody reads the host's lines".into()));
        };
        let x = protocol::flat(&evaluation.x);
        let ext = convert::assignment_ext(evaluation.continued.clone().map(Into::into).as_ref());
        let assignment = abi::Assignment {
            trial: evaluation.trial,
            attempt: evaluation.attempt,
            seed: evaluation.seed,
            x: RSlice::from_slice(&x),
            fidelity: evaluation.fidelity.unwrap_or(f64::NAN),
            time_limit_s: evaluation.time_limit_s.unwrap_or(f64::INFINITY),
            output_folder: RStr::from(evaluation.output_folder.as_str()),
            ext: RStr::from(ext.as_str()),
        };
        let mut context = LineContext { lines, stop };
        let context = RawContext_TO::from_ptr(RMut::new(&mut context), TD_Opaque);
        match objective.evaluate(assignment, context) {
            RResult::ROk(readings) => Ok(Reply::Measurement(Metrics::from_owned(&readings))),
            RResult::RErr(fault) => Err(fault),
        }
    }
}

/// A trial that ended, with its numbers as the boundary's slices can point at them.
struct Lists<'a> {
    trial: &'a protocol::FinishedTrial,
    x: Vec<f64>,
    losses: Vec<f64>,
    standard_errors: Vec<f64>,
    excesses: Vec<f64>,
    ext: String,
}

impl<'a> Lists<'a> {
    fn of(trial: &'a protocol::FinishedTrial) -> Self {
        Self {
            trial,
            x: protocol::flat(&trial.x),
            losses: protocol::flat(&trial.losses),
            standard_errors: protocol::flat(&trial.standard_errors),
            excesses: protocol::flat(&trial.excesses),
            ext: convert::observation_ext(&protocol::curve(&trial.curve)),
        }
    }

    fn to_abi(&self) -> abi::Observation<'_> {
        abi::Observation {
            trial: self.trial.trial,
            own: self.trial.own,
            tag: self.trial.tag,
            status: protocol::status_of(&self.trial.status),
            x: RSlice::from_slice(&self.x),
            losses: RSlice::from_slice(&self.losses),
            standard_errors: RSlice::from_slice(&self.standard_errors),
            excesses: RSlice::from_slice(&self.excesses),
            fidelity: self.trial.fidelity.unwrap_or(f64::NAN),
            ext: RStr::from(self.ext.as_str()),
        }
    }
}

/// Reports as lines. Nothing here may unwind into the plugin.
struct LineContext<'a> {
    lines: &'a Receiver<String>,
    stop: &'a AtomicBool,
}

impl RawContext for LineContext<'_> {
    fn report(&mut self, step: u64, readings: RSlice<'_, abi::Reading<'_>>) -> bool {
        let report = Reply::Report { step, metrics: Metrics::from_lent(readings.as_slice()) };
        if say(&report).is_err() {
            return true;
        }
        match self.lines.recv().map(|line| protocol::read::<Answer>(line.as_bytes())) {
            Ok(Ok(Answer::Verdict(word))) => word == Word::Stop || self.is_stopped(),
            _ => true,
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn invalid(message: String) -> Fault {
    Fault {
        kind: FaultKind::INVALID,
        message: RString::from(message),
        location: RString::new(),
        detail: RString::new(),
    }
}
