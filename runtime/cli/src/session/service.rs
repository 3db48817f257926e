//! Performs operations on the one runtime of this process.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wflo::{Act, Host, RunStatus, RunView, Runtime, RuntimeError, Standing, Voter};
use wflo_model::{Digest, PrincipalName};

use super::deploy::Deploy;
use super::operations::Who;
use crate::failure::Failure;

/// The runtime, and the deployments of those who are having runs driven.
pub(crate) struct Service {
    runtime: Arc<Runtime>,
    /// The folder of the store.
    state: PathBuf,
    /// Open for as long as somebody uses them: commands of one deployment share its databases and tapes, and a file
    /// that has changed is read again.
    hosts: Mutex<HashMap<Deploy, Weak<Host>>>,
}

/// Why an operation has no answer.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It failed.
    Failed(Failure),
    /// This process stops; the run is where it was, for another to drive.
    Moved,
}

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Service {
    pub(crate) fn new(runtime: Runtime, state: PathBuf) -> Self {
        Self { runtime: Arc::new(runtime), state, hosts: Mutex::default() }
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The runtime, for what lives beside this.
    pub(crate) fn shared_runtime(&self) -> Arc<Runtime> {
        Arc::clone(&self.runtime)
    }

    /// Opens a deployment, or finds it open.
    pub(crate) async fn host(&self, deploy: &Deploy) -> Result<Arc<Host>, Failure> {
        if let Some(host) = self.hosts().get(deploy).and_then(Weak::upgrade) {
            return Ok(host);
        }
        let (opening, state) = (deploy.clone(), self.state.clone());
        // Files are read and databases opened: not on a thread that others need.
        let host =
            tokio::task::spawn_blocking(move || opening.open(&state)).await.map_err(Failure::bug)??;
        if let Some(text) = &deploy.text {
            let file = deploy.config.display().to_string();
            self.runtime.note_deployment(&file, Digest::of(text.as_bytes())).await?;
        }
        let mut hosts = self.hosts();
        hosts.retain(|_, host| host.strong_count() > 0);
        if let Some(host) = hosts.get(deploy).and_then(Weak::upgrade) {
            return Ok(host);
        }
        let host = Arc::new(host);
        hosts.insert(deploy.clone(), Arc::downgrade(&host));
        Ok(host)
    }

    fn hosts(&self) -> std::sync::MutexGuard<'_, HashMap<Deploy, Weak<Host>>> {
        // It holds what can be made anew at any time.
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the token of somebody who votes, and that their role lets them.
    pub(crate) async fn voter(
        &self,
        deploy: &Deploy,
        name: &PrincipalName,
        token: &str,
    ) -> Result<Voter, Failure> {
        Ok(self.standing(deploy, name, token).await?.voter().map_err(RuntimeError::from)?)
    }

    /// Who asks: a principal by their token, or the user of this machine, who is in no group.
    pub(crate) async fn requester(&self, deploy: &Deploy, who: Who) -> Result<PrincipalName, Failure> {
        self.permitted(deploy, who, Act::Work).await
    }

    /// Who asks for something of that kind, if their role lets them. The user of this machine has the store in their
    /// hands anyway, and is bound by no role.
    pub(crate) async fn permitted(
        &self,
        deploy: &Deploy,
        who: Who,
        act: Act,
    ) -> Result<PrincipalName, Failure> {
        match who {
            Who::Principal { name, token } => {
                let standing = self.standing(deploy, &name, &token).await?;
                standing.permit(act).map_err(RuntimeError::from)?;
                Ok(standing.name)
            }
            Who::Local { user } => {
                let name = format!("local:{user}").parse();
                Ok(name.unwrap_or_else(|_| "local:unknown".parse().expect("it is a name")))
            }
        }
    }

    async fn standing(
        &self,
        deploy: &Deploy,
        name: &PrincipalName,
        token: &str,
    ) -> Result<Standing, Failure> {
        let known = Host { principals: deploy.principals()?, ..Host::default() };
        Ok(self.runtime.authenticate(&known, name, token).await?)
    }

    /// Where a run that was driven stands: for good, or only because this process stops.
    pub(crate) fn stands(&self, view: RunView) -> Result<RunView, Refusal> {
        if view.status == RunStatus::Running && self.runtime.is_stopping() {
            return Err(Refusal::Moved);
        }
        Ok(view)
    }
}
