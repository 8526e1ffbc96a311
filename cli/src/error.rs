//! Everything that can end a command early, and the exit code that says so.

use crate::journal::JournalError;
use crate::manifest::Diagnostics;
use ansatz_plugin_host::HostError;
use std::fmt;
use std::path::PathBuf;

/// How the process ends. Scripts rely on these numbers: they are never given a new meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Success = 0,
    /// Something outside of the study broke: a file, a pipe, the operating system.
    Failure = 1,
    /// The command line is wrong, or asks for what the study cannot do.
    Usage = 2,
    /// The manifest is wrong.
    Manifest = 3,
    /// A plugin is missing, was refused, broke, or does not answer as recorded.
    Plugin = 4,
    /// The journal cannot be opened, is in use, is damaged, or could not be written.
    Journal = 5,
    /// The study ended without a single completed trial, or because too many trials failed in a row.
    Trials = 6,
    /// There is no such study or trial.
    NotFound = 7,
    /// Interrupted; the study can be resumed.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, as `ansatz --help` shows them.
    pub const ALL: [(Exit, &str); 9] = [
        (Exit::Success, "done"),
        (Exit::Failure, "something outside of the study broke: a file, a pipe, the operating system"),
        (Exit::Usage, "the command line is wrong, or asks for what the study cannot do"),
        (Exit::Manifest, "the manifest is wrong"),
        (Exit::Plugin, "a plugin is missing, was refused, broke, or does not answer as recorded"),
        (Exit::Journal, "the journal cannot be opened, is in use, is damaged, or could not be written"),
        (
            Exit::Trials,
            "there is no best trial (none completed, or none within all bounds), or too many failed in a row",
        ),
        (Exit::NotFound, "there is no such study or trial"),
        (Exit::Interrupted, "interrupted; the study can be resumed"),
    ];
}

/// Why a command ended early.
#[derive(Debug)]
pub enum Error {
    /// The manifest is wrong, in one or several places.
    Manifest(Diagnostics),
    /// The manifest names plugins that cannot be used.
    MissingPlugin(Diagnostics),
    /// A plugin is missing, was refused or refuses the study.
    Plugin(HostError),
    /// A plugin is not the one that `ansatz.lock` means.
    Locked(String),
    /// A plugin cannot be made, built or installed.
    Install(String),
    /// The journal.
    Journal(JournalError),
    /// No such study or trial.
    NotFound(String),
    /// The request does not fit the study: the message says what to do.
    Usage(String),
    /// Workers cannot be started, or none is left.
    Workers(String),
    /// A file or pipe.
    Io {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
}

impl Error {
    /// The exit code of this error.
    pub fn exit(&self) -> Exit {
        match self {
            Error::Manifest(_) => Exit::Manifest,
            Error::MissingPlugin(_) | Error::Plugin(_) | Error::Locked(_) | Error::Install(_) => Exit::Plugin,
            Error::Journal(_) => Exit::Journal,
            Error::NotFound(_) => Exit::NotFound,
            Error::Usage(_) => Exit::Usage,
            Error::Workers(_) | Error::Io { .. } => Exit::Failure,
        }
    }

    /// The error as a person sees it, with colours for a terminal.
    pub fn render(&self, color: bool) -> String {
        match self {
            Error::Manifest(diagnostics) | Error::MissingPlugin(diagnostics) => diagnostics.render(color),
            other => format!("{}: {other}\n", if color { "\x1b[1;31merror\x1b[0m" } else { "error" }),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Manifest(diagnostics) | Error::MissingPlugin(diagnostics) => {
                formatter.write_str(&diagnostics.render(false))
            }
            Error::Plugin(error) => error.fmt(formatter),
            Error::Journal(error) => error.fmt(formatter),
            Error::NotFound(message)
            | Error::Usage(message)
            | Error::Locked(message)
            | Error::Install(message)
            | Error::Workers(message) => formatter.write_str(message),
            Error::Io { path, error } => write!(formatter, "{}: {error}", path.display()),
        }
    }
}
impl std::error::Error for Error {}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Self {
        Error::Manifest(diagnostics)
    }
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        Error::Plugin(error)
    }
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        Error::Journal(error)
    }
}
