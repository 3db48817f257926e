//! Random steps on tables that refer to each other, with nobody else there: whatever a step did, undoing it leaves the
//! tables as they were, and no conflict.

use proptest::collection::vec;
use proptest::prelude::*;

/// Two tables. The foreign keys of the first are made once both are there.
pub(crate) const TABLES: [&str; 2] = [
    "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT NOT NULL UNIQUE, pos INTEGER NOT NULL, list INTEGER NOT NULL,
        up INTEGER{up}, b INTEGER{b}, UNIQUE (list, pos));",
    "CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT NOT NULL, n INTEGER NOT NULL, a INTEGER NOT NULL REFERENCES a ON DELETE CASCADE);
     CREATE UNIQUE INDEX b_v ON b (lower(v)) WHERE n > 0;",
];

/// The rows that are there before.
pub(crate) const ROWS: &str = "
    INSERT INTO a (id, v, pos, list) VALUES (1, 'v1', 1, 1), (2, 'v2', 2, 1), (3, 'v3', 1, 2), (4, 'v4', 2, 2);
    INSERT INTO b VALUES (1, 'w1', 1, 1), (2, 'w2', 1, 1), (3, 'w3', 1, 2), (4, 'w3', 0, 4);
    UPDATE a SET up = 1, b = 1 WHERE id = 1; UPDATE a SET up = 3 WHERE id = 2; UPDATE a SET up = 2, b = 3 WHERE id = 3;";

/// What a step does, a statement after another; those that a constraint is against do nothing.
pub(crate) fn statements() -> impl Strategy<Value = Vec<String>> {
    let id = || 1..7_i64;
    let maybe = || prop_oneof![Just("NULL".to_owned()), (1..7_i64).prop_map(|id| id.to_string())];
    let one = |sql: String| vec![sql];
    let place = || (1..4_i64, 1..3_i64);
    let exchange = |table: &'static str, column: &'static str| {
        move |(from, to): (i64, i64)| {
            let set =
                |value: String, id: i64| format!("UPDATE {table} SET {column} = {value} WHERE id = {id}");
            // What a row has is told by a number that is kept in another one for the moment.
            let between = if column == "v" { "'between'".to_owned() } else { "99".to_owned() };
            let of = |id: i64| format!("(SELECT {column} FROM kept WHERE id = {id})");
            vec![
                "DELETE FROM kept".to_owned(),
                format!("INSERT INTO kept (id, {column}) SELECT id, {column} FROM {table}"),
                set(between, from),
                set(of(from), to),
                set(of(to), from),
            ]
        }
    };
    let statement = prop_oneof![
        4 => (id(), id(), place(), maybe(), maybe()).prop_map(move |(id, v, (pos, list), up, b)| {
            one(format!("INSERT INTO a VALUES ({id}, 'v{v}', {pos}, {list}, {up}, {b})"))
        }),
        4 => (id(), id(), 0..2_i64, id())
            .prop_map(move |(id, v, n, a)| one(format!("INSERT INTO b VALUES ({id}, 'W{v}', {n}, {a})"))),
        2 => (id(), id()).prop_map(move |(id, v)| one(format!("UPDATE a SET v = 'v{v}' WHERE id = {id}"))),
        2 => (id(), place()).prop_map(move |(id, (pos, list))| {
            one(format!("UPDATE a SET pos = {pos}, list = {list} WHERE id = {id}"))
        }),
        2 => (id(), maybe()).prop_map(move |(id, up)| one(format!("UPDATE a SET up = {up} WHERE id = {id}"))),
        3 => (id(), maybe()).prop_map(move |(id, b)| one(format!("UPDATE a SET b = {b} WHERE id = {id}"))),
        2 => (id(), id()).prop_map(move |(id, a)| one(format!("UPDATE b SET a = {a} WHERE id = {id}"))),
        2 => (id(), id(), 0..2_i64)
            .prop_map(move |(id, v, n)| one(format!("UPDATE b SET v = 'w{v}', n = {n} WHERE id = {id}"))),
        2 => id().prop_map(move |id| one(format!("DELETE FROM a WHERE id = {id}"))),
        2 => id().prop_map(move |id| one(format!("DELETE FROM b WHERE id = {id}"))),
        3 => (id(), id()).prop_map(exchange("a", "v")),
        3 => (id(), id()).prop_map(exchange("a", "pos")),
        3 => (id(), id()).prop_map(exchange("b", "v")),
    ];
    vec(statement, 1..12).prop_map(|parts| parts.concat())
}

/// Where a step keeps what it exchanges.
pub(crate) const KEPT: &str = "CREATE TABLE kept (id INTEGER PRIMARY KEY, v TEXT, pos INTEGER);";
