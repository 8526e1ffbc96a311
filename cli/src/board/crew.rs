//! Workers that are started: as processes of this machine, or by Slurm. Whoever starts them places them and no more;
//! what they run is for the board to say.

use crate::error::Error;
use crate::journal::Location;
use crate::plugins::own_executable;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Workers that nobody asks end after this time, so that a host that was killed leaves none behind for long.
const PATIENCE_SECONDS: u64 = 60;
/// How often workers are looked after.
const ROUND: Duration = Duration::from_millis(100);
/// Workers that end although there is work are started anew, so often in all.
const RESTART_COUNT_MAX: u32 = 100;
/// How long a worker may take to end, before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// Workers on this machine.
pub struct Crew {
    is_ending: Arc<AtomicBool>,
    keeper: JoinHandle<Vec<Child>>,
}

impl Crew {
    /// Starts so many workers.
    pub fn start(location: &Location, study: &str, count: u32, slot_count: u32) -> Result<Self, Error> {
        let start = {
            let (location, study) = (location.clone(), study.to_owned());
            move || {
                Command::new(own_executable())
                    .args(worker_arguments(&location, &study, slot_count, PATIENCE_SECONDS))
                    .arg("--quiet")
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
            }
        };
        let failed = |error| Error::Io { path: own_executable(), error };
        let mut workers = Vec::new();
        for _ in 0..count {
            workers.push(start().map_err(failed)?);
        }
        let is_ending = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_ending);
        let keep = move || {
            let mut restart_count = 0;
            while !flag.load(Ordering::SeqCst) {
                for worker in &mut workers {
                    let Ok(Some(status)) = worker.try_wait() else { continue };
                    // one that ended by itself was told so
                    if status.success() || restart_count >= RESTART_COUNT_MAX || flag.load(Ordering::SeqCst) {
                        continue;
                    }
                    restart_count += 1;
                    let _ = writeln!(
                        std::io::stderr(),
                        "warning: a worker ended ({status}); another one is started"
                    );
                    if let Ok(another) = start() {
                        *worker = another;
                    }
                }
                thread::sleep(ROUND);
            }
            workers
        };
        let keeper = thread::Builder::new().name("crew".into()).spawn(keep).map_err(failed)?;
        Ok(Self { is_ending, keeper })
    }

    /// Waits for them to end; `is_done`: by themselves, else they are told to.
    pub fn end(self, is_done: bool) {
        self.is_ending.store(true, Ordering::SeqCst);
        let Ok(mut workers) = self.keeper.join() else { return };
        if !is_done {
            workers.iter().for_each(terminate);
        }
        let until = Instant::now() + END_PATIENCE;
        for worker in &mut workers {
            while worker.try_wait().is_ok_and(|status| status.is_none()) {
                if Instant::now() >= until {
                    let _ = worker.kill();
                }
                thread::sleep(ROUND / 10);
            }
        }
    }
}

/// Tells a process to end in order.
#[cfg(unix)]
fn terminate(worker: &Child) {
    if let Some(process) = i32::try_from(worker.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // it may have ended just before
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
    }
}

#[cfg(not(unix))]
fn terminate(_: &Child) {}

fn worker_arguments(location: &Location, study: &str, slot_count: u32, patience: u64) -> Vec<String> {
    let (location, slots, patience) = (location.to_string(), slot_count.to_string(), patience.to_string());
    ["worker", "--study", study, "--store", &location, "--slots", &slots, "--patience", &patience]
        .map(str::to_owned)
        .to_vec()
}

/// Submits workers to Slurm as a job array, and gives what it said. Each ends with the study, hands back what it has
/// when it is told to end, and is queued anew if its node dies.
pub fn submit(location: &Location, study: &str, count: u32, slot_count: u32) -> Result<String, Error> {
    let mut command = Command::new("sbatch");
    command.args(slurm_arguments(location, study, count, slot_count)?);
    let output = command.output().map_err(|error| Error::Io { path: "sbatch".into(), error })?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(said(&output.stdout)),
        false => Err(Error::Usage(format!(
            "Slurm did not take the workers of study {study}: {}; the study goes on with ansatz resume --on slurm",
            said(&output.stderr)
        ))),
    }
}

fn slurm_arguments(
    location: &Location,
    study: &str,
    count: u32,
    slot_count: u32,
) -> Result<Vec<String>, Error> {
    let executable = std::env::current_exe().map_err(|error| Error::Io { path: "ansatz".into(), error })?;
    let mut words = vec![quoted(&executable.display().to_string())];
    // a job may wait long for its turn, and nobody asks while the asker is started anew
    words.extend(worker_arguments(location, study, slot_count, 600).iter().map(|word| quoted(word)));
    Ok(vec![
        format!("--job-name=ansatz-{study}"),
        format!("--array=0-{}", count - 1),
        format!("--cpus-per-task={slot_count}"),
        "--requeue".into(),
        "--open-mode=append".into(),
        // thirty seconds before the end, to the worker, which takes the place of the shell
        "--signal=B:TERM@30".into(),
        "--export=ALL".into(),
        format!("--wrap=exec {}", words.join(" ")),
    ])
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%=,+".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_array_is_of_workers_and_holds_no_secret() {
        let location: Location = "postgres://eva@db/tuning".parse().unwrap();
        let arguments = slurm_arguments(&location, "my study's", 200, 4).unwrap();
        assert!(
            arguments.contains(&"--array=0-199".to_owned()) && arguments.contains(&"--requeue".to_owned())
        );
        let wrap = arguments.last().unwrap();
        assert!(wrap.starts_with("--wrap=exec "), "{wrap}");
        assert!(
            wrap.ends_with(
                "worker --study 'my study'\\''s' --store postgres://eva@db/tuning --slots 4 --patience 600"
            ),
            "{wrap}"
        );
    }
}
