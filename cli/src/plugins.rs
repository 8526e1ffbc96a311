//! The plugins of a study: found, checked against the manifest and the lock, and made.

mod early_stopping;

pub use early_stopping::LoadedEarlyStopping;

use crate::error::Error;
use crate::journal::PluginStamp;
use crate::lock::{self, Lock};
use crate::manifest::{Diagnostics, Manifest, Section};
use crate::plan::{Isolation, IsolationRules, PluginChoice, StudyPlan};
use crate::run::trial_output_folder;
use ansatz_core::rng::Streams;
use ansatz_core::{Problem, Surroundings};
use ansatz_plugin_host::{
    FaultClass, ForeignObjective, ForeignStrategy, Found, HostError, Housing, Launch, Meant, MetadataCache,
    Origin, Plugin, Role, SearchPath,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The hidden subcommand under which the host's own executable is a worker.
pub const WORKER_SUBCOMMAND: &str = "plugin-worker";

/// How long a plugin has to say what it is.
const LOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that evaluates, proposes and ends trials early in one study.
pub struct PluginSet {
    /// Who evaluates; `None` where a program asks and tells.
    pub objective: Option<Arc<ForeignObjective>>,
    /// Who proposes, in the order of the members.
    pub strategies: Vec<LoadedStrategy>,
    /// Who ends trials early, if the plan names somebody.
    pub early_stopping: Option<LoadedEarlyStopping>,
    /// What was found, for the journal.
    pub stamps: Vec<PluginStamp>,
    /// What a person should know.
    pub notices: Vec<String>,
}

/// What a lock means for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locking {
    /// A plugin that differs is warned of.
    Warn,
    /// There must be a lock, and every plugin must be the one it means.
    Refuse,
    /// The lock is about to be written.
    Ignore,
}

/// Which builds a study means.
#[derive(Clone, Copy)]
pub struct Builds<'a> {
    /// What the lock beside the manifest means for the command; where it pins a build, that one is meant.
    pub locking: Locking,
    /// Those of the study's last session, which are meant where the lock says nothing.
    pub last: &'a [PluginStamp],
}

impl From<Locking> for Builds<'_> {
    /// Of a study that has had no session.
    fn from(locking: Locking) -> Self {
        Self { locking, last: &[] }
    }
}

/// What plugins are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginUse {
    /// A study, beside whose journal the output of their processes is kept.
    Study,
    /// A look at whether they fit; nothing is kept.
    Check,
}

/// A strategy of a study, which can be made anew.
pub struct LoadedStrategy {
    plugin: Plugin,
    choice: PluginChoice,
    housing: Housing,
    problem: Problem,
    streams: Streams,
    label: String,
    /// Made when the study was checked, and used first.
    first: Option<ForeignStrategy>,
    fallback: Option<Fallback>,
}

/// Who proposes in place of a strategy that keeps breaking. Looked for when it is needed.
#[derive(Clone)]
struct Fallback {
    search: SearchPath,
    choice: PluginChoice,
    log: Option<PathBuf>,
}

impl LoadedStrategy {
    /// A strategy that proposes alone and has no fallback: what it does wrong is its own result. Nothing that its
    /// process writes is kept.
    pub fn alone(found: &Found, choice: &PluginChoice, problem: &Problem, seed: u64, label: &str) -> Self {
        Self {
            plugin: found.plugin.clone(),
            choice: choice.clone(),
            housing: housing(found, &choice.isolation, None),
            problem: problem.clone(),
            streams: Streams::new(seed),
            label: label.to_owned(),
            first: None,
            fallback: None,
        }
    }

    /// A strategy that has heard nothing yet. Each renewal has random numbers of its own: the same ones would only
    /// propose the first points once more.
    pub fn create(&mut self, renewal: u64) -> Result<ForeignStrategy, HostError> {
        if let Some(first) = self.first.take().filter(|_| renewal == 0) {
            return Ok(first);
        }
        let (name, options) = (&self.choice.plugin, &self.choice.options);
        let seed = self.seed("strategy", renewal);
        self.plugin.create_strategy(name, &self.problem, options, seed, &self.housing)
    }

    /// By label: a member keeps its stream when another is added or removed.
    fn seed(&self, purpose: &str, renewal: u64) -> u64 {
        self.streams.seed(&match renewal {
            0 => format!("{purpose}/{}", self.label),
            _ => format!("{purpose}/{}/{renewal}", self.label),
        })
    }

    /// Whether somebody could propose in its place.
    pub fn has_fallback(&self) -> bool {
        self.fallback.is_some()
    }

    /// The name of whoever proposes in its place.
    pub fn fallback_name(&self) -> &str {
        self.fallback.as_ref().map_or("nobody", |fallback| &fallback.choice.plugin)
    }

    /// Whoever proposes in its place, having heard nothing yet.
    pub fn create_fallback(&self, renewal: u64) -> Result<ForeignStrategy, HostError> {
        let Some(fallback) = &self.fallback else {
            return Err(HostError::Missing {
                name: "fallback".into(),
                role: Role::Strategy,
                searched: Vec::new(),
                passed: Vec::new(),
                known: Vec::new(),
            });
        };
        let choice = &fallback.choice;
        let found = fallback.search.find(Role::Strategy, &choice.plugin)?;
        let housing = housing(&found, &choice.isolation, fallback.log.clone());
        let seed = self.seed("fallback", renewal);
        found.plugin.create_strategy(&choice.plugin, &self.problem, &choice.options, seed, &housing)
    }
}

/// The search path of this process: the plan's folders, `ANSATZ_PLUGIN_PATH`, the user's data folder,
/// and what ships beside the executable.
pub fn search_path(folders: &[PathBuf]) -> SearchPath {
    let host = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    let search = SearchPath::new(
        folders,
        std::env::var_os("ANSATZ_PLUGIN_PATH").as_deref(),
        user_folder(),
        host.as_deref(),
    );
    let cache = cache_folder();
    // of this process alone, and gone with it if nothing was said
    let log = cache.as_ref().map(|folder| folder.join(format!("look-{}.log", std::process::id())));
    search.looking_from(
        launch(LOOK_TIMEOUT, None, log),
        cache.map(|folder| MetadataCache::new(folder.join("plugins.json"))),
    )
}

/// Where `ansatz plugins install` puts plugins.
pub fn user_folder() -> Option<PathBuf> {
    xdg_folder("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("ansatz/plugins"))
}

/// Where what is known of plugins is kept; it may be deleted at any time.
fn cache_folder() -> Option<PathBuf> {
    xdg_folder("XDG_CACHE_HOME", ".cache").map(|folder| folder.join("ansatz"))
}

/// A folder of the user by its variable, or by its place in the home folder. A relative one would mean the
/// current directory.
fn xdg_folder(variable: &str, in_home: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = named.or_else(|| std::env::home_dir().map(|home| home.join(in_home)));
    folder.filter(|path| path.is_absolute())
}

/// How workers are started.
pub fn launch(call_timeout: Duration, memory_bytes_max: Option<u64>, log: Option<PathBuf>) -> Launch {
    Launch {
        executable: own_executable(),
        subcommand: WORKER_SUBCOMMAND,
        call_timeout,
        memory_bytes_max,
        log,
    }
}

/// This very program, even if another one lies in its place by now.
pub fn own_executable() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or_else(|_| "ansatz".into()) }
}

/// Where a plugin lives: as the manifest says, else in our process if it shipped with us.
fn housing(found: &Found, rules: &IsolationRules, log: Option<PathBuf>) -> Housing {
    let is_apart = match rules.isolation {
        Some(isolation) => isolation == Isolation::Process,
        None => found.origin != Origin::BesideHost,
    };
    match is_apart || found.plugin.needs_process() {
        true => Housing::Process(launch(rules.call_timeout, rules.memory_bytes_max, log)),
        false => Housing::Host,
    }
}

/// What is worth saying of a plugin's place.
fn placement_notice(found: &Found, choice: &PluginChoice, housing: &Housing) -> Option<String> {
    let name = &choice.plugin;
    match housing {
        Housing::Host if found.plugin.metadata.aborts_on_panic() => Some(format!(
            "{name} was built with panic = \"abort\": if it panics, the host ends with it; drop isolation = \"none\""
        )),
        Housing::Process(_) if choice.isolation.isolation == Some(Isolation::None) => {
            Some(format!("{name} is a program and has a process of its own, whatever isolation says"))
        }
        _ => None,
    }
}

/// Which of several builds was taken, and why.
fn choice_notice(found: &Found, role: Role, name: &str, pinned: &[Meant]) -> Option<String> {
    let others: Vec<String> = found.others.iter().map(|path| path.display().to_string()).collect();
    let taken = found.plugin.metadata.path.display();
    let is_pinned = pinned.iter().any(|pin| (pin.role, &*pin.name) == (role, name));
    let why = match is_pinned {
        true => format!("{} pins {taken}", lock::FILE_NAME),
        false => format!("the study's last session had {taken}"),
    };
    (!others.is_empty()).then(|| {
        format!(
            "several builds of the {role} {name} are there: {why}, which is taken and not {}",
            others.join(", ")
        )
    })
}

/// The objective of a plan that was found before.
pub fn lone_objective(
    found: &Found,
    choice: &PluginChoice,
    plan: &StudyPlan,
) -> Result<ForeignObjective, HostError> {
    let surroundings =
        Surroundings { manifest_folder: plan.manifest_folder.clone(), study: plan.name.clone() };
    let housing = housing(found, &choice.isolation, None);
    found.plugin.create_objective(
        &choice.plugin,
        &plan.rules.problem,
        &choice.options,
        &surroundings,
        &housing,
    )
}

impl PluginSet {
    /// Finds, checks and makes the plugins of a plan. With the manifest at hand, everything that is wrong
    /// with plugins and their options is said at once, where it stands.
    pub fn load<'b>(
        plan: &StudyPlan,
        manifest: Option<&Manifest>,
        builds: impl Into<Builds<'b>>,
        purpose: PluginUse,
    ) -> Result<Self, Error> {
        let Builds { locking, last } = builds.into();
        let lock = match locking {
            Locking::Ignore => Ok(None),
            Locking::Warn | Locking::Refuse => Lock::read(&plan.manifest_folder),
        };
        let pinned = lock.as_ref().ok().and_then(Option::as_ref).map(Lock::meant).unwrap_or_default();
        let is_free = |of_last: &Meant| {
            !pinned.iter().any(|pin| (pin.role, &pin.name) == (of_last.role, &of_last.name))
        };
        let of_last = last.iter().filter_map(PluginStamp::meant).filter(is_free);
        let search =
            search_path(&plan.plugin_folders).meaning(of_last.chain(pinned.iter().cloned()).collect());
        let mut diagnostics = Diagnostics::default();
        let mut stamps = Vec::new();
        let mut notices = Vec::new();
        let mut failure = None;
        let mut find =
            |section: Section, role: Role, choice: &PluginChoice| match search.find(role, &choice.plugin) {
                Ok(found) => {
                    let component = found.plugin.metadata.component(role, &choice.plugin);
                    if let (Some(manifest), Some(component)) = (manifest, component) {
                        diagnostics.extend(manifest.check_options(section, &component.options_schema));
                    }
                    stamps.push(stamp(&found, role, &choice.plugin));
                    notices.extend(choice_notice(&found, role, &choice.plugin, &pinned));
                    Some(found)
                }
                Err(error) => {
                    if let Some(manifest) = manifest {
                        diagnostics.extend(manifest.plugin_error(section, &error.to_string()));
                    }
                    failure.get_or_insert(error);
                    None
                }
            };
        let found_objective =
            plan.objective.as_ref().map(|choice| find(Section::Objective, Role::Objective, choice));
        let found_strategies: Vec<Option<Found>> = (plan.strategies.iter().enumerate())
            .map(|(index, choice)| find(Section::Strategy(index), Role::Strategy, choice))
            .collect();
        let found_early_stopping = (plan.early_stopping.as_ref())
            .and_then(|choice| Some((find(Section::EarlyStopping, Role::EarlyStopping, choice)?, choice)));
        if let Some(error) = failure {
            // a missing plugin is not the manifest's fault alone, and has an exit code of its own
            return Err(if diagnostics.is_empty() {
                error.into()
            } else {
                Error::MissingPlugin(diagnostics)
            });
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics.into());
        }
        // before any of them is made
        notices.extend(compare_with_lock(lock, &plan.manifest_folder, &stamps, locking)?);
        let logs = (purpose == PluginUse::Study).then(|| trial_output_folder(&plan.journal.path, &plan.name));
        let log =
            |name: &str| logs.as_ref().map(|folder| folder.join(format!("plugin-{}.log", file_name(name))));
        let surroundings =
            Surroundings { manifest_folder: plan.manifest_folder.clone(), study: plan.name.clone() };
        let mut objective = None;
        if let (Some(choice), Some(Some(found))) = (&plan.objective, &found_objective) {
            let housing = housing(found, &choice.isolation, log(&choice.plugin));
            notices.extend(placement_notice(found, choice, &housing));
            let made = found.plugin.create_objective(
                &choice.plugin,
                &plan.rules.problem,
                &choice.options,
                &surroundings,
                &housing,
            );
            match made {
                Ok(made) => objective = Some(Arc::new(made)),
                Err(error) => refused(error, Section::Objective, manifest, &mut diagnostics)?,
            }
        }
        let streams = Streams::new(plan.rules.seed);
        let mut strategies = Vec::new();
        for (index, (found, choice)) in found_strategies.into_iter().zip(&plan.strategies).enumerate() {
            let Some(found) = found else { continue };
            let label = &plan.rules.members[index].label;
            let housing = housing(&found, &choice.isolation, log(label));
            notices.extend(placement_notice(&found, choice, &housing));
            let fallback = plan.faults.fallback.clone().map(|choice| Fallback {
                search: search.clone(),
                choice,
                log: log(&format!("{label}-fallback")),
            });
            let mut strategy = LoadedStrategy {
                plugin: found.plugin,
                choice: choice.clone(),
                housing,
                problem: plan.rules.problem.clone(),
                streams,
                label: label.clone(),
                first: None,
                fallback,
            };
            // made once here, so that a refusal is heard before the study begins
            match strategy.create(0) {
                Ok(made) => {
                    strategy.first = Some(made);
                    strategies.push(strategy);
                }
                Err(error) => refused(error, Section::Strategy(index), manifest, &mut diagnostics)?,
            }
        }
        let mut early_stopping = None;
        if let Some((found, choice)) = found_early_stopping {
            let housing = housing(&found, &choice.isolation, log("early-stopping"));
            notices.extend(placement_notice(&found, choice, &housing));
            let problem = plan.rules.problem.clone();
            let mut loaded = LoadedEarlyStopping {
                plugin: found.plugin,
                choice: choice.clone(),
                housing,
                problem,
                streams,
                first: None,
            };
            match loaded.create(0) {
                Ok(made) => {
                    loaded.first = Some(made);
                    early_stopping = Some(loaded);
                }
                Err(error) => refused(error, Section::EarlyStopping, manifest, &mut diagnostics)?,
            }
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics.into());
        }
        Ok(Self { objective, strategies, early_stopping, stamps, notices })
    }
}

/// What differs from the lock, to be said; an error where that is refused.
fn compare_with_lock(
    lock: Result<Option<Lock>, Error>,
    folder: &Path,
    stamps: &[PluginStamp],
    locking: Locking,
) -> Result<Vec<String>, Error> {
    if locking == Locking::Ignore {
        return Ok(Vec::new());
    }
    let lock = match lock {
        // what cannot be read refuses nobody who did not ask for it
        Err(error) if locking == Locking::Warn => return Ok(vec![error.to_string()]),
        lock => lock?,
    };
    let refuse = |what: String| Error::Locked(format!("{what}; run ansatz plugins lock if that is meant"));
    match (lock, locking) {
        (None, Locking::Refuse) => {
            Err(refuse(format!("--locked: there is no {} in {}", lock::FILE_NAME, folder.display())))
        }
        (None, _) => Ok(Vec::new()),
        (Some(lock), Locking::Refuse) => {
            let (differences, missing) = (lock.differences(stamps), lock.missing(stamps));
            if let Some(first) = differences.into_iter().next() {
                return Err(refuse(format!("--locked: {first}")));
            }
            match missing.is_empty() {
                true => Ok(Vec::new()),
                false => {
                    Err(refuse(format!("--locked: {} does not pin {}", lock::FILE_NAME, missing.join(", "))))
                }
            }
        }
        (Some(lock), _) => Ok(lock.differences(stamps)),
    }
}

/// A label as a part of a file's name.
fn file_name(label: &str) -> String {
    label.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect()
}

/// A constructor's refusal: the manifest's fault where it can be shown there.
fn refused(
    error: HostError,
    section: Section,
    manifest: Option<&Manifest>,
    diagnostics: &mut Diagnostics,
) -> Result<(), Error> {
    match (&error, manifest) {
        (HostError::Unfit(fault), Some(manifest))
            if matches!(fault.kind, FaultClass::Invalid | FaultClass::Unsupported) =>
        {
            diagnostics.extend(manifest.options_error(section, &error.to_string()));
            Ok(())
        }
        _ => Err(error.into()),
    }
}

fn stamp(found: &Found, role: Role, name: &str) -> PluginStamp {
    let metadata = &found.plugin.metadata;
    PluginStamp {
        component: name.to_owned(),
        role: role.to_string(),
        path: metadata.path.clone(),
        package: metadata.package.clone(),
        version: metadata.version.clone(),
        abi: metadata.abi.clone(),
        sha256: metadata.sha256.clone(),
    }
}
