//! A sandbox that is stopped in the middle of a transfer: the call ends with a typed error, the old file
//! stays, and nothing is left behind.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use sandgate_proto::v1::{
    PauseSandboxRequest, StopSandboxRequest, UploadArchiveOpen, UploadArchiveRequest,
    WriteFileRequest,
};
use sandgate_system::reason;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

use crate::{
    calls::writing,
    cancelled::settled,
    each::on_each,
    stand::{Kind, Stand},
    tar::Tar,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_leaves_the_old_file() {
    on_each(|stand| {
        Box::pin(async move {
            stand.sh("mkdir s u").await;
            stand.write("s/file", b"old").await;
            in_a_write(stand).await;
            in_an_upload(stand).await;
        })
    })
    .await;
}

/// Brings it to rest: by a stop, or what comes nearest.
async fn rest(stand: &Stand) {
    let (session_id, sandbox_id) = (stand.session_id.clone(), stand.sandbox_id.clone());
    let mut sandboxes = stand.client.sandboxes();
    if stand.kind == Kind::E2b {
        let pause = PauseSandboxRequest {
            session_id,
            sandbox_id,
            ..PauseSandboxRequest::default()
        };
        sandboxes.pause_sandbox(pause).await.unwrap();
    } else {
        let stop = StopSandboxRequest {
            session_id,
            sandbox_id,
            ..StopSandboxRequest::default()
        };
        sandboxes.stop_sandbox(stop).await.unwrap();
    }
}

fn is_told(status: &Status) {
    let code = reason(status).0;
    let due = [Code::Unavailable, Code::FailedPrecondition, Code::NotFound];
    assert!(due.contains(&code), "{status:?}");
}

async fn in_a_write(stand: &Stand) {
    let first = stand.first_write(writing("s/file"));
    let part = WriteFileRequest {
        data: vec![1; 100_000].into(),
        ..WriteFileRequest::default()
    };
    let parts = stream::repeat(part).take(30);
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let rest_of_it = stream::once(ended).filter_map(|_| async { None });
    let messages = stream::iter([first]).chain(parts).chain(rest_of_it);
    let mut files = stand.files();
    let write = tokio::spawn(async move { files.write_file(messages).await });
    sleep(Duration::from_secs(1)).await;
    rest(stand).await;
    // What is paused as a whole may only hear of it when its caller has ended.
    let _ = end.send(());
    let written = timeout(Duration::from_secs(120), write).await.unwrap();
    match written.unwrap() {
        Err(status) => is_told(&status),
        // It was woken for the call's end, and the call went on.
        Ok(_) => assert_eq!(stand.kind, Kind::E2b),
    }
    if stand.kind != Kind::E2b {
        assert_eq!(stand.read("s/file").await.unwrap(), b"old");
    }
    settled(stand, "s", &["file"]).await;
}

async fn in_an_upload(stand: &Stand) {
    let archive = Tar::default()
        .file("first", b"1")
        .file("second", &[2; 3_000_000])
        .end();
    let first = UploadArchiveRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: stand.sandbox_id.clone(),
        open: Some(UploadArchiveOpen {
            path: "u".to_owned(),
            ..UploadArchiveOpen::default()
        }),
        data: archive[..2_000_000].to_vec().into(),
    };
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let rest_of_it = stream::once(ended).filter_map(|_| async { None });
    let messages = stream::iter([first]).chain(rest_of_it);
    let mut files = stand.files();
    let upload = tokio::spawn(async move { files.upload_archive(messages).await });
    sleep(Duration::from_secs(1)).await;
    rest(stand).await;
    let _ = end.send(());
    let uploaded = timeout(Duration::from_secs(120), upload).await.unwrap();
    let status = uploaded.unwrap().unwrap_err();
    // Woken for its end, it has an archive that is not whole.
    if !(stand.kind == Kind::E2b && reason(&status).0 == Code::InvalidArgument) {
        is_told(&status);
    }
    for _ in 0..100 {
        let names = stand.names("u").await;
        if names.is_empty() || names == ["first"] {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("left behind: {:?}", stand.names("u").await);
}
