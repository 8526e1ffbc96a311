//! What is wrong with a manifest, where, and what is allowed: every finding at once, for people and for programs.

use annotate_snippets::{AnnotationKind, Level, Origin as PathLine, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What precedes the text of an override where it is shown.
const OVERRIDE_PREFIX: &str = "--set ";

/// The texts that spans point into.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The manifest's file, as it was named.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
    /// Each as it is shown: `--set key=value`.
    pub overrides: Vec<String>,
}

impl Sources {
    pub fn new(path: &Path, text: String, overrides: &[String]) -> Self {
        let overrides = overrides.iter().map(|text| format!("{OVERRIDE_PREFIX}{text}")).collect();
        Self { path: path.to_owned(), text, overrides }
    }

    /// Where the text that the user wrote begins in an override as it is shown.
    pub const OVERRIDE_START: usize = OVERRIDE_PREFIX.len();

    fn text(&self, origin: Origin) -> &str {
        match origin {
            Origin::File => &self.text,
            Origin::Override(index) => self.overrides.get(index).map_or("", String::as_str),
        }
    }
}

/// Which text something was written in. Files come before overrides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The manifest.
    File,
    /// An override of the command line, by index.
    Override(usize),
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// Which text.
    pub origin: Origin,
    /// Which bytes of it; of an override, counted with its `--set `.
    pub span: Range<usize>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, with the name of the key.
    pub message: String,
    /// A short remark right at the place; may be empty.
    pub label: String,
    /// Which bytes are meant; `None` where something is missing altogether.
    pub span: Option<Range<usize>>,
    /// Which text the span points into.
    pub origin: Origin,
    /// What is allowed, or what to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Something wrong at a place.
    pub fn at(at: &At, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            label: String::new(),
            span: Some(at.span.clone()),
            origin: at.origin,
            help: None,
        }
    }

    /// Something wrong with the manifest as a whole.
    pub fn nowhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), label: String::new(), span: None, origin: Origin::File, help: None }
    }

    /// With a remark at the place.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With what is allowed, or what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Findings about one manifest with the texts they point into, in reading order.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    findings: Vec<Diagnostic>,
    sources: Arc<Sources>,
}

impl Diagnostics {
    pub(crate) fn new(mut findings: Vec<Diagnostic>, sources: Arc<Sources>) -> Self {
        // a missing part has no place: it comes after what is there
        findings.sort_by_key(|finding| {
            (finding.origin, finding.span.as_ref().map_or(usize::MAX, |span| span.start))
        });
        let mut kept: Vec<Diagnostic> = Vec::with_capacity(findings.len());
        for finding in findings {
            if !kept.contains(&finding) {
                kept.push(finding);
            }
        }
        Self { findings: kept, sources }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// How many things are wrong.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// What is wrong, in reading order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.findings.iter()
    }

    /// Takes in further findings about the same manifest.
    pub fn extend(&mut self, other: Diagnostics) {
        let sources = if self.is_empty() { other.sources } else { Arc::clone(&self.sources) };
        let mut findings = std::mem::take(&mut self.findings);
        findings.extend(other.findings);
        *self = Self::new(findings, sources);
    }

    /// Line and column of a finding, from 1, in characters; `None` where it has no place.
    pub fn position(&self, finding: &Diagnostic) -> Option<(usize, usize)> {
        let text = self.sources.text(finding.origin);
        let start = visible_span(text, finding.span.as_ref()?).start;
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[..line_start].matches('\n').count() + 1;
        Some((line, text[line_start..start].chars().count() + 1))
    }

    /// The text for a terminal: each finding with its source line, an empty line between two.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let path = self.sources.path.display().to_string();
        let render = |finding: &Diagnostic| {
            let title = Level::ERROR.primary_title(one_line(&finding.message));
            let text = self.sources.text(finding.origin);
            let place = match finding.origin {
                Origin::File => path.as_str(),
                Origin::Override(_) => "command line",
            };
            let group = match &finding.span {
                None => title.element(PathLine::path(place)),
                Some(span) => {
                    let mark = AnnotationKind::Primary.span(visible_span(text, span));
                    let label = Some(one_line(&finding.label)).filter(|label| !label.is_empty());
                    title.element(Snippet::source(text).path(place).annotation(mark.label(label)))
                }
            };
            let group = match &finding.help {
                Some(help) => group.element(Level::HELP.message(one_line(help))),
                None => group,
            };
            format!("{}\n", renderer.render(&[group]))
        };
        self.findings.iter().map(render).collect::<Vec<_>>().join("\n")
    }

    /// An array with one object per finding: file, line, column, message, label, help. For an override,
    /// `file` is null, and `override` is its text; the column counts its `--set ` too.
    pub fn to_json(&self) -> serde_json::Value {
        let object = |finding: &Diagnostic| {
            let position = self.position(finding);
            let (file, text) = match finding.origin {
                Origin::File => (Some(self.sources.path.display().to_string()), None),
                Origin::Override(_) => (None, Some(self.sources.text(finding.origin))),
            };
            serde_json::json!({
                "file": file,
                "override": text,
                "line": position.map(|(line, _)| line),
                "column": position.map(|(_, column)| column),
                "message": finding.message,
                "label": Some(&finding.label).filter(|label| !label.is_empty()),
                "help": finding.help,
            })
        };
        self.findings.iter().map(object).collect()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.render(false))
    }
}
impl std::error::Error for Diagnostics {}

/// The part of a span on its first line, within the text and between characters.
fn visible_span(text: &str, span: &Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let marked = &text[start..end];
    let length = marked.find('\n').map_or(marked.len(), |at| marked[..at].trim_end().len());
    start..start + length
}

/// Messages quote what users wrote: control characters in it do not reach the terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
