//! Language models: over HTTP, and from tape.

mod bound;
mod cassette;
mod openai;

pub use cassette::{Cassette, CassetteError};
pub use openai::{BadOpenAiConfig, OpenAi, OpenAiConfig};
