//! One create, whoever repeats it and wherever.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, CreateSandboxResponse, SandboxState},
};
use sandgate_system::{Act, Op, assert_reason, eventually, uuid};

use crate::{calls::millis, pair::Pair};

async fn twenty(pair: &Pair, request: &CreateSandboxRequest) -> Vec<CreateSandboxResponse> {
    let calls = (0..20).map(|number| pair.client(number).create(request.clone()));
    let made = join_all(calls).await;
    made.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn twenty_at_once_at_two_gateways_make_one() {
    let pair = Pair::start().await;
    let session_id = pair.client(0).session().await;
    let work = Duration::from_millis(200);
    pair.world.fake.set(Op::Create, Act::Work(work));
    let by_request = CreateSandboxRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        alias: "mine".to_owned(),
        ..Default::default()
    };
    let by_id = CreateSandboxRequest {
        session_id,
        sandbox_id: uuid(),
        ..Default::default()
    };
    for (number, request) in [&by_request, &by_id].into_iter().enumerate() {
        let made = twenty(&pair, request).await;
        let sandboxes = made.iter().map(|answer| answer.sandbox.as_ref().unwrap());
        assert!(
            sandboxes
                .clone()
                .all(|one| one.state() == SandboxState::Running)
        );
        let ids: BTreeSet<_> = sandboxes.map(|one| &one.sandbox_id).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(made.iter().filter(|answer| !answer.replayed).count(), 1);
        assert_eq!(pair.world.fake.sandboxes().len(), number + 1);
        for client in &pair.clients {
            assert!(client.create(request.clone()).await.unwrap().replayed);
        }
    }
    assert_eq!(pair.world.fake.count(Op::Delete), 0);
    let other = CreateSandboxRequest {
        alias: "another".to_owned(),
        ..by_request
    };
    for client in &pair.clients {
        let refused = client.create(other.clone()).await.unwrap_err();
        assert_reason(&refused, Reason::RequestIdReused, "choose a new one");
    }
}

#[tokio::test]
async fn a_short_wait_answers_in_creating_and_the_create_goes_on() {
    let pair = Pair::start().await;
    let client = pair.client(0);
    let session_id = client.session().await;
    pair.world.fake.set(Op::Create, Act::Hang);
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        wait_timeout: Some(millis(50)),
        ..Default::default()
    };
    let made = client.create(request.clone()).await.unwrap();
    let sandbox = made.sandbox.unwrap();
    assert_eq!(sandbox.state(), SandboxState::Creating);
    // However long somebody waits, it is the same request.
    let again = client.create(request.clone()).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.sandbox.unwrap().sandbox_id, sandbox.sandbox_id);
    pair.world.fake.mend(Op::Create);
    let whole = CreateSandboxRequest {
        wait_timeout: None,
        ..request
    };
    let whole = client.create(whole).await.unwrap();
    assert_eq!(whole.sandbox.unwrap().state(), SandboxState::Running);
    let seen = client.get(&session_id, &sandbox.sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Running);
    assert_eq!(pair.world.fake.count(Op::Create), 1);
}

#[tokio::test]
async fn a_negative_wait_is_refused() {
    let pair = Pair::start().await;
    let client = pair.client(0);
    let request = CreateSandboxRequest {
        session_id: client.session().await,
        wait_timeout: Some(millis(-1)),
        ..Default::default()
    };
    let refused = client.create(request).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "wait_timeout");
    assert_eq!(pair.world.fake.count(Op::Create), 0);
}

#[tokio::test]
async fn a_caller_who_is_gone_finds_it_at_the_other_gateway() {
    let pair = Pair::start().await;
    pair.world.fake.set(Op::Create, Act::Hang);
    let request = CreateSandboxRequest {
        session_id: pair.client(0).session().await,
        sandbox_id: uuid(),
        ..Default::default()
    };
    let (lost, first) = (pair.client(0).clone(), request.clone());
    let call = tokio::spawn(async move { lost.create(first).await });
    let fake = &pair.world.fake;
    eventually("the provider is asked", || fake.pending(Op::Create) == 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let other = pair.client(1).clone();
    let repeated = tokio::spawn(async move { other.create(request).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(fake.pending(Op::Create) >= 1, "the create was cancelled");
    fake.mend(Op::Create);
    let made = repeated.await.unwrap().unwrap();
    assert!(made.replayed);
    assert_eq!(made.sandbox.unwrap().state(), SandboxState::Running);
    assert_eq!(fake.sandboxes().len(), 1);
    assert_eq!(fake.count(Op::Delete), 0);
}
