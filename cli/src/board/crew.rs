//! Workers that are processes of this machine. Whoever starts them places them and no more; what they run is for the board to
//! say.

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
use std::time::{Duration, Instant};

/// Workers that nobody asks end after this time, so that a host that was killed leaves none behind for long.
const PATIENCE_SECONDS: u64 = 60;
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
