//! Clinical decision support, played through the command: one patient's rows, one model, a physician who decides on what
//! was written, and an auditor who asks who saw whom.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Output, Project, approval_of, binary, eventually, root};
use crate::notify::Inbox;
use crate::readme::{compare, printed, readme, word};

/// The example with its clinic and its people: the tokens that `setup.sh` leaves.
pub(crate) fn clinic() -> Project {
    let project = Project::new("clinical-decision-support");
    let made =
        Command::new(binary("clinical-data")).arg(project.path("clinic.db")).output().expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::create_dir(project.path("tokens")).expect("a folder for tokens");
    for (name, group) in
        [("okafor", "attending-physician"), ("lindt", "attending-physician"), ("amsler", "nursing")]
    {
        let token = project.wflo(&["identity", "add", name, "--group", group]).expect_code(0).stdout;
        project.write(&format!("tokens/{name}"), &token);
    }
    project
}

fn by(project: &Project, name: &str, args: &[&str]) -> Output {
    let token = std::fs::read_to_string(project.path("tokens").join(name)).expect("a token");
    project.wflo_as(name, token.trim(), args)
}

/// Starts a run that waits for a physician: the run, and what it waits for.
fn waiting(project: &Project, patient: u32) -> (Value, String) {
    let input = format!("patient_id={patient}");
    let run = project.wflo(&["run", "--json", "--input", &input]).expect_code(10).json();
    let approval = approval_of(&run);
    (run, approval)
}

fn id(run: &Value) -> String {
    run["run"].as_str().expect("a run has an id").to_owned()
}

fn db(project: &Project) -> rusqlite::Connection {
    rusqlite::Connection::open(project.path("clinic.db")).expect("the clinic")
}

/// The plans that are filed: whose, what, by whom approved.
fn plans(project: &Project) -> Vec<(i64, String, String)> {
    let clinic = db(project);
    let mut plans = clinic
        .prepare("SELECT patient_id, plan, approved_by FROM treatment_plans ORDER BY id")
        .expect("plans");
    let rows = plans.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("plans");
    rows.collect::<Result<_, _>>().expect("plans")
}

#[test]
fn a_physician_approves_the_plan_that_was_written_and_it_is_filed() {
    let project = clinic();
    let (run, approval) = waiting(&project, 17);
    assert_eq!(run["steps"][0]["output"]["diagnosis"], "Community-acquired pneumonia");
    assert_eq!(
        (&run["steps"][1]["status"], &run["steps"][2]["status"]),
        (&json!("waiting"), &json!("pending"))
    );
    assert_eq!(plans(&project), [], "nothing is filed before somebody has decided");

    let shown = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
    assert_eq!((&shown["at"], &shown["step"]), (&json!("commit"), &json!("recommend_treatment")));
    let plan =
        shown["shows"]["output"]["treatment_plan"].as_str().expect("the plan that was written").to_owned();
    assert!(plan.contains("Levofloxacin") && plan.contains("penicillin caused anaphylaxis"), "{plan}");

    let refused = by(&project, "amsler", &["approve", &approval]).expect_code(3);
    assert!(refused.stderr.contains("not among the approvers"), "{}", refused.stderr);
    let done = by(&project, "okafor", &["approve", &approval, "--json"]).expect_code(0).json();
    assert_eq!(done["steps"][1]["output"]["treatment_plan"], plan.as_str(), "the very plan");
    assert_eq!(plans(&project), [(17, plan, "okafor".to_owned())]);
    assert_eq!(done["budget_usd"], "0.5");
    let cost: f64 = done["cost_usd"].as_str().expect("a cost").parse().expect("an amount");
    assert!(cost > 0.0 && cost < 0.5, "{cost}");
    project.wflo(&["replay", &id(&done)]).expect_code(0);

    // A plan that should not be there is taken back, by the same right by which it was filed.
    let changes = project.wflo(&["show", &id(&done), "--changes"]).expect_code(0).stdout;
    assert!(changes.contains("treatment_plans"), "{changes}");
    project.wflo(&["rollback", &id(&done)]).expect_code(0);
    assert_eq!(plans(&project), []);
}

#[test]
fn what_is_rejected_or_not_decided_in_time_is_not_filed() {
    let project = clinic();
    let (_, approval) = waiting(&project, 17);
    let rejected =
        by(&project, "lindt", &["reject", &approval, "--comment", "wants an X-ray first", "--json"]);
    let rejected = rejected.expect_code(1).json();
    assert_eq!(rejected["status"], "failed");
    let error = rejected["error"].as_str().expect("an error");
    assert!(error.contains("rejected by `lindt`") || error.contains("lindt"), "{error}");

    project.edit("workflow.toml", "timeout_seconds = 7200", "timeout_seconds = 1");
    let (run, approval) = waiting(&project, 17);
    let run = id(&run);
    eventually("the time is over", || project.wflo(&["resume", &run]).code == 1);
    let late = by(&project, "okafor", &["approve", &approval]);
    assert_ne!(late.code, 0, "{late:?}");
    assert_eq!(project.wflo(&["show", &run, "--json"]).expect_code(0).json()["status"], "failed");
    assert_eq!(plans(&project), []);
}

#[test]
fn what_one_physician_changes_another_one_approves() {
    let project = clinic();
    let (_, approval) = waiting(&project, 17);
    let edit = |value: Value| {
        project.write("edited.json", &value.to_string());
        by(
            &project,
            "okafor",
            &["approve", &approval, "--edit", "edited.json", "--comment", "kidneys", "--json"],
        )
    };
    let diagnosis = "Community-acquired pneumonia";
    let bad = edit(json!({ "diagnosis": diagnosis, "treatment_plan": "" })).expect_code(2);
    assert!(bad.stderr.contains("treatment_plan"), "{}", bad.stderr);
    let plan = "Moxifloxacin 400 mg a day, 5 days.";
    let edited = edit(json!({ "diagnosis": diagnosis, "treatment_plan": plan })).expect_code(10).json();
    let second = edited["id"].as_str().expect("another approval").to_owned();
    assert_ne!(second, approval, "what was changed is another question");

    let own = by(&project, "okafor", &["approve", &second]).expect_code(3);
    assert!(own.stderr.contains("author") || own.stderr.contains("changed"), "{}", own.stderr);
    let shown = project.wflo(&["approvals", "show", &second, "--json"]).expect_code(0).json();
    assert_eq!(shown["shows"]["output"]["treatment_plan"], plan);
    by(&project, "lindt", &["approve", &second]).expect_code(0);
    assert_eq!(plans(&project), [(17, plan.to_owned(), "lindt".to_owned())]);
}

#[test]
fn the_pager_is_told_who_is_wanted_and_nothing_of_the_patient() {
    let project = clinic();
    let inbox = Inbox::start();
    let key = format!("routing_key = \"R0\"\napi = \"{}\"", inbox.address);
    project.edit("wflo.toml", "routing_key = \"env:PD_KEY\"", &key);
    let (run, approval) = waiting(&project, 17);
    let posted = inbox.posted();
    let [(_, page)] = &posted[..] else { panic!("one page: {posted:?}") };
    let page = page.to_string();
    for part in [&approval, &id(&run), "recommend_treatment", "attending-physician"] {
        assert!(page.contains(part), "no `{part}` in {page}");
    }
    let patient: (String, String) = db(&project)
        .query_row("SELECT name, born FROM patients WHERE id = 17", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("patient 17");
    let secrets = ["neumonia", "enicillin", "Levofloxacin", "patient_id", &patient.0, &patient.1];
    for secret in secrets {
        assert!(!page.contains(secret), "`{secret}` is in {page}");
    }
}

#[test]
fn a_model_that_does_not_accept_data_of_patients_is_refused() {
    let project = clinic();
    project.edit("wflo.toml", "accepts = [\"phi\"]                   # without it", "# without it");
    let refused = project.wflo(&["check"]).expect_code(2);
    let said = "handles data labelled `phi`, which `gpt-4-medical` does not accept";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    project.wflo(&["run", "--input", "patient_id=17"]).expect_code(2);
}

#[test]
fn filters_that_the_clinic_cannot_keep_are_found_before_anything_runs() {
    let project = clinic();
    let explained = project.wflo(&["check", "--explain", "analyze_patient_data"]).expect_code(0).stdout;
    let line = "may read `born`, `id` and `sex` of table `patients` of database `records`, only rows where `id` is input \
                `patient_id` of the run";
    assert!(explained.contains(line), "{explained}");
    project.edit("workflow.toml", "where = \"id = :inputs", "where = \"number = :inputs");
    let refused = project.wflo(&["check"]).expect_code(2);
    let said = "table `patients` of database `records` has no column `number`";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
}

#[test]
fn an_auditor_finds_who_saw_patient_17_also_after_the_run_was_erased() {
    let project = clinic();
    let (run, approval) = waiting(&project, 17);
    by(&project, "okafor", &["approve", &approval]).expect_code(0);
    let (_, other) = waiting(&project, 4);
    by(&project, "lindt", &["approve", &other]).expect_code(0);

    let report = |about: &str| {
        let lines = project.wflo(&["audit", "report", "--patient", about, "--json"]).expect_code(0).json();
        lines.as_array().expect("lines").clone()
    };
    let of_run = |lines: &[Value], run: &str| lines.iter().all(|line| line["run"] == run);
    let run = id(&run);
    let lines = report("patient_id=17");
    assert!(lines.len() > 5 && of_run(&lines, &run), "{lines:?}");
    let has = |action: &str, what: &str| {
        lines.iter().any(|line| {
            line["action"] == action && line["what"].as_str().is_some_and(|text| text.contains(what))
        })
    };
    assert!(
        has("read", "patient_records") && has("changed", "treatment_plans") && has("asked", "gpt-4-medical")
    );
    assert!(lines.iter().any(|line| line["action"] == "approved" && line["person"] == "okafor"), "{lines:?}");
    assert!(report("patient_id=170").is_empty() && report("patient_id=1").is_empty());

    project.wflo(&["erase", &run]).expect_code(0);
    let left = report("patient_id=17");
    let read: Vec<_> = left.iter().filter(|line| line["action"] == "read").collect();
    assert!(!read.is_empty() && of_run(&left, &run), "{left:?}");
    assert!(left.iter().any(|line| line["action"] == "changed"), "{left:?}");
    assert!(report("id=17").iter().any(|line| line["action"] == "read"), "the patient's own row");
    assert!(report("patient_id=4").iter().all(|line| line["run"] != run.as_str()));
}

/// The steps are the ones that are there; what they may reach is this patient's, whatever they ask for.
#[test]
fn each_run_is_about_one_patient_and_has_its_own_cost() {
    let project = clinic();
    let mut costs = Vec::new();
    for patient in [17, 4] {
        let (run, approval) = waiting(&project, patient);
        by(&project, "okafor", &["approve", &approval]).expect_code(0);
        let cost = project.wflo(&["cost", &id(&run), "--json"]).expect_code(0).json();
        costs.push(cost);
    }
    assert_eq!(costs.len(), 2);
    let filed: Vec<i64> = plans(&project).into_iter().map(|(patient, ..)| patient).collect();
    assert_eq!(filed, [17, 4]);
    let unknown = project.wflo(&["run", "--json", "--input", "patient_id=4711"]).expect_code(1).json();
    assert_eq!(unknown["error"], "step `analyze_patient_data`: there is no such patient");
    assert_eq!(unknown["cost_usd"], "0");
}

#[test]
fn the_readme_of_clinical_decision_support_shows_what_the_commands_print() {
    let text = readme("clinical-decision-support");
    let project = Project::new("clinical-decision-support");
    let example = root().join("examples/clinical-decision-support");
    std::fs::copy(example.join("setup.sh"), project.path("setup.sh")).expect("the example has it");
    let mut setup = Command::new("sh");
    setup
        .arg(project.path("setup.sh"))
        .env("WFLO", binary("wflo"))
        .env("CLINICAL_DATA", binary("clinical-data"));
    compare(&text, "setup", &Output::of(&mut setup).expect_code(0).stdout);
    // Safe to repeat.
    assert_eq!(Output::of(&mut setup).expect_code(0).stdout, "");

    let compare = |name: &str, args: &[&str], person| {
        let shown = printed(&project, args, person);
        compare(&text, name, &shown);
        shown
    };
    compare("check", &["check"], None);
    compare("explain", &["check", "--explain", "analyze_patient_data"], None);
    let run = compare("run", &["run", "--input", "patient_id=17"], Some("amsler"));
    let (id, approval) = (word(&run, "01", 26), word(&run, "apr_", 20));
    compare("approvals-show", &["approvals", "show", &approval], None);
    compare("okafor", &["approve", &approval, "--comment", "agreed"], Some("okafor"));
    compare("cost", &["cost", &id], None);
    compare("report", &["audit", "report", "--patient", "patient_id=17"], Some("pfister"));
    compare("erase", &["erase", &id], None);
    compare("report-erased", &["audit", "report", "--patient", "patient_id=17"], Some("pfister"));
}
