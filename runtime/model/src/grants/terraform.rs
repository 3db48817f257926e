//! What a step may do with a terraform folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Label;

/// What a step may do with each terraform folder it was granted; none that is not here.
pub type TerraformGrants = BTreeMap<Label, BTreeSet<TerraformVerb>>;

/// One thing to do with a terraform folder. None contains another: a step that applies what an earlier one has planned
/// needs no right to plan.
///
/// ```
/// use wflo_model::TerraformVerb;
/// assert_eq!(TerraformVerb::Apply.to_string(), "apply");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TerraformVerb {
    /// Read what there is.
    State,
    /// Work out what a configuration would change.
    Plan,
    /// Change it.
    Apply,
}

impl TerraformVerb {
    /// All of them, by the words they are written with: what a label alone grants.
    pub const ALL: [(&'static str, Self); 3] =
        [("state", Self::State), ("plan", Self::Plan), ("apply", Self::Apply)];
}

impl fmt::Display for TerraformVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::ALL.iter().find(|(_, verb)| verb == self).map_or("", |(word, _)| word))
    }
}

/// Whether everything `narrower` allows is allowed by `wider`.
pub(super) fn covers(wider: &TerraformGrants, narrower: &TerraformGrants) -> bool {
    narrower.iter().all(|(label, verbs)| {
        verbs.is_empty() || wider.get(label).is_some_and(|granted| verbs.is_subset(granted))
    })
}

/// Adds what `other` allows.
pub(super) fn widen(grants: &mut TerraformGrants, other: &TerraformGrants) {
    for (label, verbs) in other {
        grants.entry(label.clone()).or_default().extend(verbs);
    }
}
