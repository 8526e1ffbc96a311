//! A study that is run with workers on several nodes of a cluster, as its server shows it.

use crate::{PostgresServer, StoredStudy};
use ansatz_cli::journal::Location;
use ansatz_core::Failure;
use ansatz_core::study::Record;
use std::time::{Duration, Instant};

/// What can be seen of a study while workers come and go.
pub struct Nodes<'a> {
    server: &'a PostgresServer,
    address: String,
    started: Instant,
    patience: Duration,
}

impl<'a> Nodes<'a> {
    /// Of the only study of a database; whatever is waited for has to be so within `patience` from now.
    pub fn of(server: &'a PostgresServer, address: &str, patience: Duration) -> Self {
        Self { server, address: address.to_owned(), started: Instant::now(), patience }
    }

    /// Since the begin.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until something is so.
    #[track_caller]
    pub fn wait_for(&self, what: &str, is_true: impl Fn() -> bool) {
        while !is_true() {
            assert!(self.started.elapsed() < self.patience, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn number(&self, sql: &str) -> usize {
        self.server.sql(&self.address, sql).parse().unwrap()
    }

    /// Waits until so many workers have a place.
    #[track_caller]
    pub fn wait_for_workers(&self, count: usize) {
        let is_made = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'board_worker'";
        self.wait_for(&format!("{count} workers"), || {
            self.number(is_made) > 0 && self.number("SELECT count(*) FROM ansatz.board_worker") == count
        });
        println!("{count} workers after {:?}", self.elapsed());
    }

    /// Waits until trials have ended, and so many workers have one: whoever is killed now has something to lose.
    #[track_caller]
    pub fn wait_for_work(&self, worker_count: usize) {
        let ended = "SELECT count(*) FROM ansatz.record WHERE kind = 'finished'";
        self.wait_for("some outcomes", || self.number(ended) > 20);
        let at_work = "SELECT count(DISTINCT worker) FROM ansatz.board_assignment WHERE outcome IS NULL";
        self.wait_for("everybody at work", || self.number(at_work) >= worker_count);
    }

    /// Each trial was finished once and well, although some attempts were lost with a node.
    #[track_caller]
    pub fn expect_each_trial_once(&self, count: u64) {
        println!("done after {:?}", self.elapsed());
        let stored = StoredStudy::read(self.address.parse::<Location>().unwrap(), None);
        stored.expect_each_trial_once(count);
        assert!(stored.outcomes().iter().all(|(kind, _)| *kind == "completed"));
        let lost = stored.records().into_iter().filter_map(|record| match record {
            Record::Retried { failure, .. } => Some(failure),
            _ => None,
        });
        let lost: Vec<Failure> = lost.collect();
        println!("{} attempts were lost with the node", lost.len());
        assert!(!lost.is_empty() && lost.iter().all(|failure| *failure == Failure::Lost), "{lost:?}");
    }
}
