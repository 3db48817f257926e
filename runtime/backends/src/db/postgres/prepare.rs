//! What the owner of a database does once, so that steps can use it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use wflo_model::{DbAccess, TableAccess};
use wflo_ports::DbError;

use super::address::Address;
use super::error::with_cause;
use super::judge::{Purpose, judge};
use super::table::{TRIGGER, qualified};
use super::tls::Tls;
use crate::db::names::{literal, quoted};

/// The host's own tables, and the trigger that keeps what changes.
const OWN: &str = r#"
-- A row for each transaction of a step that has committed: the login role may add rows, and neither see nor remove any.
CREATE TABLE IF NOT EXISTS wflo_effects (
    marker text PRIMARY KEY,
    run text NOT NULL,
    step text NOT NULL,
    item bigint,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE ALL ON wflo_effects FROM PUBLIC;

-- How rows were before a step changed them, and how they are since. It is empty between transactions.
CREATE UNLOGGED TABLE IF NOT EXISTS wflo_changes (
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    relation oid NOT NULL,
    old_row text,
    new_row text
);
CREATE INDEX IF NOT EXISTS wflo_changes_by_txid ON wflo_changes (txid, relation);
REVOKE ALL ON wflo_changes FROM PUBLIC;

CREATE OR REPLACE FUNCTION wflo_capture() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $wflo$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'a table whose changes are kept cannot be truncated';
    END IF;
    INSERT INTO wflo_changes (relation, old_row, new_row) VALUES (
        TG_RELID,
        CASE WHEN TG_OP <> 'INSERT' THEN OLD::text END,
        CASE WHEN TG_OP <> 'DELETE' THEN NEW::text END
    );
    RETURN NULL;
END
$wflo$;
REVOKE ALL ON FUNCTION wflo_capture() FROM PUBLIC;
"#;

/// What is to be done where a view is written by a step with `rollback = true`.
const INSTEAD_OF_A_VIEW: &str =
    "grant the table that it is of, or take `rollback = true` away from the step that writes it";

/// The statements that make a PostgreSQL database ready, and the login roles no mightier than their grants.
///
/// They can be run again at any time.
///
/// ```
/// use wflo_backends::db::postgres::Preparation;
/// use wflo_model::{DbAccess, TableAccess};
/// let grants = DbAccess { read: [("accounts".to_owned(), TableAccess::All)].into(), ..DbAccess::default() };
/// let mut preparation = Preparation::new("wflo_read", None);
/// preparation.grant(&grants);
/// assert!(preparation.script().contains("GRANT SELECT ON \"accounts\" TO \"wflo_read\""));
/// ```
#[derive(Clone, Debug)]
pub struct Preparation {
    read_role: String,
    write_role: Option<String>,
    read: BTreeMap<String, TableAccess>,
    write: BTreeMap<String, TableAccess>,
    /// Written tables of which changes are to be undone.
    undone: BTreeSet<String>,
}

/// A privilege on a table that a login role is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    /// The table, as grants name it.
    pub(super) table: String,
    /// The privilege.
    pub(super) verb: String,
    /// The columns; none for all.
    pub(super) columns: Option<BTreeSet<String>>,
}

impl Given {
    /// One on all of a table.
    pub(super) fn all(verb: &str, table: &str) -> Self {
        Self { table: table.to_owned(), verb: verb.to_owned(), columns: None }
    }
}

impl Preparation {
    /// For these login roles.
    #[must_use]
    pub fn new(read_role: &str, write_role: Option<&str>) -> Self {
        let (read_role, write_role) = (read_role.to_owned(), write_role.map(ToOwned::to_owned));
        let (read, write, undone) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { read_role, write_role, read, write, undone }
    }

    /// Adds what a step is granted.
    pub fn grant(&mut self, access: &DbAccess) {
        let mut access = DbAccess { call: BTreeSet::new(), ..access.clone() };
        // A row filter looks at columns too.
        for granted in access.read.values_mut() {
            if let TableAccess::Rows { columns: Some(columns), filter } = granted {
                columns.extend(filter.conditions().map(|it| it.column.clone()));
            }
        }
        let mut all = DbAccess { read: self.read.clone(), write: self.write.clone(), ..DbAccess::default() };
        all.widen(&access);
        (self.read, self.write) = (all.read, all.write);
    }

    /// Adds that what a step with this access writes may be undone. A row is put back as a whole, since the owner's
    /// triggers may have set columns of it that the step may not.
    pub fn undo(&mut self, access: &DbAccess) {
        self.undone.extend(access.write.keys().cloned());
    }

    /// Adds what a named statement reaches; `reads` is whether it is executed as a query.
    ///
    /// # Errors
    /// Where the statement is none that could be executed.
    pub fn statement(&mut self, sql: &str, reads: bool) -> Result<(), DbError> {
        let purpose = if reads { Purpose::Query } else { Purpose::Execute };
        let judged = judge(sql, &DbAccess::whole(), purpose)?;
        let all = |names: BTreeSet<String>| names.into_iter().map(|name| (name, TableAccess::All)).collect();
        self.grant(&DbAccess { read: all(judged.read), write: all(judged.written), ..DbAccess::default() });
        Ok(())
    }

    /// The tables that steps reach, as grants name them.
    #[must_use]
    pub fn tables(&self) -> BTreeSet<String> {
        self.read.keys().chain(self.write.keys()).cloned().collect()
    }

    /// All that one of the roles may do with tables.
    pub(super) fn given(&self, is_reader: bool) -> Vec<Given> {
        let with = |verb: &str, table: &str, access: &TableAccess| Given {
            columns: access.columns().cloned(),
            ..Given::all(verb, table)
        };
        let mut all = Vec::new();
        for (table, access) in &self.read {
            if is_reader || !self.write.contains_key(table) {
                all.push(with("SELECT", table, access));
            }
        }
        if is_reader {
            return all;
        }
        all.push(Given::all("INSERT", "wflo_effects"));
        all.extend(["SELECT", "DELETE"].map(|verb| Given::all(verb, "wflo_changes")));
        for (table, access) in &self.write {
            // A rollback looks whether a row is as the step has left it.
            all.push(Given::all("SELECT", table));
            match access.columns() {
                None => all.extend(["INSERT", "UPDATE", "DELETE"].map(|verb| Given::all(verb, table))),
                Some(_) if self.undone.contains(table) => all.push(Given::all("UPDATE", table)),
                Some(_) => all.push(with("UPDATE", table, access)),
            }
        }
        all
    }

    /// The statements.
    #[must_use]
    pub fn script(&self) -> String {
        let mut sql = String::from(
            "-- Run by the owner of the database, once and after every change of grants. The login roles must exist, such as by\n\
             -- CREATE ROLE .. LOGIN PASSWORD '..'.\n\
             BEGIN;\n\
             SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);\n",
        );
        if self.write_role.is_some() {
            sql.push_str(OWN);
        }
        let mut line = |text: String| writeln!(sql, "{text}").expect("text takes whatever is written to it");
        for (role, is_reader) in [(Some(&self.read_role), true), (self.write_role.as_ref(), false)] {
            let Some(role) = role else { continue };
            line(format!("\n-- Role {role} has these privileges on tables and no others of its own."));
            line(take_away(role));
            line(format!(
                "DO $wflo$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), {}); END $wflo$;",
                literal(role)
            ));
            let given = self.given(is_reader);
            let schemas = given.iter().filter_map(|it| it.table.split_once('.').map(|(schema, _)| schema));
            for schema in schemas.collect::<BTreeSet<_>>() {
                line(format!("GRANT USAGE ON SCHEMA {} TO {};", quoted(schema), quoted(role)));
            }
            for it in &given {
                let (verb, table) = (&it.verb, qualified(&it.table));
                line(format!("GRANT {verb}{} ON {table} TO {};", columns(it), quoted(role)));
            }
        }
        let Some(role) = &self.write_role else {
            line("COMMIT;".into());
            return sql;
        };
        for table in self.write.keys() {
            let table = qualified(table);
            line(String::new());
            line(format!(
                "DO $wflo$ DECLARE s regclass; BEGIN\n    FOR s IN SELECT d.objid::regclass FROM pg_depend d JOIN pg_class c ON \
                 c.oid = d.objid AND c.relkind = 'S'\n    WHERE d.refobjid = {}::regclass AND d.deptype = 'a' LOOP\n        \
                 EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', s, {});\n    END LOOP;\nEND $wflo$;",
                literal(&table),
                literal(role)
            ));
            line(format!("DROP TRIGGER IF EXISTS {TRIGGER} ON {table};"));
            line(format!(
                "CREATE TRIGGER {TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW\n    \
                 WHEN (current_setting('wflo.capture', true) = 'on') EXECUTE FUNCTION wflo_capture();"
            ));
            line(format!("DROP TRIGGER IF EXISTS {TRIGGER}_truncate ON {table};"));
            line(format!(
                "CREATE TRIGGER {TRIGGER}_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT\n    \
                 WHEN (current_setting('wflo.capture', true) = 'on') EXECUTE FUNCTION wflo_capture();"
            ));
        }
        line("COMMIT;".into());
        sql
    }

    /// Runs the statements as the owner.
    ///
    /// # Errors
    /// When the database cannot be reached, or a statement fails; nothing is done then.
    pub async fn run(&self, owner_url: &str) -> Result<(), DbError> {
        let address = Address::read(owner_url)
            .ok_or_else(|| DbError::Invalid("the owner's address is none of a PostgreSQL database".into()))?;
        let failed = |error: tokio_postgres::Error| DbError::Other(with_cause(&error));
        let (client, connection) = address.config.connect(Tls::of(&address)?).await.map_err(failed)?;
        let speaking = tokio::spawn(connection);
        let done = client.batch_execute(&self.script()).await.map_err(|error| match with_cause(&error) {
            // Of a trigger that keeps changes.
            message if message.ends_with(" is a view") => {
                DbError::Other(format!("{message}, of which no changes are kept: {INSTEAD_OF_A_VIEW}"))
            }
            message => DbError::Other(message),
        });
        drop(client);
        // That the connection ends with an error after all is done is none.
        let _ = speaking.await;
        done
    }
}

fn columns(given: &Given) -> String {
    match &given.columns {
        None => String::new(),
        Some(names) => format!(" ({})", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")),
    }
}

/// Takes from a role what it was given on tables, as far as whoever runs this owns them.
fn take_away(role: &str) -> String {
    let (role, name) = (literal(&quoted(role)), literal(role));
    format!(
        "DO $wflo$ DECLARE t regclass; BEGIN\n    FOR t IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace\n    \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'\n    \
         AND pg_has_role(c.relowner, 'USAGE') AND c.relowner <> {role}::regrole\n    \
         AND (EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = {role}::regrole)\n        \
         OR EXISTS (SELECT FROM pg_attribute c2, aclexplode(c2.attacl) a WHERE c2.attrelid = c.oid AND a.grantee = {role}::regrole)) LOOP\n        \
         EXECUTE format('REVOKE ALL ON %s FROM %I', t, {name});\n    END LOOP;\nEND $wflo$;"
    )
}
