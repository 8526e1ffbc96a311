//! Durations as people write them: seconds as a number, or a text such as "1h30min".

use super::tree::{Kind, Node};
use std::time::Duration;

/// Largest first, as they follow each other in a text; with their length in seconds.
const UNITS: [(&str, f64); 5] = [("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001)];

/// A century: longer durations are slips of the pen, and would overflow clocks.
const SECONDS_MAX: f64 = 100.0 * 365.25 * 86_400.0;

/// How durations are written, for messages.
pub(super) const FORM: &str = "a number of seconds, or a text with units such as \"10min\" or \"1h30min\"";

/// What a JSON Schema can say of the texts.
pub(super) const PATTERN: &str =
    r"^\s*([0-9.]+\s*d)?\s*([0-9.]+\s*h)?\s*([0-9.]+\s*min)?\s*([0-9.]+\s*s)?\s*([0-9.]+\s*ms)?\s*$";

/// The duration that a value means, or what is wrong with it, to be put after its name.
pub(super) fn read(node: &Node) -> Result<Duration, String> {
    let seconds = match &node.kind {
        Kind::Int(number) => *number as f64,
        Kind::Float(number) => *number,
        Kind::Text(text) => seconds(text)?,
        _ => return Err(format!("must be {FORM}, found {}", node.describe())),
    };
    if seconds <= 0.0 {
        return Err(format!("must be above 0, found {}", node.describe()));
    }
    if seconds > SECONDS_MAX {
        return Err(format!("must be at most 36525d, a century, found {}", node.describe()));
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// The seconds that a text such as "1h30min" means, or what is wrong with it.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let mut rest = text.trim();
    let mut total = 0.0;
    let mut next_unit = 0;
    if rest.is_empty() {
        return Err(format!("must be {FORM}, found an empty text"));
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let amount: f64 =
            number.parse().map_err(|_| format!("must be {FORM}: expected a number at {rest:?}"))?;
        let after = after.trim_start();
        let unit_end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let Some(position) = UNITS.iter().position(|(name, _)| *name == unit) else {
            let problem = match unit {
                "" => format!("{number} has no unit"),
                "m" | "M" => "\"m\" may be minutes or months: write min".to_owned(),
                _ => format!("there is no unit {unit:?}"),
            };
            return Err(format!("cannot be {text:?}: {problem}; the units are d, h, min, s, ms"));
        };
        if position < next_unit {
            return Err(format!("cannot be {text:?}: larger units come first, and each once"));
        }
        next_unit = position + 1;
        total += amount * UNITS[position].1;
        rest = after.trim_start();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, expected) in [
            ("10min", 600.0),
            ("1h30min", 5400.0),
            ("1h 30 min", 5400.0),
            ("1.5h", 5400.0),
            ("250ms", 0.25),
            ("2d", 172_800.0),
            ("1d2h3min4s5ms", 93_784.005),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, reason) in [
            ("", "empty"),
            ("10", "no unit"),
            ("10m", "write min"),
            ("10 parsecs", "no unit \"parsecs\""),
            ("min", "expected a number"),
            ("1.2.3s", "expected a number"),
            ("-5s", "expected a number"),
            ("30min1h", "larger units come first"),
            ("1s1s", "each once"),
            ("1µs", "no unit"),
        ] {
            let error = seconds(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
