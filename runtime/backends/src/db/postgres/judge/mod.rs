//! The second wall: a statement is taken apart, and everything in it that is not on a list is refused.
//!
//! The first wall is the login role, which the server holds to its grants whatever the text says. This one keeps each
//! step to *its own* grants within those of the role, and to functions that compute from their arguments alone. What is
//! sent is what was judged: see [`text`].
//!
//! - **Tables**: every name where a table can stand needs a grant, unless it is that of a common table expression in
//!   whose scope it stands. Grants name tables as PostgreSQL has them: an unquoted name is lower case, and a table of
//!   another schema is granted as `schema.table`.
//! - **Columns and rows**: where a grant names some, the table is replaced by a subquery of just these. A write of some
//!   rows is cut into [`pieces`], of which another statement is made.
//! - **What stands behind a point** is a column, or a function of what stands before it: the database is asked which, since
//!   the text does not tell ([`doubts`]). Neither is a value made the row of a table, whose columns it would tell.
//! - **What no name stands for**, such as the functions behind operators and casts, is the server's own or an extension's
//!   ([`unsaid`]).
//! - **Writes** are `INSERT`, `UPDATE` and `DELETE`, one a statement. `UPDATE` and `DELETE` that look at their table need
//!   to read it as well.

mod columns;
mod doubts;
mod functions;
mod name;
mod pieces;
mod rows;
pub(super) mod text;
mod unsaid;
mod walk;

use std::collections::BTreeSet;

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use wflo_model::DbAccess;
use wflo_ports::DbError;

use doubts::Doubts;
use text::Text;
use unsaid::Unsaid;
use walk::{Found, Walk};

use super::login::Lent;

pub(super) use pieces::{Reach, SomeRows, SomeWrite};
pub(super) use rows::all_of;
pub(super) use unsaid::Calls;

/// What a statement is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Rows, in a snapshot of its own.
    Query,
    /// Rows, within a transaction.
    TransactionQuery,
    /// Changes.
    Execute,
}

/// A statement that may be executed.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// What is sent.
    pub(super) sql: String,
    /// The tables it reads, as grants name them.
    pub(super) read: BTreeSet<String>,
    /// The table it writes, as a grant names it.
    pub(super) written: BTreeSet<String>,
    /// Where it may touch some rows only, what is to be sent instead.
    pub(super) some_rows: Option<SomeRows>,
    doubts: Doubts,
    unsaid: Unsaid,
}

impl Judged {
    /// Settles with the database what the text alone does not tell, before anything is sent.
    ///
    /// # Errors
    /// [`DbError::Denied`] where a function would be called that a step may not call, or the columns of a table be told.
    pub(super) async fn settle(&self, lent: &Lent) -> Result<(), DbError> {
        self.doubts.settle(lent).await?;
        let calls = lent.calls().await?;
        let tables = [&self.read, &self.written];
        self.unsaid.settle(lent, &calls, self.doubts.types(), tables, self.some_rows.is_some()).await
    }
}

/// What is judged where it was asked for; more has a stack of its own. A chain such as `1 + 1 + ..` is a tree as deep as it
/// is long, which is walked through and taken down by recursion.
const SHALLOW: usize = 48;
const DEEPEST: usize = 2_000;
/// Some 16 KiB a level are taken where nothing is optimised.
const STACK: usize = 128 << 20;

/// Judges a statement.
///
/// # Errors
/// [`DbError::Denied`] for anything `access` does not allow, [`DbError::Invalid`] for what is not understood.
pub(super) fn judge(sql: &str, access: &DbAccess, purpose: Purpose) -> Result<Judged, DbError> {
    let text = Text::read(sql)?;
    match text.depth() {
        depth if depth <= SHALLOW => judge_text(&text, access, purpose),
        depth if depth <= DEEPEST => {
            let judging = || judge_text(&text, access, purpose);
            std::thread::scope(|scope| {
                let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, judging);
                let thread = thread.map_err(|error| DbError::Unavailable(error.to_string()))?;
                thread
                    .join()
                    .unwrap_or_else(|_| Err(DbError::Other("the statement could not be judged".into())))
            })
        }
        _ => Err(DbError::Limit(format!(
            "the statement has more than {DEEPEST} words and signs; pass values as parameters, or send it in parts"
        ))),
    }
}

fn judge_text(text: &Text, access: &DbAccess, purpose: Purpose) -> Result<Judged, DbError> {
    let parsed =
        Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(text.tokens()).parse_statements();
    let statement = match parsed.as_deref() {
        Ok([statement]) => statement,
        Ok(_) => return Err(DbError::Invalid("the statement is not one".into())),
        Err(error) => return Err(not_understood(text, &error.to_string())),
    };
    match (purpose, statement) {
        (_, Statement::Query(_)) => {}
        (_, Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_)) => {}
        _ => return Err(DbError::Denied(format!("`{}` is never open to a step", text.first_word()))),
    }
    let mut walk = Walk::new(access, purpose);
    walk.statement(statement)?;
    let Found { read, written, reach, instead, doubts } = walk.finish();
    match (purpose, written.is_empty()) {
        (Purpose::Execute, true) => {
            return Err(DbError::Invalid("the statement changes nothing; use `query`".into()));
        }
        (Purpose::Query | Purpose::TransactionQuery, false) => {
            return Err(DbError::Denied("a query only reads; use `execute`".into()));
        }
        _ => {}
    }
    let some_rows = reach.map(|reach| pieces::cut(text, &instead, statement, reach)).transpose()?;
    let unsaid = Unsaid::of(text, access);
    Ok(Judged { sql: text.write(&instead), read, written, some_rows, doubts, unsaid })
}

/// What the parser says, without places that are none of the guest's text. Statements that no grant opens are often none
/// it knows either.
fn not_understood(text: &Text, said: &str) -> DbError {
    let said = said.trim_start_matches("sql parser error: ");
    let said = said.split(" at Line:").next().unwrap_or(said);
    match text.first_word().as_str() {
        "SELECT" | "VALUES" | "WITH" | "INSERT" | "UPDATE" | "DELETE" | "TABLE" => {
            let hint = match text.has_question() {
                true => "; a parameter is written `$1` or `?1`",
                false => "",
            };
            DbError::Invalid(format!("the statement is not understood: {said}{hint}"))
        }
        other => DbError::Denied(format!("`{other}` is never open to a step")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wflo_model::{DbAccess, TableAccess};
    use wflo_ports::DbError;

    use super::{Purpose, judge};

    fn access() -> DbAccess {
        let columns =
            |names: &[&str]| TableAccess::Columns(names.iter().map(|it| (*it).to_owned()).collect());
        DbAccess {
            read: [
                ("orders".to_owned(), TableAccess::All),
                ("people".to_owned(), columns(&["id", "name"])),
                ("sales.items".to_owned(), TableAccess::All),
            ]
            .into(),
            write: [("orders".to_owned(), TableAccess::All), ("log".to_owned(), TableAccess::All)].into(),
            ..DbAccess::default()
        }
    }

    #[track_caller]
    fn allowed(purpose: Purpose, sql: &str) -> String {
        judge(sql, &access(), purpose).unwrap_or_else(|error| panic!("{sql}: {error}")).sql
    }

    #[track_caller]
    fn refused(purpose: Purpose, sql: &str) {
        match judge(sql, &access(), purpose) {
            Err(DbError::Denied(_) | DbError::Invalid(_)) => {}
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn honest_statements_pass() {
        for sql in [
            "SELECT * FROM orders",
            "SELECT o.id, count(*) FILTER (WHERE amount > 1) FROM orders o GROUP BY 1 HAVING sum(amount) > $1",
            "WITH big AS (SELECT * FROM orders WHERE amount > 10) SELECT * FROM big ORDER BY id LIMIT 5 OFFSET 1",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT i FROM n",
            "SELECT a.id FROM orders a JOIN orders b ON a.id = b.id LEFT JOIN sales.items i USING (id)",
            "SELECT id FROM orders WHERE id = ANY($1) AND note ILIKE '%x%' AND at >= now() - interval '1 day'",
            "SELECT CASE WHEN amount > 1 THEN 'a' ELSE 'b' END, amount::numeric(10,2), CAST(id AS text) FROM orders",
            "SELECT data->>'a', data @> '{\"a\":1}', (data #>> '{a,b}') FROM orders",
            "SELECT x.a FROM jsonb_array_elements_text($1::jsonb) AS x(a), generate_series(1, 3) g",
            "SELECT row_number() OVER (PARTITION BY account ORDER BY id DESC) FROM orders",
            "SELECT EXTRACT(year FROM at), date_trunc('day', at), substring(note FROM 1 FOR 2), trim(note) FROM orders",
            "SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM orders o2 WHERE o2.id = orders.id)",
            "VALUES (1, 'a'), (2, 'b')",
            "SELECT array_agg(id ORDER BY id DESC), string_agg(note, ',') FROM orders",
            "SELECT DISTINCT ON (account) account FROM orders ORDER BY account, id FETCH FIRST 3 ROWS ONLY",
            "SELECT current_date, coalesce(note, ''), nullif(id, 1), greatest(1, 2) FROM ONLY_ALIAS_IS_FINE",
        ] {
            let sql = sql.replace("ONLY_ALIAS_IS_FINE", "orders");
            allowed(Purpose::Query, &sql);
            refused(Purpose::Execute, &sql);
        }
        for sql in [
            "INSERT INTO log (what) VALUES ($1)",
            "INSERT INTO log SELECT note FROM orders",
            "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = excluded.note",
            "INSERT INTO log VALUES (DEFAULT, 1)",
            "UPDATE orders SET note = 'x' WHERE id = $1",
            "UPDATE orders AS o SET note = i.note FROM sales.items i WHERE i.id = o.id RETURNING o.id",
            "UPDATE log SET what = $1",
            "DELETE FROM orders USING sales.items i WHERE i.id = orders.id",
            "DELETE FROM log",
            "WITH old AS (SELECT id FROM orders WHERE amount < 0) DELETE FROM orders WHERE id IN (SELECT id FROM old)",
        ] {
            let judged =
                judge(sql, &access(), Purpose::Execute).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert_eq!(judged.written.len(), 1, "{sql}");
            refused(Purpose::Query, sql);
        }
    }

    #[test]
    fn a_parameter_without_a_number_is_told_how_it_is_written() {
        for sql in [
            "SELECT * FROM orders WHERE id = ?",
            "SELECT * FROM orders WHERE id=? AND note = 'x'",
            "SELECT * FROM orders LIMIT ?",
            "SELECT ?",
            "SELECT * FROM orders WHERE id IN (?, ?)",
        ] {
            let error = judge(sql, &access(), Purpose::Query).unwrap_err().to_string();
            assert!(error.ends_with("a parameter is written `$1` or `?1`"), "{sql}: {error}");
        }
        let error = judge("INSERT INTO log VALUES (?, ?)", &access(), Purpose::Execute).unwrap_err();
        assert!(error.to_string().ends_with("a parameter is written `$1` or `?1`"), "{error}");
    }

    #[test]
    fn columns_that_are_granted_are_all_there_is() {
        assert_eq!(
            allowed(Purpose::Query, "SELECT p.*, people.secret FROM people, people p"),
            "SELECT p . * , people . secret FROM ( SELECT \"id\" , \"name\" FROM \"people\" ) AS \"people\" , \
             ( SELECT \"id\" , \"name\" FROM \"people\" ) p"
        );
        assert!(allowed(Purpose::Query, "SELECT id FROM people AS q").ends_with("FROM \"people\" ) AS q"));
    }

    #[test]
    fn a_statement_that_is_as_deep_as_it_is_long_is_judged_all_the_same() {
        // As little stack as any thread of the host has.
        let judged = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
            for (signs, sign) in [
                (46, "+ 1"),
                (1_998, "+ 1"),
                (1_998, "OR 1"),
                (999, ":: int"),
                (1_998, "|| 1"),
                (1_998, "ISNULL"),
            ] {
                let sql = format!("SELECT 1 {}", vec![sign; signs].join(" "));
                let judged = judge(&sql, &access(), Purpose::Query);
                assert!(
                    !matches!(judged, Err(DbError::Limit(_) | DbError::Other(_))),
                    "{signs} {sign}: {judged:?}"
                );
            }
            let unions = vec!["SELECT 1"; 1_000].join(" UNION ");
            assert!(judge(&unions, &access(), Purpose::Query).is_ok());
            let long = format!("SELECT 1 {}", vec!["+ 1"; 2_000].join(" "));
            assert!(matches!(judge(&long, &access(), Purpose::Query), Err(DbError::Limit(_))));
            let rows = format!("INSERT INTO log VALUES {}", vec!["(1, NULL, 'x', $1)"; 5_000].join(", "));
            assert!(judge(&rows, &access(), Purpose::Execute).is_ok());
            let nested = format!("SELECT {}1{}", "(".repeat(9_000), ")".repeat(9_000));
            assert!(judge(&nested, &access(), Purpose::Query).is_err());
        });
        judged.unwrap().join().unwrap();
    }

    #[test]
    fn the_tables_are_told() {
        let judged = judge(
            "INSERT INTO log SELECT o.note FROM orders o, sales.items WHERE o.id IN (SELECT id FROM people)",
            &access(),
            Purpose::Execute,
        )
        .unwrap();
        let set = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(judged.read, set(&["orders", "people", "sales.items"]));
        assert_eq!(judged.written, set(&["log"]));
    }

    #[test]
    fn a_name_of_a_common_table_expression_opens_no_table() {
        // It is the table itself, not the expression: that is not recursive.
        refused(Purpose::Query, "WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets");
        refused(Purpose::Query, "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a");
        refused(
            Purpose::Query,
            "SELECT * FROM (WITH secrets AS (SELECT 1) SELECT * FROM secrets) x, secrets",
        );
        refused(Purpose::Query, "WITH orders AS (SELECT 1) SELECT * FROM orders, secrets");
        refused(Purpose::Query, "WITH secrets AS (SELECT 1) SELECT * FROM public.secrets");
        refused(Purpose::Query, "WITH \"Secrets\" AS (SELECT 1) SELECT * FROM secrets");
        refused(Purpose::Execute, "WITH secrets AS (SELECT 1) DELETE FROM secrets");
        allowed(Purpose::Query, "WITH SECRETS AS (SELECT 1) SELECT * FROM secrets");
        allowed(
            Purpose::Query,
            "WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b, (SELECT * FROM a) c",
        );
    }

    #[test]
    #[rustfmt::skip]
    fn what_is_on_no_list_is_refused() {
        for sql in [
            "SELECT * FROM secrets", "SELECT 1 FROM orders, secrets", "TABLE secrets", "TABLE orders",
            "SELECT * FROM \"ORDERS\"", "SELECT * FROM public.orders", "SELECT * FROM pg_catalog.pg_authid",
            "SELECT * FROM pg_roles", "SELECT * FROM information_schema.tables", "SELECT * FROM wflo_effects",
            "SELECT (SELECT secret FROM secrets)", "SELECT id FROM orders WHERE id IN (SELECT id FROM secrets)",
            "SELECT id FROM orders UNION SELECT id FROM secrets", "SELECT id FROM orders UNION TABLE secrets",
            "SELECT id FROM orders ORDER BY (SELECT max(id) FROM secrets)",
            "SELECT sum(id) OVER (ORDER BY (SELECT id FROM secrets)) FROM orders",
            "SELECT count(*) FILTER (WHERE (SELECT true FROM secrets)) FROM orders",
            "SELECT id FROM orders LIMIT (SELECT count(*) FROM secrets)",
            "SELECT array(SELECT id FROM secrets)", "SELECT * FROM orders, LATERAL (SELECT * FROM secrets) s",
            "SELECT * FROM orders TABLESAMPLE SYSTEM (10)", "SELECT * INTO copy FROM orders",
            "SELECT * FROM orders FOR UPDATE", "SELECT set_config('role', 'postgres', false)",
            "SELECT pg_catalog.set_config('role', 'x', true)", "SELECT pg_sleep(1)", "SELECT pg_read_file('/etc/passwd')",
            "SELECT * FROM pg_ls_dir('.')", "SELECT lo_import('/etc/passwd')", "SELECT nextval('orders_id_seq')",
            "SELECT * FROM dblink('x', 'SELECT 1') AS t(a int)", "SELECT query_to_xml('SELECT 1', true, true, '')",
            "SELECT current_user", "SELECT session_user", "SELECT user", "SELECT current_setting('x')", "SELECT version()",
            "SELECT 'secrets'::regclass", "SELECT CAST('f' AS regproc)", "SELECT regclass 'secrets'",
            "SELECT \"lower\"('X'), \"PG_SLEEP\"(1)", "SELECT owner_function(1)", "SELECT public.lower('x')",
            "SELECT 1 OPERATOR(pg_catalog.+) 2", "SELECT id FROM orders ORDER BY id USING <",
            "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
            "WITH x AS (INSERT INTO orders VALUES (1) RETURNING *) SELECT * FROM x",
            "EXPLAIN SELECT 1", "COPY orders TO PROGRAM 'id'", "COPY (SELECT 1) TO STDOUT", "DO $$ BEGIN END $$",
            "SET role postgres", "RESET ALL", "SHOW all", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "CALL p()",
            "CREATE TABLE t (a int)", "DROP TABLE orders", "ALTER TABLE orders ADD b int", "GRANT ALL ON orders TO public",
            "TRUNCATE orders", "LOCK TABLE orders", "LISTEN x", "NOTIFY x", "PREPARE p AS SELECT 1", "EXECUTE p",
            "DECLARE c CURSOR FOR SELECT 1", "FETCH 1 FROM c", "VACUUM", "ANALYZE", "CLUSTER", "DISCARD ALL",
            "MERGE INTO orders USING log ON true WHEN MATCHED THEN DELETE", "SECURITY LABEL ON TABLE t IS 'x'",
            "REFRESH MATERIALIZED VIEW v", "CREATE TEMP VIEW v AS SELECT 1", "LOAD 'x'", "CHECKPOINT",
        ] {
            refused(Purpose::Query, sql);
            refused(Purpose::TransactionQuery, sql);
            refused(Purpose::Execute, sql);
        }
        for sql in [
            "INSERT INTO secrets VALUES (1)", "INSERT INTO log SELECT secret FROM secrets", "DELETE FROM secrets",
            "UPDATE log SET what = 'x' WHERE what = 'y'", "DELETE FROM log WHERE what = 'y'",
            "UPDATE log SET what = what || 'x'", "INSERT INTO log VALUES (1) RETURNING *",
            "UPDATE log SET what = (SELECT log.what FROM orders)", "DELETE FROM log RETURNING what",
            "INSERT INTO log VALUES (1) ON CONFLICT (id) DO UPDATE SET what = log.what",
            "UPDATE people SET name = 'x'", "DELETE FROM orders USING secrets s WHERE s.id = orders.id",
            "UPDATE orders SET note = s.a FROM secrets s", "INSERT INTO wflo_effects VALUES (1)",
            "INSERT INTO orders SELECT nextval('x')", "UPDATE orders SET note = pg_sleep(1)::text",
            "INSERT INTO log VALUES (random())", "INSERT INTO log VALUES (gen_random_uuid())",
        ] {
            refused(Purpose::Execute, sql);
        }
        allowed(Purpose::Query, "SELECT random(), gen_random_uuid()");
        refused(Purpose::TransactionQuery, "SELECT random()");
    }

    #[test]
    fn a_write_of_columns_updates_and_reads_no_others() {
        let columns =
            |names: &[&str]| TableAccess::Columns(names.iter().map(|it| (*it).to_owned()).collect());
        let access = DbAccess {
            read: [("orders".to_owned(), columns(&["id"]))].into(),
            write: [("orders".to_owned(), columns(&["note"]))].into(),
            ..DbAccess::default()
        };
        assert!(judge("UPDATE orders SET note = 'x' WHERE id = 1", &access, Purpose::Execute).is_ok());
        for sql in [
            "UPDATE orders SET amount = 1",
            "UPDATE orders SET (note, amount) = ('x', 1)",
            "UPDATE orders SET note = amount::text",
            "UPDATE orders SET note = 'x' WHERE amount = 1",
            "UPDATE orders SET note = orders::text",
            "UPDATE orders SET note = 'x' RETURNING *",
            "INSERT INTO orders (note) VALUES ('x')",
            "DELETE FROM orders",
        ] {
            assert!(matches!(judge(sql, &access, Purpose::Execute), Err(DbError::Denied(_))), "{sql}");
        }
    }

    #[test]
    fn a_named_statement_reaches_every_table_but_the_hosts() {
        let whole = DbAccess::whole();
        assert!(judge("SELECT * FROM secrets WHERE id = :id", &whole, Purpose::Query).is_ok());
        assert!(judge("SELECT * FROM sales.items", &whole, Purpose::Query).is_ok());
        for sql in ["SELECT * FROM wflo_changes", "SELECT * FROM pg_authid", "SELECT pg_sleep(1)"] {
            assert!(judge(sql, &whole, Purpose::Query).is_err(), "{sql}");
        }
    }
}
