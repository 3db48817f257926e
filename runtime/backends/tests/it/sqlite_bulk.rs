//! Bulk inserts: rows of a source, all or none, told by their keys, and deleted again.

use async_trait::async_trait;
use wflo_backends::db::sqlite::SqliteOptions;
use wflo_model::{DbAccess, Inserted, InsertedRows, SqlValue, TableAccess};
use wflo_ports::{
    Begun, BulkInsert, Capture, ChangeLimits, ConflictReason, Database, DbError, Marker, MarkerPurpose,
    RowSource, Transaction,
};

use crate::sqlite::{Bank, access, bank, marker, statement};

/// SQLite reads the key that a foreign key refers to, and asks whether it may: hence the grants to read.
const TABLES: &str = "
    CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER DEFAULT 5, boss INTEGER REFERENCES people);
    CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT);
    INSERT INTO people (id, name) VALUES (1, 'owner');";

/// Rows `from..to`, a hundred at a time; one of them may be what the table does not take.
pub(crate) struct Numbers {
    pub(crate) next: i64,
    pub(crate) to: i64,
    pub(crate) bad: Option<i64>,
    pub(crate) boss: Option<i64>,
}

pub(crate) fn numbers(next: i64, to: i64) -> Numbers {
    Numbers { next, to, bad: None, boss: None }
}

#[async_trait]
impl RowSource for Numbers {
    async fn next(&mut self) -> Result<Option<Vec<Vec<SqlValue>>>, DbError> {
        let end = (self.next + 100).min(self.to);
        let rows: Vec<_> = (self.next..end)
            .map(|id| {
                let name =
                    if self.bad == Some(id) { SqlValue::Null } else { SqlValue::Text(format!("p{id}")) };
                let boss = self.boss.map_or(SqlValue::Null, |step| SqlValue::Integer(id + step));
                vec![SqlValue::Integer(id), name, boss]
            })
            .collect();
        self.next = end;
        Ok((!rows.is_empty()).then_some(rows))
    }
}

pub(crate) fn into() -> BulkInsert {
    BulkInsert { table: "people".into(), columns: vec!["id".into(), "name".into(), "boss".into()] }
}

async fn begin(bank: &Bank, run: u8, capture: Capture) -> Box<dyn Transaction> {
    match bank.db.begin(&marker(run), capture).await.unwrap() {
        Begun::Open(transaction) => transaction,
        Begun::AlreadyCommitted => panic!("the marker is there"),
    }
}

pub(crate) async fn told(transaction: &mut dyn Transaction) -> Vec<InsertedRows> {
    let (mut all, mut from) = (Vec::new(), 0);
    while let Some((rows, next)) = transaction.inserted(from).await.unwrap() {
        all.push(rows);
        from = next;
    }
    all
}

async fn undone(bank: &Bank, batches: &[InsertedRows]) -> (u64, Vec<wflo_ports::Conflict>) {
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(1) };
    let Begun::Open(mut transaction) = bank.db.begin(&marker, Capture::Off).await.unwrap() else { panic!() };
    let (mut rows, mut conflicts) = (0, Vec::new());
    for batch in batches.iter().rev() {
        let undone = transaction.undo_inserted(batch).await.unwrap();
        rows += undone.rows;
        conflicts.extend(undone.conflicts);
    }
    transaction.commit().await.unwrap();
    (rows, conflicts)
}

fn count(bank: &Bank) -> i64 {
    bank.owner.query_row("SELECT count(*) FROM people", [], |row| row.get(0)).unwrap()
}

pub(crate) fn rows(batches: &[InsertedRows]) -> usize {
    batches.iter().map(|batch| batch.rows.len()).sum()
}

#[tokio::test]
async fn what_was_inserted_is_told_in_batches_and_deleted_again_but_what_changed_since() {
    let bank = bank(TABLES, SqliteOptions::default());
    let mut transaction = begin(&bank, 1, Capture::On).await;
    let write = access(&["people"], &["people"]);
    let inserted = transaction.bulk_insert(&into(), &mut numbers(10, 3010), &write).await.unwrap();
    assert_eq!(inserted, 3000);
    let update = statement("UPDATE people SET n = 6 WHERE id = 1", &[]);
    transaction.execute(&update, &access(&["people"], &["people"])).await.unwrap();
    let changes = transaction.changes(ChangeLimits { rows: 10, bytes: 1000 }).await.unwrap();
    assert_eq!(changes.row_count(), 1, "what was inserted in bulk is not among the changes");
    let batches = told(transaction.as_mut()).await;
    assert_eq!(rows(&batches), 3000);
    assert!(batches.iter().all(|batch| batch.rows.len() <= 500 && batch.columns.len() == 4));
    assert_eq!(batches[0].rows[0].0, [SqlValue::Integer(10)]);
    transaction.commit().await.unwrap();
    assert_eq!(count(&bank), 3001);

    bank.owner
        .execute_batch(
            "UPDATE people SET n = 7 WHERE id = 20; DELETE FROM people WHERE id = 30;
             INSERT INTO people (id, name, boss) VALUES (5000, 'new', 40)",
        )
        .unwrap();
    let (gone, conflicts) = undone(&bank, &batches).await;
    assert_eq!(gone, 2998, "one that somebody has deleted is gone as well");
    let mut left: Vec<_> = conflicts.iter().map(|it| (it.key.clone(), it.reason.clone())).collect();
    left.sort_by_key(|(key, _)| format!("{key:?}"));
    let referenced = ConflictReason::Referenced { table: "people".into() };
    assert_eq!(
        left,
        [(vec![SqlValue::Integer(20)], ConflictReason::Changed), (vec![SqlValue::Integer(40)], referenced)]
    );
    assert_eq!(count(&bank), 4);
}

#[tokio::test]
async fn a_row_that_is_not_taken_leaves_nothing_and_the_transaction_goes_on() {
    let bank = bank(TABLES, SqliteOptions::default());
    for capture in [Capture::On, Capture::Off] {
        let mut transaction = begin(&bank, 1 + u8::from(capture == Capture::On), capture).await;
        let write = access(&["people"], &["people"]);
        let mut bad = Numbers { bad: Some(250), ..numbers(10, 400) };
        let refused = transaction.bulk_insert(&into(), &mut bad, &write).await.unwrap_err();
        assert!(matches!(&refused, DbError::Constraint(why) if why.contains("NOT NULL")), "{refused:?}");
        assert_eq!(transaction.bulk_insert(&into(), &mut numbers(1000, 1010), &write).await.unwrap(), 10);
        assert_eq!(rows(&told(transaction.as_mut()).await), if capture == Capture::On { 10 } else { 0 });
        transaction.rollback().await;
    }
    assert_eq!(count(&bank), 1);
}

#[tokio::test]
async fn only_a_grant_for_whole_rows_lets_rows_in() {
    let bank = bank(TABLES, SqliteOptions::default());
    let mut transaction = begin(&bank, 1, Capture::On).await;
    let some = TableAccess::new(None, Some("id = 10".parse().unwrap()));
    let some = DbAccess { write: [("people".to_owned(), some)].into(), ..DbAccess::default() };
    for grant in [access(&["people"], &[]), access(&[], &["log"]), some] {
        let denied = transaction.bulk_insert(&into(), &mut numbers(10, 20), &grant).await.unwrap_err();
        assert!(matches!(denied, DbError::Denied(_)), "{denied:?}");
    }
    let elsewhere = BulkInsert { table: "people\" (id) SELECT 9; --".into(), columns: vec!["id".into()] };
    let write = access(&["people"], &["people"]);
    assert!(transaction.bulk_insert(&elsewhere, &mut numbers(10, 20), &write).await.is_err());
    let nowhere = BulkInsert { columns: Vec::new(), ..into() };
    assert!(transaction.bulk_insert(&nowhere, &mut numbers(10, 20), &write).await.is_err());
}

#[tokio::test]
async fn rows_that_take_the_place_of_others_are_changes_and_those_that_refer_to_one_another_go_too() {
    let bank = bank(TABLES, SqliteOptions::default());
    let mut transaction = begin(&bank, 1, Capture::On).await;
    let all = access(&["people"], &["people"]);
    // The whole table is loaded anew: the owner's row comes back with another name.
    transaction.execute(&statement("DELETE FROM people", &[]), &all).await.unwrap();
    transaction.bulk_insert(&into(), &mut numbers(1, 2), &all).await.unwrap();
    // Each row refers to the one before it.
    let mut chain = Numbers { boss: Some(-1), ..numbers(2, 1500) };
    transaction.bulk_insert(&into(), &mut chain, &all).await.unwrap();
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    assert_eq!(changes.tables[0].rows[0].kind(), "update");
    let batches = told(transaction.as_mut()).await;
    assert_eq!(rows(&batches), 1498);
    transaction.commit().await.unwrap();

    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 3 }, ..marker(1) };
    let Begun::Open(mut transaction) = bank.db.begin(&marker, Capture::Off).await.unwrap() else { panic!() };
    let undone = transaction.undo(&changes).await.unwrap();
    assert_eq!((undone.rows, undone.conflicts), (1, vec![]));
    for batch in batches.iter().rev() {
        let undone = transaction.undo_inserted(batch).await.unwrap();
        assert_eq!((undone.rows as usize, undone.conflicts), (batch.rows.len(), vec![]));
    }
    transaction.commit().await.unwrap();
    let name: String = bank.owner.query_row("SELECT name FROM people", [], |row| row.get(0)).unwrap();
    assert_eq!((count(&bank), name.as_str()), (1, "owner"));
}

#[test]
fn what_is_kept_of_them_says_how_many_there_are() {
    let artifact = wflo_model::Artifact {
        artifact: "inserted-rows.jsonl".parse().unwrap(),
        bytes: 1,
        digest: wflo_model::Digest::ZERO,
        index: wflo_model::Digest::ZERO,
        run: None,
    };
    let tables = [("people".to_owned(), 2), ("log".to_owned(), 3)].into();
    assert_eq!(Inserted { tables, kept: artifact }.row_count(), 5);
}
