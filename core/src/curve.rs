//! The learning curve of a trial: what it reported on its way, by step.

use serde::{Deserialize, Serialize};

/// Up to this step every report is kept, and beyond it those whose steps differ by this share.
const STEP_SHARE: u64 = 16;

/// What a trial reported on its way: losses by step, steps increasing.
///
/// A long curve is thinned: of steps that differ by less than a sixteenth only one is kept, besides the last report,
/// so that a million steps make about two hundred points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve(Vec<CurvePoint>);

/// One report of a curve; as JSON `[step, [loss, ...]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u64, Vec<Option<f64>>)", into = "(u64, Vec<Option<f64>>)")]
pub struct CurvePoint {
    /// The trial's own count of progress: epoch, iteration.
    pub step: u64,
    /// One per metric of the problem, minimised; `None` where it was not measured or is not finite.
    pub losses: Vec<Option<f64>>,
}

impl From<(u64, Vec<Option<f64>>)> for CurvePoint {
    fn from((step, losses): (u64, Vec<Option<f64>>)) -> Self {
        Self { step, losses: losses.into_iter().map(|loss| loss.filter(|loss| loss.is_finite())).collect() }
    }
}

impl From<CurvePoint> for (u64, Vec<Option<f64>>) {
    fn from(point: CurvePoint) -> Self {
        (point.step, point.losses)
    }
}

impl Curve {
    /// Adds a report. One that is not beyond the last says nothing new, and is passed over.
    pub fn push(&mut self, step: u64, losses: Vec<Option<f64>>) {
        let point = CurvePoint::from((step, losses));
        if self.last().is_some_and(|last| step <= last.step) {
            return;
        }
        if let [.., kept, last] = self.0.as_mut_slice()
            && last.step - kept.step < (kept.step / STEP_SHARE).max(1)
        {
            *last = point;
        } else {
            self.0.push(point);
        }
    }

    /// The points, in the order of their steps.
    pub fn points(&self) -> &[CurvePoint] {
        &self.0
    }

    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last report.
    pub fn last(&self) -> Option<&CurvePoint> {
        self.0.last()
    }

    /// The latest kept report that is no later than a step.
    pub fn at(&self, step: u64) -> Option<&CurvePoint> {
        self.0[..self.0.partition_point(|point| point.step <= step)].last()
    }

    /// From points as they come from elsewhere; `None` if their steps do not increase.
    pub fn from_points(points: Vec<CurvePoint>) -> Option<Self> {
        points.windows(2).all(|pair| pair[0].step < pair[1].step).then_some(Self(points))
    }

    /// Whether each point has so many losses.
    pub fn has_losses(&self, count: usize) -> bool {
        self.0.iter().all(|point| point.losses.len() == count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(curve: &Curve) -> Vec<u64> {
        curve.points().iter().map(|point| point.step).collect()
    }

    #[test]
    fn a_short_curve_is_kept_whole() {
        let mut curve = Curve::default();
        assert_eq!((curve.last(), curve.at(9)), (None, None));
        for step in [0, 1, 2, 5, 5, 3, 30, 31, 32] {
            curve.push(step, vec![Some(step as f64)]);
        }
        assert_eq!(steps(&curve), [0, 1, 2, 5, 30, 31, 32]);
        assert_eq!(curve.at(4).unwrap().step, 2);
        assert_eq!(curve.at(5).unwrap().losses, [Some(5.0)]);
        assert_eq!(curve.at(u64::MAX), curve.last());
    }

    #[test]
    fn a_long_curve_is_thinned_and_has_its_end() {
        let mut curve = Curve::default();
        for step in 1..=1_000_000 {
            curve.push(step, vec![None]);
            assert_eq!(curve.last().unwrap().step, step);
        }
        let steps = steps(&curve);
        assert!(steps.len() < 220, "{}", steps.len());
        assert_eq!(steps[..32], (1..=32).collect::<Vec<u64>>());
        for asked in [1_u64, 27, 81, 500, 12_345, 777_777] {
            let found = curve.at(asked).unwrap().step;
            assert!(found <= asked && asked - found <= asked / STEP_SHARE, "{asked} {found}");
        }
        // steps that are far apart are all kept, and so are those at the end of numbers
        let mut sparse = Curve::default();
        for exponent in 0..64 {
            sparse.push(1 << exponent, vec![]);
        }
        sparse.push(u64::MAX, vec![]);
        assert_eq!(sparse.points().len(), 65);
    }

    #[test]
    fn as_json_it_is_pairs() {
        let mut curve = Curve::default();
        curve.push(1, vec![Some(0.1), None]);
        curve.push(4, vec![Some(f64::NAN), Some(-3.0)]);
        let text = serde_json::to_string(&curve).unwrap();
        assert_eq!(text, "[[1,[0.1,null]],[4,[null,-3.0]]]");
        assert_eq!(serde_json::from_str::<Curve>(&text).unwrap(), curve);
        let points = |text: &str| serde_json::from_str::<Vec<CurvePoint>>(text).unwrap();
        assert!(curve.has_losses(2) && !curve.has_losses(1));
        assert_eq!(Curve::from_points(points(&text)), Some(curve));
        assert_eq!(Curve::from_points(points("[[2,[1]],[2,[1]]]")), None);
    }
}
