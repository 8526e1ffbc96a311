//! Workers that are started: as processes of this machine, or by Slurm. Whoever starts them places them and no more;
//! what they run is for the board to say.

use super::control::Control;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::journal::Location;
use crate::plugins::own_executable;
use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Workers that nobody asks end after this time, so that a host that was killed leaves none behind for long.
const PATIENCE_SECONDS: u64 = 60;
/// A job may wait long for its turn, and nobody asks while the asker is started anew.
const CLUSTER_PATIENCE_SECONDS: u64 = 600;
/// What keeps workers on Ray.
const RAY_DRIVER: &str = include_str!("ray_driver.py");
/// How often workers are looked after.
const ROUND: Duration = Duration::from_millis(100);
/// Workers that end although there is work are started anew, so often in all.
const RESTART_COUNT_MAX: u32 = 100;
/// Workers that end because nobody asked are started anew, but not more often than this.
const IDLE_DISTANCE: Duration = Duration::from_secs(1);
/// How long to wait before it is tried again to start workers, where that failed.
const START_DISTANCE: Duration = Duration::from_secs(10);
/// How long a worker may take to end, before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// Workers on this machine.
pub struct Crew {
    is_ending: Arc<AtomicBool>,
    is_gone: Arc<AtomicBool>,
    keeper: JoinHandle<Vec<Child>>,
}

impl Crew {
    /// Starts so many workers, or from then on as many as are wanted. Once none is left and no more are started,
    /// `interrupt` hears of it.
    pub fn start(
        location: &Location,
        study: &str,
        count: u32,
        slot_count: u32,
        interrupt: &Interrupt,
        control: &Control,
    ) -> Result<Self, Error> {
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
        let is_gone = Arc::new(AtomicBool::new(false));
        let (flag, gone) = (Arc::clone(&is_ending), Arc::clone(&is_gone));
        let (interrupt, control) = (interrupt.clone(), control.clone());
        let keep = move || {
            // those that broke and are not replaced any more
            let (mut restart_count, mut given_up, mut before) = (0, 0, count);
            let mut may_start_at = Instant::now();
            // an interrupt reaches all of a terminal: whoever ends after it is not needed any more
            let is_ending = || flag.load(Ordering::SeqCst) || interrupt.count() > 0;
            while !flag.load(Ordering::SeqCst) {
                let ended = take_ended(&mut workers);
                let wanted = control.wanted().unwrap_or(count);
                if wanted != before {
                    (before, given_up) = (wanted, 0);
                }
                if !is_ending() {
                    for status in ended {
                        if status.success() {
                            // nobody had asked for a while, which is no fault of its own; or it was one too many
                            may_start_at = Instant::now() + IDLE_DISTANCE;
                        } else if restart_count < RESTART_COUNT_MAX {
                            restart_count += 1;
                            let what = match restart_count {
                                RESTART_COUNT_MAX => "another one is started for the last time",
                                _ => "another one is started",
                            };
                            let _ = writeln!(std::io::stderr(), "warning: a worker ended ({status}); {what}");
                        } else {
                            given_up += 1;
                        }
                    }
                    let goal = wanted.saturating_sub(given_up) as usize;
                    // somebody may have started others
                    let are_enough =
                        control.wanted().is_some_and(|wanted| control.present() >= wanted as usize);
                    while workers.len() < goal && !are_enough && Instant::now() >= may_start_at {
                        match start() {
                            Ok(another) => workers.push(another),
                            Err(error) => {
                                let _ =
                                    writeln!(std::io::stderr(), "warning: no worker can be started: {error}");
                                may_start_at = Instant::now() + START_DISTANCE;
                            }
                        }
                    }
                    if workers.is_empty() && goal == 0 && wanted > 0 {
                        gone.store(true, Ordering::SeqCst);
                        interrupt.interrupt();
                        break;
                    }
                }
                thread::sleep(ROUND);
            }
            workers
        };
        let keeper = thread::Builder::new().name("crew".into()).spawn(keep).map_err(failed)?;
        Ok(Self { is_ending, is_gone, keeper })
    }

    /// From here on, whoever ends has nothing left to do.
    pub fn release(&self) {
        self.is_ending.store(true, Ordering::SeqCst);
    }

    /// Why nobody works any more, if that is so.
    pub fn check(&self) -> Result<(), Error> {
        match self.is_gone.load(Ordering::SeqCst) {
            false => Ok(()),
            true => Err(Error::Workers(format!(
                "workers ended {RESTART_COUNT_MAX} times although there was work, and no more are started; their last \
                 messages are above, and ansatz resume goes on with the study"
            ))),
        }
    }

    /// Waits for them to end; `is_done`: by themselves, else they are told to.
    pub fn end(self, is_done: bool) {
        self.release();
        let Ok(mut workers) = self.keeper.join() else { return };
        if !is_done {
            for worker in &mut workers {
                // the number of one that has ended may be another process's by now
                if matches!(worker.try_wait(), Ok(None)) {
                    terminate(worker);
                }
            }
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

/// How a worker is started.
pub(super) fn worker_arguments(
    location: &Location,
    study: &str,
    slot_count: u32,
    patience: u64,
) -> Vec<String> {
    // in one word each: names may begin with a hyphen
    vec![
        "worker".to_owned(),
        format!("--study={study}"),
        format!("--store={location}"),
        format!("--slots={slot_count}"),
        format!("--patience={patience}"),
    ]
}

/// Takes those out that have ended.
fn take_ended(workers: &mut Vec<Child>) -> Vec<ExitStatus> {
    let mut ended = Vec::new();
    workers.retain_mut(|worker| match worker.try_wait() {
        Ok(Some(status)) => {
            ended.push(status);
            false
        }
        _ => true,
    });
    ended
}

/// Who takes jobs that are workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Slurm, as job arrays.
    Slurm,
    /// Ray, as jobs whose driver keeps workers.
    Ray,
}

/// Workers that were submitted to a cluster, and more of them where more are wanted. Each ends with the study, hands back what
/// it has when it is told to end, and is started anew if its node dies.
pub struct Array {
    is_ending: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

impl Array {
    /// Submits so many workers; gives also what is to be said of it.
    pub fn submit(
        cluster: Cluster,
        location: &Location,
        study: &str,
        count: u32,
        slot_count: u32,
        control: &Control,
    ) -> Result<(Self, String), Error> {
        let mut jobs = Vec::new();
        if count > 0 {
            jobs.push(submit(cluster, location, study, count, slot_count)?);
        }
        let said = format!("submitted {count} workers: job {}", jobs.join(", "));
        let is_ending = Arc::new(AtomicBool::new(false));
        let (flag, control) = (Arc::clone(&is_ending), control.clone());
        let (location, study) = (location.clone(), study.to_owned());
        let keep = move || {
            let mut wanted = None;
            let mut may_submit_at = Instant::now();
            while !flag.load(Ordering::SeqCst) {
                thread::sleep(ROUND);
                let now = control.wanted();
                let Some(count) = now.filter(|_| now != wanted && Instant::now() >= may_submit_at) else {
                    continue;
                };
                // those that wait for their turn first: whether they were to come is decided anew
                cancel_pending(cluster, &jobs);
                let missing = count.saturating_sub(u32::try_from(control.present()).unwrap_or(u32::MAX));
                if missing > 0 {
                    match submit(cluster, &location, &study, missing, slot_count) {
                        Ok(job) => jobs.push(job),
                        Err(error) => {
                            let _ = writeln!(std::io::stderr(), "warning: {error}; it is tried again");
                            may_submit_at = Instant::now() + START_DISTANCE;
                            continue;
                        }
                    }
                }
                wanted = now;
            }
            cancel_pending(cluster, &jobs);
        };
        let failed = |error| Error::Io { path: "a thread for submitted workers".into(), error };
        let keeper = thread::Builder::new().name("array".into()).spawn(keep).map_err(failed)?;
        Ok((Self { is_ending, keeper }, said))
    }

    /// Takes those back that wait for their turn. Those that work end with the study.
    pub fn end(self) {
        self.is_ending.store(true, Ordering::SeqCst);
        let _ = self.keeper.join();
    }
}

/// Submits workers: the number or name of the job.
fn submit(
    cluster: Cluster,
    location: &Location,
    study: &str,
    count: u32,
    slot_count: u32,
) -> Result<String, Error> {
    match cluster {
        Cluster::Slurm => submit_to_slurm(location, study, count, slot_count),
        Cluster::Ray => submit_to_ray(location, study, count, slot_count),
    }
}

/// By the command that comes with Ray, which knows where the cluster is and how to get there. What is to be done is in files,
/// so that nobody quotes anything.
fn submit_to_ray(location: &Location, study: &str, count: u32, slot_count: u32) -> Result<String, Error> {
    let executable = std::env::current_exe().map_err(|error| Error::Io { path: "ansatz".into(), error })?;
    let mut worker = vec![executable.display().to_string()];
    worker.extend(worker_arguments(location, study, slot_count, CLUSTER_PATIENCE_SECONDS));
    let orders = serde_json::json!({"command": worker, "workers": count, "cpus": slot_count});
    // a name that nothing else has, in a folder that is ours alone
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let job = format!("ansatz-{study}-{}-{}", std::process::id(), since_1970.as_millis());
    let folder = std::env::temp_dir().join(&job);
    let failed = |error| Error::Io { path: folder.clone(), error };
    std::fs::create_dir(&folder).map_err(failed)?;
    std::fs::write(folder.join("ansatz_ray.py"), RAY_DRIVER)
        .and_then(|()| std::fs::write(folder.join("orders.json"), orders.to_string()))
        .map_err(failed)?;
    let mut command = Command::new("ray");
    command.args(["job", "submit", "--no-wait", "--submission-id", &job, "--working-dir"]).arg(&folder);
    command.args(["--", "python", "ansatz_ray.py"]).stdin(Stdio::null());
    let output = command.output();
    let _ = std::fs::remove_dir_all(&folder);
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Workers(format!(
            "there is no ray on this machine: install it (pip install \"ray[default]\"), or start ansatz worker by hand \
             and go on with ansatz resume {study} --on board"
        )),
        _ => failed(error),
    })?;
    if output.status.success() {
        return Ok(job);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    Err(Error::Workers(format!(
        "Ray did not take the workers of study {study}: {last}; RAY_ADDRESS says where the cluster is, such as \
         http://127.0.0.1:8265, and the study goes on with ansatz resume {study} --on ray"
    )))
}

/// Submits a job array: its number.
fn submit_to_slurm(location: &Location, study: &str, count: u32, slot_count: u32) -> Result<String, Error> {
    let mut command = Command::new("sbatch");
    command.arg("--parsable").args(slurm_arguments(location, study, count, slot_count)?);
    let output = command.output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Workers(format!(
            "there is no sbatch on this machine: go on where Slurm takes jobs, with ansatz resume {study} --on slurm, or \
             start ansatz worker by hand and go on with --on board"
        )),
        _ => Error::Io { path: "sbatch".into(), error },
    })?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        // with the name of a cluster after it, where there are several
        true => Ok(said(&output.stdout).split(';').next().unwrap_or_default().to_owned()),
        false => Err(Error::Workers(format!(
            "Slurm did not take the workers of study {study}: {}; the study goes on with ansatz resume {study} --on \
             slurm",
            said(&output.stderr)
        ))),
    }
}

/// Takes back what has not begun. Should that not be possible: it ends as soon as it begins.
fn cancel_pending(cluster: Cluster, jobs: &[String]) {
    // what Ray has not begun ends as soon as it begins, too
    if cluster == Cluster::Slurm && !jobs.is_empty() {
        let mut command = Command::new("scancel");
        command.arg("--state=PENDING").args(jobs);
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
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
    words.extend(
        worker_arguments(location, study, slot_count, CLUSTER_PATIENCE_SECONDS)
            .iter()
            .map(|word| quoted(word)),
    );
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
                "worker '--study=my study'\\''s' --store=postgres://eva@db/tuning --slots=4 --patience=600"
            ),
            "{wrap}"
        );
    }
}
