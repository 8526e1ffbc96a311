//! What the host does with libraries that are not plugins, not for it, or not to be trusted. Everything
//! here happens before a study begins; a refusal is short, says what to do, and ends with exit code 4.

use ansatz_plugin_host::{HostError, Library, Meant, Origin, Role, SearchPath};
use ansatz_tests::libraries::{file_name, library};
use std::path::{Path, PathBuf};

const REAL: &str = "ansatz-fault-misbehaving";
const STRATEGY: &str = "com.example.misbehaving-strategy";

/// A folder of its own for one test.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Only this folder, as `ANSATZ_PLUGIN_PATH` would name it.
fn search(folder: &Path) -> SearchPath {
    SearchPath::new(&[], Some(folder.as_os_str()), None, None)
}

fn refusal(package: &str) -> String {
    match Library::load(&library(package)) {
        Err(HostError::Refused { reason, .. }) => reason,
        other => panic!("{package} should be refused: {other:?}"),
    }
}

/// A copy of a library whose bytes differ: what a second build of it is.
fn another_build(package: &str, to: &Path) {
    let mut bytes = std::fs::read(library(package)).unwrap();
    bytes.push(0);
    std::fs::write(to, bytes).unwrap();
}

#[test]
fn a_plugin_is_loaded_with_all_it_says_of_itself() {
    let loaded = Library::load(&library(REAL)).unwrap();
    assert_eq!((loaded.package.as_str(), loaded.version.as_str()), (REAL, env!("CARGO_PKG_VERSION")));
    assert_eq!(loaded.abi, ansatz_plugin_host::ABI_VERSION);
    assert_eq!(loaded.sha256.len(), 64);
    let component = loaded.component(Role::Strategy, STRATEGY).unwrap();
    assert_eq!(component.capabilities, ansatz_core::Capability::ALL);
    assert!(
        component.options_schema.pointer("/properties/misdeed").is_some(),
        "{}",
        component.options_schema
    );
    assert!(loaded.component(Role::Objective, STRATEGY).is_none());
    assert!(loaded.component(Role::Objective, "com.example.misbehaving-objective").is_some());
}

#[test]
fn a_library_is_loaded_once() {
    let (first, again) = (Library::load(&library(REAL)).unwrap(), Library::load(&library(REAL)).unwrap());
    assert!(std::sync::Arc::ptr_eq(&first, &again));
}

#[test]
fn what_is_no_plugin_is_refused_before_it_runs() {
    let reason = refusal("ansatz-fault-not-a-plugin");
    assert!(reason.contains("not an Ansatz plugin") && reason.contains("ANSATZ_PLUGIN_ABI_1"), "{reason}");
    assert!(Library::load(&folder().path().join("nothing.so")).is_err());
}

/// What the host says of a file with these bytes, after it was seen not to run it: one line.
fn refusal_of_bytes(bytes: &[u8]) -> String {
    let folder = folder();
    let path = folder.path().join(file_name("bytes"));
    std::fs::write(&path, bytes).unwrap();
    match Library::load(&path) {
        Err(HostError::Refused { reason, .. }) => {
            assert_eq!(reason.lines().count(), 1, "{reason}");
            assert!(!reason.contains("cannot be loaded"), "the loader was asked: {reason}");
            reason
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_not_whole_is_refused_before_it_runs() {
    assert!(refusal_of_bytes(b"").contains("the file is empty"));
    let whole = std::fs::read(library(REAL)).unwrap();
    for length in [whole.len() - 1, whole.len() / 2, 5_000, 64, 30, 4] {
        let reason = refusal_of_bytes(&whole[..length]);
        let said = format!("the file ends after {length} ");
        assert!(reason.contains(&said) && reason.contains("copy it again"), "{reason}");
    }
    let whole_length = format!("of at least {} bytes", whole.len());
    let reason = refusal_of_bytes(&whole[..5_000]);
    assert!(reason.contains(&whole_length), "{reason}, of {}", whole.len());
}

#[test]
fn a_library_for_another_platform_is_refused_before_it_runs() {
    let ours = format!("this host is {}-bit {}", usize::BITS, std::env::consts::ARCH);
    let check = |bytes: &[u8], theirs: &str| {
        let reason = refusal_of_bytes(bytes);
        for part in [theirs, &ours, "use a build of it for this platform"] {
            assert!(reason.contains(part), "nothing about {part:?}: {reason}");
        }
    };
    let changed = |at: usize, bytes: &[u8]| {
        let mut library = std::fs::read(library(REAL)).unwrap();
        library[at..at + bytes.len()].copy_from_slice(bytes);
        library
    };
    // a processor that exists and is not this one
    let other = if cfg!(target_arch = "s390x") { (183_u16, "aarch64") } else { (22, "s390x") };
    check(&changed(18, &other.0.to_ne_bytes()), &format!("built for {}-bit {}", usize::BITS, other.1));
    check(&changed(18, &4_711_u16.to_ne_bytes()), "processor 4711");
    let mut small = vec![0; 52];
    small[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', if usize::BITS == 64 { 1 } else { 2 }, 1]);
    small[18..20].copy_from_slice(&[3, 0]);
    small.extend_from_slice(b"ANSATZ_PLUGIN_ABI_1");
    check(&small, if usize::BITS == 64 { "built for 32-bit x86" } else { "built for 64-bit x86" });
    small[5] = if cfg!(target_endian = "little") { 2 } else { 1 };
    check(&small, "of the other byte order");
    check(b"\xcf\xfa\xed\xfe ANSATZ_PLUGIN_ABI_1", "built for macOS");
    check(b"MZ ANSATZ_PLUGIN_ABI_1", "built for Windows");
    let reason = refusal_of_bytes(b"ANSATZ_PLUGIN_ABI_1, and no library");
    assert!(reason.contains("no library") && reason.contains("build it again"), "{reason}");
}

#[test]
fn another_major_is_refused_by_its_number() {
    let reason = refusal("ansatz-fault-old-abi");
    assert!(reason.contains("built for plugin ABI 2"), "{reason}");
    assert!(reason.contains(&format!("speaks ABI {}", ansatz_plugin_host::ABI_VERSION)), "{reason}");
    assert_eq!(reason.lines().count(), 1, "{reason}");
}

#[test]
fn other_types_under_our_symbol_are_refused_in_a_few_lines() {
    let reason = refusal("ansatz-fault-other-layout");
    assert!(reason.contains("types differ") && reason.contains("rebuild it"), "{reason}");
    let both = format!(
        "built for plugin ABI 1.0.0, but its types differ from those of this host's ABI {}",
        ansatz_plugin_host::ABI_VERSION
    );
    assert!(reason.starts_with(&both), "{reason}");
    assert!(reason.contains("version"), "the field that differs is not named: {reason}");
    assert!(reason.lines().count() < 15, "{reason}");
}

#[test]
fn a_missing_plugin_is_answered_with_the_nearest_name_and_the_folders() {
    let folder = folder();
    for package in [REAL, "ansatz-strategy-random", "ansatz-objective-digits", "ansatz-fault-old-abi"] {
        std::os::unix::fs::symlink(library(package), folder.path().join(file_name(package))).unwrap();
    }
    let error = search(folder.path()).find(Role::Strategy, "randon").unwrap_err();
    let text = error.to_string();
    assert!(text.contains("did you mean \"random\""), "{text}");
    assert!(text.contains(&folder.path().display().to_string()), "{text}");
    assert!(text.contains("passed over") && text.contains("ABI 2"), "{text}");
    assert!(!text.contains("digits"), "an objective is no answer to a strategy: {text}");
    assert!(text.lines().count() < 15, "{text}");
}

#[test]
fn two_builds_of_one_plugin_are_ambiguous_and_two_links_to_one_file_are_not() {
    let folder = folder();
    let (first, second) = (folder.path().join("liba.so"), folder.path().join("libb.so"));
    std::os::unix::fs::symlink(library(REAL), &first).unwrap();
    std::os::unix::fs::symlink(library(REAL), &second).unwrap();
    assert!(search(folder.path()).find(Role::Strategy, STRATEGY).is_ok());
    std::fs::remove_file(&second).unwrap();
    another_build(REAL, &second);
    match search(folder.path()).find(Role::Strategy, STRATEGY) {
        Err(error @ HostError::Ambiguous { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains(STRATEGY) && text.contains("libb.so") && text.contains("remove all but one"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    // unless it is known which of them is meant, by name, role and fingerprint
    let meaning = |role, name: &str, sha256: &str| {
        let meant = Meant { role, name: name.to_owned(), sha256: sha256.to_owned() };
        search(folder.path()).meaning(vec![meant]).find(Role::Strategy, STRATEGY)
    };
    for (meant, other) in [(&first, &second), (&second, &first)] {
        let sha256 = Library::load(meant).unwrap().sha256.clone();
        let found = meaning(Role::Strategy, STRATEGY, &sha256).unwrap();
        assert_eq!(found.plugin.metadata.sha256, sha256);
        assert_eq!(found.others, [other.canonicalize().unwrap()]);
        assert!(meaning(Role::Objective, STRATEGY, &sha256).is_err());
        assert!(meaning(Role::Strategy, "com.example.other", &sha256).is_err());
    }
    assert!(meaning(Role::Strategy, STRATEGY, "").is_err());
    std::fs::remove_file(&second).unwrap();
    let found = meaning(Role::Strategy, STRATEGY, "another").unwrap();
    assert!(found.others.is_empty(), "where there is one, it is that: the lock is compared later");
}

#[test]
fn what_a_person_put_there_wins_over_what_ships() {
    let (shipped, own) = (folder(), folder());
    std::fs::create_dir(shipped.path().join("plugins")).unwrap();
    let name = file_name("ansatz-strategy-random");
    std::os::unix::fs::symlink(library("ansatz-strategy-random"), shipped.path().join("plugins").join(&name))
        .unwrap();
    let host = shipped.path().join("ansatz");
    let search = |environment: Option<PathBuf>| {
        SearchPath::new(&[], environment.as_deref().map(Path::as_os_str), None, Some(&host))
            .find(Role::Strategy, "random")
            .map(|found| found.origin)
    };
    assert_eq!(search(None), Ok(Origin::BesideHost));
    another_build("ansatz-strategy-random", &own.path().join(&name));
    assert_eq!(search(Some(own.path().to_owned())), Ok(Origin::Environment));
}

#[test]
fn what_anyone_may_write_to_is_passed_over() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join(file_name(REAL));
    std::fs::copy(library(REAL), &path).unwrap();
    let set =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let find = || search(folder.path()).find(Role::Strategy, STRATEGY);
    for (target, open, closed) in [(folder.path(), 0o777, 0o755), (path.as_path(), 0o666, 0o644)] {
        set(target, open);
        match find() {
            Err(HostError::Missing { passed, known, .. }) => {
                assert!(known.is_empty(), "{known:?}");
                let reason = &passed.iter().find(|passed| passed.path == target).unwrap().reason;
                assert!(reason.contains("chmod o-w"), "{reason}");
            }
            other => panic!("{} was trusted: {other:?}", target.display()),
        }
        set(target, closed);
    }
    assert!(find().is_ok());
}

#[test]
fn the_current_directory_is_never_searched() {
    let search = SearchPath::new(&[], Some("plugins:.:/somewhere".as_ref()), None, None);
    let folders: Vec<_> = search.folders().iter().map(|folder| folder.path.clone()).collect();
    assert_eq!(folders, [PathBuf::from("/somewhere")]);
}

#[test]
fn a_bare_name_is_for_what_ships_with_ansatz() {
    let (folder, package) = (folder(), "ansatz-strategy-random");
    // what a stranger's package would be: the same library under another package's name
    let mut bytes = std::fs::read(library(package)).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - package.len()).filter(|at| bytes[*at..].starts_with(package.as_bytes())).collect();
    for at in places {
        bytes[at..at + 6].copy_from_slice(b"nobody");
    }
    std::fs::write(folder.path().join("libdice.so"), bytes).unwrap();
    match search(folder.path()).find(Role::Strategy, "random") {
        Err(error @ HostError::Missing { .. }) => {
            let text = error.to_string();
            assert!(text.contains("nobody-strategy-random") && text.contains("com.example.random"), "{text}");
        }
        other => panic!("a stranger may call itself random: {other:?}"),
    }
}
