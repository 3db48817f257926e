//! Takes secrets out of what servers answer.
//!
//! A server that echoes a request would hand the guest what the guest must not have, and the journal what it must not
//! keep. Every form of a secret that such an echo commonly has is looked for: the text itself, percent-encoded, in JSON
//! and HTML, in hexadecimal, and in base64, wherever in a longer text it begins. A server that means to hand out a
//! secret, in a form of its own, can: what a secret is bound to is trusted with it.

mod stream;

use std::fmt::Write as _;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use wflo_model::{Label, Octets};
use wflo_ports::HttpResponse;

pub(crate) use stream::Stream;

/// Finds the forms of all secrets in one pass.
#[derive(Clone, Default)]
pub(crate) struct Scrubber(Option<Arc<Found>>);

struct Found {
    forms: AhoCorasick,
    /// What stands in the place of each form.
    marks: Vec<String>,
}

impl Scrubber {
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = (&'a Label, &'a str)>) -> Self {
        let (mut forms, mut marks) = (Vec::new(), Vec::new());
        for (label, value) in secrets {
            let own = encodings(value);
            marks.extend(own.iter().map(|_| format!("[secret {label}]")));
            forms.extend(own);
        }
        if forms.is_empty() {
            return Self(None);
        }
        let forms = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(forms)
            .expect("a few dozen short texts are no more than an automaton holds");
        Self(Some(Arc::new(Found { forms, marks })))
    }

    /// The text without secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |found| found.forms.replace_all(text, &found.marks))
    }

    fn octets(&self, octets: &mut Octets) {
        if let Some(found) = &self.0
            && found.forms.is_match(octets.as_bytes())
        {
            *octets = found.forms.replace_all_bytes(octets.as_bytes(), &found.marks).into();
        }
    }

    /// The answer without secrets. `may_be_told` says that its server may have been told one: then an answer that is
    /// compressed or a part of one, though it was asked for whole and as it is, is not shown, since nobody could tell
    /// what is in it.
    pub(crate) fn response(&self, response: &mut HttpResponse, may_be_told: bool) {
        if self.0.is_none() {
            return;
        }
        if may_be_told && Self::is_in_parts(response) {
            response.headers.retain(|header| !says_coded(header));
            response.body =
                "[the answer is compressed, or a part of one, and may hold a secret: not shown]".into();
        }
        self.octets(&mut response.body);
        self.headers(response);
    }

    /// Takes secrets out of the headers of an answer.
    pub(crate) fn headers(&self, response: &mut HttpResponse) {
        for (_, value) in &mut response.headers {
            self.octets(value);
        }
    }

    /// Whether an answer is compressed, or only a part of what the server has (RFC 9110, sections 14 and 15.3.7; RFC 3229),
    /// so that nobody can tell what is in it.
    pub(crate) fn is_in_parts(response: &HttpResponse) -> bool {
        let is_partial = |(name, value): &(wflo_model::HttpHeaderName, Octets)| {
            let of_ranges =
                |media: &str| media.trim_start().to_ascii_lowercase().starts_with("multipart/byteranges");
            match name.as_str() {
                "content-range" => true,
                "content-type" => value.as_text().is_some_and(of_ranges),
                _ => false,
            }
        };
        matches!(response.status, 206 | 226)
            || response.headers.iter().any(|header| says_coded(header) || is_partial(header))
    }
}

fn says_coded((name, value): &(wflo_model::HttpHeaderName, Octets)) -> bool {
    name.as_str() == "content-encoding"
        && value.as_text().is_none_or(|coding| !coding.eq_ignore_ascii_case("identity"))
}

/// Every form of a text that is looked for, each once.
fn encodings(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut forms = vec![bytes.to_vec()];
    let mut add = |form: String| forms.push(form.into_bytes());
    for upper in [true, false] {
        add(hex(bytes, upper));
        // As an address has it, as a form has it, and with nothing left as it was.
        add(percent(bytes, upper, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
        add(percent(bytes, upper, |byte| {
            byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte)
        }));
        let form = percent(bytes, upper, |byte| byte.is_ascii_alphanumeric() || b"*-._ ".contains(&byte));
        add(form.replace(' ', "+"));
        add(percent(bytes, upper, |_| false));
    }
    let json = serde_json::to_string(value).expect("a text is JSON");
    let json = json.trim_start_matches('"').strip_suffix('"').unwrap_or_default().to_owned();
    add(json.replace('/', "\\/"));
    add(json);
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    add(html.replace('\'', "&#39;"));
    add(html);
    for offset in 0..3 {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(bytes);
        // Three bytes are four letters: those that also have bits of what stands before or behind are left out.
        let (from, to) = ((offset * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            add(encoded[from..to].to_owned());
        }
    }
    forms.sort();
    forms.dedup();
    forms.retain(|form| !form.is_empty());
    forms
}

fn hex(bytes: &[u8], upper: bool) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write_hex(&mut text, *byte, upper);
        text
    })
}

fn percent(bytes: &[u8], upper: bool, stays: impl Fn(u8) -> bool) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if stays(*byte) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            write_hex(&mut text, *byte, upper);
        }
        text
    })
}

fn write_hex(text: &mut String, byte: u8, upper: bool) {
    let written = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
    written.expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use wflo_ports::HttpResponse;

    use super::Scrubber;

    const VALUE: &str = "sk&live/0123 4567\"é";

    fn scrubber() -> Scrubber {
        let label = "stripe".parse().unwrap();
        Scrubber::new([(&label, VALUE)].into_iter())
    }

    #[test]
    fn every_common_form_is_found() {
        let mut forms = vec![
            VALUE.to_owned(),
            serde_json::to_string(VALUE).unwrap(),
            "sk%26live%2F0123%204567%22%C3%A9".to_owned(),
            "sk%26live%2f0123+4567%22%c3%a9".to_owned(),
            "sk&live/0123%204567%22%C3%A9".to_owned(),
            "sk&amp;live/0123 4567&quot;é".to_owned(),
            "736b266c6976652f303132332034353637".to_owned() + "22c3a9",
        ];
        for before in ["", "a", "ab", "user:"] {
            forms.push(STANDARD.encode(format!("{before}{VALUE} and more")));
            forms.push(URL_SAFE.encode(format!("{before}{VALUE}")));
        }
        for form in forms {
            let text = scrubber().text(&format!("before {form} after"));
            assert!(text.starts_with("before ") && text.ends_with(" after"), "{text}");
            assert!(text.contains("[secret stripe]"), "{form} stays as {text}");
            // What is left of it is a letter of base64 or three.
            assert!(text.len() < form.len() + 15, "{text}");
        }
        assert_eq!(scrubber().text("nothing of it"), "nothing of it");
        assert_eq!(Scrubber::default().text(VALUE), VALUE);
    }

    #[test]
    fn an_answer_is_scrubbed_in_headers_and_body() {
        let mut answer = HttpResponse {
            status: 200,
            headers: vec![("x-echo".parse().unwrap(), format!("Bearer {VALUE}").as_str().into())],
            body: [b"\xff\xfe".as_slice(), VALUE.as_bytes(), b"\xff"].concat().into(),
        };
        scrubber().response(&mut answer, true);
        assert_eq!(answer.headers[0].1.as_text(), Some("Bearer [secret stripe]"));
        assert_eq!(answer.body.as_bytes(), b"\xff\xfe[secret stripe]\xff");
    }

    #[test]
    fn what_cannot_be_looked_into_is_not_shown() {
        let coded = || HttpResponse {
            status: 200,
            headers: vec![("content-encoding".parse().unwrap(), "gzip".into())],
            body: vec![0x1f, 0x8b].into(),
        };
        let with = |status: u16, name: &str, value: &str| HttpResponse {
            status,
            headers: vec![(name.parse().unwrap(), value.into())],
            body: VALUE[..9].into(),
        };
        for mut part in [
            with(206, "content-range", "bytes 0-9/40"),
            with(206, "content-type", "text/plain"),
            with(200, "content-type", "Multipart/ByteRanges; boundary=x"),
        ] {
            scrubber().response(&mut part, true);
            assert!(part.body.as_text().unwrap().contains("not shown"), "{part:?}");
        }
        let mut answer = coded();
        scrubber().response(&mut answer, false);
        assert_eq!(answer, coded());
        scrubber().response(&mut answer, true);
        assert!(answer.headers.is_empty() && answer.body.as_text().unwrap().contains("not shown"));
    }
}
