//! Walks through a parsed statement and stops at the first thing that is not on a list.

mod visit;
mod writes;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::ptr;

use sqlparser::ast::{
    Function, FunctionArgumentClause, FunctionArguments, ObjectName, ObjectNamePart, Query, SetExpr,
    Statement, TableAlias, Visit,
};
use wflo_model::{DbAccess, TableAccess};
use wflo_ports::DbError;

use super::Purpose;
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
