//! The live display: a progress line in a terminal, plain lines elsewhere. It only looks at the study.

use crate::engine::Engine;
use crate::report::text;
use ansatz_core::study::{Study, Trial};
use ansatz_core::{Outcome, TrialId};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How much is shown while a study runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Warnings only.
    Quiet,
    /// One line for each trial.
    Lines,
    /// A progress line, and a line for each improvement or failure.
    Live,
}

impl Detail {
    /// What suits standard error.
    pub fn for_stderr(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Detail::Quiet,
            (false, true) => Detail::Live,
            (false, false) => Detail::Lines,
        }
    }
}

/// Lines may come in bursts of so many, and so many a second in the long run; more are left out. Improvements are
/// always shown.
const LINES_MAX: f64 = 30.0;

/// How often the progress line is written anew.
const MESSAGE_DISTANCE: Duration = Duration::from_millis(100);

/// Shows a running study on standard error.
pub struct Watch {
    detail: Detail,
    bar: ProgressBar,
    /// Trials that had not ended when they were last looked at, and how many were known then: a long one does not make
    /// anybody look at all those that began after it again.
    open: Vec<usize>,
    known_count: usize,
    last_line: Instant,
    lines_left: f64,
    last_message: Option<Instant>,
    left_out: usize,
    finished_at_start: usize,
    points_at_start: u64,
    started: Instant,
    was_draining: bool,
}

impl Watch {
    /// A display for a study as it is now: what ended before is not shown again.
    pub fn new(detail: Detail, study: &Study) -> Self {
        let bar = match study.rules().budget.trial_count {
            Some(count) => ProgressBar::new(count),
            None => ProgressBar::no_length(),
        };
        let target = match detail {
            Detail::Live => ProgressDrawTarget::stderr_with_hz(8),
            _ => ProgressDrawTarget::hidden(),
        };
        bar.set_draw_target(target);
        let template = "{bar:24.cyan/black} {pos}/{len}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        let is_open = |index: &usize| study.trials()[*index].outcome.is_none();
        let open = (0..study.trials().len()).filter(is_open).collect();
        Self {
            detail,
            bar,
            open,
            known_count: study.trials().len(),
            last_line: Instant::now(),
            lines_left: LINES_MAX,
            last_message: None,
            left_out: 0,
            finished_at_start: study.finished_count(),
            points_at_start: study.finished_point_count() as u64,
            started: Instant::now(),
            was_draining: false,
        }
    }

    /// Shows what is new.
    pub fn update(&mut self, engine: &mut Engine, running_count: usize, is_draining: bool) {
        for notice in engine.take_notices() {
            self.line(&format!("warning: {notice}"));
        }
        if is_draining && !self.was_draining {
            self.was_draining = true;
            self.line(&format!(
                "interrupted: waiting for {} running trial(s); once more stops them (the study can be resumed)",
                running_count
            ));
        }
        if self.detail == Detail::Quiet {
            return;
        }
        let study = engine.study();
        self.show_finished(study);
        let is_due = self.last_message.is_none_or(|last| last.elapsed() >= MESSAGE_DISTANCE);
        if self.detail == Detail::Live && is_due {
            self.last_message = Some(Instant::now());
            self.bar.set_position(study.finished_point_count() as u64);
            self.bar.set_message(self.message(study, running_count, engine.elapsed()));
        }
    }

    /// Takes the progress line away.
    pub fn finish(&mut self, engine: &mut Engine) {
        for notice in engine.take_notices() {
            self.line(&format!("warning: {notice}"));
        }
        if self.detail != Detail::Quiet {
            self.show_finished(engine.study());
        }
        if self.left_out > 0 {
            self.line(&format!("(left out here, ending too fast one after the other: {})", self.left_out));
        }
        self.bar.finish_and_clear();
    }

    fn message(&self, study: &Study, running: usize, elapsed: Duration) -> String {
        let finished = study.finished_count();
        let failed =
            study.trials().iter().filter(|t| matches!(t.outcome, Some(Outcome::Failed { .. }))).count();
        let mut parts = vec![format!("{running} running")];
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        if let Some(best) = text::incumbent_in_short(study) {
            parts.push(format!("best {best}"));
        }
        let session = self.started.elapsed().as_secs_f64();
        let rate = (finished - self.finished_at_start) as f64 / session.max(1e-9);
        if finished > self.finished_at_start && session > 1.0 {
            parts.push(match rate {
                rate if rate >= 1.0 => format!("{rate:.1}/s"),
                rate => format!("{:.1}/min", rate * 60.0),
            });
            let budget = &study.rules().budget;
            let points = study.finished_point_count() as u64;
            let by_count = budget.trial_count.and_then(|count| {
                time_for(count.saturating_sub(points), points.saturating_sub(self.points_at_start), session)
            });
            let by_time = budget.wall_time.map(|limit| limit.saturating_sub(elapsed).as_secs_f64());
            if let Some(left) = [by_count, by_time].into_iter().flatten().reduce(f64::min) {
                parts.push(format!("{} left", text::duration(Duration::from_secs_f64(left.clamp(0.0, 1e9)))));
            }
        }
        parts.join("  ")
    }

    fn show_finished(&mut self, study: &Study) {
        let new = self.known_count..study.trials().len();
        self.known_count = new.end;
        for index in std::mem::take(&mut self.open).into_iter().chain(new) {
            let trial = &study.trials()[index];
            match trial.outcome {
                Some(_) => self.show_trial(study, trial),
                None => self.open.push(index),
            }
        }
    }

    fn show_trial(&mut self, study: &Study, trial: &Trial) {
        let is_best = study.incumbent().trials().any(|best: TrialId| best == trial.id);
        let is_eventful = is_best || !matches!(trial.outcome, Some(Outcome::Completed { .. }));
        let earned = self.last_line.elapsed().as_secs_f64() * LINES_MAX;
        self.lines_left = (self.lines_left + earned).min(LINES_MAX);
        self.last_line = Instant::now();
        let shown = match self.detail {
            Detail::Quiet => false,
            _ if is_best => true,
            Detail::Live => is_eventful && self.lines_left >= 1.0,
            Detail::Lines => self.lines_left >= 1.0,
        };
        if shown {
            self.lines_left -= 1.0;
            let mark = if is_best { "*" } else { " " };
            self.line(&format!("{mark} {}", text::trial_in_short(study, trial)));
        } else if self.detail == Detail::Lines {
            self.left_out += 1;
        }
    }

    fn line(&self, line: &str) {
        if self.detail == Detail::Live {
            self.bar.println(line);
        } else {
            // standard error may be closed: nobody reads, and nothing is lost
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

/// How many seconds so many points will take, where so many others took `seconds`; `None` as long as there are none. Trials
/// that continue stopped ones make no new points.
fn time_for(left: u64, done: u64, seconds: f64) -> Option<f64> {
    (done > 0).then(|| left as f64 * seconds / done as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_is_done() {
        assert_eq!(time_for(30, 10, 5.0), Some(15.0));
        assert_eq!(time_for(0, 10, 5.0), Some(0.0));
        // a session in which stopped trials went on and no point was new
        assert_eq!((time_for(0, 0, 5.0), time_for(7, 0, 5.0)), (None, None));
    }
}
