//! Answers SQLite's authorizer. The rules are in the documentation of the module above.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use wflo_model::{DbAccess, TableAccess};
use wflo_ports::DbError;

use super::fence::Fence;
use super::functions::{is_pure, is_random};
use super::schema::Schema;
use super::stage::Touched;
use super::text::{has_odd_signs, has_word, may_name, may_replace_rows};

/// The table of markers. The host's, whatever a grant says.
pub(super) const EFFECTS_TABLE: &str = "wflo_effects";

/// The tables and views that a statement writes, by lower-case name: each with the trigger of the owner that does, unless the
/// statement does so itself.
pub(super) type Written = BTreeMap<String, Option<String>>;

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

/// What one statement of a guest may do.
#[derive(Debug)]
pub(super) struct Rules {
    access: DbAccess,
    purpose: Purpose,
    sql: String,
    schema: Arc<Schema>,
    modules: Arc<[String]>,
    /// Begins the names of the triggers and tables that keep what a transaction changes; nobody outside knows it.
    capture: Option<String>,
    /// What stands for tables of which some rows are granted.
    fence: Option<Fence>,
    /// Tables that triggers of the owner write, and nobody else, in lower case.
    audit: Arc<BTreeSet<String>>,
    /// What the statement writes, triggers and foreign keys included.
    written: Written,
    /// What it does to the one that stands for a table.
    touched: Touched,
    denial: Option<String>,
    /// The function that was denied first, where neither the statement nor a trigger or view calls it: a default does.
    of_default: Option<String>,
}

impl Rules {
    /// Makes the rules for one statement.
    pub(super) fn new(
        sql: &str,
        access: &DbAccess,
        purpose: Purpose,
        schema: Arc<Schema>,
        modules: Arc<[String]>,
    ) -> Self {
        Self {
            access: access.clone(),
            purpose,
            sql: sql.to_owned(),
            schema,
            modules,
            capture: None,
            fence: None,
            audit: Arc::default(),
            written: Written::new(),
            touched: Touched::default(),
            denial: None,
            of_default: None,
        }
    }

    /// Lets the triggers of a capture, which fire with the statement, do their work.
    pub(super) fn capturing(mut self, prefix: Option<&str>) -> Self {
        self.capture = prefix.map(str::to_owned);
        self
    }

    /// Has tables met as what stands for them.
    pub(super) fn behind(mut self, fence: Option<&Fence>) -> Self {
        self.fence = fence.cloned();
        self
    }

    /// Leaves these tables to the triggers of the owner.
    pub(super) fn recording(mut self, audit: Arc<BTreeSet<String>>) -> Self {
        self.audit = audit;
        self
    }

    /// Looks at the text of the statement, for what SQLite does not ask about.
    ///
    /// # Errors
    /// [`DbError::Invalid`] for signs that would make SQLite read another text than everybody else;
    /// [`DbError::Denied`] for a join by `USING` or `NATURAL` in a statement that may name a relation which
    /// the step may not read: SQLite compares the columns of such a join without asking.
    pub(super) fn judge_text(&self) -> Result<(), DbError> {
        if has_odd_signs(&self.sql) {
            return Err(DbError::Invalid(
                "the statement holds a NUL or a byte order mark; pass such text as a parameter".into(),
            ));
        }
        if self.fence.as_ref().is_some_and(|fence| fence.is_named_in(&self.sql)) {
            return Err(DbError::Denied("the statement names what is the host's".into()));
        }
        // SQLite refuses it within a transaction, and does not ask about it before.
        if self.sql.trim_ascii_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("vacuum")) {
            return Err(DbError::Denied("`VACUUM` is never open to a step".into()));
        }
        if !has_word(&self.sql, "using") && !has_word(&self.sql, "natural") {
            return Ok(());
        }
        let all = |name: &str| self.access.whole || self.access.read.get(name) == Some(&TableAccess::All);
        let sql = self.sql.to_ascii_lowercase();
        let hosts = ["sqlite_", "pragma_", EFFECTS_TABLE].into_iter().find(|name| sql.contains(name));
        let other = || {
            let modules = self.modules.iter().filter(|name| !self.is_json_function(name));
            let relations = self.schema.relations().chain(modules.map(String::as_str));
            relations.filter(|name| !all(name)).find(|name| may_name(&self.sql, name))
        };
        match hosts.or_else(other) {
            None => Ok(()),
            Some(name) => Err(DbError::Denied(format!(
                "`USING` and `NATURAL` compare columns unseen, and the step may not read all of `{name}`; write \
                 the join with `ON`"
            ))),
        }
    }

    fn answer(&mut self, asked: &AuthContext<'_>) -> Authorization {
        if self.is_of_capture(asked) {
            return Authorization::Allow;
        }
        match self.judge(asked) {
            Ok(()) => {
                self.note(asked);
                Authorization::Allow
            }
            Err(denial) => {
                // The first one is the cause; what follows it is SQLite giving up.
                if self.denial.is_none() {
                    self.of_default = self.random_default(asked);
                    self.denial = Some(denial);
                }
                Authorization::Deny
            }
        }
    }

    /// Keeps what is written.
    fn note(&mut self, asked: &AuthContext<'_>) {
        let (AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }) = asked.action
        else {
            return;
        };
        let trigger = asked.accessor.filter(|name| self.is_trigger(name)).map(str::to_owned);
        let by = self.written.entry(table_name.to_ascii_lowercase()).or_insert_with(|| trigger.clone());
        if trigger.is_none() {
            *by = None;
        }
        if asked.database_name != Some("temp") {
            return;
        }
        match asked.action {
            AuthAction::Insert { .. } => self.touched.inserts = true,
            AuthAction::Delete { .. } => self.touched.deletes = true,
            AuthAction::Update { column_name, .. } => {
                self.touched.updates.insert(column_name.to_ascii_lowercase());
            }
            _ => {}
        }
    }

    /// Whether one of the host's own triggers asks: it keeps rows of the table it is on in a temporary one.
    fn is_of_capture(&self, asked: &AuthContext<'_>) -> bool {
        let Some(prefix) = self.capture.as_deref().filter(|_| self.purpose == Purpose::Execute) else {
            return false;
        };
        let is_ours = |name: &str| name.starts_with(prefix);
        if !asked.accessor.is_some_and(is_ours) {
            return false;
        }
        match (asked.action, asked.database_name) {
            (AuthAction::Insert { table_name } | AuthAction::Read { table_name, .. }, Some("temp")) => {
                is_ours(table_name)
            }
            (AuthAction::Read { .. }, Some("main")) => true,
            (
                AuthAction::Select | AuthAction::Function { function_name: "typeof" | "raise" | "coalesce" },
                _,
            ) => true,
            _ => false,
        }
    }

    fn judge(&self, asked: &AuthContext<'_>) -> Result<(), String> {
        if self.fence.as_ref().is_some_and(|fence| fence.is_own(asked)) {
            return Ok(());
        }
        match (asked.database_name, &self.fence) {
            (None | Some("main"), _) => {}
            (Some("temp"), Some(fence)) if fence.stands_for(&asked.action) => {}
            _ => return Err("temporary and attached databases are never open to a step".into()),
        }
        let of_trigger = asked.accessor.is_some_and(|name| self.is_trigger(name));
        match asked.action {
            AuthAction::Select | AuthAction::Recursive => Ok(()),
            AuthAction::Function { function_name } => self.function(function_name, asked.accessor),
            AuthAction::Read { table_name, column_name } => {
                self.reserved(table_name)?;
                if of_trigger {
                    return Ok(());
                }
                self.fenced(asked, table_name)?;
                self.read(table_name, column_name)
            }
            AuthAction::Insert { table_name } => {
                self.recorded(table_name, of_trigger)?;
                self.unguarded(asked, table_name, of_trigger)?;
                self.write_rows(table_name, "insert into", of_trigger)
            }
            AuthAction::Delete { table_name } => {
                self.recorded(table_name, of_trigger)?;
                self.unguarded(asked, table_name, of_trigger)?;
                self.write_rows(table_name, "delete from", of_trigger)
            }
            AuthAction::Update { table_name, column_name } => {
                self.writes("update", table_name)?;
                self.recorded(table_name, of_trigger)?;
                self.unguarded(asked, table_name, of_trigger)?;
                if of_trigger { Ok(()) } else { self.update(table_name, column_name) }
            }
            ref other => Err(format!("{} is never open to a step", name_of(other))),
        }
    }

    /// Whether `accessor` is a trigger of the owner, fired by this statement, and not a name the statement
    /// brought itself.
    fn is_trigger(&self, accessor: &str) -> bool {
        self.purpose == Purpose::Execute
            && self.schema.has_trigger(accessor)
            && !may_name(&self.sql, accessor)
    }

    /// The function that a default of a column calls to be another value each time, if that is what is asked about.
    fn random_default(&self, asked: &AuthContext<'_>) -> Option<String> {
        match (&asked.action, asked.accessor) {
            (AuthAction::Function { function_name }, None) => {
                let name = function_name.to_ascii_lowercase();
                (is_random(&name) && !has_word(&self.sql, &name)).then_some(name)
            }
            _ => None,
        }
    }

    fn function(&self, name: &str, accessor: Option<&str>) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        if is_pure(&name) || (is_random(&name) && self.purpose == Purpose::Query) {
            Ok(())
        } else if let Some(of) = accessor.filter(|_| is_random(&name) && !has_word(&self.sql, &name)) {
            Err(format!(
                "trigger or view `{of}` of the owner calls `{name}`, which cannot be repeated with equal results within a \
                 transaction; have it take a value that the step writes"
            ))
        } else if is_random(&name) {
            Err(format!(
                "function `{name}` cannot be repeated with equal results within a transaction; pass a random \
                 number of the step as a parameter"
            ))
        } else {
            Err(format!("function `{name}` is never open to a step"))
        }
    }

    fn reserved(&self, table: &str) -> Result<(), String> {
        let name = table.to_ascii_lowercase();
        if name == EFFECTS_TABLE || name.starts_with("sqlite_") || name.starts_with("pragma_") {
            return Err(format!("table `{table}` is never open to a step"));
        }
        Ok(())
    }

    /// An audit table is written by triggers of the owner alone.
    fn recorded(&self, table: &str, of_trigger: bool) -> Result<(), String> {
        if of_trigger || !self.audit.contains(&table.to_ascii_lowercase()) {
            return Ok(());
        }
        Err(format!(
            "table `{table}` is an audit table (`audit` of the database in wflo.toml): triggers of the owner write it, and \
             no step does"
        ))
    }

    /// A table of which only some rows may be read is not read itself.
    fn fenced(&self, asked: &AuthContext<'_>, table: &str) -> Result<(), String> {
        let name = table.to_ascii_lowercase();
        let hides = |fence: &Fence| fence.hides(&name);
        if asked.database_name != Some("main") || !self.fence.as_ref().is_some_and(hides) {
            return Ok(());
        }
        Err(format!(
            "the step may read only some rows of table `{table}`: it finds them under that name alone, not as \
             `main.{name}`, through a view, or by a foreign key of another table"
        ))
    }

    /// A table of which only some rows may be touched is not written itself.
    fn unguarded(&self, asked: &AuthContext<'_>, table: &str, of_trigger: bool) -> Result<(), String> {
        let name = table.to_ascii_lowercase();
        let guards = |fence: &Fence| fence.guards(&name);
        if of_trigger || asked.database_name == Some("temp") || !self.fence.as_ref().is_some_and(guards) {
            return Ok(());
        }
        Err(format!(
            "the step may touch only some rows of table `{table}`: it writes them under that name alone, not as \
             `main.{name}` or by a foreign key of another table"
        ))
    }

    fn read(&self, table: &str, column: &str) -> Result<(), String> {
        if self.access.whole {
            return Ok(());
        }
        let name = table.to_ascii_lowercase();
        let granted = self.access.read.get(&name);
        if column.is_empty() {
            // No column is read: rows are counted. Here SQLite also asks about names that are not tables at
            // all, such as those of common table expressions.
            if granted.is_some() || !self.is_relation(&name) {
                return Ok(());
            }
            return Err(format!(
                "the step may not read table `{table}`; a grant would be `read = [\"{name}\"]`"
            ));
        }
        if granted.is_some_and(|granted| granted.has(column)) || self.is_json_function(&name) {
            return Ok(());
        }
        Err(match granted {
            Some(_) => format!("the step may not read column `{column}` of table `{table}`"),
            None => format!(
                "the step may not read column `{column}` of table `{table}`; a grant would be `read = [\"{name}\"]`"
            ),
        })
    }

    fn write_rows(&self, table: &str, verb: &str, of_trigger: bool) -> Result<(), String> {
        self.writes(verb, table)?;
        if of_trigger || self.access.may_write_rows(table) {
            return Ok(());
        }
        let name = table.to_ascii_lowercase();
        Err(match self.access.write.get(&name) {
            Some(_) => format!(
                "the step may not {verb} table `{table}`: its grant names columns, which allows updates only"
            ),
            None => {
                format!("the step may not {verb} table `{table}`; a grant would be `write = [\"{name}\"]`")
            }
        })
    }

    fn update(&self, table: &str, column: &str) -> Result<(), String> {
        let name = table.to_ascii_lowercase();
        if !self.access.may_write(table, column) {
            return Err(match self.access.write.get(&name) {
                Some(_) => format!("the step may not update column `{column}` of table `{table}`"),
                None => format!(
                    "the step may not update table `{table}`; a grant would be `write = [\"{name}\"]`"
                ),
            });
        }
        if self.fence.as_ref().is_some_and(|fence| fence.is_key(&name, column)) {
            return Err(format!(
                "column `{column}` is the key of table `{table}`, and stays as it is where only some rows may be touched"
            ));
        }
        let by_column = self.access.write.get(&name).is_some_and(|granted| granted.columns().is_some());
        if by_column && may_replace_rows(&self.sql) {
            return Err(format!(
                "`OR REPLACE` can remove rows of table `{table}`, whose grant names columns, which allows \
                 updates only"
            ));
        }
        Ok(())
    }

    /// What every write has to fulfil, whoever makes it.
    fn writes(&self, verb: &str, table: &str) -> Result<(), String> {
        self.reserved(table)?;
        if self.purpose != Purpose::Execute {
            return Err(format!(
                "a query only reads, and this one would {verb} table `{table}`; use `execute`"
            ));
        }
        Ok(())
    }

    fn is_relation(&self, name: &str) -> bool {
        !self.is_json_function(name)
            && (self.schema.has_relation(name) || self.modules.iter().any(|module| module == name))
    }

    /// Whether `name` is one of the table-valued functions that read their argument alone.
    fn is_json_function(&self, name: &str) -> bool {
        matches!(name, "json_each" | "json_tree" | "jsonb_each" | "jsonb_tree")
            && !self.schema.has_relation(name)
    }
}

fn name_of(action: &AuthAction<'_>) -> &'static str {
    use AuthAction as A;
    match action {
        A::Pragma { .. } => "`PRAGMA`",
        A::Attach { .. } => "`ATTACH`",
        A::Detach { .. } => "`DETACH`",
        A::Transaction { .. } => "transaction control",
        A::Savepoint { .. } => "`SAVEPOINT`",
        A::CreateTempIndex { .. }
        | A::CreateTempTable { .. }
        | A::CreateTempTrigger { .. }
        | A::CreateTempView { .. }
        | A::DropTempIndex { .. }
        | A::DropTempTable { .. }
        | A::DropTempTrigger { .. }
        | A::DropTempView { .. } => "a temporary object",
        A::Analyze { .. } => "`ANALYZE`",
        A::Reindex { .. } => "`REINDEX`",
        _ => "a change of the schema",
    }
}

/// Whose statements a connection runs, shared between it and SQLite's callback.
#[derive(Clone, Debug, Default)]
pub(super) struct Authorizer(Arc<Mutex<Option<Rules>>>);

impl Authorizer {
    /// Puts `rules` in force until the returned value is dropped. Between guests' statements the connection
    /// is the host's, and everything is allowed.
    pub(super) fn enforce(&self, rules: Rules) -> Enforced<'_> {
        *self.lock() = Some(rules);
        Enforced(self)
    }

    /// Answers SQLite.
    pub(super) fn answer(&self, asked: &AuthContext<'_>) -> Authorization {
        self.lock().as_mut().map_or(Authorization::Allow, |rules| rules.answer(asked))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Rules>> {
        // Rules are put in and taken out whole, so a panic in between leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rules in force. Keep it as long as the statement lives: SQLite compiles a statement again while it runs if
/// the schema has changed.
pub(super) struct Enforced<'a>(&'a Authorizer);

impl Enforced<'_> {
    /// What the statement writes, as far as it has been compiled.
    pub(super) fn written(&self) -> Written {
        self.0.lock().as_ref().map(|rules| rules.written.clone()).unwrap_or_default()
    }

    /// What the statement does to what stands for a table.
    pub(super) fn touched(&self) -> Touched {
        self.0.lock().as_ref().map(|rules| rules.touched.clone()).unwrap_or_default()
    }

    /// The table that the statement itself writes, and the function that was denied because a default of that table
    /// calls it.
    pub(super) fn denied_default(&self) -> Option<(String, String)> {
        let rules = self.0.lock();
        let rules = rules.as_ref()?;
        let direct = rules.written.iter().find(|(_, trigger)| trigger.is_none())?;
        Some((direct.0.clone(), rules.of_default.clone()?))
    }

    /// What was denied first.
    pub(super) fn denial(&self) -> Option<String> {
        self.0.lock().as_ref().and_then(|rules| rules.denial.clone())
    }
}

impl Drop for Enforced<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
