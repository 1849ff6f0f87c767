//! The watchman of one sandbox's exposed ports: ends those whose time is over, and all of them where
//! the sandbox has gone without a word.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use sandgate_proto::v1::SandboxState;
use tokio::{
    sync::Notify,
    time::{sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Ports;
use crate::{CallContext, Kind, Provider};

/// Between two looks at the sandbox.
const LOOK: Duration = Duration::from_secs(30);
/// The same where it was not reached.
const DOUBT: Duration = Duration::from_secs(1);
/// How long a provider may take to look.
const WITHIN: Duration = Duration::from_secs(10);

/// Watches until nothing of it is left. How long a look takes holds no end up.
pub(super) async fn watch<P: Provider>(
    ports: Arc<Ports<P>>,
    context: CallContext,
    (doubt, is_paused): (Arc<Notify>, Arc<AtomicBool>),
    end: CancellationToken,
) {
    let next = || ports.expire(&context.sandbox_id, &end);
    let expires = async {
        while let Some(next) = next() {
            sleep_until(next).await;
        }
    };
    let looks = async {
        while next().is_some() {
            let in_doubt = timeout(LOOK, doubt.notified()).await.is_ok();
            match looked(ports.provider(), &context).await {
                Seen::Over => return ports.close_this(&context.sandbox_id, &end).await,
                Seen::Paused => is_paused.store(true, Relaxed),
                Seen::Runs => is_paused.store(false, Relaxed),
                Seen::Nothing => {}
            }
            if in_doubt {
                // However many are turned away, the upstream is asked at this pace.
                sleep(DOUBT).await;
            }
        }
    };
    tokio::select! {
        () = end.cancelled() => {}
        () = expires => {}
        () = looks => {}
    }
}

/// What a look found.
enum Seen {
    /// Nothing can listen in the sandbox any more.
    Over,
    /// It goes on some time.
    Paused,
    Runs,
    /// It could not be looked at.
    Nothing,
}

async fn looked<P: Provider>(provider: &P, context: &CallContext) -> Seen {
    let instance = match timeout(WITHIN, provider.get(context)).await {
        Ok(Ok(instance)) => instance,
        Ok(Err(error)) if *error.kind() == Kind::SandboxGone => return Seen::Over,
        _ => return Seen::Nothing,
    };
    if instance.generation != context.generation {
        return Seen::Over;
    }
    match instance.state {
        SandboxState::Stopped
        | SandboxState::Failed
        | SandboxState::Deleting
        | SandboxState::Deleted => Seen::Over,
        SandboxState::Paused => Seen::Paused,
        _ => Seen::Runs,
    }
}
