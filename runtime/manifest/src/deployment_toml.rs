//! Reads `wflo.toml`.

use std::collections::BTreeMap;
use std::time::Duration;

use wflo_model::{Label, ModelName, PicoUsd, PrincipalName, Role};

use crate::channel_toml;
use crate::compute;
use crate::db_toml;
use crate::deployment::{
    AuditRules, BudgetRules, CassetteMode, Ceilings, Deployment, LlmBinding, LlmKind, LlmServer, Principal,
    Serve, Store,
};
use crate::http;
use crate::limits;
use crate::message_toml;
use crate::near::did_you_mean;
use crate::price::{Price, UnknownPrice};
use crate::reach_toml;
use crate::reader::{Node, Reader, Section, Spanned};
use crate::sandbox_rules;
use crate::spending::{Spending, read_spending};
use crate::terraform_toml;
use crate::text::Text;
use crate::unsupported;

/// How long a model may take to answer, unless the binding says otherwise.
const LLM_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a request is repeated, unless the binding says otherwise.
const LLM_RETRIES: u32 = 3;

/// Reads the file; `None` if it is not TOML at all.
pub(crate) fn read(reader: &mut Reader) -> Option<Deployment> {
    let document = reader.document()?;
    let mut root = Section::root(&document, "wflo.toml");
    let mut this = Deployment { source: reader.source.clone(), ..Deployment::default() };
    if let Some(section) = section(reader, &mut root, "store", "[store]") {
        this.store = read_store(reader, section);
    }
    if let Some(section) = section(reader, &mut root, "llm", "[llm]") {
        this.llm = read_llm(reader, &section);
    }
    if let Some(section) = section(reader, &mut root, "prices", "[prices]") {
        for (model, node) in section.named::<ModelName>(reader) {
            let Some(row) = node.section(reader, "[prices]") else { continue };
            if let Some(price) = read_price(reader, row) {
                this.prices.set(model.value, price);
            }
        }
    }
    if let Some(section) = section(reader, &mut root, "db", "[db]") {
        for (label, node) in section.named::<Label>(reader) {
            let Some(mut section) = node.section(reader, "[db]") else { continue };
            let data = reach_toml::read_data(reader, &mut section);
            let audit = db_toml::read_audit(reader, &mut section);
            let binding = db_toml::read_db(reader, section);
            this.data.insert(label.value.clone(), data);
            this.db_audit.insert(label.value.clone(), audit);
            this.db.extend(binding.map(|binding| (label.value, binding)));
        }
    }
    if let Some(mut section) = section(reader, &mut root, "mail", "[mail]") {
        let accepts = section.take("accepts");
        this.mail_accepts = accepts.map(|node| message_toml::read_accepts(reader, &node)).unwrap_or_default();
        this.mail = channel_toml::read_mail(reader, section);
    }
    if let Some(section) = section(reader, &mut root, "knowledge", "[knowledge]") {
        this.knowledge = message_toml::read_knowledge(reader, &section);
    }
    if let Some(section) = section(reader, &mut root, "channel", "[channel]") {
        this.channels = channel_toml::read_channels(reader, &section, this.mail.is_some());
    }
    if let Some(section) = section(reader, &mut root, "serve", "[serve]") {
        this.serve = read_serve(reader, section);
    }
    if let Some(section) = section(reader, &mut root, "principal", "[principal]") {
        for (name, node) in section.named::<PrincipalName>(reader) {
            if let Some(section) = node.section(reader, "[principal]") {
                this.principals.insert(name.value, read_principal(reader, section));
            }
        }
    }
    if let Some(section) = section(reader, &mut root, "budget", "[budget]") {
        (this.budget, this.spending) = read_budget(reader, section);
    }
    if let Some(section) = section(reader, &mut root, "compute", "[compute]") {
        this.compute = compute::read(reader, section);
    }
    if let Some(section) = section(reader, &mut root, "secret", "[secret]") {
        this.secrets = reach_toml::read_secrets(reader, &section);
    }
    if let Some(section) = section(reader, &mut root, "host", "[host]") {
        this.hosts = reach_toml::read_hosts(reader, &section);
    }
    if let Some(section) = section(reader, &mut root, "terraform", "[terraform]") {
        this.terraform = terraform_toml::read_bindings(reader, &section);
    }
    if let Some(section) = section(reader, &mut root, "limits", "[limits]") {
        this.ceilings = read_ceilings(reader, section);
    }
    if let Some(section) = section(reader, &mut root, "sandbox", "[sandbox]") {
        this.sandbox = sandbox_rules::read(reader, section);
    }
    if let Some(section) = section(reader, &mut root, "audit", "[audit]") {
        this.audit = read_audit(reader, section);
    }
    root.finish(reader);
    Some(this)
}

fn read_audit(reader: &mut Reader, mut section: Section<'_>) -> AuditRules {
    let publish = section.take("publish");
    let publish = publish.and_then(|node| address(reader, &node, "[audit]", "file", "file:../checkpoints"));
    let mut this = AuditRules { publish, ..AuditRules::default() };
    if let Some(seconds) = section.take("every_seconds").and_then(|node| node.integer(reader, 1..=3600)) {
        this.every = Duration::from_secs(seconds.value);
    }
    section.finish(reader);
    this
}

fn section<'a>(
    reader: &mut Reader,
    root: &mut Section<'a>,
    key: &'static str,
    place: &'static str,
) -> Option<Section<'a>> {
    root.take(key).and_then(|node| node.section(reader, place))
}

fn read_store(reader: &mut Reader, mut section: Section<'_>) -> Store {
    let mut this = Store::default();
    if let Some(path) =
        section.take("url").and_then(|node| address(reader, &node, "[store]", "sled", "sled:.wflo"))
    {
        this.path = path;
    }
    this.seal_key = section.take("seal_key").and_then(|node| text(reader, &node));
    section.finish(reader);
    this
}

/// `scheme:path`.
pub(crate) fn address(
    reader: &mut Reader,
    node: &Node<'_>,
    place: &'static str,
    scheme: &str,
    example: &str,
) -> Option<String> {
    let url = node.text(reader)?;
    let (found, path) = url.value.split_once(':').unwrap_or(("", &url.value));
    if unsupported::has(unsupported::SCHEMES, place, found) {
        reader.unsupported(url.span, &format!("{found}:"));
        return None;
    }
    if found != scheme || path.is_empty() {
        let message = format!("`{}` must begin with `{scheme}:` and name a file or folder", node.name);
        reader.error(url.span, message).hint(format!("write it such as `\"{example}\"`"));
        return None;
    }
    Some(path.to_owned())
}

/// A text, or `env:NAME`.
pub(crate) fn text(reader: &mut Reader, node: &Node<'_>) -> Option<Text> {
    let text: Spanned<Text> = node.parse(reader)?;
    if let Text::Env(name) = &text.value {
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = format!("`{}` cannot name a variable of the environment", name.escape_debug());
            reader.error(text.span, message).hint("write it such as `\"env:OPENAI_API_KEY\"`");
            return None;
        }
    }
    Some(text.value)
}

fn read_llm(reader: &mut Reader, section: &Section<'_>) -> BTreeMap<Label, LlmBinding> {
    let mut all = BTreeMap::new();
    let mut places: Vec<Place> = Vec::new();
    for (label, node) in section.named::<Label>(reader) {
        let Some(section) = node.section(reader, "[llm]") else { continue };
        let Some((binding, place)) = read_binding(reader, section, &label.value) else { continue };
        all.insert(label.value, binding);
        places.push(place);
    }
    check_upstreams(reader, &all, &places);
    check_models(reader, &all, &places);
    all
}

/// Where the parts of a binding stand.
struct Place {
    label: Label,
    models: Vec<Spanned<ModelName>>,
    upstream: Option<Spanned<Label>>,
}

fn read_binding(reader: &mut Reader, mut section: Section<'_>, label: &Label) -> Option<(LlmBinding, Place)> {
    type OfServer = fn(LlmServer) -> LlmKind;
    let kinds: [(&str, Option<OfServer>); 3] =
        [("openai", Some(LlmKind::OpenAi)), ("anthropic", Some(LlmKind::Anthropic)), ("cassette", None)];
    let kind = section.need("kind").and_then(|node| node.choice(reader, &kinds));
    let list = section.need("models");
    let models: Vec<Spanned<ModelName>> = list.as_ref().map(|node| node.names(reader)).unwrap_or_default();
    if let Some(node) = list.filter(|node| models.is_empty() && node.list_is_empty()) {
        reader.error(node.span, "`models` is empty").hint("list the models it answers for");
    }
    let accepts: Vec<Spanned<Label>> =
        section.take("accepts").map(|node| node.names(reader)).unwrap_or_default();
    let mut upstream = None;
    let kind = match kind {
        Some(Some(server)) => {
            let base_url = section.need("base_url").and_then(|node| base_url(reader, &node));
            let api_key = section.take("api_key").and_then(|node| text(reader, &node));
            let timeout = section.take("timeout_seconds").and_then(|node| node.integer(reader, 1..=86_400));
            let retries = section.take("max_retries").and_then(|node| node.integer(reader, 0..=100));
            let timeout = timeout.map_or(LLM_TIMEOUT, |seconds| Duration::from_secs(seconds.value));
            let max_retries = retries.map_or(LLM_RETRIES, |n| u32::try_from(n.value).expect("at most 100"));
            base_url.map(|base_url| server(LlmServer { base_url, api_key, timeout, max_retries }))
        }
        Some(None) => {
            let path = section.need("path").and_then(|node| node.text(reader));
            let modes = [("replay", CassetteMode::Replay), ("record", CassetteMode::Record)];
            let mode = section.take("mode").map(|node| (node.key.clone(), node.choice(reader, &modes)));
            let asked: Option<Spanned<Label>> = section.take("upstream").and_then(|node| node.parse(reader));
            if let (Some((span, Some(CassetteMode::Record))), None) = (&mode, &asked) {
                let found = reader.error(span.clone(), "nobody is named to ask while recording");
                found.hint("add `upstream = \"<label of another [llm] binding>\"`");
            }
            let mode = mode.and_then(|(_, mode)| mode).unwrap_or_default();
            let kind = path.map(|path| LlmKind::Cassette {
                path: path.value,
                mode,
                upstream: asked.as_ref().map(|label| label.value.clone()),
            });
            upstream = asked;
            kind
        }
        // The keys depend on the kind: without it nothing can be said about them.
        None => {
            section.report_missing(reader);
            return None;
        }
    };
    section.finish(reader);
    let binding = LlmBinding {
        kind: kind?,
        models: models.iter().map(|model| model.value.clone()).collect(),
        accepts: accepts.into_iter().map(|label| label.value).collect(),
    };
    Some((binding, Place { label: label.clone(), models, upstream }))
}

fn base_url(reader: &mut Reader, node: &Node<'_>) -> Option<Text> {
    web_address(reader, node, "https://api.openai.com/v1")
}

/// An address that begins as those of the web do.
pub(crate) fn web_address(reader: &mut Reader, node: &Node<'_>, example: &str) -> Option<Text> {
    let url = text(reader, node)?;
    if url.plain().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        let message = format!("`{}` must begin with `http://` or `https://`", node.name);
        reader.error(node.span.clone(), message).hint(format!("write it such as `\"{example}\"`"));
        return None;
    }
    Some(url)
}

/// An upstream is another binding, asks a server itself, and answers for the same models.
fn check_upstreams(reader: &mut Reader, all: &BTreeMap<Label, LlmBinding>, places: &[Place]) {
    for place in places {
        let Some(wanted) = &place.upstream else { continue };
        let Some(upstream) = all.get(&wanted.value) else {
            let others = all.keys().filter(|label| **label != place.label).map(Label::as_str);
            let hint = did_you_mean(wanted.value.as_str(), "the other bindings are", others);
            reader
                .error(wanted.span.clone(), format!("there is no `[llm.{}]` to record from", wanted.value))
                .hint = hint;
            continue;
        };
        if matches!(upstream.kind, LlmKind::Cassette { .. }) {
            let message = format!("`[llm.{}]` is a cassette itself", wanted.value);
            reader.error(wanted.span.clone(), message).hint("name a binding that asks a server");
            continue;
        }
        for model in place.models.iter().filter(|model| !upstream.models.contains(&model.value)) {
            let message = format!("`[llm.{}]` does not answer for `{}`", wanted.value, model.value);
            reader.error(model.span.clone(), message).hint("add it to the `models` there");
        }
    }
}

/// A model has one binding, so that where its data goes is never a guess. A cassette stands before its upstream.
fn check_models(reader: &mut Reader, all: &BTreeMap<Label, LlmBinding>, places: &[Place]) {
    for (index, place) in places.iter().enumerate() {
        for model in &place.models {
            let other = places[..index].iter().find(|other| {
                let pair =
                    |a: &Place, b: &Place| a.upstream.as_ref().is_some_and(|name| name.value == b.label);
                all[&other.label].models.contains(&model.value) && !pair(place, other) && !pair(other, place)
            });
            if let Some(other) = other {
                let message = format!("model `{}` is in two bindings", model.value);
                let found = reader.error(model.span.clone(), message);
                found.label(format!("`[llm.{}]` has it too", other.label));
                found.hint("remove it from one, or name one as the `upstream` of a cassette");
            }
        }
    }
}

fn read_price(reader: &mut Reader, mut row: Section<'_>) -> Option<Price> {
    let input = row.need("input_per_million").and_then(|node| per_token(reader, &node));
    let output = row.need("output_per_million").and_then(|node| per_token(reader, &node));
    let per_request = row.take("per_request").and_then(|node| node.money(reader));
    row.finish(reader);
    // No line number: a plan's digest would change with a comment in the file.
    let source = format!("[prices] in {}", reader.source.name());
    let mut price = Price::flat(input?, output?, source);
    price.per_request = per_request.map_or(PicoUsd::ZERO, |money| money.value);
    Some(price)
}

/// The price of one token, from that of a million.
fn per_token(reader: &mut Reader, node: &Node<'_>) -> Option<PicoUsd> {
    let money = node.money(reader)?;
    if money.value.pico() % 1_000_000 != 0 {
        let message = format!("`{}` is finer than a millionth of a dollar", node.name);
        reader.error(money.span, message).hint("round it up to six decimals");
        return None;
    }
    Some(PicoUsd::from_pico(money.value.pico() / 1_000_000))
}

fn read_serve(reader: &mut Reader, mut section: Section<'_>) -> Serve {
    let url = section.take("url").and_then(|node| web_address(reader, &node, "https://wflo.example.org"));
    let listen = section.take("listen").and_then(|node| {
        let text = node.text(reader)?;
        let address = text.value.parse().ok();
        if address.is_none() {
            let found = reader.error(text.span, format!("`{}` is no address to listen at", text.value));
            found.hint("write it such as `\"127.0.0.1:7878\"`");
        }
        address
    });
    section.finish(reader);
    Serve { url, listen }
}

fn read_principal(reader: &mut Reader, mut section: Section<'_>) -> Principal {
    let groups: Vec<Spanned<_>> = section.take("groups").map(|node| node.names(reader)).unwrap_or_default();
    let token_hash = section.take("token_hash").and_then(|node| {
        let hash = text(reader, &node)?;
        if hash.plain().is_some_and(|hash| !hash.starts_with("$argon2id$")) {
            let found = reader.error(node.span, "`token_hash` is not an argon2id hash");
            found.hint(
                "`wflo identity add` makes a token and its hash; a token itself never stands in a file",
            );
            return None;
        }
        Some(hash)
    });
    let roles = [Role::Viewer, Role::Approver, Role::Admin].map(|role| (role.name(), role));
    let role = section.take("role").and_then(|node| node.choice(reader, &roles)).unwrap_or_default();
    section.finish(reader);
    Principal { role, groups: groups.into_iter().map(|group| group.value).collect(), token_hash }
}

fn read_budget(reader: &mut Reader, mut section: Section<'_>) -> (BudgetRules, Spending) {
    let mut this = BudgetRules::default();
    if let Some(node) = section.take("on_unknown_price") {
        if node.is_table() {
            let rule =
                node.section(reader, "`on_unknown_price`").and_then(|section| read_assumed(reader, section));
            this.on_unknown_price = rule.unwrap_or_default();
        } else {
            this.on_unknown_price = node.choice(reader, &[("deny", UnknownPrice::Deny)]).unwrap_or_default();
        }
    }
    if let Some(n) = section.take("min_output_tokens").and_then(|node| node.integer(reader, 1..=1_000_000)) {
        this.min_output_tokens = u32::try_from(n.value).expect("at most a million");
    }
    let spending = read_spending(reader, &mut section);
    section.finish(reader);
    (this, spending)
}

/// `{ assume = { input_per_million = "..", output_per_million = ".." } }`
fn read_assumed(reader: &mut Reader, mut section: Section<'_>) -> Option<UnknownPrice> {
    let assume = section.need("assume").and_then(|node| node.section(reader, "`assume`"));
    section.finish(reader);
    let mut assume = assume?;
    let input = assume.need("input_per_million").and_then(|node| per_token(reader, &node));
    let output = assume.need("output_per_million").and_then(|node| per_token(reader, &node));
    assume.finish(reader);
    Some(UnknownPrice::Assume { input: input?, output: output? })
}

fn read_ceilings(reader: &mut Reader, mut section: Section<'_>) -> Ceilings {
    let limits = limits::read_ceilings(reader, &mut section);
    let http = section.take("http").and_then(|node| http::read_ceiling(reader, &node));
    let files = section.take("files").map(|node| reach_toml::read_folders(reader, &node));
    let mail = section.take("mail").map(|node| message_toml::read_ceiling(reader, &node));
    section.finish(reader);
    Ceilings { limits, http, files, mail }
}
