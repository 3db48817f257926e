//! Random statements, judged by what SQLite compiles them to: whatever is let through opens no table that was
//! not granted. The authorizer's word is not taken for it, since it is not asked everywhere.

use std::collections::HashMap;

use wflo_backends::db::sqlite::SqliteOptions;
use wflo_ports::{Database, QueryLimits};

use crate::sqlite::{Bank, access, bank, begin, statement};

/// Columns of the same names everywhere, so that most statements compile.
const SCHEMA: &str = "
    CREATE TABLE open (id INTEGER PRIMARY KEY, n INTEGER, t TEXT);
    CREATE TABLE shut (id INTEGER PRIMARY KEY, n INTEGER, t TEXT);
    CREATE INDEX shut_n ON shut (n, t);
    CREATE TABLE shut_too (id TEXT, n INTEGER, t TEXT, PRIMARY KEY (id)) WITHOUT ROWID;
    CREATE VIEW shut_view AS SELECT id, n, t FROM shut;
    INSERT INTO open VALUES (1, 1, 'a'), (2, 2, 'b');
    INSERT INTO shut VALUES (1, 1, 'a'), (2, 2, 'b');
    INSERT INTO shut_too VALUES (1, 1, 'a');";

/// A small generator (Knuth's constants): the same statements in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len())]
    }

    fn table(&mut self, depth: usize) -> String {
        let alias = self.pick(&["", "", " AS a", " AS open", " AS shut"]);
        let table = match self.roll(12) {
            0..=4 => "open".to_owned(),
            5 | 6 => self.pick(&["shut", "main.shut", "\"SHUT\"", "[shut]", "'shut'"]).to_owned(),
            7 => self.pick(&["shut_too", "shut_view", "sqlite_schema", "wflo_effects"]).to_owned(),
            8 => "c".to_owned(),
            9 => "json_each('[1,2]')".to_owned(),
            _ => format!("({})", self.select(depth + 1)),
        };
        format!("{table}{alias}")
    }

    fn from(&mut self, depth: usize) -> String {
        let mut from = self.table(depth);
        for _ in 0..self.roll(3) {
            let natural = self.pick(&["", "", "NATURAL "]);
            let join = self.pick(&["JOIN", "LEFT JOIN", "CROSS JOIN", "FULL JOIN", "RIGHT JOIN"]);
            let on = match self.roll(if natural.is_empty() { 3 } else { 1 }) {
                0 => String::new(),
                1 => self.pick(&[" USING (id)", " USING (n, t)", " USING (id, n, t)"]).to_owned(),
                _ => format!(" ON {}", self.value(depth)),
            };
            from += &format!(" {natural}{join} {}{on}", self.table(depth));
        }
        from
    }

    fn value(&mut self, depth: usize) -> String {
        match self.roll(if depth > 2 { 5 } else { 12 }) {
            0 | 1 => self.pick(&["1", "'a'", "NULL"]).to_owned(),
            2 => self.pick(&["id", "n", "t", "rowid"]).to_owned(),
            3 => self.pick(&["open.id", "shut.n", "a.t", "c.n", "shut_too.t"]).to_owned(),
            4 => "count(*)".to_owned(),
            5 => format!("({})", self.select(depth + 1)),
            6 => format!("EXISTS ({})", self.select(depth + 1)),
            7 => format!("{} IN ({})", self.value(depth + 1), self.select(depth + 1)),
            8 => format!("{} IN {}", self.value(depth + 1), self.pick(&["open", "shut", "c"])),
            9 => format!("{} = {}", self.value(depth + 1), self.value(depth + 1)),
            10 => format!("max({}) OVER (ORDER BY {})", self.value(depth + 1), self.value(depth + 1)),
            _ => format!("coalesce({}, {})", self.value(depth + 1), self.value(depth + 1)),
        }
    }

    fn select(&mut self, depth: usize) -> String {
        let what = match self.roll(4) {
            0 => "*".to_owned(),
            1 => "1 AS id, 1 AS n, 'a' AS t".to_owned(),
            _ => self.value(depth + 1),
        };
        let mut select = format!("SELECT {what} FROM {}", self.from(depth + 1));
        for clause in ["WHERE", "GROUP BY", "ORDER BY", "LIMIT"] {
            if self.roll(4) == 0 {
                select += &format!(" {clause} {}", self.value(depth + 1));
            }
        }
        if depth < 2 && self.roll(6) == 0 {
            select = format!("WITH c AS ({}) {select}", self.select(depth + 2));
        }
        if depth == 0 && self.roll(6) == 0 {
            select += &format!(" UNION ALL {}", self.select(depth + 1));
        }
        select
    }

    fn write(&mut self) -> String {
        match self.roll(4) {
            0 => format!("INSERT OR IGNORE INTO open {}", self.select(1)),
            1 => format!("UPDATE OR IGNORE open SET n = {} WHERE {}", self.value(1), self.value(1)),
            2 => format!("UPDATE OR IGNORE open SET n = 1 FROM {}", self.from(1)),
            _ => format!("DELETE FROM open WHERE {} RETURNING {}", self.value(1), self.value(1)),
        }
    }
}

/// The tables a statement opens, by the root pages in its program.
fn opened(bank: &Bank, sql: &str) -> Vec<String> {
    let mut roots =
        bank.owner.prepare("SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage > 0").unwrap();
    let roots: HashMap<i64, String> =
        roots.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let mut program = bank.owner.prepare(&format!("EXPLAIN {sql}")).unwrap();
    let mut opened = Vec::new();
    let mut rows = program.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (code, root): (String, i64) = (row.get("opcode").unwrap(), row.get("p2").unwrap());
        if matches!(code.as_str(), "OpenRead" | "OpenWrite" | "ReopenIdx") {
            opened.push(roots.get(&root).map_or("the schema", String::as_str).to_owned());
        }
    }
    opened
}

#[tokio::test]
async fn what_is_let_through_opens_granted_tables_only() {
    let bank = bank(SCHEMA, SqliteOptions { readers: 1, ..SqliteOptions::default() });
    let granted = access(&["open"], &["open"]);
    let limits = QueryLimits::default();
    let mut dice = Dice(1);
    let mut through = 0;
    let mut transaction = begin(&bank.db, 1).await;
    for _ in 0..4000 {
        let writes = dice.roll(4) == 0;
        let sql = if writes { dice.write() } else { dice.select(0) };
        let guest = statement(&sql, &[]);
        let passed = if writes {
            transaction.execute(&guest, &granted).await.is_ok()
        } else {
            bank.db.query(&guest, &granted, limits).await.is_ok()
        };
        if passed {
            through += 1;
            assert!(
                opened(&bank, &sql).iter().all(|table| table == "open"),
                "{sql}: {:?}",
                opened(&bank, &sql)
            );
        }
    }
    // Otherwise the test says nothing.
    assert!(through > 200, "only {through} statements went through");
}
