//! What a provider can do that was told less than it needs, past any gateway.

use sandgate_proto::Reason;
use sandgate_system::{assert_reason, fact};

use crate::{direct::Direct, stand::Stand};

/// As after a crash, or with the database put back from a backup: the ids are known, and that is all.
#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_whose_state_is_lost_is_used_again() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    assert_eq!(stand.said(&ids, "echo kept > ~/file; echo x").await, "x\n");
    let direct = Direct::about(&stand, &ids).await;
    let ran = direct.run("cat ~/file").await.unwrap();
    assert_eq!(ran.stdout, b"kept\n"[..]);
    direct.renew(60).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nobody_is_asked() {
    let stand = Stand::start().await;
    let ids = stand.client.pair().await;
    let mut direct = Direct::about(&stand, &ids).await;
    direct.context.credential = None;
    stand.emulator.counts().await;
    let error = direct.get().await.unwrap_err();
    assert_reason(&error, Reason::ConnectionRequired, "");
    assert_eq!(fact(&error, "provider").as_deref(), Some("e2b"));
    let asked = stand.emulator.counts().await;
    assert!(asked.is_empty(), "{asked:?}");
}
