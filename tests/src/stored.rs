//! A study as its journal holds it, and what must be true of every journal.

use ansatz_cli::journal::{self, Entry, Location, Stored};
use ansatz_cli::session;
use ansatz_core::study::{Record, Study};
use std::collections::HashMap;

/// A study read back.
#[derive(Debug)]
pub struct StoredStudy {
    /// After its last record.
    pub study: Study,
    /// Everything that its journal holds, in order.
    pub entries: Vec<Stored>,
}

impl StoredStudy {
    /// Reads a study, and checks that its journal is sound: the store itself, the numbers of its entries,
    /// and that each record fits those before it. Without a name there is only one study.
    #[track_caller]
    pub fn read(journal: impl Into<Location>, name: Option<&str>) -> Self {
        let journal = journal.into();
        let read = session::read(&journal, name).unwrap_or_else(|error| panic!("{error}"));
        let store = journal::open_read_only(&journal).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(store.integrity_check(), Ok(Vec::new()));
        let opened = store.read(&read.plan.name).unwrap_or_else(|error| panic!("{error}"));
        let entries: Vec<Stored> = opened.entries(0).map(|entry| entry.unwrap()).collect();
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.number).collect();
        assert_eq!(
            numbers,
            (0..entries.len() as u64).collect::<Vec<_>>(),
            "entries are numbered without gaps"
        );
        Self { study: read.study, entries }
    }

    /// The records of the study, in order.
    pub fn records(&self) -> Vec<Record> {
        let record = |stored: &Stored| match &stored.entry {
            Entry::Study(record) => Some(record.clone()),
            Entry::Opened(_) | Entry::Closed { .. } => None,
        };
        self.entries.iter().filter_map(record).collect()
    }

    /// How each trial ended, in one word, and why if it is not completed. The test ends if one has not ended.
    #[track_caller]
    pub fn outcomes(&self) -> Vec<(&'static str, String)> {
        let describe = |trial: &ansatz_core::study::Trial| {
            let outcome =
                trial.outcome.as_ref().unwrap_or_else(|| panic!("trial {} has not ended", trial.id));
            (outcome.kind(), outcome.reason().unwrap_or_default().to_owned())
        };
        self.study.trials().iter().map(describe).collect()
    }

    /// Checks that exactly so many trials were asked for, and that each ended, once.
    #[track_caller]
    pub fn expect_each_trial_once(&self, count: u64) {
        let (mut asked, mut finished) = (HashMap::<u64, u32>::new(), HashMap::<u64, u32>::new());
        let mut arrived: Vec<u64> = Vec::new();
        for record in self.records() {
            match record {
                Record::Promoted { trial, .. } => *asked.entry(trial.trial.0).or_default() += 1,
                Record::Asked { trials, .. } | Record::Enqueued { trials, .. } => {
                    for trial in trials {
                        assert!(
                            !finished.contains_key(&trial.trial.0),
                            "{} ended before it was asked for",
                            trial.trial
                        );
                        *asked.entry(trial.trial.0).or_default() += 1;
                    }
                }
                Record::Arrived { trial, .. } => {
                    assert!(!arrived.contains(&trial.0), "{trial} arrived twice");
                    arrived.push(trial.0);
                }
                Record::Finished { trial, .. } => *finished.entry(trial.0).or_default() += 1,
                Record::Transferred { .. }
                | Record::Broke { .. }
                | Record::EarlyStoppingBroke { .. }
                | Record::Reported { .. }
                | Record::Retried { .. } => {}
            }
        }
        let once: HashMap<u64, u32> = (0..count).map(|number| (number, 1)).collect();
        assert_eq!(asked, once, "asked for");
        assert_eq!(finished, once, "finished");
        assert_eq!(self.study.finished_count() as u64, count);
    }
}
