//! The address of a database: what it says of secrecy, and what follows where it says nothing.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use wflo_ports::DbError;

/// How long a connection may take to be made.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// An address, taken apart.
pub(super) struct Address {
    pub(super) config: Config,
    /// The file with the certificates that the server's has to come from, instead of those that the system trusts.
    pub(super) trusted: Option<PathBuf>,
}

impl Address {
    /// Takes an address apart; none for what is no address.
    ///
    /// It is as libpq has it, but that TLS always proves the server's name: `sslmode` is `disable`, or `require`,
    /// `verify-ca` or `verify-full`, which are the same. Without it, what leads off this machine is spoken to by TLS.
    /// `sslrootcert` names a file of certificates in PEM, whose `system` is what holds without it.
    pub(super) fn read(url: &str) -> Option<Self> {
        let (before, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut kept, mut trusted) = (Vec::new(), None);
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("sslrootcert", "system")) => {}
                Some(("sslrootcert", path)) => trusted = Some(PathBuf::from(decoded(path)?)),
                Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
                _ => kept.push(part),
            }
        }
        let mark = if kept.is_empty() { "" } else { "?" };
        let mut config: Config = format!("{before}{mark}{}", kept.join("&")).parse().ok()?;
        if config.get_user().is_none_or(str::is_empty) || config.get_hosts().is_empty() {
            return None;
        }
        config.application_name("wflo").connect_timeout(CONNECT);
        if config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(if is_near(&config) { SslMode::Disable } else { SslMode::Require });
        }
        Some(Self { config, trusted })
    }

    /// Takes an address apart. `key` is what it is called where it was written.
    ///
    /// # Errors
    /// [`DbError::Invalid`] for what is no address; nothing of it is repeated, since there may be a password in it.
    pub(super) fn of(key: &str, url: &str) -> Result<Self, DbError> {
        Self::read(url).ok_or_else(|| {
            DbError::Invalid(format!(
                "`{key}` is no address of a PostgreSQL database; it is written such as \
                 `postgres://wflo_read:password@db.example.org/bank`"
            ))
        })
    }
}

/// Whether what is said stays on this machine. Where addresses are given, they are what is connected to, and a name is
/// only what the server has to prove.
fn is_near(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    })
}

/// A value of a query, without its percent signs.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || (rest.next()? as char).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio_postgres::config::SslMode;

    use super::Address;

    #[test]
    fn what_leads_off_the_machine_is_secret_unless_it_is_not_to_be() {
        use SslMode::{Disable, Require};
        for (url, mode) in [
            ("postgres://u@localhost/x", Disable),
            ("postgres://u@127.0.0.1/x", Disable),
            ("postgres://u@%2Frun%2Fpostgresql/x", Disable),
            ("postgres://u@localhost/x?sslmode=require", Require),
            ("postgres://u@localhost/x?sslmode=verify-full", Require),
            ("postgres://u@localhost,db.example.org/x", Require),
            ("postgres://u@localhost/x?hostaddr=10.0.0.1", Require),
            ("postgres://u@db.example.org/x?hostaddr=127.0.0.1", Disable),
            ("postgres://u@db.example.org/x", Require),
            ("postgres://u@10.0.0.1/x?sslmode=prefer", Require),
            ("postgres://u@db.example.org/x?sslmode=verify-ca", Require),
            ("postgres://u@db.example.org/x?sslmode=disable", Disable),
        ] {
            assert_eq!(Address::read(url).unwrap().config.get_ssl_mode(), mode, "{url}");
        }
    }

    #[test]
    fn a_file_of_certificates_is_taken_out() {
        let trusted = |url: &str| Address::read(url).map(|address| address.trusted);
        assert_eq!(
            trusted("postgres://u@h/x?sslmode=verify-full&sslrootcert=/etc/a%20b.pem&connect_timeout=3")
                .unwrap(),
            Some(Path::new("/etc/a b.pem").to_owned())
        );
        assert_eq!(trusted("postgres://u@h/x?sslrootcert=system"), Some(None));
        assert_eq!(trusted("postgres://u@h/x?sslrootcert=%2"), None);
        assert_eq!(trusted("postgres://u@h/x?sslcert=a"), None, "what is not honoured is no address");
        assert_eq!(trusted("postgres://u@h/x?sslmode=allow"), None);
    }
}
