//! Mistakes in the files, all at once; components that ask for too much.

use crate::harness::Project;

#[test]
fn three_mistakes_are_three_located_errors() {
    let (project, _) = Project::fraud();
    project.edit("workflow.toml", "budget_usd = \"100.00\"", "budget_usd = \"a lot\"");
    project.edit(
        "workflow.toml",
        "depends_on = [\"analyze_transactions\"]",
        "depends_on = [\"analyse_transactions\"]",
    );
    project.edit("workflow.toml", "rollback = true", "rolback = true");
    for command in [&["check"][..], &["run"]] {
        let refused = project.wflo(command).expect_code(2);
        let text = &refused.stderr;
        assert_eq!(text.matches("error: ").count(), 3, "{text}");
        for place in ["workflow.toml:5:14", "workflow.toml:21:15", "workflow.toml:22:1"] {
            assert!(text.contains(place), "{text}");
        }
        for hint in ["analyze_transactions", "rollback"] {
            assert!(text.contains(hint), "{text}");
        }
        assert_eq!(refused.stdout, "");
    }
}

#[test]
fn an_ungranted_import_is_refused_by_the_name_of_its_grant() {
    let (project, _) = Project::fraud();
    project.edit("workflow.toml", "grants.llm = [\"gpt-4\"]\n", "");
    for command in [&["check"][..], &["run"]] {
        let refused = project.wflo(command).expect_code(3);
        assert!(refused.stderr.contains("wflo:llm"), "{}", refused.stderr);
        assert!(refused.stderr.contains("grants.llm"), "{}", refused.stderr);
    }
    assert_eq!(project.wflo(&["runs", "--json"]).expect_code(0).json(), serde_json::json!([]));
}

#[test]
fn a_table_that_was_not_granted_is_denied_at_the_gate() {
    let (project, _) = Project::fraud();
    project.edit("workflow.toml", "\"transactions\"", "\"merchants\"");
    let run = project.wflo(&["run", "--json"]).expect_code(1).json();
    assert!(run["error"].as_str().expect("why").contains("denied: the step may not read column"), "{run}");
    assert_eq!(run["cost_usd"], "0");
}

#[test]
fn check_explains_in_plain_words() {
    let (project, _) = Project::fraud();
    project.wflo(&["check"]).expect_code(0);
    let text = project.wflo(&["check", "--explain", "analyze_transactions"]).expect_code(0).stdout;
    assert!(text.contains("transactions") && text.contains("gpt-4"), "{text}");
    project.wflo(&["check", "--explain", "fly"]).expect_code(4);
}
