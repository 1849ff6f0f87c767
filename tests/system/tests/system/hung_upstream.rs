//! An upstream that never answers does not keep a process from ending.

use std::time::Duration;

use sandgate_proto::v1::CreateSandboxRequest;
use sandgate_system::{Act, Client, Fake, Op, eventually, gateway_for, kit_args};
use tokio::time::timeout;

#[tokio::test]
async fn gateway_and_provider_end_all_the_same() {
    let fake = Fake::default();
    let default = ([127, 0, 0, 1], 0).into();
    let provider = sandgate_kit::start(fake.clone(), &kit_args(), default)
        .await
        .unwrap();
    let (gateway, _data) = gateway_for(Fake::ID, provider.address()).await;
    let client = Client::connect(gateway.address()).await;
    let (session_id, sandbox_id) = client.pair().await;
    fake.set(Op::Create, Act::Hang);
    fake.set(Op::Exec, Act::Hang);
    let create = tokio::spawn({
        let (client, session_id) = (client.clone(), session_id.clone());
        let request = CreateSandboxRequest {
            session_id,
            ..Default::default()
        };
        async move { client.create(request).await }
    });
    let exec =
        tokio::spawn(async move { client.exec(&session_id, &sandbox_id, "print x").await.err() });
    eventually("both hang", || {
        fake.pending(Op::Create) == 1 && fake.pending(Op::Exec) == 1
    })
    .await;
    let grace = Duration::from_millis(100);
    timeout(Duration::from_secs(25), provider.stop(grace))
        .await
        .expect("the provider does not end");
    timeout(Duration::from_secs(25), gateway.stop(grace))
        .await
        .expect("the gateway does not end");
    create.await.unwrap().unwrap_err();
    assert!(exec.await.unwrap().is_some());
}
