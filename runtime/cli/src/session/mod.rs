//! One store, many commands: whoever holds the store performs what every other command asks of it.
//!
//! sled has one process. The command that gets the store's lock is its *holder*: it listens on `STATE/wflo.sock`
//! and performs the requests of other commands beside its own. Every operation is an [`Operation`], written once
//! and performed on a [`Service`]; a [`Session`] takes it to the service of this process or over the socket, so that
//! no command knows which. Rendering, progress and exit codes stay with the command that was typed.
//!
//! When the holder's own command is done, it stops accepting, has its runs stop where they stand, answers `Moved`
//! to those who were driving them, and leaves. They try again: the first becomes the holder, and the run goes on.
//! The same happens when the holder is killed. So whatever is asked may be asked twice, and each operation says why
//! that does no harm.

mod address;
mod artifacts;
mod audits;
mod brought;
mod channels;
mod client;
mod decisions;
mod deploy;
mod frame;
mod holder;
mod interrupt;
mod interventions;
mod keeping;
mod operation;
mod operations;
mod people;
mod recording;
mod rollback;
mod room;
mod service;
mod telling;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use wflo::Runtime;
use wflo_backends::{SystemClock, SystemEntropy};
use wflo_journal::{Journal, MasterKeyError, MasterSource, OpenError};

pub(crate) use self::artifacts::{Artifacts, TakeArtifact};
pub(crate) use self::audits::{Export, Keys, NoteMasterKey, Report, ReportView, RotateKey};
pub(crate) use self::brought::Brought;
use self::client::{Connection, NotConnected, Outcome};
pub(crate) use self::decisions::{Accounts, Edit, TopUp};
pub(crate) use self::deploy::{Deploy, INDEXES};
use self::holder::Holder;
use self::interrupt::Interrupt;
pub(crate) use self::interventions::{Cancel, Erase, Fork, Gc, Replay, Resolve};
pub(crate) use self::keeping::Keeping;
pub(crate) use self::operation::{Operation, Streamed};
pub(crate) use self::operations::{
    Approval, Approvals, Costs, Describe, Drive, EventView, Events, Lacks, Logs, Resumable, Resume, Runs,
    Show, Start, SystemEventView, SystemEvents, Vote, Who,
};
pub(crate) use self::people::{Expire, Identities, IdentityView, Keep, Known, Revoke, Rotate};
pub(crate) use self::recording::RecordTest;
pub(crate) use self::rollback::{Changes, Rollback, RollbackPlan};
pub(crate) use self::room::{Room, sandbox};
use self::service::Refusal;
pub(crate) use self::service::Service;
pub(crate) use self::telling::{Outbox, Tell};
use crate::failure::{Code, FULL_HINT, Failure, full};

/// How long another process that holds the store and does not listen is waited for. It covers the ten seconds that
/// one which is ending gives to the calls under way.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait before looking again.
const NAP: Duration = Duration::from_millis(20);
/// When to say that one is waiting.
const SILENCE: Duration = Duration::from_secs(1);

/// Where a store is, and what opens it.
pub(crate) struct Place {
    pub(crate) state: PathBuf,
    pub(crate) master: Option<MasterSource>,
    pub(crate) keeping: Keeping,
    pub(crate) room: Room,
}

/// A way to a store: in this process, or by the process that holds it.
pub(crate) struct Session {
    place: Place,
    link: Link,
    interrupt: Interrupt,
}

enum Link {
    Holder(Holder),
    Client(Connection),
}

impl Session {
    /// Finds the process that holds the store, or becomes it.
    pub(crate) async fn open(place: Place) -> Result<Self, Failure> {
        let mut interrupt = Interrupt::listen()?;
        let link = link(&place, &mut interrupt).await?;
        Ok(Self { place, link, interrupt })
    }

    /// Has an operation performed.
    pub(crate) async fn ask<O: Operation>(&mut self, operation: O) -> Result<O::Answer, Failure> {
        self.follow(operation, &mut |_| Ok(())).await
    }

    /// Has an operation performed and is told what happens meanwhile.
    pub(crate) async fn follow<O: Operation>(
        &mut self,
        mut operation: O,
        told: &mut (dyn FnMut(Streamed) -> Result<(), Failure> + Send),
    ) -> Result<O::Answer, Failure> {
        loop {
            let client = match &mut self.link {
                Link::Holder(holder) => {
                    let service = holder.service();
                    return perform(service, operation, &mut self.interrupt, told).await;
                }
                Link::Client(client) => client,
            };
            let again = operation.clone().again();
            let outcome = tokio::select! {
                outcome = client.ask::<O>(operation, told) => outcome?,
                code = self.interrupt.first() => return Err(interrupted(code)),
            };
            match outcome {
                Outcome::Answer(answer) => return Ok(answer),
                // The holder leaves, or has gone: whoever comes first takes its place.
                Outcome::Gone => {
                    tracing::info!("the process that held the store has gone; what was asked is asked again");
                    self.link = link(&self.place, &mut self.interrupt).await?;
                    operation = again;
                }
            }
        }
    }

    /// Has an operation performed although a signal has come: one that only reads, to say where things stand.
    pub(crate) async fn ask_anyway<O: Operation>(&mut self, operation: O) -> Result<O::Answer, Failure> {
        self.interrupt.forget();
        if !self.holds() {
            // The one there is still answers what was asked before.
            self.link = link(&self.place, &mut self.interrupt).await?;
        }
        self.ask(operation).await
    }

    /// Whether this process holds the store.
    pub(crate) const fn holds(&self) -> bool {
        matches!(self.link, Link::Holder(_))
    }

    /// The service of this process, if it holds the store.
    pub(crate) fn service(&self) -> Option<Arc<Service>> {
        match &self.link {
            Link::Holder(holder) => Some(holder.service()),
            Link::Client(_) => None,
        }
    }

    /// Told of the first signal, for whoever stops by themselves.
    pub(crate) fn interrupt(&mut self) -> Interrupt {
        self.interrupt.again()
    }

    /// Waits for a while; a signal ends the wait, and is an error.
    pub(crate) async fn pause(&mut self, time: Duration) -> Result<(), Failure> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            code = self.interrupt.first() => Err(interrupted(code)),
        }
    }

    /// Leaves the store. A holder first hands over what it drives for others.
    pub(crate) async fn close(self) {
        if let Link::Holder(holder) = self.link {
            holder.close().await;
        }
    }
}

/// Performs an operation in this process. At the first signal, the runs it drives stop where they stand.
async fn perform<O: Operation>(
    service: Arc<Service>,
    operation: O,
    interrupt: &mut Interrupt,
    told: &mut (dyn FnMut(Streamed) -> Result<(), Failure> + Send),
) -> Result<O::Answer, Failure> {
    let (sink, mut streamed) = mpsc::channel(operation::STREAM);
    let performed = operation.perform(&service, sink);
    tokio::pin!(performed);
    let mut stopped = None;
    let result = loop {
        tokio::select! {
            biased;
            code = interrupt.first(), if stopped.is_none() => {
                stopped = Some(code);
                service.runtime().stop();
                told(Streamed::Stopping)?;
            }
            Some(event) = streamed.recv() => told(event)?,
            result = &mut performed => break result,
        }
    };
    while let Ok(event) = streamed.try_recv() {
        told(event)?;
    }
    match (result, stopped) {
        (Ok(answer), _) => Ok(answer),
        (Err(Refusal::Failed(failure)), _) => Err(failure),
        (Err(Refusal::Moved), code) => Err(interrupted(code.unwrap_or(Code::Interrupted))),
    }
}

fn interrupted(code: Code) -> Failure {
    Failure::new(code, "stopped by a signal")
}

/// Connects to the holder, or becomes it, whichever comes first.
async fn link(place: &Place, interrupt: &mut Interrupt) -> Result<Link, Failure> {
    let began = tokio::time::Instant::now();
    let mut said = false;
    loop {
        match Connection::open(&place.state).await {
            Ok(connection) => return Ok(Link::Client(connection)),
            Err(NotConnected::Failed(failure)) => return Err(failure),
            Err(NotConnected::Nobody) => {}
        }
        let error = match hold(place).await? {
            Ok(holder) => return Ok(Link::Holder(holder)),
            Err(error) => error,
        };
        if began.elapsed() > PATIENCE {
            return Err(Failure::bug(error).hint("end that process, or wait until it has ended"));
        }
        if began.elapsed() > SILENCE && !std::mem::replace(&mut said, true) {
            crate::say(&format!("waiting: {error}"));
        }
        tokio::select! {
            () = tokio::time::sleep(NAP) => {}
            code = interrupt.first() => return Err(interrupted(code)),
        }
    }
}

/// Opens the store and listens; the inner error says that another process has it.
async fn hold(place: &Place) -> Result<Result<Holder, OpenError>, Failure> {
    let journal = match Journal::open_at(&place.state, place.master.clone(), Arc::new(SystemEntropy)).await {
        Ok(journal) => journal,
        Err(error @ OpenError::Locked { .. }) => return Ok(Err(error)),
        Err(error) => return Err(unopened(&place.state, &error)),
    };
    let sandbox = sandbox(Some(&place.state), &place.room)?;
    let runtime = Runtime::new(journal, sandbox, Arc::new(SystemClock), Arc::new(SystemEntropy));
    Ok(Ok(Holder::new(Service::new(runtime, place.state.clone()), &place.state, place.keeping.clone())))
}

/// Why the store does not open, and what to do about it.
pub(crate) fn unopened(state: &Path, error: &OpenError) -> Failure {
    let failure = Failure::bug(error);
    let restore =
        "nothing was changed; restore the whole folder from a backup, or name another one with `--state`";
    match error {
        OpenError::Corrupt { what, .. } if what.contains("of at least") => failure.hint(format!(
            "{restore}; what is left of it opens without its file `{}`, but runs may do again what they did then",
            state.join("MARK").display()
        )),
        OpenError::Wiped { .. } | OpenError::NotAStore { .. } | OpenError::Corrupt { .. } | OpenError::Read(_) => {
            failure.hint(restore)
        }
        OpenError::NewerFormat { .. } => failure.hint("use the version of wflo that made it, or a newer one"),
        OpenError::WrongMasterKey => failure
            .hint("give the key it was sealed with: `seal_key` of `[store]`, or `seal.key` in the state folder"),
        OpenError::MasterKey(MasterKeyError::Io { .. } | MasterKeyError::NotHex) => failure.hint(format!(
            "restore `{}` from a backup: without it, nothing in the store can be read",
            state.join("seal.key").display()
        )),
        OpenError::Io { source, .. } => match io_hint(source) {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
        _ => match full(&error.to_string()) {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
    }
}

fn io_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(FULL_HINT),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Some(
            "the state folder must be writable, also for commands that only read; `--state` names another one",
        ),
        _ => None,
    }
}
