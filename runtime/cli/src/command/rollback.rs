//! `wflo rollback` and `wflo show --changes`.

use wflo_model::{RunId, StepName};

use super::run::{follow, who};
use super::{output, say_if_none};
use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::project::Project;
use crate::session::{self, Session};
use crate::{changes, terminal, undoing};

/// Has what a run did undone, and follows it; with `dry_run` only says what that would be.
pub(crate) async fn rollback(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: RunId,
    to: Option<StepName>,
    dry_run: bool,
) -> Result<Code, Failure> {
    let deploy = project.deploy()?;
    if dry_run {
        let trial = session.ask(session::RollbackPlan { run, to, deploy }).await?;
        output(global, &trial, || undoing::trial(&trial));
        return Ok(Code::Succeeded);
    }
    let (who, again) = (who(global)?, false);
    session.ask(session::Rollback { run, to, who, deploy: deploy.clone(), again }).await?;
    let code = follow(global, session, session::Drive { run, deploy: deploy.clone() }, deploy, run).await?;
    // All of it undone is what was wanted.
    let status = session.ask_anyway(session::Show { run }).await?.status;
    Ok(if status == wflo::RunStatus::RolledBack { Code::Succeeded } else { code })
}

/// Shows the rows that a run changed.
pub(crate) async fn changes(global: &Global, session: &mut Session, run: RunId) -> Result<(), Failure> {
    let views = session.ask(session::Changes { run }).await?;
    output(global, &views, || changes::of_run(&views, terminal::stdout_colors()));
    say_if_none(
        global,
        &views,
        "no step that keeps what it changes has committed any: `rollback = true` and a gate at its commit have it kept",
    );
    Ok(())
}
