//! What a step may touch in one database.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use serde_json::{Map, Value};

use crate::{RowFilter, StatementName};

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
    /// Tables that may be read, by name as it is written. Whether case matters in it is the database's to say.
    pub read: BTreeMap<String, TableAccess>,
    /// Tables that may be written, by name.
    pub write: BTreeMap<String, TableAccess>,
    /// Named statements that may be called: they reach what they say, whatever tables are listed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub call: BTreeSet<StatementName>,
    /// Every table and column, whatever is listed: for a statement that the host itself brings, such as a named one
    /// of the workflow. It is never read from a file and never written to one, so that no grant can say it.
    #[serde(skip)]
    pub whole: bool,
}

/// Which columns of a table, and which rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableAccess {
    /// All of them.
    All,
    /// These columns of all rows, by name. Rows can then be updated, not inserted or deleted.
    Columns(BTreeSet<String>),
    /// Those rows; all columns of them, or these.
    Rows {
        /// The columns, by name; all if absent. Rows can be inserted and deleted only with all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<BTreeSet<String>>,
        /// The rows.
        #[serde(rename = "where")]
        filter: RowFilter,
    },
}

impl TableAccess {
    /// These columns of these rows; of all where it says none.
    ///
    /// ```
    /// use wflo_model::TableAccess;
    /// assert_eq!(TableAccess::new(None, None), TableAccess::All);
    /// let one = TableAccess::new(None, Some("patient_id = 17".parse().unwrap()));
    /// assert!(TableAccess::All.covers(&one) && !one.covers(&TableAccess::All));
    /// ```
    #[must_use]
    pub fn new(columns: Option<BTreeSet<String>>, filter: Option<RowFilter>) -> Self {
        match (columns, filter) {
            (None, None) => Self::All,
            (Some(columns), None) => Self::Columns(columns),
            (columns, Some(filter)) => Self::Rows { columns, filter },
        }
    }

    /// The columns, by name; none for all of them.
    #[must_use]
    pub const fn columns(&self) -> Option<&BTreeSet<String>> {
        match self {
            Self::All => None,
            Self::Columns(columns) => Some(columns),
            Self::Rows { columns, .. } => columns.as_ref(),
        }
    }

    /// The filter that rows must pass; none for all of them.
    #[must_use]
    pub const fn filter(&self) -> Option<&RowFilter> {
        match self {
            Self::All | Self::Columns(_) => None,
            Self::Rows { filter, .. } => Some(filter),
        }
    }

    /// Whether `column` is one of these. Names are compared without case, as SQL does.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns().is_none_or(|columns| columns.iter().any(|it| it.eq_ignore_ascii_case(column)))
    }

    /// Whether everything `narrower` allows is allowed by this.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        let columns = match (self.columns(), narrower.columns()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => narrow.is_subset(wide),
        };
        let rows = match (self.filter(), narrower.filter()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => wide.covers(narrow),
        };
        columns && rows
    }

    fn widen(&mut self, other: &Self) {
        let columns = match (self.columns(), other.columns()) {
            (Some(mine), Some(theirs)) => Some(mine.union(theirs).cloned().collect()),
            _ => None,
        };
        let filter = match (self.filter(), other.filter()) {
            (Some(mine), Some(theirs)) => mine.widened(theirs),
            _ => None,
        };
        *self = Self::new(columns, filter);
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

    /// Whether `column` of `table` may be read, in some row. Names are compared without case.
    #[must_use]
    pub fn may_read(&self, table: &str, column: &str) -> bool {
        self.whole || of(&self.read, table).is_some_and(|access| access.has(column))
    }

    /// Whether `column` of `table` may be written, in some row. Names are compared without case.
    #[must_use]
    pub fn may_write(&self, table: &str, column: &str) -> bool {
        self.whole || of(&self.write, table).is_some_and(|access| access.has(column))
    }

    /// Whether whole rows of `table` may be inserted and deleted: all, or those that pass its filter.
    #[must_use]
    pub fn may_write_rows(&self, table: &str) -> bool {
        self.whole || of(&self.write, table).is_some_and(|granted| granted.columns().is_none())
    }

    /// The row filters, each with its table: of what may be read, then of what may be written.
    ///
    /// A database that cannot keep a step to some rows must not run a statement with an access that has any.
    pub fn filters(&self) -> impl Iterator<Item = (&str, &RowFilter)> {
        let tables = self.read.iter().chain(&self.write);
        tables.filter_map(|(table, access)| Some((table.as_str(), access.filter()?)))
    }

    /// With the values that a run and an item of a list give the row filters.
    ///
    /// ```
    /// use serde_json::json;
    /// use wflo_model::{DbAccess, TableAccess};
    /// let rows = TableAccess::new(None, Some("patient_id = :inputs.patient".parse().unwrap()));
    /// let access = DbAccess { read: [("visits".to_owned(), rows)].into(), ..DbAccess::default() };
    /// let bound = access.bound(json!({ "patient": 17 }).as_object().unwrap(), None);
    /// assert_eq!(bound.filters().next().unwrap().1.to_string(), "patient_id = 17");
    /// ```
    #[must_use]
    pub fn bound(&self, inputs: &Map<String, Value>, item: Option<&Value>) -> Self {
        let mut bound = self.clone();
        for access in bound.read.values_mut().chain(bound.write.values_mut()) {
            if let TableAccess::Rows { filter, .. } = access {
                *filter = filter.bound(inputs, item);
            }
        }
        bound
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

/// What is granted of a table: by this very name, or else by one that differs in case.
fn of<'a>(granted: &'a BTreeMap<String, TableAccess>, table: &str) -> Option<&'a TableAccess> {
    let alike = || granted.iter().find(|(name, _)| name.eq_ignore_ascii_case(table));
    granted.get(table).or_else(|| alike().map(|(_, access)| access))
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
