//! A deployment of which the names are there, and nothing behind them.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use wflo_manifest::{ChannelKind, Deployment, MailAccepts};
use wflo_model::{DbAccess, Digest, Label, ModelName, SqlRows};
use wflo_ports::{
    Begun, Capture, ChatModel, ChatRequest, Completion, Database, DbError, FileEntry, FileError, FilePlace,
    FileStat, Files, HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse, IdempotencyKey, Knowledge,
    KnowledgeError, Marker, ModelError, Notification, Notifier, NotifyError, Opened, Passage, QueryLimits,
    RestoreRequest, Restored, Statement, Terraform, TerraformApplied, TerraformBase, TerraformError,
    TerraformFile, TerraformPlan, TerraformSnapshot, TerraformState, TokenBound, Verified,
};

use crate::{Outside, OutsideMail, Secret};

/// What everything in the place of something real says, should anybody ever ask it: the tape answers before.
const NOTHING: &str = "there is nothing behind the names of a test";

fn nothing() -> String {
    NOTHING.to_owned()
}

/// Reaches nothing, and says so.
struct Nothing {
    models: Vec<ModelName>,
    accepts: BTreeSet<Label>,
}

impl Nothing {
    fn new() -> Arc<Self> {
        Arc::new(Self { models: Vec::new(), accepts: BTreeSet::new() })
    }
}

impl Outside {
    /// Lends every name that a deployment binds, under its ceilings and with the labels that it accepts, and nothing
    /// behind any of them: what tests of steps are run with. No address, key or variable of the deployment is looked at.
    ///
    /// ```
    /// use wflo::Outside;
    /// use wflo_manifest::Deployment;
    /// let deployment = Deployment::parse("wflo.toml", "[db.bank]\nurl = \"sqlite:bank.db\"\n").unwrap();
    /// assert!(Outside::of_nothing(&deployment).database(&"bank".parse().unwrap()).is_some());
    /// ```
    #[must_use]
    pub fn of_nothing(deployment: &Deployment) -> Self {
        let mut outside = Self::default();
        for binding in deployment.llm.values() {
            let models: Vec<_> = binding.models.iter().cloned().collect();
            outside = outside.accepting(models.clone(), binding.accepts.clone());
            outside = outside.with_models(Arc::new(Nothing { models, accepts: BTreeSet::new() }));
        }
        for label in deployment.db.keys() {
            outside = outside.with_database(label.clone(), Nothing::new());
        }
        for (label, binding) in &deployment.secrets {
            // It is filled in nowhere: no request is made.
            let secret = Secret::new(NOTHING, binding.hosts.clone());
            outside = outside.with_secret(label.clone(), secret.expect("it is long, and in one line"));
        }
        for host in &deployment.hosts {
            outside = outside.with_host(host.host.clone(), host.accepts.clone());
        }
        for (label, binding) in &deployment.terraform {
            outside = outside.with_terraform(label.clone(), Nothing::new(), binding.accepts.clone());
        }
        for label in deployment.knowledge.keys() {
            outside = outside.with_knowledge(label.clone(), Nothing::new());
        }
        for (address, channel) in &deployment.channels {
            let real = match &channel.kind {
                ChannelKind::Alias { to } => deployment.channels.get(to),
                _ => Some(channel),
            };
            let accepts = real.map(|real| real.accepts.clone()).unwrap_or_default();
            let channel = Arc::new(Nothing { models: Vec::new(), accepts });
            outside = outside.with_channel(address.clone(), Ok(channel));
        }
        if deployment.mail.is_some() {
            let mut mail = OutsideMail::new(Err(nothing()));
            if let Some(ceiling) = &deployment.ceilings.mail {
                mail = mail.within(ceiling.clone());
            }
            for MailAccepts { to, labels } in &deployment.mail_accepts {
                mail = mail.accepting(to.clone(), labels.clone());
            }
            outside = outside.with_mail(mail);
        }
        outside
            .with_files(Nothing::new(), deployment.ceilings.files.clone())
            .with_http(Nothing::new(), deployment.ceilings.http.clone())
    }
}

#[async_trait]
impl ChatModel for Nothing {
    fn models(&self) -> &[ModelName] {
        &self.models
    }

    fn bound(&self, _: &ChatRequest) -> TokenBound {
        TokenBound { input: 0, output: None }
    }

    async fn complete(&self, _: &ChatRequest, _: &IdempotencyKey) -> Result<Completion, ModelError> {
        Err(ModelError::NotSent { message: nothing() })
    }
}

#[async_trait]
impl Database for Nothing {
    async fn query(&self, _: &Statement, _: &DbAccess, _: QueryLimits) -> Result<SqlRows, DbError> {
        Err(DbError::Unavailable(nothing()))
    }

    async fn begin(&self, _: &Marker, _: Capture) -> Result<Begun, DbError> {
        Err(DbError::Unavailable(nothing()))
    }

    async fn committed(&self, _: &Marker) -> Result<bool, DbError> {
        Err(DbError::Unavailable(nothing()))
    }

    fn filters_rows(&self) -> bool {
        // Which rows a statement sees is what the tape says.
        true
    }
}

#[async_trait]
impl HttpClient for Nothing {
    async fn send(&self, _: &HttpRequest, _: HttpLimits) -> Result<HttpResponse, HttpError> {
        Err(HttpError::NotSent { message: nothing() })
    }
}

#[async_trait]
impl Files for Nothing {
    async fn open(&self, _: &FilePlace, _: u64) -> Result<Opened, FileError> {
        Err(FileError::Unavailable { message: nothing() })
    }

    async fn list(&self, _: &FilePlace) -> Result<Vec<FileEntry>, FileError> {
        Err(FileError::Unavailable { message: nothing() })
    }

    async fn look(&self, _: &FilePlace) -> Result<FileStat, FileError> {
        Err(FileError::Unavailable { message: nothing() })
    }
}

#[async_trait]
impl Knowledge for Nothing {
    async fn search(&self, _: &str, _: usize) -> Result<Vec<Passage>, KnowledgeError> {
        Err(KnowledgeError::Unavailable { message: nothing() })
    }
}

#[async_trait]
impl Notifier for Nothing {
    async fn tell(&self, _: &Notification) -> Result<(), NotifyError> {
        Err(NotifyError::Refused { message: nothing() })
    }

    fn accepts(&self) -> &BTreeSet<Label> {
        &self.accepts
    }

    fn hears_decisions(&self) -> bool {
        false
    }
}

#[async_trait]
impl Terraform for Nothing {
    async fn state(&self) -> Result<TerraformState, TerraformError> {
        Err(TerraformError::Unavailable { message: nothing() })
    }

    async fn plan(&self, _: &[TerraformFile]) -> Result<TerraformPlan, TerraformError> {
        Err(TerraformError::Unavailable { message: nothing() })
    }

    async fn prepare(&self, _: &Digest) -> Result<TerraformSnapshot, TerraformError> {
        Err(TerraformError::Unavailable { message: nothing() })
    }

    async fn apply(&self, _: &Digest, _: &TerraformBase) -> Result<TerraformApplied, TerraformError> {
        Err(TerraformError::Unavailable { message: nothing() })
    }

    async fn verify(&self, _: &Digest) -> Result<Verified, TerraformError> {
        Err(TerraformError::Unavailable { message: nothing() })
    }

    async fn restore(&self, _: &RestoreRequest) -> Result<Restored, TerraformError> {
        Err(TerraformError::Unavailable { message: nothing() })
    }
}
