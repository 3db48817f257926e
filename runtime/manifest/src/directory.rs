//! Who there is.

use std::collections::{BTreeMap, BTreeSet};

use wflo_model::{GroupName, PrincipalName};

/// The principals a deployment knows and the groups they are in: those of `wflo.toml`, and those that the store
/// keeps.
///
/// ```
/// use wflo_manifest::Directory;
/// let mut known = Directory::default();
/// known.add("alice".parse().unwrap(), ["fraud-team".parse().unwrap()]);
/// assert!(known.knows("fraud-team") && known.knows("alice"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory(BTreeMap<PrincipalName, BTreeSet<GroupName>>);

impl Directory {
    /// Adds a principal, or groups to a principal that is there.
    pub fn add(&mut self, principal: PrincipalName, groups: impl IntoIterator<Item = GroupName>) {
        self.0.entry(principal).or_default().extend(groups);
    }

    /// Adds everybody of another directory.
    pub fn extend(&mut self, other: &Self) {
        for (principal, groups) in &other.0 {
            self.add(principal.clone(), groups.iter().cloned());
        }
    }

    /// The principals and the groups of each.
    #[must_use]
    pub fn principals(&self) -> &BTreeMap<PrincipalName, BTreeSet<GroupName>> {
        &self.0
    }

    /// The groups that somebody is in.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<&GroupName> {
        self.0.values().flatten().collect()
    }

    /// Whether a principal or a group has that name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name) || self.0.values().any(|groups| groups.contains(name))
    }

    /// Every name of a principal or group.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let principals = self.0.keys().map(PrincipalName::as_str);
        principals.chain(self.groups().into_iter().map(GroupName::as_str)).collect()
    }
}

impl FromIterator<(PrincipalName, BTreeSet<GroupName>)> for Directory {
    fn from_iter<I: IntoIterator<Item = (PrincipalName, BTreeSet<GroupName>)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}
