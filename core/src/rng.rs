//! Randomness: one portable generator, one seed per study, a named stream for each purpose.
//!
//! Nothing in Ansatz draws from the clock or the operating system. ChaCha with 8 rounds has a published
//! output for every key and stream (D. J. Bernstein, "ChaCha, a variant of Salsa20", 2008), so a seed
//! means the same on every machine and in every release.

use rand::SeedableRng;
use rand::rand_core::{Infallible, TryRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A generator. Its state is data: it can be saved, restored and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl TryRng for Rng {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }
    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(destination)
    }
}

/// All randomness of a study, from its one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// The streams of a study seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A seed for one purpose. Names that differ give independent seeds.
    pub fn seed(&self, name: &str) -> u64 {
        use rand::Rng as _;
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(name_hash(name));
        generator.next_u64()
    }

    /// The generator of one purpose.
    pub fn stream(&self, name: &str) -> Rng {
        Rng::new(self.seed(name))
    }

    /// The seed that the objective gets for one trial: a function of study seed and trial number alone,
    /// so that it does not depend on timing, and a retry sees the same.
    pub fn trial_seed(&self, trial_number: u64) -> u64 {
        use rand::Rng as _;
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(name_hash("trial"));
        // two 32-bit words for each trial
        generator.set_word_pos(2 * u128::from(trial_number));
        generator.next_u64()
    }

    /// The generator of what a point of a person leaves out: the `index`-th of a manifest, or the trial of that number.
    pub fn filling(&self, index: u64) -> Rng {
        self.stream(&format!("fill/{index}"))
    }

    /// The generator that finds another point for one trial, whose own was asked for before.
    pub fn resampling(&self, trial_number: u64) -> Rng {
        self.stream(&format!("resample/{trial_number}"))
    }
}

/// FNV-1a, 64 bits: a documented hash that will not change, as the standard library's may.
fn name_hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    /// Changing these numbers changes every stored study: a compatibility decision.
    #[test]
    fn streams_are_the_same_in_every_release() {
        let streams = Streams::new(7);
        let seen =
            [streams.seed("strategy/0"), streams.trial_seed(0), streams.trial_seed(1), Rng::new(7).random()];
        assert_eq!(seen, GOLDEN);
    }
    const GOLDEN: [u64; 4] =
        [9769350568543366964, 682738308056904928, 5007819413280822783, 2910824217569608635];

    #[test]
    fn names_and_trials_have_streams_of_their_own() {
        let streams = Streams::new(1);
        assert_ne!(streams.seed("a"), streams.seed("b"));
        assert_ne!(streams.seed("a"), Streams::new(2).seed("a"));
        let seeds: std::collections::HashSet<u64> = (0..1000).map(|n| streams.trial_seed(n)).collect();
        assert_eq!(seeds.len(), 1000);
    }

    #[test]
    fn a_saved_generator_goes_on_where_it_was() {
        let mut rng = Rng::new(3);
        let _: u32 = rng.random();
        let bytes = rmp_serde::to_vec_named(&rng).unwrap();
        let mut again: Rng = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(again.random::<u64>(), rng.random::<u64>());
    }
}
