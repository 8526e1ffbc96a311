//! One writer for each study: a lock file beside the store, held as long as the study is open for writing.
//!
//! The operating system releases the lock when its holder dies, however that happens; a file that was left
//! behind locks nobody out. What the file says is for the message only.

use super::{JournalError, JournalErrorKind};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often, and after how long, a lock that is taken is tried again.
const LOOKS_MAX: u32 = 5;
const LOOK_TIME: Duration = Duration::from_millis(10);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct StudyLock {
    path: PathBuf,
    // held for its lock
    _file: File,
}

impl StudyLock {
    /// The lock of a study in the store at `store`, or who has it.
    pub fn take(store: &Path, study: &str) -> Result<Self, JournalError> {
        let path = lock_path(store, study);
        let failed = |error: std::io::Error| {
            let kind = match error.kind() {
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    JournalErrorKind::Access
                }
                std::io::ErrorKind::StorageFull => JournalErrorKind::Full,
                _ => JournalErrorKind::Io,
            };
            JournalError::new(
                kind,
                format!(
                    "study {study} cannot be opened for writing: its lock file {}: {error}; it must be possible \
                     to make files beside the journal",
                    path.display()
                ),
            )
        };
        loop {
            let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
            let mut file = opened.map_err(failed)?;
            match try_for_a_moment(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let holder = holder(&mut file).map_or_else(String::new, |holder| format!(" ({holder})"));
                    return Err(JournalError::new(
                        JournalErrorKind::Locked,
                        format!(
                            "study {study} in {} is being run by another process{holder}; wait for it or end it. \
                             To look at the study meanwhile, only read it",
                            store.display()
                        ),
                    ));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // the last holder may have removed the file between our opening and locking it: then the lock
            // that we have is on a file that nobody else will ever find
            if is_at(&file, &path) {
                let note = format!("process {}\n", std::process::id());
                // without the note, the lock is as good
                let _ = file.set_len(0).and_then(|()| file.write_all(note.as_bytes()));
                return Ok(Self { path, _file: file });
            }
        }
    }
}

/// Who holds the lock of a study, if anybody does: what it left in the file. Where the file cannot be opened,
/// nobody is seen.
pub fn holder_of(store: &Path, study: &str) -> Option<String> {
    let mut file = File::open(lock_path(store, study)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(&mut file).unwrap_or_else(|| "a process".to_owned())),
        // ours is gone with the file
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

impl Drop for StudyLock {
    fn drop(&mut self) {
        // while the lock is still held: see `is_at`
        if cfg!(unix) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whoever only looks who holds the lock has it too while it looks: that is no reason to give up.
fn try_for_a_moment(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOOKS_MAX {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_TIME),
            other => return other,
        }
    }
    file.try_lock()
}

fn holder(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(100).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(ours), Ok(found)) => identity(ours) == identity(found),
        _ => false,
    }
}

/// Where open files cannot be removed, the file stays.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}

/// `<store>.<study>.lock`. Bytes that do not belong in a file name are written as `%` and two hexadecimal
/// digits; what would be too long is cut and told apart by a hash.
pub fn lock_path(store: &Path, study: &str) -> PathBuf {
    let mut encoded = String::new();
    for byte in study.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02x}"));
        }
    }
    if encoded.len() > 100 {
        // FNV-1a, 64 bits
        let hash = study.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        encoded.truncate(80);
        encoded.push_str(&format!("%{hash:016x}"));
    }
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{encoded}.lock"));
    store.with_file_name(name)
}
