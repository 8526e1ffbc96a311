//! A document whose code blocks are a script: what it says to type is typed, what it says to write is written, and
//! what it shows must be there. The first word after a fence names the language, as code hosts have it:
//!
//! | fence | what is done |
//! |---|---|
//! | `sh` | run by `sh -eu`, in the folder in which the block before it ended |
//! | `console` | the same for each line behind `$ `; the lines below it are what it writes. `...` stands for any lines, or for any part of one. A command that shows nothing may write anything; one fails if and only if it shows a line that begins with `error` |
//! | any other, `file=PATH` | written to this file; the text just above names it |
//! | any other, `from=PATH` | must be in this file, with `...` as above |
//!
//! Anything else is an error: no block is passed over.

use std::path::{Path, PathBuf};

/// One code block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The heading of the second level above it.
    pub section: String,
    /// What to do with it.
    pub action: Action,
}

/// What to do with a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run this.
    Script(String),
    /// Run each command and compare what it writes.
    Console(Vec<Exchange>),
    /// Write a file.
    Write(PathBuf, String),
    /// Look for this in a file.
    Excerpt(PathBuf, Vec<String>),
}

/// A command and what it writes, as far as that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Without its prompt.
    pub command: String,
    /// Line by line.
    pub shown: Vec<String>,
}

impl Exchange {
    /// Whether the document shows the command failing.
    pub fn fails(&self) -> bool {
        self.shown.iter().any(|line| line.starts_with("error"))
    }
}

/// The blocks of a document in Markdown, in order; the first mistake otherwise.
pub fn blocks(document: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let (mut section, mut above) = (String::new(), "");
    let mut lines = document.lines().enumerate().map(|(index, line)| (index + 1, line));
    while let Some((number, line)) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        let Some(info) = line.trim_start().strip_prefix("```") else {
            if !line.trim().is_empty() {
                above = line;
            }
            continue;
        };
        if info.len() + 3 != line.len() {
            return Err(format!("line {number}: a block in a list is not understood"));
        }
        let mut text = Vec::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, line)) => text.push(line.to_owned()),
                None => return Err(format!("line {number}: this block does not end")),
            }
        }
        let action =
            action(info, text, above).map_err(|reason| format!("line {number}: ```{info}: {reason}"))?;
        blocks.push(Block { line: number, section: section.clone(), action });
    }
    Ok(blocks)
}

fn action(info: &str, text: Vec<String>, above: &str) -> Result<Action, String> {
    let words: Vec<&str> = info.split_whitespace().collect();
    match words[..] {
        ["sh"] => Ok(Action::Script(text.join("\n"))),
        ["console"] => exchanges(text).map(Action::Console),
        [_, place] => match place.split_once('=') {
            Some(("file", path)) if above.contains(&format!("`{path}`")) => {
                Ok(Action::Write(path.into(), text.join("\n") + "\n"))
            }
            Some(("file", path)) => Err(format!("the text above does not name `{path}`")),
            Some(("from", path)) => Ok(Action::Excerpt(path.into(), text)),
            _ => Err("neither file= nor from=".to_owned()),
        },
        _ => Err("neither sh, nor console, nor a language with file= or from=".to_owned()),
    }
}

fn exchanges(text: Vec<String>) -> Result<Vec<Exchange>, String> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in text {
        match (line.strip_prefix("$ "), exchanges.last_mut()) {
            (Some(command), _) => {
                exchanges.push(Exchange { command: command.to_owned(), shown: Vec::new() });
            }
            (None, Some(exchange)) => exchange.shown.push(line),
            (None, None) => return Err("it does not begin with a command".to_owned()),
        }
    }
    Ok(exchanges)
}

/// The first thing that is shown and not there; `None` if all is as shown.
pub fn difference(shown: &[String], found: &str) -> Option<String> {
    if shown.is_empty() {
        return None;
    }
    let found: Vec<&str> = found.lines().map(str::trim_end).collect();
    let groups: Vec<&[String]> = shown.split(|line| is_gap(line)).collect();
    let mut at = 0;
    for (index, group) in groups.iter().enumerate() {
        let fits = |start: usize| {
            found.len() >= start + group.len()
                && group.iter().zip(&found[start..]).all(|(shown, found)| is_like(shown.trim_end(), found))
        };
        let last = found.len().checked_sub(group.len());
        let place = match (index == 0, index + 1 == groups.len()) {
            (true, true) if group.len() == found.len() => Some(0).filter(|_| fits(0)),
            (true, true) => None,
            (true, false) => Some(0).filter(|_| fits(0)),
            (false, true) => last.filter(|last| *last >= at && fits(*last)),
            (false, false) => (at..found.len() + 1).find(|start| fits(*start)),
        };
        match place {
            Some(place) => at = place + group.len(),
            None => return Some(group.join("\n")),
        }
    }
    None
}

/// The same for a part of a file, which may begin and end anywhere.
pub fn excerpt_difference(shown: &[String], file: &str) -> Option<String> {
    let gap = || "...".to_owned();
    let shown: Vec<String> =
        std::iter::once(gap()).chain(shown.iter().cloned()).chain(std::iter::once(gap())).collect();
    difference(&shown, file)
}

/// `...`, also as a comment.
fn is_gap(line: &str) -> bool {
    matches!(line.trim(), "..." | "// ..." | "# ...")
}

/// Whether a line is as shown, with `...` for any part of it.
fn is_like(shown: &str, found: &str) -> bool {
    let parts: Vec<&str> = shown.split("...").collect();
    let [first, middle @ .., last] = &parts[..] else { return shown == found };
    let Some(mut rest) = found.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Where commands are run.
pub struct Terminal {
    folder: PathBuf,
    environment: Vec<(String, String)>,
    unset: Vec<&'static str>,
    state: PathBuf,
}

impl Terminal {
    /// One in `folder`. `state` is a file for what it remembers.
    pub fn new(folder: &Path, state: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            environment: Vec::new(),
            unset: Vec::new(),
            state: state.to_owned(),
        }
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Makes a variable be absent.
    pub fn without(mut self, name: &'static str) -> Self {
        self.unset.push(name);
        self
    }

    /// A script, ready to start. Both outputs go where standard output goes, as on a screen.
    pub fn command(&self, script: &str) -> std::process::Command {
        let mut command = std::process::Command::new("sh");
        let script = format!("exec 2>&1\ntrap 'pwd > \"$TERMINAL_STATE\"' EXIT\nset -eu\n{script}\n");
        command.arg("-c").arg(script).current_dir(&self.folder).stdin(std::process::Stdio::null());
        for name in &self.unset {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("TERMINAL_STATE", &self.state);
        command
    }

    /// Goes on where the last script ended.
    pub fn follow(&mut self) {
        if let Ok(folder) = std::fs::read_to_string(&self.state) {
            self.folder = folder.trim_end().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn blocks_are_understood_or_refused() {
        let document = "## A\n`x/a.rs`:\n\n```rust file=x/a.rs\nfn a() {}\n```\n## B\n```console\n$ one\n$ two\nout\n```\n";
        let found = blocks(document).unwrap();
        assert_eq!(found[0].action, Action::Write("x/a.rs".into(), "fn a() {}\n".into()));
        assert_eq!((found[1].section.as_str(), found[1].line), ("B", 8));
        let Action::Console(exchanges) = &found[1].action else { panic!("{found:?}") };
        assert_eq!(exchanges[1], Exchange { command: "two".into(), shown: vec!["out".into()] });
        for (wrong, part) in [
            ("```rust\n```", "line 1: ```rust: neither"),
            ("```\n```", "neither"),
            ("```toml fil=a\n```", "neither file= nor from="),
            ("```toml file=a\n```", "does not name `a`"),
            ("```console\nout\n```", "does not begin with a command"),
            ("```sh\nls", "does not end"),
            ("- list\n  ```sh\n  ls\n  ```", "in a list"),
        ] {
            let error = blocks(wrong).unwrap_err();
            assert!(error.contains(part), "{wrong}: {error}");
        }
    }

    #[test]
    fn what_is_shown_has_to_be_there() {
        let is_there = |shown: &str, found: &str| difference(&lines(shown), found).is_none();
        assert!(is_there("a\nb", "a\nb\n") && !is_there("a\nb", "a\nx\nb") && !is_there("a", "a\nb"));
        assert!(is_there("a\n...\nd", "a\nb\nc\nd") && is_there("a\n...\nd", "a\nd"));
        assert!(!is_there("a\n...\nd", "x\na\nd") && !is_there("a\n...\nd", "a\nd\nx"));
        assert!(!is_there("b\n...\na\n...", "a\nb"));
        assert!(is_there("...\nb\n...", "a\nb\nc") && is_there("...", ""));
        assert!(is_there("in /...: 3 of ...", "in /a/b: 3 of 4") && !is_there("in /...: 3", "in /a: 4"));
        assert!(!is_there("ab...bc", "abc"));
        assert!(excerpt_difference(&lines("b\n// ...\nd"), "a\nb\nc\nd\ne").is_none());
        assert_eq!(excerpt_difference(&lines("b\nd"), "a\nb\nc\nd\ne"), Some("b\nd".into()));
    }
}
