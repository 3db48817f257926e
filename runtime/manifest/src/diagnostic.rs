//! What is wrong with a file, where, and what to do about it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::{DEFAULT_HELP_STYLE, DecorStyle};
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use wflo_model::steers;

/// A range of bytes in a file.
pub type Span = Range<usize>;

/// A file that diagnostics point into.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
}

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but not all of it does what one may expect.
    Hint,
}

/// One problem of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: Arc<Source>,
    /// The place, in bytes; empty for the end of the file.
    pub span: Span,
    /// What is wrong: lower case, no final period, literals in backticks.
    pub message: String,
    /// What stands beside the marked place; empty for nothing.
    pub label: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// All problems of one or more files, in the order of the text.
///
/// ```
/// use wflo_manifest::Workflow;
/// let problems = Workflow::parse("workflow.toml", "[workflow]\nnam = \"x\"\n").unwrap_err();
/// let text = problems.render(false);
/// assert!(text.contains("unknown key `nam`"));
/// assert!(text.contains("workflow.toml:2:1"));
/// assert!(text.contains("\nhint: did you mean `name`?"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Source {
    /// Takes a file's name, as messages shall show it, and its text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into() })
    }

    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte, both from 1; columns count characters.
    #[must_use]
    pub fn position(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(at)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }
}

impl Diagnostic {
    /// Sets what stands beside the marked place.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Sets what to do next.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }

    /// Line and column where it begins, both from 1.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        self.file.position(self.span.start)
    }

    /// The problem as a block of lines: message, place, snippet and hint.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Hint => Level::INFO.with_name("note"),
        };
        // A name, of the file or out of a component, must not steer the terminal, nor be read as another.
        let (message, label) = (tame(&self.message), tame(&self.label));
        let title = level.primary_title(message.as_str());
        let text = self.file.text();
        let group = if text.is_empty() {
            title.element(Origin::path(self.file.name()).line(1).char_column(1))
        } else {
            let start = text.floor_char_boundary(self.span.start);
            let end = text.ceil_char_boundary(self.span.end.max(start));
            let mark = AnnotationKind::Primary.span(start..end);
            let mark = if label.is_empty() { mark } else { mark.label(label.as_str()) };
            title.element(Snippet::source(text).path(self.file.name()).annotation(mark))
        };
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = renderer.decor_style(DecorStyle::Ascii).render(&[group]);
        out.push('\n');
        if let Some(hint) = &self.hint {
            let (on, off) = if color {
                (DEFAULT_HELP_STYLE.render().to_string(), DEFAULT_HELP_STYLE.render_reset().to_string())
            } else {
                Default::default()
            };
            out += &format!("{on}hint{off}: {}\n", tame(hint));
        }
        out
    }
}

impl Diagnostics {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.iter().any(|found| found.severity == Severity::Error)
    }

    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// One by one, in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Appends those of another file or stage.
    pub fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// All of them as text for a terminal, with an empty line in between.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        self.iter().map(|found| found.render(color)).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn push(&mut self, found: Diagnostic) -> &mut Diagnostic {
        self.0.push(found);
        self.0.last_mut().expect("one was just pushed")
    }

    /// Orders by place, so that people read the file once from top to bottom.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by_key(|found| (found.span.start, found.span.end));
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// A text on one line, without what could steer a terminal, or have it read as another.
fn tame(text: &str) -> String {
    let tamed = |c: char| match c {
        '\n' => ' ',
        c if steers(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(tamed).collect()
}
