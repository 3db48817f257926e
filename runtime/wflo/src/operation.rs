//! A call with its meaning: what it touches, how a crash in its middle is mended, who may make it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wflo_engine::CallClass;
use wflo_model::{Call, CallError, DbAccess, Grants, Label, SqlRows, SqlValue};
use wflo_ports::{ChatRequest, Database, DbError, Executed, HttpRequest, HttpResponse, Statement};

use crate::artifact::{self, ArtifactCall, Save};
use crate::ask::Ask;
use crate::bulk::BulkCall;
use crate::cost::CostReport;
use crate::fact::Fact;
use crate::files::FileCall;
use crate::interface::OwnCall;
use crate::message::{MailCall, SayCall};
use crate::named::NamedCall;
use crate::pages::PageCall;
use crate::placeholder::SecretCall;
use crate::search::SearchCall;
use crate::terraform::TerraformCall;
use crate::{Outside, http, terraform};

/// Everything a step can ask of the outside. What is not here cannot be asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    /// `wflo:llm/chat.complete`
    Complete(ChatRequest),
    /// `wflo:db/sql.query`
    Query(SqlCall),
    /// `wflo:db/sql.page`
    Page(PageCall),
    /// `wflo:db/sql.execute`
    Execute(SqlCall),
    /// `wflo:db/sql.bulk-insert`
    BulkInsert(BulkCall),
    /// `wflo:db/sql.call`; performed as a query or an execution of the plan's SQL: see [`Operation::bound`].
    Call(NamedCall),
    /// `wflo:approval/gate.request`
    Ask(Ask),
    /// `wasi:http/outgoing-handler.handle`
    Http(HttpRequest),
    /// `wflo:artifact/http.save`
    Save(Save),
    /// `wflo:artifact/store`
    Artifact(ArtifactCall),
    /// `wflo:approval/policy.fact`
    Fact(Fact),
    /// `wasi:filesystem/types`
    File(FileCall),
    /// `wflo:secret/secrets.placeholder`
    Secret(SecretCall),
    /// `wflo:infra/terraform`
    Terraform(TerraformCall),
    /// `wflo:step/context.report-cost`
    Cost(CostReport),
    /// `wflo:notify/mail.send`
    Mail(MailCall),
    /// `wflo:notify/channel.send`
    Say(SayCall),
    /// `wflo:knowledge/search.search`
    Search(SearchCall),
    /// A call of an interface that the host brings itself.
    Own(OwnCall),
    /// What the guest returned: no guest calls it, and it is judged where the step ends.
    Output(Value),
}

/// A statement for one database.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "SqlArguments")]
pub(crate) struct SqlCall {
    /// The database, by its label.
    pub(crate) db: Label,
    pub(crate) statement: Statement,
    /// Whether the SQL is the plan's own: it reaches what it says, whatever tables the step was granted. No guest can
    /// say so.
    pub(crate) is_named: bool,
}

/// The same as a guest says it.
#[derive(Deserialize)]
struct SqlArguments {
    db: Label,
    sql: String,
    params: Vec<SqlValue>,
}

impl From<SqlArguments> for SqlCall {
    fn from(SqlArguments { db, sql, params }: SqlArguments) -> Self {
        Self { db, statement: Statement { sql, params }, is_named: false }
    }
}

impl SqlCall {
    /// What the statement may touch.
    pub(crate) fn access(&self, grants: &BTreeMap<Label, DbAccess>) -> DbAccess {
        match self.is_named {
            true => DbAccess::whole(),
            false => grants.get(&self.db).cloned().unwrap_or_default(),
        }
    }

    /// What the guest is told that a write did: a named statement has rows whatever it does.
    pub(crate) fn told(&self, done: Executed) -> Value {
        if !self.is_named {
            return json!(done);
        }
        // A count of rows is far from what a signed integer holds.
        let changed = SqlValue::Integer(i64::try_from(done.changed).unwrap_or(i64::MAX));
        json!(SqlRows { columns: vec!["changed".into()], rows: vec![vec![changed]] })
    }
}

impl Operation {
    /// Reads a call.
    ///
    /// # Errors
    /// `Invalid` for arguments that do not fit, `AccessDenied` for a function that does not exist.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        match (call.interface.as_str(), call.function.as_str()) {
            ("wflo:llm/chat", "complete") => {
                let request: ChatRequest = arguments(call)?;
                if request.messages.is_empty() {
                    return Err(CallError::Invalid {
                        message: "a request needs at least one message".into(),
                    });
                }
                if let Some(schema) = &request.schema {
                    jsonschema::validator_for(schema).map_err(|error| CallError::Invalid {
                        message: format!("not a JSON Schema: {error}"),
                    })?;
                }
                Ok(Self::Complete(request))
            }
            ("wflo:db/sql", "query") => arguments(call).map(Self::Query),
            ("wflo:db/sql", "page") => arguments(call).map(Self::Page),
            ("wflo:db/sql", "execute") => arguments(call).map(Self::Execute),
            ("wflo:db/sql", "bulk-insert") => arguments(call).map(Self::BulkInsert),
            ("wflo:db/sql", "call") => arguments(call).map(Self::Call),
            ("wflo:approval/gate", "request") => arguments(call).map(Self::Ask),
            ("wasi:http/outgoing-handler", "handle") => arguments(call).map(Self::Http),
            (artifact::HTTP, "save") => Save::parse(call).map(Self::Save),
            (artifact::STORE, _) => ArtifactCall::parse(call).map(Self::Artifact),
            ("wflo:approval/policy", "fact") => arguments(call).map(Self::Fact),
            ("wasi:filesystem/types", _) => FileCall::parse(call).map(Self::File),
            ("wflo:secret/secrets", "placeholder") => arguments(call).map(Self::Secret),
            ("wflo:infra/terraform", _) => TerraformCall::parse(call).map(Self::Terraform),
            ("wflo:step/context", "report-cost") => CostReport::parse(call).map(Self::Cost),
            ("wflo:notify/mail", "send") => MailCall::parse(call).map(Self::Mail),
            ("wflo:notify/channel", "send") => SayCall::parse(call).map(Self::Say),
            ("wflo:knowledge/search", "search") => SearchCall::parse(call).map(Self::Search),
            (interface, _) => match interface.parse() {
                Ok(interface) => Ok(Self::Own(OwnCall { interface, call: call.clone() })),
                Err(_) => Err(CallError::AccessDenied { message: format!("there is no function `{call}`") }),
            },
        }
    }

    /// What a crash between this call's intent and its result means, under these grants. Of a named statement it is
    /// told once it is [bound](Self::bound).
    pub(crate) fn class(&self, grants: &Grants) -> CallClass {
        match self {
            Self::Complete(_) => CallClass::Repeatable,
            Self::Query(_)
            | Self::Page(_)
            | Self::Ask(_)
            | Self::Fact(_)
            | Self::File(_)
            | Self::Secret(_)
            | Self::Cost(_)
            | Self::Search(_)
            | Self::Artifact(_)
            | Self::Output(_) => CallClass::Read,
            // It is queued; whoever gets it twice can tell by its id.
            Self::Mail(_) | Self::Say(_) => CallClass::Recognisable,
            Self::Execute(_) | Self::BulkInsert(_) | Self::Call(_) => CallClass::Transactional,
            Self::Http(request) | Self::Save(Save { request, .. }) => http::class(request, grants),
            Self::Terraform(call) => call.class(),
            // The host says when it is made; until then, the worst.
            Self::Own(_) => CallClass::Unsafe,
        }
    }

    /// The database whose transaction it is a statement of, once it is [bound](Self::bound).
    pub(crate) const fn statement_of(&self) -> Option<&Label> {
        match self {
            Self::Query(SqlCall { db, .. })
            | Self::Execute(SqlCall { db, .. })
            | Self::BulkInsert(BulkCall { db, .. }) => Some(db),
            _ => None,
        }
    }

    /// Whether the step may make it: its grant, and what the deployment binds today. Tables and columns are
    /// judged by the database itself, which sees through every statement.
    ///
    /// # Errors
    /// `AccessDenied` with the grant that is lacking, `Unknown` where the deployment binds nothing.
    pub(crate) fn authorise(&self, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
        match self {
            Self::Complete(request) => {
                let model = &request.model;
                if !grants.llm.contains(model) {
                    let message =
                        format!("model `{model}` is not granted; `grants.llm = [\"{model}\"]` would");
                    return Err(CallError::AccessDenied { message });
                }
                outside.model(model).map(|_| ()).ok_or_else(|| CallError::Unknown {
                    message: format!("no binding of the deployment answers for model `{model}`"),
                })
            }
            Self::Query(SqlCall { db, .. })
            | Self::Page(PageCall { sql: SqlCall { db, .. }, .. })
            | Self::Execute(SqlCall { db, .. })
            | Self::BulkInsert(BulkCall { db, .. }) => {
                let Some(access) = grants.db.get(db) else {
                    let message =
                        format!("database `{db}` is not granted; `grants.db.{db} = {{ read = [..] }}` would");
                    return Err(CallError::AccessDenied { message });
                };
                if !database(outside, db)?.filters_rows() && access.filters().next().is_some() {
                    let message = format!(
                        "database `{db}` cannot keep the step to the rows that its grant names, so nothing in it is open"
                    );
                    return Err(CallError::AccessDenied { message });
                }
                Ok(())
            }
            Self::Call(call) => {
                let NamedCall { db, statement, .. } = call;
                if !grants.db.get(db).is_some_and(|access| access.may_call(statement.as_str())) {
                    let message = format!(
                        "statement `{statement}` of database `{db}` is not granted; `grants.db.{db} = {{ call = [\"{statement}\"] }}` would"
                    );
                    return Err(CallError::AccessDenied { message });
                }
                database(outside, db).map(|_| ())
            }
            Self::Http(request) | Self::Save(Save { request, .. }) => {
                http::authorise(request, grants, outside)
            }
            Self::Own(own) => own.authorise(grants, outside),
            Self::Secret(call) => call.authorise(grants, outside),
            Self::File(call) => call.authorise(grants, outside),
            Self::Mail(call) => call.authorise(grants, outside),
            Self::Say(call) => call.authorise(grants, outside),
            Self::Search(call) => call.authorise(grants, outside),
            Self::Terraform(call) => call.authorise(grants, outside),
            // Asking is always allowed, and claims are held against what the step declares.
            Self::Ask(_) | Self::Fact(_) | Self::Cost(_) | Self::Artifact(_) | Self::Output(_) => Ok(()),
        }
    }
}

/// Whether a call, as `interface.function`, could have returned a value: what a person says it did is what its step
/// gets.
///
/// # Errors
/// What does not fit.
pub(crate) fn fits(call: &str, value: &serde_json::Value) -> Result<(), String> {
    match call {
        "wasi:http/outgoing-handler.handle" | "wflo:artifact/http.save" => {
            HttpResponse::deserialize(value).map(|_| ()).map_err(|error| error.to_string())
        }
        "wflo:infra/terraform.apply" => terraform::fits_apply(value),
        _ => Ok(()),
    }
}

pub(crate) fn arguments<T: DeserializeOwned>(call: &Call) -> Result<T, CallError> {
    T::deserialize(&call.args).map_err(|error| CallError::Invalid { message: format!("`{call}`: {error}") })
}

/// The database that the deployment binds under a label today.
pub(crate) fn database<'a>(outside: &'a Outside, db: &Label) -> Result<&'a Arc<dyn Database>, CallError> {
    outside
        .database(db)
        .ok_or_else(|| CallError::Unknown { message: format!("the deployment binds no database `{db}`") })
}

/// What a guest is told about a database's error.
pub(crate) fn db_error(error: DbError) -> CallError {
    match error {
        DbError::Denied(message) => CallError::AccessDenied { message },
        DbError::Invalid(message) => CallError::Invalid { message },
        DbError::Constraint(message) => CallError::Constraint { message },
        DbError::Limit(message) => CallError::Limit { message },
        DbError::Unavailable(message) | DbError::Interrupted(message) => CallError::Unavailable { message },
        other => CallError::Other { message: other.to_string() },
    }
}
