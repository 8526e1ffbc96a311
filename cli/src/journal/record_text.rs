//! Records as texts, in the form that journals keep them in: for what passes between processes before it is on record.

use super::Entry;
use super::wire::{self, Kind};
use ansatz_core::Space;
use ansatz_core::study::Record;

/// A record as text; or why it cannot be written.
pub fn write(record: Record, space: &Space) -> Result<String, String> {
    let mut body = Vec::new();
    wire::encode(&Entry::Study(record), space, &mut body)?;
    String::from_utf8(body).map_err(|error| error.to_string())
}

/// What `write` made of an `Asked`.
pub fn read_asked(text: &str, space: &Space) -> Result<Record, String> {
    read(Kind::Asked, text, space)
}

/// What `write` made of a `Reported`.
pub fn read_reported(text: &str, space: &Space) -> Result<Record, String> {
    read(Kind::Reported, text, space)
}

/// What `write` made of a `Finished`.
pub fn read_finished(text: &str, space: &Space) -> Result<Record, String> {
    read(Kind::Finished, text, space)
}

fn read(kind: Kind, text: &str, space: &Space) -> Result<Record, String> {
    match wire::decode(kind, text, space)? {
        Entry::Study(record) => Ok(record),
        _ => Err("it is no record of a study".to_owned()),
    }
}
