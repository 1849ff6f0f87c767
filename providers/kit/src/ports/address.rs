//! Where a port of a sandbox is reached.

use std::time::SystemTime;

use sandgate_proto::v1::ExposedPort;
use secrecy::{ExposeSecret as _, SecretString};

/// The address of one port.
#[derive(Clone, Debug)]
pub struct PortAddress {
    /// Port in the sandbox.
    pub port: u16,
    /// As in `https://3000-id.example.com`.
    pub url: String,
    /// Names and values that a request to it must have.
    pub headers: Vec<(String, SecretString)>,
    /// When it stops working; none: with the sandbox.
    pub expire_time: Option<SystemTime>,
}

impl PortAddress {
    /// As callers see it.
    pub(crate) fn into_message(self) -> ExposedPort {
        let headers = self.headers.into_iter();
        ExposedPort {
            port: self.port.into(),
            url: self.url,
            headers: headers
                .map(|(name, value)| (name, value.expose_secret().to_owned()))
                .collect(),
            expire_time: self.expire_time.map(Into::into),
        }
    }
}
