//! Who people are, as the store keeps them beside the deployment's file, and how they prove it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use wflo_model::{Digest, PrincipalName, RunId, Timestamp};

use crate::principal::{NotAuthenticated, Principal, Principals, Standing};
use crate::runtime::Host;
use crate::system_event::SystemEvent;
use crate::system_log::SystemState;
use crate::{Runtime, RuntimeError};

/// Tokens that are checked at a time. Each takes 19 MiB and a thread: more at once would serve an attacker only.
const CHECKED_AT_ONCE: usize = 4;

/// Attempts to prove who one is, as far as they are not in the log.
pub(crate) struct Attempts {
    checking: Semaphore,
    names: Mutex<BTreeMap<PrincipalName, Pending>>,
}

#[derive(Clone, Copy, Default)]
struct Pending {
    /// Attempts that are being checked.
    under_way: u32,
    /// Attempts that were turned away unlooked at since the newest record of the name.
    turned_away: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { checking: Semaphore::new(CHECKED_AT_ONCE), names: Mutex::default() }
    }
}

impl Attempts {
    fn names(&self) -> MutexGuard<'_, BTreeMap<PrincipalName, Pending>> {
        // The counts are whole between any two of their changes.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place among the attempts, or is told until when there is none.
    fn begin(
        &self,
        name: &PrincipalName,
        state: &SystemState,
        now: Timestamp,
    ) -> Result<UnderWay<'_>, RuntimeError> {
        let mut names = self.names();
        let pending = names.entry(name.clone()).or_default();
        if let Some(until) = state.throttle.not_before(name, pending.under_way, now) {
            pending.turned_away = pending.turned_away.saturating_add(1);
            return Err(RuntimeError::Throttled { name: name.clone(), until, wait: until.since(now) });
        }
        pending.under_way += 1;
        Ok(UnderWay { attempts: self, name: name.clone() })
    }
}

/// An attempt that is being checked, however that ends.
struct UnderWay<'a> {
    attempts: &'a Attempts,
    name: PrincipalName,
}

impl UnderWay<'_> {
    /// Those that were turned away since the newest record; they are in the next.
    fn take_turned_away(&self) -> u32 {
        self.attempts
            .names()
            .get_mut(&self.name)
            .map_or(0, |pending| std::mem::take(&mut pending.turned_away))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut names = self.attempts.names();
        if let Some(pending) = names.get_mut(&self.name) {
            pending.under_way -= 1;
            if pending.under_way == 0 && pending.turned_away == 0 {
                names.remove(&self.name);
            }
        }
    }
}

impl Runtime {
    /// Keeps a principal in the store; durable when this returns. To keep the very same one again is no error, so
    /// that whoever does not know whether it was done can do it again. A token and its hash are made by
    /// [`new_token`](crate::new_token).
    ///
    /// # Errors
    /// [`RuntimeError::PrincipalExists`] when the store has another one of that name, or had one that was revoked:
    /// what the log says of a name is of one person.
    pub async fn keep_identity(
        &self,
        name: &PrincipalName,
        principal: Principal,
        by: &PrincipalName,
    ) -> Result<(), RuntimeError> {
        let decided = self.system().transact(|state, _| match state.principals.0.get(name) {
            Some(kept) if *kept == principal => Ok((Vec::new(), ())),
            Some(_) => Err(RuntimeError::PrincipalExists { name: name.clone() }),
            None => {
                Ok((vec![SystemEvent::IdentityAdded { name: name.clone(), principal, by: by.clone() }], ()))
            }
        });
        decided.await
    }

    /// Gives somebody of the store another token; the old one opens nothing from then on, and sessions that began
    /// with it are over. Durable when this returns.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchPrincipal`] also for one of the deployment's file, whose token stands there.
    pub async fn rotate_identity(
        &self,
        name: &PrincipalName,
        token_hash: String,
        by: &PrincipalName,
    ) -> Result<(), RuntimeError> {
        let rotated = self.system().transact(|state, _| match state.principals.0.get(name) {
            Some(kept) if kept.token_hash.as_ref() == Some(&token_hash) => Ok((Vec::new(), ())),
            Some(kept) if kept.token_hash.is_some() && !kept.revoked => {
                let (name, by) = (name.clone(), by.clone());
                Ok((vec![SystemEvent::TokenRotated { name, token_hash, by }], ()))
            }
            _ => Err(RuntimeError::NoSuchPrincipal { name: name.clone() }),
        });
        rotated.await
    }

    /// Lets somebody be nobody from `at` on, whether the store or the deployment's file names them; by default from
    /// now on. Until then an earlier call can be replaced. Durable when this returns.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchPrincipal`].
    pub async fn expire_identity(
        &self,
        host: &Host,
        name: &PrincipalName,
        at: Option<Timestamp>,
        by: &PrincipalName,
    ) -> Result<Timestamp, RuntimeError> {
        let expired = self.system().transact(|state, now| {
            Self::must_be_known(host, state, name)?;
            let at = at.unwrap_or(now);
            let before = state.principals.0.get(name).and_then(|kept| kept.expires_at);
            // Somebody who has expired has expired, however often that is asked for.
            if before == Some(at) || before.is_some_and(|before| before <= now && at <= now) {
                return Ok((Vec::new(), before.unwrap_or(at)));
            }
            Ok((vec![SystemEvent::IdentityExpires { name: name.clone(), at, by: by.clone() }], at))
        });
        expired.await
    }

    /// Lets somebody be nobody from now on, whether the store or the deployment's file names them, and never again
    /// anybody: sessions are over, votes are refused, and what they have approved and is not used yet is asked anew.
    /// Durable when this returns.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchPrincipal`].
    pub async fn revoke_identity(
        &self,
        host: &Host,
        name: &PrincipalName,
        by: &PrincipalName,
    ) -> Result<(), RuntimeError> {
        let revoked = self.system().transact(|state, _| {
            Self::must_be_known(host, state, name)?;
            let is_revoked = state.principals.0.get(name).is_some_and(|kept| kept.revoked);
            let event = SystemEvent::IdentityRevoked { name: name.clone(), by: by.clone() };
            Ok((if is_revoked { Vec::new() } else { vec![event] }, ()))
        });
        revoked.await
    }

    fn must_be_known(host: &Host, state: &SystemState, name: &PrincipalName) -> Result<(), RuntimeError> {
        let is_known = state.principals.0.contains_key(name) || host.principals.0.contains_key(name);
        if is_known { Ok(()) } else { Err(RuntimeError::NoSuchPrincipal { name: name.clone() }) }
    }

    /// Everybody who is somebody now: the deployment's principals, and those of the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn principals(&self, host: &Host) -> Result<Principals, RuntimeError> {
        self.people(host).known().await
    }

    /// Everybody there ever was, those too who are nobody any more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn identities(&self, host: &Host) -> Result<Principals, RuntimeError> {
        let deployment = host.principals.clone();
        self.system().read(|state, _| deployment.with_stored(&state.principals)).await
    }

    /// Checks who somebody is, for one thing that they ask for. A failure is in the store's own log when this
    /// returns. After five of them in the same name within a day, further attempts must wait: a second, and twice as
    /// long after each failure, up to five minutes; what is tried before is turned away unlooked at. Restarting
    /// forgets none of it.
    ///
    /// # Errors
    /// [`RuntimeError::NotAuthenticated`], [`RuntimeError::Throttled`]; when the store cannot be read or written.
    pub async fn authenticate(
        &self,
        host: &Host,
        name: &PrincipalName,
        token: &str,
    ) -> Result<Standing, RuntimeError> {
        self.check(host, name, token, "command", false).await
    }

    /// As [`authenticate`](Self::authenticate), for a session: that it began is in the store's own log. Whoever
    /// keeps sessions asks [`standing`](Self::standing) at each request, with the stamp of this.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub async fn login(
        &self,
        host: &Host,
        name: &PrincipalName,
        token: &str,
    ) -> Result<Standing, RuntimeError> {
        self.check(host, name, token, "page", true).await
    }

    /// How somebody stands now who logged in before; none when the session is over: they are nobody any more, or
    /// have another token.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn standing(
        &self,
        host: &Host,
        name: &PrincipalName,
        stamp: &Digest,
    ) -> Result<Option<Standing>, RuntimeError> {
        let known = self.principals(host).await?;
        Ok(known.standing(name).filter(|standing| standing.stamp == *stamp))
    }

    async fn check(
        &self,
        host: &Host,
        name: &PrincipalName,
        token: &str,
        through: &str,
        is_session: bool,
    ) -> Result<Standing, RuntimeError> {
        let (under_way, known, now, remembers) = self
            .system()
            .read(|state, now| {
                let under_way = self.attempts.begin(name, state, now)?;
                let known = host.principals.clone().with_stored(&state.principals);
                Ok::<_, RuntimeError>((under_way, known, now, state.throttle.remembers(name)))
            })
            .await??;
        let checked = {
            let _place = self.attempts.checking.acquire().await.expect("it is never closed");
            let (name, token) = (name.clone(), token.to_owned());
            tokio::task::spawn_blocking(move || known.authenticate(&name, &token, now)).await
        };
        let checked = checked.map_err(|error| RuntimeError::Bug { message: error.to_string() })?;
        let (name, through) = (name.clone(), through.to_owned());
        match checked {
            Ok(standing) => {
                if is_session || remembers {
                    let turned_away = under_way.take_turned_away();
                    self.system().append(SystemEvent::LoggedIn { name, through, turned_away }).await?;
                }
                Ok(standing)
            }
            Err(error @ NotAuthenticated { .. }) => {
                let turned_away = under_way.take_turned_away();
                self.system().append(SystemEvent::LoginFailed { name, through, turned_away }).await?;
                Err(error.into())
            }
        }
    }

    /// Notes what the deployment's file is, where it is another than the last time this store saw it.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn note_deployment(&self, file: &str, digest: Digest) -> Result<(), RuntimeError> {
        let noted = self.system().transact(|state, _| {
            let file = file.to_owned();
            let is_known = state.has_deployment(&file, &digest);
            let event = SystemEvent::DeploymentChanged { digest, file };
            Ok((if is_known { Vec::new() } else { vec![event] }, ()))
        });
        noted.await
    }

    /// Notes that somebody is given the audit file of a run, or of the store's own log; durable when this returns, and
    /// that before any of it is given.
    ///
    /// # Errors
    /// [`RuntimeError::NoSuchRun`]; when the store cannot be read or written.
    pub async fn note_export(&self, run: RunId, by: &PrincipalName) -> Result<(), RuntimeError> {
        if run != wflo_journal::SYSTEM_LOG {
            match self.journal().head(run).await {
                Err(wflo_journal::ReadError::UnknownRun { run }) => {
                    return Err(RuntimeError::NoSuchRun { run });
                }
                head => drop(head?),
            }
        }
        self.system().append(SystemEvent::Exported { run, by: by.clone() }).await
    }
}
