//! Results that are read a part at a time: `wflo:db/sql.page`.
//!
//! All parts of a result are of one snapshot, which a cursor holds between them. A crash or a wait takes it away, and so do
//! others who need its connection. Then the statement is run again, and what was read before is held against what was told
//! of it: where that is the same, it goes on as if nothing had been; else the attempt is interrupted, as one is whose
//! statements come to something else in a redo.

use serde::Deserialize;
use serde_json::Value;
use wflo_engine::Returned;
use wflo_host_api::Stop;
use wflo_model::{CallResult, DbAccess, Digest, Label, SqlRows, SqlValue, canonical};
use wflo_ports::{Cursor, Database, DbError, QueryLimits, Statement};

use crate::gate::{AttemptGate, returned};
use crate::operation::{SqlCall, database, db_error};
use crate::player::Asked;

/// Most bytes of a part.
const PART_BYTES: usize = 4 << 20;

/// Rows that are read at once where they are only held against what was told.
const SKIPPED: usize = 10_000;

/// Results that an attempt may hold open. Of more, those that were not asked for longest are opened again when they are.
const MOST_OPEN: usize = 4;

/// A call of `wflo:db/sql.page`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct PageCall {
    #[serde(flatten)]
    pub(crate) sql: SqlCall,
    /// The number of the first row.
    pub(crate) from: u64,
    /// Most rows.
    pub(crate) most: u32,
}

/// The results that an attempt reads a part at a time, the one asked for last at the end.
#[derive(Default)]
pub(crate) struct Pages(Vec<Page>);

/// One of them.
struct Page {
    db: Label,
    statement: Statement,
    columns: Vec<String>,
    so_far: SoFar,
    /// Whether there is nothing more.
    is_over: bool,
    /// None where it is to be opened again.
    cursor: Option<Box<dyn Cursor>>,
}

/// What was told of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SoFar {
    rows: u64,
    digest: Digest,
}

impl SoFar {
    const NOTHING: Self = Self { rows: 0, digest: Digest::ZERO };

    fn add(&mut self, rows: &[Vec<SqlValue>]) {
        for row in rows {
            let bytes = canonical(&row).expect("values have text keys and no JSON numbers");
            self.digest = Digest::of_parts(&[b"wflo rows so far", self.digest.as_bytes(), &bytes]);
        }
        self.rows += rows.len() as u64;
    }
}

impl Page {
    fn is_of(&self, call: &SqlCall) -> bool {
        self.db == call.db && self.statement == call.statement
    }

    fn begun(call: &SqlCall, columns: Vec<String>) -> Self {
        let (db, statement) = (call.db.clone(), call.statement.clone());
        Self { db, statement, columns, so_far: SoFar::NOTHING, is_over: false, cursor: None }
    }

    fn add(&mut self, rows: &[Vec<SqlValue>]) {
        self.is_over = rows.is_empty();
        self.so_far.add(rows);
    }

    /// The next part.
    async fn next(
        &mut self,
        database: &dyn Database,
        access: &DbAccess,
        most: u32,
    ) -> Result<Vec<Vec<SqlValue>>, DbError> {
        if self.is_over {
            return Ok(Vec::new());
        }
        // A connection that was lost since is no reason to give up: it is opened again once.
        if let Some(mut cursor) = self.cursor.take() {
            match cursor.next(most as usize, PART_BYTES).await {
                Ok(rows) => {
                    self.cursor = Some(cursor);
                    return Ok(rows);
                }
                Err(DbError::Unavailable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let mut cursor = database.cursor(&self.statement, access, QueryLimits::default().time).await?;
        let mut again = SoFar::NOTHING;
        while again.rows < self.so_far.rows {
            let left = usize::try_from(self.so_far.rows - again.rows).unwrap_or(usize::MAX);
            let rows = cursor.next(left.min(SKIPPED), PART_BYTES).await?;
            if rows.is_empty() {
                break;
            }
            again.add(&rows);
        }
        if again != self.so_far {
            return Err(DbError::Interrupted(
                "a result that was read in part is another one since, and its snapshot is gone".into(),
            ));
        }
        self.columns = cursor.columns().to_vec();
        let rows = cursor.next(most as usize, PART_BYTES).await?;
        self.cursor = Some(cursor);
        Ok(rows)
    }
}

impl Pages {
    /// Notes what a part came to that the journal has.
    pub(crate) fn told(&mut self, call: &PageCall, rows: &Value) {
        let Ok(SqlRows { columns, rows }) = SqlRows::deserialize(rows) else { return };
        let at = match self.at(call) {
            Some(at) => at,
            None => self.begin(&call.sql, columns),
        };
        if self.0[at].so_far.rows == call.from {
            self.0[at].add(&rows);
        }
    }

    /// The result that a part is of; none where it is the first of it.
    fn at(&self, call: &PageCall) -> Option<usize> {
        self.0.iter().position(|page| page.is_of(&call.sql)).filter(|_| call.from > 0)
    }

    /// Begins a result, in the place of one of the same statement.
    fn begin(&mut self, call: &SqlCall, columns: Vec<String>) -> usize {
        self.0.retain(|page| !page.is_of(call));
        self.0.push(Page::begun(call, columns));
        self.0.len() - 1
    }

    /// Reads a part. `may_begin` says whether a result can be begun.
    async fn next(
        &mut self,
        call: &PageCall,
        database: &dyn Database,
        access: &DbAccess,
        may_begin: bool,
    ) -> Result<SqlRows, DbError> {
        let at = match self.at(call) {
            Some(at) => at,
            None if call.from > 0 => {
                return Err(DbError::Invalid(
                    "a result is read from row 0 on, one part after another".into(),
                ));
            }
            None if !may_begin => {
                return Err(DbError::Invalid(
                    "the step has written to this database, and a result can be read in parts only if that was begun \
                     before; begin with it, or page with `LIMIT` by `query`"
                        .into(),
                ));
            }
            None => self.begin(&call.sql, Vec::new()),
        };
        let mut page = self.0.remove(at);
        if page.so_far.rows != call.from {
            let wanted = page.so_far.rows;
            self.0.push(page);
            return Err(DbError::Invalid(format!(
                "the next part of this result begins with row {wanted}, not with row {}",
                call.from
            )));
        }
        let read = page.next(database, access, call.most.max(1)).await;
        if let Ok(rows) = &read {
            page.add(rows);
        }
        if page.is_over || page.cursor.as_ref().is_some_and(|cursor| !cursor.may_stay()) {
            page.cursor = None;
        }
        let columns = page.columns.clone();
        self.0.push(page);
        let open = self.0.iter_mut().filter(|page| page.cursor.is_some());
        let too_many = open.count().saturating_sub(MOST_OPEN);
        let oldest = self.0.iter_mut().filter(|page| page.cursor.is_some());
        oldest.take(too_many).for_each(|page| page.cursor = None);
        read.map(|rows| SqlRows { columns, rows })
    }
}

impl AttemptGate {
    /// Reads a part of a result, in the snapshot in which its first part was read.
    pub(crate) async fn page(&mut self, call: Asked, page: &PageCall) -> Result<CallResult, Stop> {
        let access = page.sql.access(&self.step.grants.db);
        let may_begin = self.transactions.get(&page.sql.db).is_none();
        let result = match database(&self.outside, &page.sql.db) {
            Ok(database) => match self.pages.next(page, database.as_ref(), &access, may_begin).await {
                // The attempt ends here, and a new one does it all again.
                Err(DbError::Interrupted(why)) => return Err(Stop::Interrupted(why)),
                read => read.map(Value::from).map_err(db_error),
            },
            Err(error) => Err(error),
        };
        let filters = self.seen_through(&page.sql);
        self.has_read(Returned { result, filters, ..returned(None, call, &Ok(Value::Null)) }).await
    }
}
