//! The secrets of runners that a bridge leads to. They follow from a key of this provider, so that a
//! create whose answer was lost can be repeated.

use std::{
    fmt, fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::names::hex;

/// Size of the key as it is written, bytes.
const KEY: usize = 64;

/// The key.
#[derive(Clone)]
pub(crate) struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key of a data folder, made there if need be; one that lives as long as this process
    /// where there is none, or it cannot be used.
    pub(crate) fn open(data_dir: Option<&Path>) -> Self {
        match data_dir.map(|folder| kept(&folder.join("container"))) {
            Some(Ok(key)) => Self(key),
            Some(Err(error)) => {
                tracing::warn!(%error, "no key can be kept in the data folder; one is used that lives as long as this process");
                Self(random())
            }
            None => Self(random()),
        }
    }

    /// The secret of a container's runner.
    pub(crate) fn secret(&self, container_id: &str) -> String {
        let inner = Sha256::new_with_prefix(&self.0).chain_update(container_id);
        let outer = Sha256::new_with_prefix(&self.0).chain_update(inner.finalize());
        hex(&outer.finalize())
    }
}

fn random() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn kept(folder: &Path) -> io::Result<String> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    let file = folder.join("key");
    if !file.exists() {
        let temporary = folder.join(format!(".key.{}", Uuid::new_v4().simple()));
        let mut options = fs::OpenOptions::new();
        let mut out = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        out.write_all(random().as_bytes())?;
        // Of several processes at once one wins, and all read what it wrote.
        let linked = fs::hard_link(&temporary, &file);
        fs::remove_file(&temporary)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let key = fs::read_to_string(&file)?;
    if key.len() != KEY {
        return Err(io::Error::other("the file `key` is damaged; remove it"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn secrets_follow_from_the_key_that_is_kept() {
        let data = tempfile::tempdir().unwrap();
        let key = Key::open(Some(data.path()));
        let secret = key.secret("one");
        assert_eq!(secret.len(), 64);
        assert_eq!(Key::open(Some(data.path())).secret("one"), secret);
        assert_ne!(key.secret("two"), secret);
        assert_ne!(Key::open(None).secret("one"), secret);
        let file = data.path().join("container/key");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{key:?}").contains(&key.0));
        fs::write(file, "short").unwrap();
        assert_ne!(Key::open(Some(data.path())).secret("one"), secret);
    }
}
