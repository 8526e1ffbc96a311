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
    /// the one with the lowest number.
    pub fn promotable(&mut self, passing: usize) -> Option<(&Arrival, usize)> {
        if self.is_settled || passing == 0 {
            return None;
        }
        let allowed = self.waiting.iter().filter(|arrival| arrival.excess <= 0.0);
        let better_counts = self.allowed.better_counts(allowed.clone().map(|arrival| &arrival.losses[..]));
        let broken = self.waiting.iter().filter(|arrival| arrival.excess > 0.0);
        let excesses = broken.clone().map(|arrival| std::slice::from_ref(&arrival.excess));
        let others = self.broken.better_counts(excesses).into_iter().map(|count| self.allowed.len() + count);
        let found = (allowed.zip(better_counts))
            .chain(broken.zip(others))
            .filter(|(_, better)| *better < passing)
            .min_by_key(|(arrival, better)| (*better, arrival.trial));
        self.is_settled = found.is_none();
        found
    }
}
