//! A real disk, small enough to be filled.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use tempfile::TempDir;

/// A mounted disk of 8 MiB. It goes when this is dropped.
pub(crate) struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Mounts it, which needs the rights of root.
    pub(crate) fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(
            "tmpfs",
            folder.path(),
            "tmpfs",
            MountFlags::empty(),
            Some(c"size=8m"),
        )
        .expect("cannot mount a small disk: run the tests as root");
        Self { folder }
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all its room.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        let mut size = 1 << 20;
        // Smaller and smaller pieces, to the last byte.
        while size > 0 {
            match file.write(&vec![0; size]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Gives the room back.
    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// Lets nobody write any more.
    pub(crate) fn protect(&self) {
        mount_remount(self.path(), MountFlags::RDONLY, c"").unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also while a gateway still has files there.
        let _ = unmount(self.path(), UnmountFlags::DETACH);
    }
}
