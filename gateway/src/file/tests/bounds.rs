//! What session files take on the disk, and for how long.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use tokio::{runtime, time::sleep};

use super::*;

const MINUTE: i64 = 60_000;

fn quota(bytes: u64) -> LimitArgs {
    LimitArgs {
        quota_session_bytes: Some(bytes),
        ..LimitArgs::default()
    }
}

impl Room {
    fn bytes(&self) -> u64 {
        self.sizes().iter().sum()
    }
}

#[tokio::test]
async fn who_replaces_in_a_loop_takes_twice_the_quota_and_no_more() {
    let room = Room::new(quota(100_000)).await;
    let file = content(60_000);
    let mut refused = None;
    for _ in 0..5 {
        match room.write(open("/f", How::Replace), &file).await {
            Ok(_) => assert!(refused.is_none(), "nothing has become free"),
            Err(problem) => refused = Some(problem),
        }
        assert!(room.bytes() <= 200_000, "{}", room.bytes());
    }
    let refused = refused.expect("there was room for all of it");
    assert_eq!(refused.reason(), Reason::QuotaExceeded);
    assert_eq!(refused.fact("limit"), Some("session_bytes"));
    let wait = refused.retry_delay().unwrap();
    let quarter = Duration::from_secs(14 * 60)..Duration::from_secs(16 * 60);
    assert!(quarter.contains(&wait), "{wait:?}");
    assert_eq!(room.read("/f", 0, None).await.unwrap(), file);
    let later = clock::now() + 15 * MINUTE;
    room.files.sweep(later).await.unwrap();
    assert_eq!(room.bytes(), 60_000);
    room.write(open("/f", How::Replace), &file).await.unwrap();
}

#[tokio::test]
async fn writers_that_do_not_end_share_the_room() {
    let room = Room::new(quota(PART as u64)).await;
    let mut open_writes = Vec::new();
    let mut refused = 0;
    for number in 0..5 {
        let path = format!("/{number}");
        let writing = room
            .files
            .write(room.session.clone(), open(&path, How::Replace));
        let mut writing = writing.await.unwrap();
        match writing.push(content(PART).into()).await {
            Ok(()) => {}
            Err(problem) => {
                assert_eq!(problem.reason(), Reason::QuotaExceeded);
                assert!(problem.retry_delay().is_some());
                refused += 1;
            }
        }
        open_writes.push(writing);
    }
    assert_eq!((refused, room.bytes()), (3, 2 * PART as u64));
    drop(open_writes);
    room.tasks.close();
    room.tasks.wait().await;
    room.files.sweep(clock::now()).await.unwrap();
    assert_eq!(room.bytes(), 0, "all of it is free again");
}

#[tokio::test]
async fn little_appends_leave_little_behind() {
    let room = Room::new(LimitArgs::default()).await;
    let large = content(PART - 1000);
    room.write(open("/log", How::Replace), &large)
        .await
        .unwrap();
    for _ in 0..60 {
        room.write(open("/log", APPEND), b"x").await.unwrap();
    }
    let took = room.bytes() - large.len() as u64;
    assert!(took < 10_000, "60 appends of a byte took {took}");
    assert_eq!(room.files.sweep(clock::now()).await.unwrap(), 0, "a moment");
    room.files.sweep(clock::now() + 10_000).await.unwrap();
    assert_eq!(room.bytes(), large.len() as u64 + 60);
    let all = room.read("/log", 0, None).await.unwrap();
    assert_eq!(all, [large, vec![b'x'; 60]].concat());
}

#[tokio::test]
async fn who_reads_while_it_grows_has_what_it_was() {
    let room = Room::new(LimitArgs::default()).await;
    let before = content(PART + 100_000);
    room.write(open("/log", How::Replace), &before)
        .await
        .unwrap();
    let id = room.session.session_id;
    let mut reading = room.files.open(id, "/log", (7, None), "").await.unwrap();
    let mut inside = room
        .files
        .open(id, "/log", (PART as u64 - 1, Some(9)), "")
        .await
        .unwrap();
    for _ in 0..3 {
        room.write(open("/log", APPEND), b"more").await.unwrap();
        room.files.sweep(clock::now() + 10_000).await.unwrap();
    }
    assert_eq!(room.objects(), 2, "what the readers had in sight is gone");
    for (reading, wanted) in [
        (&mut reading, &before[7..]),
        (&mut inside, &before[PART - 1..PART + 8]),
    ] {
        let mut content = Vec::new();
        while let Some(data) = reading.next().await.unwrap() {
            content.extend_from_slice(&data);
        }
        assert_eq!(content, wanted);
    }
    let mut late = room.files.open(id, "/log", (0, None), "").await.unwrap();
    room.files.delete(id, "/log", false).await.unwrap();
    room.write(open("/log", How::Replace), &before)
        .await
        .unwrap();
    room.files.sweep(clock::now()).await.unwrap();
    let changed = late.next().await.unwrap_err();
    assert_eq!(
        changed.reason(),
        Reason::EtagMismatch,
        "the same bytes, of another"
    );
}

#[tokio::test]
async fn replaced_content_stays_a_quarter_of_an_hour_and_no_longer() {
    let room = Room::new(LimitArgs::default()).await;
    room.write(open("/f", How::Replace), b"old").await.unwrap();
    let id = room.session.session_id;
    let before = clock::now();
    let mut reading = room.files.open(id, "/f", (0, None), "").await.unwrap();
    room.write(open("/f", How::Replace), b"new").await.unwrap();
    let after = clock::now();
    let swept = room.files.sweep(before + 15 * MINUTE - 1).await.unwrap();
    assert_eq!(swept, 0, "a moment too early");
    assert_eq!(reading.next().await.unwrap().unwrap(), "old");
    assert_eq!(room.files.sweep(after + 15 * MINUTE).await.unwrap(), 1);
    assert_eq!(room.sizes(), [3]);
}

/// Whoever put it has gone, and the object appears all the same: it is not forgotten before that.
#[test]
fn what_is_on_its_way_when_its_writer_goes_is_removed_after_it_came() {
    // One thread for all work on files, so that a put can be held up.
    let runtime = runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let room = Room::new(LimitArgs::default()).await;
        let (release, held) = mpsc::channel::<()>();
        let hold = tokio::task::spawn_blocking(move || held.recv().unwrap_err());
        let writing = room
            .files
            .write(room.session.clone(), open("/f", How::Replace));
        let mut writing = writing.await.unwrap();
        let push = writing.push(content(PART).into());
        let put = tokio::time::timeout(Duration::from_secs(1), push).await;
        assert!(put.is_err(), "the put is not held up");
        let begin = clock::now();
        drop(writing);
        room.tasks.close();
        room.tasks.wait().await;
        let sweep = room.files.sweep(clock::now() + MINUTE);
        let swept = tokio::time::timeout(Duration::from_secs(20), sweep).await;
        assert_eq!(swept.expect("it is removed too early").unwrap(), 0);
        drop(release);
        hold.await.unwrap();
        let patience = Instant::now();
        while !room.sizes().contains(&(PART as u64)) {
            assert!(patience.elapsed() < Duration::from_secs(20), "nothing came");
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(room.files.sweep(begin + 5 * MINUTE - 1).await.unwrap(), 0);
        let swept = room.files.sweep(clock::now() + 5 * MINUTE).await.unwrap();
        assert_eq!((swept, room.bytes()), (1, 0));
    });
}
