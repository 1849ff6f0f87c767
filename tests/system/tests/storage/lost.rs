//! Copies whose gateway or provider goes away in the middle.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sandgate_proto::Reason;
use sandgate_system::{Link, assert_reason, eventually, gateway_for, uuid};
use tokio::time::{sleep, timeout};

use crate::stand::{Local, Storage, codes, content, gateway};

/// Names of many files, as a copy of one to all of them.
fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("f{number}")).collect()
}

/// Files of these names that there are.
fn there(folder: &Path, names: &[String]) -> Vec<PathBuf> {
    let paths = names.iter().map(|name| folder.join(name));
    paths.filter(|path| path.exists()).collect()
}

#[tokio::test]
async fn a_repeat_finishes_what_a_killed_gateway_had_begun_and_begins_nothing_anew() {
    let (local, folder) = (Local::start().await, tempfile::tempdir().unwrap());
    let first = gateway(local.binary.address(), folder.path()).await;
    let storage = Storage::at(first.address()).await;
    let sandbox_id = storage.sandbox().await;
    let workspace = local.workspace(&sandbox_id);
    storage.put("a", b"content of a").await;
    let names = names(1000);
    let files: Vec<_> = names.iter().map(|name| ("a", name.as_str())).collect();
    let request = storage.upload(&sandbox_id, &uuid(), &files);
    let copy = tokio::spawn({
        let (storage, request) = (storage.clone(), request.clone());
        async move { storage.uploaded(request).await }
    });
    eventually("some are copied", || there(&workspace, &names).len() >= 10).await;
    // Stands still, so that what is done is noted, and no more is done.
    local.binary.freeze();
    sleep(Duration::from_secs(7)).await;
    drop(first);
    assert!(copy.await.unwrap().is_err());
    local.binary.thaw();
    let done = there(&workspace, &names);
    assert!((10..1000).contains(&done.len()), "{}", done.len());
    for path in &done {
        fs::write(path, b"edited").unwrap();
    }
    let second = gateway(local.binary.address(), folder.path()).await;
    let storage = storage.by(second.address()).await;
    let result = storage.uploaded(request.clone()).await.unwrap();
    assert!(
        codes(&result).iter().all(|code| code.is_empty()),
        "{result:?}"
    );
    assert_eq!(there(&workspace, &names).len(), 1000);
    let is_edited = |path: &&PathBuf| fs::read(path).unwrap() == b"edited";
    let kept = done.iter().filter(is_edited).count();
    // One was on its way when all stood still: nobody knew what became of it.
    assert!(kept + 2 >= done.len(), "{kept} of {}", done.len());
    assert_eq!(storage.uploaded(request).await.unwrap(), result);
}

#[tokio::test]
async fn a_killed_gateway_leaves_no_half_file_in_the_session() {
    let (local, folder) = (Local::start().await, tempfile::tempdir().unwrap());
    let first = gateway(local.binary.address(), folder.path()).await;
    let storage = Storage::at(first.address()).await;
    let sandbox_id = storage.sandbox().await;
    storage.put("to", b"old").await;
    storage
        .run(&sandbox_id, "head -c 300000000 /dev/zero > zeros")
        .await;
    let id = uuid();
    let files = [("to", "zeros")];
    let asked = timeout(
        Duration::from_millis(300),
        storage.downloaded(&sandbox_id, &id, &files),
    );
    assert!(asked.await.is_err(), "it is in the middle of it");
    drop(first);
    let second = gateway(local.binary.address(), folder.path()).await;
    let storage = storage.by(second.address()).await;
    assert_eq!(storage.get("to").await.unwrap(), b"old");
    let result = storage.downloaded(&sandbox_id, &id, &files).await.unwrap();
    assert_eq!(codes(&result), [""]);
    assert_eq!(storage.stat("to").await.unwrap().size, 300_000_000);
}

#[tokio::test]
async fn a_provider_that_goes_away_is_told_for_every_file() {
    let local = Local::start().await;
    let link = Link::to(local.binary.address()).await;
    let (running, _data) = gateway_for("local", link.address()).await;
    let storage = Storage::at(running.address()).await;
    let sandbox_id = storage.sandbox().await;
    storage.put("a", b"x").await;
    storage.put("large", &content(64 << 20)).await;
    let files = [("a", "a"), ("large", "large"), ("a", "c")];
    // A repeat of the very same request goes on: what was lost is no answer to keep.
    let request = storage.upload(&sandbox_id, &uuid(), &files);
    let again = request.clone();
    let copy = tokio::spawn({
        let storage = storage.clone();
        async move { storage.uploaded(request).await }
    });
    sleep(Duration::from_millis(150)).await;
    link.refuse().await;
    link.cut().await;
    let result = copy.await.unwrap().unwrap();
    let lost = "PROVIDER_UNAVAILABLE";
    let codes = codes(&result);
    assert!(codes[1..] == [lost, lost], "{codes:?}");
    link.mend().await;
    let missing = storage.get_from(&sandbox_id, "large").await.unwrap_err();
    assert_reason(&missing, Reason::FileNotFound, "");
    let result = storage.uploaded(again).await.unwrap();
    assert_eq!(crate::stand::codes(&result), ["", "", ""]);
}

#[tokio::test]
async fn a_directory_whose_provider_goes_away_is_an_error() {
    let local = Local::start().await;
    let link = Link::to(local.binary.address()).await;
    let (running, _data) = gateway_for("local", link.address()).await;
    let storage = Storage::at(running.address()).await;
    let sandbox_id = storage.sandbox().await;
    storage
        .run(&sandbox_id, "head -c 300000000 /dev/zero > zeros")
        .await;
    let request = sandgate_proto::v1::DownloadWorkspaceRequest {
        session_id: storage.session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        request_id: uuid(),
        ..Default::default()
    };
    let copy = tokio::spawn({
        let (storage, request) = (storage.clone(), request.clone());
        async move { storage.workspace(request).await }
    });
    sleep(Duration::from_millis(150)).await;
    link.refuse().await;
    link.cut().await;
    let lost = copy.await.unwrap().unwrap_err();
    assert_reason(&lost, Reason::ProviderUnavailable, "");
    assert!(storage.paths().await.is_empty(), "no half file");
    link.mend().await;
    let result = storage.workspace(request).await.unwrap();
    assert_eq!((result.files, result.bytes), (1, 300_000_000));
}
