//! A question answered from a knowledge base, with the passages that the answer is taken from.

use serde::Deserialize;
use serde_json::{Value, json};
use wflo_host_api::Stop;
use wflo_model::{Call, CallError, ModelName};
use wflo_ports::Passage;

use super::question::{Question, Total};
use super::{ANSWER, Caller, arguments, invalid};

/// Most passages that a model is given: more of them say no more, and cost.
const MOST: u32 = 20;
/// Most bytes of a question that are searched for. The model is given all of it.
const SEARCHED: usize = 4 << 10;

#[derive(Deserialize)]
pub(crate) struct Answer {
    model: ModelName,
    question: String,
    knowledge: String,
    top: u32,
}

impl Answer {
    pub(super) fn of(call: &Call) -> Result<Self, CallError> {
        let this: Self = arguments(call)?;
        if this.question.trim().is_empty() {
            return Err(invalid(call, "a question is needed"));
        }
        if !(1..=MOST).contains(&this.top) {
            return Err(invalid(call, &format!("`top` is {}, not 1 to {MOST}", this.top)));
        }
        Ok(this)
    }

    pub(super) async fn perform(
        self,
        caller: &mut dyn Caller,
        total: &mut Total,
    ) -> Result<Result<Value, CallError>, Stop> {
        let Self { model, question, knowledge, top } = self;
        let question = question.trim();
        let query = &question[..question.floor_char_boundary(SEARCHED)];
        let args = json!({ "knowledge": knowledge, "query": query, "top": top });
        let found = match caller.make(Call::new("wflo:knowledge/search", "search", args)).await? {
            Ok(found) => found,
            // In this interface what is not known is a model.
            Err(CallError::Unknown { message }) => return Ok(Err(CallError::Other { message })),
            Err(error) => return Ok(Err(error)),
        };
        let passages: Vec<Passage> =
            serde_json::from_value(found).map_err(|error| Stop::Host(format!("passages: {error}")))?;
        if passages.is_empty() {
            // There is nothing to answer from, and so nothing to pay for.
            return Ok(Ok(told(&json!({ "answered": false, "citations": [], "answer": "" }), &passages)));
        }
        let numbered = (1..).zip(&passages);
        let numbered: Value = numbered
            .map(|(number, it): (u64, _)| json!({ "number": number, "title": it.title, "text": it.text }))
            .collect();
        let user = format!("Question:\n{question}\n\nPassages:\n{numbered}");
        let question = Question::new(model, ANSWER, user, schema(passages.len())).held_to(cites);
        Ok(question.ask(caller, total).await?.map(|answer| told(&answer, &passages)))
    }
}

fn schema(passages: usize) -> Value {
    let numbers: Vec<_> = (1..=passages).collect();
    json!({
        "type": "object",
        "properties": {
            "answered": { "type": "boolean" },
            "citations": { "type": "array", "items": { "type": "integer", "enum": numbers } },
            "answer": { "type": "string" },
        },
        "required": ["answered", "citations", "answer"],
        "additionalProperties": false,
    })
}

/// What is wrong with an answer beyond its schema: an answer says where it stands, and refers to nothing else.
fn cites(answer: &Value) -> Vec<String> {
    let text = answer["answer"].as_str().unwrap_or_default();
    let cited: Vec<u64> =
        answer["citations"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let mut wrong = Vec::new();
    if answer["answered"] == true {
        if cited.is_empty() {
            wrong.push("at /citations: an answer names the passages that it is taken from".to_owned());
        }
        if text.trim().is_empty() {
            wrong.push("at /answer: it is empty".to_owned());
        }
    }
    let marks = text.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    let marks = marks.filter_map(|(mark, _)| mark.parse::<u64>().ok());
    for mark in marks.filter(|mark| !cited.contains(mark)) {
        wrong.push(format!("at /answer: it refers to passage {mark}, which is not among the citations"));
    }
    wrong
}

/// What the step gets: the passages themselves in the place of their numbers, each once.
fn told(answer: &Value, passages: &[Passage]) -> Value {
    let answered = answer["answered"] == true;
    let cited = answer["citations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut numbers: Vec<_> = cited.iter().filter_map(Value::as_u64).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let cited = numbers.into_iter().filter(|_| answered);
    let cited = cited.filter_map(|number| passages.get(usize::try_from(number).ok()?.checked_sub(1)?));
    let citations: Vec<_> =
        cited.map(|it| json!({ "source": it.source, "title": it.title, "text": it.text })).collect();
    json!({ "answered": answered, "answer": answer["answer"], "citations": citations })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use async_trait::async_trait;
    use serde_json::{Value, json};
    use wflo_host_api::Stop;
    use wflo_model::{Call, CallError, CallResult};

    use super::super::{Caller, Task};

    /// Finds these passages, and answers with one after another.
    struct Scripted {
        found: CallResult,
        answers: VecDeque<Value>,
        asked: Vec<Call>,
    }

    #[async_trait]
    impl Caller for Scripted {
        async fn make(&mut self, call: Call) -> Result<CallResult, Stop> {
            let is_search = call.to_string() == "wflo:knowledge/search.search";
            self.asked.push(call);
            if is_search {
                return Ok(self.found.clone());
            }
            let text = self.answers.pop_front().expect("it was asked once more").to_string();
            let usage = json!({ "input": 10, "output": 1 });
            Ok(Ok(json!({ "text": text, "usage": usage, "cost_usd": "0.5", "estimated": false })))
        }
    }

    fn passages() -> Value {
        let passage = |n: u32| json!({"source": format!("a.md#{n}"), "title": "A", "text": format!("t{n}"), "score": 1.5});
        json!([passage(1), passage(2)])
    }

    async fn answer(found: CallResult, answers: &[Value]) -> (CallResult, Vec<Call>) {
        let args = json!({"model": "gpt-4", "question": " why? ", "knowledge": "help", "top": 2});
        let task = Task::of(&Call::new("wflo:llm/tasks", "answer", args)).unwrap().unwrap();
        let mut caller = Scripted { found, answers: answers.iter().cloned().collect(), asked: Vec::new() };
        let result = task.perform(&mut caller).await.unwrap();
        (result, caller.asked)
    }

    fn said(answered: bool, citations: &[u32], answer: &str) -> Value {
        json!({"answered": answered, "citations": citations, "answer": answer})
    }

    #[tokio::test]
    async fn an_answer_comes_with_the_passages_it_cites() {
        let (result, asked) = answer(Ok(passages()), &[said(true, &[2, 2], "Because [2].")]).await;
        let value = result.unwrap()["value"].clone();
        let cited = json!([{"source": "a.md#2", "title": "A", "text": "t2"}]);
        assert_eq!(value, json!({"answered": true, "answer": "Because [2].", "citations": cited}));
        assert_eq!(asked[0].args, json!({"knowledge": "help", "query": "why?", "top": 2}));
        let user = asked[1].args["messages"][1]["content"].as_str().unwrap();
        assert!(user.starts_with("Question:\nwhy?\n\nPassages:\n[{\"number\":1,"), "{user}");
        assert_eq!(asked[1].args["schema"]["properties"]["citations"]["items"]["enum"], json!([1, 2]));
    }

    #[tokio::test]
    async fn what_cites_nothing_or_what_is_not_there_is_asked_for_once_more() {
        for wrong in [
            said(true, &[], "Because."),
            said(true, &[3], "Because."),
            said(true, &[1], "Because [2]."),
            said(true, &[1], " "),
        ] {
            let right = said(true, &[1], "Because.");
            let (result, asked) = answer(Ok(passages()), &[wrong.clone(), right]).await;
            assert_eq!(result.unwrap()["value"]["citations"][0]["source"], "a.md#1", "{wrong}");
            let repair = asked[2].args["messages"][3]["content"].as_str().unwrap();
            assert!(repair.contains("at /"), "{repair}");
            let (result, asked) = answer(Ok(passages()), &[wrong.clone(), wrong.clone()]).await;
            assert!(matches!(result, Err(CallError::BadOutput { .. })), "{wrong}: {result:?}");
            assert_eq!(asked.len(), 3);
        }
    }

    #[tokio::test]
    async fn where_nothing_is_found_nobody_is_asked() {
        let (result, asked) = answer(Ok(json!([])), &[]).await;
        let result = result.unwrap();
        assert_eq!(result["value"], json!({"answered": false, "answer": "", "citations": []}));
        assert_eq!((&result["cost_usd"], asked.len()), (&json!("0"), 1));
        let (result, _) = answer(Ok(passages()), &[said(false, &[1], "Nothing says so.")]).await;
        assert_eq!(result.unwrap()["value"]["citations"], json!([]), "what is not answered stands nowhere");
        let denied = CallError::AccessDenied { message: "no".into() };
        assert_eq!(answer(Err(denied.clone()), &[]).await.0, Err(denied));
    }
}
