//! Arguments with placeholders: `--rate={learning_rate}`.

use ansatz_core::nearest::did_you_mean;

/// One argument of the program.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Placeholder(String),
}

impl Template {
    /// Reads an argument. `{name}` is a placeholder, `{{name}}` the same text with one pair of braces. Braces
    /// round anything that does not look like a name, and those after a `$`, are left alone: JSON and shell
    /// lines survive.
    ///
    /// # Errors
    /// A name that is not `known`; the message names the nearest one.
    pub fn parse(text: &str, known: &[&str]) -> Result<Template, String> {
        let looks_like_name = |content: &str| {
            let is_letter = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
            known.contains(&content) || (!content.is_empty() && content.chars().all(is_letter))
        };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let (before, braced) = rest.split_at(start);
            literal.push_str(before);
            let inner = braced.trim_start_matches('{');
            let depth = braced.len() - inner.len();
            let content =
                inner.split_once('}').map(|(content, _)| content).filter(|content| looks_like_name(content));
            let after = content.map(|content| &inner[content.len()..]);
            match (content, after, depth) {
                (Some(name), Some(after), 1) if !literal.ends_with('$') => {
                    if !known.contains(&name) {
                        return Err(format!(
                            "argument {text:?}: there is no placeholder {{{name}}}{}; there is {}; \
                             for the text itself write {{{{{name}}}}}",
                            did_you_mean(name, known.iter().copied()),
                            known.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ")
                        ));
                    }
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Placeholder(name.to_owned()));
                    rest = &after[1..];
                }
                (Some(name), Some(after), 2) if after.starts_with("}}") => {
                    literal.extend(["{", name, "}"]);
                    rest = &after[2..];
                }
                _ => {
                    literal.push_str(&braced[..depth]);
                    rest = inner;
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template { parts })
    }

    /// The names of the placeholders, in order, with repetitions.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The argument with its values, or `None` where one of them has none: an inactive parameter.
    pub fn fill(&self, value: impl Fn(&str) -> Option<String>) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Placeholder(name) => value(name),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["learning_rate", "trial", "layer.units", "two words"];

    #[test]
    fn placeholders_are_filled_and_other_braces_left_alone() {
        let value = |name: &str| match name {
            "learning_rate" => Some("0.1".to_owned()),
            "trial" => Some("7".to_owned()),
            "two words" => Some("2".to_owned()),
            _ => None,
        };
        for (text, expected) in [
            ("plain", Some("plain")),
            ("", Some("")),
            ("--rate={learning_rate}", Some("--rate=0.1")),
            ("{trial}{trial}-{learning_rate}", Some("77-0.1")),
            ("{{trial}}", Some("{trial}")),
            ("{{trial}", Some("{{trial}")),
            ("{{{trial}}}", Some("{{{trial}}}")),
            ("--units={layer.units}", None),
            (r#"{"rate": {learning_rate}, "more": {"a": {}}}"#, Some(r#"{"rate": 0.1, "more": {"a": {}}}"#)),
            ("awk '{print $1}' ${HOME} ${trial} {", Some("awk '{print $1}' ${HOME} ${trial} {")),
            ("{two words}{trial}", Some("27")),
        ] {
            assert_eq!(Template::parse(text, &KNOWN).unwrap().fill(value).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        let message = Template::parse("--rate={learnign_rate}", &KNOWN).unwrap_err();
        assert!(
            message.contains(r#"no placeholder {learnign_rate} (did you mean "learning_rate"?)"#),
            "{message}"
        );
        assert!(message.ends_with("write {{learnign_rate}}"), "{message}");
    }
}
