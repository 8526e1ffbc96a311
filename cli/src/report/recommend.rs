//! What strategies would choose for good, beside the best trial that was observed.
//!
//! The best measurement of a noisy objective is partly luck, and the best of many is so most of all; a model that has
//! seen all of them knows better.

use super::{json, text};
use ansatz_core::study::{Study, Trial};
use ansatz_core::{Outcome, Point, Recommendation};
use serde_json::{Value, json};
use std::fmt::Write;

/// What the strategies of a study recommend.
#[derive(Debug, Default)]
pub struct Advice {
    by_member: Vec<(usize, Vec<Recommendation>)>,
    notices: Vec<String>,
}

impl Advice {
    /// Takes what a member recommends, best first. What is no point of the space is passed over.
    pub fn add(&mut self, study: &Study, member: usize, recommended: Vec<Recommendation>) {
        let space = &study.rules().problem.space;
        let label = &study.rules().members[member].label;
        let mut good = Vec::new();
        for (index, recommendation) in recommended.into_iter().enumerate() {
            match space.check(&recommendation.point) {
                Ok(()) => good.push(recommendation),
                Err(reason) => self
                    .notices
                    .push(format!("recommendation {} of {label} is not in the space: {reason}", index + 1)),
            }
        }
        if !good.is_empty() {
            self.by_member.push((member, good));
        }
    }

    /// What a person should know.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Whether nobody recommends anything.
    pub fn is_empty(&self) -> bool {
        self.by_member.is_empty()
    }

    /// For people: what each strategy recommends, the first in full, and the best trial.
    pub fn text(&self, study: &Study) -> String {
        let Some(metric) = study.rules().problem.metrics.first() else { return String::new() };
        let mut text = String::new();
        for (member, recommended) in &self.by_member {
            let [first, others @ ..] = &recommended[..] else { continue };
            let label = &study.rules().members[*member].label;
            let expected = |recommendation: &Recommendation| {
                let mean = text::number(metric.goal.loss(recommendation.mean));
                format!("{} {mean} ± {}", metric.name, text::number(recommendation.deviation))
            };
            let _ = writeln!(text, "{label} recommends, and expects {}", expected(first));
            let known = measured(study, &first.point).unwrap_or_else(|| "it was not evaluated yet".into());
            let _ = writeln!(text, "  {known}");
            text.push_str("  at\n");
            text.push_str(&text::point(study, &first.point, "    "));
            if !others.is_empty() {
                text.push_str("  also\n");
            }
            for other in others {
                let known = measured(study, &other.point);
                let known = known.unwrap_or_else(|| "not evaluated yet: --json has the point".into());
                let _ = writeln!(text, "    {}, {known}", expected(other));
            }
            text.push('\n');
        }
        text.push_str("observed, ");
        text.push_str(&text::best(study));
        text
    }

    /// For programs. Means are in the metric's own direction.
    pub fn json(&self, name: &str, study: &Study) -> Value {
        let problem = &study.rules().problem;
        let metric = problem.metrics.first();
        let one = |recommendation: &Recommendation| {
            let trials = trials_at(study, &recommendation.point).into_iter().map(|trial| trial.id);
            json!({
                "parameters": problem.space.point_to_json(&recommendation.point),
                "mean": metric.map(|metric| metric.goal.loss(recommendation.mean)),
                "deviation": recommendation.deviation,
                "trials": trials.collect::<Vec<_>>(),
            })
        };
        let members = self.by_member.iter().map(|(member, recommended)| {
            json!({
                "strategy": study.rules().members[*member].label,
                "recommended": recommended.iter().map(one).collect::<Value>(),
            })
        });
        json!({
            "study": name,
            "metric": metric.map(|metric| &metric.name),
            "strategies": members.collect::<Value>(),
            "best": json::best(study),
        })
    }
}

/// The completed trials of a point, oldest first: whole ones, or if there are none those of less than full fidelity.
fn trials_at<'a>(study: &'a Study, point: &Point) -> Vec<&'a Trial> {
    let full = study.rules().problem.fidelity.as_ref().map(|range| range.upper);
    let is_completed = |trial: &&Trial| trial.outcome.as_ref().and_then(Outcome::completed).is_some();
    let all = study.trials().iter().filter(|trial| trial.point == *point).filter(is_completed);
    let (whole, partial): (Vec<_>, Vec<_>) = all.partition(|trial| full.is_none() || trial.fidelity == full);
    if whole.is_empty() { partial } else { whole }
}

/// What was measured at a point, in a line; `None` if nothing was.
fn measured(study: &Study, point: &Point) -> Option<String> {
    let trials = trials_at(study, point);
    let first = trials.first()?;
    let often = match trials.len() {
        1 => "in".to_owned(),
        count => format!("{count} times, first in"),
    };
    let found = first.outcome.as_ref().and_then(Outcome::completed);
    let value = |name: &str| {
        let reading = found?.readings().iter().find(|reading| reading.metric == name)?;
        Some(format!("{name} {}", text::reading(reading)))
    };
    let metrics = study.rules().problem.metrics.iter();
    let values: Vec<String> = metrics.filter_map(|metric| value(&metric.name)).collect();
    let values = if values.is_empty() { String::new() } else { format!(": {}", values.join("  ")) };
    let part = match (&study.rules().problem.fidelity, first.fidelity) {
        (Some(range), Some(fidelity)) if fidelity != range.upper => {
            format!(" ({} {} of {})", range.name, text::number(fidelity), text::number(range.upper))
        }
        _ => String::new(),
    };
    Some(format!("evaluated {often} trial {} by {}{values}{part}", first.id, study.proposer(first)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{completed, study_of, study_of_parts, study_of_several};
    use super::*;
    use ansatz_core::{Goal, Measurement};

    #[test]
    fn advice_is_in_the_metric_s_own_direction_and_in_the_space() {
        let study = study_of(Goal::Maximise, &[(0.25, None, completed(0.9)), (0.5, None, completed(0.95))]);
        let at = |x| Point::new([Some(x)]);
        let mut advice = Advice::default();
        let recommended = [(0.25, -0.9), (7.0, -2.0), (0.75, -0.8)];
        let recommended = recommended.map(|(x, mean)| Recommendation::new(at(x), mean, 0.125));
        advice.add(&study, 0, recommended.to_vec());
        assert!(advice.take_notices()[0].starts_with("recommendation 2 of first is not in the space"));
        let expected = "\
first recommends, and expects accuracy 0.9 ± 0.125
  evaluated in trial 0 by first: accuracy 0.9
  at
    x  0.25
  also
    accuracy 0.8 ± 0.125, not evaluated yet: --json has the point

observed, best: trial 1 by first: completed
";
        assert!(advice.text(&study).starts_with(expected), "{}", advice.text(&study));
        let json = advice.json("name", &study);
        let of_it = &json["strategies"][0]["recommended"];
        assert_eq!(
            of_it[0],
            json!({"parameters": {"x": 0.25}, "mean": 0.9, "deviation": 0.125, "trials": [0]})
        );
        assert_eq!((&of_it[1]["trials"], &json["best"][0]["trial"]), (&json!([]), &json!(1)));
    }

    #[test]
    fn every_point_of_a_front_is_there_with_all_its_metrics() {
        let measured = |loss, cost| Outcome::Completed {
            measurement: Measurement::new().with("loss", loss).with("cost", cost).with("epochs", 3.0),
        };
        let trials = [(0.25, None, measured(0.5, 2.0)), (0.5, None, measured(0.75, 1.0))];
        let study = study_of_several(&["loss", "cost"], &trials);
        let mut advice = Advice::default();
        let at = |x, mean| Recommendation::new(Point::new([Some(x)]), mean, 0.125);
        advice.add(&study, 0, vec![at(0.25, 0.4), at(0.5, 0.7)]);
        let expected = "\
first recommends, and expects loss 0.4 ± 0.125
  evaluated in trial 0 by first: loss 0.5  cost 2
  at
    x  0.25
  also
    loss 0.7 ± 0.125, evaluated in trial 1 by first: loss 0.75  cost 1
";
        assert!(advice.text(&study).starts_with(expected), "{}", advice.text(&study));
    }

    #[test]
    fn what_was_measured_at_a_point_comes_with_its_standard_error() {
        let measurement = Measurement::default().with_error("accuracy", 0.9, 0.01);
        let study = study_of(Goal::Maximise, &[(0.25, None, Outcome::Completed { measurement })]);
        let known = measured(&study, &Point::new([Some(0.25)]));
        assert_eq!(known.as_deref(), Some("evaluated in trial 0 by first: accuracy 0.9 ± 0.01"));
        assert_eq!(measured(&study, &Point::new([Some(0.5)])), None);
    }

    #[test]
    fn a_part_of_an_evaluation_is_named_as_one_and_gives_way_to_a_whole_one() {
        let mut trials = vec![(0.25, 3.0, completed(0.5))];
        let study = study_of_parts(&trials);
        let point = Point::new([Some(0.25)]);
        let known = measured(&study, &point);
        assert_eq!(known.as_deref(), Some("evaluated in trial 0 by first: accuracy 0.5 (epochs 3 of 30)"));
        assert_eq!(text::best(&study), "no best point: no trial completed with all epochs\n");
        trials.push((0.25, 30.0, completed(0.75)));
        let known = measured(&study_of_parts(&trials), &point);
        assert_eq!(known.as_deref(), Some("evaluated in trial 1 by first: accuracy 0.75"));
    }

    #[test]
    fn nobody_recommending_anything_is_no_advice() {
        let study = study_of(Goal::Minimise, &[]);
        let mut advice = Advice::default();
        advice.add(&study, 0, Vec::new());
        assert!(advice.is_empty());
    }
}
