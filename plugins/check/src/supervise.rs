//! The parent: starts a child for each case, gives it a time limit, and judges how it ended.

use crate::case::{Case, Verdict};
use crate::cases;
use crate::child::{Subject, Told};
use crate::target::About;
use ansatz_plugin_host::worker::{exit_in_words, last_words};
use serde::Serialize;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long loading may take, however patient one is with the rest.
const LOADING_TIME_MAX: Duration = Duration::from_secs(5);
/// How much of a child's standard error is kept.
const STDERR_BYTES_MAX: usize = 4096;

/// What is examined, and how.
pub struct Examination<'a> {
    /// The cases to run, of those in `cases()`.
    pub cases: Vec<&'static Case>,
    /// Only the component of this name.
    pub component: Option<String>,
    /// How long each case may take.
    pub time_limit: Duration,
    /// How many children run at the same time; at least 1.
    pub slot_count: usize,
    /// How a child is started. It prints a `Told` as one line of JSON on standard output, and ends well.
    pub command: &'a (dyn Fn(&Job<'_>) -> Command + Sync),
}

/// One case of one component.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Which component; `None` for the plugin as a whole.
    pub subject: Option<&'a Subject>,
    /// The id of the case.
    pub case: &'static str,
    /// How long the parent waits.
    pub time_limit: Duration,
}

/// What became of one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseResult {
    /// Which component; `None` for the plugin as a whole.
    pub subject: Option<Subject>,
    /// The id of the case.
    pub case: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What went wrong, why it was skipped, or figures worth knowing; may be empty.
    pub text: String,
    /// How long it took.
    pub seconds: f64,
}

/// What became of all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// In the order of components and cases.
    pub results: Vec<CaseResult>,
    /// What the plugin offers; empty if it cannot be loaded.
    pub components: Vec<About>,
}

impl Report {
    /// How many cases came to this.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.results.iter().filter(|result| result.verdict == verdict).count()
    }

    /// Whether nothing failed and nothing crashed.
    pub fn is_conforming(&self) -> bool {
        self.results.iter().all(|result| !result.verdict.is_bad())
    }
}

/// Runs all cases. `on_result` hears each in the order of the report, as soon as it and all before it are there.
pub fn examine(examination: &Examination<'_>, mut on_result: impl FnMut(&CaseResult)) -> Report {
    let mut report = Report::default();
    let mut note = |report: &mut Report, result: CaseResult| {
        on_result(&result);
        report.results.push(result);
    };
    // whatever is wanted, this comes first: it says what there is
    let loading =
        Job { subject: None, case: cases::LOADS, time_limit: examination.time_limit.min(LOADING_TIME_MAX) };
    let (told, result) = run(examination, &loading);
    let is_wanted = examination.cases.iter().any(|case| case.id == cases::LOADS);
    if is_wanted || result.verdict.is_bad() {
        note(&mut report, result);
    }
    let components = told.map(|told| told.components).unwrap_or_default();

    let is_meant = |about: &&About| examination.component.as_ref().is_none_or(|name| *name == about.name);
    let subjects: Vec<(Subject, &About)> = (components.iter().filter(is_meant))
        .map(|about| (Subject { role: about.role, name: about.name.clone() }, about))
        .collect();
    let mut plan: Vec<(&Subject, &'static Case, Option<String>)> = Vec::new();
    for (subject, about) in &subjects {
        for case in examination.cases.iter().filter(|case| case.is_about(about.role)) {
            plan.push((subject, case, case.inapplicable(about)));
        }
    }
    let mut results: Vec<Option<CaseResult>> = plan.iter().map(|_| None).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (sender, done) = channel();
        for _ in 0..examination.slot_count.clamp(1, plan.len().max(1)) {
            let (sender, plan, next) = (sender.clone(), &plan, &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((subject, case, inapplicable)) = plan.get(index) else { break };
                    let result = match inapplicable {
                        Some(reason) => skip(subject, case, reason),
                        None => run_component_case(examination, subject, case),
                    };
                    if sender.send((index, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        let mut shown = 0;
        for (index, result) in done {
            results[index] = Some(result);
            while let Some(result) = results.get_mut(shown).and_then(Option::take) {
                note(&mut report, result);
                shown += 1;
            }
        }
    });
    report.components = components;
    report
}

fn skip(subject: &Subject, case: &'static Case, reason: &str) -> CaseResult {
    CaseResult {
        subject: Some(subject.clone()),
        case: case.id,
        verdict: Verdict::Skipped,
        text: reason.to_owned(),
        seconds: 0.0,
    }
}

fn run_component_case(examination: &Examination<'_>, subject: &Subject, case: &'static Case) -> CaseResult {
    let job = Job { subject: Some(subject), case: case.id, time_limit: examination.time_limit };
    let (told, mut result) = run(examination, &job);
    let digest = told.and_then(|told| told.digest);
    if case.is_run_twice && result.verdict == Verdict::Passed {
        let (again, second) = run(examination, &job);
        result.seconds += second.seconds;
        if second.verdict != Verdict::Passed {
            return CaseResult { seconds: result.seconds, ..second };
        }
        if again.and_then(|again| again.digest) != digest {
            result.verdict = Verdict::Failed;
            result.text = "two processes with the same seed make different suggestions".into();
        }
    }
    result
}

/// One child, and what became of it.
fn run(examination: &Examination<'_>, job: &Job<'_>) -> (Option<Told>, CaseResult) {
    let began = Instant::now();
    let ended = match Running::start((examination.command)(job)) {
        Ok(running) => running.end(began + job.time_limit),
        Err(error) => Ended {
            how: Err(format!("the process that should run it cannot be started: {error}")),
            told: None,
            last_words: None,
        },
    };
    let told = ended.told;
    let crashed = match (&ended.how, &told) {
        (Err(reason), _) => Some(reason.clone()),
        (Ok(status), None) => {
            Some(format!("the process ended before the case did: {}", exit_in_words(*status)))
        }
        (Ok(status), Some(_)) if !status.success() => {
            Some(format!("after the case, the process ended badly: {}", exit_in_words(*status)))
        }
        _ => None,
    };
    let (verdict, text) = match (crashed, &told) {
        (Some(reason), _) => (Verdict::Crashed, with_last("its last words", reason, ended.last_words)),
        // a program says there why it did not start
        (None, Some(told)) if told.verdict == Verdict::Failed => {
            let text = with_last("the last line of its standard error", told.text.clone(), ended.last_words);
            (Verdict::Failed, text)
        }
        (None, Some(told)) => (told.verdict, told.text.clone()),
        (None, None) => (Verdict::Crashed, "it told nothing".into()),
    };
    let subject = job.subject.cloned();
    let seconds = began.elapsed().as_secs_f64();
    (told, CaseResult { subject, case: job.case, verdict, text, seconds })
}

fn with_last(what: &str, text: String, line: Option<String>) -> String {
    match line {
        Some(line) => format!("{text}; {what}: {line}"),
        None => text,
    }
}

/// How a child ended.
struct Ended {
    /// Its exit status, or why it was ended.
    how: Result<ExitStatus, String>,
    /// What its standard output says, if it is that.
    told: Option<Told>,
    /// The last line of standard error that says anything.
    last_words: Option<String>,
}

/// A child whose outputs are read as it writes them.
struct Running {
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_closed: Receiver<()>,
}

impl Running {
    fn start(mut command: Command) -> std::io::Result<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            // what it starts in turn is ended with it
            command.process_group(0);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let (sender, stdout) = channel();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(out) = &mut out {
                let _ = out.read_to_end(&mut bytes);
            }
            let _ = sender.send(bytes);
        });
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (closed, stderr_closed) = channel();
        let kept = Arc::clone(&stderr);
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Some(Ok(count @ 1..)) = err.as_mut().map(|err| err.read(&mut buffer)) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..count]);
                let surplus = kept.len().saturating_sub(STDERR_BYTES_MAX);
                kept.drain(..surplus);
            }
            let _ = closed.send(());
        });
        Ok(Self { child, stdout, stderr, stderr_closed })
    }

    /// Waits until it ends, or ends it. Its standard output is closed when it ends: nobody else has it.
    fn end(mut self, until: Instant) -> Ended {
        let began = Instant::now();
        let left = || until.saturating_duration_since(Instant::now());
        let stdout = self.stdout.recv_timeout(left()).ok();
        // it closes its output a moment before it ends
        let mut pause = Duration::from_micros(200);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if left().is_zero() => {
                    self.kill();
                    let limit = until.saturating_duration_since(began).as_secs_f64();
                    break Err(format!("it had not ended after {limit:.0} s, and was ended"));
                }
                Ok(None) => {
                    std::thread::park_timeout(pause.min(left()));
                    pause = (pause * 2).min(Duration::from_millis(20));
                }
                Err(error) => break Err(format!("it cannot be waited for: {error}")),
            }
        };
        let stdout = stdout.or_else(|| self.stdout.recv_timeout(Duration::from_millis(500)).ok());
        let told: Option<Told> = stdout.and_then(|stdout| serde_json::from_slice(stdout.trim_ascii()).ok());
        let is_well = status.as_ref().is_ok_and(ExitStatus::success)
            && told.as_ref().is_some_and(|told| told.verdict != Verdict::Failed);
        if !is_well {
            // its last words may still be on their way; a child of its own may hold the pipe for ever
            let _ = self.stderr_closed.recv_timeout(Duration::from_millis(500));
        }
        let stderr = std::mem::take(&mut *self.stderr.lock().unwrap_or_else(PoisonError::into_inner));
        Ended { how: status, told, last_words: last_words(&stderr) }
    }

    fn kill(&mut self) {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process_group};
            let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            if let Some(group) = group {
                // it may have ended just before
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, time_limit: Duration) -> (Option<Told>, CaseResult) {
        let examination = Examination {
            cases: Vec::new(),
            component: None,
            time_limit,
            slot_count: 1,
            command: &|_| {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", script]);
                command
            },
        };
        run(&examination, &Job { subject: None, case: cases::LOADS, time_limit })
    }

    #[track_caller]
    fn expect(script: &str, verdict: Verdict, part: &str) {
        let (_, result) = shell(script, Duration::from_secs(60));
        assert_eq!(result.verdict, verdict, "{result:?}");
        assert!(result.text.contains(part), "{result:?}");
    }

    #[test]
    fn how_a_child_ends_is_a_result() {
        let told = r#"echo '{"verdict": "failed", "text": "as it is"}'"#;
        expect(told, Verdict::Failed, "as it is");
        let why = "as it is; the last line of its standard error: no module named numpyy";
        expect(&format!("echo no module named numpyy >&2; {told}"), Verdict::Failed, why);
        expect(&format!("{told}; exit 3"), Verdict::Crashed, "exit code 3");
        expect("exit 0", Verdict::Crashed, "exit code 0");
        expect("echo something else", Verdict::Crashed, "before the case did");
        expect("echo oh dear >&2; kill -SEGV $$", Verdict::Crashed, "SIGSEGV); its last words: oh dear");
        // nobody waits long for what holds only the other pipe
        expect(&format!("{told}; sleep 100 >/dev/null &"), Verdict::Failed, "as it is");
    }

    #[test]
    fn a_child_that_hangs_is_ended_with_what_it_started() {
        let began = Instant::now();
        let (told, result) = shell("sleep 300 & sleep 300", Duration::from_millis(200));
        assert_eq!((told, result.verdict), (None, Verdict::Crashed));
        assert!(result.text.contains("had not ended"), "{result:?}");
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}
