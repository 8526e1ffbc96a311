//! A plugin as the cases see it: what it says of itself, and how strategies and objectives are made.

use ansatz_core::{Capability, Problem, Surroundings};
use ansatz_plugin_host::{ForeignObjective, ForeignStrategy, HostError, Library, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What it does in a study.
    #[serde(with = "role_by_name")]
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

type CreateStrategy = dyn Fn(&Problem, &Value, u64) -> Result<ForeignStrategy, HostError>;
type CreateObjective = dyn Fn(&Problem, &Value, &Surroundings) -> Result<ForeignObjective, HostError>;

/// One component of a plugin, ready to be made.
pub struct Target {
    /// What it says of itself.
    pub about: About,
    /// Whether its code runs in this process: only then threads and memory of this process are its own.
    pub is_in_process: bool,
    create_strategy: Box<CreateStrategy>,
    create_objective: Box<CreateObjective>,
}

impl Target {
    /// Everything that a library offers, as it says itself. This runs its code.
    pub fn list(path: &Path) -> Result<Vec<About>, HostError> {
        let library = Library::load(path)?;
        Ok(library.components.iter().map(|component| about(&library, component)).collect())
    }

    /// A component of a library. This runs its code.
    pub fn of_library(path: &Path, role: Role, name: &str) -> Result<Self, HostError> {
        let library = Library::load(path)?;
        let found = library.components.iter().position(|c| c.role == role && c.name == name);
        let index = found.ok_or_else(|| HostError::Refused {
            path: library.path.clone(),
            reason: format!("it offers no {role} {name}"),
        })?;
        let (for_strategies, for_objectives) = (library.clone(), library.clone());
        Ok(Self {
            about: about(&library, &library.components[index]),
            is_in_process: true,
            create_strategy: Box::new(move |problem, options, seed| {
                for_strategies.components[index].create_strategy(problem, options, seed)
            }),
            create_objective: Box::new(move |problem, options, surroundings| {
                for_objectives.components[index].create_objective(problem, options, surroundings)
            }),
        })
    }

    /// A strategy for a study. The seed is that of its stream.
    pub fn create_strategy(
        &self,
        problem: &Problem,
        options: &Value,
        seed: u64,
    ) -> Result<ForeignStrategy, HostError> {
        (self.create_strategy)(problem, options, seed)
    }

    /// An objective for a study.
    pub fn create_objective(
        &self,
        problem: &Problem,
        options: &Value,
        surroundings: &Surroundings,
    ) -> Result<ForeignObjective, HostError> {
        (self.create_objective)(problem, options, surroundings)
    }
}

fn about(library: &Library, component: &ansatz_plugin_host::Component) -> About {
    About {
        role: component.role,
        name: component.name.clone(),
        package: library.package.clone(),
        summary: component.summary.clone(),
        capabilities: component.capabilities.clone(),
        options_schema: component.options_schema.clone(),
    }
}

/// A role as the word that people use.
pub(crate) mod role_by_name {
    use ansatz_plugin_host::Role;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(role)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
        let name = String::deserialize(deserializer)?;
        [Role::Strategy, Role::Objective]
            .into_iter()
            .find(|role| role.to_string() == name)
            .ok_or_else(|| D::Error::custom(format!("{name:?} is no role")))
    }
}
