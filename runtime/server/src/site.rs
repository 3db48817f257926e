//! The server, and what it stands on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::middleware::from_fn_with_state;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;
use utoipa::ToSchema;
use wflo::{Host, Runtime};
use wflo_engine::Recorded;
use wflo_model::{PrincipalName, RunId};
use wflo_ports::Entropy;

use crate::connections::listen;
use crate::driver::Driver;
use crate::error::NotStarted;
use crate::limit::Limiter;
use crate::session::Sessions;
use crate::{api, guard, pages};

/// How long those who are slow to ask, or to take their answer, are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the server stands on.
pub struct Site {
    /// The runs.
    pub runtime: Arc<Runtime>,
    /// The deployment they are driven with.
    pub host: Arc<Host>,
    /// What can be started.
    pub workflows: Arc<dyn Workflows>,
    /// Where session ids come from.
    pub entropy: Arc<dyn Entropy>,
    /// An event in words.
    pub describe: fn(&Recorded) -> String,
    /// Whether people reach it by `https`, through a proxy: cookies are then sent by that alone.
    pub secure: bool,
}

/// The workflows of a deployment.
#[async_trait]
pub trait Workflows: Send + Sync {
    /// Those that can be started.
    async fn list(&self) -> Vec<WorkflowLine>;

    /// Accepts a run; the same key is the same run of the workflow.
    ///
    /// # Errors
    /// See [`NotStarted`].
    async fn start(
        &self,
        workflow: &str,
        inputs: Map<String, Value>,
        requester: &PrincipalName,
        key: Option<String>,
    ) -> Result<RunId, NotStarted>;

    /// What a run needs that this deployment does not bind: driven here, its steps would be denied.
    async fn lacks(&self, run: RunId) -> Vec<String>;
}

/// A workflow that can be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowLine {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The names of its inputs.
    pub inputs: Vec<String>,
}

/// What every request can reach.
pub(crate) struct App {
    pub(crate) site: Site,
    pub(crate) sessions: Sessions,
    pub(crate) attempts: Limiter,
    pub(crate) driver: Driver,
}

/// Serves until `stop` is there; then answers what was asked, and stops what it drives where it stands.
/// A listener that fails is asked again.
pub async fn serve(site: Site, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
    let (runtime, host) = (Arc::clone(&site.runtime), Arc::clone(&site.host));
    let driver = Driver::new(Arc::clone(&runtime), Arc::clone(&host), Arc::clone(&site.workflows));
    let keeping = driver.keep_going();
    let telling = tokio::spawn({
        let (runtime, host) = (Arc::clone(&runtime), Arc::clone(&host));
        async move { runtime.keep_telling(&host).await }
    });
    let app = Arc::new(App {
        site,
        sessions: Sessions::default(),
        attempts: Limiter::default(),
        driver: driver.clone(),
    });
    let router = Router::new()
        .merge(pages::routes())
        .nest("/api/v1", api::routes())
        .fallback(pages::not_found)
        .layer(from_fn_with_state(Arc::clone(&app), guard::headers))
        .with_state(app);
    let (tell, mut told) = watch::channel(false);
    let stops = Arc::clone(&runtime);
    let stopped = async move {
        stop.await;
        stops.stop();
        tell.send_replace(true);
    };
    let serving = listen(listener, router, stopped);
    let farewell = async {
        // Without whoever tells there is nothing to wait for either.
        let _ = told.wait_for(|&told| told).await;
        tokio::time::sleep(FAREWELL).await;
    };
    tokio::select! {
        () = serving => {}
        () = farewell => {}
    }
    runtime.stop();
    driver.settled().await;
    let _ = keeping.await;
    let _ = telling.await;
}
