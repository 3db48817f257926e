//! Who people are: names, groups, and the hashes of their tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};
use wflo_engine::Voter;
use wflo_manifest::Directory;
use wflo_model::{Act, Digest, GroupName, PrincipalName, Role, Timestamp};
use wflo_ports::{Entropy, SystemEntropyError};

use crate::RuntimeError;
use crate::system_log::SystemLog;

/// A principal as the deployment or the store knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Their groups.
    #[serde(default)]
    pub groups: BTreeSet<GroupName>,
    /// What they may do at most.
    #[serde(default)]
    pub role: Role,
    /// Hash of their token in PHC form (`$argon2id$...`); none: they cannot log in.
    #[serde(default)]
    pub token_hash: Option<String>,
    /// From when on they are nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// True for somebody who is nobody any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}

impl Principal {
    /// Whether they are somebody now.
    #[must_use]
    pub fn is_active(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires_at.is_none_or(|at| now < at)
    }

    /// What a session holds on to: with another token, or with none, it is over.
    pub(crate) fn stamp(&self) -> Digest {
        Digest::of_parts(&[b"wflo session v1", self.token_hash.as_deref().unwrap_or_default().as_bytes()])
    }
}

/// Somebody who has proven who they are, as they stand now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Who.
    pub name: PrincipalName,
    /// Their groups.
    pub groups: BTreeSet<GroupName>,
    /// What they may do at most.
    pub role: Role,
    /// Of the token they have proven it with; see [`crate::Runtime::standing`].
    pub stamp: Digest,
}

impl Standing {
    fn of(name: &PrincipalName, principal: &Principal) -> Self {
        let (groups, role, stamp) = (principal.groups.clone(), principal.role, principal.stamp());
        Self { name: name.clone(), groups, role, stamp }
    }

    /// Checks that their role reaches as far.
    ///
    /// # Errors
    /// [`NotPermitted`].
    pub fn permit(&self, act: Act) -> Result<(), NotPermitted> {
        if self.role.may(act) {
            Ok(())
        } else {
            Err(NotPermitted { name: self.name.clone(), role: self.role })
        }
    }

    /// Them as somebody who votes.
    ///
    /// # Errors
    /// [`NotPermitted`] for a viewer.
    pub fn voter(&self) -> Result<Voter, NotPermitted> {
        self.permit(Act::Work)?;
        Ok(Voter { name: self.name.clone(), groups: self.groups.clone() })
    }
}

/// Everybody known: those of the deployment's file and those kept in the store.
///
/// ```
/// use wflo::Principals;
/// use wflo_model::Timestamp;
/// let nobody = Principals::default();
/// assert!(nobody.authenticate(&"alice".parse().unwrap(), "guess", Timestamp::from_micros(1)).is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Principals(pub BTreeMap<PrincipalName, Principal>);

/// Why somebody is not who they say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` could not be authenticated")]
pub struct NotAuthenticated {
    /// The name given. Whether it or the token was wrong is not said.
    pub name: PrincipalName,
}

impl Principals {
    /// Checks a token and says who its owner is. Takes some 20 ms on purpose, and no less for a name that nobody has.
    ///
    /// # Errors
    /// When there is no such principal, they have no token, this is not it, or they are nobody any more.
    pub fn authenticate(
        &self,
        name: &PrincipalName,
        token: &str,
        now: Timestamp,
    ) -> Result<Standing, NotAuthenticated> {
        let principal = self.0.get(name);
        let hash = principal.and_then(|principal| principal.token_hash.as_deref());
        let fits = match hash.map(PasswordHash::new) {
            Some(Ok(hash)) => Argon2::default().verify_password(token.as_bytes(), &hash).is_ok(),
            // The same work, so that the time does not say who there is.
            _ => {
                let _ = Argon2::default().hash_password_with_salt(token.as_bytes(), &[0; 16]);
                false
            }
        };
        match principal.filter(|principal| fits && principal.is_active(now)) {
            Some(principal) => Ok(Standing::of(name, principal)),
            None => Err(NotAuthenticated { name: name.clone() }),
        }
    }

    /// The groups in which a principal may decide now; none if they are nobody any more, or only look.
    #[must_use]
    pub fn groups_of(&self, name: &PrincipalName) -> Option<BTreeSet<GroupName>> {
        Some(self.0.get(name).filter(|principal| principal.role.may(Act::Work))?.groups.clone())
    }

    /// How a principal stands.
    #[must_use]
    pub fn standing(&self, name: &PrincipalName) -> Option<Standing> {
        Some(Standing::of(name, self.0.get(name)?))
    }

    /// Adds those of the store: who is in both stays as they are here, but has the end that the store gives them.
    #[must_use]
    pub fn with_stored(mut self, stored: &Self) -> Self {
        for (name, principal) in &stored.0 {
            match self.0.get_mut(name) {
                Some(known) => {
                    known.revoked |= principal.revoked;
                    known.expires_at = known.expires_at.into_iter().chain(principal.expires_at).min();
                }
                None => drop(self.0.insert(name.clone(), principal.clone())),
            }
        }
        self
    }

    /// Only those who are somebody now.
    #[must_use]
    pub fn active(mut self, now: Timestamp) -> Self {
        self.0.retain(|_, principal| principal.is_active(now));
        self
    }

    /// Who is in which group, as the manifest checks approvers against.
    #[must_use]
    pub fn directory(&self) -> Directory {
        let deciding = self.0.iter().filter(|(_, principal)| principal.role.may(Act::Work));
        deciding.map(|(name, principal)| (name.clone(), principal.groups.clone())).collect()
    }
}

/// The role of somebody does not reach that far; nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is {}", bounds(*.role))]
pub struct NotPermitted {
    /// Who.
    pub name: PrincipalName,
    /// Their role.
    pub role: Role,
}

const fn bounds(role: Role) -> &'static str {
    match role {
        Role::Viewer => "a viewer, who may only look",
        Role::Approver => "an approver, who may not manage people, keys or what is kept",
        Role::Admin => "an admin",
    }
}

/// Who is known now: the deployment's principals, and those that the store has by then.
#[derive(Clone)]
pub(crate) struct People {
    deployment: Arc<Principals>,
    system: SystemLog,
}

impl People {
    pub(crate) fn new(deployment: Principals, system: SystemLog) -> Self {
        Self { deployment: Arc::new(deployment), system }
    }

    /// Everybody who is somebody at this moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn known(&self) -> Result<Principals, RuntimeError> {
        let deployment = (*self.deployment).clone();
        self.system.read(|state, now| deployment.with_stored(&state.principals).active(now)).await
    }
}

/// Makes a token of 160 random bits, and its hash. The token is shown once and kept nowhere.
///
/// # Errors
/// When the system has no randomness.
pub fn new_token(entropy: &dyn Entropy) -> Result<(String, String), SystemEntropyError> {
    let (mut secret, mut salt) = ([0; 20], [0; 16]);
    entropy.fill(&mut secret)?;
    entropy.fill(&mut salt)?;
    let token = secret.iter().fold("wflo_".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    let hash = Argon2::default()
        .hash_password_with_salt(token.as_bytes(), &salt)
        .map_err(|error| SystemEntropyError { message: error.to_string() })?;
    Ok((token, hash.to_string()))
}

#[cfg(test)]
mod tests {
    use wflo_model::Timestamp;
    use wflo_ports::{Entropy, SystemEntropyError};

    use super::*;

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), SystemEntropyError> {
            bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
            Ok(())
        }
    }

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn name(name: &str) -> PrincipalName {
        name.parse().unwrap()
    }

    #[test]
    fn only_the_token_opens_and_only_while_its_owner_is_somebody() {
        let (token, hash) = new_token(&Counting).unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(!hash.contains(&token));
        let groups = BTreeSet::from(["fraud-team".parse().unwrap()]);
        let alice = Principal { groups, token_hash: Some(hash), ..Principal::default() };
        let known = |alice: Principal| Principals([(name("alice"), alice)].into());
        let standing = known(alice.clone()).authenticate(&name("alice"), &token, at(9)).unwrap();
        assert!(standing.voter().unwrap().groups.contains("fraud-team"));
        assert!(known(alice.clone()).authenticate(&name("alice"), "wflo_", at(9)).is_err());
        assert!(known(alice.clone()).authenticate(&name("carol"), &token, at(9)).is_err());

        let ending = known(Principal { expires_at: Some(at(10)), ..alice.clone() });
        assert!(ending.authenticate(&name("alice"), &token, at(9)).is_ok());
        assert!(ending.authenticate(&name("alice"), &token, at(10)).is_err());
        let revoked = known(Principal { revoked: true, ..alice.clone() });
        assert!(revoked.authenticate(&name("alice"), &token, at(9)).is_err());
        let looking = known(Principal { role: Role::Viewer, ..alice });
        let standing = looking.authenticate(&name("alice"), &token, at(9)).unwrap();
        assert_eq!(standing.voter().unwrap_err().to_string(), "`alice` is a viewer, who may only look");
        assert_eq!(looking.groups_of(&name("alice")), None);
    }

    #[test]
    fn the_store_ends_whom_the_file_still_names() {
        let file =
            || Principals([(name("alice"), Principal { role: Role::Admin, ..Principal::default() })].into());
        let stored = |stored: Principal| Principals([(name("alice"), stored)].into());
        let both = file().with_stored(&stored(Principal { revoked: true, ..Principal::default() }));
        assert!(!both.0[&name("alice")].is_active(at(1)));
        let both = file().with_stored(&stored(Principal { expires_at: Some(at(5)), ..Principal::default() }));
        let alice = &both.0[&name("alice")];
        assert!(alice.is_active(at(4)) && !alice.is_active(at(5)));
        assert_eq!(alice.role, Role::Admin, "what the file says stays");
    }
}
