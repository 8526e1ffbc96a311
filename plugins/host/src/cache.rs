//! What plugins said of themselves when they were last looked at, so that nothing of theirs runs to list them.
//!
//! An entry holds for one path, size and time of change. The file may be deleted at any time; one that cannot be
//! read or written counts as empty.

use crate::PluginMetadata;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Entries of another version are not read.
const VERSION: u32 = 1;

/// What plugins said of themselves.
#[derive(Clone, Debug)]
pub struct MetadataCache {
    path: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct Stored {
    version: u32,
    plugins: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    bytes: u64,
    changed_ns: u128,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    /// The host whose reading of it this is.
    host: String,
    metadata: PluginMetadata,
}

impl MetadataCache {
    /// A cache in a file.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// What is known of a plugin whose bytes have this fingerprint.
    pub fn get(&self, path: &Path, sha256: &str) -> Option<PluginMetadata> {
        let entry = self.read().plugins.remove(path)?;
        let is_current = entry.host == host()
            && entry.metadata.sha256 == sha256
            && stamp(path).is_some_and(|now| now == entry.stamp);
        is_current.then_some(entry.metadata)
    }

    /// Keeps what a plugin said, and forgets plugins that are gone.
    pub fn put(&self, metadata: &PluginMetadata) {
        let Some(stamp) = stamp(&metadata.path) else { return };
        let mut stored = self.read();
        stored.plugins.retain(|path, _| path.exists());
        let entry = Entry { stamp, host: host(), metadata: metadata.clone() };
        stored.plugins.insert(metadata.path.clone(), entry);
        // a cache that cannot be written is one that is empty next time
        let _ = self.write(&stored);
    }

    fn read(&self) -> Stored {
        let stored =
            std::fs::read(&self.path).ok().and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        stored
            .filter(|stored| stored.version == VERSION)
            .unwrap_or(Stored { version: VERSION, ..Stored::default() })
    }

    /// Under another name first: a reader sees the old file or the new one.
    fn write(&self, stored: &Stored) -> std::io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let new = self.path.with_extension(format!("{}.new", std::process::id()));
        std::fs::write(&new, serde_json::to_vec(stored)?)?;
        std::fs::rename(&new, &self.path)
    }
}

fn host() -> String {
    format!("{} ABI {}", env!("CARGO_PKG_VERSION"), crate::ABI_VERSION)
}

/// Size and time of a file; of a folder, the sum and the latest of its files.
fn stamp(path: &Path) -> Option<Stamp> {
    let files = match path.is_dir() {
        true => crate::program::files(path).ok()?,
        false => vec![path.to_owned()],
    };
    let mut stamp = Stamp { bytes: 0, changed_ns: 0 };
    for file in files {
        let found = std::fs::metadata(file).ok()?;
        let changed = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        stamp.bytes += found.len();
        stamp.changed_ns = stamp.changed_ns.max(changed.as_nanos());
    }
    Some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Form;

    fn metadata(path: &Path, sha256: &str) -> PluginMetadata {
        PluginMetadata {
            path: path.to_owned(),
            form: Form::Library,
            package: "acme".into(),
            version: "1.0.0".into(),
            build: String::new(),
            abi: "1.0.0".into(),
            sha256: sha256.into(),
            components: Vec::new(),
        }
    }

    #[test]
    fn an_entry_holds_for_the_file_as_it_was_and_a_broken_cache_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache) = (folder.path().join("plugin.so"), folder.path().join("sub/cache.json"));
        std::fs::write(&file, "one").unwrap();
        let cache = MetadataCache::new(cache);
        assert_eq!(cache.get(&file, "a"), None);
        cache.put(&metadata(&file, "a"));
        assert_eq!(cache.get(&file, "a"), Some(metadata(&file, "a")));
        assert_eq!(cache.get(&file, "b"), None, "other bytes");
        std::fs::write(&file, "another length").unwrap();
        assert_eq!(cache.get(&file, "a"), None, "another size");
        std::fs::write(&cache.path, "{ no JSON").unwrap();
        assert_eq!(cache.get(&file, "a"), None);
        cache.put(&metadata(&file, "c"));
        assert_eq!(cache.get(&file, "c"), Some(metadata(&file, "c")));
    }

    #[test]
    fn plugins_that_are_gone_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let cache = MetadataCache::new(folder.path().join("cache.json"));
        let (first, second) = (folder.path().join("a.so"), folder.path().join("b.so"));
        std::fs::write(&first, "").unwrap();
        std::fs::write(&second, "").unwrap();
        cache.put(&metadata(&first, "a"));
        std::fs::remove_file(&first).unwrap();
        cache.put(&metadata(&second, "b"));
        assert_eq!(cache.read().plugins.len(), 1);
    }
}
