//! Changed rows, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize as _;
use wflo::{ChangesView, RowDifference};
use wflo_model::{ChangeSet, RowChange, SqlValue, StepName, TableChange};

use crate::terminal::{self, tame};

/// Characters of one value that are shown where not all are.
const VALUE: usize = 60;

/// How much of a value is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// All of it: somebody decides on it.
    Whole,
    /// Its beginning; `--json` has all of it.
    Cut,
}

/// The rows that a run changed, step by step.
pub(crate) fn of_run(views: &[ChangesView], colors: bool) -> String {
    let mut text = String::new();
    for view in views {
        let name = unit(&view.step, view.item);
        let in_bulk = view.inserted.as_ref().map_or(0, wflo_model::Inserted::row_count);
        let (database, rows) = (&view.database, count(view.changes.row_count() as u64 + in_bulk, "row"));
        let whether = match (view.left, view.committed) {
            (Some(0), true) => ", undone".to_owned(),
            (Some(0), false) => ", given up: nothing of it is there".to_owned(),
            (Some(left), _) => format!(", undone but for {left}"),
            (None, true) => String::new(),
            (None, false) => ", about to commit".to_owned(),
        };
        let _ = writeln!(text, "{name}  database `{database}`  {rows}{whether}");
        text.push_str(&set(&view.changes, Values::Cut, colors));
        for (table, rows) in view.inserted.iter().flat_map(|inserted| &inserted.tables) {
            let _ = writeln!(text, "  {}\n    {} inserted in bulk", tame(table), count(*rows, "row"));
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// What an approval shows of the rows that would change, as `wflo show --changes` shows those that did; none where it shows
/// none.
pub(crate) fn of_approval(shows: &serde_json::Value, colors: bool) -> Option<String> {
    let changes = BTreeMap::<String, ChangeSet>::deserialize(shows.get("changes")?).ok()?;
    let text = changes.iter().fold(String::new(), |mut text, (db, changes)| {
        let _ = writeln!(text, "database `{}`  {}", tame(db), count(changes.row_count() as u64, "row"));
        text + &set(changes, Values::Whole, colors)
    });
    (!changes.is_empty()).then_some(text)
}

/// What tells the rows that an approval is about from those of the one before it; none where it says nothing of that.
pub(crate) fn differs(shows: &serde_json::Value) -> Option<String> {
    let it = RowDifference::deserialize(shows.get("differs")?).ok()?;
    let row = format!(
        "database `{}`, {} {}",
        tame(&it.database),
        tame(&it.table),
        key(&it.key_columns, &it.key, Values::Cut)
    );
    let told =
        |it: &Option<SqlValue>| it.as_ref().map_or_else(|| "nothing".to_owned(), |it| value(it, Values::Cut));
    Some(match (&it.column, &it.change) {
        (Some(column), _) => format!("{row}: {} was {}, is {}", tame(column), told(&it.was), told(&it.is)),
        (None, Some(change)) => format!("{row}: there is now a {change}, which was not shown before"),
        (None, None) => format!("{row}: it was shown before, and is not changed any more"),
    })
}

/// What to do about an approval that is asked for again and again.
pub(crate) const DIFFERS_HINT: &str = "if nobody else writes there, the database makes the value up anew each time, as `now()` and \
    sequences do: the step should pass it in";

/// A change set: a line a row, with what became of its columns.
fn set(changes: &ChangeSet, values: Values, colors: bool) -> String {
    let mut text = String::new();
    for table in &changes.tables {
        let _ = writeln!(text, "  {}", tame(&table.table));
        let keys: Vec<String> =
            table.rows.iter().map(|row| key(&table.key_columns, row.key(), values)).collect();
        let width = keys.iter().map(|key| key.chars().count()).max().unwrap_or_default();
        for (row, key) in table.rows.iter().zip(keys) {
            let kind = terminal::dim(&format!("{:6}", row.kind()), colors);
            let _ = writeln!(text, "    {kind}  {key:width$}  {}", columns(table, row, values));
        }
    }
    text
}

/// What became of the columns of one row: those that changed, or all of them where it came or went.
fn columns(table: &TableChange, row: &RowChange, shown: Values) -> String {
    let value = |it: &SqlValue| value(it, shown);
    let named = |at: usize| tame(&table.columns[at]);
    let outside_key = |at: &usize| !table.key_columns.contains(&table.columns[*at]);
    let all = |values: &[SqlValue]| {
        let shown =
            (0..values.len()).filter(outside_key).map(|at| format!("{}: {}", named(at), value(&values[at])));
        shown.collect::<Vec<_>>().join(", ")
    };
    match (row.before(), row.after()) {
        (Some(before), Some(after)) => {
            let changed = (0..before.len()).filter(|&at| before[at] != after[at]);
            let shown =
                changed.map(|at| format!("{}: {} -> {}", named(at), value(&before[at]), value(&after[at])));
            shown.collect::<Vec<_>>().join(", ")
        }
        (Some(values), None) | (None, Some(values)) => all(values),
        (None, None) => String::new(),
    }
}

/// The key of a row: `id = 7`.
pub(crate) fn key(columns: &[String], key: &[SqlValue], shown: Values) -> String {
    let parts =
        columns.iter().zip(key).map(|(column, it)| format!("{} = {}", tame(column), value(it, shown)));
    parts.collect::<Vec<_>>().join(", ")
}

/// A value as people read it: a text in quotes, so that none looks like what stands around it, and JSON with a word before
/// it, since its null is not that of SQL, nor its text a text.
pub(crate) fn value(value: &SqlValue, shown: Values) -> String {
    let most = if shown == Values::Whole { usize::MAX } else { VALUE };
    let text = match value {
        SqlValue::Null => return "null".into(),
        SqlValue::Boolean(value) => value.to_string(),
        SqlValue::Integer(n) => n.to_string(),
        SqlValue::Real(n) => format!("{n:?}"),
        SqlValue::Text(text) => format!("{text:?}"),
        SqlValue::Decimal(text) | SqlValue::Timestamp(text) | SqlValue::Uuid(text) => text.clone(),
        SqlValue::Json(text) => format!("json {text}"),
        SqlValue::Blob(bytes) => {
            let hex: String = bytes.iter().take(most / 2).map(|byte| format!("{byte:02x}")).collect();
            format!("x'{hex}'{}", if bytes.len() > most / 2 { "…" } else { "" })
        }
    };
    let text = tame(&text);
    let cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { text.to_string() }
}

/// A step, and which of its items.
pub(crate) fn unit(step: &StepName, item: Option<u32>) -> String {
    item.map_or_else(|| step.to_string(), |item| format!("{step}[{item}]"))
}

/// So many of something.
pub(crate) fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_model::{ChangeSet, RowChange, SqlValue, TableChange};

    use super::{Values, of_approval, set};

    #[test]
    fn a_change_set_is_a_table() {
        let text = |text: &str| SqlValue::Text(text.into());
        let row = |id: &str, status: &str, n: i64| vec![text(id), text(status), SqlValue::Integer(n)];
        let changes = ChangeSet {
            tables: vec![TableChange {
                table: "accounts".into(),
                key_columns: vec!["id".into()],
                columns: vec!["id".into(), "status".into(), "balance".into()],
                rows: vec![
                    RowChange::Update {
                        key: vec![text("A-7")],
                        before: row("A-7", "active", 1),
                        after: row("A-7", "blocked", 1),
                    },
                    RowChange::Insert { key: vec![text("B-10")], after: row("B-10", "new\u{1b}[2J", 2) },
                    RowChange::Delete { key: vec![text("C-1")], before: row("C-1", "old", 3) },
                ],
            }],
        };
        assert_eq!(
            set(&changes, Values::Cut, false),
            "  accounts\n    update  id = \"A-7\"   status: \"active\" -> \"blocked\"\n    insert  id = \"B-10\"  \
             status: \"new\\u{1b}[2J\", balance: 2\n    delete  id = \"C-1\"   status: \"old\", balance: 3\n"
        );
    }

    #[test]
    fn json_looks_like_nothing_else() {
        let json = |text: &str| SqlValue::Json(text.into());
        let to = |after: SqlValue| {
            let row = RowChange::Update { key: vec![], before: vec![SqlValue::Null], after: vec![after] };
            let (table, columns) = ("t".to_owned(), vec!["v".to_owned()]);
            let table = TableChange { table, key_columns: vec![], columns, rows: vec![row] };
            super::columns(&table, &table.rows[0], Values::Whole)
        };
        assert_eq!(to(json("null")), "v: null -> json null");
        assert_eq!(to(json("\"null\"")), "v: null -> json \"null\"");
        assert_eq!(to(json("{\"a\": 1}")), "v: null -> json {\"a\": 1}");
        assert_eq!(to(SqlValue::Text("null".into())), "v: null -> \"null\"");
    }

    #[test]
    fn who_decides_sees_all_of_a_value_and_none_that_looks_like_another() {
        let text = |text: &str| SqlValue::Text(text.into());
        let long = format!("{} and then the price is 900", "word ".repeat(20));
        let row = RowChange::Update {
            key: vec![SqlValue::Integer(7)],
            before: vec![SqlValue::Integer(7), text("a -> b")],
            after: vec![SqlValue::Integer(7), text(&format!("{long}\u{202e}\u{9b}"))],
        };
        let columns = ["id", "note"].map(str::to_owned).to_vec();
        let orders =
            TableChange { table: "orders".into(), key_columns: vec!["id".into()], columns, rows: vec![row] };
        let shows = json!({ "changes": { "shop": ChangeSet { tables: vec![orders] } } });
        assert_eq!(
            of_approval(&shows, false).unwrap(),
            format!(
                "database `shop`  1 row\n  orders\n    update  id = 7  note: \"a -> b\" -> \
                 \"{long}\\u{{202e}}\\u{{9b}}\"\n"
            )
        );
        assert_eq!(of_approval(&json!({ "changes": {} }), false), None);
        assert_eq!(of_approval(&json!({}), false), None);
    }
}
