//! A row that is to be put back.

use std::borrow::Cow;
use std::sync::Arc;

use wflo_model::SqlValue;
use wflo_ports::{Conflict, ConflictReason, DbError, RowChange, TableChange};

use super::batch::Expects;
use super::server::{Server, rows_of};
use super::target::{ForeignKey, Target};
use super::together::Company;
use crate::db::names::quoted;
use crate::db::postgres::capture::exactly;
use crate::db::postgres::error::{of_values, translate};

/// One row that is to be put back.
pub(in crate::db::postgres) struct One<'c> {
    pub(in crate::db::postgres) target: Arc<Target>,
    pub(in crate::db::postgres) change: &'c TableChange,
    pub(in crate::db::postgres) row: Cow<'c, RowChange>,
    /// The two changes that `row` was made of, where the step wrote its key in another way.
    pub(super) respelled: Option<[&'c RowChange; 2]>,
}

/// A row of a change set as it was found at first.
pub(super) struct Seen<'c> {
    /// The place of its table in the change set.
    pub(super) at: usize,
    pub(super) one: One<'c>,
    pub(super) found: Option<Vec<SqlValue>>,
}

impl<'c> One<'c> {
    pub(in crate::db::postgres) fn new(
        target: Arc<Target>,
        change: &'c TableChange,
        row: &'c RowChange,
    ) -> Self {
        Self { target, change, row: Cow::Borrowed(row), respelled: None }
    }

    /// The same row, with what it has come to be since the step left it.
    pub(super) fn left_as(mut self, found: Vec<SqlValue>) -> Self {
        self.row = Cow::Owned(match self.row.into_owned() {
            RowChange::Insert { key, .. } => RowChange::Insert { key, after: found },
            RowChange::Update { key, before, .. } => RowChange::Update { key, before, after: found },
            gone @ RowChange::Delete { .. } => gone,
        });
        self
    }

    /// Whether a column is of the key, or one that others may refer to.
    pub(super) fn is_bound(&self, column: usize) -> bool {
        let name = &self.change.columns[column];
        self.change.key_columns.contains(name)
            || self.target.referring.iter().any(|key| key.to.contains(name))
    }

    /// Whether the type of a column says how long its values are.
    pub(super) fn is_fixed(&self, column: usize) -> bool {
        let name = &self.change.columns[column];
        self.target.table.columns.iter().any(|column| column.name == *name && column.is_fixed)
    }

    /// What names it among all rows.
    pub(super) fn name(&self) -> (u32, String) {
        (self.target.table.oid, exactly(Some(self.row.key())))
    }

    /// Whether putting it back changes values that others may refer to.
    pub(super) fn moves_those_who_refer(&self) -> bool {
        let (now, then) = (self.row.after(), self.row.before());
        let of =
            |key: &ForeignKey, row: Option<&[SqlValue]>| row.and_then(|row| self.values_of(&key.to, row));
        self.target
            .referring
            .iter()
            .any(|key| exactly(of(key, now).as_deref()) != exactly(of(key, then).as_deref()))
    }

    /// The changes of the change set that it is.
    pub(super) fn changes(&self) -> impl Iterator<Item = &RowChange> {
        let one = self.respelled.is_none().then_some(&*self.row);
        one.into_iter().chain(self.respelled.into_iter().flatten())
    }

    /// What tells that it was left, and why.
    pub(super) fn conflicts(&self, found: Option<Vec<SqlValue>>, reason: ConflictReason) -> Vec<Conflict> {
        let conflict = |row| Conflict::new(self.change, row, found.clone(), reason.clone());
        self.changes().map(conflict).collect()
    }

    pub(super) fn is(&self, found: Option<&[SqlValue]>, wanted: Option<&[SqlValue]>) -> bool {
        exactly(found) == exactly(wanted)
    }

    /// What is read of its columns.
    pub(super) fn columns(&self) -> Vec<String> {
        self.target.table.values_of_named("t", &self.change.columns)
    }

    /// The row as it is now, locked: the one whose key the database takes for the same, however it is written.
    pub(in crate::db::postgres) async fn found(
        &self,
        server: &Server<'_>,
    ) -> Result<Option<Vec<SqlValue>>, DbError> {
        let columns = self.columns();
        let sql = format!(
            "SELECT {} FROM {} AS t WHERE {} FOR UPDATE",
            columns.join(", "),
            self.target.table.sql,
            self.by_key(0)
        );
        let rows = server.run(&sql, &self.row.key().iter().collect::<Vec<_>>()).await?;
        Ok(rows_of(rows, columns.len())?.pop())
    }

    /// Makes the row what it was; if that cannot be, why. Nothing is left of a try that has failed.
    ///
    /// With others that are put back in the same transaction, those of them that refer to it are in nobody's way.
    pub(in crate::db::postgres) async fn put_back(
        &self,
        server: &Server<'_>,
        with: Option<&Company<'_>>,
    ) -> Result<Option<ConflictReason>, DbError> {
        server.batch_execute("SAVEPOINT wflo_undo").await.map_err(translate)?;
        let tried = self.try_put_back(server, with).await;
        match &tried {
            Err(DbError::Interrupted(_)) => return tried,
            Ok(_) => server.batch_execute("RELEASE wflo_undo").await,
            Err(_) => server.batch_execute("ROLLBACK TO wflo_undo; RELEASE wflo_undo").await,
        }
        .map_err(translate)?;
        tried.or_else(|error| Ok(Some(ConflictReason::Constraint { message: of_values(error)? })))
    }

    async fn try_put_back(
        &self,
        server: &Server<'_>,
        with: Option<&Company<'_>>,
    ) -> Result<Option<ConflictReason>, DbError> {
        let found = self.found(server).await?;
        if let Some(found) = &found
            && let Some(table) = self.referring(server, found, self.row.before(), with).await?
        {
            return Ok(Some(ConflictReason::Referenced { table }));
        }
        if let Some((sql, values)) = self.statement(found.as_deref(), 0) {
            server.run(&sql, &values).await?;
        }
        Ok(None)
    }

    /// The statement that makes the row what it was, if it is not; its parameters stand after `before` others.
    pub(super) fn statement(
        &self,
        found: Option<&[SqlValue]>,
        before: usize,
    ) -> Option<(String, Vec<&SqlValue>)> {
        let name = &self.target.table.sql;
        let columns = &self.change.columns;
        match (found, self.row.before()) {
            (None, None) => None,
            (Some(_), None) => Some((
                format!("DELETE FROM {name} AS t WHERE {}", self.by_key(before)),
                self.row.key().iter().collect(),
            )),
            (Some(found), Some(wanted)) => {
                let differs: Vec<usize> = (0..columns.len())
                    .filter(|&at| exactly(Some(&found[at..=at])) != exactly(Some(&wanted[at..=at])))
                    .collect();
                if differs.is_empty() {
                    return None;
                }
                let set =
                    (1 + before..).zip(&differs).map(|(n, &at)| format!("{} = ${n}", quoted(&columns[at])));
                let set = set.collect::<Vec<_>>().join(", ");
                let values = differs.iter().map(|&at| &wanted[at]).chain(self.row.key()).collect();
                Some((
                    format!("UPDATE {name} SET {set} WHERE {}", self.by_key(before + differs.len())),
                    values,
                ))
            }
            (None, Some(wanted)) => {
                let names: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
                let places: Vec<_> = (1..=columns.len()).map(|n| format!("${}", before + n)).collect();
                let sql = format!(
                    "INSERT INTO {name} ({}) OVERRIDING SYSTEM VALUE VALUES ({})",
                    names.join(", "),
                    places.join(", ")
                );
                Some((sql, wanted.iter().collect()))
            }
        }
    }

    /// A condition that the row with the key is; its parameters stand after `before` others.
    pub(super) fn by_key(&self, before: usize) -> String {
        let same = (1 + before..)
            .zip(&self.change.key_columns)
            .map(|(n, column)| format!("{} = ${n}", quoted(column)));
        same.collect::<Vec<_>>().join(" AND ")
    }

    /// The values of some columns in a row; none where the change set does not have them all.
    pub(super) fn values_of(&self, columns: &[String], row: &[SqlValue]) -> Option<Vec<SqlValue>> {
        let at = |column: &String| self.change.columns.iter().position(|name| name == column);
        columns.iter().map(|column| Some(row[at(column)?].clone())).collect()
    }

    /// What puts the row back as the step left it, in the order in which it is done, and what each comes to; none where it
    /// has to be done with a look at what comes of it.
    pub(super) fn steps(&self) -> Option<Vec<(String, Vec<&SqlValue>, Expects)>> {
        let (sql, values) = self.statement(self.row.after(), 0)?;
        let returning = |what: &str| format!("{sql} RETURNING {what}");
        match &*self.row {
            RowChange::Insert { after, .. } => {
                let referring = self.target.referring.iter().filter_map(|key| {
                    let (same, values) = self.refers(key, after, None)?;
                    let sql = format!("SELECT 1 FROM {} AS r WHERE {same} LIMIT 1", key.sql);
                    Some((sql, values, Expects::Nobody))
                });
                let mut steps: Vec<_> = referring.collect();
                steps.push((returning(&self.columns().join(", ")), values, Expects::AsLeft));
                Some(steps)
            }
            RowChange::Update { .. } if self.moves_those_who_refer() => None,
            _ => Some(vec![(returning("1"), values, Expects::One)]),
        }
    }

    /// A condition that a row `r` refers to this one by values it is about to lose, and its parameters; none where it
    /// keeps them.
    fn refers<'s>(
        &'s self,
        key: &ForeignKey,
        found: &'s [SqlValue],
        wanted: Option<&[SqlValue]>,
    ) -> Option<(String, Vec<&'s SqlValue>)> {
        let loses = self.values_of(&key.to, found)?;
        let keeps = wanted.and_then(|wanted| self.values_of(&key.to, wanted));
        if loses.contains(&SqlValue::Null) || exactly(Some(&loses)) == exactly(keeps.as_deref()) {
            return None;
        }
        // Written in another way it is the same to whoever refers to it.
        let is_same =
            self.respelled.is_some() && key.to.iter().all(|it| self.change.key_columns.contains(it));
        if is_same && !key.acts.on_update {
            return None;
        }
        let at = |column: &String| self.change.columns.iter().position(|name| name == column);
        let mut values: Vec<&SqlValue> = key.to.iter().filter_map(at).map(|at| &found[at]).collect();
        let same = (1..).zip(&key.from).map(|(n, column)| format!("r.{} = ${n}", quoted(column)));
        let mut same = same.collect::<Vec<_>>().join(" AND ");
        if key.oid == self.target.table.oid {
            let own = (1 + key.from.len()..).zip(&self.change.key_columns);
            let own: Vec<_> = own.map(|(n, column)| format!("r.{} = ${n}", quoted(column))).collect();
            same += &format!(" AND NOT ({})", own.join(" AND "));
            values.extend(self.row.key());
        }
        Some((same, values))
    }

    /// A table with rows that refer to this one by values it is about to lose, and would be changed with it; but for
    /// those of its company that are in nobody's way.
    pub(super) async fn referring(
        &self,
        server: &Server<'_>,
        found: &[SqlValue],
        wanted: Option<&[SqlValue]>,
        with: Option<&Company<'_>>,
    ) -> Result<Option<String>, DbError> {
        for key in &self.target.referring {
            let Some((same, params)) = self.refers(key, found, wanted) else { continue };
            let (columns, most) = match with {
                Some(with) => with.key_of(key),
                None => (vec!["1".to_owned()], 1),
            };
            let sql =
                format!("SELECT {} FROM {} AS r WHERE {same} LIMIT {most}", columns.join(", "), key.sql);
            let rows = server.run(&sql, &params).await?;
            let is_in_the_way = match with {
                Some(with) => with.holds_back(
                    key,
                    &self.values_of(&key.to, found).unwrap_or_default(),
                    wanted.is_none(),
                    &rows_of(rows, columns.len())?,
                ),
                None => !rows.is_empty(),
            };
            if is_in_the_way {
                return Ok(Some(key.name.clone()));
            }
        }
        Ok(None)
    }
}
