//! `wflo:llm`: chat with a model, and the tasks built on it.

use serde_json::{Value, json};
use wflo_model::{CallError, ModelName, PicoUsd};
use wflo_ports::{ChatRequest, Message, TokenUsage};

use crate::bindings::wflo::llm::{chat, tasks, types};
use crate::link::{Host, parse_json};
use crate::{ChatAnswer, TaskAnswer};

const CHAT: &str = "wflo:llm/chat";
const TASKS: &str = "wflo:llm/tasks";

impl types::Host for Host<'_> {}

impl chat::Host for Host<'_> {
    async fn complete(
        &mut self,
        request: chat::Request,
    ) -> wasmtime::Result<Result<chat::Completion, types::Error>> {
        let request = match chat_request(request) {
            Ok(request) => request,
            Err(error) => return Ok(Err(error_to_guest(error))),
        };
        let answer = self.call::<_, ChatAnswer>(CHAT, "complete", &request).await?;
        Ok(answer.map(completion).map_err(error_to_guest))
    }
}

impl tasks::Host for Host<'_> {
    async fn analyze(
        &mut self,
        model: String,
        data: String,
        prompt: String,
        schema: String,
    ) -> wasmtime::Result<Result<tasks::Answer, types::Error>> {
        self.task("analyze", analyze_args(&model, &data, &prompt, &schema)).await
    }

    async fn classify(
        &mut self,
        model: String,
        text: String,
        categories: Vec<String>,
    ) -> wasmtime::Result<Result<tasks::Answer, types::Error>> {
        self.task("classify", classify_args(&model, &text, &categories)).await
    }
}

impl Host<'_> {
    /// Makes a task's call, unless its arguments are wrong already.
    async fn task(
        &mut self,
        function: &str,
        args: Result<Value, CallError>,
    ) -> wasmtime::Result<Result<tasks::Answer, types::Error>> {
        let args = match args {
            Ok(args) => args,
            Err(error) => return Ok(Err(error_to_guest(error))),
        };
        let answer = self.call::<_, TaskAnswer>(TASKS, function, &args).await?;
        Ok(answer
            .map(|answer| tasks::Answer {
                value: answer.value.to_string(),
                usage: usage(answer.usage, answer.cost_usd, answer.estimated),
            })
            .map_err(error_to_guest))
    }
}

fn chat_request(request: chat::Request) -> Result<ChatRequest, CallError> {
    if request.messages.is_empty() {
        return Err(CallError::Invalid { message: "`messages` is empty".to_owned() });
    }
    if let Some(temperature) = request.temperature
        && !(0.0..=2.0).contains(&temperature)
    {
        return Err(CallError::Invalid { message: format!("`temperature` is {temperature}, not 0 to 2") });
    }
    let message = |message: chat::Message| Message {
        role: match message.role {
            chat::Role::System => wflo_ports::Role::System,
            chat::Role::User => wflo_ports::Role::User,
            chat::Role::Assistant => wflo_ports::Role::Assistant,
        },
        content: message.content,
    };
    Ok(ChatRequest {
        model: model_name(&request.model)?,
        messages: request.messages.into_iter().map(message).collect(),
        schema: request.schema.map(|schema| parse_json("schema", &schema)).transpose()?,
        max_tokens: request.max_tokens,
        temperature: request.temperature,
        seed: request.seed,
    })
}

fn analyze_args(model: &str, data: &str, prompt: &str, schema: &str) -> Result<Value, CallError> {
    Ok(json!({
        "model": model_name(model)?,
        "data": parse_json("data", data)?,
        "prompt": prompt,
        "schema": parse_json("schema", schema)?,
    }))
}

fn classify_args(model: &str, text: &str, categories: &[String]) -> Result<Value, CallError> {
    if categories.is_empty() {
        return Err(CallError::Invalid { message: "`categories` is empty".to_owned() });
    }
    Ok(json!({ "model": model_name(model)?, "text": text, "categories": categories }))
}

/// A text that names no model can be granted to nobody and bound by nothing.
fn model_name(text: &str) -> Result<ModelName, CallError> {
    text.parse().map_err(|error: wflo_model::BadName| CallError::Unknown { message: error.to_string() })
}

fn completion(answer: ChatAnswer) -> chat::Completion {
    chat::Completion {
        text: answer.text,
        model: answer.model,
        finish_reason: answer.finish_reason,
        usage: usage(answer.usage, answer.cost_usd, answer.estimated),
    }
}

fn usage(tokens: TokenUsage, cost: PicoUsd, estimated: bool) -> types::Usage {
    types::Usage {
        input_tokens: tokens.input,
        output_tokens: tokens.output,
        cost_usd: cost.to_string(),
        estimated,
    }
}

fn error_to_guest(error: CallError) -> types::Error {
    match error {
        CallError::AccessDenied { message } => types::Error::AccessDenied(message),
        CallError::BudgetExceeded { left_usd } => types::Error::BudgetExceeded(left_usd.to_string()),
        CallError::Unknown { message } => types::Error::UnknownModel(message),
        CallError::RefusedByPolicy { policy } => types::Error::RefusedByPolicy(policy),
        CallError::Rejected { message } => types::Error::Rejected(message),
        CallError::RateLimited { retry_after } => types::Error::RateLimited(retry_after),
        CallError::ContextTooLong { message } => types::Error::ContextTooLong(message),
        CallError::BadOutput { message } => types::Error::BadOutput(message),
        CallError::Upstream { message } | CallError::Unavailable { message } => {
            types::Error::Upstream(message)
        }
        CallError::Invalid { message } => types::Error::Invalid(message),
        other => types::Error::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use wflo_model::CallError;

    use super::{analyze_args, chat, chat_request, classify_args};

    fn request() -> chat::Request {
        let message = chat::Message { role: chat::Role::User, content: "hello".into() };
        chat::Request {
            model: "gpt-4".into(),
            messages: vec![message],
            schema: None,
            max_tokens: Some(8),
            temperature: Some(0.5),
            seed: None,
        }
    }

    #[test]
    fn a_request_has_the_form_of_the_ports() {
        let made = chat_request(chat::Request { schema: Some("{}".into()), ..request() }).unwrap();
        assert_eq!(
            serde_json::to_value(&made).unwrap(),
            serde_json::json!({
                "model": "gpt-4", "messages": [{"role": "user", "content": "hello"}],
                "schema": {}, "max_tokens": 8, "temperature": 0.5,
            })
        );
    }

    #[test]
    fn wrong_arguments_are_refused_before_the_gate() {
        let invalid = |error: &CallError| matches!(error, CallError::Invalid { .. });
        for bad in [
            chat::Request { messages: vec![], ..request() },
            chat::Request { schema: Some("{".into()), ..request() },
            chat::Request { temperature: Some(f64::NAN), ..request() },
            chat::Request { temperature: Some(2.5), ..request() },
        ] {
            assert!(invalid(&chat_request(bad).unwrap_err()));
        }
        assert!(invalid(&analyze_args("gpt-4", "not json", "", "{}").unwrap_err()));
        assert!(invalid(&analyze_args("gpt-4", "{}", "", "not json").unwrap_err()));
        assert!(invalid(&classify_args("gpt-4", "text", &[]).unwrap_err()));
        let nameless = chat_request(chat::Request { model: "no such name".into(), ..request() });
        assert!(matches!(nameless, Err(CallError::Unknown { .. })));
    }
}
