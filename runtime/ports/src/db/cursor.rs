//! Results that are read a part at a time.

use async_trait::async_trait;
use wflo_model::SqlValue;

use super::DbError;

/// A result that is read a part at a time, all of it from one snapshot: that in which it was opened. Dropping it ends it.
#[async_trait]
pub trait Cursor: Send {
    /// The names of its columns.
    fn columns(&self) -> &[String];

    /// The next rows, at least one and at most `rows`, and no more when they have `bytes` bytes; none at the end.
    ///
    /// # Errors
    /// When the database fails; the cursor is of no use then.
    async fn next(&mut self, rows: usize, bytes: usize) -> Result<Vec<Vec<SqlValue>>, DbError>;

    /// Whether it may be kept while nothing is read from it. It holds a connection, and where too many of those are held
    /// already, it is to be dropped after each part and opened again for the next.
    fn may_stay(&self) -> bool;
}
