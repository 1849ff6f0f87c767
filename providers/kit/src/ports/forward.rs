//! One exposed port: who listens for it, and the connections that came.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::carry::{NoWay, Patience, carry, open};
use crate::{CallContext, Provider, runner::LinkError};

/// Pause after a connection could not be taken, as without descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What a forward works with.
pub(super) struct Forward<P> {
    pub(super) provider: Arc<P>,
    pub(super) context: CallContext,
    pub(super) port: u16,
    pub(super) tasks: TaskTracker,
    /// Connections that all ports of the sandbox may have, and all ports of all.
    pub(super) room: [Arc<Semaphore>; 2],
    /// Rung where the sandbox was not reached.
    pub(super) doubt: Arc<Notify>,
    /// The sandbox is paused, as far as is known.
    pub(super) is_paused: Arc<AtomicBool>,
    /// Ends it, and all its connections.
    pub(super) end: CancellationToken,
    /// Whether it was said that there is no room.
    pub(super) is_full: AtomicBool,
}

impl<P: Provider> Forward<P> {
    /// Takes connections until it is ended.
    pub(super) async fn serve(self, listener: TcpListener) {
        let forward = Arc::new(self);
        loop {
            let taken = tokio::select! {
                biased;
                () = forward.end.cancelled() => return,
                taken = listener.accept() => taken,
            };
            match taken {
                Ok((client, from)) => forward.take(client, from),
                Err(error) => {
                    tracing::warn!(%error, port = forward.port, "a connection to an exposed port was not taken");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(self: &Arc<Self>, client: TcpStream, from: SocketAddr) {
        let permits = self.room.clone().map(Semaphore::try_acquire_owned);
        let [Ok(own), Ok(all)] = permits else {
            // Closed at once: it is told no other way on a stream of bytes.
            if !self.is_full.swap(true, Relaxed) {
                let sandbox_id = &self.context.sandbox_id;
                tracing::warn!(
                    sandbox_id,
                    port = self.port,
                    "as many connections as can be are open to exposed ports; more are closed"
                );
            }
            return;
        };
        self.is_full.store(false, Relaxed);
        let forward = self.clone();
        self.tasks.spawn(async move {
            let held: [OwnedSemaphorePermit; 2] = [own, all];
            tokio::select! {
                () = forward.end.cancelled() => {}
                () = forward.through(client, from) => {}
            }
            drop(held);
        });
    }

    async fn through(&self, client: TcpStream, from: SocketAddr) {
        let (sandbox_id, port) = (&self.context.sandbox_id, self.port);
        let (link, came) = match open(&self.provider, &self.context, port).await {
            Ok(opened) => opened,
            Err(NoWay::Unreached(error)) => {
                tracing::debug!(sandbox_id, port, %error, "the sandbox of an exposed port is not reached");
                return self.doubt.notify_one();
            }
            Err(NoWay::Refused(error)) => {
                tracing::debug!(sandbox_id, port, %error, "an exposed port takes no connection");
                if is_doubtful(&error) {
                    self.doubt.notify_one();
                }
                return;
            }
        };
        let patience = Patience::of(&self.is_paused);
        if let Err(error) = carry(client, link, came, patience).await {
            tracing::debug!(sandbox_id, port, %from, %error, "a connection to an exposed port broke");
        }
    }
}

/// Whether it may be that the sandbox does not live any more, or not this life.
fn is_doubtful(error: &LinkError) -> bool {
    match error {
        LinkError::Refused(refusal) => refusal.reason == "OTHER_SANDBOX",
        LinkError::Lost | LinkError::Broken(_) | LinkError::Full => true,
    }
}
