//! API keys: issued, used, listed, revoked.

use std::time::{Duration, SystemTime};

use prost::Message;
use sandgate_proto::{
    Reason,
    v1::{
        ApiKey, CreateSessionResponse, GetSessionRequest, IssueApiKeyRequest, IssueApiKeyResponse,
        ListApiKeysRequest, ListApiKeysResponse, RevokeApiKeyRequest, RevokeApiKeyResponse,
        Session,
    },
};
use sandgate_system::{Plan, Raw, Reply, World, assert_reason, framed, uuid};
use tonic::Code;

const ISSUE: &str = "/sandbox.v1.AdminService/IssueApiKey";
const REVOKE: &str = "/sandbox.v1.AdminService/RevokeApiKey";
const LIST: &str = "/sandbox.v1.AdminService/ListApiKeys";
const CREATE: &str = "/sandbox.v1.SessionService/CreateSession";
const GET: &str = "/sandbox.v1.SessionService/GetSession";
const ADMIN_KEY: &str = "the admin key";

/// A connection, and the key that its calls send.
struct Caller {
    raw: Raw,
    authorization: String,
}

impl Caller {
    async fn of(world: &World, key: &str) -> Self {
        Self {
            raw: world.raw().await,
            authorization: format!("Bearer {key}"),
        }
    }

    async fn call(&self, path: &str, request: &impl Message) -> Reply {
        let headers = [("authorization", self.authorization.as_str())];
        self.raw.call(path, &headers, framed(request)).await
    }

    async fn issue(&self, request: &IssueApiKeyRequest) -> (ApiKey, String) {
        let issued: IssueApiKeyResponse = self.call(ISSUE, request).await.message();
        (issued.api_key.unwrap(), issued.secret)
    }

    async fn list(&self, request: &ListApiKeysRequest) -> ListApiKeysResponse {
        self.call(LIST, request).await.message()
    }

    async fn session(&self) -> Session {
        let made: CreateSessionResponse = self.call(CREATE, &()).await.message();
        made.session.unwrap()
    }

    async fn is_let_in(&self) -> bool {
        let status = self.call(CREATE, &()).await.status();
        if status.code() != Code::Ok {
            assert_reason(
                &status,
                Reason::AuthenticationRequired,
                "authorization: Bearer",
            );
        }
        status.code() == Code::Ok
    }
}

async fn world() -> (World, Caller) {
    let world = World::with(Plan {
        admin_key: Some(ADMIN_KEY),
        ..Plan::default()
    })
    .await;
    let admin = Caller::of(&world, ADMIN_KEY).await;
    (world, admin)
}

fn for_user(user_id: &str) -> IssueApiKeyRequest {
    IssueApiKeyRequest {
        org_id: "acme".to_owned(),
        user_id: user_id.to_owned(),
        ..Default::default()
    }
}

fn revoke(api_key_id: &str) -> RevokeApiKeyRequest {
    RevokeApiKeyRequest {
        api_key_id: api_key_id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_key_calls_for_its_user() {
    let (world, admin) = world().await;
    let (key, secret) = admin.issue(&for_user("ann")).await;
    let id = &key.api_key_id;
    assert!(secret.starts_with(&format!("sgk_{id}_")) && secret.len() == 4 + 16 + 1 + 43);
    assert!(key.create_time.is_some() && key.expire_time.is_none() && key.scopes.is_empty());

    let ann = Caller::of(&world, &secret).await;
    let session = ann.session().await;
    assert_eq!((&session.org_id[..], &session.user_id[..]), ("acme", "ann"));
    let (_, secret) = admin.issue(&for_user("bob")).await;
    let bob = Caller::of(&world, &secret).await;
    let get = GetSessionRequest {
        session_id: session.session_id,
    };
    assert_eq!(ann.call(GET, &get).await.status().code(), Code::Ok);
    let refused = bob.call(GET, &get).await.status();
    assert_reason(&refused, Reason::SessionNotFound, "CreateSession");
    for path in [ISSUE, LIST] {
        let refused = ann.call(path, &()).await.status();
        assert_reason(&refused, Reason::ScopeRequired, "admin");
    }
    let refused = ann.call(REVOKE, &revoke(id)).await.status();
    assert_reason(&refused, Reason::ScopeRequired, "admin");
}

#[tokio::test]
async fn every_bad_key_has_the_same_answer() {
    let (world, admin) = world().await;
    let (key, secret) = admin.issue(&for_user("ann")).await;
    let (revoked, gone) = admin.issue(&for_user("ann")).await;
    admin.call(REVOKE, &revoke(&revoked.api_key_id)).await;
    let unknown = secret.replace(&key.api_key_id, "0123456789abcdef");
    let mut wrong = secret.clone();
    wrong.replace_range(30..31, if &secret[30..31] == "A" { "B" } else { "A" });
    let mut answers = Vec::new();
    for bad in [
        &unknown[..],
        &wrong,
        &gone,
        &secret[..63],
        "sgk_",
        "sgk__",
        "a.b.c",
    ] {
        let caller = Caller::of(&world, bad).await;
        let refused = caller.call(CREATE, &()).await.status();
        assert_reason(
            &refused,
            Reason::AuthenticationRequired,
            "authorization: Bearer",
        );
        answers.push((refused.message().to_owned(), refused.details().to_vec()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    // Twice the same header is no credential, even if both are good.
    let good = format!("Bearer {secret}");
    let twice = [("authorization", &good[..]), ("authorization", &good[..])];
    let refused = admin.raw.call(CREATE, &twice, framed(&())).await.status();
    assert_reason(&refused, Reason::AuthenticationRequired, "");
    let small = [("authorization", &good.replace("Bearer", "bearer")[..])];
    assert_eq!(
        admin
            .raw
            .call(CREATE, &small, framed(&()))
            .await
            .status()
            .code(),
        Code::Ok
    );
}

#[tokio::test]
async fn what_cannot_be_issued_is_refused() {
    let (_world, admin) = world().await;
    let past = SystemTime::now() - Duration::from_secs(1);
    for (field, request) in [
        (
            "scopes",
            IssueApiKeyRequest {
                scopes: vec!["files.read".to_owned(), "everything".to_owned()],
                ..Default::default()
            },
        ),
        (
            "title",
            IssueApiKeyRequest {
                title: "x".repeat(257),
                ..Default::default()
            },
        ),
        (
            "expire_time",
            IssueApiKeyRequest {
                expire_time: Some(past.into()),
                ..Default::default()
            },
        ),
        ("user_id", for_user("a\nb")),
        (
            "request_id",
            IssueApiKeyRequest {
                request_id: "x".to_owned(),
                ..Default::default()
            },
        ),
    ] {
        let refused = admin.call(ISSUE, &request).await.status();
        assert_reason(&refused, Reason::InvalidField, field);
    }
    let (key, _) = admin.issue(&IssueApiKeyRequest::default()).await;
    assert_eq!((&key.org_id[..], &key.user_id[..]), ("admin", "admin"));
}

#[tokio::test]
async fn a_repeated_request_shows_no_secret() {
    let (_world, admin) = world().await;
    let request = IssueApiKeyRequest {
        request_id: uuid(),
        title: "a title".to_owned(),
        scopes: vec!["act_as".to_owned()],
        ..for_user("ann")
    };
    let (key, secret) = admin.issue(&request).await;
    assert!(!secret.is_empty());
    assert_eq!(admin.issue(&request).await, (key, String::new()));
    let other = IssueApiKeyRequest {
        title: "another".to_owned(),
        ..request
    };
    let refused = admin.call(ISSUE, &other).await.status();
    assert_reason(&refused, Reason::RequestIdReused, "request_id");
}

#[tokio::test]
async fn a_revoked_key_ends_here_at_once_and_elsewhere_soon() {
    let (world, admin) = world().await;
    let second = world.beside().await;
    let (key, secret) = admin.issue(&for_user("ann")).await;
    let here = Caller::of(&world, &secret).await;
    let elsewhere = Caller {
        raw: Raw::connect(second.address()).await,
        authorization: here.authorization.clone(),
    };
    assert!(here.is_let_in().await && elsewhere.is_let_in().await);
    let revoked: RevokeApiKeyResponse =
        admin.call(REVOKE, &revoke(&key.api_key_id)).await.message();
    assert!(!here.is_let_in().await);
    tokio::time::sleep(Duration::from_millis(990)).await;
    assert!(!elsewhere.is_let_in().await);
    let again: RevokeApiKeyResponse = admin.call(REVOKE, &revoke(&key.api_key_id)).await.message();
    assert!(revoked.api_key.as_ref().unwrap().revoke_time.is_some());
    // When it was last used may still have been written in between.
    let time = |answer: RevokeApiKeyResponse| answer.api_key.unwrap().revoke_time;
    assert_eq!(time(again), time(revoked));

    let unknown = admin
        .call(REVOKE, &revoke("0123456789abcdef"))
        .await
        .status();
    assert_reason(&unknown, Reason::ApiKeyNotFound, "ListApiKeys");
    let whole = admin.call(REVOKE, &revoke(&secret)).await.status();
    assert_reason(&whole, Reason::InvalidField, "api_key_id");
    assert!(!whole.message().contains(&secret));
}

#[tokio::test]
async fn a_key_expires() {
    let (world, admin) = world().await;
    let end = SystemTime::now() + Duration::from_millis(1500);
    let request = IssueApiKeyRequest {
        expire_time: Some(end.into()),
        ..for_user("ann")
    };
    let (key, secret) = admin.issue(&request).await;
    assert!(key.expire_time.is_some());
    let ann = Caller::of(&world, &secret).await;
    assert!(ann.is_let_in().await);
    tokio::time::sleep(end.duration_since(SystemTime::now()).unwrap_or_default()).await;
    assert!(!ann.is_let_in().await);
}

#[tokio::test]
async fn the_last_use_is_noted() {
    let (world, admin) = world().await;
    let (_, secret) = admin.issue(&for_user("ann")).await;
    let ann = Caller::of(&world, &secret).await;
    let last_use = || async {
        let listed = admin.list(&ListApiKeysRequest::default()).await;
        listed.api_keys[0].last_use_time
    };
    assert_eq!(last_use().await, None);
    ann.session().await;
    let mut noted = None;
    for _ in 0..100 {
        noted = last_use().await;
        if noted.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(noted.is_some(), "not within 5 s");
    // Not written again within the minute.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    ann.session().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(last_use().await, noted);
}

#[tokio::test]
async fn keys_are_listed_by_pages() {
    let (_world, admin) = world().await;
    let mut ids = Vec::new();
    for user in ["ann", "bob", "ann"] {
        ids.insert(0, admin.issue(&for_user(user)).await.0.api_key_id);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut request = ListApiKeysRequest {
        org_id: "acme".to_owned(),
        page_size: 2,
        ..Default::default()
    };
    let first = admin.list(&request).await;
    request.page_token = first.next_page_token;
    let second = admin.list(&request).await;
    assert!(second.next_page_token.is_empty());
    let pages = first.api_keys.into_iter().chain(second.api_keys);
    assert_eq!(pages.map(|key| key.api_key_id).collect::<Vec<_>>(), ids);

    admin.call(REVOKE, &revoke(&ids[0])).await;
    let mut of_ann = ListApiKeysRequest {
        user_id: "ann".to_owned(),
        ..Default::default()
    };
    assert_eq!(admin.list(&of_ann).await.api_keys.len(), 1);
    of_ann.include_inactive = true;
    assert_eq!(admin.list(&of_ann).await.api_keys.len(), 2);
}

#[tokio::test]
async fn with_nothing_configured_a_credential_still_has_to_be_good() {
    let world = World::start().await;
    let raw = world.raw().await;
    let open = raw.call(ISSUE, &[], framed(&for_user("ann"))).await;
    let issued: IssueApiKeyResponse = open.message();
    let ann = Caller::of(&world, &issued.secret).await;
    assert_eq!(ann.session().await.user_id, "ann");
    assert!(!Caller::of(&world, "wrong").await.is_let_in().await);
}
