//! Replay: the calls of an attempt held against its journal, one after another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wflo_engine::ParkReason;
use wflo_journal::RunKeys;
use wflo_model::{ApprovalId, Call, Digest, Timestamp, canonical};
use wflo_ports::Marker;

use crate::history::{CameTo, History, LentCall, RecordedCall};

/// What a reading of the step's clock moves it on by, so that a guest that waits for time to pass gets there.
const TICK: Duration = Duration::from_micros(1);

/// A guest that waits for longer than this parks.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// Goes through an attempt's journal in step with its guest. Both the gate and `wflo replay` are made on it, so that
/// both match calls, tell the time and draw randomness the same way.
pub(crate) struct Player {
    keys: Arc<RunKeys>,
    marker: Marker,
    /// The marker as a digest, of which every call's key is made.
    marked: Digest,
    history: History,
    seed: [u8; 32],
    clock: Timestamp,
    ordinal: u32,
    equal_calls: HashMap<Digest, u64>,
    to_skip: u64,
    /// The approval of the last recorded call.
    approval: Option<ApprovalId>,
    /// The last recorded call as it was or is to be made, where people have changed it.
    performed: Option<Call>,
}

/// A call with its place among the calls of its attempt.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) call: Call,
    /// Keyed digest of function and arguments.
    pub(crate) args: Digest,
    /// Names the call across crashes and attempts.
    pub(crate) key: Digest,
}

/// The journal has another call at this place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Divergence {
    pub(crate) ordinal: u32,
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// What a wait of the guest comes to.
pub(crate) enum Wait {
    /// It is over: it was recorded, or the clock is there already.
    Over,
    /// It is short and really waited for, if anything is.
    Nap(Duration),
    /// It is so long that the attempt parks.
    Park(Duration),
}

impl Player {
    pub(crate) fn new(keys: Arc<RunKeys>, marker: Marker, attempt: u32, mut history: History) -> Self {
        let marked = marker.digest();
        for LentCall { call, n, reusable, .. } in std::mem::take(&mut history.lent) {
            let key = call_key(&marked, &args_digest(&keys, &call), n);
            // What an attempt here was answered since is newer.
            history.reusable.entry(key).or_insert(reusable);
        }
        Self {
            seed: keys.seed(marker.step.as_str(), marker.item, attempt),
            clock: history.started,
            to_skip: history.logged,
            ordinal: 0,
            equal_calls: HashMap::new(),
            approval: None,
            performed: None,
            keys,
            marked,
            marker,
            history,
        }
    }

    /// Has the randomness of another attempt, where a test is to come to what that came to.
    pub(crate) fn seeded(self, seed: Option<[u8; 32]>) -> Self {
        Self { seed: seed.unwrap_or(self.seed), ..self }
    }

    /// Gives a call its place, and finds what the journal has there; nothing once the attempt is where it stood.
    ///
    /// # Errors
    /// When the journal has another call there.
    pub(crate) fn ask(&mut self, call: Call) -> Result<(Asked, Option<CameTo>), Divergence> {
        let args = args_digest(&self.keys, &call);
        let n = self.equal_calls.entry(args).or_default();
        *n += 1;
        let key = call_key(&self.marked, &args, *n);
        self.ordinal += 1;
        let asked = Asked { call, args, key };
        match self.history.next() {
            None => Ok((asked, None)),
            Some(recorded) if recorded.ordinal == self.ordinal && recorded.args == args => {
                match &recorded.came_to {
                    CameTo::Returned { at, .. } | CameTo::Denied { at, .. } | CameTo::Asked { at, .. } => {
                        self.seen(*at);
                    }
                    CameTo::Open(intent) => self.seen(intent.at),
                }
                (self.approval, self.performed) = (recorded.approval, recorded.performed);
                Ok((asked, Some(recorded.came_to)))
            }
            Some(recorded) => Err(self.divergence(&recorded, &asked.call)),
        }
    }

    fn divergence(&self, recorded: &RecordedCall, got: &Call) -> Divergence {
        let same = recorded.call.to_string() == got.to_string();
        let show = |call: &Call| if same { format!("{call} {}", call.args) } else { call.to_string() };
        Divergence { ordinal: self.ordinal, expected: show(&recorded.call), got: show(got) }
    }

    /// Whether the guest ended before it had made every recorded call: then it is not what was recorded.
    pub(crate) fn unfinished(&mut self) -> Option<Divergence> {
        let recorded = self.history.next()?;
        self.ordinal += 1;
        let (expected, got) = (recorded.call.to_string(), "the end of the step".to_owned());
        Some(Divergence { ordinal: self.ordinal, expected, got })
    }

    /// What a wait until `until` comes to. The clock is there afterwards, unless the attempt parks.
    ///
    /// Which waits are short is told by the guest's own clock, so that it is the same in every replay.
    pub(crate) fn wait(&mut self, until: Timestamp) -> Wait {
        let wait = until.since(self.clock);
        if wait > LONGEST_NAP {
            let Some(fired) = self.history.fired(self.ordinal) else { return Wait::Park(wait) };
            self.seen(fired);
        }
        let is_replay = !self.history.is_over();
        self.seen(until);
        if wait > LONGEST_NAP || is_replay || wait.is_zero() { Wait::Over } else { Wait::Nap(wait) }
    }

    /// Moves the clock to an event that the guest has seen.
    pub(crate) fn seen(&mut self, at: Timestamp) {
        self.clock = self.clock.max(at);
    }

    /// What the clock shows, without reading it.
    pub(crate) const fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Reads the clock.
    pub(crate) fn now(&mut self) -> Timestamp {
        self.clock = self.clock.after(TICK);
        self.clock
    }

    /// Whether the journal has the next line of log already.
    pub(crate) fn skips_line(&mut self) -> bool {
        let skips = self.to_skip > 0;
        self.to_skip -= u64::from(skips);
        skips
    }

    pub(crate) const fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// The approval that was asked for the last recorded call, or that permitted it.
    pub(crate) const fn approval(&self) -> Option<ApprovalId> {
        self.approval
    }

    /// The last recorded call as it was or is to be made, where people have changed it.
    pub(crate) const fn performed(&self) -> Option<&Call> {
        self.performed.as_ref()
    }

    pub(crate) fn keys(&self) -> &RunKeys {
        &self.keys
    }

    pub(crate) const fn ordinal(&self) -> u32 {
        self.ordinal
    }

    pub(crate) const fn marker(&self) -> &Marker {
        &self.marker
    }

    pub(crate) const fn history(&self) -> &History {
        &self.history
    }
}

/// Keyed digest of function and arguments.
fn args_digest(keys: &RunKeys, call: &Call) -> Digest {
    let arguments = canonical(&call.args).expect("a JSON value has text keys and finite numbers only");
    keys.args().digest(&[call.interface.as_bytes(), call.function.as_bytes(), &arguments])
}

/// (store, run, step, item, operation and arguments, n): equal calls of an attempt differ by n alone. The attempt is not
/// in it, so that a second one finds what the first one did.
pub(crate) fn call_key(marked: &Digest, args: &Digest, n: u64) -> Digest {
    Digest::of_parts(&[b"wflo call key", marked.as_bytes(), args.as_bytes(), &n.to_be_bytes()])
}

impl From<Divergence> for ParkReason {
    fn from(it: Divergence) -> Self {
        Self::Diverged { ordinal: it.ordinal, expected: it.expected, got: it.got }
    }
}
