//! A plugin's process as the host sees it: started, spoken with line by line under a deadline, and ended.
//!
//! Whatever the other side does, a call here comes back: with a line, or with what became of the process. Our
//! ends of the pipes do not block, and every wait has an end.

use super::protocol::{self, Greeting, Introduction, Reply, Request};
use ansatz_core::abi::Fault;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// How long a process has to end by itself once its input is closed.
const FAREWELL: Duration = Duration::from_millis(500);
/// A longer line is no answer.
const LINE_BYTES_MAX: usize = 256 << 20;
/// How long a process has at least to start and to make what it is asked for: interpreters load a lot before that.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often we look whether a process that says nothing is still there.
const LIFE_TICK: Duration = Duration::from_millis(200);
/// How much is read at a time.
const CHUNK_BYTES: usize = 8 << 10;
/// How much that was handed out already is kept before what follows is moved to the front.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// How much of a log is looked at for its last line.
const LOG_TAIL_BYTES: u64 = 4096;

/// How to start workers, and what they may use.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The host's own executable.
    pub executable: PathBuf,
    /// Its hidden subcommand that serves a library or becomes a program.
    pub subcommand: &'static str,
    /// How long one call may take, other than an evaluation.
    pub call_timeout: Duration,
    /// How much address space a worker may use.
    pub memory_bytes_max: Option<u64>,
    /// Where what it writes to standard error is kept; without it, it appears on ours.
    pub log: Option<PathBuf>,
}

/// What a worker serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// A library, loaded by the worker.
    Library(PathBuf),
    /// The program of the `plugin.toml` in this folder.
    Program(PathBuf),
}

/// What a process writes to standard error: the part of a file from where it began.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    from: u64,
}

/// A process that could not be started, or did not introduce itself.
#[derive(Debug)]
pub struct NoProcess {
    /// Why.
    pub broken: Broken,
    /// What it wrote.
    pub log: Option<Log>,
}

impl NoProcess {
    /// What happened, in words.
    pub fn describe(&self) -> String {
        self.broken.describe(self.log.as_ref())
    }
}

/// Why a call came back without an answer. The process is of no more use.
#[derive(Debug)]
pub enum Broken {
    /// It could not be started.
    NotStarted(std::io::Error),
    /// It ended; how, if that is known.
    Ended(Option<ExitStatus>),
    /// It took longer than this, and was killed.
    TimedOut(Duration),
    /// What it wrote is no answer.
    Garbled(String),
    /// It does not want to be used, and says why.
    Refused(String),
}

/// Why nothing was made.
enum Unmade {
    /// The plugin says why.
    Refused(Fault),
    /// Its process does not.
    Broken(Broken, Option<Log>),
}

fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

/// What a wait for a line ended with.
pub enum Heard {
    /// A line.
    Reply(Box<Reply>),
    /// Nothing, until the time asked for.
    Nothing,
}

/// A running plugin process. Dropping it ends it.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    read: Vec<u8>,
    /// How much of `read` was handed out already.
    used: usize,
    log: Option<Log>,
    /// It was ended, with its group: the number may be another process's by now.
    is_ended: bool,
    call_timeout: Duration,
    /// Who speaks, where it does not say so itself.
    speaker: Option<String>,
}

impl Process {
    /// Starts a process and greets it.
    pub fn start(launch: &Launch, served: &Served) -> Result<(Self, Introduction), NoProcess> {
        let (log, file) = launch.log.as_deref().and_then(open_log).unzip();
        let mut process = Self::spawn(launch, served, file, log.clone())
            .map_err(|broken| NoProcess { broken, log: log.clone() })?;
        process
            .greet()
            .map(|introduction| (process, introduction))
            .map_err(|broken| NoProcess { broken, log })
    }

    /// Starts a process and makes in it what a line says. One that is killed on the way is replaced once: nobody does that to
    /// itself, and where memory has run out it may be there again.
    pub fn make(launch: &Launch, served: &Served, creation: &str) -> Result<(Self, Introduction), Fault> {
        let made = Self::make_once(launch, served, creation);
        match made {
            Err(Unmade::Broken(Broken::Ended(Some(status)), _)) if was_killed(status) => {
                Self::make_once(launch, served, creation)
            }
            other => other,
        }
        .map_err(|unmade| match unmade {
            Unmade::Refused(fault) => fault,
            Unmade::Broken(broken, log) => super::crashed(&broken, log.as_ref()),
        })
    }

    fn make_once(launch: &Launch, served: &Served, creation: &str) -> Result<(Self, Introduction), Unmade> {
        let (mut process, introduction) =
            Self::start(launch, served).map_err(|error| Unmade::Broken(error.broken, error.log))?;
        let broken = match process.call_line(creation) {
            Ok(Reply::Ok {}) => {
                process.limit_calls(launch.call_timeout);
                return Ok((process, introduction));
            }
            Ok(Reply::Fault(fault)) => return Err(Unmade::Refused(fault.into())),
            Ok(other) => unexpected("create", &other),
            Err(broken) => broken,
        };
        Err(Unmade::Broken(broken, process.log.clone()))
    }

    fn spawn(
        launch: &Launch,
        served: &Served,
        log_file: Option<File>,
        log: Option<Log>,
    ) -> Result<Self, Broken> {
        let mut command = Command::new(&launch.executable);
        command.arg(launch.subcommand);
        if let Some(bytes) = launch.memory_bytes_max {
            command.arg("--memory").arg(bytes.to_string());
        }
        match served {
            Served::Library(path) => command.arg("--library").arg(path),
            Served::Program(folder) => command.arg("--program").arg(folder),
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file.map_or_else(Stdio::inherit, Stdio::from))
            // a group of its own: it is ended with all its children, and a terminal's Ctrl-C is ours to handle
            .process_group(0);
        let mut child = start_from_lasting_thread(command).map_err(Broken::NotStarted)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Broken::NotStarted(ErrorKind::BrokenPipe.into()));
        };
        let unblocked =
            rustix::io::ioctl_fionbio(&input, true).and_then(|()| rustix::io::ioctl_fionbio(&output, true));
        let process = Self {
            child,
            input: Some(input),
            output,
            read: Vec::new(),
            used: 0,
            log,
            is_ended: false,
            call_timeout: launch.call_timeout.max(START_TIMEOUT),
            speaker: match served {
                Served::Library(_) => None,
                Served::Program(folder) => folder.file_name().map(|name| name.to_string_lossy().into_owned()),
            },
        };
        unblocked.map_err(|error| Broken::NotStarted(error.into()))?;
        Ok(process)
    }

    fn greet(&mut self) -> Result<Introduction, Broken> {
        let greeting = Greeting {
            protocol: protocol::PROTOCOL,
            host: concat!("ansatz ", env!("CARGO_PKG_VERSION")).into(),
        };
        match self.call(&Request::Hello(greeting))? {
            Reply::Hello(introduction) => Ok(introduction),
            Reply::Fault(fault) => Err(Broken::Refused(protocol::presentable(&fault.message))),
            other => Err(unexpected("hello", &other)),
        }
    }

    /// Sends a request and waits for its answer; what it logs meanwhile is passed on.
    pub fn call(&mut self, request: &Request) -> Result<Reply, Broken> {
        self.call_line(&line_of(request)?)
    }

    /// The same with the request as a line.
    pub fn call_line(&mut self, line: &str) -> Result<Reply, Broken> {
        self.expect_silence()?;
        let until = Instant::now() + self.call_timeout;
        self.send_line(line, until)?;
        match self.hear(until)? {
            Heard::Reply(reply) => Ok(*reply),
            Heard::Nothing => Err(self.too_late(self.call_timeout)),
        }
    }

    /// Sends a line without waiting for an answer, within so long.
    pub fn send(&mut self, message: &impl serde::Serialize, limit: Duration) -> Result<(), Broken> {
        self.send_line(&line_of(message)?, Instant::now() + limit)
    }

    /// Whoever says something without being asked would answer the next request with it. Also notices a process that
    /// has ended.
    pub fn expect_silence(&mut self) -> Result<(), Broken> {
        match self.hear(Instant::now())? {
            Heard::Nothing => Ok(()),
            Heard::Reply(reply) => {
                let text = in_short(&reply);
                Err(Broken::Garbled(format!("it said {text} without being asked")))
            }
        }
    }

    /// Starting up is over: from here on each call has its own limit.
    pub fn limit_calls(&mut self, call_timeout: Duration) {
        self.call_timeout = call_timeout;
    }

    /// Lets it end while others are told the same.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    fn send_line(&mut self, line: &str, until: Instant) -> Result<(), Broken> {
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            let Some(input) = &mut self.input else { return Err(self.ended()) };
            match input.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !wait(input.as_fd(), PollFlags::OUT, until) {
                        return Err(self.too_late(self.call_timeout));
                    }
                }
                Err(_) => return Err(self.ended()),
            }
        }
        Ok(())
    }

    /// The next line other than a log, at most until then.
    pub fn hear(&mut self, until: Instant) -> Result<Heard, Broken> {
        loop {
            let Some(end) = self.line_end(until)? else { return Ok(Heard::Nothing) };
            let line = &self.read[self.used..end];
            let reply = protocol::read(line).map_err(|error| {
                let start: String =
                    String::from_utf8_lossy(&line[..line.len().min(320)]).chars().take(80).collect();
                Broken::Garbled(format!("{start:?} is no answer: {error}"))
            });
            self.pass_over(end + 1);
            match reply? {
                Reply::Log { level, message } => self.pass_on(&level, &message),
                reply => return Ok(Heard::Reply(Box::new(reply))),
            }
            // who logs without a pause must not keep us for ever
            if Instant::now() >= until {
                return Ok(Heard::Nothing);
            }
        }
    }

    /// What it logs. A library says itself which part of it speaks, a program has only one.
    fn pass_on(&self, level: &str, message: &str) {
        let level = ["error", "warning", "info", "debug"].into_iter().find(|known| *known == level);
        // more than warnings is for whoever looks for it: the host has no such view
        let Some(level @ ("error" | "warning")) = level.or(Some("warning")) else { return };
        let message = protocol::presentable(message).replace('\n', " ");
        match &self.speaker {
            Some(speaker) => crate::log(level, &format!("({speaker}): {message}")),
            None => crate::log(level, &message),
        }
    }

    /// Where the next line ends, once all of it is there.
    fn line_end(&mut self, until: Instant) -> Result<Option<usize>, Broken> {
        let mut searched = self.used;
        loop {
            if let Some(length) = memchr::memchr(b'\n', &self.read[searched..]) {
                return Ok(Some(searched + length));
            }
            searched = self.read.len();
            if searched - self.used > LINE_BYTES_MAX {
                return Err(Broken::Garbled(format!("a line of more than {LINE_BYTES_MAX} bytes")));
            }
            if !wait(self.output.as_fd(), PollFlags::IN, until.min(Instant::now() + LIFE_TICK)) {
                // something that it started may hold its output open; its own last words are read all the same
                let is_gone = self.child.try_wait().is_ok_and(|status| status.is_some());
                if is_gone && !wait(self.output.as_fd(), PollFlags::IN, Instant::now()) {
                    return Err(self.ended());
                }
                if !is_gone {
                    if Instant::now() >= until {
                        return Ok(None);
                    }
                    continue;
                }
            }
            self.read.resize(searched + CHUNK_BYTES, 0);
            let count = self.output.read(&mut self.read[searched..]);
            self.read.truncate(searched + *count.as_ref().unwrap_or(&0));
            match count {
                Ok(0) => return Err(self.ended()),
                Ok(_) => {}
                Err(error) if [ErrorKind::Interrupted, ErrorKind::WouldBlock].contains(&error.kind()) => {}
                Err(_) => return Err(self.ended()),
            }
            if Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// What was read up to there is done with.
    fn pass_over(&mut self, end: usize) {
        self.used = end;
        if self.used == self.read.len() {
            self.read.clear();
            self.used = 0;
        } else if self.used > KEPT_BYTES_MAX {
            self.read.drain(..self.used);
            self.used = 0;
        }
    }

    /// It closed a pipe: how it ended.
    fn ended(&mut self) -> Broken {
        let status = self.end(FAREWELL);
        Broken::Ended(status)
    }

    /// Kills it for being late.
    pub fn too_late(&mut self, limit: Duration) -> Broken {
        self.end(Duration::ZERO);
        Broken::TimedOut(limit)
    }

    /// Closes its input, and kills its whole group if it is still there after a while.
    fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.input = None;
        if std::mem::replace(&mut self.is_ended, true) {
            return None;
        }
        let until = Instant::now() + patience;
        let mut pause = Duration::from_micros(200);
        let mut status = self.child.try_wait().ok().flatten();
        while status.is_none() && Instant::now() < until {
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
            status = self.child.try_wait().ok().flatten();
        }
        // its children too, also where it ended by itself
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        status.or_else(|| {
            // it may have left its group, and must not keep us waiting
            let _ = self.child.kill();
            let _ = self.child.wait();
            None
        })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where what it wrote to standard error is.
    pub fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(FAREWELL);
        if let Some(log) = &self.log
            && std::fs::metadata(&log.path).is_ok_and(|found| found.len() == 0)
        {
            let _ = std::fs::remove_file(&log.path);
            // the folders too, if nothing else is in them
            for folder in log.path.ancestors().skip(1).take(2) {
                let _ = std::fs::remove_dir(folder);
            }
        }
    }
}

/// A message as a line.
pub fn line_of(message: &impl serde::Serialize) -> Result<String, Broken> {
    let mut line = serde_json::to_string(message)
        .map_err(|error| Broken::Garbled(format!("cannot be sent: {error}")))?;
    line.push('\n');
    Ok(line)
}

/// An answer to something else.
pub fn unexpected(call: &str, reply: &Reply) -> Broken {
    Broken::Garbled(format!("{} is no answer to {call}", in_short(reply)))
}

/// The beginning of a message.
fn in_short(reply: &Reply) -> String {
    serde_json::to_string(reply).unwrap_or_default().chars().take(80).collect()
}

impl Broken {
    /// What happened, in words that follow the name of the plugin and a call: "ended by signal 11 (SIGSEGV)".
    pub fn describe(&self, log: Option<&Log>) -> String {
        let mut text = match self {
            Broken::NotStarted(error) => return format!("cannot be started: {error}"),
            Broken::Ended(Some(status)) => {
                let by = if status.signal().is_some() { "by" } else { "with" };
                format!("ended {by} {}", exit_in_words(*status))
            }
            Broken::Ended(None) => "closed its output, and was killed".to_owned(),
            Broken::TimedOut(limit) => format!("did not answer within {limit:?}, and was killed"),
            Broken::Garbled(what) => format!("broke the protocol: {what}"),
            Broken::Refused(reason) => format!("refuses: {reason}"),
        };
        if let Some((log, last)) = log.and_then(|log| Some((log, log.last_line()?))) {
            text.push_str(&format!("; its output is in {} (last line: {last})", log.path.display()));
        }
        text
    }
}

/// An exit status as people know it: `exit code 3`, or `signal 11 (SIGSEGV)`.
pub fn exit_in_words(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("exit code {}", status.code().unwrap_or_default());
    };
    let name = match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        24 => " (SIGXCPU)",
        _ => "",
    };
    format!("signal {signal}{name}")
}

impl Log {
    /// The last line that says anything, of this process and not of an earlier one.
    fn last_line(&self) -> Option<String> {
        use std::io::Seek;
        let mut file = File::open(&self.path).ok()?;
        let length = file.metadata().ok()?.len();
        let from = length.saturating_sub(LOG_TAIL_BYTES).max(self.from);
        file.seek(std::io::SeekFrom::Start(from)).ok()?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).ok()?;
        last_words(&tail)
    }
}

/// The last line that says anything: Rust's advice on backtraces says nothing.
pub fn last_words(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let says_something =
        |line: &&str| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE");
    let line = text.lines().map(str::trim).rfind(says_something)?;
    Some(line.chars().filter(|c| !c.is_control()).take(200).collect())
}

fn open_log(path: &Path) -> Option<(Log, File)> {
    std::fs::create_dir_all(path.parent()?).ok()?;
    let file = File::options().create(true).append(true).open(path).ok()?;
    let from = file.metadata().ok()?.len();
    Some((Log { path: path.to_owned(), from }, file))
}

/// Waits until a pipe is ready, at most until then; false if it is not.
fn wait(pipe: BorrowedFd<'_>, flags: PollFlags, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(timeout) = Timespec::try_from(left) else { return false };
        let mut waiting = [PollFd::from_borrowed_fd(pipe, flags)];
        match poll(&mut waiting, Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            // the read or write that follows says what is wrong
            Err(_) => return true,
        }
    }
}

/// Workers ask the system to be killed with the thread that started them, so that thread must last as long as
/// the host does.
fn start_from_lasting_thread(command: Command) -> std::io::Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static STARTER: LazyLock<Option<std::sync::Mutex<Sender<Order>>>> = LazyLock::new(|| {
        let (sender, orders) = channel::<Order>();
        let thread = std::thread::Builder::new().name("plugin-starter".into());
        let started = thread.spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        started.ok().map(|_| std::sync::Mutex::new(sender))
    });
    let gone = || std::io::Error::other("no thread to start it from");
    let (answer, started) = channel();
    let starter = STARTER.as_ref().ok_or_else(gone)?;
    let sent = starter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).send((command, answer));
    sent.map_err(|_| gone())?;
    started.recv().map_err(|_| gone())?
}
