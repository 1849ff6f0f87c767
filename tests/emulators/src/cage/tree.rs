//! The files that a sandbox begins with.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
};

/// Folders of a new sandbox, with their mode and owner.
const FOLDERS: [(&str, u32, u32); 18] = [
    ("root", 0o755, 0),
    ("root/etc", 0o755, 0),
    ("root/home", 0o755, 0),
    ("root/home/user", 0o755, 1000),
    ("root/mnt", 0o755, 0),
    ("root/opt", 0o755, 0),
    ("root/root", 0o700, 0),
    ("root/run", 0o755, 0),
    ("root/srv", 0o755, 0),
    ("root/tmp", 0o1777, 0),
    ("root/var", 0o755, 0),
    ("root/var/lib", 0o755, 0),
    ("root/var/log", 0o755, 0),
    ("root/var/tmp", 0o1777, 0),
    ("local", 0o755, 0),
    ("local/bin", 0o755, 0),
    ("local/lib", 0o755, 0),
    ("own", 0o700, 0),
];

/// Who lives there.
const FILES: [(&str, &str); 5] = [
    (
        "passwd",
        "root:x:0:0:root:/root:/bin/bash\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
         user:x:1000:1000:user:/home/user:/bin/bash\n",
    ),
    ("group", "root:x:0:\nnogroup:x:65534:\nuser:x:1000:\n"),
    ("hosts", "127.0.0.1 localhost e2b.local\n::1 localhost\n"),
    ("hostname", "e2b.local\n"),
    (
        "nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\n",
    ),
];

/// Makes them, unless the sandbox has been there before.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    if folder.join("own").exists() {
        return Ok(());
    }
    for (name, mode, owner) in FOLDERS {
        let path = folder.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        if owner != 0 {
            chown(&path, Some(owner), Some(owner))?;
        }
    }
    for (name, content) in FILES {
        fs::write(folder.join("root/etc").join(name), content)?;
    }
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, folder.join("root").join(name))?;
        }
    }
    Ok(())
}
