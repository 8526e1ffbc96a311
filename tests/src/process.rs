//! A child process that can never make a test hang: it is waited for with a limit, and killed when the
//! test ends.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A child that has not ended yet, as far as anybody knows.
pub struct Running {
    child: Child,
    /// What was written to standard output (0) and standard error (1), each when it is closed.
    closed: Receiver<(usize, Vec<u8>)>,
    output: [Option<Vec<u8>>; 2],
}

/// A child that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Running {
    /// Starts a child; its outputs are read as it writes them. Standard input stays as the caller set it.
    pub fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the child starts");
        let (sender, closed) = channel();
        let read = |index: usize, mut pipe: Box<dyn Read + Send>| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = pipe.read_to_end(&mut bytes);
                let _ = sender.send((index, bytes));
            });
        };
        read(0, Box::new(child.stdout.take().expect("it is piped")));
        read(1, Box::new(child.stderr.take().expect("it is piped")));
        Self { child, closed, output: [None, None] }
    }

    /// The child's standard input, if it was piped and nobody has taken it.
    pub fn take_stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until both outputs are closed, which a process does at its end, at most `limit`. Gives the
    /// running child back if it goes on.
    pub fn wait(mut self, limit: Duration) -> Result<Ended, Running> {
        let until = Instant::now() + limit;
        while self.output.iter().any(Option::is_none) {
            match self.closed.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok((index, bytes)) => self.output[index] = Some(bytes),
                Err(_) => return Err(self),
            }
        }
        let status = self.child.wait().expect("a child can be waited for");
        let [stdout, stderr] = [0, 1].map(|index| {
            String::from_utf8_lossy(self.output[index].as_deref().unwrap_or_default()).into_owned()
        });
        Ok(Ended { status, stdout, stderr })
    }

    /// Kills it at once: SIGKILL on Unix. It may have ended just before.
    pub fn kill(mut self) -> Ended {
        let _ = self.child.kill();
        self.wait(Duration::from_secs(30)).unwrap_or_else(|_| panic!("a killed process did not end"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // after `wait` the child is reaped, and this does nothing
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// The exit code; `None` after a signal.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether SIGKILL ended it.
    #[cfg(unix)]
    pub fn was_killed(&self) -> bool {
        use std::os::unix::process::ExitStatusExt;
        self.status.signal() == Some(9)
    }

    /// Checks the exit code, and that the host did not panic on the way. What it says of plugins that did
    /// is its business.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{self}");
        let panicked =
            self.stderr.lines().any(|line| line.starts_with("thread '") && line.contains("panicked at"));
        assert!(!panicked, "{self}");
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    /// Checks that standard error is one short message, and that it says all of this.
    #[track_caller]
    pub fn expect_message(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stderr.contains(part), "nothing about {part:?}\n{self}");
        }
        assert!(self.stderr.lines().count() < 15, "that is no short message\n{self}");
        // a plugin that panics logs a line of its own
        let errors = self
            .stderr
            .lines()
            .filter(|line| line.starts_with("error: ") && !line.starts_with("error: plugin ("));
        assert_eq!(errors.count(), 1, "one message, please\n{self}");
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, stdout, stderr } = self;
        write!(formatter, "{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// Kills a process that is no child of ours; it may have ended meanwhile.
pub fn kill(process: u32) {
    let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
}
