//! The provider of sandboxes at E2B as a process of its own.

use std::process::ExitCode;

use sandgate_provider_e2b::{Args, DEFAULT_LISTEN, E2b};

#[tokio::main]
async fn main() -> ExitCode {
    sandgate_kit::run(
        DEFAULT_LISTEN,
        |args: &Args| &args.kit,
        |args| std::future::ready(E2b::new(args.e2b.config())),
    )
    .await
}
