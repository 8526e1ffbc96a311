//! Putting a plugin where studies find it, and taking it away.
//!
//! It is written under another name and renamed: a study that has the old file loaded goes on with it. Before
//! that it is looked at from a process of its own, so that what cannot be used is not installed.

use crate::error::Error;
use crate::plugins::search_path;
use ansatz_plugin_host::program::Program;
use ansatz_plugin_host::{Found, Plugin, PluginMetadata, program};
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A plugin that was installed.
pub struct Installed {
    /// What it says of itself; its path is where it is now.
    pub plugin: Plugin,
    /// Whether it took the place of an earlier build.
    pub is_update: bool,
}

/// Installs a library, the folder of a program, or a crate, which is built first.
pub fn install(source: &Path, folder: &Path) -> Result<Installed, Error> {
    let missing = |what: &str| Error::Install(format!("{}: {what}", source.display()));
    if !source.exists() {
        return Err(missing("there is no such file or folder"));
    }
    if Program::is_at(source) {
        return install_program(source, folder);
    }
    if source.join("Cargo.toml").is_file() {
        return install_library(&build_crate(source)?, folder);
    }
    if source.is_dir() {
        return Err(missing(
            "neither a crate (Cargo.toml) nor a program (plugin.toml) is in this folder; name a library, or such a folder",
        ));
    }
    install_library(source, folder)
}

/// Takes away what offers a component of this name in a folder, and says what that was.
pub fn uninstall(name: &str, folder: &Path) -> Result<PluginMetadata, Error> {
    let (found, passed) = search_path(&[folder.to_owned()]).all();
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()));
    let entries: Vec<PathBuf> = entries.map(Iterator::collect).unwrap_or_default();
    // it may be a link to where its author builds it
    let entry_of =
        |path: &Path| entries.iter().find(|entry| entry.canonicalize().is_ok_and(|real| real == *path));
    let offers = |found: &&Found| found.plugin.metadata.components.iter().any(|offered| offered.name == name);
    let (here, elsewhere): (Vec<_>, Vec<_>) = (found.iter().filter(offers))
        .map(|found| (found.plugin.metadata.as_ref(), entry_of(&found.plugin.metadata.path)))
        .partition(|(_, entry)| entry.is_some());
    match here[..] {
        [(metadata, Some(entry))] => {
            if let Some(hidden) = hidden_in(entry) {
                return Err(Error::Install(format!(
                    "{} has {hidden}, which plugins install never copies: it was not put there by it, and may be the only one. \
                     Remove it by hand if you mean to",
                    entry.display()
                )));
            }
            remove(entry).map_err(|error| Error::Io { path: entry.clone(), error })?;
            return Ok(PluginMetadata { path: entry.clone(), ..metadata.clone() });
        }
        [] => {}
        _ => {
            let paths = here.iter().filter_map(|(_, entry)| Some(entry.as_ref()?.display().to_string()));
            return Err(Error::Install(format!(
                "several plugins offer {name}; remove the one that you mean by hand: {}",
                paths.collect::<Vec<_>>().join(", ")
            )));
        }
    }
    let inside = folder.canonicalize().ok();
    let is_inside = |path: &Path| path.parent().and_then(|parent| parent.canonicalize().ok()) == inside;
    let broken = passed.iter().filter(|passed| inside.is_some() && is_inside(&passed.path));
    let broken: Vec<String> = broken.map(|passed| passed.path.display().to_string()).collect();
    Err(Error::NotFound(match (elsewhere.first(), &broken[..]) {
        (Some((metadata, _)), _) => format!(
            "{name} is not in {}; it is {}, and what is there is not taken away unless --from says so",
            folder.display(),
            metadata.path.display()
        ),
        (None, []) => format!("{} has no plugin {name}", folder.display()),
        (None, broken) => format!(
            "{} has no plugin {name} that can be loaded; what cannot be is removed by hand: {}",
            folder.display(),
            broken.join(", ")
        ),
    }))
}

/// Something in the folder of a program whose name begins with a dot; a link to a folder is not looked through.
fn hidden_in(place: &Path) -> Option<String> {
    let entries = if place.is_symlink() { return None } else { std::fs::read_dir(place).ok()? };
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.find(|name| name.starts_with('.'))
}

/// A library, the folder of a program, or a link to one, which is all that goes then.
fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() && !path.is_symlink() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
}

fn install_library(source: &Path, folder: &Path) -> Result<Installed, Error> {
    let plugin = search_path(&[]).at(source)?;
    let name = file_name(&plugin.metadata.package, source);
    let place = folder.join(name);
    refuse_doubles(&plugin, folder, &place)?;
    let is_update = place.exists();
    write_beside(&place, |new| std::fs::copy(source, new).map(|_| ()), |_| Ok(()))?;
    Ok(Installed { plugin: search_path(&[]).at(&place)?, is_update })
}

fn install_program(source: &Path, folder: &Path) -> Result<Installed, Error> {
    let plugin = search_path(&[]).at(source)?;
    let name = Program::read(source)?.name().to_owned();
    let place = folder.join(&name);
    refuse_doubles(&plugin, folder, &place)?;
    let is_update = place.exists();
    if is_update && !Program::is_at(&place) {
        let message = format!("{} is there, and no plugin; remove it first", place.display());
        return Err(Error::Install(message));
    }
    let copy = |new: &Path| {
        let source = source.canonicalize()?;
        for file in program::files(&source)? {
            let Ok(relative) = file.strip_prefix(&source) else { continue };
            let to = new.join(relative);
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent)?;
            }
            // follows links, such as one to a shared helper: what is installed stands alone
            std::fs::copy(&file, &to)?;
        }
        Ok(())
    };
    let starts = |new: &Path| match search_path(&[]).at(new) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Install(format!(
            "{} works where it is, and its copy does not: {error}; nothing was installed or replaced. Nothing whose name begins with a \
             dot, such as .venv, is copied: name the interpreter by its whole path, or rename the folder",
            source.display()
        ))),
    };
    write_beside(&place, copy, starts)?;
    Ok(Installed { plugin: search_path(&[]).at(&place)?, is_update })
}

/// A name that two plugins of a folder offer could not be used.
fn refuse_doubles(plugin: &Plugin, folder: &Path, place: &Path) -> Result<(), Error> {
    let (found, _) = search_path(&[folder.to_owned()]).all();
    let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    for component in &plugin.metadata.components {
        let other = found.iter().find(|found| {
            let metadata = &found.plugin.metadata;
            metadata.path != place
                && metadata.path.parent() == Some(&folder)
                && metadata.component(component.role, &component.name).is_some()
        });
        if let Some(other) = other {
            return Err(Error::Install(format!(
                "{} offers the {} {} already; remove it first, or install elsewhere with --to",
                other.plugin.metadata.path.display(),
                component.role,
                component.name
            )));
        }
    }
    Ok(())
}

/// The usual name of a package's library: it does not depend on how the file was called.
fn file_name(package: &str, source: &Path) -> String {
    let stem: String = package.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match stem.is_empty() {
        true => source.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        false => format!("{DLL_PREFIX}{stem}{DLL_SUFFIX}"),
    }
}

/// Writes a file or folder under a name of its own beside its place, tries it there, and moves it in one step.
fn write_beside(
    place: &Path,
    write: impl FnOnce(&Path) -> std::io::Result<()>,
    works: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::Io { path, error }
    };
    let folder = place.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = |word: &str| folder.join(format!(".{name}.{word}-{}", std::process::id()));
    let (new, old) = (beside("new"), beside("old"));
    if let Err(error) = write(&new) {
        let _ = remove(&new);
        return Err(io(&new)(error));
    }
    if let Err(error) = works(&new) {
        let _ = remove(&new);
        return Err(error);
    }
    // a folder that is there cannot be replaced in one step
    let had_folder = place.is_dir();
    if had_folder && let Err(error) = std::fs::rename(place, &old) {
        let _ = remove(&new);
        return Err(io(place)(error));
    }
    if let Err(error) = std::fs::rename(&new, place) {
        if had_folder {
            let _ = std::fs::rename(&old, place);
        }
        let _ = remove(&new);
        return Err(io(place)(error));
    }
    if had_folder {
        let _ = remove(&old);
    }
    Ok(())
}

/// Builds a crate with cargo, optimised, where its author builds it too; gives the library.
fn build_crate(source: &Path) -> Result<PathBuf, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(&cargo)
        .args(["build", "--release", "--lib", "--message-format=json-render-diagnostics", "--manifest-path"])
        .arg(source.join("Cargo.toml"))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| {
            Error::Install(format!("{}: {error}; a crate is built with cargo", cargo.display()))
        })?;
    if !output.status.success() {
        return Err(Error::Install(format!("{} does not build; cargo says why above", source.display())));
    }
    let mut libraries: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| {
            message["reason"] == "compiler-artifact" && is_here(&message["manifest_path"], source)
        })
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .filter(|path| path.to_string_lossy().ends_with(DLL_SUFFIX))
        .collect();
    match (libraries.pop(), libraries.len()) {
        (Some(library), 0) => Ok(library),
        (None, _) => Err(Error::Install(format!(
            "{} builds no dynamic library; its Cargo.toml needs crate-type = [\"cdylib\", \"rlib\"] in [lib]",
            source.display()
        ))),
        (_, more) => Err(Error::Install(format!(
            "{} builds {} dynamic libraries; name the one to install",
            source.display(),
            more + 1
        ))),
    }
}

fn is_here(manifest: &serde_json::Value, source: &Path) -> bool {
    let of = |path: &Path| path.canonicalize().ok();
    manifest.as_str().is_some_and(|path| of(Path::new(path)) == of(&source.join("Cargo.toml")))
}
