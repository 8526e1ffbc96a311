//! One plugin library: looked at as a file, then loaded, then asked what it offers.

mod elf;

use crate::foreign_early_stopping::ForeignEarlyStopping;
use crate::foreign_objective::ForeignObjective;
use crate::foreign_strategy::ForeignStrategy;
use crate::metadata::{ComponentMetadata, Form, PluginMetadata, Role};
use crate::{HostError, PluginFault, handshake};
use ansatz_core::abi::abi_stable::std_types::{ROption, RStr, RString};
use ansatz_core::abi::{
    BoxEarlyStopping, BoxObjective, BoxStrategy, ComponentRef, Create, ENTRY_SYMBOL, Fault, FaultKind, Kind,
};
use ansatz_core::{Capability, Problem, Surroundings};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// What was loaded, by path.
static LOADED: LazyLock<Mutex<HashMap<PathBuf, Arc<Library>>>> = LazyLock::new(Mutex::default);

/// A library file that was read and not yet loaded: none of its code has run.
pub(crate) struct LibraryFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl LibraryFile {
    /// Reads a file, and refuses what is not a plugin of our ABI.
    pub fn read(path: &Path) -> Result<Self, HostError> {
        let refused = |reason: String| HostError::Refused { path: path.to_owned(), reason };
        // never a bare name: the loader would search its own folders for it
        let path = path.canonicalize().map_err(|error| refused(error.to_string()))?;
        // the folder as well: behind a link it is another one than was searched
        if let Some(reason) = [Some(&*path), path.parent()].into_iter().flatten().find_map(writable_by_anyone)
        {
            return Err(refused(reason));
        }
        if !path.is_file() {
            return Err(refused("it is no file".to_owned()));
        }
        let bytes = std::fs::read(&path).map_err(|error| refused(error.to_string()))?;
        if let Some(reason) = elf::incomplete(&bytes) {
            return Err(refused(reason));
        }
        if !contains(&bytes, ENTRY_SYMBOL) {
            return Err(refused(match other_abi(&bytes) {
                Some(major) => format!(
                    "built for plugin ABI {major}, this host speaks ABI {}; use a build of the plugin for ABI 1 or another ansatz",
                    crate::ABI_VERSION
                ),
                None => format!(
                    "not an Ansatz plugin: it has no symbol {ENTRY_SYMBOL} (export_plugin! writes it)"
                ),
            }));
        }
        if let Some(reason) = elf::foreign(&bytes) {
            return Err(refused(reason));
        }
        Ok(Self { path, bytes })
    }

    /// Where it is, canonical.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn sha256(&self) -> String {
        hexadecimal(&Sha256::digest(&self.bytes))
    }

    /// Whether the text occurs anywhere in the file: a component's name must.
    pub fn mentions(&self, text: &str) -> bool {
        contains(&self.bytes, text)
    }

    /// Loads the library, or gives the one that was loaded from this path before.
    pub fn load(self) -> Result<Arc<Library>, HostError> {
        let sha256 = self.sha256();
        self.load_without_hash(sha256)
    }

    /// The same for who knows the fingerprint, or does not need it.
    pub fn load_without_hash(self, sha256: String) -> Result<Arc<Library>, HostError> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = loaded.get(&self.path) {
            return Ok(Arc::clone(library));
        }
        let refused = |reason| HostError::Refused { path: self.path.clone(), reason };
        let root = handshake::open(&self.path).map_err(refused)?;
        let components: Vec<Component> =
            (root.plugin.components())().into_iter().filter_map(Component::new).collect();
        let library = Arc::new(Library {
            package: root.plugin.name().to_string(),
            version: root.plugin.version().to_string(),
            build: root.plugin.build().to_string(),
            abi: root.abi,
            sha256,
            path: self.path.clone(),
            components,
        });
        loaded.insert(self.path, Arc::clone(&library));
        Ok(library)
    }
}

/// Bytes as people compare them.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

/// The major of a plugin built for another ABI than ours.
fn other_abi(bytes: &[u8]) -> Option<u32> {
    let stem = ENTRY_SYMBOL.trim_end_matches(|c: char| c.is_ascii_digit());
    memchr::memmem::find_iter(bytes, stem.as_bytes()).find_map(|at| {
        let digits: String = bytes[at + stem.len()..]
            .iter()
            .map(|b| char::from(*b))
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    })
}

/// Why a file or folder is not to be trusted: whoever can write it would run code as us.
#[cfg(unix)]
pub(crate) fn writable_by_anyone(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o002 != 0).then(|| format!("anyone may write to it; run chmod o-w {}", path.display()))
}

#[cfg(not(unix))]
pub(crate) fn writable_by_anyone(_: &Path) -> Option<String> {
    None
}

/// A loaded library. It is never unloaded: its threads, statics and vtables live as long as we do.
#[derive(Debug)]
pub struct Library {
    /// Where it was loaded from, canonical.
    pub path: PathBuf,
    /// The package that built it.
    pub package: String,
    /// That package's version.
    pub version: String,
    /// How it was built: shown, never compared.
    pub build: String,
    /// The ABI version it was built for.
    pub abi: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// What it offers; kinds that this host does not know are left out.
    pub components: Vec<Component>,
}

impl Library {
    /// Loads one library by path. This runs its code.
    pub fn load(path: &Path) -> Result<Arc<Library>, HostError> {
        let loaded = || {
            let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
            loaded.get(&path.canonicalize().ok()?).map(Arc::clone)
        };
        // reading and hashing it once more would cost more than all the rest
        loaded().map_or_else(|| LibraryFile::read(path)?.load(), Ok)
    }

    /// What it says of itself.
    pub fn metadata(&self) -> PluginMetadata {
        let component = |component: &Component| ComponentMetadata {
            role: component.role,
            name: component.name.clone(),
            summary: component.summary.clone(),
            capabilities: component.capabilities.clone(),
            options_schema: component.options_schema.clone(),
        };
        PluginMetadata {
            path: self.path.clone(),
            form: Form::Library,
            package: self.package.clone(),
            version: self.version.clone(),
            build: self.build.clone(),
            abi: self.abi.clone(),
            sha256: self.sha256.clone(),
            components: self.components.iter().map(component).collect(),
        }
    }

    /// One component by role and name.
    pub fn component(&self, role: Role, name: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.role == role && component.name == name)
    }
}

/// A strategy, objective or early-stopping rule of a library.
pub struct Component {
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
    raw: ComponentRef,
}

impl fmt::Debug for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.role, self.name)
    }
}

impl Component {
    fn new(raw: ComponentRef) -> Option<Self> {
        let role = match raw.kind() {
            Kind::STRATEGY => Role::Strategy,
            Kind::OBJECTIVE => Role::Objective,
            Kind::EARLY_STOPPING => Role::EarlyStopping,
            _ => return None,
        };
        let schema = (raw.options_schema())();
        Some(Self {
            role,
            name: raw.name().to_string(),
            summary: raw.summary().to_string(),
            capabilities: Capability::from_bits(raw.capabilities()),
            options_schema: serde_json::from_str(&schema).unwrap_or_default(),
            raw,
        })
    }

    /// A strategy for a study. The seed is that of its stream.
    pub fn create_strategy(
        &self,
        problem: &Problem,
        options: &serde_json::Value,
        seed: u64,
    ) -> Result<ForeignStrategy, HostError> {
        match self.make_for(problem, options, &Surroundings::default(), seed)? {
            Made::Strategy(raw) => {
                Ok(ForeignStrategy::new(self.name.clone(), problem.space.parameter_count(), raw))
            }
            _ => Err(self.unfit(self.no_constructor(Role::Strategy))),
        }
    }

    /// An objective for a study.
    pub fn create_objective(
        &self,
        problem: &Problem,
        options: &serde_json::Value,
        surroundings: &Surroundings,
    ) -> Result<ForeignObjective, HostError> {
        match self.make_for(problem, options, surroundings, 0)? {
            Made::Objective(raw) => Ok(ForeignObjective::new(self.name.clone(), raw)),
            _ => Err(self.unfit(self.no_constructor(Role::Objective))),
        }
    }

    /// An early-stopping rule for a study. The seed is that of its stream.
    pub fn create_early_stopping(
        &self,
        problem: &Problem,
        options: &serde_json::Value,
        seed: u64,
    ) -> Result<ForeignEarlyStopping, HostError> {
        match self.make_for(problem, options, &Surroundings::default(), seed)? {
            Made::EarlyStopping(raw) => Ok(ForeignEarlyStopping::new(self.name.clone(), raw)),
            _ => Err(self.unfit(self.no_constructor(Role::EarlyStopping))),
        }
    }

    fn make_for(
        &self,
        problem: &Problem,
        options: &serde_json::Value,
        surroundings: &Surroundings,
        seed: u64,
    ) -> Result<Made, HostError> {
        let json = |text: serde_json::Result<String>| {
            text.map_err(|error| self.unfit(other(format!("cannot be told its problem: {error}"))))
        };
        let problem = json(serde_json::to_string(problem))?;
        let surroundings = json(serde_json::to_string(surroundings))?;
        self.make(&problem, &options.to_string(), &surroundings, seed).map_err(|fault| self.unfit(fault))
    }

    /// What the component is, made from JSON.
    pub(crate) fn make(
        &self,
        problem: &str,
        options: &str,
        surroundings: &str,
        seed: u64,
    ) -> Result<Made, Fault> {
        let request = Create {
            problem: RStr::from(problem),
            options: RStr::from(options),
            surroundings: RStr::from(surroundings),
            seed,
        };
        let none = || self.no_constructor(self.role);
        match self.role {
            Role::Strategy => {
                let create = self.raw.create_strategy().into_option().ok_or_else(none)?;
                create(request).into_result().map(Made::Strategy)
            }
            Role::Objective => {
                let create = self.raw.create_objective().into_option().ok_or_else(none)?;
                create(request).into_result().map(Made::Objective)
            }
            Role::EarlyStopping => {
                // a library of a boundary without it lists no such component
                let create = self.raw.create_early_stopping().and_then(ROption::into_option);
                create.ok_or_else(none)?(request).into_result().map(Made::EarlyStopping)
            }
        }
    }

    fn no_constructor(&self, role: Role) -> Fault {
        other(format!("the library lists it as {} and cannot make a {role}", self.role))
    }

    fn unfit(&self, fault: Fault) -> HostError {
        HostError::Unfit(PluginFault::new(&self.name, "create", &fault))
    }
}

/// What a constructor gave.
pub(crate) enum Made {
    Strategy(BoxStrategy),
    Objective(BoxObjective),
    EarlyStopping(BoxEarlyStopping),
}

fn other(message: String) -> Fault {
    Fault {
        kind: FaultKind::OTHER,
        message: RString::from(message),
        location: RString::new(),
        detail: RString::new(),
    }
}
