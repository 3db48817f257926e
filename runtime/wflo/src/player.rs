//! Replay: the calls of an attempt held against its journal, one after another.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use wflo_engine::ParkReason;
use wflo_host_api::Arrival;
use wflo_journal::RunKeys;
use wflo_model::{ApprovalId, Call, CallResult, Digest, Timestamp, canonical_json};
use wflo_ports::Marker;

use crate::history::{Arrived, CameTo, History, LentCall, RecordedCall};

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
    /// How often each call was made. A tree: it grows by small pieces, where a table of thousands is moved whole.
    equal_calls: BTreeMap<Digest, u64>,
    to_skip: u64,
    /// The approval of the last recorded call.
    approval: Option<ApprovalId>,
    /// The last recorded call as it was or is to be made, where people have changed it.
    performed: Option<Call>,
    /// What the recorded calls came to that the guest has begun and was not told of yet.
    begun: HashMap<u32, CallResult>,
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

/// A call that has been given its place, and what the journal has there.
pub(crate) struct Found {
    pub(crate) asked: Asked,
    pub(crate) came_to: Option<CameTo>,
    /// Whether the guest is told that where it waits, and not at once.
    pub(crate) arrives: bool,
}

/// What a guest is told that waits for the calls it has begun.
pub(crate) enum Next {
    /// What one of them came to.
    Came(Arrival),
    /// That its timer is due.
    Woke,
    /// The journal says no more.
    Live,
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
            equal_calls: BTreeMap::new(),
            approval: None,
            performed: None,
            begun: HashMap::new(),
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
        let found = self.begin(call)?;
        match (&found.came_to, self.history.peek()) {
            (None, Some(later)) => Err(self.divergence(later, &found.asked.call)),
            _ => Ok((found.asked, found.came_to)),
        }
    }

    /// As [`ask`](Self::ask), for a call that may be under way beside its guest: where the journal does not have it, and
    /// has what the guest did after it, it was cut off.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask).
    pub(crate) fn begin(&mut self, call: Call) -> Result<Found, Divergence> {
        let args = args_digest(&self.keys, &call);
        let n = self.equal_calls.entry(args).or_default();
        *n += 1;
        let key = call_key(&self.marked, &args, *n);
        self.ordinal += 1;
        let asked = Asked { call, args, key };
        match self.history.take_call(self.ordinal) {
            None => Ok(Found { asked, came_to: None, arrives: false }),
            Some(recorded) if recorded.args == args => {
                let told = match &recorded.came_to {
                    _ if recorded.arrives => recorded.began,
                    CameTo::Returned { at, .. } | CameTo::Denied { at, .. } | CameTo::Asked { at, .. } => {
                        Some(*at)
                    }
                    CameTo::Open(_) => recorded.began,
                };
                if let Some(at) = told {
                    self.seen(at);
                }
                if recorded.is_given_up {
                    return Ok(Found { asked, came_to: None, arrives: false });
                }
                if recorded.arrives
                    && let Some(result) = recorded.came_to.result()
                {
                    self.begun.insert(self.ordinal, result);
                }
                (self.approval, self.performed) = (recorded.approval, recorded.performed);
                Ok(Found { asked, came_to: Some(recorded.came_to), arrives: recorded.arrives })
            }
            Some(recorded) => Err(self.divergence(&recorded, &asked.call)),
        }
    }

    /// What the guest is told next where it waits for the calls it has begun, and no longer than `until`.
    ///
    /// # Errors
    /// When the journal has it that it was told something else there.
    pub(crate) fn arrival(&mut self, until: Option<Timestamp>) -> Result<Next, Divergence> {
        let wait = |until: Option<Timestamp>| match until {
            Some(until) => format!("a wait until {until}"),
            None => "a wait for its calls".to_owned(),
        };
        let differs = |expected| Divergence { ordinal: self.ordinal, expected, got: wait(until) };
        match self.history.arrival() {
            None => Ok(Next::Live),
            Some(Arrived::Call { ordinal: call, at }) => {
                let Some(result) = self.begun.remove(&call) else {
                    return Err(differs(format!("call {call} to be made")));
                };
                self.history.next_arrival();
                self.seen(at);
                Ok(Next::Came(Arrival { call, result }))
            }
            Some(Arrived::Woke { until: recorded, at }) if until == Some(recorded) => {
                self.history.next_arrival();
                self.seen(at);
                self.seen(recorded);
                Ok(Next::Woke)
            }
            Some(Arrived::Woke { until: recorded, .. }) => Err(differs(wait(Some(recorded)))),
        }
    }

    fn divergence(&self, recorded: &RecordedCall, got: &Call) -> Divergence {
        let same = recorded.call.to_string() == got.to_string();
        let show = |call: &Call| if same { format!("{call} {}", call.args) } else { call.to_string() };
        Divergence { ordinal: self.ordinal, expected: show(&recorded.call), got: show(got) }
    }

    /// Whether the guest ended before it had made every recorded call: then it is not what was recorded.
    pub(crate) fn unfinished(&mut self) -> Option<Divergence> {
        let recorded = self.history.peek()?;
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

    /// Has the clock show what it showed before: what has been written since, the guest has not seen.
    pub(crate) const fn set_back(&mut self, clock: Timestamp) {
        self.clock = clock;
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
    let arguments = canonical_json(&call.args);
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
