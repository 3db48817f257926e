//! The outside that guests are lent: in this process, and as quick as can be, so that what is measured is wflo.

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use tokio::sync::Barrier;
use wflo::Outside;
use wflo_model::{DbAccess, ModelName, SqlRows, SqlValue};
use wflo_ports::{
    Begun, Capture, ChatModel, ChatRequest, Completion, Database, DbError, IdempotencyKey, Marker,
    ModelError, QueryLimits, Statement, TokenBound, TokenUsage,
};

/// A model and a database that answer at once.
pub(crate) fn quick() -> Result<Outside> {
    with(Echo { models: ["echo".parse()?], full: None })
}

/// A model that never answers, and says when it has been asked so many questions.
pub(crate) fn silent(questions: usize) -> Result<(Outside, Arc<Barrier>)> {
    let full = Arc::new(Barrier::new(questions + 1));
    Ok((with(Echo { models: ["echo".parse()?], full: Some(Arc::clone(&full)) })?, full))
}

fn with(model: Echo) -> Result<Outside> {
    Ok(Outside::default().with_models(Arc::new(model)).with_database("bank".parse()?, Arc::new(Mirror)))
}

/// Answers what it is asked.
struct Echo {
    models: [ModelName; 1],
    /// Where it stays silent: whoever waits here goes on when enough questions are asked.
    full: Option<Arc<Barrier>>,
}

#[async_trait]
impl ChatModel for Echo {
    fn models(&self) -> &[ModelName] {
        &self.models
    }

    fn bound(&self, _: &ChatRequest) -> TokenBound {
        TokenBound { input: 16, output: Some(16) }
    }

    async fn complete(&self, request: &ChatRequest, _: &IdempotencyKey) -> Result<Completion, ModelError> {
        if let Some(full) = &self.full {
            full.wait().await;
            std::future::pending::<()>().await;
        }
        let text = request.messages.last().map(|message| message.content.clone()).unwrap_or_default();
        let usage = Some(TokenUsage { input: 4, output: 4 });
        Ok(Completion { text, model: "echo-1".into(), finish_reason: "stop".into(), usage })
    }
}

/// Gives back the parameters of a query as a row.
struct Mirror;

#[async_trait]
impl Database for Mirror {
    async fn query(&self, asked: &Statement, _: &DbAccess, _: QueryLimits) -> Result<SqlRows, DbError> {
        let row: Vec<SqlValue> = asked.params.clone();
        Ok(SqlRows { columns: (0..row.len()).map(|n| format!("c{n}")).collect(), rows: vec![row] })
    }

    async fn begin(&self, _: &Marker, _: Capture) -> Result<Begun, DbError> {
        Err(DbError::Unavailable("the mirror is only read".into()))
    }

    async fn committed(&self, _: &Marker) -> Result<bool, DbError> {
        Ok(false)
    }
}
