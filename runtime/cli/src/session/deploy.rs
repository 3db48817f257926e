//! A deployment as it travels: the text of its file, and the variables of the environment that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wflo::{Host, Outside, Principal, Principals, Secret};
use wflo_backends::db::postgres::{Postgres, PostgresOptions};
use wflo_backends::db::sqlite::{Sqlite, SqliteOptions};
use wflo_backends::files::{HostFiles, HostFilesConfig};
use wflo_backends::http::{Http, HttpConfig};
use wflo_backends::knowledge::Folder;
use wflo_backends::llm::{Anthropic, Cassette, OpenAi, ServerConfig};
use wflo_backends::terraform::{TerraformConfig, TerraformFolder};
use wflo_manifest::{
    CassetteMode, DbBinding, Deployment, LlmBinding, LlmKind, LlmServer, MissingVariable, TerraformBinding,
    Text,
};
use wflo_model::{Label, ModelName};
use wflo_ports::{ChatModel, Database};

use crate::failure::{Code, Failure};

/// Where the indexes of knowledge bases are, in the folder of the store.
pub(crate) const INDEXES: &str = "knowledge";

/// A deployment of whoever asks. Two that are equal open the same things.
///
/// It may hold secrets, and so it has no `Debug`; it travels over a socket that only its owner can open.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Deploy {
    /// The path of the file, absolute: what it names is relative to its folder.
    pub(crate) config: PathBuf,
    /// Its text; none where there is no file.
    pub(crate) text: Option<String>,
    /// The variables it names, and no others; one that is not set is missed when it is needed.
    pub(crate) variables: BTreeMap<String, String>,
}

impl Deploy {
    /// Parses the text.
    pub(crate) fn deployment(&self) -> Result<Deployment, Failure> {
        match &self.text {
            Some(text) => Deployment::parse(&self.config.display().to_string(), text)
                .map_err(|wrong| Failure::rendered(Code::Usage, wrong.render(false))),
            None => Ok(Deployment::default()),
        }
    }

    /// The principals of the file.
    pub(crate) fn principals(&self) -> Result<Principals, Failure> {
        let mut known = Principals::default();
        for (name, principal) in &self.deployment()?.principals {
            let token_hash = principal.token_hash.as_ref().map(|text| self.resolve(text)).transpose()?;
            let groups = principal.groups.clone();
            let role = principal.role;
            known.0.insert(name.clone(), Principal { groups, role, token_hash, ..Principal::default() });
        }
        Ok(known)
    }

    /// Opens what the deployment binds.
    ///
    /// `state` is the store's own folder: no step is lent it, or anything around it.
    pub(crate) fn open(&self, state: &Path) -> Result<Host, Failure> {
        let deployment = self.deployment()?;
        let mut outside = Outside::default();
        for (label, db) in &deployment.db {
            let failed = |error| Failure::usage(format!("database `{label}`: {error}"));
            let database: Arc<dyn Database> = match db {
                DbBinding::Sqlite { path } => {
                    let options =
                        SqliteOptions { audit: deployment.audit_of(label), ..SqliteOptions::default() };
                    Arc::new(Sqlite::open(self.beside(path), options).map_err(failed)?)
                }
                DbBinding::Postgres { read_url, write_url } => {
                    Arc::new(self.postgres(&deployment, label, read_url, write_url.as_ref())?)
                }
                _ => return Err(Failure::usage(format!("this version cannot open database `{label}`"))),
            };
            outside = outside.with_database(label.clone(), database);
        }
        // A cassette that shares its models with the binding it records from answers for them.
        let is_tape = |binding: &LlmBinding| matches!(binding.kind, LlmKind::Cassette { .. });
        let (tapes, others): (Vec<_>, Vec<_>) = deployment.llm.values().partition(|it| is_tape(it));
        for binding in others.into_iter().chain(tapes) {
            outside = outside
                .with_models(self.model(&deployment, binding)?)
                .accepting(binding.models.iter().cloned(), binding.accepts.clone());
        }
        for (label, secret) in &deployment.secrets {
            let bound = Secret::new(self.resolve(&secret.value)?, secret.hosts.clone())
                .map_err(|error| Failure::usage(format!("secret `{label}`: {error}")))?;
            outside = outside.with_secret(label.clone(), bound);
        }
        for host in &deployment.hosts {
            outside = outside.with_host(host.host.clone(), host.accepts.clone());
        }
        for (label, binding) in &deployment.terraform {
            let folder = self.terraform(binding)?;
            outside = outside.with_terraform(label.clone(), Arc::new(folder), binding.accepts.clone());
        }
        let root = self.config.parent().unwrap_or(Path::new("/")).to_owned();
        let files = HostFiles::new(HostFilesConfig { root, kept: vec![state.to_owned()] });
        outside = outside.with_files(Arc::new(files), deployment.ceilings.files.clone());
        let ceiling = deployment.ceilings.http.clone();
        outside = outside.with_spending(deployment.spending.clone());
        outside = outside.with_http(Arc::new(Http::new(HttpConfig::default())), ceiling);
        outside = self.lend_channels(&deployment, outside)?;
        for (label, binding) in &deployment.knowledge {
            let folder = Folder::new(self.beside(&binding.path), Some(state.join(INDEXES)), label);
            outside = outside.with_knowledge(label.clone(), Arc::new(folder));
        }
        Ok(Host { outside: Arc::new(outside), principals: self.principals()? })
    }

    fn terraform(&self, binding: &TerraformBinding) -> Result<TerraformFolder, Failure> {
        let binary = self.resolve(&binding.binary)?;
        let mut env = BTreeMap::new();
        for (name, value) in &binding.env {
            env.insert(name.clone(), self.resolve(value)?);
        }
        // What the file itself shows is no secret.
        let secrets = binding.env.iter().filter(|(_, value)| value.plain().is_none());
        Ok(TerraformFolder::new(TerraformConfig {
            dir: self.beside(&binding.dir),
            binary: if binary.contains('/') { self.beside(&binary) } else { binary.into() },
            secrets: secrets.filter_map(|(name, _)| env.get(name).cloned()).collect(),
            env,
            plugins: binding.plugins.as_ref().map(|path| self.beside(path)),
            timeout: binding.timeout,
        }))
    }

    /// A PostgreSQL database; nothing is connected before it is needed.
    pub(crate) fn postgres(
        &self,
        deployment: &Deployment,
        label: &Label,
        read_url: &Text,
        write_url: Option<&Text>,
    ) -> Result<Postgres, Failure> {
        let read_url = self.resolve(read_url)?;
        let write_url = write_url.map(|url| self.resolve(url)).transpose()?;
        let options = PostgresOptions { audit: deployment.audit_of(label), ..PostgresOptions::default() };
        Postgres::new(&read_url, write_url.as_deref(), options)
            .map_err(|error| Failure::usage(format!("database `{label}`: {error}")))
    }

    fn server(&self, server: &LlmServer, models: Vec<ModelName>) -> Result<ServerConfig, Failure> {
        let mut config = ServerConfig::new(self.resolve(&server.base_url)?, models);
        if let Some(key) = &server.api_key {
            config = config.with_api_key(self.resolve(key)?);
        }
        (config.timeout, config.max_retries) = (server.timeout, server.max_retries);
        Ok(config)
    }

    fn model(&self, deployment: &Deployment, binding: &LlmBinding) -> Result<Arc<dyn ChatModel>, Failure> {
        let models = binding.models.iter().cloned().collect();
        match &binding.kind {
            LlmKind::OpenAi(server) => {
                Ok(Arc::new(OpenAi::new(self.server(server, models)?).map_err(Failure::usage)?))
            }
            LlmKind::Anthropic(server) => {
                Ok(Arc::new(Anthropic::new(self.server(server, models)?).map_err(Failure::usage)?))
            }
            LlmKind::Cassette { path, mode, upstream } => {
                let path = self.beside(path);
                let tape = match (mode, upstream) {
                    (CassetteMode::Record, Some(label)) => {
                        let upstream = deployment.llm.get(label).ok_or_else(|| {
                            Failure::usage(format!("there is no `[llm.{label}]` to record from"))
                        })?;
                        Cassette::record(path, self.model(deployment, upstream)?)
                    }
                    _ => Cassette::open(path, models),
                };
                Ok(Arc::new(tape.map_err(|error| Failure::usage(chain(&error)))?))
            }
            _ => Err(Failure::usage("this version does not know that kind of model binding")),
        }
    }

    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.config.parent().unwrap_or(Path::new("/")).join(path)
    }

    pub(super) fn resolve(&self, text: &Text) -> Result<String, Failure> {
        self.resolve_text(text).map_err(Failure::usage)
    }

    pub(super) fn resolve_text(&self, text: &Text) -> Result<String, MissingVariable> {
        text.resolve(&|name| self.variables.get(name).cloned())
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
