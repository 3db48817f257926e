//! `docs/wit.md`.

use std::fmt::Write as _;

use super::Package;
use super::item::{self, Item};

const HEAD: &str = "\
# The interfaces

<!-- Made from `wit/` by `cargo xtask wit`; a test holds it to that. -->

What components import of wflo and export to it, package by package: `wit/` as a page. A component imports what it uses and
no more; an import that its grants do not open is refused before anything runs. Each package resolves by itself with
[wit-parser](https://crates.io/crates/wit-parser) and the tools made of it, and no network; `wflo:step` and `wflo:host`, which
refer to others, with the folders of those before theirs, as in
`wit_bindgen::generate!({ path: [\"wit/deps/logging\", \"wit/step\"], world: \"wflo:step/step\" })`. Within 0.1 nothing that is
here is removed or changed: what comes later says since when it is there.

A component that imports and exports none of this can be a step as well: [components.md](components.md).
";

/// The page.
pub(crate) fn page(packages: &[Package]) -> String {
    let mut out = HEAD.to_owned();
    let mut line = |text: &str| writeln!(out, "{text}").expect("writing to a string does not fail");
    line("\n| package | |\n|---|---|");
    let all: Vec<_> = packages.iter().map(item::all).collect();
    for items in &all {
        let package = &items[0];
        let anchor: String =
            package.name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        line(&format!("| [`{}`](#{anchor}) | {} |", package.name, first(package.docs.unwrap_or_default())));
    }
    for items in &all {
        for item in items {
            line(&section(item));
        }
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

fn section(item: &Item<'_>) -> String {
    let docs = item.docs.unwrap_or_default();
    let later = item.version().filter(|version| version != super::FROZEN);
    let since = later.map_or_else(String::new, |version| format!(" Since {version}."));
    match item.is.as_str() {
        "package" => format!("\n## `{}`\n\n{docs}", item.name),
        "interface" => format!("\n### Interface `{}`\n\n{docs}{since}", item.place),
        "world" => format!("\n### World `{}`\n\n{docs}{since}\n", item.place),
        "import" | "export" => format!("- {} `{}`", item.is, item.name),
        is if item.parts.is_empty() => format!("\n#### `{}`\n\n{docs}{since}", declared(&item.name, is)),
        is => {
            let what = is.split(' ').next().unwrap_or_default();
            let mut out = format!("\n#### `{what} {}`\n\n{docs}{since}\n", item.name);
            let typed = item.parts.iter().any(|part| !part.ty.is_empty());
            out.push_str(if typed { "\n| | type | |\n|---|---|---|" } else { "\n| | |\n|---|---|" });
            for part in &item.parts {
                let ty = match (typed, part.ty.as_str()) {
                    (false, _) => String::new(),
                    (true, "") => " |".to_owned(),
                    (true, ty) => format!(" `{ty}` |"),
                };
                let docs = part.docs.unwrap_or_default().replace('\n', " ").replace('|', "\\|");
                write!(out, "\n| `{}` |{ty} {docs} |", part.name).expect("writing to a string does not fail");
            }
            out
        }
    }
}

/// A type or a function, as its heading has it.
fn declared(name: &str, is: &str) -> String {
    match is.strip_prefix("type") {
        Some(of) => format!("type {name}{of}"),
        None if is == "resource" => format!("resource {name}"),
        None => format!("{name}: {is}"),
    }
}

/// The first sentence.
fn first(docs: &str) -> String {
    let text = docs.replace('\n', " ");
    text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
}
