//! ConfigureGitCredentials, checked: what the runner's own program is to do, and what callers are told.

use std::time::{Duration, SystemTime};

use prost::Message as _;
use sandgate_proto::v1::{ConfigureGitCredentialsRequest, ConfigureGitCredentialsResponse};
use sandgate_runner_proto::{
    GIT_CREDENTIALS,
    v1::{CredentialsJob, Facts, Start},
};

use super::{Login, job::own_program};
use crate::{Kind, ProviderError, spec::no_nul};

/// How long it does, where nothing is known of the token.
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long it may take: less than the call.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What is asked for, and for how long.
pub(crate) struct Credentials {
    login: Login,
    user: String,
    until: SystemTime,
}

impl Credentials {
    pub(crate) fn of(request: ConfigureGitCredentialsRequest) -> Result<Self, ProviderError> {
        no_nul("user", &request.user)?;
        let Some(login) = Login::of(&request.gateway_payload)? else {
            return Err(ProviderError::new(
                Kind::ConnectionRequired,
                "there is no token for git: store one as the user's connection github with ConnectionService.SetConnection, or as the session secret GITHUB_TOKEN with SecretService.SetSecret, then repeat the call",
            )
            .with("provider", "github"));
        };
        let login = login.only(&request.hosts)?;
        let known = login.expire_time().map(SystemTime::try_from);
        let until = match known {
            Some(Ok(time)) => time,
            _ => SystemTime::now() + HOUR,
        };
        Ok(Self {
            login,
            user: request.user,
            until,
        })
    }

    /// Whether it has to run as a user that was named.
    pub(crate) fn names_user(&self) -> bool {
        !self.user.is_empty()
    }

    /// The start of the runner's own program.
    pub(crate) fn start(&self) -> Start {
        let left = self.until.duration_since(SystemTime::now());
        let left = left.unwrap_or_default().as_secs();
        let job = CredentialsJob {
            login: Some(self.login.clone().into()),
            path: GIT_CREDENTIALS.to_owned(),
            lifetime_s: u32::try_from(left).unwrap_or(u32::MAX),
        };
        let timeout_ms = crate::command::millis(TIMEOUT);
        let facts = Facts {
            command: String::new(),
            argv: ["sandgate-runner", "credentials"].map(str::to_owned).into(),
            timeout_ms,
        };
        Start {
            execution_id: format!("git-credentials-{}", uuid::Uuid::new_v4()),
            facts: facts.encode_to_vec().into(),
            user: self.user.clone(),
            timeout_ms,
            ..own_program("credentials", job.encode_to_vec())
        }
    }

    /// What callers are told when it is done.
    pub(crate) fn answer(&self) -> ConfigureGitCredentialsResponse {
        ConfigureGitCredentialsResponse {
            authenticated: true,
            provider: self.login.provider().to_owned(),
            hosts: self.login.hosts().to_vec(),
            expire_time: Some(self.until.into()),
            file_path: GIT_CREDENTIALS.to_owned(),
        }
    }
}
