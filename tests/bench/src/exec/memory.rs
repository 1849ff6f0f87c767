//! What an output costs that is longer than anybody wants to keep, with a reader that reads and one
//! that does not, and what it does to a bystander on the same connection.

use std::time::{Duration, Instant};

use sandgate_proto::v1::stream_execution_response::Event;
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::table::Kept;
use super::{client::Client, commands::median, engine::Engine, figure::Figure, rss, stand::Stand};
use crate::{
    error::{Error, Result},
    spread::Spread,
};

/// Bytes of the output.
pub(super) const OUTPUT: u64 = 1024 * 1024 * 1024;
/// Lines of 20 bytes.
const WRITER: &str = "yes 0123456789abcdefghi | head -c 1073741824";
/// Calls of the bystander at rest.
const CALLS: usize = 500;
/// Between two calls of the bystander while there is output.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the output may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// Writes the output once, and takes the peaks meanwhile.
pub(super) async fn take(stand: &Stand, engine: &Engine) -> Result<Kept> {
    let client = &stand.client;
    let made = client.create().await?;
    let sandbox = made.sandbox_id;
    let runner = engine.main_process(&made.provider_sandbox_id).await?;
    let [gateway, provider] = stand.ids();
    let processes = [gateway, provider, runner];
    let sleeping = client.start(&sandbox, &["sleep", "3600"]).await?;
    let look = || async { client.look(&sandbox, &sleeping).await.map(|()| 0) };
    median(CALLS / 4, look).await?;
    let rest = median(CALLS, look).await?;

    processes.into_iter().for_each(rss::forget_peak);
    let before = processes.map(|pid| rss::of(pid).now);
    let written = client.start(&sandbox, &["sh", "-c", WRITER]).await?;
    // All on one connection: who never reads, who reads, and who only asks now and then.
    let unread = client.follow(0, &sandbox, &written).await?;
    let read = client.follow(0, &sandbox, &written).await?;
    let (bytes, times) = timeout(PATIENCE, meanwhile(client, read, &sandbox, &sleeping))
        .await
        .map_err(|_| Error::Late("the long output"))??;
    let peaks = processes.map(|pid| rss::of(pid).peak);
    drop(unread);
    if bytes != OUTPUT {
        return Err(client.wrong(format!("{bytes} bytes and gaps, not {OUTPUT}")));
    }
    client.delete(&sandbox).await?;
    let times = Spread::of(times);
    let cell = |index: usize| format!("{:.0} MB (before: {:.0})", peaks[index], before[index]);
    Ok(Kept {
        figure: Figure::Memory,
        gateway: cell(0),
        provider: cell(1),
        runner: cell(2),
        bystander: format!(
            "{rest:.2} ms at rest, {:.2} ms meanwhile, at most {:.0} ms",
            times.median, times.most
        ),
        reached: None,
    })
}

/// Reads to the end; bytes with those of gaps, and how long a bystander's calls took meanwhile, in
/// milliseconds.
async fn meanwhile(
    client: &Client,
    stream: Streaming<sandgate_proto::v1::StreamExecutionResponse>,
    sandbox: &str,
    execution: &str,
) -> Result<(u64, Vec<f64>)> {
    let mut times = Vec::new();
    let asking = async {
        loop {
            let begun = Instant::now();
            client.look(sandbox, execution).await?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            sleep(PAUSE).await;
        }
    };
    let bytes = tokio::select! {
        // In a task of its own, so that reading does not delay the asking.
        bytes = reader(client.clone(), stream) => bytes?,
        failed = asking => {
            let failed: Result<()> = failed;
            return Err(failed.err().unwrap_or(Error::Late("the bystander")));
        }
    };
    Ok((bytes, times))
}

async fn reader(
    client: Client,
    mut stream: Streaming<sandgate_proto::v1::StreamExecutionResponse>,
) -> Result<u64> {
    let task = tokio::spawn(async move {
        let mut bytes = 0;
        while let Some(event) = client.next(&mut stream).await? {
            match event.event {
                Some(Event::Output(output)) => bytes += output.data.len() as u64,
                Some(Event::Gap(gap)) => bytes += gap.end_offset - gap.start_offset,
                Some(Event::Ended(_)) => return Ok(bytes),
                _ => {}
            }
        }
        Err(client.wrong("a stream without an end"))
    });
    task.await.map_err(|_| Error::Late("the reader"))?
}
