//! Who people are: names, groups, and the hashes of their tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};
use wflo_engine::Voter;
use wflo_journal::Journal;
use wflo_manifest::Directory;
use wflo_model::{GroupName, PrincipalName};
use wflo_ports::{Entropy, SystemEntropyError};

use crate::RuntimeError;

/// Where identities are kept in the store.
pub(crate) const IDENTITIES: &str = "identities";

/// A principal as the deployment or the store knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Their groups.
    #[serde(default)]
    pub groups: BTreeSet<GroupName>,
    /// Hash of their token in PHC form (`$argon2id$...`); none: they cannot log in.
    #[serde(default)]
    pub token_hash: Option<String>,
}

/// Everybody known: those of the deployment's file and those kept in the store.
///
/// ```
/// use wflo::Principals;
/// let nobody = Principals::default();
/// assert!(nobody.authenticate(&"alice".parse().unwrap(), "guess").is_err());
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
    /// Checks a token and says which groups its owner is in. Takes some 20 ms on purpose.
    ///
    /// # Errors
    /// When there is no such principal, they have no token, or this is not it.
    pub fn authenticate(&self, name: &PrincipalName, token: &str) -> Result<Voter, NotAuthenticated> {
        let refused = || NotAuthenticated { name: name.clone() };
        let principal = self.0.get(name).ok_or_else(refused)?;
        let hash = principal.token_hash.as_deref().ok_or_else(refused)?;
        let hash = PasswordHash::new(hash).map_err(|_| refused())?;
        Argon2::default().verify_password(token.as_bytes(), &hash).map_err(|_| refused())?;
        Ok(Voter { name: name.clone(), groups: principal.groups.clone() })
    }

    /// The groups of a principal now; none if they are no longer known.
    #[must_use]
    pub fn groups_of(&self, name: &PrincipalName) -> Option<BTreeSet<GroupName>> {
        Some(self.0.get(name)?.groups.clone())
    }

    /// Adds those of `others` that are not here; whoever is in both keeps what is here.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (name, principal) in others.0 {
            self.0.entry(name).or_insert(principal);
        }
        self
    }

    /// Who is in which group, as the manifest checks approvers against.
    #[must_use]
    pub fn directory(&self) -> Directory {
        self.0.iter().map(|(name, principal)| (name.clone(), principal.groups.clone())).collect()
    }
}

/// Asks who is known, each time anew: people come and go while a run lasts.
#[derive(Clone)]
pub(crate) struct People {
    pub(crate) journal: Journal,
    /// The principals of the deployment's file.
    pub(crate) file: Arc<Principals>,
}

impl People {
    /// Everybody known now.
    pub(crate) async fn now(&self) -> Result<Principals, RuntimeError> {
        Ok(Principals::clone(&self.file).or(stored(&self.journal).await?))
    }
}

/// The principals that the store keeps.
pub(crate) async fn stored(journal: &Journal) -> Result<Principals, RuntimeError> {
    match journal.meta_get(IDENTITIES).await? {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| RuntimeError::Bug { message: format!("the stored identities: {error}") }),
        None => Ok(Principals::default()),
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
    use wflo_ports::{Entropy, SystemEntropyError};

    use super::{Principal, Principals, new_token};

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), SystemEntropyError> {
            bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = n);
            Ok(())
        }
    }

    #[test]
    fn only_the_token_opens() {
        let (token, hash) = new_token(&Counting).unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(!hash.contains(&token));
        let alice = Principal { groups: ["fraud-team".parse().unwrap()].into(), token_hash: Some(hash) };
        let known = Principals([("alice".parse().unwrap(), alice)].into());
        let voter = known.authenticate(&"alice".parse().unwrap(), &token).unwrap();
        assert!(voter.groups.contains("fraud-team"));
        assert!(known.authenticate(&"alice".parse().unwrap(), "wflo_").is_err());
        assert!(known.authenticate(&"carol".parse().unwrap(), &token).is_err());
    }
}
