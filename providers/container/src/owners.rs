//! Whose the containers are that were made ahead. The engine's labels cannot change, so it is
//! written into a file beside: under the name that the container has as a sandbox, which the engine
//! gives away once.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{host::Host, names::Labels, sweep::is_past};

/// Whose a container is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// Id of the engine that has it.
    pub(crate) engine: String,
    /// Id of the container.
    pub(crate) container: String,
    /// Id of its network; empty: none of its own.
    pub(crate) network: String,
    /// Name of its folder on the host.
    pub(crate) slot: String,
    /// The labels that it would have if it had been made for its sandbox.
    pub(crate) labels: Labels,
}

/// The files.
#[derive(Clone, Debug)]
pub(crate) struct Owners(Option<PathBuf>);

impl Owners {
    /// Those in the provider's folder; none without one.
    pub(crate) fn new(host: Option<&Host>) -> Self {
        Self(host.map(Host::owners))
    }

    /// Whose the container of this name is.
    pub(crate) fn read(&self, name: &str) -> Option<Owner> {
        // Names come from the engine.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) {
            return None;
        }
        load(&self.0.as_ref()?.join(name))
    }

    /// Writes it down, whole or not at all.
    pub(crate) fn write(&self, name: &str, owner: &Owner) -> io::Result<()> {
        let Some(folder) = &self.0 else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let temporary = folder.join(format!(".{}", owner.slot));
        fs::write(&temporary, serde_json::to_vec(owner)?)?;
        fs::rename(temporary, folder.join(name))
    }

    /// Removes what is written of a name.
    pub(crate) fn remove(&self, name: &str) {
        if let Some(folder) = &self.0 {
            // Without its container it says nothing; the next sweep removes it then.
            let _ = fs::remove_file(folder.join(name));
        }
    }

    /// Removes what was being written when a provider was killed, so long ago.
    pub(crate) fn clear(&self, age: Duration) {
        let entries = self.0.iter().flat_map(fs::read_dir).flatten().flatten();
        for entry in entries {
            let made = entry.metadata().and_then(|found| found.modified()).ok();
            if entry.file_name().as_encoded_bytes().starts_with(b".") && is_past(made, age) {
                // It says nothing, and the next sweep comes.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// All, with their names.
    pub(crate) fn all(&self) -> Vec<(String, Owner)> {
        let Some(folder) = &self.0 else {
            return Vec::new();
        };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let owner = self.read(&name)?;
                Some((name, owner))
            })
            .collect()
    }
}

fn load(path: &Path) -> Option<Owner> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_kept_by_name() {
        let data = tempfile::tempdir().unwrap();
        let owners = Owners::new(Some(&Host::open(data.path()).unwrap()));
        let owner = Owner {
            engine: "e".into(),
            container: "c".into(),
            network: String::new(),
            slot: "pool-1".into(),
            labels: Labels::from([("a".into(), "b".into())]),
        };
        owners.write("sandgate-x", &owner).unwrap();
        assert_eq!(owners.read("sandgate-x"), Some(owner.clone()));
        assert_eq!(owners.read("../owners/sandgate-x"), None);
        assert_eq!(owners.all(), [("sandgate-x".to_owned(), owner.clone())]);
        let draft = data.path().join("container/owners/.pool-2");
        fs::write(&draft, "{").unwrap();
        owners.clear(Duration::from_secs(60));
        assert!(draft.exists());
        owners.clear(Duration::ZERO);
        assert!(!draft.exists() && owners.read("sandgate-x").is_some());
        owners.remove("sandgate-x");
        assert!(owners.all().is_empty());
        let nowhere = Owners::new(None);
        assert!(nowhere.all().is_empty() && nowhere.write("x", &owner).is_err());
    }
}
