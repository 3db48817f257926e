//! Grants for some rows: an attempt has the values that decide which, and what is seen through them is noted.

use serde_json::Value;
use wflo_engine::{Filter, RunState};
use wflo_manifest::PlanStep;
use wflo_model::DbAccess;

use crate::gate::AttemptGate;
use crate::operation::SqlCall;

/// A step as an attempt has it: the row filters of its grants compare with values of this run, and of the item.
pub(crate) fn bound(mut step: PlanStep, state: &RunState, item: Option<&Value>) -> PlanStep {
    if !is_filtered(&step) {
        return step;
    }
    let none = serde_json::Map::new();
    let inputs = state.created().map_or(&none, |created| &created.inputs);
    for access in step.grants.db.values_mut() {
        *access = access.bound(inputs, item);
    }
    step
}

/// Whether some grant of a step is for some rows only.
pub(crate) fn is_filtered(step: &PlanStep) -> bool {
    step.grants.db.values().any(|access| access.filters().next().is_some())
}

impl AttemptGate {
    /// What a statement is shown through: the columns of row filters, and digests of what they must be. It is told of
    /// every table that the statement may name, so that nobody is missing from the answer to "who saw patient 17".
    pub(crate) fn seen_through(&self, sql: &SqlCall) -> Vec<Filter> {
        let (Some(key), false) = (&self.audit_key, sql.is_named) else { return Vec::new() };
        let none = DbAccess::default();
        let access = self.step.grants.db.get(&sql.db).unwrap_or(&none);
        let text = sql.statement.sql.to_ascii_lowercase();
        // A name with a quote in it can be written in more than one way.
        let may_name =
            |table: &str| table.contains(['"', '\'', '`']) || text.contains(&table.to_ascii_lowercase());
        let named = access.filters().filter(|(table, _)| may_name(table));
        let mut filters: Vec<_> = named
            .flat_map(|(_, filter)| filter.values())
            .map(|(column, value)| Filter {
                column: column.to_owned(),
                digest: key.filter(column, &value.to_string()),
            })
            .collect();
        filters.sort_unstable();
        filters.dedup();
        filters
    }
}
