//! When a group waits for more of the runs that write.
//!
//! A disk may sync in less time than it takes a few of many runs to come back. Then every group would be of those few, and
//! each sync writes the last page of the log once more, and costs the processor as much as a step does: with 64 runs at
//! once, a third more bytes for each step, and fewer of them. So a group waits until half of the runs that write are in it,
//! though not for long: on a disk that takes longer than that to sync, and for a few runs, it never does.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use wflo_model::RunId;

/// How long a group that waits sleeps before it looks again.
pub(super) const NAP: Duration = Duration::from_micros(50);
/// How long a run is counted among those that write.
const LOOK: Duration = Duration::from_millis(1);
/// From how many of them on a group waits.
const MANY: usize = 16;
/// How long after the group before it has begun a group waits at most.
const APART: Duration = Duration::from_micros(400);

/// The runs that write.
pub(super) struct Crowd {
    /// Whether there is a disk to sync: what costs nothing is worth no waiting.
    syncs: bool,
    /// When the group before was begun.
    begun: Instant,
    /// Since when `runs` are counted.
    since: Instant,
    runs: HashSet<RunId>,
    /// How many there were the time before.
    before: usize,
}

impl Crowd {
    pub(super) fn new(syncs: bool, now: Instant) -> Self {
        Self { syncs, begun: now, since: now, runs: HashSet::new(), before: 0 }
    }

    /// Whether a group of so many waits for more.
    pub(super) fn waits_for_more(&self, requests: usize, now: Instant) -> bool {
        let many = self.before.max(self.runs.len());
        self.syncs && many >= MANY && requests < many / 2 && now.duration_since(self.begun) < APART
    }

    /// A group of appends to these runs is begun.
    pub(super) fn begins(&mut self, runs: impl Iterator<Item = RunId>, now: Instant) {
        self.begun = now;
        if now.duration_since(self.since) >= LOOK {
            (self.since, self.before) = (now, self.runs.len());
            self.runs.clear();
        }
        self.runs.extend(runs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(count: u8) -> impl Iterator<Item = RunId> {
        (0..count).map(|n| RunId::from_bytes([n; 16]))
    }

    #[test]
    fn a_group_waits_for_half_of_many_runs_and_not_for_long() {
        let now = Instant::now();
        let mut crowd = Crowd::new(true, now);
        assert!(!crowd.waits_for_more(1, now), "nobody has written yet");
        crowd.begins(runs(32), now);
        assert!(crowd.waits_for_more(15, now));
        assert!(!crowd.waits_for_more(16, now));
        assert!(crowd.waits_for_more(1, now + APART / 2));
        assert!(!crowd.waits_for_more(1, now + APART));
    }

    #[test]
    fn a_few_runs_wait_for_nobody() {
        let now = Instant::now();
        let mut crowd = Crowd::new(true, now);
        for _ in 0..100 {
            crowd.begins(runs(15), now);
            assert!(!crowd.waits_for_more(1, now));
        }
        let mut in_memory = Crowd::new(false, now);
        in_memory.begins(runs(64), now);
        assert!(!in_memory.waits_for_more(1, now), "there is nothing to save");
    }

    #[test]
    fn who_has_stopped_writing_is_not_waited_for() {
        let mut now = Instant::now();
        let mut crowd = Crowd::new(true, now);
        crowd.begins(runs(64), now);
        for waits in [true, false] {
            now += LOOK;
            crowd.begins(runs(1), now);
            assert_eq!(crowd.waits_for_more(1, now), waits);
        }
    }
}
