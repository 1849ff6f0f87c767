//! Much content through a gateway that holds little of it.

use std::fs;

use futures::{StreamExt as _, stream};
use sandgate_proto::v1::{ReadSessionFileRequest, read_session_file_response::Event};

use crate::stand::{Local, Storage, codes, content, data, gateway, open};

const SIZE: usize = 64 << 20;
/// What a process may need besides: parts that are on their way, and what its allocator keeps.
const ROOM: usize = 40 << 20;

/// Largest memory of a process so far, in bytes.
fn peak(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

async fn write(storage: &Storage, path: &str, block: &[u8]) {
    let pieces = (0..SIZE / block.len())
        .map(|_| data(block))
        .collect::<Vec<_>>();
    let stream = stream::iter([storage.first(open(path))]).chain(stream::iter(pieces));
    let info = storage.service().write_session_file(stream).await.unwrap();
    assert_eq!(info.into_inner().info.unwrap().size, SIZE as u64);
}

async fn read(storage: &Storage, path: &str) -> usize {
    let request = ReadSessionFileRequest {
        session_id: storage.session_id.clone(),
        path: path.to_owned(),
        ..Default::default()
    };
    let mut stream = storage
        .service()
        .read_session_file(request)
        .await
        .unwrap()
        .into_inner();
    let mut size = 0;
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Event::Chunk(chunk)) = message.event {
            size += chunk.data.len();
        }
    }
    size
}

#[tokio::test]
async fn memory_stays_flat() {
    let (local, folder) = (Local::start().await, tempfile::tempdir().unwrap());
    let gateway = gateway(local.binary.address(), folder.path()).await;
    let storage = Storage::at(gateway.address()).await;
    let sandbox_id = storage.sandbox().await;
    let block = content(1 << 20);
    storage.put("warm", &content(5 << 20)).await;
    read(&storage, "warm").await;
    let before = peak(gateway.pid());
    write(&storage, "large", &block).await;
    assert_eq!(read(&storage, "large").await, SIZE);
    let request = storage.upload(&sandbox_id, "", &[("large", "large")]);
    assert_eq!(codes(&storage.uploaded(request).await.unwrap()), [""]);
    let files = [("back", "large")];
    let result = storage.downloaded(&sandbox_id, "", &files).await.unwrap();
    assert_eq!(codes(&result), [""]);
    assert_eq!(result.files[0].bytes, SIZE as u64);
    let sums = [storage.stat("large").await, storage.stat("back").await];
    let [there, back] = sums.map(|info| info.unwrap().sha256);
    assert_eq!(there, back);
    let grown = peak(gateway.pid()) - before;
    assert!(grown < ROOM, "{grown} bytes more for {SIZE}");
}
