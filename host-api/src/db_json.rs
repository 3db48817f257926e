//! `wflo:db/sql-json`: the statements of `wflo:db/sql` with their values as JSON text. Behind this they are the same
//! calls: what is authorised and journaled does not know in which of the two ways it was asked for.

use serde_json::Value;
use wflo_model::{CallError, SqlRows, SqlValue};
use wflo_ports::Executed;

use crate::bindings::wflo::db::sql::Error;
use crate::bindings::wflo::db::sql_json;
use crate::db::{Args, CallArgs, PageArgs, SQL, error_to_guest, whole_rows};
use crate::link::{Host, parse_json};

impl sql_json::Host for Host<'_> {
    async fn query(
        &mut self,
        db: String,
        statement: String,
        params: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        let args = match args(db, statement, &params) {
            Ok(args) => args,
            Err(error) => return Ok(Err(error)),
        };
        rows("query", Host::call::<_, SqlRows>(self, SQL, "query", &args).await?)
    }

    async fn page(
        &mut self,
        db: String,
        statement: String,
        params: String,
        from: u64,
        most: u32,
    ) -> wasmtime::Result<Result<String, Error>> {
        let of = match args(db, statement, &params) {
            Ok(args) => args,
            Err(error) => return Ok(Err(error)),
        };
        let args = PageArgs { of, from, most };
        rows("page", Host::call::<_, SqlRows>(self, SQL, "page", &args).await?)
    }

    async fn execute(
        &mut self,
        db: String,
        statement: String,
        params: String,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let args = match args(db, statement, &params) {
            Ok(args) => args,
            Err(error) => return Ok(Err(error)),
        };
        let answer = Host::call::<_, Executed>(self, SQL, "execute", &args).await?;
        Ok(answer.map(|executed| executed.changed).map_err(error_to_guest))
    }

    async fn call(
        &mut self,
        db: String,
        statement: String,
        params: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        let args = match CallArgs::new(db, statement, &params) {
            Ok(args) => args,
            Err(error) => return Ok(Err(error)),
        };
        rows("call", Host::call::<_, SqlRows>(self, SQL, "call", &args).await?)
    }
}

fn args(db: String, sql: String, params: &str) -> Result<Args, Error> {
    let list = match parse_json("params", params) {
        Ok(Value::Array(list)) => list,
        Ok(_) => return Err(Error::Invalid("`params` is no JSON list".into())),
        Err(error) => return Err(error_to_guest(error)),
    };
    let params = list.into_iter().map(SqlValue::try_from).collect::<Result<_, _>>();
    params
        .map(|params| Args { db, sql, params })
        .map_err(|error| Error::Invalid(format!("a parameter is {error}")))
}

fn rows(function: &str, answer: Result<SqlRows, CallError>) -> wasmtime::Result<Result<String, Error>> {
    Ok(match whole_rows(function, answer)? {
        Ok(rows) => Ok(serde_json::to_string(&rows)?),
        Err(error) => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use wflo_model::{SqlRows, SqlValue};

    use super::{Error, args, rows};

    #[test]
    fn parameters_keep_every_digit() {
        let params =
            r#"[null, true, "1", {"integer": "9007199254740993"}, {"real": "inf"}, {"blob": "00ff"}]"#;
        let args = args("bank".into(), "SELECT 1".into(), params).unwrap();
        let expected = [
            SqlValue::Null,
            SqlValue::Boolean(true),
            SqlValue::Text("1".into()),
            SqlValue::Integer(9_007_199_254_740_993),
            SqlValue::Real(f64::INFINITY),
            SqlValue::Blob(vec![0, 255]),
        ];
        assert_eq!(args.params, expected);
    }

    #[test]
    fn what_is_no_value_is_the_guests_error() {
        for params in ["{}", "[1]", r#"[{"integer": "1.5"}]"#, r#"[{"money": "1"}]"#, "[", "[[]]"] {
            let Err(Error::Invalid(message)) = args("bank".into(), String::new(), params) else {
                panic!("{params}")
            };
            assert!(!message.is_empty());
        }
    }

    #[test]
    fn rows_are_text_with_every_digit() {
        let one = SqlRows {
            columns: vec!["n".into(), "t".into()],
            rows: vec![vec![SqlValue::Integer(i64::MIN), SqlValue::Text("ü".into())]],
        };
        let expected = r#"{"columns":["n","t"],"rows":[[{"integer":"-9223372036854775808"},"ü"]]}"#;
        assert!(matches!(rows("query", Ok(one)).unwrap(), Ok(text) if text == expected));
        let short = SqlRows { columns: vec!["n".into()], rows: vec![vec![]] };
        assert!(rows("query", Ok(short)).is_err());
    }
}
