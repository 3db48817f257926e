//! `wflo serve`, as a person uses it: in a real browser.

use std::io::Write as _;

use crate::browser::{Browser, find};
use crate::harness::{Project, approval_of, eventually};
use crate::serve::Serving;

#[test]
fn somebody_reads_what_will_be_decided_approves_it_and_sees_the_run_succeed() {
    let Some(program) = find() else {
        // Not captured with what passing tests print.
        let _ = writeln!(
            std::io::stderr(),
            "\n*** THE PAGES WERE NOT TRIED IN A BROWSER: there is no Chromium on this machine ***\n"
        );
        return;
    };
    let (project, people) = Project::fraud();
    // The step has run, and what it wrote waits.
    project.edit("workflow.toml", "[step.approval]", "[step.approval]\nat = \"commit\"");
    let run = project.wflo(&["run", "--json"]).expect_code(10).json();
    let (id, approval) = (run["run"].as_str().expect("an id").to_owned(), approval_of(&run));
    project
        .wflo_as("carol", &people.carol, &["approve", &approval, "--comment", "as we agreed"])
        .expect_code(10);
    let serving = Serving::start(&project);
    let mut browser = Browser::start(&program);

    browser.open(&format!("{}/approvals/{approval}", serving.address));
    browser.picture("login");
    browser.type_into("#name", "alice");
    browser.type_into("#token", &people.alice);
    browser.click("button[type=submit]");
    // The way leads to what the link named, and every suspicious account is on the page.
    let text = browser.text();
    assert!(text.contains("Rows that will change") && text.contains("as we agreed"), "{text}");
    let accounts = run["steps"][0]["output"]["suspicious"].as_array().expect("a list");
    let rows =
        browser.evaluate("[...document.querySelectorAll('#rows + div tbody tr')].map(row => row.innerText)");
    let rows: Vec<&str> =
        rows.as_array().expect("rows").iter().map(|row| row.as_str().expect("text")).collect();
    assert_eq!(rows.len(), accounts.len(), "{rows:?}");
    for (row, account) in rows.iter().zip(accounts) {
        for part in [account.as_str().expect("an id"), "update", "status", "active", "blocked"] {
            assert!(row.contains(part), "no `{part}` in `{row}`");
        }
    }
    assert!(browser.evaluate("document.cookie").as_str() == Some(""), "scripts cannot see the session");
    browser.picture("approval");
    browser.open(&serving.address);
    assert!(browser.text().contains("block_suspicious_accounts"));
    browser.picture("inbox");
    browser.click("a.card");

    browser.type_into("#comment", "checked each of them");
    assert!(project.blocked().is_empty(), "nothing happens before somebody says so");
    browser.click("button[value=approve]");
    let text = browser.text();
    assert!(text.contains("checked each of them"), "{text}");
    eventually("the accounts are blocked", || !project.blocked().is_empty());

    eventually("the run succeeds", || {
        browser.open(&format!("{}/runs/{id}", serving.address));
        browser.text().contains("succeeded")
    });
    let text = browser.text();
    assert!(text.contains("alice votes approve") && text.contains("USD"), "{text}");
    browser.picture("run");
    browser.open(&format!("{}/runs", serving.address));
    assert!(browser.text().contains("fraud-detection"));
    browser.picture("runs");
    // Names are beside their fields, and each page has one main heading: what screen readers go by.
    let headings = browser.evaluate("document.querySelectorAll('h1').length");
    assert_eq!(headings, 1);
    browser.click("button.quiet");
    let unnamed = browser.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden])')].filter(it => !it.labels.length).length",
    );
    assert_eq!(unnamed, 0);
}
