//! The client side: a channel to a provider that connects when it is first used and reconnects by
//! itself.

use sandgate_proto::limits;
use thiserror::Error;
use tonic::transport::{Channel, Endpoint};

use crate::{TlsError, TlsFiles, settings};

/// Where to connect to, and how.
#[derive(Clone, Debug)]
pub struct ChannelPeer {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// Own certificate and trusted roots, for `https`.
    pub tls: TlsFiles,
}

/// Why a channel could not be set up. Nothing was sent.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The address is not a URL that gRPC can use.
    #[error(
        "{url} is no address of a service (want http://host:port or https://host:port): {source}"
    )]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A channel over one connection of its own. Does no I/O yet.
///
/// # Errors
/// Where the address or the TLS files cannot be used.
pub fn connect_lazily(peer: &ChannelPeer) -> Result<Channel, ChannelError> {
    let address = |source| ChannelError::Address {
        url: peer.url.clone(),
        source,
    };
    let mut endpoint = Endpoint::from_shared(peer.url.clone()).map_err(address)?;
    if peer.url.starts_with("https://") {
        endpoint = endpoint.tls_config(peer.tls.client()?).map_err(address)?;
    }
    Ok(endpoint
        .connect_timeout(settings::CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_stream_window_size(settings::STREAM_WINDOW)
        .initial_connection_window_size(settings::CHANNEL_CONNECTION_WINDOW)
        .max_frame_size(settings::MAX_FRAME)
        .http2_max_header_list_size(limits::HTTP2_HEADER_BYTES)
        .http2_max_local_error_reset_streams(None)
        .http2_keep_alive_interval(settings::KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(settings::KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_lazy())
}
