//! The only clock of the host. Studies, strategies and the journal are told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time of day for records, and how long a study has been running for its budget.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    before: Duration,
}

impl Clock {
    /// A clock for a session of a study that ran for `before` in earlier sessions.
    pub fn start(before: Duration) -> Self {
        Self { started: Instant::now(), before }
    }

    /// How long the study has been running, over all sessions.
    pub fn elapsed(&self) -> Duration {
        self.before + self.started.elapsed()
    }

    /// Seconds since 1970. The time of day may jump: it is for people, and only tells how long a session ran that
    /// died without saying so.
    pub fn unix_seconds(&self) -> f64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}
