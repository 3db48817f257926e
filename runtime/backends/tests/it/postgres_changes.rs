//! What a transaction changed on PostgreSQL, and undoing it.

use wflo_backends::db::postgres::PostgresOptions;
use wflo_model::SqlValue;
use wflo_ports::{
    Begun, Capture, ChangeLimits, ChangeSet, ConflictReason, Database as _, DbError, Marker, MarkerPurpose,
    RowChange, Undone,
};

use crate::postgres::{Bank, bank, bank_for, begin};
use crate::sqlite::{access, marker, statement};

/// Runs statements in one transaction, commits, and tells what they changed.
pub(crate) async fn changed(bank: &Bank, run: u8, tables: &[&str], statements: &[&str]) -> ChangeSet {
    let mut transaction = begin(&bank.db, run, Capture::On).await;
    for sql in statements {
        let done = transaction.execute(&statement(sql, &[]), &access(tables, tables)).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(bank.pg.sql("SELECT count(*) FROM wflo_changes"), "0");
    changes
}

pub(crate) async fn undo(bank: &Bank, run: u8, changes: &ChangeSet) -> Undone {
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(run) };
    let Begun::Open(mut transaction) = bank.db.begin(&marker, Capture::Off).await.unwrap() else {
        panic!("it is undone already");
    };
    let undone = transaction.undo(changes).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(matches!(bank.db.begin(&marker, Capture::Off).await.unwrap(), Begun::AlreadyCommitted));
    undone
}

pub(crate) fn dump(bank: &Bank, table: &str) -> String {
    bank.pg.sql(&format!("SELECT t::text FROM {table} t ORDER BY 1"))
}

/// What a change set says, a line a row: `table kind key`.
fn lines(changes: &ChangeSet) -> Vec<String> {
    let words = |values: &[SqlValue]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let rows = changes.tables.iter().flat_map(|table| table.rows.iter().map(move |row| (&table.table, row)));
    rows.map(|(table, row)| format!("{table} {} {}", row.kind(), words(row.key()))).collect()
}

/// Runs statements, expects the changes and that undoing them leaves the tables as they were.
pub(crate) async fn check(
    schema: &str,
    tables: &[&str],
    statements: &[&str],
    expected: &[&str],
) -> ChangeSet {
    let bank = bank(schema, tables).await;
    let before: Vec<_> = tables.iter().map(|name| dump(&bank, name)).collect();
    let changes = changed(&bank, 1, tables, statements).await;
    assert_eq!(lines(&changes), expected);
    let undone = undo(&bank, 1, &changes).await;
    assert_eq!(undone.conflicts, []);
    assert_eq!(undone.rows as usize, changes.row_count());
    let after: Vec<_> = tables.iter().map(|name| dump(&bank, name)).collect();
    assert_eq!(after, before);
    changes
}

const ACCOUNTS: &str = "
    CREATE TABLE accounts (id text PRIMARY KEY, status text, balance bigint);
    INSERT INTO accounts VALUES ('A', 'active', 9007199254740993), ('B', 'active', 2), ('C', 'active', 3);";

#[tokio::test]
async fn inserts_updates_and_deletes_are_told_with_their_rows() {
    let changes = check(
        ACCOUNTS,
        &["accounts"],
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
        (table.key_columns.join(","), table.columns.join(",")),
        ("id".into(), "id,status,balance".into())
    );
    let text = |text: &str| SqlValue::Text(text.into());
    let row = |status: &str| vec![text("A"), text(status), SqlValue::Integer(9_007_199_254_740_993)];
    let expected = RowChange::Update { key: vec![text("A")], before: row("active"), after: row("blocked") };
    assert_eq!(table.rows[0], expected);
}

#[tokio::test]
async fn what_comes_to_nothing_is_not_told_and_keys_that_change_are_two_rows() {
    check(
        ACCOUNTS,
        &["accounts"],
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
    check(
        ACCOUNTS,
        &["accounts"],
        &["UPDATE accounts SET id = 'a' WHERE id = 'A'"],
        &["accounts delete A", "accounts insert a"],
    )
    .await;
    check(
        "CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, n text); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');",
        &["t"],
        &["UPDATE t SET id = -id", "UPDATE t SET id = 4 + id"],
        &["t update 1", "t update 3"],
    )
    .await;
}

#[tokio::test]
async fn every_type_is_put_back_exactly() {
    let schema = "
        CREATE TYPE mood AS ENUM ('glad', 'sad');
        CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, f double precision, n numeric, b bytea, j json, jb jsonb,
            at timestamptz, ts timestamp, d date, iv interval, u uuid, m mood, xs int[], ip inet, c char(5), g int GENERATED ALWAYS AS (id + 1) STORED,
            \"odd \"\"name\" text, r int4range, x xml, bits bit(3));
        INSERT INTO t (f, n, b, j, jb, at, ts, d, iv, u, m, xs, ip, c, \"odd \"\"name\", r, x, bits) VALUES
            ('-0', 'NaN', '\\x00ff', '{\"b\" : 1, \"b\":2}', '{\"a\":1.50}', '294276-01-01', '2026-01-01', '0044-03-15 BC', '1 mon -1 day',
             '67e55044-10b1-426f-9247-bb680e5fe0c8', 'glad', '[2:3]={1,NULL}', '10.0.0.1/8', 'ab', 'q', '[1,5)', '<a/>', '101'),
            ('NaN', '12.500', NULL, NULL, NULL, 'infinity', '-infinity', 'infinity', NULL, NULL, NULL, '{}', NULL, NULL, NULL, 'empty', NULL, NULL),
            (1e-300, 1e30, '', '1', '\"x\"', '1969-12-31 23:59:59.999999', NULL, NULL, NULL, NULL, 'sad', '{{1,2},{3,4}}', NULL, '', '', NULL, NULL, NULL);";
    let change = "UPDATE t SET f = 1, n = 2, b = '\\x01', j = '[]', jb = '[]', at = now(), ts = NULL, d = NULL, iv = '1 day', u = NULL, m = 'sad',
        xs = '{9}', ip = NULL, c = 'zz', \"odd \"\"name\" = 'z', r = NULL, x = NULL, bits = NULL WHERE id < 3";
    check(
        schema,
        &["t"],
        &[change, "DELETE FROM t WHERE id = 3"],
        &["t update 1", "t update 2", "t delete 3"],
    )
    .await;
    // A value that is no number is the same as itself.
    check(schema, &["t"], &["UPDATE t SET f = f, n = n WHERE id = 2"], &[]).await;
}

#[tokio::test]
async fn what_triggers_and_foreign_keys_do_is_told_and_undone() {
    let schema = "
        CREATE TABLE orders (id int PRIMARY KEY, amount int NOT NULL, state text);
        CREATE TABLE totals (one int PRIMARY KEY, amount int, changes int);
        CREATE TABLE lines (id int PRIMARY KEY, of int REFERENCES orders ON DELETE CASCADE);
        CREATE TABLE notes (id int PRIMARY KEY, about int REFERENCES lines ON DELETE SET NULL);
        INSERT INTO totals VALUES (1, 10, 0);
        INSERT INTO orders VALUES (1, 10, 'old');
        INSERT INTO lines VALUES (1, 1), (2, 1);
        INSERT INTO notes VALUES (1, 2);
        CREATE FUNCTION tally() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
            UPDATE totals SET amount = amount + coalesce(NEW.amount, 0) - coalesce(OLD.amount, 0), changes = changes + 1;
            IF TG_OP = 'INSERT' THEN UPDATE orders SET state = 'counted' WHERE id = NEW.id; END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER a_first AFTER INSERT OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION tally();";
    let tables = ["orders", "totals", "lines", "notes"];
    let insert = "INSERT INTO orders (id, amount) VALUES (2, 5)";
    let changes = check(schema, &tables, &[insert], &["orders insert 2", "totals update 1"]).await;
    let RowChange::Insert { after, .. } = &changes.tables[0].rows[0] else { panic!("{changes:?}") };
    assert_eq!(
        after[2],
        SqlValue::Text("counted".into()),
        "the trigger's change came before ours in the log"
    );
    check(
        schema,
        &tables,
        &["DELETE FROM orders WHERE id = 1"],
        &["lines delete 1", "lines delete 2", "notes update 1", "orders delete 1", "totals update 1"],
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_before_it_commits() {
    let schema = "
        CREATE TABLE loose (a int); CREATE TABLE t (id int PRIMARY KEY);
        CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE hidden (id int PRIMARY KEY);
        CREATE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO hidden VALUES (NEW.id); RETURN NULL; END $$;
        CREATE TRIGGER spill AFTER INSERT ON t FOR EACH ROW WHEN (NEW.id > 10) EXECUTE FUNCTION spill();";
    let tables = ["loose", "t", "parts"];
    let bank = bank(schema, &tables).await;
    let all = access(&tables, &tables);
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    for (sql, why) in [
        ("INSERT INTO loose VALUES (1)", "table `loose` has no primary key"),
        ("INSERT INTO parts VALUES (1)", "table `parts` is partitioned"),
    ] {
        let refused = transaction.execute(&statement(sql, &[]), &all).await;
        assert!(matches!(&refused, Err(DbError::Invalid(said)) if said.starts_with(why)), "{refused:?}");
    }
    assert!(transaction.changes(ChangeLimits::default()).await.unwrap().is_empty());
    transaction.execute(&statement("INSERT INTO t VALUES (11)", &[]), &all).await.unwrap();
    let spilt = transaction.changes(ChangeLimits::default()).await;
    assert!(
        matches!(&spilt, Err(DbError::Invalid(said)) if said.starts_with("table `hidden` has no trigger")),
        "{spilt:?}"
    );
    transaction.rollback().await;
    let names = ["loose", "t", "hidden", "nothing"].map(str::to_owned);
    let found = bank.db.uncapturable(&names).await.unwrap();
    assert_eq!(found.iter().map(|it| it.table.as_str()).collect::<Vec<_>>(), ["loose", "hidden"]);
}

#[tokio::test]
async fn a_failed_statement_is_not_told_and_nothing_is_kept_where_nobody_asked() {
    let bank = bank(ACCOUNTS, &["accounts"]).await;
    let all = access(&["accounts"], &["accounts"]);
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    let twice = statement("INSERT INTO accounts VALUES ('D', 'x', 1), ('A', 'x', 1)", &[]);
    assert!(matches!(transaction.execute(&twice, &all).await, Err(DbError::Constraint(_))));
    let update = statement("UPDATE accounts SET status = 'b' WHERE id = 'A'", &[]);
    transaction.execute(&update, &all).await.unwrap();
    assert_eq!(lines(&transaction.changes(ChangeLimits::default()).await.unwrap()), ["accounts update A"]);
    let rows = ChangeLimits { rows: 0, ..ChangeLimits::default() };
    assert!(matches!(transaction.changes(rows).await, Err(DbError::Limit(_))));
    let bytes = ChangeLimits { bytes: 10, ..ChangeLimits::default() };
    assert!(matches!(transaction.changes(bytes).await, Err(DbError::Limit(_))));
    // What was asked for can be asked for again.
    assert_eq!(transaction.changes(ChangeLimits::default()).await.unwrap().row_count(), 1);
    transaction.rollback().await;
    let mut transaction = begin(&bank.db, 2, Capture::Off).await;
    transaction.execute(&update, &all).await.unwrap();
    assert!(matches!(transaction.changes(ChangeLimits::default()).await, Err(DbError::Invalid(_))));
    transaction.commit().await.unwrap();
    assert_eq!(bank.pg.sql("SELECT count(*) FROM wflo_changes"), "0");
}

#[tokio::test]
async fn a_row_that_somebody_changed_since_is_left_and_reported() {
    let bank = bank(ACCOUNTS, &["accounts"]).await;
    let statements = [
        "UPDATE accounts SET status = 'blocked'",
        "INSERT INTO accounts VALUES ('D', 'x', 1), ('E', 'x', 1)",
    ];
    let changes = changed(&bank, 1, &["accounts"], &statements).await;
    bank.pg.sql(
        "UPDATE accounts SET status = 'closed' WHERE id = 'B'; UPDATE accounts SET balance = 2 WHERE id = 'D';
         DELETE FROM accounts WHERE id = 'E'",
    );
    let undone = undo(&bank, 1, &changes).await;
    let text = |text: &str| SqlValue::Text(text.into());
    let conflicts: Vec<_> = undone.conflicts.iter().map(|it| (&it.key[0], &it.reason)).collect();
    assert_eq!(conflicts, [(&text("B"), &ConflictReason::Changed), (&text("D"), &ConflictReason::Changed)]);
    let status = |row: &Option<Vec<SqlValue>>| row.as_ref().unwrap()[1].clone();
    let b = &undone.conflicts[0];
    assert_eq!(
        [status(&b.expected), status(&b.found), status(&b.wanted)],
        ["blocked", "closed", "active"].map(text)
    );
    // A, C and E are as they were: E is gone, whoever did it.
    assert_eq!(undone.rows, 3);
    let left = bank.pg.sql("SELECT string_agg(id || ' ' || status, ',' ORDER BY id) FROM accounts");
    assert_eq!(left, "A active,B closed,C active,D x");
}

#[tokio::test]
async fn no_row_of_others_changes_with_a_row_that_is_put_back() {
    let schema = "
        CREATE TABLE p (id int PRIMARY KEY, u text UNIQUE);
        CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);
        CREATE TABLE self (id int PRIMARY KEY, boss int REFERENCES self);
        INSERT INTO p VALUES (1, 'one'), (2, 'two');
        INSERT INTO c VALUES (20, 2);";
    let tables = ["p", "c", "self"];
    let bank = bank(schema, &tables).await;
    let changes = changed(
        &bank,
        1,
        &tables,
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
    bank.pg.sql("INSERT INTO c VALUES (31, 4); INSERT INTO p VALUES (5, 'one')");
    let undone = undo(&bank, 1, &changes).await;
    let reasons: Vec<_> =
        undone.conflicts.iter().map(|it| format!("{} {}: {}", it.table, it.key[0], it.reason)).collect();
    let unique = "p 1: duplicate key value violates unique constraint \"p_u_key\"";
    assert_eq!(reasons, ["p 4: rows of `c` refer to it", unique]);
    let ids =
        |table: &str| bank.pg.sql(&format!("SELECT string_agg(id::text, ',' ORDER BY id) FROM {table}"));
    assert_eq!([ids("p"), ids("c"), ids("self")], ["1,2,4,5", "20,31", ""]);
}

#[tokio::test]
async fn a_table_of_another_form_is_left() {
    let bank = bank_for(ACCOUNTS, &access(&["accounts"], &["accounts"]), PostgresOptions::default()).await;
    let changes = changed(&bank, 1, &["accounts"], &["DELETE FROM accounts WHERE id = 'A'"]).await;
    bank.pg.sql("ALTER TABLE accounts DROP COLUMN balance");
    let undone = undo(&bank, 1, &changes).await;
    assert!(
        matches!(&undone.conflicts[0].reason, ConflictReason::Schema { message } if message.contains("`balance`"))
    );
    assert_eq!(bank.pg.sql("SELECT count(*) FROM accounts"), "2");
}

#[tokio::test]
async fn a_row_whose_values_fit_no_more_is_left_and_the_others_are_undone() {
    let schema = "
        CREATE TABLE t (id int PRIMARY KEY, n int, said text);
        INSERT INTO t VALUES (1, 100000, 'a'), (2, 5, 'b'), (3, 7, 'long'), (4, 8, 'd');";
    let bank = bank(schema, &["t"]).await;
    let changes = changed(&bank, 1, &["t"], &["UPDATE t SET n = 1, said = 'x'"]).await;
    bank.pg.sql("ALTER TABLE t ALTER n TYPE smallint, ALTER said TYPE varchar(3)");
    let undone = undo(&bank, 1, &changes).await;
    let left: Vec<_> = undone.conflicts.iter().map(|it| format!("{}: {}", it.key[0], it.reason)).collect();
    let unfit = "1: a value is none of its type, or out of its range (22003)";
    assert_eq!(left, [unfit, "3: value too long for type character varying(3)"]);
    assert_eq!(
        bank.pg.sql("SELECT string_agg(t::text, ' ' ORDER BY id) FROM t"),
        "(1,1,x) (2,5,b) (3,1,x) (4,8,d)"
    );
}
