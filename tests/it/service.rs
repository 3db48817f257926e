//! The customer-service example: four intents, a refund that waits and one that does not, mail, ratings, a budget.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Output, Project, approval_of, binary, root};
use crate::mailbox::Mailbox;
use crate::notify::Inbox;

const SHOES: &str = "Can I return shoes that I have worn once?";
const HIRING: &str = "Are you hiring?";
const REFUND: &str = "I want my money back for my order.";
const RUDE: &str = "Your colleague on the phone was rude to me.";
const NAME: &str = "Please change my name to Ann Lee.";

/// The example, with its shop and its people, a server for mail and one for the managers' channel.
pub(crate) struct Desk {
    pub(crate) project: Project,
    mailbox: Mailbox,
    inbox: Inbox,
    maria: String,
    tom: String,
}

/// Copies what the harness leaves out.
pub(crate) fn copy_rest(project: &Project) {
    let example = root().join("examples/customer-service");
    std::fs::create_dir(project.path("record-rating")).expect("a folder");
    for file in example.join("record-rating").read_dir().expect("the example has it") {
        let file = file.expect("a file").path();
        if file.is_file() {
            let to = project.path("record-rating").join(file.file_name().expect("it has a name"));
            std::fs::copy(&file, to).expect("it can be copied");
        }
    }
    assert!(
        project.path("record-rating/rating.wasm").is_file(),
        "`rating.wasm` is not built: run `cargo xtask guests`"
    );
}

impl Desk {
    fn open() -> Self {
        let project = Project::new("customer-service");
        copy_rest(&project);
        let made = Output::of(Command::new(binary("shop-data")).arg(project.path("shop.db"))).expect_code(0);
        assert!(made.stdout.contains("4 orders"), "{}", made.stdout);
        let add = |name: &str, group: &str| {
            let added = project.wflo(&["identity", "add", name, "--group", group]).expect_code(0);
            added.stdout.trim().to_owned()
        };
        let (maria, tom) = (add("maria", "customer-service-manager"), add("tom", "customer-service"));
        let (mailbox, inbox) = (Mailbox::start(), Inbox::start());
        project.edit("wflo.toml", "env:SMTP_URL", &mailbox.url);
        project.edit("wflo.toml", "env:SLACK_CS_WEBHOOK", &format!("{}/managers", inbox.address));
        Self { project, mailbox, inbox, maria, tom }
    }

    #[track_caller]
    fn run(&self, message: &str, order: &str, code: i32) -> Value {
        let inputs = [format!("message={message}"), format!("order_id={order}")];
        let args = ["run", "--json", "--input", &inputs[0], "--input", &inputs[1], "--input"];
        let customer = ["customer_email=ann@customer.example"];
        self.project.wflo(&[&args[..], &customer[..]].concat()).expect_code(code).json()
    }

    /// Amounts that were paid back, by order.
    fn refunds(&self) -> Vec<(String, f64)> {
        let shop = rusqlite::Connection::open(self.project.path("shop.db")).expect("the shop");
        let mut all = shop.prepare("SELECT order_id, amount FROM refunds ORDER BY 1").expect("refunds");
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("refunds");
        rows.collect::<Result<_, _>>().expect("refunds")
    }
}

#[track_caller]
fn handled(run: &Value) -> &Value {
    assert_eq!(run["steps"][1]["name"], "handle_query", "{run}");
    &run["steps"][1]["output"]
}

#[track_caller]
fn id(run: &Value) -> &str {
    run["run"].as_str().expect("a run has an id")
}

#[test]
fn a_question_is_answered_from_the_help_pages_and_says_which() {
    let desk = Desk::open();
    desk.project.wflo(&["check"]).expect_code(0);
    let run = desk.run(SHOES, "", 0);
    assert_eq!(run["steps"][0]["output"]["intent"], "question");
    let answer = handled(&run);
    assert!(
        answer["response"].as_str().is_some_and(|it| it.contains("worn shoes cannot be returned")),
        "{answer}"
    );
    assert_eq!(answer["refund_amount"], "0");
    let sources = answer["sources"].as_array().expect("sources");
    assert!(sources.contains(&json!("returns.md#3")), "{answer}");
    assert!(desk.refunds().is_empty() && desk.inbox.posted().is_empty());
    desk.project.wflo(&["replay", id(&run)]).expect_code(0);
    // What the help pages do not say is not made up: a person is told.
    let run = desk.run(HIRING, "", 0);
    assert_eq!(handled(&run)["sources"], json!([]));
    let told = desk.inbox.posted();
    let blocks = told[0].1["blocks"].to_string();
    assert!(blocks.contains("an open question of a customer") && blocks.contains(HIRING), "{blocks}");
}

#[test]
fn a_small_refund_is_paid_and_a_large_one_waits_inside_the_step() {
    let desk = Desk::open();
    let run = desk.run(REFUND, "small", 0);
    assert_eq!(handled(&run)["refund_amount"], "50.00");
    assert_eq!(desk.refunds(), [("small".to_owned(), 50.0)]);
    let waiting = desk.run(REFUND, "large", 10);
    let approval = approval_of(&waiting);
    let shown = desk.project.wflo(&["approvals", "show", &approval, "--json"]).expect_code(0).json();
    assert_eq!(shown["approvers"], json!(["customer-service-manager"]));
    let params = json!({"order_id": "large", "refund_amount": "150.00"});
    assert_eq!(shown["shows"]["call"]["args"]["params"], params, "what is executed is decided on");
    assert_eq!(desk.refunds().len(), 1, "nothing is paid before");
    assert_eq!(desk.mailbox.taken().len(), 1, "the customer hears nothing yet");
    let told = desk.inbox.posted();
    assert!(
        told.iter().any(|(path, body)| path == "/managers" && body.to_string().contains(&approval)),
        "{told:?}"
    );
    desk.project.wflo_as("tom", &desk.tom, &["approve", &approval]).expect_code(3);
    let run =
        desk.project.wflo_as("maria", &desk.maria, &["approve", &approval, "--json"]).expect_code(0).json();
    assert_eq!(handled(&run)["response"], "Refund processed: you get 150.00 USD back.");
    assert_eq!(desk.refunds(), [("large".to_owned(), 150.0), ("small".to_owned(), 50.0)]);
    desk.project.wflo(&["replay", id(&run)]).expect_code(0);
    // Once is enough, and 100 is not more than 100.
    assert_eq!(handled(&desk.run(REFUND, "large", 10))["response"], Value::Null);
    assert_eq!(handled(&desk.run(REFUND, "small", 0))["response"], "This order was refunded already.");
    assert_eq!(handled(&desk.run(REFUND, "exact", 0))["refund_amount"], "100.00");
    let none = handled(&desk.run(REFUND, "none", 0)).clone();
    assert_eq!(none["response"], "We have no order `none`. Which one is it about?");
    assert_eq!(desk.refunds().len(), 3);
}

#[test]
fn a_refund_that_is_rejected_is_not_paid_and_the_customer_is_told() {
    let desk = Desk::open();
    let approval = approval_of(&desk.run(REFUND, "large", 10));
    let reject = ["reject", &approval, "--comment", "worn", "--json"];
    let run = desk.project.wflo_as("maria", &desk.maria, &reject).expect_code(0).json();
    assert_eq!(handled(&run)["response"], "We cannot refund this order. A manager has looked at it.");
    assert!(desk.refunds().is_empty());
    assert!(desk.mailbox.taken()[0].text().contains("We cannot refund this order"));
}

#[test]
fn complaints_and_what_nobody_foresaw_go_to_people() {
    let desk = Desk::open();
    for (n, (message, intent, title)) in
        [(RUDE, "complaint", "a complaint of a customer"), (NAME, "other", "a request of a customer")]
            .into_iter()
            .enumerate()
    {
        let run = desk.run(message, "", 0);
        assert_eq!(run["steps"][0]["output"]["intent"], intent);
        let told = desk.inbox.posted();
        let blocks = told[n].1["blocks"].to_string();
        assert!(blocks.contains(title) && blocks.contains(message) && blocks.contains(id(&run)), "{blocks}");
        assert_eq!(handled(&run)["refund_amount"], "0");
    }
}

#[test]
fn the_customer_is_asked_and_what_they_say_is_kept() {
    let desk = Desk::open();
    let run = desk.run(SHOES, "", 0);
    assert_eq!(run["steps"][2]["output"], json!({"feedback_requested": true}));
    let mails = desk.mailbox.taken();
    assert_eq!((mails.len(), mails[0].to.as_slice()), (1, &["ann@customer.example".to_owned()][..]));
    assert_eq!(mails[0].from, "service@shop.example");
    assert_eq!(mails[0].header("Subject").as_deref(), Some("How did we do?"));
    let text = mails[0].text();
    assert!(text.contains("worn shoes cannot be returned") && text.contains(id(&run)), "{text}");
    // Their rating is a run of another workflow in the same store.
    let interaction = format!("interaction={}", id(&run));
    let rate = |rating: &str, code: i32| {
        let folder = desk.project.path("record-rating");
        let config = desk.project.path("wflo.toml");
        let mut command = Command::new(binary("wflo"));
        command
            .args(["run", "--json", "--input", &interaction, "--input", rating])
            .arg("--config")
            .arg(config);
        rated(&mut command, &folder).expect_code(code)
    };
    rate("rating=2", 0);
    rate("rating=5", 0);
    rate("rating=6", 2);
    let shop = rusqlite::Connection::open(desk.project.path("shop.db")).expect("the shop");
    let kept: (i64, i64, i64) = shop
        .query_row("SELECT count(*), avg(rating), interaction = ?1 FROM ratings", [id(&run)], |row| {
            Ok((row.get(0)?, row.get::<_, f64>(1)? as i64, row.get(2)?))
        })
        .expect("a rating");
    assert_eq!(kept, (1, 5, 1));
    let runs = desk.project.wflo(&["runs", "--json"]).expect_code(0).json();
    let of = runs.as_array().expect("runs").iter().filter(|run| run["workflow"] == "record-rating");
    assert_eq!(of.count(), 2);
}

fn rated(command: &mut Command, folder: &Path) -> Output {
    Output::of(command.arg(folder).env_remove("WFLO_TOKEN").env("NO_COLOR", "1"))
}

#[test]
fn an_interaction_costs_no_more_than_five_dollars() {
    let desk = Desk::open();
    let text = std::fs::read_to_string(desk.project.path("wflo.toml")).expect("wflo.toml");
    // So dear that the intent can be paid for, and an answer cannot.
    let price = "\n[prices]\n\"gpt-3.5-turbo\" = { input_per_million = \"1.00\", output_per_million = \"1.00\", per_request = \"3.00\" }\n";
    desk.project.write("wflo.toml", &(text + price));
    let run = desk.run(SHOES, "", 11);
    assert_eq!(run["waiting_for"][0]["kind"], "budget", "{run}");
    assert_eq!(run["steps"][1]["status"], "parked");
    assert!(desk.mailbox.taken().is_empty());
    // A manager may give more.
    let asked = desk.project.wflo_as("tom", &desk.tom, &["top-up", id(&run), "4.00"]).expect_code(10);
    let approval = asked.stdout.split_whitespace().chain(asked.stderr.split_whitespace());
    let approval = approval.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_'));
    let approval = approval.into_iter().find(|word| word.starts_with("apr_")).expect("it asks").to_owned();
    let run =
        desk.project.wflo_as("maria", &desk.maria, &["approve", &approval, "--json"]).expect_code(0).json();
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(desk.mailbox.taken().len(), 1);
}
