//! Studies whose trials run at workers: who asks, who works, and who starts workers.

use super::{conclude, no_objective};
use crate::args::{KubernetesArgs, On, Placement, RunOutput, WorkArgs};
use crate::board::{
    self, Asking, BoardSlots, Cluster, Control, Crew, Orders, Scaled, Starter, Submitted, Terms, WorkerEnd,
};
use crate::error::{Error, Exit};
use crate::interrupt::Interrupt;
use crate::journal::{self, JournalErrorKind, Location};
use crate::plan::Transfer;
use crate::run::{SessionEnd, run_in};
use crate::session::Session;
use crate::watch::{Detail, Watch};
use std::io::Write;
use std::time::Duration;

/// How long to wait before a study, or its store, is tried again.
const STANDBY_DISTANCE: Duration = Duration::from_millis(500);

impl Placement {
    /// Refuses what cannot work.
    pub fn check(&self, location: &Location) -> Result<(), Error> {
        match (self.on, location) {
            (Some(On::Slurm | On::Ray), Location::File(path)) => Err(Error::Usage(format!(
                "workers on other machines cannot share the file {}: keep the study on a server, with --store \
                 postgres://user@host/database",
                path.display()
            ))),
            _ => Ok(()),
        }
    }
}

/// Asks for the trials of a study, and lets workers run them.
pub fn run(session: Session, on: On, placement: &Placement, output: &RunOutput) -> Result<Exit, Error> {
    run_once(session, on, placement, output, &Interrupt::listen(), &mut false)
}

/// The same whenever nobody else does, until the study has ended, or is cancelled meanwhile.
pub fn stand_by(
    location: &Location,
    resume: impl Fn() -> Result<Session, Error>,
    on: On,
    placement: &Placement,
    output: &RunOutput,
) -> Result<Exit, Error> {
    let interrupt = Interrupt::listen();
    // those whom a cluster was asked for wait, as we do
    let (mut is_told, mut is_submitted) = (false, false);
    // as they were when we began to wait; who resumes a study that was cancelled before that means it
    let mut before: Option<Vec<(String, Option<board::Standing>)>> = None;
    loop {
        let tried = resume().and_then(|session| {
            let name = session.plan.name.clone();
            let now = board::standing(location, &name)?;
            let is_cancelled = now.as_ref().is_some_and(|standing| standing.is_cancelled);
            let is_new = before.iter().flatten().any(|(study, standing)| *study == name && *standing != now);
            if is_cancelled && is_new {
                return Ok(None);
            }
            run_once(session, on, placement, output, &interrupt, &mut is_submitted).map(Some)
        });
        let tried = match tried {
            Ok(None) => {
                if !output.quiet {
                    let _ = writeln!(std::io::stderr(), "the study was cancelled: standing by no more");
                }
                return Ok(Exit::Interrupted);
            }
            Ok(Some(exit)) => Ok(exit),
            Err(error) => Err(error),
        };
        if before.is_none() {
            before = standings(location).ok();
        }
        let reason = match tried {
            Err(Error::Journal(error))
                if matches!(
                    error.kind,
                    JournalErrorKind::Locked | JournalErrorKind::Io | JournalErrorKind::Conflict
                ) =>
            {
                error.message
            }
            other => return other,
        };
        if !is_told && !output.quiet {
            let _ = writeln!(std::io::stderr(), "standing by: {reason}");
            is_told = true;
        }
        if interrupt.count() > 0 {
            return Ok(Exit::Interrupted);
        }
        std::thread::sleep(STANDBY_DISTANCE);
    }
}

/// How all studies of a store stand.
fn standings(location: &Location) -> Result<Vec<(String, Option<board::Standing>)>, Error> {
    let studies = journal::open_read_only(location.clone())?.studies()?;
    let stand = |study: journal::StudyEntry| {
        let standing = board::standing(location, &study.name)?;
        Ok((study.name, standing))
    };
    studies.into_iter().map(stand).collect()
}

fn run_once(
    mut session: Session,
    on: On,
    placement: &Placement,
    output: &RunOutput,
    interrupt: &Interrupt,
    is_submitted: &mut bool,
) -> Result<Exit, Error> {
    // workers have their own; this one has shown that it suits the study
    session.objective.take().ok_or_else(no_objective)?;
    let (location, name) = (session.plan.journal.location(), session.plan.name.clone());
    let engine = &mut session.engine;
    // workers look there with which plugins the study is run
    engine.commit()?;
    let lease = Duration::from_secs(placement.lease);
    let is_judging = engine.has_early_stopping();
    let starter = match on {
        On::Local => Starter::Local,
        On::Slurm => Starter::Slurm,
        On::Ray => Starter::Ray,
        On::Board => Starter::Hand,
    };
    let (terms, control) = (Terms { lease, is_judging, starter }, Control::new(interrupt));
    let (mut slots, again) =
        BoardSlots::take(&location, &name, engine.study(), &session.again, terms, control.clone())?;
    let (workers, worker_slots) = (placement.workers, placement.worker_slots);
    let (mut crew, mut submission) = (None, None);
    match on {
        On::Local => {
            crew = Some(Crew::start(&location, &name, workers, worker_slots, interrupt, &control)?);
        }
        On::Slurm | On::Ray => {
            let cluster = if on == On::Ray { Cluster::Ray } else { Cluster::Slurm };
            // who takes over finds those that were submitted before
            let count = if *is_submitted { 0 } else { workers };
            let (submitted, said) =
                Submitted::start(cluster, &location, &name, count, worker_slots, &control)?;
            if !*is_submitted && !output.quiet {
                let _ = writeln!(std::io::stderr(), "{said}");
            }
            *is_submitted = true;
            submission = Some(submitted);
        }
        On::Board => {}
    }
    let mut watch = Watch::new(Detail::for_stderr(output.quiet), engine.study());
    let end = run_in(engine, &mut slots, &session.plan, again, interrupt, &mut watch);
    let gone = crew.as_ref().map_or(Ok(()), Crew::check);
    crew.iter().for_each(Crew::release);
    // workers end once they know that there is nothing left to do
    let closed = match &end {
        Ok(SessionEnd::Done(reason)) => slots.close(Some(&reason.to_string())),
        Ok(SessionEnd::Interrupted) if control.is_cancelled() => slots.close(Some(board::CANCELLED)),
        Ok(SessionEnd::Interrupted) => slots.close(None),
        Err(_) => Ok(()),
    };
    // workers end by themselves once the board is closed
    let is_over =
        closed.is_ok() && (matches!(end, Ok(SessionEnd::Done(_))) || (end.is_ok() && control.is_cancelled()));
    if let Some(crew) = crew {
        crew.end(is_over);
    }
    if let Some(submission) = submission {
        submission.end();
    }
    let end = end?;
    closed?;
    if end == SessionEnd::Interrupted {
        gone?;
    }
    conclude(&session, end, output.json)
}

/// Prints what Kubernetes needs to run a study.
pub fn kubernetes(arguments: &KubernetesArgs) -> Result<Exit, Error> {
    let (manifest, plan) = super::read_plan(&arguments.manifest, &[], arguments.journal.location()?)?;
    if plan.objective.is_none() {
        return Err(no_objective());
    }
    let is_file = |transfer: &&Transfer| matches!(transfer.store, Some(Location::File(_)));
    if let Some(Transfer { study, .. }) = plan.transfers.iter().find(is_file) {
        return Err(Error::Usage(format!(
            "[[transfer]] of study {study} is from a file, which no pod has: copy that study to the server, or begin the new one here"
        )));
    }
    let deployment = board::Deployment {
        manifest: manifest.source(),
        study: &plan.name,
        location: &plan.journal.location(),
        image: &arguments.image,
        workers: arguments.workers,
        worker_slots: arguments.worker_slots,
        secret: arguments.secret.as_deref(),
    };
    super::print(&deployment.yaml()?)
}

/// Has more or fewer workers for a study that is run.
pub fn scale(location: &Location, study: &str, workers: u32) -> Result<Exit, Error> {
    let name = crate::session::name_in(location, study)?;
    let Scaled { starter, present } = match board::scale(location, &name, workers)? {
        Ok(scaled) => scaled,
        Err(asking) => return Err(not_asked(&name, &asking)),
    };
    let (workers, is_more) = (u64::from(workers), u64::from(workers) > present);
    let what = match starter {
        _ if workers == present => "nothing changes",
        Starter::Hand if is_more => {
            "start the others with ansatz worker: nobody else starts any for this study"
        }
        Starter::Slurm if is_more => "the others are submitted to Slurm",
        Starter::Ray if is_more => "Ray starts the others",
        Starter::Local | Starter::Slurm | Starter::Ray if is_more => "the others are started",
        _ => "the newest end once they have brought what they run",
    };
    super::print(&format!("study {name}: wanted {workers} workers, present {present}; {what}\n"))
}

/// Ends the run of a study over a board, from anywhere that reaches its store.
pub fn cancel(location: &Location, study: &str, is_now: bool) -> Result<Exit, Error> {
    let name = crate::session::name_in(location, study)?;
    let said = match board::cancel(location, &name, is_now)? {
        Asking::Running if is_now => {
            "told to end at once: what runs is stopped, and is run again by ansatz resume"
        }
        Asking::Running => "told to end once the trials that run have ended; --now does not wait for them",
        Asking::Silent(_) => "nobody asked for its trials any more; workers that waited for somebody end",
        asking => return Err(not_asked(&name, &asking)),
    };
    super::print(&format!("study {name}: {said}\n"))
}

/// Why nothing can be told to whoever runs a study.
fn not_asked(name: &str, asking: &Asking) -> Error {
    Error::Usage(match asking {
        Asking::Silent(silence) => format!(
            "nobody has asked for trials of study {name} for {silence:.0?}: go on with ansatz resume {name} --on ..., \
             and say there how many workers it is to have"
        ),
        Asking::Closed(reason) => format!("study {name} is not run any more: {reason}"),
        Asking::NoBoard | Asking::Running => format!(
            "study {name} is not run with workers; one that is run by a single process ends with Ctrl-C or SIGTERM, \
             and goes on with workers by ansatz resume {name} --on local"
        ),
    })
}

/// Works for a study that another process asks for.
pub fn work(arguments: &WorkArgs) -> Result<Exit, Error> {
    let orders = Orders {
        location: arguments.journal.location()?,
        study: arguments.study.clone(),
        slot_count: arguments.slots as usize,
        patience: Duration::from_secs(arguments.patience),
        is_quiet: arguments.quiet,
        locking: arguments.lock.locking(),
    };
    let end = crate::board::work(&orders, &Interrupt::listen())?;
    let said = match end {
        WorkerEnd::Closed(reason) => format!("study {} has ended: {reason}", orders.study),
        WorkerEnd::Retired => "fewer workers are wanted: everything was brought".to_owned(),
        WorkerEnd::Drained => "interrupted: everything was brought or handed back".to_owned(),
        WorkerEnd::Idle(silence) => {
            format!("nobody has asked for trials of study {} for {silence:.0?}", orders.study)
        }
    };
    if !orders.is_quiet {
        let _ = writeln!(std::io::stderr(), "{said}");
    }
    Ok(Exit::Success)
}
