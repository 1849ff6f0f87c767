//! Session files that a sandbox begins with.

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, ListSandboxesRequest},
};
use sandgate_system::{Plan, assert_reason, fact, uuid};

use crate::stand::{Storage, transfers, whole};

fn request(storage: &Storage, files: &[(&str, &str)]) -> CreateSandboxRequest {
    CreateSandboxRequest {
        session_id: storage.session_id.clone(),
        request_id: uuid(),
        upload_files: transfers(files),
        ..Default::default()
    }
}

#[tokio::test]
async fn they_are_there_when_the_create_is_answered() {
    let (storage, _local, _gateway) = whole(Plan::default()).await;
    storage.put("a", b"one").await;
    let files = [("a", "in/a"), ("a", "/proc/no/such")];
    let request = request(&storage, &files);
    let first = storage.client.create(request.clone()).await.unwrap();
    let sandbox_id = first.sandbox.unwrap().sandbox_id;
    assert_eq!(first.uploads[0].sandbox_path, "/workspace/in/a");
    assert_eq!(
        (first.uploads[0].bytes, first.uploads[0].error.as_ref()),
        (3, None)
    );
    assert!(
        first.uploads[1].error.is_some(),
        "it fails, and the create does not"
    );
    assert_eq!(storage.get_from(&sandbox_id, "in/a").await.unwrap(), b"one");
    storage.put("a", b"two").await;
    let again = storage.client.create(request).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.uploads, first.uploads);
    assert_eq!(storage.get_from(&sandbox_id, "in/a").await.unwrap(), b"one");
}

#[tokio::test]
async fn one_that_is_not_there_is_told_before_anything_is_made() {
    let (storage, _local, _gateway) = whole(Plan::default()).await;
    storage.put("d/a", b"one").await;
    let mut refused = request(&storage, &[("d/a", "a"), ("none", "b")]);
    let missing = storage.client.create(refused.clone()).await.unwrap_err();
    assert_reason(&missing, Reason::FileNotFound, "write it first");
    assert_eq!(fact(&missing, "path").as_deref(), Some("/none"));
    let folder = request(&storage, &[("d", "a")]);
    let folder = storage.client.create(folder).await.unwrap_err();
    assert_reason(&folder, Reason::IsADirectory, "choose a file");
    let list = ListSandboxesRequest {
        session_id: storage.session_id.clone(),
        ..Default::default()
    };
    let mut service = storage.client.sandboxes();
    let listed = service.list_sandboxes(list).await;
    let sandboxes = listed.unwrap().into_inner().sandboxes;
    assert!(sandboxes.is_empty(), "{sandboxes:?}");
    // The request_id is free again.
    refused.upload_files.pop();
    let made = storage.client.create(refused).await.unwrap();
    assert!(!made.replayed && made.uploads[0].error.is_none());
}
