//! `results.jsonl`: one line for each cell that is done, only ever added to. docs/bench.md describes a line.
//!
//! A cell is known again by its key. Where a key is there twice, the later line counts. A last line that was torn by
//! a crash is cut off; another one that cannot be read is passed over with a warning.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The name of the file in the folder of an arena.
pub const FILE_NAME: &str = "results.jsonl";

/// The version of a line. Keys may be added to it; a change of what is there makes a new one.
pub const FORMAT: u32 = 1;

/// Lines that cannot be read and are each told.
const NOTICES_MAX: usize = 3;

/// What makes two cells the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// As the arena calls it.
    pub strategy: String,
    /// The plugin's name.
    pub plugin: String,
    /// The version of its package.
    pub plugin_version: String,
    /// Of its options.
    pub options_digest: String,
    /// As the arena calls it.
    pub problem: String,
    /// Of everything that decides what is searched and measured.
    pub problem_digest: String,
    /// Of the study, and the instance where the problem has instances.
    pub seed: u64,
    /// How many trials were meant.
    pub budget: u64,
    /// How many of them were under way at a time.
    #[serde(default = "one_slot", skip_serializing_if = "is_one_slot")]
    pub slots: usize,
}

/// Of a line without a number of slots: before there were several, and wherever there is one.
fn one_slot() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
fn is_one_slot(slots: &usize) -> bool {
    *slots == 1
}

/// A cell that is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellResult {
    /// `FORMAT`.
    pub format: u32,
    /// Which cell.
    #[serde(flatten)]
    pub key: Key,
    /// SHA-256 of the plugin: results of another build are told apart by it.
    pub plugin_sha256: String,
    /// What the trace has.
    pub metric: String,
    /// What came of it.
    #[serde(flatten)]
    pub cell: Cell,
    /// When it was done, in seconds since 1970.
    pub date: f64,
    /// Of the host that ran it.
    pub host_version: String,
}

/// What came of a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// How many trials ended.
    pub trial_count: u64,
    /// After each trial the metric at the one observed to be best, or the hypervolume; null while there is none.
    pub trace: Vec<Option<f64>>,
    /// Time in the strategy's ask.
    pub ask_seconds: Seconds,
    /// Time in the strategy's tell.
    pub tell_seconds: Seconds,
    /// For each budget that was reached: mean processor time of the asks up to it, in seconds.
    pub ask_cpu_means: Vec<AskCpuMean>,
    /// Time in the objective, on the wall.
    pub evaluation_seconds: f64,
    /// Whether it did not come to its end. What came before counts.
    pub failed: bool,
    /// Whose fault that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Seconds of all calls together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// On the wall.
    pub wall: f64,
    /// Of processors, with those of the strategy's own process; null where the system cannot tell.
    pub cpu: Option<f64>,
}

/// What asking cost up to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskCpuMean {
    /// How many trials were asked for by then.
    pub trials: u64,
    /// Mean processor time of an ask, in seconds; null where the system cannot tell.
    pub seconds: Option<f64>,
}

/// Why a cell did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Failing {
    /// The strategy cannot do what the problem needs.
    Unsupported,
    /// The strategy refused its options or the problem, or could not be loaded.
    Refused,
    /// The strategy panicked, crashed, hung, or proposed what is no point of the space.
    Broke,
    /// Too many trials failed, or the objective could not be made.
    Objective,
    /// Something outside of both.
    Host,
}

impl Cell {
    /// Notes why it did not come to its end.
    pub(super) fn fail(&mut self, failing: Failing, error: String) {
        self.failed = true;
        self.failing = Some(failing);
        self.error = Some(error);
    }

    /// The metric after so many trials; what was found stays found. `None` if there was nothing by then.
    pub fn at(&self, trial_count: u64) -> Option<f64> {
        let count = usize::try_from(trial_count).unwrap_or(usize::MAX).min(self.trace.len());
        self.trace.get(count.checked_sub(1)?).copied().flatten()
    }
}

/// Sixteen hexadecimal digits for a value, the same for the same content.
pub fn digest(value: &serde_json::Value) -> String {
    // objects are sorted by key
    let hash = Sha256::digest(value.to_string().as_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The results of a folder, open for more.
pub struct Results {
    path: PathBuf,
    file: File,
    cells: HashMap<Key, CellResult>,
    /// What a person should know about the file.
    pub notices: Vec<String>,
}

impl Results {
    /// Opens the results of a folder, which is made if it does not exist.
    ///
    /// # Errors
    /// The folder cannot be written, or another arena is running in it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| Error::Io { path, error }
        };
        std::fs::create_dir_all(folder).map_err(io(folder))?;
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = file.map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Usage(format!(
                    "{} is in use by another ansatz bench; wait for it, or name another folder with --output",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(io(&path)(error)),
        }
        let mut passed_over: Vec<String> = Vec::new();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io(&path))?;
        let mut notices = Vec::new();
        let mut cells = HashMap::new();
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if end < bytes.len() {
            notices.push(format!("{}: the last line is torn and was cut off", path.display()));
            file.set_len(end as u64).map_err(io(&path))?;
            file.seek(SeekFrom::End(0)).map_err(io(&path))?;
        }
        for (number, line) in (1..).zip(bytes[..end].split(|byte| *byte == b'\n')) {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice::<CellResult>(line) {
                Ok(result) if result.format == FORMAT => {
                    cells.insert(result.key.clone(), result);
                }
                Ok(result) => passed_over.push(format!(
                    "{}:{number} has format {}, this ansatz knows {FORMAT}; it is passed over",
                    path.display(),
                    result.format
                )),
                Err(error) => {
                    passed_over.push(format!("{}:{number} is passed over: {error}", path.display()));
                }
            }
        }
        if let Some(rest) = passed_over.len().checked_sub(NOTICES_MAX).filter(|rest| *rest > 0) {
            passed_over.truncate(NOTICES_MAX);
            passed_over.push(format!("{}: so are {rest} more lines", path.display()));
        }
        notices.extend(passed_over);
        Ok(Self { path, file, cells, notices })
    }

    /// The result of a cell, if it is done.
    pub fn get(&self, key: &Key) -> Option<&CellResult> {
        self.cells.get(key)
    }

    /// Adds the result of a cell.
    ///
    /// # Errors
    /// It could not be written.
    pub fn add(&mut self, result: CellResult) -> Result<(), Error> {
        let io = |error| Error::Io { path: self.path.clone(), error };
        let mut line = serde_json::to_string(&result).map_err(|error| io(error.into()))?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(io)?;
        self.cells.insert(result.key.clone(), result);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(seed: u64) -> CellResult {
        CellResult {
            format: FORMAT,
            key: Key { strategy: "random".into(), seed, budget: 3, ..Key::default() },
            cell: Cell {
                trial_count: 3,
                trace: vec![None, Some(0.1), Some(1e-300)],
                ask_cpu_means: vec![AskCpuMean { trials: 3, seconds: Some(1e-6) }],
                ..Cell::default()
            },
            ..CellResult::default()
        }
    }

    #[test]
    fn what_was_added_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut failed = result(2);
        failed.cell.fail(Failing::Broke, "it broke".into());
        let mut results = Results::open(folder.path()).unwrap();
        results.add(result(1)).unwrap();
        results.add(failed.clone()).unwrap();
        drop(results);
        let again = Results::open(folder.path()).unwrap();
        assert_eq!(again.notices, Vec::<String>::new());
        assert_eq!(again.get(&result(1).key), Some(&result(1)));
        assert_eq!(again.get(&failed.key), Some(&failed));
        assert_eq!(again.get(&result(3).key), None);
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_others_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        results.add(result(1)).unwrap();
        drop(results);
        let path = folder.path().join(FILE_NAME);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("not JSON\n{whole}{}", &whole[..whole.len() / 2])).unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        assert_eq!(results.notices.len(), 2, "{:?}", results.notices);
        assert!(results.get(&result(1).key).is_some());
        results.add(result(2)).unwrap();
        drop(results);
        let again = Results::open(folder.path()).unwrap();
        assert!(again.get(&result(1).key).is_some() && again.get(&result(2).key).is_some());
        assert_eq!(again.notices.len(), 1, "{:?}", again.notices);
    }

    #[test]
    fn a_later_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mut later = result(1);
        later.plugin_sha256 = "another".into();
        let mut results = Results::open(folder.path()).unwrap();
        results.add(result(1)).unwrap();
        results.add(later.clone()).unwrap();
        drop(results);
        assert_eq!(Results::open(folder.path()).unwrap().get(&later.key), Some(&later));
    }

    #[test]
    fn two_arenas_do_not_write_to_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _results = Results::open(folder.path()).unwrap();
        let refused = Results::open(folder.path()).map(drop).unwrap_err().to_string();
        assert!(refused.contains("in use"), "{refused}");
    }

    #[test]
    fn what_was_found_stays_found() {
        let cell = result(1).cell;
        assert_eq!(
            [0, 1, 2, 3, 100].map(|count| cell.at(count)),
            [None, None, Some(0.1), Some(1e-300), Some(1e-300)]
        );
    }
}
