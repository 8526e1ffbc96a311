//! What the loop and the threads of its slots hand each other: attempts one way, messages the other.
//!
//! Waking a thread costs more than a small trial does. So what is handed over wakes one thread, which wakes the next if
//! there is more; and the loop is woken by the first message, and then only when nothing runs any more or its time is over.

use super::{Job, Message};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Shared by the loop and its threads.
#[derive(Default)]
pub(super) struct Exchange {
    state: Mutex<State>,
    /// For threads: there are jobs, or there will be none any more.
    work: Condvar,
    /// For the loop: what it expects is there.
    news: Condvar,
    /// For the loop, at its end: a thread has ended.
    ends: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    messages: Vec<Message>,
    /// Jobs whose end is not among the messages yet, and that were not given up.
    unfinished_count: usize,
    /// Jobs whose thread is not to take another one.
    given_up: Vec<u64>,
    /// Threads that wait for jobs.
    idle_count: usize,
    /// Threads that are at a job.
    busy_count: usize,
    /// Threads that have not ended.
    thread_count: usize,
    /// A thread was woken and is not there yet.
    is_waking: bool,
    /// Somebody wants the loop to look around.
    is_called: bool,
    /// No more jobs come, and nobody reads messages.
    is_over: bool,
    expected: Expected,
}

/// What the loop waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    /// It does not wait.
    #[default]
    Nothing,
    /// Any message.
    Message,
    /// The last end.
    LastEnd,
}

/// What a job was that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// It goes on, and its thread is lost.
    Runs,
    /// No thread had taken it.
    HadNotBegun,
    /// It ended just before: its message is there, and nothing was changed.
    HadEnded,
}

impl Exchange {
    fn lock(&self) -> MutexGuard<'_, State> {
        // nothing that panics is done under this lock
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands jobs to whichever threads are free.
    pub fn put(&self, jobs: impl ExactSizeIterator<Item = Job>) {
        if jobs.len() == 0 {
            return;
        }
        let mut state = self.lock();
        state.unfinished_count += jobs.len();
        state.jobs.extend(jobs);
        self.wake_one(&mut state);
    }

    /// Wakes a thread for the next job, unless one is on its way: it will wake another if it has to.
    fn wake_one(&self, state: &mut State) {
        if !state.jobs.is_empty() && state.idle_count > 0 && !state.is_waking {
            state.is_waking = true;
            self.work.notify_one();
        }
    }

    /// A thread begins.
    pub fn enter(&self) {
        self.lock().thread_count += 1;
    }

    /// A thread has let go of everything, and ends.
    pub fn leave(&self) {
        self.lock().thread_count -= 1;
        self.ends.notify_all();
    }

    /// What a thread is to do next, after `done` and what came of it; `None`: it is to end.
    pub fn next(&self, done: Option<(u64, Message)>) -> Option<Job> {
        let mut state = self.lock();
        if let Some((ticket, message)) = done {
            state.busy_count -= 1;
            if let Some(index) = state.given_up.iter().position(|given_up| *given_up == ticket) {
                state.given_up.swap_remove(index);
                return None;
            }
            state.unfinished_count -= 1;
            self.add(&mut state, message);
        }
        loop {
            if state.is_over {
                return None;
            }
            if let Some(job) = state.jobs.pop_front() {
                state.busy_count += 1;
                self.wake_one(&mut state);
                return Some(job);
            }
            state.idle_count += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle_count -= 1;
            // whoever woke for no reason at most wakes one more than is needed
            state.is_waking = false;
        }
    }

    fn add(&self, state: &mut State, message: Message) {
        state.messages.push(message);
        let is_expected = match state.expected {
            Expected::Nothing => false,
            Expected::Message => true,
            Expected::LastEnd => state.unfinished_count == 0,
        };
        if is_expected {
            state.expected = Expected::Nothing;
            self.news.notify_one();
        }
    }

    /// Tells the loop something while a job runs. False: nobody listens any more.
    pub fn send(&self, message: Message) -> bool {
        let mut state = self.lock();
        if !state.is_over {
            self.add(&mut state, message);
        }
        !state.is_over
    }

    /// Makes the loop look around.
    pub fn call(&self) {
        self.lock().is_called = true;
        self.news.notify_one();
    }

    /// Waits until there is a message, and after it until `linger_until` says for more, or until nothing runs any more;
    /// not beyond `until`. All messages are taken into `messages`, which has to be empty. Whether it was called.
    pub fn take(
        &self,
        until: Instant,
        linger_until: impl FnOnce() -> Instant,
        messages: &mut Vec<Message>,
    ) -> bool {
        let mut state = self.lock();
        state = self.wait(state, Expected::Message, until, |state| !state.messages.is_empty());
        if !state.messages.is_empty() {
            state = self.wait(state, Expected::LastEnd, linger_until(), |state| state.unfinished_count == 0);
        }
        std::mem::swap(&mut state.messages, messages);
        std::mem::take(&mut state.is_called)
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        expected: Expected,
        until: Instant,
        is_there: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        while !state.is_called && !is_there(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.expected = expected;
            state = self.news.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.expected = Expected::Nothing;
        state
    }

    /// Gives a job up: what comes of it is dropped, unless it has come already.
    pub fn give_up(&self, ticket: u64) -> GivenUp {
        let mut state = self.lock();
        let is_end =
            |message: &Message| matches!(message, Message::Ended { ticket: ended, .. } if *ended == ticket);
        if state.messages.iter().any(is_end) {
            return GivenUp::HadEnded;
        }
        state.unfinished_count -= 1;
        if let Some(index) = state.jobs.iter().position(|job| job.ticket == ticket) {
            state.jobs.remove(index);
            return GivenUp::HadNotBegun;
        }
        state.given_up.push(ticket);
        GivenUp::Runs
    }

    /// There are no more jobs. Waits for all threads to end but those that are at one; whether there is none.
    pub fn end(&self) -> bool {
        let mut state = self.lock();
        state.is_over = true;
        state.jobs.clear();
        self.work.notify_all();
        while state.thread_count > state.busy_count {
            state = self.ends.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.thread_count == 0
    }

    /// Whether something waits for the loop.
    #[cfg(test)]
    pub fn has_messages(&self) -> bool {
        !self.lock().messages.is_empty()
    }
}
