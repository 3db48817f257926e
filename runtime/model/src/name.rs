//! Names a person writes in `workflow.toml` and `wflo.toml`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $extra:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                let ok = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c) || $extra.contains(c);
                let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
                if !starts || text.len() > 128 || !text.chars().all(ok) {
                    return Err(BadName { what: $what, extra: $extra, text: text.to_owned() });
                }
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

names! {
    /// The name of a workflow.
    WorkflowName, "workflow", ".";
    /// The name of a step, unique in its workflow.
    ///
    /// ```
    /// use wflo_model::StepName;
    /// assert!("analyze_transactions".parse::<StepName>().is_ok());
    /// assert!("analyze transactions".parse::<StepName>().is_err());
    /// ```
    StepName, "step", "";
    /// The label under which the deployment binds a database, secret, knowledge base or terraform folder.
    Label, "label", "";
    /// The name of an input of a workflow.
    InputName, "input", "";
    /// The name of a model, such as `gpt-4` or `org/model:7b`.
    ModelName, "model", "./:@+";
    /// A person or machine that may ask, vote or be named in the audit, such as `alice` or `local:root`.
    PrincipalName, "principal", ".:@+";
    /// The name of a policy of a workflow.
    PolicyName, "policy", ".";
    /// The name of a statement that a workflow writes out, such as `process_refund`.
    StatementName, "statement", "";
    /// The address of a channel for notifications, such as `slack://fraud-alerts`.
    ChannelName, "channel", "./:@+";
    /// A group of principals.
    GroupName, "group", ".:@+";
    /// The name of an artifact that a step makes, such as `rows.csv`.
    ArtifactName, "artifact", ".";
}

/// A text that is no name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a valid {what} name: use letters, digits and `_-{extra}`, 128 at most, no sign in front"
)]
pub struct BadName {
    /// What it should have named.
    pub what: &'static str,
    /// The signs allowed beside letters, digits, `_` and `-`.
    pub extra: &'static str,
    /// The text.
    pub text: String,
}

/// What the name of a compensator begins with. No manifest has a step of such a name.
const COMPENSATOR: &str = "__undo";

impl StepName {
    /// The name under which what undoes this step, or one item of it, is in the journal: a compensator is a step of its
    /// own, with its own attempts, calls and randomness. None where that name would be too long.
    ///
    /// ```
    /// use wflo_model::StepName;
    /// let step: StepName = "pay".parse().unwrap();
    /// let compensator = step.compensator(None).unwrap();
    /// assert_eq!(compensator.as_str(), "__undo__pay");
    /// assert_eq!(compensator.compensates(), Some((step.clone(), None)));
    /// assert_eq!(step.compensator(Some(7)).unwrap().compensates(), Some((step.clone(), Some(7))));
    /// assert_eq!(step.compensates(), None);
    /// ```
    #[must_use]
    pub fn compensator(&self, item: Option<u32>) -> Option<Self> {
        match item {
            None => format!("{COMPENSATOR}__{self}").parse().ok(),
            Some(item) => format!("{COMPENSATOR}_{item}__{self}").parse().ok(),
        }
    }

    /// The step, and the item of it, that this one compensates, if it is a compensator.
    #[must_use]
    pub fn compensates(&self) -> Option<(Self, Option<u32>)> {
        let (item, step) = self.0.strip_prefix(COMPENSATOR)?.split_once("__")?;
        let item = match item.strip_prefix('_') {
            Some(digits) => Some(digits.parse().ok()?),
            None if item.is_empty() => None,
            None => return None,
        };
        Some((step.parse().ok()?, item))
    }
}
