//! Changed rows as tables, and what a rollback does or did, in words.

use std::fmt::Write as _;

use wflo::{ChangesView, RollbackView};
use wflo_engine::{Reapplied, RollbackPlan};
use wflo_model::{ChangeSet, Conflict, RowChange, SqlValue, StepName, TableChange};

use crate::terminal::{self, tame};

/// Characters of one value that are shown.
const VALUE: usize = 60;

/// The rows that a run changed, step by step.
pub(crate) fn of_run(views: &[ChangesView], colors: bool) -> String {
    let mut text = String::new();
    for view in views {
        let name = unit(&view.step, view.item);
        let in_bulk = view.inserted.as_ref().map_or(0, wflo_model::Inserted::row_count);
        let (database, rows) = (&view.database, count(view.changes.row_count() as u64 + in_bulk, "row"));
        let whether = if view.committed { "" } else { ", about to commit" };
        let _ = writeln!(text, "{name}  database `{database}`  {rows}{whether}");
        text.push_str(&set(&view.changes, colors));
        for (table, rows) in view.inserted.iter().flat_map(|inserted| &inserted.tables) {
            let _ = writeln!(text, "  {}\n    {} inserted in bulk", tame(table), count(*rows, "row"));
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// A change set: a line a row, with what became of its columns.
pub(crate) fn set(changes: &ChangeSet, colors: bool) -> String {
    let mut text = String::new();
    for table in &changes.tables {
        let _ = writeln!(text, "  {}", tame(&table.table));
        let keys: Vec<String> = table.rows.iter().map(|row| key(&table.key_columns, row.key())).collect();
        let width = keys.iter().map(|key| key.chars().count()).max().unwrap_or_default();
        for (row, key) in table.rows.iter().zip(keys) {
            let kind = terminal::dim(&format!("{:6}", row.kind()), colors);
            let _ = writeln!(text, "    {kind}  {key:width$}  {}", columns(table, row));
        }
    }
    text
}

/// What became of the columns of one row: those that changed, or all of them where it came or went.
fn columns(table: &TableChange, row: &RowChange) -> String {
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

/// What a rollback would do.
pub(crate) fn plan(plan: &RollbackPlan) -> String {
    let mut text = String::new();
    for it in &plan.compensate {
        let certain = if it.certain { "" } else { ", which may or may not have happened" };
        let _ = writeln!(
            text,
            "compensate  {}: {}{certain}",
            unit(&it.step, it.item),
            tame(&it.effects.join(", "))
        );
    }
    for it in &plan.undo {
        for (database, rows) in &it.databases {
            let rows = count(*rows, "row");
            let _ =
                writeln!(text, "undo        {}: {rows} in database `{database}`", unit(&it.step, it.item));
        }
    }
    for it in &plan.reapply {
        let _ = writeln!(
            text,
            "reapply     {}: what terraform folder `{}` had before{}",
            unit(&it.step, it.item),
            it.terraform,
            maybe(it.certain)
        );
    }
    for it in &plan.left {
        let _ = writeln!(
            text,
            "stays       {}: {}{}",
            unit(&it.step, it.item),
            tame(&it.what),
            maybe(it.certain)
        );
    }
    if text.is_empty() {
        text.push_str("there is nothing to undo");
    }
    text.trim_end().to_owned()
}

/// What a rollback did, and what it left.
pub(crate) fn rolled_back(view: &RollbackView, colors: bool) -> String {
    let by = view.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let to = view.to.as_ref().map(|to| format!(" to `{to}`")).unwrap_or_default();
    let mut text = format!("rollback{to}{by}\n");
    for it in &view.compensated {
        let status = terminal::status(&it.status, 0, colors);
        let error = it.error.as_ref().map(|error| format!(": {}", tame(error))).unwrap_or_default();
        let _ = writeln!(text, "  compensate  {}  {status}{error}", unit(&it.step, it.item));
    }
    for it in &view.undone {
        let (rows, left) = (count(it.rows, "row"), it.conflicts.len() as u64 + it.more_conflicts);
        let left = if left > 0 { format!(", {} left", count(left, "row")) } else { String::new() };
        let _ = writeln!(
            text,
            "  undo        {}  {rows} in database `{}`{left}",
            unit(&it.step, it.item),
            it.database
        );
        for conflict in &it.conflicts {
            let _ = writeln!(text, "    {}", left_row(conflict));
        }
        if it.more_conflicts > 0 {
            let _ = writeln!(text, "    and {} more", count(it.more_conflicts, "row"));
        }
    }
    for it in &view.reapplied {
        let what = match &it.came_to {
            Some(Reapplied::Done) => "as it was before".to_owned(),
            Some(Reapplied::Left { why }) => format!("left as it is: {}", tame(why)),
            Some(Reapplied::Failed { why }) => format!("failed: {}", tame(why)),
            _ => "not yet".to_owned(),
        };
        let _ = writeln!(
            text,
            "  reapply     {}  terraform folder `{}` {what}",
            unit(&it.step, it.item),
            it.terraform
        );
    }
    for (database, why) in &view.failed {
        let _ = writeln!(text, "  failed      database `{database}`: {}", tame(why));
    }
    for it in &view.left {
        let _ = writeln!(
            text,
            "  stays       {}  {}{}",
            unit(&it.step, it.item),
            tame(&it.what),
            maybe(it.certain)
        );
    }
    text
}

/// A row that was left: why, and how it is where it should have been otherwise.
fn left_row(conflict: &Conflict) -> String {
    let Conflict { table, key_columns, key: values, columns, expected, found, wanted, reason } = conflict;
    let mut text = format!("{} {}: {}", tame(table), key(key_columns, values), tame(&reason.to_string()));
    let there = |row: &Option<Vec<SqlValue>>| if row.is_some() { "there" } else { "not there" };
    match (found, expected, wanted) {
        (Some(found), Some(expected), _) => {
            for at in (0..columns.len()).filter(|&at| found.get(at) != expected.get(at)) {
                let (is, left) = (value(&found[at]), value(&expected[at]));
                let _ = write!(text, "; {} is {is}, the step left {left}", tame(&columns[at]));
                if let Some(was) = wanted.as_ref().and_then(|wanted| wanted.get(at)) {
                    let _ = write!(text, ", before it was {}", value(was));
                }
            }
        }
        // Of what was inserted in bulk, only a digest is known.
        (Some(_), None, None) => text.push_str("; the step had inserted it"),
        _ => {
            let _ = write!(text, "; it is {}, the step left it {}", there(found), there(expected));
        }
    }
    text
}

fn maybe(certain: bool) -> &'static str {
    if certain { "" } else { " (it may or may not have happened)" }
}

fn unit(step: &StepName, item: Option<u32>) -> String {
    item.map_or_else(|| step.to_string(), |item| format!("{step}[{item}]"))
}

fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn key(columns: &[String], values: &[SqlValue]) -> String {
    let parts = columns.iter().zip(values).map(|(column, it)| format!("{} = {}", tame(column), value(it)));
    parts.collect::<Vec<_>>().join(", ")
}

/// A value as people read it; `--json` has it exactly.
fn value(value: &SqlValue) -> String {
    let text = match value {
        SqlValue::Null => return "null".into(),
        SqlValue::Boolean(value) => value.to_string(),
        SqlValue::Integer(n) => n.to_string(),
        SqlValue::Real(n) => format!("{n:?}"),
        SqlValue::Text(text) => format!("{text:?}"),
        SqlValue::Decimal(text) | SqlValue::Timestamp(text) | SqlValue::Json(text) | SqlValue::Uuid(text) => {
            text.clone()
        }
        SqlValue::Blob(bytes) => {
            let hex: String = bytes.iter().take(VALUE / 2).map(|byte| format!("{byte:02x}")).collect();
            format!("x'{hex}'{}", if bytes.len() > VALUE / 2 { "…" } else { "" })
        }
    };
    let text = tame(&text);
    let cut: String = text.chars().take(VALUE).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use wflo_model::{ChangeSet, RowChange, SqlValue, TableChange};

    use super::set;

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
            set(&changes, false),
            "  accounts\n    update  id = \"A-7\"   status: \"active\" -> \"blocked\"\n    insert  id = \"B-10\"  \
             status: \"new\\u{1b}[2J\", balance: 2\n    delete  id = \"C-1\"   status: \"old\", balance: 3\n"
        );
    }
}
