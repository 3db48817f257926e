//! Inserting many rows at a time.

use async_trait::async_trait;
use wflo_model::SqlValue;

use super::DbError;

/// Where rows go.
///
/// ```
/// use wflo_ports::BulkInsert;
/// let into = BulkInsert { table: "people".into(), columns: vec!["id".into(), "na\"me".into()] };
/// assert_eq!(into.sql(), r#"INSERT INTO "people" ("id", "na""me") VALUES (?1, ?2)"#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkInsert {
    /// The table.
    pub table: String,
    /// The columns that each row has values for, in that order; at least one.
    pub columns: Vec<String>,
}

impl BulkInsert {
    /// The statement that inserts one row, its parameters numbered as SQLite has them.
    #[must_use]
    pub fn sql(&self) -> String {
        let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
        let columns: Vec<_> = self.columns.iter().map(quoted).collect();
        let values: Vec<_> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
        format!("INSERT INTO {} ({}) VALUES ({})", quoted(&self.table), columns.join(", "), values.join(", "))
    }
}

/// Rows on their way, some at a time, so that there may be more of them than there is memory.
#[async_trait]
pub trait RowSource: Send {
    /// The next rows, each with a value for each column; none at the end.
    ///
    /// # Errors
    /// [`DbError::Invalid`] for a row that cannot be read, with its place.
    async fn next(&mut self) -> Result<Option<Vec<Vec<SqlValue>>>, DbError>;

    /// Hears that the database does not take a row, or one of its batch, before the error says why: the how manieth, from
    /// 0, of all that it was given. A source that knows more of its rows than that notes it; this one does not.
    fn refused(&mut self, row: u64) {
        let _ = row;
    }
}
