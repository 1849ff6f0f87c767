//! The gateway under test: built, started as it is shipped, with a session and a sandbox in it.

use std::{
    env::consts::EXE_SUFFIX,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::{
    child::Running,
    error::{Error, Result, machine},
    provider,
};

/// The program, and the package that it is built from.
const PACKAGE: &str = "sandgate-gateway";

/// The gateway's file: built now, beside this program, so that it is never an old one.
pub(crate) async fn build() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(machine("cannot tell where this program is"))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.args(["build", "--locked", "--quiet", "--package", PACKAGE]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = command.status().await.map_err(|source| Error::Start {
        program: cargo.to_string_lossy().into_owned(),
        source,
        hint: "install cargo, or name a gateway with --gateway",
    })?;
    if !status.success() {
        let what = format!("could not build {PACKAGE} ({status})");
        return Err(Error::Program {
            program: "cargo".to_owned(),
            what,
        });
    }
    Ok(own.with_file_name(format!("{PACKAGE}{EXE_SUFFIX}")))
}

/// Starts it with an empty data folder; nothing of this process's environment reaches it.
pub(crate) async fn start(
    file: &Path,
    folder: &Path,
    provider: SocketAddr,
    key: &str,
) -> Result<(Running, SocketAddr)> {
    let mut command = Command::new(file);
    command
        .env_clear()
        .env("SANDGATE_LISTEN", "127.0.0.1:0")
        .env("SANDGATE_DATA_DIR", folder.join("gateway"))
        .env(
            "SANDGATE_PROVIDERS",
            format!("{}=http://{provider}", provider::ID),
        )
        .env("SANDGATE_ADMIN_KEY", key)
        .env("SANDGATE_LOG", "warn");
    let mut gateway = Running::start(
        &mut command,
        "build it with cargo build --release -p sandgate-gateway",
    )?;
    let address = gateway.ready().await?;
    Ok((gateway, address))
}
