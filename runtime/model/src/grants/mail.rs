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
        // What is written is an address too, and the narrowest pattern.
        address.parse().is_ok_and(|address: Self| address.is_one() && self.covers(&address))
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
            local if !local.is_empty() && local.len() <= 64 && local.chars().all(is_local) => {
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
    use super::MailPattern;

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
        for bad in ["", "a", "a@", "@b.c", "a@b", "a*@b.c", "a@*b.c", "a@b..c", "a@-b.c"] {
            assert!(bad.parse::<MailPattern>().is_err(), "{bad}");
        }
    }
}
