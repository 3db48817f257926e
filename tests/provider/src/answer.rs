//! Where answers come from, and the form they have.

use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};

use crate::http::Response;
use crate::{fraud, moderation, papers, passages, sample};

/// Where answers come from.
#[derive(Clone, Debug)]
pub enum Answers {
    /// Written rules: for what the examples ask, what the rules say about it; for any other request with a schema the simplest value that satisfies it; else `You said: ...`.
    Rules,
    /// Given ones, in order: the first that answers the request.
    Given(Vec<Given>),
}

/// One given answer.
#[derive(Clone, Debug)]
pub struct Given {
    when: When,
    content: String,
}

/// What a given answer answers.
#[derive(Clone, Debug)]
enum When {
    /// Everything.
    Always,
    /// A request of which a message contains this.
    Contains(String),
    /// The request with these messages.
    Messages(Value),
}

impl When {
    fn holds(&self, body: &Value) -> bool {
        match self {
            Self::Always => true,
            Self::Contains(text) => messages(body).any(|(_, content)| content.contains(text)),
            Self::Messages(taped) => body["messages"] == *taped,
        }
    }
}

/// A file of answers cannot be used.
#[derive(Debug)]
pub struct BadAnswers(String);

impl std::fmt::Display for BadAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadAnswers {}

impl From<io::Error> for BadAnswers {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl Answers {
    /// Reads a file of answers: lines of JSON, `{"when": "text of a message", "content": ...}`, or those of a tape. Content
    /// that is no text is answered as JSON.
    ///
    /// # Errors
    /// When it cannot be read, or a line has another form.
    pub fn read(path: &Path) -> Result<Self, BadAnswers> {
        let text = fs::read_to_string(path)?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let given = lines.map(|(index, line)| {
            let bad = |what: &str| BadAnswers(format!("line {}: {what}", index + 1));
            let line: Value = serde_json::from_str(line).map_err(|error| bad(&error.to_string()))?;
            if let Some(text) = line.pointer("/completion/text").and_then(Value::as_str) {
                let when = When::Messages(line["request"]["messages"].clone());
                return Ok(Given { when, content: text.to_owned() });
            }
            let content = match line.get("content") {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => return Err(bad("there is no `content`")),
            };
            let when = line.get("when").and_then(Value::as_str);
            Ok(Given { when: when.map_or(When::Always, |text| When::Contains(text.to_owned())), content })
        });
        given.collect::<Result<_, _>>().map(Self::Given)
    }

    /// The answer to a chat request; none if the file has none.
    pub(crate) fn to(&self, body: &Value) -> Option<String> {
        match self {
            Self::Rules => Some(by_rules(body)),
            Self::Given(given) => {
                given.iter().find(|given| given.when.holds(body)).map(|given| given.content.clone())
            }
        }
    }
}

fn by_rules(body: &Value) -> String {
    let asked = || messages(body).filter(|(role, _)| *role == "user").map(|(_, content)| content);
    let rules = [fraud::findings, moderation::judgement, papers::reading, passages::answer];
    if let Some(answer) = asked().find_map(|asked| rules.iter().find_map(|rule| rule(asked))) {
        return answer.to_string();
    }
    let asked = asked().last().unwrap_or_default();
    let schema = body.pointer("/response_format/json_schema/schema");
    // An answer from passages names one: the first, whatever it says.
    if let Some(first) = schema.and_then(|schema| schema.pointer("/properties/citations/items/enum/0")) {
        return json!({ "answered": true, "citations": [first], "answer": format!("It says so [{first}].") })
            .to_string();
    }
    match schema {
        Some(schema) => sample::of(schema, asked).to_string(),
        None => format!("You said: {asked}"),
    }
}

/// Role and content of each message.
fn messages(body: &Value) -> impl Iterator<Item = (&str, &str)> {
    let messages = body["messages"].as_array().into_iter().flatten();
    messages.filter_map(|message| Some((message["role"].as_str()?, message["content"].as_str()?)))
}

/// An answer in the form of the API. A token is four characters, as a rule of thumb has it; an answer longer than
/// `max_tokens` is cut off.
pub(crate) fn completion(n: u32, body: &Value, content: &str, usage: bool) -> Response {
    let most = body["max_completion_tokens"].as_u64().or_else(|| body["max_tokens"].as_u64());
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let cut = tokens(content) > most;
    let content: String = content.chars().take(most.saturating_mul(4)).collect();
    let input: usize = messages(body).map(|(_, content)| tokens(content)).sum();
    let output = tokens(&content);
    let mut answer = json!({
        "id": format!("chatcmpl-{n}"),
        "object": "chat.completion",
        "created": 1_767_225_600,
        "model": body["model"],
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": content },
            "finish_reason": if cut { "length" } else { "stop" },
        }],
    });
    if usage {
        answer["usage"] =
            json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    }
    Response::json(200, &answer)
}

fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(content: &str) -> Value {
        json!({ "model": "gpt-4", "messages": [{ "role": "user", "content": content }] })
    }

    #[test]
    fn the_first_given_answer_that_fits_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        fs::write(&path, "{\"when\":\"refund\",\"content\":{\"a\":1}}\n\n{\"content\":\"else\"}\n").unwrap();
        let answers = Answers::read(&path).unwrap();
        assert_eq!(answers.to(&body("a refund, please")).as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(answers.to(&body("hello")).as_deref(), Some("else"));

        let taped = json!({ "request": { "messages": body("hello")["messages"] }, "completion": { "text": "on tape" } });
        fs::write(&path, taped.to_string()).unwrap();
        let answers = Answers::read(&path).unwrap();
        assert_eq!(answers.to(&body("hello")).as_deref(), Some("on tape"));
        assert_eq!(answers.to(&body("hello there")), None);

        fs::write(&path, "{\"when\":\"refund\"}").unwrap();
        assert_eq!(Answers::read(&path).unwrap_err().to_string(), "line 1: there is no `content`");
        assert_eq!(Answers::Given(Vec::new()).to(&body("hello")), None);
    }

    #[test]
    fn an_answer_from_passages_names_one() {
        let mut body = body("why?");
        body["response_format"]["json_schema"]["schema"] =
            json!({ "properties": { "citations": { "items": { "enum": [1, 2] } } } });
        let answer: Value = serde_json::from_str(&Answers::Rules.to(&body).unwrap()).unwrap();
        assert_eq!(answer, json!({ "answered": true, "citations": [1], "answer": "It says so [1]." }));
    }

    #[test]
    fn a_schema_is_satisfied() {
        let mut body = body("I want a REFUND now");
        body["response_format"]["json_schema"]["schema"] = json!({
            "type": "object",
            "properties": { "category": { "type": "string", "enum": ["question", "refund", "other"] } },
            "required": ["category"],
        });
        assert_eq!(Answers::Rules.to(&body).as_deref(), Some(r#"{"category":"refund"}"#));
    }
}
