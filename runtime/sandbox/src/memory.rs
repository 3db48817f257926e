//! The limits of linear memory, tables and instances.

use wasmtime::ResourceLimiter;
use wflo_host_api::Stop;
use wflo_model::Limits;

use crate::fault::LimitHit;

/// Counts the linear memory and the tables of one attempt.
///
/// A guest that asks for more than it may have ends with a fault; it never sees `memory.grow` fail because the
/// host was short of something, which would differ from one run to the next.
pub(crate) struct MemoryLimit {
    limit: u64,
    used: u64,
    peak: u64,
    max_elements: u64,
    elements: u64,
    max_instances: usize,
}

impl MemoryLimit {
    /// `memory` is what the attempt may have of it; `limits` says the rest.
    pub(crate) fn new(memory: u64, limits: &Limits) -> Self {
        Self {
            limit: memory,
            used: 0,
            peak: 0,
            max_elements: limits.tables,
            elements: 0,
            max_instances: usize::try_from(limits.instances).unwrap_or(usize::MAX),
        }
    }

    /// The most bytes of all memories together so far.
    pub(crate) const fn peak(&self) -> u64 {
        self.peak
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add((desired - current) as u64);
        if used > self.limit {
            return Err(LimitHit::Memory { limit: self.limit }.into());
        }
        // Growing past the maximum that the module itself declares is defined to answer -1.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.used = used;
        self.peak = self.peak.max(used);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        if error.downcast_ref::<std::io::Error>().is_some() {
            return Err(Stop::Host(format!("the host has no memory for a guest: {error:#}")).into());
        }
        // What remains asked for more than any memory of its type can have.
        Err(LimitHit::Memory { limit: self.limit }.into())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = self.elements.saturating_add((desired - current) as u64);
        if elements > self.max_elements {
            return Err(LimitHit::Tables { limit: self.max_elements }.into());
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.elements = elements;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        // The pool's tables are smaller than what this guest may have of them: to it, that is its limit.
        Err(LimitHit::Tables { limit: self.max_elements }.into())
    }

    fn instances(&self) -> usize {
        self.max_instances
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::{Engine, Instance, Module, ResourceLimiter, Store};

    use super::{LimitHit, Limits, MemoryLimit};

    fn limit(memory: u64) -> MemoryLimit {
        MemoryLimit::new(memory, &Limits { tables: 1_500, ..Limits::default() })
    }

    /// Calls `grow` of a module; its answer, or the limit it hit.
    fn grow(text: &str, memory: u64) -> Result<i32, LimitHit> {
        let engine = Engine::default();
        let module = Module::new(&engine, text).unwrap();
        let mut store = Store::new(&engine, limit(memory));
        store.limiter(|memory| memory);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let grow = instance.get_typed_func::<(), i32>(&mut store, "grow").unwrap();
        grow.call(&mut store, ()).map_err(|error| error.downcast().expect("only a limit stops it"))
    }

    #[test]
    fn a_table_bomb_is_stopped() {
        let bomb = |more: u32| {
            format!(
                "(module (table 1 funcref) (func (export \"grow\") (result i32)
                    (table.grow (ref.null func) (i32.const {more}))))"
            )
        };
        assert_eq!(grow(&bomb(1000), 0).unwrap(), 1);
        assert!(matches!(grow(&bomb(1_500), 0), Err(LimitHit::Tables { limit: 1_500 })));
        assert!(matches!(grow(&bomb(u32::MAX >> 1), 0), Err(LimitHit::Tables { .. })));
    }

    #[test]
    fn all_tables_count_together() {
        let mut limit = limit(0);
        assert!(limit.table_growing(0, 1_000, None).unwrap());
        assert!(!limit.table_growing(0, 400, Some(300)).unwrap());
        assert!(limit.table_growing(0, 500, None).unwrap());
        let error = limit.table_growing(500, 501, None).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(LimitHit::Tables { limit: 1_500 })));
    }

    #[test]
    fn more_than_any_memory_can_have_is_a_fault() {
        let text = "(module (memory 1) (func (export \"grow\") (result i32) (memory.grow (i32.const -1))))";
        assert!(matches!(grow(text, 1 << 20), Err(LimitHit::Memory { limit: 1_048_576 })));
        let declared =
            "(module (memory 1 2) (func (export \"grow\") (result i32) (memory.grow (i32.const 5))))";
        assert_eq!(grow(declared, 1 << 30).unwrap(), -1);
    }

    #[test]
    fn all_memories_count_together() {
        let mut memory = limit(100);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        let error = memory.memory_growing(40, 41, None).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(LimitHit::Memory { limit: 100 })));
        assert_eq!(memory.peak(), 100);
    }

    #[test]
    fn a_modules_own_maximum_is_no_fault() {
        assert!(!limit(100).memory_growing(0, 80, Some(70)).unwrap());
    }
}
