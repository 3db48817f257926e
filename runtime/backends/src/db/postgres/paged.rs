//! A guest's result that is read a part at a time, on a connection of its own.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OwnedSemaphorePermit;
use wflo_model::SqlValue;
use wflo_ports::{Cursor, DbError, Statement};

use super::cursor::{self, Cursor as ServerCursor};
use super::error::unavailable;
use super::judge::Judged;
use super::login::Lent;
use super::transaction::times;
use super::value::size;

/// An open result. Dropped, its connection is closed, and with it the snapshot.
pub(super) struct Paged {
    /// None while a part is read, and for good once that has failed.
    lent: Option<Lent>,
    rows: ServerCursor,
    columns: Vec<String>,
    time: Duration,
    /// There while it may be kept.
    stays: Option<OwnedSemaphorePermit>,
}

impl Paged {
    /// Opens one for a statement that was judged.
    pub(super) async fn open(
        lent: Lent,
        judged: &Judged,
        statement: &Statement,
        time: Duration,
        stays: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, DbError> {
        let opening = async {
            lent.batch(&format!("BEGIN READ ONLY; {}", times(time))).await?;
            let opened = match judged.settle(&lent).await {
                Ok(()) => cursor::open(&lent, &judged.sql, &statement.params).await,
                Err(error) => Err(error),
            };
            if !matches!(opened, Ok(_) | Err(DbError::Interrupted(_))) {
                lent.batch("ROLLBACK").await?;
            }
            opened
        };
        match tokio::time::timeout(time, opening).await {
            Err(_) => Err(too_long(time)),
            Ok(Ok((columns, rows))) => Ok(Self { lent: Some(lent), rows, columns, time, stays }),
            Ok(Err(error @ DbError::Interrupted(_))) => Err(unavailable(error)),
            Ok(Err(error)) => {
                lent.give_back();
                Err(error)
            }
        }
    }
}

fn too_long(time: Duration) -> DbError {
    DbError::Limit(format!("the query ran longer than {time:?}"))
}

#[async_trait]
impl Cursor for Paged {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    async fn next(&mut self, rows: usize, bytes: usize) -> Result<Vec<Vec<SqlValue>>, DbError> {
        let gone = || DbError::Unavailable("the result was lost by what happened to it before".into());
        let lent = self.lent.take().ok_or_else(gone)?;
        let (mut out, mut held) = (Vec::new(), 0);
        let reading = async {
            while out.len() < rows && held < bytes {
                let piece = self.rows.fetch(&lent, rows - out.len()).await?;
                if piece.is_empty() {
                    break;
                }
                held += piece.iter().flatten().map(size).sum::<usize>();
                out.extend(piece);
            }
            Ok(())
        };
        match tokio::time::timeout(self.time, reading).await {
            Err(_) => Err(too_long(self.time)),
            Ok(Err(error)) => Err(unavailable(error)),
            Ok(Ok(())) => {
                self.lent = Some(lent);
                Ok(out)
            }
        }
    }

    fn may_stay(&self) -> bool {
        self.stays.is_some()
    }
}
