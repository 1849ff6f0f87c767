//! The token that the gateway sent with a call, and the exact places that it is for.

use bytes::Bytes;
use prost_types::Timestamp;
use sandgate_proto::provider::v1::GitCredential;
use sandgate_runner_proto::v1::GitLogin;

use crate::{Kind, ProviderError, environment::payload};

/// A token with its hosts.
#[derive(Clone)]
pub(crate) struct Login(GitCredential);

impl Login {
    /// The one that a call came with, if any.
    pub(crate) fn of(encoded: &Bytes) -> Result<Option<Self>, ProviderError> {
        let Some(git) = payload(encoded)?.git else {
            return Ok(None);
        };
        let is_word = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
        if !is_word(&git.token) || !is_word(git.username.as_bytes()) {
            return Err(ProviderError::new(
                Kind::CredentialRejected,
                "the stored token has characters that no token has: store it again, as the connection github or the session secret GITHUB_TOKEN",
            ));
        }
        Ok(Some(Self(git)))
    }

    /// For these hosts alone, which have to be among its own; none: for all of them.
    pub(super) fn only(mut self, hosts: &[String]) -> Result<Self, ProviderError> {
        let mut chosen = Vec::new();
        for host in hosts {
            let host = host.to_ascii_lowercase();
            if !self.0.hosts.contains(&host) {
                return Err(ProviderError::new(
                    Kind::InvalidField("hosts"),
                    "names a host that the gateway lends no token to: leave it out, or have it added to SANDGATE_GITHUB_HOSTS",
                ));
            }
            if !chosen.contains(&host) {
                chosen.push(host);
            }
        }
        if !chosen.is_empty() {
            self.0.hosts = chosen;
        }
        Ok(self)
    }

    /// Whose it is, as `github`.
    pub(super) fn provider(&self) -> &str {
        &self.0.provider
    }

    /// The hosts, as they are configured.
    pub(super) fn hosts(&self) -> &[String] {
        &self.0.hosts
    }

    /// When it stops working; none: not known.
    pub(super) const fn expire_time(&self) -> Option<Timestamp> {
        self.0.expire_time
    }
}

impl From<Login> for GitLogin {
    fn from(Login(git): Login) -> Self {
        // A name alone means https.
        let origin = |host: &String| match host.contains("://") {
            true => host.clone(),
            false => format!("https://{host}"),
        };
        Self {
            origins: git.hosts.iter().map(origin).collect(),
            username: git.username,
            token: git.token,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use sandgate_proto::provider::v1::GatewayPayload;

    use super::*;

    fn login(token: &'static str) -> Result<Option<Login>, ProviderError> {
        let git = GitCredential {
            provider: "github".to_owned(),
            username: "oauth2".to_owned(),
            token: token.into(),
            hosts: vec!["github.com".to_owned(), "http://127.0.0.1:3000".to_owned()],
            expire_time: None,
        };
        let payload = GatewayPayload {
            git: Some(git),
            ..Default::default()
        };
        Login::of(&payload.encode_to_vec().into())
    }

    #[test]
    fn a_name_means_https() {
        let login = GitLogin::from(login("token").unwrap().unwrap());
        assert_eq!(
            login.origins,
            ["https://github.com", "http://127.0.0.1:3000"]
        );
        assert!(Login::of(&Bytes::new()).unwrap().is_none());
        for wrong in ["", "a b", "a\nb", "é"] {
            let refused = login_error(wrong);
            assert_eq!(refused, Kind::CredentialRejected, "{wrong:?}");
        }
    }

    fn login_error(token: &'static str) -> Kind {
        login(token).err().unwrap().kind().clone()
    }

    #[test]
    fn only_its_own_hosts_can_be_asked_for() {
        let login = login("token").unwrap().unwrap();
        let only = |hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
            let only = login.clone().only(&hosts);
            only.map(|login| login.hosts().to_vec())
                .map_err(|error| error.kind().clone())
        };
        assert_eq!(only(&[]).unwrap(), login.hosts());
        assert_eq!(only(&["GitHub.com", "github.com"]).unwrap(), ["github.com"]);
        for other in [
            "github.com.evil.example",
            "127.0.0.1:3000",
            "",
            "https://github.com",
        ] {
            assert_eq!(only(&[other]), Err(Kind::InvalidField("hosts")), "{other}");
        }
    }
}
