//! What each command does; those of `ansatz plugins` are in `plugins`. Text for people or JSON for programs goes to
//! standard output; progress, warnings and errors go to standard error.

mod cluster;
mod enqueue;
mod plugins;
pub(crate) mod store;

use crate::args::{Args, Command, Format, SimulateArgs, StudyRef};
use crate::ask_tell;
use crate::check_plugin;
use crate::digest::{self, Freshness, Shown};
use crate::error::{Error, Exit};
use crate::interrupt::Interrupt;
use crate::journal::{Location, PluginStamp};
use crate::manifest::{self, Manifest};
use crate::output;
use crate::plan::StudyPlan;
use crate::plugins::{Locking, PluginSet, PluginUse};
use crate::report::curves::Curves;
use crate::report::explain::Witness;
use crate::report::export::Extent;
use crate::report::recommend::Advice;
use crate::report::{export, json, replay, text};
use crate::run::{SessionEnd, run};
use crate::session::{self, ReadStudy, Running, Session};
use crate::simulate::{self, Conditions};
use crate::transfer;
use crate::watch::{Detail, Watch};
use ansatz_core::TrialId;
use ansatz_core::study::{Record, StopReason, Study, Trial};
use ansatz_plugin_host::HostError;
use clap::CommandFactory;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Carries a command out.
pub fn execute(args: Args) -> Result<Exit, Error> {
    match args.command {
        Command::Run { manifest, overrides, lock, journal, placement, resume, output } => {
            let (manifest, plan) = read_plan(&manifest, &overrides.set, journal.location()?)?;
            // before the study is written: it could never run
            if plan.objective.is_none() {
                return Err(no_objective());
            }
            placement.check(&plan.journal.location())?;
            let session = match resume {
                true => {
                    let running = if placement.on.is_some() { Running::OnBoard } else { Running::InHost };
                    session::create_or_resume(&manifest, plan, lock.locking(), running)?
                }
                false => session::create(&manifest, plan, lock.locking())?,
            };
            match placement.on {
                Some(on) => cluster::run(session, on, &placement, &output),
                None => run_session(session, output.quiet, output.json),
            }
        }
        Command::Resume { study, overrides, lock, placement, standby, output } => {
            let (journal, name) = (&study.journal.location()?, study.study.as_deref());
            let Some(on) = placement.on else {
                let session =
                    session::resume(journal, name, &overrides.set, lock.locking(), Running::InHost)?;
                return run_session(session, output.quiet, output.json);
            };
            placement.check(journal)?;
            let resume = || session::resume(journal, name, &overrides.set, lock.locking(), Running::OnBoard);
            match standby {
                true => cluster::stand_by(journal, resume, on, &placement, &output),
                false => cluster::run(resume()?, on, &placement, &output),
            }
        }
        Command::Worker(arguments) => cluster::work(&arguments),
        Command::Simulate(arguments) => simulate(&arguments),
        Command::Kubernetes(arguments) => cluster::kubernetes(&arguments),
        Command::Scale { study, workers, journal } => cluster::scale(&journal.location()?, &study, workers),
        Command::Cancel { study, now, journal } => cluster::cancel(&journal.location()?, &study, now),
        Command::Enqueue(arguments) => enqueue::execute(&arguments),
        Command::Check { manifest, overrides, lock, json } => {
            check(&manifest, &overrides.set, lock.locking(), json)
        }
        Command::Init { path, objective } => init(&path, &objective),
        Command::List { journal, exact, json } => list(&journal.location()?, exact.freshness(), json),
        Command::Show { study, trial, exact, json } => show(&study, trial, exact.freshness(), json),
        Command::Explain { study, trial, json } => explain(&study, TrialId(trial), json),
        Command::Best { study, json } => best(&study, json),
        Command::Recommend { study, lock, json } => recommend(&study, lock.locking(), json),
        Command::Replay { study, lock, json } => replay(&study, lock.locking(), json),
        Command::Export { study, reports, format, repeatable, output } => {
            let extent = if repeatable { Extent::Repeatable } else { Extent::All };
            let what = if reports { Exported::Reports } else { Exported::Trials };
            export(&study, what, format, extent, output)
        }
        Command::Delete { study, yes, journal } => store::delete(&journal.location()?, &study, yes),
        Command::Fsck { store, json } => store::fsck(&store.path()?, json),
        Command::Repair { store, backup, close_orphans } => {
            store::repair(&store.path()?, backup, close_orphans)
        }
        Command::Backup { to, store, overwrite } => store::backup(&to, &store.path()?, overwrite),
        Command::Bench(arguments) => crate::bench::execute(&arguments),
        Command::Plugins { command } => plugins::execute(command),
        Command::PluginCase(arguments) => check_plugin::run_case(&arguments),
        Command::AskTell { manifest, overrides, lock, journal } => {
            let (manifest, plan) = read_plan(&manifest, &overrides.set, journal.location()?)?;
            let mut session = session::create_or_resume(&manifest, plan, lock.locking(), Running::InHost)?;
            let again = std::mem::take(&mut session.again);
            let (input, answers) = (io::stdin().lock(), output::stdout());
            ask_tell::serve(&session.plan.name, &mut session.engine, again, input, answers)?;
            Ok(Exit::Success)
        }
        Command::Schema { protocol: true, .. } => print_json(&ansatz_plugin_host::worker::json_schema()),
        Command::Schema { arena: true, .. } => print_json(&crate::bench::json_schema()),
        Command::Schema { .. } => print_json(&manifest::json_schema()),
        // `main` has served it before it came here
        Command::PluginWorker(_) => Ok(Exit::Usage),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "ansatz", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

fn no_objective() -> Error {
    let message = "the manifest names no objective: add [objective], or drive the study with ansatz ask-tell";
    Error::Usage(message.into())
}

fn read_plan(path: &Path, set: &[String], journal: Option<Location>) -> Result<(Manifest, StudyPlan), Error> {
    let manifest = Manifest::read(path, set)?;
    let mut plan = manifest.plan()?;
    let journal = match journal {
        None if !manifest.names_journal() => Location::of_environment().map_err(Error::Usage)?,
        journal => journal,
    };
    if let Some(journal) = journal {
        plan.journal.move_to(&journal);
    }
    if plan.journal.server.is_some() {
        // output goes beside it, whoever resumes the study, and wherever
        let path = &mut plan.journal.path;
        *path = std::path::absolute(&*path).map_err(|error| Error::Io { path: path.clone(), error })?;
    }
    Ok((manifest, plan))
}

fn run_session(mut session: Session, quiet: bool, as_json: bool) -> Result<Exit, Error> {
    let objective = session.objective.take().ok_or_else(no_objective)?;
    let interrupt = Interrupt::listen();
    let mut watch = Watch::new(Detail::for_stderr(quiet), session.engine.study());
    let again = std::mem::take(&mut session.again);
    let end = run(&mut session.engine, objective, &session.plan, again, &interrupt, &mut watch)?;
    conclude(&session, end, as_json)
}

/// Shows what a session came to.
fn conclude(session: &Session, end: SessionEnd, as_json: bool) -> Result<Exit, Error> {
    let (study, elapsed, plan) = (session.engine.study(), session.engine.elapsed(), &session.plan);
    let shown = if as_json {
        let mut overview = json::overview(&plan.name, study, elapsed);
        overview["end"] = match end {
            SessionEnd::Done(reason) => json!(reason),
            SessionEnd::Interrupted => "interrupted".into(),
        };
        print_json(&overview)
    } else {
        let mut summary = text::summary(&plan.name, study, end, elapsed);
        let journal = plan.journal.location();
        let verb = if end == SessionEnd::Interrupted { "go on" } else { "look closer" };
        let command = if end == SessionEnd::Interrupted { "resume" } else { "show" };
        summary.push_str(&format!("\n{verb}: ansatz {command} {} --journal {journal}\n", plan.name));
        print(&summary)
    };
    shown?;
    Ok(match end {
        SessionEnd::Interrupted => Exit::Interrupted,
        SessionEnd::Done(StopReason::Failures) => Exit::Trials,
        SessionEnd::Done(StopReason::Broken) => Exit::Plugin,
        SessionEnd::Done(_)
            if study.trials().iter().all(|t| t.outcome.as_ref().and_then(|o| o.completed()).is_none()) =>
        {
            Exit::Trials
        }
        SessionEnd::Done(_) => Exit::Success,
    })
}

fn check(path: &Path, set: &[String], locking: Locking, as_json: bool) -> Result<Exit, Error> {
    let checked = read_plan(path, set, None).and_then(|(manifest, plan)| {
        let mut plugins = PluginSet::load(&plan, Some(&manifest), locking, PluginUse::Check)?;
        let (transferred, _) = transfer::of_plan(&plan)?;
        plugins.notices.extend(transferred.into_iter().map(|transferred| transferred.notice));
        plugins.notices.extend(plan.warnings());
        Ok((plan, plugins))
    });
    match checked {
        Ok((plan, plugins)) if as_json => {
            let (stamps, notices) = (stamps(&plugins), &plugins.notices);
            print_json(&json!({
                "ok": true, "study": plan.name, "plugins": stamps, "warnings": notices, "plan": plan
            }))
        }
        Ok((plan, plugins)) => {
            let parameters = match plan.rules.problem.space.parameter_count() {
                1 => "1 parameter".to_owned(),
                count => format!("{count} parameters"),
            };
            let names: Vec<String> = plugins
                .stamps
                .iter()
                .map(|stamp| format!("{} {} {}", stamp.role, stamp.component, stamp.version))
                .collect();
            for notice in &plugins.notices {
                let _ = writeln!(io::stderr(), "warning: {notice}");
            }
            print(&format!("{}: ok, {parameters}; {}\n", path.display(), names.join(", ")))
        }
        Err(error) if as_json => {
            let problems = match &error {
                Error::Manifest(diagnostics) | Error::MissingPlugin(diagnostics) => diagnostics.to_json(),
                other => json!([{"message": other.to_string()}]),
            };
            print_json(&json!({"ok": false, "problems": problems}))?;
            Ok(error.exit())
        }
        Err(error) => Err(error),
    }
}

fn simulate(arguments: &SimulateArgs) -> Result<Exit, Error> {
    let (_, plan) = read_plan(&arguments.manifest, &arguments.overrides.set, None)?;
    let conditions = Conditions {
        median: arguments.median,
        spread: arguments.spread,
        straggler_share: arguments.stragglers,
        straggler_factor: arguments.straggler_factor,
        crash_share: arguments.crashes,
        lease: arguments.lease,
        recovery: arguments.recovery,
        ask_time: arguments.ask_time,
        turn_time: arguments.turn_time,
    };
    let workers: Vec<usize> = arguments.workers.iter().map(|count| *count as usize).collect();
    let interrupt = Interrupt::listen();
    match simulate::compare(&plan, conditions, &workers, arguments.seeds, &interrupt)? {
        None => Ok(Exit::Interrupted),
        Some(table) if arguments.json => print_json(&table.json()),
        Some(table) => print(&table.text()),
    }
}

fn stamps(plugins: &PluginSet) -> Value {
    let stamp = |stamp: &PluginStamp| {
        json!({
            "role": stamp.role,
            "name": stamp.component,
            "version": stamp.version,
            "package": stamp.package,
            "abi": stamp.abi,
            "sha256": stamp.sha256,
            "path": stamp.path,
        })
    };
    plugins.stamps.iter().map(stamp).collect()
}

fn init(path: &Path, objective: &str) -> Result<Exit, Error> {
    let starter = manifest::starter(objective).ok_or_else(|| {
        Error::Usage(format!("there is no starter manifest for {objective:?}: take command or digits"))
    })?;
    if path.exists() {
        let message = format!("{} exists and is not overwritten; name another file", path.display());
        return Err(Error::Usage(message));
    }
    let io = |error| Error::Io { path: path.to_owned(), error };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(starter.as_bytes())).map_err(io)?;
    print(&format!("wrote {0}; next: ansatz check {0}, then ansatz run {0}\n", path.display()))
}

fn list(journal: &Location, freshness: Freshness, as_json: bool) -> Result<Exit, Error> {
    let studies = digest::list(journal, freshness)?;
    if as_json {
        return print_json(&studies.into_iter().map(json_of).collect());
    }
    let mut rows = vec![["study", "trials", "finished", "best", "time"].map(str::to_owned)];
    let mut lags = String::new();
    for Shown { digest, lag } in studies {
        if let Some(lag) = lag {
            lags.push_str(&format!("{}: {}\n", digest.study, lag.text()));
        }
        rows.push([
            digest.study,
            digest.trial_count.to_string(),
            digest.finished_count.to_string(),
            digest.incumbent.unwrap_or_else(|| "-".into()),
            text::duration(digest.elapsed),
        ]);
    }
    print(&(text::columns(&rows) + &lags))
}

/// A study in short for programs.
fn json_of(shown: Shown) -> Value {
    let mut overview = shown.digest.overview;
    if let Some(lag) = shown.lag {
        overview["lag"] = json!({"entries": lag.entry_count, "seconds": lag.span.as_secs_f64()});
    }
    overview
}

fn show(
    reference: &StudyRef,
    trial: Option<u64>,
    freshness: Freshness,
    as_json: bool,
) -> Result<Exit, Error> {
    if trial.is_none() && !as_json {
        let Shown { digest, lag } =
            digest::read(&reference.journal.location()?, reference.study.as_deref(), freshness)?;
        let lag = lag.map_or(String::new(), |lag| format!("\n{}\n", lag.text()));
        return print(&(digest.text + &lag));
    }
    let Some(number) = trial else {
        let read = session::read(reference.journal.location()?, reference.study.as_deref())?;
        let mut overview = json::overview(&read.plan.name, &read.study, read.elapsed);
        overview["all_trials"] =
            read.study.trials().iter().map(|trial| json::trial(&read.study, trial)).collect();
        return print_json(&overview);
    };
    let mut curves = Curves::of(TrialId(number));
    let see = |study: &Study, record: &Record| curves.see(study, record);
    let read = session::read_and_watch(reference.journal.location()?, reference.study.as_deref(), see)?;
    let trial = trial_of(&read, TrialId(number))?;
    if as_json {
        let mut object = json::trial(&read.study, trial);
        if let Some(reports) = curves.json() {
            object["reports"] = reports;
        }
        return print_json(&object);
    }
    print(&(text::trial_with_seed(&read.study, trial) + &curves.text()))
}

fn trial_of(read: &ReadStudy, trial: TrialId) -> Result<&Trial, Error> {
    let (name, count) = (&read.plan.name, read.study.trials().len());
    read.study.trial(trial).ok_or_else(|| {
        Error::NotFound(format!("study {name} has no trial {trial}; it has {count}, counted from 0"))
    })
}

fn explain(reference: &StudyRef, trial: TrialId, as_json: bool) -> Result<Exit, Error> {
    let mut witness = Witness::new(trial);
    let see = |study: &Study, record: &Record| witness.see(study, record);
    let read = session::read_and_watch(reference.journal.location()?, reference.study.as_deref(), see)?;
    let explanation = witness.explain(&read.study, trial_of(&read, trial)?);
    if as_json { print_json(&explanation.json()) } else { print(&explanation.text()) }
}

fn best(reference: &StudyRef, as_json: bool) -> Result<Exit, Error> {
    let read = session::read(reference.journal.location()?, reference.study.as_deref())?;
    if as_json {
        print_json(&json::best(&read.study))?
    } else {
        print(&text::best_with_points(&read.study))?
    };
    let has_best = read.study.incumbent().first().is_some();
    Ok(if has_best { Exit::Success } else { Exit::Trials })
}

fn recommend(reference: &StudyRef, locking: Locking, as_json: bool) -> Result<Exit, Error> {
    let (journal, name) = (&reference.journal.location()?, reference.study.as_deref());
    let mut consulted = session::consult(journal, name, locking)?;
    for notice in consulted.engine.take_notices() {
        let _ = writeln!(io::stderr(), "warning: {notice}");
    }
    let answers = consulted.engine.recommendations();
    let (name, study) = (&consulted.plan.name, consulted.engine.study());
    let mut advice = Advice::default();
    let mut broken = None;
    for (member, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(recommended) => advice.add(study, member, recommended),
            Err(fault) => {
                let _ = writeln!(io::stderr(), "warning: {fault}");
                broken.get_or_insert(fault);
            }
        }
    }
    for notice in advice.take_notices() {
        let _ = writeln!(io::stderr(), "warning: {notice}");
    }
    match broken {
        _ if !advice.is_empty() => {}
        Some(fault) => return Err(HostError::Unfit(fault).into()),
        None => {
            return Err(Error::Usage(format!(
                "no strategy of study {name} recommends a point: none has a model, or it knows too little yet; \
                 ansatz best prints the best trial that was observed"
            )));
        }
    }
    if as_json { print_json(&advice.json(name, study)) } else { print(&advice.text(study)) }
}

fn replay(reference: &StudyRef, locking: Locking, as_json: bool) -> Result<Exit, Error> {
    let (journal, name) = (&reference.journal.location()?, reference.study.as_deref());
    let (mut consulted, _) = session::retrace(journal, name, locking)?;
    let rule = consulted.plan.early_stopping.as_ref().map(|choice| choice.plugin.as_str());
    let relived = replay::Relived {
        study: consulted.engine.study(),
        differences: consulted.engine.differences(),
        rule,
        verdict: consulted.engine.verdict_difference(),
    };
    let is_same = relived.is_same();
    if as_json {
        print_json(&relived.json(&consulted.plan.name))?;
    } else {
        print(&relived.text())?;
    }
    for notice in consulted.engine.take_notices() {
        let _ = writeln!(io::stderr(), "warning: {notice}");
    }
    Ok(if is_same { Exit::Success } else { Exit::Plugin })
}

/// What a table is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exported {
    Trials,
    Reports,
}

fn export(
    reference: &StudyRef,
    what: Exported,
    format: Format,
    extent: Extent,
    output: Option<PathBuf>,
) -> Result<Exit, Error> {
    let mut curves = Curves::of_all();
    let see = |study: &Study, record: &Record| {
        if what == Exported::Reports {
            curves.see(study, record);
        }
    };
    let read = session::read_and_watch(reference.journal.location()?, reference.study.as_deref(), see)?;
    let write = |out: &mut dyn Write| match (what, format) {
        (Exported::Trials, Format::Csv) => export::csv(&read.study, extent, out),
        (Exported::Trials, Format::Json) => export::json(&read.study, extent, out),
        (Exported::Reports, Format::Csv) => curves.write_csv(extent, out),
        (Exported::Reports, Format::Json) => curves.write_json(extent, out),
    };
    match output {
        None => {
            let mut out = BufWriter::new(output::stdout());
            quiet_on_closed_pipe(write(&mut out).and_then(|()| out.flush()))
        }
        Some(path) => {
            let file = std::fs::File::create(&path).map(BufWriter::new);
            let written = file.and_then(|mut file| write(&mut file).and_then(|()| file.flush()));
            written.map(|()| Exit::Success).map_err(|error| Error::Io { path, error })
        }
    }
}

/// Folders of the command line are meant from where the command runs.
fn absolute(folders: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let absolute =
        |path: &PathBuf| std::path::absolute(path).map_err(|error| Error::Io { path: path.clone(), error });
    folders.iter().map(absolute).collect()
}

/// Prints a text on our standard output.
pub(crate) fn print(text: &str) -> Result<Exit, Error> {
    let mut out = output::stdout();
    quiet_on_closed_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints a JSON document on our standard output.
pub(crate) fn print_json(value: &Value) -> Result<Exit, Error> {
    print(&format!("{value:#}\n"))
}

/// Whoever reads us may have seen enough: that is no error.
fn quiet_on_closed_pipe(result: io::Result<()>) -> Result<Exit, Error> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { path: "standard output".into(), error })
        }
        _ => Ok(Exit::Success),
    }
}
