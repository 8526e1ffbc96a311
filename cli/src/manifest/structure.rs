//! The first look at a manifest: is every key known, is every needed key there, has every value the right form?
//! What keys mean to each other is judged in `check`.

use super::diagnostics::{At, Diagnostic};
use super::keys::{Form, Key, Keys, MANIFEST, Need, Word, either};
use super::tree::{Kind, Node};
use super::{duration, size};
use ansatz_core::nearest::nearest;

/// Says everything that is wrong with the form of a value. `path` is its key with dots; empty for the manifest.
pub(crate) fn check(form: &Form, node: &Node, path: &str, found: &mut Vec<Diagnostic>) {
    match (form, &node.kind) {
        (_, Kind::Broken) | (Form::Value | Form::Number, _) if fits(form, node) => {}
        (Form::OneOf(forms), _) => match forms.iter().find(|form| fits(form, node)) {
            Some(form) => {
                let count = found.len();
                check(form, node, path, found);
                let table = forms.iter().find_map(|form| match form {
                    Form::Table(keys) => Some(keys),
                    _ => None,
                });
                if let (Form::Choice(_), Some(keys), Some(finding)) = (form, table, found.get_mut(count)) {
                    let names: Vec<&str> = keys.names().collect();
                    finding.help = Some(format!("or a table with {}", names.join(", ")));
                }
            }
            None => found.push(wrong(form, node, path)),
        },
        _ if !fits(form, node) => found.push(wrong(form, node, path)),
        (Form::Duration | Form::Size, _) => {
            let problem = match form {
                Form::Size => size::read(node).err(),
                _ => duration::read(node).err(),
            };
            if let Some(problem) = problem {
                let mut parts = problem.splitn(2, "; ");
                let message = format!("{path} {}", parts.next().unwrap_or_default());
                let finding = Diagnostic::at(&node.at, message);
                found.push(match parts.next() {
                    Some(help) => finding.help(help),
                    None => finding,
                });
            }
        }
        (Form::Text, Kind::Text(text)) if text.trim().is_empty() => {
            found.push(Diagnostic::at(&node.at, format!("{path} is an empty text")));
        }
        (Form::Name, Kind::Text(text)) if !is_name(text) => found.push(wrong(form, node, path)),
        (Form::Choice(words), Kind::Text(text)) => {
            let spellings = |word: &Word| word.also.iter().copied().chain([word.word]);
            if !words.iter().any(|word| spellings(word).any(|spelling| spelling == text)) {
                let finding = wrong(form, node, path);
                let near = nearest(text, words.iter().flat_map(spellings));
                let meant =
                    words.iter().find(|word| near.is_some_and(|near| spellings(word).any(|s| s == near)));
                found.push(match meant {
                    Some(word) => finding.label(format!("did you mean {:?}?", word.word)),
                    None => finding,
                });
            }
        }
        (Form::Whole(least, most), Kind::Int(number)) if !(least..=most).contains(&number) => {
            found.push(wrong(form, node, path));
        }
        (Form::Positive, _) if node.number().is_some_and(|number| number <= 0.0) => {
            found.push(wrong(form, node, path));
        }
        (Form::Exactly(wanted), Kind::Bool(truth)) if truth != wanted => {
            found.push(wrong(form, node, path).help(format!("write {wanted}, or leave the key out")));
        }
        (Form::List(form), Kind::List(items)) => check_items(form, items, path, found),
        (Form::Pair(_), Kind::List(items)) if items.len() != 2 => found.push(wrong(form, node, path)),
        (Form::Pair(form), Kind::List(items)) => check_items(form, items, path, found),
        (Form::Tables(_), Kind::List(items)) if items.is_empty() => {
            found.push(Diagnostic::at(&node.at, format!("{path} is empty: at least one is needed")));
        }
        (Form::Tables(keys), Kind::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                check(&Form::Table(keys), item, &format!("{path}.{index}"), found);
            }
        }
        (Form::Table(keys), Kind::Table(_)) => check_keys(keys, node, path, found),
        (Form::Named(form), Kind::Table(table)) => {
            if table.entries.is_empty() {
                found.push(Diagnostic::at(&node.at, format!("{path} is empty: at least one name is needed")));
            }
            for entry in &table.entries {
                if entry.key.trim().is_empty() {
                    found.push(Diagnostic::at(&entry.key_at, format!("{path} has a key without a name")));
                }
                check(form, &entry.value, &join(path, &entry.key), found);
            }
        }
        _ => {}
    }
}

fn check_items(form: &Form, items: &[Node], path: &str, found: &mut Vec<Diagnostic>) {
    for (index, item) in items.iter().enumerate() {
        check(form, item, &format!("{path}.{index}"), found);
    }
}

fn check_keys(keys: &Keys, node: &Node, path: &str, found: &mut Vec<Diagnostic>) {
    let who = if path.is_empty() { "the manifest" } else { path };
    for entry in node.entries() {
        match keys.get(&entry.key) {
            Some(key) => check(&key.form, &entry.value, &join(path, key.name), found),
            None => found.push(unknown(keys, &entry.key, &entry.key_at, who, path.is_empty())),
        }
    }
    for key in keys.keys {
        if matches!(key.need, Need::Required) && node.get(key.name).is_none() {
            let what = if path.is_empty() { "a section" } else { "the key" };
            let message = format!("{who} needs {what} {:?}", key.name);
            let finding = match path {
                "" => Diagnostic::nowhere(message),
                _ => Diagnostic::at(&node.at, message),
            };
            found.push(finding.help(example(key)));
        }
    }
    if keys.one_of.is_empty() {
        return;
    }
    let present: Vec<_> =
        node.entries().iter().filter(|entry| keys.one_of.contains(&entry.key.as_str())).collect();
    let names: Vec<String> = keys.one_of.iter().map(|name| (*name).to_owned()).collect();
    match &present[..] {
        [_] => {}
        // what was meant has been asked already
        [] if node.entries().iter().any(|entry| meant(keys, &entry.key).is_some()) => {}
        [] => {
            let message = format!("{who} does not say what its values are: it needs {}", either(&names));
            let examples: Vec<&str> = keys
                .keys
                .iter()
                .filter(|key| keys.one_of.contains(&key.name))
                .map(|key| key.example)
                .collect();
            found.push(
                Diagnostic::at(&node.at, message).help(format!("for example {}", examples.join(", or "))),
            );
        }
        [first, others @ ..] => {
            for other in others {
                let message = format!("{who} has both {} and {}", first.key, other.key);
                found.push(
                    Diagnostic::at(&other.key_at, message)
                        .help(format!("exactly one of {}", names.join(", "))),
                );
            }
        }
    }
}

/// The key that somebody meant who wrote one that does not exist.
fn meant(keys: &Keys, written: &str) -> Option<&'static Key> {
    if keys.get(written).is_some() {
        return None;
    }
    let by_habit = keys.keys.iter().find(|key| key.also.contains(&written.to_lowercase().as_str()));
    by_habit.or_else(|| keys.get(nearest(written, keys.names())?))
}

fn unknown(keys: &Keys, written: &str, at: &At, who: &str, is_root: bool) -> Diagnostic {
    let what = if is_root { "section" } else { "key" };
    let finding = Diagnostic::at(at, format!("{who} has no {what} {written:?}"));
    let allowed = format!("allowed: {}", keys.names().collect::<Vec<_>>().join(", "));
    match meant(keys, written) {
        Some(key) if key.also.contains(&written.to_lowercase().as_str()) => finding
            .label(format!("did you mean {:?}?", key.name))
            .help(format!("{allowed}; {}", example(key))),
        Some(key) => finding.label(format!("did you mean {:?}?", key.name)).help(allowed),
        // what is deeper has names of its own
        None => match elsewhere(written).filter(|_| !who.contains('.')) {
            Some(section) => finding.label(format!("{written} belongs to [{section}]")).help(allowed),
            None => finding.label(format!("unknown {what}")).help(allowed),
        },
    }
}

/// The section that has a key of this name, where it is only one.
fn elsewhere(written: &str) -> Option<&'static str> {
    let has = |section: &&Key| matches!(&section.form, Form::Table(keys) if keys.get(written).is_some());
    let mut found = MANIFEST.keys.iter().filter(has);
    let only = found.next()?;
    found.next().is_none().then_some(only.name)
}

fn example(key: &Key) -> String {
    format!("for example {}", key.example.replace('\n', ", "))
}

/// Whether a value is of the right kind, so that it is worth a closer look. What is broken always is.
fn fits(form: &Form, node: &Node) -> bool {
    match (form, &node.kind) {
        (_, Kind::Broken) => true,
        (Form::Text | Form::Name | Form::Choice(_), kind) => matches!(kind, Kind::Text(_)),
        (Form::Whole(..), kind) => matches!(kind, Kind::Int(_)),
        (Form::Number | Form::Positive, kind) => matches!(kind, Kind::Int(_) | Kind::Float(_)),
        (Form::Duration, kind) => matches!(kind, Kind::Int(_) | Kind::Float(_) | Kind::Text(_)),
        (Form::Size, kind) => matches!(kind, Kind::Int(_) | Kind::Text(_)),
        (Form::Truth | Form::Exactly(_), kind) => matches!(kind, Kind::Bool(_)),
        (Form::Value, kind) => {
            matches!(kind, Kind::Text(_) | Kind::Int(_) | Kind::Float(_) | Kind::Bool(_))
        }
        (Form::List(_) | Form::Pair(_) | Form::Tables(_), kind) => matches!(kind, Kind::List(_)),
        (Form::Table(_) | Form::Named(_) | Form::Options, kind) => matches!(kind, Kind::Table(_)),
        (Form::OneOf(forms), _) => forms.iter().any(|form| fits(form, node)),
    }
}

fn wrong(form: &Form, node: &Node, path: &str) -> Diagnostic {
    let finding =
        Diagnostic::at(&node.at, format!("{path} must be {}, found {}", form.expected(), node.describe()));
    match (form, &node.kind) {
        (Form::Tables(_), Kind::Table(_)) => {
            finding.help(format!("write [[{path}]] with two brackets, once for each"))
        }
        (Form::Whole(..), Kind::Float(number)) if number.fract() == 0.0 && number.abs() < 9e15 => {
            finding.help(format!("write {number:.0}"))
        }
        (Form::Whole(..) | Form::Number | Form::Positive, Kind::Text(text))
            if text.parse::<f64>().is_ok() =>
        {
            finding.help(format!("write {text} without quotes"))
        }
        (Form::Truth, Kind::Text(text)) if text == "true" || text == "false" => {
            finding.help(format!("write {text} without quotes"))
        }
        (Form::Exactly(truth), Kind::Text(text)) if *text == truth.to_string() => {
            finding.help(format!("write {text} without quotes"))
        }
        (Form::OneOf([.., Form::Table(keys)]), Kind::List(items)) => {
            match keys.keys.iter().find(|key| takes(&key.form, items)) {
                Some(Key { example, .. }) => finding
                    .help(format!("put the list in a table that says what it is, such as {{ {example} }}")),
                None => finding,
            }
        }
        _ => finding,
    }
}

/// Whether this form is a list, and of such items.
fn takes(form: &Form, items: &[Node]) -> bool {
    matches!(form, Form::List(item) | Form::Pair(item) if items.iter().all(|node| fits(item, node)))
}

/// Characters of a name at most: it becomes that of a folder or a part of a file's.
pub(crate) const NAME_LENGTH_MAX: usize = 100;

/// Whether a text is made of letters, digits, `_`, `.` and `-`, and not too long.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_LENGTH_MAX).contains(&text.len())
        && !text.starts_with('.')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
