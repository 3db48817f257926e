//! Addresses of requests, in the one form that is judged, journaled and sent.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::as_text;

/// Longest address: what servers commonly take.
const LONGEST: usize = 8 << 10;

/// How often a path may be percent-encoded over itself. Each server behind another may decode once.
const ENCODED_OVER: usize = 4;

/// The address of a request: `http` or `https`, absolute, without credentials or fragment, normalised.
///
/// It is read as browsers read it (the WHATWG URL standard): IDNA, hosts in lower case, every spelling of an
/// IPv4 address, default ports, dot segments, and the percent-encoding of what needs none. Beyond that, what
/// different programs read differently is refused: credentials, control characters and blanks, backslashes,
/// hosts with a final dot, broken percent-encoding, and paths that have a dot segment once they are decoded,
/// however often, also behind an encoded slash or before a `;`.
///
/// ```
/// use wflo_model::HttpUrl;
/// let url: HttpUrl = "HTTPS://Export.arXiv.org:443/api/./old/%2e%2e/qu%65ry?id_list=1#top".parse().unwrap();
/// assert_eq!(url.to_string(), "https://export.arxiv.org/api/query?id_list=1");
/// let url: HttpUrl = "http://0x7f.1/".parse().unwrap();
/// assert_eq!(url.to_string(), "http://127.0.0.1/");
/// assert!("https://example.org@evil.example/".parse::<HttpUrl>().is_err());
/// assert!("https://example.org/api/%2e%2e%2fadmin".parse::<HttpUrl>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpUrl {
    scheme: HttpScheme,
    host: HttpHost,
    port: u16,
    path: String,
    query: Option<String>,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpScheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// A host: its name, in lower case and punycode, or its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpHost {
    /// A name to look up.
    Name(String),
    /// An address, written out.
    Address(IpAddr),
}

impl HttpUrl {
    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> HttpScheme {
        self.scheme
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &HttpHost {
        &self.host
    }

    /// The port, also where it is the scheme's own.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The path, percent-encoded, with its first slash.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, percent-encoded, without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Scheme, host and port, as an origin is written.
    #[must_use]
    pub fn origin(&self) -> String {
        origin(self.scheme, &self.host, Some(self.port))
    }
}

/// `scheme://host`, and the port where it is given and not the scheme's own.
pub(super) fn origin(scheme: HttpScheme, host: &impl fmt::Display, port: Option<u16>) -> String {
    match port {
        Some(port) if port != scheme.port() => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}

impl HttpScheme {
    /// The port where none is written.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for HttpUrl {
    type Err = BadHttpUrl;

    fn from_str(text: &str) -> Result<Self, BadHttpUrl> {
        if text.len() > LONGEST {
            return Err(BadHttpUrl::TooLong);
        }
        // A parser after the standard drops or mends these; another one does not.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(BadHttpUrl::Ambiguous { what: "a blank, a control character or a backslash" });
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadHttpUrl::NotHttp)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => HttpScheme::Http,
            "https" => HttpScheme::Https,
            _ => return Err(BadHttpUrl::NotHttp),
        };
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        if authority.contains('@') {
            return Err(BadHttpUrl::Credentials);
        }
        if authority.is_empty() {
            return Err(BadHttpUrl::NoHost);
        }
        let url = ::url::Url::parse(text).map_err(|error| BadHttpUrl::NoUrl { reason: error.to_string() })?;
        let host = match url.host() {
            Some(::url::Host::Domain(name)) => HttpHost::Name(check_name(name)?.to_owned()),
            Some(::url::Host::Ipv4(address)) => HttpHost::Address(address.into()),
            Some(::url::Host::Ipv6(address)) => HttpHost::Address(address.into()),
            None => return Err(BadHttpUrl::NoHost),
        };
        let port = url.port().unwrap_or(scheme.port());
        if port == 0 {
            return Err(BadHttpUrl::NoUrl { reason: "port 0 cannot be reached".to_owned() });
        }
        let path = plain(url.path())?;
        check_path(&path)?;
        Ok(Self { scheme, host, port, path, query: url.query().map(str::to_owned) })
    }
}

/// RFC 1035's lengths, and no final dot: with one, a name is another string for the same host.
fn check_name(name: &str) -> Result<&str, BadHttpUrl> {
    if name.ends_with('.') {
        return Err(BadHttpUrl::Ambiguous { what: "a host that ends with a dot" });
    }
    if name.len() > 253 || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err(BadHttpUrl::NoUrl { reason: "no host can have that name".to_owned() });
    }
    Ok(name)
}

/// Undoes the percent-encoding of what needs none, and writes the rest in upper case (RFC 3986, section 6.2.2).
fn plain(path: &str) -> Result<String, BadHttpUrl> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let byte = rest.get(at + 1..at + 3).and_then(hex).ok_or(BadHttpUrl::Percent)?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Ok(out)
}

fn hex(digits: &str) -> Option<u8> {
    let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// Refuses a path that a server could take for one outside of what it seems to be in.
fn check_path(path: &str) -> Result<(), BadHttpUrl> {
    let ambiguous = |what| Err(BadHttpUrl::Ambiguous { what });
    let mut path = path.as_bytes().to_vec();
    for _ in 0..ENCODED_OVER {
        // A segment may carry parameters behind `;`, which some servers cut off before they look at it.
        let segments = path.split(|byte| matches!(byte, b'/' | b'\\'));
        for segment in segments {
            let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
            if matches!(name.trim_ascii(), b"." | b"..") {
                return ambiguous("a path that has a dot segment once it is decoded");
            }
        }
        if path.iter().any(u8::is_ascii_control) {
            return ambiguous("a path that has a control character once it is decoded");
        }
        // An overlong encoding of a dot or slash is no UTF-8.
        if std::str::from_utf8(&path).is_err() {
            return ambiguous("a path that is not UTF-8 once it is decoded");
        }
        let decoded = decoded(&path);
        if decoded == path {
            return Ok(());
        }
        path = decoded;
    }
    ambiguous("a path that is percent-encoded many times over")
}

fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let byte = match path[at] {
            b'%' => path.get(at + 1..at + 3).and_then(|digits| hex(std::str::from_utf8(digits).ok()?)),
            _ => None,
        };
        out.push(byte.unwrap_or(path[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)?;
        match &self.query {
            Some(query) => write!(f, "?{query}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for HttpScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Display for HttpHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

as_text!(HttpUrl);

/// A text that is no address of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadHttpUrl {
    /// It is longer than any server takes.
    #[error("the address is longer than {LONGEST} bytes")]
    TooLong,
    /// Another scheme, or none.
    #[error("the address begins with neither `http://` nor `https://`")]
    NotHttp,
    /// There is no host in it.
    #[error("the address has no host")]
    NoHost,
    /// It holds a name or password.
    #[error("the address holds credentials; send them in a header")]
    Credentials,
    /// A percent sign without two hex digits.
    #[error("the address has a `%` without two hex digits behind it")]
    Percent,
    /// Different programs read it differently.
    #[error("the address has {what}, which not everybody reads the same way")]
    Ambiguous {
        /// What.
        what: &'static str,
    },
    /// It is no URL.
    #[error("the address is not a URL: {reason}")]
    NoUrl {
        /// Why.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::HttpUrl;

    #[test]
    fn an_address_has_one_form() {
        let check = |text: &str, expect: &str| {
            let url = text.parse::<HttpUrl>().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.to_string(), expect, "{text}");
            assert_eq!(expect.parse(), Ok(url), "{expect}");
        };
        check("https://example.org", "https://example.org/");
        check("HTTPS://EXAMPLE.org:443/A", "https://example.org/A");
        check("http://example.org:443/", "http://example.org:443/");
        check("https://example.org/a/../b", "https://example.org/b");
        check("https://example.org/a/%2E%2e/b", "https://example.org/b");
        check("https://example.org/../../a", "https://example.org/a");
        check("https://example.org/%61%2f%c3%a9", "https://example.org/a%2F%C3%A9");
        check("https://example.org/é?q=é#f", "https://example.org/%C3%A9?q=%C3%A9");
        check("https://bücher.example/", "https://xn--bcher-kva.example/");
        check("https://ＥＸＡＭＰＬＥ.org/", "https://example.org/");
        check("https://ex%61mple.org/", "https://example.org/");
        check("http://2130706433/", "http://127.0.0.1/");
        check("http://0177.0.0.1/", "http://127.0.0.1/");
        check("http://127.1/", "http://127.0.0.1/");
        check("http://[::FFFF:7f00:1]:8080/", "http://[::ffff:127.0.0.1]:8080/");
        check("https://example.org/a*b;v=1/c", "https://example.org/a*b;v=1/c");
    }

    #[test]
    fn tricks_are_refused() {
        for trick in [
            "",
            "example.org",
            "//example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https:/example.org/",
            "https:example.org",
            "https:///example.org/",
            "https://",
            "https:///",
            "https://?q",
            " https://example.org/",
            "https://example.org/\n",
            "https://exam\tple.org/",
            "https://example.org\\@evil.example/",
            "https://user@example.org/",
            "https://user:pw@example.org/",
            "https://@example.org/",
            "https://example.org./",
            "https://example.org:0/",
            "https://example.org:99999/",
            "https://example..org/",
            "https://exa mple.org/",
            "https://[::1/",
            "https://1.2.3.4.5/",
            "https://300.1.1.1/",
            "https://example.org%2fevil.example/",
            "https://example.org%00.evil.example/",
            "https://example.org/%",
            "https://example.org/%zz",
            "https://example.org/%+1",
            "https://example.org/%00",
            "https://example.org/a%0d%0aHost:%20evil/",
            "https://example.org/api/%2e%2e%2fadmin",
            "https://example.org/api/..%2fadmin",
            "https://example.org/api/..%5cadmin",
            "https://example.org/api/%252e%252e/admin",
            "https://example.org/api/%252e%252e%252fadmin",
            "https://example.org/api/%25252e%25252e%25252fadmin",
            "https://example.org/api/..;/admin",
            "https://example.org/api/..;x=1/admin",
            "https://example.org/api/%2e%2e;/admin",
            "https://example.org/api/%c0%ae%c0%ae/admin",
            "https://example.org/api/..%20/admin",
            "https://example.org/%2525252525252e",
        ] {
            assert!(trick.parse::<HttpUrl>().is_err(), "{trick:?} is {:?}", trick.parse::<HttpUrl>());
        }
        let long = format!("https://example.org/{}", "a".repeat(9000));
        assert!(long.parse::<HttpUrl>().is_err());
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_the_same(text in "https?://[a-z0-9.:%@\\[\\]-]{1,20}/[ -~é]{0,40}") {
            if let Ok(url) = text.parse::<HttpUrl>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }

        #[test]
        fn whoever_sends_it_reads_what_was_judged(text in "https?://[a-z0-9.%-]{1,20}/[ -~]{0,40}") {
            if let Ok(url) = text.parse::<HttpUrl>() {
                let sent = ::url::Url::parse(&url.to_string()).unwrap();
                prop_assert_eq!(sent.path(), url.path());
                prop_assert_eq!(sent.host_str().unwrap(), url.host().to_string());
                prop_assert_eq!(sent.port_or_known_default(), Some(url.port()));
            }
        }
    }
}
