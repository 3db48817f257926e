//! Messages that a step sends to people: mail, and what it says on channels.
//!
//! A call queues one, and nothing leaves before the step has succeeded: what is queued stands in the journal with the
//! result of the call, the append of the attempt's end promises it to the outbox, and the outbox sends it. So a step that
//! fails, or that people stop at its commit, has written to nobody.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;
use wflo_engine::{Event, Returned};
use wflo_host_api::{QueuedAnswer, Stop};
use wflo_model::{Call, CallError, CallResult, Digest, Grants, Label, MailAddress};
use wflo_ports::MailMessage;

use crate::Outside;
use crate::gate::{AttemptGate, returned};
use crate::operation::arguments;
use crate::player::Asked;

/// Most addresses of one mail: more is a mailing list, which is not a step's to keep.
const MOST_ADDRESSES: usize = 50;
/// Most characters of a subject or a title: what is longer is no line.
const LONGEST_LINE: usize = 250;
/// Most bytes of a mail's text.
const LONGEST_MAIL: usize = 1 << 20;
/// Most bytes of what is said on a channel: what chats show of a message is less.
const LONGEST_SAYING: usize = 16 << 10;
/// Most characters of the id of another message; a line of a header has 998 (RFC 5322).
const LONGEST_ID: usize = 250;

/// `wflo:notify/mail.send`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MailCall {
    pub(crate) to: Vec<MailAddress>,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) answers: Option<String>,
}

/// Its arguments, as they came.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailArgs {
    to: Vec<String>,
    subject: String,
    text: String,
    #[serde(default)]
    answers: Option<String>,
}

/// `wflo:notify/channel.send`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SayCall {
    pub(crate) address: String,
    pub(crate) title: String,
    pub(crate) text: String,
}

impl MailCall {
    /// Reads a call. What it holds afterwards can be written as one mail, to just these addresses.
    ///
    /// # Errors
    /// `Invalid` for what cannot.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        let MailArgs { to, subject, text, answers } = arguments(call)?;
        let mut addresses = Vec::with_capacity(to.len());
        for address in to {
            let address: MailAddress =
                address.parse().map_err(|error: wflo_model::BadMailAddress| invalid(error.to_string()))?;
            if addresses.contains(&address) {
                return Err(invalid(format!("`{address}` is among the addresses twice")));
            }
            addresses.push(address);
        }
        match addresses.len() {
            0 => return Err(invalid("a mail needs an address".to_owned())),
            n if n > MOST_ADDRESSES => {
                return Err(invalid(format!(
                    "{n} addresses are more than the {MOST_ADDRESSES} a mail may have"
                )));
            }
            _ => {}
        }
        line("subject", &subject)?;
        body(&text, LONGEST_MAIL)?;
        // It goes into a header, between angle brackets.
        let is_id = |id: &str| {
            id.len() <= LONGEST_ID
                && id.split('@').count() == 2
                && id.chars().all(|c| c.is_ascii_graphic() && !"<>()[],;:\\\"".contains(c))
        };
        if let Some(id) = answers.as_ref().filter(|id| !is_id(id)) {
            return Err(invalid(format!("`{}` is no id of a message", id.escape_debug())));
        }
        Ok(Self { to: addresses, subject, text, answers })
    }

    /// Whether the step may send it: its grant, and the deployment's mail and ceiling today.
    pub(crate) fn authorise(&self, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
        if let Some(address) = self.to.iter().find(|to| !grants.mail.iter().any(|it| to.is_in(it))) {
            let message =
                format!("mail to `{address}` is not granted; `grants.mail = [\"{address}\"]` would");
            return Err(CallError::AccessDenied { message });
        }
        if outside.mail().is_none() {
            return Err(CallError::Unknown { message: "the deployment binds no mail".to_owned() });
        }
        match self.to.iter().find(|to| !outside.mail_reaches(to)) {
            Some(address) => {
                let message =
                    format!("mail to `{address}` is above the deployment's ceiling, `[limits] mail`");
                Err(CallError::AccessDenied { message })
            }
            None => Ok(()),
        }
    }

    /// Why it may not leave today, with data of these labels; nothing if it may.
    pub(crate) fn kept_back(&self, labels: &BTreeSet<Label>, outside: &Outside) -> Option<String> {
        self.to.iter().find_map(|to| {
            if !outside.mail_reaches(to) {
                return Some(format!("mail to `{to}` is above the deployment's ceiling by now"));
            }
            let refused = labels.iter().find(|label| !outside.mail_accepts(to, label))?;
            Some(format!("mail to `{to}` does not accept data labelled `{refused}` any more"))
        })
    }

    /// What is sent under this id.
    pub(crate) fn message(self, id: String) -> MailMessage {
        let Self { to, subject, text, answers } = self;
        MailMessage { id, to: to.iter().map(ToString::to_string).collect(), answers, subject, text }
    }
}

impl SayCall {
    /// Reads a call.
    ///
    /// # Errors
    /// `Invalid` for what cannot be said.
    pub(crate) fn parse(call: &Call) -> Result<Self, CallError> {
        let this: Self = arguments(call)?;
        line("title", &this.title)?;
        if this.title.trim().is_empty() {
            return Err(invalid("`title` is empty".to_owned()));
        }
        body(&this.text, LONGEST_SAYING)?;
        Ok(this)
    }

    /// Whether the step may say it: its grant, and the deployment's channel today.
    pub(crate) fn authorise(&self, grants: &Grants, outside: &Outside) -> Result<(), CallError> {
        let address = self.address.escape_debug();
        if !grants.notify.contains(self.address.as_str()) {
            let message =
                format!("channel `{address}` is not granted; `grants.notify = [\"{address}\"]` would");
            return Err(CallError::AccessDenied { message });
        }
        match outside.channel(&self.address) {
            Some(_) => Ok(()),
            None => {
                Err(CallError::Unknown { message: format!("the deployment binds no channel `{address}`") })
            }
        }
    }
}

fn invalid(message: String) -> CallError {
    CallError::Invalid { message }
}

/// A text that stands in one line, whoever shows it.
fn line(what: &str, text: &str) -> Result<(), CallError> {
    // Beside control characters, what Unicode takes for the end of a line or a paragraph.
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(invalid(format!("`{what}` is more than a line, or has control characters")));
    }
    match text.chars().count() {
        n if n > LONGEST_LINE => {
            Err(invalid(format!("`{what}` has {n} characters, and {LONGEST_LINE} is the most")))
        }
        _ => Ok(()),
    }
}

fn body(text: &str, most: usize) -> Result<(), CallError> {
    if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(invalid("`text` has control characters".to_owned()));
    }
    match text.len() {
        n if n > most => Err(invalid(format!("`text` has {n} bytes, and {most} is the most"))),
        _ => Ok(()),
    }
}

/// What names the message of a call: the same whenever the same step of the same run sends the same message.
fn id_of(key: &Digest) -> String {
    format!("{}@wflo", &key.hex()[..32])
}

impl AttemptGate {
    /// Queues a message that was authorised, for `channel`, or [`MAIL`](wflo_engine::MAIL). The commit point is the append
    /// of the result; it leaves when the attempt succeeds.
    pub(crate) fn queue(&mut self, call: Asked, channel: String) -> Result<CallResult, Stop> {
        let result = Ok(json!(QueuedAnswer { id: id_of(&call.key) }));
        let sent = self.performed.as_ref().unwrap_or(&call.call).clone();
        let answer = Returned { queued: Some(channel), ..returned(None, call, &result) };
        self.append(Event::Returned(answer))?;
        self.queued.push((sent, result.clone()));
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wflo_model::{Call, CallError, Grants, MailPattern};

    use super::{LONGEST_LINE, MailCall, SayCall};
    use crate::{Outside, OutsideMail};

    fn mail(args: &Value) -> Result<MailCall, String> {
        MailCall::parse(&Call::new("wflo:notify/mail", "send", args.clone())).map_err(|error| match error {
            CallError::Invalid { message } => message,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn nothing_in_a_mail_becomes_a_header_or_another_address() {
        let good = json!({"to": ["a@b.example"], "subject": "Grüße", "text": "one\r\n.\r\ntwo\n", "answers": "1@wflo"});
        let read = mail(&good).unwrap();
        assert_eq!((read.to[0].to_string().as_str(), read.subject.as_str()), ("a@b.example", "Grüße"));
        let with = |key: &str, value: Value| {
            let mut args = good.clone();
            args[key] = value;
            mail(&args)
        };
        for (key, value, says) in [
            ("to", json!([]), "needs an address"),
            ("to", json!(["a@b.example", "a@B.example"]), "twice"),
            ("to", json!(["a@b.example\r\nBcc: c@d.example"]), "no mail address"),
            ("to", json!(["a@b.example, c@d.example"]), "no mail address"),
            ("to", json!(["Ann <a@b.example>"]), "no mail address"),
            ("to", json!((0..51).map(|n| format!("a{n}@b.example")).collect::<Vec<_>>()), "51 addresses"),
            ("subject", json!("hello\r\nBcc: c@d.example"), "more than a line"),
            ("subject", json!("hello\u{2028}Bcc"), "more than a line"),
            ("subject", json!("hello\u{0}"), "control characters"),
            ("subject", json!("\u{85}"), "more than a line"),
            ("subject", json!("x".repeat(LONGEST_LINE + 1)), "251 characters"),
            ("text", json!("\u{1b}[2J"), "control characters"),
            ("text", json!("x".repeat((1 << 20) + 1)), "is the most"),
            ("answers", json!("1@wflo>\r\nBcc: c@d.example"), "no id"),
            ("answers", json!("1@wflo> <2@wflo"), "no id"),
            ("answers", json!("1"), "no id"),
            ("bcc", json!(["c@d.example"]), "bcc"),
        ] {
            let error = with(key, value.clone()).unwrap_err();
            assert!(error.contains(says), "{key} {value}: {error}");
            assert!(!error.contains(['\r', '\n']), "{error:?}");
        }
        assert!(with("subject", json!("x".repeat(LONGEST_LINE))).is_ok());
    }

    #[test]
    fn every_address_must_be_granted_and_within_the_ceiling() {
        let pattern = |text: &str| text.parse::<MailPattern>().unwrap();
        let grants = Grants { mail: [pattern("*@b.example")].into(), ..Grants::default() };
        let bound = |ceiling: Option<&str>| {
            let mail = OutsideMail::new(Err("no server".to_owned()));
            Outside::default().with_mail(match ceiling {
                Some(most) => mail.within(vec![pattern(most)]),
                None => mail,
            })
        };
        let may = |to: &[&str], outside: &Outside| {
            let call = mail(&json!({"to": to, "subject": "", "text": ""})).unwrap();
            call.authorise(&grants, outside)
        };
        assert_eq!(may(&["a@b.example", "c@b.example"], &bound(None)), Ok(()));
        let denied = |to: &[&str], outside: &Outside, says: &str| match may(to, outside) {
            Err(CallError::AccessDenied { message }) => assert!(message.contains(says), "{message}"),
            other => panic!("{to:?}: {other:?}"),
        };
        denied(&["a@b.example", "c@d.example"], &bound(None), "`c@d.example` is not granted");
        denied(&["a@x.b.example"], &bound(None), "not granted");
        denied(&["a@b.example"], &bound(Some("boss@b.example")), "above the deployment's ceiling");
        assert!(matches!(may(&["a@b.example"], &Outside::default()), Err(CallError::Unknown { .. })));
    }

    #[test]
    fn a_channel_is_granted_by_its_whole_address() {
        let say = |address: &str, title: &str| {
            let args = json!({"address": address, "title": title, "text": "words"});
            SayCall::parse(&Call::new("wflo:notify/channel", "send", args))
        };
        let grants = Grants { notify: ["slack://a".parse().unwrap()].into(), ..Grants::default() };
        let outside = Outside::default().with_channel("slack://a".into(), Err("no hook".into()));
        let may = |address: &str| say(address, "hello").unwrap().authorise(&grants, &outside);
        assert_eq!(may("slack://a"), Ok(()));
        for other in ["slack://b", "slack://A", "slack://a/", "mail", "", "slack://a\n"] {
            assert!(matches!(may(other), Err(CallError::AccessDenied { .. })), "{other:?}");
        }
        for title in ["", " ", "two\nlines"] {
            assert!(matches!(say("slack://a", title), Err(CallError::Invalid { .. })), "{title:?}");
        }
    }
}
