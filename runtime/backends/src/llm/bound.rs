//! How many tokens a request can be at most, without asking anybody.

use wflo_ports::{ChatRequest, TokenBound};

/// What a chat template puts around a message: role, separators, special tokens.
const PER_MESSAGE: u64 = 16;

/// What a template puts around a conversation: the opening of the answer, a preamble of its own, the
/// instructions that go with a schema.
const PER_REQUEST: u64 = 256;

/// Bounds a request by its bytes.
///
/// A token of a byte-level or byte-fallback tokenizer, which those of chat models are, stands for at least one
/// byte of text, so text has at most as many tokens as UTF-8 bytes; a constant for each message and request
/// covers what templates add. A tokenizer that first expands text (NFKC turns some ligatures into words) is
/// not covered: then the provider reports more than was held, which the budget treats as an overrun.
pub(super) fn by_bytes(request: &ChatRequest) -> TokenBound {
    let messages: u64 =
        request.messages.iter().map(|message| message.content.len() as u64 + PER_MESSAGE).sum();
    let schema = request.schema.as_ref().map_or(0, |schema| schema.to_string().len() as u64);
    TokenBound { input: PER_REQUEST + messages + schema, output: None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wflo_ports::{ChatRequest, Message, Role};

    use super::by_bytes;

    #[test]
    fn bytes_of_everything_count() {
        let mut request = ChatRequest {
            model: "m".parse().unwrap(),
            messages: vec![Message { role: Role::User, content: "é".repeat(100) }],
            schema: None,
            max_tokens: None,
            temperature: None,
            seed: None,
        };
        assert_eq!(by_bytes(&request).input, 256 + 16 + 200);
        request.schema = Some(json!({"type": "object"}));
        assert_eq!(by_bytes(&request).input, 256 + 16 + 200 + 17);
    }
}
