//! The lease task alone: passes where nothing is due, and looks that are all due at once.

use std::{
    iter::repeat_n,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use sandgate_proto::v1::{RenewSandboxRequest, sandbox_service_client::SandboxServiceClient};
use tokio::time::{sleep, timeout};

use super::{
    meter::Used,
    results::Sample,
    stand::{Side, Stand},
    store::{millis, now},
};
use crate::error::{Error, Result};

/// For how long passes are watched.
const WATCHED: Duration = Duration::from_secs(4);
/// Time between two passes.
const INTERVAL: f64 = 0.5;
/// Looks that are due at once, where there are so many sandboxes.
pub(super) const LOOKS: u32 = 10_000;
/// Calls in flight of what looks are compared with: as many as the lease task makes in one batch.
pub(super) const IN_FLIGHT: usize = 32;
/// While a look is under way its sandbox is due sooner than this, afterwards later.
const CLAIMED: Duration = Duration::from_secs(100);
/// How often it is asked whether all are done.
const POLL: Duration = Duration::from_millis(20);
/// All looks never take as long as this.
const PATIENCE: Duration = Duration::from_secs(120);

/// Processor time of a pass with many sandboxes, and with few; in microseconds.
pub(super) async fn pass(stand: &Stand) -> Result<Sample> {
    let [few, many] = &stand.sides;
    let (beside, _) = idle(few).await;
    let (value, written) = idle(many).await;
    Ok(Sample {
        value,
        beside,
        cpu: value,
        written,
    })
}

async fn idle(side: &Side) -> (f64, f64) {
    side.begin().await;
    let before = Used::by(side.gateway.id());
    let begun = Instant::now();
    sleep(WATCHED).await;
    let passes = begun.elapsed().as_secs_f64() / INTERVAL;
    let used = Used::by(side.gateway.id()).since(before);
    side.end();
    (
        used.cpu.as_secs_f64() * 1e6 / passes,
        used.written as f64 / passes,
    )
}

/// Looks a second, and renewals a second that the provider answers when asked directly.
pub(super) async fn looks(side: &mut Side) -> Result<Sample> {
    let count = LOOKS.min(side.sandboxes);
    side.begin().await;
    let before = Used::by(side.gateway.id());
    let begun = Instant::now();
    side.database.due_at_once(count).await?;
    let done = timeout(PATIENCE, all_done(side)).await;
    done.map_err(|_| Error::Late("looking at all that is due"))??;
    let time = begun.elapsed();
    let used = Used::by(side.gateway.id()).since(before);
    side.end();
    let begun = Instant::now();
    let renewed = timeout(PATIENCE, renew(side, count)).await;
    renewed.map_err(|_| Error::Late("renewing"))??;
    let count = f64::from(count);
    Ok(Sample {
        value: count / time.as_secs_f64(),
        beside: count / begun.elapsed().as_secs_f64(),
        cpu: used.cpu.as_secs_f64() * 1e6 / count,
        written: used.written as f64 / count,
    })
}

async fn all_done(side: &mut Side) -> Result<()> {
    let due = now() + millis(CLAIMED);
    while side.database.due_before(due).await? > 0 {
        sleep(POLL).await;
    }
    Ok(())
}

async fn renew(side: &Side, count: u32) -> Result<()> {
    let client = SandboxServiceClient::new(side.direct.channel(0));
    let calls = repeat_n(client, count as usize).map(|mut client| async move {
        let asked = RenewSandboxRequest {
            session_id: side.ids.session_id.clone(),
            sandbox_id: side.ids.sandbox_id.clone(),
            ..Default::default()
        };
        let renewed = client.renew_sandbox(side.direct.request(asked)).await;
        renewed
            .map(drop)
            .map_err(|status| side.direct.failed(status))
    });
    stream::iter(calls)
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}
