//! The face `docker` of the container provider: the one sandbox that a session has as a whole.

use futures::future::join_all;
use sandgate_proto::{
    Reason,
    v1::{
        DeleteSessionRequest, GetSandboxLogsRequest, LogSource, SandboxState,
        get_sandbox_logs_response::Event,
    },
};
use sandgate_system::assert_reason;

use crate::container::Stand;

async fn logged(stand: &Stand, session_id: &str, source: LogSource) -> Vec<String> {
    let request = GetSandboxLogsRequest {
        session_id: session_id.to_owned(),
        sandbox_id: "@docker".to_owned(),
        source: source.into(),
        ..Default::default()
    };
    let stream = stand.client.sandboxes().get_sandbox_logs(request).await;
    let (mut stream, mut lines) = (stream.unwrap().into_inner(), Vec::new());
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Event::Entry(entry)) = message.event {
            assert_eq!(entry.source(), LogSource::Executions);
            lines.push(String::from_utf8(entry.data.to_vec()).unwrap());
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_use_makes_it_and_its_session_takes_it_along() {
    let stand = Stand::start().await;
    let client = &stand.client;
    let session_id = stand.session(&["docker", "container_sandbox"]).await;
    let missing = client.get(&session_id, "@docker").await.unwrap_err();
    assert_reason(&missing, Reason::SandboxNotFound, "");
    let runs = ["echo first", "echo second"].map(|line| client.exec(&session_id, "@docker", line));
    let mut ids = Vec::new();
    for (ran, said) in join_all(runs)
        .await
        .into_iter()
        .zip(["first\n", "second\n"])
    {
        let ran = ran.unwrap();
        assert_eq!(ran.stdout, said.as_bytes());
        ids.push(ran.sandbox_id);
    }
    assert_eq!(ids[0], ids[1], "two at once made two");
    let third = client.exec(&session_id, "@docker", "echo third; pwd");
    let third = third.await.unwrap();
    assert_eq!(third.stdout, b"third\n/workspace\n");
    assert_eq!(third.sandbox_id, ids[0]);
    let name = format!("{}-{session_id}", stand.prefix);
    assert_eq!(stand.names(&["ps", "--all"]).await, [name]);

    let seen = client.get(&session_id, "@docker").await.unwrap();
    assert_eq!(
        (seen.state(), seen.alias.as_str()),
        (SandboxState::Running, "docker")
    );
    assert_eq!((seen.idle_deadline, seen.lease_expire_time), (None, None));
    let life = seen.spec.unwrap().lifecycle.unwrap();
    assert_eq!(life.idle_timeout, Some(prost_types::Duration::default()));
    assert_eq!((life.lease_ttl, life.stopped_retention), (None, None));

    for source in [LogSource::Executions, LogSource::Unspecified] {
        let mut lines = logged(&stand, &session_id, source).await;
        lines.sort();
        assert_eq!(lines, ["/workspace", "first", "second", "third"]);
    }

    let request = DeleteSessionRequest {
        session_id: session_id.clone(),
        ..Default::default()
    };
    client.sessions().delete_session(request).await.unwrap();
    stand.assert_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_deleted_is_made_anew() {
    let stand = Stand::start().await;
    let client = &stand.client;
    let session_id = stand.session(&["docker"]).await;
    let first = client.exec(&session_id, "@docker", "touch here").await;
    let first = first.unwrap().sandbox_id;
    client.delete(&session_id, "@docker").await.unwrap();
    stand.assert_nothing_left().await;
    let second = client.exec(&session_id, "@docker", "ls").await.unwrap();
    assert_ne!(second.sandbox_id, first);
    assert_eq!(second.stdout, b"");
    client.delete(&session_id, "@docker").await.unwrap();
    stand.assert_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_the_capability_has_none() {
    let stand = Stand::start().await;
    let client = &stand.client;
    // There the alias is one like any other, and no call that only names it makes a sandbox.
    let session_id = stand.session(&["container_sandbox"]).await;
    let refused = client.exec(&session_id, "@docker", "true").await;
    assert_reason(
        &refused.unwrap_err(),
        Reason::SandboxNotFound,
        "CreateSandbox",
    );
    stand.assert_nothing_left().await;
}
