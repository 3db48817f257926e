//! The three statements that write: what they write, which rows of it, and what they look at by doing so.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::ptr;

use sqlparser::ast::{
    Assignment, Delete, FromTable, Insert, ObjectName, OnConflictAction, OnInsert, TableFactor, TableObject,
    TableWithJoins, Update,
};
use wflo_model::TableAccess;
use wflo_ports::DbError;

use super::super::Purpose;
use super::super::columns::{Columns, VisitColumns, assigned};
use super::super::name::{folded, reserved};
use super::super::pieces::Reach;
use super::{Stop, Walk, denied, last_of};

impl Walk<'_> {
    /// A table that is written: all of its rows, or columns of them.
    fn writes(&mut self, verb: &str, at: &ObjectName, columns: Option<&[Assignment]>) -> Stop {
        let name = match Self::granted_name(at) {
            Ok(name) => name,
            Err(error) => return ControlFlow::Break(error),
        };
        reserved(&name)?;
        if self.purpose != Purpose::Execute {
            return denied(format!(
                "a query only reads, and this one would {verb} table `{name}`; use `execute`"
            ));
        }
        let granted = match self.access.whole {
            true => Some(&TableAccess::All),
            false => self.access.write.get(&name),
        };
        let Some(granted) = granted else {
            return denied(format!(
                "the step may not {verb} table `{name}`; a grant would be `write = [\"{name}\"]`"
            ));
        };
        match (granted.columns(), columns) {
            (None, _) => {}
            (Some(_), None) => {
                return denied(format!(
                    "the step may not {verb} table `{name}`: its grant names columns, which allows updates only"
                ));
            }
            (Some(may), Some(assignments)) => {
                for column in assignments.iter().flat_map(assigned) {
                    if !column.as_ref().is_some_and(|column| may.contains(column)) {
                        let column = column.unwrap_or_default();
                        return denied(format!(
                            "the step may not update column `{column}` of table `{name}`"
                        ));
                    }
                }
            }
        }
        self.reach = self.reach_of(&name, granted);
        self.target = Some(ptr::from_ref(at));
        self.written.insert(name);
        ControlFlow::Continue(())
    }

    /// The rows of a table that a write may touch: those that may be written and, where it may be read, also seen.
    fn reach_of(&self, table: &str, written: &TableAccess) -> Option<Reach> {
        let read = if self.access.whole { None } else { self.access.read.get(table) };
        let rows: Vec<_> =
            [read, Some(written)].into_iter().flatten().filter_map(TableAccess::filter).collect();
        if rows.is_empty() {
            return None;
        }
        Some(Reach {
            table: table.to_owned(),
            rows: rows.into_iter().cloned().collect(),
            kept: written.filter().cloned(),
            seen: read.map_or_else(|| Some(BTreeSet::new()), |read| read.columns().cloned()),
        })
    }

    /// A write that looks at its table, as far as can be told: it is read too.
    fn looks_at(&mut self, at: &ObjectName, parts: &[&dyn VisitColumns], tells: bool) -> Stop {
        let mut seen = Columns::default();
        for part in parts {
            part.columns(&mut seen);
        }
        if seen.0.is_empty() && !tells {
            return ControlFlow::Continue(());
        }
        let name = match Self::granted_name(at) {
            Ok(name) => name,
            Err(error) => return ControlFlow::Break(error),
        };
        if let Some(may) = self.may_read(&name)?.columns() {
            if let Some(other) = seen.0.iter().find(|column| !may.contains(*column)) {
                return denied(format!("the step may not read column `{other}` of table `{name}`"));
            }
            if tells {
                return denied(format!(
                    "the step may not read all of table `{name}`, which `RETURNING` may do"
                ));
            }
        }
        self.read.insert(name);
        ControlFlow::Continue(())
    }

    pub(super) fn insert(&mut self, insert: &Insert) -> Stop {
        let TableObject::TableName(name) = &insert.table else {
            return denied("only tables can be written");
        };
        let plain = insert.or.is_none()
            && !insert.ignore
            && !insert.overwrite
            && !insert.by_name
            && !insert.replace_into
            && !insert.has_table_keyword
            && insert.assignments.is_empty()
            && insert.partitioned.is_none()
            && insert.after_columns.is_empty()
            && insert.output.is_none()
            && insert.priority.is_none()
            && insert.insert_alias.is_none()
            && insert.settings.is_none()
            && insert.format_clause.is_none()
            && insert.multi_table_insert_type.is_none()
            && insert.multi_table_into_clauses.is_empty()
            && insert.multi_table_when_clauses.is_empty()
            && insert.multi_table_else_clause.is_none();
        if !plain {
            return denied("an `INSERT` of this kind is never open to a step");
        }
        self.writes("insert into", name, None)?;
        let named = self.seen_as(name);
        let alias = insert.table_alias.as_ref().map(|it| folded(&it.alias));
        for name in [Some("excluded".to_owned()), alias, last_of(name)].into_iter().flatten() {
            self.doubts.name(name, named.clone());
        }
        let mut parts: Vec<&dyn VisitColumns> = Vec::new();
        if let Some(OnInsert::OnConflict(conflict)) = &insert.on
            && let OnConflictAction::DoUpdate(update) = &conflict.action
        {
            parts.extend(update.assignments.iter().map(|it| &it.value as &dyn VisitColumns));
            parts.extend(update.selection.iter().map(|it| it as &dyn VisitColumns));
        }
        self.looks_at(name, &parts, insert.returning.is_some())
    }

    pub(super) fn update(&mut self, update: &Update) -> Stop {
        let name = self.table_of(&update.table)?;
        let plain = update.on_cluster.is_none()
            && update.output.is_none()
            && update.or.is_none()
            && update.order_by.is_empty()
            && update.limit.is_none()
            && update.settings.is_none();
        if !plain || !update.table.joins.is_empty() {
            return denied("an `UPDATE` of this kind is never open to a step");
        }
        self.writes("update", name, Some(&update.assignments))?;
        let mut parts: Vec<&dyn VisitColumns> = Vec::new();
        parts.extend(update.assignments.iter().map(|it| &it.value as &dyn VisitColumns));
        parts.extend(update.selection.iter().map(|it| it as &dyn VisitColumns));
        self.looks_at(name, &parts, update.returning.is_some())
    }

    pub(super) fn delete(&mut self, delete: &Delete) -> Stop {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [table] = from.as_slice() else {
            return denied("a `DELETE` of this kind is never open to a step");
        };
        let name = self.table_of(table)?;
        let plain = delete.tables.is_empty()
            && delete.on_cluster.is_none()
            && delete.output.is_none()
            && delete.order_by.is_empty()
            && delete.limit.is_none()
            && delete.settings.is_none();
        if !plain || !table.joins.is_empty() {
            return denied("a `DELETE` of this kind is never open to a step");
        }
        self.writes("delete from", name, None)?;
        let parts: Vec<&dyn VisitColumns> =
            delete.selection.iter().map(|it| it as &dyn VisitColumns).collect();
        self.looks_at(name, &parts, delete.returning.is_some())
    }

    fn table_of<'s>(&self, table: &'s TableWithJoins) -> ControlFlow<DbError, &'s ObjectName> {
        match &table.relation {
            TableFactor::Table { name, args: None, .. } => ControlFlow::Continue(name),
            _ => denied("only tables can be written"),
        }
    }
}
