//! What every SDK must do, in every language: `tests/conformance`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Barrier};

use serde_json::{Value, json};

use crate::harness::{Output, Project, Provider, approval_of, terraform};
use crate::language::{Language, conformance};
use crate::mailbox::Mailbox;
use crate::notify::Inbox;

/// A server on loopback that answers what the steps of the conformance suite ask.
pub(crate) fn site() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
    let port = listener.local_addr().expect("it has an address").port();
    let meeting = Arc::new(Barrier::new(2));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let meeting = Arc::clone(&meeting);
            std::thread::spawn(move || answer(client, &meeting));
        }
    });
    port
}

/// Answers one request; one that is to meet another when both are there. A client that is gone wants no answer.
fn answer(mut client: TcpStream, meeting: &Barrier) -> Option<()> {
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
        "/api/meet" => {
            meeting.wait();
            let body = if body.is_empty() { path.into_bytes() } else { body };
            ("200 OK", "", body)
        }
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
    let (mailbox, inbox) = (Mailbox::start(), Inbox::start());
    for file in ["workflow.toml", "wflo.toml"] {
        let text = std::fs::read_to_string(conformance().join(file)).expect("the suite has it");
        let text = text.replace("61616", &port).replace("PROVIDER", &provider.address);
        let text = text.replace("MAILBOX", &mailbox.url).replace("INBOX", &inbox.address);
        project.write(file, &text.replace("TERRAFORM", &terraform()));
    }
    for folder in ["kb", "prod"] {
        std::fs::create_dir(project.path(folder)).expect("a folder");
    }
    let returns = "# Returns\n\nWithin 30 days.\n\n## Shoes\n\nWorn shoes are not taken back.\n";
    project.write("kb/returns.md", returns);
    project.write("prod/main.tf", "output \"size\" {\n  value = \"small\"\n}\n");
    for args in [&["init", "-input=false"][..], &["apply", "-input=false", "-auto-approve"]] {
        Output::of(Command::new(terraform()).args(args).current_dir(project.path("prod"))).expect_code(0);
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
    // What leaves once a step has succeeded has left.
    let mails: Vec<_> = mailbox.taken().iter().map(|mail| json!([mail.to, mail.text().trim_end()])).collect();
    let told = inbox.posted().iter().filter(|(_, posted)| posted.to_string().contains("told ü")).count();
    let expected = json!([[[["ann@example.org", "bob@example.org"], "Hello ü"]], 1]);
    results.check("mail and channel", &expected, &json!([mails, told]));
    // What other steps wrote and sent stays, and that is said.
    let said = if rollback.code == 1 { String::new() } else { rollback.stderr };
    let expected = json!([1, ["effect", "e-1", true], ""]);
    results.check("compensate", &expected, &json!([rollback.code, undone, said]));
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

#[test]
fn go_conforms() {
    conforms(Language::Go);
}

#[test]
fn c_conforms() {
    conforms(Language::C);
}
