//! What a host lends to steps today: the real things behind the names that plans use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use wflo_manifest::{Plan, Spending};
use wflo_model::{HostPath, HttpPattern, HttpUrl, InterfaceName, Label, MailAddress, MailPattern, ModelName};
use wflo_ports::{ChatModel, Database, Files, HttpClient, HttpRequest, Knowledge, Mail, Notifier, Terraform};

use crate::interface::{Interface, Lent, WithCeiling, name_of};
use crate::scrub::Scrubber;
use crate::secret::{Secret, Secrets};
use crate::step_test::Tape;

/// The models and databases that the deployment binds now, its HTTP, and what interfaces of the host's own lead to.
///
/// A plan's grant alone reaches nothing: a live call needs the binding as well, so that taking a binding away
/// works at once for every run.
///
/// ```
/// use wflo::Outside;
/// let outside = Outside::default();
/// assert!(outside.model(&"gpt-4".parse().unwrap()).is_none());
/// ```
#[derive(Clone, Default)]
pub struct Outside {
    models: BTreeMap<ModelName, Arc<dyn ChatModel>>,
    databases: BTreeMap<Label, Arc<dyn Database>>,
    http: Option<OutsideHttp>,
    spending: Spending,
    interfaces: BTreeMap<InterfaceName, Arc<dyn Lent>>,
    channels: BTreeMap<String, Result<Arc<dyn Notifier>, String>>,
    mail: Option<OutsideMail>,
    knowledge: BTreeMap<Label, Arc<dyn Knowledge>>,
    pages: Option<String>,
    files: Option<OutsideFiles>,
    secrets: Secrets,
    terraform: BTreeMap<Label, OutsideTerraform>,
    /// Labels of data that each model may be told.
    models_accept: BTreeMap<ModelName, BTreeSet<Label>>,
    /// Labels of data that servers may be told.
    hosts_accept: Vec<(HttpPattern, BTreeSet<Label>)>,
    /// What answers in the place of all of it, in a test of a step.
    tape: Option<Arc<Tape>>,
}

/// The HTTP that a host lends: who makes requests, and which at most.
#[derive(Clone)]
pub struct OutsideHttp {
    client: Arc<dyn HttpClient>,
    ceiling: Option<Vec<HttpPattern>>,
}

impl OutsideHttp {
    /// Who makes requests.
    #[must_use]
    pub fn client(&self) -> &Arc<dyn HttpClient> {
        &self.client
    }

    /// The requests that may be made at most, whatever a step was granted; none if grants alone decide.
    #[must_use]
    pub fn ceiling(&self) -> Option<&[HttpPattern]> {
        self.ceiling.as_deref()
    }
}

/// The files that a host lends: who reads them, and which at most.
#[derive(Clone)]
pub struct OutsideFiles {
    files: Arc<dyn Files>,
    ceiling: Option<Vec<HostPath>>,
}

impl OutsideFiles {
    /// Who reads them.
    #[must_use]
    pub fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// The folders that may be read at most; none if those beside `wflo.toml` may.
    #[must_use]
    pub fn ceiling(&self) -> Option<&[HostPath]> {
        self.ceiling.as_deref()
    }
}

/// The mail that a host lends: who sends it, to whom at most, and which labelled data.
///
/// ```
/// use wflo::{Outside, OutsideMail};
/// let mail = OutsideMail::new(Err("the server is away".to_owned())).within(vec!["*@example.org".parse().unwrap()]);
/// assert_eq!(Outside::default().with_mail(mail).mail().unwrap().server().err(), Some("the server is away"));
/// ```
#[derive(Clone)]
pub struct OutsideMail {
    server: Result<Arc<dyn Mail>, String>,
    ceiling: Option<Vec<MailPattern>>,
    accepts: Vec<(MailPattern, BTreeSet<Label>)>,
}

impl OutsideMail {
    /// Mail that this server sends; or why it cannot be sent, which is then why it waits. Grants decide to whom, and
    /// nobody may be told labelled data.
    #[must_use]
    pub const fn new(server: Result<Arc<dyn Mail>, String>) -> Self {
        Self { server, ceiling: None, accepts: Vec::new() }
    }

    /// Sets to whom steps may write at most.
    #[must_use]
    pub fn within(mut self, ceiling: Vec<MailPattern>) -> Self {
        self.ceiling = Some(ceiling);
        self
    }

    /// Allows addresses to be told data with these labels.
    #[must_use]
    pub fn accepting(mut self, to: MailPattern, labels: BTreeSet<Label>) -> Self {
        self.accepts.push((to, labels));
        self
    }

    /// Who sends it, or why it cannot be sent, which is then why it waits.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub fn server(&self) -> Result<&Arc<dyn Mail>, &str> {
        self.server.as_ref().map_err(String::as_str)
    }
}

/// A terraform folder that a host lends.
#[derive(Clone)]
pub struct OutsideTerraform {
    folder: Arc<dyn Terraform>,
    accepts: BTreeSet<Label>,
}

impl OutsideTerraform {
    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Arc<dyn Terraform> {
        &self.folder
    }

    /// Whether data with this label may become part of its configuration.
    #[must_use]
    pub fn accepts(&self, label: &Label) -> bool {
        self.accepts.contains(label)
    }
}

impl Outside {
    /// Lends a binding's models; a later binding of the same model replaces an earlier one.
    #[must_use]
    pub fn with_models(mut self, binding: Arc<dyn ChatModel>) -> Self {
        for model in binding.models() {
            self.models.insert(model.clone(), Arc::clone(&binding));
        }
        self
    }

    /// Lends a database under a label.
    #[must_use]
    pub fn with_database(mut self, label: Label, database: Arc<dyn Database>) -> Self {
        self.databases.insert(label, database);
        self
    }

    /// Lends a client for requests over HTTP. Within `ceiling`, where there is one, grants decide.
    #[must_use]
    pub fn with_http(mut self, client: Arc<dyn HttpClient>, ceiling: Option<Vec<HttpPattern>>) -> Self {
        self.http = Some(OutsideHttp { client, ceiling });
        self
    }

    /// Sets what may be spent above single runs.
    #[must_use]
    pub fn with_spending(mut self, spending: Spending) -> Self {
        self.spending = spending;
        self
    }

    /// What may be spent above single runs.
    #[must_use]
    pub const fn spending(&self) -> &Spending {
        &self.spending
    }

    /// Lends an interface that the host brings itself. Within `ceiling`, where there is one, grants decide.
    #[must_use]
    pub fn with_interface<I: Interface>(mut self, interface: Arc<I>, ceiling: Option<Vec<I::Grant>>) -> Self {
        let name = name_of(&*interface);
        self.interfaces.insert(name, Arc::new(WithCeiling { interface, ceiling }));
        self
    }

    /// The interfaces of the host's own that a plan asks more of than their ceilings allow. A run of it can be
    /// started; each call above a ceiling is denied.
    #[must_use]
    pub fn exceeded(&self, plan: &Plan) -> BTreeSet<InterfaceName> {
        let granted = plan.steps.iter().flat_map(|step| &step.grants.interfaces);
        let exceeds = |name: &InterfaceName, granted: &[Value]| {
            self.interfaces.get(name).is_some_and(|lent| lent.exceeds(granted))
        };
        granted.filter(|(name, granted)| exceeds(name, granted)).map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn interface(&self, name: &InterfaceName) -> Option<&Arc<dyn Lent>> {
        self.interfaces.get(name)
    }

    /// Lends files. Within `ceiling`, where there is one, grants decide.
    #[must_use]
    pub fn with_files(mut self, files: Arc<dyn Files>, ceiling: Option<Vec<HostPath>>) -> Self {
        self.files = Some(OutsideFiles { files, ceiling });
        self
    }

    /// Lends a terraform folder under a label. Data with the labels of `accepts` may become part of its configuration.
    #[must_use]
    pub fn with_terraform(
        mut self,
        label: Label,
        folder: Arc<dyn Terraform>,
        accepts: BTreeSet<Label>,
    ) -> Self {
        self.terraform.insert(label, OutsideTerraform { folder, accepts });
        self
    }

    /// The terraform folder of that label.
    #[must_use]
    pub fn terraform(&self, label: &Label) -> Option<&OutsideTerraform> {
        self.terraform.get(label)
    }

    /// The files there are.
    #[must_use]
    pub const fn files(&self) -> Option<&OutsideFiles> {
        self.files.as_ref()
    }

    /// Allows models to be told data with these labels; without it, none.
    #[must_use]
    pub fn accepting(mut self, models: impl IntoIterator<Item = ModelName>, labels: BTreeSet<Label>) -> Self {
        for model in models {
            self.models_accept.insert(model, labels.clone());
        }
        self
    }

    /// Allows a server to be told data with these labels; without it, none.
    #[must_use]
    pub fn with_host(mut self, host: HttpPattern, labels: BTreeSet<Label>) -> Self {
        self.hosts_accept.push((host, labels));
        self
    }

    pub(crate) fn model_accepts(&self, model: &ModelName, label: &Label) -> bool {
        self.models_accept.get(model).is_some_and(|accepts| accepts.contains(label))
    }

    pub(crate) fn host_accepts(&self, request: &HttpRequest, label: &Label) -> bool {
        let accepts = |(host, labels): &(HttpPattern, BTreeSet<Label>)| {
            labels.contains(label) && host.matches(&request.method, &request.url)
        };
        self.hosts_accept.iter().any(accepts)
    }

    /// Lends a secret under a label; steps have placeholders of it.
    #[must_use]
    pub fn with_secret(mut self, label: Label, secret: Secret) -> Self {
        self.secrets.add(label, secret);
        self
    }

    /// The secret of that label.
    #[must_use]
    pub fn secret(&self, label: &Label) -> Option<&Secret> {
        self.secrets.get(label)
    }

    /// Whether a server may have been told a secret, by whichever step, and so may tell it.
    pub(crate) fn may_tell_secrets(&self, url: &HttpUrl) -> bool {
        self.secrets.may_be_at(url)
    }

    pub(crate) const fn scrubber(&self) -> &Scrubber {
        self.secrets.scrubber()
    }

    /// Lends a channel under the address that workflows use; or says why it cannot be used, which is then why what is to
    /// be told there waits.
    #[must_use]
    pub fn with_channel(mut self, address: String, channel: Result<Arc<dyn Notifier>, String>) -> Self {
        self.channels.insert(address, channel);
        self
    }

    /// Says where people find the pages of `wflo serve`, for links.
    #[must_use]
    pub fn with_pages(mut self, url: impl Into<String>) -> Self {
        self.pages = Some(url.into().trim_end_matches('/').to_owned());
        self
    }

    /// Lends mail.
    #[must_use]
    pub fn with_mail(mut self, mail: OutsideMail) -> Self {
        self.mail = Some(mail);
        self
    }

    /// The mail there is.
    #[must_use]
    pub const fn mail(&self) -> Option<&OutsideMail> {
        self.mail.as_ref()
    }

    /// Whether steps may write to an address at all.
    pub(crate) fn mail_reaches(&self, to: &MailAddress) -> bool {
        let Some(mail) = &self.mail else { return false };
        mail.ceiling.as_ref().is_none_or(|most| most.iter().any(|most| to.is_in(most)))
    }

    pub(crate) fn mail_accepts(&self, to: &MailAddress, label: &Label) -> bool {
        let accepts = self.mail.as_ref().map(|mail| mail.accepts.as_slice()).unwrap_or_default();
        accepts.iter().any(|(pattern, labels)| labels.contains(label) && to.is_in(pattern))
    }

    /// Lends a knowledge base under a label.
    #[must_use]
    pub fn with_knowledge(mut self, label: Label, knowledge: Arc<dyn Knowledge>) -> Self {
        self.knowledge.insert(label, knowledge);
        self
    }

    /// The knowledge base of that label.
    #[must_use]
    pub fn knowledge(&self, label: &str) -> Option<&Arc<dyn Knowledge>> {
        self.knowledge.get(label)
    }

    /// The channel of that address, or why it cannot be used; none if it is not bound.
    #[must_use]
    pub fn channel(&self, address: &str) -> Option<Result<&Arc<dyn Notifier>, &str>> {
        Some(self.channels.get(address)?.as_ref().map_err(String::as_str))
    }

    /// Where people find the pages, without a slash at the end.
    #[must_use]
    pub fn pages(&self) -> Option<&str> {
        self.pages.as_deref()
    }

    /// Has a tape answer in the place of everything outside.
    pub(crate) fn with_tape(mut self, tape: Arc<Tape>) -> Self {
        self.tape = Some(tape);
        self
    }

    /// What answers in the place of everything outside; none but in a test of a step.
    pub(crate) const fn tape(&self) -> Option<&Arc<Tape>> {
        self.tape.as_ref()
    }

    /// The HTTP there is.
    #[must_use]
    pub const fn http(&self) -> Option<&OutsideHttp> {
        self.http.as_ref()
    }

    /// The binding that answers for `model`.
    #[must_use]
    pub fn model(&self, model: &ModelName) -> Option<&Arc<dyn ChatModel>> {
        self.models.get(model)
    }

    /// The database of that label.
    #[must_use]
    pub fn database(&self, label: &Label) -> Option<&Arc<dyn Database>> {
        self.databases.get(label)
    }
}

impl std::fmt::Debug for OutsideHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutsideHttp").field("ceiling", &self.ceiling).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutsideFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutsideFiles").field("ceiling", &self.ceiling).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutsideMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutsideMail")
            .field("error", &self.server().err())
            .field("ceiling", &self.ceiling)
            .field("accepts", &self.accepts)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutsideTerraform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutsideTerraform").field("accepts", &self.accepts).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside")
            .field("models", &self.models.keys())
            .field("databases", &self.databases.keys())
            .field("http", &self.http.is_some())
            .field("interfaces", &self.interfaces.keys())
            .field("channels", &self.channels.keys())
            .field("files", &self.files.is_some())
            .field("mail", &self.mail.is_some())
            .field("knowledge", &self.knowledge.keys())
            .field("terraform", &self.terraform.keys())
            .field("secrets", &self.secrets.labels().collect::<Vec<_>>())
            .finish()
    }
}
