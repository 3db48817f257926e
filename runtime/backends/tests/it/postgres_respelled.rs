//! Undoing rows on PostgreSQL whose keys were written in another way that means the same.

use wflo_model::SqlValue;
use wflo_ports::{
    Begun, BulkInsert, Capture, ConflictReason, Database as _, DbError, Marker, MarkerPurpose, RowSource,
};

use crate::postgres::{bank, begin};
use crate::postgres_changes::{changed, check, dump, undo};
use crate::sqlite::{access, marker};
use crate::sqlite_bulk::told;

const NUMBERS: &str = "
    CREATE TABLE nk (k numeric PRIMARY KEY, v text);
    INSERT INTO nk VALUES (1.0, 'one'), (2.00, 'two');";

#[tokio::test]
async fn a_number_with_more_zeros_is_put_back_as_it_was_written() {
    let told = ["nk delete 1.0", "nk insert 1.00"];
    check(NUMBERS, &["nk"], &["UPDATE nk SET k = 1.00 WHERE k = 1"], &told).await;
    let again = ["DELETE FROM nk WHERE k = 1", "INSERT INTO nk VALUES (1.00, 'new')"];
    check(NUMBERS, &["nk"], &again, &told).await;
    let moved = ["UPDATE nk SET k = k + 1.000 WHERE k = 2", "UPDATE nk SET k = 2.0, v = 'two' WHERE k = 1"];
    check(NUMBERS, &["nk"], &moved, &["nk delete 1.0", "nk insert 2.0", "nk delete 2.00", "nk insert 3.000"])
        .await;
    let zero = "CREATE TABLE f (k float8, n int, v text, PRIMARY KEY (n, k)); INSERT INTO f VALUES (0, 1, 'a'), ('NaN', 1, 'b'), (0, 2, 'c');";
    check(zero, &["f"], &["UPDATE f SET k = '-0' WHERE n = 1 AND k = 0"], &["f insert 1,-0", "f delete 1,0"])
        .await;
}

#[tokio::test]
async fn so_is_a_text_that_a_collation_takes_for_the_same() {
    for (before, kind) in [
        (
            "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);",
            "text COLLATE any_case",
        ),
        ("CREATE EXTENSION citext;", "citext"),
    ] {
        let schema = format!(
            "{before} CREATE TABLE users (name {kind} PRIMARY KEY, nick {kind} UNIQUE); INSERT INTO users VALUES ('ann', 'a'), ('bob', 'b');"
        );
        let upper = ["UPDATE users SET name = upper(name)"];
        let told = ["users insert ANN", "users insert BOB", "users delete ann", "users delete bob"];
        check(&schema, &["users"], &upper, &told).await;
        // Two that have exchanged what is unique, and write it otherwise.
        let exchanged = [
            "UPDATE users SET nick = 'x' WHERE name = 'ann'",
            "UPDATE users SET nick = 'A' WHERE name = 'bob'",
            "UPDATE users SET nick = 'B' WHERE name = 'ann'",
        ];
        check(&schema, &["users"], &exchanged, &["users update ann", "users update bob"]).await;
    }
}

#[tokio::test]
async fn whoever_refers_to_it_does_not_hold_it_back() {
    for (action, told) in [
        ("", vec!["nk delete 1.0", "nk insert 1.00"]),
        ("ON UPDATE CASCADE ON DELETE CASCADE", vec!["kids update 1", "nk delete 1.0", "nk insert 1.00"]),
    ] {
        let schema = format!(
            "{NUMBERS} CREATE TABLE kids (id int PRIMARY KEY, k numeric REFERENCES nk {action}); INSERT INTO kids VALUES (1, 1.0), (2, 2);"
        );
        check(&schema, &["kids", "nk"], &["UPDATE nk SET k = 1.00 WHERE k = 1"], &told).await;
    }
}

#[tokio::test]
async fn one_that_somebody_has_changed_since_stays_and_is_told_by_both_keys() {
    for since in ["UPDATE nk SET v = 'mine' WHERE k = 1", "UPDATE nk SET k = 1.000 WHERE k = 1"] {
        let bank = bank(NUMBERS, &["nk"]).await;
        let changes = changed(&bank, 1, &["nk"], &["UPDATE nk SET k = 1.00 WHERE k = 1"]).await;
        bank.pg.sql(since);
        let as_found = dump(&bank, "nk");
        let undone = undo(&bank, 1, &changes).await;
        let left: Vec<_> =
            undone.conflicts.iter().map(|it| (it.key[0].to_string(), it.reason.clone())).collect();
        let changed = |key: &str| (key.to_owned(), ConflictReason::Changed);
        assert_eq!((undone.rows, left), (0, vec![changed("1.0"), changed("1.00")]));
        assert_eq!(dump(&bank, "nk"), as_found);
    }
}

struct Keys(Vec<&'static str>);

#[async_trait::async_trait]
impl RowSource for Keys {
    async fn next(&mut self) -> Result<Option<Vec<Vec<SqlValue>>>, DbError> {
        let rows: Vec<_> = self.0.drain(..).map(|key| vec![SqlValue::Decimal(key.into())]).collect();
        Ok((!rows.is_empty()).then_some(rows))
    }
}

#[tokio::test]
async fn one_that_was_inserted_in_bulk_is_not_gone_with_another_spelling() {
    let bank = bank(NUMBERS, &["nk"]).await;
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    let into = BulkInsert { table: "nk".into(), columns: vec!["k".into()] };
    transaction
        .bulk_insert(&into, &mut Keys(vec!["3.0", "4.0", "5.0"]), &access(&["nk"], &["nk"]))
        .await
        .unwrap();
    let batches = told(transaction.as_mut()).await;
    transaction.commit().await.unwrap();
    bank.pg.sql("UPDATE nk SET k = 4.00 WHERE k = 4; DELETE FROM nk WHERE k = 5");
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(1) };
    let Begun::Open(mut transaction) = bank.db.begin(&marker, Capture::Off).await.unwrap() else { panic!() };
    let undone = transaction.undo_inserted(&batches[0]).await.unwrap();
    transaction.commit().await.unwrap();
    let left: Vec<_> = undone.conflicts.iter().map(|it| (it.key[0].to_string(), it.reason.clone())).collect();
    assert_eq!((undone.rows, left), (2, vec![("4.0".to_owned(), ConflictReason::Changed)]));
    assert_eq!(bank.pg.sql("SELECT string_agg(k::text, ' ' ORDER BY k) FROM nk"), "1.0 2.00 4.00");
}
