//! What the commands do that look after a store as a whole.

use super::{print, print_json};
use crate::Clock;
use crate::board;
use crate::error::{Error, Exit};
use crate::journal::{
    self, Checkup, Existing, JournalErrorKind, Location, NetworkFolder, RepairRules, SCHEMA_VERSION,
    SqliteStore, StudyCheckup,
};
use crate::plan::OnInterrupt;
use crate::report::text;
use crate::run::trial_output_folder;
use crate::session::{self, ReadStudy};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many trials are named before the rest is only counted.
const NAMED_MAX: usize = 10;

/// Takes a study out of a store, once somebody has said that this is meant.
pub fn delete(location: &Location, name: &str, is_meant: bool) -> Result<Exit, Error> {
    let found = match session::read(location.clone(), Some(name)) {
        Ok(ReadStudy { study, .. }) => {
            let best =
                text::incumbent_in_short(&study).map_or(String::new(), |best| format!(", best {best}"));
            format!("study {name} in {location}, {}{best}", text::counts(&study))
        }
        Err(Error::Journal(error)) if error.kind == JournalErrorKind::Damaged => {
            format!("study {name} in {location}, whose records cannot be read ({error})")
        }
        Err(error) => return Err(error),
    };
    if !is_meant {
        return Err(Error::Usage(format!("this would delete {found}; to do it, add --yes")));
    }
    journal::bring_up_to_date(location)?;
    let mut plan = journal::open_read_only(location.clone())?.read(name)?.header().plan.clone();
    plan.journal.move_to(location);
    // held from here on: nobody goes on with it
    let held = journal::open(&plan.journal)?.open(name)?;
    match board::clear(location, name)? {
        0 => {}
        present => {
            return Err(Error::Usage(format!(
                "study {name} still has {}: ansatz cancel {name} ends them, or wait until they have noticed that nobody asks \
                 any more",
                count(present as usize, "worker", "workers")
            )));
        }
    }
    held.delete()?;
    let mut said = format!("deleted {found}\n");
    let folder = trial_output_folder(&plan.journal.path, name);
    if folder.exists() {
        said += &format!("what its trials wrote is still in {}\n", folder.display());
    }
    print(&said)
}

/// Says what is wrong with a store.
pub fn fsck(path: &Path, as_json: bool) -> Result<Exit, Error> {
    let (store, _) = open(path)?;
    let checkup = store.check()?;
    if as_json {
        let mut shown = json!(checkup);
        shown["store"] = json!(path);
        shown["sound"] = checkup.is_sound().into();
        print_json(&shown)?;
    } else {
        let advice =
            format!("ansatz repair --store {} makes a copy and mends what can be mended", path.display());
        print(&checkup_text(path, &checkup, &advice))?;
    }
    Ok(if checkup.is_sound() { Exit::Success } else { Exit::Journal })
}

/// Mends a store, and says what was done.
pub fn repair(path: &Path, backup: Option<PathBuf>, close_orphans: bool) -> Result<Exit, Error> {
    require(path)?;
    let now = Clock::start(Duration::ZERO).unix_seconds();
    let rules = RepairRules { backup, close_orphans, now };
    let repairs = journal::repair(path, &rules, NetworkFolder::Refuse).map_err(|error| match error.kind {
        // of the copy: nothing was done
        JournalErrorKind::Exists => Error::Usage(error.message),
        _ => error.into(),
    })?;
    let mut text = match &repairs.backup {
        Some(backup) => format!("the store as it was is in {}\n", backup.display()),
        None => String::new(),
    };
    for line in &repairs.done {
        text += &format!("{line}\n");
    }
    if repairs.backup.is_none() {
        text += "there is nothing to mend\n";
    }
    text += &checkup_text(
        path,
        &repairs.after,
        "cannot be mended: the copy and the table quarantine have what there is",
    );
    print(&text)?;
    Ok(if repairs.after.is_sound() { Exit::Success } else { Exit::Journal })
}

/// Copies a store.
pub fn backup(to: &Path, path: &Path, overwrite: bool) -> Result<Exit, Error> {
    let (store, _) = open(path)?;
    let existing = if overwrite { Existing::Replace } else { Existing::Keep };
    let copied = store.backup(to, existing).map_err(|error| match error.kind {
        // a log beside it stays in the way
        JournalErrorKind::Exists if !overwrite && to.symlink_metadata().is_ok() => {
            Error::Usage(format!("{}, or say --overwrite", error.message))
        }
        JournalErrorKind::Exists => Error::Usage(error.message),
        _ => error.into(),
    })?;
    if !copied.is_sound {
        let warning = "warning: the store is damaged, and so is its copy; ansatz fsck says what is wrong";
        let _ = writeln!(std::io::stderr(), "{warning}");
    }
    let (size, place) = (copied.size_bytes, copied.path.display());
    print(&format!("copied {} to {place} ({size} bytes)\n", path.display()))
}

fn require(path: &Path) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    Err(Error::NotFound(format!("there is no store {}; name the file with --store", path.display())))
}

fn open(path: &Path) -> Result<(SqliteStore, u32), Error> {
    require(path)?;
    Ok(SqliteStore::open_to_check(path, NetworkFolder::Refuse)?)
}

/// `advice`: what to do if it is not sound.
fn checkup_text(path: &Path, checkup: &Checkup, advice: &str) -> String {
    let (place, version) = (path.display(), checkup.schema_version);
    let mut text =
        format!("{place}: schema version {version}, {}\n", count(checkup.studies.len(), "study", "studies"));
    if version < SCHEMA_VERSION {
        text += &format!(
            "  an older version than this ansatz writes ({SCHEMA_VERSION}): ansatz resume or run brings it up to date\n"
        );
    }
    if checkup.quarantined_count > 0 {
        text += &format!(
            "  repairs have taken {} out of its journals; the table quarantine keeps them\n",
            count(checkup.quarantined_count as usize, "entry", "entries")
        );
    }
    for problem in &checkup.problems {
        text += &format!("  damaged: {problem}\n");
    }
    for study in &checkup.studies {
        text += &study_text(path, study);
    }
    if checkup.is_sound() {
        text + "sound\n"
    } else {
        let what = count(checkup.problems().count(), "problem", "problems");
        text + &format!("{what}; {advice}\n")
    }
}

fn study_text(path: &Path, study: &StudyCheckup) -> String {
    let StudyCheckup {
        name,
        entry_count,
        trial_count,
        finished_count,
        problems,
        runner,
        orphans,
        is_on_board,
        on_interrupt,
    } = study;
    let mut text =
        format!("study {name}: {entry_count} entries, {trial_count} trials, {finished_count} of them ended");
    text += &runner.as_ref().map_or(String::new(), |runner| format!("; it is being run ({runner})"));
    text.push('\n');
    for problem in problems {
        text += &format!("  damaged: {}\n", problem.message);
    }
    if *is_on_board {
        text += &format!(
            "  nobody works on {}, because the host ended while they ran, and what came of them may be on the board: ansatz \
             resume {name} --journal {} --on board takes it over\n",
            trial_list(orphans),
            path.display()
        );
    } else if !orphans.is_empty() {
        let what = match on_interrupt {
            Some(OnInterrupt::Fail) => "counts as failed",
            _ => "runs again",
        };
        text += &format!(
            "  nobody works on {}, because the host ended while they ran: ansatz resume {name} --journal {} {what} \
             what was lost\n",
            trial_list(orphans),
            path.display()
        );
    }
    text
}

/// Trials by number, the first of them if they are many.
fn trial_list(trials: &[u64]) -> String {
    let named: Vec<String> = trials.iter().take(NAMED_MAX).map(u64::to_string).collect();
    let more = match trials.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let noun = if trials.len() == 1 { "trial" } else { "trials" };
    format!("{noun} {}{more}", named.join(", "))
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
