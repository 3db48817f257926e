//! What can be asked of a store: every operation a command needs.

use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wflo::{Observer, RunView};
use wflo_model::Octets;

use super::artifacts::{Artifacts, TakeArtifact};
use super::audits::{Export, Keys, NoteMasterKey, Report, RotateKey};
use super::decisions::{Accounts, Edit, TopUp};
use super::interventions::{Cancel, Erase, Fork, Gc, Replay, Resolve};
use super::operations::{
    Approval, Approvals, Costs, Describe, Drive, Events, Lacks, Logs, Resumable, Resume, Runs, Show, Start,
    SystemEvents, Vote,
};
use super::people::{Expire, Identities, Keep, Known, Revoke, Rotate};
use super::recording::RecordTest;
use super::rollback::{Changes, Rollback, RollbackPlan};
use super::service::{Refusal, Service};
use super::telling::{Outbox, Tell};

/// How much may be under way to somebody who is slow to take it.
pub(crate) const STREAM: usize = 64;

/// What is told while an operation is performed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Streamed {
    /// The run looks like this now.
    Run(Box<RunView>),
    /// A signal has come: what is driven here stops where it stands, once the calls under way have ended.
    Stopping,
    /// A piece of a file, whole lines of it, that begins at this byte. One at 0 begins the file, also when it was
    /// begun before.
    Lines { at: u64, text: String },
    /// The same of a file that need not be text.
    Bytes { at: u64, bytes: Octets },
}

/// Where that goes.
pub(crate) type Sink = mpsc::Sender<Streamed>;

/// One operation, with its answer. It may be asked again after its answer was lost: the process that was asked may
/// have gone, before or after it was done.
pub(crate) trait Operation: Clone + Into<Request> + Send + Sync + 'static {
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    /// Performs it.
    fn perform(
        self,
        service: &Service,
        sink: Sink,
    ) -> impl Future<Output = Result<Self::Answer, Refusal>> + Send;

    /// The same, asked once more.
    fn again(self) -> Self {
        self
    }
}

macro_rules! requests {
    ($($name:ident,)*) => {
        /// An operation as it goes over the socket.
        #[derive(Clone, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Request {
            $($name(Box<$name>),)*
        }

        impl Request {
            /// Performs it; the answer as it goes over the socket.
            pub(crate) async fn perform(
                self,
                service: Arc<Service>,
                sink: Sink,
            ) -> Result<serde_json::Value, Refusal> {
                match self {
                    $(Self::$name(operation) => {
                        let answer = Box::pin(operation.perform(&service, sink)).await?;
                        Ok(serde_json::to_value(answer).expect("answers have text keys"))
                    })*
                }
            }
        }

        $(impl From<$name> for Request {
            fn from(operation: $name) -> Self {
                Self::$name(Box::new(operation))
            }
        })*
    };
}

requests! {
    Accounts,
    Approval,
    Approvals,
    Artifacts,
    Cancel,
    Changes,
    Costs,
    Describe,
    Drive,
    Edit,
    Erase,
    Events,
    Expire,
    Export,
    Fork,
    Gc,
    Identities,
    Keep,
    Keys,
    Known,
    Lacks,
    Logs,
    NoteMasterKey,
    Outbox,
    RecordTest,
    Replay,
    Report,
    Resolve,
    Resumable,
    Resume,
    Revoke,
    Rotate,
    RotateKey,
    Rollback,
    RollbackPlan,
    Runs,
    Show,
    Start,
    SystemEvents,
    TakeArtifact,
    Tell,
    TopUp,
    Vote,
}

/// Tells a sink how a run changes. Somebody who does not keep up misses states in between, never the answer.
pub(crate) struct Telling(pub(crate) Sink);

impl Observer for Telling {
    fn changed(&self, run: &RunView) {
        let _ = self.0.try_send(Streamed::Run(Box::new(run.clone())));
    }
}
