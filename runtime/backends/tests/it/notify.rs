//! Channels, to servers that speak as the real ones are documented to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use wflo_backends::SystemClock;
use wflo_backends::mail::{Smtp, SmtpConfig};
use wflo_backends::notify::{Email, PagerDuty, PagerDutyConfig, Slack, SlackConfig, Webhook, signature};
use wflo_model::Timestamp;
use wflo_ports::{Notification, NotificationKind, Notifier, NotifyError};

use crate::server::{Reply, Server};
use crate::smtp_server::{Manner, SmtpServer};

fn asked() -> Notification {
    Notification {
        id: "0123456789abcdef0123456789abcdef".into(),
        about: "apr_0000000000000001".into(),
        kind: NotificationKind::Asked,
        at: Timestamp::from_micros(1_700_000_000_000_000),
        title: "fraud-detection: a decision on `block` is asked for".into(),
        workflow: Some("fraud-detection".into()),
        run: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        step: Some("block".into()),
        approvers: vec!["fraud-team".into(), "compliance".into()],
        quorum: Some(2),
        until: Some(Timestamp::from_micros(1_700_003_600_000_000)),
        link: Some("https://wflo.example.org/approvals/apr_0000000000000001".into()),
        commands: vec!["wflo approvals show apr_0000000000000001".into()],
        details: Some(json!({ "suspicious": ["A-7"] })),
    }
}

fn decided() -> Notification {
    Notification { kind: NotificationKind::Decided { outcome: "approved".into() }, ..asked() }
}

fn ok() -> Reply {
    Reply::Text(200, "ok".into())
}

fn slack(server: &Server) -> Slack {
    Slack::new(SlackConfig::Webhook { url: server.base_url.clone() }, BTreeSet::new()).unwrap()
}

#[tokio::test]
async fn slack_by_webhook() {
    let server = Server::start(vec![ok(), Reply::Text(404, "no_service".into())]).await;
    let slack = slack(&server);
    slack.tell(&asked()).await.unwrap();
    let asked_of = &server.asked()[0];
    assert!(asked_of.head.starts_with("POST /v1 "), "{}", asked_of.head);
    assert!(asked_of.header("content-type").unwrap().starts_with("application/json"));
    let body = &asked_of.body;
    assert!(body["text"].as_str().unwrap().contains("block"), "the fallback of notifications: {body}");
    let blocks = body["blocks"].as_array().unwrap();
    assert_eq!(blocks[0]["type"], "header");
    assert_eq!(blocks[0]["text"]["type"], "plain_text");
    let fields: Vec<&str> =
        blocks[1]["fields"].as_array().unwrap().iter().map(|field| field["text"].as_str().unwrap()).collect();
    for (name, value) in
        [("run", "01ARZ"), ("who", "fraud-team, compliance"), ("until", "2023-11-14T23:13:20")]
    {
        assert!(fields.iter().any(|field| field.contains(name) && field.contains(value)), "{fields:?}");
    }
    let text = body["blocks"].to_string();
    assert!(text.contains("A-7") && text.contains("<https://wflo.example.org/approvals/apr_"), "{text}");
    assert!(text.contains(&asked().id), "whoever sees it twice can tell");

    let refused = slack.tell(&asked()).await.unwrap_err();
    assert!(
        matches!(&refused, NotifyError::Refused { message } if message.contains("no_service")),
        "{refused:?}"
    );
    assert!(!refused.to_string().contains(&server.base_url), "its address is a secret");
}

#[tokio::test]
async fn slack_by_bot() {
    let says = |body: Value| Reply::Json(200, &[], body);
    let server = Server::start(vec![
        says(json!({ "ok": true, "ts": "1.2" })),
        says(json!({ "ok": false, "error": "channel_not_found" })),
        says(json!({ "ok": false, "error": "internal_error" })),
        Reply::Json(429, &[("Retry-After", "30")], json!({ "ok": false, "error": "ratelimited" })),
    ])
    .await;
    let config = SlackConfig::Bot {
        token: "xoxb-secret".into(),
        channel: "C0123".into(),
        api: Some(server.base_url.clone()),
    };
    let slack = Slack::new(config, BTreeSet::new()).unwrap();
    slack.tell(&asked()).await.unwrap();
    let asked_of = &server.asked()[0];
    assert!(asked_of.head.starts_with("POST /v1/chat.postMessage "), "{}", asked_of.head);
    assert_eq!(asked_of.header("authorization"), Some("Bearer xoxb-secret"));
    assert_eq!(asked_of.body["channel"], "C0123");
    assert_eq!(asked_of.body["metadata"]["event_payload"]["id"], asked().id);
    assert!(
        matches!(slack.tell(&asked()).await, Err(NotifyError::Refused { message }) if message.contains("channel_not_found"))
    );
    assert!(matches!(slack.tell(&asked()).await, Err(NotifyError::Later { after: None, .. })));
    let later = slack.tell(&asked()).await.unwrap_err();
    assert!(
        matches!(later, NotifyError::Later { after: Some(after), .. } if after == Duration::from_secs(30))
    );
}

#[tokio::test]
async fn pagerduty_opens_an_incident_and_resolves_it() {
    let taken = || Reply::Json(202, &[], json!({ "status": "success", "message": "Event processed" }));
    let refused = Reply::Json(400, &[], json!({ "status": "invalid event", "errors": ["routing_key"] }));
    let server = Server::start(vec![taken(), taken(), refused, Reply::Hang]).await;
    let config = PagerDutyConfig {
        routing_key: "R0KEY".into(),
        api: Some(server.base_url.clone()),
        severity: "critical".into(),
    };
    let duty = PagerDuty::new(config, BTreeSet::new()).unwrap();
    duty.tell(&asked()).await.unwrap();
    duty.tell(&decided()).await.unwrap();
    let all = server.asked();
    assert!(all[0].head.starts_with("POST /v1/v2/enqueue "), "{}", all[0].head);
    let trigger = &all[0].body;
    assert_eq!((&trigger["routing_key"], &trigger["event_action"]), (&json!("R0KEY"), &json!("trigger")));
    assert_eq!(trigger["dedup_key"], "apr_0000000000000001");
    for needed in ["summary", "source", "severity"] {
        assert!(trigger["payload"][needed].is_string(), "{needed}: {trigger}");
    }
    assert_eq!(trigger["payload"]["severity"], "critical");
    assert_eq!(trigger["payload"]["custom_details"]["details"]["suspicious"][0], "A-7");
    assert!(trigger["links"][0]["href"].as_str().unwrap().contains("/approvals/"));
    let resolve =
        json!({ "routing_key": "R0KEY", "event_action": "resolve", "dedup_key": "apr_0000000000000001" });
    assert_eq!(all[1].body, resolve);
    assert!(matches!(duty.tell(&asked()).await, Err(NotifyError::Refused { .. })));
    assert!(matches!(duty.tell(&asked()).await, Err(NotifyError::Later { .. })));
    assert!(!format!("{duty:?}").contains("R0KEY"));
}

#[tokio::test]
async fn a_webhook_is_signed_and_says_the_same_twice() {
    let server = Server::start(vec![Reply::Text(204, String::new()), Reply::Text(503, "later".into())]).await;
    let hook = Webhook::new(&server.base_url, "whsec", Arc::new(SystemClock), BTreeSet::new()).unwrap();
    hook.tell(&decided()).await.unwrap();
    let asked_of = &server.asked()[0];
    assert_eq!(asked_of.header("wflo-id"), Some(decided().id.as_str()));
    let timestamp: u64 = asked_of.header("wflo-timestamp").unwrap().parse().unwrap();
    // The very bytes: keys in the order in which they were sent.
    let body = serde_json::to_string(&asked_of.body).unwrap();
    assert_eq!(asked_of.header("wflo-signature"), Some(signature("whsec", timestamp, &body).as_str()));
    assert_eq!((&asked_of.body["kind"], &asked_of.body["outcome"]), (&json!("decided"), &json!("approved")));
    assert_eq!(asked_of.body["until"], "2023-11-14T23:13:20Z");
    assert!(matches!(hook.tell(&decided()).await, Err(NotifyError::Later { .. })));
    assert!(Webhook::new(&server.base_url, "", Arc::new(SystemClock), BTreeSet::new()).is_err());
}

#[tokio::test]
async fn mail_to_a_channel_has_an_id_that_stays() {
    let server = SmtpServer::start(Manner::Plain).await;
    let mail = Smtp::new(SmtpConfig::new(&server.url).unwrap()).unwrap();
    let email = Email::new(Arc::new(mail), "pi@university.edu", BTreeSet::new());
    email.tell(&asked()).await.unwrap();
    email.tell(&asked().without_data()).await.unwrap();
    let taken = server.taken();
    let id = format!("Message-ID: <{}@wflo>", asked().id);
    assert!(taken.iter().all(|mail| mail.text.contains(&id)), "{taken:?}");
    assert!(taken[0].text.contains("A-7") && !taken[1].text.contains("A-7"));
    assert!(taken[1].text.contains("https://wflo.example.org/approvals/"));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_nobody_is_there_yet() {
    let server =
        Server::start(vec![Reply::Json(302, &[("Location", "http://127.0.0.1:1/")], json!({}))]).await;
    assert!(matches!(slack(&server).tell(&asked()).await, Err(NotifyError::Refused { .. })));
    let nobody = SlackConfig::Webhook { url: "http://127.0.0.1:1/T/secret".into() };
    let later = Slack::new(nobody, BTreeSet::new()).unwrap().tell(&asked()).await.unwrap_err();
    assert!(matches!(later, NotifyError::Later { .. }) && !later.to_string().contains("secret"), "{later:?}");
}
