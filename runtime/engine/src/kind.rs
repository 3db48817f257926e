//! The kinds of event, and the bytes of their bodies.

use crate::Event;

/// The kinds of event, with the numbers they have on disk for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is documented at the event of the same name")]
pub enum EventKind {
    RunCreated = 1,
    ApprovalOpened = 2,
    Voted = 3,
    ApprovalClosed = 4,
    AttemptStarted = 5,
    Intent = 6,
    Returned = 7,
    Abandoned = 8,
    Denied = 9,
    Logged = 10,
    Committing = 11,
    AttemptEnded = 12,
    Parked = 13,
    Unparked = 14,
    StepEnded = 15,
    RunEnded = 16,
    FannedOut = 17,
    Joined = 18,
    Resolved = 19,
    TimerFired = 20,
    CancelRequested = 21,
    Inherited = 22,
    Superseded = 23,
    Lent = 24,
    Woke = 25,
    PolicyFired = 30,
    Edited = 31,
    RunPermitted = 32,
    ToppedUp = 33,
    BudgetAlert = 34,
    ComputeHeld = 35,
    ComputeCharged = 36,
    RollbackStarted = 40,
    RollbackPlanned = 41,
    Undoing = 42,
    Undone = 43,
    RollbackEnded = 44,
    Reapplied = 45,
}

impl Event {
    /// The kind of this event.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::RunCreated { .. } => EventKind::RunCreated,
            Self::ApprovalOpened { .. } => EventKind::ApprovalOpened,
            Self::Voted { .. } => EventKind::Voted,
            Self::ApprovalClosed { .. } => EventKind::ApprovalClosed,
            Self::AttemptStarted { .. } => EventKind::AttemptStarted,
            Self::Intent { .. } => EventKind::Intent,
            Self::Returned(_) => EventKind::Returned,
            Self::Abandoned { .. } => EventKind::Abandoned,
            Self::Denied { .. } => EventKind::Denied,
            Self::Logged { .. } => EventKind::Logged,
            Self::Committing { .. } => EventKind::Committing,
            Self::AttemptEnded { .. } => EventKind::AttemptEnded,
            Self::Parked { .. } => EventKind::Parked,
            Self::Unparked { .. } => EventKind::Unparked,
            Self::StepEnded { .. } => EventKind::StepEnded,
            Self::RunEnded { .. } => EventKind::RunEnded,
            Self::FannedOut { .. } => EventKind::FannedOut,
            Self::Joined => EventKind::Joined,
            Self::Resolved { .. } => EventKind::Resolved,
            Self::TimerFired => EventKind::TimerFired,
            Self::CancelRequested { .. } => EventKind::CancelRequested,
            Self::Inherited { .. } => EventKind::Inherited,
            Self::Superseded { .. } => EventKind::Superseded,
            Self::Lent(_) => EventKind::Lent,
            Self::Woke { .. } => EventKind::Woke,
            Self::PolicyFired(_) => EventKind::PolicyFired,
            Self::Edited { .. } => EventKind::Edited,
            Self::RunPermitted { .. } => EventKind::RunPermitted,
            Self::ToppedUp { .. } => EventKind::ToppedUp,
            Self::BudgetAlert { .. } => EventKind::BudgetAlert,
            Self::ComputeHeld { .. } => EventKind::ComputeHeld,
            Self::ComputeCharged { .. } => EventKind::ComputeCharged,
            Self::RollbackStarted { .. } => EventKind::RollbackStarted,
            Self::RollbackPlanned { .. } => EventKind::RollbackPlanned,
            Self::Undoing { .. } => EventKind::Undoing,
            Self::Undone { .. } => EventKind::Undone,
            Self::RollbackEnded { .. } => EventKind::RollbackEnded,
            Self::Reapplied { .. } => EventKind::Reapplied,
        }
    }

    /// The bytes of a journal record's body.
    ///
    /// # Panics
    /// Never: an event is JSON by construction.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        serde_json::to_writer(&mut out, self).expect("events have text keys and finite numbers only");
        out
    }

    /// Reads a body back.
    ///
    /// # Errors
    /// When the bytes are not an event this version knows.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnknownKind> {
        serde_json::from_slice(bytes).map_err(|source| UnknownKind { source })
    }
}

/// A body that is no event this version knows: a newer wflo wrote it, or it is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the journal has an event this version cannot read: {source}")]
pub struct UnknownKind {
    source: serde_json::Error,
}
