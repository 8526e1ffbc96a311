//! A pseudo-random permutation of 0..length that needs no memory: a Feistel network with cycle walking.
//!
//! Sources: Luby and Rackoff 1988, "How to Construct Pseudorandom Permutations from Pseudorandom Functions";
//! Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains", section on cycle walking. It scatters a
//! grid; it does not keep secrets.

/// Enough that neighbouring indices end up unrelated even where a half has a single bit.
const ROUND_COUNT: u64 = 8;

/// A permutation of `0..length`, chosen by a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Permutation {
    length: u128,
    /// Bits of each half of the network, at most 64: its domain is below four times the length.
    half_bits: u32,
    key: u64,
}

impl Permutation {
    /// The permutation of `0..length` that belongs to `key`.
    pub(crate) fn new(length: u128, key: u64) -> Self {
        let bits = u128::BITS - length.saturating_sub(1).leading_zeros();
        Self { length, half_bits: bits.div_ceil(2).max(1), key }
    }

    /// Where `index` goes. `index` must be below the length: beyond it there may be no place to go.
    pub(crate) fn apply(&self, index: u128) -> u128 {
        debug_assert!(index < self.length);
        // The walk stays on the cycle of `index` in the larger domain, so it returns below the length.
        let mut place = self.network(index);
        while place >= self.length {
            place = self.network(place);
        }
        place
    }

    fn network(&self, value: u128) -> u128 {
        let mask = if self.half_bits == 64 { u64::MAX } else { (1 << self.half_bits) - 1 };
        let (mut left, mut right) = ((value >> self.half_bits) as u64 & mask, value as u64 & mask);
        for round in 0..ROUND_COUNT {
            let hash = mix(right ^ mix(self.key.wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
            (left, right) = (right, left ^ (hash >> (64 - self.half_bits)) & mask);
        }
        u128::from(left) << self.half_bits | u128::from(right)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit of the input moves every bit of the result.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        for length in (1..=70).chain([255, 256, 257, 1000, 4097]) {
            for key in 0..5 {
                let permutation = Permutation::new(length, key);
                let places: HashSet<u128> = (0..length).map(|index| permutation.apply(index)).collect();
                assert_eq!(places.len() as u128, length);
                assert!(places.iter().all(|&place| place < length));
            }
        }
    }

    #[test]
    fn enormous_lengths_work_and_do_not_collide() {
        for length in [10_u128.pow(15), 1 << 64, (1 << 64) + 1, u128::MAX - 1, u128::MAX] {
            let permutation = Permutation::new(length, 7);
            let indices: Vec<u128> = (0..1_000).chain((0..1_000).map(|i| length - 1 - i)).collect();
            let places: HashSet<u128> = indices.iter().map(|&index| permutation.apply(index)).collect();
            assert_eq!(places.len(), indices.len());
            assert!(places.iter().all(|&place| place < length));
        }
    }

    #[test]
    fn the_order_is_scattered_and_depends_on_the_key() {
        let length = 10_000;
        let places = |key| -> Vec<u128> {
            let permutation = Permutation::new(length, key);
            (0..length).map(|index| permutation.apply(index)).collect()
        };
        let (first, second) = (places(1), places(2));
        // A random permutation has one fixed point and agrees with another in one place, on average.
        let agreements = |a: &[u128], b: &[u128]| a.iter().zip(b).filter(|(a, b)| a == b).count();
        assert!(agreements(&first, &second) < 8);
        assert!(agreements(&first, &(0..length).collect::<Vec<_>>()) < 8);
        // Rank correlation of neighbours: five standard errors are 5 / sqrt(10,000).
        let mean = (length - 1) as f64 / 2.0;
        let variance = (length as f64 * length as f64 - 1.0) / 12.0;
        let covariance =
            first.windows(2).map(|pair| (pair[0] as f64 - mean) * (pair[1] as f64 - mean)).sum::<f64>();
        assert!((covariance / 9_999.0 / variance).abs() < 0.05, "{}", covariance / 9_999.0 / variance);
        // The first tenth is spread over all tenths: 100 expected in each.
        let mut counts = [0; 10];
        first[..1_000].iter().for_each(|place| counts[(place / 1_000) as usize] += 1);
        assert!(counts.iter().all(|count| (60..=145).contains(count)), "{counts:?}");
    }
}
