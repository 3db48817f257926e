//! What people decide beside votes: `approve --edit` and `top-up`.

use std::path::Path;

use wflo_model::{PicoUsd, RunId};

use super::output;
use super::run::{principal, who};
use crate::args::{Global, Vote};
use crate::failure::{Code, Failure, WHO_HINT};
use crate::project::Project;
use crate::session::{self, Session, Who};
use crate::{say, show, terminal};

/// Changes what an approval is about; others decide about that.
pub(crate) async fn edit(
    global: &Global,
    project: &Project,
    session: &mut Session,
    vote: Vote,
    file: &Path,
) -> Result<Code, Failure> {
    let unknown = || Failure::new(Code::Denied, "who you are is not known").hint(WHO_HINT);
    let Some(Who::Principal { name, token }) = principal(global)? else { return Err(unknown()) };
    let bad = |error: String| {
        Failure::usage(format!("`{}`: {error}", file.display()))
            .hint("write the arguments of the call as JSON, or the output; `wflo approvals show ID --json` has them")
    };
    let text = std::fs::read_to_string(file).map_err(|error| bad(error.to_string()))?;
    let value = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let deploy = project.deploy()?;
    let Vote { ids, comment, no_resume: _ } = vote;
    let [id] = ids[..] else {
        return Err(Failure::usage("`--edit` changes what one approval is about, and several were named"));
    };
    let edit = session::Edit { id, name: name.clone(), token, value, comment, deploy, again: false };
    let approval = session.ask(edit).await?;
    say(&format!("{name} has changed {id}: {} asks others about that", approval.id));
    output(global, &approval, || show::approval(&approval, terminal::stdout_colors()));
    Ok(Code::ApprovalOpen)
}

/// Asks for more money for a run.
pub(crate) async fn top_up(
    global: &Global,
    project: &Project,
    session: &mut Session,
    run: RunId,
    amount: PicoUsd,
) -> Result<Code, Failure> {
    let (deploy, who) = (project.deploy()?, who(global)?);
    let approval = session.ask(session::TopUp { run, amount, who, deploy, again: false }).await?;
    let asked = terminal::tame(&approval.approvers.join(", "));
    say(&format!("{} asks {asked} for {amount} USD", approval.id));
    output(global, &approval, || show::approval(&approval, terminal::stdout_colors()));
    Ok(Code::ApprovalOpen)
}
