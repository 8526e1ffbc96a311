//! A plugin to start from: a crate in Rust, or a program in Python.
//!
//! The files are those of `plugins/template` and `plugins/python`, built into the host. Nothing is overwritten.

use crate::args::{Language, PluginKind};
use crate::error::Error;
use ansatz_plugin_host::is_component_name;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

/// A file of a template: where it goes, and what is in it.
type File = (&'static str, &'static str);

macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../plugins/", $path))
    };
}

const RUST_SHARED: [File; 3] = [
    (".gitignore", template!("template/shared/gitignore.in")),
    ("tests/conformance.rs", template!("template/shared/conformance.rs.in")),
    (".github/workflows/check.yml", template!("template/shared/ci.yml.in")),
];
const RUST_STRATEGY: [File; 3] = [
    ("Cargo.toml", template!("template/strategy/Cargo.toml.in")),
    ("README.md", template!("template/strategy/README.md.in")),
    ("src/lib.rs", template!("template/strategy/src/lib.rs.in")),
];
const RUST_OBJECTIVE: [File; 3] = [
    ("Cargo.toml", template!("template/objective/Cargo.toml.in")),
    ("README.md", template!("template/objective/README.md.in")),
    ("src/lib.rs", template!("template/objective/src/lib.rs.in")),
];
const RUST_EARLY_STOPPING: [File; 3] = [
    ("Cargo.toml", template!("template/early-stopping/Cargo.toml.in")),
    ("README.md", template!("template/early-stopping/README.md.in")),
    ("src/lib.rs", template!("template/early-stopping/src/lib.rs.in")),
];
const PYTHON_STRATEGY: [File; 4] = [
    ("plugin.toml", template!("python/template/strategy/plugin.toml")),
    ("plugin.py", template!("python/template/strategy/plugin.py")),
    ("README.md", template!("python/template/strategy/README.md")),
    ("ansatz_plugin.py", template!("python/ansatz_plugin.py")),
];
const PYTHON_OBJECTIVE: [File; 4] = [
    ("plugin.toml", template!("python/template/objective/plugin.toml")),
    ("plugin.py", template!("python/template/objective/plugin.py")),
    ("README.md", template!("python/template/objective/README.md")),
    ("ansatz_plugin.py", template!("python/ansatz_plugin.py")),
];

const PYTHON_EARLY_STOPPING: [File; 4] = [
    ("plugin.toml", template!("python/template/early-stopping/plugin.toml")),
    ("plugin.py", template!("python/template/early-stopping/plugin.py")),
    ("README.md", template!("python/template/early-stopping/README.md")),
    ("ansatz_plugin.py", template!("python/ansatz_plugin.py")),
];

/// What to write.
pub struct Wish {
    /// `vendor.name`.
    pub name: String,
    /// Strategy, objective or early-stopping rule.
    pub kind: PluginKind,
    /// Rust or Python.
    pub language: Language,
    /// The folder, if it is not to be the last part of the name.
    pub to: Option<PathBuf>,
    /// Where the crate ansatz-core is.
    pub core: Option<PathBuf>,
}

/// Writes the plugin; gives its folder.
pub fn write(wish: &Wish) -> Result<PathBuf, Error> {
    let name = &wish.name;
    check_name(name)?;
    let last = name.rsplit('.').next().unwrap_or(name);
    let folder = wish.to.clone().unwrap_or_else(|| PathBuf::from(last));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| Error::Io { path, error }
    };
    let is_taken =
        std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file();
    if is_taken {
        let message = format!("{} exists and is not overwritten; name another with --to", folder.display());
        return Err(Error::Usage(message));
    }
    // the first part of a name is a domain: com.acme.walk is the package acme-walk
    let package: Vec<&str> = name.split('.').collect();
    let package = package[usize::from(package.len() > 2)..].join("-").replace('_', "-");
    let library = format!("{DLL_PREFIX}{}{DLL_SUFFIX}", package.replace('-', "_"));
    let core = match wish.language {
        Language::Rust => core_dependency(wish.core.as_deref())?,
        Language::Python => String::new(),
    };
    let words = [
        ("{{component}}", name.as_str()),
        ("{{name}}", name.as_str()),
        ("{{package}}", &package),
        ("{{type}}", &type_name(last)),
        ("{{library}}", &library),
        ("{{core}}", &core),
    ];
    let files: Vec<File> = match (wish.language, wish.kind) {
        (Language::Rust, PluginKind::Strategy) => RUST_STRATEGY.into_iter().chain(RUST_SHARED).collect(),
        (Language::Rust, PluginKind::Objective) => RUST_OBJECTIVE.into_iter().chain(RUST_SHARED).collect(),
        (Language::Rust, PluginKind::EarlyStopping) => {
            RUST_EARLY_STOPPING.into_iter().chain(RUST_SHARED).collect()
        }
        (Language::Python, PluginKind::EarlyStopping) => PYTHON_EARLY_STOPPING.to_vec(),
        (Language::Python, PluginKind::Strategy) => PYTHON_STRATEGY.to_vec(),
        (Language::Python, PluginKind::Objective) => PYTHON_OBJECTIVE.to_vec(),
    };
    for (place, template) in files {
        let path = folder.join(place);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        // the helper is not a template: braces in it are its own
        let text = match place {
            "ansatz_plugin.py" => template.to_owned(),
            _ => words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value)),
        };
        std::fs::write(&path, text).map_err(io(&path))?;
    }
    Ok(folder)
}

fn check_name(name: &str) -> Result<(), Error> {
    if !name.contains('.') {
        let message = format!(
            "{name:?} has no vendor: names without one are for what ships with Ansatz; take for example com.acme.{name}"
        );
        return Err(Error::Usage(message));
    }
    match is_component_name(name) {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "{name:?} is no plugin name: parts of lower-case letters, digits, - and _, each beginning with a letter, \
             with dots between them"
        ))),
    }
}

/// `hill-climb` becomes `HillClimb`.
fn type_name(last: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let name: String = last.split(['-', '_']).map(capital).collect();
    // what the templates import, or what Rust keeps for itself
    let is_taken = [
        "Strategy",
        "Objective",
        "Point",
        "Problem",
        "Suggestion",
        "Observation",
        "Pending",
        "Encoding",
        "Options",
        "Rng",
        "Context",
        "Measurement",
        "Capability",
        "Descriptor",
        "Surroundings",
        "EarlyStopping",
        "EarlyStoppingError",
        "ObservedResult",
        "Report",
        "Ruling",
        "Curve",
        "HashMap",
        "BTreeMap",
        "Self",
        "Option",
        "Result",
        "Vec",
        "String",
        "Some",
        "None",
        "Ok",
        "Err",
        "Default",
    ]
    .contains(&name.as_str());
    if is_taken { format!("{name}Plugin") } else { name }
}

/// How a Cargo.toml finds ansatz-core: by path, where this host was built from source that is still there.
fn core_dependency(named: Option<&Path>) -> Result<String, Error> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core");
    let folder = match named {
        Some(folder) if !folder.join("Cargo.toml").is_file() => {
            let message = format!("{} is not the folder of the crate ansatz-core", folder.display());
            return Err(Error::Usage(message));
        }
        Some(folder) => Some(folder.to_owned()),
        None => Some(built_from).filter(|folder| folder.join("Cargo.toml").is_file()),
    };
    Ok(match folder.map(|folder| folder.canonicalize().unwrap_or(folder)) {
        Some(folder) => format!("{{ path = {:?} }}", folder.display().to_string()),
        None => format!("{:?}", env!("CARGO_PKG_VERSION")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_wrong_with_them() {
        for (name, part) in
            [("walk", "com.acme.walk"), ("com.Acme.walk", "lower-case"), ("com..x", "lower-case")]
        {
            let error = check_name(name).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(check_name("com.acme.hill-climb_2").is_ok());
        assert_eq!(type_name("hill-climb_2"), "HillClimb2");
    }
}
