//! Models behind the chat completions API that OpenAI made and many servers speak.

mod strict;
mod wire;

use std::fmt;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;
use wflo_model::ModelName;
use wflo_ports::{ChatModel, ChatRequest, Completion, IdempotencyKey, ModelError, TokenBound};

use super::bound::by_bytes;
use super::server::{BadServerConfig, Dialect, Refusal, Server, ServerConfig};

/// Asks models behind the chat completions API: OpenAI's, vLLM, llama.cpp, Ollama, LiteLLM and others.
///
/// One request is `POST {base_url}/chat/completions`, with `response_format` where the answer has a schema, the key
/// as a bearer token, and the call's key as `Idempotency-Key`. Proxies of the environment are not used, and redirects
/// are not followed: requests go to the host that the deployment names, or nowhere.
///
/// Sent again, with growing waits and after `Retry-After`: a connection that could not be made, and the
/// statuses 408, 409, 429 and 5xx. Not sent again: what got no answer after it was sent, since the provider
/// may have done the work; the caller decides. [`bound`](ChatModel::bound) counts bytes: a token of the
/// tokenizers in use stands for at least one.
///
/// ```
/// use std::sync::Arc;
/// use wflo_backends::llm::{OpenAi, ServerConfig};
/// use wflo_ports::ChatModel;
///
/// let config = ServerConfig::new("http://127.0.0.1:8080/v1", vec!["gpt-4".parse().unwrap()]);
/// let model: Arc<dyn ChatModel> = Arc::new(OpenAi::new(config).unwrap());
/// assert_eq!(model.models()[0].as_str(), "gpt-4");
/// ```
pub struct OpenAi(Server<ChatCompletions>);

impl OpenAi {
    /// Prepares to ask; connects to nothing yet.
    ///
    /// # Errors
    /// When the address or the key cannot be used.
    pub fn new(config: ServerConfig) -> Result<Self, BadServerConfig> {
        Server::new(config).map(Self)
    }
}

#[async_trait]
impl ChatModel for OpenAi {
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

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenAi").field(&self.0).finish()
    }
}

struct ChatCompletions;

impl Dialect for ChatCompletions {
    const PATH: &'static [&'static str] = &["chat", "completions"];

    fn headers(config: &ServerConfig) -> Result<HeaderMap, BadServerConfig> {
        Ok(config.key("Bearer ")?.map(|value| (AUTHORIZATION, value)).into_iter().collect())
    }

    fn bound(request: &ChatRequest) -> TokenBound {
        by_bytes(request)
    }

    fn request(request: &ChatRequest) -> Value {
        wire::request(request)
    }

    /// Newer models want the limit of the answer under another name.
    fn rewrite(body: &mut Value, refusal: &Refusal) -> bool {
        let Value::Object(body) = body else { return false };
        if !refusal.is_bad_request("max_completion_tokens") {
            return false;
        }
        body.remove("max_tokens")
            .is_some_and(|most| body.insert("max_completion_tokens".into(), most).is_none())
    }

    fn completion(body: &[u8], request: &ChatRequest) -> Result<Completion, String> {
        wire::completion(body, request.model.as_str())
    }
}
