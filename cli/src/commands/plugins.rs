//! `ansatz plugins`: what there is, what it can do, and how more gets here.

use super::{absolute, print, print_json, read_plan};
use crate::args::PluginsCommand;
use crate::check_plugin;
use crate::error::{Error, Exit};
use crate::install::{install, uninstall};
use crate::lock::Lock;
use crate::new_plugin::{self, Wish};
use crate::plugins::{Locking, PluginSet, PluginUse, search_path, user_folder};
use crate::report::text;
use ansatz_plugin_host::{ComponentMetadata, Origin, Plugin, PluginMetadata, Role, SearchPath};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Carries a command about plugins out.
pub fn execute(command: PluginsCommand) -> Result<Exit, Error> {
    match command {
        PluginsCommand::List { path, json } => list(&path, json),
        PluginsCommand::Inspect { name, path, json } => inspect(&name, &path, json),
        PluginsCommand::New { name, kind, language, to, core } => {
            let folder = new_plugin::write(&Wish { name, kind, language, to, core })?;
            print(&format!(
                "wrote {0}; next: ansatz plugins install {0}, then use it in a manifest (its README.md says how)\n",
                folder.display()
            ))
        }
        PluginsCommand::Install { source, to } => install_plugin(&source, to),
        PluginsCommand::Uninstall { name, from } => uninstall_plugin(&name, from),
        PluginsCommand::Check(arguments) => check_plugin::check(&arguments),
        PluginsCommand::Lock { manifest, overrides } => lock(&manifest, &overrides.set),
    }
}

fn list(folders: &[PathBuf], as_json: bool) -> Result<Exit, Error> {
    let search = search_path(&absolute(folders)?);
    let (found, passed) = search.all();
    if as_json {
        let plugins = found.iter().flat_map(|found| {
            let metadata = &found.plugin.metadata;
            metadata.components.iter().map(|component| described(metadata, component))
        });
        let passed = passed.iter().map(|passed| json!({"path": passed.path, "reason": passed.reason}));
        return print_json(
            &json!({"plugins": plugins.collect::<Value>(), "passed_over": passed.collect::<Value>()}),
        );
    }
    let mut rows: Vec<(Role, [String; 5])> = Vec::new();
    for found in &found {
        let metadata = &found.plugin.metadata;
        for component in &metadata.components {
            let row = [
                component.name.clone(),
                component.role.to_string(),
                metadata.version.clone(),
                if metadata.abi.contains(' ') {
                    metadata.abi.clone()
                } else {
                    format!("abi {}", metadata.abi)
                },
                component.summary.clone(),
            ];
            rows.push((component.role, row));
        }
    }
    rows.sort_by(|(a_role, a), (b_role, b)| a_role.cmp(b_role).then_with(|| a[0].cmp(&b[0])));
    let width = |column: usize| rows.iter().map(|(_, row)| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let mut listing = String::new();
    for (_, [name, role, version, abi, summary]) in &rows {
        listing.push_str(&format!(
            "  {name:a$}  {role:b$}  {version:c$}  {abi:d$}  {summary}\n",
            a = widths[0],
            b = widths[1],
            c = widths[2],
            d = widths[3]
        ));
    }
    if rows.is_empty() {
        listing.push_str("no plugins found\n");
    }
    listing.push_str("searched\n");
    for folder in search.folders().iter().filter(|folder| folder.path.is_dir()) {
        listing.push_str(&format!("  {}\n", folder.path.display()));
    }
    for passed in &passed {
        listing.push_str(&format!("passed over {}: {}\n", passed.path.display(), passed.reason));
    }
    print(&listing)
}

fn described(metadata: &PluginMetadata, component: &ComponentMetadata) -> Value {
    json!({
        "name": component.name,
        "role": component.role,
        "summary": component.summary,
        "form": metadata.form,
        "version": metadata.version,
        "package": metadata.package,
        "abi": metadata.abi,
        "sha256": metadata.sha256,
        "path": metadata.path,
    })
}

fn inspect(name: &str, folders: &[PathBuf], as_json: bool) -> Result<Exit, Error> {
    let search = search_path(&absolute(folders)?);
    if Path::new(name).exists() && (name.contains('/') || !name.contains('.')) && find(&search, name).is_err()
    {
        return inspect_path(&search, Path::new(name), as_json);
    }
    let (role, plugin, origin) = find(&search, name)?;
    match plugin.metadata.component(role, name) {
        Some(component) => show(&plugin.metadata, component, Some(origin), as_json),
        None => Err(Error::NotFound(format!("{} no longer offers {name}", plugin.metadata.path.display()))),
    }
}

/// Everything that a library or program offers, wherever it lies.
fn inspect_path(search: &SearchPath, path: &Path, as_json: bool) -> Result<Exit, Error> {
    let plugin = search.at(path)?;
    for component in &plugin.metadata.components {
        show(&plugin.metadata, component, None, as_json)?;
    }
    Ok(Exit::Success)
}

/// A plugin by name, whatever its role.
fn find(search: &SearchPath, name: &str) -> Result<(Role, Plugin, Origin), Error> {
    let mut first = None;
    for role in Role::ALL {
        match search.find(role, name) {
            Ok(found) => return Ok((role, found.plugin, found.origin)),
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    Err(first.map_or_else(|| Error::NotFound(name.to_owned()), Error::from))
}

fn show(
    metadata: &PluginMetadata,
    component: &ComponentMetadata,
    origin: Option<Origin>,
    as_json: bool,
) -> Result<Exit, Error> {
    let capabilities: Vec<&str> = component.capabilities.iter().map(|capability| capability.name()).collect();
    if as_json {
        let mut shown = described(metadata, component);
        shown["capabilities"] = json!(capabilities);
        shown["options"] = component.options_schema.clone();
        shown["build"] = json!(metadata.build);
        return print_json(&shown);
    }
    let role = component.role;
    let mut shown = format!("{} ({role}): {}\n", component.name, component.summary);
    if role == Role::Strategy {
        shown.push_str(&format!("capabilities  {}\n", capabilities.join(", ")));
    }
    shown.push_str(&format!("package       {} {}\n", metadata.package, metadata.version));
    let speaks =
        if metadata.abi.contains(' ') { metadata.abi.clone() } else { format!("ABI {}", metadata.abi) };
    shown.push_str(&format!(
        "speaks        {speaks} ({}); this host ABI {} and protocol {}\n",
        metadata.build,
        ansatz_plugin_host::ABI_VERSION,
        ansatz_plugin_host::worker::PROTOCOL
    ));
    if let Some(origin) = origin {
        let runs = match origin {
            Origin::BesideHost => "in the host (it shipped with it), unless the manifest says otherwise",
            _ => "in a process of its own, unless the manifest says otherwise",
        };
        shown.push_str(&format!("runs          {runs}\n"));
    }
    shown.push_str(&format!("path          {}\n", metadata.path.display()));
    shown.push_str(&format!("sha256        {}\n", metadata.sha256));
    shown.push_str(&text::options(&component.options_schema));
    print(&shown)
}

/// Where plugins are installed: where somebody says, or in the user's folder.
fn install_folder(named: Option<PathBuf>, option: &str) -> Result<PathBuf, Error> {
    match named {
        Some(folder) => Ok(absolute(&[folder])?.remove(0)),
        None => user_folder()
            .ok_or_else(|| Error::Usage(format!("there is no home folder; name a folder with {option}"))),
    }
}

fn install_plugin(source: &Path, to: Option<PathBuf>) -> Result<Exit, Error> {
    let installed = install(source, &install_folder(to, "--to")?)?;
    let metadata = &installed.plugin.metadata;
    let verb = if installed.is_update { "updated" } else { "installed" };
    let (names, version, path) = (components(metadata), &metadata.version, metadata.path.display());
    print(&format!("{verb} {names} {version} as {path}\n"))
}

fn uninstall_plugin(name: &str, from: Option<PathBuf>) -> Result<Exit, Error> {
    let metadata = uninstall(name, &install_folder(from, "--from")?)?;
    let (names, version, path) = (components(&metadata), &metadata.version, metadata.path.display());
    print(&format!("removed {names} {version}, which was {path}\n"))
}

/// What a plugin offers: `strategy com.acme.walk, objective com.acme.oven`.
fn components(metadata: &PluginMetadata) -> String {
    let names: Vec<String> = metadata
        .components
        .iter()
        .map(|component| format!("{} {}", component.role, component.name))
        .collect();
    names.join(", ")
}

fn lock(manifest: &Path, set: &[String]) -> Result<Exit, Error> {
    let (manifest, plan) = read_plan(manifest, set, None)?;
    let plugins = PluginSet::load(&plan, Some(&manifest), Locking::Ignore, PluginUse::Check)?;
    let path = Lock::write(&plan.manifest_folder, &plugins.stamps)?;
    let names: Vec<String> =
        plugins.stamps.iter().map(|stamp| format!("{} {}", stamp.component, stamp.version)).collect();
    print(&format!("{} pins {}\n", path.display(), names.join(", ")))
}
