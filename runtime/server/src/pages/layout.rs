//! What all pages have in common.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use wflo_model::steers;

use crate::person::Person;

/// A page for somebody who is known.
pub(super) fn inside(person: &Person, title: &str, here: &str, body: Markup) -> Markup {
    let link = |to: &str, name: &str| {
        html! {
            @if to == here { a href=(to) aria-current="page" { (name) } } @else { a href=(to) { (name) } }
        }
    };
    let header = html! {
        header.top {
            a.brand href="/" { "wflo" }
            nav aria-label="Main" { (link("/", "Decisions")) (link("/runs", "Runs")) }
            form.who method="post" action="/logout" {
                span { (person.voter.name) }
                @if let Some(csrf) = &person.csrf { input type="hidden" name="csrf" value=(csrf); }
                button.quiet type="submit" { "Log out" }
            }
        }
    };
    document(title, header, body)
}

/// A page for whoever comes.
pub(super) fn outside(title: &str, body: Markup) -> Markup {
    document(title, html! { header.top { a.brand href="/" { "wflo" } } }, body)
}

fn document(title: &str, header: Markup, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · wflo" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#main" { "To the content" }
                (header)
                main #main { h1 { (title) } (as_written(&body)) }
            }
        }
    }
}

/// A page on which everything is read as it is written: nothing that a guest or a database wrote turns the direction of the
/// text around it, or is there unseen.
pub(super) fn as_written(body: &Markup) -> Markup {
    let sign = |sign| if steers(sign) && !matches!(sign, '\n' | '\r' | '\t') { '\u{fffd}' } else { sign };
    PreEscaped(body.0.chars().map(sign).collect())
}

/// Where something stands, in a word and a colour.
pub(super) fn status(word: &str) -> Markup {
    let class = match word {
        "succeeded" | "approved" | "consumed" => "good",
        "failed" | "rejected" | "expired" | "rollback_failed" | "partially_rolled_back" => "bad",
        "waiting" | "open" | "parked" => "waits",
        "running" | "rolling_back" => "moves",
        _ => "rest",
    };
    html! { span class={ "status " (class) } { (word) } }
}

/// A moment: as people read it, and as programs do.
pub(super) fn moment(at: &str) -> Markup {
    let seconds = at.get(..19).unwrap_or(at).replace('T', " ");
    html! { time datetime=(at) { (seconds) " UTC" } }
}

#[cfg(test)]
mod tests {
    use super::outside;

    #[test]
    fn nothing_on_a_page_turns_what_is_around_it() {
        let said = "pay \u{202e}001\u{202c} to\u{9b}2J Ada,\n\u{e0041}grüße";
        let page = outside("Decide", maud::html! { p { (said) } }).into_string();
        let shown = "pay \u{fffd}001\u{fffd} to\u{fffd}2J Ada,\n\u{fffd}grüße";
        assert!(page.contains(shown), "{page}");
    }
}
