//! What the authorizer knows of the row filters that are in force.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::hooks::{AuthAction, AuthContext};

use super::stage::Stage;

/// Which tables a statement meets as something of ours, and what that is called.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    /// Begins every name of ours that is not a table's own.
    prefix: String,
    /// The tables of which some rows may be read, by lower-case name, and the name through which they come.
    reads: BTreeMap<String, String>,
    /// The tables of which some rows may be read or written.
    tables: BTreeSet<String>,
    /// Those that are met as a temporary table, and the columns of their keys.
    staged: BTreeMap<String, BTreeSet<String>>,
    /// The table to which the host carries over what a statement did to its stage.
    applies: Option<String>,
}

impl Fence {
    pub(super) const fn new(
        prefix: String,
        reads: BTreeMap<String, String>,
        tables: BTreeSet<String>,
    ) -> Self {
        Self { prefix, reads, tables, staged: BTreeMap::new(), applies: None }
    }

    /// The name through which the rows of a table come.
    pub(super) fn inner(&self, table: &str) -> Option<&str> {
        self.reads.get(table).map(String::as_str)
    }

    /// A table is met as this one.
    pub(super) fn stage(&mut self, stage: &Stage) {
        self.staged.insert(stage.table().to_owned(), stage.key());
    }

    /// For statements of the host that carry over to `table` what was done to its stage. They are judged by the step's
    /// grants where they reach further, as foreign keys do.
    pub(super) fn applying(mut self, table: &str) -> Self {
        self.applies = Some(table.to_owned());
        self
    }

    /// Whether a text has a name of ours in it.
    pub(super) fn is_named_in(&self, sql: &str) -> bool {
        self.applies.is_none() && sql.to_ascii_lowercase().contains(&self.prefix)
    }

    /// What is told of an error, without names of ours.
    pub(super) fn without_names(&self, message: &str) -> Option<String> {
        message
            .to_ascii_lowercase()
            .contains(&self.prefix)
            .then(|| "the rows that the step may see could not be found".to_owned())
    }

    /// Whether this is asked on behalf of what stands for a table, and not of the statement.
    pub(super) fn is_own(&self, asked: &AuthContext<'_>) -> bool {
        let (AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Delete { table_name }
        | AuthAction::Update { table_name, .. }) = asked.action
        else {
            return false;
        };
        let is_read = matches!(asked.action, AuthAction::Read { .. });
        let name = table_name.to_ascii_lowercase();
        let is_applied = self.applies.as_ref() == Some(&name);
        match asked.database_name {
            Some("temp") | None if is_read && name.starts_with(&self.prefix) => true,
            Some("temp") => is_read && is_applied,
            Some("main") if is_applied => true,
            Some("main") if is_read => {
                self.reads.get(&name).is_some_and(|inner| asked.accessor == Some(inner.as_str()))
            }
            _ => false,
        }
    }

    /// Whether a temporary thing is what stands for a table, and can be used so.
    pub(super) fn stands_for(&self, action: &AuthAction<'_>) -> bool {
        match action {
            AuthAction::Read { table_name, .. } => {
                let name = table_name.to_ascii_lowercase();
                self.reads.contains_key(&name) || self.staged.contains_key(&name)
            }
            AuthAction::Insert { table_name }
            | AuthAction::Delete { table_name }
            | AuthAction::Update { table_name, .. } => {
                self.staged.contains_key(&table_name.to_ascii_lowercase())
            }
            _ => false,
        }
    }

    /// Whether only some rows of a table may be read, so that the table itself is closed. To what the host carries over
    /// it is open: a foreign key looks for one key, and nothing else is told of it.
    pub(super) fn hides(&self, table: &str) -> bool {
        self.applies.is_none() && self.reads.contains_key(table)
    }

    /// Whether only some rows of a table may be touched, so that nothing is written to the table itself.
    pub(super) fn guards(&self, table: &str) -> bool {
        self.tables.contains(table)
    }

    /// Whether a column is of the key by which rows are carried over.
    pub(super) fn is_key(&self, table: &str, column: &str) -> bool {
        self.staged.get(table).is_some_and(|key| key.contains(&column.to_ascii_lowercase()))
    }
}
