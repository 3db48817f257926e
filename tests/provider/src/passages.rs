//! The answer to a question that comes with passages: the first of them, word for word.

use serde_json::{Value, json};

/// What is answered; none if the request asks for something else.
pub(crate) fn answer(message: &str) -> Option<Value> {
    let (_, passages) = message.strip_prefix("Question:\n")?.split_once("\n\nPassages:\n")?;
    let passages: Value = serde_json::from_str(passages).ok()?;
    let first = passages.get(0)?;
    Some(json!({ "answered": true, "citations": [first["number"]], "answer": first["text"] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_passage_is_the_answer_and_is_cited() {
        let message =
            "Question:\nHow long?\n\nPassages:\n[{\"number\":1,\"text\":\"A week.\"},{\"number\":2}]";
        let expect = json!({ "answered": true, "citations": [1], "answer": "A week." });
        assert_eq!(answer(message), Some(expect));
        assert_eq!(answer("How long?"), None);
    }
}
