//! A rung: who came to it, and who of them waits there.

use ansatz_curves::Standing;

/// Who came to a rung.
#[derive(Clone, Debug)]
pub struct Rung {
    /// By their losses.
    pub(super) allowed: Standing,
    /// Those that break an outcome constraint there, as far as is known, by how much they do altogether.
    pub(super) broken: Standing,
    /// Those that were stopped there, have ended, and do not go on yet.
    waiting: Vec<Arrival>,
    /// Nobody has come, and nobody waits or goes on, since it was seen that nobody may.
    is_settled: bool,
}

/// How a trial came to a rung.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// Its number.
    pub trial: u64,
    /// The step of its report there, at or above the rung.
    pub step: u64,
    /// One per metric; infinite for what could not be measured.
    pub losses: Vec<f64>,
    /// By how much it breaks outcome constraints altogether; 0 for one that is not known to break any.
    pub excess: f64,
}

impl Rung {
    /// One that nobody came to.
    pub fn new(metric_count: usize) -> Self {
        let (allowed, broken) = (Standing::new(metric_count), Standing::new(1));
        Self { allowed, broken, waiting: Vec::new(), is_settled: true }
    }

    /// How many came.
    pub fn len(&self) -> usize {
        self.allowed.len() + self.broken.len()
    }

    /// Adds a trial, and gives how many of those that were there stand strictly better.
    pub fn place(&mut self, arrival: &Arrival) -> usize {
        self.is_settled = false;
        match arrival.excess > 0.0 {
            true => self.allowed.len() + self.broken.place(&[arrival.excess]),
            false => self.allowed.place(&arrival.losses),
        }
    }

    /// A trial that came has ended here.
    pub fn wait(&mut self, arrival: Arrival) {
        self.is_settled = false;
        self.waiting.push(arrival);
    }

    /// A trial that waited goes on.
    pub fn leave(&mut self, trial: u64) {
        self.waiting.retain(|arrival| arrival.trial != trial);
    }

    /// The best of those that wait, with the number of all trials that stand better, if that is below `passing`; of equals
    /// the one with the lowest number. None without a single value.
    pub fn promotable(&mut self, passing: usize) -> Option<(&Arrival, usize)> {
        if self.is_settled || passing == 0 {
            return None;
        }
        let found = self.promotable_from(0, passing);
        self.is_settled = found.is_none();
        let (index, better) = found?;
        Some((&self.waiting[index], better))
    }

    /// The same of those that have come to this step, which waits here no more.
    pub fn take_promotable_from(&mut self, step: u64, passing: usize) -> Option<Arrival> {
        if self.is_settled || passing == 0 || self.waiting.iter().all(|arrival| arrival.step < step) {
            return None;
        }
        let (index, _) = self.promotable_from(step, passing)?;
        Some(self.waiting.remove(index))
    }

    /// Its index among those that wait.
    fn promotable_from(&self, step: u64, passing: usize) -> Option<(usize, usize)> {
        let (mut indices, mut allowed, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        let mut broken_indices = Vec::new();
        let waiting = self.waiting.iter().enumerate();
        for (index, arrival) in waiting.filter(|(_, arrival)| arrival.step >= step && arrival.has_value()) {
            if arrival.excess > 0.0 {
                broken_indices.push(index);
                broken.push(std::slice::from_ref(&arrival.excess));
            } else {
                indices.push(index);
                allowed.push(&arrival.losses[..]);
            }
        }
        let mut better = self.allowed.better_counts(allowed.into_iter());
        let behind = self.broken.better_counts(broken.into_iter());
        better.extend(behind.into_iter().map(|count| self.allowed.len() + count));
        indices.extend(broken_indices);
        (indices.into_iter().zip(better))
            .filter(|(_, better)| *better < passing)
            .min_by_key(|(index, better)| (*better, self.waiting[*index].trial))
    }
}

impl Arrival {
    /// Whether anything was measured.
    pub fn has_value(&self) -> bool {
        self.losses.iter().any(|loss| loss.is_finite())
    }
}
