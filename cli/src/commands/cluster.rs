//! Studies whose trials run at workers: who asks, who works, and who starts workers.

use super::{conclude, no_objective};
use crate::args::{On, Placement, RunOutput, WorkArgs};
use crate::board::{BoardSlots, Crew, Orders, WorkerEnd, submit};
use crate::error::{Error, Exit};
use crate::interrupt::Interrupt;
use crate::journal::{JournalErrorKind, Location};
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
            (Some(On::Slurm), Location::File(path)) => Err(Error::Usage(format!(
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

/// The same whenever nobody else does, until the study has ended.
pub fn stand_by(
    resume: impl Fn() -> Result<Session, Error>,
    on: On,
    placement: &Placement,
    output: &RunOutput,
) -> Result<Exit, Error> {
    let interrupt = Interrupt::listen();
    // those whom Slurm was asked for wait, as we do
    let (mut is_told, mut is_submitted) = (false, false);
    loop {
        let tried = resume()
            .and_then(|session| run_once(session, on, placement, output, &interrupt, &mut is_submitted));
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
    let (mut slots, again) =
        BoardSlots::take(&location, &name, engine.study(), &session.again, lease, is_judging)?;
    let crew = match on {
        On::Local => {
            let (workers, slots) = (placement.workers, placement.worker_slots);
            Some(Crew::start(&location, &name, workers, slots, interrupt)?)
        }
        On::Slurm if !*is_submitted => {
            let said = submit(&location, &name, placement.workers, placement.worker_slots)?;
            *is_submitted = true;
            if !output.quiet {
                let _ = writeln!(std::io::stderr(), "{said}");
            }
            None
        }
        On::Board | On::Slurm => None,
    };
    let mut watch = Watch::new(Detail::for_stderr(output.quiet), engine.study());
    let end = run_in(engine, &mut slots, &session.plan, again, interrupt, &mut watch);
    let gone = crew.as_ref().map_or(Ok(()), Crew::check);
    crew.iter().for_each(Crew::release);
    // workers end once they know that there is nothing left to do
    let closed = match &end {
        Ok(SessionEnd::Done(reason)) => slots.close(Some(&reason.to_string())),
        Ok(SessionEnd::Interrupted) => slots.close(None),
        Err(_) => Ok(()),
    };
    if let Some(crew) = crew {
        crew.end(matches!(end, Ok(SessionEnd::Done(_))));
    }
    let end = end?;
    closed?;
    if end == SessionEnd::Interrupted {
        gone?;
    }
    conclude(&session, end, output.json)
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
