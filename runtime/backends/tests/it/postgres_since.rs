//! Undoing rows on PostgreSQL when others have written to them meanwhile, or given their table another form.

use wflo_ports::{Begun, Capture, Database as _, DbError, Marker, MarkerPurpose};

use crate::postgres::bank;
use crate::postgres_changes::{changed, undo};
use crate::sqlite::marker;

const EMP: &str = "
    CREATE TABLE emp (id int PRIMARY KEY, note text, amount numeric(10,2));
    INSERT INTO emp VALUES (1, 'a', 1.50), (2, 'b', 2.5);";

const CHANGED: [&str; 3] = [
    "UPDATE emp SET note = 'z' WHERE id = 1",
    "DELETE FROM emp WHERE id = 2",
    "INSERT INTO emp VALUES (3, 'new', 3)",
];

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
