//! What a call is after a crash.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What became of a call whose outcome nobody knew, as a person says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resolution {
    /// It was done, and returned this.
    Done {
        /// What the guest gets.
        value: Value,
    },
    /// It was not done; the guest's call is made anew.
    NotDone,
    /// Nobody knows, and nobody will: the step fails, and what it may have done is compensated.
    Compensate,
}

/// What a crash between intent and result means for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallClass {
    /// It only reads: it has no intent and is simply done again.
    Read,
    /// It may be made again; the first may have cost something.
    Repeatable,
    /// It is undone with its transaction, and redone.
    Transactional,
    /// It may be made again under the same key while the other side knows that; unknown afterwards.
    Keyed,
    /// It may be made again: whoever receives it twice can tell.
    Recognisable,
    /// The other side can be asked whether it was done.
    Verifiable,
    /// Nothing tells whether it was done: a person has to.
    Unsafe,
}

impl CallClass {
    /// Whether a crash between intent and result leaves nobody knowing what happened.
    #[must_use]
    pub const fn is_in_doubt(self) -> bool {
        matches!(self, Self::Keyed | Self::Verifiable | Self::Unsafe)
    }

    /// Whether it changes something outside that no transaction takes back.
    #[must_use]
    pub const fn has_effect(self) -> bool {
        match self {
            Self::Read | Self::Repeatable | Self::Transactional => false,
            Self::Keyed | Self::Recognisable | Self::Verifiable | Self::Unsafe => true,
        }
    }

    /// Whether a second attempt is given what the first was answered, instead of making an equal call: what has
    /// happened has happened, and a model need not be paid twice.
    #[must_use]
    pub const fn is_reused(self) -> bool {
        matches!(self, Self::Repeatable | Self::Keyed | Self::Verifiable | Self::Unsafe)
    }
}
