//! `sandgate-emulator`: a cloud of sandboxes on this machine, for tests.

use clap::Parser as _;
use sandgate_emulators::config::Options;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Options::parse().run().await?;
    Ok(())
}
