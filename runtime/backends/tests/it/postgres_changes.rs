//! What a transaction changed on PostgreSQL, and undoing it.

use std::time::Duration;

use wflo_backends::db::postgres::{PostgresOptions, Preparation};
use wflo_model::{DbAccess, SqlValue, TableAccess};
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
        matches!(&spilt, Err(DbError::Invalid(said)) if said.contains("writes table `hidden`, which has no trigger")),
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

/// A trigger of the owner may set what the step may not, and all of it is put back.
#[tokio::test]
async fn a_column_that_a_trigger_sets_is_undone_where_others_are_granted() {
    let schema = "CREATE TABLE acc (id int PRIMARY KEY, bal int, touched int NOT NULL DEFAULT 0);
        INSERT INTO acc VALUES (1, 10);
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END';
        CREATE TRIGGER touch BEFORE UPDATE OF bal ON acc FOR EACH ROW EXECUTE FUNCTION touch();";
    let columns = |names: &[&str]| TableAccess::Columns(names.iter().map(|it| (*it).to_owned()).collect());
    let granted = DbAccess {
        read: [("acc".to_owned(), columns(&["id", "bal"]))].into(),
        write: [("acc".to_owned(), columns(&["bal"]))].into(),
        ..DbAccess::default()
    };
    let bank = bank_for(schema, &granted, PostgresOptions::default()).await;
    let (reads_as, writes_as) = bank.db.roles();
    let mut preparation = Preparation::new(reads_as, writes_as);
    preparation.grant(&granted);
    preparation.undo(&granted);
    preparation.run(&bank.pg.url("owner")).await.unwrap();
    assert_eq!(bank.db.walls(&preparation).await.unwrap(), []);
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    let denied = transaction.execute(&statement("UPDATE acc SET touched = 9", &[]), &granted).await;
    assert!(matches!(&denied, Err(DbError::Denied(why)) if why.contains("`touched`")), "{denied:?}");
    let update = statement("UPDATE acc SET bal = 11 WHERE id = 1", &[]);
    assert_eq!(transaction.execute(&update, &granted).await.unwrap().changed, 1);
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(dump(&bank, "acc"), "(1,11,1)");
    let undone = undo(&bank, 1, &changes).await;
    assert_eq!((undone.rows, undone.conflicts), (1, Vec::new()));
    assert_eq!(dump(&bank, "acc"), "(1,10,0)");
}

/// PostgreSQL tells `User` from `user`, and so do grants.
#[tokio::test]
async fn a_table_with_capitals_is_granted_by_its_name() {
    let schema =
        "CREATE TABLE \"User\" (id int PRIMARY KEY, \"Name\" text); INSERT INTO \"User\" VALUES (1, 'a');
        CREATE TABLE \"user\" (id int PRIMARY KEY, name text);";
    let columns = |names: &[&str]| TableAccess::Columns(names.iter().map(|it| (*it).to_owned()).collect());
    let granted = DbAccess {
        read: [("User".to_owned(), columns(&["id", "Name"]))].into(),
        write: [("User".to_owned(), columns(&["Name"]))].into(),
        ..DbAccess::default()
    };
    let bank = bank_for(schema, &granted, PostgresOptions::default()).await;
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    for (sql, says) in [
        (
            "UPDATE User SET \"Name\" = 'b'",
            "the step may not update table `user`; a grant would be `write = [\"user\"]`",
        ),
        ("UPDATE \"User\" SET name = 'b'", "the step may not update column `name` of table `User`"),
    ] {
        match transaction.execute(&statement(sql, &[]), &granted).await {
            Err(DbError::Denied(why)) => assert_eq!(why, says),
            other => panic!("{sql}: {other:?}"),
        }
    }
    let update = statement("UPDATE \"User\" SET \"Name\" = 'b' WHERE id = 1", &[]);
    assert_eq!(transaction.execute(&update, &granted).await.unwrap().changed, 1);
    let read = statement("SELECT * FROM \"User\"", &[]);
    let rows = transaction.query(&read, &granted, wflo_ports::QueryLimits::default()).await.unwrap();
    assert_eq!(rows.columns, ["Name", "id"]);
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(undo(&bank, 1, &changes).await.rows, 1);
    assert_eq!(dump(&bank, "\"User\""), "(1,a)");
}

/// The most memory that this process has had since it was last asked, in bytes.
#[cfg(target_os = "linux")]
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn changes_that_are_too_large_are_refused_before_they_are_in_memory() {
    let bank = bank("CREATE TABLE pages (id int PRIMARY KEY, text text);", &["pages"]).await;
    let all = access(&["pages"], &["pages"]);
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    let insert = "INSERT INTO pages SELECT g, lpad('x', 1000000) FROM generate_series(1, 300) AS g";
    transaction.execute(&statement(insert, &[]), &all).await.unwrap();
    most_memory();
    let before = most_memory();
    let refused = transaction.changes(ChangeLimits::default()).await;
    assert!(matches!(&refused, Err(DbError::Limit(why)) if why.contains("16777216 bytes")), "{refused:?}");
    // A query of the step is held to its limit just so.
    let query = statement("SELECT id, text FROM pages ORDER BY id", &[]);
    let limits = wflo_ports::QueryLimits { bytes: 1 << 20, ..Default::default() };
    let refused = transaction.query(&query, &all, limits).await;
    assert!(matches!(&refused, Err(DbError::Limit(_))), "{refused:?}");
    // In memory they would be twice 300 MB. Other tests of this process have some as well.
    let more = most_memory().saturating_sub(before);
    assert!(more < 300 << 20, "{more} bytes");
    // Without the rows of the beginning it is little enough, and nothing is left of what was refused.
    transaction.execute(&statement("DELETE FROM pages WHERE id > 10", &[]), &all).await.unwrap();
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    assert_eq!(changes.row_count(), 10);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_lock_of_another_program_is_waited_for_and_then_it_can_be_tried_again() {
    let both = access(&["accounts"], &["accounts"]);
    let options =
        PostgresOptions { statement_timeout: Duration::from_millis(1500), ..PostgresOptions::default() };
    let bank = bank_for(ACCOUNTS, &both, options).await;
    let update = statement("UPDATE accounts SET balance = 7 WHERE id = 'A'", &[]);
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    transaction.execute(&update, &both).await.unwrap();
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    transaction.commit().await.unwrap();
    // Whoever holds the rows: a transaction of another step.
    let mut holds = begin(&bank.db, 2, Capture::Off).await;
    let every = statement("UPDATE accounts SET status = 'held'", &[]);
    holds.execute(&every, &both).await.unwrap();
    let waited = |error: Option<DbError>| {
        assert!(
            matches!(&error, Some(DbError::Unavailable(why)) if why.contains("another program holds a lock") && why.contains("tried again")),
            "{error:?}"
        );
    };
    let mut waits = begin(&bank.db, 3, Capture::On).await;
    waited(waits.execute(&update, &both).await.err());
    waits.rollback().await;
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(1) };
    let Begun::Open(mut waits) = bank.db.begin(&marker, Capture::Off).await.unwrap() else { panic!() };
    waited(waits.undo(&changes).await.err());
    waits.rollback().await;
    holds.rollback().await;
    let Begun::Open(mut again) = bank.db.begin(&marker, Capture::Off).await.unwrap() else { panic!() };
    assert_eq!(again.undo(&changes).await.unwrap().rows, 1);
    again.commit().await.unwrap();
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
