//! Audit tables on PostgreSQL: what triggers of the owner write there is the owner's.

use std::collections::BTreeSet;

use async_trait::async_trait;
use wflo_backends::db::postgres::{Postgres, PostgresOptions};
use wflo_model::{DbAccess, SqlValue};
use wflo_ports::{BulkInsert, Capture, ChangeLimits, DbError, RowSource};

use crate::postgres::{Bank, bank_for, begin};
use crate::postgres_changes::{changed, undo};
use crate::sqlite::{access, statement};

struct NoRows;

#[async_trait]
impl RowSource for NoRows {
    async fn next(&mut self) -> Result<Option<Vec<Vec<SqlValue>>>, DbError> {
        Ok(None)
    }
}

/// Accounts whose changes are recorded by a trigger with the rights of the owner.
const RECORDED: &str = "
    CREATE TABLE acct (id int PRIMARY KEY, bal int NOT NULL);
    INSERT INTO acct SELECT i, 1000 FROM generate_series(1, 3) i;
    CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
        $$ BEGIN INSERT INTO chg (acct, old, new) VALUES (new.id, old.bal, new.bal); RETURN NULL; END $$;
    CREATE TRIGGER record AFTER UPDATE ON acct FOR EACH ROW EXECUTE FUNCTION record();";

/// What the records are kept in.
const TABLES: [&str; 4] = [
    "CREATE TABLE chg (id bigserial PRIMARY KEY, acct int, old int, new int);",
    "CREATE TABLE chg (acct int, old int, new int);",
    "CREATE TABLE chg (acct int, old int, new int) PARTITION BY LIST (acct); CREATE TABLE chg_1 PARTITION OF chg DEFAULT;",
    "CREATE TABLE chg (id bigserial PRIMARY KEY, acct int, old int, new int);
     CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'append-only'; END $$;
     CREATE TRIGGER keep BEFORE DELETE OR UPDATE ON chg FOR EACH ROW EXECUTE FUNCTION keep();",
];

fn audit(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

async fn recorded(table: &str, granted: &[&str], names: &[&str]) -> Bank {
    let options = PostgresOptions { audit: audit(names), ..PostgresOptions::default() };
    bank_for(&format!("{RECORDED}{table}"), &access(granted, granted), options).await
}

fn records(bank: &Bank) -> String {
    bank.pg.sql("SELECT string_agg(format('%s: %s -> %s', acct, old, new), ', ' ORDER BY acct, new) FROM chg")
}

#[tokio::test]
async fn what_triggers_write_to_an_audit_table_is_no_part_of_what_is_undone_and_records_it() {
    for table in TABLES {
        let bank = recorded(table, &["acct"], &["chg"]).await;
        let changes = changed(&bank, 1, &["acct"], &["UPDATE acct SET bal = bal - 10 WHERE id = 1"]).await;
        let tables: Vec<_> = changes.tables.iter().map(|table| &table.table[..]).collect();
        assert_eq!((tables, changes.row_count()), (vec!["acct"], 1), "{table}");
        assert_eq!(records(&bank), "1: 1000 -> 990");
        let undone = undo(&bank, 1, &changes).await;
        assert_eq!((undone.rows, undone.conflicts), (1, vec![]), "{table}");
        assert_eq!(records(&bank), "1: 1000 -> 990, 1: 990 -> 1000", "{table}");
    }
}

#[tokio::test]
async fn no_step_writes_an_audit_table() {
    let bank = recorded(TABLES[0], &["acct", "chg"], &["chg"]).await;
    for (run, access) in [(1, access(&["acct", "chg"], &["acct", "chg"])), (2, DbAccess::whole())] {
        let mut transaction = begin(&bank.db, run, Capture::Off).await;
        for sql in ["INSERT INTO chg (acct) VALUES (1)", "DELETE FROM chg"] {
            let refused = transaction.execute(&statement(sql, &[]), &access).await;
            let Err(DbError::Denied(why)) = refused else { panic!("{sql}: {refused:?}") };
            assert!(why.contains("table `chg` is an audit table"), "{why}");
        }
        let into = BulkInsert { table: "chg".into(), columns: vec!["acct".into()] };
        let refused = transaction.bulk_insert(&into, &mut NoRows, &access).await;
        assert!(matches!(refused, Err(DbError::Denied(_))), "{refused:?}");
        // It goes on.
        transaction.execute(&statement("UPDATE acct SET bal = 1", &[]), &access).await.unwrap();
        transaction.rollback().await;
    }
}

#[tokio::test]
async fn what_a_step_wrote_before_a_table_was_one_stays() {
    let mut bank = recorded(TABLES[0], &["acct", "chg"], &[]).await;
    let changes = changed(&bank, 1, &["acct", "chg"], &["UPDATE acct SET bal = 0 WHERE id = 1"]).await;
    assert_eq!(changes.row_count(), 2);
    let options = PostgresOptions { audit: audit(&["chg"]), ..PostgresOptions::default() };
    let (read, write) = (bank.pg.url("read"), bank.pg.url("write"));
    bank.db = Postgres::new(&read, Some(&write), options).unwrap().into();
    assert_eq!(undo(&bank, 1, &changes).await.rows, 1);
    assert_eq!(records(&bank), "1: 1000 -> 0, 1: 0 -> 1000");
    // Its trigger that keeps changes is still there, and says nothing.
    let changes = changed(&bank, 2, &["acct"], &["UPDATE acct SET bal = 5 WHERE id = 2"]).await;
    assert_eq!(changes.row_count(), 1);
}

#[tokio::test]
async fn a_table_that_a_trigger_writes_and_is_not_kept_is_told_with_what_mends_it() {
    for (table, why, mend) in [
        (
            TABLES[0],
            "has no trigger that keeps its changes",
            "grant the step `write` of it and run `wflo db prepare`",
        ),
        (TABLES[1], "has no primary key", "mend that"),
        (TABLES[2], "is partitioned", "mend that"),
    ] {
        let bank = recorded(table, &["acct"], &[]).await;
        let mut transaction = begin(&bank.db, 1, Capture::On).await;
        let update = statement("UPDATE acct SET bal = 0 WHERE id = 1", &[]);
        transaction.execute(&update, &access(&["acct"], &["acct"])).await.unwrap();
        let refused = transaction.changes(ChangeLimits::default()).await;
        let Err(DbError::Invalid(said)) = refused else { panic!("{refused:?}") };
        let begins = format!("a trigger or a foreign key of the owner writes table `chg`, which {why}");
        assert!(said.starts_with(&begins), "{said}");
        assert!(said.contains("`audit = [\"chg\"]` of `[db.LABEL]`") && said.contains(mend), "{said}");
        transaction.rollback().await;
    }
}
