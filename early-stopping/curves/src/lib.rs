//! What early-stopping rules share: how trials compare at a step, what they would come
//! to, how long whole ones are, and numbers in words.
#![forbid(unsafe_code)]

mod lengths;
mod projection;
mod rank;

pub use lengths::Lengths;
pub use projection::{Line, Passed, Projection, loss_at};
pub use rank::{Standing, fronts};

/// A number to five significant digits, for the reason of a verdict.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..7).contains(&magnitude) {
        return format!("{value:.4e}");
    }
    let decimals = (4 - magnitude).max(0) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 1.0, 0.1 + 0.2, 123_456.7, -0.000_123_456, 1e-9, f64::INFINITY, 20.0];
        let texts = ["0", "1", "0.3", "123457", "-0.00012346", "1.0000e-9", "inf", "20"];
        assert_eq!(numbers.map(short), texts);
    }
}
