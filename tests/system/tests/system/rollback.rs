//! A create that fails leaves nothing behind, and frees what it had taken.

use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome, Reason,
    v1::{CreateSandboxRequest, ListSandboxesRequest, SandboxState},
};
use sandgate_system::{Act, Client, Op, World, assert_reason, fact, has_retry, uuid};

async fn listed(client: &Client, session_id: &str) -> Vec<SandboxState> {
    let request = ListSandboxesRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    };
    let page = client
        .sandboxes()
        .list_sandboxes(request)
        .await
        .unwrap()
        .into_inner();
    page.sandboxes
        .iter()
        .map(|sandbox| sandbox.state())
        .collect()
}

#[tokio::test]
async fn every_kind_of_failure_is_said_and_taken_back() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        request_id: uuid(),
        alias: "build".to_owned(),
        ..Default::default()
    };
    let kinds = [
        (Kind::InvalidField("spec.image"), Reason::InvalidField),
        (Kind::Unsupported("snapshot"), Reason::CapabilityUnsupported),
        (
            Kind::Unavailable(Outcome::Rejected),
            Reason::UpstreamUnavailable,
        ),
        (
            Kind::Unavailable(Outcome::Ambiguous),
            Reason::UpstreamUnavailable,
        ),
        (Kind::Rejected, Reason::UpstreamRejected),
        (Kind::CredentialRejected, Reason::CredentialRejected),
        (Kind::RateLimited, Reason::UpstreamRateLimited),
        (Kind::Internal, Reason::Internal),
    ];
    for (number, (kind, reason)) in kinds.into_iter().enumerate() {
        world.fake.set(Op::Create, Act::Fail(kind));
        let failed = client.create(request.clone()).await.unwrap_err();
        assert_reason(&failed, reason, "the script of the test says so");
        let unavailable = reason == Reason::UpstreamUnavailable;
        let waits = unavailable || reason == Reason::UpstreamRateLimited;
        assert_eq!(has_retry(&failed), waits, "{failed:?}");
        assert_eq!(fact(&failed, "outcome").is_some(), unavailable);
        assert_eq!(
            world.fake.count(Op::Delete),
            number + 1,
            "{reason}: not taken back"
        );
        assert!(listed(&client, &session_id).await.is_empty());
    }
    world.fake.mend(Op::Create);
    let made = client.create(request).await.unwrap();
    assert!(!made.replayed);
    assert_eq!(made.sandbox.unwrap().state(), SandboxState::Running);
}

#[tokio::test]
async fn what_cannot_be_taken_back_stays_and_can_be_deleted_later() {
    let world = World::start().await;
    let client = world.client().await;
    let session_id = client.session().await;
    world.fake.set(Op::Create, Act::Fail(Kind::Internal));
    world
        .fake
        .set(Op::Delete, Act::Fail(Kind::Unavailable(Outcome::Ambiguous)));
    let sandbox_id = uuid();
    let request = CreateSandboxRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        ..Default::default()
    };
    let failed = client.create(request).await.unwrap_err();
    assert_reason(&failed, Reason::Internal, "");
    let left = client.get(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(left.state(), SandboxState::Failed);
    assert_eq!(left.reason.unwrap().code, "INTERNAL");
    let refused = client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap_err();
    assert_reason(&refused, Reason::SandboxNotRunning, "make a new sandbox");
    world.fake.mend(Op::Delete);
    let gone = client.delete(&session_id, &sandbox_id).await.unwrap();
    assert_eq!(gone.state(), SandboxState::Deleted);
}
