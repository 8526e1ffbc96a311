//! What a strategy's model expected of a point before it was evaluated. It travels with the suggestion into the
//! journal, so that people can ask later how far the model was to be trusted; the study itself never looks at it.
//! And what a strategy would choose for good, by its model rather than by the luckiest measurement.

use crate::space::Point;
use serde_json::{Map, Value};

/// What a model expects of the first metric at one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Of the loss: always minimised, whatever the metric's goal; in the metric's unit.
    pub mean: f64,
    /// Standard deviation of the value that will be observed, in the same unit: what the model does not know, and
    /// the noise of a measurement. At least 0.
    pub deviation: f64,
    /// Natural logarithm of the acquisition value for which the point was chosen.
    pub acquisition: Option<f64>,
}

impl Prediction {
    /// Without an acquisition value.
    pub fn new(mean: f64, deviation: f64) -> Self {
        Self { mean, deviation, acquisition: None }
    }

    /// The same with the natural logarithm of the acquisition value.
    pub fn with_acquisition(mut self, acquisition: f64) -> Self {
        self.acquisition = Some(acquisition);
        self
    }

    /// How much lower than `best` the loss is expected to be, counting 0 where it is not lower; at least 0, in the unit of
    /// the loss: `E[max(best - loss, 0)]` of a normal distribution (Jones, Schonlau and Welch 1998, equation 15).
    pub fn expected_improvement(&self, best: f64) -> f64 {
        let gain = best - self.mean;
        if self.deviation <= 0.0 {
            return gain.max(0.0);
        }
        let z = gain / self.deviation;
        let density = libm::exp(-0.5 * z * z) / (2.0 * std::f64::consts::PI).sqrt();
        let below = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
        (gain * below + self.deviation * density).max(0.0)
    }

    /// What of it can be used: `None` if the mean is not finite or the deviation is no finite number from 0 on; an
    /// acquisition value that is not finite is left out.
    pub fn usable(self) -> Option<Self> {
        let is_usable = self.mean.is_finite() && self.deviation.is_finite() && self.deviation >= 0.0;
        is_usable.then(|| Self { acquisition: self.acquisition.filter(|value| value.is_finite()), ..self })
    }

    /// As it is written for programs: `mean`, `deviation` and, if there is one, `acquisition`.
    pub fn to_json(self) -> Value {
        let mut object = Map::new();
        object.insert("mean".into(), self.mean.into());
        object.insert("deviation".into(), self.deviation.into());
        if let Some(acquisition) = self.acquisition {
            object.insert("acquisition".into(), acquisition.into());
        }
        object.into()
    }

    /// The reverse of `to_json`. What cannot be used is no prediction, and never an error: no suggestion is lost for
    /// what was said beside it. Keys that are not known are passed over.
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |key: &str| value.get(key).and_then(Value::as_f64);
        let acquisition = number("acquisition");
        Self { mean: number("mean")?, deviation: number("deviation")?, acquisition }.usable()
    }
}

/// A point that a strategy would choose for good, with what its model expects there.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// In the space, constraints satisfied; it need not have been evaluated.
    pub point: Point,
    /// Of the loss of the first metric: always minimised, whatever the metric's goal; in the metric's unit. With a
    /// fidelity, that of a full evaluation.
    pub mean: f64,
    /// Standard deviation of that loss, in the same unit: what the model does not know, without the noise of a
    /// measurement. At least 0.
    pub deviation: f64,
}

impl Recommendation {
    /// A point with the expected loss and how unsure the model is of it.
    pub fn new(point: Point, mean: f64, deviation: f64) -> Self {
        Self { point, mean, deviation }
    }

    /// Whether the numbers can be used: finite, and the deviation at least 0.
    pub fn is_usable(&self) -> bool {
        Prediction::new(self.mean, self.deviation).usable().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read() {
        for prediction in [
            Prediction::new(0.1, 0.0),
            Prediction::new(-1e300, 5e-324).with_acquisition(-12.5),
            Prediction::new(-0.0, 1.0).with_acquisition(0.1 + 0.2),
        ] {
            let text = prediction.to_json().to_string();
            let again = Prediction::from_json(&serde_json::from_str(&text).unwrap());
            assert_eq!(again, Some(prediction), "{text}");
        }
    }

    /// Against numerical integration of the definition.
    #[test]
    fn the_expected_improvement_is_that_of_its_definition() {
        for (mean, deviation, best) in
            [(0.0, 1.0, 0.0), (2.0, 0.5, 1.0), (-1.0, 2.0, 3.0), (1.0, 1e-3, 1.001)]
        {
            let count = 200_000;
            let width = 20.0 * deviation / f64::from(count);
            let sum: f64 = (0..count)
                .map(|step| {
                    let loss = mean + 20.0 * deviation * ((f64::from(step) + 0.5) / f64::from(count) - 0.5);
                    let z = (loss - mean) / deviation;
                    (best - loss).max(0.0) * (-0.5 * z * z).exp()
                })
                .sum();
            let expected = sum * width / (deviation * (2.0 * std::f64::consts::PI).sqrt());
            let found = Prediction::new(mean, deviation).expected_improvement(best);
            assert!((found - expected).abs() <= 1e-7 * deviation, "{found} {expected}");
        }
        assert_eq!(Prediction::new(1.0, 0.0).expected_improvement(3.0), 2.0);
        assert_eq!(Prediction::new(1.0, 0.0).expected_improvement(0.0), 0.0);
    }

    #[test]
    fn what_is_not_finite_is_dropped() {
        for (mean, deviation) in
            [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (0.0, f64::NAN), (0.0, f64::INFINITY), (0.0, -1.0)]
        {
            assert_eq!(Prediction::new(mean, deviation).usable(), None);
        }
        let hopeless = Prediction::new(1.0, 2.0).with_acquisition(f64::NEG_INFINITY);
        assert_eq!(hopeless.usable(), Some(Prediction::new(1.0, 2.0)));
    }

    #[test]
    fn what_makes_no_sense_is_no_prediction() {
        for value in
            [json!(null), json!(3), json!([1, 2]), json!({"mean": 1}), json!({"mean": "1", "deviation": 1})]
        {
            assert_eq!(Prediction::from_json(&value), None, "{value}");
        }
        let later = json!({"mean": 1, "deviation": 2, "acquisition": "high", "quantiles": [0.1, 0.9]});
        assert_eq!(Prediction::from_json(&later), Some(Prediction::new(1.0, 2.0)));
    }
}
