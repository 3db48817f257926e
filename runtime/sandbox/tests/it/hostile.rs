//! `tests/programs/expectations.toml` held against the programs: the hand-written ones are run here, those that need
//! a whole workflow around them in `tests/it/hostile.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wflo_host_api::Stop;
use wflo_model::{Capability, Fault, Limits};
use wflo_sandbox::{DescribeError, End, LinkError};

use crate::gate::Recorder;
use crate::{SANDBOX, forge, program};

/// The whole file.
#[derive(Deserialize)]
struct Expectations {
    /// Programs that another test goes through step by step, and which.
    elsewhere: BTreeMap<String, String>,
    case: Vec<Case>,
}

/// What is read here; the rest is for the other half.
#[derive(Deserialize)]
struct Case {
    program: String,
    step: Option<String>,
    /// The kind of fault it ends with.
    fault: Option<String>,
    /// The limit that the fault names.
    limit: Option<String>,
    /// The kind of fault that asking it for its steps ends with.
    describe: Option<String>,
    /// Why it never runs.
    refused: Option<String>,
    /// What it says of its failure.
    failed: Option<String>,
    /// Words of the fault.
    #[serde(default)]
    says: Vec<String>,
}

fn expectations() -> Expectations {
    let text = std::fs::read_to_string(programs().join("expectations.toml")).expect("the table is there");
    toml_edit::de::from_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/programs")
}

/// The folders that hold a guest in Rust.
fn guests() -> BTreeSet<String> {
    let entries = programs().read_dir().expect("the folder is there").map(|entry| entry.expect("an entry"));
    let guests = entries.filter(|entry| entry.path().join("src/lib.rs").is_file());
    guests.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn every_program_and_step_has_an_expectation_and_every_expectation_a_program() {
    let table = expectations();
    let wat: BTreeSet<_> = forge::names().into_iter().map(|name| format!("wat/{name}")).collect();
    let there: BTreeSet<_> = wat.into_iter().chain(guests()).collect();
    let named = table.case.iter().map(|case| &case.program).chain(table.elsewhere.keys());
    assert_eq!(there, named.cloned().collect(), "programs there are, and programs in the table");

    for guest in guests() {
        match table.elsewhere.get(&guest) {
            Some(test) => {
                let path = programs().join("../..").join(test);
                let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("`{test}`: {error}"));
                assert!(text.contains(&guest), "`{test}` does not speak of `{guest}`");
            }
            None => {
                let steps = program(&guest).await.describe().await.expect("it says what it holds");
                let steps: BTreeSet<_> = steps.into_iter().map(|step| step.name).collect();
                let cases = table.case.iter().filter(|case| case.program == guest);
                let cases: BTreeSet<_> = cases.filter_map(|case| case.step.clone()).collect();
                assert_eq!(steps, cases, "steps of `{guest}`, and steps in the table");
            }
        }
    }
    let names: BTreeSet<_> = table.case.iter().map(|case| (&case.program, &case.step, &case.says)).collect();
    assert!(names.len() >= 40, "there are {} cases", names.len());
}

#[tokio::test]
async fn hand_written_programs_end_as_expected() {
    let mut wrong = Vec::new();
    for case in expectations().case.iter().filter(|case| case.program.starts_with("wat/")) {
        let name = case.program.trim_start_matches("wat/");
        let came_to = played(name, case).await;
        let ends = [
            case.fault.as_ref().map(|kind| format!("fault {kind}")),
            case.describe.as_ref().map(|kind| format!("describe {kind}")),
            case.refused.as_ref().map(|why| format!("refused {why}")),
            case.failed.as_ref().map(|words| format!("failed: {words}")),
        ];
        let [expect] = &ends.into_iter().flatten().collect::<Vec<_>>()[..] else {
            panic!("`{name}` must have one end");
        };
        let limit = case.limit.iter().map(|limit| format!("(`{limit}`)"));
        let words: Vec<_> = case.says.iter().cloned().chain(limit).collect();
        if !came_to.starts_with(expect) || !words.iter().all(|words| came_to.contains(words)) {
            wrong.push(format!("`{name}` should have come to `{expect}` {words:?}: {came_to}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a program comes to: where it stops, the kind of it, and the words.
async fn played(name: &str, case: &Case) -> String {
    let program = match SANDBOX.load(&forge::component(name).into()).await {
        Ok(program) => program,
        Err(error) => return format!("refused load: {error}"),
    };
    let all = [Capability::Db, Capability::Llm, Capability::Http].into();
    if let Some(missing) = program.missing(&all).first() {
        return format!("refused missing: {missing}");
    }
    match program.linked() {
        Ok(()) => {}
        Err(LinkError::Exports { message }) => return format!("refused exports: {message}"),
        Err(error) => return format!("refused link: {error}"),
    }
    if case.describe.is_some() {
        return match program.describe().await {
            Err(DescribeError::Fault { fault: Fault { kind, message } }) => {
                format!("describe {kind}: {message}")
            }
            other => format!("described: {other:?}"),
        };
    }
    let limits = Limits { fuel: 20_000_000, memory: 16 << 20, ..Limits::default() };
    let ended = program.run("transfer", Box::new(Recorder::default()), &limits).await;
    match ended.end {
        End::Fault(Fault { kind, message }) => format!("fault {kind}: {message}"),
        End::Stopped(Stop::Host(why)) => format!("the host failed: {why}"),
        End::Stopped(stop) => format!("stopped: {stop}"),
        End::Output(value) => format!("output: {value}"),
        End::Failed(failure) => format!("failed: {failure}"),
    }
}
