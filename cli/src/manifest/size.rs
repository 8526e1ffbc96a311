//! Amounts of memory as people write them: bytes as a number, or a text such as "2GiB".

use super::tree::{Kind, Node};

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// A process needs some address space to start at all.
const BYTES_MIN: u64 = 64 << 20;

/// How amounts are written, for messages.
pub(super) const FORM: &str = "a number of bytes, or a text with a unit such as \"2GiB\" or \"500MB\"";

/// What a JSON Schema can say of the texts.
pub(super) const PATTERN: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*(KiB|MiB|GiB|TiB|kB|MB|GB)\s*$";

/// The bytes that a value means, or what is wrong with it, to be put after its name.
pub(super) fn read(node: &Node) -> Result<u64, String> {
    let bytes = match &node.kind {
        Kind::Int(number) => u64::try_from(*number).ok(),
        Kind::Text(text) => bytes(text),
        _ => None,
    };
    match bytes {
        Some(bytes) if bytes >= BYTES_MIN => Ok(bytes),
        Some(_) => Err(format!("must be at least 64MiB, found {}", node.describe())),
        None => Err(format!(
            "must be {FORM}, found {}; the units are KiB, MiB, GiB, TiB, kB, MB, GB",
            node.describe()
        )),
    }
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic())?);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let amount: f64 =
        number.trim().parse().ok().filter(|amount: &f64| amount.is_finite() && *amount >= 0.0)?;
    Some((amount * *factor as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2GiB", Some(2 << 30)),
            ("1.5 MiB", Some(3 << 19)),
            ("500MB", Some(500_000_000)),
            ("2G", None),
            ("GiB", None),
            ("100", None),
            ("-1GiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
