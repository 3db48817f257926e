//! Undoing rows on PostgreSQL that can be put back only together.

use proptest::test_runner::{Config, TestRunner};
use wflo_ports::{Capture, ChangeLimits, DbError};

use crate::alone_model::{KEPT, ROWS, TABLES, statements};
use crate::postgres::{Bank, bank, begin};
use crate::postgres_changes::{changed, check, dump, undo};
use crate::sqlite::{access, statement};

/// Undoes statements after somebody else has written something, and gives the conflicts, a line a row.
async fn left(bank: &Bank, tables: &[&str], statements: &[&str], since: &str) -> Vec<String> {
    let changes = changed(bank, 1, tables, statements).await;
    bank.pg.sql(since);
    let undone = undo(bank, 1, &changes).await;
    assert_eq!(undone.rows as usize + undone.conflicts.len(), changes.row_count());
    undone.conflicts.iter().map(|it| format!("{} {}: {}", it.table, it.key[0], it.reason)).collect()
}

const NAMES: &str = "
    CREATE TABLE u (id int PRIMARY KEY, v text UNIQUE NOT NULL);
    CREATE TABLE c (id int PRIMARY KEY, u int NOT NULL REFERENCES u ON DELETE CASCADE ON UPDATE CASCADE);
    INSERT INTO u VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e');
    INSERT INTO c VALUES (10, 1), (20, 2);";

const SWAP: [&str; 3] = [
    "UPDATE u SET v = 'tmp' WHERE id = 1",
    "UPDATE u SET v = 'a' WHERE id = 2",
    "UPDATE u SET v = 'b' WHERE id = 1",
];

#[tokio::test]
async fn rows_that_exchanged_a_unique_value_are_put_back() {
    check(NAMES, &["u", "c"], &SWAP, &["u update 1", "u update 2"]).await;
    let around = ["UPDATE u SET v = 'tmp' || v", "UPDATE u SET v = substr('eabcd', id, 1)"];
    let all = ["u update 1", "u update 2", "u update 3", "u update 4", "u update 5"];
    check(NAMES, &["u", "c"], &around, &all).await;
    // What stands in for a moment looks like what it stands for.
    let checked = "
        CREATE TABLE t (id int PRIMARY KEY, pos smallint UNIQUE NOT NULL CHECK (pos > 0), day date UNIQUE NOT NULL, uid uuid UNIQUE NOT NULL,
            code text UNIQUE NOT NULL CHECK (code ~ '^[A-Z]{2}-[0-9]{3}$'), price numeric(8,2) UNIQUE NOT NULL, at timestamptz UNIQUE NOT NULL);
        INSERT INTO t SELECT n, n, date '2026-01-01' + n, ('00000000-0000-0000-0000-00000000000' || n)::uuid, 'AB-00' || n, n + 0.5, timestamptz '2026-01-01 0:00Z' + n * interval '1 day'
            FROM generate_series(1, 3) n;";
    let moved = [
        "DELETE FROM t",
        "INSERT INTO t SELECT n, n % 3 + 1, date '2026-01-01' + (n + 1) % 3 + 1, ('00000000-0000-0000-0000-00000000000' || n % 3 + 1)::uuid, 'AB-00' || (n + 1) % 3 + 1,
            n % 3 + 1.5, timestamptz '2026-01-01 0:00Z' + (n % 3 + 1) * interval '1 day' FROM generate_series(1, 3) n",
    ];
    check(checked, &["t"], &moved, &["t update 1", "t update 2", "t update 3"]).await;
}

#[tokio::test]
async fn so_are_composite_partial_deferrable_and_computed_ones() {
    let statements = ["UPDATE t SET v = -v", "UPDATE t SET v = (v + 2) % 3 + 1"];
    for unique in [
        "CREATE UNIQUE INDEX ON t (list, v)",
        "CREATE UNIQUE INDEX ON t (v) WHERE list IS NOT NULL",
        "CREATE UNIQUE INDEX ON t ((v * 2))",
        "CREATE UNIQUE INDEX ON t (g)",
        "ALTER TABLE t ADD UNIQUE (v) DEFERRABLE",
        "ALTER TABLE t ADD UNIQUE (v) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE t ADD EXCLUDE USING btree (v WITH =)",
        "CREATE UNIQUE INDEX ON t (v); CREATE UNIQUE INDEX ON t (v) INCLUDE (list)",
    ] {
        let schema = format!(
            "CREATE TABLE t (id int PRIMARY KEY, list text NOT NULL, v int NOT NULL, g int GENERATED ALWAYS AS (v * 2) STORED);
             {unique}; INSERT INTO t VALUES (1, 'l', 1), (2, 'l', 2), (3, 'l', 3);"
        );
        check(&schema, &["t"], &statements, &["t update 1", "t update 2", "t update 3"]).await;
    }
    let lower = "CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL); CREATE UNIQUE INDEX ON t (lower(v)); INSERT INTO t VALUES (1, 'A'), (2, 'b');";
    let swap = [
        "UPDATE t SET v = 'c' WHERE id = 1",
        "UPDATE t SET v = 'a' WHERE id = 2",
        "UPDATE t SET v = 'B' WHERE id = 1",
    ];
    check(lower, &["t"], &swap, &["t update 1", "t update 2"]).await;
    let ranges = "CREATE TABLE t (id int PRIMARY KEY, v int4range NOT NULL, EXCLUDE USING gist (v WITH &&)); INSERT INTO t VALUES (1, '[1,5)'), (2, '[5,9)');";
    let swap = [
        "UPDATE t SET v = '[91,95)' WHERE id = 1",
        "UPDATE t SET v = '[2,4)' WHERE id = 2",
        "UPDATE t SET v = '[6,7)' WHERE id = 1",
    ];
    check(ranges, &["t"], &swap, &["t update 1", "t update 2"]).await;
}

#[tokio::test]
async fn only_those_that_depend_on_what_somebody_else_holds_are_left() {
    let bank = bank(NAMES, &["u", "c"]).await;
    // 1 and 2 exchange; 3, 4 and 5 go around, and what 5 had is given to somebody else.
    let statements = ["UPDATE u SET v = 'tmp' || v", "UPDATE u SET v = substr('bafcd', id, 1)"];
    let conflicts = left(&bank, &["u"], &statements, "INSERT INTO u VALUES (6, 'e')").await;
    let taken = |id: i64| format!("u {id}: duplicate key value violates unique constraint \"u_v_key\"");
    assert_eq!(conflicts, [taken(3), taken(4), taken(5)]);
    assert_eq!(bank.pg.sql("SELECT string_agg(id || v, ',' ORDER BY id) FROM u"), "1a,2b,3f,4c,5d,6e");
    assert_eq!(bank.pg.sql("SELECT count(*) FROM c"), "2");
}

#[tokio::test]
async fn triggers_of_the_owner_see_one_row_of_a_circle_parked() {
    let schema = "
        CREATE TABLE u (id int PRIMARY KEY, v text UNIQUE NOT NULL);
        CREATE TABLE log (id int, v text);
        INSERT INTO u VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
            INSERT INTO log VALUES (NEW.id, NEW.v);
            RETURN NULL;
        END $$;
        CREATE TRIGGER note AFTER UPDATE ON u FOR EACH ROW EXECUTE FUNCTION note();";
    let bank = bank(schema, &["u"]).await;
    let statements = ["UPDATE u SET v = 'tmp' || v", "UPDATE u SET v = substr('dabc', id, 1)"];
    bank.pg.sql("ALTER TABLE u DISABLE TRIGGER note");
    let changes = changed(&bank, 1, &["u"], &statements).await;
    bank.pg.sql("ALTER TABLE u ENABLE TRIGGER note");
    assert_eq!(undo(&bank, 1, &changes).await.conflicts, []);
    assert_eq!(bank.pg.sql("SELECT string_agg(id || v, ',' ORDER BY id) FROM u"), "1a,2b,3c,4d");
    let seen =
        "SELECT string_agg(n, ',' ORDER BY n) FROM (SELECT id || v AS n FROM log ORDER BY ctid OFFSET 1) x";
    assert_eq!(bank.pg.sql(seen), "1a,2b,3c,4d");
}

#[tokio::test]
async fn natural_keys_are_exchanged_with_those_who_refer_to_them() {
    let schema = "
        CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE NOT NULL);
        CREATE TABLE c (id int PRIMARY KEY, code text NOT NULL REFERENCES p (code) ON UPDATE CASCADE ON DELETE CASCADE);
        INSERT INTO p VALUES (1, 'a'), (2, 'b');
        INSERT INTO c VALUES (10, 'a'), (20, 'b');";
    let swap = [
        "UPDATE p SET code = 'tmp' WHERE id = 1",
        "UPDATE p SET code = 'a' WHERE id = 2",
        "UPDATE p SET code = 'b' WHERE id = 1",
    ];
    let all = ["c update 10", "c update 20", "p update 1", "p update 2"];
    check(schema, &["c", "p"], &swap, &all).await;
    // A row of somebody else stays with the row that it refers to.
    let bank = bank(schema, &["c", "p"]).await;
    let conflicts = left(&bank, &["p", "c"], &swap, "INSERT INTO c VALUES (11, 'b')").await;
    assert!(conflicts.iter().any(|it| it.starts_with("p 1: ")), "{conflicts:?}");
    assert_eq!(bank.pg.sql("SELECT p.id || c.code FROM c JOIN p USING (code) WHERE c.id = 11"), "1b");
}

#[tokio::test]
async fn where_nothing_can_stand_in_the_rows_are_left_as_they_are() {
    let schema = "
        CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE NOT NULL CHECK (v IN ('a', 'b', 'c')), n int NOT NULL);
        INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3);";
    let bank = bank(schema, &["t"]).await;
    let statements = ["DELETE FROM t", "INSERT INTO t VALUES (1, 'b', 7), (2, 'a', 8), (3, 'c', 9)"];
    let conflicts = left(&bank, &["t"], &statements, "SELECT 1").await;
    let taken = |id: i64| format!("t {id}: duplicate key value violates unique constraint \"t_v_key\"");
    assert_eq!(conflicts, [taken(1), taken(2)]);
    assert_eq!(bank.pg.sql("SELECT string_agg(t::text, ' ' ORDER BY id) FROM t"), "(1,b,7) (2,a,8) (3,c,3)");
}

const ORDERS: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, last_event int);
    CREATE TABLE events (id int PRIMARY KEY, of int NOT NULL REFERENCES orders ON DELETE CASCADE);
    ALTER TABLE orders ADD FOREIGN KEY (last_event) REFERENCES events;
    CREATE TABLE notes (id int PRIMARY KEY, about int REFERENCES events ON DELETE CASCADE);
    INSERT INTO orders VALUES (1, NULL); INSERT INTO events VALUES (1, 1), (2, 1); UPDATE orders SET last_event = 2;";

#[tokio::test]
async fn rows_that_refer_to_each_other_come_and_go_together() {
    let tables = ["events", "orders", "notes"];
    let come = [
        "INSERT INTO orders VALUES (7, NULL)",
        "INSERT INTO events VALUES (70, 7), (71, 7)",
        "UPDATE orders SET last_event = 71 WHERE id = 7",
    ];
    let go = ["UPDATE orders SET last_event = NULL", "DELETE FROM events", "DELETE FROM orders"];
    let never_null = ORDERS.to_owned() + "ALTER TABLE orders ALTER last_event SET NOT NULL;";
    let restricted = ORDERS.replace("ON DELETE CASCADE", "ON DELETE RESTRICT");
    let nulled = ORDERS.replace("ON DELETE CASCADE", "ON DELETE SET NULL");
    for schema in [ORDERS, &restricted, &nulled] {
        check(schema, &tables, &come, &["events insert 70", "events insert 71", "orders insert 7"]).await;
        check(schema, &tables, &go, &["events delete 1", "events delete 2", "orders delete 1"]).await;
    }
    // It refers to another event first, so that nothing can be null for a moment.
    let come = [
        "INSERT INTO orders VALUES (7, 1)",
        "INSERT INTO events VALUES (70, 7), (71, 7)",
        "UPDATE orders SET last_event = 71 WHERE id = 7",
    ];
    check(&never_null, &tables, &come, &["events insert 70", "events insert 71", "orders insert 7"]).await;
    let deferred = "
        CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL);
        CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a DEFERRABLE INITIALLY DEFERRED);
        ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED;
        BEGIN; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); COMMIT;";
    let come = ["INSERT INTO a VALUES (2, 2)", "INSERT INTO b VALUES (2, 2)"];
    check(deferred, &["a", "b"], &come, &["a insert 2", "b insert 2"]).await;
    check(deferred, &["a", "b"], &["DELETE FROM a", "DELETE FROM b"], &["a delete 1", "b delete 1"]).await;
}

#[tokio::test]
async fn whoever_is_referred_to_by_somebody_else_stays_with_those_it_needs() {
    let come = [
        "INSERT INTO orders VALUES (7, NULL), (8, NULL)",
        "INSERT INTO events VALUES (70, 7), (71, 7), (80, 8)",
        "UPDATE orders SET last_event = 71 WHERE id = 7",
        "UPDATE orders SET last_event = 80 WHERE id = 8",
    ];
    let tables = ["orders", "events", "notes"];
    let bank = bank(ORDERS, &tables).await;
    let conflicts = left(&bank, &tables, &come, "INSERT INTO notes VALUES (1, 71)").await;
    // Each is the first that holds it.
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
    assert!(conflicts[0].starts_with("events 71: rows of `"), "{conflicts:?}");
    assert_eq!(conflicts[1], "orders 7: rows of `events` refer to it");
    assert_eq!(
        bank.pg.sql("SELECT string_agg(id || ' ' || of, ',' ORDER BY id) FROM events"),
        "1 1,2 1,71 7"
    );
    assert_eq!(bank.pg.sql("SELECT count(*) FROM notes"), "1");
}

#[tokio::test]
async fn a_row_that_waits_for_a_value_lets_go_of_the_row_that_has_it() {
    let schema = "
        CREATE TABLE d (id int PRIMARY KEY, v text NOT NULL UNIQUE, of int REFERENCES d ON DELETE SET NULL);
        INSERT INTO d VALUES (1, 'x', NULL);";
    let statements = [
        "UPDATE d SET v = 'y' WHERE id = 1",
        "INSERT INTO d VALUES (2, 'x', NULL)",
        "UPDATE d SET of = 2 WHERE id = 1",
    ];
    check(schema, &["d"], &statements, &["d update 1", "d insert 2"]).await;
    // One that stays as it is holds both.
    let bank = bank(schema, &["d"]).await;
    let conflicts = left(&bank, &["d"], &statements, "INSERT INTO d VALUES (3, 'z', 2)").await;
    assert_eq!(conflicts.len(), 2, "{conflicts:?}");
    assert_eq!(bank.pg.sql("SELECT string_agg(d::text, ' ' ORDER BY id) FROM d"), "(1,y,2) (2,x,) (3,z,2)");
}

#[tokio::test]
async fn thousands_of_rows_that_moved_are_put_back_and_none_keeps_what_stood_in() {
    let schema = "CREATE TABLE t (id int PRIMARY KEY, pos int UNIQUE NOT NULL); INSERT INTO t SELECT n, n FROM generate_series(1, 3000) n;";
    let bank = bank(schema, &["t"]).await;
    let before = dump(&bank, "t");
    let down = ["UPDATE t SET pos = -pos", "UPDATE t SET pos = -pos - 1"];
    assert_eq!(left(&bank, &["t"], &down, "SELECT 1").await, Vec::<String>::new());
    assert_eq!(dump(&bank, "t"), before);
    let around = ["UPDATE t SET pos = -pos", "UPDATE t SET pos = (7 - pos * 7) % 3001 + 1 WHERE pos < 0"];
    let changes = changed(&bank, 2, &["t"], &around).await;
    let undone = undo(&bank, 2, &changes).await;
    assert_eq!((undone.conflicts, undone.rows as usize), (Vec::new(), changes.row_count()));
    assert_eq!(dump(&bank, "t"), before);
}

#[test]
fn whatever_a_step_did_alone_is_undone() {
    let a = TABLES[0].replace("{up}", " REFERENCES a ON DELETE SET NULL").replace("{b}", "");
    let b = TABLES[1];
    let schema =
        format!("{a} {b} {KEPT} ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b ON DELETE SET NULL; {ROWS}");
    let tables = ["a", "b", "kept"];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bank = runtime.block_on(bank(&schema, &tables));
    let before = tables.map(|table| dump(&bank, table));
    let config = Config { cases: 25, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let played = TestRunner::new(config).run(&statements(), |statements| {
        bank.pg.sql(&format!("TRUNCATE a, b, kept, wflo_effects; {ROWS}"));
        let (undone, changes) = runtime.block_on(async {
            let mut transaction = begin(&bank.db, 1, Capture::On).await;
            let access = access(&tables, &tables);
            for sql in &statements {
                let done = transaction.execute(&statement(sql, &[]), &access).await;
                assert!(matches!(done, Ok(_) | Err(DbError::Constraint(_))), "{sql}: {done:?}");
            }
            let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
            transaction.commit().await.unwrap();
            (undo(&bank, 1, &changes).await, changes)
        });
        assert_eq!(undone.conflicts, []);
        assert_eq!(undone.rows as usize, changes.row_count());
        assert_eq!(tables.map(|table| dump(&bank, table)), before);
        Ok(())
    });
    if let Err(failed) = played {
        panic!("{failed}");
    }
}
