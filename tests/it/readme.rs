//! The example's README shows real commands and their real output.

use crate::harness::{Project, root};

/// A word of an output with what differs from run to run taken out.
fn plain(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let bare = word.trim_end_matches([',', '.', ':', '"']).trim_start_matches('"');
    if bare.starts_with("apr_") {
        "APPROVAL".to_owned()
    } else if bare.len() == 26 && bare.starts_with("01") {
        "RUN".to_owned()
    } else if bare.ends_with('Z') && digits >= 14 {
        "TIME".to_owned()
    } else if bare.starts_with("sha256:") || (bare.len() == 64 && digits > 10) {
        "DIGEST".to_owned()
    } else if bare.ends_with('s') && bare.contains('.') && digits > 3 {
        "SECONDS".to_owned()
    } else {
        word.to_owned()
    }
}

fn lines(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().map(plain).collect::<Vec<_>>();
    text.lines()
        .map(|line| {
            let mut words = words(line);
            for at in 1..words.len() {
                if words[at] == "ms" {
                    words[at - 1] = "N".to_owned();
                }
            }
            words.join(" ")
        })
        .filter(|line| !line.is_empty())
        .collect()
}

/// The output that the README shows under this name, without the command itself.
fn shown(readme: &str, name: &str) -> Vec<String> {
    let (_, after) =
        readme.split_once(&format!("<!-- output: {name} -->\n```console\n")).expect("the README has it");
    let (block, _) = after.split_once("```").expect("the block ends");
    lines(block).into_iter().filter(|line| !line.starts_with("$ ")).collect()
}

#[test]
fn the_readme_shows_what_the_commands_print() {
    let readme =
        std::fs::read_to_string(root().join("examples/fraud-detection/README.md")).expect("the README");
    let (project, people) = Project::fraud();
    let printed = |args: &[&str], person: Option<(&str, &str)>| {
        let mut command = project.command(args);
        command.env("USER", "you");
        if let Some((name, token)) = person {
            command.args(["--as", name]).env("WFLO_TOKEN", token);
        }
        let output = crate::harness::Output::of(&mut command);
        output.stderr + &output.stdout
    };
    let compare = |name: &str, text: &str| {
        let real = lines(text);
        let mut rest = real.iter();
        for line in shown(&readme, name).iter().filter(|line| *line != "...") {
            assert!(
                rest.any(|real| real == line),
                "`{name}`: the README shows\n{line}\nand the command prints\n{text}"
            );
        }
    };
    compare("check", &printed(&["check"], None));
    let run = printed(&["run"], None);
    compare("run", &run);
    let word = |start: &str, length: usize| {
        let found = run.split_whitespace().find(|word| word.starts_with(start) && word.len() == length);
        found.expect("the run names it").to_owned()
    };
    let (id, approval) = (word("01", 26), word("apr_", 20));
    compare("approvals", &printed(&["approvals"], None));
    compare("approvals-show", &printed(&["approvals", "show", &approval], None));
    compare("mallory", &printed(&["approve", &approval], Some(("mallory", &people.mallory))));
    let comment = ["approve", &approval, "--comment", "looked at all of them"];
    compare("alice", &printed(&comment, Some(("alice", &people.alice))));
    compare("carol", &printed(&["approve", &approval], Some(("carol", &people.carol))));
    compare("show", &printed(&["show", &id], None));
    compare("cost", &printed(&["cost", &id], None));
}
