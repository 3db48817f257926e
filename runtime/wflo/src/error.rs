//! Why the runtime could not do what it was asked.

use std::collections::BTreeSet;

use wflo_engine::{RunStatus, UnitId, VoteRefused};
use wflo_model::{ApprovalId, Digest, Label, PicoUsd, PrincipalName, RunId, StepName};
use wflo_ports::SystemEntropyError;
use wflo_sandbox::{LoadError, Missing};

use crate::attempt::AttemptFailed;
use crate::principal::{NotAuthenticated, NotPermitted};
use crate::run_log::LogFailed;

/// Why a run is not rolled back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotRollable {
    /// It was forked.
    #[error("{}", .by.map_or_else(|| "a fork goes on in its place".to_owned(), |by| format!("its fork `{by}` goes on in its place")))]
    Forked {
        /// The fork, where it is known.
        by: Option<RunId>,
    },
    /// All of it is undone.
    #[error("it is rolled back")]
    RolledBack,
    /// It goes on.
    #[error("it has not ended: it is {status}")]
    NotEnded {
        /// Where it stands.
        status: RunStatus,
    },
    /// A call of it may or may not have been done, and somebody has to say so first.
    #[error("nobody knows whether one of its calls was done: event {intent} has no outcome")]
    Unknown {
        /// The intent of the call, or the commit.
        intent: u64,
    },
    /// A rollback of it waits for people.
    #[error("a rollback of it waits for approval `{approval}`")]
    Waits {
        /// What they are asked.
        approval: ApprovalId,
    },
    /// The step that is to stay has not ended.
    #[error("its step `{step}` has not ended")]
    StepNotEnded {
        /// The step.
        step: StepName,
    },
}

/// Why the runtime could not do what it was asked, cut by what the caller does next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// A component needs what its workflow was not granted; nothing ran.
    #[error("{}", list(.missing))]
    Denied {
        /// What it lacks, each with the grant that would give it.
        missing: Vec<Missing>,
    },
    /// A vote that does not count.
    #[error(transparent)]
    Vote(VoteRefused),
    /// Somebody is not who they say.
    #[error(transparent)]
    NotAuthenticated(#[from] NotAuthenticated),
    /// Too many attempts to prove to be somebody have failed; this one was not looked at.
    #[error("too many attempts to log in as `{name}` have failed")]
    Throttled {
        /// The name given.
        name: PrincipalName,
        /// From when on it is looked at again.
        until: wflo_model::Timestamp,
        /// How long that is from now.
        wait: std::time::Duration,
    },
    /// The role of somebody does not reach that far.
    #[error(transparent)]
    NotPermitted(#[from] NotPermitted),
    /// There is no such principal.
    #[error("there is no principal `{name}`")]
    NoSuchPrincipal {
        /// The name given.
        name: PrincipalName,
    },
    /// There is no such run.
    #[error("there is no run `{run}`")]
    NoSuchRun {
        /// The run.
        run: RunId,
    },
    /// The key that a run was to be started with is that of another.
    #[error("the key `{key}` is that of run `{run}`, {whose}")]
    KeyTaken {
        /// The key.
        key: String,
        /// The run that has it.
        run: RunId,
        /// What tells that run from the one that was to be started, in words.
        whose: String,
    },
    /// There is no such artifact, or it cannot be told which is meant.
    #[error("{why}")]
    NoSuchArtifact {
        /// The run.
        run: RunId,
        /// Which, or why not.
        why: String,
    },
    /// There is no such approval.
    #[error("there is no approval `{id}`")]
    NoSuchApproval {
        /// The approval.
        id: ApprovalId,
    },
    /// The run has ended; nothing can be done about it.
    #[error("run `{run}` has ended: it {status}")]
    Ended {
        /// The run.
        run: RunId,
        /// How.
        status: RunStatus,
    },
    /// The run cannot be forked.
    #[error("run `{run}` cannot be forked: {why}")]
    NotForkable {
        /// The run.
        run: RunId,
        /// Why.
        why: String,
    },
    /// The run cannot be rolled back.
    #[error("run `{run}` cannot be rolled back: {why}")]
    NotRollable {
        /// The run.
        run: RunId,
        /// Why.
        why: NotRollable,
    },
    /// What the run did is being undone; nothing else can be done to it meanwhile.
    #[error("run `{run}` is being rolled back{}", .approval.map(|id| format!(", which waits for approval `{id}`")).unwrap_or_default())]
    RollingBack {
        /// The run.
        run: RunId,
        /// The approval that it waits for, as long as nothing is undone.
        approval: Option<ApprovalId>,
    },
    /// A component could not say what it is made of; nothing of it ran.
    #[error("component `{component}`: {source}")]
    Mute {
        /// Its digest.
        component: Digest,
        /// Why.
        source: wflo_sandbox::DescribeError,
    },
    /// A component could not say which of its steps it can undo.
    #[error("the run cannot be rolled back: {0}")]
    Describe(#[from] wflo_sandbox::DescribeError),
    /// The run was forked before.
    #[error("run `{by}` goes on in its place")]
    Superseded {
        /// The fork.
        by: RunId,
    },
    /// The run cannot be forgotten: forks have what it said.
    #[error("{}", has_forks(.run, .forks))]
    HasForks {
        /// The run.
        run: RunId,
        /// The forks, each made of the one before it.
        forks: Vec<RunId>,
    },
    /// Steps that would begin anew in a fork have had effects.
    #[error("steps of run `{run}` that would begin anew have had effects: {}", .units.iter().map(|unit| format!("`{unit}`")).collect::<Vec<_>>().join(", "))]
    Effects {
        /// The run.
        run: RunId,
        /// The steps and items.
        units: Vec<UnitId>,
    },
    /// No call whose outcome is unknown has that number.
    #[error("event {intent} of run `{run}` is no call whose outcome is unknown")]
    NotUnknown {
        /// The run.
        run: RunId,
        /// The number given.
        intent: u64,
    },
    /// A value that the call could not have returned.
    #[error("`{call}` does not return that: {why}")]
    NotAnAnswer {
        /// The call.
        call: String,
        /// Why.
        why: String,
    },
    /// What an approval was to be changed to cannot be.
    #[error("what is decided on cannot be changed to that: {why}")]
    BadEdit {
        /// Why.
        why: String,
    },
    /// A budget is not raised by that much.
    #[error("a budget is raised by more than nothing, and not by {amount} USD")]
    BadAmount {
        /// The amount given.
        amount: PicoUsd,
    },
    /// Nobody can be asked for more money for the run.
    #[error("run `{run}` cannot be given more money: {why}")]
    NoTopUp {
        /// The run.
        run: RunId,
        /// Why.
        why: String,
    },
    /// The store knows a principal of that name.
    #[error("there is a principal `{name}` already")]
    PrincipalExists {
        /// The name.
        name: PrincipalName,
    },
    /// A component of the plan was not given.
    #[error("component `{component}` was not given")]
    NoComponent {
        /// Its digest.
        component: Digest,
    },
    /// The plan of a run is of a version this wflo cannot read.
    #[error("plan `{plan}` cannot be read: {source}")]
    BadPlan {
        /// Its digest.
        plan: Digest,
        /// Why.
        source: serde_json::Error,
    },
    /// A component does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// An attempt could not be brought to an end; the run can be resumed.
    #[error(transparent)]
    Attempt(#[from] AttemptFailed),
    /// The log of a run failed.
    #[error(transparent)]
    Log(#[from] LogFailed),
    /// The store could not be read.
    #[error(transparent)]
    Journal(wflo_journal::ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] wflo_journal::AppendError),
    /// A plan or a component could not be kept, or is no longer there.
    #[error(transparent)]
    Content(#[from] wflo_journal::BlobError),
    /// Runs could not be dropped or erased.
    #[error(transparent)]
    Prune(#[from] wflo_journal::PruneError),
    /// No checkpoint of the audit could be made, or no key rotated.
    #[error(transparent)]
    Checkpoint(#[from] wflo_journal::CheckpointError),
    /// The system has no randomness.
    #[error(transparent)]
    Entropy(#[from] SystemEntropyError),
    /// A test does not fit the workflow it is of.
    #[error("{why}")]
    BadTest {
        /// Why not.
        why: String,
    },
    /// No test can be made of an attempt.
    #[error("no test can be made of step `{step}`: {why}")]
    NotRecordable {
        /// The step.
        step: StepName,
        /// Why.
        why: String,
    },
    /// A test would have labelled data as plain text.
    #[error("step `{step}` handles data labelled {}, which a test would have as plain text", quoted(.labels))]
    Labelled {
        /// The step.
        step: StepName,
        /// The labels.
        labels: BTreeSet<Label>,
    },
    /// A run has no step of that name.
    #[error("run `{run}` has no step `{step}`")]
    NoSuchStep {
        /// The run.
        run: RunId,
        /// The step.
        step: StepName,
    },
    /// wflo is wrong about something.
    #[error("a bug in wflo: {message}")]
    Bug {
        /// What.
        message: String,
    },
}

impl From<wflo_journal::ReadError> for RuntimeError {
    fn from(error: wflo_journal::ReadError) -> Self {
        match error {
            wflo_journal::ReadError::UnknownRun { run } => Self::NoSuchRun { run },
            error => Self::Journal(error),
        }
    }
}

fn quoted(labels: &BTreeSet<Label>) -> String {
    labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ")
}

fn has_forks(run: &RunId, forks: &[RunId]) -> String {
    let names: Vec<_> = forks.iter().map(|fork| format!("`{fork}`")).collect();
    match &names[..] {
        [fork] => format!("run {fork} is forked from run `{run}` and has what it said"),
        _ => format!("runs {} are forked from run `{run}` and have what it said", names.join(", ")),
    }
}

fn list(missing: &[Missing]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
