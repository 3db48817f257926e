//! The words in which a run and its steps are shown.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$case_doc:meta])* $case:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$case_doc])* #[serde(rename = $word)] $case,)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$case => $word,)* })
            }
        }
    };
}

words! {
    /// Where a run stands.
    RunStatus {
        /// Something is being done.
        #[default]
        Running = "running",
        /// At least one approval is open and nothing else can move.
        Waiting = "waiting",
        /// It waits for a timer, money, an unknown outcome, or stopped at a divergence.
        Parked = "parked",
        /// Every step succeeded or was skipped.
        Succeeded = "succeeded",
        /// A step failed.
        Failed = "failed",
        /// Somebody cancelled it.
        Cancelled = "cancelled",
        /// A fork goes on in its place.
        Superseded = "superseded",
        /// What it did is being undone.
        RollingBack = "rolling_back",
        /// All it did is undone.
        RolledBack = "rolled_back",
        /// Some of what it did stays: rows that others have changed since, effects that nothing can undo.
        PartiallyRolledBack = "partially_rolled_back",
        /// A compensator or a database failed.
        RollbackFailed = "rollback_failed",
    }
}

words! {
    /// Where a step stands.
    StepStatus {
        /// It has not begun.
        #[default]
        Pending = "pending",
        /// An attempt is under way, or about to be.
        Running = "running",
        /// An approval is open before it.
        Waiting = "waiting",
        /// Its attempt waits for something other than an approval.
        Parked = "parked",
        /// It has an output.
        Succeeded = "succeeded",
        /// It has none and will have none.
        Failed = "failed",
        /// It was left out.
        Skipped = "skipped",
        /// The run was cancelled before it ended.
        Cancelled = "cancelled",
        /// It had an output, and what it did is undone.
        RolledBack = "rolled_back",
    }
}

impl RunStatus {
    /// Whether nothing can happen to the run any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::Failed
                | Self::Cancelled
                | Self::Superseded
                | Self::RolledBack
                | Self::PartiallyRolledBack
                | Self::RollbackFailed
        )
    }
}

impl StepStatus {
    /// Whether steps that depend on it can go on.
    #[must_use]
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Succeeded | Self::Skipped)
    }
}
