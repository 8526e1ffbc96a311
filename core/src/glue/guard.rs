//! Panics become faults. abi_stable's own shims would abort the process on an unwind.

use ansatz_abi::abi_stable::std_types::{RResult, RStr, RString};
use ansatz_abi::{Fault, FaultKind, HostRef};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

thread_local! {
    /// Message and place of this thread's last panic.
    static LAST_PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
    /// How many guarded calls this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}
static HOST: OnceLock<HostRef> = OnceLock::new();

/// Keeps the host's services, once.
pub fn init(host: HostRef) {
    let _ = guard(|| {
        let _ = HOST.set(host);
        Ok(())
    });
}

/// A line for the host's log; lost if the host never introduced itself.
fn log_error(target: &str, message: &str) {
    if let Some(host) = HOST.get().filter(|host| host.log_level_max() >= 1) {
        (host.log())(1, RStr::from(target), RStr::from(message));
    }
}

/// Every cdylib has its own standard library, so this hook is the plugin's alone. Where the plugin is
/// linked into a test instead, the earlier hook still speaks for panics outside of guarded calls.
fn install_hook() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let earlier = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let message = info.payload_as_str().unwrap_or("a panic without a text").to_owned();
            let location = info.location().map(ToString::to_string).unwrap_or_default();
            // a panic in a guarded call is reported as a fault; one in a thread of the plugin's own only here
            match DEPTH.try_with(Cell::get) {
                Ok(depth) if depth > 0 => {}
                _ if HOST.get().is_some() => {
                    let thread = std::thread::current();
                    let name = thread.name().unwrap_or("without a name");
                    log_error("panic", &format!("thread {name} panicked at {location}: {message}"));
                }
                _ => earlier(info),
            }
            let _ = LAST_PANIC.try_with(|last| *last.borrow_mut() = Some((message, location)));
        }));
    });
}

/// A fault without a place.
pub fn fault(kind: FaultKind, message: impl Into<String>) -> Fault {
    Fault { kind, message: RString::from(message.into()), location: RString::new(), detail: RString::new() }
}

/// Runs `call`; a panic becomes a fault with message and place.
pub fn guard<T>(call: impl FnOnce() -> Result<T, Fault>) -> RResult<T, Fault> {
    install_hook();
    let _ = LAST_PANIC.try_with(|last| last.borrow_mut().take());
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(call));
    DEPTH.with(|depth| depth.set(depth.get() - 1));
    match result {
        Ok(result) => result.into(),
        Err(payload) => {
            let last = LAST_PANIC.try_with(|last| last.borrow_mut().take()).ok().flatten();
            // a panic that was carried over from another thread ran no hook here
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let (message, location) = last.unwrap_or_else(|| (text.unwrap_or_default(), String::new()));
            // its Drop could panic in turn
            std::mem::forget(payload);
            let mut fault = fault(FaultKind::PANIC, format!("panicked: {message}"));
            fault.location = location.into();
            RResult::RErr(fault)
        }
    }
}

/// An author's object: guarded calls, refused after a panic, and a guarded drop.
pub struct Guarded<T> {
    /// Taken by `drop` alone.
    inner: Option<T>,
    is_poisoned: bool,
}

impl<T> Guarded<T> {
    pub fn new(inner: T) -> Self {
        Self { inner: Some(inner), is_poisoned: false }
    }

    /// A call that may change the object: after a panic in it every later one is refused.
    pub fn call<R>(&mut self, call: impl FnOnce(&mut T) -> Result<R, Fault>) -> RResult<R, Fault> {
        let (Some(inner), false) = (&mut self.inner, self.is_poisoned) else {
            return RResult::RErr(poisoned());
        };
        let result = guard(|| call(inner));
        if let RResult::RErr(error) = &result {
            self.is_poisoned = error.kind == FaultKind::PANIC;
        }
        result
    }

    /// A call on shared state, from any thread; a panic says nothing about the other calls.
    pub fn call_shared<R>(&self, call: impl FnOnce(&T) -> Result<R, Fault>) -> RResult<R, Fault> {
        match &self.inner {
            Some(inner) => guard(|| call(inner)),
            None => RResult::RErr(poisoned()),
        }
    }
}

fn poisoned() -> Fault {
    fault(
        FaultKind::POISONED,
        "an earlier call panicked; make a new one and replay the history or restore a snapshot",
    )
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let inner = self.inner.take();
        let result = guard(|| {
            drop(inner);
            Ok(())
        });
        if let RResult::RErr(error) = result {
            log_error("drop", &format!("panic while dropping; its memory is leaked: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }

    #[test]
    fn a_panic_is_a_fault_with_its_place_and_poisons() {
        let mut guarded = Guarded::new(1);
        let RResult::RErr(error) = guarded.call::<()>(|_| panic!("number {}", 7)) else { panic!("no fault") };
        assert_eq!(error.kind, FaultKind::PANIC);
        assert_eq!(error.message.as_str(), "panicked: number 7");
        assert!(error.location.starts_with("core/src/glue/guard.rs:"), "{}", error.location);
        let RResult::RErr(error) = guarded.call(|_| Ok(())) else { panic!("not poisoned") };
        assert_eq!(error.kind, FaultKind::POISONED);
    }

    #[test]
    fn a_panic_in_drop_stays_inside() {
        drop(Guarded::new(Bomb));
    }
}
