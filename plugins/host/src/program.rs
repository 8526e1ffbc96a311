//! A plugin that is a program: a folder with a `plugin.toml` that says how to start it.

use crate::library::writable_by_anyone;
use crate::{HostError, Role, worker};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The file that makes a folder a plugin.
pub const MANIFEST: &str = "plugin.toml";

/// What a `plugin.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramManifest {
    /// Of the component: `vendor.name`.
    name: String,
    kind: Role,
    version: String,
    protocol: u32,
    command: Vec<String>,
    /// After so many evaluations a process is replaced by a new one.
    #[serde(default)]
    restart_after: Option<u64>,
}

/// A program that was looked at and not yet started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    folder: PathBuf,
    manifest: ProgramManifest,
}

impl Program {
    /// Reads the `plugin.toml` of a folder.
    pub fn read(folder: &Path) -> Result<Self, HostError> {
        let refused = |path: &Path, reason: String| HostError::Refused { path: path.to_owned(), reason };
        let folder = folder.canonicalize().map_err(|error| refused(folder, error.to_string()))?;
        let path = folder.join(MANIFEST);
        if let Some(reason) = [&*folder, &path].into_iter().find_map(writable_by_anyone) {
            return Err(refused(&path, reason));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| refused(&path, error.to_string()))?;
        let manifest: ProgramManifest = toml::from_str(&text)
            .map_err(|error| refused(&path, error.to_string().trim_end().replace('\n', "\n  ")))?;
        if manifest.protocol != worker::PROTOCOL {
            return Err(refused(
                &path,
                format!(
                    "it speaks plugin protocol {}, this host speaks {}; use another version of the plugin or of ansatz",
                    manifest.protocol,
                    worker::PROTOCOL
                ),
            ));
        }
        if !crate::metadata::is_component_name(&manifest.name) {
            return Err(refused(
                &path,
                format!(
                    "{:?} is no plugin name: it has a vendor, as in com.acme.walk, and parts of lower-case letters, \
                     digits, - and _",
                    manifest.name
                ),
            ));
        }
        if manifest.command.first().is_none_or(|program| program.is_empty()) {
            return Err(refused(&path, "command needs at least a program".to_owned()));
        }
        Ok(Self { folder, manifest })
    }

    /// Whether a folder holds a program.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file()
    }

    /// Where it is, canonical.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The name of its component.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// What its component does.
    pub fn role(&self) -> Role {
        self.manifest.kind
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.manifest.version
    }

    /// After how many evaluations a process is replaced.
    pub fn restart_after(&self) -> Option<u64> {
        self.manifest.restart_after
    }

    /// How it is started: without a shell, in its folder. A program with a slash is meant from there.
    pub fn command(&self) -> Command {
        let (program, arguments) =
            self.manifest.command.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let mut command = match program.contains('/') {
            true => Command::new(self.folder.join(program)),
            false => Command::new(program),
        };
        command.args(arguments).current_dir(&self.folder);
        command
    }

    /// SHA-256 over the names and contents of its files, in the order of their names; what an interpreter leaves
    /// behind and hidden files are passed over.
    pub fn sha256(&self) -> Result<String, HostError> {
        let refused = |path: &Path, error: std::io::Error| HostError::Refused {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let mut hash = Sha256::new();
        for path in files(&self.folder).map_err(|error| refused(&self.folder, error))? {
            if let Some(reason) = writable_by_anyone(&path) {
                return Err(HostError::Refused { path, reason });
            }
            let bytes = std::fs::read(&path).map_err(|error| refused(&path, error))?;
            let name = path.strip_prefix(&self.folder).unwrap_or(&path).to_string_lossy();
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(&bytes);
        }
        Ok(crate::library::hexadecimal(&hash.finalize()))
    }
}

/// The files of a program, in the order of their paths.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut open, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "__pycache__" {
                continue;
            }
            // a link to a folder could lead round in a circle
            match path.symlink_metadata()?.is_dir() {
                true => open.push(path),
                false if path.is_file() => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    Ok(found)
}
