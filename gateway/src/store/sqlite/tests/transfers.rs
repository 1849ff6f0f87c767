//! Copies that can be repeated: one holder at a time.

use sandgate_proto::v1::SandboxState;

use super::*;
use crate::store::{TransferRecord, TransferStore as _, UploadRecord};

fn record(request_id: Uuid, fingerprint: u8, claim_time: i64) -> TransferRecord {
    TransferRecord {
        owner: Owner {
            org_id: "org".into(),
            user_id: "u".into(),
        },
        request_id,
        fingerprint: vec![fingerprint],
        holder: Uuid::new_v4(),
        claim_time,
        files: 0,
        bytes: 0,
        done: Vec::new(),
    }
}

#[tokio::test]
async fn one_holder_until_it_is_silent_for_too_long() {
    let (store, _folder) = store().await;
    let id = Uuid::new_v4();
    let first = record(id, 1, 10);
    assert_eq!(store.claim_transfer(&first, 0).await.unwrap(), first);
    let second = record(id, 1, 15);
    assert_eq!(store.claim_transfer(&second, 9).await.unwrap(), first);
    let further = TransferRecord {
        claim_time: 12,
        files: 3,
        bytes: 4,
        done: vec![7],
        ..first.clone()
    };
    assert!(store.renew_transfer(&further).await.unwrap());
    assert_eq!(store.claim_transfer(&second, 11).await.unwrap(), further);
    let taken = store.claim_transfer(&second, 12).await.unwrap();
    let wanted = TransferRecord {
        holder: second.holder,
        claim_time: 15,
        ..further.clone()
    };
    assert_eq!(taken, wanted, "it goes on from where the first was");
    assert!(!store.renew_transfer(&further).await.unwrap());
    store.end_transfer(&further).await.unwrap();
    assert_eq!(
        store.claim_transfer(&record(id, 1, 20), 14).await.unwrap(),
        wanted
    );
    store.end_transfer(&wanted).await.unwrap();
    let anew = record(id, 1, 30);
    assert_eq!(store.claim_transfer(&anew, 14).await.unwrap(), anew);
}

#[tokio::test]
async fn another_request_of_the_same_id_never_gets_it() {
    let (store, _folder) = store().await;
    let first = record(Uuid::new_v4(), 1, 10);
    store.claim_transfer(&first, 0).await.unwrap();
    let other = record(first.request_id, 2, 99);
    assert_eq!(store.claim_transfer(&other, 50).await.unwrap(), first);
    let mut elsewhere = record(first.request_id, 2, 99);
    elsewhere.owner.user_id = "v".into();
    assert_eq!(
        store.claim_transfer(&elsewhere, 0).await.unwrap(),
        elsewhere
    );
    assert_eq!(store.drop_transfers_before(11, 10).await.unwrap(), 1);
    assert_eq!(store.claim_transfer(&other, 0).await.unwrap(), other);
}

#[tokio::test]
async fn files_of_a_new_sandbox_are_there_with_it_until_they_are_copied() {
    let (store, _folder) = store().await;
    let session = session("u", 1);
    store.insert_session(&session).await.unwrap();
    let mut row = sandbox(&session, None, 2);
    row.state = SandboxState::Creating.into();
    let claimed = record(Uuid::new_v4(), 1, 1000);
    let upload = UploadRecord {
        owner: claimed.owner.clone(),
        request_id: claimed.request_id,
        fingerprint: vec![1],
        sandbox_id: row.sandbox_id,
        session_id: row.session_id,
        asked: b"files".to_vec(),
        since: 100,
    };
    let insert = || store.insert_sandbox_with(&row, None, None, Some(&upload));
    assert!(!store.was_asked_for(&row).await.unwrap());
    insert().await.unwrap();
    assert!(store.was_asked_for(&row).await.unwrap());
    let left = async |since| store.uploads_left(since, 9).await.unwrap();
    assert_eq!(left(200).await, [], "it does not run yet");
    let mut changes = row.unchanged();
    changes.state = SandboxState::Running.into();
    let changed = store.change_sandbox(row.sandbox_id, row.version, &changes, None);
    changed.await.unwrap().unwrap();
    assert_eq!(left(99).await, []);
    assert_eq!(left(200).await, std::slice::from_ref(&upload));
    insert().await.unwrap();
    assert_eq!(
        left(200).await,
        std::slice::from_ref(&upload),
        "a repeat notes nothing"
    );
    let found = store.transfer(&upload.owner, upload.request_id).await;
    assert_eq!(found.unwrap().unwrap().done, b"");
    let held = store.claim_transfer(&claimed, 200).await.unwrap();
    assert_eq!(held, claimed);
    assert_eq!(left(999).await, []);
    assert_eq!(left(1000).await.len(), 1, "its holder died");
    store.end_transfer(&held).await.unwrap();
    assert_eq!(left(9999).await, []);
    let found = store.transfer(&upload.owner, upload.request_id).await;
    assert_eq!(found.unwrap(), None);
}
