//! Reading a result a part at a time.

use super::{Error, Rows, Value};
use crate::bindings::wflo::db::sql as host;

/// The parts of a result, one after another, all of one snapshot; see [`Db::pages`](super::Db::pages).
#[derive(Clone, Debug)]
#[must_use = "nothing is read before the first part is asked for"]
pub struct Pages {
    db: String,
    statement: String,
    params: Vec<Value>,
    most: u32,
    from: u64,
    is_over: bool,
}

impl Pages {
    pub(super) fn new(db: String, statement: &str, params: &[Value], most: u32) -> Self {
        Self { db, statement: statement.to_owned(), params: params.to_vec(), most, from: 0, is_over: false }
    }
}

impl Iterator for Pages {
    type Item = Result<Rows, Error>;

    /// The next part. It has a row at least; after an error there is nothing more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let read = host::page(&self.db, &self.statement, &self.params, self.from, self.most);
        let read = read.map(|rows| Rows::new(rows.columns, rows.rows)).map_err(Error::from);
        match &read {
            Ok(rows) if !rows.is_empty() => self.from += rows.len() as u64,
            _ => self.is_over = true,
        }
        match read {
            Ok(rows) if rows.is_empty() => None,
            read => Some(read),
        }
    }
}
