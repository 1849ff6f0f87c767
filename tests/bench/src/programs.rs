//! The programs under test: built now, beside this one, so that none is an old one.

use std::{env::consts::EXE_SUFFIX, path::PathBuf};

use tokio::process::Command;

use crate::error::{Error, Result, machine};

/// The gateway, package and program.
pub(crate) const GATEWAY: &str = "sandgate-gateway";
/// The provider of containers.
pub(crate) const CONTAINER: &str = "sandgate-provider-container";
/// The local provider.
pub(crate) const LOCAL: &str = "sandgate-provider-local";

/// The file that was given, or that of `package`, which is built now.
pub(crate) async fn find(given: Option<&PathBuf>, package: &str) -> Result<PathBuf> {
    match given {
        Some(file) => Ok(file.clone()),
        None => build(package).await,
    }
}

async fn build(package: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(machine("cannot tell where this program is"))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    command.args(["build", "--locked", "--quiet", "--package", package]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = command.status().await.map_err(|source| Error::Start {
        program: cargo.to_string_lossy().into_owned(),
        source,
        hint: "install cargo, or name the programs with --gateway, --provider-container and --provider-local",
    })?;
    if !status.success() {
        let what = format!("could not build {package} ({status})");
        return Err(Error::Program {
            program: "cargo".to_owned(),
            what,
        });
    }
    Ok(own.with_file_name(format!("{package}{EXE_SUFFIX}")))
}
