//! `ansatz bench`: strategies against each other, on many problems, with many seeds.
//!
//! An arena is read (`manifest`), its plugins are found and its cells listed (`arena`), each cell is run by the engine
//! that runs studies (`cell`), read after each trial (`reading`) and kept as a line (`results`); what the lines say is
//! `comparison` and `statistics`, and how it is shown `table` and `page`. docs/bench.md defines every number.

mod arena;
mod cell;
mod comparison;
mod cpu;
mod manifest;
mod page;
mod reading;
mod results;
pub mod statistics;
mod table;

pub use arena::{CellPlan, Ready, Selection, Tally};
pub use comparison::{Comparison, Entrant, Ground, compare};
pub use manifest::{Arena, ArenaProblem, Contender, json_schema};
pub use reading::Reading;
pub use results::{AskCpuMean, Cell, CellResult, FILE_NAME, FORMAT, Failing, Key, Results, Seconds};

use crate::args::BenchArgs;
use crate::commands::{print, print_json};
use crate::error::{Error, Exit};
use crate::interrupt::Interrupt;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::path::Path;

/// Where results go that are given no folder, with the arena's name after it.
const FOLDER: &str = "bench";

/// The report for people, beside the results.
pub const PAGE: &str = "report.html";

/// Carries the command out.
pub fn execute(arguments: &BenchArgs) -> Result<Exit, Error> {
    let arena = match &arguments.arena {
        Some(path) => Arena::named(path)?,
        None => Arena::standard()?,
    };
    let selection = Selection {
        strategies: arguments.strategies.clone(),
        problems: arguments.problems.clone(),
        seed_count: arguments.seeds,
        budget: arguments.budget,
        job_count: arguments.jobs,
        slot_count: arguments.slots,
    };
    let ready = arena.select(&selection)?.prepare()?;
    let folder = match &arguments.output {
        Some(folder) => folder.clone(),
        None => Path::new(FOLDER).join(&ready.arena.name),
    };
    let mut results = Results::open(&folder)?;
    warn(&std::mem::take(&mut results.notices));
    let tally = fill(&ready, &mut results, arguments.rerun)?;
    finish(&ready, &results, tally, &folder, arguments.json)
}

/// Runs what is not done yet.
fn fill(ready: &Ready, results: &mut Results, is_rerun: bool) -> Result<Tally, Error> {
    let mut open: Vec<&CellPlan> = Vec::new();
    let (mut kept_count, mut other_count) = (0, 0);
    for cell in &ready.cells {
        match results.get(&cell.key) {
            None => open.push(cell),
            Some(result) if ready.is_of_another_build(cell, result) => {
                other_count += 1;
                if is_rerun { open.push(cell) } else { kept_count += 1 }
            }
            Some(_) => kept_count += 1,
        }
    }
    if other_count > 0 && !is_rerun {
        warn(&[format!(
            "{other_count} results are of another build of their plugin with the same version, and are kept; --rerun runs them again"
        )]);
    }
    let interrupt = Interrupt::listen();
    let bar = ProgressBar::new(ready.cells.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left: {msg}") {
        bar.set_style(style);
    }
    bar.set_position(kept_count as u64);
    let tally = ready.run(&open, results, &interrupt, |result| {
        bar.inc(1);
        bar.set_message(format!("{} on {}", result.key.strategy, result.key.problem));
    });
    bar.finish_and_clear();
    Ok(Tally { kept_count, ..tally? })
}

/// Says what came of it.
fn finish(
    ready: &Ready,
    results: &Results,
    tally: Tally,
    folder: &Path,
    is_json: bool,
) -> Result<Exit, Error> {
    let comparison = ready.compare(results);
    warn(&comparison.notices);
    let page = folder.join(PAGE);
    std::fs::write(&page, page::render(&comparison))
        .map_err(|error| Error::Io { path: page.clone(), error })?;
    if is_json {
        let json = serde_json::to_value(&comparison);
        print_json(&json.map_err(|error| Error::Io { path: "the report".into(), error: error.into() })?)?;
    } else {
        let end = match tally.is_interrupted {
            true => "interrupted: run it again to go on",
            false => "run it again for more seeds, strategies or problems; what is done is kept",
        };
        print(&format!("{}\n{} ({end})\n", table::render(&comparison), page.display()))?;
    }
    Ok(if tally.is_interrupted { Exit::Interrupted } else { Exit::Success })
}

fn warn(notices: &[String]) {
    for notice in notices {
        let _ = writeln!(io::stderr(), "warning: {notice}");
    }
}
