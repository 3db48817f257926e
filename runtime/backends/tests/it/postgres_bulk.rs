//! Bulk inserts on PostgreSQL: told by their keys, and deleted again.

use std::time::Duration;

use wflo_backends::db::postgres::PostgresOptions;
use wflo_model::{Conflict, InsertedRows, SqlValue};
use wflo_ports::{
    Begun, Capture, ChangeLimits, ConflictReason, Database as _, DbError, Marker, MarkerPurpose,
};

use crate::postgres::{Bank, bank, bank_for, begin};
use crate::sqlite::{access, marker, statement};
use crate::sqlite_bulk::{Numbers, into, numbers, rows, told};

const TABLES: &str = "
    CREATE TABLE people (id bigint PRIMARY KEY, name text NOT NULL, n int DEFAULT 5, boss bigint REFERENCES people);
    INSERT INTO people (id, name) VALUES (1, 'owner');
    CREATE TABLE marks (id bigint, day date, said text, PRIMARY KEY (day, id));";

async fn undone(bank: &Bank, batches: &[InsertedRows]) -> (u64, Vec<Conflict>) {
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

#[tokio::test]
async fn what_was_inserted_is_told_in_batches_and_deleted_again_but_what_changed_since() {
    let bank = bank(TABLES, &["people"]).await;
    let both = access(&["people"], &["people"]);
    // Also where the table has other changes, of which those of new rows are none.
    for others in [false, true] {
        let run = 1 + u8::from(others);
        let mut transaction = begin(&bank.db, run, Capture::On).await;
        assert_eq!(transaction.bulk_insert(&into(), &mut numbers(10, 3010), &both).await.unwrap(), 3000);
        if others {
            for sql in [
                "UPDATE people SET n = 6 WHERE id = 1",
                "UPDATE people SET n = 6 WHERE id = 100",
                "UPDATE people SET id = 3010 WHERE id = 11",
                "DELETE FROM people WHERE id = 12",
            ] {
                transaction.execute(&statement(sql, &[]), &both).await.unwrap();
            }
        }
        let few = ChangeLimits { rows: 10, bytes: 1000 };
        let changes = transaction.changes(few).await.unwrap();
        assert_eq!(
            changes.row_count(),
            u64::from(others) as usize,
            "what was inserted in bulk is not among the changes"
        );
        let batches = told(transaction.as_mut()).await;
        assert_eq!(rows(&batches), if others { 2999 } else { 3000 });
        assert!(batches.iter().all(|batch| batch.rows.len() <= 500 && batch.columns.len() == 4));
        assert_eq!(batches[0].rows[0].0, [SqlValue::Integer(10)]);
        // It is told again in the same way, as a redo has to.
        assert_eq!(told(transaction.as_mut()).await, batches);
        transaction.commit().await.unwrap();
        assert_eq!(
            bank.pg.sql("SELECT count(*), (SELECT count(*) FROM wflo_changes) FROM people"),
            format!("{}|0", rows(&batches) + 1)
        );

        bank.pg.sql(
            "UPDATE people SET n = 7 WHERE id = 20; DELETE FROM people WHERE id = 30;
             INSERT INTO people (id, name, boss) VALUES (5000, 'new', 40)",
        );
        let (gone, conflicts) = undone(&bank, &batches).await;
        assert_eq!(gone as usize, rows(&batches) - 2, "one that somebody has deleted is gone as well");
        let mut left: Vec<_> = conflicts.iter().map(|it| (it.key.clone(), it.reason.clone())).collect();
        left.sort_by_key(|(key, _)| format!("{key:?}"));
        let referenced = ConflictReason::Referenced { table: "people".into() };
        assert_eq!(
            left,
            [
                (vec![SqlValue::Integer(20)], ConflictReason::Changed),
                (vec![SqlValue::Integer(40)], referenced)
            ]
        );
        assert_eq!(bank.pg.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM people"), "1 20 40 5000");
        bank.pg.sql("DELETE FROM people WHERE id > 1; DELETE FROM wflo_effects");
    }
}

/// The server has no statistics of the images, so what is asked of it must not become quadratic where it guesses wrong.
#[tokio::test]
async fn many_rows_and_another_write_to_the_same_table_are_told_in_their_time() {
    let both = access(&["people"], &["people"]);
    let options = PostgresOptions { statement_timeout: Duration::from_secs(5), ..PostgresOptions::default() };
    let people = "CREATE TABLE people (id bigint PRIMARY KEY, name text, n int DEFAULT 5, boss bigint);
        INSERT INTO people (id, name) VALUES (1, 'owner');";
    let bank = bank_for(people, &both, options).await;
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    assert_eq!(transaction.bulk_insert(&into(), &mut numbers(10, 20_010), &both).await.unwrap(), 20_000);
    for sql in ["UPDATE people SET n = 6 WHERE id IN (1, 100)", "DELETE FROM people WHERE id = 12"] {
        transaction.execute(&statement(sql, &[]), &both).await.unwrap();
    }
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    assert_eq!(changes.row_count(), 1);
    let batches = told(transaction.as_mut()).await;
    assert_eq!(rows(&batches), 19_999);
    transaction.commit().await.unwrap();
    let (gone, conflicts) = undone(&bank, &batches).await;
    assert_eq!((gone, conflicts), (19_999, vec![]));
}

#[tokio::test]
async fn a_row_that_is_not_taken_leaves_nothing_and_the_transaction_goes_on() {
    let bank = bank(TABLES, &["people"]).await;
    let both = access(&["people"], &["people"]);
    for capture in [Capture::On, Capture::Off] {
        let mut transaction = begin(&bank.db, 1, capture).await;
        let mut bad = Numbers { bad: Some(250), ..numbers(10, 400) };
        let refused = transaction.bulk_insert(&into(), &mut bad, &both).await.unwrap_err();
        assert!(matches!(&refused, DbError::Constraint(why) if why.contains("not-null")), "{refused:?}");
        assert_eq!(transaction.bulk_insert(&into(), &mut numbers(1000, 1010), &both).await.unwrap(), 10);
        assert_eq!(rows(&told(transaction.as_mut()).await), if capture == Capture::On { 10 } else { 0 });
        transaction.rollback().await;
    }
    assert_eq!(bank.pg.sql("SELECT count(*) FROM people"), "1");
}

#[tokio::test]
async fn rows_that_take_the_place_of_others_are_changes_and_those_that_refer_to_one_another_go_too() {
    let bank = bank(TABLES, &["people"]).await;
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    let all = access(&["people"], &["people"]);
    // The whole table is loaded anew: the owner's row comes back with another name.
    transaction.execute(&statement("DELETE FROM people", &[]), &all).await.unwrap();
    transaction.bulk_insert(&into(), &mut numbers(1, 2), &all).await.unwrap();
    // Each row refers to the one before it.
    let mut chain = Numbers { boss: Some(-1), ..numbers(2, 1200) };
    transaction.bulk_insert(&into(), &mut chain, &all).await.unwrap();
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    assert_eq!(changes.tables[0].rows[0].kind(), "update");
    let batches = told(transaction.as_mut()).await;
    assert_eq!(rows(&batches), 1198);
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
    assert_eq!(bank.pg.sql("SELECT id, name FROM people"), "1|owner");
}

#[tokio::test]
async fn a_key_of_several_columns_and_a_trigger_that_minds() {
    let bank = bank(TABLES, &["marks"]).await;
    let both = access(&["marks"], &["marks"]);
    bank.pg.sql(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF OLD.id = 14 THEN RAISE EXCEPTION 'kept' USING ERRCODE = 'check_violation'; END IF;
             IF OLD.id = 15 THEN RETURN NULL; END IF; RETURN OLD; END $$;
         CREATE TRIGGER keep BEFORE DELETE ON marks FOR EACH ROW EXECUTE FUNCTION keep()",
    );
    let into = wflo_ports::BulkInsert {
        table: "marks".into(),
        columns: ["id", "said", "day"].map(str::to_owned).to_vec(),
    };
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    struct Marks(bool);
    #[async_trait::async_trait]
    impl wflo_ports::RowSource for Marks {
        async fn next(&mut self) -> Result<Option<Vec<Vec<SqlValue>>>, DbError> {
            let row = |n: i64| {
                let day = SqlValue::Text(format!("2026-01-{:02}", 1 + n % 3));
                vec![SqlValue::Integer(n), SqlValue::Text("a\t\\b".into()), day]
            };
            Ok(std::mem::take(&mut self.0).then(|| (10..30).map(row).collect()))
        }
    }
    assert_eq!(transaction.bulk_insert(&into, &mut Marks(true), &both).await.unwrap(), 20);
    let batches = told(transaction.as_mut()).await;
    assert_eq!(batches[0].key_columns, ["day", "id"]);
    transaction.commit().await.unwrap();
    let (gone, conflicts) = undone(&bank, &batches).await;
    let mut left: Vec<_> = conflicts.iter().map(|it| format!("{}: {}", it.key[1], it.reason)).collect();
    left.sort();
    assert_eq!(
        (gone, left),
        (18, vec!["14: kept".to_owned(), "15: a trigger of the database keeps it".to_owned()])
    );
    assert_eq!(bank.pg.sql("SELECT count(*) FROM marks"), "2");
}

/// Rows of texts, as a CSV file gives them, two at a time; and the row that was refused.
struct Texts(std::vec::IntoIter<Vec<&'static str>>, Option<u64>);

#[async_trait::async_trait]
impl wflo_ports::RowSource for Texts {
    async fn next(&mut self) -> Result<Option<Vec<Vec<SqlValue>>>, DbError> {
        let text = |text: &str| SqlValue::Text(text.into());
        let row = |row: Vec<&'static str>| row.into_iter().map(text).collect();
        let batch: Vec<Vec<SqlValue>> = self.0.by_ref().take(2).map(row).collect();
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn refused(&mut self, row: u64) {
        self.1 = Some(row);
    }
}

const SCANS: &str = "
    CREATE TABLE scans (id int PRIMARY KEY, bytes bytea, size int CHECK (size > 0));
    CREATE SCHEMA other;
    CREATE TABLE other.scans (LIKE scans INCLUDING ALL);";

#[tokio::test]
async fn a_text_is_read_as_the_type_of_its_column_and_the_row_that_cannot_be_is_named() {
    let bank = bank(SCANS, &["scans"]).await;
    let both = access(&["scans"], &["scans"]);
    let columns = ["id", "bytes", "size"].map(str::to_owned).to_vec();
    let into = wflo_ports::BulkInsert { table: "scans".into(), columns };
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let good = [vec!["1", "\\x00ff", "1"], vec!["2", "", "2"], vec!["3", "a\\\\b", "3"]];
    let at = |n: usize, row: Vec<&'static str>| {
        let mut rows = good.to_vec();
        rows.insert(n, row);
        Texts(rows.into_iter(), None)
    };
    for (mut rows, row, kind, expect) in [
        (at(1, vec!["5", "", "much"]), 1, "invalid", "column `size`: a value is none of its type"),
        (at(3, vec!["5", "\\xq", "1"]), 3, "invalid", "column `bytes`: a value is none of its type"),
        (at(3, vec!["5", "", "0"]), 3, "constraint", "violates check constraint"),
        (at(2, vec!["1", "", "1"]), 2, "constraint", "duplicate key"),
        (at(2, vec!["1", ""]), 2, "invalid", "takes 3 parameters, 2 were given"),
    ] {
        let refused = transaction.bulk_insert(&into, &mut rows, &both).await.unwrap_err();
        let is_kind = match kind {
            "invalid" => matches!(refused, DbError::Invalid(_)),
            _ => matches!(refused, DbError::Constraint(_)),
        };
        assert!(is_kind && refused.to_string().contains(expect), "{refused:?}");
        assert!(!refused.to_string().contains("much"), "{refused}");
        assert_eq!(rows.1, Some(row), "{refused}");
    }
    let mut rows = Texts(Vec::from(good).into_iter(), None);
    assert_eq!(transaction.bulk_insert(&into, &mut rows, &both).await.unwrap(), 3);
    transaction.commit().await.unwrap();
    let told = "SELECT string_agg(encode(bytes, 'hex'), ' ' ORDER BY id) FROM scans";
    assert_eq!(bank.pg.sql(told), "00ff  615c62");
}

#[tokio::test]
async fn rows_go_into_a_table_of_another_schema() {
    let bank = bank(SCANS, &["other.scans"]).await;
    bank.pg.sql(&format!("GRANT USAGE ON SCHEMA other TO {}", bank.db.roles().1.unwrap()));
    let both = access(&["other.scans"], &["other.scans"]);
    let columns = ["id", "size"].map(str::to_owned).to_vec();
    let into = wflo_ports::BulkInsert { table: "other.scans".into(), columns };
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    let mut bad = Texts(vec![vec!["1", "1"], vec!["1", "2"]].into_iter(), None);
    let refused = transaction.bulk_insert(&into, &mut bad, &both).await;
    assert!(matches!(&refused, Err(DbError::Constraint(_))), "{refused:?}");
    assert_eq!(bad.1, Some(1));
    let mut rows = Texts(vec![vec!["1", "1"], vec!["2", "2"]].into_iter(), None);
    assert_eq!(transaction.bulk_insert(&into, &mut rows, &both).await.unwrap(), 2);
    assert_eq!(transaction.changes(ChangeLimits::default()).await.unwrap().row_count(), 0);
    let batches = told(transaction.as_mut()).await;
    assert_eq!((batches[0].table.as_str(), batches[0].rows.len()), ("other.scans", 2));
    transaction.commit().await.unwrap();
    assert_eq!(bank.pg.sql("SELECT (SELECT count(*) FROM scans), (SELECT count(*) FROM other.scans)"), "0|2");
    assert_eq!(undone(&bank, &batches).await, (2, vec![]));
}
