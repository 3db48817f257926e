//! A call of a database: a read of its own, or a statement in the step's transaction.

use serde_json::Value;
use wflo_engine::{CallClass, Event, Returned};
use wflo_host_api::Stop;
use wflo_model::CallResult;
use wflo_ports::{DbError, QueryLimits};

use crate::gate::{AttemptGate, returned};
use crate::history::OpenIntent;
use crate::operation::{Operation, SqlCall, database, db_error};
use crate::output_gate::keeps;
use crate::player::Asked;
use crate::transactions::{Keeps, Redo, RedoError, perform};

impl AttemptGate {
    /// A read before the first write: a snapshot of its own, without an intent.
    pub(crate) async fn read(&mut self, sql: &SqlCall) -> CallResult {
        let access = sql.access(&self.step.grants.db);
        let rows =
            database(&self.outside, &sql.db)?.query(&sql.statement, &access, QueryLimits::default()).await;
        rows.map(Value::from).map_err(db_error)
    }

    /// A statement inside the step's transaction; the first write begins it.
    pub(crate) async fn statement(
        &mut self,
        call: Asked,
        operation: Operation,
        intent: Option<OpenIntent>,
    ) -> Result<CallResult, Stop> {
        let Some(db) = operation.statement_of() else {
            return Err(Stop::Host("a statement was expected".into()));
        };
        let changed = self.performed.clone();
        let is_cut_off = intent.is_some();
        let intent = match (intent, operation.class(&self.step.grants)) {
            (Some(open), _) => Some(open.seq),
            (None, CallClass::Transactional) => {
                Some(self.intent(&call, CallClass::Transactional, None).await?)
            }
            (None, _) => None,
        };
        let begun = self.transactions.begin(&self.outside, &self.step, db, self.player.marker()).await;
        let result = match begun {
            Ok(transaction) => {
                match perform(transaction, &operation, &self.step.grants.db, self.desk.shelf()).await {
                    // The attempt ends here, and a new one does it all again.
                    Err(DbError::Interrupted(why)) => return Err(Stop::Interrupted(why)),
                    done => done.map_err(db_error),
                }
            }
            // It was under way before: it waits for its database as those before it do.
            Err(error @ RedoError::Away { .. }) if is_cut_off => return Err(Stop::Away(error.to_string())),
            Err(RedoError::Away { source: error, .. } | RedoError::Database(error)) => Err(db_error(error)),
            Err(error) => return Err(Stop::Host(error.to_string())),
        };
        if keeps(&self.plan, &self.step) != Keeps::Nothing {
            let made = changed.unwrap_or_else(|| call.call.clone());
            self.written.push((made, result.clone()));
        }
        let filters = match &operation {
            Operation::Query(sql) | Operation::Execute(sql) => self.seen_through(sql),
            _ => Vec::new(),
        };
        let returned = Returned { tentative: true, filters, ..returned(intent, call, &result) };
        match &operation {
            Operation::Query(_) => _ = self.has_read(returned).await?,
            _ => _ = self.append(Event::Returned(returned))?,
        }
        Ok(result)
    }

    /// Writes what a read came to, and gives it back. Of labelled data, and of rows that were granted to be somebody's, that is durable
    /// before the guest has it: whoever has seen it stands in the journal.
    pub(crate) async fn has_read(&mut self, returned: Returned) -> Result<CallResult, Stop> {
        let is_open = self.step.labels.is_empty() && returned.filters.is_empty();
        if is_open && !returned.tentative {
            let Event::Returned(returned) = self.note(Event::Returned(returned))? else {
                unreachable!("it is the event that was noted")
            };
            return Ok(returned.result);
        }
        let result = returned.result.clone();
        let written = self.append(Event::Returned(returned))?;
        if !is_open {
            self.durable(written).await?;
        }
        Ok(result)
    }

    /// Brings back what a crash or a park took out of the databases, once the recorded calls are used up.
    pub(crate) async fn redo(&mut self) -> Result<(), Stop> {
        let redo = Redo {
            outside: &self.outside,
            step: &self.step,
            statements: &self.plan.statements,
            marker: self.player.marker(),
            shelf: self.desk.shelf(),
        };
        self.transactions.redo(redo, |_| true).await.map_err(|error| match error {
            RedoError::AlreadyCommitted(_) => Stop::Host(error.to_string()),
            RedoError::Away { .. } => Stop::Away(error.to_string()),
            _ => Stop::Interrupted(error.to_string()),
        })
    }
}
