//! Keys that change while foreign keys act and the owner's triggers write: the change set is what the two states of the
//! database differ in, whatever order SQLite did things in, and undoing it leaves what was there.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use wflo_backends::db::sqlite::SqliteOptions;
use wflo_model::{ChangeSet, SqlValue};
use wflo_ports::{ChangeLimits, DbError};

use crate::sqlite::{Bank, access, bank, statement};
use crate::sqlite_changes::{capturing, check, undo};

#[tokio::test]
async fn a_trigger_that_meets_a_row_under_its_new_key_does_not_make_it_an_old_one() {
    // The cascade comes before the triggers after the update, ours among them.
    let schema = "
        CREATE TABLE dept (id INT PRIMARY KEY, name TEXT NOT NULL, total INT DEFAULT 0);
        CREATE TABLE emp (id INT PRIMARY KEY, dept INT NOT NULL REFERENCES dept ON UPDATE CASCADE, salary INT DEFAULT 5);
        INSERT INTO dept VALUES (1, 'A', 5), (3, 'C', 5);
        INSERT INTO emp (id, dept) VALUES (1, 1), (4, 3);
        CREATE TRIGGER moved AFTER UPDATE OF dept ON emp BEGIN
            UPDATE dept SET total = total - OLD.salary WHERE id = OLD.dept;
            UPDATE dept SET total = total + NEW.salary WHERE id = NEW.dept;
        END;";
    let expected = ["dept delete 3", "dept insert 6", "emp update 4"];
    let changes = check(schema, &["UPDATE dept SET id = 6 WHERE id = 3"], &expected).await;
    let total = |at: usize| {
        changes.tables[0].rows[at].after().or(changes.tables[0].rows[at].before()).unwrap()[2].clone()
    };
    assert_eq!((total(0), total(1)), (SqlValue::Integer(5), SqlValue::Integer(10)));
}

#[tokio::test]
async fn a_null_that_becomes_the_default_is_the_key_it_becomes() {
    let schema = "
        CREATE TABLE t (id INT NOT NULL DEFAULT 7 PRIMARY KEY, slot TEXT NOT NULL DEFAULT 'free' UNIQUE, n INT);
        INSERT INTO t VALUES (1, 'a', 1), (2, 'free', 2), (7, 'c', 3);";
    for (sql, expected) in [
        ("UPDATE OR REPLACE t SET id = NULL WHERE id = 1", &["t delete 1", "t update 7"][..]),
        ("UPDATE OR REPLACE t SET slot = NULL WHERE id = 1", &["t update 1", "t delete 2"]),
        ("INSERT OR REPLACE INTO t VALUES (NULL, 'a', 9)", &["t delete 1", "t update 7"]),
        ("INSERT OR REPLACE INTO t VALUES (9, NULL, 9)", &["t delete 2", "t insert 9"]),
    ] {
        check(schema, &[sql], expected).await;
    }
}

/// Names of what a schema may have or not, or have in one way or another, and the ways.
const CHOICES: [(&str, &[&str]); 7] = [
    (
        "{key}",
        &[
            "INT PRIMARY KEY NOT NULL",
            "INTEGER PRIMARY KEY",
            "INT NOT NULL DEFAULT 2 PRIMARY KEY ON CONFLICT REPLACE",
        ],
    ),
    ("{without}", &["", " WITHOUT ROWID"]),
    ("{parent_gone}", &["SET NULL", "CASCADE", "NO ACTION"]),
    ("{dept_gone}", &["CASCADE", "SET DEFAULT", "RESTRICT"]),
    ("{boss_gone}", &["SET NULL", "CASCADE"]),
    ("{slot}", &["", " ON CONFLICT REPLACE"]),
    ("{name}", &["", " COLLATE NOCASE"]),
];

const TABLES: &str = "
    CREATE TABLE dept (id {key}, name TEXT NOT NULL UNIQUE{name}, total INT NOT NULL DEFAULT 0,
        parent INT REFERENCES dept ON UPDATE CASCADE ON DELETE {parent_gone}){without};
    CREATE TABLE emp (id {key}, dept INT NOT NULL DEFAULT 1 REFERENCES dept ON UPDATE CASCADE ON DELETE {dept_gone},
        boss INT REFERENCES emp ON UPDATE CASCADE ON DELETE {boss_gone},
        slot INT NOT NULL DEFAULT 5 UNIQUE{slot}, salary INT NOT NULL DEFAULT 10, version INT NOT NULL DEFAULT 1);
    CREATE TABLE bed (ward TEXT COLLATE NOCASE, no INT, emp INT REFERENCES emp ON UPDATE CASCADE ON DELETE SET NULL,
        PRIMARY KEY (ward, no)){without};
    INSERT INTO dept VALUES (1, 'a', 20, NULL), (2, 'b', 10, 1), (3, 'c', 10, 2), (4, 'd', 0, 1);
    INSERT INTO emp (id, dept, boss, slot) VALUES (1, 1, NULL, 1), (2, 1, 1, 2), (3, 2, 1, 3), (4, 3, 3, 5);
    INSERT INTO bed VALUES ('A', 1, 1), ('A', 2, NULL), ('b', 1, 4);";

/// What the owner may have made.
const TRIGGERS: [&str; 10] = [
    "AFTER UPDATE OF salary, dept ON emp BEGIN UPDATE dept SET total = total - OLD.salary WHERE id = OLD.dept;
        UPDATE dept SET total = total + NEW.salary WHERE id = NEW.dept; END",
    "AFTER INSERT ON emp BEGIN UPDATE dept SET total = total + NEW.salary WHERE id = NEW.dept; END",
    "AFTER DELETE ON emp BEGIN UPDATE dept SET total = total - OLD.salary WHERE id = OLD.dept; END",
    "AFTER UPDATE ON emp WHEN NEW.version = OLD.version BEGIN UPDATE emp SET version = OLD.version + 1 WHERE id = NEW.id; END",
    "AFTER UPDATE OF id ON dept BEGIN INSERT OR IGNORE INTO dept (id, name) VALUES (OLD.id, 'was ' || OLD.name); END",
    "BEFORE UPDATE OF id ON dept BEGIN UPDATE dept SET total = total + 1 WHERE id = NEW.id; END",
    "BEFORE INSERT ON emp BEGIN UPDATE emp SET id = id + 20 WHERE slot = NEW.slot; END",
    "AFTER DELETE ON dept BEGIN INSERT OR REPLACE INTO bed VALUES ('gone', OLD.id, NULL); END",
    "AFTER UPDATE OF emp ON bed BEGIN UPDATE emp SET slot = slot + 10 WHERE id = NEW.emp; DELETE FROM emp WHERE id = OLD.emp + 9; END",
    "BEFORE DELETE ON emp BEGIN UPDATE dept SET id = id + 10 WHERE id = OLD.dept AND id > 3; END",
];

fn schema() -> impl Strategy<Value = String> {
    (vec(0..6_usize, CHOICES.len()), vec(any::<bool>(), TRIGGERS.len())).prop_map(|(choices, made)| {
        let mut schema = TABLES.to_owned();
        for ((name, ways), choice) in CHOICES.iter().zip(choices) {
            schema = schema.replace(name, ways[choice % ways.len()]);
        }
        for (at, trigger) in TRIGGERS.iter().enumerate().filter(|(at, _)| made[*at]) {
            schema += &format!("CREATE TRIGGER made_{at} {trigger};");
        }
        schema
    })
}

/// A write; those that a constraint is against do nothing.
fn write() -> impl Strategy<Value = String> {
    let id = || 1..8_i64;
    let maybe = || prop_oneof![1 => Just("NULL".to_owned()), 3 => (1..8_i64).prop_map(|id| id.to_string())];
    let or =
        || prop_oneof![4 => Just(""), 2 => Just("OR REPLACE"), 1 => Just("OR IGNORE"), 1 => Just("OR FAIL")];
    let name = || prop_oneof![Just("a"), Just("B"), Just("b"), Just("x"), Just("C")];
    let ward = || prop_oneof![Just("a"), Just("A"), Just("b"), Just("B"), Just("gone")];
    prop_oneof![
        4 => (or(), maybe(), id()).prop_map(|(or, to, id)| format!("UPDATE {or} dept SET id = {to} WHERE id = {id}")),
        2 => (or(), maybe(), id()).prop_map(|(or, to, id)| format!("UPDATE {or} emp SET id = {to} WHERE id = {id}")),
        1 => (or(), 1..4_i64).prop_map(|(or, by)| format!("UPDATE {or} dept SET id = id + {by}")),
        2 => (or(), name(), id()).prop_map(|(or, name, id)| format!("UPDATE {or} dept SET name = '{name}' WHERE id = {id}")),
        1 => (maybe(), id()).prop_map(|(to, id)| format!("UPDATE dept SET parent = {to} WHERE id = {id}")),
        2 => (or(), maybe(), name(), maybe())
            .prop_map(|(or, id, name, parent)| format!("INSERT {or} INTO dept (id, name, parent) VALUES ({id}, '{name}', {parent})")),
        2 => (or(), maybe(), id(), maybe(), maybe())
            .prop_map(|(or, id, dept, boss, slot)| format!("INSERT {or} INTO emp (id, dept, boss, slot) VALUES ({id}, {dept}, {boss}, {slot})")),
        1 => (id(), name()).prop_map(|(id, name)| {
            format!("INSERT INTO dept (id, name) VALUES ({id}, '{name}') ON CONFLICT (id) DO UPDATE SET id = id + 5, total = 9")
        }),
        2 => (id(), id()).prop_map(|(to, id)| format!("UPDATE emp SET dept = {to} WHERE id = {id}")),
        2 => (or(), maybe(), id()).prop_map(|(or, to, id)| format!("UPDATE {or} emp SET slot = {to} WHERE id = {id}")),
        1 => (maybe(), id()).prop_map(|(to, id)| format!("UPDATE emp SET boss = {to} WHERE id = {id}")),
        2 => id().prop_map(|id| format!("DELETE FROM dept WHERE id = {id}")),
        2 => id().prop_map(|id| format!("DELETE FROM emp WHERE id = {id}")),
        1 => (or(), ward(), id(), maybe()).prop_map(|(or, ward, no, emp)| format!("INSERT {or} INTO bed VALUES ('{ward}', {no}, {emp})")),
        1 => (or(), ward(), ward()).prop_map(|(or, to, from)| format!("UPDATE {or} bed SET ward = '{to}' WHERE ward = '{from}'")),
        1 => (maybe(), id()).prop_map(|(to, no)| format!("UPDATE bed SET emp = {to} WHERE no = {no}")),
    ]
}

/// The values of a row, or of its key, as text that has their types.
type Texts = String;

fn text(values: &[SqlValue]) -> Texts {
    serde_json::to_string(values).unwrap()
}

/// The rows of a table by their keys.
fn rows(bank: &Bank, table: &str, keys: usize) -> BTreeMap<Texts, Texts> {
    let key = ["id", "ward, no"][keys - 1];
    let mut statement = bank.owner.prepare(&format!("SELECT {key}, * FROM {table}")).unwrap();
    let width = statement.column_count();
    let value = |value: rusqlite::types::Value| match value {
        rusqlite::types::Value::Null => SqlValue::Null,
        rusqlite::types::Value::Integer(n) => SqlValue::Integer(n),
        rusqlite::types::Value::Text(text) => SqlValue::Text(text),
        other => panic!("{other:?}"),
    };
    let rows = statement.query_map([], |row| (0..width).map(|at| row.get(at).map(value)).collect()).unwrap();
    let rows = rows.map(|row: rusqlite::Result<Vec<SqlValue>>| row.unwrap());
    rows.map(|row| (text(&row[..keys]), text(&row[keys..]))).collect()
}

/// What a row was and what it is.
type Ends = (Option<Texts>, Option<Texts>);

fn told(changes: &ChangeSet) -> BTreeMap<(String, Texts), Ends> {
    let rows = changes.tables.iter().flat_map(|table| table.rows.iter().map(move |row| (table, row)));
    rows.map(|(table, row)| {
        ((table.table.clone(), text(row.key())), (row.before().map(text), row.after().map(text)))
    })
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn a_change_set_is_what_two_states_differ_in(schema in schema(), writes in vec(write(), 1..8)) {
        let bank = bank(&schema, SqliteOptions::default());
        let names = ["dept", "emp", "bed"];
        let all = || names.map(|table| rows(&bank, table, if table == "bed" { 2 } else { 1 }));
        let before = all();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let changes = runtime.block_on(async {
            let mut transaction = capturing(&bank, 1).await;
            for sql in &writes {
                let done = transaction.execute(&statement(sql, &[]), &access(&names, &names)).await;
                assert!(matches!(done, Ok(_) | Err(DbError::Constraint(_))), "{sql}: {done:?}");
            }
            let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
            transaction.commit().await.unwrap();
            changes
        });
        let after = all();
        let mut differs = BTreeMap::new();
        for (at, table) in names.iter().enumerate() {
            for key in before[at].keys().chain(after[at].keys()) {
                let ends = (before[at].get(key).cloned(), after[at].get(key).cloned());
                if ends.0 != ends.1 {
                    differs.insert(((*table).to_owned(), key.clone()), ends);
                }
            }
        }
        prop_assert_eq!(told(&changes), differs);
        let undone = runtime.block_on(undo(&bank, 1, &[&changes]));
        prop_assert_eq!(undone.conflicts, []);
        prop_assert_eq!(all(), before);
    }
}
