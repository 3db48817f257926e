//! Walks through a parsed statement and stops at the first thing that is not on a list.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::ptr;

use sqlparser::ast::{
    Assignment, BinaryOperator, Delete, Expr, FromTable, Function, FunctionArgumentClause, FunctionArguments,
    Insert, ObjectName, ObjectNamePart, OnConflictAction, OnInsert, OrderByExpr, OrderBySort, Query, Select,
    SelectFlavor, SetExpr, Statement, TableAlias, TableFactor, TableObject, TableWithJoins, Update, Visit,
    Visitor,
};
use wflo_model::{DbAccess, TableAccess};
use wflo_ports::DbError;

use super::Purpose;
use super::columns::{Columns, VisitColumns, assigned};
use super::doubts::{Doubts, Named};
use super::functions::{is_grammar, is_pure, is_random};
use super::name::{folded, place, reserved};
use super::pieces::Reach;
use super::rows;
use super::text::Replacement;
use crate::db::names::quoted;

/// What stops a walk.
type Stop = ControlFlow<DbError>;

/// A walk through one statement.
pub(super) struct Walk<'a> {
    access: &'a DbAccess,
    purpose: Purpose,
    /// The common table expressions in scope, a frame a query that is being walked through.
    frames: Vec<Frame>,
    /// The table that the statement writes, by where its name stands, and what was asked of it.
    target: Option<*const ObjectName>,
    /// Names that stand where a table could and are those of functions.
    functions: Vec<*const ObjectName>,
    /// Table factors with an alias, by where their name stands.
    aliased: Vec<*const ObjectName>,
    read: BTreeSet<String>,
    written: BTreeSet<String>,
    /// The rows of the written table that may be touched, if not all.
    reach: Option<Reach>,
    instead: Vec<Replacement>,
    doubts: Doubts,
}

/// What a walk has found.
pub(super) struct Found {
    /// The tables that are read, as grants name them.
    pub(super) read: BTreeSet<String>,
    /// The table that is written.
    pub(super) written: BTreeSet<String>,
    /// Which of its rows may be touched, if not all.
    pub(super) reach: Option<Reach>,
    /// What stands for tables of which columns or rows are granted, and for functions.
    pub(super) instead: Vec<Replacement>,
    /// What the database has to be asked first.
    pub(super) doubts: Doubts,
}

struct Frame {
    names: Vec<String>,
    /// Expressions whose query has not been walked through: their names are not in scope yet.
    coming: Vec<(*const Query, String)>,
}

fn denied<T>(why: impl Into<String>) -> ControlFlow<DbError, T> {
    ControlFlow::Break(DbError::Denied(why.into()))
}

impl<'a> Walk<'a> {
    pub(super) fn new(access: &'a DbAccess, purpose: Purpose) -> Self {
        Self {
            access,
            purpose,
            frames: Vec::new(),
            target: None,
            functions: Vec::new(),
            aliased: Vec::new(),
            read: BTreeSet::new(),
            written: BTreeSet::new(),
            reach: None,
            instead: Vec::new(),
            doubts: Doubts::default(),
        }
    }

    /// Walks through all of it.
    pub(super) fn statement(&mut self, statement: &Statement) -> Result<(), DbError> {
        match statement.visit(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }

    /// What was found on the way.
    pub(super) fn finish(self) -> Found {
        let Self { read, written, reach, instead, doubts, .. } = self;
        Found { read, written, reach, instead, doubts }
    }

    /// What a query is made of, down to the queries in it.
    fn body(&self, body: &SetExpr, is_outermost: bool) -> Stop {
        match body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, false)?;
                self.body(right, false)
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) if is_outermost => {
                ControlFlow::Continue(())
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                denied("a write within another statement is never open to a step; send it by itself")
            }
            SetExpr::Table(_) => denied("`TABLE` is never open to a step; write `SELECT * FROM`"),
        }
    }

    /// A table's name, as a grant has it.
    fn granted_name(name: &ObjectName) -> Result<String, DbError> {
        let parts: Option<Vec<String>> = name.0.iter().map(|part| Some(folded(part.as_ident()?))).collect();
        match parts.as_deref() {
            // With a point in it, a name would be taken for that of another schema's table.
            Some([table]) if !table.contains('.') => Ok(table.clone()),
            Some([schema, table]) => Ok(format!("{schema}.{table}")),
            _ => Err(DbError::Denied(format!("`{name}` is no table of this database"))),
        }
    }

    /// A table that is read.
    fn reads(&mut self, at: &ObjectName) -> Stop {
        let name = match Self::granted_name(at) {
            Ok(name) => name,
            Err(error) => return ControlFlow::Break(error),
        };
        reserved(&name)?;
        match self.may_read(&name)? {
            TableAccess::All => {}
            access @ (TableAccess::Columns(_) | TableAccess::Rows { .. }) => {
                let columns = match access.columns() {
                    Some(columns) => columns.iter().map(|column| quoted(column)).collect(),
                    None => vec!["*".to_owned()],
                };
                let rows = access.filter().map(rows::only).unwrap_or_default();
                let table = match name.split_once('.') {
                    Some((schema, table)) => format!("{} . {}", quoted(schema), quoted(table)),
                    None => quoted(&name),
                };
                let alias = match (self.aliased.iter().any(|aliased| ptr::eq(*aliased, at)), at.0.last()) {
                    (false, Some(ObjectNamePart::Identifier(own))) => format!(" AS {}", quoted(&folded(own))),
                    _ => String::new(),
                };
                let (first, last) = place(at);
                self.instead.push(Replacement {
                    first,
                    last,
                    sql: format!("( SELECT {} FROM {table}{rows} ){alias}", columns.join(" , ")),
                });
            }
        }
        self.read.insert(name);
        ControlFlow::Continue(())
    }

    fn may_read(&self, name: &str) -> ControlFlow<DbError, TableAccess> {
        if self.access.whole {
            return ControlFlow::Continue(TableAccess::All);
        }
        match self.access.read.get(name) {
            Some(access) => ControlFlow::Continue(access.clone()),
            None => denied(format!(
                "the step may not read table `{name}`; a grant would be `read = [\"{name}\"]`"
            )),
        }
    }

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

    fn insert(&mut self, insert: &Insert) -> Stop {
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

    fn update(&mut self, update: &Update) -> Stop {
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

    fn delete(&mut self, delete: &Delete) -> Stop {
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

    /// A function that is called: it is the server's own, whatever else has its name.
    fn function(&mut self, at: &ObjectName) -> Stop {
        let [ObjectNamePart::Identifier(ident)] = at.0.as_slice() else {
            return denied(format!("function `{at}` is never open to a step"));
        };
        let name = folded(ident);
        if is_pure(&name) || (is_random(&name) && self.purpose == Purpose::Query) {
            if !is_grammar(&name) {
                let (first, last) = place(at);
                self.instead.push(Replacement {
                    first,
                    last,
                    sql: format!("pg_catalog . {}", quoted(&name)),
                });
            }
            ControlFlow::Continue(())
        } else if is_random(&name) {
            denied(format!(
                "function `{name}` cannot be repeated with equal results within a transaction; pass a random value of \
                 the step as a parameter"
            ))
        } else {
            denied(format!("function `{name}` is never open to a step"))
        }
    }

    fn call(&mut self, function: &Function) -> Stop {
        if function.uses_odbc_syntax || function.parameters != FunctionArguments::None {
            return denied(format!("function `{}` cannot be called so", function.name));
        }
        match function.args {
            // Such as `current_date`, which is no name.
            FunctionArguments::None => match function.name.0.as_slice() {
                [ObjectNamePart::Identifier(ident)] if is_grammar(&folded(ident)) => {
                    ControlFlow::Continue(())
                }
                _ => denied(format!("`{}` is never open to a step", function.name)),
            },
            FunctionArguments::List(ref list)
                if list
                    .clauses
                    .iter()
                    .any(|clause| matches!(clause, FunctionArgumentClause::JsonReturningClause(_))) =>
            {
                denied(format!("`RETURNING` in `{}` is never open to a step", function.name))
            }
            _ => self.function(&function.name),
        }
    }

    /// What a name in the place of a table's stands for; none if it is that of a common table expression.
    fn seen_as(&self, at: &ObjectName) -> Option<Named> {
        if self.is_common(at) {
            return None;
        }
        let table = Self::granted_name(at).ok()?;
        let columns = match self.access.whole {
            true => None,
            false => self.access.read.get(&table).and_then(TableAccess::columns).cloned(),
        };
        Some(Named { table, columns })
    }

    /// Notes the name that something has which gives rows.
    fn names(&mut self, alias: Option<&TableAlias>, own: Option<String>, what: Option<Named>) -> Stop {
        if let Some(name) = alias.map(|it| folded(&it.name)).or(own) {
            // Columns may have other names behind an alias.
            let what = what.filter(|_| alias.is_none_or(|it| it.columns.is_empty()));
            self.doubts.name(name, what);
        }
        type_of(alias.map_or(Ok(()), |alias| self.doubts.alias(alias)))
    }

    /// Whether a name is that of a common table expression here.
    fn is_common(&self, at: &ObjectName) -> bool {
        let [ObjectNamePart::Identifier(ident)] = at.0.as_slice() else { return false };
        let name = folded(ident);
        self.frames.iter().any(|frame| frame.names.contains(&name))
    }
}

/// The last part of a name.
fn last_of(name: &ObjectName) -> Option<String> {
    name.0.last()?.as_ident().map(folded)
}

fn type_of(noted: Result<(), String>) -> Stop {
    match noted {
        Ok(()) => ControlFlow::Continue(()),
        Err(name) => denied(format!("type `{name}` is never open to a step")),
    }
}

impl Visitor for Walk<'_> {
    type Break = DbError;

    fn pre_visit_statement(&mut self, statement: &Statement) -> Stop {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ if !self.written.is_empty() => denied("a statement writes one table"),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            _ => denied("a statement of this kind is never open to a step"),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> Stop {
        let plain = query.for_clause.is_none()
            && query.settings.is_none()
            && query.format_clause.is_none()
            && query.pipe_operators.is_empty();
        if !plain {
            return denied("a query of this kind is never open to a step");
        }
        if !query.locks.is_empty() {
            return denied("a lock of rows is never open to a step; what it writes is locked by itself");
        }
        self.body(&query.body, self.frames.is_empty())?;
        let mut frame = Frame { names: Vec::new(), coming: Vec::new() };
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let name = folded(&cte.alias.name);
                if cte.from.is_some() {
                    return denied("a common table expression of this kind is never open to a step");
                }
                match with.recursive {
                    true => frame.names.push(name),
                    false => frame.coming.push((ptr::from_ref(&*cte.query), name)),
                }
            }
        }
        self.frames.push(frame);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> Stop {
        self.frames.pop();
        if let Some(outer) = self.frames.last_mut() {
            let (come, coming) =
                std::mem::take(&mut outer.coming).into_iter().partition(|(at, _)| ptr::eq(*at, query));
            outer.coming = coming;
            let come: Vec<(*const Query, String)> = come;
            outer.names.extend(come.into_iter().map(|(_, name)| name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Stop {
        let plain = select.into.is_none()
            && select.select_modifiers.is_none()
            && select.top.is_none()
            && select.exclude.is_none()
            && select.lateral_views.is_empty()
            && select.prewhere.is_none()
            && select.connect_by.is_empty()
            && select.cluster_by.is_empty()
            && select.distribute_by.is_empty()
            && select.sort_by.is_empty()
            && select.qualify.is_none()
            && select.value_table_mode.is_none()
            && select.flavor == SelectFlavor::Standard;
        if plain {
            ControlFlow::Continue(())
        } else {
            denied("a `SELECT` of this kind is never open to a step")
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Stop {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version: None,
                partitions,
                json_path: None,
                sample: None,
                index_directives,
                inheritance: None,
                ..
            } if with_hints.is_empty() && partitions.is_empty() && index_directives.is_empty() => {
                if alias.is_some() {
                    self.aliased.push(ptr::from_ref(name));
                }
                let named = if args.is_none() { self.seen_as(name) } else { None };
                self.names(alias.as_ref(), last_of(name), named)?;
                if args.is_none() {
                    return ControlFlow::Continue(());
                }
                self.functions.push(ptr::from_ref(name));
                self.function(name)
            }
            TableFactor::Derived { sample: None, alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::NestedJoin { alias, .. } => self.names(alias.as_ref(), None, None),
            TableFactor::Function { name, alias, .. } => {
                self.names(alias.as_ref(), last_of(name), None)?;
                self.function(name)
            }
            _ => denied("a table of this kind is never open to a step"),
        }
    }

    fn pre_visit_order_by_expr(&mut self, by: &OrderByExpr) -> Stop {
        match (&by.options.sort, &by.with_fill) {
            (None | Some(OrderBySort::Asc | OrderBySort::Desc), None) => ControlFlow::Continue(()),
            _ => denied("an order `USING` an operator is never open to a step"),
        }
    }

    fn pre_visit_relation(&mut self, at: &ObjectName) -> Stop {
        if self.target.is_some_and(|target| ptr::eq(target, at))
            || self.functions.iter().any(|function| ptr::eq(*function, at))
        {
            return ControlFlow::Continue(());
        }
        if self.is_common(at) {
            return ControlFlow::Continue(());
        }
        self.reads(at)
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Stop {
        match expr {
            Expr::Function(function) => self.call(function),
            Expr::Identifier(ident) => {
                // They tell who is logged in, and sqlparser takes some of them for columns.
                let name = folded(ident);
                let own = ident.quote_style.is_none()
                    && (name.starts_with("current_")
                        || matches!(name.as_str(), "session_user" | "system_user" | "user"));
                if own && !is_pure(&name) {
                    denied(format!("`{name}` is never open to a step"))
                } else {
                    ControlFlow::Continue(())
                }
            }
            Expr::Cast { data_type, format: None, .. } => type_of(self.doubts.data_type(data_type)),
            Expr::TypedString(typed) => type_of(self.doubts.data_type(&typed.data_type)),
            Expr::CompoundIdentifier(parts) => match self.doubts.column(&parts.iter().collect::<Vec<_>>()) {
                true => ControlFlow::Continue(()),
                false => denied("a name of so many parts is never open to a step"),
            },
            Expr::CompoundFieldAccess { root, access_chain } => {
                match self.doubts.access(root, access_chain) {
                    true => ControlFlow::Continue(()),
                    false => denied(
                        "a field of a row value, such as `(a).b`, is never open to a step: it may be a function; name the column",
                    ),
                }
            }
            Expr::BinaryOp { op, .. } => match op {
                BinaryOperator::PGCustomBinaryOperator(_) => denied("`OPERATOR(..)` is never open to a step"),
                _ => ControlFlow::Continue(()),
            },
            Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::IsNormalized { .. }
            | Expr::In { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. }
            | Expr::UnaryOp { .. }
            | Expr::AtTimeZone { .. }
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Overlay { .. }
            | Expr::Collate { .. }
            | Expr::Nested(_)
            | Expr::Value(_)
            | Expr::Case { .. }
            | Expr::Exists { .. }
            | Expr::Subquery(_)
            | Expr::GroupingSets(_)
            | Expr::Cube(_)
            | Expr::Rollup(_)
            | Expr::Tuple(_)
            | Expr::Array(_)
            | Expr::Interval(_)
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(..) => ControlFlow::Continue(()),
            _ => denied("an expression of this kind is never open to a step"),
        }
    }
}
