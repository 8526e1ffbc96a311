//! The layer before SQLite's own way to files. Every file that SQLite opens keeps its own table of functions; for a file
//! that is watched, ours takes its place, and calls the other where the operation is to happen.

#![expect(unsafe_code, reason = "SQLite's interface is one of C")]

use crate::{Fate, Operation, Shared, end_at_once, lock};
use rusqlite::ffi;
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, OnceLock};

type File = ffi::sqlite3_file;
type Vfs = ffi::sqlite3_vfs;
type Methods = ffi::sqlite3_io_methods;

/// An open file that is watched.
#[derive(Clone)]
struct Watched {
    methods: &'static Methods,
    disk: Arc<Shared>,
    path: Arc<PathBuf>,
}

/// By the address of SQLite's structure, which stays where it is as long as the file is open.
static FILES: Mutex<BTreeMap<usize, Watched>> = Mutex::new(BTreeMap::new());

/// SQLite's own functions.
static REAL: OnceLock<Real> = OnceLock::new();

struct Real {
    open: OpenFunction,
    delete: DeleteFunction,
}

type OpenFunction =
    unsafe extern "C" fn(*mut Vfs, ffi::sqlite3_filename, *mut File, c_int, *mut c_int) -> c_int;
type DeleteFunction = unsafe extern "C" fn(*mut Vfs, *const c_char, c_int) -> c_int;

/// Puts the layer in place, once.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: the default VFS lives as long as the process; SQLite initialises itself for it.
        let real = unsafe {
            ffi::sqlite3_initialize();
            ffi::sqlite3_vfs_find(std::ptr::null()).as_ref()
        };
        let Some(real) = real else { return };
        let (Some(open), Some(delete)) = (real.xOpen, real.xDelete) else { return };
        let _ = REAL.set(Real { open, delete });
        // The same in all else, its private data too: whatever SQLite's functions find in the table that they are given,
        // they find in ours.
        let ours = Vfs {
            pNext: std::ptr::null_mut(),
            zName: c"failing-disk".as_ptr(),
            xOpen: Some(open_file),
            xDelete: Some(delete_file),
            ..*real
        };
        // SAFETY: what is registered lives as long as the process.
        unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
    });
}

/// Ours; of version 2, so that SQLite maps no file into memory and each access comes by here.
static METHODS: Methods = Methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock_file),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(share),
    xShmLock: Some(share_lock),
    xShmBarrier: Some(share_barrier),
    xShmUnmap: Some(unshare),
    xFetch: None,
    xUnfetch: None,
};

/// # Safety
/// `name` is a C string or null, as SQLite gives it.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: as promised.
    (!name.is_null()).then(|| PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes())))
}

fn watched(file: *mut File) -> Option<Watched> {
    lock(&FILES).get(&file.addr()).cloned()
}

/// Calls SQLite's own function for a file.
macro_rules! real {
    ($file:expr, $method:ident $(, $argument:expr)*) => {
        match watched($file).and_then(|watched| watched.methods.$method) {
            // SAFETY: the function is of the table that SQLite gave this very file, and is called with what SQLite gave.
            Some(method) => unsafe { method($file $(, $argument)*) },
            None => ffi::SQLITE_IOERR,
        }
    };
}

unsafe extern "C" fn open_file(
    vfs: *mut Vfs,
    name: ffi::sqlite3_filename,
    file: *mut File,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let Some(real) = REAL.get() else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: SQLite gives a name or null.
    let path = unsafe { path_of(name) };
    let disk = path.as_deref().and_then(Shared::of);
    if let (Some(disk), Some(path)) = (&disk, &path) {
        let is_made = flags & ffi::SQLITE_OPEN_CREATE != 0 && !path.exists();
        match disk.meet(if is_made { Operation::Open } else { Operation::Read }) {
            Fate::Done => {}
            Fate::Kill => end_at_once(),
            // why a file cannot be opened, SQLite does not say
            Fate::Full | Fate::Half | Fate::Error | Fate::ReadOnly => {
                clear(file);
                return ffi::SQLITE_CANTOPEN;
            }
        }
    }
    // SAFETY: called as SQLite called us.
    let code = unsafe { (real.open)(vfs, name, file, flags, out_flags) };
    let (Some(disk), Some(path)) = (disk, path) else { return code };
    // SAFETY: after a success SQLite's function has filled the structure in.
    let methods = unsafe { file.as_ref().and_then(|file| file.pMethods.as_ref()) };
    let (ffi::SQLITE_OK, Some(methods)) = (code, methods) else { return code };
    let entry = Watched { methods, disk: Arc::clone(&disk), path: Arc::new(path.clone()) };
    lock(&FILES).insert(file.addr(), entry);
    // SAFETY: the structure is SQLite's, and nobody uses it before this returns.
    unsafe { (*file).pMethods = &raw const METHODS };
    if disk.keeps_what_is_flushed() {
        disk.begin(&path, whole(file));
    }
    code
}

/// Tells SQLite that there is no file to close.
fn clear(file: *mut File) {
    // SAFETY: SQLite gives room for the structure.
    unsafe { (*file).pMethods = std::ptr::null() };
}

/// All bytes of a file, read as SQLite reads: another handle would drop SQLite's locks when it is closed.
fn whole(file: *mut File) -> Vec<u8> {
    let mut size = 0;
    if real!(file, xFileSize, &raw mut size) != ffi::SQLITE_OK {
        return Vec::new();
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    let _ = real!(file, xRead, bytes.as_mut_ptr().cast(), bytes.len() as c_int, 0);
    bytes
}

unsafe extern "C" fn delete_file(vfs: *mut Vfs, name: *const c_char, flush: c_int) -> c_int {
    let Some(real) = REAL.get() else { return ffi::SQLITE_IOERR_DELETE };
    // SAFETY: SQLite gives a name.
    let path = unsafe { path_of(name) };
    if let Some(path) = &path
        && let Some(disk) = Shared::of(path)
    {
        match disk.meet(Operation::Delete) {
            Fate::Done => disk.deleted(path),
            Fate::Kill => end_at_once(),
            _ => return ffi::SQLITE_IOERR_DELETE,
        }
    }
    // SAFETY: called as SQLite called us.
    unsafe { (real.delete)(vfs, name, flush) }
}

unsafe extern "C" fn close(file: *mut File) -> c_int {
    let Some(watched) = lock(&FILES).remove(&file.addr()) else { return ffi::SQLITE_IOERR };
    // SAFETY: the table is the one that the file came with, as SQLite's own function expects it.
    unsafe { (*file).pMethods = watched.methods };
    match watched.methods.xClose {
        // SAFETY: called as SQLite called us.
        Some(close) => unsafe { close(file) },
        None => ffi::SQLITE_OK,
    }
}

/// What becomes of an operation on an open file.
fn meet(file: *mut File, operation: Operation) -> Fate {
    watched(file).map_or(Fate::Done, |watched| watched.disk.meet(operation))
}

/// Tells of a change, where what was flushed is kept.
fn tell(file: *mut File, change: impl FnOnce(&Shared, &Path)) {
    if let Some(watched) = watched(file).filter(|watched| watched.disk.keeps_what_is_flushed()) {
        change(&watched.disk, &watched.path);
    }
}

unsafe extern "C" fn read(file: *mut File, to: *mut c_void, amount: c_int, from: i64) -> c_int {
    match meet(file, Operation::Read) {
        Fate::Kill => end_at_once(),
        Fate::Error => ffi::SQLITE_IOERR_READ,
        _ => real!(file, xRead, to, amount, from),
    }
}

unsafe extern "C" fn write(file: *mut File, from: *const c_void, amount: c_int, start: i64) -> c_int {
    let fate = meet(file, Operation::Write);
    let written = match fate {
        Fate::Half | Fate::Kill => amount / 2,
        Fate::Done => amount,
        Fate::Full => return ffi::SQLITE_FULL,
        Fate::Error => return ffi::SQLITE_IOERR_WRITE,
        Fate::ReadOnly => return ffi::SQLITE_READONLY,
    };
    let code = real!(file, xWrite, from, written, start);
    tell(file, |disk, path| {
        // SAFETY: SQLite gives so many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), written as usize) };
        disk.written(path, start as usize, bytes);
    });
    match fate {
        Fate::Kill => end_at_once(),
        Fate::Half => ffi::SQLITE_FULL,
        _ => code,
    }
}

unsafe extern "C" fn truncate(file: *mut File, size: i64) -> c_int {
    match meet(file, Operation::Truncate) {
        Fate::Done => {}
        Fate::Kill => end_at_once(),
        Fate::ReadOnly => return ffi::SQLITE_READONLY,
        _ => return ffi::SQLITE_IOERR_TRUNCATE,
    }
    tell(file, |disk, path| disk.truncated(path, size as usize));
    real!(file, xTruncate, size)
}

unsafe extern "C" fn sync(file: *mut File, _: c_int) -> c_int {
    match meet(file, Operation::Flush) {
        Fate::Done => {}
        Fate::Kill => end_at_once(),
        _ => return ffi::SQLITE_IOERR_FSYNC,
    }
    // nobody cuts the power of the machine that runs the tests: what was flushed is kept here, and takes no time
    tell(file, |disk, path| disk.flushed(path));
    ffi::SQLITE_OK
}

unsafe extern "C" fn share(
    file: *mut File,
    page: c_int,
    size: c_int,
    extend: c_int,
    to: *mut *mut c_void,
) -> c_int {
    match meet(file, Operation::Share) {
        Fate::Done => real!(file, xShmMap, page, size, extend, to),
        Fate::Kill => end_at_once(),
        Fate::Full | Fate::Half => ffi::SQLITE_IOERR_SHMSIZE,
        Fate::Error => ffi::SQLITE_IOERR_SHMMAP,
        Fate::ReadOnly => ffi::SQLITE_READONLY_CANTINIT,
    }
}

unsafe extern "C" fn file_size(file: *mut File, to: *mut i64) -> c_int {
    real!(file, xFileSize, to)
}

unsafe extern "C" fn lock_file(file: *mut File, level: c_int) -> c_int {
    real!(file, xLock, level)
}

unsafe extern "C" fn unlock_file(file: *mut File, level: c_int) -> c_int {
    real!(file, xUnlock, level)
}

unsafe extern "C" fn check_reserved_lock(file: *mut File, to: *mut c_int) -> c_int {
    real!(file, xCheckReservedLock, to)
}

unsafe extern "C" fn file_control(file: *mut File, what: c_int, with: *mut c_void) -> c_int {
    real!(file, xFileControl, what, with)
}

unsafe extern "C" fn sector_size(file: *mut File) -> c_int {
    real!(file, xSectorSize)
}

unsafe extern "C" fn device_characteristics(file: *mut File) -> c_int {
    real!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn share_lock(file: *mut File, from: c_int, count: c_int, flags: c_int) -> c_int {
    real!(file, xShmLock, from, count, flags)
}

unsafe extern "C" fn share_barrier(file: *mut File) {
    if let Some(method) = watched(file).and_then(|watched| watched.methods.xShmBarrier) {
        // SAFETY: as in `real!`.
        unsafe { method(file) }
    }
}

unsafe extern "C" fn unshare(file: *mut File, delete: c_int) -> c_int {
    real!(file, xShmUnmap, delete)
}
