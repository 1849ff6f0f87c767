//! Two gateways on one database and one folder.

use std::time::Duration;

use sandgate_proto::{
    Reason,
    v1::{Disposition, TransferResult, UploadToSandboxRequest, upload_to_sandbox_response::Event},
};
use sandgate_system::{Binary, Tap, assert_reason, uuid};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::sleep};
use tonic::Status;

use crate::stand::{Local, Storage, codes, content, gateway, open};

#[tokio::test]
async fn both_see_what_either_writes() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = ([127, 0, 0, 1], 1).into();
    let one = gateway(nobody, folder.path()).await;
    let other = gateway(nobody, folder.path()).await;
    let here = Storage::at(one.address()).await;
    let there = here.by(other.address()).await;
    let content = content(5 << 20);
    let info = here.put("f", &content).await;
    assert_eq!(there.stat("f").await.unwrap(), info);
    assert_eq!(there.get("f").await.unwrap(), content);
    let writers = (0..10).map(|number| {
        let storage = if number % 2 == 0 {
            here.clone()
        } else {
            there.clone()
        };
        tokio::spawn(async move {
            let mut append = open("log");
            append.set_disposition(Disposition::Append);
            storage
                .write(append, format!("{number}\n").as_bytes())
                .await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    let log = String::from_utf8(there.get("log").await.unwrap()).unwrap();
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
}

/// Two gateways on the same store, and a provider whose calls are seen.
struct Pair {
    local: Local,
    tap: Tap,
    one: Option<Binary>,
    here: Storage,
    there: Storage,
    sandbox_id: String,
    _other: Binary,
    _folder: TempDir,
}

impl Pair {
    async fn start() -> Self {
        let (local, folder) = (Local::start().await, tempfile::tempdir().unwrap());
        let tap = Tap::to(local.binary.address()).await;
        let one = gateway(tap.address(), folder.path()).await;
        let other = gateway(tap.address(), folder.path()).await;
        let here = Storage::at(one.address()).await;
        let there = here.by(other.address()).await;
        let sandbox_id = here.sandbox().await;
        here.put("a", b"content").await;
        Self {
            local,
            tap,
            one: Some(one),
            here,
            there,
            sandbox_id,
            _other: other,
            _folder: folder,
        }
    }

    fn writes(&self) -> usize {
        self.tap.seen("WriteFile").len()
    }
}

type Copy = JoinHandle<Result<TransferResult, Status>>;

/// A copy that somebody waits for.
fn uploading(storage: &Storage, request: &UploadToSandboxRequest) -> Copy {
    let (storage, request) = (storage.clone(), request.clone());
    tokio::spawn(async move { storage.uploaded(request).await })
}

/// The same, once its gateway has claimed it and sent something.
async fn at_work(storage: &Storage, request: &UploadToSandboxRequest) -> Copy {
    let copy = storage.service().upload_to_sandbox(request.clone()).await;
    let mut copy = copy.unwrap().into_inner();
    loop {
        match copy.message().await.unwrap().unwrap().event.unwrap() {
            Event::Progress(now) if now.bytes > 0 => break,
            Event::Progress(_) | Event::KeepAlive(_) => {}
            Event::Result(result) => panic!("{result:?}"),
        }
    }
    tokio::spawn(async move {
        while let Some(message) = copy.message().await? {
            if let Some(Event::Result(result)) = message.event {
                return Ok(result);
            }
        }
        panic!("a clean end without a result")
    })
}

#[tokio::test]
async fn a_copy_is_joined_from_the_other_gateway() {
    let pair = Pair::start().await;
    let files = [("a", "a"), ("none", "b"), ("a", "c")];
    let request = pair.here.upload(&pair.sandbox_id, &uuid(), &files);
    // It cannot get far while nobody answers.
    pair.local.binary.freeze();
    let first = at_work(&pair.here, &request).await;
    let second = uploading(&pair.there, &request);
    sleep(Duration::from_secs(3)).await;
    assert!(!first.is_finished() && !second.is_finished());
    let mut different = request.clone();
    different.files.pop();
    let reused = pair.there.uploaded(different).await.unwrap_err();
    assert_reason(&reused, Reason::RequestIdReused, "");
    // The same bytes mean something else there.
    let backwards = pair
        .there
        .downloaded(&pair.sandbox_id, &request.request_id, &files);
    let reused = backwards.await.unwrap_err();
    assert_reason(&reused, Reason::RequestIdReused, "");
    pair.local.binary.thaw();
    let result = first.await.unwrap().unwrap();
    assert_eq!(second.await.unwrap().unwrap(), result);
    assert_eq!(codes(&result), ["", "FILE_NOT_FOUND", ""]);
    assert_eq!(pair.writes(), 2, "the other only waited");
}

#[tokio::test]
async fn who_waits_for_a_gateway_that_dies_goes_on_in_its_place() {
    let mut pair = Pair::start().await;
    let files = [("a", "a"), ("a", "b")];
    let request = pair.here.upload(&pair.sandbox_id, &uuid(), &files);
    pair.local.binary.freeze();
    let first = at_work(&pair.here, &request).await;
    let second = uploading(&pair.there, &request);
    sleep(Duration::from_secs(2)).await;
    assert!(!second.is_finished());
    drop(pair.one.take());
    assert!(first.await.unwrap().is_err());
    pair.local.binary.thaw();
    assert_eq!(codes(&second.await.unwrap().unwrap()), ["", ""]);
    for path in ["a", "b"] {
        let there = pair.there.get_from(&pair.sandbox_id, path).await;
        assert_eq!(there.unwrap(), b"content");
    }
}
