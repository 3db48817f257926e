//! The rows that would change.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde::Deserialize as _;
use serde_json::Value;
use wflo_model::{ChangeSet, RowChange, SqlValue, TableChange};

/// What an approval shows of the rows that would change; none where it shows none.
pub(super) fn changes(shows: &Value) -> Option<Markup> {
    let all = BTreeMap::<String, ChangeSet>::deserialize(shows.get("changes")?).ok()?;
    let tables = all.iter().flat_map(|(db, set)| set.tables.iter().map(move |table| (db, table)));
    let tables: Vec<_> = tables.filter(|(_, table)| !table.rows.is_empty()).collect();
    (!tables.is_empty()).then(|| html! { @for (db, table) in tables { (of(db, table)) } })
}

/// What is shown beside them.
pub(super) fn without(shows: &Value) -> Value {
    let mut rest = shows.clone();
    rest.as_object_mut().map(|rest| rest.remove("changes"));
    rest
}

fn of(db: &str, table: &TableChange) -> Markup {
    let rows = table.rows.len();
    html! {
        div.scroll tabindex="0" role="region" aria-label={ "Rows of " (table.table) } {
            table {
                caption { (table.table) " in " (db) ": " (rows) @if rows == 1 { " row" } @else { " rows" } }
                thead {
                    tr {
                        th scope="col" { (table.key_columns.join(", ")) } th scope="col" { "What" }
                        th scope="col" { "Column" } th scope="col" { "Before" } th scope="col" { "After" }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        @for (at, (column, before, after)) in cells(table, row).into_iter().enumerate() {
                            tr {
                                th scope="row" { @if at == 0 { (key(row)) } }
                                td { @if at == 0 { (row.kind()) } }
                                td { (column) }
                                td { @if let Some(before) = before { (value(before)) } }
                                td { @if let Some(after) = after { (value(after)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A column, and what it held and holds.
type Cell<'a> = (&'a str, Option<&'a SqlValue>, Option<&'a SqlValue>);

/// The columns of a row that differ; of one that comes or goes, all.
fn cells<'a>(table: &'a TableChange, row: &'a RowChange) -> Vec<Cell<'a>> {
    let at = |values: Option<&'a [SqlValue]>, column: usize| values.and_then(|values| values.get(column));
    let columns = table.columns.iter().enumerate();
    let cells = columns.map(|(n, name)| (name.as_str(), at(row.before(), n), at(row.after(), n)));
    cells.filter(|(_, before, after)| before != after).collect()
}

fn key(row: &RowChange) -> String {
    row.key().iter().map(written).collect::<Vec<_>>().join(", ")
}

fn value(value: &SqlValue) -> Markup {
    match value {
        SqlValue::Null => html! { span.none { "null" } },
        other => html! { (written(other)) },
    }
}

/// A value as the command shows it: a text in quotes, with escapes for what is not seen, and JSON with a word before it, so
/// that no two look the same.
fn written(value: &SqlValue) -> String {
    match value {
        SqlValue::Text(text) => format!("{text:?}"),
        SqlValue::Json(text) => format!("json {text}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_that_differ_look_different() {
        let text = |text: &str| SqlValue::Text(text.into());
        let all = [
            SqlValue::Null,
            text("null"),
            SqlValue::Json("null".into()),
            SqlValue::Json("\"null\"".into()),
            SqlValue::Json("100".into()),
            SqlValue::Integer(100),
            text("100"),
            text("DE12 3456"),
            text("DE12  3456"),
            text("DE12\u{200b} 3456"),
            text("DE12\u{a0}3456"),
            text("DE12 3456\u{ad}"),
            text("DE12\u{200d} 3456"),
        ];
        let shown: std::collections::BTreeSet<String> =
            all.iter().map(|it| super::super::layout::as_written(&value(it)).into_string()).collect();
        assert_eq!(shown.len(), all.len(), "{shown:?}");
        assert!(shown.iter().any(|it| it.contains("DE12\\u{200b} 3456")), "{shown:?}");
        assert!(
            include_str!("style.css").contains("td, dd, li { white-space: pre-wrap; }"),
            "two blanks are two"
        );
    }

    #[test]
    fn every_row_is_there_with_what_changes_in_it() {
        let text = |text: &str| SqlValue::Text(text.into());
        let rows = vec![
            RowChange::Update {
                key: vec![text("A-7")],
                before: vec![text("A-7"), text("active")],
                after: vec![text("A-7"), text("<b>blocked")],
            },
            RowChange::Delete { key: vec![text("B-1")], before: vec![text("B-1"), SqlValue::Null] },
        ];
        let columns = ["id", "status"].map(str::to_owned).to_vec();
        let accounts =
            TableChange { table: "accounts".into(), key_columns: vec!["id".into()], columns, rows };
        let shows = json!({ "output": 1, "changes": { "bank": ChangeSet { tables: vec![accounts] } } });
        let page = changes(&shows).unwrap().into_string();
        for part in
            ["accounts in bank: 2 rows", "A-7", "update", "active", "&lt;b&gt;blocked", "B-1", "delete"]
        {
            assert!(page.contains(part), "no `{part}` in {page}");
        }
        assert_eq!(
            page.matches("<tr>").count(),
            1 + 1 + 2,
            "the id of an updated row is its key, and no change"
        );
        assert_eq!(without(&shows), json!({ "output": 1 }));
        assert!(changes(&json!({ "changes": {} })).is_none());
    }
}
