//! When a sandbox counts as used.

use std::time::Duration;

use sandgate_proto::v1::RenewSandboxRequest;
use tokio::io::AsyncReadExt as _;

use crate::{
    stand::{Ids, Stand},
    visitor::open,
};

/// Seconds since something was last done in the sandbox, as its provider knows.
async fn idle(stand: &Stand, ids: &Ids) -> f64 {
    let request = RenewSandboxRequest {
        session_id: ids.0.clone(),
        sandbox_id: ids.1.clone(),
        ..Default::default()
    };
    let renewed = stand.client.sandboxes().renew_sandbox(request).await;
    let last = renewed.unwrap().into_inner().last_activity_time.unwrap();
    let last = std::time::SystemTime::try_from(last).unwrap();
    last.elapsed().unwrap_or_default().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_flow_are_use_and_an_open_stream_is_none() {
    let stand = Stand::local(&[]).await;
    let (ids, at) = stand.served().await;
    let quiet = open(at, "COUNT\n").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(idle(&stand, &ids).await > 2.0);
    let mut stream = open(at, "DRIP\n").await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stream.read_exact(&mut [0; 25]).await.unwrap();
        assert!(idle(&stand, &ids).await < 1.0);
    }
    drop((quiet, stream));
}
