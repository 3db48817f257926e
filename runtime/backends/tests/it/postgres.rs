//! Queries, transactions and markers on PostgreSQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wflo_backends::db::postgres::{Postgres, PostgresOptions, Preparation};
use wflo_model::{DbAccess, SqlRows, SqlValue};
use wflo_ports::{
    Begun, BulkInsert, Capture, Database, DbError, Marker, QueryLimits, RowSource, Transaction,
};

use crate::sqlite::{access, marker, statement};

/// A database with an owner beside the host.
pub(crate) struct Bank {
    pub(crate) pg: wflo_test_postgres::Database,
    pub(crate) db: Arc<Postgres>,
}

pub(crate) const SCHEMA: &str = "
    CREATE TABLE accounts (id int PRIMARY KEY, owner text NOT NULL, status text UNIQUE, balance bigint);
    INSERT INTO accounts VALUES (1, 'ann', 'a', 10), (2, 'bob', 'b', 20), (3, 'cid', 'c', 30);";

/// Makes a database, and has its owner prepare it for steps with these grants.
pub(crate) async fn bank_for(schema: &str, grants: &DbAccess, options: PostgresOptions) -> Bank {
    let pg = wflo_test_postgres::database();
    pg.sql(schema);
    let db = Arc::new(Postgres::new(&pg.url("read"), Some(&pg.url("write")), options).unwrap());
    let (reads_as, writes_as) = db.roles();
    let mut preparation = Preparation::new(reads_as, writes_as);
    preparation.grant(grants);
    preparation.run(&pg.url("owner")).await.unwrap();
    Bank { pg, db }
}

pub(crate) async fn bank(schema: &str, tables: &[&str]) -> Bank {
    bank_for(schema, &access(tables, tables), PostgresOptions::default()).await
}

pub(crate) async fn begin(db: &Postgres, run: u8, capture: Capture) -> Box<dyn Transaction> {
    match db.begin(&marker(run), capture).await.unwrap() {
        Begun::Open(transaction) => transaction,
        Begun::AlreadyCommitted => panic!("the marker is there"),
    }
}

async fn rows(db: &Postgres, sql: &str, params: &[SqlValue]) -> Result<SqlRows, DbError> {
    db.query(&statement(sql, params), &access(&["accounts"], &[]), QueryLimits::default()).await
}

#[tokio::test]
async fn bad_statements_are_invalid() {
    let bank = bank(SCHEMA, &["accounts"]).await;
    for (sql, params, message) in [
        ("SELEC 1", vec![], "`SELEC` is never open to a step"),
        ("SELECT FROM WHERE", vec![], "the statement is not understood"),
        ("SELECT none FROM accounts", vec![], "column \"none\" does not exist"),
        ("SELECT $1::int", vec![], "the statement takes 1 parameters, 0 were given"),
        ("SELECT 1", vec![SqlValue::Null], "the statement takes 0 parameters, 1 were given"),
        ("SELECT $1::int", vec![SqlValue::Text("s3cret".into())], "a value is none of its type"),
        ("SELECT $1::text", vec![SqlValue::Blob(vec![1])], "parameter 1 is bytes"),
        ("SELECT $1::bytea", vec![SqlValue::Text("x".into())], "parameter 1 is no bytes"),
        ("SELECT 1/0", vec![], "division by zero"),
        ("SELECT 1; SELECT 2", vec![], "more than one statement"),
        ("", vec![], "the statement is empty"),
    ] {
        match rows(&bank.db, sql, &params).await {
            Err(DbError::Invalid(text) | DbError::Denied(text)) => {
                assert!(text.starts_with(message) && !text.contains("s3cret"), "{sql}: {text}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert!(rows(&bank.db, "SELECT 1; -- done", &[]).await.is_ok());
}

#[tokio::test]
async fn addresses_are_not_repeated_in_errors() {
    for url in
        ["bank.db", "postgres://u:s3cret@/", "postgres://:s3cret@localhost/x", "postgres://u:s3cret@h:port/x"]
    {
        let error = Postgres::new(url, None, PostgresOptions::default()).unwrap_err().to_string();
        assert!(error.contains("`read_url`") && !error.contains("s3cret"), "{error}");
    }
    let nobody =
        Postgres::new("postgres://u:s3cret@127.0.0.1:1/x", None, PostgresOptions::default()).unwrap();
    let error = rows(&nobody, "SELECT 1", &[]).await.unwrap_err();
    assert!(matches!(&error, DbError::Unavailable(text) if !text.contains("s3cret")), "{error}");
    assert!(!format!("{nobody:?}").contains("s3cret"));
    let refused = nobody.begin(&marker(1), Capture::Off).await.err();
    assert!(matches!(&refused, Some(DbError::Denied(text)) if text.contains("write_url")), "{refused:?}");
}

#[tokio::test]
async fn a_database_that_is_not_prepared_says_so() {
    let pg = wflo_test_postgres::database();
    let db = Postgres::new(&pg.url("read"), Some(&pg.url("write")), PostgresOptions::default()).unwrap();
    let error = db.begin(&marker(1), Capture::Off).await.err().unwrap();
    assert!(error.to_string().contains("wflo db prepare"), "{error}");
}

#[tokio::test]
async fn a_transaction_commits_with_its_marker_once() {
    let bank = bank(SCHEMA, &["accounts"]).await;
    let access = access(&["accounts"], &["accounts"]);
    assert!(!bank.db.committed(&marker(1)).await.unwrap());
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let update = statement("UPDATE accounts SET balance = 0 WHERE id < ?1", &[SqlValue::Integer(3)]);
    assert_eq!(transaction.execute(&update, &access).await.unwrap().changed, 2);
    let sum = statement("SELECT sum(balance)::bigint FROM accounts", &[]);
    let inside = transaction.query(&sum, &access, QueryLimits::default()).await.unwrap();
    assert_eq!(inside.rows, [[SqlValue::Integer(30)]]);
    let outside = bank.db.query(&sum, &access, QueryLimits::default()).await.unwrap();
    assert_eq!(outside.rows, [[SqlValue::Integer(60)]]);
    transaction.ready().await.unwrap();
    transaction.commit().await.unwrap();
    assert!(bank.db.committed(&marker(1)).await.unwrap());
    assert_eq!(bank.pg.sql("SELECT sum(balance) FROM accounts"), "30");
    assert!(matches!(bank.db.begin(&marker(1), Capture::Off).await.unwrap(), Begun::AlreadyCommitted));
    // The same step of another run, and another item of this one, are others.
    begin(&bank.db, 2, Capture::Off).await.rollback().await;
    let item = Marker { item: Some(0), ..marker(1) };
    assert!(matches!(bank.db.begin(&item, Capture::Off).await.unwrap(), Begun::Open(_)));
    let expect = format!("{}|block|", marker(1).run);
    assert_eq!(bank.pg.sql("SELECT run, step, item FROM wflo_effects"), expect);
}

#[tokio::test]
async fn a_commit_in_flight_is_waited_for_and_not_guessed() {
    let bank = bank(SCHEMA, &["accounts"]).await;
    for commits in [true, false] {
        let run = if commits { 1 } else { 2 };
        let mut first = begin(&bank.db, run, Capture::Off).await;
        let update = statement("UPDATE accounts SET balance = balance + 1", &[]);
        first.execute(&update, &access(&["accounts"], &["accounts"])).await.unwrap();
        let db = Arc::clone(&bank.db);
        let asking = tokio::spawn(async move { db.committed(&marker(run)).await.unwrap() });
        // It waits in the server, behind the first one's marker.
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while bank.pg.superuser(waits) != "1" {
            assert!(!asking.is_finished(), "it does not wait");
            tokio::task::yield_now().await;
        }
        if commits {
            first.commit().await.unwrap()
        } else {
            first.rollback().await
        }
        assert_eq!(asking.await.unwrap(), commits);
    }
    assert_eq!(bank.pg.sql("SELECT sum(balance) FROM accounts"), "63");
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    let bank = bank(SCHEMA, &["accounts"]).await;
    let access = access(&[], &["accounts"]);
    let delete = statement("DELETE FROM accounts", &[]);
    for rollback in [true, false] {
        let mut transaction = begin(&bank.db, 1, Capture::Off).await;
        assert_eq!(transaction.execute(&delete, &access).await.unwrap().changed, 3);
        if rollback {
            transaction.rollback().await
        } else {
            drop(transaction)
        }
        // The same marker: it waits until the dropped one is gone.
        begin(&bank.db, 1, Capture::Off).await.rollback().await;
        assert_eq!(bank.pg.sql("SELECT count(*), (SELECT count(*) FROM wflo_effects) FROM accounts"), "3|0");
    }
}

#[tokio::test]
async fn a_failed_statement_changes_nothing_and_the_transaction_goes_on() {
    let bank = bank(SCHEMA, &["accounts"]).await;
    let access = access(&["accounts"], &["accounts"]);
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let first = statement("UPDATE accounts SET balance = 1 WHERE id = 1", &[]);
    transaction.execute(&first, &access).await.unwrap();
    for sql in [
        "UPDATE accounts SET status = 'same'",
        "INSERT INTO accounts VALUES (9, 'eve', 'e', 0), (10, 'f', 'e', 0)",
    ] {
        let error = transaction.execute(&statement(sql, &[]), &access).await.unwrap_err();
        assert!(
            matches!(&error, DbError::Constraint(text) if text.contains("accounts_status_key")),
            "{sql}: {error}"
        );
    }
    let query = statement("SELECT 1 / (balance - 1) FROM accounts WHERE id = 1", &[]);
    assert!(matches!(
        transaction.query(&query, &access, QueryLimits::default()).await,
        Err(DbError::Invalid(_))
    ));
    let denied = statement("DELETE FROM wflo_effects", &[]);
    assert!(matches!(transaction.execute(&denied, &access).await, Err(DbError::Denied(_))));
    transaction.commit().await.unwrap();
    assert_eq!(bank.pg.sql("SELECT balance FROM accounts WHERE id = 1"), "1");
    assert_eq!(bank.pg.sql("SELECT count(*) FROM accounts WHERE status IN ('same', 'e')"), "0");
}

#[tokio::test]
async fn whoever_loses_against_somebody_else_is_interrupted() {
    let bank = bank(SCHEMA, &["accounts"]).await;
    let access = access(&["accounts"], &["accounts"]);
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let query = statement("SELECT balance FROM accounts WHERE id = 1", &[]);
    transaction.query(&query, &access, QueryLimits::default()).await.unwrap();
    bank.pg.sql("UPDATE accounts SET balance = 11 WHERE id = 1");
    let update = statement("UPDATE accounts SET balance = balance + 1 WHERE id = 1", &[]);
    assert!(matches!(transaction.execute(&update, &access).await, Err(DbError::Interrupted(_))));
    // Nothing goes on in it, and least of all its commit.
    assert!(matches!(transaction.execute(&update, &access).await, Err(DbError::Interrupted(_))));
    assert!(transaction.commit().await.is_err());
    // A connection that breaks is the same.
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'wflo' AND datname = current_database()";
    bank.pg.superuser(kill);
    assert!(matches!(transaction.execute(&update, &access).await, Err(DbError::Interrupted(_))));
    drop(transaction);
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    transaction.execute(&update, &access).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(bank.pg.sql("SELECT balance FROM accounts WHERE id = 1"), "12");
}

#[tokio::test]
async fn constraints_that_wait_for_the_commit_speak_before_it() {
    let schema = format!(
        "{SCHEMA} CREATE TABLE cards (id int PRIMARY KEY, account int REFERENCES accounts DEFERRABLE INITIALLY DEFERRED);"
    );
    let bank = bank(&schema, &["accounts", "cards"]).await;
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let insert = statement("INSERT INTO cards VALUES (1, 99)", &[]);
    transaction.execute(&insert, &access(&[], &["cards"])).await.unwrap();
    assert!(matches!(transaction.ready().await, Err(DbError::Constraint(_))));
}

#[tokio::test]
async fn writers_take_their_turns_and_those_who_wait_too_long_are_told() {
    let options = PostgresOptions {
        writers: 1,
        transaction_timeout: Duration::from_millis(80),
        ..PostgresOptions::default()
    };
    let bank = bank_for(SCHEMA, &access(&["accounts"], &["accounts"]), options).await;
    let first = begin(&bank.db, 1, Capture::Off).await;
    assert!(matches!(bank.db.begin(&marker(2), Capture::Off).await, Err(DbError::Unavailable(_))));
    first.rollback().await;
    begin(&bank.db, 2, Capture::Off).await.commit().await.unwrap();
}

#[tokio::test]
async fn results_are_capped_and_read_in_pieces() {
    let bank = bank(SCHEMA, &["accounts"]).await;
    let access = access(&["accounts"], &[]);
    let query = async |sql: &str, limits| bank.db.query(&statement(sql, &[]), &access, limits).await;
    let limits = |rows, bytes| QueryLimits { rows, bytes, ..QueryLimits::default() };
    assert_eq!(query("SELECT id FROM accounts", limits(3, 24)).await.unwrap().rows.len(), 3);
    let error = query("SELECT id FROM accounts", limits(2, 1000)).await.unwrap_err();
    assert!(matches!(&error, DbError::Limit(text) if text.contains("2 rows")), "{error}");
    let error = query("SELECT id FROM accounts", limits(3, 23)).await.unwrap_err();
    assert!(matches!(&error, DbError::Limit(text) if text.contains("23 bytes")), "{error}");
    // Gigabytes, of which no more than a few pieces are ever sent.
    let huge = "SELECT lpad('x', 10000, 'y') FROM generate_series(1, 10000000)";
    let began = Instant::now();
    assert!(matches!(query(huge, limits(1_000_000, 1 << 20)).await, Err(DbError::Limit(_))));
    assert!(began.elapsed() < Duration::from_secs(20));
    let many = query("SELECT n FROM generate_series(1, 30000) AS n", limits(30_000, 1 << 20)).await.unwrap();
    let wanted: Vec<_> = (1..=30_000).map(|n| vec![SqlValue::Integer(n)]).collect();
    assert_eq!(many.rows, wanted);
}

const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000) b";

#[tokio::test]
async fn what_takes_too_long_is_stopped_and_leaves_its_transaction() {
    let options =
        PostgresOptions { statement_timeout: Duration::from_millis(50), ..PostgresOptions::default() };
    let bank = bank_for(SCHEMA, &access(&["accounts"], &["accounts"]), options).await;
    let short = QueryLimits { time: Duration::from_millis(50), ..QueryLimits::default() };
    let error = bank.db.query(&statement(ENDLESS, &[]), &DbAccess::default(), short).await.unwrap_err();
    assert!(matches!(error, DbError::Limit(_)), "{error}");
    let access = access(&["accounts"], &["accounts"]);
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let endless = statement(&format!("UPDATE accounts SET balance = ({ENDLESS})"), &[]);
    assert!(matches!(transaction.execute(&endless, &access).await, Err(DbError::Limit(_))));
    let update = statement("UPDATE accounts SET balance = 1", &[]);
    assert_eq!(transaction.execute(&update, &access).await.unwrap().changed, 3);
    // One whose future is dropped is stopped in the server, and its transaction is gone.
    let query = statement(ENDLESS, &[]);
    let abandoned = transaction.query(&query, &access, QueryLimits::default());
    assert!(tokio::time::timeout(Duration::from_millis(30), abandoned).await.is_err());
    assert!(matches!(transaction.execute(&update, &access).await, Err(DbError::Interrupted(_))));
    let runs = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()";
    let began = Instant::now();
    while bank.pg.superuser(runs) != "0" {
        assert!(began.elapsed() < Duration::from_secs(10), "it still runs");
        tokio::task::yield_now().await;
    }
    assert_eq!(bank.pg.sql("SELECT sum(balance) FROM accounts"), "60");
}

/// So many rows, and then perhaps one that does not fit.
pub(crate) struct Rows {
    pub(crate) next: i64,
    pub(crate) last: i64,
    pub(crate) bad: bool,
}

#[async_trait::async_trait]
impl RowSource for Rows {
    async fn next(&mut self) -> Result<Option<Vec<Vec<SqlValue>>>, DbError> {
        if self.next > self.last {
            let bad = std::mem::take(&mut self.bad);
            return Ok(bad.then(|| vec![vec![SqlValue::Integer(1), SqlValue::Null, SqlValue::Null]]));
        }
        let until = self.last.min(self.next + 999);
        let row = |n: i64| {
            let text = format!("tab\t line\n \\N \\. {n}");
            vec![SqlValue::Integer(n), SqlValue::Text(text), SqlValue::Null]
        };
        let rows = (self.next..=until).map(row).collect();
        self.next = until + 1;
        Ok(Some(rows))
    }
}

#[tokio::test]
async fn many_rows_are_inserted_as_they_come_all_or_none() {
    let schema = "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, born date); CREATE TABLE other (id int);";
    let bank = bank(schema, &["people"]).await;
    let granted = access(&["people"], &["people"]);
    let columns = ["id", "name", "born"].map(str::to_owned).to_vec();
    let into = BulkInsert { table: "people".into(), columns: columns.clone() };
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let mut rows = Rows { next: 1, last: 5_000, bad: true };
    let refused = transaction.bulk_insert(&into, &mut rows, &granted).await;
    assert!(matches!(&refused, Err(DbError::Constraint(_))), "{refused:?}");
    let other = BulkInsert { table: "other".into(), columns };
    let denied = transaction.bulk_insert(&other, &mut Rows { next: 1, last: 1, bad: false }, &granted).await;
    assert!(matches!(&denied, Err(DbError::Denied(_))), "{denied:?}");
    let mut rows = Rows { next: 1, last: 20_000, bad: false };
    assert_eq!(transaction.bulk_insert(&into, &mut rows, &granted).await.unwrap(), 20_000);
    transaction.commit().await.unwrap();
    let counted = "SELECT count(*), count(*) FILTER (WHERE name = E'tab\\t line\\n \\\\N \\\\. ' || id), count(born) FROM people";
    assert_eq!(bank.pg.sql(counted), "20000|20000|0");
}

#[tokio::test]
async fn columns_that_the_server_makes_up_anew_are_told() {
    let schema = "CREATE FUNCTION ticket() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
        CREATE FUNCTION fixed() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
        CREATE TABLE t (id serial PRIMARY KEY, other int GENERATED BY DEFAULT AS IDENTITY, at timestamptz DEFAULT now(),
            day date DEFAULT CURRENT_DATE + 1, token uuid DEFAULT gen_random_uuid(), own int DEFAULT ticket(),
            same int DEFAULT fixed(), note text DEFAULT 'now()', n int DEFAULT 0, twice int GENERATED ALWAYS AS (n * 2) STORED);
        CREATE TABLE plain (id int PRIMARY KEY);";
    let bank = bank(schema, &["t", "plain"]).await;
    let found = bank.db.made_up(&["t", "plain", "nothing"].map(str::to_owned)).await.unwrap();
    assert!(found.iter().all(|it| it.table == "t"), "{found:?}");
    let columns: Vec<_> = found.iter().map(|it| it.column.as_str()).collect();
    assert_eq!(columns, ["id", "other", "at", "day", "token", "own"], "{found:?}");
    let from: Vec<_> = found.iter().map(|it| it.from.as_str()).collect();
    assert_eq!(&from[1..4], ["its identity", "now()", "(CURRENT_DATE + 1)"]);
}
