//! What renews a sandbox: use, through any call that needs it to run, and no look.

use sandgate_proto::v1::{
    GetExecutionRequest, Lifecycle, ListExecutionsRequest, ListPortsRequest, ListSandboxesRequest,
    OnIdle, SandboxState, StreamExecutionRequest, WatchSessionRequest, WriteStdinRequest,
    port_service_client::PortServiceClient,
};

use crate::stand::{Stand, millis, secs};

const LIFE: Lifecycle = Lifecycle {
    idle_timeout: Some(prost_types::Duration {
        seconds: 90,
        nanos: 0,
    }),
    on_idle: OnIdle::Stop as i32,
    lease_ttl: Some(prost_types::Duration {
        seconds: 100,
        nanos: 0,
    }),
    stopped_retention: None,
    max_lifetime: None,
    auto_start: None,
};

#[tokio::test]
async fn use_renews() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(LIFE).await;
    let version = stand.row(&sandbox_id).await.version;
    for _ in 0..10 {
        stand.pass_in(80, 20).await;
        stand.use_it(&sandbox_id).await;
        let sandbox = stand.get(&sandbox_id).await;
        let used = millis(sandbox.last_activity_time).unwrap();
        assert!((stand.now() - used).abs() < 1000);
        assert_eq!(millis(sandbox.idle_deadline), Some(used + 90_000));
        assert_eq!(millis(sandbox.lease_expire_time), Some(used + 100_000));
        assert_eq!(sandbox.etag, version.to_string(), "activity is no change");
    }
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
}

#[tokio::test]
async fn input_is_use() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(LIFE).await;
    stand.start(&sandbox_id, "cat", "cat").await;
    stand.move_clock(std::time::Duration::from_secs(7));
    let input = WriteStdinRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        execution_id: "cat".to_owned(),
        data: b"x".to_vec().into(),
        ..Default::default()
    };
    let mut executions = stand.client.executions();
    executions.write_stdin(input).await.unwrap();
    let used = millis(stand.get(&sandbox_id).await.last_activity_time);
    assert!((stand.now() - used.unwrap()).abs() < 1000);
}

/// All looks that there are.
async fn look(stand: &Stand, sandbox_id: &str) {
    let (session_id, sandbox_id) = (stand.session_id.clone(), sandbox_id.to_owned());
    stand.get(&sandbox_id).await;
    let list = ListSandboxesRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    stand.client.sandboxes().list_sandboxes(list).await.unwrap();
    let list = ListPortsRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        ..Default::default()
    };
    let mut ports = PortServiceClient::new(stand.client.channel.clone());
    // Refused where it is at rest.
    let _ = ports.list_ports(list).await;
    let mut executions = stand.client.executions();
    let get = GetExecutionRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        execution_id: "one".to_owned(),
    };
    executions.get_execution(get).await.unwrap();
    let list = ListExecutionsRequest {
        session_id: session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        ..Default::default()
    };
    executions.list_executions(list).await.unwrap();
    let stream = StreamExecutionRequest {
        session_id,
        sandbox_id,
        execution_id: "one".to_owned(),
        ..Default::default()
    };
    let stream = executions.stream_execution(stream).await.unwrap();
    let mut stream = stream.into_inner();
    while stream.message().await.unwrap().is_some() {}
}

#[tokio::test]
async fn a_look_renews_nothing() {
    let stand = Stand::new().await;
    let sandbox_id = stand.make(LIFE).await;
    let watch = WatchSessionRequest {
        session_id: stand.session_id.clone(),
        ..Default::default()
    };
    let watching = stand.client.sessions().watch_session(watch).await.unwrap();
    stand.start(&sandbox_id, "one", "print x").await;
    for _ in 0..8 {
        stand.pass(11).await;
        look(&stand, &sandbox_id).await;
        assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
    }
    stand.pass(3).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Stopped);
    look(&stand, &sandbox_id).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Stopped);
    drop(watching);
}

#[tokio::test]
async fn a_resume_may_bring_another_idle_timeout() {
    let stand = Stand::pausing().await;
    let life = Lifecycle {
        on_idle: OnIdle::Pause.into(),
        ..LIFE
    };
    let sandbox_id = stand.make(life).await;
    stand.pass_in(92, 23).await;
    let paused = stand.get(&sandbox_id).await;
    assert_eq!(paused.state(), SandboxState::Paused);
    assert_eq!(paused.idle_deadline, None);
    let resume = sandgate_proto::v1::ResumeSandboxRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: sandbox_id.clone(),
        idle_timeout: secs(30),
        ..Default::default()
    };
    let resumed = stand.client.sandboxes().resume_sandbox(resume).await;
    let resumed = resumed.unwrap().into_inner().sandbox.unwrap();
    assert_eq!(resumed.state(), SandboxState::Running);
    assert_ne!(resumed.etag, paused.etag);
    let asked = resumed.spec.unwrap().lifecycle.unwrap().idle_timeout;
    assert_eq!(asked, secs(30));
    let deadline = millis(stand.get(&sandbox_id).await.idle_deadline).unwrap();
    assert!((deadline - stand.now() - 30_000).abs() < 1000);
    stand.pass_in(20, 10).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Running);
    stand.pass(11).await;
    assert_eq!(stand.state(&sandbox_id).await, SandboxState::Paused);
}
