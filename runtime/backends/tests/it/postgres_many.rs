//! Undoing thousands of rows on PostgreSQL, of which some cannot be put back.

use crate::postgres::bank;
use crate::postgres_changes::{changed, check, dump, undo};

const ROWS: &str = "
    CREATE TABLE t (id int, n int NOT NULL, said text NOT NULL);
    INSERT INTO t SELECT n, n, 'row ' || n FROM generate_series(1, 20000) n;";

#[tokio::test]
async fn thousands_of_rows_are_put_back() {
    for key in ["id", "said, id"] {
        let bank = bank(&format!("{ROWS} ALTER TABLE t ADD PRIMARY KEY ({key})"), &["t"]).await;
        let before = dump(&bank, "t");
        let statements = ["UPDATE t SET n = n + 1 WHERE id <= 10000", "DELETE FROM t WHERE id > 15000"];
        let changes = changed(&bank, 1, &["t"], &statements).await;
        let undone = undo(&bank, 1, &changes).await;
        assert_eq!((undone.rows, undone.conflicts), (15_000, vec![]));
        assert_eq!(dump(&bank, "t"), before);
    }
}

#[tokio::test]
async fn one_that_is_in_the_way_holds_back_none_but_itself() {
    let schema = "
        CREATE TABLE p (id int PRIMARY KEY, n int NOT NULL);
        CREATE TABLE c (id int PRIMARY KEY, p int NOT NULL REFERENCES p ON DELETE CASCADE);
        INSERT INTO p SELECT n, n * 30 FROM generate_series(1, 1000) n;
        CREATE FUNCTION mind() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'DELETE' THEN IF OLD.id = 2500 THEN RETURN NULL; END IF; RETURN OLD; END IF;
            IF OLD.id = 500 AND NEW.n > 1 THEN RAISE 'not this one'; END IF; RETURN NEW;
        END $$;
        CREATE TRIGGER mind BEFORE UPDATE OR DELETE ON p FOR EACH ROW EXECUTE FUNCTION mind();";
    let bank = bank(schema, &["p", "c"]).await;
    let statements = [
        "UPDATE p SET n = 1",
        "INSERT INTO p SELECT n, n FROM generate_series(2001, 4000) n",
        "INSERT INTO c SELECT n, n FROM generate_series(2001, 4000) n",
    ];
    let changes = changed(&bank, 1, &["p", "c"], &statements).await;
    bank.pg.sql(
        "INSERT INTO c VALUES (9001, 2001), (9002, 3000), (9003, 3001), (9004, 4000);
         UPDATE p SET n = 7 WHERE id IN (1, 700); DELETE FROM p WHERE id = 999; UPDATE c SET p = 2300 WHERE id = 2301;
         ALTER TABLE p ADD CHECK (id <> 600 OR n <> 18000)",
    );
    let left = bank.pg.sql(
        "SELECT string_agg(p::text, ' ' ORDER BY id) FROM p WHERE id IN (1, 500, 600, 700, 2001, 2500, 3000)",
    );
    let undone = undo(&bank, 1, &changes).await;
    assert_eq!(undone.rows as usize + undone.conflicts.len(), changes.row_count());
    let mut conflicts: Vec<_> =
        undone.conflicts.iter().map(|it| format!("{} {}: {}", it.table, it.key[0], it.reason)).collect();
    conflicts.sort();
    let refer = |id: i32| format!("p {id}: rows of `c` refer to it");
    let mut expected = vec![
        "c 2301: it has changed since".to_owned(),
        "p 1: it has changed since".into(),
        "p 700: it has changed since".into(),
        "p 999: it has changed since".into(),
        "p 500: not this one".into(),
        "p 600: new row for relation \"p\" violates check constraint \"p_check\"".into(),
        "p 2500: a trigger of the database changes it again".into(),
        refer(2001),
        refer(2300),
        refer(3000),
        refer(3001),
        refer(4000),
    ];
    expected.sort();
    assert_eq!(conflicts, expected);
    assert_eq!(bank.pg.sql("SELECT string_agg(p::text, ' ' ORDER BY id) FROM p WHERE id IN (1, 500, 600, 700, 2001, 2500, 3000)"), left);
    assert_eq!(
        bank.pg.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM p WHERE id > 1000"),
        "2001 2300 2500 3000 3001 4000"
    );
    assert_eq!(
        bank.pg.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM c"),
        "2301 9001 9002 9003 9004"
    );
    assert_eq!(bank.pg.sql("SELECT count(*) FROM p WHERE n = id * 30"), "995");
}

#[tokio::test]
async fn a_key_that_fits_no_more_is_left_and_those_that_are_looked_for_with_it_are_not() {
    let schema = "
        CREATE TABLE t (id int, of int, n int, PRIMARY KEY (of, id));
        INSERT INTO t SELECT CASE n WHEN 70 THEN 70000 ELSE n END, 1, n FROM generate_series(1, 700) n;";
    let told: Vec<String> =
        (1..=700).filter(|n| *n != 70).chain([70000]).map(|n| format!("t delete 1,{n}")).collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let changes = check(schema, &["t"], &["DELETE FROM t"], &told).await;
    let bank = bank(&schema.replace("70000", "70"), &["t"]).await;
    bank.pg.sql("DELETE FROM t; ALTER TABLE t ALTER id TYPE smallint");
    let undone = undo(&bank, 1, &changes).await;
    let left: Vec<_> = undone.conflicts.iter().map(|it| format!("{}: {}", it.key[1], it.reason)).collect();
    assert_eq!(left, ["70000: a value is none of its type, or out of its range (22003)"]);
    assert_eq!(bank.pg.sql("SELECT count(*) FROM t"), "699");
}

#[tokio::test]
async fn where_none_can_be_put_back_all_are_left() {
    let bank = bank(&format!("{ROWS} ALTER TABLE t ADD PRIMARY KEY (id)"), &["t"]).await;
    let changes = changed(&bank, 1, &["t"], &["UPDATE t SET n = -n WHERE id <= 2000"]).await;
    bank.pg.sql("ALTER TABLE t ADD CHECK (id > 2000 OR n < 0)");
    let before = dump(&bank, "t");
    let undone = undo(&bank, 1, &changes).await;
    assert_eq!((undone.rows, undone.conflicts.len()), (0, 2000));
    assert_eq!(dump(&bank, "t"), before);
}
