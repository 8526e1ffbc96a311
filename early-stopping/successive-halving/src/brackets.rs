//! Which trial is in which bracket: by its number alone, in a fixed cycle in which each bracket has its share, spread
//! evenly.
//!
//! The shares are Hyperband's: bracket b of B begins with ceil(B / (s + 1) * factor^s) trials, with s = B - 1 - b, so
//! that each spends about as much (Li et al. 2018, algorithm 1).

/// The cycle.
#[derive(Clone, Debug)]
pub struct Brackets {
    cycle: Vec<usize>,
}

impl Brackets {
    /// `count` brackets; 0 is the one with the lowest rung.
    pub fn new(count: usize, reduction_factor: f64) -> Self {
        let share = |bracket: usize| {
            let s = (count - 1 - bracket) as i32;
            (count as f64 / f64::from(s + 1) * reduction_factor.powi(s)).ceil()
        };
        let mut shares: Vec<f64> = (0..count).map(share).collect();
        // the cycle stays short: what matters is the ratio
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        shares.iter_mut().for_each(|share| *share = (*share / least).round().clamp(1.0, LONGEST));
        let length = shares.iter().sum::<f64>() as usize;
        let mut given = vec![0.0; count];
        let mut cycle = Vec::with_capacity(length);
        for _ in 0..length {
            // whoever is furthest behind its share; the first of equals
            let behind = |bracket: &usize| (given[*bracket] + 1.0) / shares[*bracket];
            let next = (0..count).min_by(|a, b| behind(a).total_cmp(&behind(b))).unwrap_or(0);
            given[next] += 1.0;
            cycle.push(next);
        }
        Self { cycle }
    }

    /// The bracket of a trial.
    pub fn of(&self, trial: u64) -> usize {
        self.cycle[(trial % self.cycle.len() as u64) as usize]
    }
}

/// Of one bracket in the cycle.
const LONGEST: f64 = 10_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bracket_has_its_share() {
        let one = Brackets::new(1, 3.0);
        assert!((0..100).all(|trial| one.of(trial) == 0));
        // 9, 5 and 3 trials, over the least
        let three = Brackets::new(3, 3.0);
        assert_eq!(three.cycle.len(), 6);
        let count = |bracket| (0..600).filter(|trial| three.of(*trial) == bracket).count();
        assert_eq!([count(0), count(1), count(2)], [300, 200, 100]);
        assert_eq!(three.of(u64::MAX), three.of(u64::MAX - 6));
        for count in 1..=8 {
            let most = Brackets::new(count, 16.0);
            assert!((0..count).all(|bracket| most.cycle.contains(&bracket)), "{count}");
        }
    }
}
