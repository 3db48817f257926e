//! What a transaction changed, and undoing it.

use wflo_backends::db::sqlite::SqliteOptions;
use wflo_model::SqlValue;
use wflo_ports::{
    Begun, Capture, ChangeLimits, ChangeSet, ConflictReason, Database, DbError, Marker, MarkerPurpose,
    RowChange, Transaction, Undone,
};

use crate::sqlite::{Bank, access, bank, marker, statement};

pub(crate) async fn capturing(bank: &Bank, run: u8) -> Box<dyn Transaction> {
    match bank.db.begin(&marker(run), Capture::On).await.unwrap() {
        Begun::Open(transaction) => transaction,
        Begun::AlreadyCommitted => panic!("the marker is there"),
    }
}

/// Runs statements in one transaction, commits, and tells what they changed.
pub(crate) async fn changed(bank: &Bank, run: u8, tables: &[&str], statements: &[&str]) -> ChangeSet {
    let mut transaction = capturing(bank, run).await;
    for sql in statements {
        transaction.execute(&statement(sql, &[]), &access(tables, tables)).await.unwrap();
    }
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    transaction.commit().await.unwrap();
    changes
}

pub(crate) async fn undo(bank: &Bank, run: u8, changes: &[&ChangeSet]) -> Undone {
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(run) };
    let Begun::Open(mut transaction) = bank.db.begin(&marker, Capture::Off).await.unwrap() else {
        panic!("it is undone already");
    };
    let mut all = Undone::default();
    for changes in changes {
        let undone = transaction.undo(changes).await.unwrap();
        all.rows += undone.rows;
        all.conflicts.extend(undone.conflicts);
    }
    transaction.commit().await.unwrap();
    assert!(matches!(bank.db.begin(&marker, Capture::Off).await.unwrap(), Begun::AlreadyCommitted));
    all
}

/// Every row of a table, with the types of its values, in the order of its first column.
pub(crate) fn dump(bank: &Bank, table: &str) -> Vec<Vec<rusqlite::types::Value>> {
    let mut statement = bank.owner.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at)).collect()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// What a change set says, a line a row: `table kind key`.
fn lines(changes: &ChangeSet) -> Vec<String> {
    let words = |values: &[SqlValue]| {
        let words = values.iter().map(|value| match value {
            SqlValue::Integer(n) => n.to_string(),
            SqlValue::Text(text) => text.clone(),
            other => serde_json::to_string(other).unwrap(),
        });
        words.collect::<Vec<_>>().join(",")
    };
    let rows = changes.tables.iter().flat_map(|table| table.rows.iter().map(move |row| (&table.table, row)));
    rows.map(|(table, row)| format!("{table} {} {}", row.kind(), words(row.key()))).collect()
}

/// Runs statements, expects the changes and that undoing them leaves the tables as they were.
pub(crate) async fn check(schema: &str, statements: &[&str], expected: &[&str]) -> ChangeSet {
    let bank = bank(schema, SqliteOptions::default());
    let tables: Vec<String> = bank
        .owner
        .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'wflo_effects'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let names: Vec<&str> = tables.iter().map(String::as_str).collect();
    let before: Vec<_> = names.iter().map(|name| dump(&bank, name)).collect();
    let changes = changed(&bank, 1, &names, statements).await;
    assert_eq!(lines(&changes), expected);
    let undone = undo(&bank, 1, &[&changes]).await;
    assert_eq!(undone.conflicts, []);
    assert_eq!(undone.rows as usize, changes.row_count());
    let after: Vec<_> = names.iter().map(|name| dump(&bank, name)).collect();
    assert_eq!(after, before);
    changes
}

const ACCOUNTS: &str = "
    CREATE TABLE accounts (id TEXT PRIMARY KEY NOT NULL, status TEXT, balance INTEGER);
    INSERT INTO accounts VALUES ('A', 'active', 9007199254740993), ('B', 'active', 2), ('C', 'active', 3);";

#[tokio::test]
async fn inserts_updates_and_deletes_are_told_with_their_rows() {
    let changes = check(
        ACCOUNTS,
        &[
            "UPDATE accounts SET status = 'blocked' WHERE id = 'A'",
            "DELETE FROM accounts WHERE id = 'B'",
            "INSERT INTO accounts VALUES ('D', NULL, -1)",
        ],
        &["accounts update A", "accounts delete B", "accounts insert D"],
    )
    .await;
    let table = &changes.tables[0];
    assert_eq!(
        (&table.key_columns[..], &table.columns[..]),
        (&["id".to_owned()][..], &["id".into(), "status".into(), "balance".into()][..])
    );
    let row = |status: &str| {
        vec![
            SqlValue::Text("A".into()),
            SqlValue::Text(status.into()),
            SqlValue::Integer(9_007_199_254_740_993),
        ]
    };
    let expected = RowChange::Update {
        key: vec![SqlValue::Text("A".into())],
        before: row("active"),
        after: row("blocked"),
    };
    assert_eq!(table.rows[0], expected);
}

#[tokio::test]
async fn what_comes_to_nothing_is_not_told() {
    check(
        ACCOUNTS,
        &[
            "INSERT INTO accounts VALUES ('D', 'new', 1)",
            "DELETE FROM accounts WHERE id = 'D'",
            "UPDATE accounts SET balance = balance + 1",
            "UPDATE accounts SET balance = balance - 1",
            "DELETE FROM accounts WHERE id = 'C'",
            "INSERT INTO accounts VALUES ('C', 'active', 3)",
        ],
        &[],
    )
    .await;
}

#[tokio::test]
async fn rows_that_another_replaces_are_told() {
    let schema = "
        CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE UNIQUE, b INTEGER, g AS (b + 1) UNIQUE);
        CREATE UNIQUE INDEX t_b ON t (b) WHERE b > 0;
        INSERT INTO t (id, a, b) VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3), (4, 'w', 9);";
    check(
        schema,
        &["INSERT OR REPLACE INTO t (id, a, b) VALUES (1, 'Y', 3)"],
        &["t update 1", "t delete 2", "t delete 3"],
    )
    .await;
    check(schema, &["UPDATE OR REPLACE t SET b = 9 WHERE id = 2"], &["t update 2", "t delete 4"]).await;
    check(schema, &["REPLACE INTO t (a, b) VALUES ('X', 20)"], &["t delete 1", "t insert 5"]).await;
    check(
        "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, a UNIQUE ON CONFLICT REPLACE) ;
         INSERT INTO t VALUES (1, 1), (2, 2);",
        &["INSERT INTO t VALUES (1, 2)"],
        &["t update 1", "t delete 2"],
    )
    .await;
    check(schema, &["INSERT OR IGNORE INTO t (id, a, b) VALUES (1, 'q', 7)"], &[]).await;
    check(
        schema,
        &["INSERT INTO t (id, a, b) VALUES (1, 'q', 7) ON CONFLICT DO UPDATE SET b = excluded.b"],
        &["t update 1"],
    )
    .await;
}

#[tokio::test]
async fn keys_that_change_are_two_rows() {
    check(
        ACCOUNTS,
        &["UPDATE accounts SET id = 'a' WHERE id = 'A'"],
        &["accounts delete A", "accounts insert a"],
    )
    .await;
    let nocase = "CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, n); INSERT INTO t VALUES ('a', 1), ('b', 2);";
    check(nocase, &["UPDATE t SET id = 'A' WHERE n = 1"], &["t insert A", "t delete a"]).await;
    let typeless =
        "CREATE TABLE t (id PRIMARY KEY NOT NULL, n) WITHOUT ROWID; INSERT INTO t VALUES (1, 1), (x'00', 2);";
    check(typeless, &["UPDATE t SET id = 1.0 WHERE n = 1"], &["t delete 1", "t insert {\"real\":\"1.0\"}"])
        .await;
    check(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');",
        &["UPDATE t SET id = -id", "UPDATE t SET id = 4 + id"],
        &["t update 1", "t update 3"],
    )
    .await;
}

#[tokio::test]
async fn what_triggers_and_foreign_keys_do_is_told_and_done_once() {
    // The totals are kept by triggers: if they ran again while undoing, the totals would be wrong.
    let schema = "
        CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL, state TEXT);
        CREATE TABLE totals (one INTEGER PRIMARY KEY, amount INTEGER, changes INTEGER);
        CREATE TABLE lines (id INTEGER PRIMARY KEY, of INTEGER REFERENCES orders ON DELETE CASCADE);
        CREATE TABLE notes (id INTEGER PRIMARY KEY, about INTEGER REFERENCES lines ON DELETE SET NULL);
        INSERT INTO totals VALUES (1, 10, 0);
        INSERT INTO orders VALUES (1, 10, 'old');
        INSERT INTO lines VALUES (1, 1), (2, 1);
        INSERT INTO notes VALUES (1, 2);
        CREATE TRIGGER orders_in AFTER INSERT ON orders BEGIN
            UPDATE totals SET amount = amount + NEW.amount, changes = changes + 1;
            UPDATE orders SET state = 'counted' WHERE id = NEW.id;
        END;
        CREATE TRIGGER orders_before BEFORE UPDATE ON orders WHEN NEW.state = 'twice' BEGIN
            UPDATE orders SET amount = 99 WHERE id = NEW.id;
        END;
        CREATE TRIGGER orders_out AFTER DELETE ON orders BEGIN
            UPDATE totals SET amount = amount - OLD.amount, changes = changes + 1;
        END;";
    let changes = check(
        schema,
        &["INSERT INTO orders (id, amount) VALUES (2, 5)"],
        &["orders insert 2", "totals update 1"],
    )
    .await;
    let RowChange::Insert { after, .. } = &changes.tables[0].rows[0] else { panic!("{changes:?}") };
    assert_eq!(after[2], SqlValue::Text("counted".into()));
    check(
        schema,
        &["DELETE FROM orders WHERE id = 1"],
        &["lines delete 1", "lines delete 2", "notes update 1", "orders delete 1", "totals update 1"],
    )
    .await;
    let changes =
        check(schema, &["UPDATE orders SET state = 'twice' WHERE id = 1"], &["orders update 1"]).await;
    assert_eq!(changes.tables[0].rows[0].before().unwrap()[1], SqlValue::Integer(10));
}

#[tokio::test]
async fn every_storage_class_is_kept_exactly() {
    let changes = check(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, x'00ff'), (2, 0.1), (3, 'é'), (4, NULL), (5, -9223372036854775808), (6, 9e999);",
        &["UPDATE t SET v = 'x' WHERE v IS NOT NULL", "DELETE FROM t WHERE id = 6"],
        &["t update 1", "t update 2", "t update 3", "t update 5", "t delete 6"],
    )
    .await;
    let before: Vec<_> = changes.tables[0].rows.iter().map(|row| row.before().unwrap()[1].clone()).collect();
    let expected = [
        SqlValue::Blob(vec![0, 255]),
        SqlValue::Real(0.1),
        SqlValue::Text("é".into()),
        SqlValue::Integer(i64::MIN),
        SqlValue::Real(f64::INFINITY),
    ];
    assert_eq!(before, expected);
}

#[tokio::test]
async fn what_cannot_be_told_apart_is_refused_before_it_is_written() {
    let bank = bank(
        "CREATE TABLE loose (a); CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE k (id TEXT PRIMARY KEY, n);
         INSERT INTO k VALUES (NULL, 1);
         CREATE TRIGGER t_in AFTER INSERT ON t WHEN NEW.id > 10 BEGIN INSERT INTO loose VALUES (1); END;",
        SqliteOptions::default(),
    );
    let all = access(&["loose", "t", "k"], &["loose", "t", "k"]);
    let mut transaction = capturing(&bank, 1).await;
    for (sql, by) in [
        ("INSERT INTO loose VALUES (1)", ""),
        ("INSERT INTO t VALUES (1)", ", which trigger `t_in` of the owner writes,"),
    ] {
        let refused = transaction.execute(&statement(sql, &[]), &all).await;
        let begins = format!("table `loose`{by} has no primary key");
        assert!(matches!(&refused, Err(DbError::Invalid(why)) if why.starts_with(&begins)), "{refused:?}");
    }
    let keyless = transaction.execute(&statement("UPDATE k SET n = 2", &[]), &all).await;
    assert!(
        matches!(&keyless, Err(DbError::Constraint(why)) if why.contains("without a primary key")),
        "{keyless:?}"
    );
    assert!(transaction.changes(ChangeLimits::default()).await.unwrap().is_empty());
    transaction.rollback().await;
    let tables = ["loose", "t", "nothing"].map(str::to_owned);
    let found = bank.db.uncapturable(&tables).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].table[..], &found[0].why[..]), ("loose", "has no primary key"));
}

#[tokio::test]
async fn what_is_to_be_done_fits_what_is_wrong_with_a_table() {
    let bank = bank(
        "CREATE TABLE loose (a); CREATE TABLE ux (id INTEGER PRIMARY KEY, name TEXT);
         CREATE UNIQUE INDEX ux_name ON ux (lower(name));",
        SqliteOptions::default(),
    );
    let all = access(&["loose", "ux"], &["loose", "ux"]);
    let mut transaction = capturing(&bank, 1).await;
    for (sql, mend) in [
        (
            "INSERT INTO loose VALUES (1)",
            "table `loose` has no primary key, so its changes cannot be kept; give it one, or",
        ),
        ("INSERT INTO ux VALUES (1, 'a')", "changes cannot be kept; put that index on columns, or"),
    ] {
        let refused = transaction.execute(&statement(sql, &[]), &all).await;
        assert!(matches!(&refused, Err(DbError::Invalid(why)) if why.contains(mend)), "{refused:?}");
    }
    transaction.rollback().await;
}

#[tokio::test]
async fn a_row_with_text_that_is_not_utf_8_is_told_by_its_table_and_column() {
    let bank = bank(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, n INTEGER, said TEXT);
         INSERT INTO notes VALUES (1, 1, CAST(x'ff41' AS TEXT)), (2, 1, 'good');",
        SqliteOptions::default(),
    );
    let all = access(&["notes"], &["notes"]);
    let mut transaction = capturing(&bank, 1).await;
    transaction.execute(&statement("UPDATE notes SET n = 2 WHERE id = 2", &[]), &all).await.unwrap();
    assert_eq!(lines(&transaction.changes(ChangeLimits::default()).await.unwrap()), ["notes update 2"]);
    transaction.execute(&statement("UPDATE notes SET n = 2 WHERE id = 1", &[]), &all).await.unwrap();
    let refused = transaction.changes(ChangeLimits::default()).await;
    assert!(
        matches!(&refused, Err(DbError::Invalid(why)) if why.starts_with("column `said` of table `notes` holds text that is not UTF-8 in a row that the step changed")
            && why.contains("SET said = CAST(said AS BLOB)")),
        "{refused:?}"
    );
    transaction.rollback().await;
}

#[tokio::test]
async fn a_failed_statement_changes_nothing_and_the_next_is_kept() {
    let bank = bank(ACCOUNTS, SqliteOptions::default());
    let all = access(&["accounts"], &["accounts"]);
    let mut transaction = capturing(&bank, 1).await;
    let twice = statement("INSERT OR FAIL INTO accounts VALUES ('D', 'x', 1), ('A', 'x', 1)", &[]);
    assert!(matches!(transaction.execute(&twice, &all).await, Err(DbError::Constraint(_))));
    assert!(transaction.changes(ChangeLimits::default()).await.unwrap().is_empty());
    transaction
        .execute(&statement("UPDATE accounts SET status = 'b' WHERE id = 'A'", &[]), &all)
        .await
        .unwrap();
    assert_eq!(lines(&transaction.changes(ChangeLimits::default()).await.unwrap()), ["accounts update A"]);
    transaction.rollback().await;
    // Nothing temporary is left, and nothing is kept where nobody asked.
    let mut transaction = crate::sqlite::begin(&bank.db, 2).await;
    transaction.execute(&statement("DELETE FROM accounts", &[]), &all).await.unwrap();
    assert!(matches!(transaction.changes(ChangeLimits::default()).await, Err(DbError::Invalid(_))));
    transaction.rollback().await;
    assert_eq!(changed(&bank, 3, &["accounts"], &["DELETE FROM accounts"]).await.row_count(), 3);
}

#[tokio::test]
async fn a_change_set_has_a_limit() {
    let bank = bank(ACCOUNTS, SqliteOptions::default());
    let mut transaction = capturing(&bank, 1).await;
    let all = access(&["accounts"], &["accounts"]);
    transaction.execute(&statement("UPDATE accounts SET status = 'b'", &[]), &all).await.unwrap();
    let rows = ChangeLimits { rows: 2, ..ChangeLimits::default() };
    assert!(matches!(transaction.changes(rows).await, Err(DbError::Limit(_))));
    let bytes = ChangeLimits { bytes: 10, ..ChangeLimits::default() };
    assert!(matches!(transaction.changes(bytes).await, Err(DbError::Limit(_))));
    assert_eq!(transaction.changes(ChangeLimits::default()).await.unwrap().row_count(), 3);
}

#[tokio::test]
async fn the_guest_neither_sees_nor_touches_what_keeps_its_changes() {
    let bank = bank(ACCOUNTS, SqliteOptions::default());
    let whole = wflo_model::DbAccess::whole();
    let mut transaction = capturing(&bank, 1).await;
    transaction.execute(&statement("DELETE FROM accounts WHERE id = 'A'", &[]), &whole).await.unwrap();
    for sql in [
        "SELECT * FROM sqlite_temp_schema",
        "SELECT * FROM temp.sqlite_schema",
        "SELECT * FROM pragma_table_list",
        "SELECT name FROM pragma_database_list",
    ] {
        let told = transaction.query(&statement(sql, &[]), &whole, wflo_ports::QueryLimits::default()).await;
        assert!(matches!(told, Err(DbError::Denied(_) | DbError::Invalid(_))), "{sql}: {told:?}");
    }
    for sql in ["DROP TRIGGER temp.x", "DELETE FROM temp.sqlite_schema", "PRAGMA recursive_triggers = 1"] {
        let told = transaction.execute(&statement(sql, &[]), &whole).await;
        assert!(matches!(told, Err(DbError::Denied(_) | DbError::Invalid(_))), "{sql}: {told:?}");
    }
    assert_eq!(transaction.changes(ChangeLimits::default()).await.unwrap().row_count(), 1);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_row_that_somebody_changed_since_is_left_and_reported() {
    let bank = bank(ACCOUNTS, SqliteOptions::default());
    let changes = changed(
        &bank,
        1,
        &["accounts"],
        &[
            "UPDATE accounts SET status = 'blocked'",
            "INSERT INTO accounts VALUES ('D', 'x', 1), ('E', 'x', 1)",
        ],
    )
    .await;
    bank.owner
        .execute_batch(
            "UPDATE accounts SET status = 'closed' WHERE id = 'B'; UPDATE accounts SET balance = 2 WHERE id = 'D';
             DELETE FROM accounts WHERE id = 'E'",
        )
        .unwrap();
    let undone = undo(&bank, 1, &[&changes]).await;
    let conflicts: Vec<_> =
        undone.conflicts.iter().map(|conflict| (&conflict.key[0], &conflict.reason)).collect();
    let text = |text: &str| SqlValue::Text(text.into());
    assert_eq!(conflicts, [(&text("D"), &ConflictReason::Changed), (&text("B"), &ConflictReason::Changed)]);
    let b = &undone.conflicts[1];
    let status = |row: &Option<Vec<SqlValue>>| row.as_ref().unwrap()[1].clone();
    assert_eq!(
        [status(&b.expected), status(&b.found), status(&b.wanted)],
        [text("blocked"), text("closed"), text("active")]
    );
    // A, C and E are as they were: E is gone, whoever did it.
    assert_eq!(undone.rows, 3);
    let left: Vec<String> = bank
        .owner
        .prepare("SELECT id || ' ' || status FROM accounts ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(left, ["A active", "B closed", "C active", "D x"]);
}

#[tokio::test]
async fn no_row_of_others_changes_with_a_row_that_is_put_back() {
    let schema = "
        CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE);
        CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE self (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES self);
        INSERT INTO p VALUES (1, 'one'), (2, 'two');
        INSERT INTO c VALUES (20, 2);";
    let bank = bank(schema, SqliteOptions::default());
    let changes = changed(
        &bank,
        1,
        &["p", "c", "self"],
        &[
            "INSERT INTO p VALUES (3, 'three'), (4, 'four')",
            "INSERT INTO c VALUES (30, 3)",
            "DELETE FROM p WHERE id = 2",
            "UPDATE p SET u = NULL WHERE id = 1",
            "INSERT INTO self VALUES (1, 1), (2, 1)",
        ],
    )
    .await;
    // Somebody else refers to a row that the step inserted, and has taken a unique value that it gave up.
    bank.owner.execute_batch("INSERT INTO c VALUES (31, 4); INSERT INTO p VALUES (5, 'one')").unwrap();
    let undone = undo(&bank, 1, &[&changes]).await;
    let reasons: Vec<_> = undone
        .conflicts
        .iter()
        .map(|conflict| format!("{} {:?}: {}", conflict.table, conflict.key[0], conflict.reason))
        .collect();
    assert_eq!(
        reasons,
        ["p Integer(4): rows of `c` refer to it", "p Integer(1): UNIQUE constraint failed: p.u"]
    );
    let ids = |table: &str| dump(&bank, table).into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let integers =
        |ids: &[i64]| ids.iter().map(|&id| rusqlite::types::Value::Integer(id)).collect::<Vec<_>>();
    assert_eq!(ids("p"), integers(&[1, 2, 4, 5]));
    assert_eq!(ids("c"), integers(&[20, 31]));
    assert_eq!(ids("self"), integers(&[]));
}

#[tokio::test]
async fn what_others_write_to_a_new_column_goes_with_no_row() {
    // What a row has there by itself is nobody's.
    for (since, is_written) in [
        ("ALTER TABLE accounts ADD extra TEXT", false),
        ("ALTER TABLE accounts ADD extra TEXT NOT NULL DEFAULT 7", false),
        ("ALTER TABLE accounts ADD extra INT AS (balance * 2) VIRTUAL", false),
        ("ALTER TABLE accounts ADD extra TEXT; UPDATE accounts SET extra = 'written'", true),
        ("ALTER TABLE accounts ADD extra TEXT DEFAULT 'new'; UPDATE accounts SET extra = 'old'", true),
    ] {
        let bank = bank(ACCOUNTS, SqliteOptions::default());
        let statements = [
            "UPDATE accounts SET balance = 5 WHERE id = 'A'",
            "INSERT INTO accounts (id, balance) VALUES ('N', 1)",
        ];
        let changes = changed(&bank, 1, &["accounts"], &statements).await;
        bank.owner.execute_batch(since).unwrap();
        let rows = dump(&bank, "accounts").len();
        let undone = undo(&bank, 1, &[&changes]).await;
        let left: Vec<_> = undone.conflicts.iter().map(|it| it.reason.to_string()).collect();
        let why = "the table has another form now: column `extra` came later, and this row has a value there";
        let (done, expected) = if is_written { (1, vec![why.to_owned()]) } else { (2, vec![]) };
        assert_eq!((undone.rows, left), (done, expected), "{since}");
        assert_eq!(dump(&bank, "accounts").len(), rows + 1 - done as usize);
    }
}

#[tokio::test]
async fn a_table_of_another_form_is_left() {
    let bank = bank(ACCOUNTS, SqliteOptions::default());
    let changes = changed(&bank, 1, &["accounts"], &["DELETE FROM accounts WHERE id = 'A'"]).await;
    bank.owner.execute_batch("ALTER TABLE accounts DROP COLUMN balance").unwrap();
    let undone = undo(&bank, 1, &[&changes]).await;
    assert!(
        matches!(&undone.conflicts[0].reason, ConflictReason::Schema { message } if message.contains("`balance`"))
    );
    assert_eq!(dump(&bank, "accounts").len(), 2);
}
