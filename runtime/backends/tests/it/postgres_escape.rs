//! Attempts to get around the grants of a step on PostgreSQL.

use wflo_backends::db::postgres::{Postgres, PostgresOptions, Preparation};
use wflo_model::{DbAccess, SqlValue, TableAccess};
use wflo_ports::{Capture, Database as _, DbError, QueryLimits};

use crate::postgres::{Bank, bank_for, begin};
use crate::sqlite::{access, marker, statement};

/// `transactions` is granted, `accounts` is not; the login roles may read and write both, as they would for other steps.
const SCHEMA: &str = "
    CREATE TABLE transactions (id int PRIMARY KEY, account int, amount int, note text UNIQUE);
    INSERT INTO transactions VALUES (1, 1, 5, 'x'), (2, 2, 7, 'y');
    CREATE TABLE accounts (id int PRIMARY KEY, secret text NOT NULL);
    INSERT INTO accounts VALUES (1, 's3cret-1'), (2, 's3cret-2');
    CREATE VIEW open_book AS SELECT id, secret FROM accounts;
    CREATE FUNCTION tell() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT secret FROM accounts LIMIT 1';
    CREATE FUNCTION tell_of(transactions) RETURNS text LANGUAGE sql AS 'SELECT secret FROM accounts LIMIT 1';
    CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS 'SELECT secret FROM accounts LIMIT 1';";

async fn vault() -> Bank {
    let both = access(&["transactions", "accounts"], &["transactions", "accounts"]);
    bank_for(SCHEMA, &both, PostgresOptions::default()).await
}

fn everything(bank: &Bank) -> String {
    let tables = ["transactions", "accounts", "wflo_effects", "wflo_changes", "pg_class", "pg_proc"];
    let rows =
        tables.map(|table| format!("SELECT md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {table} t;"));
    bank.pg.superuser(&rows.concat())
}

/// Each is refused, as a query, as one in a transaction and as a write; nothing changes and no secret is told.
async fn refused(statements: &[&str], granted: &DbAccess) {
    let bank = vault().await;
    let before = everything(&bank);
    let mut through = Vec::new();
    for sql in statements {
        let guest = statement(sql, &[]);
        let limits = QueryLimits::default();
        let mut ends = vec![bank.db.query(&guest, granted, limits).await.map(|rows| format!("{rows:?}"))];
        let mut transaction = begin(&bank.db, 1, Capture::On).await;
        ends.push(transaction.query(&guest, granted, limits).await.map(|rows| format!("{rows:?}")));
        ends.push(transaction.execute(&guest, granted).await.map(|done| format!("{done:?}")));
        transaction.commit().await.unwrap();
        bank.pg.sql("DELETE FROM wflo_effects");
        for end in ends {
            match end {
                Err(DbError::Denied(text) | DbError::Invalid(text)) if !text.contains("s3cret") => {}
                other => through.push(format!("{sql}\n    {other:?}")),
            }
        }
    }
    assert!(through.is_empty(), "went through:\n{}", through.join("\n"));
    assert_eq!(everything(&bank), before, "something changed");
}

#[tokio::test]
#[rustfmt::skip]
async fn nothing_leads_out_of_a_grant() {
    let granted = access(&["transactions"], &["transactions"]);
    refused(&[
        // Other tables, by every way SQL has.
        "SELECT secret FROM accounts", "SELECT secret FROM public.accounts", "SELECT \"secret\" FROM \"accounts\"",
        "SELECT count(*) FROM accounts", "SELECT * FROM open_book", "TABLE accounts", "SELECT a FROM accounts a",
        "SELECT t.id FROM transactions t NATURAL JOIN accounts", "SELECT id FROM transactions JOIN accounts USING (id)",
        "SELECT (SELECT secret FROM accounts LIMIT 1) FROM transactions", "SELECT id FROM transactions UNION SELECT id FROM accounts",
        "SELECT id FROM transactions WHERE EXISTS (SELECT 1 FROM accounts WHERE secret LIKE 's%')",
        "WITH accounts AS (SELECT * FROM accounts) SELECT * FROM accounts",
        "WITH transactions AS (SELECT secret FROM accounts) SELECT * FROM transactions",
        "WITH RECURSIVE x AS (SELECT id FROM accounts UNION SELECT id FROM x) SELECT * FROM x",
        "SELECT * FROM accounts\u{a0}", "SELECT $$;$$, secret FROM accounts", "SELECT 1 /* ' */ FROM accounts -- '",
        "SELECT E'\\'', secret FROM accounts --'", "SELECT '\\', secret FROM accounts --'", "SELECT U&'\\0027', secret FROM accounts",
        "SELECT 1 FROM transactions; SELECT secret FROM accounts", "SELECT * FROM ONLY accounts", "SELECT * FROM accounts *",
        // Functions and types that look, wait, read or become somebody else.
        "SELECT set_config('role', 'postgres', false)", "SELECT set_config('search_path', 'pg_temp', false)",
        "SELECT pg_catalog.set_config('wflo.capture', 'off', true)", "SELECT current_setting('wflo.capture')",
        "SELECT pg_read_file('/etc/passwd')", "SELECT pg_ls_dir('.')", "SELECT lo_import('/etc/passwd')", "SELECT pg_sleep(60)",
        "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS t(a int)", "SELECT tell()", "SELECT public.tell()", "SELECT lower(1)",
        "SELECT query_to_xml('SELECT secret FROM accounts', true, true, '')", "SELECT table_to_xml('accounts', true, true, '')",
        "SELECT ts_stat('SELECT secret::tsvector FROM accounts')", "SELECT pg_advisory_lock(1)", "SELECT pg_notify('a', 'b')",
        "SELECT 'accounts'::regclass::oid", "SELECT current_user", "SELECT session_user", "SELECT inet_server_addr()",
        "SELECT has_table_privilege('accounts', 'SELECT')", "SELECT pg_terminate_backend(1)", "SELECT txid_current()",
        "SELECT nextval('x')", "SELECT pg_stat_file('x')", "SELECT * FROM pg_settings", "SELECT * FROM pg_stat_activity",
        // Kinds of statements.
        "SET ROLE postgres", "SET SESSION AUTHORIZATION postgres", "RESET ROLE", "SET search_path = pg_temp", "SHOW search_path",
        "COPY accounts TO STDOUT", "COPY accounts TO PROGRAM 'id'", "COPY transactions FROM PROGRAM 'id'",
        "DO $$ BEGIN PERFORM 1; END $$", "CALL tell()", "EXPLAIN ANALYZE DELETE FROM transactions", "LISTEN a", "NOTIFY a",
        "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "ROLLBACK TO wflo_statement", "RELEASE wflo_statement", "PREPARE TRANSACTION 'a'",
        "CREATE TEMP TABLE transactions (id int)", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP TABLE transactions",
        "ALTER TABLE transactions DISABLE TRIGGER ALL", "TRUNCATE transactions", "LOCK transactions", "DECLARE c CURSOR FOR SELECT 1",
        "PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE ALL", "DISCARD ALL", "GRANT ALL ON accounts TO public", "SECURITY LABEL ON ROLE a IS 'b'",
        // The host's own.
        "SELECT * FROM wflo_effects", "DELETE FROM wflo_effects", "INSERT INTO wflo_changes VALUES (DEFAULT, 1, 'a', 'b')", "DELETE FROM wflo_changes",
        "UPDATE wflo_effects SET marker = 'x'", "SELECT wflo_capture()",
    ], &granted).await;
}

/// What stands behind a point is a function where it is no column: of a value, of a row, of what a function gives.
#[tokio::test]
async fn no_function_is_called_by_a_point() {
    let granted = access(&["transactions"], &["transactions"]);
    refused(
        &[
            "SELECT ('SELECT array_to_tsvector(array[secret]) FROM accounts'::text).ts_stat",
            "SELECT t.ts_stat FROM unnest(array['SELECT array_to_tsvector(array[secret]) FROM accounts'::text]) t",
            "SELECT (x.q).ts_stat FROM (SELECT 'SELECT array_to_tsvector(array[secret]) FROM accounts'::text AS q) x",
            "WITH t AS (SELECT id FROM transactions) SELECT t.tell_of FROM t",
            "SELECT t.tell_of FROM transactions t",
            "SELECT transactions.tell_of FROM transactions",
            "SELECT (t).tell_of FROM transactions t",
            "SELECT (t.*).tell_of FROM transactions t",
            "SELECT id FROM transactions t WHERE t.tell_of IS NOT NULL",
            "SELECT id FROM transactions t ORDER BY t.tell_of",
            "UPDATE transactions SET note = transactions.tell_of",
            "UPDATE transactions t SET note = t.tell_of WHERE id = 1",
            "DELETE FROM transactions t WHERE t.tell_of = 's3cret-1'",
            "INSERT INTO transactions (id, note) SELECT 9, t.tell_of FROM transactions t",
            "INSERT INTO transactions (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = excluded.tell_of",
            "INSERT INTO transactions AS t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = t.tell_of",
            "SELECT (1.5::float8).pg_sleep",
            "SELECT (array[1.5::float8])[1].pg_sleep",
            "SELECT g.pg_sleep FROM generate_series(1, 2) g",
            "SELECT g.pg_sleep FROM generate_series(1, 2) AS g(transactions)",
            "SELECT transactions.pg_terminate_backend FROM generate_series(1, 2) AS transactions",
            "SELECT ('accounts'::text).pg_relation_size",
            "SELECT x.r.tell_of FROM (SELECT t AS r FROM transactions t) x",
            "SELECT n.version FROM transactions AS n",
        ],
        &granted,
    )
    .await;
    let columns = TableAccess::Columns(["id".to_owned()].into());
    let some = DbAccess { read: [("transactions".to_owned(), columns)].into(), ..DbAccess::default() };
    refused(&["SELECT t.tell_of FROM transactions t", "SELECT t.note FROM transactions t"], &some).await;
}

/// A value of the type of a table's rows has its columns in it.
#[tokio::test]
async fn no_value_tells_the_columns_of_a_table() {
    refused(
        &[
            "SELECT to_jsonb(jsonb_populate_record(null::accounts, '{}'::jsonb))",
            "SELECT row_to_json(null::public.accounts)",
            "SELECT to_json(cast(null AS accounts))",
            "SELECT null::accounts[]",
            "SELECT null::_accounts",
            "SELECT to_jsonb(x) FROM jsonb_to_record('{}') AS x(a accounts)",
            "SELECT x.a FROM jsonb_to_record('{\"a\": \"accounts\"}') AS x(a regclass)",
            "SELECT x.a FROM json_to_recordset('[{\"a\": \"accounts\"}]') AS x(a regclass)",
            "SELECT 'accounts'::pg_catalog.regclass",
        ],
        &access(&["transactions"], &["transactions"]),
    )
    .await;
}

/// Columns that have the names of functions are columns.
#[tokio::test]
async fn columns_with_the_names_of_functions_are_read_by_a_point() {
    let schema = "CREATE TABLE events (id int PRIMARY KEY, version text, date date, name text, tags text[], pg_sleep text);
        INSERT INTO events VALUES (1, 'v1', '2026-01-02', 'a', array['x', 'y'], 'z');
        CREATE TYPE colour AS ENUM ('red', 'green');
        CREATE TYPE place AS (street text, town text);";
    let granted = access(&["events"], &["events"]);
    let bank = bank_for(schema, &granted, PostgresOptions::default()).await;
    for sql in [
        "SELECT e.version, e.date, e.name, e.tags[1], e.pg_sleep FROM events e",
        "SELECT events.version, public.events.date FROM events",
        "WITH d AS (SELECT date, name, tags, count(*) AS count FROM events GROUP BY 1, 2, 3)
         SELECT d.date, d.name, d.count, (d.tags)[1], d.tags[2:2] FROM d WHERE d.date > '2026-01-01'",
        "SELECT x.name, x.date FROM (SELECT name, date FROM events) x JOIN events e ON e.name = x.name",
        "SELECT x.a FROM jsonb_to_record('{\"a\": \"red\"}') AS x(a colour)",
        "SELECT 'red'::colour, array['red']::colour[], '(a,b)'::place, '1 day'::interval, '{1}'::int[]",
    ] {
        let rows = bank.db.query(&statement(sql, &[]), &granted, QueryLimits::default()).await;
        assert_eq!(rows.unwrap_or_else(|error| panic!("{sql}: {error}")).rows.len(), 1, "{sql}");
    }
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    for sql in [
        "UPDATE events AS e SET name = e.version || e.pg_sleep WHERE e.date IS NOT NULL",
        "INSERT INTO events (id, name) VALUES (1, 'b') ON CONFLICT (id) DO UPDATE SET name = excluded.name || events.version",
    ] {
        let done = transaction.execute(&statement(sql, &[]), &granted).await;
        assert_eq!(done.unwrap_or_else(|error| panic!("{sql}: {error}")).changed, 1, "{sql}");
    }
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn writes_reach_what_is_granted_and_nothing_else() {
    let granted = access(&["transactions"], &["transactions"]);
    refused(
        &[
            "INSERT INTO accounts VALUES (3, 'x')",
            "UPDATE accounts SET secret = 'x'",
            "DELETE FROM accounts",
            "DELETE FROM transactions USING accounts a WHERE a.id = transactions.id",
            "UPDATE transactions SET note = a.secret FROM accounts a",
            "UPDATE transactions SET note = (SELECT secret FROM accounts LIMIT 1)",
            "INSERT INTO transactions SELECT id, 1, 1, secret FROM accounts",
            "INSERT INTO transactions VALUES (9, 1, 1, (SELECT secret FROM accounts LIMIT 1))",
            "INSERT INTO transactions VALUES (1) ON CONFLICT (id) DO UPDATE SET note = (SELECT secret FROM accounts LIMIT 1)",
            "WITH x AS (DELETE FROM accounts RETURNING *) SELECT * FROM x",
            "WITH x AS (DELETE FROM accounts RETURNING *) INSERT INTO transactions SELECT id FROM x",
            "WITH accounts AS (SELECT 1) DELETE FROM accounts",
            "MERGE INTO accounts USING transactions t ON t.id = accounts.id WHEN MATCHED THEN DELETE",
            "INSERT INTO transactions VALUES (9) RETURNING (SELECT secret FROM accounts LIMIT 1)",
        ],
        &granted,
    )
    .await;
    let writes_alone = access(&[], &["transactions"]);
    refused(
        &[
            "UPDATE transactions SET note = 'z' WHERE note = 'x'",
            "UPDATE transactions SET amount = amount + 1",
            "DELETE FROM transactions WHERE note LIKE 'x%'",
            "INSERT INTO transactions VALUES (9) RETURNING note",
        ],
        &writes_alone,
    )
    .await;
}

#[tokio::test]
async fn columns_that_are_not_granted_are_not_there() {
    let bank = vault().await;
    let columns = TableAccess::Columns(["id".to_owned()].into());
    let granted = DbAccess { read: [("accounts".to_owned(), columns)].into(), ..DbAccess::default() };
    let query = async |sql: &str| bank.db.query(&statement(sql, &[]), &granted, QueryLimits::default()).await;
    assert_eq!(query("SELECT * FROM accounts ORDER BY id").await.unwrap().columns, ["id"]);
    assert_eq!(query("SELECT count(*) FROM accounts a WHERE a.id > 1").await.unwrap().rows.len(), 1);
    for sql in [
        "SELECT secret FROM accounts",
        "SELECT accounts.secret FROM accounts",
        "SELECT id FROM accounts WHERE secret LIKE 's%'",
        "SELECT id FROM accounts ORDER BY secret",
        "SELECT id FROM accounts JOIN (VALUES ('s3cret-1')) v (secret) USING (secret)",
        "SELECT id FROM accounts GROUP BY id HAVING max(secret) > 's'",
        "SELECT a.tell_of FROM accounts a",
    ] {
        let told = query(sql).await;
        let why = match &told {
            Err(DbError::Invalid(text) | DbError::Denied(text)) => text,
            other => panic!("{sql}: {other:?}"),
        };
        assert!(!why.contains("s3cret"), "{sql}: {why}");
    }
    let natural =
        query("SELECT id FROM accounts NATURAL JOIN (VALUES ('s3cret-1')) v (secret)").await.unwrap();
    assert_eq!(natural.rows.len(), 2, "the column took part in the join");
    for row in
        [query("SELECT a FROM accounts a").await, query("SELECT to_json(accounts) FROM accounts").await]
    {
        assert!(!format!("{:?}", row.unwrap()).contains("s3cret"));
    }
}

#[tokio::test]
async fn the_roles_themselves_hold_where_nothing_is_judged() {
    let bank = vault().await;
    let (read, write) = bank.db.roles();
    for (role, sql) in [
        (read, "UPDATE accounts SET secret = 'x'"),
        (read, "SELECT * FROM wflo_effects"),
        (write.unwrap(), "SELECT * FROM wflo_effects"),
        (write.unwrap(), "DELETE FROM wflo_effects"),
        (write.unwrap(), "TRUNCATE accounts"),
        (write.unwrap(), "ALTER TABLE accounts DISABLE TRIGGER ALL"),
        (write.unwrap(), "CREATE TABLE t (a int)"),
        (write.unwrap(), "SET session_replication_role = 'replica'"),
    ] {
        let said = bank.pg.try_as(role, sql).unwrap_err();
        assert!(said.contains("permission denied") || said.contains("must be owner"), "{sql}: {said}");
    }
}

/// What the roles of a database are to be for steps with these grants.
fn needs(db: &Postgres, granted: &DbAccess) -> Preparation {
    let (reads_as, writes_as) = db.roles();
    let mut preparation = Preparation::new(reads_as, writes_as);
    preparation.grant(granted);
    preparation
}

#[tokio::test]
async fn a_role_that_may_do_more_is_refused_with_a_sentence() {
    let bank = vault().await;
    let granted = access(&["transactions", "accounts"], &["transactions", "accounts"]);
    let walls = |found: Vec<wflo_backends::db::postgres::Wall>, refused: bool| -> Vec<String> {
        found.into_iter().filter(|wall| wall.refused == refused).map(|wall| wall.why).collect()
    };
    bank.pg.sql("REVOKE EXECUTE ON FUNCTION tell() FROM public");
    let granted = needs(&bank.db, &granted);
    assert_eq!(walls(bank.db.walls(&granted).await.unwrap(), true), Vec::<String>::new());
    let narrow = needs(&bank.db, &access(&["transactions"], &["transactions"]));
    let hints = walls(bank.db.walls(&narrow).await.unwrap(), false);
    assert!(hints.iter().any(|why| why.contains("may write `accounts`")), "{hints:?}");
    let (read, write) = (bank.pg.name().to_owned() + "_read", bank.pg.name().to_owned() + "_write");
    let other = bank.pg.name().to_owned() + "_other";
    for (make, unmake, says) in [
        (
            format!("GRANT pg_read_all_data TO {read}"),
            format!("REVOKE pg_read_all_data FROM {read}"),
            "is a member of `pg_read_all_data`",
        ),
        (
            format!(
                "CREATE ROLE {other}; CREATE TABLE salaries (a int); GRANT SELECT ON salaries TO {other}; GRANT {other} TO {write}"
            ),
            format!("DROP TABLE salaries; DROP ROLE {other}"),
            "may read `salaries` as a member of another role (`",
        ),
        (
            format!("GRANT UPDATE ON accounts TO {read}"),
            format!("REVOKE UPDATE ON accounts FROM {read}"),
            "is for reading, and may write `accounts`",
        ),
        (
            format!("GRANT EXECUTE ON FUNCTION tell() TO {write}"),
            format!("REVOKE EXECUTE ON FUNCTION tell() FROM {write}"),
            "may call `tell()`",
        ),
        (
            format!("GRANT CREATE ON SCHEMA public TO {write}"),
            format!("REVOKE CREATE ON SCHEMA public FROM {write}"),
            "in schema `public`",
        ),
        (
            format!("ALTER TABLE accounts OWNER TO {write}"),
            format!("ALTER TABLE accounts OWNER TO {}_owner", bank.pg.name()),
            "owns `accounts`",
        ),
    ] {
        bank.pg.superuser(&make);
        let refused = walls(bank.db.walls(&granted).await.unwrap(), true);
        assert!(refused.iter().any(|why| why.contains(says)), "{make}: {refused:?}");
        bank.pg.superuser(&unmake);
    }
    for (attribute, says) in [
        ("SUPERUSER", "is a superuser"),
        ("BYPASSRLS", "passes by row level security"),
        ("CREATEROLE", "may make roles"),
        ("REPLICATION", "may replicate"),
    ] {
        bank.pg.superuser(&format!("ALTER ROLE {write} {attribute}"));
        // Connections that are kept were looked at when they were made.
        let db = Postgres::new(&bank.pg.url("read"), Some(&bank.pg.url("write")), PostgresOptions::default())
            .unwrap();
        let refused = walls(db.walls(&granted).await.unwrap(), true);
        assert!(refused.iter().any(|why| why.contains(says)), "{attribute}: {refused:?}");
        let denied = db.begin(&marker(1), Capture::Off).await.err();
        assert!(matches!(&denied, Some(DbError::Denied(why)) if why.contains(says)), "{denied:?}");
        bank.pg.superuser(&format!("ALTER ROLE {write} NO{attribute}"));
    }
}

#[tokio::test]
async fn rows_that_are_not_granted_are_not_there() {
    let bank = vault().await;
    bank.pg.sql("CREATE TABLE visits (id int PRIMARY KEY, patient int, ward text, note text);
                 INSERT INTO visits VALUES (1, 17, '3', 'mine'), (2, 18, '3', 's3cret'), (3, 17, '4', 's3cret-too');
                 CREATE TABLE log (note text)");
    bank.pg.sql(&format!(
        "GRANT SELECT ON visits TO {0}_read, {0}_write; GRANT INSERT ON log TO {0}_write",
        bank.pg.name()
    ));
    let rows = |filter: &str| TableAccess::new(None, Some(filter.parse().unwrap()));
    let granted = |filter: &str| DbAccess {
        read: [("visits".to_owned(), rows(filter))].into(),
        write: [("log".to_owned(), TableAccess::All), ("visits".to_owned(), rows(filter))].into(),
        ..DbAccess::default()
    };
    let mine = granted("patient = 17 AND ward = '3'");
    let query = async |sql: &str, access: &DbAccess| {
        bank.db.query(&statement(sql, &[]), access, QueryLimits::default()).await
    };
    let notes =
        |rows: wflo_model::SqlRows| rows.rows.iter().map(|row| row[0].to_string()).collect::<Vec<_>>();
    for sql in [
        "SELECT note FROM visits",
        "SELECT v.note FROM visits v JOIN visits w USING (ward)",
        "WITH all_of_it AS (SELECT * FROM visits) SELECT note FROM all_of_it",
        "SELECT note FROM visits UNION SELECT note FROM visits",
        "SELECT max(note) FROM visits",
        // A condition that would tell by an error what is in other rows never sees them.
        "SELECT note FROM visits WHERE CASE WHEN note LIKE 's3cret%' THEN 1 / (id - id) ELSE 1 END = 1",
    ] {
        assert_eq!(notes(query(sql, &mine).await.unwrap()), ["mine"], "{sql}");
    }
    // What is not written as the value is not it: the audit has digests of values.
    assert_eq!(notes(query("SELECT note FROM visits", &granted("patient = '017'")).await.unwrap()), [""; 0]);
    assert_eq!(
        notes(query("SELECT note FROM visits", &granted("patient = :inputs.patient")).await.unwrap()),
        [""; 0]
    );
    let mut transaction = begin(&bank.db, 1, Capture::Off).await;
    let copied =
        transaction.execute(&statement("INSERT INTO log SELECT note FROM visits", &[]), &mine).await.unwrap();
    assert_eq!(copied.changed, 1);
    transaction.commit().await.unwrap();
    assert_eq!(bank.pg.sql("SELECT note FROM log"), "mine");
}

/// What the owner has made for themselves reads past the grants of a step wherever PostgreSQL calls it: behind an operator,
/// a cast, the check of a domain.
const OWNERS: &str = "
    CREATE TYPE ty AS (v text); CREATE TYPE out_of AS (v text); CREATE TYPE mood AS ENUM ('well', 'ill');
    CREATE FUNCTION peek(text, int) RETURNS text LANGUAGE sql AS 'SELECT secret FROM accounts LIMIT 1';
    CREATE FUNCTION peeks(text, int) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION ''%'', (SELECT secret FROM accounts LIMIT 1); END';
    CREATE FUNCTION peekty(text) RETURNS ty LANGUAGE sql AS 'SELECT row(secret)::ty FROM accounts LIMIT 1';
    CREATE FUNCTION peekout(out_of) RETURNS text LANGUAGE sql AS 'SELECT secret FROM accounts LIMIT 1';
    CREATE FUNCTION peekdd(text) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN IF $1 IS NULL THEN RETURN true; END IF; RAISE EXCEPTION ''%'', (SELECT secret FROM accounts LIMIT 1); END';
    CREATE OPERATOR <#> (FUNCTION = peek, LEFTARG = text, RIGHTARG = int);
    CREATE OPERATOR ~~ (FUNCTION = peeks, LEFTARG = text, RIGHTARG = int);
    CREATE OPERATOR <= (FUNCTION = peeks, LEFTARG = text, RIGHTARG = int);
    CREATE CAST (text AS ty) WITH FUNCTION peekty(text) AS ASSIGNMENT;
    CREATE CAST (out_of AS text) WITH FUNCTION peekout(out_of);
    CREATE DOMAIN dd AS text CHECK (peekdd(VALUE));
    CREATE DOMAIN nested AS dd; CREATE TYPE pair AS (one int, other dd);
    CREATE DOMAIN code AS text CHECK (VALUE ~ '^[a-z]+$' AND length(VALUE) < 9 AND VALUE = lower(VALUE));
    CREATE TABLE typed (id int PRIMARY KEY, a ty, m mood, c code);
    INSERT INTO typed VALUES (1, row('x'), 'well', 'abc');
    CREATE TABLE told (id int PRIMARY KEY, o out_of);
    INSERT INTO told VALUES (1, row('x'));
    CREATE TABLE checked (id int PRIMARY KEY, d dd, other text);
    INSERT INTO checked VALUES (1, NULL, 'x');";

async fn with_owners_functions(more: &str) -> (Bank, DbAccess) {
    let tables = ["transactions", "accounts", "typed", "told", "checked"];
    let all = access(&tables, &tables);
    let bank = bank_for(&format!("{SCHEMA}{OWNERS}{more}"), &all, PostgresOptions::default()).await;
    (
        bank,
        access(&["transactions", "typed", "told", "checked"], &["transactions", "typed", "told", "checked"]),
    )
}

#[tokio::test]
async fn no_function_of_the_owner_is_called_without_its_name() {
    let (bank, granted) = with_owners_functions("").await;
    let limits = QueryLimits::default();
    let mut through = Vec::new();
    for (sql, says) in [
        ("SELECT note <#> 1 FROM transactions", "operator `<#>` calls function `peek(text,integer)`"),
        ("SELECT 'x' <#> 1", "operator `<#>`"),
        ("SELECT id FROM transactions ORDER BY note <#> 1", "operator `<#>`"),
        ("SELECT row_number() OVER (PARTITION BY note <#> 1) FROM transactions", "operator `<#>`"),
        ("SELECT max(note <#> 1) FILTER (WHERE true) FROM transactions", "operator `<#>`"),
        ("SELECT note ~~ ANY(array[1]) FROM transactions", "operator `~~`"),
        ("SELECT id FROM transactions WHERE note LIKE 1", "operator `~~`"),
        ("SELECT id FROM transactions WHERE note BETWEEN 'a' AND 1", "operator `<=`"),
        ("SELECT id FROM transactions WHERE (note, 1) <= (1, 1)", "operator `<=`"),
        ("SELECT ('x'::text)::ty", "the cast of `text` to `ty` calls function `peekty(text)`"),
        ("SELECT cast('x'::text AS public.ty)", "the cast of `text` to `ty`"),
        ("SELECT array['x'::text]::ty[]", "the cast of `text` to `ty`"),
        ("SELECT o FROM told", "the cast of `out_of` to `text`"),
        ("SELECT o::text FROM told", "the cast of `out_of` to `text`"),
        ("SELECT concat('(x)'::out_of::text)", "the cast of `out_of` to `text`"),
        ("SELECT 'x'::dd", "a check of domain `dd` calls function `peekdd(text)`"),
        ("SELECT $1::dd", "a check of domain `dd`"),
        ("SELECT dd 'x'", "a check of domain `dd`"),
        ("SELECT '{x}'::dd[]", "a check of domain `dd`"),
        ("SELECT 'x'::nested", "a check of domain `dd`"),
        ("SELECT '(1,x)'::pair", "a check of domain `dd`"),
        ("SELECT jsonb_populate_record(null::pair, '{\"other\": \"x\"}')", "a check of domain `dd`"),
        ("SELECT jsonb_populate_record(c, '{\"d\": \"x\"}') FROM checked c", "a check of domain `dd`"),
        ("SELECT x.a FROM jsonb_to_record('{\"a\": \"x\"}') AS x(a dd)", "a check of domain `dd`"),
    ] {
        let params = if sql.contains("$1") { vec![SqlValue::Text("x".into())] } else { vec![] };
        let guest = statement(sql, &params);
        let mut ends = vec![bank.db.query(&guest, &granted, limits).await.map(|rows| format!("{rows:?}"))];
        let mut transaction = begin(&bank.db, 1, Capture::Off).await;
        ends.push(transaction.query(&guest, &granted, limits).await.map(|rows| format!("{rows:?}")));
        transaction.rollback().await;
        let page = bank.db.cursor(&guest, &granted, std::time::Duration::from_secs(5)).await;
        ends.push(page.map(|_| "a page".to_owned()));
        for end in ends {
            match end {
                Err(DbError::Denied(why)) if why.contains(says) && !why.contains("s3cret") => {}
                other => through.push(format!("{sql}\n    {other:?}")),
            }
        }
    }
    for (sql, says) in [
        ("INSERT INTO typed (id, a) SELECT 2, note FROM transactions", "the cast of `text` to `ty`"),
        ("UPDATE typed SET a = c", "the cast of `text` to `ty`"),
        ("UPDATE transactions SET note = note <#> 1", "operator `<#>`"),
        ("DELETE FROM transactions WHERE note <#> 1 = 'x'", "operator `<#>`"),
        (
            "INSERT INTO transactions (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x' <#> 1",
            "operator `<#>`",
        ),
    ] {
        let mut transaction = begin(&bank.db, 1, Capture::Off).await;
        match transaction.execute(&statement(sql, &[]), &granted).await {
            Err(DbError::Denied(why)) if why.contains(says) => {}
            other => through.push(format!("{sql}\n    {other:?}")),
        }
        transaction.rollback().await;
    }
    // What is written to some rows is cast by the host.
    bank.pg.sql("CREATE TYPE other AS (v text); CREATE TABLE others (id int PRIMARY KEY, mine boolean, o other);
        CREATE FUNCTION peekother(text) RETURNS other LANGUAGE sql AS 'SELECT row(secret)::other FROM accounts LIMIT 1';
        CREATE CAST (text AS other) WITH FUNCTION peekother(text);
        CREATE FUNCTION peekrow(others) RETURNS text LANGUAGE sql AS 'SELECT secret FROM accounts LIMIT 1';
        CREATE CAST (others AS text) WITH FUNCTION peekrow(others); INSERT INTO others VALUES (1, true)");
    bank.pg.sql(&format!(
        "GRANT SELECT ON others TO {0}_read; GRANT ALL ON others TO {0}_write",
        bank.pg.name()
    ));
    let db =
        Postgres::new(&bank.pg.url("read"), Some(&bank.pg.url("write")), PostgresOptions::default()).unwrap();
    let rows = TableAccess::new(None, Some("mine = true".parse().unwrap()));
    let some = DbAccess {
        read: [("others".to_owned(), rows.clone())].into(),
        write: [("others".to_owned(), rows)].into(),
        ..DbAccess::default()
    };
    let told = db.query(&statement("SELECT t FROM others t", &[]), &access(&["others"], &[]), limits).await;
    let says = "the cast of `others` to `text` calls function `peekrow(others)`";
    assert!(matches!(&told, Err(DbError::Denied(why)) if why.contains(says)), "{told:?}");
    bank.pg.sql("DROP CAST (others AS text)");
    let db =
        Postgres::new(&bank.pg.url("read"), Some(&bank.pg.url("write")), PostgresOptions::default()).unwrap();
    let mut transaction = begin(&db, 1, Capture::Off).await;
    let told = transaction.execute(&statement("UPDATE others SET o = 'x'::text", &[]), &some).await;
    let says = "the cast of `text` to `other` calls function `peekother(text)`";
    assert!(matches!(&told, Err(DbError::Denied(why)) if why.contains(says)), "{told:?}");
    transaction.rollback().await;
    assert!(through.is_empty(), "went through:\n{}", through.join("\n"));
}

/// What is on the columns of a granted table is the owner's, and so is what is in a schema that no step's session sees.
#[tokio::test]
async fn what_calls_nothing_of_the_owners_goes_on() {
    let (bank, granted) = with_owners_functions(
        "CREATE SCHEMA apart; CREATE OPERATOR apart.= (FUNCTION = peek, LEFTARG = text, RIGHTARG = int);
         CREATE OPERATOR <-> (FUNCTION = array_cat, LEFTARG = anycompatiblearray, RIGHTARG = anycompatiblearray);
         CREATE TYPE span AS RANGE (subtype = int);
         CREATE CAST (varchar AS mood) WITH INOUT AS IMPLICIT;",
    )
    .await;
    bank.pg.superuser(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TABLE words (w citext, h hstore);
        INSERT INTO words VALUES ('Ab', 'a=>1'); GRANT SELECT ON words TO public",
    );
    let mut granted = granted;
    granted.widen(&access(&["words"], &[]));
    for sql in [
        "SELECT id, note || 'x' FROM transactions WHERE id = 1 AND amount >= 5 ORDER BY note",
        "SELECT id FROM typed WHERE m = 'well' AND c = 'abc' AND m IN ('well', 'ill')",
        "SELECT c::text, 'well'::mood, 'abc'::code, ('well'::varchar)::mood FROM typed GROUP BY c",
        "SELECT array[1] <-> array[2], '[1,2]'::span @> 1",
        "SELECT a FROM typed",
        "SELECT other FROM checked WHERE d IS NULL",
        "SELECT w FROM words WHERE w = 'aB' AND h -> 'a' = '1' AND w ILIKE 'a%'",
        "SELECT DISTINCT w::text, 'x'::citext = 'X'::citext FROM words ORDER BY 1",
    ] {
        let rows = bank.db.query(&statement(sql, &[]), &granted, QueryLimits::default()).await;
        assert_eq!(rows.unwrap_or_else(|error| panic!("{sql}: {error}")).rows.len(), 1, "{sql}");
    }
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    for sql in ["UPDATE typed SET m = 'ill' WHERE c = 'abc'", "UPDATE checked SET other = 'y' WHERE id = 1"] {
        // A value of `ty` may be written to `typed`, which its cast would make.
        let done = transaction.execute(&statement(sql, &[]), &granted).await;
        match sql.contains("typed") {
            true => assert!(matches!(done, Err(DbError::Denied(_))), "{sql}: {done:?}"),
            false => assert_eq!(done.unwrap().changed, 1, "{sql}"),
        }
    }
    let said = transaction.execute(&statement("UPDATE checked SET d = 'x'", &[]), &granted).await;
    assert!(matches!(&said, Err(DbError::Constraint(_))), "the owner's own check: {said:?}");
    transaction.rollback().await;
}

/// The order of values is a superuser's to make.
#[tokio::test]
async fn an_order_that_calls_a_function_of_the_database_is_refused() {
    let (bank, granted) = with_owners_functions(
        "CREATE FUNCTION peekcmp(ty, ty) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length(secret) FROM accounts LIMIT 1';",
    )
    .await;
    let db = &bank.db;
    bank.pg.superuser(
        "CREATE FUNCTION peeklt(json, json) RETURNS boolean LANGUAGE sql AS 'SELECT true FROM accounts LIMIT 1';
         CREATE SCHEMA apart; CREATE OPERATOR apart.< (FUNCTION = peeklt, LEFTARG = json, RIGHTARG = json);
         CREATE OPERATOR CLASS ty_order DEFAULT FOR TYPE ty USING btree AS FUNCTION 1 peekcmp(ty, ty)",
    );
    let query = async |sql: &str| db.query(&statement(sql, &[]), &granted, QueryLimits::default()).await;
    let said = query("SELECT a FROM typed ORDER BY a").await;
    assert!(matches!(&said, Err(DbError::Denied(why)) if why.contains("type `ty` is ordered")), "{said:?}");
    assert_eq!(query("SELECT id FROM transactions ORDER BY note").await.unwrap().rows.len(), 2);
}

fn columns(names: &[&str]) -> TableAccess {
    TableAccess::Columns(names.iter().map(|it| (*it).to_owned()).collect())
}

/// `id` and `account` of `transactions` may be read, and `amount` written.
fn some_columns() -> DbAccess {
    DbAccess {
        read: [("transactions".to_owned(), columns(&["id", "account"]))].into(),
        write: [("transactions".to_owned(), columns(&["amount"]))].into(),
        ..DbAccess::default()
    }
}

#[tokio::test]
async fn a_role_that_may_do_more_with_a_granted_table_is_refused() {
    let schema = format!("{SCHEMA} DROP FUNCTION tell(); CREATE TABLE other (a int);");
    let bank = bank_for(&schema, &some_columns(), PostgresOptions::default()).await;
    let needs = needs(&bank.db, &some_columns());
    let name = bank.pg.name().to_owned();
    let walls = async || bank.db.walls(&needs).await.unwrap();
    assert_eq!(walls().await, []);
    for (make, unmake, refused, says) in [
        (
            "CREATE ROLE {}_group; GRANT SELECT ON transactions TO {}_group; GRANT {}_group TO {}_read",
            "REVOKE ALL ON transactions FROM {}_group; DROP ROLE {}_group",
            true,
            "`{}_read` may read all of `transactions` as a member of another role (`{}_group`), and no step is granted that",
        ),
        (
            "CREATE ROLE {}_group; GRANT UPDATE ON transactions TO {}_group; GRANT {}_group TO {}_write",
            "REVOKE ALL ON transactions FROM {}_group; DROP ROLE {}_group",
            true,
            "`{}_write` may update all of `transactions` as a member of another role (`{}_group`), and no step is granted that",
        ),
        (
            "GRANT SELECT ON transactions TO {}_read",
            "REVOKE SELECT ON transactions FROM {}_read; GRANT SELECT (id, account) ON transactions TO {}_read",
            true,
            "`{}_read` may read all of `transactions`, and no step is granted that; `wflo db prepare` takes it away",
        ),
        (
            "GRANT SELECT (note) ON transactions TO {}_read",
            "REVOKE SELECT (note) ON transactions FROM {}_read",
            true,
            "`{}_read` may read column `note` of `transactions`, and no step is granted that",
        ),
        (
            "GRANT INSERT, DELETE ON transactions TO {}_write",
            "REVOKE INSERT, DELETE ON transactions FROM {}_write",
            true,
            "`{}_write` may delete from `transactions`, and no step is granted that",
        ),
        (
            "GRANT SELECT ON transactions TO PUBLIC",
            "REVOKE SELECT ON transactions FROM PUBLIC",
            true,
            "`{}_read` may read all of `transactions` as every role may (`PUBLIC`), and no step is granted that",
        ),
        (
            "GRANT SELECT ON other TO PUBLIC",
            "REVOKE SELECT ON other FROM PUBLIC",
            false,
            "`{}_read` may read `other` as every role may (`PUBLIC`), and no step of this workflow is granted that",
        ),
        (
            "GRANT SELECT, DELETE ON wflo_effects TO {}_write",
            "REVOKE SELECT, DELETE ON wflo_effects FROM {}_write",
            true,
            "`{}_write` may delete from `wflo_effects`, where the host keeps what steps have done",
        ),
        (
            "GRANT CREATE ON DATABASE {} TO {}_write",
            "REVOKE CREATE ON DATABASE {} FROM {}_write",
            true,
            "`{}_write` may make schemas in this database",
        ),
        (
            "ALTER ROLE {}_read CREATEDB",
            "ALTER ROLE {}_read NOCREATEDB",
            true,
            "`{}_read` may make databases",
        ),
        (
            "ALTER FUNCTION lower(int) OWNER TO {}_write",
            "ALTER FUNCTION lower(int) OWNER TO {}_owner",
            true,
            "`{}_write` owns function lower(integer)",
        ),
    ] {
        bank.pg.superuser(&make.replace("{}", &name));
        let found = walls().await;
        let says = says.replace("{}", &name);
        assert!(found.iter().any(|it| it.refused == refused && it.why.contains(&says)), "{says}: {found:?}");
        bank.pg.superuser(&unmake.replace("{}", &name));
        assert_eq!(walls().await, [], "{unmake}");
    }
}

#[tokio::test]
async fn what_a_role_lacks_is_said() {
    let bank = bank_for(SCHEMA, &some_columns(), PostgresOptions::default()).await;
    bank.pg.sql("DROP FUNCTION tell(); CREATE SCHEMA sales; CREATE TABLE sales.items (id int PRIMARY KEY)");
    let more = access(&["sales.items", "accounts", "nosuch"], &["sales.items"]);
    let mut needs = needs(&bank.db, &some_columns());
    needs.grant(&more);
    needs.undo(&some_columns());
    let name = bank.pg.name();
    let mut found = bank.db.walls(&needs).await.unwrap();
    assert!(found.iter().all(|wall| wall.refused));
    let until = "until its owner has run what `wflo db prepare` prints";
    let expect = [
        format!("login role `{name}_read` may not use schema `sales`, of which tables are granted, {until}"),
        format!("login role `{name}_read` may not read `accounts`, `sales.items`, which steps need, {until}"),
        format!("login role `{name}_write` may not use schema `sales`, of which tables are granted, {until}"),
        format!(
            "login role `{name}_write` may not delete from `sales.items`; insert into `sales.items`; read `accounts`, \
             `sales.items`; update `sales.items`, `transactions`, which steps need, {until}"
        ),
    ];
    assert_eq!(found.drain(..).map(|wall| wall.why).collect::<Vec<_>>(), expect);
    assert_eq!(bank.db.absent(&needs.tables()).await.unwrap(), ["nosuch"]);
}

#[tokio::test]
async fn to_prepare_again_takes_away_what_is_not_granted_any_more() {
    let wide = access(&["transactions", "accounts"], &["transactions", "accounts"]);
    let bank = bank_for(SCHEMA, &wide, PostgresOptions::default()).await;
    bank.pg
        .sql("DROP FUNCTION tell(); CREATE SCHEMA sales; CREATE TABLE sales.items (id serial PRIMARY KEY)");
    bank.pg.sql(&format!("GRANT ALL ON sales.items, wflo_effects TO {}_write", bank.pg.name()));
    let mut narrow = needs(&bank.db, &some_columns());
    narrow.run(&bank.pg.url("owner")).await.unwrap();
    assert_eq!(bank.db.walls(&narrow).await.unwrap(), []);
    let (read, write) = (bank.pg.name().to_owned() + "_read", bank.pg.name().to_owned() + "_write");
    for (role, sql) in [
        (&read, "SELECT id FROM accounts"),
        (&read, "SELECT note FROM transactions"),
        (&write, "UPDATE transactions SET note = 'z'"),
        (&write, "DELETE FROM transactions"),
        (&write, "SELECT id FROM accounts"),
        (&write, "DELETE FROM wflo_effects"),
        (&write, "SELECT id FROM sales.items"),
    ] {
        let said = bank.pg.try_as(role, sql).unwrap_err();
        assert!(said.contains("permission denied"), "{sql}: {said}");
    }
    bank.pg.try_as(&read, "SELECT id, account FROM transactions").unwrap();
    bank.pg.try_as(&write, "UPDATE transactions SET amount = 3").unwrap();
    // Another schema is opened with its tables.
    narrow.grant(&access(&["sales.items"], &["sales.items"]));
    narrow.run(&bank.pg.url("owner")).await.unwrap();
    assert_eq!(bank.db.walls(&narrow).await.unwrap(), []);
    let granted = access(&["sales.items"], &["sales.items"]);
    let mut transaction = begin(&bank.db, 1, Capture::On).await;
    let insert = statement("INSERT INTO sales.items DEFAULT VALUES", &[]);
    assert_eq!(transaction.execute(&insert, &granted).await.unwrap().changed, 1);
    transaction.commit().await.unwrap();
}

/// A filter looks at a column that the step itself does not see.
#[tokio::test]
async fn a_role_may_read_the_columns_of_row_filters() {
    let filter = "account = 1".parse().unwrap();
    let rows = TableAccess::new(Some(["amount".to_owned()].into()), Some(filter));
    let granted = DbAccess { read: [("transactions".to_owned(), rows)].into(), ..DbAccess::default() };
    let bank = bank_for(SCHEMA, &granted, PostgresOptions::default()).await;
    let rows =
        bank.db.query(&statement("SELECT * FROM transactions", &[]), &granted, QueryLimits::default()).await;
    assert_eq!(rows.unwrap().columns, ["amount"]);
}
