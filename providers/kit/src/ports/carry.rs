//! One connection that somebody made to an exposed port, carried into the sandbox and back.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{interval, timeout},
};

use crate::{
    CallContext, Provider, ProviderError,
    runner::{LinkError, through},
};

/// How long a provider may take to reach a runner.
const REACH: Duration = Duration::from_secs(15);
/// Held of each direction, in bytes.
const BUFFER: usize = 16 * 1024;
/// Between two looks whether anything came.
const LOOK: Duration = Duration::from_secs(30);
/// Looks that may find nothing: 10 minutes without a byte in either direction end a connection.
const LOOKS: u32 = 20;

/// How long nothing may come.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    /// Time between two looks.
    look: Duration,
    /// The sandbox is paused, and cannot say anything: that time does not count.
    is_paused: &'a AtomicBool,
}

impl<'a> Patience<'a> {
    pub(super) const fn of(is_paused: &'a AtomicBool) -> Self {
        let look = LOOK;
        Self { look, is_paused }
    }
}

/// Why nothing is carried.
#[derive(Debug)]
pub(super) enum NoWay {
    /// The sandbox is not reached.
    Unreached(ProviderError),
    /// Its runner does not connect, as where nothing listens.
    Refused(LinkError),
}

/// A stream to a port of the sandbox, and what came on it already.
pub(super) async fn open<P: Provider>(
    provider: &Arc<P>,
    context: &CallContext,
    port: u16,
) -> Result<(P::Link, Bytes), NoWay> {
    let reached = match timeout(REACH, provider.reach(context)).await {
        Ok(reached) => reached.map_err(NoWay::Unreached)?,
        Err(_) => return Err(NoWay::Refused(LinkError::Lost)),
    };
    let made = through(reached, context, port).await;
    made.map_err(NoWay::Refused)
}

/// Copies both ways until both have ended, one breaks, or nothing comes for long.
pub(super) async fn carry<L>(
    client: TcpStream,
    link: L,
    came: Bytes,
    patience: Patience<'_>,
) -> io::Result<()>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    client.set_nodelay(true)?;
    let (from_client, mut to_client) = client.into_split();
    let (from_link, to_link) = tokio::io::split(link);
    let moved = AtomicU64::new(0);
    let up = copy(from_client, to_link, &moved);
    let down = async {
        to_client.write_all(&came).await?;
        copy(from_link, to_client, &moved).await
    };
    tokio::select! {
        both = async { tokio::try_join!(up, down) } => both.map(drop),
        () = silence(&moved, patience) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Copies one way, never faster than the other side takes it, and passes on the end.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let size = from.read(&mut buffer).await?;
        if size == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..size]).await?;
        to.flush().await?;
        moved.fetch_add(size as u64, Relaxed);
    }
}

/// Waits until nothing has come for long.
async fn silence(moved: &AtomicU64, patience: Patience<'_>) {
    let (mut seen, mut silent) = (0, 0);
    let mut looks = interval(patience.look);
    while silent <= LOOKS {
        looks.tick().await;
        if patience.is_paused.load(Relaxed) {
            continue;
        }
        let now = moved.load(Relaxed);
        silent = if now == seen { silent + 1 } else { 0 };
        seen = now;
    }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, time::sleep};

    use super::*;

    /// A connection through which nothing goes, and both of its ends.
    async fn quiet(is_paused: &'static AtomicBool) -> (impl Future, TcpStream, impl AsyncRead) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (client, taken) = tokio::join!(TcpStream::connect(at), listener.accept());
        let (near, far) = tokio::io::duplex(BUFFER);
        let patience = Patience {
            look: Duration::from_millis(10),
            is_paused,
        };
        let carried = carry(taken.unwrap().0, near, Bytes::new(), patience);
        (tokio::spawn(carried), client.unwrap(), far)
    }

    #[tokio::test]
    async fn silence_ends_it_unless_the_sandbox_is_paused() {
        let state = |is_paused| &*Box::leak(Box::new(AtomicBool::new(is_paused)));
        let is_paused = state(true);
        let (ended, mut client, _far) = quiet(state(false)).await;
        let (paused, mut other, _other_far) = quiet(is_paused).await;
        tokio::pin!(paused);
        timeout(Duration::from_secs(60), ended).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        tokio::select! {
            _ = &mut paused => panic!("it has ended"),
            () = sleep(Duration::from_millis(500)) => {}
        }
        is_paused.store(false, Relaxed);
        timeout(Duration::from_secs(60), paused).await.unwrap();
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    }
}
