//! An installation of the host in a folder of its own: nothing of this machine's user or of other tests
//! is seen, and nothing is left behind.

use crate::libraries::{SHIPPED, file_name, library};
use crate::process::{Ended, Running};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longer than anything here takes on a slow and busy machine, so that a hang ends as a failed test.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// An installed host with its plugins, a folder for the plugins of strangers, and one to work in.
pub struct Scenario {
    folder: TempDir,
}

impl Scenario {
    /// Installs the host and what ships with it. `binary` is the host's executable; `scratch` a folder,
    /// best on the same file system.
    pub fn new(binary: &Path, scratch: &Path) -> Self {
        std::fs::create_dir_all(scratch).expect("the scratch folder can be made");
        let folder =
            tempfile::Builder::new().prefix("ansatz-").tempdir_in(scratch).expect("a folder can be made");
        let scenario = Self { folder };
        for part in ["bin/plugins", "strangers", "home", "work"] {
            std::fs::create_dir_all(scenario.path(part)).expect("a folder can be made");
        }
        // a link by name would be resolved, and the host would find itself elsewhere
        if std::fs::hard_link(binary, scenario.binary()).is_err() {
            put_program(binary, &scenario.binary());
        }
        for package in SHIPPED {
            install(package, &scenario.path("bin/plugins"));
        }
        scenario
    }

    /// A place in the scenario's folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// The host.
    pub fn binary(&self) -> PathBuf {
        self.path("bin/ansatz")
    }

    /// The folder that `ANSATZ_PLUGIN_PATH` names.
    pub fn strangers(&self) -> PathBuf {
        self.path("strangers")
    }

    /// The journal that a manifest gets if it names none.
    pub fn journal(&self) -> PathBuf {
        self.path("work").join(ansatz_cli::manifest::DEFAULT_JOURNAL)
    }

    /// Puts a package's library where strangers put theirs.
    pub fn with(self, package: &str) -> Self {
        install(package, &self.strangers());
        self
    }

    /// Writes a file into the folder to work in.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path("work").join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Writes a file to run into the folder to work in.
    pub fn write_program(&self, name: &str, text: &str) {
        let draft = self.write(&format!("{name}.draft"), text);
        put_program(&draft, &self.path("work").join(name));
        std::fs::remove_file(draft).expect("a file can be removed");
    }

    /// The host with arguments, ready to start in the folder to work in.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary());
        command
            .args(arguments)
            .current_dir(self.path("work"))
            .stdin(Stdio::null())
            .env("HOME", self.path("home"))
            .env_remove("XDG_DATA_HOME")
            .env("ANSATZ_PLUGIN_PATH", self.strangers())
            .env("NO_COLOR", "1")
            .env_remove("RUST_BACKTRACE");
        command
    }

    /// What runs of all that was started here, whoever started it, but for one.
    pub fn processes(&self, but_for: u32) -> Vec<(u32, Victim)> {
        let mark = self.path("home").into_os_string().into_encoded_bytes();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
            // our home is in the environment of all that is started here, and of nothing else
            let is_ours = read("environ").windows(mark.len()).any(|window| window == mark);
            if !is_ours || process == but_for {
                continue;
            }
            let line = read("cmdline");
            // one that is about to become what it is to be looks like the host still
            let is_program = line.starts_with(b"/bin/sh\0") || line.starts_with(b"sleep\0");
            found.push((process, if is_program { Victim::Program } else { Victim::Worker }));
        }
        found
    }

    /// Runs the host to its end.
    #[track_caller]
    pub fn ansatz(&self, arguments: &[&str]) -> Ended {
        finish(Running::start(&mut self.command(arguments)))
    }

    /// Writes a manifest as `study.toml` and runs it.
    #[track_caller]
    pub fn run(&self, manifest: &str) -> Ended {
        self.write("study.toml", manifest);
        self.ansatz(&["run", "study.toml", "--quiet"])
    }
}

/// What a process of a scenario is to whoever kills it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// A host, a worker, or a plugin in a process of its own.
    Worker,
    /// A program of an objective.
    Program,
}

/// Waits for a child that has no reason to go on for long.
#[track_caller]
pub fn finish(child: Running) -> Ended {
    match child.wait(PATIENCE) {
        Ok(ended) => ended,
        Err(running) => panic!("it did not end within {PATIENCE:?}:\n{}", running.kill()),
    }
}

/// Makes a package's library available in a folder.
pub fn install(package: &str, folder: &Path) {
    let (from, to) = (library(package), folder.join(file_name(package)));
    #[cfg(unix)]
    std::os::unix::fs::symlink(from, to).expect("a link can be made");
    #[cfg(not(unix))]
    std::fs::copy(from, to).map(|_| ()).expect("a library can be copied");
}

/// Copies a file to where it is run. Another process writes the copy: if this one did, what another test starts meanwhile
/// would have it open for writing for a moment, and nobody can run such a file.
fn put_program(from: &Path, to: &Path) {
    let status = Command::new("install").args(["-m", "755"]).args([from, to]).status();
    assert!(status.expect("install(1) runs").success(), "{} can be copied", from.display());
}
