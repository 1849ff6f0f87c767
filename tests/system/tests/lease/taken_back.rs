//! Creates that fail leave nothing behind, now or later.

use sandgate_kit::Kind;
use sandgate_proto::{
    Outcome,
    v1::{CreateSandboxRequest, Lifecycle, SandboxState},
};
use sandgate_system::{Act, Op, uuid};

use crate::stand::Stand;

#[tokio::test]
async fn one_that_could_not_be_taken_back_is_cleaned_up_when_the_provider_is_back() {
    let stand = Stand::new().await;
    let fake = &stand.world.fake;
    let request = CreateSandboxRequest {
        sandbox_id: uuid(),
        request_id: uuid(),
        ..stand.request(Lifecycle::default())
    };
    let first = request.sandbox_id.clone();
    fake.set(Op::Create, Act::Fail(Kind::Rejected));
    fake.set(Op::Delete, Act::Fail(Kind::Unavailable(Outcome::Ambiguous)));
    stand.client.create(request.clone()).await.unwrap_err();
    assert_eq!(stand.state(&first).await, SandboxState::Failed);
    stand.pass_in(120, 2).await;
    assert_eq!(stand.state(&first).await, SandboxState::Failed);
    let tries = fake.count(Op::Delete);
    assert!((4..=7).contains(&tries), "{tries}");
    fake.mend(Op::Create);
    fake.mend(Op::Delete);
    stand
        .until_state(&first, SandboxState::Deleted, 20, 15)
        .await;
    let again = CreateSandboxRequest {
        sandbox_id: uuid(),
        ..request
    };
    let made = stand.client.create(again).await.unwrap();
    assert!(!made.replayed);
    assert_eq!(fake.sandboxes(), [made.sandbox.unwrap().sandbox_id]);
}

#[tokio::test]
async fn one_that_was_taken_back_tells_why_and_frees_its_id() {
    let stand = Stand::new().await;
    let request = CreateSandboxRequest {
        sandbox_id: uuid(),
        ..stand.request(Lifecycle::default())
    };
    stand.world.fake.set(Op::Create, Act::Fail(Kind::Rejected));
    let refused = stand.client.create(request.clone()).await.unwrap_err();
    let (_, reason) = sandgate_system::reason(&refused);
    let gone = stand.get(&request.sandbox_id).await;
    assert_eq!(gone.state(), SandboxState::Deleted);
    let told = gone.reason.unwrap();
    assert_eq!(told.code, reason);
    assert!(!told.message.is_empty());
    stand.world.fake.mend(Op::Create);
    let made = stand.client.create(request.clone()).await.unwrap();
    let made = made.sandbox.unwrap();
    assert_eq!(made.sandbox_id, request.sandbox_id);
    assert_eq!(made.state(), SandboxState::Running);
    stand.use_it(&request.sandbox_id).await;
}
