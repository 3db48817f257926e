//! Mail, to a real server.

use wflo_backends::mail::{Smtp, SmtpConfig, Tls};
use wflo_ports::{Mail, MailError, MailMessage};

use crate::smtp_server::{Manner, SmtpServer};

fn message() -> MailMessage {
    MailMessage {
        id: "7@wflo".into(),
        to: vec!["pi@university.edu".into()],
        answers: Some("6@wflo".into()),
        subject: "Entscheidung für Ärztin nötig".into(),
        text: "until 17:00\n.\n<rows>".into(),
    }
}

fn config(server: &SmtpServer) -> SmtpConfig {
    let from = "Flow <wflo@university.edu>".to_owned();
    SmtpConfig { from, authority: Some(server.authority.clone()), ..SmtpConfig::new(&server.url).unwrap() }
}

async fn send(config: SmtpConfig) -> Result<(), MailError> {
    Smtp::new(config).unwrap().send(&message()).await
}

#[tokio::test]
async fn a_message_arrives_as_it_was_meant() {
    let server = SmtpServer::start(Manner::Plain).await;
    send(config(&server)).await.unwrap();
    let taken = server.taken();
    assert_eq!(
        (taken[0].from.as_str(), taken[0].to.as_slice()),
        ("wflo@university.edu", &["pi@university.edu".to_owned()][..])
    );
    for header in [
        "Message-ID: <7@wflo>",
        "In-Reply-To: <6@wflo>",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(taken[0].text.contains(header), "no `{header}` in\n{}", taken[0].text);
    }
    assert!(taken[0].text.contains("Subject: Entscheidung =?utf-8?b?"), "{}", taken[0].text);
    assert!(taken[0].text.contains("<rows>"), "a line with a full stop does not end it: {}", taken[0].text);
}

#[tokio::test]
async fn tls_and_the_account_come_before_the_message() {
    let server = SmtpServer::start(Manner::Secure).await;
    let with =
        |password: &str| SmtpConfig { account: Some(("wflo".into(), password.into())), ..config(&server) };
    let mut strict = with("secret");
    strict.server.tls = Tls::StartTls;
    send(strict).await.unwrap();
    let taken = server.taken();
    assert_eq!((taken.len(), taken[0].user.as_deref(), taken[0].by_tls), (1, Some("wflo"), true));

    let refused = send(with("wrong")).await.unwrap_err();
    assert!(matches!(refused, MailError::Refused { .. }), "{refused:?}");
    // A certificate that nobody vouches for is an error, although the server is on this machine.
    let unknown = SmtpConfig { authority: None, ..with("secret") };
    let refused = send(unknown).await.unwrap_err();
    assert!(!matches!(refused, MailError::Refused { .. }), "{refused:?}");
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn without_tls_nothing_is_sent_where_it_is_needed() {
    let server = SmtpServer::start(Manner::Plain).await;
    let mut strict = config(&server);
    strict.server.tls = Tls::StartTls;
    send(strict).await.unwrap_err();
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn what_the_server_says_is_told_apart() {
    let nobody = SmtpServer::start(Manner::Nobody).await;
    let refused = send(config(&nobody)).await.unwrap_err();
    assert!(matches!(&refused, MailError::Refused { message } if message.contains("550")), "{refused:?}");
    let full = SmtpServer::start(Manner::Full).await;
    let later = send(config(&full)).await.unwrap_err();
    assert!(matches!(&later, MailError::Later { message } if message.contains("452")), "{later:?}");
    let gone = send(SmtpConfig::new("smtp://127.0.0.1:1").unwrap()).await.unwrap_err();
    assert!(matches!(gone, MailError::Lost { .. } | MailError::Later { .. }), "{gone:?}");
    let mad = MailMessage { to: vec!["nobody".into()], ..message() };
    let invalid = Smtp::new(config(&nobody)).unwrap().send(&mad).await.unwrap_err();
    assert!(matches!(invalid, MailError::Invalid { .. }), "{invalid:?}");
}
