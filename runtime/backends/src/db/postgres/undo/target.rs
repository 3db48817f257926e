//! Tables with rows that are to be put back.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use wflo_ports::{DbError, TableChange};

use crate::db::postgres::error::translate;
use crate::db::postgres::table::{Found, TRIGGER, Table, find};

/// The table of a change, if it still has what the change is made of; else what it has not.
pub(in crate::db::postgres) async fn usable(
    client: &Client,
    change: &TableChange,
) -> Result<Result<Table, String>, DbError> {
    Ok(match find(client, &change.table).await? {
        Found::Nothing => Err("it is not there".into()),
        Found::Uncapturable(why) => Err(why),
        Found::Table(now) => {
            let names = now.column_names();
            match change.columns.iter().find(|column| !names.contains(column)) {
                Some(column) => Err(format!("column `{column}` is not there")),
                None if now.key_names() != change.key_columns => Err("its primary key is another one".into()),
                None => Ok(now),
            }
        }
    })
}

/// A table with rows that are to be put back.
pub(in crate::db::postgres) struct Target {
    pub(super) table: Table,
    /// The foreign keys to it.
    pub(super) referring: Vec<ForeignKey>,
    /// Whether the owner has triggers that may change its rows.
    pub(super) has_triggers: bool,
}

/// A foreign key, seen from the table that is referred to.
pub(super) struct ForeignKey {
    /// The table that refers.
    pub(super) oid: u32,
    pub(super) name: String,
    /// Its name for SQL.
    pub(super) sql: String,
    /// Its columns.
    pub(super) from: Vec<String>,
    /// The columns that are referred to.
    pub(super) to: Vec<String>,
    /// Whether rows that refer change when what they refer to is deleted, or gets other values.
    pub(super) acts: Acts,
    /// Whether it can be looked at when a transaction ends.
    pub(super) is_deferrable: bool,
}

/// When a foreign key changes rows that refer.
#[derive(Clone, Copy)]
pub(super) struct Acts {
    pub(super) on_delete: bool,
    pub(super) on_update: bool,
}

impl Target {
    pub(in crate::db::postgres) async fn new(client: &Client, table: Table) -> Result<Self, DbError> {
        let keys = client.query_typed(REFERRING, &[(&table.oid, Type::OID)]).await.map_err(translate)?;
        let key = |row: Row| ForeignKey {
            sql: row.get(0),
            name: row.get(1),
            from: row.get(2),
            to: row.get(3),
            oid: row.get(4),
            acts: Acts { on_delete: row.get(5), on_update: row.get(6) },
            is_deferrable: row.get(7),
        };
        let types = [(&table.oid as &(dyn ToSql + Sync), Type::OID), (&TRIGGER, Type::TEXT)];
        let has_triggers = client.query_typed_one(HAS_TRIGGERS, &types).await.map_err(translate)?.get(0);
        Ok(Self { referring: keys.into_iter().map(key).collect(), has_triggers, table })
    }

    /// Whether another row may refer to one of it.
    pub(in crate::db::postgres) fn is_referred_to(&self) -> bool {
        !self.referring.is_empty()
    }
}

/// Whether a table has triggers, besides wflo's own, that run when a row comes or changes.
const HAS_TRIGGERS: &str = "
    SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1 AND t.tgname <> $2 AND NOT t.tgisinternal
        AND t.tgenabled <> 'D' AND t.tgtype & 20 <> 0)";

/// The foreign keys to a table: where they are, which columns refer to which, and what they do.
const REFERRING: &str = "
    SELECT format('%I.%I', n.nspname, c.relname), c.relname::text,
           ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY AS k(n, i)
                 JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n ORDER BY k.i),
           ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY AS k(n, i)
                 JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n ORDER BY k.i),
           f.conrelid, f.confdeltype NOT IN ('a', 'r'), f.confupdtype NOT IN ('a', 'r'), f.condeferrable
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE f.contype = 'f' AND f.confrelid = $1 ORDER BY 1, f.conname";
