//! The board itself, on both kinds of stores: who holds what, and what becomes of it when somebody is gone. Whole studies
//! are in tests/it/board.rs.

use super::*;
use crate::executor::Event;
use crate::journal::ServerUrl;
use crate::journal::tests::{header, server};
use crate::run::Slots;
use ansatz_core::rng::Rng;
use ansatz_core::study::{Record, Study};
use ansatz_core::{Assignment, Failure, Measurement, Outcome, Space, Suggestion, TrialId, Verdict};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

const NAME: &str = "kept";

/// A board that nobody has used, and a study with pending trials.
struct Setting {
    location: Location,
    study: Study,
    _folder: Option<TempDir>,
}

impl Setting {
    fn space(&self) -> &Space {
        &self.study.rules().problem.space
    }

    /// The one who asks; and what it has to start.
    fn asker(&self, lease: Duration, is_judging: bool) -> (BoardSlots, Vec<TrialId>) {
        let running: Vec<TrialId> = self.study.pending().iter().map(|(trial, _)| trial).collect();
        let terms = Terms { lease, is_judging, starter: Starter::Hand };
        let control = Control::new(&Default::default());
        BoardSlots::take(&self.location, NAME, &self.study, &running, terms, control).unwrap()
    }

    /// The same, with everything put up.
    fn asking(&self, lease: Duration, is_judging: bool) -> BoardSlots {
        let (mut slots, again) = self.asker(lease, is_judging);
        for trial in again {
            self.post(&mut slots, trial);
        }
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        slots
    }

    fn post(&self, slots: &mut BoardSlots, trial: TrialId) {
        let entry = self.study.trial(trial).unwrap();
        let assignment = Assignment {
            trial,
            attempt: entry.attempt,
            seed: 0,
            fidelity: entry.fidelity,
            time_limit: None,
            output_folder: None,
            continued: None,
        };
        slots.start(entry.point.clone(), assignment).unwrap();
    }

    fn worker(&self) -> Membership {
        match Membership::join(&self.location, NAME, self.space(), 4, "here").unwrap() {
            Offer::Place(membership) => *membership,
            Offer::NotYet => panic!("nobody asks"),
            Offer::Closed(reason) => panic!("closed: {reason}"),
        }
    }

    /// What workers said, within a while.
    fn events(&self, slots: &mut BoardSlots, count: usize) -> Vec<Event> {
        let (mut events, started) = (Vec::new(), Instant::now());
        while events.len() < count {
            assert!(started.elapsed() < Duration::from_secs(30), "{events:?}");
            events.extend(slots.wait(Duration::from_millis(20), Duration::ZERO).unwrap());
        }
        events
    }

    /// What happened behind everybody's back; how many rows it changed.
    fn sql(&self, sql: &str, parameters: &[driver::Cell]) -> u64 {
        let (mut driver, mut count) = (connect(&self.location).unwrap(), 0);
        let work = &mut |board: &mut dyn driver::Statements| {
            count = board.change(sql, parameters)?;
            Ok(())
        };
        driver.transact(driver::Durability::Light, work).unwrap();
        count
    }

    fn apply(&mut self, record: Record) {
        self.study.apply(&record).unwrap();
    }
}

/// Runs a test on each kind of store, with so many trials pending.
fn on_each_board(trial_count: usize, test: impl Fn(Setting)) {
    let run = |location: Location, folder: Option<TempDir>| {
        let mut study = Study::new(header(NAME).plan.rules);
        let mut rng = Rng::new(1);
        let suggestion = |_| Suggestion {
            point: study.rules().problem.space.sample(&mut rng).unwrap(),
            tag: 0,
            fidelity: Some(3.5),
            prediction: None,
        };
        let suggestions = (0..trial_count).map(suggestion).collect();
        let trials = study.admit(trial_count, suggestions).unwrap();
        study.apply(&Record::Asked { member: 0, count: trial_count, trials, is_exhausted: false }).unwrap();
        test(Setting { location, study, _folder: folder });
    };
    let folder = TempDir::new().unwrap();
    let path: PathBuf = folder.path().join("ansatz.db");
    run(Location::File(path), Some(folder));
    if let Some(server) = server::shared() {
        let url = ServerUrl::try_from(server.database()).unwrap();
        // the schema is the journal's
        drop(crate::journal::PostgresStore::open(&url, crate::plan::Sync::Full).unwrap());
        run(Location::Server(url), None);
    }
}

fn done(value: f64) -> Outcome {
    Outcome::Completed { measurement: Measurement::new().with("loss", value) }
}

#[test]
fn what_is_put_up_is_claimed_once_however_many_want_it() {
    on_each_board(60, |setting| {
        let mut slots = setting.asking(LEASE, false);
        let claimed = std::sync::Mutex::new(BTreeMap::new());
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let mut worker = setting.worker();
                    loop {
                        let claims = worker.claim(3).unwrap().expect("the lease runs");
                        if claims.is_empty() {
                            break;
                        }
                        for claim in claims {
                            let entry = setting.study.trial(claim.trial).unwrap();
                            assert_eq!(
                                (&claim.posting.point, claim.posting.fidelity),
                                (&entry.point, entry.fidelity)
                            );
                            let before = claimed.lock().unwrap().insert(claim.trial, worker.worker());
                            assert_eq!(before, None, "claimed twice");
                            let value = claim.trial.0 as f64 / 3.0;
                            assert!(
                                worker.finish(claim.trial, &done(value), Duration::from_nanos(7)).unwrap()
                            );
                        }
                    }
                });
            }
        });
        assert_eq!(claimed.into_inner().unwrap().len(), 60);
        for event in setting.events(&mut slots, 60) {
            let Event::Ended { trial, outcome, duration } = event else { panic!("{event:?}") };
            assert_eq!((outcome, duration), (done(trial.0 as f64 / 3.0), Duration::from_nanos(7)));
        }
        // each was said once
        assert!(slots.wait(Duration::from_millis(50), Duration::ZERO).unwrap().is_empty());
        assert_eq!(slots.running_count(), 0);
    });
}

#[test]
fn what_comes_after_a_lease_is_dropped() {
    on_each_board(1, |mut setting| {
        let lease = Duration::from_millis(300);
        let mut slots = setting.asking(lease, false);
        let mut slow = setting.worker();
        assert_eq!(slow.claim(4).unwrap().unwrap().len(), 1);
        // as long as it gives signs of life, nothing happens
        for _ in 0..5 {
            std::thread::sleep(lease / 3);
            assert!(slow.renew().unwrap());
            assert!(slots.wait(Duration::ZERO, Duration::ZERO).unwrap().is_empty());
        }
        let measurement = Measurement::new().with("loss", 1.0);
        assert!(slow.report(TrialId(0), 1, &measurement).unwrap());
        let event = setting.events(&mut slots, 2).remove(1);
        let Event::Ended { trial, outcome: Outcome::Failed { failure, reason }, .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!((trial, failure), (TrialId(0), Failure::Lost));
        assert!(reason.contains("no sign of life"), "{reason}");
        assert!(slots.notices().iter().any(|notice| notice.contains("here")));
        let sql = "DELETE FROM board_report WHERE study = $1";
        assert_eq!(setting.sql(sql, &[NAME.into()]), 0, "what it reported has left with it");
        assert!(!slow.report(TrialId(0), 1, &measurement).unwrap());
        assert!(!slow.finish(TrialId(0), &done(1.0), Duration::ZERO).unwrap());
        assert!(slow.look().unwrap().is_put_out && !slow.renew().unwrap());
        assert_eq!(slow.claim(4).unwrap(), None);
        // the next attempt is another one's
        setting.apply(Record::Retried { trial, attempt: 2, failure, reason });
        setting.post(&mut slots, trial);
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        let mut quick = setting.worker();
        assert_eq!(quick.claim(4).unwrap().unwrap()[0].attempt, 2);
        assert!(!slow.finish(TrialId(0), &done(1.0), Duration::ZERO).unwrap());
        assert!(quick.finish(TrialId(0), &done(2.0), Duration::ZERO).unwrap());
        let event = setting.events(&mut slots, 1).remove(0);
        assert!(matches!(&event, Event::Ended { outcome, .. } if *outcome == done(2.0)), "{event:?}");
    });
}

#[test]
fn whoever_takes_over_finds_what_is_not_on_record() {
    on_each_board(4, |mut setting| {
        let mut old = setting.asking(LEASE, false);
        let mut worker = setting.worker();
        let claims = worker.claim(3).unwrap().unwrap();
        assert_eq!(claims.iter().map(|claim| claim.trial.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(worker.finish(TrialId(0), &done(0.0), Duration::ZERO).unwrap());
        assert!(worker.finish(TrialId(1), &done(1.0), Duration::ZERO).unwrap());
        // the old one hears of both, writes down the first, and dies
        assert_eq!(setting.events(&mut old, 2).len(), 2);
        let finished = Record::Finished {
            trial: TrialId(0),
            outcome: done(0.0),
            duration: Duration::ZERO,
            reused: None,
        };
        setting.apply(finished);
        let (mut new, again) = setting.asker(LEASE, false);
        assert_eq!(again, [], "everything is on the board");
        let events = setting.events(&mut new, 1);
        assert!(matches!(&events[..], [Event::Ended { trial: TrialId(1), .. }]), "{events:?}");
        // the old one is not dead after all, and is told so
        let error = old.wait(Duration::ZERO, Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("taken over"), "{error}");
        // the worker has noticed nothing
        assert!(worker.finish(TrialId(2), &done(2.0), Duration::ZERO).unwrap());
        assert_eq!(worker.claim(4).unwrap().unwrap()[0].trial, TrialId(3));
        let events = setting.events(&mut new, 1);
        assert!(matches!(&events[..], [Event::Ended { trial: TrialId(2), .. }]), "{events:?}");
        new.close(Some("all is done")).unwrap();
        assert_eq!(worker.look().unwrap().closed.as_deref(), Some("all is done"));
        assert!(!worker.finish(TrialId(3), &done(3.0), Duration::ZERO).unwrap());
    });
}

#[test]
fn reports_are_heard_once_and_answered_to_who_waits() {
    on_each_board(2, |mut setting| {
        let mut slots = setting.asking(LEASE, true);
        let mut worker = setting.worker();
        assert!(worker.is_judging());
        assert_eq!(worker.claim(2).unwrap().unwrap().len(), 2);
        // what is no number passes, too
        let measurement = Measurement::new().with("loss", f64::NAN);
        for trial in [TrialId(0), TrialId(1)] {
            assert!(worker.report(trial, 1, &measurement).unwrap());
        }
        let events = setting.events(&mut slots, 2);
        for (event, expected) in events.iter().zip(0..) {
            let Event::Reported { trial, step, measurement } = event else { panic!("{event:?}") };
            assert_eq!((trial.0, *step), (expected, 1));
            assert!(measurement.value("loss").is_some_and(f64::is_nan));
        }
        assert!(slots.wait(Duration::from_millis(30), Duration::ZERO).unwrap().is_empty());
        assert_eq!(worker.look().unwrap().verdicts, []);
        slots.answer(TrialId(0), Verdict::Continue).unwrap();
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        assert_eq!(worker.look().unwrap().verdicts, [(TrialId(0), Verdict::Continue)]);
        assert_eq!(worker.look().unwrap().verdicts, [], "an answer is given once");
        // the one who asks writes the report of the other down, and dies before it answers
        let record = Record::Reported {
            trial: TrialId(1),
            step: 1,
            measurement: Measurement::new().with("loss", 1.0),
            stop: None,
        };
        setting.apply(record);
        let (mut slots, _) = setting.asker(LEASE, true);
        assert!(slots.wait(Duration::from_millis(30), Duration::ZERO).unwrap().is_empty(), "it is on record");
        assert_eq!(worker.look().unwrap().verdicts, [(TrialId(1), Verdict::Continue)]);
        assert!(worker.report(TrialId(1), 2, &measurement).unwrap());
        assert_eq!(setting.events(&mut slots, 1).len(), 1);
        slots.answer(TrialId(1), Verdict::Stop).unwrap();
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        let look = worker.look().unwrap();
        assert_eq!((look.verdicts, look.stops), (vec![(TrialId(1), Verdict::Stop)], vec![TrialId(1)]));
    });
}

#[test]
fn waiting_ends_in_time_whatever_other_studies_do() {
    on_each_board(1, |setting| {
        let mut driver = connect(&setting.location).unwrap();
        driver.listen(Side::News).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut other = connect(&setting.location).unwrap();
                let started = Instant::now();
                while !is_over.load(std::sync::atomic::Ordering::SeqCst)
                    && started.elapsed() < Duration::from_secs(20)
                {
                    other.tell(Side::News, "another").unwrap();
                    std::thread::yield_now();
                }
            });
            let started = Instant::now();
            for _ in 0..5 {
                driver
                    .wait(&|message| message == Whom::All.message(NAME), Duration::from_millis(100))
                    .unwrap();
            }
            is_over.store(true, std::sync::atomic::Ordering::SeqCst);
            assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        });
    });
}

#[test]
fn what_is_said_again_counts_once() {
    on_each_board(1, |setting| {
        let mut slots = setting.asking(LEASE, false);
        let mut worker = setting.worker();
        assert_eq!(worker.claim(1).unwrap().unwrap().len(), 1);
        // as if the answer to the first time had been lost
        let sql = "INSERT INTO board_report (study, trial, attempt, worker, number, body, is_stop)
                   VALUES ($1, 0, 1, $2, 0, 'said before', NULL)";
        assert_eq!(setting.sql(sql, &[NAME.into(), worker.worker().into()]), 1);
        assert!(worker.report(TrialId(0), 1, &Measurement::new().with("loss", 1.0)).unwrap());
        let events = setting.events(&mut slots, 1);
        assert!(matches!(&events[..], [Event::Reported { trial: TrialId(0), step: 1, .. }]), "{events:?}");
    });
}

#[test]
fn a_worker_and_the_board_come_to_agree_on_what_is_its_own() {
    on_each_board(3, |setting| {
        let _slots = setting.asking(LEASE, false);
        let mut worker = setting.worker();
        assert_eq!(worker.claim(1).unwrap().unwrap()[0].trial, TrialId(0));
        assert_eq!(worker.look().unwrap().stops, []);
        // as if the answer to another claim had been lost
        let keys = [NAME.into(), worker.worker().into()];
        let sql = "UPDATE board_assignment SET worker = $2 WHERE study = $1 AND trial > 0";
        assert_eq!(setting.sql(sql, &keys), 2);
        let look = worker.look().unwrap();
        assert!(look.has_work && look.stops.is_empty(), "{look:?}");
        let claims = worker.claim(2).unwrap().unwrap();
        assert_eq!(claims.iter().map(|claim| claim.trial.0).collect::<Vec<_>>(), [1, 2]);
        // whoever took over runs one of them anew
        assert_eq!(setting.sql("DELETE FROM board_assignment WHERE study = $1 AND trial = 1", &keys[..1]), 1);
        assert_eq!(worker.look().unwrap().stops, [TrialId(1)]);
        assert!(!worker.finish(TrialId(1), &done(1.0), Duration::ZERO).unwrap());
        assert_eq!(worker.look().unwrap().stops, []);
        // put up again while it still runs here, it is for others
        let sql = "UPDATE board_assignment SET worker = NULL WHERE study = $1 AND trial = 2";
        assert_eq!(setting.sql(sql, &keys[..1]), 1);
        assert_eq!(worker.claim(2).unwrap().unwrap(), []);
        assert_eq!(worker.look().unwrap().stops, [TrialId(2)]);
        assert_eq!(setting.worker().claim(2).unwrap().unwrap()[0].trial, TrialId(2));
    });
}

#[test]
fn a_shorter_lease_costs_nobody_its_place() {
    on_each_board(1, |setting| {
        drop(setting.asking(LEASE, false));
        let mut worker = setting.worker();
        assert_eq!((worker.claim(1).unwrap().unwrap().len(), worker.lease()), (1, LEASE));
        let lease = Duration::from_secs(2);
        let (mut slots, again) = setting.asker(lease, false);
        assert_eq!(again, []);
        assert!(worker.renew().unwrap());
        assert!(!worker.look().unwrap().is_put_out);
        assert_eq!(worker.lease(), lease);
        assert!(slots.wait(Duration::ZERO, Duration::ZERO).unwrap().is_empty());
        assert!(worker.finish(TrialId(0), &done(0.0), Duration::ZERO).unwrap());
        assert_eq!(setting.events(&mut slots, 1).len(), 1);
    });
}

#[test]
fn what_is_handed_back_or_taken_back_is_nobodys() {
    on_each_board(3, |setting| {
        let mut slots = setting.asking(LEASE, false);
        let mut first = setting.worker();
        assert_eq!(first.claim(2).unwrap().unwrap().len(), 2);
        assert!(first.finish(TrialId(0), &done(0.0), Duration::ZERO).unwrap());
        first.leave().unwrap();
        assert!(first.look().unwrap().is_put_out);
        let mut second = setting.worker();
        assert_ne!(first.worker(), second.worker());
        let claims = second.claim(1).unwrap().unwrap();
        assert_eq!((claims[0].trial, claims[0].attempt), (TrialId(1), 1));
        let events = setting.events(&mut slots, 1);
        assert!(matches!(&events[..], [Event::Ended { trial: TrialId(0), .. }]), "{events:?}");
        // nothing is to begin any more: what nobody has is taken down
        assert_eq!(slots.running_count(), 2);
        slots.drain().unwrap();
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        assert_eq!(slots.running_count(), 1);
        assert_eq!(second.claim(4).unwrap().unwrap(), []);
        // nor does anybody begin what is handed back now
        second.leave().unwrap();
        slots.drain().unwrap();
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        assert_eq!(slots.running_count(), 0);
        setting.post(&mut slots, TrialId(1));
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        let mut second = setting.worker();
        assert_eq!(second.claim(1).unwrap().unwrap()[0].trial, TrialId(1));
        // what runs is told to stop; whoever takes over does not take that for an outcome
        slots.stop_all().unwrap();
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        assert_eq!(second.look().unwrap().stops, [TrialId(1)]);
        let stopped = Outcome::Stopped { reason: "ended early".into(), measurement: None };
        assert!(second.finish(TrialId(1), &stopped, Duration::ZERO).unwrap());
        let (mut slots, again) = setting.asker(LEASE, false);
        assert_eq!(again, [TrialId(0), TrialId(1), TrialId(2)], "none of them is on record");
        assert!(slots.wait(Duration::from_millis(30), Duration::ZERO).unwrap().is_empty());
    });
}

#[test]
fn workers_that_are_too_many_are_retired_newest_first_and_finish_what_they_have() {
    on_each_board(4, |setting| {
        assert!(matches!(scale(&setting.location, NAME, 2), Ok(Err(Asking::NoBoard))));
        let mut slots = setting.asking(LEASE, false);
        let mut workers = [setting.worker(), setting.worker(), setting.worker()];
        let claims = workers[2].claim(1).unwrap().unwrap();
        let started = Instant::now();
        while slots.free_slot_count() != 12 - 4 {
            assert!(started.elapsed() < Duration::from_secs(30));
            drop(slots.wait(Duration::from_millis(20), Duration::ZERO).unwrap());
        }
        let scaled = scale(&setting.location, NAME, 1).unwrap().unwrap();
        assert_eq!(scaled, Scaled { starter: Starter::Hand, present: 3 });
        // it may be told or look by itself
        while slots.free_slot_count() > 0 {
            assert!(started.elapsed() < Duration::from_secs(30));
            drop(slots.wait(Duration::from_millis(20), Duration::ZERO).unwrap());
        }
        let retired: Vec<bool> = workers.iter_mut().map(|worker| worker.look().unwrap().is_retired).collect();
        assert_eq!(retired, [false, true, true]);
        assert!(workers[2].finish(claims[0].trial, &done(1.0), Duration::from_secs(1)).unwrap());
        assert_eq!(setting.events(&mut slots, 1).len(), 1, "what it had counts");
        // whoever takes over wants all of them
        drop(slots);
        let (mut slots, _) = setting.asker(LEASE, false);
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        assert!(workers.iter_mut().all(|worker| !worker.look().unwrap().is_retired));
    });
}

#[test]
fn who_cancels_interrupts_whoever_asks() {
    on_each_board(2, |setting| {
        let interrupt = crate::interrupt::Interrupt::default();
        let terms = Terms { lease: Duration::from_millis(400), is_judging: false, starter: Starter::Local };
        let control = Control::new(&interrupt);
        let taken = BoardSlots::take(&setting.location, NAME, &setting.study, &[], terms, control.clone());
        let (mut slots, _) = taken.unwrap();
        let mut worker = setting.worker();
        let mut after = |is_now: bool, count: usize| {
            assert_eq!(cancel(&setting.location, NAME, is_now).unwrap(), Asking::Running);
            let started = Instant::now();
            while interrupt.count() < count {
                assert!(started.elapsed() < Duration::from_secs(30));
                drop(slots.wait(Duration::from_millis(20), Duration::ZERO).unwrap());
            }
            // to say it again is to say nothing
            drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
            assert_eq!(interrupt.count(), count);
        };
        after(false, 1);
        after(false, 1);
        after(true, 2);
        after(false, 2);
        assert!(control.is_cancelled());
        // nobody asks any more, as far as anybody knows: then it is over for those who wait
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(worker.look().unwrap().closed, None);
        assert!(matches!(cancel(&setting.location, NAME, false).unwrap(), Asking::Silent(_)));
        assert_eq!(worker.look().unwrap().closed.as_deref(), Some("cancelled"));
        assert_eq!(cancel(&setting.location, NAME, false).unwrap(), Asking::Closed("cancelled".into()));
        let refused = scale(&setting.location, NAME, 5).unwrap();
        assert_eq!(refused, Err(Asking::Closed("cancelled".into())));
    });
}

#[test]
fn a_worker_without_a_free_slot_is_not_woken_for_what_others_may_claim() {
    on_each_board(2, |setting| {
        if matches!(setting.location, Location::File(_)) {
            return; // nobody is told anything there
        }
        let (mut slots, _) = setting.asker(LEASE, true);
        setting.post(&mut slots, TrialId(0));
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        let (mut busy, mut free) = (setting.worker(), setting.worker());
        let claims = busy.claim(1).unwrap().unwrap();
        // less than the time after which they look all the same
        let short = Duration::from_millis(80);
        let quiet = |worker: &mut Membership, is_free| while worker.wait(short, is_free).unwrap() {};
        quiet(&mut busy, false);
        quiet(&mut free, true);
        setting.post(&mut slots, TrialId(1));
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        assert!(free.wait(short, true).unwrap());
        assert!(!busy.wait(short, false).unwrap());
        // the answer to a report is for who reported
        let measurement = Measurement::new().with("loss", 1.0);
        assert!(busy.report(claims[0].trial, 1, &measurement).unwrap());
        assert_eq!(setting.events(&mut slots, 1).len(), 1);
        slots.answer(claims[0].trial, Verdict::Continue).unwrap();
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        assert!(busy.wait(short, false).unwrap());
        assert!(!free.wait(short, true).unwrap());
        // and the end is for all
        slots.close(Some("done")).unwrap();
        assert!(busy.wait(short, false).unwrap() && free.wait(short, true).unwrap());
    });
}

#[test]
fn what_was_told_to_stop_and_was_done_all_the_same_counts() {
    on_each_board(2, |setting| {
        let mut slots = setting.asking(LEASE, false);
        let mut worker = setting.worker();
        let claims = worker.claim(2).unwrap().unwrap();
        slots.stop_all().unwrap();
        drop(slots.wait(Duration::ZERO, Duration::ZERO).unwrap());
        assert!(worker.finish(claims[0].trial, &done(1.0), Duration::from_secs(1)).unwrap());
        let stopped = Outcome::Stopped { reason: "ended early".into(), measurement: None };
        assert!(worker.finish(claims[1].trial, &stopped, Duration::from_secs(1)).unwrap());
        // the asker dies before it hears of either
        drop(slots);
        let (mut slots, again) = setting.asker(LEASE, false);
        assert_eq!(again, [claims[1].trial], "it has not had its chance");
        match &setting.events(&mut slots, 1)[..] {
            [Event::Ended { trial, outcome: Outcome::Completed { .. }, .. }] => {
                assert_eq!(*trial, claims[0].trial);
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn who_may_be_dead_keeps_nobody_from_taking_its_place() {
    on_each_board(1, |setting| {
        let lease = Duration::from_secs(2);
        let mut slots = setting.asking(lease, false);
        let dead = setting.worker();
        let started = Instant::now();
        let mut replacement = None;
        assert!(scale(&setting.location, NAME, 1).unwrap().is_ok());
        // half a lease later it has given no sign of life
        while started.elapsed() < lease.mul_f64(0.8) {
            drop(slots.wait(Duration::from_millis(50), Duration::ZERO).unwrap());
            if started.elapsed() > lease.mul_f64(0.6) && replacement.is_none() {
                replacement = Some(setting.worker());
            }
        }
        assert!(
            !replacement.unwrap().look().unwrap().is_retired,
            "it takes the place of worker {}",
            dead.worker()
        );
    });
}

#[test]
fn workers_that_were_too_many_are_wanted_again() {
    on_each_board(1, |setting| {
        let mut slots = setting.asking(LEASE, false);
        let mut workers = [setting.worker(), setting.worker()];
        let mut expect = |wanted: u32, retired: [bool; 2]| {
            assert!(scale(&setting.location, NAME, wanted).unwrap().is_ok());
            let started = Instant::now();
            while workers.each_mut().map(|worker| worker.look().unwrap().is_retired) != retired {
                assert!(started.elapsed() < Duration::from_secs(30));
                drop(slots.wait(Duration::from_millis(20), Duration::ZERO).unwrap());
            }
        };
        expect(1, [false, true]);
        expect(2, [false, false]);
        expect(0, [true, true]);
        expect(1, [false, true]);
    });
}

/// Else a new study of that name could be told what came of the old one's trials.
#[test]
fn of_a_study_that_is_deleted_nothing_stays_on_the_board_once_its_workers_are_gone() {
    on_each_board(2, |setting| {
        assert_eq!(clear(&setting.location, "another").unwrap(), 0);
        let slots = setting.asking(LEASE, false);
        let mut worker = setting.worker();
        assert_eq!(worker.claim(1).unwrap().unwrap().len(), 1);
        assert!(worker.finish(TrialId(0), &done(1.0), Duration::ZERO).unwrap());
        drop(slots);
        assert_eq!(clear(&setting.location, NAME).unwrap(), 1, "it may bring something still");
        assert!(standing(&setting.location, NAME).unwrap().is_some());
        let sql = "UPDATE board_worker SET lease_until = NOW() - 1 WHERE study = $1";
        assert_eq!(setting.sql(sql, &[NAME.into()]), 1);
        assert_eq!(clear(&setting.location, NAME).unwrap(), 0);
        assert_eq!(standing(&setting.location, NAME).unwrap(), None);
        for table in ["board", "board_worker", "board_assignment", "board_report"] {
            assert_eq!(
                setting.sql(&format!("DELETE FROM {table} WHERE study = $1"), &[NAME.into()]),
                0,
                "{table}"
            );
        }
        // what it had brought is nobody's: both are to be run
        let (_slots, again) = setting.asker(LEASE, false);
        assert_eq!(again, [TrialId(0), TrialId(1)]);
    });
}
