//! Expressions as `workflow.toml` has them, with their places.

use std::ops::Range;

use crate::diagnostic::Span;
use crate::expression::Expression;
use crate::reader::{Node, Reader};

/// An expression of the file.
#[derive(Clone, Debug)]
pub(crate) struct ExpressionToml {
    pub(crate) expression: Expression,
    /// The key it stands at.
    pub(crate) key: String,
    /// The text, quotes included.
    pub(crate) span: Span,
    /// Where its first byte stands, if the file has it as it is.
    start: Option<usize>,
}

impl ExpressionToml {
    /// Reads an expression; what is wrong is shown at its place inside the text.
    pub(crate) fn read(reader: &mut Reader, node: &Node<'_>) -> Option<Self> {
        let text = node.text(reader)?;
        let raw = reader.source.text().get(text.span.clone()).unwrap_or_default();
        let start = verbatim(raw, &text.value).map(|start| text.span.start + start);
        match text.value.parse::<Expression>() {
            Ok(expression) => Some(Self { expression, key: node.name.clone(), span: text.span, start }),
            Err(error) => {
                let span = place(error.at(), start, &text.span);
                let found = reader.error(span, format!("in `{}`: {error}", node.name));
                found.hint = error.hint();
                None
            }
        }
    }

    /// A place of the expression as a place of the file.
    pub(crate) fn place(&self, at: Range<usize>) -> Span {
        place(at, self.start, &self.span)
    }
}

/// The whole text where it was written with escapes, since its bytes are not the file's.
fn place(at: Range<usize>, start: Option<usize>, whole: &Span) -> Span {
    start.map_or_else(|| whole.clone(), |start| start + at.start..start + at.end)
}

/// Where the text begins in a TOML string that has no escapes.
fn verbatim(raw: &str, text: &str) -> Option<usize> {
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| raw.starts_with(quote))?;
    let inner = raw.strip_prefix(quote)?.strip_suffix(quote)?;
    // A line break directly behind three quotes is none of the text.
    let trimmed = if quote.len() == 3 { inner.trim_start_matches("\r\n") } else { inner };
    let trimmed = if quote.len() == 3 { trimmed.strip_prefix('\n').unwrap_or(trimmed) } else { trimmed };
    (trimmed == text).then(|| quote.len() + inner.len() - trimmed.len())
}

#[cfg(test)]
mod tests {
    use super::verbatim;

    #[test]
    fn knows_where_a_text_stands() {
        assert_eq!(verbatim("\"a\"", "a"), Some(1));
        assert_eq!(verbatim("'a\\n'", "a\\n"), Some(1));
        assert_eq!(verbatim("\"\"\"\na\"\"\"", "a"), Some(4));
        assert_eq!(verbatim("'''\r\na'''", "a"), Some(5));
        assert_eq!(verbatim("'''a'''", "a"), Some(3));
        assert_eq!(verbatim("\"\\u0061\"", "a"), None);
    }
}
