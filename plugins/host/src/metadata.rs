//! What a plugin says of itself, as data: it can be sent by a worker and kept in a cache.

use ansatz_core::Capability;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::env::consts::DLL_PREFIX;
use std::fmt;
use std::path::PathBuf;

/// What a component does in a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Proposes points.
    Strategy,
    /// Evaluates points.
    Objective,
    /// Says which running trials to end.
    #[serde(rename = "early-stopping")]
    EarlyStopping,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Strategy, Role::Objective, Role::EarlyStopping];

    /// How the files of our own libraries with such a component begin.
    pub(crate) fn file_prefix(self) -> String {
        format!("{DLL_PREFIX}ansatz_{}_", self.to_string().replace('-', "_"))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Role::Strategy => "strategy",
            Role::Objective => "objective",
            Role::EarlyStopping => "early-stopping",
        })
    }
}

/// What kind of thing a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A dynamic library.
    Library,
    /// A folder with a `plugin.toml` and something that runs.
    Program,
}

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginMetadata {
    /// The library, or the folder of the program; canonical.
    pub path: PathBuf,
    /// Library or program.
    pub form: Form,
    /// The package that built it.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// How it was built, or what runs it: shown, never compared.
    pub build: String,
    /// The version of the boundary that it was built for: `1.0.0`, or `protocol 1` for programs.
    pub abi: String,
    /// SHA-256 in hexadecimal: of the library, or over the program's files.
    pub sha256: String,
    /// What it offers.
    pub components: Vec<ComponentMetadata>,
}

/// A strategy, objective or early-stopping rule of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentMetadata {
    /// What it does.
    pub role: Role,
    /// `vendor.name`, or bare for what ships with Ansatz.
    pub name: String,
    /// One line: method and source.
    pub summary: String,
    /// What a strategy can do.
    pub capabilities: Vec<Capability>,
    /// JSON Schema of its options.
    pub options_schema: serde_json::Value,
}

impl PluginMetadata {
    /// One component by role and name.
    pub fn component(&self, role: Role, name: &str) -> Option<&ComponentMetadata> {
        self.components.iter().find(|component| component.role == role && component.name == name)
    }

    /// Whether a panic in it ends the whole process: only a process of its own keeps that from the host.
    pub fn aborts_on_panic(&self) -> bool {
        self.build.contains("panic = abort")
    }
}

/// Whether a text is a name with a vendor: `com.acme.walk`. Parts of lower-case letters, digits, `-` and `_`, each
/// beginning with a letter, with dots between them.
pub fn is_component_name(name: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c))
    };
    name.contains('.') && name.split('.').all(is_part)
}
