//! TLS from PEM files, for listening and for connecting, with or without client certificates.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::CryptoProvider, server::WebPkiClientVerifier,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use thiserror::Error;

/// The PEM files of one side. `ca` verifies the other side: on a server it demands client
/// certificates (mutual TLS), on a client it replaces nothing less than all trusted roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Own certificate chain.
    pub cert: Option<PathBuf>,
    /// Own private key.
    pub key: Option<PathBuf>,
    /// Certificates that the other side must be signed by.
    pub ca: Option<PathBuf>,
}

/// Why TLS could not be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds no usable PEM.
    #[error("{path} holds no usable PEM block: {source}")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key were not both given.
    #[error("TLS needs a certificate and a key: give both or neither")]
    Incomplete,
    /// It is not said whose word to take for who the other side is.
    #[error("an https address needs the CA file that the other side's certificate is signed by")]
    NoAuthority,
    /// The parts do not fit together.
    #[error("the TLS files do not fit together: {0}")]
    Config(String),
}

impl TlsFiles {
    /// Whether nothing is configured, so that the side speaks plain text.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }

    /// The configuration of a listener, or none where the side speaks plain text.
    pub(crate) fn server(&self) -> Result<Option<Arc<ServerConfig>>, TlsError> {
        if self.is_empty() {
            return Ok(None);
        }
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else {
            return Err(TlsError::Incomplete);
        };
        let config = |error: &dyn std::fmt::Display| TlsError::Config(error.to_string());
        let (key, provider) = (private_key(key)?, provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| config(&error))?;
        let builder = match &self.ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(ca)?);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| config(&error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut tls = builder
            .with_single_cert(certificates(cert)?, key)
            .map_err(|error| config(&error))?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Some(Arc::new(tls)))
    }

    /// The configuration of a wire.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let ca = self.ca.as_ref().ok_or(TlsError::NoAuthority)?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(ca)?);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Config(error.to_string()))?
            .with_root_certificates(roots);
        let mut tls = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(certificates(cert)?, private_key(key)?)
                .map_err(|error| TlsError::Config(error.to_string()))?,
            _ => return Err(TlsError::Incomplete),
        };
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(tls))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|source| TlsError::Pem {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::Pem {
            path: path.to_owned(),
            source: rustls_pki_types::pem::Error::NoItemsFound,
        }),
        other => other.map_err(|source| TlsError::Pem {
            path: path.to_owned(),
            source,
        }),
    }
}
