//! Reads `[channel."..."]` and `[mail]`.

use std::collections::BTreeMap;

use wflo_model::Label;

use crate::channel::{Channel, ChannelKind, MailServer, Urgency};
use crate::deployment_toml::{text, web_address};
use crate::near::did_you_mean;
use crate::reader::{Node, Reader, Section, Spanned};

/// What addresses of channels begin with.
const SCHEMES: [&str; 5] = ["slack", "pagerduty", "email", "webhook", "pager"];

/// Reads the channels; `has_mail` says whether there is a server that mail can leave by.
pub(crate) fn read_channels(
    reader: &mut Reader,
    section: &Section<'_>,
    has_mail: bool,
) -> BTreeMap<String, Channel> {
    let mut all = BTreeMap::new();
    let mut aliases: Vec<Spanned<String>> = Vec::new();
    for node in section.all() {
        let Some((scheme, rest)) = address(reader, &node) else { continue };
        let Some(section) = node.section(reader, "[channel]") else { continue };
        let channel = match scheme {
            "slack" => slack(reader, section, &rest),
            "pagerduty" => pagerduty(reader, section),
            "email" => email(reader, section, &node, rest, has_mail),
            "webhook" => webhook(reader, section),
            _ => pager(reader, section, &mut aliases),
        };
        all.extend(channel.map(|channel| (node.name.clone(), channel)));
    }
    for to in aliases {
        check_alias(reader, &all, &to);
    }
    all
}

/// Scheme and rest of a channel's address.
fn address(reader: &mut Reader, node: &Node<'_>) -> Option<(&'static str, String)> {
    let (scheme, rest) = node.name.split_once("://").unwrap_or(("", ""));
    match SCHEMES.into_iter().find(|known| *known == scheme) {
        Some(scheme) if !rest.is_empty() => Some((scheme, rest.to_owned())),
        _ => {
            let message = format!("`{}` is no address of a channel", node.name.escape_debug());
            let hint = "it begins with `slack://`, `pagerduty://`, `email://`, `webhook://` or `pager://`";
            reader.error(node.key.clone(), message).hint(hint);
            None
        }
    }
}

fn slack(reader: &mut Reader, mut section: Section<'_>, name: &str) -> Option<Channel> {
    let span = section.span.clone();
    let webhook = section
        .take("webhook")
        .and_then(|node| web_address(reader, &node, "https://hooks.slack.com/services/..."));
    let has_webhook = section.has("webhook");
    let token = section.take("token").and_then(|node| text(reader, &node));
    let has_token = section.has("token");
    let channel = section.take("channel").and_then(|node| node.text(reader));
    let api = section.take("api").and_then(|node| web_address(reader, &node, "https://slack.com/api"));
    match (has_webhook, has_token) {
        (false, false) => {
            let found = reader.error(span, "nothing says how this channel is told");
            found.hint("add `webhook`, or `token` of a bot that may post there");
        }
        (true, true) => {
            let found = reader.error(span, "`webhook` and `token` are two ways to tell one channel");
            found.hint("remove one of them");
        }
        _ => {}
    }
    let channel = channel.map_or_else(|| format!("#{name}"), |channel| channel.value);
    let kind = match (webhook, token) {
        (Some(webhook), _) => Some(ChannelKind::SlackWebhook { webhook }),
        (None, Some(token)) => Some(ChannelKind::SlackBot { token, channel, api }),
        (None, None) => None,
    };
    finish(reader, section, kind)
}

fn pagerduty(reader: &mut Reader, mut section: Section<'_>) -> Option<Channel> {
    let routing_key = section.need("routing_key").and_then(|node| text(reader, &node));
    let api =
        section.take("api").and_then(|node| web_address(reader, &node, "https://events.eu.pagerduty.com"));
    let urgency = section.take("severity").and_then(|node| node.choice(reader, &Urgency::ALL));
    let urgency = urgency.unwrap_or_default();
    let kind = routing_key.map(|routing_key| ChannelKind::PagerDuty { routing_key, api, urgency });
    finish(reader, section, kind)
}

fn email(
    reader: &mut Reader,
    mut section: Section<'_>,
    node: &Node<'_>,
    to: String,
    has_mail: bool,
) -> Option<Channel> {
    if to.split_once('@').is_none_or(|(who, host)| who.is_empty() || host.is_empty()) {
        let message = format!("`{}` names no mailbox", node.name.escape_debug());
        reader.error(node.key.clone(), message).hint("write it such as `\"email://pi@university.edu\"`");
    }
    let has_server = section.has("smtp");
    let server = mail_server(reader, &mut section, false);
    if !has_server && !has_mail {
        let found = reader.error(node.key.clone(), "nothing says by which server this mail leaves");
        found.hint("add `smtp`, or `[mail]` for all mail");
    }
    finish(reader, section, Some(ChannelKind::Email { to, server }))
}

fn webhook(reader: &mut Reader, mut section: Section<'_>) -> Option<Channel> {
    let url = section.need("url").and_then(|node| web_address(reader, &node, "https://example.org/wflo"));
    let secret = section.need("secret").and_then(|node| text(reader, &node));
    let kind = url.zip(secret).map(|(url, secret)| ChannelKind::Webhook { url, secret });
    finish(reader, section, kind)
}

fn pager(
    reader: &mut Reader,
    mut section: Section<'_>,
    aliases: &mut Vec<Spanned<String>>,
) -> Option<Channel> {
    let to = section.need("to").and_then(|node| node.text(reader));
    section.finish(reader);
    let to = to?;
    let kind = ChannelKind::Alias { to: to.value.clone() };
    aliases.push(to);
    // What may go there is for the channel to say that it stands for.
    Some(Channel { kind, accepts: std::collections::BTreeSet::new() })
}

/// A name for a channel names one that is there and is no such name itself.
fn check_alias(reader: &mut Reader, all: &BTreeMap<String, Channel>, to: &Spanned<String>) {
    match all.get(&to.value).map(|channel| &channel.kind) {
        Some(ChannelKind::Alias { .. }) => {
            let message = format!("`{}` is another name itself", to.value.escape_debug());
            reader.error(to.span.clone(), message).hint("name the channel that it stands for");
        }
        Some(_) => {}
        None => {
            let others = all.iter().filter(|(_, channel)| !matches!(channel.kind, ChannelKind::Alias { .. }));
            let hint = did_you_mean(&to.value, "there are", others.map(|(name, _)| name.as_str()));
            let message = format!("there is no channel `{}`", to.value.escape_debug());
            reader.error(to.span.clone(), message).hint = hint;
        }
    }
}

fn finish(reader: &mut Reader, mut section: Section<'_>, kind: Option<ChannelKind>) -> Option<Channel> {
    let accepts: Vec<Spanned<Label>> =
        section.take("accepts").map(|node| node.names(reader)).unwrap_or_default();
    section.finish(reader);
    Some(Channel { kind: kind?, accepts: accepts.into_iter().map(|label| label.value).collect() })
}

/// Reads `[mail]`.
pub(crate) fn read_mail(reader: &mut Reader, mut section: Section<'_>) -> Option<MailServer> {
    let server = mail_server(reader, &mut section, true);
    section.finish(reader);
    server
}

fn mail_server(reader: &mut Reader, section: &mut Section<'_>, needed: bool) -> Option<MailServer> {
    let node = if needed { section.need("smtp") } else { section.take("smtp") };
    let smtp = node.and_then(|node| {
        let url = text(reader, &node)?;
        if url.plain().is_some_and(|url| !url.starts_with("smtp://") && !url.starts_with("smtps://")) {
            let found = reader.error(node.span.clone(), "`smtp` must begin with `smtp://` or `smtps://`");
            found.hint("write it such as `\"smtp://mail.example.org:587\"`");
            return None;
        }
        Some(url)
    });
    let mut take = |reader: &mut Reader, key| section.take(key).and_then(|node| text(reader, &node));
    let (from, user, password) = (take(reader, "from"), take(reader, "user"), take(reader, "password"));
    let authority = section.take("authority").and_then(|node| node.text(reader));
    let named = ["from", "user", "password", "authority"].into_iter().find(|key| section.has(key));
    if let Some(key) = named
        && !section.has("smtp")
        && !needed
    {
        let found = reader.error(section.span.clone(), format!("`{key}` without `smtp` is of no server"));
        found.hint("add `smtp`");
    }
    if section.has("user") != section.has("password") {
        let found = reader.error(section.span.clone(), "`user` and `password` go together");
        found.hint("give both, or neither");
    }
    Some(MailServer { smtp: smtp?, from, user, password, authority: authority.map(|path| path.value) })
}
