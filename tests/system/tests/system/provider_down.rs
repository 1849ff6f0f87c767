//! A provider that is not there, says nothing, talks rubbish, or goes away.

use std::time::{Duration, Instant};

use sandgate_proto::{Reason, v1::SandboxState};
use sandgate_system::{Client, World, assert_reason, fact, has_retry};
use tonic::Status;

#[track_caller]
fn unavailable(status: &Status, outcome: &str) {
    assert_reason(status, Reason::ProviderUnavailable, "fake");
    assert_eq!(
        fact(status, "outcome").as_deref(),
        Some(outcome),
        "{status:?}"
    );
    assert_eq!(fact(status, "provider").as_deref(), Some("fake"));
    assert!(has_retry(status), "{status:?}");
}

async fn works(client: &Client, session_id: &str, sandbox_id: &str) {
    let ran = client
        .exec(session_id, sandbox_id, "print x")
        .await
        .unwrap();
    assert_eq!(ran.stdout, b"x");
    let seen = client.get(session_id, sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Running);
}

/// GetSandbox has the last known facts.
async fn unknown(client: &Client, session_id: &str, sandbox_id: &str) {
    let seen = client.get(session_id, sandbox_id).await.unwrap();
    assert_eq!(seen.state(), SandboxState::Unknown);
    assert_eq!(seen.workspace_path, "/workspace");
    assert_eq!(seen.reason.unwrap().code, "PROVIDER_UNAVAILABLE");
}

#[tokio::test]
async fn one_that_is_down_rejects_and_works_again_once_it_is_back() {
    let world = World::linked().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    world.link().refuse().await;
    // The connections that broke may be noticed by the first call on each.
    eventually_refused(&client, &session_id, &sandbox_id).await;
    for _ in 0..4 {
        let down = client
            .exec(&session_id, &sandbox_id, "print x")
            .await
            .unwrap_err();
        unavailable(&down, "rejected");
    }
    unknown(&client, &session_id, &sandbox_id).await;
    let failed = client.create(sandgate_proto::v1::CreateSandboxRequest {
        session_id: session_id.clone(),
        ..Default::default()
    });
    unavailable(&failed.await.unwrap_err(), "rejected");
    world.link().mend().await;
    works(&client, &session_id, &sandbox_id).await;
}

async fn eventually_refused(client: &Client, session_id: &str, sandbox_id: &str) {
    for _ in 0..20 {
        let down = client
            .exec(session_id, sandbox_id, "print x")
            .await
            .unwrap_err();
        assert_reason(&down, Reason::ProviderUnavailable, "fake");
        if fact(&down, "outcome").as_deref() == Some("rejected") {
            return;
        }
    }
    panic!("a provider that is down is never said to have rejected");
}

#[tokio::test]
async fn one_that_takes_connections_and_says_nothing_is_found_out() {
    let world = World::linked().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    world.link().silence().await;
    let begun = Instant::now();
    let silent = client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap_err();
    unavailable(&silent, "ambiguous");
    assert!(
        begun.elapsed() < Duration::from_secs(13),
        "{:?}",
        begun.elapsed()
    );
    unknown(&client, &session_id, &sandbox_id).await;
    world.link().mend().await;
    works(&client, &session_id, &sandbox_id).await;
}

#[tokio::test]
async fn one_that_falls_silent_in_mid_stream_is_found_out() {
    let world = World::linked().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    let mut stream = client
        .stream(&session_id, &sandbox_id, "print x; hang")
        .await
        .unwrap();
    stream.message().await.unwrap().unwrap();
    stream.message().await.unwrap().unwrap();
    world.link().freeze();
    let begun = Instant::now();
    let error = stream.message().await.unwrap_err();
    unavailable(&error, "ambiguous");
    assert!(
        begun.elapsed() < Duration::from_secs(13),
        "{:?}",
        begun.elapsed()
    );
    world.link().mend().await;
    works(&client, &session_id, &sandbox_id).await;
}

#[tokio::test]
async fn one_that_dies_in_mid_stream_never_looks_like_a_clean_end() {
    let world = World::linked().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    for script in ["hang", "print x; hang", "repeat 100000000 1000"] {
        let mut stream = client
            .stream(&session_id, &sandbox_id, script)
            .await
            .unwrap();
        stream.message().await.unwrap().unwrap();
        world.link().cut().await;
        let error = loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{script}: a clean end"),
                Err(error) => break error,
            }
        };
        unavailable(&error, "ambiguous");
    }
    works(&client, &session_id, &sandbox_id).await;
}

#[tokio::test]
async fn one_that_talks_rubbish_is_unavailable() {
    let world = World::linked().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    world.link().garble().await;
    for _ in 0..4 {
        let garbled = client
            .exec(&session_id, &sandbox_id, "print x")
            .await
            .unwrap_err();
        assert_reason(&garbled, Reason::ProviderUnavailable, "fake");
        assert!(has_retry(&garbled));
    }
    unknown(&client, &session_id, &sandbox_id).await;
    world.link().mend().await;
    works(&client, &session_id, &sandbox_id).await;
}

#[tokio::test]
async fn its_health_is_reported() {
    let world = World::linked().await;
    let client = world.client().await;
    let healthy = || async {
        let request = sandgate_proto::v1::GetProviderRequest {
            provider: "fake".to_owned(),
        };
        let provider = client
            .providers()
            .get_provider(request)
            .await
            .unwrap()
            .into_inner();
        provider.provider.unwrap()
    };
    let until = |wanted: bool| async move {
        for _ in 0..100 {
            let provider = healthy().await;
            if provider.healthy == wanted {
                return provider;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("health is not {wanted} within 10 s");
    };
    assert_eq!(until(true).await.capabilities.unwrap().version, "1");
    world.link().refuse().await;
    let down = until(false).await;
    assert_eq!(down.reason.unwrap().code, "PROVIDER_UNAVAILABLE");
    assert_eq!(
        down.capabilities.unwrap().version,
        "1",
        "what it last said is kept"
    );
    world.link().mend().await;
    until(true).await;
}
