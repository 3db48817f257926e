//! Asks a server.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use wflo_model::ModelName;
use wflo_ports::{ChatModel, ChatRequest, Clock, Completion, IdempotencyKey, ModelError, TokenBound};

use super::config::{BadServerConfig, ServerConfig, shown};
use super::refusal::Refusal;
use super::retry::{LONGEST, backoff, retry_after};
use crate::web::{self, all_causes};
use crate::{SystemClock, SystemEntropy};

/// Most bytes of an answer. Against a server that never ends: the longest answers of models are a few hundred
/// kilobytes.
const LONGEST_BODY: usize = 16 << 20;

/// The words in which a provider is asked and answers.
pub(in crate::llm) trait Dialect: Send + Sync + 'static {
    /// Where requests go, below the base address.
    const PATH: &'static [&'static str];

    /// Headers of every request.
    fn headers(config: &ServerConfig) -> Result<HeaderMap, BadServerConfig>;

    /// An upper bound of the tokens of a request.
    fn bound(request: &ChatRequest) -> TokenBound;

    /// The body of a request.
    fn request(request: &ChatRequest) -> Value;

    /// Writes a request that was refused the other way that some servers want; false if there is none.
    fn rewrite(_body: &mut Value, _refusal: &Refusal) -> bool {
        false
    }

    /// Reads an answer to a request for the model `asked`.
    ///
    /// # Errors
    /// In words: what is wrong with it.
    fn completion(body: &[u8], request: &ChatRequest) -> Result<Completion, String>;
}

/// Asks models behind HTTP.
///
/// Proxies of the environment are not used, and redirects are not followed: requests go to the host that the
/// deployment names, or nowhere. Sent again, with growing waits and after `Retry-After`: a connection that could not
/// be made, and the statuses 408, 409, 429 and 5xx. Not sent again: what got no answer after it was sent, since the
/// provider may have done the work; the caller decides.
pub(in crate::llm) struct Server<D> {
    config: ServerConfig,
    endpoint: Url,
    client: Client,
    dialect: PhantomData<fn() -> D>,
}

impl<D: Dialect> Server<D> {
    /// Prepares to ask; connects to nothing yet.
    ///
    /// # Errors
    /// When the address or the key cannot be used.
    pub(in crate::llm) fn new(config: ServerConfig) -> Result<Self, BadServerConfig> {
        let endpoint = config.endpoint(D::PATH)?;
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        headers.extend(D::headers(&config)?);
        let client = web::client(endpoint.scheme() == "http")
            .connect_timeout(web::CONNECT.min(config.timeout))
            .timeout(config.timeout)
            .default_headers(headers)
            .build()
            .map_err(|error| BadServerConfig::Client { message: all_causes(error) })?;
        Ok(Self { config, endpoint, client, dialect: PhantomData })
    }

    /// Sends once.
    async fn send(&self, request: &Value, key: &IdempotencyKey) -> Result<Vec<u8>, Failed> {
        let sent = self
            .client
            .post(self.endpoint.clone())
            .header("Idempotency-Key", key.0.hex())
            .json(request)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                let message = format!("cannot connect to {}: {}", shown(&self.endpoint), all_causes(error));
                return Err(Failed::NotConnected(message));
            }
            Err(error) if error.is_builder() => {
                let message = format!("the request cannot be written: {}", all_causes(error));
                return Err(Failed::Done(ModelError::NotSent { message }));
            }
            Err(error) => return Err(Failed::Done(self.lost(error))),
        };
        let status = response.status();
        let wait = retry_after(response.headers(), SystemClock.now());
        let body = self.body(response).await;
        if status.is_success() {
            return body.map_err(Failed::Done);
        }
        // The status alone says enough if the rest of a refusal is lost.
        let body = body.unwrap_or_default();
        Err(Failed::Refused(Refusal::new(status, wait, &body, self.config.api_key.as_deref())))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ModelError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(error))? {
            if body.len() + chunk.len() > LONGEST_BODY {
                let message = format!("the provider's answer is longer than {} MiB", LONGEST_BODY >> 20);
                return Err(ModelError::Upstream { message });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The request was sent, and then it went wrong.
    fn lost(&self, error: reqwest::Error) -> ModelError {
        let message = if error.is_timeout() {
            format!("the provider did not answer within {:?}; it may charge for it", self.config.timeout)
        } else {
            format!("the connection broke after the request was sent: {}", all_causes(error))
        };
        ModelError::Upstream { message }
    }
}

#[async_trait]
impl<D: Dialect> ChatModel for Server<D> {
    fn models(&self) -> &[ModelName] {
        &self.config.models
    }

    fn bound(&self, request: &ChatRequest) -> TokenBound {
        D::bound(request)
    }

    async fn complete(&self, request: &ChatRequest, key: &IdempotencyKey) -> Result<Completion, ModelError> {
        let asked = request.model.as_str();
        if !self.config.models.contains(&request.model) {
            let message = format!("this server is not configured for model `{asked}`");
            return Err(ModelError::NotSent { message });
        }
        let mut body = D::request(request);
        let mut rewritten = false;
        // Whether the provider may have done the work of a try that it then failed.
        let mut worked = false;
        let mut retries = 0;
        loop {
            let failed = match self.send(&body, key).await {
                Ok(answer) => {
                    return D::completion(&answer, request).map_err(|problem| ModelError::Upstream {
                        message: format!("the provider cannot be understood: {problem}"),
                    });
                }
                Err(failed) => failed,
            };
            if let Failed::Refused(refusal) = &failed
                && !rewritten
                && D::rewrite(&mut body, refusal)
            {
                rewritten = true;
                continue;
            }
            let wait = match failed.wait() {
                Some(asked) if retries < self.config.max_retries => match asked {
                    Some(asked) if asked > LONGEST => return Err(failed.into_error(worked)),
                    Some(asked) => asked,
                    None => backoff(retries, &SystemEntropy)
                        .map_err(|error| ModelError::NotSent { message: error.to_string() })?,
                },
                _ => return Err(failed.into_error(worked)),
            };
            worked |= matches!(&failed, Failed::Refused(refusal) if refusal.may_have_worked());
            retries += 1;
            tracing::debug!(model = asked, retries, ?wait, "the model is asked again");
            tokio::time::sleep(wait).await;
        }
    }
}

impl<D> fmt::Debug for Server<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

/// Why one try gave nothing.
enum Failed {
    /// No connection: nothing was sent.
    NotConnected(String),
    /// The provider said so.
    Refused(Refusal),
    /// There is no point or no right in trying again.
    Done(ModelError),
}

impl Failed {
    /// If it may be tried again: how long the provider wants to wait before, if it says.
    fn wait(&self) -> Option<Option<Duration>> {
        match self {
            Self::NotConnected(_) => Some(None),
            Self::Refused(refusal) => refusal.is_passing().then(|| refusal.retry_after()),
            Self::Done(_) => None,
        }
    }

    /// What it means to the caller, after tries of which one may have been worked on: what was spent then is not unspent
    /// because the last one was not taken.
    fn into_error(self, worked: bool) -> ModelError {
        let error = match self {
            Self::NotConnected(message) => ModelError::NotSent { message },
            Self::Refused(refusal) => refusal.into_error(),
            Self::Done(error) => error,
        };
        match error {
            ModelError::NotSent { message } if worked => ModelError::Upstream { message },
            error => error,
        }
    }
}
