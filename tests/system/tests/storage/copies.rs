//! Single files to and from a sandbox.

use std::time::Duration;

use sandgate_proto::{Reason, v1};
use sandgate_system::{Plan, assert_reason, uuid};
use tokio::time::timeout;

use crate::stand::{codes, content, whole};

#[tokio::test]
async fn there_and_back_is_the_same() {
    let (storage, _local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    let large = content((9 << 20) + 3);
    storage.put("in/large", &large).await;
    storage.put("in/empty", b"").await;
    let files = [
        ("in/large", "deep/new/large"),
        ("in/empty", "/tmp/-empty 'x'\n"),
    ];
    let request = storage.upload(&sandbox_id, "", &files);
    let result = storage.uploaded(request).await.unwrap();
    assert_eq!(codes(&result), ["", ""]);
    assert_eq!(result.files[0].bytes, large.len() as u64);
    assert_eq!(result.files[0].sandbox_path, "/workspace/deep/new/large");
    assert_eq!(result.files[1].sandbox_path, "/tmp/-empty 'x'\n");
    let read = storage
        .get_from(&sandbox_id, "deep/new/large")
        .await
        .unwrap();
    assert!(read == large);
    let files = [
        ("out/large", "deep/new/large"),
        ("out/empty", "/tmp/-empty 'x'\n"),
    ];
    let result = storage.downloaded(&sandbox_id, "", &files).await.unwrap();
    assert_eq!(codes(&result), ["", ""]);
    assert!(storage.get("out/large").await.unwrap() == large);
    assert_eq!(storage.get("out/empty").await.unwrap(), b"");
}

#[tokio::test]
async fn a_file_that_fails_keeps_no_other_from_it() {
    let (storage, _local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    storage.put("a", b"a").await;
    storage.put("d/b", b"b").await;
    storage
        .run(&sandbox_id, "mkdir dir; mkfifo pipe; echo x > file")
        .await;
    let up = [
        ("none", "1"),
        ("a", "dir"),
        ("d", "2"),
        ("a", "file/3"),
        ("a", "4"),
    ];
    let result = storage
        .uploaded(storage.upload(&sandbox_id, "", &up))
        .await
        .unwrap();
    let wanted = [
        "FILE_NOT_FOUND",
        "IS_A_DIRECTORY",
        "IS_A_DIRECTORY",
        "NOT_A_DIRECTORY",
        "",
    ];
    assert_eq!(codes(&result), wanted);
    assert!(
        result
            .files
            .iter()
            .all(|file| (file.bytes == 0) == file.error.is_some())
    );
    let down = [
        ("1", "none"),
        ("2", "dir"),
        ("3", "pipe"),
        ("a/x", "file"),
        ("4", "file"),
    ];
    let result = storage.downloaded(&sandbox_id, "", &down).await.unwrap();
    let wanted = [
        "FILE_NOT_FOUND",
        "IS_A_DIRECTORY",
        "NOT_A_REGULAR_FILE",
        "NOT_A_DIRECTORY",
        "",
    ];
    assert_eq!(codes(&result), wanted);
    assert_eq!(storage.get("4").await.unwrap(), b"x\n");
    assert_eq!(storage.paths().await, ["/4", "/a", "/d", "/d/b"]);
}

#[tokio::test]
async fn the_same_request_is_one_copy_whoever_watches() {
    let (storage, local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    storage.put("a", b"first").await;
    let request = storage.upload(&sandbox_id, &uuid(), &[("a", "a")]);
    local.binary.freeze();
    // The first caller leaves before anything is done.
    let left = timeout(
        Duration::from_millis(400),
        storage.uploaded(request.clone()),
    )
    .await;
    assert!(left.is_err());
    let joined = tokio::spawn({
        let (storage, request) = (storage.clone(), request.clone());
        async move { storage.uploaded(request).await }
    });
    let different = v1::UploadToSandboxRequest {
        files: crate::stand::transfers(&[("a", "b")]),
        ..request.clone()
    };
    let reused = storage.uploaded(different).await.unwrap_err();
    assert_reason(&reused, Reason::RequestIdReused, "choose a new one");
    local.binary.thaw();
    let result = joined.await.unwrap().unwrap();
    assert_eq!(codes(&result), [""]);
    storage.put("a", b"second").await;
    assert_eq!(storage.uploaded(request.clone()).await.unwrap(), result);
    let there = storage.get_from(&sandbox_id, "a").await.unwrap();
    assert_eq!(there, b"first", "a repeat copies nothing");
    let other = storage
        .downloaded(&sandbox_id, &request.request_id, &[("b", "a")])
        .await;
    assert_reason(
        &other.unwrap_err(),
        Reason::RequestIdReused,
        "choose a new one",
    );
}

#[tokio::test]
async fn a_stopped_sandbox_is_started_and_a_missing_one_is_told() {
    let (storage, _local, _gateway) = whole(Plan::default()).await;
    let sandbox_id = storage.sandbox().await;
    storage.put("a", b"x").await;
    storage
        .client
        .stop(&storage.session_id, &sandbox_id)
        .await
        .unwrap();
    let request = storage.upload(&sandbox_id, "", &[("a", "a")]);
    assert_eq!(codes(&storage.uploaded(request).await.unwrap()), [""]);
    let request = storage.upload(&uuid(), "", &[("a", "a")]);
    let missing = storage.uploaded(request).await.unwrap_err();
    assert_reason(&missing, Reason::SandboxNotFound, "");
    for files in [&[][..], &[("a", "")], &[("", "a")], &[("../a", "a")]] {
        let request = storage.upload(&sandbox_id, "", files);
        let refused = storage.uploaded(request).await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "");
    }
}
