//! A host whose boundary is one minor ahead: what it sees of libraries of any age, in lines that a test reads.
//!
//! `newer-host use FILE...` loads strategies as the host does, asks and tells them, and uses what is new.
//! `newer-host layout FILE` prints the layout that a library says it was built with; nothing of it is called.

/// `tests/src/layout.rs`, put beside this file by the test.
mod layout;

use ansatz_abi::abi_stable::library::AbiHeaderRef;
use ansatz_abi::abi_stable::std_types::{ROption, RSlice, RStr};
use ansatz_abi::{BoxStrategy, ComponentRef, Create, ENTRY_SYMBOL, Fault, Observation, Pending, Status};
use ansatz_core::space::Parameter;
use ansatz_core::{Goal, Metric, Problem, Space};
use ansatz_plugin_host::Library;
use std::path::Path;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["layout", file] => print!("{}", layout_of(Path::new(file))?),
        ["use", ref files @ ..] => files.iter().try_for_each(|file| use_library(Path::new(file)))?,
        _ => return Err("newer-host use FILE... | layout FILE".to_owned()),
    }
    Ok(())
}

fn layout_of(path: &Path) -> Result<String, String> {
    // SAFETY: a test built this library and wants its initialisers to run.
    let library = unsafe { libloading::Library::new(path) }.map_err(|error| format!("{error:?}"))?;
    // SAFETY: under this name is a LibHeader, whose first part is abi_stable's AbiHeader and frozen.
    let header = unsafe { library.get::<AbiHeaderRef>(ENTRY_SYMBOL.as_bytes()) }.map(|symbol| *symbol);
    std::mem::forget(library);
    let header = header.map_err(|error| error.to_string())?.upgrade().map_err(|error| error.to_string())?;
    Ok(layout::render(header.layout().ok_or("built without layout information")?))
}

fn use_library(path: &Path) -> Result<(), String> {
    let path = path.canonicalize().map_err(|error| error.to_string())?;
    let library = Library::load(&path).map_err(|error| error.to_string())?;
    println!("{} {}, ABI {}", library.package, library.version, library.abi);
    let plugin = ansatz_plugin_host::open(&path)?.plugin;
    println!("  homepage {:?}", plugin.homepage());
    for component in (plugin.components())() {
        println!("  {}, source {:?}", component.name(), component.source());
        use_strategy(component).map_err(|fault| fault.to_string())?;
    }
    Ok(())
}

/// Makes a strategy, asks it for three points, tells it of them, and asks for the reason of the first.
fn use_strategy(component: ComponentRef) -> Result<(), Fault> {
    let mut strategy = create(component)?;
    let none = Pending { trials: RSlice::EMPTY, x: RSlice::EMPTY };
    let suggestions = strategy.ask(3, none).into_result()?;
    let observations: Vec<Observation<'_>> = (0..)
        .zip(suggestions.iter())
        .map(|(trial, suggestion)| Observation {
            trial,
            own: true,
            tag: suggestion.tag,
            status: Status::COMPLETED,
            x: suggestion.x.as_rslice(),
            losses: RSlice::from_slice(&[0.5]),
            standard_errors: RSlice::EMPTY,
            excesses: RSlice::EMPTY,
            fidelity: f64::NAN,
            ext: RStr::from_str(""),
        })
        .collect();
    strategy.tell(RSlice::from_slice(&observations)).into_result()?;
    println!("    asked and told {} points", observations.len());
    println!("    explains: {}", strategy.explain(0).into_result()?);
    Ok(())
}

fn create(component: ComponentRef) -> Result<BoxStrategy, Fault> {
    let ROption::RSome(create) = component.create_strategy() else { panic!("it is no strategy") };
    let parameters = vec![Parameter::float("x1", 0.0, 1.0), Parameter::float("x2", 0.0, 1.0)];
    let metric = Metric { name: "value".to_owned(), goal: Goal::Minimise };
    let problem = Problem::new(Space::of(parameters).expect("the unit square"), vec![metric]);
    let problem = serde_json::to_string(&problem).expect("a problem is JSON");
    let (problem, options) = (RStr::from(problem.as_str()), RStr::from_str("{}"));
    create(Create { problem, options, surroundings: RStr::from_str("{}"), seed: 1 }).into_result()
}
