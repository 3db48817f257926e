//! What a step may touch in one database.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::StatementName;

/// The tables and columns of one database that a step may read and write. Nothing is allowed that is not
/// listed.
///
/// Writing does not include the reads that a `WHERE` or a `RETURNING` makes: those need `read`.
///
/// ```
/// use wflo_model::{DbAccess, TableAccess};
/// let access = DbAccess { read: [("transactions".to_owned(), TableAccess::All)].into(), ..DbAccess::default() };
/// assert!(access.may_read("TRANSACTIONS", "amount"));
/// assert!(!access.may_read("accounts", "id"));
/// assert!(!access.may_write("transactions", "amount"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbAccess {
    /// Tables that may be read, by lower-case name.
    pub read: BTreeMap<String, TableAccess>,
    /// Tables that may be written, by lower-case name.
    pub write: BTreeMap<String, TableAccess>,
    /// Named statements that may be called: they reach what they say, whatever tables are listed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub call: BTreeSet<StatementName>,
    /// Every table and column, whatever is listed: for a statement that the host itself brings, such as a named one
    /// of the workflow. It is never read from a file and never written to one, so that no grant can say it.
    #[serde(skip)]
    pub whole: bool,
}

/// Which columns of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableAccess {
    /// All of them.
    All,
    /// These, by lower-case name. Rows can then be updated, not inserted or deleted.
    Columns(BTreeSet<String>),
}

impl TableAccess {
    /// Whether `column` is one of these. Names are compared without case, as SQL does.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Columns(columns) => columns.contains(&column.to_ascii_lowercase()),
        }
    }

    /// Whether everything `narrower` allows is allowed by this.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (Self::All, _) => true,
            (Self::Columns(_), Self::All) => false,
            (Self::Columns(wide), Self::Columns(narrow)) => narrow.is_subset(wide),
        }
    }

    fn widen(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Columns(mine), Self::Columns(theirs)) => mine.extend(theirs.iter().cloned()),
            _ => *self = Self::All,
        }
    }
}

impl DbAccess {
    /// Every table and column: what a statement of the host's own is run with.
    ///
    /// ```
    /// use wflo_model::DbAccess;
    /// assert!(DbAccess::whole().may_write_rows("refunds"));
    /// assert_eq!(serde_json::to_string(&DbAccess::whole()).unwrap(), r#"{"read":{},"write":{}}"#);
    /// ```
    #[must_use]
    pub fn whole() -> Self {
        Self { whole: true, ..Self::default() }
    }

    /// Whether `column` of `table` may be read.
    #[must_use]
    pub fn may_read(&self, table: &str, column: &str) -> bool {
        self.whole || self.read.get(&table.to_ascii_lowercase()).is_some_and(|access| access.has(column))
    }

    /// Whether `column` of `table` may be written.
    #[must_use]
    pub fn may_write(&self, table: &str, column: &str) -> bool {
        self.whole || self.write.get(&table.to_ascii_lowercase()).is_some_and(|access| access.has(column))
    }

    /// Whether whole rows of `table` may be inserted and deleted.
    #[must_use]
    pub fn may_write_rows(&self, table: &str) -> bool {
        self.whole || self.write.get(&table.to_ascii_lowercase()) == Some(&TableAccess::All)
    }

    /// Whether the named statement may be called.
    #[must_use]
    pub fn may_call(&self, statement: &str) -> bool {
        self.call.contains(statement)
    }

    /// Whether everything `narrower` allows is allowed by this.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        let within = |wide: &BTreeMap<String, TableAccess>, narrow: &BTreeMap<String, TableAccess>| {
            narrow.iter().all(|(table, access)| wide.get(table).is_some_and(|wide| wide.covers(access)))
        };
        let tables =
            !narrower.whole && within(&self.read, &narrower.read) && within(&self.write, &narrower.write);
        (self.whole || tables) && narrower.call.is_subset(&self.call)
    }

    /// Adds what `other` allows.
    pub fn widen(&mut self, other: &Self) {
        self.whole |= other.whole;
        self.call.extend(other.call.iter().cloned());
        for (mine, theirs) in [(&mut self.read, &other.read), (&mut self.write, &other.write)] {
            for (table, access) in theirs {
                mine.entry(table.clone())
                    .and_modify(|mine| mine.widen(access))
                    .or_insert_with(|| access.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DbAccess;

    #[test]
    fn a_statement_is_called_where_it_is_granted_and_opens_no_table() {
        let call = |names: &[&str]| DbAccess {
            call: names.iter().map(|name| name.parse().unwrap()).collect(),
            ..DbAccess::default()
        };
        let mut access = call(&["refund"]);
        assert!(access.may_call("refund") && !access.may_call("Refund"));
        assert!(!access.may_read("refund", "id") && !access.may_write_rows("refund"));
        assert!(access.covers(&DbAccess::default()) && !DbAccess::default().covers(&access));
        assert!(!access.covers(&call(&["refund", "pay"])));
        access.widen(&call(&["pay"]));
        assert!(access.covers(&call(&["refund", "pay"])));
        // What has no statements is written as before.
        assert_eq!(serde_json::to_string(&DbAccess::default()).unwrap(), r#"{"read":{},"write":{}}"#);
    }
}
