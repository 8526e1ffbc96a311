//! Objective `command`: any program that can read a point and print a number.
//!
//! `options` says what to run, `input` and `template` how a point gets there, `process` runs it within
//! bounds, `left_over` ends what outlived its host, and `protocol` understands what it prints. README.md is the user's side of it. Unix only.
#![forbid(unsafe_code)]

pub mod input;
pub mod left_over;
pub mod options;
pub mod process;
pub mod protocol;
pub mod template;

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ansatz_core::{
    Context, Descriptor, EvaluationError, Measurement, Objective, ObjectiveError, Point, Problem,
    Surroundings, Verdict,
};

use input::Files;
use left_over::LeftOver;
pub use options::{Input, Options};
use options::{Launch, Plan};
use process::{Cause, Ended, Flow, Invocation, Lines};
use protocol::{Conclusion, Transcript};

/// A metrics file is read in full at the end; a larger one is not for us.
const METRICS_BYTES_MAX: u64 = 16 << 20;

/// Runs a program at each point.
#[derive(Debug)]
pub struct Command {
    plan: Plan,
    /// Metrics that the study asks for, each once.
    wanted: Vec<String>,
}

impl Objective for Command {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "command",
        summary: "runs any program: point in as JSON, variables or arguments, metrics out as JSON lines",
        capabilities: &[],
    };
    type Options = Options;

    fn new(
        problem: &Problem,
        options: Options,
        surroundings: &Surroundings,
    ) -> Result<Command, ObjectiveError> {
        let search_path = std::env::var("PATH").unwrap_or_default();
        let plan = options.check(problem, &surroundings.manifest_folder, &search_path)?;
        let mut wanted: Vec<String> = problem.metrics.iter().map(|metric| metric.name.clone()).collect();
        for constraint in &problem.outcome_constraints {
            if !wanted.contains(&constraint.metric) {
                wanted.push(constraint.metric.clone());
            }
        }
        Ok(Command { plan, wanted })
    }

    fn evaluate(&self, point: &Point, context: &mut Context<'_>) -> Result<Measurement, EvaluationError> {
        let started = Instant::now();
        let attempt = context.assignment.attempt;
        let folder = context.output_folder().map(|folder| input::attempt_folder(folder, attempt));
        let deadline = context.assignment.time_limit.and_then(|limit| started.checked_add(limit));
        if let Some(output) = context.output_folder() {
            let is_urgent =
                || context.is_stopped() || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            end_left_over(output, attempt, self.plan.grace, is_urgent).map_err(EvaluationError::Failed)?;
        }
        if context.is_stopped() {
            return Err(EvaluationError::Stopped);
        }
        let prepared = self.prepare(point, context, folder.as_deref()).map_err(EvaluationError::Failed)?;
        let invocation = Invocation { deadline, ..prepared.invocation };

        let mut listener =
            Listener { transcript: Transcript::new(self.wanted.clone()), context, broken: None };
        let mut metrics_file = prepared.metrics_file.as_deref().map(MetricsFile::new);
        let outcome = process::run(invocation, |line| {
            let flow = match (line, &mut metrics_file) {
                (Some(line), None) => listener.take(line),
                (None, Some(file)) => file.take_new(|line| listener.take(line)),
                _ => Flow::Continue,
            };
            if listener.context.is_stopped() { Flow::Stop } else { flow }
        });
        let mut ended = outcome.map_err(EvaluationError::Failed)?;
        if let (None, Some(file)) = (ended.cause, &metrics_file)
            && file.take_all(|line| listener.take(line)).map_err(EvaluationError::Failed)? == Flow::Stop
        {
            ended.cause = Some(Cause::Stop);
        }
        let Listener { transcript, broken, .. } = listener;
        conclude(&ended, &transcript, broken, context, folder.as_deref())
    }
}

/// Everything that one attempt needs.
struct Prepared {
    invocation: Invocation,
    metrics_file: Option<PathBuf>,
}

impl Command {
    /// Makes the folder and the input file, and fills in the arguments.
    fn prepare(
        &self,
        point: &Point,
        context: &Context<'_>,
        folder: Option<&Path>,
    ) -> Result<Prepared, String> {
        let plan = &self.plan;
        let assignment = &context.assignment;
        if let Some(folder) = folder {
            fs::create_dir_all(folder)
                .map_err(|error| format!("cannot make folder {}: {error}", folder.display()))?;
        }
        let in_folder = |name: &Path, option: &str| match folder {
            Some(folder) => Ok(folder.join(name)),
            None => {
                Err(format!("option {option} needs an output folder for the trial, and the host gave none"))
            }
        };

        let json = input::json(assignment, context.space(), point).to_string();
        let input_file = match plan.input {
            Input::File => {
                let path = in_folder(Path::new("input.json"), "input = \"file\"")?;
                fs::write(&path, &json)
                    .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
                Some(path)
            }
            _ => None,
        };
        let metrics_file = match &plan.metrics_file {
            Some(name) => {
                let path = in_folder(name, "metrics")?;
                make_room(&path)
                    .map_err(|error| format!("cannot make room for {}: {error}", path.display()))?;
                Some(path)
            }
            None => None,
        };

        let files = Files { input: input_file.as_deref(), metrics: metrics_file.as_deref(), output: folder };
        let value = |name: &str| input::placeholder(name, assignment, context.space(), point, &files);
        let (program, arguments) = match &plan.launch {
            Launch::Shell(line) => (PathBuf::from("/bin/sh"), vec!["-c".to_owned(), line.clone()]),
            Launch::Program { path, arguments, appended } => {
                let given = arguments.iter().filter_map(|argument| argument.fill(value));
                let added =
                    appended.iter().filter_map(|name| value(name).map(|value| format!("--{name}={value}")));
                (path.clone(), given.chain(added).collect())
            }
        };
        let mut environment: Vec<_> =
            plan.environment.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
        environment.extend(input::environment(assignment, context.space(), point, &files));
        let invocation = Invocation {
            program,
            arguments,
            environment,
            working_directory: plan.working_directory.clone(),
            stdin: (plan.input == Input::Stdin).then(|| (json + "\n").into_bytes()),
            stdout_log: folder.map(|folder| folder.join("stdout.log")),
            stderr_log: folder.map(|folder| folder.join("stderr.log")),
            log_bytes_max: plan.log_bytes_max,
            deadline: None,
            grace: plan.grace,
            note: folder.map(|folder| folder.join(left_over::NOTE)),
        };
        Ok(Prepared { invocation, metrics_file })
    }
}

/// Ends programs of this and earlier attempts that outlived their host, and says so where their output is. The error says
/// which one could not be ended: nothing is started beside it.
fn end_left_over(
    output: &Path,
    attempt: u32,
    grace: Duration,
    mut is_urgent: impl FnMut() -> bool,
) -> Result<(), String> {
    for earlier in 1..=attempt {
        let folder = input::attempt_folder(output, earlier);
        match left_over::end(&folder, grace, &mut is_urgent) {
            LeftOver::Nothing => {}
            LeftOver::Ended => {
                let log = fs::OpenOptions::new().append(true).open(folder.join("stderr.log"));
                let said = format!(
                    "\n[ended before attempt {attempt} began: the host that had started it is gone]\n"
                );
                // a line for people; that it cannot be written changes nothing
                drop(log.and_then(|mut log| log.write_all(said.as_bytes())));
            }
            LeftOver::StillRuns(group) => {
                return Err(format!(
                    "a program that a host left running for this trial does not end, and another one beside it could spoil \
                     what both write: end process group {group} first"
                ));
            }
        }
    }
    Ok(())
}

/// Removes what an earlier program left at `path` and makes the folders above it.
fn make_room(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Hears the program's lines and passes reports on.
struct Listener<'a, 'context> {
    transcript: Transcript,
    context: &'a mut Context<'context>,
    /// A report that makes going on pointless.
    broken: Option<String>,
}

impl Listener<'_, '_> {
    fn take(&mut self, line: &str) -> Flow {
        match self.transcript.take(line) {
            Ok(None) => Flow::Continue,
            Ok(Some(progress)) => match self.context.report(progress.step, &progress.measurement) {
                Verdict::Continue => Flow::Continue,
                Verdict::Stop => Flow::Stop,
            },
            Err(reason) => {
                self.broken = Some(reason);
                Flow::Stop
            }
        }
    }
}

/// A file to which a program appends its lines.
struct MetricsFile<'a> {
    path: &'a Path,
    offset: u64,
    lines: Lines,
}

impl<'a> MetricsFile<'a> {
    fn new(path: &'a Path) -> MetricsFile<'a> {
        MetricsFile { path, offset: 0, lines: Lines::default() }
    }

    /// Takes the complete lines that were appended since the last call. A file that cannot be read yet has
    /// none: at the end it is read again in full, and then it matters.
    fn take_new(&mut self, mut take: impl FnMut(&str) -> Flow) -> Flow {
        let mut bytes = Vec::new();
        let read = fs::File::open(self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(1 << 20).read_to_end(&mut bytes)
        });
        if read.is_err() {
            return Flow::Continue;
        }
        self.offset += bytes.len() as u64;
        let mut flow = Flow::Continue;
        self.lines.take(&bytes, &mut |line| {
            if flow == Flow::Continue {
                flow = take(&line);
            }
        });
        flow
    }

    /// Takes the whole file, now that the program has ended: one object over several lines, or an object a
    /// line.
    fn take_all(&self, mut take: impl FnMut(&str) -> Flow) -> Result<Flow, String> {
        let failed = |error| {
            format!("the program has ended, and its metrics cannot be read: {}: {error}", self.path.display())
        };
        let size = match fs::metadata(self.path) {
            // Without a file there is no result; what the program printed or how it ended says more about
            // why.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Flow::Continue),
            other => other.map_err(failed)?.len(),
        };
        if size > METRICS_BYTES_MAX {
            return Err(format!(
                "{} has {size} bytes; at most {METRICS_BYTES_MAX} are read",
                self.path.display()
            ));
        }
        let text = String::from_utf8_lossy(&fs::read(self.path).map_err(failed)?).into_owned();
        if protocol::is_one_object(&text) {
            return Ok(take(&text));
        }
        Ok(text.lines().map(take).find(|flow| *flow == Flow::Stop).unwrap_or(Flow::Continue))
    }
}

/// What became of the trial. What we did to the program comes first, then what it says of itself, then its
/// exit.
fn conclude(
    ended: &Ended,
    transcript: &Transcript,
    broken: Option<String>,
    context: &Context<'_>,
    folder: Option<&Path>,
) -> Result<Measurement, EvaluationError> {
    let output = folder.map(|folder| format!("; its output is in {}", folder.display())).unwrap_or_default();
    let failed = |reason: String| Err(EvaluationError::Failed(format!("{reason}{output}")));
    if let Some(reason) = broken {
        return failed(reason);
    }
    match ended.cause {
        Some(Cause::Stop) => return Err(EvaluationError::Stopped),
        Some(Cause::Deadline) => {
            let limit = context.assignment.time_limit.unwrap_or_default();
            let how = if ended.outlived_grace {
                "it ignored SIGTERM and was killed"
            } else {
                "it ended on SIGTERM"
            };
            return failed(format!("the time limit of {limit:?} passed; {how}{}", tail_of(ended)));
        }
        None => {}
    }
    let conclusion = transcript.conclusion();
    if let Some(signal) = process::signal_name(ended.status) {
        let hint = if signal == "SIGKILL" { ", as the system does when memory runs out" } else { "" };
        return failed(format!("the program was ended by {signal}{hint}{}", tail_of(ended)));
    }
    match conclusion {
        Conclusion::Infeasible(reason) => Err(EvaluationError::Infeasible(reason)),
        Conclusion::Failed(reason) => failed(format!("the program says: {reason}")),
        _ if !ended.status.success() => {
            let code =
                ended.status.code().map_or_else(|| ended.status.to_string(), |code| format!("code {code}"));
            failed(format!("the program exited with {code}{}", tail_of(ended)))
        }
        Conclusion::Measured(measurement) => Ok(measurement),
        Conclusion::Unusable(reason) => {
            failed(format!("the program exited well, but {reason}{}", tail_of(ended)))
        }
    }
}

fn tail_of(ended: &Ended) -> String {
    if ended.stderr_tail.is_empty() { String::new() } else { format!("; stderr ends: {}", ended.stderr_tail) }
}

ansatz_core::export_plugin! { objectives: [Command] }
