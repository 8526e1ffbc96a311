//! What trials that were stopped would have come to, had they gone on: by how others went on from where they stopped.
//!
//! A stopped trial measured a loss at some step. Others passed that step, and what they came to in the end is known:
//! measured, or projected themselves, because those that were stopped later are projected first. The line from one to the
//! other is [`Line`]. What it leaves unexplained, and how unsure it is so far from those who passed, becomes the known noise
//! of the projection, and a model believes it the less.

use std::borrow::Cow;

use ansatz_curves::{Line, Passed, Projection, loss_at};

use crate::history::{Lesson, Told};

/// The trials, with those that were stopped early made [`Lesson::Projected`] where others went on from there.
pub(crate) fn projected<'a>(told: &[&'a Told], metric_count: usize) -> Vec<Cow<'a, Told>> {
    let stopped = |told: &Told| match told.lesson {
        Lesson::Unfinished => told.curve.last().map(|last| last.step),
        _ => None,
    };
    let mut later_first: Vec<(u64, usize)> =
        told.iter().enumerate().filter_map(|(index, told)| Some((stopped(told)?, index))).collect();
    later_first.sort_by_key(|(step, index)| (std::cmp::Reverse(*step), *index));
    let mut found: Vec<Option<Vec<Projection>>> = vec![None; told.len()];
    for group in later_first.chunk_by(|a, b| a.0 == b.0) {
        let step = group[0].0;
        let lines: Option<Vec<Line>> =
            (0..metric_count).map(|metric| line(told, &found, group, step, metric)).collect();
        let Some(lines) = lines else { continue };
        for (_, index) in group {
            let values = lines.iter().enumerate();
            let projections =
                values.map(|(metric, line)| line.project(loss_at(&told[*index].curve, step, metric)?));
            found[*index] = projections.collect();
        }
    }
    told.iter()
        .zip(found)
        .map(|(told, found)| match found {
            None => Cow::Borrowed(*told),
            Some(projections) => Cow::Owned(Told {
                point: told.point.clone(),
                curve: ansatz_core::Curve::default(),
                lesson: Lesson::Projected {
                    losses: projections.iter().map(|projection| projection.loss).collect(),
                    deviations: projections.iter().map(|projection| projection.deviation).collect(),
                },
            }),
        })
        .collect()
}

/// From losses at a step to those in the end. `group`: the trials that stopped at the step. `None` if nobody went on.
fn line(
    told: &[&Told],
    found: &[Option<Vec<Projection>>],
    group: &[(u64, usize)],
    step: u64,
    metric: usize,
) -> Option<Line> {
    let passed = (0..told.len()).filter_map(|index| {
        // a standard error of what was measured is in what the line leaves unexplained already
        let (end, deviation) = match told[index].losses() {
            Some(losses) => (*losses.get(metric)?, 0.0),
            None => found[index].as_ref().map(|all| (all[metric].loss, all[metric].deviation))?,
        };
        Some(Passed { early: loss_at(&told[index].curve, step, metric)?, end, deviation })
    });
    let stopped: Vec<f64> =
        group.iter().filter_map(|(_, index)| loss_at(&told[*index].curve, step, metric)).collect();
    Line::fit(&passed.collect::<Vec<_>>(), &stopped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::{Curve, Point};

    const STEPS: u64 = 27;

    /// A curve that comes down from 1 to its end, and is stopped after so many steps.
    fn trial(end: f64, steps: u64, wobble: f64) -> Told {
        let mut curve = Curve::default();
        let value = |step: u64| end + (1.0 - end) * (-(step as f64) / 6.0).exp() + wobble * (step % 3) as f64;
        for step in 1..=steps {
            curve.push(step, vec![Some(value(step))]);
        }
        let lesson = match steps {
            STEPS => Lesson::measured(vec![value(STEPS)], Vec::new()),
            _ => Lesson::Unfinished,
        };
        Told { point: Point::from_flat(&[end]), lesson, curve }
    }

    fn project(told: &[Told]) -> Vec<Told> {
        let lent: Vec<&Told> = told.iter().collect();
        projected(&lent, 1).into_iter().map(Cow::into_owned).collect()
    }

    fn losses(told: &Told) -> (f64, f64) {
        match &told.lesson {
            Lesson::Projected { losses, deviations } => (losses[0], deviations[0]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_stopped_is_projected_to_about_its_end() {
        let finished = (0..12).map(|index| trial(0.02 * f64::from(index), STEPS, 0.001));
        let stopped = [(0.4, 9), (0.3, 9), (0.6, 3), (0.5, 3), (0.4, 1)];
        let told: Vec<Told> = finished.chain(stopped.map(|(end, steps)| trial(end, steps, 0.001))).collect();
        let projected = project(&told);
        assert_eq!(projected[..12], told[..12], "what was measured stays");
        for (told, (end, steps)) in projected[12..].iter().zip(stopped) {
            let (loss, deviation) = losses(told);
            assert!((loss - end).abs() < 3.0 * deviation, "{end} {steps}: {loss} {deviation}");
            assert!((0.0..0.3).contains(&deviation), "{end} {steps}: {deviation}");
            assert!(told.losses().is_none(), "it is no incumbent");
        }
        // the later, the surer
        assert!(losses(&projected[12]).1 < losses(&projected[14]).1);
        // who was ahead stays ahead
        assert!(losses(&projected[13]).0 < losses(&projected[12]).0);
        assert!(losses(&projected[15]).0 < losses(&projected[14]).0);
    }

    #[test]
    fn those_who_went_on_decide_not_those_who_were_stopped_before() {
        // whoever passed the third step gained 0.5 after it, and so would the others have
        let finished = (0..8).map(|index| {
            let early = 1.0 + 0.01 * f64::from(index);
            let mut curve = Curve::default();
            curve.push(3, vec![Some(early)]);
            curve.push(STEPS, vec![Some(early - 0.5)]);
            let lesson = Lesson::measured(vec![early - 0.5], Vec::new());
            Told { point: Point::from_flat(&[early]), lesson, curve }
        });
        let mut stopped = trial(0.0, 1, 0.0);
        stopped.curve = Curve::default();
        stopped.curve.push(3, vec![Some(1.3)]);
        let told: Vec<Told> = finished.chain([stopped]).collect();
        let (loss, deviation) = losses(&project(&told)[8]);
        assert!((loss - 0.8).abs() < 1e-9, "{loss}");
        assert!(deviation > 0.0 && deviation < 0.06, "{deviation}");
    }

    #[test]
    fn where_nobody_went_on_there_is_no_projection() {
        let alone = [trial(0.2, 3, 0.0), trial(0.3, 9, 0.0)];
        assert_eq!(project(&alone), alone);
        // reports at other steps do not compare
        let mut finished = trial(0.2, STEPS, 0.0);
        finished.curve = Curve::from_points(finished.curve.points()[20..].to_vec()).unwrap();
        let told = [finished, trial(0.3, 9, 0.0)];
        assert_eq!(project(&told), told);
    }

    #[test]
    fn any_number_is_taken_and_none_is_lost() {
        for unit in [1e-300, 1e-12, 1.0, 1e300] {
            let scaled = |mut told: Told| {
                let points = told.curve.points().iter().map(|point| ansatz_core::CurvePoint {
                    step: point.step,
                    losses: point.losses.iter().map(|loss| loss.map(|loss| loss * unit)).collect(),
                });
                told.curve = Curve::from_points(points.collect()).unwrap();
                if let Lesson::Measured { losses, .. } = &mut told.lesson {
                    losses[0] *= unit;
                }
                told
            };
            let told: Vec<Told> = (0..6)
                .map(|index| scaled(trial(0.1 * f64::from(index), STEPS, 0.0)))
                .chain([scaled(trial(0.7, 3, 0.0))])
                .collect();
            let (loss, deviation) = losses(&project(&told)[6]);
            assert!((loss / unit - 0.7).abs() < 0.2, "{unit}: {loss}");
            assert!(deviation / unit < 0.3 && deviation > 0.0, "{unit}: {deviation}");
        }
        // all the same, and all zero
        let same: Vec<Told> = [STEPS, STEPS, 3].map(|steps| trial(1.0, steps, 0.0)).into();
        assert_eq!(losses(&project(&same)[2]), (1.0, 0.0));
        let mut zeros = same;
        for told in &mut zeros {
            let points = told.curve.points().iter();
            let points =
                points.map(|point| ansatz_core::CurvePoint { step: point.step, losses: vec![Some(0.0)] });
            told.curve = Curve::from_points(points.collect()).unwrap();
            if let Lesson::Measured { losses, .. } = &mut told.lesson {
                losses[0] = 0.0;
            }
        }
        assert_eq!(project(&zeros), zeros);
    }
}
