//! Addresses that a step may write to.

use std::fmt;
use std::str::FromStr;

use crate::http::as_text;

/// A set of mail addresses: `pi@university.edu`, `*@example.org`, `*@*.example.org`, or `*@*` for every one.
///
/// A star stands for a whole part before the `@`, or for all names below a domain; the domain itself is not one of them.
/// Domains are compared without case, the part before the `@` exactly, as the servers of it may.
///
/// ```
/// use wflo_model::MailPattern;
/// let pattern: MailPattern = "*@Example.org".parse().unwrap();
/// assert!(pattern.matches("pi@example.org"));
/// assert!(!pattern.matches("pi@evil.example.org") && !pattern.matches("pi@example.org.evil.net"));
/// assert!(pattern.covers(&"pi@example.org".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailPattern {
    /// None for every one.
    local: Option<String>,
    domain: Domain,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Domain {
    Any,
    Below(String),
    Exactly(String),
}

impl MailPattern {
    /// Whether an address is one of them.
    #[must_use]
    pub fn matches(&self, address: &str) -> bool {
        address.parse().is_ok_and(|address: MailAddress| address.is_in(self))
    }

    /// Whether every address of `narrower` is one of these: reflexive, transitive.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        (self.local.is_none() || self.local == narrower.local)
            && match (&self.domain, &narrower.domain) {
                (Domain::Any, _) => true,
                (Domain::Below(wide), Domain::Exactly(name)) => is_below(name, wide),
                (Domain::Below(wide), Domain::Below(name)) => wide == name || is_below(name, wide),
                (Domain::Exactly(wide), Domain::Exactly(name)) => wide == name,
                (Domain::Below(_), Domain::Any) | (Domain::Exactly(_), _) => false,
            }
    }

    const fn is_one(&self) -> bool {
        self.local.is_some() && matches!(self.domain, Domain::Exactly(_))
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// One mail address, as the envelope of a message has it: `pi@university.edu`.
///
/// In ASCII, and without anything that servers read differently: display names, comments, quotes, routes, addresses of
/// machines in brackets. The domain is in lower case.
///
/// ```
/// use wflo_model::MailAddress;
/// let address: MailAddress = "pi@University.edu".parse().unwrap();
/// assert_eq!(address.to_string(), "pi@university.edu");
/// assert!("a@b.example, c@d.example".parse::<MailAddress>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailAddress(MailPattern);

impl MailAddress {
    /// Whether the pattern allows it.
    #[must_use]
    pub fn is_in(&self, pattern: &MailPattern) -> bool {
        pattern.covers(&self.0)
    }
}

impl FromStr for MailAddress {
    type Err = BadMailAddress;

    fn from_str(text: &str) -> Result<Self, BadMailAddress> {
        let bad = || BadMailAddress { text: text.chars().take(128).collect() };
        // What is written is the narrowest pattern.
        let pattern: MailPattern = text.parse().map_err(|_| bad())?;
        if pattern.is_one() { Ok(Self(pattern)) } else { Err(bad()) }
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

as_text!(MailAddress);

/// A text that is no mail address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no mail address: write it such as `pi@university.edu`, without a name, quotes or comments", .text.escape_debug())]
pub struct BadMailAddress {
    /// The text, or its beginning.
    pub text: String,
}

impl FromStr for MailPattern {
    type Err = BadMailPattern;

    fn from_str(text: &str) -> Result<Self, BadMailPattern> {
        let bad = || BadMailPattern { text: text.chars().take(128).collect() };
        // What quoting could hide (RFC 5321, section 4.1.2) is not allowed: one address, one form.
        let is_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'+-/=?^_`{|}~.".contains(c);
        let is_name = |name: &str| {
            let label = |label: &str| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            };
            name.len() <= 253 && name.contains('.') && name.split('.').all(label)
        };
        let (local, domain) = text.split_once('@').ok_or_else(bad)?;
        let local = match local {
            "*" => None,
            local
                if !local.is_empty()
                    && local.len() <= 64
                    && local.chars().all(is_local)
                    && !local.split('.').any(str::is_empty) =>
            {
                Some(local.to_owned())
            }
            _ => return Err(bad()),
        };
        let lower = domain.to_ascii_lowercase();
        let domain = match lower.strip_prefix("*.") {
            _ if lower == "*" => Domain::Any,
            Some(below) if is_name(below) => Domain::Below(below.to_owned()),
            None if is_name(&lower) => Domain::Exactly(lower),
            _ => return Err(bad()),
        };
        Ok(Self { local, domain })
    }
}

impl fmt::Display for MailPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.local.as_deref().unwrap_or("*");
        match &self.domain {
            Domain::Any => write!(f, "{local}@*"),
            Domain::Below(name) => write!(f, "{local}@*.{name}"),
            Domain::Exactly(name) => write!(f, "{local}@{name}"),
        }
    }
}

as_text!(MailPattern);

/// A text that is no pattern of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a pattern of addresses: write it such as `\"*@example.org\"`", .text.escape_debug())]
pub struct BadMailPattern {
    /// The text, or its beginning.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::{MailAddress, MailPattern};

    #[test]
    fn an_address_is_in_or_out() {
        let matches = |pattern: &str, address: &str| pattern.parse::<MailPattern>().unwrap().matches(address);
        assert!(matches("*@*", "a@b.c") && matches("*@*.b.c", "x@a.b.c") && matches("a@B.c", "a@b.C"));
        for (pattern, address) in [
            ("*@*.b.c", "x@b.c"),
            ("*@*.b.c", "x@ab.c"),
            ("a@b.c", "A@b.c"),
            ("*@b.c", "a@b.c@evil.net"),
            ("*@b.c", "\"a@evil.net\"@b.c"),
            ("*@b.c", "*@b.c"),
            ("*@b.c", "a@b.c,d@evil.net"),
            ("*@b.c", "a@b.c\r\nbcc: d@evil.net"),
        ] {
            assert!(!matches(pattern, address), "{pattern} {address}");
        }
        for bad in [
            "", "a", "a@", "@b.c", "a@b", "a*@b.c", "a@*b.c", "a@b..c", "a@-b.c", ".a@b.c", "a.@b.c",
            "a..a@b.c",
        ] {
            assert!(bad.parse::<MailPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_one_form() {
        let local = |name: &str| format!("{name}@b.example");
        for good in ["a@b.example", "a.b+c@b.example", "o'neil@b.example", "a@B.Example", "A_1@x-y.b.example"]
        {
            assert!(good.parse::<MailAddress>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "*@b.example",
            "a@*",
            "a@*.b.example",
            "Ann <a@b.example>",
            "<a@b.example>",
            "a@b.example (Ann)",
            "a(comment)@b.example",
            "\"a b\"@b.example",
            "\"a@evil.example\"@b.example",
            "a@b.example@evil.example",
            "@evil.example:a@b.example",
            "a%evil.example@b.example,c@d.example",
            "a@b.example;c@d.example",
            "a@b.example c@d.example",
            " a@b.example",
            "a@b.example\n",
            "a@b.example\r\nBcc: c@d.example",
            "a\0@b.example",
            "a@[127.0.0.1]",
            "a@localhost",
            "\u{430}@b.example",
            "a@b\u{2024}example",
            "a@b.ex\u{e4}mple",
            "a\u{ff20}b.example@c",
            "a@b.example.",
        ] {
            assert!(bad.parse::<MailAddress>().is_err(), "{bad:?}");
        }
        assert!(local(&"x".repeat(64)).parse::<MailAddress>().is_ok());
        assert!(local(&"x".repeat(65)).parse::<MailAddress>().is_err());
        let said = "a@b\r\nBcc: c@d.example".parse::<MailAddress>().unwrap_err().to_string();
        assert!(!said.contains('\n') && said.contains("\\r\\nBcc"), "{said}");
    }
}
