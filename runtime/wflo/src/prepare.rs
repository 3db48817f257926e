//! Databases that steps may write, made ready before anything is read.

use std::collections::BTreeSet;

use wflo_manifest::Plan;
use wflo_model::Label;
use wflo_ports::DbError;

use crate::Outside;

/// A database that steps may write cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("database `{database}`: {source}")]
pub struct NotPrepared {
    /// Which.
    pub database: Label,
    /// What it says.
    pub source: DbError,
}

impl Outside {
    /// Makes the databases ready that steps of a plan may write. Those that are only read stay as they are.
    ///
    /// # Errors
    /// When one of them cannot be written. Its steps then fail when they write.
    pub async fn prepare(&self, plan: &Plan) -> Result<(), NotPrepared> {
        for label in written(plan) {
            if let Some(database) = self.database(label) {
                let failed = |source| NotPrepared { database: label.clone(), source };
                database.prepare().await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// The databases that steps of a plan may write, themselves or by a statement that the plan names.
fn written(plan: &Plan) -> BTreeSet<&Label> {
    let granted = plan.steps.iter().flat_map(|step| &step.grants.db);
    let writing = granted.filter(|(label, access)| {
        let named = plan.statements.get(*label);
        let mut called = access.call.iter().filter_map(|name| named?.get(name));
        !access.write.is_empty() || called.any(|statement| !statement.only_reads())
    });
    writing.map(|(label, _)| label).collect()
}
