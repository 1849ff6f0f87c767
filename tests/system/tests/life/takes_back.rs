//! Creates that come to nothing: what is told of them, and what they leave free.

use sandgate_kit::Kind;
use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxRequest, DeleteSessionRequest, Lifecycle, ListSandboxesRequest, OnIdle,
        SandboxSpec, SandboxState,
    },
};
use sandgate_system::{Act, Op, World, assert_reason, eventually, reason, uuid};

#[tokio::test]
async fn a_failed_create_leaves_a_tombstone_and_frees_all_names() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    world.fake.set(Op::Create, Act::Fail(Kind::Rejected));
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        alias: "mine".to_owned(),
        ..Default::default()
    };
    let failed = client.create(request.clone()).await.unwrap_err();
    assert_reason(&failed, Reason::UpstreamRejected, "");
    let listing = ListSandboxesRequest {
        session_id: session_id.clone(),
        states: vec![SandboxState::Deleted.into()],
        ..Default::default()
    };
    let listed = client.sandboxes().list_sandboxes(listing).await.unwrap();
    let tombstones = listed.into_inner().sandboxes;
    assert_eq!(tombstones.len(), 1);
    let seen = client.get(&session_id, &tombstones[0].sandbox_id);
    let seen = seen.await.unwrap();
    assert_eq!(seen.state(), SandboxState::Deleted);
    let why = seen.reason.unwrap();
    assert_eq!(why.code, "UPSTREAM_REJECTED");
    assert_eq!(why.message, failed.message());
    world.fake.mend(Op::Create);
    let made = client.create(request).await.unwrap();
    assert!(!made.replayed);
    let made = made.sandbox.unwrap();
    assert_eq!(
        (made.state(), made.alias.as_str()),
        (SandboxState::Running, "mine")
    );
    assert_ne!(made.sandbox_id, tombstones[0].sandbox_id);
}

#[tokio::test]
async fn an_id_of_a_callers_own_is_free_again() {
    let world = World::start().await;
    let client = world.client().await;
    let request = CreateSandboxRequest {
        session_id: client.session().await,
        sandbox_id: uuid(),
        ..Default::default()
    };
    for _ in 0..2 {
        world.fake.set(Op::Create, Act::Fail(Kind::Internal));
        let failed = client.create(request.clone()).await.unwrap_err();
        assert_reason(&failed, Reason::Internal, "");
    }
    world.fake.mend(Op::Create);
    let made = client.create(request.clone()).await.unwrap();
    assert!(!made.replayed);
    let made = made.sandbox.unwrap();
    assert_eq!(made.sandbox_id, request.sandbox_id);
    assert_eq!(made.state(), SandboxState::Running);
    assert_eq!(world.fake.sandboxes(), [request.sandbox_id]);
}

#[tokio::test]
async fn a_session_that_goes_takes_what_is_being_made() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    world.fake.set(Op::Create, Act::Hang);
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        sandbox_id: uuid(),
        ..Default::default()
    };
    let (maker, asked) = (client.clone(), request.clone());
    let creating = tokio::spawn(async move { maker.create(asked).await });
    let fake = &world.fake;
    eventually("the provider is asked", || fake.pending(Op::Create) == 1).await;
    let ender = client.clone();
    let ending = tokio::spawn(async move {
        let request = DeleteSessionRequest {
            session_id,
            ..Default::default()
        };
        ender.sessions().delete_session(request).await
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    fake.mend(Op::Create);
    ending.await.unwrap().unwrap();
    match creating.await.unwrap() {
        Ok(made) => assert_ne!(made.sandbox.unwrap().state(), SandboxState::Running),
        Err(refused) => {
            let (_, reason) = reason(&refused);
            assert!(reason.ends_with("_NOT_FOUND"), "{refused:?}");
        }
    }
    eventually("nothing is left", || fake.sandboxes().is_empty()).await;
    let gone = client.create(request).await.unwrap_err();
    assert_reason(&gone, Reason::SessionNotFound, "CreateSession");
}

#[tokio::test]
async fn a_pause_that_the_provider_lacks_is_refused_before_anything_is_made() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    for on_idle in [OnIdle::Pause, OnIdle::Hibernate] {
        let lifecycle = Lifecycle {
            on_idle: on_idle.into(),
            ..Default::default()
        };
        let request = CreateSandboxRequest {
            session_id: session_id.clone(),
            spec: Some(SandboxSpec {
                lifecycle: Some(lifecycle),
                ..Default::default()
            }),
            ..Default::default()
        };
        let refused = client.create(request).await.unwrap_err();
        assert_reason(&refused, Reason::CapabilityUnsupported, "GetCapabilities");
    }
    assert_eq!(world.fake.count(Op::Create), 0);
}
