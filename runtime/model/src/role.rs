//! What people may do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a principal may do at most. Whether they may decide on one approval, its own rule says.
///
/// Whoever runs `wflo` as the user who owns the store, without naming a principal, has the store in their hands
/// anyway, and is bound by no role.
///
/// ```
/// use wflo_model::{Act, Role};
/// assert!(Role::Viewer.may(Act::Look) && !Role::Viewer.may(Act::Work));
/// assert!(Role::Approver.may(Act::Work) && !Role::Approver.may(Act::Manage));
/// assert!(Role::Admin.may(Act::Manage));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Only looks.
    Viewer,
    /// Also starts runs, steps into them, and decides where a rule names them or a group of theirs.
    #[default]
    Approver,
    /// Also manages people and keys, and forgets runs.
    Admin,
}

/// A kind of thing that somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Sees what there is.
    Look,
    /// Starts a run, steps into one, or votes.
    Work,
    /// Changes who may do what, rotates keys, erases or drops runs.
    Manage,
}

impl Role {
    /// Whether it suffices.
    #[must_use]
    pub const fn may(self, act: Act) -> bool {
        match act {
            Act::Look => true,
            Act::Work => !matches!(self, Self::Viewer),
            Act::Manage => matches!(self, Self::Admin),
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Approver, Self::Admin].into_iter().find(|role| role.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
