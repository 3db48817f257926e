//! `wflo:db/sql`: statements against databases.

use serde::Serialize;
use wflo_model::{ArtifactAddress, BulkRows, CallError, FoundArtifact, RowFormat, SqlRows, SqlValue};
use wflo_ports::Executed;

use crate::artifact::STORE;
use crate::bindings::wflo::db::sql::{self, Error, RowSource, Rows, Value};
use crate::link::{Host, parse_json, unexpected};

pub(crate) const SQL: &str = "wflo:db/sql";

/// The arguments of `query` and `execute`, as the journal keeps them.
#[derive(Serialize)]
pub(crate) struct Args {
    pub(crate) db: String,
    pub(crate) sql: String,
    pub(crate) params: Vec<SqlValue>,
}

impl Args {
    fn new(db: String, statement: String, params: Vec<Value>) -> Self {
        Self { db, sql: statement, params: params.into_iter().map(from_guest).collect() }
    }
}

/// The same JSON, without a copy of the texts: what is read and written most.
impl From<Args> for serde_json::Value {
    fn from(Args { db, sql, params }: Args) -> Self {
        let members = [("db", Self::from(db)), ("sql", Self::from(sql)), ("params", Self::from(params))];
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// The arguments of `page`, as the journal keeps them.
#[derive(Serialize)]
pub(crate) struct PageArgs {
    #[serde(flatten)]
    pub(crate) of: Args,
    pub(crate) from: u64,
    pub(crate) most: u32,
}

/// The arguments of `call`, as the journal keeps them.
#[derive(Serialize)]
pub(crate) struct CallArgs {
    db: String,
    statement: String,
    params: serde_json::Map<String, serde_json::Value>,
}

impl CallArgs {
    pub(crate) fn new(db: String, statement: String, params: &str) -> Result<Self, Error> {
        match parse_json("params", params) {
            Ok(serde_json::Value::Object(params)) => Ok(Self { db, statement, params }),
            Ok(_) => Err(Error::Invalid("`params` is no JSON object".into())),
            Err(error) => Err(error_to_guest(error)),
        }
    }
}

impl sql::Host for Host<'_> {
    async fn query(
        &mut self,
        db: String,
        statement: String,
        params: Vec<Value>,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let answer = self.call_json::<SqlRows>(SQL, "query", Args::new(db, statement, params).into()).await?;
        rows_to_guest("query", answer)
    }

    async fn page(
        &mut self,
        db: String,
        statement: String,
        params: Vec<Value>,
        from: u64,
        most: u32,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let args = PageArgs { of: Args::new(db, statement, params), from, most };
        let answer = Host::call::<_, SqlRows>(self, SQL, "page", &args).await?;
        rows_to_guest("page", answer)
    }

    async fn call(
        &mut self,
        db: String,
        statement: String,
        params: String,
    ) -> wasmtime::Result<Result<Rows, Error>> {
        let args = match CallArgs::new(db, statement, &params) {
            Ok(args) => args,
            Err(error) => return Ok(Err(error)),
        };
        let answer = Host::call::<_, SqlRows>(self, SQL, "call", &args).await?;
        rows_to_guest("call", answer)
    }

    async fn bulk_insert(
        &mut self,
        db: String,
        table: String,
        columns: Vec<String>,
        rows: RowSource,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let (which, format) = match address(rows) {
            Ok(which) => which,
            Err(error) => return Ok(Err(error)),
        };
        // The call itself names the artifact by what is in it, and not only by what it is called.
        let opened = Host::call::<_, FoundArtifact>(self, STORE, "open", &which).await?;
        let rows = match opened {
            Ok(found) => found,
            Err(error) => return Ok(Err(error_to_guest(error))),
        };
        let args = BulkRows { db, table, columns, format, rows };
        let answer = Host::call::<_, Executed>(self, SQL, "bulk-insert", &args).await?;
        Ok(answer.map(|executed| executed.changed).map_err(error_to_guest))
    }

    async fn execute(
        &mut self,
        db: String,
        statement: String,
        params: Vec<Value>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let answer =
            self.call_json::<Executed>(SQL, "execute", Args::new(db, statement, params).into()).await?;
        Ok(answer.map(|executed| executed.changed).map_err(error_to_guest))
    }
}

/// Which artifact a guest means.
fn address(rows: RowSource) -> Result<(ArtifactAddress, RowFormat), Error> {
    let invalid = |error: wflo_model::BadName| Error::Invalid(error.to_string());
    let RowSource { name, step, item, format } = rows;
    let artifact = name.parse().map_err(invalid)?;
    let step = step.map(|step| step.parse()).transpose().map_err(invalid)?;
    let format = match format {
        sql::RowFormat::JsonLines => RowFormat::JsonLines,
        sql::RowFormat::Csv => RowFormat::Csv,
    };
    Ok((ArtifactAddress { artifact, step, item }, format))
}

fn rows_to_guest(
    function: &str,
    answer: Result<SqlRows, CallError>,
) -> wasmtime::Result<Result<Rows, Error>> {
    let SqlRows { columns, rows } = match whole_rows(function, answer)? {
        Ok(rows) => rows,
        Err(error) => return Ok(Err(error)),
    };
    let rows = rows.into_iter().map(|row| row.into_iter().map(to_guest).collect()).collect();
    Ok(Ok(Rows { columns, rows }))
}

/// Rows that are as long as there are columns; anything else is a bug of the host.
pub(crate) fn whole_rows(
    function: &str,
    answer: Result<SqlRows, CallError>,
) -> wasmtime::Result<Result<SqlRows, Error>> {
    let rows = match answer {
        Ok(rows) => rows,
        Err(error) => return Ok(Err(error_to_guest(error))),
    };
    if let Some(row) = rows.rows.iter().find(|row| row.len() != rows.columns.len()) {
        let why = format!("a row of {} values for {} columns", row.len(), rows.columns.len());
        return Err(unexpected(SQL, function, &why));
    }
    Ok(Ok(rows))
}

fn from_guest(value: Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Boolean(value) => SqlValue::Boolean(value),
        Value::Integer(value) => SqlValue::Integer(value),
        Value::Real(value) => SqlValue::Real(value),
        Value::Decimal(text) => SqlValue::Decimal(text),
        Value::Text(text) => SqlValue::Text(text),
        Value::Blob(bytes) => SqlValue::Blob(bytes),
        Value::Timestamp(text) => SqlValue::Timestamp(text),
        Value::Json(text) => SqlValue::Json(text),
        Value::Uuid(text) => SqlValue::Uuid(text),
    }
}

fn to_guest(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Boolean(value) => Value::Boolean(value),
        SqlValue::Integer(value) => Value::Integer(value),
        SqlValue::Real(value) => Value::Real(value),
        SqlValue::Decimal(text) => Value::Decimal(text),
        SqlValue::Text(text) => Value::Text(text),
        SqlValue::Blob(bytes) => Value::Blob(bytes),
        SqlValue::Timestamp(text) => Value::Timestamp(text),
        SqlValue::Json(text) => Value::Json(text),
        SqlValue::Uuid(text) => Value::Uuid(text),
    }
}

pub(crate) fn error_to_guest(error: CallError) -> Error {
    match error {
        CallError::AccessDenied { message } => Error::AccessDenied(message),
        CallError::Invalid { message } | CallError::Unknown { message } => Error::Invalid(message),
        CallError::Constraint { message } => Error::Constraint(message),
        CallError::Limit { message } => Error::Limit(message),
        CallError::RefusedByPolicy { policy } => Error::RefusedByPolicy(policy),
        CallError::Rejected { message } => Error::Rejected(message),
        CallError::Unavailable { message } => Error::Unavailable(message),
        other => Error::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::{CallError, SqlValue};

    use super::{Args, Error, Value, error_to_guest, from_guest, to_guest};

    #[test]
    fn values_survive_the_way_to_the_guest_and_back() {
        for value in [
            SqlValue::Null,
            SqlValue::Boolean(true),
            SqlValue::Integer(i64::MIN),
            SqlValue::Real(0.5),
            SqlValue::Decimal("12.50".into()),
            SqlValue::Text("text".into()),
            SqlValue::Blob(vec![0, 255]),
            SqlValue::Timestamp("2026-01-01T00:00:00Z".into()),
            SqlValue::Json("[1]".into()),
            SqlValue::Uuid("67e55044-10b1-426f-9247-bb680e5fe0c8".into()),
        ] {
            assert_eq!(from_guest(to_guest(value.clone())), value);
        }
    }

    #[test]
    fn arguments_are_the_same_either_way() {
        let args =
            || Args::new("bank".into(), "SELECT ?1".into(), vec![Value::Integer(1), Value::Text("t".into())]);
        assert_eq!(serde_json::Value::from(args()), serde_json::to_value(args()).unwrap());
    }

    #[test]
    fn an_error_without_a_case_keeps_its_words() {
        let other = CallError::BadOutput { message: "no rows".into() };
        assert!(matches!(error_to_guest(other), Error::Other(text) if text == "bad output: no rows"));
        let refused = CallError::RefusedByPolicy { policy: "no-writes".into() };
        assert!(matches!(error_to_guest(refused), Error::RefusedByPolicy(name) if name == "no-writes"));
        let denied = CallError::AccessDenied { message: "table `accounts`".into() };
        assert!(matches!(error_to_guest(denied), Error::AccessDenied(text) if text == "table `accounts`"));
    }
}
