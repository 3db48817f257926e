//! Joins what is known of a row whose key the step has written in another way that means the same.
//!
//! `1.00` takes the place of `1.0`, `-0` that of `0`, and, as a collation has it, `ANN` that of `ann`. A change set tells
//! keys apart by how they are written: to it one row has gone, and another one has come. To the database they are one
//! row, which either key finds; so they are one here, that is put back by an update.

use std::borrow::Cow;
use std::collections::HashMap;

use wflo_model::{RowChange, SqlValue};

use super::{One, Seen};
use crate::db::postgres::capture::exactly;

/// The rows, those of one key as one.
pub(super) fn joined(seen: Vec<Seen<'_>>) -> Vec<Seen<'_>> {
    // What was deleted is rarely found.
    let gone: HashMap<_, usize> = (0..seen.len())
        .filter(|&at| matches!(*seen[at].one.row, RowChange::Delete { .. }))
        .filter_map(|at| Some((place(&seen[at])?, at)))
        .collect();
    if gone.is_empty() {
        return seen;
    }
    let mut seen: Vec<Option<Seen<'_>>> = seen.into_iter().map(Some).collect();
    for at in 0..seen.len() {
        if let Some(it) = &seen[at]
            && let Cow::Borrowed(came @ RowChange::Insert { key, after }) = it.one.row
            && let Some(&other) = place(it).and_then(|place| gone.get(&place))
            && let Some(Seen { one: One { row: Cow::Borrowed(gone), .. }, .. }) = seen[other].take()
            && let (Some(before), Some(it)) = (gone.before(), &mut seen[at])
        {
            let (key, before, after) = (key.clone(), before.to_vec(), after.clone());
            it.one.row = Cow::Owned(RowChange::Update { key, before, after });
            it.one.respelled = Some([gone, came]);
        }
    }
    seen.into_iter().flatten().collect()
}

/// What names the row that was found: its table, and its key as it is written now.
fn place(seen: &Seen<'_>) -> Option<(usize, String)> {
    let key: Option<Vec<SqlValue>> = seen.one.values_of(&seen.one.change.key_columns, seen.found.as_deref()?);
    Some((seen.at, exactly(key.as_deref())))
}
