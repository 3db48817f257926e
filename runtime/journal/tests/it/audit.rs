//! Audit files: what they prove, and what is seen when they are changed.

use serde_json::{Value, json};
use wflo_journal::audit::{Verified, export, verify};
use wflo_journal::{Created, Draft, Extras, Journal};

use crate::support::{at, draft, entropy, run};

async fn exported() -> Vec<String> {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    let made =
        journal.create_run(run(1), None, vec![draft(r#"{"amount": 1.50}"#)], Vec::new()).await.unwrap();
    let Created::New(mut writer) = made else { panic!("no key was given") };
    let step = Draft {
        time: at(1_700_000_000_000_000),
        kind: 3,
        step: Some("analyze".parse().unwrap()),
        item: Some(2),
        attempt: 1,
        ordinal: 4,
        body: "\u{1f600} \"quoted\"\n".into(),
    };
    let more = vec![step, draft(vec![0xff, 0x00]), draft("large ".repeat(2000)), draft("")];
    writer.append(more, Extras::default()).unwrap().ticket.durable().await.unwrap();
    let mut file = Vec::new();
    assert_eq!(export(&journal, run(1), &mut file).await.unwrap(), 5);
    String::from_utf8(file).unwrap().lines().map(str::to_owned).collect()
}

fn check(lines: &[String]) -> Result<Verified, String> {
    verify(lines.join("\n").as_bytes()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_exported_run_is_proven() {
    let lines = exported().await;
    let verified = check(&lines).unwrap();
    assert_eq!((verified.run, verified.events, verified.from), (run(1), 5, at(1)));
    assert_eq!(verified.to, at(1_700_000_000_000_000));
    let last: Value = serde_json::from_str(&lines[5]).unwrap();
    assert_eq!(last["hash"], json!(verified.head));
    let words = verified.explain();
    assert!(words.contains("from event 1 to event 5") && words.contains("Not proven"), "{words}");

    let second: Value = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!(second["time"], "2023-11-14T22:13:20Z");
    assert_eq!(
        (&second["step"], &second["item"], &second["body"]),
        (&json!("analyze"), &json!(2), &json!("\u{1f600} \"quoted\"\n"))
    );
    let third: Value = serde_json::from_str(&lines[3]).unwrap();
    assert_eq!(third["body_hex"], "ff00");
}

#[tokio::test]
async fn every_changed_field_is_seen() {
    let lines = exported().await;
    let event = 2;
    let header = "event 2: a field beside the body is not the one that was recorded";
    let body = "event 2: the body is not the one that was recorded";
    let other = json!(wflo_model::Digest::of(b"other"));
    for (field, value, expect) in [
        ("time", json!("2023-11-14T22:13:21Z"), header),
        ("time_us", json!(5), header),
        ("fence", json!(2), header),
        ("kind", json!(4), header),
        ("step", json!("analyse"), header),
        ("item", json!(3), header),
        ("item", Value::Null, header),
        ("attempt", json!(2), header),
        ("ordinal", json!(5), header),
        ("commitment", other.clone(), header),
        ("prev", other.clone(), header),
        ("hash", other, header),
        ("salt", json!("00".repeat(32)), body),
        ("body", json!("\u{1f600} \"quoted\""), body),
        ("seq", json!(3), "event 2 is missing: event 3 stands in its place"),
        ("seq", json!(u64::MAX), "event 2 is missing: event 18446744073709551615 stands in its place"),
    ] {
        let mut changed = lines.clone();
        let mut line: Value = serde_json::from_str(&lines[event]).unwrap();
        line[field] = value;
        changed[event] = line.to_string();
        assert_eq!(check(&changed).unwrap_err(), expect, "{field}");
    }
}

#[tokio::test]
async fn events_taken_out_moved_or_added_are_seen() {
    let lines = exported().await;
    let edit = |change: fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        check(&lines).unwrap_err()
    };
    assert_eq!(edit(|lines| drop(lines.remove(3))), "event 3 is missing: event 4 stands in its place");
    assert_eq!(edit(|lines| drop(lines.remove(1))), "event 1 is missing: event 2 stands in its place");
    assert_eq!(edit(|lines| lines.swap(2, 3)), "event 2 is missing: event 3 stands in its place");
    assert_eq!(edit(|lines| lines.push(lines[5].clone())), "event 6 is missing: event 5 stands in its place");
    let cut = "the file is cut short: it announces 5 events and has 4";
    assert_eq!(edit(|lines| drop(lines.pop())), cut);
    assert_eq!(edit(|lines| lines.truncate(1)), "the file is cut short: it announces 5 events and has 0");
    let half = edit(|lines| lines[5].truncate(40));
    assert!(half.starts_with("line 6 is not an event: "), "{half}");
}

#[tokio::test]
async fn an_event_of_another_run_is_seen() {
    let (mut lines, other) = (exported().await, exported().await);
    lines[3].clone_from(&other[3]);
    let chain = "event 3 does not follow the event before it: one of the two was changed, added or taken out";
    assert_eq!(check(&lines).unwrap_err(), chain);
    let mut lines = exported().await;
    lines[0] = lines[0].replace(&run(1).to_string(), &run(2).to_string());
    assert!(check(&lines).unwrap_err().starts_with("event 1: a field beside the body"));
    let mut lines = exported().await;
    lines[0].clone_from(&other[0]);
    assert_eq!(check(&lines).unwrap_err(), "event 5, the last, is not the one that the first line announces");
}

#[tokio::test]
async fn what_is_no_audit_file_is_said() {
    let lines = exported().await;
    let first = |text: &str| check(&[&[text.to_owned()], &lines[1..]].concat()).unwrap_err();
    assert_eq!(check(&[]).unwrap_err(), "this is not an audit file: it is empty");
    assert!(first("PK\u{3}").starts_with("this is not an audit file: "));
    assert!(first("{}").starts_with("this is not an audit file: missing field `format`"));
    let named = |from: &str, to: &str| first(&lines[0].replace(from, to));
    assert_eq!(named("wflo-audit", "other"), "this is not an audit file: its format is `other`");
    assert_eq!(
        named("\"version\":1", "\"version\":4"),
        "this audit file has version 4; this program knows 3"
    );
    assert!(named("\"version\"", "\"note\":1,\"version\"").contains("unknown field `note`"));
    assert!(
        named("\"version\":1", "\"version\":1,\"erased\":true").contains("version 1 has no field `erased`")
    );
    let smuggled = lines[1].replacen('{', "{\"approved_by\":\"alice\",", 1);
    let error = check(&[lines[0].clone(), smuggled]).unwrap_err();
    assert!(error.contains("unknown field `approved_by`"), "{error}");
    assert!(verify(&b"\xff\xfe\n"[..]).is_err());
}

/// Nothing covers the first line, so what it says of the bodies is no proof.
#[tokio::test]
async fn bodies_that_were_taken_out_are_not_proven_to_be_erased() {
    let mut lines = exported().await;
    lines[0] = lines[0].replace("\"version\":1", "\"version\":2");
    for line in &mut lines[1..] {
        let mut event: Value = serde_json::from_str(line).unwrap();
        for field in ["salt", "body", "body_hex"] {
            event.as_object_mut().unwrap().remove(field);
        }
        *line = event.to_string();
    }
    let words = check(&lines).unwrap().explain();
    let (proven, not) = words.split_once("Not proven:").unwrap();
    assert!(!proven.contains("erased") && !proven.contains("body"), "{words}");
    assert!(
        not.starts_with(" what the events said") && not.contains("whether the run was erased"),
        "{words}"
    );
}

/// Of an erased run the file still proves that its events took place, and says that it proves no more.
#[tokio::test]
async fn an_erased_run_is_proven_without_its_bodies() {
    let journal = Journal::in_memory(entropy()).await.unwrap();
    let made = journal.create_run(run(1), None, vec![draft("a secret")], Vec::new()).await.unwrap();
    let Created::New(mut writer) = made else { panic!("no key was given") };
    let ended = Extras { ended: Some(true), ..Extras::default() };
    writer.append(vec![draft("another")], ended).unwrap().ticket.durable().await.unwrap();
    let mut before = Vec::new();
    export(&journal, run(1), &mut before).await.unwrap();
    journal.erase(run(1), Vec::new()).await.unwrap();
    let mut file = Vec::new();
    assert_eq!(export(&journal, run(1), &mut file).await.unwrap(), 2);

    let (before, after) = (verify(&before[..]).unwrap(), verify(&file[..]).unwrap());
    assert_eq!(after, Verified { erased: true, ..before.clone() });
    let words = after.explain();
    assert!(
        words.contains("Not proven: what the events said") && !words.contains("The run was erased"),
        "{words}"
    );
    assert!(!before.explain().contains("erased"));

    let lines = String::from_utf8(file).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(!lines.concat().contains("secret") && !lines.concat().contains("salt"));
    let mut forged = lines.clone();
    forged[2] = forged[2].replace("\"kind\":1", "\"kind\":2");
    assert!(check(&forged).unwrap_err().starts_with("event 2: a field beside the body"));
    let mut forged = lines.clone();
    forged[1] = forged[1].replacen('{', "{\"body\":\"never said\",", 1);
    let error = check(&forged).unwrap_err();
    assert_eq!(error, "line 2 is not an event: it has a salt or a body, and the run was erased");
    let mut stripped = lines;
    stripped[0] = stripped[0].replace("\"version\":2", "\"version\":1");
    assert_eq!(check(&stripped).unwrap_err(), "line 2 is not an event: `salt` is missing");
}
