//! One HTTP/2 connection: its settings, and the task that moves its frames and checks that the
//! other side is still there.

use bytes::Bytes;
use h2::{
    Ping, PingPong,
    client::{self, SendRequest},
};
use sandgate_proto::limits;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::WireError;
use crate::settings;

/// A connection and the task that drives it, which ends when this is dropped.
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    _task: AbortOnDropHandle<()>,
}

impl Connection {
    /// Speaks HTTP/2 on a fresh stream of bytes. The task runs where this is called.
    pub(super) async fn over<I>(io: I) -> Result<Self, WireError>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, mut connection) = client::Builder::new()
            .enable_push(false)
            .initial_window_size(settings::STREAM_WINDOW)
            .initial_connection_window_size(settings::CHANNEL_CONNECTION_WINDOW)
            .max_frame_size(settings::MAX_FRAME)
            .max_header_list_size(limits::HTTP2_HEADER_BYTES)
            .max_local_error_reset_streams(None)
            .handshake(io)
            .await
            .map_err(WireError::connect)?;
        let pings = connection.ping_pong();
        let task = async move {
            let end = tokio::select! {
                end = connection => end.err().map(|error| error.to_string()),
                () = silence(pings) => Some("no answer to pings".to_owned()),
            };
            tracing::debug!(cause = end, "connection ended");
        };
        Ok(Self {
            sender,
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
        })
    }

    /// A way to send one request.
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }
}

/// Resolves when a ping stays without an answer.
async fn silence(pings: Option<PingPong>) {
    let Some(mut pings) = pings else {
        return std::future::pending().await;
    };
    loop {
        sleep(settings::KEEP_ALIVE_INTERVAL).await;
        match timeout(settings::KEEP_ALIVE_TIMEOUT, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection itself has ended, and says why.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}
