//! What binds rows of a change set, from the catalog.

use std::sync::Arc;

use tokio_postgres::Client;
use tokio_postgres::types::Type;
use wflo_ports::{ChangeSet, DbError};

use super::Target;
use crate::db::bonds::{Alike, Bond, Reference, Rules, Unique};
use crate::db::postgres::error::translate;

/// The unique indexes and exclusion constraints of a table: the columns, those that expressions and conditions come of
/// last, whether equal values exclude one another, always, and whether they do so with each row. What a collation or an
/// extension takes for equal is not known.
const UNIQUE: &str = "
    SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
                 ORDER BY array_position(i.indkey::int2[], a.attnum)),
           ARRAY(SELECT DISTINCT a.attname::text FROM pg_catalog.pg_depend d
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
                 WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
                 AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0 ORDER BY 1),
           i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                   JOIN pg_catalog.pg_type y ON y.oid = a.atttypid LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
                   WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
                   AND (NOT coalesce(l.collisdeterministic, true)
                       OR y.typtype <> 'e' AND coalesce(nullif(y.typbasetype, 0), y.oid) >= 16384)),
           i.indimmediate
    FROM pg_catalog.pg_index i
    WHERE i.indrelid = $1 AND (i.indisunique OR i.indisexclusion) AND i.indisvalid ORDER BY i.indexrelid";

/// The rules for rows of these tables, each by its place in the change set.
pub(super) async fn of(
    client: &Client,
    tables: &[(usize, Arc<Target>)],
    changes: &ChangeSet,
) -> Result<Rules, DbError> {
    let mut rules = Rules::default();
    let places = |at: usize, names: &[String]| -> Option<Vec<usize>> {
        let of = &changes.tables[at].columns;
        names.iter().map(|name| of.iter().position(|it| it == name)).collect()
    };
    for (at, target) in tables {
        let indexes =
            client.query_typed(UNIQUE, &[(&target.table.oid, Type::OID)]).await.map_err(translate)?;
        for index in indexes {
            let (key, others, is_exact, is_immediate): (Vec<String>, Vec<String>, bool, bool) =
                (index.get(0), index.get(1), index.get(2), index.get(3));
            let mut names = key;
            if !is_exact {
                names.extend(others.into_iter().filter(|name| !names.contains(name)).collect::<Vec<_>>());
            }
            let known = places(*at, &names);
            // A generated column may come of any other.
            let parks = known.clone().unwrap_or_else(|| (0..changes.tables[*at].columns.len()).collect());
            rules.uniques.push(Unique {
                table: *at,
                is_exact: is_exact && known.is_some(),
                columns: known.into_iter().flatten().map(|at| (at, Alike::Equal)).collect(),
                bond: if is_immediate { Bond::Unique } else { Bond::Deferrable },
                parks,
            });
        }
        for key in &target.referring {
            let Some((child, _)) = tables.iter().find(|(_, it)| it.table.oid == key.oid) else { continue };
            if let (Some(from), Some(to)) = (places(*child, &key.from), places(*at, &key.to)) {
                // What is done to rows that refer is never put off.
                let waits = key.is_deferrable && !key.acts.on_delete && !key.acts.on_update;
                let bond = if waits { Bond::Deferrable } else { Bond::Reference };
                rules.references.push(Reference { from: (*child, from), to: (*at, to), bond });
            }
        }
    }
    Ok(rules)
}
