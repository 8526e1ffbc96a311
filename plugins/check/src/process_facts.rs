//! What the operating system says about this process: memory and threads. `None` where it has no /proc.

use std::fs;

/// Resident memory of this process in bytes.
#[cfg(unix)]
pub fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(not(unix))]
pub fn resident_bytes() -> Option<u64> {
    None
}

/// How many threads this process has.
pub fn thread_count() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// A size as people read it.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
