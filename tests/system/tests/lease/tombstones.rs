//! What is deleted is remembered for a day.

use sandgate_proto::{
    Reason,
    v1::{Lifecycle, SandboxState},
};
use sandgate_system::assert_reason;

use crate::stand::Stand;

#[tokio::test]
async fn it_answers_for_a_day() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(Lifecycle::default()).await;
    let session_id = &stand.session_id;
    stand.client.delete(session_id, &sandbox_id).await.unwrap();
    for _ in 0..23 {
        stand.pass(3600).await;
        let gone = stand.client.delete(session_id, &sandbox_id).await.unwrap();
        assert_eq!(gone.state(), SandboxState::Deleted);
        assert_eq!(stand.get(&sandbox_id).await.state(), SandboxState::Deleted);
    }
    stand.pass(3500).await;
    assert_eq!(stand.get(&sandbox_id).await.state(), SandboxState::Deleted);
    stand.pass(200).await;
    let unknown = stand.client.get(session_id, &sandbox_id).await.unwrap_err();
    assert_reason(&unknown, Reason::SandboxNotFound, "");
    assert!(stand.world.fake.sandboxes().is_empty());
}
