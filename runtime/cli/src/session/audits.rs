//! Operations on the audit, each with why it does no harm to ask for it twice.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};
use wflo::{Act, ReportAction, ReportLine, ReportQuery, RuntimeError};
use wflo_journal::audit::{ExportError, export_since};
use wflo_model::{PrincipalName, RunId, StepName};

use super::deploy::Deploy;
use super::operation::{Operation, Sink, Streamed};
use super::operations::Who;
use super::service::{Refusal, Service};
use crate::failure::Failure;

/// How much of a file is sent at a time.
const PIECE: usize = 256 * 1024;

/// The audit file of a run, in pieces. That it was asked for is in the store's own log before any of it is given;
/// whoever asks again begins the file anew, and is in the log twice.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Export {
    pub(crate) run: RunId,
    /// Sizes of checkpoints from which the newest is to be shown to go on.
    pub(crate) since: Vec<u64>,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for Export {
    type Answer = u64;

    async fn perform(self, service: &Service, sink: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Look).await?;
        service.runtime().note_export(self.run, &by).await?;
        // So that the proof reaches to the newest event.
        service.runtime().checkpoint().await?;
        // A pair of sockets is a pipe that a writer cannot overfill, so that a long run needs no memory here.
        let (mut into, out) = UnixStream::pair().map_err(Failure::bug)?;
        let sending = tokio::task::spawn_blocking(move || send_lines(out, &sink));
        let journal = service.runtime().journal().clone();
        let threads = tokio::runtime::Handle::current();
        let writing = tokio::task::spawn_blocking(move || {
            let written = threads.block_on(export_since(&journal, self.run, &self.since, &mut into));
            into.flush().map(|()| written)
        });
        let written = writing.await.map_err(Failure::bug)?.map_err(Failure::bug)?;
        sending.await.map_err(Failure::bug)?.map_err(Failure::bug)?;
        match written {
            Ok(events) => Ok(events),
            Err(ExportError::Read(error)) => Err(RuntimeError::from(error).into()),
            Err(error) => Err(Failure::bug(error).into()),
        }
    }
}

/// Who did what. That it was asked for is in the store's own log; asked twice, it is there twice.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) query: ReportQuery,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

/// A line of a report, as it is printed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ReportView {
    /// When, as RFC 3339.
    pub(crate) at: String,
    pub(crate) person: Option<PrincipalName>,
    pub(crate) action: ReportAction,
    pub(crate) run: Option<RunId>,
    pub(crate) workflow: Option<String>,
    pub(crate) step: Option<StepName>,
    pub(crate) what: String,
    pub(crate) note: Option<String>,
    pub(crate) by: Option<String>,
}

impl Operation for Report {
    type Answer = Vec<ReportView>;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Look).await?;
        let view = |line: ReportLine| {
            let ReportLine { at, person, action, run, workflow, step, what, note, by, .. } = line;
            let at = at.to_string();
            ReportView { at, person, action, run, workflow, step, what, note, by }
        };
        Ok(service.runtime().report(&self.query, &by).await?.into_iter().map(view).collect())
    }
}

/// The public key that signs checkpoints, and the newest of them, which is made if anything has moved. Reads, but for
/// that.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {}

/// A public key, and the newest checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeysView {
    pub(crate) signing: String,
    pub(crate) checkpoint: Option<String>,
}

impl Operation for Keys {
    type Answer = KeysView;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let runtime = service.runtime();
        runtime.checkpoint().await?;
        let signing = runtime.journal().verifier_key().await.map_err(RuntimeError::from)?.to_string();
        let checkpoint = runtime.journal().newest_checkpoint().await.map_err(RuntimeError::from)?;
        Ok(KeysView { signing, checkpoint })
    }
}

/// Has another key sign checkpoints; the answer is the new one. Asked twice, the key is rotated twice, which harms
/// nobody: each hands on to the next.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RotateKey {
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for RotateKey {
    type Answer = String;

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Manage).await?;
        Ok(service.runtime().rotate_signing_key(&by).await?.to_string())
    }
}

/// Notes that the master key was rotated; asked twice, it is noted twice. With `ask_only`, only checks that whoever
/// asks may do it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NoteMasterKey {
    pub(crate) ask_only: bool,
    pub(crate) who: Who,
    pub(crate) deploy: Deploy,
}

impl Operation for NoteMasterKey {
    type Answer = ();

    async fn perform(self, service: &Service, _: Sink) -> Result<Self::Answer, Refusal> {
        let by = service.permitted(&self.deploy, self.who, Act::Manage).await?;
        if self.ask_only {
            return Ok(());
        }
        Ok(service.runtime().note_master_key(&by).await?)
    }
}

/// Sends what comes out of a pipe in pieces of whole lines.
fn send_lines(out: UnixStream, sink: &Sink) -> std::io::Result<()> {
    let mut out = BufReader::with_capacity(PIECE, out);
    let (mut text, mut at) = (String::new(), 0);
    loop {
        let ended = out.read_line(&mut text)? == 0;
        if text.len() >= PIECE || (ended && !text.is_empty()) {
            let size = text.len() as u64;
            // Nobody takes it any more: the writer learns it when the pipe closes.
            if sink.blocking_send(Streamed::Lines { at, text: std::mem::take(&mut text) }).is_err() {
                return Ok(());
            }
            at += size;
        }
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use tokio::sync::mpsc;

    use super::{PIECE, Streamed, send_lines};

    #[test]
    fn a_file_comes_in_pieces_of_whole_lines() {
        let text: String = (0..100_000).map(|n| format!("{{\"seq\":{n}}}\n")).collect();
        assert!(text.len() > 3 * PIECE);
        let (mut into, out) = UnixStream::pair().unwrap();
        let (sink, mut pieces) = mpsc::channel(1);
        let written = text.clone();
        let writing = std::thread::spawn(move || into.write_all(written.as_bytes()));
        let sending = std::thread::spawn(move || send_lines(out, &sink));
        let mut whole = String::new();
        while let Some(piece) = pieces.blocking_recv() {
            let Streamed::Lines { at, text } = piece else { panic!("it is a file") };
            assert_eq!(at, whole.len() as u64);
            assert!(text.ends_with('\n'));
            whole += &text;
        }
        assert_eq!(whole, text);
        writing.join().unwrap().unwrap();
        sending.join().unwrap().unwrap();
    }
}
