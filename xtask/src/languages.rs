//! The tools of the languages that steps are written in, and what came of the suite that each has to pass.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

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
    /// What they are made of: when it changes, they are installed again.
    inputs: &'static [&'static str],
}

/// The Go compiler, in the folder of the suite.
const GO: &str = ".venv/bin/go";

/// The folders and files of [`Language::inputs`] are those of the suite, and what is copied into it of the SDK.
const LANGUAGES: [Language; 4] = [
    Language {
        name: "javascript",
        variable: "WFLO_TEST_JAVASCRIPT",
        tools: "node_modules/.bin/componentize-qjs",
        inputs: &["tests/conformance/javascript/package-lock.json"],
    },
    Language {
        name: "python",
        variable: "WFLO_TEST_PYTHON",
        tools: ".venv/bin/componentize-py",
        inputs: &[
            "tests/conformance/python/requirements.txt",
            "guest-sdk/python/src",
            "guest-sdk/python/pyproject.toml",
        ],
    },
    Language { name: "go", variable: "WFLO_TEST_GO", tools: GO, inputs: &["runtime/cli/src/build/go.rs"] },
    Language {
        name: "c",
        variable: "WFLO_TEST_C",
        tools: ".venv/bin/python-zig",
        inputs: &["runtime/cli/src/build/c.rs"],
    },
];

/// The component with StarlingMonkey in it: its folder, what it is made of, and what the tests are told where it cannot be.
const STARLINGMONKEY: &str = "tests/clients/javascript";
const STARLINGMONKEY_INPUTS: [&str; 4] = [
    "tests/clients/javascript/package-lock.json",
    "tests/clients/javascript/build.js",
    "tests/clients/javascript/steps.js",
    "wit/step",
];
const STARLINGMONKEY_VARIABLE: &str = "WFLO_TEST_STARLINGMONKEY";

/// Makes sure that the tools are there, by `wflo build --install` itself. Where they cannot be had, says so, and gives
/// what the tests are to be told.
pub(crate) fn ready(wflo: &Path) -> Vec<(&'static str, &'static str)> {
    let mut lacking = Vec::new();
    for Language { name, variable, tools, inputs } in LANGUAGES {
        let began = Instant::now();
        let folder = suite().join(name);
        let digest = digest(inputs);
        let is_ready = folder.join(tools).is_file() && stamp::is(&folder, digest);
        let mut install = command(wflo);
        install.args(["build", "--install", "--steps", name]).arg(suite());
        let done = is_ready || Step::new("installing the tools of a language").run(&mut install).is_ok();
        say(name, is_ready, done, began);
        if done {
            stamp::put(&folder, digest);
        } else {
            lacking.push((variable, "none"));
        }
    }
    let began = Instant::now();
    let folder = root().join(STARLINGMONKEY);
    let digest = digest(&STARLINGMONKEY_INPUTS);
    let is_ready = folder.join("target/clients.wasm").is_file() && stamp::is(&folder, digest);
    let done = is_ready || starlingmonkey(&folder).is_ok();
    say("StarlingMonkey", is_ready, done, began);
    if done {
        stamp::put(&folder, digest);
    } else {
        lacking.push((STARLINGMONKEY_VARIABLE, "none"));
    }
    lacking
}

/// Makes the component of [`STARLINGMONKEY`].
fn starlingmonkey(folder: &Path) -> Result<()> {
    let mut install = command("npm");
    install.args(["install", "--silent", "--no-audit", "--no-fund"]).current_dir(folder);
    Step::new("installing componentize-js").run(&mut install)?;
    let mut build = command("node");
    build.args(["build.js", "target/clients.wasm"]).current_dir(folder);
    Step::new("making a component with StarlingMonkey in it").run(&mut build)
}

#[expect(clippy::print_stderr, reason = "a tool for a terminal")]
fn say(name: &str, is_ready: bool, done: bool, began: Instant) {
    let seconds = began.elapsed().as_secs_f32();
    match (is_ready, done) {
        (true, _) => eprintln!("   {name}: as it was"),
        (_, true) => eprintln!("   {name}: {seconds:.0} s"),
        _ => {
            eprintln!("\n*** the tools of {name} cannot be had on this machine:");
            eprintln!("*** STEPS IN {} WILL NOT BE TESTED; everything else will be\n", name.to_uppercase());
        }
    }
}

/// A digest of files, and of the files in folders.
fn digest(inputs: &[&str]) -> u64 {
    fn add(path: &Path, hasher: &mut DefaultHasher) {
        let Ok(entries) = path.read_dir() else {
            std::fs::read(path).unwrap_or_default().hash(hasher);
            return;
        };
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.into_iter().filter(|path| !path.ends_with("__pycache__")) {
            path.file_name().hash(hasher);
            add(&path, hasher);
        }
    }
    let mut hasher = DefaultHasher::new();
    inputs.iter().for_each(|input| add(&root().join(input), &mut hasher));
    hasher.finish()
}

/// What tools were installed of, beside them.
mod stamp {
    use std::path::{Path, PathBuf};

    fn file(folder: &Path) -> PathBuf {
        folder.join("target/tools.stamp")
    }

    pub(super) fn is(folder: &Path, digest: u64) -> bool {
        std::fs::read_to_string(file(folder)).is_ok_and(|there| there == digest.to_string())
    }

    pub(super) fn put(folder: &Path, digest: u64) {
        // Without it they are installed once more than they need be.
        let _ = std::fs::create_dir_all(folder.join("target"));
        let _ = std::fs::write(file(folder), digest.to_string());
    }
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
