//! A disk that fails under SQLite, at an operation that is chosen: no space, an error, half of a write, a process that is
//! killed there, or a power cut that takes with it what was not flushed.
//!
//! SQLite reaches files through a table of functions (<https://sqlite.org/vfs.html>). `layer` puts ours before it, for the
//! files of those who `watch` a folder; all others are left alone. What happens to an operation is decided here.

mod layer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing: operations are only counted.
    None,
    /// From this operation on there is no space: nothing can be written that was not there.
    Full,
    /// This operation fails, and none after it.
    Error,
    /// This operation fails, and all after it.
    Broken,
    /// Half of this write is written, and then there is no space for the rest; nor later.
    ShortWrite,
    /// The process is killed here; of a write, half is written.
    Kill,
    /// The power goes: this operation and all after it fail, and `Disk::lose_what_was_not_flushed` says what is left.
    PowerCut,
    /// Nothing can be written, nor any file be made, from this operation on.
    ReadOnly,
}

impl Mishap {
    /// Every mishap by the name that it has on a command line.
    pub const ALL: [(&'static str, Mishap); 8] = [
        ("none", Mishap::None),
        ("full", Mishap::Full),
        ("error", Mishap::Error),
        ("broken", Mishap::Broken),
        ("short-write", Mishap::ShortWrite),
        ("kill", Mishap::Kill),
        ("power-cut", Mishap::PowerCut),
        ("read-only", Mishap::ReadOnly),
    ];
}

/// What SQLite wants of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// To open it, or make it.
    Open,
    /// To read from it.
    Read,
    /// To write into it.
    Write,
    /// To cut it.
    Truncate,
    /// To flush it to the disk.
    Flush,
    /// To remove it.
    Delete,
    /// To share memory by means of it.
    Share,
}

impl Operation {
    fn needs_space(self) -> bool {
        matches!(self, Operation::Write | Operation::Share | Operation::Open)
    }

    fn changes(self) -> bool {
        !matches!(self, Operation::Read)
    }
}

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Done,
    /// No space.
    Full,
    /// Half of it is done, then there is no space.
    Half,
    /// It fails.
    Error,
    /// It fails because nobody may write.
    ReadOnly,
    /// Half of it is done, and the process ends.
    Kill,
}

/// A folder whose files fail, as long as this is kept.
pub struct Disk(Arc<Shared>);

pub(crate) struct Shared {
    folder: PathBuf,
    mishap: Mishap,
    at: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    count: u64,
    /// The operation of the mishap, once it happened.
    hit: Option<Operation>,
    is_mended: bool,
    /// What a power cut leaves of each file for certain, and what it may leave.
    files: BTreeMap<PathBuf, Flushed>,
}

#[derive(Default)]
struct Flushed {
    bytes: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

static DISKS: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// Counts the operations on the files of a folder from now on, and lets the one of this number go wrong; the first is 0.
    /// Only files that are opened from now on.
    pub fn watch(folder: &Path, mishap: Mishap, at: u64) -> Self {
        layer::install();
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let shared = Arc::new(Shared { folder, mishap, at, state: Mutex::default() });
        lock(&DISKS).push(Arc::clone(&shared));
        Self(shared)
    }

    /// Watches what the variable says, as `FOLDER:MISHAP:NUMBER`, for as long as the process lives.
    pub fn watch_as_said(variable: &str) {
        let Ok(said) = std::env::var(variable) else { return };
        let mut parts = said.rsplitn(3, ':');
        let (number, name, folder) = (parts.next(), parts.next(), parts.next());
        let mishap = Mishap::ALL.iter().find(|(known, _)| Some(*known) == name);
        let (Some(Ok(number)), Some((_, mishap)), Some(folder)) = (number.map(str::parse), mishap, folder)
        else {
            // a test that asks for what is not there is to fail
            eprintln!("error: {variable} = {said:?} is no FOLDER:MISHAP:NUMBER");
            std::process::exit(99);
        };
        std::mem::forget(Self::watch(Path::new(folder), *mishap, number));
    }

    /// How many operations there were.
    pub fn count(&self) -> u64 {
        lock(&self.0.state).count
    }

    /// What the mishap hit, if it has happened.
    pub fn hit(&self) -> Option<Operation> {
        lock(&self.0.state).hit
    }

    /// From now on nothing goes wrong.
    pub fn mend(&self) {
        lock(&self.0.state).is_mended = true;
    }

    /// After a power cut, and after everybody has closed the files: leaves of each what was flushed, and of what came
    /// after that any part, as `chance` has it: a number below the one it is given. Writes may be torn where sectors meet.
    pub fn lose_what_was_not_flushed(&self, mut chance: impl FnMut(usize) -> usize) -> std::io::Result<()> {
        let files = std::mem::take(&mut lock(&self.0.state).files);
        for (path, Flushed { mut bytes, pending }) in files {
            if !path.exists() {
                continue;
            }
            for change in pending {
                if chance(2) == 0 {
                    continue;
                }
                match change {
                    Change::Truncate(size) => bytes.resize(size, 0),
                    Change::Write(start, mut written) => {
                        if chance(4) == 0 {
                            written.truncate(chance(written.len() / SECTOR_BYTES + 1) * SECTOR_BYTES);
                        }
                        put(&mut bytes, start, &written);
                    }
                }
            }
            std::fs::write(&path, bytes)?;
        }
        Ok(())
    }
}

const SECTOR_BYTES: usize = 512;

fn put(bytes: &mut Vec<u8>, start: usize, written: &[u8]) {
    let end = start + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[start..end].copy_from_slice(written);
}

impl Drop for Disk {
    fn drop(&mut self) {
        lock(&DISKS).retain(|shared| !Arc::ptr_eq(shared, &self.0));
    }
}

impl Shared {
    /// Who watches a file.
    pub(crate) fn of(path: &Path) -> Option<Arc<Shared>> {
        lock(&DISKS).iter().find(|shared| path.starts_with(&shared.folder)).cloned()
    }

    /// Counts an operation, and says what becomes of it.
    pub(crate) fn meet(&self, operation: Operation) -> Fate {
        let mut state = lock(&self.state);
        let number = state.count;
        state.count += 1;
        if state.is_mended || number < self.at {
            return Fate::Done;
        }
        let is_first = state.hit.is_none();
        let fate = match self.mishap {
            Mishap::None => Fate::Done,
            Mishap::Full if operation.needs_space() => Fate::Full,
            Mishap::ShortWrite if operation == Operation::Write && is_first => Fate::Half,
            Mishap::ShortWrite if operation.needs_space() && !is_first => Fate::Full,
            Mishap::Full | Mishap::ShortWrite => Fate::Done,
            Mishap::Error if is_first => Fate::Error,
            Mishap::Error => Fate::Done,
            Mishap::Broken | Mishap::PowerCut => Fate::Error,
            Mishap::Kill => Fate::Kill,
            Mishap::ReadOnly if operation.changes() => Fate::ReadOnly,
            Mishap::ReadOnly => Fate::Done,
        };
        if fate != Fate::Done {
            state.hit.get_or_insert(operation);
        }
        fate
    }

    pub(crate) fn keeps_what_is_flushed(&self) -> bool {
        self.mishap == Mishap::PowerCut
    }

    pub(crate) fn begin(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = lock(&self.state);
        state.files.entry(path.to_owned()).or_insert(Flushed { bytes, pending: Vec::new() });
    }

    pub(crate) fn written(&self, path: &Path, start: usize, bytes: &[u8]) {
        let mut state = lock(&self.state);
        let file = state.files.entry(path.to_owned()).or_default();
        file.pending.push(Change::Write(start, bytes.to_owned()));
    }

    pub(crate) fn truncated(&self, path: &Path, size: usize) {
        let mut state = lock(&self.state);
        state.files.entry(path.to_owned()).or_default().pending.push(Change::Truncate(size));
    }

    pub(crate) fn flushed(&self, path: &Path) {
        let mut state = lock(&self.state);
        let file = state.files.entry(path.to_owned()).or_default();
        for change in std::mem::take(&mut file.pending) {
            match change {
                Change::Truncate(size) => file.bytes.resize(size, 0),
                Change::Write(start, bytes) => put(&mut file.bytes, start, &bytes),
            }
        }
    }

    pub(crate) fn deleted(&self, path: &Path) {
        lock(&self.state).files.remove(path);
    }
}

/// Ends this process as `kill -9` does.
pub(crate) fn end_at_once() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // the signal comes before this returns, or never
    std::process::abort()
}
