//! The manifest of a study: a TOML file that becomes a checked plan.
//!
//! Everything that is wrong is said at once, each with its line, what is allowed and the nearest name. The form of
//! a manifest is in `keys`; editors get it as a JSON Schema. What plugins make of their options is theirs: here
//! options are compared with the schemas that plugins publish, so that mistakes in them are shown in place.
//!
//! Relative paths in `[journal]` and `[plugins]` are meant from the manifest's folder; a study whose manifest names
//! no journal is kept where the command runs.

pub(crate) mod check;
pub(crate) mod diagnostics;
pub(crate) mod duration;
pub(crate) mod keys;
pub(crate) mod options;
mod overrides;
mod size;
mod starter;
pub(crate) mod structure;
pub(crate) mod tree;

pub use diagnostics::{At, Diagnostic, Diagnostics, Origin};
pub use keys::{DEFAULT_JOURNAL, json_schema};
pub use starter::starter;

use crate::plan::StudyPlan;
use check::PlanSource;
use diagnostics::Sources;
use keys::{Form, Keys, MANIFEST};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::de::DeTable;
use tree::{Kind, Node, Reader, Table};

/// Syntax errors that are shown; what follows is mostly a consequence of them.
const SYNTAX_ERRORS_MAX: usize = 8;

/// A manifest that is TOML; whether it is a plan is for `plan` to say.
#[derive(Clone, Debug)]
pub struct Manifest {
    sources: Arc<Sources>,
    root: Node,
    /// What was wrong with single values and overrides already.
    found: Vec<Diagnostic>,
    folder: PathBuf,
    file_name: String,
    overrides: Vec<String>,
}

/// A part of the manifest that names a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[objective]`.
    Objective,
    /// A `[[strategy]]`, by index.
    Strategy(usize),
    /// `[early_stopping]`.
    EarlyStopping,
}

impl Manifest {
    /// Reads a manifest and applies overrides of the form `key.path=value` in their order.
    ///
    /// # Errors
    /// The file cannot be read, or it is no TOML.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, Diagnostics> {
        let unreadable = |text: String, finding: Diagnostic| {
            Diagnostics::new(vec![finding], Arc::new(Sources::new(path, text, overrides)))
        };
        let bytes = std::fs::read(path).map_err(|error| {
            let finding = Diagnostic::nowhere(format!("the manifest cannot be read: {error}"));
            unreadable(String::new(), finding.help("`ansatz init` writes a manifest to start from"))
        })?;
        let source = String::from_utf8(bytes).map_err(|error| {
            let start = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let at = At { origin: Origin::File, span: start..start + 1 };
            let finding = Diagnostic::at(&at, "the manifest is not valid UTF-8").label("first invalid byte");
            unreadable(text, finding.help("save the file in the encoding UTF-8"))
        })?;
        Self::parse(source, path, overrides)
    }

    /// The same with the text at hand; `path` gives the folder, the default name and the place in messages.
    ///
    /// # Errors
    /// The text is no TOML.
    pub fn parse(source: String, path: &Path, overrides: &[String]) -> Result<Self, Diagnostics> {
        let source = source.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(source);
        let sources = Arc::new(Sources::new(path, source, overrides));
        let (document, errors) = DeTable::parse_recoverable(&sources.text);
        if !errors.is_empty() {
            let found = errors.iter().take(SYNTAX_ERRORS_MAX).map(syntax_error).collect();
            return Err(Diagnostics::new(found, sources));
        }
        let mut found = Vec::new();
        let table = Reader { origin: Origin::File, offset: 0, found: &mut found }.table(document.get_ref());
        let mut root = Node { at: At { origin: Origin::File, span: 0..0 }, kind: Kind::Table(table) };
        for (index, text) in overrides.iter().enumerate() {
            overrides::apply(&mut root, index, text, &mut found);
        }
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { sources, root, found, folder, file_name, overrides: overrides.to_vec() })
    }

    /// Whether it says where the study is kept.
    pub fn names_journal(&self) -> bool {
        let journal = self.root.get("journal");
        journal.is_some_and(|journal| journal.get("path").or(journal.get("store")).is_some())
    }

    /// The text of the manifest, without overrides.
    pub fn source(&self) -> &str {
        &self.sources.text
    }

    /// The plan.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn plan(&self) -> Result<StudyPlan, Diagnostics> {
        let mut found = self.found.clone();
        structure::check(&Form::Table(&MANIFEST), &self.root, "", &mut found);
        let source =
            PlanSource { folder: &self.folder, file_name: &self.file_name, overrides: &self.overrides };
        let plan = check::plan(&self.root, &source, &mut found);
        match plan {
            Some(plan) if found.is_empty() => Ok(plan),
            _ => Err(Diagnostics::new(found, Arc::clone(&self.sources))),
        }
    }

    /// A manifest inside of another document: the part at a node, with overrides. What is wrong with it is shown where
    /// it stands.
    pub(crate) fn part(&self, node: &Node, overrides: &[String]) -> Self {
        let mut part = Self { root: node.clone(), ..self.clone() };
        part.found.clear();
        for (index, text) in overrides.iter().enumerate() {
            overrides::apply(&mut part.root, index, text, &mut part.found);
        }
        part.overrides = overrides.to_vec();
        part
    }

    /// Another document of ours, read by the same machinery: its values, and what is wrong with their form.
    pub(crate) fn document(&self, keys: &'static Keys) -> (&Node, Vec<Diagnostic>) {
        let mut found = self.found.clone();
        structure::check(&Form::Table(keys), &self.root, "", &mut found);
        (&self.root, found)
    }

    /// Findings with the texts that they point into.
    pub(crate) fn diagnostics(&self, found: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics::new(found, Arc::clone(&self.sources))
    }

    /// The folder of the file, absolute.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is wrong with the options of a plugin by its JSON Schema. What the schema says in ways that are not
    /// understood here is left to the plugin.
    pub fn check_options(&self, section: Section, schema: &serde_json::Value) -> Diagnostics {
        let path = match section {
            Section::Objective => "objective.options".to_owned(),
            Section::Strategy(index) => format!("strategy.{index}.options"),
            Section::EarlyStopping => "early_stopping.options".to_owned(),
        };
        let mut found = Vec::new();
        match self.section(section).and_then(|node| node.get("options")) {
            Some(options) => options::check(options, schema, schema, &path, &mut found),
            None => {
                let Some(at) = self.plugin_place(section) else { return Diagnostics::default() };
                let nothing = Node { at, kind: Kind::Table(Table::default()) };
                options::check(&nothing, schema, schema, &path, &mut found);
            }
        }
        Diagnostics::new(found, Arc::clone(&self.sources))
    }

    /// A message about the plugin of a section, such as that it is missing, shown at its name.
    pub fn plugin_error(&self, section: Section, message: &str) -> Diagnostics {
        self.error_at(self.plugin_place(section), message)
    }

    /// A message about the options of a section, such as the plugin's own refusal, shown there; at the plugin's
    /// name where there are none.
    pub fn options_error(&self, section: Section, message: &str) -> Diagnostics {
        let options = self.section(section).and_then(|node| node.table()?.entry("options"));
        let at = options.map(|entry| entry.key_at.clone());
        self.error_at(at.or_else(|| self.plugin_place(section)), message)
    }

    fn section(&self, section: Section) -> Option<&Node> {
        match section {
            Section::Objective => self.root.get("objective"),
            Section::Strategy(index) => self.root.get("strategy")?.items().get(index),
            Section::EarlyStopping => self.root.get("early_stopping"),
        }
    }

    fn plugin_place(&self, section: Section) -> Option<At> {
        let node = self.section(section)?;
        Some(node.get("plugin").unwrap_or(node).at.clone())
    }

    fn error_at(&self, at: Option<At>, message: &str) -> Diagnostics {
        let finding = match &at {
            Some(at) => Diagnostic::at(at, message),
            None => Diagnostic::nowhere(message),
        };
        Diagnostics::new(vec![finding], Arc::clone(&self.sources))
    }
}

/// An error of the TOML parser in the manifest.
fn syntax_error(error: &toml::de::Error) -> Diagnostic {
    let message = error.message();
    let span: Range<usize> = error.span().unwrap_or(0..0);
    let finding = Diagnostic::at(&At { origin: Origin::File, span }, format!("invalid TOML: {message}"));
    if message.starts_with("string values must be quoted") {
        finding.help("put texts in quotes: \"...\"")
    } else if message == "duplicate key" {
        finding.help("a key or a [section] is written once; only [[strategy]] may be repeated")
    } else {
        finding
    }
}

#[cfg(test)]
mod tests;
