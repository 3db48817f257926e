//! A guest's result that is read a part at a time.
//!
//! Its statement stays where it is, on a connection and a thread of its own that wait to be asked for more.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Rows;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use wflo_model::{DbAccess, SqlValue};
use wflo_ports::{Cursor, DbError, Statement};

use super::connection::{Cancel, Connection};
use super::error::translate;
use super::value::{from_sqlite, size};

type Part = Result<Vec<Vec<SqlValue>>, DbError>;

/// What is asked of the thread.
struct More {
    rows: usize,
    bytes: usize,
    answer: oneshot::Sender<Part>,
}

/// An open result. Dropped, its statement is stopped and its snapshot ends.
pub(super) struct Paged {
    asks: mpsc::Sender<More>,
    cancel: Cancel,
    columns: Vec<String>,
    /// There while it may be kept.
    stays: Option<OwnedSemaphorePermit>,
}

/// A result that is being opened, and the thread's end of it.
pub(super) struct Opening {
    paged: Paged,
    opens: oneshot::Receiver<Result<Vec<String>, DbError>>,
}

/// The thread's end of a result.
pub(super) struct Paging {
    opened: Option<oneshot::Sender<Result<Vec<String>, DbError>>>,
    asked: mpsc::Receiver<More>,
    cancel: Cancel,
}

fn lost() -> DbError {
    DbError::Unavailable("the result was lost by what happened to it before".into())
}

impl Opening {
    pub(super) fn new(stays: Option<OwnedSemaphorePermit>) -> (Self, Paging) {
        let (opened, opens) = oneshot::channel();
        let (asks, asked) = mpsc::channel(1);
        let cancel = Cancel::default();
        let paged = Paged { asks, cancel: cancel.clone(), columns: Vec::new(), stays };
        (Self { paged, opens }, Paging { opened: Some(opened), asked, cancel })
    }

    /// The result, once it is open.
    pub(super) async fn opened(self) -> Result<Paged, DbError> {
        let Self { mut paged, opens } = self;
        paged.columns = opens.await.unwrap_or_else(|_| Err(lost()))?;
        Ok(paged)
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

#[async_trait]
impl Cursor for Paged {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn next(&mut self, rows: usize, bytes: usize) -> Part {
        let (answer, answered) = oneshot::channel();
        self.asks.send(More { rows, bytes, answer }).await.map_err(|_| lost())?;
        answered.await.unwrap_or_else(|_| Err(lost()))
    }

    fn may_stay(&self) -> bool {
        self.stays.is_some()
    }
}

impl Paging {
    /// Tells whoever waits for the result to be open that it will not be.
    pub(super) fn fails(self, error: DbError) {
        if let Some(opened) = self.opened {
            // Whoever does not wait any more asks for nothing either.
            let _ = opened.send(Err(error));
        }
    }

    /// Reads for as long as more is asked for. Blocks.
    pub(super) fn serve(
        self,
        connection: &mut Connection,
        statement: &Statement,
        access: &DbAccess,
        time: Duration,
    ) {
        let Self { mut opened, mut asked, cancel } = self;
        let mut waiting: Option<oneshot::Sender<Part>> = None;
        let done = connection.snapshot_rows(statement, access, time, &cancel, |prepared, again| {
            let columns: Vec<String> = prepared.column_names().map(str::to_owned).collect();
            if let Some(opened) = opened.take() {
                let _ = opened.send(Ok(columns.clone()));
            }
            let mut rows = prepared.raw_query();
            while let Some(More { rows: most, bytes, answer }) = asked.blocking_recv() {
                again();
                waiting = Some(answer);
                let read = part(&mut rows, &columns, most, bytes)?;
                if let Some(answer) = waiting.take() {
                    let _ = answer.send(Ok(read));
                }
            }
            Ok(())
        });
        if let Err(error) = done {
            match (opened, waiting) {
                (Some(opened), _) => _ = opened.send(Err(error)),
                (None, Some(answer)) => _ = answer.send(Err(error)),
                (None, None) => {}
            }
        }
    }
}

fn part(rows: &mut Rows<'_>, columns: &[String], most: usize, bytes: usize) -> Part {
    let (mut out, mut held) = (Vec::new(), 0_usize);
    while out.len() < most && held < bytes {
        let Some(row) = rows.next().map_err(translate)? else { break };
        let mut values = Vec::with_capacity(columns.len());
        for (at, column) in columns.iter().enumerate() {
            let value = row.get_ref(at).map_err(translate)?;
            held += size(value);
            values.push(from_sqlite(value, column)?);
        }
        out.push(values);
    }
    Ok(out)
}
