//! Workers that take no time: an event queue in virtual seconds, in the place of slots.
//!
//! The loop and all it drives are the real ones. Only here does time pass: with each `wait` the asker has been busy for what
//! the asks and tells since the last one cost, then trials begin, then whatever comes next happens. How long an attempt
//! takes and whether its worker dies in it follow from the seed of the trial and the number of the attempt alone, so that they
//! are the same whoever runs it, and when.

use super::{AskTime, Conditions};
use crate::board::SLOTS_PER_TRIAL_AHEAD;
use crate::clock::thread_time;
use crate::error::Error;
use crate::executor::{Evaluate, Event, Waker, outcome_of};
use crate::run::Slots;
use ansatz_core::rng::Rng;
use ansatz_core::{Assignment, Failure, Measurement, Outcome, Point, Reporter, TrialId, Verdict};
use rand::RngExt;
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Workers of one slot each.
pub(super) struct VirtualSlots {
    objective: Arc<dyn Evaluate>,
    conditions: Conditions,
    /// Virtual seconds since the begin.
    now: f64,
    /// What happens when, the earliest first.
    agenda: BinaryHeap<Reverse<Appointment>>,
    /// For appointments at the same moment: in the order in which they were made.
    appointment_count: u64,
    /// Trials that no worker has begun.
    waiting: VecDeque<(Point, Assignment)>,
    /// Those that the asker is about to put up.
    posting: VecDeque<(Point, Assignment)>,
    /// What has happened, and the asker has not heard of; with when.
    inbox: Vec<(f64, Event)>,
    idle_count: usize,
    /// Workers whose lease runs, dead or alive.
    present_count: usize,
    /// Trials that were started and have not ended.
    posted_count: usize,
    /// Asks since the last wait, and tells that it gave.
    asked_count: usize,
    told_count: usize,
    busy_since: Option<Duration>,
    pub(super) tally: Tally,
}

/// What was seen, in virtual seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Of all workers together, in attempts that ended well and in those that were lost.
    pub busy: f64,
    /// Of the asker.
    pub asking: f64,
    /// Attempts that were lost.
    pub lost_count: u64,
    /// Turns of the asker in which outcomes waited.
    pub turn_count: u64,
    /// Outcomes that the asker found in such a turn, in all and at most.
    pub found_count: u64,
    pub found_max: u64,
    /// How long outcomes waited for the asker, in all.
    pub waited: f64,
    /// When each trial ended, in the order in which they ended.
    pub ends: Vec<(f64, TrialId)>,
}

struct Appointment {
    at: f64,
    number: u64,
    what: What,
}

enum What {
    /// An attempt ends, and its worker is free.
    Ends { trial: TrialId, outcome: Outcome, duration: f64 },
    /// The lease of a worker runs out that died in an attempt.
    Expires { trial: TrialId, duration: f64 },
    /// Another worker takes the place of one that died.
    Returns,
}

impl PartialEq for Appointment {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Appointment {}
impl PartialOrd for Appointment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Appointment {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.number.cmp(&other.number))
    }
}

/// What fate has for an attempt.
struct Fate {
    /// Seconds from its begin to its end, or to the death of its worker.
    duration: f64,
    is_fatal: bool,
}

impl VirtualSlots {
    pub fn new(objective: Arc<dyn Evaluate>, conditions: Conditions, workers: usize) -> Self {
        Self {
            objective,
            conditions,
            now: 0.0,
            agenda: BinaryHeap::new(),
            appointment_count: 0,
            waiting: VecDeque::new(),
            posting: VecDeque::new(),
            inbox: Vec::new(),
            idle_count: workers,
            present_count: workers,
            posted_count: 0,
            asked_count: 0,
            told_count: 0,
            busy_since: thread_time(),
            tally: Tally::default(),
        }
    }

    fn appoint(&mut self, at: f64, what: What) {
        self.appointment_count += 1;
        self.agenda.push(Reverse(Appointment { at, number: self.appointment_count, what }));
    }

    /// Log-normal around the median; a straggler takes so many times as long. Deaths come at any moment alike: a share of all
    /// attempts of median length ends with one.
    fn fate(&self, seed: u64, attempt: u32) -> Fate {
        let Conditions { median, spread, straggler_share, straggler_factor, crash_share, .. } =
            self.conditions;
        let mut rng = Rng::new(seed ^ u64::from_be_bytes(*b"simulate") ^ (u64::from(attempt) << 32));
        let (uniform, angle) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
        let normal = libm::sqrt(-2.0 * libm::log(uniform)) * libm::cos(std::f64::consts::TAU * angle);
        let factor = if rng.random::<f64>() < straggler_share { straggler_factor } else { 1.0 };
        let duration = median * libm::exp(spread * normal) * factor;
        let until_death = match crash_share > 0.0 {
            true => median * libm::log(1.0 - rng.random::<f64>()) / libm::log(1.0 - crash_share),
            false => f64::INFINITY,
        };
        Fate { duration: duration.min(until_death), is_fatal: until_death < duration }
    }

    /// Whoever is idle begins what waits.
    fn begin(&mut self) {
        while self.idle_count > 0
            && let Some((point, assignment)) = self.waiting.pop_front()
        {
            self.idle_count -= 1;
            let fate = self.fate(assignment.seed, assignment.attempt);
            let (trial, end) = (assignment.trial, self.now + fate.duration);
            self.tally.busy += fate.duration;
            if fate.is_fatal {
                let lease = self.conditions.lease;
                self.appoint(end + lease, What::Expires { trial, duration: fate.duration });
                self.appoint(end + lease.max(self.conditions.recovery), What::Returns);
            } else {
                let outcome = outcome_of(self.objective.evaluate(&point, &assignment, &mut Deaf));
                self.appoint(end, What::Ends { trial, outcome, duration: fate.duration });
            }
        }
    }

    /// Time passes; what happens on the way waits for the asker.
    fn pass(&mut self, until: f64) {
        while self.agenda.peek().is_some_and(|Reverse(next)| next.at <= until) {
            let Some(Reverse(Appointment { at, what, .. })) = self.agenda.pop() else { break };
            self.now = at;
            let (trial, outcome, duration) = match what {
                What::Ends { trial, outcome, duration } => {
                    self.idle_count += 1;
                    self.tally.ends.push((at, trial));
                    (trial, outcome, duration)
                }
                What::Expires { trial, duration } => {
                    self.present_count -= 1;
                    self.tally.lost_count += 1;
                    let reason = "its worker died".to_owned();
                    (trial, Outcome::Failed { failure: Failure::Lost, reason }, duration)
                }
                What::Returns => {
                    self.present_count += 1;
                    self.idle_count += 1;
                    self.begin();
                    continue;
                }
            };
            let duration = Duration::try_from_secs_f64(duration).unwrap_or(Duration::MAX);
            self.inbox.push((at, Event::Ended { trial, outcome, duration }));
            self.begin();
        }
        self.now = until;
    }

    /// The asker takes what waits for it.
    fn take(&mut self) -> Vec<Event> {
        let found = self.inbox.len() as u64;
        if found > 0 {
            self.posted_count -= self.inbox.len();
            self.tally.turn_count += 1;
            self.tally.found_count += found;
            self.tally.found_max = self.tally.found_max.max(found);
            self.tally.waited += self.inbox.iter().map(|(at, _)| self.now - at).sum::<f64>();
        }
        self.inbox.drain(..).map(|(_, event)| event).collect()
    }

    /// What the asker did since the last wait has taken this long.
    fn cost(&self) -> f64 {
        let Conditions { ask_time, turn_time, .. } = self.conditions;
        if self.asked_count + self.told_count == 0 {
            return 0.0;
        }
        turn_time
            + match ask_time {
                AskTime::Each(seconds) => seconds * self.asked_count as f64,
                AskTime::Measured => {
                    let measured =
                        thread_time().zip(self.busy_since).map(|(now, then)| now.saturating_sub(then));
                    measured.unwrap_or_default().as_secs_f64()
                }
            }
    }
}

impl Slots for VirtualSlots {
    fn free_slot_count(&self) -> usize {
        let ahead = self.present_count / SLOTS_PER_TRIAL_AHEAD;
        (self.present_count + ahead).saturating_sub(self.posted_count)
    }

    fn running_count(&self) -> usize {
        self.posted_count
    }

    fn start(&mut self, point: Point, assignment: Assignment) -> Result<(), Error> {
        self.posted_count += 1;
        self.asked_count += 1;
        // the folder may be that of a trial that was run
        self.posting.push_back((point, Assignment { output_folder: None, ..assignment }));
        Ok(())
    }

    fn answer(&mut self, _: TrialId, _: Verdict) -> Result<(), Error> {
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn stop_all(&mut self) -> Result<(), Error> {
        self.posted_count -= self.waiting.len() + self.posting.len();
        self.waiting.clear();
        self.posting.clear();
        Ok(())
    }

    fn wait(&mut self, _: Duration, _: Duration) -> Result<Vec<Event>, Error> {
        let cost = self.cost();
        self.tally.asking += cost;
        // workers go on while the asker thinks: who becomes free meanwhile finds what was put up before
        self.pass(self.now + cost);
        self.waiting.append(&mut self.posting);
        self.begin();
        let present = self.present_count;
        // also somebody who has come, or gone, is a reason to look
        while self.inbox.is_empty()
            && self.present_count == present
            && let Some(Reverse(next)) = self.agenda.peek()
        {
            self.pass(next.at);
        }
        let events = self.take();
        self.asked_count = 0;
        self.told_count = events.len();
        self.busy_since = thread_time();
        Ok(events)
    }

    fn waker(&self) -> Option<Waker> {
        None
    }

    fn abandon(&mut self) {}

    fn notices(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Nobody hears reports.
struct Deaf;

impl Reporter for Deaf {
    fn report(&mut self, _: u64, _: &Measurement) -> Verdict {
        Verdict::Continue
    }

    fn is_stopped(&self) -> bool {
        false
    }
}
