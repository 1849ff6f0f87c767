//! The log, on a database of its own for each test.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use sandgate_proto::{Reason, methods};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    principal::{Identity, Owner, Scopes},
    problem,
    store::SqliteStore,
};

struct Place {
    folder: TempDir,
    log: Log,
    writer: Writer,
}

impl Place {
    async fn new() -> Self {
        Self::with(None).await
    }

    async fn with(file: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("db")).await.unwrap();
        let file = file.map(|name| folder.path().join(name));
        let (log, writer) = start(Arc::new(store), file).await.unwrap();
        Self {
            folder,
            log,
            writer,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes the database refuse events, or take them again.
    async fn rename(&self, from: &str, to: &str) {
        let options = SqliteConnectOptions::new().filename(self.path("db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    async fn all(&self) -> Vec<AuditRecord> {
        let filter = AuditFilter {
            limit: 100_000,
            ..AuditFilter::default()
        };
        self.log.list(&Principal::admin(), filter).await.unwrap()
    }
}

fn caller(user: &str, scopes: &[&str]) -> Principal {
    Principal {
        owner: Owner {
            org_id: "acme".into(),
            user_id: user.into(),
        },
        identity: Identity::Key("k1".into()),
        scopes: Scopes::of(scopes.iter().copied()),
    }
}

fn event(user: &str) -> Event {
    let method = methods::find("/sandbox.v1.SandboxService/CreateSandbox").unwrap();
    Event::call(&caller(user, &[]), method)
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    // A line that is just being written is none yet.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    text[..whole]
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_recorded_is_there_when_the_call_returns() {
    let place = Place::new().await;
    let (session_id, sandbox_id) = (Uuid::new_v4(), Uuid::new_v4());
    let refused = problem::session_not_found(session_id);
    let event = event("ann")
        .session(session_id)
        .sandbox(sandbox_id)
        .execution("e1")
        .target("t")
        .request("r")
        .peer(std::net::IpAddr::from([10, 0, 0, 1]))
        .trace("abc")
        .failed(&refused)
        .took(Duration::from_micros(1500))
        .detail("count", "3");
    place.log.record(event).await;
    let found = place.all().await;
    let [found] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(Uuid::parse_str(&found.event_id).is_ok() && found.time > 0);
    let expected = AuditRecord {
        seq: found.seq,
        event_id: found.event_id.clone(),
        time: found.time,
        org_id: "acme".into(),
        user_id: "ann".into(),
        session_id: session_id.to_string(),
        sandbox_id: sandbox_id.to_string(),
        execution_id: "e1".into(),
        principal: "key:k1".into(),
        method: "sandbox.v1.SandboxService/CreateSandbox".into(),
        target: "t".into(),
        code: "NOT_FOUND".into(),
        reason: "SESSION_NOT_FOUND".into(),
        request_id: "r".into(),
        peer_address: "10.0.0.1".into(),
        trace_id: "abc".into(),
        duration: 1500,
        details: [("count".to_owned(), "3".to_owned())].into(),
    };
    assert_eq!(*found, expected);
}

#[tokio::test]
async fn strangers_have_no_name_and_the_gateway_is_system() {
    let place = Place::new().await;
    place.log.record(event("ann")).await;
    let own = Event::own("system/lease_cleanup").done_for(caller("bob", &[]).owner);
    place.log.record(own).await;
    let stranger = Event::stranger(methods::find("/sandbox.v1.SandboxService/Exec").unwrap());
    place.log.record(stranger).await;
    let found = place.all().await;
    let who: Vec<_> = found
        .iter()
        .map(|event| (event.principal.as_str(), event.user_id.as_str()))
        .collect();
    assert_eq!(who, [("", ""), ("system", "bob"), ("key:k1", "ann")]);
}

#[tokio::test]
async fn many_at_once_are_all_written_and_few_wait_long() {
    let place = Place::new().await;
    let begun = Instant::now();
    let records = (0..100).map(|_| place.log.record(event("ann")));
    futures::future::join_all(records).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    for _ in 0..2000 {
        place.log.enqueue(event("ann")).await;
    }
    place.log.record(event("last")).await;
    let all = place.all().await;
    assert_eq!(all.len(), 2101);
    assert_eq!(all[0].user_id, "last");
}

#[tokio::test]
async fn the_end_writes_what_is_queued() {
    let Place {
        folder,
        log,
        writer,
    } = Place::with(Some("audit.jsonl")).await;
    for _ in 0..3000 {
        log.enqueue(event("ann")).await;
    }
    writer.finish().await;
    assert_eq!(lines(&folder.path().join("audit.jsonl")).len(), 3000);
    // Nobody hangs on a log that has ended.
    log.record(event("late")).await;
    let filter = AuditFilter {
        limit: 10_000,
        ..AuditFilter::default()
    };
    let all = log.list(&Principal::admin(), filter).await.unwrap();
    assert_eq!(all.len(), 3000);
}

#[tokio::test]
async fn a_database_that_refuses_is_tried_again_and_strangers_are_counted() {
    let place = Place::new().await;
    place.rename("audit_events", "hidden").await;
    let recorded = tokio::spawn({
        let log = place.log.clone();
        async move { log.record(event("ann")).await }
    });
    let sent = QUEUE + 2 * 512;
    for _ in 0..sent {
        place.log.try_note(event("stranger"));
    }
    assert!(place.log.shared.dropped.load(Ordering::Relaxed) > 0);
    assert!(!recorded.is_finished());
    place.rename("hidden", "audit_events").await;
    timeout(Duration::from_secs(20), recorded)
        .await
        .unwrap()
        .unwrap();
    let told = async {
        loop {
            let all = place.all().await;
            if let Some(told) = all.iter().find(|event| !event.details.is_empty()) {
                return (told.clone(), all.len());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (told, all) = timeout(Duration::from_secs(20), told).await.unwrap();
    assert_eq!(told.method, "system/audit_dropped");
    let dropped: usize = told.details["count"].parse().unwrap();
    assert_eq!(dropped + all, sent + 2);
}

#[tokio::test]
async fn where_there_is_no_room_nobody_waits_and_all_is_counted() {
    let place = Place::new().await;
    let shared = place.log.shared.clone();
    place.rename("audit_events", "hidden").await;
    let first = tokio::spawn({
        let log = place.log.clone();
        async move { log.record(event("first")).await }
    });
    while !shared.failing.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while shared.dropped.load(Ordering::Relaxed) == 0 {
        place.log.try_note(event("stranger"));
    }
    let waiting = shared.waiting.load(Ordering::Relaxed);
    let (relayed, own) = (place.log.enqueue(event("a")), place.log.record(event("b")));
    let both = async { tokio::join!(relayed, own) };
    timeout(ROOM / 2, both).await.expect("they wait");
    // The first one, these two, and nobody else.
    assert_eq!(shared.dropped.load(Ordering::Relaxed), 3);
    assert_eq!(shared.waiting.load(Ordering::Relaxed), waiting);
    place.rename("hidden", "audit_events").await;
    timeout(Duration::from_secs(20), first)
        .await
        .unwrap()
        .unwrap();
    let written = async {
        while place.all().await.len() < waiting + 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), written).await.unwrap();
    let all = place.all().await;
    assert_eq!(all.len(), waiting + 1);
    let told = all.iter().find(|event| !event.details.is_empty());
    assert_eq!(told.unwrap().details["count"], "3");
}

#[tokio::test]
async fn lines_follow_the_contract_and_the_file_may_be_moved_away() {
    let place = Place::with(Some("audit.jsonl")).await;
    let path = place.path("audit.jsonl");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let timed = event("ann")
        .took(Duration::from_millis(1500))
        .detail("k", "v");
    place.log.record(timed).await;
    // The file comes after the database: behind the next event, this one is in it.
    place.log.record(event("ann")).await;
    let line = lines(&path).swap_remove(0);
    assert_eq!(line["method"], "sandbox.v1.SandboxService/CreateSandbox");
    assert_eq!(line["principal"], "key:k1");
    assert_eq!(line["duration"], "1.500s");
    assert_eq!(line["details"]["k"], "v");
    assert!(line.get("session_id").is_none(), "{line}");
    let time: prost_types::Timestamp = line["time"].as_str().unwrap().parse().unwrap();
    assert!(time.seconds > 1_700_000_000);

    while lines(&path).len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::rename(&path, place.path("old")).unwrap();
    place.log.record(event("after")).await;
    let Place {
        folder,
        log,
        writer,
    } = place;
    drop(log);
    writer.finish().await;
    assert_eq!(lines(&folder.path().join("old")).len(), 2);
    let new = lines(&folder.path().join("audit.jsonl"));
    assert_eq!(new.len(), 1);
    assert_eq!(new[0]["user_id"], "after");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("db")).await.unwrap();
    let file = folder.path().join("missing/audit.jsonl");
    assert!(start(Arc::new(store), Some(file)).await.is_err());
}

#[tokio::test]
async fn callers_see_their_own_and_admins_see_all() {
    let place = Place::new().await;
    for user in ["ann", "bob"] {
        place.log.record(event(user)).await;
    }
    place.log.record(Event::own("system/x")).await;
    let list = |principal: Principal, org: &str, user: &str| {
        let named = |id: &str| Some(id.to_owned()).filter(|id| !id.is_empty());
        let filter = AuditFilter {
            org_id: named(org),
            user_id: named(user),
            limit: 10,
            ..AuditFilter::default()
        };
        let log = place.log.clone();
        async move { log.list(&principal, filter).await.map(|found| found.len()) }
    };
    assert_eq!(list(caller("ann", &[]), "", "").await, Ok(1));
    assert_eq!(list(caller("eve", &[]), "", "").await, Ok(0));
    let foreign = list(caller("ann", &[]), "", "bob").await.unwrap_err();
    assert_eq!(foreign.reason(), Reason::ScopeRequired);
    assert_eq!(list(caller("eve", &["act_as"]), "", "bob").await, Ok(1));
    assert_eq!(list(caller("eve", &["act_as"]), "", "").await, Ok(0));
    assert_eq!(list(caller("eve", &["admin"]), "", "").await, Ok(3));
    assert_eq!(list(caller("eve", &["admin"]), "acme", "").await, Ok(2));
    assert_eq!(list(caller("eve", &["admin"]), "", "bob").await, Ok(1));
}
