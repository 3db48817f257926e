//! What waits to be told: `outbox`, and what a command says of it before it ends.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use wflo::OutboxLine;
use wflo_model::RunId;

use super::{output, say_if_none};
use crate::args::Global;
use crate::failure::Failure;
use crate::project::Project;
use crate::say;
use crate::session::{self, Deploy, Session};
use crate::terminal::tame;

/// How long a command that is done still tries to tell people.
const FAREWELL: Duration = Duration::from_secs(10);

/// Shows what waits to be told; with `retry`, tries all of it first.
pub(crate) async fn outbox(
    global: &Global,
    project: &Project,
    session: &mut Session,
    retry: bool,
) -> Result<(), Failure> {
    let mut waits = session.ask(session::Outbox { retry }).await?;
    if retry && !waits.is_empty() {
        waits = session.ask(session::Tell { deploy: project.deploy()?, time: FAREWELL }).await?;
    }
    output(global, &waits, || lines(&waits));
    say_if_none(global, &waits, "nothing waits to be told");
    Ok(())
}

/// Tells people what there is to be told before the command ends; of a run that waits, says what is left.
pub(crate) async fn farewell(
    session: &mut Session,
    deploy: Deploy,
    run: RunId,
    waits: bool,
) -> Result<(), Failure> {
    let left = session.ask(session::Tell { deploy, time: FAREWELL }).await?;
    let left: Vec<_> = left.into_iter().filter(|line| waits && line.run == run).collect();
    let channels: BTreeSet<_> = left.iter().map(|line| tame(&line.channel)).collect();
    let channels = channels.into_iter().collect::<Vec<_>>().join(", ");
    let what = match left.len() {
        0 => return Ok(()),
        1 => "1 notification waits".to_owned(),
        n => format!("{n} notifications wait"),
    };
    say(&format!("{what} to be told, and `wflo outbox` says why: {channels}"));
    Ok(())
}

fn lines(waits: &[OutboxLine]) -> String {
    waits.iter().fold(String::new(), |mut text, it| {
        let of = it.approval.map_or_else(|| it.run.to_string(), |id| id.to_string());
        let why = it.why.as_deref().map_or_else(|| "not tried yet".to_owned(), tame);
        let tries = match it.tries {
            0 => String::new(),
            1 => format!(" (tried once, again at {})", it.next),
            n => format!(" (tried {n} times, again at {})", it.next),
        };
        let _ = writeln!(text, "{}  {} {of}: {why}{tries}", it.channel, it.about);
        text
    })
}
