//! Who people are: tokens, roles, ends that take effect at once, failed attempts.

use serde_json::{Value, json};

use crate::harness::{Project, approval_of};

/// What the store's own log says, one line each.
fn system(project: &Project) -> Vec<String> {
    let shown = project.wflo(&["audit", "show", "--json"]).expect_code(0).json();
    let text = |event: &Value| event["text"].as_str().expect("an event has a text").to_owned();
    shown.as_array().expect("a list").iter().map(text).collect()
}

#[track_caller]
fn person(project: &Project, name: &str) -> Value {
    let people = project.wflo(&["identity", "list", "--json"]).expect_code(0).json();
    let found = people.as_array().expect("a list").iter().find(|person| person["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("no `{name}` in {people}"))
}

#[test]
fn a_rotated_token_opens_nothing_and_the_new_one_does() {
    let (project, people) = Project::fraud();
    let approval = approval_of(&project.wflo(&["run", "--json"]).expect_code(10).json());
    let alice = project.wflo(&["identity", "rotate", "alice"]).expect_code(0).stdout.trim().to_owned();
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(3);
    project.wflo_as("alice", &alice, &["approve", &approval]).expect_code(10);
    let unknown = project.wflo(&["identity", "rotate", "nobody"]).expect_code(4);
    assert!(unknown.stderr.contains("there is no principal `nobody`"), "{}", unknown.stderr);
    let log = system(&project);
    assert!(log.iter().any(|line| line.ends_with("gives alice another token")), "{log:?}");
    assert!(log.iter().all(|line| !line.contains("argon2") && !line.contains("wflo_")), "{log:?}");
}

#[test]
fn who_is_revoked_or_has_expired_decides_nothing_any_more() {
    let (project, people) = Project::fraud();
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let (id, approval) = (run["run"].as_str().expect("an id"), approval_of(&run));
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &approval, "--no-resume"]).expect_code(0);
    // It is approved and not used yet: whoever approved it must still be somebody when it is.
    project.wflo(&["identity", "revoke", "alice"]).expect_code(0);
    let again = project.wflo(&["resume", id, "--json"]).expect_code(10).json();
    assert!(project.blocked().is_empty());
    let asked_anew = approval_of(&again);
    assert_ne!(asked_anew, approval);
    project.wflo_as("alice", &people.alice, &["approve", &asked_anew]).expect_code(3);
    assert_eq!(person(&project, "alice")["status"], "revoked");
    project.wflo(&["identity", "add", "alice", "--group", "fraud-team"]).expect_code(2);
    project.wflo(&["identity", "rotate", "alice"]).expect_code(4);

    let anna = project.wflo(&["identity", "add", "anna", "--group", "fraud-team"]).expect_code(0).stdout;
    project.wflo(&["identity", "expire", "carol", "--at", "2001-01-01"]).expect_code(0);
    assert_eq!(person(&project, "carol")["status"], "expired");
    project.wflo_as("anna", anna.trim(), &["approve", &asked_anew]).expect_code(10);
    project.wflo_as("carol", &people.carol, &["approve", &asked_anew]).expect_code(3);
    let later = ["identity", "add", "cleo", "--group", "compliance", "--expires", "2999-01-01"];
    let cleo = project.wflo(&later).expect_code(0).stdout;
    project.wflo_as("cleo", cleo.trim(), &["approve", &asked_anew]).expect_code(0);
    assert!(!project.blocked().is_empty());
}

#[test]
fn the_store_ends_whom_the_deployment_names() {
    let (project, people) = Project::fraud();
    // A token with its hash as a deployment's file would have it: that of somebody in another store.
    let other = Project::new("hello");
    let token = other.wflo(&["identity", "add", "frank"]).expect_code(0).stdout.trim().to_owned();
    let log = other.wflo(&["audit", "export", "--system"]).expect_code(0).stdout;
    let (_, hash) = log.split_once("$argon2id$").expect("the log has the hash");
    let hash = hash.split(['"', '\\']).next().expect("it ends somewhere");
    let file = project.path("wflo.toml");
    let text = std::fs::read_to_string(&file).expect("wflo.toml");
    let principal =
        format!("\n[principal.frank]\ngroups = [\"compliance\"]\ntoken_hash = \"$argon2id${hash}\"\n");
    std::fs::write(&file, format!("{text}{principal}")).expect("wflo.toml");

    let approval = approval_of(&project.wflo(&["run", "--json"]).expect_code(10).json());
    assert_eq!(person(&project, "frank")["role"], "approver");
    project.wflo_as("alice", &people.alice, &["approve", &approval]).expect_code(10);
    project.wflo_as("frank", &token, &["cancel", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).expect_code(4);
    let refused = project.wflo(&["identity", "rotate", "frank"]).expect_code(4);
    assert!(refused.stderr.contains("`wflo.toml`"), "{}", refused.stderr);
    project.wflo(&["identity", "revoke", "frank"]).expect_code(0);
    project.wflo_as("frank", &token, &["approve", &approval]).expect_code(3);
    assert_eq!(person(&project, "frank")["status"], "revoked");
    let log = system(&project);
    assert!(log.iter().any(|line| line.starts_with("the deployment file `")), "{log:?}");
}

#[test]
fn roles_bound_what_somebody_may_do() {
    let (project, people) = Project::fraud();
    let add = |name: &str, role: &str| {
        let args = ["identity", "add", name, "--group", "fraud-team", "--role", role];
        project.wflo(&args).expect_code(0).stdout.trim().to_owned()
    };
    let (vera, ada) = (add("vera", "viewer"), add("ada", "admin"));
    project.wflo(&["identity", "add", "x", "--role", "king"]).expect_code(2);
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let (id, approval) = (run["run"].as_str().expect("an id"), approval_of(&run));

    // A viewer looks and exports, and nothing else, whatever group they are in.
    for args in [
        &["approve", approval.as_str()][..],
        &["run"],
        &["cancel", id],
        &["resume", id],
        &["erase", id],
        &["gc"],
        &["identity", "add", "mole"],
    ] {
        let refused = project.wflo_as("vera", &vera, args).expect_code(3);
        assert!(refused.stderr.contains("`vera` is a viewer, who may only look"), "{}", refused.stderr);
    }
    project.wflo_as("vera", &vera, &["show", id]).expect_code(0);
    project.wflo_as("vera", &vera, &["audit", "export", id]).expect_code(0);

    // An approver works, and does not manage.
    let refused = project.wflo_as("alice", &people.alice, &["identity", "revoke", "vera"]).expect_code(3);
    assert!(refused.stderr.contains("`alice` is an approver"), "{}", refused.stderr);
    project.wflo_as("alice", &people.alice, &["erase", id]).expect_code(3);
    project.wflo_as("ada", &ada, &["identity", "revoke", "vera"]).expect_code(0);
    project.wflo_as("vera", &vera, &["audit", "export", id]).expect_code(3);
    project.wflo_as("ada", &ada, &["approve", &approval]).expect_code(10);
    let log = system(&project);
    for expect in ["ada revokes vera", &format!("vera exports run {id}")] {
        assert!(log.iter().any(|line| line == expect), "no `{expect}` in {log:?}");
    }
}

#[test]
fn failed_attempts_are_in_the_audit_and_have_to_wait_across_restarts() {
    let (project, people) = Project::fraud();
    let approval = approval_of(&project.wflo(&["run", "--json"]).expect_code(10).json());
    let approve = ["approve", approval.as_str()];
    // Every command is a process of its own.
    for _ in 0..12 {
        let refused = project.wflo_as("alice", "wflo_guess", &approve).expect_code(3);
        if refused.stderr.contains("too many attempts") {
            break;
        }
    }
    // The right token is not looked at either, and nobody else has to wait.
    let refused = project.wflo_as("alice", &people.alice, &approve).expect_code(3);
    assert!(
        refused.stderr.contains("too many attempts to log in as `alice` have failed"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("hint: try again after 2"), "{}", refused.stderr);
    project.wflo_as("carol", &people.carol, &approve).expect_code(10);
    let failures = |log: &[String]| {
        log.iter().filter(|line| line.starts_with("an attempt to log in as alice by command fails")).count()
    };
    let before = failures(&system(&project));
    assert!((5..=12).contains(&before), "{before} failures are in the log");
    crate::harness::eventually("the wait is over", || {
        project.wflo_as("alice", &people.alice, &approve).code == 0
    });
    let log = system(&project);
    assert_eq!(failures(&log), before, "who waits fails no more");
    let back =
        log.iter().find(|line| line.starts_with("alice logs in by command")).expect("it is in the log");
    assert!(!back.contains("turned away") || back.contains("attempts that were turned away"), "{back}");
}

#[test]
fn what_happens_to_a_store_is_exported_and_verified_as_a_run_is() {
    let (project, _) = Project::fraud();
    project.wflo(&["audit", "export", "--system", "-o", "store.audit"]).expect_code(0);
    let verified = project.wflo(&["audit", "verify", "store.audit"]).expect_code(0);
    assert!(verified.stdout.contains("the log of the store"), "{}", verified.stdout);
    let text = std::fs::read_to_string(project.path("store.audit")).expect("the audit file");
    assert!(text.contains("identity_added"));
    std::fs::write(project.path("forged.audit"), text.replace("mallory", "mallorc")).expect("a file");
    project.wflo(&["audit", "verify", "forged.audit"]).expect_code(1);
    let words = project.wflo(&["audit", "show"]).expect_code(0).stdout;
    assert!(words.contains("adds alice: approver, fraud-team"), "{words}");
    project.wflo(&["audit", "show", "--system", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]).expect_code(2);
    let by = project.wflo(&["audit", "show", "--system", "--json"]).expect_code(0).json()[0]["by"].clone();
    assert!(by.as_str().is_some_and(|by| by.starts_with("local:")), "{}", json!(by));
}
