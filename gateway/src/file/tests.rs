//! Session files over a store and a folder of their own.

mod bounds;
mod hiding;

use std::{fs, path::PathBuf, sync::Arc};

use bytes::Bytes;
use sandgate_proto::Reason;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;
use crate::{
    agent::Agents,
    config::FilesPlace,
    fleet::{Access, Fleet, Runtimes},
    session::Capabilities,
    store::{How, SqliteStore},
};

struct Room {
    files: Arc<Files>,
    session: SessionRecord,
    folder: PathBuf,
    tasks: TaskTracker,
    _data: TempDir,
}

impl Room {
    async fn new(limits: LimitArgs) -> Self {
        Self::over(limits, |objects| objects).await
    }

    /// `changed`: what becomes of the folder that the objects are in.
    async fn over(limits: LimitArgs, changed: impl FnOnce(Objects) -> Objects) -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&data.path().join("db")).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let session = SessionRecord::new(Uuid::new_v4(), "acme".into(), "ann".into(), clock::now());
        store.insert_session(&session).await.unwrap();
        let runtimes = Runtimes {
            own: Handle::current(),
            workers: Vec::new(),
        };
        let fleet = Fleet::new(&[], &Access::default(), &runtimes).unwrap();
        let offer = Arc::new(Capabilities::new(&fleet, None));
        let agents = Arc::new(Agents::new(store.clone(), offer.clone()));
        let sessions = Arc::new(Sessions::new(store.clone(), offer, agents));
        let folder = data.path().join("files");
        let objects = changed(Objects::open(&FilesPlace::Folder(folder.clone())).unwrap());
        let tasks = TaskTracker::new();
        let files = Files::new(store, sessions, objects, limits, tasks.clone());
        Self {
            files: Arc::new(files),
            session,
            folder,
            tasks,
            _data: data,
        }
    }

    async fn write(&self, open: Open, content: &[u8]) -> Result<FileRecord> {
        let mut writing = self.files.write(self.session.clone(), open).await?;
        for piece in content.chunks(1 << 20) {
            writing.push(Bytes::copy_from_slice(piece)).await?;
        }
        writing.finish().await
    }

    async fn read(&self, path: &str, offset: u64, limit: Option<u64>) -> Result<Vec<u8>> {
        let id = self.session.session_id;
        let mut reading = self.files.open(id, path, (offset, limit), "").await?;
        let mut content = Vec::new();
        while let Some(data) = reading.next().await? {
            content.extend_from_slice(&data);
        }
        Ok(content)
    }

    /// Objects that are in the folder.
    fn objects(&self) -> usize {
        self.sizes().len()
    }

    /// Bytes of each of them.
    fn sizes(&self) -> Vec<u64> {
        let folders = fs::read_dir(&self.folder).unwrap();
        let inside = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
        inside
            .map(|object| object.unwrap().metadata().unwrap().len())
            .collect()
    }
}

fn open(path: &str, how: How) -> Open {
    Open {
        how,
        ..Open::replace(path.to_owned())
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + at / 251) as u8).collect()
}

const APPEND: How = How::Append { instead_of: None };

#[tokio::test]
async fn what_was_written_is_read_whole_and_in_ranges() {
    let room = Room::new(LimitArgs::default()).await;
    for size in [0, 1, PART - 1, PART, PART + 1, 2 * PART + 5] {
        let content = content(size);
        let file = room
            .write(open("/f", How::Replace), &content)
            .await
            .unwrap();
        assert_eq!(file.size, size as i64);
        assert_eq!(file.sha256, Sha256::digest(&content).to_vec());
        assert_eq!(room.read("/f", 0, None).await.unwrap(), content);
        let (from, most) = (size as u64 / 3, size as u64 / 2);
        let range = &content[from as usize..(from + most) as usize];
        assert_eq!(room.read("/f", from, Some(most)).await.unwrap(), range);
        assert_eq!(room.read("/f", size as u64, None).await.unwrap(), b"");
        let past = room.read("/f", size as u64 + 1, None).await.unwrap_err();
        assert_eq!(past.reason(), Reason::OffsetOutOfRange);
    }
}

#[tokio::test]
async fn a_broken_write_leaves_the_old_file_and_no_object() {
    let room = Room::new(LimitArgs::default()).await;
    room.write(open("/f", How::Replace), b"old").await.unwrap();
    let session = room.session.clone();
    let mut writing = room
        .files
        .write(session, open("/f", How::Replace))
        .await
        .unwrap();
    writing.push(content(PART + 9).into()).await.unwrap();
    assert_eq!(room.objects(), 2);
    drop(writing);
    room.tasks.close();
    room.tasks.wait().await;
    assert_eq!(room.files.sweep(clock::now()).await.unwrap(), 1);
    assert_eq!(room.objects(), 1);
    assert_eq!(room.read("/f", 0, None).await.unwrap(), b"old");
}

#[tokio::test]
async fn what_is_not_as_announced_is_not_written() {
    let room = Room::new(LimitArgs::default()).await;
    let announced = |size, sha256: &[u8]| Open {
        expected_size: size,
        sha256: sha256.to_vec(),
        ..Open::replace("/f".into())
    };
    for wrong in [
        announced(Some(4), b""),
        announced(Some(6), b""),
        announced(None, &[0; 32]),
    ] {
        let problem = room.write(wrong, b"hello").await.unwrap_err();
        assert_eq!(problem.reason(), Reason::ContentMismatch);
    }
    let missing = room.read("/f", 0, None).await.unwrap_err();
    assert_eq!(missing.reason(), Reason::FileNotFound);
    let sum = Sha256::digest(b"hello");
    room.write(announced(Some(5), &sum), b"hello")
        .await
        .unwrap();
}

#[tokio::test]
async fn many_small_appends_by_many_make_few_parts_and_lose_nothing() {
    let room = Arc::new(Room::new(LimitArgs::default()).await);
    let writers = (0..4).map(|writer| {
        let room = room.clone();
        tokio::spawn(async move {
            for line in 0..5 {
                let line = format!("{writer}:{line}\n");
                room.write(open("/log", APPEND), line.as_bytes())
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let all = String::from_utf8(room.read("/log", 0, None).await.unwrap()).unwrap();
    let mut lines: Vec<_> = all.lines().collect();
    assert_eq!(lines.len(), 20);
    for writer in 0..4 {
        let own = lines
            .iter()
            .filter(|line| line.starts_with(&format!("{writer}:")));
        assert!(own.is_sorted(), "{all}");
    }
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 20);
    let id = room.session.session_id;
    let (_, parts) = room
        .files
        .store
        .file_with_parts(id, "/log")
        .await
        .unwrap()
        .unwrap();
    // Those who saw no file yet may each have made one.
    assert!(parts.len() <= 4, "{}", parts.len());
    let large = content(PART + 1);
    room.write(open("/log", APPEND), &large).await.unwrap();
    let all = room.read("/log", 0, None).await.unwrap();
    assert!(all.ends_with(&large) && all.len() == 80 + large.len());
}

#[tokio::test]
async fn who_reads_while_it_is_replaced_has_the_old_or_an_error() {
    let room = Room::new(LimitArgs::default()).await;
    room.write(open("/f", How::Replace), &content(PART + 1))
        .await
        .unwrap();
    let id = room.session.session_id;
    let mut reading = room.files.open(id, "/f", (0, None), "").await.unwrap();
    let mut late = room.files.open(id, "/f", (0, None), "").await.unwrap();
    room.write(open("/f", How::Replace), b"new").await.unwrap();
    assert_eq!(room.files.sweep(clock::now()).await.unwrap(), 0, "not yet");
    let mut size = 0;
    while let Some(data) = reading.next().await.unwrap() {
        size += data.len();
    }
    assert_eq!(size, PART + 1);
    late.next().await.unwrap();
    assert_eq!(room.files.sweep(i64::MAX).await.unwrap(), 2);
    assert_eq!(
        late.next().await.unwrap_err().reason(),
        Reason::EtagMismatch
    );
    assert_eq!(room.read("/f", 0, None).await.unwrap(), b"new");
    // Somebody has removed what is not theirs: never an empty file.
    fs::remove_dir_all(&room.folder).unwrap();
    let damaged = room.read("/f", 0, None).await.unwrap_err();
    assert_eq!(damaged.reason(), Reason::StoreDamaged);
}

#[tokio::test]
async fn limits_hold_before_all_of_it_has_come() {
    let limits = LimitArgs {
        quota_session_bytes: Some(PART as u64 + 10),
        session_file_bytes: Some(2 * PART as u64),
        quota_session_files: Some(2),
        ..LimitArgs::default()
    };
    let room = Room::new(limits).await;
    let reason = |problem: Problem| (problem.reason(), problem.fact("limit").map(str::to_owned));
    let large = Open {
        expected_size: Some(2 * PART as u64 + 1),
        ..Open::replace("/f".into())
    };
    let refused = room.write(large, b"").await.unwrap_err();
    assert_eq!(refused.reason(), Reason::FileTooLarge);
    let refused = room
        .write(open("/f", How::Replace), &content(2 * PART + 1))
        .await;
    assert_eq!(refused.unwrap_err().reason(), Reason::QuotaExceeded);
    room.tasks.close();
    room.tasks.wait().await;
    assert_eq!(room.files.sweep(clock::now()).await.unwrap(), 1);
    room.write(open("/f", How::Replace), &content(PART))
        .await
        .unwrap();
    room.write(open("/f", How::Replace), &content(PART + 10))
        .await
        .unwrap();
    let over = room
        .write(open("/g", How::Replace), b"x")
        .await
        .unwrap_err();
    assert_eq!(
        reason(over),
        (Reason::QuotaExceeded, Some("session_bytes".into()))
    );
    room.write(open("/g", How::Replace), b"").await.unwrap();
    let many = room.write(open("/h", How::Replace), b"").await.unwrap_err();
    assert_eq!(
        reason(many),
        (Reason::QuotaExceeded, Some("session_files".into()))
    );
    assert!(
        room.files
            .delete(room.session.session_id, "/f", false)
            .await
            .unwrap()
    );
    room.write(open("/h", How::Replace), b"x").await.unwrap();
}

#[tokio::test]
async fn a_session_takes_its_objects_along() {
    let room = Room::new(LimitArgs::default()).await;
    room.write(open("/a/b", How::Replace), b"1").await.unwrap();
    room.write(open("/c", How::Replace), b"2").await.unwrap();
    assert_eq!(room.objects(), 2);
    room.files.forget_session(&room.session).await.unwrap();
    assert_eq!(room.files.sweep(clock::now()).await.unwrap(), 2);
    assert_eq!(room.objects(), 0);
}

#[tokio::test]
async fn what_comes_slowly_is_put_in_time_though_it_is_no_whole_part() {
    let room = Room::new(LimitArgs::default()).await;
    let open = Open::replace("/slow".into());
    let mut writing = room.files.write(room.session.clone(), open).await.unwrap();
    let push = |size| Bytes::from(vec![7; size]);
    writing.push(push(PART + 1)).await.unwrap();
    writing.push(push(1)).await.unwrap();
    assert_eq!(room.objects(), 1);
    writing.put_at -= write::SLOW;
    writing.push(push(1)).await.unwrap();
    assert_eq!(room.objects(), 2, "a sign of life");
    writing.push(push(1)).await.unwrap();
    let file = writing.finish().await.unwrap();
    assert_eq!((file.size, room.objects()), ((PART + 4) as i64, 3));
    let read = room.read("/slow", PART as u64 - 1, None).await.unwrap();
    assert_eq!(read, [7; 5]);
}
