//! The local provider as a process of its own.

use std::{net::SocketAddr, process::ExitCode};

use sandgate_provider_local::{Args, Local};

/// Where it listens unless told otherwise.
const DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 50061);

#[tokio::main]
async fn main() -> ExitCode {
    sandgate_kit::run(
        DEFAULT,
        |args: &Args| &args.kit,
        |args| {
            let args = args.clone();
            async move { Local::open(args.config()?).await }
        },
    )
    .await
}
