//! The manifest as a tree in which every key and every value knows where it was written.
//!
//! Only what no part of a manifest can hold is refused here: dates, numbers that are not finite, and integers
//! beyond 64 bits. They become `Kind::Broken`, which every later check passes over.

use super::diagnostics::{At, Diagnostic, Origin};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it was written; a table under a header counts as written at its name.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub at: At,
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
    /// Something was wrong with it, and that has been said.
    Broken,
}

/// Entries in the order of the file, overrides that add something last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub key_at: At,
    pub value: Node,
}

impl Table {
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }
}

impl Node {
    pub fn table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The value of a key, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.table()?.get(key)
    }

    /// Keys and values; none if this is no table.
    pub fn entries(&self) -> &[Entry] {
        self.table().map_or(&[], |table| &table.entries)
    }

    /// The values of a list, which may be empty.
    pub fn items_of_list(&self) -> Option<&[Node]> {
        matches!(self.kind, Kind::List(_)).then(|| self.items())
    }

    /// The values of a list; none if this is no list.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self.kind {
            Kind::Int(number) => Some(number),
            _ => None,
        }
    }

    /// A float, or an int where a float is meant.
    pub fn number(&self) -> Option<f64> {
        match self.kind {
            Kind::Int(number) => Some(number as f64),
            Kind::Float(number) => Some(number),
            _ => None,
        }
    }

    pub fn truth(&self) -> Option<bool> {
        match self.kind {
            Kind::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    pub fn is_broken(&self) -> bool {
        matches!(self.kind, Kind::Broken)
    }

    /// What it is, for "found ...".
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Text(text) if text.chars().count() > 40 => "a long text".to_owned(),
            Kind::Text(text) => format!("the text {text:?}"),
            Kind::Int(number) => number.to_string(),
            Kind::Float(number) => format!("{number:?}"),
            Kind::Bool(truth) => truth.to_string(),
            Kind::List(items) if items.is_empty() => "an empty list".to_owned(),
            Kind::List(items) if items.len() == 1 => "a list of 1".to_owned(),
            Kind::List(items) => format!("a list of {}", items.len()),
            Kind::Table(_) => "a table".to_owned(),
            Kind::Broken => "something that is no value".to_owned(),
        }
    }

    /// The same as JSON. What is broken becomes null.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Text(text) => text.as_str().into(),
            Kind::Int(number) => (*number).into(),
            Kind::Float(number) => (*number).into(),
            Kind::Bool(truth) => (*truth).into(),
            Kind::List(items) => items.iter().map(Node::to_json).collect(),
            Kind::Table(table) => serde_json::Value::Object(
                table.entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
            ),
            Kind::Broken => serde_json::Value::Null,
        }
    }
}

/// Builds nodes from what the TOML parser gives.
pub(crate) struct Reader<'a> {
    pub origin: Origin,
    /// Added to every span.
    pub offset: usize,
    pub found: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn at(&self, span: Range<usize>) -> At {
        At { origin: self.origin, span: span.start + self.offset..span.end + self.offset }
    }

    pub fn table(&mut self, table: &DeTable<'_>) -> Table {
        // the parser sorts by name; the file's order is what counts
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(key, _)| key.span().start);
        let entries = pairs.into_iter().map(|(key, value)| {
            let key_at = self.at(key.span());
            let mut value = self.node(value);
            // under a header or a dotted key, the parser gives the place of the name or of the header
            if matches!(value.kind, Kind::Table(_) | Kind::List(_))
                && value.at.span.start <= key_at.span.start
            {
                value.at = key_at.clone();
            }
            Entry { key: key.get_ref().to_string(), key_at, value }
        });
        Table { entries: entries.collect() }
    }

    pub fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let at = self.at(value.span());
        let kind = match value.get_ref() {
            DeValue::String(text) => Kind::Text(text.to_string()),
            DeValue::Boolean(truth) => Kind::Bool(*truth),
            DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => Kind::Int(number),
                Err(error) => {
                    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
                    let finding = if matches!(error.kind(), PosOverflow | NegOverflow) {
                        Diagnostic::at(&at, format!("the integer {integer} is too large"))
                            .label("beyond 64 bits")
                            .help(format!(
                                "TOML integers lie between {} and {} (2^63 - 1)",
                                i64::MIN,
                                i64::MAX
                            ))
                    } else {
                        Diagnostic::at(&at, "this is no number").help("write digits, such as 16 or 0x10")
                    };
                    self.refuse(finding)
                }
            },
            DeValue::Float(float) => match float.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Kind::Float(number),
                Ok(number) if number.is_nan() => {
                    self.refuse(Diagnostic::at(&at, "nan is not allowed in a manifest").label("not a number"))
                }
                Ok(_) if float.as_str().contains("inf") => self.refuse(
                    Diagnostic::at(&at, "infinity is not allowed in a manifest")
                        .label("not finite")
                        .help("every bound is a finite number; leave the key out where there is no limit"),
                ),
                _ => self.refuse(
                    Diagnostic::at(&at, format!("the number {float} is too large"))
                        .label("not finite")
                        .help(format!("floats go up to about {:e}", f64::MAX)),
                ),
            },
            DeValue::Datetime(date) => self.refuse(
                Diagnostic::at(&at, "dates and times are not allowed in a manifest")
                    .label("this is a date or time")
                    .help(format!("if a text is meant, put it in quotes: \"{date}\"")),
            ),
            DeValue::Array(items) => Kind::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Kind::Table(self.table(table)),
        };
        Node { at, kind }
    }

    fn refuse(&mut self, finding: Diagnostic) -> Kind {
        self.found.push(finding);
        Kind::Broken
    }
}
