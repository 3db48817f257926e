//! Time, and what the system knows about this process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Microseconds.
pub(crate) fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How long something takes, in microseconds.
pub(crate) async fn timed<T>(what: impl Future<Output = Result<T>>) -> Result<f64> {
    let start = Instant::now();
    what.await?;
    Ok(us(start.elapsed()))
}

/// Bytes that the system wrote to the disk for this process, as far as it tells.
pub(crate) fn bytes_written() -> Result<u64> {
    field("/proc/self/io", "write_bytes:")
}

/// Bytes of memory that this process has now.
pub(crate) fn resident() -> Result<u64> {
    Ok(field("/proc/self/status", "VmRSS:")? << 10)
}

/// Most bytes of memory that another process has had so far; none once it has ended.
pub(crate) fn peak_of(process: u32) -> Option<u64> {
    field(&format!("/proc/{process}/status"), "VmHWM:").ok().map(|kib| kib << 10)
}

/// Most bytes of memory that this process has had since [`forget_peak`].
pub(crate) fn peak() -> Result<u64> {
    Ok(field("/proc/self/status", "VmHWM:")? << 10)
}

/// Has [`peak`] begin with what there is now.
pub(crate) fn forget_peak() -> Result<()> {
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

/// Time that the processors worked for this process, in microseconds. Unlike time by the clock, it says much the same
/// whatever else the machine does.
pub(crate) fn cpu() -> Result<f64> {
    // Nanoseconds of each thread; a thread that has ended is not there any more, and none does in between.
    let mut total = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = text.split(' ').next().and_then(|text| text.parse::<u64>().ok());
        total += ran.context("`schedstat` has no time")?;
    }
    Ok(total as f64 / 1e3)
}

fn field(file: &str, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    value.with_context(|| format!("`{file}` has no `{name}`"))
}
