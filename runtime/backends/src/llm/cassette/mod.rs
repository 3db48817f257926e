//! Answers from a file.

mod hint;
mod player;
mod tape;

pub use player::Cassette;
pub use tape::CassetteError;
