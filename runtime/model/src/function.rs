//! What a step is inside its component.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::StepName;

/// The name of what a step runs in its component: a step of the component's own, or a function that it exports.
///
/// `score` is a step that the component holds; of a component that holds no steps, it is the function that the component
/// exports under that name. `acme:fraud/scoring.score` is function `score` of interface `acme:fraud/scoring`, which may be
/// written with its version: `acme:fraud/scoring@1.2.0.score`.
///
/// ```
/// use wflo_model::FunctionName;
/// let name: FunctionName = "acme:fraud/scoring@1.2.0.score-all".parse().unwrap();
/// assert_eq!((name.interface(), name.function()), (Some("acme:fraud/scoring@1.2.0"), "score-all"));
/// let step: FunctionName = "block_accounts".parse().unwrap();
/// assert_eq!((step.interface(), step.function()), (None, "block_accounts"));
/// assert!("acme:fraud/scoring@1.2.0".parse::<FunctionName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionName {
    text: Arc<str>,
    /// Where the dot is.
    dot: Option<usize>,
}

impl FunctionName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The interface that the function is in, as written.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        self.dot.map(|dot| &self.text[..dot])
    }

    /// The step or function itself.
    #[must_use]
    pub fn function(&self) -> &str {
        &self.text[self.dot.map_or(0, |dot| dot + 1)..]
    }
}

impl From<StepName> for FunctionName {
    fn from(step: StepName) -> Self {
        Self { text: step.as_str().into(), dot: None }
    }
}

impl FromStr for FunctionName {
    type Err = BadFunctionName;

    fn from_str(text: &str) -> Result<Self, BadFunctionName> {
        let bad = || BadFunctionName { text: text.to_owned() };
        let Some(dot) = text.rfind('.') else {
            return text.parse::<StepName>().map(Into::into).map_err(|_| bad());
        };
        let (interface, function) = (&text[..dot], &text[dot + 1..]);
        let sign = |c: char| c.is_ascii_alphanumeric() || "-+:/@.".contains(c);
        let is_interface = interface.starts_with(|c: char| c.is_ascii_alphabetic())
            && interface.chars().all(sign)
            && interface.matches('@').count() <= 1
            && !interface.ends_with(['@', '/', ':', '.']);
        let is_function = function.starts_with(|c: char| c.is_ascii_alphabetic())
            && function.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_interface || !is_function || text.len() > 256 {
            return Err(bad());
        }
        Ok(Self { text: text.into(), dot: Some(dot) })
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

impl Serialize for FunctionName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for FunctionName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that names neither a step nor a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` names no function: write a step's name, or interface, dot and function, such as `acme:fraud/scoring.score`"
)]
pub struct BadFunctionName {
    /// The text.
    pub text: String,
}

/// What a function of a component's own types takes and gives, as far as whoever calls it has to know.
///
/// Names are as JSON has them: with `_` for each `-` of WIT.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The function as WIT writes it, records and the like in place of their names.
    pub wit: String,
    /// What it takes, in order.
    pub parameters: Vec<Parameter>,
    /// JSON Schema of the output of a step that it is.
    pub output: Value,
}

/// What a function takes under one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The name.
    pub name: String,
    /// The type, as WIT writes it.
    pub wit: String,
    /// JSON Schema of its values.
    pub schema: Value,
    /// Whether it can be left out.
    pub is_optional: bool,
    /// Its fields, where it is a record.
    pub fields: Vec<Self>,
}

#[cfg(test)]
mod tests {
    use super::FunctionName;

    #[test]
    fn a_function_is_a_step_or_has_its_interface() {
        let check = |text: &str, expect: Option<(Option<&str>, &str)>| {
            let name = text.parse::<FunctionName>().ok();
            let found = name.as_ref().map(|name| (name.interface(), name.function()));
            assert_eq!(found, expect, "{text}");
        };
        check("score", Some((None, "score")));
        check("score_2-x", Some((None, "score_2-x")));
        check("scoring.score", Some((Some("scoring"), "score")));
        check("a:b/c.d", Some((Some("a:b/c"), "d")));
        check("a:b/c@0.1.0-draft.d-e", Some((Some("a:b/c@0.1.0-draft"), "d-e")));
        for bad in ["", ".", "a.", ".a", "a:b/c@1.0.0", "a b.c", "a:b/c.d_e", "a:b/.d", "a@@1.d", "-a.b"] {
            check(bad, None);
        }
        check(&format!("{}.f", "a".repeat(300)), None);
    }

    #[test]
    fn it_travels_as_text() {
        let name: FunctionName = "a:b/c@1.0.0.d".parse().unwrap();
        let text = serde_json::to_string(&name).unwrap();
        assert_eq!(text, "\"a:b/c@1.0.0.d\"");
        assert_eq!(serde_json::from_str::<FunctionName>(&text).unwrap(), name);
    }
}
