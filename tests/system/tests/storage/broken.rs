//! Writes that break off: by their caller, and by the end of the gateway.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use sandgate_proto::{
    Reason,
    v1::{DeleteSessionRequest, WriteSessionFileRequest},
};
use sandgate_system::{Plan, assert_reason, eventually};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    aged::{age, has},
    stand::{Storage, alone, content, data, gateway, objects, open, whole},
};

/// A write that has begun and goes no further.
fn begun(storage: &Storage, path: &str) -> mpsc::Sender<WriteSessionFileRequest> {
    let (sender, receiver) = mpsc::channel(16);
    sender.try_send(storage.first(open(path))).unwrap();
    for piece in content(5 << 20).chunks(1 << 20) {
        sender.try_send(data(piece)).unwrap();
    }
    let mut service = storage.service();
    tokio::spawn(async move {
        let stream = ReceiverStream::new(receiver).chain(stream::pending());
        service.write_session_file(stream).await
    });
    sender
}

#[tokio::test]
async fn one_that_its_caller_leaves_changes_nothing_and_leaves_nothing() {
    let (storage, _running, folder) = alone(Plan::default()).await;
    storage.put("f", b"old").await;
    let (sender, receiver) = mpsc::channel(16);
    sender.try_send(storage.first(open("f"))).unwrap();
    for piece in content((11 << 20) + (900 << 10)).chunks(1 << 20) {
        sender.try_send(data(piece)).unwrap();
    }
    let all = sender.clone();
    let mut service = storage.service();
    let write = tokio::spawn(async move {
        let stream = ReceiverStream::new(receiver).chain(stream::pending());
        service.write_session_file(stream).await.map(drop)
    });
    // A gateway takes a mebibyte ahead: who has taken all of it has put what goes before.
    eventually("some of it was put", || {
        objects(folder.path()) == 3 && all.capacity() == all.max_capacity()
    })
    .await;
    write.abort();
    has(folder.path(), 1).await;
    assert_eq!(storage.get("f").await.unwrap(), b"old");
}

#[tokio::test]
async fn what_a_killed_gateway_was_writing_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = ([127, 0, 0, 1], 1).into();
    let first = gateway(nobody, folder.path()).await;
    let storage = Storage::at(first.address()).await;
    storage.put("f", b"old").await;
    let _sender = begun(&storage, "f");
    let _other = begun(&storage, "new");
    eventually("some of it was put", || objects(folder.path()) == 3).await;
    drop(first);
    let second = gateway(nobody, folder.path()).await;
    let storage = storage.by(second.address()).await;
    assert_eq!(storage.get("f").await.unwrap(), b"old");
    assert_eq!(storage.paths().await, ["/f"]);
    age(folder.path(), 59).await;
    storage.put("g", b"other").await;
    storage.put("f", b"new").await;
    assert_eq!(storage.get("f").await.unwrap(), b"new");
    assert_eq!(objects(folder.path()), 5, "their hour is not over");
    age(folder.path(), 2).await;
    has(folder.path(), 3).await;
    age(folder.path(), 15).await;
    has(folder.path(), 2).await;
    assert_eq!(storage.get("f").await.unwrap(), b"new");
}

#[tokio::test]
async fn a_session_that_ends_takes_its_files_along() {
    let (storage, _running, folder) = alone(Plan::default()).await;
    storage.put("a/b", &content(5 << 20)).await;
    storage.put("c", b"x").await;
    assert_eq!(objects(folder.path()), 3);
    let request = DeleteSessionRequest {
        session_id: storage.session_id.clone(),
        ..Default::default()
    };
    let mut sessions = storage.client.sessions();
    sessions.delete_session(request).await.unwrap();
    let gone = storage.get("c").await.unwrap_err();
    assert_reason(&gone, Reason::SessionNotFound, "");
    has(folder.path(), 0).await;
}

#[tokio::test]
async fn replaced_content_stays_for_who_reads_it() {
    let (storage, _running, folder) = alone(Plan::default()).await;
    storage.put("f", &content(5 << 20)).await;
    storage.put("f", b"new").await;
    sleep(Duration::from_millis(300)).await;
    assert_eq!(objects(folder.path()), 3, "for a quarter of an hour");
    assert_eq!(storage.get("f").await.unwrap(), b"new");
    age(folder.path(), 15).await;
    has(folder.path(), 1).await;
    assert_eq!(storage.get("f").await.unwrap(), b"new");
}

#[tokio::test]
async fn a_sandbox_that_cannot_be_deleted_keeps_no_files() {
    let (storage, local, (_running, folder)) = whole(Plan::default()).await;
    storage.put("a/b", &content(5 << 20)).await;
    let sandbox_id = storage.sandbox().await;
    drop(local);
    let request = DeleteSessionRequest {
        session_id: storage.session_id.clone(),
        ..Default::default()
    };
    let mut sessions = storage.client.sessions();
    let deleted = sessions.delete_session(request).await.unwrap();
    let pending = deleted.into_inner().pending_sandbox_ids;
    assert_eq!(pending, [sandbox_id], "nobody can delete it");
    has(folder.path(), 0).await;
}
