//! Named statements: what the guest gave values for becomes the SQL of the plan with its parameters bound.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use wflo_manifest::Statement;
use wflo_model::{CallError, Label, StatementName};

use crate::operation::{Operation, SqlCall};

/// Named statements of a plan, by database.
pub(crate) type Statements = BTreeMap<Label, BTreeMap<StatementName, Statement>>;

/// `wflo:db/sql.call`
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct NamedCall {
    /// The database, by its label.
    pub(crate) db: Label,
    /// The statement, by its name in the plan.
    pub(crate) statement: StatementName,
    /// Values for its parameters.
    pub(crate) params: Map<String, Value>,
}

impl NamedCall {
    /// The statement in the plan.
    ///
    /// # Errors
    /// `Unknown` where the plan has none of that name.
    pub(crate) fn find<'a>(&self, statements: &'a Statements) -> Result<&'a Statement, CallError> {
        let found = statements.get(&self.db).and_then(|named| named.get(&self.statement));
        found.ok_or_else(|| CallError::Unknown {
            message: format!("database `{}` has no statement `{}`", self.db, self.statement),
        })
    }

    /// What is performed: its SQL with the values bound.
    ///
    /// The plan is pinned, so a call comes to the same statement for as long as its run lasts.
    ///
    /// # Errors
    /// `Invalid` for values that are no parameters of the statement.
    pub(crate) fn bound(&self, statements: &Statements) -> Result<Operation, CallError> {
        let statement = self.find(statements)?;
        let params = statement.bind(&self.params).map_err(|error| CallError::Invalid {
            message: format!("statement `{}`: {error}", self.statement),
        })?;
        let sql = SqlCall {
            db: self.db.clone(),
            statement: wflo_ports::Statement { sql: statement.sql.clone(), params },
            is_named: true,
        };
        Ok(if statement.only_reads() { Operation::Query(sql) } else { Operation::Execute(sql) })
    }
}

impl Operation {
    /// What is performed: of a named statement [what it is bound to](NamedCall::bound); everything else is itself.
    ///
    /// # Errors
    /// As [`NamedCall::bound`].
    pub(crate) fn bound(self, statements: &Statements) -> Result<Self, CallError> {
        if let Self::Call(call) = &self { call.bound(statements) } else { Ok(self) }
    }
}
