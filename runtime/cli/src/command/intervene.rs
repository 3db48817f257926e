//! What people do to a run from outside: `cancel`, `resolve`, `replay`.

use std::time::Duration;

use serde_json::json;
use wflo::{GcView, ReplayView, Resolution, Retention};
use wflo_model::RunId;

use super::output;
use super::run::{finished, follow, who};
use crate::args::{Global, Resolve};
use crate::failure::{Code, Failure};
use crate::project::Project;
use crate::say;
use crate::session::{self, Session};

/// Asks for the end of a run and brings it there.
pub(crate) async fn cancel(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: RunId,
    reason: Option<String>,
) -> Result<Code, Failure> {
    let deploy = project.deploy()?;
    let cancel = session::Cancel { run, who: who(global)?, reason, deploy: deploy.clone(), again: false };
    session.ask(cancel).await?;
    match follow(global, session, session::Drive { run, deploy: deploy.clone() }, deploy, run).await? {
        // That is what was wanted.
        Code::RunFailed => Ok(Code::Succeeded),
        code => Ok(code),
    }
}

/// Says what became of a call, and lets the run go on.
pub(crate) async fn resolve(
    global: &Global,
    project: &Project,
    session: &mut Session,
    args: Resolve,
) -> Result<Code, Failure> {
    let Resolve { run, intent, done, not_done: _, compensate, no_resume } = args;
    let resolution = match done {
        Some(text) => Resolution::Done {
            value: serde_json::from_str(&text).map_err(|error| {
                Failure::usage(format!("`{text}` is not JSON: {error}"))
                    .hint("give what the call returned, such as `'{\"status\": 200}'`, or `null`")
            })?,
        },
        None if compensate => Resolution::Compensate,
        None => Resolution::NotDone,
    };
    let deploy = project.deploy()?;
    let (who, again) = (who(global)?, false);
    let before = session.ask(session::Show { run }).await?;
    session.ask(session::Resolve { run, intent, resolution, who, deploy: deploy.clone(), again }).await?;
    say(&format!("event {intent} of run {run} is settled"));
    if no_resume {
        return Ok(Code::of(&session.ask(session::Show { run }).await?));
    }
    let drive = session::Drive { run, deploy: deploy.clone() };
    let code = follow(global, session, drive, deploy, run).await?;
    match before.rollback {
        Some(_) => finished(session, &before, code).await,
        None => Ok(code),
    }
}

/// Makes a run that goes on from where another stood, and follows it.
pub(crate) async fn fork(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: RunId,
    at: u64,
    keep: bool,
) -> Result<Code, Failure> {
    let deploy = project.deploy()?;
    let (who, again) = (who(global)?, false);
    let run = session.ask(session::Fork { run, at, keep, who, deploy: deploy.clone(), again }).await?;
    follow(global, session, session::Drive { run, deploy: deploy.clone() }, deploy, run).await
}

/// Drops old runs.
pub(crate) async fn gc(
    global: &Global,
    project: &Project,
    session: &mut Session,
    older_than: u32,
    dry_run: bool,
) -> Result<(), Failure> {
    let keep = Retention { ended_for: Duration::from_secs(u64::from(older_than) * 86_400) };
    let went =
        session.ask(session::Gc { keep, dry_run, who: who(global)?, deploy: project.deploy()? }).await?;
    output(global, &went, || gone(&went));
    Ok(())
}

fn gone(went: &GcView) -> String {
    let GcView { runs, events, blobs, public, bytes, dry_run, .. } = went;
    if *dry_run {
        return format!("{runs} runs with {events} events would go");
    }
    format!(
        "{runs} runs with {events} events, {blobs} blobs, {public} plans and components; {bytes} bytes freed"
    )
}

/// Forgets what a run said.
pub(crate) async fn erase(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: RunId,
) -> Result<(), Failure> {
    let (who, deploy) = (who(global)?, project.deploy()?);
    let events = session.ask(session::Erase { run, who, deploy, again: false }).await?;
    match events {
        Some(events) => say(&format!("erased {run}: its {events} events have no bodies any more")),
        None => say(&format!("erased {run}")),
    }
    output(global, &json!({ "run": run, "erased": true, "events": events }), String::new);
    Ok(())
}

/// Replays a run and says whether it is identical.
pub(crate) async fn replay(global: &Global, session: &mut Session, run: RunId) -> Result<Code, Failure> {
    let replayed = session.ask(session::Replay { run }).await?;
    output(global, &replayed, || show(&replayed));
    Ok(if replayed.identical { Code::Succeeded } else { Code::RunFailed })
}

fn show(replayed: &ReplayView) -> String {
    let mut lines = Vec::new();
    for attempt in &replayed.attempts {
        let item = attempt.item.map(|item| format!("[{item}]")).unwrap_or_default();
        let name = format!("{}{item}", attempt.step);
        let said = match &attempt.difference {
            None => format!("identical, {}", super::record::calls(attempt.calls as usize)),
            Some(difference) => format!("differs {difference}"),
        };
        lines.push(format!("{name}  attempt {}  {said}", attempt.attempt));
    }
    lines.push(if replayed.identical { "identical".to_owned() } else { "not identical".to_owned() });
    lines.join("\n")
}
