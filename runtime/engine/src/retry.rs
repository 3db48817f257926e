//! When a step is tried again.

use std::time::Duration;

use wflo_manifest::Retry;
use wflo_model::{FailureKind, Timestamp};

use crate::{AttemptEnd, Unit};

/// Most attempts of a step that are interrupted through no fault of their own.
const MAX_INTERRUPTED: u32 = 10;

/// Longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(3600);

/// When the next attempt of a step may begin, after one that ended so; none if there is to be none.
///
/// The wait doubles with each attempt, up to an hour, and is spread over half of itself by `seed`, so that
/// steps that failed together do not come back together.
#[must_use]
pub fn retry_at(
    retry: &Retry,
    unit: &Unit,
    end: &AttemptEnd,
    seed: u64,
    now: Timestamp,
) -> Option<Timestamp> {
    match end {
        AttemptEnd::Succeeded { .. }
        | AttemptEnd::Skipped { .. }
        | AttemptEnd::Cancelled
        | AttemptEnd::Unpaid { .. } => None,
        AttemptEnd::Interrupted { .. } => (unit.interrupted < MAX_INTERRUPTED).then_some(now),
        AttemptEnd::Failed(failure) if failure.kind == FailureKind::Permanent => None,
        AttemptEnd::Failed(_) | AttemptEnd::Fault(_) => (unit.counted < retry.max_attempts)
            .then(|| now.after(backoff(retry.backoff, unit.counted, MAX_BACKOFF, seed))),
    }
}

/// How long to wait after so many tries, the first of them 1: it doubles with each, up to `most`, and is spread over
/// half of itself by `seed`.
///
/// ```
/// use std::time::Duration;
/// use wflo_engine::backoff;
/// let (first, most) = (Duration::from_secs(2), Duration::from_secs(3600));
/// assert_eq!(backoff(first, 1, most, 0), Duration::from_secs(1));
/// assert_eq!(backoff(first, 2, most, 512), Duration::from_secs(3));
/// assert!(backoff(first, 60, most, 1023) < most);
/// ```
#[must_use]
pub fn backoff(first: Duration, tries: u32, most: Duration, seed: u64) -> Duration {
    let wait = first.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(most);
    wait / 2 + (wait / 2).mul_f64((seed % 1024) as f64 / 1024.0)
}
