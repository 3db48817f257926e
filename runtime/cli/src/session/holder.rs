//! The side that is asked: the process that holds the store.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::address;
use super::frame::{self, Ask, FrameError, Hello, MAX_FRAME, MAX_HELLO, Reply};
use super::keeping::Keeping;
use super::operation::{Request, STREAM};
use super::service::{Refusal, Service};
use crate::failure::Failure;

/// How long a client may take to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// How long a leaving holder waits until everybody is answered: longer than the runtime waits for the calls under
/// way, and not for ever, since a client may be suspended.
const FAREWELL: Duration = Duration::from_secs(15);

/// Listens for other commands, as long as this one has the store.
pub(crate) struct Holder {
    service: Arc<Service>,
    state: PathBuf,
    leaving: watch::Sender<bool>,
    /// None where nobody can be heard.
    accepting: Option<JoinHandle<JoinSet<()>>>,
    keeping: Keeping,
    keeper: JoinHandle<()>,
}

impl Holder {
    /// Begins to listen in the state folder; only for whoever has its lock. Some file systems have no sockets: there,
    /// this command works, and others wait until it has ended.
    pub(crate) fn new(service: Service, state: &Path, keeping: Keeping) -> Self {
        let service = Arc::new(service);
        let leaving = watch::Sender::new(false);
        let accepting = match listen(state) {
            Ok((listener, owner)) => {
                Some(tokio::spawn(accept(listener, owner, Arc::clone(&service), leaving.subscribe())))
            }
            Err(error) => {
                let path = address::path(state);
                tracing::warn!(%error, "other commands wait for this one: it cannot listen on `{}`", path.display());
                None
            }
        };
        let keeper = tokio::spawn(keeping.clone().keep(Arc::clone(&service)));
        Self { service, state: state.to_owned(), leaving, accepting, keeping, keeper }
    }

    pub(crate) fn service(&self) -> Arc<Service> {
        Arc::clone(&self.service)
    }

    /// Leaves the store to others: nobody new is heard, what runs for others stops where it stands, everyone who
    /// asked is answered. What was not answered when the process ends is asked again by whoever asked it.
    pub(crate) async fn close(self) {
        self.leaving.send_replace(true);
        self.service.runtime().stop();
        let heard = self.accepting.is_some();
        if let Some(accepting) = self.accepting
            && let Ok(mut connections) = accepting.await
        {
            let answered = async { while connections.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(FAREWELL, answered).await;
        }
        self.keeper.abort();
        // It is over before the last checkpoint is made, and holds the store no more.
        let _ = self.keeper.await;
        self.keeping.once(&self.service).await;
        if !heard {
            return;
        }
        // Still under the store's lock, so this is nobody else's socket. The next holder would replace it.
        if let Err(error) = address::leave(&self.state) {
            tracing::warn!(%error, "the socket could not be removed");
        }
    }
}

/// The socket, and its owner.
fn listen(state: &Path) -> std::io::Result<(UnixListener, u32)> {
    let listener = address::listen(state)?;
    listener.set_nonblocking(true)?;
    let owner = std::fs::metadata(address::path(state))?.uid();
    Ok((UnixListener::from_std(listener)?, owner))
}

/// Takes connections until it is time to leave, and gives back those that are still being answered.
async fn accept(
    listener: UnixListener,
    owner: u32,
    service: Arc<Service>,
    mut leaving: watch::Receiver<bool>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let for_all = leaving.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // The socket's permissions say the same; not every system heeds them.
                Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0) => {
                    connections.spawn(serve(stream, Arc::clone(&service), for_all.clone()));
                }
                Ok(_) => tracing::warn!("another user has tried to use the store"),
                Err(error) => {
                    // Out of file descriptors, most likely: those that are open will be closed.
                    tracing::warn!(%error, "a command could not be heard");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = left(&mut leaving) => return connections,
        }
    }
}

/// Waits until it is time to leave.
async fn left(leaving: &mut watch::Receiver<bool>) {
    // Without a holder there is nothing to stay for either.
    let _ = leaving.wait_for(|&leaving| leaving).await;
}

/// Answers one client, question after question.
async fn serve(stream: UnixStream, service: Arc<Service>, mut leaving: watch::Receiver<bool>) {
    let (mut from, mut to) = stream.into_split();
    let greeting = async {
        frame::write(&mut to, &Hello::ours()).await?;
        frame::read::<Hello>(&mut from, MAX_HELLO).await
    };
    match tokio::time::timeout(HELLO, greeting).await {
        Ok(Ok(theirs)) if theirs.fits(&Hello::ours()) => {}
        // It has been told who we are, and says so to whoever typed it.
        _ => return,
    }
    loop {
        let ask = tokio::select! {
            biased;
            ask = frame::read::<Ask>(&mut from, MAX_FRAME) => ask,
            () = left(&mut leaving) => return,
        };
        let reply = match ask {
            Ok(ask) => answer(ask.request, Arc::clone(&service), &mut to).await,
            Err(FrameError::Io(_)) => return,
            Err(error) => {
                // Where the next request begins is not known any more.
                let _ = frame::write(&mut to, &Reply::Failed(Failure::bug(error))).await;
                return;
            }
        };
        let sent = match frame::write(&mut to, &reply).await {
            Err(error @ FrameError::TooLarge { .. }) => {
                frame::write(&mut to, &Reply::Failed(Failure::bug(error))).await
            }
            sent => sent,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Performs a request and passes on what it tells. A client that has gone is no reason to stop: what it asked for was
/// asked for.
async fn answer(request: Request, service: Arc<Service>, to: &mut OwnedWriteHalf) -> Reply {
    let (sink, mut streamed) = mpsc::channel(STREAM);
    // On a task of its own, so that a panic is an answer and not a connection that is asked again for ever.
    let performed = tokio::spawn(request.perform(service, sink));
    while let Some(event) = streamed.recv().await {
        if frame::write(to, &Reply::Streamed(event)).await.is_err() {
            break;
        }
    }
    drop(streamed);
    match performed.await {
        Ok(Ok(answer)) => Reply::Done(answer),
        Ok(Err(Refusal::Failed(failure))) => Reply::Failed(failure),
        Ok(Err(Refusal::Moved)) => Reply::Moved,
        Err(error) => Reply::Failed(Failure::bug(error)),
    }
}
