//! Workers that a cluster starts: Slurm as a job array, Ray as a job whose driver keeps them. The cluster places them and no
//! more; what they run is for the board to say.

use super::control::Control;
use super::worker_arguments;
use crate::args::quoted;
use crate::error::Error;
use crate::journal::Location;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A job may wait long for its turn, and nobody asks while the asker is started anew.
const PATIENCE_SECONDS: u64 = 600;
/// How often it is seen whether others are wanted.
const ROUND: Duration = Duration::from_millis(100);
/// How long to wait before it is tried again to submit workers, where that failed.
const START_DISTANCE: Duration = Duration::from_secs(10);
/// What keeps workers on Ray.
const RAY_DRIVER: &str = include_str!("ray_driver.py");

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
pub struct Submitted {
    is_ending: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

impl Submitted {
    /// Submits so many workers; gives also what is to be said of it.
    pub fn start(
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
        let keeper = thread::Builder::new().name("submitted".into()).spawn(keep).map_err(failed)?;
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
    worker.extend(worker_arguments(location, study, slot_count, PATIENCE_SECONDS));
    let orders = serde_json::json!({"command": worker, "workers": count, "cpus": slot_count});
    // a name that nothing else has, in a folder that is ours alone
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let job = format!("ansatz-{study}-{}-{}", std::process::id(), since_1970.as_millis());
    let folder = std::env::temp_dir().join(&job);
    let failed = |error| Error::Io { path: folder.clone(), error };
    std::fs::create_dir(&folder).map_err(failed)?;
    let written = std::fs::write(folder.join("ansatz_ray.py"), RAY_DRIVER)
        .and_then(|()| std::fs::write(folder.join("orders.json"), orders.to_string()));
    let mut command = Command::new("ray");
    command.args(["job", "submit", "--no-wait", "--submission-id", &job, "--working-dir"]).arg(&folder);
    command.args(["--", "python", "ansatz_ray.py"]).stdin(Stdio::null());
    let output = written.is_ok().then(|| command.output());
    let _ = std::fs::remove_dir_all(&folder);
    written.map_err(failed)?;
    let Some(output) = output else { return Ok(job) };
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
        worker_arguments(location, study, slot_count, PATIENCE_SECONDS).iter().map(|word| quoted(word)),
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
