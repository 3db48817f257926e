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
use crate::db::names::quoted;

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
}

impl Preparation {
    /// For these login roles.
    #[must_use]
    pub fn new(read_role: &str, write_role: Option<&str>) -> Self {
        let (read_role, write_role) = (read_role.to_owned(), write_role.map(ToOwned::to_owned));
        Self { read_role, write_role, read: BTreeMap::new(), write: BTreeMap::new() }
    }

    /// Adds what a step is granted.
    pub fn grant(&mut self, access: &DbAccess) {
        let mut all = DbAccess { read: self.read.clone(), write: self.write.clone(), ..DbAccess::default() };
        all.widen(&DbAccess { call: BTreeSet::new(), ..access.clone() });
        (self.read, self.write) = (all.read, all.write);
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
        for role in [Some(&self.read_role), self.write_role.as_ref()].into_iter().flatten() {
            line(String::new());
            line(format!(
                "DO $wflo$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), {}); END $wflo$;",
                literal(role)
            ));
            for (table, access) in &self.read {
                line(format!("GRANT SELECT{} ON {} TO {};", columns(access), qualified(table), quoted(role)));
            }
        }
        let Some(role) = &self.write_role else {
            line("COMMIT;".into());
            return sql;
        };
        line(format!("GRANT INSERT ON wflo_effects TO {};", quoted(role)));
        line(format!("GRANT SELECT, DELETE ON wflo_changes TO {};", quoted(role)));
        for (table, access) in &self.write {
            let (table, role) = (qualified(table), quoted(role));
            line(String::new());
            match access.columns() {
                None => line(format!("GRANT INSERT, UPDATE, DELETE ON {table} TO {role};")),
                Some(_) => line(format!("GRANT UPDATE{} ON {table} TO {role};", columns(access))),
            }
            // A rollback looks whether a row is as the step has left it.
            line(format!("GRANT SELECT ON {table} TO {role};"));
            line(format!(
                "DO $wflo$ DECLARE s regclass; BEGIN\n    FOR s IN SELECT d.objid::regclass FROM pg_depend d JOIN pg_class c ON \
                 c.oid = d.objid AND c.relkind = 'S'\n    WHERE d.refobjid = {}::regclass AND d.deptype = 'a' LOOP\n        \
                 EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', s, {});\n    END LOOP;\nEND $wflo$;",
                literal(&table),
                literal(self.write_role.as_deref().unwrap_or_default())
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
        let done = client.batch_execute(&self.script()).await.map_err(failed);
        drop(client);
        // That the connection ends with an error after all is done is none.
        let _ = speaking.await;
        done
    }
}

fn columns(access: &TableAccess) -> String {
    match access.columns() {
        None => String::new(),
        Some(names) => format!(" ({})", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
