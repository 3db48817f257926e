//! What a host lends to steps today: the real things behind the names that plans use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use wflo_manifest::{Plan, Spending};
use wflo_model::{HttpPattern, InterfaceName, Label, ModelName};
use wflo_ports::{ChatModel, Database, HttpClient, Notifier};

use crate::interface::{Interface, Lent, WithCeiling, name_of};

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
    pages: Option<String>,
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

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside")
            .field("models", &self.models.keys())
            .field("databases", &self.databases.keys())
            .field("http", &self.http.is_some())
            .field("interfaces", &self.interfaces.keys())
            .field("channels", &self.channels.keys())
            .finish()
    }
}
