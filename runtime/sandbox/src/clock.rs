//! The virtual clocks, and a `poll` that waits by them.
//!
//! Both clocks are the gate's: the wall clock shows its time, the monotonic one the same instant as nanoseconds
//! since 1970. A timer is ready when that clock has passed it. `poll` gives what is ready in the order of its
//! arguments; where nothing is, it lets the gate sleep until the earliest timer and gives the timers then due. While
//! requests are under way the gate waits for them too, and tells of one at a time: whatever that makes ready is given.
//! Live, the gate really waits; in replay it returns at once; and the guest cannot tell.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};
use wflo_host_api::{Gate, Stop, UnderWay};
use wflo_model::{Fault, FaultKind, Timestamp};

use crate::metered::Metered;
use crate::state::State;

/// Puts these clocks in place of wasmtime's, which are real.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    wall_clock::add_to_linker::<State, HasClock>(linker, State::clock)?;
    monotonic_clock::add_to_linker::<State, HasClock>(linker, State::clock)?;
    poll::add_to_linker::<State, HasClock>(linker, State::clock)?;
    linker.allow_shadowing(false);
    Ok(())
}

struct HasClock;

impl HasData for HasClock {
    type Data<'a> = Clock<'a>;
}

/// Timers that a guest holds, by the number of their pollable.
pub(crate) type Timers = BTreeMap<u32, Timestamp>;

/// What the clocks work on.
pub(crate) struct Clock<'a> {
    pub(crate) gate: &'a mut Metered,
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) timers: &'a mut Timers,
    pub(crate) under_way: &'a mut UnderWay,
}

/// One reading moves the gate's clock by this much.
const RESOLUTION: Duration = Duration::from_micros(1);

fn nanos(at: Timestamp) -> u64 {
    at.micros().saturating_mul(1000)
}

impl wall_clock::Host for Clock<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(Duration::from_micros(self.gate.now().micros())))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(RESOLUTION))
    }
}

fn datetime(since_epoch: Duration) -> wall_clock::Datetime {
    wall_clock::Datetime { seconds: since_epoch.as_secs(), nanoseconds: since_epoch.subsec_nanos() }
}

impl monotonic_clock::Host for Clock<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(nanos(self.gate.now()))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(nanos(Timestamp::default().after(RESOLUTION)))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.timer(Timestamp::from_micros(when.div_ceil(1000)))
    }

    fn subscribe_duration(&mut self, duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let at = self.gate.now().after(Duration::from_micros(duration.div_ceil(1000)));
        self.timer(at)
    }
}

/// A timer in the guest's table. Whether it is due is asked of [`Timers`], never of this.
struct Timer;

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        std::future::pending().await
    }
}

impl Clock<'_> {
    fn timer(&mut self, at: Timestamp) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = self.table.push(Timer)?;
        let pollable = subscribe(self.table, timer)?;
        self.timers.insert(pollable.rep(), at);
        Ok(pollable)
    }

    async fn is_ready(&mut self, pollable: u32, now: Timestamp) -> wasmtime::Result<bool> {
        match self.timers.get(&pollable) {
            Some(at) => Ok(*at <= now),
            None => poll::HostPollable::ready(self.table, Resource::new_borrow(pollable)).await,
        }
    }

    /// Positions of those that are ready at `now`.
    async fn ready_at(&mut self, pollables: &[u32], now: Timestamp) -> wasmtime::Result<Vec<u32>> {
        let mut ready = Vec::new();
        for (position, pollable) in (0..).zip(pollables) {
            if self.is_ready(*pollable, now).await? {
                ready.push(position);
            }
        }
        Ok(ready)
    }
}

impl Clock<'_> {
    /// Waits until something of `pollables` is ready, and gives the positions of what then is.
    async fn wait(&mut self, pollables: &[u32]) -> wasmtime::Result<Vec<u32>> {
        let now = self.gate.now();
        let mut ready = self.ready_at(pollables, now).await?;
        let earliest = pollables.iter().filter_map(|number| self.timers.get(number)).min().copied();
        while ready.is_empty() {
            // What comes is told in the order in which it came, whether it is waited for here or not.
            if !self.under_way.is_empty()
                && let Some(arrival) = self.gate.arrival(earliest).await?
            {
                self.under_way.arrived(self.gate, arrival)?;
                let now = self.gate.now();
                ready = self.ready_at(pollables, now).await?;
                continue;
            }
            let Some(earliest) = earliest else { return Err(nothing_comes().into()) };
            self.gate.sleep(earliest).await?;
            ready = self.ready_at(pollables, earliest).await?;
        }
        Ok(ready)
    }
}

impl poll::Host for Clock<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        // The guest's mistake, for which wasmtime has the words.
        if pollables.is_empty() {
            return poll::Host::poll(self.table, pollables).await;
        }
        let numbers: Vec<u32> = pollables.iter().map(Resource::rep).collect();
        self.wait(&numbers).await
    }
}

impl poll::HostPollable for Clock<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let now = self.gate.now();
        self.is_ready(pollable.rep(), now).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        let number = pollable.rep();
        // Only a timer needs the clock to be read.
        if !self.timers.contains_key(&number) && self.is_ready(number, Timestamp::default()).await? {
            return Ok(());
        }
        self.wait(&[number]).await.map(|_| ())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.timers.remove(&pollable.rep());
        poll::HostPollable::drop(self.table, pollable)
    }
}

/// The end of a guest that waits for what only itself could bring about: the response to a request whose body it
/// has not finished. Everything else of the virtual world is ready, or a timer.
fn nothing_comes() -> Stop {
    let message =
        "waits for a response to a request whose body is not finished, and for nothing else".to_owned();
    Stop::Fault(Fault { kind: FaultKind::Trap, message })
}

/// A clock that stands still, for whatever part of wasmtime-wasi asks its own context for the time.
pub(crate) struct Stopped;

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1000
    }

    fn now(&self) -> u64 {
        0
    }
}
