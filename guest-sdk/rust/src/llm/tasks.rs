//! The tasks that the host has for every language.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Error, read};
use crate::bindings::wflo::llm::tasks as host;
use crate::{JsonSchema, schema};

/// Has a model analyse data: what it is to look at, what it is to look for, and what it is to answer with.
pub fn analyze(model: impl Into<String>) -> Analyze {
    Analyze { model: model.into(), data: Ok("null".to_owned()), prompt: String::new(), schema: None }
}

/// Has a model answer a question from a knowledge base, and say where the answer stands.
///
/// ```no_run
/// # use wflo::prelude::*;
/// # fn step(ctx: Context) -> wflo::Result<()> {
/// let question: String = ctx.input("message")?;
/// let cited = llm::answer("gpt-4").question(question).from("help")?;
/// if cited.answered {
///     wflo::info!("answered", from = cited.citations[0].source);
/// }
/// # Ok(()) }
/// ```
pub fn answer(model: impl Into<String>) -> Answering {
    Answering { model: model.into(), question: String::new(), top: 5 }
}

/// Has a model sort a text into exactly one of several categories.
pub fn classify(model: impl Into<String>) -> Classify {
    Classify { model: model.into(), text: String::new() }
}

/// Has a model transform rows, one by one.
pub fn transform(model: impl Into<String>) -> Transform {
    Transform { model: model.into(), rows: Ok("[]".to_owned()), instructions: String::new(), schema: None }
}

/// Has a model hold data against rules.
pub fn validate(model: impl Into<String>) -> Validate {
    Validate { model: model.into(), data: Ok("null".to_owned()) }
}

/// Has a model write code.
pub fn generate_code(model: impl Into<String>) -> GenerateCode {
    GenerateCode { model: model.into(), language: String::new() }
}

/// Has a model judge content by policies.
pub fn moderate(model: impl Into<String>) -> Moderate {
    Moderate { model: model.into(), content: String::new() }
}

/// Has a model draw many inputs together into one result.
pub fn synthesize(model: impl Into<String>) -> Synthesize {
    Synthesize { model: model.into(), data: Ok("[]".to_owned()), prompt: String::new(), schema: None }
}

fn json(what: &str, value: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Invalid(format!("{what}: {error}")))
}

/// An analysis to be made; see [`analyze`].
#[derive(Debug)]
#[must_use = "nothing is asked before `json`"]
pub struct Analyze {
    model: String,
    data: Result<String, Error>,
    prompt: String,
    schema: Option<Value>,
}

impl Analyze {
    /// Sets what the model is to look at.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.data = json("data", data);
        self
    }

    /// Sets what the model is to look for.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = prompt.into();
        self
    }

    /// Holds the answer to a JSON Schema, in place of the one of the type it is read as.
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Asks for an answer that satisfies the schema of `T`, and reads it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn json<T: DeserializeOwned + JsonSchema>(self) -> Result<T, Error> {
        Ok(self.answer()?.value)
    }

    /// As [`json`](Self::json), with what it used and cost.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn answer<T: DeserializeOwned + JsonSchema>(self) -> Result<Answer<T>, Error> {
        let schema = self.schema.unwrap_or_else(schema::answer::<T>).to_string();
        let answer = host::analyze(&self.model, &self.data?, &self.prompt, &schema)?;
        Ok(Answer { value: read(&answer.value)?, usage: answer.usage.into() })
    }
}

/// A question to be answered; see [`answer`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `from`"]
pub struct Answering {
    model: String,
    question: String,
    top: u32,
}

impl Answering {
    /// Sets the question.
    pub fn question(mut self, question: impl Into<String>) -> Self {
        self.question = question.into();
        self
    }

    /// Sets how many passages the model is given: 5 unless told otherwise, and 20 at most.
    pub const fn top(mut self, top: u32) -> Self {
        self.top = top;
        self
    }

    /// Asks for an answer from what this knowledge base says, and from nothing else. The host has checked that what is
    /// cited is there.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn from(self, knowledge: &str) -> Result<Cited, Error> {
        read(&host::answer(&self.model, &self.question, knowledge, self.top)?.value)
    }
}

/// An answer, with where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
#[non_exhaustive]
pub struct Cited {
    /// Whether what was found answers the question.
    pub answered: bool,
    /// The answer, or what is lacking for one.
    pub answer: String,
    /// The passages that the answer is taken from; none where there is no answer.
    pub citations: Vec<Citation>,
}

/// A passage that an answer is taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
#[non_exhaustive]
pub struct Citation {
    /// The document, and after a `#` the number of the passage in it.
    pub source: String,
    /// The title of the document and the headings above the passage.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// A text to be sorted; see [`classify`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `one_of`"]
pub struct Classify {
    model: String,
    text: String,
}

impl Classify {
    /// Sets the text.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Asks which of the categories the text belongs to.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn one_of<C: Into<String>>(
        self,
        categories: impl IntoIterator<Item = C>,
    ) -> Result<Classification, Error> {
        let categories: Vec<String> = categories.into_iter().map(Into::into).collect();
        read(&host::classify(&self.model, &self.text, &categories)?.value)
    }
}

/// Where a text belongs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
#[non_exhaustive]
pub struct Classification {
    /// One of the categories.
    pub category: String,
    /// How sure the model says it is, 0 to 1.
    pub confidence: f64,
    /// What the model has to say about it.
    #[serde(default)]
    pub details: String,
}

/// Rows to be transformed; see [`transform`].
#[derive(Debug)]
#[must_use = "nothing is asked before `json`"]
pub struct Transform {
    model: String,
    rows: Result<String, Error>,
    instructions: String,
    schema: Option<Value>,
}

impl Transform {
    /// Sets the rows.
    pub fn rows<T: Serialize>(mut self, rows: &[T]) -> Self {
        self.rows = json("rows", rows);
        self
    }

    /// The same for other rows.
    pub(super) fn again(&self) -> Self {
        let (model, instructions) = (self.model.clone(), self.instructions.clone());
        Self { model, instructions, schema: self.schema.clone(), rows: Ok("[]".to_owned()) }
    }

    /// Sets what becomes of each row.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = instructions.into();
        self
    }

    /// Holds each new row to a JSON Schema, in place of the one of the type it is read as.
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Asks for one new row for each there is, in their order. Long lists are sent in batches.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn json<T: DeserializeOwned + JsonSchema>(self) -> Result<Vec<T>, Error> {
        Ok(self.answer()?.value)
    }

    /// As [`json`](Self::json), with what it used and cost.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn answer<T: DeserializeOwned + JsonSchema>(self) -> Result<Answer<Vec<T>>, Error> {
        let schema = self.schema.unwrap_or_else(schema::answer::<T>).to_string();
        let answer = host::transform(&self.model, &self.rows?, &self.instructions, &schema)?;
        Ok(Answer { value: read(&answer.value)?, usage: answer.usage.into() })
    }
}

/// Data to be held against rules; see [`validate`].
#[derive(Debug)]
#[must_use = "nothing is asked before `rules`"]
pub struct Validate {
    model: String,
    data: Result<String, Error>,
}

impl Validate {
    /// Sets the data. A list is looked at in batches.
    pub fn data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        self.data = json("data", data);
        self
    }

    /// Asks whether the data keeps to each of the rules.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rules<R: Into<String>>(self, rules: impl IntoIterator<Item = R>) -> Result<Validation, Error> {
        let rules: Vec<String> = rules.into_iter().map(Into::into).collect();
        read(&host::validate(&self.model, &self.data?, &rules)?.value)
    }
}

/// Whether data keeps to rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
#[non_exhaustive]
pub struct Validation {
    /// Whether it keeps to all of them.
    pub passed: bool,
    /// One verdict for each rule, in their order.
    pub verdicts: Vec<RuleVerdict>,
    /// What breaks any of them.
    pub issues: Vec<String>,
}

/// Whether data keeps to one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
#[non_exhaustive]
pub struct RuleVerdict {
    /// The rule.
    pub rule: String,
    /// Whether the data keeps to it.
    pub passed: bool,
    /// What breaks it.
    pub issues: Vec<String>,
}

/// Code to be written; see [`generate_code`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `requirements`"]
pub struct GenerateCode {
    model: String,
    language: String,
}

impl GenerateCode {
    /// Sets the language, by its name as people say it.
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = language.into();
        self
    }

    /// Asks for code that does what is required.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn requirements<T: Serialize + ?Sized>(self, requirements: &T) -> Result<Code, Error> {
        let requirements = json("requirements", requirements)?;
        read(&host::generate_code(&self.model, &self.language, &requirements)?.value)
    }
}

/// Code that a model wrote. Nothing has run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
#[non_exhaustive]
pub struct Code {
    /// The code alone.
    pub code: String,
    /// What it does.
    pub explanation: String,
}

/// Content to be judged; see [`moderate`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `policies`"]
pub struct Moderate {
    model: String,
    content: String,
}

impl Moderate {
    /// Sets the content.
    pub fn content(mut self, content: impl Into<String>) -> Self {
        self.content = content.into();
        self
    }

    /// Asks whether the content keeps to the policies.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn policies<P: Into<String>>(
        self,
        policies: impl IntoIterator<Item = P>,
    ) -> Result<Moderation, Error> {
        let policies: Vec<String> = policies.into_iter().map(Into::into).collect();
        read(&host::moderate(&self.model, &self.content, &policies)?.value)
    }
}

/// How content was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
#[non_exhaustive]
pub struct Moderation {
    /// What is to be done with it.
    pub verdict: Verdict,
    /// How sure the model says it is, 0 to 1.
    pub confidence: f64,
    /// Why.
    pub reasoning: String,
    /// The policies that it breaks.
    #[serde(default)]
    pub violated: Vec<String>,
}

/// What is to be done with content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "crate::serde", rename_all = "snake_case")]
#[schemars(crate = "crate::schemars")]
pub enum Verdict {
    /// It clearly breaks no policy.
    Safe,
    /// A person should look at it.
    Review,
    /// It clearly breaks one.
    Block,
}

/// Inputs to be drawn together; see [`synthesize`].
#[derive(Debug)]
#[must_use = "nothing is asked before `json`"]
pub struct Synthesize {
    model: String,
    data: Result<String, Error>,
    prompt: String,
    schema: Option<Value>,
}

impl Synthesize {
    /// Sets the inputs. What is too much for one request is condensed in groups first.
    pub fn data<T: Serialize>(mut self, data: &[T]) -> Self {
        self.data = json("data", data);
        self
    }

    /// Sets what the model is to look for.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = prompt.into();
        self
    }

    /// Holds the result to a JSON Schema, in place of the one of the type it is read as.
    pub fn schema(mut self, schema: Value) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Asks for a result that satisfies the schema of `T`, and reads it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn json<T: DeserializeOwned + JsonSchema>(self) -> Result<T, Error> {
        Ok(self.answer()?.value)
    }

    /// As [`json`](Self::json), with what it used and cost.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn answer<T: DeserializeOwned + JsonSchema>(self) -> Result<Answer<T>, Error> {
        let schema = self.schema.unwrap_or_else(schema::answer::<T>).to_string();
        let answer = host::synthesize(&self.model, &self.data?, &self.prompt, &schema)?;
        Ok(Answer { value: read(&answer.value)?, usage: answer.usage.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FailureKind;

    #[test]
    fn an_answer_of_another_shape_is_asked_for_again() {
        let error = read::<Classification>(r#"{"category":"refund"}"#).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Redo);
        assert!(error.to_string().contains("missing field `confidence`"), "{error}");
    }

    #[test]
    fn data_that_is_no_json_is_an_error_of_the_request() {
        let map = std::collections::BTreeMap::from([(vec![1], 2)]);
        let error = analyze("gpt-4").data(&map).json::<Value>().unwrap_err();
        assert_eq!(error, Error::Invalid("data: key must be a string".into()));
    }

    #[test]
    fn answers_are_read_as_the_host_gives_them() {
        let moderation: Moderation =
            read(r#"{"verdict":"review","confidence":0.6,"reasoning":"unclear","violated":["No spam"]}"#)
                .unwrap();
        assert_eq!((moderation.verdict, moderation.violated.len()), (Verdict::Review, 1));
        let verdict = r#"{"rule":"r","passed":false,"issues":["i"]}"#;
        let validation: Validation =
            read(&format!(r#"{{"passed":false,"verdicts":[{verdict}],"issues":["i"]}}"#)).unwrap();
        assert_eq!(validation.verdicts[0].issues, validation.issues);
        let code: Code = read(r#"{"code":"x","explanation":"y"}"#).unwrap();
        assert_eq!(code.code, "x");
    }
}
