//! Inserting many rows, by COPY.

use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::{Client, CopyInSink};
use wflo_ports::{BulkInsert, DbError, RowSource};

use super::error::translate;
use super::table::qualified;
use super::value::{Parameter, parameters};
use crate::db::names::quoted;

/// The statement that would insert one row.
pub(super) fn insert(into: &BulkInsert) -> String {
    let places: Vec<_> = (1..=into.columns.len()).map(|n| format!("${n}")).collect();
    format!("INSERT INTO {} VALUES ({})", target(into), places.join(", "))
}

/// The table, and the columns of it that rows have values for.
fn target(into: &BulkInsert) -> String {
    let columns: Vec<_> = into.columns.iter().map(|column| quoted(column)).collect();
    format!("{} ({})", qualified(&into.table), columns.join(", "))
}

/// Inserts rows as they come. `insert` is the statement that would insert one, and was judged; it tells the types.
pub(super) async fn copy(
    client: &Client,
    into: &BulkInsert,
    insert: &str,
    rows: &mut dyn RowSource,
) -> Result<u64, DbError> {
    let prepared = client.prepare(insert).await.map_err(translate)?;
    let copy = format!("COPY {} FROM STDIN", target(into));
    let sink: CopyInSink<Bytes> = client.copy_in(&copy).await.map_err(translate)?;
    // Dropped before its end, it tells the server that nothing of it is to stay.
    let mut sink = pin!(sink);
    while let Some(batch) = rows.next().await? {
        let mut text = String::new();
        for row in &batch {
            let values: Vec<Parameter> = parameters(row.iter(), prepared.params())?;
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    text.push('\t');
                }
                match value.text() {
                    None => text.push_str("\\N"),
                    Some(value) => escape(value, &mut text),
                }
            }
            text.push('\n');
        }
        sink.send(Bytes::from(text)).await.map_err(translate)?;
    }
    sink.finish().await.map_err(translate)
}

/// A value in COPY's text form: what would end it or a row has a backslash before it.
fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
}
