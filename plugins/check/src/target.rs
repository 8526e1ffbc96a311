//! A plugin as the cases see it: what it says of itself, and how its components are made.

use ansatz_core::{Capability, Problem, Surroundings};
use ansatz_plugin_host::{
    ComponentMetadata, ForeignEarlyStopping, ForeignObjective, ForeignStrategy, HostError, Housing, Launch,
    Plugin, PluginMetadata, Role, SearchPath,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What it does in a study.
    pub role: Role,
    /// `vendor.name`, or bare for what ships with Ansatz.
    pub name: String,
    /// The package that built it.
    pub package: String,
    /// One line: method and source.
    pub summary: String,
    /// What a strategy can do.
    pub capabilities: Vec<Capability>,
    /// JSON Schema of its options.
    pub options_schema: Value,
}

impl About {
    /// Whether it claims all of these.
    pub fn can(&self, capabilities: &[Capability]) -> bool {
        capabilities.iter().all(|capability| self.capabilities.contains(capability))
    }
}

/// What the person who checks says of the plugin: without it, cases use problems of their own and no options.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// A problem that an objective can evaluate.
    pub problem: Option<Problem>,
    /// The options that it is made with.
    pub options: Option<Value>,
    /// What the objective is told of the world.
    pub surroundings: Surroundings,
}

/// Where the plugin is, and where its code runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// A library, or the folder of a program.
    pub path: PathBuf,
    /// How its processes are started: for programs always, for libraries where they are checked apart from the
    /// process that runs a case.
    pub launch: Option<Launch>,
}

impl Place {
    fn plugin(&self) -> Result<Plugin, HostError> {
        let search = SearchPath::new(&[], None, None, None);
        let search = match &self.launch {
            Some(launch) => search.looking_from(launch.clone(), None),
            None => search,
        };
        search.at(&self.path)
    }
}

/// One component of a plugin, ready to be made.
pub struct Target {
    /// What it says of itself.
    pub about: About,
    /// Whether its code runs in this process: only then threads and memory of this process are its own.
    pub is_in_process: bool,
    plugin: Plugin,
    housing: Housing,
}

impl Target {
    /// Everything that a plugin offers, as it says itself. This runs its code.
    pub fn list(place: &Place) -> Result<Vec<About>, HostError> {
        let metadata = place.plugin()?.metadata;
        Ok(metadata.components.iter().map(|component| about(&metadata, component)).collect())
    }

    /// A component of a plugin. This runs its code.
    pub fn new(place: &Place, role: Role, name: &str) -> Result<Self, HostError> {
        let plugin = place.plugin()?;
        let component = plugin.metadata.component(role, name).ok_or_else(|| HostError::Refused {
            path: place.path.clone(),
            reason: format!("it offers no {role} {name}"),
        })?;
        Ok(Self {
            about: about(&plugin.metadata, component),
            is_in_process: place.launch.is_none(),
            housing: place.launch.clone().map_or(Housing::Host, Housing::Process),
            plugin,
        })
    }

    /// A strategy for a study. The seed is that of its stream.
    pub fn create_strategy(
        &self,
        problem: &Problem,
        options: &Value,
        seed: u64,
    ) -> Result<ForeignStrategy, HostError> {
        self.plugin.create_strategy(&self.about.name, problem, options, seed, &self.housing)
    }

    /// An objective for a study.
    pub fn create_objective(
        &self,
        problem: &Problem,
        options: &Value,
        surroundings: &Surroundings,
    ) -> Result<ForeignObjective, HostError> {
        self.plugin.create_objective(&self.about.name, problem, options, surroundings, &self.housing)
    }

    /// An early-stopping rule for a study. The seed is that of its stream.
    pub fn create_early_stopping(
        &self,
        problem: &Problem,
        options: &Value,
        seed: u64,
    ) -> Result<ForeignEarlyStopping, HostError> {
        self.plugin.create_early_stopping(&self.about.name, problem, options, seed, &self.housing)
    }
}

fn about(metadata: &PluginMetadata, component: &ComponentMetadata) -> About {
    About {
        role: component.role,
        name: component.name.clone(),
        package: metadata.package.clone(),
        summary: component.summary.clone(),
        capabilities: component.capabilities.clone(),
        options_schema: component.options_schema.clone(),
    }
}
