//! Where it takes place: a copy of the workflow, its database, a model server, and the command.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use wflo_test_provider::{Options, Provider};

use crate::book::{Book, Kind};

/// What no command may take longer than: one that does hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a command is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// How long the model thinks: long enough to be cut off.
const THOUGHT: Duration = Duration::from_millis(25);

/// A project in a folder of its own.
pub(crate) struct Stage {
    folder: PathBuf,
    wflo: PathBuf,
    provider: Provider,
    book: Book,
    token: String,
    commands: AtomicU32,
}

/// A command that was started.
pub(crate) struct Running {
    child: Child,
    words: String,
    began: Instant,
    out: PathBuf,
    err: PathBuf,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) words: String,
    /// None when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    /// Sets a project up.
    pub(crate) fn set(folder: &Path, items: u32, kind: Kind) -> Result<Self> {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows/torture");
        for file in ["workflow.toml", "wflo.toml", "torture.wasm"] {
            let path = from.join(file);
            fs::copy(&path, folder.join(file)).with_context(|| {
                format!("`{}` cannot be copied: is it built? `cargo xtask guests`", path.display())
            })?;
        }
        let book = Book::make(kind, folder, items)?;
        let deployment = folder.join("wflo.toml");
        let text = fs::read_to_string(&deployment)?.replace("url = \"sqlite:book.db\"", &book.binding());
        fs::write(&deployment, text)?;
        let wflo = std::env::current_exe().context("where this program is")?;
        let wflo = wflo.with_file_name(format!("wflo{}", std::env::consts::EXE_SUFFIX));
        ensure!(wflo.is_file(), "`{}` is not built: run `cargo xtask torture`", wflo.display());
        let provider = Provider::start(Options { delay: THOUGHT, ..Options::default() })
            .context("the model server does not start")?;
        let commands = AtomicU32::new(0);
        let (folder, token) = (folder.to_owned(), String::new());
        let mut stage = Self { folder, wflo, provider, book, token, commands };
        let added = stage.wflo(&["identity", "add", "olga", "--group", "ops"])?.expect(&[0])?;
        added.stdout.trim().clone_into(&mut stage.token);
        if stage.book.owner().is_some() {
            stage.wflo(&["db", "prepare", "book"])?.expect(&[0])?;
            stage.wflo(&["check"])?.expect(&[0])?;
        }
        Ok(stage)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join(".wflo")
    }

    /// The rows of a query of its database, each with `|` between its values.
    pub(crate) fn rows(&self, sql: &str) -> Result<Vec<String>> {
        self.book.rows(sql)
    }

    /// The idempotency keys of all requests the model server has got, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.provider.requests();
        let keys = requests.iter().map(|it| it["idempotency_key"].as_str().unwrap_or_default().to_owned());
        keys.collect()
    }

    /// Starts a command, as olga, whose token everybody has here.
    pub(crate) fn start(&self, args: &[&str]) -> Result<Running> {
        let n = self.commands.fetch_add(1, Ordering::Relaxed);
        let output = |what| self.folder.join(format!("command-{n}.{what}"));
        let (out, err) = (output("out"), output("err"));
        let mut command = Command::new(&self.wflo);
        if let Some(owner) = self.book.owner() {
            command.env("WFLO_OWNER_URL", owner);
        }
        let child = command
            .args(args)
            .arg("--dir")
            .arg(&self.folder)
            .current_dir(&self.folder)
            .env("NO_COLOR", "1")
            .env("TORTURE_MODEL", self.provider.base_url())
            .env("WFLO_TOKEN", &self.token)
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .context("`wflo` does not start")?;
        Ok(Running { child, words: args.join(" "), began: Instant::now(), out, err })
    }

    /// Runs a command to its end.
    pub(crate) fn wflo(&self, args: &[&str]) -> Result<Ended> {
        self.start(args)?.end()
    }

    /// What a command that must succeed says in JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Result<Value> {
        self.wflo(args)?.expect(&[0])?.json()
    }

    /// The processes that still have to do with this project.
    pub(crate) fn processes(&self) -> Result<Vec<u32>> {
        let folder = self.folder.to_string_lossy().into_owned();
        let mut found = Vec::new();
        // Systems without it have no such look at processes.
        let Ok(processes) = Path::new("/proc").read_dir() else { return Ok(found) };
        for process in processes {
            let process = process?;
            let Some(id) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // One that has ended meanwhile is none.
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let is_wflo = String::from_utf8_lossy(&words).split('\0').any(|word| word == folder);
            if is_wflo && id != std::process::id() {
                found.push(id);
            }
        }
        Ok(found)
    }
}

impl Running {
    /// Waits for its end.
    pub(crate) fn end(mut self) -> Result<Ended> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return self.ended(status.code());
            }
            if self.began.elapsed() > PATIENCE {
                self.child.kill()?;
                self.child.wait()?;
                let err = fs::read_to_string(&self.err)?;
                bail!("`wflo {}` hangs: not ended within {} s\n{err}", self.words, PATIENCE.as_secs());
            }
            thread::sleep(LOOK);
        }
    }

    /// Kills it when the moment has come; what it came to, and whether it was still running then.
    pub(crate) fn kill_when(mut self, mut comes: impl FnMut(Duration) -> bool) -> Result<(Ended, bool)> {
        while !comes(self.began.elapsed()) {
            if let Some(status) = self.child.try_wait()? {
                return Ok((self.ended(status.code())?, false));
            }
            ensure!(self.began.elapsed() < PATIENCE, "`wflo {}` hangs", self.words);
            thread::sleep(Duration::from_micros(200));
        }
        self.child.kill()?;
        let status = self.child.wait()?;
        let was_cut_off = status.code().is_none();
        Ok((self.ended(status.code())?, was_cut_off))
    }

    fn ended(&self, code: Option<i32>) -> Result<Ended> {
        // What a kill cut off in the middle of a character is shown as well as it can be.
        let read = |path: &Path| -> Result<String> {
            let bytes = fs::read(path)?;
            fs::remove_file(path)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        Ok(Ended { words: self.words.clone(), code, stdout: read(&self.out)?, stderr: read(&self.err)? })
    }
}

impl Ended {
    /// Fails unless it ended with one of these codes.
    pub(crate) fn expect(self, codes: &[i32]) -> Result<Self> {
        let Self { words, code, stdout, stderr, .. } = &self;
        if !code.is_some_and(|code| codes.contains(&code)) {
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
            let stdout: String = stdout.chars().take(4000).collect();
            bail!("`wflo {words}` ended with {code}, expected one of {codes:?}\n{stderr}{stdout}");
        }
        Ok(self)
    }

    pub(crate) fn json(&self) -> Result<Value> {
        let Self { words, stdout, .. } = self;
        serde_json::from_str(stdout).with_context(|| format!("`wflo {words}` printed no JSON: {stdout}"))
    }
}
