//! Undoing rows on PostgreSQL when others have written to them meanwhile, or given their table another form.

use wflo_ports::{Begun, Capture, ChangeLimits, Database as _, DbError, Marker, MarkerPurpose};

use crate::postgres::{bank, begin};
use crate::postgres_changes::{changed, dump, undo};
use crate::sqlite::{access, marker};
use crate::sqlite_bulk::{into, numbers, told};

const EMP: &str = "
    CREATE TABLE emp (id int PRIMARY KEY, note text, amount numeric(10,2));
    INSERT INTO emp VALUES (1, 'a', 1.50), (2, 'b', 2.5);";

const CHANGED: [&str; 3] = [
    "UPDATE emp SET note = 'z' WHERE id = 1",
    "DELETE FROM emp WHERE id = 2",
    "INSERT INTO emp VALUES (3, 'new', 3)",
];

#[tokio::test]
async fn what_others_write_to_a_new_column_goes_with_no_row() {
    // What a row has there by itself is nobody's.
    for (since, is_written) in [
        ("ALTER TABLE emp ADD extra text", false),
        ("ALTER TABLE emp ADD extra numeric(10,2) NOT NULL DEFAULT 7", false),
        ("ALTER TABLE emp ADD extra int DEFAULT -7; ALTER TABLE emp ALTER extra SET DEFAULT 8", false),
        ("ALTER TABLE emp ADD extra timestamptz DEFAULT now()", false),
        ("ALTER TABLE emp ADD extra int GENERATED ALWAYS AS (id * 2) STORED", false),
        ("ALTER TABLE emp ADD extra json DEFAULT '{}'; UPDATE emp SET extra = '{}' WHERE id = 3", false),
        ("ALTER TABLE emp ADD extra text; UPDATE emp SET extra = 'written' WHERE id = 3", true),
        ("ALTER TABLE emp ADD extra int NOT NULL DEFAULT 7; UPDATE emp SET extra = 8 WHERE id = 3", true),
        ("ALTER TABLE emp ADD extra timestamptz DEFAULT now(); UPDATE emp SET extra = 'epoch'", true),
    ] {
        let bank = bank(EMP, &["emp"]).await;
        let changes = changed(&bank, 1, &["emp"], &CHANGED).await;
        bank.pg.sql(since);
        let row = "SELECT emp::text FROM emp WHERE id = 3";
        let as_found = bank.pg.sql(row);
        let undone = undo(&bank, 1, &changes).await;
        let left: Vec<_> = undone.conflicts.iter().map(|it| it.reason.to_string()).collect();
        if is_written {
            let why =
                "the table has another form now: column `extra` came later, and this row has a value there";
            assert_eq!((undone.rows, left), (2, vec![why.to_owned()]), "{since}");
            assert_eq!(bank.pg.sql(row), as_found);
        } else {
            assert_eq!((undone.rows, left, bank.pg.sql(row)), (3, vec![], String::new()), "{since}");
        }
        assert_eq!(bank.pg.sql("SELECT string_agg(note, ',' ORDER BY id) FROM emp WHERE id < 3"), "a,b");
    }
}

#[tokio::test]
async fn nor_with_one_of_those_that_were_inserted_in_bulk() {
    let bank = bank("CREATE TABLE people (id bigint PRIMARY KEY, name text, boss bigint)", &["people"]).await;
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    let both = access(&["people"], &["people"]);
    transaction.bulk_insert(&into(), &mut numbers(10, 15), &both).await.unwrap();
    transaction.changes(ChangeLimits::default()).await.unwrap();
    let batches = told(transaction.as_mut()).await;
    transaction.commit().await.unwrap();
    bank.pg.sql("ALTER TABLE people ADD extra text; UPDATE people SET extra = 'written' WHERE id = 12");
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(1) };
    let Begun::Open(mut transaction) = bank.db.begin(&marker, Capture::Off).await.unwrap() else { panic!() };
    let undone = transaction.undo_inserted(&batches[0]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!((undone.rows, undone.conflicts.len()), (4, 1));
    assert_eq!(bank.pg.sql("SELECT id, extra FROM people"), "12|written");
}

#[tokio::test]
async fn a_number_that_its_type_now_writes_with_more_zeros_is_the_same() {
    let bank = bank(EMP, &["emp"]).await;
    let before = bank.pg.sql("SELECT emp::text FROM emp ORDER BY id").replace(".50", ".5000");
    let changes = changed(&bank, 1, &["emp"], &CHANGED).await;
    bank.pg.sql("ALTER TABLE emp ALTER amount TYPE numeric(14,4)");
    for run in [1, 2] {
        let undone = undo(&bank, run, &changes).await;
        assert_eq!((undone.rows, undone.conflicts), (3, vec![]));
        assert_eq!(dump(&bank, "emp"), before);
    }
}

#[tokio::test]
async fn whoever_writes_to_a_row_while_it_is_undone_interrupts_that() {
    let bank = bank(EMP, &["emp"]).await;
    let changes = changed(&bank, 1, &["emp"], &CHANGED).await;
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(1) };
    let Begun::Open(mut transaction) = bank.db.begin(&marker, Capture::Off).await.unwrap() else { panic!() };
    bank.pg.sql("UPDATE emp SET note = 'somebody' WHERE id = 1");
    let error = transaction.undo(&changes).await.unwrap_err();
    assert!(matches!(error, DbError::Interrupted(_)), "{error:?}");
    transaction.rollback().await;
    // Done again, it finds what they wrote.
    let undone = undo(&bank, 1, &changes).await;
    let left: Vec<_> = undone.conflicts.iter().map(|it| it.reason.to_string()).collect();
    assert_eq!((undone.rows, left), (2, vec!["it has changed since".to_owned()]));
}
