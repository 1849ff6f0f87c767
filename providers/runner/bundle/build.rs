//! Builds the runner as a static program, by a nested cargo: the flag for it, set for the whole
//! workspace, would break its procedural macros.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest as _, Sha256};

/// What the program is made of, from this folder.
const SOURCES: [&str; 6] = [
    "../src",
    "../Cargo.toml",
    "../../../proto/runner",
    "../../../proto/sandbox/runner",
    "../../../Cargo.lock",
    "../../../Cargo.toml",
];
const PACKAGE: &str = "sandgate-runner";
const PROFILE: &str = "runner";

fn main() -> Result<(), Box<dyn Error>> {
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target = format!("{}-unknown-linux-gnu", env::var("CARGO_CFG_TARGET_ARCH")?);
    let built = build(&target, &target_folder(&out)?)?;
    let bytes = fs::read(built)?;
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    fs::write(out.join(PACKAGE), bytes)?;
    println!("cargo:rustc-env=RUNNER_DIGEST={digest}");
    Ok(())
}

/// A folder beside the profiles' own, so that debug and release builds share what is in it.
fn target_folder(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    // TARGET/PROFILE/build/PACKAGE-HASH/out
    let target = out
        .ancestors()
        .nth(4)
        .ok_or("OUT_DIR is not in a target folder")?;
    Ok(target.join(PACKAGE))
}

fn build(target: &str, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let mut cargo = Command::new(env::var("CARGO")?);
    cargo
        .args(["build", "--locked", "--quiet", "--package", PACKAGE])
        .args(["--profile", PROFILE, "--target", target, "--target-dir"])
        .arg(folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    // What the outer cargo set for itself and for the checks that it may be running.
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WORKSPACE_WRAPPER",
    ] {
        cargo.env_remove(name);
    }
    let status = cargo.status()?;
    if !status.success() {
        return Err(format!("building {PACKAGE} for {target} failed ({status})").into());
    }
    Ok(folder.join(target).join(PROFILE).join(PACKAGE))
}
