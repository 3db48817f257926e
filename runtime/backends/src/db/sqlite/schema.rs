//! Which names a database has, for what the authorizer is not told.

use std::collections::HashSet;

use rusqlite::Connection;

/// The names of a database at one version of its schema.
#[derive(Debug)]
pub(super) struct Schema {
    version: i64,
    /// Tables and views, by lower-case name.
    relations: HashSet<String>,
    /// Triggers of the owner, by their exact name, that no relation shares and no quoting can spell otherwise.
    triggers: HashSet<String>,
}

impl Schema {
    /// Reads the names, unless `known` is of the same version already. To be called in the transaction in
    /// which the statement will run.
    pub(super) fn read(connection: &Connection, known: Option<&Self>) -> rusqlite::Result<Option<Self>> {
        let version = connection
            .prepare_cached("PRAGMA main.schema_version")?
            .query_row([], |row| row.get::<_, i64>(0))?;
        if known.is_some_and(|known| known.version == version) {
            return Ok(None);
        }
        let mut schema = Self { version, relations: HashSet::new(), triggers: HashSet::new() };
        let mut statement = connection.prepare_cached(
            "SELECT type, name FROM main.sqlite_schema WHERE type IN ('table', 'view', 'trigger')",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
            if kind == "trigger" {
                schema.triggers.insert(name);
            } else {
                schema.relations.insert(name.to_ascii_lowercase());
            }
        }
        let plain =
            |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let Self { relations, triggers, .. } = &mut schema;
        triggers.retain(|name| plain(name) && !relations.contains(&name.to_ascii_lowercase()));
        Ok(Some(schema))
    }

    /// Whether a table or view has this lower-case name.
    pub(super) fn has_relation(&self, name: &str) -> bool {
        self.relations.contains(name)
    }

    /// The lower-case names of all tables and views.
    pub(super) fn relations(&self) -> impl Iterator<Item = &str> {
        self.relations.iter().map(String::as_str)
    }

    /// Whether a trigger that can be told by its name has exactly this one.
    pub(super) fn has_trigger(&self, name: &str) -> bool {
        self.triggers.contains(name)
    }
}
