//! How often a step is tried.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often a step is tried, and how long it waits in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: u32,
    /// The wait after the first attempt; later ones grow from it.
    pub backoff: Duration,
}

impl Default for Retry {
    /// One attempt.
    fn default() -> Self {
        Self { max_attempts: 1, backoff: Duration::from_secs(1) }
    }
}
