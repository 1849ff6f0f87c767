//! Where the keys come from that stored secrets are sealed under.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::vault::{KeyError, Keyring};

/// The file of the key that is made where none is configured, in the data folder.
const FILE: &str = "encryption.keys";

/// Encryption keys.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KeyArgs {
    /// Keys that stored secrets are sealed under, `key_id:base64`, several as a list: the first
    /// writes, all read [default on loopback: a key made into the data folder]
    #[arg(
        long,
        env = "SANDGATE_ENCRYPTION_KEYS",
        hide_env_values = true,
        value_name = "KEYS"
    )]
    pub encryption_keys: Option<SecretString>,
    /// File that holds them, one a line
    #[arg(
        long,
        env = "SANDGATE_ENCRYPTION_KEYS_FILE",
        value_name = "FILE",
        conflicts_with = "encryption_keys"
    )]
    pub encryption_keys_file: Option<PathBuf>,
}

/// Why there are no keys to seal with.
#[derive(Debug, Error)]
pub enum KeysError {
    /// What is configured is no list of keys.
    #[error("{0}")]
    Keys(#[from] KeyError),
    /// The file cannot be read, or not made.
    #[error("cannot use the file of encryption keys {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Others can reach the gateway, so a key beside its data would protect nothing.
    #[error(
        "set SANDGATE_ENCRYPTION_KEYS to a key that `sandgate keygen` makes: only a gateway on loopback makes one for itself"
    )]
    Missing,
}

impl KeyArgs {
    /// The keys that are configured; on loopback, where none are, the one in the data folder, made
    /// now if it is not there yet.
    ///
    /// # Errors
    /// Where there are none, or what is there is no list of keys.
    pub(crate) fn keyring(&self, data_dir: &Path, loopback: bool) -> Result<Keyring, KeysError> {
        match (&self.encryption_keys, &self.encryption_keys_file) {
            (Some(keys), _) => Ok(Keyring::parse(keys)?),
            (None, Some(file)) => read(file),
            (None, None) if loopback => made(&data_dir.join(FILE)),
            (None, None) => Err(KeysError::Missing),
        }
    }
}

fn read(path: &Path) -> Result<Keyring, KeysError> {
    let text = fs::read_to_string(path).map_err(|source| failed(path, source))?;
    Ok(Keyring::parse(&SecretString::from(text))?)
}

/// The key of this file. Of several gateways that start at once, one makes it.
fn made(path: &Path) -> Result<Keyring, KeysError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    }
    // Written whole under another name first: nobody may read a part of it.
    let (mut id, mut key) = ([0; 4], Zeroizing::new([0; 32]));
    let random = |_| failed(path, io::Error::other("the system gives no random numbers"));
    getrandom::fill(&mut id).map_err(random)?;
    getrandom::fill(&mut *key).map_err(random)?;
    let id = u32::from_be_bytes(id);
    if !path.exists() {
        let draft = path.with_extension(format!("{id:08x}"));
        let line = Zeroizing::new(format!("k{id:08x}:{}\n", STANDARD.encode(*key)));
        let written = write(&draft, line.as_bytes()).and_then(|()| fs::hard_link(&draft, path));
        let removed = fs::remove_file(&draft);
        match written {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other.and(removed).map_err(|source| failed(path, source))?,
        }
        tracing::warn!(
            file = %path.display(),
            "no encryption keys are configured: one was made; keep a copy, without it stored secrets are lost"
        );
    }
    read(path)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn failed(path: &Path, source: io::Error) -> KeysError {
    KeysError::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::vault::Kms as _;

    #[test]
    fn on_loopback_a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let args = KeyArgs::default();
        let first = args.keyring(&data, true).unwrap();
        let again = args.keyring(&data, true).unwrap();
        assert_eq!(first.key_id(), again.key_id());
        let mode = fs::metadata(data.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "the draft is gone");
        assert!(matches!(
            args.keyring(&data, false),
            Err(KeysError::Missing)
        ));
    }

    #[test]
    fn a_list_or_a_file_is_used_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        fs::write(&file, "k1:c2hvcnQ=\n").unwrap();
        let args = KeyArgs {
            encryption_keys_file: Some(file.clone()),
            ..KeyArgs::default()
        };
        let error = args.keyring(folder.path(), true).unwrap_err().to_string();
        assert!(!error.contains("c2hvcnQ"), "{error}");
        let key = STANDARD.encode([7; 32]);
        fs::write(&file, format!("new:{key}\nold:{key}\n")).unwrap();
        assert_eq!(args.keyring(folder.path(), false).unwrap().key_id(), "new");
        let args = KeyArgs {
            encryption_keys: Some(SecretString::from(format!("a:{key},b:{key}"))),
            ..KeyArgs::default()
        };
        assert!(!format!("{args:?}").contains(&key));
        assert_eq!(args.keyring(folder.path(), false).unwrap().key_id(), "a");
    }
}
