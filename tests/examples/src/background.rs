//! Commands that go on while others are played.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Longest time until a server says that it is there.
const START: Duration = Duration::from_secs(60);

/// A command that goes on, and ends with this.
#[derive(Debug)]
pub(crate) struct Background {
    child: Child,
}

impl Background {
    /// Starts a command, and waits until it has printed so many lines. Gives what it has printed.
    pub(crate) fn start(mut command: Command, lines: usize, scratch: &Path) -> Result<(Self, String)> {
        // A file and no pipe: nobody reads what it prints later.
        let path = tempfile::NamedTempFile::new_in(scratch)?.into_temp_path().keep()?;
        let file = fs::File::create(&path)?;
        command.stdout(file.try_clone()?).stderr(file).stdin(Stdio::null()).process_group(0);
        let mut this = Self { child: command.spawn().context("it does not start")? };
        let began = Instant::now();
        loop {
            let printed = fs::read_to_string(&path)?;
            if printed.lines().filter(|line| !line.trim().is_empty()).count() >= lines
                && printed.ends_with('\n')
            {
                return Ok((this, printed));
            }
            if let Some(status) = this.child.try_wait()? {
                bail!("it ended with {status} and printed\n{printed}");
            }
            if began.elapsed() > START {
                bail!("it has not said that it is there, but\n{printed}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It leads a group of its own, with whatever it has started in it. One that has ended is no error.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
