//! From names to addresses, with every address checked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use wflo_model::is_public;
use wflo_ports::Resolver;

/// Looks names up as every program of this machine does.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use wflo_backends::http::SystemResolver;
/// use wflo_ports::Resolver;
/// let found = SystemResolver.resolve("localhost").await.unwrap();
/// assert!(found.iter().all(|address| address.is_loopback()));
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// What the HTTP client connects by. It gets addresses from here only, and only ones that were checked: a name
/// cannot be looked up once to be checked and once more to be connected to.
pub(super) struct CheckedNames(pub(super) Arc<dyn Resolver>);

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.0);
        Box::pin(async move {
            let found = resolver.resolve(name.as_str()).await?;
            let found = check(name.as_str(), found)?;
            // The client puts the port of the request in place of 0.
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// All of `found`, if a request to `name` may go to any of them. One bad address among good ones refuses all:
/// an honest name has none, and which of them is connected to is left to chance.
fn check(name: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Prohibited> {
    let allowed = |address: &IpAddr| match name {
        "localhost" => address.to_canonical().is_loopback(),
        _ => is_public(*address),
    };
    match found.iter().find(|address| !allowed(address)) {
        Some(address) => Err(Prohibited { name: name.to_owned(), address: *address }),
        None => Ok(found),
    }
}

/// A name led to an address that it must not lead to.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{name}` leads to {address}, which is not a public address; only a grant that names such an address itself, \
     or `localhost`, reaches it"
)]
pub(super) struct Prohibited {
    name: String,
    address: IpAddr,
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_lead_out_and_localhost_leads_in() {
        let allowed = |name: &str, found: &[&str]| {
            check(name, found.iter().map(|address| address.parse().unwrap()).collect()).is_ok()
        };
        assert!(allowed("example.org", &["1.1.1.1", "2606:4700::1111"]));
        assert!(!allowed("example.org", &["1.1.1.1", "127.0.0.1"]));
        assert!(!allowed("example.org", &["::ffff:169.254.169.254"]));
        assert!(!allowed("metadata.google.internal", &["169.254.169.254"]));
        assert!(allowed("localhost", &["127.0.0.1", "::1"]));
        assert!(!allowed("localhost", &["127.0.0.1", "1.1.1.1"]));
        assert!(!allowed("localhost", &["10.0.0.1"]));
        assert!(!allowed("db.localhost", &["127.0.0.1"]));
    }
}
