//! The clinic as a service: started, asked, decided and shown over HTTP, by a process that is killed in between.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::built::{FOLDER, copy};

/// A process of the service.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(state: &Path) -> Self {
        Self::of(FOLDER.path(), state)
    }

    fn of(folder: &Path, state: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_clinic-service"))
            .args([folder, state])
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().strip_prefix("http://").expect("an address").to_owned();
        Self { child, address }
    }

    fn request(&self, method: &str, path: &str, user: Option<&str>, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let body = body.to_string();
        let user = user.map(|user| format!("x-clinic-user: {user}\r\n")).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: clinic\r\nconnection: close\r\ncontent-type: application/json\r\n\
             {user}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        (status, serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, None, &Value::Null);
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Asks until the answer is as it should be.
    fn until(&self, path: &str, is: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..2_000 {
            let answer = self.get(path);
            if is(&answer) {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("`{path}` never came to it: {}", self.get(path));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // As a crash: nothing is said to it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_run_is_started_decided_and_shown_and_outlives_its_process() {
    let state = tempfile::tempdir().expect("a folder for the test");
    let service = Service::start(state.path());
    let (status, started) = service.request("POST", "/runs", None, &json!({ "patient": "ada" }));
    assert_eq!(status, 202, "{started}");
    let run = format!("/runs/{}", started["run"].as_str().expect("a run has an id"));
    let is_one = |all: &Value| all.as_array().is_some_and(|all| all.len() == 1);
    let asked = service.until("/approvals", is_one);
    assert_eq!(asked[0]["shows"]["call"]["args"]["text"], "reviewed: 0 notes");
    drop(service);

    // The next process takes the run to where people are asked, should the last one have died on the way there.
    let service = Service::start(state.path());
    service.until(&run, |view| view["status"] == "waiting");
    let asked = service.until("/approvals", is_one);
    let approval = format!("/approvals/{}", asked[0]["id"].as_str().expect("an approval has an id"));
    let approves = json!({ "verdict": "approve", "comment": "read" });
    assert_eq!(service.request("POST", &approval, None, &approves).0, 401);
    assert_eq!(service.request("POST", &approval, Some("nurse"), &approves).0, 401);
    let (status, voted) = service.request("POST", &approval, Some("physician"), &approves);
    assert_eq!((status, &voted["status"]), (200, &json!("approved")), "{voted}");
    let ended = service.until(&run, |view| view["status"] == "succeeded");
    let output = &ended["steps"][0]["output"];
    assert_eq!((&output["seen"], &output["noted"]), (&json!(0), &json!("as note 1")));
    assert!(
        output["rule"].as_str().is_some_and(|rule| rule.contains("signed off by a physician")),
        "{output}"
    );
    assert_eq!(service.request("POST", &approval, Some("physician"), &approves).0, 403);
}

#[test]
fn what_nobody_decides_in_time_goes_on_by_itself() {
    let (folder, state) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another"));
    copy(&FOLDER.path().join("ward.wasm"), &folder.path().join("ward.wasm"));
    let workflow = std::fs::read_to_string(FOLDER.path().join("workflow.toml")).expect("a workflow");
    let asks = "approvers = [\"physicians\"]";
    assert!(workflow.contains(asks), "{workflow}");
    let workflow = workflow.replace(asks, &format!("{asks}, timeout_seconds = 1"));
    std::fs::write(folder.path().join("workflow.toml"), workflow).expect("it is written");
    let service = Service::of(folder.path(), state.path());
    let (_, started) = service.request("POST", "/runs", None, &json!({ "patient": "ada" }));
    let run = format!("/runs/{}", started["run"].as_str().expect("a run has an id"));
    let ended = service.until(&run, |view| view["status"] == "succeeded");
    assert_ne!(ended["steps"][0]["output"]["noted"], "as note 1");
}

#[test]
fn what_is_not_there_or_wrong_is_said_with_a_status() {
    let state = tempfile::tempdir().expect("a folder for the test");
    let service = Service::start(state.path());
    let (status, said) = service.request("POST", "/runs", None, &json!({ "room": 7 }));
    assert_eq!(status, 422, "{said}");
    assert_eq!(service.request("GET", "/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", None, &Value::Null).0, 404);
}

/// The guide in the documentation of `wflo` shows this program: piece by piece, as it stands here.
#[test]
fn the_guide_shows_the_code_that_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let flat = |text: &str| -> String { text.lines().map(|line| format!("{}\n", line.trim())).collect() };
    let files = ["src/clinic.rs", "src/guidelines.rs", "src/records.rs", "src/bin/clinic-service.rs"];
    let code: Vec<String> = files.map(|path| flat(&read(path))).into();
    let guide = read("../../../runtime/wflo/docs/embedding.md");
    let mut blocks = 0;
    for block in guide.split("```rust,ignore\n").skip(1) {
        let (block, _) = block.split_once("```").expect("a block ends");
        blocks += 1;
        for piece in flat(block).split("// ...\n") {
            assert!(code.iter().any(|file| file.contains(piece)), "no such piece:\n{piece}");
        }
    }
    assert!(blocks >= 5, "it shows {blocks} pieces");
}
