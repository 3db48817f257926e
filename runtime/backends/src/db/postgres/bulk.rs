//! Inserting many rows, by COPY.

use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, CopyInSink, Error};
use wflo_model::SqlValue;
use wflo_ports::{BulkInsert, DbError, RowSource};

use super::error::{parameter_count, translate};
use super::table::qualified;
use super::value::Parameter;
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
    let mut given = 0;
    while let Some(batch) = rows.next().await? {
        let mut text = String::new();
        for row in &batch {
            if let Err(error) = line(into, row, prepared.params(), &mut text) {
                rows.refused(given);
                return Err(error);
            }
            given += 1;
        }
        if let Err(error) = sink.send(Bytes::from(text)).await {
            return Err(located(into, error, rows));
        }
    }
    sink.finish().await.map_err(|error| located(into, error, rows))
}

/// Writes a row as COPY reads it.
fn line(into: &BulkInsert, row: &[SqlValue], types: &[Type], text: &mut String) -> Result<(), DbError> {
    if row.len() != types.len() {
        return Err(parameter_count(row.len(), types.len()));
    }
    for (at, (value, of)) in row.iter().zip(types).enumerate() {
        if at > 0 {
            text.push('\t');
        }
        let value = Parameter::copied(value, of).map_err(|what| {
            let column = into.columns.get(at).map_or("", String::as_str);
            DbError::Invalid(format!("column `{column}` takes {}, and the value is {what}", of.name()))
        })?;
        match value.text() {
            None => text.push_str("\\N"),
            Some(value) => escape(value, text),
        }
    }
    text.push('\n');
    Ok(())
}

/// An error of COPY; which row it is about goes to where the rows come from, and the column before what is wrong. The
/// server says both in what it calls the context, in its language, which also repeats the value: nothing else of it is
/// read.
fn located(into: &BulkInsert, error: Error, rows: &mut dyn RowSource) -> DbError {
    let context = error.as_db_error().and_then(|error| error.where_()).map(str::to_owned);
    let error = translate(error);
    let table = into.table.rsplit_once('.').map_or(into.table.as_str(), |(_, table)| table);
    let place = context.iter().flat_map(|context| context.lines()).find_map(|line| place(line, table));
    let Some((row, rest)) = place else { return error };
    rows.refused(row);
    match (error, column(rest, &into.columns)) {
        (DbError::Invalid(why), Some(column)) => DbError::Invalid(format!("column `{column}`: {why}")),
        (error, _) => error,
    }
}

/// The row, from 0, of a line such as `COPY people, line 3, column id: "x"`, and what comes after it.
fn place<'c>(line: &'c str, table: &str) -> Option<(u64, &'c str)> {
    let place = line.strip_prefix("COPY ")?.strip_prefix(table)?.strip_prefix(", ")?;
    let place = place.trim_start_matches(|sign: char| !sign.is_ascii_digit());
    let end = place.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(place.len());
    let row: u64 = place[..end].parse().ok()?;
    Some((row.checked_sub(1)?, &place[end..]))
}

fn column<'c>(rest: &str, columns: &'c [String]) -> Option<&'c str> {
    let (_, named) = rest.strip_prefix(", ")?.split_once(' ')?;
    let is_it =
        |column: &&String| named.strip_prefix(column.as_str()).is_some_and(|rest| rest.starts_with(':'));
    columns.iter().find(is_it).map(String::as_str)
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

#[cfg(test)]
mod tests {
    use super::{column, place};

    #[test]
    fn the_place_is_read_in_any_language_and_only_the_place() {
        let columns = ["id".to_owned(), "id2".to_owned()];
        for (line, row, of) in [
            ("COPY people7, line 3, column id2: \"4\"", 2, Some("id2")),
            ("COPY people7, Zeile 12, Spalte id: »x, column id2: 5«", 11, Some("id")),
            ("COPY people7, line 1: \"2\\t3\"", 0, None),
        ] {
            let (at, rest) = place(line, "people7").unwrap();
            assert_eq!((at, column(rest, &columns)), (row, of), "{line}");
        }
        for line in ["PL/pgSQL function f() line 3 at RAISE", "COPY people71, line 3", "COPY people7, line 0"]
        {
            assert!(place(line, "people7").is_none(), "{line}");
        }
    }
}
