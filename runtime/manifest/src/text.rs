//! Texts that may come from the environment.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A text of `wflo.toml`: written out, or `env:NAME` for a variable of the environment.
///
/// Nothing is looked up before it is needed, so that a missing key of one binding does not stop a command
/// that has no use for it. `Debug` does not show a text that is written out: it may be a secret.
///
/// ```
/// use wflo_manifest::Text;
/// let key: Text = "env:OPENAI_API_KEY".parse().unwrap();
/// assert_eq!(key.resolve(&|name| Some(format!("value of {name}"))).unwrap(), "value of OPENAI_API_KEY");
/// assert!(key.resolve(&|_| None).is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum Text {
    /// The text itself.
    Plain(String),
    /// The name of the variable that holds it.
    Env(String),
}

impl Text {
    /// The text, by means of `env`, which looks up a variable.
    ///
    /// # Errors
    /// When the variable is not set.
    pub fn resolve(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<String, MissingVariable> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Env(name) => env(name).ok_or_else(|| MissingVariable { name: name.clone() }),
        }
    }

    /// The text, if it is written out.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Env(_) => None,
        }
    }
}

impl FromStr for Text {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("env:") {
            Some(name) => Self::Env(name.to_owned()),
            None => Self::Plain(text.to_owned()),
        })
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(..)"),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

/// A variable of the environment that is needed is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable `{name}` is not set")]
pub struct MissingVariable {
    /// The variable.
    pub name: String,
}
