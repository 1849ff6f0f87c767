//! The handshake: a fresh stream becomes a connection to the runner of one sandbox, or an error.

use std::{sync::Arc, time::Duration};

use sandgate_runner_proto::{
    FROM_RUNNER_BYTES, FrameReader, HIGHEST_VERSION, LOWEST_VERSION,
    v1::{Hello, Welcome, from_runner},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Link, LinkError, Violation,
    calls::{Calls, HELLO},
    check,
    drive::drive,
    greet::{GreetError, exchange, hello_to},
    link::Shared,
};
use crate::{CallContext, Reached};

/// How long a runner may take to answer the first frame.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Requests that may wait for the writer.
const OUTBOX: usize = 4;

/// Greets the runner at the other end; `closed` ends the connection, `tasks` owns its task.
pub(super) async fn connect<L>(
    reached: Reached<L>,
    context: &CallContext,
    tasks: &TaskTracker,
    closed: CancellationToken,
) -> Result<Link, LinkError>
where
    L: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Reached { mut link, secret } = reached;
    let hello = hello_to(context, secret);
    let mut frames = FrameReader::new(FROM_RUNNER_BYTES);
    let welcome = timeout(HANDSHAKE, welcomed(&mut link, hello, &mut frames))
        .await
        .map_err(|_| LinkError::Lost)??;
    let (outbox, requests) = mpsc::channel(OUTBOX);
    let shared = Arc::new(Shared::new(Calls::new(), closed));
    let sandbox_id = context.sandbox_id.clone();
    tasks.spawn(drive(link, frames, requests, shared.clone(), sandbox_id));
    Ok(Link::new(shared, outbox, welcome))
}

/// Says Hello, and reads a welcome from the right runner.
pub(super) async fn welcomed<L>(
    link: &mut L,
    hello: Hello,
    frames: &mut FrameReader,
) -> Result<Welcome, LinkError>
where
    L: AsyncRead + AsyncWrite + Unpin,
{
    let (sandbox_id, generation) = (hello.sandbox_id.clone(), hello.generation);
    let answer = match exchange(link, hello, frames).await {
        Ok(answer) => answer,
        Err(GreetError::Broken(broken)) => return Err(Violation::from(broken).into()),
        Err(_) => return Err(LinkError::Lost),
    };
    match answer.body {
        Some(from_runner::Body::Welcome(mut welcome)) if answer.call == HELLO => {
            check::welcome(&mut welcome)?;
            if !(LOWEST_VERSION..=HIGHEST_VERSION).contains(&welcome.version) {
                return Err(Violation::Field("version").into());
            }
            if welcome.sandbox_id != sandbox_id || welcome.generation != generation {
                return Err(Violation::Field("sandbox_id").into());
            }
            Ok(welcome)
        }
        Some(from_runner::Body::Refused(refused)) => {
            Err(LinkError::Refused(check::refusal(&refused)))
        }
        _ => Err(Violation::Unexpected.into()),
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
