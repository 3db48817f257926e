//! What steps write to people, publish, and look up: through the gate, the journal and the outbox, to real servers.

use serde_json::{Value, json};

use crate::harness::{Project, approval_of, eventually};
use crate::mailbox::Mailbox;
use crate::notify::Inbox;

/// The workflow, with servers for its mail and its channel, and a folder of documents.
fn office() -> (Project, Mailbox, Inbox) {
    let (project, mailbox, inbox) = (Project::workflow("letters"), Mailbox::start(), Inbox::start());
    project.edit("wflo.toml", "smtp://127.0.0.1:9", &mailbox.url);
    project.edit("wflo.toml", "http://127.0.0.1:9/slack", &format!("{}/slack", inbox.address));
    std::fs::create_dir(project.path("kb")).expect("a folder");
    project.write(
        "kb/returns.md",
        "# Returns\n\nWithin 30 days.\n\n## Shoes\n\nWorn shoes are not taken back.\n",
    );
    (project, mailbox, inbox)
}

#[track_caller]
fn run(project: &Project, code: i32, inputs: &[&str]) -> Value {
    let mut args = vec!["run", "--json"];
    inputs.iter().for_each(|input| args.extend(["--input", input]));
    project.wflo(&args).expect_code(code).json()
}

#[track_caller]
fn id(run: &Value) -> &str {
    run["run"].as_str().expect("a run has an id")
}

#[track_caller]
fn output<'a>(run: &'a Value, step: &str) -> &'a Value {
    let steps = run["steps"].as_array().expect("a run has steps");
    &steps.iter().find(|it| it["name"] == step).unwrap_or_else(|| panic!("no step `{step}`"))["output"]
}

fn outbox(project: &Project) -> Value {
    project.wflo(&["outbox", "--json"]).expect_code(0).json()
}

#[test]
fn what_a_step_writes_leaves_once_it_has_succeeded() {
    let (project, mailbox, inbox) = office();
    project.wflo(&["check"]).expect_code(0);
    // Two attempts write and fail; nothing of them leaves.
    let run = run(&project, 0, &["fails_until=3"]);
    let taken = mailbox.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    let mail = &taken[0];
    assert_eq!(mail.to, ["ann@example.org", "bob@example.org"]);
    assert_eq!(mail.from, "support@example.org");
    let message_id = output(&run, "write").as_str().expect("the id of the mail");
    assert_eq!(mail.header("Message-ID"), Some(format!("<{message_id}>")));
    assert_eq!(mail.header("To").as_deref(), Some("ann@example.org, bob@example.org"));
    assert_eq!(mail.header("From").as_deref(), Some("Support <support@example.org>"));
    assert_eq!(mail.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    assert_eq!(mail.text().replace("\r\n", "\n").trim_end(), "Hello Ann,\n\n.\nit is done: ä €");
    let posted = inbox.posted();
    assert_eq!(posted.len(), 1, "{posted:?}");
    let blocks = posted[0].1["blocks"].to_string();
    for part in ["a mail was written", "to <!channel> & others", id(&run), "letters", "plain_text"] {
        assert!(blocks.contains(part), "no `{part}` in {blocks}");
    }
    assert!(!posted[0].1["text"].to_string().contains("<!channel>"), "{posted:?}");
    assert_eq!(outbox(&project), json!([]));
    project.wflo(&["replay", id(&run)]).expect_code(0);
    assert_eq!(mailbox.taken().len(), 1, "a replay writes to nobody");
    let shown = project.wflo(&["show", id(&run)]).expect_code(0).stdout;
    assert!(shown.contains("write: queues mail to ann@example.org, bob@example.org: Grüße"), "{shown}");
    assert!(shown.contains("write: queues a message to slack://team: a mail was written"), "{shown}");
    let report = project.wflo(&["audit", "report", "--run", id(&run)]).expect_code(0).stdout;
    assert_eq!(report.matches("mail to ann@example.org, bob@example.org").count(), 1, "{report}");
}

#[test]
fn a_step_that_fails_has_written_to_nobody() {
    let (project, mailbox, inbox) = office();
    run(&project, 1, &["fails_until=9"]);
    assert!(mailbox.taken().is_empty() && inbox.posted().is_empty());
    assert_eq!(outbox(&project), json!([]));
}

#[test]
fn mail_waits_for_its_server_and_for_nothing_else() {
    let (project, mailbox, _inbox) = office();
    project.edit("wflo.toml", &mailbox.url, "smtp://127.0.0.1:9");
    run(&project, 0, &[]);
    let waits = outbox(&project);
    assert_eq!((&waits[0]["channel"], &waits[0]["about"]), (&json!("mail"), &json!("said")), "{waits}");
    project.edit("wflo.toml", "smtp://127.0.0.1:9", &mailbox.url);
    // An address that is nobody's is said, and keeps nobody else's mail back.
    mailbox.refuses(Some("ann@example.org"));
    run(&project, 0, &["to=eve@example.org"]);
    project.wflo(&["outbox", "--retry"]).expect_code(0);
    let waits = outbox(&project);
    assert_eq!(waits.as_array().map(Vec::len), Some(1), "{waits}");
    assert!(waits[0]["why"].as_str().is_some_and(|why| why.contains("550")), "{waits}");
    assert_eq!(mailbox.taken()[0].to[0], "eve@example.org");
    mailbox.refuses(None);
    project.wflo(&["outbox", "--retry"]).expect_code(0);
    assert_eq!((mailbox.taken().len(), outbox(&project)), (2, json!([])));
}

#[test]
fn to_whom_is_the_grants_and_the_deployments_to_say() {
    let (project, mailbox, inbox) = office();
    let denied = run(&project, 1, &["to=ann@elsewhere.org"]);
    let why = denied["error"].as_str().expect("why");
    assert!(why.contains("mail to `ann@elsewhere.org` is not granted"), "{why}");
    // The deployment is a ceiling, for runs that are there already as well.
    let text = std::fs::read_to_string(project.path("wflo.toml")).expect("wflo.toml");
    project.write("wflo.toml", &format!("{text}\n[limits]\nmail = [\"ann@example.org\"]\n"));
    let refused = project.wflo(&["check"]).expect_code(2).stderr;
    assert!(refused.contains("mail to `*@example.org` is above the ceiling"), "{refused}");
    // Labelled data goes where it is accepted.
    project.write("wflo.toml", &text);
    project.edit("workflow.toml", "name = \"write\"", "name = \"write\"\nlabels = [\"phi\"]");
    let refused = project.wflo(&["check"]).expect_code(2).stderr;
    assert!(refused.contains("`phi`, which `*@example.org` does not accept"), "{refused}");
    assert!(refused.contains("`phi`, which `slack://team` does not accept"), "{refused}");
    project.edit("wflo.toml", "[mail]", "[mail]\naccepts = [\"phi\"]");
    project.edit(
        "wflo.toml",
        "[channel.\"slack://team\"]",
        "[channel.\"slack://team\"]\naccepts = [\"phi\"]",
    );
    run(&project, 0, &[]);
    assert_eq!((mailbox.taken().len(), inbox.posted().len()), (1, 1));
}

#[test]
fn what_may_not_leave_any_more_is_kept_back() {
    let (project, mailbox, inbox) = office();
    project.edit("workflow.toml", "name = \"write\"", "name = \"write\"\nlabels = [\"phi\"]");
    project.edit("wflo.toml", &mailbox.url, "smtp://127.0.0.1:9");
    project.edit("wflo.toml", &inbox.address, "http://127.0.0.1:9");
    let text = std::fs::read_to_string(project.path("wflo.toml")).expect("wflo.toml");
    project.edit("wflo.toml", "[mail]", "[mail]\naccepts = [\"phi\"]");
    project.edit(
        "wflo.toml",
        "[channel.\"slack://team\"]",
        "[channel.\"slack://team\"]\naccepts = [\"phi\"]",
    );
    let run = run(&project, 0, &[]);
    let text = text.replace("smtp://127.0.0.1:9", &mailbox.url).replace("http://127.0.0.1:9", &inbox.address);
    project.write("wflo.toml", &text);
    project.wflo(&["outbox", "--retry"]).expect_code(0);
    assert!(mailbox.taken().is_empty());
    let waits = outbox(&project);
    let why = waits[0]["why"].as_str().expect("why");
    assert!(why.contains("does not accept data labelled `phi` any more"), "{waits}");
    // A channel hears that there is something, and where.
    let posted = inbox.posted();
    let blocks = posted[0].1["blocks"].to_string();
    assert!(blocks.contains("a message of `write`") && blocks.contains(id(&run)), "{blocks}");
    assert!(!blocks.contains("was written") && !blocks.contains("others"), "{blocks}");
}

#[test]
fn people_see_at_the_commit_what_would_be_written_and_may_be_against_it() {
    for (verdict, on_reject, code, mails) in
        [("approve", "fail", 0, 1), ("reject", "fail", 1, 0), ("reject", "continue", 0, 0)]
    {
        let (project, mailbox, inbox) = office();
        let gate = format!(
            "[step.approval]\napprovers = [\"leads\"]\nat = \"commit\"\non_reject = \"{on_reject}\"\n\n[[step]]\nname = \"publish\""
        );
        project.edit("workflow.toml", "[[step]]\nname = \"publish\"", &gate);
        let added = project.wflo(&["identity", "add", "lea", "--group", "leads"]).expect_code(0);
        let lea = added.stdout.trim().to_owned();
        let waiting = run(&project, 10, &[]);
        let approval = approval_of(&waiting);
        let shown = project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
        let statements = &shown["shows"]["statements"];
        assert_eq!(statements[0]["call"]["args"]["subject"], "Grüße", "{shown}");
        assert_eq!(statements[1]["call"]["args"]["title"], "a mail was written", "{shown}");
        // It comes to the same place however often it is looked at, and asks nobody twice.
        project.wflo(&["resume", id(&waiting)]).expect_code(10);
        assert_eq!(
            project.wflo(&["approvals", "--json"]).expect_code(0).json().as_array().map(Vec::len),
            Some(1)
        );
        assert!(mailbox.taken().is_empty(), "what waits has written to nobody");
        let ended = project.wflo_as("lea", &lea, &[verdict, &approval, "--json"]).expect_code(code).json();
        assert_eq!(mailbox.taken().len(), mails, "{verdict} {on_reject}: {ended}");
        assert_eq!(inbox.posted().len(), mails, "{verdict} {on_reject}");
        assert_eq!(outbox(&project), json!([]));
        project.wflo(&["replay", id(&ended)]).expect_code(0);
    }
}

#[test]
fn mail_that_was_promised_leaves_although_the_process_is_killed() {
    let (project, mailbox, _inbox) = office();
    for n in 0..6 {
        let key = format!("k{n}");
        let mut child = project.command(&["run", "--key", &key]).spawn().expect("the command starts");
        std::thread::sleep(std::time::Duration::from_millis(40 * n));
        child.kill().expect("the command is there to be killed");
        child.wait().expect("it ends");
        project.wflo(&["run", "--key", &key]).expect_code(0);
    }
    eventually("everything has left", || {
        project.wflo(&["outbox", "--retry"]).expect_code(0);
        outbox(&project) == json!([])
    });
    let ids: std::collections::BTreeSet<_> =
        mailbox.taken().iter().map(|mail| mail.header("Message-ID").expect("an id")).collect();
    assert_eq!(ids.len(), 6, "each run has written one mail, whether it was taken once or twice");
}

#[test]
fn a_result_is_published_under_a_key_of_the_host() {
    let (project, _mailbox, inbox) = office();
    let port = inbox.address.rsplit(':').next().expect("a port");
    project.edit("workflow.toml", "POST http://127.0.0.1/*", &format!("POST http://127.0.0.1:{port}/*"));
    let run = run(&project, 0, &[&format!("url={}/drafts", inbox.address)]);
    assert_eq!(output(&run, "publish"), &json!(202));
    let posted = inbox.posted();
    let (_, draft) = posted.iter().find(|(path, _)| path == "/drafts").expect("it was published");
    assert_eq!(draft, &json!({"title": "a draft"}));
}

#[test]
fn passages_are_found_and_stay_what_they_were() {
    let (project, ..) = office();
    let run = run(&project, 0, &[]);
    let found = output(&run, "look_up");
    assert_eq!(found[0]["source"], "returns.md#2", "{found}");
    assert_eq!(found[0]["title"], "Returns > Shoes");
    // What people see is what steps do, and needs no run.
    let searched =
        project.wflo(&["knowledge", "search", "help", "worn", "shoes?", "--json"]).expect_code(0).json();
    assert_eq!(searched[0]["source"], "returns.md#2");
    let shown = project.wflo(&["knowledge", "search", "help", "worn"]).expect_code(0).stdout;
    assert!(shown.contains("returns.md#2  Returns > Shoes\n    Worn shoes are not taken back.\n"), "{shown}");
    let slip = project.wflo(&["knowledge", "search", "hlep", "worn"]).expect_code(4).stderr;
    assert!(slip.contains("there is no knowledge base `hlep`") && slip.contains("`help`"), "{slip}");
    // The journal has what was found.
    std::fs::remove_dir_all(project.path("kb")).expect("the folder");
    project.wflo(&["replay", id(&run)]).expect_code(0);
    let gone = project.wflo(&["check"]).expect_code(2).stderr;
    assert!(gone.contains("`kb/` of knowledge base `help` is not there"), "{gone}");
}
