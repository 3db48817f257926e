//! Notifications in words.

use serde_json::Value;
use wflo_ports::{Notification, NotificationKind};

/// Most characters of the data that a message shows: the rest is where the link leads.
pub(crate) const DETAILS: usize = 12_000;

/// Who decides, in words.
pub(crate) fn approvers(it: &Notification) -> Option<String> {
    if it.approvers.is_empty() {
        return None;
    }
    let names = it.approvers.join(", ");
    Some(match it.quorum {
        Some(n) if n != it.approvers.len() => format!("any {n} of {names}"),
        _ => names,
    })
}

/// The facts of a notification, by name.
pub(crate) fn facts(it: &Notification) -> Vec<(&'static str, String)> {
    let mut facts: Vec<(&'static str, String)> = Vec::new();
    facts.extend(it.workflow.clone().map(|name| ("workflow", name)));
    facts.push(("run", it.run.clone()));
    facts.extend(it.step.clone().map(|step| ("step", step)));
    facts.extend(approvers(it).map(|who| ("who", who)));
    if it.kind == NotificationKind::Asked {
        facts.push(("until", it.until.map_or_else(|| "no limit".to_owned(), |at| at.to_string())));
    }
    facts
}

/// The data, cut where it is long; none where there is none.
pub(crate) fn details(it: &Notification, most: usize) -> Option<String> {
    let details = it.details.as_ref().filter(|details| !details.is_null())?;
    if let Some(words) = details.as_str() {
        return Some(cut(words, most)).filter(|words| !words.is_empty());
    }
    let text = serde_json::to_string_pretty(details).unwrap_or_else(|_| Value::to_string(details));
    Some(cut(&text, most))
}

/// What the link is for, in words.
pub(crate) fn invitation(it: &Notification) -> &'static str {
    if it.kind == NotificationKind::Said { "See where it comes from" } else { "Read it, and decide" }
}

/// A text of at most so many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The whole notification as plain text.
pub(crate) fn body(it: &Notification) -> String {
    let mut text = format!("{}\n\n", it.title);
    if it.kind == NotificationKind::Said {
        let words = details(it, DETAILS).unwrap_or_else(|| "what it says may not be shown here".to_owned());
        text.push_str(&format!("{words}\n\n"));
    }
    for (name, value) in facts(it) {
        text.push_str(&format!("{name:<9} {value}\n"));
    }
    if let Some(link) = &it.link {
        let what = invitation(it).to_lowercase();
        text.push_str(&format!("\n{what}:\n  {link}\n"));
    }
    if !it.commands.is_empty() {
        text.push_str("\nor with the command:\n");
        it.commands.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
    }
    match details(it, DETAILS) {
        _ if it.kind == NotificationKind::Said => {}
        Some(details) => text.push_str(&format!("\n{details}\n")),
        None if it.kind == NotificationKind::Asked => {
            text.push_str("\nwhat is decided on may not be shown here\n");
        }
        None => {}
    }
    text
}

#[cfg(test)]
pub(crate) fn asked() -> Notification {
    Notification {
        id: "0123456789abcdef0123456789abcdef".into(),
        about: "apr_0000000000000001".into(),
        kind: NotificationKind::Asked,
        at: wflo_model::Timestamp::from_micros(1_700_000_000_000_000),
        title: "fraud-detection: a decision on `block` is asked for".into(),
        workflow: Some("fraud-detection".into()),
        run: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        step: Some("block".into()),
        approvers: vec!["fraud-team".into(), "compliance".into()],
        quorum: Some(2),
        until: Some(wflo_model::Timestamp::from_micros(1_700_003_600_000_000)),
        link: Some("https://wflo.example.org/approvals/apr_0000000000000001".into()),
        commands: vec!["wflo approvals show apr_0000000000000001".into()],
        details: Some(serde_json::json!({ "suspicious": ["A-7"] })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_decided_by_whom_until_when_and_how() {
        let text = body(&asked());
        for part in [
            "block",
            "fraud-team, compliance",
            "until",
            "2023-11-14T23:13:20",
            "https://wflo",
            "wflo approvals",
            "A-7",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        let any = Notification { quorum: Some(1), ..asked() };
        assert!(body(&any).contains("any 1 of fraud-team, compliance"));
    }

    #[test]
    fn what_a_step_says_comes_first_and_is_not_decided_on() {
        let said = Notification {
            kind: NotificationKind::Said,
            title: "a refund of 150 USD".into(),
            approvers: Vec::new(),
            details: Some("was paid\nto order 7".into()),
            ..asked()
        };
        let text = body(&said);
        assert!(text.starts_with("a refund of 150 USD\n\nwas paid\nto order 7\n\nworkflow"), "{text}");
        assert!(text.contains("see where it comes from:") && !text.contains("decide"), "{text}");
        let text = body(&said.without_data());
        assert!(text.starts_with("a message of `block`\n\nwhat it says may not be shown here"), "{text}");
        assert!(!text.contains("150") && !text.contains("paid"), "{text}");
    }

    #[test]
    fn says_nothing_of_data_that_may_not_go_there() {
        let text = body(&asked().without_data());
        assert!(!text.contains("A-7") && !text.contains("fraud-detection:"), "{text}");
        for part in
            ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "block", "fraud-team", "until", "https://wflo", "may not be shown"]
        {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
    }
}
