//! SQL databases, by the labels that `workflow.toml` grants.
//!
//! ```no_run
//! use wflo::prelude::*;
//!
//! #[wflo::data]
//! struct Account {
//!     id: String,
//!     holder: String,
//! }
//!
//! # fn step() -> wflo::Result<()> {
//! let accounts = db("bank").query_as::<Account>("SELECT id, holder FROM accounts", params![])?;
//! let count: Vec<i64> = db("bank").query_as("SELECT count(*) FROM accounts", params![])?;
//! for account in &accounts {
//!     db("bank").execute("UPDATE accounts SET status = ?1 WHERE id = ?2", params!["blocked", &account.id])?;
//! }
//! # Ok(()) }
//! ```
//!
//! Writes of a step are one transaction, which commits when the step has succeeded.

mod bulk;
mod error;
mod pages;
mod row;
mod value;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifact::Artifact;
use crate::bindings::wflo::db::sql as host;

pub use bulk::BulkInsert;
pub use error::Error;
pub use pages::Pages;
pub use row::{Row, Rows};
pub use value::{ToValue, Value};

/// Names a database.
#[must_use]
pub fn db(label: impl Into<String>) -> Db {
    Db { label: label.into() }
}

/// A database; see [`db`].
#[derive(Clone, Debug)]
pub struct Db {
    label: String,
}

impl Db {
    /// Reads rows as they are: to hand to a model, or to look into one by one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn query(&self, statement: &str, params: impl AsRef<[Value]>) -> Result<Rows, Error> {
        let rows = host::query(&self.label, statement, params.as_ref())?;
        Ok(Rows::new(rows.columns, rows.rows))
    }

    /// Reads rows as values of `T`: a struct takes columns by name, a tuple by position, and a plain value takes
    /// the only column there is. A boolean may be an integer 0 or 1, as SQLite has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn query_as<T: DeserializeOwned>(
        &self,
        statement: &str,
        params: impl AsRef<[Value]>,
    ) -> Result<Vec<T>, Error> {
        self.query(statement, params)?.read()
    }

    /// Reads a result that may be larger than memory, `most` rows at a time, all of one snapshot: that of the first part,
    /// whatever is written meanwhile. It is begun before the step's first write to this database.
    ///
    /// ```no_run
    /// # use wflo::prelude::*;
    /// # fn step() -> wflo::Result<()> {
    /// let mut sum = 0;
    /// for page in db("bank").pages("SELECT amount FROM transactions ORDER BY id", params![], 10_000) {
    ///     sum += page?.read::<i64>()?.iter().sum::<i64>();
    /// }
    /// # let _ = sum;
    /// # Ok(()) }
    /// ```
    pub fn pages(&self, statement: &str, params: impl AsRef<[Value]>, most: u32) -> Pages {
        Pages::new(self.label.clone(), statement, params.as_ref(), most)
    }

    /// Reads the first row, if there is one, as a value of `T`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn first_as<T: DeserializeOwned>(
        &self,
        statement: &str,
        params: impl AsRef<[Value]>,
    ) -> Result<Option<T>, Error> {
        self.query(statement, params)?.iter().next().map(Row::read).transpose()
    }

    /// Calls a statement that the workflow names, and reads its rows as [`query_as`](Self::query_as) does. One that
    /// writes gives one row: the number of rows it changed.
    ///
    /// `params` is an object: each parameter by its name, bytes as serde has them, a list of numbers. A policy may have people asked first; the step then waits
    /// for them.
    ///
    /// ```no_run
    /// # use wflo::prelude::*;
    /// # fn step() -> wflo::Result<()> {
    /// let amounts: Vec<String> = db("shop").call("get_refund_amount", &json!({ "order_id": 7 }))?;
    /// db("shop").call::<u64>("process_refund", &json!({ "order_id": 7, "refund_amount": "150.00" }))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`Error`].
    pub fn call<T: DeserializeOwned>(
        &self,
        statement: &str,
        params: &(impl Serialize + ?Sized),
    ) -> Result<Vec<T>, Error> {
        let params = serde_json::to_string(params).map_err(|error| Error::Invalid(error.to_string()))?;
        let rows = host::call(&self.label, statement, &params)?;
        Rows::new(rows.columns, rows.rows).read()
    }

    /// Inserts the rows of an artifact into a table, however many there are. They go from the artifact to the database and
    /// not through the step.
    ///
    /// ```no_run
    /// # use wflo::prelude::*;
    /// # fn step(rows: wflo::Artifact) -> wflo::Result<()> {
    /// let inserted = db("warehouse").bulk_insert("sales", &rows).columns(["id", "amount"]).json_lines()?;
    /// # let _ = inserted;
    /// # Ok(()) }
    /// ```
    pub fn bulk_insert(&self, table: impl Into<String>, rows: &Artifact) -> BulkInsert {
        BulkInsert::new(self.label.clone(), table.into(), rows)
    }

    /// Writes, and gives the number of rows changed.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn execute(&self, statement: &str, params: impl AsRef<[Value]>) -> Result<u64, Error> {
        Ok(host::execute(&self.label, statement, params.as_ref())?)
    }
}

/// Parameters of a statement, in order, of any types that [`ToValue`] knows. They are bound, never pasted in.
///
/// ```
/// use wflo::db::Value;
/// let holder: Option<&str> = None;
/// let params = wflo::params![7, "A-0007", 1.5, holder];
/// assert_eq!(params[0], Value::Integer(7));
/// assert_eq!(params[3], Value::Null);
/// ```
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        [$($crate::db::ToValue::to_value(&$value)),*] as [$crate::db::Value; _]
    };
}
