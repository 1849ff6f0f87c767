//! The face `container_sandbox` of the container provider: as many sandboxes as are asked for, each
//! with limits and clocks of its own.

use std::collections::BTreeSet;

use sandgate_proto::v1::{
    CreateSandboxRequest, DeleteSessionRequest, OnIdle, Resources, Sandbox, SandboxSpec,
    sandbox_spec::Source,
};

use crate::{
    calls::seconds,
    container::{Stand, docker},
};

async fn create(stand: &Stand, session_id: &str, spec: Option<SandboxSpec>) -> Sandbox {
    let request = CreateSandboxRequest {
        session_id: session_id.to_owned(),
        spec,
        ..Default::default()
    };
    let made = stand.client.create(request).await.unwrap();
    made.sandbox.unwrap()
}

/// Memory, a thousand millionths of cores and processes, as the engine holds them.
async fn limits(sandbox: &Sandbox) -> String {
    let format = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    let said = docker(&["inspect", "--format", format, &sandbox.provider_sandbox_id]).await;
    said.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_several_each_by_itself() {
    let stand = Stand::start().await;
    let client = &stand.client;
    let session_id = stand.session(&["container_sandbox"]).await;
    let plain = create(&stand, &session_id, None).await;
    let spec = plain.spec.clone().unwrap();
    assert_eq!(spec.source, Some(Source::Image(stand.image.clone())));
    let wanted = Resources {
        memory_bytes: 2 << 30,
        cpu_millis: 1000,
        pids: 256,
        ..Default::default()
    };
    assert_eq!(spec.resources, Some(wanted));
    assert_eq!(limits(&plain).await, "2147483648 1000000000 256");
    let life = spec.lifecycle.unwrap();
    assert_eq!(life.idle_timeout, Some(seconds(600)));
    assert_eq!(life.on_idle(), OnIdle::Stop);
    assert_eq!(life.lease_ttl, Some(seconds(1200)));
    assert_eq!(life.stopped_retention, Some(seconds(86_400)));
    assert!(plain.idle_deadline.is_some() && plain.lease_expire_time.is_some());

    let small = SandboxSpec {
        resources: Some(Resources {
            memory_bytes: 256 << 20,
            cpu_millis: 500,
            pids: 64,
            ..Default::default()
        }),
        ..Default::default()
    };
    let small = create(&stand, &session_id, Some(small)).await;
    assert_eq!(limits(&small).await, "268435456 500000000 64");

    let ran = client.exec(&session_id, &plain.sandbox_id, "echo a > mine");
    assert_eq!(ran.await.unwrap().exit_code(), Some(0));
    let ran = client.exec(&session_id, &small.sandbox_id, "cat mine");
    assert_eq!(ran.await.unwrap().exit_code(), Some(1));
    let names = BTreeSet::from_iter(stand.names(&["ps", "--all"]).await);
    assert_eq!(names.len(), 2);
    assert!(names.iter().all(|name| !name.contains(&session_id)));
    assert_eq!(stand.names(&["network", "ls"]).await.len(), 2);
    client.delete(&session_id, &plain.sandbox_id).await.unwrap();
    let left = stand.names(&["network", "ls"]).await;
    assert_eq!(left.len(), 1, "a network stayed");

    let request = DeleteSessionRequest {
        session_id,
        ..Default::default()
    };
    client.sessions().delete_session(request).await.unwrap();
    stand.assert_nothing_left().await;
}
