//! Which runs can go on: what `wflo resume` without a run goes on with.

use serde::{Deserialize, Serialize};
use wflo_engine::RunStatus;
use wflo_model::RunId;

use crate::{Runtime, RuntimeError};

/// The runs that can go on, and what the others stand at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Resumable {
    /// Those that a crash or a signal interrupted, that somebody has decided about, or whose timer is due; oldest
    /// first.
    pub runs: Vec<RunId>,
    /// How many wait for a decision.
    pub waiting: u64,
    /// How many are parked, and not for a timer that is due.
    pub parked: u64,
}

impl Runtime {
    /// The runs whose timer is due now, soonest first, at most `limit`. Costs one look into an index.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn due(&self, limit: usize) -> Result<Vec<RunId>, RuntimeError> {
        Ok(self.journal().due(self.now(), limit).await?)
    }

    /// The runs that can go on now. No event of a run is read for it, and nothing of those that have ended: a timer is
    /// found by the time it is due, and where a run stands is in its row.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn resumable(&self) -> Result<Resumable, RuntimeError> {
        let mut found =
            Resumable { runs: self.journal().due(self.now(), usize::MAX).await?, ..Resumable::default() };
        let due: std::collections::HashSet<RunId> = found.runs.iter().copied().collect();
        for run in self.unfinished().await? {
            if due.contains(&run) {
                continue;
            }
            let head = self.journal().head(run).await?;
            match self.summary(&head.summary)?.status {
                RunStatus::Waiting => found.waiting += 1,
                RunStatus::Parked => found.parked += 1,
                _ => found.runs.push(run),
            }
        }
        found.runs.sort_unstable();
        Ok(found)
    }
}
