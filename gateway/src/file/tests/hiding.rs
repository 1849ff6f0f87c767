//! A store that refuses what is not there: what is read and appended to is found all the same.

use super::*;

async fn room() -> Room {
    Room::over(LimitArgs::default(), Objects::hiding).await
}

#[tokio::test]
async fn who_reads_while_it_grows_has_what_it_was() {
    let room = room().await;
    room.write(open("/log", How::Replace), b"before")
        .await
        .unwrap();
    let id = room.session.session_id;
    let mut reading = room.files.open(id, "/log", (1, None), "").await.unwrap();
    for _ in 0..3 {
        room.write(open("/log", APPEND), b"more").await.unwrap();
        room.files.sweep(clock::now() + 10_000).await.unwrap();
    }
    assert_eq!(room.objects(), 1, "what the reader had in sight is gone");
    assert_eq!(reading.next().await.unwrap().unwrap(), "efore");
    assert_eq!(reading.next().await.unwrap(), None);
}

#[tokio::test]
async fn who_reads_what_was_replaced_is_told_so() {
    let room = room().await;
    let id = room.session.session_id;
    for deleted in [false, true] {
        room.write(open("/f", How::Replace), b"old").await.unwrap();
        let mut late = room.files.open(id, "/f", (0, None), "").await.unwrap();
        match deleted {
            true => assert!(room.files.delete(id, "/f", false).await.unwrap()),
            false => drop(room.write(open("/f", How::Replace), b"new").await.unwrap()),
        }
        room.files.sweep(i64::MAX).await.unwrap();
        let changed = late.next().await.unwrap_err();
        assert_eq!(changed.reason(), Reason::EtagMismatch);
    }
}

#[tokio::test]
async fn what_is_refused_and_should_be_there_is_told_as_refused() {
    let room = room().await;
    room.write(open("/f", How::Replace), b"old").await.unwrap();
    fs::remove_dir_all(&room.folder).unwrap();
    for refused in [
        room.read("/f", 0, None).await.unwrap_err(),
        room.write(open("/f", APPEND), b"more").await.unwrap_err(),
    ] {
        assert_eq!(refused.reason(), Reason::StoreUnavailable);
        assert!(refused.message().contains("SANDGATE_FILES_OPTIONS"));
    }
}
