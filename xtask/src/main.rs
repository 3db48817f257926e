//! `cargo xtask`: the developer's own tool.
#![expect(clippy::print_stderr, reason = "a tool for a terminal")]

mod bench;
mod browser;
mod examples;
mod fuzz;
mod guests;
mod languages;
mod postgres;
mod pypi;
mod real_model;
mod sim;
mod terraform;
mod tool;
mod torture;
mod verdict;
mod wit;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::tool::{Step, cargo, root, wflo};

const HELP: &str = "\
usage: cargo xtask COMMAND

  demo          set up and play the fraud-detection example, from an empty checkout to blocked accounts
  test [NAME]   build what the tests need, then run all tests, or those whose name has NAME in it
  test --real-model [NAME]
                ask a real model, of llama.cpp, what the tests otherwise ask a stand-in; gets both, 260 MB
  install       install the wflo command, with the demo inside
  examples [NAME] [--doc] [--short]
                play what the READMEs of the examples show and print what happened; --doc writes examples/README.md,
                --short leaves out what takes long
  bindings      make the bindings of the Go and C SDKs again, after a change of wit/
  guests        build every guest to a WebAssembly component
  wit           write docs/wit.md from wit/, and freeze what is new there
  terraform     get the real terraforms that the tests use
  sim           random workflows, faults and crashes in virtual time; [--seeds N] [--from S] [--seed S]
  torture       kill wflo at random moments and check that nothing is lost;
                [--rounds N] [--seed S] [--database sqlite|postgres]
  fuzz [TARGET] [--seconds N]
                throw mutated input at what reads strangers' text, each target for a minute if N is not said
  bench [--json FILE] [--doc] [NAME]
                measure wflo against its goals, or those with NAME in them; --doc writes docs/performance.md";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["demo"] => demo(),
        ["install"] => install(),
        ["test", "--real-model", names @ ..] => test_real_model(names),
        ["test", names @ ..] => test(names),
        ["sim", args @ ..] => sim::run(args),
        ["torture", args @ ..] => torture::torture(args),
        ["bench", args @ ..] => bench::bench(args),
        ["examples", args @ ..] => examples::examples(args),
        ["fuzz", args @ ..] => fuzz::fuzz(args),
        ["terraform"] => [terraform::ready(), terraform::newest()]
            .into_iter()
            .try_for_each(|ready| ready.map(|path| eprintln!("{}", path.display()))),
        ["bindings"] => languages::bindings(&["run", "--quiet"]),
        ["guests"] => wflo().and_then(|wflo| guests::build_all(&wflo)),
        ["wit"] => wit::write(),
        ["help" | "--help" | "-h"] | [] => {
            eprintln!("{HELP}");
            Ok(())
        }
        other => Err(anyhow::anyhow!("there is no `cargo xtask {}`\n\n{HELP}", other.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// From an empty checkout to blocked accounts.
fn demo() -> Result<()> {
    let example = root().join("examples/fraud-detection");
    guests::target()?;
    let wflo = wflo()?;
    Step::new("building the steps").run(tool::command(&wflo).arg("build").arg(&example))?;
    Step::new("playing the example").loud().run(tool::command(&wflo).arg("demo").arg(&example))
}

/// The command, with the demo inside, to where cargo installs programs.
fn install() -> Result<()> {
    let example = root().join("examples/fraud-detection");
    guests::target()?;
    Step::new("building the steps of the demo").run(tool::command(wflo()?).arg("build").arg(&example))?;
    Step::new("installing wflo (optimised: this takes some minutes)").loud().run(
        cargo()
            .args(["install", "--locked", "--path", "runtime/cli"])
            .env("WFLO_DEMO_COMPONENT", example.join("fraud.wasm")),
    )
}

/// What all tests need: all of it at once, so that the commands the tests start are built the way the tests are.
fn build() -> Result<PathBuf> {
    Step::new("building wflo and its tests (the first time takes some minutes)")
        .loud()
        .run(cargo().args(["build", "--quiet", "--workspace", "--all-targets"]))?;
    let wflo = tool::beside("wflo")?;
    guests::build_all(&wflo)?;
    Ok(wflo)
}

/// What the tests need, and a real model for those that ask one.
fn test_real_model(names: &[&str]) -> Result<()> {
    build()?;
    real_model::test(names)
}

/// Everything the tests need, then all tests.
fn test(names: &[&str]) -> Result<()> {
    let wflo = build()?;
    let postgres = postgres::start()?;
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--no-fail-fast"]).args(names);
    tests.envs(browser::ready()).env("WFLO_TEST_TERRAFORM", terraform::ready()?);
    tests.env(wflo_test_postgres::SOCKET, postgres.socket());
    tests.envs(languages::ready(&wflo));
    languages::forget();
    let mut tested = verdict::tests("testing", &mut tests);
    languages::matrix();
    if names.is_empty() {
        // What asks a terraform has asked the oldest; it holds of the newest, too.
        let mut newest = cargo();
        newest.args([
            "test",
            "--workspace",
            "--no-fail-fast",
            "--test",
            "it",
            "--",
            "terraform::",
            "infrastructure::",
        ]);
        newest.env("WFLO_TEST_TERRAFORM", terraform::newest()?);
        tested = tested.and(verdict::tests("testing with the newest terraform", &mut newest));
    }
    // A workspace of its own, as every guest is.
    let mut sdk = cargo();
    sdk.args(["test", "--quiet", "--no-fail-fast", "--target-dir", "target"]).args(names);
    sdk.current_dir(root().join("guest-sdk/rust"));
    let sdk_tested = verdict::tests("testing the Rust SDK", &mut sdk);
    tested.and(sdk_tested).and(languages::test_sdks(names))
}
