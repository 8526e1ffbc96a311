//! Ctrl-C and SIGTERM: once lets running trials finish, twice stops them, three times ends at once.
//! The study can be resumed after any of them.

use crate::executor::Waker;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts interrupts.
#[derive(Clone, Default)]
pub struct Interrupt {
    count: Arc<AtomicUsize>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Interrupt {
    /// Listens to the signals of this process. Without that (in a test) only `interrupt` counts.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        let heard = interrupt.clone();
        // fails only if somebody listens already; then the default, ending at once, is safe too
        let _ = ctrlc::set_handler(move || {
            heard.interrupt();
            if heard.count() > 2 {
                std::process::exit(crate::error::Exit::Interrupted as i32);
            }
        });
        interrupt
    }

    /// How many interrupts there were.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Counts one more.
    pub fn interrupt(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake();
        }
    }

    /// Whom to wake.
    pub fn wake_on_signal(&self, waker: Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}
