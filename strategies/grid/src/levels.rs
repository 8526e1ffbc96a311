//! The values that a grid gives one parameter.

use ansatz_core::space::{Domain, Scale};

/// The most levels that a resolution may ask for: they are held in memory.
pub(crate) const RESOLUTION_MAX: u32 = 1_000_000;

/// Levels of one parameter, as coordinates in ascending order, all different.
#[derive(Debug)]
pub(crate) enum Levels {
    /// Every value of a discrete domain, computed when looked at: an int may have 2^53.
    Every(Domain, u64),
    /// A chosen few.
    Chosen(Vec<f64>),
}

impl Levels {
    /// All values of a discrete domain, or `resolution` values if it has more, evenly spread over its scale from
    /// the lowest to the highest; the middle for a resolution of 1. Rounding to a discrete domain on a log scale
    /// may leave fewer. Categorical and bool domains have no scale: `None` if they are to be thinned out.
    pub(crate) fn new(domain: &Domain, resolution: Option<u32>, default_resolution: u32) -> Option<Self> {
        let wanted = match (domain.value_count(), resolution) {
            (Some(count), None) => return Some(Self::Every(domain.clone(), count)),
            (Some(count), Some(wanted)) if count <= u64::from(wanted) => {
                return Some(Self::Every(domain.clone(), count));
            }
            (_, resolution) => resolution.unwrap_or(default_resolution),
        };
        if matches!(domain, Domain::Categorical { .. } | Domain::Bool) {
            return None;
        }
        let (lower, upper) = (domain.lower(), domain.upper());
        let mut levels: Vec<f64> = if wanted == 1 {
            vec![domain.from_unit(0.5)]
        } else {
            (0..wanted)
                .map(|level| {
                    let share = f64::from(level) / f64::from(wanted - 1);
                    // The bounds themselves at both ends, whatever a logarithm and its inverse make of them.
                    match level {
                        0 => lower,
                        _ if level == wanted - 1 => upper,
                        _ => domain.snap(between(lower, upper, share, scale(domain))),
                    }
                })
                .collect()
        };
        levels.dedup();
        Some(Self::Chosen(levels))
    }

    /// How many there are; at least 1.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Every(_, count) => *count,
            Self::Chosen(levels) => levels.len() as u64,
        }
    }

    /// The coordinate of a level below `count`.
    pub(crate) fn coordinate(&self, level: u64) -> f64 {
        match self {
            Self::Every(domain, _) => domain.nth(level),
            Self::Chosen(levels) => levels[level as usize],
        }
    }

    /// The first level whose coordinate is at least `coordinate`; `count` if there is none.
    pub(crate) fn at_or_above(&self, coordinate: f64) -> u64 {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.coordinate(middle) < coordinate { low = middle + 1 } else { high = middle }
        }
        low
    }
}

fn scale(domain: &Domain) -> Scale {
    match domain {
        Domain::Float { scale, .. } | Domain::Int { scale, .. } => *scale,
        _ => Scale::Linear,
    }
}

/// The place at `share` of the way, by difference or by ratio.
fn between(lower: f64, upper: f64, share: f64, scale: Scale) -> f64 {
    match scale {
        // As a convex sum: a range of 1e308 does not overflow.
        Scale::Linear => lower * (1.0 - share) + upper * share,
        Scale::Log => libm::exp(libm::log(lower) * (1.0 - share) + libm::log(upper) * share),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::space::Parameter;

    fn levels(parameter: Parameter, resolution: Option<u32>) -> Vec<f64> {
        let levels = Levels::new(&parameter.domain, resolution, 5).unwrap();
        (0..levels.count()).map(|level| levels.coordinate(level)).collect()
    }

    #[test]
    fn linear_levels_are_evenly_spaced_with_both_bounds() {
        assert_eq!(levels(Parameter::float("x", -1.0, 1.0), None), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(levels(Parameter::float("x", 0.0, 8.0), Some(3)), [0.0, 4.0, 8.0]);
        assert_eq!(levels(Parameter::float("x", 0.0, 8.0), Some(1)), [4.0]);
        assert_eq!(levels(Parameter::float("x", 3.0, 3.0), Some(7)), [3.0]);
        assert_eq!(levels(Parameter::float("x", -1e308, 1e308), Some(3)), [-1e308, 0.0, 1e308]);
    }

    #[test]
    fn log_levels_are_geometric_with_both_bounds() {
        for (lower, upper) in [(1e-5, 1.0), (0.1, 0.3), (3e-300, 7e300)] {
            for resolution in [2, 4, 7, 100] {
                let found = levels(Parameter::float("x", lower, upper).log(), Some(resolution));
                assert_eq!(found.len(), resolution as usize);
                assert_eq!((found[0], found[found.len() - 1]), (lower, upper));
                let ratio = (libm::log(upper) - libm::log(lower)) / f64::from(resolution - 1);
                for pair in found.windows(2) {
                    assert!(
                        ((libm::log(pair[1]) - libm::log(pair[0])) / ratio - 1.0).abs() < 1e-9,
                        "{found:?}"
                    );
                }
            }
        }
        assert_eq!(levels(Parameter::int("x", 1, 1000).log(), Some(4)), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(levels(Parameter::int("x", 1, 4).log(), Some(3)), [1.0, 2.0, 4.0]);
        // Five geometric levels between 10 and 14, of five values.
        assert_eq!(levels(Parameter::int("x", 10, 14).log(), Some(5)).len(), 5);
    }

    #[test]
    fn discrete_domains_give_every_value_unless_told_otherwise() {
        assert_eq!(levels(Parameter::int("x", 2, 5), None), [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(levels(Parameter::int("x", 0, 100), Some(3)), [0.0, 50.0, 100.0]);
        assert_eq!(levels(Parameter::int("x", 0, 3), Some(9)), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(levels(Parameter::ordinal("x", [1_i64, 2, 4, 8, 16]), Some(3)), [0.0, 2.0, 4.0]);
        assert_eq!(levels(Parameter::categorical("x", ["a", "b", "c"]), None), [0.0, 1.0, 2.0]);
        assert_eq!(levels(Parameter::bool("x"), Some(2)), [0.0, 1.0]);
        assert!(Levels::new(&Parameter::bool("x").domain, Some(1), 5).is_none());
        assert!(Levels::new(&Parameter::categorical("x", ["a", "b", "c"]).domain, Some(2), 5).is_none());
        // Thinning never repeats a value, and never leaves less than asked for on a linear scale.
        for count in 2..=40 {
            for resolution in 2..=40 {
                let found = levels(Parameter::int("x", 1, count), Some(resolution));
                assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{count} {resolution}: {found:?}");
                assert_eq!(found.len(), (count as usize).min(resolution as usize), "{count}: {found:?}");
                let logarithmic = levels(Parameter::int("x", 1, count).log(), Some(resolution));
                assert!(logarithmic.windows(2).all(|pair| pair[0] < pair[1]), "{logarithmic:?}");
            }
        }
    }

    #[test]
    fn a_level_is_found_by_its_coordinate() {
        for parameter in [
            Parameter::int("x", -5, 1 << 50),
            Parameter::float("x", 0.0, 1.0),
            Parameter::categorical("x", ["a", "b", "c"]),
        ] {
            let levels = Levels::new(&parameter.domain, None, 9).unwrap();
            for level in [0, 1, levels.count() / 2, levels.count() - 1] {
                assert_eq!(levels.at_or_above(levels.coordinate(level)), level);
                assert_eq!(levels.at_or_above(levels.coordinate(level).next_up()), level + 1);
            }
            assert_eq!(levels.at_or_above(f64::NEG_INFINITY), 0);
        }
    }
}
