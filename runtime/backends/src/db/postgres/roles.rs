//! What a login role may do beyond what steps are granted.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;
use wflo_model::{DbAccess, TableAccess};
use wflo_ports::DbError;

use super::error::translate;

/// Something that a login role may do and no step should be able to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wall {
    /// Whether a database bound so is not to be used at all; else it is a hint.
    pub refused: bool,
    /// A sentence about it.
    pub why: String,
}

/// The roles whose privileges the login role has or can take on. `SET ROLE` is open to no step, and no wall either.
const MEMBER_OF: &str = "
    SELECT r.rolname::text, r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication
    FROM pg_catalog.pg_roles r
    WHERE r.rolname <> session_user AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER') ORDER BY 1";

/// What it may do with each table, by itself and by what it is a member of.
const TABLES: &str = "
    SELECT CASE WHEN n.nspname = (current_schemas(false))[1] THEN c.relname::text ELSE n.nspname || '.' || c.relname END,
           r.rolname = session_user,
           has_table_privilege(r.oid, c.oid, 'SELECT') OR has_any_column_privilege(r.oid, c.oid, 'SELECT'),
           has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
           OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE'),
           pg_has_role(r.oid, c.relowner, 'MEMBER')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN pg_roles r
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    AND c.relname NOT LIKE 'wflo\\_%' AND pg_has_role(session_user, r.oid, 'MEMBER')";

const FUNCTIONS: &str = "
    SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
    AND has_function_privilege(session_user, p.oid, 'EXECUTE') AND has_schema_privilege(session_user, n.oid, 'USAGE')
    ORDER BY 1";

const SCHEMAS: &str = "
    SELECT n.nspname::text FROM pg_namespace n
    WHERE n.nspname NOT LIKE 'pg\\_%' AND has_schema_privilege(session_user, n.oid, 'CREATE') ORDER BY 1";

/// Looks at the role that is logged in.
pub(super) async fn examine(
    client: &Client,
    user: &str,
    is_reader: bool,
    grants: &DbAccess,
) -> Result<Vec<Wall>, DbError> {
    let mut found = Vec::new();
    let mut say =
        |refused: bool, why: String| found.push(Wall { refused, why: format!("login role `{user}` {why}") });
    for row in client.query_typed(MEMBER_OF, &[]).await.map_err(translate)? {
        let (role, is_mighty): (String, bool) = (row.get(0), row.get(1));
        if is_mighty || role.starts_with("pg_") {
            say(true, format!("is a member of `{role}`, which may do more than any grant says"));
        }
    }
    let mut tables = Tables::default();
    for row in client.query_typed(TABLES, &[]).await.map_err(translate)? {
        tables.add(row.get(0), [row.get(1), row.get(2), row.get(3), row.get(4)], is_reader, grants);
    }
    for (kind, names) in tables.0 {
        let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
        let names = names.join(", ");
        match kind {
            Kind::Owned => say(true, format!("owns {names}, and so may do anything to it")),
            Kind::ReaderWrites => say(true, format!("is for reading, and may write {names}")),
            Kind::ReadsAsMember => {
                say(
                    true,
                    format!("may read {names} as a member of another role, and no step is granted that"),
                );
            }
            Kind::WritesAsMember => {
                say(
                    true,
                    format!("may write {names} as a member of another role, and no step is granted that"),
                );
            }
            Kind::Reads => {
                say(false, format!("may read {names}, and no step of this workflow is granted that"))
            }
            Kind::Writes => {
                say(false, format!("may write {names}, and no step of this workflow is granted that"))
            }
        }
    }
    for row in client.query_typed(FUNCTIONS, &[]).await.map_err(translate)? {
        let function: String = row.get(0);
        say(true, format!("may call `{function}`, which does what its owner may (`SECURITY DEFINER`)"));
    }
    for row in client.query_typed(SCHEMAS, &[]).await.map_err(translate)? {
        let schema: String = row.get(0);
        say(true, format!("may make tables and functions in schema `{schema}`"));
    }
    Ok(found)
}

/// What is wrong with a role's privileges on tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Owned,
    ReaderWrites,
    ReadsAsMember,
    WritesAsMember,
    Reads,
    Writes,
}

#[derive(Debug, Default)]
struct Tables(BTreeMap<Kind, BTreeSet<String>>);

impl Tables {
    fn add(
        &mut self,
        name: String,
        [itself, reads, writes, owns]: [bool; 4],
        is_reader: bool,
        grants: &DbAccess,
    ) {
        let granted = |of: &BTreeMap<String, TableAccess>| of.contains_key(&name);
        let may_read = grants.whole || granted(&grants.read) || (!is_reader && granted(&grants.write));
        let may_write = grants.whole || granted(&grants.write);
        let kind = match (itself, owns) {
            (_, true) => Some(Kind::Owned),
            _ if writes && is_reader => Some(Kind::ReaderWrites),
            (false, _) if writes && !may_write => Some(Kind::WritesAsMember),
            (false, _) if reads && !may_read => Some(Kind::ReadsAsMember),
            (true, _) if writes && !may_write => Some(Kind::Writes),
            (true, _) if reads && !may_read => Some(Kind::Reads),
            _ => None,
        };
        if let Some(kind) = kind {
            self.0.entry(kind).or_default().insert(name);
        }
    }
}
