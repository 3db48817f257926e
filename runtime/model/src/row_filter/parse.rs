//! Reads the text of a row filter.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::{Comparison, FilterOperand, FilterValue, RowCondition, RowFilter, RowTest};

/// A longer text is nothing that a person can review.
const MOST_BYTES: usize = 4096;
/// Words that stand for themselves only where they are quoted.
const KEYWORDS: [&str; 9] = ["and", "or", "not", "in", "is", "null", "true", "false", "between"];

/// A text that is no [`RowFilter`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadRowFilter {
    /// What is wrong with it.
    pub reason: String,
    /// The byte at which it is.
    pub at: usize,
}

/// Whether a column can stand in a filter as it is.
pub(super) fn is_plain(name: &str) -> bool {
    !KEYWORDS.contains(&name)
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl FromStr for RowFilter {
    type Err = BadRowFilter;

    fn from_str(text: &str) -> Result<Self, BadRowFilter> {
        if text.len() > MOST_BYTES {
            return Err(bad(MOST_BYTES, format!("it is longer than {MOST_BYTES} bytes")));
        }
        let mut words = Words { text, at: 0 };
        let mut conditions = BTreeSet::new();
        loop {
            conditions.insert(condition(&mut words)?);
            match words.next()? {
                (_, None) => return Ok(Self(conditions)),
                (_, Some(Word::Name(word))) if word.eq_ignore_ascii_case("and") => {}
                (at, Some(Word::Name(word))) if word.eq_ignore_ascii_case("or") => {
                    return Err(bad(
                        at,
                        "`OR` would widen it: conditions are joined by `AND`, and `IN (..)` names several values",
                    ));
                }
                (at, Some(_)) => {
                    return Err(bad(
                        at,
                        format!("`{}` cannot stand here: conditions are joined by `AND`", rest(text, at)),
                    ));
                }
            }
        }
    }
}

fn bad(at: usize, reason: impl Into<String>) -> BadRowFilter {
    BadRowFilter { reason: reason.into(), at }
}

/// The beginning of what follows, for a message.
fn rest(text: &str, at: usize) -> String {
    text[at..].split_whitespace().next().unwrap_or_default().chars().take(32).collect()
}

fn condition(words: &mut Words<'_>) -> Result<RowCondition, BadRowFilter> {
    let column = match words.next()? {
        (_, Some(Word::Quoted(name))) => name,
        (_, Some(Word::Name(name))) if is_plain(&name.to_ascii_lowercase()) => name.to_owned(),
        (at, _) => {
            return Err(bad(at, format!("a condition begins with a column, not `{}`", rest(words.text, at))));
        }
    };
    let column = column.to_ascii_lowercase();
    let (at, word) = words.next()?;
    let test = match word {
        Some(Word::Sign(sign)) => {
            let comparison = match sign {
                "=" => Comparison::Equal,
                "<>" | "!=" => Comparison::NotEqual,
                "<" => Comparison::Less,
                "<=" => Comparison::AtMost,
                ">" => Comparison::More,
                ">=" => Comparison::AtLeast,
                _ => return Err(bad(at, format!("`{sign}` compares nothing"))),
            };
            RowTest::Is(comparison, operand(words)?)
        }
        Some(Word::Name(word)) if word.eq_ignore_ascii_case("in") => RowTest::In(list(words)?),
        Some(Word::Name(word)) if word.eq_ignore_ascii_case("is") => {
            let is = |word: &Option<Word<'_>>, name: &str| matches!(word, Some(Word::Name(it)) if it.eq_ignore_ascii_case(name));
            match words.next()? {
                (_, word) if is(&word, "null") => RowTest::Null,
                (_, word) if is(&word, "not") => match words.next()? {
                    (_, word) if is(&word, "null") => RowTest::NotNull,
                    (at, _) => return Err(bad(at, "`NULL` must follow `IS NOT`")),
                },
                (at, _) => return Err(bad(at, "`NULL` or `NOT NULL` must follow `IS`")),
            }
        }
        _ => {
            return Err(bad(
                at,
                format!(
                    "column `{column}` is not compared with anything: `=`, `<>`, `<`, `<=`, `>`, `>=`, `IN` or `IS` must follow"
                ),
            ));
        }
    };
    Ok(RowCondition { column, test })
}

/// `(1, 2)`
fn list(words: &mut Words<'_>) -> Result<BTreeSet<FilterOperand>, BadRowFilter> {
    let mut operands = BTreeSet::new();
    let (at, word) = words.next()?;
    if word != Some(Word::Sign("(")) {
        return Err(bad(at, "a list in brackets must follow `IN`"));
    }
    loop {
        operands.insert(operand(words)?);
        match words.next()? {
            (_, Some(Word::Sign(","))) => {}
            (_, Some(Word::Sign(")"))) => return Ok(operands),
            (at, _) => return Err(bad(at, "the list of `IN` is not closed")),
        }
    }
}

fn operand(words: &mut Words<'_>) -> Result<FilterOperand, BadRowFilter> {
    let (at, word) = words.next()?;
    let value = match word {
        Some(Word::Parameter(name)) => return parameter(at, name),
        Some(Word::Text(text)) => FilterValue::Text(text),
        Some(Word::Number(digits)) => match digits.parse() {
            Ok(number) => FilterValue::Integer(number),
            Err(_) => FilterValue::Decimal(digits.to_owned()),
        },
        Some(Word::Name(word)) => match word.to_ascii_lowercase().as_str() {
            "true" => FilterValue::Boolean(true),
            "false" => FilterValue::Boolean(false),
            "null" => return Ok(FilterOperand::Nothing),
            _ => {
                return Err(bad(
                    at,
                    format!(
                        "`{word}` is no value: write text in single quotes, an input as `:inputs.{word}`"
                    ),
                ));
            }
        },
        Some(Word::Quoted(name)) => {
            return Err(bad(
                at,
                format!(
                    "`\"{name}\"` is a column, and columns are compared with values: write text in single quotes"
                ),
            ));
        }
        _ => {
            return Err(bad(
                at,
                "a value must follow: text in single quotes, a number, `:inputs.<name>` or `:item`",
            ));
        }
    };
    Ok(FilterOperand::Value(value))
}

fn parameter(at: usize, name: &str) -> Result<FilterOperand, BadRowFilter> {
    if name == "item" {
        return Ok(FilterOperand::Item);
    }
    let unknown =
        || bad(at, format!("`:{name}` is not there: `:inputs.<name>`, `:item` and `:item.<name>` are"));
    match name.split_once('.') {
        Some(("inputs", input)) => input.parse().map(FilterOperand::Input).map_err(|_| unknown()),
        Some(("item", field)) if !field.is_empty() && !field.contains('.') => {
            Ok(FilterOperand::ItemField(field.to_owned()))
        }
        _ => Err(unknown()),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Word<'a> {
    Name(&'a str),
    /// A column in double quotes.
    Quoted(String),
    Text(String),
    Number(&'a str),
    /// Without its colon.
    Parameter(&'a str),
    Sign(&'a str),
}

struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    /// The next word and where it begins; none at the end.
    fn next(&mut self) -> Result<(usize, Option<Word<'a>>), BadRowFilter> {
        let left = &self.text[self.at..];
        self.at += left.len() - left.trim_start().len();
        let (at, left) = (self.at, &self.text[self.at..]);
        let while_true = |from: usize, ok: fn(char) -> bool| {
            from + left[from..].find(|c| !ok(c)).unwrap_or(left.len() - from)
        };
        let Some(first) = left.chars().next() else { return Ok((at, None)) };
        let (word, length) = match first {
            '\'' | '"' => {
                let (inside, length) = quoted(left, first).ok_or_else(|| bad(at, "a quote is not closed"))?;
                (if first == '"' { Word::Quoted(inside) } else { Word::Text(inside) }, length)
            }
            ':' => {
                let end = while_true(1, |c| c.is_ascii_alphanumeric() || "_-.".contains(c));
                (Word::Parameter(&left[1..end]), end)
            }
            '-' | '0'..='9' => {
                let end = while_true(1, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
                if !is_number(&left[..end]) {
                    return Err(bad(at, format!("`{}` is no number", rest(self.text, at))));
                }
                (Word::Number(&left[..end]), end)
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = while_true(1, |c| c.is_ascii_alphanumeric() || c == '_');
                (Word::Name(&left[..end]), end)
            }
            _ => {
                let signs = ["<>", "!=", "<=", ">=", "=", "<", ">", "(", ")", ","];
                let sign = signs.into_iter().find(|sign| left.starts_with(sign));
                let sign = sign.ok_or_else(|| {
                    bad(at, format!("`{}` means nothing in a filter", first.escape_debug()))
                })?;
                (Word::Sign(sign), sign.len())
            }
        };
        self.at += length;
        Ok((at, Some(word)))
    }
}

/// What stands in quotes, of which a doubled one is one, and how long that is with them.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut inside = String::new();
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((at, sign)) = signs.next() {
        if sign != quote {
            inside.push(sign);
        } else if signs.next_if(|(_, next)| *next == quote).is_some() {
            inside.push(quote);
        } else {
            return Some((inside, at + 1));
        }
    }
    None
}

/// `-12.50`: digits, with at most one point between them.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits.split_once('.').map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let all = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all(whole) && part.is_none_or(all)
}
