//! The tools of the languages that steps are written in, and what came of the suite that each has to pass.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use crate::tool::{Step, cargo, command, root};

/// A language whose tools come from a registry.
struct Language {
    /// Its folder in the suite.
    name: &'static str,
    /// What the tests are told where its tools cannot be had.
    variable: &'static str,
    /// What there is when they have been installed.
    tools: &'static str,
}

/// The Go compiler, in the folder of the suite.
const GO: &str = ".venv/bin/go";

const LANGUAGES: [Language; 4] = [
    Language {
        name: "javascript",
        variable: "WFLO_TEST_JAVASCRIPT",
        tools: "node_modules/.bin/componentize-qjs",
    },
    Language { name: "python", variable: "WFLO_TEST_PYTHON", tools: ".venv/bin/componentize-py" },
    Language { name: "go", variable: "WFLO_TEST_GO", tools: GO },
    Language { name: "c", variable: "WFLO_TEST_C", tools: ".venv/bin/python-zig" },
];

/// Makes sure that the tools are there, by `wflo build --install` itself. Where they cannot be had, says so, and gives
/// what the tests are to be told.
#[expect(clippy::print_stderr, reason = "a tool for a terminal")]
pub(crate) fn ready(wflo: &Path) -> Vec<(&'static str, &'static str)> {
    let mut lacking = Vec::new();
    for Language { name, variable, tools } in LANGUAGES {
        if suite().join(name).join(tools).is_file() {
            continue;
        }
        let mut install = command(wflo);
        install.args(["build", "--install", "--steps", name]).arg(suite());
        if Step::new("installing the tools of a language").run(&mut install).is_err() {
            eprintln!("\n*** the tools of {name} cannot be had on this machine:");
            eprintln!("*** STEPS IN {} WILL NOT BE TESTED; everything else will be\n", name.to_uppercase());
            lacking.push((variable, "none"));
        }
    }
    lacking
}

/// The tests of the SDKs themselves, which need no host: on Node.js and on Python, where these are.
pub(crate) fn test_sdks(names: &[&str]) -> Result<()> {
    if !names.is_empty() {
        return Ok(());
    }
    let is_there = |program: &str| {
        command(program).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    let mut tested = Ok(());
    if is_there("npm") {
        let mut sdk = command("npm");
        sdk.args(["test", "--silent"]).current_dir(root().join("guest-sdk/js"));
        tested = tested.and(Step::new("testing the JavaScript SDK").run(&mut sdk));
    }
    if is_there("python3") {
        let mut sdk = command("python3");
        let folder = root().join("guest-sdk/python");
        sdk.args(["-m", "unittest", "discover", "tests"])
            .env("PYTHONPATH", folder.join("src"))
            .current_dir(folder);
        tested = tested.and(Step::new("testing the Python SDK").run(&mut sdk));
    }
    let go = suite().join("go").join(GO);
    if go.is_file() {
        let mut sdk = command(go);
        sdk.args(["test", "./..."]).current_dir(root().join("guest-sdk/go")).env("GOTOOLCHAIN", "local");
        tested = tested.and(Step::new("testing the Go SDK").run(&mut sdk));
    }
    if is_there("cc") {
        let folder = root().join("guest-sdk/c");
        let mut sdk = command("sh");
        sdk.arg("tests/run.sh").current_dir(folder);
        tested = tested.and(Step::new("testing the C SDK").run(&mut sdk));
    }
    tested.and(bindings(&["test", "--quiet"]))
}

/// Runs cargo on what makes the bindings of Go and C: a workspace of its own.
pub(crate) fn bindings(args: &[&str]) -> Result<()> {
    let mut made = cargo();
    made.args(args).args(["--target-dir", "target"]).current_dir(root().join("guest-sdk/bindings"));
    Step::new("holding the bindings of Go and C against the interfaces").run(&mut made)
}

/// Forgets what came of the suite before.
pub(crate) fn forget() {
    // What is not there need not be forgotten.
    let _ = std::fs::remove_dir_all(suite().join("target"));
}

/// Prints what came of the suite: a row for each thing an SDK must do, a column for each language.
#[expect(clippy::print_stderr, reason = "a tool for a terminal")]
pub(crate) fn matrix() {
    let names = ["rust", "javascript", "python", "go", "c"];
    let results = names.map(results);
    let Some(rows) = results.iter().flatten().next() else { return };
    let line = |first: &str, cells: [&str; 5]| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>12}")).collect();
        eprintln!("{first:<18}{cells}");
    };
    eprintln!();
    line("", names);
    for (what, _) in rows {
        let cell = |results: &Option<Vec<(String, bool)>>| {
            let Some(results) = results else { return "not run" };
            match results.iter().find(|(other, _)| other == what) {
                Some((_, true)) => "ok",
                _ => "FAILED",
            }
        };
        line(what, results.each_ref().map(cell));
    }
    eprintln!();
}

/// What the test of a language wrote down, if it ran.
fn results(language: &str) -> Option<Vec<(String, bool)>> {
    let text = std::fs::read_to_string(suite().join("target").join(format!("{language}.json"))).ok()?;
    let rows: Vec<Value> = serde_json::from_str(&text).ok()?;
    rows.iter().map(|row| Some((row[0].as_str()?.to_owned(), row[1].as_bool()?))).collect()
}

fn suite() -> PathBuf {
    root().join("tests/conformance")
}
