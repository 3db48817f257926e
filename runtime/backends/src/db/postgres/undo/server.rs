//! The connection that rows are put back over.

use std::collections::HashMap;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_util::TryStreamExt as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};
use wflo_model::SqlValue;
use wflo_ports::DbError;

use crate::db::postgres::error::translate;
use crate::db::postgres::value::{Parameter, Read, parameters};

/// How long the text of a statement may be that is kept. Longer ones are of so many rows that they do not come again.
const KEPT: usize = 1 << 14;

/// A connection, which knows the statements that it has prepared.
pub(in crate::db::postgres) struct Server<'c> {
    client: &'c Client,
    prepared: Mutex<HashMap<String, Statement>>,
}

impl Deref for Server<'_> {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client
    }
}

/// A statement with its values, as the server takes them.
pub(super) struct Ready {
    statement: Statement,
    values: Vec<Parameter>,
}

impl<'c> Server<'c> {
    pub(in crate::db::postgres) fn new(client: &'c Client) -> Self {
        Self { client, prepared: Mutex::default() }
    }

    /// Runs a statement of the host with values.
    pub(in crate::db::postgres) async fn run(
        &self,
        sql: &str,
        values: &[&SqlValue],
    ) -> Result<Vec<Row>, DbError> {
        let Ready { statement, values } = self.ready(sql, values).await?;
        let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.client.query(&statement, &values).await.map_err(translate)
    }

    /// Prepares a statement with values, to be run with others.
    pub(super) async fn ready(&self, sql: &str, values: &[&SqlValue]) -> Result<Ready, DbError> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let statement = self.client.prepare(sql).await.map_err(translate)?;
                if sql.len() <= KEPT {
                    let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
                    prepared.insert(sql.to_owned(), statement.clone());
                }
                statement
            }
        };
        let values = parameters(values.iter().copied(), statement.params())?;
        Ok(Ready { statement, values })
    }

    /// Runs statements one after another without waiting in between, and gives what each has come to, up to the first that
    /// fails: after that one the transaction takes none until it goes back to a savepoint.
    pub(super) async fn run_all(&self, statements: Vec<Ready>) -> Vec<Result<Vec<Row>, DbError>> {
        let run = |Ready { statement, values }| async move {
            self.client.query_raw(&statement, values).await?.try_collect::<Vec<Row>>().await
        };
        let mut running: Vec<Running<'_>> = Vec::with_capacity(statements.len());
        for statement in statements {
            let mut answer: Answer<'_> = Box::pin(run(statement));
            // It is sent when it is first asked, so that they reach the server in this order.
            let first = std::future::poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
            running.push(match first {
                Poll::Ready(done) => Running::Done(done),
                Poll::Pending => Running::Sent(answer),
            });
        }
        let mut all = Vec::with_capacity(running.len());
        for one in running {
            let done = match one {
                Running::Done(done) => done,
                Running::Sent(answer) => answer.await,
            };
            let failed = done.is_err();
            all.push(done.map_err(translate));
            if failed {
                break;
            }
        }
        all
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

enum Running<'a> {
    Done(Result<Vec<Row>, Error>),
    Sent(Answer<'a>),
}

/// The values of rows with so many columns.
pub(in crate::db::postgres) fn rows_of(
    rows: Vec<Row>,
    columns: usize,
) -> Result<Vec<Vec<SqlValue>>, DbError> {
    let value = |row: &Row, at| row.try_get::<_, Read>(at).map(|Read(value)| value).map_err(translate);
    rows.iter().map(|row| (0..columns).map(|at| value(row, at)).collect()).collect()
}
