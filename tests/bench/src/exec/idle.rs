//! What streams cost that have nothing to say.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::sleep;

use super::{figure::Figure, rss, stand::Stand, table::Kept};
use crate::error::Result;

/// Streams in all.
pub(super) const STREAMS: usize = 10_000;
/// Sandboxes that they are of; one has room for about a thousand open calls.
pub(super) const SANDBOXES: usize = 10;
/// Streams opened at once.
const CHUNK: usize = 250;
/// Longer than it takes until each was told once that it is alive.
const QUIET: Duration = Duration::from_secs(20);
/// Gateway and provider together may grow by less than so many megabytes.
const DUE: f64 = 200.0;

/// Opens the streams over all connections, and leaves them alone for a while.
pub(super) async fn take(stand: &Stand) -> Result<Kept> {
    let client = &stand.client;
    let mut places = Vec::new();
    for _ in 0..SANDBOXES {
        let sandbox = client.create().await?.sandbox_id;
        let execution = client.start(&sandbox, &["sleep", "3600"]).await?;
        places.push((sandbox, execution));
    }
    // Connections and all that is made once are there before the count begins.
    let warm = (0..CHUNK).map(|index| open(stand, &places, index));
    drop(try_join_all(warm).await?);
    sleep(Duration::from_secs(1)).await;
    let before = stand.ids().map(|pid| rss::of(pid).now);

    let mut streams = Vec::with_capacity(STREAMS);
    for chunk in 0..STREAMS / CHUNK {
        let opening = (0..CHUNK).map(|index| open(stand, &places, chunk * CHUNK + index));
        streams.extend(try_join_all(opening).await?);
    }
    sleep(QUIET).await;
    let after = stand.ids().map(|pid| rss::of(pid).now);
    // Each must have been told meanwhile that it is alive.
    for stream in &mut streams {
        if client.next(stream).await?.is_none() {
            return Err(client.wrong("an idle stream ended"));
        }
    }
    drop(streams);
    for (sandbox, _) in &places {
        client.delete(sandbox).await?;
    }
    let [gateway, provider] = [after[0] - before[0], after[1] - before[1]];
    Ok(Kept {
        figure: Figure::Idle,
        gateway: format!("+{gateway:.0} MB"),
        provider: format!("+{provider:.0} MB"),
        runner: String::new(),
        bystander: String::new(),
        reached: Some(gateway + provider < DUE),
    })
}

/// A stream that has said that it began.
async fn open(
    stand: &Stand,
    places: &[(String, String)],
    index: usize,
) -> Result<tonic::Streaming<sandgate_proto::v1::StreamExecutionResponse>> {
    let client = &stand.client;
    let (sandbox, execution) = &places[index % places.len()];
    // Every place is reached over every connection.
    let connection = index / places.len();
    let mut stream = client.follow(connection, sandbox, execution).await?;
    match client.next(&mut stream).await? {
        Some(_) => Ok(stream),
        None => Err(client.wrong("an idle stream ended")),
    }
}
