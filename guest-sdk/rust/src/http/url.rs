//! As much of addresses as a client needs: their parts, and where a redirect leads. What an address means is
//! decided by the host.

/// Scheme, authority, and path with query; none for what is no address of HTTP.
pub(super) fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    (!authority.is_empty()).then_some((scheme, authority, path))
}

/// The address that `location` means in an answer from `url` (RFC 3986, section 5.2, but for dot segments, which
/// the host takes out).
pub(super) fn follow(url: &str, location: &str) -> String {
    let Some((scheme, authority, path)) = parts(url) else { return location.to_owned() };
    if location.contains("://") {
        return location.to_owned();
    }
    if location.starts_with("//") {
        return format!("{scheme}:{location}");
    }
    if location.starts_with('/') {
        return format!("{scheme}://{authority}{location}");
    }
    let path = path.split('?').next().unwrap_or_default();
    if location.starts_with('?') {
        return format!("{scheme}://{authority}{path}{location}");
    }
    let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
    format!("{scheme}://{authority}{folder}{location}")
}

/// Whether two addresses are of one server.
pub(super) fn same_origin(one: &str, other: &str) -> bool {
    match (parts(one), parts(other)) {
        (Some((scheme, authority, _)), Some((other_scheme, other_authority, _))) => {
            scheme.eq_ignore_ascii_case(other_scheme) && authority.eq_ignore_ascii_case(other_authority)
        }
        _ => false,
    }
}

/// Percent-encodes everything but what never needs it.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{encode, follow, parts, same_origin};

    #[test]
    fn an_address_has_parts() {
        assert_eq!(parts("https://x.example:8443/a?b#c"), Some(("https", "x.example:8443", "/a?b")));
        assert_eq!(parts("http://x.example?b"), Some(("http", "x.example", "?b")));
        assert_eq!(parts("http://x.example"), Some(("http", "x.example", "")));
        for bad in ["", "x.example/a", "ftp://x.example/", "https://", "https:///a"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_redirect_leads_on() {
        let check = |location: &str, expect: &str| {
            assert_eq!(follow("https://x.example/a/b?c", location), expect, "{location}");
        };
        check("http://y.example/", "http://y.example/");
        check("//y.example/z", "https://y.example/z");
        check("/z", "https://x.example/z");
        check("z", "https://x.example/a/z");
        check("?z", "https://x.example/a/b?z");
        assert_eq!(follow("https://x.example", "z"), "https://x.example/z");
    }

    #[test]
    fn servers_are_told_apart() {
        assert!(same_origin("https://x.example/a", "HTTPS://X.example/b"));
        assert!(!same_origin("https://x.example/", "http://x.example/"));
        assert!(!same_origin("https://x.example/", "https://x.example:8443/"));
        assert!(!same_origin("https://x.example/", "https://y.x.example/"));
        assert_eq!(encode("a b&ü/~"), "a%20b%26%C3%BC%2F~");
    }
}
