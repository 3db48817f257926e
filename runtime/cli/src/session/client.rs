//! The side that asks.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use super::address;
use super::frame::{self, Ask, FrameError, Hello, MAX_FRAME, MAX_HELLO, Reply};
use super::operation::{Operation, Streamed};
use crate::failure::Failure;

/// How long the holder may take to say hello. It is on the same machine, and may be busy.
const HELLO: Duration = Duration::from_secs(10);

/// A connection to the process that holds the store.
pub(crate) struct Connection(UnixStream);

/// Why there is no connection.
pub(crate) enum NotConnected {
    /// Nobody listens: the store is free, or its holder is just coming or going.
    Nobody,
    /// Somebody listens, and cannot be spoken to.
    Failed(Failure),
}

/// What came of asking.
pub(crate) enum Outcome<T> {
    Answer(T),
    /// The holder has gone, or is leaving. What was asked may have been done.
    Gone,
}

impl Connection {
    pub(crate) async fn open(state: &Path) -> Result<Self, NotConnected> {
        let path = address::path(state);
        let failed = |error: &dyn std::fmt::Display| {
            NotConnected::Failed(
                Failure::bug(format!("the process that listens on `{}`: {error}", path.display()))
                    .hint("end that process; if it is no `wflo`, remove the socket"),
            )
        };
        let stream = match address::connect(state) {
            Ok(stream) => stream,
            Err(error) if is_gone(&error) => return Err(NotConnected::Nobody),
            Err(error) => return Err(failed(&error)),
        };
        stream.set_nonblocking(true).map_err(|error| failed(&error))?;
        let mut stream = UnixStream::from_std(stream).map_err(|error| failed(&error))?;
        let ours = Hello::ours();
        let greeting = async {
            frame::write(&mut stream, &ours).await?;
            frame::read::<Hello>(&mut stream, MAX_HELLO).await
        };
        match tokio::time::timeout(HELLO, greeting).await {
            Ok(Ok(theirs)) if theirs.fits(&ours) => Ok(Self(stream)),
            Ok(Ok(theirs)) => {
                let is = |hello: &Hello| format!("wflo {} (protocol {})", hello.wflo, hello.protocol);
                let message = format!(
                    "process {} holds the store and is {}, and this is {}",
                    theirs.process,
                    is(&theirs),
                    is(&ours)
                );
                let hint = "use the same `wflo`, or wait until that process has ended";
                Err(NotConnected::Failed(Failure::bug(message).hint(hint)))
            }
            // It has left between being found and being spoken to.
            Ok(Err(FrameError::Io(_))) => Err(NotConnected::Nobody),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(failed(&"it does not answer")),
        }
    }

    /// Asks, tells what comes meanwhile, and gives the answer.
    pub(crate) async fn ask<O: Operation>(
        &mut self,
        operation: O,
        told: &mut (dyn FnMut(Streamed) -> Result<(), Failure> + Send),
    ) -> Result<Outcome<O::Answer>, Failure> {
        let ask = Ask { request: operation.into() };
        match frame::write(&mut self.0, &ask).await {
            Ok(()) => {}
            Err(FrameError::Io(_)) => return Ok(Outcome::Gone),
            Err(error) => return Err(Failure::bug(error)),
        }
        loop {
            match frame::read::<Reply>(&mut self.0, MAX_FRAME).await {
                Ok(Reply::Streamed(event)) => told(event)?,
                Ok(Reply::Done(answer)) => {
                    return Ok(Outcome::Answer(serde_json::from_value(answer).map_err(Failure::bug)?));
                }
                Ok(Reply::Failed(failure)) => return Err(failure),
                Ok(Reply::Moved) | Err(FrameError::Io(_)) => return Ok(Outcome::Gone),
                Err(error) => return Err(Failure::bug(error)),
            }
        }
    }
}

/// Whether nobody is there: no socket, one of a process that was killed, or one whose holder is leaving.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, WouldBlock};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | NotFound | WouldBlock)
}
