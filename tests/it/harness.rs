//! A project in a folder of its own, and the programs to use it with.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A copy of an example, with a state of its own.
pub(crate) struct Project {
    folder: TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// A copy of `examples/NAME`, built.
    pub(crate) fn new(example: &str) -> Self {
        Self::copy_of(&root().join("examples").join(example))
    }

    /// A copy of `tests/workflows/NAME`, built.
    pub(crate) fn workflow(name: &str) -> Self {
        Self::copy_of(&root().join("tests/workflows").join(name))
    }

    fn copy_of(from: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        for file in ["workflow.toml", "wflo.toml"] {
            copy(&from.join(file), &folder.path().join(file));
        }
        let component = from.join(component(from));
        assert!(component.is_file(), "`{}` is not built: run `cargo xtask guests`", component.display());
        copy(&component, &folder.path().join(component.file_name().expect("a component has a name")));
        for name in ["cassettes", "kb"] {
            let Ok(entries) = from.join(name).read_dir() else { continue };
            std::fs::create_dir(folder.path().join(name)).expect("a folder");
            for entry in entries {
                let file = entry.expect("a file").path();
                copy(&file, &folder.path().join(name).join(file.file_name().expect("it has a name")));
            }
        }
        Self { folder }
    }

    /// Fraud detection with its data and its people: the tokens of alice, carol and mallory.
    pub(crate) fn fraud() -> (Self, People) {
        let project = Self::new("fraud-detection");
        let data = Command::new(binary("fraud-data"))
            .arg(project.path("bank.db"))
            .output()
            .expect("fraud-data runs");
        assert!(data.status.success(), "{}", String::from_utf8_lossy(&data.stderr));
        let token = |args: &[&str]| {
            let added = project.wflo(&[&["identity", "add"], args].concat()).expect_code(0);
            added.stdout.trim().to_owned()
        };
        let people = People {
            alice: token(&["alice", "--group", "fraud-team"]),
            carol: token(&["carol", "--group", "compliance"]),
            mallory: token(&["mallory"]),
        };
        (project, people)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a piece of a file that must be there.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(file)).expect("a file of the project");
        assert!(text.contains(from), "`{file}` has no `{from}`:\n{text}");
        std::fs::write(self.path(file), text.replace(from, to)).expect("a file of the project");
    }

    /// Writes more at the end of a file.
    pub(crate) fn append(&self, file: &str, text: &str) {
        let before = std::fs::read_to_string(self.path(file)).expect("a file of the project");
        self.write(file, &(before + text));
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).expect("a file of the project");
    }

    /// The command, to be started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("wflo"));
        command
            .args(args)
            .arg("--dir")
            .arg(self.folder.path())
            .current_dir(self.folder.path())
            .env_remove("WFLO_TOKEN")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn wflo(&self, args: &[&str]) -> Output {
        Output::of(&mut self.command(args))
    }

    /// Runs the command as somebody.
    pub(crate) fn wflo_as(&self, name: &str, token: &str, args: &[&str]) -> Output {
        Output::of(self.command(args).args(["--as", name]).env("WFLO_TOKEN", token))
    }

    /// The accounts that are blocked.
    pub(crate) fn blocked(&self) -> Vec<String> {
        let bank = rusqlite::Connection::open(self.path("bank.db")).expect("the bank");
        let mut rows =
            bank.prepare("SELECT id FROM accounts WHERE status = 'blocked' ORDER BY id").expect("accounts");
        let ids = rows.query_map([], |row| row.get(0)).expect("accounts");
        ids.collect::<Result<_, _>>().expect("accounts")
    }

    /// Answers by a server instead of the tape.
    pub(crate) fn use_provider(&self, provider: &Provider) {
        self.use_server(&provider.address);
    }

    /// Answers by the server at this address, as `wflo.toml` writes it, instead of the tape.
    pub(crate) fn use_server(&self, address: &str) {
        let text = std::fs::read_to_string(self.path("wflo.toml")).expect("wflo.toml");
        let kept: Vec<&str> = text.split("\n[").filter(|block| !block.starts_with("llm.")).collect();
        let llm =
            format!("\n[llm.server]\nkind = \"openai\"\nbase_url = \"{address}\"\nmodels = [\"gpt-4\"]\n");
        self.write("wflo.toml", &format!("{}\n{llm}", kept.join("\n[")));
    }
}

/// Tokens of the people of the fraud example.
pub(crate) struct People {
    pub(crate) alice: String,
    pub(crate) carol: String,
    pub(crate) mallory: String,
}

impl Output {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().expect("the command starts"))
    }

    pub(crate) fn from(output: std::process::Output) -> Self {
        Self {
            code: code(output.status),
            stdout: String::from_utf8(output.stdout).expect("output is text"),
            stderr: String::from_utf8(output.stderr).expect("output is text"),
        }
    }

    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// A server that speaks the OpenAI-compatible chat API on loopback.
pub(crate) struct Provider {
    child: Child,
    pub(crate) address: String,
    log: PathBuf,
}

impl Provider {
    pub(crate) fn start(project: &Project, args: &[&str]) -> Self {
        let log = project.path("provider.log");
        let mut child = Command::new(binary("wflo-test-provider"))
            .args(["--port", "0", "--log"])
            .arg(&log)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the provider starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.split_whitespace().find(|word| word.starts_with("http://")).map(ToOwned::to_owned);
        Self { child, address: address.unwrap_or_else(|| panic!("no address in `{line}`")), log }
    }

    /// How many requests have reached it.
    pub(crate) fn requests(&self) -> usize {
        std::fs::read_to_string(&self.log).map_or(0, |log| log.lines().count())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Ending a child that has ended is no error worth a test's failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits, in small naps, until something holds; for what another process does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !holds() {
        assert!(began.elapsed().as_secs() < 60, "{what}: not within a minute");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The approval a run waits for.
#[track_caller]
pub(crate) fn approval_of(run: &Value) -> String {
    let id = run["waiting_for"][0]["id"].as_str();
    id.unwrap_or_else(|| panic!("no approval is open: {run}")).to_owned()
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the checkout").to_owned()
}

/// The real terraform of the tests: the variable's, or what `cargo xtask terraform` has left.
#[track_caller]
pub(crate) fn terraform() -> String {
    #[expect(clippy::disallowed_methods, reason = "a test is told by it where the program is")]
    if let Ok(path) = std::env::var("WFLO_TEST_TERRAFORM") {
        return path;
    }
    let here = std::env::current_exe().expect("a test knows its path");
    let target = here.ancestors().nth(3).expect("tests are built into `target/PROFILE/deps`");
    let path = target.join("terraform/terraform");
    assert!(path.is_file(), "`{}` is not there: run `cargo xtask terraform`", path.display());
    path.display().to_string()
}

/// A program of this workspace, beside the one that tests.
pub(crate) fn binary(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its path");
    let folder = here.parent().and_then(Path::parent).expect("tests are built into `deps`");
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "`{}` is not built: run `cargo xtask test`", path.display());
    path
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap_or_else(|error| panic!("`{}`: {error}", from.display()));
}

/// The component that an example's manifest names.
fn component(example: &Path) -> String {
    let manifest =
        std::fs::read_to_string(example.join("workflow.toml")).expect("the example has a manifest");
    let line = manifest.lines().find(|line| line.starts_with("component")).expect("it names its component");
    line.split('"').nth(1).expect("in quotes").to_owned()
}
