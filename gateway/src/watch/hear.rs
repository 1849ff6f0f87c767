//! Wakes those who watch: at once for what this process did, within a second for other gateways.

use std::{sync::Arc, time::Duration};

use sandgate_service::Drain;
use tokio::{
    sync::broadcast::error::RecvError,
    time::{MissedTickBehavior, interval},
};

use super::topics::Topics;
use crate::store::{Store, StoreError};

/// Time between two looks for what other gateways told.
const INTERVAL: Duration = Duration::from_secs(1);
/// Events that one look reads at a time.
const BATCH: u32 = 1000;

/// Listens until the drain begins.
pub(super) async fn hear(store: Arc<dyn Store>, topics: Topics, drain: Drain) {
    let mut news = store.hear();
    let mut seen = None;
    let mut tick = interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = news.recv() => match heard {
                Ok(session_id) => topics.ring(session_id),
                Err(RecvError::Lagged(_)) => topics.ring_all(),
                Err(RecvError::Closed) => return,
            },
            _ = tick.tick() => {
                if let Err(error) = look(&*store, &topics, &mut seen).await {
                    tracing::warn!(%error, "cannot look for events of sessions");
                }
            }
            () = drain.started() => return,
        }
    }
}

/// Rings for every event since the last look; while nobody watches, nothing is read.
async fn look(
    store: &dyn Store,
    topics: &Topics,
    seen: &mut Option<i64>,
) -> Result<(), StoreError> {
    if topics.is_empty() {
        *seen = None;
        return Ok(());
    }
    let Some(mut seq) = *seen else {
        *seen = Some(store.last_event_seq().await?);
        topics.ring_all();
        return Ok(());
    };
    loop {
        let events = store.sessions_after(seq, BATCH).await?;
        for (at, session_id) in &events {
            seq = *at;
            topics.ring(*session_id);
        }
        *seen = Some(seq);
        if events.len() < BATCH as usize {
            return Ok(());
        }
    }
}
