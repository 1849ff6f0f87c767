//! Writing, reading, listing and deleting.

use sandgate_proto::{
    Reason,
    v1::{self, Disposition, FileKind, WriteSessionFileOpen, read_session_file_response::Event},
};
use sandgate_system::{Plan, assert_reason, uuid};

use crate::stand::{Storage, alone, content, open};

#[tokio::test]
async fn what_is_written_is_read_and_told() {
    let (storage, _running, _data) = alone(Plan::default()).await;
    for size in [0, 1, 65_536, (4 << 20) + 1] {
        let content = content(size);
        let info = storage.put("a/b.json", &content).await;
        assert_eq!(
            (info.path.as_str(), info.name.as_str()),
            ("/a/b.json", "b.json")
        );
        assert_eq!(
            (info.size, info.content_type.as_str()),
            (size as u64, "application/json")
        );
        assert_eq!(info.sha256.len(), 32);
        assert_eq!(storage.stat("/a/b.json").await.unwrap(), info);
        assert_eq!(storage.get("/a/b.json").await.unwrap(), content);
    }
    let folder = storage.stat("a").await.unwrap();
    assert_eq!(folder.kind(), FileKind::Directory);
    assert!(folder.etag.is_empty() && folder.modify_time.is_none());
    let root = storage.stat("/").await.unwrap();
    assert_eq!(root.kind(), FileKind::Directory);
    assert_reason(
        &storage.get("a").await.unwrap_err(),
        Reason::IsADirectory,
        "choose a file",
    );
    assert_reason(
        &storage.get("b").await.unwrap_err(),
        Reason::FileNotFound,
        "write it first",
    );
    let below = storage.write(open("a/b.json/c"), b"").await.unwrap_err();
    assert_reason(&below, Reason::NotADirectory, "another path");
    let above = storage.write(open("a"), b"").await.unwrap_err();
    assert_reason(&above, Reason::IsADirectory, "choose a file");
}

#[tokio::test]
async fn a_range_is_what_was_asked_for() {
    let (storage, _running, _data) = alone(Plan::default()).await;
    let content = content((4 << 20) + 100);
    let etag = storage.put("f", &content).await.etag;
    let (offset, limit) = ((4 << 20) - 50, 100);
    let request = v1::ReadSessionFileRequest {
        session_id: storage.session_id.clone(),
        path: "f".into(),
        offset,
        limit: Some(limit),
        if_match: etag,
    };
    let read = storage.service().read_session_file(request.clone()).await;
    let mut stream = read.unwrap().into_inner();
    let mut read = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Event::Chunk(chunk)) = message.event {
            assert_eq!(chunk.offset, offset + read.len() as u64);
            read.extend_from_slice(&chunk.data);
        }
    }
    assert_eq!(read, content[offset as usize..(offset + limit) as usize]);
    storage.put("f", b"other").await;
    let changed = storage.service().read_session_file(request.clone()).await;
    assert_reason(&changed.unwrap_err(), Reason::EtagMismatch, "read it again");
    let past = v1::ReadSessionFileRequest {
        if_match: String::new(),
        ..request
    };
    let past = storage.service().read_session_file(past).await;
    assert_reason(&past.unwrap_err(), Reason::OffsetOutOfRange, "read at");
}

#[tokio::test]
async fn a_write_says_what_it_expects() {
    let (storage, _running, _data) = alone(Plan::default()).await;
    let with = |change: fn(&mut WriteSessionFileOpen)| {
        let mut open = open("f");
        change(&mut open);
        open
    };
    let create = with(|open| open.set_disposition(Disposition::Create));
    let first = storage.write(create.clone(), b"one").await.unwrap();
    let again = storage.write(create, b"two").await.unwrap_err();
    assert_reason(&again, Reason::FileExists, "REPLACE");
    let matching = WriteSessionFileOpen {
        if_match: first.etag.clone(),
        ..with(|open| open.set_disposition(Disposition::Append))
    };
    let second = storage.write(matching.clone(), b" two").await.unwrap();
    assert_eq!((second.size, second.sha256.len()), (7, 0));
    assert_eq!(second.create_time, first.create_time);
    let stale = storage.write(matching, b" two").await.unwrap_err();
    assert_reason(&stale, Reason::EtagMismatch, "read it again");
    for wrong in [
        with(|open| open.expected_size = Some(2)),
        with(|open| open.sha256 = vec![0; 32].into()),
    ] {
        let refused = storage.write(wrong, b"three").await.unwrap_err();
        assert_reason(&refused, Reason::ContentMismatch, "send it again");
    }
    for wrong in [
        with(|open| open.path = "a/../b".into()),
        with(|open| open.path.clear()),
        with(|open| open.sha256 = vec![0; 31].into()),
        with(|open| open.disposition = 99),
        with(|open| open.content_type = "text/plain\n".into()),
    ] {
        let refused = storage.write(wrong, b"three").await.unwrap_err();
        assert_reason(&refused, Reason::InvalidField, "");
    }
    assert_eq!(storage.get("f").await.unwrap(), b"one two");
    let typed = with(|open| open.content_type = "text/x-own".into());
    assert_eq!(
        storage.write(typed, b"").await.unwrap().content_type,
        "text/x-own"
    );
}

async fn pages(storage: &Storage, path: &str, depth: u32) -> Vec<String> {
    let mut request = v1::ListSessionFilesRequest {
        session_id: storage.session_id.clone(),
        path: path.to_owned(),
        depth,
        page_size: 2,
        ..Default::default()
    };
    let mut paths = Vec::new();
    loop {
        let listed = storage.service().list_session_files(request.clone()).await;
        let listed = listed.unwrap().into_inner();
        assert!(listed.entries.len() <= 2);
        paths.extend(listed.entries.into_iter().map(|entry| entry.path));
        if listed.next_page_token.is_empty() {
            return paths;
        }
        request.page_token = listed.next_page_token;
    }
}

#[tokio::test]
async fn lists_come_in_pages_and_in_order() {
    let (storage, _running, _data) = alone(Plan::default()).await;
    for path in ["d/e/f", "d-", "d/a", "z", "é"] {
        storage.put(path, b"").await;
    }
    let all = ["/d", "/d-", "/d/a", "/d/e", "/d/e/f", "/z", "/é"];
    assert_eq!(pages(&storage, "", 64).await, all);
    assert_eq!(pages(&storage, "/", 0).await, ["/d", "/d-", "/z", "/é"]);
    assert_eq!(pages(&storage, "d", 1).await, ["/d/a", "/d/e"]);
    let request = v1::ListSessionFilesRequest {
        session_id: storage.session_id.clone(),
        path: "z".into(),
        ..Default::default()
    };
    let file = storage
        .service()
        .list_session_files(request)
        .await
        .unwrap_err();
    assert_reason(&file, Reason::NotADirectory, "another path");
}

#[tokio::test]
async fn a_delete_is_told_and_can_be_repeated() {
    let (storage, _running, _data) = alone(Plan::default()).await;
    storage.put("d/a", b"1").await;
    storage.put("d/b/c", b"2").await;
    let delete = |path: &str, recursive, request_id: &str| v1::DeleteSessionFileRequest {
        session_id: storage.session_id.clone(),
        request_id: request_id.to_owned(),
        path: path.to_owned(),
        recursive,
        ..Default::default()
    };
    let mut service = storage.service();
    let whole = service.delete_session_file(delete("d", false, "")).await;
    assert_reason(&whole.unwrap_err(), Reason::DirectoryNotEmpty, "recursive");
    let id = uuid();
    for _ in 0..2 {
        service
            .delete_session_file(delete("d/a", false, &id))
            .await
            .unwrap();
    }
    let other = service.delete_session_file(delete("d", true, &id)).await;
    assert_reason(&other.unwrap_err(), Reason::RequestIdReused, "");
    let missing = service.delete_session_file(delete("d/a", false, "")).await;
    assert_reason(&missing.unwrap_err(), Reason::FileNotFound, "");
    let missing = v1::DeleteSessionFileRequest {
        allow_missing: true,
        ..delete("d/a", false, "")
    };
    service.delete_session_file(missing).await.unwrap();
    service
        .delete_session_file(delete("d", true, ""))
        .await
        .unwrap();
    assert!(storage.paths().await.is_empty());
}
