//! How many requests things take: each is a way to a cloud and back.

use sandgate_proto::v1::RunCommandRequest;

use crate::stand::Stand;

/// Of a create.
const MOST: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn create_takes_few_and_a_command_one() {
    let stand = Stand::start().await;
    stand.emulator.counts().await;
    let ids = stand.client.pair().await;
    let asked = stand.emulator.counts().await;
    assert!(asked.values().sum::<u64>() <= MOST, "{asked:?}");
    stand.said(&ids, "echo warm").await;
    for _ in 0..3 {
        stand.emulator.counts().await;
        stand.said(&ids, "echo x").await;
        let asked = stand.emulator.counts().await;
        assert_eq!(asked.values().sum::<u64>(), 1, "{asked:?}");
    }
    // What holds an environment goes through a file, which E2B's daemon does not write down.
    stand.emulator.counts().await;
    let request = RunCommandRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        command: "echo $A; ls /run/sandgate".to_owned(),
        env: [("A".to_owned(), "b".to_owned())].into(),
        ..Default::default()
    };
    let ran = stand.client.sandboxes().run_command(request).await;
    // The folder is not the user's.
    let ran = ran.unwrap().into_inner();
    assert_eq!(ran.stdout, "b\n", "{ran:?}");
    assert!(!ran.stderr.is_empty(), "{ran:?}");
    let asked = stand.emulator.counts().await;
    assert_eq!(asked["POST /files"], 1, "{asked:?}");
    assert_eq!(asked.values().sum::<u64>(), 2, "{asked:?}");
}
