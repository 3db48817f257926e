//! The images that the triggers have written, row by row: what each row was before the transaction, and what it is.
//!
//! Each change of a row leads from one state of it to another, and all of them together are a path from how it was to how
//! it is. So how they are ordered does not matter (triggers of the owner that write on make PostgreSQL keep a later
//! change before an earlier one): the state that changes lead *from* once more than *to* is how it was, and the one they
//! lead *to* once more is how it is. What comes to nothing cancels out.
//!
//! The server cancels out what has the same text, and gives what is left in the order of the keys. It sorts, and joins
//! nothing: it has no statistics of `wflo_changes`, which is empty between transactions, takes it to have one row, and
//! would go through all images for each of them. So there is never more in memory here than the states of one row.

use tokio_postgres::Client;
use wflo_model::SqlValue;
use wflo_ports::DbError;

use super::capture::exactly;
use super::cursor::Cursor;
use super::table::Table;
use super::value::{Shape, size};
use crate::db::names::quoted;

/// Which rows are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// Those that were not there before and are there now.
    Come,
    /// Those that were there before, or are not there now.
    Others,
    /// All of a table that nothing was done to but inserting rows.
    Inserted,
}

/// A row that is not what it was.
#[derive(Clone, Debug)]
pub(super) struct Changed {
    pub(super) key: Vec<SqlValue>,
    pub(super) before: Option<Vec<SqlValue>>,
    pub(super) after: Option<Vec<SqlValue>>,
}

/// Reads the rows of a table that have changed, in the order of their keys.
#[derive(Debug)]
pub(super) struct Images {
    cursor: Cursor,
    key: Vec<usize>,
    /// The number of the key that is read, and its states: more have perhaps not come yet.
    open: Option<(SqlValue, Path)>,
}

impl Images {
    /// Begins. No other of its name is open.
    pub(super) async fn open(
        client: &Client,
        name: &'static str,
        table: &Table,
        which: Which,
    ) -> Result<Self, DbError> {
        let shapes = vec![Shape::Plain; 2 + table.columns.len()];
        let cursor = Cursor::open(client, name, &sql(table, which), &[], &[], shapes).await?;
        Ok(Self { cursor, key: table.key.clone(), open: None })
    }

    /// Gives the next rows, no more than `most`, to `keep`, whose errors end it; whether there may be others.
    pub(super) async fn read(
        &mut self,
        client: &Client,
        most: usize,
        keep: &mut (dyn FnMut(Changed) -> Result<(), DbError> + Send),
    ) -> Result<bool, DbError> {
        let Self { cursor, key, open } = self;
        let mut take = |mut image: Vec<SqlValue>| {
            let values = image.split_off(2);
            if open.as_ref().is_none_or(|(number, _)| *number != image[0])
                && let Some((_, ended)) = open.replace((image[0].clone(), Path::default()))
            {
                ended.end(key, keep)?;
            }
            if let (Some((_, path)), SqlValue::Integer(by)) = (open.as_mut(), &image[1]) {
                path.count(values, *by);
            }
            Ok(())
        };
        if cursor.fetch_each(client, most, &mut take).await? > 0 {
            return Ok(true);
        }
        if let Some((_, ended)) = open.take() {
            ended.end(key, keep)?;
        }
        Ok(false)
    }

    /// Ends before its end, or after it.
    pub(super) async fn close(self, client: &Client) -> Result<(), DbError> {
        self.cursor.close(client).await
    }
}

/// A query of states of rows: the number of the row's key, how often changes lead to the state more than from it, and the
/// state.
fn sql(table: &Table, which: Which) -> String {
    let names = table.key_names();
    let key: Vec<String> = names.iter().map(|column| format!("(w.r).{}", quoted(column))).collect();
    let key = key.join(", ");
    let values = |row: &str| table.values_of(row).join(", ");
    let mine = format!("c.relation = {} AND c.txid = pg_catalog.pg_current_xact_id()", table.oid);
    // PostgreSQL would take each column out of the text anew; behind OFFSET each row is read once.
    let row = &table.sql;
    if which == Which::Inserted {
        return format!(
            "SELECT pg_catalog.row_number() OVER (ORDER BY {key}), 1::bigint, {} \
             FROM (SELECT c.new_row::{row} AS r FROM wflo_changes AS c WHERE {mine} OFFSET 0) AS w ORDER BY {key}",
            values("(w.r)")
        );
    }
    let come = match which {
        Which::All | Which::Inserted => "true",
        Which::Come => "q.come > 0",
        Which::Others => "q.come <= 0",
    };
    let numbered = |before: &str| {
        let names = (0..table.key.len()).map(|n| format!("{before}k{n}"));
        names.collect::<Vec<_>>().join(", ")
    };
    let as_key: Vec<String> =
        (0..).zip(&names).map(|(n, column)| format!("(w.r).{} AS k{n}", quoted(column))).collect();
    format!(
        "SELECT q.number, q.net, {} FROM (\
         SELECT w.net, w.r, {}, pg_catalog.dense_rank() OVER (ORDER BY {key}) AS number, \
         pg_catalog.sum(w.net) OVER (PARTITION BY {key}) AS come FROM (\
         SELECT i.net, i.image::{row} AS r FROM (\
         SELECT h.image, pg_catalog.sum(h.by) AS net FROM wflo_changes AS c \
         CROSS JOIN LATERAL (VALUES (c.old_row COLLATE \"C\", -1), (c.new_row COLLATE \"C\", 1)) AS h (image, by) \
         WHERE {mine} AND h.image IS NOT NULL GROUP BY h.image HAVING pg_catalog.sum(h.by) <> 0\
         ) AS i OFFSET 0) AS w) AS q WHERE {come} ORDER BY {}",
        values("(q.r)"),
        as_key.join(", "),
        numbered("q.")
    )
}

/// The states of the rows with one key, each with how often changes lead to it more than from it. Keys that the database
/// takes for the same may be several here, such as 1.0 and 1.00.
#[derive(Debug, Default)]
struct Path(Vec<State>);

#[derive(Debug)]
struct State {
    /// Tells states apart, also those with a NaN in them.
    text: String,
    values: Vec<SqlValue>,
    net: i64,
}

impl Path {
    /// The server has cancelled out what has the same text, but a time has another one in another time zone.
    fn count(&mut self, values: Vec<SqlValue>, by: i64) {
        let text = exactly(Some(&values));
        match self.0.iter_mut().find(|known| known.text == text) {
            Some(known) => known.net += by,
            None => self.0.push(State { text, values, net: by }),
        }
        self.0.retain(|state| state.net != 0);
    }

    fn end(
        self,
        key: &[usize],
        keep: &mut (dyn FnMut(Changed) -> Result<(), DbError> + Send),
    ) -> Result<(), DbError> {
        let mut rows: Vec<Changed> = Vec::new();
        for State { values, net, .. } in self.0 {
            let key: Vec<SqlValue> = key.iter().map(|&at| values[at].clone()).collect();
            let at = rows.iter().position(|row| exactly(Some(&row.key)) == exactly(Some(&key)));
            let at = at.unwrap_or_else(|| {
                rows.push(Changed { key, before: None, after: None });
                rows.len() - 1
            });
            let end = if net < 0 { &mut rows[at].before } else { &mut rows[at].after };
            *end = Some(values);
        }
        rows.into_iter().try_for_each(keep)
    }
}

impl Changed {
    /// The bytes of its values.
    pub(super) fn bytes(&self) -> usize {
        self.key.iter().chain(self.before.iter().flatten()).chain(self.after.iter().flatten()).map(size).sum()
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::SqlValue;

    use super::Path;

    #[test]
    fn a_path_has_its_ends_in_whatever_order_its_steps_come() {
        let ends = |steps: &[(i64, i64)]| {
            let mut path = Path::default();
            for (from, to) in steps {
                let mut count = |state: i64, by| {
                    if state >= 0 {
                        path.count(vec![SqlValue::Integer(7), SqlValue::Integer(state)], by);
                    }
                };
                count(*from, -1);
                count(*to, 1);
            }
            let mut ends = Vec::new();
            let mut keep = |row: super::Changed| {
                let state = |values: Option<Vec<SqlValue>>| values.map(|values| values[1].to_string());
                ends.push((state(row.before), state(row.after)));
                Ok(())
            };
            path.end(&[0], &mut keep).unwrap();
            ends
        };
        // From 0 by 1 to 2; twice around by 1; the last first.
        assert_eq!(ends(&[(1, 2), (2, 1), (0, 1), (1, 2)]), [(Some("0".into()), Some("2".into()))]);
        // It came and went.
        assert_eq!(ends(&[(5, -1), (-1, 5)]), []);
        // It came, and it went.
        assert_eq!(ends(&[(5, 6), (-1, 5)]), [(None, Some("6".into()))]);
        assert_eq!(ends(&[(5, 6), (6, -1)]), [(Some("5".into()), None)]);
    }
}
