//! The end of addresses, and of the streams that came by them.

use std::time::{Duration, Instant, SystemTime};

use sandgate_proto::Reason;
use sandgate_system::assert_reason;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::{
    stand::Stand,
    visitor::{ends, get, is_refused, is_refused_soon, open},
};

/// A stream in the midst of which something happens.
async fn dripping(at: std::net::SocketAddr) -> TcpStream {
    let mut stream = open(at, "DRIP\n").await;
    stream.read_exact(&mut [0; 10]).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn unexposed_it_is_gone_at_once() {
    let stand = Stand::local(&[]).await;
    let (ids, at) = stand.served().await;
    let other = stand.expose(&ids, 9090).await;
    let stream = dripping(at).await;
    stand.unexpose(&ids, 8080).await.unwrap();
    assert!(is_refused(at).await);
    ends(stream).await;
    let left = stand.listed(&ids).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].url, format!("http://{other}"));
    stand.unexpose(&ids, 8080).await.unwrap();
    let anew = stand.expose(&ids, 8080).await;
    assert_eq!(get(anew, "/").await.unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_all_and_the_next_life_begins_without() {
    let stand = Stand::local(&[]).await;
    let (ids, at) = stand.served().await;
    let stream = dripping(at).await;
    stand.client.stop(&ids.0, &ids.1).await.unwrap();
    assert!(is_refused(at).await);
    ends(stream).await;
    let error = stand.listed(&ids).await.unwrap_err();
    assert_reason(&error, Reason::SandboxNotRunning, "");
    stand.client.start(&ids.0, &ids.1).await.unwrap();
    assert!(stand.listed(&ids).await.unwrap().is_empty());
    assert!(is_refused(at).await);
    stand.serve(&ids, 8080).await;
    let anew = stand.expose(&ids, 8080).await;
    assert_eq!(get(anew, "/").await.unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_ends_all() {
    let stand = Stand::local(&[]).await;
    let (ids, at) = stand.served().await;
    let stream = dripping(at).await;
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
    assert!(is_refused(at).await);
    ends(stream).await;
    let error = stand.try_expose(&ids, 8080).await.unwrap_err();
    assert_eq!(error.code(), tonic::Code::NotFound, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exposing_starts_a_sandbox_that_is_stopped_and_nothing_else_does() {
    let stand = Stand::local(&[]).await;
    let ids = stand.pair().await;
    stand.client.stop(&ids.0, &ids.1).await.unwrap();
    let error = stand.listed(&ids).await.unwrap_err();
    assert_reason(&error, Reason::SandboxNotRunning, "");
    stand.unexpose(&ids, 8080).await.unwrap();
    let now = stand.client.get(&ids.0, &ids.1).await.unwrap();
    assert_eq!(now.state(), sandgate_proto::v1::SandboxState::Stopped);
    let at = stand.expose(&ids, 8080).await;
    stand.serve(&ids, 8080).await;
    assert_eq!(get(at, "/").await.unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_time_is_over_unless_it_is_asked_for_again() {
    let stand = Stand::local(&[("SANDGATE_PORTS_LIFETIME", "4")]).await;
    let (ids, at) = stand.served().await;
    let begun = Instant::now();
    let first = stand.try_expose(&ids, 8080).await.unwrap();
    let time =
        |exposed: Option<prost_types::Timestamp>| SystemTime::try_from(exposed.unwrap()).unwrap();
    let left = time(first.expire_time)
        .duration_since(SystemTime::now())
        .unwrap();
    assert!(left <= Duration::from_secs(4), "{left:?}");
    while begun.elapsed() < Duration::from_millis(2500) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let later = stand.try_expose(&ids, 8080).await.unwrap();
    assert_eq!(later.url, first.url);
    assert!(time(later.expire_time) > time(first.expire_time));
    let listed = stand.listed(&ids).await.unwrap();
    assert_eq!(listed[0].expire_time, later.expire_time);
    let stream = dripping(at).await;
    tokio::time::sleep(Duration::from_millis(2000)).await;
    // Past the first end.
    assert_eq!(get(at, "/").await.unwrap(), "hello");
    ends(stream).await;
    assert!(begun.elapsed() > Duration::from_secs(6));
    assert!(is_refused(at).await);
    assert!(stand.listed(&ids).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn they_end_with_the_provider_and_the_list_tells_it() {
    let mut stand = Stand::local(&[]).await;
    let (ids, at) = stand.served().await;
    let stream = dripping(at).await;
    stand.kill_provider();
    ends(stream).await;
    is_refused_soon(at).await;
    stand.start_provider().await;
    assert!(stand.listed(&ids).await.unwrap().is_empty());
    // The sandbox and its server live on.
    let anew = stand.expose(&ids, 8080).await;
    assert_eq!(get(anew, "/").await.unwrap(), "hello");
    let stream = dripping(anew).await;
    stand.end_provider().await;
    ends(stream).await;
    assert!(is_refused(anew).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_dies_by_itself_takes_its_addresses_along() {
    let stand = Stand::container(&[]).await;
    let (ids, at) = stand.served().await;
    let stream = dripping(at).await;
    let sandbox = stand.client.get(&ids.0, &ids.1).await.unwrap();
    let killed = tokio::process::Command::new("docker")
        .args(["kill", &sandbox.provider_sandbox_id])
        .output()
        .await
        .unwrap();
    assert!(killed.status.success(), "{killed:?}");
    ends(stream).await;
    // Whoever comes is turned away, and that has the provider look.
    is_refused_soon(at).await;
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_only_holds_it_up() {
    use sandgate_proto::v1::{PauseSandboxRequest, ResumeSandboxRequest};
    let stand = Stand::container(&[]).await;
    let (ids, at) = stand.served().await;
    let other = stand.expose(&ids, 9090).await;
    let mut stream = dripping(at).await;
    let pause = PauseSandboxRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        ..Default::default()
    };
    stand.client.sandboxes().pause_sandbox(pause).await.unwrap();
    get(at, "/").await.unwrap_err();
    // An address is taken away without waking it.
    stand.unexpose(&ids, 9090).await.unwrap();
    assert!(is_refused(other).await);
    let now = stand.client.get(&ids.0, &ids.1).await.unwrap();
    assert_eq!(now.state(), sandgate_proto::v1::SandboxState::Paused);
    let resume = ResumeSandboxRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        ..Default::default()
    };
    stand
        .client
        .sandboxes()
        .resume_sandbox(resume)
        .await
        .unwrap();
    stream.read_exact(&mut [0; 50]).await.unwrap();
    assert_eq!(get(at, "/").await.unwrap(), "hello");
    assert_eq!(stand.expose(&ids, 8080).await, at);
    stand.client.delete(&ids.0, &ids.1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_are_none_are_refused() {
    let stand = Stand::local(&[]).await;
    let ids = stand.pair().await;
    for port in [0, 65_536, u32::MAX] {
        let error = stand.try_expose(&ids, port).await.unwrap_err();
        assert_reason(&error, Reason::InvalidField, "port");
        let error = stand.unexpose(&ids, port).await.unwrap_err();
        assert_reason(&error, Reason::InvalidField, "port");
    }
    stand.expose(&ids, 1).await;
    stand.expose(&ids, 65_535).await;
    let listed = stand.listed(&ids).await.unwrap();
    let ports: Vec<u32> = listed.iter().map(|one| one.port).collect();
    assert_eq!(ports, [1, 65_535]);
}
