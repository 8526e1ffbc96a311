//! `--set key.path=value`: changes to a manifest from the command line.
//!
//! Tables are addressed by key, lists by index from 0, one past the last appends. Keys with a dot or an
//! equals sign are put in quotes. The value is TOML; what is no TOML is a text, so that `--set
//! run.trial_timeout=5min` needs no quotes. A table or list given here replaces the whole.

use super::diagnostics::{At, Diagnostic, Origin, Sources};
use super::tree::{Entry, Kind, Node, Reader, Table};
use std::ops::Range;
use toml::de::DeValue;

/// Changes the manifest by one override, or says why not.
pub(super) fn apply(root: &mut Node, index: usize, text: &str, found: &mut Vec<Diagnostic>) {
    let origin = Origin::Override(index);
    let at = |range: Range<usize>| At {
        origin,
        span: range.start + Sources::OVERRIDE_START..range.end + Sources::OVERRIDE_START,
    };
    let (path, value_start) = match split(text) {
        Ok(parts) => parts,
        Err(message) => {
            let help = "write the key with dots, an equals sign and the value: --set budget.trials=50";
            found.push(Diagnostic::at(&at(0..text.len()), message).help(help));
            return;
        }
    };
    let value_text = text[value_start..].trim();
    let value_start = value_start + text[value_start..].find(value_text).unwrap_or(0);
    let value_at = at(value_start..value_start + value_text.len());
    let value = match DeValue::parse(value_text) {
        Ok(value) => Reader { origin, offset: value_at.span.start, found }.node(&value),
        // nobody means a text by these
        Err(error) if value_text.starts_with(['[', '{']) => {
            let help = "inside of a list or table, texts need quotes; put single quotes around the whole: --set 'a.b=[\"x\"]'";
            found.push(Diagnostic::at(&value_at, format!("invalid TOML: {}", error.message())).help(help));
            return;
        }
        Err(_) => Node { at: value_at, kind: Kind::Text(value_text.to_owned()) },
    };
    let path: Vec<(String, At)> = path.into_iter().map(|(key, range)| (key, at(range))).collect();
    if let Err(finding) = set(root, &path, value) {
        found.push(finding);
    }
}

/// The keys of the path with their places, and where the value begins.
#[allow(clippy::type_complexity, reason = "private, and used once")]
fn split(text: &str) -> Result<(Vec<(String, Range<usize>)>, usize), &'static str> {
    let mut path = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let quote = rest.chars().next().filter(|letter| matches!(letter, '"' | '\''));
        let (key, length) = match quote {
            Some(quote) => {
                let end = rest[1..].find(quote).ok_or("a quote in the key is not closed")?;
                (&rest[1..1 + end], end + 2)
            }
            None => {
                let end = rest.find(['.', '=']).ok_or("an override needs an equals sign")?;
                (rest[..end].trim(), end)
            }
        };
        if key.is_empty() {
            return Err("a key of the override is empty");
        }
        path.push((key.to_owned(), at..at + length));
        at += length;
        match text[at..].chars().next() {
            Some('=') => return Ok((path, at + 1)),
            Some('.') => at += 1,
            _ => return Err("an override needs an equals sign"),
        }
    }
}

/// Puts the value at the path; tables that are missing on the way are made.
fn set(root: &mut Node, path: &[(String, At)], value: Node) -> Result<(), Diagnostic> {
    let mut node = root;
    for (depth, (key, key_at)) in path.iter().enumerate() {
        let is_last = depth + 1 == path.len();
        // a first strategy may come from the command line alone
        let begins_list = depth == 0 && key == "strategy" && path.get(1).is_some_and(|(next, _)| next == "0");
        let empty = || match begins_list {
            true => Kind::List(Vec::new()),
            false => Kind::Table(Table::default()),
        };
        let description = node.describe();
        let slot = match &mut node.kind {
            Kind::Table(table) => {
                let position =
                    table.entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
                        let value = Node { at: key_at.clone(), kind: empty() };
                        table.entries.push(Entry { key: key.clone(), key_at: key_at.clone(), value });
                        table.entries.len() - 1
                    });
                let entry = &mut table.entries[position];
                if is_last {
                    entry.key_at = key_at.clone();
                }
                &mut entry.value
            }
            Kind::List(items) => {
                let length = items.len();
                let index = key.parse::<usize>().ok().filter(|index| *index <= length).ok_or_else(|| {
                    let above = dotted(&path[..depth]);
                    Diagnostic::at(key_at, format!("{above} has no item {key:?}"))
                        .help(format!("it has {length}, counted from 0; {above}.{length} would append one"))
                })?;
                if index == length {
                    items.push(Node { at: key_at.clone(), kind: empty() });
                }
                &mut items[index]
            }
            Kind::Broken => return Ok(()),
            _ => {
                let above = dotted(&path[..depth]);
                let message = format!("{above} is {description}, which has no key {key:?}");
                return Err(Diagnostic::at(key_at, message).help(format!("set {above} itself")));
            }
        };
        if is_last {
            *slot = value;
            return Ok(());
        }
        node = slot;
    }
    Ok(())
}

fn dotted(path: &[(String, At)]) -> String {
    path.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(".")
}
