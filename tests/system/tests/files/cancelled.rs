//! Callers that go away in the middle.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use sandgate_proto::v1::{UploadArchiveOpen, UploadArchiveRequest, WriteFileRequest};
use tokio::time::{sleep, timeout};

use crate::{
    calls::{packing, reading, writing},
    each::on_each,
    stand::Stand,
    tar::Tar,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_the_old_file() {
    on_each(|stand| {
        Box::pin(async move {
            writes(stand, 300_000).await;
            // More than goes along with a request at a provider without a line of its own.
            writes(stand, 6_000_000).await;
            unpacking(stand).await;
            readers(stand).await;
        })
    })
    .await;
}

/// Sends that much, and then hangs until it goes away.
async fn writes(stand: &Stand, size: usize) {
    stand.sh("rm -rf c; mkdir c").await;
    stand.write("c/file", b"old").await;
    let first = stand.first_write(writing("c/file"));
    let part = WriteFileRequest {
        data: vec![1; 100_000].into(),
        ..WriteFileRequest::default()
    };
    let parts = stream::repeat(part).take(size / 100_000);
    let messages = stream::iter([first]).chain(parts).chain(stream::pending());
    let mut files = stand.files();
    let write = files.write_file(messages);
    assert!(timeout(Duration::from_millis(1500), write).await.is_err());
    settled(stand, "c", &["file"]).await;
    assert_eq!(stand.read("c/file").await.unwrap(), b"old");
    // Nor where content may wait for a visit.
    let waiting = "ls -A /var/tmp | grep -c ^.sandgate || true";
    for _ in 0..300 {
        if stand.sh(waiting).await.trim() == "0" {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("an upload is left: {}", stand.sh("ls -lA /var/tmp").await);
}

async fn unpacking(stand: &Stand) {
    stand.sh("rm -rf c; mkdir c").await;
    let archive = Tar::default()
        .file("first", b"1")
        .file("second", &[2; 400_000])
        .end();
    let first = UploadArchiveRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: stand.sandbox_id.clone(),
        open: Some(UploadArchiveOpen {
            path: "c".to_owned(),
            ..UploadArchiveOpen::default()
        }),
        data: archive[..200_000].to_vec().into(),
    };
    let messages = stream::iter([first]).chain(stream::pending());
    let mut files = stand.files();
    let upload = files.upload_archive(messages);
    assert!(timeout(Duration::from_millis(1500), upload).await.is_err());
    // What came as a whole may be there, and nothing else.
    for _ in 0..100 {
        let names = stand.names("c").await;
        if names.is_empty() || names == ["first"] {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("left behind: {:?}", stand.names("c").await);
}

/// Readers that stop reading keep no worker.
async fn readers(stand: &Stand) {
    stand.sh("truncate -s 2G long").await;
    let mut read = reading("long");
    let mut pack = packing("long");
    for (session_id, sandbox_id) in [
        (&mut read.session_id, &mut read.sandbox_id),
        (&mut pack.session_id, &mut pack.sandbox_id),
    ] {
        session_id.clone_from(&stand.session_id);
        sandbox_id.clone_from(&stand.sandbox_id);
    }
    let mut one = stand.files().read_file(read).await.unwrap().into_inner();
    let mut other = stand
        .files()
        .download_archive(pack)
        .await
        .unwrap()
        .into_inner();
    assert!(one.message().await.unwrap().is_some() && other.message().await.unwrap().is_some());
    let working = r"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' | grep -cx files || true";
    assert_ne!(stand.sh(working).await.trim(), "0");
    drop((one, other));
    for _ in 0..100 {
        if stand.sh(working).await.trim() == "0" {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("somebody still works: {}", stand.sh(working).await);
}

/// Waits until a directory has these names alone.
pub(crate) async fn settled(stand: &Stand, folder: &str, due: &[&str]) {
    for _ in 0..100 {
        if stand.names(folder).await == due {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{folder}: {:?}, due is {due:?}", stand.names(folder).await);
}
