//! HTML as headings and paragraphs.
//!
//! What is looked for is text, not a page: tags end words or paragraphs or neither, and what no reader sees (scripts,
//! styles, comments) is left out. Any bytes are read to their end; what is not HTML comes out as it is.

use super::blocks::{Block, Paragraphs};

/// Elements whose text is no text of the document.
const HIDDEN: [&str; 6] = ["script", "style", "template", "noscript", "svg", "head"];
/// Elements that stand in a line.
const INLINE: [&str; 24] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "i", "ins", "kbd", "mark",
    "q", "s", "small", "span", "strong", "sub", "sup", "time", "u",
];
/// Named references that text has; others stay as they are written.
const NAMED: [(&str, &str); 22] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("mdash", "—"),
    ("hellip", "…"),
    ("lsquo", "‘"),
    ("rsquo", "’"),
    ("ldquo", "“"),
    ("rdquo", "”"),
    ("euro", "€"),
    ("pound", "£"),
    ("copy", "©"),
    ("reg", "®"),
    ("trade", "™"),
    ("auml", "ä"),
    ("ouml", "ö"),
    ("uuml", "ü"),
    ("szlig", "ß"),
];

/// The blocks of a page, its title first where it has one.
pub(super) fn html(text: &str) -> Vec<Block> {
    let mut page = Page::default();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        page.text(&rest[..at]);
        rest = &rest[at..];
        rest = page.tag(rest);
    }
    page.text(rest);
    page.flush();
    page.paragraphs.end()
}

#[derive(Default)]
struct Page {
    paragraphs: Paragraphs,
    /// The line under way, spaces folded.
    line: String,
    /// The level of the heading that is open.
    heading: Option<u8>,
}

impl Page {
    fn text(&mut self, text: &str) {
        for word in decoded(text).split_inclusive(char::is_whitespace) {
            let bare = word.trim();
            if !bare.is_empty() {
                self.line.push_str(bare);
            }
            if word.ends_with(char::is_whitespace) && !self.line.ends_with(' ') && !self.line.is_empty() {
                self.line.push(' ');
            }
        }
    }

    /// Takes what begins with `<`, and gives what comes after.
    fn tag<'a>(&mut self, rest: &'a str) -> &'a str {
        if let Some(comment) = rest.strip_prefix("<!--") {
            return comment.find("-->").map_or("", |end| &comment[end + 3..]);
        }
        let inner = &rest[1..];
        let is_end = inner.starts_with('/');
        let name = inner.trim_start_matches('/');
        let length = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = name[..length].to_ascii_lowercase();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !is_name && !inner.starts_with(['!', '?', '/']) {
            // A sign and no tag.
            self.line.push('<');
            return inner;
        }
        let after = end_of_tag(inner);
        if !is_end && HIDDEN.contains(&name.as_str()) {
            return self.hidden(&name, after);
        }
        self.element(&name, is_end);
        after
    }

    /// Skips an element that is not shown; the title of the page is in one.
    fn hidden<'a>(&mut self, name: &str, after: &'a str) -> &'a str {
        let end = find_end(after, name).unwrap_or(after.len());
        if name == "head"
            && let Some(at) = find_ascii(&after[..end], "<title")
        {
            let title = end_of_tag(&after[at + 1..end]);
            let title = &title[..find_end(title, "title").unwrap_or(title.len())];
            self.paragraphs.heading(1, &decoded(title));
        }
        end_of_tag(after.get(end + 1..).unwrap_or_default())
    }

    fn element(&mut self, name: &str, is_end: bool) {
        match name.as_bytes() {
            [b'h', level @ b'1'..=b'6'] => {
                self.flush();
                self.heading = (!is_end).then_some(level - b'0');
            }
            // It stands in a head that need not be written.
            b"title" => {
                self.flush();
                self.heading = (!is_end).then_some(1);
            }
            b"br" | b"tr" | b"li" | b"dt" | b"dd" if self.heading.is_none() => {
                self.end_line();
                if name == "li" && !is_end {
                    self.line.push_str("- ");
                }
            }
            b"td" | b"th" => self.line.push(' '),
            _ if INLINE.contains(&name) || name.is_empty() => {}
            _ => self.flush(),
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.trim().is_empty() && line.trim() != "-" {
            self.paragraphs.line(&line);
        }
    }

    /// Ends the paragraph or the heading under way.
    fn flush(&mut self) {
        match self.heading.take() {
            Some(level) => {
                let title = std::mem::take(&mut self.line);
                self.paragraphs.heading(level, &title);
            }
            None => {
                self.end_line();
                self.paragraphs.break_off();
            }
        }
    }
}

/// What comes after the `>` that ends a tag; quotes may hold others.
fn end_of_tag(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return &text[at + 1..],
            (None, '"' | '\'') if text[..at].ends_with('=') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    // One that never ends hides what it has swallowed no longer than to the next tag.
    text.find('<').map_or("", |at| &text[at..])
}

/// Where the end tag of an element stands.
fn find_end(text: &str, name: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find("</") {
        let at = from + at;
        let tag = &text.as_bytes()[at + 2..];
        let is_it = tag.len() >= name.len() && tag[..name.len()].eq_ignore_ascii_case(name.as_bytes());
        if is_it && !tag.get(name.len()).is_some_and(u8::is_ascii_alphanumeric) {
            return Some(at);
        }
        from = at + 2;
    }
    None
}

fn find_ascii(text: &str, what: &str) -> Option<usize> {
    let (text, what) = (text.as_bytes(), what.as_bytes());
    text.windows(what.len()).position(|window| window.eq_ignore_ascii_case(what))
}

/// Text with its references read.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        let read = end.and_then(|end| Some((reference(&rest[..end])?, end)));
        match read {
            Some((text, end)) => {
                out.push_str(&text);
                rest = &rest[end + 1..];
            }
            None => out.push('&'),
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| !c.is_control()).map(String::from);
    }
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::blocks::Block;
    use super::html;

    fn heading(level: u8, title: &str) -> Block {
        Block::Heading(level, title.to_owned())
    }

    fn text(text: &str) -> Block {
        Block::Text(text.to_owned())
    }

    #[test]
    fn a_page_is_its_title_its_headings_and_its_text() {
        let page = "<!DOCTYPE html><html><head><TITLE>Help &amp; more</TITLE><style>p { x: y }</style></head>\n\
                    <body><!-- <p>hidden</p> --><h2 class=\"a>b\">Refunds</h2>\n<p>Within <b>30</b>\n days.<br>No bill&nbsp;needed.</p>\
                    <script>if (a < b) { alert('</p>') }</script><ul><li>one</li><li>two</li></ul>a &lt; b &#8364;&#x20AC; &unknown;</body>";
        assert_eq!(
            html(page),
            [
                heading(1, "Help & more"),
                heading(2, "Refunds"),
                text("Within 30 days.\nNo bill needed."),
                text("- one\n- two"),
                text("a < b €€ &unknown;"),
            ]
        );
    }

    #[test]
    fn what_is_broken_is_read_to_its_end() {
        for (broken, expect) in [
            ("", vec![]),
            ("5 < 6 and <3", vec![text("5 < 6 and <3")]),
            ("<p", vec![]),
            ("<p class=\"never closed>text", vec![]),
            ("<!-- never closed <p>text", vec![]),
            ("<script>never closed", vec![]),
            ("<h1>open", vec![heading(1, "open")]),
            ("a &#0; &#xD800; &#1114112; &;", vec![text("a &#0; &#xD800; &#1114112; &;")]),
            ("\u{fffd}<é>é</é>", vec![text("\u{fffd}<é>é")]),
        ] {
            assert_eq!(html(broken), expect, "{broken}");
        }
    }
}
