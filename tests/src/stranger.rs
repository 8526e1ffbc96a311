//! Builds somebody else's crate: a copy of its source, in a workspace of its own, with none of our profiles.
//!
//! The copy may be edited before it is built, which is how libraries of other versions of the boundary come
//! to be. It uses the versions of our Cargo.lock, so that nothing has to be fetched, and all strangers share
//! one target folder, so that what they have in common is built once.

use crate::libraries::file_name;
use std::collections::BTreeMap;
use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// One cargo at a time: they share a folder, and would wait for each other anyway.
static BUILDING: Mutex<()> = Mutex::new(());

/// How a stranger builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `cargo build`
    Debug,
    /// `cargo build --release`
    Release,
}

/// Files that will be a workspace.
pub struct Stranger {
    name: &'static str,
    /// By their path in the workspace, `/` between the parts.
    files: BTreeMap<String, String>,
}

impl Stranger {
    /// The crate in this folder. Its path dependencies are taken where they are.
    pub fn of(name: &'static str, source: &Path) -> Self {
        let mut stranger = Self::empty(name);
        stranger.add(source, "");
        let manifest = source.join("Cargo.toml");
        if let Some(text) = stranger.files.get_mut("Cargo.toml") {
            *text = with_full_paths(text, &manifest);
        }
        stranger
    }

    /// A workspace that is put together by `add` and `write`. The name is that of its folder.
    pub fn empty(name: &'static str) -> Self {
        Self { name, files: BTreeMap::new() }
    }

    /// Adds a copy of a folder.
    pub fn add(&mut self, source: &Path, folder: &str) {
        for (below, path) in files_of(source) {
            let text =
                std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = if folder.is_empty() { below } else { format!("{folder}/{below}") };
            self.files.insert(name, text);
        }
    }

    /// Adds a file, or writes it anew.
    pub fn write(&mut self, file: &str, text: impl Into<String>) {
        self.files.insert(file.to_owned(), text.into());
    }

    /// Replaces a text wherever it stands in a file.
    #[track_caller]
    pub fn replace(&mut self, file: &str, from: &str, to: &str) {
        let text = self.text(file);
        assert!(
            text.contains(from),
            "{file} has no {from:?} any more: the edits of this test have to follow"
        );
        *text = text.replace(from, to);
    }

    /// Adds text at the end of each block that begins with `opening`, which ends with its `{`. Where the
    /// block is a list, the comma between comes by itself.
    #[track_caller]
    pub fn append(&mut self, file: &str, opening: &str, addition: &str) {
        let text = self.text(file);
        let starts: Vec<usize> = text.match_indices(opening).map(|(at, _)| at + opening.len()).collect();
        assert!(
            !starts.is_empty(),
            "{file} has no {opening:?} any more: the edits of this test have to follow"
        );
        // from the last one, so that the earlier places stay where they are
        for start in starts.into_iter().rev() {
            let end = closing_brace(text, start)
                .unwrap_or_else(|| panic!("{file}: the block {opening:?} has no end"));
            let end = text[..end].trim_end().len();
            let comma = if text[..end].ends_with([',', ';', '{', '}']) { "" } else { "," };
            text.insert_str(end, &format!("{comma}\n{addition}"));
        }
    }

    /// Adds a line at the end of a file.
    #[track_caller]
    pub fn append_line(&mut self, file: &str, line: &str) {
        let text = self.text(file);
        text.push_str(line);
        text.push('\n');
    }

    #[track_caller]
    fn text(&mut self, file: &str) -> &mut String {
        self.files
            .get_mut(file)
            .unwrap_or_else(|| panic!("there is no {file} any more: the edits of this test have to follow"))
    }

    /// Builds the workspace, and gives the library of one of its packages.
    #[track_caller]
    pub fn library(&self, scratch: &Path, package: &str, profile: Profile) -> PathBuf {
        self.build(scratch, profile).join(file_name(package))
    }

    /// Builds the workspace, and gives the program of one of its packages.
    #[track_caller]
    pub fn program(&self, scratch: &Path, package: &str, profile: Profile) -> PathBuf {
        self.build(scratch, profile).join(format!("{package}{EXE_SUFFIX}"))
    }

    /// Builds the workspace, and gives the folder of what was built. `scratch` is where builds may lie.
    #[track_caller]
    pub fn build(&self, scratch: &Path, profile: Profile) -> PathBuf {
        let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let target = scratch.join("strangers/target");
        let mut command = self.cargo(scratch, "build");
        command.arg("--quiet").arg("--offline").arg("--target-dir").arg(&target);
        if profile == Profile::Release {
            command.arg("--release");
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{} does not build:\n{}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
        target.join(if profile == Profile::Release { "release" } else { "debug" })
    }

    /// Downloads what the workspace needs and this machine does not have; the error says why not. Only for
    /// a workspace that brings a Cargo.lock of its own.
    pub fn fetch(&self, scratch: &Path) -> Result<(), String> {
        let _alone = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let output = self.cargo(scratch, "fetch").output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// cargo in the workspace's folder, after its files were written.
    fn cargo(&self, scratch: &Path, verb: &str) -> Command {
        let folder = scratch.join("strangers").join(self.name);
        write_files(&folder, &self.files);
        if !self.files.contains_key("Cargo.lock") {
            std::fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        }
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.arg(verb).arg("--manifest-path").arg(folder.join("Cargo.toml"));
        // nobody debugs these, and most are built once
        command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
        command
    }
}

/// The root of our repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository is there")
}

/// A manifest with its path dependencies as full paths.
fn with_full_paths(manifest: &str, place: &Path) -> String {
    let folder = place.parent().expect("a manifest lies in a folder");
    let mut parts = manifest.split("path = \"../");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (path, rest) = part.split_once('"').expect("a path ends with a quote");
        let full = folder.join("..").join(path);
        let full = full.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", full.display()));
        text.push_str(&format!("path = \"{}\"{rest}", full.display()));
    }
    text
}

/// Makes a folder hold these files and no others. One that is the same already is left alone: its time
/// tells cargo that there is nothing to do.
fn write_files(folder: &Path, files: &BTreeMap<String, String>) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, path) in files_of(folder) {
        if !files.contains_key(&name) && name != "Cargo.lock" {
            std::fs::remove_file(path).unwrap();
        }
    }
    for (name, text) in files {
        let path = folder.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|found| found == *text) {
            continue;
        }
        std::fs::create_dir_all(path.parent().expect("it lies in the folder")).unwrap();
        std::fs::write(&path, text).unwrap();
    }
}

/// The files of a folder, by their path in it with `/` between the parts; what was built is left out.
fn files_of(folder: &Path) -> Vec<(String, PathBuf)> {
    let (mut open, mut files) = (vec![(folder.to_owned(), String::new())], Vec::new());
    while let Some((from, to)) = open.pop() {
        let entries = std::fs::read_dir(&from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        for path in entries.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_file() {
                files.push((format!("{to}{name}"), path));
            } else if name != "target" {
                open.push((path, format!("{to}{name}/")));
            }
        }
    }
    files
}

/// Where the block ends that begins before `start`.
fn closing_brace(text: &str, start: usize) -> Option<usize> {
    let mut depth = 1;
    text[start..].char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (depth == 0).then_some(start + at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_grows_at_its_end() {
        let mut stranger = Stranger::empty("nobody");
        stranger.write("a", "struct A {\n    b: u8,\n}\nA { b: [{ 1 }] }.c();\nA { b }");
        stranger.append("a", "A {", "    d: u8,");
        assert_eq!(
            stranger.files["a"],
            "struct A {\n    b: u8,\n    d: u8,\n}\nA { b: [{ 1 }],\n    d: u8, }.c();\nA { b,\n    d: u8, }"
        );
    }

    #[test]
    #[should_panic(expected = "the edits of this test have to follow")]
    fn an_edit_that_does_not_apply_ends_the_test() {
        let mut stranger = Stranger::empty("nobody");
        stranger.write("a", "struct B {}");
        stranger.append("a", "struct A {", "    d: u8,");
    }
}
