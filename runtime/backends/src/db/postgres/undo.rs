//! Applies the inverse of what a step changed, row by row.
//!
//! A row is put back where it is exactly as the step left it; it is locked from then on. What somebody else has done
//! since is not touched, and nothing is done that would make PostgreSQL touch another row by itself: a row that others
//! refer to is left, whatever the foreign key says is to become of them.
//!
//! Triggers of the owner run as with every write: a login role cannot switch them off, and should not. What they do to
//! rows that the step had changed is set right afterwards, so that these come out as they were; what they write
//! elsewhere, such as to a log, stays.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use wflo_model::SqlValue;
use wflo_ports::{ChangeSet, Conflict, ConflictReason, DbError, RowChange, TableChange, Undone};

use super::capture::exactly;
use super::error::translate;
use super::table::{Found, Table, find};
use super::value::{Parameter, Read, parameters};
use crate::db::names::quoted;

/// How often rows are set right that triggers have changed meanwhile.
const ROUNDS: usize = 3;

/// Applies the inverse of `changes` in the transaction that is open.
pub(super) async fn undo(client: &Client, changes: &ChangeSet) -> Result<Undone, DbError> {
    client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(translate)?;
    let mut undone = Undone::default();
    let mut left = Vec::new();
    let mut put_back = Vec::new();
    for change in &changes.tables {
        let table = match usable(client, change).await? {
            Ok(table) => table,
            Err(message) => {
                let reason = ConflictReason::Schema { message };
                undone
                    .conflicts
                    .extend(change.rows.iter().map(|row| Conflict::new(change, row, None, reason.clone())));
                continue;
            }
        };
        for row in &change.rows {
            let one = One { table: table.clone(), change, row };
            let found = one.found(client).await?;
            match () {
                () if one.is(found.as_deref(), row.before()) => put_back.push(one),
                () if one.is(found.as_deref(), row.after()) => left.push(one),
                () => undone.conflicts.push(Conflict::new(change, row, found, ConflictReason::Changed)),
            }
        }
    }
    // Deletes make room for what takes the place of the deleted.
    left.sort_by_key(|one| match one.row {
        RowChange::Insert { .. } => 0,
        RowChange::Update { .. } => 1,
        RowChange::Delete { .. } => 2,
    });
    // Rows depend on one another, so those that cannot be put back yet are tried for as long as others could be.
    loop {
        let before = left.len();
        let mut waiting = Vec::new();
        for one in left {
            match one.put_back(client).await? {
                None => put_back.push(one),
                Some(reason) => waiting.push((one, reason)),
            }
        }
        if waiting.is_empty() || waiting.len() == before {
            for (one, reason) in waiting {
                let found = one.found(client).await?;
                undone.conflicts.push(Conflict::new(one.change, one.row, found, reason));
            }
            break;
        }
        left = waiting.into_iter().map(|(one, _)| one).collect();
    }
    for _ in 0..ROUNDS {
        for one in &put_back {
            if !one.is(one.found(client).await?.as_deref(), one.row.before()) {
                one.put_back(client).await?;
            }
        }
    }
    for one in &put_back {
        let found = one.found(client).await?;
        if one.is(found.as_deref(), one.row.before()) {
            undone.rows += 1;
        } else {
            let reason =
                ConflictReason::Constraint { message: "a trigger of the database changes it again".into() };
            undone.conflicts.push(Conflict::new(one.change, one.row, found, reason));
        }
    }
    Ok(undone)
}

/// The table of a change, if it still has what the change is made of; else what it has not.
pub(super) async fn usable(client: &Client, change: &TableChange) -> Result<Result<Table, String>, DbError> {
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

/// One row that is to be put back.
pub(super) struct One<'c> {
    pub(super) table: Table,
    pub(super) change: &'c TableChange,
    pub(super) row: &'c RowChange,
}

impl One<'_> {
    fn is(&self, found: Option<&[SqlValue]>, wanted: Option<&[SqlValue]>) -> bool {
        exactly(found) == exactly(wanted)
    }

    /// The row as it is now, locked.
    pub(super) async fn found(&self, client: &Client) -> Result<Option<Vec<SqlValue>>, DbError> {
        let columns = self.table.values_of_named("t", &self.change.columns);
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE {} FOR UPDATE",
            columns.join(", "),
            self.table.sql,
            self.by_key(0)
        );
        let rows = run(client, &sql, &self.row.key().iter().collect::<Vec<_>>()).await?;
        Ok(rows_of(rows, columns.len())?.pop())
    }

    /// Makes the row what it was; if that cannot be, why. Nothing is left of a try that has failed.
    pub(super) async fn put_back(&self, client: &Client) -> Result<Option<ConflictReason>, DbError> {
        client.batch_execute("SAVEPOINT wflo_undo").await.map_err(translate)?;
        let tried = self.try_put_back(client).await;
        match &tried {
            Err(DbError::Interrupted(_)) => return tried,
            Ok(_) => client.batch_execute("RELEASE wflo_undo").await,
            Err(_) => client.batch_execute("ROLLBACK TO wflo_undo; RELEASE wflo_undo").await,
        }
        .map_err(translate)?;
        match tried {
            Err(DbError::Constraint(message) | DbError::Denied(message)) => {
                Ok(Some(ConflictReason::Constraint { message }))
            }
            other => other,
        }
    }

    async fn try_put_back(&self, client: &Client) -> Result<Option<ConflictReason>, DbError> {
        let found = self.found(client).await?;
        if let Some(found) = &found
            && let Some(table) = self.referring(client, found).await?
        {
            return Ok(Some(ConflictReason::Referenced { table }));
        }
        let name = &self.table.sql;
        let columns = &self.change.columns;
        let (sql, values): (String, Vec<&SqlValue>) = match (&found, self.row.before()) {
            (None, None) => return Ok(None),
            (Some(_), None) => {
                (format!("DELETE FROM {name} WHERE {}", self.by_key(0)), self.row.key().iter().collect())
            }
            (Some(found), Some(wanted)) => {
                let differs: Vec<usize> = (0..columns.len())
                    .filter(|&at| exactly(Some(&found[at..=at])) != exactly(Some(&wanted[at..=at])))
                    .collect();
                if differs.is_empty() {
                    return Ok(None);
                }
                let set = (1..).zip(&differs).map(|(n, &at)| format!("{} = ${n}", quoted(&columns[at])));
                let set = set.collect::<Vec<_>>().join(", ");
                let values = differs.iter().map(|&at| &wanted[at]).chain(self.row.key()).collect();
                (format!("UPDATE {name} SET {set} WHERE {}", self.by_key(differs.len())), values)
            }
            (None, Some(wanted)) => {
                let names: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
                let places: Vec<_> = (1..=columns.len()).map(|n| format!("${n}")).collect();
                let sql = format!(
                    "INSERT INTO {name} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                    names.join(", "),
                    places.join(", ")
                );
                (sql, wanted.iter().collect())
            }
        };
        run(client, &sql, &values).await.map(|_| None)
    }

    /// A condition that the row with the key is; its parameters stand after `before` others.
    fn by_key(&self, before: usize) -> String {
        let same = (1 + before..)
            .zip(&self.change.key_columns)
            .map(|(n, column)| format!("{} = ${n}", quoted(column)));
        same.collect::<Vec<_>>().join(" AND ")
    }

    /// A table with rows that refer to this one by values it is about to lose, and would be changed with it.
    async fn referring(&self, client: &Client, found: &[SqlValue]) -> Result<Option<String>, DbError> {
        let keys = client.query_typed(REFERRING, &[(&self.table.oid, Type::OID)]).await.map_err(translate)?;
        for key in keys {
            let (child, name, from, to): (String, String, Vec<String>, Vec<String>) =
                (key.get(0), key.get(1), key.get(2), key.get(3));
            let is_itself = key.get::<_, u32>(4) == self.table.oid;
            let values = |row: &[SqlValue]| -> Option<Vec<SqlValue>> {
                let at = |column: &String| self.change.columns.iter().position(|name| name == column);
                to.iter().map(|column| Some(row[at(column)?].clone())).collect()
            };
            let Some(loses) = values(found) else { continue };
            let keeps = self.row.before().and_then(values);
            if loses.contains(&SqlValue::Null) || exactly(Some(&loses)) == exactly(keeps.as_deref()) {
                continue;
            }
            let same = (1..).zip(&from).map(|(n, column)| format!("r.{} = ${n}", quoted(column)));
            let same = same.collect::<Vec<_>>().join(" AND ");
            let itself = if is_itself {
                let own = (1 + from.len()..).zip(&self.change.key_columns);
                let own: Vec<_> = own.map(|(n, column)| format!("r.{} = ${n}", quoted(column))).collect();
                format!(" AND NOT ({})", own.join(" AND "))
            } else {
                String::new()
            };
            let params: Vec<&SqlValue> = match itself.is_empty() {
                true => loses.iter().collect(),
                false => loses.iter().chain(self.row.key()).collect(),
            };
            let sql = format!("SELECT 1 FROM {child} AS r WHERE {same}{itself} LIMIT 1");
            if !run(client, &sql, &params).await?.is_empty() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Whether another row may refer to one of a table.
pub(super) async fn is_referred_to(client: &Client, table: &Table) -> Result<bool, DbError> {
    let keys = client.query_typed(REFERRING, &[(&table.oid, Type::OID)]).await.map_err(translate)?;
    Ok(!keys.is_empty())
}

/// The values of rows with so many columns.
pub(super) fn rows_of(rows: Vec<Row>, columns: usize) -> Result<Vec<Vec<SqlValue>>, DbError> {
    let value = |row: &Row, at| row.try_get::<_, Read>(at).map(|Read(value)| value).map_err(translate);
    rows.iter().map(|row| (0..columns).map(|at| value(row, at)).collect()).collect()
}

/// The foreign keys to a table: where they are, and which columns refer to which.
const REFERRING: &str = "
    SELECT format('%I.%I', n.nspname, c.relname), c.relname::text,
           ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY AS k(n, i)
                 JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n ORDER BY k.i),
           ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY AS k(n, i)
                 JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n ORDER BY k.i),
           f.conrelid
    FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE f.contype = 'f' AND f.confrelid = $1 ORDER BY 1, f.conname";

/// Runs a statement of the host with values.
pub(super) async fn run(client: &Client, sql: &str, values: &[&SqlValue]) -> Result<Vec<Row>, DbError> {
    let prepared = client.prepare(sql).await.map_err(translate)?;
    let params: Vec<Parameter> = parameters(values.iter().copied(), prepared.params())?;
    let params: Vec<_> = params.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    client.query(&prepared, &params).await.map_err(translate)
}
