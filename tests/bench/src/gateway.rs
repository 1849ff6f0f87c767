//! The gateway under test, started as it is shipped, with one provider.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::{child::Running, error::Result};

/// Where it keeps its data, below the folder that it was started with.
pub(crate) fn data_dir(folder: &Path) -> PathBuf {
    folder.join("gateway")
}

/// Starts it with its data below this folder; nothing of this process's environment reaches it.
/// Without a key everybody on this machine is let in.
pub(crate) async fn start(
    file: &Path,
    folder: &Path,
    (id, provider): (&str, SocketAddr),
    key: Option<&str>,
) -> Result<(Running, SocketAddr)> {
    start_with(file, folder, (id, provider), key, "warn").await
}

/// The same, with another level for what it logs.
pub(crate) async fn start_with(
    file: &Path,
    folder: &Path,
    (id, provider): (&str, SocketAddr),
    key: Option<&str>,
    log: &str,
) -> Result<(Running, SocketAddr)> {
    let mut command = Command::new(file);
    command
        .env_clear()
        .env("SANDGATE_LISTEN", "127.0.0.1:0")
        .env("SANDGATE_DATA_DIR", data_dir(folder))
        .env("SANDGATE_PROVIDERS", format!("{id}=http://{provider}"))
        .env("SANDGATE_LOG", log);
    if let Some(key) = key {
        command.env("SANDGATE_ADMIN_KEY", key);
    }
    let mut gateway = Running::start(
        &mut command,
        "build it with cargo build --release -p sandgate-gateway",
    )?;
    let address = gateway.ready().await?;
    Ok((gateway, address))
}
