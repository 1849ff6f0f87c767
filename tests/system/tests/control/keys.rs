//! Which key a provider gets with a call: the session's or its user's, as it is now.

use prost::Message as _;
use sandgate_proto::{
    Reason,
    provider::v1::GatewayPayload,
    v1::{CloneRepositoryRequest, ListExecutionsRequest, SandboxState},
};
use sandgate_system::{Client, Fake, Op, Plan, World, assert_reason, fact};
use tonic::Status;

const IDS: [&str; 4] = ["daytona", "codesandbox", "e2b", "container"];

async fn world() -> (World, Client) {
    let world = World::with(Plan {
        tap: true,
        also: IDS.to_vec(),
        ..Plan::default()
    })
    .await;
    let client = world.client().await;
    (world, client)
}

/// The key that the last call of this rpc came with, by its kind.
fn last(world: &World, rpc: &str, kind: &str) -> Option<String> {
    let seen = world.tap().seen(rpc);
    let (found, key) = seen.last().unwrap().key()?;
    assert_eq!(found, kind);
    Some(key)
}

/// The key that a command comes with.
async fn of_exec(world: &World, pair: &(String, String), kind: &str) -> Option<String> {
    let client = world.client().await;
    client.exec(&pair.0, &pair.1, "print x").await.unwrap();
    last(world, "Exec", kind)
}

#[track_caller]
fn assert_required(status: &Status, provider: &str, hint: &str) {
    assert_reason(status, Reason::ConnectionRequired, hint);
    assert_eq!(fact(status, "provider").as_deref(), Some(provider));
}

fn key(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn daytona_takes_the_sessions_secret_and_then_the_users_connection() {
    let (world, client) = world().await;
    let session_id = client.session().await;
    let refused = client.sandbox_at(&session_id, "daytona").await.unwrap_err();
    assert_required(&refused, "daytona", "DAYTONA_API_KEY");
    assert!(refused.message().contains("SetConnection"), "{refused:?}");
    assert!(world.tap().seen("CreateSandbox").is_empty());

    client.connect_to("daytona", "connected", "").await;
    let sandbox_id = client.sandbox_at(&session_id, "daytona").await.unwrap();
    let pair = (session_id.clone(), sandbox_id);
    assert_eq!(last(&world, "CreateSandbox", "daytona"), key("connected"));
    assert_eq!(of_exec(&world, &pair, "daytona").await, key("connected"));

    client
        .set_secret(&session_id, "DAYTONA_API_KEY", "secret")
        .await;
    assert_eq!(of_exec(&world, &pair, "daytona").await, key("secret"));
    client.sandbox_at(&session_id, "daytona").await.unwrap();
    assert_eq!(last(&world, "CreateSandbox", "daytona"), key("secret"));
    let other = client.session().await;
    client.sandbox_at(&other, "daytona").await.unwrap();
    assert_eq!(last(&world, "CreateSandbox", "daytona"), key("connected"));

    client.delete_secret(&session_id, "DAYTONA_API_KEY").await;
    assert_eq!(of_exec(&world, &pair, "daytona").await, key("connected"));
    client.disconnect("daytona").await;
    let asked = (world.tap().seen("Exec").len(), world.fake.count(Op::Get));
    let refused = client.exec(&pair.0, &pair.1, "print x").await.unwrap_err();
    assert_required(&refused, "daytona", "SetConnection");
    let seen = client.get(&pair.0, &pair.1).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Unknown);
    assert_eq!(seen.reason.unwrap().code, "CONNECTION_REQUIRED");
    let after = (world.tap().seen("Exec").len(), world.fake.count(Op::Get));
    assert_eq!(after, asked);
    // To stop, the key that the sandbox was made with is good enough.
    client.stop(&pair.0, &pair.1).await.unwrap();
    assert_eq!(last(&world, "StopSandbox", "daytona"), key("connected"));
    let refused = client.start(&pair.0, &pair.1).await.unwrap_err();
    assert_required(&refused, "daytona", "SetConnection");
    client.connect_to("daytona", "again", "").await;
    client.start(&pair.0, &pair.1).await.unwrap();
    assert_eq!(last(&world, "StartSandbox", "daytona"), key("again"));
}

#[tokio::test]
async fn codesandbox_takes_the_sessions_secret_only() {
    let (world, client) = world().await;
    let session_id = client.session().await;
    client.connect_to("daytona", "connected", "").await;
    client
        .set_secret(&session_id, "CODESANDBOX", "another")
        .await;
    let refused = client.sandbox_at(&session_id, "codesandbox").await;
    assert_required(&refused.unwrap_err(), "codesandbox", "CSB_API_KEY");
    assert_eq!(world.fake.count(Op::Create), 0);
    client
        .set_secret(&session_id, "CSB_API_KEY", "secret")
        .await;
    let sandbox_id = client.sandbox_at(&session_id, "codesandbox").await.unwrap();
    assert_eq!(last(&world, "CreateSandbox", "codesandbox"), key("secret"));
    client.delete_secret(&session_id, "CSB_API_KEY").await;
    let refused = client.exec(&session_id, &sandbox_id, "print x").await;
    assert_required(&refused.unwrap_err(), "codesandbox", "CSB_API_KEY");
    // Secrets of another session are of no use.
    let other = client.session().await;
    client.set_secret(&other, "CSB_API_KEY", "other").await;
    let refused = client.exec(&session_id, &sandbox_id, "print x").await;
    assert_required(&refused.unwrap_err(), "codesandbox", "CSB_API_KEY");
    assert!(world.tap().seen("Exec").is_empty());
}

#[tokio::test]
async fn e2b_takes_the_users_connection_only() {
    let (world, client) = world().await;
    let session_id = client.session().await;
    for name in ["E2B_API_KEY", "e2b", "DAYTONA_API_KEY", "CSB_API_KEY"] {
        client.set_secret(&session_id, name, "secret").await;
    }
    let refused = client.sandbox_at(&session_id, "e2b").await.unwrap_err();
    assert_required(&refused, "e2b", "SetConnection");
    assert_eq!(world.fake.count(Op::Create), 0);
    client.connect_to("e2b", "connected", "").await;
    client.sandbox_at(&session_id, "e2b").await.unwrap();
    assert_eq!(last(&world, "CreateSandbox", "e2b"), key("connected"));
}

#[tokio::test]
async fn who_takes_no_key_gets_none_and_another_goes_on_without() {
    let (world, client) = world().await;
    let session_id = client.session().await;
    for provider in ["daytona", "e2b"] {
        client.connect_to(provider, "connected", "").await;
    }
    for name in ["DAYTONA_API_KEY", "CSB_API_KEY", "CONTAINER_API_KEY"] {
        client.set_secret(&session_id, name, "secret").await;
    }
    for provider in ["container", Fake::ID] {
        let sandbox_id = client.sandbox_at(&session_id, provider).await.unwrap();
        assert_eq!(last(&world, "CreateSandbox", provider), None);
        let pair = (session_id.clone(), sandbox_id);
        assert_eq!(of_exec(&world, &pair, provider).await, None);
        if provider == Fake::ID {
            client.connect_to(provider, "own", "").await;
            assert_eq!(of_exec(&world, &pair, provider).await, key("own"));
        }
    }
}

#[tokio::test]
async fn git_takes_the_users_connection_and_then_the_sessions_secret() {
    let (world, client) = world().await;
    let (session_id, sandbox_id) = {
        let session_id = client.session().await;
        let sandbox_id = client.sandbox_at(&session_id, Fake::ID).await.unwrap();
        (session_id, sandbox_id)
    };
    let request = CloneRepositoryRequest {
        session_id: session_id.clone(),
        sandbox_id,
        repository: "owner/repo".to_owned(),
        ..Default::default()
    };
    // What the provider got behind the caller's own bytes.
    let payload = async || {
        let done = client.git().clone_repository(request.clone()).await;
        done.unwrap();
        let message = world.tap().seen("CloneRepository").pop().unwrap().message();
        assert!(message.starts_with(&request.encode_to_vec()));
        let got = CloneRepositoryRequest::decode(message).unwrap();
        GatewayPayload::decode(got.gateway_payload).unwrap()
    };
    assert_eq!(payload().await, GatewayPayload::default());
    client
        .set_secret(&session_id, "GITHUB_TOKEN", "secret")
        .await;
    let git = payload().await.git.unwrap();
    assert_eq!((&git.token[..], &*git.provider), (&b"secret"[..], "github"));
    assert_eq!(git.username, "oauth2");
    assert_eq!(git.hosts, ["github.com"]);
    client.connect_to("github", "connected", "").await;
    let got = payload().await;
    assert_eq!(got.git.unwrap().token, "connected");
    assert!(got.secret_env.is_empty() && got.spec_secret_env.is_empty());
    client.disconnect("github").await;
    assert_eq!(payload().await.git.unwrap().token, "secret");
    client.delete_secret(&session_id, "GITHUB_TOKEN").await;
    assert_eq!(payload().await, GatewayPayload::default());
}

#[tokio::test]
async fn a_new_key_is_in_the_very_next_call() {
    let (world, client) = world().await;
    client.connect_to("e2b", "0", "").await;
    let session_id = client.session().await;
    let sandbox_id = client.sandbox_at(&session_id, "e2b").await.unwrap();
    let pair = (session_id, sandbox_id);
    let beside = world.beside().await;
    let other = Client::connect(beside.address()).await;
    for round in 1..20 {
        let new = round.to_string();
        // Set here or at another gateway.
        let by = if round % 2 == 0 { &client } else { &other };
        by.connect_to("e2b", &new, "").await;
        assert_eq!(of_exec(&world, &pair, "e2b").await, Some(new.clone()));
        let request = ListExecutionsRequest {
            session_id: pair.0.clone(),
            sandbox_id: pair.1.clone(),
            ..Default::default()
        };
        client.executions().list_executions(request).await.unwrap();
        assert_eq!(last(&world, "ListExecutions", "e2b"), Some(new.clone()));
        client.get(&pair.0, &pair.1).await.unwrap();
        assert_eq!(last(&world, "GetSandbox", "e2b"), Some(new));
    }
}

#[tokio::test]
async fn only_the_sessions_own_user_gives_the_key() {
    // Who calls may act for everybody, as a backend does.
    let (world, client) = world().await;
    let of_ann = client.session_of("ann").await;
    client.connect_to("e2b", "of bob", "bob").await;
    client.connect_to("e2b", "of the backend", "").await;
    client.connect_to("github", "git_of_bob", "bob").await;
    let refused = client.sandbox_at(&of_ann, "e2b").await.unwrap_err();
    assert_required(&refused, "e2b", "SetConnection");
    assert_eq!(world.fake.count(Op::Create), 0);
    client.connect_to("e2b", "of ann", "ann").await;
    let of_bob = client.session_of("bob").await;
    for (session_id, user_id, wanted) in [(of_ann, "ann", "of ann"), (of_bob, "bob", "of bob")] {
        let sandbox_id = client.sandbox_at(&session_id, "e2b").await.unwrap();
        assert_eq!(last(&world, "CreateSandbox", "e2b"), key(wanted));
        let pair = (session_id, sandbox_id);
        assert_eq!(of_exec(&world, &pair, "e2b").await, key(wanted));
        let context = world.tap().seen("Exec").pop().unwrap().context();
        assert_eq!((&*context.org_id, &*context.user_id), ("acme", user_id));
        let request = CloneRepositoryRequest {
            session_id: pair.0,
            sandbox_id: pair.1,
            repository: "owner/repo".to_owned(),
            ..Default::default()
        };
        client.git().clone_repository(request).await.unwrap();
        let message = world.tap().seen("CloneRepository").pop().unwrap().message();
        let got = CloneRepositoryRequest::decode(message).unwrap();
        assert_eq!(got.gateway_payload.is_empty(), user_id == "ann");
    }
}
