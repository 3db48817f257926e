//! Names in a statement: what they are to PostgreSQL, and where they stand.

use std::ops::ControlFlow;

use sqlparser::ast::{Ident, ObjectName, Spanned as _};
use wflo_ports::DbError;

/// The first and the last token of a name.
pub(super) fn place(at: &ObjectName) -> (usize, usize) {
    let span = at.span();
    let place = |line: u64| usize::try_from(line).unwrap_or(usize::MAX);
    (place(span.start.line), place(span.end.line))
}

/// A name as PostgreSQL has it: lower case, unless it is quoted.
pub(super) fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// Refuses what is the host's or the server's own.
pub(super) fn reserved(name: &str) -> ControlFlow<DbError> {
    let (schema, table) = name.rsplit_once('.').unwrap_or(("", name));
    let own = |name: &str| name.starts_with("pg_") || name.starts_with("wflo_");
    if own(schema) || schema == "information_schema" || own(table) {
        return ControlFlow::Break(DbError::Denied(format!("table `{name}` is never open to a step")));
    }
    ControlFlow::Continue(())
}
