//! What must hold between parameters: linear and comparison relations, and forbidden combinations.

use super::condition::Condition;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Slack, relative to the size of the terms, by which a float sum may miss a non-strict bound.
const ROUNDING: f64 = 1e-12;

/// What every point of a space must satisfy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Constraint {
    /// A relation between numeric parameters. Holds where any of them is inactive.
    Linear(Linear),
    /// The combination in which all of these conditions hold is not allowed.
    Forbidden(Vec<Condition>),
}

/// `sum of coefficient * parameter  (<= or <)  bound`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Linear {
    /// Parameter names with their coefficients; no name twice, no coefficient 0.
    pub terms: Vec<(String, f64)>,
    /// Whether equality is excluded.
    pub strict: bool,
    /// The right-hand side.
    pub bound: f64,
}

impl Linear {
    /// Whether a sum of terms keeps the bound. `magnitude` is the sum of their absolute values: a sum of floats
    /// may miss a bound that it should meet by a rounding error of that size.
    pub(super) fn is_satisfied(&self, sum: f64, magnitude: f64) -> bool {
        if self.strict {
            sum < self.bound
        } else {
            sum <= self.bound + ROUNDING * (magnitude + self.bound.abs())
        }
    }
}

impl Constraint {
    /// Reads a relation as people write it: `x1 + 2*x2 <= 1`, `min_leaf < max_leaf`, `a - b >= 0.5`.
    ///
    /// Names consist of letters, digits, `_`, `.` and do not begin with a digit. Equality between
    /// floats has no volume, so `=` is refused with a hint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (left, operator, right) = split_relation(text)?;
        let mut sum = Sum::default();
        sum.add(left, 1.0)?;
        sum.add(right, -1.0)?;
        let sign = if operator.starts_with('>') { -1.0 } else { 1.0 };
        let terms: Vec<(String, f64)> = sum
            .terms
            .into_iter()
            .filter(|(_, coefficient)| *coefficient != 0.0)
            .map(|(name, coefficient)| (name, sign * coefficient))
            .collect();
        if terms.is_empty() {
            return Err(format!("{text:?} names no parameter"));
        }
        // + 0.0 turns a negative zero into a plain one
        Ok(Constraint::Linear(Linear {
            terms,
            strict: !operator.ends_with('='),
            bound: -sign * sum.constant + 0.0,
        }))
    }

    /// The names of the parameters it speaks of.
    pub fn parameters(&self) -> Vec<&str> {
        match self {
            Constraint::Linear(linear) => linear.terms.iter().map(|(name, _)| name.as_str()).collect(),
            Constraint::Forbidden(conditions) => conditions.iter().map(|c| c.parameter.as_str()).collect(),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constraint::Linear(linear) => {
                for (index, (name, coefficient)) in linear.terms.iter().enumerate() {
                    let sign = match (index, *coefficient < 0.0) {
                        (0, false) => "",
                        (0, true) => "-",
                        (_, false) => " + ",
                        (_, true) => " - ",
                    };
                    formatter.write_str(sign)?;
                    if coefficient.abs() != 1.0 {
                        write!(formatter, "{}*", coefficient.abs())?;
                    }
                    formatter.write_str(name)?;
                }
                write!(formatter, " {} {}", if linear.strict { "<" } else { "<=" }, linear.bound)
            }
            Constraint::Forbidden(conditions) => {
                let parts: Vec<String> = conditions.iter().map(Condition::to_string).collect();
                write!(formatter, "not ({})", parts.join(" and "))
            }
        }
    }
}

fn split_relation(text: &str) -> Result<(&str, &str, &str), String> {
    let at = text
        .find(['<', '>', '='])
        .ok_or_else(|| format!("{text:?} is no relation: write for example \"x1 + x2 <= 1\""))?;
    let length = if text[at + 1..].starts_with('=') { 2 } else { 1 };
    let operator = &text[at..at + length];
    if text[..at].ends_with('!') {
        return Err(format!("{text:?}: a relation is one of <, <=, >, >=; to exclude values, forbid them"));
    }
    if operator.starts_with('=') {
        return Err(format!(
            "{text:?}: an equality leaves nothing to search; drop one parameter and compute it, or use <= and >="
        ));
    }
    let right = &text[at + length..];
    if right.contains(['<', '>', '=']) {
        return Err(format!("{text:?} has two relations: write them as two constraints"));
    }
    Ok((&text[..at], operator, right))
}

/// A sum of terms being read.
#[derive(Default)]
struct Sum {
    terms: Vec<(String, f64)>,
    constant: f64,
}

impl Sum {
    /// Adds every term of one side, times `factor`.
    fn add(&mut self, side: &str, factor: f64) -> Result<(), String> {
        let mut rest = side.trim();
        if rest.is_empty() {
            return Err("one side of the relation is empty".into());
        }
        let mut first = true;
        while !rest.is_empty() {
            let (sign, after) = match rest.as_bytes()[0] {
                b'+' => (1.0, &rest[1..]),
                b'-' => (-1.0, &rest[1..]),
                _ if first => (1.0, rest),
                _ => return Err(format!("expected + or - before {rest:?}")),
            };
            first = false;
            rest = self.term(after.trim_start(), factor * sign)?.trim_start();
        }
        Ok(())
    }

    /// Reads `2`, `x`, `2*x` or `2 x`; gives what follows it.
    fn term<'a>(&mut self, text: &'a str, factor: f64) -> Result<&'a str, String> {
        let number_end = number_length(text);
        let (coefficient, rest) = match number_end {
            0 => (None, text),
            end => {
                let number: f64 =
                    text[..end].parse().map_err(|_| format!("{:?} is no number", &text[..end]))?;
                (Some(number), text[end..].trim_start())
            }
        };
        let starred = coefficient.is_some() && rest.starts_with('*');
        let rest = if starred { rest[1..].trim_start() } else { rest };
        let name_end = rest
            .char_indices()
            .find(|(index, c)| {
                !(c.is_alphabetic() || *c == '_' || (*index > 0 && (c.is_numeric() || *c == '.')))
            })
            .map_or(rest.len(), |(index, _)| index);
        if name_end == 0 {
            return match coefficient {
                Some(number) if !starred => {
                    self.constant += factor * number;
                    Ok(rest)
                }
                _ => Err(format!("expected a parameter or a number at {rest:?}")),
            };
        }
        let name = &rest[..name_end];
        let value = factor * coefficient.unwrap_or(1.0);
        match self.terms.iter_mut().find(|(known, _)| known == name) {
            Some((_, total)) => *total += value,
            None => self.terms.push((name.to_owned(), value)),
        }
        Ok(&rest[name_end..])
    }
}

/// Length of the number at the beginning of `text`, 0 if there is none. `2e` in `2epochs` is not an exponent.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while at < bytes.len() && (bytes[at].is_ascii_digit() || bytes[at] == b'.') {
            at += 1;
        }
        at
    };
    let end = digits(0);
    if end > 0 && matches!(bytes.get(end), Some(b'e' | b'E')) {
        let start = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent_end = digits(start);
        if exponent_end > start {
            return exponent_end;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(text: &str) -> Linear {
        match Constraint::parse(text) {
            Ok(Constraint::Linear(linear)) => linear,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn relations_are_read_as_people_write_them() {
        let sum = linear("x1 + 2*x2 <= 1");
        assert_eq!(sum.terms, vec![("x1".into(), 1.0), ("x2".into(), 2.0)]);
        assert_eq!((sum.strict, sum.bound), (false, 1.0));
        let comparison = linear("min_leaf < max_leaf");
        assert_eq!(comparison.terms, vec![("min_leaf".into(), 1.0), ("max_leaf".into(), -1.0)]);
        assert_eq!((comparison.strict, comparison.bound), (true, 0.0));
        let turned = linear("3 x - 1e-3 >= 2 + y");
        assert_eq!(turned.terms, vec![("x".into(), -3.0), ("y".into(), 1.0)]);
        assert_eq!(turned.bound, -2.001);
        assert_eq!(linear("-a + a + b > 0").terms, vec![("b".into(), -1.0)]);
    }

    #[test]
    fn what_is_no_relation_is_refused() {
        for text in [
            "x1 + x2",
            "x = y",
            "x <= y <= z",
            "<= 1",
            "1 < 2",
            "x + * 2 < 1",
            "x y < 1",
            "2* < 1",
            "x - x < 1",
        ] {
            assert!(Constraint::parse(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn a_relation_reads_back_from_its_display() {
        for text in ["x1 + 2*x2 <= 1", "a < b", "-a - 0.5*b <= -3"] {
            let constraint = Constraint::parse(text).unwrap();
            assert_eq!(Constraint::parse(&constraint.to_string()).unwrap(), constraint, "{constraint}");
        }
    }
}
