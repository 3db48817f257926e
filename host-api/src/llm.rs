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
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        self.task("analyze", analyze_args(&model, &data, &prompt, &schema)).await
    }

    async fn answer(
        &mut self,
        model: String,
        question: String,
        knowledge: String,
        top: u32,
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        let args = model_name(&model)
            .map(|model| json!({ "model": model, "question": question, "knowledge": knowledge, "top": top }));
        self.task("answer", args).await
    }

    async fn classify(
        &mut self,
        model: String,
        text: String,
        categories: Vec<String>,
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        self.task("classify", classify_args(&model, &text, &categories)).await
    }

    async fn transform(
        &mut self,
        model: String,
        rows: String,
        instructions: String,
        schema: String,
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        self.task("transform", transform_args(&model, &rows, &instructions, &schema)).await
    }

    async fn validate(
        &mut self,
        model: String,
        data: String,
        rules: Vec<String>,
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        self.task("validate", validate_args(&model, &data, &rules)).await
    }

    async fn generate_code(
        &mut self,
        model: String,
        language: String,
        requirements: String,
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        self.task("generate-code", code_args(&model, &language, &requirements)).await
    }

    async fn moderate(
        &mut self,
        model: String,
        content: String,
        policies: Vec<String>,
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        self.task("moderate", moderate_args(&model, &content, &policies)).await
    }

    async fn synthesize(
        &mut self,
        model: String,
        data: String,
        prompt: String,
        schema: String,
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        self.task("synthesize", synthesize_args(&model, &data, &prompt, &schema)).await
    }
}

impl Host<'_> {
    /// Makes a task's call, unless its arguments are wrong already.
    async fn task(
        &mut self,
        function: &str,
        args: Result<Value, CallError>,
    ) -> wasmtime::Result<Result<tasks::Outcome, types::Error>> {
        let args = match args {
            Ok(args) => args,
            Err(error) => return Ok(Err(error_to_guest(error))),
        };
        let answer = self.call::<_, TaskAnswer>(TASKS, function, &args).await?;
        Ok(answer
            .map(|answer| tasks::Outcome {
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
    let categories = some("categories", categories)?;
    Ok(json!({ "model": model_name(model)?, "text": text, "categories": categories }))
}

fn transform_args(model: &str, rows: &str, instructions: &str, schema: &str) -> Result<Value, CallError> {
    Ok(json!({
        "model": model_name(model)?,
        "rows": list("rows", rows)?,
        "instructions": instructions,
        "schema": parse_json("schema", schema)?,
    }))
}

fn validate_args(model: &str, data: &str, rules: &[String]) -> Result<Value, CallError> {
    let (data, rules) = (parse_json("data", data)?, some("rules", rules)?);
    Ok(json!({ "model": model_name(model)?, "data": data, "rules": rules }))
}

fn code_args(model: &str, language: &str, requirements: &str) -> Result<Value, CallError> {
    let requirements = parse_json("requirements", requirements)?;
    Ok(json!({ "model": model_name(model)?, "language": language, "requirements": requirements }))
}

fn moderate_args(model: &str, content: &str, policies: &[String]) -> Result<Value, CallError> {
    let policies = some("policies", policies)?;
    Ok(json!({ "model": model_name(model)?, "content": content, "policies": policies }))
}

fn synthesize_args(model: &str, data: &str, prompt: &str, schema: &str) -> Result<Value, CallError> {
    Ok(json!({
        "model": model_name(model)?,
        "data": list("data", data)?,
        "prompt": prompt,
        "schema": parse_json("schema", schema)?,
    }))
}

/// A list that has something in it.
fn some<'a>(what: &str, list: &'a [String]) -> Result<&'a [String], CallError> {
    if list.is_empty() {
        return Err(CallError::Invalid { message: format!("`{what}` is empty") });
    }
    Ok(list)
}

/// JSON text of an array.
fn list(what: &str, text: &str) -> Result<Value, CallError> {
    match parse_json(what, text)? {
        list @ Value::Array(_) => Ok(list),
        _ => Err(CallError::Invalid { message: format!("`{what}` is no JSON array") }),
    }
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

    use super::{
        analyze_args, chat, chat_request, classify_args, code_args, moderate_args, synthesize_args,
        transform_args, validate_args,
    };

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
        assert!(invalid(&transform_args("gpt-4", "{}", "", "{}").unwrap_err()));
        assert!(invalid(&validate_args("gpt-4", "{}", &[]).unwrap_err()));
        assert!(invalid(&code_args("gpt-4", "sql", "no json").unwrap_err()));
        assert!(invalid(&moderate_args("gpt-4", "text", &[]).unwrap_err()));
        assert!(invalid(&synthesize_args("gpt-4", "1", "", "{}").unwrap_err()));
        let nameless = chat_request(chat::Request { model: "no such name".into(), ..request() });
        assert!(matches!(nameless, Err(CallError::Unknown { .. })));
    }
}
