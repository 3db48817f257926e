//! `wflo serve`: pages, the API, timers and notifications, in the process that holds the store.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use wflo_backends::SystemEntropy;
use wflo_manifest::{Directory, Plan};
use wflo_model::{PrincipalName, RunId};
use wflo_server::{NotStarted, Site, WorkflowLine, Workflows};

use super::check;
use crate::failure::{Code, Failure};
use crate::project::{Pinned, Project};
use crate::session::{self, Deploy, Operation as _, Service, Session};
use crate::{say, words};

/// Where it listens unless somebody says otherwise: this machine alone.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7878);

/// Serves until a signal comes.
pub(crate) async fn serve(
    project: Project,
    session: &mut Session,
    listen: Option<SocketAddr>,
) -> Result<Code, Failure> {
    let service = session.service().ok_or_else(|| {
        Failure::usage("another `wflo` holds the store")
            .hint("wait until it has ended; then serve, and others work beside it")
    })?;
    let listen = listen.or(project.deployment.serve.listen).unwrap_or(LISTEN);
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::usage(format!("`{listen}`: {error}")).hint("`--listen` names another address")
    })?;
    let address = listener.local_addr().map_err(Failure::bug)?;
    let deploy = project.deploy()?;
    let host = service.host(&deploy).await?;
    let secure = host.outside.pages().is_some_and(|url| url.starts_with("https://"));
    if !address.ip().is_loopback() && !secure {
        say(
            "note: whoever is on this network can read what is served: put a proxy with TLS before it, and name its \
             address in `[serve] url`",
        );
    }
    let site = Site {
        runtime: service.shared_runtime(),
        host,
        workflows: Arc::new(Folder { project, service: Arc::clone(&service), deploy }),
        entropy: Arc::new(SystemEntropy),
        describe: words::describe,
        secure,
    };
    let mut interrupt = session.interrupt();
    say(&format!("serving on http://{address}; Ctrl-C stops it where it stands"));
    let stop = async move {
        interrupt.first().await;
    };
    wflo_server::serve(site, listener, stop).await;
    say("stopped: runs go on where they stand when somebody resumes them");
    Ok(Code::Succeeded)
}

/// The workflow of a folder, read anew for each run.
struct Folder {
    project: Project,
    service: Arc<Service>,
    deploy: Deploy,
}

impl Folder {
    /// Reads, checks and pins the workflow.
    async fn pin(&self) -> Result<Pinned, NotStarted> {
        let refused = |message: String| NotStarted::Refused { message };
        let mut known = Directory::default();
        for (name, principal) in self.service.runtime().principals(&wflo::Host::default()).await?.0 {
            known.add(name, principal.groups);
        }
        let pinned = self.project.pin(&known).await;
        pinned.map_err(|failure| refused(failure.to_string()))?.map_err(|wrong| refused(wrong.render(false)))
    }
}

#[async_trait]
impl Workflows for Folder {
    async fn list(&self) -> Vec<WorkflowLine> {
        match self.pin().await {
            Ok(Pinned { plan, .. }) => {
                let Plan { workflow, version, inputs, .. } = plan;
                vec![WorkflowLine {
                    name: workflow.to_string(),
                    version,
                    inputs: inputs.keys().map(ToString::to_string).collect(),
                }]
            }
            Err(error) => {
                tracing::warn!(%error, "the workflow of this folder cannot be started");
                Vec::new()
            }
        }
    }

    async fn start(
        &self,
        workflow: &str,
        inputs: Map<String, Value>,
        requester: &PrincipalName,
        key: Option<String>,
    ) -> Result<RunId, NotStarted> {
        let pinned = self.pin().await?;
        if pinned.plan.workflow.as_str() != workflow {
            return Err(NotStarted::NoSuchWorkflow { name: workflow.to_owned() });
        }
        let refused = |message: String| NotStarted::Refused { message };
        let inputs = pinned.plan.inputs(inputs).map_err(|wrong| refused(wrong.join("; ")))?;
        let components: Vec<_> = pinned.components.values().map(|it| it.content.clone()).collect();
        let described = self.service.runtime().describe(&pinned.plan, &components).await?;
        let found = check::review(&pinned, described);
        if found.has_errors() {
            return Err(refused(found.render(false)));
        }
        let plan = pinned.plan;
        let start = wflo::Start { plan, components, inputs, requester: requester.clone(), key };
        Ok(self.service.runtime().start(start).await?)
    }

    async fn lacks(&self, run: RunId) -> Vec<String> {
        let (sink, _) = tokio::sync::mpsc::channel(1);
        let lacks = session::Lacks { run, deploy: self.deploy.clone() };
        // Where that cannot be told, driving it says why, and is tried again.
        lacks.perform(&self.service, sink).await.unwrap_or_default()
    }
}
