//! What cannot be gone below: the disk's own sync, and wasmtime's own instance.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, Store};
use wflo_host_api::StepPre;

use crate::meter::us;

/// The disk alone: appends of 4 KiB, each synced.
pub(crate) struct Disk(File);

impl Disk {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Ok(Self(File::create(folder.join("floor"))?))
    }

    /// How long so many syncs take, each, in microseconds.
    pub(crate) fn syncs(&mut self, times: usize) -> Result<Vec<f64>> {
        let sync = |_| {
            self.0.write_all(&[7; 4096])?;
            let start = Instant::now();
            self.0.sync_data()?;
            Ok(us(start.elapsed()))
        };
        (0..times).map(sync).collect()
    }
}

/// wasmtime alone: a store, an instance from the pool, one call, and all of it dropped.
pub(crate) struct Instance {
    engine: Engine,
    pre: StepPre<()>,
}

impl Instance {
    pub(crate) fn new(component: &[u8]) -> Result<Self> {
        Self::make(component).map_err(|error| anyhow::anyhow!("wasmtime: {error:#}"))
    }

    fn make(component: &[u8]) -> wasmtime::Result<Self> {
        let mut config = Config::new();
        let mut pool = PoolingAllocationConfig::new();
        // At its best, as the sandbox has it: what was written is reset in place and stays with the slot.
        if PoolingAllocationConfig::is_pagemap_scan_available() {
            pool.pagemap_scan(Enabled::Auto)
                .linear_memory_keep_resident(256 << 10)
                .table_keep_resident(256 << 10);
        }
        config.allocation_strategy(pool);
        let engine = Engine::new(&config)?;
        let component = Component::from_binary(&engine, component)?;
        let mut linker = Linker::new(&engine);
        // The step that is called asks for nothing.
        linker.define_unknown_imports_as_traps(&component)?;
        let pre = StepPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, pre })
    }

    pub(crate) async fn call(&self, step: &str) -> Result<()> {
        let returned = self.perform(step).await;
        let returned = returned.map_err(|error| anyhow::anyhow!("wasmtime: {error:#}"))?;
        anyhow::ensure!(returned.is_ok(), "the guest failed");
        Ok(())
    }

    async fn perform(
        &self,
        step: &str,
    ) -> wasmtime::Result<std::result::Result<String, wflo_model::Failure>> {
        let mut store = Store::new(&self.engine, ());
        let instance = self.pre.instantiate(&mut store).await?;
        instance.run(&mut store, step).await
    }
}
