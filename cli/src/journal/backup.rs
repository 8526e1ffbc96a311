//! A consistent copy of a store, also while studies in it are being run.

use super::sqlite::{SqliteStore, absolute, explain, explain_copy, io_error, refuse_folder, uri};
use super::{JournalError, JournalErrorKind};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What to do with a file that is where the copy is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and there is no copy.
    #[default]
    Keep,
    /// It is replaced, once the copy is whole.
    Replace,
}

/// A copy that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Where it is.
    pub path: PathBuf,
    /// How large it is.
    pub size_bytes: u64,
    /// Whether SQLite finds nothing wrong with it. If not, the store is damaged likewise.
    pub is_sound: bool,
}

/// How long to try while the store is locked.
const PATIENCE: Duration = Duration::from_secs(60);

impl SqliteStore {
    /// Copies the store as it is at one moment, with everything that was acknowledged before. Nobody who writes has to
    /// wait. The copy appears under its name once it is whole and on the disk.
    ///
    /// Errors: the file exists already, no space or no permission there.
    pub fn backup(&self, to: &Path, existing: Existing) -> Result<Copied, JournalError> {
        let to = absolute(to)?;
        refuse_folder(&to)?;
        refuse_existing(&to, existing)?;
        let partial = beside(&to, &format!(".partial-{}", std::process::id()));
        let copied = self.copy_pages(&partial).and_then(|()| {
            let is_sound = is_sound(&partial).map_err(|error| explain(&partial, "be read", error))?;
            move_into_place(&partial, &to, existing)?;
            let size_bytes = std::fs::metadata(&to).map_or(0, |metadata| metadata.len());
            Ok(Copied { path: to.clone(), size_bytes, is_sound })
        });
        if copied.is_err() {
            remove(&partial);
        }
        copied
    }

    fn copy_pages(&self, partial: &Path) -> Result<(), JournalError> {
        // of a copy that was interrupted, by a process that had our number
        remove(partial);
        let failed = |error| explain_copy(partial, "be written", error);
        let mut target = open_alone(partial).map_err(failed)?;
        {
            let copy = Backup::new(&self.connection, &mut target).map_err(failed)?;
            let started = Instant::now();
            // all at once: in steps it would begin again whenever somebody writes
            loop {
                match copy.step(-1) {
                    Ok(StepResult::Done) => break,
                    Ok(_) if started.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                    Ok(_) => {
                        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                        return Err(explain(
                            &self.path,
                            "be read",
                            rusqlite::Error::SqliteFailure(busy, None),
                        ));
                    }
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        target.close().map_err(|(_, error)| failed(error))
    }
}

/// A database that nobody else knows of: it needs no locks, so it may be on any file system.
fn open_alone(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path, "nolock=1"), flags)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    Ok(connection)
}

fn is_sound(path: &Path) -> rusqlite::Result<bool> {
    let flags =
        OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri(path, "immutable=1"), flags)?;
    let result = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match result {
        Ok(text) => Ok(text == "ok"),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => Ok(false),
        Err(error) => Err(error),
    }
}

fn refuse_existing(to: &Path, existing: Existing) -> Result<(), JournalError> {
    let exists = |what: String| Err(JournalError::new(JournalErrorKind::Exists, what));
    if existing == Existing::Keep && to.symlink_metadata().is_ok() {
        return exists(format!("{} exists already, and is not overwritten: name another file", to.display()));
    }
    for suffix in ["-wal", "-journal"] {
        let log = beside(to, suffix);
        if log.symlink_metadata().is_ok() {
            return exists(format!(
                "{} exists, so {} is in use or was not closed, and SQLite would apply the one to the other: name \
                 another file",
                log.display(),
                to.display()
            ));
        }
    }
    Ok(())
}

/// A file of the same folder whose name begins like this.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn move_into_place(partial: &Path, to: &Path, existing: Existing) -> Result<(), JournalError> {
    let failed = |error: std::io::Error| {
        let message = format!("{} cannot be given its name {}: {error}", partial.display(), to.display());
        io_error(&message, &error)
    };
    if existing == Existing::Keep {
        // unlike a renaming it never replaces what came meanwhile
        match std::fs::hard_link(partial, to) {
            Ok(()) => remove(partial),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return refuse_existing(to, existing).and(Err(failed(error)));
            }
            // a file system without such links
            Err(_) => std::fs::rename(partial, to).map_err(failed)?,
        }
    } else {
        std::fs::rename(partial, to).map_err(failed)?;
    }
    // the name as well is to survive a power cut; where folders cannot be flushed, they need not be
    let folder = to.parent().map(std::fs::File::open);
    let _ = folder.map(|folder| folder.and_then(|folder| folder.sync_all()));
    Ok(())
}

/// What is left of a copy that did not come to its end.
fn remove(partial: &Path) {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let _ = std::fs::remove_file(beside(partial, suffix));
    }
}
