//! The examples do what their READMEs show, and the table of all of them says what happened.

use std::path::Path;
use std::process::Command;

use crate::harness::{Output, Project, binary, root};

#[test]
fn the_table_of_the_examples_says_what_happens() {
    let mut play = Command::new(binary("wflo-examples"));
    play.arg("--folder").arg(root().join("examples")).arg("--check");
    let played = Output::of(&mut play);
    assert_eq!(played.code, 0, "{}\n{}", played.stdout, played.stderr);
}

/// What a `setup.sh` does about people: all of them do the same.
fn about_people(setup: &str) -> &str {
    let from = setup.find("# Whoever holds a token").expect("it makes people");
    &setup[from..from + setup[from..].find("\n}\n").expect("it has a function for them")]
}

#[test]
fn who_sets_an_example_up_anew_gets_people_with_tokens_that_are_good() {
    let example = |name: &str| root().join("examples").join(name).join("setup.sh");
    let text = std::fs::read_to_string(example("literature-review")).expect("the example has it");
    let mut seen = 0;
    for entry in root().join("examples").read_dir().expect("the examples").flatten() {
        let Ok(other) = std::fs::read_to_string(entry.path().join("setup.sh")) else { continue };
        assert_eq!(about_people(&other), about_people(&text), "{}", entry.path().display());
        seen += 1;
    }
    assert_eq!(seen, 7);

    let project = Project::new("literature-review");
    project.write("setup.sh", &text);
    let setup = || {
        let mut setup = Command::new("sh");
        Output::of(setup.arg(project.path("setup.sh")).env("WFLO", binary("wflo"))).expect_code(0).stdout
    };
    let token = |name: &str| std::fs::read_to_string(project.path("tokens").join(name)).expect("a token");
    let first = setup();
    let (pia, mallory) = (token("pia"), token("mallory"));
    assert_eq!(setup(), "", "it may be repeated");
    assert_eq!((token("pia"), token("mallory")), (pia.clone(), mallory.clone()));
    // The store is gone and the tokens are not: they are good for nothing.
    std::fs::remove_dir_all(project.path(".wflo")).expect("the store was made");
    assert_eq!(setup(), first, "everybody gets a new one");
    assert!(token("pia") != pia && token("mallory") != mallory);
    let people = project.wflo(&["identity", "list", "--json"]).expect_code(0).json();
    assert_eq!(people.as_array().map(Vec::len), Some(2), "{people}");
}

/// Lines of plain code below a folder: neither blank nor a comment.
fn code(folder: &Path) -> usize {
    let lines = |path: &Path| {
        let text = std::fs::read_to_string(path).expect("the source");
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
    };
    let entries =
        folder.read_dir().expect("a folder of sources").map(|entry| entry.expect("an entry").path());
    entries
        .map(|path| match path.extension() {
            _ if path.is_dir() => code(&path),
            Some(end) if end == "rs" => lines(&path),
            _ => 0,
        })
        .sum()
}

#[test]
fn a_guest_is_less_than_150_lines_of_plain_code() {
    let mut seen = Vec::new();
    for entry in root().join("examples").read_dir().expect("the examples").flatten() {
        for steps in [entry.path().join("steps/src"), entry.path().join("record-rating/steps/src")] {
            if steps.is_dir() {
                let lines = code(&steps);
                assert!((1..150).contains(&lines), "{}: {lines} lines", steps.display());
                seen.push(lines);
            }
        }
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
}
