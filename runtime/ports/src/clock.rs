//! Time and randomness: their one way in.

use wflo_model::Timestamp;

/// Tells the time. The runtime reads it to stamp events and to see what is due; guests never do.
///
/// ```
/// use wflo_model::Timestamp;
/// use wflo_ports::Clock;
///
/// struct Stopped;
/// impl Clock for Stopped {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_micros(1)
///     }
/// }
/// assert_eq!(Stopped.now().micros(), 1);
/// ```
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes fit for keys.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// When the system has no randomness to give. Nothing may go on then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SystemEntropyError>;
}

/// The system gave no randomness.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the system gave no randomness: {message}")]
pub struct SystemEntropyError {
    /// What it said.
    pub message: String,
}
