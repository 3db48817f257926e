//! Whether and how much of what a transaction changes is kept.

use serde::{Deserialize, Serialize};

/// How large a change set may be. It is held in memory and becomes one event of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeLimits {
    /// Most rows.
    pub rows: usize,
    /// Most bytes of values, before and after together.
    pub bytes: usize,
}

impl Default for ChangeLimits {
    /// 100,000 rows, 16 MiB.
    fn default() -> Self {
        Self { rows: 100_000, bytes: 16 << 20 }
    }
}

/// Whether a transaction keeps what it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// It does not: [`Transaction::changes`](crate::Transaction::changes) is not asked for.
    #[default]
    Off,
    /// It does. A write to a table whose changes cannot be kept is refused.
    On,
}

/// A table whose changes cannot be kept, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncapturable {
    /// The table.
    pub table: String,
    /// Why, in words that follow its name: `has no primary key`.
    pub why: String,
}
