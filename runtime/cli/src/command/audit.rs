//! `wflo audit`.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use wflo::ReportQuery;
use wflo_journal::VerifierKey;
use wflo_journal::audit::{Trust, Verified};
use wflo_model::RunId;

use super::output;
use super::run::who;
use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::project::Project;
use crate::session::{self, Session, Streamed};
use crate::{show, terminal};

/// Writes the audit file of a run: to a file whole or not at all, or to standard output as it comes.
pub(crate) async fn export(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: Option<RunId>,
    to: Option<&Path>,
    since: &[PathBuf],
) -> Result<(), Failure> {
    let of = run;
    let run = run.unwrap_or(wflo_journal::SYSTEM_LOG);
    let since = since.iter().map(|file| size_of(file)).collect::<Result<_, _>>()?;
    let export = session::Export { run, since, who: who(global)?, deploy: project.deploy()? };
    let Some(path) = to else {
        return session.follow(export, &mut print_lines()).await.map(drop);
    };
    let bad = |error: io::Error| Failure::usage(format!("`{}`: {error}", path.display()));
    let unready = path.with_added_extension("new");
    // Bodies stand open in it.
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unready).map_err(bad)?;
    let mut write = |event| match event {
        Streamed::Lines { at, text } => piece(&mut file, at, &text).map_err(bad),
        Streamed::Run(_) | Streamed::Stopping | Streamed::Bytes { .. } => Ok(()),
    };
    let exported = session.follow(export, &mut write).await;
    let kept = exported
        .and_then(|_| file.sync_all().map_err(bad))
        .and_then(|()| std::fs::rename(&unready, path).map_err(bad));
    if kept.is_err() {
        // What is there is no audit file, and why says the failure.
        let _ = std::fs::remove_file(&unready);
    }
    kept?;
    let size = file.metadata().map_err(bad)?.len();
    output(global, &json!({ "run": of, "file": path, "bytes": size }), String::new);
    Ok(())
}

/// Writes a piece; the first one begins the file anew, should another process have begun it and gone.
fn piece(file: &mut File, at: u64, text: &str) -> io::Result<()> {
    if at == 0 {
        file.set_len(0)?;
        file.rewind()?;
    }
    file.write_all(text.as_bytes())
}

/// Prints pieces; what was printed cannot be begun anew.
fn print_lines() -> impl FnMut(Streamed) -> Result<(), Failure> + Send {
    let mut printed = 0;
    move |event| {
        let Streamed::Lines { at, text } = event else { return Ok(()) };
        if at != printed {
            let message = "the process that held the store has gone in the middle of it";
            return Err(Failure::bug(message).hint("export it again"));
        }
        printed += text.len() as u64;
        crate::print_bytes(text.as_bytes())
    }
}

/// Prints the events of a run in words, or those of the store's own log.
pub(crate) async fn show(global: &Global, session: &mut Session, run: Option<RunId>) -> Result<(), Failure> {
    let Some(run) = run else {
        let events = session.ask(session::SystemEvents {}).await?;
        output(global, &events, || show::system(&events, terminal::stdout_colors()));
        return Ok(());
    };
    let events = session.ask(session::Events { run }).await?;
    output(global, &events, || show::timeline(&events, terminal::stdout_colors()));
    Ok(())
}

/// Says who did what.
pub(crate) async fn report(
    global: &Global,
    project: &Project,
    session: &mut Session,
    query: ReportQuery,
) -> Result<(), Failure> {
    let lines = session.ask(session::Report { query, who: who(global)?, deploy: project.deploy()? }).await?;
    output(global, &lines, || show::report(&lines, terminal::stdout_colors()));
    super::say_if_none(global, &lines, "nothing of the kind is in the journal");
    Ok(())
}

/// Verifies an audit file, without a store.
pub(crate) fn verify(
    global: &Global,
    file: &Path,
    trust: &[String],
    kept: &[PathBuf],
) -> Result<Code, Failure> {
    let bad = |error: io::Error| Failure::usage(format!("`{}`: {error}", file.display()));
    let keys = trust.iter().map(|text| key(text)).collect::<Result<_, _>>()?;
    let kept = kept.iter().map(|file| text_of(file)).collect::<Result<_, _>>()?;
    match wflo_journal::audit::verify_with(File::open(file).map_err(bad)?, &Trust { keys, kept }) {
        Ok(verified) => {
            output(global, &proven(&verified), || verified.explain());
            Ok(Code::Succeeded)
        }
        Err(error) => {
            output(global, &json!({ "verified": false, "error": error.to_string() }), String::new);
            Err(Failure::new(Code::RunFailed, error))
        }
    }
}

/// What an audit file proves, as `--json` has it.
fn proven(verified: &Verified) -> serde_json::Value {
    let Verified { store, run, events, head, erased, from, to, proven } = verified;
    let checkpoint = proven.as_ref().map(|proven| {
        json!({
            "size": proven.checkpoint.size,
            "key": proven.key.to_string(),
            "trusted": proven.trusted,
            "events": proven.seq,
            "since": proven.since,
            "kept": proven.kept,
        })
    });
    json!({
        "verified": true,
        "store": store,
        "run": (*run != wflo_journal::SYSTEM_LOG).then_some(run),
        "events": events,
        "head": head,
        "erased": erased,
        "from": from.to_string(),
        "to": to.to_string(),
        "checkpoint": checkpoint,
        "words": verified.explain(),
    })
}

/// A key that is trusted: the text of one, or a file with one.
fn key(text: &str) -> Result<VerifierKey, Failure> {
    if let Ok(key) = text.parse() {
        return Ok(key);
    }
    let file = Path::new(text);
    let text = if file.is_file() { text_of(file)? } else { text.to_owned() };
    text.parse().map_err(|error| Failure::usage(format!("`{}`: {error}", text.trim())))
}

/// The size of a checkpoint in a file.
fn size_of(file: &Path) -> Result<u64, Failure> {
    let text = text_of(file)?;
    let size = text.lines().nth(1).and_then(|size| size.parse().ok());
    size.ok_or_else(|| Failure::usage(format!("`{}` is no checkpoint", file.display())))
}

fn text_of(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))
}
