//! The table of markers, by which a transaction is known to have committed.

use rusqlite::OptionalExtension;

use super::authorize::EFFECTS_TABLE;

/// The table of markers: one row for each committed transaction of a step. Only the primary key means
/// something to the host; the other columns are for people.
const CREATE_EFFECTS: &str = "
    CREATE TABLE IF NOT EXISTS main.wflo_effects (
        marker TEXT PRIMARY KEY NOT NULL,
        run TEXT NOT NULL,
        step TEXT NOT NULL,
        item INTEGER,
        at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
    ) WITHOUT ROWID";

/// The first change of every transaction.
pub(super) const INSERT_MARKER: &str =
    "INSERT INTO main.wflo_effects (marker, run, step, item) VALUES (?1, ?2, ?3, ?4)";

/// Whether the table is there. It is made before the first write.
pub(super) fn has_effects(sqlite: &rusqlite::Connection) -> rusqlite::Result<bool> {
    let found = sqlite
        .prepare_cached("SELECT 1 FROM main.sqlite_schema WHERE name = ?1")?
        .query_row([EFFECTS_TABLE], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// Makes the table unless it is there.
pub(super) fn prepare_effects(writer: &rusqlite::Connection) -> rusqlite::Result<()> {
    // Asked first, so that nothing is written when there is nothing to do.
    if !has_effects(writer)? {
        writer.execute_batch(CREATE_EFFECTS)?;
    }
    // A table of another shape shows now, not at the first write.
    writer.prepare(INSERT_MARKER).map(drop)
}
