//! What happened, as the journal keeps it.

mod call;
mod ends;
mod fork;
mod gated;
mod returned;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wflo_manifest::ApprovalRule;
use wflo_model::{
    ApprovalId, Call, CallError, ChangeSet, Digest, GroupName, Inserted, Label, PicoUsd, PrincipalName,
    RunId, StepName, Timestamp,
};

use crate::UnitId;
use crate::rollback::{Reapplied, RollbackPlan, StepUndone};

pub use call::{CallClass, Resolution};
pub use ends::{AttemptEnd, Outcome, ParkReason, Verdict};
pub use fork::{Forked, InheritedArtifact, Lent};
pub use gated::{GateAt, GatedCall, Subject};
pub use returned::{Filter, Reported, Returned, Transcript};

/// What happened. The JSON of this type is the body of a journal record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A run was accepted. Always the first event.
    RunCreated {
        /// Name of the workflow.
        workflow: String,
        /// Its version.
        version: String,
        /// The pinned plan.
        plan: Digest,
        /// The component of every attempt that names no other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        component: Option<Digest>,
        /// Inputs, defaults filled in.
        inputs: Map<String, Value>,
        /// Who asked.
        requester: PrincipalName,
        /// The budget of the run.
        budget: Option<PicoUsd>,
        /// The run it goes on from, for a fork.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forked: Option<Forked>,
    },
    /// A step had ended when the run was forked; this run has its output from there.
    Inherited {
        /// Its output; none for one that was left out.
        output: Option<Value>,
        /// The artifacts it has made; each says which run keeps it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        artifacts: Vec<InheritedArtifact>,
    },
    /// What a call of a step or item that begins anew in a fork came to in the parent: one that makes the same call is
    /// told so, and it is not made once more.
    Lent(Box<Lent>),
    /// A fork goes on in the place of this run. Nothing happens to it any more.
    Superseded {
        /// The fork.
        by: RunId,
    },
    /// A step fans out: one unit of work an item, in this order. What it was approved for is consumed by this
    /// same append.
    FannedOut {
        /// The items.
        items: Vec<Value>,
        /// The approval that permits it.
        consumes: Option<ApprovalId>,
    },
    /// All items of a step have ended, and the step with them; its output is theirs, in order.
    Joined,
    /// People are asked whether something may be done. Written before anybody is told.
    ApprovalOpened {
        /// Its id.
        id: ApprovalId,
        /// What it permits.
        #[serde(default, skip_serializing_if = "GateAt::is_start")]
        at: GateAt,
        /// The call it stands before, for one at a call.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<GatedCall>,
        /// The digest of exactly what would be done.
        subject: Digest,
        /// What is decided on, for people; part of the subject.
        shows: Value,
        /// Who is asked, how many of them, and how long it is good for.
        rule: ApprovalRule,
        /// When it expires.
        expires_at: Option<Timestamp>,
        /// Keyed digests of the questions of policies that it answers, for one that policies ask for: each is asked
        /// once in a run.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        asks: Vec<Digest>,
        /// The approval in whose place this one stands: nobody decided that one in time, or what it was about was
        /// changed by a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        follows: Option<ApprovalId>,
        /// Those who have changed what is decided on, or asked for it themselves. They do not decide.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        authors: Vec<PrincipalName>,
        /// The money that is asked for, for one about that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<PicoUsd>,
    },
    /// A policy fired. What follows from it stands in the events after it, in the same append.
    PolicyFired(Box<crate::policy::Firing>),
    /// A person voted.
    Voted {
        /// On what.
        approval: ApprovalId,
        /// Who.
        by: PrincipalName,
        /// The groups they were in.
        groups: Vec<GroupName>,
        /// How.
        verdict: Verdict,
        /// What they wrote.
        comment: Option<String>,
        /// True when it was decided already, or expired: kept for the record, without effect.
        late: bool,
    },
    /// An approval was decided.
    ApprovalClosed {
        /// Which.
        approval: ApprovalId,
        /// How.
        outcome: Outcome,
    },
    /// An attempt of a step began. What it was approved for is consumed by this same append.
    AttemptStarted {
        /// The component that runs, if it is not that of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        component: Option<Digest>,
        /// The approval that permits it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consumes: Option<ApprovalId>,
    },
    /// A call is about to be made. Durable before it is.
    Intent {
        /// The call as the guest asked for it; of a chat request, only what `transcript` does not say.
        asked: Call,
        /// How the messages of a chat request go on from those of an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transcript: Option<Transcript>,
        /// What a crash between this and its result means.
        class: CallClass,
        /// Keyed digest of the arguments.
        args: Digest,
        /// Names the call across crashes and attempts.
        key: Digest,
        /// Money held until it returns.
        hold: PicoUsd,
        /// The most tokens the model may answer with, where the budget or the price list sets it.
        max_tokens: Option<u32>,
        /// Until when the other side knows the call by its key, for a keyed one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        good_until: Option<Timestamp>,
        /// The approval that permits it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        consumes: Option<ApprovalId>,
        /// The call as it is made, where people have changed it. Replay matches `asked`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        performed: Option<Call>,
    },
    /// A call returned.
    Returned(Returned),
    /// A call was cut off by a crash; it is made again under a new intent.
    Abandoned {
        /// The intent.
        intent: u64,
        /// Charged for it: the provider may have done the work.
        cost: PicoUsd,
    },
    /// A person said what became of a call whose outcome nobody knew.
    Resolved {
        /// The intent.
        intent: u64,
        /// What became of it.
        resolution: Resolution,
        /// Who says so.
        by: PrincipalName,
    },
    /// A call was refused; nothing was done.
    Denied {
        /// The call.
        call: Call,
        /// Keyed digest of the arguments.
        args: Digest,
        /// Why, as the guest was told.
        error: CallError,
    },
    /// A guest logged a line.
    Logged {
        /// How bad.
        level: String,
        /// `stdout`, `stderr`, or what the guest groups by.
        context: String,
        /// The line.
        message: String,
    },
    /// The guest has returned; its transactions are about to commit. From here the step goes forward only.
    Committing {
        /// What it returned.
        output: Value,
        /// The databases that commit, in order.
        databases: Vec<Label>,
        /// The rows that change, by database, where they are kept.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        changes: BTreeMap<Label, ChangeSet>,
        /// The rows that were inserted in bulk, by database, where they are kept: they are not among the changes.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        inserted: BTreeMap<Label, Inserted>,
        /// Fuel used, as the attempt's end will say.
        fuel: u64,
        /// Peak of its memory, in bytes.
        memory_peak: u64,
    },
    /// An attempt ended.
    AttemptEnded {
        /// How.
        end: AttemptEnd,
        /// Fuel used.
        fuel: u64,
        /// Peak of its memory, in bytes.
        memory_peak: u64,
        /// Wall-clock time of the last stretch, in milliseconds.
        ms: u64,
        /// When the next attempt may start, if there is to be one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// An attempt waits; its instance is gone and will be replayed.
    Parked {
        /// For what.
        reason: ParkReason,
    },
    /// Somebody asked a parked attempt to go on.
    Unparked {
        /// Who.
        by: PrincipalName,
    },
    /// The time a parked attempt waited for has come.
    TimerFired,
    /// A guest that had requests under way went on because a timer of its own was due before any of them was answered.
    Woke {
        /// When it was due, by the clock of its step.
        at: Timestamp,
    },
    /// Somebody asked for the end of the run: nothing new starts, and what is under way is stopped.
    CancelRequested {
        /// Who.
        by: PrincipalName,
        /// Why.
        reason: Option<String>,
    },
    /// A step ended without an attempt: left out, or not permitted.
    StepEnded {
        /// True when it was left out and those that depend on it go on.
        skipped: bool,
        /// Why.
        reason: String,
    },
    /// The run ended.
    RunEnded {
        /// How: one of the final states.
        status: crate::RunStatus,
        /// Why it failed.
        error: Option<String>,
    },
    /// What the run did is to be undone.
    RollbackStarted {
        /// Who asks; none where the workflow says so itself.
        by: Option<PrincipalName>,
        /// The step that stays, with everything before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<StepName>,
        /// The steps and items whose effects alone are undone; all of them, where none is named.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        only: Vec<UnitId>,
    },
    /// What there is to undo. Nothing is undone before this is durable.
    RollbackPlanned {
        /// What.
        plan: RollbackPlan,
    },
    /// The inverse of the run's writes is applied in a database and about to commit.
    Undoing {
        /// The database.
        database: Label,
        /// What came of it, newest step first.
        steps: Vec<StepUndone>,
    },
    /// A database is done with: undone, or not to be undone.
    Undone {
        /// The database.
        database: Label,
        /// Why nothing was undone in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The rollback is over.
    RollbackEnded {
        /// What it came to: one of the final states.
        status: crate::RunStatus,
    },
    /// A person has changed what an approval is about. It is superseded by another one, which is opened in the same
    /// append.
    Edited {
        /// Which.
        approval: ApprovalId,
        /// Who.
        by: PrincipalName,
        /// The groups they were in.
        groups: Vec<GroupName>,
        /// What they wrote.
        comment: Option<String>,
    },
    /// A run that people were asked about goes on: it begins, or is rolled back.
    RunPermitted {
        /// The approval that permits it; none where it goes on in spite of a rejection.
        consumes: Option<ApprovalId>,
    },
    /// A part of the run's budget is spent; told once.
    BudgetAlert {
        /// The part, in percent.
        percent: u32,
        /// What is spent.
        settled_usd: PicoUsd,
        /// The budget.
        limit_usd: PicoUsd,
        /// Channels that are told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tells: Vec<String>,
    },
    /// A run was given more money, and so were those of its steps and items that have run out.
    ToppedUp {
        /// How much.
        amount: PicoUsd,
        /// The approval that permits it.
        consumes: ApprovalId,
    },
    /// A terraform folder is done with in a rollback: an earlier configuration is applied again, or is not to be.
    Reapplied {
        /// The folder.
        terraform: Label,
        /// The steps and items that had applied something there.
        units: Vec<UnitId>,
        /// What came of it.
        came_to: Reapplied,
    },
    /// Money is held for the fuel and the time of a stretch of an attempt, where the deployment prices them.
    ComputeHeld {
        /// What the stretch costs if it runs into its limits.
        amount: PicoUsd,
    },
    /// A stretch of an attempt is over, and what it took is charged.
    ComputeCharged {
        /// The event that held money for it.
        hold: u64,
        /// Fuel that was not charged before: a replay uses it up again, and is not charged for that.
        fuel: u64,
        /// Wall-clock time of the stretch, in milliseconds.
        ms: u64,
        /// What they cost.
        usd: PicoUsd,
    },
}
