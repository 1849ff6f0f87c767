//! The provider of containers as a process of its own.

use std::process::ExitCode;

use sandgate_provider_container::{Args, Container, DEFAULT_LISTEN};

#[tokio::main]
async fn main() -> ExitCode {
    sandgate_kit::run(
        DEFAULT_LISTEN,
        |args: &Args| &args.kit,
        |args| Container::connect(args.container.config()),
    )
    .await
}
