//! Steps in every language: what each SDK must do, the fraud example in each, and new projects.
//!
//! The tools of a language are in its folder of `tests/conformance`, where `cargo xtask test` has them installed. Where
//! they cannot be had it says so, and sets `WFLO_TEST_JAVASCRIPT` or `WFLO_TEST_PYTHON` to `none`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Output, Project, Provider, approval_of, binary, root};

/// A language, and where its tools are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Rust,
    JavaScript,
    Python,
}

impl Language {
    const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "javascript",
            Self::Python => "python",
        }
    }

    fn folder(self) -> PathBuf {
        conformance().join(self.name())
    }

    /// What holds what a project is built with: for Rust the libraries, compiled, and else the tools.
    const fn tools(self) -> &'static str {
        match self {
            Self::Rust => "target",
            Self::JavaScript => "node_modules",
            Self::Python => ".venv",
        }
    }

    /// Whether its tools are here; a failure of the test if they should be.
    fn is_here(self) -> bool {
        if self == Self::Rust {
            return true;
        }
        let variable = format!("WFLO_TEST_{}", self.name().to_uppercase());
        #[expect(clippy::disallowed_methods, reason = "`cargo xtask test` says so by the environment")]
        let is_none = std::env::var(&variable).is_ok_and(|value| value == "none");
        if is_none {
            return false;
        }
        let tools = self.folder().join(self.tools());
        assert!(
            tools.is_dir(),
            "`{}` is not there: run `cargo xtask test`, or set {variable}=none",
            tools.display()
        );
        true
    }

    /// Lends the tools to a project's steps, so that nothing is installed twice.
    fn lend(self, steps: &Path) {
        let tools = self.folder().join(self.tools());
        std::fs::create_dir_all(&tools).expect("a folder for what is compiled");
        std::os::unix::fs::symlink(tools, steps.join(self.tools())).expect("a link to the tools");
    }
}

/// Where many tests run at once, Python's ten seconds of compiling may take minutes.
fn be_patient(deployment: &Path) {
    let text = std::fs::read_to_string(deployment).expect("a deployment");
    std::fs::write(deployment, format!("{text}\n[sandbox]\ncompile_seconds = 600\n")).expect("a deployment");
}

fn conformance() -> PathBuf {
    root().join("tests/conformance")
}

/// A server on loopback that answers what the steps of the conformance suite ask.
fn site() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || answer(client));
        }
    });
    port
}

/// Answers one request. A client that is gone wants no answer.
fn answer(mut client: TcpStream) -> Option<()> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut chunk = [0; 16384];
        let read = client.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let body = &bytes[end + 4..];
        if body.len() >= length.unwrap_or(0) {
            break (head, body.to_vec());
        }
    };
    let path = head.split(' ').nth(1)?.to_owned();
    let key = head.lines().find_map(|line| line.strip_prefix("x-key: ")).unwrap_or_default();
    let (status, header, body) = match path.split('?').next()? {
        "/api/json" => ("200 OK", "", json!({ "text": "漢字", "path": path }).to_string().into_bytes()),
        "/api/echo" => ("200 OK", "", body),
        "/api/moved" => ("302 Found", "location: json?moved\r\n", Vec::new()),
        "/api/header" if key == "Key s3cret-of-the-host" => ("200 OK", "", key.as_bytes().to_vec()),
        _ => ("404 Not Found", "", "no such thing: ü".into()),
    };
    let head =
        format!("HTTP/1.1 {status}\r\n{header}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    client.write_all(&[head.as_bytes(), &body].concat()).ok()
}

/// What a language passed, in the order of the suite; written down for the matrix that `cargo xtask test` prints.
struct Results(Vec<(String, Result<(), String>)>);

impl Results {
    fn check(&mut self, what: &str, expected: &Value, real: &Value) {
        let differs = || format!("expected {expected}\n     got {real}");
        self.0.push((what.to_owned(), (expected == real).then_some(()).ok_or_else(differs)));
    }

    fn finish(self, language: Language) {
        let folder = conformance().join("target");
        std::fs::create_dir_all(&folder).expect("a folder for results");
        let rows: Vec<_> = self.0.iter().map(|(what, result)| json!([what, result.is_ok()])).collect();
        let file = folder.join(format!("{}.json", language.name()));
        std::fs::write(file, Value::from(rows).to_string()).expect("a file of results");
        let failed: Vec<_> = self
            .0
            .iter()
            .filter_map(|(what, result)| Some(format!("{what}: {}", result.as_ref().err()?)))
            .collect();
        assert!(failed.is_empty(), "{}:\n{}", language.name(), failed.join("\n"));
    }
}

/// The suite, in a language.
fn conforms(language: Language) {
    if !language.is_here() {
        return;
    }
    let project = Project::new("hello");
    let (port, provider) = (site().to_string(), Provider::start(&project, &[]));
    for file in ["workflow.toml", "wflo.toml"] {
        let text = std::fs::read_to_string(conformance().join(file)).expect("the suite has it");
        project.write(file, &text.replace("61616", &port).replace("PROVIDER", &provider.address));
    }
    let schema = std::fs::read_to_string(conformance().join("schema.sql")).expect("the suite has it");
    let data = rusqlite::Connection::open(project.path("data.db")).expect("a database");
    data.execute_batch(&schema).expect("a schema");
    let expected = std::fs::read_to_string(conformance().join("expected.json")).expect("the suite has it");
    let expected: Value = serde_json::from_str(&expected).expect("it is JSON");
    let expected = expected.as_object().expect("it is one for each step");

    let steps = language.folder();
    project.wflo(&["build", "--steps", steps.to_str().expect("a path of text")]).expect_code(0);
    let token = project.wflo(&["identity", "add", "alice"]).expect_code(0).stdout.trim().to_owned();
    let run = project.wflo(&["run", "--json", "--input", &format!("port={port}")]).expect_code(10).json();
    let id = run["run"].as_str().expect("a run has an id").to_owned();
    let approval = approval_of(&run);
    project.wflo_as("alice", &token, &["approve", &approval, "--comment", "fine ü"]);
    let shown = project.wflo(&["show", &id, "--json"]).expect_code(0).json();

    let mut results = Results(Vec::new());
    for (step, expected) in expected {
        let steps = shown["steps"].as_array().expect("a run has steps");
        let step_shown =
            steps.iter().find(|other| other["name"] == step.as_str()).expect("the step is shown");
        let mut output = step_shown["output"].clone();
        if step == "large" {
            let length = output["text"].as_str().map_or(0, |text| text.chars().count());
            output["text"] = length.into();
        }
        // What a language says of its own errors is its own.
        if let Some(err) =
            output.pointer_mut("/3/err").filter(|err| err.as_str().is_some_and(|err| !err.is_empty()))
        {
            *err = true.into();
        }
        let real = if output.is_null() { step_shown["error"].clone() } else { output };
        results.check(step, expected, &real);
    }
    results.check("the run", &json!(["succeeded", null]), &json!([shown["status"], shown["error"]]));
    let logs = project.wflo(&["logs", &id]).expect_code(0).stdout;
    let line = r#"{"message":"spent ü","usd":"0.0125","list":[1,2],"nothing":null}"#;
    results.check(
        "logs",
        &json!(true),
        &json!(logs.lines().any(|l| l.contains(line) && l.contains("  info "))),
    );
    let spent = shown["cost_usd"].as_str().and_then(|usd| usd.parse::<f64>().ok()).unwrap_or_default();
    results.check("reported cost", &json!(true), &json!(spent > 0.0125));
    let replayed = project.wflo(&["replay", &id]);
    results.check(
        "replay",
        &json!([0, true]),
        &json!([replayed.code, replayed.stdout.ends_with("identical\n")]),
    );
    let rollback = project.wflo(&["rollback", &id]);
    let undone: Option<(String, String, bool)> = data
        .query_row("SELECT step, output, certain FROM undone", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .ok();
    // What other steps wrote and sent stays, and that is said.
    results.check("compensate", &json!([1, ["effect", "e-1", true]]), &json!([rollback.code, undone]));
    results.finish(language);
}

#[test]
fn rust_conforms() {
    conforms(Language::Rust);
}

#[test]
fn javascript_conforms() {
    conforms(Language::JavaScript);
}

#[test]
fn python_conforms() {
    conforms(Language::Python);
}

/// The fraud example with its steps in another language: the same manifest, the same tape, the same result.
fn finds_the_same_fraud(language: Language) {
    if !language.is_here() {
        return;
    }
    let (project, people) = Project::fraud();
    let in_rust = project.wflo(&["run", "--json"]).expect_code(10).json();
    let steps = project.path(language.name());
    std::fs::create_dir(&steps).expect("a folder for the steps");
    let from = root().join("examples/fraud-detection").join(language.name());
    for entry in from.read_dir().expect("the example is there") {
        let file = entry.expect("the example is there").path();
        if file.is_file() {
            std::fs::copy(&file, steps.join(file.file_name().expect("a file has a name"))).expect("a copy");
        }
    }
    language.lend(&steps);
    be_patient(&project.path("wflo.toml"));
    project.wflo(&["build", "--steps", language.name()]).expect_code(0);
    let again = project.wflo(&["build", "--json", "--steps", language.name()]).expect_code(0).json();
    assert_eq!(again["fresh"], true, "{again}");
    project.wflo(&["check"]).expect_code(0);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    assert_eq!(run["steps"][0]["output"], in_rust["steps"][0]["output"]);
    assert_eq!(run["cost_usd"], in_rust["cost_usd"]);
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    assert_eq!(project.blocked().len(), 17);
    project.wflo(&["replay", run["run"].as_str().expect("a run has an id")]).expect_code(0);
}

#[test]
fn fraud_is_the_same_in_javascript() {
    finds_the_same_fraud(Language::JavaScript);
}

#[test]
fn fraud_is_the_same_in_python() {
    finds_the_same_fraud(Language::Python);
}

/// A new project: made, built, checked, run, and its own test run, with the tools that are there already.
fn begins(lang: &str, language: Language, test: &[&str]) {
    if !language.is_here() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let wflo = |args: &[&str]| {
        let mut command = Command::new(binary("wflo"));
        Output::of(
            command.args(args).current_dir(folder.path()).env("NO_COLOR", "1").env_remove("WFLO_TOKEN"),
        )
    };
    let sdk = root().join("guest-sdk");
    wflo(&["new", "first", "--lang", lang, "--sdk-path", sdk.to_str().expect("a path of text")])
        .expect_code(0);
    wflo(&["new", "first", "--lang", lang]).expect_code(2);
    let steps = folder.path().join("first/steps");
    if language != Language::Rust {
        let lacking = wflo(&["build", "first"]).expect_code(2);
        assert!(lacking.stderr.contains("`wflo build --install` gets it"), "{}", lacking.stderr);
    }
    language.lend(&steps);
    be_patient(&folder.path().join("first/wflo.toml"));
    wflo(&["build", "first"]).expect_code(0);
    wflo(&["check", "first"]).expect_code(0);
    let run = wflo(&["run", "first", "--json", "--input", "name=Ada"]).expect_code(0).json();
    assert_eq!(run["steps"][0]["output"], json!({ "text": "Hello, Ada!" }));
    let tested = wflo(&["test", "--dir", "first"]).expect_code(0);
    assert!(tested.stdout.starts_with("passed  first "), "{}", tested.stdout);
    let mut tests = Command::new(test[0]);
    tests.args(&test[1..]).current_dir(&steps).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let tested = Output::of(&mut tests).expect_code(0);
    let said = tested.stdout + &tested.stderr;
    assert!(["1 passed", "# pass 1", "Ran 1 test"].iter().any(|words| said.contains(words)), "{said}");

    // What was recorded passes at once, and shows the difference when the code is another.
    let id = run["run"].as_str().expect("a run has an id");
    wflo(&["record", id, "hello", "--dir", "first"]).expect_code(0);
    wflo(&["test", "hello", "--dir", "first"]).expect_code(0);
    let greeting =
        ["src/greeting.rs", "greeting.js", "greeting.ts", "greeting.py"].map(|name| steps.join(name));
    let greeting = greeting.iter().find(|path| path.is_file()).expect("a file with the greeting");
    let code = std::fs::read_to_string(greeting).expect("the greeting");
    std::fs::write(greeting, code.replacen("Hello", "Good day", 1)).expect("the greeting");
    wflo(&["build", "first"]).expect_code(0);
    let differs = wflo(&["test", "hello", "--dir", "first"]).expect_code(1);
    let shown = "expected  \"Hello, Ada!\"\n          got       \"Good day, Ada!\"";
    assert!(differs.stdout.contains(shown), "{}", differs.stdout);
}

#[test]
fn a_new_project_in_javascript_runs() {
    begins("js", Language::JavaScript, &["npm", "test"]);
}

#[test]
fn a_new_project_in_typescript_runs() {
    begins("ts", Language::JavaScript, &["npm", "test"]);
}

#[test]
fn a_new_project_in_python_runs() {
    begins("python", Language::Python, &["python3", "-m", "unittest"]);
}

#[test]
fn a_new_project_in_rust_runs() {
    // Where the SDK itself is tested: its libraries are compiled there.
    let target = root().join("guest-sdk/rust/target");
    let target = target.to_str().expect("a path of text");
    begins("rust", Language::Rust, &[env!("CARGO"), "test", "--lib", "--target-dir", target]);
}
