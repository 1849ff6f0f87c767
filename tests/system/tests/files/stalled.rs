//! Readers that do not read: they cost little, there may only be so many, and they are in nobody's way
//! when they have gone.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{ReadFileRequest, file_service_client::FileServiceClient},
};
use sandgate_system::{Client, assert_reason};
use tokio::time::sleep;

use crate::{calls::reading, each::on_each, memory::Memory, stand::Stand};

/// Most calls that work on files of a sandbox at once.
const MOST: usize = 64;
/// Most that one may cost gateway and provider, in KiB: what waits at each step of its way.
const EACH: u64 = 6 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_are_bounded() {
    on_each(|stand| Box::pin(stalled(stand))).await;
}

async fn stalled(stand: &mut Stand) {
    stand.sh("truncate -s 2G long").await;
    stand.stat("long").await.unwrap();
    let before = Memory::of(stand);
    let request = ReadFileRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: stand.sandbox_id.clone(),
        ..reading("long")
    };
    let mut open = Vec::new();
    while open.len() < MOST {
        // Each from afar: streams of one connection share what it may have under way.
        let client = Client::connect(stand.gateway.address()).await;
        let mut files = FileServiceClient::new(client.channel.clone());
        let mut stream = match files.read_file(request.clone()).await {
            Ok(stream) => stream.into_inner(),
            // The look from before may not be over.
            Err(status) => {
                assert_reason(&status, Reason::TooManyObservers, "");
                assert_eq!(open.len(), MOST - 1);
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        assert!(stream.message().await.unwrap().is_some());
        open.push((client, stream));
    }
    let refused = stand.files().read_file(request).await.unwrap_err();
    assert_reason(&refused, Reason::TooManyObservers, "then repeat");
    // What is on its way to them comes to rest.
    sleep(Duration::from_secs(2)).await;
    before.has_not_grown_by(stand, "readers that do not read", MOST as u64 * EACH);
    drop(open);
    for _ in 0..300 {
        if stand.stat("long").await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("their places do not come back");
}
