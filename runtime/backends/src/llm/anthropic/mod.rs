//! Models behind the Messages API of Anthropic.

mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use wflo_model::ModelName;
use wflo_ports::{ChatModel, ChatRequest, Completion, IdempotencyKey, ModelError, TokenBound};

use super::bound::by_bytes;
use super::server::{BadServerConfig, Dialect, Server, ServerConfig};

/// What the provider puts around a tool that must be used, in tokens: it documents up to 530 for any model, and
/// this is well over it.
const TOOL: u64 = 1024;

/// Asks models behind the Messages API: `POST {base_url}/messages`.
///
/// An answer with a schema is asked for as the input of the one tool there is, which must be used: what every model
/// of the API can do. Requests are sent again as those of [`OpenAi`](super::OpenAi) are.
///
/// ```
/// use std::sync::Arc;
/// use wflo_backends::llm::{Anthropic, ServerConfig};
/// use wflo_ports::ChatModel;
///
/// let models = vec!["claude-sonnet-4-5".parse().unwrap()];
/// let config = ServerConfig::new("https://api.anthropic.com/v1", models).with_api_key("sk-ant-secret");
/// let model: Arc<dyn ChatModel> = Arc::new(Anthropic::new(config).unwrap());
/// assert_eq!(model.models()[0].as_str(), "claude-sonnet-4-5");
/// ```
pub struct Anthropic(Server<Messages>);

impl Anthropic {
    /// Prepares to ask; connects to nothing yet.
    ///
    /// # Errors
    /// When the address or the key cannot be used.
    pub fn new(config: ServerConfig) -> Result<Self, BadServerConfig> {
        Server::new(config).map(Self)
    }
}

#[async_trait]
impl ChatModel for Anthropic {
    fn models(&self) -> &[ModelName] {
        self.0.models()
    }

    fn bound(&self, request: &ChatRequest) -> TokenBound {
        self.0.bound(request)
    }

    async fn complete(&self, request: &ChatRequest, key: &IdempotencyKey) -> Result<Completion, ModelError> {
        self.0.complete(request, key).await
    }
}

impl fmt::Debug for Anthropic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Anthropic").field(&self.0).finish()
    }
}

struct Messages;

impl Dialect for Messages {
    const PATH: &'static [&'static str] = &["messages"];

    fn headers(config: &ServerConfig) -> Result<HeaderMap, BadServerConfig> {
        let version = (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
        let key = config.key("")?.map(|value| (HeaderName::from_static("x-api-key"), value));
        Ok([version].into_iter().chain(key).collect())
    }

    fn bound(request: &ChatRequest) -> TokenBound {
        let bound = by_bytes(request);
        let tool = if request.schema.is_some() { TOOL } else { 0 };
        TokenBound { input: bound.input + tool, ..bound }
    }

    fn request(request: &ChatRequest) -> Value {
        wire::request(request)
    }

    fn completion(body: &[u8], request: &ChatRequest) -> Result<Completion, String> {
        wire::completion(body, request)
    }
}
