//! A database whose bytes are not those that were written.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    time::Duration,
};

use sandgate_proto::{Reason, v1::GetSessionRequest};
use sandgate_system::{Client, World, assert_reason};
use tonic::{Code, Status};

use crate::files::{self, DATABASE};

const PAGE: u64 = 4096;

async fn get(client: &Client, session_id: &str) -> Result<String, Status> {
    let request = GetSessionRequest {
        session_id: session_id.to_owned(),
    };
    let found = client.sessions().get_session(request).await?;
    Ok(found.into_inner().session.unwrap().session_id)
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_said_to_be_damaged() {
    let world = World::start().await;
    let client = world.client().await;
    let (session_id, other) = (client.session().await, client.session().await);
    let mut connection = files::open(&world.database()).await;
    for (what, damage) in [
        (
            "labels",
            "UPDATE sessions SET labels = '{' WHERE session_id = ?",
        ),
        (
            "text",
            "UPDATE sessions SET labels = CAST(x'ff' AS TEXT) WHERE session_id = ?",
        ),
        (
            "definition",
            "UPDATE sessions SET labels = '{}', definition = x'ff' WHERE session_id = ?",
        ),
    ] {
        let damage = sqlx::query(damage).bind(&session_id);
        damage.execute(&mut connection).await.unwrap();
        let status = get(&client, &session_id).await.unwrap_err();
        assert_reason(&status, Reason::StoreDamaged, "PRAGMA integrity_check");
        assert!(!status.message().contains("sandgate.db"), "{what}");
    }
    assert_eq!(get(&client, &other).await.unwrap(), other);
}

#[tokio::test]
async fn no_page_that_is_overwritten_gives_a_wrong_answer() {
    let world = World::start().await;
    let client = world.client().await;
    let mut made = Vec::new();
    for _ in 0..20 {
        made.push(client.session().await);
    }
    files::settle(&world).await;
    let pages = fs::metadata(world.database()).unwrap().len() / PAGE;
    let mut refused = 0;
    // Every fifth one, the first left out: that is another test.
    for page in (1..pages).step_by(5) {
        let copy = files::as_after_a_crash(&world);
        let file = OpenOptions::new()
            .write(true)
            .open(copy.path().join(DATABASE))
            .unwrap();
        file.write_all_at(&[0xa5; PAGE as usize], page * PAGE)
            .unwrap();
        match world.beside_on(copy.path()).await {
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("put the last backup in its place"), "{said}");
                refused += 1;
            }
            Ok(running) => {
                let client = Client::connect(running.address()).await;
                for session_id in &made {
                    match get(&client, session_id).await {
                        Ok(found) => assert_eq!(found, *session_id),
                        Err(status) => {
                            assert_eq!(status.code(), Code::Internal, "{status:?}");
                            assert_reason(&status, Reason::StoreDamaged, "backup");
                        }
                    }
                }
                running.stop(Duration::ZERO).await;
            }
        }
    }
    assert!(refused > 0, "of {pages} pages no damage was seen");
}

#[tokio::test]
async fn a_log_that_ends_in_the_middle_keeps_all_that_was_acknowledged_before() {
    let world = World::start().await;
    let client = world.client().await;
    let log = world.database().with_extension("db-wal");
    let mut made = Vec::new();
    for _ in 0..10 {
        let session_id = client.session().await;
        made.push((session_id, fs::metadata(&log).unwrap().len()));
    }
    let whole = files::as_after_a_crash(&world);
    let running = world.beside_on(whole.path()).await.unwrap();
    let other = Client::connect(running.address()).await;
    for (session_id, _) in &made {
        assert_eq!(get(&other, session_id).await.unwrap(), *session_id);
    }
    running.stop(Duration::ZERO).await;

    let cut = files::as_after_a_crash(&world);
    // In the middle of a page that came after the fifth.
    let length = made[4].1 + PAGE / 2;
    let file = OpenOptions::new()
        .write(true)
        .open(cut.path().join("sandgate.db-wal"))
        .unwrap();
    assert!(file.metadata().unwrap().len() > length);
    file.set_len(length).unwrap();
    let running = world.beside_on(cut.path()).await.unwrap();
    let other = Client::connect(running.address()).await;
    for (session_id, end) in &made {
        match get(&other, session_id).await {
            Ok(found) => assert_eq!(found, *session_id),
            Err(status) => {
                assert!(*end > length, "an acknowledged session is gone");
                assert_reason(&status, Reason::SessionNotFound, "CreateSession");
            }
        }
    }
    // It goes on from there.
    let session_id = other.session().await;
    assert_eq!(get(&other, &session_id).await.unwrap(), session_id);
    running.stop(Duration::ZERO).await;
}
