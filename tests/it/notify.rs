//! People are told: through the outbox, by the command, to servers on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use crate::harness::{Project, approval_of, eventually};

/// A server that keeps what is posted to it.
pub(crate) struct Inbox {
    pub(crate) address: String,
    status: Arc<Mutex<u16>>,
    posted: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Inbox {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let (status, posted) = (Arc::new(Mutex::new(202)), Arc::new(Mutex::new(Vec::new())));
        let (answer, kept) = (Arc::clone(&status), Arc::clone(&posted));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up early is its own affair.
                let _ = Self::take(stream.expect("a connection"), &answer, &kept);
            }
        });
        Self { address, status, posted }
    }

    fn take(
        mut stream: TcpStream,
        status: &Mutex<u16>,
        kept: &Mutex<Vec<(String, Value)>>,
    ) -> std::io::Result<()> {
        let mut from = BufReader::new(stream.try_clone()?);
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            if path.is_empty() {
                path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        let status = *status.lock().expect("nobody panics");
        if status < 300 {
            kept.lock().expect("nobody panics").push((path, serde_json::from_slice(&body).expect("JSON")));
        }
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    }

    pub(crate) fn posted(&self) -> Vec<(String, Value)> {
        self.posted.lock().expect("nobody panics").clone()
    }

    fn answers(&self, status: u16) {
        *self.status.lock().expect("nobody panics") = status;
    }
}

/// Fraud detection, with Slack and PagerDuty both at `address`.
fn told_at(project: &Project, address: &str) {
    project.edit(
        "wflo.toml",
        "webhook = \"env:SLACK_FRAUD_WEBHOOK\"",
        &format!("webhook = \"{address}/slack\""),
    );
    project.edit(
        "wflo.toml",
        "routing_key = \"env:PD_KEY\"",
        &format!("routing_key = \"R0\"\napi = \"{address}\""),
    );
    let text = std::fs::read_to_string(project.path("wflo.toml")).expect("wflo.toml");
    project.write("wflo.toml", &format!("{text}\n[serve]\nurl = \"https://wflo.example.org/\"\n"));
}

#[test]
fn people_are_told_what_is_asked_and_when_it_is_decided() {
    let (project, people) = Project::fraud();
    let inbox = Inbox::start();
    told_at(&project, &inbox.address);
    // Who is on call is the deployment's to say.
    project.edit("workflow.toml", "pagerduty://fraud-team", "pager://on-call");
    project.edit(
        "wflo.toml",
        "[serve]",
        "[channel.\"pager://on-call\"]\nto = \"pagerduty://fraud-team\"\n\n[serve]",
    );
    let run = project.wflo(&["run", "--json"]).expect_code(10);
    assert!(!run.stderr.contains("wait to be told"), "{}", run.stderr);
    let (id, run) = (approval_of(&run.json()), run.json());
    let posted = inbox.posted();
    assert_eq!(posted.len(), 2, "{posted:?}");
    let (_, slack) = posted.iter().find(|(path, _)| path == "/slack").expect("Slack is told");
    let text = slack["blocks"].to_string();
    for part in
        [&id, run["run"].as_str().expect("an id"), "block_suspicious_accounts", "fraud-team, compliance"]
    {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(text.contains(&format!("https://wflo.example.org/approvals/{id}")), "{text}");
    let suspect = run["steps"][0]["output"]["suspicious"][0].as_str().expect("an account");
    assert!(text.contains(suspect), "what is decided on is shown: {text}");
    let (_, trigger) = posted.iter().find(|(path, _)| path == "/v2/enqueue").expect("PagerDuty is told");
    assert_eq!(
        (&trigger["event_action"], trigger["dedup_key"].as_str()),
        (&"trigger".into(), Some(id.as_str()))
    );

    project.wflo_as("alice", &people.alice, &["approve", &id]).expect_code(10);
    assert_eq!(inbox.posted().len(), 2, "nobody is told of a vote that decides nothing");
    project.wflo_as("carol", &people.carol, &["approve", &id]).expect_code(0);
    let posted = inbox.posted();
    assert_eq!(posted.len(), 3, "Slack need not hear that it is decided: {posted:?}");
    assert_eq!(posted[2].1["event_action"], "resolve");
    assert_eq!(posted[2].1["dedup_key"], id.as_str());
    assert_eq!(project.wflo(&["outbox"]).expect_code(0).stderr.trim(), "nothing waits to be told");
}

#[test]
fn a_channel_that_is_not_set_up_delays_nothing_and_is_told_when_it_is() {
    let (project, _) = Project::fraud();
    let began = Instant::now();
    let run = project.wflo(&["run", "--json"]).expect_code(10);
    assert!(began.elapsed().as_secs() < 8, "nobody waits for what cannot be told: {:?}", began.elapsed());
    assert!(run.stderr.contains("2 notifications wait to be told"), "{}", run.stderr);
    let said = project.wflo(&["outbox"]).expect_code(0).stdout;
    assert!(said.contains("`SLACK_FRAUD_WEBHOOK` is not set"), "{said}");
    let stuck = project.wflo(&["outbox", "--json"]).expect_code(0).json();
    assert_eq!(stuck.as_array().map(Vec::len), Some(2));
    assert_eq!(stuck[0]["approval"], approval_of(&run.json()).as_str());
    assert_eq!(stuck[0]["tries"], 1);
    assert!(stuck[0]["why"].as_str().expect("why").contains("is not set"), "{stuck}");

    let inbox = Inbox::start();
    told_at(&project, &inbox.address);
    inbox.answers(503);
    let later = project.wflo(&["outbox", "--retry"]).expect_code(0);
    assert!(later.stdout.contains("status 503"), "{}", later.stdout);
    inbox.answers(202);
    project.wflo(&["outbox", "--retry"]).expect_code(0);
    assert_eq!(inbox.posted().len(), 2);
    assert_eq!(project.wflo(&["outbox", "--json"]).expect_code(0).json(), serde_json::json!([]));
}

#[test]
fn nobody_is_asked_what_is_decided_already() {
    let (project, people) = Project::fraud();
    let id = approval_of(&project.wflo(&["run", "--json"]).expect_code(10).json());
    project.wflo_as("carol", &people.carol, &["reject", &id]).expect_code(1);
    let inbox = Inbox::start();
    told_at(&project, &inbox.address);
    project.wflo(&["outbox", "--retry"]).expect_code(0);
    assert_eq!(inbox.posted(), [], "whoever never heard the question need not hear the answer");
    assert_eq!(project.wflo(&["outbox", "--json"]).expect_code(0).json(), serde_json::json!([]));
}

#[test]
fn people_are_told_while_the_run_goes_on() {
    let (project, _) = Project::fraud();
    let inbox = Inbox::start();
    told_at(&project, &inbox.address);
    let mut child = project.command(&["run", "--json"]).spawn().expect("the command starts");
    eventually("both are told", || inbox.posted().len() == 2);
    child.wait().expect("it ends");
    assert_eq!(inbox.posted().len(), 2, "each of them once");
}

#[test]
fn a_policy_that_only_tells_tells_and_delays_nothing() {
    let (project, _) = crate::refunds::shop();
    let inbox = Inbox::start();
    let policy = "\n[[policy]]\nname = \"any_refund\"\nwhen = \"refund_amount > 10\"\n\
                  actions = [{ notify = \"webhook://ops\" }]\n";
    let channel =
        format!("\n[channel.\"webhook://ops\"]\nurl = \"{}/hook\"\nsecret = \"whsec\"\n", inbox.address);
    for (file, more) in [("workflow.toml", policy), ("wflo.toml", channel.as_str())] {
        let text = std::fs::read_to_string(project.path(file)).expect("a file of the project");
        project.write(file, &format!("{text}{more}"));
    }
    let run = project.wflo(&["run", "--json"]).expect_code(0).json();
    let posted = inbox.posted();
    let [(path, told)] = posted.as_slice() else { panic!("told once: {posted:?}") };
    assert_eq!((path.as_str(), &told["kind"], &told["run"]), ("/hook", &"happened".into(), &run["run"]));
    assert_eq!(told["details"]["policy"], "any_refund");
    assert_eq!(
        told["details"]["values"]["refund_amount"], 50,
        "once, although the output has it again: {told}"
    );
}
