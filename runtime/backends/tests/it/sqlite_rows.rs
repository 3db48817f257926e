//! Grants for some rows of a table: what is read, what is written, and attempts to get at the others.

use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_model::{DbAccess, SqlValue, TableAccess};
use wflo_ports::{
    Begun, Capture, ChangeLimits, Database, DbError, Executed, Marker, MarkerPurpose, QueryLimits,
};

use crate::sqlite::{Bank, bank, begin, marker, statement};

/// Patient 17 is granted. What is said of the others is secret.
const SCHEMA: &str = "
    CREATE TABLE patients (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL COLLATE NOCASE,
        email TEXT UNIQUE,
        ward TEXT NOT NULL DEFAULT ('w' || 3),
        note TEXT
    );
    INSERT INTO patients VALUES (16, 's3cret-1', 'one@s3cret', '3', NULL), (17, 'Ada', 'ada@clinic', '3', 'ok'),
        (18, 's3cret-2', 'two@s3cret', '4', 's3cret-3'), (170, 's3cret-4', NULL, '3', '17');
    CREATE TABLE visits (
        day TEXT, patient_id INTEGER NOT NULL REFERENCES patients (id), said TEXT,
        PRIMARY KEY (patient_id, day)
    ) WITHOUT ROWID;
    INSERT INTO visits VALUES ('mon', 17, 'fine'), ('tue', 17, 'better'), ('mon', 18, 's3cret-5');
    CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT);
    CREATE TABLE loose (patient_id INTEGER, text TEXT);
    INSERT INTO loose VALUES (17, 'mine'), (18, 's3cret-6');
    CREATE TABLE books (patient_id INTEGER REFERENCES patients (id), title TEXT);
    CREATE VIEW all_patients AS SELECT * FROM patients;
    CREATE TRIGGER seen AFTER UPDATE OF note ON patients BEGIN INSERT INTO log (text) VALUES (new.note); END;
";

fn rows(filter: &str) -> TableAccess {
    TableAccess::new(None, Some(filter.parse().unwrap()))
}

fn columns(names: &[&str], filter: &str) -> TableAccess {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    TableAccess::new(Some(names), Some(filter.parse().unwrap()))
}

fn tables(all: &[(&str, &TableAccess)]) -> std::collections::BTreeMap<String, TableAccess> {
    all.iter().map(|(name, access)| ((*name).to_owned(), (*access).clone())).collect()
}

/// Reads and writes what is patient 17's, and may write the log.
fn granted() -> DbAccess {
    let (patient, visits) = (rows("id = 17"), rows("patient_id = 17"));
    let both = [("patients", &patient), ("visits", &visits)];
    DbAccess {
        // A row that goes must not be referred to by a book.
        read: tables(&[both[0], both[1], ("books", &TableAccess::All)]),
        write: tables(&[both[0], both[1], ("log", &TableAccess::All)]),
        ..DbAccess::default()
    }
}

fn everything(owner: &rusqlite::Connection) -> Vec<String> {
    let mut out = Vec::new();
    for table in ["patients", "visits", "log", "loose", "books", "sqlite_schema", "wflo_effects"] {
        let mut all = owner.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = all.column_count();
        let mut rows = all.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            out.push(format!("{table}: {}", values.join(", ")));
        }
    }
    out
}

/// A query's answer as text, the same in a snapshot of its own and within a transaction.
async fn read(bank: &Bank, sql: &str, access: &DbAccess) -> Result<String, DbError> {
    let asked = statement(sql, &[]);
    let alone = bank.db.query(&asked, access, QueryLimits::default()).await;
    let mut transaction = begin(&bank.db, 1).await;
    let within = transaction.query(&asked, access, QueryLimits::default()).await;
    transaction.rollback().await;
    assert_eq!(alone, within, "{sql}");
    let words = |row: &Vec<SqlValue>| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    alone.map(|out| out.rows.iter().map(words).collect::<Vec<_>>().join("; "))
}

#[tokio::test]
async fn the_rows_of_the_grant_are_the_table() {
    let bank = bank(SCHEMA, SqliteOptions { readers: 1, ..SqliteOptions::default() });
    for (sql, expect) in [
        ("SELECT id, name FROM patients", "17 Ada"),
        ("SELECT * FROM patients", "17 Ada ada@clinic 3 ok"),
        ("SELECT count(*) FROM patients", "1"),
        ("SELECT count(*), max(id), group_concat(name) FROM Patients AS p", "1 17 Ada"),
        ("SELECT 1 FROM patients", "1"),
        ("SELECT id FROM temp.patients", "17"),
        ("SELECT id FROM \"PATIENTS\" WHERE id <> 17", ""),
        (
            "SELECT p.name, v.day FROM patients p JOIN visits v ON v.patient_id = p.id ORDER BY day DESC",
            "Ada tue; Ada mon",
        ),
        ("SELECT a.id, b.id FROM patients a, patients b", "17 17"),
        ("SELECT id FROM patients UNION ALL SELECT patient_id FROM visits", "17; 17; 17"),
        ("WITH p AS (SELECT * FROM patients) SELECT count(*) FROM p, visits", "2"),
        ("SELECT (SELECT name FROM patients WHERE id = v.patient_id) FROM visits v LIMIT 1", "Ada"),
        ("SELECT id FROM patients WHERE name = 'ADA'", "17"),
        ("SELECT day, row_number() OVER (ORDER BY day) FROM visits ORDER BY 1", "mon 1; tue 2"),
        ("SELECT name FROM patients WHERE id IN (17, 18) AND name LIKE '%' ORDER BY note", "Ada"),
        ("SELECT count(*) FROM visits WHERE EXISTS (SELECT 1 FROM patients WHERE id = patient_id)", "2"),
    ] {
        assert_eq!(read(&bank, sql, &granted()).await.as_deref(), Ok(expect), "{sql}");
    }
}

#[tokio::test]
async fn other_rows_are_not_reached_by_any_way_sql_has() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let mut access = granted();
    // A view of the owner is granted as well: it leads to all rows, and is closed for that.
    access.read.insert("all_patients".to_owned(), TableAccess::All);
    let before = everything(&bank.owner);
    let mut through = Vec::new();
    for sql in [
        "SELECT name FROM main.patients",
        "SELECT count(*) FROM main.patients",
        "SELECT 1 FROM main.patients",
        "SELECT rowid FROM main.patients",
        "SELECT name FROM all_patients",
        "SELECT count(*) FROM all_patients",
        "SELECT id FROM patients UNION SELECT name FROM main.patients",
        "SELECT (SELECT group_concat(name) FROM main.patients) FROM patients",
        "SELECT id FROM patients WHERE id IN (SELECT id FROM main.patients)",
        "SELECT p.id FROM patients p JOIN main.patients m ON m.id > p.id",
        // Names chosen to look like the parts of the view.
        "WITH patients AS (SELECT * FROM main.patients) SELECT * FROM patients",
        "WITH patients AS NOT MATERIALIZED (SELECT * FROM main.patients) SELECT name FROM patients",
        "WITH wflo AS (SELECT * FROM main.patients) SELECT * FROM wflo",
        "WITH r AS (SELECT * FROM main.patients) SELECT * FROM r",
        "WITH all_patients AS (SELECT * FROM main.patients) SELECT * FROM all_patients",
        "SELECT * FROM (SELECT * FROM main.patients) AS patients",
        "WITH RECURSIVE patients(x) AS (SELECT name FROM main.patients UNION SELECT x FROM patients) SELECT x FROM patients",
        // The inside of what is temporary.
        "SELECT sql FROM temp.sqlite_master",
        "SELECT sql FROM sqlite_temp_schema",
        "SELECT * FROM temp.visits_values",
        "SELECT * FROM pragma_table_info('patients')",
        "SELECT * FROM pragma_table_list",
        "SELECT name FROM pragma_database_list",
        "PRAGMA temp.table_info(patients)",
        // Joins that compare columns unseen.
        "SELECT 1 FROM (SELECT 's3cret-1' AS name) JOIN main.patients USING (name)",
        "SELECT 1 FROM (SELECT 's3cret-1' AS name) NATURAL JOIN main.patients",
        "SELECT id FROM patients JOIN main.patients USING (name)",
        // There is no row number of a view.
        "SELECT rowid FROM patients",
        "SELECT _rowid_ FROM patients",
        "SELECT id FROM patients INDEXED BY sqlite_autoindex_patients_1",
        // Taking the view away, or putting another in its place.
        "DROP VIEW temp.patients",
        "DROP VIEW patients",
        "CREATE TEMP VIEW patients AS SELECT * FROM main.patients",
        "CREATE TEMP TRIGGER t AFTER UPDATE ON main.patients BEGIN SELECT 1; END",
        "EXPLAIN SELECT * FROM patients",
    ] {
        match read(&bank, sql, &access).await {
            Err(DbError::Denied(text) | DbError::Invalid(text))
                if !text.contains("s3cret") && !text.contains("wflo_") => {}
            other => through.push(format!("{sql}\n    {other:?}")),
        }
    }
    assert!(through.is_empty(), "went through:\n{}", through.join("\n"));
    assert_eq!(everything(&bank.owner), before);
    let error = read(&bank, "SELECT name FROM main.patients", &access).await.unwrap_err();
    assert!(error.to_string().contains("may read only some rows of table `patients`"), "{error}");
}

/// A condition of the guest is evaluated on the rows of the grant and on no other: an error would tell of those.
#[tokio::test]
async fn no_expression_of_a_guest_sees_another_row() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let bomb = "CASE WHEN name LIKE 's3cret%' THEN json('{') ELSE 1 END";
    for sql in [
        format!("SELECT id FROM patients WHERE {bomb}"),
        format!("SELECT id FROM patients WHERE id > 0 AND {bomb} ORDER BY {bomb}"),
        format!(
            "SELECT id FROM patients p WHERE ({bomb}) AND EXISTS (SELECT 1 FROM visits WHERE patient_id = p.id AND ({bomb}))"
        ),
        format!("SELECT max(id) FROM (SELECT * FROM patients WHERE {bomb})"),
        format!(
            "SELECT a.id FROM patients a LEFT JOIN patients b ON {} WHERE 1",
            bomb.replace("name", "b.name")
        ),
        format!("SELECT id FROM patients GROUP BY {bomb} HAVING min({bomb})"),
        format!("SELECT id FROM (SELECT id, {bomb} AS x FROM patients) WHERE x"),
        "SELECT id FROM patients WHERE abs(-9223372036854775807 - (name LIKE 's3cret%')) > 0".to_owned(),
    ] {
        assert_eq!(read(&bank, &sql, &granted()).await.as_deref(), Ok("17"), "{sql}");
    }
    let mut transaction = begin(&bank.db, 1).await;
    let update = statement(&format!("UPDATE patients SET note = 'x' WHERE {bomb}"), &[]);
    assert_eq!(transaction.execute(&update, &granted()).await, Ok(Executed { changed: 1 }));
}

#[tokio::test]
async fn columns_and_rows_are_granted_together() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let access = DbAccess {
        read: tables(&[("patients", &columns(&["id", "ward"], "id = 17"))]),
        write: tables(&[("patients", &columns(&["note", "email"], "id = 17"))]),
        ..DbAccess::default()
    };
    assert_eq!(read(&bank, "SELECT ward, id FROM patients", &access).await.as_deref(), Ok("3 17"));
    for sql in [
        "SELECT name FROM patients",
        "SELECT * FROM patients",
        "SELECT id FROM patients WHERE name = 'Ada'",
        "SELECT id FROM patients ORDER BY note",
        "SELECT id FROM patients NATURAL JOIN (SELECT 'Ada' AS name)",
    ] {
        let denied = read(&bank, sql, &access).await;
        assert!(matches!(&denied, Err(DbError::Denied(_))), "{sql}: {denied:?}");
    }
    let mut transaction = begin(&bank.db, 1).await;
    for sql in [
        "UPDATE patients SET ward = '4'",
        "UPDATE patients SET note = name",
        "UPDATE patients SET note = 'x' WHERE email LIKE '%'",
        "UPDATE patients SET note = 'x' RETURNING name",
        "UPDATE OR REPLACE patients SET email = 'one@s3cret'",
        "INSERT INTO patients (id, note) VALUES (17, 'x')",
        "DELETE FROM patients WHERE id = 17",
        "INSERT INTO patients (id, name) VALUES (17, 'x') ON CONFLICT (id) DO UPDATE SET note = 'y'",
    ] {
        let denied = transaction.execute(&statement(sql, &[]), &access).await;
        assert!(matches!(&denied, Err(DbError::Denied(_))), "{sql}: {denied:?}");
    }
    let update = statement("UPDATE patients SET note = 'x' WHERE ward = '3'", &[]);
    assert_eq!(transaction.execute(&update, &access).await, Ok(Executed { changed: 1 }));
    transaction.commit().await.unwrap();
    assert_eq!(notes(&bank), ["16 NULL", "17 x", "18 s3cret-3", "170 17"]);
}

fn notes(bank: &Bank) -> Vec<String> {
    let mut all =
        bank.owner.prepare("SELECT id || ' ' || coalesce(note, 'NULL') FROM patients ORDER BY id").unwrap();
    all.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_value_is_a_value_and_no_sql() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    for (filter, expect) in [
        ("id = '17'", "17"),
        ("id = 17", "17"),
        ("id = '17 OR 1 = 1'", ""),
        ("id = '17'' OR 1 --'", ""),
        // What SQLite would take for 17, and an auditor who asks for 17 would not find.
        ("id = '17.0'", ""),
        ("id = ' 17'", ""),
        ("id = '+17'", ""),
        ("id = '0x11'", ""),
        ("id = 17.0", ""),
        ("name = 'ada'", ""),
        ("name = 'Ada'", "17"),
        ("id = NULL", ""),
        ("id <> NULL", ""),
        ("id = :inputs.never_bound", ""),
        ("note = 17", "170"),
        ("id IN (16, 17, NULL)", "16 17"),
        ("id IN (NULL)", ""),
        ("id > 17", "18 170"),
        ("id >= 17 AND id <= 18", "17 18"),
        ("id < 17 AND ward = '3'", "16"),
        ("ward <> '3'", "18"),
        ("note IS NULL", "16"),
        ("email IS NOT NULL AND ward = '3'", "16 17"),
        ("id = true", ""),
    ] {
        let access = DbAccess { read: tables(&[("patients", &rows(filter))]), ..DbAccess::default() };
        let found =
            read(&bank, "SELECT group_concat(id, ' ' ORDER BY id) FROM patients", &access).await.unwrap();
        assert_eq!(if found == "null" { "" } else { &found }, expect, "{filter}");
    }
    let access = DbAccess { read: tables(&[("patients", &rows("idd = 17"))]), ..DbAccess::default() };
    let error = read(&bank, "SELECT id FROM patients", &access).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the grant's row filter names column `idd`, which table `patients` does not have"
    );
}

/// Runs one write, and commits if it came to something.
async fn write(bank: &Bank, sql: &str, access: &DbAccess) -> Result<u64, DbError> {
    bank.owner.execute("DELETE FROM wflo_effects", []).unwrap();
    let mut transaction = begin(&bank.db, 1).await;
    let done = transaction.execute(&statement(sql, &[]), access).await;
    if done.is_ok() {
        transaction.commit().await.unwrap();
    } else {
        transaction.rollback().await;
    }
    bank.owner.execute("DELETE FROM wflo_effects", []).unwrap();
    done.map(|done| done.changed)
}

#[tokio::test]
async fn a_write_reaches_the_rows_of_the_grant_and_no_others() {
    for (sql, changed, patients, visits) in [
        ("UPDATE patients SET note = 'x'", 1, "16:3:NULL 17:3:x 18:4:s3cret-3 170:3:17", 3),
        (
            "UPDATE patients SET note = 'x', ward = ward || '!' WHERE id > 0",
            1,
            "16:3:NULL 17:3!:x 18:4:s3cret-3 170:3:17",
            3,
        ),
        (
            "UPDATE patients SET note = (SELECT count(*) FROM patients)",
            1,
            "16:3:NULL 17:3:1 18:4:s3cret-3 170:3:17",
            3,
        ),
        ("UPDATE temp.patients SET note = 'x'", 1, "16:3:NULL 17:3:x 18:4:s3cret-3 170:3:17", 3),
        ("UPDATE patients SET note = 'x' WHERE id = 18", 0, "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17", 3),
        (
            "UPDATE patients SET note = v.said FROM visits v WHERE v.patient_id = id AND v.day = 'tue' RETURNING note",
            1,
            "16:3:NULL 17:3:better 18:4:s3cret-3 170:3:17",
            3,
        ),
        ("DELETE FROM patients WHERE id <> 17", 0, "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17", 3),
        ("DELETE FROM visits", 2, "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17", 1),
        ("DELETE FROM visits WHERE day = 'mon'", 1, "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17", 2),
        (
            "INSERT INTO visits VALUES ('wed', 17, 'x'), ('thu', 17, 'y')",
            2,
            "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17",
            5,
        ),
        (
            "INSERT INTO visits SELECT day || '2', patient_id, said FROM visits",
            2,
            "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17",
            5,
        ),
        (
            "INSERT INTO visits VALUES ('mon', 17, 'x') ON CONFLICT (day, patient_id) DO UPDATE SET said = excluded.said",
            1,
            "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17",
            3,
        ),
        (
            "INSERT OR IGNORE INTO visits VALUES ('mon', 17, 'x')",
            0,
            "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17",
            3,
        ),
        ("REPLACE INTO visits VALUES ('mon', 17, 'x')", 1, "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17", 3),
        (
            "INSERT INTO log (text) SELECT name FROM patients",
            1,
            "16:3:NULL 17:3:ok 18:4:s3cret-3 170:3:17",
            3,
        ),
        (
            "REPLACE INTO patients (id, name) VALUES (17, 'new')",
            1,
            "16:3:NULL 17:w3:NULL 18:4:s3cret-3 170:3:17",
            3,
        ),
        (
            "INSERT INTO patients (id, name) VALUES (17, 'x') ON CONFLICT DO UPDATE SET note = 'y'",
            1,
            "16:3:NULL 17:3:y 18:4:s3cret-3 170:3:17",
            3,
        ),
    ] {
        let bank = bank(SCHEMA, SqliteOptions::default());
        let came_to = write(&bank, sql, &granted()).await;
        assert_eq!(came_to, Ok(changed), "{sql}");
        let text = |sql: &str| bank.owner.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        let found = "SELECT group_concat(id || ':' || ward || ':' || coalesce(note, 'NULL'), ' ' ORDER BY id) FROM patients";
        assert_eq!(text(found), patients, "{sql}");
        assert_eq!(text("SELECT CAST(count(*) AS TEXT) FROM visits"), visits.to_string(), "{sql}");
        assert_eq!(text("SELECT said FROM visits WHERE patient_id = 18"), "s3cret-5", "{sql}");
    }
}

#[tokio::test]
async fn a_write_that_would_reach_other_rows_is_refused() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let mut access = granted();
    access.write.insert("loose".to_owned(), rows("patient_id = 17"));
    access.write.insert("books".to_owned(), TableAccess::All);
    access.write.insert("all_patients".to_owned(), rows("id = 17"));
    let before = everything(&bank.owner);
    let denied = "denied";
    for (sql, kind) in [
        ("UPDATE main.patients SET note = 'x'", denied),
        ("UPDATE main.patients SET note = 'x' WHERE id = 17", denied),
        ("DELETE FROM main.patients", denied),
        ("INSERT INTO main.visits VALUES ('wed', 17, 'x')", denied),
        ("INSERT INTO main.patients (name) VALUES ('x')", denied),
        ("UPDATE patients SET note = (SELECT max(name) FROM main.patients)", denied),
        ("UPDATE patients SET note = m.name FROM main.patients m", denied),
        ("INSERT INTO log (text) SELECT name FROM main.patients", denied),
        ("INSERT INTO log (text) SELECT group_concat(name) FROM main.patients", denied),
        // A row that would be somebody else's.
        ("INSERT INTO visits VALUES ('wed', 18, 'x')", denied),
        ("INSERT INTO visits VALUES ('wed', 17, 'x'), ('wed', 18, 'x')", denied),
        ("INSERT OR REPLACE INTO visits VALUES ('mon', 18, 'x')", denied),
        ("INSERT OR IGNORE INTO visits VALUES ('wed', 18, 'x')", denied),
        ("INSERT INTO patients (name) VALUES ('x')", denied),
        (
            "INSERT INTO patients (id, name) VALUES (18, 'x') ON CONFLICT (id) DO UPDATE SET note = 'x'",
            denied,
        ),
        ("REPLACE INTO patients (id, name) VALUES (18, 'x')", denied),
        ("UPDATE patients SET id = 18", denied),
        ("UPDATE patients SET id = 99", denied),
        ("UPDATE visits SET patient_id = 18", denied),
        ("UPDATE OR REPLACE visits SET patient_id = 18 WHERE day = 'mon'", denied),
        // Values that must be unique tell that they are taken, and no more.
        ("UPDATE patients SET email = 'one@s3cret'", "constraint"),
        ("UPDATE OR REPLACE patients SET email = 'one@s3cret'", "constraint"),
        ("UPDATE OR IGNORE patients SET email = 'one@s3cret'", "constraint"),
        ("REPLACE INTO patients (id, name, email) VALUES (17, 'x', 'one@s3cret')", "constraint"),
        ("INSERT INTO patients (id, name) VALUES (17, 'x')", "constraint"),
        ("UPDATE patients SET name = NULL", "constraint"),
        // Rows of a table without a key cannot be told apart.
        ("UPDATE loose SET text = 'x'", "invalid"),
        ("DELETE FROM loose", "invalid"),
        ("DELETE FROM all_patients", "invalid"),
        // A foreign key of another table would look at a row that may not be seen.
        ("INSERT INTO books VALUES (18, 'x')", denied),
        ("UPDATE patients SET note = random()", denied),
        ("CREATE TEMP TRIGGER t AFTER UPDATE ON patients BEGIN DELETE FROM main.patients; END", denied),
        ("DROP TABLE patients", denied),
        ("DROP TABLE temp.patients", denied),
        ("UPDATE temp.sqlite_sequence SET seq = 5", "invalid"),
        ("DELETE FROM temp.values_of_it", "invalid"),
        ("SELECT 1", "invalid"),
        ("SELECT * FROM patients", "invalid"),
    ] {
        let came_to = write(&bank, sql, &access).await;
        let found = match &came_to {
            Err(DbError::Denied(_)) => denied,
            Err(DbError::Constraint(_)) => "constraint",
            Err(DbError::Invalid(_)) => "invalid",
            _ => "something else",
        };
        assert_eq!(found, kind, "{sql}: {came_to:?}");
        let text = came_to.unwrap_err().to_string();
        assert!(!text.contains("s3cret") && !text.contains("wflo_"), "{sql}: {text}");
        assert_eq!(everything(&bank.owner), before, "{sql}");
    }
}

/// The delete of the patient takes the notes along, which are also of some rows only.
#[tokio::test]
async fn foreign_keys_that_act_need_the_whole_of_the_other_table() {
    let schema = "CREATE TABLE patients (id INTEGER PRIMARY KEY);
                  CREATE TABLE notes (id INTEGER PRIMARY KEY, patient INTEGER REFERENCES patients (id) ON DELETE CASCADE);
                  INSERT INTO patients VALUES (17), (18);
                  INSERT INTO notes VALUES (1, 17), (2, 18);";
    let bank = bank(schema, SqliteOptions::default());
    let (patient, notes) = (rows("id = 17"), rows("patient = 17"));
    let with = |notes: &TableAccess| {
        let both = tables(&[("patients", &patient), ("notes", notes)]);
        DbAccess { read: both.clone(), write: both, ..DbAccess::default() }
    };
    let error = write(&bank, "DELETE FROM patients", &with(&notes)).await.unwrap_err();
    assert!(matches!(&error, DbError::Denied(text) if text.contains("`notes`")), "{error}");
    assert_eq!(write(&bank, "DELETE FROM patients", &with(&TableAccess::All)).await, Ok(1));
    let left: String =
        bank.owner.query_row("SELECT group_concat(id) FROM notes", [], |row| row.get(0)).unwrap();
    assert_eq!(left, "2", "that of the other patient");
}

#[tokio::test]
async fn the_owners_triggers_run_and_see_what_has_changed() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    write(&bank, "UPDATE patients SET note = 'seen'", &granted()).await.unwrap();
    write(&bank, "UPDATE patients SET ward = '4'", &granted()).await.unwrap();
    write(&bank, "UPDATE patients SET note = note", &granted()).await.unwrap();
    let logged: String =
        bank.owner.query_row("SELECT group_concat(text) FROM log", [], |row| row.get(0)).unwrap();
    assert_eq!(logged, "seen");
}

/// Rows are numbered after all that are there, also after those that the step does not see.
#[tokio::test]
async fn new_rows_get_numbers_of_their_own() {
    let schema = "CREATE TABLE notes (id INTEGER PRIMARY KEY, patient INTEGER, text TEXT);
                  INSERT INTO notes VALUES (1, 17, 'a'), (9, 18, 'b');
                  CREATE TABLE kept (id INTEGER PRIMARY KEY AUTOINCREMENT, patient INTEGER);
                  INSERT INTO kept VALUES (41, 18); DELETE FROM kept;";
    let bank = bank(schema, SqliteOptions::default());
    let own = rows("patient = 17");
    let access = DbAccess { write: tables(&[("notes", &own), ("kept", &own)]), ..DbAccess::default() };
    assert_eq!(
        write(&bank, "INSERT INTO notes (patient, text) VALUES (17, 'c'), (17, 'd')", &access).await,
        Ok(2)
    );
    assert_eq!(write(&bank, "INSERT INTO kept (patient) VALUES (17)", &access).await, Ok(1));
    let ids = |sql: &str| bank.owner.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(ids("SELECT group_concat(id || text, ' ' ORDER BY id) FROM notes"), "1a 9b 10c 11d");
    assert_eq!(ids("SELECT group_concat(id) FROM kept"), "42");
}

#[tokio::test]
async fn columns_keep_their_types_and_collations() {
    let schema = "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, n NUMERIC, i INT, r REAL, b BLOB, own INTEGER DEFAULT 1);
                  INSERT INTO t VALUES ('A', 1.5, 2, 3, x'00ff', 1), ('B', 1, 2, 3, 4, 2);
                  CREATE TABLE s (k INTEGER PRIMARY KEY, a ANY, t TEXT, own INT DEFAULT 1, g TEXT AS (t || '!')) STRICT;
                  INSERT INTO s VALUES (1, '017', 'x', 1);";
    let bank = bank(schema, SqliteOptions::default());
    let own = rows("own = 1");
    let both = tables(&[("t", &own), ("s", &own)]);
    let access = DbAccess { read: both.clone(), write: both, ..DbAccess::default() };
    assert_eq!(
        write(&bank, "UPDATE t SET n = '7', i = '8', r = '9', b = '10' WHERE k = 'a'", &access).await,
        Ok(1)
    );
    assert_eq!(
        write(&bank, "INSERT INTO t (k) VALUES ('a') ON CONFLICT (k) DO UPDATE SET n = n + 1", &access).await,
        Ok(1)
    );
    assert_eq!(write(&bank, "REPLACE INTO t (k, n) VALUES ('a', 5)", &access).await, Ok(1));
    assert_eq!(write(&bank, "UPDATE s SET a = '018', t = 'y'", &access).await, Ok(1));
    assert!(matches!(write(&bank, "UPDATE s SET g = 'y'", &access).await, Err(DbError::Invalid(_))));
    assert_eq!(read(&bank, "SELECT a, typeof(a), g FROM s", &access).await.as_deref(), Ok("018 text y!"));
    let text = |sql: &str| bank.owner.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(text("SELECT group_concat(k || n || typeof(n), ' ') FROM t"), "B1integer a5integer");
}

#[tokio::test]
async fn changes_through_a_filter_are_kept_and_undone() {
    let bank = bank(SCHEMA, SqliteOptions::default());
    let before = everything(&bank.owner);
    let Begun::Open(mut transaction) = bank.db.begin(&marker(1), Capture::On).await.unwrap() else {
        panic!("it is there");
    };
    let access = granted();
    for sql in [
        "UPDATE patients SET note = 'first'",
        "INSERT INTO visits VALUES ('wed', 17, 'x')",
        "DELETE FROM visits WHERE day = 'mon'",
        "UPDATE patients SET note = 'second'",
    ] {
        transaction.execute(&statement(sql, &[]), &access).await.unwrap();
    }
    let refused =
        transaction.execute(&statement("INSERT INTO visits VALUES ('wed', 18, 'x')", &[]), &access).await;
    assert!(matches!(refused, Err(DbError::Denied(_))), "{refused:?}");
    let changes = transaction.changes(ChangeLimits::default()).await.unwrap();
    transaction.commit().await.unwrap();
    let rows: Vec<_> = changes.tables.iter().map(|table| (table.table.as_str(), table.rows.len())).collect();
    assert_eq!(rows, [("log", 2), ("patients", 1), ("visits", 2)]);
    let marker = Marker { purpose: MarkerPurpose::Undo { rollback: 9 }, ..marker(1) };
    let Begun::Open(mut undo) = bank.db.begin(&marker, Capture::Off).await.unwrap() else {
        panic!("it is there")
    };
    assert_eq!(undo.undo(&changes).await.unwrap().conflicts, []);
    undo.commit().await.unwrap();
    bank.owner.execute("DELETE FROM wflo_effects", []).unwrap();
    assert_eq!(everything(&bank.owner), before);
}

/// What stands for a table lasts as long as the statement: the next one meets the table as it was granted then.
#[tokio::test]
async fn nothing_is_left_of_a_filter_when_its_statement_is_over() {
    let bank = bank(SCHEMA, SqliteOptions { readers: 1, ..SqliteOptions::default() });
    let all = DbAccess { read: tables(&[("patients", &TableAccess::All)]), ..DbAccess::default() };
    let filtered = granted();
    let count = |access: &DbAccess| {
        let (access, db) = (access.clone(), std::sync::Arc::clone(&bank.db));
        async move {
            let sql = statement("SELECT count(*) FROM patients", &[]);
            db.query(&sql, &access, QueryLimits::default()).await.unwrap().rows[0][0].clone()
        }
    };
    for _ in 0..2 {
        assert_eq!(count(&filtered).await, SqlValue::Integer(1));
        assert_eq!(count(&all).await, SqlValue::Integer(4));
    }
    let mut transaction = begin(&bank.db, 1).await;
    let bad = statement("UPDATE patients SET email = 'one@s3cret'", &[]);
    transaction.execute(&bad, &filtered).await.unwrap_err();
    let rows = transaction
        .query(&statement("SELECT id FROM main.patients", &[]), &all, QueryLimits::default())
        .await;
    assert_eq!(rows.unwrap().rows.len(), 4);
    let other = DbAccess { read: tables(&[("patients", &rows_of(18))]), ..DbAccess::default() };
    let rows =
        transaction.query(&statement("SELECT id FROM patients", &[]), &other, QueryLimits::default()).await;
    assert_eq!(rows.unwrap().rows, [[SqlValue::Integer(18)]]);
    transaction.commit().await.unwrap();
}

fn rows_of(patient: u32) -> TableAccess {
    rows(&format!("id = {patient}"))
}

#[test]
fn filters_that_cannot_be_kept_are_found_beforehand() {
    let bank = bank(
        &format!(
            "{SCHEMA} CREATE TABLE staff (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES staff (id) ON DELETE CASCADE);"
        ),
        SqliteOptions::default(),
    );
    let own = rows("patient_id = 17");
    let access = DbAccess {
        read: tables(&[("patients", &own), ("visits", &own), ("nothing", &own)]),
        write: tables(&[("loose", &own), ("staff", &rows("boss = 1")), ("visits", &own)]),
        ..DbAccess::default()
    };
    let found = Sqlite::unfilterable_at(&bank.path, &access).unwrap();
    let said: Vec<_> = found.iter().map(|(table, why)| format!("{table} {why}")).collect();
    assert_eq!(
        said,
        [
            "loose has no primary key: a step that may touch only some of its rows cannot write it",
            "patients has no column `patient_id`",
            "staff refers to itself and changes rows with those they refer to: a step that may touch only some of its \
             rows cannot write it",
        ]
    );
}
