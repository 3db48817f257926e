//! What all clients over HTTP have in common: who is trusted, what is never followed, and what is said of a failure.

use std::time::Duration;

use reqwest::{ClientBuilder, redirect};

/// Longest time to connect; then nothing was sent.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is kept that nothing is asked over. A server that closes it just as a request is on its way
/// leaves open whether it did what it was asked, and a person may have to find out. Servers keep connections for 5 s
/// (Node.js, Apache) and longer, so that it is given up here first.
const IDLE: Duration = Duration::from_secs(4);

/// A client that goes where it is told and nowhere else: by no proxy of the environment, and after no redirect.
///
/// Over plain HTTP it trusts nobody, and so works on a machine without a store of certificates.
pub(crate) fn client(is_plain: bool) -> ClientBuilder {
    // Fails if the process has a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = ClientBuilder::new();
    if is_plain {
        client = client.tls_certs_only([]);
    }
    client
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .user_agent(concat!("wflo/", env!("CARGO_PKG_VERSION")))
}

/// An error with all its causes, but without the address, whose query may hold a key.
pub(crate) fn all_causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
