//! A tape as a model.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use wflo_model::ModelName;
use wflo_ports::{ChatModel, ChatRequest, Completion, IdempotencyKey, ModelError, TokenBound};

use super::hint::not_on_tape;
use super::tape::{CassetteError, Entry, Recorder, Tape};
use crate::llm::bound::by_bytes;

/// Answers from a file: exact, offline and free.
///
/// The file has one line for each answer, `{"request": {...}, "completion": {...}}` (the JSON of
/// [`ChatRequest`] and [`Completion`]); empty lines are skipped. A request is found by everything in it but
/// `max_tokens`, which depends on what is left of a budget. Equal requests always get the first answer that
/// was recorded, so that nothing depends on what was asked before, and a restart changes no answer. A request
/// that is not on the tape is [`ModelError::NotOnTape`], which says what is nearest.
///
/// A tape holds prompts and answers as they were, so it is as confidential as they are; keys are never on it.
///
/// ```
/// use wflo_backends::llm::Cassette;
/// use wflo_model::Digest;
/// use wflo_ports::{ChatModel, ChatRequest, IdempotencyKey, Message, Role};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("demo.jsonl");
/// std::fs::write(&path, concat!(
///     r#"{"request": {"model": "gpt-4", "messages": [{"role": "user", "content": "2 + 2?"}]}, "#,
///     r#""completion": {"text": "4", "model": "gpt-4-0613", "finish_reason": "stop", "#,
///     r#""usage": {"input": 12, "output": 1}}}"#,
/// )).unwrap();
/// let model = Cassette::open(&path, vec!["gpt-4".parse().unwrap()]).unwrap();
/// let request = ChatRequest {
///     model: "gpt-4".parse().unwrap(),
///     messages: vec![Message { role: Role::User, content: "2 + 2?".into() }],
///     schema: None,
///     max_tokens: Some(1000),
///     temperature: None,
///     seed: None,
/// };
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let answer = model.complete(&request, &IdempotencyKey(Digest::ZERO)).await.unwrap();
/// assert_eq!(answer.text, "4");
/// # });
/// ```
pub struct Cassette {
    models: Vec<ModelName>,
    /// None while playing only.
    upstream: Option<Arc<dyn ChatModel>>,
    state: Arc<Mutex<State>>,
}

struct State {
    tape: Tape,
    recorder: Option<Recorder>,
}

impl Cassette {
    /// Plays the file at `path`, for `models`.
    ///
    /// # Errors
    /// When the file is not there, or has a line that is none of a tape.
    pub fn open(path: impl AsRef<Path>, models: Vec<ModelName>) -> Result<Self, CassetteError> {
        let tape = Tape::read(path.as_ref())?;
        Ok(Self { models, upstream: None, state: Arc::new(Mutex::new(State { tape, recorder: None })) })
    }

    /// Plays the file at `path` and asks `upstream` what is not on it, adding its answers: they are durable on
    /// the tape before they are returned. A recording run and a later play of its tape so see the same
    /// answers; to record afresh, remove the file. Errors of `upstream` are passed on and not recorded.
    ///
    /// # Errors
    /// When the file cannot be made or written, or has a line that is none of a tape.
    pub fn record(path: impl AsRef<Path>, upstream: Arc<dyn ChatModel>) -> Result<Self, CassetteError> {
        let (recorder, tape) = Recorder::open(path.as_ref())?;
        let state = State { tape, recorder: Some(recorder) };
        Ok(Self {
            models: upstream.models().to_vec(),
            upstream: Some(upstream),
            state: Arc::new(Mutex::new(state)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // An entry is added last of all, so a panic leaves a tape that is whole.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ChatModel for Cassette {
    fn models(&self) -> &[ModelName] {
        &self.models
    }

    fn bound(&self, request: &ChatRequest) -> TokenBound {
        self.upstream.as_ref().map_or_else(|| by_bytes(request), |upstream| upstream.bound(request))
    }

    async fn complete(&self, request: &ChatRequest, key: &IdempotencyKey) -> Result<Completion, ModelError> {
        {
            let state = self.state();
            if let Some(completion) = state.tape.find(request) {
                return Ok(completion.clone());
            }
            if self.upstream.is_none() {
                return Err(ModelError::NotOnTape { message: not_on_tape(&state.tape, request) });
            }
        }
        let upstream = self.upstream.as_ref().expect("returned above if there is none");
        let completion = upstream.complete(request, key).await?;
        let (state, entry) =
            (Arc::clone(&self.state), Entry { request: request.clone(), completion: completion.clone() });
        let recorded = tokio::task::spawn_blocking(move || {
            let mut state = lock(&state);
            let State { tape, recorder } = &mut *state;
            if let Some(first) = tape.find(&entry.request) {
                // Two asked at once, and the other was first.
                return Ok(first.clone());
            }
            let completion = entry.completion.clone();
            match recorder {
                Some(recorder) => recorder.record(tape, entry).map(|()| completion),
                None => Ok(completion),
            }
        });
        let failed = |message| ModelError::Upstream { message };
        recorded
            .await
            .map_err(|_| failed("the answer was not recorded: the recording thread ended".to_owned()))?
            .map_err(|error| {
                let cause =
                    std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                failed(format!("the answer was not recorded: {error}{cause}"))
            })
    }
}

impl fmt::Debug for Cassette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cassette").field("models", &self.models).finish_non_exhaustive()
    }
}
