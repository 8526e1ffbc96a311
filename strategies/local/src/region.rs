//! The part of the space that is searched now, and how its width follows from what its steps have brought.

use serde::{Deserialize, Serialize};

/// Radius after a failed step of a model, and of a poll; after a poll that succeeded.
const MODEL_FAILED: f64 = 0.5;
const POLL_FAILED: f64 = 0.9;
const POLL_SUCCEEDED: f64 = 1.5;
/// Radius after a step of a model that succeeded at the region's border.
const BORDER_REACHED: f64 = 2.0;
/// From here on, in units of the radius, a step has reached the border.
const BORDER: f64 = 0.8;
/// A region never becomes wider.
const RADIUS_MAX: f64 = 0.5;
/// Steps of a model that fail in a row before a poll shows it something new.
const MODEL_FAILURES_MAX: u32 = 2;

/// A cube around a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Region {
    /// Counts regions, so that steps of an earlier one are told apart.
    pub(crate) number: u64,
    /// The trial in the middle, by its place among those that were told.
    pub(crate) centre: usize,
    /// Half the width, in the unit cube.
    pub(crate) radius: f64,
    /// Steps of the model that have failed since anything succeeded or a poll was made.
    model_failures: u32,
}

/// What a suggestion was made for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// To know something of the space, or to begin a region there.
    Start,
    /// The lowest point of the model, so far from the centre in units of the radius.
    Model { length: f64 },
    /// A direction at random.
    Poll,
    /// One choice or coarse level was changed.
    Neighbour,
}

/// A step that has no result yet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) step: Step,
    pub(crate) region: u64,
    pub(crate) centre: usize,
    pub(crate) radius: f64,
    /// Whether as many trials as a plane needs were near: only then failure says that the region is too wide.
    pub(crate) is_known: bool,
}

impl Region {
    pub(crate) fn new(number: u64, centre: usize, radius: f64) -> Self {
        Self { number, centre, radius, model_failures: 0 }
    }

    /// Whether the model has its turn.
    pub(crate) fn is_for_model(&self) -> bool {
        self.model_failures < MODEL_FAILURES_MAX
    }

    /// A poll is made.
    pub(crate) fn polled(&mut self) {
        self.model_failures = 0;
    }

    /// A step from here came out better than the centre.
    pub(crate) fn succeeded(&mut self, taken: Taken, trial: usize) {
        self.centre = trial;
        self.model_failures = 0;
        match taken.step {
            Step::Model { length } if length >= BORDER => {
                self.radius = self.radius.max((taken.radius * BORDER_REACHED).min(RADIUS_MAX));
            }
            // the model knows where it goes: what is near tells it more
            Step::Model { length } => self.radius = self.radius.min(taken.radius * (2.0 * length).max(0.3)),
            Step::Poll => self.radius = self.radius.max((taken.radius * POLL_SUCCEEDED).min(RADIUS_MAX)),
            Step::Start | Step::Neighbour => {}
        }
    }

    /// One did not. Steps that were under way together narrow the region once.
    pub(crate) fn failed(&mut self, taken: Taken) {
        let factor = match taken.step {
            Step::Model { .. } => {
                self.model_failures += 1;
                if taken.is_known { MODEL_FAILED } else { 1.0 }
            }
            Step::Poll if taken.is_known => POLL_FAILED,
            Step::Start | Step::Poll | Step::Neighbour => 1.0,
        };
        self.radius = self.radius.min(taken.radius * factor);
    }

    /// Somebody else has found something better, so far away.
    pub(crate) fn move_to(&mut self, trial: usize, distance: f64, radius_max: f64) {
        self.centre = trial;
        self.model_failures = 0;
        self.radius = self.radius.max(distance.min(radius_max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(step: Step, region: &Region) -> Taken {
        Taken { step, region: region.number, centre: region.centre, radius: region.radius, is_known: true }
    }

    #[test]
    fn success_at_the_border_widens_and_failure_narrows() {
        let mut region = Region::new(0, 0, 0.1);
        region.succeeded(taken(Step::Model { length: 1.0 }, &region), 1);
        assert_eq!((region.centre, region.radius), (1, 0.2));
        region.succeeded(taken(Step::Model { length: 0.2 }, &region), 2);
        assert!((region.radius - 0.08).abs() < 1e-12);
        // four at a time narrow it once
        let together = taken(Step::Model { length: 1.0 }, &region);
        (0..4).for_each(|_| region.failed(together));
        assert!((region.radius - 0.04).abs() < 1e-12 && !region.is_for_model());
        region.polled();
        assert!(region.is_for_model());
        for _ in 0..40 {
            region.succeeded(taken(Step::Poll, &region), 3);
        }
        assert_eq!(region.radius, RADIUS_MAX);
        region.move_to(9, 0.05, 0.2);
        assert_eq!((region.centre, region.radius), (9, RADIUS_MAX));
    }
}
