//! `ansatz.lock` beside a manifest: which build of each plugin is meant.
//!
//! It is written on request only (`ansatz plugins lock`). Where it is there, the build that it pins is taken of several, and a
//! plugin that differs is warned of, and refused where the user asks for that. It may serve several manifests of a folder.

use crate::error::Error;
use crate::journal::PluginStamp;
use ansatz_plugin_host::{Meant, Role};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE_NAME: &str = "ansatz.lock";

const VERSION: u32 = 1;
const HEADER: &str = "\
# Which build of each plugin the studies of this folder mean. Written by `ansatz plugins lock`; keep it under version
# control. A plugin that differs is warned of, and refused by `ansatz run --locked`.
";

/// The builds that are meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    #[serde(default, rename = "plugin")]
    plugins: Vec<Pin>,
}

/// One build.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    role: String,
    name: String,
    version: String,
    abi: String,
    sha256: String,
}

impl Pin {
    fn of(stamp: &PluginStamp) -> Self {
        Self {
            role: stamp.role.clone(),
            name: stamp.component.clone(),
            version: stamp.version.clone(),
            abi: stamp.abi.clone(),
            sha256: stamp.sha256.clone(),
        }
    }

    fn is_of(&self, stamp: &PluginStamp) -> bool {
        (&self.role, &self.name) == (&stamp.role, &stamp.component)
    }
}

impl Lock {
    /// The lock of a folder, if there is one.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::Io { path, error }),
        };
        let unreadable = |reason: String| {
            let what = format!("{} cannot be read: {reason}", path.display());
            Error::Locked(format!("{what}; delete it and run ansatz plugins lock"))
        };
        let lock: Self = toml::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))?;
        if lock.version != VERSION {
            return Err(unreadable(format!("it has version {}, this ansatz reads {VERSION}", lock.version)));
        }
        Ok(Some(lock))
    }

    /// Which builds it pins.
    pub fn meant(&self) -> Vec<Meant> {
        self.plugins.iter().filter_map(|pin| meant(&pin.role, &pin.name, &pin.sha256)).collect()
    }

    /// What differs from the lock: one line for each plugin, with what to do.
    pub fn differences(&self, stamps: &[PluginStamp]) -> Vec<String> {
        let mut lines = Vec::new();
        for stamp in stamps {
            let Some(pin) = self.plugins.iter().find(|pin| pin.is_of(stamp)) else { continue };
            if *pin == Pin::of(stamp) {
                continue;
            }
            let what = match pin.version == stamp.version {
                true => format!("another build of version {}", stamp.version),
                false => format!("version {} where {} is meant", stamp.version, pin.version),
            };
            lines.push(format!(
                "the {} {} is {what} than {FILE_NAME} says: {} has sha256 {}, meant is {}",
                stamp.role,
                stamp.component,
                stamp.path.display(),
                short(&stamp.sha256),
                short(&pin.sha256)
            ));
        }
        lines
    }

    /// Plugins that the lock does not speak of.
    pub fn missing(&self, stamps: &[PluginStamp]) -> Vec<String> {
        let is_missing = |stamp: &&PluginStamp| !self.plugins.iter().any(|pin| pin.is_of(stamp));
        stamps.iter().filter(is_missing).map(|stamp| format!("{} {}", stamp.role, stamp.component)).collect()
    }

    /// Pins these builds, and keeps the pins of plugins that are not among them.
    pub fn write(folder: &Path, stamps: &[PluginStamp]) -> Result<PathBuf, Error> {
        let earlier = Self::read(folder)?.map(|lock| lock.plugins).unwrap_or_default();
        let mut plugins: Vec<Pin> =
            earlier.into_iter().filter(|pin| !stamps.iter().any(|stamp| pin.is_of(stamp))).collect();
        plugins.extend(stamps.iter().map(Pin::of));
        plugins.sort();
        plugins.dedup();
        let path = folder.join(FILE_NAME);
        let io = |error| Error::Io { path: path.clone(), error };
        let text = toml::to_string(&Self { version: VERSION, plugins })
            .map_err(|error| io(std::io::Error::other(error)))?;
        // under another name first: a reader sees the old lock or the new one
        let new = folder.join(format!(".{FILE_NAME}.{}", std::process::id()));
        std::fs::write(&new, format!("{HEADER}{text}"))
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(io)?;
        Ok(path)
    }
}

impl PluginStamp {
    /// The very build; `None` for a role of a later host.
    pub fn meant(&self) -> Option<Meant> {
        meant(&self.role, &self.component, &self.sha256)
    }
}

fn meant(role: &str, name: &str, sha256: &str) -> Option<Meant> {
    let role = Role::ALL.into_iter().find(|known| known.to_string() == role)?;
    Some(Meant { role, name: name.to_owned(), sha256: sha256.to_owned() })
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(name: &str, version: &str, sha256: &str) -> PluginStamp {
        PluginStamp {
            component: name.into(),
            role: "strategy".into(),
            path: "/plugins/lib.so".into(),
            package: "acme".into(),
            version: version.into(),
            abi: "1.0.0".into(),
            sha256: sha256.into(),
        }
    }

    #[test]
    fn a_lock_says_what_differs_and_keeps_the_pins_of_others() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Lock::read(folder.path()).unwrap().is_none());
        Lock::write(folder.path(), &[stamp("com.a", "1.0.0", "aa"), stamp("com.b", "1.0.0", "bb")]).unwrap();
        Lock::write(folder.path(), &[stamp("com.b", "2.0.0", "cc")]).unwrap();
        let lock = Lock::read(folder.path()).unwrap().unwrap();
        assert_eq!(
            lock.differences(&[stamp("com.a", "1.0.0", "aa"), stamp("com.b", "2.0.0", "cc")]),
            [""; 0]
        );
        let build = lock.differences(&[stamp("com.a", "1.0.0", "ff")]);
        assert!(build[0].contains("another build of version 1.0.0") && build[0].contains("ff"), "{build:?}");
        let version = lock.differences(&[stamp("com.b", "1.9.0", "dd")]);
        assert!(version[0].contains("version 1.9.0 where 2.0.0 is meant"), "{version:?}");
        assert_eq!(lock.missing(&[stamp("com.c", "1.0.0", "aa")]), ["strategy com.c"]);
    }

    #[test]
    fn a_lock_that_is_none_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["version = 1\nplugin = 7", "version = 2", "no lock"] {
            std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
            let error = Lock::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("ansatz plugins lock"), "{error}");
        }
    }
}
