//! What a test wants of its world.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use sandgate_gateway::{
    Access, AuditArgs, Clock, Config, ConnectionArgs, FeatureArgs, FilesPlace, IdentityArgs,
    KeyArgs, LimitArgs, Pace, ProviderEntry, StartError,
};
use sandgate_service::TlsFiles;

use crate::Fake;

/// What to build.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Put a [`Link`] in front of the provider.
    pub link: bool,
    /// Put a [`Tap`] in front of the provider, behind the link.
    pub tap: bool,
    /// The provider pauses sandboxes.
    pub can_pause: bool,
    /// The gateway's first key.
    pub admin_key: Option<&'static str>,
    /// TLS of the gateway towards its callers.
    pub tls: TlsFiles,
    /// Who else is let in.
    pub identity: IdentityArgs,
    /// The token that the provider wants.
    pub provider_token: Option<&'static str>,
    /// The token that the gateway sends.
    pub gateway_token: Option<&'static str>,
    /// TLS of the provider.
    pub provider_tls: TlsFiles,
    /// TLS of the gateway towards the provider.
    pub access_tls: TlsFiles,
    /// Where keys of users are tried.
    pub connections: ConnectionArgs,
    /// Further names under which the gateway has the provider.
    pub also: Vec<&'static str>,
    /// Keys that stored secrets are sealed under; empty: one that the gateway makes.
    pub encryption_keys: String,
    /// Capabilities that are switched on or off.
    pub features: FeatureArgs,
    /// The pace of the gateway's tasks.
    pub pace: Pace,
    /// What its sandboxes live by.
    pub clock: Clock,
    /// How much callers may use.
    pub limits: LimitArgs,
    /// Where the audit log goes besides the database.
    pub audit: AuditArgs,
    /// The folder of the gateway's data, if not one of its own.
    pub data: Option<PathBuf>,
    /// Where session files are kept, if not in that folder.
    pub files: Option<FilesPlace>,
}

impl Plan {
    /// Whether a gateway of this plan starts, with no provider behind it.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn start_alone(self) -> Result<(), StartError> {
        let data = tempfile::tempdir().unwrap();
        let config = self.config(([127, 0, 0, 1], 1).into(), data.path());
        let running = sandgate_gateway::start(config).await?;
        running.stop(Duration::ZERO).await;
        Ok(())
    }

    /// The gateway's configuration, with its provider at `address`.
    pub(crate) fn config(self, address: SocketAddr, data: &Path) -> Config {
        let data = self.data.unwrap_or_else(|| data.to_owned());
        let scheme = if self.provider_tls.is_empty() {
            "http"
        } else {
            "https"
        };
        Config {
            listen: ([127, 0, 0, 1], 0).into(),
            database: data.join("sandgate.db"),
            providers: [Fake::ID]
                .into_iter()
                .chain(self.also)
                .map(|id| ProviderEntry {
                    id: id.to_owned(),
                    urls: vec![format!("{scheme}://{address}")],
                })
                .collect(),
            access: Access {
                token: self.gateway_token.map(Into::into),
                tls: self.access_tls,
                connections: 2,
            },
            admin_key: self.admin_key.map(Into::into),
            tls: self.tls,
            workers: 2,
            data_dir: data.clone(),
            identity: self.identity,
            keys: keys(&self.encryption_keys),
            limits: self.limits,
            files: self
                .files
                .unwrap_or_else(|| FilesPlace::Folder(data.join("files"))),
            audit: self.audit,
            features: self.features,
            connections: self.connections,
            pace: self.pace,
            clock: self.clock,
        }
    }
}

/// A list of encryption keys; empty: none.
pub(crate) fn keys(list: &str) -> KeyArgs {
    KeyArgs {
        encryption_keys: (!list.is_empty()).then(|| list.into()),
        ..KeyArgs::default()
    }
}
