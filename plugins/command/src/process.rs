//! Runs a program in a process group of its own, reads what it prints, and ends it, with all its children, in
//! time.
//!
//! Nothing that the program does can fill our memory or hold us up: logs and lines are bounded, its pipes are
//! always drained, and after the grace time the group is killed. A child that leaves the group (`setsid`) is
//! beyond reach. What a host that was killed left running is `left_over`'s business.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::left_over::Note;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How often a silent program is looked after.
const TICK: Duration = Duration::from_millis(50);
/// How long we read on after the program has ended, should a child beyond reach hold its output open.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);
/// A longer line is ordinary output, whatever it looks like.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Lines read ahead; more wait in the pipe.
const LINES_AHEAD_MAX: usize = 64;
/// How much of the end of stderr is kept for messages.
const STDERR_TAIL_BYTES: usize = 4096;

/// What to run, and within which bounds.
#[derive(Debug)]
pub struct Invocation {
    /// An absolute path.
    pub program: PathBuf,
    /// What comes after it.
    pub arguments: Vec<String>,
    /// Changes to our own environment; `None` removes a variable.
    pub environment: Vec<(String, Option<String>)>,
    /// Where it runs.
    pub working_directory: PathBuf,
    /// What it reads on stdin; nothing if `None`.
    pub stdin: Option<Vec<u8>>,
    /// Where its output goes; it is not kept if `None`.
    pub stdout_log: Option<PathBuf>,
    /// The same for stderr.
    pub stderr_log: Option<PathBuf>,
    /// How much of each is kept.
    pub log_bytes_max: u64,
    /// When it must be over.
    pub deadline: Option<Instant>,
    /// How long it may take to end after SIGTERM.
    pub grace: Duration,
    /// Where it is noted which process it is, as long as it runs.
    pub note: Option<PathBuf>,
}

/// Whether the program may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It may.
    Continue,
    /// End it.
    Stop,
}

/// Why we ended a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// `watch` said so.
    Stop,
    /// The deadline passed.
    Deadline,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Code or signal.
    pub status: ExitStatus,
    /// Set if we ended it.
    pub cause: Option<Cause>,
    /// Whether it outlived the grace time.
    pub outlived_grace: bool,
    /// The last lines of stderr in one, possibly none.
    pub stderr_tail: String,
}

/// Runs a program to its end. `watch` gets every line of stdout that begins with `{`, and `None` in between,
/// at least every 50 ms; the program is ended when it says so or when the deadline passes. All processes of
/// its group are gone afterwards.
///
/// # Errors
/// When the program cannot be started or a log cannot be created.
pub fn run(invocation: Invocation, mut watch: impl FnMut(Option<&str>) -> Flow) -> Result<Ended, String> {
    let create_log = |path: &Option<PathBuf>| match path {
        None => Ok(None),
        Some(path) => {
            File::create(path).map(Some).map_err(|error| format!("cannot write {}: {error}", path.display()))
        }
    };
    let log_bytes_max = invocation.log_bytes_max;
    let stdout_log = Log { file: create_log(&invocation.stdout_log)?, bytes_left: log_bytes_max };
    let stderr_log = Log { file: create_log(&invocation.stderr_log)?, bytes_left: log_bytes_max };

    let note = Note::announce(invocation.note.as_deref());
    let mut group = Group::spawn(&invocation)?;
    note.complete(group.id);
    let (sender, receiver) = sync_channel(LINES_AHEAD_MAX);
    let tail = Arc::new(Mutex::new(VecDeque::new()));
    group.start_threads(&sender, invocation.stdin, stdout_log, stderr_log, Arc::clone(&tail))?;
    drop(sender);

    let mut open_pipes = 2;
    let mut has_exited = false;
    let mut ended: Option<(ExitStatus, Instant)> = None;
    let mut termination: Option<(Cause, Instant)> = None;
    let mut outlived_grace = false;
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(Event::Line(line)) => {
                if termination.is_none() && watch(Some(&line)) == Flow::Stop {
                    // Said of a program that has ended meanwhile it still counts, or quick machines and slow
                    // ones would differ; but its number may be another's by now.
                    let since = if ended.is_none() { group.terminate() } else { Instant::now() };
                    termination = Some((Cause::Stop, since));
                }
            }
            Ok(Event::PipeClosed) => open_pipes -= 1,
            Ok(Event::Exited) => has_exited = true,
            Err(RecvTimeoutError::Timeout) => {}
            // All threads are done.
            Err(RecvTimeoutError::Disconnected) => (open_pipes, has_exited) = (0, true),
        }
        let now = Instant::now();
        // Children that we asked to end have the rest of the grace time, as long as they hold a pipe open;
        // those of a program that ended by itself have none.
        let is_grace_over =
            termination.is_none_or(|(_, since)| now.duration_since(since) >= invocation.grace);
        if has_exited && ended.is_none() && (is_grace_over || open_pipes == 0) {
            outlived_grace |= termination.is_some() && open_pipes > 0;
            let status =
                group.kill_and_reap().map_err(|error| format!("cannot wait for the program: {error}"))?;
            ended = Some((status, now));
        }
        if let Some((status, since)) = ended {
            if open_pipes == 0 || now.duration_since(since) > DRAIN_TIME_MAX {
                let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                let cause = termination.map(|(cause, _)| cause);
                return Ok(Ended { status, cause, outlived_grace, stderr_tail: last_lines(&tail) });
            }
            continue;
        }
        match termination {
            None if has_exited => {}
            None => {
                let cause = if invocation.deadline.is_some_and(|deadline| now >= deadline) {
                    Some(Cause::Deadline)
                } else {
                    (watch(None) == Flow::Stop).then_some(Cause::Stop)
                };
                termination = cause.map(|cause| (cause, group.terminate()));
            }
            Some(_) if is_grace_over && !outlived_grace => {
                outlived_grace = true;
                group.signal(Signal::KILL);
            }
            Some(_) => {}
        }
    }
}

/// What the threads tell.
enum Event {
    Line(String),
    PipeClosed,
    Exited,
}

/// The leader of a process group. It is not reaped before the group is killed: as long as it is a zombie, no
/// stranger can be given its number, so that our signals hit the right processes.
struct Group {
    leader: Child,
    id: Pid,
    is_reaped: bool,
}

impl Group {
    fn spawn(invocation: &Invocation) -> Result<Group, String> {
        let mut command = Command::new(&invocation.program);
        command
            .args(&invocation.arguments)
            .current_dir(&invocation.working_directory)
            .stdin(if invocation.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, value) in &invocation.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let leader = command.spawn().map_err(|error| {
            format!(
                "cannot start {} in {}: {error}",
                invocation.program.display(),
                invocation.working_directory.display()
            )
        })?;
        let id = Pid::from_child(&leader);
        Ok(Group { leader, id, is_reaped: false })
    }

    /// One thread for each pipe and one that waits for the exit. Each ends when its work does.
    fn start_threads(
        &mut self,
        sender: &SyncSender<Event>,
        stdin: Option<Vec<u8>>,
        stdout_log: Log,
        stderr_log: Log,
        tail: Arc<Mutex<VecDeque<u8>>>,
    ) -> Result<(), String> {
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let started = thread::Builder::new().name(format!("command-{name}")).spawn(work);
            started.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
        };
        if let (Some(mut pipe), Some(bytes)) = (self.leader.stdin.take(), stdin) {
            // A program that does not read its input is none of our business.
            start("stdin", Box::new(move || drop(pipe.write_all(&bytes))))?;
        }
        if let Some(pipe) = self.leader.stdout.take() {
            let sender = sender.clone();
            start("stdout", Box::new(move || read_stdout(pipe, stdout_log, &sender)))?;
        }
        if let Some(pipe) = self.leader.stderr.take() {
            let sender = sender.clone();
            start("stderr", Box::new(move || read_stderr(pipe, stderr_log, &tail, &sender)))?;
        }
        let (id, sender) = (self.id, sender.clone());
        start(
            "wait",
            Box::new(move || {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                while waitid(WaitId::Pid(id), options).is_err_and(|error| error == rustix::io::Errno::INTR) {}
                drop(sender.send(Event::Exited));
            }),
        )
    }

    /// Sends a signal to every process of the group; that none is left is no error.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.id, signal);
    }

    /// Asks the group to end, the stopped ones too, and says when that was.
    fn terminate(&self) -> Instant {
        self.signal(Signal::TERM);
        self.signal(Signal::CONT);
        Instant::now()
    }

    fn kill_and_reap(&mut self) -> io::Result<ExitStatus> {
        self.signal(Signal::KILL);
        self.is_reaped = true;
        self.leader.wait()
    }
}

impl Drop for Group {
    /// For every way out of `run` but the good one.
    fn drop(&mut self) {
        if !self.is_reaped {
            drop(self.kill_and_reap());
        }
    }
}

/// A file that takes so many bytes and no more.
struct Log {
    file: Option<File>,
    bytes_left: u64,
}

impl Log {
    /// A log that cannot be written is given up; the program and its metrics matter more.
    fn write(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let kept = bytes.len().min(usize::try_from(self.bytes_left).unwrap_or(usize::MAX));
        self.bytes_left -= kept as u64;
        let mut result = file.write_all(&bytes[..kept]);
        let is_full = kept < bytes.len();
        if is_full && result.is_ok() {
            result = file.write_all(b"\n[the rest was not kept: see log_bytes_max]\n");
        }
        if is_full || result.is_err() {
            self.file = None;
        }
    }
}

/// Reads a pipe to its end.
fn read_all(mut pipe: impl Read, mut take: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn read_stdout(pipe: impl Read, mut log: Log, sender: &SyncSender<Event>) {
    let mut lines = Lines::default();
    let mut send = |line: String| drop(sender.send(Event::Line(line)));
    read_all(pipe, |bytes| {
        log.write(bytes);
        lines.take(bytes, &mut send);
    });
    lines.finish(&mut send);
    drop(sender.send(Event::PipeClosed));
}

fn read_stderr(pipe: impl Read, mut log: Log, tail: &Mutex<VecDeque<u8>>, sender: &SyncSender<Event>) {
    read_all(pipe, |bytes| {
        log.write(bytes);
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(&bytes[bytes.len().saturating_sub(STDERR_TAIL_BYTES)..]);
        let surplus = tail.len().saturating_sub(STDERR_TAIL_BYTES);
        tail.drain(..surplus);
    });
    drop(sender.send(Event::PipeClosed));
}

/// Puts lines together and lets those through that begin with `{`.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    /// Whether the line at hand is ordinary output or too long, so that its rest is not kept.
    is_ordinary: bool,
}

impl Lines {
    /// Takes the next bytes and emits every line that they end.
    pub fn take(&mut self, bytes: &[u8], emit: &mut impl FnMut(String)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.is_ordinary {
                let first = self.line.iter().chain(piece).find(|byte| !byte.is_ascii_whitespace());
                self.is_ordinary =
                    first.is_some_and(|byte| *byte != b'{') || self.line.len() + piece.len() > LINE_BYTES_MAX;
                if !self.is_ordinary {
                    self.line.extend_from_slice(piece);
                }
            }
            if piece.ends_with(b"\n") {
                self.finish(emit);
            }
        }
    }

    /// Emits the last line, which may lack its end.
    pub fn finish(&mut self, emit: &mut impl FnMut(String)) {
        let text = String::from_utf8_lossy(&self.line);
        if !self.is_ordinary && !text.trim().is_empty() {
            emit(text.trim().to_owned());
        }
        self.line.clear();
        self.is_ordinary = false;
    }
}

/// The last three lines that say something, in one and at most 300 characters.
fn last_lines(tail: &VecDeque<u8>) -> String {
    let bytes: Vec<u8> = tail.iter().copied().collect();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(as_seen).filter(|line| !line.is_empty()).collect();
    let joined = lines[lines.len().saturating_sub(3)..].join(" | ");
    let character_count = joined.chars().count();
    joined.chars().skip(character_count.saturating_sub(300)).collect()
}

/// A line as a terminal would show it in the end: what was written over with a carriage return is gone, and so are colours and
/// other control sequences.
fn as_seen(line: &str) -> String {
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let mut seen = String::with_capacity(last.len());
    let mut characters = last.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // ESC [ parameters letter (ECMA-48, 5.4)
            '\x1b' if characters.peek() == Some(&'[') => {
                characters.next();
                while characters.next().is_some_and(|next| !('@'..='~').contains(&next)) {}
            }
            '\t' => seen.push(' '),
            character if character.is_control() => {}
            character => seen.push(character),
        }
    }
    seen.trim().to_owned()
}

/// The name of the signal that ended a program, with a number where there is no common name.
pub fn signal_name(status: ExitStatus) -> Option<String> {
    let number = status.signal()?;
    let names = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::TRAP, "SIGTRAP"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::KILL, "SIGKILL"),
        (Signal::USR1, "SIGUSR1"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::XFSZ, "SIGXFSZ"),
    ];
    let name = names.iter().find(|(signal, _)| signal.as_raw() == number).map(|(_, name)| (*name).to_owned());
    Some(name.unwrap_or_else(|| format!("signal {number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut emitted = Vec::new();
        for piece in pieces {
            lines.take(piece, &mut |line| emitted.push(line));
        }
        lines.finish(&mut |line| emitted.push(line));
        emitted
    }

    #[test]
    fn lines_are_put_together_across_reads() {
        let expected = vec!["{\"a\": 1}".to_owned(), "{\"b\": 2}".to_owned(), "{}".to_owned()];
        assert_eq!(lines(&[b"noise\n{\"a\"", b": 1}\r\n\n  {\"b\": 2}\nno {}\n", b"  ", b"{}"]), expected);
        // Every way of cutting gives the same.
        let text = b"x\n {\"a\": 1}\ny{\n{\"b\": 2}\n{}";
        for first in 0..text.len() {
            for second in first..text.len() {
                assert_eq!(lines(&[&text[..first], &text[first..second], &text[second..]]), expected);
            }
        }
    }

    #[test]
    fn overlong_lines_are_dropped_and_reading_goes_on() {
        let long = vec![b'{'; LINE_BYTES_MAX];
        assert_eq!(lines(&[&long, b"}", b"}}\n{\"a\": 1}\n"]), ["{\"a\": 1}"]);
    }

    #[test]
    fn the_end_of_an_output_is_as_a_terminal_shows_it() {
        let of = |text: &str| last_lines(&text.bytes().collect());
        let bar = " 10%|#   |\r 20%|##  |\x1b[A\r100%|####|\n";
        assert_eq!(
            of(&format!("{bar}\x1b[1;31mValueError\x1b[0m:\tbad\x07\n")),
            "100%|####| | ValueError: bad"
        );
        assert_eq!(of("a\x1b"), "a");
        assert_eq!(of("a\x1b[3"), "a");
        assert_eq!(of("\r\n\n"), "");
    }

    #[test]
    fn the_tail_is_the_end() {
        let tail: VecDeque<u8> = b"first\n\nsecond\n third \n\xff\n".iter().copied().collect();
        assert_eq!(last_lines(&tail), "second | third | \u{fffd}");
        let long: VecDeque<u8> = "é".repeat(1000).into_bytes().into();
        assert_eq!(last_lines(&long), "é".repeat(300));
        assert_eq!(last_lines(&VecDeque::new()), "");
    }
}
