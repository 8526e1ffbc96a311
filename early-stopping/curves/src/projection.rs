//! What a trial would come to, had it gone on: by how others went on from the same step.

use ansatz_core::Curve;

/// How many trials the prior of the slope and of the spread counts for.
const PRIOR_COUNT: f64 = 2.0;
/// The spread around the line before anything is known of it, as a share of the spread at that step.
const SPREAD_SHARE: f64 = 0.5;
/// Reports stand for a step that is later by no more than this share of it.
const STEP_SHARE: u64 = 16;

/// The loss that a trial had at a step, as far as it reported near it.
pub fn loss_at(curve: &Curve, step: u64, metric: usize) -> Option<f64> {
    let point = curve.at(step)?;
    if step - point.step > step / STEP_SHARE {
        return None;
    }
    *point.losses.get(metric)?
}

/// A trial that went on from a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passed {
    /// Its loss at that step.
    pub early: f64,
    /// Its loss in the end.
    pub end: f64,
    /// How sure that is: 0 where it was measured, a standard deviation where it is projected itself.
    pub deviation: f64,
}

/// What a trial would probably measure in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Projection {
    /// The mean.
    pub loss: f64,
    /// Its standard deviation.
    pub deviation: f64,
}

/// From losses at a step to those in the end: the line `y = a + b x` by least squares.
///
/// The slope has a prior that counts for two trials and says `b = 1`: differences last. So little is assumed because
/// those who passed are the good ones, in a narrow range, and say nearly nothing about the slope.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Of all losses below, lest squares overflow.
    unit: f64,
    intercept: f64,
    slope: f64,
    /// Of a loss in the end around the line.
    variance: f64,
    count: f64,
    /// Where the line is surest, and the squares by which it is less sure elsewhere.
    early_mean: f64,
    squares: f64,
}

impl Line {
    /// `asked`: losses at the step of those whose end is asked for. `None` if nobody passed, or all losses are 0.
    pub fn fit(passed: &[Passed], asked: &[f64]) -> Option<Self> {
        let early = || asked.iter().copied().chain(passed.iter().map(|passed| passed.early));
        let ends = passed.iter().map(|passed| passed.end);
        let unit = early().chain(ends).fold(0.0_f64, |most, loss| most.max(loss.abs()));
        if passed.is_empty() || !(unit > 0.0 && unit.is_finite()) {
            return None;
        }
        let scaled = |passed: &Passed| Passed {
            early: passed.early / unit,
            end: passed.end / unit,
            deviation: passed.deviation / unit,
        };
        let passed: Vec<Passed> = passed.iter().map(scaled).collect();
        let count = passed.len() as f64;
        let sum = |part: &dyn Fn(&Passed) -> f64| passed.iter().map(part).sum::<f64>();
        let (early_mean, end_mean) = (sum(&|passed| passed.early) / count, sum(&|passed| passed.end) / count);
        let all_count = early().count() as f64;
        let all_mean = early().map(|loss| loss / unit).sum::<f64>() / all_count;
        let spread = early().map(|loss| (loss / unit - all_mean).powi(2)).sum::<f64>() / all_count;
        let prior = PRIOR_COUNT * spread;
        let squares = prior + sum(&|passed| (passed.early - early_mean).powi(2));
        let products = prior + sum(&|passed| (passed.early - early_mean) * (passed.end - end_mean));
        let slope = if squares > 0.0 { (products / squares).max(0.0) } else { 1.0 };
        let intercept = end_mean - slope * early_mean;
        let residuals = sum(&|passed| {
            (passed.end - intercept - slope * passed.early).powi(2) + passed.deviation * passed.deviation
        });
        let variance = (residuals + SPREAD_SHARE * SPREAD_SHARE * prior) / (count + PRIOR_COUNT);
        Some(Self { unit, intercept, slope, variance, count, early_mean, squares })
    }

    /// From a loss at the step. `None` where it is no number.
    pub fn project(&self, loss: f64) -> Option<Projection> {
        let early = loss / self.unit;
        let distance = early - self.early_mean;
        let leverage = if self.squares > 0.0 { distance * distance / self.squares } else { 0.0 };
        let projection = Projection {
            loss: self.unit * (self.intercept + self.slope * early),
            deviation: self.unit * (self.variance * (1.0 + 1.0 / self.count + leverage)).sqrt(),
        };
        (projection.loss.is_finite() && projection.deviation.is_finite()).then_some(projection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(early: f64, end: f64) -> Passed {
        Passed { early, end, deviation: 0.0 }
    }

    #[test]
    fn many_who_passed_decide_the_slope_and_few_leave_it_at_one() {
        let many: Vec<Passed> = (0..200)
            .map(|index| f64::from(index) / 100.0)
            .map(|early| passed(early, 3.0 - 0.5 + 0.25 * early))
            .collect();
        let line = Line::fit(&many, &[1.0]).unwrap();
        let projection = line.project(2.0).unwrap();
        assert!((projection.loss - 3.0).abs() < 0.02, "{projection:?}");
        let one = Line::fit(&[passed(1.0, 0.5)], &[1.0, 2.0]).unwrap();
        let projection = one.project(2.0).unwrap();
        assert!((projection.loss - 1.5).abs() < 1e-12 && projection.deviation > 0.1, "{projection:?}");
        // worse now is never better then
        let falling: Vec<Passed> = (0..50).map(|index| passed(f64::from(index), -f64::from(index))).collect();
        let line = Line::fit(&falling, &[0.0]).unwrap();
        assert_eq!(line.project(0.0).unwrap().loss, line.project(40.0).unwrap().loss);
    }

    #[test]
    fn it_is_less_sure_far_from_those_who_passed_and_of_what_is_projected() {
        let few = [passed(1.0, 0.5), passed(1.1, 0.62), passed(1.2, 0.69)];
        let line = Line::fit(&few, &[3.0]).unwrap();
        let deviation = |line: &Line, loss| line.project(loss).unwrap().deviation;
        assert!(
            deviation(&line, 1.1) < deviation(&line, 1.5) && deviation(&line, 1.5) < deviation(&line, 3.0)
        );
        let unsure = few.map(|passed| Passed { deviation: 0.5, ..passed });
        assert!(deviation(&line, 1.1) < deviation(&Line::fit(&unsure, &[3.0]).unwrap(), 1.1));
    }

    #[test]
    fn units_do_not_matter_and_nothing_is_no_line() {
        let few = [(1.0, 0.5), (1.1, 0.62), (1.2, 0.69)];
        let expected = Line::fit(&few.map(|(a, b)| passed(a, b)), &[3.0]).unwrap().project(3.0).unwrap();
        for unit in [1e-300, 1e-9, 1e300] {
            let scaled = few.map(|(a, b)| passed(unit * a, unit * b));
            let found = Line::fit(&scaled, &[3.0 * unit]).unwrap().project(3.0 * unit).unwrap();
            assert!((found.loss / unit - expected.loss).abs() < 1e-9, "{unit} {found:?}");
            assert!((found.deviation / unit - expected.deviation).abs() < 1e-9, "{unit} {found:?}");
        }
        assert!(Line::fit(&[], &[1.0]).is_none() && Line::fit(&[passed(0.0, 0.0)], &[0.0]).is_none());
        let same = Line::fit(&[passed(1.0, 1.0)], &[1.0]).unwrap();
        assert_eq!(same.project(1.0), Some(Projection { loss: 1.0, deviation: 0.0 }));
        assert_eq!(same.project(f64::INFINITY), None);
    }

    #[test]
    fn a_report_stands_for_steps_that_are_near() {
        let mut curve = Curve::default();
        for step in [1, 20, 32] {
            curve.push(step, vec![Some(step as f64), None]);
        }
        let at = |step| loss_at(&curve, step, 0);
        assert_eq!(
            [at(0), at(1), at(2), at(20), at(21), at(22), at(34)],
            [None, Some(1.0), None, Some(20.0), Some(20.0), None, Some(32.0)]
        );
        assert_eq!((loss_at(&curve, 20, 1), loss_at(&curve, 20, 2)), (None, None));
    }
}
