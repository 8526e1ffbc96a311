//! Opening a library and agreeing on the boundary. `docs/abi.md` says what may differ and what may not.
#![expect(unsafe_code, reason = "loading a library and trusting its checked root is what this file does")]

use ansatz_core::abi::abi_stable::StableAbi;
use ansatz_core::abi::abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityErrors, CheckingGlobals, check_layout_compatibility_with_globals,
};
use ansatz_core::abi::abi_stable::library::AbiHeaderRef;
use ansatz_core::abi::abi_stable::prefix_type::PrefixTypeTrait;
use ansatz_core::abi::abi_stable::std_types::RStr;
use ansatz_core::abi::abi_stable::type_layout::TLFieldOrFunction;
use ansatz_core::abi::{ABI_VERSION, ENTRY_SYMBOL, Host, HostRef, PluginRef};
use std::path::Path;
use std::sync::OnceLock;

/// A library that passed every check.
pub struct Root {
    pub plugin: PluginRef,
    /// The ABI version it was built for.
    pub abi: String,
}

/// Loads the library at a canonical path and checks it; the error says what differs, in a few lines.
pub fn open(path: &Path) -> Result<Root, String> {
    let library = load(path)?;
    // SAFETY: the symbol's name carries our major, under which it is a LibHeader, whose first part is
    // abi_stable's AbiHeader and frozen.
    let header: AbiHeaderRef = match unsafe { library.get::<AbiHeaderRef>(ENTRY_SYMBOL.as_bytes()) } {
        Ok(symbol) => *symbol,
        Err(error) => return Err(format!("not an Ansatz plugin: {}", chain(&error))),
    };
    // Never unloaded: thread-locals, threads, leaked statics and vtables live in it. And before the
    // checks, because their errors may point into the library.
    std::mem::forget(library);
    let header = header.upgrade().map_err(|error| format!("its header cannot be read: {error}"))?;
    let abi = header.version_strings().version.to_string();
    let (major, minor) = version(&abi)?;
    let (our_major, our_minor) = version(ABI_VERSION)?;
    if major != our_major {
        return Err(format!(
            "built for plugin ABI {abi}, this host speaks ABI {ABI_VERSION}; use a build of the plugin for ABI {our_major} or another ansatz"
        ));
    }
    let theirs = header.layout().ok_or("built without layout information")?;
    let ours = <PluginRef as StableAbi>::LAYOUT;
    // Prefix types know at run time which fields they have, so the older side is the interface,
    // whichever it is; abi_stable's own loader takes the program for the older one.
    let (older, newer) = if minor < our_minor { (theirs, ours) } else { (ours, theirs) };
    // Plugins exchange types with us, never with each other. abi_stable would remember the types of every library and
    // hold the next one against them: then an older plugin, loaded first, keeps newer ones out.
    let alone = CheckingGlobals::new();
    check_layout_compatibility_with_globals(older, newer, &alone).map_err(|errors| short(&abi, &errors))?;
    // SAFETY: the layouts were checked in the line above.
    let plugin: PluginRef =
        unsafe { header.unchecked_layout() }.map_err(|error| format!("its root function failed: {error}"))?;
    (plugin.init())(host());
    Ok(Root { plugin, abi })
}

#[cfg(unix)]
fn load(path: &Path) -> Result<libloading::Library, String> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: this runs the library's initialisers with our rights. That is the trust boundary: the
    // caller decided that the file may run.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    library.map(Into::into).map_err(|error| format!("cannot be loaded: {}", chain(&error)))
}

#[cfg(not(unix))]
fn load(path: &Path) -> Result<libloading::Library, String> {
    // SAFETY: as on unix.
    unsafe { libloading::Library::new(path) }.map_err(|error| format!("cannot be loaded: {}", chain(&error)))
}

fn version(text: &str) -> Result<(u32, u32), String> {
    let mut parts =
        text.split('.').map(|part| part.parse::<u32>().map_err(|_| format!("bad ABI version {text:?}")));
    Ok((parts.next().unwrap_or(Ok(0))?, parts.next().unwrap_or(Ok(0))?))
}

/// abi_stable's own message for one added field has over a thousand lines: which type and what, once.
fn short(abi: &str, errors: &AbiInstabilityErrors) -> String {
    let mut lines: Vec<String> = Vec::new();
    for error in errors.errors.iter() {
        let mut place: Vec<&str> = (error.stack_trace.iter())
            .map(|found| match found.expected {
                TLFieldOrFunction::Field(field) => field.name(),
                TLFieldOrFunction::Function(function) => function.name.as_str(),
            })
            // what abi_stable wraps its types in has numbers for names
            .filter(|name| name.trim_start_matches("field_").parse::<u32>().is_err())
            .collect();
        place.dedup();
        place.drain(..place.len().saturating_sub(3));
        let innermost = match error.stack_trace.last().map(|found| found.expected) {
            Some(TLFieldOrFunction::Field(field)) => field.full_type().to_string(),
            Some(TLFieldOrFunction::Function(_)) | None => "the root".to_owned(),
        };
        for what in error.errs.iter() {
            let place = if place.is_empty() { String::new() } else { format!(" in {}", place.join(" > ")) };
            let line = format!("{innermost}{place}: {}", in_words(what));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    let more = lines.len().saturating_sub(4);
    lines.truncate(4);
    let rest = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!(
        "built for plugin ABI {abi}, but its types differ from those of this host's ABI {ABI_VERSION}; rebuild it with the ansatz-core of this release:\n  {}{rest}",
        lines.join("\n  ")
    )
}

/// One difference; of fields, which are most of them, no more than name and type.
fn in_words(what: &AbiInstability) -> String {
    let (expected, found) = match what {
        AbiInstability::UnexpectedField(field) => {
            let [expected, found] = [field.expected, field.found]
                .map(|field| format!("{}: {}", field.name(), field.full_type()).trim().to_owned());
            (expected, found)
        }
        AbiInstability::FieldCountMismatch(count) => {
            (format!("{} fields", count.expected), count.found.to_string())
        }
        AbiInstability::MismatchedPrefixSize(count) => {
            (format!("{} entries of the first version", count.expected), count.found.to_string())
        }
        AbiInstability::Name(name) => (name.expected.to_string(), name.found.to_string()),
        AbiInstability::FieldLifetimeMismatch(field) => {
            return format!("the field {} is declared differently", field.expected.name());
        }
        AbiInstability::Size(size) => (format!("{} bytes", size.expected), size.found.to_string()),
        other => return format!("{other:?}").chars().take(110).collect(),
    };
    format!("expected {expected}, found {found}")
}

/// libloading's own text is only "dlopen failed"; the reason is the source.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => chain(source),
        None => error.to_string(),
    }
}

fn host() -> HostRef {
    static HOST: OnceLock<HostRef> = OnceLock::new();
    *HOST.get_or_init(|| {
        Host { abi_version: RStr::from_str(ABI_VERSION), log_level_max: 2, log }.leak_into_prefix()
    })
}

/// What plugins say.
extern "C" fn log(level: u32, target: RStr<'_>, message: RStr<'_>) {
    let level = if level <= 1 { "error" } else { "warning" };
    crate::log(level, &format!("({target}): {message}"));
}
