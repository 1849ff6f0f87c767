//! Certificates for one test: an authority, a server of this machine, a client, and a stranger.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use sandgate_service::TlsFiles;
use tempfile::TempDir;

/// PEM files in a folder that goes with this.
pub struct Certificates {
    folder: TempDir,
    ours: Issuer<'static, KeyPair>,
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

impl Certificates {
    /// Makes them all.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [ours, strange] = ["ours", "strange"].map(|name| authority(folder.path(), name));
        let certificates = Self { folder, ours };
        for (name, issuer) in [("ours", &certificates.ours), ("strange", &strange)] {
            for side in ["server", "client"] {
                certificates.write_leaf(&format!("{name}-{side}"), &leaf(), issuer);
            }
        }
        certificates
    }

    /// A client of ours whose certificate names an organisation and a user; empty: none.
    pub fn person(&self, org_id: &str, user_id: &str) -> TlsFiles {
        let mut params = leaf();
        params.distinguished_name = DistinguishedName::new();
        for (kind, name) in [
            (DnType::OrganizationName, org_id),
            (DnType::CommonName, user_id),
        ] {
            if !name.is_empty() {
                params.distinguished_name.push(kind, name);
            }
        }
        let side = format!("person-{org_id}-{user_id}");
        self.write_leaf(&format!("ours-{side}"), &params, &self.ours);
        self.side(&side)
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

    fn write_leaf(&self, name: &str, params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, issuer).unwrap();
        fs::write(self.path(&format!("{name}.pem")), leaf.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn leaf() -> CertificateParams {
    CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

/// Makes an authority and writes its certificate.
fn authority(folder: &Path, name: &str) -> Issuer<'static, KeyPair> {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap();
    fs::write(folder.join(format!("{name}-ca.pem")), own.pem()).unwrap();
    Issuer::new(params, key)
}
