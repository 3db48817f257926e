//! What tells the rows that people are asked about from those that they were asked about before.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wflo_model::{ChangeSet, Label, RowChange, SqlValue, TableChange};

/// The first row that came to something else when a step's writes were redone.
///
/// It stands as `differs` in what an approval shows that is asked for in the place of another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RowDifference {
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// The columns of its primary key.
    pub key_columns: Vec<String>,
    /// The key of the row, as it was shown before; of a row that was not shown before, its own.
    pub key: Vec<SqlValue>,
    /// The column that has another value; none where there is no such row any more, or was none.
    pub column: Option<String>,
    /// Its value as it was shown before; none where there is none.
    pub was: Option<SqlValue>,
    /// Its value now.
    pub is: Option<SqlValue>,
    /// What becomes of the row now, `insert`, `update` or `delete`; none where nothing does.
    pub change: Option<String>,
}

/// The first difference between what an approval showed and what would commit now; none where the rows are the same.
pub(crate) fn difference(shown: &Value, now: &[(Label, ChangeSet)]) -> Option<RowDifference> {
    let shown = BTreeMap::<String, ChangeSet>::deserialize(shown.get("changes")?).ok()?;
    let now: BTreeMap<String, &ChangeSet> = now.iter().map(|(db, set)| (db.to_string(), set)).collect();
    let none = ChangeSet::default();
    let mut databases: Vec<_> = shown.keys().chain(now.keys()).collect();
    databases.sort();
    databases.dedup();
    databases.into_iter().find_map(|db| {
        let (was, is) = (shown.get(db).unwrap_or(&none), now.get(db).copied().unwrap_or(&none));
        let mut tables: Vec<_> = was.tables.iter().chain(&is.tables).map(|table| &table.table).collect();
        tables.sort();
        tables.dedup();
        let find = |set: &'_ ChangeSet, name: &str| set.tables.iter().position(|table| table.table == *name);
        tables.into_iter().find_map(|name| {
            let was = find(was, name).map(|at| &was.tables[at]);
            let is = find(is, name).map(|at| &is.tables[at]);
            in_table(db, was, is)
        })
    })
}

fn in_table(database: &str, was: Option<&TableChange>, is: Option<&TableChange>) -> Option<RowDifference> {
    let of = was.or(is)?;
    let rows = |of: Option<&'_ TableChange>| of.map(|table| table.rows.clone()).unwrap_or_default();
    let (was, is) = (rows(was), rows(is));
    let by_key = |rows: &[RowChange]| -> HashMap<String, usize> {
        rows.iter().enumerate().map(|(at, row)| (key(row), at)).collect()
    };
    let (before, now) = (by_key(&was), by_key(&is));
    // A row whose key the database makes up is gone, and another one stands in its place.
    let mut others = is.iter().filter(|row| !before.contains_key(&key(row)));
    let found =
        |row: &RowChange, column: Option<usize>, values: [Option<&SqlValue>; 2], is: Option<&RowChange>| {
            Some(RowDifference {
                database: database.to_owned(),
                table: of.table.clone(),
                key_columns: of.key_columns.clone(),
                key: row.key().to_vec(),
                column: column.and_then(|at| of.columns.get(at).cloned()),
                was: values[0].cloned(),
                is: values[1].cloned(),
                change: is.map(|row| row.kind().to_owned()),
            })
        };
    for row in &was {
        let counterpart = match now.get(&key(row)) {
            Some(&at) => Some(&is[at]),
            None => others.find(|other| other.kind() == row.kind()),
        };
        let Some(other) = counterpart else { return found(row, None, [None, None], None) };
        if other == row {
            continue;
        }
        let images = [(row.after(), other.after()), (row.before(), other.before())];
        let differs = images.into_iter().find_map(|(was, is)| {
            let (was, is) = (was?, is?);
            let at = (0..was.len().max(is.len())).find(|&at| was.get(at) != is.get(at))?;
            Some((at, [was.get(at), is.get(at)]))
        });
        return match differs {
            Some((at, values)) => found(row, Some(at), values, Some(other)),
            None => found(row, None, [None, None], Some(other)),
        };
    }
    let more = is.iter().find(|row| !before.contains_key(&key(row)))?;
    found(more, None, [None, None], Some(more))
}

fn key(row: &RowChange) -> String {
    serde_json::to_string(row.key()).expect("the values of a key can be written down")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::{ChangeSet, Label, RowChange, SqlValue, TableChange};

    use super::{RowDifference, difference};

    fn set(rows: Vec<RowChange>) -> ChangeSet {
        let (columns, key_columns) = (vec!["id".to_owned(), "at".into()], vec!["id".to_owned()]);
        ChangeSet { tables: vec![TableChange { table: "t".into(), key_columns, columns, rows }] }
    }

    fn row(id: i64, at: &str) -> RowChange {
        let id = SqlValue::Integer(id);
        RowChange::Insert { key: vec![id.clone()], after: vec![id, SqlValue::Text(at.into())] }
    }

    fn between(was: Vec<RowChange>, is: Vec<RowChange>) -> Option<RowDifference> {
        let db: Label = "d".parse().unwrap();
        difference(&json!({ "changes": { "d": set(was) } }), &[(db, set(is))])
    }

    #[test]
    fn the_first_row_that_differs_is_told_and_how() {
        let text = |text: &str| Some(SqlValue::Text(text.into()));
        let told = |it: Option<RowDifference>| it.map(|it| (it.key, it.column, it.was, it.is, it.change));
        let key = |id| vec![SqlValue::Integer(id)];
        let insert = || Some("insert".to_owned());
        assert_eq!(between(vec![row(1, "a")], vec![row(1, "a")]), None);
        let value = between(vec![row(1, "a"), row(2, "b")], vec![row(1, "a"), row(2, "c")]);
        assert_eq!(told(value), Some((key(2), Some("at".into()), text("b"), text("c"), insert())));
        // A key that comes from a sequence.
        let next = between(vec![row(1, "a")], vec![row(2, "a")]);
        let ids = [1, 2].map(|id| Some(SqlValue::Integer(id)));
        assert_eq!(told(next), Some((key(1), Some("id".into()), ids[0].clone(), ids[1].clone(), insert())));
        let gone = between(vec![row(1, "a"), row(2, "b")], vec![row(1, "a")]);
        assert_eq!(told(gone), Some((key(2), None, None, None, None)));
        let more = between(vec![row(1, "a")], vec![row(1, "a"), row(2, "b")]);
        assert_eq!(told(more), Some((key(2), None, None, None, insert())));
        let delete = RowChange::Delete { key: key(1), before: vec![SqlValue::Integer(1), SqlValue::Null] };
        let other = between(vec![row(1, "a")], vec![delete]);
        assert_eq!(told(other), Some((key(1), None, None, None, Some("delete".into()))));
        assert_eq!(difference(&json!({ "changes": {} }), &[]), None);
    }
}
