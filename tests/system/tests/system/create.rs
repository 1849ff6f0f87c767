//! One request_id, one sandbox; what the caller chooses; how long it waits.

use futures::future::join_all;
use prost_types::Duration;
use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, SandboxSpec, SandboxState},
};
use sandgate_system::{Act, Op, World, assert_reason, eventually, fact, uuid};

fn of(session_id: &str) -> CreateSandboxRequest {
    CreateSandboxRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn the_same_request_twenty_times_at_once_makes_one_sandbox() {
    let world = World::start().await;
    let client = world.client().await;
    world
        .fake
        .set(Op::Create, Act::Work(std::time::Duration::from_millis(300)));
    let request = CreateSandboxRequest {
        request_id: uuid(),
        ..of(&client.session().await)
    };
    let made = join_all((0..20).map(|_| client.create(request.clone()))).await;
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    let first = made[0].sandbox.as_ref().unwrap();
    for answer in &made {
        let sandbox = answer.sandbox.as_ref().unwrap();
        assert_eq!(sandbox.sandbox_id, first.sandbox_id);
        assert_eq!(sandbox.state(), SandboxState::Running);
    }
    assert_eq!(made.iter().filter(|answer| answer.replayed).count(), 19);
    assert_eq!(world.fake.count(Op::Create), 1);
    assert!(client.create(request).await.unwrap().replayed);
}

#[tokio::test]
async fn the_same_request_id_with_another_body_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let request = CreateSandboxRequest {
        request_id: uuid(),
        ..of(&client.session().await)
    };
    client.create(request.clone()).await.unwrap();
    let spec = Some(SandboxSpec {
        title: "another".to_owned(),
        ..Default::default()
    });
    let refused = client
        .create(CreateSandboxRequest { spec, ..request })
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::RequestIdReused, "choose a new one");
    assert_eq!(world.fake.count(Op::Create), 1);
}

#[tokio::test]
async fn a_callers_own_id_is_kept_and_makes_the_create_idempotent() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = uuid();
    let session = sandgate_proto::v1::CreateSessionRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    let made = client
        .sessions()
        .create_session(session.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(made.session.unwrap().session_id, session_id);
    assert!(
        client
            .sessions()
            .create_session(session)
            .await
            .unwrap()
            .into_inner()
            .replayed
    );

    let request = CreateSandboxRequest {
        sandbox_id: uuid(),
        ..of(&session_id)
    };
    let first = client.create(request.clone()).await.unwrap();
    assert_eq!(first.sandbox.unwrap().sandbox_id, request.sandbox_id);
    assert!(client.create(request.clone()).await.unwrap().replayed);

    let other = CreateSandboxRequest {
        session_id: client.session().await,
        ..request
    };
    let refused = client.create(other).await.unwrap_err();
    assert_reason(&refused, Reason::SandboxIdReused, "choose another");
    assert_eq!(world.fake.count(Op::Create), 1);
}

#[tokio::test]
async fn no_wait_answers_creating_and_the_create_goes_on() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    world.fake.set(Op::Create, Act::Hang);
    let request = CreateSandboxRequest {
        wait_timeout: Some(Duration::default()),
        ..of(&session_id)
    };
    let sandbox = client.create(request).await.unwrap().sandbox.unwrap();
    assert_eq!(sandbox.state(), SandboxState::Creating);
    let seen = client.get(&session_id, &sandbox.sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Creating);
    eventually("the provider is asked", || {
        world.fake.pending(Op::Create) == 1
    })
    .await;
    world.fake.mend(Op::Create);
    // A command waits for the sandbox that is being made.
    let ran = client
        .exec(&session_id, &sandbox.sandbox_id, "print up")
        .await
        .unwrap();
    assert_eq!(ran.stdout, b"up");
    assert_eq!(world.fake.count(Op::Create), 1);
}

#[tokio::test]
async fn a_lost_client_does_not_cancel_a_create() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    world.fake.set(Op::Create, Act::Hang);
    let request = CreateSandboxRequest {
        request_id: uuid(),
        ..of(&session_id)
    };
    let lost = world.client().await;
    let first = request.clone();
    let call = tokio::spawn(async move { lost.create(first).await });
    eventually("the provider is asked", || {
        world.fake.pending(Op::Create) == 1
    })
    .await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(
        world.fake.pending(Op::Create),
        1,
        "the create was cancelled"
    );
    world.fake.mend(Op::Create);
    let joined = client.create(request).await.unwrap();
    assert!(joined.replayed);
    assert_eq!(joined.sandbox.unwrap().state(), SandboxState::Running);
    assert_eq!(world.fake.count(Op::Create), 1);
}

#[tokio::test]
async fn a_missing_capability_is_refused_before_anything_is_made() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    for wanted in ["pause", "never heard of"] {
        let spec = Some(SandboxSpec {
            required_capabilities: vec![wanted.to_owned()],
            ..Default::default()
        });
        let request = CreateSandboxRequest {
            spec,
            request_id: uuid(),
            ..of(&session_id)
        };
        let refused = client.create(request).await.unwrap_err();
        assert_reason(&refused, Reason::CapabilityUnsupported, "GetCapabilities");
        assert_eq!(fact(&refused, "name").as_deref(), Some(wanted));
    }
    assert_eq!(world.fake.count(Op::Create), 0);
    let spec = Some(SandboxSpec {
        required_capabilities: vec!["exec".to_owned()],
        ..Default::default()
    });
    client
        .create(CreateSandboxRequest {
            spec,
            ..of(&session_id)
        })
        .await
        .unwrap();
}
