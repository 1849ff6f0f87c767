//! Certificates for one test: an authority, a server of this machine, a client, and a stranger.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sandgate_service::TlsFiles;
use tempfile::TempDir;

/// PEM files in a folder that goes with this.
pub struct Certificates {
    folder: TempDir,
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificates {
    /// Makes them all.
    pub fn new() -> Self {
        let certificates = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for authority in ["ours", "strange"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let own = params.self_signed(&key).unwrap();
            certificates.write(&format!("{authority}-ca.pem"), &own.pem());
            let issuer = Issuer::new(params, key);
            for side in ["server", "client"] {
                let key = KeyPair::generate().unwrap();
                let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
                let leaf = CertificateParams::new(names)
                    .unwrap()
                    .signed_by(&key, &issuer)
                    .unwrap();
                certificates.write(&format!("{authority}-{side}.pem"), &leaf.pem());
                certificates.write(&format!("{authority}-{side}.key"), &key.serialize_pem());
            }
        }
        certificates
    }

    /// What a server or a client of ours is configured with.
    pub fn side(&self, side: &str) -> TlsFiles {
        self.files("ours", side)
    }

    /// A client that trusts our servers, with a certificate that nobody here signed.
    pub fn stranger(&self) -> TlsFiles {
        TlsFiles {
            ca: Some(self.path("ours-ca.pem")),
            ..self.files("strange", "client")
        }
    }

    /// A client that trusts our servers and has no certificate.
    pub fn nobody(&self) -> TlsFiles {
        TlsFiles {
            ca: Some(self.path("ours-ca.pem")),
            cert: None,
            key: None,
        }
    }

    fn files(&self, authority: &str, side: &str) -> TlsFiles {
        TlsFiles {
            cert: Some(self.path(&format!("{authority}-{side}.pem"))),
            key: Some(self.path(&format!("{authority}-{side}.key"))),
            ca: Some(self.path(&format!("{authority}-ca.pem"))),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(Path::new(&self.path(name)), text).unwrap();
    }
}
