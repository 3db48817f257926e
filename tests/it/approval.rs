//! Rejections, and what approvers are shown.

use crate::harness::{Project, approval_of, eventually};

#[test]
fn one_rejection_fails_the_run_and_blocks_nothing() {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    let rejected = project.wflo_as("carol", &people.carol, &["reject", &approval, "--comment", "too many"]);
    rejected.expect_code(1);
    let shown = project.wflo(&["show", run["run"].as_str().expect("an id"), "--json"]).expect_code(0).json();
    assert_eq!(shown["status"], "failed");
    assert!(shown["error"].as_str().expect("why").contains("too many"), "{shown}");
    assert!(project.blocked().is_empty());
}

#[test]
fn approvers_see_what_they_decide_on() {
    let (project, _) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    let open = project.wflo(&["approvals", "--json"]).expect_code(0).json();
    assert_eq!(open.as_array().map(Vec::len), Some(1));
    assert_eq!(open[0]["id"], approval.as_str());
    assert_eq!(open[0]["quorum"], 2);
    assert_eq!(open[0]["at"], "start");
    assert_eq!(open[0]["status"], "open");
    assert!(open[0]["expires_at"].is_string());
    assert_eq!(open[0]["shows"]["depends_on"]["analyze_transactions"], run["steps"][0]["output"]);
    let text = project.wflo(&["approvals", "show", &approval]).expect_code(0).stdout;
    for account in run["steps"][0]["output"]["suspicious"].as_array().expect("a list") {
        assert!(text.contains(account.as_str().expect("an id")), "{text}");
    }
}

#[test]
fn the_list_says_until_when_and_how_a_run_goes_on_where_it_is_too_late() {
    let (project, _) = Project::fraud();
    let listed = || project.wflo(&["approvals"]).expect_code(0).stdout;
    let until = project.wflo(&["run", "--json"]).expect_code(10).json();
    assert!(listed().trim_end().ends_with('Z') && listed().contains(", until 20"), "{}", listed());
    project.wflo(&["cancel", until["run"].as_str().expect("an id")]);
    project.edit("workflow.toml", "timeout_seconds = 3600", "timeout_seconds = 1");
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let id = run["run"].as_str().expect("an id");
    eventually("it is too late", || listed().contains(&format!(", too late: `wflo resume {id}` goes on")));
    project.wflo(&["resume", id]).expect_code(1);
    assert_eq!(listed(), "");
}

#[test]
fn without_resume_the_vote_is_kept_and_the_run_goes_on_later() {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let approval = approval_of(&run);
    project.wflo_as("alice", &people.alice, &["approve", &approval, "--no-resume"]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval, "--no-resume"]);
    assert!(project.blocked().is_empty());
    project.wflo(&["resume", run["run"].as_str().expect("an id")]).expect_code(0);
    assert!(!project.blocked().is_empty());
}

#[test]
fn who_votes_too_late_is_told_so() {
    let (project, people) = Project::fraud();
    let dave = project.wflo(&["identity", "add", "dave", "--group", "fraud-team"]).expect_code(0).stdout;
    let asked = || approval_of(&project.wflo(&["run", "--json"]).expect_code(10).json());
    let late = |verdict: &str, approval: &str, code: i32| {
        project.wflo_as("dave", dave.trim(), &[verdict, approval]).expect_code(code).stderr
    };

    let rejected = asked();
    project.wflo_as("carol", &people.carol, &["reject", &rejected]).expect_code(1);
    let said = late("approve", &rejected, 1);
    assert!(said.contains(&format!("dave is too late: {rejected} is rejected")), "{said}");

    // What succeeded stays so, and yet this is not what was wanted.
    let approved = asked();
    project.wflo_as("alice", &people.alice, &["approve", &approved]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approved]).expect_code(0);
    let said = late("reject", &approved, 3);
    assert!(said.contains(&format!("dave is too late: {approved} is consumed")), "{said}");
}
