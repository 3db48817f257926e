//! What both files say about HTTP: the requests a step is granted, and those a deployment allows at most.

use std::str::FromStr;
use std::time::Duration;

use wflo_model::{HttpGrant, HttpHeaderName, HttpPattern, Idempotency};

use crate::reader::{Node, Reader, Section, Spanned};

/// `grants.http`: patterns, and tables that say how a server tells a repeated request from a new one.
pub(crate) fn read_grants(reader: &mut Reader, node: &Node<'_>) -> Vec<Spanned<HttpGrant>> {
    let mut all: Vec<Spanned<HttpGrant>> = Vec::new();
    let list = match node.is_table() {
        true => vec![node.clone()],
        false => node.list(reader).unwrap_or_default(),
    };
    for node in list {
        let Some(grant) = read_grant(reader, &node) else { continue };
        if all.iter().any(|other| other.value.allow == grant.value.allow) {
            reader.error(grant.span, format!("`{}` is granted twice", grant.value.allow));
        } else {
            all.push(grant);
        }
    }
    all
}

fn read_grant(reader: &mut Reader, node: &Node<'_>) -> Option<Spanned<HttpGrant>> {
    if node.is_text() {
        return Some(node.at(HttpGrant::new(node.parse(reader)?.value)));
    }
    if !node.is_table() {
        node.expected(reader, "a pattern of requests, or `{ allow = \"..\", idempotency_header = \"..\" }`");
        return None;
    }
    let mut section = node.section(reader, "an HTTP grant")?;
    let allow: Option<Spanned<HttpPattern>> = section.need("allow").and_then(|node| node.parse(reader));
    let idempotency = read_idempotency(reader, &mut section);
    section.finish(reader);
    let allow = allow?;
    if idempotency.is_some() && allow.value.only_reads() {
        let message = "`idempotency_header` has no effect on requests that only read";
        reader.note(allow.span, message);
    }
    Some(node.at(HttpGrant { allow: allow.value, idempotency }))
}

/// A header is of use only for as long as the server remembers what came in it.
fn read_idempotency(reader: &mut Reader, section: &mut Section<'_>) -> Option<Idempotency> {
    let header = section.take("idempotency_header");
    let ttl = section.take("ttl");
    match (header, ttl) {
        (Some(header), Some(ttl)) => {
            let header: Option<Spanned<HttpHeaderName>> = header.parse(reader);
            let ttl: Option<Spanned<Ttl>> = ttl.parse(reader);
            Some(Idempotency { header: header?.value, ttl: ttl?.value.0 })
        }
        (Some(header), None) => {
            let found = reader.error(header.key, "`idempotency_header` without `ttl`");
            found.hint("add how long the server remembers a key, such as `ttl = \"24h\"`");
            None
        }
        (None, Some(ttl)) => {
            let found = reader.error(ttl.key, "`ttl` without `idempotency_header`");
            found.hint("add the header that the server takes a key in, such as `\"Idempotency-Key\"`");
            None
        }
        (None, None) => None,
    }
}

/// How long a server remembers: `30s`, `15m`, `24h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ttl(Duration);

#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a time: write it such as `\"24h\"`")]
struct BadTtl {
    text: String,
}

/// A year: no server promises more, and what is longer is a slip of the pen.
const LONGEST: u64 = 366 * 86_400;

impl FromStr for Ttl {
    type Err = BadTtl;

    fn from_str(text: &str) -> Result<Self, BadTtl> {
        let bad = || BadTtl { text: text.to_owned() };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = match &text[digits..] {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(bad()),
        };
        let seconds = text[..digits].parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(bad)?;
        if (1..=LONGEST).contains(&seconds) { Ok(Self(Duration::from_secs(seconds))) } else { Err(bad()) }
    }
}

/// `http` in `[limits]`: patterns, whose method may be left out and is then every one.
pub(crate) fn read_ceiling(reader: &mut Reader, node: &Node<'_>) -> Option<Vec<HttpPattern>> {
    let patterns: Vec<Spanned<Ceiling>> = node.names(reader);
    Some(patterns.into_iter().map(|pattern| pattern.value.0).collect())
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ceiling(HttpPattern);

impl FromStr for Ceiling {
    type Err = wflo_model::BadHttpPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all_methods = format!("* {text}");
        let pattern = if text.contains(' ') { text } else { &all_methods };
        // The message shows what is written.
        pattern.parse().map(Self).map_err(|error| Self::Err { pattern: text.to_owned(), ..error })
    }
}

impl std::fmt::Display for Ceiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ceiling, Ttl};

    #[test]
    fn times_have_a_unit() {
        let check = |text: &str, seconds: Option<u64>| {
            assert_eq!(text.parse::<Ttl>().ok().map(|ttl| ttl.0.as_secs()), seconds, "{text}");
        };
        check("30s", Some(30));
        check("24h", Some(86_400));
        check("7d", Some(604_800));
        for bad in ["", "24", "h", "0s", "-1h", "1.5h", "1w", "9999999d", "99999999999999999999s"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_ceiling_without_a_method_is_for_all() {
        let read = |text: &str| text.parse::<Ceiling>().map(|ceiling| ceiling.to_string());
        assert_eq!(read("https://*.example.org/*").unwrap(), "* https://*.example.org/*");
        assert_eq!(read("GET https://example.org/*").unwrap(), "GET https://example.org/*");
        assert!(read("example.org").is_err());
    }
}
