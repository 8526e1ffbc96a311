//! Where plugins are looked for, in which order, and what happens when two offer the same name.
//!
//! The order: folders of the manifest, `ANSATZ_PLUGIN_PATH`, the user's data folder, and last what
//! ships beside the host. What a person put there wins over what ships; two different files that a
//! person put there and that offer the same name are an error. The current directory is never searched.

use crate::library::{LibraryFile, Role, writable_by_anyone};
use crate::{HostError, Library};
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPath {
    folders: Vec<Folder>,
    /// Folders that a person named and that are not searched.
    left_out: Vec<Passed>,
}

/// A library with the folder it was found in.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was loaded.
    pub library: Arc<Library>,
    /// Why it was found.
    pub origin: Origin,
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
        Self { folders, left_out }
    }

    /// The folders, in order.
    pub fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// Finds and loads the library that offers a component. Only libraries that mention its name run.
    pub fn find(&self, role: Role, name: &str) -> Result<Found, HostError> {
        let mut passed = self.left_out.clone();
        let beside_host = |folder: &&Folder| folder.origin == Origin::BesideHost;
        let own: Vec<&Folder> = self.folders.iter().filter(|folder| !beside_host(folder)).collect();
        let shipped: Vec<&Folder> = self.folders.iter().filter(beside_host).collect();
        for group in [own, shipped] {
            let mut found: Vec<Found> = Vec::new();
            for folder in group {
                for path in candidates(folder, role, name, &mut passed) {
                    match offer(&path, role, name) {
                        Ok(Some(library)) => found.push(Found { library, origin: folder.origin }),
                        Ok(None) => {}
                        Err(reason) => passed.push(Passed { path, reason }),
                    }
                }
            }
            found.dedup_by(|later, earlier| later.library.sha256 == earlier.library.sha256);
            if found.len() > 1 {
                let paths = found.iter().map(|found| found.library.path.clone()).collect();
                return Err(HostError::Ambiguous { name: name.to_owned(), paths });
            }
            if let Some(found) = found.pop() {
                return Ok(found);
            }
        }
        let known = self.shipped_names(role);
        let searched =
            self.folders.iter().map(|folder| folder.path.clone()).filter(|path| path.is_dir()).collect();
        Err(HostError::Missing { name: name.to_owned(), role, searched, passed, known })
    }

    /// The names of what ships, by the names of the files: none of them runs for this.
    fn shipped_names(&self, role: Role) -> Vec<String> {
        let prefix = format!("{DLL_PREFIX}ansatz_{role}_");
        let mut names: Vec<String> = (self.folders.iter())
            .flat_map(|folder| libraries(folder, &mut Vec::new()))
            .filter_map(|path| {
                let file = path.file_name()?.to_str()?;
                Some(file.strip_prefix(&prefix)?.strip_suffix(DLL_SUFFIX)?.replace('_', "-"))
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Loads every plugin of the search path, and says what was passed over. This runs their code.
    pub fn all(&self) -> (Vec<Found>, Vec<Passed>) {
        let (mut found, mut passed) = (Vec::<Found>::new(), self.left_out.clone());
        for folder in &self.folders {
            for path in libraries(folder, &mut passed) {
                match LibraryFile::read(&path).and_then(LibraryFile::load) {
                    Ok(library) if found.iter().any(|known| known.library.sha256 == library.sha256) => {}
                    Ok(library) => found.push(Found { library, origin: folder.origin }),
                    Err(HostError::Refused { reason, .. }) => passed.push(Passed { path, reason }),
                    Err(error) => passed.push(Passed { path, reason: error.to_string() }),
                }
            }
        }
        (found, passed)
    }
}

/// The files of a folder that may offer the component: for bare names the one that the naming of our own
/// packages gives, if it is there; else every library of the folder.
fn candidates(folder: &Folder, role: Role, name: &str, passed: &mut Vec<Passed>) -> Vec<PathBuf> {
    let stem = name.replace(['-', '.'], "_");
    let usual = folder.path.join(format!("{DLL_PREFIX}ansatz_{role}_{stem}{DLL_SUFFIX}"));
    if !name.contains('.') && usual.is_file() {
        return match trusted(&folder.path, passed) {
            true => vec![usual],
            false => Vec::new(),
        };
    }
    libraries(folder, passed)
}

/// The libraries of a folder in the order of their names. Beside the host only those named like ours.
fn libraries(folder: &Folder, passed: &mut Vec<Passed>) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(&folder.path) else { return Vec::new() };
    if !trusted(&folder.path, passed) {
        return Vec::new();
    }
    let ours = [format!("{DLL_PREFIX}ansatz_strategy_"), format!("{DLL_PREFIX}ansatz_objective_")];
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(DLL_SUFFIX)
                && (folder.origin != Origin::BesideHost || ours.iter().any(|prefix| name.starts_with(prefix)))
        })
        .collect();
    paths.sort();
    paths
}

fn trusted(folder: &Path, passed: &mut Vec<Passed>) -> bool {
    let Some(reason) = writable_by_anyone(folder) else { return true };
    let entry = Passed { path: folder.to_owned(), reason };
    if !passed.contains(&entry) {
        passed.push(entry);
    }
    false
}

/// The library at `path` if it offers the component.
fn offer(path: &Path, role: Role, name: &str) -> Result<Option<Arc<Library>>, String> {
    let reason = |error| match error {
        HostError::Refused { reason, .. } => reason,
        other => other.to_string(),
    };
    let file = LibraryFile::read(path).map_err(reason)?;
    if !file.mentions(name) {
        return Ok(None);
    }
    let library = file.load().map_err(reason)?;
    if library.component(role, name).is_none() {
        return Ok(None);
    }
    if !name.contains('.') && !library.package.starts_with("ansatz-") {
        return Err(format!(
            "names without a vendor are for what ships with Ansatz: {name} of package {} needs a name like com.example.{name}",
            library.package
        ));
    }
    Ok(Some(library))
}
