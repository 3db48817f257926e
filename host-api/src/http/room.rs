//! What the host keeps of requests that a guest puts together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wflo_model::{Fault, FaultKind, LimitName};

use crate::Stop;

/// The bytes that the headers and bodies of all requests of an attempt may have, before they are handed over: the memory
/// is the host's, and a guest that cannot have more of its own could fill that instead.
///
/// ```
/// use wflo_host_api::HttpRoom;
/// let room = HttpRoom::new(64 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct HttpRoom(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: u64,
    taken: AtomicU64,
}

impl HttpRoom {
    /// Room for so many bytes, which are the attempt's [`Limits::memory`](wflo_model::Limits::memory).
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Inner { limit, taken: AtomicU64::new(0) }))
    }

    /// Takes room for `bytes`.
    ///
    /// # Errors
    /// As [`Held::resize`].
    pub(super) fn hold(&self, bytes: usize) -> Result<Held, Stop> {
        let mut held = Held { room: Some(self.clone()), bytes: 0 };
        held.resize(bytes)?;
        Ok(held)
    }
}

/// Room that something takes while it is there; none for what is gone before the guest goes on.
#[derive(Debug, Default)]
pub(super) struct Held {
    room: Option<HttpRoom>,
    bytes: u64,
}

impl Held {
    /// Takes room for so many bytes instead.
    ///
    /// # Errors
    /// [`Stop::Fault`] where there is not so much.
    pub(super) fn resize(&mut self, bytes: usize) -> Result<(), Stop> {
        let Some(HttpRoom(room)) = &self.room else { return Ok(()) };
        let bytes = bytes as u64;
        // A store has one thread at a time; the order of others is nothing to it.
        room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
        let taken = room.taken.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if taken <= room.limit {
            return Ok(());
        }
        let (limit, name) = (room.limit, LimitName::Memory);
        let message = format!("more than {limit} bytes of requests that were not handed over (`{name}`)");
        Err(Stop::Fault(Fault { kind: FaultKind::OutOfMemory, message }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(HttpRoom(room)) = &self.room {
            room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, HttpRoom, Stop};

    #[test]
    fn what_is_dropped_makes_room() {
        let room = HttpRoom::new(10);
        let mut one = room.hold(4).unwrap();
        let two = room.hold(6).unwrap();
        let Err(Stop::Fault(fault)) = one.resize(5) else { panic!("there is no more room") };
        assert_eq!(
            fault.to_string(),
            "out_of_memory: more than 10 bytes of requests that were not handed over (`memory`)"
        );
        one.resize(4).unwrap();
        drop(two);
        one.resize(10).unwrap();
        assert!(room.hold(1).is_err());
        drop(one);
        room.hold(10).unwrap();
        Held::default().resize(usize::MAX).unwrap();
    }
}
