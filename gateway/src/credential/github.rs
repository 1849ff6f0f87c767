//! Tries a token at GitHub.

use reqwest::{Client, StatusCode, header};
use sandgate_proto::{Outcome, Problem, Reason};
use secrecy::{ExposeSecret as _, SecretString};

use super::sources::GITHUB;
use crate::problem::Result;

/// GitHub's API.
pub(crate) struct GitHub {
    client: Client,
    user_url: String,
}

impl GitHub {
    /// `client` has a deadline of its own; `api_url` ends without a slash.
    pub(crate) fn new(client: Client, api_url: &str) -> Self {
        Self {
            client,
            user_url: format!("{api_url}/user"),
        }
    }

    /// Whether GitHub takes the token.
    pub(super) async fn try_token(&self, token: &SecretString) -> Result<()> {
        let authorization = format!("Bearer {}", token.expose_secret());
        let mut authorization = header::HeaderValue::try_from(authorization).map_err(|_| {
            Problem::invalid_field("api_key", "has characters that no token of GitHub has")
        })?;
        authorization.set_sensitive(true);
        let request = self
            .client
            .get(&self.user_url)
            .header(header::AUTHORIZATION, authorization)
            .header(header::ACCEPT, "application/vnd.github+json");
        match request.send().await {
            Ok(answer) => match answer.status() {
                StatusCode::OK => Ok(()),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(rejected()),
                status => Err(unavailable(&format!(
                    "answered with status {}",
                    status.as_u16()
                ))),
            },
            Err(error) => {
                tracing::debug!(error = %error.without_url(), "GitHub could not be asked");
                Err(unavailable("does not answer"))
            }
        }
    }
}

fn rejected() -> Problem {
    Problem::new(
        Reason::CredentialRejected,
        "GitHub refused the token, and the old one is still in use: make a new token, or set skip_validation for one that may not read its own user",
    )
    .with("provider", GITHUB)
}

fn unavailable(what: &str) -> Problem {
    Problem::new(
        Reason::UpstreamUnavailable,
        format!("GitHub {what}, so the token could not be tried and the old one is still in use; try again, or set skip_validation"),
    )
    .with("provider", GITHUB)
    .with_outcome(Outcome::Rejected)
    .retry_after(std::time::Duration::from_secs(5))
}
