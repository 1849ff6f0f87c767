//! Finds the engine as the docker CLI would: an explicit address, the CLI's variables, its current
//! context, the default socket. Reads no environment.
//!
//! The order and the files are those of the docker CLI (docs.docker.com/engine/manage-resources/contexts
//! and /engine/security/protect-access): `config.json` names the context, and
//! `contexts/{meta,tls}/<sha256 of its name>` hold its address and its certificates.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::names::hex;

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// What the engine is found by. All unset: the default socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Address given to this provider; wins over everything.
    pub host: Option<String>,
    /// `DOCKER_HOST`.
    pub cli_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub cli_context: Option<String>,
    /// Whether `DOCKER_TLS_VERIFY` is set.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`: folder of ca.pem, cert.pem and key.pem.
    pub cert_path: Option<PathBuf>,
    /// Folder of the CLI's config.json; also of the certificates if `cert_path` is unset.
    pub config_dir: Option<PathBuf>,
}

/// An engine's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A socket on this machine.
    Unix(PathBuf),
    /// Host and port, unprotected.
    Plain(String),
    /// Host and port, and the certificates to use.
    Tls(String, Certificates),
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// Why no engine could be chosen. Addresses are not repeated: one may hold a password.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum DetectError {
    #[error(
        "the docker address is {0}://, which this provider cannot speak: forward the engine's socket (`ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST`) and set CONTAINER_SANDBOX_DOCKER_HOST=unix:///tmp/docker.sock, or use tcp:// with TLS"
    )]
    Scheme(String),
    #[error(
        "the docker address is malformed: {0}; write unix:///PATH, tcp://HOST:PORT, http://HOST:PORT or https://HOST:PORT"
    )]
    Malformed(&'static str),
    #[error(
        "the docker address asks for TLS but no certificates are known: set DOCKER_CERT_PATH to a folder with ca.pem, cert.pem and key.pem"
    )]
    NoCertificates,
    #[error(
        "the docker context `{0}` is not stored here: choose one of `docker context ls` with DOCKER_CONTEXT, or set CONTAINER_SANDBOX_DOCKER_HOST"
    )]
    NoContext(String),
    #[error(
        "the docker context `{0}` skips TLS verification, which this provider never does: give it a ca.pem, or set CONTAINER_SANDBOX_DOCKER_HOST"
    )]
    Unverified(String),
    #[error(
        "{0} is not the JSON that the docker CLI writes: repair it, or set CONTAINER_SANDBOX_DOCKER_HOST"
    )]
    Unreadable(PathBuf),
}

#[derive(Deserialize)]
struct CliConfig {
    #[serde(default, rename = "currentContext")]
    current_context: String,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints")]
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: DockerEndpoint,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host")]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// Chooses the engine. `read` gives a file's bytes, or nothing where there is no such file.
pub(crate) fn detect(
    inputs: &Inputs,
    read: impl Fn(&Path) -> Option<Vec<u8>>,
) -> Result<Endpoint, DetectError> {
    if let Some(host) = set(&inputs.host).or_else(|| set(&inputs.cli_host)) {
        let folder = inputs.cert_path.as_ref().or(inputs.config_dir.as_ref());
        return endpoint(
            host,
            inputs.tls_verify,
            folder.map(|folder| certificates(folder)),
        );
    }
    let Some(folder) = &inputs.config_dir else {
        return Ok(default_socket());
    };
    let name = match set(&inputs.cli_context) {
        Some(name) => name.to_owned(),
        None => current_context(folder, &read)?,
    };
    if name.is_empty() || name == "default" {
        return Ok(default_socket());
    }
    from_context(folder, &name, &read)
}

fn set(text: &Option<String>) -> Option<&str> {
    text.as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

fn default_socket() -> Endpoint {
    Endpoint::Unix(DEFAULT_SOCKET.into())
}

fn certificates(folder: &Path) -> Certificates {
    let file = |name| folder.join(name);
    Certificates {
        ca: file("ca.pem"),
        cert: file("cert.pem"),
        key: file("key.pem"),
    }
}

fn current_context(
    folder: &Path,
    read: impl Fn(&Path) -> Option<Vec<u8>>,
) -> Result<String, DetectError> {
    let path = folder.join("config.json");
    let Some(text) = read(&path) else {
        return Ok(String::new());
    };
    let config: CliConfig =
        serde_json::from_slice(&text).map_err(|_| DetectError::Unreadable(path))?;
    Ok(config.current_context)
}

fn from_context(
    folder: &Path,
    name: &str,
    read: impl Fn(&Path) -> Option<Vec<u8>>,
) -> Result<Endpoint, DetectError> {
    let id = hex(&Sha256::digest(name));
    let path = folder.join("contexts/meta").join(&id).join("meta.json");
    let text = read(&path).ok_or_else(|| DetectError::NoContext(name.to_owned()))?;
    let meta: Meta = serde_json::from_slice(&text).map_err(|_| DetectError::Unreadable(path))?;
    let docker = meta.endpoints.docker;
    let files = certificates(&folder.join("contexts/tls").join(&id).join("docker"));
    let tls = [&files.ca, &files.cert]
        .into_iter()
        .any(|file| read(file).is_some());
    let found = endpoint(&docker.host, tls, tls.then_some(files))?;
    if docker.skip_tls_verify && matches!(found, Endpoint::Tls(..)) {
        return Err(DetectError::Unverified(name.to_owned()));
    }
    Ok(found)
}

/// Reads an address. `tls` says whether tcp:// means TLS.
fn endpoint(
    host: &str,
    tls: bool,
    certificates: Option<Certificates>,
) -> Result<Endpoint, DetectError> {
    let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Endpoint::Unix(rest.into())),
        "unix" => Err(DetectError::Malformed(
            "a unix socket needs an absolute path",
        )),
        "https" => secured(rest, certificates),
        "tcp" if tls => secured(rest, certificates),
        "tcp" | "http" => Ok(Endpoint::Plain(authority(rest, PLAIN_PORT)?)),
        other => Err(DetectError::Scheme(other.to_owned())),
    }
}

fn secured(rest: &str, files: Option<Certificates>) -> Result<Endpoint, DetectError> {
    Ok(Endpoint::Tls(
        authority(rest, TLS_PORT)?,
        files.ok_or(DetectError::NoCertificates)?,
    ))
}

/// Host and port, with the usual port where none is given.
fn authority(rest: &str, port: u16) -> Result<String, DetectError> {
    let host = rest.trim_end_matches('/');
    if host.is_empty() {
        return Err(DetectError::Malformed("there is no host"));
    }
    if host.contains(['@', '/', '?', '#']) || host.contains(char::is_whitespace) {
        return Err(DetectError::Malformed(
            "only a host and a port may follow the scheme",
        ));
    }
    // An IPv6 address has colons of its own, inside brackets.
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    match after.rsplit_once(':') {
        Some((_, number)) if number.parse::<u16>().is_ok() => Ok(host.to_owned()),
        Some(_) => Err(DetectError::Malformed(
            "the port is not a number up to 65535",
        )),
        None => Ok(format!("{host}:{port}")),
    }
}

#[cfg(test)]
mod tests;
