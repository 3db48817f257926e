//! Results that are read a part at a time, on both databases.

use std::sync::Arc;
use std::time::Duration;

use wflo_backends::db::postgres::PostgresOptions;
use wflo_backends::db::sqlite::SqliteOptions;
use wflo_model::{DbAccess, SqlRows, SqlValue, TableAccess};
use wflo_ports::{Cursor, Database, DbError, QueryLimits};

use crate::sqlite::{access, statement};
use crate::{postgres, sqlite};

const MANY: i64 = 20_000;
const TIME: Duration = Duration::from_secs(20);

/// Both databases with `t` of many rows in it, and somebody who writes to each.
async fn both(readers: usize) -> Vec<(&'static str, Arc<dyn Database>, Box<dyn Fn(&str)>)> {
    let rows = |n: &str| format!("INSERT INTO t SELECT n, 'row ' || n, 1 FROM ({n}) AS s");
    let table = "CREATE TABLE t (id BIGINT PRIMARY KEY, name TEXT, owner BIGINT);";
    let counted = format!(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {MANY}) SELECT n FROM c"
    );
    let file = sqlite::bank(
        &format!("{table} {}", rows(&counted)),
        SqliteOptions { readers, ..SqliteOptions::default() },
    );
    let series = format!("SELECT n FROM generate_series(1, {MANY}) AS g(n)");
    let options = PostgresOptions { readers, ..PostgresOptions::default() };
    let server =
        postgres::bank_for(&format!("{table} {}", rows(&series)), &access(&["t"], &["t"]), options).await;
    let (of_file, of_server) =
        (Arc::clone(&file.db) as Arc<dyn Database>, Arc::clone(&server.db) as Arc<dyn Database>);
    vec![
        (
            "sqlite",
            of_file,
            Box::new(move |sql| {
                // All of it is kept, with its folder.
                let file = &file;
                file.owner.execute_batch(sql).unwrap();
            }),
        ),
        (
            "postgres",
            of_server,
            Box::new(move |sql| {
                let server = &server;
                server.pg.sql(sql);
            }),
        ),
    ]
}

fn all() -> DbAccess {
    access(&["t"], &[])
}

async fn open(db: &dyn Database, sql: &str) -> Result<Box<dyn Cursor>, DbError> {
    db.cursor(&statement(sql, &[]), &all(), TIME).await
}

#[tokio::test]
async fn all_parts_are_of_one_snapshot() {
    for (name, db, write) in both(4).await {
        let mut cursor = open(db.as_ref(), "SELECT id, name FROM t ORDER BY id").await.unwrap();
        assert_eq!(cursor.columns(), ["id", "name"], "{name}");
        let first = cursor.next(7, usize::MAX).await.unwrap();
        assert_eq!(first.len(), 7, "{name}");
        write("UPDATE t SET name = 'changed'; DELETE FROM t WHERE id > 100");
        let mut next = 8;
        loop {
            let part = cursor.next(3000, usize::MAX).await.unwrap();
            assert!(part.len() <= 3000, "{name}");
            let Some(row) = part.first() else { break };
            assert_eq!(*row, [SqlValue::Integer(next), SqlValue::Text(format!("row {next}"))], "{name}");
            next += part.len() as i64;
        }
        assert_eq!(next, MANY + 1, "{name}");
        // There is nothing more, however often it is asked for.
        assert_eq!(cursor.next(10, usize::MAX).await.unwrap().len(), 0, "{name}");
        let now = open(db.as_ref(), "SELECT count(*) FROM t").await.unwrap().next(10, 1).await.unwrap();
        assert_eq!(now, [[SqlValue::Integer(100)]], "{name}");
    }
}

#[tokio::test]
async fn a_part_has_no_more_bytes_than_it_may_but_a_row_always() {
    for (name, db, _) in both(4).await {
        let mut cursor = open(db.as_ref(), "SELECT id, name FROM t ORDER BY id").await.unwrap();
        assert_eq!(
            cursor.next(MANY as usize, 1).await.unwrap().len().min(64),
            if name == "sqlite" { 1 } else { 64 }
        );
        let part = cursor.next(MANY as usize, 100 << 10).await.unwrap();
        let bytes: usize = part.iter().map(|row| 8 + row[1].to_string().len()).sum();
        // PostgreSQL sends some at a time.
        assert!((90 << 10..2 << 20).contains(&bytes), "{name}: {bytes}");
        assert!(part.len() < MANY as usize, "{name}");
    }
}

#[tokio::test]
async fn it_is_granted_and_judged_as_any_query() {
    for (name, db, _) in both(4).await {
        for (sql, is_denied) in [
            ("SELECT * FROM wflo_effects", true),
            ("DELETE FROM t", true),
            ("SELECT nothing FROM t", false),
            ("SELECT id FROM t WHERE id = ?1", false),
        ] {
            let error = open(db.as_ref(), sql).await.err().unwrap_or_else(|| panic!("{name}: {sql}"));
            assert_eq!(matches!(error, DbError::Denied(_)), is_denied, "{name}: {sql}: {error}");
        }
        let some = TableAccess::new(None, Some("id IN (3, 5)".parse().unwrap()));
        let granted = DbAccess { read: [("t".to_owned(), some)].into(), ..DbAccess::default() };
        let sql = statement("SELECT id FROM t ORDER BY id DESC", &[]);
        let mut cursor = db.cursor(&sql, &granted, TIME).await.unwrap();
        let ids = [cursor.next(1, 1).await.unwrap(), cursor.next(9, 1).await.unwrap()].concat();
        assert_eq!(ids, [[SqlValue::Integer(5)], [SqlValue::Integer(3)]], "{name}");
        // An error in the middle is that of its part.
        let mut bad =
            open(db.as_ref(), "SELECT 1 / (id - 5000) FROM t WHERE id - 5000 <> 0 OR id = 5000 ORDER BY id")
                .await
                .unwrap();
        if name == "postgres" {
            let mut read = Ok(vec![vec![]]);
            while matches!(&read, Ok(rows) if !rows.is_empty()) {
                read = bad.next(1000, usize::MAX).await;
            }
            assert!(matches!(read, Err(DbError::Invalid(_))), "{read:?}");
            assert!(bad.next(1, 1).await.is_err());
        }
    }
}

#[tokio::test]
async fn those_that_are_held_leave_connections_for_others() {
    for (name, db, write) in both(2).await {
        let mut first = open(db.as_ref(), "SELECT id FROM t ORDER BY id").await.unwrap();
        assert!(first.may_stay(), "{name}");
        let second = open(db.as_ref(), "SELECT id FROM t ORDER BY id").await.unwrap();
        assert!(!second.may_stay(), "{name}");
        drop(second);
        let limits = QueryLimits { time: TIME, ..QueryLimits::default() };
        let count = statement("SELECT count(*) FROM t", &[]);
        let SqlRows { rows, .. } = db.query(&count, &all(), limits).await.unwrap();
        assert_eq!(rows, [[SqlValue::Integer(MANY)]], "{name}");
        assert_eq!(first.next(1, 1).await.unwrap().len().min(1), 1, "{name}");
        write("DELETE FROM t");
        drop(first);
        // Its connection is free again.
        let mut next = open(db.as_ref(), "SELECT id FROM t").await.unwrap();
        assert_eq!(next.next(9, 9).await.unwrap(), Vec::<Vec<SqlValue>>::new(), "{name}");
    }
}

#[tokio::test]
async fn a_part_that_takes_too_long_is_stopped() {
    let endless = |name: &str| match name {
        "sqlite" => {
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c WHERE n < 0"
        }
        _ => "SELECT a FROM generate_series(1, 1000000000) a, generate_series(1, 1000000) b WHERE a < 0",
    };
    for (name, db, _) in both(2).await {
        let sql = statement(endless(name), &[]);
        let short = Duration::from_millis(100);
        let error = match db.cursor(&sql, &all(), short).await {
            Ok(mut cursor) => cursor.next(1, 1).await.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, DbError::Limit(_)), "{name}: {error}");
        // One that nobody waits for is stopped, too, and gives its connection back.
        let mut abandoned = db.cursor(&sql, &all(), TIME).await.unwrap();
        assert!(tokio::time::timeout(short, abandoned.next(1, 1)).await.is_err(), "{name}");
        drop(abandoned);
        let others: Vec<_> =
            [open(db.as_ref(), "SELECT 1").await, open(db.as_ref(), "SELECT 1").await].into();
        assert!(others.iter().all(Result::is_ok), "{name}");
    }
}
