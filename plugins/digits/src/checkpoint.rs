//! The state of a stopped training in its trial's folder, where a trial that continues it finds it.

use crate::training::State;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

const NAME: &str = "checkpoint.json";

/// Writes it: all of it or nothing. The error says what could not be written and why.
pub fn write(folder: &Path, state: &State) -> Result<(), String> {
    let (whole, part) = (folder.join(NAME), folder.join("checkpoint.part"));
    let write = || {
        std::fs::create_dir_all(folder)?;
        let mut file = BufWriter::new(File::create(&part)?);
        serde_json::to_writer(&mut file, state)?;
        file.flush()?;
        drop(file);
        std::fs::rename(&part, &whole)
    };
    write().map_err(|error| format!("cannot write {}: {error}", whole.display()))
}

/// Reads it; `None` where there is none that can be read: then the training begins anew.
pub fn read(folder: &Path) -> Option<State> {
    let file = File::open(folder.join(NAME)).ok()?;
    serde_json::from_reader(BufReader::new(file)).ok()
}
