//! What is deliberately absent: dependencies that would tie the layers together, unsafe code outside of
//! the boundary, and a core that looks at the world.

use std::path::{Path, PathBuf};

const RUST: &str = "rs";

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file under a folder with this extension, with its path from the root, `/` between the parts.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = root();
    let mut open = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                let parts: Vec<_> =
                    path.strip_prefix(&root).unwrap().iter().map(|p| p.to_string_lossy()).collect();
                found.push((parts.join("/"), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no {extension} file under {folder}: this check looks in the wrong place");
    found.sort();
    found
}

/// The packages that a Cargo.toml depends on, in whatever section.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut is_dependencies = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            is_dependencies = section.ends_with("dependencies");
            // [dependencies.name]
            if let Some((before, name)) = section.rsplit_once('.')
                && before.ends_with("dependencies")
            {
                names.push(name.to_owned());
            }
        } else if is_dependencies && !line.starts_with('#') && line.contains('=') {
            let key = line.split(['=', '.']).next().unwrap_or_default();
            names.push(key.trim().trim_matches('"').to_owned());
            if let Some((_, package)) = line.split_once("package = \"") {
                names.push(package.split('"').next().unwrap_or_default().to_owned());
            }
        }
    }
    names
}

/// Every Cargo.toml under a folder with its dependencies.
fn packages(folder: &str) -> Vec<(String, Vec<String>)> {
    let manifests = files(folder, "toml").into_iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    manifests.map(|(path, text)| (path, dependencies(&text))).collect()
}

/// Source code without comments, line by line with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines().map(|line| line.split("//").next().unwrap_or_default()))
}

/// Whether a word stands in a line by itself, not as a part of another one.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

#[test]
fn the_readers_of_this_file_can_read() {
    let manifest = "[dependencies]\na.workspace = true\nb = { version = \"1\", package = \"c\" }\n# d = 1\n\
                    [dev-dependencies.e]\npath = \"..\"\n[lints]\nworkspace = true\n[target.'cfg(unix)'.dependencies]\nf = \"1\"\n";
    assert_eq!(dependencies(manifest), ["a", "b", "c", "e", "f"]);
    assert!(has_word("pub unsafe fn", "unsafe") && has_word("unsafe{", "unsafe"));
    assert!(!has_word("forbid(unsafe_code)", "unsafe") && !has_word("not_unsafe", "unsafe"));
    assert_eq!(code("a // unsafe\nb").collect::<Vec<_>>(), [(1, "a "), (2, "b")]);
}

#[test]
fn the_host_knows_no_strategy_and_no_objective() {
    for (path, names) in packages("cli").into_iter().chain(packages("plugins/host")) {
        for name in names {
            assert!(
                ["strategy", "early-stopping", "objective"]
                    .iter()
                    .all(|role| !name.starts_with(&format!("ansatz-{role}-"))),
                "{path} depends on {name}"
            );
        }
    }
    for (path, text) in files("cli/src", RUST).into_iter().chain(files("plugins/host", RUST)) {
        for (line, code) in code(&text) {
            assert!(
                !code.contains("ansatz_strategy_") || path == "plugins/host/src/discovery.rs",
                "{path}:{line} names a strategy's library"
            );
        }
    }
}

#[test]
fn plugins_know_neither_each_other_nor_the_host() {
    let plugins = ["strategies", "early-stopping", "plugins"];
    for (path, names) in plugins.into_iter().flat_map(packages) {
        if ["plugins/host/Cargo.toml", "plugins/check/Cargo.toml"].contains(&path.as_str()) {
            continue;
        }
        for name in names {
            let is_foreign = name.starts_with("ansatz-strategy-")
                || name.starts_with("ansatz-early-stopping-")
                || name.starts_with("ansatz-objective-")
                || ["ansatz-plugin-host", "ansatz-cli", "ansatz-abi", "ansatz-tests"]
                    .contains(&name.as_str());
            assert!(!is_foreign, "{path} depends on {name}");
        }
    }
}

#[test]
fn the_core_depends_on_the_boundary_alone() {
    for (path, names) in packages("core") {
        let own: Vec<_> = names.iter().filter(|name| name.starts_with("ansatz")).collect();
        let expected: &[&str] = if path == "core/Cargo.toml" { &["ansatz-abi"] } else { &[] };
        assert_eq!(own, expected, "{path}");
    }
}

#[test]
fn the_boundary_alone_depends_on_abi_stable() {
    for (path, names) in packages("") {
        // a fault is a copy of the boundary, and so is a released version of it
        let is_copy = path.starts_with("tests/faults/") || path.starts_with("tests/evolution/");
        if names.iter().any(|name| name.starts_with("abi_stable")) && !is_copy {
            assert!(path == "core/abi/Cargo.toml" || path == "Cargo.toml", "{path} depends on abi_stable");
        }
    }
}

#[test]
fn unsafe_code_stays_at_the_boundary() {
    const ALLOWED: [&str; 5] =
        ["core/abi/", "core/src/glue/", "plugins/host/", "tests/faults/", "tests/evolution/"];
    let mut count = 0;
    for (path, text) in files("", RUST) {
        // these speak of the word
        if ["tests/it/layering.rs", "tests/src/layout.rs"].contains(&path.as_str()) {
            continue;
        }
        for (line, code) in code(&text).filter(|(_, code)| has_word(code, "unsafe")) {
            assert!(ALLOWED.iter().any(|folder| path.starts_with(folder)), "{path}:{line}: {code}");
            count += 1;
        }
    }
    assert!(count > 0, "nobody loads a library any more: this check looks in the wrong place");
}

#[test]
fn the_core_looks_at_no_file_clock_or_environment() {
    const ABSENT: [&str; 12] = [
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "std::time::Instant",
        "std::time::SystemTime",
        "Instant::now",
        "SystemTime",
        "File::open",
        "thread::spawn",
        "thread::sleep",
        "getrandom",
    ];
    for (path, text) in files("core", RUST) {
        for (line, code) in code(&text) {
            for absent in ABSENT {
                assert!(!has_word(code, absent), "{path}:{line} uses {absent}");
            }
        }
    }
}

#[test]
fn files_are_named_for_their_job() {
    for (path, _) in files("", RUST) {
        for part in path.trim_end_matches(".rs").split('/') {
            assert!(!["utils", "util", "common", "helpers", "helper", "misc"].contains(&part), "{path}");
        }
    }
}
