//! What a step was not given: secrets it uses and never has, files it reads and nothing around them, labelled data that
//! go only where they may.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::Project;

const KEY: &str = "sk_live_51Hx&QK/very+secret";

/// A server that answers with what it was asked, head and body, in every encoding that comes to its mind.
struct Echo {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let port = listener.local_addr().expect("it has an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let Some(request) = read(&mut client) else { continue };
                seen.lock().expect("no test panics here").push(request.clone());
                let mut body = request.clone();
                for byte in request.bytes() {
                    write!(body, "{byte:02x}").expect("a string takes everything");
                }
                let echo = request.lines().find_map(|line| line.strip_prefix("authorization: "));
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nx-echo: {}\r\nContent-Length: {}\r\n\r\n{body}",
                    echo.unwrap_or("nothing"),
                    body.len()
                );
                let _ = client.write_all(answer.as_bytes());
            }
        });
        Self { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/a?b=c", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics here").clone()
    }
}

/// A request in whole; none if the client is gone before.
fn read(client: &mut TcpStream) -> Option<String> {
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

/// A step that never runs: the component imports more than any one step is granted.
const IDLE: &str = "[[step]]\nname = \"idle\"\nfunction = \"tell\"\nwhen = \"false\"\n\
                    grants.secrets = [\"stripe\"]\ngrants.http = [\"GET http://127.0.0.1:*/*\"]\n\
                    grants.db.clinic = { read = [\"wards\"] }\n";

/// The clinic with one step, and what the deployment says of it.
fn clinic(step: &str, deployment: &str) -> Project {
    let bound = "[secret.stripe]\nvalue = \"of no use to anybody\"\nhosts = [\"https://api.stripe.com\"]\n";
    let bound = if deployment.contains("[secret.stripe]") { "" } else { bound };
    clinic_of(&format!("{step}{IDLE}"), &format!("{deployment}{bound}"))
}

/// The clinic with these steps.
fn clinic_of(step: &str, deployment: &str) -> Project {
    let project = Project::workflow("clinic");
    let head = "[workflow]\nname = \"clinic\"\ncomponent = \"clinic.wasm\"\n\
                [inputs.url]\ntype = \"string\"\ndefault = \"\"\n[inputs.other]\ntype = \"string\"\ndefault = \"\"\n";
    project.write("workflow.toml", &format!("{head}{step}"));
    project.write("wflo.toml", &format!("[db.clinic]\nurl = \"sqlite:clinic.db\"\n{deployment}"));
    let data = rusqlite::Connection::open(project.path("clinic.db")).expect("the data");
    data.execute_batch(
        "CREATE TABLE wards (name TEXT);
         CREATE TABLE patients (name TEXT, number INTEGER);
         INSERT INTO patients VALUES ('Ada Lovelace', 4711001);
         CREATE TABLE notes (note TEXT);
         INSERT INTO notes VALUES ('Grace \"Amazing\" Hopper' || char(10) || 'was admitted for a fracture');",
    )
    .expect("the data");
    project
}

fn outputs(run: &Value) -> Vec<String> {
    let output = run["steps"][0]["output"].as_array().unwrap_or_else(|| panic!("{run}"));
    output.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// Whether a text is in any file of a folder, or of those in it.
fn is_in_files(folder: &Path, text: &str) -> bool {
    folder.read_dir().expect("a folder").flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_in_files(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

fn secret_for(port: u16) -> String {
    format!("[secret.stripe]\nvalue = \"env:STRIPE_KEY\"\nhosts = [\"http://127.0.0.1:{port}\"]\n")
}

const PAY: &str =
    "[[step]]\nname = \"pay\"\ngrants.secrets = [\"stripe\"]\ngrants.http = [\"* http://127.0.0.1:*/*\"]\n";

#[test]
fn a_secret_reaches_its_host_and_nobody_else() {
    let echo = Echo::start();
    let project = clinic(PAY, &secret_for(echo.port));
    let input = format!("url={}", echo.url());
    let mut command = project.command(&["run", "--json", "--input", &input]);
    let ran = crate::harness::Output::of(command.env("STRIPE_KEY", KEY)).expect_code(0);
    let asked = echo.asked();
    assert!(asked[0].contains(&format!("authorization: Bearer {KEY}\r\n")), "{}", asked[0]);
    assert!(asked[1].ends_with(&format!("{{\"key\":\"{KEY}\"}}")), "{}", asked[1]);
    assert!(asked.iter().all(|request| request.contains("accept-encoding: identity\r\n")), "{asked:?}");

    // What it echoes comes back without it, in every encoding.
    let run = ran.json();
    let said = outputs(&run);
    assert!(said[0].contains("Some(\"Bearer [secret stripe]\")"), "{}", said[0]);
    assert_eq!(said[0].matches("[secret stripe]").count(), 3, "{}", said[0]);
    let id = run["run"].as_str().expect("an id");
    let everything = [
        ran.stdout.clone(),
        ran.stderr.clone(),
        project.wflo(&["logs", id]).expect_code(0).stdout,
        project.wflo(&["show", id]).expect_code(0).stdout,
        project.wflo(&["audit", "show", id, "--json"]).expect_code(0).stdout,
        project.wflo(&["audit", "export", id]).expect_code(0).stdout,
        project.wflo(&["replay", id]).expect_code(0).stdout,
    ];
    let hex = KEY.bytes().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    for text in &everything {
        assert!(!text.contains(KEY) && !text.contains(&hex) && !text.contains("sk_live"), "{text}");
    }
    assert!(everything[2].contains("the key is wflo-secret-"), "{}", everything[2]);
    assert!(!is_in_files(&project.path(".wflo"), KEY));
    assert_eq!(echo.asked().len(), 2, "a replay asks nobody");
}

/// A server that keeps what is posted to it, and gives it away whole, in parts where it is asked for parts, and in parts
/// where it is not.
fn keeper() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
    let port = listener.local_addr().expect("it has an address").port();
    std::thread::spawn(move || {
        let mut kept = String::new();
        for mut client in listener.incoming().flatten() {
            let Some(request) = read(&mut client) else { continue };
            let (head, body) = request.split_once("\r\n\r\n").expect("a head");
            if head.starts_with("POST ") {
                kept = body.to_owned();
            }
            let range = head.lines().find_map(|line| line.strip_prefix("range: bytes=")?.split_once('-'));
            let range = range.map(|(from, to)| (from.parse().expect("from"), to.parse().expect("to")));
            let range = range.or(head.starts_with("GET /part ").then_some((0_usize, 9_usize)));
            let (status, body) = match range {
                Some((from, to)) => (206, kept.get(from..kept.len().min(to + 1)).unwrap_or_default()),
                None => (200, kept.as_str()),
            };
            // Nothing is coded in truth: what says so is not looked into.
            let coding = if head.starts_with("GET /coded ") { "content-encoding: br\r\n" } else { "" };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} OK\r\nConnection: close\r\n{coding}Content-Length: {length}\r\n\r\n{body}"
            );
            let _ = client.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn a_secret_does_not_come_back_by_another_request() {
    let port = keeper();
    let step = PAY.replace("pay", "recall");
    let project = clinic(&step, &secret_for(port));
    let input = format!("url=http://127.0.0.1:{port}");
    let mut command = project.command(&["run", "--json", "--input", &input]);
    let ran = crate::harness::Output::of(command.env("STRIPE_KEY", KEY)).expect_code(0);
    let said = outputs(&ran.json());
    for whole in [&said[0], &said[1], &said[4]] {
        assert!(whole.ends_with("[secret stripe]"), "{said:?}");
    }
    for hidden in [&said[2], &said[3], &said[5]] {
        assert!(hidden.contains("not shown"), "{said:?}");
    }
    assert!(!ran.stdout.contains(&KEY[..8]) && !ran.stdout.contains(&KEY[10..20]), "{}", ran.stdout);
}

#[test]
fn a_secret_that_heads_elsewhere_is_a_denial() {
    let (echo, other) = (Echo::start(), Echo::start());
    let step = "[[step]]\nname = \"leak\"\ngrants.secrets = [\"stripe\"]\n\
                grants.http = [\"* http://127.0.0.1:*/*\"]\ngrants.db.clinic = { read = [\"patients\"] }\n";
    let project = clinic(step, &secret_for(echo.port));
    let inputs = [format!("url={}", echo.url()), format!("other={}", other.url())];
    let mut command = project.command(&["run", "--json", "--input", &inputs[0], "--input", &inputs[1]]);
    let run = crate::harness::Output::of(command.env("STRIPE_KEY", KEY)).expect_code(0).json();
    let said = outputs(&run);
    assert!(said[0].contains("error: access denied"), "{said:?}");
    assert!(said[1].contains("error: access denied"), "{said:?}");
    assert!(said[2].contains("goes into requests over HTTP and nowhere else"), "{said:?}");
    assert!(said[3].contains("secret `other` is not granted"), "{said:?}");
    assert!(echo.asked().is_empty() && other.asked().is_empty());
    let audit =
        project.wflo(&["audit", "show", run["run"].as_str().expect("an id"), "--json"]).expect_code(0);
    assert_eq!(audit.stdout.matches(": denied ").count(), 4, "each is an event: {}", audit.stdout);
    assert!(audit.stdout.contains("the deployment binds it to"), "{}", audit.stdout);
}

#[test]
fn a_secret_that_is_not_there_is_said_before_anything_runs() {
    let project = clinic_of(PAY, "");
    let refused = project.wflo(&["check"]).expect_code(2);
    assert!(refused.stderr.contains("binds no secret `stripe`"), "{refused:?}");
    let project = clinic(PAY, &secret_for(1));
    let refused = project.wflo(&["run"]).expect_code(2);
    assert!(refused.stderr.contains("`STRIPE_KEY` is not set"), "{refused:?}");
    let mut command = project.command(&["run"]);
    let refused = crate::harness::Output::of(command.env("STRIPE_KEY", "short")).expect_code(2);
    assert!(refused.stderr.contains("8 bytes at least") && !refused.stderr.contains("short"), "{refused:?}");
}

#[test]
fn files_are_read_and_nothing_around_them() {
    let step = "[[step]]\nname = \"read\"\ngrants.files = [{ host = \"notes/\", guest = \"/notes\" }]\n";
    let project = clinic(step, "");
    std::fs::create_dir(project.path("notes")).expect("a folder");
    project.write("notes/one.txt", "the first note");
    symlink("../wflo.toml", project.path("notes/out")).expect("a link");
    let run = project.wflo(&["run", "--json"]).expect_code(0).json();
    let said = outputs(&run);
    assert_eq!(said[0], "the first note");
    assert_eq!(said[1], "one.txt out");
    assert!(said[2].starts_with("error: ") && said[3].starts_with("error: "), "{said:?}");
    assert!(said[4].starts_with("Err("), "{said:?}");
    assert!(!project.path("notes/two.txt").exists());
    let id = run["run"].as_str().expect("an id");
    let audit = project.wflo(&["audit", "show", id, "--json"]).expect_code(0).stdout;
    assert_eq!(audit.matches(": denied ").count(), 3, "{audit}");

    // A replay needs no file system: what was read is in the journal.
    std::fs::remove_dir_all(project.path("notes")).expect("a folder");
    project.wflo(&["replay", id]).expect_code(0);
    let again = project.wflo(&["run", "--json"]);
    assert_eq!(again.code, 1, "and a new run needs it: {again:?}");
}

#[test]
fn what_the_host_keeps_is_lent_to_nobody() {
    for (folder, words) in [
        ("..", "is not a folder of the host that can be lent"),
        (".wflo", "is not a folder of the host that can be lent"),
        (".", "is not a folder of the host that can be lent"),
        ("/etc", "is above the ceiling of"),
    ] {
        let step = format!(
            "[[step]]\nname = \"read\"\ngrants.files = [{{ host = \"{folder}\", guest = \"/notes\" }}]\n"
        );
        let refused = clinic(&step, "").wflo(&["check"]).expect_code(2);
        assert!(refused.stderr.contains(words), "{folder}: {refused:?}");
    }
    // A store that lies in a folder, or is one by another name.
    let step = "[[step]]\nname = \"read\"\ngrants.files = [{ host = \"notes\", guest = \"/notes\" }]\n";
    let project = clinic(step, "[store]\nurl = \"sled:notes/state\"\n");
    std::fs::create_dir(project.path("notes")).expect("a folder");
    project.write("notes/one.txt", "the first note");
    let run = project.wflo(&["run", "--json"]).expect_code(1);
    assert!(!run.stdout.contains("the first note"), "{run:?}");
}

const PHI: &str = "columns = { \"patients.name\" = [\"phi\"] }\n";

#[test]
fn labelled_data_go_where_they_are_accepted() {
    let (records, other) = (Echo::start(), Echo::start());
    let step = "[[step]]\nname = \"tell\"\ngrants.http = [\"GET http://127.0.0.1:*/*\"]\ngrants.db.clinic = { read = [\"patients\"] }\n";
    let accepts = |port: u16| format!("{PHI}[host.\"http://127.0.0.1:{port}\"]\naccepts = [\"phi\"]\n");
    let project = clinic(step, &accepts(records.port));
    let inputs = [format!("url={}", records.url()), format!("other={}", other.url())];
    let run = project.wflo(&["run", "--json", "--input", &inputs[0], "--input", &inputs[1]]);
    let run = run.expect_code(0).json();
    let said = outputs(&run);
    assert!(said[0].starts_with("200 ") && said[1].contains("error: access denied"), "{said:?}");
    assert_eq!((records.asked().len(), other.asked().len()), (1, 0));
    let id = run["run"].as_str().expect("an id");
    let audit = project.wflo(&["audit", "show", id, "--json"]).expect_code(0).stdout;
    assert!(audit.contains("handles data labelled `phi`, which `http://127.0.0.1:"), "{audit}");
    project.wflo(&["replay", id]).expect_code(0);
    let words = project.wflo(&["check", "--explain", "tell"]).expect_code(0).stdout;
    assert!(words.contains("handles data labelled `phi`"), "{words}");

    // Where nobody accepts them, it is said before anything runs.
    let refused = clinic(step, PHI).wflo(&["check"]).expect_code(2);
    assert!(refused.stderr.contains("which no host accepts"), "{refused:?}");
}

#[test]
fn what_a_step_has_read_of_a_patient_is_in_no_log_and_no_error() {
    let step = "[[step]]\nname = \"treat\"\ngrants.db.clinic = { read = [\"patients\"] }\n";
    let project = clinic(step, PHI);
    let ran = project.wflo(&["run", "--json"]).expect_code(1);
    let run = ran.json();
    let id = run["run"].as_str().expect("an id");
    let logs = project.wflo(&["logs", id]).expect_code(0).stdout;
    assert!(logs.contains("treating [redacted], number [redacted]"), "{logs}");
    for text in [&ran.stdout, &ran.stderr, &logs] {
        assert!(!text.contains("Lovelace") && !text.contains("4711001"), "{text}");
    }
    assert!(ran.stdout.contains("[redacted] is not here"), "{}", ran.stdout);
    // It follows from what was read, so that a replay comes to the same words.
    project.wflo(&["replay", id]).expect_code(0);

    let plain = clinic(step, "").wflo(&["run", "--json"]).expect_code(1);
    assert!(plain.stdout.contains("Ada Lovelace is not here"), "without labels nothing is hidden: {plain:?}");
    assert_eq!(json!(null), run["steps"][0]["output"]);
}

/// In several lines, with escapes, and in the host's own words about an output.
#[test]
fn what_a_step_has_read_is_in_no_log_and_no_error_in_another_form() {
    let label = "columns = { \"notes.note\" = [\"phi\"] }\n";
    let of = |name: &str| {
        format!(
            "[[step]]\nname = \"{name}\"\ngrants.db.clinic = {{ read = [\"notes\"] }}\n\
             output = {{ type = \"array\", items = {{ type = \"integer\" }} }}\n"
        )
    };
    for (step, says) in [("chart", "cannot read"), ("slip", "is not of type")] {
        let project = clinic(&of(step), label);
        let ran = project.wflo(&["run", "--json"]).expect_code(1);
        let run = ran.json();
        let id = run["run"].as_str().expect("an id");
        assert!(ran.stdout.contains(says) && ran.stdout.contains("[redacted]"), "{}", ran.stdout);
        let shown = [
            ran.stdout.clone(),
            ran.stderr.clone(),
            project.wflo(&["logs", id]).expect_code(0).stdout,
            project.wflo(&["show", id]).expect_code(0).stdout,
            project.wflo(&["audit", "show", id]).expect_code(0).stdout,
        ];
        for (text, word) in shown.iter().flat_map(|text| ["Grace", "Hopper", "fracture"].map(|it| (text, it)))
        {
            assert!(!text.contains(word), "{text}");
        }
        project.wflo(&["replay", id]).expect_code(0);
    }
}
