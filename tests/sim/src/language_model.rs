//! A simulated provider of models: answers that differ each time, and everything that providers do wrong.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wflo_model::ModelName;
use wflo_ports::{ChatModel, ChatRequest, Completion, IdempotencyKey, ModelError, TokenBound, TokenUsage};

use crate::scenario::{Kind, Wrong};
use crate::world::{Performed, World, name_of};

/// The one model that steps are granted.
pub(crate) const MODEL: &str = "sim-1";

pub(crate) struct SimModel {
    world: Arc<World>,
    models: [ModelName; 1],
}

impl SimModel {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), models: [name_of(MODEL)] }
    }
}

#[async_trait]
impl ChatModel for SimModel {
    fn models(&self) -> &[ModelName] {
        &self.models
    }

    fn bound(&self, request: &ChatRequest) -> TokenBound {
        let input = request.messages.iter().map(|message| message.content.len() as u64 / 16 + 1).sum();
        TokenBound { input, output: None }
    }

    async fn complete(&self, request: &ChatRequest, key: &IdempotencyKey) -> Result<Completion, ModelError> {
        self.world.live_on().await;
        let (drawn, wait) = {
            let inner = &mut *self.world.lock();
            let durable = inner.image.heads();
            inner.asked.push(Performed { key: key.0, durable });
            (inner.rng.below(10), inner.rng.pick(&[0, 0, 20, 800]))
        };
        let fault = self.world.fault(Kind::Model);
        let wait = if fault == Some(Wrong::ModelIsSlow) { 60_000 } else { wait };
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        self.world.live_on().await;
        let most = u64::from(request.max_tokens.unwrap_or(50));
        let input = self.bound(request).input;
        let usage = match fault {
            Some(Wrong::ModelRateLimited) => {
                return Err(ModelError::RateLimited { retry_after: Some(Duration::from_secs(1)) });
            }
            Some(Wrong::ModelBreaksOff) => {
                return Err(ModelError::Upstream { message: "the simulated provider broke off".to_owned() });
            }
            Some(Wrong::ModelNotSent) => {
                return Err(ModelError::NotSent { message: "the simulated provider is away".to_owned() });
            }
            Some(Wrong::ModelSaysNoUsage) => None,
            Some(Wrong::ModelOverruns) => Some(TokenUsage { input: input * 3, output: most * 3 }),
            _ => Some(TokenUsage { input, output: most.min(1 + drawn) }),
        };
        let text = match request.schema {
            None => drawn.to_string(),
            Some(_) if drawn < 3 => "no JSON".to_owned(),
            Some(_) => r#"{"category":"yes","confidence":0.5,"details":"because"}"#.to_owned(),
        };
        let (model, finish_reason) = (MODEL.to_owned(), "stop".to_owned());
        Ok(Completion { text, model, finish_reason, usage })
    }
}
