//! What requests a grant or a ceiling allows.

use std::fmt;
use std::str::FromStr;

use super::as_text;
use super::method::HttpMethod;
use super::url::{HttpHost, HttpScheme, HttpUrl, origin};

/// A set of requests: `GET https://export.arxiv.org/api/*`.
///
/// - The method is one, or `*` for all.
/// - The scheme is `http` or `https`; the one never stands for the other.
/// - The host is a name, `*.example.org` for every name below that (not the name itself), or `*` for every name.
///   An address, and `localhost`, is never meant by a star: it has to be written out.
/// - The port is the scheme's own if none is written; `:*` stands for all.
/// - In the path, `*` stands for any text, slashes included. A path without a star is that path alone.
/// - The query is free.
///
/// ```
/// use wflo_model::{HttpMethod, HttpPattern};
/// let pattern: HttpPattern = "GET https://*.example.org/api/*".parse().unwrap();
/// let get: HttpMethod = "GET".parse().unwrap();
/// assert!(pattern.matches(&get, &"https://eu.example.org/api/v1/a?b=c".parse().unwrap()));
/// assert!(!pattern.matches(&get, &"https://example.org/api/v1".parse().unwrap()));
/// assert!(!pattern.matches(&get, &"https://eu.example.org/admin".parse().unwrap()));
/// assert!(pattern.covers(&"GET https://eu.example.org/api/v1".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpPattern {
    /// None for every method.
    method: Option<HttpMethod>,
    scheme: HttpScheme,
    host: Host,
    /// None for every port.
    port: Option<u16>,
    /// Normalised as a path of an address is, but for its stars.
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    AnyName,
    Below(String),
    Exactly(HttpHost),
}

impl HttpPattern {
    /// Whether it allows such a request.
    #[must_use]
    pub fn matches(&self, method: &HttpMethod, url: &HttpUrl) -> bool {
        self.method.as_ref().is_none_or(|mine| mine == method)
            && self.scheme == url.scheme()
            && self.host.matches(url.host())
            && self.port.is_none_or(|port| port == url.port())
            && glob(self.path.as_bytes(), url.path().as_bytes())
    }

    /// Whether it allows every request that `narrower` allows: reflexive, transitive.
    ///
    /// Exact for what patterns can say: a star of `narrower` stands for text that only a star matches.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        // No path has a byte of zero, so it is matched by stars alone.
        let path = narrower.path.replace('*', "\0");
        self.method.as_ref().is_none_or(|mine| narrower.method.as_ref() == Some(mine))
            && self.scheme == narrower.scheme
            && self.host.covers(&narrower.host)
            && self.port.is_none_or(|port| narrower.port == Some(port))
            && glob(self.path.as_bytes(), path.as_bytes())
    }

    /// Whether it allows some request to the host of `url`, be it by another method, scheme, port or path.
    ///
    /// ```
    /// use wflo_model::HttpPattern;
    /// let pattern: HttpPattern = "POST https://*.example.org/notes".parse().unwrap();
    /// assert!(pattern.names_host_of(&"http://eu.example.org:8080/".parse().unwrap()));
    /// assert!(!pattern.names_host_of(&"https://example.com/notes".parse().unwrap()));
    /// ```
    #[must_use]
    pub fn names_host_of(&self, url: &HttpUrl) -> bool {
        self.host.matches(url.host())
    }

    /// Whether it allows requests that only read, and no others.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        self.method.as_ref().is_some_and(HttpMethod::is_read)
    }
}

impl Host {
    fn matches(&self, host: &HttpHost) -> bool {
        match (self, host) {
            (Self::Exactly(mine), theirs) => mine == theirs,
            (Self::AnyName, HttpHost::Name(name)) => name != "localhost",
            (Self::Below(suffix), HttpHost::Name(name)) => is_below(name, suffix),
            (Self::AnyName | Self::Below(_), HttpHost::Address(_)) => false,
        }
    }

    fn covers(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (wide, Self::Exactly(host)) => wide.matches(host),
            (Self::AnyName, _) => true,
            (Self::Below(wide), Self::Below(narrow)) => wide == narrow || is_below(narrow, wide),
            (Self::Below(_), Self::AnyName) | (Self::Exactly(_), _) => false,
        }
    }
}

fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Whether `text` is `pattern` with its stars filled in. In time of the product of both lengths at worst.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The last star, and how far into the text it reaches by now.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, reach)) = star {
            star = Some((at, reach + 1));
            p = at + 1;
            t = reach + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl FromStr for HttpPattern {
    type Err = BadHttpPattern;

    fn from_str(text: &str) -> Result<Self, BadHttpPattern> {
        let bad = |reason: String| BadHttpPattern { pattern: text.chars().take(128).collect(), reason };
        let Some((method, address)) = text.split_once(' ') else {
            return Err(bad(
                "write the method before the address, such as `\"GET https://example.org/api/*\"`".to_owned(),
            ));
        };
        let method = match method {
            "*" => None,
            method => Some(method.parse::<HttpMethod>().map_err(|error| bad(error.to_string()))?),
        };
        let (scheme, rest) = match (address.strip_prefix("https://"), address.strip_prefix("http://")) {
            (Some(rest), _) => (HttpScheme::Https, rest),
            (None, Some(rest)) => (HttpScheme::Http, rest),
            (None, None) => {
                return Err(bad("the address must begin with `https://` or `http://`".to_owned()));
            }
        };
        let Some((authority, path)) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len())) else {
            return Err(bad("the address has no host".to_owned()));
        };
        if path.is_empty() {
            return Err(bad(
                "the address has no path: end it with `/*` for every path, or with `/`".to_owned()
            ));
        }
        if path.contains(['?', '#']) {
            return Err(bad("leave the query out: a pattern says nothing about it".to_owned()));
        }
        let (authority, any_port) = match authority.strip_suffix(":*") {
            Some(authority) => (authority, true),
            None => (authority, false),
        };
        // The rest of it is read as the addresses are that it is held against.
        let (name, stars) = match authority.strip_prefix('*') {
            Some(rest) if rest.is_empty() || rest.starts_with(':') => (format!("any{rest}"), Some(None)),
            Some(rest) => match rest.strip_prefix('.') {
                Some(suffix) => (suffix.to_owned(), Some(Some(()))),
                None => {
                    return Err(bad(
                        "a star in a host stands alone or before a dot: `*.example.org`".to_owned()
                    ));
                }
            },
            None => (authority.to_owned(), None),
        };
        if name.contains('*') {
            return Err(bad("a host has one star at most, at its beginning: `*.example.org`".to_owned()));
        }
        let url: HttpUrl = format!("{scheme}://{name}{path}")
            .parse()
            .map_err(|error: super::BadHttpUrl| bad(error.to_string()))?;
        let host = match (stars, url.host()) {
            (Some(None), _) => Host::AnyName,
            (Some(Some(())), HttpHost::Name(suffix)) => Host::Below(suffix.clone()),
            (Some(Some(())), HttpHost::Address(_)) => {
                return Err(bad("an address has to be written out, without a star".to_owned()));
            }
            (None, HttpHost::Address(address)) if address.is_unspecified() || address.is_multicast() => {
                return Err(bad("no single server has that address".to_owned()));
            }
            (None, host) => Host::Exactly(host.clone()),
        };
        Ok(Self { method, scheme, host, port: (!any_port).then(|| url.port()), path: url.path().to_owned() })
    }
}

impl fmt::Display for HttpPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.method {
            Some(method) => write!(f, "{method} ")?,
            None => f.write_str("* ")?,
        }
        f.write_str(&origin(self.scheme, &self.host, self.port))?;
        if self.port.is_none() {
            f.write_str(":*")?;
        }
        f.write_str(&self.path)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyName => f.write_str("*"),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
            Self::Exactly(host) => host.fmt(f),
        }
    }
}

as_text!(HttpPattern);

/// A text that is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a pattern of requests: {reason}", .pattern.escape_debug())]
pub struct BadHttpPattern {
    /// The text, or its beginning.
    pub pattern: String,
    /// What is wrong with it, or how to write it.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HttpMethod, HttpPattern, HttpUrl, glob};

    fn pattern(text: &str) -> HttpPattern {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn matches_what_it_says() {
        let check = |text: &str, method: &str, url: &str, expect: bool| {
            let (method, url): (HttpMethod, HttpUrl) = (method.parse().unwrap(), url.parse().unwrap());
            assert_eq!(pattern(text).matches(&method, &url), expect, "{text} {method} {url}");
        };
        let arxiv = "GET https://export.arxiv.org/api/*";
        check(arxiv, "GET", "https://export.arxiv.org/api/query?a=b", true);
        check(arxiv, "GET", "https://EXPORT.arxiv.org:443/api/", true);
        check(arxiv, "POST", "https://export.arxiv.org/api/query", false);
        check(arxiv, "GET", "http://export.arxiv.org/api/query", false);
        check(arxiv, "GET", "https://export.arxiv.org:8443/api/query", false);
        check(arxiv, "GET", "https://export.arxiv.org/apix", false);
        check(arxiv, "GET", "https://export.arxiv.org/api/../admin", false);
        check(arxiv, "GET", "https://export.arxiv.org.evil.example/api/x", false);
        check(arxiv, "GET", "https://evil.example/export.arxiv.org/api/x", false);
        check("* https://example.org/a/*/c", "PUT", "https://example.org/a/b/b/c", true);
        check("* https://example.org/a/*/c", "PUT", "https://example.org/a/c", false);
        check("GET https://example.org/", "GET", "https://example.org/x", false);
        check("GET https://*.example.org/*", "GET", "https://a.b.example.org/", true);
        check("GET https://*.example.org/*", "GET", "https://example.org/", false);
        check("GET https://*.example.org/*", "GET", "https://badexample.org/", false);
        check("GET http://*/*", "GET", "http://example.org/", true);
        check("GET http://*/*", "GET", "http://localhost/", false);
        check("GET http://*/*", "GET", "http://127.0.0.1/", false);
        check("GET http://*/*", "GET", "http://[::1]/", false);
        check("GET http://*:*/*", "GET", "http://example.org:8080/", true);
        check("GET http://*:8080/*", "GET", "http://example.org:8080/", true);
        check("GET http://localhost:9000/*", "GET", "http://localhost:9000/x", true);
        check("GET http://127.0.0.1:9000/*", "GET", "http://2130706433:9000/x", true);
        check("GET http://127.0.0.1:9000/*", "GET", "http://127.0.0.2:9000/x", false);
        check("GET https://bücher.example/*", "GET", "https://xn--bcher-kva.example/", true);
        check("GET https://example.org/%7Euser/*", "GET", "https://example.org/~user/x", true);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for bad in [
            "",
            "GET",
            "https://example.org/*",
            "get https://example.org/*",
            "CONNECT https://example.org/*",
            "GET  https://example.org/*",
            "GET ftp://example.org/*",
            "GET https://example.org",
            "GET https://example.org/*?q=*",
            "GET https://example.org/#x",
            "GET https:///x",
            "GET https://user@example.org/",
            "GET https://ex*mple.org/",
            "GET https://*example.org/",
            "GET https://*.*.org/",
            "GET https://*.0.0.1/",
            "GET https://*.[::1]/",
            "GET https://example.org:x/",
            "GET https://0.0.0.0/",
            "GET http://[ff02::1]/*",
            "GET https://example.org/../x/%2e%2e%2f*",
            "GET https://example.org./*",
        ] {
            assert!(bad.parse::<HttpPattern>().is_err(), "{bad:?} is {:?}", bad.parse::<HttpPattern>());
        }
        let error = "https://example.org/*".parse::<HttpPattern>().unwrap_err().to_string();
        assert!(
            error.contains("is not a pattern of requests: write the method before the address"),
            "{error}"
        );
    }

    /// Few parts, so that patterns often have to do with one another.
    fn patterns() -> impl Strategy<Value = HttpPattern> {
        let methods = prop::sample::select(vec!["*", "GET", "POST"]);
        let schemes = prop::sample::select(vec!["http", "https"]);
        let hosts = prop::sample::select(vec![
            "*",
            "*.org",
            "*.a.org",
            "a.org",
            "b.a.org",
            "c.b.a.org",
            "localhost",
            "127.0.0.1",
            "[::1]",
        ]);
        let ports = prop::sample::select(vec!["", ":*", ":81"]);
        (methods, schemes, hosts, ports, "/[ab/*]{0,5}").prop_map(|(method, scheme, host, port, path)| {
            format!("{method} {scheme}://{host}{port}{path}").parse().unwrap()
        })
    }

    fn requests() -> impl Strategy<Value = (HttpMethod, HttpUrl)> {
        let hosts = prop::sample::select(vec!["org", "a.org", "b.a.org", "localhost", "127.0.0.1", "[::1]"]);
        let ports = prop::sample::select(vec!["", ":81"]);
        let methods = prop::sample::select(vec!["GET", "POST"]);
        (methods, prop::bool::ANY, hosts, ports, "/[ab/]{0,6}").prop_map(|(method, tls, host, port, path)| {
            let scheme = if tls { "https" } else { "http" };
            (method.parse().unwrap(), format!("{scheme}://{host}{port}{path}").parse().unwrap())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn covers_is_reflexive(a in patterns()) {
            prop_assert!(a.covers(&a));
        }

        #[test]
        fn covers_is_transitive(a in patterns(), b in patterns(), c in patterns()) {
            prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c), "{} {} {}", a, b, c);
        }

        #[test]
        fn the_narrower_one_allows_nothing_more(a in patterns(), b in patterns(), (method, url) in requests()) {
            prop_assert!(!(a.covers(&b) && b.matches(&method, &url)) || a.matches(&method, &url), "{} {} {}", a, b, url);
        }

        #[test]
        fn widening_a_part_covers(a in patterns(), at in 0_usize..6) {
            let text = a.to_string();
            let (head, path) = text.split_at(text.find("//").unwrap() + 2);
            let slash = path.find('/').unwrap();
            let at = (slash + 1 + at).min(path.len());
            let wider: HttpPattern = format!("{head}{}*{}", &path[..at], &path[at..]).parse().unwrap();
            prop_assert!(wider.covers(&a), "{} {}", wider, a);
        }

        #[test]
        fn what_is_shown_is_read_the_same(a in patterns()) {
            prop_assert_eq!(a.to_string().parse(), Ok(a));
        }

        #[test]
        fn the_glob_is_the_obvious_one(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            fn slow(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|at| slow(rest, &text[at..])),
                    Some((first, rest)) => text.split_first().is_some_and(|(c, more)| c == first && slow(rest, more)),
                }
            }
            prop_assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
