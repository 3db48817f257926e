//! Infrastructure automation, on a real terraform: two teams agree, a plan is applied, what fails is put back, and what
//! was applied is taken back.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::harness::{Output, Project, approval_of, binary, eventually, root, terraform};

/// The example, without its working copy and its people.
pub(crate) fn unapplied() -> Project {
    let project = Project::new("infrastructure-automation");
    let example = root().join("examples/infrastructure-automation");
    std::fs::create_dir(project.path("infra")).expect("a folder");
    for file in ["infra/fleet.tf", "infra/main.tf", "setup.sh"] {
        std::fs::copy(example.join(file), project.path(file)).expect("the example has it");
    }
    project.edit("wflo.toml", "binary = \"terraform\"", &format!("binary = \"{}\"", terraform()));
    project
}

/// What sets it up.
pub(crate) fn setup(project: &Project) -> Command {
    let mut setup = Command::new("sh");
    setup.arg(project.path("setup.sh")).env("WFLO", binary("wflo")).env("TERRAFORM", terraform());
    setup
}

/// The example, set up.
struct Example {
    project: Project,
}

impl Example {
    fn new() -> Self {
        let project = unapplied();
        Output::of(&mut setup(&project)).expect_code(0);
        Self { project }
    }

    /// Terraform is another program, which does `script` first; the real one is `$real`, the working folder of the
    /// script `$here`.
    fn terraform_is(&self, script: &str) {
        let path = self.project.path("terraform.sh");
        let here = path.parent().expect("a folder").display().to_string();
        let text =
            format!("#!/bin/sh\nreal='{}'\nhere='{here}'\n{script}\nexec \"$real\" \"$@\"\n", terraform());
        std::fs::write(&path, text).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("that can be run");
        self.project.edit("wflo.toml", &terraform(), &path.display().to_string());
    }

    fn asked(&self) -> (String, String) {
        let run = self.project.wflo(&["run", "--json"]).expect_code(10).json();
        (run["run"].as_str().expect("a run has an id").to_owned(), approval_of(&run))
    }

    fn as_person(&self, name: &str, args: &[&str]) -> Command {
        let token =
            std::fs::read_to_string(self.project.path("tokens").join(name)).expect("setup.sh has left it");
        let mut command = self.project.command(args);
        command.args(["--as", name]).env("WFLO_TOKEN", token.trim());
        command
    }

    fn vote(&self, name: &str, verdict: &str, approval: &str) -> Output {
        Output::of(&mut self.as_person(name, &[verdict, approval]))
    }

    /// A run in which both teams have agreed; `code` is what the last vote ends with.
    fn agreed(&self, code: i32) -> String {
        let (run, approval) = self.asked();
        self.vote("sam", "approve", &approval).expect_code(10);
        self.vote("sofia", "approve", &approval).expect_code(code);
        run
    }

    fn show(&self, run: &str) -> Value {
        self.project.wflo(&["show", run, "--json"]).expect_code(0).json()
    }

    fn state(&self) -> Value {
        let text = std::fs::read_to_string(self.project.path("prod/terraform.tfstate")).expect("the state");
        serde_json::from_str(&text).expect("JSON")
    }

    fn monthly(&self) -> Value {
        self.state()["outputs"]["monthly_usd"]["value"].clone()
    }

    fn fleet(&self) -> String {
        std::fs::read_to_string(self.project.path("prod/fleet.tf")).expect("a file of the working copy")
    }
}

const BEFORE: &str = "5127.52";
const AFTER: &str = "3509.84";

#[test]
fn both_teams_agree_in_any_order_and_then_the_plan_is_applied() {
    let example = Example::new();
    let before = example.fleet();
    let (run, approval) = example.asked();
    let shown = example.project.wflo(&["approvals", "show", &approval]).expect_code(0).stdout;
    assert!(shown.contains("off the public network"), "what is decided on is shown: {shown}");
    example.vote("mallory", "approve", &approval).expect_code(3);
    example.vote("sofia", "approve", &approval).expect_code(10);
    example.vote("sofia", "approve", &approval).expect_code(3);
    assert_eq!(
        (example.monthly(), example.fleet()),
        (json!(BEFORE), before),
        "one of two teams is not enough"
    );
    example.vote("sam", "approve", &approval).expect_code(0);

    let view = example.show(&run);
    assert_eq!(view["status"], "succeeded");
    let output = &view["steps"][2]["output"];
    assert_eq!(output["applied"], true);
    assert_eq!(output["resources"], json!(["database", "monthly_usd", "web", "workers"]));
    assert_eq!(output["monthly_difference_usd"], "-1617.68");
    assert_eq!((example.monthly(), example.state()["serial"].clone()), (json!(AFTER), json!(2)));
    assert!(example.fleet().contains("m5.xlarge"), "the working copy has what is applied");
    let text = example.project.wflo(&["show", &run]).expect_code(0).stdout;
    assert!(
        text.contains("reports a cost of 0 USD, cloud: 5127.52 USD a month before, 3509.84 after"),
        "{text}"
    );
    assert!(text.contains("0 to add, 0 to change, 0 to destroy, 4 outputs to change"), "{text}");
    example.project.wflo(&["replay", &run]).expect_code(0);
    assert_eq!(example.state()["serial"], 2, "a replay applies nothing");
}

#[test]
fn a_team_that_rejects_stops_it_before_anything_is_planned() {
    let example = Example::new();
    let (run, approval) = example.asked();
    example.vote("sam", "approve", &approval).expect_code(10);
    let rejected =
        Output::of(&mut example.as_person("sofia", &["reject", &approval, "--comment", "not on a Friday"]));
    rejected.expect_code(1);
    let view = example.show(&run);
    assert_eq!((&view["status"], &view["steps"][1]["status"]), (&json!("failed"), &json!("failed")));
    assert!(view["error"].as_str().expect("why").contains("not on a Friday"), "{view}");
    assert_eq!(view["steps"][2]["attempts"], 0);
    assert!(
        !example.project.path("prod/.wflo/plans").read_dir().is_ok_and(|mut plans| plans.next().is_some())
    );
}

#[test]
fn what_fails_half_way_is_put_back_and_said() {
    let example = Example::new();
    let before = example.fleet();
    // The change is made, and then terraform says that it was not.
    example.terraform_is(
        "if [ \"$1\" = apply ] && [ ! -e \"$here/failed\" ]; then touch \"$here/failed\"; \"$real\" \"$@\"; \
         echo 'Error: InsufficientInstanceCapacity' >&2; exit 1; fi",
    );
    let run = example.agreed(1);
    let view = example.show(&run);
    assert_eq!(view["status"], "failed");
    let error = view["error"].as_str().expect("why");
    assert!(error.contains("InsufficientInstanceCapacity"), "{error}");
    assert!(error.contains("the previous configuration is applied again"), "{error}");
    assert_eq!((example.monthly(), example.fleet()), (json!(BEFORE), before));
    assert_eq!(example.state()["serial"], 3, "there, and back again");
    let plan = example.project.wflo(&["rollback", &run, "--dry-run"]).expect_code(0).stdout;
    assert_eq!(plan.trim(), "there is nothing to undo", "it is undone already");
    example.project.wflo(&["replay", &run]).expect_code(0);
}

#[test]
fn what_was_applied_is_taken_back_on_demand() {
    let example = Example::new();
    let before = example.fleet();
    let run = example.agreed(0);
    let plan = example.project.wflo(&["rollback", &run, "--dry-run"]).expect_code(0).stdout;
    assert_eq!(plan.trim(), "reapply     apply_changes: what terraform folder `prod` had before");
    assert_eq!(example.monthly(), AFTER, "a plan does nothing");
    let view = example.project.wflo(&["rollback", &run, "--json"]).expect_code(0).json();
    assert_eq!(view["status"], "rolled_back");
    assert_eq!(view["steps"][2]["status"], "rolled_back");
    assert_eq!(view["rollback"]["reapplied"][0]["came_to"], "done");
    assert_eq!((example.monthly(), example.fleet()), (json!(BEFORE), before));
    example.project.wflo(&["audit", "export", &run, "-o", "run.audit"]).expect_code(0);
    example.project.wflo(&["audit", "verify", "run.audit"]).expect_code(0);
}

#[test]
fn a_fork_takes_back_what_its_parent_has_applied() {
    let example = Example::new();
    let before = example.fleet();
    let run = example.agreed(0);
    let at = example.show(&run)["events"].to_string();
    let fork = example.project.wflo(&["fork", &run, "--at", &at, "--json"]).expect_code(0).json();
    let fork = fork["run"].as_str().expect("a run has an id");
    let plan = example.project.wflo(&["rollback", fork, "--dry-run"]).expect_code(0).stdout;
    assert_eq!(plan.trim(), "reapply     apply_changes: what terraform folder `prod` had before");
    assert_eq!(example.monthly(), AFTER, "a plan does nothing");
    let view = example.project.wflo(&["rollback", fork, "--json"]).expect_code(0).json();
    assert_eq!(
        (&view["status"], &view["steps"][2]["status"]),
        (&json!("rolled_back"), &json!("rolled_back"))
    );
    assert_eq!((example.monthly(), example.fleet()), (json!(BEFORE), before));
}

#[test]
fn what_others_have_applied_since_is_left_as_it_is() {
    let example = Example::new();
    let run = example.agreed(0);
    let more = "output \"motd\" { value = \"by hand\" }\n";
    std::fs::write(example.project.path("prod/motd.tf"), more).expect("a file of the working copy");
    let by_hand = Command::new(terraform())
        .args(["apply", "-input=false", "-auto-approve"])
        .current_dir(example.project.path("prod"))
        .output()
        .expect("terraform runs");
    assert!(by_hand.status.success(), "{by_hand:?}");
    let done = example.project.wflo(&["rollback", &run]).expect_code(1);
    assert!(done.stdout.contains("somebody else has applied something since"), "{}", done.stdout);
    assert_eq!(example.show(&run)["status"], "partially_rolled_back");
    assert_eq!(
        (example.monthly(), &example.state()["outputs"]["motd"]["value"]),
        (json!(AFTER), &json!("by hand"))
    );
}

#[test]
fn people_see_the_plan_that_a_policy_stops_and_it_is_the_one_that_is_applied() {
    let example = Example::new();
    example.project.edit(
        "workflow.toml",
        "when = \"destroys > 0\"",
        "when = \"destroys > 0 OR outputs > 3\"",
    );
    let (run, approval) = example.asked();
    example.vote("sam", "approve", &approval).expect_code(10);
    let asked = example.vote("sofia", "approve", &approval).expect_code(10);
    assert!(asked.stdout.contains("`apply_changes` waits for approval"), "{}", asked.stdout);
    let approval = approval_of(&example.show(&run));
    let shown = example.project.wflo(&["approvals", "show", &approval]).expect_code(0).stdout;
    for line in
        ["what terraform has planned:", "~ monthly_usd = \"5127.52\" -> \"3509.84\"", "\"outputs\": 4"]
    {
        assert!(shown.contains(line), "`{line}` is not in:\n{shown}");
    }
    assert_eq!(example.monthly(), BEFORE, "it waits");
    // Somebody overtakes it: what was approved is not what there is any more.
    let voted = Output::of(&mut example.as_person("sam", &["approve", &approval, "--no-resume"]));
    voted.expect_code(0);
    std::fs::write(example.project.path("prod/more.tf"), "locals {}\n").expect("a file of the working copy");
    let stale = example.project.wflo(&["resume", &run]);
    assert_eq!(stale.code, 1, "{stale:?}");
    assert!(stale.stdout.contains("has changed since the plan was made"), "{}", stale.stdout);
    assert_eq!(example.monthly(), BEFORE);
    let tested = example.project.wflo(&["policy", "test", "--fact", "outputs=4"]).expect_code(0).stdout;
    assert!(tested.contains("what is applied to `prod` of `apply_changes`"), "{tested}");
}

/// A command that is killed at its end.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended is no error worth a test's failure.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_apply_that_outlives_wflo_is_waited_for_and_found_done() {
    let example = Example::new();
    example.terraform_is(
        "if [ \"$1\" = apply ]; then touch \"$here/begun\"; \
         while [ ! -e \"$here/go\" ]; do sleep 0.02; done; \"$real\" \"$@\"; code=$?; touch \"$here/done\"; exit $code; fi",
    );
    let (run, approval) = example.asked();
    example.vote("sam", "approve", &approval).expect_code(10);
    let mut voting =
        Killed(example.as_person("sofia", &["approve", &approval]).spawn().expect("wflo starts"));
    eventually("terraform begins", || example.project.path("begun").exists());
    voting.0.kill().expect("wflo is killed");
    voting.0.wait().expect("it has ended");

    // Terraform goes on, and whoever comes back waits for it: the lock is its own.
    let resuming = Killed(example.project.command(&["resume", &run]).spawn().expect("wflo starts"));
    example.project.write("go", "");
    eventually("terraform ends", || example.project.path("done").exists());
    drop_when_ended(resuming);
    let view = example.show(&run);
    assert_eq!(view["status"], "succeeded", "{view}");
    assert_eq!(
        (example.monthly(), example.state()["serial"].clone()),
        (json!(AFTER), json!(2)),
        "applied once"
    );
    assert!(example.fleet().contains("m5.xlarge"));
    example.project.wflo(&["replay", &run]).expect_code(0);
}

fn drop_when_ended(mut command: Killed) {
    let status = command.0.wait().expect("it ends");
    assert!(status.success(), "{status}");
}

#[test]
fn an_apply_that_died_with_wflo_is_for_a_person_to_say() {
    let example = Example::new();
    example.terraform_is(
        "if [ \"$1\" = apply ]; then echo $$ > \"$here/pid\"; touch \"$here/begun\"; \
         while [ ! -e \"$here/go\" ]; do sleep 0.02; done; fi",
    );
    let (run, approval) = example.asked();
    example.vote("sam", "approve", &approval).expect_code(10);
    let mut voting =
        Killed(example.as_person("sofia", &["approve", &approval]).spawn().expect("wflo starts"));
    eventually("terraform begins", || example.project.path("begun").exists());
    voting.0.kill().expect("wflo is killed");
    voting.0.wait().expect("it has ended");
    let pid = std::fs::read_to_string(example.project.path("pid")).expect("the script has a number");
    let ended = Command::new("kill").args(["-9", pid.trim()]).status().expect("kill runs");
    assert!(ended.success());

    let parked = example.project.wflo(&["resume", &run]).expect_code(11);
    for words in ["nobody knows whether", "the state is as it was before, at serial 1", "4 outputs to change"]
    {
        assert!(parked.stdout.contains(words), "`{words}` is not in:\n{}", parked.stdout);
    }
    let intent =
        example.show(&run)["waiting_for"][0]["intent"].as_u64().expect("the call is named").to_string();
    example.project.write("go", "");
    example.project.wflo(&["resolve", &run, &intent, "--not-done"]).expect_code(0);
    assert_eq!(example.monthly(), AFTER);
}

#[test]
fn a_deployment_that_takes_the_folder_away_is_heard_at_once() {
    let example = Example::new();
    let (run, approval) = example.asked();
    example.vote("sam", "approve", &approval).expect_code(10);
    example.project.edit("wflo.toml", "[terraform.prod]", "[terraform.other]");
    example.vote("sofia", "approve", &approval).expect_code(1);
    let view = example.show(&run);
    assert!(view["error"].as_str().expect("why").contains("binds no terraform folder `prod`"), "{view}");
    let checked = example.project.wflo(&["check"]).expect_code(2);
    assert!(checked.stderr.contains("binds no terraform folder `prod`"), "{}", checked.stderr);
}
