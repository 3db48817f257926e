//! Audit tables on SQLite: what triggers of the owner write there is the owner's.

use wflo_backends::db::sqlite::SqliteOptions;
use wflo_model::{DbAccess, TableAccess};
use wflo_ports::{ChangeLimits, DbError};

use crate::sqlite::{Bank, access, bank, begin, statement};
use crate::sqlite_changes::{capturing, changed, dump, undo};

/// Accounts whose changes are recorded by a trigger, in a table without a primary key.
const RECORDED: &str = "
    CREATE TABLE acct (id INT PRIMARY KEY, bal INT NOT NULL);
    CREATE TABLE chg (acct INT, old INT, new INT);
    INSERT INTO acct VALUES (1, 1000), (2, 1000), (3, 1000);
    CREATE TRIGGER record AFTER UPDATE ON acct BEGIN INSERT INTO chg VALUES (NEW.id, OLD.bal, NEW.bal); END;";

fn recorded(audit: &[&str]) -> Bank {
    let audit = audit.iter().map(|&table| table.to_owned()).collect();
    bank(RECORDED, SqliteOptions { audit, ..SqliteOptions::default() })
}

#[tokio::test]
async fn what_triggers_write_to_an_audit_table_is_no_part_of_what_is_undone() {
    let bank = recorded(&["Chg"]);
    let before = dump(&bank, "acct");
    let changes = changed(&bank, 1, &["acct"], &["UPDATE acct SET bal = bal - 10 WHERE id < 3"]).await;
    let tables: Vec<_> = changes.tables.iter().map(|table| &table.table[..]).collect();
    assert_eq!((tables, changes.row_count()), (vec!["acct"], 2));
    assert_eq!(dump(&bank, "chg").len(), 2);
    let undone = undo(&bank, 1, &[&changes]).await;
    assert_eq!((undone.rows, undone.conflicts), (2, vec![]));
    assert_eq!((dump(&bank, "acct"), dump(&bank, "chg").len()), (before, 2));
}

#[tokio::test]
async fn no_step_writes_an_audit_table() {
    let bank = recorded(&["chg"]);
    let whole = DbAccess { write: [("chg".to_owned(), TableAccess::All)].into(), ..access(&["chg"], &[]) };
    for access in [whole, DbAccess::whole()] {
        let mut transaction = begin(&bank.db, 1).await;
        for sql in ["INSERT INTO chg VALUES (1, 2, 3)", "UPDATE main.CHG SET old = 0", "DELETE FROM chg"] {
            let refused = transaction.execute(&statement(sql, &[]), &access).await;
            let Err(DbError::Denied(why)) = refused else { panic!("{sql}: {refused:?}") };
            assert!(why.contains("is an audit table"), "{why}");
        }
    }
}

#[tokio::test]
async fn what_a_step_wrote_before_a_table_was_one_stays() {
    let mut bank = bank(&RECORDED.replace("acct INT,", "acct INT PRIMARY KEY,"), SqliteOptions::default());
    let changes = changed(&bank, 1, &["acct", "chg"], &["UPDATE acct SET bal = 0 WHERE id = 1"]).await;
    assert_eq!(changes.row_count(), 2);
    let audit = ["chg".to_owned()].into();
    let options = SqliteOptions { audit, ..SqliteOptions::default() };
    let db = wflo_backends::db::sqlite::Sqlite::open(&bank.path, options).unwrap();
    bank.db = db.into();
    assert_eq!(undo(&bank, 1, &[&changes]).await.rows, 1);
    assert_eq!(dump(&bank, "chg").len(), 1);
}

#[tokio::test]
async fn a_table_that_a_trigger_writes_and_cannot_be_kept_is_told_with_the_trigger() {
    let bank = recorded(&[]);
    let mut transaction = capturing(&bank, 1).await;
    let refused =
        transaction.execute(&statement("UPDATE acct SET bal = 0", &[]), &access(&["acct"], &["acct"])).await;
    let Err(DbError::Invalid(why)) = refused else { panic!("{refused:?}") };
    for part in
        ["table `chg`, which trigger `record` of the owner writes", "no primary key", "`audit = [\"chg\"]`"]
    {
        assert!(why.contains(part), "{why}");
    }
    assert_eq!(transaction.changes(ChangeLimits::default()).await.unwrap().row_count(), 0);
}
