//! Sizes that both sides of the contract agree on. Bytes, unless a name says otherwise.

/// Largest first message of a call (the whole request, for a call of one message).
pub const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// What the gateway may append to a first message on its way to a provider.
pub const PAYLOAD_BYTES: usize = 256 * 1024;
/// Largest header list that a server reads for a caller; a larger one is a typed error.
pub const HEADER_BYTES: usize = 16 * 1024;
/// Header list limit of the HTTP/2 layer itself. Above [`HEADER_BYTES`], so that our typed answer
/// comes first; past this one the connection ends.
pub const HTTP2_HEADER_BYTES: u32 = 64 * 1024;
/// Client metadata that the gateway forwards to a provider.
pub const FORWARDED_METADATA_BYTES: usize = 4 * 1024;
/// An encoded `ProviderContext`.
pub const CONTEXT_BYTES: usize = 6 * 1024;
/// The opaque state of a sandbox inside a `ProviderContext`.
pub const STATE_BYTES: usize = 4 * 1024;
/// Encoded details of a status: past about 8 KiB HTTP/2 clients drop the whole status.
pub const STATUS_DETAIL_BYTES: usize = 4 * 1024;
/// Message text of a status.
pub const STATUS_MESSAGE_BYTES: usize = 2 * 1024;
