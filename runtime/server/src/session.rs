//! Sessions: who has logged in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wflo::Principal;
use wflo_model::{Digest, PrincipalName};
use wflo_ports::{Entropy, SystemEntropyError};

/// The name of the cookie.
pub(crate) const COOKIE: &str = "wflo_session";

/// How long a session lasts that nobody uses.
const IDLE: Duration = Duration::from_secs(2 * 3600);
/// How long one lasts at all.
const WHOLE: Duration = Duration::from_secs(12 * 3600);
/// Sessions at a time; the one that was not used for longest makes room.
const MOST: usize = 10_000;

/// Sessions, in memory: whoever logged in before the server began anew logs in again.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Digest, Session>>);

/// One session.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) name: PrincipalName,
    /// What a request that changes something has to name as well.
    pub(crate) csrf: String,
    /// Of the hash of the token that was shown: the session ends with it.
    proof: Digest,
    made: Instant,
    used: Instant,
}

impl Session {
    /// Whether it is the session of somebody with this token.
    pub(crate) fn is_of(&self, principal: &Principal) -> bool {
        proof(principal) == Some(self.proof)
    }
}

fn proof(principal: &Principal) -> Option<Digest> {
    Some(Digest::of(principal.token_hash.as_ref()?.as_bytes()))
}

impl Sessions {
    /// Begins a session of somebody who has shown their token; gives the secret that the cookie holds.
    pub(crate) fn begin(
        &self,
        name: PrincipalName,
        principal: &Principal,
        entropy: &dyn Entropy,
    ) -> Result<Option<String>, SystemEntropyError> {
        let Some(proof) = proof(principal) else { return Ok(None) };
        let (secret, csrf, now) = (draw(entropy)?, draw(entropy)?, Instant::now());
        let mut all = self.all();
        all.retain(|_, session| session.used.elapsed() < IDLE && session.made.elapsed() < WHOLE);
        if all.len() >= MOST {
            let oldest = all.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key);
            oldest.and_then(|key| all.remove(&key));
        }
        // Only its digest is kept.
        all.insert(Digest::of(secret.as_bytes()), Session { name, csrf, proof, made: now, used: now });
        Ok(Some(secret))
    }

    /// The session that has this secret.
    pub(crate) fn find(&self, secret: &str) -> Option<Session> {
        let mut all = self.all();
        let session = all.get_mut(&Digest::of(secret.as_bytes()))?;
        if session.used.elapsed() >= IDLE || session.made.elapsed() >= WHOLE {
            return None;
        }
        session.used = Instant::now();
        Some(session.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, secret: &str) {
        self.all().remove(&Digest::of(secret.as_bytes()));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        // It is whole between any two of its changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 160 random bits, as hex.
fn draw(entropy: &dyn Entropy) -> Result<String, SystemEntropyError> {
    let mut bytes = [0; 20];
    entropy.fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}
