//! Sandboxes on disk: `<data>/local/<sandbox_id>/` with the folders that are seen inside and a file
//! that tells what the sandbox is. It is all that the provider remembers.

mod meta;
mod remove;

use std::{
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use uuid::Uuid;

pub(crate) use self::meta::{Meta, State, Wanted};
use crate::{identity::HostUser, step};

/// How often, and after what pause, a lock that is held is tried again.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Folders of a sandbox that are seen inside, with their modes.
const FOLDERS: [(&str, u32); 3] = [("workspace", 0o755), ("home", 0o755), ("tmp", 0o1777)];

/// The folder of a sandbox that its runner has for itself: its socket, and its spool.
pub(crate) const CONTROL: &str = "control";
/// In it: where output lies.
pub(crate) const SPOOL: &str = "spool";

/// Where such a folder is seen inside, in the order of [`FOLDERS`].
pub(crate) const MOUNTS: [&str; 3] = ["/workspace", "/home/sandbox", "/tmp"];

/// All sandboxes of one data folder. Held by one process at a time.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    instance_id: String,
    _lock: File,
}

impl Store {
    /// Makes the folder if need be, takes its lock, and clears what a crash left half done.
    ///
    /// # Errors
    /// `WouldBlock` where another process holds it.
    pub(crate) fn open(data_dir: &Path) -> io::Result<Self> {
        let root = data_dir.join("local");
        fs::create_dir_all(&root)?;
        let root = root.canonicalize()?;
        fs::set_permissions(&root, Permissions::from_mode(0o700))?;
        let lock = File::create(root.join("lock"))?;
        take(&lock)?;
        let instance_id = instance_id(&root)?;
        let store = Self {
            root,
            instance_id,
            _lock: lock,
        };
        store.clear(Duration::ZERO)?;
        Ok(store)
    }

    /// Names this data folder, the same after every restart.
    pub(crate) fn instance_id(&self) -> &str {
        &self.instance_id
    }

    /// Folder of one sandbox, whether it is there or not.
    pub(crate) fn folder(&self, sandbox: Uuid) -> PathBuf {
        self.root.join(sandbox.as_hyphenated().to_string())
    }

    /// Folder of the files that all sandboxes see below /etc.
    pub(crate) fn etc(&self) -> PathBuf {
        self.root.join("etc")
    }

    /// Folder of the runner.
    pub(crate) fn runner(&self) -> PathBuf {
        self.root.join("runner")
    }

    /// What is known of a sandbox.
    pub(crate) fn read(&self, sandbox: Uuid) -> io::Result<Meta> {
        Meta::read(&self.folder(sandbox), sandbox)
    }

    /// Replaces what is known of a sandbox.
    pub(crate) fn write(&self, meta: &Meta) -> io::Result<()> {
        meta.write(&self.folder(meta.sandbox_id))
    }

    /// Makes a sandbox, as a whole or not at all.
    pub(crate) fn create(&self, meta: &Meta, user: Option<HostUser>) -> io::Result<()> {
        let draft = self.root.join(format!(".new-{}", Uuid::new_v4()));
        let made = self.fill(&draft, meta, user);
        let made = made.and_then(|()| fs::rename(&draft, self.folder(meta.sandbox_id)));
        if made.is_err()
            && let Err(error) = remove::remove_tree(&draft)
        {
            tracing::warn!(%error, "a half made sandbox is left; a sweep removes it");
        }
        made.and_then(|()| File::open(&self.root)?.sync_all())
    }

    fn fill(&self, draft: &Path, meta: &Meta, user: Option<HostUser>) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(draft)?;
        for ((name, mode), seen) in FOLDERS.into_iter().zip(MOUNTS) {
            let top = draft.join(name);
            make(&top, mode, user)?;
            // The working folder, where it is a folder in this one. Nothing foreign is in here yet.
            let inner = Path::new(&meta.workdir)
                .strip_prefix(seen)
                .unwrap_or(Path::new(""));
            let mut path = top;
            for part in inner {
                path.push(part);
                make(&path, 0o755, user)?;
            }
        }
        step::reached("local.create.folders").map_err(io::Error::other)?;
        meta.write(draft)
    }

    /// Makes the runner's own folder anew: the one before may hold anything.
    pub(crate) fn renew_control(&self, sandbox: Uuid, user: Option<HostUser>) -> io::Result<()> {
        let control = self.folder(sandbox).join(CONTROL);
        remove::remove_tree(&control)?;
        make(&control, 0o700, user)?;
        make(&control.join(SPOOL), 0o700, user)
    }

    /// Takes the runner's folder, once it listens, out of the hands of the sandbox's user.
    pub(crate) fn seal_control(&self, sandbox: Uuid) -> io::Result<()> {
        let control = self.folder(sandbox).join(CONTROL);
        chown(&control, Some(0), Some(0))?;
        fs::set_permissions(control, Permissions::from_mode(0o711))
    }

    /// Removes a sandbox. One that is gone is no error.
    pub(crate) fn remove(&self, sandbox: Uuid) -> io::Result<()> {
        // Moved aside first, so that nobody ever sees half a sandbox.
        let trash = self.root.join(format!(".removed-{}", Uuid::new_v4()));
        match fs::rename(self.folder(sandbox), &trash) {
            Ok(()) => {
                step::reached("local.delete.moved").map_err(io::Error::other)?;
                remove::remove_tree(&trash)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ids of all sandboxes, in order.
    pub(crate) fn ids(&self) -> io::Result<Vec<Uuid>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            ids.extend(name.to_str().and_then(|name| Uuid::try_parse(name).ok()));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Removes what was being made or removed when a provider was killed, so long ago.
    pub(crate) fn clear(&self, age: Duration) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if (name.starts_with(".new-") || name.starts_with(".removed-"))
                && is_untouched(&entry, age)
                && let Err(error) = remove::remove_tree(&self.root.join(name.as_ref()))
            {
                tracing::warn!(%error, folder = %name, "cannot be removed");
            }
        }
        Ok(())
    }
}

/// Whether nothing was made, moved or removed there for so long. A folder that is being removed was
/// moved at the start of that.
fn is_untouched(entry: &fs::DirEntry, age: Duration) -> bool {
    let Ok(facts) = entry.metadata() else {
        return false;
    };
    let changed = u64::try_from(facts.ctime()).unwrap_or_default();
    let changed = UNIX_EPOCH + Duration::from_secs(changed);
    changed.elapsed().is_ok_and(|since| since >= age)
}

/// Takes the lock, with some patience: a process that is just being started holds a copy of all that
/// its parent has open, also after the parent let go of it.
fn take(lock: &File) -> io::Result<()> {
    for _ in 0..TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            taken => return Ok(taken?),
        }
    }
    Ok(lock.try_lock()?)
}

/// Writes a file below `etc()` as a whole; everybody may read it.
pub(crate) fn publish(folder: &Path, name: &str, content: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    meta::write_atomically(folder, name, content.as_bytes())?;
    fs::set_permissions(folder.join(name), Permissions::from_mode(0o644))
}

fn make(path: &Path, mode: u32, user: Option<HostUser>) -> io::Result<()> {
    DirBuilder::new().create(path)?;
    // Not by the builder: the umask would take bits away.
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    user.map_or(Ok(()), |user| chown(path, Some(user.id), Some(user.id)))
}

fn instance_id(root: &Path) -> io::Result<String> {
    let file = "instance-id";
    match fs::read_to_string(root.join(file)) {
        Ok(id) if Uuid::try_parse(id.trim()).is_ok() => Ok(id.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            let id = Uuid::new_v4().to_string();
            meta::write_atomically(root, file, id.as_bytes())?;
            Ok(id)
        }
    }
}

#[cfg(test)]
mod tests;
