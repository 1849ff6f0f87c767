//! Why a gateway cannot start.

use std::{io, net::SocketAddr, path::PathBuf};

use sandgate_service::{PeerError, ServerError, web::WebError};
use thiserror::Error;

use crate::{config::KeysError, identity::IdentityError, objects::ObjectsError};

/// Why a gateway could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its address or its TLS files cannot be used.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// It would be open to everyone on the network.
    #[error(
        "{0} is not a loopback address: set SANDGATE_ADMIN_KEY, so that not everybody is let in"
    )]
    Open(SocketAddr),
    /// What is configured cannot tell callers apart.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There are no keys to seal with.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// What the store holds cannot be opened with the configured keys.
    #[error("cannot open what the database keeps sealed: {0}")]
    Sealed(String),
    /// A provider's address or the TLS files for it cannot be used.
    #[error(transparent)]
    Provider(#[from] PeerError),
    /// No HTTPS server of others can be called.
    #[error("cannot set up the HTTPS client: {0}")]
    Web(#[from] WebError),
    /// The system gives no more threads.
    #[error(
        "cannot start the worker threads: {0}; lower SANDGATE_WORKERS or raise the limits of this process"
    )]
    Workers(#[source] io::Error),
    /// The database cannot be used.
    #[error("cannot use the database {path}: {cause}; {remedy}")]
    Store {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The audit file cannot be written.
    #[error(
        "cannot write the audit file {path}: {cause}; check SANDGATE_AUDIT_FILE, and that its folder is there and writable"
    )]
    AuditFile {
        /// Which file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// Session files cannot be kept where they are to be.
    #[error(
        "cannot keep session files: {0}; check SANDGATE_FILES_URL and SANDGATE_FILES_OPTIONS, or the folder `files` in the data folder"
    )]
    Files(#[from] ObjectsError),
    /// Server reflection could not be set up.
    #[error("server reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}
