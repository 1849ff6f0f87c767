//! Users of one organisation, each with a key of their own.

use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxResponse, DeleteConnectionRequest, DeleteSandboxRequest, GetSandboxRequest,
        GetSandboxResponse, PauseSandboxRequest, ResumeSandboxRequest, RunCommandRequest,
        RunCommandResponse, SandboxState, SetConnectionRequest,
    },
};
use sandgate_system::{Caller, Plan, assert_reason};
use tonic::Code;

use crate::stand::{Parts, Stand};

const ADMIN: &str = "the key of the administrator";
/// Keys of two accounts at E2B.
const ANNS: &str = "e2b_ann";
const BOBS: &str = "e2b_bob";

async fn connect(caller: &Caller, key: &str) {
    let request = SetConnectionRequest {
        provider: "e2b".to_owned(),
        api_key: key.to_owned(),
        ..Default::default()
    };
    let reply = caller.call("ConnectionService/SetConnection", &request);
    assert_eq!(reply.await.status().code(), Code::Ok);
}

async fn said(caller: &Caller, ids: &(String, String)) -> String {
    let request = RunCommandRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        command: "echo x".to_owned(),
        ..Default::default()
    };
    let reply = caller.call("SandboxService/RunCommand", &request).await;
    let ran: RunCommandResponse = reply.message();
    String::from_utf8(ran.stdout.to_vec()).unwrap()
}

async fn state(caller: &Caller, ids: &(String, String)) -> SandboxState {
    let request = GetSandboxRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
    };
    let reply = caller.call("SandboxService/GetSandbox", &request).await;
    reply
        .message::<GetSandboxResponse>()
        .sandbox
        .unwrap()
        .state()
}

/// A gateway that tells callers apart, two of them with a key each, and nobody's connection.
async fn two() -> (Stand, Caller, Caller) {
    let plan = Plan {
        admin_key: Some(ADMIN),
        ..Plan::default()
    };
    let stand = Stand::of(Parts {
        plan,
        ..Parts::default()
    })
    .await;
    let admin = Caller::connect(stand.gateway(), ADMIN).await;
    let (ann, bob) = (admin.issue("ann", &[]).await, admin.issue("bob", &[]).await);
    (stand, ann, bob)
}

/// Fails unless nothing was asked of E2B since this was asked last.
async fn unasked(stand: &Stand) {
    let asked = stand.emulator.counts().await;
    assert!(asked.is_empty(), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobodys_key_serves_anybody_else() {
    let (stand, ann, bob) = two().await;
    // Ann's key is there, and is not Bob's.
    connect(&ann, ANNS).await;
    let session = bob.session().await;
    stand.emulator.counts().await;
    let refused = bob.create(&session, "").await.status();
    assert_reason(&refused, Reason::ConnectionRequired, "");
    unasked(&stand).await;

    connect(&bob, BOBS).await;
    let ids = ann.pair().await;
    let made: CreateSandboxResponse = bob.create(&session, "").await.message();
    let other = (session, made.sandbox.unwrap().sandbox_id);
    // Each account knows its own only, and answers 404 for any other.
    for (key, owner) in [(ANNS, &ids.1), (BOBS, &other.1)] {
        let all = stand.emulator.sandboxes(key).await;
        assert_eq!(all.len(), 1, "{key}: {all:?}");
        let detail = stand.emulator.detail(key, &all[0]).await;
        assert_eq!(detail["metadata"]["sandgate.sandbox_id"], **owner);
    }
    assert_eq!(said(&ann, &ids).await, "x\n");
    assert_eq!(said(&bob, &other).await, "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_deleted_brings_to_rest_what_it_made_and_no_more() {
    let (stand, ann, bob) = two().await;
    connect(&ann, ANNS).await;
    connect(&bob, BOBS).await;
    let (ids, other) = (ann.pair().await, bob.pair().await);
    let gone = DeleteConnectionRequest {
        provider: "e2b".to_owned(),
        ..Default::default()
    };
    let reply = ann.call("ConnectionService/DeleteConnection", &gone).await;
    assert_eq!(reply.status().code(), Code::Ok);
    let pause = PauseSandboxRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        ..Default::default()
    };
    let paused = ann.call("SandboxService/PauseSandbox", &pause).await;
    assert_eq!(paused.status().code(), Code::Ok);
    stand.emulator.counts().await;
    let resume = ResumeSandboxRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        ..Default::default()
    };
    let refused = ann.call("SandboxService/ResumeSandbox", &resume).await;
    assert_reason(&refused.status(), Reason::ConnectionRequired, "");
    assert_eq!(state(&ann, &ids).await, SandboxState::Unknown);
    unasked(&stand).await;
    assert_eq!(state(&bob, &other).await, SandboxState::Running);

    let delete = DeleteSandboxRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        ..Default::default()
    };
    let reply = ann.call("SandboxService/DeleteSandbox", &delete).await;
    assert_eq!(reply.status().code(), Code::Ok);
    assert!(stand.emulator.sandboxes(ANNS).await.is_empty());
    assert_eq!(stand.emulator.sandboxes(BOBS).await.len(), 1);
}
