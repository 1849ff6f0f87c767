//! What is kept, resolved, moved about and sealed anew.

use std::{path::PathBuf, sync::Arc};

use sandgate_proto::{Problem, Reason};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::*;
use crate::{
    agent::Agents,
    fleet::{Access, Fleet, Runtimes},
    principal::{Identity, Owner, Principal, Scopes},
    session::{Capabilities, Owned as _, Sessions},
    store::{Changes, SandboxRecord, SessionRecord, SqliteStore, Store, ValueKind},
    vault::{Keyring, Vault},
};
use safe::New;

/// `id:base64` of a key that is 32 times this byte.
fn key(id: &str, byte: u8) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

struct Room {
    safe: Safe,
    session: SessionRecord,
    file: PathBuf,
    _folder: TempDir,
}

impl Room {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sandgate.db");
        let store = Arc::new(SqliteStore::open(&file).await.unwrap());
        let session = SessionRecord::new(Uuid::new_v4(), "dev".into(), "dev".into(), 1);
        store.insert_session(&session).await.unwrap();
        Self {
            safe: Safe::new(store, vault(&key("a", 1))),
            session,
            file,
            _folder: folder,
        }
    }

    fn secrets(&self, limit: Option<u64>) -> Secrets {
        let runtimes = Runtimes {
            own: Handle::current(),
            workers: Vec::new(),
        };
        let fleet = Arc::new(Fleet::new(&[], &Access::default(), &runtimes).unwrap());
        let sessions = {
            let store = self.safe.store.clone();
            let offer = Arc::new(Capabilities::new(&fleet, None));
            let agents = Arc::new(Agents::new(store.clone(), offer.clone()));
            Arc::new(Sessions::new(store, offer, agents))
        };
        Secrets::new(self.safe.clone(), sessions, limit)
    }

    fn credentials(&self) -> Credentials {
        Credentials::new(self.safe.clone(), vec!["github.com".into()])
    }

    /// The same with other encryption keys.
    fn credentials_with(&self, keys: &str) -> Credentials {
        let safe = Safe::new(self.safe.store.clone(), vault(keys));
        Credentials::new(safe, Vec::new())
    }

    async fn secret(&self, name: &str, value: &str) -> Uuid {
        let owner = self.session.session_id.to_string();
        self.put(ValueKind::Secret, &owner, name, value).await
    }

    async fn connection(&self, name: &str, value: &str) -> Uuid {
        self.put(ValueKind::Connection, "dev", name, value).await
    }

    async fn put(&self, kind: ValueKind, owner: &str, name: &str, value: &str) -> Uuid {
        let new = New {
            kind,
            org_id: "dev",
            owner,
            name,
            value: &SecretSlice::from(value.as_bytes().to_vec()),
            hint: String::new(),
            validate_time: None,
        };
        self.safe.put(new).await.unwrap().unwrap().value_id
    }

    /// A sandbox that was made with this version of a key.
    fn sandbox(&self, sandbox_id: Uuid, value_id: Uuid) -> SandboxRecord {
        SandboxRecord {
            credential_id: Some(value_id),
            ..SandboxRecord::new(sandbox_id, &self.session, "e2b".into(), Vec::new(), 1)
        }
    }

    /// Does something to the file behind everybody's back.
    async fn tamper(&self, sql: &'static str) {
        let options = SqliteConnectOptions::new().filename(&self.file);
        let mut file = SqliteConnection::connect_with(&options).await.unwrap();
        let done = sqlx::query(sql).execute(&mut file).await.unwrap();
        assert!(done.rows_affected() > 0, "{sql}");
    }

    async fn key_of(&self, provider: &str) -> Result<Option<String>, Problem> {
        let credentials = self.credentials();
        let resolved = credentials.for_provider(&self.session, provider).await?;
        Ok(resolved.map(|resolved| {
            assert_eq!(resolved.credential.kind, provider);
            String::from_utf8(resolved.credential.value.to_vec()).unwrap()
        }))
    }
}

fn vault(keys: &str) -> Vault {
    let keys = Keyring::parse(&SecretString::from(keys)).unwrap();
    Vault::new(Arc::new(keys))
}

fn reason<T>(result: Result<T, Problem>) -> Reason {
    result.err().expect("an error").reason()
}

#[tokio::test]
async fn a_provider_gets_the_key_that_the_table_names() {
    let room = Room::new().await;
    for provider in ["daytona", "codesandbox", "e2b"] {
        let problem = room.key_of(provider).await.unwrap_err();
        assert_eq!(problem.reason(), Reason::ConnectionRequired);
        let facts = [("provider", provider.to_owned())];
        assert_eq!(problem.facts(), facts);
    }
    for provider in ["container", "local", "own"] {
        assert_eq!(room.key_of(provider).await.unwrap(), None);
        room.connection(provider, "c").await;
    }
    assert_eq!(room.key_of("container").await.unwrap(), None);
    assert_eq!(room.key_of("local").await.unwrap(), None);
    assert_eq!(room.key_of("own").await.unwrap().unwrap(), "c");

    room.connection("daytona", "connection").await;
    assert_eq!(room.key_of("daytona").await.unwrap().unwrap(), "connection");
    room.secret("DAYTONA_API_KEY", "secret").await;
    assert_eq!(room.key_of("daytona").await.unwrap().unwrap(), "secret");

    room.connection("codesandbox", "c").await;
    let refused = room.key_of("codesandbox").await;
    assert_eq!(reason(refused), Reason::ConnectionRequired);
    room.secret("CSB_API_KEY", "s").await;
    assert_eq!(room.key_of("codesandbox").await.unwrap().unwrap(), "s");

    room.secret("E2B_API_KEY", "s").await;
    assert_eq!(reason(room.key_of("e2b").await), Reason::ConnectionRequired);
    // Another member's connection is of no use.
    let kind = ValueKind::Connection;
    room.put(kind, "another", "e2b", "theirs").await;
    assert_eq!(reason(room.key_of("e2b").await), Reason::ConnectionRequired);
    room.connection("e2b", "mine").await;
    assert_eq!(room.key_of("e2b").await.unwrap().unwrap(), "mine");
}

#[tokio::test]
async fn git_gets_the_connection_then_the_secret_then_nothing() {
    let room = Room::new().await;
    let credentials = room.credentials();
    let token = async || credentials.git(&room.session).await.unwrap();
    assert_eq!(token().await, None);
    room.secret("GITHUB_TOKEN", "secret").await;
    let git = token().await.unwrap();
    assert_eq!(&git.token[..], b"secret");
    assert_eq!((&git.provider[..], &git.username[..]), ("github", "oauth2"));
    assert_eq!(git.hosts, ["github.com"]);
    room.connection("github", "connection").await;
    assert_eq!(&token().await.unwrap().token[..], b"connection");
}

#[tokio::test]
async fn secrets_come_in_the_order_of_their_names() {
    let room = Room::new().await;
    room.secret("A", "1").await;
    room.secret("B", "2").await;
    let credentials = room.credentials();
    let values = credentials.secrets(&room.session, &["B", "A", "B"]).await;
    let values: Vec<_> = values
        .unwrap()
        .iter()
        .map(|value| value.expose_secret().to_vec())
        .collect();
    assert_eq!(values, [b"2", b"1", b"2"]);
    let missing = credentials.secrets(&room.session, &["A", "C"]).await;
    let problem = missing.unwrap_err();
    assert_eq!(problem.facts(), [("name", "C".to_owned())]);
    assert_eq!(problem.reason(), Reason::SecretNotFound);
    let has = async |names: &[&str]| credentials.has_secrets(&room.session, names).await;
    assert!(has(&["A", "B"]).await.is_ok() && has(&[]).await.is_ok());
    assert_eq!(reason(has(&["A", "C"]).await), Reason::SecretNotFound);
}

#[tokio::test]
async fn clean_up_outlives_the_key() {
    let room = Room::new().await;
    let credentials = room.credentials();
    let first = room.connection("e2b", "first").await;
    let sandbox_id = Uuid::new_v4();
    let made = room.sandbox(sandbox_id, first);
    room.safe
        .store
        .insert_sandbox(&made, None, None)
        .await
        .unwrap();
    room.connection("e2b", "second").await;
    credentials.release(first).await.unwrap();
    let old = credentials.version(first).await.unwrap().unwrap();
    assert_eq!(
        (old.value_id, &old.credential.value[..]),
        (first, &b"first"[..])
    );
    assert_eq!(old.credential.kind, "e2b");
    let gone = Changes {
        delete_time: Some(2),
        ..made.unchanged()
    };
    assert!(
        room.safe
            .store
            .forget_sandbox(sandbox_id, 1, &gone, None)
            .await
            .unwrap()
    );
    credentials.release(first).await.unwrap();
    assert!(credentials.version(first).await.unwrap().is_none());

    let kinds = [
        ("DAYTONA_API_KEY", "daytona"),
        ("CSB_API_KEY", "codesandbox"),
    ];
    for (name, kind) in kinds {
        let version = room.secret(name, "s").await;
        let resolved = credentials.version(version).await.unwrap().unwrap();
        assert_eq!(resolved.credential.kind, kind);
    }
    let plain = room.secret("PLAIN", "s").await;
    assert!(credentials.version(plain).await.unwrap().is_none());
    credentials.forget_session(&room.session).await.unwrap();
    let has = credentials.has_secrets(&room.session, &["PLAIN"]).await;
    assert_eq!(reason(has), Reason::SecretNotFound);
    assert_eq!(credentials.release_all().await.unwrap(), 0);
}

#[tokio::test]
async fn a_row_that_was_moved_does_not_open() {
    for change in [
        "UPDATE sealed_values SET org_id = 'other'",
        "UPDATE sealed_values SET owner = 'bob'",
        "UPDATE sealed_values SET kind = 'secret'",
        "UPDATE sealed_values SET name = 'own'",
        "UPDATE sealed_values SET value_id = '00000000-0000-0000-0000-000000000000'",
    ] {
        let room = Room::new().await;
        room.connection("e2b", "mine").await;
        room.tamper(change).await;
        let rows = room.safe.store.values_not_under("", None, 10).await;
        let opened = room.safe.open(&rows.unwrap()[0]).await;
        assert_eq!(reason(opened), Reason::Internal, "{change}");
    }
}

#[tokio::test]
async fn a_row_with_other_bytes_does_not_open() {
    for change in [
        "UPDATE sealed_values SET sealed = (SELECT sealed FROM sealed_values WHERE owner = 'bob')",
        "UPDATE sealed_values SET sealed = x''",
        "UPDATE sealed_values SET sealed = zeroblob(100)",
        "UPDATE sealed_values SET sealed = substr(sealed, 1, length(sealed) - 1)",
        "UPDATE sealed_values SET sealed = CAST(sealed || x'00' AS BLOB)",
    ] {
        let room = Room::new().await;
        room.connection("e2b", "mine").await;
        let kind = ValueKind::Connection;
        room.put(kind, "bob", "e2b", "bob's").await;
        room.tamper(change).await;
        assert_eq!(
            reason(room.key_of("e2b").await),
            Reason::Internal,
            "{change}"
        );
    }
}

#[tokio::test]
async fn what_is_kept_cannot_be_read_in_the_file() {
    let room = Room::new().await;
    room.connection("e2b", "a-key-in-plain-sight").await;
    room.secret("A", "a-key-in-plain-sight").await;
    for file in ["sandgate.db", "sandgate.db-wal"] {
        let bytes = std::fs::read(room.file.with_file_name(file)).unwrap();
        let value = b"plain-sight";
        assert!(!bytes.windows(value.len()).any(|part| part == value));
    }
}

#[tokio::test]
async fn anothers_session_is_answered_like_one_that_is_not_there() {
    let room = Room::new().await;
    let secrets = room.secrets(None);
    let stranger = Principal {
        owner: Owner {
            org_id: "dev".into(),
            user_id: "stranger".into(),
        },
        identity: Identity::Dev,
        scopes: Scopes::of([]),
    };
    let answers = async |principal: &Principal, id: Uuid| {
        let value = SecretSlice::from(b"x".to_vec());
        let set = secrets.set(principal, id, "A", value).await.map(drop);
        let list = secrets.list(principal, id, "", 10).await.map(drop);
        let delete = secrets.delete(principal, id, "A").await;
        [set, list, delete].map(|result| result.map_err(|problem| problem.to_string()))
    };
    let id = room.session.session_id;
    let unknown = answers(&Principal::dev(), Uuid::new_v4()).await;
    assert_eq!(answers(&stranger, id).await, unknown);
    assert!(unknown.iter().all(Result::is_err));
    assert_eq!(
        answers(&Principal::dev(), id).await,
        [Ok(()), Ok(()), Ok(())]
    );
}

#[tokio::test]
async fn an_organisation_keeps_as_much_as_it_may() {
    let room = Room::new().await;
    room.connection("e2b", "not of a session").await;
    let secrets = room.secrets(Some(8));
    let set = async |name: &str, size: usize| {
        let (principal, value) = (Principal::dev(), SecretSlice::from(vec![7; size]));
        let set = secrets.set(&principal, room.session.session_id, name, value);
        set.await
    };
    set("A", 5).await.unwrap();
    let problem = set("B", 4).await.unwrap_err();
    assert_eq!(problem.reason(), Reason::QuotaExceeded);
    assert_eq!(problem.facts(), [("limit", "session_bytes".to_owned())]);
    // What is replaced makes room.
    set("A", 8).await.unwrap();
    assert_eq!(reason(set("A", 9).await), Reason::QuotaExceeded);
    assert_eq!(reason(set("A", 0).await), Reason::InvalidField);
    let secrets = room.secrets(None);
    let principal = Principal::dev();
    let value = |size| SecretSlice::from(vec![7; size]);
    let id = room.session.session_id;
    let most = secrets.set(&principal, id, "C", value(64 << 10)).await;
    assert_eq!(most.unwrap().name, "C");
    let more = secrets
        .set(&principal, id, "C", value((64 << 10) + 1))
        .await;
    assert_eq!(reason(more), Reason::InvalidField);
}

#[tokio::test]
async fn rotation_leaves_nothing_under_old_keys() {
    let room = Room::new().await;
    for turn in 0..120 {
        room.connection(&format!("p{turn}"), "value").await;
    }
    room.connection("e2b", "mine").await;
    let both = [key("b", 2), key("a", 1)].join(",");
    let rotated = room.credentials_with(&both).rotate().await.unwrap();
    assert_eq!((rotated.count, rotated.left), (121, None));
    let again = room.credentials_with(&both).rotate().await.unwrap();
    assert_eq!((again.count, again.left), (0, None));
    let credentials = room.credentials_with(&key("b", 2));
    let left = room.safe.store.values_not_under("b", None, 10);
    assert_eq!(left.await.unwrap(), []);
    let mine = credentials.for_provider(&room.session, "e2b").await;
    assert_eq!(&mine.unwrap().unwrap().credential.value[..], b"mine");
    let old = room.key_of("e2b").await.unwrap_err();
    assert_eq!(old.reason(), Reason::EncryptionKeyUnknown);
    assert_eq!(old.facts(), [("key_id", "b".to_owned())]);
}

#[tokio::test]
async fn rotation_does_what_it_can() {
    let room = Room::new().await;
    for turn in 0..105 {
        room.connection(&format!("p{turn}"), "value").await;
    }
    room.tamper("UPDATE sealed_values SET sealed = x'01' WHERE name = 'p7'")
        .await;
    let others = room.credentials_with(&key("lost", 3));
    let new = New {
        kind: ValueKind::Connection,
        org_id: "dev",
        owner: "dev",
        name: "stranger",
        value: &SecretSlice::from(b"x".to_vec()),
        hint: String::new(),
        validate_time: None,
    };
    others.safe.put(new).await.unwrap().unwrap();
    let both = [key("b", 2), key("a", 1)].join(",");
    let credentials = room.credentials_with(&both);
    let rotated = credentials.rotate().await.unwrap();
    assert_eq!(rotated.count, 104);
    let left = rotated.left.unwrap();
    assert_eq!(left.reason(), Reason::EncryptionKeyUnknown);
    assert_eq!(left.facts(), [("key_id", "lost".to_owned())]);
    let left = room.safe.store.values_not_under("b", None, 10).await;
    let mut left: Vec<_> = left.unwrap().into_iter().map(|row| row.key_id).collect();
    left.sort();
    assert_eq!(left, ["a", "lost"]);
}
