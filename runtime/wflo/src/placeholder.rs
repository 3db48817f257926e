//! Placeholders: what a guest has of a secret, where they may go, and how they are filled in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use wflo_journal::RunKeys;
use wflo_model::{Call, CallError, Grants, Label, Octets};
use wflo_ports::HttpRequest;

use crate::Outside;
use crate::artifact::Save;
use crate::operation::Operation;

/// The arguments of `wflo:secret/secrets.placeholder`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct SecretCall {
    pub(crate) label: String,
}

impl SecretCall {
    /// Whether the step may have a placeholder of it: its grant, and the deployment's binding today.
    pub(crate) fn authorise(&self, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
        let label = &self.label;
        let Some(granted) = grants.secrets.get(label.as_str()) else {
            let message = format!("secret `{label}` is not granted; `grants.secrets = [\"{label}\"]` would");
            return Err(CallError::AccessDenied { message });
        };
        outside.secret(granted).map(|_| ()).ok_or_else(|| unbound(granted))
    }
}

fn unbound(label: &Label) -> CallError {
    CallError::Unknown { message: format!("the deployment binds no secret `{label}`") }
}

/// What the placeholder of a secret is in a run: nobody outside of it can know.
pub(crate) fn placeholder(keys: &RunKeys, label: &str) -> String {
    let digest = keys.args().digest(&[b"wflo secret", label.as_bytes()]).hex();
    format!("wflo-secret-{}", &digest[..32])
}

/// The placeholders of the secrets that a step was granted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placeholders(Vec<(Label, String)>);

impl Placeholders {
    pub(crate) fn new(keys: &RunKeys, grants: &Grants) -> Self {
        let all = grants.secrets.iter();
        Self(all.map(|label| (label.clone(), placeholder(keys, label.as_str()))).collect())
    }

    /// The first secret whose placeholder is in `text`.
    fn in_text(&self, text: &str) -> Option<&Label> {
        self.0.iter().find(|(_, placeholder)| text.contains(placeholder)).map(|(label, _)| label)
    }

    fn in_value(&self, value: &Value) -> Option<&Label> {
        match value {
            Value::String(text) => self.in_text(text),
            Value::Array(all) => all.iter().find_map(|value| self.in_value(value)),
            Value::Object(all) => {
                all.iter().find_map(|(name, value)| self.in_text(name).or_else(|| self.in_value(value)))
            }
            _ => None,
        }
    }

    /// The secrets whose placeholders are in what a request carries.
    fn carried<'a>(&'a self, request: &HttpRequest) -> Vec<&'a Label> {
        let has = |octets: &Octets, placeholder: &str| {
            let placeholder = placeholder.as_bytes();
            octets.as_bytes().windows(placeholder.len()).any(|window| window == placeholder)
        };
        let in_header = |(name, value): &(wflo_model::HttpHeaderName, Octets), placeholder: &str| {
            name.as_str().contains(placeholder)
                || has(value, placeholder)
                || basic(value).is_some_and(|credentials| credentials.contains(placeholder))
        };
        let carried = self.0.iter().filter(|(_, placeholder)| {
            has(&request.body, placeholder)
                || request.headers.iter().any(|header| in_header(header, placeholder))
        });
        carried.map(|(label, _)| label).collect()
    }

    /// Whether the placeholders in a call go only where their secrets may.
    ///
    /// # Errors
    /// `AccessDenied` where they do not, `Unknown` where the deployment binds the secret no more.
    pub(crate) fn confine(
        &self,
        call: &Call,
        operation: &Operation,
        outside: &Outside,
    ) -> Result<(), CallError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let denied = |message: String| Err(CallError::AccessDenied { message });
        let (Operation::Http(request) | Operation::Save(Save { request, .. })) = operation else {
            return match self.in_value(&call.args) {
                Some(label) => denied(format!(
                    "secret `{label}` goes into requests over HTTP and nowhere else, and not into `{call}`"
                )),
                None => Ok(()),
            };
        };
        if let Some(label) = self.in_text(&request.url.to_string()) {
            return denied(format!(
                "secret `{label}` goes into a header or the body of a request, never into its address"
            ));
        }
        for label in self.carried(request) {
            let secret = outside.secret(label).ok_or_else(|| unbound(label))?;
            if !secret.may_go_with(request) {
                let hosts = secret.hosts();
                return denied(format!(
                    "secret `{label}` may not go to `{}`: the deployment binds it to {hosts}",
                    request.url.origin()
                ));
            }
        }
        Ok(())
    }

    /// The arguments of a call as they are in every run: with the names of secrets in the place of their placeholders,
    /// and without the names that blobs have in this one.
    pub(crate) fn masked(&self, call: &Call) -> Value {
        let mut args = self.masked_value(&call.args);
        if (call.interface.as_str(), call.function.as_str()) == ("wflo:db/sql", "bulk-insert")
            && let Some(rows) = args.get_mut("rows").and_then(Value::as_object_mut)
        {
            rows.shift_remove("index");
            rows.shift_remove("run");
        }
        args
    }

    /// A value as it is in every run.
    pub(crate) fn masked_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.masked_text(text)),
            Value::Array(all) => all.iter().map(|value| self.masked_value(value)).collect(),
            Value::Object(all) => {
                let masked =
                    |(name, value): (&String, &Value)| (self.masked_text(name), self.masked_value(value));
                Value::Object(all.iter().map(masked).collect())
            }
            other => other.clone(),
        }
    }

    /// A text as it is in every run: an approval has an id of its own in each, which a guest is told when it is rejected.
    pub(crate) fn masked_text(&self, text: &str) -> String {
        // Credentials that a guest has coded have the placeholder inside.
        if let Some(credentials) = basic(&Octets::from(text))
            && self.in_text(&credentials).is_some()
        {
            return format!("Basic ({})", self.masked_text(&credentials));
        }
        self.0.iter().fold(without_approvals(text), |text, (label, placeholder)| {
            text.replace(placeholder, &format!("{{secret:{label}}}"))
        })
    }

    /// Puts secrets in the place of their placeholders; says whether the answer may have secrets in it. Those need not be
    /// this request's: a server keeps what one request says, and tells it to another.
    ///
    /// # Errors
    /// As [`confine`](Self::confine): it may be long after that the request is made.
    pub(crate) fn fill(&self, request: &mut HttpRequest, outside: &Outside) -> Result<bool, CallError> {
        let carried = self.carried(request);
        for label in &carried {
            let secret = outside.secret(label).ok_or_else(|| unbound(label))?;
            if !secret.may_go_with(request) {
                let message = format!("secret `{label}` may not go to `{}` any more", request.url.origin());
                return Err(CallError::AccessDenied { message });
            }
            let placeholder = self.0.iter().find(|(other, _)| other == *label).map(|(_, text)| text.as_str());
            let placeholder = placeholder.expect("what is carried is one of these");
            let value = secret.value();
            for (_, header) in &mut request.headers {
                if let Some(credentials) = basic(header) {
                    let filled = STANDARD.encode(credentials.replace(placeholder, value));
                    *header = format!("Basic {filled}").as_str().into();
                } else {
                    *header = replaced(header, placeholder, value);
                }
            }
            let written = match media_type(request).as_str() {
                "application/x-www-form-urlencoded" => form(value),
                json if json == "application/json" || json.ends_with("+json") => json_text(value),
                _ => value.to_owned(),
            };
            request.body = replaced(&request.body, placeholder, &written);
        }
        let may_be_told = outside.may_tell_secrets(&request.url);
        if may_be_told {
            // An echo has to come back in whole and as it is, to be recognised.
            let hides = ["accept-encoding", "range", "if-range", "a-im"];
            request.headers.retain(|(name, _)| !hides.contains(&name.as_str()));
            let name = "accept-encoding".parse().expect("it is the name of a header");
            request.headers.push((name, "identity".into()));
        }
        Ok(may_be_told)
    }
}

/// A text without the ids of approvals.
fn without_approvals(text: &str) -> String {
    const PREFIX: &str = "apr_";
    let mut pieces = text.split(PREFIX);
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|sign: char| !sign.is_ascii_alphanumeric()).unwrap_or(piece.len());
        let is_id = format!("{PREFIX}{}", &piece[..end]).parse::<wflo_model::ApprovalId>().is_ok();
        match is_id {
            true => out.extend(["{approval}", &piece[end..]]),
            false => out.extend([PREFIX, piece]),
        }
    }
    out
}

/// The credentials of a header that has them as base64 (RFC 7617), decoded.
fn basic(value: &Octets) -> Option<String> {
    let (scheme, encoded) = value.as_text()?.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())??;
    String::from_utf8(decoded).ok()
}

fn media_type(request: &HttpRequest) -> String {
    let header = request.headers.iter().find(|(name, _)| name.as_str() == "content-type");
    let text = header.and_then(|(_, value)| value.as_text()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn replaced(octets: &Octets, placeholder: &str, value: &str) -> Octets {
    let (mut rest, placeholder) = (octets.as_bytes(), placeholder.as_bytes());
    let mut out = Vec::with_capacity(rest.len());
    while let Some(at) = rest.windows(placeholder.len()).position(|window| window == placeholder) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(value.as_bytes());
        rest = &rest[at + placeholder.len()..];
    }
    out.extend_from_slice(rest);
    out.into()
}

/// As the inside of a JSON text.
fn json_text(value: &str) -> String {
    let quoted = serde_json::to_string(value).expect("a text is JSON");
    quoted[1..quoted.len() - 1].to_owned()
}

/// As a value of a form.
fn form(value: &str) -> String {
    use std::fmt::Write as _;

    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b' ' => text.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) => text.push(char::from(byte)),
            byte => write!(text, "%{byte:02X}").expect("writing to a string does not fail"),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;
    use wflo_model::{Call, CallError};
    use wflo_ports::HttpRequest;

    use super::{Operation, Placeholders};
    use crate::{Outside, Secret};

    const KEY: &str = "wflo-secret-00112233445566778899aabbccddeeff";
    const VALUE: &str = "s\"k live&0123";

    #[test]
    fn what_is_of_one_run_alone_is_masked() {
        let id = wflo_model::ApprovalId::derive(&wflo_model::Digest::ZERO, 1);
        let coded = STANDARD.encode(format!("me:{KEY}"));
        let text =
            json!({"a": [format!("Bearer {KEY}"), format!("Basic {coded}")], "b": format!("`{id}` apr_ x")});
        let masked = json!({"a": ["Bearer {secret:stripe}", "Basic (me:{secret:stripe})"], "b": "`{approval}` apr_ x"});
        assert_eq!(placeholders().masked_value(&text), masked);
        let rows = json!({"rows": {"artifact": "a", "index": 1, "run": 2, "bytes": 3}});
        let masked = placeholders().masked(&Call::new("wflo:db/sql", "bulk-insert", rows.clone()));
        assert_eq!(masked, json!({"rows": {"artifact": "a", "bytes": 3}}));
        assert_eq!(placeholders().masked(&Call::new("wflo:db/sql", "query", rows.clone())), rows);
    }

    fn placeholders() -> Placeholders {
        Placeholders(vec![("stripe".parse().unwrap(), KEY.to_owned())])
    }

    fn outside() -> Outside {
        let hosts = vec!["* https://api.example.org/*".parse().unwrap()];
        Outside::default().with_secret("stripe".parse().unwrap(), Secret::new(VALUE, hosts).unwrap())
    }

    fn request(url: &str, headers: &[(&str, &str)], body: &str) -> HttpRequest {
        let mut request = HttpRequest::new("POST".parse().unwrap(), url.parse().unwrap());
        request.headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), (*value).into())).collect();
        request.body = body.into();
        request
    }

    const URL: &str = "https://api.example.org/v1";

    fn confine(request: &HttpRequest) -> Result<(), CallError> {
        let call = Call::new("wasi:http/outgoing-handler", "handle", json!(request));
        placeholders().confine(&call, &Operation::Http(request.clone()), &outside())
    }

    #[test]
    fn a_placeholder_goes_where_its_secret_may() {
        let bearer = format!("Bearer {KEY}");
        assert!(confine(&request(URL, &[("authorization", &bearer)], "")).is_ok());
        assert!(confine(&request(URL, &[], &format!("key={KEY}"))).is_ok());
        assert!(confine(&request("https://evil.example/", &[], "nothing")).is_ok());
        let denied = |request: HttpRequest| match confine(&request) {
            Err(CallError::AccessDenied { message }) => message,
            other => panic!("{other:?}"),
        };
        let elsewhere = "https://evil.example/";
        let basic = format!("Basic {}", STANDARD.encode(format!("me:{KEY}")));
        for wrong in [
            request(elsewhere, &[("authorization", &bearer)], ""),
            request(elsewhere, &[("authorization", &basic)], ""),
            request(elsewhere, &[], KEY),
            request("http://api.example.org/v1", &[], KEY),
            request("https://api.example.org:8443/v1", &[], KEY),
            request("https://api.example.org.evil.example/v1", &[], KEY),
        ] {
            let said = denied(wrong);
            assert!(said.contains("may not go to") && !said.contains(VALUE), "{said}");
        }
        assert!(denied(request(&format!("{URL}?key={KEY}"), &[], "")).contains("never into its address"));
        assert!(denied(request(&format!("https://{KEY}.evil.example/"), &[], "")).contains("address"));
    }

    #[test]
    fn no_other_call_takes_one() {
        let call =
            Call::new("wflo:llm/chat", "complete", json!({"messages": [{"content": format!("say {KEY}")}]}));
        let said = placeholders().confine(&call, &Operation::Output(json!(null)), &outside()).unwrap_err();
        assert!(said.to_string().contains("nowhere else"), "{said}");
        let other = Call::new("wflo:llm/chat", "complete", json!({"messages": ["wflo-secret-0011"]}));
        assert!(placeholders().confine(&other, &Operation::Output(json!(null)), &outside()).is_ok());
    }

    #[test]
    fn what_was_bound_and_is_no_more_is_not_sent() {
        let mut wanted = request(URL, &[], KEY);
        let none = Outside::default();
        assert!(matches!(placeholders().fill(&mut wanted, &none), Err(CallError::Unknown { .. })));
        assert_eq!(wanted.body.as_text(), Some(KEY));
    }

    #[test]
    fn a_secret_is_written_as_its_place_wants_it() {
        let filled = |headers: &[(&str, &str)], body: &str| {
            let mut wanted = request(URL, headers, body);
            assert!(placeholders().fill(&mut wanted, &outside()).unwrap());
            wanted
        };
        let text = |request: &HttpRequest| request.body.as_text().unwrap().to_owned();
        assert_eq!(text(&filled(&[], &format!("<{KEY}{KEY}>"))), format!("<{VALUE}{VALUE}>"));
        let json = [("content-type", "application/json; charset=utf-8")];
        assert_eq!(text(&filled(&json, &format!("[\"{KEY}\"]"))), json!([VALUE]).to_string());
        let form = [("content-type", "application/x-www-form-urlencoded")];
        assert_eq!(text(&filled(&form, &format!("a=b&key={KEY}"))), "a=b&key=s%22k+live%260123");
        let basic = format!("Basic {}", STANDARD.encode(format!("me:{KEY}")));
        let hiding = [("authorization", basic.as_str()), ("accept-encoding", "gzip"), ("range", "bytes=0-1")];
        let headers = filled(&hiding, "").headers;
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_text().unwrap())).collect();
        let credentials = format!("Basic {}", STANDARD.encode(format!("me:{VALUE}")));
        assert_eq!(headers, [("authorization", credentials.as_str()), ("accept-encoding", "identity")]);
    }

    #[test]
    fn what_goes_where_no_secret_does_is_left_alone() {
        let parts = [("accept-encoding", "gzip"), ("range", "bytes=0-9")];
        let mut second = request("https://api.example.org:8443/other", &parts, "{}");
        assert!(placeholders().fill(&mut second, &outside()).unwrap(), "its host may know the secret");
        assert_eq!(second.headers, [("accept-encoding".parse().unwrap(), "identity".into())]);
        let mut plain = request("https://elsewhere.example/", &parts, "{}");
        let before = plain.clone();
        assert!(!placeholders().fill(&mut plain, &outside()).unwrap());
        assert_eq!(plain, before);
    }
}
