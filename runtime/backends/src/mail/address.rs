//! Where mail is taken.

use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// A server that takes mail, as its address says.
///
/// ```
/// use wflo_backends::mail::{SmtpServer, Tls};
/// let server: SmtpServer = "smtp://mail.example.org".parse().unwrap();
/// assert_eq!((server.port, server.tls), (587, Tls::StartTls));
/// let own: SmtpServer = "smtp://127.0.0.1:25".parse().unwrap();
/// assert_eq!((own.port, own.tls), (25, Tls::IfOffered));
/// assert_eq!("smtps://mail.example.org".parse::<SmtpServer>().unwrap().tls, Tls::Always);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpServer {
    /// Its name or address.
    pub host: String,
    /// Its port; 587 unless said otherwise, 465 for `smtps`.
    pub port: u16,
    /// How what is said stays between the two.
    pub tls: Tls,
}

/// How what is said stays between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// By TLS from the first byte.
    Always,
    /// By STARTTLS, or nothing is sent.
    StartTls,
    /// By STARTTLS where the server offers it: to a server on this machine, which nobody can listen in on.
    IfOffered,
}

/// An address that is not one of a mail server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address of the mail server must be `smtp://HOST[:PORT]` or `smtps://HOST[:PORT]`")]
pub struct BadServer;

impl FromStr for SmtpServer {
    type Err = BadServer;

    fn from_str(text: &str) -> Result<Self, BadServer> {
        let url = Url::parse(text).map_err(|_| BadServer)?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        // An account has keys of its own, where it does not show up in messages.
        let has_account = !url.username().is_empty() || url.password().is_some();
        let host =
            url.host_str().filter(|host| !host.is_empty() && is_bare && !has_account).ok_or(BadServer)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_here =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let (port, tls) = match (url.scheme(), is_here) {
            ("smtps", _) => (465, Tls::Always),
            ("smtp", false) => (587, Tls::StartTls),
            ("smtp", true) => (587, Tls::IfOffered),
            _ => return Err(BadServer),
        };
        Ok(Self { host, port: url.port().unwrap_or(port), tls })
    }
}

#[cfg(test)]
mod tests {
    use super::SmtpServer;

    #[test]
    fn what_is_no_server_is_refused() {
        for bad in
            ["", "mail.example.org", "http://x", "smtp://", "smtp://a@b", "smtp://x/y", "smtp://x?tls=no"]
        {
            assert!(bad.parse::<SmtpServer>().is_err(), "{bad}");
        }
    }
}
