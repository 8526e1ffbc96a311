//! The early-stopping rule of a study in motion: it hears every report and every end, and its verdicts become part of
//! the reports that they answer.
//!
//! What it heard is kept, so that a rule that breaks can be made anew and hear it again. The report at which it broke
//! is not told again: the trial goes on.

use super::{Engine, HAS_CHANGED};
use crate::error::Error;
use crate::plugins::LoadedEarlyStopping;
use ansatz_core::study::{AskedTrial, Record, Remedy, Study};
use ansatz_core::{Measurement, Promotion, Report, Ruling, TrialId, Verdict};
use ansatz_plugin_host::{ForeignEarlyStopping, HostError, PluginFault};
use std::time::Duration;

/// A rule with what it heard.
pub(super) struct Stopper {
    loaded: LoadedEarlyStopping,
    /// `None` once it is asked no more.
    rule: Option<ForeignEarlyStopping>,
    /// While replaying: it no longer judges as recorded.
    has_diverged: bool,
    heard: Vec<Heard>,
}

enum Heard {
    Reported(Report),
    Finished(TrialId),
    Promoted { continued: TrialId, trial: TrialId },
}

/// Where a rule that relives a study first judged differently than recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum VerdictDifference {
    /// What it said of a report.
    Ruling {
        /// Whose report it was about.
        trial: TrialId,
        /// The step that was reported.
        step: u64,
        /// Why the trial was stopped there, as recorded; `None`: it went on.
        recorded: Option<String>,
        /// The same as the rule judges now; or how it broke.
        now: Result<Option<String>, String>,
    },
    /// Which stopped trial it had go on.
    Promotion {
        /// The trial that continues it, as recorded; or the one that was asked for where none went on.
        trial: TrialId,
        /// The stopped one, as recorded; `None`: none went on.
        recorded: Option<TrialId>,
        /// The one that it would have go on now, if any; or how it broke.
        now: Result<Option<TrialId>, String>,
    },
}

impl Stopper {
    pub fn new(mut loaded: LoadedEarlyStopping) -> Result<Self, HostError> {
        let rule = Some(loaded.create(0)?);
        Ok(Self { loaded, rule, has_diverged: false, heard: Vec::new() })
    }

    /// What it says of a report: why the trial is to end, or nothing.
    fn judge(&mut self, report: Report) -> Result<Option<String>, PluginFault> {
        let ruling = match &mut self.rule {
            Some(rule) if !self.has_diverged => rule.reported(&report)?,
            _ => Ruling::Continue,
        };
        let stop = match ruling {
            Ruling::Continue => None,
            Ruling::Stop(reason) => Some(format!("{} at step {}: {reason}", self.loaded.name(), report.step)),
        };
        self.heard.push(Heard::Reported(report));
        Ok(stop)
    }

    fn tell(&mut self, study: &Study, trial: TrialId) -> Result<(), PluginFault> {
        if let (Some(rule), false) = (&mut self.rule, self.has_diverged)
            && let Some(observation) = study.observation(trial)
        {
            rule.finished(&observation)?;
        }
        self.heard.push(Heard::Finished(trial));
        Ok(())
    }

    /// Which stopped trial it would have go on.
    fn promotable(&mut self) -> Result<Option<Promotion>, PluginFault> {
        match &mut self.rule {
            Some(rule) if !self.has_diverged => rule.promotable(),
            _ => Ok(None),
        }
    }

    fn promoted(&mut self, continued: TrialId, trial: TrialId) -> Result<(), PluginFault> {
        self.heard.push(Heard::Promoted { continued, trial });
        match &mut self.rule {
            Some(rule) if !self.has_diverged => rule.promoted(continued, trial),
            _ => Ok(()),
        }
    }

    /// It begins anew and hears everything that went before; what it says of that changes nothing.
    fn make_anew(&mut self, study: &Study) -> Result<(), String> {
        self.rule = None; // the old one ends before the new one begins
        self.has_diverged = false;
        let made = self.loaded.create(study.early_stopping().renewal_count);
        let mut rule = made.map_err(|error| error.to_string())?;
        for heard in &self.heard {
            let told = match heard {
                Heard::Reported(report) => rule.reported(report).map(drop),
                Heard::Finished(trial) => {
                    study.observation(*trial).map_or(Ok(()), |observation| rule.finished(&observation))
                }
                Heard::Promoted { continued, trial } => rule.promoted(*continued, *trial),
            };
            told.map_err(|fault| fault.to_string())?;
        }
        self.rule = Some(rule);
        Ok(())
    }
}

impl Engine {
    /// Whether somebody judges what trials report.
    pub fn has_early_stopping(&self) -> bool {
        self.stopper.is_some()
    }

    /// Where the early-stopping rule judged differently than recorded while the study was read back, for the first
    /// time.
    pub fn verdict_difference(&self) -> Option<&VerdictDifference> {
        self.verdict_difference.as_ref()
    }

    /// Takes an intermediate report, and says whether the trial goes on. Nobody may act on a stop before `commit`.
    pub fn report(&mut self, trial: TrialId, step: u64, measurement: Measurement) -> Result<Verdict, Error> {
        if self.study.early_stop(trial).is_some() {
            // it goes on against the verdict: what it measures does not count any more
            return Ok(Verdict::Stop);
        }
        let (stop, fault) = match &mut self.stopper {
            Some(stopper) if self.study.is_news(trial, step) => {
                match stopper.judge(self.study.report(trial, step, &measurement)) {
                    Ok(stop) => (stop, None),
                    Err(fault) => (None, Some(fault)),
                }
            }
            _ => (None, None),
        };
        let verdict = if stop.is_some() { Verdict::Stop } else { Verdict::Continue };
        self.take(Record::Reported { trial, step, measurement, stop })?;
        if let Some(fault) = fault {
            self.mend_early_stopping(fault.to_string(), false)?;
        }
        Ok(verdict)
    }

    /// Tells the rule that a trial ended.
    pub(super) fn tell_early_stopping(&mut self, trial: TrialId) -> Result<(), Error> {
        let Some(stopper) = &mut self.stopper else { return Ok(()) };
        match stopper.tell(&self.study, trial) {
            Ok(()) => Ok(()),
            Err(fault) => self.mend_early_stopping(fault.to_string(), false),
        }
    }

    /// Has a stopped trial go on, if the early-stopping rule says so and there is room. Gives the trial that continues it,
    /// which is started after `commit`.
    pub(super) fn promote(
        &mut self,
        free_slot_count: usize,
        elapsed: Duration,
    ) -> Result<Option<TrialId>, Error> {
        if !self.study.has_promotable() || self.study.room_for_promotions(free_slot_count, elapsed) == 0 {
            return Ok(None);
        }
        // one that breaks here is made anew and asked again, until it is asked no more
        let record = loop {
            let Some(stopper) = &mut self.stopper else { return Ok(None) };
            let record = match stopper.promotable() {
                Ok(None) => return Ok(None),
                Ok(Some(promotion)) => {
                    let record = self.study.promote(stopper.loaded.name(), &promotion);
                    record.map_err(|reason| format!("{} in promotable: {reason}", stopper.loaded.name()))
                }
                Err(fault) => Err(fault.to_string()),
            };
            match record {
                Ok(record) => break record,
                Err(reason) => self.mend_early_stopping(reason, true)?,
            }
        };
        let Record::Promoted { trial: AskedTrial { trial, .. }, continued, .. } = record else {
            return Ok(None);
        };
        self.take(record)?;
        let told = self.stopper.as_mut().map_or(Ok(()), |stopper| stopper.promoted(continued, trial));
        if let Err(fault) = told {
            self.mend_early_stopping(fault.to_string(), false)?;
        }
        Ok(Some(trial))
    }

    /// The rule broke: it is made anew a few times, then nobody stops trials any more. `when_asked`: by being asked what goes
    /// on, and by nothing that is on record.
    fn mend_early_stopping(&mut self, mut reason: String, mut when_asked: bool) -> Result<(), Error> {
        loop {
            let is_given_up = self.study.early_stopping().fault_count >= self.restart_count_max;
            let remedy = if is_given_up { Remedy::LeaveOut } else { Remedy::Restart };
            self.take(Record::EarlyStoppingBroke { remedy, reason: reason.clone(), when_asked })?;
            let Some(stopper) = &mut self.stopper else { return Ok(()) };
            if is_given_up {
                stopper.rule = None;
                self.notices
                    .push(format!("{reason}; it stops nothing any more, and trials run to their end; those that were stopped stay so"));
                return Ok(());
            }
            let count = self.study.early_stopping().fault_count;
            let most = self.restart_count_max;
            self.notices.push(format!("{reason}; it is made anew ({count} of {most})"));
            match stopper.make_anew(&self.study) {
                Ok(()) => return Ok(()),
                Err(next) => (reason, when_asked) = (next, false),
            }
        }
    }

    /// Before a record of the journal is taken into the study: lets the rule relive it. One that is about to break is
    /// spared what broke it.
    pub(super) fn relive_verdict(&mut self, record: &Record, later: &[Record]) {
        match record {
            Record::Promoted { continued, .. } => return self.relive_promotion(Some(*continued)),
            // before a strategy is asked the rule is, and then nobody was to go on
            Record::Asked { .. } if self.study.has_promotable() => return self.relive_promotion(None),
            _ => {}
        }
        let Record::Reported { trial, step, measurement, stop } = record else { return };
        let Some(stopper) = self.stopper.as_mut().filter(|_| self.study.is_news(*trial, *step)) else {
            return;
        };
        if breaks_next(later) {
            return;
        }
        let report = self.study.report(*trial, *step, measurement);
        let was_asked = stopper.rule.is_some() && !stopper.has_diverged;
        let now = stopper.judge(report.clone());
        if now.is_err() {
            stopper.heard.push(Heard::Reported(report));
        }
        let is_same = now.as_ref().is_ok_and(|now| now.is_some() == stop.is_some());
        if was_asked && !is_same {
            stopper.has_diverged = true;
            let fault = now.as_ref().err().map_or(String::new(), |fault| format!(" ({fault})"));
            self.notices.push(format!(
                "{} no longer judges as recorded at step {step} of trial {trial}{fault}: {HAS_CHANGED}",
                stopper.loaded.name()
            ));
            self.verdict_difference.get_or_insert(VerdictDifference::Ruling {
                trial: *trial,
                step: *step,
                recorded: stop.clone(),
                now: now.map_err(|fault| fault.to_string()),
            });
        }
    }

    fn relive_promotion(&mut self, recorded: Option<TrialId>) {
        let trial = TrialId(self.study.trials().len() as u64);
        let Some(stopper) = &mut self.stopper else { return };
        if stopper.rule.is_none() || stopper.has_diverged {
            return;
        }
        let now = stopper.promotable().map(|promotion| promotion.map(|promotion| promotion.continued));
        if now.as_ref().is_ok_and(|now| *now == recorded) {
            return;
        }
        stopper.has_diverged = true;
        let fault = now.as_ref().err().map_or(String::new(), |fault| format!(" ({fault})"));
        let name = stopper.loaded.name();
        let what = match (recorded, now.as_ref().ok().copied().flatten()) {
            (Some(continued), _) => format!("no longer has trial {continued} go on as trial {trial}"),
            (None, Some(continued)) => {
                format!("has trial {continued} go on before trial {trial}, where it did not")
            }
            (None, None) => format!("breaks before trial {trial}, where it did not"),
        };
        self.notices.push(format!("{name} {what}{fault}: {HAS_CHANGED}"));
        self.verdict_difference.get_or_insert(VerdictDifference::Promotion {
            trial,
            recorded,
            now: now.map_err(|fault| fault.to_string()),
        });
    }

    /// After a record was taken into the study: the same for ends of trials, and for what became of the rule.
    pub(super) fn relive_end(&mut self, record: &Record, later: &[Record]) {
        let Some(stopper) = &mut self.stopper else { return };
        match record {
            Record::Finished { trial, .. } => {
                let ends = later.iter().position(|next| !matches!(next, Record::Broke { .. }));
                if !breaks_next(&later[ends.unwrap_or(later.len())..])
                    && let Err(fault) = stopper.tell(&self.study, *trial)
                {
                    // it will be made anew
                    stopper.heard.push(Heard::Finished(*trial));
                    self.rule_broke_off_record(*trial, fault.to_string());
                }
            }
            Record::Promoted { trial: AskedTrial { trial, .. }, continued, .. } => {
                if breaks_next(later) {
                    // it will be made anew, and hears of it then
                    stopper.heard.push(Heard::Promoted { continued: *continued, trial: *trial });
                } else if let Err(fault) = stopper.promoted(*continued, *trial) {
                    self.rule_broke_off_record(*trial, fault.to_string());
                }
            }
            Record::EarlyStoppingBroke { remedy: Remedy::LeaveOut, .. } => stopper.rule = None,
            Record::EarlyStoppingBroke { .. } => {
                stopper.has_diverged = false;
                if let Err(fault) = stopper.make_anew(&self.study) {
                    if breaks_next(later) {
                        stopper.has_diverged = true;
                        return;
                    }
                    let latest = self.study.trials().last().map_or(TrialId(0), |trial| trial.id);
                    self.rule_broke_off_record(latest, fault);
                }
            }
            _ => {}
        }
    }

    /// The rule broke while it heard again what on record did not break it.
    fn rule_broke_off_record(&mut self, trial: TrialId, fault: String) {
        let Some(stopper) = &mut self.stopper else { return };
        stopper.has_diverged = true;
        self.notices.push(format!(
            "{} breaks at trial {trial}, where it did not ({fault}): {HAS_CHANGED}",
            stopper.loaded.name()
        ));
        let step = self.study.trial(trial).and_then(|trial| trial.last_step).unwrap_or(0);
        let found = VerdictDifference::Ruling { trial, step, recorded: None, now: Err(fault) };
        self.verdict_difference.get_or_insert(found);
    }

    /// After a replay: a rule that diverged, or had given up, is made anew.
    pub(super) fn renew_early_stopping(&mut self) -> Result<(), Error> {
        let Some(stopper) = &self.stopper else { return Ok(()) };
        let reason = match (stopper.has_diverged, self.study.early_stopping().is_left_out) {
            (_, true) => "the study was resumed",
            (true, _) => "it no longer judges as recorded",
            (false, false) => return Ok(()),
        };
        let (remedy, reason) = (Remedy::Renew, reason.to_owned());
        self.take(Record::EarlyStoppingBroke { remedy, reason, when_asked: false })?;
        let Some(stopper) = &mut self.stopper else { return Ok(()) };
        match stopper.make_anew(&self.study) {
            Ok(()) => Ok(()),
            Err(message) => self.mend_early_stopping(message, false),
        }
    }
}

/// Whether the rule broke by what comes before these records.
fn breaks_next(later: &[Record]) -> bool {
    let Some(Record::EarlyStoppingBroke { remedy, when_asked, .. }) = later.first() else { return false };
    matches!(remedy, Remedy::Restart | Remedy::LeaveOut) && !when_asked
}
