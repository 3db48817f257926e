//! Writing a run: giving events their places in the chain.

use std::sync::Arc;

use wflo_model::{Digest, RunId, StepName, Timestamp};

use crate::blobs::BlobName;
use crate::error::AppendError;
use crate::journal::Shared;
use crate::outbox::OutboxEntry;
use crate::places::KnownPlaces;
use crate::record::{BodyForm, CHECKSUM, ChainState, EventRecord, Header, WRAPPED_KEY};
use crate::run_keys::RunKeys;
use crate::seal::{NONCE, OVERHEAD};
use crate::store::{Append, Barrier, Debit, MAX_APPEND, MAX_VALUE, Ticket};

/// Largest body of an event in bytes.
pub const MAX_BODY: usize = 64 << 20;
/// Largest summary of a run in bytes.
pub const MAX_SUMMARY: usize = 3072;
/// Bytes of a salt.
const SALT: usize = 32;

/// An event before it has its place.
///
/// ```
/// use wflo_journal::Draft;
/// use wflo_model::Timestamp;
/// let mut draft = Draft::new(Timestamp::from_micros(1), 3, b"body".to_vec());
/// draft.step = Some("analyze".parse().unwrap());
/// draft.attempt = 1;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// When; the event before it may push it later.
    pub time: Timestamp,
    /// What kind of event.
    pub kind: u16,
    /// The step it belongs to.
    pub step: Option<StepName>,
    /// The item, where the step fans out.
    pub item: Option<u32>,
    /// The attempt it belongs to; 0 where it belongs to none.
    pub attempt: u32,
    /// The number of the call within the attempt; 0 where it is none.
    pub ordinal: u32,
    /// What it says; sealed at rest.
    pub body: Vec<u8>,
}

impl Draft {
    /// An event of the run itself; set the other fields for one of a step.
    #[must_use]
    pub const fn new(time: Timestamp, kind: u16, body: Vec<u8>) -> Self {
        Self { time, kind, step: None, item: None, attempt: 0, ordinal: 0, body }
    }
}

/// What may change together with an append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// A new summary, [`MAX_SUMMARY`] bytes at most. Not sealed: whoever has the store can read it.
    pub summary: Option<Vec<u8>>,
    /// A new timer: `None` leaves it as it is, `Some(None)` takes it away.
    pub due: Option<Option<Timestamp>>,
    /// Whether the run has ended: what [`crate::Journal::unfinished`] leaves out. `None` leaves it as it is.
    pub ended: Option<bool>,
    /// What waits to leave because of the events.
    pub outbox: Vec<OutboxEntry>,
    /// What the events mean for accounts above the run.
    pub debits: Vec<Debit>,
}

/// What came of [`RunWriter::append`].
#[derive(Clone, Debug)]
#[must_use = "the events are durable only when the ticket says so"]
pub struct Appended {
    /// The headers, in the order of the drafts.
    pub headers: Vec<Header>,
    /// Waits for durability; may be dropped.
    pub ticket: Ticket,
}

/// The one writer of a run. Once another has claimed the run, every append of this one is
/// [`AppendError::Fenced`].
pub struct RunWriter {
    shared: Arc<Shared>,
    place: Place,
    fence: u64,
    keys: Arc<RunKeys>,
    wrapped: [u8; WRAPPED_KEY],
    summary: Vec<u8>,
    /// The newest append, whose failure is that of all after it.
    last: Option<Ticket>,
    places: KnownPlaces,
    /// Until when it is noted that the run moves; see [`crate::tree`].
    noted: u64,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) run: RunId,
    pub(crate) head: u64,
    pub(crate) hash: Digest,
    pub(crate) time: Timestamp,
}

impl RunWriter {
    pub(crate) fn new(
        shared: Arc<Shared>,
        run: RunId,
        head: u64,
        fence: u64,
        key: &[u8; 32],
        wrapped: [u8; WRAPPED_KEY],
        state: ChainState,
    ) -> Self {
        let ChainState { hash, time, summary, .. } = state;
        let place = Place { run, head, hash, time };
        Self {
            shared,
            place,
            fence,
            keys: Arc::new(RunKeys::new(key)),
            wrapped,
            summary,
            last: None,
            places: KnownPlaces::default(),
            noted: 0,
        }
    }

    pub(crate) fn resume(
        made: Sealer,
        fence: u64,
        wrapped: [u8; WRAPPED_KEY],
        summary: Vec<u8>,
        places: KnownPlaces,
    ) -> Self {
        let Sealer { shared, keys, place } = made;
        Self { shared, place, fence, keys, wrapped, summary, last: None, places, noted: 0 }
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.place.run
    }

    /// The newest event, durable or not.
    #[must_use]
    pub const fn head(&self) -> u64 {
        self.place.head
    }

    /// The time of the newest event.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.place.time
    }

    /// The number of this writer.
    #[must_use]
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// The summary as the newest append leaves it.
    #[must_use]
    pub fn summary(&self) -> &[u8] {
        &self.summary
    }

    /// The keys of the run.
    #[must_use]
    pub const fn keys(&self) -> &Arc<RunKeys> {
        &self.keys
    }

    /// Gives the drafts their places in the chain and hands them to the store, in order, without waiting: all of
    /// them and the extras land, or nothing does. Many appends may be under way; if one fails, all after it do.
    ///
    /// The commit point is the store's sync, after which the ticket is answered. Drafts may be none.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`] and [`AppendError::NoEntropy`] leave the writer as it was. Other errors are those
    /// of an earlier append, as far as they are known by now; the ticket has the rest.
    pub fn append(&mut self, drafts: Vec<Draft>, extras: Extras) -> Result<Appended, AppendError> {
        if let Some(Err(error)) = self.last.as_ref().and_then(Ticket::now) {
            return Err(error);
        }
        let summary = extras.summary.as_ref().unwrap_or(&self.summary);
        check_summary(summary)?;
        let mut sealer =
            Sealer { shared: Arc::clone(&self.shared), keys: Arc::clone(&self.keys), place: self.place };
        let sealed = sealer.seal(self.fence, drafts)?;
        let outbox = self.shared.seal_outbox(extras.outbox)?;
        let state = ChainState::encode(&sealer.place.hash, sealer.place.time, &self.wrapped, summary);
        let append = Append {
            run: self.place.run,
            fence: self.fence,
            expected: self.place.head,
            events: sealed.events,
            state,
            due: extras.due,
            ended: extras.ended,
            touched: self.places.touch(&sealed.headers),
            outbox,
            debits: extras.debits,
            after: sealed.blobs,
        };
        let store = &*self.shared.store;
        let submit = || store.submit(append);
        let ticket = self.shared.moved.submitting(self.place.run, &mut self.noted, store, submit);
        self.place = sealer.place;
        if let Some(summary) = extras.summary {
            self.summary = summary;
        }
        self.last = Some(ticket.clone());
        Ok(Appended { headers: sealed.headers, ticket })
    }
}

impl std::fmt::Debug for RunWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunWriter")
            .field("place", &self.place)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

/// Chains and seals drafts.
pub(crate) struct Sealer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) keys: Arc<RunKeys>,
    pub(crate) place: Place,
}

/// Events as a store takes them.
pub(crate) struct Sealed {
    pub(crate) headers: Vec<Header>,
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) blobs: Vec<Barrier>,
}

impl Sealer {
    /// Moves the place on by the drafts. Nothing is begun where it gives an error.
    pub(crate) fn seal(&mut self, fence: u64, drafts: Vec<Draft>) -> Result<Sealed, AppendError> {
        for draft in &drafts {
            check("the body of an event", draft.body.len(), MAX_BODY)?;
        }
        // One call for all: salt, nonce, and a second nonce where the body goes to a blob.
        const EACH: usize = SALT + NONCE + NONCE;
        let mut random = vec![0; EACH * drafts.len()];
        self.shared.entropy.fill(&mut random)?;

        let mut place = self.place;
        let mut headers = Vec::with_capacity(drafts.len());
        let mut events = Vec::with_capacity(drafts.len());
        let mut large = Vec::new();
        for (draft, random) in drafts.into_iter().zip(random.chunks_exact(EACH)) {
            let (salt, nonces) = random.split_first_chunk::<SALT>().expect("the chunk holds a salt");
            let (nonce, blob_nonce) =
                nonces.split_first_chunk::<NONCE>().expect("the chunk holds two nonces");
            let Draft { time, kind, step, item, attempt, ordinal, body } = draft;
            let header = Header {
                run: place.run,
                seq: place.head + 1,
                fence,
                time: time.max(place.time),
                kind,
                step,
                item,
                attempt,
                ordinal,
                commitment: Header::commit(salt, &body),
                prev: place.hash,
            };
            let encoded = header.encode();
            place.head = header.seq;
            place.time = header.time;
            place.hash = Header::hash_encoded(&encoded);
            headers.push(header);
            let inline = 4 + encoded.len() + OVERHEAD + SALT + body.len() + CHECKSUM;
            if inline <= MAX_VALUE {
                // Room for the checksum too, so that the record is never moved.
                let capacity = OVERHEAD + SALT + body.len() + CHECKSUM;
                let mut event = EventRecord::prefix(&encoded, BodyForm::Inline, capacity);
                self.keys.seal().seal_onto(&mut event, nonce, &[salt, &body]);
                events.push(event);
            } else {
                let name = self.keys.blob_name(&body);
                let mut event =
                    EventRecord::prefix(&encoded, BodyForm::Blob(name), OVERHEAD + SALT + CHECKSUM);
                self.keys.seal().seal_onto(&mut event, nonce, &[salt]);
                events.push(event);
                let blob_nonce = blob_nonce.try_into().expect("the rest of the chunk is a nonce");
                large.push((name, body, blob_nonce));
            }
        }
        check("an append", events.iter().map(Vec::len).sum(), MAX_APPEND)?;
        let blobs = large.into_iter().map(|(name, body, nonce)| self.put_blob(name, &body, &nonce)).collect();
        self.place = place;
        Ok(Sealed { headers, events, blobs })
    }

    fn put_blob(&self, name: Digest, body: &[u8], nonce: &[u8; NONCE]) -> Barrier {
        let content = self.keys.seal().seal(&blob_bound(self.place.run, &name), nonce, body);
        self.shared.blobs.put(BlobName::Run(self.place.run, name), content)
    }
}

/// What a blob's seal binds: its run and its name. Not its event, for several may share it.
pub(crate) fn blob_bound(run: RunId, name: &Digest) -> Vec<u8> {
    [b"wflo blob v1\0", &run.as_bytes()[..], name.as_bytes()].concat()
}

pub(crate) fn check(what: &'static str, size: usize, limit: usize) -> Result<(), AppendError> {
    if size > limit { Err(AppendError::TooLarge { what, size, limit }) } else { Ok(()) }
}

pub(crate) fn check_summary(summary: &[u8]) -> Result<(), AppendError> {
    check("the summary of a run", summary.len(), MAX_SUMMARY)
}
