//! Requests that are under way at the same time: what each comes to is told in an order that the journal keeps.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;

use crate::harness::{Project, eventually};
use crate::http::{KEYED, courier, key, read};

const GET: &str = "\"GET http://127.0.0.1:PORT/api/*\"";
const POST: &str = "\"POST http://127.0.0.1:PORT/api/*\"";

/// A server on loopback that holds what it is asked until it has been asked enough.
struct Server {
    port: u16,
    asked: Arc<(Mutex<Vec<String>>, Condvar)>,
}

/// Whether what is asked is answered, by all that has been asked.
type Answers = fn(&str, &Asked<'_>) -> bool;

struct Asked<'a>(&'a [String]);

impl Asked<'_> {
    fn times(&self, what: &str) -> usize {
        self.0.iter().filter(|asked| asked_for(asked) == what).count()
    }

    fn has(&self, what: &str) -> bool {
        self.times(what) > 0
    }
}

/// What the query of a request ends with.
fn asked_for(request: &str) -> &str {
    let path = request.split(' ').nth(1).unwrap_or_default();
    path.rsplit('&').next().unwrap_or_default()
}

impl Server {
    fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of loopback");
        let port = listener.local_addr().expect("it has an address").port();
        let asked = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let shared = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let Some(request) = read(&mut client) else { return };
                    let (asked, more) = &*shared;
                    let mut asked = asked.lock().expect("no test panics here");
                    asked.push(request.clone());
                    more.notify_all();
                    let held = more.wait_while(asked, |asked| !answers(asked_for(&request), &Asked(asked)));
                    drop(held.expect("no test panics here"));
                    // A client that is gone wants no answer.
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
                    let _ = client.write_all(answer.as_bytes());
                });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.0.lock().expect("no test panics here").clone()
    }

    fn times(&self, what: &str) -> usize {
        Asked(&self.asked()).times(what)
    }

    fn project(&self, step: &str, grant: &str) -> Project {
        courier(self.port, step, grant)
    }
}

/// The last of three first, and each of the others once the guest has seen the one after it.
fn backwards(what: &str, asked: &Asked<'_>) -> bool {
    match what {
        "n=2" => ["n=0", "n=1", "n=2"].iter().all(|what| asked.has(what)),
        "n=1" => asked.has("seen=2"),
        "n=0" => asked.has("seen=1"),
        _ => true,
    }
}

/// As [`backwards`], but for the second, which is answered when it is asked for again.
fn stuck_once(what: &str, asked: &Asked<'_>) -> bool {
    match what {
        "n=1" => asked.times("n=1") > 1,
        _ => backwards(what, asked),
    }
}

/// Which of the three the guest was told in which order.
fn order(output: &Value) -> Vec<String> {
    let text = output.as_str().expect("a text");
    let told =
        text.trim_matches('"').split(", ").filter_map(|told| Some(told.split_once(" at ")?.0.to_owned()));
    told.filter(|what| what.starts_with("n=")).collect()
}

fn is_identical(project: &Project, run: &str) {
    let replayed = project.wflo(&["replay", run]).expect_code(0).stdout;
    assert!(replayed.ends_with("identical\n"), "{replayed}");
}

fn id(run: &Value) -> &str {
    run["run"].as_str().expect("a run has an id")
}

#[test]
fn three_are_under_way_at_once_and_replay_in_the_order_in_which_they_came() {
    for (step, grant) in [("together", GET), ("posts_together", KEYED), ("posts_together", POST)] {
        let server = Server::start(backwards);
        let project = server.project(step, grant);
        let run = project.wflo(&["run", "--json"]).expect_code(0).json();
        assert_eq!(order(&run["steps"][0]["output"]), ["n=2", "n=1", "n=0"], "{step} {grant}");
        is_identical(&project, id(&run));
        assert_eq!(server.asked().len(), 6, "{step} {grant}: a replay asks nobody");
        let logged = project.wflo(&["logs", id(&run)]).expect_code(0).stdout;
        assert_eq!(logged.matches(": 200  hello").count(), 6, "{logged}");
    }
}

#[test]
fn what_was_under_way_at_a_crash_is_asked_for_again_and_comes_after_what_had_come() {
    for (step, grant) in [("together", GET), ("posts_together", KEYED)] {
        let server = Server::start(stuck_once);
        let project = server.project(step, grant);
        let mut child = project.command(&["run"]).spawn().expect("the command starts");
        eventually("the guest has seen the first answer", || server.times("seen=2") == 1);
        child.kill().expect("the command is there to be killed");
        child.wait().expect("it ends");

        let resumed = project.wflo(&["resume", "--json"]).expect_code(0).json();
        let run = &resumed;
        assert_eq!(order(&run["steps"][0]["output"]), ["n=2", "n=1", "n=0"], "{step} {grant}");
        is_identical(&project, id(run));
        assert_eq!(["n=1", "n=0"].map(|what| server.times(what)), [2, 2], "{step} {grant}");
        // It had come, if the journal has it; nobody says so before it is durable.
        assert!(server.times("n=2") <= 2, "{step} {grant}");
        if grant == KEYED {
            let asked = server.asked();
            let of =
                |what| asked.iter().filter(move |asked| asked_for(asked) == what).map(|asked| key(asked));
            for what in ["n=0", "n=1", "n=2"] {
                let keys: Vec<_> = of(what).collect();
                assert!(keys.iter().all(|key| *key == keys[0]), "{what}: {keys:?}");
            }
        }
    }
}

#[test]
fn people_settle_each_of_those_that_nobody_knows_of() {
    let server = Server::start(stuck_once);
    let project = server.project("posts_together", POST);
    let mut child = project.command(&["run"]).spawn().expect("the command starts");
    eventually("the guest has seen the first answer", || server.times("seen=2") == 1);
    child.kill().expect("the command is there to be killed");
    child.wait().expect("it ends");

    let parked = project.wflo(&["resume", "--json"]).expect_code(11).json();
    let run = id(&parked).to_owned();
    let unknown = || {
        let shown = project.wflo(&["show", &run, "--json"]).expect_code(0).json();
        assert_eq!(shown["waiting_for"][0]["kind"], "unknown", "{shown}");
        shown["waiting_for"][0]["intent"].as_u64().expect("the call has a number").to_string()
    };
    // They are asked about in the order in which the guest made them: first `n=0`, then `n=1`, then what told the
    // server of the first answer, if that was not known.
    let done = r#"{"status": 200, "body": "hello"}"#;
    project.wflo(&["resolve", &run, &unknown(), "--done", done]).expect_code(11);
    let mut settled = project.wflo(&["resolve", &run, &unknown(), "--not-done", "--json"]);
    while settled.code == 11 {
        settled = project.wflo(&["resolve", &run, &unknown(), "--done", done, "--json"]);
    }
    let ended = settled.expect_code(0).json();
    assert_eq!(["n=0", "n=1", "n=2"].map(|what| server.times(what)), [1, 2, 1]);
    let mut told = order(&ended["steps"][0]["output"]);
    told.sort();
    assert_eq!(told, ["n=0", "n=1", "n=2"]);
    is_identical(&project, &run);
}

#[test]
fn a_timer_that_comes_first_comes_first_in_a_replay() {
    let server = Server::start(|what, asked| what != "slow" || asked.has("go"));
    let project = server.project("races", GET);
    let run = project.wflo(&["run", "--json"]).expect_code(0).json();
    let output = run["steps"][0]["output"].as_str().expect("a text");
    assert!(output.starts_with("[1] 200  hello at "), "{output}");
    assert!(output.ends_with("[0, 1] 200  hello"), "{output}");
    is_identical(&project, id(&run));
    let shown = project.wflo(&["show", id(&run)]).expect_code(0).stdout;
    assert!(shown.contains("goes on while its requests are under way"), "{shown}");
}

#[test]
fn what_a_guest_does_not_wait_for_is_waited_for() {
    let server = Server::start(|_, _| true);
    let project = server.project("leaves", POST);
    let run = project.wflo(&["run", "--json"]).expect_code(0).json();
    assert_eq!(server.asked().len(), 1);
    let shown = project.wflo(&["show", id(&run)]).expect_code(0).stdout;
    assert!(shown.contains("returned"), "{shown}");
    is_identical(&project, id(&run));
}

#[test]
fn more_than_the_host_has_under_way_are_made_all_the_same() {
    // Sixteen are under way before one is answered, and no more.
    let server = Server::start(|_, asked| asked.0.len() >= 16);
    let project = server.project("many", GET);
    let run = project.wflo(&["run", "--json"]).expect_code(0).json();
    assert_eq!(run["steps"][0]["output"], "40");
    is_identical(&project, id(&run));
    let server = Server::start(|_, asked| asked.0.len() >= 17);
    let project = server.project("many", GET);
    let mut child = project.command(&["run"]).spawn().expect("the command starts");
    eventually("sixteen arrive", || server.asked().len() == 16);
    child.kill().expect("the command is there to be killed");
    child.wait().expect("it ends");
    assert_eq!(server.asked().len(), 16);
}

#[test]
fn a_deadline_does_not_wait_for_what_is_under_way() {
    for (step, grant, code) in
        [("together", GET, 1), ("posts_together", KEYED, 1), ("posts_together", POST, 11)]
    {
        let server = Server::start(|what, asked| what != "n=1" && backwards(what, asked));
        let project = server.project(step, grant);
        project.append("workflow.toml", "timeout_seconds = 2\n");
        let run = project.wflo(&["run", "--json"]).expect_code(code).json();
        match code {
            1 => {
                let error = run["steps"][0]["error"].as_str().expect("it failed");
                assert!(error.contains("deadline"), "{error}");
            }
            // Somebody has to look whether the server has done it.
            _ => assert_eq!(run["waiting_for"][0]["kind"], "unknown", "{run}"),
        }
        is_identical(&project, id(&run));
    }
}
