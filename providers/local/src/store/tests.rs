//! Sandboxes on disk.

use std::os::unix::fs::MetadataExt as _;

use sandgate_kit::Owner;

use super::*;

fn meta(id: u128, workdir: &str) -> Meta {
    let wanted = Wanted {
        title: String::new(),
        labels: Default::default(),
        env: Default::default(),
        workdir: workdir.into(),
        network: false,
        memory_bytes: 1,
        cpu_millis: 1,
        pids: 1,
    };
    Meta::new(Uuid::from_u128(id), Owner::default(), 1, wanted)
}

#[test]
fn a_sandbox_is_made_found_again_and_removed() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).unwrap();
    let (first, second) = (meta(2, "/workspace/a/b"), meta(1, "/workspace"));
    store.create(&first, None).unwrap();
    store.create(&second, None).unwrap();
    assert!(
        store.create(&first, None).is_err(),
        "one that is there must stay as it is"
    );
    let folder = store.folder(first.sandbox_id);
    assert!(folder.join("workspace/a/b").is_dir());
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(
        fs::metadata(folder.join("tmp")).unwrap().mode() & 0o7777,
        0o1777
    );
    let instance_id = store.instance_id().to_owned();
    drop(store);

    let store = Store::open(data.path()).unwrap();
    assert_eq!(store.instance_id(), instance_id);
    assert_eq!(store.ids().unwrap(), [second.sandbox_id, first.sandbox_id]);
    assert_eq!(store.read(first.sandbox_id).unwrap(), first);
    store.remove(first.sandbox_id).unwrap();
    store.remove(first.sandbox_id).unwrap();
    store.remove(second.sandbox_id).unwrap();
    let mut left: Vec<_> = fs::read_dir(data.path().join("local"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["instance-id", "lock"]);
}

#[test]
fn a_data_folder_has_one_holder() {
    let data = tempfile::tempdir().unwrap();
    let _store = Store::open(data.path()).unwrap();
    assert_eq!(
        Store::open(data.path()).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
}

#[test]
fn what_a_crash_left_is_removed() {
    let data = tempfile::tempdir().unwrap();
    drop(Store::open(data.path()).unwrap());
    let root = data.path().join("local");
    fs::create_dir_all(root.join(".new-x/workspace")).unwrap();
    fs::create_dir_all(root.join(".removed-y/home")).unwrap();
    let store = Store::open(data.path()).unwrap();
    assert!(!root.join(".new-x").exists() && !root.join(".removed-y").exists());
    assert!(store.ids().unwrap().is_empty());
}

#[test]
fn what_may_be_in_the_making_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(data.path()).unwrap();
    let drafts = [".new-1", ".removed-1"].map(|name| data.path().join("local").join(name));
    for draft in &drafts {
        fs::create_dir_all(draft.join("inner")).unwrap();
    }
    store.clear(Duration::from_secs(60)).unwrap();
    assert!(drafts.iter().all(|draft| draft.exists()));
    store.clear(Duration::ZERO).unwrap();
    assert!(drafts.iter().all(|draft| !draft.exists()));
}
