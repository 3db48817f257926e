//! Undoing rows on SQLite that can be put back only together.

use wflo_backends::db::sqlite::SqliteOptions;

use proptest::prelude::*;
use wflo_ports::{ChangeLimits, DbError};

use crate::alone_model::{KEPT, ROWS, TABLES, statements};

use crate::sqlite::{Bank, access, bank, begin, statement};
use crate::sqlite_changes::{capturing, changed, check, dump, undo};

/// Undoes statements after somebody else has written something, and gives the conflicts, a line a row.
async fn left(bank: &Bank, tables: &[&str], statements: &[&str], since: &str) -> Vec<String> {
    let changes = changed(bank, 1, tables, statements).await;
    bank.owner.execute_batch(since).unwrap();
    let undone = undo(bank, 1, &[&changes]).await;
    assert_eq!(undone.rows as usize + undone.conflicts.len(), changes.row_count());
    let broken = "SELECT count(*) FROM pragma_foreign_key_check";
    assert_eq!(bank.owner.query_row(broken, [], |row| row.get::<_, i64>(0)), Ok(0));
    undone.conflicts.iter().map(|it| format!("{} {}: {}", it.table, it.key[0], it.reason)).collect()
}

/// The rows of a query, each as one text.
fn rows(bank: &Bank, sql: &str) -> Vec<String> {
    let mut statement = bank.owner.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

const NAMES: &str = "
    CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT UNIQUE NOT NULL);
    CREATE TABLE c (id INTEGER PRIMARY KEY, u INTEGER NOT NULL REFERENCES u ON DELETE CASCADE ON UPDATE CASCADE);
    INSERT INTO u VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e');
    INSERT INTO c VALUES (10, 1), (20, 2);";

#[tokio::test]
async fn rows_that_exchanged_a_unique_value_are_put_back() {
    let swap = [
        "UPDATE u SET v = 'tmp' WHERE id = 1",
        "UPDATE u SET v = 'a' WHERE id = 2",
        "UPDATE u SET v = 'b' WHERE id = 1",
    ];
    check(NAMES, &swap, &["u update 1", "u update 2"]).await;
    let around = ["UPDATE u SET v = 'tmp' || v", "UPDATE u SET v = substr('eabcd', id, 1)"];
    let all = ["u update 1", "u update 2", "u update 3", "u update 4", "u update 5"];
    check(NAMES, &around, &all).await;
    // What a table checks of its rows says nothing of what is there for a moment.
    let checked = "
        CREATE TABLE t (id INTEGER PRIMARY KEY, pos INTEGER UNIQUE NOT NULL CHECK (pos BETWEEN 1 AND 3), day TEXT UNIQUE NOT NULL
            CHECK (day = date(day)), code TEXT UNIQUE NOT NULL CHECK (code IN ('x', 'y', 'z'))) STRICT;
        INSERT INTO t VALUES (1, 1, '2026-01-01', 'x'), (2, 2, '2026-01-02', 'y'), (3, 3, '2026-01-03', 'z');";
    let deletes = [
        "DELETE FROM t",
        "INSERT INTO t VALUES (1, 2, '2026-01-02', 'z'), (2, 3, '2026-01-03', 'x'), (3, 1, '2026-01-01', 'y')",
    ];
    check(checked, &deletes, &["t update 1", "t update 2", "t update 3"]).await;
}

#[tokio::test]
async fn so_are_composite_partial_and_generated_ones_and_those_of_a_collation() {
    let swap = |table: &str| {
        vec![
            format!("UPDATE {table} SET v = -v"),
            format!("UPDATE {table} SET v = (v + 2) % 3 + 1 WHERE id > 0"),
        ]
    };
    for schema in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, list TEXT NOT NULL, v INTEGER NOT NULL, UNIQUE (list, v));",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, list TEXT, v INTEGER NOT NULL); CREATE UNIQUE INDEX i ON t (v) WHERE list IS NOT NULL;",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, list TEXT, v INTEGER NOT NULL, g AS (v * 2) UNIQUE);",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, list TEXT, v INTEGER NOT NULL UNIQUE) WITHOUT ROWID;",
    ] {
        let schema =
            format!("{schema} INSERT INTO t (id, list, v) VALUES (1, 'l', 1), (2, 'l', 2), (3, 'l', 3);");
        let statements = swap("t");
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        check(&schema, &statements, &["t update 1", "t update 2", "t update 3"]).await;
    }
    let nocase = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL UNIQUE COLLATE NOCASE); INSERT INTO t VALUES (1, 'a'), (2, 'b');";
    let swap = [
        "UPDATE t SET v = 'c' WHERE id = 1",
        "UPDATE t SET v = 'A' WHERE id = 2",
        "UPDATE t SET v = 'B' WHERE id = 1",
    ];
    check(nocase, &swap, &["t update 1", "t update 2"]).await;
}

#[tokio::test]
async fn only_those_that_depend_on_what_somebody_else_holds_are_left() {
    let bank = bank(NAMES, SqliteOptions::default());
    // 1 and 2 exchange; 3, 4 and 5 go around, and what 5 had is given to somebody else.
    let statements = ["UPDATE u SET v = 'tmp' || v", "UPDATE u SET v = substr('bafcd', id, 1)"];
    let conflicts = left(&bank, &["u"], &statements, "INSERT INTO u VALUES (6, 'e')").await;
    let taken = |id: i64| format!("u {id}: UNIQUE constraint failed: u.v");
    assert_eq!(conflicts, [taken(3), taken(4), taken(5)]);
    assert_eq!(rows(&bank, "SELECT id || v FROM u ORDER BY id"), ["1a", "2b", "3f", "4c", "5d", "6e"]);
    assert_eq!(dump(&bank, "c").len(), 2);
}

#[tokio::test]
async fn natural_keys_are_exchanged_with_those_who_refer_to_them() {
    let schema = "
        CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE NOT NULL);
        CREATE TABLE c (id INTEGER PRIMARY KEY, code TEXT NOT NULL REFERENCES p (code) ON UPDATE CASCADE ON DELETE CASCADE);
        INSERT INTO p VALUES (1, 'a'), (2, 'b');
        INSERT INTO c VALUES (10, 'a'), (20, 'b');";
    let swap = [
        "UPDATE p SET code = 'tmp' WHERE id = 1",
        "UPDATE p SET code = 'a' WHERE id = 2",
        "UPDATE p SET code = 'b' WHERE id = 1",
    ];
    let all = ["c update 10", "c update 20", "p update 1", "p update 2"];
    check(schema, &swap, &all).await;
    // A row of somebody else stays with the row that it refers to.
    let bank = bank(schema, SqliteOptions::default());
    let conflicts = left(&bank, &["p", "c"], &swap, "INSERT INTO c VALUES (11, 'b')").await;
    assert!(conflicts.iter().any(|it| it.starts_with("p 1: ")), "{conflicts:?}");
    assert_eq!(rows(&bank, "SELECT p.id || c.code FROM c JOIN p USING (code) WHERE c.id = 11"), ["1b"]);
}

#[tokio::test]
async fn what_is_off_for_a_rollback_is_on_for_the_next_step() {
    let schema = "
        CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT UNIQUE NOT NULL CHECK (length(code) = 1));
        CREATE TABLE c (id INTEGER PRIMARY KEY, code TEXT NOT NULL REFERENCES p (code));
        CREATE TABLE seen (id INTEGER PRIMARY KEY);
        CREATE TRIGGER see AFTER INSERT ON p BEGIN INSERT INTO seen VALUES (NEW.id); END;
        INSERT INTO p VALUES (1, 'a'), (2, 'b');";
    let bank = bank(schema, SqliteOptions::default());
    let tables = ["p", "c", "seen"];
    let swap = [
        "UPDATE p SET code = 'c' WHERE id = 1",
        "UPDATE p SET code = 'a' WHERE id = 2",
        "UPDATE p SET code = 'b' WHERE id = 1",
    ];
    assert_eq!(left(&bank, &tables, &swap, "").await, Vec::<String>::new());
    assert_eq!(rows(&bank, "SELECT id || code FROM p ORDER BY id"), ["1a", "2b"]);
    let mut transaction = begin(&bank.db, 2).await;
    let all = access(&tables, &tables);
    for sql in ["INSERT INTO c VALUES (1, 'x')", "UPDATE p SET code = 'long' WHERE id = 1"] {
        let refused = transaction.execute(&statement(sql, &[]), &all).await;
        assert!(matches!(refused, Err(DbError::Constraint(_))), "{sql}: {refused:?}");
    }
    transaction.execute(&statement("INSERT INTO p VALUES (3, 'd')", &[]), &all).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(rows(&bank, "SELECT CAST(id AS TEXT) FROM seen ORDER BY id"), ["1", "2", "3"]);
}

const ORDERS: &str = "
    CREATE TABLE orders (id INTEGER PRIMARY KEY, last_event INTEGER REFERENCES events);
    CREATE TABLE events (id INTEGER PRIMARY KEY, of INTEGER NOT NULL REFERENCES orders ON DELETE CASCADE);
    CREATE TABLE notes (id INTEGER PRIMARY KEY, about INTEGER REFERENCES events ON DELETE CASCADE);
    INSERT INTO orders VALUES (1, NULL); INSERT INTO events VALUES (1, 1), (2, 1); UPDATE orders SET last_event = 2;";

#[tokio::test]
async fn rows_that_refer_to_each_other_come_and_go_together() {
    let come = [
        "INSERT INTO orders VALUES (7, NULL)",
        "INSERT INTO events VALUES (70, 7), (71, 7)",
        "UPDATE orders SET last_event = 71 WHERE id = 7",
    ];
    check(ORDERS, &come, &["events insert 70", "events insert 71", "orders insert 7"]).await;
    let go = ["UPDATE orders SET last_event = NULL", "DELETE FROM events", "DELETE FROM orders"];
    check(ORDERS, &go, &["events delete 1", "events delete 2", "orders delete 1"]).await;
    let deferred = "
        CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER NOT NULL REFERENCES b DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a DEFERRABLE INITIALLY DEFERRED);
        BEGIN; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); COMMIT;";
    check(
        deferred,
        &["INSERT INTO a VALUES (2, 2)", "INSERT INTO b VALUES (2, 2)"],
        &["a insert 2", "b insert 2"],
    )
    .await;
    check(deferred, &["DELETE FROM a", "DELETE FROM b"], &["a delete 1", "b delete 1"]).await;
}

#[tokio::test]
async fn whoever_is_referred_to_by_somebody_else_stays_with_those_it_needs() {
    let come = [
        "INSERT INTO orders VALUES (7, NULL), (8, NULL)",
        "INSERT INTO events VALUES (70, 7), (71, 7), (80, 8)",
        "UPDATE orders SET last_event = id * 10 + 8 - id WHERE id = 7",
        "UPDATE orders SET last_event = 80 WHERE id = 8",
    ];
    let bank = bank(ORDERS, SqliteOptions::default());
    let conflicts =
        left(&bank, &["orders", "events", "notes"], &come, "INSERT INTO notes VALUES (1, 71)").await;
    assert_eq!(
        conflicts,
        ["events 71: rows of `notes` refer to it", "orders 7: rows of `events` refer to it"]
    );
    assert_eq!(rows(&bank, "SELECT id || ' ' || of FROM events ORDER BY id"), ["1 1", "2 1", "71 7"]);
    assert_eq!(dump(&bank, "notes").len(), 1);
}

#[tokio::test]
async fn a_row_that_waits_for_a_value_lets_go_of_the_row_that_has_it() {
    let schema = "
        CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT NOT NULL UNIQUE, of INTEGER REFERENCES d ON DELETE SET NULL);
        INSERT INTO d VALUES (1, 'x', NULL);";
    let statements = [
        "UPDATE d SET v = 'y' WHERE id = 1",
        "INSERT INTO d VALUES (2, 'x', NULL)",
        "UPDATE d SET of = 2 WHERE id = 1",
    ];
    check(schema, &statements, &["d update 1", "d insert 2"]).await;
}

#[tokio::test]
async fn thousands_of_rows_that_moved_are_put_back_and_none_keeps_what_stood_in() {
    let bank = bank(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, pos INTEGER UNIQUE NOT NULL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT i, i FROM n;",
        SqliteOptions::default(),
    );
    let before = dump(&bank, "t");
    let down = ["UPDATE t SET pos = -pos", "UPDATE t SET pos = -pos - 1"];
    assert_eq!(left(&bank, &["t"], &down, "").await, Vec::<String>::new());
    assert_eq!(dump(&bank, "t"), before);
    let around = ["UPDATE t SET pos = -pos", "UPDATE t SET pos = (7 - pos * 7) % 3001 + 1 WHERE pos < 0"];
    let changes = changed(&bank, 2, &["t"], &around).await;
    let undone = undo(&bank, 2, &[&changes]).await;
    assert_eq!((undone.conflicts, undone.rows as usize), (Vec::new(), changes.row_count()));
    assert_eq!(dump(&bank, "t"), before);
    // One value that is taken holds all of a chain; nothing is left of what was tried.
    let changes = changed(&bank, 3, &["t"], &down).await;
    bank.owner.execute("INSERT INTO t VALUES (9999, 3000)", []).unwrap();
    let now = dump(&bank, "t");
    let undone = undo(&bank, 3, &[&changes]).await;
    assert_eq!((undone.conflicts.len(), undone.rows), (3000, 0));
    assert_eq!(dump(&bank, "t"), now);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_step_did_alone_is_undone(statements in statements()) {
        let a = TABLES[0]
            .replace("{up}", " REFERENCES a ON DELETE SET NULL")
            .replace("{b}", " REFERENCES b ON DELETE SET NULL");
        // An index on an expression is none that a step may write under with its changes kept.
        let b = TABLES[1].replace("lower(v)", "v COLLATE NOCASE");
        let bank = bank(&format!("{a} {b} {KEPT} {ROWS}"), SqliteOptions::default());
        let all = || ["a", "b", "kept"].map(|table| dump(&bank, table));
        let before = all();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (undone, changes) = runtime.block_on(async {
            let mut transaction = capturing(&bank, 1).await;
            let access = access(&["a", "b", "kept"], &["a", "b", "kept"]);
            for sql in &statements {
                let done = transaction.execute(&statement(sql, &[]), &access).await;
                assert!(matches!(done, Ok(_) | Err(DbError::Constraint(_))), "{sql}: {done:?}");
            }
            let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
            transaction.commit().await.unwrap();
            (undo(&bank, 1, &[&changes]).await, changes)
        });
        prop_assert_eq!(undone.conflicts, []);
        prop_assert_eq!(undone.rows as usize, changes.row_count());
        prop_assert_eq!(all(), before);
    }
}
