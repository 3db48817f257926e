//! `wflo:artifact/http`: answers that become artifacts.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wflo_model::{ArtifactName, Call, FoundArtifact, Octets};
use wflo_ports::{HttpRequest, HttpResponse};

use super::{ArtifactView, error_to_guest};
use crate::bindings::wflo::artifact::http::{self, Request, Saved};
use crate::bindings::wflo::artifact::types::Error;
use crate::link::unexpected;

const HTTP: &str = "wflo:artifact/http";

/// The arguments of `save`, as the journal keeps them.
#[derive(Serialize)]
struct Args {
    artifact: ArtifactName,
    #[serde(flatten)]
    request: HttpRequest,
}

/// The value of `wflo:artifact/http.save`: an answer, and the artifact that its body has become.
///
/// ```
/// use wflo_host_api::SavedAnswer;
/// let answer: SavedAnswer = serde_json::from_value(serde_json::json!({"status": 404, "body": "no"})).unwrap();
/// assert!(answer.saved.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAnswer {
    /// The answer; without its body where that is an artifact.
    #[serde(flatten)]
    pub answer: HttpResponse,
    /// The artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<FoundArtifact>,
}

impl http::Host for ArtifactView<'_> {
    async fn save(&mut self, request: Request, name: String) -> wasmtime::Result<Result<Saved, Error>> {
        let args = match args(request, &name) {
            Ok(args) => serde_json::json!(args),
            Err(error) => return Ok(Err(Error::Invalid(error))),
        };
        let SavedAnswer { answer, saved } = match self.gate()?.call(Call::new(HTTP, "save", args)).await? {
            Ok(value) => match serde_json::from_value(value) {
                Ok(saved) => saved,
                Err(error) => return Err(unexpected(HTTP, "save", &error.to_string())),
            },
            Err(error) => return Ok(Err(error_to_guest(error))),
        };
        let headers = answer.headers.into_iter();
        Ok(Ok(Saved {
            status: answer.status,
            headers: headers.map(|(name, value)| (name.to_string(), value.into_bytes())).collect(),
            artifact: saved.map(|found| found.reference().to_string()),
            body: answer.body.into_bytes(),
        }))
    }
}

/// Reads a request; what cannot be written as HTTP reaches nothing.
fn args(request: Request, name: &str) -> Result<Args, String> {
    let Request { method, url, headers, body } = request;
    let artifact = read(name)?;
    let mut request = HttpRequest::new(read(&method)?, read(&url)?);
    for (name, value) in headers {
        request.headers.push((read(&name)?, Octets::from(value)));
    }
    request.body = Octets::from(body);
    Ok(Args { artifact, request })
}

fn read<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}
