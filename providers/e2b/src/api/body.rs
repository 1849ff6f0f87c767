//! Bodies of E2B's management API, as its OpenAPI description has them (v1 paths, except the list).

use std::{collections::BTreeMap, fmt};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::words::Words;

/// The caller's own words on a sandbox.
pub(crate) type Metadata = BTreeMap<String, String>;

/// `NewSandbox`.
#[derive(Serialize)]
pub(crate) struct NewSandbox<'a> {
    #[serde(rename = "templateID")]
    pub(crate) template: &'a str,
    /// Seconds.
    pub(crate) timeout: u32,
    #[serde(rename = "autoPause")]
    pub(crate) auto_pause: bool,
    pub(crate) secure: bool,
    /// The one name that is not in camel case.
    pub(crate) allow_internet_access: bool,
    pub(crate) metadata: &'a Metadata,
    pub(crate) network: Network,
}

/// Of `SandboxNetworkConfig` what is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Network {
    /// Whether its ports answer without a token; none: they do.
    #[serde(rename = "allowPublicTraffic", default)]
    pub(crate) allow_public_traffic: Option<bool>,
}

/// `ConnectSandbox`, and the body of `/timeout`.
#[derive(Serialize)]
pub(crate) struct Timeout {
    /// Seconds from now.
    pub(crate) timeout: u32,
}

/// `SandboxPauseRequest`.
#[derive(Serialize)]
pub(crate) struct Pause {
    /// Whether memory is kept, or files alone.
    pub(crate) memory: bool,
}

/// What create and connect answer, and what is the same in [`Detail`].
#[derive(Clone, Deserialize)]
pub(crate) struct Access {
    #[serde(rename = "sandboxID")]
    pub(crate) sandbox_id: String,
    #[serde(rename = "envdVersion", default)]
    pub(crate) envd_version: String,
    #[serde(rename = "envdAccessToken", default)]
    pub(crate) envd_access_token: Option<SecretString>,
    /// What its ports ask for; said of one that was just made or resumed, never in a look.
    #[serde(rename = "trafficAccessToken", default)]
    pub(crate) traffic_access_token: Option<SecretString>,
    #[serde(default)]
    pub(crate) domain: Option<String>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("sandbox_id", &self.sandbox_id)
            .field("envd_version", &self.envd_version)
            .finish_non_exhaustive()
    }
}

/// Whether it runs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Running,
    Paused,
    /// From a later version.
    #[serde(other)]
    Other,
}

/// Of `SandboxDetail` and `ListedSandbox` what both have.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    pub(crate) access: Access,
    pub(crate) state: State,
    #[serde(rename = "startedAt", default)]
    pub(crate) started_at: String,
    #[serde(rename = "endAt", default)]
    pub(crate) end_at: String,
    #[serde(default)]
    pub(crate) metadata: Option<Metadata>,
    /// `full` or `filesystem`; only newer servers say so.
    #[serde(rename = "pauseMode", default)]
    pub(crate) pause_mode: Option<String>,
    #[serde(default)]
    pub(crate) network: Option<Network>,
}

impl Detail {
    /// Whether its ports open by a token only.
    pub(crate) fn is_closed(&self) -> bool {
        let network = self.network.as_ref();
        network.is_some_and(|network| network.allow_public_traffic == Some(false))
    }
}

/// `Error`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) message: Words,
}
