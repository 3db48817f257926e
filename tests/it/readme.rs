//! The examples' READMEs show real commands and their real output.

use std::process::Command;

use crate::harness::{Output, Project, binary, root};
use crate::infrastructure;

/// A word of an output with what differs from run to run taken out.
fn plain(word: &str) -> String {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let bare = word.trim_end_matches([',', '.', ':', '"']).trim_start_matches('"');
    if bare.starts_with("apr_") {
        "APPROVAL".to_owned()
    } else if bare.len() == 26 && bare.starts_with("01") {
        "RUN".to_owned()
    } else if bare.starts_with("wflo-store/") {
        // Before times: a key in base64 may end with a Z as well.
        "STORE".to_owned()
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
                // How many there are depends on how long the commands took.
                if words[at - 1] == "checkpoint" {
                    words[at] = "N".to_owned();
                }
            }
            words.join(" ")
        })
        .filter(|line| !line.is_empty())
        .collect()
}

/// The output that a README shows under this name, without the commands themselves.
fn shown(readme: &str, name: &str) -> Vec<String> {
    let (_, after) =
        readme.split_once(&format!("<!-- output: {name} -->\n```console\n")).expect("the README has it");
    let (block, _) = after.split_once("```").expect("the block ends");
    lines(block).into_iter().filter(|line| !line.starts_with("$ ")).collect()
}

/// Holds what a README shows against what was printed: line for line, but for `...`, which stands for any number of
/// lines.
#[track_caller]
pub(crate) fn compare(readme: &str, name: &str, printed: &str) {
    let real = lines(printed);
    let shown = shown(readme, name);
    let mut at = 0;
    let mut pieces = shown.split(|line| line == "...").peekable();
    let mut is_first = true;
    while let Some(piece) = pieces.next() {
        let last = real.len().saturating_sub(piece.len());
        let range = match (is_first, pieces.peek().is_none()) {
            (true, true) if real.len() != piece.len() => 0..0,
            (true, _) => 0..1,
            (false, true) => last.max(at)..last + 1,
            (false, false) => at..last + 1,
        };
        let found = range.into_iter().find(|&from| real[from..].starts_with(piece));
        let found = found.unwrap_or_else(|| {
            panic!("`{name}`: the README shows\n{}\nand the command prints\n{printed}", piece.join("\n"))
        });
        at = found + piece.len();
        is_first = false;
    }
}

pub(crate) fn readme(example: &str) -> String {
    std::fs::read_to_string(root().join("examples").join(example).join("README.md")).expect("the README")
}

/// What a command prints, as somebody or nobody.
pub(crate) fn printed(project: &Project, args: &[&str], person: Option<&str>) -> String {
    let mut command = project.command(args);
    command.env("USER", "you");
    if let Some(name) = person {
        let token = std::fs::read_to_string(project.path("tokens").join(name)).expect("setup.sh has left it");
        command.args(["--as", name]).env("WFLO_TOKEN", token.trim());
    }
    let output = Output::of(&mut command);
    output.stderr + &output.stdout
}

pub(crate) fn word(text: &str, start: &str, length: usize) -> String {
    let found = text.split_whitespace().find(|word| word.starts_with(start) && word.len() == length);
    found.expect("the run names it").to_owned()
}

#[test]
fn the_readme_of_fraud_detection_shows_what_the_commands_print() {
    let readme = readme("fraud-detection");
    let project = Project::new("fraud-detection");
    std::fs::copy(root().join("examples/fraud-detection/setup.sh"), project.path("setup.sh"))
        .expect("the example has it");
    let mut setup = Command::new("sh");
    setup.arg(project.path("setup.sh")).env("WFLO", binary("wflo")).env("FRAUD_DATA", binary("fraud-data"));
    compare(&readme, "setup", &Output::of(&mut setup).expect_code(0).stdout);
    // Safe to repeat.
    assert_eq!(Output::of(&mut setup).expect_code(0).stdout, "");

    let compare = |name: &str, args: &[&str], person| {
        let text = printed(&project, args, person);
        compare(&readme, name, &text);
        text
    };
    compare("check", &["check"], None);
    let run = compare("run", &["run"], None);
    let (id, approval) = (word(&run, "01", 26), word(&run, "apr_", 20));
    compare("approvals", &["approvals"], None);
    compare("approvals-show", &["approvals", "show", &approval], None);
    compare("mallory", &["approve", &approval], Some("mallory"));
    compare("alice", &["approve", &approval, "--comment", "looked at all of them"], Some("alice"));
    compare("carol", &["approve", &approval], Some("carol"));
    compare("show", &["show", &id], None);
    compare("cost", &["cost", &id], None);
    project.wflo(&["audit", "export", &id, "-o", "run.audit"]).expect_code(0);
    compare("audit", &["audit", "verify", "run.audit"], None);
}

#[test]
fn the_readme_of_customer_service_shows_what_the_commands_print() {
    let readme = readme("customer-service");
    let project = Project::new("customer-service");
    crate::service::copy_rest(&project);
    std::fs::copy(root().join("examples/customer-service/setup.sh"), project.path("setup.sh"))
        .expect("the example has it");
    let mut setup = Command::new("sh");
    setup.arg(project.path("setup.sh")).env("WFLO", binary("wflo")).env("SHOP_DATA", binary("shop-data"));
    compare(&readme, "setup", &Output::of(&mut setup).expect_code(0).stdout);
    assert_eq!(Output::of(&mut setup).expect_code(0).stdout, "", "it is safe to repeat");

    let compare = |name: &str, args: &[&str], person| {
        let text = printed(&project, args, person);
        compare(&readme, name, &text);
        text
    };
    let message = "message=Can I return shoes that I have worn once?";
    let customer = "customer_email=ann@customer.example";
    compare("question", &["run", "--input", message, "--input", customer], None);
    compare("search", &["knowledge", "search", "help", "worn", "shoes"], None);
    let message = "message=I want my money back for my order.";
    let order = "order_id=large";
    let run = compare("large", &["run", "--input", message, "--input", order, "--input", customer], None);
    let (id, approval) = (word(&run, "01", 26), word(&run, "apr_", 20));
    compare("approval", &["approvals", "show", &approval], None);
    compare("tom", &["approve", &approval], Some("tom"));
    compare("maria", &["approve", &approval], Some("maria"));
    let folder = project.path("record-rating");
    let interaction = format!("interaction={id}");
    let mut rate = Command::new(binary("wflo"));
    rate.arg("run").arg(folder).arg("--config").arg(project.path("wflo.toml"));
    rate.args(["--input", &interaction, "--input", "rating=5"]).env("NO_COLOR", "1").env("USER", "you");
    let rated = Output::of(&mut rate);
    super::readme::compare(&readme, "rating", &(rated.stderr + &rated.stdout));
}

#[test]
fn the_readme_of_infrastructure_automation_shows_what_the_commands_print() {
    let readme = readme("infrastructure-automation");
    let project = infrastructure::unapplied();
    let mut setup = infrastructure::setup(&project);
    compare(&readme, "setup", &Output::of(&mut setup).expect_code(0).stdout);
    assert_eq!(Output::of(&mut setup).expect_code(0).stdout, "", "safe to repeat");

    let compare = |name: &str, args: &[&str], person| {
        let text = printed(&project, args, person);
        compare(&readme, name, &text);
        text
    };
    compare("check", &["check"], None);
    compare("explain", &["check", "--explain", "apply_changes"], None);
    let run = compare("run", &["run"], None);
    let (id, approval) = (word(&run, "01", 26), word(&run, "apr_", 20));
    compare("mallory", &["approve", &approval], Some("mallory"));
    compare("sofia", &["approve", &approval, "--comment", "private at last"], Some("sofia"));
    compare("sam", &["approve", &approval], Some("sam"));
    compare("show", &["show", &id], None);
    compare("rollback-plan", &["rollback", &id, "--dry-run"], None);
    compare("rollback", &["rollback", &id], None);
}

#[test]
fn the_readme_of_hello_shows_what_the_commands_print() {
    let readme = readme("hello");
    let project = Project::new("hello");
    let run = printed(&project, &["run", "--input", "name=Ada"], None);
    compare(&readme, "run", &run);
    let id = word(&run, "01", 26);
    compare(&readme, "show", &printed(&project, &["show", &id], None));
    compare(&readme, "logs", &printed(&project, &["logs", &id], None));
}

/// The exit codes that a text lists, by number: lines that begin with one, words that say what it means.
fn codes(text: &str) -> Vec<(String, String)> {
    let is_codes = |words: &str| words.chars().all(|c| c.is_ascii_digit() || ", ".contains(c));
    let row = |line: &str| {
        let line = line.trim().trim_matches('|').trim();
        let (codes, meaning) = line.split_once('|').or_else(|| line.split_once("  "))?;
        let (codes, meaning) = (codes.trim(), meaning.trim());
        (!codes.is_empty() && is_codes(codes)).then(|| (codes.to_owned(), meaning.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn the_exit_codes_are_the_same_in_the_readme_and_the_help() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let help = Output::of(Command::new(binary("wflo")).arg("--help")).expect_code(0).stdout;
    let (readme, help) = (codes(&readme), codes(&help));
    assert!(readme.len() >= 9, "{readme:?}");
    assert_eq!(readme, help);
}

#[test]
fn the_readme_of_etl_pipeline_shows_what_the_commands_print() {
    let readme = readme("etl-pipeline");
    let source = crate::etl::Source::start(&[]);
    let project = Project::new("etl-pipeline");
    crate::etl::reach(&project, &source);
    std::fs::copy(root().join("examples/etl-pipeline/setup.sh"), project.path("setup.sh"))
        .expect("the example has it");
    let mut setup = Command::new("sh");
    setup.arg(project.path("setup.sh")).env("WFLO", binary("wflo")).env("ETL_DATA", binary("etl-data"));
    compare(&readme, "setup", &Output::of(&mut setup).expect_code(0).stdout);
    let compare = |name: &str, args: &[&str], person| {
        let text = printed(&project, args, person);
        compare(&readme, name, &text);
        text
    };
    let run = compare("run", &["run"], None);
    let (id, approval) = (word(&run, "01", 26), word(&run, "apr_", 20));
    compare("artifacts", &["artifact", "list", &id], None);
    compare("mallory", &["approve", &approval], Some("mallory"));
    compare("dana", &["approve", &approval], Some("dana"));
    compare("changes", &["show", &id, "--changes"], None);
    compare("rollback", &["rollback", &id], None);
}
