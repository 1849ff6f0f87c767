//! What the gateway keeps for this provider, sealed: what it takes to reach a sandbox, and what E2B
//! does not say of it.

use std::fmt;

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::api::body::Access;

/// The state of one sandbox.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What envd asks for.
    #[serde(default, serialize_with = "exposed")]
    pub(crate) token: Option<SecretString>,
    /// What other ports ask for.
    #[serde(default, serialize_with = "exposed")]
    pub(crate) traffic: Option<SecretString>,
    /// As in `e2b.app`; empty: the configured one.
    #[serde(default)]
    pub(crate) domain: String,
    /// Who commands run as.
    #[serde(default)]
    pub(crate) user: String,
    /// Home of that user.
    #[serde(default)]
    pub(crate) home: String,
    /// Where commands begin.
    #[serde(default)]
    pub(crate) workdir: String,
    /// Tells the key that it was made or last found with from others; says nothing of it.
    #[serde(default)]
    pub(crate) key: String,
    /// It was brought to rest without its memory.
    #[serde(default)]
    pub(crate) stopped: bool,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("domain", &self.domain)
            .field("user", &self.user)
            .field("workdir", &self.workdir)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

fn exposed<S: Serializer>(token: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    let token = token.as_ref().map(|token| token.expose_secret());
    token.serialize(to)
}

impl Kept {
    /// Reads a state; one that cannot be read holds nothing that cannot be asked for.
    pub(crate) fn read(state: &[u8]) -> Self {
        serde_json::from_slice(state).unwrap_or_default()
    }

    pub(crate) fn write(&self) -> Bytes {
        serde_json::to_vec(self)
            .map(Bytes::from)
            .unwrap_or_default()
    }

    /// Takes what E2B said last: a token may be another one after each rest.
    pub(crate) fn take(&mut self, access: &Access) {
        if access.envd_access_token.is_some() {
            self.token.clone_from(&access.envd_access_token);
        }
        if access.traffic_access_token.is_some() {
            self.traffic.clone_from(&access.traffic_access_token);
        }
        if let Some(domain) = &access.domain {
            self.domain.clone_from(domain);
        }
    }
}

/// Tells keys apart: a few bytes of a hash, from which no key is found.
pub(crate) fn digest(key: &SecretString) -> String {
    let hash = Sha256::digest(key.expose_secret());
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_again_and_shows_no_token() {
        let mut kept = Kept {
            token: Some("hush".into()),
            traffic: Some("hush".into()),
            domain: "e2b.app".into(),
            ..Kept::default()
        };
        let text = kept.write();
        assert!(text.len() < 4096);
        let read = Kept::read(&text);
        assert_eq!(read.token.as_ref().unwrap().expose_secret(), "hush");
        assert!(!format!("{read:?}").contains("hush"));
        kept.take(&Access {
            sandbox_id: "i".into(),
            envd_version: "0.6.13".into(),
            envd_access_token: Some("new".into()),
            traffic_access_token: None,
            domain: None,
        });
        assert_eq!(kept.token.unwrap().expose_secret(), "new");
        assert_eq!(kept.traffic.unwrap().expose_secret(), "hush");
        assert_eq!(kept.domain, "e2b.app");
        assert!(Kept::read(b"\0").token.is_none());
    }
}
