//! What the store of one attempt holds.

use std::fmt;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wflo_host_api::{ArtifactView, FilesView, Gate, HostView, HttpRoom, HttpView, UnderWay};
use wflo_model::Limits;

use crate::clock::{Clock, Stopped, Timers};
use crate::memory::MemoryLimit;
use crate::metered::Metered;
use crate::output::{Output, SharedOutput, Stream};
use crate::random;

/// Handles that a guest may hold on streams, pollables and the like.
pub(crate) const HANDLES: usize = 10_000;

/// The data of a guest's store. To an interface that the host brings itself it is a [`HostView`], and so the way to
/// the gate.
pub struct State {
    pub(crate) gate: Metered,
    pub(crate) memory: MemoryLimit,
    pub(crate) output: SharedOutput,
    describing: bool,
    http_body: u64,
    wasi: WasiCtx,
    table: ResourceTable,
    timers: Timers,
    under_way: UnderWay,
    http_room: HttpRoom,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    /// The state of an attempt that begins. `memory` is what it may have of it.
    pub(crate) fn new(gate: Box<dyn Gate>, limits: &Limits, memory: u64, describing: bool) -> Self {
        let output = Output::shared(limits.log);
        let mut wasi = WasiCtx::builder();
        // Everything else a builder gives is nothing: no arguments, environment, files, stdin or network.
        wasi.stdout(output.stream(Stream::Stdout))
            .stderr(output.stream(Stream::Stderr))
            .wall_clock(Stopped)
            .monotonic_clock(Stopped)
            .max_random_size(limits.call_bytes)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        random::seed(&mut wasi, gate.seed());
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            gate: Metered::new(gate, output.clone(), limits),
            memory: MemoryLimit::new(memory, limits),
            output,
            describing,
            http_body: limits.http_body(),
            wasi: wasi.build(),
            table,
            timers: Timers::new(),
            under_way: UnderWay::default(),
            http_room: HttpRoom::new(memory),
        }
    }

    pub(crate) fn clock(&mut self) -> Clock<'_> {
        let Self { gate, table, timers, under_way, .. } = self;
        Clock { gate, table, timers, under_way }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl HostView for State {
    fn gate(&mut self) -> Option<&mut dyn Gate> {
        (!self.describing).then_some(&mut self.gate)
    }

    fn files(&mut self) -> FilesView<'_> {
        let gate = (!self.describing).then_some(&mut self.gate as &mut dyn Gate);
        FilesView { gate, table: &mut self.table }
    }

    fn artifacts(&mut self) -> ArtifactView<'_> {
        let gate = (!self.describing).then_some(&mut self.gate as &mut dyn Gate);
        ArtifactView { gate, table: &mut self.table }
    }

    fn http(&mut self) -> HttpView<'_> {
        let gate = (!self.describing).then_some(&mut self.gate as &mut dyn Gate);
        let (table, under_way) = (&mut self.table, &mut self.under_way);
        HttpView { gate, table, under_way, body_limit: self.http_body, room: &self.http_room }
    }
}
