//! Memory of gateway, provider and worker does not grow with a file.

use std::{fs, time::Instant};

use futures::{StreamExt as _, stream};
use sandgate_proto::v1::{
    Compression, DownloadArchiveRequest, WriteFileRequest, download_archive_response,
    read_file_response::Event,
};

use crate::{
    calls::{packing, reading, writing},
    each::on_each,
    stand::Stand,
};

/// Bytes of what is read, and of what is written.
const READ: u64 = 1 << 30;
const WRITTEN: u64 = 128 << 20;
/// Most that a worker may hold, in KiB.
const WORKER: u64 = 64 << 10;
/// Most that memory may grow by meanwhile, in KiB.
const GROWTH: u64 = 48 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_takes_little_memory() {
    on_each(|stand| {
        Box::pin(async move {
            stand.sh("truncate -s 1G sparse").await;
            // What is made for the first call stays.
            write(stand, 8 << 20).await;
            let before = Memory::of(stand);
            read(stand).await;
            before.has_not_grown(stand, "a read");
            archive(stand).await;
            before.has_not_grown(stand, "an archive");
            write(stand, WRITTEN).await;
            before.has_not_grown(stand, "a write");
        })
    })
    .await;
}

async fn read(stand: &Stand) {
    let begun = Instant::now();
    let mut request = reading("sparse");
    request.session_id.clone_from(&stand.session_id);
    request.sandbox_id.clone_from(&stand.sandbox_id);
    let mut stream = stand.files().read_file(request).await.unwrap().into_inner();
    let mut bytes = 0;
    while let Some(message) = stream.message().await.unwrap() {
        match message.event.unwrap() {
            Event::Chunk(chunk) => {
                let is_half = bytes < READ / 2 && bytes + chunk.data.len() as u64 >= READ / 2;
                bytes += chunk.data.len() as u64;
                if is_half {
                    worker_is_small(stand).await;
                }
            }
            Event::End(end) => assert_eq!(end.bytes, READ),
            Event::Info(_) => {}
        }
    }
    assert_eq!(bytes, READ);
    println!("{:?}: read in {:?}", stand.kind, begun.elapsed());
}

/// Of what works on files in the sandbox, the highest that there was.
async fn worker_is_small(stand: &Stand) {
    let line = r"for p in /proc/[0-9]*; do tr '\0' '\n' <$p/cmdline 2>/dev/null | grep -qx files && grep VmHWM $p/status; done; true";
    let said = stand.sh(line).await;
    let sizes = said
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1));
    let sizes: Vec<u64> = sizes.map(|size| size.parse().unwrap()).collect();
    println!("{:?}: workers of {sizes:?} KiB", stand.kind);
    assert!(!sizes.is_empty(), "nobody works");
    assert!(sizes.iter().all(|size| *size < WORKER), "{sizes:?}");
}

async fn archive(stand: &Stand) {
    let mut request = DownloadArchiveRequest {
        compression: Compression::Zstd.into(),
        ..packing("sparse")
    };
    request.session_id.clone_from(&stand.session_id);
    request.sandbox_id.clone_from(&stand.sandbox_id);
    let mut stream = stand
        .files()
        .download_archive(request)
        .await
        .unwrap()
        .into_inner();
    let mut summary = None;
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(download_archive_response::Event::Summary(last)) = message.event {
            summary = Some(last);
        }
    }
    assert_eq!(summary.unwrap().bytes, READ);
}

async fn write(stand: &Stand, size: u64) {
    let begun = Instant::now();
    let first = stand.first_write(writing("written"));
    let part = WriteFileRequest {
        data: vec![1; 1 << 20].into(),
        ..WriteFileRequest::default()
    };
    let parts = stream::repeat(part).take(usize::try_from(size >> 20).unwrap());
    let messages = stream::iter([first]).chain(parts);
    let written = stand.files().write_file(messages).await.unwrap();
    assert_eq!(written.into_inner().info.unwrap().size, size);
    println!(
        "{:?}: {size} bytes written in {:?}",
        stand.kind,
        begun.elapsed()
    );
}

/// Of gateway and provider, in KiB.
pub(crate) struct Memory([u64; 2]);

impl Memory {
    /// As it is now; from here on the highest is kept.
    pub(crate) fn of(stand: &Stand) -> Self {
        let now = pids(stand).map(|pid| {
            fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
            status(pid, "VmRSS:")
        });
        Self(now)
    }

    fn has_not_grown(&self, stand: &Stand, what: &str) {
        self.has_not_grown_by(stand, what, GROWTH);
    }

    /// Fails where one of them has grown by so many KiB.
    pub(crate) fn has_not_grown_by(&self, stand: &Stand, what: &str, growth: u64) {
        let highest = pids(stand).map(|pid| status(pid, "VmHWM:"));
        println!("{:?}: {what}: {:?} to {highest:?} KiB", stand.kind, self.0);
        for (highest, before) in highest.iter().zip(self.0) {
            assert!(
                *highest < before + growth,
                "{what}: {before} to {highest} KiB"
            );
        }
    }
}

fn pids(stand: &Stand) -> [u32; 2] {
    [stand.gateway.pid(), stand.provider.as_ref().unwrap().pid()]
}

fn status(pid: u32, name: &str) -> u64 {
    let all = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = all
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
