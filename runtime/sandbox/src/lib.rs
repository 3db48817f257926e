//! wasmtime for wflo: engine, compile cache, import check, virtual WASI, limits, faults.
