//! A database that fails, and that is well again.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::Path,
};

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::{session, store};
use crate::store::{
    EventStore as _, Fault, InsertOutcome, NewEvent, SessionStore as _, SqliteStore, Store,
};

/// Another connection to the file.
async fn beside(path: &Path) -> SqliteConnection {
    use sqlx::Connection as _;
    let options = super::super::options(path);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::query(sql).execute(connection).await.unwrap();
}

async fn pragma(store: &SqliteStore, sql: &'static str) {
    sqlx::query(sql).execute(&store.writer).await.unwrap();
}

async fn fault(path: &Path) -> Fault {
    match SqliteStore::open(path).await {
        Ok(_) => panic!("it opens"),
        Err(error) => error.fault(),
    }
}

#[tokio::test]
async fn a_transaction_that_a_full_disk_ended_is_not_in_the_way_of_the_next() {
    let (store, _folder) = store().await;
    // Not a page more: what SQLite says then is what it says of a full disk.
    pragma(&store, "PRAGMA max_page_count = 1").await;
    let (mut kept, mut failed) = (Vec::new(), None);
    for _ in 0..100 {
        let mut one = session("u", 1);
        one.definition = vec![0; 4096];
        match store.insert_session(&one).await {
            Ok(_) => kept.push(one.session_id),
            Err(error) => {
                failed = Some((one, error.fault()));
                break;
            }
        }
    }
    let (refused, fault) = failed.expect("100 pages fit");
    assert_eq!(fault, Fault::Full);
    assert_eq!(store.session(refused.session_id).await.unwrap(), None);
    // The limit went with the connection that had it.
    let inserted = store.insert_session(&refused).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted);
    for id in kept {
        assert!(store.session(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn the_probe_finds_what_takes_no_changes_and_changes_nothing_that_is_read() {
    let (store, _folder) = store().await;
    let id = store.gateway_id().await.unwrap();
    for _ in 0..2 {
        store.probe().await.unwrap();
    }
    pragma(&store, "PRAGMA query_only = ON").await;
    let refused = store.probe().await.unwrap_err();
    assert_eq!(refused.fault(), Fault::ReadOnly);
    pragma(&store, "PRAGMA query_only = OFF").await;
    store.probe().await.unwrap();
    assert_eq!(store.gateway_id().await.unwrap(), id);
}

#[tokio::test]
async fn a_lock_is_waited_for_and_then_named() {
    let (store, folder) = store().await;
    let mut holder = beside(&folder.path().join("new/sandgate.db")).await;
    run(&mut holder, "BEGIN IMMEDIATE").await;
    let one = session("u", 1);
    let refused = store.insert_session(&one).await.unwrap_err();
    assert_eq!(refused.fault(), Fault::Locked);
    // Reading goes on.
    assert_eq!(store.session(one.session_id).await.unwrap(), None);
    run(&mut holder, "ROLLBACK").await;
    let inserted = store.insert_session(&one).await.unwrap();
    assert_eq!(inserted, InsertOutcome::Inserted);
}

#[tokio::test]
async fn sessions_expire_with_what_is_told_of_them_or_not_at_all() {
    let (store, folder) = store().await;
    let mut one = session("u", 1);
    one.expire_time = Some(5);
    store.insert_session(&one).await.unwrap();
    let event = |session_id| NewEvent {
        session_id,
        sandbox_id: None,
        time: 5,
        once: None,
        payload: vec![1],
    };
    let mut other = beside(&folder.path().join("new/sandgate.db")).await;
    run(&mut other, "ALTER TABLE session_events RENAME TO hidden").await;
    store.expire_sessions(9, 10, event).await.unwrap_err();
    run(&mut other, "ALTER TABLE hidden RENAME TO session_events").await;
    assert!(store.session(one.session_id).await.unwrap().is_some());
    assert_eq!(
        store.expire_sessions(9, 10, event).await.unwrap(),
        [one.session_id]
    );
    let told = store.events_after(one.session_id, 0, 10).await.unwrap();
    assert_eq!(told.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_opened_is_named() {
    let (store, folder) = store().await;
    store.insert_session(&session("u", 1)).await.unwrap();
    let path = folder.path().join("new/sandgate.db");
    let mut other = beside(&path).await;
    run(&mut other, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let copy = folder.path().join("copy.db");
    let anew = || fs::copy(&path, &copy).unwrap();

    anew();
    let file = OpenOptions::new().write(true).open(&copy).unwrap();
    file.write_all_at(&[0xa5; 100], 0).unwrap();
    assert_eq!(fault(&copy).await, Fault::Foreign);

    let size = anew();
    file.write_all_at(&[0xa5; 4096], size / 2 / 4096 * 4096)
        .unwrap();
    assert_eq!(fault(&copy).await, Fault::Damaged);

    anew();
    let newer = "INSERT INTO _sqlx_migrations
        (version, description, success, checksum, execution_time)
        VALUES (99999999, 'later', TRUE, x'00', 1)";
    run(&mut beside(&copy).await, newer).await;
    assert_eq!(fault(&copy).await, Fault::OtherVersion);

    fs::write(folder.path().join("file"), "").unwrap();
    assert_eq!(
        fault(&folder.path().join("file/sandgate.db")).await,
        Fault::Unreachable
    );
    assert_eq!(fault(folder.path()).await, Fault::Unreachable);
}
