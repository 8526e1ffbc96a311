//! This executable as a worker: it serves one plugin to the host that started it.

use crate::args::WorkerArgs;
use crate::error::Exit;
use ansatz_plugin_host::worker;
use std::io::Write;
use std::process::ExitCode;

/// Serves the plugin until the host goes away.
pub fn serve(args: &WorkerArgs) -> ExitCode {
    let failed = |message: String| {
        let _ = writeln!(std::io::stderr(), "error: {message}");
        ExitCode::from(Exit::Plugin as u8)
    };
    if let Err(error) = worker::confine(args.memory) {
        return failed(format!("the worker cannot be confined: {error}"));
    }
    if let Some(folder) = &args.program {
        return failed(worker::become_program(folder));
    }
    match args.library.as_deref().map(worker::serve_library) {
        Some(Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => failed(error.to_string()),
        _ => ExitCode::SUCCESS,
    }
}
