//! The list of what a statement may be made of.

use std::ops::ControlFlow;
use std::ptr;

use sqlparser::ast::{
    BinaryOperator, Expr, ObjectName, OrderByExpr, OrderBySort, Query, Select, SelectFlavor, Statement,
    TableFactor, Visitor,
};
use wflo_ports::DbError;

use super::super::functions::is_pure;
use super::super::name::folded;
use super::{Frame, Stop, Walk, denied, last_of, type_of};

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
