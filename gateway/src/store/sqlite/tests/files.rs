//! Files of sessions: one transaction for each write, and no object out of sight.

use super::*;
use crate::store::{
    FilePage, FileStore as _, FileWrite, How, NewPart, PartRecord, Removed, Reserved, Unsure,
    Written,
};

struct Room {
    store: SqliteStore,
    session: SessionRecord,
    _folder: TempDir,
}

fn part(session: &SessionRecord, content_id: Uuid, place: i64, size: i64) -> PartRecord {
    PartRecord {
        object_key: Uuid::new_v4().simple().to_string(),
        session_id: session.session_id,
        content_id,
        place,
        size,
    }
}

impl Room {
    async fn new() -> Self {
        let (store, folder) = store().await;
        let session = session("u", 1);
        store.insert_session(&session).await.unwrap();
        Self {
            store,
            session,
            _folder: folder,
        }
    }

    async fn reserve(&self, part: PartRecord, due_time: i64, most: Option<u64>) -> Reserved {
        let new = NewPart {
            part,
            org_id: "org".into(),
            due_time,
            most_bytes: most,
        };
        self.store.reserve_part(&new).await.unwrap()
    }

    /// A write whose parts have these sizes, which are noted.
    async fn write(&self, path: &str, sizes: &[i64]) -> FileWrite {
        let content_id = Uuid::new_v4();
        for (place, size) in sizes.iter().enumerate() {
            let part = part(&self.session, content_id, place as i64, *size);
            let reserved = self.reserve(part, 100, None).await;
            assert_eq!(reserved, Reserved::Done);
        }
        FileWrite {
            session_id: self.session.session_id,
            org_id: "org".into(),
            path: path.into(),
            content_id,
            parts: sizes.len() as i64,
            size: sizes.iter().sum(),
            sha256: vec![1; 32],
            etag: Uuid::new_v4().to_string(),
            content_type: "text/plain".into(),
            keeps_type: true,
            now: 5,
            due_time: 50,
            how: How::Replace,
            if_match: String::new(),
            most_bytes: None,
            most_files: 10,
            most_file_bytes: 1000,
        }
    }

    async fn done(&self, write: &FileWrite) -> crate::store::FileRecord {
        match self.store.write_file(write).await.unwrap() {
            Written::Done(file) => file,
            other => panic!("{other:?}"),
        }
    }

    async fn put(&self, path: &str, sizes: &[i64]) -> crate::store::FileRecord {
        self.done(&self.write(path, sizes).await).await
    }

    async fn paths(&self, folder: &str, depth: i64, after: &str, limit: u32) -> Vec<String> {
        let page = FilePage {
            session_id: self.session.session_id,
            folder: folder.into(),
            depth,
            after: after.into(),
            limit,
        };
        let rows = self.store.list_files(&page).await.unwrap();
        rows.into_iter().map(|row| row.path).collect()
    }

    async fn due(&self, now: i64) -> usize {
        self.store
            .due_parts(now, now + 60, 1000)
            .await
            .unwrap()
            .len()
    }

    async fn sizes(&self, path: &str) -> Vec<i64> {
        let id = self.session.session_id;
        let (_, parts) = self.store.file_with_parts(id, path).await.unwrap().unwrap();
        parts.into_iter().map(|part| part.size).collect()
    }
}

#[tokio::test]
async fn a_write_is_known_as_a_whole_and_frees_what_it_replaces() {
    let room = Room::new().await;
    let first = room.write("/a/b", &[4, 3]).await;
    let id = room.session.session_id;
    assert_eq!(room.store.file(id, "/a/b").await.unwrap(), None, "not yet");
    let file = room.done(&first).await;
    assert_eq!((file.size, file.create_time, file.is_folder), (7, 5, false));
    assert_eq!(room.store.file(id, "/a/b").await.unwrap(), Some(file));
    assert_eq!(room.sizes("/a/b").await, [4, 3]);
    assert!(room.store.file(id, "/a").await.unwrap().unwrap().is_folder);
    assert_eq!(room.due(1000).await, 0);
    let mut second = room.write("/a/b", &[9]).await;
    second.now = 8;
    let file = room.done(&second).await;
    assert_eq!((file.size, file.create_time, file.modify_time), (9, 5, 8));
    assert_eq!((room.due(49).await, room.due(50).await), (0, 2));
    assert_eq!(room.store.file_bytes_of_org("org").await.unwrap(), 9);
}

#[tokio::test]
async fn what_comes_behind_keeps_what_is_there() {
    let room = Room::new().await;
    room.put("/log", &[4]).await;
    let behind = |write: FileWrite, instead_of| FileWrite {
        how: How::Append { instead_of },
        content_type: "guessed".into(),
        ..write
    };
    let write = behind(room.write("/log", &[6, 2]).await, None);
    let file = room.done(&write).await;
    assert_eq!((file.size, file.content_type.as_str()), (12, "text/plain"));
    assert!(file.sha256.is_empty(), "nobody has read all of it");
    let id = room.session.session_id;
    let (_, parts) = room
        .store
        .file_with_parts(id, "/log")
        .await
        .unwrap()
        .unwrap();
    let last = parts.last().unwrap().object_key.clone();
    let write = behind(room.write("/log", &[5]).await, Some(last.clone()));
    assert_eq!(room.done(&write).await.size, 15);
    assert_eq!(room.sizes("/log").await, [4, 6, 5]);
    // Two who had the same end in sight: the second has to look again.
    let write = behind(room.write("/log", &[5]).await, Some(last));
    let refused = room.store.write_file(&write).await.unwrap();
    assert_eq!(refused, Written::TailChanged);
    assert_eq!(room.sizes("/log").await, [4, 6, 5]);
    let nothing = behind(room.write("/log", &[]).await, None);
    assert_eq!(room.done(&nothing).await.size, 15);
    let new = behind(room.write("/new", &[3]).await, None);
    assert_eq!(room.done(&new).await.sha256, [1; 32]);
}

#[tokio::test]
async fn what_is_in_the_way_is_told_and_nothing_is_done() {
    let room = Room::new().await;
    let there = room.put("/a/b", &[1]).await;
    for (path, how, if_match, refused) in [
        ("/a/b", How::Create, "", Written::Exists),
        ("/a/b", How::Replace, "x", Written::EtagMismatch),
        ("/n", How::Replace, "x", Written::EtagMismatch),
        ("/a", How::Replace, "", Written::IsAFolder),
        (
            "/a/b/c/d",
            How::Replace,
            "",
            Written::NotAFolder("/a/b".into()),
        ),
    ] {
        let mut write = room.write(path, &[1]).await;
        (write.how, write.if_match) = (how, if_match.into());
        let written = room.store.write_file(&write).await.unwrap();
        assert_eq!(written, refused, "{path}");
    }
    assert_eq!(room.paths("/", 64, "", 10).await, ["/a", "/a/b"]);
    let mut same = room.write("/a/b", &[1]).await;
    same.if_match = there.etag;
    assert_eq!(room.done(&same).await.size, 1);
}

#[tokio::test]
async fn what_is_too_much_is_told_and_nothing_is_done() {
    let room = Room::new().await;
    room.put("/a", &[1]).await;
    type Change = fn(&mut FileWrite);
    let cases: [(Change, Written); 4] = [
        (|write| write.most_file_bytes = 0, Written::TooLarge),
        (|write| write.most_bytes = Some(1), Written::OverBytes),
        (|write| write.most_files = 1, Written::OverFiles),
        (|write| write.parts = 2, Written::PartsGone),
    ];
    for (change, refused) in cases {
        let mut write = room.write("/n", &[1]).await;
        change(&mut write);
        assert_eq!(room.store.write_file(&write).await.unwrap(), refused);
    }
    assert_eq!(room.paths("/", 64, "", 10).await, ["/a"]);
    let mut full = room.write("/a", &[1]).await;
    (full.most_bytes, full.most_files) = (Some(1), 1);
    assert_eq!(
        room.done(&full).await.size,
        1,
        "it takes no more than before"
    );
}

#[tokio::test]
async fn of_writers_at_the_same_time_no_more_get_in_than_fit() {
    let room = std::sync::Arc::new(Room::new().await);
    let writers = (0..10).map(|number| {
        let room = room.clone();
        tokio::spawn(async move {
            let write = room.write(&format!("/{number}"), &[30]).await;
            let write = FileWrite {
                most_bytes: Some(100),
                ..write
            };
            room.store.write_file(&write).await.unwrap()
        })
    });
    let mut done = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Written::Done(_) => done += 1,
            refused => assert_eq!(refused, Written::OverBytes),
        }
    }
    assert_eq!(done, 3);
    assert_eq!(room.store.file_bytes_of_org("org").await.unwrap(), 90);
}

#[tokio::test]
async fn lists_are_in_the_order_of_bytes_whole_or_in_pages() {
    let room = Room::new().await;
    for path in [
        "/b", "/a/x", "/a-b", "/a/y/z", "/a!/q", "/ä", "/c/d/e/f", "/A",
    ] {
        room.put(path, &[]).await;
    }
    let all = [
        "/A", "/a", "/a!", "/a!/q", "/a-b", "/a/x", "/a/y", "/a/y/z", "/b", "/c", "/c/d", "/c/d/e",
        "/c/d/e/f", "/ä",
    ];
    assert_eq!(room.paths("/", 64, "", 100).await, all);
    let top = ["/A", "/a", "/a!", "/a-b", "/b", "/c", "/ä"];
    assert_eq!(room.paths("/", 1, "", 100).await, top);
    assert_eq!(room.paths("/a", 1, "", 100).await, ["/a/x", "/a/y"]);
    assert_eq!(room.paths("/c", 2, "", 100).await, ["/c/d", "/c/d/e"]);
    for depth in [1, 64] {
        let (mut pages, mut after) = (Vec::new(), String::new());
        loop {
            let page = room.paths("/", depth, &after, 3).await;
            let Some(last) = page.last() else { break };
            after.clone_from(last);
            pages.extend(page);
        }
        let whole: &[&str] = if depth == 1 { &top } else { &all };
        assert_eq!(pages, whole);
    }
}

#[tokio::test]
async fn folders_go_with_their_last_file() {
    let room = Room::new().await;
    let id = room.session.session_id;
    for path in ["/a/b/c", "/a/b/d", "/a/e", "/a-x", "/f"] {
        room.put(path, &[1]).await;
    }
    let remove = |path: &'static str, recursive| room.store.remove_files(id, path, recursive, 70);
    assert_eq!(remove("/a", false).await.unwrap(), Removed::IsAFolder);
    assert_eq!(remove("/none", true).await.unwrap(), Removed::Missing);
    assert_eq!(remove("/a/b/c", false).await.unwrap(), Removed::Done(1));
    assert!(room.store.file(id, "/a/b").await.unwrap().is_some());
    assert_eq!(remove("/a/b/d", true).await.unwrap(), Removed::Done(1));
    assert_eq!(
        room.paths("/", 9, "", 9).await,
        ["/a", "/a-x", "/a/e", "/f"]
    );
    assert_eq!(remove("/a", true).await.unwrap(), Removed::Done(1));
    assert_eq!(room.paths("/", 9, "", 9).await, ["/a-x", "/f"]);
    assert_eq!(remove("/", true).await.unwrap(), Removed::Done(2));
    assert_eq!(room.paths("/", 9, "", 9).await, [""; 0]);
    assert_eq!((room.due(69).await, room.due(70).await), (0, 5));
}

#[tokio::test]
async fn what_is_due_belongs_to_no_write_any_more() {
    let room = Room::new().await;
    let write = room.write("/a", &[1, 2]).await;
    // Each part that comes keeps those before it.
    let next = part(&room.session, write.content_id, 2, 3);
    assert_eq!(room.reserve(next, 200, None).await, Reserved::Done);
    let write = FileWrite {
        parts: 3,
        size: 6,
        ..write
    };
    assert_eq!(room.due(150).await, 0);
    let due = room.store.due_parts(200, 900, 2).await.unwrap();
    assert_eq!(due.len(), 2);
    let refused = room.store.write_file(&write).await.unwrap();
    assert_eq!(refused, Written::PartsGone);
    let keys: Vec<_> = due.into_iter().map(|part| part.object_key).collect();
    room.store.drop_parts(&keys).await.unwrap();
    assert_eq!(
        room.due(1000).await,
        1,
        "the others stay until they are gone"
    );
    let given_up = room.write("/a", &[1]).await;
    room.store
        .abandon_parts(given_up.content_id, 3, None)
        .await
        .unwrap();
    assert_eq!(room.due(3).await, 1);
    let kept = room.put("/a", &[1]).await;
    let (id, _) = (room.session.session_id, kept);
    let (_, parts) = room.store.file_with_parts(id, "/a").await.unwrap().unwrap();
    room.store
        .drop_parts(&[parts[0].object_key.clone()])
        .await
        .unwrap();
    assert_eq!(
        room.sizes("/a").await,
        [1],
        "a file's own part is never dropped"
    );
}

#[tokio::test]
async fn a_deleted_session_takes_nothing_and_leaves_nothing() {
    let room = Room::new().await;
    room.put("/a", &[1, 2]).await;
    let late = room.write("/b", &[4]).await;
    let id = room.session.session_id;
    room.store.delete_session(id, 9, 9, None).await.unwrap();
    assert_eq!(
        room.store.write_file(&late).await.unwrap(),
        Written::NoSession
    );
    let part = part(&room.session, Uuid::new_v4(), 0, 1);
    assert_eq!(room.reserve(part, 100, None).await, Reserved::NoSession);
    room.store.remove_files_of_session(id, 9).await.unwrap();
    assert_eq!(room.store.file_bytes_of_org("org").await.unwrap(), 0);
    assert_eq!((room.due(9).await, room.due(100).await), (2, 3));
}

#[tokio::test]
async fn objects_take_twice_what_may_be_kept_and_no_more() {
    let room = Room::new().await;
    let one = |size| part(&room.session, Uuid::new_v4(), 0, size);
    room.put("/a", &[60, 40]).await;
    let replaced = room.put("/a", &[100]).await;
    let full = room.reserve(one(1), 100, Some(100)).await;
    assert_eq!(
        full,
        Reserved::Full(Some(50)),
        "when what was replaced goes"
    );
    assert_eq!(room.reserve(one(1), 100, None).await, Reserved::Done);
    // The limit was lowered: all of it may be replaced still.
    assert_eq!(
        room.reserve(one(1), 100, Some(10)).await,
        Reserved::Full(Some(50))
    );
    let due = room.store.due_parts(50, 60, 10).await.unwrap();
    assert_eq!(
        room.reserve(one(1), 100, Some(10)).await,
        Reserved::Full(Some(60))
    );
    let keys: Vec<_> = due.into_iter().map(|part| part.object_key).collect();
    room.store.drop_parts(&keys).await.unwrap();
    assert_eq!(room.reserve(one(99), 100, Some(10)).await, Reserved::Done);
    assert_eq!(
        room.reserve(one(1), 100, Some(10)).await,
        Reserved::Full(Some(100))
    );
    assert_eq!(
        room.store.file_bytes_of_org("org").await.unwrap(),
        replaced.size
    );
}

#[tokio::test]
async fn organisations_have_room_of_their_own() {
    let room = Room::new().await;
    let one = |size| part(&room.session, Uuid::new_v4(), 0, size);
    assert_eq!(room.reserve(one(20), 100, Some(10)).await, Reserved::Done);
    let other = NewPart {
        part: one(20),
        org_id: "other".into(),
        due_time: 100,
        most_bytes: Some(10),
    };
    assert_eq!(
        room.store.reserve_part(&other).await.unwrap(),
        Reserved::Done
    );
    let other = NewPart {
        part: one(21),
        org_id: "third".into(),
        ..other
    };
    let never = room.store.reserve_part(&other).await.unwrap();
    assert_eq!(
        never,
        Reserved::Full(None),
        "nothing goes that could make room"
    );
}

#[tokio::test]
async fn what_may_still_come_stays_noted_for_longer() {
    let room = Room::new().await;
    let write = room.write("/a", &[1, 2]).await;
    let last = part(&room.session, write.content_id, 2, 3);
    let unsure = Unsure {
        object_key: last.object_key.clone(),
        due_time: 80,
    };
    assert_eq!(room.reserve(last, 100, None).await, Reserved::Done);
    let abandoned = room.store.abandon_parts(write.content_id, 5, Some(&unsure));
    abandoned.await.unwrap();
    let due = room.store.due_parts(79, 900, 10).await.unwrap();
    assert_eq!(due.len(), 2);
    assert!(due.iter().all(|part| part.object_key != unsure.object_key));
    assert_eq!(room.due(80).await, 1);
}

/// Counts are what they count, whatever was done.
#[tokio::test]
async fn counts_are_right_after_every_kind_of_change() {
    let room = Room::new().await;
    for (path, sizes) in [
        ("/a/b", &[3, 4][..]),
        ("/a/c", &[5]),
        ("/d", &[]),
        ("/a/b", &[9]),
    ] {
        room.put(path, sizes).await;
    }
    let write = room.write("/a/c", &[2]).await;
    room.done(&FileWrite {
        how: How::Append { instead_of: None },
        ..write
    })
    .await;
    room.put("/gone/x", &[7]).await;
    let id = room.session.session_id;
    room.store
        .remove_files(id, "/gone", true, 70)
        .await
        .unwrap();
    room.store.remove_files(id, "/d", false, 70).await.unwrap();
    let due = room.store.due_parts(60, 900, 10).await.unwrap();
    assert_eq!(due.len(), 2, "of the first /a/b");
    let keys: Vec<_> = due.into_iter().map(|part| part.object_key).collect();
    room.store.drop_parts(&keys).await.unwrap();
    let counts = || async {
        let row = sqlx::query_as::<_, (i64, i64, i64)>(
            "SELECT kept, stored, COALESCE((SELECT SUM(files) FROM session_file_counts), 0)
             FROM org_file_bytes WHERE org_id = 'org'",
        );
        row.fetch_one(&room.store.writer).await.unwrap()
    };
    assert_eq!(counts().await, (16, 23, 2));
    room.store.remove_files_of_session(id, 70).await.unwrap();
    assert_eq!(counts().await, (0, 23, 0));
    assert_eq!(room.due(70).await, 4);
}
