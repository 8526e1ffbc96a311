//! The plugins of a study: found, loaded, checked against the manifest, and made.

use crate::error::Error;
use crate::journal::PluginStamp;
use crate::manifest::{Diagnostics, Manifest, Section};
use crate::plan::{PluginChoice, StudyPlan};
use ansatz_core::rng::Streams;
use ansatz_core::{Problem, Surroundings};
use ansatz_plugin_host::{
    Component, FaultClass, ForeignObjective, ForeignStrategy, Found, HostError, Library, Role, SearchPath,
};
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that evaluates and proposes in one study.
pub struct PluginSet {
    /// Who evaluates; `None` where a program asks and tells.
    pub objective: Option<Arc<ForeignObjective>>,
    /// Who proposes, in the order of the members.
    pub strategies: Vec<LoadedStrategy>,
    /// What was loaded, for the journal.
    pub stamps: Vec<PluginStamp>,
}

/// A strategy of a study, which can be made anew.
pub struct LoadedStrategy {
    library: Arc<Library>,
    choice: PluginChoice,
    problem: Problem,
    seed: u64,
}

impl LoadedStrategy {
    /// A strategy that has heard nothing yet.
    pub fn create(&self) -> Result<ForeignStrategy, HostError> {
        let component = component(&self.library, Role::Strategy, &self.choice.plugin)?;
        component.create_strategy(&self.problem, &self.choice.options, self.seed)
    }
}

/// The search path of this process: the plan's folders, `ANSATZ_PLUGIN_PATH`, the user's data folder,
/// and what ships beside the executable.
pub fn search_path(folders: &[PathBuf]) -> SearchPath {
    let user = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let user = user.or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
    let host = std::env::current_exe().and_then(|path| path.canonicalize()).ok();
    // a relative home would mean the current directory
    let user = user.filter(|path| path.is_absolute());
    SearchPath::new(
        folders,
        std::env::var_os("ANSATZ_PLUGIN_PATH").as_deref(),
        user.map(|folder| folder.join("ansatz/plugins")),
        host.as_deref(),
    )
}

impl PluginSet {
    /// Finds, loads and makes the plugins of a plan. With the manifest at hand, everything that is wrong
    /// with plugins and their options is said at once, where it stands.
    pub fn load(plan: &StudyPlan, manifest: Option<&Manifest>) -> Result<Self, Error> {
        let search = search_path(&plan.plugin_folders);
        let mut diagnostics = Diagnostics::default();
        let mut stamps = Vec::new();
        let mut failure = None;
        let mut find =
            |section: Section, role: Role, choice: &PluginChoice| match search.find(role, &choice.plugin) {
                Ok(found) => {
                    let component = component(&found.library, role, &choice.plugin);
                    if let (Some(manifest), Ok(component)) = (manifest, component) {
                        diagnostics.extend(manifest.check_options(section, &component.options_schema));
                    }
                    stamps.push(stamp(&found, role, &choice.plugin));
                    Some(found.library)
                }
                Err(error) => {
                    if let Some(manifest) = manifest {
                        diagnostics.extend(manifest.plugin_error(section, &error.to_string()));
                    }
                    failure.get_or_insert(error);
                    None
                }
            };
        let objective_library =
            plan.objective.as_ref().map(|choice| find(Section::Objective, Role::Objective, choice));
        let libraries: Vec<Option<Arc<Library>>> = (plan.strategies.iter().enumerate())
            .map(|(index, choice)| find(Section::Strategy(index), Role::Strategy, choice))
            .collect();
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
        let surroundings =
            Surroundings { manifest_folder: plan.manifest_folder.clone(), study: plan.name.clone() };
        let mut objective = None;
        if let (Some(choice), Some(Some(library))) = (&plan.objective, &objective_library) {
            let made = component(library, Role::Objective, &choice.plugin).and_then(|found| {
                found.create_objective(&plan.rules.problem, &choice.options, &surroundings)
            });
            match made {
                Ok(made) => objective = Some(Arc::new(made)),
                Err(error) => refused(error, Section::Objective, manifest, &mut diagnostics)?,
            }
        }
        let streams = Streams::new(plan.rules.seed);
        let mut strategies = Vec::new();
        for (index, (library, choice)) in libraries.into_iter().zip(&plan.strategies).enumerate() {
            let Some(library) = library else { continue };
            let strategy = LoadedStrategy {
                library,
                choice: choice.clone(),
                problem: plan.rules.problem.clone(),
                // by label: a member keeps its stream when another is added or removed
                seed: streams.seed(&format!("strategy/{}", plan.rules.members[index].label)),
            };
            // made once here, so that a refusal is heard before the study begins
            match strategy.create() {
                Ok(_) => strategies.push(strategy),
                Err(error) => refused(error, Section::Strategy(index), manifest, &mut diagnostics)?,
            }
        }
        if !diagnostics.is_empty() {
            return Err(diagnostics.into());
        }
        Ok(Self { objective, strategies, stamps })
    }
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

fn component<'a>(library: &'a Library, role: Role, name: &str) -> Result<&'a Component, HostError> {
    library.component(role, name).ok_or_else(|| HostError::Refused {
        path: library.path.clone(),
        reason: format!("it no longer offers the {role} {name}"),
    })
}

fn stamp(found: &Found, role: Role, name: &str) -> PluginStamp {
    let library = &found.library;
    PluginStamp {
        component: name.to_owned(),
        role: role.to_string(),
        path: library.path.clone(),
        package: library.package.clone(),
        version: library.version.clone(),
        abi: library.abi.clone(),
        sha256: library.sha256.clone(),
    }
}
