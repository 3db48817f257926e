//! `wflo serve`, by HTTP.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Project, approval_of, eventually};
use crate::http_client::{Answer, basic, request};
use crate::notify::Inbox;

/// A server on a port of its own.
pub(crate) struct Serving {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn start(project: &Project) -> Self {
        let mut child = project
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).expect("it speaks"), 0, "the server has ended");
            if let Some(rest) = line.strip_prefix("serving on ") {
                break rest.split(';').next().expect("an address").to_owned();
            }
        };
        Self { child, stderr, address }
    }

    /// As a program, with a token.
    #[track_caller]
    pub(crate) fn ask(&self, who: (&str, &str), method: &str, path: &str, body: Option<Value>) -> Answer {
        let token = basic(who.0, who.1);
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        request(&self.address, method, &format!("/api/v1{path}"), &headers, &body)
    }

    /// As a browser, with a cookie.
    #[track_caller]
    fn form(&self, path: &str, cookie: &str, extra: &[(&str, &str)], body: &str) -> Answer {
        let headers =
            [&[("Cookie", cookie), ("Content-Type", "application/x-www-form-urlencoded")], extra].concat();
        request(&self.address, "POST", path, &headers, body)
    }

    #[track_caller]
    fn page(&self, path: &str, cookie: &str) -> Answer {
        request(&self.address, "GET", path, &[("Cookie", cookie)], "")
    }

    /// Logs in, and gives the cookie.
    #[track_caller]
    fn log_in(&self, name: &str, token: &str) -> String {
        let answer =
            self.form("/login", "", &[], &format!("name={name}&token={token}&next=/runs")).expect(303);
        assert_eq!(answer.header("location"), Some("/runs"));
        let cookie = answer.header("set-cookie").expect("a cookie").to_owned();
        for word in ["HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        cookie.split(';').next().expect("a cookie has a value").to_owned()
    }

    /// Waits until it has said something.
    #[track_caller]
    fn until_said(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert_ne!(self.stderr.read_line(&mut line).expect("it speaks"), 0, "it has not said `{what}`");
        }
    }

    /// Asks it to stop, as a service manager does; gives its code and what it said.
    fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).expect("it speaks");
        (self.child.wait().expect("it ends").code(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Ending a child that has ended is no error worth a test's failure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the hidden field of a form holds.
#[track_caller]
fn field<'a>(page: &'a str, name: &str) -> &'a str {
    let at =
        page.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no `{name}` in {page}"));
    page[at..].split('"').nth(3).expect("a value")
}

#[test]
fn a_run_from_its_start_to_its_end_over_the_api() {
    let (project, people) = Project::fraud();
    let inbox = Inbox::start();
    project.edit(
        "wflo.toml",
        "webhook = \"env:SLACK_FRAUD_WEBHOOK\"",
        &format!("webhook = \"{}\"", inbox.address),
    );
    let serving = Serving::start(&project);
    let (alice, carol, mallory) = (
        ("alice", people.alice.as_str()),
        ("carol", people.carol.as_str()),
        ("mallory", people.mallory.as_str()),
    );

    request(&serving.address, "GET", "/api/v1/runs", &[], "").expect(401);
    serving.ask(("alice", "wflo_guess"), "GET", "/runs", None).expect(401);
    let workflows = serving.ask(alice, "GET", "/workflows", None).expect(200).json();
    assert_eq!(workflows[0]["name"], "fraud-detection");
    let start = json!({ "workflow": "fraud-detection", "inputs": {}, "key": "today" });
    let run = serving.ask(mallory, "POST", "/runs", Some(start.clone())).expect(202).json()["run"].clone();
    let again = serving.ask(mallory, "POST", "/runs", Some(start)).expect(202).json();
    assert_eq!(again["run"], run, "the same key is the same run");
    let refused = json!({ "workflow": "fraud-detection", "inputs": { "nonsense": 1 } });
    serving.ask(mallory, "POST", "/runs", Some(refused)).expect(422);
    serving.ask(mallory, "POST", "/runs", Some(json!({ "workflow": "other" }))).expect(404);

    let id = run.as_str().expect("an id").to_owned();
    let shown = || serving.ask(alice, "GET", &format!("/runs/{id}"), None).expect(200).json();
    eventually("it waits", || shown()["status"] == "waiting");
    // The command sees the same, beside the server.
    assert_eq!(project.wflo(&["show", &id, "--json"]).expect_code(0).json(), shown());
    eventually("Slack is told", || inbox.posted().len() == 1);
    let open = serving.ask(alice, "GET", "/approvals", None).expect(200).json();
    let approval = approval_of(&shown());
    assert_eq!(open[0]["id"], approval.as_str());
    let path = format!("/approvals/{approval}/decision");
    let digest = open[0]["subject_digest"].clone();
    let decide =
        |digest: &Value| Some(json!({ "verdict": "approve", "comment": "seen", "subject_digest": digest }));

    let other = json!(format!("sha256:{}", "0".repeat(64)));
    serving.ask(alice, "POST", &path, decide(&other)).expect(409);
    serving.ask(mallory, "POST", &path, decide(&digest)).expect(403);
    serving.ask(alice, "POST", &path, decide(&digest)).expect(200);
    serving.ask(alice, "POST", &path, decide(&digest)).expect(403);
    assert!(project.blocked().is_empty());
    // The other one decides with the command, to which the server is the holder.
    project.wflo_as("carol", &people.carol, &["approve", &approval, "--no-resume"]);
    let _ = carol;
    project.wflo(&["resume", &id]).expect_code(0);
    eventually("it succeeds", || shown()["status"] == "succeeded");
    assert!(!project.blocked().is_empty());

    let cost = serving.ask(alice, "GET", &format!("/runs/{id}/cost"), None).expect(200).json();
    assert_eq!(cost["cost_usd"], shown()["cost_usd"]);
    let audit = serving.ask(alice, "GET", &format!("/runs/{id}/audit"), None).expect(200).json();
    assert!(audit.to_string().contains("alice votes approve"), "{audit}");
    assert!(!serving.ask(alice, "GET", &format!("/runs/{id}/logs"), None).expect(200).json().is_null());
    serving.ask(alice, "GET", "/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", None).expect(404);
    let document = request(&serving.address, "GET", "/api/v1/openapi.json", &[], "").expect(200).json();
    assert!(document["openapi"].as_str().expect("a version").starts_with("3."), "{document}");

    let (code, said) = serving.stop();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopped"), "{said}");
    project.wflo(&["show", &id]).expect_code(0);
}

#[test]
fn what_is_described_is_what_is_answered() {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let serving = Serving::start(&project);
    let alice = ("alice", people.alice.as_str());
    let document = serving.ask(alice, "GET", "/openapi.json", None).expect(200).json();
    let id = run["run"].as_str().expect("an id");
    let approval = approval_of(&run);
    for (shape, path) in [
        ("Run", format!("/runs/{id}")),
        ("RunLine", "/runs".to_owned()),
        ("Cost", format!("/runs/{id}/cost")),
        ("LogLine", format!("/runs/{id}/logs")),
        ("EventLine", format!("/runs/{id}/audit")),
        ("Approval", format!("/approvals/{approval}")),
        ("Approval", "/approvals".to_owned()),
    ] {
        let answer = serving.ask(alice, "GET", &path, None).expect(200).json();
        let one = if answer.is_array() { &answer[0] } else { &answer };
        let schema = &document["components"]["schemas"][shape];
        let known = schema["properties"].as_object().unwrap_or_else(|| panic!("`{shape}` is not described"));
        for name in one.as_object().expect("an object").keys() {
            assert!(known.contains_key(name), "`{shape}` does not describe `{name}`");
        }
        for name in schema["required"].as_array().expect("what is required") {
            assert!(!one[name.as_str().expect("a name")].is_null(), "`{shape}` promises {name}: {one}");
        }
    }
}

#[test]
fn whatever_goes_wrong_is_said_in_json() {
    let (project, people) = Project::fraud();
    let serving = Serving::start(&project);
    let token = basic("alice", &people.alice);
    let known = ("Authorization", token.as_str());
    let json = ("Content-Type", "application/json");
    for (method, path, headers, body, status) in [
        ("GET", "/runs", vec![], "", 401),
        ("GET", "/runs/zz", vec![known], "", 400),
        ("GET", "/runs?limit=abc", vec![known], "", 400),
        ("GET", "/nope", vec![known], "", 404),
        ("DELETE", "/runs", vec![known], "", 405),
        ("POST", "/runs", vec![known], "{}", 415),
        ("POST", "/runs", vec![known, json], "{", 400),
        ("POST", "/runs", vec![known, json], "{\"workflow\": \"x\", \"inputt\": {}}", 422),
        ("POST", "/runs", vec![known, json], "{\"workflow\": \"x\"}", 404),
    ] {
        let answer =
            request(&serving.address, method, &format!("/api/v1{path}"), &headers, body).expect(status);
        let said = answer.json();
        assert!(said["error"].as_str().is_some_and(|error| !error.is_empty()), "{method} {path}: {said}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{method} {path}");
    }
}

#[test]
fn pages_are_for_those_who_have_shown_their_token() {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    let serving = Serving::start(&project);
    let path = format!("/approvals/{approval}");

    let sent_away = serving.page(&path, "").expect(303);
    assert_eq!(sent_away.header("location"), Some(format!("/login?next={path}").as_str()));
    // A link in a message comes without the cookie: the page asks once more by itself.
    let linked = request(&serving.address, "GET", &path, &[("Sec-Fetch-Site", "cross-site")], "").expect(200);
    assert!(linked.body.contains("http-equiv=\"refresh\"") && !linked.body.contains("A-"), "{}", linked.body);
    serving.form("/login", "", &[], "name=alice&token=wflo_guess").expect(401);
    serving.page("/", "wflo_session=0123").expect(303);
    request(&serving.address, "GET", "/login", &[("Host", "evil.example")], "").expect(421);
    let login = serving.page("/login", "").expect(200);
    let policy = login.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!login.body.contains("<script"), "{}", login.body);

    let alice = serving.log_in("alice", &people.alice);
    let inbox = serving.page("/", &alice).expect(200);
    assert!(inbox.body.contains(&path) && inbox.header("cache-control") == Some("no-store"), "{inbox:?}");
    let page = serving.page(&path, &alice).expect(200);
    let suspect = run["steps"][0]["output"]["suspicious"][0].as_str().expect("an account");
    assert!(page.body.contains(suspect), "{}", page.body);
    let (csrf, subject) = (field(&page.body, "csrf"), field(&page.body, "subject"));
    let vote =
        |csrf: &str, subject: &str| format!("csrf={csrf}&subject={subject}&verdict=approve&comment=seen+it");

    serving.form(&path, &alice, &[], &vote("", subject)).expect(403);
    serving.form(&path, &alice, &[("Origin", "https://evil.example")], &vote(csrf, subject)).expect(403);
    serving.form(&path, &alice, &[("Sec-Fetch-Site", "cross-site")], &vote(csrf, subject)).expect(403);
    let mallory = serving.log_in("mallory", &people.mallory);
    serving.form(&path, &mallory, &[], &vote(csrf, subject)).expect(403);
    let own = serving.page("/", &mallory).expect(200);
    serving.form(&path, &mallory, &[], &vote(field(&own.body, "csrf"), subject)).expect(403);
    let stale = format!("sha256:{}", "0".repeat(64));
    serving.form(&path, &alice, &[], &vote(csrf, &stale)).expect(409);
    // A cookie alone changes nothing over the API either.
    let decision = json!({ "verdict": "approve", "subject_digest": subject }).to_string();
    let headers = [("Cookie", alice.as_str()), ("Content-Type", "application/json")];
    let api = format!("/api/v1{path}/decision");
    request(&serving.address, "POST", &api, &headers, &decision).expect(403);
    let open = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
    assert_eq!(open["votes"], json!([]), "nobody has voted yet");

    serving.form(&path, &alice, &[], &vote(csrf, subject)).expect(303);
    let open = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
    assert_eq!(
        (&open["votes"][0]["principal"], &open["votes"][0]["comment"]),
        (&json!("alice"), &json!("seen it"))
    );
    for path in ["/runs", &format!("/runs/{}", run["run"].as_str().expect("an id"))] {
        assert!(serving.page(path, &alice).expect(200).body.contains("fraud-detection"));
    }
    serving.page("/nothing", &alice).expect(404);

    serving.form("/logout", &alice, &[], &format!("csrf={csrf}")).expect(303);
    serving.page("/", &alice).expect(303);
}

#[test]
fn whoever_guesses_is_not_listened_to_for_a_while() {
    let (project, people) = Project::fraud();
    let serving = Serving::start(&project);
    // In one name from anywhere, the store has whoever asks wait; in many names, it is the address that does.
    for n in 0..10 {
        serving.form("/login", "", &[], &format!("name=guess-{n}&token=wflo_guess")).expect(401);
    }
    serving.form("/login", "", &[], &format!("name=alice&token={}", people.alice)).expect(429);
    let closed = serving.ask(("alice", &people.alice), "GET", "/runs", None).expect(429);
    assert!(closed.header("retry-after").is_some(), "{closed:?}");
}

#[test]
fn what_comes_due_goes_on_by_itself() {
    let (project, people) = Project::fraud();
    project.edit("workflow.toml", "timeout_seconds = 3600", "timeout_seconds = 2");
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let id = run["run"].as_str().expect("an id").to_owned();
    let serving = Serving::start(&project);
    let status = || {
        let shown = serving.ask(("alice", &people.alice), "GET", &format!("/runs/{id}"), None).expect(200);
        shown.json()["status"].clone()
    };
    eventually("the approval expires, and the run fails", || status() == "failed");
}

#[test]
fn what_the_host_has_failed_is_tried_again() {
    let project = Project::workflow("chores");
    let book = rusqlite::Connection::open(project.path("book.db")).expect("the book");
    book.execute_batch("CREATE TABLE squares (number INTEGER, square INTEGER)").expect("the book");
    let run = project.wflo(&["run", "--json", "--input", "nap_ms=1100"]).expect_code(11).json();
    let id = run["run"].as_str().expect("an id").to_owned();
    // The store has lost the component for a while, as one on a network may.
    let stored = crate::chores::stored(&project);
    let away = |file: &std::path::Path| file.with_extension("away");
    for file in &stored {
        std::fs::rename(file, away(file)).expect("the store has it");
    }
    let mut serving = Serving::start(&project);
    serving.until_said("it is tried again in 2 s");
    for file in &stored {
        std::fs::rename(away(file), file).expect("it is there");
    }
    let status = || project.wflo(&["show", &id, "--json"]).expect_code(0).json()["status"].clone();
    eventually("it goes on by itself", || status() == "succeeded");
}
