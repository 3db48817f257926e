//! What a table is made of, for keeping its changes and for undoing them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use crate::db::made_up::{is_constant, is_made_up};
use crate::db::names::quoted;

/// A table whose rows can be told apart, so that what happens to each can be kept.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// Its name, as it was created.
    pub(super) name: String,
    /// The columns that hold values of their own: all but generated ones.
    pub(super) columns: Vec<String>,
    /// Where the columns of the primary key stand among `columns`, in the order of the key.
    pub(super) key: Vec<usize>,
    /// What may make a row take another's place: the key, and every unique index, as columns with the collation in
    /// which they are compared.
    pub(super) unique: Vec<Unique>,
    /// What a null becomes with `OR REPLACE`, by the column: the default of one that takes none.
    defaults: BTreeMap<String, String>,
}

impl Table {
    /// The value that a new row has in a column, for a trigger before it is there.
    pub(super) fn coming(&self, column: &str) -> String {
        let new = format!("NEW.{}", quoted(column));
        match self.defaults.get(column) {
            Some(default) => format!("coalesce({new}, {default})"),
            None => new,
        }
    }
}

/// The columns of a unique index, each with the collation it is compared in if that is not the column's own.
pub(super) type Unique = Vec<(String, Option<String>)>;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A view: what is written through it is written to tables.
    View,
    /// A table whose changes can be kept.
    Table(Table),
    /// One whose changes cannot, and why, in words that follow its name.
    Uncapturable(&'static str),
}

/// Looks a name up in the schema of the database.
pub(super) fn find(sqlite: &Connection, name: &str) -> rusqlite::Result<Found> {
    let kind = sqlite
        .prepare_cached(
            "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
        )?
        .query_row([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let name = match kind {
        None => return Ok(Found::Nothing),
        Some((name, kind)) => match kind.as_str() {
            "view" => return Ok(Found::View),
            "table" => name,
            _ => return Ok(Found::Uncapturable("is virtual, or belongs to a virtual table")),
        },
    };
    let mut columns = Vec::new();
    let mut key = Vec::new();
    let mut defaults = BTreeMap::new();
    let mut statement = sqlite.prepare_cached(
        "SELECT name, pk, hidden, CASE WHEN \"notnull\" THEN dflt_value END FROM pragma_table_xinfo(?1, 'main') ORDER BY cid",
    )?;
    let mut rows = statement.query([&name])?;
    while let Some(row) = rows.next()? {
        let (column, place, hidden): (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // 2 and 3 are generated columns; SQLite allows none of them in a primary key.
        if hidden != 0 {
            continue;
        }
        if place > 0 {
            key.push((place, columns.len()));
        }
        if let Some(default) = row.get::<_, Option<String>>(3)?.filter(|text| is_constant(text)) {
            defaults.insert(column.clone(), default);
        }
        columns.push(column);
    }
    if key.is_empty() {
        return Ok(Found::Uncapturable("has no primary key"));
    }
    key.sort_unstable();
    let key: Vec<usize> = key.into_iter().map(|(_, at)| at).collect();
    let by_key = key.iter().map(|&at| (columns[at].clone(), None)).collect();
    match unique_indexes(sqlite, &name)? {
        None => Ok(Found::Uncapturable(
            "has a unique index on an expression, so that a row it replaces cannot be told",
        )),
        Some(indexes) => {
            let unique = std::iter::once(by_key).chain(indexes).collect();
            Ok(Found::Table(Table { name, columns, key, unique, defaults }))
        }
    }
}

/// Whether a table or view has a trigger. Those of a view run instead of what is written through it.
pub(super) fn has_trigger(sqlite: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE";
    sqlite.prepare_cached(sql)?.exists([name])
}

/// The name of a table or view as it was created, and every column of it that can be selected by name, generated ones too.
pub(super) fn columns_of(sqlite: &Connection, name: &str) -> rusqlite::Result<Option<(String, Vec<String>)>> {
    let spelled: Option<String> = sqlite
        .prepare_cached(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
        )?
        .query_row([name], |row| row.get(0))
        .optional()?;
    let Some(spelled) = spelled else { return Ok(None) };
    // Hidden columns of virtual tables are no data.
    let columns = sqlite
        .prepare_cached("SELECT name FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1 ORDER BY cid")?
        .query_map([&spelled], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Some((spelled, columns)))
}

/// The columns of a table with a default that is another value each time, with that default. An `AUTOINCREMENT` is none:
/// what is rolled back has taken no number.
pub(super) fn made_up(sqlite: &Connection, name: &str) -> rusqlite::Result<Vec<(String, String)>> {
    let mut defaults = sqlite.prepare_cached(
        "SELECT name, dflt_value FROM pragma_table_xinfo(?1, 'main') WHERE dflt_value IS NOT NULL ORDER BY cid",
    )?;
    let defaults = defaults.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    defaults
        .filter(|found| found.as_ref().map_or(true, |(_, default): &(String, String)| is_made_up(default)))
        .collect()
}

/// The unique indexes of a table; none if one of them is on an expression.
fn unique_indexes(sqlite: &Connection, table: &str) -> rusqlite::Result<Option<Vec<Unique>>> {
    let mut indexes = Vec::new();
    let names: Vec<String> = sqlite
        .prepare_cached("SELECT name FROM pragma_index_list(?1, 'main') WHERE \"unique\" ORDER BY seq")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for name in names {
        let mut statement = sqlite.prepare_cached(
            "SELECT cid, name, coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno",
        )?;
        let mut rows = statement.query([&name])?;
        let mut columns = Vec::new();
        while let Some(row) = rows.next()? {
            match (row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?) {
                (-2, _) | (_, None) => return Ok(None),
                (_, Some(column)) => columns.push((column, row.get(2)?)),
            }
        }
        indexes.push(columns);
    }
    Ok(Some(indexes))
}

/// A foreign key, seen from the table that has it.
#[derive(Clone, Debug)]
pub(super) struct ForeignKey {
    /// The table that refers.
    pub(super) child: String,
    /// Its columns.
    pub(super) from: Vec<String>,
    /// The table that is referred to, as the foreign key spells it.
    pub(super) parent: String,
    /// The columns there.
    pub(super) to: Vec<String>,
    /// Whether rows that refer are changed or deleted with the row they refer to.
    pub(super) acts: bool,
}

/// Every foreign key of the database whose two sides are there.
pub(super) fn foreign_keys(sqlite: &Connection) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    let mut statement = sqlite.prepare_cached(
        "SELECT t.name, f.id, f.\"table\", f.\"from\", f.\"to\",
                f.on_update NOT IN ('NO ACTION', 'RESTRICT') OR f.on_delete NOT IN ('NO ACTION', 'RESTRICT')
         FROM main.sqlite_schema AS t, pragma_foreign_key_list(t.name, 'main') AS f
         WHERE t.type = 'table' ORDER BY t.name, f.id, f.seq",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (child, id, parent, from): (String, i64, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let (to, acts): (Option<String>, bool) = (row.get(4)?, row.get(5)?);
        match keys.last_mut() {
            Some((last, key)) if *last == id && key.child == child => {
                key.from.push(from);
                key.to.extend(to);
            }
            _ => {
                let to = to.into_iter().collect();
                keys.push((id, ForeignKey { child, from: vec![from], parent, to, acts }))
            }
        }
    }
    let mut whole = Vec::new();
    for (_, mut key) in keys {
        // Without columns it refers to the primary key.
        if key.to.is_empty()
            && let Found::Table(parent) = find(sqlite, &key.parent)?
        {
            key.to = parent.key.iter().map(|&at| parent.columns[at].clone()).collect();
        }
        if key.to.len() == key.from.len() {
            whole.push(key);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{Found, find, foreign_keys};

    fn made(schema: &str) -> Connection {
        let sqlite = Connection::open_in_memory().unwrap();
        sqlite.execute_batch(schema).unwrap();
        sqlite
    }

    fn table(schema: &str) -> super::Table {
        match find(&made(schema), "T").unwrap() {
            Found::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_has_its_own_order_and_generated_columns_are_left_out() {
        let t = table(
            "CREATE TABLE t (a, g AS (a || b), b TEXT COLLATE NOCASE UNIQUE, c, PRIMARY KEY (c, a)) WITHOUT ROWID",
        );
        assert_eq!(t.name, "t");
        assert_eq!(t.columns, ["a", "b", "c"]);
        assert_eq!(t.key, [2, 0]);
        assert!(t.unique.contains(&vec![("b".to_owned(), Some("NOCASE".to_owned()))]), "{:?}", t.unique);
    }

    #[test]
    fn tables_whose_rows_cannot_be_told_apart_are_refused() {
        let why = |schema: &str| match find(&made(schema), "t").unwrap() {
            Found::Uncapturable(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why("CREATE TABLE t (a)"), "has no primary key");
        assert!(
            why("CREATE TABLE t (a INTEGER PRIMARY KEY, b); CREATE UNIQUE INDEX i ON t (lower(b))")
                .contains("expression")
        );
        assert!(why("CREATE VIRTUAL TABLE t USING fts5(a)").contains("virtual"));
        assert!(matches!(find(&made("CREATE VIEW t AS SELECT 1"), "t").unwrap(), Found::View));
        assert!(matches!(find(&made(""), "t").unwrap(), Found::Nothing));
    }

    #[test]
    fn foreign_keys_are_found_with_their_columns() {
        let keys = foreign_keys(&made(
            "CREATE TABLE p (a, b, PRIMARY KEY (b, a));
             CREATE TABLE c (x PRIMARY KEY, y, z, w REFERENCES gone (id), FOREIGN KEY (y, z) REFERENCES P)",
        ))
        .unwrap();
        let key = keys.iter().find(|key| key.parent == "P").unwrap();
        assert_eq!(
            (&key.child[..], &key.from[..], &key.to[..]),
            ("c", &["y".into(), "z".into()][..], &["b".into(), "a".into()][..])
        );
        assert_eq!(keys.len(), 2);
    }
}
