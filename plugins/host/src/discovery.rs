//! Where plugins are looked for, in which order, and what happens when two offer the same name.
//!
//! The order: folders of the manifest, `ANSATZ_PLUGIN_PATH`, the user's data folder, and last what
//! ships beside the host. What a person put there wins over what ships; two different plugins that a
//! person put there and that offer the same name are an error, unless it is known which of them is meant.
//! The current directory is never searched.
//!
//! Looking at a library runs its code, so what did not ship with the host is looked at from a process of its own,
//! and what it said is kept for the next time.

use crate::library::{LibraryFile, writable_by_anyone};
use crate::program::Program;
use crate::worker::{Process, Served};
use crate::{
    ComponentMetadata, Form, HostError, Launch, MetadataCache, Plugin, PluginMetadata, Role, worker,
};
use ansatz_core::Capability;
use std::env::consts::DLL_SUFFIX;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Why a folder is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The manifest or the command line names it.
    Manifest,
    /// `ANSATZ_PLUGIN_PATH` names it.
    Environment,
    /// The user's data folder.
    User,
    /// It is where the host lies.
    BesideHost,
}

/// A folder that is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is searched.
    pub origin: Origin,
}

/// The folders that are searched, in order.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    folders: Vec<Folder>,
    /// Folders that a person named and that are not searched.
    left_out: Vec<Passed>,
    /// How to look at what did not ship with the host; without it, it is loaded into this process.
    launch: Option<Launch>,
    cache: Option<MetadataCache>,
    /// Who is taken where several builds would do.
    meant: Vec<Meant>,
}

/// Which build is meant where several offer the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// What the component does.
    pub role: Role,
    /// The name of the component.
    pub name: String,
    /// The fingerprint of the build.
    pub sha256: String,
}

/// A plugin with the folder it was found in.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was looked at.
    pub plugin: Plugin,
    /// Why it was found.
    pub origin: Origin,
    /// Other builds that offer the same, where this is the one that is meant.
    pub others: Vec<PathBuf>,
}

impl Found {
    fn new(plugin: Plugin, origin: Origin) -> Self {
        Self { plugin, origin, others: Vec::new() }
    }
}

/// A file or folder that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Which.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
}

impl SearchPath {
    /// The search path from its parts: `environment` is the value of `ANSATZ_PLUGIN_PATH`, `host` the
    /// executable. Relative folders of the environment are left out: they would mean the current directory.
    pub fn new(
        manifest: &[PathBuf],
        environment: Option<&OsStr>,
        user: Option<PathBuf>,
        host: Option<&Path>,
    ) -> Self {
        let mut folders = Vec::new();
        let mut add = |path: PathBuf, origin| {
            if !folders.iter().any(|folder: &Folder| folder.path == path) {
                folders.push(Folder { path, origin });
            }
        };
        for path in manifest {
            add(path.clone(), Origin::Manifest);
        }
        let mut left_out = Vec::new();
        for path in environment.map(std::env::split_paths).into_iter().flatten() {
            match path.is_absolute() {
                true => add(path, Origin::Environment),
                false if path.as_os_str().is_empty() => {}
                false => {
                    let reason = "ANSATZ_PLUGIN_PATH takes full paths only".to_owned();
                    left_out.push(Passed { path, reason });
                }
            }
        }
        if let Some(path) = user {
            add(path, Origin::User);
        }
        if let Some(folder) = host.and_then(Path::parent) {
            add(folder.join("plugins"), Origin::BesideHost);
            add(folder.join("../lib/ansatz/plugins"), Origin::BesideHost);
            add(folder.to_owned(), Origin::BesideHost);
        }
        let is_named = |folder: &&Folder| matches!(folder.origin, Origin::Manifest | Origin::Environment);
        for folder in folders.iter().filter(is_named).filter(|folder| !folder.path.is_dir()) {
            left_out.push(Passed { path: folder.path.clone(), reason: "there is no such folder".to_owned() });
        }
        Self { folders, left_out, ..Self::default() }
    }

    /// Looks at what did not ship with the host from processes of their own, and keeps what it said.
    pub fn looking_from(self, launch: Launch, cache: Option<MetadataCache>) -> Self {
        Self { launch: Some(launch), cache, ..self }
    }

    /// Takes the build that is meant where several that a person put there offer the same name.
    pub fn meaning(self, meant: Vec<Meant>) -> Self {
        Self { meant, ..self }
    }

    /// The folders, in order.
    pub fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// Finds the plugin that offers a component. Only libraries that mention its name run.
    pub fn find(&self, role: Role, name: &str) -> Result<Found, HostError> {
        let mut passed = self.left_out.clone();
        let beside_host = |folder: &&Folder| folder.origin == Origin::BesideHost;
        let own: Vec<&Folder> = self.folders.iter().filter(|folder| !beside_host(folder)).collect();
        let shipped: Vec<&Folder> = self.folders.iter().filter(beside_host).collect();
        for group in [own, shipped] {
            let mut found: Vec<Found> = Vec::new();
            for folder in group {
                for candidate in candidates(folder, role, name, &mut passed) {
                    match self.offer(&candidate, folder.origin, role, name) {
                        Ok(Some(plugin)) => found.push(Found::new(plugin, folder.origin)),
                        Ok(None) => {}
                        Err(reason) => passed.push(Passed { path: candidate.path().to_owned(), reason }),
                    }
                }
            }
            let mut different: Vec<Found> = Vec::new();
            for next in found {
                let is_known = |known: &Found| known.plugin.metadata.sha256 == next.plugin.metadata.sha256;
                if !different.iter().any(is_known) {
                    different.push(next);
                }
            }
            let paths = |of: &[Found]| of.iter().map(|found| found.plugin.metadata.path.clone()).collect();
            let is_meant = |found: &Found| {
                let is_it = |meant: &Meant| {
                    (meant.role, &*meant.name, &meant.sha256) == (role, name, &found.plugin.metadata.sha256)
                };
                self.meant.iter().any(is_it)
            };
            let place = match different.len() {
                0 => continue,
                1 => 0,
                _ => different.iter().position(is_meant).ok_or_else(|| HostError::Ambiguous {
                    name: name.to_owned(),
                    paths: paths(&different),
                })?,
            };
            let found = different.swap_remove(place);
            return Ok(Found { others: paths(&different), ..found });
        }
        let known = self.known_names(role);
        let searched =
            self.folders.iter().map(|folder| folder.path.clone()).filter(|path| path.is_dir()).collect();
        Err(HostError::Missing { name: name.to_owned(), role, searched, passed, known })
    }

    /// The names that are there, as far as they are known from the names of files, the cache and `plugin.toml`: no
    /// plugin runs for this.
    fn known_names(&self, role: Role) -> Vec<String> {
        let mut names: Vec<String> = (self.folders.iter())
            .flat_map(|folder| everything(folder, &mut Vec::new()))
            .flat_map(|candidate| self.names_of(&candidate, role))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn names_of(&self, candidate: &Candidate, role: Role) -> Vec<String> {
        let path = match candidate {
            Candidate::Program(folder) => {
                let program = Program::read(folder).ok().filter(|program| program.role() == role);
                return program.iter().map(|program| program.name().to_owned()).collect();
            }
            Candidate::Library(path) => path,
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let shipped = file.strip_prefix(&role.file_prefix()).and_then(|name| name.strip_suffix(DLL_SUFFIX));
        if let Some(name) = shipped {
            return vec![name.replace('_', "-")];
        }
        let seen = (self.cache.as_ref().zip(LibraryFile::read(path).ok()))
            .and_then(|(cache, file)| cache.get(file.path(), &file.sha256()));
        let components = seen.map(|metadata| metadata.components).unwrap_or_default();
        components.into_iter().filter(|component| component.role == role).map(|c| c.name).collect()
    }

    /// Looks at every plugin of the search path, and says what was passed over.
    pub fn all(&self) -> (Vec<Found>, Vec<Passed>) {
        let (mut found, mut passed) = (Vec::<Found>::new(), self.left_out.clone());
        for folder in &self.folders {
            for candidate in everything(folder, &mut passed) {
                match self.look(&candidate, folder.origin) {
                    Ok(plugin)
                        if found
                            .iter()
                            .any(|known| known.plugin.metadata.sha256 == plugin.metadata.sha256) => {}
                    Ok(plugin) => found.push(Found::new(plugin, folder.origin)),
                    Err(reason) => passed.push(Passed { path: candidate.path().to_owned(), reason }),
                }
            }
        }
        (found, passed)
    }

    /// One plugin by its path, a library or the folder of a program, wherever it is.
    pub fn at(&self, path: &Path) -> Result<Plugin, HostError> {
        let candidate = match Program::is_at(path) {
            true => Candidate::Program(path.to_owned()),
            false => Candidate::Library(path.to_owned()),
        };
        let refused = |reason| HostError::Refused { path: path.to_owned(), reason };
        if path.is_dir() && candidate == Candidate::Library(path.to_owned()) {
            let reason = match path.join("Cargo.toml").is_file() {
                true => "a crate is not a plugin yet: build it and name the library, in target/release",
                false => "a folder is a plugin if it has a plugin.toml; name a library, or such a folder",
            };
            return Err(refused(reason.to_owned()));
        }
        self.look(&candidate, Origin::Manifest).map_err(refused)
    }

    /// The plugin of a candidate if it offers the component.
    fn offer(
        &self,
        candidate: &Candidate,
        origin: Origin,
        role: Role,
        name: &str,
    ) -> Result<Option<Plugin>, String> {
        let plugin = match candidate {
            Candidate::Library(path) => {
                let file = LibraryFile::read(path).map_err(reason)?;
                if !file.mentions(name) {
                    return Ok(None);
                }
                self.look_at_library(file, origin)?
            }
            Candidate::Program(folder) => {
                let program = Program::read(folder).map_err(reason)?;
                if (program.role(), program.name()) != (role, name) {
                    return Ok(None);
                }
                self.look_at_program(&program)?
            }
        };
        if plugin.metadata.component(role, name).is_none() {
            return Ok(None);
        }
        let is_program = plugin.metadata.form == Form::Program;
        if !name.contains('.') && (is_program || !plugin.metadata.package.starts_with("ansatz-")) {
            return Err(format!(
                "names without a vendor are for what ships with Ansatz: {name} of package {} needs a name like com.example.{name}",
                plugin.metadata.package
            ));
        }
        Ok(Some(plugin))
    }

    /// What a candidate says of itself.
    fn look(&self, candidate: &Candidate, origin: Origin) -> Result<Plugin, String> {
        match candidate {
            Candidate::Library(path) => {
                self.look_at_library(LibraryFile::read(path).map_err(reason)?, origin)
            }
            Candidate::Program(folder) => self.look_at_program(&Program::read(folder).map_err(reason)?),
        }
    }

    fn look_at_library(&self, file: LibraryFile, origin: Origin) -> Result<Plugin, String> {
        let (true, Some(launch)) = (origin != Origin::BesideHost, &self.launch) else {
            return file.load().map(|library| Plugin::new(library.metadata())).map_err(reason);
        };
        let (path, sha256) = (file.path().to_owned(), file.sha256());
        self.known_or(&path, &sha256, || introduce(launch, &Served::Library(path.clone()), &sha256))
    }

    fn look_at_program(&self, program: &Program) -> Result<Plugin, String> {
        let launch = self.launch.as_ref().ok_or("a program needs a process of its own")?;
        let (folder, sha256) = (program.folder().to_owned(), program.sha256().map_err(reason)?);
        let plugin =
            self.known_or(&folder, &sha256, || introduce(launch, &Served::Program(folder.clone()), &sha256))?;
        if plugin.metadata.component(program.role(), program.name()).is_none() {
            return Err(format!(
                "its plugin.toml names the {} {}, which the program does not offer",
                program.role(),
                program.name()
            ));
        }
        Ok(plugin)
    }

    fn known_or(
        &self,
        path: &Path,
        sha256: &str,
        ask: impl FnOnce() -> Result<PluginMetadata, String>,
    ) -> Result<Plugin, String> {
        if let Some(known) = self.cache.as_ref().and_then(|cache| cache.get(path, sha256)) {
            return Ok(Plugin::new(known));
        }
        let metadata = ask()?;
        if let Some(cache) = &self.cache {
            cache.put(&metadata);
        }
        Ok(Plugin::new(metadata))
    }
}

/// A place where a plugin may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Candidate {
    Library(PathBuf),
    Program(PathBuf),
}

impl Candidate {
    fn path(&self) -> &Path {
        match self {
            Candidate::Library(path) | Candidate::Program(path) => path,
        }
    }
}

fn reason(error: HostError) -> String {
    match error {
        HostError::Refused { reason, .. } => reason,
        other => other.to_string(),
    }
}

/// Starts a plugin in a process of its own, and lets it say what it is.
fn introduce(launch: &Launch, served: &Served, sha256: &str) -> Result<PluginMetadata, String> {
    let describe = |error: worker::NoProcess| match error.broken {
        // what the worker says of a library that it refused
        worker::Broken::Refused(reason) => reason,
        _ => format!("it does not say what it is: its process {}", error.describe()),
    };
    let (_, introduction) = Process::start(launch, served).map_err(describe)?;
    if introduction.protocol != worker::PROTOCOL {
        return Err(format!(
            "it speaks plugin protocol {}, this host speaks {}",
            introduction.protocol,
            worker::PROTOCOL
        ));
    }
    let (path, form) = match served {
        Served::Library(path) => (path, Form::Library),
        Served::Program(path) => (path, Form::Program),
    };
    let component = |offer: worker::Offer| ComponentMetadata {
        role: offer.role,
        name: offer.name,
        summary: offer.summary,
        capabilities: (Capability::ALL.into_iter())
            .filter(|known| offer.capabilities.iter().any(|name| name == known.name()))
            .collect(),
        options_schema: offer.options,
    };
    Ok(PluginMetadata {
        path: path.clone(),
        form,
        package: introduction.package,
        version: introduction.version,
        build: introduction.build,
        abi: match form {
            Form::Library => introduction.abi,
            Form::Program => format!("protocol {}", introduction.protocol),
        },
        sha256: sha256.to_owned(),
        components: introduction.components.into_iter().map(component).collect(),
    })
}

/// What a folder holds that may offer the component: for bare names the file that the naming of our own
/// packages gives, if it is there; else everything.
fn candidates(folder: &Folder, role: Role, name: &str, passed: &mut Vec<Passed>) -> Vec<Candidate> {
    let stem = name.replace(['-', '.'], "_");
    let usual = folder.path.join(format!("{}{stem}{DLL_SUFFIX}", role.file_prefix()));
    if !name.contains('.') && usual.is_file() {
        return match trusted(&folder.path, passed) {
            true => vec![Candidate::Library(usual)],
            false => Vec::new(),
        };
    }
    everything(folder, passed)
}

/// The libraries and programs of a folder in the order of their names, and the folder itself if it is a program.
/// Beside the host only libraries named like ours.
fn everything(folder: &Folder, passed: &mut Vec<Passed>) -> Vec<Candidate> {
    let Ok(entries) = std::fs::read_dir(&folder.path) else { return Vec::new() };
    if !trusted(&folder.path, passed) {
        return Vec::new();
    }
    let is_ours = folder.origin == Origin::BesideHost;
    let ours = Role::ALL.map(Role::file_prefix);
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let candidate = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // what is being installed, or was left by an installation that was interrupted
        if name.starts_with('.') {
            return None;
        }
        if name.ends_with(DLL_SUFFIX) {
            let is_meant = !is_ours || ours.iter().any(|prefix| name.starts_with(prefix));
            return is_meant.then_some(Candidate::Library(path));
        }
        (!is_ours && Program::is_at(&path)).then_some(Candidate::Program(path))
    };
    let mut found: Vec<Candidate> = paths.filter_map(candidate).collect();
    if !is_ours && Program::is_at(&folder.path) {
        found.push(Candidate::Program(folder.path.clone()));
    }
    found.sort_by(|a, b| a.path().cmp(b.path()));
    found
}

fn trusted(folder: &Path, passed: &mut Vec<Passed>) -> bool {
    let Some(reason) = writable_by_anyone(folder) else { return true };
    let entry = Passed { path: folder.to_owned(), reason };
    if !passed.contains(&entry) {
        passed.push(entry);
    }
    false
}
