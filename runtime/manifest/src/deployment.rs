//! `wflo.toml`: what labels mean on this host, who is who, and what nobody may exceed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wflo_model::{
    GrantReader, GroupName, HostPath, HttpPattern, InterfaceName, Label, LimitName, MailPattern, ModelName,
    PrincipalName, Role,
};

use crate::channel::{Channel, MailServer};
use crate::compute::ComputePrice;
use crate::deployment_toml;
use crate::diagnostic::{Diagnostics, Source, Span};
use crate::directory::Directory;
use crate::labels::DataLabels;
use crate::price::UnknownPrice;
use crate::prices::Prices;
use crate::reader::Reader;
use crate::sandbox_rules::SandboxRules;
use crate::spending::Spending;
use crate::terraform_toml::TerraformBinding;
use crate::text::Text;

/// A validated `wflo.toml`. The default one binds nothing and keeps runs in `.wflo`.
///
/// ```
/// use wflo_manifest::{DbBinding, Deployment};
/// let text = "[db.bank]\nurl = \"sqlite:bank.db\"\n";
/// let deployment = Deployment::parse("wflo.toml", text).unwrap();
/// assert_eq!(deployment.db["bank"], DbBinding::Sqlite { path: "bank.db".into() });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deployment {
    /// The file, for messages.
    pub source: Arc<Source>,
    /// What is to be said about a file that has no errors.
    pub hints: Diagnostics,
    /// Where runs are kept.
    pub store: Store,
    /// Who answers for models.
    pub llm: BTreeMap<Label, LlmBinding>,
    /// The built-in prices, and over them those of `[prices]`.
    pub prices: Prices,
    /// Databases.
    pub db: BTreeMap<Label, DbBinding>,
    /// Their audit tables, which a database's own triggers write and no step, by the database.
    pub db_audit: BTreeMap<Label, BTreeSet<String>>,
    /// Where notifications go, by the address that workflows use.
    pub channels: BTreeMap<String, Channel>,
    /// How mail leaves.
    pub mail: Option<MailServer>,
    /// The labelled data that steps may write to addresses.
    pub mail_accepts: Vec<MailAccepts>,
    /// Folders of documents that can be searched.
    pub knowledge: BTreeMap<Label, KnowledgeBinding>,
    /// The pages of `wflo serve`.
    pub serve: Serve,
    /// People and machines.
    pub principals: BTreeMap<PrincipalName, Principal>,
    /// Rules about money.
    pub budget: BudgetRules,
    /// What may be spent above single runs.
    pub spending: Spending,
    /// What it costs that steps compute.
    pub compute: ComputePrice,
    /// What no step may exceed.
    pub ceilings: Ceilings,
    /// What the sandbox of a process has room for.
    pub sandbox: SandboxRules,
    /// How often checkpoints of the audit are made, and where they go.
    pub audit: AuditRules,
    /// Interfaces that the host brings itself, and what reads their grants: see [`offer`](Self::offer).
    pub offers: BTreeMap<InterfaceName, GrantReader>,
    /// Secrets.
    pub secrets: BTreeMap<Label, SecretBinding>,
    /// What servers may be given.
    pub hosts: Vec<HostBinding>,
    /// What the data of databases are, by the database.
    pub data: BTreeMap<Label, DataLabels>,
    /// Terraform folders.
    pub terraform: BTreeMap<Label, TerraformBinding>,
}

/// A secret, and where it may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretBinding {
    /// The secret.
    pub value: Text,
    /// The servers that requests with it may go to.
    pub hosts: Vec<HttpPattern>,
}

/// Addresses, and which labelled data steps may write to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAccepts {
    /// The addresses.
    pub to: MailPattern,
    /// Labels of data that may be sent there.
    pub labels: BTreeSet<Label>,
}

/// A folder of documents that can be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnowledgeBinding {
    /// The folder, relative to the file.
    pub path: String,
    /// Labels of what stands in it.
    pub labels: BTreeSet<Label>,
    /// Where the path stands.
    pub(crate) place: Span,
}

/// A server, and which labelled data it may be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostBinding {
    /// The server.
    pub host: HttpPattern,
    /// Labels of data that may be sent there.
    pub accepts: BTreeSet<Label>,
}

/// How often checkpoints of the audit are made, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRules {
    /// A folder that every checkpoint is written to, relative to the file: kept elsewhere, it shows a rewrite.
    pub publish: Option<String>,
    /// How long runs move before there is a checkpoint.
    pub every: Duration,
}

impl Default for AuditRules {
    /// Every ten seconds, and published nowhere.
    fn default() -> Self {
        Self { publish: None, every: Duration::from_secs(10) }
    }
}

/// Where runs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The folder of the embedded store, relative to the file.
    pub path: String,
    /// The key that seals bodies at rest; a key file in the folder if absent.
    pub seal_key: Option<Text>,
}

/// Who answers for some models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlmBinding {
    /// How.
    pub kind: LlmKind,
    /// For which models.
    pub models: BTreeSet<ModelName>,
    /// Labels of data that may be sent there.
    pub accepts: BTreeSet<Label>,
}

/// How models are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LlmKind {
    /// By the chat API that OpenAI made and many serve.
    OpenAi(LlmServer),
    /// By the Messages API of Anthropic.
    Anthropic(LlmServer),
    /// From a file.
    Cassette {
        /// The file, relative to `wflo.toml`.
        path: String,
        /// Whether it is read or made.
        mode: CassetteMode,
        /// The binding that is asked while recording.
        upstream: Option<Label>,
    },
}

/// A server that models are behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LlmServer {
    /// The address up to and including `/v1`.
    pub base_url: Text,
    /// The key, if the server wants one.
    pub api_key: Option<Text>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How often a request is repeated that was certainly not answered.
    pub max_retries: u32,
}

/// What is done with a cassette.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CassetteMode {
    /// Answers come from it; a request that is not on it is an error.
    #[default]
    Replay,
    /// Answers come from upstream and are added to it.
    Record,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DbBinding {
    /// A SQLite file, relative to `wflo.toml`.
    Sqlite {
        /// The file.
        path: String,
    },
    /// A PostgreSQL database.
    Postgres {
        /// The address by which a login role that only reads logs in.
        read_url: Text,
        /// That of a login role that also writes; without it no step does.
        write_url: Option<Text>,
    },
}

/// The pages of `wflo serve`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serve {
    /// Where people find them: what links begin with.
    pub url: Option<Text>,
    /// Where it listens, unless the command says otherwise.
    pub listen: Option<std::net::SocketAddr>,
}

/// A person or machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The groups they are in.
    pub groups: BTreeSet<GroupName>,
    /// What they may do at most.
    pub role: Role,
    /// The argon2id hash of their token; without one they cannot authenticate.
    pub token_hash: Option<Text>,
}

/// Rules about money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetRules {
    /// What happens to a model without a price.
    pub on_unknown_price: UnknownPrice,
    /// A call whose answer could have fewer tokens than this, given the money left, is refused unmade.
    pub min_output_tokens: u32,
}

/// What no step may exceed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// How much an attempt may use: memory and output in bytes, time in seconds.
    pub limits: BTreeMap<LimitName, u64>,
    /// Requests over HTTP; without it, grants alone decide.
    pub http: Option<Vec<HttpPattern>>,
    /// Folders that may be read; without it, those that lie in the workflow's own.
    pub files: Option<Vec<HostPath>>,
    /// Addresses that steps may write mail to; without it, grants alone decide.
    pub mail: Option<Vec<MailPattern>>,
}

impl Deployment {
    /// Reads a file. `file` is its name, as messages shall show it.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the text.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut reader = Reader::new(&Source::new(file, text));
        let deployment = deployment_toml::read(&mut reader);
        let found = reader.finish();
        match deployment {
            Some(deployment) if !found.has_errors() => Ok(Self { hints: found, ..deployment }),
            _ => Err(found),
        }
    }

    /// The audit tables of a database: see [`db_audit`](Self::db_audit).
    #[must_use]
    pub fn audit_of(&self, label: &Label) -> BTreeSet<String> {
        self.db_audit.get(label).cloned().unwrap_or_default()
    }

    /// The binding that answers for a model. Where a cassette and its upstream both list it, the cassette.
    #[must_use]
    pub fn model(&self, model: &ModelName) -> Option<(&Label, &LlmBinding)> {
        let all = self.llm.iter().filter(|(_, binding)| binding.models.contains(model));
        all.max_by_key(|(_, binding)| matches!(binding.kind, LlmKind::Cassette { .. }))
    }

    /// An error at the path of a knowledge base, which cannot be read; `why` follows its name.
    ///
    /// ```
    /// use wflo_manifest::Deployment;
    /// let text = "[knowledge.help]\npath = \"kb/\"\n";
    /// let deployment = Deployment::parse("wflo.toml", text).unwrap();
    /// let found = deployment.unreadable(&"help".parse().unwrap(), "is no folder").render(false);
    /// assert!(found.contains("`kb/` of knowledge base `help` is no folder"), "{found}");
    /// assert!(found.contains("wflo.toml:2"), "{found}");
    /// ```
    #[must_use]
    pub fn unreadable(&self, label: &Label, why: &str) -> Diagnostics {
        let mut reader = Reader::new(&self.source);
        if let Some(binding) = self.knowledge.get(label) {
            let message = format!("`{}` of knowledge base `{label}` {why}", binding.path);
            reader
                .error(binding.place.clone(), message)
                .hint("it is a folder of Markdown, text or HTML, and its path is relative to this file");
        }
        reader.finish()
    }

    /// The principals of the file.
    #[must_use]
    pub fn directory(&self) -> Directory {
        self.principals.iter().map(|(name, principal)| (name.clone(), principal.groups.clone())).collect()
    }
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            source: Source::new("wflo.toml", ""),
            hints: Diagnostics::default(),
            store: Store::default(),
            llm: BTreeMap::new(),
            prices: Prices::built_in(),
            db: BTreeMap::new(),
            db_audit: BTreeMap::new(),
            channels: BTreeMap::new(),
            mail: None,
            mail_accepts: Vec::new(),
            knowledge: BTreeMap::new(),
            serve: Serve::default(),
            principals: BTreeMap::new(),
            budget: BudgetRules::default(),
            spending: Spending::default(),
            compute: ComputePrice::default(),
            ceilings: Ceilings::default(),
            sandbox: SandboxRules::default(),
            audit: AuditRules::default(),
            offers: BTreeMap::new(),
            secrets: BTreeMap::new(),
            hosts: Vec::new(),
            data: BTreeMap::new(),
            terraform: BTreeMap::new(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { path: ".wflo".to_owned(), seal_key: None }
    }
}

impl Default for BudgetRules {
    /// Models without a price are refused, and so are calls that leave less than 64 tokens for the answer.
    fn default() -> Self {
        Self { on_unknown_price: UnknownPrice::Deny, min_output_tokens: 64 }
    }
}

impl fmt::Display for LlmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenAi(_) => "openai",
            Self::Anthropic(_) => "anthropic",
            Self::Cassette { .. } => "cassette",
        })
    }
}
