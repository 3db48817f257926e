//! `wasi:http` by clients that others have written: the event loop of componentize-py, and the `fetch` of StarlingMonkey.
//!
//! Rust's is in `http.rs`. The component with StarlingMonkey in it is made by `cargo xtask test`; where it cannot be had, that
//! says so and sets `WFLO_TEST_STARLINGMONKEY` to `none`.

use std::path::Path;

use serde_json::{Value, json};

use crate::conformance::site;
use crate::harness::{Project, root};
use crate::language::{Language, be_patient};

/// The workflow, for a server on this port.
fn project(port: u16) -> Project {
    let project = Project::new("hello");
    let manifest = std::fs::read_to_string(clients().join("workflow.toml")).expect("the tests have it");
    project.write("workflow.toml", &manifest.replace("61616", &port.to_string()));
    be_patient(&project.path("wflo.toml"));
    project
}

fn clients() -> std::path::PathBuf {
    root().join("tests/clients")
}

/// What each step comes to; `denied` is what a client makes of `HttpRequestDenied`, and `two` what the second of two
/// requests at the same time is answered.
fn asks(project: &Project, port: u16, denied: &str, two: &str) {
    let run = project.wflo(&["run", "--json", "--input", &format!("port={port}")]).expect_code(0).json();
    let outputs: Vec<Value> =
        run["steps"].as_array().expect("steps").iter().map(|step| step["output"].clone()).collect();
    let expected =
        json!([[200, "漢字"], denied, [200, "before ü"], [200, true], [200, "/api/meet?one", 200, two],]);
    assert_eq!(Value::from(outputs), expected);
    let id = run["run"].as_str().expect("a run has an id");
    let shown = project.wflo(&["show", id]).expect_code(0).stdout;
    let calls = |step: &str| {
        shown.lines().filter(|line| line.contains(step) && line.contains("outgoing-handler.handle")).count()
    };
    // A request that is no GET has an intent beside its result; a denial is one event.
    assert_eq!(
        (calls("granted:"), calls("denied:"), calls("before:"), calls("both:")),
        (1, 1, 1, 2),
        "{shown}"
    );
    assert!(shown.contains("denied: denied wasi:http/outgoing-handler.handle: access denied"), "{shown}");
    let replayed = project.wflo(&["replay", id]).expect_code(0).stdout;
    assert!(replayed.ends_with("identical\n"), "{replayed}");
}

#[test]
fn python_asks_by_its_own_loop() {
    if !Language::Python.is_here() {
        return;
    }
    let port = site();
    let project = project(port);
    let steps = project.path("python");
    std::fs::create_dir(&steps).expect("a folder for the steps");
    for (from, to) in [
        ("tests/clients/python/steps.py", "steps.py"),
        ("tests/conformance/python/requirements.txt", "requirements.txt"),
    ] {
        std::fs::copy(root().join(from), steps.join(to)).expect("a copy");
    }
    Language::Python.lend(&steps);
    project.wflo(&["build", "--steps", "python"]).expect_code(0);
    asks(&project, port, "HttpRequestDenied", "/api/meet?two");
}

#[test]
fn javascript_asks_by_fetch() {
    #[expect(clippy::disallowed_methods, reason = "`cargo xtask test` says so by the environment")]
    let is_none = std::env::var("WFLO_TEST_STARLINGMONKEY").is_ok_and(|value| value == "none");
    if is_none {
        return;
    }
    let component: &Path = &clients().join("javascript/target/clients.wasm");
    assert!(
        component.is_file(),
        "`{}` is not there: run `cargo xtask test`, or set WFLO_TEST_STARLINGMONKEY=none",
        component.display()
    );
    let port = site();
    let project = project(port);
    std::fs::copy(component, project.path("clients.wasm")).expect("a copy");
    asks(&project, port, "Error", "two");
}
