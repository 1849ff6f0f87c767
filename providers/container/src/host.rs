//! The provider's own folder on the host: the runner to mount, and a folder for each container. A
//! container can write to what is mounted into it, so nothing there is trusted or followed.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::names::Labels;

/// What is mounted into the container, in the folder that is the container's.
const MOUNTED: &str = "socket";
/// Says which engine has the container, beside that.
const ENGINE: &str = "engine";
/// Says whose sandbox the container is, beside that.
const LABELS: &str = "labels";
/// Names in a container's folder that are being flattened.
const FLAT: &str = ".flat";

/// The folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    root: PathBuf,
}

/// The folder of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Its name.
    pub(crate) name: String,
    /// When it was made, as far as it is known.
    pub(crate) made: Option<SystemTime>,
    /// Labels of the sandbox that it was made for; none of one that was made ahead.
    pub(crate) labels: Labels,
}

impl Host {
    /// Makes it below the data folder, for this user only.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let root = std::path::absolute(data_dir)?.join("container");
        for folder in ["run", "owners"] {
            private(&root.join(folder))?;
        }
        // The engine mounts files by their path, which is looked up as root; inside only the
        // file's own mode counts.
        let bin = root.join("bin");
        fs::create_dir_all(&bin)?;
        fs::set_permissions(&bin, fs::Permissions::from_mode(0o755))?;
        Ok(Self { root })
    }

    /// The runner, put there if need be.
    pub(crate) fn runner(&self) -> io::Result<PathBuf> {
        sandgate_runner_bundle::install(&self.root.join("bin"))
    }

    /// The folder that is mounted into a container of an engine: there, empty, and for root and us
    /// only.
    pub(crate) fn prepare(&self, name: &str, engine: &str, labels: &Labels) -> io::Result<PathBuf> {
        let folder = self.run().join(name);
        private(&folder)?;
        fs::write(folder.join(ENGINE), engine)?;
        fs::write(folder.join(LABELS), serde_json::to_vec(labels)?)?;
        let mounted = folder.join(MOUNTED);
        prepare(&mounted)?;
        Ok(mounted)
    }

    /// Removes what is a container's.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        remove(&self.run().join(name))
    }

    /// The folders for containers of an engine.
    pub(crate) fn slots(&self, engine: &str) -> io::Result<Vec<Slot>> {
        let mut slots = Vec::new();
        for entry in fs::read_dir(self.run())? {
            let entry = entry?;
            // One that says no engine was never used.
            let of = fs::read_to_string(entry.path().join(ENGINE)).unwrap_or_default();
            if !(of.is_empty() || of == engine) {
                continue;
            }
            let labels = fs::read(entry.path().join(LABELS)).unwrap_or_default();
            if let Ok(name) = entry.file_name().into_string() {
                slots.push(Slot {
                    name,
                    made: entry.metadata().and_then(|found| found.modified()).ok(),
                    labels: serde_json::from_slice(&labels).unwrap_or_default(),
                });
            }
        }
        Ok(slots)
    }

    /// Where it is written whose a container is that was made ahead.
    pub(crate) fn owners(&self) -> PathBuf {
        self.root.join("owners")
    }

    /// A file that one process at a time may lock.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.root.join("pool.lock")
    }

    fn run(&self) -> PathBuf {
        self.root.join("run")
    }
}

/// Has the folder that a container's mount comes from there, and empty, before the container starts.
pub(crate) fn prepare(mounted: &Path) -> io::Result<()> {
    match fs::symlink_metadata(mounted) {
        Ok(_) => clear(mounted)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    private(mounted)?;
    fs::set_permissions(mounted, fs::Permissions::from_mode(0o700))
}

fn private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
}

fn remove(folder: &Path) -> io::Result<()> {
    match clear(folder).and_then(|()| fs::remove_dir(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Empties a folder without going deep: whoever filled it may have nested as much as a disk holds.
/// Folders are moved up before they are emptied. Follows no link.
fn clear(folder: &Path) -> io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let mut found = false;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            found = true;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            for inner in fs::read_dir(entry.path())? {
                let inner = inner?;
                if !inner.file_type()?.is_dir() {
                    fs::remove_file(inner.path())?;
                    continue;
                }
                moved += 1;
                let up = folder.join(format!("{FLAT}.{}.{moved}", uuid::Uuid::new_v4()));
                fs::rename(inner.path(), up)?;
            }
            fs::remove_dir(entry.path())?;
        }
        if !found {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_container_left_is_cleared_and_nothing_else() {
        let data = tempfile::tempdir().unwrap();
        let host = Host::open(data.path()).unwrap();
        let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
        let mounted = host.prepare("one", "e", &labels).unwrap();
        let precious = data.path().join("precious");
        fs::create_dir(&precious).unwrap();
        fs::write(precious.join("file"), "x").unwrap();
        symlink(&precious, mounted.join("control")).unwrap();
        fs::write(mounted.join("file"), "x").unwrap();
        fs::create_dir_all(mounted.join("a/b/c")).unwrap();
        symlink(&precious, mounted.join("a/b/link")).unwrap();
        assert_eq!(host.prepare("one", "e", &labels).unwrap(), mounted);
        assert_eq!(fs::read_dir(&mounted).unwrap().count(), 0);
        let mode = fs::metadata(&mounted).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        let slots = host.slots("e").unwrap();
        assert_eq!((slots.len(), slots[0].name.as_str()), (1, "one"));
        assert_eq!(slots[0].labels, labels);
        assert!(slots[0].made.unwrap() <= SystemTime::now());
        assert!(host.slots("other").unwrap().is_empty());
        host.remove("one").unwrap();
        host.remove("one").unwrap();
        assert!(host.slots("e").unwrap().is_empty());
        assert!(precious.join("file").exists());
    }

    #[test]
    fn depth_is_no_harm() {
        let data = tempfile::tempdir().unwrap();
        let host = Host::open(data.path()).unwrap();
        let mounted = host.prepare("deep", "e", &Labels::new()).unwrap();
        // Deeper than any path: each level is put around the last.
        for level in 0..3000 {
            let (around, inner) = (mounted.join("around"), mounted.join("inner"));
            fs::create_dir(&around).unwrap();
            if level > 0 {
                fs::rename(&inner, around.join("inner")).unwrap();
            }
            fs::rename(&around, &inner).unwrap();
        }
        host.remove("deep").unwrap();
    }

    #[test]
    fn the_runner_is_for_everyone_and_the_rest_is_not() {
        let data = tempfile::tempdir().unwrap();
        let host = Host::open(data.path()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let runner = host.runner().unwrap();
        assert_eq!(mode(&runner), 0o555);
        assert_eq!(mode(runner.parent().unwrap()), 0o755);
        assert_eq!(mode(&host.owners()), 0o700);
    }
}
