//! What a login role may do beyond what steps are granted, and what it lacks of that.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;
use wflo_ports::DbError;

use super::error::translate;
use super::login::Lent;
use super::prepare::{Given, Preparation};

/// Something that a login role may do and no step should be able to, or may not and steps need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wall {
    /// Whether a database bound so is not to be used at all; else it is a hint.
    pub refused: bool,
    /// A sentence about it.
    pub why: String,
}

/// The roles whose privileges the login role has or can take on. `SET ROLE` is open to no step, and no wall either.
const MEMBER_OF: &str = "
    SELECT r.rolname::text, r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication, r.rolcreatedb,
           r.rolname = session_user, has_database_privilege(r.oid, current_database(), 'CREATE')
    FROM pg_catalog.pg_roles r
    WHERE pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') ORDER BY 1";

/// Who may do what with each table and its columns: the owner of it, the role itself, those it is a member of, and everybody
/// (who has no name).
const TABLES: &str = "
    WITH who AS (SELECT oid, rolname FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER')),
    tables AS (
        SELECT c.oid, c.relacl, c.relowner,
               CASE WHEN n.nspname = (current_schemas(false))[1] THEN c.relname::text ELSE n.nspname || '.' || c.relname END AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'),
    grants AS (
        SELECT t.name, a.grantee, a.privilege_type AS verb, NULL::text AS of FROM tables t, aclexplode(t.relacl) a
        UNION
        SELECT t.name, a.grantee, a.privilege_type, c.attname::text
        FROM tables t JOIN pg_attribute c ON c.attrelid = t.oid AND NOT c.attisdropped, aclexplode(c.attacl) a)
    SELECT t.name, w.rolname::text, w.rolname = session_user, 'OWNER', NULL FROM tables t JOIN who w ON w.oid = t.relowner
    UNION ALL
    SELECT g.name, w.rolname::text, w.rolname = session_user, g.verb, g.of FROM grants g LEFT JOIN who w ON w.oid = g.grantee
    WHERE (w.oid IS NOT NULL OR g.grantee = 0) AND g.verb IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER')
    AND NOT EXISTS (SELECT FROM tables t WHERE t.name = g.name AND t.relowner = g.grantee)";

/// What else of the database belongs to it.
const OWNED: &str = "
    SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_shdepend d
    LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    WHERE d.deptype = 'o' AND d.refclassid = 'pg_authid'::regclass AND pg_has_role(session_user, d.refobjid, 'MEMBER')
    AND (d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
         OR d.classid = 'pg_database'::regclass AND d.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND coalesce(c.relkind, ' ') NOT IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1";

const FUNCTIONS: &str = "
    SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
    AND has_function_privilege(session_user, p.oid, 'EXECUTE') AND has_schema_privilege(session_user, n.oid, 'USAGE')
    ORDER BY 1";

const SCHEMAS: &str = "
    SELECT n.nspname::text FROM pg_namespace n
    WHERE n.nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(session_user, n.oid, 'CREATE') ORDER BY 1";

/// Of tables and their columns: whether the table is there, the schema where that may not be used, and whether what is asked
/// of it may be done.
const NEEDED: &str = "
    SELECT c.oid IS NOT NULL,
           CASE WHEN NOT has_schema_privilege(n.oid, 'USAGE') THEN n.nspname::text END,
           CASE WHEN c.oid IS NULL THEN false
                WHEN g.of IS NULL THEN has_table_privilege(c.oid, g.verb)
                ELSE coalesce(has_column_privilege(c.oid, a.attnum, g.verb), true) END
    FROM ROWS FROM (unnest($1), unnest($2), unnest($3), unnest($4)) WITH ORDINALITY AS g(schema, name, verb, of, n)
    LEFT JOIN pg_namespace n ON n.nspname = coalesce(g.schema, (current_schemas(false))[1])
    LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = g.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = g.of AND NOT a.attisdropped
    ORDER BY g.n";

/// Looks at the role that is logged in, and holds it against what it was prepared to be.
pub(super) async fn examine(
    lent: &Lent,
    user: &str,
    is_reader: bool,
    preparation: &Preparation,
) -> Result<Vec<Wall>, DbError> {
    let given = preparation.given(is_reader);
    let mut found = Vec::new();
    let mut say =
        |refused: bool, why: String| found.push(Wall { refused, why: format!("login role `{user}` {why}") });
    for row in lent.query_typed(MEMBER_OF, &[]).await.map_err(translate)? {
        let role: String = row.get(0);
        let [is_mighty, makes_databases, is_itself, makes_schemas] = [1, 2, 3, 4].map(|at| row.get(at));
        let by = if is_itself { String::new() } else { format!(" as a member of `{role}`") };
        if !is_itself && (is_mighty || role.starts_with("pg_")) {
            say(true, format!("is a member of `{role}`, which may do more than any grant says"));
            continue;
        }
        if makes_databases {
            say(true, format!("may make databases{by}"));
        }
        if makes_schemas {
            say(true, format!("may make schemas in this database{by}"));
        }
    }
    let mut surplus = Surplus::default();
    for row in lent.query_typed(TABLES, &[]).await.map_err(translate)? {
        let who = match (row.get(1), row.get::<_, Option<bool>>(2)) {
            (_, Some(true)) => Who::Itself,
            (Some(role), _) => Who::Member(role),
            (None, _) => Who::Everybody,
        };
        let held = Held { table: row.get(0), who, verb: row.get(3), column: row.get(4) };
        surplus.add(&held, is_reader, &given);
    }
    for ((refused, before, behind), names) in surplus.0 {
        say(refused, format!("{before} {}{behind}", listed(names)));
    }
    for row in lent.query_typed(OWNED, &[]).await.map_err(translate)? {
        let what: String = row.get(0);
        say(true, format!("owns {what}, and so may do anything to it"));
    }
    for row in lent.query_typed(FUNCTIONS, &[]).await.map_err(translate)? {
        let function: String = row.get(0);
        say(true, format!("may call `{function}`, which does what its owner may (`SECURITY DEFINER`)"));
    }
    for row in lent.query_typed(SCHEMAS, &[]).await.map_err(translate)? {
        let schema: String = row.get(0);
        say(true, format!("may make tables and functions in schema `{schema}`"));
    }
    for why in lacking(lent, &given).await? {
        say(true, why);
    }
    if is_reader {
        let why = |what: &str| format!("{what}, and statements that could call it are refused");
        let calls = lent.calls().await?;
        found.extend(calls.sentences().map(|what| Wall { refused: false, why: why(what) }));
    }
    Ok(found)
}

/// Which of these tables, as grants name them, are not there.
pub(super) async fn absent(lent: &Lent, tables: &BTreeSet<String>) -> Result<Vec<String>, DbError> {
    let asked: Vec<Given> = tables.iter().map(|table| Given::all("SELECT", table)).collect();
    let found = needed(lent, &asked).await?;
    Ok(asked.into_iter().zip(found).filter(|(_, it)| !it.is_there).map(|(it, _)| it.table).collect())
}

/// What a role may not do and steps need, in words that follow its name.
async fn lacking(lent: &Lent, given: &[Given]) -> Result<Vec<String>, DbError> {
    let (mut schemas, mut tables) = (BTreeSet::new(), BTreeMap::<_, BTreeSet<String>>::new());
    // Columns one by one.
    let each = given.iter().flat_map(|it| match &it.columns {
        None => vec![it.clone()],
        Some(all) => {
            let one = |column: &String| Given { columns: Some([column.clone()].into()), ..it.clone() };
            all.iter().map(one).collect()
        }
    });
    let each: Vec<Given> = each.collect();
    for (it, found) in each.iter().zip(needed(lent, &each).await?) {
        // That a table is not there is said by itself, unless it is the host's own.
        if !found.may && (found.is_there || is_own(&it.table)) {
            let what = match &it.columns {
                None => format!("`{}`", it.table),
                Some(all) => {
                    format!("column {} of `{}`", listed(all.iter().map(|it| format!("`{it}`"))), it.table)
                }
            };
            tables.entry(word(&it.verb)).or_default().insert(what);
        }
        schemas.extend(found.closed.map(|schema| format!("`{schema}`")));
    }
    let prepared = "until its owner has run what `wflo db prepare` prints";
    let mut whys = Vec::new();
    if !schemas.is_empty() {
        whys.push(format!("may not use schema {}, of which tables are granted, {prepared}", listed(schemas)));
    }
    // One sentence: of a database that nobody has prepared it is nearly everything.
    let needs: Vec<_> = tables.into_iter().map(|(verb, names)| format!("{verb} {}", listed(names))).collect();
    if !needs.is_empty() {
        whys.push(format!("may not {}, which steps need, {prepared}", needs.join("; ")));
    }
    Ok(whys)
}

/// What there is to one thing that is needed.
struct Needed {
    is_there: bool,
    /// The schema, where it may not be used.
    closed: Option<String>,
    may: bool,
}

async fn needed(lent: &Lent, asked: &[Given]) -> Result<Vec<Needed>, DbError> {
    let split = |it: &Given| match it.table.split_once('.') {
        Some((schema, table)) => (Some(schema.to_owned()), table.to_owned()),
        None => (None, it.table.clone()),
    };
    let (schemas, names): (Vec<_>, Vec<_>) = asked.iter().map(split).unzip();
    let verbs: Vec<&str> = asked.iter().map(|it| it.verb.as_str()).collect();
    let columns: Vec<Option<&String>> =
        asked.iter().map(|it| it.columns.as_ref().and_then(|all| all.first())).collect();
    let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
        (&schemas, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&verbs, Type::TEXT_ARRAY),
        (&columns, Type::TEXT_ARRAY),
    ];
    let rows = lent.query_typed(NEEDED, &params).await.map_err(translate)?;
    Ok(rows.iter().map(|row| Needed { is_there: row.get(0), closed: row.get(1), may: row.get(2) }).collect())
}

/// Names as a list in a sentence.
fn listed(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Whether a table is the host's own.
fn is_own(table: &str) -> bool {
    matches!(table, "wflo_effects" | "wflo_changes")
}

/// What a privilege lets a role do, in a word.
fn word(verb: &str) -> &'static str {
    match verb {
        "SELECT" => "read",
        "INSERT" => "insert into",
        "UPDATE" => "update",
        "DELETE" => "delete from",
        "TRUNCATE" => "truncate",
        _ => "make triggers on",
    }
}

/// Whose privilege it is that a role has.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Itself,
    Member(String),
    Everybody,
}

/// A privilege that a role has on a table, or on a column of one.
#[derive(Clone, Debug)]
struct Held {
    table: String,
    who: Who,
    verb: String,
    column: Option<String>,
}

/// What a role has beyond what it was to be given: whether it is refused, and what stands before and behind the names.
#[derive(Debug, Default)]
struct Surplus(BTreeMap<(bool, String, String), BTreeSet<String>>);

impl Surplus {
    fn add(&mut self, held: &Held, is_reader: bool, given: &[Given]) {
        let table = &held.table;
        if held.verb == "OWNER" {
            return self.insert(true, "owns", ", and so may do anything to it", format!("`{table}`"));
        }
        let of_table = || given.iter().filter(|it| it.table == *table);
        let same = || of_table().filter(|it| it.verb == held.verb);
        let is_needed = same().any(|it| match (&it.columns, &held.column) {
            (None, _) => true,
            (Some(columns), Some(column)) => columns.contains(column),
            (Some(_), None) => false,
        });
        if is_needed {
            return;
        }
        let name = match &held.column {
            Some(column) => format!("column `{column}` of `{table}`"),
            None if same().next().is_some() => format!("all of `{table}`"),
            None => format!("`{table}`"),
        };
        let writes = held.verb != "SELECT";
        // Where nothing of it is to be written, it does not matter how.
        let verb =
            if writes && of_table().all(|it| it.verb == "SELECT") { "write" } else { word(&held.verb) };
        let by = match &held.who {
            Who::Itself => String::new(),
            Who::Member(role) => format!(" as a member of another role (`{role}`)"),
            Who::Everybody => " as every role may (`PUBLIC`)".to_owned(),
        };
        let is_used = of_table().next().is_some();
        let (refused, before, behind) = match &held.who {
            _ if is_own(table) => {
                (true, format!("may {verb}"), ", where the host keeps what steps have done".to_owned())
            }
            _ if writes && is_reader => (true, format!("is for reading, and may {verb}"), String::new()),
            Who::Member(_) => (true, format!("may {verb}"), ", and no step is granted that".to_owned()),
            Who::Itself if is_used => (
                true,
                format!("may {verb}"),
                ", and no step is granted that; `wflo db prepare` takes it away".to_owned(),
            ),
            Who::Everybody if is_used => {
                (true, format!("may {verb}"), ", and no step is granted that".to_owned())
            }
            Who::Itself | Who::Everybody => {
                (false, format!("may {verb}"), ", and no step of this workflow is granted that".to_owned())
            }
        };
        self.insert(refused, &before, &format!("{by}{behind}"), name);
    }

    fn insert(&mut self, refused: bool, before: &str, behind: &str, name: String) {
        self.0.entry((refused, before.to_owned(), behind.to_owned())).or_default().insert(name);
    }
}
