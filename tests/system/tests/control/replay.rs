//! A request_id makes a call safe to repeat: the same request has the same answer, done once.

use bytes::Bytes;
use prost::Message;
use sandgate_kit::Kind;
use sandgate_proto::{
    Reason,
    v1::{
        self, DeleteConnectionRequest, DeleteSandboxRequest, DeleteSecretRequest,
        DeleteSessionRequest, ListApiKeysRequest, ListApiKeysResponse, ListConnectionsRequest,
        ListConnectionsResponse, ListSecretsRequest, ListSecretsResponse, RevokeApiKeyRequest,
        SetConnectionRequest, SetSecretRequest, StopSandboxRequest, UpdateSessionRequest,
    },
};
use sandgate_system::{Act, Caller, Fake, Op, Plan, World, assert_reason, framed, uuid};
use tonic::Code;

const UPDATE: &str = "SessionService/UpdateSession";
const SET_SECRET: &str = "SecretService/SetSecret";
const DELETE_SECRET: &str = "SecretService/DeleteSecret";
const SET_CONNECTION: &str = "ConnectionService/SetConnection";

/// All that the calls of this file need.
const SCOPES: [&str; 8] = [
    "sessions.write",
    "sessions.read",
    "sandboxes.write",
    "secrets.write",
    "secrets.read",
    "connections.write",
    "connections.read",
    "admin",
];

/// A call that can be repeated, and one that differs from it in its body alone.
struct Case {
    rpc: &'static str,
    body: Bytes,
    other: Bytes,
}

impl Case {
    fn new<M: Message>(rpc: &'static str, one: &M, two: &M) -> Self {
        Self {
            rpc,
            body: framed(one),
            other: framed(two),
        }
    }
}

fn connection_case(request_id: &str) -> Case {
    let one = set_connection(request_id, "first-key-0000-1111");
    let two = set_connection(request_id, "second-key-0000-2222");
    Case::new(SET_CONNECTION, &one, &two)
}

/// What the calls are about.
struct Place {
    session_id: String,
    sandbox_id: String,
    doomed_session: String,
    api_key_id: String,
}

impl Place {
    async fn of(caller: &Caller) -> Self {
        let (session_id, sandbox_id) = caller.pair().await;
        Self {
            session_id,
            sandbox_id,
            doomed_session: caller.session().await,
            api_key_id: caller.issue("nobody", &[]).await.api_key_id,
        }
    }

    /// Every call that is repeated here, with these ids.
    fn cases(&self, request_ids: &[String; 6]) -> Vec<Case> {
        let [secret, update, stop, delete, connection, revoke] = request_ids;
        vec![
            self.secret(secret),
            self.update(update),
            self.stop(stop),
            self.delete(delete),
            connection_case(connection),
            self.revoke(revoke),
        ]
    }

    fn secret(&self, request_id: &str) -> Case {
        let one = set_secret(&self.session_id, request_id, b"one");
        let two = set_secret(&self.session_id, request_id, b"two");
        Case::new(SET_SECRET, &one, &two)
    }

    fn update(&self, request_id: &str) -> Case {
        let one = update(&self.session_id, request_id, "one");
        let two = update(&self.session_id, request_id, "two");
        Case::new(UPDATE, &one, &two)
    }

    fn stop(&self, request_id: &str) -> Case {
        let one = StopSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        let grace = prost_types::Duration {
            seconds: 1,
            nanos: 0,
        };
        let two = StopSandboxRequest {
            grace_timeout: Some(grace),
            ..one.clone()
        };
        Case::new("SandboxService/StopSandbox", &one, &two)
    }

    fn delete(&self, request_id: &str) -> Case {
        let one = DeleteSessionRequest {
            session_id: self.doomed_session.clone(),
            request_id: request_id.to_owned(),
            ..Default::default()
        };
        let two = DeleteSessionRequest {
            allow_missing: true,
            ..one.clone()
        };
        Case::new("SessionService/DeleteSession", &one, &two)
    }

    fn revoke(&self, request_id: &str) -> Case {
        let one = RevokeApiKeyRequest {
            request_id: request_id.to_owned(),
            api_key_id: self.api_key_id.clone(),
        };
        let two = RevokeApiKeyRequest {
            api_key_id: "0123456789abcdef".to_owned(),
            ..one.clone()
        };
        Case::new("AdminService/RevokeApiKey", &one, &two)
    }

    /// Changes or takes away all that the calls were about.
    async fn take_away(&self, caller: &Caller) {
        let (session_id, sandbox_id) = (self.session_id.clone(), self.sandbox_id.clone());
        let secret = DeleteSecretRequest {
            session_id: session_id.clone(),
            name: "NAME".to_owned(),
            ..Default::default()
        };
        let connection = DeleteConnectionRequest {
            provider: Fake::ID.to_owned(),
            ..Default::default()
        };
        let sandbox = DeleteSandboxRequest {
            session_id: session_id.clone(),
            sandbox_id,
            ..Default::default()
        };
        let session = DeleteSessionRequest {
            session_id: session_id.clone(),
            ..Default::default()
        };
        for (rpc, body) in [
            (DELETE_SECRET, framed(&secret)),
            (UPDATE, framed(&update(&session_id, "", "three"))),
            ("ConnectionService/DeleteConnection", framed(&connection)),
            ("SandboxService/DeleteSandbox", framed(&sandbox)),
            ("SessionService/DeleteSession", framed(&session)),
        ] {
            succeed(caller, rpc, &body).await;
        }
    }
}

fn set_secret(session_id: &str, request_id: &str, value: &'static [u8]) -> SetSecretRequest {
    SetSecretRequest {
        session_id: session_id.to_owned(),
        request_id: request_id.to_owned(),
        name: "NAME".to_owned(),
        value: value.into(),
    }
}

fn update(session_id: &str, request_id: &str, title: &str) -> UpdateSessionRequest {
    UpdateSessionRequest {
        session_id: session_id.to_owned(),
        request_id: request_id.to_owned(),
        title: title.to_owned(),
        ..Default::default()
    }
}

fn set_connection(request_id: &str, api_key: &str) -> SetConnectionRequest {
    SetConnectionRequest {
        request_id: request_id.to_owned(),
        provider: Fake::ID.to_owned(),
        api_key: api_key.to_owned(),
        skip_validation: true,
        ..Default::default()
    }
}

fn request_ids() -> [String; 6] {
    std::array::from_fn(|_| uuid())
}

/// The answer of a call that goes well, as it is on the wire.
async fn succeed(caller: &Caller, rpc: &str, body: &Bytes) -> Bytes {
    let reply = caller.send(rpc, &[], body.clone()).await;
    assert_eq!(reply.status().code(), Code::Ok, "{rpc}: {reply:?}");
    assert_eq!(reply.headers["content-type"], "application/grpc", "{rpc}");
    reply.body
}

async fn fail(caller: &Caller, rpc: &str, body: &Bytes, reason: Reason, hint: &str) {
    let reply = caller.send(rpc, &[], body.clone()).await;
    assert_reason(&reply.status(), reason, hint);
    assert!(reply.body.is_empty(), "{rpc}: {reply:?}");
}

async fn worlds() -> (World, Caller) {
    let (world, admin) = World::administered(Plan::default()).await;
    let operator = admin.issue("operator", &SCOPES).await;
    (world, operator)
}

#[tokio::test]
async fn the_same_request_has_the_same_answer_also_when_all_is_gone() {
    let (world, operator) = worlds().await;
    let place = Place::of(&operator).await;
    let cases = place.cases(&request_ids());
    let mut answers = Vec::new();
    for Case { rpc, body, .. } in &cases {
        answers.push(succeed(&operator, rpc, body).await);
    }
    for (Case { rpc, body, .. }, answer) in cases.iter().zip(&answers) {
        assert_eq!(succeed(&operator, rpc, body).await, answer, "{rpc}");
    }
    place.take_away(&operator).await;
    let beside = world.beside().await;
    let elsewhere = operator.at(beside.address()).await;
    for caller in [&operator, &elsewhere] {
        for (Case { rpc, body, .. }, answer) in cases.iter().zip(&answers) {
            assert_eq!(succeed(caller, rpc, body).await, answer, "{rpc}");
        }
    }
    // Nothing was done again.
    assert_eq!(world.fake.count(Op::Stop), 1);
    let list = ListConnectionsRequest::default();
    let reply = operator.call("ConnectionService/ListConnections", &list);
    let connections: ListConnectionsResponse = reply.await.message();
    assert!(connections.connections.is_empty(), "{connections:?}");
}

#[tokio::test]
async fn the_effect_is_there_once() {
    let (_world, operator) = worlds().await;
    let session_id = operator.session().await;
    let body = framed(&set_secret(&session_id, &uuid(), b"value"));
    let delete = DeleteSecretRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        name: "NAME".to_owned(),
        ..Default::default()
    };
    let delete = framed(&delete);
    for _ in 0..2 {
        succeed(&operator, SET_SECRET, &body).await;
        // Without allow_missing: the repeated one finds nothing and is answered all the same.
        succeed(&operator, DELETE_SECRET, &delete).await;
    }
    let list = ListSecretsRequest {
        session_id,
        ..Default::default()
    };
    let reply = operator.call("SecretService/ListSecrets", &list).await;
    let listed: ListSecretsResponse = reply.message();
    assert!(listed.secrets.is_empty(), "{listed:?}");
}

#[tokio::test]
async fn another_body_or_another_rpc_needs_another_id() {
    let (_world, operator) = worlds().await;
    let place = Place::of(&operator).await;
    // One id for all: only the first call gets it.
    let one = uuid();
    let cases = place.cases(&std::array::from_fn(|_| one.clone()));
    succeed(&operator, cases[0].rpc, &cases[0].body).await;
    for Case { rpc, body, .. } in &cases[1..] {
        fail(&operator, rpc, body, Reason::RequestIdReused, "new one").await;
    }
    let cases = place.cases(&request_ids());
    for Case { rpc, body, other } in &cases {
        let answer = succeed(&operator, rpc, body).await;
        fail(&operator, rpc, other, Reason::RequestIdReused, "new one").await;
        assert_eq!(succeed(&operator, rpc, body).await, answer, "{rpc}");
    }
}

#[tokio::test]
async fn the_same_id_of_another_caller_is_another_request() {
    let (world, operator) = worlds().await;
    let admin = operator.issue("colleague", &SCOPES).await;
    let (one, two) = (Place::of(&operator).await, Place::of(&admin).await);
    let ids = request_ids();
    for (mine, theirs) in one.cases(&ids).iter().zip(two.cases(&ids)) {
        let answer = succeed(&operator, mine.rpc, &mine.body).await;
        succeed(&admin, theirs.rpc, &theirs.body).await;
        assert_eq!(succeed(&operator, mine.rpc, &mine.body).await, answer);
    }
    assert_eq!(world.fake.count(Op::Stop), 2);
    // Nor does the answer to somebody else's request show what is not one's own.
    let mine = &one.cases(&ids)[1];
    fail(&admin, mine.rpc, &mine.body, Reason::RequestIdReused, "").await;
    let stranger = operator.issue("stranger", &[]).await;
    fail(&stranger, mine.rpc, &mine.body, Reason::SessionNotFound, "").await;
}

#[tokio::test]
async fn a_call_that_failed_can_be_tried_again() {
    let (world, operator) = worlds().await;
    let session_id = operator.session().await;
    let wrong = UpdateSessionRequest {
        if_match: "no such etag".to_owned(),
        ..update(&session_id, &uuid(), "title")
    };
    let right = UpdateSessionRequest {
        if_match: String::new(),
        ..wrong.clone()
    };
    fail(&operator, UPDATE, &framed(&wrong), Reason::EtagMismatch, "").await;
    succeed(&operator, UPDATE, &framed(&right)).await;

    let delete = framed(&DeleteSecretRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        name: "NAME".to_owned(),
        ..Default::default()
    });
    let missing = Reason::SecretNotFound;
    fail(&operator, DELETE_SECRET, &delete, missing, "").await;
    let set = framed(&set_secret(&session_id, "", b"value"));
    succeed(&operator, SET_SECRET, &set).await;
    succeed(&operator, DELETE_SECRET, &delete).await;

    let tried = framed(&SetConnectionRequest {
        skip_validation: false,
        ..set_connection(&uuid(), "first-key-0000-1111")
    });
    world
        .fake
        .set(Op::List, Act::Fail(Kind::CredentialRejected));
    let rejected = Reason::CredentialRejected;
    fail(&operator, SET_CONNECTION, &tried, rejected, "").await;
    world.fake.mend(Op::List);
    succeed(&operator, SET_CONNECTION, &tried).await;
    succeed(&operator, SET_CONNECTION, &tried).await;
    let tried = world.fake.calls(Op::List);
    assert_eq!(tried.iter().filter(|call| call.key().is_some()).count(), 2);
}

#[tokio::test]
async fn an_id_that_is_none_is_told_only_to_who_may_call() {
    let (_world, operator) = worlds().await;
    let reader = operator.issue("operator", &["secrets.read"]).await;
    let stranger = operator.issue("stranger", &[]).await;
    let place = Place::of(&operator).await;
    let cases = place.cases(&std::array::from_fn(|_| "nonsense".to_owned()));
    for Case { rpc, body, .. } in &cases {
        fail(&operator, rpc, body, Reason::InvalidField, "request_id").await;
    }
    let secret = &cases[0];
    let (rpc, body) = (secret.rpc, &secret.body);
    fail(&stranger, rpc, body, Reason::SessionNotFound, "").await;
    fail(&reader, rpc, body, Reason::ScopeRequired, "secrets.write").await;
}

#[tokio::test]
async fn a_key_that_may_not_call_gets_no_old_answer() {
    let (_world, operator) = worlds().await;
    let reader = operator.issue("operator", &["sessions.read"]).await;
    let place = Place::of(&operator).await;
    for Case { rpc, body, .. } in &place.cases(&request_ids()) {
        succeed(&operator, rpc, body).await;
        fail(&reader, rpc, body, Reason::ScopeRequired, "").await;
    }
    let list = ListApiKeysRequest::default();
    let reply = operator.call("AdminService/ListApiKeys", &list).await;
    let listed: ListApiKeysResponse = reply.message();
    let is_there = |key: &v1::ApiKey| key.api_key_id == place.api_key_id;
    assert!(!listed.api_keys.iter().any(is_there), "it was revoked");
}
