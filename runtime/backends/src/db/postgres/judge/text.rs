//! The text of a statement, taken apart and put together again, so that PostgreSQL reads what was judged.
//!
//! sqlparser and PostgreSQL need not agree on where a string or a comment ends. So the guest's text never reaches the
//! server: it is cut into tokens once, and the tokens are written out in a form that both can only read in one way.
//! Comments are left out, every string is a plain one, and a space stands between any two tokens.

use std::ops::Range;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace, Word};
use wflo_ports::DbError;

use crate::db::names::quoted;

/// Longer statements are refused before anything looks at them.
const MOST_BYTES: usize = 256 << 10;

/// A statement as tokens without spaces and comments. Parameters are `$1`, `$2`, ...
#[derive(Clone, Debug)]
pub(super) struct Text(Vec<Token>);

impl Text {
    /// Takes a statement apart.
    ///
    /// Parameters may be written `$1`, `?1` or `:name`; named ones are numbered in the order in which they first stand
    /// in the statement, as SQLite does.
    ///
    /// # Errors
    /// [`DbError::Invalid`] for what is no SQL, or no SQL that can be written in one way.
    pub(super) fn read(sql: &str) -> Result<Self, DbError> {
        if sql.len() > MOST_BYTES {
            return Err(DbError::Limit(format!("the statement is longer than {MOST_BYTES} bytes")));
        }
        if sql.contains(['\0', '\u{feff}']) {
            return Err(DbError::Invalid(
                "the statement holds a NUL or a byte order mark; pass such text as a parameter".into(),
            ));
        }
        let raw = Tokenizer::new(&PostgreSqlDialect {}, sql)
            .tokenize()
            .map_err(|error| DbError::Invalid(format!("the statement is no SQL: {}", error.message)))?;
        let mut tokens = with_parameters(raw)?;
        while tokens.last() == Some(&Token::SemiColon) {
            tokens.pop();
        }
        if tokens.is_empty() {
            return Err(DbError::Invalid("the statement is empty".into()));
        }
        if tokens.contains(&Token::SemiColon) {
            return Err(DbError::Invalid("more than one statement: send them one at a time".into()));
        }
        Ok(Self(tokens))
    }

    /// How many signs and words of SQL there are, beyond those that only part values or are some: what is parsed is no
    /// deeper than that.
    pub(super) fn depth(&self) -> usize {
        let deepens = |token: &&Token| match token {
            Token::Word(word) => {
                let values =
                    [Keyword::NoKeyword, Keyword::NULL, Keyword::DEFAULT, Keyword::TRUE, Keyword::FALSE];
                word.quote_style.is_none() && !values.contains(&word.keyword)
            }
            Token::Comma
            | Token::LParen
            | Token::RParen
            | Token::Period
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_) => false,
            _ => true,
        };
        self.0.iter().filter(deepens).count()
    }

    /// Its first word, for messages.
    pub(super) fn first_word(&self) -> String {
        match self.0.first() {
            Some(Token::Word(word)) => word.value.to_ascii_uppercase(),
            _ => "such a statement".into(),
        }
    }

    /// The tokens for the parser. The line of each is its place here, from 1, and comes back with every name.
    pub(super) fn tokens(&self) -> Vec<TokenWithSpan> {
        let at = |line: u64| Location { line, column: 1 };
        let numbered = (1..).zip(&self.0);
        numbered.map(|(n, token)| TokenWithSpan::new(token.clone(), Span::new(at(n), at(n)))).collect()
    }

    /// Writes the tokens out; what stands at a place of `instead`, from its first token to its last, is replaced.
    pub(super) fn write(&self, instead: &[Replacement]) -> String {
        self.write_some(1..self.0.len() + 1, instead)
    }

    /// Writes the tokens at some places out.
    pub(super) fn write_some(&self, places: Range<usize>, instead: &[Replacement]) -> String {
        let mut sql = String::new();
        let mut at = places.start;
        while at < places.end {
            let (text, next) = match instead.iter().find(|it| it.first == at) {
                Some(it) => (it.sql.clone(), it.last + 1),
                None => (written(&self.0[at - 1]), at + 1),
            };
            if !sql.is_empty() {
                sql.push(' ');
            }
            sql.push_str(&text);
            at = next;
        }
        sql
    }
}

/// Looking at tokens, by their places.
impl Text {
    /// Whether each token stands outside of all brackets. There is none at place 0.
    pub(super) fn outside(&self) -> Vec<bool> {
        let mut depth = 0_usize;
        let mut outside = vec![false];
        for token in &self.0 {
            match token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
            outside.push(depth == 0 && !matches!(token, Token::RParen | Token::RBracket));
        }
        outside
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Token] {
        &self.0
    }

    /// The tokens at some places.
    pub(super) fn some(&self, places: Range<usize>) -> Vec<Token> {
        places.filter_map(|at| self.at(at).cloned()).collect()
    }

    fn at(&self, place: usize) -> Option<&Token> {
        place.checked_sub(1).and_then(|at| self.0.get(at))
    }

    /// The word at a place, where it is no quoted name.
    pub(super) fn word(&self, place: usize) -> Option<&str> {
        match self.at(place) {
            Some(Token::Word(Word { value, quote_style: None, .. })) => Some(value),
            _ => None,
        }
    }

    pub(super) fn is_period(&self, place: usize) -> bool {
        self.at(place) == Some(&Token::Period)
    }

    pub(super) fn is_comma(&self, place: usize) -> bool {
        self.at(place) == Some(&Token::Comma)
    }

    pub(super) fn is_equals(&self, place: usize) -> bool {
        self.at(place) == Some(&Token::Eq)
    }

    /// Whether a question mark stands somewhere, as an operator or for a parameter that has no number.
    pub(super) fn has_question(&self) -> bool {
        self.0.iter().any(|token| match token {
            Token::Question => true,
            Token::CustomBinaryOperator(sign) => sign.ends_with('?'),
            _ => false,
        })
    }

    /// Whether a name begins as the host's own do.
    pub(super) fn names_anything_of_the_hosts(&self) -> bool {
        self.0.iter().any(|token| {
            matches!(token, Token::Word(word) if word.value.to_ascii_lowercase().starts_with("wflo_"))
        })
    }
}

/// Other text for some tokens.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    /// The place of the first token, from 1.
    pub(super) first: usize,
    /// That of the last.
    pub(super) last: usize,
    /// What stands there instead.
    pub(super) sql: String,
}

/// Leaves spaces and comments out, and numbers parameters.
fn with_parameters(raw: Vec<Token>) -> Result<Vec<Token>, DbError> {
    let mut tokens: Vec<Token> = Vec::with_capacity(raw.len());
    let mut names: Vec<String> = Vec::new();
    let (mut numbered, mut brackets) = (false, 0_usize);
    let mut raw = raw.into_iter().peekable();
    while let Some(token) = raw.next() {
        let token = match (token, raw.peek()) {
            (Token::Whitespace(Whitespace::MultiLineComment(_)), _) | (Token::Whitespace(_), _) => continue,
            (Token::Question, Some(Token::Number(n, _))) if n.bytes().all(|byte| byte.is_ascii_digit()) => {
                let place = format!("${n}");
                raw.next();
                numbered = true;
                Token::Placeholder(place)
            }
            // Within brackets it separates the ends of a slice.
            (Token::Colon, Some(Token::Word(word))) if brackets == 0 && word.quote_style.is_none() => {
                let at = names.iter().position(|name| *name == word.value).unwrap_or_else(|| {
                    names.push(word.value.clone());
                    names.len() - 1
                });
                raw.next();
                Token::Placeholder(format!("${}", at + 1))
            }
            (Token::Placeholder(place), _) => {
                numbered = true;
                Token::Placeholder(place)
            }
            (token, _) => token,
        };
        match token {
            Token::LBracket => brackets += 1,
            Token::RBracket => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        tokens.push(plain(token)?);
    }
    if numbered && !names.is_empty() {
        return Err(DbError::Invalid("parameters are numbered or named, not both".into()));
    }
    Ok(tokens)
}

/// A token in its plain form.
fn plain(token: Token) -> Result<Token, DbError> {
    let unclear = |what: &str| {
        Err(DbError::Invalid(format!(
            "the statement holds {what}; pass it as a parameter, or write it plainly"
        )))
    };
    match token {
        Token::EscapedStringLiteral(text) => Ok(Token::SingleQuotedString(text)),
        Token::DollarQuotedString(text) => Ok(Token::SingleQuotedString(text.value)),
        Token::SingleQuotedString(text) if text.contains('\0') => unclear("a NUL"),
        Token::Placeholder(place) => {
            let number = place.strip_prefix('$').and_then(|n| n.parse::<u16>().ok()).filter(|n| *n > 0);
            match number {
                Some(n) => Ok(Token::Placeholder(format!("${n}"))),
                None => Err(DbError::Invalid("a parameter is written `$1`, `?1` or `:name`".into())),
            }
        }
        Token::Word(Word { quote_style: None, ref value, .. })
            if !value.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$') =>
        {
            unclear("a name that is none")
        }
        Token::CustomBinaryOperator(ref sign) if sign.contains("--") || sign.contains("/*") => {
            unclear("an operator that looks like a comment")
        }
        Token::Char(_)
        | Token::DoubleQuotedString(_)
        | Token::TripleSingleQuotedString(_)
        | Token::TripleDoubleQuotedString(_)
        | Token::SingleQuotedByteStringLiteral(_)
        | Token::DoubleQuotedByteStringLiteral(_)
        | Token::TripleSingleQuotedByteStringLiteral(_)
        | Token::TripleDoubleQuotedByteStringLiteral(_)
        | Token::SingleQuotedRawStringLiteral(_)
        | Token::DoubleQuotedRawStringLiteral(_)
        | Token::TripleSingleQuotedRawStringLiteral(_)
        | Token::TripleDoubleQuotedRawStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::QuoteDelimitedStringLiteral(_)
        | Token::NationalQuoteDelimitedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Backslash
        | Token::LBrace
        | Token::RBrace
        | Token::CopyData { .. } => unclear("a literal or sign of a kind that is not read here"),
        other => Ok(other),
    }
}

/// A token as it stands in the statement that is sent.
fn written(token: &Token) -> String {
    match token {
        Token::Word(Word { value, quote_style: Some(_), .. }) => quoted(value),
        Token::SingleQuotedString(text) => format!("'{}'", text.replace('\'', "''")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    fn written(sql: &str) -> String {
        Text::read(sql).map_or_else(|error| error.to_string(), |text| text.write(&[]))
    }

    #[test]
    fn what_is_sent_can_be_read_in_one_way() {
        for (sql, expect) in [
            ("SELECT 1 -- one\n;", "SELECT 1"),
            ("SELECT/* a /* nested */ 'b */ 1", "SELECT 1"),
            (r"SELECT E'it\'s', 'a\', 'b''c'", r"SELECT 'it''s' , 'a\' , 'b''c'"),
            ("SELECT $tag$ it's; $tag$", "SELECT ' it''s; '"),
            ("SELECT \"a\"\"b\".C FROM t", "SELECT \"a\"\"b\" . C FROM t"),
            ("SELECT a::int, b->>'c' FROM t", "SELECT a :: int , b ->> 'c' FROM t"),
            ("SELECT ?2, ?1", "SELECT $2 , $1"),
            ("SELECT :b, :a, :b", "SELECT $1 , $2 , $1"),
            ("SELECT a[1:n] FROM t WHERE b = $1", "SELECT a [ 1 : n ] FROM t WHERE b = $1"),
        ] {
            assert_eq!(written(sql), expect, "{sql}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (sql, says) in [
            ("", "the statement is empty"),
            (" ; -- nothing", "the statement is empty"),
            ("SELECT 1; SELECT 2", "more than one statement"),
            ("SELECT U&'\\0061'", "not read here"),
            ("SELECT X'00'", "not read here"),
            ("SELECT 'a", "no SQL"),
            ("SELECT $1, :a", "not both"),
            ("SELECT $0", "is written"),
            ("SELECT '\0'", "NUL"),
        ] {
            assert!(written(sql).contains(says), "{sql}: {}", written(sql));
        }
    }
}
