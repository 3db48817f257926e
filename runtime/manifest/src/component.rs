//! Which component a step is in.

use std::fmt;
use std::str::FromStr;

use wflo_model::Digest;

/// A component as `workflow.toml` names it.
///
/// ```
/// use wflo_manifest::ComponentRef;
/// assert_eq!("fraud.wasm".parse(), Ok(ComponentRef::Path("fraud.wasm".to_owned())));
/// assert!("sha256:abc".parse::<ComponentRef>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComponentRef {
    /// A file, relative to the folder of `workflow.toml`.
    Path(String),
    /// A component that the store has.
    Stored(Digest),
}

impl FromStr for ComponentRef {
    type Err = BadComponent;

    fn from_str(text: &str) -> Result<Self, BadComponent> {
        let bad = || BadComponent { text: text.to_owned() };
        if text.starts_with("sha256:") {
            return text.parse().map(Self::Stored).map_err(|_| bad());
        }
        if text.is_empty() || text.contains(char::is_control) {
            return Err(bad());
        }
        Ok(Self::Path(text.to_owned()))
    }
}

impl fmt::Display for ComponentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Stored(digest) => digest.fmt(f),
        }
    }
}

/// A text that names no component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no component: write the path of a file, or `sha256:` and 64 hex digits")]
pub struct BadComponent {
    /// The text.
    pub text: String,
}
