//! `wflo demo`: fraud detection, set up and told command by command, without a network or a model.

mod files;
mod stage;

use std::path::Path;

use self::stage::Stage;
use crate::failure::{Code, Failure};
use crate::{build, say};

/// The people of the example, and their groups.
const PEOPLE: &[(&str, Option<&str>)] =
    &[("alice", Some("fraud-team")), ("carol", Some("compliance")), ("mallory", None)];

/// Sets the example up in a folder, which may be a copy of it already, and plays it there.
pub(crate) fn demo(folder: &Path) -> Result<Code, Failure> {
    files::unpack(folder)?;
    if !folder.join(files::COMPONENT).is_file() {
        build::build(&build::Order { folder, steps: None, install: false })?;
    }
    let written = fraud_data::write(&folder.join("bank.db"), fraud_data::SEED)
        .map_err(|error| Failure::usage(format!("{error:#}")))?;
    say(&format!("a bank with {} accounts and {} transactions", written.accounts, written.transactions));
    let stage = Stage::new(folder)?;
    for (name, group) in PEOPLE {
        stage.person(name, *group)?;
    }
    play(&stage, folder)?;
    Ok(Code::Succeeded)
}

/// Runs fraud detection until it waits, decides as two people, and shows what came of it.
fn play(stage: &Stage<'_>, folder: &Path) -> Result<(), Failure> {
    stage.tell("A run: the step reads the transactions, asks a model, and waits for people.");
    let run = stage.json(&["run"], Code::ApprovalOpen)?;
    let text = |value: &serde_json::Value| {
        value.as_str().map(ToOwned::to_owned).ok_or_else(|| Failure::bug("the run's JSON lacks an id"))
    };
    let (id, approval) = (text(&run["run"])?, text(&run["waiting_for"][0]["id"])?);
    stage.play(None, &["show", &id], Code::Succeeded)?;
    stage.tell("What they are to approve: exactly this, and nothing else.");
    stage.play(None, &["approvals", "show", &approval], Code::Succeeded)?;
    stage.tell(
        "Mallory is in no group. Alice is in fraud-team: not enough. With Carol of compliance it goes on.",
    );
    stage.play(Some("mallory"), &["approve", &approval], Code::Denied)?;
    stage.play(Some("alice"), &["approve", &approval], Code::ApprovalOpen)?;
    stage.play(Some("carol"), &["approve", &approval], Code::Succeeded)?;
    stage.tell("What happened, who decided, and what it cost.");
    stage.play(None, &["show", &id], Code::Succeeded)?;
    stage.play(None, &["cost", &id], Code::Succeeded)?;
    stage.tell("The audit: one file, verified without the store.");
    stage.play(None, &["audit", "export", &id, "-o", "run.audit"], Code::Succeeded)?;
    stage.play(None, &["audit", "verify", "run.audit"], Code::Succeeded)?;
    let ended = stage.look(&["show", &id])?;
    let blocked = &ended["steps"][1]["output"]["blocked_count"];
    stage.tell(&format!("{blocked} accounts are blocked in {}.", folder.join("bank.db").display()));
    stage.tell(
        "Next: read workflow.toml and wflo.toml there, change a grant or an approver, and `wflo check`.",
    );
    Ok(())
}
