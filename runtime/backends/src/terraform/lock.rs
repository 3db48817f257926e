//! One at a time: whoever holds the lock of a working copy may run terraform in it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};
use wflo_ports::TerraformError;

/// How often another process is asked whether it is done: the system has no way to wait for that which can be given up.
const LOOK: Duration = Duration::from_millis(50);

/// The lock of a working copy, within this process and among all.
#[derive(Debug, Default)]
pub(super) struct Lock(Mutex<()>);

/// The lock, held.
pub(super) struct Held<'a> {
    file: File,
    _here: MutexGuard<'a, ()>,
}

impl Lock {
    /// Waits for the lock, `most` at most.
    pub(super) async fn hold(&self, path: &Path, most: Duration) -> Result<Held<'_>, TerraformError> {
        let until = Instant::now() + most;
        let busy = || TerraformError::Unavailable {
            message: format!("somebody else has been at the working copy for {} s", most.as_secs()),
        };
        let here = tokio::time::timeout_at(until, self.0.lock()).await.map_err(|_| busy())?;
        let failed = |error: std::io::Error| TerraformError::Unavailable {
            message: format!("`{}`: {error}", path.display()),
        };
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Held { file, _here: here }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(LOOK).await,
                Err(TryLockError::WouldBlock) => return Err(busy()),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }
}

impl Held<'_> {
    /// The lock as the input of a program: empty, and held for as long as the program lives, should this process die
    /// before it. What is left of an apply is then waited for by whoever comes next.
    pub(super) fn as_input(&self) -> std::io::Result<Stdio> {
        self.file.try_clone().map(Stdio::from)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::Lock;

    #[tokio::test]
    async fn a_program_that_outlives_its_starter_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (one, other) = (Lock::default(), Lock::default());
        let held = one.hold(&path, Duration::from_secs(5)).await.unwrap();
        let mut sleeper = Command::new("sleep").arg("60").stdin(held.as_input().unwrap()).spawn().unwrap();
        assert!(one.hold(&path, Duration::from_millis(1)).await.is_err(), "not twice in a process");
        drop(held);
        assert!(other.hold(&path, Duration::from_millis(100)).await.is_err(), "the program has it still");
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(other.hold(&path, Duration::from_secs(5)).await.is_ok());
    }
}
