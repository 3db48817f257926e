//! What a statement calls without saying so: the functions behind operators, casts, the order of values and the checks of
//! domains. They are the owner's where the owner has made them, and may do whatever the login role may, past what the step
//! is granted.
//!
//! Which function it is follows from the types of values, which the text does not tell. So it is not asked what a statement
//! calls, but what it could: the database tells once in a while which [`Calls`] there are in it that nobody has judged
//! (mostly none), and a statement is refused that has the sign of such an operator in it, or a type that such a function
//! is about.
//!
//! Judged is what PostgreSQL brings, as far as it always computes the same of the same or is on the list of functions, and
//! what belongs to an extension, whose operators and casts are its purpose. Operators are found by the search path alone,
//! which is the first schema of the role's: one in another schema is none.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::tokenizer::Token;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use wflo_model::{DbAccess, RowTest};
use wflo_ports::DbError;

use super::functions::PURE;
use super::text::Text;
use crate::db::postgres::error::translate;
use crate::db::postgres::table::qualified;

/// The first number that PostgreSQL gives to what is made in a database.
const FIRST: &str = "16384";

/// When a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Its operator stands in the statement.
    Sign,
    /// The type stands in the statement.
    Named,
    /// A value is cast to the type: it stands in the statement, or the host casts what is written to some rows.
    Cast,
    /// A value of the type is written to a table, or named.
    Written,
    /// A value of the type is in a table that the statement reads or writes, or named.
    Seen,
    /// Whatever the statement is.
    Always,
}

#[derive(Clone, Debug)]
struct Call {
    when: When,
    sign: String,
    types: Vec<u32>,
    /// A sentence about it, without its end.
    why: String,
}

/// The functions of a database that are called without being named, and that nobody has judged.
#[derive(Clone, Debug, Default)]
pub(in crate::db::postgres) struct Calls(Vec<Call>);

impl Calls {
    /// Asks the database.
    pub(in crate::db::postgres) async fn look_up(client: &Client) -> Result<Self, DbError> {
        let rows = client.query_typed(&calls(), &[(&PURE, Type::TEXT_ARRAY)]).await.map_err(translate)?;
        let call = |row: &tokio_postgres::Row| {
            let when = match row.try_get(0)? {
                "sign" => When::Sign,
                "named" => When::Named,
                "cast" => When::Cast,
                "written" => When::Written,
                "seen" => When::Seen,
                _ => When::Always,
            };
            Ok(Call { when, sign: row.try_get(1)?, types: row.try_get(2)?, why: row.try_get(3)? })
        };
        rows.iter().map(call).collect::<Result<_, _>>().map(Self).map_err(translate)
    }

    /// A sentence about each, for whoever looks after the database.
    pub(in crate::db::postgres) fn sentences(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|call| call.why.as_str())
    }
}

/// Whether the object `oid` of a catalog came with an extension.
fn is_extensions(catalog: &str, oid: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass
            AND e.objid = {oid} AND e.deptype = 'e')"
    )
}

/// Whether the function `p` has been judged. One that makes a cast of the server's own is open to every step.
fn is_judged() -> String {
    format!(
        "(p.oid < {FIRST} AND (p.provolatile = 'i' OR p.proname = ANY ($1)
            OR EXISTS (SELECT FROM pg_catalog.pg_cast c WHERE c.castfunc = p.oid AND c.oid < {FIRST}))
          OR p.provolatile = 'i' AND {})",
        is_extensions("pg_proc", "p.oid")
    )
}

/// The query of all calls: when they are made, the sign of an operator, types, and a sentence. Its parameter is the list of
/// functions.
fn calls() -> String {
    let (judged, by_extension) = (is_judged(), is_extensions);
    let operator = format!(
        "o.oid >= {FIRST} AND NOT {} AND EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.oid = o.oprcode AND NOT {judged})",
        by_extension("pg_operator", "o.oid")
    );
    let orders = format!(
        "CASE WHEN l.of < {FIRST} AND l.against < {FIRST} THEN 'always' ELSE 'seen' END, '', ARRAY[l.of, l.against],
         pg_catalog.format('type `%s` is ordered or told apart by function `%s` of this database', l.of::pg_catalog.regtype,
             l.by::pg_catalog.regprocedure)"
    );
    format!(
        "SELECT 'sign', o.oprname::text, '{{}}'::oid[],
            pg_catalog.format('operator `%s` calls function `%s` of this database', o.oprname,
                o.oprcode::pg_catalog.oid::pg_catalog.regprocedure)
         FROM pg_catalog.pg_operator o WHERE {operator} AND pg_catalog.pg_operator_is_visible(o.oid)
         UNION ALL
         SELECT CASE WHEN c.casttarget < {FIRST} AND c.castsource < {FIRST} THEN 'always'
                     WHEN c.casttarget < {FIRST} THEN 'seen'
                     WHEN c.castcontext = 'i' AND {} THEN 'always'
                     WHEN c.castcontext = 'i' THEN 'seen' WHEN c.castcontext = 'a' THEN 'written' ELSE 'cast' END, '',
            ARRAY[CASE WHEN c.casttarget < {FIRST} THEN c.castsource ELSE c.casttarget END],
            pg_catalog.format('the cast of `%s` to `%s` calls function `%s` of this database',
                c.castsource::pg_catalog.regtype, c.casttarget::pg_catalog.regtype, p.oid::pg_catalog.regprocedure)
         FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc
         WHERE c.oid >= {FIRST} AND NOT {} AND NOT {judged}
         UNION ALL
         SELECT 'named', '', ARRAY[t.oid],
            pg_catalog.format('a check of domain `%s` calls function `%s` of this database', t.oid::pg_catalog.regtype, f.by)
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_type t ON t.oid = k.contypid
         CROSS JOIN LATERAL (
            SELECT p.oid::pg_catalog.regprocedure::text AS by FROM pg_catalog.pg_proc p WHERE NOT {judged} AND p.oid IN (
                SELECT d.refobjid FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
                    AND d.objid = k.oid AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                UNION ALL
                SELECT o.oprcode FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_operator o ON o.oid = d.refobjid
                WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid
                    AND d.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND {operator}
                UNION ALL
                SELECT m[1]::oid FROM pg_catalog.regexp_matches(k.conbin::text, ':funcid ([0-9]+)', 'g') AS m)
            LIMIT 1) AS f
         WHERE k.contypid <> 0 AND NOT {}
         UNION ALL
         SELECT 'seen', '', ARRAY[r.rngtypid], pg_catalog.format('range type `%s` calls function `%s` of this database',
            r.rngtypid::pg_catalog.regtype, p.oid::pg_catalog.regprocedure)
         FROM pg_catalog.pg_range r JOIN pg_catalog.pg_proc p ON p.oid IN (r.rngcanonical, r.rngsubdiff)
         WHERE r.rngtypid >= {FIRST} AND NOT {} AND NOT {judged}
         UNION ALL
         SELECT {orders} FROM (SELECT a.amproclefttype, a.amprocrighttype, a.amproc::oid FROM pg_catalog.pg_amproc a
            JOIN pg_catalog.pg_opfamily f ON f.oid = a.amprocfamily JOIN pg_catalog.pg_am m ON m.oid = f.opfmethod
            WHERE m.amname IN ('btree', 'hash') AND a.oid >= {FIRST}) AS l(of, against, by)
         WHERE l.by >= {FIRST} AND NOT {}
         UNION ALL
         SELECT {orders} FROM (SELECT a.amoplefttype, a.amoprighttype, o.oprcode::oid FROM pg_catalog.pg_amop a
            JOIN pg_catalog.pg_opfamily f ON f.oid = a.amopfamily JOIN pg_catalog.pg_am m ON m.oid = f.opfmethod
            JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr
            WHERE m.amname IN ('btree', 'hash') AND a.oid >= {FIRST} AND {operator}) AS l(of, against, by)",
        by_extension("pg_type", "c.casttarget"),
        by_extension("pg_cast", "c.oid"),
        by_extension("pg_type", "t.oid"),
        by_extension("pg_type", "r.rngtypid"),
        by_extension("pg_proc", "l.by"),
    )
}

/// The types of a statement: those it names, of rows of its tables, and what each of them is made of. With each, whether
/// it is named, and whether a value of it is written.
const TYPES: &str = "
    WITH RECURSIVE w(oid, named, written) AS (
        SELECT t.oid, true, true FROM pg_catalog.pg_type t WHERE t.typname = ANY ($1)
        UNION
        SELECT c.reltype, $4, r.written
        FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS r(name, written)
        JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(r.name)
        UNION
        SELECT x.oid, w.named, w.written FROM w CROSS JOIN LATERAL (
            SELECT t.typelem FROM pg_catalog.pg_type t WHERE t.oid = w.oid
            UNION ALL SELECT t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = w.oid
            UNION ALL SELECT a.atttypid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid
                WHERE t.oid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = w.oid
            UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r
                WHERE (pg_catalog.to_jsonb(r) ->> 'rngmultitypid')::pg_catalog.oid = w.oid
        ) AS x(oid) WHERE x.oid <> 0
    )
    SELECT w.oid, bool_or(w.named), bool_or(w.written) FROM w GROUP BY w.oid";

/// Functions that make values of the type of another argument.
#[rustfmt::skip]
const MAKES: &[&str] = &[
    "array_append", "array_cat", "array_position", "array_positions", "array_prepend", "array_remove", "array_replace",
    "json_populate_record", "json_populate_recordset", "jsonb_populate_record", "jsonb_populate_recordset", "lag", "lead",
    "width_bucket",
];

/// What of a statement decides which functions it calls without naming them.
#[derive(Clone, Debug)]
pub(super) struct Unsaid {
    /// Operators that stand in it, or that its words stand for.
    signs: BTreeSet<String>,
    /// Whether it makes values of the types of its columns.
    makes: bool,
}

impl Unsaid {
    /// What there is of it in a statement.
    pub(super) fn of(text: &Text, access: &DbAccess) -> Self {
        let mut signs = BTreeSet::new();
        let mut makes = false;
        let mut sign = |names: &[&str]| signs.extend(names.iter().map(|name| (*name).to_owned()));
        for token in text.all() {
            let Token::Word(word) = token else {
                sign(&operators(&token.to_string()));
                continue;
            };
            let name = word.value.to_ascii_lowercase();
            makes |= MAKES.contains(&name.as_str());
            match name.as_str() {
                "any" | "all" | "case" | "distinct" | "in" | "natural" | "nullif" | "some" | "using" => {
                    sign(&["=", "<>"]);
                }
                "between" => sign(&["<", "<=", ">", ">="]),
                "like" => sign(&["~~", "!~~"]),
                "ilike" => sign(&["~~*", "!~~*"]),
                "similar" => sign(&["~", "!~"]),
                _ => {}
            }
        }
        for condition in access.filters().flat_map(|(_, filter)| filter.conditions()) {
            match &condition.test {
                RowTest::Is(comparison, _) => sign(&[comparison.sign()]),
                RowTest::In(_) => sign(&["="]),
                RowTest::Null | RowTest::NotNull => {}
            }
        }
        Self { signs, makes }
    }

    /// Holds a statement against what there is in the database.
    ///
    /// # Errors
    /// [`DbError::Denied`] where it could call a function that nobody has judged.
    pub(super) async fn settle(
        &self,
        client: &Client,
        calls: &Calls,
        named: &BTreeSet<String>,
        [read, written]: [&BTreeSet<String>; 2],
        some_rows: bool,
    ) -> Result<(), DbError> {
        if calls.0.is_empty() {
            return Ok(());
        }
        let tables: BTreeMap<&String, bool> =
            read.iter().map(|name| (name, false)).chain(written.iter().map(|name| (name, true))).collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let names: Vec<String> = tables.keys().map(|name| qualified(name)).collect();
        let written: Vec<bool> = tables.values().copied().collect();
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
            (&named, Type::TEXT_ARRAY),
            (&names, Type::TEXT_ARRAY),
            (&written, Type::BOOL_ARRAY),
            (&self.makes, Type::BOOL),
        ];
        let mut types: BTreeMap<u32, (bool, bool)> = BTreeMap::new();
        for row in client.query_typed(TYPES, &params).await.map_err(translate)? {
            types.insert(row.get(0), (row.get(1), row.get(2)));
        }
        let is_made = |call: &&Call| {
            let mut of = call.types.iter().filter_map(|of| types.get(of));
            match call.when {
                When::Sign => self.signs.contains(&call.sign),
                When::Named => of.any(|(named, _)| *named),
                When::Cast => of.any(|(named, written)| *named || some_rows && *written),
                When::Written => of.any(|(named, written)| *named || *written),
                When::Seen => of.next().is_some(),
                When::Always => true,
            }
        };
        match calls.0.iter().find(is_made) {
            None => Ok(()),
            Some(call) => Err(DbError::Denied(format!("{}, which is never open to a step", call.why))),
        }
    }
}

/// The operators that PostgreSQL reads in a token: it takes what is longest, and leaves signs for the next one off its end.
fn operators(token: &str) -> Vec<&str> {
    let is_sign = |c: char| "+-*/<>=~!@#%^&|`?".contains(c);
    if token.is_empty() || !token.chars().all(is_sign) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut rest = token;
    while !rest.is_empty() {
        let mut end = rest.len();
        if !rest.contains(|c| "~!@#%^&|`?".contains(c)) {
            while end > 1 && rest[..end].ends_with(['+', '-']) {
                end -= 1;
            }
        }
        found.push(if &rest[..end] == "!=" { "<>" } else { &rest[..end] });
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use wflo_model::DbAccess;

    use super::{Text, Unsaid, operators};

    #[test]
    fn operators_are_read_as_the_server_reads_them() {
        for (token, expect) in [
            ("<#>", &["<#>"][..]),
            ("=", &["="]),
            ("!=", &["<>"]),
            ("@-", &["@-"]),
            ("=-", &["=", "-"]),
            ("*+-", &["*", "+", "-"]),
            ("::", &[]),
            ("'<#>'", &[]),
        ] {
            assert_eq!(operators(token), expect, "{token}");
        }
    }

    #[test]
    fn words_stand_for_operators() {
        let signs = |sql: &str| {
            let unsaid = Unsaid::of(&Text::read(sql).unwrap(), &DbAccess::default());
            unsaid.signs.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(signs("SELECT a, '= <' FROM \"b+\" -- <#>"), "");
        assert_eq!(signs("SELECT a IN (1), b NOT LIKE c, d BETWEEN 1 AND 2"), "!~~ < <= <> = > >= ~~");
        assert_eq!(signs("SELECT a <#> b ORDER BY c @@ -d"), "- <#> @@");
    }
}
