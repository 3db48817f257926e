//! How wasmtime is set up.

use std::path::PathBuf;

use wasmtime::{Config, Enabled, PoolingAllocationConfig};
use wflo_model::Limits;

use crate::compiler::CodeSettings;

/// What a deployment may choose about its sandbox.
///
/// ```
/// use wflo_sandbox::SandboxConfig;
/// let config = SandboxConfig { instances: 8, ..SandboxConfig::default() };
/// assert_eq!(config.cache_dir, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Where compiled code is kept; none compiles anew in each process. The folder is made, for its owner alone:
    /// what is in it is loaded as native code.
    pub cache_dir: Option<PathBuf>,
    /// Instances alive at the same time; further attempts wait for their turn.
    pub instances: u32,
    /// Most bytes of linear memory an instance can ever have, whatever its limits say. Address space is
    /// reserved for twice this for every instance, memory is not.
    pub max_memory: u64,
    /// Bytes of wasm's own stack. It is the same for all instances; the stack that Rust and C keep in linear memory
    /// counts as memory.
    pub stack: usize,
    /// Most bytes of compiled code that are kept; what was not used for longest goes first.
    pub cache_bytes: u64,
}

impl Default for SandboxConfig {
    /// No cache, 64 instances of at most 512 MiB with a stack of 512 KiB each; 1 GiB of code where there is a cache.
    fn default() -> Self {
        Self {
            cache_dir: None,
            instances: 64,
            max_memory: Limits::MOST_MEMORY,
            stack: 512 << 10,
            cache_bytes: 1 << 30,
        }
    }
}

/// Elements that each table of the pool has room for: as many as a step may have at most.
const TABLE_ELEMENTS: usize = 100_000;
/// Core instances that the pool has room for in a component: as many as a step may have at most.
const CORE_INSTANCES: u32 = 20;
/// Stack of a host call.
const HOST_STACK: usize = 1536 << 10;
/// Memories a component may have: its own and one of an adapter.
const MEMORIES: u32 = 2;
/// Tables a component may have. Everything seen so far has 2.
const TABLES: u32 = 8;
/// Bytes of a memory or table that stay with its slot, reset, when an attempt has ended: what most guests write.
const KEEP_RESIDENT: usize = 256 << 10;

impl SandboxConfig {
    /// What compiled code depends on.
    #[must_use]
    pub const fn code(&self) -> CodeSettings {
        CodeSettings { max_memory: self.max_memory }
    }

    /// The engine's settings: what its code depends on, and what it does not.
    pub(crate) fn engine(&self) -> Config {
        let memory = usize::try_from(self.max_memory).unwrap_or(usize::MAX);
        let mut pool = PoolingAllocationConfig::new();
        // With the semaphore in front, these totals let every component that loads be instantiated at once.
        pool.total_component_instances(self.instances)
            .total_stacks(self.instances)
            .total_core_instances(self.instances.saturating_mul(CORE_INSTANCES))
            .total_memories(self.instances.saturating_mul(MEMORIES))
            .total_tables(self.instances.saturating_mul(TABLES))
            .max_core_instances_per_component(CORE_INSTANCES)
            .max_memories_per_component(MEMORIES)
            .max_tables_per_component(TABLES)
            .table_elements(TABLE_ELEMENTS)
            .max_memory_size(memory);
        // Giving memory back to the system after each attempt interrupts every other core, and the next attempt faults
        // it in again page by page. Where the system tells which pages were written, those alone are reset in place.
        if PoolingAllocationConfig::is_pagemap_scan_available() {
            pool.pagemap_scan(Enabled::Auto)
                .linear_memory_keep_resident(KEEP_RESIDENT)
                .table_keep_resident(KEEP_RESIDENT);
        }

        let mut config = self.code().config();
        config
            .allocation_strategy(pool)
            .max_wasm_stack(self.stack)
            // What host calls need of it lies above wasm's.
            .async_stack_size(self.stack.saturating_add(HOST_STACK));
        config
    }
}
