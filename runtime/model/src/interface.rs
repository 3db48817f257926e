//! Interfaces that a host brings itself.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The name of an interface that a host brings itself, without version, as WIT writes it: `clinic:ehr/records`.
///
/// Those of `wflo` and `wasi` are none: what they reach has grants of kinds of its own.
///
/// ```
/// use wflo_model::InterfaceName;
/// let name: InterfaceName = "clinic:ehr/records".parse().unwrap();
/// assert_eq!(InterfaceName::of_import("clinic:ehr/records@0.1.0"), Some(name));
/// assert!("wflo:db/sql".parse::<InterfaceName>().is_err());
/// assert!("records".parse::<InterfaceName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(Arc<str>);

impl InterfaceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of an import, its version taken off; none for what no host can bring.
    #[must_use]
    pub fn of_import(import: &str) -> Option<Self> {
        import.split('@').next()?.parse().ok()
    }
}

impl FromStr for InterfaceName {
    type Err = BadInterfaceName;

    fn from_str(text: &str) -> Result<Self, BadInterfaceName> {
        let bad = || BadInterfaceName { text: text.chars().take(128).collect() };
        let (namespace, rest) = text.split_once(':').ok_or_else(bad)?;
        let (package, interface) = rest.split_once('/').ok_or_else(bad)?;
        let reserved = matches!(namespace, "wflo" | "wasi");
        if reserved || text.len() > 128 || ![namespace, package, interface].iter().all(|word| is_kebab(word))
        {
            return Err(bad());
        }
        Ok(Self(text.into()))
    }
}

/// Whether it is words of lower-case letters and digits with `-` between them, each beginning with a letter.
fn is_kebab(text: &str) -> bool {
    text.split('-').all(|word| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

/// A text that names no interface of a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no interface that a host can bring: write it without a version, such as `clinic:ehr/records`; \
     those of `wflo` and `wasi` have grants of their own"
)]
pub struct BadInterfaceName {
    /// The text.
    pub text: String,
}

/// Reads what was granted of a host's interface: only the host knows what its grants look like.
///
/// ```
/// use wflo_model::GrantReader;
/// let reader: GrantReader = |grant| match grant["ward"].as_str() {
///     Some(_) => Ok(()),
///     None => Err("a grant names a `ward`".to_owned()),
/// };
/// assert!(reader(&serde_json::json!({"ward": "3"})).is_ok());
/// ```
pub type GrantReader = fn(&Value) -> Result<(), String>;

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Borrow<str> for InterfaceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for InterfaceName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for InterfaceName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::InterfaceName;

    #[test]
    fn names_are_those_of_wit_and_nobody_elses() {
        for good in ["clinic:ehr/records", "a:b/c", "my-clinic:ehr2/patient-records"] {
            assert!(good.parse::<InterfaceName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "records",
            "ehr/records",
            "clinic:ehr",
            "clinic:ehr/",
            ":a/b",
            "clinic:ehr/records@0.1.0",
            "clinic:ehr/a/b",
            "Clinic:ehr/records",
            "clinic:ehr/2fast",
            "clinic:ehr/-a",
            "clinic:ehr/a--b",
            "wflo:db/sql",
            "wasi:http/types",
            "clinic:ehr/r\u{e9}cords",
        ] {
            assert!(bad.parse::<InterfaceName>().is_err(), "{bad}");
        }
    }
}
