//! A write of some rows, cut into the pieces that are put together anew.
//!
//! `UPDATE` and `DELETE` have their table's rows in scope, all of them, so nothing that is added to their conditions would
//! keep an expression of the guest from seeing another row. So the statement is cut where its clauses begin, and
//! [`some_rows`](super::super::some_rows) makes another of the pieces, in which they stand behind a fence.
//!
//! Where a clause begins is told by its word outside of all brackets. That the cuts are right is not believed: each piece is
//! parsed again by itself, and has to be what the parser had made of it within the statement.

use std::collections::BTreeSet;
use std::ops::Range;

use sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName, ObjectNamePart,
    OnConflictAction, OnInsert, Query, Select, SetExpr, Statement, TableAlias, TableFactor, TableObject,
    TableWithJoins, Update, UpdateTableFromKind,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use wflo_model::RowFilter;
use wflo_ports::DbError;

use super::name::{folded, place};
use super::text::{Replacement, Text};

/// A write of a table of which the step may touch some rows only.
#[derive(Clone, Debug)]
pub(in crate::db::postgres) struct SomeRows {
    /// Which rows.
    pub(in crate::db::postgres) reach: Reach,
    /// The common table expressions in front, with their `WITH`; empty where there are none.
    pub(in crate::db::postgres) with: String,
    /// How expressions of the statement call the table.
    pub(in crate::db::postgres) called: String,
    /// What is done.
    pub(in crate::db::postgres) write: SomeWrite,
}

/// The rows of a table that a write may touch.
#[derive(Clone, Debug)]
pub(in crate::db::postgres) struct Reach {
    /// The table, as grants name it.
    pub(in crate::db::postgres) table: String,
    /// What every row that it touches passes.
    pub(in crate::db::postgres) rows: Vec<RowFilter>,
    /// What every row that it leaves passes.
    pub(in crate::db::postgres) kept: Option<RowFilter>,
    /// The columns that it may look at; none for all of them.
    pub(in crate::db::postgres) seen: Option<BTreeSet<String>>,
}

/// What a write of some rows does.
#[derive(Clone, Debug)]
pub(in crate::db::postgres) enum SomeWrite {
    /// Inserts.
    Insert {
        /// The statement, up to the condition of `DO UPDATE`, if it has that.
        insert: String,
        /// What `DO UPDATE` sets, and its condition.
        update: Option<(Vec<String>, Option<String>)>,
    },
    /// Updates.
    Update {
        /// The columns, with their values; none for the default.
        set: Vec<(String, Option<String>)>,
        /// `FROM`.
        from: Option<String>,
        /// `WHERE`.
        selection: Option<String>,
    },
    /// Deletes.
    Delete {
        /// `USING`.
        using: Option<String>,
        /// `WHERE`.
        selection: Option<String>,
    },
}

/// Cuts a statement that writes some rows.
///
/// # Errors
/// [`DbError::Denied`] for a form that cannot be kept to them.
pub(super) fn cut(
    text: &Text,
    instead: &[Replacement],
    statement: &Statement,
    reach: Reach,
) -> Result<SomeRows, DbError> {
    if text.names_anything_of_the_hosts() {
        return Err(DbError::Denied(
            "names that begin with `wflo_` are the host's own where only some rows are granted".into(),
        ));
    }
    let cut = Cut { text, instead, outside: text.outside() };
    let statement = written(statement).ok_or_else(closed)?;
    match statement {
        Write::Insert(insert) => cut.insert(insert, reach),
        Write::Update(update) => cut.update(update, reach),
        Write::Delete(delete) => cut.delete(delete, reach),
    }
}

fn closed() -> DbError {
    DbError::Denied(
        "a write of this kind cannot be kept to the rows that are granted; write it plainly".into(),
    )
}

#[derive(Clone, Copy)]
enum Write<'s> {
    Insert(&'s Insert),
    Update(&'s Update),
    Delete(&'s Delete),
}

/// The write that a statement is, also behind common table expressions.
fn written(statement: &Statement) -> Option<Write<'_>> {
    match statement {
        Statement::Insert(insert) => Some(Write::Insert(insert)),
        Statement::Update(update) => Some(Write::Update(update)),
        Statement::Delete(delete) => Some(Write::Delete(delete)),
        Statement::Query(query) => match &*query.body {
            SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
                let Query { order_by: None, limit_clause: None, fetch: None, .. } = &**query else {
                    return None;
                };
                written(statement)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Places of tokens are from 1, as everywhere with [`Text`].
struct Cut<'t> {
    text: &'t Text,
    instead: &'t [Replacement],
    /// The places of tokens outside of all brackets.
    outside: Vec<bool>,
}

impl Cut<'_> {
    fn end(&self) -> usize {
        self.outside.len()
    }

    fn is(&self, at: usize, word: &str) -> bool {
        self.text.word(at).is_some_and(|found| found.eq_ignore_ascii_case(word))
    }

    /// Where a clause begins that is there.
    fn clause(&self, word: &str, from: usize) -> Result<usize, DbError> {
        let begins = |&at: &usize| {
            let before = at.saturating_sub(1);
            self.outside[at]
                && self.is(at, word)
                && !self.text.is_period(before)
                && !self.is(before, "AS")
                && !(word == "FROM" && self.is(before, "DISTINCT"))
        };
        (from..self.end()).find(begins).ok_or_else(closed)
    }

    fn write(&self, places: Range<usize>) -> String {
        self.text.write_some(places, self.instead)
    }

    /// The common table expressions before the word at `verb`.
    fn with(&self, verb: usize) -> Result<String, DbError> {
        match verb {
            1 => Ok(String::new()),
            _ if self.is(1, "WITH") => Ok(self.write(1..verb)),
            _ => Err(closed()),
        }
    }

    /// Passes by the table's name and alias; how it is called, and where it goes on.
    fn table(&self, name: &ObjectName, alias: Option<&Ident>) -> Result<(String, usize), DbError> {
        let mut at = place(name).1 + 1;
        let called = match (alias, name.0.last()) {
            (Some(alias), _) => {
                at += usize::from(self.is(at, "AS"));
                at += 1;
                folded(alias)
            }
            (None, Some(ObjectNamePart::Identifier(own))) => folded(own),
            _ => return Err(closed()),
        };
        Ok((called, at))
    }

    /// A condition, which has to be this one.
    fn condition(&self, places: Range<usize>, expect: &Expr) -> Result<String, DbError> {
        let mut parser = self.parser(places.clone());
        let parsed = parser.parse_expr().map_err(|_| closed())?;
        if parsed != *expect || parser.peek_token().token != Token::EOF {
            return Err(closed());
        }
        Ok(self.write(places))
    }

    /// What follows `FROM` or `USING`, which has to be these tables.
    fn tables(&self, places: Range<usize>, expect: &[TableWithJoins]) -> Result<String, DbError> {
        let mut tokens = Text::read("SELECT 1 FROM").map_err(|_| closed())?.some(1..4);
        tokens.extend(self.text.some(places.clone()));
        let parsed = Parser::new(&PostgreSqlDialect {}).with_tokens(tokens).parse_statements();
        let is_it = match parsed.as_deref() {
            Ok([Statement::Query(query)]) => {
                let plain = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
                plain && matches!(&*query.body, SetExpr::Select(select) if is_from(select, expect))
            }
            _ => false,
        };
        if is_it { Ok(self.write(places)) } else { Err(closed()) }
    }

    fn parser(&self, places: Range<usize>) -> Parser<'static> {
        Parser::new(&PostgreSqlDialect {}).with_tokens(self.text.some(places))
    }

    fn insert(&self, insert: &Insert, reach: Reach) -> Result<SomeRows, DbError> {
        let TableObject::TableName(name) = &insert.table else { return Err(closed()) };
        let alias = insert.table_alias.as_ref().map(|alias| &alias.alias);
        let verb = place(name).0.saturating_sub(2);
        let (called, at) = self.table(name, alias)?;
        if !self.is(verb, "INSERT") || !self.is(verb + 1, "INTO") {
            return Err(closed());
        }
        let end = match &insert.returning {
            Some(_) => self.clause("RETURNING", at)?,
            None => self.end(),
        };
        let plain = Insert { returning: None, ..insert.clone() };
        match self.parser(verb..end).parse_statements().as_deref() {
            Ok([Statement::Insert(parsed)]) if *parsed == plain => {}
            _ => return Err(closed()),
        }
        let (until, update) = match &insert.on {
            Some(OnInsert::OnConflict(conflict)) => match &conflict.action {
                OnConflictAction::DoNothing => (end, None),
                OnConflictAction::DoUpdate(update) => {
                    let set = update.assignments.iter().map(single).collect::<Option<Vec<_>>>();
                    let set = set.ok_or_else(closed)?;
                    match &update.selection {
                        None => (end, Some((set, None))),
                        Some(selection) => {
                            // It is the last clause of all.
                            let last = (at..end).rev().find(|&at| self.outside[at] && self.is(at, "WHERE"));
                            let at = last.ok_or_else(closed)?;
                            (at, Some((set, Some(self.condition(at + 1..end, selection)?))))
                        }
                    }
                }
            },
            None => (end, None),
            Some(_) => return Err(closed()),
        };
        let write = SomeWrite::Insert { insert: self.write(verb..until), update };
        Ok(SomeRows { reach, with: self.with(verb)?, called, write })
    }

    fn update(&self, update: &Update, reach: Reach) -> Result<SomeRows, DbError> {
        let (name, alias) = target(&update.table).ok_or_else(closed)?;
        let verb = place(name).0.saturating_sub(1);
        let (called, at) = self.table(name, alias)?;
        if !self.is(verb, "UPDATE") || !self.is(at, "SET") {
            return Err(closed());
        }
        let mut end = self.after(at, update.returning.is_some())?;
        let selection = self.selection(at, &mut end, update.selection.as_ref())?;
        let from = match &update.from {
            None => None,
            Some(UpdateTableFromKind::AfterSet(tables)) => {
                let from = self.clause("FROM", at)?;
                let tables = self.tables(from + 1..end, tables)?;
                end = from;
                Some(tables)
            }
            Some(UpdateTableFromKind::BeforeSet(_)) => return Err(closed()),
        };
        let write = SomeWrite::Update { set: self.set(at + 1..end, &update.assignments)?, from, selection };
        Ok(SomeRows { reach, with: self.with(verb)?, called, write })
    }

    fn delete(&self, delete: &Delete, reach: Reach) -> Result<SomeRows, DbError> {
        let FromTable::WithFromKeyword(from) = &delete.from else { return Err(closed()) };
        let [table] = from.as_slice() else { return Err(closed()) };
        let (name, alias) = target(table).ok_or_else(closed)?;
        let verb = place(name).0.saturating_sub(2);
        let (called, at) = self.table(name, alias)?;
        if !self.is(verb, "DELETE") || !self.is(verb + 1, "FROM") {
            return Err(closed());
        }
        let mut end = self.after(at, delete.returning.is_some())?;
        let selection = self.selection(at, &mut end, delete.selection.as_ref())?;
        let using = match &delete.using {
            None if at == end => None,
            Some(tables) if self.is(at, "USING") => Some(self.tables(at + 1..end, tables)?),
            _ => return Err(closed()),
        };
        let write = SomeWrite::Delete { using, selection };
        Ok(SomeRows { reach, with: self.with(verb)?, called, write })
    }

    /// Where `RETURNING` begins, or the statement ends. What it would give goes nowhere: a write gives a number.
    fn after(&self, at: usize, returns: bool) -> Result<usize, DbError> {
        if returns { self.clause("RETURNING", at) } else { Ok(self.end()) }
    }

    /// The condition of the statement, which ends at `end`; it then ends where that begins.
    fn selection(
        &self,
        at: usize,
        end: &mut usize,
        selection: Option<&Expr>,
    ) -> Result<Option<String>, DbError> {
        let Some(selection) = selection else { return Ok(None) };
        let begins = self.clause("WHERE", at)?;
        let condition = self.condition(begins + 1..*end, selection)?;
        *end = begins;
        Ok(Some(condition))
    }

    /// What is set, each by itself.
    fn set(
        &self,
        places: Range<usize>,
        assignments: &[Assignment],
    ) -> Result<Vec<(String, Option<String>)>, DbError> {
        let mut set = Vec::new();
        let mut from = places.start;
        for (n, assignment) in (1..).zip(assignments) {
            let comma = (from..places.end).find(|&at| self.outside[at] && self.text.is_comma(at));
            let end = if n == assignments.len() { places.end } else { comma.ok_or_else(closed)? };
            let column = single(assignment).ok_or_else(|| {
                DbError::Denied(
                    "set columns one by one where only some rows of their table are granted".into(),
                )
            })?;
            // A name, an equals sign, and the value.
            if end < from + 3 || !self.text.is_equals(from + 1) {
                return Err(closed());
            }
            let value = match end == from + 3 && self.is(from + 2, "DEFAULT") {
                true => None,
                false => Some(self.condition(from + 2..end, &assignment.value)?),
            };
            set.push((column, value));
            from = end + 1;
        }
        Ok(set)
    }
}

fn is_from(select: &Select, expect: &[TableWithJoins]) -> bool {
    select.from == expect
        && select.selection.is_none()
        && select.having.is_none()
        && select.named_window.is_empty()
}

/// The table that is written, and its alias.
fn target(table: &TableWithJoins) -> Option<(&ObjectName, Option<&Ident>)> {
    match &table.relation {
        TableFactor::Table { name, alias: None, .. } => Some((name, None)),
        TableFactor::Table {
            name, alias: Some(TableAlias { name: alias, columns, at: None, .. }), ..
        } if columns.is_empty() => Some((name, Some(alias))),
        _ => None,
    }
}

/// The column that is set, where it is one.
fn single(assignment: &Assignment) -> Option<String> {
    match &assignment.target {
        AssignmentTarget::ColumnName(ObjectName(parts)) => match parts.as_slice() {
            [ObjectNamePart::Identifier(ident)] => Some(folded(ident)),
            _ => None,
        },
        AssignmentTarget::Tuple(_) => None,
    }
}
