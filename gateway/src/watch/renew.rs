//! Asks the providers of watched sandboxes which executions have ended, every few seconds.

use std::{collections::HashMap, time::Duration};

use futures::{StreamExt as _, stream};
use sandgate_proto::{Reason, v1::SandboxState};
use sandgate_service::Drain;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Watches, sandboxes_of};
use crate::{
    problem::Result,
    store::{PageKey, SandboxRecord, SessionRecord},
};

/// Time between two rounds.
const INTERVAL: Duration = Duration::from_secs(3);
/// Sandboxes that are asked at the same time.
const AT_ONCE: usize = 16;
/// Sandboxes that are read at a time.
const BATCH: u32 = 100;
/// Answers that one round takes of one sandbox.
const ANSWERS: usize = 64;

/// What is known of the sandboxes that are asked.
type Known = HashMap<Uuid, Asked>;

/// How far a sandbox was asked.
#[derive(Clone, Default)]
struct Asked {
    cursor: String,
    /// Its provider cannot tell, and is left alone.
    mute: bool,
}

impl Asked {
    /// From what the lease task has saved.
    fn of(sandbox: &SandboxRecord) -> Self {
        Self {
            cursor: sandbox.ended_cursor.clone(),
            mute: false,
        }
    }
}

/// A sandbox to ask.
struct Task {
    session: SessionRecord,
    sandbox: SandboxRecord,
    asked: Asked,
}

/// Asks until the drain begins.
pub(super) async fn renew(watches: Watches, drain: Drain) {
    let mut known = Known::new();
    loop {
        tokio::select! {
            next = round(&watches, &known) => known = next,
            () = drain.started() => return,
        }
        tokio::select! {
            () = sleep(INTERVAL) => {}
            // Where a watch begins, what has ended before is told apart best at once.
            () = watches.topics.begun() => {}
            () = drain.started() => return,
        }
    }
}

async fn round(watches: &Watches, known: &Known) -> Known {
    let mut tasks = Vec::new();
    for session_id in watches.topics.watched() {
        match tasks_of(watches, session_id, known).await {
            Ok(found) => tasks.extend(found),
            Err(problem) => tracing::debug!(%session_id, %problem, "cannot look at a session"),
        }
    }
    stream::iter(tasks)
        .map(|task| ask(watches, task))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// The running sandboxes of a session.
async fn tasks_of(watches: &Watches, session_id: Uuid, known: &Known) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    let Some(session) = watches.store.session(session_id).await? else {
        return Ok(tasks);
    };
    let mut after = None;
    loop {
        let running = vec![SandboxState::Running.into()];
        let rows = sandboxes_of(&*watches.store, &session, running, after, BATCH).await?;
        after = rows.last().map(|last| PageKey {
            time: last.create_time,
            id: last.sandbox_id.to_string(),
        });
        let full = rows.len() == BATCH as usize;
        tasks.extend(rows.into_iter().map(|sandbox| {
            Task {
                session: session.clone(),
                asked: known
                    .get(&sandbox.sandbox_id)
                    .cloned()
                    .unwrap_or_else(|| Asked::of(&sandbox)),
                sandbox,
            }
        }));
        if !full {
            return Ok(tasks);
        }
    }
}

/// Asks one sandbox, and tells what it says.
async fn ask(watches: &Watches, task: Task) -> (Uuid, Asked) {
    let sandbox_id = task.sandbox.sandbox_id;
    let mut asked = task.asked.clone();
    if asked.mute {
        return (sandbox_id, asked);
    }
    if let Err(problem) = ask_on(watches, &task, &mut asked).await {
        asked.mute = problem.reason() == Reason::CapabilityUnsupported;
        tracing::debug!(%sandbox_id, %problem, "cannot ask a sandbox what has ended");
    }
    (sandbox_id, asked)
}

async fn ask_on(watches: &Watches, task: &Task, asked: &mut Asked) -> Result<()> {
    let sandboxes = &watches.sandboxes;
    for _ in 0..ANSWERS {
        let renewed = sandboxes
            .renew(&task.session, &task.sandbox, asked.cursor.clone())
            .await?;
        if !renewed.ended_cursor.is_empty() {
            asked.cursor = renewed.ended_cursor;
        }
        if !renewed.more_ended {
            break;
        }
    }
    Ok(())
}
