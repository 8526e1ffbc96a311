//! Standard output that is ours alone. A plugin shares our process, and some print: what they print goes to
//! standard error, so that nothing of theirs gets between the lines that a program reads from us.

use std::fs::File;
use std::io::{self, Write};
use std::sync::OnceLock;

static OURS: OnceLock<File> = OnceLock::new();

/// Takes standard output for ourselves, before any plugin is loaded. Programs that we start do not inherit it.
/// Where that is impossible it stays shared.
pub fn claim_stdout() {
    #[cfg(unix)]
    if let Ok(ours) = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)
        && rustix::stdio::dup2_stdout(io::stderr()).is_ok()
    {
        let _ = OURS.set(File::from(ours));
    }
}

/// What standard output was when the process began.
pub fn stdout() -> Box<dyn Write> {
    match OURS.get().map(File::try_clone) {
        Some(Ok(file)) => Box::new(file),
        _ => Box::new(io::stdout()),
    }
}
