//! A provider that is killed in the middle: calls end with a typed error, old files stay, nothing is
//! left, and the next provider goes on.

use std::time::Duration;

use futures::{StreamExt as _, stream};
use sandgate_proto::v1::{WriteFileRequest, read_file_response::Event};
use sandgate_system::reason;
use tokio::time::sleep;
use tonic::{Code, Status};

use crate::{
    calls::{packing, reading, writing},
    cancelled::settled,
    each::on_each,
    stand::Stand,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_dies_leaves_files_as_they_were() {
    on_each(|stand| {
        Box::pin(async move {
            stand.sh("mkdir k; truncate -s 2G k/long").await;
            stand.write("k/file", b"old").await;
            in_a_read(stand).await;
            in_an_archive(stand).await;
            in_a_write(stand, 200_000).await;
            in_a_write(stand, 6_000_000).await;
        })
    })
    .await;
}

/// The error has to be one of ours, and say that the other side is away.
fn is_away(status: &Status) {
    assert_eq!(reason(status).0, Code::Unavailable, "{status:?}");
}

async fn in_a_read(stand: &mut Stand) {
    let mut request = reading("k/long");
    request.session_id.clone_from(&stand.session_id);
    request.sandbox_id.clone_from(&stand.sandbox_id);
    let mut stream = stand.files().read_file(request).await.unwrap().into_inner();
    for _ in 0..10 {
        stream.message().await.unwrap().unwrap();
    }
    stand.kill_provider();
    let ended = loop {
        match stream.message().await {
            Ok(Some(message)) => assert!(!matches!(message.event, Some(Event::End(_)))),
            Ok(None) => panic!("a clean end without all of the file"),
            Err(status) => break status,
        }
    };
    is_away(&ended);
    back(stand).await;
}

async fn in_an_archive(stand: &mut Stand) {
    let mut request = packing("k");
    request.session_id.clone_from(&stand.session_id);
    request.sandbox_id.clone_from(&stand.sandbox_id);
    let mut stream = stand
        .files()
        .download_archive(request)
        .await
        .unwrap()
        .into_inner();
    stream.message().await.unwrap().unwrap();
    stand.kill_provider();
    let ended = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a clean end without a summary"),
            Err(status) => break status,
        }
    };
    is_away(&ended);
    back(stand).await;
}

async fn in_a_write(stand: &mut Stand, size: usize) {
    let first = stand.first_write(writing("k/file"));
    let part = WriteFileRequest {
        data: vec![1; 100_000].into(),
        ..WriteFileRequest::default()
    };
    let parts = stream::repeat(part).take(size / 100_000);
    let messages = stream::iter([first]).chain(parts).chain(stream::pending());
    let mut files = stand.files();
    let write = tokio::spawn(async move { files.write_file(messages).await });
    sleep(Duration::from_millis(700)).await;
    stand.kill_provider();
    is_away(&write.await.unwrap().unwrap_err());
    back(stand).await;
    settled(stand, "k", &["file", "long"]).await;
    assert_eq!(stand.read("k/file").await.unwrap(), b"old");
}

/// The provider is there again, and the gateway finds it.
async fn back(stand: &mut Stand) {
    stand.start_provider().await;
    for _ in 0..100 {
        if stand.stat("k/file").await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}", stand.stat("k/file").await);
}
