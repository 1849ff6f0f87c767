//! The provider is killed in the middle of output.

use std::time::{Duration, Instant};

use sandgate_proto::{Reason, v1::execution_ended::Outcome};
use sandgate_system::assert_reason;

use crate::{
    output::{Reader, begin},
    stand::Stand,
};

/// 50 MB, more than any buffer holds.
const LINES: u64 = 6_250_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_byte_is_read_once() {
    let mut stand = Stand::start().await;
    let ids = stand.client.pair().await;
    begin(&stand.client, &ids, LINES, "exit 7").await;
    let mut reader = Reader::default();
    let mut stream = reader.open(&stand.client, &ids).await.unwrap();
    reader.read(&mut stream, LINES * 2).await.unwrap();
    stand.kill_provider();
    let error = reader.read(&mut stream, u64::MAX).await.unwrap_err();
    assert_reason(&error, Reason::ProviderUnavailable, "");
    assert!(reader.ended.is_none());

    stand.start_provider().await;
    let begun = Instant::now();
    let mut stream = loop {
        match reader.open(&stand.client, &ids).await {
            Ok(stream) => break stream,
            Err(error) => {
                assert_reason(&error, Reason::ProviderUnavailable, "");
                assert!(begun.elapsed() < Duration::from_secs(20), "{error:?}");
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    reader.read(&mut stream, u64::MAX).await.unwrap();
    assert_eq!(reader.offset, LINES * 8);
    let ended = reader.ended.unwrap();
    assert_eq!(ended.outcome, Some(Outcome::ExitCode(7)));
    assert_eq!(ended.stdout.unwrap().bytes, LINES * 8);
}
