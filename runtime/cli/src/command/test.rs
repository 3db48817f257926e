//! `wflo test`: the steps of a workflow against the files in `tests/`, in the real sandbox, with nothing outside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use wflo::{Outside, RuntimeError, StepTest, TestBench, TestEnd, Tested};
use wflo_backends::SystemEntropy;
use wflo_model::StepName;
use wflo_sandbox::Program;

use crate::args::Global;
use crate::failure::{Code, Failure};
use crate::project::{Pinned, Project};
use crate::{print, say, terminal, test_file};

/// Lines of log that are shown of a test that has failed.
const MOST_LINES: usize = 20;

/// One test, as `--json` has it.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    file: String,
    step: Option<StepName>,
    passed: bool,
    ms: f64,
    fuel: u64,
    /// Why it could not be run.
    error: Option<String>,
    end: Option<TestEnd>,
    /// The calls it made, in order.
    calls: Vec<String>,
    differences: Vec<wflo::Difference>,
    logs: Vec<wflo::LogView>,
    #[serde(skip)]
    code: Code,
}

/// Runs the tests of a workflow: all of them, or those that are named.
pub(crate) async fn test(global: &Global, names: &[String]) -> Result<Code, Failure> {
    let project = Project::find(global, None)?;
    let files = files(&project.dir.join("tests"), names)?;
    if files.is_empty() {
        say("there are no tests in `tests/`\nhint: `wflo record RUN STEP` makes one of a run");
    }
    let mut lines = Vec::new();
    if !files.is_empty() {
        let (bench, _loaded) = bench(&project).await?;
        for (name, file) in files {
            let line = run(&bench, name, &file).await;
            if !global.json {
                print(&words(&line));
            }
            lines.push(line);
        }
    }
    let passed = lines.iter().filter(|line| line.passed).count();
    if global.json {
        print(&terminal::json(&lines));
    } else if !lines.is_empty() {
        let all = lines.len();
        say(&match all - passed {
            0 => format!("{all} of {all} passed"),
            failed => format!("{passed} of {all} passed, {failed} failed"),
        });
    }
    // What could not be run says more than what differs.
    let codes = lines.iter().map(|line| line.code);
    Ok(codes.max_by_key(|code| *code as u8).unwrap_or(Code::Succeeded))
}

/// The files of a folder, by their names.
fn files(folder: &Path, names: &[String]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format!("`{}`: {error}", folder.display()));
    let mut files = BTreeMap::new();
    if folder.is_dir() {
        for entry in folder.read_dir().map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
                files.insert(name.to_owned(), path);
            }
        }
    }
    for name in names {
        if !files.contains_key(name) {
            let known: Vec<_> = files.keys().map(|name| format!("`{name}`")).collect();
            let failure = Failure::new(Code::NotFound, format!("there is no test `{name}`"));
            return Err(match known.is_empty() {
                true => failure.hint("a test is a file such as `tests/first.toml`"),
                false => failure.hint(format!("there are {}", known.join(", "))),
            });
        }
    }
    if !names.is_empty() {
        files.retain(|name, _| names.contains(name));
    }
    Ok(files)
}

/// What the tests are run with: the workflow, the names that its deployment binds, and a sandbox.
async fn bench(project: &Project) -> Result<(TestBench, Vec<Arc<Program>>), Failure> {
    let pinned = project.pin_for_tests().await?;
    let pinned =
        pinned.map_err(|wrong| Failure::rendered(Code::Usage, wrong.render(terminal::stderr_colors())))?;
    let Pinned { plan, components, .. } = pinned;
    // Of the state, only the compiled code is of use; where none can be kept, it is compiled each time.
    let sandbox = Arc::clone(project.sandbox()?);
    // Compiled once, before anything is timed, and held until all is done.
    let mut loaded = Vec::new();
    for component in components.values() {
        let at = |error| Failure::usage(format!("component `{}`: {error}", component.named));
        loaded.push(sandbox.load(&component.content).await.map_err(at)?);
    }
    let outside = Outside::of_nothing(&project.deployment);
    let code = components.into_values().map(|component| component.content).collect();
    let bench = TestBench::new(plan, code, sandbox, Arc::new(SystemEntropy)).with_outside(outside);
    Ok((bench, loaded))
}

async fn run(bench: &TestBench, name: String, file: &Path) -> Line {
    let shown = file.display().to_string();
    let line = |step, passed, code, time: Duration, error| Line {
        name: name.clone(),
        file: shown.clone(),
        step,
        passed,
        ms: (time.as_secs_f64() * 10_000.0).round() / 10.0,
        fuel: 0,
        error,
        end: None,
        calls: Vec::new(),
        differences: Vec::new(),
        logs: Vec::new(),
        code,
    };
    let test: StepTest = match std::fs::read_to_string(file)
        .map_err(|error| error.to_string())
        .and_then(|text| test_file::read(&text).map_err(|error| error.to_string()))
    {
        Ok(test) => test,
        Err(error) => return line(None, false, Code::Usage, Duration::ZERO, Some(error)),
    };
    let began = Instant::now();
    let tested = Box::pin(bench.run(&test)).await;
    let time = began.elapsed();
    let step = Some(test.step.clone());
    match tested {
        Ok(tested) => {
            let passed = tested.passed();
            let Tested { end, calls, logs, fuel, differences, .. } = tested;
            let calls = calls.iter().map(ToString::to_string).collect();
            let code = if passed { Code::Succeeded } else { Code::RunFailed };
            let end = Some(end);
            Line { end, calls, logs, fuel, differences, ..line(step, passed, code, time, None) }
        }
        Err(error @ RuntimeError::BadTest { .. }) => {
            line(step, false, Code::Usage, time, Some(error.to_string()))
        }
        Err(error) => {
            let failure = Failure::from(error);
            line(step, false, failure.code, time, Some(failure.to_string()))
        }
    }
}

/// A test as people read it: one line, and where it has failed what differs.
fn words(line: &Line) -> String {
    let colors = terminal::stdout_colors();
    let mark = terminal::status(&if line.passed { "passed" } else { "failed" }, 8, colors);
    let mut text = format!("{mark}{:<32} {:>8.1} ms", line.name, line.ms);
    if let Some(error) = &line.error {
        text.push_str(&indented(error.trim_end()));
    }
    for wflo::Difference { at, expected, got, .. } in &line.differences {
        text.push_str(&indented(&format!("{at}\n  expected  {expected}\n  got       {got}")));
    }
    if !line.passed && !line.logs.is_empty() {
        let more = line.logs.len().saturating_sub(MOST_LINES);
        let last = line.logs.iter().skip(more);
        let lines = last.map(|line| format!("{} {}", line.level, line.message));
        let head = if more > 0 { format!("log ({more} lines before)") } else { "log".to_owned() };
        let log = format!("{head}\n  {}", lines.collect::<Vec<_>>().join("\n  "));
        text.push_str(&indented(&log));
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("\n        {}", terminal::tame(line))).collect()
}
