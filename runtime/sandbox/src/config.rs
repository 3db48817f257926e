//! How wasmtime is set up.

use std::path::PathBuf;

use wasmtime::{Config, PoolingAllocationConfig};

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
}

impl Default for SandboxConfig {
    /// No cache, 64 instances of at most 512 MiB.
    fn default() -> Self {
        Self { cache_dir: None, instances: 64, max_memory: 512 << 20 }
    }
}

/// Elements that all tables of a guest may have each. Far above what compilers emit (Python: 5,672), and a
/// bound on what a guest can make the host allocate.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// Core instances a component may consist of. Python components have 14.
const CORE_INSTANCES: u32 = 20;
/// Memories a component may have: its own and one of an adapter.
const MEMORIES: u32 = 2;
/// Tables a component may have. Everything seen so far has 2.
const TABLES: u32 = 8;

impl SandboxConfig {
    /// The engine's settings. Those that decide what a guest computes must never depend on the machine.
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

        let mut config = Config::new();
        config
            .wasm_component_model(true)
            .allocation_strategy(pool)
            // Less than wasm's 4 GiB, so that the pool fits where address space is limited.
            .memory_reservation(self.max_memory)
            .consume_fuel(true)
            .epoch_interruption(true)
            // The same bits on every machine and in every replay.
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true);
        config
    }
}
