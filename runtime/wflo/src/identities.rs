//! Who people are, as the store keeps them beside the deployment's file.

use std::collections::BTreeSet;
use std::sync::Arc;

use wflo_engine::Voter;
use wflo_model::{GroupName, PrincipalName};

use crate::principal::{IDENTITIES, Principal, Principals, new_token, stored};
use crate::runtime::Host;
use crate::{Runtime, RuntimeError};

impl Runtime {
    /// Adds a principal to the store and returns their token, which is kept nowhere.
    ///
    /// # Errors
    /// [`RuntimeError::PrincipalExists`] when the store has one of that name.
    pub async fn add_identity(
        &self,
        name: &PrincipalName,
        groups: BTreeSet<GroupName>,
    ) -> Result<String, RuntimeError> {
        let entropy = Arc::clone(&self.entropy);
        let made = tokio::task::spawn_blocking(move || new_token(&*entropy)).await;
        let (token, hash) = made.map_err(|error| RuntimeError::Bug { message: error.to_string() })??;
        self.keep_identity(name, Principal { groups, token_hash: Some(hash) }).await?;
        Ok(token)
    }

    /// Keeps a principal in the store. To keep the very same one again is no error, so that whoever does not
    /// know whether it was done can do it again.
    ///
    /// # Errors
    /// [`RuntimeError::PrincipalExists`] when the store has another one of that name.
    pub async fn keep_identity(
        &self,
        name: &PrincipalName,
        principal: Principal,
    ) -> Result<(), RuntimeError> {
        let _alone = self.identities.lock().await;
        let mut stored = stored(self.journal()).await?;
        match stored.0.get(name) {
            Some(kept) if *kept == principal => return Ok(()),
            Some(_) => return Err(RuntimeError::PrincipalExists { name: name.clone() }),
            None => stored.0.insert(name.clone(), principal),
        };
        let bytes = serde_json::to_vec(&stored).expect("principals have text keys");
        Ok(self.journal().meta_put(IDENTITIES, &bytes).await?)
    }

    /// Everybody known now: the deployment's principals, and those of the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn principals(&self, host: &Host) -> Result<Principals, RuntimeError> {
        self.people(host).known().await
    }

    /// Checks who somebody is.
    ///
    /// # Errors
    /// [`RuntimeError::NotAuthenticated`].
    pub async fn authenticate(
        &self,
        host: &Host,
        name: &PrincipalName,
        token: &str,
    ) -> Result<Voter, RuntimeError> {
        let principals = self.principals(host).await?;
        let (name, token) = (name.clone(), token.to_owned());
        let checked = tokio::task::spawn_blocking(move || principals.authenticate(&name, &token)).await;
        Ok(checked.map_err(|error| RuntimeError::Bug { message: error.to_string() })??)
    }
}
