//! A plugin that was found and looked at: what it offers, and how a component of it is made, in our process or in
//! one of its own.

use crate::library::Library;
use crate::program::Program;
use crate::worker::{Creation, Launch, RemoteEarlyStopping, RemoteObjective, RemoteStrategy, Served};
use crate::{
    ComponentMetadata, FaultClass, ForeignEarlyStopping, ForeignObjective, ForeignStrategy, Form, HostError,
    PluginFault, PluginMetadata, Role,
};
use ansatz_core::abi::abi_stable::sabi_trait::TD_Opaque;
use ansatz_core::abi::{Fault, RawEarlyStopping_TO, RawObjective_TO, RawStrategy_TO};
use ansatz_core::glue::convert::Expected;
use ansatz_core::{Capability, Problem, Surroundings};
use std::sync::Arc;

/// Where a component lives.
#[derive(Clone, Debug)]
pub enum Housing {
    /// In our process: its panics are caught, and whatever else it does wrong takes us down.
    Host,
    /// In a process of its own.
    Process(Launch),
}

/// A plugin that was found and looked at.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// What it says of itself.
    pub metadata: Arc<PluginMetadata>,
}

impl Plugin {
    /// A plugin from what is known of it.
    pub fn new(metadata: PluginMetadata) -> Self {
        Self { metadata: Arc::new(metadata) }
    }

    /// A strategy for a study. The seed is that of its stream.
    pub fn create_strategy(
        &self,
        name: &str,
        problem: &Problem,
        options: &serde_json::Value,
        seed: u64,
        housing: &Housing,
    ) -> Result<ForeignStrategy, HostError> {
        let component = self.component(Role::Strategy, name)?;
        let Housing::Process(launch) = housing else {
            return self.library()?.create_strategy(name, problem, options, seed);
        };
        let unfit = |fault: Fault| unfit(name, &fault);
        let surroundings = Surroundings::default();
        let creation = creation(component, problem, options, &surroundings, seed)?;
        let expected = Expected::of(problem);
        refuse_incapable(component, &problem.requirements())?;
        let remote =
            RemoteStrategy::new(launch.clone(), self.served(), &creation, &component.capabilities, expected)
                .map_err(unfit)?;
        let process = remote.process_id();
        let raw = RawStrategy_TO::from_value(remote, TD_Opaque);
        Ok(ForeignStrategy::new(name.to_owned(), problem.space.parameter_count(), raw).in_process(process))
    }

    /// An objective for a study.
    pub fn create_objective(
        &self,
        name: &str,
        problem: &Problem,
        options: &serde_json::Value,
        surroundings: &Surroundings,
        housing: &Housing,
    ) -> Result<ForeignObjective, HostError> {
        let component = self.component(Role::Objective, name)?;
        let Housing::Process(launch) = housing else {
            return self.library()?.create_objective(name, problem, options, surroundings);
        };
        let unfit = |fault: Fault| unfit(name, &fault);
        let creation = creation(component, problem, options, surroundings, 0)?;
        let is_program = self.metadata.form == Form::Program;
        let restart_after = match is_program {
            true => Program::read(&self.metadata.path)?.restart_after(),
            false => None,
        };
        let space = is_program.then(|| problem.space.clone());
        let remote = RemoteObjective::new(launch.clone(), self.served(), &creation, space, restart_after)
            .map_err(unfit)?;
        Ok(ForeignObjective::new(name.to_owned(), RawObjective_TO::from_value(remote, TD_Opaque)))
    }

    /// An early-stopping rule for a study. The seed is that of its stream.
    pub fn create_early_stopping(
        &self,
        name: &str,
        problem: &Problem,
        options: &serde_json::Value,
        seed: u64,
        housing: &Housing,
    ) -> Result<ForeignEarlyStopping, HostError> {
        let component = self.component(Role::EarlyStopping, name)?;
        let Housing::Process(launch) = housing else {
            return self.library()?.create_early_stopping(name, problem, options, seed);
        };
        let creation = creation(component, problem, options, &Surroundings::default(), seed)?;
        let needed = problem.requirements();
        let needed: Vec<Capability> =
            needed.into_iter().filter(|needed| *needed == Capability::MultiObjective).collect();
        refuse_incapable(component, &needed)?;
        let remote = RemoteEarlyStopping::new(launch, &self.served(), &creation, Expected::of(problem))
            .map_err(|fault| unfit(name, &fault))?;
        Ok(ForeignEarlyStopping::new(name.to_owned(), RawEarlyStopping_TO::from_value(remote, TD_Opaque)))
    }

    /// Whether it must have a process of its own whatever the manifest says.
    pub fn needs_process(&self) -> bool {
        self.metadata.form == Form::Program
    }

    fn served(&self) -> Served {
        let path = self.metadata.path.clone();
        match self.metadata.form {
            Form::Library => Served::Library(path),
            Form::Program => Served::Program(path),
        }
    }

    fn component(&self, role: Role, name: &str) -> Result<&ComponentMetadata, HostError> {
        self.metadata.component(role, name).ok_or_else(|| self.no_longer_offers(role, name))
    }

    fn no_longer_offers(&self, role: Role, name: &str) -> HostError {
        HostError::Refused {
            path: self.metadata.path.clone(),
            reason: format!("it no longer offers the {role} {name}"),
        }
    }

    fn library(&self) -> Result<InHost, HostError> {
        Ok(InHost { plugin: self.clone(), library: Library::load(&self.metadata.path)? })
    }
}

/// The glue of a library refuses what its author does not claim; for programs we do.
fn refuse_incapable(component: &ComponentMetadata, needed: &[Capability]) -> Result<(), HostError> {
    let missing: Vec<&str> = (needed.iter())
        .filter(|needed| !component.capabilities.contains(needed))
        .map(|capability| capability.name())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(HostError::Unfit(PluginFault {
        component: component.name.clone(),
        call: "create",
        kind: FaultClass::Unsupported,
        message: format!("it cannot do what this study needs: {}", missing.join(", ")),
        location: String::new(),
    }))
}

/// A library that was loaded into our process.
struct InHost {
    plugin: Plugin,
    library: Arc<Library>,
}

impl InHost {
    fn create_strategy(
        &self,
        name: &str,
        problem: &Problem,
        options: &serde_json::Value,
        seed: u64,
    ) -> Result<ForeignStrategy, HostError> {
        let component = self.library.component(Role::Strategy, name);
        let component = component.ok_or_else(|| self.plugin.no_longer_offers(Role::Strategy, name))?;
        component.create_strategy(problem, options, seed)
    }

    fn create_objective(
        &self,
        name: &str,
        problem: &Problem,
        options: &serde_json::Value,
        surroundings: &Surroundings,
    ) -> Result<ForeignObjective, HostError> {
        let component = self.library.component(Role::Objective, name);
        let component = component.ok_or_else(|| self.plugin.no_longer_offers(Role::Objective, name))?;
        component.create_objective(problem, options, surroundings)
    }

    fn create_early_stopping(
        &self,
        name: &str,
        problem: &Problem,
        options: &serde_json::Value,
        seed: u64,
    ) -> Result<ForeignEarlyStopping, HostError> {
        let component = self.library.component(Role::EarlyStopping, name);
        let component = component.ok_or_else(|| self.plugin.no_longer_offers(Role::EarlyStopping, name))?;
        component.create_early_stopping(problem, options, seed)
    }
}

fn creation(
    component: &ComponentMetadata,
    problem: &Problem,
    options: &serde_json::Value,
    surroundings: &Surroundings,
    seed: u64,
) -> Result<Creation, HostError> {
    let json = |value: serde_json::Result<serde_json::Value>| {
        value.map_err(|error| {
            HostError::Unfit(PluginFault {
                component: component.name.clone(),
                call: "create",
                kind: FaultClass::Other,
                message: format!("cannot be told its problem: {error}"),
                location: String::new(),
            })
        })
    };
    Ok(Creation {
        role: component.role,
        name: component.name.clone(),
        problem: json(serde_json::to_value(problem))?,
        options: options.clone(),
        surroundings: json(serde_json::to_value(surroundings))?,
        seed,
    })
}

fn unfit(name: &str, fault: &Fault) -> HostError {
    HostError::Unfit(PluginFault::new(name, "create", fault))
}
