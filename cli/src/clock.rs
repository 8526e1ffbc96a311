//! The only clock of the host. Studies, strategies and the journal are told the time.

use std::sync::atomic::{AtomicI64, Ordering};
#[cfg(not(target_os = "linux"))]
use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time of day for records, and how long a study has been running for its budget.
///
/// The time of day is read once, when a session begins, and counted on from there: so the records of a session tell how
/// long it ran also if somebody sets the machine's clock meanwhile, and also if the host died without saying so.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    before: Duration,
    /// Seconds since 1970.
    began_at: f64,
    /// The same moment, since the machine was switched on.
    began: Duration,
}

/// By how many seconds the machine's clock is taken to be set.
static SET_BY_SECONDS: AtomicI64 = AtomicI64::new(0);

impl Clock {
    /// A clock for a session of a study that ran for `before` in earlier sessions.
    pub fn start(before: Duration) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began_at = since_1970.as_secs_f64() + SET_BY_SECONDS.load(Ordering::Relaxed) as f64;
        Self { before, began_at, began: since_power_on() }
    }

    /// How long the study has been running, over all sessions; also while the machine slept, as the records have it.
    pub fn elapsed(&self) -> Duration {
        self.before + since_power_on().saturating_sub(self.began)
    }

    /// Seconds since 1970, as they are if nobody sets the clock after it was started. They go on while the machine sleeps.
    pub fn unix_seconds(&self) -> f64 {
        self.began_at + since_power_on().saturating_sub(self.began).as_secs_f64()
    }

    /// As if somebody had set the clock of this machine by so many seconds. For tests of what happens then.
    pub fn set_time_of_day_by(seconds: i64) {
        SET_BY_SECONDS.store(seconds, Ordering::Relaxed);
    }
}

/// With the time that the machine slept, which `Instant` leaves out.
#[cfg(target_os = "linux")]
fn since_power_on() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn since_power_on() -> Duration {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// The processor time of this thread so far; `None` where this system cannot tell.
#[cfg(target_os = "linux")]
pub(crate) fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn thread_time() -> Option<Duration> {
    None
}
