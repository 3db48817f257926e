//! SQLite beside the model of rows, and every type of value on its way in and out.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use proptest::prelude::*;
use tempfile::TempDir;
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_model::{DbAccess, SqlValue, TableAccess};
use wflo_ports::{Begun, Capture, Database, QueryLimits, Statement};

use crate::row_model::{Subject, TABLE, happenings, play};
use crate::sqlite::marker;

struct File {
    path: PathBuf,
    owner: rusqlite::Connection,
    db: Arc<Sqlite>,
    _folder: TempDir,
}

impl File {
    fn new(schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let owner = rusqlite::Connection::open(&path).unwrap();
        owner.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        owner.execute_batch(schema).unwrap();
        let db = Arc::new(Sqlite::open(&path, SqliteOptions::default()).unwrap());
        Self { path, owner, db, _folder: folder }
    }
}

#[async_trait]
impl Subject for File {
    fn database(&self) -> Arc<dyn Database> {
        Arc::clone(&self.db) as Arc<dyn Database>
    }

    async fn outside(&mut self, sql: &str) -> bool {
        match self.owner.execute(sql, []) {
            Ok(_) => true,
            Err(rusqlite::Error::SqliteFailure(error, _)) => {
                assert_eq!(error.code, rusqlite::ErrorCode::ConstraintViolation, "{sql}");
                false
            }
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    fn is_shared(&self) -> bool {
        // Whoever writes has the file to itself.
        false
    }

    async fn kill(&mut self) {
        // Its connections close, as those of a process do: what was not committed is rolled back.
        self.db = Arc::new(Sqlite::open(&self.path, SqliteOptions::default()).unwrap());
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Any value that a step can pass.
fn value() -> impl Strategy<Value = SqlValue> {
    prop_oneof![
        Just(SqlValue::Null),
        any::<bool>().prop_map(SqlValue::Boolean),
        any::<i64>().prop_map(SqlValue::Integer),
        any::<f64>().prop_filter("SQLite has no NaN", |n| !n.is_nan()).prop_map(SqlValue::Real),
        (any::<i64>(), 0..9_u8).prop_map(|(n, part)| SqlValue::Decimal(format!("{n}.{part}0"))),
        ".*".prop_map(SqlValue::Text),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(SqlValue::Blob),
        (1970..9999_u32, 1..13_u32)
            .prop_map(|(y, m)| SqlValue::Timestamp(format!("{y}-{m:02}-01T00:00:00Z"))),
        ".*".prop_map(|text| SqlValue::Json(serde_json::to_string(&text).unwrap())),
        any::<u128>().prop_map(|n| {
            let hex = format!("{n:032x}");
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            SqlValue::Uuid(parts.join("-"))
        }),
    ]
}

/// As SQLite gives it back: it has neither booleans nor types for what stands as text.
fn stored(value: &SqlValue) -> SqlValue {
    match value.clone() {
        SqlValue::Boolean(value) => SqlValue::Integer(i64::from(value)),
        SqlValue::Decimal(text) | SqlValue::Timestamp(text) | SqlValue::Json(text) | SqlValue::Uuid(text) => {
            SqlValue::Text(text)
        }
        other => other,
    }
}

fn same(a: &SqlValue, b: &SqlValue) -> bool {
    match (a, b) {
        (SqlValue::Real(a), SqlValue::Real(b)) => a.to_bits() == b.to_bits() || (*a == 0.0 && *b == 0.0),
        _ => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_table_is_what_the_model_says(happens in happenings()) {
        let mut file = File::new(TABLE);
        runtime().block_on(play(&mut file, &happens));
    }

    #[test]
    fn a_value_is_the_same_when_it_comes_back(values in proptest::collection::vec(value(), 1..20)) {
        let file = File::new("CREATE TABLE v (at INTEGER PRIMARY KEY, x)");
        let granted = || [("v".to_owned(), TableAccess::All)].into();
        let access = DbAccess { read: granted(), write: granted(), ..DbAccess::default() };
        let back = runtime().block_on(async {
            let Begun::Open(mut transaction) = file.db.begin(&marker(1), Capture::Off).await.unwrap() else {
                panic!("it has not committed");
            };
            for (at, value) in (0..).zip(&values) {
                let params = vec![SqlValue::Integer(at), value.clone()];
                let sql = "INSERT INTO v VALUES (?1, ?2)".to_owned();
                transaction.execute(&Statement { sql, params }, &access).await.unwrap();
            }
            transaction.commit().await.unwrap();
            let all = Statement { sql: "SELECT x FROM v ORDER BY at".into(), params: Vec::new() };
            file.db.query(&all, &access, QueryLimits::default()).await.unwrap().rows
        });
        prop_assert_eq!(back.len(), values.len());
        for (back, value) in back.iter().zip(&values) {
            prop_assert!(same(&back[0], &stored(value)), "{:?} came back as {:?}", value, back[0]);
        }
    }
}
