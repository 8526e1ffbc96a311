//! A full assignment of the active parameters of a space.

use std::fmt;

/// One coordinate per active parameter, in the order of the space; inactive parameters are absent.
///
/// A point is only coordinates (8 bytes per parameter): the `Space` that made it gives them names and
/// values. Equality is bit for bit, so points can be looked up in hash maps.
#[derive(Clone)]
pub struct Point {
    /// Inactive is NaN here and at the plugin boundary, and nowhere else: `get` says `None`.
    flat: Box<[f64]>,
}

impl Point {
    /// A point from coordinates in space order, `None` where a parameter is inactive.
    /// A coordinate that is NaN counts as inactive.
    pub fn new(coordinates: impl IntoIterator<Item = Option<f64>>) -> Self {
        Self::from_flat_iter(coordinates.into_iter().map(|c| c.unwrap_or(f64::NAN)))
    }

    /// A point from the boundary's flat form: space order, inactive as NaN.
    pub fn from_flat(flat: &[f64]) -> Self {
        Self::from_flat_iter(flat.iter().copied())
    }

    /// As `from_flat`, from an iterator.
    pub fn from_flat_iter(flat: impl IntoIterator<Item = f64>) -> Self {
        // one NaN, one zero: equality and hashing are by bits
        Self { flat: flat.into_iter().map(|c| if c.is_nan() { f64::NAN } else { c + 0.0 }).collect() }
    }

    /// The boundary's flat form: space order, inactive as NaN. For wire code; everyone else asks `get`.
    pub fn flat(&self) -> &[f64] {
        &self.flat
    }

    /// The coordinate of a parameter, `None` where it is inactive or there is no such parameter.
    pub fn get(&self, parameter_index: usize) -> Option<f64> {
        self.flat.get(parameter_index).copied().filter(|c| !c.is_nan())
    }

    /// Whether the parameter is active.
    pub fn is_active(&self, parameter_index: usize) -> bool {
        self.get(parameter_index).is_some()
    }

    /// One entry per parameter of the space, in its order.
    pub fn coordinates(&self) -> impl ExactSizeIterator<Item = Option<f64>> + '_ {
        self.flat.iter().map(|c| (!c.is_nan()).then_some(*c))
    }

    /// How many parameters the space has that this point belongs to.
    pub fn parameter_count(&self) -> usize {
        self.flat.len()
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Self) -> bool {
        self.flat.len() == other.flat.len()
            && self.flat.iter().zip(&other.flat).all(|(a, b)| a.to_bits() == b.to_bits())
    }
}
impl Eq for Point {}

impl std::hash::Hash for Point {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for coordinate in &self.flat {
            coordinate.to_bits().hash(state);
        }
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.coordinates()).finish()
    }
}

/// The flat form with `null` for inactive: for snapshots, not for people (who get names and values).
impl serde::Serialize for Point {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.coordinates())
    }
}

impl<'de> serde::Deserialize<'de> for Point {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(Vec::<Option<f64>>::deserialize(deserializer)?))
    }
}
