//! Conditions and paths in a manifest: `when`, `for_each`, and the conditions of policies.

mod decimal;
mod evaluate;
mod kind;
mod name;
mod node;
mod operand;
mod scope;
mod token;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use decimal::{BadDecimal, Decimal};
pub use evaluate::EvaluationError;
pub(crate) use kind::{Mismatch, ValueKind};
pub use name::Name;
pub(crate) use name::written;
pub use scope::{Bound, Scope};

/// The longest source. What is longer is no condition a person can review.
const MOST_BYTES: usize = 2048;

/// An expression of the Common Expression Language (CEL), parsed.
///
/// It reads a [`Scope`] and nothing else: no clock, no environment, no state; the same scope gives the same value
/// on every machine. The text is parsed by the `cel` crate. It is evaluated here, because that crate's interpreter
/// rounds decimals to doubles and does not bound its work.
///
/// * **Words.** `AND`, `OR` and `NOT` are `&&`, `||` and `!`. A `*` where a value is expected is `true`: a policy
///   `when = "*"` always holds. Nothing is rewritten inside quotes.
/// * **Numbers** are exact ([`Decimal`]); integers and decimals are one kind, so `1 == 1.0`. `/` gives up to 18
///   places: `7 / 2` is 3.5. A text is never taken for a number: `"150.00" > 100` is an error, and
///   `decimal("150.00") > 100` holds. The exact values of databases, `{"decimal": "150.00"}` and its like
///   ([`SqlValue`](wflo_model::SqlValue)), are numbers.
/// * **Logic.** `&&` and `||` do not ask for an order, as CEL has it: `false && x` is false even where `x` is
///   missing.
/// * **Functions**: `size`, `contains`, `startsWith`, `endsWith`, `int`, `double`, `decimal`, `string`, `has`, `in`,
///   and on lists `all`, `exists`, `exists_one`, `map`, `filter`. No regular expressions, no time.
/// * **Names**: `inputs.<name>`, `steps.<name>.output`, `run.id`, `run.workflow`, `run.version`, `run.requester`, and
///   in USD `budget.settled_usd`, `budget.held_usd` and, where there is a limit, `budget.limit_usd` and
///   `budget.left_usd`. In policies also `call.interface`, `call.function`, `call.args` and bare names. What is no word
///   is quoted: `steps["fetch-papers"].output`.
///
/// A source has at most 2,048 bytes, 256 words and 16 brackets in one another, and an evaluation takes at most
/// [`Expression::COST`] units of work, so that no input can make it slow.
///
/// ```
/// use serde_json::json;
/// use wflo_manifest::{Expression, Scope};
///
/// let safe: Expression = "confidence > 0.95 AND verdict == 'safe'".parse().unwrap();
/// let (confidence, verdict) = (json!(0.96), json!("safe"));
/// let mut scope = Scope::new();
/// scope.bind(&["confidence"], &confidence).bind(&["verdict"], &verdict);
/// assert_eq!(safe.holds(&scope), Ok(true));
///
/// let wrong = "confidence > ".parse::<Expression>().unwrap_err();
/// assert_eq!(wrong.to_string(), "the expression ends where a value is expected");
/// ```
#[derive(Clone)]
pub struct Expression {
    source: Arc<str>,
    root: Arc<node::Node>,
    names: Arc<[Name]>,
}

impl Expression {
    /// The most work one evaluation does: a unit is a part of the expression evaluated, an element looked at, or 16
    /// bytes of text compared.
    pub const COST: u32 = 100_000;

    /// As it is written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it reads, in the order of the text, each path once.
    ///
    /// ```
    /// use wflo_manifest::Expression;
    /// let when: Expression = "steps.a.output.n > inputs.least && urgent".parse().unwrap();
    /// let names: Vec<_> = when.names().iter().map(|name| name.to_string()).collect();
    /// assert_eq!(names, ["steps.a.output.n", "inputs.least", "urgent"]);
    /// ```
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The names that are no part of the run: those of facts, of calls and of outputs, without what is read of
    /// them.
    pub fn bare_names(&self) -> impl Iterator<Item = &str> {
        let mut seen = std::collections::BTreeSet::new();
        let bare = self.names.iter().filter(|name| name.is_bare()).map(Name::root);
        bare.filter(move |name| seen.insert(*name))
    }

    /// Its value. Numbers that JSON would round come as [`SqlValue`](wflo_model::SqlValue) has them.
    ///
    /// # Errors
    /// When it reads what is missing, does with a value what cannot be done, or takes more than [`COST`](Self::COST).
    pub fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, EvaluationError> {
        evaluate::value(&self.root, scope)
    }

    /// Its value where it is a condition.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and when the value is neither true nor false.
    pub fn holds(&self, scope: &Scope<'_>) -> Result<bool, EvaluationError> {
        evaluate::condition(&self.root, scope)
    }

    /// What kind of value it has, where `known` says what kind a name has.
    pub(crate) fn kind(&self, known: &dyn Fn(&[String]) -> ValueKind) -> Result<ValueKind, Mismatch> {
        kind::of(&self.root, known)
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(source: &str) -> Result<Self, ExpressionError> {
        let tokens = token::tokens(source)?;
        let root = node::parse(&tokens).map_err(|error| match error {
            // As it is written, not as it was rewritten.
            ExpressionError::Misfit { at, .. } => {
                ExpressionError::Misfit { word: source[at.clone()].to_owned(), at }
            }
            other => other,
        })?;
        let names = name::of(&root).into();
        Ok(Self { source: source.into(), root: root.into(), names })
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.source)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that is no expression; `at` is where, in bytes of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "`at` is the same in all, and the messages say the rest")]
pub enum ExpressionError {
    /// Nothing is written.
    #[error("the expression is empty")]
    Empty,
    /// It is too long to be read.
    #[error("the expression is longer than {most} bytes")]
    TooLong { most: usize, at: Range<usize> },
    /// It has too many words.
    #[error("the expression has more than {most} words and signs")]
    TooManyWords { most: usize, at: Range<usize> },
    /// Brackets in brackets in brackets.
    #[error("the expression is nested too deeply here")]
    TooDeep { at: Range<usize> },
    /// A character that means nothing outside of quotes.
    #[error("`{}` means nothing in an expression", .sign.escape_debug())]
    Sign { sign: char, at: Range<usize> },
    /// A text without its closing quote.
    #[error("the text has no closing quote")]
    OpenText { at: Range<usize> },
    /// A word directly before a quote.
    #[error("`{word}` before a quote is not supported")]
    Prefix { word: String, at: Range<usize> },
    /// What begins with a digit and is no number.
    #[error("`{text}` is not a number of up to 38 digits")]
    Number { text: String, at: Range<usize> },
    /// A word or sign where it does not belong.
    #[error("`{word}` does not fit here")]
    Misfit { word: String, at: Range<usize> },
    /// More is needed.
    #[error("the expression ends where a value is expected")]
    Unfinished { at: Range<usize> },
    /// A part of CEL that has no use here.
    #[error("{what} is not supported in an expression")]
    Unsupported { what: &'static str, at: Range<usize> },
    /// A function that does not exist.
    #[error("there is no function `{name}`")]
    Function { name: String, hint: Option<String>, at: Range<usize> },
    /// A function that is called with something else.
    #[error("`{name}` takes {takes}")]
    Arguments { name: String, takes: &'static str, at: Range<usize> },
    /// A map that has a key twice.
    #[error("the key `{key}` is there twice")]
    KeyTwice { key: String, at: Range<usize> },
}

impl ExpressionError {
    /// Where, in bytes of the source.
    #[must_use]
    pub fn at(&self) -> Range<usize> {
        match self {
            Self::Empty => 0..0,
            Self::TooLong { at, .. }
            | Self::TooManyWords { at, .. }
            | Self::TooDeep { at }
            | Self::Sign { at, .. }
            | Self::OpenText { at }
            | Self::Prefix { at, .. }
            | Self::Number { at, .. }
            | Self::Misfit { at, .. }
            | Self::Unfinished { at }
            | Self::Unsupported { at, .. }
            | Self::Function { at, .. }
            | Self::Arguments { at, .. }
            | Self::KeyTwice { at, .. } => at.clone(),
        }
    }

    /// What the writer may have meant.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Empty => "write a condition such as `confidence < 0.80`, or leave it out",
            Self::TooLong { .. } | Self::TooManyWords { .. } | Self::TooDeep { .. } => {
                "split it, or compute it in a step and read its output"
            }
            Self::Sign { sign: '=', .. } => "`==` compares",
            Self::Sign { sign: '&' | '|', .. } => "write `&&` or `AND`, `||` or `OR`",
            Self::Sign { sign: '\u{2018}'..='\u{201f}', .. } => "texts are in straight quotes: `'safe'`",
            Self::Sign { .. } => "texts are in quotes: `'safe'`",
            Self::Prefix { .. } => "write the text in plain quotes",
            Self::Misfit { word, .. } => match word.as_str() {
                "and" | "And" => "write `AND` or `&&`",
                "or" | "Or" => "write `OR` or `||`",
                "not" | "Not" => "write `NOT` or `!`",
                ">" => "not equal is `!=`",
                _ => return None,
            },
            Self::Function { hint, .. } => return hint.clone(),
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests;
