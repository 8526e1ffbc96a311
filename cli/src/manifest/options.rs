//! Options of a plugin against the JSON Schema that it publishes, with the places of the manifest.
//!
//! Understood is what `schemars` writes for Rust types with serde. Whatever else a schema says is passed over: the
//! plugin itself has the last word, but it cannot point at a line.

use super::diagnostics::{At, Diagnostic};
use super::keys::either;
use super::tree::{Kind, Node};
use ansatz_core::nearest::nearest;
use serde_json::Value as Json;

/// Levels of references and nesting that are followed; more is a schema that refers to itself.
const DEPTH_MAX: usize = 64;

/// Says everything that is wrong with a value. `root` is the whole schema, for its references.
pub(crate) fn check(node: &Node, schema: &Json, root: &Json, path: &str, found: &mut Vec<Diagnostic>) {
    Checker { root, depth: 0 }.check(node, schema, path, found);
}

#[derive(Clone, Copy)]
struct Checker<'a> {
    root: &'a Json,
    depth: usize,
}

impl<'a> Checker<'a> {
    fn check(self, node: &Node, schema: &'a Json, path: &str, found: &mut Vec<Diagnostic>) {
        if node.is_broken() || self.depth > DEPTH_MAX {
            return;
        }
        let inner = Checker { depth: self.depth + 1, ..self };
        if let Some(target) = self.target(schema) {
            inner.check(node, target, path, found);
        }
        for part in list(schema, "allOf") {
            inner.check(node, part, path, found);
        }
        let mut words = Vec::new();
        if inner.words(schema, &mut words) {
            if !words.iter().any(|word| is_same(word, node)) {
                found.push(wrong_word(node, path, &words));
            }
            return;
        }
        for keyword in ["anyOf", "oneOf"] {
            inner.check_alternatives(node, list(schema, keyword), path, found);
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|name| has_type(node, name)) {
            found.push(wrong(node, path, &inner.expected(schema)));
            return;
        }
        match &node.kind {
            Kind::Int(_) | Kind::Float(_) => {
                if let Some(number) = node.number()
                    && !is_in_range(number, schema)
                {
                    found.push(wrong(node, path, &inner.expected(schema)));
                }
            }
            Kind::Text(text) => check_length(node, text.chars().count(), schema, "Length", path, found),
            Kind::List(items) => {
                check_length(node, items.len(), schema, "Items", path, found);
                let first = list(schema, "prefixItems");
                for (index, item) in items.iter().enumerate() {
                    if let Some(schema) = first.get(index).or_else(|| schema.get("items")) {
                        inner.check(item, schema, &format!("{path}.{index}"), found);
                    }
                }
            }
            Kind::Table(_) => inner.check_table(node, schema, path, found),
            Kind::Bool(_) | Kind::Broken => {}
        }
        if schema == &Json::Bool(false) {
            found.push(Diagnostic::at(&node.at, format!("{path} is not allowed")));
        }
    }

    fn check_table(self, node: &Node, schema: &'a Json, path: &str, found: &mut Vec<Diagnostic>) {
        let properties = schema.get("properties").and_then(Json::as_object);
        let names: Vec<&str> = properties.iter().flat_map(|map| map.keys()).map(String::as_str).collect();
        for entry in node.entries() {
            let entry_path = format!("{path}.{}", entry.key);
            if let Some(property) = properties.and_then(|map| map.get(&entry.key)) {
                self.check(&entry.value, property, &entry_path, found);
                continue;
            }
            let is_patterned = schema.get("patternProperties").is_some();
            match schema.get("additionalProperties") {
                Some(Json::Bool(false)) if !is_patterned => {
                    found.push(unknown(&entry.key, &entry.key_at, path, &names));
                }
                Some(additional) if !is_patterned => self.check(&entry.value, additional, &entry_path, found),
                _ => {}
            }
        }
        for name in list(schema, "required").iter().filter_map(Json::as_str) {
            if node.get(name).is_none() {
                let finding = Diagnostic::at(&node.at, format!("{path} needs the key {name:?}"));
                let about = properties.and_then(|map| map.get(name)).and_then(|property| {
                    let expected = self.expected(property);
                    Some(match summary(property) {
                        Some(doc) => format!("{name}: {doc}"),
                        None if expected.is_empty() => return None,
                        None => format!("{name} is {expected}"),
                    })
                });
                found.push(match about {
                    Some(help) => finding.help(help),
                    None => finding,
                });
            }
        }
    }

    /// One of several must fit. If none does, the errors of the one that was most probably meant are told.
    fn check_alternatives(
        self,
        node: &Node,
        alternatives: &'a [Json],
        path: &str,
        found: &mut Vec<Diagnostic>,
    ) {
        let mut misfits = Vec::new();
        for alternative in alternatives.iter().filter(|schema| types(schema) != ["null"]) {
            let mut errors = Vec::new();
            self.check(node, alternative, path, &mut errors);
            if errors.is_empty() {
                return;
            }
            misfits.push((alternative, errors));
        }
        let tagged = |schema: &Json| {
            let properties = self.resolve(schema).get("properties").and_then(Json::as_object);
            properties.into_iter().flatten().any(|(name, property)| {
                property
                    .get("const")
                    .is_some_and(|tag| node.get(name).is_some_and(|value| is_same(tag, value)))
            })
        };
        let keyed = |schema: &Json| {
            list(self.resolve(schema), "required")
                .iter()
                .any(|name| name.as_str().is_some_and(|name| node.get(name).is_some()))
        };
        let kind_fits = |schema: &Json| {
            let types = types(self.resolve(schema));
            types.iter().any(|name| has_type(node, name))
        };
        let tests: [&dyn Fn(&Json) -> bool; 3] = [&tagged, &keyed, &kind_fits];
        if let [(_, errors)] = &mut misfits[..] {
            found.append(errors);
            return;
        }
        for test in tests {
            let mut meant = misfits.iter_mut().filter(|(schema, _)| test(schema));
            if let (Some((_, errors)), None) = (meant.next(), meant.next()) {
                found.append(errors);
                return;
            }
        }
        if misfits.is_empty() {
            return;
        }
        let forms: Vec<String> =
            misfits.iter().map(|(schema, _)| self.expected(schema)).filter(|form| !form.is_empty()).collect();
        if forms.is_empty() {
            found.push(Diagnostic::at(&node.at, format!("{path} cannot be {}", node.describe())));
        } else {
            found.push(wrong(node, path, &either(&forms)));
        }
    }

    /// Collects the values of a schema that is nothing but a list of values; false if it is something else.
    fn words(self, schema: &'a Json, words: &mut Vec<&'a Json>) -> bool {
        if self.depth > DEPTH_MAX {
            return false;
        }
        let inner = Checker { depth: self.depth + 1, ..self };
        if let Some(word) = schema.get("const") {
            words.push(word);
            return true;
        }
        if let Some(all) = schema.get("enum").and_then(Json::as_array) {
            words.extend(all.iter().filter(|word| !word.is_null()));
            return true;
        }
        if let Some(target) = self.target(schema) {
            return inner.words(target, words);
        }
        for keyword in ["oneOf", "anyOf"] {
            let alternatives = list(schema, keyword);
            let mut others = alternatives.iter().filter(|schema| types(schema) != ["null"]).peekable();
            if others.peek().is_some() {
                return others.all(|alternative| inner.words(alternative, words));
            }
        }
        false
    }

    fn target(self, schema: &Json) -> Option<&'a Json> {
        self.root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    /// What a chain of references leads to.
    fn resolve(self, schema: &'a Json) -> &'a Json {
        (0..DEPTH_MAX)
            .try_fold(schema, |schema, _| self.target(schema).ok_or(schema))
            .unwrap_or_else(|end| end)
    }

    /// What a schema allows, in words; empty where it does not say.
    fn expected(self, schema: &'a Json) -> String {
        let schema = self.resolve(schema);
        let mut words = Vec::new();
        if self.words(schema, &mut words) {
            return either(&words.iter().map(|word| word.to_string()).collect::<Vec<_>>());
        }
        let alternatives = list(schema, "anyOf").iter().chain(list(schema, "oneOf"));
        let forms: Vec<String> = if self.depth < DEPTH_MAX {
            let inner = Checker { depth: self.depth + 1, ..self };
            alternatives.map(|form| inner.expected(form)).filter(|form| !form.is_empty()).collect()
        } else {
            Vec::new()
        };
        if !forms.is_empty() {
            return either(&forms);
        }
        let names = types(schema).into_iter().filter_map(|name| match name {
            "integer" => Some(format!("a whole number{}", range(schema))),
            "number" => Some(format!("a number{}", range(schema))),
            "string" => Some("a text".to_owned()),
            "boolean" => Some("true or false".to_owned()),
            "array" => Some("a list".to_owned()),
            "object" => Some("a table".to_owned()),
            _ => None,
        });
        either(&names.collect::<Vec<_>>())
    }
}

fn list<'a>(schema: &'a Json, keyword: &str) -> &'a [Json] {
    schema.get(keyword).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn has_type(node: &Node, name: &str) -> bool {
    match (&node.kind, name) {
        (Kind::Int(_), "integer" | "number")
        | (Kind::Float(_), "number")
        | (Kind::Text(_), "string")
        | (Kind::Bool(_), "boolean")
        | (Kind::List(_), "array")
        | (Kind::Table(_), "object") => true,
        (_, known) => !["integer", "number", "string", "boolean", "array", "object", "null"].contains(&known),
    }
}

/// Equal as JSON; 1 and 1.0 are the same number.
fn is_same(word: &Json, node: &Node) -> bool {
    match (word.as_f64(), node.number()) {
        (Some(word), Some(number)) => word == number,
        _ => *word == node.to_json(),
    }
}

const BOUNDS: [(&str, &str); 4] = [
    ("minimum", "at least"),
    ("exclusiveMinimum", "above"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "below"),
];

fn is_in_range(number: f64, schema: &Json) -> bool {
    BOUNDS.iter().all(|(keyword, _)| match (schema.get(keyword).and_then(Json::as_f64), *keyword) {
        (None, _) => true,
        (Some(bound), "minimum") => number >= bound,
        (Some(bound), "exclusiveMinimum") => number > bound,
        (Some(bound), "maximum") => number <= bound,
        (Some(bound), _) => number < bound,
    })
}

/// " from 1 to 10", " of at least 1", " above 0", or nothing.
fn range(schema: &Json) -> String {
    let bound = |keyword: &str| schema.get(keyword).filter(|bound| bound.is_number());
    // the ends of machine integers mean nothing to people
    let bound = |keyword: &str| bound(keyword).filter(|bound| bound.as_f64().is_some_and(|b| b.abs() < 4e9));
    if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum")) {
        return format!(" from {least} to {most}");
    }
    let parts: Vec<String> =
        BOUNDS.iter().filter_map(|(keyword, words)| Some(format!("{words} {}", bound(keyword)?))).collect();
    match &parts[..] {
        [] => String::new(),
        [first, ..] if first.starts_with("at") => format!(" of {}", parts.join(" and ")),
        _ => format!(" {}", parts.join(" and ")),
    }
}

fn check_length(
    node: &Node,
    length: usize,
    schema: &Json,
    what: &str,
    path: &str,
    found: &mut Vec<Diagnostic>,
) {
    let bound = |side: &str| schema.get(format!("{side}{what}")).and_then(Json::as_u64);
    let unit = if what == "Items" { "items" } else { "characters" };
    if let Some(least) = bound("min").filter(|least| (length as u64) < *least) {
        let message = format!("{path} needs at least {least} {unit}, found {length}");
        found.push(Diagnostic::at(&node.at, message));
    }
    if let Some(most) = bound("max").filter(|most| length as u64 > *most) {
        let message = format!("{path} has at most {most} {unit}, found {length}");
        found.push(Diagnostic::at(&node.at, message));
    }
}

fn wrong(node: &Node, path: &str, expected: &str) -> Diagnostic {
    let finding = Diagnostic::at(&node.at, format!("{path} must be {expected}, found {}", node.describe()));
    match &node.kind {
        Kind::Text(text) if expected.contains("number") && text.parse::<f64>().is_ok() => {
            finding.help(format!("write {text} without quotes"))
        }
        Kind::Float(number) if expected.contains("whole") && number.fract() == 0.0 && number.abs() < 9e15 => {
            finding.help(format!("write {number:.0}"))
        }
        _ => finding,
    }
}

fn wrong_word(node: &Node, path: &str, words: &[&Json]) -> Diagnostic {
    let names: Vec<String> = words.iter().map(|word| word.to_string()).collect();
    let finding = wrong(node, path, &either(&names));
    let near = node.text().and_then(|text| nearest(text, words.iter().filter_map(|word| word.as_str())));
    match near {
        Some(near) => finding.label(format!("did you mean {near:?}?")),
        None => finding,
    }
}

fn unknown(key: &str, at: &At, path: &str, names: &[&str]) -> Diagnostic {
    let finding = Diagnostic::at(at, format!("{path} has no key {key:?}"));
    let finding = match nearest(key, names.iter().copied()) {
        Some(near) => finding.label(format!("did you mean {near:?}?")),
        None => finding.label("unknown key"),
    };
    match names {
        [] => finding.help("nothing can be chosen here"),
        _ => finding.help(format!("allowed: {}", names.join(", "))),
    }
}

/// The first paragraph of a description.
fn summary(schema: &Json) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let paragraph = text.split("\n\n").next()?;
    Some(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
}
