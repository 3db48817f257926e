//! Attempts to get around the grants of a step.

use wflo_backends::db::sqlite::SqliteOptions;
use wflo_model::{DbAccess, SqlValue, TableAccess};
use wflo_ports::{Database, DbError, QueryLimits};

use crate::sqlite::{Bank, access, bank, begin, statement};

/// `transactions` is granted, `accounts` is not.
const SCHEMA: &str = "
    CREATE TABLE transactions (id INTEGER PRIMARY KEY, account INTEGER, amount INTEGER, note TEXT UNIQUE);
    INSERT INTO transactions VALUES (1, 1, 5, 'x'), (2, 2, 7, 'y');
    CREATE TABLE accounts (id INTEGER PRIMARY KEY, secret TEXT NOT NULL);
    INSERT INTO accounts VALUES (1, 's3cret-1'), (2, 's3cret-2');
    CREATE TABLE log (what TEXT);
    CREATE VIEW open_book AS SELECT id, secret FROM accounts;
    CREATE VIEW sums AS SELECT account, sum(amount) AS total FROM transactions GROUP BY account;
    CREATE TRIGGER log_it AFTER UPDATE OF amount ON transactions BEGIN
        INSERT INTO log SELECT 'changed ' || new.note || ' of ' || secret FROM accounts WHERE id = new.account;
    END;
    CREATE TRIGGER clear_marks AFTER DELETE ON transactions BEGIN DELETE FROM wflo_effects; END;
    CREATE TRIGGER open_book_delete INSTEAD OF DELETE ON open_book BEGIN SELECT 1; END;
    CREATE TRIGGER sums_delete INSTEAD OF DELETE ON sums BEGIN SELECT 1; END;
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (parent INTEGER REFERENCES parent(id) ON DELETE CASCADE);
    INSERT INTO parent VALUES (1);
    INSERT INTO child VALUES (1);
    CREATE VIRTUAL TABLE docs USING fts5(body);
    INSERT INTO docs VALUES ('hidden words');
    CREATE TABLE vault (id INTEGER PRIMARY KEY, account INTEGER, amount INTEGER, note TEXT UNIQUE);
    INSERT INTO vault VALUES (100, 1, 1, 's3cret-3');
    CREATE TABLE \"od\"\"d\" (id INTEGER);
    INSERT INTO \"od\"\"d\" VALUES (1);
";

/// Everything the owner sees, to compare before and after. `wflo_effects` included.
fn everything(owner: &rusqlite::Connection) -> String {
    let mut out = String::new();
    for table in
        ["transactions", "accounts", "log", "parent", "child", "docs", "sqlite_schema", "wflo_effects"]
    {
        let mut all = owner.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = all.column_count();
        let mut rows = all.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            out += &format!("{table}: {}\n", values.join(", "));
        }
    }
    out
}

fn columns(names: &[&str]) -> TableAccess {
    TableAccess::Columns(names.iter().map(|name| (*name).to_owned()).collect())
}

/// Runs `sql` as a query, as a query in a transaction, and as a write: each is refused, nothing changes and
/// no secret is told.
async fn refused(sql: &str, access: &DbAccess) {
    all_refused(&[sql], access).await;
}

/// What of [`refused`] does not hold.
async fn allowed(bank: &Bank, sql: &str, access: &DbAccess) -> Vec<String> {
    let before = everything(&bank.owner);
    let guest = statement(sql, &[]);
    let mut ends = Vec::new();
    let limits = QueryLimits::default();
    ends.push(bank.db.query(&guest, access, limits).await.map(|rows| format!("{rows:?}")));
    let mut transaction = begin(&bank.db, 1).await;
    ends.push(transaction.query(&guest, access, limits).await.map(|rows| format!("{rows:?}")));
    ends.push(transaction.execute(&guest, access).await.map(|done| format!("{done:?}")));
    transaction.commit().await.unwrap();
    bank.owner.execute("DELETE FROM wflo_effects", []).unwrap();
    let mut wrong = Vec::new();
    for end in ends {
        match end {
            Err(DbError::Denied(text) | DbError::Invalid(text)) if !text.contains("s3cret") => {}
            other => wrong.push(format!("{other:?}")),
        }
    }
    if everything(&bank.owner) != before {
        wrong.push("something changed".into());
    }
    wrong
}

/// Refuses each of them, and tells all that went through.
async fn all_refused(statements: &[&str], access: &DbAccess) {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let mut through = Vec::new();
    for sql in statements {
        let wrong = allowed(&bank, sql, access).await;
        if !wrong.is_empty() {
            through.push(format!("{sql}\n    {}", wrong.join("\n    ")));
        }
    }
    assert!(through.is_empty(), "went through:\n{}", through.join("\n"));
}

#[tokio::test]
async fn a_reader_of_one_table_gets_nowhere_else() {
    let granted = access(&["transactions"], &[]);
    let statements = [
        // Other tables, by every way SQL has.
        "SELECT secret FROM accounts",
        "SELECT secret FROM main.accounts",
        "SELECT \"secret\" FROM [ACCOUNTS]",
        "SELECT count(*) FROM accounts",
        "SELECT 1 FROM accounts",
        "SELECT 1 FROM accounts LIMIT 0",
        "SELECT rowid FROM accounts",
        "SELECT t.id, a.secret FROM transactions t JOIN accounts a ON a.id = t.account",
        "SELECT id FROM transactions NATURAL JOIN accounts",
        "SELECT (SELECT secret FROM accounts) FROM transactions",
        "SELECT id FROM transactions WHERE account IN accounts",
        "SELECT id FROM transactions WHERE EXISTS (SELECT 1 FROM accounts WHERE secret LIKE 's%')",
        "SELECT id FROM transactions ORDER BY (SELECT max(secret) FROM accounts)",
        "SELECT id FROM transactions UNION ALL SELECT secret FROM accounts",
        "SELECT 1 FROM\u{feff}(SELECT 's3cret-1' AS secret)\u{feff}NATURAL JOIN\u{feff}accounts",
        "SELECT $x(') FROM (SELECT 's3cret-1' AS secret) NATURAL JOIN accounts --'",
        "SELECT CASE WHEN 1 THEN 2 ELSE (SELECT secret FROM accounts) END",
        "SELECT json_group_array((SELECT secret FROM accounts))",
        "SELECT value FROM json_each((SELECT json_group_array(secret) FROM accounts))",
        "SELECT sum(id) OVER (ORDER BY (SELECT secret FROM accounts)) FROM transactions",
        "SELECT (VALUES ((SELECT secret FROM accounts)))",
        "SELECT id FROM transactions LIMIT (SELECT length(secret) FROM accounts)",
        "SELECT id FROM transactions GROUP BY (SELECT secret FROM accounts)",
        "SELECT count(*) FROM transactions HAVING (SELECT secret FROM accounts) > 's'",
        "SELECT group_concat(id ORDER BY (SELECT secret FROM accounts)) FROM transactions",
        "SELECT sum(id) FILTER (WHERE (SELECT secret FROM accounts) > 's') FROM transactions",
        "SELECT (SELECT id, secret FROM accounts) = (1, 's3cret-1')",
        "SELECT a.id FROM transactions a JOIN transactions b ON b.id IN (SELECT id FROM accounts)",
        "VALUES (1, 2), (3, (SELECT secret FROM accounts))",
        "SELECT 1 FROM accounts, transactions",
        // Joins of which SQLite does not tell the columns.
        "SELECT 1 FROM transactions JOIN accounts USING (id)",
        "SELECT account FROM transactions NATURAL JOIN accounts",
        "SELECT account FROM transactions LEFT JOIN accounts USING (id)",
        "SELECT account FROM transactions FULL JOIN \"accounts\" USING (id)",
        "SELECT 1 FROM (SELECT 's3cret-1' AS secret) JOIN [Accounts] USING (secret)",
        "SELECT 1 FROM (SELECT 's3cret-1' AS secret) NATURAL/**/JOIN main.accounts",
        "SELECT 1 FROM (SELECT 's3cret-1' AS secret) NATURAL JOIN `accounts`",
        "SELECT 1 FROM (SELECT 'table' AS type) JOIN sqlite_schema USING (type)",
        "SELECT 1 FROM (SELECT 'block' AS step) JOIN wflo_effects USING (step)",
        "SELECT 1 FROM (SELECT 'accounts' AS name) JOIN pragma_table_list USING (name)",
        "SELECT 1 FROM (SELECT 'accounts' AS name) JOIN dbstat USING (name)",
        "SELECT 1 FROM (SELECT 1 AS id) JOIN \"od\"\"d\" USING (id)",
        "SELECT 1 FROM (SELECT 1 AS id) JOIN open_book USING (id)",
        // Names chosen to look granted, or to look like a trigger or a view.
        "WITH transactions AS (SELECT secret FROM accounts) SELECT * FROM transactions",
        "WITH transactions AS (SELECT secret FROM accounts) SELECT count(*) FROM transactions",
        "WITH log_it AS (SELECT secret FROM accounts) SELECT * FROM log_it",
        "WITH \"log_it\" AS NOT MATERIALIZED (SELECT secret FROM accounts) SELECT count(*) FROM \"log_it\"",
        "WITH sums AS (SELECT secret FROM accounts) SELECT * FROM sums",
        "WITH RECURSIVE transactions(x) AS (SELECT secret FROM accounts UNION SELECT x FROM transactions) \
         SELECT x FROM transactions",
        "SELECT transactions.secret FROM accounts AS transactions",
        "SELECT * FROM (SELECT secret FROM accounts) AS transactions",
        // Views: neither without a grant, nor by what they read.
        "SELECT secret FROM open_book",
        "SELECT total FROM sums",
        "SELECT count(*) FROM open_book",
        // The schema and the host's table.
        "SELECT sql FROM sqlite_master",
        "SELECT sql FROM sqlite_schema",
        "SELECT count(*) FROM sqlite_schema",
        "SELECT * FROM main.sqlite_schema",
        "SELECT * FROM temp.sqlite_master",
        "SELECT * FROM sqlite_temp_schema",
        "SELECT * FROM wflo_effects",
        "SELECT count(*) FROM wflo_effects",
        "SELECT * FROM sqlite_stat1",
        "SELECT * FROM dbstat",
        "SELECT count(*) FROM dbstat",
        "SELECT * FROM docs",
        "SELECT * FROM docs_content",
        "SELECT count(*) FROM docs",
        "SELECT rowid FROM docs WHERE docs MATCH 'hidden'",
        // Pragmas, plain and as functions.
        "PRAGMA table_info(accounts)",
        "PRAGMA database_list",
        "PRAGMA writable_schema = ON",
        "PRAGMA query_only = OFF",
        "PRAGMA trusted_schema = ON",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA temp_store_directory = '/tmp'",
        "SELECT * FROM pragma_table_info('accounts')",
        "SELECT * FROM pragma_table_list",
        "SELECT count(*) FROM pragma_table_list",
        "SELECT count(*) FROM pragma_module_list()",
        "SELECT * FROM pragma_database_list",
        // Out of the database.
        "ATTACH DATABASE ':memory:' AS other",
        "ATTACH DATABASE '/tmp/other.db' AS other",
        "DETACH DATABASE main",
        "VACUUM INTO '/tmp/copy.db'",
        "VACUUM",
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('/tmp/x', 'y')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT edit('x')",
        "SELECT sqlite_version()",
        "SELECT sqlite_compileoption_get(0)",
        "SELECT last_insert_rowid()",
        // Changes of any kind.
        "INSERT INTO transactions VALUES (3, 1, 1, 'z')",
        "INSERT INTO transactions SELECT * FROM transactions",
        "REPLACE INTO transactions VALUES (1, 1, 1, 'z')",
        "UPDATE transactions SET amount = 0",
        "UPDATE transactions SET amount = 0 RETURNING id",
        "UPDATE OR IGNORE transactions SET amount = 0",
        "DELETE FROM transactions",
        "DELETE FROM open_book WHERE id = 1",
        "DELETE FROM wflo_effects",
        "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, '')",
        "INSERT INTO docs VALUES ('x')",
        "CREATE TABLE x (y)",
        "CREATE TABLE x AS SELECT * FROM accounts",
        "CREATE TEMP TABLE x AS SELECT * FROM accounts",
        "CREATE TEMPORARY VIEW transactions AS SELECT secret FROM accounts",
        "CREATE VIEW x AS SELECT * FROM accounts",
        "CREATE TEMP TRIGGER x AFTER UPDATE ON transactions BEGIN DELETE FROM accounts; END",
        "CREATE TRIGGER x AFTER UPDATE ON transactions BEGIN DELETE FROM accounts; END",
        "CREATE INDEX x ON transactions (amount)",
        "CREATE VIRTUAL TABLE x USING fts5(y)",
        "CREATE VIRTUAL TABLE temp.x USING dbstat",
        "ALTER TABLE transactions RENAME TO other",
        "ALTER TABLE transactions ADD COLUMN other",
        "DROP TABLE transactions",
        "DROP TABLE IF EXISTS accounts",
        "DROP TRIGGER log_it",
        "DROP VIEW sums",
        "ANALYZE",
        "ANALYZE transactions",
        "REINDEX",
        "REINDEX transactions",
        // The host's transactions.
        "BEGIN",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT x",
        "RELEASE wflo_statement",
        "ROLLBACK TO wflo_statement",
        // More than one statement, and other forms.
        "SELECT 1; DROP TABLE accounts",
        "SELECT 1; SELECT secret FROM accounts",
        "SELECT 1;\0 SELECT secret FROM accounts",
        "; DELETE FROM accounts",
        "EXPLAIN SELECT secret FROM accounts",
        "EXPLAIN SELECT id FROM transactions",
        "EXPLAIN QUERY PLAN SELECT id FROM transactions",
        "EXPLAIN DELETE FROM transactions",
        "-- nothing",
        "",
    ];
    all_refused(&statements, &granted).await;
}

#[tokio::test]
async fn a_writer_of_one_table_gets_nowhere_else() {
    // Written, never read.
    let granted = access(&[], &["transactions", "parent", "sums", "open_book"]);
    let statements = [
        "UPDATE transactions SET amount = amount + 1",
        "UPDATE transactions SET amount = 1 WHERE id = 1",
        "UPDATE transactions SET amount = 1 WHERE rowid = 1",
        "UPDATE transactions SET note = (SELECT secret FROM accounts)",
        "UPDATE transactions SET note = secret FROM accounts",
        "UPDATE transactions SET amount = 1 RETURNING id",
        "UPDATE transactions SET amount = 1 RETURNING *",
        "UPDATE transactions SET amount = 1 RETURNING (SELECT secret FROM accounts)",
        "DELETE FROM transactions WHERE amount > 1",
        "DELETE FROM transactions RETURNING note",
        "INSERT INTO transactions SELECT id, 1, 1, secret FROM accounts",
        "INSERT INTO transactions VALUES (3, 1, 1, (SELECT secret FROM accounts))",
        "INSERT INTO transactions VALUES (3, 1, 1, 'z'), (4, 1, 1, (SELECT secret FROM accounts))",
        "INSERT INTO transactions SELECT * FROM vault",
        "INSERT OR REPLACE INTO transactions SELECT * FROM vault",
        "INSERT INTO transactions TABLE vault",
        "UPDATE transactions SET amount = 1 FROM (SELECT 's3cret-1' AS secret) JOIN accounts USING (secret)",
        "INSERT INTO transactions SELECT 9, 1, 1, 'z' FROM (SELECT 's3cret-1' AS secret) NATURAL JOIN accounts",
        "INSERT INTO transactions VALUES (1, 1, 1, 'z') ON CONFLICT (id) DO UPDATE SET note = \
         (SELECT secret FROM accounts)",
        "WITH sums AS (SELECT secret FROM accounts) UPDATE transactions SET note = (SELECT secret FROM sums)",
        // Names that look like the trigger the write fires.
        "WITH log_it AS (SELECT secret FROM accounts) UPDATE transactions SET amount = (SELECT 1 FROM log_it)",
        "WITH log_it AS (SELECT secret FROM accounts) UPDATE transactions SET note = (SELECT secret FROM log_it)",
        "WITH LOG_IT AS (SELECT secret FROM accounts) UPDATE transactions SET note = (SELECT secret FROM log_it)",
        "WITH clear_marks AS (SELECT secret FROM accounts) INSERT INTO transactions SELECT 9, 1, 1, secret \
         FROM clear_marks",
        // Writes to a view run in its context: what the statement reads beside is still the statement's.
        "DELETE FROM sums WHERE (SELECT secret FROM accounts) LIKE 's%'",
        "DELETE FROM open_book WHERE secret LIKE 's3cret-1%'",
        "DELETE FROM open_book",
        // A trigger of the owner that would clear the host's table.
        "DELETE FROM transactions",
        // Foreign keys reach into another table.
        "DELETE FROM parent",
        // Not these tables.
        "UPDATE accounts SET secret = ''",
        "INSERT INTO log VALUES ('x')",
        "DELETE FROM wflo_effects",
        "UPDATE wflo_effects SET run = ''",
        "UPDATE sqlite_schema SET sql = ''",
        "DELETE FROM sqlite_sequence",
        "INSERT INTO docs_content VALUES (1, 'x')",
        // Cannot be redone with equal results.
        "UPDATE transactions SET amount = random()",
        "INSERT INTO transactions VALUES (3, 1, 1, randomblob(4))",
    ];
    all_refused(&statements, &granted).await;
    let bank = bank(SCHEMA, SqliteOptions::default());
    let mut transaction = begin(&bank.db, 1).await;
    for sql in ["SELECT 1", "VALUES (1)"] {
        let error = transaction.execute(&statement(sql, &[]), &granted).await.unwrap_err();
        assert!(matches!(error, DbError::Invalid(_)), "{error}");
    }
}

#[tokio::test]
async fn columns_are_told_apart() {
    let granted = DbAccess {
        read: [("transactions".to_owned(), columns(&["id", "amount"]))].into(),
        write: [("transactions".to_owned(), columns(&["amount", "note"]))].into(),
        ..DbAccess::default()
    };
    let statements = [
        "SELECT note FROM transactions",
        "SELECT * FROM transactions",
        "SELECT id FROM transactions ORDER BY note",
        "SELECT id FROM transactions GROUP BY note",
        "SELECT id FROM transactions WHERE note = 'x'",
        "SELECT a.id FROM transactions a JOIN transactions b USING (note)",
        "SELECT id FROM transactions WHERE (id, note) IN (VALUES (1, 'x'))",
        "SELECT id FROM transactions JOIN (SELECT 'x' AS note) USING (note)",
        "SELECT id FROM transactions NATURAL JOIN (SELECT 'x' AS note)",
        "UPDATE transactions SET account = 1",
        "UPDATE transactions SET id = 7",
        "UPDATE transactions SET rowid = 7",
        "UPDATE transactions SET (amount, account) = (1, 1)",
        "UPDATE transactions SET amount = length(note)",
        "UPDATE OR REPLACE transactions SET note = 'x'",
        "UPDATE OR REPLACE transactions SET note = 'x' WHERE $x('",
        "UPDATE OR--\nREPLACE transactions SET note = 'x' WHERE id = 2",
        "INSERT INTO transactions (amount) VALUES (1)",
        "INSERT INTO transactions (id, amount) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET amount = 2",
        "REPLACE INTO transactions (amount) VALUES (1)",
        "DELETE FROM transactions",
    ];
    all_refused(&statements, &granted).await;
    let bank = bank(SCHEMA, SqliteOptions::default());
    let query =
        async |sql| bank.db.query(&statement(sql, &[]), &granted, QueryLimits::default()).await.unwrap().rows;
    assert_eq!(query("SELECT amount FROM transactions WHERE ID = 2").await, [[SqlValue::Integer(7)]]);
    assert_eq!(query("SELECT count(*) FROM transactions").await, [[SqlValue::Integer(2)]]);
    let mut transaction = begin(&bank.db, 1).await;
    let update = statement("UPDATE transactions SET note = replace('abc', 'b', 'z') WHERE id = 1", &[]);
    assert_eq!(transaction.execute(&update, &granted).await.unwrap().changed, 1);
}

#[tokio::test]
async fn a_grant_cannot_name_what_is_the_hosts() {
    let granted =
        access(&["sqlite_master", "sqlite_schema", "wflo_effects", "pragma_table_list"], &["wflo_effects"]);
    let statements = [
        "SELECT sql FROM sqlite_schema",
        "SELECT count(*) FROM sqlite_master",
        "SELECT marker FROM wflo_effects",
        "SELECT name FROM pragma_table_list",
        "DELETE FROM wflo_effects",
    ];
    all_refused(&statements, &granted).await;
}

#[tokio::test]
async fn honest_statements_work() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let granted = access(&["transactions", "sums"], &["transactions"]);
    for (sql, rows) in [
        ("SELECT * FROM Transactions t ORDER BY t.id DESC", 2),
        ("SELECT count(*) FROM transactions", 1),
        ("SELECT account, sum(amount) FROM transactions GROUP BY account HAVING sum(amount) > 5", 1),
        ("WITH big AS (SELECT * FROM transactions WHERE amount > 6) SELECT count(*) FROM big", 1),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n", 5),
        ("SELECT id FROM transactions WHERE id IN (SELECT value FROM json_each('[1,2,3]'))", 2),
        ("SELECT count(*) FROM json_tree('{\"a\":[1]}')", 1),
        (
            "SELECT row_number() OVER (PARTITION BY account ORDER BY amount), lag(id) OVER () FROM transactions",
            2,
        ),
        ("SELECT a.id FROM transactions a LEFT JOIN transactions b ON a.id < b.id", 2),
        ("SELECT a.id FROM transactions a JOIN transactions b USING (id)", 2),
        ("SELECT total FROM transactions NATURAL JOIN sums", 2),
        ("SELECT value FROM json_each('[1]') NATURAL JOIN (SELECT 1 AS value)", 1),
        ("SELECT total FROM sums", 2),
        (
            "SELECT upper(note) || coalesce(NULL, 'x'), CAST(amount AS TEXT), round(1.5), datetime('now') \
          FROM transactions WHERE note LIKE '%' AND note GLOB '*'",
            2,
        ),
        ("SELECT id FROM transactions ORDER BY random()", 2),
        ("VALUES (1), (2)", 2),
        ("SELECT CURRENT_TIMESTAMP, strftime('%Y', 'now'), '{\"a\":1}' ->> 'a', iif(1, 2, 3)", 1),
        ("SELECT id FROM transactions WHERE note IS NOT NULL EXCEPT SELECT 1", 1),
    ] {
        match bank.db.query(&statement(sql, &[]), &granted, QueryLimits::default()).await {
            Ok(out) => assert_eq!(out.rows.len(), rows, "{sql}"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }
    let mut transaction = begin(&bank.db, 1).await;
    for (sql, changed) in [
        // Fires the owner's trigger, which reads `accounts` and writes `log`, neither of which is granted.
        ("UPDATE transactions SET amount = amount + 1 WHERE id = 1", 1),
        ("INSERT INTO transactions VALUES (3, 1, 1, 'z')", 1),
        (
            "INSERT INTO transactions VALUES (3, 1, 9, 'w') ON CONFLICT (id) DO UPDATE SET note = excluded.note",
            1,
        ),
        ("INSERT INTO transactions SELECT id + 10, account, amount, note || id FROM transactions", 3),
        ("REPLACE INTO transactions VALUES (3, 1, 1, 'v')", 1),
        ("UPDATE transactions SET note = note || '!' WHERE id = 3 RETURNING id, note", 1),
        ("INSERT OR IGNORE INTO transactions VALUES (3, 1, 1, 'v')", 0),
    ] {
        match transaction.execute(&statement(sql, &[]), &granted).await {
            Ok(done) => assert_eq!(done.changed, changed, "{sql}"),
            Err(error) => panic!("{sql}: {error}"),
        }
    }
    transaction.commit().await.unwrap();
    let logged: String = bank.owner.query_row("SELECT what FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(logged, "changed x of s3cret-1");
}

#[tokio::test]
async fn a_view_needs_grants_for_itself_and_for_what_it_reads() {
    refused("SELECT total FROM sums", &access(&["sums"], &[])).await;
    refused("SELECT total FROM sums", &access(&["transactions"], &[])).await;
}

#[tokio::test]
async fn foreign_keys_need_grants_on_both_sides() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let mut transaction = begin(&bank.db, 1).await;
    let insert = statement("INSERT INTO child VALUES (1)", &[]);
    let error = transaction.execute(&insert, &access(&[], &["child"])).await.unwrap_err();
    assert!(matches!(&error, DbError::Denied(text) if text.contains("`parent`")), "{error}");
    transaction.execute(&insert, &access(&["parent"], &["child"])).await.unwrap();
    let delete = statement("DELETE FROM parent", &[]);
    transaction.execute(&delete, &access(&["child", "parent"], &["child", "parent"])).await.unwrap();
    transaction.commit().await.unwrap();
    let left: i64 = bank.owner.query_row("SELECT count(*) FROM child", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn denials_name_what_was_denied_and_what_would_grant_it() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let denied = async |sql| {
        bank.db
            .query(&statement(sql, &[]), &access(&["transactions"], &[]), QueryLimits::default())
            .await
            .unwrap_err()
    };
    let check = |error: DbError, expect: &str| assert_eq!(error, DbError::Denied(expect.into()));
    check(
        denied("SELECT secret FROM accounts WHERE secret = 's3cret-1'").await,
        "the step may not read column `secret` of table `accounts`; a grant would be `read = [\"accounts\"]`",
    );
    check(
        denied("SELECT count(*) FROM accounts").await,
        "the step may not read table `accounts`; a grant would be `read = [\"accounts\"]`",
    );
    check(
        denied("DELETE FROM transactions").await,
        "a query only reads, and this one would delete from table `transactions`; use `execute`",
    );
    check(denied("PRAGMA table_info(x)").await, "`PRAGMA` is never open to a step");
    check(denied("SELECT load_extension('x')").await, "function `load_extension` is never open to a step");
}

#[tokio::test]
async fn a_schema_that_changes_is_seen() {
    let bank = bank(SCHEMA, SqliteOptions { readers: 1, ..SqliteOptions::default() });
    let granted = access(&["transactions"], &[]);
    let count = statement("WITH later AS (SELECT 1) SELECT count(*) FROM later", &[]);
    bank.db.query(&count, &granted, QueryLimits::default()).await.unwrap();
    bank.owner.execute_batch("CREATE TABLE later (secret)").unwrap();
    let count = statement("SELECT count(*) FROM later", &[]);
    let error = bank.db.query(&count, &granted, QueryLimits::default()).await.unwrap_err();
    assert!(matches!(error, DbError::Denied(_)), "{error}");
}

#[tokio::test]
async fn a_grant_is_of_the_table_in_whatever_case_it_is_written() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let columns = TableAccess::Columns(["NOTE".to_owned(), "Id".to_owned()].into());
    let granted = DbAccess { read: [("Transactions".to_owned(), columns)].into(), ..DbAccess::default() };
    let query = async |sql: &str| bank.db.query(&statement(sql, &[]), &granted, QueryLimits::default()).await;
    assert!(query("SELECT id, Note FROM TRANSACTIONS").await.is_ok());
    assert!(matches!(query("SELECT amount FROM Transactions").await, Err(DbError::Denied(_))));
    let mut transaction = begin(&bank.db, 1).await;
    let written = access(&[], &["TransActions"]);
    let insert = statement("INSERT INTO transactions (id) VALUES (77)", &[]);
    assert_eq!(transaction.execute(&insert, &written).await.unwrap().changed, 1);
    transaction.rollback().await;
}
