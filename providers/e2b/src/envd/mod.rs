//! The way into one sandbox: envd, its daemon.

mod files;
mod pace;
mod run;
mod transport;
mod visit;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use connectrpc::client::{CallOptions, ClientConfig};
use http::{HeaderMap, HeaderValue, Uri};
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};

use self::transport::Transport;
pub(crate) use self::{transport::EnvdFault, visit::Visits};
use sandgate_e2b_envd::{filesystem::FilesystemClient, process::ProcessClient};

/// envd's port in each sandbox.
pub(crate) const PORT: u16 = 49983;
/// Domains that have one host name for all sandboxes, told apart by headers; so that one connection
/// serves all of them.
const SHARED: [&str; 4] = ["e2b.app", "e2b.dev", "e2b.pro", "e2b-staging.dev"];
/// Seconds of silence after which envd says that a stream lives.
const KEEPALIVE: &str = "15";

/// envd of one sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Envd {
    client: Client,
    base: String,
    headers: HeaderMap,
}

/// How one is found.
pub(crate) struct Address<'a> {
    /// E2B's id of the sandbox.
    pub(crate) sandbox_id: &'a str,
    /// As in `e2b.app`.
    pub(crate) domain: &'a str,
    /// In the place of all that follows from these; empty: nothing is.
    pub(crate) url: &'a str,
    /// What envd asks for, if anything.
    pub(crate) token: Option<&'a SecretString>,
}

impl Envd {
    /// A daemon that commands and files are root's at, as far as we go; whoever uses the sandbox has
    /// another user.
    ///
    /// # Errors
    /// Where the address or the token cannot be one.
    pub(crate) fn at(client: Client, address: &Address<'_>) -> Result<Self, EnvdFault> {
        let Address {
            sandbox_id,
            domain,
            url,
            token,
        } = address;
        let base = match (url.trim_end_matches('/'), SHARED.contains(domain)) {
            ("", true) => format!("https://sandbox.{domain}"),
            ("", false) => format!("https://{PORT}-{sandbox_id}.{domain}"),
            (url, _) => url.to_owned(),
        };
        let bad = |error: http::header::InvalidHeaderValue| EnvdFault::Garbage(error.to_string());
        let mut headers = HeaderMap::new();
        headers.insert("e2b-sandbox-id", sandbox_id.parse().map_err(bad)?);
        headers.insert("e2b-sandbox-port", PORT.into());
        headers.insert("accept", HeaderValue::from_static("*/*"));
        if let Some(token) = token {
            let mut value: HeaderValue = token.expose_secret().parse().map_err(bad)?;
            value.set_sensitive(true);
            headers.insert("x-access-token", value);
        }
        Ok(Self {
            client,
            base,
            headers,
        })
    }

    /// The service of processes.
    fn processes(&self) -> Result<ProcessClient<Transport>, EnvdFault> {
        let transport = Transport(self.client.clone());
        Ok(ProcessClient::new(transport, self.config()?))
    }

    /// The service of files.
    fn filesystem(&self) -> Result<FilesystemClient<Transport>, EnvdFault> {
        let transport = Transport(self.client.clone());
        Ok(FilesystemClient::new(transport, self.config()?))
    }

    fn config(&self) -> Result<ClientConfig, EnvdFault> {
        let base: Uri = self
            .base
            .parse()
            .map_err(|error| EnvdFault::Garbage(format!("{}: {error}", self.base)))?;
        let mut headers = self.headers.clone();
        let user = format!("Basic {}", BASE64_STANDARD.encode("root:"));
        let user = user.parse().map_err(|_| EnvdFault::Token)?;
        headers.insert(http::header::AUTHORIZATION, user);
        headers.remove("accept");
        Ok(ClientConfig::new(base)
            .proto()
            .with_default_headers(headers))
    }

    /// Options of calls whose answer is a stream.
    fn streaming() -> CallOptions {
        CallOptions::default().with_header("keepalive-ping-interval", KEEPALIVE)
    }
}
