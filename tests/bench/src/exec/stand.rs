//! A gateway with one provider behind it, both as they are shipped, and a client before them.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use super::client::Client;
use crate::{
    child::Running,
    error::{Result, machine},
    gateway,
    way::Way,
};

/// What a provider is started with.
pub(super) struct Plan {
    /// Its id.
    pub(super) id: &'static str,
    /// The program.
    pub(super) file: PathBuf,
    /// Its environment, besides what all of them get.
    pub(super) env: Vec<(&'static str, OsString)>,
}

/// The processes.
pub(super) struct Stand {
    /// Calls them; has a session of its own.
    pub(super) client: Client,
    gateway: Running,
    provider: Running,
    _folder: TempDir,
}

impl Stand {
    /// Starts provider and gateway, and opens a session.
    pub(super) async fn start(file: &Path, plan: Plan, connections: u16) -> Result<Self> {
        let folder =
            TempDir::with_prefix("sandgate-bench-").map_err(machine("cannot make a folder"))?;
        let key = Uuid::new_v4().to_string();
        let mut command = Command::new(&plan.file);
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("SANDGATE_LISTEN", "127.0.0.1:0")
            .env("SANDGATE_DATA_DIR", folder.path().join("provider"))
            .env("SANDGATE_LOG", "warn")
            .envs(plan.env);
        let hint = "build it with cargo build --release, or name it with --provider-container or --provider-local";
        let mut provider = Running::start(&mut command, hint)?;
        let address = provider.ready().await?;
        let (gateway, address) =
            gateway::start(file, folder.path(), (plan.id, address), Some(&key)).await?;
        let way = Way::new("gateway", address, connections, Some(&key))?;
        let client = Client::open(way, plan.id).await?;
        Ok(Self {
            client,
            gateway,
            provider,
            _folder: folder,
        })
    }

    /// Process ids of gateway and provider.
    pub(super) fn ids(&self) -> [u32; 2] {
        [&self.gateway, &self.provider].map(|process| process.id().unwrap_or_default())
    }

    /// Deletes all sandboxes and ends the processes, the gateway first.
    pub(super) async fn stop(self) {
        self.client.close().await;
        self.gateway.stop().await;
        self.provider.stop().await;
    }
}
