//! Models behind the chat completions API that OpenAI made and many servers speak.

mod client;
mod config;
mod refusal;
mod retry;
mod strict;
mod wire;

pub use client::OpenAi;
pub use config::{BadOpenAiConfig, OpenAiConfig};
