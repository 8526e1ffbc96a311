//! A study brought to life for one session: started, resumed, or only read.

use crate::args::quoted;
use crate::clock::Clock;
use crate::engine::{Engine, Orphans};
use crate::error::Error;
use crate::executor::Evaluate;
use crate::journal::{
    self, Entry, Journal, JournalErrorKind, Location, Opened, PluginStamp, Store, StudyHeader,
};
use crate::manifest::Manifest;
use crate::plan::{StudyPlan, Transfer};
use crate::plugins::{Builds, LoadedEarlyStopping, LoadedStrategy, Locking, PluginSet, PluginUse};
use crate::transfer::{self, Transferred};
use ansatz_core::study::{Duplicates, Record, Study};
use ansatz_core::{Problem, TrialId};
use std::sync::Arc;
use std::time::Duration;

/// A study with everything that it needs to go on.
pub struct Session {
    /// What it is run from.
    pub plan: StudyPlan,
    /// Study, strategies and journal.
    pub engine: Engine,
    /// Who evaluates; `None` where a program asks and tells.
    pub objective: Option<Arc<dyn Evaluate>>,
    /// Trials that were running when the host died: to be run again.
    pub again: Vec<TrialId>,
}

/// A study as its journal holds it.
pub struct ReadStudy {
    /// What it is run from.
    pub plan: StudyPlan,
    /// The study after its last record.
    pub study: Study,
    /// How long it ran, over all sessions.
    pub elapsed: Duration,
}

/// Where the trials of a session run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// In the host: they end with it.
    InHost,
    /// At workers that see the board: they outlive who asks.
    OnBoard,
}

/// What a worker needs to know of a study.
#[derive(PartialEq)]
pub struct Staff {
    /// What it is run from.
    pub plan: StudyPlan,
    /// With which objective it is run now.
    objective: Option<PluginStamp>,
}

/// What a worker needs to know of a study, as its present session has it.
pub fn staff(location: &Location, name: &str) -> Result<Staff, Error> {
    let store = open_existing(location)?;
    let name = choose(location, store.as_ref(), Some(name))?;
    let journal = store.read(&name)?;
    let mut staff = Staff { plan: journal.header().plan.clone(), objective: None };
    for entry in journal.entries(0) {
        if let Entry::Opened(opened) = entry?.entry {
            staff.objective = opened.plugins.into_iter().find(|stamp| stamp.role == "objective");
            if let Some(changed) = opened.plan {
                staff.plan = *changed;
            }
        }
    }
    staff.plan.journal.move_to(location);
    Ok(staff)
}

impl Staff {
    /// The study's objective, if it is the very build that the study is run with.
    pub fn load_objective(&self, locking: Locking) -> Result<Arc<dyn Evaluate>, Error> {
        // nobody here proposes, and nobody judges
        let plan = StudyPlan { strategies: Vec::new(), early_stopping: None, ..self.plan.clone() };
        let builds = Builds { locking, last: self.objective.as_slice() };
        let plugins = PluginSet::load(&plan, None, builds, PluginUse::Study)?;
        let (Some(objective), Some(found)) = (plugins.objective, plugins.stamps.first()) else {
            return Err(Error::Usage(format!(
                "study {} has no objective: a program asks and tells it, and no worker can",
                plan.name
            )));
        };
        match &self.objective {
            Some(meant) if meant.sha256 != found.sha256 => Err(Error::Locked(format!(
                "the objective {} in {} is another build than the one that study {} runs with: it has sha256 {}, \
                 meant is {} (version {}); put that one on every machine",
                found.component,
                found.path.display(),
                plan.name,
                found.sha256,
                meant.sha256,
                meant.version
            ))),
            _ => Ok(objective),
        }
    }
}

/// Begins a new study.
pub fn create(manifest: &Manifest, mut plan: StudyPlan, locking: Locking) -> Result<Session, Error> {
    let plugins = PluginSet::load(&plan, Some(manifest), locking, PluginUse::Study)?;
    journal::bring_up_to_date(&plan.journal.location())?;
    let (transferred, repeated) = transfer::of_plan(&plan)?;
    plan.repeated_count = repeated.len();
    plan.rules.enqueued.splice(0..0, repeated);
    let store = journal::open(&plan.journal)?;
    let clock = Clock::start(Duration::ZERO);
    let header = StudyHeader {
        plan: plan.clone(),
        manifest: manifest.source().to_owned(),
        created_at: clock.unix_seconds(),
    };
    let journal = store.create(header).map_err(|error| exists_hint(error, &plan))?;
    let study = Study::new(plan.rules.clone());
    let restarts = plan.faults.restart_count_max;
    let mut engine =
        Engine::new(study, plugins.strategies, plugins.early_stopping, restarts, journal, clock)?;
    for notice in plugins.notices.into_iter().chain(plan.warnings()) {
        engine.warn(notice);
    }
    engine.note(Entry::Opened(opened(plugins.stamps, Duration::ZERO)));
    take_over(&mut engine, transferred)?;
    let objective = plugins.objective.map(|objective| objective as Arc<dyn Evaluate>);
    Ok(Session { plan, engine, objective, again: Vec::new() })
}

/// Strategies hear what earlier studies found, and it is on record before anything else happens.
fn take_over(engine: &mut Engine, transferred: Vec<Transferred>) -> Result<(), Error> {
    for Transferred { source, trials, notice } in transferred {
        engine.warn(notice);
        if !trials.is_empty() {
            engine.transfer(source, trials)?;
        }
    }
    engine.commit()
}

/// Goes on with a study. Without a name the journal must hold one study only. `set` changes budget and
/// run of the study from here on; everything else of a study is fixed when it begins.
pub fn resume(
    journal: &Location,
    name: Option<&str>,
    set: &[String],
    locking: Locking,
    running: Running,
) -> Result<Session, Error> {
    journal::bring_up_to_date(journal)?;
    let stored = stored(journal, name)?;
    let (manifest, mut plan) = match set {
        [] => (None, stored.plan.clone()),
        set => {
            let (manifest, plan) = changed_plan(journal, &stored, set)?;
            (Some(manifest), plan)
        }
    };
    plan.follow_folder(journal);
    let home = plan.is_homeless().then(|| plan.manifest_folder.join(&plan.manifest_name));
    let reopened = reopen(manifest.as_ref(), &stored, plan, locking, running).map_err(|error| match (error, home) {
        (Error::Plugin(error), Some(home)) => Error::NotFound(format!(
            "{error}. The manifest of study {} was {}, and that folder is gone; if it was moved, go on from where it \
             is now: ansatz run {} --resume --store {journal}",
            stored.name,
            home.display(),
            stored.plan.manifest_name,
        )),
        (error, _) => error,
    });
    let mut session = reopened?;
    if let Some(notice) = edited_manifest(&session.plan, journal) {
        session.engine.warn(notice);
    }
    Ok(session)
}

/// What a person who has edited the manifest would not expect: it is not read again. Comments and spaces change nothing.
fn edited_manifest(plan: &StudyPlan, journal: &Location) -> Option<String> {
    let path = plan.manifest_folder.join(&plan.manifest_name);
    let text = path.is_file().then(|| std::fs::read_to_string(&path))?.ok()?;
    let mut edited = Manifest::parse(text, &path, &plan.overrides).ok()?.plan().ok()?;
    edited.journal.move_to(journal);
    edited.manifest_folder.clone_from(&plan.manifest_folder);
    keep_choices(plan, &mut edited);
    let what = match only_budget_and_run_differ(plan, &edited) {
        Ok(()) if edited == *plan => return None,
        Ok(()) => format!("to go on as it says now: {}", run_command(plan, &["--resume"])),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "{} has changed since, and resume goes on with what the journal holds; {what}",
        path.display()
    ))
}

/// How the manifest of a study is run with all that was set on the command line.
fn run_command(plan: &StudyPlan, more: &[&str]) -> String {
    let path = plan.manifest_folder.join(&plan.manifest_name).display().to_string();
    let mut words = vec!["ansatz".to_owned(), "run".to_owned(), path];
    words.extend(plan.overrides.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
    words.extend(more.iter().map(ToString::to_string));
    words.extend(["--journal".to_owned(), plan.journal.location().to_string()]);
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Begins the study of a manifest, or goes on with it if its journal holds it already.
pub fn create_or_resume(
    manifest: &Manifest,
    mut plan: StudyPlan,
    locking: Locking,
    running: Running,
) -> Result<Session, Error> {
    let location = plan.journal.location();
    journal::bring_up_to_date(&location)?;
    if !has_study(&location, &plan.name)? {
        return create(manifest, plan, locking);
    }
    let stored = stored(&location, Some(&plan.name))?;
    keep_choices(&stored.plan, &mut plan);
    only_budget_and_run_differ(&stored.plan, &plan)?;
    reopen(Some(manifest), &stored, plan, locking, running)
}

/// The name of a study that a store has.
pub fn name_in(location: &Location, name: &str) -> Result<String, Error> {
    choose(location, open_existing(location)?.as_ref(), Some(name))
}

/// Whether a store has a study of this name; it may be that there is no store yet.
pub fn has_study(location: &Location, name: &str) -> Result<bool, Error> {
    if location.is_missing() {
        return Ok(false);
    }
    match journal::open_read_only(location) {
        Ok(store) => Ok(store.studies()?.iter().any(|study| study.name == name)),
        Err(error) if error.kind == JournalErrorKind::Missing && matches!(location, Location::Server(_)) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

fn reopen(
    manifest: Option<&Manifest>,
    stored: &Stored,
    plan: StudyPlan,
    locking: Locking,
    running: Running,
) -> Result<Session, Error> {
    let builds = Builds { locking, last: &stored.plugins };
    let plugins = PluginSet::load(&plan, manifest, builds, PluginUse::Study)?;
    let journal = journal::open(&plan.journal)?.open(&plan.name)?;
    let Relived { mut engine, stamps, elapsed, rebuilt } =
        relive(&plan, plugins.strategies, plugins.early_stopping, plugins.stamps, journal)?;
    for notice in plugins.notices {
        engine.warn(notice);
    }
    engine.restart_clock(elapsed);
    let mut session = opened(stamps, elapsed);
    if stored.plan != plan {
        session.plan = Some(Box::new(plan.clone()));
        session.manifest =
            manifest.map(Manifest::source).filter(|text| *text != stored.manifest).map(str::to_owned);
    }
    engine.note(Entry::Opened(session));
    // the host that began it may have died before anything was on record
    if engine.study().trials().is_empty() && engine.study().sources().is_empty() && !plan.transfers.is_empty()
    {
        take_over(&mut engine, transfer::of_plan(&plan)?.0)?;
    }
    let orphans = match running {
        Running::InHost => Orphans::Lost {
            on_interrupt: plan.run.on_interrupt,
            started_max: plan.rules.window.map_or(usize::MAX, |_| stored.plan.run.slot_count),
        },
        Running::OnBoard => Orphans::MayRun,
    };
    let again = engine.after_replay(orphans, |member| rebuilt.contains(&member))?;
    let objective = plugins.objective.map(|objective| objective as Arc<dyn Evaluate>);
    Ok(Session { plan, engine, objective, again })
}

/// A study that was read back into its strategies.
struct Relived {
    engine: Engine,
    stamps: Vec<PluginStamp>,
    /// How long the study ran, over all sessions.
    elapsed: Duration,
    /// Members whose plugin is another build than in the last session.
    rebuilt: Vec<usize>,
}

fn relive(
    plan: &StudyPlan,
    strategies: Vec<LoadedStrategy>,
    early_stopping: Option<LoadedEarlyStopping>,
    stamps: Vec<PluginStamp>,
    journal: Box<dyn Journal>,
) -> Result<Relived, Error> {
    let mut replay = Vec::new();
    let mut elapsed = Elapsed::default();
    let mut earlier: Vec<PluginStamp> = Vec::new();
    for entry in journal.entries(0) {
        let stored = entry?;
        elapsed.pass(&stored.entry, stored.at);
        match stored.entry {
            Entry::Study(record) => replay.push(record),
            Entry::Opened(opened) => earlier = opened.plugins,
            Entry::Closed { .. } => {}
        }
    }
    let clock = Clock::start(elapsed.total);
    let study = Study::new(plan.rules.clone());
    let restarts = plan.faults.restart_count_max;
    let mut engine = Engine::new(study, strategies, early_stopping, restarts, journal, clock)?;
    let mut rebuilt = Vec::new();
    for stamp in &stamps {
        if let Some(before) =
            earlier.iter().find(|before| before.component == stamp.component && before.role == stamp.role)
            && before.sha256 != stamp.sha256
        {
            let members = plan.strategies.iter().enumerate();
            let of_it =
                members.filter(|(_, choice)| stamp.role == "strategy" && choice.plugin == stamp.component);
            rebuilt.extend(of_it.map(|(member, _)| member));
            let short = |stamp: &PluginStamp| {
                format!("{}, sha256 {}", stamp.version, stamp.sha256.get(..12).unwrap_or(&stamp.sha256))
            };
            engine.warn(format!(
                "the {} {} is another build than in the last session ({} then; {} now)",
                stamp.role,
                stamp.component,
                short(before),
                short(stamp)
            ));
        }
    }
    for (index, record) in replay.iter().enumerate() {
        engine.replay(record, &replay[index + 1..])?;
    }
    Ok(Relived { engine, stamps, elapsed: elapsed.total, rebuilt })
}

/// A study whose strategies can be asked what they know. Nothing is run, and nothing is written: also where a host is
/// running the study.
pub struct Consulted {
    /// What it is run from.
    pub plan: StudyPlan,
    /// Study and strategies; its journal takes no records.
    pub engine: Engine,
}

/// Reads a study back into its strategies; those that answer differently than recorded are made anew. Without a name
/// the journal must hold one study only.
pub fn consult(journal: &Location, name: Option<&str>, locking: Locking) -> Result<Consulted, Error> {
    let (mut consulted, rebuilt) = retrace(journal, name, locking)?;
    consulted.engine.renew_strategies(|member| rebuilt.contains(&member))?;
    Ok(consulted)
}

/// The same, leaving strategies as the records have left them; and the members whose plugin is another build than in
/// the last session.
pub fn retrace(
    journal: &Location,
    name: Option<&str>,
    locking: Locking,
) -> Result<(Consulted, Vec<usize>), Error> {
    let Stored { name, mut plan, plugins: last, .. } = stored(journal, name)?;
    plan.follow_folder(journal);
    // nobody is asked to evaluate anything
    plan.objective = None;
    let plugins = PluginSet::load(&plan, None, Builds { locking, last: &last }, PluginUse::Check)?;
    let journal = open_existing(journal)?.read(&name)?;
    let Relived { mut engine, rebuilt, .. } =
        relive(&plan, plugins.strategies, plugins.early_stopping, plugins.stamps, journal)?;
    for notice in plugins.notices {
        engine.warn(notice);
    }
    Ok((Consulted { plan, engine }, rebuilt))
}

/// One study as its journal holds it, without loading any plugin.
pub fn read(journal: impl Into<Location>, name: Option<&str>) -> Result<ReadStudy, Error> {
    read_and_watch(journal, name, |_, _| {})
}

/// The same; `see` is shown the study right after each of its records.
pub fn read_and_watch(
    journal: impl Into<Location>,
    name: Option<&str>,
    see: impl FnMut(&Study, &Record),
) -> Result<ReadStudy, Error> {
    let journal = journal.into();
    let store = open_existing(&journal)?;
    let name = choose(&journal, store.as_ref(), name)?;
    read_one(store.as_ref(), &name, see)
}

pub(crate) fn read_one(
    store: &dyn Store,
    name: &str,
    mut see: impl FnMut(&Study, &Record),
) -> Result<ReadStudy, Error> {
    let journal = store.read(name)?;
    let mut plan = journal.header().plan.clone();
    let mut study = Study::new(plan.rules.clone());
    let mut elapsed = Elapsed::default();
    for entry in journal.entries(0) {
        let stored = entry?;
        elapsed.pass(&stored.entry, stored.at);
        match stored.entry {
            Entry::Study(record) => {
                study.apply(&record).map_err(|error| Error::Journal(error.into()))?;
                see(&study, &record);
            }
            Entry::Opened(Opened { plan: Some(changed), .. }) => plan = *changed,
            Entry::Opened(_) | Entry::Closed { .. } => {}
        }
    }
    Ok(ReadStudy { plan, study, elapsed: elapsed.total })
}

pub(crate) fn open_existing(journal: &Location) -> Result<Box<dyn Store>, Error> {
    if journal.is_missing() {
        return Err(Error::NotFound(format!(
            "there is no journal {}; name the journal of the study with --journal",
            journal
        )));
    }
    Ok(journal::open_read_only(journal)?)
}

/// The study that is meant.
pub(crate) fn choose(journal: &Location, store: &dyn Store, name: Option<&str>) -> Result<String, Error> {
    let names: Vec<String> = store.studies()?.into_iter().map(|study| study.name).collect();
    let known = names.join(", ");
    match (name, &names[..]) {
        (Some(name), names) if names.iter().any(|known| known == name) => Ok(name.to_owned()),
        (Some(name), _) => {
            let hint = ansatz_core::nearest::did_you_mean(name, names.iter().map(String::as_str));
            Err(Error::NotFound(format!(
                "{} has no study {name:?}{hint}; it has {}",
                journal,
                if known.is_empty() { "none" } else { &known }
            )))
        }
        (None, [only]) => Ok(only.clone()),
        (None, []) => Err(Error::NotFound(format!("{} holds no study yet", journal))),
        (None, _) => Err(Error::Usage(format!("{} holds several studies, name one: {known}", journal))),
    }
}

/// What a study was as its last session left it.
struct Stored {
    name: String,
    plan: StudyPlan,
    /// The text that the plan is from.
    manifest: String,
    /// The builds that it ran with.
    plugins: Vec<PluginStamp>,
}

fn stored(journal: &Location, name: Option<&str>) -> Result<Stored, Error> {
    let store = open_existing(journal)?;
    let name = choose(journal, store.as_ref(), name)?;
    let study = store.read(&name)?;
    let mut plan = study.header().plan.clone();
    let mut manifest = study.header().manifest.clone();
    let mut plugins = Vec::new();
    for entry in study.entries(0) {
        if let Entry::Opened(opened) = entry?.entry {
            plan = opened.plan.map_or(plan, |changed| *changed);
            manifest = opened.manifest.unwrap_or(manifest);
            plugins = opened.plugins;
        }
    }
    // the journal may have been moved since
    plan.journal.move_to(journal);
    Ok(Stored { name, plan, manifest, plugins })
}

fn changed_plan(journal: &Location, stored: &Stored, set: &[String]) -> Result<(Manifest, StudyPlan), Error> {
    let Stored { plan: stored, manifest, .. } = stored;
    // what earlier sessions set still holds, and is set again before what is new
    let overrides: Vec<String> = stored.overrides.iter().chain(set).cloned().collect();
    let path = stored.manifest_folder.join(&stored.manifest_name);
    let manifest = Manifest::parse(manifest.clone(), &path, &overrides)?;
    let mut plan = manifest.plan()?;
    plan.journal.move_to(journal);
    keep_choices(stored, &mut plan);
    only_budget_and_run_differ(stored, &plan)?;
    Ok((manifest, plan))
}

/// Strategies keep the number of trials that they were told at first: with another one a replay could differ. Where nobody
/// named any, the study keeps those that it began with.
fn keep_choices(stored: &StudyPlan, plan: &mut StudyPlan) {
    plan.rules.problem.trial_count = stored.rules.problem.trial_count;
    // what was repeated when it began comes first, and is not chosen again; where the earlier study is now does not matter
    let what = |transfer: &Transfer| Transfer { store: None, ..transfer.clone() };
    if plan.transfers.iter().map(what).eq(stored.transfers.iter().map(what)) {
        plan.transfers.clone_from(&stored.transfers);
        plan.repeated_count = stored.repeated_count;
        let repeated = stored.rules.enqueued.iter().take(stored.repeated_count).cloned();
        plan.rules.enqueued.splice(0..0, repeated);
    }
    if stored.is_automatic && plan.is_automatic {
        plan.rules.mix = stored.rules.mix;
        plan.rules.members = stored.rules.members.clone();
        plan.strategies = stored.strategies.clone();
    }
}

/// What a study searches, measures and asks cannot change while it runs: its records would mean something else.
fn only_budget_and_run_differ(stored: &StudyPlan, plan: &StudyPlan) -> Result<(), Error> {
    let mut same = plan.clone();
    same.rules.budget = stored.rules.budget.clone();
    same.rules.attempts_max = stored.rules.attempts_max;
    same.rules.consecutive_failures_max = stored.rules.consecutive_failures_max;
    // with resampling the same suggestions come to other trials
    let is_resampled = |plan: &StudyPlan| plan.rules.duplicates == Duplicates::Resample;
    if !is_resampled(stored) && !is_resampled(plan) {
        same.rules.duplicates = stored.rules.duplicates;
    }
    same.run = stored.run.clone();
    same.journal = stored.journal.clone();
    same.plugin_folders = stored.plugin_folders.clone();
    same.faults = stored.faults.clone();
    let choices = same.strategies.iter_mut().zip(&stored.strategies);
    let choices = choices.chain(same.objective.iter_mut().zip(&stored.objective));
    for (choice, stored) in choices.chain(same.early_stopping.iter_mut().zip(&stored.early_stopping)) {
        choice.isolation = stored.isolation.clone();
    }
    same.overrides = stored.overrides.clone();
    same.manifest_folder = stored.manifest_folder.clone();
    same.manifest_name = stored.manifest_name.clone();
    if stored.name != plan.name {
        return Err(Error::Usage(format!(
            "the study is called {}, and a study keeps its name; to begin another one: {}",
            stored.name,
            run_command(plan, &[])
        )));
    }
    let what = match () {
        () if same == *stored => return Ok(()),
        () if same.rules.problem != stored.rules.problem => {
            &what_problems_differ_in(&stored.rules.problem, &same.rules.problem)
        }
        () if same.rules.seed != stored.rules.seed => "the seed differs",
        () if same.rules.window != stored.rules.window => {
            return Err(Error::Usage(match stored.rules.window {
                Some(window) => format!(
                    "study {} asks {window} trials ahead, which is fixed when it begins: add --set run.deterministic={window}",
                    plan.name
                ),
                None => {
                    format!("study {} did not begin as a deterministic one, and cannot become one", plan.name)
                }
            }));
        }
        () if same.rules.duplicates != stored.rules.duplicates => {
            "run.duplicates differs, which may change neither to nor from \"resample\""
        }
        () if same.transfers != stored.transfers => "what is transferred to it differs",
        () if same.rules.enqueued != stored.rules.enqueued => {
            return Err(Error::Usage(format!(
                "the points in [[enqueue]] are evaluated when a study begins, and those of study {0} differ from these; \
                 ansatz enqueue {0} adds others",
                plan.name
            )));
        }
        () if same.objective != stored.objective => "the objective differs",
        () if same.early_stopping != stored.early_stopping => "the early stopping differs",
        () => "the strategies differ",
    };
    Err(Error::Usage(format!(
        "study {} is in the journal already, with another plan: {what}; only budget, run, journal and plugins may change. Give the changed study \
         another name: {} (a [[transfer]] brings the trials of this one along)",
        plan.name,
        run_command(plan, &["--set", &format!("study.name={}-2", plan.name)])
    )))
}

/// Differences between two problems that a message names.
const DIFFERENCE_COUNT_MAX: usize = 3;

/// The first things in which two problems differ, by their names.
fn what_problems_differ_in(stored: &Problem, changed: &Problem) -> String {
    let (old, new) = (stored.space.parameters(), changed.space.parameters());
    let in_both = |name: &str| new.iter().find(|parameter| parameter.name == name);
    let gone = old.iter().filter(|parameter| in_both(&parameter.name).is_none());
    let added = new.iter().filter(|parameter| old.iter().all(|other| other.name != parameter.name));
    let changes =
        old.iter().filter(|parameter| in_both(&parameter.name).is_some_and(|other| other != *parameter));
    let mut found: Vec<String> = (gone.map(|parameter| format!("parameter {} is gone", parameter.name)))
        .chain(added.map(|parameter| format!("parameter {} is new", parameter.name)))
        .chain(changes.map(|parameter| format!("parameter {} has changed", parameter.name)))
        .collect();
    if found.is_empty() && stored.space != changed.space {
        found.push("the order of the parameters or the constraints between them differ".to_owned());
    }
    if stored.metrics != changed.metrics || stored.outcome_constraints != changed.outcome_constraints {
        found.push("the metrics differ".to_owned());
    }
    if found.is_empty() {
        found.push("what a trial may use of a full evaluation differs".to_owned());
    }
    let more = found.len().saturating_sub(DIFFERENCE_COUNT_MAX);
    found.truncate(DIFFERENCE_COUNT_MAX);
    let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{rest}", found.join(", "))
}

fn exists_hint(error: journal::JournalError, plan: &StudyPlan) -> Error {
    if error.kind != journal::JournalErrorKind::Exists {
        return error.into();
    }
    Error::Usage(format!(
        "the journal {0} has a study {1} already; go on with it by `ansatz resume {1} --journal {0}`, or start another with --set study.name={1}-2",
        plan.journal.location(),
        plan.name
    ))
}

fn opened(plugins: Vec<PluginStamp>, elapsed_before: Duration) -> Opened {
    Opened {
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
        process_id: Some(std::process::id()),
        elapsed_before,
        plugins,
        plan: None,
        manifest: None,
    }
}

/// How long a study ran: by what its sessions say, and where one died, by the time of its last entry.
#[derive(Default)]
struct Elapsed {
    before: Duration,
    opened_at: f64,
    total: Duration,
}

impl Elapsed {
    fn pass(&mut self, entry: &Entry, at: f64) {
        match entry {
            Entry::Opened(opened) => {
                (self.before, self.opened_at) = (opened.elapsed_before, at);
                self.total = self.total.max(self.before);
            }
            Entry::Closed { elapsed, .. } => self.total = *elapsed,
            // the time of day may jump: never backwards here
            Entry::Study(_) => {
                let since = Duration::try_from_secs_f64(at - self.opened_at).unwrap_or_default();
                self.total = self.total.max(self.before + since);
            }
        }
    }
}
