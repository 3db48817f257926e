//! Rows that change, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize as _;
use serde_json::Value;
use wflo_model::{ChangeSet, RowChange, SqlValue, TableChange};

use crate::terminal::tame;

/// What an approval shows of the rows that would change, as a table for each database; none where it shows none.
pub(crate) fn table(shows: &Value) -> Option<String> {
    let changes = BTreeMap::<String, ChangeSet>::deserialize(shows.get("changes")?).ok()?;
    let mut text = String::new();
    for (db, set) in &changes {
        let rows = set.row_count();
        let _ = writeln!(text, "database {}, {rows} {}:", tame(db), if rows == 1 { "row" } else { "rows" });
        let lines: Vec<[String; 4]> =
            set.tables.iter().flat_map(|table| table.rows.iter().map(move |row| line(table, row))).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let (table, kind, key) = (width(0), width(1), width(2));
        for [name, what, of, values] in &lines {
            let _ = writeln!(text, "  {name:table$}  {what:kind$}  {of:key$}  {values}");
        }
    }
    (!changes.is_empty()).then_some(text)
}

/// Table, what happens, key, and the columns: before -> after.
fn line(table: &TableChange, row: &RowChange) -> [String; 4] {
    let key: Vec<String> = row.key().iter().map(value).collect();
    let columns = table.columns.iter().map(|name| tame(name));
    let values: Vec<String> = match (row.before(), row.after()) {
        (Some(before), Some(after)) => columns
            .zip(before.iter().zip(after))
            .filter(|(_, (before, after))| before != after)
            .map(|(name, (before, after))| format!("{name}: {} -> {}", value(before), value(after)))
            .collect(),
        (Some(one), None) | (None, Some(one)) => {
            columns.zip(one).map(|(name, one)| format!("{name}: {}", value(one))).collect()
        }
        (None, None) => Vec::new(),
    };
    [tame(&table.table), row.kind().to_owned(), key.join(", "), values.join(", ")]
}

fn value(value: &SqlValue) -> String {
    tame(&value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::{ChangeSet, RowChange, SqlValue, TableChange};

    use super::table;

    #[test]
    fn rows_are_shown_with_what_changes_in_them() {
        let text = |text: &str| SqlValue::Text(text.into());
        let rows = vec![
            RowChange::Update {
                key: vec![text("A-7")],
                before: vec![text("A-7"), text("active"), SqlValue::Integer(3)],
                after: vec![text("A-7"), text("blocked\u{1b}[2J"), SqlValue::Integer(3)],
            },
            RowChange::Insert {
                key: vec![text("A-10")],
                after: vec![text("A-10"), SqlValue::Null, SqlValue::Integer(0)],
            },
            RowChange::Delete {
                key: vec![text("B")],
                before: vec![text("B"), text("old"), SqlValue::Integer(1)],
            },
        ];
        let columns = ["id", "status", "n"].map(str::to_owned).to_vec();
        let accounts =
            TableChange { table: "accounts".into(), key_columns: vec!["id".into()], columns, rows };
        let shown = table(&json!({ "changes": { "bank": ChangeSet { tables: vec![accounts] } } })).unwrap();
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines[0], "database bank, 3 rows:");
        assert!(lines[1].starts_with("  accounts  update  A-7   status: active -> blocked"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "a value does not write to the terminal");
        assert_eq!(lines[2], "  accounts  insert  A-10  id: A-10, status: null, n: 0");
        assert_eq!(lines[3], "  accounts  delete  B     id: B, status: old, n: 1");
        assert_eq!(table(&json!({ "changes": {} })), None);
        assert_eq!(table(&json!({})), None);
    }
}
