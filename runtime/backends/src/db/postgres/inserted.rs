//! The rows that a transaction has inserted in bulk: millions perhaps, and so never all in memory.
//!
//! Their images are in `wflo_changes` as any others', which is on the server's disk. Rows that were not there before and
//! are there now are told by their keys, a batch at a time, through a cursor; [`changes`](super::capture) has the rest.
//!
//! A key has come if more images lead to it than from it: it was not there before, and is now.

use tokio_postgres::Client;
use wflo_model::{InsertedRows, RowDigest, SqlValue};
use wflo_ports::DbError;

use super::cursor::Cursor;
use super::error::translate;
use super::table::{Found, Table, find};
use super::value::Shape;
use crate::db::names::quoted;

/// Rows of a batch.
const BATCH: usize = 500;

/// The tables that rows were inserted into in bulk, and how far they have been told.
#[derive(Debug, Default)]
pub(super) struct Inserted {
    tables: Vec<Table>,
    telling: Option<Telling>,
}

#[derive(Debug)]
struct Telling {
    /// The table, by its place.
    at: usize,
    cursor: Option<Cursor>,
    /// The rows that have been told.
    told: u64,
}

impl Inserted {
    /// Notes that rows were inserted in bulk into a table whose changes are kept.
    pub(super) async fn note(&mut self, client: &Client, table: &str) -> Result<(), DbError> {
        if let Found::Table(table) = find(client, table).await?
            && !self.has(table.oid)
        {
            self.tables.push(table);
            self.tables.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(())
    }

    /// Whether rows were inserted in bulk into a table.
    pub(super) fn has(&self, oid: u32) -> bool {
        self.tables.iter().any(|table| table.oid == oid)
    }

    /// The next batch, and where to go on.
    pub(super) async fn next(
        &mut self,
        client: &Client,
        from: u64,
    ) -> Result<Option<(InsertedRows, u64)>, DbError> {
        if from == 0
            && let Some(Telling { cursor: Some(cursor), .. }) = self.telling.take()
        {
            cursor.close(client).await?;
        }
        let telling = self.telling.get_or_insert(Telling { at: 0, cursor: None, told: 0 });
        if telling.told != from {
            return Err(DbError::Other("the rows that were inserted are told one after another".into()));
        }
        while let Some(table) = self.tables.get(telling.at) {
            let cursor = match &mut telling.cursor {
                Some(cursor) => cursor,
                none => none.insert(open(client, table).await?),
            };
            let found = cursor.fetch(client, BATCH).await?;
            if !found.is_empty() {
                telling.told += found.len() as u64;
                let row = |values: Vec<SqlValue>| {
                    (table.key.iter().map(|&at| values[at].clone()).collect(), RowDigest::of(&values))
                };
                let (key_columns, columns) = (table.key_names(), table.column_names());
                let rows = found.into_iter().map(row).collect();
                let batch = InsertedRows { table: table.name.clone(), key_columns, columns, rows };
                return Ok(Some((batch, telling.told)));
            }
            if let Some(cursor) = telling.cursor.take() {
                cursor.close(client).await?;
            }
            telling.at += 1;
        }
        Ok(None)
    }
}

async fn open(client: &Client, table: &Table) -> Result<Cursor, DbError> {
    // Its order is the same when it is all done again.
    let order = |row: &str| {
        let columns = table.key_names();
        columns.iter().map(|column| format!("{row}.{}", quoted(column))).collect::<Vec<_>>().join(", ")
    };
    let sql = match is_insert_alone(client, table).await? {
        // The images are the rows.
        true => format!(
            "WITH {} SELECT {} FROM wflo_w AS w ORDER BY {}",
            images(table),
            table.values_of("(w.n)").join(", "),
            order("(w.n)")
        ),
        false => format!(
            "WITH {}, {} SELECT {} FROM {} AS t JOIN wflo_came AS i ON {} ORDER BY {}",
            images(table),
            came(table),
            table.values_of("t").join(", "),
            table.sql,
            is_of(table, "t", "i"),
            order("t")
        ),
    };
    let shapes = vec![Shape::Plain; table.columns.len()];
    Cursor::open(client, "wflo_inserted", &sql, &[], &[], shapes).await
}

/// Whether this transaction has done nothing to a table but insert rows.
pub(super) async fn is_insert_alone(client: &Client, table: &Table) -> Result<bool, DbError> {
    let sql = format!(
        "SELECT NOT EXISTS (SELECT FROM wflo_changes WHERE relation = {} AND old_row IS NOT NULL \
         AND txid = pg_catalog.pg_current_xact_id())",
        table.oid
    );
    client.query_typed_one(&sql, &[]).await.map(|row| row.get(0)).map_err(translate)
}

/// A common table expression, `wflo_w`, of the images of a table: whether it `had` and `has` a row, and both as rows.
pub(super) fn images(table: &Table) -> String {
    // PostgreSQL would take each column out of the text anew; this way each row is read once.
    format!(
        "wflo_w AS (SELECT c.old_row IS NOT NULL AS had, c.new_row IS NOT NULL AS has, c.old_row::{table} AS o, \
         c.new_row::{table} AS n FROM wflo_changes c WHERE c.relation = {} AND c.txid = pg_catalog.pg_current_xact_id() \
         OFFSET 0)",
        table.oid,
        table = table.sql
    )
}

/// Another one behind it, `wflo_came`, of the keys of rows that have come.
pub(super) fn came(table: &Table) -> String {
    let keys = |row: &str| {
        let key = table.key_names();
        let names = (0..).zip(&key);
        names
            .map(|(n, column)| format!("(w.{row}).{} AS k{n}", quoted(column)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let names = (0..table.key.len()).map(|n| format!("k{n}")).collect::<Vec<_>>().join(", ");
    format!(
        "wflo_came AS (SELECT {names} FROM (SELECT {}, 1 AS by FROM wflo_w AS w WHERE w.has UNION ALL \
         SELECT {}, -1 FROM wflo_w AS w WHERE w.had) AS halves GROUP BY {names} HAVING sum(by) > 0)",
        keys("n"),
        keys("o")
    )
}

/// A condition that a row has the key of a row of `wflo_came`.
pub(super) fn is_of(table: &Table, row: &str, came: &str) -> String {
    let key = table.key_names();
    let same = (0..).zip(&key).map(|(n, column)| format!("{row}.{} = {came}.k{n}", quoted(column)));
    same.collect::<Vec<_>>().join(" AND ")
}
