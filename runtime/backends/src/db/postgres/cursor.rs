//! Rows, read in pieces.

use std::pin::pin;

use futures_util::TryStreamExt as _;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use wflo_model::{SqlRows, SqlValue};
use wflo_ports::{DbError, QueryLimits};

use super::error::translate;
use super::value::{Parameter, Read, Shape, parameters, size};
use crate::db::names::quoted;

/// Most rows of one piece.
const MOST: usize = 4096;
/// The rows of the first piece, of whose size nothing is known.
const FIRST: usize = 64;
/// What a piece is meant to have.
const PIECE_BYTES: usize = 1 << 20;

/// A cursor of the server, in the transaction that is open. It ends with the transaction or savepoint, or when it is
/// closed.
#[derive(Debug)]
pub(super) struct Cursor {
    name: &'static str,
    shapes: Vec<Shape>,
    next: usize,
}

impl Cursor {
    /// Opens one for a statement whose columns are asked for in these shapes. No other of its name is open.
    pub(super) async fn open(
        client: &Client,
        name: &'static str,
        sql: &str,
        params: &[Parameter],
        types: &[Type],
        shapes: Vec<Shape>,
    ) -> Result<Self, DbError> {
        let params: Vec<(&(dyn ToSql + Sync), Type)> =
            params.iter().zip(types).map(|(value, of)| (value as &(dyn ToSql + Sync), of.clone())).collect();
        let declare = format!("DECLARE {name} NO SCROLL CURSOR FOR {sql}");
        client.execute_typed(&declare, &params).await.map_err(translate)?;
        Ok(Self { name, shapes, next: FIRST })
    }

    /// The next rows; none at the end. No more than `most`.
    pub(super) async fn fetch(
        &mut self,
        client: &Client,
        most: usize,
    ) -> Result<Vec<Vec<SqlValue>>, DbError> {
        let mut out = Vec::new();
        let mut keep = |row| {
            out.push(row);
            Ok(())
        };
        self.fetch_each(client, most, &mut keep).await?;
        Ok(out)
    }

    /// Gives each of the next rows, no more than `most`, to `keep`, whose errors end it; how many there were, none at the
    /// end.
    ///
    /// The server waits until a row is taken before it sends much more, so nothing but what is kept is in memory, however
    /// large the rows are.
    pub(super) async fn fetch_each(
        &mut self,
        client: &Client,
        most: usize,
        keep: &mut (dyn FnMut(Vec<SqlValue>) -> Result<(), DbError> + Send),
    ) -> Result<usize, DbError> {
        let wanted = self.next.min(most).max(1);
        let fetch = format!("FETCH FORWARD {wanted} FROM {}", self.name);
        let none: [(Parameter, Type); 0] = [];
        let mut rows = pin!(client.query_typed_raw(&fetch, none).await.map_err(translate)?);
        let (mut came, mut bytes) = (0, 0);
        while let Some(row) = rows.try_next().await.map_err(translate)? {
            let mut values = Vec::with_capacity(self.shapes.len());
            for (at, shape) in self.shapes.iter().enumerate() {
                let Read(value) = row.try_get(at).map_err(translate)?;
                bytes += size(&value);
                values.push(match (shape, value) {
                    (Shape::Json | Shape::Texts, SqlValue::Text(text)) => SqlValue::Json(text),
                    (_, value) => value,
                });
            }
            came += 1;
            keep(values)?;
        }
        self.next = match came {
            0 => FIRST,
            rows => (PIECE_BYTES / (bytes / rows).max(1)).clamp(1, MOST),
        };
        Ok(came)
    }

    /// Closes it.
    pub(super) async fn close(self, client: &Client) -> Result<(), DbError> {
        client.batch_execute(&format!("CLOSE {}", self.name)).await.map_err(translate)
    }
}

/// Opens a guest's query in the transaction that is open: the names of its columns, and the rows.
pub(super) async fn open(
    client: &Client,
    sql: &str,
    params: &[SqlValue],
) -> Result<(Vec<String>, Cursor), DbError> {
    let prepared = client.prepare(sql).await.map_err(translate)?;
    let params = parameters(params.iter(), prepared.params())?;
    let columns: Vec<String> = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    let shapes: Vec<Shape> = prepared.columns().iter().map(|column| Shape::of(column.type_())).collect();
    let sql = in_shapes(sql, &shapes);
    let types = prepared.params().to_vec();
    let cursor = Cursor::open(client, "wflo_rows", &sql, &params, &types, shapes).await?;
    Ok((columns, cursor))
}

/// The rows of a guest's query, in the transaction that is open.
pub(super) async fn collect(
    client: &Client,
    sql: &str,
    params: &[SqlValue],
    limits: QueryLimits,
) -> Result<SqlRows, DbError> {
    let (columns, mut cursor) = open(client, sql, params).await?;
    let mut out = SqlRows { columns, rows: Vec::new() };
    let mut bytes = 0_usize;
    loop {
        let rows = &mut out.rows;
        // One more than there may be, to see that there are more.
        let most = limits.rows.saturating_add(1).saturating_sub(rows.len());
        let mut keep = |row: Vec<SqlValue>| {
            bytes += row.iter().map(size).sum::<usize>();
            if bytes > limits.bytes {
                return Err(DbError::Limit(format!(
                    "the query gives more than {} bytes; select fewer columns or rows",
                    limits.bytes
                )));
            }
            if rows.len() == limits.rows {
                return Err(DbError::Limit(format!(
                    "the query has more than {} rows; aggregate in SQL, or read it in parts with `page`",
                    limits.rows
                )));
            }
            rows.push(row);
            Ok(())
        };
        if cursor.fetch_each(client, most, &mut keep).await? == 0 {
            break;
        }
    }
    cursor.close(client).await?;
    Ok(out)
}

/// A query whose columns come in these shapes.
fn in_shapes(sql: &str, shapes: &[Shape]) -> String {
    if shapes.iter().all(|shape| *shape == Shape::Plain) {
        return sql.to_owned();
    }
    let names: Vec<String> = (1..=shapes.len()).map(|n| quoted(&format!("c{n}"))).collect();
    let columns =
        shapes.iter().zip(&names).map(|(shape, name)| shape.of_expression(&format!("wflo_q.{name}")));
    let columns: Vec<String> = columns.collect();
    format!("SELECT {} FROM ({sql}) AS wflo_q ({})", columns.join(", "), names.join(", "))
}
