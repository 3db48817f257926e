//! The limit of linear memory and tables.

use wasmtime::ResourceLimiter;
use wflo_host_api::Stop;

use crate::config::TABLE_ELEMENTS;
use crate::fault::LimitHit;

/// Counts the linear memory of one attempt.
///
/// A guest that asks for more than it may have ends with a fault; it never sees `memory.grow` fail because the
/// host was short of something, which would differ from one run to the next.
pub(crate) struct MemoryLimit {
    limit: u64,
    used: u64,
    peak: u64,
}

impl MemoryLimit {
    pub(crate) const fn new(limit: u64) -> Self {
        Self { limit, used: 0, peak: 0 }
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
        // Growing past the maximum that the module itself declares is defined to answer -1.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let used = self.used.saturating_add((desired - current) as u64);
        if used > self.limit {
            return Err(LimitHit::Memory { limit: self.limit }.into());
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
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            return Err(LimitHit::Table.into());
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::ResourceLimiter;

    use super::{LimitHit, MemoryLimit};

    #[test]
    fn all_memories_count_together() {
        let mut memory = MemoryLimit::new(100);
        assert!(memory.memory_growing(0, 60, None).unwrap());
        assert!(memory.memory_growing(0, 40, None).unwrap());
        let error = memory.memory_growing(40, 41, None).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(LimitHit::Memory { limit: 100 })));
        assert_eq!(memory.peak(), 100);
    }

    #[test]
    fn a_modules_own_maximum_is_no_fault() {
        assert!(!MemoryLimit::new(100).memory_growing(0, 80, Some(70)).unwrap());
    }
}
