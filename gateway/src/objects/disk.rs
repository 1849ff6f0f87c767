//! What is left of objects in a folder, where a gateway died while it put one.

use std::{fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _, path::Path};

use tokio::fs;

/// Makes the folder, for this user alone.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes what was written of an object that did not get its name: files of its name with a number,
/// counted from 1.
pub(super) async fn remove_drafts(folder: &Path, key: &str) -> io::Result<()> {
    let beside = folder.join(key.get(..2).unwrap_or_default());
    for number in 1.. {
        match fs::remove_file(beside.join(format!("{key}#{number}"))).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            removed => removed?,
        }
    }
    Ok(())
}
