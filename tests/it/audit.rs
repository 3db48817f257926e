//! The audit file: what it proves, and what gives a change away.

use crate::harness::Project;

#[test]
fn an_audit_file_verifies_without_a_store_and_shows_every_change() {
    let (project, _) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let id = run["run"].as_str().expect("an id");
    project.wflo(&["audit", "export", id, "-o", "run.audit"]).expect_code(0);
    let file = std::fs::read_to_string(project.path("run.audit")).expect("the audit file");
    std::fs::rename(project.path(".wflo"), project.path("gone")).expect("the store is moved away");

    let verified = project.wflo(&["audit", "verify", "run.audit"]).expect_code(0);
    assert!(verified.stdout.contains(id), "{}", verified.stdout);

    let lines: Vec<&str> = file.lines().collect();
    let altered = |name: &str, lines: Vec<String>| {
        project.write(name, &(lines.join("\n") + "\n"));
        project.wflo(&["audit", "verify", name]).expect_code(1);
    };
    let own = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    let mut changed = own(&lines);
    changed[2] = changed[2].replacen("analyze_transactions", "analyze_transactionz", 1);
    assert_ne!(changed, own(&lines));
    altered("changed.audit", changed);
    let mut cut = own(&lines);
    cut.remove(3);
    altered("cut.audit", cut);
    let mut swapped = own(&lines);
    swapped.swap(3, 4);
    altered("swapped.audit", swapped);
}
