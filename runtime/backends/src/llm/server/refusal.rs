//! What a server says when it does not answer.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use wflo_ports::ModelError;

/// Most characters of a provider's message that are passed on.
const LONGEST_MESSAGE: usize = 500;

/// What Anthropic answers when it has more to do than it can.
const OVERLOADED: u16 = 529;

/// An answer that is none.
#[derive(Debug)]
pub(in crate::llm) struct Refusal {
    status: StatusCode,
    retry_after: Option<Duration>,
    message: String,
    code: String,
    kind: String,
}

impl Refusal {
    /// Reads an error from a body: `{"error": {"message", "type", "code"}}`, or anything else as text. `key`
    /// never gets into it.
    pub(super) fn new(
        status: StatusCode,
        retry_after: Option<Duration>,
        body: &[u8],
        key: Option<&str>,
    ) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = json.get("error").unwrap_or(&json);
        let field = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut message = match (field("message"), error) {
            (message, _) if !message.is_empty() => message,
            (_, Value::String(message)) => message.clone(),
            _ => String::from_utf8_lossy(body).into_owned(),
        };
        // Some servers repeat the key they refuse.
        if let Some(key) = key.map(str::trim).filter(|key| !key.is_empty()) {
            message = message.replace(key, "(key)");
        }
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { status, retry_after, message: shortened(&message), code: field("code"), kind: field("type") }
    }

    /// Whether the same request may well be answered later, and asking again cannot do harm: the provider is
    /// busy or has failed.
    pub(super) fn is_passing(&self) -> bool {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => !self.is_out_of_quota(),
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT => true,
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => false,
            status => status.is_server_error(),
        }
    }

    /// How long the provider wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the request was refused as it was written, with these words.
    pub(in crate::llm) fn is_bad_request(&self, words: &str) -> bool {
        self.status == StatusCode::BAD_REQUEST && self.message.contains(words)
    }

    fn is_out_of_quota(&self) -> bool {
        [&self.code, &self.kind].into_iter().any(|word| word == "insufficient_quota")
    }

    fn is_context_too_long(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        self.code == "context_length_exceeded"
            || self.kind == "exceed_context_size_error"
            || ((self.status == StatusCode::BAD_REQUEST || self.status == StatusCode::PAYLOAD_TOO_LARGE)
                && ["context length", "context size", "context window", "prompt is too long"]
                    .iter()
                    .any(|words| message.contains(words)))
    }

    /// Whether the provider may have done, and may charge, what it was asked.
    pub(super) fn may_have_worked(&self) -> bool {
        let not_taken = self.status == StatusCode::SERVICE_UNAVAILABLE || self.status.as_u16() == OVERLOADED;
        self.status == StatusCode::REQUEST_TIMEOUT || (self.status.is_server_error() && !not_taken)
    }

    fn not_taken(&self, message: &str) -> ModelError {
        let status = self.status.as_u16();
        ModelError::NotSent { message: format!("the provider takes no requests now ({status}): {message}") }
    }

    /// What it means to the caller.
    pub(super) fn into_error(self) -> ModelError {
        let status = self.status.as_u16();
        let message = if self.message.is_empty() { "no message".to_owned() } else { self.message.clone() };
        if self.status.is_client_error() && self.is_context_too_long() {
            return ModelError::ContextTooLong { message };
        }
        match self.status {
            StatusCode::TOO_MANY_REQUESTS if !self.is_out_of_quota() => {
                ModelError::RateLimited { retry_after: self.retry_after }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ModelError::NotSent {
                message: format!(
                    "the provider refused the key ({status}): {message}; check `api_key` of this model"
                ),
            },
            StatusCode::NOT_FOUND => ModelError::NotSent {
                message: format!(
                    "the provider knows no such model or address (404): {message}; check `base_url` and `models`"
                ),
            },
            StatusCode::REQUEST_TIMEOUT => {
                ModelError::Upstream { message: format!("the provider took too long (408): {message}") }
            }
            // It says that it has not taken the request: llama.cpp while it loads its model, others when they are
            // overloaded (529 is Anthropic's). So nothing was used that could be charged.
            status if status.is_server_error() && !self.may_have_worked() => self.not_taken(&message),
            status if status.is_server_error() => ModelError::Upstream {
                message: format!("the provider failed ({}): {message}", status.as_u16()),
            },
            status if status.is_redirection() => ModelError::NotSent {
                message: format!(
                    "the provider sent the request elsewhere ({}), which is not followed; check `base_url`",
                    status.as_u16()
                ),
            },
            _ => ModelError::NotSent {
                message: format!("the provider refused the request ({status}): {message}"),
            },
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::StatusCode;
    use wflo_ports::ModelError;

    use super::Refusal;

    fn refusal(status: u16, body: &str) -> Refusal {
        let status = StatusCode::from_u16(status).unwrap();
        Refusal::new(status, Some(Duration::from_secs(7)), body.as_bytes(), Some("sk-secret"))
    }

    #[test]
    fn errors_are_told_apart() {
        let error = |status, body| refusal(status, body).into_error();
        assert_eq!(
            error(429, r#"{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}"#),
            ModelError::RateLimited { retry_after: Some(Duration::from_secs(7)) }
        );
        for body in [
            r#"{"error": {"message": "too long", "code": "context_length_exceeded"}}"#,
            r#"{"error": {"message": "too long", "type": "exceed_context_size_error", "code": 400}}"#,
            r#"{"object": "error", "message": "This model's maximum context length is 8 tokens."}"#,
            r#"{"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum"}}"#,
        ] {
            assert!(matches!(error(400, body), ModelError::ContextTooLong { .. }), "{body}");
        }
        for (status, body, expect) in [
            (
                429,
                r#"{"error": {"message": "pay", "code": "insufficient_quota"}}"#,
                "refused the request (429): pay",
            ),
            (401, r#"{"error": {"message": "bad key sk-secret"}}"#, "refused the key (401): bad key (key)"),
            (404, "", "(404): no message"),
            (307, "", "sent the request elsewhere (307)"),
            (422, r#"{"error": "bad field"}"#, "refused the request (422): bad field"),
            (400, "<html>\n bad </html>", "(400): <html> bad </html>"),
            (
                503,
                r#"{"error": {"code": 503, "message": "Loading model"}}"#,
                "no requests now (503): Loading model",
            ),
            (
                529,
                r#"{"type": "error", "error": {"message": "Overloaded"}}"#,
                "no requests now (529): Overloaded",
            ),
        ] {
            match error(status, body) {
                ModelError::NotSent { message } => assert!(message.contains(expect), "{message}"),
                other => panic!("{status} {body}: {other:?}"),
            }
        }
        for status in [408, 500, 501, 502, 504] {
            assert!(matches!(error(status, "x"), ModelError::Upstream { .. }), "{status}");
        }
    }

    #[test]
    fn only_what_passes_is_tried_again() {
        for status in [408, 409, 429, 500, 502, 503, 504, 529] {
            assert!(refusal(status, "").is_passing(), "{status}");
        }
        for status in [302, 400, 401, 403, 404, 413, 422, 501, 505] {
            assert!(!refusal(status, "").is_passing(), "{status}");
        }
        assert!(!refusal(429, r#"{"error": {"type": "insufficient_quota"}}"#).is_passing());
    }

    #[test]
    fn long_messages_are_cut() {
        let ModelError::NotSent { message } = refusal(400, &"é".repeat(10_000)).into_error() else {
            panic!()
        };
        assert!(message.chars().count() < 600);
    }
}
