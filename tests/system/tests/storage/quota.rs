//! What an organisation and a session may keep.

use sandgate_gateway::LimitArgs;
use std::{fs, path::Path};

use sandgate_proto::{
    Reason,
    v1::{DeleteSessionRequest, SetSecretRequest},
};
use sandgate_system::{Plan, assert_reason, fact, has_retry};

use crate::{
    aged::{age, has},
    stand::{Storage, alone, content, open},
};

fn plan(limits: LimitArgs) -> Plan {
    Plan {
        limits,
        ..Plan::default()
    }
}

#[tokio::test]
async fn writers_at_the_same_time_never_get_in_more_than_fits() {
    let (storage, _running, _data) = alone(plan(LimitArgs {
        quota_session_bytes: Some(100_000),
        ..LimitArgs::default()
    }))
    .await;
    let writers = (0..20).map(|number| {
        let storage = storage.clone();
        tokio::spawn(async move {
            let path = format!("f{number}");
            storage.write(open(&path), &content(15_000)).await
        })
    });
    let mut written = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(_) => written += 1,
            Err(refused) => {
                assert_reason(&refused, Reason::QuotaExceeded, "have the limit raised");
                assert_eq!(fact(&refused, "limit").as_deref(), Some("session_bytes"));
            }
        }
    }
    assert_eq!(written, 6);
    let secret = |size| SetSecretRequest {
        session_id: storage.session_id.clone(),
        name: "S".into(),
        value: content(size).into(),
        ..Default::default()
    };
    let mut secrets = storage.client.secrets();
    let refused = secrets.set_secret(secret(10_001)).await.unwrap_err();
    assert_reason(&refused, Reason::QuotaExceeded, "delete what");
    secrets.set_secret(secret(10_000)).await.unwrap();
    let full = storage.write(open("one more"), b"x").await.unwrap_err();
    assert_reason(&full, Reason::QuotaExceeded, "have the limit raised");
    storage.write(open("f-empty"), b"").await.unwrap();
}

#[tokio::test]
async fn files_are_counted_and_measured() {
    let (storage, _running, _data) = alone(plan(LimitArgs {
        quota_session_files: Some(2),
        session_file_bytes: Some(1000),
        ..LimitArgs::default()
    }))
    .await;
    let large = storage.write(open("a"), &content(1001)).await.unwrap_err();
    assert_reason(&large, Reason::FileTooLarge, "split it");
    assert_eq!(fact(&large, "limit_bytes").as_deref(), Some("1000"));
    storage.put("a/b/c", &content(1000)).await;
    storage.put("d", b"").await;
    storage.put("d", b"again").await;
    let many = storage.write(open("e"), b"").await.unwrap_err();
    assert_reason(&many, Reason::QuotaExceeded, "delete what");
    assert_eq!(fact(&many, "limit").as_deref(), Some("session_files"));
}

#[tokio::test]
async fn sessions_of_an_organisation_share_it_and_give_it_back() {
    let (first, running, folder) = alone(plan(LimitArgs {
        quota_session_bytes: Some(100_000),
        ..LimitArgs::default()
    }))
    .await;
    let second = Storage::at(running.address()).await;
    assert_ne!(first.session_id, second.session_id);
    first.put("f", &content(60_000)).await;
    let full = second.write(open("f"), &content(60_000)).await;
    assert_reason(&full.unwrap_err(), Reason::QuotaExceeded, "delete what");
    second.put("g", &content(40_000)).await;
    let request = DeleteSessionRequest {
        session_id: first.session_id.clone(),
        ..Default::default()
    };
    let mut sessions = first.client.sessions();
    sessions.delete_session(request).await.unwrap();
    has(folder.path(), 1).await;
    second.put("f", &content(60_000)).await;
    let full = second.write(open("h"), b"x").await.unwrap_err();
    assert_reason(&full, Reason::QuotaExceeded, "delete what");
}

/// Bytes in the folder of a gateway's files.
fn bytes(data: &Path) -> u64 {
    let folders = fs::read_dir(data.join("files")).unwrap();
    let objects = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    objects
        .map(|object| object.unwrap().metadata().map_or(0, |object| object.len()))
        .sum()
}

#[tokio::test]
async fn a_file_that_is_replaced_in_a_loop_does_not_fill_the_disk() {
    let (storage, _running, folder) = alone(plan(LimitArgs {
        quota_session_bytes: Some(1 << 20),
        ..LimitArgs::default()
    }))
    .await;
    let (mut written, mut refused) = (0, None);
    while refused.is_none() && written < 50 {
        refused = storage.write(open("f"), &content(100_000)).await.err();
        written += usize::from(refused.is_none());
        assert!(bytes(folder.path()) <= 2 << 20);
    }
    assert_eq!(written, 20);
    let refused = refused.unwrap();
    assert_reason(&refused, Reason::QuotaExceeded, "repeat the call");
    assert_eq!(fact(&refused, "limit").as_deref(), Some("session_bytes"));
    assert!(has_retry(&refused), "{refused:?}");
    assert_eq!(storage.get("f").await.unwrap(), content(100_000));
    age(folder.path(), 16).await;
    has(folder.path(), 1).await;
    storage.put("f", &content(100_000)).await;
}
