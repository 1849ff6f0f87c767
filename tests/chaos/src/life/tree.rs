//! Folders by name, which is all that there is to see of control groups and of the provider's data.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Names of all that is in a folder.
pub(crate) fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

/// Folders in this one.
pub(crate) fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

/// Folders below this one that have such a name.
pub(crate) fn find(
    folder: &Path,
    depth: usize,
    fits: &impl Fn(&str) -> bool,
    found: &mut Vec<PathBuf>,
) {
    for path in folders(folder) {
        let name = path.file_name().unwrap_or_default();
        if fits(&name.to_string_lossy()) {
            found.push(path);
        } else if depth > 1 {
            find(&path, depth - 1, fits, found);
        }
    }
}

/// Removes a control group and those in it, as far as they are empty.
pub(crate) fn remove(group: &Path) {
    folders(group).iter().for_each(|inner| remove(inner));
    // Who asked looks whether it is gone.
    let _ = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_name() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/s1/e1")).unwrap();
        let mut found = Vec::new();
        find(root.path(), 1, &|name| name == "s1", &mut found);
        assert!(found.is_empty());
        find(root.path(), 2, &|name| name == "s1", &mut found);
        assert_eq!(found, [root.path().join("a/s1")]);
        remove(&root.path().join("a"));
        assert!(folders(root.path()).is_empty());
    }
}
