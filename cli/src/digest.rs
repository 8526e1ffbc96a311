//! What `list` and `show` print of a study, kept beside a long journal, so that it need not be read for them.
//!
//! A digest is made of a study, and is no fact: it may be missing or old, and one of another version of the host is not
//! looked at. Whoever runs a study keeps one from time to time and at the end.

use crate::engine::Engine;
use crate::error::Error;
use crate::journal::{Location, Store, StudyEntry};
use crate::report::{json, text};
use crate::session::{self, ReadStudy};
use ansatz_core::study::Study;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// Studies with fewer trials are read as quickly.
const TRIAL_COUNT_MIN: usize = 10_000;
/// A digest is kept again after this time.
const DISTANCE: Duration = Duration::from_secs(30);
/// And after so many times the time that it took.
const COST_SHARE: u32 = 100;
/// A digest that is older than this is not shown.
const AGE_MAX: Duration = Duration::from_secs(300);

/// A study in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Digest {
    host_version: String,
    /// The study's name.
    pub study: String,
    /// How many trials were asked for.
    pub trial_count: usize,
    /// How many of them have ended.
    pub finished_count: usize,
    /// The best value in a few words; `None` before the first completed trial.
    pub incumbent: Option<String>,
    /// How long it ran, over all sessions.
    pub elapsed: Duration,
    /// What `show` prints.
    pub text: String,
    /// The same for programs, without trials.
    pub overview: Value,
}

/// A digest, and what has been added to the journal since.
pub struct Shown {
    /// The study in short.
    pub digest: Digest,
    /// `None`: nothing.
    pub lag: Option<Lag>,
}

/// By how much a digest is older than its journal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// Entries that are not in it.
    pub entry_count: u64,
    /// The time from the digest to the last of them.
    pub span: Duration,
}

/// Whether an older digest will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// One of some minutes ago, where the journal is long.
    Recent,
    /// Everything is read.
    Exact,
}

impl Digest {
    /// Of a study as it is.
    pub fn of(name: &str, study: &Study, elapsed: Duration) -> Self {
        Self {
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
            study: name.to_owned(),
            trial_count: study.trials().len(),
            finished_count: study.finished_count(),
            incumbent: text::incumbent_in_short(study),
            elapsed,
            text: text::study_in_full(name, study, elapsed),
            overview: json::overview(name, study, elapsed),
        }
    }
}

impl Lag {
    /// What has to be said of it.
    pub fn text(self) -> String {
        let entries = if self.entry_count == 1 { "entry" } else { "entries" };
        format!(
            "this is how it was {} before the last {entries} of its journal, which has {} more; --exact reads all of it",
            text::duration(self.span),
            self.entry_count
        )
    }
}

/// Keeps digests of a study that is run.
#[derive(Default)]
pub struct Keeper {
    kept_at: Duration,
    took: Duration,
}

impl Keeper {
    /// Keeps one if it is time. Everything gathered has been committed.
    pub fn look(&mut self, name: &str, engine: &mut Engine) {
        let since = engine.elapsed().saturating_sub(self.kept_at);
        if engine.study().trials().len() >= TRIAL_COUNT_MIN && since > DISTANCE.max(self.took * COST_SHARE) {
            self.keep(name, engine, engine.elapsed());
        }
    }

    /// Keeps the last one. `elapsed` is how long the study has been running, as its journal says.
    pub fn end(mut self, name: &str, engine: &mut Engine, elapsed: Duration) {
        if engine.study().trials().len() >= TRIAL_COUNT_MIN {
            self.keep(name, engine, elapsed);
        }
    }

    fn keep(&mut self, name: &str, engine: &mut Engine, elapsed: Duration) {
        let begun = engine.elapsed();
        let digest = Digest::of(name, engine.study(), elapsed);
        let kept = serde_json::to_string(&digest).map_err(|error| error.to_string());
        let kept = kept.and_then(|body| engine.keep_digest(&body).map_err(|error| error.to_string()));
        if let Err(reason) = kept {
            // the next record finds out whether that was the disk
            engine
                .warn(format!("no digest of the study was kept, so that showing it takes longer: {reason}"));
        }
        self.kept_at = engine.elapsed();
        self.took = self.kept_at.saturating_sub(begun);
    }
}

/// One study in short. Without a name the journal must hold one study only.
pub fn read(journal: &Location, name: Option<&str>, freshness: Freshness) -> Result<Shown, Error> {
    let store = session::open_existing(journal)?;
    let name = session::choose(journal, store.as_ref(), name)?;
    let studies = store.studies()?;
    let entry = studies.iter().find(|study| study.name == name);
    let entry = entry.ok_or_else(|| Error::NotFound(format!("{journal} has no study {name} any more")))?;
    read_one(store.as_ref(), entry, freshness)
}

/// Every study of a journal in short, in the order of creation.
pub fn list(journal: &Location, freshness: Freshness) -> Result<Vec<Shown>, Error> {
    let store = session::open_existing(journal)?;
    store.studies()?.iter().map(|entry| read_one(store.as_ref(), entry, freshness)).collect()
}

fn read_one(store: &dyn Store, entry: &StudyEntry, freshness: Freshness) -> Result<Shown, Error> {
    if freshness == Freshness::Recent
        && let Some(shown) = kept(store, entry)?
    {
        return Ok(shown);
    }
    let ReadStudy { plan, study, elapsed } = session::read_one(store, &entry.name, |_, _| {})?;
    Ok(Shown { digest: Digest::of(&plan.name, &study, elapsed), lag: None })
}

/// What was kept of a study, if it will do.
fn kept(store: &dyn Store, entry: &StudyEntry) -> Result<Option<Shown>, Error> {
    let Some(kept) = store.read(&entry.name)?.digest()? else { return Ok(None) };
    let Ok(digest) = serde_json::from_str::<Digest>(&kept.body) else { return Ok(None) };
    let span = entry.last_at.and_then(|last| Duration::try_from_secs_f64((last - kept.at).max(0.0)).ok());
    let (Some(entry_count), Some(span)) = (entry.entry_count.checked_sub(kept.entry_count), span) else {
        return Ok(None);
    };
    if digest.host_version != env!("CARGO_PKG_VERSION") || (entry_count > 0 && span > AGE_MAX) {
        return Ok(None);
    }
    Ok(Some(Shown { digest, lag: (entry_count > 0).then_some(Lag { entry_count, span }) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Entry, Journal, KeptDigest, NetworkFolder, SqliteStore, Stamped};
    use crate::plan::Sync;
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn closed(at: f64) -> Stamped {
        Stamped {
            at,
            entry: Entry::Closed { reason: "done".into(), elapsed: Duration::from_secs(at as u64) },
        }
    }

    /// A store with one study, which has one entry, of the hundredth second.
    fn store() -> (TempDir, Location, Box<dyn Journal>) {
        let folder = TempDir::new().unwrap();
        let path: PathBuf = folder.path().join("ansatz.db");
        let store = SqliteStore::open(&path, Sync::Off, NetworkFolder::Refuse).unwrap();
        let mut journal = store.create(crate::journal::tests::header("long")).unwrap();
        journal.append(&[closed(100.0)]).unwrap();
        (folder, Location::File(path), journal)
    }

    fn digest() -> Digest {
        Digest {
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
            study: "long".into(),
            trial_count: 12_345,
            finished_count: 12_340,
            incumbent: Some("loss 0.5 (trial 7)".into()),
            elapsed: Duration::from_secs(100),
            text: "study long\n".into(),
            overview: serde_json::json!({"study": "long"}),
        }
    }

    fn keep(journal: &mut dyn Journal, digest: &Digest) {
        journal.keep_digest(101.0, &serde_json::to_string(digest).unwrap()).unwrap();
    }

    #[test]
    fn what_was_kept_is_shown_with_what_has_come_since() {
        let (_folder, location, mut journal) = store();
        let shown = |freshness| read(&location, None, freshness).unwrap();
        assert_eq!(shown(Freshness::Recent).digest.trial_count, 0, "nothing was kept: all of it is read");
        keep(&mut *journal, &digest());
        let kept = journal.digest().unwrap();
        assert_eq!(kept.map(|KeptDigest { entry_count, at, .. }| (entry_count, at)), Some((1, 101.0)));
        let Shown { digest: found, lag } = shown(Freshness::Recent);
        assert_eq!((found.trial_count, found.text.as_str(), lag), (12_345, "study long\n", None));
        assert_eq!(shown(Freshness::Exact).digest.trial_count, 0);

        journal.append(&[closed(105.0), closed(111.0)]).unwrap();
        let lag = shown(Freshness::Recent).lag.unwrap();
        assert_eq!(lag, Lag { entry_count: 2, span: Duration::from_secs(10) });
        assert!(lag.text().contains("10.0 s before") && lag.text().contains("2 more"), "{}", lag.text());
        let listed = list(&location, Freshness::Recent).unwrap();
        assert_eq!(listed.iter().map(|shown| shown.digest.trial_count).collect::<Vec<_>>(), [12_345]);
        // the next one takes its place
        keep(&mut *journal, &Digest { trial_count: 20_000, ..digest() });
        let Shown { digest: found, lag } = shown(Freshness::Recent);
        assert_eq!((found.trial_count, lag), (20_000, None));
    }

    #[test]
    fn what_is_old_or_of_somebody_else_is_passed_over() {
        let (_folder, location, mut journal) = store();
        let count = || read(&location, None, Freshness::Recent).unwrap().digest.trial_count;
        keep(&mut *journal, &Digest { host_version: "0.0.1".into(), ..digest() });
        assert_eq!(count(), 0, "of another version");
        journal.keep_digest(101.0, "{}").unwrap();
        assert_eq!(count(), 0, "of another form");
        keep(&mut *journal, &digest());
        assert_eq!(count(), 12_345);
        journal.append(&[closed(100.0 + AGE_MAX.as_secs_f64() + 2.0)]).unwrap();
        assert_eq!(count(), 0, "a host went on for long and kept none: it died");
    }
}
