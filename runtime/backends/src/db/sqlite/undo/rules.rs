//! What binds rows of a change set, from the schema.

use wflo_ports::{ChangeSet, DbError};

use super::Undo;
use crate::db::bonds::{Alike, Bond, Reference, Rules, Unique};
use crate::db::sqlite::error::translate;

/// The columns of unique indexes, an index after another. Those of rowids are none: the key of a row that is updated
/// stays as it is.
const UNIQUE: &str = "
    SELECT i.name, i.partial, c.name, c.coll
    FROM pragma_index_list(?1, 'main') AS i, pragma_index_xinfo(i.name, 'main') AS c
    WHERE i.\"unique\" AND c.key ORDER BY i.seq, c.seqno";

/// A column of an index: its name, none where it is an expression, and the collation.
type Column = (Option<String>, String);

impl Undo<'_> {
    pub(super) fn rules(&self, changes: &ChangeSet) -> Result<Rules, DbError> {
        let mut rules = Rules::default();
        for (table, change) in changes.tables.iter().enumerate() {
            let mut indexes: Vec<(String, bool, Vec<Column>)> = Vec::new();
            let mut statement = self.sqlite.prepare_cached(UNIQUE).map_err(translate)?;
            let mut rows = statement.query([&change.table]).map_err(translate)?;
            while let Some(row) = rows.next().map_err(translate)? {
                let (name, is_partial): (String, bool) =
                    (row.get(0).map_err(translate)?, row.get(1).map_err(translate)?);
                let column = (row.get(2).map_err(translate)?, row.get(3).map_err(translate)?);
                match indexes.last_mut() {
                    Some((last, _, columns)) if *last == name => columns.push(column),
                    _ => indexes.push((name, is_partial, vec![column])),
                }
            }
            for (_, is_partial, columns) in indexes {
                let known = columns.iter().map(|(name, collation)| {
                    let at = change.columns.iter().position(|it| Some(it) == name.as_ref())?;
                    let alike = match collation.to_ascii_uppercase().as_str() {
                        "NOCASE" => Alike::NoCase,
                        "RTRIM" => Alike::TrimEnd,
                        _ => Alike::Equal,
                    };
                    Some((at, alike))
                });
                // A generated column may come of any other.
                let known: Option<Vec<_>> = known.collect();
                let parks = match &known {
                    Some(columns) => columns.iter().map(|&(at, _)| at).collect(),
                    None => (0..change.columns.len()).collect(),
                };
                rules.uniques.push(Unique {
                    table,
                    is_exact: known.is_some() && !is_partial,
                    columns: known.unwrap_or_default(),
                    bond: Bond::Unique,
                    parks,
                });
            }
        }
        for key in &self.foreign {
            let columns = |table: &str, names: &[String]| {
                let at = changes.tables.iter().position(|it| it.table.eq_ignore_ascii_case(table))?;
                let of = &changes.tables[at].columns;
                let place = |name: &String| of.iter().position(|it| it.eq_ignore_ascii_case(name));
                Some((at, names.iter().map(place).collect::<Option<Vec<_>>>()?))
            };
            if let (Some(from), Some(to)) = (columns(&key.child, &key.from), columns(&key.parent, &key.to)) {
                rules.references.push(Reference { from, to, bond: Bond::Reference });
            }
        }
        Ok(rules)
    }
}
