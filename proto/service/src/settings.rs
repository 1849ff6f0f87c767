//! The HTTP/2 settings of both hops, each with its reason.

use std::time::Duration;

/// Flow-control window of one stream: what a peer may send ahead of a reader that does not read.
pub const STREAM_WINDOW: u32 = 1024 * 1024;

/// Window of a server's connection: sixteen full streams of upload ahead of their readers.
pub const SERVER_CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// Window of the connection from the gateway to a provider. As good as unlimited on purpose: with
/// a small one a single reader that stops reading would starve every other stream of the
/// connection, and h2 would end the connection for its count of small unread frames.
pub const CHANNEL_CONNECTION_WINDOW: u32 = 1 << 30;

/// Streams that one connection may hold open.
pub const MAX_STREAMS: u32 = 10_000;

/// Largest DATA frame that we accept.
pub const MAX_FRAME: u32 = 64 * 1024;

/// How often an HTTP/2 ping checks that the other side is there.
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long a ping may stay unanswered before the connection counts as dead.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connect may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a caller may take for its TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Streams that a peer may reset before the server took them up. The default of 20 protects
/// against strangers; between gateway and provider a burst of cancelled calls is ordinary, and
/// must not end the connection that all the others share.
pub const TRUSTED_PENDING_RESETS: usize = 10_000;
