//! What early stopping saved: steps that whole trials take, and those that were stopped did not.

use ansatz_core::study::{Continuation, Study, Trial};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The steps of whole trials, as far as completed ones have shown; for each fidelity, by its bits.
struct WholeSteps(HashMap<Option<u64>, u64>);

impl WholeSteps {
    fn of(study: &Study) -> Self {
        let mut steps = HashMap::new();
        for trial in study.trials() {
            let is_completed = trial.outcome.as_ref().and_then(|outcome| outcome.completed()).is_some();
            if let Some(step) = trial.last_step.filter(|_| is_completed) {
                let most = steps.entry(trial.fidelity.map(f64::to_bits)).or_insert(0);
                *most = step.max(*most);
            }
        }
        Self(steps)
    }

    /// Of a trial like this one.
    fn like(&self, trial: &Trial) -> Option<u64> {
        self.0.get(&trial.fidelity.map(f64::to_bits)).copied()
    }
}

/// The steps of a whole trial like this one, as far as completed trials have shown.
pub fn whole_steps(study: &Study, trial: &Trial) -> Option<u64> {
    WholeSteps::of(study).like(trial)
}

/// Where a trial was stopped: "step 3 of 20". `None` if it was not.
pub fn place(study: &Study, trial: &Trial) -> Option<String> {
    let step = trial.early_stop.as_ref()?.step;
    let whole = whole_steps(study, trial).filter(|whole| *whole > step);
    Some(match whole {
        Some(whole) => format!("step {step} of {whole}"),
        None => format!("step {step}"),
    })
}

/// For people, a line on one trial that was stopped, and one on one that continues such a one; empty for others.
pub fn of_trial(study: &Study, trial: &Trial) -> String {
    let mut text = String::new();
    if let Some(Continuation { continued, reason }) = &trial.continuation {
        let from = study.early_stop(*continued).map_or(0, |stop| stop.step);
        text.push_str(&format!("  continues trial {continued} from step {from} on, by {reason}\n"));
    }
    let (Some(stop), Some(place)) = (&trial.early_stop, place(study, trial)) else { return text };
    text.push_str(
        &match (trial.continued_by, whole_steps(study, trial).filter(|whole| *whole > stop.step)) {
            (Some(by), _) => format!("  stopped at {place}, and continued by trial {by}\n"),
            (None, Some(whole)) => format!("  stopped at {place}: {} steps saved\n", whole - stop.step),
            (None, None) => format!("  stopped at {place}\n"),
        },
    );
    text
}

/// Whether trials have ended, and none has reported all metrics on its way.
fn hears_nothing(study: &Study) -> bool {
    let tells_nothing =
        |trial: &Trial| trial.curve.points().iter().all(|point| point.losses.iter().any(Option::is_none));
    study.finished_count() > 0 && study.trials().iter().all(tells_nothing)
}

/// Of a whole study.
pub struct Savings {
    /// Trials that were stopped and that none continues.
    stopped: usize,
    /// Their steps, with those of the trials that they continue.
    reported: u64,
    /// Steps that they would have taken more.
    saved: u64,
    /// Trials that were stopped and went on after all.
    continued: usize,
}

impl Savings {
    /// `None` where nothing ends trials early.
    pub fn of(study: &Study) -> Option<Self> {
        study.rules().early_stopping.as_ref()?;
        let whole = WholeSteps::of(study);
        let continued = study.trials().len() - study.point_count();
        let mut savings = Self { stopped: 0, reported: 0, saved: 0, continued };
        for trial in study.trials().iter().filter(|trial| trial.continued_by.is_none()) {
            let Some(stop) = &trial.early_stop else { continue };
            savings.stopped += 1;
            savings.reported += stop.step;
            savings.saved += whole.like(trial).map_or(0, |whole| whole.saturating_sub(stop.step));
        }
        Some(savings)
    }

    /// For people: a line or two; empty where nothing ends trials early.
    pub fn text(study: &Study) -> String {
        let (Some(savings), Some(rule)) = (Self::of(study), &study.rules().early_stopping) else {
            return String::new();
        };
        let Self { stopped, reported, saved, continued } = savings;
        let count = study.point_count();
        let mut text = match stopped {
            0 if hears_nothing(study) => {
                let names: Vec<&str> =
                    study.rules().problem.metrics.iter().map(|m| m.name.as_str()).collect();
                format!(
                    "{rule} stopped no trial early: none has reported {} on its way\n",
                    names.join(" and ")
                )
            }
            0 => format!("{rule} stopped no trial early\n"),
            _ => format!(
                "{rule} stopped {stopped} of {count} trials early, after {reported} steps; {saved} more of whole trials were saved\n"
            ),
        };
        if continued > 0 {
            let trials = if continued == 1 { "trial" } else { "trials" };
            text.push_str(&format!("  {continued} {trials} went on after having been stopped\n"));
        }
        let state = study.early_stopping();
        if state.is_left_out {
            text.push_str(&format!(
                "  {rule} broke {} times, and stops nothing any more\n",
                state.fault_count
            ));
        } else if state.fault_count > 0 {
            text.push_str(&format!("  {rule} broke {} times, and was made anew\n", state.fault_count));
        }
        text
    }

    /// For programs; null where nothing ends trials early.
    pub fn json(study: &Study) -> Value {
        let Some(savings) = Self::of(study) else { return Value::Null };
        let state = study.early_stopping();
        json!({
            "rule": study.rules().early_stopping,
            "stopped": savings.stopped,
            "steps": savings.reported,
            "steps_saved": savings.saved,
            "continued": savings.continued,
            "faults": state.fault_count,
            "left_out": state.is_left_out,
        })
    }
}
