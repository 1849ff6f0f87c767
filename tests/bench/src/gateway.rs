//! The gateway under test, started as it is shipped, with one provider.

use std::{net::SocketAddr, path::Path};

use tokio::process::Command;

use crate::{child::Running, error::Result};

/// Starts it with an empty data folder; nothing of this process's environment reaches it.
pub(crate) async fn start(
    file: &Path,
    folder: &Path,
    (id, provider): (&str, SocketAddr),
    key: &str,
) -> Result<(Running, SocketAddr)> {
    let mut command = Command::new(file);
    command
        .env_clear()
        .env("SANDGATE_LISTEN", "127.0.0.1:0")
        .env("SANDGATE_DATA_DIR", folder.join("gateway"))
        .env("SANDGATE_PROVIDERS", format!("{id}=http://{provider}"))
        .env("SANDGATE_ADMIN_KEY", key)
        .env("SANDGATE_LOG", "warn");
    let mut gateway = Running::start(
        &mut command,
        "build it with cargo build --release -p sandgate-gateway",
    )?;
    let address = gateway.ready().await?;
    Ok((gateway, address))
}
