//! Which columns a write names: of what it looks at, and of what it sets.

use std::ops::ControlFlow;

use sqlparser::ast::{Assignment, AssignmentTarget, Expr, ObjectName, ObjectNamePart, Visit as _, Visitor};

use super::name::folded;

/// The columns that are named in a part of a statement, and whole rows as the names of their tables.
#[derive(Default)]
pub(super) struct Columns(pub(super) Vec<String>);

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.0.push(folded(ident)),
            Expr::CompoundIdentifier(parts) if parts.first().is_none_or(|it| folded(it) != "excluded") => {
                self.0.extend(parts.last().map(folded));
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => self.0.push("*".into()),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A part of a statement in which columns may be named.
pub(super) trait VisitColumns {
    fn columns(&self, seen: &mut Columns);
}

impl VisitColumns for Expr {
    fn columns(&self, seen: &mut Columns) {
        let _: ControlFlow<()> = self.visit(seen);
    }
}

/// The columns that an assignment sets; none where that cannot be told.
pub(super) fn assigned(assignment: &Assignment) -> Vec<Option<String>> {
    let column = |name: &ObjectName| match name.0.as_slice() {
        [ObjectNamePart::Identifier(ident)] => Some(folded(ident)),
        _ => None,
    };
    match &assignment.target {
        AssignmentTarget::ColumnName(name) => vec![column(name)],
        AssignmentTarget::Tuple(names) => names.iter().map(column).collect(),
    }
}
