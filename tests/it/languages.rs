//! Steps in every language: the fraud example in each, and new projects.

use std::process::Command;

use serde_json::json;

use crate::harness::{Output, Project, approval_of, binary, root};
use crate::language::{Language, be_patient};

/// The fraud example with its steps in another language: the same manifest, the same tape, the same result.
fn finds_the_same_fraud(language: Language) {
    if !language.is_here() {
        return;
    }
    let (project, people) = Project::fraud();
    let in_rust = project.wflo(&["run", "--json"]).expect_code(10).json();
    let steps = project.path(language.name());
    std::fs::create_dir(&steps).expect("a folder for the steps");
    let from = root().join("examples/fraud-detection").join(language.name());
    for entry in from.read_dir().expect("the example is there") {
        let file = entry.expect("the example is there").path();
        if file.is_file() {
            std::fs::copy(&file, steps.join(file.file_name().expect("a file has a name"))).expect("a copy");
        }
    }
    language.lend(&steps);
    be_patient(&project.path("wflo.toml"));
    project.wflo(&["build", "--steps", language.name()]).expect_code(0);
    let again = project.wflo(&["build", "--json", "--steps", language.name()]).expect_code(0).json();
    assert_eq!(again["fresh"], true, "{again}");
    project.wflo(&["check"]).expect_code(0);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    assert_eq!(run["steps"][0]["output"], in_rust["steps"][0]["output"]);
    assert_eq!(run["cost_usd"], in_rust["cost_usd"]);
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval]).expect_code(0);
    assert_eq!(project.blocked().len(), 17);
    project.wflo(&["replay", run["run"].as_str().expect("a run has an id")]).expect_code(0);
}

#[test]
fn fraud_is_the_same_in_javascript() {
    finds_the_same_fraud(Language::JavaScript);
}

#[test]
fn fraud_is_the_same_in_python() {
    finds_the_same_fraud(Language::Python);
}

/// A new project: made, built, checked, run, and its own test run, with the tools that are there already.
fn begins(lang: &str, language: Language, test: &[&str]) {
    if !language.is_here() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for the test");
    let wflo = |args: &[&str]| {
        let mut command = Command::new(binary("wflo"));
        Output::of(
            command.args(args).current_dir(folder.path()).env("NO_COLOR", "1").env_remove("WFLO_TOKEN"),
        )
    };
    let sdk = root().join("guest-sdk");
    wflo(&["new", "first", "--lang", lang, "--sdk-path", sdk.to_str().expect("a path of text")])
        .expect_code(0);
    wflo(&["new", "first", "--lang", lang]).expect_code(2);
    let steps = folder.path().join("first/steps");
    if language != Language::Rust {
        let mut lacking = Command::new(binary("wflo"));
        lacking.args(["build", "first"]).current_dir(folder.path()).env("PATH", "").env_remove("VIRTUAL_ENV");
        let lacking = Output::of(&mut lacking).expect_code(2);
        assert!(lacking.stderr.contains("`wflo build --install` gets it"), "{}", lacking.stderr);
        let other = if lang == "ts" { "JavaScript" } else { "TypeScript" };
        assert!(!lacking.stderr.contains(other), "{}", lacking.stderr);
    }
    language.lend(&steps);
    if language == Language::JavaScript {
        let mut lacking = Command::new(binary("wflo"));
        lacking.args(["build", "first"]).current_dir(folder.path()).env("PATH", "");
        let lacking = Output::of(&mut lacking).expect_code(2);
        assert!(lacking.stderr.contains("runs on `node`, which is not there"), "{}", lacking.stderr);
        assert!(lacking.stderr.contains("hint: install Node.js"), "{}", lacking.stderr);
    }
    be_patient(&folder.path().join("first/wflo.toml"));
    wflo(&["build", "first"]).expect_code(0);
    wflo(&["check", "first"]).expect_code(0);
    let run = wflo(&["run", "first", "--json", "--input", "name=Ada"]).expect_code(0).json();
    assert_eq!(run["steps"][0]["output"], json!({ "text": "Hello, Ada!" }));
    let tested = wflo(&["test", "--dir", "first"]).expect_code(0);
    assert!(tested.stdout.starts_with("passed  first "), "{}", tested.stdout);
    // `.venv/bin/go` is the project's own.
    let mut tests = Command::new(steps.join(test[0]));
    if !test[0].contains('/') {
        tests = Command::new(test[0]);
    }
    tests.args(&test[1..]).current_dir(&steps).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let tested = Output::of(&mut tests).expect_code(0);
    let said = tested.stdout + &tested.stderr;
    assert!(
        ["1 passed", "# pass 1", "Ran 1 test", "--- PASS: TestANameIsGreeted"]
            .iter()
            .any(|words| said.contains(words)),
        "{said}"
    );

    // What was recorded passes at once, and shows the difference when the code is another.
    let id = run["run"].as_str().expect("a run has an id");
    wflo(&["record", id, "helo", "--dir", "first"]).expect_code(4);
    wflo(&["record", id, "hello", "--dir", "first"]).expect_code(0);
    wflo(&["test", "hello", "--dir", "first"]).expect_code(0);
    let greeting =
        ["src/greeting.rs", "greeting.js", "greeting.ts", "greeting.py", "greeting.go", "greeting.c"]
            .map(|name| steps.join(name));
    let greeting = greeting.iter().find(|path| path.is_file()).expect("a file with the greeting");
    let code = std::fs::read_to_string(greeting).expect("the greeting");
    std::fs::write(greeting, code.replace("Hello", "Howdy")).expect("the greeting");
    wflo(&["build", "first"]).expect_code(0);
    let differs = wflo(&["test", "hello", "--dir", "first"]).expect_code(1);
    let shown = "expected  \"Hello, Ada!\"\n          got       \"Howdy, Ada!\"";
    assert!(differs.stdout.contains(shown), "{}", differs.stdout);
}

/// A folder with a workflow of one step, whose steps are one file.
fn written(language: Language, file: &str, code: &str) -> Project {
    let project = Project::new("hello");
    std::fs::create_dir(project.path("made")).expect("a folder");
    project.write(&format!("made/{file}"), code);
    language.lend(&project.path("made"));
    project
}

#[test]
fn a_build_of_c_says_what_is_wrong() {
    if !Language::C.is_here() {
        return;
    }
    let project = written(Language::C, "steps.c", "#include <wflo.h>\n");
    let lacking = project.wflo(&["build", "--steps", "made"]).expect_code(2);
    assert_eq!(lacking.stderr.matches("undefined symbol: wflo_steps").count(), 1, "{}", lacking.stderr);
    assert!(lacking.stderr.contains("the steps are `const wflo_step wflo_steps[] = {"), "{}", lacking.stderr);
    let mut other = project.command(&["build", "--steps", "made"]);
    let other = Output::of(other.env("WASI_SDK_PATH", "/nope")).expect_code(2);
    assert!(other.stderr.contains("WASI_SDK_PATH is `/nope`"), "{}", other.stderr);
}

#[test]
fn a_build_of_c_tells_what_the_compiler_warns_of() {
    if !Language::C.is_here() {
        return;
    }
    let code = "#include <wflo.h>\n\nstatic wflo_json *hello(wflo_error *error) { return wflo_json_null(); }\n\n\
                const wflo_step wflo_steps[] = {{.name = \"hello\", .run = hello}, {0}};\n";
    let project = written(Language::C, "steps.c", code);
    project.write("made/compile_flags.txt", "-Wall\n-Wextra\n");
    let built = project.wflo(&["build", "--steps", "made"]).expect_code(0);
    assert!(built.stderr.contains("steps.c:3:37: warning: unused parameter 'error'"), "{}", built.stderr);
    assert!(!built.stderr.contains("target/wflo/sdk"), "the SDK is no business of theirs: {}", built.stderr);
}

#[test]
fn what_c_prints_is_logged_and_what_is_no_text_is_said() {
    if !Language::C.is_here() {
        return;
    }
    let code = "#include <stdio.h>\n#include <wflo.h>\n\nstatic wflo_json *hello(wflo_error *error) {\n  (void)error;\n  \
                printf(\"no end of a line\");\n  return wflo_json_string(\"gr\\xfc\");\n}\n\n\
                const wflo_step wflo_steps[] = {{.name = \"hello\", .run = hello}, {0}};\n";
    let project = written(Language::C, "steps.c", code);
    project.wflo(&["build", "--steps", "made"]).expect_code(0);
    let run = project.wflo(&["run", "--json"]).expect_code(1).json();
    let why = run["error"].as_str().expect("why");
    assert!(why.contains("the output is not UTF-8 text: after `\"gr` comes the byte 0xfc"), "{why}");
    let logs = project.wflo(&["logs", run["run"].as_str().expect("a run has an id")]).expect_code(0);
    assert!(logs.stdout.contains("no end of a line"), "{}", logs.stdout);
}

#[test]
fn a_go_package_that_panics_says_why() {
    if !Language::Go.is_here() {
        return;
    }
    let code = "package main\n\nimport (\n\t\"regexp\"\n\n\t_ \"github.com/wflo-ai/wflo/guest-sdk/go\"\n)\n\n\
                var word = regexp.MustCompile(\"(\")\n\nfunc main() { println(word) }\n";
    let project = written(Language::Go, "steps.go", code);
    let sdk = root().join("guest-sdk/go");
    let module = format!(
        "module steps\n\ngo 1.24\n\nrequire github.com/wflo-ai/wflo/guest-sdk/go v0.1.0\n\n\
         replace github.com/wflo-ai/wflo/guest-sdk/go => {}\n",
        sdk.display()
    );
    project.write("made/go.mod", &module);
    project.wflo(&["build", "--steps", "made"]).expect_code(0);
    for command in ["check", "run"] {
        let failed = project.wflo(&[command]).expect_code(2);
        assert!(failed.stderr.contains("panic: regexp: Compile(`(`)"), "{}", failed.stderr);
    }
}

#[test]
fn a_build_of_python_says_how_a_package_is_added() {
    if !Language::Python.is_here() {
        return;
    }
    let project = written(Language::Python, "steps.py", "import numpy\n");
    project.write("made/requirements.txt", "");
    let lacking = project.wflo(&["build", "--steps", "made"]).expect_code(2);
    let added = "a package that has `numpy` is added by its line in `requirements.txt`";
    assert!(lacking.stderr.contains(added), "{}", lacking.stderr);
}

#[test]
fn a_new_project_in_javascript_runs() {
    begins("js", Language::JavaScript, &["npm", "test"]);
}

#[test]
fn a_new_project_in_typescript_runs() {
    begins("ts", Language::JavaScript, &["npm", "test"]);
}

#[test]
fn a_new_project_in_python_runs() {
    begins("python", Language::Python, &["python3", "-m", "unittest"]);
}

#[test]
fn a_new_project_in_go_runs() {
    begins("go", Language::Go, &[".venv/bin/go", "test", "-v"]);
}

#[test]
fn a_new_project_in_c_runs() {
    begins("c", Language::C, &["make", "test"]);
}

#[test]
fn a_new_project_in_rust_runs() {
    // Where the SDK itself is tested: its libraries are compiled there.
    let target = root().join("guest-sdk/rust/target");
    let target = target.to_str().expect("a path of text");
    begins("rust", Language::Rust, &[env!("CARGO"), "test", "--lib", "--target-dir", target]);
}
