//! The state of a stopped training in its trial's folder, where a trial that continues it finds it.

use crate::training::State;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

const NAME: &str = "checkpoint.json";

/// Writes it: all of it or nothing. The error says what could not be written and why.
pub fn write(folder: &Path, seed: u64, state: &State) -> Result<(), String> {
    let (whole, part) = (folder.join(NAME), folder.join("checkpoint.part"));
    let write = || {
        std::fs::create_dir_all(folder)?;
        let mut file = BufWriter::new(File::create(&part)?);
        serde_json::to_writer(&mut file, &(seed, state))?;
        file.flush()?;
        drop(file);
        std::fs::rename(&part, &whole)
    };
    write().map_err(|error| format!("cannot write {}: {error}", whole.display()))
}

/// Reads that of a training with this seed after so many epochs; `None` where there is none that can be read, or another
/// one: then the training begins anew.
pub fn read(folder: &Path, seed: u64, epoch: u64) -> Option<State> {
    let file = File::open(folder.join(NAME)).ok()?;
    let (of_seed, state): (u64, State) = serde_json::from_reader(BufReader::new(file)).ok()?;
    (of_seed == seed && state.epoch == epoch).then_some(state)
}
