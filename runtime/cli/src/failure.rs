//! What ends a command other than well, and with which exit code.

use std::fmt;

use serde::{Deserialize, Serialize};
use wflo::{AttemptFailed, NotRollable, RunStatus, RunView, RuntimeError};
use wflo_model::RunId;

use crate::terminal;

/// What somebody does who is not known.
pub(crate) const WHO_HINT: &str =
    "`--as NAME` names you, and the token `wflo identity add` printed goes into `WFLO_TOKEN`";

/// What to do when the disk is full.
pub(crate) const FULL_HINT: &str =
    "make room on the disk of the state folder; then `wflo resume` goes on: nothing that was done is lost";

/// The hint for a failure that says, in the words of the system or of the database, that there is no room.
pub(crate) fn full(message: &str) -> Option<&'static str> {
    ["No space left on device", "Disk quota exceeded", "File too large", "database or disk is full"]
        .iter()
        .any(|words| message.contains(words))
        .then_some(FULL_HINT)
}

/// The exit codes of `wflo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub(crate) enum Code {
    Succeeded = 0,
    RunFailed = 1,
    Usage = 2,
    Denied = 3,
    NotFound = 4,
    ApprovalOpen = 10,
    Parked = 11,
    Bug = 70,
    /// Stopped by Ctrl-C: 128 and the signal's number, as shells have it.
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

impl Code {
    /// Whether a signal is why.
    pub(crate) const fn is_interrupted(self) -> bool {
        matches!(self, Self::Interrupted | Self::Terminated)
    }

    /// The one that asks more of whoever reads it, where a command ends with several.
    pub(crate) fn worse(self, other: Self) -> Self {
        const BY_WEIGHT: [Code; 10] = [
            Code::Succeeded,
            Code::ApprovalOpen,
            Code::Parked,
            Code::RunFailed,
            Code::NotFound,
            Code::Denied,
            Code::Usage,
            Code::Bug,
            Code::Interrupted,
            Code::Terminated,
        ];
        let weight = |code| BY_WEIGHT.iter().position(|it| *it == code);
        if weight(other) > weight(self) { other } else { self }
    }

    /// The code that says where a run stands.
    pub(crate) const fn of(run: &RunView) -> Self {
        match run.status {
            RunStatus::Succeeded => Self::Succeeded,
            RunStatus::Waiting => Self::ApprovalOpen,
            RunStatus::Parked => Self::Parked,
            RunStatus::Failed
            | RunStatus::Cancelled
            | RunStatus::Superseded
            | RunStatus::RolledBack
            | RunStatus::PartiallyRolledBack
            | RunStatus::RollbackFailed => Self::RunFailed,
            // Accepted, and left for somebody to drive.
            RunStatus::Running | RunStatus::RollingBack => Self::Succeeded,
            _ => Self::Bug,
        }
    }
}

/// Why a command ended, what to do next, and the exit code.
///
/// It travels: what fails in the process that holds the store ends the command that asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn new(code: Code, message: impl fmt::Display) -> Self {
        // A component may have said it, or a server.
        Self { code, message: format!("error: {}", terminal::tame_text(&message.to_string())), hint: None }
    }

    /// Text that is rendered already: diagnostics.
    pub(crate) const fn rendered(code: Code, message: String) -> Self {
        Self { code, message, hint: None }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn bug(message: impl fmt::Display) -> Self {
        Self::new(Code::Bug, message)
    }

    /// Whether a signal is why.
    pub(crate) const fn is_interrupted(&self) -> bool {
        self.code.is_interrupted()
    }

    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(terminal::tame_text(&hint.to_string()));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.trim_end())?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<RuntimeError> for Failure {
    fn from(error: RuntimeError) -> Self {
        match &error {
            RuntimeError::Denied { .. } => Self::new(Code::Denied, &error)
                .hint(
                    "add the grant to the step that needs it, or take the import out of the component: of one in Python, \
                     `wflo build` takes what is not granted any more",
                ),
            RuntimeError::Vote(_) => Self::new(Code::Denied, &error),
            RuntimeError::NotAuthenticated(_) => Self::new(Code::Denied, &error).hint(WHO_HINT),
            RuntimeError::NotPermitted(_) => Self::new(Code::Denied, &error),
            RuntimeError::Throttled { until, .. } => {
                Self::new(Code::Denied, &error).hint(format!("try again after {until}"))
            }
            RuntimeError::PrincipalExists { .. } => Self::usage(&error),
            RuntimeError::KeyTaken { .. } => Self::usage(&error)
                .hint("a key stands for one run: give another for another run, or the same inputs to find that one"),
            RuntimeError::NoSuchPrincipal { .. } => Self::new(Code::NotFound, &error)
                .hint("`wflo identity list` lists those there are; a token that stands in `wflo.toml` is changed there"),
            RuntimeError::Load(_) | RuntimeError::Mute { .. } | RuntimeError::NoComponent { .. } => Self::usage(&error),
            RuntimeError::NoSuchRun { .. } => {
                Self::new(Code::NotFound, &error).hint("`wflo runs` lists those there are")
            }
            RuntimeError::HasForks { .. } => {
                Self::usage(&error).hint("erase the fork first, of several the newest")
            }
            RuntimeError::Journal(wflo_journal::ReadError::Erased { .. })
            | RuntimeError::Write(wflo_journal::AppendError::Erased { .. })
            | RuntimeError::Log(wflo::LogFailed::Append(wflo_journal::AppendError::Erased { .. })) => {
                Self::new(Code::NotFound, &error)
                    .hint("only `wflo audit export` and `wflo audit report` still know it")
            }
            RuntimeError::Effects { .. } => Self::new(Code::Denied, &error)
                .hint("fork after them, or give `--keep` if they may happen twice"),
            RuntimeError::NotRollable { run, why } => Self::usage(&error).hint(instead(*run, why)),
            RuntimeError::RollingBack { run, approval: None } => {
                Self::usage(&error).hint(format!("`wflo resume {run}` goes on with it"))
            }
            RuntimeError::RollingBack { approval: Some(id), .. } => Self::usage(&error).hint(format!(
                "nothing is undone yet: whoever asked for it can withdraw it with `wflo cancel`, and `wflo reject {id}` by \
                 one of those who are asked leaves the run as it is"
            )),
            RuntimeError::Describe(_) => Self::usage(&error),
            RuntimeError::NotForkable { .. } | RuntimeError::Superseded { .. } => Self::usage(&error),
            RuntimeError::Ended { .. }
            | RuntimeError::Prune(
                wflo_journal::PruneError::Unfinished { .. } | wflo_journal::PruneError::Erased { .. },
            ) => Self::usage(&error),
            RuntimeError::NotAnAnswer { .. } => Self::usage(&error)
                .hint("an answer over HTTP is such as `{\"status\": 200, \"body\": \"...\"}`"),
            RuntimeError::BadEdit { .. } => Self::usage(&error)
                .hint("`wflo approvals show ID --json` has what is decided on, and why people are asked"),
            RuntimeError::BadAmount { .. } => Self::usage(&error).hint("`wflo top-up RUN 5` asks for 5 USD more"),
            RuntimeError::NoTopUp { .. } => Self::new(Code::Denied, &error).hint(
                "`budget_usd` and `budget_approvers` in `[workflow]` say how much, and who may raise it",
            ),
            RuntimeError::NotUnknown { .. } => Self::new(Code::NotFound, &error)
                .hint("`wflo show RUN` says which calls are unknown, with their numbers"),
            RuntimeError::NoSuchArtifact { .. } => {
                Self::new(Code::NotFound, &error).hint("`wflo artifact list RUN` lists those there are")
            }
            RuntimeError::NoSuchApproval { .. } => {
                Self::new(Code::NotFound, &error).hint("`wflo approvals` lists those that are open")
            }
            RuntimeError::NoSuchStep { .. } => {
                Self::new(Code::NotFound, &error).hint("`wflo show RUN` lists those there are")
            }
            RuntimeError::BadTest { .. } => Self::usage(&error),
            RuntimeError::NotRecordable { .. } => Self::usage(&error)
                .hint("`wflo show RUN` lists the steps of a run, and how their attempts have ended"),
            RuntimeError::Labelled { .. } => Self::new(Code::Denied, &error)
                .hint("`--labelled` makes it all the same; whoever reads the file then reads the data"),
            _ if full(&error.to_string()).is_some() => Self::bug(&error).hint(FULL_HINT),
            RuntimeError::Attempt(
                AttemptFailed::Away { .. } | AttemptFailed::Commit { .. } | AttemptFailed::NotCommitted { .. },
            ) => Self::new(Code::Parked, &error).hint("`wflo resume` goes on where the run was"),
            RuntimeError::Attempt(_) => Self::bug(&error).hint("`wflo resume` goes on where the run was"),
            _ => Self::bug(&error),
        }
    }
}

/// What can be done with a run that is not rolled back.
fn instead(run: RunId, why: &NotRollable) -> String {
    match why {
        NotRollable::Forked { by: Some(by) } => {
            format!("`wflo rollback {by}` undoes also what the fork has from this run")
        }
        NotRollable::Forked { by: None } => {
            "roll the fork back: that undoes also what it has from this run".into()
        }
        NotRollable::RolledBack => format!("nothing is left to undo; `wflo show {run}` says what was undone"),
        NotRollable::NotEnded { status: RunStatus::RollingBack } => {
            format!("`wflo resume {run}` goes on with the rollback under way")
        }
        NotRollable::Unknown { intent } => format!(
            "say what became of it with `wflo resolve {run} {intent}` and `--done VALUE`, `--not-done` or `--compensate`: only then \
             the run can end, also one that is cancelled"
        ),
        NotRollable::Waits { approval } => format!("`wflo approvals show {approval}` says who is asked"),
        NotRollable::StepNotEnded { .. } => format!("`wflo show {run}` lists the steps that have"),
        _ => format!("`wflo show {run}` says where it stands; `wflo cancel {run}` ends it"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Failure};

    #[test]
    fn the_codes_are_those_of_the_readme() {
        let codes = [Code::Succeeded, Code::RunFailed, Code::Usage, Code::Denied, Code::NotFound];
        assert_eq!(codes.map(|code| code as u8), [0, 1, 2, 3, 4]);
        assert_eq!([Code::ApprovalOpen, Code::Parked, Code::Bug].map(|code| code as u8), [10, 11, 70]);
        assert_eq!([Code::Interrupted, Code::Terminated].map(|code| code as u8), [130, 143]);
    }

    #[test]
    fn of_several_codes_the_worst_is_told() {
        let worst = |codes: &[Code]| codes.iter().copied().reduce(Code::worse);
        assert_eq!(worst(&[Code::Succeeded, Code::Succeeded]), Some(Code::Succeeded));
        assert_eq!(worst(&[Code::Parked, Code::RunFailed, Code::ApprovalOpen]), Some(Code::RunFailed));
        assert_eq!(worst(&[Code::Bug, Code::Succeeded, Code::Usage]), Some(Code::Bug));
    }

    #[test]
    fn a_hint_has_its_own_line() {
        assert_eq!(Failure::usage("no").hint("yes").to_string(), "error: no\nhint: yes");
    }
}
