//! What happened, as the journal keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wflo_manifest::ApprovalRule;
use wflo_model::{
    ApprovalId, Artifact, Call, CallError, CallResult, ChangeSet, Digest, Failure, Fault, GroupName,
    Inserted, Label, PicoUsd, PrincipalName, RunId, StepName, Timestamp,
};

use crate::rollback::{Reapplied, RollbackPlan, StepUndone};
use crate::{Spend, UnitId};

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
        /// The component that runs.
        component: Digest,
        /// The approval that permits it.
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

/// Where a fork comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forked {
    /// The parent.
    pub run: RunId,
    /// The parent's event up to which it is as the parent was.
    pub seq: u64,
    /// The hash of that event: with it, the parent's chain is part of this one.
    pub hash: Digest,
    /// What the parent had spent then. It counts in the budget of this run.
    pub spent: PicoUsd,
}

/// A call that the parent of a fork has made, and what it came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lent {
    /// The call; of a chat request, only the messages behind those that `goes_on` names.
    pub call: Call,
    /// The lent chat request of the same step or item whose messages this one's begin with, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_on: Option<u64>,
    /// Its number among the equal calls of its attempt, from 1.
    pub n: u64,
    /// What a crash would have meant for it.
    pub class: CallClass,
    /// What it returned.
    pub value: Value,
}

/// A call's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// The intent it answers; none for reads, which have none.
    pub intent: Option<u64>,
    /// The call, where no intent has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// Keyed digest of the arguments.
    pub args: Digest,
    /// What came of it.
    #[serde(with = "result_json")]
    pub result: CallResult,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<Spend>,
    /// True inside an open transaction: it counts only if that commits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tentative: bool,
    /// The event whose result this repeats, where an earlier attempt had made the same call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused: Option<u64>,
    /// The approval whose decision this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumes: Option<ApprovalId>,
    /// The row filters that the grant put on what was seen or changed: columns, and digests of the values they had to
    /// have, under the audit key of the store. They say whether it was patient 17 after the run was erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// The call as it was made, where no intent has it and people have changed it. Replay matches `call`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performed: Option<Call>,
    /// A cost that the step reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// Where the message goes that this call has queued, once the step or item has succeeded: the address of a channel,
    /// or [`MAIL`](crate::MAIL).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<String>,
    /// The artifact that the call has made: seen by others from the end of the attempt on, if that succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
}

/// An artifact that a fork has from its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InheritedArtifact {
    /// The item that made it, where its step fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// What it is.
    #[serde(flatten)]
    pub artifact: Artifact,
}

/// A column and the digest of the value it had to have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Filter {
    /// The column, or the parameter of a named statement.
    pub column: String,
    /// Of column and value, under the audit key of the store.
    pub digest: Digest,
}

/// A cost that a step says it has caused: in a cloud, at an API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Of what kind, in the step's words.
    pub kind: String,
    /// How much.
    pub usd: PicoUsd,
    /// For what, in the step's words.
    pub note: String,
    /// How much of it was not there any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overrun: PicoUsd,
}

fn is_zero(amount: &PicoUsd) -> bool {
    *amount == PicoUsd::ZERO
}

/// The messages of a chat request, told by an earlier request of the same step and item: a conversation of n turns
/// costs n messages in the journal, not n squared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// Keyed digest of all messages of this request.
    pub digest: Digest,
    /// The intent of the request whose messages these begin with, and how many they are; the event has those after
    /// them. None: it has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes_on: Option<(u64, u32)>,
}

/// What an approval permits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GateAt {
    /// All attempts of a step.
    #[default]
    Start,
    /// One call.
    Call,
    /// What a step commits: its output, and the rows it has written.
    Commit,
    /// The run.
    Run,
    /// More money for the run.
    TopUp,
    /// A rollback of the run.
    Rollback,
}

impl GateAt {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "it is what serde passes")]
    const fn is_start(&self) -> bool {
        matches!(self, Self::Start)
    }
}

/// A call that an approval stands before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatedCall {
    /// The call as the guest asked for it.
    pub asked: Call,
    /// Keyed digest of the arguments.
    pub args: Digest,
    /// Names the call across crashes and attempts.
    pub key: Digest,
    /// The call as it is to be made, where people have changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performed: Option<Call>,
}

impl GatedCall {
    /// A call as the guest asked for it.
    #[must_use]
    pub const fn new(asked: Call, args: Digest, key: Digest) -> Self {
        Self { asked, args, key, performed: None }
    }

    /// The call as it is to be made.
    #[must_use]
    pub fn to_perform(&self) -> &Call {
        self.performed.as_ref().unwrap_or(&self.asked)
    }

    /// The interface through which a guest returns its output.
    const OUTPUT: &str = "wflo:step/handler";
    /// The interfaces through which a guest claims facts, and returns its output.
    const CLAIMS: [&str; 2] = ["wflo:approval/policy", Self::OUTPUT];

    /// Whether what was asked for is that an output stand.
    pub(crate) fn is_output(asked: &Call) -> bool {
        asked.interface == Self::OUTPUT
    }

    /// Whether it is a claim of the guest, which has no effect of its own: a fact, or its output.
    #[must_use]
    pub fn is_claim(&self) -> bool {
        Self::CLAIMS.contains(&self.asked.interface.as_str())
    }
}

/// What became of a call whose outcome nobody knew, as a person says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resolution {
    /// It was done, and returned this.
    Done {
        /// What the guest gets.
        value: Value,
    },
    /// It was not done; the guest's call is made anew.
    NotDone,
    /// Nobody knows, and nobody will: the step fails, and what it may have done is compensated.
    Compensate,
}

/// What a crash between intent and result means for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallClass {
    /// It only reads: it has no intent and is simply done again.
    Read,
    /// It may be made again; the first may have cost something.
    Repeatable,
    /// It is undone with its transaction, and redone.
    Transactional,
    /// It may be made again under the same key while the other side knows that; unknown afterwards.
    Keyed,
    /// It may be made again: whoever receives it twice can tell.
    Recognisable,
    /// The other side can be asked whether it was done.
    Verifiable,
    /// Nothing tells whether it was done: a person has to.
    Unsafe,
}

impl CallClass {
    /// Whether a crash between intent and result leaves nobody knowing what happened.
    #[must_use]
    pub const fn is_in_doubt(self) -> bool {
        matches!(self, Self::Keyed | Self::Verifiable | Self::Unsafe)
    }

    /// Whether a second attempt is given what the first was answered, instead of making an equal call: what has
    /// happened has happened, and a model need not be paid twice.
    #[must_use]
    pub const fn is_reused(self) -> bool {
        matches!(self, Self::Repeatable | Self::Keyed | Self::Verifiable | Self::Unsafe)
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptEnd {
    /// With an output.
    Succeeded {
        /// The output.
        output: Value,
    },
    /// The guest said it failed.
    Failed(Failure),
    /// The sandbox or the host stopped it.
    Fault(Fault),
    /// What was redone differs from what was recorded, or the database asked for another try; counts as no
    /// attempt.
    Interrupted {
        /// Why.
        message: String,
    },
    /// People decided that the step is left out; those that depend on it go on.
    Skipped {
        /// What they said.
        reason: String,
    },
    /// The run was cancelled, or failed elsewhere, before it ended.
    Cancelled,
    /// The money for its fuel and time was not there, and the workflow says that it fails then.
    Unpaid {
        /// What it needs, and what is left.
        message: String,
    },
}

/// What a parked attempt waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "for", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParkReason {
    /// Money.
    #[error("the next call needs up to {needed_usd} USD and {left_usd} USD are left{}", of_account(.account.as_deref()))]
    Budget {
        /// What the call would hold.
        needed_usd: PicoUsd,
        /// What is left.
        left_usd: PicoUsd,
        /// The account that leaves no more, in words; the run's if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Its journal has another call at this place; nothing was executed.
    #[error("call {ordinal} is not the recorded one: expected {expected}, got {got}")]
    Diverged {
        /// The call's number.
        ordinal: u32,
        /// What the journal has.
        expected: String,
        /// What the guest asked for.
        got: String,
    },
    /// A time.
    #[error("it sleeps until {until}")]
    Timer {
        /// When it is due.
        until: Timestamp,
    },
    /// A call may or may not have been done, and nothing but a person can tell.
    #[error("nobody knows whether `{call}` was done: event {intent} has no outcome")]
    Unknown {
        /// The intent.
        intent: u64,
        /// The call, in words.
        call: String,
    },
}

fn of_account(account: Option<&str>) -> String {
    account.map(|account| format!(" to {account}")).unwrap_or_default()
}

/// For or against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// For.
    Approve,
    /// Against.
    Reject,
}

/// How an approval ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// Everybody who had to has approved.
    Approved,
    /// One who may has rejected.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// The run was cancelled.
    Cancelled,
    /// It was given too long ago, or by somebody who may no longer, nobody decided it in time, or what it was about
    /// was changed: another one stands in its place.
    Superseded,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        })
    }
}

/// What an approval is bound to; its canonical JSON is what the subject's digest is taken over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The step.
    pub step: StepName,
    /// Inputs of the run.
    pub inputs: Map<String, Value>,
    /// Outputs of the steps it depends on directly.
    pub depends_on: std::collections::BTreeMap<StepName, Value>,
    /// The component that would run.
    pub component: Digest,
    /// What it may touch.
    pub grants: wflo_model::Grants,
    /// The most the run may still cost.
    pub budget: Option<PicoUsd>,
}

mod result_json {
    //! `Ok` and `Err` as `{"ok": ..}` and `{"err": ..}`.

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;
    use wflo_model::{CallError, CallResult};

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Out<'a> {
        Ok(&'a Value),
        Err(&'a CallError),
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum In {
        Ok(Value),
        Err(CallError),
    }

    pub(super) fn serialize<S: Serializer>(result: &CallResult, to: S) -> Result<S::Ok, S::Error> {
        match result {
            Ok(value) => Out::Ok(value).serialize(to),
            Err(error) => Out::Err(error).serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<CallResult, D::Error> {
        Ok(match In::deserialize(from)? {
            In::Ok(value) => Ok(value),
            In::Err(error) => Err(error),
        })
    }
}
