//! The rows that a transaction has inserted in bulk: millions perhaps, and so never all in memory.
//!
//! Their images are in `wflo_changes` as any others', which is on the server's disk. Rows that were not there before and
//! are there now are told by their keys, a batch at a time, through a cursor; [`changes`](super::capture) has the rest.

use tokio_postgres::Client;
use wflo_model::{InsertedRows, RowDigest, SqlValue};
use wflo_ports::DbError;

use super::error::translate;
use super::images::{Changed, Images, Which};
use super::table::{Found, Table, find};

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
    images: Option<Images>,
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
            && let Some(Telling { images: Some(images), .. }) = self.telling.take()
        {
            images.close(client).await?;
        }
        let telling = self.telling.get_or_insert(Telling { at: 0, images: None, told: 0 });
        if telling.told != from {
            return Err(DbError::Other("the rows that were inserted are told one after another".into()));
        }
        while let Some(table) = self.tables.get(telling.at) {
            let images = match &mut telling.images {
                Some(images) => images,
                none => none.insert(open(client, table).await?),
            };
            let mut rows: Vec<(Vec<SqlValue>, RowDigest)> = Vec::new();
            let mut goes_on = true;
            while goes_on && rows.len() < BATCH {
                let most = BATCH - rows.len();
                let mut keep = |row: Changed| {
                    rows.extend(row.after.map(|after| (row.key, RowDigest::of(&after))));
                    Ok(())
                };
                goes_on = images.read(client, most, &mut keep).await?;
            }
            if !rows.is_empty() {
                telling.told += rows.len() as u64;
                let (key_columns, columns) = (table.key_names(), table.column_names());
                let batch = InsertedRows { table: table.name.clone(), key_columns, columns, rows };
                return Ok(Some((batch, telling.told)));
            }
            if let Some(images) = telling.images.take() {
                images.close(client).await?;
            }
            telling.at += 1;
        }
        Ok(None)
    }
}

async fn open(client: &Client, table: &Table) -> Result<Images, DbError> {
    let which = if is_insert_alone(client, table).await? { Which::Inserted } else { Which::Come };
    Images::open(client, "wflo_inserted", table, which).await
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
