//! Encryption keys are changed while the gateway serves, and nothing is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt as _, future::join_all, stream};
use prost::Message as _;
use sandgate_gateway::StartError;
use sandgate_proto::{
    Reason,
    provider::v1::GatewayPayload,
    v1::{CreateSessionRequest, ExecRequest, SetSecretRequest},
};
use sandgate_system::{Act, Client, Fake, Op, Plan, World, assert_reason, eventually, fact, uuid};
use tonic::{Code, Status};

use crate::database;

const STATE: &str = "state of the upstream ";
/// A list of keys by their numbers.
pub(crate) fn keys(numbers: &[u8]) -> String {
    let key = |number: &u8| format!("k{number}:{}", STANDARD.encode([*number; 32]));
    numbers.iter().map(key).collect::<Vec<_>>().join(",")
}

async fn world(numbers: &[u8]) -> (World, Client) {
    let world = World::with(Plan {
        tap: true,
        encryption_keys: keys(numbers),
        ..Plan::default()
    })
    .await;
    world.fake.state(STATE);
    let client = world.client().await;
    (world, client)
}

/// Everything that is sealed, but for what is sealed under this key.
async fn not_under(world: &World, key_id: &str) -> i64 {
    let query = "SELECT
        (SELECT COUNT(*) FROM sealed_values WHERE key_id <> ?1)
        + (SELECT COUNT(*) FROM sandboxes WHERE state_key_id NOT IN ('', ?1))
        + (SELECT COUNT(*) FROM installation WHERE digest_key_id <> ?1)";
    database::number(world, query, key_id).await
}

fn secret(session_id: &str, name: &str, request_id: &str) -> SetSecretRequest {
    SetSecretRequest {
        request_id: request_id.to_owned(),
        session_id: session_id.to_owned(),
        name: name.to_owned(),
        value: name.to_owned().into_bytes().into(),
    }
}

/// Sets so many secrets, each to its own name.
async fn fill(client: &Client, session_id: &str, prefix: &str, count: usize) -> Vec<String> {
    let names: Vec<_> = (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect();
    let set =
        |name: String| async move { client.set_secret(session_id, &name, name.clone()).await };
    let all = stream::iter(names.clone()).for_each_concurrent(32, set);
    all.await;
    names
}

/// Runs a command that gets these secrets, and compares what the provider got.
async fn check(
    world: &World,
    client: &Client,
    pair: &(String, String),
    names: &[String],
) -> Result<(), Status> {
    for some in names.chunks(500) {
        let request = ExecRequest {
            session_id: pair.0.clone(),
            sandbox_id: pair.1.clone(),
            command: "print x".to_owned(),
            secret_env: some
                .iter()
                .map(|name| (name.clone(), name.clone()))
                .collect(),
            ..Default::default()
        };
        let mut stream = client.sandboxes().exec(request).await?.into_inner();
        while stream.message().await?.is_some() {}
        let sent = world.tap().latest("Exec", 10);
        let payload = |seen: sandgate_system::Seen| {
            let request = ExecRequest::decode(seen.message()).unwrap();
            GatewayPayload::decode(request.gateway_payload).unwrap()
        };
        // Others may have come at the same time.
        let mut sent = sent.into_iter().map(payload);
        let found = sent.find(|payload| payload.secret_env.contains_key(&some[0]));
        let values = found.unwrap().secret_env;
        assert!(some.iter().all(|name| values[name] == *name));
    }
    Ok(())
}

#[tokio::test]
async fn everything_moves_to_the_new_key_and_the_old_one_is_not_needed_any_more() {
    let (world, client) = world(&[1]).await;
    client.connect_to(Fake::ID, "own", "").await;
    client.connect_to("github", "token", "").await;
    let pair = client.pair().await;
    let names = fill(&client, &pair.0, "S", 3).await;
    let again = secret(&pair.0, "S0", &uuid());
    let first = client.secrets().set_secret(again.clone()).await.unwrap();
    let first = first.into_inner();
    // Kept only to clean up.
    client.connect_to(Fake::ID, "newer", "").await;
    let session = CreateSessionRequest {
        request_id: uuid(),
        ..Default::default()
    };
    client.sessions().create_session(session).await.unwrap();
    assert_eq!(not_under(&world, "k1").await, 0);

    let world = world.rekeyed(&keys(&[2, 1])).await;
    let client = world.client().await;
    check(&world, &client, &pair, &names).await.unwrap();
    let sealed = not_under(&world, "k2").await;
    // Secrets, connections, the one that was replaced, a state, the key of the digests.
    assert_eq!(sealed, 3 + 2 + 1 + 1 + 1);
    let rotated = client.rotate_keys().await.unwrap();
    assert_eq!((rotated.key_id.as_str(), rotated.rotated), ("k2", 8));
    assert_eq!(rotated.unused_key_ids, ["k1"]);
    assert_eq!(not_under(&world, "k2").await, 0);
    let rotated = client.rotate_keys().await.unwrap();
    assert_eq!((rotated.key_id.as_str(), rotated.rotated), ("k2", 0));

    let world = world.rekeyed(&keys(&[2])).await;
    let client = world.client().await;
    check(&world, &client, &pair, &names).await.unwrap();
    let seen = world.tap().seen("Exec").pop().unwrap();
    assert_eq!(seen.context().state, format!("{STATE}s"));
    assert_eq!(seen.key().unwrap().1, "newer");
    let replayed = client.secrets().set_secret(again.clone()).await.unwrap();
    assert_eq!(replayed.into_inner(), first);
    let other = SetSecretRequest {
        name: "OTHER".to_owned(),
        ..again
    };
    let refused = client.secrets().set_secret(other).await.unwrap_err();
    assert_reason(&refused, Reason::RequestIdReused, "");
    client.delete(&pair.0, &pair.1).await.unwrap();
    assert_eq!(world.fake.calls(Op::Delete)[0].key(), Some("own"));

    let refused = world.beside_with(&keys(&[1])).await.err().unwrap();
    assert!(matches!(refused, StartError::Sealed(_)), "{refused:?}");
    let said = format!("{refused} {refused:?}");
    assert!(said.contains("k2"), "{said}");
    for number in [1, 2] {
        let key = STANDARD.encode([number; 32]);
        assert!(!said.contains(&key), "{said}");
    }
}

#[tokio::test]
async fn calls_go_on_while_some_thousand_values_move() {
    let (world, client) = world(&[1]).await;
    let pair = client.pair().await;
    let mut names = fill(&client, &pair.0, "S", 2000).await;
    let world = Arc::new(world.rekeyed(&keys(&[2, 1])).await);
    let client = world.client().await;
    let moving = Arc::new(AtomicBool::new(true));
    let worker = |number: usize| {
        let (world, client, pair) = (world.clone(), client.clone(), pair.clone());
        let (moving, names) = (moving.clone(), names.clone());
        tokio::spawn(async move {
            let (mut rounds, mut made) = (0, Vec::new());
            while moving.load(Ordering::SeqCst) || rounds == 0 {
                let name = format!("W{number}_{rounds}");
                client.set_secret(&pair.0, &name, name.clone()).await;
                let old = &names[(rounds * 31 + number) % names.len()];
                client.set_secret(&pair.0, old, old.clone()).await;
                let asked = [name.clone(), old.clone(), names[rounds % 100].clone()];
                check(&world, &client, &pair, &asked).await.unwrap();
                made.push(name);
                rounds += 1;
            }
            made
        })
    };
    let workers: Vec<_> = (0..4).map(worker).collect();
    let rotated = client.rotate_keys().await.unwrap();
    moving.store(false, Ordering::SeqCst);
    // What was replaced meanwhile needed no move.
    assert!(rotated.rotated <= 2002, "{rotated:?}");
    for made in join_all(workers).await {
        names.extend(made.unwrap());
    }
    assert_eq!(client.rotate_keys().await.unwrap().rotated, 0);
    assert_eq!(not_under(&world, "k2").await, 0);
    drop(client);
    let world = Arc::into_inner(world).unwrap();
    let world = world.rekeyed(&keys(&[2])).await;
    let client = world.client().await;
    check(&world, &client, &pair, &names).await.unwrap();
}

#[tokio::test]
async fn what_is_under_a_key_that_is_missing_is_told_when_all_else_is_done() {
    let (world, client) = world(&[1]).await;
    let pair = client.pair().await;
    let names = fill(&client, &pair.0, "S", 150).await;
    let third = world.beside_with(&keys(&[3, 1])).await.unwrap();
    let by_third = Client::connect(third.address()).await;
    by_third.set_secret(&pair.0, "LOST", "LOST").await;
    let lost = by_third.sandbox(&pair.0).await;
    let world = world.rekeyed(&keys(&[2, 1])).await;
    let client = world.client().await;
    for _ in 0..2 {
        let refused = client.rotate_keys().await.unwrap_err();
        assert_reason(&refused, Reason::EncryptionKeyUnknown, "");
        assert_eq!(fact(&refused, "key_id").as_deref(), Some("k3"));
        assert_eq!(not_under(&world, "k2").await, 2);
    }
    check(&world, &client, &pair, &names).await.unwrap();
    let asked = ["LOST".to_owned()];
    let refused = check(&world, &client, &pair, &asked).await.unwrap_err();
    assert_reason(&refused, Reason::EncryptionKeyUnknown, "");
    let refused = client.exec(&pair.0, &lost, "print x").await.unwrap_err();
    assert_reason(&refused, Reason::EncryptionKeyUnknown, "");
    let world = world.rekeyed(&keys(&[2, 3, 1])).await;
    let client = world.client().await;
    let rotated = client.rotate_keys().await.unwrap();
    assert_eq!((rotated.rotated, not_under(&world, "k2").await), (2, 0));
    assert_eq!(rotated.unused_key_ids, ["k3", "k1"]);
    check(&world, &client, &pair, &asked).await.unwrap();
}

#[tokio::test]
async fn what_was_interrupted_goes_on_where_it_was() {
    let (world, client) = world(&[1]).await;
    let pair = client.pair().await;
    let names = fill(&client, &pair.0, "S", 1500).await;
    let world = world.rekeyed(&keys(&[2, 1])).await;
    let client = world.client().await;
    let all = not_under(&world, "k2").await;
    let rotating = tokio::spawn(async move { client.rotate_keys().await });
    while not_under(&world, "k2").await > all - 100 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let world = world.restarted(Duration::ZERO).await;
    let interrupted = rotating.await.unwrap();
    let left = not_under(&world, "k2").await;
    assert_eq!(interrupted.is_err(), left > 0, "{left} of {all}");
    let client = world.client().await;
    check(&world, &client, &pair, &names).await.unwrap();
    let rotated = client.rotate_keys().await.unwrap();
    assert_eq!(rotated.rotated, u64::try_from(left).unwrap());
    let world = world.rekeyed(&keys(&[2])).await;
    let client = world.client().await;
    check(&world, &client, &pair, &names).await.unwrap();
}

#[tokio::test]
async fn two_gateways_may_rotate_at_once() {
    let (world, client) = world(&[1]).await;
    let pair = client.pair().await;
    let names = fill(&client, &pair.0, "S", 500).await;
    let world = world.rekeyed(&keys(&[2, 1])).await;
    let beside = world.beside().await;
    let client = world.client().await;
    let other = Client::connect(beside.address()).await;
    let (one, two) = tokio::join!(client.rotate_keys(), other.rotate_keys());
    let done = one.unwrap().rotated + two.unwrap().rotated;
    assert_eq!((done, not_under(&world, "k2").await), (502, 0));
    let world = world.rekeyed(&keys(&[2])).await;
    let client = world.client().await;
    check(&world, &client, &pair, &names).await.unwrap();
}

#[tokio::test]
async fn a_change_that_is_under_way_does_not_bring_the_old_key_back() {
    let (world, client) = world(&[1]).await;
    let pair = client.pair().await;
    let world = world.rekeyed(&keys(&[2, 1])).await;
    world.fake.set(Op::Stop, Act::Hang);
    let client = world.client().await;
    let (by, of) = (client.clone(), pair.clone());
    let stop = tokio::spawn(async move { by.stop(&of.0, &of.1).await });
    eventually("it is asked", || world.fake.pending(Op::Stop) == 1).await;
    let rotated = client.rotate_keys().await.unwrap();
    assert_eq!((rotated.rotated, not_under(&world, "k2").await), (2, 0));
    world.fake.mend(Op::Stop);
    stop.await.unwrap().unwrap();
    assert_eq!(not_under(&world, "k2").await, 0);
    let world = world.rekeyed(&keys(&[2])).await;
    let client = world.client().await;
    client.start(&pair.0, &pair.1).await.unwrap();
    let started = world.fake.calls(Op::Start).pop().unwrap();
    assert!(started.state.starts_with(STATE.as_bytes()));
}

#[tokio::test]
async fn who_is_no_operator_cannot_rotate() {
    let world = World::with(Plan {
        admin_key: Some("the key of the administrator of this test"),
        ..Plan::default()
    })
    .await;
    let refused = world.client().await.rotate_keys().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}
