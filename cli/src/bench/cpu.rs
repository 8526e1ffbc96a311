//! What a call of strategies costs: time on the wall, and processor time of our thread and of the strategies' processes.

use crate::clock::thread_time;
use std::time::{Duration, Instant};

/// Clocks at one moment.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    wall: Instant,
    thread: Option<Duration>,
    /// Number and time of each process of a strategy that has one.
    processes: Vec<(u32, Option<Duration>)>,
}

/// A span of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub wall: Duration,
    /// `None` where this system cannot tell.
    pub cpu: Option<Duration>,
}

impl Moment {
    /// Before a call.
    pub fn before(process_ids: &[u32]) -> Self {
        let processes = process_ids.iter().map(|id| (*id, process_time(*id))).collect();
        Self { wall: Instant::now(), thread: thread_time(), processes }
    }

    /// What the call has cost that began here. A process that was replaced meanwhile counts from its start.
    pub fn until_now(self, process_ids: impl FnOnce() -> Vec<u32>) -> Span {
        let wall = self.wall.elapsed();
        let own = thread_time().zip(self.thread).map(|(now, then)| now.saturating_sub(then));
        let since = |id: u32| match self.processes.iter().find(|(before, _)| *before == id) {
            Some((_, then)) => process_time(id).zip(*then).map(|(now, then)| now.saturating_sub(then)),
            None => process_time(id),
        };
        let theirs: Option<Duration> = process_ids().into_iter().map(since).sum();
        Span { wall, cpu: own.zip(theirs).map(|(own, theirs)| own + theirs) }
    }
}

/// Of the threads that a process has now, to the nanosecond; `None` if it is gone.
#[cfg(target_os = "linux")]
fn process_time(process_id: u32) -> Option<Duration> {
    let threads = std::fs::read_dir(format!("/proc/{process_id}/task")).ok()?;
    let mut nanoseconds = 0;
    for thread in threads {
        // one that ends meanwhile is not counted
        let Ok(text) = std::fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(not(target_os = "linux"))]
fn process_time(_: u32) -> Option<Duration> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_costs_processor_time_and_waiting_does_not() {
        let before = Moment::before(&[]);
        let mut sum = 0_u64;
        while before.wall.elapsed() < Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let work = before.until_now(Vec::new);
        assert!(work.cpu.unwrap() > Duration::from_millis(1), "{work:?}");
        assert!(work.cpu.unwrap() <= work.wall, "{work:?}");
        let own = std::process::id();
        assert!(Moment::before(&[own]).until_now(|| vec![own]).cpu.is_some());
        assert!(Moment::before(&[u32::MAX]).until_now(|| vec![own, u32::MAX]).cpu.is_none());
    }
}
