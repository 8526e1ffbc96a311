//! The boundary grows, and what was built before or after goes on working: shown with compiled libraries of
//! other versions of it. What may change is in `docs/abi.md`.

use crate::third_party::dice;
use crate::{SCRATCH, scenario};
use ansatz_abi::ABI_VERSION;
use ansatz_abi::abi_stable::StableAbi;
use ansatz_core::Capability;
use ansatz_plugin_host::{HostError, Library, Role};
use ansatz_tests::stranger::{Profile, Stranger, repository};
use ansatz_tests::{Ended, Running, Scenario, StoredStudy, layout, scenario::finish, slow_tests_run};
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the plugin lies that was written when the boundary was 1.0.0, and that boundary.
const FIRST: &str = "tests/evolution/plugin-1.0";
const FIRST_ABI: &str = "tests/evolution/abi-1.0.0";

/// Begins every golden layout.
const DECISION: &str = "Changing this file is a compatibility decision: libraries that were built already \
                        rely on it. docs/abi.md says what may change.\n\n";

/// The released layout of a minor, such as "1.0".
fn golden(minor: &str) -> PathBuf {
    repository().join(format!("tests/golden/abi-{minor}.layout"))
}

/// The golden layout without its first lines.
fn released(minor: &str) -> String {
    let path = golden(minor);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.strip_prefix(DECISION).unwrap_or_else(|| panic!("{} begins otherwise", path.display())).to_owned()
}

/// Major and minor of our own boundary.
fn minor() -> (u64, u64) {
    let numbers: Vec<u64> = ABI_VERSION.split('.').map(|number| number.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}

/// The built plugin of 1.0.
fn first() -> PathBuf {
    Stranger::of("plugin-1.0", &repository().join(FIRST)).library(
        Path::new(SCRATCH),
        "acme-first",
        Profile::Debug,
    )
}

/// The workspace of a host and a plugin whose boundary is one minor ahead of ours: copies of the sources as
/// they are, with the edits that docs/abi.md lists for a method, a field and a service.
fn newer() -> Stranger {
    const ABI: &str = "core/abi/src/lib.rs";
    const GLUE: &str = "core/src/glue/export.rs";
    let root = repository();
    let mut newer = Stranger::empty("newer");
    newer.add(&root.join("core"), "core");
    newer.add(&root.join("plugins/host"), "plugins/host");
    newer.add(&root.join("tests/evolution/newer-host"), "newer-host");
    newer.add(&root.join("tests/third-party/dice"), "newer-dice");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = r#"members = ["core", "core/abi", "plugins/host", "newer-host", "newer-dice"]"#;
    newer.write(
        "Cargo.toml",
        format!("[workspace]\nresolver = \"3\"\n{members}\n\n{}", shared_sections(&manifest)),
    );
    newer.write(
        "newer-host/src/layout.rs",
        std::fs::read_to_string(root.join("tests/src/layout.rs")).unwrap(),
    );

    // the boundary grows
    let (major, minor) = minor();
    let version = |version: &str| format!("version = \"{version}\"");
    newer.replace(
        "core/abi/Cargo.toml",
        &version(ABI_VERSION),
        &version(&format!("{major}.{}.0", minor + 1)),
    );
    newer.append(
        ABI,
        "pub trait RawStrategy: Send {",
        "    fn explain(&mut self, _trial: u64) -> RResult<RString, Fault> {
        RResult::ROk(RString::from(\"not at all\"))
    }",
    );
    newer.append(ABI, "pub struct Plugin {", "    pub homepage: RStr<'static>,");
    newer.append(ABI, "pub struct Component {", "    pub source: RStr<'static>,");
    newer.append(ABI, "pub struct Host {", "    pub free_slot_count: extern \"C\" fn() -> u32,");

    // the glue and the host follow
    newer.append(
        GLUE,
        "RawStrategy for StrategyObject<S> {",
        "    fn explain(&mut self, _trial: u64) -> RResult<RString, Fault> {
        RResult::ROk(RString::from(\"by its own words\"))
    }",
    );
    newer.append(GLUE, " Plugin {", "        homepage: RStr::from_str(\"https://example.com\"),");
    for glue in [GLUE, "core/src/glue/early_stopping.rs"] {
        newer.append(glue, " Component {", "        source: RStr::from_str(\"a paper\"),");
    }
    newer.replace(
        GLUE,
        "    init(host);\n",
        "    init(host);
    let count = host.free_slot_count().map(|count| count());
    (host.log())(2, RStr::from_str(\"newer-dice\"), RStr::from(format!(\"free slots {count:?}\").as_str()));\n",
    );
    newer.append(
        "plugins/host/src/handshake.rs",
        "Host {",
        "free_slot_count: { extern \"C\" fn three() -> u32 { 3 } three }",
    );
    // the program of newer-host needs what lies behind a plugin
    newer.append_line("plugins/host/src/lib.rs", "pub use handshake::{Root, open};");

    // and a strategy is built with it
    newer.replace("newer-dice/Cargo.toml", "[workspace]", "");
    newer.replace("newer-dice/Cargo.toml", "../../../core", "../core");
    newer.replace("newer-dice/Cargo.toml", "acme-dice", "acme-newer-dice");
    newer.replace("newer-dice/src/lib.rs", "com.acme.dice", "com.acme.newer-dice");
    newer
}

/// The sections of our root manifest that members take over; not those that name members.
fn shared_sections(manifest: &str) -> String {
    let sections = manifest.split("\n[").filter(|section| section.starts_with("workspace."));
    sections.map(|section| format!("[{section}\n")).collect()
}

/// The built host and the built plugin of the next minor.
fn built_newer() -> (PathBuf, PathBuf) {
    let newer = newer();
    let scratch = Path::new(SCRATCH);
    (
        newer.program(scratch, "newer-host", Profile::Debug),
        newer.library(scratch, "acme-newer-dice", Profile::Debug),
    )
}

/// Runs the host of the next minor.
#[track_caller]
fn ask_newer(host: &Path, verb: &str, libraries: &[&Path]) -> Ended {
    finish(Running::start(Command::new(host).arg(verb).args(libraries))).expect(0)
}

/// A library of 1.0 whose boundary was tampered with: same package, same version, other types.
fn tampered(name: &'static str, edit: impl FnOnce(&mut Stranger, &str)) -> PathBuf {
    // what is built is kept by the path in the workspace: each needs one of its own
    let abi = format!("abi-of-{name}");
    let mut stranger = Stranger::empty(name);
    stranger.add(&repository().join(FIRST), "");
    stranger.add(&repository().join(FIRST_ABI), &abi);
    stranger.replace("Cargo.toml", "../abi-1.0.0", &abi);
    stranger.replace("Cargo.toml", "acme-first", name);
    stranger.replace(&format!("{abi}/Cargo.toml"), "[workspace]", "");
    edit(&mut stranger, &format!("{abi}/src/lib.rs"));
    stranger.library(Path::new(SCRATCH), name, Profile::Debug)
}

/// A method where old libraries have another one.
fn method_in_the_middle() -> PathBuf {
    tampered("acme-method-in-the-middle", |stranger, abi| {
        let tell = "    fn tell(&mut self, observations";
        let explain = "    fn explain(&mut self) -> u64 {\n        0\n    }\n";
        stranger.replace(abi, tell, &format!("{explain}{tell}"));
    })
}

/// A struct that is passed by value is longer than those who pass it think.
fn struct_grown() -> PathBuf {
    tampered("acme-struct-grown", |stranger, abi| {
        stranger.append(abi, "pub struct Observation<'a> {", "    pub weight: f64,");
    })
}

/// A field has another name, and so perhaps another meaning.
fn field_renamed() -> PathBuf {
    tampered("acme-field-renamed", |stranger, abi| {
        stranger.replace(abi, "pub own: bool", "pub mine: bool");
        stranger.replace("src/lib.rs", "observation.own", "observation.mine");
    })
}

/// Two fields of one type change places: sizes and types are as before.
fn fields_swapped() -> PathBuf {
    tampered("acme-fields-swapped", |stranger, abi| {
        stranger.replace(abi, "pub losses:", "pub other:");
        stranger.replace(abi, "pub standard_errors:", "pub losses:");
        stranger.replace(abi, "pub other:", "pub standard_errors:");
    })
}

/// Makes a library available to a scenario's host.
pub fn put(scenario: &Scenario, library: &Path) {
    std::fs::copy(library, scenario.strangers().join(library.file_name().unwrap())).unwrap();
}

/// Runs a study on Branin's function with these strategies in turn, and checks that each of them proposed
/// as many trials as the others, all of them completed.
#[track_caller]
pub fn run_in_turn(scenario: &Scenario, strategies: &[&str]) -> Ended {
    let list: Vec<String> = strategies.iter().map(|name| format!("{{ plugin = \"{name}\" }}")).collect();
    let trial_count = 6 * strategies.len();
    let manifest = format!(
        r#"
study = {{ name = "mixed", seed = 4 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin" }} }}
strategy = [{}]
budget = {{ trials = {trial_count} }}
"#,
        list.join(", ")
    );
    let ended = scenario.run(&manifest).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), None);
    stored.expect_each_trial_once(trial_count as u64);
    assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"), "{:?}", stored.outcomes());
    for (member, name) in strategies.iter().enumerate() {
        let share = stored.study.trials().iter().filter(|trial| trial.member == Some(member)).count();
        assert_eq!(share, 6, "{name}\n{ended}");
    }
    ended
}

// the golden layout has the sizes of 64-bit machines
#[cfg(target_pointer_width = "64")]
#[test]
fn the_layout_is_the_released_one() {
    let (major, minor) = minor();
    let minor = format!("{major}.{minor}");
    let current = layout::render(<ansatz_abi::PluginRef as StableAbi>::LAYOUT);
    if std::env::var_os("ANSATZ_WRITE_GOLDEN_LAYOUT").is_some_and(|value| value == "1") {
        std::fs::write(golden(&minor), format!("{DECISION}{current}")).unwrap();
    }
    let difference = layout::difference(&released(&minor), &current);
    assert!(
        difference.is_empty(),
        "the boundary is not the released ABI {minor} any more:\n{difference}\n\
         Libraries that were built with it are refused, or only a newer minor may have this (docs/abi.md). If \
         that is decided, set the version in core/abi/Cargo.toml and write tests/golden anew:\n\
         ANSATZ_WRITE_GOLDEN_LAYOUT=1 cargo test -p ansatz-tests --test it the_layout_is_the_released_one"
    );
}

#[test]
fn a_plugin_of_the_first_release_describes_itself_and_runs_a_study() {
    let library = first();
    let loaded = Library::load(&library).unwrap();
    assert_eq!((loaded.package.as_str(), loaded.version.as_str()), ("acme-first", "1.0.0"));
    assert_eq!(loaded.abi, "1.0.0");
    assert!(!loaded.metadata().aborts_on_panic());
    let component = loaded.component(Role::Strategy, "com.acme.first").unwrap();
    assert_eq!(component.summary, "the unit square, evenly; Roberts 2018");
    assert_eq!(component.capabilities, [Capability::Float, Capability::Snapshot]);
    assert_eq!(component.options_schema["additionalProperties"], false);

    let scenario = scenario();
    put(&scenario, &library);
    let ended = run_in_turn(&scenario, &["com.acme.first", "random"]);
    // what the host offers reaches it
    assert!(ended.stderr.contains(&format!("built for ABI 1.0.0, loaded by ABI {ABI_VERSION}")), "{ended}");
    // it is older than this call, and has nothing to recommend
    let silent = scenario.ansatz(&["recommend", "mixed"]).expect(2);
    silent.expect_message(&["no strategy of study mixed recommends a point"]);
    // and its schema reaches us
    let manifest = std::fs::read_to_string(scenario.path("work/study.toml")).unwrap();
    let manifest = manifest.replace("\"com.acme.first\"", "\"com.acme.first\", options = { step = 2 }");
    scenario.write("other.toml", &manifest);
    let refused = scenario.ansatz(&["check", "other.toml"]);
    refused.expect_message(&["options has no key \"step\""]);
}

#[test]
fn an_older_plugin_that_is_loaded_first_keeps_no_newer_one_out() {
    let library = first();
    let scenario = scenario();
    // what lies beside the host is loaded into the host's own process, by name
    let beside = scenario.binary().with_file_name(format!("{DLL_PREFIX}ansatz_strategy_a_first{DLL_SUFFIX}"));
    std::fs::copy(&library, &beside).unwrap();
    let listed = scenario.ansatz(&["plugins", "list"]).expect(0);
    for name in ["com.acme.first", "random", "sobol", "synthetic"] {
        assert!(listed.stdout.contains(&format!("  {name} ")), "{name} is missing: {listed}");
    }
    assert!(!listed.stdout.contains("passed over"), "{listed}");
}

#[test]
fn a_plugin_of_the_next_minor_runs_a_study_here() {
    if !slow_tests_run() {
        return;
    }
    let (major, minor) = minor();
    let (_, newer_dice) = built_newer();
    let loaded = Library::load(&newer_dice).unwrap();
    assert_eq!(loaded.abi, format!("{major}.{}.0", minor + 1));

    let scenario = scenario();
    [&first(), &dice(), &newer_dice].into_iter().for_each(|library| put(&scenario, library));
    // three ages of the boundary in one process
    let ended = run_in_turn(&scenario, &["com.acme.newer-dice", "com.acme.first", "com.acme.dice", "random"]);
    assert!(ended.stderr.contains("plugin (newer-dice): free slots None"), "{ended}");
}

#[test]
fn plugins_of_earlier_minors_work_in_the_next_one() {
    if !slow_tests_run() {
        return;
    }
    let (major, minor) = minor();
    let (newer_host, newer_dice) = built_newer();
    let ended = ask_newer(&newer_host, "use", &[&first(), &dice(), &newer_dice]);
    let expected = format!(
        "acme-first 1.0.0, ABI 1.0.0
  homepage None
  com.acme.first, source None
    asked and told 3 points
    explains: not at all
acme-dice 0.3.1, ABI {ABI_VERSION}
  homepage None
  com.acme.dice, source None
    asked and told 3 points
    explains: not at all
acme-newer-dice 0.3.1, ABI {major}.{}.0
  homepage Some(\"https://example.com\")
  com.acme.newer-dice, source Some(\"a paper\")
    asked and told 3 points
    explains: by its own words
",
        minor + 1
    );
    assert_eq!(ended.stdout, expected, "{ended}");
    assert!(ended.stderr.contains("free slots Some(3)"), "{ended}");
}

#[test]
fn the_layout_in_compiled_libraries_is_the_one_of_their_version() {
    if !slow_tests_run() {
        return;
    }
    let (major, minor) = minor();
    let (newer_host, newer_dice) = built_newer();
    let layout_of = |library: &Path| ask_newer(&newer_host, "layout", &[library]).stdout;
    assert_eq!(
        layout::difference(&released("1.0"), &layout_of(&first())),
        "",
        "the frozen boundary was changed"
    );
    let current = released(&format!("{major}.{minor}"));
    assert_eq!(layout::difference(&current, &layout_of(&dice())), "");

    // nothing that old libraries rely on differs in the next minor, and all of what is new is seen
    let grown = layout::difference(&current, &layout_of(&newer_dice));
    for added in ["explain: ", "homepage: ", "source: ", "free_slot_count: "] {
        let line =
            grown.lines().find(|line| line.contains(added)).unwrap_or_else(|| panic!("{added}: {grown}"));
        assert!(line.starts_with("+ ") && line.ends_with(" (added)"), "{line}");
    }
    let lost =
        |line: &&str| line.starts_with("- ") && !line.contains(": size ") && !line.contains("ansatz-abi ");
    assert_eq!(grown.lines().find(lost), None, "{grown}");

    for (library, changed) in [
        (method_in_the_middle(), "+     explain: "),
        (struct_grown(), "+     weight: f64"),
        (field_renamed(), "-     own: bool"),
        (fields_swapped(), "losses: RSlice"),
    ] {
        let difference = layout::difference(&released("1.0"), &layout_of(&library));
        assert!(difference.contains(changed), "no {changed:?} in what differs: {difference}");
    }
}

#[test]
fn types_that_differ_inside_the_frozen_part_are_refused() {
    if !slow_tests_run() {
        return;
    }
    for (library, place) in [
        (method_in_the_middle(), "explain"),
        (struct_grown(), "Observation"),
        (field_renamed(), "mine"),
        (fields_swapped(), "losses"),
    ] {
        let Err(HostError::Refused { reason, .. }) = Library::load(&library) else {
            panic!("{} was not refused", library.display());
        };
        let both = format!(
            "built for plugin ABI 1.0.0, but its types differ from those of this host's ABI {ABI_VERSION}"
        );
        assert!(reason.starts_with(&both) && reason.contains("rebuild it"), "{reason}");
        assert!(reason.contains(place), "nothing about {place}: {reason}");
        assert!(reason.lines().count() <= 6 && reason.lines().all(|line| line.len() < 160), "{reason}");
    }
}
