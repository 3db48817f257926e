//! The words of an expression, and what is rewritten among them.

use std::ops::Range;

use super::{ExpressionError, MOST_BYTES};

/// More than these is no condition a person can review, and bounds what the parser does.
const MOST_TOKENS: usize = 256;
/// The parser descends once for each bracket: this bounds its stack.
const DEEPEST: usize = 16;

/// Signs of CEL, the longer ones first.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "+", "-", "*", "/",
    "%", "<", ">", "!",
];

/// A word or sign, and where it stands in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// As CEL is to read it: ASCII only.
    pub(crate) text: String,
    pub(crate) at: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Number,
    Text,
    Sign,
}

/// Splits a source into tokens, with `AND`, `OR`, `NOT` and a bare `*` as CEL has them.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, ExpressionError> {
    if source.len() > MOST_BYTES {
        return Err(ExpressionError::TooLong { most: MOST_BYTES, at: MOST_BYTES..source.len() });
    }
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        if first.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let token = next(source, at, first)?;
        at = token.at.end;
        all.push(token);
        if all.len() > MOST_TOKENS {
            let at = all[MOST_TOKENS].at.clone();
            return Err(ExpressionError::TooManyWords { most: MOST_TOKENS, at });
        }
    }
    check_depth(&all)?;
    rewrite(&mut all);
    if all.is_empty() {
        return Err(ExpressionError::Empty);
    }
    Ok(all)
}

fn next(source: &str, at: usize, first: char) -> Result<Token, ExpressionError> {
    let rest = &source[at..];
    let while_true = |ok: fn(char) -> bool| rest.find(|c| !ok(c)).unwrap_or(rest.len());
    let token = |kind, len: usize| Token { kind, text: rest[..len].to_owned(), at: at..at + len };
    if first == '\'' || first == '"' {
        return text(source, at, first);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let len = while_true(|c| c.is_ascii_alphanumeric() || c == '_');
        if rest[len..].starts_with(['\'', '"']) {
            // `r'..'` and `b'..'` of CEL: there is nothing here that they would be needed for.
            let word = rest[..len].to_owned();
            return Err(ExpressionError::Prefix { word, at: at..at + len });
        }
        return Ok(token(Kind::Word, len));
    }
    if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
        return number(rest, at);
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok(token(Kind::Sign, sign.len())),
        None => Err(ExpressionError::Sign { sign: first, at: at..at + first.len_utf8() }),
    }
}

/// A number as far as one reads it; that it is one is checked where it is lowered.
fn number(rest: &str, at: usize) -> Result<Token, ExpressionError> {
    let bytes = rest.as_bytes();
    let mut len = 0;
    while let Some(byte) = bytes.get(len) {
        let signed = matches!(byte, b'+' | b'-') && matches!(bytes[len - 1], b'e' | b'E');
        // `1.size()` is no number, `1.` is none in CEL.
        let point = *byte == b'.' && bytes.get(len + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || *byte == b'_' || signed || point) {
            break;
        }
        len += 1;
    }
    let text = &rest[..len];
    let at = at..at + len;
    if text.parse::<super::Decimal>().is_err() {
        return Err(ExpressionError::Number { text: text.to_owned(), at });
    }
    // What 64 bits do not hold is a double to the parser, and what is written is read again from this token.
    let wide = text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_err();
    Ok(Token { kind: Kind::Number, text: if wide { format!("{text}.0") } else { text.to_owned() }, at })
}

/// A text in quotes. What is not ASCII is escaped, so that places are bytes for whoever counts characters.
fn text(source: &str, at: usize, quote: char) -> Result<Token, ExpressionError> {
    let rest = &source[at..];
    let mut out = String::from(quote);
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            '\n' | '\r' => break,
            // An escaped sign that is not ASCII is no escape of CEL: let it say so.
            c if !c.is_ascii() => out += &format!("\\U{:08x}", u32::from(c)),
            c => out.push(c),
        }
        if !escaped && c == quote {
            let at = at..at + index + c.len_utf8();
            return Ok(Token { kind: Kind::Text, text: out, at });
        }
        escaped = c == '\\' && !escaped;
    }
    Err(ExpressionError::OpenText { at: at..source.len() })
}

fn check_depth(all: &[Token]) -> Result<(), ExpressionError> {
    let mut open = 0_usize;
    for token in all.iter().filter(|token| token.kind == Kind::Sign) {
        match token.text.as_str() {
            // `a ? b : c ? d : e` descends as brackets do.
            "(" | "[" | "{" | "?" => open += 1,
            ")" | "]" | "}" => open = open.saturating_sub(1),
            _ => {}
        }
        if open > DEEPEST {
            return Err(ExpressionError::TooDeep { at: token.at.clone() });
        }
    }
    Ok(())
}

/// The words of the seeds. A bare `*` stands where a value is expected and nothing follows that it could multiply.
fn rewrite(all: &mut [Token]) {
    for token in all.iter_mut().filter(|token| token.kind == Kind::Word) {
        let sign = match token.text.as_str() {
            "AND" => "&&",
            "OR" => "||",
            "NOT" => "!",
            _ => continue,
        };
        token.text = sign.to_owned();
        token.kind = Kind::Sign;
    }
    let sign = |token: Option<&Token>, of: &[&str]| match token {
        None => true,
        Some(token) => token.kind == Kind::Sign && of.contains(&token.text.as_str()),
    };
    for index in 0..all.len() {
        let before = index.checked_sub(1).map(|before| &all[before]);
        if all[index].kind == Kind::Sign
            && all[index].text == "*"
            && sign(before, &["(", "&&", "||", "!"])
            && sign(all.get(index + 1), &[")", "&&", "||"])
        {
            all[index].text = "true".to_owned();
            all[index].kind = Kind::Word;
        }
    }
}
