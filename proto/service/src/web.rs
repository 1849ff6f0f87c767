//! Clients for HTTPS servers of others: rustls with ring, the system's certificates, no redirects.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, ClientBuilder, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;
use thiserror::Error;

/// How long a connection may take to be made, and a call to be answered as a whole.
const CONNECT: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);

/// Why there is no client.
#[derive(Debug, Error)]
pub enum WebError {
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The client cannot be built.
    #[error("{0}")]
    Client(#[from] reqwest::Error),
}

/// Makes a client for calls that are answered soon. Its clones share their connections, so one is
/// enough.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn client() -> Result<Client, WebError> {
    Ok(builder()?.timeout(DEADLINE).build()?)
}

/// Begins a client whose calls have no deadline but what each is given.
///
/// # Errors
/// Where TLS cannot be set up.
pub fn builder() -> Result<ClientBuilder, WebError> {
    Ok(Client::builder()
        .tls_backend_preconfigured(tls()?)
        .user_agent("sandgate")
        // What is asked holds a key or decides who is let in: it goes where the configuration says.
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT))
}

fn tls() -> Result<ClientConfig, rustls::Error> {
    let builder = || {
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
    };
    let builder = match builder()?.with_platform_verifier() {
        Ok(verified) => verified,
        // A machine without certificates still serves everything that needs none.
        Err(error) => {
            tracing::warn!(%error, "no certificates: servers of others cannot be trusted");
            builder()?.with_root_certificates(RootCertStore::empty())
        }
    };
    let mut config = builder.with_no_client_auth();
    // The client takes this as it is, and adds nothing to it.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_a_client() {
        client().unwrap();
    }

    #[test]
    fn http_2_is_asked_for_first() {
        assert_eq!(tls().unwrap().alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    }
}
