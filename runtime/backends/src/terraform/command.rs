//! Running terraform: with the environment it was given and no other, for so long, and no longer.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use wflo_ports::TerraformError;

use super::lock::Held;

/// Most bytes of what a command prints.
const MOST_OUTPUT: usize = 32 << 20;
/// Most characters of what it says went wrong.
const MOST_WORDS: usize = 4000;
/// How long it has to come to an end once it was asked to: terraform writes down what it has done so far.
const GRACE: Duration = Duration::from_secs(30);
/// Shorter texts are no secrets; taking them out would make nonsense of words.
const LEAST_SECRET: usize = 6;
/// Where programs are looked for that are named without a path.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin";

/// How terraform is run.
#[derive(Debug)]
pub(super) struct Runner {
    binary: PathBuf,
    env: BTreeMap<String, String>,
    /// Values of the environment that must not be told.
    secrets: Vec<String>,
    timeout: Duration,
}

/// What a command came to.
pub(super) struct Ran {
    pub(super) succeeded: bool,
    pub(super) output: String,
    /// What went wrong, in terraform's words.
    pub(super) words: String,
}

/// What becomes of a program when nobody waits for it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// It is ended: it has changed nothing.
    Ends,
    /// It goes on to its end: to stop it half-way would be worse.
    GoesOn,
}

impl Runner {
    /// `home` is a folder of its own, in which it finds nothing.
    pub(super) fn new(
        binary: PathBuf,
        env: BTreeMap<String, String>,
        secrets: Vec<String>,
        timeout: Duration,
        home: &Path,
    ) -> Self {
        let own = [
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            ("HOME", home.display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("PATH", PATH.to_owned()),
            ("TF_CLI_CONFIG_FILE", "/dev/null".to_owned()),
            ("TF_INPUT", "0".to_owned()),
            ("TF_IN_AUTOMATION", "1".to_owned()),
        ];
        let mut all: BTreeMap<_, _> = own.map(|(name, value)| (name.to_owned(), value)).into();
        all.extend(env);
        let secrets = secrets.into_iter().filter(|value| value.len() >= LEAST_SECRET).collect();
        Self { binary, env: all, secrets, timeout }
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs a command in a folder, while the lock is held.
    ///
    /// # Errors
    /// When it cannot be started, or prints too much. That it fails is no error here.
    pub(super) async fn run(
        &self,
        folder: &Path,
        args: &[&str],
        held: &Held<'_>,
        abandoned: Abandoned,
    ) -> Result<Ran, TerraformError> {
        let unavailable = |what: String| TerraformError::Unavailable { message: what };
        let input = held.as_input().map_err(|error| unavailable(error.to_string()))?;
        let mut command = Command::new(&self.binary);
        command.args(args).current_dir(folder).env_clear().envs(&self.env).stdin(input);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => unavailable(format!(
                "there is no program `{}`: `binary` of the deployment's `[terraform]` names it",
                self.binary.display()
            )),
            _ => unavailable(format!("`{}`: {error}", self.binary.display())),
        })?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)), abandoned);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ended = async {
            let (output, words) = tokio::join!(read(stdout), read(stderr));
            (child.wait().await, output, words)
        };
        tokio::pin!(ended);
        let (mut in_time, mut came_to) = (true, timeout(self.timeout, &mut ended).await);
        // What changes nothing needs no time to write down what it has changed.
        let signals = match abandoned {
            Abandoned::Ends => &[Signal::KILL][..],
            Abandoned::GoesOn => &[Signal::INT, Signal::KILL],
        };
        for &signal in signals {
            if came_to.is_err() {
                in_time = false;
                group.signal(signal);
                came_to = timeout(GRACE, &mut ended).await;
            }
        }
        let seconds = self.timeout.as_secs();
        let lost = |message: String| TerraformError::Lost { message };
        let (status, output, words) = came_to
            .map_err(|_| lost(format!("it did not end after {seconds} s, nor when it was told to")))?;
        group.0 = None;
        let status = status.map_err(|error| lost(error.to_string()))?;
        let Some(output) = output else {
            let message = format!("it prints more than {MOST_OUTPUT} bytes");
            return Err(TerraformError::Limit { message });
        };
        let mut words = self.redacted(&diagnosis(words.as_deref().unwrap_or_default(), &output));
        if !in_time {
            words = format!("it was stopped after {seconds} s: {words}");
        }
        Ok(Ran { succeeded: status.success() && in_time, output: self.redacted(&output), words })
    }

    fn redacted(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "(sensitive value)"))
    }
}

/// A group of processes, which is ended with whoever waits for it unless it goes on.
struct Group(Option<Pid>, Abandoned);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0
            && let Err(error) = kill_process_group(group, signal)
        {
            tracing::debug!(%error, "terraform has ended meanwhile");
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.1 == Abandoned::Ends {
            self.signal(Signal::KILL);
        }
    }
}

/// Reads all that is printed; none where that is too much, which is still read, so that nobody waits for a reader.
async fn read(from: Option<impl AsyncRead + Unpin>) -> Option<String> {
    let mut from = from?;
    let (mut all, mut piece, mut too_much) = (Vec::new(), vec![0; 64 << 10], false);
    loop {
        match from.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(n) if all.len() + n > MOST_OUTPUT => too_much = true,
            Ok(n) => all.extend_from_slice(&piece[..n]),
        }
    }
    (!too_much).then(|| String::from_utf8_lossy(&all).into_owned())
}

/// What went wrong: from the first error on, without the frame that terraform draws around it; else the last that was
/// said.
fn diagnosis(errors: &str, output: &str) -> String {
    let plain = |line: &str| line.trim_start_matches(['╷', '│', '╵']).trim_end().to_owned();
    let lines: Vec<String> = errors.lines().map(plain).collect();
    let from = lines.iter().position(|line| line.trim_start().starts_with("Error"));
    let words = match from {
        Some(from) => lines[from..].join("\n"),
        None if errors.trim().is_empty() => output.to_owned(),
        None => errors.to_owned(),
    };
    let words = words.trim();
    match from {
        Some(_) => words.chars().take(MOST_WORDS).collect(),
        None => {
            let skipped = words.chars().count().saturating_sub(MOST_WORDS / 4);
            words.chars().skip(skipped).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::super::lock::Lock;
    use super::{Abandoned, Ran, Runner, TerraformError, diagnosis};

    fn program(folder: &Path, script: &str) -> std::path::PathBuf {
        let path = folder.join("terraform");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn run(script: &str, env: &[(&str, &str)], limit: Duration) -> Result<Ran, TerraformError> {
        let folder = tempfile::tempdir().unwrap();
        let env: BTreeMap<_, _> = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let secrets = env.values().cloned().collect();
        let runner = Runner::new(program(folder.path(), script), env, secrets, limit, folder.path());
        let lock = Lock::default();
        let held = lock.hold(&folder.path().join("lock"), limit).await.unwrap();
        runner.run(folder.path(), &["plan"], &held, Abandoned::Ends).await
    }

    #[tokio::test]
    async fn it_has_the_environment_it_was_given_and_tells_none_of_it() {
        let script = "env; echo \"Error: refused with $AWS_KEY\" >&2; exit 1";
        let ran = run(script, &[("AWS_KEY", "s3same-key")], Duration::from_secs(20)).await.unwrap();
        assert!(!ran.succeeded);
        assert_eq!(ran.words, "Error: refused with (sensitive value)");
        let names: Vec<_> =
            ran.output.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        assert!(names.contains(&"AWS_KEY") && !ran.output.contains("s3same"), "{}", ran.output);
        assert!(!names.contains(&"CARGO_MANIFEST_DIR"), "{names:?}");
    }

    #[tokio::test]
    async fn at_its_time_limit_it_and_all_it_started_end() {
        let began = Instant::now();
        let ran = run("sleep 300 & sleep 300", &[], Duration::from_millis(200)).await.unwrap();
        assert!(!ran.succeeded && ran.words.starts_with("it was stopped"), "{}", ran.words);
        assert!(began.elapsed() < Duration::from_secs(20), "what it started holds its output open");
    }

    #[tokio::test]
    async fn too_much_output_is_read_and_refused() {
        let error = run("head -c 40000000 /dev/zero", &[], Duration::from_secs(60)).await.err().unwrap();
        assert!(matches!(error, TerraformError::Limit { .. }), "{error}");
    }

    #[test]
    fn the_frame_around_an_error_is_taken_away() {
        let framed = "warming up\n╷\n│ Error: no such region\n│ \n│   on main.tf line 1\n╵\n";
        assert_eq!(diagnosis(framed, ""), " Error: no such region\n\n   on main.tf line 1".trim_start());
        assert_eq!(diagnosis("", "all is said here\n"), "all is said here");
    }
}
