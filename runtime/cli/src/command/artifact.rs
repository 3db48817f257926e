//! `wflo artifact`.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use wflo::ArtifactView;
use wflo_model::{ArtifactAddress, RunId};

use super::run::who;
use super::{output, say_if_none};
use crate::args::Global;
use crate::failure::Failure;
use crate::project::Project;
use crate::session::{self, Session, Streamed};

/// Lists the artifacts of a run.
pub(crate) async fn list(global: &Global, session: &mut Session, run: RunId) -> Result<(), Failure> {
    let artifacts = session.ask(session::Artifacts { run }).await?;
    output(global, &artifacts, || lines(&artifacts));
    say_if_none(global, &artifacts, "the run has made none");
    Ok(())
}

/// One line an artifact: who made it, its name, its size and digest.
fn lines(artifacts: &[ArtifactView]) -> String {
    let lines = artifacts.iter().map(|ArtifactView { step, item, artifact, bytes, digest, .. }| {
        let item = item.map(|item| format!("[{item}]")).unwrap_or_default();
        format!("{step}{item}  {artifact}  {bytes} bytes  {digest}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Writes an artifact: to a file whole or not at all, or to standard output as it comes.
pub(crate) async fn get(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: RunId,
    which: ArtifactAddress,
    to: Option<&Path>,
) -> Result<(), Failure> {
    let take = session::TakeArtifact { run, which, who: who(global)?, deploy: project.deploy()? };
    let Some(path) = to else {
        return session.follow(take, &mut print_bytes()).await.map(drop);
    };
    let bad = |error: io::Error| Failure::usage(format!("`{}`: {error}", path.display()));
    let unready = path.with_added_extension("new");
    // What a step made of data that may be anybody's.
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unready).map_err(bad)?;
    let mut write = |event| match event {
        Streamed::Bytes { at, bytes } => piece(&mut file, at, bytes.as_bytes()).map_err(bad),
        Streamed::Run(_) | Streamed::Stopping | Streamed::Lines { .. } => Ok(()),
    };
    let taken = session.follow(take, &mut write).await;
    let kept = taken
        .and_then(|_| file.sync_all().map_err(bad))
        .and_then(|()| std::fs::rename(&unready, path).map_err(bad));
    if kept.is_err() {
        // What is there is no whole artifact, and why says the failure.
        let _ = std::fs::remove_file(&unready);
    }
    kept
}

/// Writes a piece; the first one begins the file anew, should another process have begun it and gone.
fn piece(file: &mut File, at: u64, bytes: &[u8]) -> io::Result<()> {
    if at == 0 {
        file.set_len(0)?;
        file.rewind()?;
    }
    file.write_all(bytes)
}

/// Prints pieces; what was printed cannot be begun anew.
fn print_bytes() -> impl FnMut(Streamed) -> Result<(), Failure> + Send {
    let mut printed = 0;
    move |event| {
        let Streamed::Bytes { at, bytes } = event else { return Ok(()) };
        if at != printed {
            let message = "the process that held the store has gone in the middle of it";
            return Err(Failure::bug(message).hint("get it again"));
        }
        printed += bytes.as_bytes().len() as u64;
        crate::print_bytes(bytes.as_bytes())
    }
}
