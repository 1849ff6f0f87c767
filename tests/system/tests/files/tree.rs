//! A tree of files, on this machine or as something to make one of.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;

/// What a name in a tree is; numbers are modes, and the seconds of the last change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Folder(u32),
    File(u32, u32, Vec<u8>),
    Link(Vec<u8>),
}

/// By path from the top.
pub(crate) type Tree = BTreeMap<Vec<u8>, Node>;

/// Trees in which no name is below a file, and no link leads out. Whoever owns it can read all.
pub(crate) fn trees(name: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Tree> {
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join(&b'/'));
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        (0_usize..300_000).prop_map(|size| vec![0; size]),
    ];
    let node = prop_oneof![
        2 => (0_u32..0o2000).prop_map(|mode| Node::Folder((mode | 0o700) & 0o1777)),
        4 => (0_u32..0o1000, any::<u32>(), content)
            .prop_map(|(mode, time, content)| Node::File(mode | 0o400, time, content)),
        1 => Just(Node::Link(b"nowhere".to_vec())),
        1 => Just(Node::Link(b".//a/./b/".to_vec())),
        1 => Just(Node::Link(vec![b'x'; 150])),
        1 => Just(Node::Link(b"'\n\\".to_vec())),
    ];
    prop::collection::btree_map(path, node, 0..16).prop_map(whole)
}

/// Without what is below a file, and with the directories that are between.
fn whole(tree: Tree) -> Tree {
    let mut done = Tree::new();
    for (path, node) in tree {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let above: Vec<_> = ends.map(|(end, _)| path[..end].to_vec()).collect();
        let is_folder = |path: &Vec<u8>| matches!(done.get(path), None | Some(Node::Folder(_)));
        if above.iter().all(is_folder) {
            for path in above {
                done.entry(path).or_insert(Node::Folder(0o755));
            }
            done.insert(path, node);
        }
    }
    done
}

/// Makes it on this machine.
pub(crate) fn grow(top: &Path, tree: &Tree) {
    for (name, node) in tree {
        let path = top.join(OsStr::from_bytes(name));
        match node {
            Node::Folder(_) => fs::create_dir(&path).unwrap(),
            Node::Link(target) => symlink(OsStr::from_bytes(target), &path).unwrap(),
            Node::File(mode, time, content) => {
                fs::write(&path, content).unwrap();
                let time = UNIX_EPOCH + Duration::from_secs((*time).into());
                let file = File::options().write(true).open(&path).unwrap();
                file.set_modified(time).unwrap();
                file.set_permissions(Permissions::from_mode(*mode)).unwrap();
            }
        }
    }
    for (name, node) in tree.iter().rev() {
        if let Node::Folder(mode) = node {
            let path = top.join(OsStr::from_bytes(name));
            fs::set_permissions(path, Permissions::from_mode(*mode)).unwrap();
        }
    }
}

/// What is there on this machine.
pub(crate) fn seen(top: &Path) -> Tree {
    let mut tree = Tree::new();
    below(top, top, &mut tree);
    tree
}

fn below(top: &Path, folder: &Path, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = fs::symlink_metadata(&path).unwrap();
        let mode = found.mode() & 0o7777;
        let node = if found.is_dir() {
            below(top, &path, tree);
            Node::Folder(mode)
        } else if found.is_file() {
            let time = u32::try_from(found.mtime()).unwrap();
            Node::File(mode, time, fs::read(&path).unwrap())
        } else {
            let target = fs::read_link(&path).unwrap();
            Node::Link(target.as_os_str().as_bytes().to_vec())
        };
        let name = path.strip_prefix(top).unwrap();
        tree.insert(name.as_os_str().as_bytes().to_vec(), node);
    }
}
