//! The runner's protocol, `sandbox.runner.v1`: its messages, and how they lie on a byte stream.
//! Pulls in neither a runtime nor gRPC, since the runner is to stay small.

mod frame;
mod redacted;

/// The messages of `proto/sandbox/runner/v1`.
#[allow(missing_docs, clippy::doc_markdown, clippy::large_enum_variant)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/sandbox.runner.v1.rs"));
}

pub use frame::{Broken, FrameReader, put_frame};

/// The highest version of the protocol that this code speaks.
pub const HIGHEST_VERSION: u32 = 3;
/// From this version on a runner knows `linger_ms` and `only_if_idle_ms` of Shutdown. An older one
/// would skip them and end at once.
pub const LINGER_VERSION: u32 = 2;
/// From this version on a runner works on files, and connects to ports.
pub const FILES_VERSION: u32 = 3;
/// From this version on a runner's own program does what `git.proto` says.
pub const GIT_VERSION: u32 = 3;
/// Where a token lies that is lent to git in a sandbox.
pub const GIT_CREDENTIALS: &str = "/tmp/.git-credentials";
/// What an execution names as its program to get the runner's own, wherever that lies.
pub const OWN_PROGRAM: &str = "/proc/self/exe";
/// The lowest one.
pub const LOWEST_VERSION: u32 = 1;
/// Largest frame to the runner, in bytes: a start with 4 MiB of input, and room for the rest.
pub const TO_RUNNER_BYTES: usize = 5 * 1024 * 1024;
/// Largest frame from the runner, in bytes.
pub const FROM_RUNNER_BYTES: usize = 512 * 1024;
/// The frames of a visit, base64, in parts: this name with `_0`, `_1` and so on.
pub const VISIT_VARIABLE: &str = "SANDGATE_FRAMES";
/// Or the path of a file that holds them, which the visit removes.
pub const VISIT_FILE: &str = "SANDGATE_FRAMES_FILE";
/// Most output in one frame, in bytes.
pub const OUTPUT_BYTES: usize = 256 * 1024;
