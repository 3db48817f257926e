//! The client.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response};
use tokio::time::{Instant, timeout, timeout_at};
use wflo_model::{HttpScheme, Octets};
use wflo_ports::{BodySink, HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse, Resolver};

use super::names::{CheckedNames, Prohibited, SystemResolver};
use crate::web::{self, all_causes};

/// How requests are made.
#[derive(Clone)]
pub struct HttpConfig {
    /// What is said to servers where the guest does not say it.
    pub user_agent: String,
    /// Where names become addresses.
    pub resolver: Arc<dyn Resolver>,
    /// Certificates, in PEM, of authorities to trust in place of the system's: for a network with its own.
    pub authorities: Vec<Vec<u8>>,
}

impl Default for HttpConfig {
    /// `wflo/<version>`, the system's resolver and authorities.
    fn default() -> Self {
        Self {
            user_agent: concat!("wflo/", env!("CARGO_PKG_VERSION")).to_owned(),
            resolver: Arc::new(SystemResolver),
            authorities: Vec::new(),
        }
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig").field("user_agent", &self.user_agent).finish_non_exhaustive()
    }
}

/// Makes requests over HTTP/1.1 and HTTP/2, as [`HttpClient`] wants them made.
///
/// Bodies are passed on as they are: no compression is asked for or undone unless the guest does.
///
/// ```
/// use std::sync::Arc;
/// use wflo_backends::http::{Http, HttpConfig};
/// use wflo_ports::HttpClient;
/// let client: Arc<dyn HttpClient> = Arc::new(Http::new(HttpConfig::default()));
/// ```
pub struct Http {
    config: HttpConfig,
    /// One each: plain HTTP trusts nobody, and so works on a machine without a store of certificates.
    plain: OnceLock<Result<Client, String>>,
    tls: OnceLock<Result<Client, String>>,
}

impl Http {
    /// Prepares to make requests; connects to nothing and reads no certificates yet.
    #[must_use]
    pub const fn new(config: HttpConfig) -> Self {
        Self { config, plain: OnceLock::new(), tls: OnceLock::new() }
    }

    fn client(&self, scheme: HttpScheme) -> Result<&Client, HttpError> {
        let client = match scheme {
            HttpScheme::Http => self.plain.get_or_init(|| self.build(scheme)),
            HttpScheme::Https => self.tls.get_or_init(|| self.build(scheme)),
        };
        client.as_ref().map_err(|message| HttpError::NotSent { message: message.clone() })
    }

    fn build(&self, scheme: HttpScheme) -> Result<Client, String> {
        let mut client = web::client(scheme == HttpScheme::Http);
        if !self.config.authorities.is_empty() {
            let mut trusted = Vec::new();
            for pem in &self.config.authorities {
                trusted.extend(reqwest::Certificate::from_pem_bundle(pem).map_err(all_causes)?);
            }
            client = client.tls_certs_only(trusted);
        }
        client
            .retry(reqwest::retry::never())
            .dns_resolver(Arc::new(CheckedNames(Arc::clone(&self.config.resolver))))
            .user_agent(&self.config.user_agent)
            .build()
            .map_err(|error| format!("the HTTP client does not start: {}", all_causes(error)))
    }

    async fn exchange(
        &self,
        request: &HttpRequest,
        most: u64,
        body: &mut dyn BodySink,
    ) -> Result<HttpResponse, HttpError> {
        let client = self.client(request.url.scheme())?;
        let invalid = |message: String| HttpError::Invalid { message };
        let method = Method::from_bytes(request.method.as_str().as_bytes())
            .map_err(|error| invalid(error.to_string()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let bad = || invalid(format!("the value of header `{name}` cannot be sent"));
            let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?;
            // It may hold a secret: no library traces it, and HTTP/2 does not index it.
            value.set_sensitive(true);
            let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(|_| bad())?;
            headers.append(name, value);
        }
        let mut asked = client.request(method, request.url.to_string()).headers(headers);
        if !request.body.is_empty() {
            asked = asked.body(request.body.as_bytes().to_vec());
        }
        let first = request.first_byte_ms.map_or(Duration::MAX, Duration::from_millis);
        let next = request.between_bytes_ms.map_or(Duration::MAX, Duration::from_millis);
        let late = |what: &str, time: Duration| HttpError::Lost {
            message: format!("the server sent {what} within {time:?}; it may have done what it was asked"),
        };
        let mut answer =
            timeout(first, asked.send()).await.map_err(|_| late("nothing", first))?.map_err(failed)?;
        let (status, headers) = (answer.status().as_u16(), heard(&answer));
        if answer.content_length().is_some_and(|length| length > most) && request.method.as_str() != "HEAD" {
            return Err(HttpError::TooLarge { limit: most });
        }
        let head = HttpResponse { status, headers, body: Octets::new() };
        body.begins(&head);
        let mut taken = 0;
        while let Some(chunk) =
            timeout(next, answer.chunk()).await.map_err(|_| late("nothing more", next))?.map_err(failed)?
        {
            taken += chunk.len() as u64;
            if taken > most {
                return Err(HttpError::TooLarge { limit: most });
            }
            body.take(&chunk).await?;
        }
        Ok(head)
    }
}

/// Takes a body in whole.
#[derive(Default)]
struct Whole(Vec<u8>);

#[async_trait]
impl BodySink for Whole {
    fn begins(&mut self, _: &HttpResponse) {}

    async fn take(&mut self, piece: &[u8]) -> Result<(), HttpError> {
        self.0.extend_from_slice(piece);
        Ok(())
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn send(&self, request: &HttpRequest, limits: HttpLimits) -> Result<HttpResponse, HttpError> {
        let mut body = Whole::default();
        let answer = self.receive(request, limits, &mut body).await?;
        Ok(HttpResponse { body: Octets::from(body.0), ..answer })
    }

    async fn receive(
        &self,
        request: &HttpRequest,
        limits: HttpLimits,
        body: &mut dyn BodySink,
    ) -> Result<HttpResponse, HttpError> {
        let exchange = self.exchange(request, limits.response, body);
        let answered = match Instant::now().checked_add(limits.time) {
            Some(deadline) => timeout_at(deadline, exchange).await,
            None => Ok(exchange.await),
        };
        answered.unwrap_or_else(|_| {
            let time = limits.time;
            let message = format!("there was no whole answer within {time:?}; the server may have done it");
            Err(HttpError::Lost { message })
        })
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.config).finish()
    }
}

/// The headers a guest may see: those it could send itself.
fn heard(answer: &Response) -> Vec<(wflo_model::HttpHeaderName, Octets)> {
    let all = answer.headers().iter();
    all.filter_map(|(name, value)| {
        Some((name.as_str().parse().ok()?, Octets::from(value.as_bytes().to_vec())))
    })
    .collect()
}

fn failed(error: reqwest::Error) -> HttpError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(prohibited) = error.downcast_ref::<Prohibited>() {
            return HttpError::Prohibited { message: prohibited.to_string() };
        }
        cause = error.source();
    }
    if error.is_builder() {
        return HttpError::Invalid { message: all_causes(error) };
    }
    if error.is_connect() {
        return HttpError::NotSent { message: format!("no connection: {}", all_causes(error)) };
    }
    HttpError::Lost {
        message: format!("the connection broke after the request was sent: {}", all_causes(error)),
    }
}
