//! Requests over HTTP, from a step to a server on loopback: granted, journaled, and made once.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use crate::harness::{Project, eventually, root};

/// The guest that makes requests, built before the first test that needs it.
static COURIER: LazyLock<PathBuf> = LazyLock::new(|| {
    let programs = root().join("tests/programs");
    let status = Command::new(env!("CARGO"))
        .current_dir(&programs)
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir", "target"])
        .args(["--package", "courier"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .expect("cargo can be run");
    assert!(status.success(), "the guest does not build; is the target there?");
    programs.join("target/wasm32-wasip2/release/courier.wasm")
});

/// What a site does with the n-th request, from 0.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Hello,
    /// Closes the connection without a word.
    Close,
    /// Says nothing for as long as the client is there.
    Hold,
}

pub(crate) struct Site {
    pub(crate) port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    pub(crate) fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let port = listener.local_addr().expect("it has an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let Some(request) = read(&mut client) else { continue };
                let n = {
                    let mut seen = seen.lock().expect("no test panics here");
                    seen.push(request);
                    seen.len() - 1
                };
                match answers[n.min(answers.len() - 1)] {
                    Answer::Hello => {
                        let _ = client.write_all(
                            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
                        );
                    }
                    Answer::Close => {}
                    Answer::Hold => _ = client.read(&mut [0; 1]),
                }
            }
        });
        Self { port, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics here").clone()
    }

    /// A project with one step of the courier's, and this grant; `PORT` in it is the site's.
    pub(crate) fn project(&self, step: &str, grant: &str) -> Project {
        courier(self.port, step, grant)
    }
}

/// A project with one step of the courier's, and this grant; `PORT` in it is that of a server on loopback.
pub(crate) fn courier(port: u16, step: &str, grant: &str) -> Project {
    let project = Project::new("hello");
    std::fs::copy(&*COURIER, project.path("courier.wasm")).expect("the guest is there");
    let grant = grant.replace("PORT", &port.to_string());
    project.write(
        "workflow.toml",
        &format!(
            "[workflow]\nname = \"courier\"\ncomponent = \"courier.wasm\"\n\
             [inputs.url]\ntype = \"string\"\ndefault = \"http://127.0.0.1:{port}/api/a?b=c\"\n\
             [[step]]\nname = \"{step}\"\ngrants.http = [{grant}]\n"
        ),
    );
    project.write("wflo.toml", "");
    project
}

/// A request in whole; none if the client is gone before.
pub(crate) fn read(client: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
                return Some(text);
            }
        }
        let mut chunk = [0; 4096];
        match client.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

pub(crate) fn key(request: &str) -> &str {
    let line = request.lines().find_map(|line| line.strip_prefix("idempotency-key: "));
    line.unwrap_or_else(|| panic!("no key in {request}"))
}

const GET: &str = "\"GET http://127.0.0.1:PORT/api/*\"";
const POST: &str = "\"POST http://127.0.0.1:PORT/api/*\"";
pub(crate) const KEYED: &str = "{ allow = \"POST http://127.0.0.1:PORT/api/*\", idempotency_header = \"Idempotency-Key\", ttl = \"1h\" }";

#[test]
fn a_granted_request_is_made_once() {
    let site = Site::start(&[Answer::Hello]);
    let project = site.project("get", GET);
    let run = project.wflo(&["run", "--json"]).expect_code(0).json();
    assert_eq!(run["steps"][0]["output"], "200  hello");
    assert_eq!(site.asked().len(), 1);
    assert!(site.asked()[0].starts_with("GET /api/a?b=c HTTP/1.1\r\n"), "{:?}", site.asked());
    project.wflo(&["replay", run["run"].as_str().expect("an id")]).expect_code(0);
    assert_eq!(site.asked().len(), 1, "a replay asks nobody");
}

#[test]
fn what_is_not_granted_is_not_asked_for() {
    let site = Site::start(&[Answer::Hello]);
    let project = site.project("get", GET);
    for url in ["/admin", "/api/../admin"]
        .map(|path| format!("http://127.0.0.1:{}{path}", site.port))
        .iter()
        .chain([
            &"http://169.254.169.254/latest/meta-data/".to_owned(),
            &format!("http://localhost:{}/api/a", site.port),
            &format!("http://127.0.0.2:{}/api/a", site.port),
        ])
    {
        let run = project.wflo(&["run", "--json", "--input", &format!("url={url}")]).expect_code(0).json();
        assert_eq!(run["steps"][0]["output"], "handle: ErrorCode::HttpRequestDenied", "{url}");
    }
    for step in ["post_body_first", "post_body_later"] {
        let project = site.project(step, GET);
        let run = project.wflo(&["run", "--json"]).expect_code(0).json();
        assert_eq!(run["steps"][0]["output"], "handle: ErrorCode::HttpRequestDenied", "{step}");
        project.wflo(&["replay", run["run"].as_str().expect("an id")]).expect_code(0);
    }
    assert!(site.asked().is_empty(), "{:?}", site.asked());
}

#[test]
fn the_deployment_has_the_last_word() {
    let site = Site::start(&[Answer::Hello]);
    let project = site.project("get", GET);
    project.write("wflo.toml", "[limits]\nhttp = [\"https://*.example.org/*\"]\n");
    let refused = project.wflo(&["run"]).expect_code(2);
    assert!(refused.stderr.contains("is above the ceiling of"), "{refused:?}");
    assert!(refused.stderr.contains("workflow.toml:9:"), "{refused:?}");
    assert!(site.asked().is_empty());
}

#[test]
fn a_request_with_a_key_is_made_again_under_the_same() {
    let site = Site::start(&[Answer::Hold, Answer::Hello]);
    let project = site.project("post_body_later", KEYED);
    let mut child = project.command(&["run"]).spawn().expect("the command starts");
    eventually("the request arrives", || site.asked().len() == 1);
    child.kill().expect("the command is there to be killed");
    child.wait().expect("it ends");

    let resumed = project.wflo(&["resume", "--json"]).expect_code(0);
    assert!(resumed.stdout.contains("200  hello"), "{resumed:?}");
    let asked = site.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(key(&asked[0]), key(&asked[1]));
    assert!(asked[1].ends_with("\r\n\r\nafter"), "{}", asked[1]);
}

#[test]
fn a_request_without_a_key_is_never_made_again_by_itself() {
    // The process dies, or the answer is lost: nobody knows, and nobody guesses.
    let site = Site::start(&[Answer::Hold]);
    let project = site.project("post_body_first", POST);
    let mut child = project.command(&["run"]).spawn().expect("the command starts");
    eventually("the request arrives", || site.asked().len() == 1);
    child.kill().expect("the command is there to be killed");
    child.wait().expect("it ends");
    project.wflo(&["resume"]).expect_code(11);
    assert_eq!(site.asked().len(), 1);

    let site = Site::start(&[Answer::Close]);
    let project = site.project("post_body_first", POST);
    let run = project.wflo(&["run", "--json"]).expect_code(11).json();
    assert_eq!(run["waiting_for"][0]["kind"], "unknown", "{run}");
    project.wflo(&["resume"]).expect_code(11);
    assert_eq!(site.asked().len(), 1);
}

#[test]
fn a_person_settles_what_nobody_knows() {
    // The answer to the first request is lost; all others are answered.
    let unknown = || {
        let site = Site::start(&[Answer::Close, Answer::Hello]);
        let project = site.project("post_body_first", POST);
        let run = project.wflo(&["run", "--json"]).expect_code(11).json();
        let intent = run["waiting_for"][0]["intent"].as_u64().expect("the call has a number").to_string();
        (site, project, run["run"].as_str().expect("an id").to_owned(), intent)
    };
    let (site, project, run, intent) = unknown();
    let shown = project.wflo(&["show", &run]).expect_code(0).stdout;
    assert!(shown.contains(&format!("wflo resolve {run} {intent} --not-done")), "{shown}");
    let wrong = project.wflo(&["resolve", &run, &intent, "--done", "\"yes\""]).expect_code(2);
    assert!(wrong.stderr.contains("does not return that"), "{wrong:?}");
    let done =
        project.wflo(&["resolve", &run, &intent, "--done", r#"{"status": 201, "body": "made"}"#, "--json"]);
    assert_eq!(done.expect_code(0).json()["steps"][0]["output"], "201  made");
    assert_eq!(site.asked().len(), 1, "it was done: nobody is asked again");
    project.wflo(&["replay", &run]).expect_code(0);
    project.wflo(&["resolve", &run, &intent, "--not-done"]).expect_code(4);

    let (site, project, run, intent) = unknown();
    let done = project.wflo(&["resolve", &run, &intent, "--not-done", "--json"]).expect_code(0).json();
    assert_eq!(done["steps"][0]["output"], "200  hello");
    assert_eq!(site.asked().len(), 2, "it was not done: the call is made anew");
    project.wflo(&["replay", &run]).expect_code(0);

    // A run with such a call is not cancelled over its head.
    let (_site, project, run, intent) = unknown();
    project.wflo(&["cancel", &run]).expect_code(11);
    project.wflo(&["resolve", &run, &intent, "--not-done"]).expect_code(1);
    assert_eq!(project.wflo(&["show", &run, "--json"]).expect_code(0).json()["status"], "cancelled");
}

#[test]
fn equal_requests_have_keys_of_their_own() {
    let site = Site::start(&[Answer::Hello]);
    let run = site.project("asks_again", KEYED).wflo(&["run", "--json"]).expect_code(0).json();
    assert_eq!(run["steps"][0]["output"], "200  hello, 200  hello");
    let asked = site.asked();
    assert_ne!(key(&asked[0]), key(&asked[1]), "the guest asked twice");
}
