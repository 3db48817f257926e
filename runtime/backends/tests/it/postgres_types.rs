//! Every type of PostgreSQL, in and out without loss.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wflo_backends::db::postgres::{Postgres, PostgresOptions};
use wflo_model::{DbAccess, SqlValue};
use wflo_ports::{Database as _, DbError, QueryLimits};

use crate::sqlite::statement;

struct Types {
    pg: wflo_test_postgres::Database,
    db: Postgres,
}

impl Types {
    fn new() -> Self {
        let pg = wflo_test_postgres::database();
        let db = Postgres::new(&pg.url("read"), None, PostgresOptions::default()).unwrap();
        Self { pg, db }
    }

    async fn row(&self, sql: &str, params: &[SqlValue]) -> Result<Vec<SqlValue>, DbError> {
        let whole = DbAccess::whole();
        let mut rows = self.db.query(&statement(sql, params), &whole, QueryLimits::default()).await?;
        assert_eq!(rows.rows.len(), 1);
        Ok(rows.rows.remove(0))
    }

    /// A value goes in as a type, comes out as `expect`, and goes in again as the same.
    async fn check(&self, of: &str, given: SqlValue, expect: SqlValue) {
        let sql = format!("SELECT $1::{of} AS v");
        let out = self.row(&sql, std::slice::from_ref(&given)).await;
        let out = out.unwrap_or_else(|error| panic!("{of} of {given:?}: {error}")).remove(0);
        assert_eq!(format!("{out:?}"), format!("{expect:?}"), "{of} of {given:?}");
        let again = self.row(&sql, std::slice::from_ref(&out)).await;
        let again = again.unwrap_or_else(|error| panic!("{of} of {out:?} again: {error}")).remove(0);
        assert_eq!(format!("{again:?}"), format!("{expect:?}"), "{of} of {out:?} again");
    }
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.into())
}

#[tokio::test]
async fn values_go_in_and_come_out_as_they_were() {
    let types = Types::new();
    types.pg.sql(
        "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE DOMAIN cents AS bigint CHECK (VALUE >= 0);
                  CREATE TYPE pair AS (a int, b text); CREATE DOMAIN jsons AS jsonb;
                  GRANT USAGE ON SCHEMA public TO public",
    );
    let decimal = |text: &str| SqlValue::Decimal(text.into());
    let json = |text: &str| SqlValue::Json(text.into());
    let instant = |text: &str| SqlValue::Timestamp(text.into());
    for (of, value) in [
        ("boolean", SqlValue::Boolean(true)),
        ("smallint", SqlValue::Integer(-32768)),
        ("integer", SqlValue::Integer(i32::MIN.into())),
        ("bigint", SqlValue::Integer(i64::MIN)),
        ("bigint", SqlValue::Integer(9_007_199_254_740_993)),
        ("cents", SqlValue::Integer(5)),
        ("real", SqlValue::Real(f64::from(0.1_f32))),
        ("double precision", SqlValue::Real(0.1)),
        ("double precision", SqlValue::Real(-0.0)),
        ("double precision", SqlValue::Real(5e-324)),
        ("double precision", SqlValue::Real(f64::MAX)),
        ("double precision", SqlValue::Real(f64::NAN)),
        ("double precision", SqlValue::Real(f64::NEG_INFINITY)),
        ("numeric", decimal("12.50")),
        ("numeric", decimal("-0.000000000000000000000000000123456789")),
        ("numeric", decimal("123456789012345678901234567890.00010")),
        ("numeric", decimal("10000")),
        ("numeric", decimal("0.00")),
        ("numeric", decimal("NaN")),
        ("text", text("é\u{1F600}'\"\\ x\n")),
        ("text", text("")),
        ("varchar(5)", text("abc")),
        ("char(5)", text("ab   ")),
        ("name", text("ab")),
        ("mood", text("glad")),
        ("bytea", SqlValue::Blob(vec![0, 255, 92])),
        ("bytea", SqlValue::Blob(vec![])),
        ("uuid", SqlValue::Uuid("67e55044-10b1-426f-9247-bb680e5fe0c8".into())),
        ("json", json("{\"b\" : 1, \"a\": [1.0, 9007199254740993],\"b\":2}")),
        ("jsonb", json("{\"a\": [1.0, 9007199254740993]}")),
        ("date", text("2026-02-28")),
        ("date", text("0044-03-15 BC")),
        ("date", text("infinity")),
        ("date", text("5874897-12-31")),
        ("timestamp", text("2026-01-01T12:34:56.000001")),
        ("timestamp", text("4713-01-01T00:00:00 BC")),
        ("timestamptz", instant("2026-01-01T00:00:00Z")),
        ("timestamptz", instant("1969-12-31T23:59:59.999999Z")),
        ("timestamptz", instant("0044-03-15T00:00:00Z BC")),
        ("timestamptz", instant("294276-12-31T23:59:59.999999Z")),
        ("timestamptz", instant("-infinity")),
        ("time", text("12:34:56.789")),
        ("timetz", text("12:34:56+02")),
        ("interval", text("1 year 2 mons 3 days -04:05:06.789")),
        ("inet", text("192.168.0.1/24")),
        ("macaddr", text("08:00:2b:01:02:03")),
        ("bit varying", text("10101")),
        ("int4range", text("[1,5)")),
        ("point", text("(1.5,2)")),
        ("tsvector", text("'a':1 'b':2")),
        ("xml", text("<a>1</a>")),
        ("money", text("$12.50")),
        ("integer[]", json("[1,null,3]")),
        ("text[]", json("[\"a\\\"b\",\"NULL\",null,\"{}\",\"\"]")),
        ("numeric[]", json("[1.50,12345678901234567890.1]")),
        ("integer[]", json("[[1,2],[3,4]]")),
        ("integer[]", json("[]")),
        ("jsonb[]", json(r#"["5","true",5,true,null,"null","s"]"#)),
        ("jsonb[]", json(r#"[{"a": 1},[1, 2],"a\"b\\"]"#)),
        ("json[]", json(r#"["5",{"b" : 1,"b":2},[ ],1.50]"#)),
        ("jsonb[]", json("[]")),
        ("jsons[]", json(r#"["5"]"#)),
        ("pair[]", json(r#"["(1,x)","(,\"a b\")",null]"#)),
        ("pair", text("(1,x)")),
        ("int4range[]", json("[\"[1,5)\"]")),
    ] {
        types.check(of, value.clone(), value).await;
        types.check(of, SqlValue::Null, SqlValue::Null).await;
    }
    // What is written in another way comes out in one.
    types.check("timestamptz", instant("2026-01-01T02:00:00+02:00"), instant("2026-01-01T00:00:00Z")).await;
    types.check("timestamp", instant("2026-01-01T02:00:00+02:00"), text("2026-01-01T00:00:00")).await;
    types.check("numeric", SqlValue::Integer(7), decimal("7")).await;
    types.check("numeric(10,2)", decimal("1.005"), decimal("1.01")).await;
    types.check("bigint", decimal("7"), SqlValue::Integer(7)).await;
    types.check("integer", SqlValue::Real(7.0), SqlValue::Integer(7)).await;
    types.check("text", SqlValue::Integer(7), text("7")).await;
    types.check("boolean", text("yes"), SqlValue::Boolean(true)).await;
}

#[tokio::test]
async fn types_are_inferred_and_parameters_are_never_text_of_the_statement() {
    let types = Types::new();
    let evil = text("'; DROP TABLE accounts; --");
    assert_eq!(types.row("SELECT $1", std::slice::from_ref(&evil)).await.unwrap(), [evil]);
    let row = types.row("SELECT ?2 || :a", &[]).await;
    assert!(matches!(&row, Err(DbError::Invalid(text)) if text.contains("not both")), "{row:?}");
    let row = types.row("SELECT :b || '-' || :a || '-' || :b", &[text("1"), text("2")]).await.unwrap();
    assert_eq!(row, [text("1-2-1")]);
    let among = [SqlValue::Json("[1,3,99]".into())];
    let row =
        types.row("SELECT count(*) FROM generate_series(1, 9) n WHERE n = ANY($1)", &among).await.unwrap();
    assert_eq!(row, [SqlValue::Integer(2)]);
    let given = [SqlValue::Integer(1), SqlValue::Timestamp("2000-01-01T00:00:00Z".into())];
    let row = types.row("SELECT '2026-01-01'::date + $1::int, now() > $2", &given).await.unwrap();
    assert_eq!(row, [text("2026-01-02"), SqlValue::Boolean(true)]);
}

#[tokio::test]
async fn a_json_null_in_an_array_is_read_as_null_and_an_object_is_no_composite() {
    let types = Types::new();
    types.pg.sql("CREATE TYPE pair AS (a int, b text); GRANT USAGE ON SCHEMA public TO public");
    let json = |text: &str| SqlValue::Json(text.into());
    let row = types.row("SELECT ARRAY['null'::jsonb, NULL], $1::jsonb[] IS NULL", &[json("[null]")]).await;
    assert_eq!(row.unwrap(), [json("[null,null]"), SqlValue::Boolean(false)]);
    let row = types.row("SELECT ($1::jsonb[])[1] IS NULL", &[json("[null]")]).await.unwrap();
    assert_eq!(row, [SqlValue::Boolean(true)]);
    let row = types.row("SELECT $1::pair[]", &[json(r#"[{"a":1,"b":"x"}]"#)]).await;
    let Err(DbError::Invalid(message)) = row else { panic!("{row:?}") };
    assert!(message.contains("an element of it is text, as the server writes it"), "{message}");
}

#[tokio::test]
async fn columns_keep_their_names_and_order_whatever_has_to_be_cast() {
    let types = Types::new();
    let sql = "SELECT n AS \"a b\", ARRAY[n], '1 day'::interval AS a, n AS a FROM generate_series(3, 1, -1) AS n ORDER BY n DESC LIMIT 2";
    let rows =
        types.db.query(&statement(sql, &[]), &DbAccess::default(), QueryLimits::default()).await.unwrap();
    assert_eq!(rows.columns, ["a b", "array", "a", "a"]);
    let row = |n: i64| {
        vec![SqlValue::Integer(n), SqlValue::Json(format!("[{n}]")), text("1 day"), SqlValue::Integer(n)]
    };
    assert_eq!(rows.rows, [row(3), row(2)]);
}

/// Values of a type, as they come out.
fn values() -> impl Strategy<Value = (&'static str, SqlValue)> {
    let of = |of: &'static str| move |value: SqlValue| (of, value);
    // What a text of PostgreSQL can hold.
    let written = || ".*".prop_filter("it has no NUL", |text: &String| !text.contains('\0'));
    let seconds = -62_000_000_000_i64..250_000_000_000;
    let clock = (seconds, 0..1_000_000_i32).prop_map(|(second, micro)| {
        jiff::Timestamp::new(second, micro * 1000).expect("it is within the years that there are")
    });
    prop_oneof![
        any::<bool>().prop_map(SqlValue::Boolean).prop_map(of("boolean")),
        any::<i16>().prop_map(|n| SqlValue::Integer(n.into())).prop_map(of("smallint")),
        any::<i32>().prop_map(|n| SqlValue::Integer(n.into())).prop_map(of("integer")),
        any::<i64>().prop_map(SqlValue::Integer).prop_map(of("bigint")),
        any::<f32>().prop_map(|n| SqlValue::Real(n.into())).prop_map(of("real")),
        any::<f64>().prop_map(SqlValue::Real).prop_map(of("double precision")),
        (any::<i128>(), 0..30_usize).prop_map(|(n, part)| numeric(n, part)).prop_map(of("numeric")),
        written().prop_map(SqlValue::Text).prop_map(of("text")),
        proptest::collection::vec(any::<u8>(), 0..60).prop_map(SqlValue::Blob).prop_map(of("bytea")),
        any::<u128>().prop_map(uuid).prop_map(of("uuid")),
        written()
            .prop_map(|text| SqlValue::Json(format!(" {} ", serde_json::json!([text, { "a": text }]))))
            .prop_map(of("json")),
        clock.clone().prop_map(|at| SqlValue::Timestamp(at.to_string())).prop_map(of("timestamptz")),
        clock
            .prop_map(|at| SqlValue::Text(at.to_string().trim_end_matches('Z').to_owned()))
            .prop_map(of("timestamp")),
        proptest::collection::vec(proptest::option::of(any::<i64>()), 0..5)
            .prop_map(|all| SqlValue::Json(serde_json::json!(all).to_string()))
            .prop_map(of("bigint[]")),
        proptest::collection::vec(proptest::option::of(written()), 0..5)
            .prop_map(|all| SqlValue::Json(serde_json::json!(all).to_string()))
            .prop_map(of("text[]")),
    ]
}

fn numeric(n: i128, part: usize) -> SqlValue {
    let digits = format!("{:0>width$}", n.unsigned_abs(), width = part + 1);
    let (whole, rest) = digits.split_at(digits.len() - part);
    let sign = if n < 0 { "-" } else { "" };
    SqlValue::Decimal(if part == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") })
}

fn uuid(n: u128) -> SqlValue {
    let hex = format!("{n:032x}");
    SqlValue::Uuid([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

#[test]
fn any_value_is_the_same_when_it_comes_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let types = Types::new();
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(config).run(&values(), |(of, value)| {
        runtime.block_on(types.check(of, value.clone(), value));
        Ok(())
    });
    checked.unwrap_or_else(|failed| panic!("{failed}"));
}
