//! Language models: over HTTP, and from tape.

mod anthropic;
mod bound;
mod cassette;
mod openai;
mod server;

pub use anthropic::Anthropic;
pub use cassette::{Cassette, CassetteError};
pub use openai::OpenAi;
pub use server::{BadServerConfig, ServerConfig};
