//! What a rollback does or did, in words.

use std::fmt::Write as _;

use wflo::RollbackView;
use wflo_engine::{Reapplied, RollbackPlan};
use wflo_model::{Conflict, ConflictReason};

use crate::changes::{Values, count, key, unit, value};
use crate::terminal::{self, tame};

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
            let _ = writeln!(
                text,
                "undo        {}: {rows} in database `{database}`{}",
                unit(&it.step, it.item),
                maybe(it.certain)
            );
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
    let of: Vec<_> = view.only.iter().map(|unit| format!("`{unit}`")).collect();
    let to = match &view.to {
        Some(to) => format!(" to `{to}`"),
        None if of.is_empty() => String::new(),
        None => format!(" of {}", of.join(", ")),
    };
    if let Some(outcome) = &view.refused {
        return format!("rollback{to}{by}: {outcome}, nothing was done\n");
    }
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
            Some(Reapplied::Done { .. }) => "as it was before".to_owned(),
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
    let mut text =
        format!("{} {}: {}", tame(table), key(key_columns, values, Values::Cut), tame(&reason.to_string()));
    match (found, expected, wanted) {
        (Some(found), Some(expected), _) => {
            for at in (0..columns.len()).filter(|&at| found.get(at) != expected.get(at)) {
                let (is, left) = (value(&found[at], Values::Cut), value(&expected[at], Values::Cut));
                let _ = write!(text, "; {} is {is}, the step left {left}", tame(&columns[at]));
                if let Some(was) = wanted.as_ref().and_then(|wanted| wanted.get(at)) {
                    let _ = write!(text, ", before it was {}", value(was, Values::Cut));
                }
            }
        }
        // Of what was inserted in bulk, only a digest is known.
        (Some(_), None, None) => text.push_str("; the step had inserted it"),
        (Some(_), None, Some(_)) => text.push_str("; the step had deleted it, and it is there again"),
        // One that is gone has changed. Where there is another reason, such as a table of another form, it was not seen.
        (None, Some(_), _) if matches!(reason, ConflictReason::Changed) => {
            text.push_str("; the step had left it there, and it is gone")
        }
        (None, _, _) => {}
    }
    text
}

fn maybe(certain: bool) -> &'static str {
    if certain { "" } else { " (it may or may not have happened)" }
}
